/* Engines and sessions through the public door: the life of a conversation, its
 * limits, its errors, and that nothing but model, tokens and sampler decides. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_infer.h"

static const support_llama TINY = SUPPORT_LLAMA_TINY;
static decai_context *ctx;
static decai_model *model;
static decai_engine *engine;

static int
setup(void **state)
{
    (void)state;
    ctx = infer_context(1);
    model = infer_model(ctx, &TINY);
    engine = infer_engine(ctx, model, NULL);
    return engine ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    /* Any order: the engine keeps model and context. */
    decai_destroy(ctx);
    decai_destroy(model);
    decai_destroy(engine);
    return 0;
}

static int32_t
pull(decai_session *s, int32_t *out, int32_t cap)
{
    int32_t n = 0, r, token;
    while ((r = decai_session_next(s, &token)) == 1)
        if (n < cap) out[n++] = token;
    assert_int_equal(r, 0);
    return n;
}

static void
test_life(void **state)
{
    decai_session *s = infer_session(engine, ctx, "infer.max_tokens", (int64_t)10, "infer.activation_tree", (int64_t)1, NULL);
    int32_t prompt[5], first[16], second[16];
    uint8_t h1[32], h2[32], r1[32], r2[32];
    uint64_t in, out, in_ns, out_ns;
    (void)state;

    infer_tokens(prompt, 5, TINY.n_vocab, 3);
    assert_int_equal(decai_session_add(s, prompt, 5), 0);
    int32_t n = pull(s, first, 16);
    assert_true(n >= 1 && n <= 10);
    assert_int_equal(decai_session_count(s, &in, &out, &in_ns, &out_ns), 0);
    assert_true(in == 5 && out == (uint64_t)n && in_ns > 0 && out_ns > 0);
    assert_int_equal(decai_session_hash_get(s, h1, 32), 0);
    assert_int_equal(decai_session_root_get(s, r1, 32), 0);

    /* The same again, after a new start. */
    assert_int_equal(decai_session_start(s), 0);
    assert_int_equal(decai_session_add(s, prompt, 2), 0);
    assert_int_equal(decai_session_add(s, prompt + 2, 3), 0);
    assert_int_equal(pull(s, second, 16), n);
    assert_memory_equal(first, second, 4 * (size_t)n);
    assert_int_equal(decai_session_hash_get(s, h2, 32), 0);
    assert_int_equal(decai_session_root_get(s, r2, 32), 0);
    assert_memory_equal(h1, h2, 32);
    assert_memory_equal(r1, r2, 32);

    /* A further turn goes on. */
    assert_int_equal(decai_session_add(s, prompt, 5), 0);
    assert_true(pull(s, second, 16) >= 1);
    assert_int_equal(decai_session_root_get(s, r2, 32), 0);
    assert_memory_not_equal(r1, r2, 32);
    decai_destroy(s);
}

/* A prompt computed at once and the same tokens drawn one by one: equal logits
 * at the end, because nothing depends on how tokens came in. */
static void
test_prefill_is_decode(void **state)
{
    decai_session *a = infer_session(engine, ctx, "infer.max_tokens", (int64_t)8, NULL);
    decai_session *b = infer_session(engine, ctx, "infer.max_tokens", (int64_t)1, NULL);
    int32_t tokens[32] = { 0 }, n, last[2];
    float x[320], y[320];
    size_t len;
    (void)state;

    infer_tokens(tokens, 9, TINY.n_vocab, 4);
    assert_int_equal(decai_session_add(a, tokens, 9), 0);
    n = pull(a, tokens + 9, 20);
    assert_int_equal(decai_session_logits_get(a, x, 320, &len), 0);
    assert_int_equal(decai_session_add(b, tokens, 9 + (size_t)n - 1), 0);
    assert_int_equal(pull(b, last, 2), 1);
    assert_int_equal(decai_session_logits_get(b, y, 320, &len), 0);
    assert_int_equal(last[0], tokens[9 + n - 1]);
    assert_memory_equal(x, y, sizeof x);
    decai_destroy(a);
    decai_destroy(b);
}

