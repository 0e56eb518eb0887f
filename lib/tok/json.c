/* json.c - a tokenizer from a Hugging Face tokenizer.json. The file is hostile.
 *
 *     model           {type: BPE | WordPiece | Unigram, vocab, merges, unk_token, ...}
 *     added_tokens    [{id, content, special}]: control tokens, and user-defined ones
 *     normalizer, pre_tokenizer, post_processor: json_parts.c; decoder: of no use here
 *
 * Tokens become what a GGUF would hold: U+2581 for a space, "##" of WordPiece gone
 * and a space put before the others. A hole in the ids is an unused token. */
#include <stdio.h>

#include "tok/added.h"
#include "tok/json.h"

typedef struct entry { const char *text; size_t len; float score; uint8_t kind, asks; } entry;

typedef struct entries {
    decai__json_reader *j;
    entry *list;
    size_t count, cap, bytes;
} entries;

static int32_t
put_entry(entries *e, const decai__json_node *n, uint64_t id, const char *text, size_t len, float score, uint8_t kind)
{
    if (id >= DECAI_TOKEN_COUNT_MAX) return decai__json_fail(e->j->doc, n, DECAI_E_LIMIT, "an id above DECAI_TOKEN_COUNT_MAX");
    if (id >= e->cap) {
        size_t cap = DECAI__MAX((size_t)id + 1, 2 * e->cap + 64);
        entry *list = decai__realloc(e->j->t->h.context, e->list, e->cap * sizeof *list, cap * sizeof *list);
        if (!list) return decai__fail(DECAI_E_NOMEM, "vocab: no memory for %zu tokens", cap);
        memset(list + e->cap, 0, (cap - e->cap) * sizeof *list);
        e->list = list;
        e->cap = cap;
    }
    if (e->list[id].text && kind == DECAI_TOKEN_NORMAL) return decai__json_fail(e->j->doc, n, DECAI_E_CORRUPT, "an id that comes twice");
    e->list[id] = (entry){ text, len, score, kind, 0 };
    e->count = DECAI__MAX(e->count, (size_t)id + 1);
    e->bytes += len + 8;
    return 0;
}

/* {"token": id} */
static int32_t
read_object(entries *e, const decai__json_node *vocab)
{
    int32_t r = 0;
    for (const decai__json_node *n = decai__json_first(vocab); !r && n; n = decai__json_next(n)) {
        uint64_t id;
        const char *text = decai__json_key(n);
        r = decai__json_u64(e->j->doc, n, &id);
        if (!r) r = put_entry(e, n, id, text, strlen(text), 0, DECAI_TOKEN_NORMAL);
    }
    return r;
}

/* [["token", score]] */
static int32_t
read_array(entries *e, const decai__json_node *vocab)
{
    int32_t r = 0;
    uint64_t id = 0;
    for (const decai__json_node *n = decai__json_first(vocab); !r && n; n = decai__json_next(n), id++) {
        const char *text;
        size_t len;
        float score = 0;
        const decai__json_node *first = decai__json_first(n);
        r = decai__json_str(e->j->doc, first, &text, &len);
        if (!r) r = decai__json_float(e->j, first ? decai__json_next(first) : NULL, &score);
        if (!r) r = put_entry(e, n, id, text, len, score, DECAI_TOKEN_NORMAL);
    }
    return r;
}

static uint8_t
asks_of(decai__json_reader *j, const decai__json_node *n, const char *text, size_t len, bool special)
{
    bool spaced = j->t->rules.family == DECAI__BPE_RAW || j->t->rules.family == DECAI__UGM, mark = false;
    for (size_t i = 0; spaced && !special && i + 2 < len; i++) mark = mark || !memcmp(text + i, "\xe2\x96\x81", 3);
    return (uint8_t)((decai__json_flag(j, n, "lstrip", false) ? DECAI__ASKS_LSTRIP : 0)
        | (decai__json_flag(j, n, "rstrip", false) ? DECAI__ASKS_RSTRIP : 0)
        | (decai__json_flag(j, n, "single_word", false) ? DECAI__ASKS_WORD : 0)
        | (decai__json_flag(j, n, "normalized", false) ? DECAI__ASKS_NORMALIZED : 0) | (mark ? DECAI__ASKS_LITERAL : 0));
}

