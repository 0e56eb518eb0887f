/* wallet_statement_test.c - decoding, digests, policy and the spend window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "num/num.h"
#include "support_vectors.h"
#include "wallet/wallet.h"

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

static decai__json *
golden(void)
{
    size_t len;
    decai__json *json = NULL;
    char *text = support_file("tests/golden/wallet.json", &len);
    assert_non_null(text);
    assert_int_equal(decai__json_parse(ctx, &json, text, len), 0);
    free(text);
    return json;
}

static void
get_hex(const decai__json *json, const decai__json_node *c, const char *key, uint8_t *out, size_t len)
{
    assert_int_equal(decai__json_get_hex(json, c, key, out, len), 0);
}

static uint64_t
get_u64(const decai__json *json, const decai__json_node *c, const char *key)
{
    uint64_t v = 0;
    assert_int_equal(decai__json_get_u64(json, c, key, &v), 0);
    return v;
}

/* The bytes of a case: its document, or its hex. */
static uint8_t *
get_bytes(const decai__json *json, const decai__json_node *c, int32_t kind, size_t *len)
{
    const char *text = NULL;
    assert_int_equal(decai__json_get_str(json, c, kind == DECAI_INTENT_ORDER ? "document" : "bytes", &text, len), 0);
    uint8_t *bytes = malloc(*len + 1);
    if (kind == DECAI_INTENT_ORDER) memcpy(bytes, text, *len);
    else {
        *len /= 2;
        assert_int_equal(decai__hex_decode(bytes, *len, text, 2 * *len, "bytes"), 0);
    }
    return bytes;
}

/* Digests and ids computed by tests/tools/golden_wallet.py (and, for orders and
 * receipts, by eth-account). Any single flipped bit is another statement. */
