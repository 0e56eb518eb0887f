/* sha256.c - SHA-256 (FIPS 180-4) by OpenSSL, for names that other systems use,
 * and the OpenSSL library context of a decai context.
 *
 * The hash goes through SHA256_Init/Update/Final and not through EVP, on
 * purpose. EVP_DigestInit of OpenSSL 3.0 asks for an engine first, and asking
 * loads the configuration file that OPENSSL_CONF names into the process-wide
 * default library context, whatever context the algorithm was fetched from: a
 * variable could then load a shared object into our host. The low-level calls
 * touch nothing, allocate nothing and are about twice as fast on 64
 * bytes. They are marked as deprecated since 3.0 and still there in 3.x;
 * tests/unit/hash_environment_test.c watches that no file is opened.
 *
 * Who needs EVP (ciphers, curves) gets an OSSL_LIB_CTX of the context's own,
 * with the default provider loaded by name; making it reads no configuration.
 * The warning above holds for its user.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <string.h>

#include "hash/hash.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((decai__sha256_state *)0)->opaque), "OpenSSL's state has grown");

/* ---- the library context ----------------------------------------------------- */

struct ossl {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *provider;
};

static void
ossl_free(decai_context *ctx, void *value)
{
    struct ossl *o = value;
    if (!o) return;
    if (o->provider) OSSL_PROVIDER_unload(o->provider);
    OSSL_LIB_CTX_free(o->lib);
    decai__free(ctx, o);
}

static int32_t
ossl_make(decai_context *ctx, void **value)
{
    struct ossl *o = decai__calloc(ctx, 1, sizeof *o);
    *value = NULL;
    if (!o) return decai__fail(DECAI_E_NOMEM, "hash: OpenSSL's library context");
    o->lib = OSSL_LIB_CTX_new();
    if (o->lib) o->provider = OSSL_PROVIDER_load(o->lib, "default");
    if (!o->provider) {
        ossl_free(ctx, o);
        return decai__fail(DECAI_E_NOMEM, "hash: OpenSSL's default provider");
    }
    *value = o;
    return 0;
}

int32_t
decai__hash_ossl(decai_context *ctx, OSSL_LIB_CTX **out)
{
    void *value = NULL;
    int32_t r = decai__context_slot(ctx, DECAI__SLOT_HASH, &value, ossl_make, ossl_free);
    *out = r ? NULL : ((struct ossl *)value)->lib;
    return r;
}

/* ---- the hash ------------------------------------------------------------------ */

static SHA256_CTX *
state_of(decai__sha256_state *s)
{
    return (SHA256_CTX *)(void *)s->opaque;
}

int32_t
decai__sha256_init(decai_context *ctx, decai__sha256_state *s)
{
    (void)ctx;
    if (SHA256_Init(state_of(s)) != 1) return decai__fail(DECAI_E_UNSUPPORTED, "hash: OpenSSL has no SHA-256");
    return 0;
}

int32_t
decai__sha256_update(decai__sha256_state *s, const void *data, size_t len)
{
    if (len && SHA256_Update(state_of(s), data, len) != 1)
        return decai__fail(DECAI_E_INTERNAL, "hash: SHA-256 refused %zu bytes", len);
    return 0;
}

int32_t
decai__sha256_final(decai__sha256_state *s, uint8_t out[32])
{
    uint8_t hash[32] = {0};          /* OpenSSL writes it unseen by MemorySanitizer */
    if (SHA256_Final(hash, state_of(s)) != 1) return decai__fail(DECAI_E_INTERNAL, "hash: SHA-256 did not end");
    if (out) memcpy(out, hash, sizeof hash);
    return 0;
}

int32_t
decai__sha256(decai_context *ctx, uint8_t out[32], const void *data, size_t len)
{
    decai__sha256_state s;
    int32_t r = decai__sha256_init(ctx, &s);
    if (!r) r = decai__sha256_update(&s, data, len);
    if (!r) r = decai__sha256_final(&s, out);
    return r;
}
