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
 * In the body of a string (grammar_string.c) no entries are needed: what tokens do there
 * is the vocabulary's (grammar_body.c), but for what stands behind the quotes of some.
 * Those texts are treated as tokens are, in entries of their own, from the quote on.
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

enum { TOKENS, SUFFIXES, TABLES };   /* what entries are of: tokens; texts behind the quote of a string */

typedef struct entry {
    uint32_t parent, state;          /* parent: place of the entry before, plus one; 0: none */
    uint32_t count;                  /* texts that may follow */
    uint32_t *ids;                   /* these; or NULL and words of bits */
    uint64_t *bits;
    decai__ranges unsure;
} entry;

typedef struct table {
    const decai__order *order;
    uint32_t universe;               /* ids are below */
    entry *entries;
    uint32_t *slots;                 /* hash table: place plus one */
    size_t count, cap, slot_count;
} table;

struct decai__masks {
    decai_context *ctx;
    const decai__auto *a;
    const decai__body *body;
    pthread_mutex_t lock;
    bool lock_made;
    decai__chart chart;              /* of chains */
    decai__walk walk;
    decai__string *strings;          /* by state */
    table tables[TABLES];
    size_t bytes, bytes_max;
};

/* A mask being made. */
typedef struct fill {
    decai__masks *m;
    decai__chart *c;
    uint64_t *bits;
    const decai__string *string;     /* where suffixes come from */
    uint32_t paths;
} fill;

/* ---- entries -------------------------------------------------------------------------- */

static void
forget(decai__masks *m)
{
    for (table *t = m->tables; t < m->tables + TABLES; t++) {
        for (size_t i = 0; i < t->count; i++) {
            decai__free(m->ctx, t->entries[i].ids);
            decai__free(m->ctx, t->entries[i].bits);
            decai__free(m->ctx, t->entries[i].unsure.at);
        }
        t->count = 0;
        if (t->slots) memset(t->slots, 0, t->slot_count * sizeof *t->slots);
    }
    m->bytes = 0;
}

static size_t
slot_of(const table *t, uint32_t parent, uint32_t state)
{
    uint64_t h = ((uint64_t)parent << 32 | state) * 0x9e3779b97f4a7c15u;
    size_t k = (size_t)(h >> 32) & (t->slot_count - 1);
    while (t->slots[k] && (t->entries[t->slots[k] - 1].parent != parent || t->entries[t->slots[k] - 1].state != state))
        k = (k + 1) & (t->slot_count - 1);
    return k;
}

/* Room for one entry more. */
static int32_t
reserve(const decai__masks *m, table *t)
{
    if (t->count < t->cap) return 0;
    size_t cap = t->cap ? 2 * t->cap : 64;
    entry *entries = decai__realloc(m->ctx, t->entries, t->cap * sizeof *entries, cap * sizeof *entries);
    if (!entries) return decai__fail(DECAI_E_NOMEM, "grammar: %zu masks", cap);
    t->entries = entries;
    uint32_t *slots = decai__calloc(m->ctx, 2 * cap, sizeof *slots);
    if (!slots) return decai__fail(DECAI_E_NOMEM, "grammar: %zu masks", cap);
    decai__free(m->ctx, t->slots);
    t->slots = slots;
    t->cap = cap;
    t->slot_count = 2 * cap;
    for (size_t i = 0; i < t->count; i++) t->slots[slot_of(t, entries[i].parent, entries[i].state)] = (uint32_t)i + 1;
    return 0;
}

static int32_t
keep_texts(decai__masks *m, const table *t, entry *e, const decai__ranges *yes)
{
    size_t words = ((size_t)t->universe + 63) / 64;
    e->count = (uint32_t)yes->tokens;
    bool list = e->count * sizeof *e->ids < words * sizeof *e->bits || t == &m->tables[SUFFIXES];
    if (!e->count) return 0;
    if (list) e->ids = decai__alloc(m->ctx, e->count * sizeof *e->ids);
    else e->bits = decai__calloc(m->ctx, words, sizeof *e->bits);
    if (!e->ids && !e->bits) return decai__fail(DECAI_E_NOMEM, "grammar: a mask of %u tokens", e->count);
    m->bytes += list ? e->count * sizeof *e->ids : words * sizeof *e->bits;
    size_t n = 0;
    for (size_t i = 0; i < yes->count; i++)
        for (uint32_t k = yes->at[2 * i]; k < yes->at[2 * i + 1]; k++) {
            uint32_t id = t->order->id[k];
            if (list) e->ids[n++] = id;
            else e->bits[id / 64] |= UINT64_C(1) << id % 64;
        }
    return 0;
}

