/* The sampler: its rule, ties, cuts, and that seed and position decide. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "infer/infer.h"
#include "support_infer.h"

static decai_context *ctx;
static int setup(void **state) { (void)state; ctx = infer_context(0); return 0; }
static int teardown(void **state) { (void)state; decai_destroy(ctx); return 0; }

static int32_t
draw(const decai__sampler *s, const float *logits, uint32_t n, uint64_t position)
{
    int32_t token = -1;
    assert_int_equal(decai__sample(ctx, &token, s, logits, n, position), 0);
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
    assert_int_equal(decai__sample(ctx, &token, &s, x, 4, 7), DECAI_E_INTEGRITY);
    x[2] = INFINITY;
    s.temperature_milli = 0;
    assert_int_equal(decai__sample(ctx, &token, &s, x, 4, 7), DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "token 2"));
}

static void
test_options(void **state)
{
    decai_options *o = NULL;
    decai__sampler s;
    (void)state;
    decai__sampler_read(&s, NULL);
    assert_true(s.temperature_milli == 0 && s.top_k == 0 && s.top_p_65536 == 65536 && s.seed == 0);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.temperature", 0.7), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.top_p", 0.9), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.top_k", 40), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.seed", 12345), 0);
    decai__sampler_read(&s, o);
    assert_true(s.temperature_milli == 700 && s.top_k == 40 && s.top_p_65536 == 58982 && s.seed == 12345);
    assert_int_equal(decai_options_set_f64(o, "infer.temperature", -1), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_f64(o, "infer.top_p", 1.01), DECAI_E_INVALID);
    decai_destroy(o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy), cmocka_unit_test(test_cuts), cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_rule), cmocka_unit_test(test_extremes), cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
