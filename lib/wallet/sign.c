/* sign.c - the sink: wallet, intent, permit, and the one call that signs.
 *
 *     intent   exact bytes, their SHA-256, their effects
 *     permit   (SHA-256 of the bytes, kind, policy version, unused)
 *     sign     bytes still hash to the permit's value, still decode to the same
 *              digest, policy still says yes -> consume -> sign -> verify
 *
 * This is the only file of the library that refers to decai__key_sign.
 */
#include <string.h>

#include "hash/hash.h"
#include "wallet/wallet.h"

struct decai_wallet {
    decai__handle h;
    decai_key *key;                  /* owned reference */
    decai__policy policy;
    decai__spends spends;
    uint64_t permits;                /* given so far */
};

struct decai_intent {
    decai__handle h;
    decai_wallet *wallet;            /* owned reference */
    int32_t kind;
    uint8_t *bytes;
    size_t len;
    uint8_t sha256[32];
    decai__effects effects;
};

struct decai_permit {
    decai__handle h;
    decai_wallet *wallet;            /* owned reference */
    int32_t kind;
    bool used;
    uint8_t sha256[32], policy[32];
};

static void
wallet_destroy(void *self)
{
    decai_wallet *w = self;
    decai__free(w->h.context, w->spends.rows);
    decai__destroy(w->key);
}

static void
intent_destroy(void *self)
{
    decai_intent *intent = self;
    decai__free(intent->h.context, intent->bytes);
    decai__destroy(intent->wallet);
}

static void
permit_destroy(void *self)
{
    decai_permit *permit = self;
    decai__destroy(permit->wallet);
}

int32_t
decai__wallet_create(decai_wallet **out, decai_key *key, const decai_options *o)
{
    decai_context *ctx = decai__context_of(key);
    decai_wallet *w = decai__handle_create(ctx, DECAI__WALLET, sizeof(*w), wallet_destroy);
    if (!w) return DECAI_E_NOMEM;

    int32_t r = decai__policy_read(ctx, &w->policy, o);
    if (!r) r = decai__retain(key);
    if (!r) {
        w->key = key;
        w->spends.mono_ns = decai__clock_mono_ns(ctx);
        *out = w;
    } else decai__destroy(w);
    return r;
}

int32_t
decai__wallet_policy_format(decai_wallet *w, decai__buf *b)
{
    return decai__policy_format(b, &w->policy);
}

int32_t
decai__wallet_state_encode(decai_wallet *w, decai__buf *b)
{
    decai__spends_tick(&w->spends, decai__clock_mono_ns(w->h.context));
    return decai__spends_encode(b, &w->spends, decai__key_address(w->key));
}

int32_t
decai__wallet_state_decode(decai_wallet *w, const uint8_t *bytes, size_t len)
{
    if (w->permits) return decai__fail(DECAI_E_STATE, "wallet: it gave %llu permits", (unsigned long long)w->permits);
    return decai__spends_decode(w->h.context, &w->spends, bytes, len, decai__key_address(w->key));
}

int32_t
decai__intent_parse(decai_intent **out, decai_wallet *w, int32_t kind, const uint8_t *bytes, size_t len)
{
    decai_context *ctx = w->h.context;
    decai_intent *intent = decai__handle_create(ctx, DECAI__INTENT, sizeof(*intent), intent_destroy);
    if (!intent) return DECAI_E_NOMEM;

    intent->kind = kind;
    int32_t r = decai__effects_decode(ctx, &intent->effects, kind, bytes, len, w->policy.chain_id);
    if (r) goto done;
    intent->bytes = decai__memdup(ctx, bytes, len);
    intent->len = len;
    if (!intent->bytes) r = DECAI_E_NOMEM;
    if (!r) r = decai__sha256(ctx, intent->sha256, intent->bytes, len);
    if (!r) r = decai__retain(w);
    if (!r) intent->wallet = w;
done:
    if (r) decai__destroy(intent);
    else *out = intent;
    return r;
}

const decai__effects *
decai__intent_effects(const decai_intent *intent)
{
    return &intent->effects;
}

static int32_t
check_policy(decai_wallet *w, const decai__effects *e)
{
    return decai__policy_check(&w->policy, e, decai__key_address(w->key), decai__clock_wall_ms(w->h.context));
}

int32_t
decai__permit_create(decai_permit **out, decai_wallet *w, decai_intent *intent)
{
    if (intent->wallet != w) return decai__fail(DECAI_E_CONFLICT, "intent: parsed for another wallet");
    int32_t r = check_policy(w, &intent->effects);
    if (r) return r;

    /* The handle first: nothing may fail once the amount is reserved. */
    decai_permit *permit = decai__handle_create(w->h.context, DECAI__PERMIT, sizeof(*permit), permit_destroy);
    if (!permit) return DECAI_E_NOMEM;
    permit->kind = intent->kind;
    memcpy(permit->sha256, intent->sha256, 32);
    memcpy(permit->policy, w->policy.version, 32);
    r = decai__retain(w);
    if (!r) permit->wallet = w;
    if (!r && intent->kind == DECAI_INTENT_ORDER) {
        decai__spends_tick(&w->spends, decai__clock_mono_ns(w->h.context));
        r = decai__spends_reserve(w->h.context, &w->spends, &w->policy, intent->effects.cost);
    }
    if (r) {
        decai__destroy(permit);
        return r;
    }
    w->permits++;
    *out = permit;
    return 0;
}

/* Does this permit speak of these bytes, under this policy, in this wallet? */
static int32_t
check_permit(decai_wallet *w, const decai_intent *intent, const decai_permit *permit)
{
    uint8_t now[32];

    if (permit->wallet != w || intent->wallet != w)
        return decai__fail(DECAI_E_CONFLICT, "%s: of another wallet", permit->wallet != w ? "permit" : "intent");
    if (permit->used) return decai__fail(DECAI_E_STATE, "permit: it was used");
    int32_t r = decai__sha256(w->h.context, now, intent->bytes, intent->len);
    if (r) return r;
    if (permit->kind != intent->kind || memcmp(permit->sha256, now, 32) != 0)
        return decai__fail(DECAI_E_CONFLICT, "permit: given for other bytes");
    if (memcmp(permit->policy, w->policy.version, 32) != 0)
        return decai__fail(DECAI_E_CONFLICT, "permit: given under another policy");
    return 0;
}

int32_t
decai__wallet_sign(decai_wallet *w, uint8_t sig[DECAI_SIGNATURE_BYTES], decai_intent *intent, decai_permit *permit)
{
    decai__effects again;

    int32_t r = check_permit(w, intent, permit);
    if (!r) r = decai__effects_decode(w->h.context, &again, intent->kind, intent->bytes, intent->len, w->policy.chain_id);
    if (!r && memcmp(again.digest, intent->effects.digest, 32) != 0)
        r = decai__fail(DECAI_E_INTEGRITY, "intent: its bytes decode to another digest now");
    if (!r) r = check_policy(w, &again);
    if (r) return r;

    /* Consumed before a signature exists. Given back only where certainly none
     * was made; a signature that failed its check is a fault and is not. */
    permit->used = true;
    r = decai__key_sign(w->key, sig, again.digest);
    if (r && r != DECAI_E_INTEGRITY) permit->used = false;
    return r;
}
