/* audit.c - everything recomputed from the postings, nothing believed.
 *
 *   1. each transaction has lines 0, 1, 2, ..., one asset, and sums to zero
 *   2. each account's cached balance is the sum of its postings; only
 *      ext:deposit is below zero; each asset as a whole is zero
 *   3. each order's request still has its id; an open order's escrow account
 *      holds exactly its escrow, a closed one nothing
 *   4. lock:P and bid:P hold exactly what P's held bids say
 *   5. a closed order has one closing transaction, of the kind its state says,
 *      and its postings are line by line what plan.c makes of the verdicts and
 *      the split today; an open order has none
 *
 * One pass over the postings, one over the orders, in one read snapshot. The
 * first violation ends the audit and is named.
 */
#include <string.h>

#include "codec/codec.h"
#include "job/job.h"

typedef struct audited {
    int64_t id;
    char name[DECAI__ACCOUNT_MAX], asset[DECAI_NAME_MAX + 1];
    decai__signed cached, sum;                   /* the row's; the postings' */
    decai__u256 owed;                            /* what the jobs say: escrow, lock, bid */
} audited;

typedef struct audit {
    decai_store *store;
    decai_context *ctx;
    audited *accounts;                           /* ascending id */
    size_t count, cap;
    int64_t txns, postings, orders, open;
} audit;

/* ---- accounts ----------------------------------------------------------------- */

static int32_t
account_row(audit *a, const decai__query *q)
{
    uint8_t be[32];
    if (a->count == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 64;
        audited *p = decai__realloc(a->ctx, a->accounts, a->cap * sizeof *p, cap * sizeof *p);
        if (!p) return decai__fail(DECAI_E_NOMEM, "audit: no memory for accounts");
        a->accounts = p;
        a->cap = cap;
    }
    audited *v = &a->accounts[a->count];
    *v = (audited){.id = decai__query_i64(q, 0)};
    int32_t r = decai__query_text(q, 1, v->name, sizeof v->name);
    if (r == 0) r = decai__query_text(q, 2, v->asset, sizeof v->asset);
    if (r == 0) r = decai__query_fixed(q, 4, be, 32);
    if (r) return r;
    v->cached.negative = decai__query_i64(q, 3) != 0;
    v->cached.magnitude = decai__u256_from_be(be);
    a->count++;
    return 0;
}

static int32_t
load_accounts(audit *a)
{
    decai__query q;
    int32_t r = decai__query_start(&q, a->store, DECAI__SQL_ACCOUNT_BY_ID, "");
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1)
        if ((r = account_row(a, &q))) break;
    decai__query_done(&q);
    return r;
}

static audited *
by_id(const audit *a, int64_t id)
{
    size_t low = 0, high = a->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (a->accounts[mid].id < id) low = mid + 1;
        else high = mid;
    }
    return low < a->count && a->accounts[low].id == id ? &a->accounts[low] : NULL;
}

/* NULL in *out: no such account. */
static int32_t
by_name(const audit *a, const char *prefix, const char *name, const char *asset, audited **out)
{
    decai__query q;
    char full[DECAI__ACCOUNT_MAX];
    size_t p = strlen(prefix), n = strlen(name);
    decai__assert(p + n < sizeof full);
    memcpy(full, prefix, p);
    memcpy(full + p, name, n + 1);
    *out = NULL;
    int32_t r = decai__query_one(&q, a->store, DECAI__SQL_ACCOUNT_FIND, "tt", full, asset);
    if (r != 1) return r;
    *out = by_id(a, decai__query_i64(&q, 0));
    decai__query_done(&q);
    return *out ? 0 : decai__fail(DECAI_E_INTEGRITY, "account %s: not in its own table", full);
}

/* ---- postings ------------------------------------------------------------------- */

typedef struct running {
    int64_t txn, lines;
    decai__signed sum;
    const audited *first;                        /* its asset is the transaction's */
} running;

