/* request.c - the JSON requests, read strictly, and the identity of an order.
 *
 * A request may come from anybody: every field is named, typed and bounded, an
 * unknown one is refused (a misspelt "redundency" must not silently become 1),
 * and nothing is kept in the parser's memory.
 *
 * The id of an order is taken of its values, not of its text, so that two
 * writers of JSON agree on it:
 *
 *     Keccak-256( domain "decai.order.v1",
 *                 requester, verifier, asset          as data
 *                 job_spec, model_root, prompt, nonce 32 raw bytes each
 *                 max_price, verifier_fee, stake, bid_deposit  32 bytes big-endian
 *                 redundancy, bids_until_ms, deadline_ms       u64
 *                 provider parts, count of royalties, then (account, parts)...
 *                 slash parts: requester, verifier, burn       u64 )
 */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "job/job.h"

int32_t
decai__amount_parse(decai__u256 *out, const char *text, const char *field, bool zero_allowed)
{
    if (!text) return decai__fail(DECAI_E_INVALID, "%s: NULL", field);
    int32_t r = decai__u256_parse(out, text, strlen(text), field);
    if (r) return r == DECAI_E_CORRUPT ? DECAI_E_INVALID : r;
    if (!zero_allowed && decai__u256_is_zero(out)) return decai__fail(DECAI_E_INVALID, "%s: 0", field);
    return 0;
}

/* ---- fields ---------------------------------------------------------------- */

typedef struct reader {
    decai__json *doc;
    const decai__json_node *root;
} reader;

static int32_t
get_name(const reader *d, const decai__json_node *object, const char *key, char out[DECAI_NAME_MAX + 1])
{
    const char *text;
    size_t len;
    int32_t r = decai__json_get_str(d->doc, object, key, &text, &len);
    if (r) return r;
    if (len > DECAI_NAME_MAX) return decai__fail(DECAI_E_LIMIT, "%s: more than %d bytes", key, DECAI_NAME_MAX);
    memcpy(out, text, len);
    out[len] = 0;
    return decai__name_check(out, key);
}

/* Amounts are strings; an absent one is zero if that is allowed. */
static int32_t
get_amount(const reader *d, const char *key, decai__u256 *out, bool optional)
{
    const char *text;
    size_t len;
    *out = decai__u256_from_u64(0);
    if (optional && !decai__json_find(d->root, key)) return 0;
    int32_t r = decai__json_get_str(d->doc, d->root, key, &text, &len);
    if (r == 0) r = decai__u256_parse(out, text, len, key);
    if (r) return r;
    if (!optional && decai__u256_is_zero(out)) return decai__fail(DECAI_E_INVALID, "%s: 0", key);
    return 0;
}

static int32_t
get_i64(const reader *d, const char *key, int64_t min, int64_t max, const int64_t *absent, int64_t *out)
{
    if (absent && !decai__json_find(d->root, key)) {
        *out = *absent;
        return 0;
    }
    int32_t r = decai__json_get_i64(d->doc, d->root, key, out);
    if (r) return r;
    if (*out < min || *out > max)
        return decai__fail(*out > max ? DECAI_E_LIMIT : DECAI_E_INVALID, "%s: %lld is not in %lld..%lld", key,
                           (long long)*out, (long long)min, (long long)max);
    return 0;
}

static int32_t
get_parts(const reader *d, const decai__json_node *object, const char *key, uint64_t *out)
{
    char why[64];
    const decai__json_node *node = decai__json_find(object, key);
    *out = 0;
    if (!node) return 0;
    int32_t r = decai__json_u64(d->doc, node, out);
    if (r || *out <= DECAI_PARTS_MAX) return r;
    snprintf(why, sizeof why, "%llu parts, at most %d", (unsigned long long)*out, DECAI_PARTS_MAX);
    return decai__json_fail(d->doc, node, DECAI_E_LIMIT, why);
}

