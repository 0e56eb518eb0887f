/* fuzz_merkle_proof.c - a proof from nowhere never verifies, a proof from the
 * tree always does.
 *
 *     byte 0 index, byte 1 count, byte 2 how the proof is damaged; the rest is
 *     a proof of the adversary's own, tried as it is */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hash/hash.h"

#define DOMAIN "decai.example.tree.v1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    static decai__merkle_tree tree;
    uint8_t root[32], proof[DECAI__MERKLE_LEVELS][32];
    size_t n = 0;
    if (!ctx) {
        if (decai_context_create(&ctx, NULL) || decai__merkle_tree_init(&tree, ctx, DOMAIN)) abort();
        for (uint32_t i = 0; i < 255; i++)
            if (decai__merkle_tree_add_leaf_data(&tree, &i, sizeof i)) abort();
    }
    if (size < 3) return 0;
    uint64_t index = data[0], count = data[1];
    if (decai__merkle_tree_root_at(&tree, root, count)) abort();
    int32_t made = decai__merkle_tree_prove(&tree, proof, &n, index, count);
    if ((made == 0) != (index < count)) abort();
    const uint8_t *leaf = decai__merkle_tree_leaf(&tree, index);
    if (!made && decai__merkle_verify(root, DOMAIN, index, count, leaf, proof[0], 32 * n)) abort();
    if (!made && n) {
        proof[data[2] % n][data[2] / 8] ^= (uint8_t)(1 << data[2] % 8);
        if (!decai__merkle_verify(root, DOMAIN, index, count, leaf, proof[0], 32 * n)) abort();
        proof[data[2] % n][data[2] / 8] ^= (uint8_t)(1 << data[2] % 8);
    }
    int32_t r = decai__merkle_verify(root, DOMAIN, index, count, leaf ? leaf : root, data + 3, size - 3);
    bool genuine = !made && size - 3 == 32 * n && !memcmp(data + 3, proof[0], 32 * n);
    if ((r == 0) != genuine) abort();
    (void)decai__oz_verify(root, root, data + 3, size - 3);
    return 0;
}
