/* market_life.h - scripted deals on a market, through the public interface.
 *
 * Deal n is the same sequence of calls with the same keys, times and amounts
 * every time, so a deal that was interrupted anywhere is simply run again from
 * its start: what was done is answered from the record, the rest is done now.
 * Running deals 0..n-1 on two stores must therefore give equal balances,
 * however often one of them died in between.
 *
 * The kinds, by n % 5: both leases accepted; one cheat slashed; unknown first,
 * decided later; cancelled before a lease; one provider never delivers. */
#ifndef DECAI_TESTS_MARKET_LIFE_H
#define DECAI_TESTS_MARKET_LIFE_H

#include <stdio.h>
#include <string.h>

#include "decai.h"

#define LIFE_ASSET "USDX"
#define LIFE_EPOCH_MS 1800000000000LL            /* deal 0 begins */
#define LIFE_DEAL_MS 100000LL                    /* one deal's time */

typedef struct life {
    decai_context *ctx;
    decai_store *store;
    decai_market *market;
    int64_t now_ms;                              /* the clock seam reads it */
    /* called after each call that was acknowledged; nonzero stops the deal */
    int32_t (*ack)(void *user, int64_t deal, int32_t step);
    void *user;
    uint8_t order[32];                           /* of the last deal */
} life;

static int64_t life_wall(void *user) { return ((life *)user)->now_ms; }
static int64_t life_mono(void *user) { return ((life *)user)->now_ms * 1000000; }

static __attribute__((unused)) int32_t
life_context(life *l)
{
    decai_options *o = NULL;
    l->now_ms = LIFE_EPOCH_MS;
    int32_t r = decai_options_create(&o, NULL);
    if (r == 0) r = decai_options_set_fn(o, "seam.clock.wall_ms", (decai_fn)life_wall, l);
    if (r == 0) r = decai_options_set_fn(o, "seam.clock.mono_ns", (decai_fn)life_mono, l);
    if (r == 0) r = decai_context_create(&l->ctx, o);
    decai_destroy(o);
    return r;
}

static __attribute__((unused)) int32_t
life_store(life *l, const char *path, const char *vfs, int64_t synchronous)
{
    decai_options *o = NULL;
    int32_t r = decai_options_create(&o, l->ctx);
    if (r == 0 && vfs) r = decai_options_set_str(o, "store.vfs", vfs);
    if (r == 0) r = decai_options_set_i64(o, "store.synchronous", synchronous);
    if (r == 0) r = decai_options_set_i64(o, "store.busy_ms", 5000);
    if (r == 0) r = decai_store_open(&l->store, l->ctx, path, o);
    if (r == 0) r = decai_market_open(&l->market, l->store, NULL);
    decai_destroy(o);
    return r;
}

static __attribute__((unused)) void
life_close_store(life *l)
{
    decai_destroy(l->market);
    decai_destroy(l->store);
    l->market = NULL;
    l->store = NULL;
}

static __attribute__((unused)) void
life_close(life *l)
{
    life_close_store(l);
    decai_destroy(l->ctx);
    l->ctx = NULL;
}

static __attribute__((unused)) int
life_order_text(char *out, size_t cap, int64_t deal, int64_t deadline_ms)
{
    return snprintf(out, cap,
        "{\"requester\":\"alice\",\"verifier\":\"victor\",\"asset\":\"" LIFE_ASSET "\","
        "\"job_spec\":\"%064llx\",\"model_root\":\"%064x\",\"prompt\":\"%064x\",\"nonce\":\"%064llx\","
        "\"max_price\":\"100\",\"verifier_fee\":\"7\",\"stake\":\"50\",\"bid_deposit\":\"3\",\"redundancy\":2,"
        "\"deadline_ms\":%lld,\"split\":{\"provider\":80,\"royalties\":[{\"account\":\"owner\",\"parts\":13},"
        "{\"account\":\"data\",\"parts\":4}]},\"slash\":{\"requester\":1,\"verifier\":1,\"burn\":1}}",
        (unsigned long long)deal, 0xabcd, 0x1234, (unsigned long long)deal, (long long)deadline_ms);
}

static __attribute__((unused)) void
life_hex(char out[65], const uint8_t id[32])
{
    for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", id[i]);
}

#define LIFE_DO(call)                                                    \
    do {                                                                 \
        step++;                                                          \
        snprintf(key, sizeof key, "d%lld.%d", (long long)deal, step);    \
        if ((r = (call))) return r;                                      \
        if (l->ack && (r = l->ack(l->user, deal, step))) return r;       \
    } while (0)

#define LIFE_STEP_ORDER 11                       /* the last keyed step before bids */
#define LIFE_STEP_AUCTION 15                     /* no key */

