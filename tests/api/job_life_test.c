/* The market's whole life through the .so: every path money can take, every
 * rule that keeps it from taking another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "market_life.h"

static int
open_memory(void **state)
{
    life *l = calloc(1, sizeof *l);
    if (!l || life_context(l) || life_store(l, ":memory:", NULL, 2)) return -1;
    *state = l;
    return 0;
}

static int
close_memory(void **state)
{
    life_close(*state);
    free(*state);
    return 0;
}

static void
expect_balance(life *l, const char *account, const char *want)
{
    char text[128];
    size_t len;
    assert_int_equal(decai_ledger_get(l->market, text, sizeof text - 1, &len, account, LIFE_ASSET), 0);
    text[len] = 0;
    assert_string_equal(text, want);
}

static void
expect_ok(int32_t r)
{
    if (r) print_message("error %d: %s\n", (int)r, decai_error_detail());
    assert_int_equal(r, 0);
}

static void
expect_detail(const char *part)
{
    if (!strstr(decai_error_detail(), part)) print_message("detail: %s\n", decai_error_detail());
    assert_non_null(strstr(decai_error_detail(), part));
}

/* Two honest providers. Prices 43 and 57 split 80:13:4 of 97. */
static void
test_honest_deal(void **state)
{
    life *l = *state;
    expect_ok(life_deal(l, 0));
    /* 43: 35.46 5.76 1.77 -> 35 6 2; 57: 47.01 7.63 2.35 -> 47 8 2 */
    expect_balance(l, "owner", "14");
    expect_balance(l, "data", "4");
    expect_balance(l, "victor", "7");
    expect_balance(l, "p2", "135");              /* 200 - 100 staked + 35 */
    expect_balance(l, "p3", "145");              /* 200 - 100 - 2 + 47 */
    expect_balance(l, "stake:p1", "99");
    expect_balance(l, "stake:p2", "100");
    expect_balance(l, "lock:p2", "0");
    expect_balance(l, "bid:p3", "0");
    expect_balance(l, "alice", "876");           /* 1000 - 17 - 43 - 57 - 7 */
    expect_balance(l, "ext:deposit", "-1600");
    expect_balance(l, "ext:paid", "19");
    expect_balance(l, "nobody", "0");
    expect_ok(life_audit(l));
}

/* p3 is rejected: no pay, 50 of stake split in three, deposit to alice. */
static void
test_cheat_is_slashed(void **state)
{
    life *l = *state;
    expect_ok(life_deal(l, 1));
    expect_balance(l, "stake:p3", "50");
    expect_balance(l, "ext:burn", "16");         /* 16.67 each: 17 17 16 by index */
    expect_balance(l, "victor", "24");           /* fee 7 + 17 */
    expect_balance(l, "alice", "953");           /* 983 - 43 - 7 + 17 + 3 */
    expect_balance(l, "p3", "95");               /* 200 - 100 - 2 - deposit 3 */
    expect_ok(life_audit(l));
}

static void
test_all_kinds_of_deal(void **state)
{
    life *l = *state;
    for (int64_t n = 0; n < 10; n++) expect_ok(life_deal(l, n));
    expect_ok(life_audit(l));
    /* again: same keys, nothing changes */
    char before[4096], after[4096];
    size_t n1, n2;
    expect_ok(decai_market_format(l->market, before, sizeof before, &n1, "balances", NULL, 0));
    for (int64_t n = 0; n < 10; n++) expect_ok(life_deal(l, n));
    expect_ok(decai_market_format(l->market, after, sizeof after, &n2, "balances", NULL, 0));
    assert_int_equal(n1, n2);
    assert_memory_equal(before, after, n1);
    expect_ok(life_audit(l));
}

static void
test_idempotency(void **state)
{
    life *l = *state;
    expect_ok(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "10", "k"));
    expect_ok(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "10", "k"));
    expect_balance(l, "alice", "10");
    assert_int_equal(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "11", "k"), DECAI_E_EXISTS);
    assert_int_equal(decai_withdrawal_submit(l->market, "alice", LIFE_ASSET, "10", "k"), DECAI_E_EXISTS);
    expect_balance(l, "alice", "10");
    /* a refused call does not use its key up */
    assert_int_equal(decai_withdrawal_submit(l->market, "alice", LIFE_ASSET, "11", "w"), DECAI_E_FUNDS);
    expect_detail("alice: lacks 1");
    expect_ok(decai_withdrawal_submit(l->market, "alice", LIFE_ASSET, "9", "w"));
    expect_balance(l, "alice", "1");
}

