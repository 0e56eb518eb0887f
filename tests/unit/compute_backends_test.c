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

static const int32_t TYPES[] = { DECAI__Q8_0, DECAI__Q4_0, DECAI__Q4_1, DECAI__Q5_0, DECAI__Q5_1, DECAI__IQ4_NL, DECAI__MXFP4,
    DECAI__Q2_K, DECAI__Q3_K, DECAI__Q4_K, DECAI__Q5_K, DECAI__Q6_K, DECAI__IQ4_XS, DECAI__F32, DECAI__F16, DECAI__BF16 };
#define QUANTISED 13
#define WIDE_FROM 7                                  /* types of 256-blocks from here to QUANTISED */

/* Where the scales of a block lie: the high byte of each, 0 for none. */
static void
scale_bytes(int32_t type, size_t at[2])
{
    at[0] = 1;
    at[1] = type == DECAI__Q4_1 || type == DECAI__Q5_1 || type == DECAI__Q4_K || type == DECAI__Q5_K ? 3 : 0;
    if (type == DECAI__Q2_K) at[0] = 81, at[1] = 83;
    if (type == DECAI__Q3_K) at[0] = 109;
    if (type == DECAI__Q6_K) at[0] = 209;
}

/* Random or, with extreme, all-largest raw rows. */
static uint8_t *
raw_rows(int32_t type, size_t rows, size_t cols, int extreme)
{
    size_t len = rows * decai__row_size(type, cols), block = decai__type_block_bytes(type), at[2];
    uint8_t *data = malloc(len);
    for (size_t i = 0; i < len; i++) data[i] = (uint8_t)(extreme ? 0x80 : rnd() >> 8);
    for (size_t i = 1; type == DECAI__F16 && i < len; i += 2) data[i] &= 0xbb;
    for (size_t i = 1; type == DECAI__BF16 && i < len; i += 2) data[i] &= 0xbf;
    for (size_t i = 3; type == DECAI__F32 && i < len; i += 4) data[i] &= 0xbf;
    scale_bytes(type, at);
    for (size_t i = 0; type == DECAI__MXFP4 && i < len; i += block) data[i] = (uint8_t)(extreme ? 160 : 100 + data[i] % 40);
    for (size_t i = 0; decai__type_quantised(type) && type != DECAI__MXFP4 && i < len; i += block)
        for (int k = 0; k < 2; k++) {
            if (k && !at[1]) continue;
            data[i + at[k] - 1] = (uint8_t)(extreme ? 0xff : data[i + at[k] - 1]);
            data[i + at[k]] = (uint8_t)(extreme ? 0x7b : (data[i + at[k]] & 0xbb));
        }
    return data;
}

static decai__matrix *
weights(bench *b, int32_t type, size_t rows, size_t cols, int extreme)
{
    decai__matrix *m;
    uint8_t *data = raw_rows(type, rows, cols, extreme);
    CHECK(decai__matrix_create(&m, b->c, "test", type, rows, cols, data, rows * decai__row_size(type, cols), NULL));
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
        CHECK(decai__op_quant(b->c, act, x, decai__matrix_act(m), n, cols, "x"));
        take(b, b->act, 128, n * decai__act_stride(decai__matrix_act(m), cols));
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
    for (size_t t = 0; t < WIDE_FROM; t++)
        for (size_t i = 0; i < 7; i++)
            for (size_t n = 0; n < 5; n++)
                if (t < 2 ? cols[i] < 4096 || tokens[n] < 64 : (i + n + t) % 5 == 0 && tokens[n] < 64)
                    product(b, TYPES[t], rows[i], cols[i], tokens[n], 0);
    for (size_t t = 0; t < WIDE_FROM; t++) product(b, TYPES[t], 3, 65536, t == 1 ? 2 : 1, 1);
}

static void
section_wide_products(bench *b)
{
    static const size_t cols[] = { 256, 512, 1280, 4096 };
    static const size_t rows[] = { 1, 9, 33, 8 };
    for (int two = 0; two < 2; two++) {
        decai__compute_set_two_level(b->c, two);
        for (size_t t = WIDE_FROM; t < QUANTISED; t++) {
            for (size_t i = 0; i < 4; i++)
                for (size_t n = 0; n < 5; n++)
                    if (cols[i] < 1280 ? (i + n + t) % 2 == 0 : (i + n + t) % 5 == 0 && tokens[n] < 64)
                        product(b, TYPES[t], rows[i], cols[i], tokens[n], 0);
            product(b, TYPES[t], 2, 65536, 1, 1);
        }
    }
    decai__compute_set_two_level(b->c, false);
}

