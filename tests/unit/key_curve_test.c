/* key_curve_test.c - keys, signatures, addresses: RFC 6979 against values made
 * without the library, Wycheproof's attacks, ethers' accounts, injected faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "key/key.h"
#include "support_vectors.h"

static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

/* splitmix64: a seeded seam makes a test context. */
static int32_t
fill(void *user, uint8_t *out, size_t len)
{
    uint64_t *state = user;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (*state += 0x9E3779B97F4A7C15u);
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        out[i] = (uint8_t)(z >> 40);
    }
    return 0;
}

static int32_t
no_random(void *user, uint8_t *out, size_t len)
{
    (void)user;
    memset(out, 0xff, len);             /* above the group order: no scalar ever */
    return 0;
}

static int32_t
dead_random(void *user, uint8_t *out, size_t len)
{
    (void)user, (void)out, (void)len;
    return DECAI_E_IO;
}

static decai_context *
context_with(int32_t (*random)(void *, uint8_t *, size_t), void *user)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    if (random) assert_int_equal(decai_options_set_fn(o, "seam.random.fill", (decai_fn)random, user), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    return ctx;
}

static decai_key *
plain_key(decai_context *ctx, const uint8_t secret[32])
{
    decai_options *o = NULL;
    decai_key *key = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "key.aux_entropy", 0), 0);
    assert_int_equal(decai_key_load(&key, ctx, secret, 32, o), 0);
    decai_destroy(o);
    return key;
}

static void
test_range(void **state)
{
    (void)state;
    decai_context *ctx = context_with(NULL, NULL);
    decai_key *key = NULL;
    uint8_t secret[32] = {0};

    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), DECAI_E_INVALID);
    assert_null(key);
    secret[31] = 1;
    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), 0);
    assert_false(decai__key_is_test(key));
    decai_destroy(key);
    memcpy(secret, order, 32);
    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), DECAI_E_INVALID);
    secret[31]--;
    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), 0);
    decai_destroy(key);
    memset(secret, 0xff, 32);
    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_key_load(&key, ctx, secret, 31, NULL), DECAI_E_INVALID);
    decai_destroy(ctx);
}

/* A random source that is dead, or gives nothing but 0xff, never makes a key. */
static void
test_no_entropy(void **state)
{
    (void)state;
    decai_key *key = NULL;
    decai_context *ctx = context_with(no_random, NULL);
    assert_int_equal(decai_key_create(&key, ctx, NULL), DECAI_E_IO);
    assert_null(key);
    decai_destroy(ctx);
    ctx = context_with(dead_random, NULL);
    assert_int_equal(decai_key_create(&key, ctx, NULL), DECAI_E_IO);
    assert_null(key);
    decai_destroy(ctx);
}

static void
test_create(void **state)
{
    (void)state;
    uint64_t seed = 7, same = 7;
    decai_context *a = context_with(fill, &seed), *b = context_with(fill, &same), *real = context_with(NULL, NULL);
    decai_key *ka = NULL, *kb = NULL, *k1 = NULL, *k2 = NULL;

    assert_int_equal(decai_key_create(&ka, a, NULL), 0);
    assert_int_equal(decai_key_create(&kb, b, NULL), 0);
    assert_memory_equal(decai__key_public(ka), decai__key_public(kb), 65);
    assert_true(decai__key_is_test(ka));
    assert_int_equal(decai_key_create(&k1, real, NULL), 0);
    assert_int_equal(decai_key_create(&k2, real, NULL), 0);
    assert_memory_not_equal(decai__key_public(k1), decai__key_public(k2), 65);
    assert_false(decai__key_is_test(k1));
    /* children keep parents */
    decai_destroy(a);
    decai_destroy(b);
    decai_destroy(real);
    decai_destroy(ka);
    decai_destroy(kb);
    decai_destroy(k1);
    decai_destroy(k2);
}

