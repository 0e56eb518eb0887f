/* grammar_body.c - what each token of a vocabulary does inside a JSON string.
 *
 * Most masks of most answers are masks of a string's body, and most tokens of most
 * vocabularies are a few plain characters. So they are sorted once, by how many
 * characters they are:
 *
 *     plain     word   \xe4\xb8        a mask a number of characters, up to that many;
 *                                      a character that has begun counts
 *     escapes   \n     a\"b  \u00      a list
 *     exits     "      a",   ": "      a list, by what stands behind the quote: that is
 *                                      not the string's, and is walked once for all
 *                                      tokens that end so
 *     others    control bytes, halves of characters at the beginning: not in a string
 *
 * The characters are those that schema_string.c writes: its own net, made an automaton
 * for each form, says what a token does, and grammar_string.c shows with the same
 * automata that a state of a grammar is the body of a string.
 */
#include <string.h>

#include "tok/schema.h"

#define FORM_STATES 64               /* more than any form has */

/* A form's automaton as a table: next state plus one, 0: none. */
typedef struct table { uint8_t next[FORM_STATES][256]; uint32_t start, end; } table;

enum { OTHER, PLAIN, ESCAPED, EXIT };

/* A token that no row of plain ones has. behind: bytes up to the quote and with it. */
typedef struct special { decai__body_token token; uint32_t place, behind; uint8_t kind; } special;

typedef struct maker {
    decai_context *ctx;
    decai__body *b;
    const decai__order *o;
    table *tables;                   /* by form */
    special *specials;               /* room for all tokens; a few are there */
    size_t count[EXIT + 1], special_count;
} maker;

static int32_t
no_memory(void)
{
    return decai__fail(DECAI_E_NOMEM, "grammar: what tokens do in strings");
}

/* ---- forms ------------------------------------------------------------------------------ */

static int32_t
make_form(decai__auto *out, decai_context *ctx, enum decai__spelling form)
{
    decai__net net = { .ctx = ctx };
    uint32_t rule = decai__net_rule_add(&net);
    if (!net.error) {
        uint32_t start = net.rules[rule].start;
        decai__schema_character(&net, start, start, form);
        decai__net_bytes(&net, start, net.rules[rule].end, '"', '"');
    }
    int32_t r = net.error ? net.error : decai__auto_make(out, &net, rule);
    decai__net_free(&net);
    return r;
}

static void
fill_table(table *t, const decai__auto *a)
{
    decai__assert(a->state_count < FORM_STATES);
    t->start = a->start[0];
    for (uint32_t s = 0; s < a->state_count; s++) {
        if (a->states[s].final) t->end = s;
        for (uint32_t e = a->states[s].bytes; e < a->states[s + 1].bytes; e++)
            memset(t->next[s] + a->bytes[e].low, (int)a->bytes[e].to + 1, (size_t)a->bytes[e].high - a->bytes[e].low + 1);
    }
}

/* ---- tokens ------------------------------------------------------------------------------ */

/* What the text does in strings of a form. *chars: begun, or before the quote, which is at
 * *behind - 1. */
static uint8_t
look(const table *t, const uint8_t *text, uint32_t len, uint32_t *chars, uint32_t *behind)
{
    uint32_t s = t->start, n = 0;
    for (uint32_t i = 0; i < len; i++) {
        uint8_t next = t->next[s][text[i]];
        if (!next) return OTHER;
        s = next - 1u;
        if (s == t->end) {
            *chars = n;
            *behind = i + 1;
            return EXIT;
        }
        n += s == t->start;
    }
    *chars = n + (s != t->start);
    return PLAIN;
}

/* Plain tokens to their rows, the others to the list. */
static void
sort_out(maker *m)
{
    decai__body *b = m->b;
    for (uint32_t i = 0; i < m->o->count; i++) {
        const uint8_t *text = m->o->bytes + m->o->start[i];
        uint32_t forms = memchr(text, '\\', decai__order_len(m->o, i)) ? DECAI__SPELLINGS : 1, form = 0;
        special k = { .token.id = m->o->id[i], .place = i };
        do k.kind = look(&m->tables[form], text, decai__order_len(m->o, i), &k.token.chars, &k.behind);
        while (k.kind == OTHER && ++form < forms);
        if (k.kind == OTHER) continue;
        k.token.form = (uint8_t)form;
        if (k.kind == PLAIN && !form) {
            size_t row = DECAI__MIN(k.token.chars, DECAI__PLAIN_MAX + 1);
            b->plain[row * b->words + k.token.id / 64] |= UINT64_C(1) << k.token.id % 64;
            b->plain_max = DECAI__MAX(b->plain_max, k.token.chars);
            if (row <= DECAI__PLAIN_MAX) continue;
        } else if (k.kind == PLAIN) {
            k.kind = ESCAPED;
        }
        m->count[k.kind]++;
        m->specials[m->special_count++] = k;
    }
    for (size_t i = b->words; i < (DECAI__PLAIN_MAX + 2) * b->words; i++) b->plain[i] |= b->plain[i - b->words];
}

