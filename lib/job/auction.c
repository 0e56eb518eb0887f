/* auction.c - who may work, and what the work gave: auction, leases with
 * fencing tokens, results, verdicts.
 *
 * A lease's life:
 *
 *     OFFERED --take--> HELD --result--> DONE --verdict--> (accepted | rejected |
 *                       ^  |                                unknown, not final)
 *                       +--+ take again once expires_ms has passed: rescue
 *
 * The clock only decides when a lease *may* be taken from its holder. Who is
 * allowed to complete it is decided by the fence: each take gives a number
 * above all earlier ones of the job, and the UPDATE that completes a lease
 * names the number. A worker that slept through its lease, a clock that jumped,
 * a reply that was lost: the row either still has the worker's number or the
 * statement changes nothing. (M. Kleppmann, "How to do distributed locking",
 * 2016, describes the token.)
 */
#include <stdio.h>
#include <string.h>

#include "job/job.h"

/* ---- auction --------------------------------------------------------------- */

typedef struct ranked { int64_t id; char provider[DECAI_NAME_MAX + 1]; uint8_t price[32]; } ranked;

static int32_t
rank_bids(decai_store *s, int64_t order_seq, ranked *out, size_t *count)
{
    decai__query q;
    *count = 0;
    int32_t r = decai__query_start(&q, s, DECAI__SQL_BID_RANK, "i", order_seq);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        ranked *b = &out[*count];
        if (*count == DECAI_BIDS_MAX) r = decai__fail(DECAI_E_INTEGRITY, "bid: more than %d", DECAI_BIDS_MAX);
        else if ((r = decai__query_text(&q, 1, b->provider, sizeof b->provider)) == 0)
            r = decai__query_fixed(&q, 2, b->price, 32);
        if (r) break;
        b->id = decai__query_i64(&q, 0);
        ++*count;
    }
    decai__query_done(&q);
    return r;
}

static int32_t
assign(decai_store *s, const decai__job *job, const ranked *bids, size_t count, decai__moves *m)
{
    const decai__order *o = &job->order;
    int32_t r = 0;
    for (size_t i = 0; i < count && r >= 0; i++) {
        bool won = i < (size_t)o->redundancy;
        r = decai__query_run(s, NULL, DECAI__SQL_BID_SET, "iii", bids[i].id, (int64_t)won, (int64_t)won);
        if (r < 0) return r;
        if (won) {
            r = decai__query_run(s, NULL, DECAI__SQL_LEASE_ADD, "iitb", job->seq, (int64_t)i, bids[i].provider,
                                 bids[i].price);
        } else {
            decai__moves_add(m, "lock:", bids[i].provider, "stake:", bids[i].provider, &o->stake);
            decai__moves_add(m, "bid:", bids[i].provider, "", bids[i].provider, &o->bid_deposit);
        }
    }
    return r < 0 ? r : 0;
}

static int32_t
close_auction(decai_store *s, const decai__job *job, const ranked *bids, size_t count, int64_t now_ms)
{
    decai__moves m;
    char detail[96];
    int64_t changes = 0;
    decai__moves_init(&m, decai__context_of(s));
    int32_t r = assign(s, job, bids, count, &m);
    if (r == 0)
        r = decai__query_run(s, &changes, DECAI__SQL_ORDER_STATE, "iiin", job->seq, (int64_t)DECAI_JOB_OPEN,
                             (int64_t)DECAI_JOB_LEASED);
    if (r == 0 && changes != 1) r = decai__fail(DECAI_E_CONFLICT, "order: its state changed meanwhile");
    if (r == 0) r = decai__ledger_post(s, "release", job->seq, job->order.asset, &m, now_ms);
    snprintf(detail, sizeof detail, "{\"bids\":%zu,\"winners\":%d}", count, (int)job->order.redundancy);
    if (r == 0) r = decai__event_add(s, now_ms, "auction", job->seq, job->order.requester, detail);
    decai__moves_free(&m);
    return r;
}

/* Not open any more: because its auction was held, or without one? */
static int32_t
held_before(decai_store *s, const decai__job *job)
{
    decai__lease leases[DECAI_REDUNDANCY_MAX];
    size_t count = 0;
    int32_t r = decai__leases_load(s, job->seq, leases, &count);
    if (r || count) return r;
    return decai__fail(DECAI_E_STATE, "order: cancelled or expired without an auction");
}

