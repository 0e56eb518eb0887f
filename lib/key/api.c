/* api.c - the door of key: arguments are checked here, work is done behind.
 * Nothing here signs. */
#include <string.h>

#include "key/key.h"

/* A fixed-size buffer argument that may be left out. */
static int32_t
fixed_or_null(const void *buffer, size_t len, size_t want, const char *name)
{
    return buffer || len ? decai__door_fixed(buffer, len, want, name) : 0;
}

int32_t
decai_key_create(decai_key **out, decai_context *context, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__opts_check(options, "key");
    return r ? r : decai__key_new(out, context, NULL, options);
}

int32_t
decai_key_load(decai_key **out, decai_context *context, const uint8_t *secret, size_t secret_len,
    const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__door_fixed(secret, secret_len, DECAI_KEY_BYTES, "secret");
    if (!r) r = decai__opts_check(options, "key");
    return r ? r : decai__key_new(out, context, secret, options);
}

int32_t
decai_key_address_get(decai_key *key, uint8_t *out, size_t out_len)
{
    int32_t r = decai__door_fixed(out, out_len, DECAI_ADDRESS_BYTES, "out");
    if (r) return r;
    memset(out, 0, out_len);
    r = decai__enter(key, DECAI__KEY);
    if (r) return r;
    memcpy(out, decai__key_address(key), out_len);
    decai__leave(key);
    return 0;
}

int32_t
decai_key_public_get(decai_key *key, uint8_t *out, size_t out_len)
{
    int32_t r = decai__door_fixed(out, out_len, DECAI_PUBLIC_BYTES, "out");
    if (r) return r;
    memset(out, 0, out_len);
    r = decai__enter(key, DECAI__KEY);
    if (r) return r;
    memcpy(out, decai__key_public(key), out_len);
    decai__leave(key);
    return 0;
}

int32_t
decai_key_get(decai_key *key, int32_t *test, int32_t *locked)
{
    if (!test || !locked) return decai__fail(DECAI_E_INVALID, "%s: NULL", test ? "locked" : "test");
    *test = *locked = 0;
    int32_t r = decai__enter(key, DECAI__KEY);
    if (r) return r;
    *test = decai__key_is_test(key);
    *locked = decai__key_is_locked(key);
    decai__leave(key);
    return 0;
}

int32_t
decai_address_format(char *out, size_t cap, size_t *len, const uint8_t *address, size_t address_len)
{
    char text[DECAI_ADDRESS_TEXT];
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    int32_t r = decai__door_fixed(address, address_len, DECAI_ADDRESS_BYTES, "address");
    if (r) return r;
    decai__address_text(text, address);
    return decai__bytes_out((uint8_t *)out, cap, len, text, sizeof(text));
}

int32_t
decai_address_parse(uint8_t *out, size_t out_len, const char *text, size_t text_len)
{
    int32_t r = decai__door_fixed(out, out_len, DECAI_ADDRESS_BYTES, "out");
    if (r) return r;
    memset(out, 0, out_len);
    if (!text) return decai__fail(DECAI_E_INVALID, "text: NULL");
    return decai__address_read(out, text, text_len, "address");
}

int32_t
decai_message_hash(uint8_t *out, size_t out_len, const uint8_t *message, size_t message_len)
{
    int32_t r = decai__door_fixed(out, out_len, 32, "out");
    if (r) return r;
    memset(out, 0, out_len);
    if (!message && message_len) return decai__fail(DECAI_E_INVALID, "message: NULL");
    decai__eip191(out, message, message_len);
    return 0;
}

int32_t
decai_typed_hash(decai_context *context, uint8_t *digest, size_t digest_len, uint8_t *domain,
    size_t domain_len, uint8_t *message, size_t message_len, const char *text, size_t text_len)
{
    decai__typed typed;
    int32_t r = decai__door_fixed(digest, digest_len, 32, "digest");
    if (!r) r = fixed_or_null(domain, domain_len, 32, "domain");
    if (!r) r = fixed_or_null(message, message_len, 32, "message");
    if (r) return r;
    memset(digest, 0, digest_len);
    if (domain) memset(domain, 0, domain_len);
    if (message) memset(message, 0, message_len);
    r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r && !text) r = decai__fail(DECAI_E_INVALID, "text: NULL");
    if (!r) r = decai__typed_hash(context, &typed, text, text_len);
    if (r) return r;
    memcpy(digest, typed.digest, 32);
    if (domain) memcpy(domain, typed.domain, 32);
    if (message) memcpy(message, typed.message, 32);
    return 0;
}

int32_t
decai_signature_verify(decai_context *context, const uint8_t *signature, size_t signature_len,
    const uint8_t *digest, size_t digest_len, const uint8_t *address, size_t address_len)
{
    uint8_t signer[DECAI_ADDRESS_BYTES];
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__door_fixed(signature, signature_len, DECAI_SIGNATURE_BYTES, "signature");
    if (!r) r = decai__door_fixed(digest, digest_len, 32, "digest");
    if (!r) r = decai__door_fixed(address, address_len, DECAI_ADDRESS_BYTES, "address");
    if (!r) r = decai__recover(context, signer, NULL, signature, digest);
    if (r) return r;
    if (memcmp(signer, address, sizeof(signer)) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "signature: not by this address");
    return 0;
}

int32_t
decai_signature_recover(decai_context *context, uint8_t *address, size_t address_len, uint8_t *public_key,
    size_t public_len, const uint8_t *signature, size_t signature_len, const uint8_t *digest, size_t digest_len)
{
    int32_t r = decai__door_fixed(address, address_len, DECAI_ADDRESS_BYTES, "address");
    if (!r) r = fixed_or_null(public_key, public_len, DECAI_PUBLIC_BYTES, "public_key");
    if (r) return r;
    memset(address, 0, address_len);
    if (public_key) memset(public_key, 0, public_len);
    r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__door_fixed(signature, signature_len, DECAI_SIGNATURE_BYTES, "signature");
    if (!r) r = decai__door_fixed(digest, digest_len, 32, "digest");
    return r ? r : decai__recover(context, address, public_key, signature, digest);
}
