/* grammar_walk.c - which tokens of a sorted list can follow a chart's last set.
 *
 * Three answers: yes; no; or, in a chart of a chain, not known: the bytes cannot go on
 * inside the chain, but some beginning of them went beyond its end.
 *
 * Most tokens in most states run through one loop of the automaton, the letters of a
 * string. There sets come again and again. A set without an origin of its own (all
 * items began in set 0 or before) means the same wherever it stands, so it is given a
 * number, and what it becomes by each byte is remembered for the length of one walk:
 * an automaton made deterministic as it is used. Other sets are worked out each time.
 */
#include <string.h>

#include "tok/grammar_walk.h"

enum { UNKNOWN = 0, DEAD = 1, OWN = 2, FIRST = 3 };      /* what a set becomes by a byte */

typedef struct walker {
    decai__walk *w;
    decai__chart *c;
    const decai__order *o;
    size_t base;                     /* bytes in the chart before any token's */
    uint32_t depth;                  /* bytes of the last token that went through */
    uint32_t fail;                   /* its first so many bytes cannot follow; 0: they can */
    uint32_t last;                   /* place of the last token, or DECAI__NONE */
} walker;

void
decai__walk_free(decai__walk *w, decai_context *ctx)
{
    decai__free(ctx, w->node);
    decai__free(ctx, w->escaped);
    decai__free(ctx, w->nodes);
    decai__free(ctx, w->items);
    for (size_t i = 0; i < 2; i++) decai__free(ctx, w->out[i].at);
}

int32_t
decai__walk_make(decai__walk *w, decai_context *ctx, size_t token_max)
{
    *w = (decai__walk){ .depth_max = token_max };
    w->node = decai__alloc(ctx, (token_max + 1) * sizeof *w->node);
    w->escaped = decai__alloc(ctx, token_max + 1);
    w->nodes = decai__alloc(ctx, DECAI__WALK_NODES * sizeof *w->nodes);
    w->items = decai__alloc(ctx, DECAI__WALK_NODES * DECAI__WALK_ITEMS * sizeof *w->items);
    if (w->node && w->escaped && w->nodes && w->items) return 0;
    decai__walk_free(w, ctx);
    *w = (decai__walk){ .depth_max = 0 };
    return decai__fail(DECAI_E_NOMEM, "grammar: a walk");
}

static int32_t
put(decai_context *ctx, decai__ranges *out, uint32_t from, uint32_t to)
{
    if (out->count && out->at[2 * out->count - 1] == from) {
        out->at[2 * out->count - 1] = to;
    } else {
        if (out->count == out->cap) {
            size_t cap = out->cap ? 2 * out->cap : 256;
            uint32_t *at = decai__realloc(ctx, out->at, 2 * out->cap * sizeof *at, 2 * cap * sizeof *at);
            if (!at) return decai__fail(DECAI_E_NOMEM, "grammar: %zu ranges of tokens", cap);
            out->at = at;
            out->cap = cap;
        }
        out->at[2 * out->count] = from;
        out->at[2 * out->count++ + 1] = to;
    }
    out->tokens += to - from;
    return 0;
}

/* ---- sets that are remembered --------------------------------------------------------- */

/* The number of the chart's last set; OWN: it is not remembered. */
static uint32_t
remember(walker *k)
{
    decai__walk *w = k->w;
    decai__chart *c = k->c;
    size_t first = decai__chart_first(c, c->sets - 1), n = c->len - first;
    if (n > DECAI__WALK_ITEMS) return OWN;
    for (size_t i = first; i < c->len; i++)
        if (c->items[i].origin > 0) return OWN;
    for (uint32_t i = 0; i < w->node_count; i++) {
        const decai__walk_node *d = &w->nodes[i];
        if (d->count == n && d->escaped == c->escaped && !memcmp(w->items + i * DECAI__WALK_ITEMS, c->items + first, n * sizeof *c->items))
            return FIRST + i;
    }
    if (w->node_count == DECAI__WALK_NODES) return OWN;
    decai__walk_node *d = &w->nodes[w->node_count];
    memcpy(w->items + w->node_count * DECAI__WALK_ITEMS, c->items + first, n * sizeof *c->items);
    memset(d->next, 0, sizeof d->next);
    d->count = (uint8_t)n;
    d->escaped = c->escaped;
    return FIRST + w->node_count++;
}

/* The last set stands as a number only; put its items into the chart. */
static bool
unfold(walker *k, uint32_t number)
{
    decai__chart *c = k->c;
    const decai__walk_node *d = &k->w->nodes[number - FIRST];
    if (c->len > decai__chart_first(c, c->sets - 1)) return true;
    while (c->cap - c->len < d->count) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        decai__item *items = decai__realloc(c->ctx, c->items, c->cap * sizeof *items, cap * sizeof *items);
        if (!items) {
            c->error = decai__fail(DECAI_E_NOMEM, "grammar: no memory for its chart");
            return false;
        }
        c->items = items;
        c->cap = cap;
    }
    memcpy(c->items + c->len, k->w->items + (number - FIRST) * DECAI__WALK_ITEMS, d->count * sizeof *c->items);
    c->len += d->count;
    c->ends[c->sets - 1] = c->len;
    return true;
}

