/* effects.c - from exact bytes to what signing them would do, and its text.
 *
 * Receipts and manifests are strict CBOR maps: every item is walked (so that
 * bytes which are no receipt of any version are refused), the few fields that
 * matter here are read by key, and the id binds all the others.
 */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "num/num.h"
#include "wallet/wallet.h"

#define TEXT_MAX 2048 /* of the plain words; every field in them is bounded */

/* Keccak-256(text | 0x00 | bytes). */
static void
content_id(uint8_t out[32], const char *domain, const uint8_t *bytes, size_t len)
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__keccak_update(&k, domain, strlen(domain) + 1);
    decai__keccak_update(&k, bytes, len);
    decai__keccak_final(&k, out);
}

static int32_t
check_chain(const char *field, uint64_t have, uint64_t want)
{
    if (have == want) return 0;
    return decai__fail(DECAI_E_UNSUPPORTED, "%s: %llu is not %llu", field, (unsigned long long)have,
        (unsigned long long)want);
}

int32_t
decai__effects_receipt(decai__effects *e, const uint8_t *bytes, size_t len)
{
    decai__cbor_reader reader;
    uint64_t pairs = 0, key = 0, chain = e->chain_id;
    bool has_root = false, has_expiry = false;

    int32_t r = decai__cbor_reader_init(&reader, bytes, len, "receipt");
    if (!r) r = decai__cbor_get_map(&reader, &pairs);
    for (uint64_t i = 0; i < pairs && !r; i++) {
        r = decai__cbor_get_key(&reader, &key);
        if (r) break;
        if (key == DECAI__RECEIPT_KEY_MODEL_ROOT) {
            r = decai__cbor_get_fixed(&reader, e->model_root, 32);
            has_root = true;
        } else if (key == DECAI__RECEIPT_KEY_JOB_ID) r = decai__cbor_get_fixed(&reader, e->job_id, 32);
        else if (key == DECAI__RECEIPT_KEY_CHAIN_ID) r = decai__cbor_get_uint(&reader, &chain);
        else if (key == DECAI__RECEIPT_KEY_EXPIRY_MS) {
            r = decai__cbor_get_uint(&reader, &e->expiry_ms);
            has_expiry = true;
        } else r = decai__cbor_skip(&reader);
    }
    if (!r) r = decai__cbor_reader_end(&reader);
    if (r) return r;

    if (!has_root || !has_expiry)
        return decai__fail(DECAI_E_UNSUPPORTED, "receipt: no %s", has_root ? "expiry (key 15)" : "model root (key 3)");
    if (e->expiry_ms > INT64_MAX) return decai__fail(DECAI_E_LIMIT, "receipt.expiry: above 2^63-1");
    r = check_chain("receipt.chain_id", chain, e->chain_id);
    if (r) return r;
    content_id(e->id, "decai.receipt.v1", bytes, len);
    decai__receipt_digest(e->digest, e->id, e->model_root, e->job_id, e->expiry_ms, e->chain_id);
    return 0;
}

/* One field of a manifest; seen collects the keys. */
static int32_t
manifest_field(decai__cbor_reader *reader, decai__effects *e, uint64_t key, uint64_t *version, uint64_t *chain)
{
    const char *name = NULL;
    size_t len = 0;
    int32_t r;

    switch (key) {
    case DECAI__MANIFEST_KEY_VERSION: return decai__cbor_get_uint(reader, version);
    case DECAI__MANIFEST_KEY_CHAIN_ID: return decai__cbor_get_uint(reader, chain);
    case DECAI__MANIFEST_KEY_MODEL_ROOT: return decai__cbor_get_fixed(reader, e->model_root, 32);
    case DECAI__MANIFEST_KEY_OWNER: return decai__cbor_get_fixed(reader, e->owner, sizeof(e->owner));
    case DECAI__MANIFEST_KEY_NAME:
        r = decai__cbor_get_text(reader, &name, &len);
        if (!r && len > DECAI__NAME_MAX)
            r = decai__fail(DECAI_E_LIMIT, "manifest.name: longer than %d bytes", DECAI__NAME_MAX);
        for (size_t i = 0; i < len && !r; i++)      /* a terminal would obey them */
            if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f)
                r = decai__fail(DECAI_E_CORRUPT, "manifest.name: byte %zu is a control character", i);
        if (!r) memcpy(e->name, name, len);
        return r;
    default:
        if (key > DECAI__MANIFEST_KEY_LAST)
            return decai__fail(DECAI_E_UNSUPPORTED, "manifest: unknown key %llu", (unsigned long long)key);
        return decai__cbor_skip(reader);
    }
}

