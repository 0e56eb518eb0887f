/* compute_backends_test.c - scalar = native = OpenCL, bit for bit: every op, odd
 * and edge shapes, one and several slices, the caller's floating-point modes.
 *
 * All outputs of a backend go through one hash a section; the sections' hashes
 * must equal tests/golden/compute.txt, which scalar C wrote. */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cmocka.h>

#include "compute/backend.h"

static uint64_t seed;

static uint32_t
rnd(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 32);
}

/* Integer-made values only: the caller's modes are under test. */
static void
floats(float *x, size_t count, uint32_t binades, uint32_t top)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t r = rnd(), u = (r & 0x807fffff) | (top + 127 - rnd() % binades) << 23;
        if (r % 61 == 0) u = r & 0x80000000u;
        if (r % 61 == 1) u = r & 0x807fffffu;
        memcpy(x + i, &u, 4);
    }
}

static uint64_t
mix(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * 0x100000001b3ULL;
    return h;
}

typedef struct bench { decai__compute *c; decai__tbuf *a, *b, *y, *act; uint8_t *host; size_t size; uint64_t hash; } bench;

#define CHECK(call) assert_int_equal((call), 0)

static void
open_bench(bench *b, decai__compute *c, size_t floats_max)
{
    *b = (bench){ .c = c, .size = floats_max * 4, .host = malloc(floats_max * 4), .hash = 0xcbf29ce484222325ULL };
    CHECK(decai__tbuf_create(&b->a, c, b->size));
    CHECK(decai__tbuf_create(&b->b, c, b->size));
    CHECK(decai__tbuf_create(&b->y, c, b->size));
    CHECK(decai__tbuf_create(&b->act, c, b->size));
}

static uint64_t
close_bench(bench *b)
{
    decai__tbuf_destroy(b->a);
    decai__tbuf_destroy(b->b);
    decai__tbuf_destroy(b->y);
    decai__tbuf_destroy(b->act);
    free(b->host);
    return b->hash;
}

static void
put(bench *b, decai__tbuf *t, size_t at, size_t count, uint32_t binades, uint32_t top)
{
    floats((float *)b->host, count, binades, top);
    CHECK(decai__tbuf_write(t, at, b->host, count * 4));
}

static void
take(bench *b, decai__tbuf *t, size_t at, size_t bytes)
{
    CHECK(decai__tbuf_read(t, at, b->host, bytes));
    b->hash = mix(b->hash, b->host, bytes);
}

static decai__matrix *
weights(bench *b, int32_t type, size_t rows, size_t cols, int extreme)
{
    decai__matrix *m;
    size_t row = decai__row_size(type, cols), len = rows * row;
    uint8_t *data = malloc(len);
    for (size_t i = 0; i < len; i++) data[i] = (uint8_t)(extreme ? 0x80 : rnd() >> 8);
    for (size_t i = 1; type == DECAI__F16 && i < len; i += 2) data[i] &= 0xbb;
    for (size_t i = 1; type == DECAI__BF16 && i < len; i += 2) data[i] &= 0xbf;
    for (size_t i = 3; type == DECAI__F32 && i < len; i += 4) data[i] &= 0xbf;
    size_t block = type == DECAI__Q8_0 ? 34 : 18;
    for (size_t i = 0; decai__type_quantised(type) && i < len; i += block) {
        data[i] = (uint8_t)(extreme ? 0xff : data[i]);
        data[i + 1] = (uint8_t)(extreme ? 0x7b : (data[i + 1] & 0xbb));
    }
    CHECK(decai__matrix_create(&m, b->c, "test", type, rows, cols, data, len, NULL));
    free(data);
    return m;
}

static void
product(bench *b, int32_t type, size_t rows, size_t cols, size_t n, int extreme)
{
    decai__matrix *m = weights(b, type, rows, cols, extreme);
    bool quantised = decai__matrix_quantised(m);
    put(b, b->a, 64, n * cols, quantised ? 12 : 30, extreme ? 59 : 2);
    if (extreme) {                                   /* all at the largest magnitude */
        for (size_t i = 0; i < n * cols; i++) { uint32_t u = 0x5d7fffffu; memcpy(b->host + 4 * i, &u, 4); }
        CHECK(decai__tbuf_write(b->a, 64, b->host, n * cols * 4));
    }
    decai__ref x = { b->a, 64 }, act = { b->act, 128 }, y = { b->y, 20 };
    if (quantised) {
        CHECK(decai__op_quant(b->c, act, x, n, cols, "x"));
        take(b, b->act, 128, n * decai__act_stride(cols));
    } else {
        CHECK(decai__op_check(b->c, x, n, cols, "x"));
    }
    CHECK(decai__op_matmul(b->c, y, m, quantised ? act : x, n));
    take(b, b->y, 20, n * rows * 4);
    decai__matrix_destroy(m);
}

