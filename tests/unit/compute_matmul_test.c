/* compute_matmul_test.c - integer products of every type: each instruction set of
 * this machine against scalar, bit for bit. Shapes at the edges of a group of
 * sixteen rows, of a tile of tokens, of a chunk of K; random and extreme bytes;
 * one- and two-level scales; experts; packed at load and on the fly; one and
 * several threads. */
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

#define CHECK(call) assert_int_equal((call), 0)

static const int32_t TYPES[] = { DECAI__Q4_0, DECAI__Q4_1, DECAI__Q5_0, DECAI__Q5_1, DECAI__Q8_0, DECAI__IQ4_NL, DECAI__MXFP4,
    DECAI__Q2_K, DECAI__Q3_K, DECAI__Q4_K, DECAI__Q5_K, DECAI__Q6_K, DECAI__IQ4_XS };
enum { TYPE_COUNT = 13 };

/* What the bytes are: random; every quant and sub-scale at an end of its range with
 * the largest scale; one of both among zeros. */
enum { RANDOM, ONES, LOWEST, ZEROS, KINDS };

static void
scale_at(int32_t type, int at[2])
{
    at[0] = 0;
    at[1] = type == DECAI__Q4_1 || type == DECAI__Q5_1 || type == DECAI__Q4_K || type == DECAI__Q5_K ? 2 : -1;
    if (type == DECAI__Q2_K) at[0] = 80, at[1] = 82;
    if (type == DECAI__Q3_K) at[0] = 108;
    if (type == DECAI__Q6_K) at[0] = 208;
}

static uint8_t *
raw_rows(int32_t type, size_t rows, size_t cols, int kind)
{
    static const uint8_t BYTES[KINDS] = { 0, 0xff, 0x80, 0 };
    size_t len = rows * decai__row_size(type, cols), block = decai__type_block_bytes(type);
    uint8_t *data = malloc(len);
    int at[2];
    scale_at(type, at);
    for (size_t i = 0; i < len; i++) data[i] = kind == RANDOM ? (uint8_t)rnd() : BYTES[kind];
    for (size_t i = 0; i < len; i += block) {
        uint32_t far = kind == RANDOM ? rnd() % 18 : 0;
        if (type == DECAI__MXFP4) data[i] = (uint8_t)(kind == LOWEST ? rnd() % 40 : 160 - far);
        for (int k = 0; type != DECAI__MXFP4 && k < 2 && at[k] >= 0; k++) {
            uint16_t h = kind == RANDOM ? (uint16_t)((rnd() & 0x83ff) | (30 - far) << 10) : kind == LOWEST ? 0xfbff : 0x7bff;
            memcpy(data + i + at[k], &h, 2);
        }
    }
    return data;
}

/* Canonical bytes at the limits of what op_quant can make, and their tail. */
static uint8_t *
acts(int32_t form, size_t cols, size_t n, int kind)
{
    size_t stride = decai__act_stride(form, cols);
    uint8_t *all = calloc(n, stride);
    for (size_t i = 0; i < n; i++) {
        uint8_t *a = all + i * stride;
        uint32_t head = (uint32_t)cols | (uint32_t)form << 24, most = form == DECAI__ACT_2L ? DECAI__ACT_S_MAX : DECAI__ACT_SCALE_MAX;
        int32_t exponent = (int32_t)(rnd() % 40) - 20;
        int8_t *q = (int8_t *)a + decai__act_quants_at(form, cols);
        memcpy(a, &head, 4);
        memcpy(a + 4, &exponent, 4);
        for (size_t b = 0; b < cols / decai__act_block(form); b++) {
            uint16_t s = (uint16_t)(kind == RANDOM ? 1 + rnd() % most : most);
            memcpy(a + 8 + 2 * b, &s, 2);
        }
        for (size_t b = 0; form == DECAI__ACT_2L && b < cols / 32; b++)
            a[8 + cols / 128 + b] = (uint8_t)(kind == RANDOM ? 1 + rnd() % DECAI__ACT_S6_MAX : DECAI__ACT_S6_MAX);
        for (size_t k = 0; k < cols; k++)
            q[k] = (int8_t)(kind == RANDOM ? (int)(rnd() % 255) - 127 : kind == ONES ? 127 : -127);
        decai__leaf_quant_tail(a, form, cols);
    }
    return all;
}