static void
test_golden(void **state)
{
    static const char *const lists[] = {"", "orders", "receipts", "manifests"};
    (void)state;
    decai__json *json = golden();
    size_t count = 0;
    for (int32_t kind = DECAI_INTENT_ORDER; kind <= DECAI_INTENT_MANIFEST; kind++) {
        const decai__json_node *list = decai__json_find(decai__json_root(json), lists[kind]);
        for (const decai__json_node *c = decai__json_first(list); c; c = decai__json_next(c), count++) {
            uint8_t digest[32], signer[20], sig[65], address[20], *bytes;
            uint64_t chain = get_u64(json, c, "chain_id");
            size_t len;
            decai__effects e;
            get_hex(json, c, "digest", digest, 32);
            get_hex(json, c, "signer", signer, 20);
            get_hex(json, c, "signature", sig, 65);
            bytes = get_bytes(json, c, kind, &len);
            int32_t r = decai__effects_decode(ctx, &e, kind, bytes, len, chain);
            if (r) fail_msg("%s: %s", lists[kind], decai_error_detail());
            assert_memory_equal(e.digest, digest, 32);
            assert_int_equal(decai_intent_recover(ctx, address, 20, kind, bytes, len, sig, 65, chain), 0);
            assert_memory_equal(address, signer, 20);
            assert_int_equal(decai_intent_verify(ctx, kind, bytes, len, sig, 65, signer, 20, chain), 0);
            assert_int_equal(decai_intent_verify(ctx, kind, bytes, len, sig, 65, digest, 20, chain), DECAI_E_INTEGRITY);
            assert_int_equal(decai_intent_verify(ctx, kind, bytes, len, sig, 65, signer, 20, chain + 1),
                decai__effects_decode(ctx, &e, kind, bytes, len, chain + 1) ? DECAI_E_UNSUPPORTED : DECAI_E_INTEGRITY);
            for (size_t bit = 0; bit < 8 * len; bit++) {
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                r = decai_intent_verify(ctx, kind, bytes, len, sig, 65, signer, 20, chain);
                /* the case of a hex digit in an order is not part of what it says */
                if (r >= 0 && kind != DECAI_INTENT_ORDER) fail_msg("%s: bit %zu does not matter", lists[kind], bit);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            free(bytes);
        }
    }
    assert_int_equal(count, 8);
    decai__json_free(json);
}

/* The order that we write is the order that the script writes. */
static void
test_order_encode(void **state)
{
    (void)state;
    decai__json *json = golden();
    const decai__json_node *list = decai__json_find(decai__json_root(json), "orders");
    for (const decai__json_node *c = decai__json_first(list); c; c = decai__json_next(c)) {
        uint8_t root[32], prompt[32], salt[32];
        const char *price = NULL, *asset = NULL, *want = NULL;
        char out[4096];
        size_t len, want_len;
        get_hex(json, c, "model_root", root, 32);
        get_hex(json, c, "prompt_hash", prompt, 32);
        get_hex(json, c, "salt", salt, 32);
        assert_int_equal(decai__json_get_str(json, c, "max_price", &price, &len), 0);
        assert_int_equal(decai__json_get_str(json, c, "asset", &asset, &len), 0);
        assert_int_equal(decai__json_get_str(json, c, "document", &want, &want_len), 0);
        assert_int_equal(decai_order_encode(ctx, out, sizeof(out), &len, root, 32, prompt, 32, price, asset,
            get_u64(json, c, "redundancy"), get_u64(json, c, "deadline_ms"), salt, 32, get_u64(json, c, "chain_id")), 0);
        assert_int_equal(len, want_len);
        assert_memory_equal(out, want, len);
    }
    decai__json_free(json);
}

/* "decai.receipt.v1", 0x00, payload: the row of DOMAINS.md. */
static void
test_domain_rows(void **state)
{
    static const char *const names[] = {"decai.receipt.v1", "decai.manifest.v1"};
    (void)state;
    size_t len;
    char *page = support_file("lib/hash/DOMAINS.md", &len), hex[65] = {0};
    assert_non_null(page);
    for (size_t i = 0; i < 2; i++) {
        uint8_t data[64] = {0}, id[32];
        size_t n = strlen(names[i]) + 1;
        memcpy(data, names[i], n);
        for (size_t j = 0; j < 32; j++) data[n + j] = (uint8_t)j;
        decai__keccak256(id, data, n + 32);
        decai__hex_encode(hex, id, 32);
        char *row = strstr(page, names[i]);
        assert_non_null(row);
        assert_non_null(strstr(row, hex));
    }
    free(page);
}

/* ---- orders that are none -------------------------------------------------- */

static char *
order_text(size_t *len)
{
    uint8_t root[32] = {1};
    char *out = malloc(4096);
    assert_int_equal(decai_order_encode(ctx, out, 4096, len, root, 32, root, 32, "500", "credit", 2, 2000000, root, 32, 31337), 0);
    out[*len] = 0;
    return out;
}

/* Replace the first `from` by `to` in a fresh order and decode it. */
static int32_t
changed(const char *from, const char *to)
{
    size_t len;
    char *text = order_text(&len), out[8192];
    decai__effects e;
    char *at = strstr(text, from);
    if (!at) fail_msg("no %s", from);
    snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    free(text);
    return decai__effects_decode(ctx, &e, DECAI_INTENT_ORDER, (const uint8_t *)out, strlen(out), 31337);
}

static void
test_not_orders(void **state)
{
    static const struct { const char *from, *to; int32_t want; } rows[] = {
        {"\"chainId\":31337", "\"chainId\":31337", 0},
        {"\"chainId\":31337", "\"chainId\":31338", DECAI_E_UNSUPPORTED},
        {"\"chainId\":31337", "\"chainId\":\"31337\"", 0},
        {"\"name\":\"libdecai\"", "\"name\":\"Permit2\"", DECAI_E_UNSUPPORTED},
        {"\"version\":\"1\"", "\"version\":\"2\"", DECAI_E_UNSUPPORTED},
        {"\"maxPrice\":\"500\"", "\"maxPrice\":500", 0},
        {"\"maxPrice\":\"500\"", "\"maxPrice\":-1", DECAI_E_CORRUPT},
        {"\"redundancy\":2", "\"redundancy\":0", DECAI_E_LIMIT},
        {"\"redundancy\":2", "\"redundancy\":1024", 0},
        {"\"redundancy\":2", "\"redundancy\":1025", DECAI_E_LIMIT},
        {"\"deadline\":2000000", "\"deadline\":9223372036854775807", 0},
        {"\"deadline\":2000000", "\"deadline\":9223372036854775808", DECAI_E_LIMIT},
        {"\"asset\":\"credit\"", "\"asset\":\"\"", DECAI_E_CORRUPT},
        {"\"asset\":\"credit\"", "\"asset\":\"cr edit\"", DECAI_E_CORRUPT},
        {"\"asset\":\"credit\"", "\"asset\":\"cr\\nedit\"", DECAI_E_CORRUPT},
        {"\"asset\":\"credit\"", "\"asset\":\"кредит\"", DECAI_E_CORRUPT},
        {"\"asset\":\"credit\"", "\"asset\":\"0123456789012345678901234567890123456789012345678901234567890123\"", 0},
        {"\"asset\":\"credit\"", "\"asset\":\"01234567890123456789012345678901234567890123456789012345678901234\"", DECAI_E_CORRUPT},
        {"\"maxPrice\":\"500\"", "\"maxPrice\":\"57896044618658097711785492504343953926634992332820282019728792003956564819967\"", 0},
        {"\"maxPrice\":\"500\"", "\"maxPrice\":\"57896044618658097711785492504343953926634992332820282019728792003956564819968\"", DECAI_E_LIMIT},
        /* another type of that name: one field less, more, of another type, in another order */
        {"{\"name\":\"redundancy\",\"type\":\"uint64\"}", "{\"name\":\"redundancy\",\"type\":\"uint256\"}", DECAI_E_UNSUPPORTED},
        {"{\"name\":\"modelRoot\",\"type\":\"bytes32\"},{\"name\":\"promptHash\",\"type\":\"bytes32\"}",
            "{\"name\":\"promptHash\",\"type\":\"bytes32\"},{\"name\":\"modelRoot\",\"type\":\"bytes32\"}", DECAI_E_UNSUPPORTED},
        {"{\"name\":\"asset\",\"type\":\"string\"}", "{\"name\":\"asset\",\"type\":\"string\"},{\"name\":\"x\",\"type\":\"bool\"}", DECAI_E_CORRUPT},
        {"{\"name\":\"chainId\",\"type\":\"uint256\"}]", "{\"name\":\"chainId\",\"type\":\"uint256\"},{\"name\":\"salt\",\"type\":\"bytes32\"}]", DECAI_E_CORRUPT},
        {"\"primaryType\":\"Order\"", "\"primaryType\":\"Permit\"", DECAI_E_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(rows); i++) {
        int32_t r = changed(rows[i].from, rows[i].to);
        if (r != rows[i].want) fail_msg("%s -> %s: %d (%s)", rows[i].from, rows[i].to, (int)r, decai_error_detail());
    }
    /* well-formed typed data of somebody else */
    static const char permit[] = "{\"types\":{\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"}],\"Permit\":"
        "[{\"name\":\"spender\",\"type\":\"address\"}]},\"primaryType\":\"Permit\",\"domain\":{\"name\":\"USD Coin\"},"
        "\"message\":{\"spender\":\"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\"}}";
    decai__effects e;
    assert_int_equal(decai__effects_decode(ctx, &e, DECAI_INTENT_ORDER, (const uint8_t *)permit, sizeof(permit) - 1, 1),
        DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "Permit"));
    assert_int_equal(decai__effects_decode(ctx, &e, 4, (const uint8_t *)permit, sizeof(permit) - 1, 1), DECAI_E_UNSUPPORTED);
    assert_int_equal(decai__effects_decode(ctx, &e, 0, (const uint8_t *)permit, sizeof(permit) - 1, 1), DECAI_E_UNSUPPORTED);
}

