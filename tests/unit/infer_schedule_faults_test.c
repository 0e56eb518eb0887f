/* What goes wrong while many are computed: a device that goes away is replaced and
 * nobody can tell; one whose numbers are none fails alone, and so does one for whom
 * there is no memory; a clock that stands still stops nobody. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "compute/backend.h"
#include "infer/engine.h"
#include "support_infer.h"

#define TALKS 5
#define PROMPT 70
#define ANSWER 10

static const support_llama SMALL = { .n_vocab = 320, .n_embd = 64, .n_layer = 2, .n_head = 4, .n_head_kv = 2,
    .n_ff = 96, .n_ctx = 128, .type = 8, .vocab = 1, .seed = 21 };

typedef struct outcome { int32_t tokens[ANSWER], count, end; int64_t value; uint8_t hash[32], root[32]; } outcome;

static decai_engine *
make(decai_context *ctx, decai_model *model, int64_t fallback)
{
    decai_options *o = NULL;
    decai_engine *e = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "scalar"), 0);
    assert_int_equal(decai_options_set_i64(o, "compute.fallback", fallback), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.batch", 48), 0);
    assert_int_equal(decai_engine_create(&e, model, o), 0);
    decai_destroy(o);
    return e;
}

static void
prompt_of(size_t i, int32_t *tokens)
{
    infer_tokens(tokens, PROMPT, 300, 7);            /* the first page is everybody's */
    tokens[66] = (int32_t)i;
}

/* All talks; the device is lost before event lose_at. */
static void
converse(decai_context *ctx, decai_engine *e, long lose_at, outcome *out)
{
    decai_scheduler *q = NULL;
    decai_session *s[TALKS];
    int32_t tokens[PROMPT], kind;
    int64_t value, total;
    uint64_t id;
    long events = 0;

    memset(out, 0, TALKS * sizeof *out);
    assert_int_equal(decai_scheduler_create(&q, e, NULL), 0);
    for (size_t i = 0; i < TALKS; i++) {
        s[i] = infer_session(e, ctx, "infer.activation_tree", (int64_t)(i % 2), "infer.max_tokens", (int64_t)ANSWER,
            "infer.ignore_end", (int64_t)1, "infer.logprobs", (int64_t)(i == 4), NULL);
        prompt_of(i, tokens);
        assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, tokens, PROMPT), 0);
    }
    for (;;) {
        if (events++ == lose_at) e->body->c->lost = true;
        if (decai_scheduler_next(q, &kind, &id, &value, &total, 0) != 1) break;
        outcome *o = &out[id - 1];
        if (kind == DECAI_EVENT_TOKEN) o->tokens[o->count++] = (int32_t)value;
        if (kind >= DECAI_EVENT_FINISHED) o->end = kind, o->value = value;
        if (kind == DECAI_EVENT_FAILED) assert_true(strlen(decai_error_detail()) > 0);
    }
    for (size_t i = 0; i < TALKS; i++) {
        (void)decai_session_hash_get(s[i], out[i].hash, 32);
        if (i % 2) (void)decai_session_root_get(s[i], out[i].root, 32);
        decai_destroy(s[i]);
    }
    decai_destroy(q);
}

static void
test_lost_device(void **state)
{
    decai_context *ctx = infer_context(1);
    decai_model *model = infer_model(ctx, &SMALL);
    outcome want[TALKS], got[TALKS];
    (void)state;

    decai_engine *e = make(ctx, model, 1);
    converse(ctx, e, -1, want);
    for (size_t i = 0; i < TALKS; i++) assert_true(want[i].end == DECAI_EVENT_FINISHED && want[i].count == ANSWER);
    assert_string_equal(decai__engine_backend(e), "scalar");
    decai_destroy(e);
    for (long at = 0; at < 60; at += 7) {
        e = make(ctx, model, 1);
        converse(ctx, e, at, got);
        assert_string_equal(decai__engine_backend(e), "native");
        assert_memory_equal(got, want, sizeof got);
        decai_destroy(e);
    }
    /* Without a fallback everybody fails, with a reason, and nobody hangs. */
    e = make(ctx, model, 0);
    converse(ctx, e, 9, got);
    for (size_t i = 0; i < TALKS; i++) assert_true(got[i].end == DECAI_EVENT_FAILED && got[i].value == DECAI_E_DEVICE);
    decai_destroy(e);
    decai_destroy(model);
    decai_destroy(ctx);
}

/* ---- one among others -------------------------------------------------------------------- */

/* Token 5's embedding is no number: Q8_0 scales of that row are NaN. */
static void
bad_row(void *user, const char *name, uint8_t *data, size_t len)
{
    size_t row = SMALL.n_embd / 32 * 34;
    (void)user;
    if (strcmp(name, "token_embd.weight") || len < 6 * row) return;
    for (size_t b = 0; b < row; b += 34) data[5 * row + b] = 0xff, data[5 * row + b + 1] = 0x7f;
}

