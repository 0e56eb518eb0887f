/* order.c - an order: an EIP-712 document of exactly this shape.
 *
 *   domain   EIP712Domain(string name,string version,uint256 chainId)
 *            = "libdecai", "1", the chain
 *   message  Order(bytes32 modelRoot,bytes32 promptHash,uint256 maxPrice,
 *            string asset,uint64 redundancy,uint64 deadline,bytes32 salt)
 *
 *   maxPrice    the most that one lease may cost, in units of asset
 *   redundancy  how many leases; the order costs at most maxPrice x redundancy
 *   deadline    UTC milliseconds
 *
 * The document is hashed twice: by the general, strict EIP-712 reader from its
 * own types, and from the fields that we decoded under the type written here.
 * Equal hashes mean that the text a human sees and the digest that is signed
 * have one origin; anything else the document might say is not an order.
 */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "num/num.h"
#include "wallet/wallet.h"

static const char order_type[] = "Order(bytes32 modelRoot,bytes32 promptHash,uint256 maxPrice,string asset,"
                                 "uint64 redundancy,uint64 deadline,bytes32 salt)";

/* Name and type of each field, in the order of the type text. */
static const char *const order_fields[][2] = {{"modelRoot", "bytes32"}, {"promptHash", "bytes32"},
    {"maxPrice", "uint256"}, {"asset", "string"}, {"redundancy", "uint64"}, {"deadline", "uint64"},
    {"salt", "bytes32"}};
static const char *const domain_fields[][2] = {{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}};

bool
decai__asset_valid(const char *text, size_t len)
{
    if (!len || len > DECAI_ORDER_ASSET_MAX) return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x21 || text[i] > 0x7e) return false;
    return true;
}

static void
hash_message(uint8_t out[32], const decai__effects *e)
{
    uint8_t words[7][32];

    memcpy(words[0], e->model_root, 32);
    memcpy(words[1], e->prompt_hash, 32);
    memcpy(words[2], e->max_price, 32);
    decai__keccak256(words[3], e->asset, strlen(e->asset));
    decai__abi_word_u64(words[4], e->redundancy);
    decai__abi_word_u64(words[5], e->expiry_ms);
    memcpy(words[6], e->salt, 32);
    decai__typed_struct(out, order_type, (const uint8_t (*)[32])words, 7);
}

/* Is it for us: type and domain, with a reason that names what is different. */
static int32_t
check_domain(const decai__json *json, const decai__typed *typed, uint64_t chain_id)
{
    const decai__json_node *root = decai__json_root(json), *domain = decai__json_find(root, "domain");
    const char *text = NULL;
    size_t len = 0;
    decai__u256 chain, want = decai__u256_from_u64(chain_id);
    uint8_t right[32];

    if (decai__json_get_str(json, root, "primaryType", &text, &len) || strcmp(text, "Order") != 0)
        return decai__fail(DECAI_E_UNSUPPORTED, "primaryType: \"%.64s\" is not signed here", text ? text : "");
    if (decai__json_get_str(json, domain, "name", &text, &len) || strcmp(text, "libdecai") != 0)
        return decai__fail(DECAI_E_UNSUPPORTED, "domain.name: not \"libdecai\"");
    if (decai__json_get_str(json, domain, "version", &text, &len) || strcmp(text, "1") != 0)
        return decai__fail(DECAI_E_UNSUPPORTED, "domain.version: not \"1\"");
    if (decai__json_get_u256(json, domain, "chainId", &chain) || decai__u256_cmp(&chain, &want) != 0)
        return decai__fail(DECAI_E_UNSUPPORTED, "domain.chainId: not %llu", (unsigned long long)chain_id);
    decai__typed_domain(right, chain_id);
    if (memcmp(right, typed->domain, 32) != 0)
        return decai__fail(DECAI_E_UNSUPPORTED, "domain: more fields than name, version, chainId");
    return 0;
}

/* A member of the message as a u64, from a number or from digits. */
static int32_t
read_u64(const decai__json *json, const decai__json_node *message, const char *key, uint64_t *out)
{
    decai__u256 v;
    int32_t r = decai__json_get_u256(json, message, key, &v);
    if (!r && !decai__u256_to_u64(out, &v)) r = decai__fail(DECAI_E_LIMIT, "message.%s: above 2^64-1", key);
    return r;
}

