/* One grammar, a matcher in each of several threads: the same masks as alone, while the
 * masks are worked out and forgotten under them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "support_gguf.h"
#include "tok/tok.h"

enum { THREADS = 4, ROUNDS = 6, WORDS = SUPPORT_VOCAB_MIN / 64 };

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":[\"integer\",\"string\"]}},"
    "\"b\":{\"type\":\"string\",\"maxLength\":5},\"c\":{}},\"required\":[\"a\"]}";
static const char answer[] = "{\"a\": [1, \"two\", 33], \"b\": \"five\", \"c\": {\"d\": [null, true, {\"e\": -1.5e3}]}}";

static decai_context *ctx;
static decai_tokenizer *t;

typedef struct walk { const decai_grammar *g; uint64_t masks[sizeof answer][WORDS]; int32_t result; } walk;

static void *
run(void *user)
{
    walk *w = user;
    decai_matcher *m = NULL;
    uint64_t bits[WORDS], taken;
    w->result = decai_matcher_create(&m, w->g);
    for (int round = 0; round < ROUNDS && !w->result; round++) {
        size_t i = 0;
        for (; i + 1 < sizeof answer && !w->result; i++) {
            int32_t token = (uint8_t)answer[i];
            w->result = decai__matcher_mask(m, bits);
            if (!w->result && round && memcmp(bits, w->masks[i], sizeof bits)) w->result = 1;
            memcpy(w->masks[i], bits, sizeof bits);
            if (!w->result) w->result = decai__matcher_add(m, &taken, &token, 1);
            if (!w->result && !taken) w->result = 2;
        }
        if (!w->result) w->result = decai__matcher_remove(m, i);
    }
    decai_destroy(m);
    return NULL;
}

static decai_grammar *
grammar(int64_t cache)
{
    decai_options *o;
    decai_grammar *g;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "tok.grammar_cache_max", cache), 0);
    assert_int_equal(decai_grammar_create(&g, t, "json_schema", schema, sizeof schema - 1, o), 0);
    decai_destroy(o);
    return g;
}

static void
shared(int64_t cache)
{
    static walk alone, walks[THREADS];
    pthread_t threads[THREADS];
    decai_grammar *g = grammar(1 << 26);
    alone.g = g;
    run(&alone);
    assert_int_equal(alone.result, 0);
    decai_destroy(g);
    g = grammar(cache);
    for (int i = 0; i < THREADS; i++) {
        walks[i].g = g;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &walks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(walks[i].result, 0);
        assert_memory_equal(walks[i].masks, alone.masks, sizeof alone.masks);
    }
    decai_destroy(g);
}

/* What masks know of the vocabulary is made by whoever comes first. */
static void *
first_grammar(void *user)
{
    walk *w = user;
    decai_grammar *g = NULL;
    w->result = decai_grammar_create(&g, t, "json_schema", schema, sizeof schema - 1, NULL);
    w->g = g;
    if (!w->result) run(w);
    decai_destroy(g);
    return NULL;
}

static void
test_first_grammars(void **state)
{
    static walk walks[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, first_grammar, &walks[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(walks[i].result, 0);
        assert_memory_equal(walks[i].masks, walks[0].masks, sizeof walks[0].masks);
    }
}

static void test_shared(void **state) { (void)state; shared(1 << 26); }
static void test_forgotten_meanwhile(void **state) { (void)state; shared(0); }

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_first_grammars), cmocka_unit_test(test_shared), cmocka_unit_test(test_forgotten_meanwhile) };
    gguf_writer w;
    decai_model *m = NULL;
    uint8_t *bytes;
    size_t len;
    if (decai_context_create(&ctx, NULL)) return 1;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    gguf_end(&w, &bytes, &len);
    int32_t r = decai_model_open(&m, ctx, bytes, len, NULL);
    if (!r) r = decai_tokenizer_create(&t, m, NULL);
    free(bytes);
    decai_destroy(m);
    if (!r) r = cmocka_run_group_tests_name("tok_grammar_thread", tests, NULL, NULL);
    decai_destroy(t);
    decai_destroy(ctx);
    return r;
}
