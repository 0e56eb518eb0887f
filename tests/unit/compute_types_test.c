/* compute_types_test.c - every quantised type as integers, and the three forms of
 * activations, against arithmetic written another way.
 *
 *   values   W * 2^F against floats that the package gguf computed (types.txt) and,
 *            where all scales are exact, bit for bit against the model room's floats
 *   ranges   K = 65,536 with the largest weights and hostile activations, in 128 bits;
 *            each type's bound as CONTRACT.md states it, reached and never passed
 *   forms    the quantiser against doubles, at its edges too */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"
#include "model/model.h"

__extension__ typedef __int128 i128;

static uint64_t seed = 1;

static uint32_t
rnd(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 32);
}

/* range: log2 of 65,536 * |W|max * |X|max, of CONTRACT.md §4 (one-level scales). */
typedef struct type_case { int32_t type; const char *name; int bits, d, m; double range; } type_case;

static const type_case TYPES[] = {
    { DECAI__Q4_0, "Q4_0", 15, 0, -1, 55.00 },   { DECAI__Q4_1, "Q4_1", 15, 0, 2, 56.00 },
    { DECAI__Q5_0, "Q5_0", 15, 0, -1, 56.00 },   { DECAI__Q5_1, "Q5_1", 15, 0, 2, 57.00 },
    { DECAI__Q8_0, "Q8_0", 15, 0, -1, 59.00 },   { DECAI__IQ4_NL, "IQ4_NL", 15, 0, -1, 58.99 },
    { DECAI__MXFP4, "MXFP4", 15, 0, -1, 54.59 }, { DECAI__Q2_K, "Q2_K", 15, 80, 82, 57.91 },
    { DECAI__Q3_K, "Q3_K", 15, 108, -1, 59.00 }, { DECAI__Q4_K, "Q4_K", 15, 0, 2, 61.98 },
    { DECAI__Q5_K, "Q5_K", 14, 0, 2, 61.98 },    { DECAI__Q6_K, "Q6_K", 13, 208, -1, 62.00 },
    { DECAI__IQ4_XS, "IQ4_XS", 13, 0, -1, 61.99 },
};
#define COUNT (sizeof TYPES / sizeof *TYPES)

static void
put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

/* ---- values ------------------------------------------------------------------------------- */

static size_t
from_hex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = strlen(text) / 2;
    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) {
        char two[3] = { text[2 * i], text[2 * i + 1], 0 };
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static const type_case *
case_of(int32_t type)
{
    for (size_t i = 0; i < COUNT; i++)
        if (TYPES[i].type == type) return &TYPES[i];
    return NULL;
}

/* A line of the file: type, block, values. Its integers, times 2^F, are the values
 * but for the values' own rounding to float and scales that lost bits. */
static bool
check_line(char *line)
{
    uint8_t raw[256], bytes[1024];
    int32_t w[256], f;
    uint64_t lost = 0;
    char *save = NULL, *type = strtok_r(line, " ", &save), *block = strtok_r(NULL, " ", &save), *values = strtok_r(NULL, " \n", &save);
    const type_case *t = type && values ? case_of((int32_t)strtol(type, NULL, 10)) : NULL;
    if (!t) return false;
    (void)from_hex(block, raw, sizeof raw);
    size_t count = from_hex(values, bytes, sizeof bytes) / 4;
    if (count != decai__type_block(t->type)) return false;
    if (decai__leaf_row_exponent(&f, &lost, t->type, raw, count)) return false;   /* NaN scales */
    decai__leaf_block_weights(w, t->type, raw, 0, f);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t u = decai__load_le32(bytes + 4 * i);
        float v;
        memcpy(&v, &u, 4);
        largest = fmax(largest, fabs((double)v));
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t u = decai__load_le32(bytes + 4 * i);
        float v;
        memcpy(&v, &u, 4);
        double slack = largest * 0x1p-21 + (lost ? ldexp(2016, f) : 0);
        if (fabs(ldexp(w[i], f) - (double)v) > slack)
            fail_msg("%s element %zu: %d * 2^%d, the reference has %.9g", t->name, i, w[i], f, (double)v);
    }
    return true;
}

