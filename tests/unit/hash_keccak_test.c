/* hash_keccak_test.c - the permutation against OpenSSL's SHA3-256 (only the pad
 * byte differs), the published Keccak-256 values, the wide forms against
 * plain calls, and SHA-256. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "hash/internal.h"

static uint8_t message[8 * 1001];

static void fill(void)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < sizeof message; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        message[i] = (uint8_t)x;
    }
}

static void hex_equal(const uint8_t *hash, const char *want)
{
    char text[65];
    for (size_t i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, want);
}

static void published(void **state)
{
    uint8_t h[32];
    (void)state;
    decai__keccak256(h, "", 0);
    hex_equal(h, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    decai__keccak256(h, NULL, 0);
    hex_equal(h, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    decai__keccak256(h, "abc", 3);
    hex_equal(h, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}

static void permutation_is_sha3s(void **state)
{
    (void)state;
    fill();
    for (size_t len = 0; len <= 700; len++) {
        uint8_t ours[32], theirs[32];
        decai__keccak k;
        decai__keccak_init_pad(&k, 0x06);
        decai__keccak_update(&k, message, len);
        decai__keccak_final(&k, ours);
        assert_int_equal(EVP_Digest(message, len, theirs, NULL, EVP_sha3_256(), NULL), 1);
        assert_memory_equal(ours, theirs, 32);
    }
}

/* The plain permutation and those for this CPU, one after the other. */
static void permutations_agree(void **state)
{
    uint64_t a[25], b[25], c[25];
    (void)state;
    if (!decai__keccak_has_bmi()) {
        printf("# skip: this CPU has no BMI2\n");
        skip();
    }
    fill();
    memcpy(a, message, sizeof a);
    memcpy(b, message, sizeof b);
    memcpy(c, message, sizeof c);
    for (int i = 0; i < 1000; i++) {
        decai__keccak_permute_plain(a);
        decai__keccak_permute_bmi(b);
        assert_memory_equal(a, b, sizeof a);
        if (!decai__keccak_has_avx512()) continue;
        decai__keccak_permute_avx512(c);
        assert_memory_equal(a, c, sizeof a);
    }
}

/* Cut anywhere, the hash is the same; 136 is the block. */
static void pieces(void **state)
{
    static const size_t lengths[] = { 1, 135, 136, 137, 271, 272, 273, 1000 };
    (void)state;
    fill();
    for (size_t n = 0; n < DECAI__COUNT(lengths); n++)
        for (size_t step = 1; step <= 140; step++) {
            uint8_t whole[32], parts[32];
            decai__keccak k;
            decai__keccak256(whole, message, lengths[n]);
            decai__keccak_init(&k);
            for (size_t at = 0; at < lengths[n]; at += step)
                decai__keccak_update(&k, message + at, DECAI__MIN(step, lengths[n] - at));
            decai__keccak_final(&k, parts);
            assert_memory_equal(whole, parts, 32);
        }
}

static void one_by_one(uint8_t out[32], const decai__keccak_batch *b, size_t j)
{
    decai__keccak k;
    decai__keccak_init(&k);
    if (b->head_len) decai__keccak_update(&k, b->heads + j * b->head_step, b->head_len);
    decai__keccak_update(&k, b->data[j], b->len);
    decai__keccak_final(&k, out);
}

/* Every form, every count, lengths around the blocks, heads shorter and longer
 * than one: what plain calls give. */
static void wide_forms(void **state)
{
    static const size_t heads[] = { 0, 1, 19, 135, 136, 137, 300 };
    uint8_t got[19][32], want[32];
    const void *data[19];
    (void)state;
    fill();
    printf("# keccak: %u messages side by side here\n", decai__keccak_widest());
    for (size_t j = 0; j < DECAI__COUNT(data); j++) data[j] = message + 321 * j;
    for (uint32_t widest = 1; widest <= 8; widest++)
        for (size_t h = 0; h < DECAI__COUNT(heads); h++)
            for (size_t len = 0; len <= 600; len += len < 5 || len % 136 > 130 || len % 136 < 5 ? 1 : 19) {
                decai__keccak_batch b = { message + 7, heads[h], len % 3 ? 311 : 0, data, len, 1 + (len + h) % 19 };
                memset(got, 0, sizeof got);
                decai__keccak_batch_as(widest, got, &b);
                for (size_t j = 0; j < DECAI__COUNT(got); j++) {
                    memset(want, 0, 32);
                    if (j < b.count) one_by_one(want, &b, j);
                    assert_memory_equal(got[j], want, 32);
                }
            }
    decai__keccak256_many(got, data, 500, 0);
    decai__keccak256_many(got, data, 500, 19);
    for (size_t j = 0; j < 19; j++) {
        decai__keccak256(want, data[j], 500);
        assert_memory_equal(got[j], want, 32);
    }
}