static int32_t
read_added(entries *e)
{
    int32_t r = 0;
    const decai__json_node *list = decai__json_find(e->j->root, "added_tokens");
    for (const decai__json_node *n = decai__json_first(list); !r && n; n = decai__json_next(n)) {
        uint64_t id = 0;
        const char *text = NULL;
        size_t len = 0;
        bool special = false;
        r = decai__json_get_u64(e->j->doc, n, "id", &id);
        if (!r) r = decai__json_get_str(e->j->doc, n, "content", &text, &len);
        if (!r) r = decai__json_get_bool(e->j->doc, n, "special", &special);
        if (!r) r = put_entry(e, n, id, text, len, id < e->cap ? e->list[id].score : 0, special ? DECAI_TOKEN_CONTROL : DECAI_TOKEN_USER);
        if (!r) e->list[id].asks = asks_of(e->j, n, text, len, special);
    }
    return r;
}

static int32_t
take_asks(entries *e)
{
    decai_tokenizer *t = e->j->t;
    bool any = false;
    t->asks = decai__calloc(t->h.context, e->count + 1, 1);
    if (!t->asks) return decai__fail(DECAI_E_NOMEM, "added_tokens: no memory for %zu", e->count);
    for (size_t id = 0; id < e->count; id++) {
        t->asks[id] = e->list[id].asks;
        any = any || t->asks[id];
    }
    if (any) return 0;
    decai__free(t->h.context, t->asks);
    t->asks = NULL;
    return 0;
}

/* Tokens that are looked for in the normalized text need that text as it is: the
 * spaces that would be read as U+2581 while encoding become it by steps. */
static int32_t
spell_out(decai__json_reader *j)
{
    static const decai__norm_step LEAD = { .kind = DECAI__NORM_PREPEND, .to_len = 3, .to = "\xe2\x96\x81" };
    static const decai__norm_step MARK = { .kind = DECAI__NORM_REPLACE, .from_len = 1, .to_len = 3, .from = " ", .to = "\xe2\x96\x81" };
    decai_tokenizer *t = j->t;
    bool any = false;
    for (uint32_t id = 0; t->asks && id < t->count; id++) any = any || (t->asks[id] & DECAI__ASKS_NORMALIZED);
    if (!any || t->rules.family != DECAI__BPE_RAW || !j->marks || t->rules.prefix > DECAI__PREFIX_PREPEND) return 0;
    int32_t r = t->rules.space_prefix ? decai__json_step_add(j, j->root, &LEAD) : 0;
    t->rules.prefix = DECAI__PREFIX_NORM;
    return r ? r : decai__json_step_add(j, j->root, &MARK);
}

/* A token's text as GGUF has it, into scratch; normal tokens of WordPiece differ. */
static int32_t
add_entry(decai_tokenizer *t, uint32_t id, const entry *e, bool fallback, decai__buf *scratch)
{
    bool byte = fallback && e->kind == DECAI_TOKEN_NORMAL && e->len == 6 && !memcmp(e->text, "<0x", 3) && e->text[5] == '>';
    if (!e->text) {
        scratch->len = 0;
        int32_t r = decai__buf_printf(scratch, "[unused %u]", id);
        return r ? r : decai__token_add(t, id, (const char *)scratch->data, scratch->len, DECAI_TOKEN_UNUSED);
    }
    if (t->rules.family != DECAI__WPM || e->kind != DECAI_TOKEN_NORMAL)
        return decai__token_add(t, id, e->text, e->len, byte ? DECAI_TOKEN_BYTE : e->kind);
    bool inner = e->len > 2 && !memcmp(e->text, "##", 2);
    scratch->len = 0;
    int32_t r = inner ? 0 : decai__buf_add_str(scratch, "\xe2\x96\x81");
    if (!r) r = decai__buf_add(scratch, e->text + 2 * inner, e->len - 2 * inner);
    return r ? r : decai__token_add(t, id, (const char *)scratch->data, scratch->len, e->kind);
}

