/* compute_functions_test.c - what the contract computes in floats (CONTRACT.md §7 to
 * §14) against doubles from libm: own functions with the bounds that are stated
 * there, norms, angles, rounding into caches, attention, experts. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"

static uint64_t seed = 7;

static uint32_t
rnd(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 32);
}

static double
gauss(void)
{
    double s = 0;
    for (int i = 0; i < 12; i++) s += rnd() / 4294967296.0;
    return s - 6;
}

static float
bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static double
ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, (e > -125 ? e : -125) - 24);
}

/* ---- §9, §12: own functions -------------------------------------------------------------- */

/* What the sampler adds: weights, log2 and ln; and runs of them, which have lanes. */
static void
sampler_functions_are_close(void **state)
{
    double worst_log2 = 0, worst_ln = 0;
    uint32_t before = 0;
    (void)state;
    for (float x = 0; x > -30; x -= 0.0137f)
        assert_true(decai__leaf_exp30(x) == nearbyint((double)decai__leaf_exp(x) * 1073741824.0));
    assert_true(decai__leaf_exp30(0) == 1u << 30 && decai__leaf_exp30(-22) == 0 && decai__leaf_exp30(-INFINITY) == 0);
    for (uint64_t x = 1; x < UINT64_C(1) << 62; x += 1 + x / 97) {
        uint32_t got = decai__leaf_log2(x);
        worst_log2 = fmax(worst_log2, fabs(got / 65536.0 - log2((double)x)));
        assert_true(got >= before);
        before = got;
        worst_ln = fmax(worst_ln, fabs(decai__leaf_ln((double)x) - log((double)x)) / fmax(1, log((double)x)));
    }
    for (int e = 0; e < 64; e++) assert_int_equal(decai__leaf_log2(UINT64_C(1) << e), e << 16);
    print_message("# log2 off by at most %.3g, ln by %.3g\n", worst_log2, worst_ln);
    assert_true(worst_log2 < 1.0 / 65536 + 1e-6);
    assert_true(worst_ln < 1e-15);
}

static void
runs_are_their_elements(void **state)
{
    float x[67], y[67];
    uint32_t w[67];
    (void)state;
    for (size_t n = 0; n <= 67; n++) {
        float max = 0, scale = 1000.0f / (float)(1 + rnd() % 3000);
        for (size_t i = 0; i < n; i++) x[i] = i % 13 == 5 ? -INFINITY : (float)(gauss() * (n % 3 ? 5 : 1e37));
        for (size_t i = 0; i < n; i++) max = fmaxf(max, x[i]);
        uint64_t sum = decai__exp30_run(w, x, n, max, scale);
        decai__exp_run(y, x, n, max, scale);
        for (size_t i = 0; i < n; i++) {
            float d = (x[i] - max) * scale;
            assert_int_equal(w[i], decai__leaf_exp30(d));
            assert_true(y[i] == decai__leaf_exp(d));
            sum -= w[i];
        }
        assert_int_equal(sum, 0);
    }
}

