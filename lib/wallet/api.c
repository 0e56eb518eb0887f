/* api.c - the door of wallet: arguments are checked here, work is done behind. */
#include <string.h>

#include "num/num.h"
#include "wallet/wallet.h"

#define ORDER_TEXT_MAX 8192 /* an order's document is below 2 KiB */
#define INTENT_TEXT_MAX 16384 /* effects with every field escaped */

int32_t
decai_wallet_create(decai_wallet **out, decai_key *key, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter(key, DECAI__KEY);
    if (r) return r;
    r = decai__opts_check(options, "wallet");
    if (!r) r = decai__wallet_create(out, key, options);
    decai__leave(key);
    return r;
}

int32_t
decai_wallet_policy_format(decai_wallet *wallet, char *out, size_t cap, size_t *len)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter(wallet, DECAI__WALLET);
    if (r) return r;
    decai__buf_init(&b, decai__context_of(wallet), 65536, "the policy's text");
    r = decai__door_close(decai__wallet_policy_format(wallet, &b), &b, out, cap, len);
    decai__leave(wallet);
    return r;
}

int32_t
decai_wallet_state_encode(decai_wallet *wallet, uint8_t *out, size_t cap, size_t *len)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter(wallet, DECAI__WALLET);
    if (r) return r;
    decai__buf_init(&b, decai__context_of(wallet), DECAI_WALLET_STATE_MAX, "DECAI_WALLET_STATE_MAX");
    r = decai__door_close(decai__wallet_state_encode(wallet, &b), &b, out, cap, len);
    decai__leave(wallet);
    return r;
}

int32_t
decai_wallet_state_decode(decai_wallet *wallet, const uint8_t *bytes, size_t bytes_len)
{
    int32_t r = decai__enter(wallet, DECAI__WALLET);
    if (r) return r;
    if (!bytes) r = decai__fail(DECAI_E_INVALID, "bytes: NULL");
    else r = decai__wallet_state_decode(wallet, bytes, bytes_len);
    decai__leave(wallet);
    return r;
}

/* The order's fields, checked, as effects. */
static int32_t
order_fields(decai__effects *e, const char *max_price, const char *asset, uint64_t redundancy, uint64_t deadline_ms,
    uint64_t chain_id)
{
    decai__u256 price;

    if (!max_price) return decai__fail(DECAI_E_INVALID, "max_price: NULL");
    if (!asset || !decai__asset_valid(asset, strnlen(asset, DECAI_ORDER_ASSET_MAX + 1)))
        return decai__fail(DECAI_E_INVALID, "asset: not 1 to %d visible ASCII characters", DECAI_ORDER_ASSET_MAX);
    if (decai__u256_parse(&price, max_price, strnlen(max_price, DECAI__U256_TEXT_MAX + 1), "max_price"))
        return DECAI_E_INVALID;
    if (redundancy < 1 || redundancy > DECAI_ORDER_REDUNDANCY_MAX)
        return decai__fail(DECAI_E_INVALID, "redundancy: %llu is not 1 to %d", (unsigned long long)redundancy,
            DECAI_ORDER_REDUNDANCY_MAX);
    if (deadline_ms > INT64_MAX) return decai__fail(DECAI_E_INVALID, "deadline_ms: above 2^63-1");
    if (chain_id < 1 || chain_id > INT64_MAX) return decai__fail(DECAI_E_INVALID, "chain_id: not 1 to 2^63-1");
    decai__u256_to_be(e->max_price, &price);
    memcpy(e->asset, asset, strlen(asset));
    e->redundancy = redundancy;
    e->expiry_ms = deadline_ms;
    e->chain_id = chain_id;
    return 0;
}

int32_t
decai_order_encode(decai_context *context, char *out, size_t cap, size_t *len, const uint8_t *model_root,
    size_t model_root_len, const uint8_t *prompt_hash, size_t prompt_hash_len, const char *max_price,
    const char *asset, uint64_t redundancy, uint64_t deadline_ms, const uint8_t *salt, size_t salt_len,
    uint64_t chain_id)
{
    decai__effects e = {.kind = DECAI_INTENT_ORDER};
    decai__buf b;

    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__door_fixed(model_root, model_root_len, 32, "model_root");
    if (!r) r = decai__door_fixed(prompt_hash, prompt_hash_len, 32, "prompt_hash");
    if (!r) r = decai__door_fixed(salt, salt_len, 32, "salt");
    if (!r) r = order_fields(&e, max_price, asset, redundancy, deadline_ms, chain_id);
    if (r) return r;
    memcpy(e.model_root, model_root, 32);
    memcpy(e.prompt_hash, prompt_hash, 32);
    memcpy(e.salt, salt, 32);
    decai__buf_init(&b, context, ORDER_TEXT_MAX, "an order's text");
    return decai__door_close(decai__order_write(&b, &e), &b, out, cap, len);
}

