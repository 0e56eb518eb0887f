/* market.c - money in and out, stake, orders, bids: everything before the
 * auction.
 *
 * Where money is while an order is open:
 *
 *     escrow:ORDER   redundancy * max_price + verifier_fee, from the requester
 *     lock:PROVIDER  the order's stake per bid, from stake:PROVIDER
 *     bid:PROVIDER   the order's bid deposit per bid, from PROVIDER
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hash/hash.h"
#include "job/job.h"

void
decai__request_hash(uint8_t out[32], const char *kinds, ...)
{
    decai__keccak k;
    va_list args;
    decai__keccak_init(&k);
    decai__hash_domain(&k, "decai.effect.v1");
    va_start(args, kinds);
    for (; *kinds; kinds++) {
        switch (*kinds) {
        case 't': {
            const char *text = va_arg(args, const char *);
            decai__hash_data(&k, text, strlen(text));
            break;
        }
        case 'B': {
            const void *data = va_arg(args, const void *);
            decai__hash_data(&k, data, va_arg(args, size_t));
            break;
        }
        case 'b': decai__hash_data(&k, va_arg(args, const uint8_t *), 32); break;
        default: decai__hash_u64(&k, va_arg(args, uint64_t));
        }
    }
    va_end(args);
    decai__keccak_final(&k, out);
}

/* ---- deposit, withdrawal, stake ------------------------------------------------ */

typedef struct transfer {
    const char *op;                              /* kind of transaction and of event */
    const char *from_prefix, *to_prefix;
    const char *outside;                         /* the other side, or NULL: the account itself */
    bool in;                                     /* outside -> account */
} transfer;

static const transfer deposit = {"deposit", "", "", "ext:deposit", true};
static const transfer withdrawal = {"withdrawal", "", "", "ext:paid", false};
static const transfer stake = {"stake", "", "stake:", NULL, false};
static const transfer unstake = {"unstake", "stake:", "", NULL, false};

static int32_t
post_transfer(decai_store *s, const transfer *t, const char *account, const char *asset,
    const decai__u256 *amount, int64_t now_ms)
{
    decai__moves m;
    char detail[256], text[DECAI__U256_TEXT_MAX + 1];
    decai__u256_format(text, amount);
    snprintf(detail, sizeof detail, "{\"asset\":\"%s\",\"amount\":\"%s\"}", asset, text);
    decai__moves_init(&m, decai__context_of(s));
    const char *other = t->outside ? t->outside : account;
    if (t->in) decai__moves_add(&m, "", other, "", account, amount);
    else decai__moves_add(&m, t->from_prefix, account, t->to_prefix, other, amount);
    int32_t r = decai__ledger_post(s, t->op, 0, asset, &m, now_ms);
    if (r == 0) r = decai__event_add(s, now_ms, t->op, 0, account, detail);
    decai__moves_free(&m);
    return r;
}

static int32_t
run_transfer(decai_market *market, const transfer *t, const char *account, const char *asset,
    const char *amount_text, const char *key)
{
    decai__effect e;
    decai__u256 amount;
    uint8_t hash[32];
    int32_t r = decai__name_check(account, "account");
    if (r == 0) r = decai__name_check(asset, "asset");
    if (r == 0) r = decai__amount_parse(&amount, amount_text, "amount", false);
    if (r) return r;
    decai__request_hash(hash, "ttt", account, asset, amount_text);
    r = decai__effect_begin(&e, market->store, key, t->op, hash);
    if (r) return r < 0 ? r : 0;
    return decai__effect_end(&e, post_transfer(market->store, t, account, asset, &amount, e.time_ms));
}

int32_t
decai__deposit(decai_market *m, const char *account, const char *asset, const char *amount, const char *key)
{
    return run_transfer(m, &deposit, account, asset, amount, key);
}

int32_t
decai__withdrawal(decai_market *m, const char *account, const char *asset, const char *amount, const char *key)
{
    return run_transfer(m, &withdrawal, account, asset, amount, key);
}

int32_t
decai__stake(decai_market *m, bool add, const char *account, const char *asset, const char *amount,
    const char *key)
{
    return run_transfer(m, add ? &stake : &unstake, account, asset, amount, key);
}

/* ---- orders ------------------------------------------------------------------- */

