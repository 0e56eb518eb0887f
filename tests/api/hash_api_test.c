/* hash_api_test.c - hash from outside: every function on good and bad arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"

static decai_context *ctx;

static int setup(void **state)
{
    (void)state;
    return decai_context_create(&ctx, NULL);
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

static void unhex(uint8_t *out, const char *text)
{
    size_t len;
    assert_int_equal(decai_hex_decode(out, strlen(text) / 2, &len, text, strlen(text)), 0);
}

static void hashes(void **state)
{
    uint8_t out[32], want[32];
    (void)state;
    unhex(want, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    assert_int_equal(decai_hash_keccak256(out, 32, (const uint8_t *)"abc", 3), 0);
    assert_memory_equal(out, want, 32);
    unhex(want, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(decai_hash_sha256(ctx, out, 32, (const uint8_t *)"abc", 3), 0);
    assert_memory_equal(out, want, 32);
    assert_int_equal(decai_hash_keccak256(out, 32, NULL, 0), 0);
    assert_int_equal(decai_hash_sha256(ctx, out, 32, NULL, 0), 0);

    assert_int_equal(decai_hash_keccak256(NULL, 32, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_hash_keccak256(out, 31, NULL, 0), DECAI_E_INVALID);
    assert_string_equal(decai_error_detail(), "out_len: 31, must be 32");
    assert_int_equal(decai_hash_keccak256(out, 33, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_hash_keccak256(out, 32, NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_hash_sha256(NULL, out, 32, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_hash_sha256(ctx, out, 31, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_hash_sha256(ctx, out, 32, NULL, 1), DECAI_E_INVALID);
}

static decai_tree *grow(size_t leaves)
{
    decai_tree *tree = NULL;
    assert_int_equal(decai_tree_create(&tree, ctx, "org.example.log.v1"), 0);
    for (uint8_t i = 0; i < leaves; i++) assert_int_equal(decai_tree_add(tree, &i, 1), 0);
    return tree;
}

static void trees(void **state)
{
    enum { LEAVES = 13 };
    uint8_t root[32], proof[1280], leaf;
    uint64_t count = 0;
    size_t len = 0, need = 0;
    (void)state;
    decai_tree *tree = grow(LEAVES);
    assert_int_equal(decai_tree_count_get(tree, &count), 0);
    assert_int_equal(count, LEAVES);
    for (uint64_t size = 1; size <= LEAVES; size++)
        for (uint64_t i = 0; i < size; i++) {
            leaf = (uint8_t)i;
            assert_int_equal(decai_tree_root_get(tree, root, 32, size), 0);
            int32_t r = decai_tree_prove(tree, NULL, 0, &need, i, size);
            assert_int_equal(r, need ? DECAI_E_SPACE : 0);
            assert_int_equal(decai_tree_prove(tree, proof, sizeof proof, &len, i, size), 0);
            assert_int_equal(len, need);
            assert_int_equal(decai_tree_verify("org.example.log.v1", root, 32, i, size, &leaf, 1, proof, len), 0);
            leaf ^= 1;
            assert_int_equal(decai_tree_verify("org.example.log.v1", root, 32, i, size, &leaf, 1, proof, len),
                DECAI_E_INTEGRITY);
            assert_int_equal(decai_tree_verify("org.example.log.v1", root, 32, i, size, &leaf, 1, proof, len + 32),
                DECAI_E_CORRUPT);
        }
    decai_destroy(tree);
}

/* The empty tree: root of count 0 over 32 zero bytes. */
static void empty(void **state)
{
    uint8_t root[32], want[32], pre[1 + 1 + 18 + 8 + 32] = { 2, 18 };
    size_t len = 9;
    uint64_t count = 9;
    (void)state;
    decai_tree *tree = grow(0);
    memcpy(pre + 2, "org.example.log.v1", 18);
    assert_int_equal(decai_hash_keccak256(want, 32, pre, sizeof pre), 0);
    assert_int_equal(decai_tree_root_get(tree, root, 32, 0), 0);
    assert_memory_equal(root, want, 32);
    assert_int_equal(decai_tree_count_get(tree, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(decai_tree_prove(tree, NULL, 0, &len, 0, 0), DECAI_E_INVALID);
    assert_int_equal(len, 0);
    assert_int_equal(decai_tree_verify("org.example.log.v1", root, 32, 0, 0, NULL, 0, NULL, 0), DECAI_E_INVALID);
    decai_destroy(tree);
}

static void tree_arguments(void **state)
{
    uint8_t root[32], byte = 0;
    size_t len = 9;
    decai_tree *tree = (decai_tree *)&len;
    char domain[DECAI_DOMAIN_MAX + 2];
    (void)state;
    assert_int_equal(decai_tree_create(NULL, ctx, "x"), DECAI_E_INVALID);
    assert_int_equal(decai_tree_create(&tree, NULL, "x"), DECAI_E_INVALID);
    assert_null(tree);
    assert_int_equal(decai_tree_create(&tree, ctx, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_tree_create(&tree, ctx, ""), DECAI_E_INVALID);
    assert_int_equal(decai_tree_create(&tree, ctx, "a b"), DECAI_E_INVALID);
    for (size_t n = DECAI_DOMAIN_MAX - 1; n <= DECAI_DOMAIN_MAX + 1; n++) {
        memset(domain, 'x', n);
        domain[n] = 0;
        assert_int_equal(decai_tree_create(&tree, ctx, domain), n > DECAI_DOMAIN_MAX ? DECAI_E_LIMIT : 0);
        decai_destroy(tree);
    }
    tree = grow(3);
    assert_int_equal(decai_tree_add(tree, NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_tree_add(NULL, &byte, 1), DECAI_E_INVALID);
    assert_int_equal(decai_tree_add((decai_tree *)ctx, &byte, 1), DECAI_E_INVALID);
    assert_int_equal(decai_tree_count_get(tree, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_tree_root_get(tree, root, 31, 3), DECAI_E_INVALID);
    assert_int_equal(decai_tree_root_get(tree, root, 32, 4), DECAI_E_INVALID);
    assert_int_equal(decai_tree_prove(tree, NULL, 0, NULL, 0, 3), DECAI_E_INVALID);
    assert_int_equal(decai_tree_prove(tree, NULL, 1, &len, 0, 3), DECAI_E_INVALID);
    assert_int_equal(decai_tree_prove(tree, NULL, 0, &len, 3, 3), DECAI_E_INVALID);
    assert_int_equal(len, 0);
    assert_int_equal(decai_tree_root_get(tree, root, 32, 3), 0);
    assert_int_equal(decai_tree_verify(NULL, root, 32, 0, 3, NULL, 0, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tree_verify("x", root, 33, 0, 3, NULL, 0, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tree_verify("x", NULL, 32, 0, 3, NULL, 0, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tree_verify("x", root, 32, 0, 3, NULL, 1, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tree_verify("x", root, 32, 0, 3, NULL, 0, NULL, 64), DECAI_E_INVALID);
    assert_int_equal(decai_tree_verify("x", root, 32, 3, 3, NULL, 0, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tree_verify("x", root, 32, 0, DECAI_TREE_COUNT_MAX, NULL, 0, NULL, 0), DECAI_E_CORRUPT);
    assert_int_equal(decai_tree_verify("x", root, 32, 0, (uint64_t)DECAI_TREE_COUNT_MAX + 1, NULL, 0, NULL, 0),
        DECAI_E_LIMIT);
    /* A tree keeps its context: the order of destruction does not matter. */
    decai_context *own = NULL;
    decai_tree *child = NULL;
    assert_int_equal(decai_context_create(&own, NULL), 0);
    assert_int_equal(decai_tree_create(&child, own, "x"), 0);
    decai_destroy(own);
    assert_int_equal(decai_tree_add(child, &byte, 1), 0);
    decai_destroy(child);
    decai_destroy(tree);
}

/* Two claims by hand: leaf = keccak(keccak(abi.encode(account, amount))). */
static void claim_leaf(uint8_t out[32], uint8_t account, uint8_t amount)
{
    uint8_t abi[64] = { 0 };
    memset(abi + 12, account, 20);
    abi[63] = amount;
    assert_int_equal(decai_hash_keccak256(out, 32, abi, 64), 0);
    assert_int_equal(decai_hash_keccak256(out, 32, out, 32), 0);
}

static void claims(void **state)
{
    uint8_t account[20], amount[32] = { 0 }, leaf[2][32], pair[64], root[32];
    uint8_t proof[DECAI_CLAIM_PROOF_MAX + 32] = { 0 };
    (void)state;
    memset(account, 1, sizeof account);
    amount[31] = 5;
    claim_leaf(leaf[0], 1, 5);
    claim_leaf(leaf[1], 2, 6);
    size_t low = memcmp(leaf[0], leaf[1], 32) < 0 ? 0 : 1;
    memcpy(pair, leaf[low], 32);
    memcpy(pair + 32, leaf[1 - low], 32);
    assert_int_equal(decai_hash_keccak256(root, 32, pair, 64), 0);
    assert_int_equal(decai_claim_verify(root, 32, account, 20, amount, 32, leaf[1], 32), 0);
    assert_int_equal(decai_claim_verify(leaf[0], 32, account, 20, amount, 32, NULL, 0), 0);
    amount[31] = 6;
    assert_int_equal(decai_claim_verify(root, 32, account, 20, amount, 32, leaf[1], 32), DECAI_E_INTEGRITY);
    assert_int_equal(decai_claim_verify(root, 32, account, 20, amount, 32, leaf[1], 31), DECAI_E_CORRUPT);
    assert_int_equal(decai_claim_verify(root, 31, account, 20, amount, 32, leaf[1], 32), DECAI_E_INVALID);
    assert_int_equal(decai_claim_verify(root, 32, account, 19, amount, 32, leaf[1], 32), DECAI_E_INVALID);
    assert_int_equal(decai_claim_verify(root, 32, account, 20, amount, 33, leaf[1], 32), DECAI_E_INVALID);
    assert_int_equal(decai_claim_verify(root, 32, account, 20, amount, 32, NULL, 32), DECAI_E_INVALID);
    for (size_t n = DECAI_CLAIM_PROOF_MAX - 32; n <= DECAI_CLAIM_PROOF_MAX + 32; n += 32)
        assert_int_equal(decai_claim_verify(root, 32, account, 20, amount, 32, proof, n),
            n > DECAI_CLAIM_PROOF_MAX ? DECAI_E_LIMIT : DECAI_E_INTEGRITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes), cmocka_unit_test(trees), cmocka_unit_test(empty), cmocka_unit_test(tree_arguments),
        cmocka_unit_test(claims),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
