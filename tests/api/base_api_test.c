/* base_api_test.c - base as a program that links the library sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "decai.h"

static void
names_are_pinned(void **state)
{
    (void)state;
    assert_string_equal(decai_error_name(0), "ok");
    assert_string_equal(decai_error_name(1), "ok");
    assert_string_equal(decai_error_name(-1), "DECAI_E_INVALID");
    assert_string_equal(decai_error_name(-2), "DECAI_E_NOMEM");
    assert_string_equal(decai_error_name(-3), "DECAI_E_SPACE");
    assert_string_equal(decai_error_name(-12), "DECAI_E_INTEGRITY");
    assert_string_equal(decai_error_name(-20), "DECAI_E_FULL");
    assert_string_equal(decai_error_name(INT32_MIN), "DECAI_E_UNKNOWN");
}

static void
constants_match_the_header(void **state)
{
    (void)state;
    int64_t v;
    assert_int_equal(decai_constant_get(&v, "DECAI_OPTION_KEY_MAX"), 0);
    assert_int_equal(v, DECAI_OPTION_KEY_MAX);
    assert_int_equal(decai_constant_get(&v, "DECAI_E_NOMEM"), 0);
    assert_int_equal(v, DECAI_E_NOMEM);
    assert_int_equal(decai_constant_get(&v, "DECAI_NO_SUCH"), DECAI_E_NOT_FOUND);
    assert_int_equal(v, 0);
    assert_int_equal(decai_constant_get(NULL, "DECAI_E_NOMEM"), DECAI_E_INVALID);
}

static void
tables_can_be_walked(void **state)
{
    (void)state;
    const char *name, *doc;
    int32_t v;
    size_t n = 0;
    while (decai_feature_at(&name, &v, n) == 1) n++;
    assert_true(n >= 4);
    assert_null(name);
    n = 0;
    while (decai_option_at(&name, &v, &doc, n) == 1) {
        assert_true(strlen(name) <= DECAI_OPTION_KEY_MAX && strchr(name, '.'));
        assert_in_range(v, DECAI_OPTION_I64, DECAI_OPTION_FN);
        assert_true(strlen(doc) > 10);
        n++;
    }
    assert_true(n >= 8);
}

static void
options_check_what_is_set(void **state)
{
    (void)state;
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_i64(o, "base.threads", -1), DECAI_E_INVALID);
    assert_string_equal(decai_error_detail(), "base.threads: -1 is outside 0 to 256");
    assert_int_equal(decai_options_set_i64(o, "base.threads", DECAI_THREADS_MAX + 1), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, "base.threads", DECAI_THREADS_MAX), 0);
    assert_int_equal(decai_options_set_i64(o, "base.treads", 1), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "base.treads"));
    assert_int_equal(decai_options_set_str(o, "base.threads", "2"), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_f64(o, "base.threads", NAN), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, NULL, 1), DECAI_E_INVALID);
    char key[DECAI_OPTION_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    for (size_t n = DECAI_OPTION_KEY_MAX - 1; n <= DECAI_OPTION_KEY_MAX + 1; n++) {
        key[n] = 0;
        assert_int_equal(decai_options_set_i64(o, key, 1),
            n > DECAI_OPTION_KEY_MAX ? DECAI_E_LIMIT : DECAI_E_INVALID);
        key[n] = 'k';
    }
    decai_destroy(o);
}

static void
handles_are_checked(void **state)
{
    (void)state;
    decai_context *ctx = NULL;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64((decai_options *)ctx, "base.threads", 1), DECAI_E_INVALID);
    assert_int_equal(decai_retain(NULL), DECAI_E_INVALID);
    /* Parents first: children keep them. */
    assert_int_equal(decai_retain(o), 0);
    decai_destroy(ctx);
    decai_destroy(o);
    assert_int_equal(decai_options_set_i64(o, "base.threads", 1), 0);
    decai_destroy(o);
    decai_destroy(NULL);
}

static void
fork_closes_the_doors(void **state)
{
    (void)state;
    decai_context *ctx = NULL;
    decai_options *o = NULL, *ctx_options = NULL;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_i64(o, "base.threads", 2), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    assert_int_equal(decai_options_create(&ctx_options, ctx), 0);
    pid_t pid = fork();
    if (!pid) {
        decai_options *in_child = NULL;
        int bad = decai_options_create(&in_child, ctx) != DECAI_E_STATE;
        bad |= decai_options_set_i64(ctx_options, "base.threads", 1) != DECAI_E_STATE;
        decai_destroy(ctx_options);
        decai_destroy(ctx);
        _exit(bad);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(decai_options_set_i64(ctx_options, "base.threads", 1), 0);
    decai_destroy(o);
    decai_destroy(ctx_options);
    decai_destroy(ctx);
}

static void *
fail_on_this_thread(void *user)
{
    (void)user;
    decai_retain(NULL);
    assert_string_equal(decai_error_detail(), "handle: NULL");
    return NULL;
}

static void
detail_is_per_thread(void **state)
{
    (void)state;
    int64_t v;
    decai_constant_get(&v, "DECAI_NO_SUCH");
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, fail_on_this_thread, NULL), 0);
    pthread_join(t, NULL);
    assert_non_null(strstr(decai_error_detail(), "DECAI_NO_SUCH"));
}

static int64_t
frozen_clock(void *user)
{
    (void)user;
    return 42;
}

static void
seams_are_taken_by_key(void **state)
{
    (void)state;
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.clock.wall_ms", (decai_fn)frozen_clock, NULL), 0);
    assert_int_equal(decai_options_set_bytes(o, "seam.clock.wall_ms", NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    decai_destroy(ctx);
}

static void
api_text_is_there(void **state)
{
    (void)state;
    assert_int_equal(decai_api_json()[0], '{');
    assert_int_equal(strlen(decai_version()) >= 5, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_pinned),
        cmocka_unit_test(constants_match_the_header),
        cmocka_unit_test(tables_can_be_walked),
        cmocka_unit_test(options_check_what_is_set),
        cmocka_unit_test(handles_are_checked),
        cmocka_unit_test(fork_closes_the_doors),
        cmocka_unit_test(detail_is_per_thread),
        cmocka_unit_test(seams_are_taken_by_key),
        cmocka_unit_test(api_text_is_there),
    };
    return cmocka_run_group_tests_name("base_api", tests, NULL, NULL);
}