static int32_t
insert_order(decai_store *s, const decai__order *o, const char *request, size_t request_len, const char *signer,
    const uint8_t *signature, size_t signature_len, int64_t now_ms, int64_t *seq)
{
    decai__query q;
    char hex[65];
    int32_t r = decai__query_one(&q, s, DECAI__SQL_ORDER_FIND, "b", o->id);
    if (r < 0) return r;
    if (r == 1) {
        decai__query_done(&q);
        decai__order_hex(hex, o->id);
        return decai__fail(DECAI_E_EXISTS, "order: %.16s... is here already; another nonce makes another order", hex);
    }
    /* 'B' would bind the text as a blob; the request is text, NUL-free by the
     * strict parser, but not NUL-terminated. */
    char *text = decai__alloc(decai__context_of(s), request_len + 1);
    if (!text) return decai__fail(DECAI_E_NOMEM, "order: no memory for the request");
    memcpy(text, request, request_len);
    text[request_len] = 0;
    r = decai__query_one(&q, s, DECAI__SQL_ORDER_ADD, "btiiittB", o->id, o->requester, o->bids_until_ms,
                         o->deadline_ms, now_ms, text, signer, (const void *)signature, signature_len);
    if (r == 1) {
        *seq = decai__query_i64(&q, 0);
        decai__query_done(&q);
        r = 0;
    }
    decai__free(decai__context_of(s), text);
    return r;
}

static int32_t
open_order(decai_store *s, const decai__order *o, const char *request, size_t request_len, const char *signer,
    const uint8_t *signature, size_t signature_len, int64_t now_ms)
{
    decai__moves m;
    char hex[65], text[DECAI__U256_TEXT_MAX + 1], detail[256];
    int64_t seq = 0;
    if (now_ms > o->deadline_ms)
        return decai__fail(DECAI_E_STATE, "deadline_ms: %lld has passed", (long long)o->deadline_ms);
    int32_t r = insert_order(s, o, request, request_len, signer, signature, signature_len, now_ms, &seq);
    if (r) return r;

    decai__order_hex(hex, o->id);
    decai__u256_format(text, &o->escrow);
    snprintf(detail, sizeof detail, "{\"escrow\":\"%s\",\"redundancy\":%d}", text, (int)o->redundancy);
    decai__moves_init(&m, decai__context_of(s));
    decai__moves_add(&m, "", o->requester, "escrow:", hex, &o->escrow);
    r = decai__ledger_post(s, "escrow", seq, o->asset, &m, now_ms);
    if (r == 0) r = decai__event_add(s, now_ms, "order", seq, o->requester, detail);
    decai__moves_free(&m);
    return r;
}

int32_t
decai__order_submit(decai_market *m, uint8_t out[32], const char *request, size_t request_len,
    const char *signer, const uint8_t *signature, size_t signature_len, const char *key)
{
    decai__effect e;
    decai__order o;
    uint8_t hash[32];
    int32_t r = decai__order_parse(decai__context_of(m), &o, request, request_len);
    if (r == 0) r = decai__name_check(signer, "signer");
    if (r) return r;
    if (strcmp(signer, o.requester) != 0)
        return decai__fail(DECAI_E_DENIED, "signer: %s is not the requester %s", signer, o.requester);

    decai__request_hash(hash, "btB", o.id, signer, (const void *)signature, signature_len);
    r = decai__effect_begin(&e, m->store, key, "order", hash);
    if (r == 0) {
        r = open_order(m->store, &o, request, request_len, signer, signature, signature_len, e.time_ms);
        r = decai__effect_end(&e, r);
    }
    if (r >= 0) memcpy(out, o.id, 32);
    return r < 0 ? r : 0;
}

int32_t
decai__order_text(decai_market *m, char *out, size_t cap, size_t *len, const uint8_t id[32])
{
    decai__query q;
    size_t n = 0;
    int32_t r = decai__tx_begin_read(m->store);
    if (r) return r;
    r = decai__query_one(&q, m->store, DECAI__SQL_ORDER_FIND, "b", id);
    if (r == 0) r = decai__fail(DECAI_E_NOT_FOUND, "order: not here");
    if (r == 1) {
        const void *text = decai__query_bytes(&q, 3, &n);
        r = decai__bytes_out((uint8_t *)out, cap, len, text, n);
        decai__query_done(&q);
    }
    return decai__tx_end(m->store, r);
}

