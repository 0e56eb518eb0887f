/* piece.c - pieces of text to ids.
 *
 * Most pieces were seen before: cache.c keeps what they became. What is not there
 * is looked up whole in the vocabulary; a token whose bytes encode to itself
 * (tested once a token) needs no merging.
 *
 * Pieces come many at a time, and what is asked of memory for one is asked for all
 * before the first answer is used, so that waiting overlaps. */
#include "tok/cache.h"

/* ---- one piece ----------------------------------------------------------------------- */

static bool
is_stable(decai__work *w, int32_t id, const uint8_t *text, size_t len, bool inner)
{
    const decai_tokenizer *t = w->t;
    if (t->rules.ignore_merges && !inner) return true;
    unsigned char known = atomic_load_explicit(&t->stable[id], memory_order_relaxed);
    if (!known) {
        known = decai__bpe_stable(w, text, len) ? 1 : 2;
        atomic_store_explicit(&t->stable[id], known, memory_order_relaxed);
    }
    return known == 1;
}

/* Of the families that merge pairs. */
int32_t
decai__piece_merged(decai__work *w, const uint8_t *text, size_t len, bool inner)
{
    const decai_tokenizer *t = w->t;
    w->piece = text;
    if (len <= t->token_bytes_max) {
        int32_t id = decai__piece_find(t, text, len);
        if (id >= 0 && is_stable(w, id, text, len, inner)) return decai__ids_add(w->ids, id, decai__work_end(w, (uint32_t)len));
    }
    return decai__bpe_piece(w, text, len);
}

int32_t
decai__piece_new(decai__work *w, const uint8_t *text, size_t len, bool first, bool inner)
{
    switch (w->t->rules.family) {
    case DECAI__WPM: return decai__wpm_piece(w, text, len);
    case DECAI__UGM: return decai__ugm_piece(w, text, len, first);
    case DECAI__RWKV: return decai__rwkv_piece(w, text, len);
    default: return decai__piece_merged(w, text, len, inner);
    }
}

/* ---- several new pieces at once ------------------------------------------------- */

/* Which of the pieces are tokens, as decai__piece_find says (-1: none); each
 * look-up's memory is asked for before it is read. */
static void
find_tokens(const decai_tokenizer *t, const decai__group_item *item, uint32_t count, int32_t *token)
{
    uint32_t hash[DECAI__GROUP];
    for (uint32_t i = 0; i < count; i++) {
        hash[i] = decai__hash_bytes(item[i].text, item[i].len);
        __builtin_prefetch(t->slots + (hash[i] >> 1 & t->slot_mask));
    }
    for (uint32_t i = 0; i < count; i++) {
        token[i] = decai__token_probe(t, hash[i]);
        if (token[i] < 0) continue;
        __builtin_prefetch(t->offset + token[i]);
        __builtin_prefetch(t->piece + token[i]);
        __builtin_prefetch((const uint8_t *)t->stable + token[i]);
    }
    for (uint32_t i = 0; i < count; i++)
        if (token[i] >= 0) __builtin_prefetch(t->bytes + t->offset[token[i]]);
    for (uint32_t i = 0; i < count; i++)
        if (token[i] >= 0) token[i] = decai__piece_find(t, item[i].text, item[i].len);
}

static bool
is_known_stable(const decai_tokenizer *t, int32_t id, bool inner)
{
    return (t->rules.ignore_merges && !inner) || atomic_load_explicit(&t->stable[id], memory_order_relaxed) == 1;
}

/* Into the table, unless the same piece has come there meanwhile. */
static void
put(decai__cache *c, const decai__cache_key *key, const decai__group_item *p, const int32_t *ids, uint32_t count)
{
    if (count && !decai__cache_find(c, key, p->text, p->len)) decai__cache_put(c, key, p->text, p->len, ids, count);
}

/* The scratch's first `count` items, found and put into the table. */
static void
resolve(decai__work *w, uint32_t count)
{
    const decai_tokenizer *t = w->t;
    decai__cache_scratch *s = &w->cache->scratch;
    int32_t token[DECAI__GROUP];
    uint32_t n = 0;
    find_tokens(t, s->item, count, token);
    for (uint32_t i = 0; i < count; i++) {
        if (token[i] >= 0 && is_known_stable(t, token[i], s->item[i].inner)) {
            put(w->cache, s->item_key[i], &s->item[i], &token[i], 1);
            continue;
        }
        s->item[n].text = s->item[i].text;
        s->item[n].len = s->item[i].len;
        s->item[n].inner = s->item[i].inner;
        s->item_key[n] = s->item_key[i];
        token[n++] = token[i];
    }
    decai__bpe_group(t, s->item, n);
    for (uint32_t i = 0; i < n; i++) {
        if (token[i] >= 0 && s->item[i].count)
            atomic_store_explicit(&t->stable[token[i]], s->item[i].count == 1 ? 1 : 2, memory_order_relaxed);
        put(w->cache, s->item_key[i], &s->item[i], s->item[i].id, s->item[i].count);
    }
}