static void
section_float_products(bench *b)
{
    for (size_t t = QUANTISED; t < QUANTISED + 3; t++)
        for (size_t n = 0; n < 5; n++) {
            product(b, TYPES[t], 13, 1, tokens[n], 0);
            product(b, TYPES[t], 8, 256, tokens[n], 0);
            product(b, TYPES[t], 21, 777, tokens[n], 0);
        }
}

/* Whole tokens through their experts. */
static void
section_experts(bench *b)
{
    enum { EXPERTS = 6, USED = 3, ROWS = 19 };
    for (size_t t = 0; t < QUANTISED + 3; t++) {
        size_t n = tokens[t % 5], cols = t >= WIDE_FROM && t < QUANTISED ? 512 : 288;
        const decai__route p = { n, EXPERTS, USED, (int32_t)(t % 2) };
        decai__ref route = { b->act, 0 }, act = { b->act, 8192 }, x = { b->a, 4096 }, part = { b->b, 0 }, y = { b->y, 4 };
        decai__matrix *m;
        uint8_t *data = raw_rows(TYPES[t], EXPERTS * ROWS, cols, 0);
        CHECK(decai__matrix_create_experts(&m, b->c, "experts", TYPES[t], EXPERTS, ROWS, cols, data,
            EXPERTS * ROWS * decai__row_size(TYPES[t], cols), NULL));
        free(data);
        assert_int_equal(decai__matrix_experts(m), EXPERTS);
        put(b, b->a, 0, n * EXPERTS, 5, 1);
        put(b, b->b, 65536, EXPERTS * ROWS, 5, 1);
        CHECK(decai__op_route(b->c, route, DECAI__REF(b->a), &p, "router"));
        take(b, b->act, 0, n * USED * 8);
        put(b, b->a, 4096, n * cols, 8, 1);
        if (decai__matrix_quantised(m)) CHECK(decai__op_quant(b->c, act, x, decai__matrix_act(m), n, cols, "x"));
        for (size_t slot = 0; slot < USED; slot++) {
            CHECK(decai__op_matmul_expert(b->c, part, m, decai__matrix_quantised(m) ? act : x, route, slot, USED, n));
            if (t % 3) CHECK(decai__op_bias_expert(b->c, part, (decai__ref){ b->y, 65536 }, route, slot, USED, EXPERTS, n, ROWS));
            CHECK(decai__op_mix_expert(b->c, y, part, route, slot, USED, n, ROWS));
        }
        CHECK(decai__op_bias(b->c, y, (decai__ref){ b->b, 65536 }, n, ROWS));
        take(b, b->y, 4, n * ROWS * 4);
        decai__matrix_destroy(m);
    }
}

static void
section_embed(bench *b)
{
    for (size_t t = 0; t < QUANTISED + 3; t++)
        for (size_t n = 0; n < 5; n++) {
            uint32_t ids[64];
            size_t cols = t >= WIDE_FROM && t < QUANTISED ? 256 : 288;
            uint8_t *data = raw_rows(TYPES[t], 50, cols, 0);
            const decai__rows rows = { "rows", TYPES[t], 50, cols, data, decai__row_size(TYPES[t], cols) };
            for (size_t i = 0; i < tokens[n]; i++) ids[i] = rnd() % 50;
            CHECK(decai__op_embed(b->c, (decai__ref){ b->y, 4 }, &rows, ids, tokens[n], t % 2 ? 1.0f : 33.94113f));
            take(b, b->y, 4, tokens[n] * cols * 4);
            CHECK(decai__op_embed_add(b->c, (decai__ref){ b->y, 4 }, &rows, ids, tokens[n]));
            take(b, b->y, 4, tokens[n] * cols * 4);
            free(data);
        }
}