static int32_t
get_royalties(const reader *d, const decai__json_node *split, decai__order *o)
{
    const decai__json_node *list;
    if (!decai__json_find(split, "royalties")) return 0;
    int32_t r = decai__json_get(d->doc, split, "royalties", DECAI__JSON_ARRAY, &list);
    if (r) return r;
    for (const decai__json_node *n = decai__json_first(list); n; n = decai__json_next(n)) {
        if (o->royalty_count == DECAI_ROYALTY_MAX)
            return decai__fail(DECAI_E_LIMIT, "split.royalties: more than %d", DECAI_ROYALTY_MAX);
        if ((r = decai__json_expect(d->doc, n, DECAI__JSON_OBJECT))) return r;
        if ((r = decai__json_only(d->doc, n, "account parts"))) return r;
        if ((r = get_name(d, n, "account", o->royalty[o->royalty_count].account))) return r;
        if ((r = get_parts(d, n, "parts", &o->royalty[o->royalty_count].parts))) return r;
        for (size_t i = 0; i < o->royalty_count; i++)
            if (strcmp(o->royalty[i].account, o->royalty[o->royalty_count].account) == 0)
                return decai__json_fail(d->doc, n, DECAI_E_EXISTS, "this account has a line already");
        o->royalty_count++;
    }
    return 0;
}

static int32_t
get_split(const reader *d, decai__order *o)
{
    const decai__json_node *split;
    int32_t r = decai__json_get(d->doc, d->root, "split", DECAI__JSON_OBJECT, &split);
    if (r == 0) r = decai__json_only(d->doc, split, "provider royalties");
    if (r == 0) r = get_parts(d, split, "provider", &o->provider_parts);
    if (r == 0) r = get_royalties(d, split, o);
    if (r) return r;
    uint64_t sum = o->provider_parts;
    for (size_t i = 0; i < o->royalty_count; i++) sum += o->royalty[i].parts;
    return sum ? 0 : decai__fail(DECAI_E_INVALID, "split: all parts are 0");
}

static int32_t
get_slash(const reader *d, decai__order *o)
{
    const decai__json_node *slash;
    o->slash_requester = 1;
    if (!decai__json_find(d->root, "slash")) return 0;
    int32_t r = decai__json_get(d->doc, d->root, "slash", DECAI__JSON_OBJECT, &slash);
    if (r == 0) r = decai__json_only(d->doc, slash, "requester verifier burn");
    if (r == 0) r = get_parts(d, slash, "requester", &o->slash_requester);
    if (r == 0) r = get_parts(d, slash, "verifier", &o->slash_verifier);
    if (r == 0) r = get_parts(d, slash, "burn", &o->slash_burn);
    if (r) return r;
    if (o->slash_requester + o->slash_verifier + o->slash_burn == 0)
        return decai__fail(DECAI_E_INVALID, "slash: all parts are 0");
    return 0;
}

static int32_t
get_money(const reader *d, decai__order *o)
{
    int32_t r = get_amount(d, "max_price", &o->max_price, false);
    if (r == 0) r = get_amount(d, "verifier_fee", &o->verifier_fee, true);
    if (r == 0) r = get_amount(d, "stake", &o->stake, true);
    if (r == 0) r = get_amount(d, "bid_deposit", &o->bid_deposit, true);
    if (r) return r;
    if (!decai__u256_mul_u64(&o->escrow, &o->max_price, (uint64_t)o->redundancy) ||
        !decai__u256_add(&o->escrow, &o->escrow, &o->verifier_fee))
        return decai__fail(DECAI_E_LIMIT, "max_price: redundancy * max_price + verifier_fee passes 2^256-1");
    return 0;
}

/* ---- identity ----------------------------------------------------------------- */

static void
hash_text(decai__keccak *k, const char *text)
{
    decai__hash_data(k, text, strlen(text));
}

static void
hash_amount(decai__keccak *k, const decai__u256 *v)
{
    uint8_t be[32];
    decai__u256_to_be(be, v);
    decai__keccak_update(k, be, 32);
}

