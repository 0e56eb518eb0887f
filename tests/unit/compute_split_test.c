/* compute_split_test.c - weights, caches and scores in OpenCL buffers far smaller
 * than they are: the same bits as scalar, every object released, and a clear limit
 * where not even the smallest piece fits. The hook lowers what a buffer holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"

#define CHECK(call) assert_int_equal((call), 0)
#define FLOATS (1u << 17)

typedef struct side { decai__compute *c; decai__tbuf *x, *act, *y; float *out; } side;

static uint64_t seed = 1;

static uint32_t
rnd(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 32);
}

static void
floats(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] = (float)((int32_t)rnd() >> 12) * 0x1p-18f;
}

static bool
open_side(side *s, decai_context *ctx, const char *kind, decai__cl_hook *hook)
{
    int32_t r = decai__compute_open(&s->c, ctx, kind, "", hook);
    if (r == DECAI_E_DEVICE && strstr(decai_error_detail(), "no OpenCL device")) return false;
    if (r) fail_msg("%s", decai_error_detail());
    CHECK(decai__tbuf_create(&s->x, s->c, FLOATS * 4));
    CHECK(decai__tbuf_create(&s->act, s->c, FLOATS * 4));
    CHECK(decai__tbuf_create(&s->y, s->c, FLOATS * 4));
    s->out = calloc(FLOATS, 4);
    assert_non_null(s->out);
    return true;
}

static void
close_side(side *s)
{
    decai__tbuf_destroy(s->x);
    decai__tbuf_destroy(s->act);
    decai__tbuf_destroy(s->y);
    decai__compute_destroy(s->c);
    free(s->out);
}

/* Both sides do the same; outputs must be equal. */
typedef void (*body)(side *s, const float *x, const void *user);

static void
compare(uint64_t limit, body run, const void *user)
{
    decai_context *ctx;
    decai__cl_hook hook = { .max_alloc = limit };
    side cl = { 0 }, scalar = { 0 };
    float *x = malloc(FLOATS * 4);
    assert_non_null(x);
    floats(x, FLOATS);
    CHECK(decai_context_create(&ctx, NULL));
    if (!open_side(&cl, ctx, "opencl", &hook)) {
        free(x);
        decai_destroy(ctx);
        print_message("# no OpenCL device on this machine\n");
        skip();
    }
    assert_true(open_side(&scalar, ctx, "scalar", NULL));
    run(&cl, x, user);
    run(&scalar, x, user);
    for (size_t i = 0; i < FLOATS; i++)
        if (memcmp(cl.out + i, scalar.out + i, 4)) fail_msg("element %zu: %a, scalar %a", i, (double)cl.out[i], (double)scalar.out[i]);
    close_side(&cl);
    close_side(&scalar);
    free(x);
    decai_destroy(ctx);
    assert_int_equal(hook.live, 0);
}

/* ---- matrices --------------------------------------------------------------------- */

typedef struct shape { int32_t type; size_t experts, rows, cols, n; } shape;

static uint8_t *
raw_rows(const shape *p)
{
    size_t len = p->experts * p->rows * decai__row_size(p->type, p->cols), block = decai__type_block_bytes(p->type);
    uint8_t *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) data[i] = (uint8_t)(i * 197 + i / 13);
    for (size_t i = 0; i < len; i += p->type == DECAI__F16 ? 2 : block) {
        size_t at = p->type == DECAI__F16 ? 0 : p->type == DECAI__Q6_K ? 208 : 0;
        data[i + at + 1] = (uint8_t)(0x20 | (data[i + at + 1] & 0x8b));
        if (p->type == DECAI__Q4_K) data[i + 3] = (uint8_t)(0x20 | (data[i + 3] & 0x8b));
    }
    return data;
}

static void
products(side *s, const float *x, const void *user)
{
    const shape *p = user;
    decai__matrix *m;
    uint8_t *data = raw_rows(p);
    const decai__chosen route[] = { { 0, 1 }, { 4, 1 }, { 2, 1 }, { 1, 1 }, { 3, 1 } };
    decai__ref in = DECAI__REF(s->x), at = { s->x, 65536 * 4 };
    CHECK(decai__matrix_create_experts(&m, s->c, "split", p->type, p->experts, p->rows, p->cols, data,
        p->experts * p->rows * decai__row_size(p->type, p->cols), NULL));
    free(data);
    CHECK(decai__tbuf_write(s->x, 0, x, p->n * p->cols * 4));
    CHECK(decai__tbuf_write(s->x, 65536 * 4, route, sizeof route));
    if (decai__matrix_quantised(m)) {
        CHECK(decai__op_quant(s->c, DECAI__REF(s->act), DECAI__REF(s->x), decai__matrix_act(m), p->n, p->cols, "x"));
        in = DECAI__REF(s->act);
    }
    if (p->experts == 1) CHECK(decai__op_matmul(s->c, DECAI__REF(s->y), m, in, p->n));
    else CHECK(decai__op_matmul_expert(s->c, DECAI__REF(s->y), m, in, at, 0, 1, p->n));
    CHECK(decai__tbuf_read(s->y, 0, s->out, p->n * p->rows * 4));
    decai__matrix_destroy(m);
}

