/* The sampler: its rule, ties, cuts; that seed and position decide; what each step
 * promises; its options. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/engine.h"
#include "support_heap.h"
#include "support_infer.h"

static decai_context *ctx;
static int setup(void **state) { (void)state; ctx = infer_context(0); return 0; }
static int teardown(void **state) { (void)state; decai_destroy(ctx); return 0; }

static int32_t
sample(int32_t *token, const decai__sampler *s, const float *logits, uint32_t n, uint64_t position)
{
    decai__draw d = { .sampler = s, .position = position };
    return decai__sample_once(ctx, token, &d, logits, n);
}

static int32_t
draw(const decai__sampler *s, const float *logits, uint32_t n, uint64_t position)
{
    int32_t token = -1;
    assert_int_equal(sample(&token, s, logits, n, position), 0);
    return token;
}

static void
test_greedy(void **state)
{
    static const float x[] = { -1, 3, 2, 3, -5 };
    static const float same[] = { 0, -0.0f, 0 };
    decai__sampler s = { .top_p_65536 = 65536 };
    (void)state;
    assert_int_equal(draw(&s, x, 5, 0), 1);          /* ties: the smaller id */
    assert_int_equal(draw(&s, same, 3, 9), 0);
    assert_int_equal(draw(&s, x, 1, 0), 0);
}

static void
test_cuts(void **state)
{
    static const float x[] = { 1, 4, 4, 2, 3 };
    decai__sampler s = { .temperature_milli = 1000, .top_k = 1, .top_p_65536 = 65536 };
    (void)state;
    for (uint64_t p = 0; p < 64; p++) assert_int_equal(draw(&s, x, 5, p), 1);
    s.top_k = 2;
    for (uint64_t p = 0; p < 64; p++) assert_in_range(draw(&s, x, 5, p), 1, 2);
    /* The first two hold 0.79 of the mass: p = 0.5 keeps both, 0.3 one. */
    s.top_k = 0;
    s.top_p_65536 = 32768;
    uint32_t seen = 0;
    for (uint64_t p = 0; p < 64; p++) seen |= 1u << draw(&s, x, 5, p);
    assert_int_equal(seen, 6);
    s.top_p_65536 = 19660;
    for (uint64_t p = 0; p < 64; p++) assert_int_equal(draw(&s, x, 5, p), 1);
    s.top_p_65536 = 0;
    for (uint64_t p = 0; p < 64; p++) assert_int_equal(draw(&s, x, 5, p), 1);
}

/* Frequencies over many positions against the exact probabilities. */
static void
test_distribution(void **state)
{
    static const float x[] = { 0.0f, 1.0f, 2.0f, -1.0f, 0.5f, -20.0f, -200.0f, 1.5f };
    decai__sampler s = { .temperature_milli = 700, .top_p_65536 = 65536, .seed = 11 };
    uint32_t seen[8] = { 0 };
    double total = 0, p[8];
    const int n = 40000;
    (void)state;
    for (int i = 0; i < 8; i++) total += p[i] = exp((x[i] - 2.0) / 0.7);
    for (int i = 0; i < n; i++) seen[draw(&s, x, 8, (uint64_t)i)]++;
    for (int i = 0; i < 8; i++) {
        double want = p[i] / total * n, sigma = sqrt(want + 1);
        assert_true(fabs(seen[i] - want) < 5 * sigma);
    }
    assert_int_equal(seen[6], 0);
}

