/* piece.c - pieces of text to ids.
 *
 * Most pieces were seen before: cache.c keeps what they became. What is not there
 * is looked up whole in the vocabulary; a token whose bytes encode to itself
 * (tested once a token) needs no merging.
 *
 * Pieces come many at a time: first all keys are made and their places in the
 * table fetched, then all are looked at, so that waiting for memory overlaps. */
#include "tok/cache.h"

/* ---- one piece ----------------------------------------------------------------------- */

static bool
is_stable(decai__work *w, int32_t id, const uint8_t *text, size_t len)
{
    const decai_tokenizer *t = w->t;
    if (t->rules.ignore_merges) return true;
    unsigned char known = atomic_load_explicit(&t->stable[id], memory_order_relaxed);
    if (!known) {
        known = decai__bpe_stable(w, text, len) ? 1 : 2;
        atomic_store_explicit(&t->stable[id], known, memory_order_relaxed);
    }
    return known == 1;
}

/* Of the families that merge pairs. */
int32_t
decai__piece_merged(decai__work *w, const uint8_t *text, size_t len)
{
    const decai_tokenizer *t = w->t;
    w->piece = text;
    if (len <= t->token_bytes_max) {
        int32_t id = decai__piece_find(t, text, len);
        if (id >= 0 && is_stable(w, id, text, len)) return decai__ids_add(w->ids, id, decai__work_end(w, (uint32_t)len));
    }
    return decai__bpe_piece(w, text, len);
}

int32_t
decai__piece_new(decai__work *w, const uint8_t *text, size_t len, bool first)
{
    switch (w->t->rules.family) {
    case DECAI__WPM: return decai__wpm_piece(w, text, len);
    case DECAI__UGM: return decai__ugm_piece(w, text, len, first);
    case DECAI__RWKV: return decai__rwkv_piece(w, text, len);
    default: return decai__piece_merged(w, text, len);
    }
}

/* A piece's ids from its entry in the table. */
static inline int32_t
add_seen(decai__ids *ids, const decai__cache *c, const decai__cache_entry *e)
{
    const int32_t *from = e->count <= DECAI__CACHE_IDS ? e->ids : decai__cache_ids(c, e);
    int32_t r = 0;
    for (uint32_t i = 0; !r && i < e->count; i++) r = decai__ids_add(ids, from[i], 0);
    return r;
}

/* A piece that the table does not have: found, and put there. */
static int32_t
add_new(decai__work *w, const decai__cache_key *key, const uint8_t *text, size_t len)
{
    decai__ids *ids = w->ids;
    size_t before = ids->dropped + ids->len;
    int32_t r = decai__piece_new(w, text, len, false);
    if (!r && before >= ids->dropped)
        decai__cache_put(w->cache, key, text, len, ids->data + (before - ids->dropped), ids->dropped + ids->len - before);
    return r;
}

/* ---- several new pieces at once ------------------------------------------------- */

typedef struct group {
    decai__group_item item[DECAI__GROUP];
    const decai__cache_key *key[DECAI__GROUP];
    int32_t token[DECAI__GROUP];     /* of the same bytes; -1: none */
    uint32_t hash[DECAI__GROUP];
    uint32_t count;
} group;

static bool
is_known_stable(const decai_tokenizer *t, int32_t id)
{
    return t->rules.ignore_merges || atomic_load_explicit(&t->stable[id], memory_order_relaxed) == 1;
}

/* Which of the pieces are tokens, as decai__piece_find says; each look-up's
 * memory is asked for before it is read. */
static void
find_tokens(const decai_tokenizer *t, group *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        g->hash[i] = decai__hash_bytes(g->item[i].text, g->item[i].len);
        __builtin_prefetch(t->slots + (g->hash[i] >> 1 & t->slot_mask));
    }
    for (uint32_t i = 0; i < g->count; i++) {
        uint32_t at = g->hash[i] >> 1 & t->slot_mask;
        while (t->slots[at].hash && t->slots[at].hash != g->hash[i]) at = (at + 1) & t->slot_mask;
        g->token[i] = t->slots[at].hash ? (int32_t)t->slots[at].id : -1;
        if (g->token[i] >= 0) __builtin_prefetch(t->offset + g->token[i]);
    }
    for (uint32_t i = 0; i < g->count; i++)
        if (g->token[i] >= 0) __builtin_prefetch(t->bytes + t->offset[g->token[i]]);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->token[i] >= 0) g->token[i] = decai__piece_find(t, g->item[i].text, g->item[i].len);
}

