/* cache.h - what pieces of text became; between encode.c and cache.c.
 *
 * Entries of 32 bytes, two to a set, the newer one first. A piece of up to 15
 * bytes is its own key: its bytes and its length. A longer one is keyed by its
 * hash and its length, and compared with its text, which stands in the pool, as
 * do ids that are more than three. When the pool is full, all starts anew. The
 * table belongs to a tokenizer; one call at a time has it. It changes what
 * encoding costs, never what it gives. */
#ifndef DECAI__TOK_CACHE_H
#define DECAI__TOK_CACHE_H

#include "tok/internal.h"

#define DECAI__CACHE_IDS 3
#define DECAI__CACHE_SHORT 15u       /* bytes of a piece that is its own key */
#define DECAI__CACHE_BYTES 255u      /* of one that is kept at all */
#define DECAI__CACHE_SETS 65536u
#define DECAI__CACHE_POOL 4194304u

typedef struct decai__cache_entry { uint64_t low, high; int32_t ids[DECAI__CACHE_IDS]; uint32_t count; } decai__cache_entry;

typedef struct decai__cache {
    decai__cache_entry set[DECAI__CACHE_SETS][2];
    uint32_t pool_len;
    uint8_t pool[DECAI__CACHE_POOL];
} decai__cache;

typedef struct decai__cache_key { uint64_t low, high; uint32_t set; } decai__cache_key;

decai__cache *decai__cache_make(decai_context *ctx);
void decai__cache_put(decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len, const int32_t *ids, size_t count);
/* One longer than DECAI__CACHE_SHORT. */
const decai__cache_entry *decai__cache_find_long(const decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len);

static inline const int32_t *
decai__cache_ids(const decai__cache *c, const decai__cache_entry *e)
{
    return (const int32_t *)(const void *)(c->pool + (uint32_t)e->ids[0]);
}

/* The key of a piece of a text that goes on to `end`; its set is on its way from memory. */
static inline void
decai__cache_key_make(const decai__cache *c, decai__cache_key *key, const uint8_t *text, size_t len, const uint8_t *end)
{
    static const uint64_t MASK[17] = { 0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
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
        key->low = low & MASK[len];
        key->high = (len > 8 ? high & MASK[len - 8] : 0) | (uint64_t)(len + 1) << 56;
        uint64_t h = key->low ^ key->high * 0x9e3779b97f4a7c15u;
        h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
        key->set = (uint32_t)(h >> 40) & (DECAI__CACHE_SETS - 1);
    } else {
        uint32_t h = len > DECAI__CACHE_BYTES ? 0 : decai__hash_bytes(text, len);
        key->low = (uint64_t)h << 32 | (uint32_t)len;
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