static void
section_norm(bench *b)
{
    static const size_t dims[] = { 1, 32, 100, 256, 257, 2048 };
    for (size_t d = 0; d < 6; d++)
        for (size_t n = 0; n < 5; n++) {
            decai__norm p = { tokens[n], 1, dims[d], 1e-5f, DECAI__NORM_RMS };
            put(b, b->a, 8, tokens[n] * dims[d], 20, d == 3 ? 40 : 3);
            put(b, b->b, 4, 2 * dims[d], 6, 1);
            decai__ref x = { b->a, 8 }, w = { b->b, 4 }, y = { b->y, 12 }, bias = { b->b, 4 + 4 * dims[d] };
            CHECK(decai__op_norm(b->c, y, x, w, DECAI__NO_REF, &p, "x"));
            take(b, b->y, 12, tokens[n] * dims[d] * 4);
            p.kind = DECAI__NORM_LAYER;
            CHECK(decai__op_norm(b->c, y, x, w, bias, &p, "x"));
            take(b, b->y, 12, tokens[n] * dims[d] * 4);
            CHECK(decai__op_norm(b->c, y, x, w, DECAI__NO_REF, &p, "x"));
            take(b, b->y, 12, tokens[n] * dims[d] * 4);
            p.kind = DECAI__NORM_RMS;
            p.eps = 0x1p-60f;
            if (dims[d] % 4 == 0) p.groups = 4, p.dim /= 4;
            CHECK(decai__op_norm(b->c, x, x, w, DECAI__NO_REF, &p, "x"));          /* in place */
            take(b, b->a, 8, tokens[n] * dims[d] * 4);
        }
}

static void
section_quant(bench *b)
{
    static const size_t dims[] = { 32, 96, 256, 288, 1024, 4096 };
    for (int32_t form = 0; form < DECAI__ACT_FORMS; form++)
        for (size_t d = 0; d < 6; d++)
            for (size_t n = 0; n < 5; n++) {
                if (dims[d] % decai__act_block(form) || dims[d] * tokens[n] > 65536) continue;
                put(b, b->a, 4, tokens[n] * dims[d], n == 2 ? 100 : 12, n == 4 ? 59 : 2);
                CHECK(decai__op_quant(b->c, (decai__ref){ b->act, 64 }, (decai__ref){ b->a, 4 }, form, tokens[n], dims[d], "x"));
                take(b, b->act, 64, tokens[n] * decai__act_stride(form, dims[d]));
            }
}

static void
section_rope(bench *b)
{
    static const size_t heads[] = { 1, 3, 8 }, dims[] = { 2, 64, 128 };
    float factors[64];
    for (size_t i = 0; i < 64; i++) factors[i] = 1.0f + (float)i * 0.125f;
    for (size_t i = 0; i < 12; i++) {
        decai__tbuf *table;
        decai__rope p = { tokens[i % 5], heads[i % 9 / 3], dims[i % 3], i == 4 ? 32 : dims[i % 3], i * 37, i % 2 };
        decai__rope_spec spec = { .rot_dim = p.rot_dim, .base = 10000.0 * (double)(1 + i) };
        size_t count = p.n * p.heads * p.head_dim;
        if (i == 9) spec.linear = 8.0, spec.mscale = 1.5;
        if (i == 10) spec.freq_factors = factors;
        if (i == 11) {
            spec.yarn.factor = 32.0;
            spec.yarn.original = 4096.0;
            spec.yarn.beta_fast = 32.0;
            spec.yarn.beta_slow = spec.yarn.attn_factor = 1.0;
        }
        CHECK(decai__rope_table_create(&table, b->c, p.pos + p.n, &spec));
        put(b, b->a, 4, count, 12, 3);
        CHECK(decai__op_rope(b->c, (decai__ref){ b->a, 4 }, table, &p));
        take(b, b->a, 4, count * 4);
        decai__tbuf_destroy(table);
    }
}

typedef struct attn_case { size_t n, heads, kv_heads, head_dim, pos; float scale, cap; uint32_t window; int sinks; } attn_case;

