/* policy.c - what the owner allows, read once and never changed.
 *
 * Everything is denied until it is named: an asset and a price for orders, a
 * flag for receipts, a flag for manifests. The canonical JSON has all keys in
 * the order below; Keccak-256 of that text is the policy's version.
 *
 *   chain_id asset price_max total_max window_ms horizon_ms receipts manifests models
 */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "num/num.h"
#include "wallet/wallet.h"

#define POLICY_KEYS "chain_id asset price_max total_max window_ms horizon_ms receipts manifests models"
#define WINDOW_MS_MAX  31622400000
#define HORIZON_MS_MAX 315360000000

static int32_t
set_asset(decai__policy *p, const char *text, size_t len)
{
    if (!len) return 0;
    if (!decai__asset_valid(text, len))
        return decai__fail(DECAI_E_INVALID, "wallet.asset: not up to %d visible ASCII characters", DECAI_ORDER_ASSET_MAX);
    memcpy(p->asset, text, len);
    return 0;
}

static int32_t
set_amount(uint8_t out[32], const char *text, const char *field)
{
    decai__u256 v;
    int32_t r = decai__u256_parse(&v, text, strlen(text), field);
    if (!r) decai__u256_to_be(out, &v);
    return r ? DECAI_E_INVALID : 0;
}

static int32_t
from_options(decai__policy *p, const decai_options *o)
{
    size_t len = 0;
    const char *asset = decai__opt_str(o, "wallet.asset");
    const uint8_t *models = decai__opt_bytes(o, "wallet.models", &len);

    p->chain_id = (uint64_t)decai__opt_i64(o, "wallet.chain_id");
    p->window_ms = decai__opt_i64(o, "wallet.window_ms");
    p->horizon_ms = decai__opt_i64(o, "wallet.horizon_ms");
    p->receipts = decai__opt_i64(o, "wallet.receipts") != 0;
    p->manifests = decai__opt_i64(o, "wallet.manifests") != 0;
    if (len % 32 || len / 32 > DECAI_WALLET_MODELS_MAX)
        return decai__fail(DECAI_E_INVALID, "wallet.models: %zu bytes are not whole roots of 32", len);
    if (len) memcpy(p->models, models, len);
    p->model_count = len / 32;
    int32_t r = set_asset(p, asset, strlen(asset));
    if (!r) r = set_amount(p->price_max, decai__opt_str(o, "wallet.price_max"), "wallet.price_max");
    if (!r) r = set_amount(p->total_max, decai__opt_str(o, "wallet.total_max"), "wallet.total_max");
    return r;
}

/* An absent key keeps its default. */
static int32_t
optional(int32_t r)
{
    return r == DECAI_E_NOT_FOUND ? 0 : r;
}

static int32_t
json_amount(const decai__json *json, const char *key, uint8_t out[32])
{
    decai__u256 v = decai__u256_from_u64(0);
    int32_t r = optional(decai__json_get_u256(json, decai__json_root(json), key, &v));
    if (!r) decai__u256_to_be(out, &v);
    return r;
}

static int32_t
json_span(const decai__json *json, const char *key, int64_t max, int64_t *out)
{
    const decai__json_node *node = decai__json_find(decai__json_root(json), key);
    if (!node) return 0;
    int32_t r = decai__json_i64(json, node, out);
    if (!r && (*out < 1 || *out > max))
        r = decai__fail(DECAI_E_LIMIT, "wallet.policy: %s: %lld is not 1 to %lld", key, (long long)*out, (long long)max);
    return r;
}

static int32_t
json_models(const decai__json *json, decai__policy *p)
{
    const decai__json_node *list = decai__json_find(decai__json_root(json), "models");
    if (!list) return 0;
    int32_t r = decai__json_expect(json, list, DECAI__JSON_ARRAY);
    for (const decai__json_node *n = decai__json_first(list); n && !r; n = decai__json_next(n)) {
        if (p->model_count == DECAI_WALLET_MODELS_MAX)
            return decai__json_fail(json, n, DECAI_E_LIMIT, "more than DECAI_WALLET_MODELS_MAX");
        r = decai__json_hex(json, n, p->models[p->model_count++], 32);
    }
    return r;
}

static int32_t
from_json(decai__policy *p, const decai__json *json)
{
    const decai__json_node *root = decai__json_root(json);
    const char *asset = "";
    size_t len = 0;

    int32_t r = decai__json_expect(json, root, DECAI__JSON_OBJECT);
    if (!r) r = decai__json_only(json, root, POLICY_KEYS);
    if (!r) r = decai__json_get_u64(json, root, "chain_id", &p->chain_id);
    if (r == DECAI_E_NOT_FOUND) r = DECAI_E_CORRUPT;
    if (!r) r = optional(decai__json_get_str(json, root, "asset", &asset, &len));
    if (!r) r = set_asset(p, asset, len);
    if (!r) r = json_amount(json, "price_max", p->price_max);
    if (!r) r = json_amount(json, "total_max", p->total_max);
    if (!r) r = json_span(json, "window_ms", WINDOW_MS_MAX, &p->window_ms);
    if (!r) r = json_span(json, "horizon_ms", HORIZON_MS_MAX, &p->horizon_ms);
    if (!r) r = optional(decai__json_get_bool(json, root, "receipts", &p->receipts));
    if (!r) r = optional(decai__json_get_bool(json, root, "manifests", &p->manifests));
    if (!r) r = json_models(json, p);
    return r;
}