static __attribute__((unused)) int32_t
life_bid(life *l, const char *provider, int price, const char *key)
{
    char hex[65], text[300];
    int64_t sequence;
    life_hex(hex, l->order);
    int n = snprintf(text, sizeof text, "{\"order\":\"%s\",\"provider\":\"%s\",\"price\":\"%d\"}", hex, provider, price);
    return decai_bid_submit(l->market, &sequence, text, (size_t)n, key);
}

/* A step that must fail with this code. */
static __attribute__((unused)) int32_t
life_expect(int32_t r, int32_t want)
{
    return r == want ? 0 : r ? r : DECAI_E_INTERNAL;
}

/* Steps of deal n up to the auction. */
static __attribute__((unused)) int32_t
life_open_deal(life *l, int64_t deal, int32_t *steps)
{
    static const char *const provider[3] = {"p1", "p2", "p3"};
    char key[64], text[2048];
    int32_t r, step = 0;
    int64_t start = LIFE_EPOCH_MS + deal * LIFE_DEAL_MS, winners;
    l->now_ms = start;
    LIFE_DO(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "1000", key));
    for (int i = 0; i < 3; i++) {
        LIFE_DO(decai_deposit_submit(l->market, provider[i], LIFE_ASSET, "200", key));
        LIFE_DO(decai_stake_add(l->market, provider[i], LIFE_ASSET, "100", key));
    }
    LIFE_DO(decai_stake_remove(l->market, "p1", LIFE_ASSET, "1", key));
    LIFE_DO(decai_withdrawal_submit(l->market, "alice", LIFE_ASSET, "17", key));
    LIFE_DO(decai_withdrawal_submit(l->market, "p3", LIFE_ASSET, "2", key));
    int n = life_order_text(text, sizeof text, deal, start + 60000);
    LIFE_DO(decai_order_submit(l->market, l->order, 32, text, (size_t)n, "alice", (const uint8_t *)"sig", 3, key));
    LIFE_DO(life_bid(l, "p1", 61, key));
    LIFE_DO(life_bid(l, "p2", 43, key));
    LIFE_DO(life_bid(l, "p3", 57, key));
    LIFE_DO(decai_auction_settle(l->market, &winners, l->order, 32));
    *steps = step;
    return 0;
}

static __attribute__((unused)) int32_t
life_result(life *l, uint64_t fence, const char *key)
{
    uint8_t id[32] = {1};
    return decai_result_submit(l->market, l->order, 32, fence, id, 32, (const uint8_t *)"receipt", 7, key);
}

static __attribute__((unused)) int32_t
life_verdict(life *l, uint64_t fence, int32_t verdict, const char *key)
{
    return decai_verdict_submit(l->market, l->order, 32, fence, "victor", verdict, (const uint8_t *)"{}", 2, key);
}

/* Run deal n; 0, or the first call's error. */
static __attribute__((unused)) int32_t
life_deal(life *l, int64_t deal)
{
    char key[64];
    int32_t r, step = 0, state;
    int64_t end;
    uint64_t f2 = 0, f3 = 0;
    if ((r = life_open_deal(l, deal, &step))) return r;
    if (deal % 5 == 3) {
        LIFE_DO(decai_job_cancel(l->market, l->order, 32, "alice"));
        return 0;
    }
    LIFE_DO(decai_lease_take(l->market, &f2, &end, l->order, 32, "p2", key));
    LIFE_DO(decai_lease_take(l->market, &f3, &end, l->order, 32, "p3", key));
    LIFE_DO(life_result(l, f2, key));
    if (deal % 5 != 4) LIFE_DO(life_result(l, f3, key));
    if (deal % 5 == 2) LIFE_DO(life_verdict(l, f2, DECAI_VERDICT_UNKNOWN, key));
    LIFE_DO(life_verdict(l, f2, DECAI_VERDICT_ACCEPTED, key));
    if (deal % 5 != 4) LIFE_DO(life_verdict(l, f3, deal % 5 == 1 ? DECAI_VERDICT_REJECTED : DECAI_VERDICT_ACCEPTED, key));
    l->now_ms += 60001;
    LIFE_DO(decai_job_settle(l->market, &state, l->order, 32));
    return life_expect(state == DECAI_JOB_SETTLED ? 0 : DECAI_E_INTERNAL, 0);
}

/* 0, or the audit's verdict. */
static __attribute__((unused)) int32_t
life_audit(life *l)
{
    static _Thread_local char text[1 << 20];
    size_t len;
    int32_t r = decai_store_audit(l->store);
    return r ? r : decai_ledger_audit(l->market, text, sizeof text, &len);
}

#endif