static int32_t
auction_in_tx(decai_store *s, const uint8_t id[32], int64_t now_ms, int64_t *winners)
{
    decai__job job;
    size_t count = 0;
    int32_t r = decai__job_load(s, id, &job);
    if (r) return r;
    *winners = job.order.redundancy;
    if (job.state != DECAI_JOB_OPEN) return held_before(s, &job);
    if (now_ms > job.order.deadline_ms) return decai__fail(DECAI_E_STATE, "order: its deadline has passed");
    if (now_ms < job.order.bids_until_ms)
        return decai__fail(DECAI_E_STATE, "bids_until_ms: bids are taken until %lld", (long long)job.order.bids_until_ms);

    ranked *bids = decai__alloc(decai__context_of(s), DECAI_BIDS_MAX * sizeof *bids);
    if (!bids) return decai__fail(DECAI_E_NOMEM, "auction: no memory for bids");
    r = rank_bids(s, job.seq, bids, &count);
    if (r == 0 && count < (size_t)job.order.redundancy)
        r = decai__fail(DECAI_E_STATE, "bids: %zu, the order wants %d providers", count, (int)job.order.redundancy);
    if (r == 0) r = close_auction(s, &job, bids, count, now_ms);
    decai__free(decai__context_of(s), bids);
    return r;
}

int32_t
decai__auction_settle(decai_market *m, int64_t *winners, const uint8_t id[32])
{
    int64_t got = 0;
    int32_t r = decai__tx_begin(m->store);
    if (r) return r;
    r = auction_in_tx(m->store, id, decai__store_now(m->store), &got);
    r = decai__tx_end(m->store, r);
    if (r == 0) *winners = got;
    return r;
}

/* ---- taking and keeping a lease ------------------------------------------------ */

/* The caller's bid: 1 found | error. */
static int32_t
own_bid(decai_store *s, int64_t order_seq, const char *provider, int64_t *id, uint8_t price[32])
{
    decai__query q;
    int32_t r = decai__query_one(&q, s, DECAI__SQL_BID_FIND, "it", order_seq, provider);
    if (r < 0) return r;
    if (r == 0) return decai__fail(DECAI_E_DENIED, "provider: %s has no bid on this order", provider);
    *id = decai__query_i64(&q, 0);
    r = decai__query_fixed(&q, 1, price, 32);
    decai__query_done(&q);
    return r ? r : 1;
}

/* Another bidder steps in: the holder gets its stake back and loses its
 * deposit, the newcomer locks both. */
static int32_t
replace_holder(decai_store *s, const decai__job *job, const decai__lease *old, const char *provider,
    int64_t bid_id, int64_t now_ms)
{
    decai__moves m;
    const decai__order *o = &job->order;
    int64_t old_id = 0;
    uint8_t price[32];
    int32_t r = own_bid(s, job->seq, old->provider, &old_id, price);
    if (r < 0) return r;
    r = decai__query_run(s, NULL, DECAI__SQL_BID_SET, "iii", old_id, (int64_t)0, (int64_t)0);
    if (r == 0) r = decai__query_run(s, NULL, DECAI__SQL_BID_SET, "iii", bid_id, (int64_t)1, (int64_t)1);
    if (r) return r;
    decai__moves_init(&m, decai__context_of(s));
    decai__moves_add(&m, "lock:", old->provider, "stake:", old->provider, &o->stake);
    decai__moves_add(&m, "bid:", old->provider, "", o->requester, &o->bid_deposit);
    decai__moves_add(&m, "stake:", provider, "lock:", provider, &o->stake);
    decai__moves_add(&m, "", provider, "bid:", provider, &o->bid_deposit);
    r = decai__ledger_post(s, "rescue", job->seq, o->asset, &m, now_ms);
    decai__moves_free(&m);
    return r;
}

