/* chart.c - what of a grammar a text has come through: Earley's algorithm (1970) over
 * automata instead of dotted rules, byte by byte.
 *
 *     set k    after k bytes: items (state, origin), a rule begun at byte `origin` that
 *              has come to `state`
 *     scan     an edge of bytes            (s, i) in k     ->  (s', i) in k + 1
 *     call     an edge of rule R           (s, i) in k     ->  (start of R, k) in k,
 *                                          and (s', i) in k if R can be empty
 *     return   s ends its rule R, i < k    (p, j) in i with an edge of R to p'
 *                                                          ->  (p', j) in k
 *
 * (Empty rules by Aycock and Horspool, 2002.) Left recursion, ambiguity and depth cost
 * items, never stack; an unambiguous grammar has a few a byte. Sets are kept, so taking
 * bytes back is cutting the array. A set has at most DECAI_GRAMMAR_ITEM_MAX items, and
 * one token or one walk over a vocabulary may look at DECAI_GRAMMAR_WORK_MAX of them;
 * whether it is too many depends on grammar, text and vocabulary alone.
 *
 * A chart of a chain is a chart without its past: what happens from state chain[0] on,
 * if its rule then returns to chain[1] of another rule, that to chain[2], and so on.
 * What goes beyond is not known: `escaped` says that it happened. Masks are made of it.
 */
#include "tok/grammar.h"

#include <string.h>

#define LARGE    24                  /* items from which on a set is looked up by hash */
#define SLOTS    (4 * (size_t)DECAI_GRAMMAR_ITEM_MAX)

void
decai__chart_init(decai__chart *c, const decai__auto *a)
{
    *c = (decai__chart){ .a = a, .ctx = a->ctx };
}

void
decai__chart_free(decai__chart *c)
{
    decai__free(c->ctx, c->items);
    decai__free(c->ctx, c->ends);
    decai__free(c->ctx, c->seen);
    decai__free(c->ctx, c->stamp);
}

/* ---- sets ------------------------------------------------------------------------------- */

static bool
fail(decai__chart *c, int32_t code, const char *why)
{
    if (!c->error) c->error = decai__fail(code, "grammar: %s", why);
    return false;
}

static bool
grow(decai__chart *c)
{
    size_t cap = c->cap ? 2 * c->cap : 256;
    if (c->len >= DECAI_MATCHER_ITEM_MAX) return fail(c, DECAI_E_LIMIT, "the text is too long or too ambiguous (DECAI_MATCHER_ITEM_MAX)");
    decai__item *items = decai__realloc(c->ctx, c->items, c->cap * sizeof *items, cap * sizeof *items);
    if (!items) return fail(c, DECAI_E_NOMEM, "no memory for its chart");
    c->items = items;
    c->cap = cap;
    return true;
}

static uint64_t
key_of(decai__item i)
{
    return (uint64_t)i.state << 32 | (uint32_t)i.origin;
}

/* Into the hash table; false if it is there. */
static bool
mark(decai__chart *c, decai__item item)
{
    uint64_t key = key_of(item);
    size_t k = (size_t)(key * 0x9e3779b97f4a7c15u >> 40) & (SLOTS - 1);
    for (; c->stamp[k] == c->now; k = (k + 1) & (SLOTS - 1))
        if (c->seen[k] == key) return false;
    c->stamp[k] = c->now;
    c->seen[k] = key;
    return true;
}

/* From now on the set that begins at `first` is looked up by hash. */
static bool
index_set(decai__chart *c, size_t first)
{
    if (!c->seen) {
        c->seen = decai__alloc(c->ctx, SLOTS * sizeof *c->seen);
        c->stamp = decai__calloc(c->ctx, SLOTS, sizeof *c->stamp);
        if (!c->seen || !c->stamp) {
            decai__free(c->ctx, c->seen);
            c->seen = NULL;
            return fail(c, DECAI_E_NOMEM, "no memory for its chart");
        }
    }
    if (!++c->now) {
        memset(c->stamp, 0, SLOTS * sizeof *c->stamp);
        c->now = 1;
    }
    for (size_t i = first; i < c->len; i++) (void)mark(c, c->items[i]);
    return true;
}

/* An item for the set that begins at `first`, unless it is there. */
static void
add(decai__chart *c, size_t first, uint32_t state, int32_t origin)
{
    decai__item item = { state, origin };
    if (c->error) return;
    if (c->len - first < LARGE) {
        for (size_t i = first; i < c->len; i++)
            if (c->items[i].state == state && c->items[i].origin == origin) return;
    } else {
        if (c->len - first == LARGE && !index_set(c, first)) return;
        if (!mark(c, item)) return;
        if (c->len - first >= DECAI_GRAMMAR_ITEM_MAX) {
            fail(c, DECAI_E_LIMIT, "too ambiguous (DECAI_GRAMMAR_ITEM_MAX)");
            return;
        }
    }
    if (c->len == c->cap && !grow(c)) return;
    c->items[c->len++] = item;
}

