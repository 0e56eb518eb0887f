/* tree.c - the native tree kept whole: append-only, a proof for every leaf at
 * every size it ever had.
 *
 * level[h] is an array of the roots of all full subtrees of 2^h leaves, from
 * left to right: count >> h of them. Nothing in it ever changes, so the tree of
 * the first n leaves is still in there when the tree has grown; what n needs
 * beyond full subtrees (the bagged peaks on its right edge) is made on the fly,
 * at most one node a level. That is a Merkle mountain range: append and proof
 * cost O(log n), memory is 64 bytes a leaf.
 */
#include <string.h>

#include "hash/internal.h"

int32_t
decai__merkle_tree_init(decai__merkle_tree *t, decai_context *ctx, const char *domain)
{
    memset(t, 0, sizeof *t);
    int32_t r = decai__domain_check(domain);
    if (r) return r;
    t->ctx = ctx;
    memcpy(t->domain, domain, strlen(domain) + 1);
    return 0;
}

void
decai__merkle_tree_free(decai__merkle_tree *t)
{
    for (size_t h = 0; h < DECAI__MERKLE_LEVELS; h++) decai__free(t->ctx, t->level[h].hash);
    memset(t, 0, sizeof *t);
}

static int32_t
level_reserve(decai__merkle_tree *t, struct decai__merkle_level *level, size_t want)
{
    size_t cap = DECAI__MAX(level->cap, (size_t)4), bytes;
    if (want <= level->cap) return 0;
    while (cap < want) cap *= 2;
    uint8_t *hash = decai__mul_size(&bytes, cap, 32)
        ? decai__realloc(t->ctx, level->hash, level->cap * 32, bytes) : NULL;
    if (!hash) return decai__fail(DECAI_E_NOMEM, "tree: %zu hashes", cap);
    level->hash = hash;
    level->cap = cap;
    return 0;
}

int32_t
decai__merkle_tree_add_leaf_hashes(decai__merkle_tree *t, const uint8_t *hashes, size_t count)
{
    uint64_t total = t->count + count;
    decai__assert(t->domain[0]);
    if (count > DECAI_TREE_COUNT_MAX || total > DECAI_TREE_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, "tree: more than DECAI_TREE_COUNT_MAX leaves");
    if (!count) return 0;
    /* All memory first: a failure in the middle would leave a torn tree. */
    for (size_t h = 0; total >> h; h++) {
        int32_t r = level_reserve(t, &t->level[h], (size_t)(total >> h));
        if (r) return r;
    }
    memcpy(t->level[0].hash + 32 * t->level[0].count, hashes, 32 * count);
    t->level[0].count += count;
    for (uint32_t h = 1; total >> h; h++) {
        struct decai__merkle_level *level = &t->level[h], *below = &t->level[h - 1];
        size_t pairs = below->count / 2 - level->count;
        decai__merkle_nodes(level->hash + 32 * level->count, t->domain, h,
            below->hash + 64 * level->count, pairs);
        level->count += pairs;
    }
    t->count = total;
    return 0;
}

int32_t
decai__merkle_tree_add_leaf_hash(decai__merkle_tree *t, const uint8_t hash[32])
{
    return decai__merkle_tree_add_leaf_hashes(t, hash, 1);
}

int32_t
decai__merkle_tree_add_leaf_data(decai__merkle_tree *t, const void *data, size_t len)
{
    uint8_t hash[32];
    decai__merkle_leaf(hash, t->domain, t->count, data, len);
    return decai__merkle_tree_add_leaf_hash(t, hash);
}

const uint8_t *
decai__merkle_tree_leaf(const decai__merkle_tree *t, uint64_t index)
{
    return index < t->count ? t->level[0].hash + 32 * index : NULL;
}

static int32_t
size_check(const decai__merkle_tree *t, uint64_t count)
{
    if (count <= t->count) return 0;
    return decai__fail(DECAI_E_INVALID, "count: %llu, the tree has %llu", (unsigned long long)count,
        (unsigned long long)t->count);
}

