/* merkle.c - the native tree: its three preimages, the streaming builder and
 * the strict verifier.
 *
 *     leaf  0x00 | u8 len, domain | u64 index | u64 len, data
 *     node  0x01 | u8 len, domain | u8 level  | left 32 | right 32
 *     root  0x02 | u8 len, domain | u64 count | top 32
 *
 * The first byte keeps the three apart, so a node can never be presented as a
 * leaf; the index in the leaf and the count in the root keep every leaf at its
 * place; promotion instead of pairing a node with itself leaves no two lists of
 * leaves with one root (CVE-2012-2459 was that).
 *
 *     count 5:          root
 *                        |
 *                 level 3 x                 a path's siblings: leaf 4 has one
 *                        / \                 (the left half), leaves 0..3 have
 *         level 2       x   \                three; all from index and count
 *                     /   \  \
 *         level 1    x     x  \              leaf 4 is promoted through
 *                   / \   / \  \             levels 1 and 2
 *         level 0  0   1 2   3  4
 */
#include <string.h>

#include "hash/internal.h"

/* Every head fits one buffer: tag, length, domain and two integers. */
#define HEAD_MAX (1 + 1 + DECAI_DOMAIN_MAX + 8 + 8)

static size_t
put_head(uint8_t *head, uint8_t tag, const char *domain)
{
    size_t len = strlen(domain);
    decai__assert(len >= 1 && len <= DECAI_DOMAIN_MAX);
    head[0] = tag;
    head[1] = (uint8_t)len;
    memcpy(head + 2, domain, len);
    return 2 + len;
}

static size_t
put_leaf_head(uint8_t *head, const char *domain, uint64_t index, uint64_t len)
{
    size_t at = put_head(head, 0x00, domain);
    decai__store_be64(head + at, index);
    decai__store_be64(head + at + 8, len);
    return at + 16;
}

void
decai__merkle_leaf(uint8_t out[32], const char *domain, uint64_t index, const void *data, size_t len)
{
    uint8_t head[HEAD_MAX];
    decai__keccak k;
    decai__keccak_init(&k);
    decai__keccak_update(&k, head, put_leaf_head(head, domain, index, len));
    decai__keccak_update(&k, data, len);
    decai__keccak_final(&k, out);
}

void
decai__merkle_leaf_each(uint8_t (*out)[32], const char *domain, const uint64_t *index,
    const void *const *data, size_t len, size_t count)
{
    uint8_t heads[DECAI__KECCAK_WIDE_MAX][HEAD_MAX];
    decai__keccak_batch b = { .heads = heads[0], .head_step = HEAD_MAX, .len = len };
    for (size_t done = 0; done < count; done += b.count) {
        b.count = DECAI__MIN(count - done, DECAI__KECCAK_WIDE_MAX);
        b.data = data + done;
        for (size_t j = 0; j < b.count; j++) b.head_len = put_leaf_head(heads[j], domain, index[done + j], len);
        decai__keccak_batch_as(DECAI__KECCAK_WIDE_MAX, out + done, &b);
    }
}

void
decai__merkle_leaf_many(uint8_t (*out)[32], const char *domain, uint64_t index, uint64_t step,
    const void *const *data, size_t len, size_t count)
{
    uint64_t each[DECAI__KECCAK_WIDE_MAX];
    for (size_t done = 0, n; done < count; done += n) {
        n = DECAI__MIN(count - done, DECAI__KECCAK_WIDE_MAX);
        for (size_t j = 0; j < n; j++) each[j] = index + (done + j) * step;
        decai__merkle_leaf_each(out + done, domain, each, data + done, len, n);
    }
}

void
decai__merkle_node(uint8_t out[32], const char *domain, uint32_t level, const uint8_t left[32],
    const uint8_t right[32])
{
    uint8_t node[HEAD_MAX + 64];
    size_t at = put_head(node, 0x01, domain);
    decai__assert(level >= 1 && level < 64);
    node[at++] = (uint8_t)level;
    memcpy(node + at, left, 32);
    memcpy(node + at + 32, right, 32);
    decai__keccak256(out, node, at + 64);
}

void
decai__merkle_nodes(uint8_t *out, const char *domain, uint32_t level, const uint8_t *pair, size_t pairs)
{
    uint8_t head[HEAD_MAX], made[DECAI__KECCAK_WIDE_MAX][32];
    const void *data[DECAI__KECCAK_WIDE_MAX];
    decai__keccak_batch b = { .heads = head, .head_len = put_head(head, 0x01, domain) + 1, .data = data, .len = 64 };
    head[b.head_len - 1] = (uint8_t)level;
    for (; pairs; pairs -= b.count, pair += 64 * b.count, out += 32 * b.count) {
        b.count = DECAI__MIN(pairs, DECAI__KECCAK_WIDE_MAX);
        for (size_t j = 0; j < b.count; j++) data[j] = pair + 64 * j;
        decai__keccak_batch_as(DECAI__KECCAK_WIDE_MAX, made, &b);
        memcpy(out, made, 32 * b.count);
    }
}

void
decai__merkle_root(uint8_t out[32], const char *domain, uint64_t count, const uint8_t top[32])
{
    uint8_t head[HEAD_MAX + 32];
    size_t at = put_head(head, 0x02, domain);
    decai__store_be64(head + at, count);
    memcpy(head + at + 8, top, 32);
    decai__keccak256(out, head, at + 40);
}

/* ---- verification -------------------------------------------------------- */