/* ---- receipts and manifests that are none ------------------------------------ */

static void
test_not_receipts(void **state)
{
    (void)state;
    uint8_t root[32] = {7};
    for (int what = 0; what < 8; what++) {
        decai__buf b;
        decai__cbor_writer w;
        decai__effects e;
        decai__buf_init(&b, ctx, 4096, "test");
        decai__cbor_writer_init(&w, &b);
        decai__cbor_put_map(&w, what == 1 || what == 2 ? 2 : 3);
        decai__cbor_put_key_uint(&w, 1, 1);
        if (what != 1) decai__cbor_put_key_bytes(&w, 3, root, what == 3 ? 31 : 32);
        if (what != 2) {
            if (what == 4) decai__cbor_put_key_bytes(&w, 15, root, 8);
            else decai__cbor_put_key_uint(&w, 15, what == 5 ? 1ull << 63 : 5);
        }
        if (what == 6) b.data[0] = 0xbf;                       /* indefinite length */
        if (what == 7) decai__buf_add_byte(&b, 0);             /* something after it */
        int32_t r = decai__effects_decode(ctx, &e, DECAI_INTENT_RECEIPT, b.data, b.len, 1);
        if (what == 0) assert_int_equal(r, 0);
        else assert_true(r < 0 && strlen(decai_error_detail()) > 0);
        if (what == 1 || what == 2) assert_int_equal(r, DECAI_E_UNSUPPORTED);
        decai__buf_free(&b);
    }
}