int32_t
decai__effects_manifest(decai__effects *e, const uint8_t *bytes, size_t len)
{
    static const uint32_t needed = 1u << DECAI__MANIFEST_KEY_VERSION | 1u << DECAI__MANIFEST_KEY_CHAIN_ID
        | 1u << DECAI__MANIFEST_KEY_MODEL_ROOT | 1u << DECAI__MANIFEST_KEY_NAME | 1u << DECAI__MANIFEST_KEY_OWNER;
    decai__cbor_reader reader;
    uint64_t pairs = 0, key = 0, version = 0, chain = 0;
    uint32_t seen = 0;

    int32_t r = decai__cbor_reader_init(&reader, bytes, len, "manifest");
    if (!r) r = decai__cbor_get_map(&reader, &pairs);
    for (uint64_t i = 0; i < pairs && !r; i++) {
        r = decai__cbor_get_key(&reader, &key);
        if (!r) r = manifest_field(&reader, e, key, &version, &chain);
        if (!r) seen |= 1u << key;
    }
    if (!r) r = decai__cbor_reader_end(&reader);
    if (r) return r;

    if ((seen & needed) != needed || version != 1)
        return decai__fail(DECAI_E_UNSUPPORTED, "manifest: not version 1 with chain id, model root, name and owner");
    r = check_chain("manifest.chain_id", chain, e->chain_id);
    if (r) return r;
    content_id(e->id, "decai.manifest.v1", bytes, len);
    decai__manifest_digest(e->digest, e->id, e->model_root, e->owner, e->chain_id);
    return 0;
}

int32_t
decai__effects_decode(decai_context *ctx, decai__effects *e, int32_t kind, const uint8_t *bytes, size_t len,
    uint64_t chain_id)
{
    memset(e, 0, sizeof(*e));
    e->kind = kind;
    e->chain_id = chain_id;
    if (len > DECAI_INTENT_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, "bytes: %zu, more than DECAI_INTENT_BYTES_MAX", len);
    switch (kind) {
    case DECAI_INTENT_ORDER: return decai__effects_order(ctx, e, (const char *)bytes, len);
    case DECAI_INTENT_RECEIPT: return decai__effects_receipt(e, bytes, len);
    case DECAI_INTENT_MANIFEST: return decai__effects_manifest(e, bytes, len);
    default: return decai__fail(DECAI_E_UNSUPPORTED, "kind: %d is not signed here", (int)kind);
    }
}

/* ---- text ---------------------------------------------------------------- */

/* "2026-11-23T01:02:03.004Z": days to a civil date, proleptic Gregorian, with
 * the year starting in March so that the leap day comes last. */
static void
format_time(char out[64], uint64_t ms)
{
    uint64_t days = ms / 86400000u, rest = ms % 86400000u;
    uint64_t z = days + 719468u, era = z / 146097u, doe = z % 146097u;
    uint64_t yoe = (doe - doe / 1460u + doe / 36524u - doe / 146096u) / 365u;
    uint64_t doy = doe - (365u * yoe + yoe / 4u - yoe / 100u), mp = (5u * doy + 2u) / 153u;
    unsigned day = (unsigned)(doy - (153u * mp + 2u) / 5u) + 1u, month = (unsigned)(mp < 10u ? mp + 3u : mp - 9u);
    uint64_t year = yoe + era * 400u + (month <= 2u);

    snprintf(out, 64, "%04llu-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned long long)year, month, day,
        (unsigned)(rest / 3600000u), (unsigned)(rest / 60000u % 60u), (unsigned)(rest / 1000u % 60u),
        (unsigned)(rest % 1000u));
}