size_t
decai__merkle_proof_count(uint64_t index, uint64_t count)
{
    size_t n = 0;
    decai__assert(index < count);
    /* At each level the width is halved, rounding up. The last node of an odd
     * level has no sibling. */
    for (uint64_t width = count; width > 1; width = width / 2 + (width & 1), index /= 2)
        if (!(index == width - 1 && (width & 1))) n++;
    return n;
}

static int32_t
verify_check(const char *domain, uint64_t index, uint64_t count, size_t proof_len)
{
    int32_t r = decai__domain_check(domain);
    if (r) return r;
    if (count > DECAI_TREE_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, "count: %llu is above DECAI_TREE_COUNT_MAX", (unsigned long long)count);
    if (index >= count)
        return decai__fail(DECAI_E_INVALID, "index: %llu is not below count %llu", (unsigned long long)index,
            (unsigned long long)count);
    size_t want = 32 * decai__merkle_proof_count(index, count);
    if (proof_len != want)
        return decai__fail(DECAI_E_CORRUPT, "proof: %zu bytes, index and count ask for %zu", proof_len, want);
    return 0;
}

int32_t
decai__merkle_verify(const uint8_t root[32], const char *domain, uint64_t index, uint64_t count,
    const uint8_t leaf[32], const uint8_t *proof, size_t proof_len)
{
    uint8_t at[32];
    uint32_t level = 0;
    int32_t r = verify_check(domain, index, count, proof_len);
    if (r) return r;
    memcpy(at, leaf, 32);
    for (uint64_t width = count; width > 1; width = width / 2 + (width & 1), index /= 2) {
        level++;
        if (index == width - 1 && (width & 1)) continue;
        if (index & 1) decai__merkle_node(at, domain, level, proof, at);
        else decai__merkle_node(at, domain, level, at, proof);
        proof += 32;
    }
    decai__merkle_root(at, domain, count, at);
    if (memcmp(at, root, 32)) return decai__fail(DECAI_E_INTEGRITY, "root: the proof leads to another one");
    return 0;
}

/* ---- streaming builder ---------------------------------------------------- */

int32_t
decai__merkle_builder_init(decai__merkle_builder *b, const char *domain)
{
    memset(b, 0, sizeof *b);
    int32_t r = decai__domain_check(domain);
    if (!r) memcpy(b->domain, domain, strlen(domain) + 1);
    return r;
}

int32_t
decai__merkle_builder_add_leaf_hash(decai__merkle_builder *b, const uint8_t hash[32])
{
    uint8_t at[32];
    uint32_t level = 0;
    decai__assert(b->domain[0]);
    if (b->count >= DECAI_TREE_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, "tree: more than DECAI_TREE_COUNT_MAX leaves");
    memcpy(at, hash, 32);
    /* A binary counter: carry while the peak of this height is there. */
    for (uint64_t bits = b->count; bits & 1; bits >>= 1) {
        decai__merkle_node(at, b->domain, level + 1, b->peak[level], at);
        level++;
    }
    memcpy(b->peak[level], at, 32);
    b->count++;
    return 0;
}

int32_t
decai__merkle_builder_add_leaf_data(decai__merkle_builder *b, const void *data, size_t len)
{
    uint8_t hash[32];
    decai__merkle_leaf(hash, b->domain, b->count, data, len);
    return decai__merkle_builder_add_leaf_hash(b, hash);
}

/* One batch of whole chunks, hashed in groups. */
#define BATCH 64
struct batch {
    const char *domain;
    const uint8_t *data;
    uint64_t index;
    size_t chunk, count;
    uint8_t hash[BATCH][32];
};

static void
batch_group(void *user, size_t group)
{
    struct batch *t = user;
    const void *data[DECAI__KECCAK_WIDE_MAX];
    size_t first = DECAI__KECCAK_WIDE_MAX * group, n = DECAI__MIN(t->count - first, DECAI__KECCAK_WIDE_MAX);
    for (size_t j = 0; j < n; j++) data[j] = t->data + (first + j) * t->chunk;
    decai__merkle_leaf_many(&t->hash[first], t->domain, t->index + first, 1, data, t->chunk, n);
}

int32_t
decai__merkle_builder_add_chunks(decai__merkle_builder *b, decai_context *ctx, const void *data,
    size_t len, size_t chunk)
{
    struct batch t = { .domain = b->domain, .data = data, .chunk = chunk };
    int32_t r = 0;
    decai__assert(chunk > 0);
    while (len >= chunk && !r) {
        t.index = b->count;
        t.count = DECAI__MIN(len / chunk, (size_t)BATCH);
        size_t groups = (t.count + DECAI__KECCAK_WIDE_MAX - 1) / DECAI__KECCAK_WIDE_MAX;
        if (ctx && groups > 1) decai__parallel(ctx, groups, batch_group, &t);
        else for (size_t g = 0; g < groups; g++) batch_group(&t, g);
        for (size_t i = 0; i < t.count && !r; i++) r = decai__merkle_builder_add_leaf_hash(b, t.hash[i]);
        t.data += t.count * chunk;
        len -= t.count * chunk;
    }
    if (len && !r) r = decai__merkle_builder_add_leaf_data(b, t.data, len);
    return r;
}

void
decai__merkle_builder_root(const decai__merkle_builder *b, uint8_t out[32])
{
    uint8_t top[32] = { 0 };
    bool any = false;
    /* Bag the peaks from the smallest up; a peak alone is promoted as it is. */
    for (uint32_t level = 0; level < DECAI__MERKLE_LEVELS; level++) {
        if (!(b->count >> level & 1)) continue;
        if (any) decai__merkle_node(top, b->domain, level + 1, b->peak[level], top);
        else memcpy(top, b->peak[level], 32);
        any = true;
    }
    decai__merkle_root(out, b->domain, b->count, top);
}
