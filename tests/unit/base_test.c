/* base_test.c - the inside of base: buffers, sizes, loops, slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <pthread.h>
#include <cmocka.h>

#include "base/base.h"

static decai_context *
context(int64_t threads)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_i64(o, "base.threads", threads), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    return ctx;
}

static void
buffer_holds_its_maximum(void **state)
{
    (void)state;
    decai_context *ctx = context(0);
    for (size_t n = 99; n <= 101; n++) {
        decai__buf b;
        decai__buf_init(&b, ctx, 100, "TEST_MAX");
        uint8_t byte = 7;
        int32_t r = 0;
        for (size_t i = 0; i < n; i++) r = decai__buf_add(&b, &byte, 1);
        assert_int_equal(r, n > 100 ? DECAI_E_LIMIT : 0);
        assert_int_equal(b.len, n > 100 ? 100 : n);
        if (n > 100) {
            assert_non_null(strstr(decai_error_detail(), "TEST_MAX"));
            /* Sticky: nothing more goes in, even if it would fit. */
            assert_int_equal(decai__buf_add(&b, &byte, 0), DECAI_E_LIMIT);
        }
        decai__buf_free(&b);
    }
    decai_destroy(ctx);
}

static void
buffer_prints_long_text(void **state)
{
    (void)state;
    decai_context *ctx = context(0);
    decai__buf b;
    decai__buf_init(&b, ctx, 4096, "TEST_MAX");
    char want[700];
    memset(want, 'x', sizeof want - 1);
    want[sizeof want - 1] = 0;
    assert_int_equal(decai__buf_printf(&b, "%d:%s", 5, want), 0);
    assert_int_equal(b.len, 2 + strlen(want));
    assert_memory_equal(b.data + 2, want, strlen(want));
    decai__buf_free(&b);
    decai_destroy(ctx);
}

static void
sizes_do_not_wrap(void **state)
{
    (void)state;
    size_t v;
    assert_true(decai__mul_size(&v, SIZE_MAX / 2, 2));
    assert_false(decai__mul_size(&v, SIZE_MAX / 2 + 1, 2));
    assert_true(decai__add_size(&v, SIZE_MAX, 0));
    assert_false(decai__add_size(&v, SIZE_MAX, 1));
    decai_context *ctx = context(0);
    assert_null(decai__calloc(ctx, SIZE_MAX / 2 + 1, 2));
    assert_null(decai__alloc(ctx, SIZE_MAX));
    decai_destroy(ctx);
}

static void
count_index(void *user, size_t i)
{
    atomic_fetch_add(&((atomic_int *)user)[i], 1);
}

static void
parallel_loop_runs_each_index_once(void **state)
{
    (void)state;
    static atomic_int seen[1000];
    for (int64_t threads = 0; threads <= 4; threads += 2) {
        decai_context *ctx = context(threads);
        for (int round = 1; round <= 50; round++) {
            memset(seen, 0, sizeof seen);
            decai__parallel(ctx, 1000, count_index, seen);
            for (int i = 0; i < 1000; i++) assert_int_equal(atomic_load(&seen[i]), 1);
        }
        assert_int_equal(decai__thread_count(ctx), threads + 1);
        decai_destroy(ctx);
    }
}

/* Callers that share a pool: more than there are slots, inside and outside of
 * begin and end, with short and empty loops; tasks come in between. */
typedef struct caller { decai_context *ctx; int rounds; size_t sum; } caller;

static void
add_index(void *user, size_t i)
{
    atomic_fetch_add((atomic_size_t *)user, i + 1);
}

static void *
call_loops(void *user)
{
    caller *c = user;
    for (int round = 0; round < c->rounds; round++) {
        atomic_size_t sum = 0;
        if (round % 3 == 0) decai__parallel_begin(c->ctx);
        decai__parallel(c->ctx, (size_t)round % 7, add_index, &sum);
        decai__parallel(c->ctx, 8, add_index, &sum);
        if (round % 3 == 0) decai__parallel_end(c->ctx);
        size_t n = (size_t)round % 7;
        c->sum += atomic_load(&sum) - n * (n + 1) / 2;
    }
    return NULL;
}

static void
many_callers_share_a_pool(void **state)
{
    (void)state;
    enum { CALLERS = 11 };
    for (int64_t threads = 0; threads <= 8; threads += 4) {
        decai_context *ctx = context(threads);
        caller c[CALLERS];
        pthread_t t[CALLERS];
        for (int i = 0; i < CALLERS; i++) {
            c[i] = (caller){ ctx, 200, 0 };
            assert_int_equal(pthread_create(&t[i], NULL, call_loops, &c[i]), 0);
        }
        for (int i = 0; i < CALLERS; i++) {
            pthread_join(t[i], NULL);
            assert_int_equal(c[i].sum, 200 * 36);
        }
        decai_destroy(ctx);
    }
}

static int32_t
work(decai_task *task, void *user)
{
    for (uint64_t i = 0; i < 10; i++) decai__task_report(task, "count", i + 1, 10);
    *(int *)user += 1;
    return decai__fail(-4, "work: failed");
}

