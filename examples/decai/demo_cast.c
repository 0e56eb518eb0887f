/* demo_cast.c - the people of the demo: seams, keys, wallets and their policies.
 *
 * With --seed the context's clock and random numbers come from here, so that the
 * same seed gives the same keys, receipts and roots. The library then marks the
 * context, its keys and its receipts as made in a test. */
#include "demo.h"

#include <string.h>
#include <unistd.h>

/* ---- seeded seams: a counter hashed with the seed; a clock that ticks when read. */

static int32_t
seeded_random(void *user, uint8_t *out, size_t len)
{
    demo *d = user;
    while (len) {
        uint64_t in[2] = {d->seed, d->random_count++};
        uint8_t block[32];
        if (decai_hash_keccak256(block, sizeof block, (const uint8_t *)in, sizeof in)) return -1;
        size_t n = len < sizeof block ? len : sizeof block;
        memcpy(out, block, n);
        out += n;
        len -= n;
    }
    return 0;
}

void
demo_random(demo *d, uint8_t *out, size_t len)
{
    if (d->seeded) check(seeded_random(d, out, len), "random");
    else if (getentropy(out, len)) die(EXIT_FAILED, "the system gives no random bytes");
}

static int64_t
seeded_wall_ms(void *user)
{
    demo *d = user;
    return d->clock_ms++;
}

static int64_t
seeded_mono_ns(void *user)
{
    demo *d = user;
    return d->clock_ms * 1000000;
}

static decai_context *
context_seeded(demo *d)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    check(decai_options_create(&o, NULL), "options");
    /* One thread and no pool: the order in which the seams are read is fixed. */
    check(decai_options_set_i64(o, "base.threads", 0), "threads");
    check(decai_options_set_fn(o, "seam.random.fill", (decai_fn)seeded_random, d), "seam");
    check(decai_options_set_fn(o, "seam.clock.wall_ms", (decai_fn)seeded_wall_ms, d), "seam");
    check(decai_options_set_fn(o, "seam.clock.mono_ns", (decai_fn)seeded_mono_ns, d), "seam");
    check(decai_context_create(&ctx, o), "context");
    decai_destroy(o);
    return ctx;
}

/* ---- people ----------------------------------------------------------------------- */

person *
people_at(demo *d, int i)
{
    if (i == 0) return &d->requester;
    if (i == 1) return &d->owner;
    if (i == 2) return &d->verifier;
    return i < 3 + PROVIDERS ? &d->provider[i - 3] : NULL;
}

/* What each may sign is stated before anything is: the wallet refuses the rest. */
static void
person_make(demo *d, person *p, const char *name, const char *policy_key)
{
    decai_options *o = NULL;
    size_t len = 0;
    p->name = name;
    check(decai_key_create(&p->key, d->ctx, NULL), "key");
    check(decai_key_address_get(p->key, p->address, sizeof p->address), "address");
    check(decai_address_format(p->text, sizeof p->text - 1, &len, p->address, sizeof p->address), "address");
    p->text[len] = 0;
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_i64(o, "wallet.chain_id", CHAIN_ID), "policy");
    if (!strcmp(policy_key, "orders")) {
        check(decai_options_set_str(o, "wallet.asset", ASSET), "policy");
        check(decai_options_set_str(o, "wallet.price_max", "5000000"), "policy");
        check(decai_options_set_str(o, "wallet.total_max", "10000000"), "policy");
    } else {
        check(decai_options_set_i64(o, policy_key, 1), "policy");
    }
    check(decai_wallet_create(&p->wallet, p->key, o), "wallet");
    decai_destroy(o);
}

void
demo_cast(demo *d)
{
    static const char *const names[PROVIDERS] = {"aurora", "boreal", "cirrus", "drift"};
    d->ctx = d->seeded ? context_seeded(d) : context_make(-1, true);
    person_make(d, &d->requester, "ada", "orders");
    person_make(d, &d->owner, "olga", "wallet.manifests");
    person_make(d, &d->verifier, "vera", "wallet.receipts");
    for (int i = 0; i < PROVIDERS; i++) person_make(d, &d->provider[i], names[i], "wallet.receipts");
}

void
demo_free(demo *d)
{
    person *p;
    for (int i = 0; (p = people_at(d, i)); i++) {
        decai_destroy(p->wallet);
        decai_destroy(p->key);
    }
    for (int i = 0; i < LEASES; i++) {
        decai_destroy(d->run[i].receipt);
        decai_destroy(d->run[i].engine);
        text_free(&d->run[i].opening);
        text_free(&d->run[i].answer);
    }
    void *handles[] = {d->verifier_engine, d->market, d->store, d->manifest, d->tok, d->model, d->ctx};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) decai_destroy(handles[i]);
    text *texts[] = {&d->order_json, &d->dispute, &d->claims, &d->device, &d->audit, &d->lie, &d->tampered};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) text_free(texts[i]);
}

void
demo_sign(demo *d, person *p, int32_t kind, const void *data, size_t len, uint8_t signature[65])
{
    decai_intent *intent = NULL;
    decai_permit *permit = NULL;
    check(decai_intent_parse(&intent, p->wallet, kind, data, len), "intent");
    check(decai_permit_create(&permit, p->wallet, intent), p->name);
    check(decai_wallet_sign(p->wallet, signature, 65, intent, permit), p->name);
    decai_destroy(permit);
    decai_destroy(intent);
    /* The other side looks before it believes. */
    check(decai_intent_verify(d->ctx, kind, data, len, signature, 65, p->address, sizeof p->address, CHAIN_ID), p->name);
}
