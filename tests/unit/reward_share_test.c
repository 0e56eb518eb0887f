/* The payout rules: golden payouts made by another program, exact sums over
 * random splits up to 256 bits, and the tree against a second reading of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "decai.h"
#include "reward/reward.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int
setup(void **state)
{
    decai_context *ctx = NULL;
    if (decai_context_create(&ctx, NULL)) return -1;
    *state = ctx;
    return 0;
}

static int
teardown(void **state)
{
    decai_destroy(*state);
    return 0;
}

/* ---- golden ---------------------------------------------------------------- */

static void
check_claim(decai_payout *p, const decai__json *doc, const decai__json_node *want, uint64_t index,
    const uint8_t root[32])
{
    char name[65];
    const char *account, *proof_hex;
    uint8_t address[20], amount[32], proof[DECAI_CLAIM_PROOF_MAX], expected[DECAI_CLAIM_PROOF_MAX];
    size_t len, account_len, hex_len, proof_len;
    decai__u256 golden;
    assert_int_equal(decai_claim_at(p, name, sizeof name, &len, address, 20, amount, 32, index), 1);
    assert_int_equal(decai__json_get_str(doc, want, "account", &account, &account_len), 0);
    assert_int_equal(len, account_len);
    assert_memory_equal(name, account, len);
    assert_int_equal(decai__json_get_u256(doc, want, "amount", &golden), 0);
    decai__u256 got = decai__u256_from_be(amount);
    assert_int_equal(decai__u256_cmp(&got, &golden), 0);

    assert_int_equal(decai_claim_prove(p, proof, sizeof proof, &proof_len, index), 0);
    assert_int_equal(decai__json_get_str(doc, want, "proof", &proof_hex, &hex_len), 0);
    assert_int_equal(hex_len, 2 + 2 * proof_len);
    assert_int_equal(decai__hex_decode(expected, proof_len, proof_hex, hex_len, "proof"), 0);
    assert_memory_equal(proof, expected, proof_len);
    assert_int_equal(decai_payout_verify(root, 32, index, address, 20, amount, 32, proof, proof_len), 0);
    /* nothing else passes */
    assert_int_equal(decai_payout_verify(root, 32, index + 1, address, 20, amount, 32, proof, proof_len),
                     DECAI_E_INTEGRITY);
    amount[31] ^= 1;
    assert_int_equal(decai_payout_verify(root, 32, index, address, 20, amount, 32, proof, proof_len), DECAI_E_INTEGRITY);
    amount[31] ^= 1;
    address[0] ^= 1;
    assert_int_equal(decai_payout_verify(root, 32, index, address, 20, amount, 32, proof, proof_len), DECAI_E_INTEGRITY);
    address[0] ^= 1;
    if (proof_len) {
        assert_int_equal(decai_payout_verify(root, 32, index, address, 20, amount, 32, proof, proof_len - 32),
                         DECAI_E_INTEGRITY);
        assert_int_equal(decai_payout_verify(root, 32, index, address, 20, amount, 32, proof, proof_len - 1),
                         DECAI_E_CORRUPT);
    }
}

static void
check_golden(decai_context *ctx, const decai__json *doc, const decai__json_node *c)
{
    decai_payout *p = NULL;
    const char *pot;
    size_t pot_len;
    uint8_t root[32], got[32];
    uint64_t count, i = 0;
    const decai__json_node *rows, *claims;
    char rows_text[65536], pot_text[80];
    assert_int_equal(decai__json_get_str(doc, c, "pot", &pot, &pot_len), 0);
    snprintf(pot_text, sizeof pot_text, "%.*s", (int)pot_len, pot);
    assert_int_equal(decai__json_get(doc, c, "rows", DECAI__JSON_ARRAY, &rows), 0);
    size_t n = (size_t)snprintf(rows_text, sizeof rows_text, "[");
    for (const decai__json_node *r = decai__json_first(rows); r; r = decai__json_next(r)) {
        const char *a, *h, *u;
        size_t al, hl, ul;
        assert_int_equal(decai__json_get_str(doc, r, "account", &a, &al), 0);
        assert_int_equal(decai__json_get_str(doc, r, "address", &h, &hl), 0);
        assert_int_equal(decai__json_get_str(doc, r, "units", &u, &ul), 0);
        n += (size_t)snprintf(rows_text + n, sizeof rows_text - n,
                              "%s{\"account\":\"%.*s\",\"address\":\"%.*s\",\"units\":\"%.*s\"}", n > 1 ? "," : "",
                              (int)al, a, (int)hl, h, (int)ul, u);
    }
    n += (size_t)snprintf(rows_text + n, sizeof rows_text - n, "]");
    assert_int_equal(decai_payout_create(&p, ctx, pot_text, rows_text, n), 0);
    assert_int_equal(decai__json_get_hex(doc, c, "root", root, 32), 0);
    assert_int_equal(decai_payout_get(p, got, 32, &count), 0);
    assert_memory_equal(root, got, 32);
    assert_int_equal(decai__json_get(doc, c, "claims", DECAI__JSON_ARRAY, &claims), 0);
    for (const decai__json_node *k = decai__json_first(claims); k; k = decai__json_next(k))
        check_claim(p, doc, k, i++, root);
    assert_int_equal(i, count);
    decai_destroy(p);
}

static void
test_golden(void **state)
{
    static char text[1 << 17];
    decai__json *doc = NULL;
    int cases = 0;
    FILE *f = fopen("tests/golden/payout.json", "rb");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_int_equal(decai__json_parse(*state, &doc, text, len), 0);
    const decai__json_node *c = decai__json_first(decai__json_root(doc));
    for (; c; c = decai__json_next(c), cases++) check_golden(*state, doc, c);
    assert_int_equal(cases, 11);
    decai__json_free(doc);
}

