/* matcher.c - one output under a grammar: tokens in, tokens back out, what may come.
 *
 * The chart holds the bytes of the tokens taken; `ends` where each of them ends, so
 * that tokens can be taken back, as guesses of speculation are. A token that ends a
 * generation (eos and its kin) may come where the text is complete, and nothing after
 * it. Control, unknown and unused tokens, and those without bytes, never may, but for the
 * control tokens that the grammar names: each is two bytes to the chart (grammar.h). */
#include "tok/grammar.h"

#include <string.h>

#include "codec/codec.h"
#include "tok/internal.h"

struct decai_matcher {
    decai__handle h;
    const decai_grammar *grammar;
    const decai_tokenizer *tokenizer;
    decai__chart chart;
    uint32_t *ends;                  /* by token: bytes up to its end */
    size_t count, cap;
    bool over;                       /* the last token ended the generation */
};

static void
matcher_destroy(void *self)
{
    decai_matcher *m = self;
    decai__chart_free(&m->chart);
    decai__free(m->h.context, m->ends);
    decai__destroy((void *)(uintptr_t)m->grammar);
}

void
decai__matcher_start(decai_matcher *m)
{
    decai__chart_back(&m->chart, 0);
    m->count = 0;
    m->over = false;
}

int32_t
decai__matcher_create(decai_matcher **out, const decai_grammar *g)
{
    decai_matcher *m = decai__handle_create(decai__context_of(g), DECAI__MATCHER, sizeof *m, matcher_destroy);
    if (!m) return decai__fail(DECAI_E_NOMEM, "matcher: %zu bytes", sizeof *m);
    decai__chart_init(&m->chart, decai__grammar_auto(g));
    int32_t r = decai__retain((void *)(uintptr_t)g);
    if (!r) {
        m->grammar = g;
        m->tokenizer = decai__grammar_tokenizer(g);
        r = decai__chart_start(&m->chart, NULL, 0);
    }
    if (r) decai__destroy(m);
    else *out = m;
    return r;
}

/* ---- tokens ------------------------------------------------------------------------------ */

static int32_t
reserve(decai_matcher *m)
{
    if (m->count < m->cap) return 0;
    size_t cap = m->cap ? 2 * m->cap : 64;
    uint32_t *ends = decai__realloc(m->h.context, m->ends, m->cap * sizeof *ends, cap * sizeof *ends);
    if (!ends) return decai__fail(DECAI_E_NOMEM, "matcher: %zu tokens", cap);
    m->ends = ends;
    m->cap = cap;
    return 0;
}

/* The bytes that stand for a control token of the grammar, or NULL. */
static const uint8_t *
control_bytes(const decai_matcher *m, int32_t token, uint8_t bytes[2])
{
    uint32_t count;
    const int32_t *list = decai__grammar_control(m->grammar, &count);
    bytes[0] = DECAI__CONTROL_BYTE;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] != token) continue;
        bytes[1] = (uint8_t)i;
        return bytes;
    }
    return NULL;
}

static bool
is_barred(const decai_matcher *m, int32_t token)
{
    uint32_t count;
    const int32_t *list = decai__grammar_barred(m->grammar, &count);
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == token) return true;
    return false;
}

/* 1 taken | 0 it may not come | an error. Nothing changes unless it is taken. */
static int32_t
take(decai_matcher *m, int32_t token)
{
    size_t before = m->chart.sets - 1, len;
    const uint8_t *bytes = decai__tok_bytes(m->tokenizer, token, &len);
    int32_t r = reserve(m);
    if (r || m->over) return r;
    m->chart.work = 0;
    if (decai__tok_is_end(m->tokenizer, token)) {
        if (!decai__chart_complete(&m->chart)) return 0;
        m->over = true;
    } else {
        uint8_t two[2];
        const uint8_t *control = control_bytes(m, token, two);
        if (control) bytes = control, len = sizeof two;
        else if (!len || !decai__tok_is_text(m->tokenizer, token) || is_barred(m, token)) return 0;
        for (size_t i = 0; i < len; i++) {
            if (decai__chart_step(&m->chart, bytes[i])) continue;
            r = m->chart.error;
            m->chart.error = 0;
            decai__chart_back(&m->chart, before);
            return r;
        }
    }
    m->ends[m->count++] = (uint32_t)(m->chart.sets - 1);
    return 1;
}

