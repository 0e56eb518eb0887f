/* grammar_subset.c - the states of one rule: the subset construction of Rabin and Scott
 * (1959), with bytes and calls of rules as letters. Bytes are taken range by range:
 * between two places where some edge of a subset begins or ends, all bytes are alike.
 *
 * It may need exponentially many subsets. Beyond GROWTH times the rule's own states,
 * or WORK steps in all, the rule is made again with one subset an edge: as many as
 * states, nondeterministic, which the chart takes as well.
 *
 * A last call of the rule by itself is taken for an empty edge to its start: what
 * follows is the same text, and a list of n items does not return n times.
 */
#include <string.h>

#include "model/model.h"
#include "tok/grammar_make.h"

#define GROWTH   4                   /* subsets for each state of the rule; and 256 */
#define WORK     ((uint64_t)1 << 25) /* edges looked at, all rules together */
#define EDGE_MAX (4 * (size_t)DECAI_GRAMMAR_STATE_MAX)
#define POOL_MAX (16 * (size_t)DECAI_GRAMMAR_STATE_MAX)
#define TOO_BIG  1

/* Nothing but empty edges, one a state, from s to the end of the rule. */
static bool
is_last(const decai__net *n, uint32_t s, uint32_t end)
{
    for (size_t steps = 0; steps < 64; steps++) {
        uint32_t e = n->first[s];
        if (s == end) return e == DECAI__NONE;
        if (e == DECAI__NONE || n->edges[e].next != DECAI__NONE || n->edges[e].kind != DECAI__EDGE_EMPTY) return false;
        s = n->edges[e].to;
    }
    return false;
}

/* ---- subsets ---------------------------------------------------------------------------- */

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int
by_key(const void *a, const void *b)
{
    const decai__letter *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->to > y->to) - (x->to < y->to);
}

static void
enter(decai__maker *m, uint32_t s)
{
    if (m->stamp[s] == m->now || !m->live[s]) return;
    m->stamp[s] = m->now;
    m->set[m->set_len++] = s;
}

static bool
is_loop(const decai__maker *m, const decai__net_edge *e)
{
    return e->kind == DECAI__EDGE_RULE && e->rule == m->rule && is_last(m->n, e->to, m->n->rules[m->rule].end);
}

/* All that empty edges reach, in order. */
static void
close(decai__maker *m)
{
    const decai__net *n = m->n;
    for (size_t i = 0; i < m->set_len; i++)
        for (uint32_t e = n->first[m->set[i]]; e != DECAI__NONE; e = n->edges[e].next) {
            m->work++;
            if (n->edges[e].kind == DECAI__EDGE_EMPTY) enter(m, n->edges[e].to);
            else if (is_loop(m, &n->edges[e])) enter(m, n->rules[m->rule].start);
        }
    size_t i = 1;
    while (i < m->set_len && m->set[i - 1] < m->set[i]) i++;
    if (i < m->set_len) decai__sort(m->set, m->set_len, sizeof *m->set, by_number);
}

static void
begin_set(decai__maker *m)
{
    m->set_len = 0;
    m->now++;
}

static bool
grow(decai_context *ctx, void **data, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) return true;
    size_t more = DECAI__MAX(need, *cap ? 2 * *cap : 64);
    void *grown = decai__realloc(ctx, *data, *cap * size, more * size);
    if (!grown) return false;
    *data = grown;
    *cap = more;
    return true;
}

static int32_t
rehash(decai__maker *m)
{
    size_t count = m->slot_count ? 2 * m->slot_count : 16;
    uint32_t *slots = decai__calloc(m->ctx, count, sizeof *slots);
    if (!slots) return decai__maker_no_memory();
    decai__free(m->ctx, m->slots);
    m->slots = slots;
    m->slot_count = count;
    return 0;
}

static size_t
hash_set(const uint32_t *set, size_t len)
{
    uint64_t h = len;
    for (size_t i = 0; i < len; i++) h = (h ^ set[i]) * 0xd6e8feb86659fd93u, h ^= h >> 32;
    return (size_t)h;
}

static void
place(decai__maker *m, size_t i)
{
    const decai__subset *s = &m->subsets[i];
    size_t k = hash_set(m->pool + s->at, s->len) & (m->slot_count - 1);
    while (m->slots[k]) k = (k + 1) & (m->slot_count - 1);
    m->slots[k] = (uint32_t)i + 1;
}