static void
weights_are_the_reference_s(void **state)
{
    (void)state;
    char *line = malloc(8192);
    size_t checked = 0;
    FILE *f = fopen("tests/golden/types.txt", "r");
    assert_non_null(f);
    while (fgets(line, 8192, f)) checked += check_line(line);
    fclose(f);
    free(line);
    print_message("# %zu blocks of the package gguf\n", checked);
    assert_true(checked == COUNT);
}

/* All scales within three binades: D is exact, and so are the model room's floats. */
static void
random_exact_row(const type_case *t, uint8_t *row, size_t cols)
{
    size_t bytes = decai__type_block_bytes(t->type);
    for (size_t i = 0; i < decai__row_size(t->type, cols); i++) row[i] = (uint8_t)(rnd() >> 9);
    for (uint8_t *b = row; b < row + decai__row_size(t->type, cols); b += bytes) {
        if (t->type == DECAI__MXFP4) {
            *b = (uint8_t)(110 + rnd() % 14);
            continue;
        }
        put16(b + t->d, (uint16_t)((rnd() & 0x83ff) | (9 + rnd() % 2) << 10));
        if (t->m >= 0) put16(b + t->m, (uint16_t)((rnd() & 0x83ff) | (9 + rnd() % 2) << 10));
    }
}

static void
exact_weights_are_exact(void **state)
{
    (void)state;
    static uint8_t row[1024];
    static float v[768];
    for (size_t i = 0; i < COUNT; i++)
        for (int round = 0; round < 40; round++) {
            const type_case *t = &TYPES[i];
            uint64_t lost = 0;
            int32_t f;
            random_exact_row(t, row, 768);
            assert_int_equal(decai__leaf_row_exponent(&f, &lost, t->type, row, 768), 0);
            assert_int_equal(lost, 0);
            decai__row_to_f32((uint32_t)t->type, row, 768, v);
            for (size_t k = 0; k < 768; k++) {
                int32_t w = decai__leaf_weight(t->type, row, k, f);
                if (ldexp(w, f) != (double)v[k]) fail_msg("%s element %zu: %d * 2^%d, not %.9g", t->name, k, w, f, (double)v[k]);
                if (decai__leaf_embed(t->type, row, k, f) != (float)ldexp(w, f)) fail_msg("%s embedding %zu", t->name, k);
            }
        }
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* Blocks with one byte everywhere and the largest scales; Q2_K..Q5_K with a min of
 * the other sign add up. */
static void
extreme_row(const type_case *t, uint8_t *row, size_t cols, uint8_t fill, bool opposite)
{
    size_t bytes = decai__type_block_bytes(t->type), len = decai__row_size(t->type, cols);
    memset(row, fill, len);
    for (uint8_t *b = row; b < row + len; b += bytes) {
        if (t->type == DECAI__MXFP4) *b = 160;
        else put16(b + t->d, 0x7bff);
        if (t->m >= 0) put16(b + t->m, opposite ? 0xfbff : 0x7bff);
        if (t->type == DECAI__Q6_K && fill == 0) memset(b + 192, 0x80, 16);     /* -128 * (0 - 32) */
    }
}

static void
act_of(uint8_t *act, decai__act *view, int32_t form, const int32_t *w, size_t cols)
{
    uint32_t head = (uint32_t)cols | (uint32_t)form << 24;
    int32_t e = 60;
    memcpy(act, &head, 4);
    memcpy(act + 4, &e, 4);
    size_t wide = cols / decai__act_block(form);
    for (size_t b = 0; b < wide; b++) put16(act + 8 + 2 * b, form == DECAI__ACT_2L ? DECAI__ACT_S_MAX : DECAI__ACT_SCALE_MAX);
    if (form == DECAI__ACT_2L) memset(act + 8 + 2 * wide, DECAI__ACT_S6_MAX, cols / 32);
    int8_t *q = (int8_t *)act + decai__act_quants_at(form, cols);
    for (size_t k = 0; k < cols; k++) q[k] = w[k] < 0 ? -127 : 127;
    assert_int_equal(decai__act_decode(view, act, decai__act_size(form, cols)), 0);
}

/* The row's sum at the largest inputs, checked in 128 bits; log2 of it. */
static double
largest_sum(const type_case *t, const uint8_t *row, int32_t form, size_t cols)
{
    static int32_t w[65536];
    static uint8_t act[80000];
    decai__act view;
    int32_t f;
    size_t block = decai__type_block(t->type);
    i128 want = 0;
    assert_int_equal(decai__leaf_row_exponent(&f, NULL, t->type, row, cols), 0);
    for (size_t k = 0; k < cols; k += block) decai__leaf_block_weights(w + k, t->type, row, k / block, f);
    act_of(act, &view, form, w, cols);
    for (size_t k = 0; k < cols; k++) want += (i128)w[k] * view.quants[k] * (i128)decai__act_scale(&view, k / 32);
    int64_t got = decai__row_sum(t->type, row, f, &view);
    assert_true((i128)got == want && got >= 0);
    if (got == 0) return 0;
    float y = decai__leaf_result(got, f, view.exponent);
    assert_true(isfinite(y) && y > 0);
    return log2((double)got);
}

static void
no_sum_overflows(void **state)
{
    static const uint8_t fills[] = { 0xff, 0x80, 0x00, 0x7f, 0x0f, 0xf0, 0x88 };
    static uint8_t row[65536 / 256 * 300 * 2];
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        const type_case *t = &TYPES[i];
        double most = 0, two = 0;
        for (size_t k = 0; k < 2 * sizeof fills; k++) {
            if (k % 2 && t->m < 0) continue;
            extreme_row(t, row, 65536, fills[k / 2], k % 2);
            int32_t form = decai__type_act(t->type, false);
            most = fmax(most, largest_sum(t, row, form, 65536));
            if (form == DECAI__ACT_256) two = fmax(two, largest_sum(t, row, DECAI__ACT_2L, 65536));
        }
        print_message("# %s: 2^%.2f%s", t->name, most, two > 0 ? "" : "\n");
        if (two > 0) print_message(", two-level 2^%.2f\n", two);
        assert_true(most <= t->range + 0.01 && most > t->range - 0.05);
        assert_true(two < 62.1);
    }
}