static const attn_case attn_cases[] = {
    { 1, 1, 1, 1, 0, 1.0f, 0, 0, 0 }, { 1, 4, 4, 64, 0, 0.125f, 0, 0, 0 }, { 7, 4, 2, 32, 0, 0.17f, 0, 0, 1 },
    { 1, 8, 2, 64, 63, 0.125f, 0, 0, 0 }, { 2, 8, 1, 64, 63, 0.125f, 50, 0, 0 }, { 3, 2, 2, 128, 200, 0.088f, 0, 64, 0 },
    { 64, 3, 1, 48, 30, 0.144f, 0, 17, 0 }, { 1, 2, 1, 256, 500, 0.0625f, 30, 0, 1 }, { 5, 6, 3, 20, 123, 4.0f, 0, 1, 0 },
    { 1, 2, 2, 33, 191, 0.2f, 0, 100, 1 }, { 4, 16, 2, 80, 300, 0.11f, 0, 128, 0 }, { 2, 4, 4, 96, 66, 0.1f, 0, 3, 1 },
};

/* The cache is filled in portions, so that rings turn. */
static void
attention_case(bench *b, const attn_case *p, int32_t type)
{
    const decai__kv_spec spec = { 2, p->kv_heads, p->head_dim, type, p->pos + p->n, 64, (const uint32_t[]){ p->window, 0 } };
    decai__attn a = { p->n, p->heads, p->kv_heads, p->head_dim, p->pos, p->scale, p->cap, p->sinks ? (decai__ref){ b->b, 131072 } : DECAI__NO_REF };
    size_t q = p->n * p->heads * p->head_dim, row = p->kv_heads * p->head_dim, first = decai__window_first(p->pos, p->window);
    decai__kv *kv;
    CHECK(decai__kv_create(&kv, b->c, &spec));
    for (size_t at = 0; at < p->pos + p->n;) {
        size_t n = at < p->pos ? p->pos - at : p->n;
        n = n > 60 && at < p->pos ? 60 : n;
        uint32_t top = p->head_dim == 64 ? (uint32_t)-9 : 1;     /* f16 has few bits down there */
        put(b, b->a, 16, n * row, 6, top);
        put(b, b->b, 8, n * row, 9, top);
        CHECK(decai__op_kv_store(b->c, kv, 0, at, (decai__ref){ b->a, 16 }, (decai__ref){ b->b, 8 }, n, "kv"));
        at += n;
    }
    put(b, b->act, 4, q, 5, 1);
    put(b, b->b, 131072, p->heads, 3, 1);
    CHECK(decai__op_attention(b->c, (decai__ref){ b->y, 4 }, (decai__ref){ b->act, 4 }, kv, 0, &a, "scores"));
    take(b, b->y, 4, q * 4);
    size_t kept = p->pos + p->n - first;
    for (int32_t which = 0; which < 2; which++) {
        CHECK(decai__kv_read(kv, 0, which, first, kept, (float *)b->host));
        b->hash = mix(b->hash, b->host, kept * row * 4);
        CHECK(decai__kv_write(kv, 0, which, first, kept, (float *)b->host));                   /* exact values stay */
    }
    CHECK(decai__op_attention(b->c, (decai__ref){ b->y, 4 }, (decai__ref){ b->act, 4 }, kv, 0, &a, "scores"));
    take(b, b->y, 4, q * 4);
    decai__kv_destroy(kv);
}

static void
section_attention(bench *b)
{
    for (int32_t type = 0; type < 2; type++)
        for (size_t i = 0; i < sizeof attn_cases / sizeof *attn_cases; i++) attention_case(b, &attn_cases[i], type);
}