/* 16 rows of 512 columns: Q4_0 4 KiB, Q8_0 8, F16 16. Limits of one, two and three
 * groups, and of two experts and of less than one. */
static void
matrices_are_split(void **state)
{
    (void)state;
    static const struct { shape p; uint64_t limit; } cases[] = {
        { { DECAI__Q4_0, 1, 100, 512, 1 }, 4096 + 64 }, { { DECAI__Q4_0, 1, 100, 512, 9 }, 2 * 4096 + 64 },
        { { DECAI__Q4_K, 1, 47, 512, 3 }, 3 * 4096 }, { { DECAI__Q6_K, 1, 200, 512, 12 }, 14000 },
        { { DECAI__F16, 1, 61, 512, 5 }, 16384 + 64 }, { { DECAI__F16, 1, 61, 512, 1 }, 40000 },
        { { DECAI__Q4_0, 5, 33, 512, 5 }, 2 * 3 * 4096 + 64 }, { { DECAI__Q4_0, 5, 33, 512, 5 }, 2 * 4096 + 64 },
        { { DECAI__F16, 5, 17, 512, 4 }, 70000 }, { { DECAI__F16, 5, 17, 512, 4 }, 20000 },
    };
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) compare(cases[i].limit, products, &cases[i].p);
}

static void
too_large_a_row_is_refused(void **state)
{
    (void)state;
    decai_context *ctx;
    decai__compute *c;
    decai__matrix *m;
    decai__cl_hook hook = { .max_alloc = 4096 + 63 };
    const shape p = { DECAI__Q4_0, 1, 16, 512, 1 };
    CHECK(decai_context_create(&ctx, NULL));
    int32_t r = decai__compute_open(&c, ctx, "opencl", "", &hook);
    if (r == DECAI_E_DEVICE && strstr(decai_error_detail(), "no OpenCL device")) {
        decai_destroy(ctx);
        print_message("# no OpenCL device on this machine\n");
        skip();
    }
    CHECK(r);
    uint8_t *data = raw_rows(&p);
    assert_int_equal(decai__matrix_create(&m, c, "blk.7.wide", p.type, p.rows, p.cols, data, 16 * decai__row_size(p.type, p.cols), NULL),
        DECAI_E_LIMIT);
    assert_non_null(strstr(decai_error_detail(), "blk.7.wide"));
    assert_false(decai__compute_lost(c));
    free(data);
    decai__compute_destroy(c);
    decai_destroy(ctx);
    assert_int_equal(hook.live, 0);
}

/* ---- caches ---------------------------------------------------------------------------- */

typedef struct cache { int32_t type; uint32_t window; size_t positions; } cache;

/* The cache is filled in portions of 100, then seven tokens look back. */
static void
attention(side *s, const float *x, const void *user)
{
    enum { HEADS = 4, KV_HEADS = 2, DIM = 32, LAST = 7 };
    const cache *p = user;
    const decai__kv_spec spec = { 2, KV_HEADS, DIM, p->type, 4096, 100, (const uint32_t[]){ 0, p->window } };
    const decai__attn a = { LAST, HEADS, KV_HEADS, DIM, p->positions - LAST, 0.25f, 0.0f, DECAI__NO_REF };
    decai__kv *kv;
    CHECK(decai__kv_create(&kv, s->c, &spec));
    for (size_t pos = 0; pos < p->positions; pos += 100) {
        size_t n = DECAI__MIN((size_t)100, p->positions - pos);
        CHECK(decai__tbuf_write(s->x, 0, x + pos, n * KV_HEADS * DIM * 4));
        CHECK(decai__tbuf_write(s->act, 0, x + 2 * pos, n * KV_HEADS * DIM * 4));
        for (size_t l = 0; l < 2; l++) CHECK(decai__op_kv_store(s->c, kv, l, pos, DECAI__REF(s->x), DECAI__REF(s->act), n, "kv"));
    }
    CHECK(decai__tbuf_write(s->x, 0, x, LAST * HEADS * DIM * 4));
    for (size_t l = 0; l < 2; l++) {
        decai__ref y = { s->y, l * 4096 * 4 };
        CHECK(decai__op_attention(s->c, y, DECAI__REF(s->x), kv, l, &a, "scores"));
        CHECK(decai__kv_read(kv, l, (int32_t)l, p->positions - LAST, LAST, s->out + 8192 + l * 4096));
    }
    CHECK(decai__tbuf_read(s->y, 0, s->out, 8192 * 4));
    decai__kv_destroy(kv);
}

/* A page is 2 * 2 * 64 * 64 bytes (f16) or 2 * 2 * 64 * 34: chunks of one page, of
 * three, and growing ones; the scores of one token at a time. */
static void
caches_are_split(void **state)
{
    (void)state;
    static const struct { cache p; uint64_t limit; } cases[] = {
        { { DECAI__KV_F16, 130, 700 }, 16384 }, { { DECAI__KV_Q8_0, 333, 1999 }, 3 * 8704 },
        { { DECAI__KV_F16, 64, 2500 }, 1u << 20 }, { { DECAI__KV_Q8_0, 1, 65 }, 0 },
    };
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) compare(cases[i].limit, attention, &cases[i].p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_are_split), cmocka_unit_test(too_large_a_row_is_refused), cmocka_unit_test(caches_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