static int32_t
put_inside(maker *m)
{
    decai__body *b = m->b;
    b->inside = decai__alloc(m->ctx, (m->count[ESCAPED] + m->count[PLAIN] + 1) * sizeof *b->inside);
    if (!b->inside) return no_memory();
    for (uint8_t kind = ESCAPED; kind >= PLAIN; kind--) {
        for (size_t i = 0; i < m->special_count; i++)
            if (m->specials[i].kind == kind) b->inside[b->inside_count++] = m->specials[i].token;
        if (kind == ESCAPED) b->escape_count = b->inside_count;
    }
    return 0;
}

/* ---- tokens with the quote ----------------------------------------------------------------- */

static bool
same(const decai__order_text *a, const decai__order_text *b)
{
    return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

/* texts: what stands behind the quotes, sorted; id: the token's place in the list. */
static int32_t
group(maker *m, decai__order_text *texts, size_t count)
{
    decai__body *b = m->b;
    uint32_t groups = 0;
    b->exits = decai__alloc(m->ctx, (count + 1) * sizeof *b->exits);
    b->group = decai__calloc(m->ctx, count + 2, sizeof *b->group);
    if (!b->exits || !b->group) return no_memory();
    b->exit_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) b->exits[i] = m->specials[texts[i].id].token;
    size_t i = 0;
    while (i < count && !texts[i].len) i++;
    b->group[1] = (uint32_t)i;
    for (; i < count; i++) {
        if (!groups || !same(&texts[i], &texts[groups - 1])) {
            texts[groups] = texts[i];
            texts[groups].id = groups;
            groups++;
        }
        b->group[groups + 1] = (uint32_t)i + 1;
    }
    return decai__order_make(&b->suffixes, m->ctx, texts, groups);
}

static void
put_place(decai__body *b, uint32_t place)
{
    if (b->place_count && b->places[2 * b->place_count - 1] == place) {
        b->places[2 * b->place_count - 1]++;
    } else {
        b->places[2 * b->place_count] = place;
        b->places[2 * b->place_count++ + 1] = place + 1;
    }
}

static int32_t
put_exits(maker *m)
{
    size_t count = m->count[EXIT], n = 0;
    decai__order_text *texts = decai__alloc(m->ctx, (2 * count + 1) * sizeof *texts);
    m->b->places = decai__alloc(m->ctx, (2 * count + 1) * sizeof *m->b->places);
    int32_t r = texts && m->b->places ? 0 : no_memory();
    for (size_t i = 0; i < m->special_count && !r; i++) {
        const special *k = &m->specials[i];
        if (k->kind != EXIT) continue;
        texts[n++] = (decai__order_text){ 0, (uint32_t)i, decai__order_len(m->o, k->place) - k->behind, m->o->bytes + m->o->start[k->place] + k->behind };
        put_place(m->b, k->place);
    }
    if (!r) decai__order_sort(texts, texts + count, count);
    if (!r) r = group(m, texts, count);
    decai__free(m->ctx, texts);
    return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int32_t
decai__body_make(decai__body *out, decai_context *ctx, const decai__order *tokens, uint32_t universe)
{
    maker m = { .ctx = ctx, .b = out, .o = tokens };
    int32_t r = 0;
    *out = (decai__body){ .words = ((size_t)universe + 63) / 64 };
    m.tables = decai__calloc(ctx, DECAI__SPELLINGS, sizeof *m.tables);
    m.specials = decai__alloc(ctx, ((size_t)tokens->count + 1) * sizeof *m.specials);
    out->plain = decai__calloc(ctx, (DECAI__PLAIN_MAX + 2) * out->words + 1, sizeof *out->plain);
    if (!m.tables || !m.specials || !out->plain) r = no_memory();
    for (uint32_t f = 0; f < DECAI__SPELLINGS && !r; f++) {
        r = make_form(&out->forms[f], ctx, (enum decai__spelling)f);
        if (!r) fill_table(&m.tables[f], &out->forms[f]);
    }
    if (!r) {
        sort_out(&m);
        r = put_inside(&m);
    }
    if (!r) r = put_exits(&m);
    decai__free(ctx, m.tables);
    decai__free(ctx, m.specials);
    return r;
}

void
decai__body_free(decai_context *ctx, decai__body *b)
{
    for (size_t f = 0; f < DECAI__SPELLINGS; f++)
        if (b->forms[f].ctx) decai__auto_free(&b->forms[f]);
    decai__order_free(ctx, &b->suffixes);
    decai__free(ctx, b->plain);
    decai__free(ctx, b->inside);
    decai__free(ctx, b->exits);
    decai__free(ctx, b->group);
    decai__free(ctx, b->places);
}