static void
section_attention_full(bench *b)
{
    static const uint32_t starts[3][5] = { { 0, 1 }, { 0, 64, 129, 130, 200 }, { 0, 7, 8, 100 } };
    static const size_t segments[] = { 1, 4, 3 }, dims[] = { 32, 64, 36 };
    for (size_t i = 0; i < 3; i++) {
        size_t n = starts[i][segments[i]];
        const decai__attn p = { .n = n, .heads = 4, .kv_heads = i == 2 ? 2 : 4, .head_dim = dims[i], .scale = 0.125f, .softcap = i == 2 ? 20 : 0 };
        put(b, b->a, 16, n * p.kv_heads * dims[i], 6, 1);
        put(b, b->b, 8, n * p.kv_heads * dims[i], 9, 1);
        put(b, b->act, 4, n * 4 * dims[i], 5, 1);
        CHECK(decai__op_attention_full(b->c, (decai__ref){ b->y, 4 }, (decai__ref){ b->act, 4 }, (decai__ref){ b->a, 16 },
            (decai__ref){ b->b, 8 }, starts[i], segments[i], &p, "scores"));
        take(b, b->y, 4, n * 4 * dims[i] * 4);
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
        for (int32_t kind = 0; kind < DECAI__GLU_KINDS; kind++) {
            CHECK(decai__op_glu(b->c, y, x, w, kind, counts[i]));
            take(b, b->y, 12, counts[i] * 4);
            CHECK(decai__op_glu(b->c, y, x, DECAI__NO_REF, kind, counts[i]));
            take(b, b->y, 12, counts[i] * 4);
        }
        CHECK(decai__op_softcap(b->c, y, 30.0f, counts[i]));
        take(b, b->y, 12, counts[i] * 4);
        CHECK(decai__op_add(b->c, y, x, w, counts[i]));
        CHECK(decai__op_add(b->c, y, y, x, counts[i]));                       /* in place */
        CHECK(decai__tbuf_copy(b->act, 0, b->y, 12, counts[i] * 4));
        take(b, b->act, 0, counts[i] * 4);
        put(b, b->a, 4, counts[i], 150, 22);                                   /* down to subnormals */
        put(b, b->b, 8, counts[i], 150, 22);
        CHECK(decai__op_add(b->c, y, x, w, counts[i]));
        take(b, b->y, 12, counts[i] * 4);
        CHECK(decai__op_glu(b->c, x, x, w, DECAI__GLU_SILU, counts[i]));       /* in place */
        take(b, b->a, 4, counts[i] * 4);
    }
}

