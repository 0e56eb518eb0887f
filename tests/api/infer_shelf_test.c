/* Several models under one budget: made when asked for, the one not used for longest
 * goes first, who is held stays; threads that ask at once get one engine. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_infer.h"

static decai_context *ctx;
static decai_model *model[3];

static int
setup(void **state)
{
    (void)state;
    ctx = infer_context(1);
    for (uint64_t i = 0; i < 3; i++) {
        support_llama m = SUPPORT_LLAMA_TINY;
        m.seed = i + 1;
        model[i] = infer_model(ctx, &m);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) decai_destroy(model[i]);
    decai_destroy(ctx);
    return 0;
}

static decai_shelf *
shelf_of(int64_t bytes)
{
    decai_options *o = NULL;
    decai_shelf *s = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.shelf_bytes", bytes), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "native"), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.context", 32), 0);
    assert_int_equal(decai_shelf_create(&s, ctx, o), 0);
    /* The shelf has a copy. */
    assert_int_equal(decai_options_set_i64(o, "infer.context", 64), 0);
    decai_destroy(o);
    return s;
}

static long long
number(decai_shelf *s, const char *from, const char *name)
{
    char text[2048], key[64];
    size_t len;
    assert_int_equal(decai_shelf_format(s, (uint8_t *)text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_int_equal(decai_json_verify(ctx, text, len), 0);
    const char *at = from ? strstr(text, from) : text;
    assert_non_null(at);
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(at, key);
    assert_non_null(at);
    at += strlen(key);
    return *at == 't' ? 1 : *at == 'f' ? 0 : atoll(at);
}

static decai_engine *
get(decai_shelf *s, const char *name)
{
    decai_engine *e = NULL;
    assert_int_equal(decai_shelf_get(s, &e, name), 0);
    assert_non_null(e);
    return e;
}

static void
test_least_recently_used(void **state)
{
    decai_shelf *s = shelf_of(0);
    decai_engine *e;
    (void)state;

    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    long long bytes = number(s, NULL, "models") >= 0 ? number(s, "\"a\"", "bytes") : 0;
    assert_true(bytes > 0);
    decai_destroy(s);

    /* Room for two of three. */
    s = shelf_of(2 * bytes);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    assert_int_equal(decai_shelf_add(s, model[1], "b"), 0);
    assert_int_equal(decai_shelf_add(s, model[2], "c"), 0);
    assert_int_equal(number(s, NULL, "created"), 0);
    decai_destroy(get(s, "a"));
    decai_destroy(get(s, "b"));
    e = get(s, "a");
    char text[1024];
    size_t len;
    assert_int_equal(decai_engine_format(e, (uint8_t *)text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_non_null(strstr(text, "\"context\":32"));
    decai_destroy(e);
    assert_int_equal(number(s, NULL, "created"), 2);
    decai_destroy(get(s, "c"));                      /* b was got before a was got again */
    assert_true(number(s, "\"a\"", "ready") && !number(s, "\"b\"", "ready") && number(s, "\"c\"", "ready"));
    assert_true(number(s, NULL, "bytes") <= 2 * bytes);

    /* Held ones stay, by a session, too: the other one goes, and then none can. */
    e = get(s, "a");
    decai_session *session = infer_session(e, ctx, NULL);
    decai_destroy(e);
    decai_destroy(get(s, "b"));
    assert_true(number(s, "\"a\"", "ready") && !number(s, "\"c\"", "ready"));
    decai_engine *held = get(s, "b"), *none = (decai_engine *)s;
    assert_int_equal(decai_shelf_get(s, &none, "c"), DECAI_E_FULL);
    assert_null(none);
    decai_destroy(session);
    decai_destroy(get(s, "c"));
    assert_true(!number(s, "\"a\"", "ready") && number(s, "\"b\"", "ready"));
    /* The engine outlives the shelf. */
    decai_destroy(s);
    session = infer_session(held, ctx, NULL);
    decai_destroy(held);
    int32_t tokens[3] = { 1, 2, 3 }, token;
    assert_int_equal(decai_session_add(session, tokens, 3), 0);
    assert_int_equal(decai_session_next(session, &token), 1);
    decai_destroy(session);

    /* A byte too few for one. */
    s = shelf_of(bytes - 1);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), DECAI_E_LIMIT);
    decai_destroy(s);
    s = shelf_of(bytes);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    decai_destroy(get(s, "a"));
    decai_destroy(s);
}

static void
test_names(void **state)
{
    decai_shelf *s = shelf_of(0);
    decai_engine *e = NULL;
    char name[DECAI_SHELF_NAME_MAX + 2];
    (void)state;

    memset(name, 'n', sizeof name);
    name[DECAI_SHELF_NAME_MAX + 1] = 0;
    assert_int_equal(decai_shelf_add(s, model[0], name), DECAI_E_LIMIT);
    name[DECAI_SHELF_NAME_MAX] = 0;
    assert_int_equal(decai_shelf_add(s, model[0], name), 0);
    assert_int_equal(decai_shelf_add(s, model[0], name), DECAI_E_EXISTS);
    assert_int_equal(decai_shelf_add(s, model[0], ""), DECAI_E_INVALID);
    assert_int_equal(decai_shelf_add(s, model[0], NULL), DECAI_E_INVALID);
    assert_int_equal(decai_shelf_add(s, model[0], "a \"quoted\" name"), 0);
    assert_int_equal(decai_shelf_get(s, &e, "b"), DECAI_E_NOT_FOUND);
    (void)number(s, NULL, "bytes");                  /* valid JSON */
    for (int i = 2; i < DECAI_SHELF_MODELS_MAX; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(decai_shelf_add(s, model[0], name), 0);
    }
    assert_int_equal(decai_shelf_add(s, model[0], "one more"), DECAI_E_LIMIT);
    decai_destroy(s);
}

static void *
ask(void *user)
{
    decai_engine *e = NULL;
    if (decai_shelf_get(user, &e, "a")) abort();
    return e;
}

static void
test_asked_for_at_once(void **state)
{
    decai_shelf *s = shelf_of(0);
    pthread_t thread[4];
    void *got[4];
    (void)state;

    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, ask, s), 0);
    for (size_t i = 0; i < 4; i++) pthread_join(thread[i], &got[i]);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(got[i], got[0]);
        decai_destroy(got[i]);
    }
    assert_int_equal(number(s, NULL, "created"), 1);
    decai_destroy(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used), cmocka_unit_test(test_names), cmocka_unit_test(test_asked_for_at_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