static const size_t tokens[] = { 1, 2, 7, 64, 3 };

static void
section_products(bench *b)
{
    static const size_t cols[] = { 32, 64, 96, 256, 288, 1056, 4096 };
    static const size_t rows[] = { 1, 7, 8, 33, 17, 9, 31 };
    static const int32_t types[] = { DECAI__Q8_0, DECAI__Q4_0 };
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < 7; i++)
            for (size_t n = 0; n < 5; n++)
                if (cols[i] < 4096 || tokens[n] < 64) product(b, types[t], rows[i], cols[i], tokens[n], 0);
    product(b, DECAI__Q8_0, 3, 65536, 1, 1);
    product(b, DECAI__Q4_0, 9, 65536, 2, 1);
}

static void
section_float_products(bench *b)
{
    static const int32_t types[] = { DECAI__F32, DECAI__F16, DECAI__BF16 };
    for (size_t t = 0; t < 3; t++)
        for (size_t n = 0; n < 5; n++) {
            product(b, types[t], 13, 1, tokens[n], 0);
            product(b, types[t], 8, 256, tokens[n], 0);
            product(b, types[t], 21, 777, tokens[n], 0);
        }
}

static void
section_embed(bench *b)
{
    static const int32_t types[] = { DECAI__Q8_0, DECAI__Q4_0, DECAI__F32, DECAI__F16, DECAI__BF16 };
    for (size_t t = 0; t < 5; t++)
        for (size_t n = 0; n < 5; n++) {
            uint32_t ids[64];
            decai__matrix *m = weights(b, types[t], 50, 288, 0);
            for (size_t i = 0; i < tokens[n]; i++) ids[i] = rnd() % 50;
            CHECK(decai__op_embed(b->c, (decai__ref){ b->y, 4 }, m, ids, tokens[n]));
            take(b, b->y, 4, tokens[n] * 288 * 4);
            decai__matrix_destroy(m);
        }
}

static void
section_norm(bench *b)
{
    static const size_t dims[] = { 1, 32, 100, 256, 257, 2048 };
    for (size_t d = 0; d < 6; d++)
        for (size_t n = 0; n < 5; n++) {
            put(b, b->a, 8, tokens[n] * dims[d], 20, d == 3 ? 40 : 3);
            put(b, b->b, 4, dims[d], 6, 1);
            decai__ref x = { b->a, 8 }, w = { b->b, 4 }, y = { b->y, 12 };
            CHECK(decai__op_norm(b->c, y, x, w, tokens[n], dims[d], 1e-5f, "x"));
            CHECK(decai__op_norm(b->c, x, x, w, tokens[n], dims[d], 0x1p-60f, "x"));          /* in place */
            take(b, b->y, 12, tokens[n] * dims[d] * 4);
            take(b, b->a, 8, tokens[n] * dims[d] * 4);
        }
}

static void
section_rope(bench *b)
{
    static const size_t heads[] = { 1, 3, 8 }, dims[] = { 2, 64, 128 };
    for (size_t i = 0; i < 9; i++) {
        decai__tbuf *table;
        decai__rope p = { tokens[i % 5], heads[i / 3], dims[i % 3], i == 4 ? 32 : dims[i % 3], i * 37, i % 2 };
        size_t count = p.n * p.heads * p.head_dim;
        CHECK(decai__rope_table_create(&table, b->c, p.pos + p.n, p.rot_dim, 10000.0 * (double)(1 + i)));
        put(b, b->a, 4, count, 12, 3);
        CHECK(decai__op_rope(b->c, (decai__ref){ b->a, 4 }, table, &p));
        take(b, b->a, 4, count * 4);
        decai__tbuf_destroy(table);
    }
}

