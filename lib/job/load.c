/* load.c - rows of the store to structs, and what they say about a job's end.
 *
 * An order's columns repeat only what queries need; its truth is the request
 * text as it was signed. Loading parses it again and compares the id, so a
 * changed text is noticed wherever it matters: before money moves.
 */
#include <string.h>

#include "job/job.h"

int32_t
decai__job_load(decai_store *s, const uint8_t id[32], decai__job *out)
{
    decai__query q;
    char hex[65];
    size_t len = 0;
    decai__order_hex(hex, id);
    int32_t r = decai__query_one(&q, s, DECAI__SQL_ORDER_FIND, "b", id);
    if (r < 0) return r;
    if (r == 0) return decai__fail(DECAI_E_NOT_FOUND, "order: %.16s... is not here", hex);
    out->seq = decai__query_i64(&q, 0);
    out->state = (int32_t)decai__query_i64(&q, 1);
    out->fence = decai__query_i64(&q, 2);
    const char *text = decai__query_bytes(&q, 3, &len);
    r = decai__order_parse(decai__context_of(s), &out->order, text ? text : "", len);
    decai__query_done(&q);
    if (r == DECAI_E_NOMEM) return r;
    if (r || memcmp(out->order.id, id, 32) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "order: %.16s...: the stored request is not what was signed", hex);
    return 0;
}

static int32_t
lease_row(decai__query *q, decai__lease *out)
{
    uint8_t price[32];
    out->slot = decai__query_i64(q, 0);
    out->state = (int32_t)decai__query_i64(q, 3);
    out->fence = decai__query_i64(q, 4);
    out->expires_ms = decai__query_i64(q, 5);
    out->verdict = (int32_t)decai__query_i64(q, 6);
    int32_t r = decai__query_text(q, 1, out->provider, sizeof out->provider);
    if (r == 0) r = decai__query_fixed(q, 2, price, 32);
    if (r == 0) out->price = decai__u256_from_be(price);
    return r;
}

int32_t
decai__leases_load(decai_store *s, int64_t order_seq, decai__lease out[DECAI_REDUNDANCY_MAX], size_t *count)
{
    decai__query q;
    *count = 0;
    int32_t r = decai__query_start(&q, s, DECAI__SQL_LEASE_OF_ORDER, "i", order_seq);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        r = *count < DECAI_REDUNDANCY_MAX
                ? lease_row(&q, &out[*count])
                : decai__fail(DECAI_E_INTEGRITY, "lease: more than %d slots", DECAI_REDUNDANCY_MAX);
        if (r) break;
        ++*count;
    }
    decai__query_done(&q);
    return r;
}

int32_t
decai__lease_by_fence(decai_store *s, int64_t order_seq, uint64_t fence, decai__lease *out)
{
    decai__query q;
    if (fence == 0 || fence > INT64_MAX) return decai__fail(DECAI_E_CONFLICT, "fence: %llu was never given out",
                                                            (unsigned long long)fence);
    int32_t r = decai__query_one(&q, s, DECAI__SQL_LEASE_BY_FENCE, "ii", order_seq, (int64_t)fence);
    if (r < 0) return r;
    if (r == 0) return decai__fail(DECAI_E_CONFLICT, "fence: %llu is stale or was never given out",
                                   (unsigned long long)fence);
    r = lease_row(&q, out);
    decai__query_done(&q);
    return r;
}

int32_t
decai__event_add(decai_store *s, int64_t now_ms, const char *kind, int64_t order_seq, const char *actor,
    const char *detail)
{
    return order_seq
               ? decai__query_run(s, NULL, DECAI__SQL_EVENT_ADD, "ititt", now_ms, kind, order_seq, actor, detail)
               : decai__query_run(s, NULL, DECAI__SQL_EVENT_ADD, "itntt", now_ms, kind, actor, detail);
}

/* ---- how a job ends --------------------------------------------------------- */