static int32_t
end_txn(const running *t)
{
    if (t->txn == 0) return 0;
    if (t->lines < 2)
        return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: %lld postings", (long long)t->txn, (long long)t->lines);
    if (!decai__u256_is_zero(&t->sum.magnitude))
        return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: does not sum to zero in %s", (long long)t->txn,
                           t->first->asset);
    return 0;
}

static int32_t
posting_row(audit *a, running *t, const decai__query *q)
{
    uint8_t be[32];
    int64_t txn = decai__query_i64(q, 0);
    int32_t r = 0;
    if (txn != t->txn) {
        if ((r = end_txn(t))) return r;
        *t = (running){.txn = txn};
        a->txns++;
    }
    if (decai__query_null(q, 1)) return 0;       /* no postings: end_txn complains */
    audited *v = by_id(a, decai__query_i64(q, 2));
    if (!v || decai__query_i64(q, 1) != t->lines)
        return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: line %lld is missing", (long long)txn, (long long)t->lines);
    if (!t->first) t->first = v;
    if (strcmp(v->asset, t->first->asset) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: mixes %s and %s", (long long)txn, t->first->asset, v->asset);
    if ((r = decai__query_fixed(q, 4, be, 32))) return r;
    decai__u256 amount = decai__u256_from_be(be);
    bool credit = decai__query_i64(q, 3) != 0;
    bool fits = credit ? decai__signed_add(&v->sum, &amount) && decai__signed_add(&t->sum, &amount)
                       : decai__signed_sub(&v->sum, &amount) && decai__signed_sub(&t->sum, &amount);
    if (!fits) return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: passes 2^256-1", (long long)txn);
    t->lines++;
    a->postings++;
    return 0;
}

static int32_t
sum_postings(audit *a)
{
    decai__query q;
    running t = {0};
    int32_t r = decai__query_start(&q, a->store, DECAI__SQL_POSTING_LIST, "");
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1)
        if ((r = posting_row(a, &t, &q))) break;
    decai__query_done(&q);
    return r ? r : end_txn(&t);
}

static int32_t
check_balances(const audit *a)
{
    for (size_t i = 0; i < a->count; i++) {
        const audited *v = &a->accounts[i];
        bool same = decai__u256_cmp(&v->sum.magnitude, &v->cached.magnitude) == 0 &&
                    (v->sum.negative == v->cached.negative || decai__u256_is_zero(&v->sum.magnitude));
        if (!same) {
            char sum[DECAI__U256_TEXT_MAX + 2], cached[DECAI__U256_TEXT_MAX + 2];
            decai__signed_format(sum, &v->sum);
            decai__signed_format(cached, &v->cached);
            return decai__fail(DECAI_E_INTEGRITY, "account %s: balance %s %s, its postings say %s", v->name, cached,
                               v->asset, sum);
        }
        if (v->sum.negative && strcmp(v->name, "ext:deposit") != 0)
            return decai__fail(DECAI_E_INTEGRITY, "account %s: below zero in %s", v->name, v->asset);
    }
    return 0;
}

/* ---- jobs ------------------------------------------------------------------------- */

static int32_t
owe(audit *a, const char *prefix, const char *name, const char *asset, const decai__u256 *amount)
{
    audited *v;
    if (decai__u256_is_zero(amount)) return 0;
    int32_t r = by_name(a, prefix, name, asset, &v);
    if (r) return r;
    if (!v || !decai__u256_add(&v->owed, &v->owed, amount))
        return decai__fail(DECAI_E_INTEGRITY, "account %s%.64s: missing, though a job needs it", prefix, name);
    return 0;
}

static int32_t
owe_bids(audit *a, const decai__job *job)
{
    decai__query q;
    char provider[DECAI_NAME_MAX + 1];
    int32_t r = decai__query_start(&q, a->store, DECAI__SQL_BID_OF_ORDER, "i", job->seq);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        if (!decai__query_i64(&q, 3)) continue;
        r = decai__query_text(&q, 0, provider, sizeof provider);
        if (r == 0) r = owe(a, "lock:", provider, job->order.asset, &job->order.stake);
        if (r == 0) r = owe(a, "bid:", provider, job->order.asset, &job->order.bid_deposit);
        if (r) break;
    }
    decai__query_done(&q);
    return r;
}

