/* compute_native_test.c - native = scalar on random shapes, bit for bit: AVX2 and
 * AVX-512, 0, 3 and 7 pool threads. Where compute_backends_test.c has fixed cases and
 * golden hashes, this one draws sizes (odd dimensions, short leaves and pages, one
 * token and many, rings that wrap, caches cut back and written over) and compares
 * with scalar C run beside it. DECAI_DEEP=1: more rounds. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"

#define CHECK(call) assert_int_equal((call), 0)
#define FLOATS ((size_t)1 << 19)     /* of each buffer */

/* Sanitizers see in one round of small attention what they see in minutes of large. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define FEW 1
#define ATTENDED (FLOATS >> 5)
#else
#define FEW 0
#define ATTENDED FLOATS
#endif

static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((seed >> 33) % below);
}

static size_t pick(const size_t *from, size_t count) { return from[rnd((uint32_t)count)]; }
#define PICK(...) pick((const size_t[]){ __VA_ARGS__ }, sizeof((const size_t[]){ __VA_ARGS__ }) / sizeof(size_t))

static void
floats(float *x, size_t count, uint32_t binades, int32_t top)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t u = (uint32_t)(top + 127 - (int32_t)rnd(binades)) << 23 | rnd(1u << 23) | rnd(2) << 31;
        if (rnd(61) == 0) u &= rnd(2) ? 0x80000000u : 0x807fffffu;
        memcpy(x + i, &u, 4);
    }
}

typedef struct side {
    decai_context *ctx;
    decai__compute *c;
    decai__tbuf *a, *b, *d, *y;
    decai__kv *kv;
    float *out;
} side;

typedef struct pair { side s[2]; float *host; } pair;

static void
side_open(side *s, const decai__kernels *kernels, int64_t threads)
{
    decai_options *o;
    CHECK(decai_options_create(&o, NULL));
    CHECK(decai_options_set_i64(o, "base.threads", threads));
    CHECK(decai_context_create(&s->ctx, o));
    decai_destroy(o);
    CHECK(decai__compute_open(&s->c, s->ctx, kernels ? "native" : "scalar", "", NULL));
    if (kernels) s->c->kernels = kernels;
    s->c->slices = (size_t)threads + 1;
    s->c->repack = true;
    decai__tbuf **all[] = { &s->a, &s->b, &s->d, &s->y };
    for (size_t i = 0; i < 4; i++) CHECK(decai__tbuf_create(all[i], s->c, FLOATS * 4));
    s->out = malloc(FLOATS * 4);
    assert_non_null(s->out);
}

static void
side_close(side *s)
{
    decai__kv_destroy(s->kv);
    decai__tbuf_destroy(s->a);
    decai__tbuf_destroy(s->b);
    decai__tbuf_destroy(s->d);
    decai__tbuf_destroy(s->y);
    decai__compute_destroy(s->c);
    decai_destroy(s->ctx);
    free(s->out);
}

/* The same random floats into buffer `which` (0 a, 1 b, 2 d, 3 y) of both sides. */
static void
put(pair *p, int which, size_t count, uint32_t binades, int32_t top)
{
    assert_true(count <= FLOATS);
    floats(p->host, count, binades, top);
    for (int i = 0; i < 2; i++) {
        side *s = &p->s[i];
        decai__tbuf *to[] = { s->a, s->b, s->d, s->y };
        CHECK(decai__tbuf_write(to[which], 0, p->host, count * 4));
    }
}

static void
same(pair *p, size_t bytes, const char *op)
{
    for (int i = 0; i < 2; i++) CHECK(decai__tbuf_read(p->s[i].y, 0, p->s[i].out, bytes));
    if (!memcmp(p->s[0].out, p->s[1].out, bytes)) return;
    size_t at = 0;
    while (!memcmp(p->s[0].out + at, p->s[1].out + at, 4)) at++;
    fail_msg("%s on %s: word %zu of %zu differs: %a, %a", op, decai__compute_device(p->s[1].c), at, bytes / 4,
        (double)p->s[0].out[at], (double)p->s[1].out[at]);
}

#define BOTH for (side *s = p->s; s < p->s + 2; s++)

/* ---- ops ------------------------------------------------------------------------- */

