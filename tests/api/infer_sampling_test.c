/* The sampler's options through the public door: what they promise over a whole
 * answer, what is refused, and the likeliest tokens. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_infer.h"

enum { OUTPUT = 40 };

static const support_llama TINY = SUPPORT_LLAMA_TINY;
static decai_context *ctx;
static decai_engine *engine;
static int32_t prompt[6];

static int
setup(void **state)
{
    (void)state;
    ctx = infer_context(1);
    decai_model *model = infer_model(ctx, &TINY);
    engine = infer_engine(ctx, model, NULL);
    decai_destroy(model);
    infer_tokens(prompt, 6, TINY.n_vocab, 4);
    return engine ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(engine);
    decai_destroy(ctx);
    return 0;
}

/* "key=value key=value": numbers, or a text where the value is none. */
static decai_options *
options(const char *text)
{
    decai_options *o = NULL;
    char key[64], value[200];
    int used = 0;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    for (; sscanf(text, " %63[^=]=%199s%n", key, value, &used) == 2; text += used) {
        int32_t r = decai_options_set_f64(o, key, strtod(value, NULL));
        if (r) r = decai_options_set_i64(o, key, strtoll(value, NULL, 10));
        if (r) r = decai_options_set_str(o, key, value);
        if (r) fail_msg("%s: %s", key, decai_error_detail());
    }
    return o;
}

static decai_session *
session(const char *text)
{
    decai_options *o = options(text);
    decai_session *s = NULL;
    if (decai_session_create(&s, engine, o)) fail_msg("%s: %s", text, decai_error_detail());
    decai_destroy(o);
    return s;
}

static size_t
answer(decai_session *s, int32_t out[OUTPUT])
{
    size_t n = 0;
    assert_int_equal(decai_session_add(s, prompt, 6), 0);
    while (n < OUTPUT && decai_session_next(s, &out[n]) == 1) n++;
    return n;
}

static size_t
answer_with(const char *text, int32_t out[OUTPUT])
{
    decai_session *s = session(text);
    size_t n = answer(s, out);
    decai_destroy(s);
    return n;
}

/* ---- what the options promise ----------------------------------------------------------------- */

static void
test_bias(void **state)
{
    int32_t plain[OUTPUT], out[OUTPUT];
    char text[200];
    (void)state;
    size_t n = answer_with("infer.ignore_end=1", plain);
    assert_int_equal(n, OUTPUT);
    snprintf(text, sizeof text, "infer.ignore_end=1 infer.logit_bias=%d:-inf", (int)plain[0]);
    n = answer_with(text, out);
    for (size_t i = 0; i < n; i++) assert_int_not_equal(out[i], plain[0]);
    n = answer_with("infer.ignore_end=1 infer.temperature=2 infer.logit_bias=77:1000", out);
    for (size_t i = 0; i < n; i++) assert_int_equal(out[i], 77);
}

/* So strong a penalty that nothing comes twice; then not even what the prompt had. */
static void
test_presence(void **state)
{
    int32_t out[OUTPUT];
    (void)state;
    for (int with_prompt = 0; with_prompt < 2; with_prompt++) {
        char text[200];
        snprintf(text, sizeof text, "infer.ignore_end=1 infer.presence_penalty=1000 infer.penalty_last_n=-1 infer.penalty_prompt=%d", with_prompt);
        size_t n = answer_with(text, out);
        assert_int_equal(n, OUTPUT);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < i; j++) assert_int_not_equal(out[i], out[j]);
            for (size_t j = 0; with_prompt && j < 6; j++) assert_int_not_equal(out[i], prompt[j]);
        }
    }
    /* A window of three: within four tokens all differ. */
    size_t n = answer_with("infer.ignore_end=1 infer.presence_penalty=1000 infer.penalty_last_n=3", out);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i > 3 ? i - 3 : 0; j < i; j++) assert_int_not_equal(out[i], out[j]);
}

