/* settle.c - closing a job. One transaction holds the new state, every money
 * move and the event; a unique index on the closing transaction makes a second
 * payment impossible even for a mistake in this file.
 *
 * Verdicts and splits come in as data, from the rows that decai_verdict_submit
 * wrote and from the signed order; nothing here asks whether a receipt is good.
 */
#include <stdio.h>
#include <string.h>

#include "job/job.h"

#define RUN_MAX 1000                             /* LIMIT of ORDER_DUE */

static const char *
closing_kind(int32_t state)
{
    return state == DECAI_JOB_SETTLED ? "settle" : state == DECAI_JOB_CANCELLED ? "cancel" : "expire";
}

static int32_t
close_job(decai_store *s, const decai__job *job, int64_t now_ms, bool cancel, int32_t *state)
{
    decai__moves m;
    int64_t changes = 0;
    char detail[48];
    decai__moves_init(&m, decai__context_of(s));
    int32_t r = decai__close_plan(s, job, now_ms, cancel, &m, state);
    if (r == 0)
        r = decai__query_run(s, &changes, DECAI__SQL_ORDER_STATE, "iiii", job->seq, (int64_t)job->state,
                             (int64_t)*state, now_ms);
    if (r == 0 && changes != 1) r = decai__fail(DECAI_E_CONFLICT, "order: its state changed meanwhile");
    if (r == 0) r = decai__query_run(s, NULL, DECAI__SQL_BID_RELEASE, "i", job->seq);
    if (r == 0) r = decai__ledger_post(s, closing_kind(*state), job->seq, job->order.asset, &m, now_ms);
    snprintf(detail, sizeof detail, "{\"moves\":%zu}", m.count);
    if (r == 0) r = decai__event_add(s, now_ms, closing_kind(*state), job->seq, job->order.requester, detail);
    decai__moves_free(&m);
    return r;
}

static int32_t
settle_in_tx(decai_store *s, const uint8_t id[32], int64_t now_ms, int32_t *state)
{
    decai__job job;
    int32_t r = decai__job_load(s, id, &job);
    if (r) return r;
    if (job.state > DECAI_JOB_LEASED) {          /* closed: say how, change nothing */
        *state = job.state;
        return 0;
    }
    return close_job(s, &job, now_ms, false, state);
}

int32_t
decai__job_settle(decai_market *m, int32_t *state, const uint8_t id[32])
{
    int32_t got = 0, r = decai__tx_begin(m->store);
    if (r) return r;
    r = settle_in_tx(m->store, id, decai__store_now(m->store), &got);
    r = decai__tx_end(m->store, r);
    if (r == 0) *state = got;
    return r;
}

static int32_t
cancel_in_tx(decai_store *s, const uint8_t id[32], const char *requester, int64_t now_ms)
{
    decai__job job;
    int32_t state, r = decai__job_load(s, id, &job);
    if (r) return r;
    if (strcmp(requester, job.order.requester) != 0)
        return decai__fail(DECAI_E_DENIED, "requester: %s did not order this", requester);
    if (job.state == DECAI_JOB_CANCELLED) return 0;
    if (job.state > DECAI_JOB_LEASED) return decai__fail(DECAI_E_STATE, "order: settled or expired");
    return close_job(s, &job, now_ms, true, &state);
}

int32_t
decai__job_cancel(decai_market *m, const uint8_t id[32], const char *requester)
{
    int32_t r = decai__name_check(requester, "requester");
    if (r == 0) r = decai__tx_begin(m->store);
    if (r) return r;
    r = cancel_in_tx(m->store, id, requester, decai__store_now(m->store));
    return decai__tx_end(m->store, r);
}

/* ---- overdue jobs ------------------------------------------------------------- */

static int32_t
find_due(decai_store *s, int64_t now_ms, uint8_t (*ids)[32], size_t *count)
{
    decai__query q;
    *count = 0;
    int32_t r = decai__tx_begin_read(s);
    if (r) return r;
    r = decai__query_start(&q, s, DECAI__SQL_ORDER_DUE, "i", now_ms);
    if (r) return decai__tx_end(s, r);
    while ((r = decai__query_step(&q)) == 1 && *count < RUN_MAX) {
        if ((r = decai__query_fixed(&q, 0, ids[*count], 32))) break;
        ++*count;
    }
    decai__query_done(&q);
    return decai__tx_end(s, r < 0 ? r : 0);
}

/* One transaction a job: a sweep must not hold the writer's place for long, and
 * what it has closed stays closed if a later one fails. */
int32_t
decai__market_run(decai_market *m, int64_t *closed)
{
    decai_context *ctx = decai__context_of(m);
    uint8_t (*ids)[32] = decai__alloc(ctx, RUN_MAX * sizeof *ids);
    size_t count = 0;
    if (!ids) return decai__fail(DECAI_E_NOMEM, "market: no memory for overdue orders");
    int32_t r = find_due(m->store, decai__store_now(m->store), ids, &count);
    int64_t done = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        int32_t state;
        r = decai__job_settle(m, &state, ids[i]);
        /* Another process may have moved it, or the clock gone back. */
        if (r == DECAI_E_STATE || r == DECAI_E_CONFLICT) r = 0;
        else if (r == 0) done++;
    }
    decai__free(ctx, ids);
    if (r == 0) *closed = done;
    return r;
}