static void sha256(void **state)
{
    uint8_t h[32];
    decai_context *ctx = NULL;
    decai__sha256_state s;
    OSSL_LIB_CTX *lib = NULL, *again = NULL;
    (void)state;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    assert_int_equal(decai__sha256(ctx, h, "abc", 3), 0);
    hex_equal(h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(decai__sha256_init(ctx, &s), 0);
    assert_int_equal(decai__sha256_update(&s, "a", 1), 0);
    assert_int_equal(decai__sha256_update(&s, NULL, 0), 0);
    assert_int_equal(decai__sha256_update(&s, "bc", 2), 0);
    assert_int_equal(decai__sha256_final(&s, h), 0);
    hex_equal(h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(decai__hash_ossl(ctx, &lib), 0);
    assert_int_equal(decai__hash_ossl(ctx, &again), 0);
    assert_non_null(lib);
    assert_ptr_equal(lib, again);
    decai_destroy(ctx);
}

/* The ethers.js hash vectors; lines come unpacked through gzip and a little
 * scanning, so that this test does not lean on our own JSON. */
static bool field(const char *from, const char *name, char *out, size_t cap)
{
    const char *at = strstr(from, name);
    size_t n = 0;
    if (!at) return false;
    for (at += strlen(name); *at && *at != '"' && n + 1 < cap; at++) out[n++] = *at;
    out[n] = 0;
    return *at == '"';
}

static size_t bytes(uint8_t *out, const char *hex)
{
    size_t n = 0;
    unsigned v;
    for (; sscanf(hex, "%2x", &v) == 1 && hex[0] && hex[1]; hex += 2) out[n++] = (uint8_t)v;
    return n;
}

static void ethers(void **state)
{
    static char text[1 << 20], data[1 << 16], want[80];
    static uint8_t raw[1 << 15];
    char command[600];
    size_t cases = 0;
    const char *dir = getenv("DECAI_VECTORS");
    (void)state;
    snprintf(command, sizeof command, "%s/ethers/hashes.json.gz", dir ? dir : "../shared/vectors");
    FILE *f = fopen(command, "rb");
    if (!f) {
        printf("# skip: no %s\n", command);
        skip();
    }
    fclose(f);
    snprintf(command, sizeof command, "gzip -dc '%s/ethers/hashes.json.gz'", dir ? dir : "../shared/vectors");
    f = popen(command, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof text - 1, f);
    assert_int_equal(pclose(f), 0);
    text[len] = 0;
    decai_context *ctx = NULL;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    for (const char *at = text; (at = strstr(at, "{\"name\"")) != NULL; at++, cases++) {
        uint8_t h[32];
        assert_true(field(at, "\"data\": \"0x", data, sizeof data));
        size_t n = bytes(raw, data);
        assert_true(field(at, "\"keccak256\": \"0x", want, sizeof want));
        decai__keccak256(h, raw, n);
        hex_equal(h, want);
        assert_true(field(at, "\"sha256\": \"0x", want, sizeof want));
        assert_int_equal(decai__sha256(ctx, h, raw, n), 0);
        hex_equal(h, want);
    }
    decai_destroy(ctx);
    assert_true(cases > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published), cmocka_unit_test(permutation_is_sha3s), cmocka_unit_test(permutations_agree),
        cmocka_unit_test(pieces),
        cmocka_unit_test(wide_forms), cmocka_unit_test(sha256), cmocka_unit_test(ethers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
