/* A device that goes away in the middle of a conversation: native takes over,
 * the session replays its tokens, and nobody can tell from the numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"
#include "infer/engine.h"
#include "support_infer.h"

#define PROMPT 70
#define OUTPUT 8

typedef struct outcome { uint8_t root[32], hash[32]; int32_t tokens[OUTPUT], count; } outcome;

/* A memory seam whose k-th call from now fails, once. */
static int64_t fail_in = -1;

static void *
failing_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    (void)user;
    (void)old_size;
    if (!size) {
        free(ptr);
        return NULL;
    }
    if (fail_in >= 0 && fail_in-- == 0) return NULL;
    return realloc(ptr, size);
}

static const support_llama SMALL = { .n_vocab = 320, .n_embd = 64, .n_layer = 2, .n_head = 4, .n_head_kv = 2,
    .n_ff = 96, .n_ctx = 128, .type = 8, .vocab = 1, .seed = 21 };

/* lose_at: before which output token (-1: before the prompt; OUTPUT: never). */
static int32_t
converse(decai_context *ctx, decai_engine *engine, int lose_at, outcome *out)
{
    decai_session *s = infer_session(engine, ctx, "infer.activation_nodes", (int64_t)1, "infer.max_tokens", (int64_t)OUTPUT, NULL);
    int32_t tokens[PROMPT], token, r;

    memset(out, 0, sizeof *out);
    infer_tokens(tokens, PROMPT, 300, 9);
    if (lose_at == -1) engine->body->c->lost = true;
    r = decai_session_add(s, tokens, PROMPT);
    while (!r) {
        if (out->count == lose_at) engine->body->c->lost = true;
        r = decai_session_next(s, &token);
        if (r != 1) break;
        out->tokens[out->count++] = token;
        r = 0;
    }
    if (!r) r = decai_session_root_get(s, out->root, 32);
    if (!r) r = decai_session_hash_get(s, out->hash, 32);
    decai_destroy(s);
    return r;
}

static decai_engine *
make(decai_context *ctx, decai_model *model, int64_t fallback)
{
    decai_options *o = NULL;
    decai_engine *e = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "scalar"), 0);
    assert_int_equal(decai_options_set_i64(o, "compute.fallback", fallback), 0);
    assert_int_equal(decai_engine_create(&e, model, o), 0);
    decai_destroy(o);
    return e;
}

static void
test_replay(void **state)
{
    static const int moments[] = { -1, 0, 1, 5 };
    decai_context *ctx = infer_context(0);
    decai_model *model = infer_model(ctx, &SMALL);
    outcome want, got;
    (void)state;

    decai_engine *e = make(ctx, model, 1);
    assert_int_equal(converse(ctx, e, OUTPUT + 1, &want), 0);
    assert_int_equal(want.count, OUTPUT);
    decai_destroy(e);
    for (size_t i = 0; i < DECAI__COUNT(moments); i++) {
        e = make(ctx, model, 1);
        assert_string_equal(decai__engine_backend(e), "scalar");
        assert_int_equal(converse(ctx, e, moments[i], &got), 0);
        assert_memory_equal(&got, &want, sizeof got);
        assert_string_equal(decai__engine_backend(e), "native");
        /* Once only: a native body that fails is an error. */
        assert_int_equal(converse(ctx, e, 2, &got), DECAI_E_DEVICE);
        decai_destroy(e);
    }
    decai_destroy(model);
    decai_destroy(ctx);
}

static void
test_no_fallback(void **state)
{
    decai_context *ctx = infer_context(0);
    decai_model *model = infer_model(ctx, &SMALL);
    decai_engine *e = make(ctx, model, 0);
    outcome got;
    (void)state;
    assert_int_equal(converse(ctx, e, 3, &got), DECAI_E_DEVICE);
    assert_non_null(strstr(decai_error_detail(), "lost"));
    assert_int_equal(got.count, 3);
    decai_destroy(e);
    decai_destroy(model);
    decai_destroy(ctx);
}