static void
test_aux_entropy(void **state)
{
    (void)state;
    uint64_t seed = 1;
    decai_context *ctx = context_with(fill, &seed), *real = context_with(NULL, NULL);
    decai_options *o = NULL;
    decai_key *key = NULL, *plain;
    uint8_t secret[32] = {[31] = 9}, digest[32] = {1}, s1[65], s2[65];

    assert_int_equal(decai_options_create(&o, real), 0);
    assert_int_equal(decai_options_set_i64(o, "key.aux_entropy", 0), 0);
    assert_int_equal(decai_key_load(&key, real, secret, 32, o), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "aux_entropy"));
    decai_destroy(o);

    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), 0);
    assert_int_equal(decai__key_sign(key, s1, digest), 0);
    assert_int_equal(decai__key_sign(key, s2, digest), 0);
    assert_memory_not_equal(s1, s2, 65);
    plain = plain_key(ctx, secret);
    assert_int_equal(decai__key_sign(plain, s1, digest), 0);
    assert_int_equal(decai__key_sign(plain, s2, digest), 0);
    assert_memory_equal(s1, s2, 65);
    decai_destroy(key);
    decai_destroy(plain);
    decai_destroy(ctx);
    decai_destroy(real);
}

/* Deterministic signatures, computed by tests/tools/golden_wallet.py. */
static void
test_rfc6979(void **state)
{
    (void)state;
    size_t len, count = 0;
    uint64_t seed = 1;
    char *text = support_file("tests/golden/wallet.json", &len);
    decai_context *ctx = context_with(fill, &seed);
    decai__json *json = NULL;
    assert_non_null(text);
    assert_int_equal(decai__json_parse(ctx, &json, text, len), 0);
    for (const decai__json_node *list = decai__json_first(decai__json_root(json)); list; list = decai__json_next(list))
        for (const decai__json_node *c = decai__json_first(list); c; c = decai__json_next(c), count++) {
            uint8_t secret[32], digest[32], want[65], sig[65], signer[20], address[20];
            assert_int_equal(decai__json_get_hex(json, c, "key", secret, 32), 0);
            assert_int_equal(decai__json_get_hex(json, c, "digest", digest, 32), 0);
            assert_int_equal(decai__json_get_hex(json, c, "signature", want, 65), 0);
            assert_int_equal(decai__json_get_hex(json, c, "signer", signer, 20), 0);
            decai_key *key = plain_key(ctx, secret);
            assert_memory_equal(decai__key_address(key), signer, 20);
            assert_int_equal(decai__key_sign(key, sig, digest), 0);
            assert_memory_equal(sig, want, 65);
            assert_int_equal(decai__recover(ctx, address, NULL, sig, digest), 0);
            assert_memory_equal(address, signer, 20);
            decai_destroy(key);
        }
    assert_int_equal(count, 8);
    decai__json_free(json);
    decai_destroy(ctx);
    free(text);
}

/* A fault in the signature buffer: none of the 520 single flips is released. */
static void
test_fault(void **state)
{
    (void)state;
    uint64_t seed = 3;
    decai_context *ctx = context_with(fill, &seed);
    uint8_t secret[32] = {[0] = 1, [31] = 7}, digest[32] = {5}, sig[65];
    decai_key *key = plain_key(ctx, secret);

    assert_int_equal(decai__key_sign(key, sig, digest), 0);
    assert_int_equal(decai__key_check(key, sig, digest), 0);
    for (size_t bit = 0; bit < 8 * sizeof(sig); bit++) {
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(decai__key_check(key, sig, digest), DECAI_E_INTEGRITY);
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    decai_destroy(key);
    decai_destroy(ctx);
}

/* n - s, big-endian */
static void
negate_s(uint8_t s[32])
{
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int v = order[i] - s[i] - borrow;
        borrow = v < 0;
        s[i] = (uint8_t)(v + 256 * borrow);
    }
}