static int32_t
add_entries(entries *e, bool fallback)
{
    decai_tokenizer *t = e->j->t;
    decai__buf scratch;
    int32_t r = decai__tokens_begin(t, e->count, e->bytes + 24 * e->count);
    decai__buf_init(&scratch, t->h.context, 65536, "token");
    for (uint32_t id = 0; !r && id < e->count; id++) {
        r = add_entry(t, id, &e->list[id], fallback, &scratch);
        if (!r) t->score[id] = e->list[id].score;
    }
    decai__buf_free(&scratch);
    if (!r) r = decai__tokens_end(t);
    if (!r) r = take_asks(e);
    if (!r) r = spell_out(e->j);
    return r ? r : decai__added_make(t);
}

/* ---- merges -------------------------------------------------------------------------- */

/* ["a b", ...] or [["a", "b"], ...] */
static int32_t
read_merges(decai__json_reader *j, const decai__json_node *list)
{
    decai_tokenizer *t = j->t;
    uint32_t rank = 0;
    int32_t r = decai__json_expect(j->doc, list, DECAI__JSON_ARRAY);
    if (!r) r = decai__merges_begin(t, decai__json_count(list));
    uint8_t *scratch = r ? NULL : decai__alloc(t->h.context, 2 * DECAI_TOKEN_BYTES_MAX + 2);
    if (!r && !scratch) r = decai__fail(DECAI_E_NOMEM, "merges: no memory");
    for (const decai__json_node *n = decai__json_first(list); !r && n; n = decai__json_next(n), rank++) {
        const char *a, *b;
        size_t a_len, b_len;
        const decai__json_node *first = decai__json_first(n);
        if (decai__json_type(n) == DECAI__JSON_STRING) {
            r = decai__json_str(j->doc, n, &a, &a_len);
            b = r || !a_len ? NULL : memchr(a + 1, ' ', a_len - 1);
            if (!r && !b) r = decai__json_fail(j->doc, n, DECAI_E_CORRUPT, "no space between two tokens");
            b_len = r ? 0 : a_len - (size_t)(b + 1 - a);
            a_len = r ? 0 : (size_t)(b++ - a);
        } else {
            r = decai__json_str(j->doc, first, &a, &a_len);
            if (!r) r = decai__json_str(j->doc, decai__json_next(first), &b, &b_len);
        }
        if (!r) r = decai__merges_parsed(t, rank, (const uint8_t *)a, a_len, (const uint8_t *)b, b_len, scratch);
    }
    if (!r) r = decai__merges_end(t);
    decai__free(t->h.context, scratch);
    return r;
}

/* ---- the whole ------------------------------------------------------------------------- */

static bool
has_byte_level(const decai__json_reader *j)
{
    const char *text;
    size_t len;
    const decai__json_node *decoder = decai__json_find(j->root, "decoder"), *pre = decai__json_find(j->root, "pre_tokenizer");
    const decai__json_node *list = decai__json_find(pre, "pretokenizers");
    for (const decai__json_node *n = list ? decai__json_first(list) : pre; n; n = list ? decai__json_next(n) : NULL)
        if (!decai__json_get_str(j->doc, n, "type", &text, &len) && len == 9 && !memcmp(text, "ByteLevel", 9)) return true;
    return decoder && !decai__json_get_str(j->doc, decoder, "type", &text, &len) && len == 9 && !memcmp(text, "ByteLevel", 9);
}

static int32_t
read_family(decai__json_reader *j, const char *type, size_t len)
{
    decai__rules *rules = &j->t->rules;
    *rules = (decai__rules){ .pre = DECAI__PRE_NONE };
    if (len == 3 && !memcmp(type, "BPE", 3)) rules->family = has_byte_level(j) ? DECAI__BPE : DECAI__BPE_RAW;
    else if (len == 9 && !memcmp(type, "WordPiece", 9)) rules->family = DECAI__WPM;
    else if (len == 7 && !memcmp(type, "Unigram", 7)) rules->family = DECAI__UGM;
    else return decai__json_fail(j->doc, j->model, DECAI_E_UNSUPPORTED, "type: not one of BPE, WordPiece, Unigram");
    return 0;
}

