/* task_race_test.c - tasks, handles and threads in every order.
 *
 * Long work (loading a model, a verification, a dispute) is started, and while
 * it runs other threads cancel it, look at it, use or destroy what it was given.
 * Whatever happens, the answers are among those the headers list, nothing leaks
 * (AddressSanitizer) and nothing races (ThreadSanitizer). */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_proof.h"

enum { LOAD, VERIFY, DISPUTE, KINDS };

static struct {
    uint8_t *bytes;
    size_t len;
    char path[64];
    unsigned rounds;
    uint64_t seed;
} t;

static int
setup(void **state)
{
    (void)state;
    support_model(&t.bytes, &t.len, NULL, NULL);
    snprintf(t.path, sizeof t.path, "/tmp/decai-race-%ld.gguf", (long)getpid());
    t.rounds = getenv("DECAI_DEEP") ? 60 : 4;
    t.seed = 3;
    return support_gguf_save(t.path, t.bytes, t.len);
}

static int
teardown(void **state)
{
    (void)state;
    unlink(t.path);
    free(t.bytes);
    return 0;
}

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

/* One piece of background work and all handles around it. */
typedef struct work {
    int kind;
    decai_context *ctx;
    support_run run;
    decai_task *task;
    void *result;                    /* model, verification or dispute */
} work;

static void
begin(work *w, int kind, int64_t threads)
{
    uint8_t root[32];
    memset(w, 0, sizeof *w);
    w->kind = kind;
    w->ctx = context(threads);
    if (kind == LOAD) {
        assert_int_equal(decai_model_load_start(&w->task, (decai_model **)&w->result, w->ctx, t.path, NULL), 0);
        return;
    }
    support_run *r = &w->run;
    assert_int_equal(support_run_make(r, w->ctx, t.bytes, t.len, 1), 0);
    assert_int_equal(decai_model_root_get(r->model, root, 32), 0);
    if (kind == VERIFY)
        assert_int_equal(decai_verification_start(&w->task, (decai_verification **)&w->result, r->receipt, r->opening,
            r->opening_len, r->engine), 0);
    else
        assert_int_equal(decai_dispute_start(&w->task, (decai_dispute **)&w->result, r->receipt, r->opening, r->opening_len,
            r->engine, r->receipt, r->opening, r->opening_len, r->engine, root, 32), 0);
}

static void
end(work *w)
{
    decai_destroy(w->task);
    decai_destroy(w->result);
    support_run_free(&w->run);
    decai_destroy(w->ctx);
}

/* What the result says: 0 once the work is done and went well. */
static int32_t
look(const work *w)
{
    uint8_t root[32];
    uint64_t replayed, committed;
    int32_t loser;
    int64_t n;
    if (w->kind == LOAD) return decai_model_root_get(w->result, root, 32);
    if (w->kind == VERIFY) return decai_verification_get(w->result, &replayed, &committed);
    return decai_dispute_get(w->result, &loser, &n, &n, &n, &n, &n);
}

static void
pause_a_little(void)
{
    for (uint64_t n = support_rand(&t.seed) % 400; n > 0; n--) sched_yield();
}

/* ---- cancel ---------------------------------------------------------------- */

static void *
canceller(void *user)
{
    work *w = user;
    const char *phase;
    uint64_t done, total;
    for (int i = 0; i < 200; i++) {
        (void)decai_task_progress(w->task, &phase, &done, &total);
        (void)look(w);
        sched_yield();
    }
    (void)decai_task_cancel(w->task);
    return NULL;
}

static void
cancelled_from_another_thread(void **state)
{
    (void)state;
    unsigned cancelled = 0, finished = 0;
    for (unsigned i = 0; i < t.rounds * KINDS * 3; i++) {
        work w;
        pthread_t other;
        begin(&w, (int)(i % KINDS), (int64_t)(i / KINDS % 3));
        assert_int_equal(pthread_create(&other, NULL, canceller, &w), 0);
        pause_a_little();
        int32_t r = decai_task_wait(w.task, -1);
        pthread_join(other, NULL);
        if (r != 0 && r != DECAI_E_CANCELLED) fail_msg("kind %d: %d %s", w.kind, (int)r, decai_error_detail());
        assert_int_equal(decai_task_wait(w.task, 0), r);
        assert_int_equal(look(&w), r ? DECAI_E_STATE : 0);
        if (r && w.kind == LOAD) {                /* a root that is not there reads as zeros */
            uint8_t root[32], zero[32] = {0};
            memset(root, 0xee, sizeof root);
            assert_int_equal(decai_model_root_get(w.result, root, 32), DECAI_E_STATE);
            assert_memory_equal(root, zero, 32);
        }
        if (r) cancelled++;
        else finished++;
        end(&w);
    }
    print_message("# %u cancelled, %u finished first\n", cancelled, finished);
    assert_true(cancelled + finished == t.rounds * KINDS * 3);
}

