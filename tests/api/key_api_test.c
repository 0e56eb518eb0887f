/* key_api_test.c - keys, addresses, hashes and signatures through the door. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "decai.h"

static decai_context *ctx;

static int
setup(void **state)
{
    (void)state;
    return decai_context_create(&ctx, NULL);
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

/* Secret 1: the address that every textbook prints. */
static void
test_key(void **state)
{
    (void)state;
    uint8_t secret[32] = {[31] = 1}, address[20], pub[65];
    char text[64];
    size_t len;
    int32_t test, locked;
    decai_key *key = NULL;

    assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), 0);
    assert_int_equal(decai_key_address_get(key, address, 20), 0);
    assert_int_equal(decai_address_format(NULL, 0, &len, address, 20), DECAI_E_SPACE);
    assert_int_equal(len, DECAI_ADDRESS_TEXT);
    assert_int_equal(decai_address_format(text, 41, &len, address, 20), DECAI_E_SPACE);
    assert_int_equal(decai_address_format(text, 42, &len, address, 20), 0);
    assert_memory_equal(text, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", 42);
    assert_int_equal(decai_key_public_get(key, pub, 65), 0);
    assert_int_equal(pub[0], 4);
    assert_int_equal(pub[1], 0x79);             /* the generator's x */
    assert_int_equal(decai_key_get(key, &test, &locked), 0);
    assert_int_equal(test, 0);
    assert_true(locked == 0 || locked == 1);
    assert_int_equal(decai_key_address_get(key, address, 19), DECAI_E_INVALID);
    assert_int_equal(decai_key_public_get(key, pub, 64), DECAI_E_INVALID);
    assert_int_equal(decai_key_get(key, NULL, &locked), DECAI_E_INVALID);
    assert_int_equal(decai_key_address_get((decai_key *)(void *)ctx, address, 20), DECAI_E_INVALID);
    assert_int_equal(decai_key_address_get(NULL, address, 20), DECAI_E_INVALID);
    decai_destroy(key);
}

