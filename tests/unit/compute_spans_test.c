/* compute_spans_test.c - rows of several caches in one op, and pages that caches share:
 * each span's bits are those of the op over it alone, on every backend; who writes
 * into a shared page leaves the others theirs; pages as bytes come back as they went. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"

#define CHECK(call) assert_int_equal((call), 0)
#define SPANS 19
#define HEADS 6
#define KV_HEADS 2
#define CAPACITY 512

static uint64_t seed;

static float
number(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (float)((int32_t)(seed >> 32) >> 12) * 0x1p-18f;
}

/* Positions held before, new rows: decodes, chunks, a few guesses, a first token. */
static const struct { size_t held, n; } SHAPE[SPANS] = {
    { 0, 1 }, { 63, 1 }, { 64, 1 }, { 200, 1 }, { 100, 5 }, { 0, 40 }, { 7, 2 }, { 300, 1 }, { 129, 70 }, { 1, 1 },
    { 65, 3 }, { 90, 1 }, { 128, 1 }, { 31, 33 }, { 2, 1 }, { 250, 1 }, { 10, 9 }, { 77, 1 }, { 190, 4 } };

typedef struct side {
    decai__compute *c;
    decai__kv *kv[SPANS];
    decai__tbuf *q, *k, *v, *y, *table, *sinks;
    size_t dim, rows;
} side;

/* The same numbers on every side. */
static void
open_side(side *s, decai_context *ctx, const char *kind, int32_t type, size_t dim, const uint32_t *window)
{
    const decai__kv_spec spec = { 2, KV_HEADS, dim, type, CAPACITY, 80, window };
    float *x;
    s->dim = dim;
    s->rows = 0;
    seed = 5;
    if (decai__compute_open(&s->c, ctx, kind, "", NULL)) fail_msg("%s", decai_error_detail());
    for (size_t i = 0; i < SPANS; i++) s->rows += SHAPE[i].n;
    assert_non_null(x = malloc(s->rows * HEADS * dim * 4));
    decai__tbuf **all[] = { &s->q, &s->k, &s->v, &s->y };
    for (size_t b = 0; b < 4; b++) {
        CHECK(decai__tbuf_create(all[b], s->c, s->rows * HEADS * dim * 4));
        for (size_t i = 0; i < s->rows * HEADS * dim; i++) x[i] = number();
        CHECK(decai__tbuf_write(*all[b], 0, x, s->rows * HEADS * dim * 4));
    }
    CHECK(decai__tbuf_create(&s->sinks, s->c, HEADS * 4));
    CHECK(decai__tbuf_write(s->sinks, 0, x, HEADS * 4));
    CHECK(decai__rope_table_create(&s->table, s->c, CAPACITY, &(decai__rope_spec){ .rot_dim = dim / 2 * 2, .base = 10000 }));
    for (size_t i = 0; i < SPANS; i++) {
        CHECK(decai__kv_create(&s->kv[i], s->c, &spec));
        for (size_t pos = 0; pos < SHAPE[i].held; pos++)
            for (size_t l = 0; l < 2; l++)
                for (int32_t which = 0; which < 2; which++) {
                    for (size_t d = 0; d < KV_HEADS * dim; d++) x[d] = number();
                    CHECK(decai__kv_write(s->kv[i], l, which, pos, 1, x));
                }
    }
    free(x);
}

static void
close_side(side *s)
{
    for (size_t i = 0; i < SPANS; i++) decai__kv_destroy(s->kv[i]);
    decai__tbuf *all[] = { s->q, s->k, s->v, s->y, s->table, s->sinks };
    for (size_t i = 0; i < 6; i++) decai__tbuf_destroy(all[i]);
    decai__compute_destroy(s->c);
}

/* Rotation, store, attention of layer `layer`, together or one span after the other. */
static void
run(side *s, size_t layer, bool together, float *out)
{
    decai__span span[SPANS];
    decai__rope rope = { .heads = HEADS, .head_dim = s->dim, .rot_dim = s->dim / 2 * 2 };
    decai__attn attn = { .heads = HEADS, .kv_heads = KV_HEADS, .head_dim = s->dim, .scale = 0.3f, .sinks = DECAI__REF(s->sinks) };
    size_t at = 0, q = HEADS * s->dim * 4, k = KV_HEADS * s->dim * 4;

    for (size_t i = 0; i < SPANS; i++) span[i] = (decai__span){ s->kv[i], SHAPE[i].held, SHAPE[i].n };
    decai__compute_begin(s->c);
    for (size_t i = 0, n; i < SPANS; i += n, at += span[i - n].n) {
        n = together ? SPANS : 1;
        CHECK(decai__op_rope_each(s->c, (decai__ref){ s->q, at * q }, s->table, span + i, n, &rope));
        CHECK(decai__op_kv_store_each(s->c, span + i, n, layer, (decai__ref){ s->k, at * k }, (decai__ref){ s->v, at * k }, "kv"));
        CHECK(decai__op_attention_each(s->c, (decai__ref){ s->y, at * q }, (decai__ref){ s->q, at * q }, span + i, n, layer, &attn, "attention"));
    }
    decai__compute_end(s->c);
    CHECK(decai__tbuf_read(s->y, 0, out, s->rows * q));
}