static int32_t
read_message(const decai__json *json, decai__effects *e)
{
    const decai__json_node *message = decai__json_find(decai__json_root(json), "message");
    const char *asset = NULL;
    size_t len = 0;
    decai__u256 price;

    int32_t r = decai__json_get_hex(json, message, "modelRoot", e->model_root, 32);
    if (!r) r = decai__json_get_hex(json, message, "promptHash", e->prompt_hash, 32);
    if (!r) r = decai__json_get_hex(json, message, "salt", e->salt, 32);
    if (!r) r = decai__json_get_u256(json, message, "maxPrice", &price);
    if (!r) r = decai__json_get_str(json, message, "asset", &asset, &len);
    if (!r) r = read_u64(json, message, "redundancy", &e->redundancy);
    if (!r) r = read_u64(json, message, "deadline", &e->expiry_ms);
    if (r) return r == DECAI_E_NOT_FOUND ? DECAI_E_UNSUPPORTED : r;
    if (!decai__asset_valid(asset, len))
        return decai__fail(DECAI_E_CORRUPT, "message.asset: not 1 to %d visible ASCII characters", DECAI_ORDER_ASSET_MAX);
    memcpy(e->asset, asset, len);
    decai__u256_to_be(e->max_price, &price);
    return 0;
}

static int32_t
check_ranges(decai__effects *e)
{
    decai__u256 cost, price = decai__u256_from_be(e->max_price);

    if (e->redundancy < 1 || e->redundancy > DECAI_ORDER_REDUNDANCY_MAX)
        return decai__fail(DECAI_E_LIMIT, "message.redundancy: %llu is not 1 to %d",
            (unsigned long long)e->redundancy, DECAI_ORDER_REDUNDANCY_MAX);
    if (e->expiry_ms > INT64_MAX) return decai__fail(DECAI_E_LIMIT, "message.deadline: above 2^63-1");
    if (!decai__u256_mul_u64(&cost, &price, e->redundancy))
        return decai__fail(DECAI_E_LIMIT, "message.maxPrice: times redundancy is above 2^256-1");
    decai__u256_to_be(e->cost, &cost);
    return 0;
}

int32_t
decai__effects_order(decai_context *ctx, decai__effects *e, const char *text, size_t len)
{
    decai__json *json = NULL;
    decai__typed typed;
    uint8_t mine[32];

    int32_t r = decai__typed_hash(ctx, &typed, text, len);
    if (!r) r = decai__json_parse(ctx, &json, text, len);
    if (r) goto done;
    r = check_domain(json, &typed, e->chain_id);
    if (!r) r = read_message(json, e);
    if (!r) r = check_ranges(e);
    if (r) goto done;
    hash_message(mine, e);
    if (memcmp(mine, typed.message, 32) != 0) {
        r = decai__fail(DECAI_E_UNSUPPORTED, "types.Order: not %s", order_type);
        goto done;
    }
    memcpy(e->digest, typed.digest, 32);
    memcpy(e->id, typed.digest, 32);
done:
    decai__json_free(json);
    return r;
}

/* ---- writing ------------------------------------------------------------- */

static void
put_type(decai__json_writer *w, const char *name, const char *const (*fields)[2], size_t count)
{
    decai__json_put_array(w, name);
    for (size_t i = 0; i < count; i++) {
        decai__json_put_object(w, NULL);
        decai__json_put_str(w, "name", fields[i][0]);
        decai__json_put_str(w, "type", fields[i][1]);
        decai__json_put_end(w);
    }
    decai__json_put_end(w);
}

int32_t
decai__order_write(decai__buf *b, const decai__effects *e)
{
    decai__json_writer w;
    decai__u256 price = decai__u256_from_be(e->max_price);

    decai__json_writer_init(&w, b, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_object(&w, "types");
    put_type(&w, "EIP712Domain", domain_fields, DECAI__COUNT(domain_fields));
    put_type(&w, "Order", order_fields, DECAI__COUNT(order_fields));
    decai__json_put_end(&w);
    decai__json_put_str(&w, "primaryType", "Order");
    decai__json_put_object(&w, "domain");
    decai__json_put_str(&w, "name", "libdecai");
    decai__json_put_str(&w, "version", "1");
    decai__json_put_u64(&w, "chainId", e->chain_id);
    decai__json_put_end(&w);
    decai__json_put_object(&w, "message");
    decai__json_put_hex(&w, "modelRoot", e->model_root, 32);
    decai__json_put_hex(&w, "promptHash", e->prompt_hash, 32);
    decai__json_put_u256(&w, "maxPrice", &price);
    decai__json_put_str(&w, "asset", e->asset);
    decai__json_put_u64(&w, "redundancy", e->redundancy);
    decai__json_put_u64(&w, "deadline", e->expiry_ms);
    decai__json_put_hex(&w, "salt", e->salt, 32);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}