static void
section_attention(bench *b)
{
    static const decai__attn shapes[] = {
        { 1, 1, 1, 1, 0, 1.0f }, { 1, 4, 4, 64, 0, 0.125f }, { 7, 4, 2, 32, 0, 0.17f }, { 1, 8, 2, 64, 63, 0.125f },
        { 2, 8, 1, 64, 63, 0.125f }, { 3, 2, 2, 128, 200, 0.088f }, { 64, 3, 1, 48, 30, 0.144f },
        { 1, 2, 1, 256, 500, 0.0625f }, { 5, 6, 3, 20, 123, 4.0f }, { 1, 2, 2, 33, 191, 0.2f },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const decai__attn *p = &shapes[i];
        size_t q = p->n * p->heads * p->head_dim, kv = (p->pos + p->n) * p->kv_heads * p->head_dim;
        put(b, b->a, 16, kv, 6, 1);
        put(b, b->b, 8, kv, 9, 1);
        put(b, b->act, 4, q, 5, 1);
        CHECK(decai__op_attention(b->c, (decai__ref){ b->y, 4 }, (decai__ref){ b->act, 4 }, (decai__ref){ b->a, 16 },
            (decai__ref){ b->b, 8 }, p, "scores"));
        take(b, b->y, 4, q * 4);
    }
}

static void
section_elements(bench *b)
{
    static const size_t counts[] = { 1, 7, 8, 9, 1000, 30001 };
    for (size_t i = 0; i < 6; i++) {
        decai__ref x = { b->a, 4 }, w = { b->b, 8 }, y = { b->y, 12 };
        put(b, b->a, 4, counts[i], 16, 6);
        put(b, b->b, 8, counts[i], 100, 20);
        CHECK(decai__op_silu_mul(b->c, y, x, w, counts[i]));
        take(b, b->y, 12, counts[i] * 4);
        CHECK(decai__op_add(b->c, y, x, w, counts[i]));
        CHECK(decai__op_add(b->c, y, y, x, counts[i]));                       /* in place */
        CHECK(decai__tbuf_copy(b->act, 0, b->y, 12, counts[i] * 4));
        take(b, b->act, 0, counts[i] * 4);
        put(b, b->a, 4, counts[i], 150, 22);                                   /* down to subnormals */
        put(b, b->b, 8, counts[i], 150, 22);
        CHECK(decai__op_add(b->c, y, x, w, counts[i]));
        take(b, b->y, 12, counts[i] * 4);
        CHECK(decai__op_silu_mul(b->c, x, x, w, counts[i]));
        take(b, b->a, 4, counts[i] * 4);
    }
}

static const struct { const char *name; void (*run)(bench *); } sections[] = {
    { "products", section_products }, { "float_products", section_float_products }, { "embed", section_embed },
    { "norm", section_norm }, { "rope", section_rope }, { "attention", section_attention }, { "elements", section_elements },
};
#define SECTIONS (sizeof sections / sizeof *sections)

static void
run_sections(decai__compute *c, uint64_t hashes[SECTIONS])
{
    for (size_t i = 0; i < SECTIONS; i++) {
        bench b;
        seed = 1000 + i;
        open_bench(&b, c, 1 << 18);
        sections[i].run(&b);
        hashes[i] = close_bench(&b);
    }
}

static decai_context *
context(int64_t threads)
{
    decai_options *o;
    decai_context *ctx;
    CHECK(decai_options_create(&o, NULL));
    CHECK(decai_options_set_i64(o, "base.threads", threads));
    CHECK(decai_context_create(&ctx, o));
    decai_destroy(o);
    return ctx;
}