/* Own slot first; a stranger gets the first expired one. */
static int32_t
choose_slot(const decai__lease *leases, size_t count, const char *provider, int64_t now_ms, const decai__lease **out)
{
    const decai__lease *free_slot = NULL;
    for (size_t i = 0; i < count; i++) {
        const decai__lease *l = &leases[i];
        bool own = strcmp(l->provider, provider) == 0;
        bool expired = l->state == DECAI__LEASE_HELD && l->expires_ms <= now_ms;
        if (own && l->state == DECAI__LEASE_DONE)
            return decai__fail(DECAI_E_CONFLICT, "lease: %s has delivered", provider);
        if (own && l->state == DECAI__LEASE_HELD && !expired)
            return decai__fail(DECAI_E_CONFLICT, "lease: %s holds it until %lld", provider, (long long)l->expires_ms);
        if (own) {
            *out = l;
            return 0;
        }
        if (expired && !free_slot) free_slot = l;
    }
    if (!free_slot) return decai__fail(DECAI_E_CONFLICT, "lease: none is free for %s", provider);
    *out = free_slot;
    return 0;
}

static int64_t
lease_end(const decai_market *market, const decai__order *o, int64_t now_ms)
{
    int64_t left = o->deadline_ms - now_ms;      /* both >= 0 here */
    return now_ms + DECAI__MIN(left, market->lease_ms);
}

static int32_t
write_take(decai_store *s, const decai__job *job, const decai__lease *slot, const char *provider,
    const uint8_t price[32], int64_t fence, int64_t expires_ms, int64_t now_ms)
{
    int64_t changes = 0;
    char detail[128];
    int32_t r = decai__query_run(s, &changes, DECAI__SQL_LEASE_TAKE, "iiitbii", job->seq, slot->slot, slot->fence,
                                 provider, price, fence, expires_ms);
    if (r == 0 && changes != 1) r = decai__fail(DECAI_E_CONFLICT, "lease: taken by another meanwhile");
    if (r == 0) r = decai__query_run(s, &changes, DECAI__SQL_ORDER_FENCE, "ii", job->seq, fence);
    if (r == 0 && changes != 1) r = decai__fail(DECAI_E_CONFLICT, "fence: %lld is not new", (long long)fence);
    snprintf(detail, sizeof detail, "{\"slot\":%d,\"fence\":%lld,\"replaces\":%lld}", (int)slot->slot, (long long)fence,
             (long long)slot->fence);
    if (r == 0) r = decai__event_add(s, now_ms, slot->fence ? "rescue" : "lease", job->seq, provider, detail);
    return r;
}

static int32_t
take_in_tx(const decai_market *market, const uint8_t id[32], const char *provider, int64_t now_ms,
    int64_t *fence, int64_t *expires_ms)
{
    decai_store *s = market->store;
    decai__job job;
    decai__lease leases[DECAI_REDUNDANCY_MAX];
    const decai__lease *slot = NULL;
    uint8_t price[32];
    int64_t bid_id = 0;
    size_t count = 0;
    int32_t r = decai__job_load(s, id, &job);
    if (r) return r;
    if (job.state != DECAI_JOB_LEASED) return decai__fail(DECAI_E_STATE, "order: no lease to take in this state");
    if (now_ms > job.order.deadline_ms) return decai__fail(DECAI_E_STATE, "order: its deadline has passed");

    r = own_bid(s, job.seq, provider, &bid_id, price);
    if (r == 1) r = decai__leases_load(s, job.seq, leases, &count);
    if (r == 0) r = choose_slot(leases, count, provider, now_ms, &slot);
    if (r) return r;
    if (strcmp(slot->provider, provider) != 0) r = replace_holder(s, &job, slot, provider, bid_id, now_ms);
    if (r) return r;
    *fence = job.fence + 1;
    *expires_ms = lease_end(market, &job.order, now_ms);
    return write_take(s, &job, slot, provider, price, *fence, *expires_ms, now_ms);
}