typedef struct product {
    int32_t type;
    size_t experts, rows, cols, n;
    int kind;
    bool two_level;
    const uint8_t *data, *act;
    const decai__chosen *route;      /* [n][2], the second is used; NULL: one expert */
} product;

/* y[n][rows] on one backend; y is followed by a float that must not change. */
static void
run(const product *p, decai__compute *c, float *y)
{
    size_t len = p->experts * p->rows * decai__row_size(p->type, p->cols), out = p->n * p->rows * 4;
    decai__matrix *m;
    decai__tbuf *x, *to, *route = NULL;
    const float mark = 12345.0f;
    decai__compute_set_two_level(c, p->two_level);
    CHECK(decai__matrix_create_experts(&m, c, "test", p->type, p->experts, p->rows, p->cols, p->data, len, NULL));
    size_t act = p->n * decai__act_stride(decai__matrix_act(m), p->cols);
    CHECK(decai__tbuf_create(&x, c, act));
    CHECK(decai__tbuf_create(&to, c, out + 4));
    CHECK(decai__tbuf_write(x, 0, p->act, act));
    CHECK(decai__tbuf_write(to, out, &mark, 4));
    if (p->route) {
        CHECK(decai__tbuf_create(&route, c, p->n * 2 * sizeof *p->route));
        CHECK(decai__tbuf_write(route, 0, p->route, p->n * 2 * sizeof *p->route));
        CHECK(decai__op_matmul_expert(c, DECAI__REF(to), m, DECAI__REF(x), DECAI__REF(route), 1, 2, p->n));
    } else {
        CHECK(decai__op_matmul(c, DECAI__REF(to), m, DECAI__REF(x), p->n));
    }
    CHECK(decai__tbuf_read(to, 0, y, out + 4));
    assert_memory_equal(y + p->n * p->rows, &mark, 4);
    decai__tbuf_destroy(route);
    decai__tbuf_destroy(x);
    decai__tbuf_destroy(to);
    decai__matrix_destroy(m);
}

typedef struct machine { decai_context *ctx; decai__compute *scalar, *native; } machine;

static void
check(const machine *t, product p)
{
    float *want = malloc((p.n * p.rows + 1) * 4), *got = malloc((p.n * p.rows + 1) * 4);
    uint8_t *data = raw_rows(p.type, p.experts * p.rows, p.cols, p.kind);
    uint8_t *act = acts(decai__type_act(p.type, p.two_level), p.cols, p.n, p.kind == ZEROS ? LOWEST : p.kind);
    p.data = data;
    p.act = act;
    run(&p, t->scalar, want);
    run(&p, t->native, got);
    if (memcmp(want, got, p.n * p.rows * 4))
        fail_msg("type %d, %zu x %zu rows, %zu columns, %zu tokens, bytes %d, two_level %d", p.type, p.experts, p.rows, p.cols, p.n,
            p.kind, p.two_level);
    free(want);
    free(got);
    free(data);
    free(act);
}

static void
all_types(const machine *t, size_t rows, size_t cols, size_t n, int kind)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        for (int two = 0; two < 2; two++) {
            if (cols % decai__type_block(TYPES[i]) || (two && decai__type_block(TYPES[i]) == 32)) continue;
            check(t, (product){ .type = TYPES[i], .experts = 1, .rows = rows, .cols = cols, .n = n, .kind = kind, .two_level = two });
        }
}

static void
shapes(const machine *t)
{
    static const size_t COLS[] = { 32, 256, 992, 1024, 1280, 2304 };
    for (size_t rows = 1; rows <= 17; rows++) all_types(t, rows, COLS[rows % 6], rows % 9 + 1, RANDOM);
    for (size_t n = 1; n <= 17; n++) all_types(t, 16, 256, n, RANDOM);
    all_types(t, 33, 512, 131, RANDOM);                  /* a full piece and a short one */
    for (int kind = ONES; kind < KINDS; kind++) {
        all_types(t, 17, 256, 9, kind);
        all_types(t, 2, 2048, 2, kind);
    }
    if (getenv("DECAI_DEEP"))
        for (int kind = RANDOM; kind < KINDS; kind++) all_types(t, 20, 65536, 11, kind);
    else
        all_types(t, 1, 65536, 1, ONES);
}