/* ---- policy ---------------------------------------------------------------- */

static int32_t
policy_from(const char *text, decai__policy *p)
{
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.policy", text), 0);
    int32_t r = decai__policy_read(ctx, p, o);
    decai_destroy(o);
    return r;
}

static void
test_policy_read(void **state)
{
    static const char *const bad[] = {"", "{}", "[]", "{\"chain_id\":0}", "{\"chain_id\":-1}", "{\"chain_id\":\"1\"}",
        "{\"chain_id\":9223372036854775808}", "{\"chain_id\":1,\"x\":1}", "{\"chain_id\":1,\"chain_id\":1}",
        "{\"chain_id\":1,\"price_max\":1.5}", "{\"chain_id\":1,\"price_max\":\"-1\"}", "{\"chain_id\":1,\"price_max\":\"01\"}",
        "{\"chain_id\":1,\"asset\":\"a b\"}", "{\"chain_id\":1,\"window_ms\":0}", "{\"chain_id\":1,\"window_ms\":31622400001}",
        "{\"chain_id\":1,\"horizon_ms\":315360000001}", "{\"chain_id\":1,\"receipts\":1}", "{\"chain_id\":1,\"receipts\":null}",
        "{\"chain_id\":1,\"models\":[\"00\"]}", "{\"chain_id\":1,\"models\":{}}", "{\"chain_id\":1} x"};
    static const char text[] = "{\"chain_id\":1,\"asset\":\"credit\",\"price_max\":\"10\",\"total_max\":\"20\","
        "\"window_ms\":1000,\"horizon_ms\":2000,\"receipts\":true,\"manifests\":false,\"models\":"
        "[\"0x0101010101010101010101010101010101010101010101010101010101010101\"]}";
    decai__policy p, q;
    decai__buf b;
    uint8_t hash[32];
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(bad); i++)
        if (policy_from(bad[i], &p) >= 0) fail_msg("accepted: %s", bad[i]);

    /* this text is canonical: format gives it back, and its hash is the version */
    assert_int_equal(policy_from(text, &p), 0);
    decai__buf_init(&b, ctx, 4096, "test");
    assert_int_equal(decai__policy_format(&b, &p), 0);
    assert_int_equal(b.len, sizeof(text) - 1);
    assert_memory_equal(b.data, text, b.len);
    decai__keccak256(hash, text, sizeof(text) - 1);
    assert_memory_equal(p.version, hash, 32);
    decai__buf_free(&b);

    /* the same from single options is the same policy */
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.chain_id", 1), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.asset", "credit"), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.price_max", "10"), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.total_max", "20"), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.window_ms", 1000), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.horizon_ms", 2000), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.receipts", 1), 0);
    memset(hash, 1, 32);
    assert_int_equal(decai_options_set_bytes(o, "wallet.models", hash, 32), 0);
    assert_int_equal(decai__policy_read(ctx, &q, o), 0);
    assert_memory_equal(q.version, p.version, 32);
    assert_int_equal(decai_options_set_bytes(o, "wallet.models", hash, 31), 0);
    assert_int_equal(decai__policy_read(ctx, &q, o), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_str(o, "wallet.policy", text), 0);
    assert_int_equal(decai__policy_read(ctx, &q, o), DECAI_E_INVALID);     /* both ways at once */
    decai_destroy(o);
    assert_int_equal(policy_from("{\"chain_id\":1}", &p), 0);
}

