/* proof_sampler_test.c - receipts of runs with every step of the sampler: made, read,
 * replayed, shown; a wrong token found, a wrong list refused, a dispute decided. And of
 * runs that ended because somebody stopped them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "proof/dispute.h"
#include "support_proof.h"

enum { OUTPUT = 24 };

static struct {
    decai_context *ctx;
    support_run base;                /* model, tokenizer, engine; its receipt is greedy */
    uint8_t root[32];
} t;

static const int32_t prompt[] = {72, 101, 108, 108, 111, 32, 72, 101, 108, 108, 111};

static int
setup(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t len;
    assert_int_equal(decai_context_create(&t.ctx, NULL), 0);
    support_model(&bytes, &len, NULL, NULL);
    assert_int_equal(support_run_make(&t.base, t.ctx, bytes, len, 1), 0);
    assert_int_equal(decai_model_root_get(t.base.model, t.root, 32), 0);
    free(bytes);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    support_run_free(&t.base);
    decai_destroy(t.ctx);
    return 0;
}

/* What each run is made with, and words that its receipt shows. */
static const struct { const char *options, *shown[3]; } runs[] = {
    {"infer.temperature=1.5 infer.min_p=0.02", {"\"min_p_65536\": 1311"}},
    {"infer.temperature=1.5 infer.typical_p=0.6", {"\"typical_p_65536\": 39322"}},
    {"infer.temperature=1.5 infer.top_n_sigma=1.25", {"\"top_n_sigma\": 1.250"}},
    {"infer.repeat_penalty=1.3 infer.penalty_last_n=-1", {"\"repeat_penalty\": 1.300", "\"penalty_last_n\": -1"}},
    {"infer.presence_penalty=-0.5 infer.frequency_penalty=0.7 infer.penalty_prompt=0 infer.temperature=1",
        {"\"presence_penalty\": -0.500", "\"penalty_own\": 1", "\"penalty_last_n\": 64"}},
    {"infer.dry_multiplier=0.8 infer.dry_breakers=32,13 infer.dry_last_n=20", {"\"dry_base\": 1.750", "\"dry_breakers\": \"0x", "\"dry_last_n\": 20"}},
    {"infer.temperature=1.5 infer.xtc_probability=0.5 infer.xtc_threshold=0", {"\"xtc_probability_65536\": 32768"}},
    {"infer.temperature=2 infer.mirostat=2 infer.mirostat_tau=3 infer.mirostat_eta=0", {"\"mirostat_tau_65536\": 196608"}},
    {"infer.temperature=2 infer.mirostat=2 infer.mirostat_tau=2 infer.seed=9", {"\"mirostat_eta_65536\": 6554"}},
    {"infer.logit_bias=65:5.125,66:-0.001,67:-inf,200:-1000,201:+1000.0", {"\"logit_bias\": \"0x"}},
    {"infer.temperature=1.1 infer.top_k=50 infer.top_p=0.95 infer.min_p=0.01 infer.xtc_probability=0.3 infer.dry_multiplier=1 "
     "infer.repeat_penalty=1.05 infer.logit_bias=65:1 infer.typical_p=0.9 infer.top_n_sigma=3", {"\"dry_multiplier\": 1.000"}},
};
#define RUNS (sizeof runs / sizeof *runs)

static decai_session *
session(const char *text)
{
    decai_options *o = NULL;
    decai_session *s = NULL;
    char key[64], value[200];
    int used = 0;
    assert_int_equal(decai_options_create(&o, t.ctx), 0);
    for (; sscanf(text, " %63[^=]=%199s%n", key, value, &used) == 2; text += used) {
        int32_t r = decai_options_set_f64(o, key, strtod(value, NULL));
        if (r) r = decai_options_set_i64(o, key, strtoll(value, NULL, 10));
        if (r) r = decai_options_set_str(o, key, value);
        if (r) fail_msg("%s: %s", key, decai_error_detail());
    }
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", OUTPUT), 0);
    if (decai_session_create(&s, t.base.engine, o)) fail_msg("%s", decai_error_detail());
    decai_destroy(o);
    assert_int_equal(decai_session_add(s, prompt, sizeof prompt / sizeof *prompt), 0);
    return s;
}

/* A run with its receipt; at output `wrong` (none: -1) it goes on with another token. */
static void
run_make(support_run *r, const char *options, int wrong)
{
    decai_session *s = session(options);
    int32_t token, e;
    *r = (support_run){.model = t.base.model, .tok = t.base.tok, .engine = t.base.engine};
    decai_retain(r->model);
    decai_retain(r->tok);
    decai_retain(r->engine);
    for (int i = 0; (e = decai_session_next(s, &token)) == 1; i++)
        if (i == wrong) assert_int_equal(decai__session_force(s, (token + 7) % 250), 0);
    assert_int_equal(e, 0);
    assert_int_equal(support_receipt(r, t.ctx, s, 1), 0);
    decai_destroy(s);
}