static void
draw_norm(pair *p)
{
    decai__norm n = { 1 + rnd(20), PICK(1, 1, 3, 8), PICK(1, 7, 64, 128, 255, 256, 257, 384, 512, 1000, 2048), 1e-6f, (int32_t)rnd(2) };
    size_t count = n.n * n.groups * n.dim;
    bool bias = n.kind == DECAI__NORM_LAYER && rnd(2);
    put(p, 0, count, 12, 2);
    put(p, 1, n.dim, 4, 0);
    put(p, 2, n.dim, 4, 0);
    BOTH CHECK(decai__op_norm(s->c, DECAI__REF(s->y), DECAI__REF(s->a), DECAI__REF(s->b), bias ? DECAI__REF(s->d) : DECAI__NO_REF, &n, "x"));
    same(p, count * 4, "norm");
    put(p, 3, count, 12, 2);                                     /* in place */
    BOTH CHECK(decai__op_norm(s->c, DECAI__REF(s->y), DECAI__REF(s->y), DECAI__REF(s->b), DECAI__NO_REF, &n, "x"));
    same(p, count * 4, "norm");
}

static void
draw_quant(pair *p)
{
    int32_t form = (int32_t)rnd(3);
    size_t n = 1 + rnd(9), dim = decai__act_block(form) * (1 + rnd(form ? 8 : 70));
    put(p, 0, n * dim, PICK(1, 6, 30), (int32_t)PICK(0, 3, 50));
    BOTH CHECK(decai__op_quant(s->c, DECAI__REF(s->y), DECAI__REF(s->a), form, n, dim, "x"));
    same(p, n * decai__act_stride(form, dim), "quant");
}

/* Every scale of a block, and for each the quants at both sides of every edge: the
 * first element is the largest, 127 s, so that s is what the block gets. */
static void
quant_edges(pair *p, int32_t from, int32_t to)
{
    for (int32_t s = from; s < to; s++) {
        size_t count = 0;
        p->host[count++] = 0x1p20f;                      /* fixes the grid: G = x */
        for (size_t i = 1; i < 32; i++) p->host[count++] = 0;
        for (int32_t k = 0; k < 127; k += 15) {
            p->host[count++] = (float)(127 * s);
            for (int32_t i = 0; i < 31; i++) {
                int32_t at = DECAI__MIN(k + i / 2, 126);
                float edge = (float)(((2 * at + 1) * s - 1) / 2 + i % 2);
                p->host[count++] = i % 3 ? edge : -edge;
            }
        }
        for (side *i = p->s; i < p->s + 2; i++) {
            CHECK(decai__tbuf_write(i->a, 0, p->host, count * 4));
            CHECK(decai__op_quant(i->c, DECAI__REF(i->y), DECAI__REF(i->a), DECAI__ACT_32, 1, count, "x"));
        }
        same(p, decai__act_stride(DECAI__ACT_32, count), "quant at its edges");
    }
}

static void
draw_elements(pair *p)
{
    size_t count = PICK(1, 7, 8, 15, 16, 17, 33, 100, 4099, 70001);
    for (int32_t kind = 0; kind < DECAI__GLU_KINDS; kind++) {
        bool up = rnd(2);
        put(p, 0, count, 12, 6);
        put(p, 1, count, 9, 4);
        BOTH CHECK(decai__op_glu(s->c, DECAI__REF(s->y), DECAI__REF(s->a), up ? DECAI__REF(s->b) : DECAI__NO_REF, kind, count));
        same(p, count * 4, "glu");
    }
    BOTH CHECK(decai__op_add(s->c, DECAI__REF(s->y), DECAI__REF(s->a), DECAI__REF(s->b), count));
    same(p, count * 4, "add");
    BOTH CHECK(decai__op_softcap(s->c, DECAI__REF(s->y), 30.0f, count));
    same(p, count * 4, "softcap");
}

static void
draw_rope(pair *p)
{
    size_t dim = PICK(2, 8, 20, 64, 80, 128, 256), rot = 2 * (1 + rnd((uint32_t)dim / 2));
    decai__rope r = { 1 + rnd(9), 1 + rnd(9), dim, rot, rnd(40), rnd(2) };
    decai__rope_spec spec = { .rot_dim = rot, .base = 10000 };
    put(p, 3, r.n * r.heads * dim, 12, 2);
    BOTH {
        decai__tbuf *table;
        CHECK(decai__rope_table_create(&table, s->c, 64, &spec));
        CHECK(decai__op_rope(s->c, DECAI__REF(s->y), table, &r));
        CHECK(decai__compute_sync(s->c));
        decai__tbuf_destroy(table);
    }
    same(p, r.n * r.heads * dim * 4, "rope");
}