static void
test_arguments(void **state)
{
    life *l = *state;
    char name[DECAI_NAME_MAX + 2], key[DECAI_KEY_MAX + 2];
    const char *max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    memset(name, 'n', sizeof name);
    memset(key, 'k', sizeof key);
    name[DECAI_NAME_MAX + 1] = key[DECAI_KEY_MAX + 1] = 0;
    assert_int_equal(decai_deposit_submit(l->market, name, "A", "1", "k"), DECAI_E_LIMIT);
    assert_int_equal(decai_deposit_submit(l->market, name + 1, "A", "1", "k0"), 0);
    assert_int_equal(decai_deposit_submit(l->market, name + 2, "A", "1", "k1"), 0);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1", key), DECAI_E_LIMIT);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1", key + 1), 0);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1", key + 2), 0);
    assert_int_equal(decai_deposit_submit(l->market, "ext:paid", "A", "1", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "", "A", "1", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a'; DROP TABLE txn; --", "A", "1", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, NULL, "A", "1", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "0", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "-1", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "01", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1.5", "k2"), DECAI_E_INVALID);
    expect_detail("amount");
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", NULL, "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1", ""), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1", "two words"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit(NULL, "a", "A", "1", "k"), DECAI_E_INVALID);
    assert_int_equal(decai_deposit_submit((decai_market *)l->store, "a", "A", "1", "k"), DECAI_E_INVALID);
    /* the whole of an asset fits in 256 bits, or it does not come in */
    assert_int_equal(decai_deposit_submit(l->market, "a", "B", max, "m1"), 0);
    assert_int_equal(decai_deposit_submit(l->market, "b", "B", "1", "m2"), DECAI_E_LIMIT);
    expect_ok(life_audit(l));
}

