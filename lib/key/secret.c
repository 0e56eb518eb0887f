/* secret.c - the life of a secret key, and the one function that signs with it.
 *
 * The secret is read by libsecp256k1 straight from its page; copies that the
 * library leaves on the stack are overwritten before we return (stack_wipe).
 * Nonces are RFC 6979 with 32 fresh bytes of the random seam as additional data
 * (section 3.6): a repeated nonce needs both a broken HMAC and a broken random
 * source, a fault in one of two signatures of one digest leaks nothing.
 * A signature leaves only after it recovered to the key's own public key.
 */
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <string.h>

#include "key/curve.h"
#include "key/key.h"

#define CREATE_TRIES 64 /* a random scalar is out of range once in 2^127 */

struct decai_key {
    decai__handle h;
    uint8_t *secret;                    /* page of its own, 32 bytes used */
    const secp256k1_context *curve;     /* lives as long as the context */
    bool locked, test, plain_nonce;
    uint8_t pub[DECAI_PUBLIC_BYTES], address[DECAI_ADDRESS_BYTES];
};

static void
key_destroy(void *self)
{
    decai_key *key = self;
    decai__page_destroy(key->secret);
    key->secret = NULL;
}

/* Fill the page with a scalar in 1 .. n-1. */
static int32_t
fill_secret(decai_key *key, decai_context *ctx, const uint8_t *secret)
{
    for (int i = 0; i < (secret ? 1 : CREATE_TRIES); i++) {
        int32_t r = 0;
        if (secret) memcpy(key->secret, secret, DECAI_KEY_BYTES);
        else r = decai__random(ctx, key->secret, DECAI_KEY_BYTES);
        if (r) return r;
        if (secp256k1_ec_seckey_verify(key->curve, key->secret)) return 0;
    }
    if (secret) return decai__fail(DECAI_E_INVALID, "secret: not in 1 .. n-1");
    return decai__fail(DECAI_E_IO, "seam.random.fill: %d draws in a row are no scalar", CREATE_TRIES);
}

static int32_t
fill_public(decai_key *key)
{
    secp256k1_pubkey pub;
    size_t len = sizeof(key->pub);
    if (!secp256k1_ec_pubkey_create(key->curve, &pub, key->secret)
        || !secp256k1_ec_pubkey_serialize(key->curve, key->pub, &len, &pub, SECP256K1_EC_UNCOMPRESSED))
        return decai__fail(DECAI_E_INTERNAL, "key: no public key");
    decai__address_of(key->address, key->pub);
    return 0;
}

int32_t
decai__key_new(decai_key **out, decai_context *ctx, const uint8_t *secret, const decai_options *o)
{
    bool plain = decai__opt_i64(o, "key.aux_entropy") == 0;
    if (plain && !decai__is_test(ctx))
        return decai__fail(DECAI_E_INVALID, "key.aux_entropy: 0 only in a test context");

    decai_key *key = decai__handle_create(ctx, DECAI__KEY, sizeof(*key), key_destroy);
    if (!key) return DECAI_E_NOMEM;
    key->test = decai__is_test(ctx);
    key->plain_nonce = plain;

    int32_t r = decai__curve(ctx, &key->curve);
    if (r) goto done;
    key->secret = decai__page_create(&key->locked);
    if (!key->secret) {
        r = decai__fail(DECAI_E_NOMEM, "key: no page for a secret");
        goto done;
    }
    r = fill_secret(key, ctx, secret);
    if (!r) r = fill_public(key);
    decai__stack_wipe();
done:
    if (r) decai__destroy(key);
    else *out = key;
    return r;
}

int32_t
decai__key_check(const decai_key *key, const uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32])
{
    uint8_t address[DECAI_ADDRESS_BYTES], pub[DECAI_PUBLIC_BYTES];
    int32_t r = decai__recover(key->h.context, address, pub, sig, digest);
    if (r) return r;
    if (memcmp(pub, key->pub, sizeof(pub)) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "key: the signature does not verify; it is withheld");
    return 0;
}

static int32_t
sign_once(const decai_key *key, uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32])
{
    uint8_t aux[32];
    secp256k1_ecdsa_recoverable_signature full;
    int id = 0;

    int32_t r = key->plain_nonce ? 0 : decai__random(key->h.context, aux, sizeof(aux));
    if (r) return r;
    int ok = secp256k1_ecdsa_sign_recoverable(key->curve, &full, digest, key->secret,
        secp256k1_nonce_function_rfc6979, key->plain_nonce ? NULL : aux);
    if (ok) ok = secp256k1_ecdsa_recoverable_signature_serialize_compact(key->curve, sig, &id, &full);
    decai__wipe(aux, sizeof(aux));
    if (!ok || id > 1) return decai__fail(DECAI_E_INTERNAL, "key: the curve gave no signature");
    sig[64] = (uint8_t)(27 + id);
    return 0;
}

int32_t
decai__key_sign(const decai_key *key, uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32])
{
    uint8_t made[DECAI_SIGNATURE_BYTES];

    memset(sig, 0, DECAI_SIGNATURE_BYTES);
    int32_t r = sign_once(key, made, digest);
    decai__stack_wipe();
    if (!r) r = decai__key_check(key, made, digest);
    if (!r) memcpy(sig, made, sizeof(made));
    decai__wipe(made, sizeof(made));
    return r;
}

const uint8_t *
decai__key_address(const decai_key *key)
{
    return key->address;
}

const uint8_t *
decai__key_public(const decai_key *key)
{
    return key->pub;
}

bool
decai__key_is_test(const decai_key *key)
{
    return key->test;
}

bool
decai__key_is_locked(const decai_key *key)
{
    return key->locked;
}
