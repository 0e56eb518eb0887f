/* sha256.c - SHA-256 (FIPS 180-4) by OpenSSL, for names that other systems use.
 *
 * Each decai context has an OSSL_LIB_CTX of its own with the default provider
 * loaded by name: the process-wide default library context, its configuration
 * file and the variables that point to it stay untouched, and two libraries in
 * one process cannot reconfigure each other. The algorithm is fetched once,
 * because a fetch costs more than a short hash.
 */
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "hash/hash.h"

struct ossl {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *provider;
    EVP_MD *sha256;
};

static void ossl_free(decai_context *ctx, void *value)
{
    struct ossl *o = value;
    if (!o) return;
    EVP_MD_free(o->sha256);
    if (o->provider) OSSL_PROVIDER_unload(o->provider);
    OSSL_LIB_CTX_free(o->lib);
    decai__free(ctx, o);
}

static int32_t ossl_make(decai_context *ctx, void **value)
{
    struct ossl *o = decai__calloc(ctx, 1, sizeof *o);
    *value = NULL;
    if (!o) return decai__fail(DECAI_E_NOMEM, "hash: OpenSSL's library context");
    o->lib = OSSL_LIB_CTX_new();
    if (o->lib) o->provider = OSSL_PROVIDER_load(o->lib, "default");
    if (o->provider) o->sha256 = EVP_MD_fetch(o->lib, "SHA256", NULL);
    if (!o->sha256) {
        int32_t code = o->provider ? DECAI_E_UNSUPPORTED : DECAI_E_NOMEM;
        const char *what = o->provider ? "SHA256" : "default provider";
        ossl_free(ctx, o);
        return decai__fail(code, "hash: OpenSSL has no %s", what);
    }
    *value = o;
    return 0;
}

static int32_t ossl_get(decai_context *ctx, struct ossl **out)
{
    void *value = NULL;
    int32_t r = decai__context_slot(ctx, DECAI__SLOT_HASH, &value, ossl_make, ossl_free);
    *out = value;
    return r;
}

int32_t decai__hash_ossl(decai_context *ctx, OSSL_LIB_CTX **out)
{
    struct ossl *o;
    int32_t r = ossl_get(ctx, &o);
    *out = r ? NULL : o->lib;
    return r;
}

int32_t decai__sha256_init(decai_context *ctx, decai__sha256_state *s)
{
    struct ossl *o;
    int32_t r = ossl_get(ctx, &o);
    s->evp = NULL;
    if (r) return r;
    EVP_MD_CTX *evp = EVP_MD_CTX_new();
    if (!evp || EVP_DigestInit_ex2(evp, o->sha256, NULL) != 1) {
        EVP_MD_CTX_free(evp);
        return decai__fail(DECAI_E_NOMEM, "hash: a SHA-256 state");
    }
    s->evp = evp;
    return 0;
}

int32_t decai__sha256_update(decai__sha256_state *s, const void *data, size_t len)
{
    decai__assert(s->evp);
    if (len && EVP_DigestUpdate(s->evp, data, len) != 1)
        return decai__fail(DECAI_E_INTERNAL, "hash: SHA-256 refused %zu bytes", len);
    return 0;
}

int32_t decai__sha256_final(decai__sha256_state *s, uint8_t out[32])
{
    unsigned int len = 0;
    int32_t r = 0;
    if (out && (!s->evp || EVP_DigestFinal_ex(s->evp, out, &len) != 1 || len != 32))
        r = decai__fail(DECAI_E_INTERNAL, "hash: SHA-256 gave %u bytes", len);
    EVP_MD_CTX_free(s->evp);
    s->evp = NULL;
    return r;
}

int32_t decai__sha256(decai_context *ctx, uint8_t out[32], const void *data, size_t len)
{
    decai__sha256_state s;
    int32_t r = decai__sha256_init(ctx, &s);
    if (r) return r;
    r = decai__sha256_update(&s, data, len);
    int32_t end = decai__sha256_final(&s, r ? NULL : out);
    return r ? r : end;
}