/* The number of the set at hand among the rule's subsets. */
static int32_t
intern(decai__maker *m, uint32_t *out)
{
    if (2 * m->subset_count >= m->slot_count) {
        int32_t r = rehash(m);
        if (r) return r;
        for (size_t i = 0; i < m->subset_count; i++) place(m, i);
    }
    for (size_t k = hash_set(m->set, m->set_len) & (m->slot_count - 1); m->slots[k]; k = (k + 1) & (m->slot_count - 1)) {
        const decai__subset *s = &m->subsets[m->slots[k] - 1];
        if (s->len != m->set_len || memcmp(m->pool + s->at, m->set, m->set_len * sizeof *m->set)) continue;
        *out = m->slots[k] - 1;
        return 0;
    }
    if (m->pool_len + m->set_len > POOL_MAX || m->subset_count > m->subset_max) return TOO_BIG;
    void *pool = m->pool, *subsets = m->subsets;
    bool ok = grow(m->ctx, &pool, &m->pool_cap, m->pool_len + m->set_len, sizeof *m->pool);
    m->pool = pool;
    ok = ok && grow(m->ctx, &subsets, &m->subset_cap, m->subset_count + 1, sizeof *m->subsets);
    m->subsets = subsets;
    if (!ok) return decai__maker_no_memory();
    memcpy(m->pool + m->pool_len, m->set, m->set_len * sizeof *m->set);
    m->subsets[m->subset_count] = (decai__subset){ m->pool_len, (uint32_t)m->set_len };
    m->pool_len += m->set_len;
    *out = (uint32_t)m->subset_count++;
    place(m, *out);
    return 0;
}

/* The subset that closes the set at hand, as a state of the automaton. */
static int32_t
target(decai__maker *m, uint32_t *to)
{
    uint32_t i = 0;
    close(m);
    if (m->work > WORK && !m->single) return TOO_BIG;
    int32_t r = intern(m, &i);
    *to = m->base + i;
    return r;
}

/* ---- edges of the automaton ------------------------------------------------------------------ */

static int32_t
put_bytes(decai__maker *m, uint32_t to, uint8_t low, uint8_t high)
{
    decai__auto *a = m->a;
    decai__auto_bytes *last = a->byte_count ? &a->bytes[a->byte_count - 1] : NULL;
    if (last && !m->single && a->byte_count > a->states[a->state_count - 1].bytes && last->to == to && last->high + 1 == low) {
        last->high = high;
        return 0;
    }
    void *data = a->bytes;
    if (a->byte_count == EDGE_MAX) return decai__fail(DECAI_E_LIMIT, "grammar: more than %zu edges (DECAI_GRAMMAR_STATE_MAX)", EDGE_MAX);
    bool ok = grow(m->ctx, &data, &a->byte_cap, a->byte_count + 1, sizeof *a->bytes);
    a->bytes = data;
    if (!ok) return decai__maker_no_memory();
    a->bytes[a->byte_count++] = (decai__auto_bytes){ to, low, high };
    return 0;
}

static int32_t
put_call(decai__maker *m, uint32_t to, uint32_t rule)
{
    decai__auto *a = m->a;
    void *data = a->calls;
    if (a->call_count == EDGE_MAX) return decai__fail(DECAI_E_LIMIT, "grammar: more than %zu edges (DECAI_GRAMMAR_STATE_MAX)", EDGE_MAX);
    bool ok = grow(m->ctx, &data, &a->call_cap, a->call_count + 1, sizeof *a->calls);
    a->calls = data;
    if (!ok) return decai__maker_no_memory();
    a->calls[a->call_count++] = (decai__auto_call){ decai__maker_number(m, rule), to };
    return 0;
}

/* Edges of one kind out of a subset, as letters: key the edge, or the rule called. */
static void
gather(decai__maker *m, const decai__subset *s, uint8_t kind)
{
    const decai__net *n = m->n;
    m->letter_count = 0;
    for (uint32_t i = 0; i < s->len; i++)
        for (uint32_t e = n->first[m->pool[s->at + i]]; e != DECAI__NONE; e = n->edges[e].next) {
            const decai__net_edge *d = &n->edges[e];
            m->work++;
            if (d->kind != kind || !m->live[d->to] || (kind == DECAI__EDGE_RULE && (!m->yes[d->rule] || is_loop(m, d)))) continue;
            m->letters[m->letter_count++] = (decai__letter){ kind == DECAI__EDGE_RULE ? d->rule : e, d->to };
        }
}

static int32_t
bytes_singly(decai__maker *m)
{
    int32_t r = 0;
    for (size_t i = 0; i < m->letter_count && !r; i++) {
        const decai__net_edge *e = &m->n->edges[m->letters[i].key];
        uint32_t to = 0;
        begin_set(m);
        enter(m, e->to);
        r = target(m, &to);
        if (!r) r = put_bytes(m, to, e->low, e->high);
    }
    return r;
}