static void
draw_experts(pair *p)
{
    size_t experts = PICK(2, 8, 32, 60, 128), used = 1 + rnd((uint32_t)DECAI__MIN(experts, (size_t)8)), n = 1 + rnd(9), dim = 1 + rnd(200);
    decai__route r = { n, experts, used, (int32_t)rnd(2) };
    size_t route = n * used * 2, slot = rnd((uint32_t)used);
    put(p, 0, n * experts, 3, 2);
    BOTH CHECK(decai__op_route(s->c, DECAI__REF(s->y), DECAI__REF(s->a), &r, "x"));
    same(p, route * 4, "route");
    BOTH CHECK(decai__tbuf_copy(s->d, 0, s->y, 0, route * 4));
    put(p, 0, n * dim, 8, 2);
    put(p, 3, n * dim, 8, 2);
    BOTH CHECK(decai__op_mix_expert(s->c, DECAI__REF(s->y), DECAI__REF(s->a), DECAI__REF(s->d), slot, used, n, dim));
    same(p, n * dim * 4, "mix_expert");
    put(p, 1, experts * dim, 8, 2);
    BOTH CHECK(decai__op_bias_expert(s->c, DECAI__REF(s->y), DECAI__REF(s->b), DECAI__REF(s->d), slot, used, experts, n, dim));
    same(p, n * dim * 4, "bias_expert");
    BOTH CHECK(decai__op_bias(s->c, DECAI__REF(s->y), DECAI__REF(s->b), n, dim));
    same(p, n * dim * 4, "bias");
}

static void
draw_float_product(pair *p)
{
    static const int32_t types[] = { DECAI__F32, DECAI__F16, DECAI__BF16 };
    int32_t type = types[rnd(3)];
    size_t rows = PICK(1, 5, 31, 32, 33, 64, 100), cols = PICK(1, 3, 32, 255, 256, 300, 513, 800), n = PICK(1, 2, 3, 5, 6, 12, 13, 25, 97, 200);
    size_t experts = rnd(3) ? 1 : 1 + rnd(5), size = decai__row_size(type, cols), len = experts * rows * size;
    uint8_t *data = malloc(len);
    if (n * DECAI__MAX(cols, rows) > FLOATS) n = 1;
    for (size_t i = 0; i < len; i++) data[i] = (uint8_t)rnd(256);
    for (size_t i = type == DECAI__F32 ? 3 : 1; i < len; i += type == DECAI__F32 ? 4 : 2) data[i] &= 0xbb;
    put(p, 0, n * cols, 30, 2);
    decai__chosen *route = (decai__chosen *)(void *)p->host;
    for (size_t i = 0; i < n; i++) route[i] = (decai__chosen){ (int32_t)rnd((uint32_t)experts), 1.0f };
    BOTH {
        decai__matrix *m;
        CHECK(decai__matrix_create_experts(&m, s->c, "test", type, experts, rows, cols, data, len, NULL));
        CHECK(decai__tbuf_write(s->d, 0, route, n * sizeof *route));
        if (experts == 1) CHECK(decai__op_matmul(s->c, DECAI__REF(s->y), m, DECAI__REF(s->a), n));
        else CHECK(decai__op_matmul_expert(s->c, DECAI__REF(s->y), m, DECAI__REF(s->a), DECAI__REF(s->d), 0, 1, n));
        decai__matrix_destroy(m);
    }
    free(data);
    same(p, n * rows * 4, "float product");
}