int32_t
decai_intent_parse(decai_intent **out, decai_wallet *wallet, int32_t kind, const uint8_t *bytes, size_t bytes_len)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter(wallet, DECAI__WALLET);
    if (r) return r;
    if (!bytes || !bytes_len) r = decai__fail(DECAI_E_INVALID, "bytes: %s", bytes ? "none" : "NULL");
    else r = decai__intent_parse(out, wallet, kind, bytes, bytes_len);
    decai__leave(wallet);
    return r;
}

int32_t
decai_intent_format(decai_intent *intent, char *out, size_t cap, size_t *len)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter(intent, DECAI__INTENT);
    if (r) return r;
    decai__buf_init(&b, decai__context_of(intent), INTENT_TEXT_MAX, "an intent's text");
    r = decai__door_close(decai__effects_format(&b, decai__intent_effects(intent)), &b, out, cap, len);
    decai__leave(intent);
    return r;
}

int32_t
decai_intent_digest_get(decai_intent *intent, uint8_t *out, size_t out_len)
{
    int32_t r = decai__door_fixed(out, out_len, 32, "out");
    if (r) return r;
    memset(out, 0, out_len);
    r = decai__enter(intent, DECAI__INTENT);
    if (r) return r;
    memcpy(out, decai__intent_effects(intent)->digest, 32);
    decai__leave(intent);
    return 0;
}

int32_t
decai_permit_create(decai_permit **out, decai_wallet *wallet, decai_intent *intent)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter(wallet, DECAI__WALLET);
    if (r) return r;
    r = decai__enter(intent, DECAI__INTENT);
    if (!r) {
        r = decai__permit_create(out, wallet, intent);
        decai__leave(intent);
    }
    decai__leave(wallet);
    return r;
}

int32_t
decai_wallet_sign(decai_wallet *wallet, uint8_t *signature, size_t signature_len, decai_intent *intent,
    decai_permit *permit)
{
    int32_t r = decai__door_fixed(signature, signature_len, DECAI_SIGNATURE_BYTES, "signature");
    if (r) return r;
    memset(signature, 0, signature_len);
    r = decai__enter(wallet, DECAI__WALLET);
    if (r) return r;
    r = decai__enter(intent, DECAI__INTENT);
    if (r) goto leave_wallet;
    r = decai__enter(permit, DECAI__PERMIT);
    if (r) goto leave_intent;
    r = decai__wallet_sign(wallet, signature, intent, permit);
    decai__leave(permit);
leave_intent:
    decai__leave(intent);
leave_wallet:
    decai__leave(wallet);
    return r;
}

/* The signer of a statement; e is what it says. */
static int32_t
recover(decai_context *context, decai__effects *e, uint8_t signer[DECAI_ADDRESS_BYTES], int32_t kind,
    const uint8_t *bytes, size_t bytes_len, const uint8_t *signature, size_t signature_len, uint64_t chain_id)
{
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__door_fixed(signature, signature_len, DECAI_SIGNATURE_BYTES, "signature");
    if (r) return r;
    if (!bytes || !bytes_len) return decai__fail(DECAI_E_INVALID, "bytes: %s", bytes ? "none" : "NULL");
    if (chain_id < 1 || chain_id > INT64_MAX) return decai__fail(DECAI_E_INVALID, "chain_id: not 1 to 2^63-1");
    r = decai__effects_decode(context, e, kind, bytes, bytes_len, chain_id);
    return r ? r : decai__recover(context, signer, NULL, signature, e->digest);
}

int32_t
decai_intent_recover(decai_context *context, uint8_t *address, size_t address_len, int32_t kind,
    const uint8_t *bytes, size_t bytes_len, const uint8_t *signature, size_t signature_len, uint64_t chain_id)
{
    decai__effects e;
    uint8_t signer[DECAI_ADDRESS_BYTES];
    int32_t r = decai__door_fixed(address, address_len, DECAI_ADDRESS_BYTES, "address");
    if (r) return r;
    memset(address, 0, address_len);
    r = recover(context, &e, signer, kind, bytes, bytes_len, signature, signature_len, chain_id);
    if (!r) memcpy(address, signer, sizeof(signer));
    return r;
}

int32_t
decai_intent_verify(decai_context *context, int32_t kind, const uint8_t *bytes, size_t bytes_len,
    const uint8_t *signature, size_t signature_len, const uint8_t *address, size_t address_len, uint64_t chain_id)
{
    decai__effects e;
    uint8_t signer[DECAI_ADDRESS_BYTES];
    int32_t r = decai__door_fixed(address, address_len, DECAI_ADDRESS_BYTES, "address");
    if (!r) r = recover(context, &e, signer, kind, bytes, bytes_len, signature, signature_len, chain_id);
    if (r) return r;
    if (memcmp(signer, address, sizeof(signer)) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "signature: not by this address");
    if (kind == DECAI_INTENT_MANIFEST && memcmp(signer, e.owner, sizeof(signer)) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "signature: not by the manifest's owner");
    return 0;
}
