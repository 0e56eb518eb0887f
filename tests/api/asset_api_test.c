/* asset_api_test.c - a model becomes an asset, and a changed model is not it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"
#include "support_gguf.h"

#define OWNER "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf" /* of secret 1 */
#define OTHER "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF" /* of secret 2 */
#define CHAIN 31337

static decai_context *ctx;
static decai_model *model;

static void
flip(void *user, const char *tensor, uint8_t *data, size_t size)
{
    if (user && !strcmp(tensor, user)) data[size - 1] ^= 1;
}

static decai_model *
make_model(const char *tamper, uint64_t seed)
{
    support_llama m = SUPPORT_LLAMA_TINY;
    decai_model *out = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    m.seed = seed;
    m.tamper = flip;
    m.user = (void *)tamper;
    support_gguf_llama(&m, &bytes, &len);
    assert_int_equal(decai_model_open(&out, ctx, bytes, len, NULL), 0);
    free(bytes);
    return out;
}

static int
setup(void **state)
{
    (void)state;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    model = make_model(NULL, 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(model);
    decai_destroy(ctx);
    return 0;
}

static decai_options *
terms(const char *royalties)
{
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "asset.name", "tiny llama"), 0);
    assert_int_equal(decai_options_set_str(o, "asset.owner", OWNER), 0);
    assert_int_equal(decai_options_set_str(o, "asset.licence", "MIT OR Apache-2.0"), 0);
    assert_int_equal(decai_options_set_i64(o, "asset.chain_id", CHAIN), 0);
    assert_int_equal(decai_options_set_str(o, "asset.royalties", royalties), 0);
    return o;
}

static decai_manifest *
make_manifest(void)
{
    decai_manifest *m = NULL;
    decai_options *o = terms(OWNER "=250," OTHER "=100");
    uint8_t hash[32] = {5};
    assert_int_equal(decai_options_set_bytes(o, "asset.tokenizer_hash", hash, 32), 0);
    assert_int_equal(decai_manifest_create(&m, model, o), 0);
    decai_destroy(o);
    return m;
}

static uint8_t *
encoded(const decai_manifest *m, size_t *len)
{
    assert_int_equal(decai_manifest_encode(m, NULL, 0, len), DECAI_E_SPACE);
    uint8_t *bytes = malloc(*len + 1);
    assert_int_equal(decai_manifest_encode(m, bytes, *len - 1, len), DECAI_E_SPACE);
    assert_int_equal(decai_manifest_encode(m, bytes, *len, len), 0);
    return bytes;
}

static void
test_fields(void **state)
{
    (void)state;
    decai_manifest *m = make_manifest();
    uint8_t root[32], want[32], owner[20], right[20], to[20];
    uint64_t chain = 0;
    int64_t parts = 0;
    char text[65536];
    size_t len = 0;
    assert_int_equal(decai_model_root_get(model, want, 32), 0);
    assert_int_equal(decai_manifest_get(m, root, 32, owner, 20, &chain), 0);
    assert_memory_equal(root, want, 32);
    assert_int_equal(decai_address_parse(right, 20, OWNER, 42), 0);
    assert_memory_equal(owner, right, 20);
    assert_int_equal(chain, CHAIN);
    assert_int_equal(decai_manifest_royalty_at(m, to, 20, &parts, 0), 1);
    assert_int_equal(parts, 250);
    assert_int_equal(decai_manifest_royalty_at(m, to, 20, &parts, 1), 1);
    assert_int_equal(parts, 100);
    assert_int_equal(decai_manifest_royalty_at(m, to, 20, &parts, 2), 0);
    assert_int_equal(decai_manifest_format(m, text, sizeof(text) - 1, &len), 0);
    text[len] = 0;
    assert_int_equal(decai_json_verify(ctx, text, len), 0);
    assert_non_null(strstr(text, "\"name\": \"tiny llama\""));
    assert_non_null(strstr(text, OTHER));
    assert_non_null(strstr(text, "blk.0.attn_q.weight"));
    assert_int_equal(decai_manifest_verify(m, model), 0);
    decai_destroy(m);
}

static void
test_round_trip(void **state)
{
    (void)state;
    decai_manifest *m = make_manifest(), *again = NULL;
    uint8_t id[32], id2[32];
    size_t len = 0, len2 = 0;
    uint8_t *bytes = encoded(m, &len), *bytes2;
    assert_int_equal(decai_cbor_verify(bytes, len), 0);
    assert_int_equal(decai_manifest_decode(&again, ctx, bytes, len), 0);
    bytes2 = encoded(again, &len2);
    assert_int_equal(len, len2);
    assert_memory_equal(bytes, bytes2, len);
    assert_int_equal(decai_manifest_id_get(m, id, 32), 0);
    assert_int_equal(decai_manifest_id_get(again, id2, 32), 0);
    assert_memory_equal(id, id2, 32);
    assert_int_equal(decai_manifest_verify(again, model), 0);
    decai_destroy(again);

    for (size_t cut = 0; cut < len; cut++) {
        assert_true(decai_manifest_decode(&again, ctx, bytes, cut) < 0);
        assert_null(again);
    }
    /* every byte counts: refused, or another id */
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x01;
        if (decai_manifest_decode(&again, ctx, bytes, len) == 0) {
            assert_int_equal(decai_manifest_id_get(again, id2, 32), 0);
            assert_memory_not_equal(id, id2, 32);
            decai_destroy(again);
        } else assert_true(strlen(decai_error_detail()) > 0);
        bytes[i] ^= 0x01;
    }
    bytes[1] = 2;                                /* the version stands behind key 1 ... */
    bytes[1] = 1;
    bytes[2] = 2;
    assert_int_equal(decai_manifest_decode(&again, ctx, bytes, len), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "version"));
    free(bytes);
    free(bytes2);
    decai_destroy(m);
}