int32_t
decai__matcher_add(decai_matcher *m, uint64_t *taken, const int32_t *tokens, size_t count)
{
    *taken = 0;
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= m->tokenizer->count)
            return decai__fail(DECAI_E_NOT_FOUND, "tokens[%zu]: %d is not in 0..%u", i, (int)tokens[i], m->tokenizer->count - 1);
    for (size_t i = 0; i < count; i++) {
        int32_t r = take(m, tokens[i]);
        if (r != 1) return r;
        ++*taken;
    }
    return 0;
}

int32_t
decai__matcher_remove(decai_matcher *m, uint64_t count)
{
    if (count > m->count) return decai__fail(DECAI_E_INVALID, "count: %llu of %zu tokens", (unsigned long long)count, m->count);
    if (!count) return 0;
    m->count -= (size_t)count;
    m->over = false;
    decai__chart_back(&m->chart, m->count ? m->ends[m->count - 1] : 0);
    return 0;
}

/* ---- what may come -------------------------------------------------------------------------- */

bool
decai__matcher_complete(const decai_matcher *m)
{
    return m->over || decai__chart_complete(&m->chart);
}

bool
decai__matcher_over(const decai_matcher *m)
{
    return m->over;
}

uint32_t
decai__matcher_tokens(const decai_matcher *m)
{
    return m->tokenizer->count;
}

/* Control tokens of the grammar are tried; tokens that look like one are taken out. */
static int32_t
mask_control(decai_matcher *m, uint64_t *bits)
{
    uint32_t count, barred;
    const int32_t *list = decai__grammar_control(m->grammar, &count), *out = decai__grammar_barred(m->grammar, &barred);
    size_t before = m->chart.sets - 1;
    for (uint32_t i = 0; i < barred; i++) bits[out[i] / 64] &= ~(UINT64_C(1) << out[i] % 64);
    m->chart.work = 0;
    if (!count || !decai__chart_step(&m->chart, DECAI__CONTROL_BYTE)) count = 0;
    for (uint32_t i = 0; i < count && !m->chart.error; i++) {
        if (!decai__chart_step(&m->chart, (uint8_t)i)) continue;
        bits[list[i] / 64] |= UINT64_C(1) << list[i] % 64;
        decai__chart_back(&m->chart, before + 1);
    }
    int32_t r = m->chart.error;
    m->chart.error = 0;
    decai__chart_back(&m->chart, before);
    return r;
}

int32_t
decai__matcher_mask(decai_matcher *m, uint64_t *bits)
{
    const decai_tokenizer *t = m->tokenizer;
    memset(bits, 0, ((size_t)t->count + 63) / 64 * sizeof *bits);
    if (m->over) return 0;
    int32_t r = decai__masks_fill(decai__grammar_masks(m->grammar), &m->chart, bits);
    m->chart.error = 0;
    if (!r) r = mask_control(m, bits);
    if (r) return r;
    /* A token that ends a generation is not text, whatever its kind. */
    bool complete = decai__chart_complete(&m->chart);
    for (uint32_t i = 0; i < t->end_count; i++) {
        uint32_t id = (uint32_t)t->end[i];
        bits[id / 64] &= ~(UINT64_C(1) << id % 64);
        bits[id / 64] |= (uint64_t)complete << id % 64;
    }
    return 0;
}

/* The one byte that may follow, or -1. */
static int32_t
only_byte(const decai__chart *c)
{
    uint64_t next[4];
    int32_t byte = -1;
    if (decai__chart_complete(c)) return -1;
    decai__chart_next(c, next);
    for (int32_t i = 0; i < 4; i++) {
        if (!next[i]) continue;
        if (byte >= 0 || next[i] & (next[i] - 1)) return -1;
        byte = 64 * i + __builtin_ctzll(next[i]);
    }
    return byte;
}

int32_t
decai__matcher_forced(decai_matcher *m, decai__buf *out)
{
    size_t before = m->chart.sets - 1;
    int32_t byte, r = 0;
    if (m->over) return 0;
    m->chart.work = 0;
    while (!r && out->len < DECAI_FORCED_MAX && (byte = only_byte(&m->chart)) >= 0 && byte != DECAI__CONTROL_BYTE) {
        r = decai__buf_add_byte(out, (uint8_t)byte);
        if (!r && !decai__chart_step(&m->chart, (uint8_t)byte)) r = m->chart.error;
    }
    m->chart.error = 0;
    decai__chart_back(&m->chart, before);
    /* Whole characters: a token that begins in the middle of one is of no use. */
    if (!r && out->len) out->len = decai__utf8_valid((const char *)out->data, out->len);
    return r;
}