/* Those of the far pieces that the table lacks are noted; of a family with merges
 * they are found and put there, if they are short. */
static void
add_missing(decai__work *w, const uint8_t *const *from, const uint8_t *const *to, size_t far)
{
    decai__cache_scratch *s = &w->cache->scratch;
    bool merges = w->t->rules.family == DECAI__BPE || w->t->rules.family == DECAI__BPE_RAW;
    uint32_t count = 0;
    for (size_t k = 0; k < far; k++) {
        const uint8_t *text = from[s->far[k]];
        size_t len = (size_t)(to[s->far[k]] - text);
        s->is_new[k] = !decai__cache_find(w->cache, &s->far_key[k], text, len);
        if (!s->is_new[k] || !merges || len > DECAI__SHORT) continue;
        s->item[count].text = text;
        s->item[count].len = (uint32_t)len;
        s->item[count].inner = s->is_inner[k];
        s->item_key[count++] = &s->far_key[k];
        if (count < DECAI__GROUP) continue;
        resolve(w, count);
        count = 0;
    }
    if (count) resolve(w, count);
}

/* ---- many pieces ---------------------------------------------------------------- */

/* One that is not near: from the far table, or found and put there. */
static int32_t
add_far(decai__work *w, size_t k, uint64_t near_key, const uint8_t *text, size_t len)
{
    decai__cache *c = w->cache;
    decai__ids *ids = w->ids;
    const decai__cache_entry *e = decai__cache_find(c, &c->scratch.far_key[k], text, len);
    int32_t r = 0;
    if (e) {
        const int32_t *from = decai__cache_ids(c, e);
        for (uint32_t i = 0; !r && i < e->count; i++) r = decai__ids_add(ids, from[i], 0);
        if (!c->scratch.is_new[k] || e->count == 1) decai__near_put(c, near_key, e);
        return r;
    }
    size_t before = ids->dropped + ids->len;
    r = decai__piece_new(w, text, len, false, c->scratch.is_inner[k]);
    if (!r && before >= ids->dropped && len <= DECAI__CACHE_BYTES)
        decai__cache_put(c, &c->scratch.far_key[k], text, len, ids->data + (before - ids->dropped), ids->dropped + ids->len - before);
    return r;
}

/* Which of the pieces are near, and their ids; keys of the others: how many. */
static size_t
look(decai__cache *c, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text, const uint8_t *end, const bool *inner)
{
    decai__cache_scratch *s = &c->scratch;
    size_t far = decai__near_look(c, from, to, count, text, end, inner);
    for (size_t k = 0; k < far; k++) {
        size_t i = s->far[k];
        s->is_inner[k] = inner && inner[i];
        decai__cache_key_make(c, &s->far_key[k], from[i], (size_t)(to[i] - from[i]), end, s->is_inner[k]);
    }
    return far;
}

static int32_t
add_without_table(decai__work *w, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text, const bool *inner)
{
    uint64_t base = w->base;
    int32_t r = 0;
    for (size_t i = 0; !r && i < count; i++) {
        w->base = base + (uint64_t)(from[i] - text);
        r = decai__piece_new(w, from[i], (size_t)(to[i] - from[i]), false, inner && inner[i]);
    }
    w->base = base;
    return r;
}

int32_t
decai__pieces_add(decai__work *w, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text, const uint8_t *end,
    const bool *inner)
{
    decai__ids *ids = w->ids;
    int32_t r = 0;
    if (!w->cache) return add_without_table(w, from, to, count, text, inner);
    decai__assert(count <= DECAI__PIECES);
    const decai__cache_scratch *s = &w->cache->scratch;
    size_t far = look(w->cache, from, to, count, text, end, w->t->rules.ignore_merges ? inner : NULL);
    if (far) add_missing(w, from, to, far);
    for (size_t i = 0, k = 0; !r && i < count; i++) {
        uint64_t two = s->ids[i];
        if (two == DECAI__NOT_NEAR) {
            r = add_far(w, k++, s->key[i], from[i], (size_t)(to[i] - from[i]));
        } else if (ids->cap - ids->len > 1) {
            memcpy(ids->data + ids->len, &two, sizeof two);
            ids->len += 1 + (two >> 32 != UINT32_MAX);
        } else {
            r = decai__ids_add(ids, (int32_t)(uint32_t)two, 0);
            if (!r && two >> 32 != UINT32_MAX) r = decai__ids_add(ids, (int32_t)(two >> 32), 0);
        }
    }
    return r;
}