/* A plain second version of the rule, sorting by selection. */
static int32_t
plain(const decai__sampler *s, const float *x, uint32_t n, uint64_t position)
{
    uint32_t order[64];
    uint64_t w[64], kept[64] = { 0 }, total = 0, sum = 0, run = 0;
    bool out[64] = { false };
    for (uint32_t i = 0; i < n; i++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t j = 0; j < n; j++)
            if (!out[j] && (best == UINT32_MAX || x[j] > x[best])) best = j;
        out[best] = true;
        order[i] = best;
    }
    for (uint32_t i = 0; i < n; i++) {
        float d = (x[i] - x[order[0]]) * (1000.0f / (float)s->temperature_milli);
        w[i] = d < -104.0f ? 0 : (uint64_t)nearbyint((double)decai__leaf_exp(d) * 1073741824.0);
    }
    uint32_t k = s->top_k && s->top_k < n ? s->top_k : n, count = 0;
    for (uint32_t i = 0; i < k; i++) total += w[order[i]];
    long double need = floorl((long double)total * s->top_p_65536 / 65536.0L);
    do {
        kept[order[count]] = w[order[count]];
        sum += w[order[count++]];
    } while (count < k && (long double)sum < need);

    decai__keccak h;
    uint8_t hash[32];
    decai__keccak_init(&h);
    decai__hash_domain(&h, "decai.sample.1");
    decai__hash_u64(&h, s->seed);
    decai__hash_u64(&h, position);
    decai__keccak_final(&h, hash);
    /* 64-bit mantissa: r * S / 2^64 is exact to below one part in 2^64. */
    uint64_t r = decai__load_be64(hash);
    uint64_t pick = (uint64_t)floorl((long double)(r >> 32) * (long double)sum / 4294967296.0L
        + (long double)(r & UINT32_MAX) * (long double)sum / 18446744073709551616.0L);
    for (uint32_t i = 0; i < n; i++) {
        run += kept[i];
        if (run > pick) return (int32_t)i;
    }
    return -1;
}

static void
test_rule(void **state)
{
    uint64_t seed = 99;
    float x[64];
    (void)state;
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 1 + (uint32_t)(support_rand(&seed) % 64);
        for (uint32_t i = 0; i < n; i++) x[i] = (float)((int64_t)(support_rand(&seed) % 64) - 32) / 4.0f;
        decai__sampler s = { .temperature_milli = 1 + (uint32_t)(support_rand(&seed) % 3000),
            .top_k = (uint32_t)(support_rand(&seed) % 20), .top_p_65536 = (uint32_t)(support_rand(&seed) % 65537),
            .seed = support_rand(&seed) };
        assert_int_equal(draw(&s, x, n, (uint64_t)round), plain(&s, x, n, (uint64_t)round));
    }
}

static void
test_extremes(void **state)
{
    float x[4] = { 3e38f, -3e38f, 0, 3e38f };
    decai__sampler s = { .temperature_milli = 1, .top_p_65536 = 65536 };
    int32_t token;
    (void)state;
    for (uint64_t p = 0; p < 32; p++) {
        token = draw(&s, x, 4, p);
        assert_true(token == 0 || token == 3);
    }
    x[2] = NAN;
    assert_int_equal(sample(&token, &s, x, 4, 7), DECAI_E_INTEGRITY);
    x[2] = INFINITY;
    s.temperature_milli = 0;
    assert_int_equal(sample(&token, &s, x, 4, 7), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "token 2"));
}

/* ---- each step: off is off, and what it promises holds ------------------------------------- */

enum { VOCAB = 900, PLACES = 48 };

static struct { float x[VOCAB]; int32_t tokens[PLACES]; uint64_t mask[VOCAB / 64 + 1]; uint64_t seed; } t;

static void
make(uint64_t seed)
{
    t.seed = seed;
    for (int i = 0; i < VOCAB; i++) t.x[i] = (float)((int64_t)(support_rand(&t.seed) % 4096) - 2048) / 256;
    for (int i = 0; i < PLACES; i++) t.tokens[i] = (int32_t)(support_rand(&t.seed) % 9);
    for (int i = 0; i <= VOCAB / 64; i++) t.mask[i] = support_rand(&t.seed) & support_rand(&t.seed);
}

static int32_t
token_of(const decai__sampler *s, const uint64_t *mask, size_t place)
{
    decai__draw d = { .sampler = s, .position = place, .tokens = t.tokens, .first = 20, .mu = 2 * (int64_t)s->tau_65536, .mask = mask };
    int32_t token = -1;
    assert_int_equal(decai__sample_once(ctx, &token, &d, t.x, VOCAB), 0);
    return token;
}

