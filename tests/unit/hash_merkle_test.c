/* hash_merkle_test.c - the native tree against a plain copy of its definition,
 * builder = tree = every prefix of a longer tree, and a verifier that takes one
 * proof only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hash/hash.h"

#define DOMAIN "decai.example.v1"
#define N 70

static decai_context *ctx;

static int setup(void **state)
{
    decai_options *o = NULL;
    (void)state;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_i64(o, "base.threads", 1), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

/* Leaf i of the test trees: i bytes of value i. */
static size_t leaf_data(uint8_t *out, size_t i)
{
    memset(out, (int)i, i);
    return i;
}

/* The definition, level by level, preimages spelled out. */
static void naive_root(uint8_t out[32], size_t count)
{
    static uint8_t level[N + 1][32];
    uint8_t data[256], pre[512];
    const size_t d = strlen(DOMAIN);
    memset(level, 0, sizeof level);
    for (size_t i = 0; i < count; i++) {
        size_t len = leaf_data(data, i);
        pre[0] = 0;
        pre[1] = (uint8_t)d;
        memcpy(pre + 2, DOMAIN, d);
        decai__store_be64(pre + 2 + d, i);
        decai__store_be64(pre + 10 + d, len);
        memcpy(pre + 18 + d, data, len);
        decai__keccak256(level[i], pre, 18 + d + len);
    }
    size_t width = count;
    for (uint8_t h = 1; width > 1; h++) {
        size_t next = 0;
        for (size_t i = 0; i < width; i += 2, next++) {
            if (i + 1 == width) {
                memmove(level[next], level[i], 32);
                continue;
            }
            pre[0] = 1;
            pre[1] = (uint8_t)d;
            memcpy(pre + 2, DOMAIN, d);
            pre[2 + d] = h;
            memcpy(pre + 3 + d, level[i], 32);
            memcpy(pre + 35 + d, level[i + 1], 32);
            decai__keccak256(level[next], pre, 67 + d);
        }
        width = next;
    }
    pre[0] = 2;
    pre[1] = (uint8_t)d;
    memcpy(pre + 2, DOMAIN, d);
    decai__store_be64(pre + 2 + d, count);
    memcpy(pre + 10 + d, level[0], 32);
    decai__keccak256(out, pre, 42 + d);
}

