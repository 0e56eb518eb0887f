/* grammar_mask.c - which tokens may follow, remembered by state.
 *
 * What a token does inside a rule does not depend on what called the rule. So for each
 * state that a text comes to, tokens are sorted once into three kinds: those that may
 * follow whatever comes after the rule, those that cannot, and those that would leave
 * the rule and go on. For the last kind it takes the state that the rule returns to;
 * with that, most are decided, and the few that leave that rule too wait for a third
 * state. This is a tree of entries, made as texts come to it (XGrammar, 2024, keeps its
 * first level):
 *
 *     (state of the set's item) -> (state its rule returns to) -> (that one's) -> ...
 *
 * A mask is then the union of a few entries' tokens: words of bits, or a short list.
 * Beyond LEVELS states or PATHS entries in one mask, tokens not yet decided are walked
 * against the text's own chart. Without all this, each token on its own, the answer is
 * the same; the tests compare.
 *
 * Entries belong to the grammar and are shared by its matchers under a lock. When they
 * fill tok.grammar_cache_max, they are all forgotten; what is needed is made again.
 */
#include <pthread.h>
#include <string.h>

#include "tok/grammar_walk.h"
#include "tok/internal.h"

#define LEVELS 8
#define PATHS  256

typedef struct entry {
    uint32_t parent, state;          /* parent: place of the entry before, plus one; 0: none */
    uint32_t count;                  /* tokens that may follow */
    uint32_t *ids;                   /* these; or NULL and words of bits */
    uint64_t *bits;
    decai__ranges unsure;
} entry;

struct decai__masks {
    decai_context *ctx;
    const decai__auto *a;
    const decai_tokenizer *t;
    decai__order *order;
    pthread_mutex_t lock;
    bool lock_made;
    decai__chart chart;              /* of chains */
    decai__walk walk;
    entry *entries;
    uint32_t *slots;                 /* hash table: place plus one */
    size_t count, cap, slot_count, bytes, bytes_max;
};

/* A mask being made. */
typedef struct fill { decai__masks *m; decai__chart *c; uint64_t *bits; uint32_t paths; } fill;

/* ---- entries -------------------------------------------------------------------------- */

static void
forget(decai__masks *m)
{
    for (size_t i = 0; i < m->count; i++) {
        decai__free(m->ctx, m->entries[i].ids);
        decai__free(m->ctx, m->entries[i].bits);
        decai__free(m->ctx, m->entries[i].unsure.at);
    }
    m->count = m->bytes = 0;
    if (m->slots) memset(m->slots, 0, m->slot_count * sizeof *m->slots);
}

static size_t
slot_of(const decai__masks *m, uint32_t parent, uint32_t state)
{
    uint64_t h = ((uint64_t)parent << 32 | state) * 0x9e3779b97f4a7c15u;
    size_t k = (size_t)(h >> 32) & (m->slot_count - 1);
    while (m->slots[k] && (m->entries[m->slots[k] - 1].parent != parent || m->entries[m->slots[k] - 1].state != state))
        k = (k + 1) & (m->slot_count - 1);
    return k;
}

/* Room for one entry more. */
static int32_t
reserve(decai__masks *m)
{
    if (m->count < m->cap) return 0;
    size_t cap = m->cap ? 2 * m->cap : 64;
    entry *entries = decai__realloc(m->ctx, m->entries, m->cap * sizeof *entries, cap * sizeof *entries);
    if (!entries) return decai__fail(DECAI_E_NOMEM, "grammar: %zu masks", cap);
    m->entries = entries;
    uint32_t *slots = decai__calloc(m->ctx, 2 * cap, sizeof *slots);
    if (!slots) return decai__fail(DECAI_E_NOMEM, "grammar: %zu masks", cap);
    decai__free(m->ctx, m->slots);
    m->slots = slots;
    m->cap = cap;
    m->slot_count = 2 * cap;
    for (size_t i = 0; i < m->count; i++) m->slots[slot_of(m, entries[i].parent, entries[i].state)] = (uint32_t)i + 1;
    return 0;
}

