/* The audit must find what somebody with the file and a SQL prompt changes, and
 * the split must be exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "job/job.h"
#include "market_acks.h"

#define Z31 "00000000000000000000000000000000000000000000000000000000000000"

static char path[256];

static int
setup(void **state)
{
    const char *dir = getenv("TMPDIR");
    (void)state;
    snprintf(path, sizeof path, "%s/decai-audit-%d.db", dir ? dir : "/tmp", (int)getpid());
    acks_remove_files(path);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    acks_remove_files(path);
    return 0;
}

static int
raw(const char *sql)
{
    sqlite3 *db = NULL;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, &error);
    if (rc != SQLITE_OK && rc != SQLITE_CONSTRAINT) print_message("%s: %s\n", sql, error);
    sqlite3_free(error);
    sqlite3_close(db);
    return rc;
}

static void
fresh_market(int64_t deals)
{
    life l = {0};
    acks_remove_files(path);
    assert_int_equal(life_context(&l), 0);
    assert_int_equal(life_store(&l, path, NULL, 0), 0);
    for (int64_t n = 0; n < deals; n++) assert_int_equal(life_deal(&l, n), 0);
    assert_int_equal(life_audit(&l), 0);
    life_close(&l);
}

static int32_t
audit_code(void)
{
    life l = {0};
    char text[4096];
    size_t len = 1;
    assert_int_equal(life_context(&l), 0);
    int32_t r = life_store(&l, path, NULL, 2);
    if (r == 0) r = decai_ledger_audit(l.market, text, sizeof text, &len);
    if (r) assert_int_equal(len, 0);
    life_close(&l);
    return r;
}

static void
test_tampering_is_found(void **state)
{
    (void)state;
    static const char *const unlock =
        "DROP TRIGGER posting_fixed; DROP TRIGGER posting_kept; DROP TRIGGER txn_fixed; DROP TRIGGER txn_kept;";
    static const struct { const char *sql, *detail; } cases[] = {
        {"UPDATE account SET balance = x'" Z31 "05' WHERE name = 'p2'", "account p2"},
        {"UPDATE account SET negative = 0 WHERE name = 'ext:deposit'", "ext:deposit"},
        {"UPDATE posting SET amount = x'" Z31 "01' WHERE txn_id = 3 AND line = 1", "transaction 3"},
        {"UPDATE posting SET credit = 1 - credit WHERE txn_id = 3", "account"},
        {"DELETE FROM posting WHERE txn_id = 5 AND line = 1", "transaction 5"},
        {"DELETE FROM posting WHERE txn_id = 5", "transaction 5"},
        {"UPDATE posting SET line = 7 WHERE txn_id = 5 AND line = 1", "transaction 5"},
        {"UPDATE lease SET verdict = 1 WHERE verdict = 2", "not what verdicts and split demand"},
        {"UPDATE lease SET price = x'" Z31 "2c' WHERE order_seq = 1 AND slot = 0", "verdicts and split"},
        {"UPDATE market_order SET state = 2 WHERE seq = 1", "closing transaction"},
        {"UPDATE market_order SET state = 4 WHERE seq = 1", "a settle"},
        {"UPDATE txn SET kind = 'release' WHERE kind = 'settle' AND order_seq = 1", "closing transaction"},
        {"UPDATE bid SET held = 1 WHERE id = 1", "its jobs say"},
        {"UPDATE market_order SET request = replace(request, '\"data\"', '\"dada\"') WHERE seq = 2", "what was signed"},
        {"UPDATE market_order SET request = 'x' WHERE seq = 2", "what was signed"},
        {"UPDATE posting SET account_id = (SELECT id FROM account WHERE name = 'p1')"
         " WHERE txn_id = (SELECT id FROM txn WHERE kind = 'settle' LIMIT 1) AND line = 1", "account"},
        /* one unit more to the owner and one less to the provider, balances in step */
        {"UPDATE posting SET account_id = (SELECT id FROM account WHERE name = 'owner') WHERE account_id ="
         " (SELECT id FROM account WHERE name = 'data') AND credit = 1;"
         "UPDATE account SET balance = zeroblob(32) WHERE name = 'data'", "account"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fresh_market(5);
        assert_int_equal(raw(unlock), SQLITE_OK);
        assert_int_equal(raw(cases[i].sql), SQLITE_OK);
        int32_t r = audit_code();
        if (r != DECAI_E_INTEGRITY || !strstr(decai_error_detail(), cases[i].detail))
            print_message("case %zu: %d %s\n", i, (int)r, decai_error_detail());
        assert_int_equal(r, DECAI_E_INTEGRITY);
        assert_non_null(strstr(decai_error_detail(), cases[i].detail));
    }
}