/* A life of a cache: tokens come in batches, sometimes some are forgotten. */
static void
draw_cache(pair *p)
{
    size_t kv_heads = 1 + rnd(4), group = PICK(1, 2, 4, 5, 8, 17), dim = PICK(1, 16, 20, 32, 48, 64, 80, 128, 256), batch = 1 + rnd(100);
    uint32_t window[2] = { 0, rnd(2) ? 1 + rnd(200) : 0 };
    decai__kv_spec spec = { 2, kv_heads, dim, (int32_t)rnd(2), 700, batch, window };
    size_t width = kv_heads * dim, heads = kv_heads * group, pos = 0;
    BOTH CHECK(decai__kv_create(&s->kv, s->c, &spec));
    for (int step = 0; step < 12 && pos < 560; step++) {
        size_t n = rnd(3) ? 1 + rnd((uint32_t)batch) : 1, layer = rnd(2), from = 0;
        if (n * heads * dim > ATTENDED) n = 1;
        decai__attn a = { n, heads, kv_heads, dim, pos, 0.11f, rnd(3) ? 0.0f : 20.0f, DECAI__NO_REF };
        bool sinks = rnd(3) == 0;
        for (size_t l = 0; l < 2; l++) {
            put(p, 0, n * width, 6, 1);
            put(p, 1, n * width, 9, 1);
            BOTH CHECK(decai__op_kv_store(s->c, s->kv, l, pos, DECAI__REF(s->a), DECAI__REF(s->b), n, "kv"));
        }
        put(p, 0, n * heads * dim, 6, 1);
        put(p, 1, heads, 3, 1);
        BOTH {
            a.sinks = sinks ? DECAI__REF(s->b) : DECAI__NO_REF;
            CHECK(decai__op_attention(s->c, DECAI__REF(s->y), DECAI__REF(s->a), s->kv, layer, &a, "scores"));
        }
        same(p, n * heads * dim * 4, "attention");
        pos += n;
        from = pos > 40 ? pos - 40 : 0;
        if (window[layer] && window[layer] < 40) from = pos - 1;
        for (int32_t which = 0; which < 2; which++) {
            BOTH CHECK(decai__kv_read(s->kv, layer, which, from, pos - from, s->out));
            assert_memory_equal(p->s[0].out, p->s[1].out, (pos - from) * width * 4);
            memcpy(p->host, p->s[0].out, (pos - from) * width * 4);
            BOTH CHECK(decai__kv_write(s->kv, layer, which, from, pos - from, p->host));
        }
        if (rnd(4) == 0 && pos > 3) {
            size_t keep = pos - 1 - rnd(3);
            int32_t r = decai__kv_truncate(p->s[0].kv, keep);
            assert_int_equal(decai__kv_truncate(p->s[1].kv, keep), r);
            if (!r) pos = keep;
        }
    }
    BOTH {
        decai__kv_destroy(s->kv);
        s->kv = NULL;
    }
}

static void
draw_full(pair *p)
{
    size_t kv_heads = 1 + rnd(4), group = PICK(1, 1, 2, 4), dim = PICK(3, 16, 32, 36, 64, 128), segments = 1 + rnd(5);
    uint32_t starts[6] = { 0 };
    for (size_t i = 0; i < segments; i++) starts[i + 1] = starts[i] + (uint32_t)PICK(1, 2, 7, 16, 33, 64, 65, 130, 300);
    size_t n = starts[segments], heads = kv_heads * group;
    if (n * heads * dim > ATTENDED) return;
    decai__attn a = { n, heads, kv_heads, dim, 0, 0.125f, rnd(4) ? 0.0f : 15.0f, DECAI__NO_REF };
    put(p, 0, n * heads * dim, 5, 1);
    put(p, 1, n * kv_heads * dim, 6, 1);
    put(p, 2, n * kv_heads * dim, 9, 1);
    BOTH CHECK(decai__op_attention_full(s->c, DECAI__REF(s->y), DECAI__REF(s->a), DECAI__REF(s->b), DECAI__REF(s->d), starts,
        segments, &a, "scores"));
    same(p, n * heads * dim * 4, "attention_full");
}