static int32_t
only_policy(const decai_options *o)
{
    static const char *const keys[] = {"wallet.chain_id", "wallet.asset", "wallet.price_max", "wallet.total_max",
        "wallet.window_ms", "wallet.horizon_ms", "wallet.models", "wallet.receipts", "wallet.manifests"};
    for (size_t i = 0; i < DECAI__COUNT(keys); i++)
        if (decai__opt_is_set(o, keys[i]))
            return decai__fail(DECAI_E_INVALID, "%s: set beside wallet.policy", keys[i]);
    return 0;
}

static int32_t
set_version(decai_context *ctx, decai__policy *p)
{
    decai__buf b;
    decai__buf_init(&b, ctx, 65536, "the policy's text");
    int32_t r = decai__policy_format(&b, p);
    if (!r) decai__keccak256(p->version, b.data, b.len);
    decai__buf_free(&b);
    return r;
}

int32_t
decai__policy_read(decai_context *ctx, decai__policy *p, const decai_options *o)
{
    const char *text = decai__opt_str(o, "wallet.policy");
    decai__json *json = NULL;
    int32_t r;

    memset(p, 0, sizeof(*p));
    p->window_ms = decai__opt_i64(NULL, "wallet.window_ms");
    p->horizon_ms = decai__opt_i64(NULL, "wallet.horizon_ms");
    if (!decai__opt_is_set(o, "wallet.policy")) r = from_options(p, o);
    else {
        r = only_policy(o);
        if (!r) r = decai__json_parse(ctx, &json, text, strlen(text));
        if (!r) r = from_json(p, json);
        decai__json_free(json);
    }
    if (!r && (p->chain_id < 1 || p->chain_id > INT64_MAX))
        r = decai__fail(DECAI_E_INVALID, "wallet.chain_id: %llu is not 1 or more", (unsigned long long)p->chain_id);
    return r ? r : set_version(ctx, p);
}

int32_t
decai__policy_format(decai__buf *b, const decai__policy *p)
{
    decai__json_writer w;
    decai__u256 price = decai__u256_from_be(p->price_max), total = decai__u256_from_be(p->total_max);

    decai__json_writer_init(&w, b, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_u64(&w, "chain_id", p->chain_id);
    decai__json_put_str(&w, "asset", p->asset);
    decai__json_put_u256(&w, "price_max", &price);
    decai__json_put_u256(&w, "total_max", &total);
    decai__json_put_i64(&w, "window_ms", p->window_ms);
    decai__json_put_i64(&w, "horizon_ms", p->horizon_ms);
    decai__json_put_bool(&w, "receipts", p->receipts);
    decai__json_put_bool(&w, "manifests", p->manifests);
    decai__json_put_array(&w, "models");
    for (size_t i = 0; i < p->model_count; i++) decai__json_put_hex(&w, NULL, p->models[i], 32);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}

/* ---- the verdict ---------------------------------------------------------- */

static int32_t
check_model(const decai__policy *p, const decai__effects *e)
{
    for (size_t i = 0; i < p->model_count; i++)
        if (!memcmp(p->models[i], e->model_root, 32)) return 0;
    return p->model_count ? decai__fail(DECAI_E_DENIED, "models: the model root is not on the list") : 0;
}

static int32_t
check_expiry(const decai__policy *p, const decai__effects *e, int64_t now_ms)
{
    int64_t until = (int64_t)e->expiry_ms;
    /* A clock before 1970 is a broken one; the difference below must not overflow. */
    if (now_ms < 0) return decai__fail(DECAI_E_DENIED, "horizon_ms: the clock says %lld", (long long)now_ms);
    if (until <= now_ms) return decai__fail(DECAI_E_DENIED, "horizon_ms: expired %lld ms ago", (long long)(now_ms - until));
    if (until - now_ms > p->horizon_ms)
        return decai__fail(DECAI_E_DENIED, "horizon_ms: %lld ms ahead, %lld allowed", (long long)(until - now_ms),
            (long long)p->horizon_ms);
    return 0;
}

static int32_t
check_order(const decai__policy *p, const decai__effects *e)
{
    decai__u256 cost = decai__u256_from_be(e->cost), max = decai__u256_from_be(p->price_max);
    char have[DECAI__U256_TEXT_MAX + 1], want[DECAI__U256_TEXT_MAX + 1];

    if (!p->asset[0] || strcmp(p->asset, e->asset) != 0)
        return decai__fail(DECAI_E_DENIED, "asset: \"%s\" may not be spent", e->asset);
    if (decai__u256_cmp(&cost, &max) <= 0) return 0;
    decai__u256_format(have, &cost);
    decai__u256_format(want, &max);
    return decai__fail(DECAI_E_DENIED, "price_max: the order may cost %s, %s allowed", have, want);
}

int32_t
decai__policy_check(const decai__policy *p, const decai__effects *e, const uint8_t signer[DECAI_ADDRESS_BYTES],
    int64_t now_ms)
{
    int32_t r = check_model(p, e);
    if (r) return r;
    if (e->chain_id != p->chain_id) return decai__fail(DECAI_E_DENIED, "chain_id: another chain than the policy's");
    switch (e->kind) {
    case DECAI_INTENT_ORDER:
        r = check_order(p, e);
        return r ? r : check_expiry(p, e, now_ms);
    case DECAI_INTENT_RECEIPT:
        if (!p->receipts) return decai__fail(DECAI_E_DENIED, "receipts: not allowed");
        return check_expiry(p, e, now_ms);
    case DECAI_INTENT_MANIFEST:
        if (!p->manifests) return decai__fail(DECAI_E_DENIED, "manifests: not allowed");
        if (memcmp(e->owner, signer, DECAI_ADDRESS_BYTES) != 0)
            return decai__fail(DECAI_E_DENIED, "manifests: the owner is not this key");
        return 0;
    default:
        return decai__fail(DECAI_E_DENIED, "kind: %d", (int)e->kind);
    }
}