/* Values at which a step does nothing, each beside the bare sampler. */
static void
test_off_is_off(void **state)
{
    const decai__sampler bare = { .temperature_milli = 900, .top_p_65536 = 65536, .seed = 5 };
    decai__sampler off[10];
    uint64_t all[VOCAB / 64 + 1];
    static const decai__bias zero[] = { { 3, 0 }, { 800, 0 } };
    (void)state;
    memset(all, 255, sizeof all);
    for (size_t i = 0; i < DECAI__COUNT(off); i++) off[i] = bare;
    off[0].top_k = VOCAB;
    off[1].sigma_milli = 100000;
    off[2].bias = zero;
    off[2].bias_count = 2;
    off[3].penalty_last_n = -1;                    /* a window, but no penalty */
    off[4].presence_milli = 2000;                  /* a penalty, but nothing in the window */
    off[4].penalty_last_n = 0;
    off[5].dry_multiplier_milli = 3000;            /* nothing repeats for so long */
    off[5].dry_base_milli = 1750;
    off[5].dry_allowed = PLACES;
    off[5].dry_last_n = -1;
    off[6].xtc_probability_65536 = 65536;          /* two tokens above a half there cannot be */
    off[6].xtc_threshold_65536 = 40000;
    off[7].repeat_milli = 1000;
    off[7].penalty_last_n = -1;
    off[8].min_p_65536 = 0;
    off[9].tau_65536 = 20 << 16;                   /* surprises are far below 40 bits */
    for (uint64_t seed = 0; seed < 40; seed++) {
        make(seed);
        for (size_t place = 0; place < PLACES; place += 5) {
            int32_t want = token_of(&bare, NULL, place);
            assert_int_equal(token_of(&bare, all, place), want);
            for (size_t i = 0; i < DECAI__COUNT(off); i++)
                if (token_of(&off[i], NULL, place) != want) fail_msg("case %zu", i);
        }
    }
}

/* Whatever else is on, a token that the mask forbids never comes; and where there is
 * one allowed it comes. */
static void
test_mask_holds(void **state)
{
    static const int32_t breakers[] = { 2 };
    static const decai__bias bias[] = { { 7, 1000000 }, { 8, DECAI__BIAS_BAN } };
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        make(seed + 1000);
        uint64_t r = seed;
        decai__sampler s = { .temperature_milli = (uint32_t)(support_rand(&r) % 4) * 600, .top_p_65536 = 60000 + (uint32_t)(seed % 5537),
            .top_k = seed % 3 ? 0 : 5, .min_p_65536 = seed % 4 ? 0 : 5000, .typical_65536 = seed % 5 ? 0 : 50000,
            .sigma_milli = seed % 6 ? 0 : 1500, .repeat_milli = seed % 2 ? 1300 : 0, .presence_milli = -900, .penalty_last_n = -1,
            .dry_multiplier_milli = seed % 7 ? 900 : 0, .dry_base_milli = 1750, .dry_allowed = 1, .dry_last_n = -1,
            .breakers = breakers, .breaker_count = 1, .bias = bias, .bias_count = 2, .seed = seed,
            .xtc_probability_65536 = seed % 3 == 1 ? 65536 : 0, .xtc_threshold_65536 = 500 };
        int32_t token = token_of(&s, t.mask, seed % PLACES);
        assert_true(t.mask[token / 64] >> token % 64 & 1);
        assert_int_not_equal(token, 8);
        memset(t.mask, 0, sizeof t.mask);
        t.mask[VOCAB / 64] = UINT64_C(1) << (VOCAB - 1) % 64;
        assert_int_equal(token_of(&s, t.mask, seed % PLACES), VOCAB - 1);
        t.mask[VOCAB / 64] <<= 1;                  /* beyond the vocabulary */
        decai__draw d = { .sampler = &s, .position = 3, .tokens = t.tokens, .mask = t.mask };
        assert_int_equal(decai__sample_once(ctx, &token, &d, t.x, VOCAB), DECAI_E_STATE);
        assert_non_null(strstr(decai_error_detail(), "position 3"));
    }
}