/* What a verification says: 0, or DECAI_E_INTEGRITY with the reason in decai_error_detail. */
static int32_t
verified(const support_run *r, uint64_t *committed, bool *complete)
{
    decai_verification *v = NULL;
    uint8_t bytes[8192];
    char text[4096];
    size_t len;
    uint64_t replayed;
    decai_receipt *read = NULL;
    assert_int_equal(decai_receipt_encode(r->receipt, bytes, sizeof bytes, &len), 0);
    assert_int_equal(decai_receipt_load(&read, t.ctx, bytes, len), 0);
    assert_int_equal(decai_receipt_verify(&v, read, r->opening, r->opening_len, r->engine), 0);
    assert_int_equal(decai_verification_format(v, text, sizeof text - 1, &len), 0);
    text[len] = 0;
    *complete = strstr(text, "\"complete\": true") != NULL;
    int32_t e = decai_verification_get(v, &replayed, committed);
    decai_destroy(v);
    decai_destroy(read);
    return e;
}

static void
every_step_is_replayed(void **state)
{
    (void)state;
    for (size_t i = 0; i < RUNS; i++) {
        support_run r;
        uint64_t committed;
        bool complete;
        char text[8192];
        size_t len;
        run_make(&r, runs[i].options, -1);
        if (verified(&r, &committed, &complete)) fail_msg("%s: %s", runs[i].options, decai_error_detail());
        assert_int_equal(committed, DECAI_COVER_SIGNATURE);
        assert_true(complete);
        assert_int_equal(decai_receipt_format(r.receipt, text, sizeof text - 1, &len), 0);
        text[len] = 0;
        for (int k = 0; k < 3 && runs[i].shown[k]; k++)
            if (!strstr(text, runs[i].shown[k])) fail_msg("%s: not shown: %s\n%s", runs[i].options, runs[i].shown[k], text);
        support_run_free(&r);
    }
}

static void
a_wrong_token_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < RUNS; i++)
        for (int wrong = 0; wrong < OUTPUT; wrong += 7) {
            support_run r;
            uint64_t committed;
            bool complete;
            char place[32];
            run_make(&r, runs[i].options, wrong);
            if (r.receipt->opening.output.count <= (size_t)wrong) fail_msg("%s: ends before %d", runs[i].options, wrong);
            assert_int_equal(verified(&r, &committed, &complete), DECAI_E_INTEGRITY);
            snprintf(place, sizeof place, "output[%d]", wrong);
            if (!strstr(decai_error_detail(), place)) fail_msg("%s: %s, not %s", runs[i].options, decai_error_detail(), place);
            support_run_free(&r);
        }
}

static void
dispute_of(const char *options, int wrong)
{
    support_run honest, cheat;
    decai_dispute *d = NULL;
    run_make(&honest, options, -1);
    run_make(&cheat, options, wrong);
    assert_int_equal(decai__dispute_create(&d, t.ctx, t.root), 0);
    assert_int_equal(decai__dispute_party(d, 0, cheat.receipt, cheat.opening, cheat.opening_len, cheat.engine), 0);
    assert_int_equal(decai__dispute_party(d, 1, honest.receipt, honest.opening, honest.opening_len, honest.engine), 0);
    assert_int_equal(decai__dispute_run(d, NULL), 0);
    if (d->loser != 1 || strcmp(d->op_name, "SAMPLE") || d->token != (int64_t)(sizeof prompt / sizeof *prompt) - 1 + wrong)
        fail_msg("%s: loser %d, %s at %lld: %s", options, d->loser, d->op_name, (long long)d->token, d->reason);
    decai_destroy(d);
    support_run_free(&honest);
    support_run_free(&cheat);
}

/* Each side's own run reproduces its receipt; the referee draws the token again, with
 * what came before it. */
static void
a_dispute_finds_the_draw(void **state)
{
    (void)state;
    for (size_t i = 0; i < RUNS; i++)
        for (int wrong = (int)i % 3; wrong < OUTPUT; wrong += 4) dispute_of(runs[i].options, wrong);
}

static void
other_samplers_are_no_dispute(void **state)
{
    (void)state;
    support_run a, b;
    decai_dispute *d = NULL;
    run_make(&a, "infer.logit_bias=65:5", -1);
    run_make(&b, "infer.logit_bias=65:5.001", -1);
    assert_int_equal(decai__dispute_create(&d, t.ctx, t.root), 0);
    assert_int_equal(decai__dispute_party(d, 0, a.receipt, a.opening, a.opening_len, a.engine), 0);
    assert_int_equal(decai__dispute_party(d, 1, b.receipt, b.opening, b.opening_len, b.engine), 0);
    assert_int_equal(decai__dispute_run(d, NULL), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "sampler"));
    decai_destroy(d);
    support_run_free(&a);
    support_run_free(&b);
}