static void
test_context_limit(void **state)
{
    int32_t tokens[130], token;
    (void)state;
    infer_tokens(tokens, 130, TINY.n_vocab, 5);

    for (size_t n = 127; n <= 129; n++) {
        decai_session *s = infer_session(engine, ctx, NULL);
        int32_t r = decai_session_add(s, tokens, n);
        assert_int_equal(r, n <= 128 ? 0 : DECAI_E_LIMIT);
        if (r) {
            assert_non_null(strstr(decai_error_detail(), "129"));
            assert_non_null(strstr(decai_error_detail(), "128"));
            /* Nothing changed: less still fits. */
            assert_int_equal(decai_session_add(s, tokens, 128), 0);
            assert_int_equal(decai_session_add(s, tokens, 1), DECAI_E_LIMIT);
        }
        decai_destroy(s);
    }
    /* Sampling goes on until no token can be computed any more. */
    decai_session *s = infer_session(engine, ctx, NULL);
    int32_t r, drawn = 0;
    assert_int_equal(decai_session_add(s, tokens, 126), 0);
    while ((r = decai_session_next(s, &token)) == 1) drawn++;
    assert_true((r == DECAI_E_LIMIT && drawn == 3) || (r == 0 && drawn <= 3));
    decai_destroy(s);

    decai_options *o = NULL;
    decai_engine *e = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    for (int64_t c = 127; c <= 129; c++) {
        assert_int_equal(decai_options_set_i64(o, "infer.context", c), 0);
        assert_int_equal(decai_engine_create(&e, model, o), c <= 128 ? 0 : DECAI_E_LIMIT);
        decai_destroy(e);
    }
    assert_null(e);
    assert_int_equal(decai_options_set_i64(o, "infer.context", DECAI_CONTEXT_TOKENS_MAX), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.context", DECAI_CONTEXT_TOKENS_MAX + 1), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, "infer.batch", DECAI_BATCH_MAX), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.batch", DECAI_BATCH_MAX + 1), DECAI_E_INVALID);
    decai_destroy(o);
}

static void
test_errors(void **state)
{
    decai_session *s = infer_session(engine, ctx, NULL);
    int32_t bad[3] = { 1, 320, 2 }, token;
    uint8_t h[32], zero[32] = { 0 };
    float x[4];
    size_t len = 9;
    (void)state;

    assert_int_equal(decai_session_next(s, &token), DECAI_E_STATE);
    assert_int_equal(decai_session_logits_get(s, x, 4, &len), DECAI_E_STATE);
    assert_int_equal(len, 0);
    assert_int_equal(decai_session_root_get(s, h, 32), DECAI_E_STATE);
    assert_non_null(strstr(decai_error_detail(), "infer.activation_tree"));
    assert_int_equal(decai_session_hash_get(s, h, 31), DECAI_E_INVALID);
    assert_int_equal(decai_session_hash_get(s, h, 32), 0);
    assert_memory_equal(h, zero, 32);
    assert_int_equal(decai_session_add(s, bad, 3), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "tokens[1]: 320"));
    bad[1] = -1;
    assert_int_equal(decai_session_add(s, bad, 3), DECAI_E_INVALID);
    assert_int_equal(decai_session_add(s, bad, 0), DECAI_E_INVALID);
    assert_int_equal(decai_session_add(s, NULL, 3), DECAI_E_INVALID);
    assert_int_equal(decai_session_add(NULL, bad, 3), DECAI_E_INVALID);
    assert_int_equal(decai_session_add((decai_session *)(void *)engine, bad, 3), DECAI_E_INVALID);
    bad[1] = 5;
    assert_int_equal(decai_session_add(s, bad, 3), 0);
    assert_int_equal(decai_session_next(s, &token), 1);
    assert_int_equal(decai_session_logits_get(s, x, 4, &len), DECAI_E_SPACE);
    assert_int_equal(len, 320);
    decai_destroy(s);

    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.hash", 1), 0);
    decai_engine *e = engine;
    assert_int_equal(decai_engine_create(&e, model, o), DECAI_E_INVALID);
    assert_null(e);
    s = NULL;
    assert_int_equal(decai_session_create(&s, engine, o), DECAI_E_INVALID);
    assert_int_equal(decai_session_create(NULL, engine, NULL), DECAI_E_INVALID);
    decai_destroy(o);
    decai_destroy(NULL);
}

static void
test_format(void **state)
{
    uint8_t text[1024];
    size_t len = 0, need = 0;
    (void)state;
    assert_int_equal(decai_engine_format(engine, NULL, 0, &need), DECAI_E_SPACE);
    assert_int_equal(decai_engine_format(engine, text, sizeof text - 1, &len), 0);
    assert_int_equal(len, need);
    text[len] = 0;
    assert_non_null(strstr((char *)text, "\"backend\":\"native\""));
    assert_non_null(strstr((char *)text, "\"vocab\":320"));
    assert_non_null(strstr((char *)text, "\"scales_lost\":"));
    assert_int_equal(decai_engine_format(engine, text, len - 1, &need), DECAI_E_SPACE);
}

/* ---- cancel from another thread, busy --------------------------------------- */

typedef struct racer { decai_session *s; atomic_int go; } racer;

static void *
cancel_soon(void *user)
{
    racer *r = user;
    while (!atomic_load(&r->go)) { }
    assert_int_equal(decai_session_cancel(r->s), 0);
    return NULL;
}

