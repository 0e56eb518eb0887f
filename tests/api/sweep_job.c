/* sweep_job.c - a call of each exported function of room job that succeeds.
 *
 * Calls that change the market are given a fresh deal or a fresh key each time:
 * a run that failed half-way must have left nothing that hinders the next. */
#include <stdio.h>
#include <string.h>

#include "market_life.h"
#include "sweep.h"

typedef struct fixture { life l; int64_t calls; uint8_t open[32], held[32]; uint64_t fence; char key[48]; } fixture;

static const char *
fresh_key(fixture *f)
{
    snprintf(f->key, sizeof f->key, "k%lld", (long long)f->calls++);
    return f->key;
}

/* A new order of a number never used; its deadline is far off. */
static int32_t
new_order(fixture *f, uint8_t id[32])
{
    char text[2048];
    int64_t n = 1000 + f->calls++;
    int len = life_order_text(text, sizeof text, n, 9000000000000LL);
    return decai_order_submit(f->l.market, id, 32, text, (size_t)len, "alice", NULL, 0, fresh_key(f));
}

static int32_t
bid(fixture *f, const uint8_t id[32], const char *provider, int price)
{
    memcpy(f->l.order, id, 32);
    return life_bid(&f->l, provider, price, fresh_key(f));
}

/* An order that waits for its auction. */
static int32_t
order_with_bids(fixture *f, uint8_t id[32])
{
    int32_t r = new_order(f, id);
    if (r == 0) r = bid(f, id, "p1", 10);
    return r ? r : bid(f, id, "p2", 20);
}

static int32_t
order_leased(fixture *f, uint8_t id[32])
{
    int64_t winners;
    int32_t r = order_with_bids(f, id);
    return r ? r : decai_auction_settle(f->l.market, &winners, id, 32);
}

static int32_t
order_held(fixture *f, uint8_t id[32], uint64_t *fence)
{
    int64_t end;
    int32_t r = order_leased(f, id);
    return r ? r : decai_lease_take(f->l.market, fence, &end, id, 32, "p1", fresh_key(f));
}

static int32_t
order_delivered(fixture *f, uint8_t id[32], uint64_t *fence)
{
    int32_t r = order_held(f, id, fence);
    if (r) return r;
    memcpy(f->l.order, id, 32);
    return life_result(&f->l, *fence, fresh_key(f));
}

static int32_t
setup(decai_context *ctx, void **state)
{
    static fixture f;
    static const char *const names[3] = {"alice", "p1", "p2"};
    memset(&f, 0, sizeof f);
    *state = &f;
    f.l.ctx = ctx;                               /* the driver's, with its allocator and real clock */
    int32_t r = life_store(&f.l, ":memory:", NULL, 2);
    for (int i = 0; i < 3 && r == 0; i++) {
        r = decai_deposit_submit(f.l.market, names[i], LIFE_ASSET, "2000000000", fresh_key(&f));
        if (r == 0) r = decai_stake_add(f.l.market, names[i], LIFE_ASSET, "1000000000", fresh_key(&f));
    }
    if (r == 0) r = order_with_bids(&f, f.open);
    return r ? r : order_delivered(&f, f.held, &f.fence);
}

static void
teardown(decai_context *ctx, void *state)
{
    (void)ctx;
    life_close_store(&((fixture *)state)->l);
}

#define RUN(name) static int32_t name(decai_context *ctx, void *state)
#define FIXTURE fixture *f = state; (void)ctx

