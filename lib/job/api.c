/* api.c - the door of room job. Each function checks its arguments, enters the
 * market and its store (both are one thread at a time), and calls inside.
 */
#include <string.h>

#include "job/job.h"

#define TEXT_MAX (64u << 20)                     /* bytes of a report */

static void
market_destroy(void *self)
{
    decai_market *m = self;
    decai__destroy(m->store);
}

static int32_t
enter(decai_market *m)
{
    int32_t r = decai__enter(m, DECAI__MARKET);
    if (r) return r;
    r = decai__enter(m->store, DECAI__STORE);
    if (r) decai__leave(m);
    return r;
}

static int32_t
leave(decai_market *m, int32_t r)
{
    decai__leave(m->store);
    decai__leave(m);
    return r;
}

static int32_t
check_bytes(const char *name, const void *data, size_t len, size_t want)
{
    if (!data) return decai__fail(DECAI_E_INVALID, "%s: NULL", name);
    if (len != want) return decai__fail(DECAI_E_INVALID, "%s: %zu bytes, not %zu", name, len, want);
    return 0;
}

static int32_t
check_buffer(const char *name, const void *data, size_t len, size_t max)
{
    if (!data && len) return decai__fail(DECAI_E_INVALID, "%s: NULL with a length of %zu", name, len);
    if (len > max) return decai__fail(DECAI_E_LIMIT, "%s: %zu bytes, at most %zu", name, len, max);
    return 0;
}

static int32_t
check_out(const void *out, size_t cap, const size_t *len)
{
    if (!len) return decai__fail(DECAI_E_INVALID, "len: NULL");
    if (!out && cap) return decai__fail(DECAI_E_INVALID, "out: NULL with a cap of %zu", cap);
    return 0;
}

/* Hand a finished text to the caller, and free it. */
static int32_t
text_out(decai__buf *b, int32_t r, char *out, size_t cap, size_t *len)
{
    if (r == 0) r = b->error;
    if (r == 0) r = decai__bytes_out((uint8_t *)out, cap, len, b->data, b->len);
    decai__buf_free(b);
    return r;
}

int32_t
decai_market_open(decai_market **out, decai_store *store, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(store, DECAI__STORE);
    if (r == 0) r = decai__opts_check(options, "job");
    if (r) return r;
    decai_market *m = decai__handle_create(decai__context_of(store), DECAI__MARKET, sizeof *m, market_destroy);
    if (!m) return decai__fail(DECAI_E_NOMEM, "market: no memory for the handle");
    r = decai__retain(store);
    if (r == 0) {
        m->store = store;
        m->lease_ms = decai__opt_i64(options, "job.lease_ms");
        *out = m;
    } else {
        decai__destroy(m);
    }
    return r;
}

/* ---- money -------------------------------------------------------------------- */

int32_t
decai_deposit_submit(decai_market *market, const char *account, const char *asset, const char *amount,
    const char *key)
{
    int32_t r = enter(market);
    return r ? r : leave(market, decai__deposit(market, account, asset, amount, key));
}

int32_t
decai_withdrawal_submit(decai_market *market, const char *account, const char *asset, const char *amount,
    const char *key)
{
    int32_t r = enter(market);
    return r ? r : leave(market, decai__withdrawal(market, account, asset, amount, key));
}

int32_t
decai_stake_add(decai_market *market, const char *account, const char *asset, const char *amount, const char *key)
{
    int32_t r = enter(market);
    return r ? r : leave(market, decai__stake(market, true, account, asset, amount, key));
}

int32_t
decai_stake_remove(decai_market *market, const char *account, const char *asset, const char *amount,
    const char *key)
{
    int32_t r = enter(market);
    return r ? r : leave(market, decai__stake(market, false, account, asset, amount, key));
}

/* ---- orders and bids ---------------------------------------------------------- */