static int32_t
keep(decai__masks *m, const table *t, entry *e)
{
    const decai__ranges *unsure = &m->walk.out[1];
    int32_t r = keep_texts(m, t, e, &m->walk.out[0]);
    if (r || !unsure->count) return r;
    e->unsure = *unsure;
    e->unsure.at = decai__memdup(m->ctx, unsure->at, 2 * unsure->count * sizeof *unsure->at);
    e->unsure.cap = unsure->count;
    m->bytes += 2 * unsure->count * sizeof *unsure->at;
    return e->unsure.at ? 0 : decai__fail(DECAI_E_NOMEM, "grammar: %zu ranges of tokens", unsure->count);
}

/* What is known of all texts of the table that follow a chain. */
static int32_t
walk_chain(decai__masks *m, const table *t, const uint32_t *chain, uint32_t len, const decai__ranges *in)
{
    int32_t r = decai__chart_start(&m->chart, chain, len);
    /* The first state of suffixes is one with the quote, and they come behind it. */
    if (!r && t == &m->tables[SUFFIXES] && !decai__chart_step(&m->chart, '"')) r = m->chart.error;
    return r ? r : decai__walk_run(&m->walk, &m->chart, t->order, in);
}

/* The place of the entry for a state behind those of `parent`; level: how many these are. */
static int32_t
find(decai__masks *m, table *t, uint32_t *out, uint32_t parent, uint32_t state, uint32_t level)
{
    uint32_t chain[LEVELS];
    int32_t r = reserve(m, t);
    if (r) return r;
    size_t k = slot_of(t, parent, state);
    if (t->slots[k]) {
        *out = t->slots[k] - 1;
        return 0;
    }
    chain[level] = state;
    for (uint32_t p = parent, i = level; p; p = t->entries[p - 1].parent) chain[--i] = t->entries[p - 1].state;
    r = walk_chain(m, t, chain, level + 1, parent ? &t->entries[parent - 1].unsure : NULL);
    if (r) return r;
    entry e = { .parent = parent, .state = state };
    r = keep(m, t, &e);
    if (r) {
        decai__free(m->ctx, e.ids);
        decai__free(m->ctx, e.bits);
        return r;
    }
    m->bytes += sizeof e;
    t->entries[t->count] = e;
    *out = (uint32_t)t->count++;
    t->slots[k] = *out + 1;
    return 0;
}

/* ---- a mask ----------------------------------------------------------------------------- */

static void
set_bit(const fill *f, uint32_t id)
{
    f->bits[id / 64] |= UINT64_C(1) << id % 64;
}

static void
join_words(const fill *f, const uint64_t *bits)
{
    for (size_t i = 0; i < f->m->body->words; i++) f->bits[i] |= bits[i];
}

/* Tokens that end the string with the texts of group g behind the quote. */
static void
join_group(const fill *f, uint32_t g)
{
    const decai__body *b = f->m->body;
    const decai__string *s = f->string;
    for (uint32_t i = b->group[g]; i < b->group[g + 1]; i++)
        if (b->exits[i].chars >= s->least && b->exits[i].chars <= s->room && b->exits[i].form <= s->form) set_bit(f, b->exits[i].id);
}

static void
join(const fill *f, const table *t, const entry *e)
{
    if (e->bits) join_words(f, e->bits);
    else if (t == &f->m->tables[TOKENS])
        for (uint32_t i = 0; i < e->count; i++) set_bit(f, e->ids[i]);
    else
        for (uint32_t i = 0; i < e->count; i++) join_group(f, e->ids[i] + 1);
}

/* What no entry decides, against the text itself. Of suffixes: all tokens with a quote. */
static int32_t
walk_text(fill *f, const table *t, const decai__ranges *unsure)
{
    decai__masks *m = f->m;
    const decai__order *o = m->tables[TOKENS].order;
    decai__ranges exits = { .at = m->body->places, .count = m->body->place_count };
    int32_t r = decai__walk_run(&m->walk, f->c, o, t == &m->tables[SUFFIXES] ? &exits : unsure);
    for (size_t i = 0; i < m->walk.out[0].count && !r; i++)
        for (uint32_t k = m->walk.out[0].at[2 * i]; k < m->walk.out[0].at[2 * i + 1]; k++) set_bit(f, o->id[k]);
    return r;
}