RUN(run_open)
{
    FIXTURE;
    decai_market *m = NULL;
    int32_t r = decai_market_open(&m, f->l.store, NULL);
    decai_destroy(m);
    return r;
}
RUN(run_deposit) { FIXTURE; return decai_deposit_submit(f->l.market, "bob", LIFE_ASSET, "1", fresh_key(f)); }
RUN(run_withdrawal) { FIXTURE; return decai_withdrawal_submit(f->l.market, "alice", LIFE_ASSET, "1", fresh_key(f)); }
RUN(run_stake_add) { FIXTURE; return decai_stake_add(f->l.market, "alice", LIFE_ASSET, "1", fresh_key(f)); }
RUN(run_stake_remove) { FIXTURE; return decai_stake_remove(f->l.market, "alice", LIFE_ASSET, "1", fresh_key(f)); }
RUN(run_order_hash)
{
    char text[2048];
    uint8_t id[32];
    (void)state;
    int len = life_order_text(text, sizeof text, 1, 2);
    return decai_order_hash(ctx, id, 32, text, (size_t)len);
}
RUN(run_order_submit) { FIXTURE; uint8_t id[32]; return new_order(f, id); }
RUN(run_order_get)
{
    FIXTURE;
    char text[4096];
    size_t len;
    return decai_order_get(f->l.market, text, sizeof text, &len, f->open, 32);
}
RUN(run_bid) { FIXTURE; uint8_t id[32]; return order_with_bids(f, id); }
RUN(run_auction) { FIXTURE; uint8_t id[32]; return order_leased(f, id); }
RUN(run_take) { FIXTURE; uint8_t id[32]; uint64_t fence; return order_held(f, id, &fence); }
RUN(run_heartbeat)
{
    FIXTURE;
    uint8_t id[32];
    uint64_t fence;
    int64_t end;
    int32_t r = order_held(f, id, &fence);
    return r ? r : decai_heartbeat_submit(f->l.market, &end, id, 32, fence);
}
RUN(run_result) { FIXTURE; uint8_t id[32]; uint64_t fence; return order_delivered(f, id, &fence); }
RUN(run_result_get)
{
    FIXTURE;
    uint8_t out[64];
    size_t len;
    return decai_result_get(f->l.market, out, sizeof out, &len, f->held, 32, f->fence);
}
RUN(run_verdict)
{
    FIXTURE;
    uint8_t id[32];
    uint64_t fence;
    int32_t r = order_delivered(f, id, &fence);
    return r ? r : life_verdict(&f->l, fence, DECAI_VERDICT_ACCEPTED, fresh_key(f));
}
RUN(run_settle)
{
    FIXTURE;
    uint8_t id[32];
    uint64_t fence[2];
    int64_t end;
    int32_t state_now, r = order_delivered(f, id, &fence[0]);
    if (r == 0) r = decai_lease_take(f->l.market, &fence[1], &end, id, 32, "p2", fresh_key(f));
    if (r == 0) r = life_result(&f->l, fence[1], fresh_key(f));
    for (int i = 0; i < 2 && r == 0; i++) r = life_verdict(&f->l, fence[i], 1 + i, fresh_key(f));
    return r ? r : decai_job_settle(f->l.market, &state_now, id, 32);
}
RUN(run_cancel)
{
    FIXTURE;
    uint8_t id[32];
    int32_t r = order_with_bids(f, id);
    return r ? r : decai_job_cancel(f->l.market, id, 32, "alice");
}
RUN(run_job_get) { FIXTURE; int32_t s; return decai_job_get(f->l.market, &s, f->open, 32); }
RUN(run_market_run) { FIXTURE; int64_t closed; return decai_market_run(f->l.market, &closed); }
RUN(run_ledger_get)
{
    FIXTURE;
    char text[128];
    size_t len;
    return decai_ledger_get(f->l.market, text, sizeof text, &len, "alice", LIFE_ASSET);
}
RUN(run_audit)
{
    FIXTURE;
    static char text[65536];
    size_t len;
    return decai_ledger_audit(f->l.market, text, sizeof text, &len);
}
RUN(run_format)
{
    FIXTURE;
    static char text[1 << 20];
    size_t len;
    return decai_market_format(f->l.market, text, sizeof text, &len, "money", f->held, 32);
}

const sweep_case sweep_job[];
const sweep_case sweep_job[] = {
    {"decai_market_open", setup, run_open, teardown},
    {"decai_deposit_submit", setup, run_deposit, teardown},
    {"decai_withdrawal_submit", setup, run_withdrawal, teardown},
    {"decai_stake_add", setup, run_stake_add, teardown},
    {"decai_stake_remove", setup, run_stake_remove, teardown},
    {"decai_order_hash", NULL, run_order_hash, NULL},
    {"decai_order_submit", setup, run_order_submit, teardown},
    {"decai_order_get", setup, run_order_get, teardown},
    {"decai_bid_submit", setup, run_bid, teardown},
    {"decai_auction_settle", setup, run_auction, teardown},
    {"decai_lease_take", setup, run_take, teardown},
    {"decai_heartbeat_submit", setup, run_heartbeat, teardown},
    {"decai_result_submit", setup, run_result, teardown},
    {"decai_result_get", setup, run_result_get, teardown},
    {"decai_verdict_submit", setup, run_verdict, teardown},
    {"decai_job_settle", setup, run_settle, teardown},
    {"decai_job_cancel", setup, run_cancel, teardown},
    {"decai_job_get", setup, run_job_get, teardown},
    {"decai_market_run", setup, run_market_run, teardown},
    {"decai_ledger_get", setup, run_ledger_get, teardown},
    {"decai_ledger_audit", setup, run_audit, teardown},
    {"decai_market_format", setup, run_format, teardown},
    {0},
};