static int32_t
bytes_together(decai__maker *m)
{
    uint8_t cut[257] = { 0 };
    int32_t r = 0;
    for (size_t i = 0; i < m->letter_count; i++) {
        const decai__net_edge *e = &m->n->edges[m->letters[i].key];
        cut[e->low] = cut[e->high + 1] = 1;
    }
    for (uint32_t b = 0, end; b < 256 && !r; b = end) {
        uint32_t to = 0;
        for (end = b + 1; end < 256 && !cut[end];) end++;
        begin_set(m);
        for (size_t i = 0; i < m->letter_count; i++) {
            const decai__net_edge *e = &m->n->edges[m->letters[i].key];
            m->work++;
            if (e->low <= b && b <= e->high) enter(m, e->to);
        }
        if (!m->set_len) continue;
        r = target(m, &to);
        if (!r) r = put_bytes(m, to, (uint8_t)b, (uint8_t)(end - 1));
    }
    return r;
}

static int32_t
calls(decai__maker *m)
{
    int32_t r = 0;
    decai__sort(m->letters, m->letter_count, sizeof *m->letters, by_key);
    for (size_t i = 0; i < m->letter_count && !r;) {
        uint32_t rule = m->letters[i].key, to = 0;
        begin_set(m);
        do enter(m, m->letters[i++].to);
        while (!m->single && i < m->letter_count && m->letters[i].key == rule);
        r = target(m, &to);
        if (!r) r = put_call(m, to, rule);
    }
    return r;
}

static bool
holds(const decai__maker *m, const decai__subset *s, uint32_t state)
{
    for (uint32_t i = 0; i < s->len; i++)
        if (m->pool[s->at + i] == state) return true;
    return false;
}

static int32_t
make_state(decai__maker *m, size_t i)
{
    decai__auto *a = m->a;
    void *data = a->states;
    decai__subset s = m->subsets[i];
    if (a->state_count >= DECAI_GRAMMAR_STATE_MAX)
        return decai__fail(DECAI_E_LIMIT, "grammar: more than %d states (DECAI_GRAMMAR_STATE_MAX)", DECAI_GRAMMAR_STATE_MAX);
    bool ok = grow(m->ctx, &data, &a->state_cap, (size_t)a->state_count + 2, sizeof *a->states);
    a->states = data;
    if (!ok) return decai__maker_no_memory();
    a->states[a->state_count++] = (decai__auto_state){ (uint32_t)a->byte_count, (uint32_t)a->call_count, m->number[m->rule],
        holds(m, &s, m->n->rules[m->rule].end) };
    gather(m, &s, DECAI__EDGE_BYTES);
    int32_t r = m->single ? bytes_singly(m) : bytes_together(m);
    if (r) return r;
    s = m->subsets[i];
    gather(m, &s, DECAI__EDGE_RULE);
    r = calls(m);
    a->states[a->state_count] = (decai__auto_state){ (uint32_t)a->byte_count, (uint32_t)a->call_count, 0, false };
    return r;
}

static int32_t
make_all(decai__maker *m)
{
    uint32_t start;
    m->pool_len = m->subset_count = 0;
    /* Each rule pays for its own table: a large one is not cleared for the small ones after it. */
    decai__free(m->ctx, m->slots);
    m->slots = NULL;
    m->slot_count = 0;
    begin_set(m);
    enter(m, m->n->rules[m->rule].start);
    int32_t r = target(m, &start);
    for (size_t i = 0; i < m->subset_count && !r; i++) r = make_state(m, i);
    return r;
}

/* How many states the rule has in the net. */
static size_t
count_states(decai__maker *m)
{
    const decai__net *n = m->n;
    begin_set(m);
    enter(m, n->rules[m->rule].start);
    for (size_t i = 0; i < m->set_len; i++)
        for (uint32_t e = n->first[m->set[i]]; e != DECAI__NONE; e = n->edges[e].next) enter(m, n->edges[e].to);
    return m->set_len;
}

int32_t
decai__maker_rule(decai__maker *m, uint32_t rule, uint32_t *start)
{
    decai__auto *a = m->a;
    size_t bytes = a->byte_count, call = a->call_count;
    m->rule = rule;
    m->base = *start = a->state_count;
    m->single = m->work > WORK;
    m->subset_max = GROWTH * count_states(m) + 256;
    int32_t r = make_all(m);
    if (r == TOO_BIG && !m->single) {
        m->single = true;
        a->state_count = m->base;
        a->byte_count = bytes;
        a->call_count = call;
        r = make_all(m);
    }
    if (r == TOO_BIG) r = decai__fail(DECAI_E_LIMIT, "grammar: a rule has too many empty parts in a row");
    return r;
}