static void
hex32(char out[67], const uint8_t in[32])
{
    out[0] = '0';
    out[1] = 'x';
    decai__hex_encode(out + 2, in, 32);
    out[66] = 0;
}

static void
decimal(char out[DECAI__U256_TEXT_MAX + 1], const uint8_t be[32])
{
    decai__u256 v = decai__u256_from_be(be);
    decai__u256_format(out, &v);
}

static int
plain_words(char out[TEXT_MAX], const decai__effects *e)
{
    char root[67], other[67], price[DECAI__U256_TEXT_MAX + 1], cost[DECAI__U256_TEXT_MAX + 1], until[64];
    char owner[DECAI_ADDRESS_TEXT + 1] = {0};
    unsigned long long chain = e->chain_id;

    hex32(root, e->model_root);
    format_time(until, e->expiry_ms);
    decimal(price, e->max_price);
    decimal(cost, e->cost);
    if (e->kind == DECAI_INTENT_ORDER) {
        hex32(other, e->prompt_hash);
        return snprintf(out, TEXT_MAX, "Order: pay at most %s %s (%llu x %s) on chain %llu, until %s, for running "
            "model %s on the prompt with hash %s.", cost, e->asset, (unsigned long long)e->redundancy, price, chain,
            until, root, other);
    }
    if (e->kind == DECAI_INTENT_RECEIPT) {
        hex32(other, e->job_id);
        return snprintf(out, TEXT_MAX, "Receipt: state on chain %llu that model %s was run for job %s as the receipt "
            "says; good until %s. Being wrong can cost the stake.", chain, root, other, until);
    }
    decai__address_text(owner, e->owner);
    return snprintf(out, TEXT_MAX, "Manifest: declare on chain %llu that %s owns model %s, named \"%s\".", chain,
        owner, root, e->name);
}

static void
put_order(decai__json_writer *w, const decai__effects *e)
{
    decai__u256 price = decai__u256_from_be(e->max_price), cost = decai__u256_from_be(e->cost);
    decai__json_put_hex(w, "prompt_hash", e->prompt_hash, 32);
    decai__json_put_str(w, "asset", e->asset);
    decai__json_put_u256(w, "max_price", &price);
    decai__json_put_u64(w, "redundancy", e->redundancy);
    decai__json_put_u256(w, "cost_max", &cost);
    decai__json_put_u64(w, "deadline_ms", e->expiry_ms);
    decai__json_put_hex(w, "salt", e->salt, 32);
}

int32_t
decai__effects_format(decai__buf *b, const decai__effects *e)
{
    static const char *const names[] = {"", "order", "receipt", "manifest"};
    decai__json_writer w;
    char text[TEXT_MAX], owner[DECAI_ADDRESS_TEXT];

    decai__assert(e->kind >= DECAI_INTENT_ORDER && e->kind <= DECAI_INTENT_MANIFEST);
    decai__json_writer_init(&w, b, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_str(&w, "kind", names[e->kind]);
    decai__json_put_hex(&w, "id", e->id, 32);
    decai__json_put_hex(&w, "digest", e->digest, 32);
    decai__json_put_u64(&w, "chain_id", e->chain_id);
    decai__json_put_hex(&w, "model_root", e->model_root, 32);
    if (e->kind == DECAI_INTENT_ORDER) put_order(&w, e);
    else if (e->kind == DECAI_INTENT_RECEIPT) {
        decai__json_put_hex(&w, "job_id", e->job_id, 32);
        decai__json_put_u64(&w, "expiry_ms", e->expiry_ms);
    } else {
        decai__address_text(owner, e->owner);
        decai__json_put_text(&w, "owner", owner, sizeof(owner));
        decai__json_put_str(&w, "name", e->name);
    }
    int n = plain_words(text, e);
    decai__assert(n > 0 && n < TEXT_MAX);
    decai__json_put_text(&w, "text", text, (size_t)n);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}