static void grow(decai__merkle_tree *t, size_t count)
{
    uint8_t data[256];
    assert_int_equal(decai__merkle_tree_init(t, ctx, DOMAIN), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(decai__merkle_tree_add_leaf_data(t, data, leaf_data(data, i)), 0);
}

static void one_root(void **state)
{
    decai__merkle_tree whole;
    uint8_t want[32], got[32], data[256];
    (void)state;
    grow(&whole, N);
    for (size_t n = 0; n <= N; n++) {
        decai__merkle_builder b;
        decai__merkle_tree t;
        naive_root(want, n);
        assert_int_equal(decai__merkle_builder_init(&b, DOMAIN), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(decai__merkle_builder_add_leaf_data(&b, data, leaf_data(data, i)), 0);
        decai__merkle_builder_root(&b, got);
        assert_memory_equal(got, want, 32);
        grow(&t, n);
        decai__merkle_tree_root(&t, got);
        assert_memory_equal(got, want, 32);
        assert_int_equal(decai__merkle_tree_root_at(&whole, got, n), 0);
        assert_memory_equal(got, want, 32);
        decai__merkle_tree_free(&t);
    }
    assert_int_equal(decai__merkle_tree_root_at(&whole, got, N + 1), DECAI_E_INVALID);
    decai__merkle_tree_free(&whole);
}

/* Leaves added in runs of any length give the tree of leaves added singly. */
static void in_runs(void **state)
{
    decai__merkle_tree whole, t;
    uint8_t want[32], got[32];
    (void)state;
    grow(&whole, N);
    decai__merkle_tree_root(&whole, want);
    for (size_t run = 1; run <= N; run++) {
        assert_int_equal(decai__merkle_tree_init(&t, ctx, DOMAIN), 0);
        for (size_t i = 0; i < N; i += run)
            assert_int_equal(decai__merkle_tree_add_leaf_hashes(&t, decai__merkle_tree_leaf(&whole, i),
                DECAI__MIN(run, N - i)), 0);
        decai__merkle_tree_root(&t, got);
        assert_memory_equal(got, want, 32);
        decai__merkle_tree_free(&t);
    }
    decai__merkle_tree_free(&whole);
}

static void chunks(void **state)
{
    enum { CHUNK = 300, LEN = CHUNK * 131 + 17 };
    static uint8_t data[LEN];
    uint8_t want[32], got[32];
    (void)state;
    for (size_t i = 0; i < LEN; i++) data[i] = (uint8_t)(i * 7 + i / 251);
    static const size_t lengths[] = { 0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 7 * CHUNK + 5, 64 * CHUNK, LEN };
    for (size_t n = 0; n < DECAI__COUNT(lengths); n++)
        for (int threads = 0; threads <= 1; threads++) {
            decai__merkle_builder a, b;
            assert_int_equal(decai__merkle_builder_init(&a, DOMAIN), 0);
            assert_int_equal(decai__merkle_builder_init(&b, DOMAIN), 0);
            for (size_t at = 0; at < lengths[n]; at += CHUNK)
                assert_int_equal(decai__merkle_builder_add_leaf_data(&a, data + at,
                    DECAI__MIN((size_t)CHUNK, lengths[n] - at)), 0);
            assert_int_equal(decai__merkle_builder_add_chunks(&b, threads ? ctx : NULL, data, lengths[n], CHUNK), 0);
            decai__merkle_builder_root(&a, want);
            decai__merkle_builder_root(&b, got);
            assert_memory_equal(got, want, 32);
        }
}

static void proofs(void **state)
{
    decai__merkle_tree t;
    uint8_t root[32], proof[DECAI__MERKLE_LEVELS][32];
    size_t n;
    (void)state;
    grow(&t, N);
    for (uint64_t count = 1; count <= N; count++)
        for (uint64_t i = 0; i < count; i++) {
            const uint8_t *leaf = decai__merkle_tree_leaf(&t, i);
            assert_int_equal(decai__merkle_tree_root_at(&t, root, count), 0);
            assert_int_equal(decai__merkle_tree_prove(&t, proof, &n, i, count), 0);
            assert_int_equal(n, decai__merkle_proof_count(i, count));
            assert_int_equal(decai__merkle_verify(root, DOMAIN, i, count, leaf, proof[0], 32 * n), 0);
        }
    assert_int_equal(decai__merkle_tree_prove(&t, proof, &n, N, N), DECAI_E_INVALID);
    assert_int_equal(decai__merkle_tree_prove(&t, proof, &n, 0, N + 1), DECAI_E_INVALID);
    assert_int_equal(decai__merkle_tree_prove(&t, proof, &n, 0, 0), DECAI_E_INVALID);
    assert_null(decai__merkle_tree_leaf(&t, N));
    decai__merkle_tree_free(&t);
}

static void strict(void **state)
{
    enum { COUNT = 11 };
    decai__merkle_tree t;
    uint8_t root[32], proof[DECAI__MERKLE_LEVELS + 1][32];
    size_t n, len;
    (void)state;
    grow(&t, COUNT);
    decai__merkle_tree_root(&t, root);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t leaf[32];
        memcpy(leaf, decai__merkle_tree_leaf(&t, i), 32);
        memset(proof, 0, sizeof proof);
        assert_int_equal(decai__merkle_tree_prove(&t, proof, &n, i, COUNT), 0);
        len = 32 * n;
        /* every length but the right one, trailing hashes included */
        for (size_t wrong = 0; wrong <= len + 32; wrong++)
            if (wrong != len)
                assert_int_equal(decai__merkle_verify(root, DOMAIN, i, COUNT, leaf, proof[0], wrong), DECAI_E_CORRUPT);
        /* another index, another count, another domain */
        for (uint64_t other = 0; other < COUNT; other++)
            if (other != i)
                assert_int_not_equal(decai__merkle_verify(root, DOMAIN, other, COUNT, leaf, proof[0], len), 0);
        assert_int_equal(decai__merkle_verify(root, DOMAIN, COUNT, COUNT, leaf, proof[0], len), DECAI_E_INVALID);
        assert_int_equal(decai__merkle_verify(root, DOMAIN, 0, 0, leaf, proof[0], 0), DECAI_E_INVALID);
        for (uint64_t count = i + 1; count < 2 * COUNT; count++)
            if (count != COUNT)
                assert_int_not_equal(decai__merkle_verify(root, DOMAIN, i, count, leaf, proof[0], len), 0);
        assert_int_equal(decai__merkle_verify(root, DOMAIN "x", i, COUNT, leaf, proof[0], len), DECAI_E_INTEGRITY);
        assert_int_equal(decai__merkle_verify(root, "", i, COUNT, leaf, proof[0], len), DECAI_E_INVALID);
        /* every flipped bit of the proof, of the leaf, of the root */
        for (size_t bit = 0; bit < 8 * len; bit++) {
            proof[bit / 256][bit / 8 % 32] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(decai__merkle_verify(root, DOMAIN, i, COUNT, leaf, proof[0], len), DECAI_E_INTEGRITY);
            proof[bit / 256][bit / 8 % 32] ^= (uint8_t)(1 << bit % 8);
        }
        leaf[31] ^= 1;
        assert_int_equal(decai__merkle_verify(root, DOMAIN, i, COUNT, leaf, proof[0], len), DECAI_E_INTEGRITY);
    }
    /* a node is no leaf: the parent of 0 and 1 does not pass as a leaf of half the tree */
    uint8_t pair[32];
    decai__merkle_node(pair, DOMAIN, 1, decai__merkle_tree_leaf(&t, 0), decai__merkle_tree_leaf(&t, 1));
    assert_int_equal(decai__merkle_tree_prove(&t, proof, &n, 0, COUNT), 0);
    assert_int_not_equal(decai__merkle_verify(root, DOMAIN, 0, (COUNT + 1) / 2, pair, proof[1], 32 * (n - 1)), 0);
    decai__merkle_tree_free(&t);
}

/* The largest trees exist only as a path: fold one up and check it. */
static void count_limit(void **state)
{
    uint8_t proof[DECAI__MERKLE_LEVELS][32], leaf[32] = { 1 }, at[32], root[32];
    (void)state;
    for (uint64_t count = DECAI_TREE_COUNT_MAX - 1; count <= DECAI_TREE_COUNT_MAX + 1; count++) {
        const uint64_t index = 5;
        size_t n = decai__merkle_proof_count(index, count);
        memcpy(at, leaf, 32);
        for (size_t h = 0; h < n && h < DECAI__MERKLE_LEVELS; h++) {
            memset(proof[h], (int)(h + 1), 32);
            if (index >> h & 1) decai__merkle_node(at, DOMAIN, (uint32_t)h + 1, proof[h], at);
            else decai__merkle_node(at, DOMAIN, (uint32_t)h + 1, at, proof[h]);
        }
        decai__merkle_root(root, DOMAIN, count, at);
        assert_int_equal(decai__merkle_verify(root, DOMAIN, index, count, leaf, proof[0], 32 * n),
            count > DECAI_TREE_COUNT_MAX ? DECAI_E_LIMIT : 0);
        decai__merkle_builder b;
        assert_int_equal(decai__merkle_builder_init(&b, DOMAIN), 0);
        b.count = count - 1;                      /* as if so many had been added */
        assert_int_equal(decai__merkle_builder_add_leaf_hash(&b, leaf), count > DECAI_TREE_COUNT_MAX ? DECAI_E_LIMIT : 0);
        decai__merkle_builder_root(&b, root);
    }
}

static void domain_limit(void **state)
{
    char domain[DECAI_DOMAIN_MAX + 2];
    (void)state;
    for (size_t len = DECAI_DOMAIN_MAX - 1; len <= DECAI_DOMAIN_MAX + 1; len++) {
        decai__merkle_builder b;
        uint8_t many[11][32], one[32];
        const void *const data[11] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k" };
        const uint64_t each[11] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5 };
        memset(domain, 'd', len);
        domain[len] = 0;
        assert_int_equal(decai__merkle_builder_init(&b, domain), len > DECAI_DOMAIN_MAX ? DECAI_E_LIMIT : 0);
        if (len > DECAI_DOMAIN_MAX) continue;
        for (uint64_t step = 0; step < 2; step++) {
            decai__merkle_leaf_many(many, domain, 7, step, data, 1, 11);
            for (size_t j = 0; j < 11; j++) {
                decai__merkle_leaf(one, domain, 7 + j * step, data[j], 1);
                assert_memory_equal(many[j], one, 32);
            }
        }
        decai__merkle_leaf_each(many, domain, each, data, 1, 11);
        for (size_t j = 0; j < 11; j++) {
            decai__merkle_leaf(one, domain, each[j], data[j], 1);
            assert_memory_equal(many[j], one, 32);
        }
    }
    assert_int_equal(decai__domain_check(NULL), DECAI_E_INVALID);
    assert_int_equal(decai__domain_check("with space"), DECAI_E_INVALID);
    assert_int_equal(decai__domain_check("h\xc3\xa9"), DECAI_E_INVALID);
    assert_int_equal(decai__domain_check("~!"), 0);
}