/* The file's hashes; DECAI_GOLDEN_WRITE=1 writes it from scalar C. */
static void
golden(uint64_t hashes[SECTIONS])
{
    const char *path = "tests/golden/compute.txt";
    if (getenv("DECAI_GOLDEN_WRITE")) {
        decai_context *ctx = context(0);
        decai__compute *c;
        CHECK(decai__compute_open(&c, ctx, "scalar", "", NULL));
        run_sections(c, hashes);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fprintf(f, "# numeric contract draft %d, scalar C: section, FNV-1a 64 of all its outputs\n", DECAI_CONTRACT_VERSION);
        for (size_t i = 0; i < SECTIONS; i++) fprintf(f, "%s %016llx\n", sections[i].name, (unsigned long long)hashes[i]);
        fclose(f);
        decai__compute_destroy(c);
        decai_destroy(ctx);
    }
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[128], name[32];
    size_t count = 0;
    while (fgets(line, sizeof line, f)) {
        unsigned long long h;
        if (sscanf(line, "%31s %llx", name, &h) != 2 || name[0] == '#') continue;
        assert_true(count < SECTIONS);
        assert_string_equal(name, sections[count].name);
        hashes[count++] = h;
    }
    assert_int_equal(count, SECTIONS);
    fclose(f);
}

static void
expect_golden(decai__compute *c)
{
    uint64_t want[SECTIONS], got[SECTIONS];
    golden(want);
    run_sections(c, got);
    for (size_t i = 0; i < SECTIONS; i++)
        if (got[i] != want[i]) fail_msg("%s %s: section %s differs", decai__compute_name(c), decai__compute_device(c), sections[i].name);
}

static void
with_backend(const char *kind, int64_t threads, size_t slices, void (*use)(decai__compute *))
{
    decai_context *ctx = context(threads);
    decai__compute *c;
    int32_t r = decai__compute_open(&c, ctx, kind, "", NULL);
    if (r == DECAI_E_DEVICE && !strcmp(kind, "opencl") && strstr(decai_error_detail(), "no OpenCL device")) {
        decai_destroy(ctx);
        print_message("# no OpenCL device on this machine\n");
        skip();
    }
    if (r) fail_msg("open %s: %s", kind, decai_error_detail());
    c->slices = slices;
    use(c);
    decai__compute_destroy(c);
    decai_destroy(ctx);
}

static void scalar_is_golden(void **s) { (void)s; with_backend("scalar", 0, 1, expect_golden); }
static void scalar_slices_are_golden(void **s) { (void)s; with_backend("scalar", 2, 5, expect_golden); }
static void native_is_golden(void **s) { (void)s; with_backend("native", 0, 1, expect_golden); }
static void native_slices_are_golden(void **s) { (void)s; with_backend("native", 2, 3, expect_golden); }
static void opencl_is_golden(void **s) { (void)s; with_backend("opencl", 0, 1, expect_golden); }

/* ---- the caller's modes ------------------------------------------------------------- */

static void
expect_golden_in_every_mode(decai__compute *c)
{
    static const int modes[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    for (int i = 0; i < 3; i++) {
        fesetround(modes[i]);
        expect_golden(c);
        int kept = fegetround();
        fesetround(FE_TONEAREST);
        assert_int_equal(kept, modes[i]);
    }
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);                     /* flush to zero, denormals are zero */
    expect_golden(c);
    unsigned kept = _mm_getcsr();
    _mm_setcsr(before);
    assert_int_equal(kept & 0xffc0, (before | 0x8040) & 0xffc0);
#endif
}

static void native_ignores_modes(void **s) { (void)s; with_backend("native", 1, 2, expect_golden_in_every_mode); }
static void scalar_ignores_modes(void **s) { (void)s; with_backend("scalar", 1, 2, expect_golden_in_every_mode); }
static void opencl_ignores_modes(void **s) { (void)s; with_backend("opencl", 0, 1, expect_golden_in_every_mode); }

/* Threads inherit the mode of the thread that made them. */
static void
pool_threads_made_in_a_wrong_mode(void **state)
{
    (void)state;
    fesetround(FE_UPWARD);
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
#endif
    with_backend("native", 2, 3, expect_golden);
#if defined(__x86_64__)
    _mm_setcsr(before);
#endif
    fesetround(FE_TONEAREST);
}

/* ---- integrity and arguments ------------------------------------------------------------ */