static void
test_cancel(void **state)
{
    int32_t tokens[120], token, r;
    (void)state;
    infer_tokens(tokens, 120, TINY.n_vocab, 6);
    for (int round = 0; round < 5; round++) {
        racer race = { .s = infer_session(engine, ctx, NULL) };
        pthread_t thread;
        atomic_init(&race.go, 0);
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &race), 0);
        atomic_store(&race.go, 1);
        /* It may come before, in between or after; from then on it holds. */
        do {
            r = decai_session_start(race.s);
            assert_true(r == 0);
            r = decai_session_add(race.s, tokens, 120);
            assert_true(r == 0 || r == DECAI_E_CANCELLED);
        } while (0);
        pthread_join(thread, NULL);
        if (r == 0) {
            /* The cancel fell before the start, or after the add. */
            r = decai_session_next(race.s, &token);
            assert_true(r == 1 || r == DECAI_E_CANCELLED);
        }
        assert_int_equal(decai_session_cancel(race.s), 0);
        assert_int_equal(decai_session_next(race.s, &token), DECAI_E_CANCELLED);
        assert_int_equal(decai_session_add(race.s, tokens, 1), DECAI_E_CANCELLED);
        assert_int_equal(decai_session_start(race.s), 0);
        assert_int_equal(decai_session_add(race.s, tokens, 1), 0);
        assert_int_equal(decai_session_next(race.s, &token), 1);
        decai_destroy(race.s);
    }
}

typedef struct crowd { int32_t want[8], n; } crowd;

static void *
one_of_many(void *user)
{
    crowd *c = user;
    decai_session *s = infer_session(engine, ctx, "infer.max_tokens", (int64_t)8, NULL);
    int32_t tokens[40], got[8];
    infer_tokens(tokens, 40, TINY.n_vocab, 8);
    if (decai_session_add(s, tokens, 40)) return "add";
    int32_t n = 0, token;
    while (decai_session_next(s, &token) == 1 && n < 8) got[n++] = token;
    decai_destroy(s);
    if (c->n < 0) {
        c->n = n;
        memcpy(c->want, got, sizeof got);
        return NULL;
    }
    return n == c->n && !memcmp(got, c->want, 4 * (size_t)n) ? NULL : "differs";
}

/* Sessions on three threads share one engine. */
static void
test_shared_engine(void **state)
{
    crowd c = { .n = -1 };
    pthread_t thread[3];
    (void)state;
    assert_null(one_of_many(&c));
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&thread[i], NULL, one_of_many, &c), 0);
    for (int i = 0; i < 3; i++) {
        void *r = NULL;
        pthread_join(thread[i], &r);
        assert_null(r);
    }
}

static void
test_fork(void **state)
{
    decai_session *s = infer_session(engine, ctx, NULL);
    int32_t token = 1;
    (void)state;
    assert_int_equal(decai_session_add(s, &token, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        int bad = decai_session_next(s, &token) != DECAI_E_STATE || decai_session_add(s, &token, 1) != DECAI_E_STATE
            || decai_session_cancel(s) != DECAI_E_STATE;
        decai_destroy(s);
        _exit(bad);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(decai_session_next(s, &token), 1);
    decai_destroy(s);
}

/* ---- devices ------------------------------------------------------------------- */

static void
test_missing_device(void **state)
{
    decai_options *o = NULL;
    decai_engine *e = NULL;
    uint8_t text[1024];
    size_t len;
    (void)state;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "opencl"), 0);
    assert_int_equal(decai_options_set_str(o, "compute.device", "no such device"), 0);
    assert_int_equal(decai_options_set_i64(o, "compute.fallback", 0), 0);
    assert_int_equal(decai_engine_create(&e, model, o), DECAI_E_DEVICE);
    assert_null(e);
    assert_int_equal(decai_options_set_i64(o, "compute.fallback", 1), 0);
    assert_int_equal(decai_engine_create(&e, model, o), 0);
    assert_int_equal(decai_engine_format(e, text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_non_null(strstr((char *)text, "\"backend\":\"native\""));
    decai_destroy(e);
    decai_destroy(o);
}

/* ---- hostile numbers ------------------------------------------------------------- */

static void
huge_norm(void *user, const char *tensor, uint8_t *data, size_t size)
{
    static const float huge = 3e38f;
    (void)user;
    if (!strcmp(tensor, "blk.1.ffn_norm.weight"))
        for (size_t i = 0; i + 4 <= size; i += 4) memcpy(data + i, &huge, 4);
}

static void
test_numbers_that_explode(void **state)
{
    support_llama m = TINY;
    int32_t tokens[4] = { 1, 2, 3, 4 }, token;
    (void)state;
    m.tamper = huge_norm;
    decai_model *bad = infer_model(ctx, &m);
    decai_engine *e = infer_engine(ctx, bad, NULL);
    decai_session *s = infer_session(e, ctx, "infer.activation_tree", (int64_t)1, NULL);
    uint8_t root[32];

    assert_int_equal(decai_session_add(s, tokens, 4), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "blk.1."));
    assert_int_equal(decai_session_next(s, &token), DECAI_E_STATE);
    assert_int_equal(decai_session_root_get(s, root, 32), DECAI_E_STATE);
    assert_int_equal(decai_session_start(s), 0);
    assert_int_equal(decai_session_add(s, tokens, 4), DECAI_E_INTEGRITY);
    decai_destroy(s);
    decai_destroy(e);
    decai_destroy(bad);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life), cmocka_unit_test(test_prefill_is_decode), cmocka_unit_test(test_context_limit),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_format), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_shared_engine), cmocka_unit_test(test_fork), cmocka_unit_test(test_missing_device),
        cmocka_unit_test(test_numbers_that_explode),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