/* Where a rule has an edge: what stands exactly on it. */
static void
test_edges(void **state)
{
    static const float zeros[4] = { -0.0f, 0.0f, -0.0f, 0.0f }, pair[2] = { 0.0f, -1.385f };
    float two[2 * 256];
    decai__sampler s = { .temperature_milli = 1000, .top_p_65536 = 65536, .top_k = 1 };
    uint32_t seen = 0;
    int32_t token;
    int64_t mu;
    (void)state;
    for (uint64_t p = 0; p < 16; p++) assert_int_equal(draw(&s, zeros, 4, p), 0);      /* -0 equals 0 */
    s.top_k = 0;
    s.tau_65536 = 1 << 16;
    for (int64_t bits = (2 << 16) - 1; bits <= 2 << 16; bits++, seen = 0) {            /* a quarter has two bits */
        decai__sample_work *w = NULL;
        assert_int_equal(decai__sample_work_create(&w, ctx, &s, 4, 1, false), 0);
        for (uint64_t p = 0; p < 64; p++) {
            decai__draw d = { .sampler = &s, .position = p, .mu = bits };
            assert_int_equal(decai__sample(w, &token, &mu, &d, zeros, 4), 0);
            seen |= 1u << token;
        }
        decai__sample_work_destroy(w);
        assert_int_equal(seen, bits == 2 << 16 ? 15 : 1);
    }
    s.tau_65536 = 0;
    s.min_p_65536 = 16384;                                                             /* exp(-1.385) is just above 1/4 */
    for (uint64_t p = 0; p < 64; p++) seen |= 1u << draw(&s, pair, 2, p);
    assert_int_equal(seen, 3);
    s.min_p_65536 = 0;
    for (int i = 0; i < 512; i++) two[i] = i < 256 ? -100 : -13;                       /* a block of unlikely tokens counts */
    two[5] = 0;
    for (uint64_t p = seen = 0; p < 40000; p++) seen += draw(&s, two, 512, p) >= 256;
    assert_in_range(seen, 5, 60);                                                      /* 23 expected */
}

/* With every step on, in every combination that sessions allow, a draw allocates nothing. */
static void
test_no_allocation(void **state)
{
    static const int32_t breakers[] = { 2 };
    static const decai__bias bias[] = { { 7, 500 } };
    support_heap heap;
    decai_context *own = support_heap_context(&heap);
    (void)state;
    assert_non_null(own);
    make(77);
    for (uint32_t on = 0; on < 1u << 9; on++) {
        decai__sampler s = { .temperature_milli = on & 1 ? 1500 : 0, .top_p_65536 = on & 2 ? 60000 : 65536, .top_k = on & 4 ? 50 : 0,
            .typical_65536 = on & 8 ? 50000 : 0, .min_p_65536 = on & 16 ? 900 : 0, .sigma_milli = on & 32 ? 2500 : 0,
            .repeat_milli = on & 64 ? 1300 : 0, .penalty_last_n = -1, .xtc_probability_65536 = on & 64 ? 65536 : 0,
            .dry_multiplier_milli = on & 128 ? 900 : 0, .dry_base_milli = 1750, .dry_allowed = 1, .dry_last_n = -1,
            .breakers = breakers, .breaker_count = 1, .bias = bias, .bias_count = on & 128 ? 1 : 0, .seed = on };
        if (on & 256) s.tau_65536 = 3 << 16;
        decai__draw d = { .sampler = &s, .position = PLACES - 1, .tokens = t.tokens, .mu = 6 << 16, .mask = on & 2 ? t.mask : NULL };
        decai__sample_work *w = NULL;
        int32_t token;
        int64_t mu;
        assert_int_equal(decai__sample_work_create(&w, own, &s, VOCAB, PLACES, true), 0);
        uint64_t calls = heap.calls;
        for (int i = 0; i < 3; i++) assert_int_equal(decai__sample(w, &token, &mu, &d, t.x, VOCAB), 0);
        assert_int_equal(heap.calls, calls);
        decai__sample_work_destroy(w);
    }
    decai_destroy(own);
    assert_int_equal(heap.live, 0);
}