static void
test_one_fails_alone(void **state)
{
    support_llama m = SMALL;
    decai_context *ctx = infer_context(1);
    outcome want[TALKS], got[TALKS];
    (void)state;

    m.tamper = bad_row;
    decai_model *good = infer_model(ctx, &SMALL), *bad = infer_model(ctx, &m);
    decai_engine *e = infer_engine(ctx, good, NULL), *f = infer_engine(ctx, bad, NULL);
    /* Twice: nobody asks for the bad row; the third talk does. */
    for (int culprit = 0; culprit < 2; culprit++) {
        decai_scheduler *q = NULL;
        decai_session *s[TALKS];
        int32_t tokens[PROMPT], kind;
        int64_t value, total;
        uint64_t id;
        for (int side = 0; side < 2; side++) {
            outcome *out = side ? got : want;
            decai_engine *which = side ? f : e;
            memset(out, 0, sizeof want);
            assert_int_equal(decai_scheduler_create(&q, which, NULL), 0);
            for (size_t i = 0; i < TALKS; i++) {
                s[i] = infer_session(which, ctx, "infer.max_tokens", (int64_t)ANSWER, "infer.ignore_end", (int64_t)1, NULL);
                infer_tokens(tokens, PROMPT, 300, 60 + i);
                for (size_t j = 0; j < PROMPT; j++) if (tokens[j] == 5) tokens[j] = 6;
                if (i == 2 && culprit) tokens[40] = 5;
                assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, tokens, PROMPT), 0);
            }
            while (decai_scheduler_next(q, &kind, &id, &value, &total, 0) == 1) {
                outcome *o = &out[id - 1];
                if (kind == DECAI_EVENT_TOKEN) o->tokens[o->count++] = (int32_t)value;
                if (kind >= DECAI_EVENT_FINISHED) o->end = kind, o->value = value;
                if (kind == DECAI_EVENT_FAILED) assert_non_null(strstr(decai_error_detail(), "token_embd"));
            }
            for (size_t i = 0; i < TALKS; i++) {
                if (out[i].end == DECAI_EVENT_FINISHED) assert_int_equal(decai_session_hash_get(s[i], out[i].hash, 32), 0);
                decai_destroy(s[i]);
            }
            decai_destroy(q);
        }
        for (size_t i = 0; i < TALKS; i++) {
            bool said = false;                       /* its own answer may name the row too */
            for (int32_t j = 0; j < want[i].count; j++) said |= want[i].tokens[j] == 5;
            if (i == 2 && culprit) assert_true(got[i].end == DECAI_EVENT_FAILED && got[i].value == DECAI_E_CORRUPT && !got[i].count);
            else if (!said) assert_memory_equal(&got[i], &want[i], sizeof got[i]);
        }
    }
    decai_destroy(e);
    decai_destroy(f);
    decai_destroy(good);
    decai_destroy(bad);
    decai_destroy(ctx);
}

/* ---- a clock that stands still ------------------------------------------------------------- */

static int64_t
stopped(void *user)
{
    (void)user;
    return 1;
}

static void
test_stopped_clock(void **state)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    outcome out[TALKS], usual[TALKS];
    (void)state;

    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.clock.mono_ns", (decai_fn)stopped, NULL), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    decai_model *model = infer_model(ctx, &SMALL);
    decai_engine *e = make(ctx, model, 1);
    converse(ctx, e, -1, out);
    decai_destroy(e);
    decai_destroy(model);
    decai_destroy(ctx);
    ctx = infer_context(0);
    model = infer_model(ctx, &SMALL);
    e = make(ctx, model, 1);
    converse(ctx, e, -1, usual);
    assert_memory_equal(out, usual, sizeof out);
    decai_destroy(e);
    decai_destroy(model);
    decai_destroy(ctx);
}

/* ---- somebody else computes --------------------------------------------------------------- */

typedef struct stepper { decai_scheduler *q; int32_t tokens, over; atomic_int started; } stepper;

static void *
step_all(void *user)
{
    stepper *w = user;
    int32_t kind;
    int64_t value, total;
    uint64_t id;

    atomic_store(&w->started, 1);
    while (w->over < 2 && decai_scheduler_next(w->q, &kind, &id, &value, &total, -1) == 1) {
        w->tokens += kind == DECAI_EVENT_TOKEN;
        w->over += kind == DECAI_EVENT_FINISHED;
    }
    return NULL;
}

/* The backend is busy with a pass that is none of this scheduler's: whoever submits or
 * looks does not wait for its end. Were it so, this test would not come to its own. */
static void
test_busy_backend(void **state)
{
    decai_context *ctx = infer_context(0);
    decai_model *model = infer_model(ctx, &SMALL);
    decai_engine *e = make(ctx, model, 1);
    decai_session *s[2];
    stepper w = { 0 };
    int32_t tokens[PROMPT];
    uint8_t text[4096];
    size_t len;
    pthread_t thread;
    (void)state;

    assert_int_equal(decai_scheduler_create(&w.q, e, NULL), 0);
    for (size_t i = 0; i < 2; i++)
        s[i] = infer_session(e, ctx, "infer.max_tokens", (int64_t)ANSWER, "infer.ignore_end", (int64_t)1, NULL);
    prompt_of(0, tokens);
    assert_int_equal(decai_scheduler_submit(w.q, s[0], 1, 0, tokens, PROMPT), 0);
    decai__compute_lock(e->body->c);
    assert_int_equal(pthread_create(&thread, NULL, step_all, &w), 0);
    while (!atomic_load(&w.started)) sched_yield();
    for (int i = 0; i < 20; i++) {                   /* it waits for the backend, with a prompt to look up */
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        assert_int_equal(decai_scheduler_format(w.q, text, sizeof text, &len), 0);
    }
    prompt_of(1, tokens);
    assert_int_equal(decai_scheduler_submit(w.q, s[1], 2, 0, tokens, PROMPT), 0);
    decai__compute_unlock(e->body->c);
    pthread_join(thread, NULL);
    assert_int_equal(w.tokens, 2 * ANSWER);
    decai_destroy(w.q);
    for (size_t i = 0; i < 2; i++) decai_destroy(s[i]);
    decai_destroy(e);
    decai_destroy(model);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_device), cmocka_unit_test(test_one_fails_alone), cmocka_unit_test(test_stopped_clock),
        cmocka_unit_test(test_busy_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