static void
passes_are_their_elements(void **state)
{
    float x[141], y[141];
    uint32_t ids[141];
    (void)state;
    for (size_t n = 0; n <= 141; n++) {
        uint64_t mask[3];
        bool finite = true;
        float max = -INFINITY, least = (float)gauss();
        size_t above = 0;
        for (size_t i = 0; i < 3; i++) mask[i] = ((uint64_t)rnd() << 32 | rnd()) | (n % 5 ? 0 : UINT64_MAX << n % 60);
        for (size_t i = 0; i < n; i++) x[i] = n % 3 ? (float)gauss() : (float)(rnd() % 7) - 3;
        for (size_t i = 0; i < n; i++) max = fmaxf(max, x[i]);
        assert_true(decai__max_run(x, n, &finite) == max && finite);
        size_t found = decai__above_run(ids, 1000, x, n, least);
        for (size_t i = 0; i < n; i++)
            if (x[i] >= least) assert_int_equal(ids[above++], 1000 + i);
        assert_int_equal(found, above);
        decai__spread whole = { 0, 0, 0 }, parts = { 0, 0, 0 };
        decai__spread_run(&whole, x, n, max);
        for (size_t i = 0; i < n; i++) decai__spread_run(&parts, x + i, 1, max);
        assert_memory_equal(&whole, &parts, sizeof whole);
        memcpy(y, x, sizeof y);
        decai__near_run(y, n, max, 2500);
        for (size_t i = 0; i < n; i++) assert_true(nearbyint((max - x[i]) * 1024.0) <= 2500 ? y[i] == x[i] : y[i] == -INFINITY);
        memcpy(y, x, sizeof y);
        decai__mask_run(y, mask, n);
        for (size_t i = 0; i < n; i++) assert_true(mask[i / 64] >> i % 64 & 1 ? y[i] == x[i] : y[i] == -INFINITY);
        for (size_t i = 0; i < n; i++) {
            static const uint32_t odd[] = { 0x7f800000, 0xff800000, 0x7fc00000, 0xff800001 };
            float kept = x[i];
            x[i] = bits(odd[i % 4]);
            finite = true;
            (void)decai__max_run(x, n, &finite);
            assert_false(finite);
            x[i] = kept;
        }
    }
}

static void
tanh_and_erf_are_close(void **state)
{
    double worst_tanh = 0, worst_erf = 0;
    (void)state;
    for (uint32_t u = 0; u < 0x42000000u; u += u < 0x3e000000u ? 40009 : 131) {   /* 0 .. 32 */
        float x = bits(u);
        worst_tanh = fmax(worst_tanh, ulps(decai__leaf_tanh(x), tanh((double)x)));
        worst_erf = fmax(worst_erf, ulps(decai__leaf_erf(x), erf((double)x)));
        assert_true(decai__leaf_tanh(-x) == -decai__leaf_tanh(x) && decai__leaf_erf(-x) == -decai__leaf_erf(x));
    }
    print_message("# worst error in ulp: tanh %.3f, erf %.3f\n", worst_tanh, worst_erf);
    assert_true(worst_tanh <= 2.0 && worst_erf <= 1.5);
    assert_true(decai__leaf_tanh(INFINITY) == 1 && decai__leaf_tanh(-INFINITY) == -1 && decai__leaf_tanh(FLT_MAX) == 1);
    assert_true(decai__leaf_erf(INFINITY) == 1 && decai__leaf_erf(FLT_MAX) == 1 && signbit(decai__leaf_tanh(-0.0f)));
}

static double
exact_activation(int32_t kind, double g)
{
    const double pi = 3.14159265358979323846;
    switch (kind) {
    case DECAI__GLU_SILU: return g / (1 + exp(-g));
    case DECAI__GLU_GELU_TANH: return 0.5 * g * (1 + tanh(sqrt(2 / pi) * g * (1 + 0.044715 * g * g)));
    case DECAI__GLU_GELU_ERF: return 0.5 * g * (1 + erf(g / sqrt(2)));
    default: g = fmin(g, 7); return g / (1 + exp(-1.702 * g));
    }
}

/* Errors beside the inputs: tails are small and may be rough. */
static void
activations_are_close(void **state)
{
    static const char *names[] = { "silu", "gelu_tanh", "gelu_erf", "oai" };
    (void)state;
    for (int32_t kind = 0; kind < DECAI__GLU_KINDS; kind++) {
        double worst = 0;
        for (int i = 0; i < 400000; i++) {
            float g = (float)(gauss() * 4), u = (float)(gauss() * 3);
            double a = exact_activation(kind, (double)g), up = kind == DECAI__GLU_OAI ? fmax(-7, fmin(7, (double)u)) + 1 : (double)u;
            double scale = fmax(1, fabs((double)g)) * 0x1p-23;
            worst = fmax(worst, fabs((double)decai__leaf_activation(kind, g) - a) / scale);
            worst = fmax(worst, fabs((double)decai__leaf_glu(kind, g, u) - a * up) / (scale * fmax(1, fabs(up))));
        }
        print_message("# %s: worst error %.2f * 2^-23 * max(1, |gate|) * max(1, |up|)\n", names[kind], worst);
        assert_true(worst <= 2.5);
        /* Largest inputs end in the activation's limits, not in NaN. */
        assert_true(isfinite(decai__leaf_activation(kind, 0x1p+59f)) && fabsf(decai__leaf_activation(kind, -0x1p+59f)) < 1e-3f);
    }
    for (int i = 0; i < 100000; i++) {
        float x = (float)(gauss() * 40);
        assert_true(fabs((double)decai__leaf_softcap(x, 50) - 50 * tanh((double)x / 50)) < 50 * 0x1p-21);
    }
}