/* An empty set for one that stands as a number. */
static bool
push_number(decai__chart *c)
{
    if (c->sets == c->set_cap) {
        size_t cap = 2 * c->set_cap;
        size_t *ends = decai__realloc(c->ctx, c->ends, c->set_cap * sizeof *ends, cap * sizeof *ends);
        if (!ends) {
            c->error = decai__fail(DECAI_E_NOMEM, "grammar: no memory for its chart");
            return false;
        }
        c->ends = ends;
        c->set_cap = cap;
    }
    c->ends[c->sets++] = c->len;
    return true;
}

/* One byte more, from depth to depth + 1. */
static bool
step(walker *k, uint8_t byte)
{
    decai__walk *w = k->w;
    uint32_t number = w->node[k->depth], next;
    bool known = number >= FIRST;
    if (known && (next = w->nodes[number - FIRST].next[byte]) != UNKNOWN && next != OWN) {
        if (next == DEAD || !push_number(k->c)) return false;
    } else {
        if (known && !unfold(k, number)) return false;
        bool ok = decai__chart_step(k->c, byte);
        if (k->c->error) return false;
        next = !ok ? DEAD : w->remember ? remember(k) : OWN;
        if (known) w->nodes[number - FIRST].next[byte] = (uint8_t)next;
        if (!ok) return false;
    }
    w->node[++k->depth] = next;
    w->escaped[k->depth] = w->escaped[k->depth - 1] || (next >= FIRST ? w->nodes[next - FIRST].escaped : k->c->escaped);
    return true;
}

/* ---- tokens ---------------------------------------------------------------------------- */

static uint32_t
common(const walker *k, uint32_t i)
{
    if (k->last == DECAI__NONE) return 0;
    if (i == k->last + 1) return k->o->common[i];
    const decai__order *o = k->o;
    uint32_t at = 0, n = DECAI__MIN(o->len[k->last], o->len[i]);
    const uint8_t *p = o->bytes + o->start[k->last], *q = o->bytes + o->start[i];
    while (at < n && p[at] == q[at]) at++;
    return at;
}

/* Token i, `same` of whose bytes are the last one's. 0, or an error. */
static int32_t
token(walker *k, uint32_t i, uint32_t same)
{
    uint32_t len = k->o->len[i];
    const uint8_t *bytes = k->o->bytes + k->o->start[i];
    k->depth = DECAI__MIN(same, k->depth);
    decai__chart_back(k->c, k->base + k->depth);
    k->fail = 0;
    while (k->depth < len && step(k, bytes[k->depth])) continue;
    if (k->c->error) return k->c->error;
    if (k->depth < len) k->fail = k->depth + 1;
    k->last = i;
    return 0;
}

/* Tokens from..to - 1. */
static int32_t
run(walker *k, uint32_t from, uint32_t to)
{
    decai__walk *w = k->w;
    int32_t r = 0;
    for (uint32_t i = from, end; i < to && !r; i = end) {
        uint32_t same = common(k, i);
        end = i + 1;
        if (!k->fail || same < k->fail) r = token(k, i, same);
        if (r) return r;
        /* All that begin as what cannot follow. Lengths from 255 on are not told apart. */
        if (k->fail && k->fail < 255)
            while (end < to && k->o->common[end] >= k->fail) end++;
        k->last = end - 1;
        if (!k->fail) r = put(k->c->ctx, &w->out[0], i, end);
        else if (w->escaped[k->fail - 1]) r = put(k->c->ctx, &w->out[1], i, end);
    }
    return r;
}

int32_t
decai__walk_run(decai__walk *w, decai__chart *c, const decai__order *o, const decai__ranges *in)
{
    walker k = { .w = w, .c = c, .o = o, .base = c->sets - 1, .last = DECAI__NONE };
    uint64_t next[4];
    int32_t r = 0;
    w->out[0].count = w->out[1].count = w->out[0].tokens = w->out[1].tokens = 0;
    w->node_count = 0;
    c->work = 0;
    w->remember = c->chain != NULL;
    w->escaped[0] = c->escaped;
    w->node[0] = w->remember ? remember(&k) : OWN;
    if (in) {
        for (size_t i = 0; i < in->count && !r; i++) r = run(&k, in->at[2 * i], in->at[2 * i + 1]);
    } else {
        decai__chart_next(c, next);
        for (uint32_t b = 0; b < 256 && !r; b++)
            if (w->escaped[0] || next[b / 64] >> b % 64 & 1) r = run(&k, o->first[b], o->first[b + 1]);
    }
    decai__chart_back(c, k.base);
    c->escaped = false;
    return r;
}