static void
order_id(decai__order *o)
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__hash_domain(&k, "decai.order.v1");
    hash_text(&k, o->requester);
    hash_text(&k, o->verifier);
    hash_text(&k, o->asset);
    decai__keccak_update(&k, o->job_spec, 32);
    decai__keccak_update(&k, o->model_root, 32);
    decai__keccak_update(&k, o->prompt, 32);
    decai__keccak_update(&k, o->nonce, 32);
    hash_amount(&k, &o->max_price);
    hash_amount(&k, &o->verifier_fee);
    hash_amount(&k, &o->stake);
    hash_amount(&k, &o->bid_deposit);
    decai__hash_u64(&k, (uint64_t)o->redundancy);
    decai__hash_u64(&k, (uint64_t)o->bids_until_ms);
    decai__hash_u64(&k, (uint64_t)o->deadline_ms);
    decai__hash_u64(&k, o->provider_parts);
    decai__hash_u64(&k, o->royalty_count);
    for (size_t i = 0; i < o->royalty_count; i++) {
        hash_text(&k, o->royalty[i].account);
        decai__hash_u64(&k, o->royalty[i].parts);
    }
    decai__hash_u64(&k, o->slash_requester);
    decai__hash_u64(&k, o->slash_verifier);
    decai__hash_u64(&k, o->slash_burn);
    decai__keccak_final(&k, o->id);
}

/* ---- whole requests -------------------------------------------------------------- */

static int32_t
open_text(decai_context *ctx, reader *d, const char *text, size_t len, const char *keys)
{
    if (len > DECAI_ORDER_TEXT_MAX)
        return decai__fail(DECAI_E_LIMIT, "request: %zu bytes, at most %d", len, DECAI_ORDER_TEXT_MAX);
    int32_t r = decai__json_parse(ctx, &d->doc, text, len);
    if (r) return r;
    d->root = decai__json_root(d->doc);
    r = decai__json_expect(d->doc, d->root, DECAI__JSON_OBJECT);
    if (r == 0) r = decai__json_only(d->doc, d->root, keys);
    if (r) decai__json_free(d->doc);
    return r;
}

int32_t
decai__order_parse(decai_context *ctx, decai__order *o, const char *text, size_t len)
{
    static const int64_t zero = 0, one = 1;
    reader d;
    *o = (decai__order){0};
    int32_t r = open_text(ctx, &d, text, len,
        "requester verifier asset job_spec model_root prompt max_price verifier_fee stake bid_deposit"
        " redundancy bids_until_ms deadline_ms nonce split slash");
    if (r) return r;
    r = get_name(&d, d.root, "requester", o->requester);
    if (r == 0) r = get_name(&d, d.root, "verifier", o->verifier);
    if (r == 0) r = get_name(&d, d.root, "asset", o->asset);
    if (r == 0) r = decai__json_get_hex(d.doc, d.root, "job_spec", o->job_spec, 32);
    if (r == 0) r = decai__json_get_hex(d.doc, d.root, "model_root", o->model_root, 32);
    if (r == 0) r = decai__json_get_hex(d.doc, d.root, "prompt", o->prompt, 32);
    if (r == 0) r = decai__json_get_hex(d.doc, d.root, "nonce", o->nonce, 32);
    if (r == 0) r = get_i64(&d, "redundancy", 1, DECAI_REDUNDANCY_MAX, &one, &o->redundancy);
    if (r == 0) r = get_i64(&d, "bids_until_ms", 0, INT64_MAX, &zero, &o->bids_until_ms);
    if (r == 0) r = get_i64(&d, "deadline_ms", 1, INT64_MAX, NULL, &o->deadline_ms);
    if (r == 0) r = get_money(&d, o);
    if (r == 0) r = get_split(&d, o);
    if (r == 0) r = get_slash(&d, o);
    if (r == 0 && o->bids_until_ms > o->deadline_ms)
        r = decai__fail(DECAI_E_INVALID, "bids_until_ms: %lld is after deadline_ms", (long long)o->bids_until_ms);
    decai__json_free(d.doc);
    if (r == 0) order_id(o);
    return r;
}

int32_t
decai__bid_parse(decai_context *ctx, decai__bid_request *b, const char *text, size_t len)
{
    reader d;
    *b = (decai__bid_request){0};
    int32_t r = open_text(ctx, &d, text, len, "order provider price");
    if (r) return r;
    r = decai__json_get_hex(d.doc, d.root, "order", b->order, 32);
    if (r == 0) r = get_name(&d, d.root, "provider", b->provider);
    if (r == 0) r = get_amount(&d, "price", &b->price, false);
    decai__json_free(d.doc);
    return r;
}