/* ---- §7 norms ------------------------------------------------------------------------------------ */

static void
norms_are_close(void **state)
{
    enum { N = 777 };
    float x[N], w[N], b[N], y[N];
    double worst = 0;
    (void)state;
    for (int round = 0; round < 40; round++) {
        size_t n = round % 2 ? N : 256 + (size_t)round;
        double mean = 0, square = 0, about = 0;
        for (size_t k = 0; k < n; k++) {
            x[k] = (float)(gauss() * 3 + 0.5);
            w[k] = (float)gauss();
            b[k] = (float)gauss();
            mean += (double)x[k] / (double)n;
            square += (double)x[k] * (double)x[k] / (double)n;
        }
        for (size_t k = 0; k < n; k++) about += ((double)x[k] - mean) * ((double)x[k] - mean) / (double)n;
        assert_int_equal(decai__row_norm(y, x, w, NULL, n, 1e-6f, DECAI__NORM_RMS), 0);
        for (size_t k = 0; k < n; k++)
            worst = fmax(worst, fabs((double)y[k] - (double)x[k] / sqrt(square + (double)1e-6f) * (double)w[k]));
        assert_int_equal(decai__row_norm(y, x, w, b, n, 1e-6f, DECAI__NORM_LAYER), 0);
        for (size_t k = 0; k < n; k++)
            worst = fmax(worst, fabs((double)y[k] - ((double)x[k] - mean) / sqrt(about + (double)1e-6f) * (double)w[k] - (double)b[k]));
    }
    print_message("# norms: worst error %.3g\n", worst);
    assert_true(worst < 1e-5);
    x[5] = INFINITY;
    assert_int_equal(decai__row_norm(y, x, w, b, N, 1e-6f, DECAI__NORM_LAYER), DECAI_E_INTEGRITY);
    assert_int_equal(decai__row_norm(y, x, w, NULL, N, 1e-6f, DECAI__NORM_RMS), DECAI_E_INTEGRITY);
    x[5] = NAN;
    assert_int_equal(decai__row_norm(y, x, w, b, N, 1e-6f, DECAI__NORM_LAYER), DECAI_E_INTEGRITY);
}

/* ---- §8 angles ---------------------------------------------------------------------------------------- */

static double
exact_frequency(const decai__rope_spec *s, size_t pair)
{
    const double pi = 3.14159265358979323846;
    double d = (double)s->rot_dim, f = pow(s->base, -2.0 * (double)pair / d);
    if (s->freq_factors) f /= (double)s->freq_factors[pair];
    if (s->linear > 0) f /= s->linear;
    if (s->yarn.factor > 0) {
        double low = floor(d * log(s->yarn.original / (s->yarn.beta_fast * 2 * pi)) / (2 * log(s->base)));
        double high = ceil(d * log(s->yarn.original / (s->yarn.beta_slow * 2 * pi)) / (2 * log(s->base)));
        low = fmax(0, low);
        high = fmin(d - 1, high);
        double share = fmin(1, fmax(0, ((double)pair - low) / fmax(0.001, high - low)));
        f = f / s->yarn.factor * share + f * (1 - share);
    }
    return f;
}

