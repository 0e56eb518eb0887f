/* sweep_hash.c - the allocation sweep's fixtures for hash. */
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

static int32_t hashes(decai_context *ctx, void *state)
{
    uint8_t out[32];
    (void)state;
    int32_t r = decai_hash_keccak256(out, 32, (const uint8_t *)"abc", 3);
    return r ? r : decai_hash_sha256(ctx, out, 32, (const uint8_t *)"abc", 3);
}

static int32_t keccak(decai_context *ctx, void *state)
{
    uint8_t out[32];
    (void)ctx, (void)state;
    return decai_hash_keccak256(out, 32, (const uint8_t *)"abc", 3);
}

static int32_t tree_setup(decai_context *ctx, void **state)
{
    decai_tree *tree = NULL;
    int32_t r = decai_tree_create(&tree, ctx, "org.example.sweep.v1");
    for (uint8_t i = 0; i < 9 && !r; i++) r = decai_tree_add(tree, &i, 1);
    *state = tree;
    return r;
}

static void tree_teardown(decai_context *ctx, void *state)
{
    (void)ctx;
    decai_destroy(state);
}

static int32_t tree_create(decai_context *ctx, void *state)
{
    decai_tree *tree = NULL;
    (void)state;
    int32_t r = decai_tree_create(&tree, ctx, "org.example.sweep.v1");
    decai_destroy(tree);
    return r;
}

/* Its own tree, from empty: every level is allocated once. */
static int32_t tree_add(decai_context *ctx, void *state)
{
    decai_tree *tree = NULL;
    uint64_t before = 0, after = 0;
    int torn = 0;
    (void)state;
    int32_t r = decai_tree_create(&tree, ctx, "org.example.sweep.v1");
    for (uint8_t i = 0; i < 20 && !r; i++) {
        r = decai_tree_count_get(tree, &before);
        if (!r) r = decai_tree_add(tree, &i, 1);
        /* a failed add leaves the tree as it was */
        if (r && (decai_tree_count_get(tree, &after) || after != before)) torn = 1;
    }
    decai_destroy(tree);
    if (torn) abort();                   /* no code the driver would take for a clean failure */
    return r;
}

static int32_t tree_read(decai_context *ctx, void *state)
{
    uint8_t root[32], proof[1280], leaf = 3;
    uint64_t count = 0;
    size_t len = 0;
    (void)ctx;
    int32_t r = decai_tree_count_get(state, &count);
    if (!r) r = decai_tree_root_get(state, root, 32, count);
    if (!r) r = decai_tree_prove(state, proof, sizeof proof, &len, leaf, count);
    if (!r) r = decai_tree_verify("org.example.sweep.v1", root, 32, leaf, count, &leaf, 1, proof, len);
    return r;
}

static int32_t claim(decai_context *ctx, void *state)
{
    uint8_t abi[64] = { 0 }, root[32];
    (void)ctx, (void)state;
    memset(abi + 12, 1, 20);
    abi[63] = 5;
    int32_t r = decai_hash_keccak256(root, 32, abi, 64);
    if (!r) r = decai_hash_keccak256(root, 32, root, 32);
    return r ? r : decai_claim_verify(root, 32, abi + 12, 20, abi + 32, 32, NULL, 0);
}

const sweep_case sweep_hash[] = {
    { "decai_hash_keccak256", NULL, keccak, NULL },
    { "decai_hash_sha256", NULL, hashes, NULL },
    { "decai_tree_create", NULL, tree_create, NULL },
    { "decai_tree_add", NULL, tree_add, NULL },
    { "decai_tree_count_get", tree_setup, tree_read, tree_teardown },
    { "decai_tree_root_get", tree_setup, tree_read, tree_teardown },
    { "decai_tree_prove", tree_setup, tree_read, tree_teardown },
    { "decai_tree_verify", tree_setup, tree_read, tree_teardown },
    { "decai_claim_verify", NULL, claim, NULL },
    { NULL, NULL, NULL, NULL },
};