/* ---- lists ------------------------------------------------------------------------------ */

/* The opening with other lists, for the same receipt. */
static int32_t
with_lists(const support_run *r, const decai__bias *bias, size_t biases, const int32_t *breakers, size_t count)
{
    decai__opening o = r->receipt->opening, back;
    decai__buf b;
    o.bias = (decai__bias *)(uintptr_t)bias;
    o.bias_count = biases;
    o.breakers = (int32_t *)(uintptr_t)breakers;
    o.breaker_count = count;
    decai__buf_init(&b, t.ctx, DECAI_OPENING_BYTES_MAX, "test");
    assert_int_equal(decai__opening_encode(&b, &o), 0);
    int32_t e = decai__opening_decode(t.ctx, &back, b.data, b.len);
    if (!e) {
        e = decai__opening_check(&back, r->receipt);
        decai__opening_free(t.ctx, &back);
    }
    decai__buf_free(&b);
    return e;
}

static void
lists_are_bound(void **state)
{
    (void)state;
    const decai__bias good[] = {{65, 5000}, {66, DECAI__BIAS_BAN}}, other[] = {{65, 5000}, {66, INT32_MIN + 1}},
        turned[] = {{66, DECAI__BIAS_BAN}, {65, 5000}}, twice[] = {{65, 5000}, {65, 5000}};
    const int32_t breakers[] = {13, 32}, more[] = {13, 32, 33}, down[] = {32, 13};
    support_run r;
    run_make(&r, "infer.logit_bias=65:5,66:-inf infer.dry_multiplier=1 infer.dry_breakers=32,13", -1);
    assert_int_equal(with_lists(&r, good, 2, breakers, 2), 0);
    assert_int_equal(with_lists(&r, good, 1, breakers, 2), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "logit_bias"));
    assert_int_equal(with_lists(&r, other, 2, breakers, 2), DECAI_E_INTEGRITY);
    assert_int_equal(with_lists(&r, NULL, 0, breakers, 2), DECAI_E_INTEGRITY);
    assert_int_equal(with_lists(&r, good, 2, more, 3), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "dry_breakers"));
    assert_int_equal(with_lists(&r, good, 2, NULL, 0), DECAI_E_INTEGRITY);
    assert_int_equal(with_lists(&r, turned, 2, breakers, 2), DECAI_E_CORRUPT);
    assert_int_equal(with_lists(&r, twice, 2, breakers, 2), DECAI_E_CORRUPT);
    assert_int_equal(with_lists(&r, good, 2, down, 2), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "opening.dry_breakers"));
    /* A receipt without lists takes none. */
    assert_int_equal(with_lists(&t.base, NULL, 0, NULL, 0), 0);
    assert_int_equal(with_lists(&t.base, good, 2, NULL, 0), DECAI_E_INTEGRITY);
    assert_int_equal(with_lists(&t.base, NULL, 0, breakers, 2), DECAI_E_INTEGRITY);
    support_run_free(&r);
}

static void
lists_have_a_limit(void **state)
{
    (void)state;
    decai__bias bias[DECAI_LOGIT_BIAS_MAX + 1];
    int32_t breakers[DECAI_DRY_BREAKERS_MAX + 1];
    for (int32_t i = 0; i <= DECAI_LOGIT_BIAS_MAX; i++) bias[i] = (decai__bias){i, -i};
    for (int32_t i = 0; i <= DECAI_DRY_BREAKERS_MAX; i++) breakers[i] = i;
    for (size_t n = DECAI_LOGIT_BIAS_MAX - 1; n <= DECAI_LOGIT_BIAS_MAX + 1; n++)
        assert_int_equal(with_lists(&t.base, bias, n, NULL, 0), n > DECAI_LOGIT_BIAS_MAX ? DECAI_E_LIMIT : DECAI_E_INTEGRITY);
    for (size_t n = DECAI_DRY_BREAKERS_MAX - 1; n <= DECAI_DRY_BREAKERS_MAX + 1; n++)
        assert_int_equal(with_lists(&t.base, NULL, 0, breakers, n), n > DECAI_DRY_BREAKERS_MAX ? DECAI_E_LIMIT : DECAI_E_INTEGRITY);
}

