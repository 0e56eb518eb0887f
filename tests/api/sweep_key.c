/* sweep_key.c - key's rows of the allocation sweep. */
#include <string.h>

#include "sweep.h"

static const uint8_t secret[32] = {[31] = 1};

static int32_t
load_setup(decai_context *ctx, void **state)
{
    return decai_key_load((decai_key **)state, ctx, secret, 32, NULL);
}

static void
destroy_state(decai_context *ctx, void *state)
{
    (void)ctx;
    decai_destroy(state);
}

static int32_t
create(decai_context *ctx, void *state)
{
    (void)state;
    decai_key *key = NULL;
    int32_t r = decai_key_create(&key, ctx, NULL);
    decai_destroy(key);
    return r;
}

static int32_t
load(decai_context *ctx, void *state)
{
    (void)state;
    decai_key *key = NULL;
    int32_t r = decai_key_load(&key, ctx, secret, 32, NULL);
    decai_destroy(key);
    return r;
}

static int32_t
address_get(decai_context *ctx, void *state)
{
    (void)ctx;
    uint8_t address[20];
    return decai_key_address_get(state, address, 20);
}

static int32_t
public_get(decai_context *ctx, void *state)
{
    (void)ctx;
    uint8_t pub[65];
    return decai_key_public_get(state, pub, 65);
}

static int32_t
get(decai_context *ctx, void *state)
{
    (void)ctx;
    int32_t test, locked;
    return decai_key_get(state, &test, &locked);
}

static int32_t
address_format(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    char text[42];
    size_t len;
    return decai_address_format(text, 42, &len, secret, 20);
}

static int32_t
address_parse(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    uint8_t out[20];
    return decai_address_parse(out, 20, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", 42);
}

static int32_t
message_hash(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    uint8_t out[32];
    return decai_message_hash(out, 32, secret, 32);
}

static int32_t
typed_hash(decai_context *ctx, void *state)
{
    static const char text[] = "{\"types\":{\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"}],\"S\":[{\"name\":"
        "\"v\",\"type\":\"T[]\"}],\"T\":[{\"name\":\"a\",\"type\":\"int8\"}]},\"primaryType\":\"S\",\"domain\":{\"name\":"
        "\"x\"},\"message\":{\"v\":[{\"a\":-1}]}}";
    (void)state;
    uint8_t digest[32];
    return decai_typed_hash(ctx, digest, 32, NULL, 0, NULL, 0, text, sizeof(text) - 1);
}

/* keccak("\x19Ethereum Signed Message:\n9Some data") and its signature */
static const uint8_t sig[65] = {0xb9, 0x14, 0x67, 0xe5, 0x70, 0xa6, 0x46, 0x6a, 0xa9, 0xe9, 0x87, 0x6c, 0xbc, 0xd0, 0x13,
    0xba, 0xba, 0x02, 0x90, 0x0b, 0x89, 0x79, 0xd4, 0x3f, 0xe2, 0x08, 0xa4, 0xa4, 0xf3, 0x39, 0xf5, 0xfd, 0x60, 0x07,
    0xe7, 0x4c, 0xd8, 0x2e, 0x03, 0x7b, 0x80, 0x01, 0x86, 0x42, 0x2f, 0xc2, 0xda, 0x16, 0x7c, 0x74, 0x7e, 0xf0, 0x45,
    0xe5, 0xd1, 0x8a, 0x5f, 0x5d, 0x43, 0x00, 0xf8, 0xe1, 0xa0, 0x29, 28};

static int32_t
recover(decai_context *ctx, void *state)
{
    (void)state;
    uint8_t hash[32], address[20];
    int32_t r = decai_message_hash(hash, 32, (const uint8_t *)"Some data", 9);
    return r ? r : decai_signature_recover(ctx, address, 20, NULL, 0, sig, 65, hash, 32);
}

static int32_t
verify(decai_context *ctx, void *state)
{
    (void)state;
    uint8_t hash[32], address[20];
    int32_t r = decai_address_parse(address, 20, "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", 42);
    if (!r) r = decai_message_hash(hash, 32, (const uint8_t *)"Some data", 9);
    return r ? r : decai_signature_verify(ctx, sig, 65, hash, 32, address, 20);
}

const sweep_case sweep_key[] = {
    {"decai_key_create", NULL, create, NULL},
    {"decai_key_load", NULL, load, NULL},
    {"decai_key_address_get", load_setup, address_get, destroy_state},
    {"decai_key_public_get", load_setup, public_get, destroy_state},
    {"decai_key_get", load_setup, get, destroy_state},
    {"decai_address_format", NULL, address_format, NULL},
    {"decai_address_parse", NULL, address_parse, NULL},
    {"decai_message_hash", NULL, message_hash, NULL},
    {"decai_typed_hash", NULL, typed_hash, NULL},
    {"decai_signature_verify", NULL, verify, NULL},
    {"decai_signature_recover", NULL, recover, NULL},
    {0},
};