static void
spans_are_alone(void **state)
{
    static const uint32_t windows[2] = { 0, 50 };
    static const char *const kinds[] = { "scalar", "native", "opencl" };
    static const size_t dims[] = { 64, 40 };
    decai_context *ctx;
    decai_options *o;
    (void)state;
    CHECK(decai_options_create(&o, NULL));
    CHECK(decai_options_set_i64(o, "base.threads", 2));
    CHECK(decai_context_create(&ctx, o));
    decai_destroy(o);
    for (int32_t type = 0; type < 2; type++)
        for (size_t d = 0; d < 2; d++) {
            float *want[2] = { NULL }, *got = NULL;
            for (size_t b = 0; b < 3; b++)
                for (int together = 0; together < 2; together++) {
                    side s;
                    open_side(&s, ctx, kinds[b], type, dims[d], windows);
                    size_t bytes = s.rows * HEADS * s.dim * 4;
                    for (size_t layer = 0; layer < 2; layer++) {
                        if (!want[layer]) {
                            assert_non_null(want[layer] = malloc(bytes));
                            assert_non_null(got = got ? got : malloc(bytes));
                            run(&s, layer, false, want[layer]);
                            continue;
                        }
                        run(&s, layer, together, got);
                        assert_memory_equal(got, want[layer], bytes);
                    }
                    close_side(&s);
                }
            free(want[0]);
            free(want[1]);
            free(got);
        }
    decai_destroy(ctx);
}

/* A number that no cache takes, in one span: named, whichever it is. */
static void
bad_numbers_are_found(void **state)
{
    decai_context *ctx;
    side s;
    const float inf = __builtin_inff();
    decai__span span[SPANS];
    (void)state;
    CHECK(decai_context_create(&ctx, NULL));
    for (size_t b = 0; b < 2; b++) {
        open_side(&s, ctx, b ? "native" : "scalar", DECAI__KV_F16, 64, NULL);
        for (size_t i = 0; i < SPANS; i++) span[i] = (decai__span){ s.kv[i], SHAPE[i].held, SHAPE[i].n };
        CHECK(decai__tbuf_write(s.k, (s.rows - 1) * KV_HEADS * 64 * 4, &inf, 4));
        assert_int_equal(decai__op_kv_store_each(s.c, span, SPANS, 0, DECAI__REF(s.k), DECAI__REF(s.v), "blk.0.kv"), DECAI_E_INTEGRITY);
        assert_non_null(strstr(decai_error_detail(), "blk.0.kv"));
        /* A position that is not there. */
        span[3].pos += 2;
        assert_int_equal(decai__op_kv_store_each(s.c, span, SPANS, 0, DECAI__REF(s.v), DECAI__REF(s.v), "kv"), DECAI_E_STATE);
        close_side(&s);
    }
    decai_destroy(ctx);
}

/* ---- pages ---------------------------------------------------------------------------- */

#define PAGE DECAI__KV_PAGE

static void
fill(decai__kv *kv, size_t from, size_t end, float value)
{
    float x[KV_HEADS * 40];
    for (size_t pos = from; pos < end; pos++) {
        for (size_t d = 0; d < KV_HEADS * 40; d++) x[d] = value + (float)(pos * 7 % 90) + (float)(d % 5);
        for (size_t l = 0; l < 2; l++)
            for (int32_t which = 0; which < 2; which++) CHECK(decai__kv_write(kv, l, which, pos, 1, x));
    }
}

static bool
same(decai__kv *a, decai__kv *b, size_t from, size_t end)
{
    float x[KV_HEADS * 40], y[KV_HEADS * 40];
    for (size_t pos = from; pos < end; pos++)
        for (size_t l = 0; l < 2; l++)
            for (int32_t which = 0; which < 2; which++) {
                CHECK(decai__kv_read(a, l, which, pos, 1, x));
                CHECK(decai__kv_read(b, l, which, pos, 1, y));
                if (memcmp(x, y, sizeof x)) return false;
            }
    return true;
}