static void
test_policy_models_limit(void **state)
{
    (void)state;
    char *text = malloc(1 << 16);
    for (int extra = -1; extra <= 1; extra++) {
        char *p = text + sprintf(text, "{\"chain_id\":1,\"models\":[");
        decai__policy policy;
        for (int i = 0; i < DECAI_WALLET_MODELS_MAX + extra; i++) p += sprintf(p, "%s\"%064x\"", i ? "," : "", i);
        sprintf(p, "]}");
        assert_int_equal(policy_from(text, &policy), extra > 0 ? DECAI_E_LIMIT : 0);
    }
    free(text);
}

static void
test_policy_check(void **state)
{
    (void)state;
    decai__policy p;
    decai__effects e = {.kind = DECAI_INTENT_ORDER, .chain_id = 1, .redundancy = 1, .expiry_ms = 1500};
    uint8_t me[20] = {9};
    assert_int_equal(policy_from("{\"chain_id\":1,\"asset\":\"a\",\"price_max\":\"10\",\"total_max\":\"100\",\"horizon_ms\":1000}", &p), 0);
    strcpy(e.asset, "a");
    e.cost[31] = 9;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), 0);
    e.cost[31] = 10;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), 0);
    e.cost[31] = 11;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    assert_non_null(strstr(decai_error_detail(), "price_max"));
    e.cost[31] = 0, e.cost[0] = 1;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    e.cost[0] = 0;
    assert_int_equal(decai__policy_check(&p, &e, me, 499), DECAI_E_DENIED);  /* 1001 ahead */
    assert_int_equal(decai__policy_check(&p, &e, me, 500), 0);
    assert_int_equal(decai__policy_check(&p, &e, me, 1499), 0);
    assert_int_equal(decai__policy_check(&p, &e, me, 1500), DECAI_E_DENIED); /* expired */
    strcpy(e.asset, "b");
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    e.kind = DECAI_INTENT_RECEIPT;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    p.receipts = true;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), 0);
    e.chain_id = 2;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    e.chain_id = 1;
    e.kind = DECAI_INTENT_MANIFEST;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    p.manifests = true;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED); /* owner is another */
    memcpy(e.owner, me, 20);
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), 0);
    p.model_count = 1;
    p.models[0][0] = 1;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
    e.model_root[0] = 1;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), 0);
    e.kind = 99;
    assert_int_equal(decai__policy_check(&p, &e, me, 1000), DECAI_E_DENIED);
}

/* ---- the spend window -------------------------------------------------------- */

#define MS(n) ((int64_t)(n) * 1000000)

