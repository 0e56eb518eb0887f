/* cache.h - what pieces of text became; between encode.c, piece.c and cache.c.
 *
 * Two tables, of lines of memory. The near one fits the processor's second cache
 * and holds pieces of up to eight bytes that became one or two ids: most of any
 * text. A piece is its own key: its bytes, the last of which is not NUL, so that
 * its length is known; four to a line. The far one has entries of 32 bytes, two to
 * a line, the newer first. There a piece of up to 15 bytes is its own key, bytes
 * and length; a longer one is keyed by its hash and its length, and compared with
 * its text, which stands in the pool, as do ids that are more than three. When the
 * pool is full, all starts anew. A piece comes into the near table when it is found
 * in the far one: what comes once only does not push out what comes often.
 *
 * The tables belong to a tokenizer; one call at a time has them. They change what
 * encoding costs, never what it gives. */
#ifndef DECAI__TOK_CACHE_H
#define DECAI__TOK_CACHE_H

#include <stdalign.h>

#include "tok/internal.h"

#define DECAI__CACHE_IDS 3
#define DECAI__CACHE_SHORT 15u       /* bytes of a piece that is its own key */
#define DECAI__CACHE_BYTES 255u      /* of one that is kept at all */
#define DECAI__CACHE_SETS 131072u
#define DECAI__CACHE_POOL 8388608u
#define DECAI__NEAR_SETS 8192u
#define DECAI__NEAR_BYTES 8u
#define DECAI__NEAR_INNER 0xffu

typedef struct decai__cache_entry { uint64_t low, high; int32_t ids[DECAI__CACHE_IDS]; uint32_t count; } decai__cache_entry;
typedef struct decai__cache_key { uint64_t low, high; uint32_t set; } decai__cache_key;

/* ids: the first one below, the second above, or ones. Key 0: empty. */
typedef struct decai__near_set { uint64_t key[4], ids[4]; } decai__near_set;
#define DECAI__NOT_NEAR UINT64_MAX

/* Of the pieces at hand. */
typedef struct decai__cache_scratch {
    uint64_t key[DECAI__PIECES], ids[DECAI__PIECES];
    uint32_t set[DECAI__PIECES + 16];    /* near.c asks ahead */
    uint32_t far[DECAI__PIECES + 1];     /* which of them are not near */
    decai__cache_key far_key[DECAI__PIECES];
    bool is_new[DECAI__PIECES], is_inner[DECAI__PIECES];
    decai__group_item item[DECAI__GROUP];
    const decai__cache_key *item_key[DECAI__GROUP];
} decai__cache_scratch;

typedef struct decai__cache {
    alignas(64) decai__near_set near[DECAI__NEAR_SETS];
    decai__cache_entry set[DECAI__CACHE_SETS][2];
    decai__cache_scratch scratch;
    void *memory;                    /* that was allocated */
    uint32_t pool_len;
    uint8_t pool[DECAI__CACHE_POOL];
} decai__cache;

decai__cache *decai__cache_make(decai_context *ctx);
void decai__cache_free(decai_context *ctx, decai__cache *c);
void decai__cache_put(decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len, const int32_t *ids, size_t count);
/* One longer than DECAI__CACHE_SHORT. */
const decai__cache_entry *decai__cache_find_long(const decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len);

static inline const int32_t *
decai__cache_ids(const decai__cache *c, const decai__cache_entry *e)
{
    return e->count <= DECAI__CACHE_IDS ? e->ids : (const int32_t *)(const void *)(c->pool + (uint32_t)e->ids[0]);
}

/* A piece of a text that goes on to `end` as a key of the near table; 0: it is none.
 * The byte that no UTF-8 has ends the keys of inner pieces, and no others. */
static inline uint64_t
decai__near_key(const uint8_t *text, size_t len, const uint8_t *end)
{
    uint64_t key;
    if (len - 1 >= DECAI__NEAR_BYTES || end - text < 8) return 0;
    memcpy(&key, text, 8);
    key = key << (64 - 8 * len) >> (64 - 8 * len);
    return key >> (8 * len - 8) && key >> 56 != DECAI__NEAR_INNER ? key : 0;
}

/* The key of the same bytes as an inner piece: one shorter than a key, or none. */
static inline uint64_t
decai__near_inner(uint64_t key)
{
    return key && !(key >> 56) ? key | (uint64_t)DECAI__NEAR_INNER << 56 : 0;
}

static inline uint32_t
decai__near_place(uint64_t key)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & (DECAI__NEAR_SETS - 1);
}

/* Fills the scratch's key, set, ids and far; how many are far. inner: which are
 * inner pieces, or NULL. */
size_t decai__near_look(decai__cache *c, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text,
    const uint8_t *end, const bool *inner);

/* A piece of the far table comes near. */
static inline void
decai__near_put(decai__cache *c, uint64_t key, const decai__cache_entry *e)
{
    if (!key || e->count - 1 > 1) return;
    decai__near_set *s = &c->near[decai__near_place(key)];
    memmove(s->key + 1, s->key, 3 * sizeof *s->key);
    memmove(s->ids + 1, s->ids, 3 * sizeof *s->ids);
    s->key[0] = key;
    s->ids[0] = (uint32_t)e->ids[0] | (uint64_t)(e->count == 2 ? (uint32_t)e->ids[1] : UINT32_MAX) << 32;
}

/* The key of a piece of a text that goes on to `end`; its set is on its way from
 * memory. An inner piece is not the same as that piece alone. */
static inline void
decai__cache_key_make(const decai__cache *c, decai__cache_key *key, const uint8_t *text, size_t len, const uint8_t *end, bool inner)
{
    if (len <= DECAI__CACHE_SHORT) {
        uint64_t low, high;
        if (end - text >= 16) {
            memcpy(&low, text, 8);
            memcpy(&high, text + 8, 8);
        } else {
            uint8_t buf[16] = { 0 };
            memcpy(buf, text, len);
            memcpy(&low, buf, 8);
            memcpy(&high, buf + 8, 8);
        }
        key->low = len < 8 ? low & (((uint64_t)1 << 8 * len) - 1) : low;
        key->high = (len > 8 ? high & (((uint64_t)1 << 8 * (len - 8)) - 1) : 0) | (uint64_t)(len + 1 + 16 * inner) << 56;
        uint64_t h = key->low ^ key->high * 0x9e3779b97f4a7c15u;
        h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
        key->set = (uint32_t)(h >> 40) & (DECAI__CACHE_SETS - 1);
    } else {
        uint32_t h = len > DECAI__CACHE_BYTES ? 0 : decai__hash_bytes(text, len);
        key->low = (uint64_t)h << 32 | (uint32_t)len | (uint32_t)inner << 31;
        key->high = (uint64_t)1 << 63;
        key->set = h >> 7 & (DECAI__CACHE_SETS - 1);
    }
    __builtin_prefetch(c->set[key->set]);
}

/* The entry of a piece, or NULL. */
static inline const decai__cache_entry *
decai__cache_find(const decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len)
{
    const decai__cache_entry *e = c->set[key->set];
    if (len > DECAI__CACHE_SHORT) return decai__cache_find_long(c, key, text, len);
    return e[0].low == key->low && e[0].high == key->high ? e : e[1].low == key->low && e[1].high == key->high ? e + 1 : NULL;
}

#endif /* DECAI__TOK_CACHE_H */