/* The longest list that options take comes through a receipt and back. */
static void
the_longest_list_is_replayed(void **state)
{
    (void)state;
    static char text[40 * 256] = "infer.logit_bias=0:-999.999";
    support_run r;
    uint64_t committed;
    bool complete;
    decai_options *o = NULL;
    decai_session *s = NULL;
    for (int i = 1; i < 250; i++) sprintf(text + strlen(text), ",%d:%s%d.%03d", i, i % 3 ? "-" : "", i % 7, i);
    assert_int_equal(decai_options_create(&o, t.ctx), 0);
    assert_int_equal(decai_options_set_str(o, "infer.logit_bias", strchr(text, '=') + 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", 3), 0);
    assert_int_equal(decai_session_create(&s, t.base.engine, o), 0);
    assert_int_equal(decai_session_add(s, prompt, 4), 0);
    assert_int_equal(support_finish(s), 0);
    r = (support_run){.model = t.base.model, .tok = t.base.tok, .engine = t.base.engine};
    assert_int_equal(support_receipt(&r, t.ctx, s, 0), 0);
    assert_int_equal(verified(&r, &committed, &complete), 0);
    decai_destroy(r.receipt);
    free(r.opening);
    decai_destroy(s);
    decai_destroy(o);
}

/* ---- runs that somebody ended -------------------------------------------------------------- */

static void
check_stopped(decai_session *s, size_t tokens)
{
    support_run r = {.model = t.base.model, .tok = t.base.tok, .engine = t.base.engine};
    uint64_t committed;
    bool complete;
    assert_int_equal(support_receipt(&r, t.ctx, s, 0), 0);
    assert_int_equal(r.receipt->opening.output.count, tokens);
    if (verified(&r, &committed, &complete)) fail_msg("%s", decai_error_detail());
    assert_false(complete);          /* the model would have gone on */
    decai_destroy(r.receipt);
    free(r.opening);
}

/* The caller's stream found a stop text: it just asks for no more. */
static void
ended_by_a_stop_text(void **state)
{
    (void)state;
    decai_session *s = session("");
    decai_token_stream *stream = NULL;
    int32_t token, stopped = 0;
    uint8_t text[64], first[64];
    size_t len, n = 0;
    /* What the second token adds is the stop text: whatever this model says. */
    assert_int_equal(decai_token_stream_create(&stream, t.base.tok, DECAI_DECODE_SPECIAL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(decai_session_next(s, &token), 1);
        assert_int_equal(decai_token_stream_add(stream, first, sizeof first, &len, token), 0);
    }
    decai_destroy(stream);
    assert_true(len > 0);
    decai_destroy(s);
    s = session("");
    assert_int_equal(decai_token_stream_create(&stream, t.base.tok, DECAI_DECODE_SPECIAL), 0);
    assert_int_equal(decai_token_stream_stop_add(stream, first, len), 0);
    while (!stopped) {
        assert_int_equal(decai_session_next(s, &token), 1);
        stopped = decai_token_stream_add(stream, text, sizeof text, &len, token);
        assert_true(stopped >= 0);
        n++;
    }
    assert_true(n <= 3);
    check_stopped(s, n);
    decai_destroy(stream);
    decai_destroy(s);
}

static void
ended_by_a_cancel(void **state)
{
    (void)state;
    decai_session *s = session("infer.temperature=1 infer.mirostat=2");
    int32_t token;
    for (int i = 0; i < 4; i++) assert_int_equal(decai_session_next(s, &token), 1);
    assert_int_equal(decai_session_cancel(s), 0);
    assert_int_equal(decai_session_next(s, &token), DECAI_E_CANCELLED);
    check_stopped(s, 4);
    decai_destroy(s);
}

static void *
cancel_soon(void *user)
{
    decai_session *s = user;
    struct timespec wait = {0, 300000};
    nanosleep(&wait, NULL);
    (void)decai_session_cancel(s);
    return NULL;
}

/* At any moment, in the midst of a token too. */
static void
ended_by_a_cancel_meanwhile(void **state)
{
    (void)state;
    int made = 0;
    for (int round = 0; round < 40; round++) {
        decai_session *s = session("");
        pthread_t thread;
        int32_t token, r;
        size_t n = 0;
        assert_int_equal(decai_session_next(s, &token), 1);
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, s), 0);
        for (n = 1; (r = decai_session_next(s, &token)) == 1; n++) {}
        pthread_join(thread, NULL);
        if (r == DECAI_E_CANCELLED && n < OUTPUT) check_stopped(s, n), made++;
        decai_destroy(s);
    }
    print_message("# %d of 40 runs were cancelled on their way\n", made);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_is_replayed),
        cmocka_unit_test(a_wrong_token_is_found),
        cmocka_unit_test(a_dispute_finds_the_draw),
        cmocka_unit_test(other_samplers_are_no_dispute),
        cmocka_unit_test(lists_are_bound),
        cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(the_longest_list_is_replayed),
        cmocka_unit_test(ended_by_a_stop_text),
        cmocka_unit_test(ended_by_a_cancel),
        cmocka_unit_test(ended_by_a_cancel_meanwhile),
    };
    return cmocka_run_group_tests_name("proof_sampler", tests, setup, teardown);
}