/* The texts from `state` on, whose rule began at byte `origin` and returns to what
 * waits there. Recursion is at most LEVELS deep. */
static int32_t
paths(fill *f, table *t, uint32_t parent, uint32_t state, int32_t origin, uint32_t level)
{
    const decai__auto *a = f->m->a;
    uint32_t place;
    int32_t r = find(f->m, t, &place, parent, state, level);
    if (r) return r;
    join(f, t, &t->entries[place]);
    if (!t->entries[place].unsure.count) return 0;
    if (level + 1 == LEVELS || ++f->paths > PATHS) return walk_text(f, t, &t->entries[place].unsure);
    size_t end = f->c->ends[origin];
    for (size_t i = decai__chart_first(f->c, (size_t)origin); i < end && !r; i++) {
        decai__item p = f->c->items[i];
        for (uint32_t e = a->states[p.state].calls; e < a->states[p.state + 1].calls && !r; e++)
            if (a->calls[e].rule == a->states[state].rule) r = paths(f, t, place + 1, a->calls[e].to, p.origin, level + 1);
    }
    return r;
}

/* The tokens from the body of a string on. */
static int32_t
string_body(fill *f, const decai__string *s, int32_t origin)
{
    const decai__body *b = f->m->body;
    bool all = s->room >= b->plain_max;
    uint32_t row = all ? DECAI__PLAIN_MAX + 1 : DECAI__MIN(s->room, DECAI__PLAIN_MAX);
    join_words(f, b->plain + row * b->words);
    uint32_t more = all || row < DECAI__PLAIN_MAX ? b->escape_count : b->inside_count;
    for (uint32_t i = 0; i < more; i++)
        if (b->inside[i].chars <= s->room && b->inside[i].form <= s->form) set_bit(f, b->inside[i].id);
    f->string = s;
    join_group(f, 0);
    return paths(f, &f->m->tables[SUFFIXES], 0, s->last, origin, 0);
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
        const decai__string *string = decai__string_at(m->strings, a, m->body, item.state);
        r = string ? string_body(&f, string, item.origin) : paths(&f, &m->tables[TOKENS], 0, item.state, item.origin, 0);
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
    decai__chart_free(&m->chart);
    decai__walk_free(&m->walk, m->ctx);
    decai__free(m->ctx, m->strings);
    for (table *t = m->tables; t < m->tables + TABLES; t++) {
        decai__free(m->ctx, t->entries);
        decai__free(m->ctx, t->slots);
    }
    if (m->lock_made) pthread_mutex_destroy(&m->lock);
    decai__free(m->ctx, m);
}

int32_t
decai__masks_create(decai__masks **out, const decai__auto *a, const decai_tokenizer *t, size_t bytes_max)
{
    decai_context *ctx = a->ctx;
    const decai__lexicon *l;
    *out = NULL;
    int32_t r = decai__lexicon_get(&l, t);
    if (r) return r;
    decai__masks *m = decai__calloc(ctx, 1, sizeof *m);
    if (!m) return decai__fail(DECAI_E_NOMEM, "grammar: masks");
    *m = (decai__masks){ .ctx = ctx, .a = a, .body = &l->body, .bytes_max = bytes_max };
    m->tables[TOKENS] = (table){ .order = &l->tokens, .universe = t->count };
    m->tables[SUFFIXES] = (table){ .order = &l->body.suffixes, .universe = l->body.suffixes.count };
    decai__chart_init(&m->chart, a);
    r = decai__walk_make(&m->walk, ctx, l->token_max);
    if (!r) m->strings = decai__calloc(ctx, (size_t)a->state_count + 1, sizeof *m->strings);
    if (!r && !m->strings) r = decai__fail(DECAI_E_NOMEM, "grammar: masks");
    if (!r && pthread_mutex_init(&m->lock, NULL)) r = decai__fail(DECAI_E_NOMEM, "grammar: a lock");
    if (r) {
        decai__masks_destroy(m);
        return r;
    }
    m->lock_made = true;
    *out = m;
    return 0;
}