static void
test_order_rules(void **state)
{
    life *l = *state;
    char text[2048], bad[2048];
    uint8_t id[32], other[32];
    int n = life_order_text(text, sizeof text, 1, l->now_ms + 1000);
    expect_ok(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "206", "d"));
    assert_int_equal(decai_order_submit(l->market, id, 32, text, (size_t)n, "mallory", NULL, 0, "o"), DECAI_E_DENIED);
    assert_int_equal(decai_order_submit(l->market, id, 32, text, (size_t)n, "alice", NULL, 0, "o"), DECAI_E_FUNDS);
    expect_ok(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "1", "d1"));
    expect_ok(decai_order_submit(l->market, id, 32, text, (size_t)n, "alice", NULL, 0, "o"));
    expect_balance(l, "alice", "0");
    expect_ok(decai_order_hash(l->ctx, other, 32, text, (size_t)n));
    assert_memory_equal(id, other, 32);
    assert_int_equal(decai_order_submit(l->market, id, 32, text, (size_t)n, "alice", NULL, 0, "o2"), DECAI_E_EXISTS);
    size_t len;
    expect_ok(decai_order_hash(l->ctx, id, 32, text, (size_t)n));
    expect_ok(decai_order_get(l->market, bad, sizeof bad, &len, id, 32));
    assert_int_equal(len, n);
    assert_memory_equal(bad, text, len);
    assert_int_equal(decai_order_get(l->market, NULL, 0, &len, id, 32), DECAI_E_SPACE);
    assert_int_equal(len, n);
    id[0] ^= 1;
    assert_int_equal(decai_order_get(l->market, bad, sizeof bad, &len, id, 32), DECAI_E_NOT_FOUND);

    static const struct { const char *from, *to; int32_t code; const char *detail; } cases[] = {
        {"\"requester\"", "\"requestor\"", DECAI_E_UNSUPPORTED, "requestor"},
        {"\"stake\":\"50\"", "\"stake\":50", DECAI_E_CORRUPT, "stake"},
        {"\"stake\":\"50\"", "\"stake\":\"-50\"", DECAI_E_CORRUPT, "stake"},
        {"\"max_price\":\"100\"", "\"max_price\":\"0\"", DECAI_E_INVALID, "max_price"},
        {"\"redundancy\":2", "\"redundancy\":0", DECAI_E_INVALID, "redundancy: 0"},
        {"\"redundancy\":2", "\"redundancy\":17", DECAI_E_LIMIT, "redundancy: 17"},
        {"\"alice\"", "\"al ice\"", DECAI_E_INVALID, "requester"},
        {"\"provider\":80", "\"provider\":1000001", DECAI_E_LIMIT, "provider"},
        {"\"data\"", "\"owner\"", DECAI_E_EXISTS, "account"},
        {"\"asset\":\"" LIFE_ASSET "\",", "", DECAI_E_NOT_FOUND, "asset"},
        {"\"deadline_ms\"", "\"bids_until_ms\":9000000000000000,\"deadline_ms\"", DECAI_E_INVALID, "bids_until_ms"},
        {"{\"requester\"", "{\"requester\":\"alice\",\"requester\"", DECAI_E_CORRUPT, "json: line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *at = strstr(text, cases[i].from);
        assert_non_null(at);
        int m = snprintf(bad, sizeof bad, "%.*s%s%s", (int)(at - text), text, cases[i].to, at + strlen(cases[i].from));
        int32_t r = decai_order_hash(l->ctx, id, 32, bad, (size_t)m);
        if (r != cases[i].code) print_message("case %zu: %d %s\n", i, (int)r, decai_error_detail());
        assert_int_equal(r, cases[i].code);
        expect_detail(cases[i].detail);
    }
    l->now_ms += 2000;
    n = life_order_text(text, sizeof text, 2, l->now_ms - 1);
    assert_int_equal(decai_order_submit(l->market, id, 32, text, (size_t)n, "alice", NULL, 0, "o3"), DECAI_E_STATE);
    expect_ok(life_audit(l));
}

static void
test_bid_rules(void **state)
{
    life *l = *state;
    char text[2048];
    int64_t winners;
    int n = life_order_text(text, sizeof text, 1, l->now_ms + 1000);
    expect_ok(decai_deposit_submit(l->market, "alice", LIFE_ASSET, "207", "d"));
    expect_ok(decai_order_submit(l->market, l->order, 32, text, (size_t)n, "alice", NULL, 0, "o"));
    assert_int_equal(life_bid(l, "p1", 101, "b"), DECAI_E_LIMIT);
    expect_detail("price: 101 is above max_price 100");
    assert_int_equal(life_bid(l, "p1", 100, "b"), DECAI_E_FUNDS);
    expect_detail("stake:p1");
    for (int i = 1; i <= 4; i++) {
        char p[16], key[32];
        snprintf(p, sizeof p, "p%d", i);
        snprintf(key, sizeof key, "s%d", i);
        expect_ok(decai_deposit_submit(l->market, p, LIFE_ASSET, "53", key));
        snprintf(key, sizeof key, "t%d", i);
        expect_ok(decai_stake_add(l->market, p, LIFE_ASSET, "50", key));
    }
    expect_ok(life_bid(l, "p1", 100, "b"));
    assert_int_equal(life_bid(l, "p1", 90, "b1"), DECAI_E_EXISTS);
    assert_int_equal(decai_stake_remove(l->market, "p1", LIFE_ASSET, "1", "u"), DECAI_E_FUNDS);
    assert_int_equal(decai_auction_settle(l->market, &winners, l->order, 32), DECAI_E_STATE);
    expect_detail("bids: 1");
    expect_ok(life_bid(l, "p4", 60, "b4"));
    expect_ok(life_bid(l, "p3", 50, "b3"));
    expect_ok(life_bid(l, "p2", 60, "b2"));      /* equal to p4, but later */
    expect_ok(decai_auction_settle(l->market, &winners, l->order, 32));
    assert_int_equal(winners, 2);
    expect_ok(decai_auction_settle(l->market, &winners, l->order, 32));
    assert_int_equal(life_bid(l, "p5", 1, "b5"), DECAI_E_STATE);
    expect_balance(l, "lock:p1", "0");
    expect_balance(l, "lock:p2", "0");
    expect_balance(l, "lock:p3", "50");
    expect_balance(l, "lock:p4", "50");
    expect_ok(life_audit(l));
}