/* The root of the full subtree of 2^h leaves that starts at `first`. */
static const uint8_t *
subtree(const decai__merkle_tree *t, size_t h, uint64_t first)
{
    decai__assert((first >> h) < t->level[h].count);
    return t->level[h].hash + 32 * (size_t)(first >> h);
}

/* The node that stands at `level` over the leaves [first, end) on the right
 * edge: its peaks, bagged from the right. end > first. */
static void
edge(const decai__merkle_tree *t, uint8_t out[32], uint64_t first, uint64_t end)
{
    bool any = false;
    uint64_t left = end - first, at = end;
    for (uint32_t h = 0; left >> h; h++) {
        if (!(left >> h & 1)) continue;
        at -= (uint64_t)1 << h;
        if (any) decai__merkle_node(out, t->domain, h + 1, subtree(t, h, at), out);
        else memcpy(out, subtree(t, h, at), 32);
        any = true;
    }
    decai__assert(any && at == first);
}

int32_t
decai__merkle_tree_root_at(const decai__merkle_tree *t, uint8_t out[32], uint64_t count)
{
    uint8_t top[32] = { 0 };
    int32_t r = size_check(t, count);
    if (r) return r;
    if (count) edge(t, top, 0, count);
    decai__merkle_root(out, t->domain, count, top);
    return 0;
}

void
decai__merkle_tree_root(const decai__merkle_tree *t, uint8_t out[32])
{
    (void)decai__merkle_tree_root_at(t, out, t->count);      /* its own count is never too large */
}

int32_t
decai__merkle_tree_prove(const decai__merkle_tree *t, uint8_t (*out)[32], size_t *n,
    uint64_t index, uint64_t count)
{
    int32_t r = size_check(t, count);
    *n = 0;
    if (r) return r;
    if (index >= count)
        return decai__fail(DECAI_E_INVALID, "index: %llu is not below count %llu", (unsigned long long)index,
            (unsigned long long)count);
    uint64_t width = count;
    for (uint32_t h = 0; width > 1; h++, width = width / 2 + (width & 1)) {
        uint64_t sibling = index >> h ^ 1;
        if (sibling >= width) continue;                      /* promoted */
        uint64_t first = sibling << h, end = DECAI__MIN(first + ((uint64_t)1 << h), count);
        edge(t, out[(*n)++], first, end);
    }
    decai__assert(*n == decai__merkle_proof_count(index, count));
    return 0;
}

int32_t
decai__merkle_tree_peaks(const decai__merkle_tree *t, uint8_t (*out)[32], size_t *n, uint64_t count)
{
    uint64_t first = 0;
    int32_t r = size_check(t, count);
    *n = 0;
    if (r) return r;
    for (size_t h = DECAI__MERKLE_LEVELS; h-- > 0;) {
        if (!(count >> h & 1)) continue;
        memcpy(out[(*n)++], subtree(t, h, first), 32);
        first += (uint64_t)1 << h;
    }
    return 0;
}

int32_t
decai__merkle_tree_diff(const decai__merkle_tree *a, const decai__merkle_tree *b, uint64_t *index)
{
    uint64_t shared = DECAI__MIN(a->count, b->count), first = 0;
    *index = 0;
    /* Whole peaks of the shared prefix first, then down into the one that differs. */
    for (size_t h = DECAI__MERKLE_LEVELS; h-- > 0;) {
        if (!(shared >> h & 1)) continue;
        if (!memcmp(subtree(a, h, first), subtree(b, h, first), 32)) {
            first += (uint64_t)1 << h;
            continue;
        }
        while (h-- > 0)
            if (!memcmp(subtree(a, h, first), subtree(b, h, first), 32)) first += (uint64_t)1 << h;
        *index = first;
        return 0;
    }
    if (a->count == b->count) return decai__fail(DECAI_E_NOT_FOUND, "tree: no leaf differs");
    *index = shared;
    return 0;
}