/* What a guard must see, wherever in a vector, leaf or page it stands. */
static void
draw_bad(pair *p)
{
    static const uint32_t bad[] = { 0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f7fffffu };
    size_t dim = 32 * (1 + rnd(20)), n = 1 + rnd(5), at = rnd((uint32_t)(n * dim));
    decai__norm norm = { n, 1, dim, 1e-6f, DECAI__NORM_RMS };
    put(p, 0, n * dim, 5, 1);
    put(p, 1, dim, 5, 1);
    uint32_t value = bad[rnd(4)];
    memcpy(p->host, &value, 4);
    side *s = &p->s[1];
    CHECK(decai__tbuf_write(s->a, at * 4, p->host, 4));
    assert_int_equal(decai__op_quant(s->c, DECAI__REF(s->y), DECAI__REF(s->a), DECAI__ACT_32, n, dim, "x"), DECAI_E_INTEGRITY);
    assert_int_equal(decai__op_check(s->c, DECAI__REF(s->a), n, dim, "x"), DECAI_E_INTEGRITY);
    assert_int_equal(decai__op_norm(s->c, DECAI__REF(s->y), DECAI__REF(s->a), DECAI__REF(s->b), DECAI__NO_REF, &norm, "x"), DECAI_E_INTEGRITY);
    decai__kv_spec spec = { 1, 1, dim < 256 ? dim : 32, (int32_t)rnd(2), 128, 8, NULL };
    decai__attn attn = { 1, 1, 1, spec.head_dim, 0, 1.0f, 0, DECAI__NO_REF };
    CHECK(decai__kv_create(&s->kv, s->c, &spec));
    CHECK(decai__tbuf_copy(s->d, 0, s->a, at / spec.head_dim * spec.head_dim * 4, spec.head_dim * 4));
    CHECK(decai__op_kv_store(s->c, s->kv, 0, 0, DECAI__REF(s->b), DECAI__REF(s->b), 1, "x"));
    assert_int_equal(decai__op_kv_store(s->c, s->kv, 0, 1, DECAI__REF(s->b), DECAI__REF(s->d), 1, "x"), DECAI_E_INTEGRITY);
    if (value == 0x7f7fffffu) attn.scale = 1e38f;
    assert_int_equal(decai__op_attention(s->c, DECAI__REF(s->y), DECAI__REF(s->d), s->kv, 0, &attn, "x"), DECAI_E_INTEGRITY);
    decai__kv_destroy(s->kv);
    s->kv = NULL;
}

/* ---- runs ---------------------------------------------------------------------------- */

typedef void (*draw)(pair *p);
static const draw draws[] = {
    draw_norm, draw_quant, draw_elements, draw_rope, draw_experts, draw_float_product, draw_cache, draw_full, draw_bad,
};

/* ThreadSanitizer sees every handshake with eight threads; the rest is arithmetic. */
#if defined(__SANITIZE_THREAD__)
#define THREADS_FROM 7
#else
#define THREADS_FROM 0
#endif

static void
against_scalar(const decai__kernels *kernels, int rounds)
{
    for (int64_t threads = THREADS_FROM; threads < 8; threads = threads ? 2 * threads + 1 : 3) {
        pair p = { .host = malloc(FLOATS * 4) };
        seed = 77 + (uint64_t)threads;
        side_open(&p.s[0], NULL, 0);
        side_open(&p.s[1], kernels, threads);
        decai__compute_begin(p.s[1].c);
        if (!threads) quant_edges(&p, 1, 16515 >> (rounds > 2 ? 0 : 6));
        if (!threads) quant_edges(&p, 16480, 16515);
        for (int i = 0; i < rounds; i++)
            for (size_t j = 0; j < sizeof draws / sizeof *draws; j++) draws[j](&p);
        decai__compute_end(p.s[1].c);
        side_close(&p.s[0]);
        side_close(&p.s[1]);
        free(p.host);
    }
}

static int rounds(void) { return getenv("DECAI_DEEP") ? 40 : FEW ? 1 : 2; }

#if defined(__x86_64__)
static void
avx2_is_scalar(void **state)
{
    (void)state;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) skip();
    against_scalar(&decai__kernels_avx2, rounds());
}

static void
avx512_is_scalar(void **state)
{
    (void)state;
    if (decai__kernels_native() != &decai__kernels_avx512) skip();
    against_scalar(&decai__kernels_avx512, rounds());
}
#endif

static void
native_is_scalar(void **state)
{
    (void)state;
    against_scalar(decai__kernels_native(), 1);
}

/* 131072 positions: ranges of pages over the slices, one vector of queries instead of
 * two beyond 512 pages. All of it with DECAI_DEEP=1. */