static void
test_spends(void **state)
{
    (void)state;
    decai__policy p = {.window_ms = 1000};
    decai__spends s = {0}, t = {0};
    uint8_t amount[32] = {[31] = 40}, all[32], one[32] = {[31] = 1}, owner[20] = {1}, other[20] = {2};
    p.total_max[31] = 100;

    assert_int_equal(decai__spends_reserve(ctx, &s, &p, amount), 0);
    decai__spends_tick(&s, MS(500));
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, amount), 0);
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, amount), DECAI_E_DENIED);
    assert_non_null(strstr(decai_error_detail(), "total_max: 120"));

    /* a clock that goes back stands still; its way back up counts once */
    decai__spends_tick(&s, MS(-100000));
    decai__spends_tick(&s, MS(500));
    assert_int_equal(s.now_ms, 500);
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, amount), DECAI_E_DENIED);
    /* parts of a millisecond are not lost and not counted twice */
    for (int i = 1; i <= 1000; i++) decai__spends_tick(&s, MS(500) + i * 499 * 1000);
    assert_int_equal(s.now_ms, 999);
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, amount), DECAI_E_DENIED);
    decai__spends_tick(&s, MS(1000));
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, amount), 0);           /* the first is out */
    assert_int_equal(s.count, 2);

    /* state: the same rows, the same now, for the same key */
    decai__buf b;
    decai__buf_init(&b, ctx, DECAI_WALLET_STATE_MAX, "test");
    assert_int_equal(decai__spends_encode(&b, &s, owner), 0);
    assert_int_equal(decai__spends_decode(ctx, &t, b.data, b.len, other), DECAI_E_CORRUPT);
    assert_int_equal(decai__spends_decode(ctx, &t, b.data, b.len, owner), 0);
    assert_int_equal(t.now_ms, s.now_ms);
    assert_int_equal(t.count, s.count);
    assert_memory_equal(t.rows, s.rows, s.count * sizeof(*s.rows));
    assert_int_equal(decai__spends_reserve(ctx, &t, &p, amount), DECAI_E_DENIED);
    for (size_t cut = 0; cut < b.len; cut++) assert_true(decai__spends_decode(ctx, &t, b.data, cut, owner) < 0);
    assert_int_equal(t.count, s.count);                                        /* as it was */
    decai__buf_free(&b);

    /* 2^256 - 1 twice overflows and is refused */
    memset(all, 0xff, 32);
    memset(p.total_max, 0xff, 32);
    decai__spends_tick(&s, MS(1000000));
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, all), 0);
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, one), DECAI_E_DENIED);
    decai__free(ctx, s.rows);
    decai__free(ctx, t.rows);
}

static void
test_spends_limit(void **state)
{
    (void)state;
    decai__policy p = {.window_ms = 1000};
    decai__spends s = {0}, t = {0};
    uint8_t one[32] = {[31] = 1}, owner[20] = {1};
    decai__buf b;
    memset(p.total_max, 0xff, 32);
    for (int i = 0; i < DECAI_WALLET_SPENDS_MAX; i++) assert_int_equal(decai__spends_reserve(ctx, &s, &p, one), 0);
    assert_int_equal(decai__spends_reserve(ctx, &s, &p, one), DECAI_E_LIMIT);
    s.now_ms = INT64_MAX - 1;                      /* the largest state fits its maximum */
    for (size_t i = 0; i < s.count; i++) s.rows[i].at_ms = INT64_MAX - 1;
    decai__buf_init(&b, ctx, DECAI_WALLET_STATE_MAX, "DECAI_WALLET_STATE_MAX");
    assert_int_equal(decai__spends_encode(&b, &s, owner), 0);
    assert_int_equal(decai__spends_decode(ctx, &t, b.data, b.len, owner), 0);
    assert_int_equal(t.count, DECAI_WALLET_SPENDS_MAX);
    decai__buf_free(&b);
    decai__free(ctx, s.rows);
    decai__free(ctx, t.rows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_order_encode),
        cmocka_unit_test(test_domain_rows),
        cmocka_unit_test(test_not_orders),
        cmocka_unit_test(test_not_receipts),
        cmocka_unit_test(test_policy_read),
        cmocka_unit_test(test_policy_models_limit),
        cmocka_unit_test(test_policy_check),
        cmocka_unit_test(test_spends),
        cmocka_unit_test(test_spends_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