static void
pages_are_shared(void **state)
{
    static const char *const kinds[] = { "scalar", "native", "opencl" };
    decai_context *ctx;
    (void)state;
    CHECK(decai_context_create(&ctx, NULL));
    for (size_t b = 0; b < 6; b++) {
        const decai__kv_spec spec = { 2, KV_HEADS, 40, (int32_t)(b / 3), CAPACITY, 80, NULL };
        decai__compute *c;
        decai__kv *first, *second, *as_it_was;
        decai__kv_page *page[2], *none;
        CHECK(decai__compute_open(&c, ctx, kinds[b % 3], "", NULL));
        CHECK(decai__kv_create(&first, c, &spec));
        CHECK(decai__kv_create(&second, c, &spec));
        CHECK(decai__kv_create(&as_it_was, c, &spec));
        fill(first, 0, 2 * PAGE + 9, 1);
        fill(as_it_was, 0, 2 * PAGE + 9, 1);
        CHECK(decai__kv_page_take(&page[0], first, 0));
        CHECK(decai__kv_page_take(&page[1], first, 1));
        assert_int_equal(decai__kv_page_take(&none, first, 2), DECAI_E_STATE);     /* not full */
        assert_null(none);
        assert_int_equal(decai__kv_page_give(second, 1, page[1]), DECAI_E_STATE);  /* nothing before it */
        CHECK(decai__kv_page_give(second, 0, page[0]));
        CHECK(decai__kv_page_give(second, 1, page[1]));
        assert_true(same(first, second, 0, 2 * PAGE));
        /* Both go on, each writes over a page that was shared: nobody else sees it. */
        fill(second, 2 * PAGE, 2 * PAGE + 5, 30);
        CHECK(decai__kv_truncate(second, PAGE + 3));
        fill(second, PAGE + 3, PAGE + 40, 60);
        CHECK(decai__kv_truncate(first, 0));
        fill(first, 0, 10, 90);
        assert_true(same(second, as_it_was, 0, PAGE + 3));
        assert_false(same(second, as_it_was, PAGE + 3, PAGE + 4));
        decai__kv_destroy(first);
        CHECK(decai__kv_truncate(second, 0));
        CHECK(decai__kv_page_give(second, 0, page[0]));
        CHECK(decai__kv_page_give(second, 1, page[1]));
        assert_true(same(second, as_it_was, 0, 2 * PAGE));
        decai__kv_page_drop(page[0]);
        decai__kv_page_drop(page[1]);
        assert_true(same(second, as_it_was, 0, 2 * PAGE));
        decai__kv_destroy(second);
        decai__kv_destroy(as_it_was);
        decai__compute_destroy(c);
    }
    decai_destroy(ctx);
}

/* One backend's bytes are another's; what no cache can hold is refused. */
static void
pages_as_bytes(void **state)
{
    static const char *const kinds[] = { "scalar", "native", "opencl" };
    decai_context *ctx;
    (void)state;
    CHECK(decai_context_create(&ctx, NULL));
    for (int32_t type = 0; type < 2; type++) {
        const decai__kv_spec spec = { 2, KV_HEADS, 40, type, CAPACITY, 80, NULL };
        uint8_t *bytes = NULL, *again = NULL;
        for (size_t b = 0; b < 3; b++) {
            decai__compute *c;
            decai__kv *kv, *copy;
            CHECK(decai__compute_open(&c, ctx, kinds[b], "", NULL));
            CHECK(decai__kv_create(&kv, c, &spec));
            CHECK(decai__kv_create(&copy, c, &spec));
            size_t size = decai__kv_page_size(kv);
            assert_int_equal(size, 2 * 2 * KV_HEADS * PAGE * decai__kv_row_bytes(type, 40));
            fill(kv, 0, PAGE, 3);
            assert_non_null(again = realloc(again, size));
            CHECK(decai__kv_page_export(kv, 0, again));
            assert_int_equal(decai__kv_page_export(kv, 1, again), DECAI_E_STATE);
            if (!bytes) {
                assert_non_null(bytes = malloc(size));
                memcpy(bytes, again, size);
            }
            assert_memory_equal(bytes, again, size);
            CHECK(decai__kv_page_import(copy, 0, bytes));
            assert_true(same(kv, copy, 0, PAGE));
            assert_int_equal(decai__kv_page_import(copy, 0, bytes), DECAI_E_STATE);
            CHECK(decai__kv_truncate(copy, 0));
            /* Infinity or NaN as f16; q8_0: as a scale, a negative scale, -128. */
            uint8_t kept[2];
            memcpy(kept, again, 2);
            again[0] = 0, again[1] = 0x7c;
            assert_int_equal(decai__kv_page_import(copy, 0, again), DECAI_E_INTEGRITY);
            again[1] = 0xfe;
            assert_int_equal(decai__kv_page_import(copy, 0, again), DECAI_E_INTEGRITY);
            memcpy(again, kept, 2);
            if (type == DECAI__KV_Q8_0) {
                again[1] |= 0x80;
                assert_int_equal(decai__kv_page_import(copy, 0, again), DECAI_E_INTEGRITY);
                memcpy(again, kept, 2);
                again[size - 1] = 0x80;
                assert_int_equal(decai__kv_page_import(copy, 0, again), DECAI_E_INTEGRITY);
            }
            CHECK(decai__kv_page_import(copy, 0, bytes));
            decai__kv_destroy(kv);
            decai__kv_destroy(copy);
            decai__compute_destroy(c);
        }
        free(bytes);
        free(again);
    }
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_alone), cmocka_unit_test(bad_numbers_are_found), cmocka_unit_test(pages_are_shared),
        cmocka_unit_test(pages_as_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
