/* compute_contract_test.c - the leaf functions against independent arithmetic:
 * 128-bit integers and double from libm, written another way than leaf.c. */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"

__extension__ typedef __int128 i128;

static uint64_t seed = 1;

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
half(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

/* ---- an independent reading of CONTRACT.md §2-§4 -------------------------------- */

typedef struct oracle_act { int e; int s[2048]; int q[65536]; } oracle_act;

static void
oracle_quant(oracle_act *o, const float *x, size_t cols)
{
    double a = 0;
    for (size_t k = 0; k < cols; k++) a = fmax(a, fabs((double)x[k]));
    memset(o, 0, sizeof *o);
    for (size_t b = 0; b < cols / 32; b++) o->s[b] = 1;
    if (a < 0x1p-60) return;
    int e;
    frexp(a, &e);                                    /* a = f * 2^e, f in [1/2, 1): e = floor(log2 a) + 1 */
    o->e = e;
    for (size_t b = 0; b < cols / 32; b++) {
        double g[32], most = 0;
        for (int i = 0; i < 32; i++) {
            g[i] = nearbyint(ldexp((double)x[32 * b + (size_t)i], 21 - e));
            most = fmax(most, fabs(g[i]));
        }
        int s = (int)fmax(1, ceil(most / 127));
        o->s[b] = s;
        for (int i = 0; i < 32; i++)
            o->q[32 * b + (size_t)i] = (int)copysign(floor((2 * fabs(g[i]) + s) / (2.0 * s)), g[i]);
    }
}

static int
oracle_exponent(int32_t type, const uint8_t *row, size_t cols)
{
    size_t block = type == DECAI__Q8_0 ? 34 : 18;
    double m = 0;
    for (size_t b = 0; b < cols / 32; b++) m = fmax(m, fabs(half(decai__load_le16(row + b * block))));
    return m == 0 ? 0 : ilogb(m) - 14;
}

static i128
oracle_sum(int32_t type, const uint8_t *row, int f, const oracle_act *o, size_t first, size_t end)
{
    size_t block = type == DECAI__Q8_0 ? 34 : 18;
    i128 sum = 0;
    for (size_t k = first; k < end; k++) {
        const uint8_t *at = row + k / 32 * block;
        i128 d = (i128)nearbyint(ldexp(half(decai__load_le16(at)), -f));
        size_t i = k % 32;
        int q = type == DECAI__Q8_0 ? (int8_t)at[2 + i] : (i < 16 ? at[2 + i] & 15 : at[2 + i - 16] >> 4) - 8;
        sum += d * q * ((i128)o->s[k / 32] * o->q[k]);
    }
    return sum;
}

static void
random_row(int32_t type, uint8_t *row, size_t cols, int extreme)
{
    size_t block = type == DECAI__Q8_0 ? 34 : 18;
    for (size_t i = 0; i < decai__row_size(type, cols); i++) row[i] = (uint8_t)(extreme ? 0x80 : rnd());
    for (size_t b = 0; b < cols / 32; b++) {
        uint16_t h = (uint16_t)(extreme == 2 ? 0x7bff : rnd());
        if ((h & 0x7c00) == 0x7c00) h &= 0x83ff;
        row[b * block] = (uint8_t)h;
        row[b * block + 1] = (uint8_t)(h >> 8);
    }
}

static void
random_x(float *x, size_t cols, int kind)
{
    for (size_t k = 0; k < cols; k++) switch (kind) {
        case 0: x[k] = (float)gauss(); break;
        case 1: x[k] = bits((rnd() & 0x807fffff) | (67 + rnd() % 120) << 23); break;   /* 2^-60 .. 2^59 */
        case 2: x[k] = rnd() & 1 ? 0x1.fffffep+59f : -0x1.fffffep+59f; break;
        case 3: x[k] = bits(rnd() & 0x80ffffff); break;                                /* subnormal and tiny */
        default: x[k] = k ? (float)gauss() * 0x1p-61f : 0x1p-60f; break;
    }
}

static void
integer_products_match_oracle(void **state)
{
    static const size_t sizes[] = { 32, 64, 224, 256, 288, 512, 4096, 65536 };
    static const int32_t types[] = { DECAI__Q8_0, DECAI__Q4_0 };
    (void)state;
    uint8_t *row = malloc(65536 * 2), *act = malloc(decai__act_size(DECAI__ACT_32, 65536));
    float *x = malloc(65536 * 4);
    oracle_act *o = malloc(sizeof *o);
    for (int round = 0; round < 160; round++) {
        size_t cols = sizes[round % 8];
        int32_t type = types[round / 8 % 2], f;
        uint64_t lost = 0;
        random_row(type, row, cols, round / 16 % 3);
        random_x(x, cols, round / 32);
        assert_int_equal(decai__leaf_row_exponent(&f, &lost, type, row, cols), 0);
        assert_int_equal(f, oracle_exponent(type, row, cols));
        assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, cols), 0);
        oracle_quant(o, x, cols);
        decai__act view;
        assert_int_equal(decai__act_decode(&view, act, decai__act_size(DECAI__ACT_32, cols)), 0);
        assert_int_equal(view.exponent, o->e);
        for (size_t k = 0; k < cols; k++) assert_int_equal(view.quants[k], o->q[k]);
        for (size_t b = 0; b < cols / 32; b++) assert_int_equal(decai__act_scale(&view, b), o->s[b]);
        for (size_t leaf = 0; leaf * 256 < cols; leaf++) {
            size_t end = (leaf + 1) * 256 < cols ? (leaf + 1) * 256 : cols;
            assert_true(decai__leaf_sum(type, row, f, &view, leaf) == oracle_sum(type, row, f, o, leaf * 256, end));
        }
        int64_t y = decai__row_sum(type, row, f, &view);
        assert_true(y == oracle_sum(type, row, f, o, 0, cols));
        assert_true(y < INT64_MAX / 2 && y > -(INT64_MAX / 2));
        float want = (float)ldexp((double)(float)y, f + o->e - 21);
        assert_true(decai__leaf_result(y, f, o->e) == want);
    }
    free(row); free(act); free(x); free(o);
}