static bool
line_equals(const decai__query *q, const decai__move *v, bool credit)
{
    char name[DECAI__ACCOUNT_MAX];
    uint8_t be[32], want[32];
    decai__u256_to_be(want, &v->amount);
    return decai__query_text(q, 3, name, sizeof name) == 0 && decai__query_fixed(q, 2, be, 32) == 0 &&
           strcmp(name, credit ? v->to : v->from) == 0 && (decai__query_i64(q, 1) != 0) == credit &&
           memcmp(be, want, 32) == 0;
}

/* The closing transaction against the plan, line by line. */
static int32_t
compare_plan(audit *a, int64_t txn, const decai__moves *m)
{
    decai__query q;
    size_t line = 0;
    int32_t r = decai__query_start(&q, a->store, DECAI__SQL_POSTING_OF_TXN, "i", txn);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        if (line / 2 >= m->count || !line_equals(&q, &m->list[line / 2], line % 2)) break;
        line++;
    }
    decai__query_done(&q);
    if (r < 0) return r;
    if (r == 1 || line != 2 * m->count)
        return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: line %zu is not what verdicts and split demand",
                           (long long)txn, line);
    return 0;
}

static int32_t
check_closed(audit *a, const decai__job *job, int64_t txn, const char *kind)
{
    decai__moves m;
    const char *want = job->state == DECAI_JOB_SETTLED ? "settle"
                       : job->state == DECAI_JOB_CANCELLED ? "cancel" : "expire";
    if (strcmp(kind, want) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "transaction %lld: a %s, but the order's state is %d", (long long)txn, kind,
                           (int)job->state);
    decai__moves_init(&m, a->ctx);
    int32_t r = decai__closed_plan(a->store, job, &m);
    if (r == 0) r = compare_plan(a, txn, &m);
    decai__moves_free(&m);
    return r;
}

static int32_t
check_order(audit *a, const uint8_t id[32])
{
    decai__job job;
    decai__query q;
    char hex[65], kind[16] = "";
    int64_t txn = 0;
    decai__order_hex(hex, id);
    int32_t r = decai__job_load(a->store, id, &job);
    if (r) return r;
    bool open = job.state <= DECAI_JOB_LEASED;
    a->orders++;
    a->open += open;

    r = decai__query_one(&q, a->store, DECAI__SQL_TXN_CLOSE_FIND, "i", job.seq);
    if (r < 0) return r;
    if (r == 1) {
        txn = decai__query_i64(&q, 0);
        r = decai__query_text(&q, 1, kind, sizeof kind);
        decai__query_done(&q);
        if (r) return r;
    }
    if (open == (txn != 0))
        return decai__fail(DECAI_E_INTEGRITY, "order %.16s: state %d %s a closing transaction", hex, (int)job.state,
                           txn ? "with" : "without");
    if (open) r = owe(a, "escrow:", hex, job.order.asset, &job.order.escrow);
    else r = check_closed(a, &job, txn, kind);
    return r ? r : owe_bids(a, &job);
}

static int32_t
check_orders(audit *a)
{
    decai__query q;
    uint8_t id[32];
    int32_t r = decai__query_start(&q, a->store, DECAI__SQL_ORDER_LIST, "n");
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        r = decai__query_fixed(&q, 1, id, 32);
        if (r == 0) r = check_order(a, id);
        if (r) break;
    }
    decai__query_done(&q);
    return r;
}