static int32_t
work_until_stopped(decai_task *task, void *user)
{
    atomic_int *started = user;
    atomic_store(started, 1);
    while (!decai__task_stopped(task)) {}
    atomic_store(started, 2);
    return decai__fail(DECAI_E_CANCELLED, "stopped");
}

static void
task_runs_and_reports(void **state)
{
    (void)state;
    for (int64_t threads = 0; threads <= 2; threads++) {
        decai_context *ctx = context(threads);
        int ran = 0;
        decai_task *t = NULL;
        assert_int_equal(decai__task_start(&t, ctx, work, &ran, NULL), 0);
        assert_int_equal(decai_task_wait(t, -1), -4);
        assert_int_equal(decai__fail(-1, "another"), -1);
        assert_int_equal(decai_task_wait(t, 0), -4);
        assert_string_equal(decai_error_detail(), "work: failed");   /* of a pool thread, too */
        assert_int_equal(ran, 1);
        const char *phase;
        uint64_t done, total;
        assert_int_equal(decai_task_progress(t, &phase, &done, &total), 0);
        assert_string_equal(phase, "count");
        assert_int_equal(done, 10);
        assert_int_equal(total, 10);
        decai_destroy(t);
        decai_destroy(ctx);
    }
}

static void
task_stops_when_asked(void **state)
{
    (void)state;
    decai_context *ctx = context(1);
    atomic_int at = 0;
    decai_task *t = NULL;
    assert_int_equal(decai__task_start(&t, ctx, work_until_stopped, &at, NULL), 0);
    while (!atomic_load(&at)) {}
    assert_int_equal(decai_task_wait(t, 1), DECAI_E_TIMEOUT);
    assert_int_equal(decai_task_cancel(t), 0);
    assert_int_equal(decai_task_wait(t, -1), DECAI_E_CANCELLED);
    decai_destroy(t);
    decai_destroy(ctx);
}

/* The task is the last to hold its context: a pool thread then frees the pool
 * it runs on. */
static void
abandoned_task_ends_by_itself(void **state)
{
    (void)state;
    atomic_int at = 0;
    decai_context *ctx = context(2);
    decai_task *t = NULL;
    assert_int_equal(decai__task_start(&t, ctx, work_until_stopped, &at, NULL), 0);
    while (!atomic_load(&at)) {}
    decai_destroy(ctx);
    decai_destroy(t);
    while (atomic_load(&at) != 2) {}
}

static int32_t
work_that_fails(decai_task *task, void *user)
{
    (void)task;
    return user ? decai__fail(DECAI_E_CORRUPT, "field: value 7 is wrong") : DECAI_E_IO;
}

/* The detail is per thread: who waits gets the worker's, never another task's. */
static void
task_hands_over_its_detail(void **state)
{
    (void)state;
    for (int64_t threads = 0; threads < 2; threads++) {
        decai_context *ctx = context(threads);
        decai_task *t = NULL;
        int mark;
        assert_int_equal(decai__task_start(&t, ctx, work_that_fails, &mark, NULL), 0);
        assert_int_equal(decai_task_wait(t, -1), DECAI_E_CORRUPT);
        assert_string_equal(decai_error_detail(), "field: value 7 is wrong");
        assert_int_equal(decai_constant_get(NULL, "x"), DECAI_E_INVALID);
        assert_int_equal(decai_task_wait(t, 0), DECAI_E_CORRUPT);
        assert_string_equal(decai_error_detail(), "field: value 7 is wrong");
        decai_destroy(t);
        assert_int_equal(decai__task_start(&t, ctx, work_that_fails, NULL, NULL), 0);
        assert_int_equal(decai_task_wait(t, -1), DECAI_E_IO);
        assert_string_equal(decai_error_detail(), "");
        decai_destroy(t);
        decai_destroy(ctx);
    }
}

static int made, destroyed;

static int32_t
slot_make(decai_context *ctx, void **value)
{
    (void)ctx;
    *value = &made;
    return made++ ? DECAI_E_INTERNAL : 0;
}

static void
slot_destroy(decai_context *ctx, void *value)
{
    (void)ctx;
    assert_ptr_equal(value, &made);
    destroyed++;
}

static void
slot_is_made_once(void **state)
{
    (void)state;
    decai_context *ctx = context(0);
    void *v = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(decai__context_slot(ctx, DECAI__SLOT_HASH, &v, slot_make, slot_destroy), 0);
        assert_ptr_equal(v, &made);
    }
    decai_destroy(ctx);
    assert_int_equal(made, 1);
    assert_int_equal(destroyed, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_holds_its_maximum),
        cmocka_unit_test(buffer_prints_long_text),
        cmocka_unit_test(sizes_do_not_wrap),
        cmocka_unit_test(parallel_loop_runs_each_index_once),
        cmocka_unit_test(many_callers_share_a_pool),
        cmocka_unit_test(task_runs_and_reports),
        cmocka_unit_test(task_stops_when_asked),
        cmocka_unit_test(abandoned_task_ends_by_itself),
        cmocka_unit_test(task_hands_over_its_detail),
        cmocka_unit_test(slot_is_made_once),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