/* Into the table, unless one like it has come there meanwhile. */
static void
put(decai__work *w, const group *g, uint32_t i, const int32_t *ids, uint32_t count)
{
    const decai__group_item *p = &g->item[i];
    if (count && !decai__cache_find(w->cache, g->key[i], p->text, p->len))
        decai__cache_put(w->cache, g->key[i], p->text, p->len, ids, count);
}

static void
resolve(decai__work *w, group *g)
{
    const decai_tokenizer *t = w->t;
    uint32_t n = 0;
    find_tokens(t, g);
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->token[i] >= 0 && is_known_stable(t, g->token[i])) {
            put(w, g, i, &g->token[i], 1);
            continue;
        }
        g->item[n] = (decai__group_item){ .text = g->item[i].text, .len = g->item[i].len };
        g->key[n] = g->key[i];
        g->token[n++] = g->token[i];
    }
    decai__bpe_group(t, g->item, n);
    for (uint32_t i = 0; i < n; i++) {
        if (g->token[i] >= 0 && g->item[i].count)
            atomic_store_explicit(&t->stable[g->token[i]], g->item[i].count == 1 ? 1 : 2, memory_order_relaxed);
        put(w, g, i, g->item[i].id, g->item[i].count);
    }
    g->count = 0;
}

/* Those of the pieces that the table lacks are found and put there, as far as they
 * are short and of a family with merges. */
static void
add_missing(decai__work *w, const decai__cache_key *key, const uint8_t *const *from, const uint8_t *const *to, size_t count)
{
    group g;
    if (w->t->rules.family != DECAI__BPE && w->t->rules.family != DECAI__BPE_RAW) return;
    g.count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)(to[i] - from[i]);
        if (len > DECAI__SHORT || decai__cache_find(w->cache, &key[i], from[i], len)) continue;
        g.item[g.count].text = from[i];
        g.item[g.count].len = (uint32_t)len;
        g.key[g.count++] = &key[i];
        if (g.count == DECAI__GROUP) resolve(w, &g);
    }
    if (g.count) resolve(w, &g);
}

/* ---- many pieces ---------------------------------------------------------------- */

static int32_t
add_without_table(decai__work *w, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text)
{
    uint64_t base = w->base;
    int32_t r = 0;
    for (size_t i = 0; !r && i < count; i++) {
        w->base = base + (uint64_t)(from[i] - text);
        r = decai__piece_new(w, from[i], (size_t)(to[i] - from[i]), false);
    }
    w->base = base;
    return r;
}

int32_t
decai__pieces_add(decai__work *w, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text, const uint8_t *end)
{
    decai__cache_key key[DECAI__PIECES];
    decai__cache *c = w->cache;
    decai__ids *ids = w->ids;
    bool asked = false;
    int32_t r = 0;
    if (!c) return add_without_table(w, from, to, count, text);
    decai__assert(count <= DECAI__PIECES);
    for (size_t i = 0; i < count; i++) decai__cache_key_make(c, &key[i], from[i], (size_t)(to[i] - from[i]), end);
    for (size_t i = 0; !r && i < count; i++) {
        size_t len = (size_t)(to[i] - from[i]);
        const decai__cache_entry *e = decai__cache_find(c, &key[i], from[i], len);
        if (!e && !asked) {
            asked = true;
            add_missing(w, key + i, from + i, to + i, count - i);
            e = decai__cache_find(c, &key[i], from[i], len);
        }
        if (e && e->count <= DECAI__CACHE_IDS && ids->cap - ids->len > DECAI__CACHE_IDS) {
            memcpy(ids->data + ids->len, (const uint8_t *)e + offsetof(decai__cache_entry, ids), 16);
            ids->len += e->count;
        } else if (e) {
            r = add_seen(ids, c, e);
        } else {
            r = len > DECAI__CACHE_BYTES ? decai__piece_new(w, from[i], len, false) : add_new(w, &key[i], from[i], len);
        }
    }
    return r;
}
