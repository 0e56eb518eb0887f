/* oz.c - the tree that contracts of the OpenZeppelin family verify, so that a
 * payout can be claimed on chain. Layout as @openzeppelin/merkle-tree documents
 * and dumps it ("standard-v1", "simple-v1"):
 *
 *   - 2n-1 hashes in a heap: root at 0, children of i at 2i+1 and 2i+2
 *   - the leaves fill the array from its end backwards, sorted by hash or as given
 *   - a parent is keccak of its children in ascending order, so that a proof
 *     needs no directions
 *   - a standard leaf is keccak(keccak(abi.encode(values)))
 *
 * It binds neither index nor count nor domain: two leaves may change places
 * unseen. Good for "this account gets that amount", for nothing ordered.
 */
#include <string.h>

#include "hash/internal.h"

struct decai__oz_tree {
    decai_context *ctx;
    size_t count;                  /* leaves */
    uint8_t *node;                 /* 2*count - 1 hashes */
    size_t *index;                 /* of the i-th value in node */
};

void
decai__oz_leaf(uint8_t out[32], const void *abi, size_t len)
{
    uint8_t once[32];
    decai__keccak256(once, abi, len);
    decai__keccak256(out, once, sizeof once);
}

void
decai__oz_leaf_claim(uint8_t out[32], const uint8_t account[20], const uint8_t amount[32])
{
    uint8_t abi[64] = { 0 };       /* an address is left-padded to a word */
    memcpy(abi + 12, account, 20);
    memcpy(abi + 32, amount, 32);
    decai__oz_leaf(out, abi, sizeof abi);
}

void
decai__oz_node(uint8_t out[32], const uint8_t a[32], const uint8_t b[32])
{
    uint8_t pair[64];
    bool ascending = memcmp(a, b, 32) <= 0;
    memcpy(pair, ascending ? a : b, 32);
    memcpy(pair + 32, ascending ? b : a, 32);
    decai__keccak256(out, pair, sizeof pair);
}

/* Heapsort of value numbers by leaf hash, then by number: in place, no
 * recursion, n log n for every input, and equal leaves keep their order. */
static bool
above(const uint8_t *leaves, size_t a, size_t b)
{
    int c = memcmp(leaves + 32 * a, leaves + 32 * b, 32);
    return c > 0 || (c == 0 && a > b);
}

static void
sift(const uint8_t *leaves, size_t *order, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count && above(leaves, order[child + 1], order[child])) child++;
        if (!above(leaves, order[child], order[root])) return;
        size_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
        root = child;
    }
}

static void
sort(const uint8_t *leaves, size_t *order, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) sift(leaves, order, i, count);
    for (size_t end = count; end-- > 1;) {
        size_t swap = order[0];
        order[0] = order[end];
        order[end] = swap;
        sift(leaves, order, 0, end);
    }
}

static int32_t
fill(decai__oz_tree *t, const uint8_t *leaves, bool sort_leaves)
{
    size_t total = 2 * t->count - 1;
    size_t *order = decai__calloc(t->ctx, t->count, sizeof *order);
    if (!order) return decai__fail(DECAI_E_NOMEM, "claim tree: an order of %zu leaves", t->count);
    for (size_t i = 0; i < t->count; i++) order[i] = i;
    if (sort_leaves) sort(leaves, order, t->count);
    for (size_t i = 0; i < t->count; i++) {
        t->index[order[i]] = total - 1 - i;
        memcpy(t->node + 32 * (total - 1 - i), leaves + 32 * order[i], 32);
    }
    for (size_t i = total - t->count; i-- > 0;)
        decai__oz_node(t->node + 32 * i, t->node + 32 * (2 * i + 1), t->node + 32 * (2 * i + 2));
    decai__free(t->ctx, order);
    return 0;
}

int32_t
decai__oz_tree_create(decai_context *ctx, decai__oz_tree **out, const uint8_t *leaves, size_t count,
    bool sort_leaves)
{
    int32_t r = 0;
    *out = NULL;
    if (!count) return decai__fail(DECAI_E_INVALID, "claim tree: no leaves");
    if (count > SIZE_MAX / 128) return decai__fail(DECAI_E_LIMIT, "claim tree: %zu leaves", count);
    decai__oz_tree *t = decai__calloc(ctx, 1, sizeof *t);
    if (!t) return decai__fail(DECAI_E_NOMEM, "claim tree");
    t->ctx = ctx;
    t->count = count;
    t->node = decai__calloc(ctx, 2 * count - 1, 32);
    t->index = decai__calloc(ctx, count, sizeof *t->index);
    if (!t->node || !t->index) r = decai__fail(DECAI_E_NOMEM, "claim tree: %zu leaves", count);
    if (!r) r = fill(t, leaves, sort_leaves);
    if (r) decai__oz_tree_free(t);
    else *out = t;
    return r;
}

void
decai__oz_tree_free(decai__oz_tree *t)
{
    if (!t) return;
    decai__free(t->ctx, t->node);
    decai__free(t->ctx, t->index);
    decai__free(t->ctx, t);
}

const uint8_t *
decai__oz_tree_root(const decai__oz_tree *t)
{
    return t->node;
}

const uint8_t *
decai__oz_tree_nodes(const decai__oz_tree *t, size_t *count)
{
    *count = 2 * t->count - 1;
    return t->node;
}

size_t
decai__oz_tree_index(const decai__oz_tree *t, size_t i)
{
    decai__assert(i < t->count);
    return t->index[i];
}

int32_t
decai__oz_tree_prove(const decai__oz_tree *t, decai__buf *out, size_t i)
{
    int32_t r = 0;
    if (i >= t->count) return decai__fail(DECAI_E_INVALID, "claim tree: value %zu of %zu", i, t->count);
    for (size_t at = t->index[i]; at > 0 && !r; at = (at - 1) / 2) {
        size_t sibling = at % 2 ? at + 1 : at - 1;           /* left children are odd */
        r = decai__buf_add(out, t->node + 32 * sibling, 32);
    }
    return r;
}

int32_t
decai__oz_verify(const uint8_t root[32], const uint8_t leaf[32], const uint8_t *proof, size_t proof_len)
{
    uint8_t at[32];
    if (proof_len > DECAI_CLAIM_PROOF_MAX)
        return decai__fail(DECAI_E_LIMIT, "proof: %zu bytes, at most DECAI_CLAIM_PROOF_MAX (%d)", proof_len,
            DECAI_CLAIM_PROOF_MAX);
    if (proof_len % 32)
        return decai__fail(DECAI_E_CORRUPT, "proof: %zu bytes are not whole hashes", proof_len);
    memcpy(at, leaf, 32);
    for (size_t i = 0; i < proof_len; i += 32) decai__oz_node(at, at, proof + i);
    if (memcmp(at, root, 32)) return decai__fail(DECAI_E_INTEGRITY, "root: the proof leads to another one");
    return 0;
}