static void
results_round_to_even(void **state)
{
    (void)state;
    assert_true(decai__leaf_result(0, 1, 60) == 0 && !signbit(decai__leaf_result(0, 1, 60)));
    for (int i = 0; i < 200000; i++) {
        int64_t y = (int64_t)((uint64_t)rnd() << 32 | rnd()) >> (1 + rnd() % 62);
        if (i % 3 == 0) y = (y & ~(int64_t)0xfffff) | 1 << 19;                      /* near ties */
        int f = (int)(rnd() % 40) - 38, e = (int)(rnd() % 120) - 59;
        assert_true(decai__leaf_result(y, f, e) == (float)ldexp((double)(float)y, f + e - 21));
    }
}

static void
half_floats_convert(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        if ((h & 0x7c00) == 0x7c00) continue;
        assert_true((double)decai__f16_to_f32((uint16_t)h) == half((uint16_t)h));
        assert_int_equal(signbit(decai__f16_to_f32((uint16_t)h)) != 0, h >> 15);
    }
    assert_true(isinf(decai__f16_to_f32(0x7c00)) && isnan(decai__f16_to_f32(0x7e00)));
}

/* ---- own functions: bounds stated in CONTRACT.md §9 ------------------------------- */

static double
ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    double ulp = ldexp(1, (e > -125 ? e : -125) - 24);
    return fabs((double)got - want) / ulp;
}