static void
angles_of_specs_are_close(void **state)
{
    float factors[64];
    decai__rope_spec specs[5];
    double worst = 0;
    (void)state;
    for (size_t i = 0; i < 64; i++) factors[i] = i < 20 ? 1.0f : i < 30 ? 1.0f + (float)(i - 20) * 0.7f : 8.0f;
    for (size_t i = 0; i < 5; i++) specs[i] = (decai__rope_spec){ .rot_dim = 128, .base = 500000.0 };
    specs[1].linear = 8;
    specs[2].freq_factors = factors;
    specs[3].yarn.factor = 32, specs[3].yarn.original = 4096, specs[3].yarn.beta_fast = 32, specs[3].yarn.beta_slow = 1, specs[3].yarn.attn_factor = 1;
    specs[4] = (decai__rope_spec){ .rot_dim = 96, .base = 10000, .mscale = 1.19 };
    for (size_t i = 0; i < 5; i++)
        for (int k = 0; k < 20000; k++) {
            size_t pair = rnd() % (specs[i].rot_dim / 2);
            uint64_t pos = rnd() % 131072;
            double m = decai__leaf_rope_magnitude(&specs[i]), angle = (double)pos * exact_frequency(&specs[i], pair);
            double want = i == 3 ? 1 + 0.1 * log(32) : i == 4 ? 1.19 : 1;
            float c, s;
            assert_true(fabs(m - want) < 1e-14);
            decai__leaf_rope_angle(&c, &s, pos, decai__leaf_rope_frequency(&specs[i], pair), m);
            worst = fmax(worst, fmax(fabs((double)c / want - cos(angle)), fabs((double)s / want - sin(angle))));
        }
    print_message("# angles of scaled specs: worst error %.3g\n", worst);
    assert_true(worst < 6.5e-8);
    assert_true(fabs(decai__rope_ntk_base(10000, 4, 128) - 10000 * pow(4, 128 / 126.0)) < 1e-8);
}

/* ---- §10 caches -------------------------------------------------------------------------------------------- */