static int32_t
take(life *l, const char *provider, uint64_t *fence, const char *key)
{
    int64_t end;
    return decai_lease_take(l->market, fence, &end, l->order, 32, provider, key);
}

static void
test_leases_and_fences(void **state)
{
    life *l = *state;
    int32_t steps;
    int64_t end;
    uint64_t f1, f2, f3, f4, again;
    uint8_t receipt[64];
    size_t len;
    expect_ok(life_open_deal(l, 0, &steps));
    assert_int_equal(take(l, "p9", &f1, "x"), DECAI_E_DENIED);
    assert_int_equal(take(l, "p1", &f1, "x"), DECAI_E_CONFLICT);      /* a loser, nothing expired */
    expect_ok(take(l, "p2", &f2, "l2"));
    expect_ok(take(l, "p2", &again, "l2"));                            /* a lost reply */
    assert_int_equal(f2, again);
    assert_int_equal(take(l, "p2", &again, "l2b"), DECAI_E_CONFLICT);
    expect_ok(take(l, "p3", &f3, "l3"));
    assert_true(f3 > f2);

    l->now_ms += 20000;
    expect_ok(decai_heartbeat_submit(l->market, &end, l->order, 32, f2));
    assert_int_equal(end, l->now_ms + 30000);
    l->now_ms += 15000;                                                /* p3 expired, p2 not */
    assert_int_equal(decai_heartbeat_submit(l->market, &end, l->order, 32, f3), DECAI_E_STATE);
    expect_ok(take(l, "p1", &f1, "l1"));                               /* rescue by a loser */
    assert_true(f1 > f3);
    expect_balance(l, "lock:p3", "0");
    expect_balance(l, "lock:p1", "50");
    assert_int_equal(life_result(l, f3, "r3"), DECAI_E_CONFLICT);      /* stale */
    expect_detail("stale");
    assert_int_equal(take(l, "p3", &f4, "l3b"), DECAI_E_CONFLICT);

    l->now_ms += 100000 - 35000 - 42000;                               /* a jump: all expired, before the deadline */
    expect_ok(life_result(l, f2, "r2"));                               /* expired, but nobody took it */
    assert_int_equal(life_result(l, f2, "r2b"), DECAI_E_CONFLICT);
    expect_ok(life_result(l, f2, "r2"));
    assert_int_equal(life_result(l, f2 + 99, "r2c"), DECAI_E_CONFLICT);
    assert_int_equal(life_result(l, 0, "r0"), DECAI_E_CONFLICT);
    assert_int_equal(life_result(l, UINT64_MAX, "r0"), DECAI_E_CONFLICT);
    expect_ok(decai_result_get(l->market, receipt, sizeof receipt, &len, l->order, 32, f2));
    assert_int_equal(len, 7);
    assert_memory_equal(receipt, "receipt", 7);
    assert_int_equal(decai_result_get(l->market, receipt, sizeof receipt, &len, l->order, 32, f3), DECAI_E_NOT_FOUND);
    expect_ok(life_audit(l));
    expect_ok(life_result(l, f1, "r1"));
    expect_ok(life_verdict(l, f1, DECAI_VERDICT_ACCEPTED, "v1"));
    expect_ok(life_verdict(l, f2, DECAI_VERDICT_ACCEPTED, "v2"));
    int32_t s;
    expect_ok(decai_job_settle(l->market, &s, l->order, 32));
    expect_balance(l, "bid:p1", "0");
    expect_balance(l, "p3", "95");                                     /* its deposit of 3 is gone */
    expect_ok(life_audit(l));
}