static void
integrity_names_the_tensor(decai__compute *c)
{
    static const uint32_t bad[] = { 0x7fc00000u, 0x7f800000u, 0xff800000u, 0x5d800000u };
    bench b;
    seed = 5;
    open_bench(&b, c, 4096);
    for (size_t i = 0; i < 4; i++) {
        put(&b, b.a, 0, 3 * 64, 4, 1);
        CHECK(decai__tbuf_write(b.a, 4 * (64 * (i % 3) + 9 * i), &bad[i], 4));
        int32_t r = decai__op_quant(c, DECAI__REF(b.act), DECAI__REF(b.a), 3, 64, "blk.7.attn_q");
        if (!r) r = decai__compute_sync(c);
        assert_int_equal(r, DECAI_E_INTEGRITY);
        assert_non_null(strstr(decai_error_detail(), "blk.7.attn_q"));
        r = decai__op_check(c, DECAI__REF(b.a), 3, 64, "router");
        if (!r) r = decai__tbuf_read(b.a, 0, b.host, 4);
        assert_int_equal(r, DECAI_E_INTEGRITY);
        assert_non_null(strstr(decai_error_detail(), "router"));
        CHECK(decai__compute_sync(c));
    }
    put(&b, b.b, 0, 64, 4, 1);
    put(&b, b.a, 0, 64, 4, 70);                      /* squares above 2^100 */
    int32_t r = decai__op_norm(c, DECAI__REF(b.y), DECAI__REF(b.a), DECAI__REF(b.b), 1, 64, 1e-5f, "output_norm");
    if (!r) r = decai__compute_sync(c);
    assert_int_equal(r, DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "output_norm"));
    const decai__attn p = { 1, 1, 1, 64, 2, 1.0f };
    put(&b, b.y, 0, 64, 2, 100);
    put(&b, b.a, 0, 64 * 3, 2, 100);
    r = decai__op_attention(c, DECAI__REF(b.act), DECAI__REF(b.y), DECAI__REF(b.a), DECAI__REF(b.b), &p, "blk.0.scores");
    if (!r) r = decai__compute_sync(c);
    assert_int_equal(r, DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "blk.0.scores"));
    assert_false(decai__compute_lost(c));
    close_bench(&b);
}

static void scalar_integrity(void **s) { (void)s; with_backend("scalar", 0, 2, integrity_names_the_tensor); }
static void native_integrity(void **s) { (void)s; with_backend("native", 1, 2, integrity_names_the_tensor); }
static void opencl_integrity(void **s) { (void)s; with_backend("opencl", 0, 1, integrity_names_the_tensor); }