static void
test_json_terms(void **state)
{
    (void)state;
    static const char good[] = "{\"name\":\"tiny llama\",\"owner\":\"" OWNER "\",\"licence\":\"MIT OR Apache-2.0\","
        "\"chain_id\":31337,\"tokenizer_hash\":\"0x0500000000000000000000000000000000000000000000000000000000000000\","
        "\"royalties\":[{\"to\":\"" OWNER "\",\"parts\":250},{\"to\":\"" OTHER "\",\"parts\":100}]}";
    static const char *const bad[] = {"", "{}", "[]",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"x\":1}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\"}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":0}",
        "{\"name\":\"\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1}",
        "{\"name\":\"a\\u0007\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1}",
        "{\"name\":\"x\",\"owner\":\"0x7e5F4552091A69125d5DfCb7b8C2659029395Bdf\",\"licence\":\"MIT\",\"chain_id\":1}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"see <file>\",\"chain_id\":1}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":[{\"to\":\"" OWNER "\",\"parts\":0}]}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":[{\"to\":\"" OWNER "\",\"parts\":10001}]}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":[{\"to\":\"" OWNER "\",\"parts\":1.5}]}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":[{\"to\":\"" OWNER "\",\"parts\":1},{\"to\":\"" OWNER "\",\"parts\":1}]}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":[{\"to\":\"" OWNER "\",\"parts\":9999},{\"to\":\"" OTHER "\",\"parts\":2}]}",
        "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":[{\"to\":\"" OWNER "\"}]}"};
    decai_manifest *m = make_manifest(), *j = NULL;
    uint8_t a[32], b[32];
    assert_int_equal(decai_manifest_parse(&j, model, good, sizeof(good) - 1), 0);
    assert_int_equal(decai_manifest_id_get(m, a, 32), 0);
    assert_int_equal(decai_manifest_id_get(j, b, 32), 0);
    assert_memory_equal(a, b, 32);               /* the same terms, the same manifest */
    decai_destroy(j);
    decai_destroy(m);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (decai_manifest_parse(&j, model, bad[i], strlen(bad[i])) >= 0) fail_msg("accepted: %s", bad[i]);
        assert_null(j);
    }
    /* the whole price may go to royalties, and no part more */
    char text[512];
    for (int extra = -1; extra <= 1; extra++) {
        snprintf(text, sizeof(text), "{\"name\":\"x\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1,\"royalties\":"
            "[{\"to\":\"" OWNER "\",\"parts\":5000},{\"to\":\"" OTHER "\",\"parts\":%d}]}", 5000 + extra);
        int32_t r = decai_manifest_parse(&j, model, text, strlen(text));
        assert_int_equal(r, extra > 0 ? DECAI_E_INVALID : 0);
        decai_destroy(j);
    }
}

static void
test_option_terms(void **state)
{
    (void)state;
    static const char *const bad[] = {"x", OWNER, OWNER "=", OWNER "=1,", OWNER "=x", "=5", OWNER "=1," OWNER "=1",
        OWNER "=10001", OWNER "=-1", "0x7e5F4552091A69125d5DfCb7b8C2659029395Bdf=1", ",", OWNER "=1,," OTHER "=1"};
    static const char *const needed[] = {"asset.name", "asset.owner", "asset.licence"};
    decai_manifest *m = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        decai_options *o = terms(bad[i]);
        if (decai_manifest_create(&m, model, o) >= 0) fail_msg("accepted: %s", bad[i]);
        decai_destroy(o);
    }
    for (size_t i = 0; i < 3; i++) {
        decai_options *o = terms("");
        assert_int_equal(decai_options_set_str(o, needed[i], ""), 0);
        assert_true(decai_manifest_create(&m, model, o) < 0);
        decai_destroy(o);
    }
    decai_options *o = terms("");
    uint8_t hash[31] = {0};
    assert_int_equal(decai_options_set_bytes(o, "asset.tokenizer_hash", hash, 31), 0);
    assert_int_equal(decai_manifest_create(&m, model, o), DECAI_E_INVALID);
    decai_destroy(o);
    assert_int_equal(decai_manifest_create(&m, model, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_manifest_create(NULL, model, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_manifest_create(&m, NULL, NULL), DECAI_E_INVALID);

    /* a model without identity cannot become an asset */
    support_llama tiny = SUPPORT_LLAMA_TINY;
    uint8_t *bytes = NULL;
    size_t len = 0;
    decai_model *blank = NULL;
    support_gguf_llama(&tiny, &bytes, &len);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.hash", 0), 0);
    assert_int_equal(decai_model_open(&blank, ctx, bytes, len, o), 0);
    decai_destroy(o);
    o = terms("");
    assert_int_equal(decai_manifest_create(&m, blank, o), DECAI_E_STATE);
    decai_destroy(o);
    decai_destroy(blank);
    free(bytes);
}

/* What runs is what was tokenized: one changed bit is found and named. */
static void
test_verify(void **state)
{
    (void)state;
    static const char *const tampered[] = {"blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output_norm.weight"};
    decai_manifest *m = make_manifest();
    for (size_t i = 0; i < 3; i++) {
        decai_model *bad = make_model(tampered[i], 1);
        assert_int_equal(decai_manifest_verify(m, bad), DECAI_E_INTEGRITY);
        assert_non_null(strstr(decai_error_detail(), tampered[i]));
        decai_destroy(bad);
    }
    /* equal tensors, other metadata */
    support_llama tiny = SUPPORT_LLAMA_TINY;
    uint8_t *bytes = NULL;
    size_t len = 0;
    decai_model *other = NULL;
    tiny.rope_freq_base = 10001;
    support_gguf_llama(&tiny, &bytes, &len);
    assert_int_equal(decai_model_open(&other, ctx, bytes, len, NULL), 0);
    assert_int_equal(decai_manifest_verify(m, other), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "metadata"));
    decai_destroy(other);
    free(bytes);
    /* a model with a tensor more */
    tiny = (support_llama)SUPPORT_LLAMA_TINY;
    tiny.n_layer = 3;
    support_gguf_llama(&tiny, &bytes, &len);
    assert_int_equal(decai_model_open(&other, ctx, bytes, len, NULL), 0);
    assert_int_equal(decai_manifest_verify(m, other), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "not in the manifest"));
    decai_manifest *big = NULL;
    decai_options *o = terms("");
    assert_int_equal(decai_manifest_create(&big, other, o), 0);
    assert_int_equal(decai_manifest_verify(big, model), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "not in the model"));
    decai_destroy(o);
    decai_destroy(big);
    decai_destroy(other);
    free(bytes);
    decai_destroy(m);
}

/* The owner signs it through the sink; another key may not and cannot. */
static void
test_owner_signature(void **state)
{
    (void)state;
    decai_manifest *m = make_manifest();
    size_t len = 0, n = 0;
    uint8_t *bytes = encoded(m, &len), sig[65], address[20], id[32];
    char text[4096];
    for (uint8_t who = 1; who <= 2; who++) {
        uint8_t secret[32] = {[31] = who};
        decai_key *key = NULL;
        decai_options *o = NULL;
        decai_wallet *w = NULL;
        decai_intent *intent = NULL;
        decai_permit *permit = NULL;
        assert_int_equal(decai_key_load(&key, ctx, secret, 32, NULL), 0);
        assert_int_equal(decai_options_create(&o, ctx), 0);
        assert_int_equal(decai_options_set_i64(o, "wallet.chain_id", CHAIN), 0);
        assert_int_equal(decai_options_set_i64(o, "wallet.manifests", 1), 0);
        assert_int_equal(decai_wallet_create(&w, key, o), 0);
        assert_int_equal(decai_intent_parse(&intent, w, DECAI_INTENT_MANIFEST, bytes, len), 0);
        assert_int_equal(decai_intent_format(intent, text, sizeof(text) - 1, &n), 0);
        text[n] = 0;
        assert_non_null(strstr(text, OWNER " owns model"));
        int32_t r = decai_permit_create(&permit, w, intent);
        assert_int_equal(r, who == 1 ? 0 : DECAI_E_DENIED);
        if (!r) {
            assert_int_equal(decai_wallet_sign(w, sig, 65, intent, permit), 0);
            assert_int_equal(decai_key_address_get(key, address, 20), 0);
            assert_int_equal(decai_manifest_id_get(m, id, 32), 0);
            assert_non_null(strstr(text, "\"id\":\"0x"));
        }
        decai_destroy(permit);
        decai_destroy(intent);
        decai_destroy(w);
        decai_destroy(o);
        decai_destroy(key);
    }
    assert_int_equal(decai_intent_verify(ctx, DECAI_INTENT_MANIFEST, bytes, len, sig, 65, address, 20, CHAIN), 0);
    bytes[len - 1] ^= 1;
    assert_int_equal(decai_intent_verify(ctx, DECAI_INTENT_MANIFEST, bytes, len, sig, 65, address, 20, CHAIN), DECAI_E_INTEGRITY);
    free(bytes);
    decai_destroy(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_json_terms),
        cmocka_unit_test(test_option_terms),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_owner_signature),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