static int32_t
keep_tokens(decai__masks *m, entry *e, const decai__ranges *yes)
{
    size_t words = ((size_t)m->t->count + 63) / 64;
    e->count = (uint32_t)yes->tokens;
    bool list = e->count * sizeof *e->ids < words * sizeof *e->bits;
    if (!e->count) return 0;
    if (list) e->ids = decai__alloc(m->ctx, e->count * sizeof *e->ids);
    else e->bits = decai__calloc(m->ctx, words, sizeof *e->bits);
    if (!e->ids && !e->bits) return decai__fail(DECAI_E_NOMEM, "grammar: a mask of %u tokens", e->count);
    m->bytes += list ? e->count * sizeof *e->ids : words * sizeof *e->bits;
    size_t n = 0;
    for (size_t i = 0; i < yes->count; i++)
        for (uint32_t k = yes->at[2 * i]; k < yes->at[2 * i + 1]; k++) {
            uint32_t id = m->order->id[k];
            if (list) e->ids[n++] = id;
            else e->bits[id / 64] |= UINT64_C(1) << id % 64;
        }
    return 0;
}

static int32_t
keep(decai__masks *m, entry *e)
{
    const decai__ranges *unsure = &m->walk.out[1];
    int32_t r = keep_tokens(m, e, &m->walk.out[0]);
    if (r || !unsure->count) return r;
    e->unsure = *unsure;
    e->unsure.at = decai__memdup(m->ctx, unsure->at, 2 * unsure->count * sizeof *unsure->at);
    e->unsure.cap = unsure->count;
    m->bytes += 2 * unsure->count * sizeof *unsure->at;
    return e->unsure.at ? 0 : decai__fail(DECAI_E_NOMEM, "grammar: %zu ranges of tokens", unsure->count);
}

/* The place of the entry for a state behind those of `parent`; level: how many these are. */
static int32_t
find(decai__masks *m, uint32_t *out, uint32_t parent, uint32_t state, uint32_t level)
{
    uint32_t chain[LEVELS];
    int32_t r = reserve(m);
    if (r) return r;
    size_t k = slot_of(m, parent, state);
    if (m->slots[k]) {
        *out = m->slots[k] - 1;
        return 0;
    }
    chain[level] = state;
    for (uint32_t p = parent, i = level; p; p = m->entries[p - 1].parent) chain[--i] = m->entries[p - 1].state;
    r = decai__chart_start(&m->chart, chain, level + 1);
    if (!r) r = decai__walk_run(&m->walk, &m->chart, m->t, m->order, parent ? &m->entries[parent - 1].unsure : NULL);
    if (r) return r;
    entry e = { .parent = parent, .state = state };
    r = keep(m, &e);
    if (r) {
        decai__free(m->ctx, e.ids);
        decai__free(m->ctx, e.bits);
        return r;
    }
    m->bytes += sizeof e;
    m->entries[m->count] = e;
    *out = (uint32_t)m->count++;
    m->slots[k] = *out + 1;
    return 0;
}

/* ---- a mask ----------------------------------------------------------------------------- */

static void
join(const fill *f, const entry *e)
{
    size_t words = ((size_t)f->m->t->count + 63) / 64;
    if (e->bits)
        for (size_t i = 0; i < words; i++) f->bits[i] |= e->bits[i];
    else
        for (uint32_t i = 0; i < e->count; i++) f->bits[e->ids[i] / 64] |= UINT64_C(1) << e->ids[i] % 64;
}