static int32_t
read_flag(decai__json_reader *j, const char *key, bool *out)
{
    const decai__json_node *n = decai__json_find(j->model, key);
    return !n || decai__json_type(n) == DECAI__JSON_NULL ? 0 : decai__json_bool(j->doc, n, out);
}

/* What a model may say that no rule of ours follows. */
static int32_t
refuse_affixes(decai__json_reader *j)
{
    static const char *const KEY[] = { "continuing_subword_prefix", "end_of_word_suffix" };
    bool wpm = j->t->rules.family == DECAI__WPM;
    uint64_t most = 100;
    for (size_t i = 0; i < DECAI__COUNT(KEY); i++) {
        const decai__json_node *n = decai__json_find(j->model, KEY[i]);
        const char *text;
        size_t len = 0;
        if (!n || decai__json_type(n) == DECAI__JSON_NULL || (wpm && !i && decai__json_is_string(j, j->model, KEY[i], "##"))) continue;
        int32_t r = decai__json_str(j->doc, n, &text, &len);
        if (!r && (len || wpm)) r = decai__json_fail(j->doc, n, DECAI_E_UNSUPPORTED, wpm ? "not \"##\"" : "not empty; use the model's GGUF file");
        if (r) return r;
    }
    const decai__json_node *n = wpm ? decai__json_find(j->model, "max_input_chars_per_word") : NULL;
    int32_t r = n ? decai__json_u64(j->doc, n, &most) : 0;
    return r || most == 100 ? r : decai__json_fail(j->doc, n, DECAI_E_UNSUPPORTED, "not 100");
}

static int32_t
read_unknown(decai__json_reader *j)
{
    const decai__json_node *text = decai__json_find(j->model, "unk_token"), *id = decai__json_find(j->model, "unk_id");
    const char *name;
    size_t len;
    uint64_t v;
    int32_t r = 0;
    if (text && decai__json_type(text) == DECAI__JSON_STRING) {
        r = decai__json_str(j->doc, text, &name, &len);
        if (!r) j->t->special[DECAI__UNKNOWN] = decai__token_find(j->t, (const uint8_t *)name, len);
    } else if (id && decai__json_type(id) == DECAI__JSON_NUMBER) {
        r = decai__json_u64(j->doc, id, &v);
        if (!r && v >= j->t->count) r = decai__json_fail(j->doc, id, DECAI_E_CORRUPT, "no token has this id");
        if (!r) j->t->special[DECAI__UNKNOWN] = (int32_t)v;
    }
    const decai__json_node *pad = decai__json_find(decai__json_find(j->root, "padding"), "pad_id");
    if (!r && pad && !decai__json_u64(j->doc, pad, &v) && v < j->t->count) j->t->special[DECAI__PADDING] = (int32_t)v;
    return r;
}

/* Control tokens that every reader knows by their text. */
static void
find_roles(decai_tokenizer *t)
{
    static const struct { const char *text; int32_t role; } ROLE[] = {
        { "[PAD]", DECAI__PADDING }, { "<pad>", DECAI__PADDING }, { "<|endoftext|>", DECAI__EOS }, { "</s>", DECAI__EOS },
        { "<eos>", DECAI__EOS }, { "[MASK]", DECAI__MASK }, { "<mask>", DECAI__MASK }, { "<|eot_id|>", DECAI__EOT },
        { "<|im_end|>", DECAI__EOT }, { "<end_of_turn>", DECAI__EOT },
    };
    for (size_t i = 0; i < DECAI__COUNT(ROLE); i++) {
        int32_t id = decai__token_find(t, (const uint8_t *)ROLE[i].text, strlen(ROLE[i].text));
        if (id >= 0 && t->special[ROLE[i].role] < 0) t->special[ROLE[i].role] = id;
    }
}