static void
scales_that_are_no_numbers_are_refused(void **state)
{
    (void)state;
    static uint8_t row[1024];
    for (size_t i = 0; i < COUNT; i++) {
        const type_case *t = &TYPES[i];
        int32_t f;
        for (int part = 0; part < 2; part++) {
            int at = part ? t->m : t->d;
            if (at < 0) continue;
            for (int k = 0; k < 3; k++) {
                random_exact_row(t, row, 256);
                assert_int_equal(decai__leaf_row_exponent(&f, NULL, t->type, row, 256), 0);
                uint8_t *last = row + decai__row_size(t->type, 256) - decai__type_block_bytes(t->type);
                if (t->type == DECAI__MXFP4) *last = (uint8_t[]){ 255, 161, 254 }[k];
                else put16(last + at, (uint16_t[]){ 0x7c00, 0xfc00, 0x7e01 }[k]);
                assert_int_equal(decai__leaf_row_exponent(&f, NULL, t->type, row, 256), DECAI_E_CORRUPT);
            }
        }
    }
    /* MXFP4 at its limits: 2^32 is taken; scales far below the largest become 0. */
    int32_t f;
    uint64_t lost = 0;
    random_exact_row(case_of(DECAI__MXFP4), row, 64);
    row[0] = 160;
    row[17] = 160 - 15;
    assert_int_equal(decai__leaf_row_exponent(&f, &lost, DECAI__MXFP4, row, 64), 0);
    assert_int_equal(f, 160 - 142);
    assert_int_equal(lost, 1);
    assert_int_equal(decai__leaf_block_scale(DECAI__MXFP4, row, 0, f), 16384);
    assert_int_equal(decai__leaf_block_scale(DECAI__MXFP4, row, 1, f), 0);
    row[0] = row[17] = 96;                           /* 2^-32: the last with all of its bits */
    assert_int_equal(decai__leaf_row_exponent(&f, NULL, DECAI__MXFP4, row, 64), 0);
    assert_int_equal(f, -46);
    row[0] = row[17] = 0;                            /* 2^-128: nothing is left of it */
    assert_int_equal(decai__leaf_row_exponent(&f, NULL, DECAI__MXFP4, row, 64), 0);
    assert_int_equal(f, -46);
    assert_int_equal(decai__leaf_block_scale(DECAI__MXFP4, row, 0, f), 0);
}