static void
test_verdicts(void **state)
{
    life *l = *state;
    int32_t steps, s;
    uint64_t f2, f3;
    expect_ok(life_open_deal(l, 0, &steps));
    expect_ok(take(l, "p2", &f2, "l2"));
    expect_ok(take(l, "p3", &f3, "l3"));
    assert_int_equal(life_verdict(l, f2, DECAI_VERDICT_ACCEPTED, "v"), DECAI_E_STATE);
    expect_ok(life_result(l, f2, "r2"));
    expect_ok(life_result(l, f3, "r3"));
    assert_int_equal(decai_verdict_submit(l->market, l->order, 32, f2, "p2", DECAI_VERDICT_ACCEPTED, NULL, 0, "v"),
                     DECAI_E_DENIED);
    assert_int_equal(life_verdict(l, f2, 0, "v"), DECAI_E_INVALID);
    assert_int_equal(life_verdict(l, f2, 4, "v"), DECAI_E_INVALID);
    expect_ok(life_verdict(l, f2, DECAI_VERDICT_REJECTED, "v"));
    assert_int_equal(life_verdict(l, f2, DECAI_VERDICT_ACCEPTED, "v1"), DECAI_E_CONFLICT);
    expect_detail("rejected is final");
    expect_ok(life_verdict(l, f3, DECAI_VERDICT_UNKNOWN, "v3"));
    /* unknown: not before the deadline, not after it, never by the sweep */
    assert_int_equal(decai_job_settle(l->market, &s, l->order, 32), DECAI_E_STATE);
    l->now_ms += 10 * 365 * 86400000LL;
    assert_int_equal(decai_job_settle(l->market, &s, l->order, 32), DECAI_E_STATE);
    expect_detail("unknown");
    assert_int_equal(s, 0);
    int64_t closed;
    expect_ok(decai_market_run(l->market, &closed));
    assert_int_equal(closed, 0);
    expect_ok(life_audit(l));
    expect_ok(life_verdict(l, f3, DECAI_VERDICT_ACCEPTED, "v4"));
    expect_ok(decai_market_run(l->market, &closed));
    assert_int_equal(closed, 1);
    expect_ok(decai_job_get(l->market, &s, l->order, 32));
    assert_int_equal(s, DECAI_JOB_SETTLED);
    expect_ok(life_audit(l));
}

static void
test_cancel_and_expire(void **state)
{
    life *l = *state;
    char text[2048];
    int32_t s, steps;
    int64_t closed;
    uint64_t f;
    expect_ok(life_open_deal(l, 0, &steps));
    assert_int_equal(decai_job_cancel(l->market, l->order, 32, "p1"), DECAI_E_DENIED);
    expect_ok(take(l, "p2", &f, "l"));
    assert_int_equal(decai_job_cancel(l->market, l->order, 32, "alice"), DECAI_E_STATE);
    l->now_ms += 70000;
    expect_ok(decai_job_settle(l->market, &s, l->order, 32));          /* nobody delivered */
    assert_int_equal(s, DECAI_JOB_EXPIRED);
    expect_balance(l, "alice", "989");                                 /* 983 + two deposits */
    assert_int_equal(decai_job_cancel(l->market, l->order, 32, "alice"), DECAI_E_STATE);
    assert_int_equal(life_result(l, f, "r"), DECAI_E_STATE);

    int n = life_order_text(text, sizeof text, 77, l->now_ms + 10);
    expect_ok(decai_order_submit(l->market, l->order, 32, text, (size_t)n, "alice", NULL, 0, "o77"));
    expect_ok(life_bid(l, "p1", 5, "b77"));
    assert_int_equal(decai_job_settle(l->market, &s, l->order, 32), DECAI_E_STATE);
    l->now_ms += 11;
    expect_ok(decai_market_run(l->market, &closed));
    assert_int_equal(closed, 1);
    expect_ok(decai_job_get(l->market, &s, l->order, 32));
    assert_int_equal(s, DECAI_JOB_EXPIRED);
    expect_balance(l, "alice", "989");
    expect_balance(l, "bid:p1", "0");

    n = life_order_text(text, sizeof text, 78, l->now_ms + 10);
    expect_ok(decai_order_submit(l->market, l->order, 32, text, (size_t)n, "alice", NULL, 0, "o78"));
    expect_ok(life_bid(l, "p1", 5, "b78"));
    expect_ok(decai_job_cancel(l->market, l->order, 32, "alice"));
    expect_ok(decai_job_cancel(l->market, l->order, 32, "alice"));
    expect_ok(decai_job_settle(l->market, &s, l->order, 32));
    assert_int_equal(s, DECAI_JOB_CANCELLED);
    expect_balance(l, "alice", "989");
    expect_ok(life_audit(l));
}