static int32_t
read_all(decai__json_reader *j)
{
    decai_tokenizer *t = j->t;
    const char *type;
    size_t len;
    bool fallback = false, whole = false;
    entries e = { .j = j };
    int32_t r = decai__json_get(j->doc, j->root, "model", DECAI__JSON_OBJECT, &j->model);
    if (!r) r = decai__json_get_str(j->doc, j->model, "type", &type, &len);
    if (!r) r = read_family(j, type, len);
    if (!r) r = decai__json_normalizer(j, decai__json_find(j->root, "normalizer"));
    if (!r) r = decai__json_steps(j, decai__json_find(j->root, "pre_tokenizer"));
    if (!r) r = refuse_affixes(j);
    if (!r) r = read_flag(j, "byte_fallback", &fallback);
    if (!r) r = read_flag(j, "ignore_merges", &whole);
    if (r) return r;
    t->rules.ignore_merges = whole;
    /* The same pattern, under the name that goes with the rule. */
    if (whole && t->rules.pre == DECAI__PRE_O200K) t->rules.pre = DECAI__PRE_GRANITE;
    const decai__json_node *vocab = decai__json_find(j->model, "vocab");
    r = t->rules.family == DECAI__UGM ? decai__json_expect(j->doc, vocab, DECAI__JSON_ARRAY) : decai__json_expect(j->doc, vocab, DECAI__JSON_OBJECT);
    if (!r) r = t->rules.family == DECAI__UGM ? read_array(&e, vocab) : read_object(&e, vocab);
    if (!r) r = read_added(&e);
    for (size_t i = 0; i < DECAI__SPECIAL_COUNT; i++) t->special[i] = -1;
    if (!r) r = add_entries(&e, fallback);
    if (!r && (t->rules.family == DECAI__BPE || t->rules.family == DECAI__BPE_RAW)) r = read_merges(j, decai__json_find(j->model, "merges"));
    if (!r) r = read_unknown(j);
    if (!r) r = decai__json_post(j, decai__json_find(j->root, "post_processor"));
    decai__free(t->h.context, e.list);
    if (r) return r;
    find_roles(t);
    return decai__specials_check(t);
}

/* ---- beside a GGUF ------------------------------------------------------------------------ */

int32_t
decai__json_rules_read(decai_tokenizer *t, const char *text, size_t len)
{
    decai__json_reader j = { .t = t };
    int32_t r = decai__json_parse(t->h.context, &j.doc, text, len);
    if (r) return r;
    j.root = decai__json_root(j.doc);
    r = decai__json_normalizer(&j, decai__json_find(j.root, "normalizer"));
    t->asks = decai__calloc(t->h.context, t->count, 1);
    if (!r && !t->asks) r = decai__fail(DECAI_E_NOMEM, "tokenizer.decai.rules: no memory for %u", t->count);
    const decai__json_node *list = decai__json_find(j.root, "added_tokens");
    for (const decai__json_node *n = decai__json_first(list); !r && n; n = decai__json_next(n)) {
        uint64_t id;
        r = decai__json_get_u64(j.doc, n, "id", &id);
        if (!r && id >= t->count) r = decai__json_fail(j.doc, n, DECAI_E_CORRUPT, "no token has this id");
        if (!r) t->asks[id] = asks_of(&j, n, "", 0, false);
    }
    decai__json_free(j.doc);
    return r ? r : decai__added_make(t);
}

int32_t
decai__tok_open(decai_tokenizer **out, decai_context *ctx, const uint8_t *json, size_t len, const decai_options *opts)
{
    static const decai__json_limits limits = { DECAI_TOKENIZER_JSON_MAX, DECAI_TOKENIZER_NODE_MAX, "DECAI_TOKENIZER_JSON_MAX",
        "DECAI_TOKENIZER_NODE_MAX" };
    decai__json_reader j = { 0 };
    *out = NULL;
    int32_t r = decai__opts_check(opts, "tok");
    if (!r) r = decai__json_parse_within(ctx, &j.doc, json ? (const char *)json : "", len, &limits);
    if (r) return r;
    j.root = decai__json_root(j.doc);
    j.t = decai__tok_new(ctx, opts);
    decai__buf_init(&j.steps, ctx, 65536, "pre_tokenizer");
    if (!j.t) r = DECAI_E_NOMEM;
    if (!r) r = read_all(&j);
    if (!r) r = decai__tok_hash_made(j.t);
    decai__buf_free(&j.steps);
    decai__json_free(j.doc);
    if (!r) *out = j.t;
    else decai__destroy(j.t);
    return r;
}