static void
arguments_are_refused(decai__compute *c)
{
    bench b;
    open_bench(&b, c, 4096);
    decai__matrix *m = weights(&b, DECAI__Q8_0, 8, 64, 0);
    decai__ref a = DECAI__REF(b.a), y = DECAI__REF(b.y), act = DECAI__REF(b.act), none = { NULL, 0 };
    uint32_t id = 8;
    const decai__attn p = { 1, 3, 2, 64, 0, 1.0f };
    assert_int_equal(decai__op_embed(c, y, m, &id, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, 1, 33, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, 0, 64, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, 65, 64, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, (decai__ref){ b.act, 4 }, a, 1, 64, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_matmul(c, y, m, none, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_matmul(c, (decai__ref){ b.y, 4096 * 4 - 28 }, m, act, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_matmul(c, (decai__ref){ b.y, SIZE_MAX & ~(size_t)3 }, m, act, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_norm(c, y, a, a, 1, 64, 0.0f, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_attention(c, y, a, a, a, &p, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_add(c, (decai__ref){ b.a, 4 }, a, a, 64), DECAI_E_INVALID);
    assert_int_equal(decai__tbuf_read(b.a, 4096 * 4 - 3, b.host, 4), DECAI_E_INVALID);
    assert_int_equal(decai__tbuf_copy(b.a, 0, b.a, 8, 16), DECAI_E_INVALID);
    CHECK(decai__compute_sync(c));
    decai__matrix_destroy(m);
    close_bench(&b);
}

static void native_arguments(void **s) { (void)s; with_backend("native", 0, 1, arguments_are_refused); }
static void opencl_arguments(void **s) { (void)s; with_backend("opencl", 0, 1, arguments_are_refused); }

static void
known_answers(void **state)
{
    (void)state;
    static const char *kinds[] = { "scalar", "native", "opencl" };
    decai_context *ctx = context(1);
    for (int i = 0; i < 3; i++) {
        decai__compute *c;
        if (decai__compute_open(&c, ctx, kinds[i], "", NULL)) {
            print_message("# %s: %s\n", kinds[i], decai_error_detail());
            continue;
        }
        if (decai__compute_verify(c)) fail_msg("%s", decai_error_detail());
        decai__compute_destroy(c);
    }
    decai_destroy(ctx);
}

/* ---- controls: the known-answer test must refuse what is only slightly wrong ------------ */

static decai__kernels wrong;
static const decai__kernels *const good = &decai__kernels_scalar;

#define FLIP(op) \
    static void flip_##op(decai__call *a, size_t first, size_t end, size_t slice) \
    { \
        good->op(a, first, end, slice); \
        a->y[40] ^= 1;                               /* one bit of one value */ \
    }
FLIP(embed) FLIP(norm) FLIP(quant) FLIP(matmul) FLIP(rope) FLIP(attention) FLIP(silu_mul) FLIP(add)

static void
refused(decai_context *ctx, const char *op)
{
    decai__compute *c;
    CHECK(decai__compute_open(&c, ctx, "scalar", "", NULL));
    c->kernels = &wrong;
    assert_int_equal(decai__compute_verify(c), DECAI_E_DEVICE);
    if (!strstr(decai_error_detail(), op)) fail_msg("\"%s\" does not name %s", decai_error_detail(), op);
    decai__compute_destroy(c);
    wrong = *good;
}

static void
known_answers_refuse_one_wrong_bit(void **state)
{
    (void)state;
    decai_context *ctx = context(0);
    wrong = *good;
    wrong.embed = flip_embed;         refused(ctx, "embed");
    wrong.norm = flip_norm;           refused(ctx, "norm");
    wrong.quant = flip_quant;         refused(ctx, "quant");
    wrong.matmul = flip_matmul;       refused(ctx, "matmul");
    wrong.rope = flip_rope;           refused(ctx, "rope");
    wrong.attention = flip_attention; refused(ctx, "attention");
    wrong.silu_mul = flip_silu_mul;   refused(ctx, "silu_mul");
    wrong.add = flip_add;             refused(ctx, "add");
    decai_destroy(ctx);
}

#if defined(__x86_64__)
static unsigned bad_mode;

#define MODE(op) \
    static void mode_##op(decai__call *a, size_t first, size_t end, size_t slice) \
    { \
        unsigned before = _mm_getcsr(); \
        _mm_setcsr(0x1f80 | bad_mode); \
        good->op(a, first, end, slice); \
        _mm_setcsr(before); \
    }
MODE(norm) MODE(matmul) MODE(rope) MODE(attention) MODE(silu_mul) MODE(add)

static void
known_answers_refuse_wrong_modes(void **state)
{
    /* flush to zero; denormals are zero; down; up; toward zero */
    static const unsigned modes[] = { 0x8000, 0x0040, 0x2000, 0x4000, 0x6000 };
    (void)state;
    decai_context *ctx = context(0);
    for (int i = 0; i < 5; i++) {
        bad_mode = modes[i];
        wrong = *good;
        wrong.matmul = mode_matmul; refused(ctx, "matmul");
        wrong.add = mode_add;       refused(ctx, "add");
        if (i < 2) continue;                         /* these have no subnormals to lose in their inputs */
        wrong.norm = mode_norm;           refused(ctx, "norm");
        wrong.rope = mode_rope;           refused(ctx, "rope");
        wrong.attention = mode_attention; refused(ctx, "attention");
        wrong.silu_mul = mode_silu_mul;   refused(ctx, "silu_mul");
    }
    decai_destroy(ctx);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_is_golden), cmocka_unit_test(scalar_slices_are_golden),
        cmocka_unit_test(native_is_golden), cmocka_unit_test(native_slices_are_golden),
        cmocka_unit_test(opencl_is_golden), cmocka_unit_test(scalar_ignores_modes),
        cmocka_unit_test(native_ignores_modes), cmocka_unit_test(opencl_ignores_modes),
        cmocka_unit_test(pool_threads_made_in_a_wrong_mode),
        cmocka_unit_test(scalar_integrity), cmocka_unit_test(native_integrity), cmocka_unit_test(opencl_integrity),
        cmocka_unit_test(native_arguments), cmocka_unit_test(opencl_arguments),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(known_answers_refuse_one_wrong_bit),
#if defined(__x86_64__)
        cmocka_unit_test(known_answers_refuse_wrong_modes),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