static void
test_strict(void **state)
{
    (void)state;
    uint64_t seed = 3;
    decai_context *ctx = context_with(fill, &seed);
    uint8_t secret[32] = {[31] = 7}, digest[32] = {5}, sig[65], bad[65], address[20];
    decai_key *key = plain_key(ctx, secret);

    assert_int_equal(decai__key_sign(key, sig, digest), 0);
    assert_int_equal(decai__verify(ctx, sig, digest, decai__key_public(key), 65), 0);

    /* the other s with the other parity is a signature for everybody but us */
    memcpy(bad, sig, 65);
    negate_s(bad + 32);
    bad[64] = (uint8_t)(55 - sig[64]);
    assert_int_equal(decai__recover(ctx, address, NULL, bad, digest), DECAI_E_INTEGRITY);
    assert_int_equal(decai__verify(ctx, bad, digest, decai__key_public(key), 65), DECAI_E_INTEGRITY);
    for (int v = 0; v < 256; v++) {
        memcpy(bad, sig, 65);
        bad[64] = (uint8_t)v;
        int32_t r = decai__recover(ctx, address, NULL, bad, digest);
        if (v != 27 && v != 28) assert_int_equal(r, DECAI_E_INTEGRITY);
        else if (v == sig[64]) assert_int_equal(r, 0);
    }
    for (int half = 0; half < 64; half += 32) {
        memcpy(bad, sig, 65);
        memset(bad + half, 0, 32);
        assert_int_equal(decai__recover(ctx, address, NULL, bad, digest), DECAI_E_INTEGRITY);
        memcpy(bad + half, order, 32);
        assert_int_equal(decai__recover(ctx, address, NULL, bad, digest), DECAI_E_INTEGRITY);
        memset(bad + half, 0xff, 32);
        assert_int_equal(decai__recover(ctx, address, NULL, bad, digest), DECAI_E_INTEGRITY);
    }
    /* an r that is no x of the curve: 5 */
    memcpy(bad, sig, 65);
    memset(bad, 0, 32);
    bad[31] = 5;
    assert_int_equal(decai__recover(ctx, address, NULL, bad, digest), DECAI_E_INTEGRITY);
    decai_destroy(key);
    decai_destroy(ctx);
}

/* ---- public sets --------------------------------------------------------- */

static void
test_ethers_accounts(void **state)
{
    (void)state;
    size_t len, count = 0;
    char *text = support_vector("ethers/accounts.json.gz", &len);
    if (!text) skip();
    decai_context *ctx = context_with(NULL, NULL);
    decai__json *json = NULL;
    assert_int_equal(decai__json_parse(ctx, &json, text, len), 0);
    for (const decai__json_node *c = decai__json_first(decai__json_root(json)); c; c = decai__json_next(c), count++) {
        uint8_t secret[32], address[20];
        const char *want = NULL;
        char have[DECAI_ADDRESS_TEXT];
        decai_key *key = NULL;
        if (!decai__json_find(c, "privateKey")) continue;
        assert_int_equal(decai__json_get_hex(json, c, "privateKey", secret, 32), 0);
        assert_int_equal(decai__json_get_str(json, c, "address", &want, &len), 0);
        assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), 0);
        decai__address_text(have, decai__key_address(key));
        assert_memory_equal(have, want, DECAI_ADDRESS_TEXT);
        assert_int_equal(decai__address_read(address, want, len, "address"), 0);
        assert_memory_equal(address, decai__key_address(key), 20);
        decai_destroy(key);
    }
    printf("# %zu accounts\n", count);
    assert_true(count > 100);
    decai__json_free(json);
    decai_destroy(ctx);
    free(text);
}

/* Strict DER (X.690) of an ECDSA signature -> 64 bytes; false otherwise. */
static bool
der_integer(const uint8_t **p, const uint8_t *end, uint8_t out[32])
{
    const uint8_t *q = *p;
    if (end - q < 3 || q[0] != 2 || q[1] == 0 || q[1] > 33 || end - q < 2 + q[1]) return false;
    size_t n = q[1];
    q += 2;
    if (q[0] & 0x80) return false;                               /* negative */
    if (n > 1 && q[0] == 0 && !(q[1] & 0x80)) return false;      /* not the shortest */
    *p = q + n;
    if (q[0] == 0) q++, n--;
    if (n > 32) return false;
    memset(out, 0, 32);
    memcpy(out + 32 - n, q, n);
    return true;
}

static bool
der(uint8_t rs[64], const uint8_t *sig, size_t len)
{
    const uint8_t *p = sig + 2, *end = sig + len;
    if (len < 8 || sig[0] != 0x30 || sig[1] >= 0x80 || sig[1] != len - 2) return false;
    return der_integer(&p, end, rs) && der_integer(&p, end, rs + 32) && p == end;
}

