/* cache.c - what pieces of text became; the tables of cache.h. */
#include "tok/cache.h"

decai__cache *
decai__cache_make(decai_context *ctx)
{
    /* Lines of memory: a set that lies in two costs twice. */
    uint8_t *memory = decai__calloc(ctx, 1, sizeof(decai__cache) + alignof(decai__cache));
    if (!memory) return NULL;
    decai__cache *c = (decai__cache *)(void *)(memory + (-(uintptr_t)memory & (alignof(decai__cache) - 1)));
    c->memory = memory;
    return c;
}

void
decai__cache_free(decai_context *ctx, decai__cache *c)
{
    if (c) decai__free(ctx, c->memory);
}

const decai__cache_entry *
decai__cache_find_long(const decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len)
{
    const decai__cache_entry *e = c->set[key->set];
    if (len > DECAI__CACHE_BYTES) return NULL;
    for (int i = 0; i < 2; i++)
        if (e[i].low == key->low && e[i].high >> 63 && !memcmp(c->pool + (uint32_t)e[i].high, text, len)) return e + i;
    return NULL;
}

/* Place for that many bytes, numbers among them; UINT32_MAX: it is full. */
static uint32_t
take(decai__cache *c, size_t bytes)
{
    size_t rounded = (bytes + 3) & ~(size_t)3;
    if (DECAI__CACHE_POOL - c->pool_len < rounded) return UINT32_MAX;
    c->pool_len += (uint32_t)rounded;
    return c->pool_len - (uint32_t)rounded;
}

void
decai__cache_put(decai__cache *c, const decai__cache_key *key, const uint8_t *text, size_t len, const int32_t *ids, size_t count)
{
    decai__cache_entry e = { key->low, key->high, { 0 }, (uint32_t)count };
    bool is_long = len > DECAI__CACHE_SHORT, many = count > DECAI__CACHE_IDS;
    size_t need = (is_long ? len + 3 : 0) + (many ? count * sizeof *ids : 0);
    if (need > DECAI__CACHE_POOL - c->pool_len) {
        memset(c->set, 0, sizeof c->set);
        memset(c->near, 0, sizeof c->near);
        c->pool_len = 0;
    }
    if (is_long) {
        uint32_t at = take(c, len);
        memcpy(c->pool + at, text, len);
        e.high |= at;
    }
    if (many) {
        uint32_t at = take(c, count * sizeof *ids);
        memcpy(c->pool + at, ids, count * sizeof *ids);
        e.ids[0] = (int32_t)at;
    } else {
        memcpy(e.ids, ids, count * sizeof *ids);
    }
    c->set[key->set][1] = c->set[key->set][0];
    c->set[key->set][0] = e;
}