static void
test_options(void **state)
{
    (void)state;
    decai_options *o = NULL;
    decai_key *key = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "key.aux_entropy", 2), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, "key.aux_entropy", 1), 0);
    assert_int_equal(decai_key_create(&key, ctx, o), 0);
    decai_destroy(key);
    assert_int_equal(decai_options_set_i64(o, "key.aux_entropy", 0), 0);
    assert_int_equal(decai_key_create(&key, ctx, o), DECAI_E_INVALID);   /* not a test context */
    assert_null(key);
    decai_destroy(o);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.chain_id", 1), 0);
    assert_int_equal(decai_key_create(&key, ctx, o), DECAI_E_INVALID);   /* a key of another room */
    decai_destroy(o);
    assert_int_equal(decai_key_create(NULL, ctx, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_key_create(&key, NULL, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_key_load(&key, ctx, NULL, 32, NULL), DECAI_E_INVALID);
}

static void
test_addresses(void **state)
{
    static const char good[] = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    static const char bad[] = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD";
    static const char upper[] = "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED";
    uint8_t out[20];
    (void)state;
    assert_int_equal(decai_address_parse(out, 20, good, 42), 0);
    assert_int_equal(out[0], 0x5a);
    assert_int_equal(decai_address_parse(out, 20, bad, 42), DECAI_E_INTEGRITY);
    assert_int_equal(out[0], 0);
    assert_int_equal(decai_address_parse(out, 20, upper, 42), DECAI_E_INTEGRITY);
    assert_int_equal(decai_address_parse(out, 20, good, 41), DECAI_E_CORRUPT);
    assert_int_equal(decai_address_parse(out, 20, good + 2, 40), DECAI_E_CORRUPT);
    assert_int_equal(decai_address_parse(out, 19, good, 42), DECAI_E_INVALID);
    assert_int_equal(decai_address_parse(out, 20, NULL, 42), DECAI_E_INVALID);
}

/* An example signature published with web3.js' documentation of recover. */
static void
test_recover(void **state)
{
    static const uint8_t sig[65] = {0xb9, 0x14, 0x67, 0xe5, 0x70, 0xa6, 0x46, 0x6a, 0xa9, 0xe9, 0x87, 0x6c, 0xbc, 0xd0,
        0x13, 0xba, 0xba, 0x02, 0x90, 0x0b, 0x89, 0x79, 0xd4, 0x3f, 0xe2, 0x08, 0xa4, 0xa4, 0xf3, 0x39, 0xf5, 0xfd, 0x60,
        0x07, 0xe7, 0x4c, 0xd8, 0x2e, 0x03, 0x7b, 0x80, 0x01, 0x86, 0x42, 0x2f, 0xc2, 0xda, 0x16, 0x7c, 0x74, 0x7e, 0xf0,
        0x45, 0xe5, 0xd1, 0x8a, 0x5f, 0x5d, 0x43, 0x00, 0xf8, 0xe1, 0xa0, 0x29, 28};
    static const char signer[] = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    uint8_t hash[32], want[20], address[20], pub[65], other[65];
    (void)state;
    assert_int_equal(decai_message_hash(hash, 32, (const uint8_t *)"Some data", 9), 0);
    assert_int_equal(decai_address_parse(want, 20, signer, 42), 0);
    assert_int_equal(decai_signature_recover(ctx, address, 20, pub, 65, sig, 65, hash, 32), 0);
    assert_memory_equal(address, want, 20);
    assert_int_equal(decai_signature_recover(ctx, address, 20, NULL, 0, sig, 65, hash, 32), 0);
    assert_int_equal(decai_signature_verify(ctx, sig, 65, hash, 32, want, 20), 0);
    hash[0] ^= 1;
    assert_int_equal(decai_signature_verify(ctx, sig, 65, hash, 32, want, 20), DECAI_E_INTEGRITY);
    memcpy(other, sig, 65);
    other[64] = 1;                              /* the other convention is not ours */
    assert_int_equal(decai_signature_recover(ctx, address, 20, NULL, 0, other, 65, hash, 32), DECAI_E_INTEGRITY);
    assert_int_equal(decai_signature_verify(ctx, sig, 64, hash, 32, want, 20), DECAI_E_INVALID);
    assert_int_equal(decai_signature_verify(ctx, sig, 65, hash, 31, want, 20), DECAI_E_INVALID);
    assert_int_equal(decai_signature_recover(ctx, address, 20, pub, 64, sig, 65, hash, 32), DECAI_E_INVALID);
    assert_int_equal(decai_message_hash(hash, 32, NULL, 0), 0);
    assert_int_equal(decai_message_hash(hash, 32, NULL, 1), DECAI_E_INVALID);
}

static void
test_typed(void **state)
{
    /* The example of the EIP itself, with the digest it prints. */
    static const char mail[] = "{\"types\":{\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"version\","
        "\"type\":\"string\"},{\"name\":\"chainId\",\"type\":\"uint256\"},{\"name\":\"verifyingContract\",\"type\":"
        "\"address\"}],\"Person\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"wallet\",\"type\":\"address\"}],"
        "\"Mail\":[{\"name\":\"from\",\"type\":\"Person\"},{\"name\":\"to\",\"type\":\"Person\"},{\"name\":\"contents\","
        "\"type\":\"string\"}]},\"primaryType\":\"Mail\",\"domain\":{\"name\":\"Ether Mail\",\"version\":\"1\",\"chainId\":1,"
        "\"verifyingContract\":\"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC\"},\"message\":{\"from\":{\"name\":\"Cow\","
        "\"wallet\":\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"},\"to\":{\"name\":\"Bob\",\"wallet\":"
        "\"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB\"},\"contents\":\"Hello, Bob!\"}}";
    static const uint8_t want[4] = {0xbe, 0x60, 0x9a, 0xee};
    uint8_t digest[32], domain[32], message[32];
    (void)state;
    assert_int_equal(decai_typed_hash(ctx, digest, 32, domain, 32, message, 32, mail, sizeof(mail) - 1), 0);
    assert_memory_equal(digest, want, 4);
    assert_int_equal(domain[0], 0xf2);
    assert_int_equal(message[0], 0xc5);
    assert_int_equal(decai_typed_hash(ctx, digest, 32, NULL, 0, NULL, 0, mail, sizeof(mail) - 1), 0);
    assert_int_equal(decai_typed_hash(ctx, digest, 32, NULL, 0, NULL, 0, mail, sizeof(mail) - 2), DECAI_E_CORRUPT);
    assert_int_equal(digest[0], 0);
    assert_int_equal(decai_typed_hash(ctx, digest, 32, NULL, 32, NULL, 0, mail, 1), DECAI_E_INVALID);
    assert_int_equal(decai_typed_hash(ctx, digest, 32, NULL, 0, NULL, 0, NULL, 1), DECAI_E_INVALID);
}

/* A child after fork has no key: not by the door, and not in its memory. */
static void
test_fork(void **state)
{
    (void)state;
    uint8_t address[20];
    int status = 0;
    decai_key *key = NULL;
    assert_int_equal(decai_key_create(&key, ctx, NULL), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int32_t r = decai_key_address_get(key, address, 20);
        decai_destroy(key);
        _exit(r == DECAI_E_STATE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    decai_destroy(key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_recover),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