int32_t
decai__lease_take(decai_market *m, uint64_t *fence, int64_t *expires_ms, const uint8_t id[32],
    const char *provider, const char *key)
{
    decai__effect e;
    uint8_t hash[32];
    int32_t r = decai__name_check(provider, "provider");
    if (r) return r;
    decai__request_hash(hash, "bt", id, provider);
    r = decai__effect_begin(&e, m->store, key, "lease", hash);
    if (r == 0) {
        int64_t f = 0, end = 0;
        r = take_in_tx(m, id, provider, e.time_ms, &f, &end);
        decai__store_be64(e.result, (uint64_t)f);
        decai__store_be64(e.result + 8, (uint64_t)end);
        e.result_len = 16;
        r = decai__effect_end(&e, r);
    }
    if (r < 0) return r;
    *fence = decai__load_be64(e.result);
    *expires_ms = (int64_t)decai__load_be64(e.result + 8);
    return 0;
}

static int32_t
renew_in_tx(const decai_market *market, const uint8_t id[32], uint64_t fence, int64_t now_ms, int64_t *expires_ms)
{
    decai__job job;
    decai__lease lease;
    int64_t changes = 0;
    int32_t r = decai__job_load(market->store, id, &job);
    if (r == 0) r = decai__lease_by_fence(market->store, job.seq, fence, &lease);
    if (r) return r;
    if (lease.state != DECAI__LEASE_HELD) return decai__fail(DECAI_E_CONFLICT, "lease: delivered");
    if (now_ms > job.order.deadline_ms) return decai__fail(DECAI_E_STATE, "order: its deadline has passed");
    *expires_ms = lease_end(market, &job.order, now_ms);
    r = decai__query_run(market->store, &changes, DECAI__SQL_LEASE_RENEW, "iiii", job.seq, (int64_t)fence, now_ms,
                         *expires_ms);
    if (r == 0 && changes != 1)
        r = decai__fail(DECAI_E_STATE, "lease: expired at %lld; take it again", (long long)lease.expires_ms);
    return r;
}

int32_t
decai__heartbeat(decai_market *m, int64_t *expires_ms, const uint8_t id[32], uint64_t fence)
{
    int64_t end = 0;
    int32_t r = decai__tx_begin(m->store);
    if (r) return r;
    r = renew_in_tx(m, id, fence, decai__store_now(m->store), &end);
    r = decai__tx_end(m->store, r);
    if (r == 0) *expires_ms = end;
    return r;
}

/* ---- results ------------------------------------------------------------------- */

static int32_t
result_in_tx(decai_store *s, const uint8_t id[32], uint64_t fence, const uint8_t receipt_id[32],
    const uint8_t *receipt, size_t receipt_len, int64_t now_ms)
{
    decai__job job;
    decai__lease lease;
    int64_t changes = 0;
    char hex[65], detail[160];
    int32_t r = decai__job_load(s, id, &job);
    if (r) return r;
    if (job.state != DECAI_JOB_LEASED) return decai__fail(DECAI_E_STATE, "order: no results in this state");
    if (now_ms > job.order.deadline_ms) return decai__fail(DECAI_E_STATE, "order: its deadline has passed");
    if ((r = decai__lease_by_fence(s, job.seq, fence, &lease))) return r;

    r = decai__query_run(s, &changes, DECAI__SQL_LEASE_DONE, "ii", job.seq, (int64_t)fence);
    if (r == 0 && changes != 1)
        r = decai__fail(DECAI_E_CONFLICT, "fence: %llu has delivered already", (unsigned long long)fence);
    if (r == 0)
        r = decai__query_run(s, NULL, DECAI__SQL_RESULT_ADD, "iibB", job.seq, (int64_t)fence, receipt_id,
                             (const void *)receipt, receipt_len);
    decai__order_hex(hex, receipt_id);
    snprintf(detail, sizeof detail, "{\"fence\":%llu,\"receipt_id\":\"0x%s\"}", (unsigned long long)fence, hex);
    if (r == 0) r = decai__event_add(s, now_ms, "result", job.seq, lease.provider, detail);
    return r;
}

int32_t
decai__result_submit(decai_market *m, const uint8_t id[32], uint64_t fence, const uint8_t receipt_id[32],
    const uint8_t *receipt, size_t receipt_len, const char *key)
{
    decai__effect e;
    uint8_t hash[32];
    decai__request_hash(hash, "bubB", id, fence, receipt_id, (const void *)receipt, receipt_len);
    int32_t r = decai__effect_begin(&e, m->store, key, "result", hash);
    if (r) return r < 0 ? r : 0;
    return decai__effect_end(&e, result_in_tx(m->store, id, fence, receipt_id, receipt, receipt_len, e.time_ms));
}