static void
finish_rule(decai__chart *c, size_t first, decai__item item, size_t k)
{
    const decai__auto *a = c->a;
    if (item.origin < 0) {
        uint32_t next = (uint32_t)-item.origin;
        if (!k) return;                              /* the chart that the chain stands for has done it */
        if (next < c->chain_len) add(c, first, c->chain[next], item.origin - 1);
        else c->escaped = true;
        return;
    }
    if ((size_t)item.origin == k) return;            /* nothing eaten: done when it was called */
    uint32_t rule = a->states[item.state].rule;
    size_t from = decai__chart_first(c, (size_t)item.origin), end = c->ends[item.origin];
    c->work += end - from;
    for (size_t i = from; i < end; i++) {
        decai__item p = c->items[i];
        for (uint32_t e = a->states[p.state].calls; e < a->states[p.state + 1].calls; e++)
            if (a->calls[e].rule == rule) add(c, first, a->calls[e].to, p.origin);
    }
}

/* All that calls and returns add to set k, which begins at `first`. */
static void
close(decai__chart *c, size_t first, size_t k)
{
    const decai__auto *a = c->a;
    for (size_t i = first; i < c->len && !c->error; i++) {
        decai__item item = c->items[i];
        const decai__auto_state *s = &a->states[item.state];
        if (s->final) finish_rule(c, first, item, k);
        for (uint32_t e = s->calls; e < s[1].calls; e++) {
            add(c, first, a->start[a->calls[e].rule], (int32_t)k);
            if (a->nullable[a->calls[e].rule]) add(c, first, a->calls[e].to, item.origin);
        }
    }
}

static bool
room_for_set(decai__chart *c)
{
    if (c->sets < c->set_cap) return true;
    size_t cap = c->set_cap ? 2 * c->set_cap : 64;
    if (c->sets > DECAI_MATCHER_BYTES_MAX) return fail(c, DECAI_E_LIMIT, "more than DECAI_MATCHER_BYTES_MAX bytes of text");
    size_t *ends = decai__realloc(c->ctx, c->ends, c->set_cap * sizeof *ends, cap * sizeof *ends);
    if (!ends) return fail(c, DECAI_E_NOMEM, "no memory for its chart");
    c->ends = ends;
    c->set_cap = cap;
    return true;
}

/* ---- the text ------------------------------------------------------------------------------ */

int32_t
decai__chart_start(decai__chart *c, const uint32_t *chain, uint32_t len)
{
    c->len = c->sets = 0;
    c->error = 0;
    c->chain = chain;
    c->chain_len = len;
    c->escaped = false;
    if (!room_for_set(c)) return c->error;
    add(c, 0, chain ? chain[0] : c->a->start[0], chain ? -1 : 0);
    close(c, 0, 0);
    c->ends[c->sets++] = c->len;
    return c->error;
}

bool
decai__chart_step(decai__chart *c, uint8_t byte)
{
    const decai__auto *a = c->a;
    size_t first = c->len, k = c->sets;
    c->escaped = false;
    if (c->error || !room_for_set(c)) return false;
    for (size_t i = decai__chart_first(c, k - 1); i < first; i++) {
        decai__item item = c->items[i];
        const decai__auto_state *s = &a->states[item.state];
        for (uint32_t e = s->bytes; e < s[1].bytes; e++)
            if (a->bytes[e].low <= byte && byte <= a->bytes[e].high) add(c, first, a->bytes[e].to, item.origin);
    }
    close(c, first, k);
    c->work += c->len - decai__chart_first(c, k - 1);
    if (c->work > DECAI_GRAMMAR_WORK_MAX) fail(c, DECAI_E_LIMIT, "too ambiguous (DECAI_GRAMMAR_WORK_MAX)");
    if (c->len == first || c->error) {
        c->len = first;
        return false;
    }
    c->ends[c->sets++] = c->len;
    return true;
}

void
decai__chart_back(decai__chart *c, size_t bytes)
{
    decai__assert(bytes < c->sets);
    c->sets = bytes + 1;
    c->len = c->ends[bytes];
}

bool
decai__chart_complete(const decai__chart *c)
{
    for (size_t i = decai__chart_first(c, c->sets - 1); i < c->len; i++) {
        const decai__auto_state *s = &c->a->states[c->items[i].state];
        if (!c->items[i].origin && s->final && !s->rule) return true;
    }
    return c->sets == 1 && c->a->nullable[0];
}

void
decai__chart_next(const decai__chart *c, uint64_t bits[4])
{
    memset(bits, 0, 4 * sizeof *bits);
    for (size_t i = decai__chart_first(c, c->sets - 1); i < c->len; i++) {
        const decai__auto_state *s = &c->a->states[c->items[i].state];
        for (uint32_t e = s->bytes; e < s[1].bytes; e++)
            for (uint32_t b = c->a->bytes[e].low; b <= c->a->bytes[e].high; b++) bits[b / 64] |= UINT64_C(1) << b % 64;
    }
}