/* ---- draws ahead ----------------------------------------------------------------------------- */

/* Positions are drawn in a row behind guessed tokens and thrown away; drawn again behind
 * the right ones they give the answer, mirostat's number and counts included. */
static void
test_draws_ahead(void **state)
{
    enum { PROMPT = 4, ANSWER = 12 };
    static float logits[ANSWER][1024];
    static const char *const extra[] = { "infer.mirostat", "infer.top_k" };
    support_llama m = SUPPORT_LLAMA_TINY;
    decai_model *model = infer_model(ctx, &m);
    decai_engine *engine = infer_engine(ctx, model, NULL);
    int32_t prompt[PROMPT], answer[ANSWER], guess, again;
    uint64_t seed = 4;
    (void)state;
    infer_tokens(prompt, PROMPT, m.n_vocab, 8);
    for (int which = 0; which < 2; which++) {
        decai_options *o = NULL;
        decai_session *s = NULL;
        size_t n;
        assert_int_equal(decai_options_create(&o, ctx), 0);
        assert_int_equal(decai_options_set_f64(o, "infer.temperature", 1.3), 0);
        assert_int_equal(decai_options_set_f64(o, "infer.presence_penalty", 1.5), 0);
        assert_int_equal(decai_options_set_f64(o, "infer.dry_multiplier", 0.8), 0);
        assert_int_equal(decai_options_set_i64(o, "infer.ignore_end", 1), 0);
        assert_int_equal(decai_options_set_i64(o, extra[which], which ? 30 : 2), 0);
        assert_int_equal(decai_session_create(&s, engine, o), 0);
        assert_int_equal(decai_session_add(s, prompt, PROMPT), 0);
        for (int i = 0; i < ANSWER; i++) {
            assert_int_equal(decai_session_next(s, &answer[i]), 1);
            assert_int_equal(decai_session_logits_get(s, logits[i], 1024, &n), 0);
        }
        for (int i = 0; i + 3 < ANSWER; i++) {
            for (int k = 0; k < 3; k++) {                        /* three guesses, their draws thrown away */
                guess = (int32_t)(support_rand(&seed) % m.n_vocab);
                assert_int_equal(decai__session_sample(s, logits[i + k], (size_t)(PROMPT + i + k - 1), &again), 0);
                s->tokens[PROMPT + i + k] = guess;
            }
            for (int k = 0; k < 3; k++) {
                assert_int_equal(decai__session_sample(s, logits[i + k], (size_t)(PROMPT + i + k - 1), &again), 0);
                assert_int_equal(again, answer[i + k]);
                s->tokens[PROMPT + i + k] = again;
            }
        }
        decai_destroy(s);
        decai_destroy(o);
    }
    decai_destroy(engine);
    decai_destroy(model);
}

/* ---- options ------------------------------------------------------------------------------------ */

static void
test_options(void **state)
{
    decai_options *o = NULL;
    decai__sampler s;
    (void)state;
    assert_int_equal(decai__sampler_read(&s, ctx, NULL), 0);
    assert_true(s.temperature_milli == 0 && s.top_k == 0 && s.top_p_65536 == 65536 && s.seed == 0);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.temperature", 0.7), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.top_p", 0.9), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.top_k", 40), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.seed", 12345), 0);
    assert_int_equal(decai__sampler_read(&s, ctx, o), 0);
    assert_true(s.temperature_milli == 700 && s.top_k == 40 && s.top_p_65536 == 58982 && s.seed == 12345);
    assert_int_equal(decai_options_set_f64(o, "infer.temperature", -1), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_f64(o, "infer.top_p", 1.01), DECAI_E_INVALID);
    decai_destroy(o);
}

static void
set(decai_options **o, const char *key, double v)
{
    int32_t r = decai_options_set_f64(*o, key, v);
    if (r) r = decai_options_set_i64(*o, key, (int64_t)v);
    assert_int_equal(r, 0);
}