static bool
is_high(const uint8_t rs[64])
{
    uint8_t other[32];
    memcpy(other, rs + 32, 32);
    negate_s(other);
    return memcmp(rs + 32, order, 32) < 0 && memcmp(rs + 32, other, 32) > 0;
}

static int32_t
verdict(decai_context *ctx, const decai__json *json, const decai__json_node *test, const uint8_t *pub, size_t pub_len,
    bool is_der, bool *high)
{
    const char *msg = NULL, *sig = NULL;
    size_t msg_len = 0, sig_len = 0;
    static uint8_t data[2][1 << 17];
    uint8_t rs[64], digest[32];

    assert_int_equal(decai__json_get_str(json, test, "msg", &msg, &msg_len), 0);
    assert_int_equal(decai__json_get_str(json, test, "sig", &sig, &sig_len), 0);
    assert_true(msg_len <= 1 << 18 && sig_len <= 1 << 18);
    assert_int_equal(decai__hex_decode(data[0], msg_len / 2, msg, msg_len, "msg"), 0);
    assert_int_equal(decai__hex_decode(data[1], sig_len / 2, sig, sig_len, "sig"), 0);
    *high = false;
    if (is_der ? !der(rs, data[1], sig_len / 2) : sig_len != 128) return DECAI_E_INTEGRITY;
    if (!is_der) memcpy(rs, data[1], 64);
    *high = is_high(rs);
    assert_int_equal(decai__sha256(ctx, digest, data[0], msg_len / 2), 0);
    return decai__verify(ctx, rs, digest, pub, pub_len);
}

/* strict: the set itself wants low s; otherwise a valid high s is what we refuse. */
static void
wycheproof(const char *path, bool is_der, bool strict)
{
    size_t len, count = 0, accepted = 0, high_refused = 0;
    char *text = support_vector(path, &len);
    if (!text) skip();
    decai_context *ctx = context_with(NULL, NULL);
    decai__json *json = NULL;
    assert_int_equal(decai__json_parse(ctx, &json, text, len), 0);
    const decai__json_node *groups = decai__json_find(decai__json_root(json), "testGroups");
    for (const decai__json_node *g = decai__json_first(groups); g; g = decai__json_next(g)) {
        uint8_t pub[65];
        assert_int_equal(decai__json_get_hex(json, decai__json_find(g, "publicKey"), "uncompressed", pub, 65), 0);
        const decai__json_node *tests = decai__json_find(g, "tests");
        for (const decai__json_node *t = decai__json_first(tests); t; t = decai__json_next(t), count++) {
            const char *want = NULL;
            bool high;
            assert_int_equal(decai__json_get_str(json, t, "result", &want, &len), 0);
            int32_t r = verdict(ctx, json, t, pub, 65, is_der, &high);
            bool valid = !strcmp(want, "valid");
            if (valid && high) {
                assert_false(strict);
                high_refused++;
                valid = false;
            }
            int64_t id = 0;
            (void)decai__json_get_i64(json, t, "tcId", &id);
            if (r != (valid ? 0 : DECAI_E_INTEGRITY)) fail_msg("%s: test %lld: %s gives %d", path, (long long)id, want, (int)r);
            accepted += r == 0;
        }
    }
    printf("# %s: %zu tests, %zu accepted, %zu valid ones refused for a high s\n", path, count, accepted, high_refused);
    assert_true(count > 150 && accepted > 50);
    decai__json_free(json);
    decai_destroy(ctx);
    free(text);
}

static void
test_wycheproof_bitcoin(void **state)
{
    (void)state;
    wycheproof("wycheproof/ecdsa_secp256k1_sha256_bitcoin_test.json.gz", true, true);
}

static void
test_wycheproof_p1363(void **state)
{
    (void)state;
    wycheproof("wycheproof/ecdsa_secp256k1_sha256_p1363_test.json.gz", false, false);
}

static void
test_wycheproof_der(void **state)
{
    (void)state;
    wycheproof("wycheproof/ecdsa_secp256k1_sha256_test.json.gz", true, false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_no_entropy),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_aux_entropy),
        cmocka_unit_test(test_rfc6979),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_ethers_accounts),
        cmocka_unit_test(test_wycheproof_bitcoin),
        cmocka_unit_test(test_wycheproof_p1363),
        cmocka_unit_test(test_wycheproof_der),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