/* ---- destroy ---------------------------------------------------------------- */

static void
destroyed_in_any_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < t.rounds * KINDS * 3; i++) {
        work w;
        begin(&w, (int)(i % KINDS), (int64_t)(i / KINDS % 3));
        void *handles[] = {w.task, w.result, w.run.receipt, w.run.engine, w.run.tok, w.run.model, w.ctx};
        size_t count = sizeof handles / sizeof *handles;
        if (i % 2) pause_a_little();
        while (count) {
            size_t at = (size_t)(support_rand(&t.seed) % count);
            decai_destroy(handles[at]);
            handles[at] = handles[--count];
        }
        free(w.run.opening);
    }
    /* Work that nobody holds ends on its pool thread, context and all. */
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

/* ---- the receipt while it is verified ------------------------------------------ */

static void *
receipt_user(void *user)
{
    work *w = user;
    uint8_t id[32], bytes[8192];
    size_t len;
    for (int i = 0; i < 300; i++) {
        int32_t r = decai_receipt_id_get(w->run.receipt, id, 32);
        if (!r) r = decai_receipt_encode(w->run.receipt, bytes, sizeof bytes, &len);
        if (r && r != DECAI_E_BUSY) return "a receipt gave something else than BUSY";
    }
    return NULL;
}

static void
receipt_is_busy_or_free(void **state)
{
    (void)state;
    for (unsigned i = 0; i < t.rounds; i++) {
        work w;
        pthread_t other;
        void *said = NULL;
        begin(&w, i % 2 ? DISPUTE : VERIFY, 2);
        assert_int_equal(pthread_create(&other, NULL, receipt_user, &w), 0);
        int32_t r = decai_task_wait(w.task, -1);
        pthread_join(other, &said);
        assert_null(said);
        if (r != 0 && r != DECAI_E_BUSY) fail_msg("%d %s", (int)r, decai_error_detail());
        end(&w);
    }
}

/* ---- a session, and a receipt of it, from two threads ---------------------------- */

typedef struct shared {
    support_run run;
    decai_session *session;
    atomic_int stop;
} shared;

static void *
receipt_maker(void *user)
{
    shared *s = user;
    while (!atomic_load(&s->stop)) {
        decai_receipt *r = NULL;
        int32_t e = decai_receipt_create(&r, s->session, s->run.tok, NULL);
        decai_destroy(r);
        if (e && e != DECAI_E_BUSY && e != DECAI_E_STATE) return "a receipt's creation gave something else";
    }
    return NULL;
}

static void
session_and_receipt(void **state)
{
    (void)state;
    decai_context *ctx = context(1);
    shared s = {0};
    pthread_t other;
    void *said = NULL;
    int32_t token;
    assert_int_equal(support_engine(&s.run, ctx, t.bytes, t.len), 0);
    assert_int_equal(support_session(&s.session, ctx, s.run.engine), 0);
    assert_int_equal(pthread_create(&other, NULL, receipt_maker, &s), 0);
    for (unsigned i = 0; i < t.rounds * 40; i++) {
        int32_t r = decai_session_next(s.session, &token);
        if (r == 0) {
            static const int32_t prompt[3] = {70, 71, 72};
            while ((r = decai_session_start(s.session)) == DECAI_E_BUSY) {}
            assert_int_equal(r, 0);
            while ((r = decai_session_add(s.session, prompt, 3)) == DECAI_E_BUSY) {}
            assert_int_equal(r, 0);
        } else if (r != 1) {
            assert_int_equal(r, DECAI_E_BUSY);
        }
    }
    atomic_store(&s.stop, 1);
    pthread_join(other, &said);
    assert_null(said);
    decai_destroy(s.session);
    support_run_free(&s.run);
    decai_destroy(ctx);
}

/* ---- fork ----------------------------------------------------------------------- */

/* In the child nothing answers, nothing hangs, and destroy does nothing. */
static void
forked_while_it_works(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        work w;
        int status;
        begin(&w, kind, 2);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int bad = look(&w) != DECAI_E_STATE;
            bad |= decai_task_wait(w.task, -1) != DECAI_E_STATE;
            bad |= decai_task_cancel(w.task) != DECAI_E_STATE;
            decai_destroy(w.task);
            decai_destroy(w.result);
            decai_destroy(w.run.engine);
            decai_destroy(w.ctx);
            _exit(bad);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(decai_task_wait(w.task, -1), 0);
        assert_int_equal(look(&w), 0);
        end(&w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelled_from_another_thread),
        cmocka_unit_test(destroyed_in_any_order),
        cmocka_unit_test(receipt_is_busy_or_free),
        cmocka_unit_test(session_and_receipt),
        cmocka_unit_test(forked_while_it_works),
    };
    return cmocka_run_group_tests_name("task_race", tests, setup, teardown);
}