static void
row_sizes_have_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        size_t block = decai__type_block(TYPES[i].type), bytes = decai__type_block_bytes(TYPES[i].type);
        assert_int_equal(decai__row_size(TYPES[i].type, block), bytes);
        assert_int_equal(decai__row_size(TYPES[i].type, block - 1), 0);
        assert_int_equal(decai__row_size(TYPES[i].type, block + 1), 0);
        assert_int_equal(decai__row_size(TYPES[i].type, 65536), 65536 / block * bytes);
        assert_int_equal(decai__row_size(TYPES[i].type, 65536 + block), 0);
        assert_int_equal(decai__row_size(TYPES[i].type, 0), 0);
    }
    assert_int_equal(decai__row_size(16, 256), 0);
    assert_false(decai__type_known(16));
    assert_int_equal(decai__type_act(DECAI__F16, true), -1);
    assert_int_equal(decai__type_act(DECAI__Q5_1, true), DECAI__ACT_32);
    assert_int_equal(decai__type_act(DECAI__IQ4_XS, true), DECAI__ACT_2L);
    assert_int_equal(decai__type_act(DECAI__IQ4_XS, false), DECAI__ACT_256);
}

/* ---- forms ------------------------------------------------------------------------------------- */

static void
random_x(float *x, size_t cols, int kind)
{
    for (size_t k = 0; k < cols; k++) {
        uint32_t u = (rnd() & 0x807fffff) | (uint32_t)(kind == 0 ? 120 + rnd() % 8 : kind == 1 ? 67 + rnd() % 120 : 127) << 23;
        if (kind == 2) u |= 0x7fffff;
        if (kind == 3) u &= 0x80ffffff;
        memcpy(x + k, &u, 4);
    }
    if (kind == 3) x[cols / 2] = 0x1.8p-60f;
}

/* §3 in doubles: every number here is exact in them. */
static void
check_form(const float *x, size_t cols, int32_t form, const decai__act *a)
{
    double most = 0, block = (double)decai__act_block(form);
    int e;
    for (size_t k = 0; k < cols; k++) most = fmax(most, fabs((double)x[k]));
    frexp(most, &e);
    assert_int_equal(a->exponent, e);
    for (size_t k = 0; k < cols; k++) {
        double wide = 0, fine = 0;
        for (size_t i = k / (size_t)block * (size_t)block; i < (k / (size_t)block + 1) * (size_t)block; i++)
            wide = fmax(wide, fabs(nearbyint(ldexp((double)x[i], 21 - e))));
        for (size_t i = k / 32 * 32; i < k / 32 * 32 + 32; i++) fine = fmax(fine, fabs(nearbyint(ldexp((double)x[i], 21 - e))));
        double s = fmax(1, ceil(wide / 127)), g = nearbyint(ldexp((double)x[k], 21 - e));
        if (form == DECAI__ACT_2L) {
            s = fmax(1, ceil(wide / (127 * 63)));
            s = s * fmax(1, ceil(fine / (127 * s)));
        }
        assert_true((double)decai__act_scale(a, k / 32) == s);
        assert_int_equal(a->quants[k], (int)copysign(floor((2 * fabs(g) + s) / (2 * s)), g));
        assert_true(a->quants[k] >= -127);
    }
}

static void
forms_match_doubles(void **state)
{
    static float x[1024];
    static uint8_t token[4096];
    (void)state;
    for (int32_t form = 0; form < DECAI__ACT_FORMS; form++)
        for (int round = 0; round < 24; round++) {
            size_t cols = form == DECAI__ACT_32 ? 32 + (rnd() % 24) * 32 : 256 + (rnd() % 4) * 256;
            decai__act a;
            random_x(x, cols, round % 4);
            memset(token, 0xee, sizeof token);
            assert_int_equal(decai__leaf_quant(token, form, x, cols), 0);
            decai__leaf_quant_tail(token, form, cols);
            assert_int_equal(decai__act_decode(&a, token, decai__act_size(form, cols)), 0);
            assert_int_equal(a.form, form);
            assert_int_equal(a.cols, cols);
            check_form(x, cols, form, &a);
            for (size_t k = 0; k < cols; k += 16) {
                int sum = 0;
                for (size_t i = 0; i < 16; i++) sum += a.quants[k + i];
                assert_int_equal((int16_t)decai__load_le16(token + decai__act_sums_at(form, cols) + k / 8), sum);
            }
            for (size_t i = decai__act_size(form, cols); i < decai__act_sums_at(form, cols); i++) assert_int_equal(token[i], 0);
            for (size_t i = decai__act_sums_at(form, cols) + cols / 8; i < decai__act_stride(form, cols); i++) assert_int_equal(token[i], 0);
            assert_int_equal(token[decai__act_stride(form, cols)], 0xee);
        }
}