int32_t
decai_order_hash(decai_context *context, uint8_t *out, size_t out_len, const char *request, size_t request_len)
{
    decai__order o;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r == 0) r = check_bytes("out", out, out_len, 32);
    if (r) return r;
    memset(out, 0, 32);
    r = check_buffer("request", request, request_len, DECAI_ORDER_TEXT_MAX);
    if (r == 0) r = decai__order_parse(context, &o, request ? request : "", request_len);
    if (r == 0) memcpy(out, o.id, 32);
    return r;
}

int32_t
decai_order_submit(decai_market *market, uint8_t *out, size_t out_len, const char *request, size_t request_len,
    const char *signer, const uint8_t *signature, size_t signature_len, const char *key)
{
    int32_t r = check_bytes("out", out, out_len, 32);
    if (r) return r;
    memset(out, 0, 32);
    r = check_buffer("request", request, request_len, DECAI_ORDER_TEXT_MAX);
    if (r == 0) r = check_buffer("signature", signature, signature_len, DECAI_SIGNATURE_MAX);
    if (r == 0) r = enter(market);
    if (r) return r;
    r = decai__order_submit(market, out, request ? request : "", request_len, signer, signature, signature_len, key);
    return leave(market, r);
}

int32_t
decai_order_get(decai_market *market, char *out, size_t cap, size_t *len, const uint8_t *order, size_t order_len)
{
    int32_t r = check_out(out, cap, len);
    if (r) return r;
    *len = 0;
    r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__order_text(market, out, cap, len, order));
}

int32_t
decai_bid_submit(decai_market *market, int64_t *sequence, const char *request, size_t request_len,
    const char *key)
{
    if (!sequence) return decai__fail(DECAI_E_INVALID, "sequence: NULL");
    *sequence = 0;
    int32_t r = check_buffer("request", request, request_len, DECAI_ORDER_TEXT_MAX);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__bid_submit(market, sequence, request ? request : "", request_len, key));
}

int32_t
decai_auction_settle(decai_market *market, int64_t *winners, const uint8_t *order, size_t order_len)
{
    if (!winners) return decai__fail(DECAI_E_INVALID, "winners: NULL");
    *winners = 0;
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__auction_settle(market, winners, order));
}

/* ---- leases, results, verdicts ------------------------------------------------- */

int32_t
decai_lease_take(decai_market *market, uint64_t *fence, int64_t *expires_ms, const uint8_t *order,
    size_t order_len, const char *provider, const char *key)
{
    if (!fence || !expires_ms) return decai__fail(DECAI_E_INVALID, "%s: NULL", fence ? "expires_ms" : "fence");
    *fence = 0;
    *expires_ms = 0;
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__lease_take(market, fence, expires_ms, order, provider, key));
}

int32_t
decai_heartbeat_submit(decai_market *market, int64_t *expires_ms, const uint8_t *order, size_t order_len,
    uint64_t fence)
{
    if (!expires_ms) return decai__fail(DECAI_E_INVALID, "expires_ms: NULL");
    *expires_ms = 0;
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__heartbeat(market, expires_ms, order, fence));
}

int32_t
decai_result_submit(decai_market *market, const uint8_t *order, size_t order_len, uint64_t fence,
    const uint8_t *receipt_id, size_t receipt_id_len, const uint8_t *receipt, size_t receipt_len, const char *key)
{
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = check_bytes("receipt_id", receipt_id, receipt_id_len, 32);
    if (r == 0) r = check_buffer("receipt", receipt, receipt_len, DECAI_RECEIPT_MAX);
    if (r == 0 && receipt_len == 0) r = decai__fail(DECAI_E_INVALID, "receipt: empty");
    if (r == 0) r = enter(market);
    if (r) return r;
    return leave(market, decai__result_submit(market, order, fence, receipt_id, receipt, receipt_len, key));
}

int32_t
decai_result_get(decai_market *market, uint8_t *out, size_t cap, size_t *len, const uint8_t *order,
    size_t order_len, uint64_t fence)
{
    int32_t r = check_out(out, cap, len);
    if (r) return r;
    *len = 0;
    r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__result_get(market, out, cap, len, order, fence));
}