static void
long_contexts(void **state)
{
    (void)state;
    size_t end = getenv("DECAI_DEEP") ? 131072 : FEW ? 36864 : 40960, step = 4096;
    for (int32_t type = 0; type < 2; type++) {
        pair both = { .host = malloc(FLOATS * 4) }, *p = &both;
        decai__kv_spec spec = { 1, 1, 16, type, end + 64, step, NULL };
        seed = 5;
        side_open(&p->s[0], NULL, 0);
        side_open(&p->s[1], decai__kernels_native(), 3);
        BOTH CHECK(decai__kv_create(&s->kv, s->c, &spec));
        for (size_t pos = 0; pos < end; pos += step) {
            put(p, 0, step * 16, 6, 1);
            put(p, 1, step * 16, 9, 1);
            BOTH CHECK(decai__op_kv_store(s->c, s->kv, 0, pos, DECAI__REF(s->a), DECAI__REF(s->b), step, "kv"));
        }
        for (size_t n = 1; n <= 9; n += 8) {
            decai__attn a = { n, 2, 1, 16, end - n, 0.3f, 0, DECAI__NO_REF };
            put(p, 0, n * 32, 5, 1);
            BOTH CHECK(decai__op_attention(s->c, DECAI__REF(s->y), DECAI__REF(s->a), s->kv, 0, &a, "scores"));
            same(p, n * 32 * 4, "attention at length");
        }
        side_close(&p->s[0]);
        side_close(&p->s[1]);
        free(p->host);
    }
}

/* ---- one backend, many sessions ---------------------------------------------------------- */

typedef struct session { decai__compute *c; uint64_t hash; int number; } session;

/* A small forward pass under the lock, as sessions do it. */
static void *
session_run(void *user)
{
    session *me = user;
    decai__tbuf *x = NULL, *y = NULL, *w = NULL;
    decai__norm norm = { 16, 1, 512, 1e-6f, DECAI__NORM_RMS };
    float *host = malloc(16 * 512 * 4);
    for (size_t i = 0; i < 16 * 512; i++) host[i] = (float)((int)i % (7 + me->number) - 3);
    int32_t r = decai__tbuf_create(&x, me->c, 16 * 512 * 4);
    if (!r) r = decai__tbuf_create(&y, me->c, 16 * 512 * 4);
    if (!r) r = decai__tbuf_create(&w, me->c, 512 * 4);
    if (!r) r = decai__tbuf_write(w, 0, host, 512 * 4);
    for (int round = 0; round < 40 && !r; round++) {
        decai__compute_lock(me->c);
        decai__compute_begin(me->c);
        r = decai__tbuf_write(x, 0, host, 16 * 512 * 4);
        for (int i = 0; i < 8 && !r; i++) {
            r = decai__op_norm(me->c, DECAI__REF(y), DECAI__REF(x), DECAI__REF(w), DECAI__NO_REF, &norm, "x");
            if (!r) r = decai__op_glu(me->c, DECAI__REF(y), DECAI__REF(y), DECAI__NO_REF, DECAI__GLU_SILU, 16 * 512);
            if (!r) r = decai__op_add(me->c, DECAI__REF(x), DECAI__REF(x), DECAI__REF(y), 16 * 512);
        }
        if (!r) r = decai__tbuf_read(x, 0, host, 16 * 512 * 4);
        decai__compute_end(me->c);
        decai__compute_unlock(me->c);
        for (size_t i = 0; i < 16 * 512; i++) {
            uint32_t u;
            memcpy(&u, host + i, 4);
            me->hash = (me->hash ^ u) * 0x100000001b3ULL;
            host[i] = (float)(u % 9) - 4.0f;
        }
    }
    if (r) me->hash = 0;
    decai__tbuf_destroy(x);
    decai__tbuf_destroy(y);
    decai__tbuf_destroy(w);
    free(host);
    return NULL;
}

static void
sessions_share_a_backend(void **state)
{
    (void)state;
    uint64_t want[4] = { 0 };
    for (int64_t threads = 0; threads <= 7; threads += 7) {
        side s = { 0 };
        side_open(&s, decai__kernels_native(), threads);
        session all[4];
        pthread_t t[4];
        for (int i = 0; i < 4; i++) {
            all[i] = (session){ s.c, 1, i };
            CHECK(pthread_create(&t[i], NULL, session_run, &all[i]));
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
            assert_int_not_equal(all[i].hash, 0);
            if (!threads) want[i] = all[i].hash;
            assert_int_equal(all[i].hash, want[i]);
        }
        side_close(&s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(avx2_is_scalar),
        cmocka_unit_test(avx512_is_scalar),
#endif
        cmocka_unit_test(native_is_scalar),
        cmocka_unit_test(long_contexts),
        cmocka_unit_test(sessions_share_a_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
