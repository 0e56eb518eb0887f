/* curve.c - ECDSA over secp256k1 without a way to end the process.
 *
 * libsecp256k1 does the arithmetic. Its two callbacks abort by default, and its
 * context_create aborts when malloc fails; here the context lives in memory of
 * the context's seam (the preallocated form) and both callbacks return, so that
 * a broken rule is a failed call, which becomes DECAI_E_INTERNAL.
 *
 * One context per decai context, made at first use, blinded once from the
 * random seam, then only read: const, so every thread may use it.
 *
 * A signature is r | s | v: r, s big-endian in 1 .. n-1, s at most n/2 (SEC 1
 * 4.1.3 with the low-s rule of EIP-2), v = 27 + parity of R's y. R's x above n
 * (v 29, 30 elsewhere; one in 2^127) is not a signature here.
 */
#include <secp256k1.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <string.h>

#include "hash/hash.h"
#include "key/curve.h"
#include "key/key.h"

static void
refuse(const char *message, void *user)
{
    (void)message;                      /* the call returns 0; we report that */
    (void)user;
}

static void
curve_destroy(decai_context *ctx, void *value)
{
    secp256k1_context_preallocated_destroy(value);
    decai__free(ctx, value);
}

static int32_t
curve_make(decai_context *ctx, void **value)
{
    uint8_t seed[32];
    int32_t r = decai__random(ctx, seed, sizeof(seed));
    if (r) return r;
    void *memory = decai__alloc(ctx, secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE));
    if (!memory) {
        decai__wipe(seed, sizeof(seed));
        return DECAI_E_NOMEM;
    }
    secp256k1_context *curve = secp256k1_context_preallocated_create(memory, SECP256K1_CONTEXT_NONE);
    secp256k1_context_set_illegal_callback(curve, refuse, NULL);
    secp256k1_context_set_error_callback(curve, refuse, NULL);
    int ok = secp256k1_context_randomize(curve, seed);
    decai__wipe(seed, sizeof(seed));
    if (!ok) {
        curve_destroy(ctx, curve);
        return decai__fail(DECAI_E_INTERNAL, "key: the curve's context could not be blinded");
    }
    *value = curve;
    return 0;
}

int32_t
decai__curve(decai_context *ctx, const secp256k1_context **out)
{
    void *curve = NULL;
    int32_t r = decai__context_slot(ctx, DECAI__SLOT_KEY, &curve, curve_make, curve_destroy);
    *out = curve;
    return r;
}

/* 0, or why this pair is no signature of ours. */
static int32_t
read_rs(const secp256k1_context *curve, secp256k1_ecdsa_signature *out, const uint8_t rs[64])
{
    static const uint8_t zero[32];
    if (!memcmp(rs, zero, 32) || !memcmp(rs + 32, zero, 32))
        return decai__fail(DECAI_E_INTEGRITY, "signature: %c is 0", memcmp(rs, zero, 32) ? 's' : 'r');
    if (!secp256k1_ecdsa_signature_parse_compact(curve, out, rs))
        return decai__fail(DECAI_E_INTEGRITY, "signature: r or s is not below the group order");
    if (secp256k1_ecdsa_signature_normalize(curve, NULL, out))
        return decai__fail(DECAI_E_INTEGRITY, "signature: s is in the upper half of the group order");
    return 0;
}

int32_t
decai__verify(decai_context *ctx, const uint8_t rs[64], const uint8_t digest[32], const uint8_t *pub, size_t pub_len)
{
    const secp256k1_context *curve;
    secp256k1_ecdsa_signature sig;
    secp256k1_pubkey key;

    int32_t r = decai__curve(ctx, &curve);
    if (!r) r = read_rs(curve, &sig, rs);
    if (r) return r;
    if (!secp256k1_ec_pubkey_parse(curve, &key, pub, pub_len))
        return decai__fail(DECAI_E_INTEGRITY, "public key: not a point of the curve");
    if (!secp256k1_ecdsa_verify(curve, &sig, digest, &key))
        return decai__fail(DECAI_E_INTEGRITY, "signature: not of this key over this digest");
    return 0;
}

int32_t
decai__recover(decai_context *ctx, uint8_t address[DECAI_ADDRESS_BYTES], uint8_t *pub,
    const uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32])
{
    const secp256k1_context *curve;
    secp256k1_ecdsa_signature plain;
    secp256k1_ecdsa_recoverable_signature full;
    secp256k1_pubkey key;
    uint8_t bytes[DECAI_PUBLIC_BYTES];
    size_t len = sizeof(bytes);

    int32_t r = decai__curve(ctx, &curve);
    if (!r) r = read_rs(curve, &plain, sig);
    if (r) return r;
    if (sig[64] != 27 && sig[64] != 28)
        return decai__fail(DECAI_E_INTEGRITY, "signature.v: %u is not 27 or 28", (unsigned)sig[64]);
    if (!secp256k1_ecdsa_recoverable_signature_parse_compact(curve, &full, sig, sig[64] - 27)
        || !secp256k1_ecdsa_recover(curve, &key, &full, digest)
        || !secp256k1_ec_pubkey_serialize(curve, bytes, &len, &key, SECP256K1_EC_UNCOMPRESSED))
        return decai__fail(DECAI_E_INTEGRITY, "signature: no public key has it");

    decai__address_of(address, bytes);
    if (pub) memcpy(pub, bytes, sizeof(bytes));
    return 0;
}

void
decai__address_of(uint8_t out[DECAI_ADDRESS_BYTES], const uint8_t pub[DECAI_PUBLIC_BYTES])
{
    uint8_t hash[32];
    decai__assert(pub[0] == 4);
    decai__keccak256(hash, pub + 1, 64);
    memcpy(out, hash + 12, DECAI_ADDRESS_BYTES);
}