static void
functions_are_close(void **state)
{
    double worst_exp = 0, worst_recip = 0, worst_rsqrt = 0;
    (void)state;
    for (uint32_t u = 0x80000000u; u < 0xc2ae0000u; u += 611) {              /* -0 .. -87 */
        float x = bits(u);
        worst_exp = fmax(worst_exp, ulps(decai__leaf_exp(x), exp((double)x)));
    }
    for (uint32_t u = 0x3f800000u; u < 0x40800000u; u += 5) {                /* 1 .. 4: every shape of mantissa */
        float x = bits(u);
        worst_recip = fmax(worst_recip, ulps(decai__leaf_recip(x), 1 / (double)x));
        worst_rsqrt = fmax(worst_rsqrt, ulps(decai__leaf_rsqrt(x), 1 / sqrt((double)x)));
    }
    for (uint32_t u = 0x0d800000u; u < 0x71800000u; u += 997) {              /* 2^-100 .. 2^100 */
        float x = bits(u);
        worst_recip = fmax(worst_recip, ulps(decai__leaf_recip(x), 1 / (double)x));
        worst_rsqrt = fmax(worst_rsqrt, ulps(decai__leaf_rsqrt(x), 1 / sqrt((double)x)));
    }
    print_message("# worst error in ulp: exp %.3f, recip %.3f, rsqrt %.3f\n", worst_exp, worst_recip, worst_rsqrt);
    assert_true(worst_exp <= 1.5);
    assert_true(worst_recip <= 1.0);
    assert_true(worst_rsqrt <= 1.5);
    assert_true(decai__leaf_exp(0.0f) == 1.0f && decai__leaf_exp(-0.0f) == 1.0f);
    assert_true(decai__leaf_exp(-87.0f) > 0 && decai__leaf_exp(nextafterf(-87.0f, -100.0f)) == 0);
    assert_true(decai__leaf_exp(-INFINITY) == 0 && decai__leaf_exp(-1e30f) == 0);
}

static void
angles_are_close(void **state)
{
    static const double bases[] = { 10000, 500000, 1000000 };
    double worst = 0;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        uint64_t pos = i % 2 ? rnd() % 4096 : rnd() % 131072;
        size_t rot = i % 3 ? 64 : 128, pair = rnd() % (rot / 2);
        double base = bases[rnd() % 3], angle = (double)pos * pow(base, -2.0 * (double)pair / (double)rot);
        float c, s;
        const decai__rope_spec spec = { .rot_dim = rot, .base = base };
        decai__leaf_rope_angle(&c, &s, pos, decai__leaf_rope_frequency(&spec, pair), 1.0);
        worst = fmax(worst, fmax(fabs((double)c - cos(angle)), fabs((double)s - sin(angle))));
    }
    print_message("# worst error of cos and sin: %.3g (half an ulp of 1 is 2.98e-08)\n", worst);
    assert_true(worst <= 4.5e-8);
    float c, s;
    decai__leaf_rope_angle(&c, &s, 0, 0.01, 1.0);
    assert_true(c == 1 && s == 0);
}

static void
silu_is_close(void **state)
{
    double worst = 0;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        float g = (float)(gauss() * 8), u = (float)gauss();
        double want = (double)g / (1 + exp(-(double)g)) * (double)u;
        worst = fmax(worst, ulps(decai__leaf_glu(DECAI__GLU_SILU, g, u), want));
    }
    print_message("# worst error of silu_mul in ulp: %.3f\n", worst);
    assert_true(worst <= 5.0);
    assert_true(decai__leaf_glu(DECAI__GLU_SILU, -0.0f, 1.0f) == 0 && decai__leaf_glu(DECAI__GLU_SILU, -200.0f, 1.0f) == 0);
}

/* ---- accuracy: the rule's error beside llama.cpp's scheme, both against double ------ */

static uint16_t
to_half(double v)                                    /* nearest; test values are normal */
{
    int e;
    double f = frexp(fabs(v), &e);
    uint32_t m = (uint32_t)nearbyint(ldexp(f, 11));
    if (m == 2048) { m = 1024; e++; }
    return (uint16_t)((v < 0 ? 0x8000 : 0) | (uint32_t)(e + 14) << 10 | (m & 1023));
}