/* Whatever the clock says, money stays where the rules put it. */
static void
test_clock_jumps(void **state)
{
    life *l = *state;
    static const int64_t jumps[] = {-86400000LL, 315360000000LL, 0, -1, INT64_MIN / 4, INT64_MAX / 4};
    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
        int32_t steps, s;
        uint64_t f2 = 0, f3 = 0;
        char key[4][32];
        for (int k = 0; k < 4; k++) snprintf(key[k], 32, "j%zu.%d", i, k);
        expect_ok(life_open_deal(l, (int64_t)i, &steps));
        expect_ok(take(l, "p2", &f2, key[0]));
        l->now_ms += jumps[i];
        (void)take(l, "p3", &f3, key[1]);
        (void)life_result(l, f2, key[2]);
        (void)life_verdict(l, f2, DECAI_VERDICT_ACCEPTED, key[3]);
        (void)decai_job_settle(l->market, &s, l->order, 32);
        expect_ok(life_audit(l));
    }
    int64_t closed;
    l->now_ms = INT64_MAX;
    expect_ok(decai_market_run(l->market, &closed));
    expect_ok(life_audit(l));
    char text[1024];
    size_t len;
    expect_ok(decai_ledger_audit(l->market, text, sizeof text - 1, &len));
    text[len] = 0;
    assert_non_null(strstr(text, "\"orders_open\":0"));
}

static void
test_reports(void **state)
{
    life *l = *state;
    static const char *const queries[] = {"timeline", "orders", "bids", "leases", "money", "balances"};
    static char text[1 << 20];
    size_t len, all;
    for (int64_t n = 0; n < 5; n++) expect_ok(life_deal(l, n));
    for (size_t i = 0; i < 6; i++) {
        expect_ok(decai_market_format(l->market, text, sizeof text, &all, queries[i], NULL, 0));
        expect_ok(decai_json_verify(l->ctx, text, all));
        expect_ok(decai_market_format(l->market, text, sizeof text, &len, queries[i], l->order, 32));
        expect_ok(decai_json_verify(l->ctx, text, len));
        if (i < 5) assert_true(len < all);
        assert_int_equal(decai_market_format(l->market, text, len - 1, &all, queries[i], l->order, 32), DECAI_E_SPACE);
        assert_int_equal(all, len);
    }
    assert_int_equal(decai_market_format(l->market, text, sizeof text, &len, "secrets", NULL, 0), DECAI_E_NOT_FOUND);
    assert_int_equal(len, 0);
    assert_int_equal(decai_market_format(l->market, text, sizeof text, &len, "bids", l->order, 31), DECAI_E_INVALID);
    expect_ok(decai_ledger_audit(l->market, text, sizeof text, &len));
    expect_ok(decai_json_verify(l->ctx, text, len));
}

/* The store and the market in any order of destruction; one store, two markets. */
static void
test_handles(void **state)
{
    (void)state;
    life l = {0};
    decai_market *second = NULL;
    expect_ok(life_context(&l));
    expect_ok(life_store(&l, ":memory:", NULL, 2));
    expect_ok(decai_market_open(&second, l.store, NULL));
    decai_destroy(l.store);
    decai_destroy(l.ctx);
    expect_ok(decai_deposit_submit(l.market, "a", "A", "5", "k"));
    assert_int_equal(decai_deposit_submit(second, "a", "A", "6", "k"), DECAI_E_EXISTS);
    decai_destroy(l.market);
    expect_ok(decai_deposit_submit(second, "a", "A", "6", "k2"));
    decai_destroy(second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_honest_deal, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_cheat_is_slashed, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_all_kinds_of_deal, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_idempotency, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_arguments, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_order_rules, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_bid_rules, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_leases_and_fences, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_verdicts, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_cancel_and_expire, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_clock_jumps, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_reports, open_memory, close_memory),
        cmocka_unit_test(test_handles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