static void
forms_are_checked(void **state)
{
    static float x[512];
    static uint8_t good[1024], bad[1024];
    (void)state;
    for (int32_t form = 0; form < DECAI__ACT_FORMS; form++) {
        size_t size = decai__act_size(form, 512), wide = 512 / decai__act_block(form);
        decai__act a;
        random_x(x, 512, 0);
        assert_int_equal(decai__leaf_quant(good, form, x, 512), 0);
        for (size_t len = 0; len < size + 2; len++)
            assert_int_equal(decai__act_decode(&a, good, len), len == size ? 0 : DECAI_E_CORRUPT);
#define WRONG(change) (memcpy(bad, good, size), (change), assert_int_equal(decai__act_decode(&a, bad, size), DECAI_E_CORRUPT))
        uint32_t most = form == DECAI__ACT_2L ? DECAI__ACT_S_MAX : DECAI__ACT_SCALE_MAX;
        WRONG(bad[3] = 3);
        WRONG(bad[3] = (uint8_t)(form == 2 ? 0 : form + 1));
        WRONG(bad[0] = 32);
        WRONG(put16(bad + 8, 0));
        WRONG(put16(bad + 8 + 2 * (wide - 1), (uint16_t)(most + 1)));
        WRONG(bad[size - 1] = 0x80);
        WRONG((bad[4] = 61, bad[5] = bad[6] = bad[7] = 0));
        WRONG((bad[4] = 0xc4, bad[5] = bad[6] = bad[7] = 0xff));                /* -60 */
        if (form == DECAI__ACT_2L) {
            WRONG(bad[8 + 2 * wide] = 0);
            WRONG(bad[8 + 2 * wide + 15] = DECAI__ACT_S6_MAX + 1);
        }
        memcpy(bad, good, size);
        put16(bad + 8, (uint16_t)most);
        assert_int_equal(decai__act_decode(&a, bad, size), 0);
        for (size_t k = 0; k < 512; k++) x[k] = 0x1.fffffep-61f;
        assert_int_equal(decai__leaf_quant(bad, form, x, 512), 0);
        assert_int_equal(decai__act_decode(&a, bad, size), 0);
        assert_int_equal(a.exponent, 0);
        for (size_t k = 0; k < 512; k++) assert_true(a.quants[k] == 0 && decai__act_scale(&a, k / 32) == 1);
        x[77] = 0x1p+60f;
        assert_int_equal(decai__leaf_quant(bad, form, x, 512), DECAI_E_INTEGRITY);
    }
}

/* The largest scales are reached, and no more: a block at the top of the grid. */
static void
scales_reach_their_limits(void **state)
{
    static float x[256];
    static uint8_t token[1024];
    decai__act a;
    (void)state;
    for (size_t k = 0; k < 256; k++) x[k] = k % 2 ? 0x1.fffffep+5f : -0x1.fffffep+5f;
    for (int32_t form = 0; form < DECAI__ACT_FORMS; form++) {
        assert_int_equal(decai__leaf_quant(token, form, x, 256), 0);
        assert_int_equal(decai__act_decode(&a, token, decai__act_size(form, 256)), 0);
        uint32_t wide = decai__load_le16(a.scales);
        assert_int_equal(wide, form == DECAI__ACT_2L ? DECAI__ACT_S_MAX : DECAI__ACT_SCALE_MAX);
        assert_true(abs(a.quants[0]) >= 126);
        /* 2^21 = 127 s6 S at most: s6 is 63 here. */
        if (form == DECAI__ACT_2L) assert_int_equal(a.scales[2], DECAI__ACT_S6_MAX);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_the_reference_s), cmocka_unit_test(exact_weights_are_exact),
        cmocka_unit_test(no_sum_overflows), cmocka_unit_test(scales_that_are_no_numbers_are_refused),
        cmocka_unit_test(row_sizes_have_limits), cmocka_unit_test(forms_match_doubles),
        cmocka_unit_test(forms_are_checked), cmocka_unit_test(scales_reach_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