/* What is written once stays, and the schema's own walls hold. */
static void
test_schema_walls(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "UPDATE posting SET credit = 1", "DELETE FROM posting", "UPDATE txn SET kind = 'x'", "DELETE FROM txn",
        "UPDATE event SET kind = 'x'", "DELETE FROM event", "UPDATE effect SET op = 'x'", "DELETE FROM effect",
        "UPDATE account SET balance = x'00' WHERE id = 1",
        "UPDATE account SET negative = 1 WHERE name = 'alice'",
        "UPDATE account SET balance = 5 WHERE id = 1",
        "INSERT INTO txn(kind, order_seq, time_ms) VALUES('settle', 1, 0)",
        "INSERT INTO txn(kind, order_seq, time_ms) VALUES('expire', 1, 0)",
        "INSERT INTO txn(kind, order_seq, time_ms) VALUES('escrow', 1, 0)",
        "UPDATE market_order SET state = 9",
    };
    fresh_market(1);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (raw(refused[i]) != SQLITE_CONSTRAINT) fail_msg("%s", refused[i]);
    assert_int_equal(audit_code(), 0);
}

/* ---- exact splits of a price ------------------------------------------------------ */

static uint64_t random_state = 42;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void
test_split_sums(void **state)
{
    (void)state;
    int rounds = getenv("DECAI_DEEP") ? 1000000 : 30000;
    for (int n = 0; n < rounds; n++) {
        decai__u256 total = {{next_random(), n % 4 > 0 ? next_random() : 0, n % 4 > 1 ? next_random() : 0,
                              n % 4 > 2 ? next_random() : 0}};
        decai__u256 share[DECAI_ROYALTY_MAX + 1], sum = {{0}};
        uint64_t parts[DECAI_ROYALTY_MAX + 1], all = 0;
        size_t count = 1 + next_random() % (DECAI_ROYALTY_MAX + 1);
        if (n % 11 == 0) total = (decai__u256){{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        for (size_t i = 0; i < count; i++) all += parts[i] = next_random() % (n % 3 ? DECAI_PARTS_MAX + 1 : 4);
        if (!all) continue;
        decai__split(share, &total, parts, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(decai__u256_add(&sum, &sum, &share[i]));
            if (!parts[i]) assert_true(decai__u256_is_zero(&share[i]));
        }
        assert_int_equal(decai__u256_cmp(&sum, &total), 0);
    }
}

/* Whatever the verdicts, a plan empties escrow, locks and deposits exactly. */
static void
test_plans_conserve(void **state)
{
    (void)state;
    life l = {0};
    static const char *const names[4] = {"p1", "p2", "p3", "p4"};
    assert_int_equal(life_context(&l), 0);
    for (int n = 0; n < 2000; n++) {
        decai__order o = {.provider_parts = next_random() % 9, .slash_burn = next_random() % 3, .slash_requester = 1,
                          .royalty_count = 1, .royalty = {{"owner", 1 + next_random() % 9}}};
        decai__outcome_row rows[4];
        decai__moves m;
        size_t count = 1 + next_random() % 4;
        strcpy(o.requester, "alice");
        strcpy(o.verifier, "victor");
        o.max_price = decai__u256_from_u64(next_random() % 1000 + 1);
        o.verifier_fee = decai__u256_from_u64(next_random() % 10);
        o.stake = decai__u256_from_u64(next_random() % 100);
        o.bid_deposit = decai__u256_from_u64(next_random() % 10);
        decai__u256_mul_u64(&o.escrow, &o.max_price, count);
        decai__u256_add(&o.escrow, &o.escrow, &o.verifier_fee);
        uint64_t escrow, stake, deposit;
        decai__u256_to_u64(&escrow, &o.escrow);
        decai__u256_to_u64(&stake, &o.stake);
        decai__u256_to_u64(&deposit, &o.bid_deposit);
        for (size_t i = 0; i < count; i++)
            rows[i] = (decai__outcome_row){names[i], decai__u256_from_u64(1 + next_random() % o.max_price.limb[0]),
                                           1 + (int32_t)(next_random() % 4)};
        decai__moves_init(&m, l.ctx);
        assert_int_equal(decai__settle_plan(&m, &o, rows, count, n % 2), 0);
        uint64_t from_escrow = 0, from_lock = 0, from_bid = 0;
        for (size_t i = 0; i < m.count; i++) {
            uint64_t v;
            assert_true(decai__u256_to_u64(&v, &m.list[i].amount));
            if (!strncmp(m.list[i].from, "escrow:", 7)) from_escrow += v;
            else if (!strncmp(m.list[i].from, "lock:", 5)) from_lock += v;
            else if (!strncmp(m.list[i].from, "bid:", 4)) from_bid += v;
            else fail_msg("from %s", m.list[i].from);
        }
        assert_int_equal(from_escrow, escrow);
        assert_int_equal(from_lock, stake * count);
        assert_int_equal(from_bid, deposit * count);
        decai__moves_free(&m);
    }
    life_close(&l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tampering_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schema_walls, setup, teardown),
        cmocka_unit_test(test_split_sums),
        cmocka_unit_test(test_plans_conserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