int32_t
decai_verdict_submit(decai_market *market, const uint8_t *order, size_t order_len, uint64_t fence,
    const char *verifier, int32_t verdict, const uint8_t *evidence, size_t evidence_len, const char *key)
{
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = check_buffer("evidence", evidence, evidence_len, DECAI_EVIDENCE_MAX);
    if (r == 0) r = enter(market);
    if (r) return r;
    r = decai__verdict_submit(market, order, fence, verifier, verdict, evidence, evidence_len, key);
    return leave(market, r);
}

/* ---- settlement ------------------------------------------------------------------ */

int32_t
decai_job_settle(decai_market *market, int32_t *state, const uint8_t *order, size_t order_len)
{
    if (!state) return decai__fail(DECAI_E_INVALID, "state: NULL");
    *state = 0;
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__job_settle(market, state, order));
}

int32_t
decai_job_cancel(decai_market *market, const uint8_t *order, size_t order_len, const char *requester)
{
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__job_cancel(market, order, requester));
}

int32_t
decai_job_get(decai_market *market, int32_t *state, const uint8_t *order, size_t order_len)
{
    if (!state) return decai__fail(DECAI_E_INVALID, "state: NULL");
    *state = 0;
    int32_t r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    return r ? r : leave(market, decai__job_state(market, state, order));
}

int32_t
decai_market_run(decai_market *market, int64_t *closed)
{
    if (!closed) return decai__fail(DECAI_E_INVALID, "closed: NULL");
    *closed = 0;
    int32_t r = enter(market);
    return r ? r : leave(market, decai__market_run(market, closed));
}

/* ---- ledger and reports ---------------------------------------------------------- */

/* "name", or one of the market's own accounts: "prefix:name". */
static int32_t
check_account(const char *account)
{
    if (!account) return decai__fail(DECAI_E_INVALID, "account: NULL");
    const char *colon = strchr(account, ':');
    return decai__name_check(colon ? colon + 1 : account, "account");
}

static int32_t
ledger_get(decai_market *m, char *out, size_t cap, size_t *len, const char *account, const char *asset)
{
    decai__signed balance;
    char text[DECAI__U256_TEXT_MAX + 2];
    int32_t r = decai__tx_begin_read(m->store);
    if (r) return r;
    r = decai__tx_end(m->store, decai__ledger_balance(m->store, account, asset, &balance));
    return r ? r : decai__bytes_out((uint8_t *)out, cap, len, text, decai__signed_format(text, &balance));
}

int32_t
decai_ledger_get(decai_market *market, char *out, size_t cap, size_t *len, const char *account,
    const char *asset)
{
    int32_t r = check_out(out, cap, len);
    if (r) return r;
    *len = 0;
    r = check_account(account);
    if (r == 0) r = decai__name_check(asset, "asset");
    if (r == 0) r = enter(market);
    return r ? r : leave(market, ledger_get(market, out, cap, len, account, asset));
}

int32_t
decai_ledger_audit(decai_market *market, char *out, size_t cap, size_t *len)
{
    decai__buf b;
    int32_t r = check_out(out, cap, len);
    if (r) return r;
    *len = 0;
    if ((r = enter(market))) return r;
    decai__buf_init(&b, decai__context_of(market), TEXT_MAX, "audit report");
    return leave(market, text_out(&b, decai__ledger_audit(market, &b), out, cap, len));
}

int32_t
decai_market_format(decai_market *market, char *out, size_t cap, size_t *len, const char *query,
    const uint8_t *order, size_t order_len)
{
    decai__buf b;
    int32_t r = check_out(out, cap, len);
    if (r) return r;
    *len = 0;
    if (!query) return decai__fail(DECAI_E_INVALID, "query: NULL");
    if (order || order_len) r = check_bytes("order", order, order_len, 32);
    if (r == 0) r = enter(market);
    if (r) return r;
    decai__buf_init(&b, decai__context_of(market), TEXT_MAX, "report");
    return leave(market, text_out(&b, decai__market_format(market, &b, query, order), out, cap, len));
}