static void
experts(const machine *t)
{
    decai__chosen route[40 * 2];
    for (size_t i = 0; i < 40 * 2; i++) route[i] = (decai__chosen){ (int32_t)(i < 20 ? rnd() % 7 : i % 2 ? 3 : 0), 1.0f };
    for (size_t i = 0; i < TYPE_COUNT; i++)
        for (size_t n = 1; n <= 40; n += 13)
            check(t, (product){ .type = TYPES[i], .experts = 7, .rows = 19, .cols = 256, .n = n, .route = route });
}

static bool
open_machine(machine *t, const char *isa, size_t slices, bool repack)
{
    decai_options *o;
    CHECK(decai_options_create(&o, NULL));
    CHECK(decai_options_set_i64(o, "base.threads", (int64_t)slices - 1));
    CHECK(decai_context_create(&t->ctx, o));
    decai_destroy(o);
    CHECK(decai__compute_open(&t->scalar, t->ctx, "scalar", "", NULL));
    CHECK(decai__compute_open(&t->native, t->ctx, "native", "", NULL));
    t->native->slices = slices;
    t->native->repack = repack;
    return decai__native_isa(t->native, isa) == 0;
}

static void
close_machine(machine *t)
{
    decai__compute_destroy(t->scalar);
    decai__compute_destroy(t->native);
    decai_destroy(t->ctx);
}

static void
on(const char *isa, size_t slices, bool repack, void (*test)(const machine *t))
{
    machine t;
    bool fits = open_machine(&t, isa, slices, repack);
    if (fits) test(&t);
    close_machine(&t);
    if (!fits) skip();
}

static void avx2_shapes(void **state) { (void)state; on("avx2", 1, true, shapes); }
static void avx2_experts(void **state) { (void)state; on("avx2", 3, true, experts); }
static void avx2_raw(void **state) { (void)state; on("avx2", 2, false, experts); }
static void avx512_shapes(void **state) { (void)state; on("avx512", 1, true, shapes); }
static void avx512_experts(void **state) { (void)state; on("avx512", 3, true, experts); }
static void avx512_raw(void **state) { (void)state; on("avx512", 2, false, experts); }

static void
isa_names(void **state)
{
    machine t;
    (void)state;
    assert_true(open_machine(&t, "auto", 1, true));
    assert_int_equal(decai__native_isa(t.native, "portable"), 0);
    assert_string_equal(decai__compute_device(t.native), "portable");
    assert_int_equal(decai__native_isa(t.native, "sse9"), DECAI_E_INVALID);
    assert_int_equal(decai__native_isa(t.native, ""), DECAI_E_INVALID);
    close_machine(&t);
}

/* Scales far below their row's largest: lost bits are counted alike, and the row with
 * a scale that is no number is named. */
static void
refusals(void **state)
{
    machine t;
    (void)state;
    assert_true(open_machine(&t, "auto", 2, true));
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        size_t rows = 300, row = decai__row_size(TYPES[i], 256), len = rows * row;
        uint8_t *data = raw_rows(TYPES[i], rows, 256, RANDOM);
        decai__matrix *m;
        uint64_t lost[2];
        int at[2];
        CHECK(decai__matrix_create(&m, t.scalar, "test", TYPES[i], rows, 256, data, len, &lost[0]));
        decai__matrix_destroy(m);
        CHECK(decai__matrix_create(&m, t.native, "test", TYPES[i], rows, 256, data, len, &lost[1]));
        decai__matrix_destroy(m);
        assert_int_equal(lost[0], lost[1]);
        scale_at(TYPES[i], at);
        for (size_t bad = 299; bad > 1; bad -= 149) {
            data[bad * row + (size_t)at[0]] = TYPES[i] == DECAI__MXFP4 ? 255 : 0;
            if (TYPES[i] != DECAI__MXFP4) data[bad * row + (size_t)at[0] + 1] = 0x7c;
            char text[64];
            snprintf(text, sizeof text, "test: row %zu ", bad);
            assert_int_equal(decai__matrix_create(&m, t.native, "test", TYPES[i], rows, 256, data, len, NULL), DECAI_E_CORRUPT);
            assert_ptr_equal(strstr(decai__error_detail(), text), decai__error_detail());
            assert_null(m);
        }
        free(data);
    }
    close_machine(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avx2_shapes), cmocka_unit_test(avx2_experts), cmocka_unit_test(avx2_raw),
        cmocka_unit_test(avx512_shapes), cmocka_unit_test(avx512_experts), cmocka_unit_test(avx512_raw),
        cmocka_unit_test(isa_names), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