/* With an allowed length of one no pair comes a second time. */
static void
test_dry(void **state)
{
    int32_t out[OUTPUT];
    (void)state;
    size_t n = answer_with("infer.ignore_end=1 infer.dry_multiplier=1000 infer.dry_allowed_length=1", out);
    assert_int_equal(n, OUTPUT);
    for (size_t i = 1; i < n; i++)
        for (size_t j = 1; j < i; j++)
            if (out[j] == out[i] && out[j - 1] == out[i - 1]) fail_msg("pair at %zu and %zu", j, i);
}

/* The same answer after a new start and in another session; mirostat's state too. */
static void
test_again(void **state)
{
    static const char *const texts[] = {
        "infer.ignore_end=1 infer.temperature=1.5 infer.mirostat=2 infer.mirostat_tau=3 infer.seed=5",
        "infer.ignore_end=1 infer.temperature=1.5 infer.min_p=0.02 infer.xtc_probability=0.5 infer.xtc_threshold=0.05 infer.seed=6",
        "infer.ignore_end=1 infer.temperature=1.5 infer.typical_p=0.7 infer.repeat_penalty=1.2 infer.frequency_penalty=0.3",
        "infer.ignore_end=1 infer.temperature=1.5 infer.top_n_sigma=1.5 infer.dry_multiplier=0.8 infer.dry_breakers=1,2",
    };
    int32_t a[OUTPUT], b[OUTPUT], plain[OUTPUT];
    (void)state;
    answer_with("infer.ignore_end=1 infer.temperature=1.5", plain);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        decai_session *s = session(texts[i]);
        assert_int_equal(answer(s, a), OUTPUT);
        assert_memory_not_equal(a, plain, sizeof a);
        assert_int_equal(decai_session_start(s), 0);
        assert_int_equal(answer(s, b), OUTPUT);
        assert_memory_equal(a, b, sizeof a);
        decai_destroy(s);
        answer_with(texts[i], b);
        assert_memory_equal(a, b, sizeof a);
    }
}

static void
test_refused(void **state)
{
    static const struct { const char *text, *word; int32_t error; } rows[] = {
        { "infer.logit_bias=600:1", "infer.logit_bias", DECAI_E_INVALID },
        { "infer.logit_bias=1:x", "infer.logit_bias", DECAI_E_INVALID },
        { "infer.dry_multiplier=1 infer.dry_breakers=5,600", "infer.dry_breakers", DECAI_E_INVALID },
        { "infer.mirostat=2 infer.top_k=5", "infer.top_k", DECAI_E_INVALID },
        { "infer.mirostat=1", "infer.mirostat", DECAI_E_UNSUPPORTED },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        decai_options *o = options(rows[i].text);
        decai_session *s = NULL;
        assert_int_equal(decai_session_create(&s, engine, o), rows[i].error);
        assert_null(s);
        assert_non_null(strstr(decai_error_detail(), rows[i].word));
        decai_destroy(o);
    }
}

/* Everything forbidden: an error that says so. */
static void
test_nothing_allowed(void **state)
{
    static char text[16384] = "0:-inf";
    decai_options *o = NULL;
    decai_session *s = NULL;
    int32_t token;
    (void)state;
    for (uint32_t i = 1; i < TINY.n_vocab; i++) snprintf(text + strlen(text), 16, ",%u:-inf", i);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "infer.logit_bias", text), 0);
    assert_int_equal(decai_session_create(&s, engine, o), 0);
    assert_int_equal(decai_session_add(s, prompt, 6), 0);
    assert_int_equal(decai_session_next(s, &token), DECAI_E_STATE);
    assert_non_null(strstr(decai_error_detail(), "no token is allowed"));
    decai_destroy(s);
    decai_destroy(o);
}

/* ---- the likeliest ---------------------------------------------------------------------------- */

