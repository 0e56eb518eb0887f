/* The engine's settings as another program sees them, foreign and future files,
 * a writer in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "market_acks.h"

static char path[256];

static int
setup(void **state)
{
    life *l = calloc(1, sizeof *l);
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/decai-sqlite-%d.db", dir ? dir : "/tmp", (int)getpid());
    acks_remove_files(path);
    if (!l || life_context(l)) return -1;
    *state = l;
    return 0;
}

static int
teardown(void **state)
{
    life_close(*state);
    free(*state);
    acks_remove_files(path);
    return 0;
}

static void
raw(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static int64_t
ask(decai_store *s, const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(s->impl, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

static void
test_settings(void **state)
{
    life *l = *state;
    int on = -1;
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    assert_int_equal(ask(l->store, "PRAGMA synchronous"), 2);
    assert_int_equal(ask(l->store, "PRAGMA foreign_keys"), 1);
    assert_int_equal(ask(l->store, "PRAGMA trusted_schema"), 0);
    assert_int_equal(ask(l->store, "PRAGMA user_version"), DECAI_STORE_SCHEMA);
    assert_int_equal(ask(l->store, "PRAGMA busy_timeout"), 5000);
    assert_int_equal(ask(l->store, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    /* every table is STRICT */
    assert_int_equal(ask(l->store, "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND NOT strict"
                                   " AND name NOT LIKE 'sqlite_%'"), 0);
    assert_int_equal(sqlite3_db_config(l->store->impl, SQLITE_DBCONFIG_DEFENSIVE, -1, &on), SQLITE_OK);
    assert_int_equal(on, 1);
    assert_int_equal(sqlite3_db_config(l->store->impl, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &on), SQLITE_OK);
    assert_int_equal(on, 0);
    assert_int_not_equal(sqlite3_exec(l->store->impl, "ATTACH ':memory:' AS x", NULL, NULL, NULL), SQLITE_OK);
}

static void
test_foreign_file(void **state)
{
    life *l = *state;
    raw("CREATE TABLE notes(text); INSERT INTO notes VALUES('mine')");
    assert_int_equal(life_store(l, path, NULL, 2), DECAI_E_EXISTS);
    assert_non_null(strstr(decai_error_detail(), path));
    acks_remove_files(path);
    raw("PRAGMA application_id = 7");
    assert_int_equal(life_store(l, path, NULL, 2), DECAI_E_EXISTS);
}

static void
test_newer_schema(void **state)
{
    life *l = *state;
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    life_close_store(l);
    raw("PRAGMA user_version = 2");
    assert_int_equal(life_store(l, path, NULL, 2), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "schema 2"));
    raw("PRAGMA user_version = 1");
    assert_int_equal(life_store(l, path, NULL, 2), 0);
}

static void
test_writer_in_the_way(void **state)
{
    life *l = *state;
    decai_options *o = NULL;
    decai_store *s = NULL;
    decai_market *m = NULL;
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    assert_int_equal(decai_options_create(&o, l->ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "store.busy_ms", 20), 0);
    assert_int_equal(decai_store_open(&s, l->ctx, path, o), 0);
    assert_int_equal(decai_market_open(&m, s, NULL), 0);
    assert_int_equal(decai__tx_begin(l->store), 0);
    assert_int_equal(decai_deposit_submit(m, "a", "A", "1", "k"), DECAI_E_BUSY);
    assert_non_null(strstr(decai_error_detail(), path));
    assert_int_equal(decai__tx_end(l->store, 0), 0);
    assert_int_equal(decai_deposit_submit(m, "a", "A", "1", "k"), 0);
    decai_destroy(m);
    decai_destroy(s);
    decai_destroy(o);
}

/* A missing index entry is found by the audit of the file. */
static void
test_file_audit(void **state)
{
    life *l = *state;
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    assert_int_equal(life_deal(l, 0), 0);
    assert_int_equal(decai_store_audit(l->store), 0);
    life_close_store(l);
    raw("PRAGMA foreign_keys = OFF; INSERT INTO result(order_seq, fence, receipt_id, receipt)"
        " VALUES(99, 1, zeroblob(32), x'00')");
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    assert_int_equal(decai_store_audit(l->store), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "parent"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writer_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_audit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
