/* Opening a store: what is refused, what is kept, what the options do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "market_life.h"

static char path[256];

static int
setup(void **state)
{
    life *l = calloc(1, sizeof *l);
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/decai-open-%d.db", dir ? dir : "/tmp", (int)getpid());
    unlink(path);
    if (!l || life_context(l)) return -1;
    *state = l;
    return 0;
}

static int
teardown(void **state)
{
    life_close(*state);
    free(*state);
    unlink(path);
    return 0;
}

static void
test_kept_and_reopened(void **state)
{
    life *l = *state;
    char text[8192], again[8192];
    size_t n, m;
    int64_t schema = 0;
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    assert_int_equal(decai_store_schema_get(l->store, &schema), 0);
    assert_int_equal(schema, DECAI_STORE_SCHEMA);
    assert_int_equal(life_deal(l, 1), 0);
    assert_int_equal(decai_market_format(l->market, text, sizeof text, &n, "balances", NULL, 0), 0);
    life_close_store(l);
    assert_int_equal(life_store(l, path, NULL, 2), 0);
    assert_int_equal(decai_store_audit(l->store), 0);
    assert_int_equal(decai_market_format(l->market, again, sizeof again, &m, "balances", NULL, 0), 0);
    assert_int_equal(n, m);
    assert_memory_equal(text, again, n);
    assert_int_equal(life_deal(l, 1), 0);        /* every key remembered */
    assert_int_equal(life_audit(l), 0);
}

static void
test_paths(void **state)
{
    life *l = *state;
    decai_store *s = (decai_store *)l;
    char longest[DECAI_STORE_PATH_MAX + 2];
    assert_int_equal(decai_store_open(&s, l->ctx, "", NULL), DECAI_E_INVALID);
    assert_null(s);
    assert_int_equal(decai_store_open(&s, l->ctx, NULL, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_store_open(NULL, l->ctx, path, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_store_open(&s, NULL, path, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_store_open(&s, l->ctx, "/nowhere/at/all.db", NULL), DECAI_E_IO);
    assert_non_null(strstr(decai_error_detail(), "/nowhere/at/all.db"));
    assert_int_equal(decai_store_open(&s, l->ctx, "/tmp", NULL), DECAI_E_IO);
    memset(longest, 'a', sizeof longest);
    longest[DECAI_STORE_PATH_MAX + 1] = 0;
    assert_int_equal(decai_store_open(&s, l->ctx, longest, NULL), DECAI_E_LIMIT);
    longest[DECAI_STORE_PATH_MAX] = 0;
    assert_int_equal(decai_store_open(&s, l->ctx, longest, NULL), DECAI_E_IO);
    longest[DECAI_STORE_PATH_MAX - 1] = 0;
    assert_int_equal(decai_store_open(&s, l->ctx, longest, NULL), DECAI_E_IO);
    assert_null(s);
}

static void
test_options(void **state)
{
    life *l = *state;
    decai_options *o = NULL;
    decai_store *s = NULL;
    assert_int_equal(decai_options_create(&o, l->ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "store.synchronous", 4), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, "store.synchronous", 3), 0);
    assert_int_equal(decai_options_set_i64(o, "store.busy_ms", -1), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, "store.cache_kib", 64), 0);
    assert_int_equal(decai_store_open(&s, l->ctx, path, o), 0);
    decai_destroy(s);
    assert_int_equal(decai_options_set_str(o, "store.vfs", "no-such-vfs"), 0);
    assert_int_equal(decai_store_open(&s, l->ctx, path, o), DECAI_E_UNSUPPORTED);
    assert_null(s);
    decai_destroy(o);
    assert_int_equal(decai_options_create(&o, l->ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "job.lease_ms", 5), 0);
    assert_int_equal(decai_store_open(&s, l->ctx, path, o), DECAI_E_INVALID);      /* another room's key */
    decai_market *m = NULL;
    assert_int_equal(decai_store_open(&s, l->ctx, path, NULL), 0);
    assert_int_equal(decai_market_open(&m, s, o), 0);
    decai_destroy(o);
    decai_destroy(m);
    decai_destroy(s);
}

/* Two stores in memory do not see each other, and leave no file. */
static void
test_memory_is_private(void **state)
{
    life *l = *state;
    life other = {0};
    char text[64];
    size_t len;
    assert_int_equal(life_context(&other), 0);
    assert_int_equal(life_store(l, ":memory:", NULL, 2), 0);
    assert_int_equal(life_store(&other, ":memory:", NULL, 2), 0);
    assert_int_equal(decai_deposit_submit(l->market, "a", "A", "1", "k"), 0);
    assert_int_equal(decai_ledger_get(other.market, text, sizeof text, &len, "a", "A"), 0);
    assert_int_equal(len, 1);
    assert_int_equal(text[0], '0');
    assert_int_equal(access(":memory:", F_OK), -1);
    life_close(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_and_reopened, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_private, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