static void
accuracy_beside_float_blocks(void **state)
{
    enum { K = 2048, R = 64, T = 16 };
    (void)state;
    static uint8_t rows[R][K / 32 * 34], act[8 + K / 16 + K];
    double ours = 0, theirs = 0, power = 0;
    for (int r = 0; r < R; r++)
        for (int b = 0; b < K / 32; b++) {
            uint16_t h = to_half(0.01 + rnd() / 4294967296.0 * 0.02);
            memcpy(&rows[r][b * 34], &h, 2);
            for (int i = 0; i < 32; i++) rows[r][b * 34 + 2 + i] = (uint8_t)(int8_t)fmax(-127, fmin(127, gauss() * 40));
        }
    for (int t = 0; t < T; t++) {
        static float x[K];
        static double plain[K];
        for (int k = 0; k < K; k++) x[k] = (float)(gauss() * (k % 300 == 7 ? 50 : 1));
        for (int b = 0; b < K / 32; b++) {                            /* int8 with an f16 scale a block */
            double most = 0;
            for (int i = 0; i < 32; i++) most = fmax(most, fabs((double)x[32 * b + i]));
            double d = most / 127, stored = half(to_half(d));
            for (int i = 0; i < 32; i++) plain[32 * b + i] = nearbyint((double)x[32 * b + i] / d) * stored;
        }
        assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, K), 0);
        decai__act view;
        assert_int_equal(decai__act_decode(&view, act, sizeof act), 0);
        for (int r = 0; r < R; r++) {
            double exact = 0, blocks = 0;
            int32_t f;
            decai__leaf_row_exponent(&f, NULL, DECAI__Q8_0, rows[r], K);
            for (int k = 0; k < K; k++) {
                double w = half(decai__load_le16(&rows[r][k / 32 * 34])) * (int8_t)rows[r][k / 32 * 34 + 2 + k % 32];
                exact += w * (double)x[k];
                blocks += w * plain[k];
            }
            double y = (double)decai__leaf_result(decai__row_sum(DECAI__Q8_0, rows[r], f, &view), f, view.exponent);
            ours += (y - exact) * (y - exact);
            theirs += (blocks - exact) * (blocks - exact);
            power += exact * exact;
        }
    }
    print_message("# rms error / rms output: contract %.3e, f16 block scales %.3e, ratio %.4f\n",
        sqrt(ours / power), sqrt(theirs / power), sqrt(ours / theirs));
    assert_true(sqrt(ours / theirs) <= 1.05);
}

/* ---- refusals and limits -------------------------------------------------------------- */

static void
activations_refuse_what_is_not_a_number(void **state)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY, 0x1p+60f, -0x1p+60f, -NAN, 0x1p+100f };
    (void)state;
    float x[64] = { 1 };
    uint8_t act[8 + 4 + 64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        x[i * 9] = bad[i];
        assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, 64), DECAI_E_INTEGRITY);
        x[i * 9] = 0x1.fffffep+59f;
        assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, 64), 0);
    }
    for (int k = 0; k < 64; k++) x[k] = nextafterf(0x1p-60f, 0);
    assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, 64), 0);
    for (int i = 12; i < 76; i++) assert_int_equal(act[i], 0);
    x[3] = 0x1p-60f;
    assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, 64), 0);
    assert_int_not_equal(act[12 + 3], 0);
}

static void
activation_bytes_are_checked(void **state)
{
    (void)state;
    float x[64];
    uint8_t act[76];
    decai__act view;
    for (int k = 0; k < 64; k++) x[k] = (float)gauss();
    assert_int_equal(decai__leaf_quant(act, DECAI__ACT_32, x, 64), 0);
    assert_int_equal(decai__act_decode(&view, act, 76), 0);
    for (size_t len = 0; len < 76; len++) assert_int_equal(decai__act_decode(&view, act, len), DECAI_E_CORRUPT);
    static const struct { size_t at; uint8_t v; } wrong[] = { { 0, 65 }, { 0, 0 }, { 2, 2 }, { 4, 61 }, { 7, 3 }, { 9, 0x41 }, { 20, 0x80 } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t copy[76];
        memcpy(copy, act, 76);
        copy[wrong[i].at] = wrong[i].v;
        assert_int_equal(decai__act_decode(&view, copy, 76), DECAI_E_CORRUPT);
    }
    act[8] = act[9] = 0;
    assert_int_equal(decai__act_decode(&view, act, 76), DECAI_E_CORRUPT);
}