/* ---- exact sums -------------------------------------------------------------- */

static decai__u256
random_u256(uint64_t bits)
{
    decai__u256 v = {{next_random(), next_random(), next_random(), next_random()}};
    for (uint64_t i = 0; i < 4; i++) {
        if (bits <= 64 * i) v.limb[i] = 0;
        else if (bits < 64 * (i + 1)) v.limb[i] &= ((uint64_t)1 << (bits - 64 * i)) - 1;
    }
    return v;
}

/* Σ shares == pot; no share is a unit away from its quota; the order of equal
 * remainders is the names'. */
static void
test_sums(void **state)
{
    int rounds = getenv("DECAI_DEEP") ? 1000000 : 20000, done = 0;
    decai__claim claims[24];
    for (int n = 0; n < rounds; n++) {
        size_t count = 1 + next_random() % 24;
        uint64_t bits = 1 + next_random() % 256;
        decai__u256 pot = random_u256(next_random() % 257), total = {{0}}, sum = {{0}}, floor, rest;
        if (n % 17 == 0) pot = (decai__u256){{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        memset(claims, 0, sizeof claims);
        bool fits = true;
        for (size_t i = 0; i < count; i++) {
            claims[i].units = random_u256(n % 5 == 0 ? bits : bits > 5 ? bits - 5 : 1);
            if (n % 7 == 0 && i) claims[i].units = claims[0].units;
            fits = fits && decai__u256_add(&total, &total, &claims[i].units);
        }
        int32_t r = decai__share(*state, claims, count, &pot);
        if (!fits) {
            assert_int_equal(r, DECAI_E_LIMIT);
            continue;
        }
        if (decai__u256_is_zero(&total)) {
            assert_int_equal(r, DECAI_E_INVALID);
            continue;
        }
        assert_int_equal(r, 0);
        for (size_t i = 0; i < count; i++) {
            assert_true(decai__u256_add(&sum, &sum, &claims[i].amount));
            assert_true(decai__u256_mul_div(&floor, &rest, &pot, &claims[i].units, &total));
            assert_true(decai__u256_sub(&floor, &claims[i].amount, &floor));
            assert_true(floor.limb[0] <= 1 && !floor.limb[1] && !floor.limb[2] && !floor.limb[3]);
            if (i && decai__u256_cmp(&claims[i].units, &claims[i - 1].units) == 0)
                assert_true(decai__u256_cmp(&claims[i - 1].amount, &claims[i].amount) >= 0);
        }
        assert_int_equal(decai__u256_cmp(&sum, &pot), 0);
        done++;
    }
    print_message("%d splits sum exactly\n", done);
    assert_true(done > rounds / 2);
}

/* ---- an inner node is not a claim --------------------------------------------- */

static void
test_no_second_preimage(void **state)
{
    decai_payout *p = NULL;
    const char *rows = "[{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000001\",\"units\":\"1\"},"
                       "{\"account\":\"b\",\"address\":\"0000000000000000000000000000000000000002\",\"units\":\"1\"},"
                       "{\"account\":\"c\",\"address\":\"0000000000000000000000000000000000000003\",\"units\":\"1\"}]";
    uint8_t root[32], leaf[32];
    uint64_t count;
    size_t nodes;
    assert_int_equal(decai_payout_create(&p, *state, "9", rows, strlen(rows)), 0);
    assert_int_equal(decai_payout_get(p, root, 32, &count), 0);
    const uint8_t *t = decai__oz_tree_nodes(p->tree, &nodes);
    assert_int_equal(nodes, 5);
    for (uint64_t i = 0; i < 3; i++) {
        uint8_t be[32];
        decai__u256_to_be(be, &p->claims[i].amount);
        decai__claim_leaf(leaf, i, p->claims[i].address, be);
        assert_memory_not_equal(leaf, t, 32);
        assert_memory_not_equal(leaf, t + 32, 32);
    }
    /* 64 bytes of two children hash to the parent, but a leaf is hashed twice */
    decai__oz_leaf(leaf, t + 32, 64);
    assert_int_equal(decai__oz_verify(root, leaf, NULL, 0), DECAI_E_INTEGRITY);
    decai_destroy(p);
}

static void
test_rows_refused(void **state)
{
    static const struct { const char *rows; int32_t code; } cases[] = {
        {"[]", DECAI_E_INVALID},
        {"{}", DECAI_E_CORRUPT},
        {"[1]", DECAI_E_CORRUPT},
        {"", DECAI_E_CORRUPT},
        {"[{\"account\":\"a\",\"address\":\"00\",\"units\":\"1\"}]", DECAI_E_CORRUPT},
        {"[{\"account\":\"a:b\",\"address\":\"0000000000000000000000000000000000000001\",\"units\":\"1\"}]", DECAI_E_INVALID},
        {"[{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000001\",\"units\":\"0\"}]", DECAI_E_INVALID},
        {"[{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000001\"}]", DECAI_E_NOT_FOUND},
        {"[{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000001\",\"units\":\"1\",\"x\":1}]",
            DECAI_E_UNSUPPORTED},
        {"[{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000001\",\"units\":\"1\"},"
         "{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000002\",\"units\":\"1\"}]", DECAI_E_EXISTS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        decai_payout *p = (decai_payout *)&cases;
        int32_t r = decai_payout_create(&p, *state, "9", cases[i].rows, strlen(cases[i].rows));
        if (r != cases[i].code) print_message("case %zu: %d %s\n", i, (int)r, decai_error_detail());
        assert_int_equal(r, cases[i].code);
        assert_null(p);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_second_preimage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
