/* grammar_net.c - building the net: states, edges, characters as bytes, repetition.
 *
 * Readers of grammars draw here and look at the error once, at their end. Everything
 * has a maximum (DECAI_GRAMMAR_STATE_MAX states, four times as many edges), and what
 * is copied is counted before: x{1000}{1000} is refused, not tried.
 *
 * A range of characters becomes ranges of bytes as in utf8-ranges and RE2: cut where
 * the length changes, then where a continuation byte would not run through all of
 * 80..BF. Equal tails are shared, so [^"\\] has a dozen states:
 *
 *     U+0800..U+FFFF   E0 [A0-BF] [80-BF] | [E1-EC] [80-BF] [80-BF] | ED [80-9F] ...
 */
#include "tok/grammar.h"

#include <string.h>

#include "model/model.h"

#define EDGE_MAX (4 * (size_t)DECAI_GRAMMAR_STATE_MAX)

void
decai__net_free(decai__net *n)
{
    decai__free(n->ctx, n->first);
    decai__free(n->ctx, n->edges);
    decai__free(n->ctx, n->rules);
}

/* Room for one more of `size` bytes each. */
static bool
room(decai__net *n, void **data, size_t count, size_t *cap, size_t size, size_t max, const char *what)
{
    if (n->error) return false;
    if (count < *cap) return true;
    if (count >= max) {
        n->error = decai__fail(DECAI_E_LIMIT, "grammar: more than %zu %s", max, what);
        return false;
    }
    size_t more = *cap ? 2 * *cap : 64;
    void *grown = decai__realloc(n->ctx, *data, *cap * size, more * size);
    if (!grown) {
        n->error = decai__fail(DECAI_E_NOMEM, "grammar: %zu %s", more, what);
        return false;
    }
    *data = grown;
    *cap = more;
    return true;
}

uint32_t
decai__net_state(decai__net *n)
{
    void *data = n->first;
    bool ok = room(n, &data, n->states, &n->state_cap, sizeof *n->first, DECAI_GRAMMAR_STATE_MAX, "states (DECAI_GRAMMAR_STATE_MAX)");
    n->first = data;
    if (!ok) return 0;
    n->first[n->states] = DECAI__NONE;
    return (uint32_t)n->states++;
}

uint32_t
decai__net_rule_add(decai__net *n)
{
    void *data = n->rules;
    bool ok = room(n, &data, n->rule_count, &n->rule_cap, sizeof *n->rules, DECAI_GRAMMAR_RULE_MAX, "rules (DECAI_GRAMMAR_RULE_MAX)");
    n->rules = data;
    if (!ok) return 0;
    uint32_t start = decai__net_state(n), end = decai__net_state(n);
    n->rules[n->rule_count] = (decai__net_rule){ start, end };
    return (uint32_t)n->rule_count++;
}

static void
edge_add(decai__net *n, uint32_t from, decai__net_edge e)
{
    void *data = n->edges;
    bool ok = room(n, &data, n->edge_count, &n->edge_cap, sizeof *n->edges, EDGE_MAX, "edges (DECAI_GRAMMAR_STATE_MAX)");
    n->edges = data;
    if (!ok) return;
    decai__assert(from < n->states && e.to < n->states);
    e.next = n->first[from];
    n->edges[n->edge_count] = e;
    n->first[from] = (uint32_t)n->edge_count++;
}

void
decai__net_empty(decai__net *n, uint32_t from, uint32_t to)
{
    edge_add(n, from, (decai__net_edge){ .kind = DECAI__EDGE_EMPTY, .to = to });
}

void
decai__net_bytes(decai__net *n, uint32_t from, uint32_t to, uint8_t low, uint8_t high)
{
    edge_add(n, from, (decai__net_edge){ .kind = DECAI__EDGE_BYTES, .low = low, .high = high, .to = to });
}

void
decai__net_call(decai__net *n, uint32_t from, uint32_t to, uint32_t rule)
{
    edge_add(n, from, (decai__net_edge){ .kind = DECAI__EDGE_RULE, .rule = rule, .to = to });
}

uint32_t
decai__net_text(decai__net *n, uint32_t from, const char *text, size_t len)
{
    for (size_t i = 0; i < len && !n->error; i++) {
        uint32_t to = decai__net_state(n);
        decai__net_bytes(n, from, to, (uint8_t)text[i], (uint8_t)text[i]);
        from = to;
    }
    return from;
}

/* ---- characters ------------------------------------------------------------------------ */

static int
by_low(const void *a, const void *b)
{
    const decai__range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

size_t
decai__ranges_join(decai__range *ranges, size_t count)
{
    size_t kept = 0;
    decai__sort(ranges, count, sizeof *ranges, by_low);
    for (size_t i = 0; i < count; i++) {
        if (kept && ranges[i].low <= ranges[kept - 1].high + 1)
            ranges[kept - 1].high = DECAI__MAX(ranges[kept - 1].high, ranges[i].high);
        else
            ranges[kept++] = ranges[i];
    }
    return kept;
}

size_t
decai__ranges_invert(decai__range *out, const decai__range *ranges, size_t count)
{
    size_t n = 0;
    uint32_t from = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].low > from) out[n++] = (decai__range){ from, ranges[i].low - 1 };
        from = ranges[i].high + 1;
    }
    if (from <= 0x10ffff) out[n++] = (decai__range){ from, 0x10ffff };
    return n;
}

