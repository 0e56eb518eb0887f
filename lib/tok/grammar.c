/* grammar.c - the handle of a grammar: read once, shared by matchers.
 *
 * It keeps the tokenizer, whose tokens its masks are of, and its own text: the digest
 * binds both kind and text, so that a receipt names the grammar that constrained a run. */
#include "tok/grammar.h"

#include <string.h>

#include "hash/hash.h"
#include "tok/schema.h"

struct decai_grammar {
    decai__handle h;
    const decai_tokenizer *tokenizer;
    decai__auto automaton;
    decai__masks *masks;
    int32_t control[DECAI__CONTROL_MAX], *barred;
    uint32_t control_count, barred_count;
    char kind[32], *text;
    size_t text_len;
    uint8_t digest[32];
};

static void
grammar_destroy(void *self)
{
    decai_grammar *g = self;
    decai__masks_destroy(g->masks);
    decai__free(g->h.context, g->text);
    decai__free(g->h.context, g->barred);
    if (g->automaton.ctx) decai__auto_free(&g->automaton);
    decai__destroy((void *)(uintptr_t)g->tokenizer);
}

static int32_t
read_text(decai__net *n, uint32_t *root, const decai_tokenizer *t, const char *kind, const char *text, size_t len)
{
    if (!strcmp(kind, "gbnf")) return decai__gbnf_read(n, root, text, len);
    if (!strcmp(kind, "json_schema")) return decai__schema_read(n, root, text, len, false);
    if (!strcmp(kind, "json_schema_compact")) return decai__schema_read(n, root, text, len, true);
    if (!strcmp(kind, "tools")) return decai__tools_read(n, root, t, text, len);
    return decai__fail(DECAI_E_INVALID, "kind: \"%.32s\" is none of gbnf, json_schema, json_schema_compact, tools", kind);
}

/* Control tokens come along; tokens with the byte that stands for one are barred. */
static int32_t
take_control(decai_grammar *g, const decai__net *n)
{
    int32_t tokens = (int32_t)decai__tok_count(g->tokenizer);
    size_t len;
    memcpy(g->control, n->control, sizeof g->control);
    if (!(g->control_count = n->control_count)) return 0;
    for (int round = 0; round < 2; round++) {
        g->barred_count = 0;
        for (int32_t id = 0; id < tokens; id++) {
            const uint8_t *bytes = decai__tok_bytes(g->tokenizer, id, &len);
            if (!len || !memchr(bytes, DECAI__CONTROL_BYTE, len)) continue;
            if (g->barred) g->barred[g->barred_count] = id;
            g->barred_count++;
        }
        if (!g->barred && !(g->barred = decai__alloc(g->h.context, (g->barred_count + 1) * sizeof *g->barred)))
            return decai__fail(DECAI_E_NOMEM, "grammar: no memory");
    }
    return 0;
}

static int32_t
make(decai_grammar *g, const char *kind, const char *text, size_t len, const decai_options *opts)
{
    decai__net net = { .ctx = g->h.context };
    uint32_t root = 0;
    int32_t r = read_text(&net, &root, g->tokenizer, kind, text, len);
    if (!r) r = take_control(g, &net);
    if (!r) r = decai__auto_make(&g->automaton, &net, root);
    decai__net_free(&net);
    if (!r) r = decai__masks_create(&g->masks, &g->automaton, g->tokenizer, (size_t)decai__opt_i64(opts, "tok.grammar_cache_max"));
    return r;
}

void
decai__grammar_digest_of(uint8_t out[32], const char *kind, const char *text, size_t len)
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_GRAMMAR);
    decai__hash_data(&k, kind, strlen(kind));
    decai__hash_data(&k, text, len);
    decai__keccak_final(&k, out);
}

int32_t
decai__grammar_create(decai_grammar **out, const decai_tokenizer *tokenizer, const char *kind, const char *text, size_t len,
    const decai_options *opts)
{
    int32_t r = decai__opts_check(opts, "tok");
    if (r) return r;
    if (len > DECAI_GRAMMAR_TEXT_MAX) return decai__fail(DECAI_E_LIMIT, "text: %zu bytes, most are %d", len, DECAI_GRAMMAR_TEXT_MAX);
    decai_grammar *g = decai__handle_create(decai__context_of(tokenizer), DECAI__GRAMMAR, sizeof *g, grammar_destroy);
    if (!g) return decai__fail(DECAI_E_NOMEM, "grammar: %zu bytes", sizeof *g);
    r = decai__retain((void *)(uintptr_t)tokenizer);
    if (!r) g->tokenizer = tokenizer;
    if (!r) r = make(g, kind, text, len, opts);
    if (!r) g->text = len ? decai__memdup(g->h.context, text, len) : decai__calloc(g->h.context, 1, 1);
    if (!r && !g->text) r = decai__fail(DECAI_E_NOMEM, "grammar: %zu bytes", len);
    if (r) {
        decai__destroy(g);
        return r;
    }
    g->text_len = len;
    memcpy(g->kind, kind, strlen(kind));             /* it is one of the known ones */
    decai__grammar_digest_of(g->digest, kind, text, len);
    *out = g;
    return 0;
}

const decai_tokenizer *decai__grammar_tokenizer(const decai_grammar *g) { return g->tokenizer; }
const decai__auto *decai__grammar_auto(const decai_grammar *g) { return &g->automaton; }
decai__masks *decai__grammar_masks(const decai_grammar *g) { return g->masks; }

const int32_t *
decai__grammar_control(const decai_grammar *g, uint32_t *count)
{
    *count = g->control_count;
    return g->control;
}

const int32_t *
decai__grammar_barred(const decai_grammar *g, uint32_t *count)
{
    *count = g->barred_count;
    return g->barred;
}

bool decai__grammar_is_end(const decai_grammar *g, int32_t token) { return decai__tok_is_end(g->tokenizer, token); }
const char *decai__grammar_kind(const decai_grammar *g) { return g->kind; }
const uint8_t *decai__grammar_tok_hash(const decai_grammar *g) { return decai__tok_hash(g->tokenizer); }

const char *
decai__grammar_text(const decai_grammar *g, size_t *len)
{
    *len = g->text_len;
    return g->text;
}

const uint8_t *decai__grammar_digest(const decai_grammar *g) { return g->digest; }