static void
matrices_are_checked(void **state)
{
    (void)state;
    decai_context *ctx;
    decai__compute *c;
    decai__matrix *m;
    uint64_t lost;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    assert_int_equal(decai__compute_open(&c, ctx, "scalar", "", NULL), 0);
    uint8_t *data = calloc(2, 65536 * 4);
    assert_int_equal(decai__matrix_create(&m, c, "w", DECAI__Q8_0, 1, 65536, data, 65536 / 32 * 34, &lost), 0);
    decai__matrix_destroy(m);
    assert_int_equal(decai__matrix_create(&m, c, "w", DECAI__Q8_0, 1, 65568, data, 65568 / 32 * 34, &lost), DECAI_E_LIMIT);
    assert_int_equal(decai__matrix_create(&m, c, "w", DECAI__Q8_0, 1, 33, data, 35, &lost), DECAI_E_INVALID);
    assert_int_equal(decai__matrix_create(&m, c, "w", DECAI__Q8_0, 2, 32, data, 67, &lost), DECAI_E_INVALID);
    assert_int_equal(decai__matrix_create(&m, c, "w", 16, 2, 32, data, 68, &lost), DECAI_E_UNSUPPORTED);
    data[35] = 0x7c;
    assert_int_equal(decai__matrix_create(&m, c, "blk.9.w", DECAI__Q8_0, 2, 32, data, 68, &lost), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "blk.9.w"));
    memset(data, 0, 68);
    data[6] = 0x80; data[7] = 0x7f;                                       /* an F32 infinity is 00 00 80 7f */
    assert_int_equal(decai__matrix_create(&m, c, "f", DECAI__F32, 1, 17, data, 68, &lost), DECAI_E_CORRUPT);
    memset(data, 0, 68);
    data[1] = 0x3c; data[34] = 1; data[35] = 0x04;                         /* scales 1 and 2^-14 + 2^-24: rounds */
    assert_int_equal(decai__matrix_create(&m, c, "w", DECAI__Q8_0, 1, 64, data, 68, &lost), 0);
    assert_int_equal(lost, 1);
    decai__matrix_destroy(m);
    free(data);
    decai__compute_destroy(c);
    decai_destroy(ctx);
}

static void
fpu_mode_is_set_and_restored(void **state)
{
    (void)state;
    static const int modes[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST };
    for (int i = 0; i < 4; i++) {
        decai__fpu f;
        assert_int_equal(fesetround(modes[i]), 0);
        decai__fpu_enter(&f);
        int inside = fegetround();
        decai__fpu_leave(&f);
        int after = fegetround();
        fesetround(FE_TONEAREST);
        /* fegetround reads the x87 word on x86-64, which nobody here touches: MXCSR is seen by a sum. */
        (void)inside;
        assert_int_equal(after, modes[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_products_match_oracle),
        cmocka_unit_test(results_round_to_even),
        cmocka_unit_test(half_floats_convert),
        cmocka_unit_test(functions_are_close),
        cmocka_unit_test(angles_are_close),
        cmocka_unit_test(silu_is_close),
        cmocka_unit_test(accuracy_beside_float_blocks),
        cmocka_unit_test(activations_refuse_what_is_not_a_number),
        cmocka_unit_test(activation_bytes_are_checked),
        cmocka_unit_test(matrices_are_checked),
        cmocka_unit_test(fpu_mode_is_set_and_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
