/* sweep_wallet.c - wallet's rows of the allocation sweep. */
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

#define POLICY "{\"chain_id\":1,\"asset\":\"credit\",\"price_max\":\"10\",\"total_max\":\"1000000\",\"horizon_ms\":315360000000}"
#define DEADLINE 2000000000000u /* in 2033; the horizon is ten years */

typedef struct life {
    decai_options *options;
    decai_key *key;
    decai_wallet *wallet;
    decai_intent *intent;
    char text[2048];
    size_t len;
    uint8_t sig[65], me[20], saved[512];
    size_t saved_len;
} life;

static void
teardown(decai_context *ctx, void *state)
{
    life *l = state;
    (void)ctx;
    if (!l) return;
    decai_destroy(l->intent);
    decai_destroy(l->wallet);
    decai_destroy(l->key);
    decai_destroy(l->options);
    free(l);
}

static int32_t
order(decai_context *ctx, life *l)
{
    static const uint8_t root[32] = {1};
    return decai_order_encode(ctx, l->text, sizeof(l->text), &l->len, root, 32, root, 32, "1", "credit", 2, DEADLINE,
        root, 32, 1);
}

static int32_t
sign_once(life *l)
{
    decai_permit *permit = NULL;
    int32_t r = decai_permit_create(&permit, l->wallet, l->intent);
    if (!r) r = decai_wallet_sign(l->wallet, l->sig, 65, l->intent, permit);
    decai_destroy(permit);
    return r;
}

static int32_t
setup(decai_context *ctx, void **state)
{
    static const uint8_t secret[32] = {[31] = 1};
    life *l = calloc(1, sizeof(*l));
    int32_t r = l ? 0 : DECAI_E_NOMEM;
    if (!r) r = decai_options_create(&l->options, ctx);
    if (!r) r = decai_options_set_str(l->options, "wallet.policy", POLICY);
    if (!r) r = decai_key_load(&l->key, ctx, secret, 32, NULL);
    if (!r) r = decai_key_address_get(l->key, l->me, 20);
    if (!r) r = decai_wallet_create(&l->wallet, l->key, l->options);
    if (!r) r = order(ctx, l);
    if (!r) r = decai_intent_parse(&l->intent, l->wallet, DECAI_INTENT_ORDER, (const uint8_t *)l->text, l->len);
    if (!r) r = sign_once(l);
    if (!r) r = decai_wallet_state_encode(l->wallet, l->saved, sizeof(l->saved), &l->saved_len);
    *state = l;
    return r;
}

static int32_t
create(decai_context *ctx, void *state)
{
    life *l = state;
    decai_wallet *w = NULL;
    (void)ctx;
    int32_t r = decai_wallet_create(&w, l->key, l->options);
    decai_destroy(w);
    return r;
}

static int32_t
policy_format(decai_context *ctx, void *state)
{
    char out[1024];
    size_t len;
    (void)ctx;
    return decai_wallet_policy_format(((life *)state)->wallet, out, sizeof(out), &len);
}

static int32_t
state_encode(decai_context *ctx, void *state)
{
    static uint8_t out[DECAI_WALLET_STATE_MAX];
    size_t len;
    (void)ctx;
    return decai_wallet_state_encode(((life *)state)->wallet, out, sizeof(out), &len);
}

static int32_t
state_decode(decai_context *ctx, void *state)
{
    life *l = state;
    decai_wallet *w = NULL;
    (void)ctx;
    int32_t r = decai_wallet_create(&w, l->key, l->options);
    if (!r) r = decai_wallet_state_decode(w, l->saved, l->saved_len);
    decai_destroy(w);
    return r;
}

static int32_t
order_encode(decai_context *ctx, void *state)
{
    return order(ctx, state);
}

static int32_t
intent_parse(decai_context *ctx, void *state)
{
    life *l = state;
    decai_intent *intent = NULL;
    (void)ctx;
    int32_t r = decai_intent_parse(&intent, l->wallet, DECAI_INTENT_ORDER, (const uint8_t *)l->text, l->len);
    decai_destroy(intent);
    return r;
}

static int32_t
intent_format(decai_context *ctx, void *state)
{
    char out[8192];
    size_t len;
    (void)ctx;
    return decai_intent_format(((life *)state)->intent, out, sizeof(out), &len);
}

static int32_t
intent_digest_get(decai_context *ctx, void *state)
{
    uint8_t out[32];
    (void)ctx;
    return decai_intent_digest_get(((life *)state)->intent, out, 32);
}

static int32_t
permit_create(decai_context *ctx, void *state)
{
    life *l = state;
    decai_permit *permit = NULL;
    (void)ctx;
    int32_t r = decai_permit_create(&permit, l->wallet, l->intent);
    decai_destroy(permit);
    return r;
}

static int32_t
wallet_sign(decai_context *ctx, void *state)
{
    (void)ctx;
    return sign_once(state);
}

static int32_t
intent_recover(decai_context *ctx, void *state)
{
    life *l = state;
    uint8_t address[20];
    return decai_intent_recover(ctx, address, 20, DECAI_INTENT_ORDER, (const uint8_t *)l->text, l->len, l->sig, 65, 1);
}

static int32_t
intent_verify(decai_context *ctx, void *state)
{
    life *l = state;
    return decai_intent_verify(ctx, DECAI_INTENT_ORDER, (const uint8_t *)l->text, l->len, l->sig, 65, l->me, 20, 1);
}

const sweep_case sweep_wallet[] = {
    {"decai_wallet_create", setup, create, teardown},
    {"decai_wallet_policy_format", setup, policy_format, teardown},
    {"decai_wallet_state_encode", setup, state_encode, teardown},
    {"decai_wallet_state_decode", setup, state_decode, teardown},
    {"decai_order_encode", setup, order_encode, teardown},
    {"decai_intent_parse", setup, intent_parse, teardown},
    {"decai_intent_format", setup, intent_format, teardown},
    {"decai_intent_digest_get", setup, intent_digest_get, teardown},
    {"decai_permit_create", setup, permit_create, teardown},
    {"decai_wallet_sign", setup, wallet_sign, teardown},
    {"decai_intent_recover", setup, intent_recover, teardown},
    {"decai_intent_verify", setup, intent_verify, teardown},
    {0},
};