/* States before `to` that eat 1, 2, 3 continuation bytes of any value; made once a class. */
typedef struct tails { uint32_t any[3], to; } tails;

static uint32_t
tail(decai__net *n, tails *t, uint32_t bytes)
{
    if (!bytes) return t->to;
    if (t->any[bytes - 1] == DECAI__NONE) {
        uint32_t next = tail(n, t, bytes - 1);
        t->any[bytes - 1] = decai__net_state(n);
        decai__net_bytes(n, t->any[bytes - 1], next, 0x80, 0xbf);
    }
    return t->any[bytes - 1];
}

/* The last `bytes` bytes of characters low..high, whose earlier bytes are equal. */
static void
split(decai__net *n, tails *t, uint32_t from, uint32_t low, uint32_t high, uint32_t bytes, uint8_t lead)
{
    uint32_t shift = 6 * (bytes - 1), unit = 1u << shift, mask = unit - 1;
    uint8_t top = bytes > 1 && lead ? lead : 0x80;
    if (!shift) {
        decai__net_bytes(n, from, t->to, (uint8_t)(top | (low & 0x3f)), (uint8_t)(top | (high & 0x3f)));
        return;
    }
    while (low <= high && !n->error) {
        uint32_t part = lead ? low >> shift : low >> shift & 0x3f;
        uint32_t end = DECAI__MIN(high, low | mask);
        if (!(low & mask) && end == (low | mask)) {          /* whole units: one range of this byte */
            uint32_t units = (high - low + 1) >> shift;
            decai__net_bytes(n, from, tail(n, t, bytes - 1), (uint8_t)(top | part), (uint8_t)(top | (part + units - 1)));
            low += units << shift;
            continue;
        }
        uint32_t next = decai__net_state(n);
        decai__net_bytes(n, from, next, (uint8_t)(top | part), (uint8_t)(top | part));
        split(n, t, next, low & mask, end & mask, bytes - 1, 0);
        low = end + 1;
    }
}

void
decai__net_ranges(decai__net *n, uint32_t from, uint32_t to, const decai__range *ranges, size_t count)
{
    static const struct { uint32_t low, high, bytes; uint8_t lead; } forms[] = {
        { 0, 0x7f, 1, 0 }, { 0x80, 0x7ff, 2, 0xc0 }, { 0x800, 0xd7ff, 3, 0xe0 }, { 0xe000, 0xffff, 3, 0xe0 },
        { 0x10000, 0x10ffff, 4, 0xf0 },
    };
    tails t = { { DECAI__NONE, DECAI__NONE, DECAI__NONE }, to };
    for (size_t i = 0; i < count && !n->error; i++)
        for (size_t f = 0; f < DECAI__COUNT(forms); f++) {
            uint32_t low = DECAI__MAX(ranges[i].low, forms[f].low), high = DECAI__MIN(ranges[i].high, forms[f].high);
            if (low > high) continue;
            if (forms[f].bytes == 1) decai__net_bytes(n, from, to, (uint8_t)low, (uint8_t)high);
            else split(n, &t, from, low, high, forms[f].bytes, forms[f].lead);
        }
}

/* ---- repetition --------------------------------------------------------------------------- */

/* The piece once more, behind all states. */
static decai__piece
copy(decai__net *n, decai__piece p)
{
    uint32_t shift = (uint32_t)n->states - p.first, count = p.last - p.first + 1;
    for (uint32_t i = 0; i < count && !n->error; i++) (void)decai__net_state(n);
    for (uint32_t i = 0; i < count && !n->error; i++)
        for (uint32_t e = n->first[p.first + i]; e != DECAI__NONE && !n->error;) {
            decai__net_edge old = n->edges[e];
            e = old.next;
            if (old.to < p.first || old.to > p.last) continue;        /* what leaves it is not of it */
            old.to += shift;
            edge_add(n, p.first + i + shift, old);
        }
    return (decai__piece){ p.first + shift, p.last + shift, p.from + shift, p.to + shift };
}

/* Each copy may be left to the end by itself: a chain of empty edges through all of them
 * would make the empty closure of each state as long as the chain. */
decai__piece
decai__net_repeat(decai__net *n, decai__piece p, uint32_t least, uint32_t most)
{
    uint32_t times = most == DECAI__NONE ? DECAI__MAX(least, 1) : most, size = p.last - p.first + 1;
    if (n->error) return p;
    if ((uint64_t)times * size > DECAI_GRAMMAR_STATE_MAX) {
        n->error = decai__fail(DECAI_E_LIMIT, "grammar: %u times %u states is above DECAI_GRAMMAR_STATE_MAX, %d", times, size,
            DECAI_GRAMMAR_STATE_MAX);
        return p;
    }
    decai__piece out = { .first = p.first, .from = decai__net_state(n), .to = decai__net_state(n) };
    uint32_t at = out.from;
    for (uint32_t i = 1; i <= times && !n->error; i++) {
        /* The piece itself comes last: no copy has an edge that was added here. */
        decai__piece one = i < times ? copy(n, p) : p;
        decai__net_empty(n, at, one.from);
        if (i > least) decai__net_empty(n, at, out.to);
        at = one.to;
        if (i == times && most == DECAI__NONE) decai__net_empty(n, at, one.from);
    }
    decai__net_empty(n, at, out.to);
    out.last = (uint32_t)n->states - 1;
    return out;
}