/* Another session of the same engine, opened before the loss, follows. */
static void
test_second_session(void **state)
{
    decai_context *ctx = infer_context(0);
    decai_model *model = infer_model(ctx, &SMALL);
    decai_engine *e = make(ctx, model, 1);
    int32_t tokens[PROMPT], a, b;
    uint8_t x[32], y[32];
    (void)state;

    infer_tokens(tokens, PROMPT, 300, 2);
    decai_session *first = infer_session(e, ctx, NULL), *second = infer_session(e, ctx, NULL);
    assert_int_equal(decai_session_add(first, tokens, PROMPT), 0);
    assert_int_equal(decai_session_add(second, tokens, PROMPT), 0);
    e->body->c->lost = true;
    assert_int_equal(decai_session_next(first, &a), 1);
    assert_int_equal(decai_session_next(second, &b), 1);
    assert_int_equal(a, b);
    assert_int_equal(decai_session_hash_get(first, x, 32), 0);
    assert_int_equal(decai_session_hash_get(second, y, 32), 0);
    assert_memory_equal(x, y, 32);
    decai_destroy(first);
    decai_destroy(e);

    /* And a session that is opened after the loss, when nobody has noticed yet. */
    e = make(ctx, model, 1);
    e->body->c->lost = true;
    first = infer_session(e, ctx, NULL);
    assert_int_equal(decai_session_add(first, tokens, PROMPT), 0);
    assert_int_equal(decai_session_next(first, &b), 1);
    assert_int_equal(a, b);
    decai_destroy(first);
    decai_destroy(e);
    decai_destroy(second);
    decai_destroy(model);
    decai_destroy(ctx);
}

/* No memory in the middle of the move: an error, and after a new start the same
 * numbers. Prompts around the end of a cache page move while the cache grows. */
static void
test_move_without_memory(void **state)
{
    static const size_t prompts[] = { DECAI__KV_PAGE - 1, DECAI__KV_PAGE, DECAI__KV_PAGE + 1 };
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    int32_t tokens[DECAI__KV_PAGE + 1], want = 0, token;
    bool deep = getenv("DECAI_DEEP") != NULL;         /* each k makes an engine with its self-test */
    unsigned failures = 0;
    (void)state;

    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)failing_realloc, NULL), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    decai_model *model = infer_model(ctx, &SMALL);
    infer_tokens(tokens, DECAI__KV_PAGE + 1, 300, 4);
    for (size_t i = deep ? 0 : 1; i < (deep ? DECAI__COUNT(prompts) : 2); i++) {
        for (int64_t k = -1; ; k += deep || k < 0 ? 1 : 13) {
            decai_engine *e = make(ctx, model, 1);
            decai_session *s = infer_session(e, ctx, "infer.activation_tree", (int64_t)1, NULL);
            assert_int_equal(decai_session_add(s, tokens, prompts[i]), 0);
            if (k >= 0) e->body->c->lost = true;
            fail_in = k;
            int32_t r = decai_session_next(s, &token);
            bool failed = k >= 0 && fail_in < 0;
            fail_in = -1;
            if (k < 0) want = token;
            if (failed) {
                failures++;
                assert_int_equal(r, DECAI_E_NOMEM);
                (void)decai_session_next(s, &token);
                assert_int_equal(decai_session_start(s), 0);
                assert_int_equal(decai_session_add(s, tokens, prompts[i]), 0);
                r = decai_session_next(s, &token);
            }
            assert_int_equal(r, 1);
            assert_int_equal(token, want);
            decai_destroy(s);
            decai_destroy(e);
            if (k >= 0 && !failed) break;
        }
    }
    assert_true(failures > (deep ? 30 : 2));
    decai_destroy(model);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay), cmocka_unit_test(test_no_fallback), cmocka_unit_test(test_second_session), cmocka_unit_test(test_move_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