/* The numbers from min_p to eta are 0, and there are no lists. */
static bool
nothing_on(const decai__sampler *s)
{
    static const uint8_t zero[sizeof *s];
    const uint8_t *from = (const uint8_t *)&s->min_p_65536, *to = (const uint8_t *)(&s->eta_65536 + 1);
    return !memcmp(from, zero, (size_t)(to - from)) && !s->bias_count && !s->breaker_count && !s->bias && !s->breakers;
}

/* What is off leaves nothing of itself: equal behaviour is an equal sampler. */
static void
test_one_form(void **state)
{
    static const char *const pairs[][2] = { { "infer.typical_p", "1" }, { "infer.penalty_last_n", "-1" }, { "infer.penalty_prompt", "0" },
        { "infer.dry_base", "2.5" }, { "infer.dry_allowed_length", "9" }, { "infer.dry_last_n", "7" }, { "infer.xtc_threshold", "0.4" },
        { "infer.mirostat_tau", "3" }, { "infer.mirostat_eta", "0.7" }, { "infer.repeat_penalty", "1.0004" } };
    decai__sampler s;
    decai_options *o = NULL;
    (void)state;
    assert_int_equal(decai__sampler_read(&s, ctx, NULL), 0);
    assert_true(nothing_on(&s));
    assert_int_equal(decai_options_create(&o, ctx), 0);
    for (size_t i = 0; i < DECAI__COUNT(pairs); i++) set(&o, pairs[i][0], strtod(pairs[i][1], NULL));
    assert_int_equal(decai_options_set_str(o, "infer.dry_breakers", "5,6"), 0);
    assert_int_equal(decai__sampler_read(&s, ctx, o), 0);
    assert_true(nothing_on(&s));
    set(&o, "infer.penalty_last_n", 0);
    set(&o, "infer.presence_penalty", 0.5);
    set(&o, "infer.dry_multiplier", 1);
    set(&o, "infer.dry_last_n", 0);
    assert_int_equal(decai__sampler_read(&s, ctx, o), 0);
    assert_true(nothing_on(&s));
    decai_destroy(o);
}

static void
test_units(void **state)
{
    decai_options *o = NULL;
    decai__sampler s;
    (void)state;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    set(&o, "infer.min_p", 0.05);
    set(&o, "infer.typical_p", 0.9);
    set(&o, "infer.top_n_sigma", 1.2345);
    set(&o, "infer.repeat_penalty", 1.1);
    set(&o, "infer.presence_penalty", -0.0005);        /* halves up */
    set(&o, "infer.frequency_penalty", -1.9996);
    set(&o, "infer.penalty_prompt", 0);
    set(&o, "infer.dry_multiplier", 0.8);
    set(&o, "infer.xtc_probability", 0.5);
    assert_int_equal(decai_options_set_str(o, "infer.dry_breakers", "13,2,198"), 0);
    assert_int_equal(decai_options_set_str(o, "infer.logit_bias", "50256:-100,3:+0.25,17:-inf,4:1000"), 0);
    assert_int_equal(decai__sampler_read(&s, ctx, o), 0);
    assert_true(s.min_p_65536 == 3277 && s.typical_65536 == 58982 && s.sigma_milli == 1235 && s.repeat_milli == 1100);
    assert_true(s.presence_milli == 0 && s.frequency_milli == -2000 && s.penalty_last_n == 64 && s.penalty_own == 1);
    assert_true(s.dry_multiplier_milli == 800 && s.dry_base_milli == 1750 && s.dry_allowed == 2 && s.dry_last_n == -1);
    assert_true(s.xtc_probability_65536 == 32768 && s.xtc_threshold_65536 == 6554);
    assert_true(s.breaker_count == 3 && s.breakers[0] == 2 && s.breakers[1] == 13 && s.breakers[2] == 198);
    static const decai__bias want[] = { { 3, 250 }, { 4, 1000000 }, { 17, DECAI__BIAS_BAN }, { 50256, -100000 } };
    assert_int_equal(s.bias_count, 4);
    assert_memory_equal(s.bias, want, sizeof want);
    decai__sampler_free(ctx, &s);
    decai__sampler_free(ctx, &s);
    decai_destroy(o);
}