static void
check_top(decai_session *s, int32_t token, uint32_t count)
{
    static float logits[2048];
    int32_t ids[DECAI_TOP_MAX + 1];
    float logprobs[DECAI_TOP_MAX + 1];
    size_t vocab, n, m;
    double sum = 0;
    assert_int_equal(decai_session_logits_get(s, logits, 2048, &vocab), 0);
    assert_int_equal(decai_session_top_get(s, ids, DECAI_TOP_MAX + 1, &n, logprobs, DECAI_TOP_MAX + 1, &m, count), 0);
    assert_int_equal(n, m);
    assert_int_equal(n, (count < vocab ? count : vocab) + 1);
    assert_int_equal(ids[0], token);
    for (size_t i = 0; i < vocab; i++) sum += exp((double)logits[i]);
    for (size_t i = 0; i < n; i++) assert_true(fabs(logprobs[i] - (logits[ids[i]] - log(sum))) < 1e-5);
    /* In rank: before each the larger ones, or equal ones of smaller id. */
    for (size_t i = 1; i < n; i++) {
        size_t before = 0;
        for (size_t j = 0; j < vocab; j++)
            before += logits[j] > logits[ids[i]] || (logits[j] == logits[ids[i]] && (int32_t)j < ids[i]);
        assert_int_equal(before, i - 1);
    }
}

static void
test_top(void **state)
{
    /* The options change what is drawn, not what is shown. */
    decai_session *s = session("infer.ignore_end=1 infer.temperature=3 infer.presence_penalty=5 infer.logit_bias=3:9");
    int32_t token, ids[4];
    float values[4];
    size_t n, m;
    (void)state;
    assert_int_equal(decai_session_top_get(s, ids, 4, &n, values, 4, &m, 2), DECAI_E_STATE);
    assert_int_equal(decai_session_add(s, prompt, 6), 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(decai_session_next(s, &token), 1);
        check_top(s, token, (uint32_t)(i * i * 2));
    }
    assert_int_equal(decai_session_add(s, prompt, 1), 0);
    assert_int_equal(decai_session_top_get(s, ids, 4, &n, values, 4, &m, 2), DECAI_E_STATE);
    assert_int_equal(decai_session_next(s, &token), 1);
    check_top(s, token, DECAI_TOP_MAX - 1);
    check_top(s, token, DECAI_TOP_MAX);
    assert_int_equal(decai_session_top_get(s, ids, 4, &n, values, 4, &m, DECAI_TOP_MAX + 1), DECAI_E_LIMIT);
    assert_true(n == 0 && m == 0);
    assert_int_equal(decai_session_top_get(s, NULL, 0, &n, NULL, 0, &m, 20), DECAI_E_SPACE);
    assert_true(n == 21 && m == 21);
    assert_int_equal(decai_session_top_get(s, ids, 4, &n, values, 3, &m, 3), DECAI_E_SPACE);
    assert_int_equal(decai_session_top_get(s, NULL, 4, &n, values, 4, &m, 3), DECAI_E_INVALID);
    assert_int_equal(decai_session_top_get(s, ids, 4, NULL, values, 4, &m, 3), DECAI_E_INVALID);
    assert_int_equal(decai_session_top_get(NULL, ids, 4, &n, values, 4, &m, 3), DECAI_E_INVALID);
    decai_destroy(s);
}

/* With infer.logprobs the figure of a token is that of its place. */
static void
test_top_is_logprobs(void **state)
{
    decai_session *s = session("infer.ignore_end=1 infer.logprobs=1 infer.temperature=1");
    int32_t token, ids[1];
    float shown[5], kept[16];
    size_t n, m;
    (void)state;
    assert_int_equal(decai_session_add(s, prompt, 6), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(decai_session_next(s, &token), 1);
        assert_int_equal(decai_session_top_get(s, ids, 1, &n, &shown[i], 1, &m, 0), 0);
        assert_true(ids[0] == token && n == 1);
    }
    assert_int_equal(decai_session_logprobs_get(s, kept, 16, &n), 0);
    assert_int_equal(n, 10);
    assert_memory_equal(shown, kept + 6, 4 * sizeof *shown);
    decai_destroy(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bias), cmocka_unit_test(test_presence), cmocka_unit_test(test_dry), cmocka_unit_test(test_again),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_nothing_allowed), cmocka_unit_test(test_top),
        cmocka_unit_test(test_top_is_logprobs),
    };
    return cmocka_run_group_tests_name("infer_sampling", tests, setup, teardown);
}