/* What locks, deposits and escrows hold is what jobs say they hold. */
static int32_t
check_owed(const audit *a)
{
    for (size_t i = 0; i < a->count; i++) {
        const audited *v = &a->accounts[i];
        bool job = strncmp(v->name, "escrow:", 7) == 0 || strncmp(v->name, "lock:", 5) == 0 ||
                   strncmp(v->name, "bid:", 4) == 0;
        if (job && decai__u256_cmp(&v->owed, &v->sum.magnitude) != 0) {
            char has[DECAI__U256_TEXT_MAX + 1], owed[DECAI__U256_TEXT_MAX + 1];
            decai__u256_format(has, &v->sum.magnitude);
            decai__u256_format(owed, &v->owed);
            return decai__fail(DECAI_E_INTEGRITY, "account %.72s: holds %s, its jobs say %s", v->name, has, owed);
        }
    }
    return 0;
}

/* ---- report ------------------------------------------------------------------------- */

static void
put_signed(decai__json_writer *w, const char *key, const decai__signed *v)
{
    char text[DECAI__U256_TEXT_MAX + 2];
    decai__signed_format(text, v);
    decai__json_put_str(w, key, text);
}

/* Held is what came in and neither went out nor burned; also the sum of all
 * inside accounts, which is checked. */
static int32_t
asset_totals(const audit *a, decai__json_writer *w, const char *asset)
{
    decai__signed in = {0}, paid = {0}, burn = {0}, held = {0}, all = {0};
    for (size_t i = 0; i < a->count; i++) {
        const audited *v = &a->accounts[i];
        if (strcmp(v->asset, asset) != 0) continue;
        bool fits = v->sum.negative ? decai__signed_sub(&all, &v->sum.magnitude)
                                    : decai__signed_add(&all, &v->sum.magnitude);
        if (strcmp(v->name, "ext:deposit") == 0) in = v->sum;
        else if (strcmp(v->name, "ext:paid") == 0) paid = v->sum;
        else if (strcmp(v->name, "ext:burn") == 0) burn = v->sum;
        else fits = fits && decai__signed_add(&held, &v->sum.magnitude);
        if (!fits) return decai__fail(DECAI_E_INTEGRITY, "asset %s: passes 2^256-1", asset);
    }
    if (!decai__u256_is_zero(&all.magnitude))
        return decai__fail(DECAI_E_INTEGRITY, "asset %s: does not sum to zero", asset);
    in.negative = false;
    decai__json_put_object(w, NULL);
    decai__json_put_str(w, "asset", asset);
    put_signed(w, "deposited", &in);
    put_signed(w, "paid", &paid);
    put_signed(w, "burned", &burn);
    put_signed(w, "held", &held);
    decai__json_put_end(w);
    return 0;
}

static int32_t
report(const audit *a, decai__buf *out)
{
    decai__json_writer w;
    int32_t r = 0;
    decai__json_writer_init(&w, out, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_bool(&w, "conserved", true);
    decai__json_put_i64(&w, "accounts", (int64_t)a->count);
    decai__json_put_i64(&w, "transactions", a->txns);
    decai__json_put_i64(&w, "postings", a->postings);
    decai__json_put_i64(&w, "orders", a->orders);
    decai__json_put_i64(&w, "orders_open", a->open);
    decai__json_put_array(&w, "assets");
    for (size_t i = 0; i < a->count && r == 0; i++)
        if (strcmp(a->accounts[i].name, "ext:deposit") == 0) r = asset_totals(a, &w, a->accounts[i].asset);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return r ? r : decai__json_writer_end(&w);
}

int32_t
decai__ledger_audit(decai_market *m, decai__buf *out)
{
    audit a = {.store = m->store, .ctx = decai__context_of(m)};
    int32_t r = decai__tx_begin_read(m->store);
    if (r) return r;
    r = load_accounts(&a);
    if (r == 0) r = sum_postings(&a);
    if (r == 0) r = check_balances(&a);
    if (r == 0) r = check_orders(&a);
    if (r == 0) r = check_owed(&a);
    if (r == 0) r = report(&a, out);
    r = decai__tx_end(m->store, r);
    decai__free(a.ctx, a.accounts);
    return r;
}