/* What no entry decides, against the text itself. */
static int32_t
walk_text(fill *f, const decai__ranges *unsure)
{
    decai__masks *m = f->m;
    int32_t r = decai__walk_run(&m->walk, f->c, m->t, m->order, unsure);
    for (size_t i = 0; i < m->walk.out[0].count && !r; i++)
        for (uint32_t k = m->walk.out[0].at[2 * i]; k < m->walk.out[0].at[2 * i + 1]; k++)
            f->bits[m->order->id[k] / 64] |= UINT64_C(1) << m->order->id[k] % 64;
    return r;
}

/* The tokens from `state` on, whose rule began at byte `origin` and returns to what
 * waits there. Recursion is at most LEVELS deep. */
static int32_t
paths(fill *f, uint32_t parent, uint32_t state, int32_t origin, uint32_t level)
{
    const decai__auto *a = f->m->a;
    uint32_t place;
    int32_t r = find(f->m, &place, parent, state, level);
    if (r) return r;
    join(f, &f->m->entries[place]);
    if (!f->m->entries[place].unsure.count) return 0;
    if (level + 1 == LEVELS || ++f->paths > PATHS) return walk_text(f, &f->m->entries[place].unsure);
    size_t end = f->c->ends[origin];
    for (size_t i = decai__chart_first(f->c, (size_t)origin); i < end && !r; i++) {
        decai__item p = f->c->items[i];
        for (uint32_t e = a->states[p.state].calls; e < a->states[p.state + 1].calls && !r; e++)
            if (a->calls[e].rule == a->states[state].rule) r = paths(f, place + 1, a->calls[e].to, p.origin, level + 1);
    }
    return r;
}

int32_t
decai__masks_fill(decai__masks *m, decai__chart *c, uint64_t *bits)
{
    const decai__auto *a = m->a;
    fill f = { .m = m, .c = c, .bits = bits };
    size_t k = c->sets - 1, first = decai__chart_first(c, k), end = c->ends[k];
    int32_t r = 0;
    if (c->error) return c->error;
    pthread_mutex_lock(&m->lock);
    if (m->bytes > m->bytes_max) forget(m);
    /* Items that began here come of those that did not; of set 0, all of the first. */
    for (size_t i = first; i < (k ? end : first + 1) && !r; i++) {
        decai__item item = c->items[i];
        const decai__auto_state *s = &a->states[item.state];
        if ((k && (size_t)item.origin == k) || (s->bytes == s[1].bytes && s->calls == s[1].calls)) continue;
        r = paths(&f, 0, item.state, item.origin, 0);
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

/* ---- making ------------------------------------------------------------------------------- */

void
decai__masks_destroy(decai__masks *m)
{
    if (!m) return;
    forget(m);
    decai__order_free(m->ctx, m->order);
    decai__chart_free(&m->chart);
    decai__walk_free(&m->walk, m->ctx);
    decai__free(m->ctx, m->entries);
    decai__free(m->ctx, m->slots);
    if (m->lock_made) pthread_mutex_destroy(&m->lock);
    decai__free(m->ctx, m);
}

int32_t
decai__masks_create(decai__masks **out, const decai__auto *a, const decai_tokenizer *t, size_t bytes_max)
{
    decai_context *ctx = a->ctx;
    decai__masks *m = decai__calloc(ctx, 1, sizeof *m);
    size_t longest = 1;
    *out = NULL;
    if (!m) return decai__fail(DECAI_E_NOMEM, "grammar: masks");
    *m = (decai__masks){ .ctx = ctx, .a = a, .t = t, .bytes_max = bytes_max };
    decai__chart_init(&m->chart, a);
    for (uint32_t i = 0; i < t->count; i++) longest = DECAI__MAX(longest, decai__token_len(t, i));
    int32_t r = decai__walk_make(&m->walk, ctx, longest);
    if (!r) r = decai__order_make(&m->order, t);
    if (!r && pthread_mutex_init(&m->lock, NULL)) r = decai__fail(DECAI_E_NOMEM, "grammar: a lock");
    if (r) {
        decai__masks_destroy(m);
        return r;
    }
    m->lock_made = true;
    *out = m;
    return 0;
}