static void
halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {          /* between each half and the next: below, at and above the middle */
        double a = (double)decai__f16_to_f32((uint16_t)h), b = h == 0x7bff ? 65536 : (double)decai__f16_to_f32((uint16_t)(h + 1));
        float middle = (float)((a + b) / 2);
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        assert_int_equal(decai__leaf_to_f16((float)a), h);
        assert_int_equal(decai__leaf_to_f16(middle), even);
        assert_int_equal(decai__leaf_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(decai__leaf_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(decai__leaf_to_f16(-middle), even | 0x8000);
    }
    assert_int_equal(decai__leaf_to_f16(65520.0f), 0x7c00);
    assert_int_equal(decai__leaf_to_f16(nextafterf(65520.0f, 0)), 0x7bff);
    assert_int_equal(decai__leaf_to_f16(0x1p-25f), 0);
    assert_int_equal(decai__leaf_to_f16(nextafterf(0x1p-25f, 1)), 1);
    assert_int_equal(decai__leaf_to_f16(bits(1)), 0);
    assert_int_equal(decai__leaf_to_f16(-0.0f), 0x8000);
    assert_true((decai__leaf_to_f16(NAN) & 0x7fff) > 0x7c00);
}

static void
caches_round_as_stated(void **state)
{
    float x[256], y[256], again[256];
    (void)state;
    for (int round = 0; round < 400; round++) {
        size_t dim = 1 + rnd() % 256;
        int32_t top = (int32_t)(rnd() % 40) - 30;
        for (size_t d = 0; d < dim; d++) x[d] = (float)(ldexp(gauss(), top > 12 ? 12 : top));
        assert_true(decai__leaf_kv_round(y, DECAI__KV_F16, x, dim));
        for (size_t d = 0; d < dim; d++) assert_true(y[d] == decai__f16_to_f32(decai__leaf_to_f16(x[d])));
        assert_true(decai__leaf_kv_round(y, DECAI__KV_Q8_0, x, dim));
        for (size_t from = 0; from < dim; from += 32) {
            size_t end = from + 32 < dim ? from + 32 : dim;
            double most = 0;
            for (size_t d = from; d < end; d++) most = fmax(most, fabs((double)x[d]));
            /* Half a step, a step being the largest / 127 as an f16, or up to twice that. */
            double step = most / 127 >= 0x1p-14 ? most / 127 * (1 + 0x1p-10) : fmax(0x1p-24, 2 * most / 127);
            for (size_t d = from; d < end; d++) assert_true(fabs((double)y[d] - (double)x[d]) <= step / 2 * (1 + 0x1p-10));
        }
        /* What came out of a cache goes in unchanged: traces depend on it. */
        assert_true(decai__leaf_kv_round(again, DECAI__KV_Q8_0, y, dim));
        assert_memory_equal(again, y, dim * 4);
    }
    static const float bad[] = { NAN, INFINITY, -INFINITY, 65520.0f, -1e30f };
    for (size_t i = 0; i < 5; i++)
        for (int32_t type = 0; type < 2; type++) {
            for (size_t d = 0; d < 40; d++) x[d] = 1;
            x[i * 9] = bad[i];
            assert_false(decai__leaf_kv_round(y, type, x, 40));
            x[i * 9] = nextafterf(65520.0f, 0);
            assert_true(decai__leaf_kv_round(y, type, x, 40));
        }
    assert_int_equal(decai__kv_row_bytes(DECAI__KV_F16, 80), 160);
    assert_int_equal(decai__kv_row_bytes(DECAI__KV_Q8_0, 80), 86);
}

/* Rings drop what is out of sight, say so, and truncate only to what they can. */
static void
windows_are_rings(void **state)
{
    static const uint32_t window[2] = { 100, 0 };
    const decai__kv_spec spec = { 2, 1, 8, DECAI__KV_F16, 1000, 50, window };
    decai_context *ctx;
    decai__compute *c;
    decai__kv *kv;
    float x[50 * 8], y[8];
    (void)state;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    assert_int_equal(decai__compute_open(&c, ctx, "scalar", "", NULL), 0);
    assert_int_equal(decai__kv_create(&kv, c, &spec), 0);
    size_t start = decai__kv_bytes(kv);
    for (size_t pos = 0; pos < 1000; pos += 50) {
        for (size_t i = 0; i < 50 * 8; i++) x[i] = (float)(pos + i / 8);
        for (size_t l = 0; l < 2; l++)
            for (int32_t which = 0; which < 2; which++) assert_int_equal(decai__kv_write(kv, l, which, pos, 50, x), 0);
    }
    /* 16 pages of the layer that keeps all, 4 of the ring (100 + 50 positions). */
    assert_int_equal(decai__kv_bytes(kv) - start, 20 * (2 * 64 * 16 + 64));
    for (size_t pos = 0; pos < 1000; pos++) {
        assert_int_equal(decai__kv_read(kv, 1, 1, pos, 1, y), 0);
        assert_true(y[3] == (float)pos);
        int32_t r = decai__kv_read(kv, 0, 0, pos, 1, y);
        if (pos >= 850) assert_int_equal(r, 0);
        if (pos < 700) assert_int_equal(r, DECAI_E_STATE);
        if (!r) assert_true(y[7] == (float)pos);
    }
    assert_int_equal(decai__kv_truncate(kv, 400), DECAI_E_STATE);
    assert_int_equal(decai__kv_read(kv, 1, 0, 999, 1, y), 0);            /* nothing changed */
    assert_int_equal(decai__kv_truncate(kv, 960), 0);
    assert_int_equal(decai__kv_read(kv, 1, 0, 960, 1, y), DECAI_E_STATE);
    assert_int_equal(decai__kv_read(kv, 1, 0, 959, 1, y), 0);
    assert_int_equal(decai__kv_write(kv, 0, 0, 970, 1, x), DECAI_E_STATE);
    assert_int_equal(decai__kv_write(kv, 0, 0, 960, 41, x), DECAI_E_INVALID);
    assert_int_equal(decai__kv_truncate(kv, 0), 0);
    assert_int_equal(decai__kv_write(kv, 0, 0, 0, 50, x), 0);
    assert_int_equal(decai__kv_read(kv, 0, 0, 49, 1, y), 0);
    assert_int_equal(decai__kv_read(kv, 1, 0, 0, 1, y), DECAI_E_STATE);
    decai__kv_destroy(kv);
    decai__kv_destroy(NULL);

    decai__kv_spec bad = spec;
    bad.head_dim = DECAI__HEAD_MAX + 1;
    assert_int_equal(decai__kv_create(&kv, c, &bad), DECAI_E_INVALID);
    assert_null(kv);
    bad = spec;
    bad.capacity = ((size_t)1 << 20) + 1;
    assert_int_equal(decai__kv_create(&kv, c, &bad), DECAI_E_INVALID);
    bad = spec;
    bad.type = 2;
    assert_int_equal(decai__kv_create(&kv, c, &bad), DECAI_E_INVALID);
    decai__compute_destroy(c);
    decai_destroy(ctx);
}

/* ---- §11 attention ------------------------------------------------------------------------------------------- */

typedef struct attn_case { size_t pos, dim; uint32_t window; float cap; bool sink; int32_t type; } attn_case;

static double
attention_error(decai__compute *c, const attn_case *k)
{
    enum { MAX = 300 };
    static float keys[MAX * 64], values[MAX * 64];
    float q[64], sink = 0.7f, y[64];
    const decai__kv_spec spec = { 1, 1, k->dim, k->type, MAX, MAX, &k->window };
    decai__attn p = { .n = 1, .heads = 1, .kv_heads = 1, .head_dim = k->dim, .pos = k->pos, .scale = 0.125f, .softcap = k->cap };
    decai__tbuf *b[4];
    decai__kv *kv;
    double top = k->sink ? (double)sink : -1e300, sum = 0, score[MAX], worst = 0;
    size_t n = k->pos + 1, first = decai__window_first(k->pos, k->window);
    for (size_t i = 0; i < n * k->dim; i++) {
        keys[i] = (float)gauss();
        values[i] = (float)gauss();
    }
    for (size_t d = 0; d < k->dim; d++) q[d] = (float)gauss() * 3;
    for (int i = 0; i < 4; i++) assert_int_equal(decai__tbuf_create(&b[i], c, sizeof keys), 0);
    assert_int_equal(decai__tbuf_write(b[0], 0, keys, n * k->dim * 4), 0);
    assert_int_equal(decai__tbuf_write(b[1], 0, values, n * k->dim * 4), 0);
    assert_int_equal(decai__tbuf_write(b[2], 0, q, k->dim * 4), 0);
    assert_int_equal(decai__tbuf_write(b[2], 1024, &sink, 4), 0);
    if (k->sink) p.sinks = (decai__ref){ b[2], 1024 };
    assert_int_equal(decai__kv_create(&kv, c, &spec), 0);
    assert_int_equal(decai__op_kv_store(c, kv, 0, 0, DECAI__REF(b[0]), DECAI__REF(b[1]), n, "kv"), 0);
    assert_int_equal(decai__op_attention(c, DECAI__REF(b[3]), DECAI__REF(b[2]), kv, 0, &p, "scores"), 0);
    assert_int_equal(decai__tbuf_read(b[3], 0, y, k->dim * 4), 0);
    assert_int_equal(decai__kv_read(kv, 0, 0, 0, n, keys), 0);
    assert_int_equal(decai__kv_read(kv, 0, 1, 0, n, values), 0);
    for (size_t t = first; t < n; t++) {
        double s = 0;
        for (size_t d = 0; d < k->dim; d++) s += (double)q[d] * (double)keys[t * k->dim + d];
        s *= 0.125;
        score[t] = k->cap > 0 ? (double)k->cap * tanh(s / (double)k->cap) : s;
        top = fmax(top, score[t]);
    }
    for (size_t t = first; t < n; t++) sum += exp(score[t] - top);
    if (k->sink) sum += exp((double)sink - top);
    for (size_t d = 0; d < k->dim; d++) {
        double want = 0;
        for (size_t t = first; t < n; t++) want += exp(score[t] - top) / sum * (double)values[t * k->dim + d];
        worst = fmax(worst, fabs((double)y[d] - want));
    }
    decai__kv_destroy(kv);
    for (int i = 0; i < 4; i++) decai__tbuf_destroy(b[i]);
    return worst;
}

static void
attention_is_close(void **state)
{
    static const attn_case cases[] = {
        { 0, 64, 0, 0, false, 0 }, { 299, 64, 0, 0, false, 0 }, { 299, 64, 0, 0, false, 1 }, { 200, 48, 70, 0, false, 0 },
        { 130, 64, 0, 20, true, 0 }, { 250, 40, 64, 50, true, 1 }, { 5, 64, 3, 0, true, 0 }, { 127, 64, 1, 0, false, 0 },
    };
    double worst = 0;
    decai_context *ctx;
    decai__compute *c;
    (void)state;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    assert_int_equal(decai__compute_open(&c, ctx, "scalar", "", NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) worst = fmax(worst, attention_error(c, &cases[i]));
    print_message("# attention: worst error %.3g beside exact attention over the same cache\n", worst);
    assert_true(worst < 4e-6);
    decai__compute_destroy(c);
    decai_destroy(ctx);
}

/* ---- §14 experts -------------------------------------------------------------------------------------------------- */

static void
routes_choose_the_largest(void **state)
{
    float scores[DECAI__EXPERTS_MAX];
    decai__chosen out[DECAI__USED_MAX];
    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t experts = 1 + rnd() % (round % 3 ? 16 : DECAI__EXPERTS_MAX), used = 1 + rnd() % (experts < DECAI__USED_MAX ? experts : DECAI__USED_MAX);
        int32_t kind = round % 2;
        double sum = 0;
        for (size_t e = 0; e < experts; e++) scores[e] = (float)(int)(gauss() * (round % 5 ? 1000 : 2)) / 256;   /* ties too */
        assert_int_equal(decai__leaf_route(out, scores, experts, used, kind), 0);
        bool taken[DECAI__EXPERTS_MAX] = { false };
        for (size_t i = 0; i < used; i++) {
            assert_true(out[i].id >= 0 && (size_t)out[i].id < experts && (i == 0 || out[i].id > out[i - 1].id));
            taken[out[i].id] = true;
        }
        for (size_t e = 0; e < experts; e++) {
            if (taken[e] || kind == DECAI__ROUTE_ALL) sum += exp((double)scores[e]);
            for (size_t o = 0; o < experts && taken[e]; o++)
                if (!taken[o]) assert_true(scores[e] > scores[o] || (scores[e] == scores[o] && e < o));
        }
        for (size_t i = 0; i < used; i++)
            assert_true(fabs((double)out[i].weight - exp((double)scores[out[i].id]) / sum) < 1e-5);
    }
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < 3; i++) {
        for (size_t e = 0; e < 8; e++) scores[e] = (float)e;
        scores[i] = bad[i];
        assert_int_equal(decai__leaf_route(out, scores, 8, 2, 0), DECAI_E_INTEGRITY);
        for (size_t k = 0; k < 2; k++) assert_true(out[k].id >= 0 && out[k].id < 8);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tanh_and_erf_are_close),
        cmocka_unit_test(sampler_functions_are_close),
        cmocka_unit_test(runs_are_their_elements), cmocka_unit_test(passes_are_their_elements),
        cmocka_unit_test(activations_are_close), cmocka_unit_test(norms_are_close),
        cmocka_unit_test(angles_of_specs_are_close), cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(caches_round_as_stated), cmocka_unit_test(windows_are_rings), cmocka_unit_test(attention_is_close),
        cmocka_unit_test(routes_choose_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