static int32_t
read_text(const char *key, const char *text)
{
    decai_options *o = NULL;
    decai__sampler s;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, key, text), 0);
    set(&o, "infer.dry_multiplier", 1);
    int32_t r = decai__sampler_read(&s, ctx, o);
    decai_destroy(o);
    if (r) assert_non_null(strstr(decai_error_detail(), key));
    else decai__sampler_free(ctx, &s);
    return r;
}

static void
test_lists(void **state)
{
    static const char *const bad[] = { ",", "1", "1:", "1:2,", "1:2,,3:4", "1:2;3:4", " 1:2", "1:2 ", "1:0.1234", "1:1000.001", "1:1001",
        "1:-1000.001", "1:--1", "1:+", "1:.5", "1:5.", "1:inf", "1:+inf", "1:-in", "1:-infx", "1:nan", "1:1e3", "1048576:1",
        "99999999999999999999:1", "-1:1", "3:1,3:2", "3:1,4:1,3:1" };
    static char text[16 * (DECAI_LOGIT_BIAS_MAX + 2)];
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(bad); i++)
        if (read_text("infer.logit_bias", bad[i]) != DECAI_E_INVALID) fail_msg("taken: %s", bad[i]);
    assert_int_equal(read_text("infer.logit_bias", "1048575:-1000,0:1000.000"), 0);
    assert_int_equal(read_text("infer.dry_breakers", "1,2,"), DECAI_E_INVALID);
    assert_int_equal(read_text("infer.dry_breakers", "1:2"), DECAI_E_INVALID);
    assert_int_equal(read_text("infer.dry_breakers", "4,4"), DECAI_E_INVALID);
    for (int n = DECAI_LOGIT_BIAS_MAX - 1; n <= DECAI_LOGIT_BIAS_MAX + 1; n++) {
        size_t len = 0;
        for (int i = 0; i < n; i++) len += (size_t)sprintf(text + len, "%s%d:-0.5", i ? "," : "", n - i);
        assert_int_equal(read_text("infer.logit_bias", text), n > DECAI_LOGIT_BIAS_MAX ? DECAI_E_LIMIT : 0);
        len = 0;
        for (int i = 0; i < n; i++) len += (size_t)sprintf(text + len, "%s%d", i ? "," : "", i);
        assert_int_equal(read_text("infer.dry_breakers", text), n > DECAI_DRY_BREAKERS_MAX ? DECAI_E_LIMIT : 0);
    }
}

static void
test_mirostat_stands_alone(void **state)
{
    static const struct { const char *key; double v; } others[] = { { "infer.top_k", 4 }, { "infer.top_p", 0.5 }, { "infer.min_p", 0.1 },
        { "infer.typical_p", 0.5 }, { "infer.xtc_probability", 0.5 } };
    (void)state;
    for (size_t i = 0; i <= DECAI__COUNT(others); i++) {
        decai_options *o = NULL;
        decai__sampler s;
        bool alone = i == DECAI__COUNT(others);
        assert_int_equal(decai_options_create(&o, ctx), 0);
        set(&o, "infer.mirostat", 2);
        if (!alone) set(&o, others[i].key, others[i].v);
        assert_int_equal(decai__sampler_read(&s, ctx, o), alone ? 0 : DECAI_E_INVALID);
        if (alone) assert_true(s.tau_65536 == 5 << 16 && s.eta_65536 == 6554);
        else assert_non_null(strstr(decai_error_detail(), others[i].key));
        set(&o, "infer.mirostat", 1);
        assert_int_equal(decai__sampler_read(&s, ctx, o), DECAI_E_UNSUPPORTED);
        decai_destroy(o);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy), cmocka_unit_test(test_cuts), cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_rule), cmocka_unit_test(test_extremes), cmocka_unit_test(test_off_is_off),
        cmocka_unit_test(test_mask_holds), cmocka_unit_test(test_edges), cmocka_unit_test(test_draws_ahead),
        cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_options),
        cmocka_unit_test(test_one_form), cmocka_unit_test(test_units), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_mirostat_stands_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
