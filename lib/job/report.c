/* report.c - what happened, as JSON arrays for people and pages.
 *
 * One table drives it: a query name, its statement, and one letter a column:
 *
 *     i  integer            t  text              a  amount, 32 bytes -> "123"
 *     h  hash -> "0x.."     j  JSON as stored    x  bytes -> "0x..", or null
 *     n  optional integer -> null
 *
 * Texts here are names and kinds of a safe alphabet, or JSON that our own
 * strict parser accepted; both go in as they are. A signature and evidence are
 * foreign bytes, and leave as hex.
 */
#include <string.h>

#include "codec/codec.h"
#include "job/job.h"

typedef struct report_query {
    const char *name;
    int32_t statement;
    const char *kinds;
    bool filtered;                               /* has ?1, an order or NULL */
    const char *keys[10];
} report_query;

static const report_query queries[] = {
    {"timeline", DECAI__SQL_EVENT_LIST, "iithtj", true, {"seq", "time_ms", "kind", "order", "actor", "detail"}},
    {"orders", DECAI__SQL_ORDER_LIST, "ihiinjtx", true,
        {"seq", "order", "state", "created_ms", "closed_ms", "request", "signer", "signature"}},
    {"bids", DECAI__SQL_BID_LIST, "hitaii", true, {"order", "sequence", "provider", "price", "won", "held"}},
    {"leases", DECAI__SQL_LEASE_LIST, "hitaiiiihx", true,
        {"order", "slot", "provider", "price", "state", "fence", "expires_ms", "verdict", "receipt_id", "evidence"}},
    {"balances", DECAI__SQL_ACCOUNT_LIST, "ittia", false, {"id", "account", "asset", "negative", "balance"}},
};

static int32_t
put_column(decai__buf *b, const decai__query *q, int32_t column, char kind)
{
    size_t len = 0;
    uint8_t be[32];
    char text[DECAI__U256_TEXT_MAX + 1];
    if (kind == 'i') return decai__buf_printf(b, "%lld", (long long)decai__query_i64(q, column));
    if (decai__query_null(q, column)) return decai__buf_add_str(b, "null");
    if (kind == 'n') return decai__buf_printf(b, "%lld", (long long)decai__query_i64(q, column));
    if (kind == 'a') {
        int32_t r = decai__query_fixed(q, column, be, 32);
        if (r) return r;
        decai__u256 v = decai__u256_from_be(be);
        decai__u256_format(text, &v);
        return decai__buf_printf(b, "\"%s\"", text);
    }
    const uint8_t *p = decai__query_bytes(q, column, &len);
    if (kind == 'j') return decai__buf_add(b, p, len);
    decai__buf_add_str(b, kind == 't' ? "\"" : "\"0x");
    if (kind == 't') decai__buf_add(b, p, len);
    for (size_t i = 0; kind != 't' && i < len; i++) {
        decai__hex_encode(text, p + i, 1);
        decai__buf_add(b, text, 2);
    }
    return decai__buf_add_str(b, "\"");
}

static int32_t
put_row(decai__buf *b, const decai__query *q, const report_query *d, bool first)
{
    int32_t r = decai__buf_add_str(b, first ? "{" : ",\n{");
    for (int32_t c = 0; d->kinds[c] && r == 0; c++) {
        decai__buf_printf(b, "%s\"%s\":", c ? "," : "", d->keys[c]);
        r = put_column(b, q, c, d->kinds[c]);
    }
    return r ? r : decai__buf_add_str(b, "}");
}

static int32_t
start(decai__query *q, decai_store *s, int32_t statement, bool filtered, int64_t order_seq)
{
    if (!filtered) return decai__query_start(q, s, statement, "");
    return order_seq ? decai__query_start(q, s, statement, "i", order_seq) : decai__query_start(q, s, statement, "n");
}

static int32_t
format_table(decai_store *s, decai__buf *b, const report_query *d, int64_t order_seq)
{
    decai__query q;
    bool first = true;
    int32_t r = start(&q, s, d->statement, d->filtered, order_seq);
    if (r) return r;
    decai__buf_add_str(b, "[");
    while ((r = decai__query_step(&q)) == 1) {
        if ((r = put_row(b, &q, d, first))) break;
        first = false;
    }
    decai__query_done(&q);
    return r ? r : decai__buf_add_str(b, "]");
}

/* Transactions with their postings inside. */
static int32_t
format_money(decai_store *s, decai__buf *b, int64_t order_seq)
{
    decai__query q;
    int64_t last = 0;
    int32_t r = start(&q, s, DECAI__SQL_MONEY_LIST, true, order_seq);
    if (r) return r;
    decai__buf_add_str(b, "[");
    while ((r = decai__query_step(&q)) == 1) {
        int64_t txn = decai__query_i64(&q, 0);
        if (txn != last) {
            decai__buf_printf(b, "%s{\"transaction\":%lld,\"kind\":", last ? "]},\n" : "", (long long)txn);
            put_column(b, &q, 1, 't');
            decai__buf_add_str(b, ",\"order\":");
            put_column(b, &q, 2, 'h');
            decai__buf_printf(b, ",\"time_ms\":%lld,\"postings\":[", (long long)decai__query_i64(&q, 3));
        }
        decai__buf_add_str(b, txn != last ? "{\"account\":" : ",{\"account\":");
        put_column(b, &q, 4, 't');
        decai__buf_add_str(b, ",\"asset\":");
        put_column(b, &q, 5, 't');
        decai__buf_printf(b, ",\"side\":\"%s\",\"amount\":", decai__query_i64(&q, 6) ? "credit" : "debit");
        if ((r = put_column(b, &q, 7, 'a')) || (r = decai__buf_add_str(b, "}"))) break;
        last = txn;
    }
    decai__query_done(&q);
    return r ? r : decai__buf_add_str(b, last ? "]}]" : "]");
}

static int32_t
format_in_tx(decai_store *s, decai__buf *out, const char *query, const uint8_t *id)
{
    decai__job job = {0};
    int32_t r = id ? decai__job_load(s, id, &job) : 0;
    if (r) return r;
    if (strcmp(query, "money") == 0) return format_money(s, out, job.seq);
    for (size_t i = 0; i < DECAI__COUNT(queries); i++)
        if (strcmp(query, queries[i].name) == 0) return format_table(s, out, &queries[i], job.seq);
    return decai__fail(DECAI_E_NOT_FOUND, "query: %.40s is none of timeline orders bids leases money balances", query);
}

int32_t
decai__market_format(decai_market *m, decai__buf *out, const char *query, const uint8_t *id)
{
    int32_t r = decai__tx_begin_read(m->store);
    if (r) return r;
    r = format_in_tx(m->store, out, query, id);
    return decai__tx_end(m->store, r ? r : out->error);
}