static const struct { const char *name; void (*run)(bench *); } sections[] = {
    { "products", section_products }, { "wide_products", section_wide_products }, { "float_products", section_float_products },
    { "experts", section_experts }, { "embed", section_embed }, { "norm", section_norm }, { "quant", section_quant },
    { "rope", section_rope }, { "attention", section_attention }, { "attention_full", section_attention_full },
    { "elements", section_elements },
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
        fprintf(f, "# numeric contract version %d, scalar C: section, FNV-1a 64 of all its outputs\n", DECAI_CONTRACT_VERSION);
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
with_flavour(const char *kind, const char *flavour, decai__cl_hook *hook, int64_t threads, size_t slices,
    void (*use)(decai__compute *))
{
    decai_context *ctx = context(threads);
    decai__compute *c;
    const decai__cl_choice choice = { .flavour = flavour };
    int32_t r = decai__compute_open_as(&c, ctx, kind, "", &choice, hook);
    if (r == DECAI_E_DEVICE && *flavour && strstr(decai_error_detail(), "compute.flavour")) {
        decai_destroy(ctx);
        print_message("# the OpenCL device does not take %s\n", flavour);
        skip();
    }
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

static void
with_backend(const char *kind, int64_t threads, size_t slices, void (*use)(decai__compute *))
{
    with_flavour(kind, "", NULL, threads, slices, use);
}

static void scalar_is_golden(void **s) { (void)s; with_backend("scalar", 0, 1, expect_golden); }
static void scalar_slices_are_golden(void **s) { (void)s; with_backend("scalar", 2, 5, expect_golden); }
static void native_is_golden(void **s) { (void)s; with_backend("native", 0, 1, expect_golden); }
static void native_slices_are_golden(void **s) { (void)s; with_backend("native", 2, 3, expect_golden); }
static void opencl_is_golden(void **s) { (void)s; with_backend("opencl", 0, 1, expect_golden); }
static void opencl_generic_is_golden(void **s) { (void)s; with_flavour("opencl", "generic", NULL, 0, 1, expect_golden); }
/* A second level of one flavour costs a second round of compiling: deep runs only. */
static void
opencl_avx2_is_golden(void **s)
{
    (void)s;
    if (getenv("DECAI_DEEP")) with_flavour("opencl", "pocl-avx2", NULL, 0, 1, expect_golden);
}

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
        int32_t r = decai__op_quant(c, DECAI__REF(b.act), DECAI__REF(b.a), DECAI__ACT_32, 3, 64, "blk.7.attn_q");
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
    const decai__norm norm = { 1, 1, 64, 1e-5f, DECAI__NORM_RMS };
    int32_t r = decai__op_norm(c, DECAI__REF(b.y), DECAI__REF(b.a), DECAI__REF(b.b), DECAI__NO_REF, &norm, "output_norm");
    if (!r) r = decai__compute_sync(c);
    assert_int_equal(r, DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "output_norm"));
    const decai__attn p = { .n = 1, .heads = 1, .kv_heads = 1, .head_dim = 64, .pos = 2, .scale = 1.0f };
    const decai__kv_spec spec = { 1, 1, 64, DECAI__KV_F16, 64, 64, NULL };
    decai__kv *kv;
    CHECK(decai__kv_create(&kv, c, &spec));
    put(&b, b.y, 0, 64, 2, 120);
    put(&b, b.a, 0, 64 * 3, 2, 14);
    put(&b, b.b, 0, 64 * 3, 2, 1);
    CHECK(decai__op_kv_store(c, kv, 0, 0, DECAI__REF(b.a), DECAI__REF(b.b), 3, "blk.0.kv"));
    r = decai__op_attention(c, DECAI__REF(b.act), DECAI__REF(b.y), kv, 0, &p, "blk.0.scores");
    if (!r) r = decai__compute_sync(c);
    assert_int_equal(r, DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "blk.0.scores"));
    put(&b, b.a, 0, 64 * 3, 1, 16);                  /* beyond f16 */
    r = decai__op_kv_store(c, kv, 0, 0, DECAI__REF(b.b), DECAI__REF(b.a), 3, "blk.0.kv");
    if (!r) r = decai__compute_sync(c);
    assert_int_equal(r, DECAI_E_INTEGRITY);
    assert_non_null(strstr(decai_error_detail(), "blk.0.kv"));
    decai__kv_destroy(kv);
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
    const decai__attn p = { .n = 1, .heads = 3, .kv_heads = 2, .head_dim = 64, .scale = 1.0f };
    const decai__kv_spec spec = { 1, 2, 64, DECAI__KV_F16, 64, 8, NULL };
    const decai__norm norm = { 1, 1, 64, 0.0f, DECAI__NORM_RMS };
    const decai__rows rows = { "rows", DECAI__F32, 8, 1, (const uint8_t *)"12345678901234567890123456789012", 4 };
    decai__kv *kv;
    CHECK(decai__kv_create(&kv, c, &spec));
    assert_int_equal(decai__op_embed(c, y, &rows, &id, 1, 1.0f), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, DECAI__ACT_32, 1, 33, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, DECAI__ACT_256, 1, 288, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, 3, 1, 256, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, DECAI__ACT_32, 0, 64, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, act, a, DECAI__ACT_32, 129, 64, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_quant(c, (decai__ref){ b.act, 4 }, a, DECAI__ACT_32, 1, 64, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_matmul(c, y, m, none, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_matmul(c, (decai__ref){ b.y, 4096 * 4 - 28 }, m, act, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_matmul(c, (decai__ref){ b.y, SIZE_MAX & ~(size_t)3 }, m, act, 1), DECAI_E_INVALID);
    assert_int_equal(decai__op_norm(c, y, a, a, DECAI__NO_REF, &norm, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_attention(c, y, a, kv, 0, &p, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_kv_store(c, kv, 0, 0, a, a, 9, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_kv_store(c, kv, 0, 60, a, a, 8, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_kv_store(c, kv, 1, 0, a, a, 1, "x"), DECAI_E_INVALID);
    assert_int_equal(decai__op_kv_store(c, kv, 0, 1, a, a, 1, "x"), DECAI_E_STATE);
    assert_int_equal(decai__op_glu(c, y, a, a, 4, 64), DECAI_E_INVALID);
    assert_int_equal(decai__op_softcap(c, y, 0.0f, 64), DECAI_E_INVALID);
    decai__kv_destroy(kv);
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

/* Whatever a create is asked for, it tests the same things; weights may stay where
 * they lie (compute.repack=0), whole and as experts. */
static void
creates_of_every_kind(void **state)
{
    static const char *kinds[] = { "scalar", "native" };
    (void)state;
    for (int i = 0; i < 4; i++) {
        decai_context *ctx = context(1);
        decai_options *o;
        decai__compute *c;
        CHECK(decai_options_create(&o, ctx));
        CHECK(decai_options_set_str(o, "compute.backend", kinds[i / 2]));
        CHECK(decai_options_set_i64(o, "compute.repack", i % 2));
        if (decai__compute_create(&c, ctx, o)) fail_msg("%s: %s", kinds[i / 2], decai_error_detail());
        decai__compute_set_two_level(c, true);
        if (decai__compute_verify(c)) fail_msg("%s: %s", kinds[i / 2], decai_error_detail());
        assert_true(decai__compute_two_level(c));
        decai__compute_destroy(c);
        decai_destroy(o);
        decai_destroy(ctx);
    }
}

/* ---- controls: the known-answer test must refuse what is only slightly wrong ------------ */

static decai__kernels wrong;
static const decai__kernels *const good = &decai__kernels_scalar;

static int flipped;                                  /* which op's kernel flips */

static void
flip(decai__call *a, size_t first, size_t end, size_t slice)
{
    good->op[flipped](a, first, end, slice);
    if (flipped == DECAI__K_KV_STORE) decai__kv_host_row(a->kv, a->layer, 1, a->pos, 0)[1] ^= 1;
    else a->y[flipped == DECAI__K_ROUTE ? 4 : 40] ^= 1;   /* one bit of one value */
}

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
    static const char *names[DECAI__K_COUNT] = { "embed", "embed", "norm", "quant", NULL, "matmul", "experts", "experts", "experts",
        "rope", "attention", "attention", "attention_full", "glu", "add", "softcap" };
    (void)state;
    decai_context *ctx = context(0);
    for (flipped = 0; flipped < DECAI__K_COUNT; flipped++) {
        wrong = *good;
        wrong.op[flipped] = flip;
        if (names[flipped]) refused(ctx, names[flipped]);
    }
    decai_destroy(ctx);
}

#if defined(__x86_64__)
static unsigned bad_mode;

static void
in_mode(decai__call *a, size_t first, size_t end, size_t slice)
{
    unsigned before = _mm_getcsr();
    _mm_setcsr(0x1f80 | bad_mode);
    good->op[flipped](a, first, end, slice);
    _mm_setcsr(before);
}

static void
known_answers_refuse_wrong_modes(void **state)
{
    /* flush to zero; denormals are zero; down; up; toward zero */
    static const unsigned modes[] = { 0x8000, 0x0040, 0x2000, 0x4000, 0x6000 };
    static const struct { int op; const char *name; bool subnormals; } cases[] = {
        { DECAI__K_MATMUL, "matmul", true }, { DECAI__K_ADD, "add", true }, { DECAI__K_NORM, "norm", false },
        { DECAI__K_ROPE, "rope", false }, { DECAI__K_ATTENTION, "attention", false }, { DECAI__K_GLU, "glu", false },
        { DECAI__K_SOFTCAP, "softcap", false }, { DECAI__K_MIX_EXPERT, "experts", false },
    };
    (void)state;
    decai_context *ctx = context(0);
    for (int i = 0; i < 5; i++)
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            if (i < 2 && !cases[k].subnormals) continue;     /* these have no subnormals to lose in their inputs */
            bad_mode = modes[i];
            flipped = cases[k].op;
            wrong = *good;
            wrong.op[flipped] = in_mode;
            refused(ctx, cases[k].name);
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
        cmocka_unit_test(opencl_is_golden),
        cmocka_unit_test(opencl_generic_is_golden), cmocka_unit_test(opencl_avx2_is_golden), cmocka_unit_test(scalar_ignores_modes),
        cmocka_unit_test(native_ignores_modes), cmocka_unit_test(opencl_ignores_modes),
        cmocka_unit_test(pool_threads_made_in_a_wrong_mode),
        cmocka_unit_test(scalar_integrity), cmocka_unit_test(native_integrity), cmocka_unit_test(opencl_integrity),
        cmocka_unit_test(native_arguments), cmocka_unit_test(opencl_arguments),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(creates_of_every_kind),
        cmocka_unit_test(known_answers_refuse_one_wrong_bit),
#if defined(__x86_64__)
        cmocka_unit_test(known_answers_refuse_wrong_modes),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