/* No auction was held: every bid on the order goes back. */
static int32_t
release_plan(decai_store *s, const decai__job *job, decai__moves *m)
{
    decai__query q;
    decai_context *ctx = decai__context_of(s);
    char (*names)[DECAI_NAME_MAX + 1] = decai__alloc(ctx, DECAI_BIDS_MAX * sizeof *names);
    decai__outcome_row *rows = decai__calloc(ctx, DECAI_BIDS_MAX, sizeof *rows);
    size_t count = 0;
    int32_t r = names && rows ? decai__query_start(&q, s, DECAI__SQL_BID_OF_ORDER, "i", job->seq)
                              : decai__fail(DECAI_E_NOMEM, "settle: no memory for bids");
    if (r) goto done;
    while ((r = decai__query_step(&q)) == 1) {
        r = count < DECAI_BIDS_MAX ? decai__query_text(&q, 0, names[count], sizeof names[count])
                                   : decai__fail(DECAI_E_INTEGRITY, "bid: more than %d", DECAI_BIDS_MAX);
        if (r) break;
        rows[count] = (decai__outcome_row){.provider = names[count], .outcome = DECAI__OUTCOME_RELEASE};
        count++;
    }
    decai__query_done(&q);
    if (r == 0) r = decai__settle_plan(m, &job->order, rows, count, false);
done:
    decai__free(ctx, names);
    decai__free(ctx, rows);
    return r;
}

static int32_t
lease_plan(const decai__job *job, const decai__lease *leases, size_t count, bool cancelled, decai__moves *m)
{
    decai__outcome_row rows[DECAI_REDUNDANCY_MAX];
    bool verdict = false;
    for (size_t i = 0; i < count; i++) {
        const decai__lease *l = &leases[i];
        rows[i] = (decai__outcome_row){.provider = l->provider, .price = l->price};
        bool done = l->state == DECAI__LEASE_DONE;
        verdict = verdict || (done && l->verdict != 0);
        rows[i].outcome = cancelled ? DECAI__OUTCOME_RELEASE
                          : done && l->verdict == DECAI_VERDICT_ACCEPTED ? DECAI__OUTCOME_PAY
                          : done && l->verdict == DECAI_VERDICT_REJECTED ? DECAI__OUTCOME_SLASH
                                                                         : DECAI__OUTCOME_MISSED;
    }
    return decai__settle_plan(m, &job->order, rows, count, verdict);
}

int32_t
decai__closed_plan(decai_store *s, const decai__job *job, decai__moves *m)
{
    decai__lease leases[DECAI_REDUNDANCY_MAX];
    size_t count = 0;
    int32_t r = decai__leases_load(s, job->seq, leases, &count);
    if (r) return r;
    if (count == 0) return release_plan(s, job, m);
    return lease_plan(job, leases, count, job->state == DECAI_JOB_CANCELLED, m);
}

/* May this job be settled now? Every result needs a final verdict; a lease
 * without a result can only be given up after the deadline. */
static int32_t
may_settle(const decai__job *job, const decai__lease *leases, size_t count, int64_t now_ms, int32_t *state)
{
    bool late = now_ms > job->order.deadline_ms;
    *state = DECAI_JOB_EXPIRED;
    if (job->state == DECAI_JOB_OPEN)
        return late ? 0 : decai__fail(DECAI_E_STATE, "order: still open for bids");
    for (size_t i = 0; i < count; i++) {
        const decai__lease *l = &leases[i];
        if (l->state == DECAI__LEASE_DONE) {
            *state = DECAI_JOB_SETTLED;
            if (l->verdict == 0 || l->verdict == DECAI_VERDICT_UNKNOWN)
                return decai__fail(DECAI_E_STATE, "verdict: of %s is %s; unknown is never closed", l->provider,
                                   l->verdict ? "unknown" : "not there yet");
        } else if (!late) {
            return decai__fail(DECAI_E_STATE, "lease: %s has not delivered and the deadline has not passed",
                               l->provider);
        }
    }
    return 0;
}

int32_t
decai__close_plan(decai_store *s, const decai__job *job, int64_t now_ms, bool cancel, decai__moves *m,
    int32_t *state)
{
    decai__lease leases[DECAI_REDUNDANCY_MAX];
    size_t count = 0;
    int32_t r = decai__leases_load(s, job->seq, leases, &count);
    if (r) return r;
    if (cancel) {
        *state = DECAI_JOB_CANCELLED;
        if (job->fence) return decai__fail(DECAI_E_STATE, "order: a lease was taken; it can only be settled");
    } else if ((r = may_settle(job, leases, count, now_ms, state))) {
        return r;
    }
    return count ? lease_plan(job, leases, count, cancel, m) : release_plan(s, job, m);
}