int32_t
decai__result_get(decai_market *m, uint8_t *out, size_t cap, size_t *len, const uint8_t id[32], uint64_t fence)
{
    decai__job job;
    decai__query q;
    size_t n = 0;
    int32_t r = decai__tx_begin_read(m->store);
    if (r) return r;
    r = decai__job_load(m->store, id, &job);
    if (r == 0 && fence <= INT64_MAX)
        r = decai__query_one(&q, m->store, DECAI__SQL_RESULT_GET, "ii", job.seq, (int64_t)fence);
    if (r == 0) r = decai__fail(DECAI_E_NOT_FOUND, "fence: %llu has no result", (unsigned long long)fence);
    if (r == 1) {
        const void *receipt = decai__query_bytes(&q, 1, &n);
        r = decai__bytes_out(out, cap, len, receipt, n);
        decai__query_done(&q);
    }
    return decai__tx_end(m->store, r);
}

/* ---- verdicts ------------------------------------------------------------------ */

static const char *
verdict_name(int32_t verdict)
{
    return verdict == DECAI_VERDICT_ACCEPTED ? "accepted" : verdict == DECAI_VERDICT_REJECTED ? "rejected" : "unknown";
}

static int32_t
verdict_in_tx(decai_store *s, const uint8_t id[32], uint64_t fence, const char *verifier, int32_t verdict,
    const uint8_t *evidence, size_t evidence_len, int64_t now_ms)
{
    decai__job job;
    decai__lease lease;
    int64_t changes = 0;
    char detail[200];
    int32_t r = decai__job_load(s, id, &job);
    if (r) return r;
    if (strcmp(verifier, job.order.verifier) != 0)
        return decai__fail(DECAI_E_DENIED, "verifier: %s is not this order's", verifier);
    if (job.state != DECAI_JOB_LEASED) return decai__fail(DECAI_E_STATE, "order: no verdicts in this state");
    if ((r = decai__lease_by_fence(s, job.seq, fence, &lease))) return r;
    if (lease.state != DECAI__LEASE_DONE) return decai__fail(DECAI_E_STATE, "lease: nothing delivered");

    r = decai__query_run(s, &changes, DECAI__SQL_LEASE_VERDICT, "iii", job.seq, (int64_t)fence, (int64_t)verdict);
    if (r == 0 && changes != 1)
        r = decai__fail(DECAI_E_CONFLICT, "verdict: %s is final", verdict_name(lease.verdict));
    if (r == 0)
        r = decai__query_run(s, NULL, DECAI__SQL_RESULT_EVIDENCE, "iiB", job.seq, (int64_t)fence,
                             (const void *)evidence, evidence_len);
    snprintf(detail, sizeof detail, "{\"fence\":%llu,\"provider\":\"%s\",\"verdict\":\"%s\"}",
             (unsigned long long)fence, lease.provider, verdict_name(verdict));
    if (r == 0) r = decai__event_add(s, now_ms, "verdict", job.seq, verifier, detail);
    return r;
}

int32_t
decai__verdict_submit(decai_market *m, const uint8_t id[32], uint64_t fence, const char *verifier,
    int32_t verdict, const uint8_t *evidence, size_t evidence_len, const char *key)
{
    decai__effect e;
    uint8_t hash[32];
    int32_t r = decai__name_check(verifier, "verifier");
    if (r) return r;
    if (verdict < DECAI_VERDICT_ACCEPTED || verdict > DECAI_VERDICT_UNKNOWN)
        return decai__fail(DECAI_E_INVALID, "verdict: %d is none of 1..3", (int)verdict);
    decai__request_hash(hash, "butuB", id, fence, verifier, (uint64_t)verdict, (const void *)evidence, evidence_len);
    r = decai__effect_begin(&e, m->store, key, "verdict", hash);
    if (r) return r < 0 ? r : 0;
    r = verdict_in_tx(m->store, id, fence, verifier, verdict, evidence, evidence_len, e.time_ms);
    return decai__effect_end(&e, r);
}