int32_t
decai__job_state(decai_market *m, int32_t *state, const uint8_t id[32])
{
    decai__query q;
    int32_t r = decai__tx_begin_read(m->store);
    if (r) return r;
    r = decai__query_one(&q, m->store, DECAI__SQL_ORDER_FIND, "b", id);
    if (r == 0) r = decai__fail(DECAI_E_NOT_FOUND, "order: not here");
    if (r == 1) {
        *state = (int32_t)decai__query_i64(&q, 1);
        decai__query_done(&q);
        r = 0;
    }
    return decai__tx_end(m->store, r);
}

/* ---- bids --------------------------------------------------------------------- */

static int32_t
check_bid(decai_store *s, const decai__job *job, const decai__bid_request *b, int64_t now_ms, int64_t *count)
{
    decai__query q;
    char price[DECAI__U256_TEXT_MAX + 1], max[DECAI__U256_TEXT_MAX + 1];
    if (job->state != DECAI_JOB_OPEN) return decai__fail(DECAI_E_STATE, "order: not open for bids any more");
    if (now_ms > job->order.deadline_ms) return decai__fail(DECAI_E_STATE, "order: its deadline has passed");
    if (decai__u256_cmp(&b->price, &job->order.max_price) > 0) {
        decai__u256_format(price, &b->price);
        decai__u256_format(max, &job->order.max_price);
        return decai__fail(DECAI_E_LIMIT, "price: %s is above max_price %s", price, max);
    }
    int32_t r = decai__query_one(&q, s, DECAI__SQL_BID_FIND, "it", job->seq, b->provider);
    if (r < 0) return r;
    if (r == 1) {
        decai__query_done(&q);
        return decai__fail(DECAI_E_EXISTS, "provider: %s has bid on this order", b->provider);
    }
    r = decai__query_one(&q, s, DECAI__SQL_BID_COUNT, "i", job->seq);
    if (r < 0) return r;
    *count = decai__query_i64(&q, 0);
    decai__query_done(&q);
    if (*count >= DECAI_BIDS_MAX)
        return decai__fail(DECAI_E_LIMIT, "bid: the order has %d", DECAI_BIDS_MAX);
    return 0;
}

static int32_t
add_bid(decai_store *s, const decai__bid_request *b, int64_t now_ms, int64_t *sequence)
{
    decai__job job;
    decai__moves m;
    uint8_t price[32];
    char detail[256], text[DECAI__U256_TEXT_MAX + 1];
    int64_t count = 0;
    int32_t r = decai__job_load(s, b->order, &job);
    if (r == 0) r = check_bid(s, &job, b, now_ms, &count);
    if (r) return r;

    decai__u256_to_be(price, &b->price);
    r = decai__query_run(s, NULL, DECAI__SQL_BID_ADD, "iitb", job.seq, count + 1, b->provider, price);
    if (r < 0) return r;
    decai__u256_format(text, &b->price);
    snprintf(detail, sizeof detail, "{\"price\":\"%s\",\"sequence\":%lld}", text, (long long)(count + 1));
    decai__moves_init(&m, decai__context_of(s));
    decai__moves_add(&m, "stake:", b->provider, "lock:", b->provider, &job.order.stake);
    decai__moves_add(&m, "", b->provider, "bid:", b->provider, &job.order.bid_deposit);
    r = decai__ledger_post(s, "bid", job.seq, job.order.asset, &m, now_ms);
    if (r == 0) r = decai__event_add(s, now_ms, "bid", job.seq, b->provider, detail);
    decai__moves_free(&m);
    *sequence = count + 1;
    return r;
}

int32_t
decai__bid_submit(decai_market *m, int64_t *sequence, const char *request, size_t request_len, const char *key)
{
    decai__effect e;
    decai__bid_request b;
    uint8_t hash[32], price[32];
    int32_t r = decai__bid_parse(decai__context_of(m), &b, request, request_len);
    if (r) return r;
    decai__u256_to_be(price, &b.price);
    decai__request_hash(hash, "btb", b.order, b.provider, price);
    r = decai__effect_begin(&e, m->store, key, "bid", hash);
    if (r == 0) {
        int64_t got = 0;
        r = add_bid(m->store, &b, e.time_ms, &got);
        decai__store_be64(e.result, (uint64_t)got);
        e.result_len = 8;
        r = decai__effect_end(&e, r);
    }
    if (r >= 0) *sequence = (int64_t)decai__load_be64(e.result);
    return r < 0 ? r : 0;
}
