/* ctime_key.c - is the time of making and using a key independent of the key?
 *
 * Debian's libsecp256k1 is built without the marks that declare its public
 * results (a signature; "this scalar is in range") defined. The functions that
 * take a secret are wrapped here: poison the secret again, call the real one,
 * release what is public by design. What libsecp256k1 does inside is its own,
 * checked by its own tests; reports with their top frame in it are suppressed. */
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <stdint.h>
#include <string.h>

#include "ctime.h"
#include "key/key.h"

int __real_secp256k1_ec_seckey_verify(const secp256k1_context *c, const unsigned char *key);
int __wrap_secp256k1_ec_seckey_verify(const secp256k1_context *c, const unsigned char *key);
int __real_secp256k1_ec_pubkey_create(const secp256k1_context *c, secp256k1_pubkey *pub, const unsigned char *key);
int __wrap_secp256k1_ec_pubkey_create(const secp256k1_context *c, secp256k1_pubkey *pub, const unsigned char *key);
int __real_secp256k1_ecdsa_sign_recoverable(const secp256k1_context *c, secp256k1_ecdsa_recoverable_signature *sig,
    const unsigned char *digest, const unsigned char *key, secp256k1_nonce_function nonce, const void *aux);
int __wrap_secp256k1_ecdsa_sign_recoverable(const secp256k1_context *c, secp256k1_ecdsa_recoverable_signature *sig,
    const unsigned char *digest, const unsigned char *key, secp256k1_nonce_function nonce, const void *aux);

static int
public_int(int v)
{
    ctime_release(&v, sizeof(v));
    return v;
}

int
__wrap_secp256k1_ec_seckey_verify(const secp256k1_context *c, const unsigned char *key)
{
    ctime_poison(key, 32);              /* a new key is secret from its first use on */
    return public_int(__real_secp256k1_ec_seckey_verify(c, key));
}

int
__wrap_secp256k1_ec_pubkey_create(const secp256k1_context *c, secp256k1_pubkey *pub, const unsigned char *key)
{
    ctime_poison(key, 32);
    int r = public_int(__real_secp256k1_ec_pubkey_create(c, pub, key));
    ctime_release(pub, sizeof(*pub));
    return r;
}

int
__wrap_secp256k1_ecdsa_sign_recoverable(const secp256k1_context *c, secp256k1_ecdsa_recoverable_signature *sig,
    const unsigned char *digest, const unsigned char *key, secp256k1_nonce_function nonce, const void *aux)
{
    ctime_poison(key, 32);
    if (aux) ctime_poison(aux, 32);
    int r = public_int(__real_secp256k1_ecdsa_sign_recoverable(c, sig, digest, key, nonce, aux));
    ctime_release(sig, sizeof(*sig));
    return r;
}

/* Signs a few digests; the signature is public, the key stays secret. */
static int
sign(decai_key *key)
{
    uint8_t digest[32] = {3}, sig[DECAI_SIGNATURE_BYTES];
    int32_t r = 0;
    for (int i = 0; i < 4 && !r; i++) {
        digest[0]++;
        r = decai__key_sign(key, sig, digest);
    }
    return r != 0;
}

static int
loaded(void)
{
    decai_context *ctx = NULL;
    decai_key *key = NULL;
    uint8_t secret[32];
    int bad = 1;

    memset(secret, 0x11, sizeof(secret));
    ctime_poison(secret, sizeof(secret));
    if (!decai_context_create(&ctx, NULL) && !decai_key_load(&key, ctx, secret, sizeof(secret), NULL)) bad = sign(key);
    decai_destroy(key);
    decai_destroy(ctx);
    return bad;
}

static int
created(void)
{
    decai_context *ctx = NULL;
    decai_key *key = NULL;
    int bad = 1;

    if (!decai_context_create(&ctx, NULL) && !decai_key_create(&key, ctx, NULL)) bad = sign(key);
    decai_destroy(key);
    decai_destroy(ctx);
    return bad;
}

const ctime_case ctime_key[] = {{"key-load-sign", loaded}, {"key-create-sign", created}, {0}};