static void differences(void **state)
{
    decai__merkle_tree a, b;
    uint64_t index;
    (void)state;
    grow(&a, N);
    for (size_t at = 0; at < N; at++) {
        uint8_t data[256];
        assert_int_equal(decai__merkle_tree_init(&b, ctx, DOMAIN), 0);
        for (size_t i = 0; i < N; i++) {
            size_t len = leaf_data(data, i);
            if (i == at || i == at + 3) data[len++] = 0xff;
            assert_int_equal(decai__merkle_tree_add_leaf_data(&b, data, len), 0);
        }
        assert_int_equal(decai__merkle_tree_diff(&a, &b, &index), 0);
        assert_int_equal(index, at);
        decai__merkle_tree_free(&b);
        grow(&b, at);                              /* a prefix */
        assert_int_equal(decai__merkle_tree_diff(&a, &b, &index), 0);
        assert_int_equal(index, at);
        assert_int_equal(decai__merkle_tree_diff(&b, &a, &index), 0);
        assert_int_equal(index, at);
        decai__merkle_tree_free(&b);
    }
    assert_int_equal(decai__merkle_tree_diff(&a, &a, &index), DECAI_E_NOT_FOUND);
    decai__merkle_tree_free(&a);
}

/* Peaks, bagged from the right, are the root at that size. */
static void peaks(void **state)
{
    decai__merkle_tree t;
    (void)state;
    grow(&t, N);
    for (uint64_t count = 1; count <= N; count++) {
        uint8_t peak[DECAI__MERKLE_LEVELS][32], top[32], root[32], want[32];
        size_t n;
        assert_int_equal(decai__merkle_tree_peaks(&t, peak, &n, count), 0);
        assert_int_equal(n, (size_t)__builtin_popcountll(count));
        memcpy(top, peak[n - 1], 32);
        uint64_t left = count & (count - 1);       /* heights from the right */
        for (size_t i = n - 1; i-- > 0; left &= left - 1) {
            uint32_t height = (uint32_t)__builtin_ctzll(left);
            decai__merkle_node(top, DOMAIN, height + 1, peak[i], top);
        }
        decai__merkle_root(root, DOMAIN, count, top);
        assert_int_equal(decai__merkle_tree_root_at(&t, want, count), 0);
        assert_memory_equal(root, want, 32);
    }
    decai__merkle_tree_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_root), cmocka_unit_test(in_runs), cmocka_unit_test(chunks), cmocka_unit_test(proofs),
        cmocka_unit_test(strict), cmocka_unit_test(count_limit), cmocka_unit_test(domain_limit),
        cmocka_unit_test(differences), cmocka_unit_test(peaks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
