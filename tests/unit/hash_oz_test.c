/* hash_oz_test.c - the claim tree: dumps of @openzeppelin/merkle-tree byte for
 * byte, proofs for every value, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "hash/hash.h"

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

static decai__json *load(const char *name)
{
    static char text[1 << 16];
    char path[512];
    const char *dir = getenv("DECAI_VECTORS");
    decai__json *doc = NULL;
    snprintf(path, sizeof path, "%s/openzeppelin-merkle/%s.json", dir ? dir : "../shared/vectors", name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("# skip: no %s\n", path);
        skip();
        return NULL;
    }
    size_t len = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_int_equal(decai__json_parse(ctx, &doc, text, len), 0);
    return doc;
}

/* The leaf hash of one entry of "values". */
static void leaf_of(const decai__json *doc, const decai__json_node *entry, bool standard, uint8_t out[32])
{
    const decai__json_node *value = decai__json_find(entry, "value");
    if (!standard) {
        assert_int_equal(decai__json_hex(doc, value, out, 32), 0);
        return;
    }
    decai__abi_value v[4] = { { 0 } };
    size_t n = 0, len;
    const char *text;
    for (const decai__json_node *at = decai__json_first(value); at; at = decai__json_next(at), n++) {
        assert_int_equal(decai__json_str(doc, at, &text, &len), 0);
        v[n] = (decai__abi_value){ .type = DECAI__ABI_STRING, .data = text, .len = len };
    }
    decai__buf abi;
    decai__buf_init(&abi, ctx, 4096, "test");
    assert_int_equal(decai__abi_encode(&abi, v, n), 0);
    decai__oz_leaf(out, abi.data, abi.len);
    decai__buf_free(&abi);
}

static void dump(const char *name, bool standard, bool sorted)
{
    uint8_t leaves[32 * 32], node[32];
    size_t count = 0, total, i = 0;
    decai__oz_tree *t = NULL;
    decai__json *doc = load(name);
    const decai__json_node *values, *tree;
    assert_int_equal(decai__json_get(doc, decai__json_root(doc), "values", DECAI__JSON_ARRAY, &values), 0);
    assert_int_equal(decai__json_get(doc, decai__json_root(doc), "tree", DECAI__JSON_ARRAY, &tree), 0);
    for (const decai__json_node *at = decai__json_first(values); at; at = decai__json_next(at))
        leaf_of(doc, at, standard, leaves + 32 * count++);
    assert_true(count >= 5);
    assert_int_equal(decai__oz_tree_create(ctx, &t, leaves, count, sorted), 0);
    const uint8_t *nodes = decai__oz_tree_nodes(t, &total);
    assert_int_equal(total, decai__json_count(tree));
    for (const decai__json_node *at = decai__json_first(tree); at; at = decai__json_next(at), nodes += 32) {
        assert_int_equal(decai__json_hex(doc, at, node, 32), 0);
        assert_memory_equal(nodes, node, 32);
    }
    for (const decai__json_node *at = decai__json_first(values); at; at = decai__json_next(at), i++) {
        uint64_t index;
        assert_int_equal(decai__json_get_u64(doc, at, "treeIndex", &index), 0);
        assert_int_equal(decai__oz_tree_index(t, i), index);
    }
    decai__oz_tree_free(t);
    decai__json_free(doc);
}

static void standard_sorted(void **state)
{
    (void)state;
    dump("standard-v1.sorted.1_0_6", true, true);
}

static void standard_unsorted(void **state)
{
    (void)state;
    dump("standard-v1.unsorted.1_0_6", true, false);
}

static void simple_sorted(void **state)
{
    (void)state;
    dump("simple-v1.sorted.1_0_6", false, true);
}

static void simple_unsorted(void **state)
{
    (void)state;
    dump("simple-v1.unsorted.1_0_6", false, false);
}

static void proofs(void **state)
{
    enum { MAX = 40 };
    uint8_t leaves[32 * MAX], amount[32] = { 0 }, account[20] = { 0 };
    (void)state;
    for (size_t count = 1; count <= MAX; count++)
        for (int sorted = 0; sorted <= 1; sorted++) {
            decai__oz_tree *t = NULL;
            for (size_t i = 0; i < count; i++) {
                account[19] = (uint8_t)(i / 2);          /* equal accounts, sometimes equal leaves */
                amount[31] = (uint8_t)(i % 3 ? i : 7);
                decai__oz_leaf_claim(leaves + 32 * i, account, amount);
            }
            assert_int_equal(decai__oz_tree_create(ctx, &t, leaves, count, sorted), 0);
            for (size_t i = 0; i < count; i++) {
                decai__buf proof;
                decai__buf_init(&proof, ctx, DECAI_CLAIM_PROOF_MAX, "test");
                assert_int_equal(decai__oz_tree_prove(t, &proof, i), 0);
                assert_int_equal(decai__oz_verify(decai__oz_tree_root(t), leaves + 32 * i, proof.data, proof.len), 0);
                if (proof.len) {
                    proof.data[proof.len / 2] ^= 1;
                    assert_int_equal(decai__oz_verify(decai__oz_tree_root(t), leaves + 32 * i, proof.data, proof.len),
                        DECAI_E_INTEGRITY);
                    assert_int_equal(decai__oz_verify(decai__oz_tree_root(t), leaves + 32 * i, proof.data,
                        proof.len - 1), DECAI_E_CORRUPT);
                }
                decai__buf_free(&proof);
            }
            decai__buf none;
            decai__buf_init(&none, ctx, 64, "test");
            assert_int_equal(decai__oz_tree_prove(t, &none, count), DECAI_E_INVALID);
            decai__oz_tree_free(t);
        }
    decai__oz_tree *none = NULL;
    assert_int_equal(decai__oz_tree_create(ctx, &none, leaves, 0, true), DECAI_E_INVALID);
    assert_null(none);
}

/* abi.encode(address, uint256) by the encoder is what the claim leaf hashes. */
static void claim_is_abi(void **state)
{
    uint8_t account[20], amount[32], a[32], b[32];
    decai__buf abi;
    (void)state;
    memset(account, 0xa7, sizeof account);
    memset(amount, 0x5c, sizeof amount);
    const decai__abi_value v[] = { { .type = DECAI__ABI_ADDRESS, .data = account, .len = 20 },
        { .type = DECAI__ABI_UINT256, .data = amount, .len = 32 } };
    decai__buf_init(&abi, ctx, 4096, "test");
    assert_int_equal(decai__abi_encode(&abi, v, 2), 0);
    decai__oz_leaf(a, abi.data, abi.len);
    decai__oz_leaf_claim(b, account, amount);
    assert_memory_equal(a, b, 32);
    decai__buf_free(&abi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_sorted), cmocka_unit_test(standard_unsorted), cmocka_unit_test(simple_sorted),
        cmocka_unit_test(simple_unsorted), cmocka_unit_test(proofs), cmocka_unit_test(claim_is_abi),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
