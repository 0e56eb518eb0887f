/* ops.c - what every op but the quantised product costs, per backend: a layer of a
 * 1B-class decoder (prefill of 512, decode of 1 at two depths) and of a small
 * encoder. Float products and attention are also given as GMAC/s, beside the peak of
 * independent fma chains measured in the same run. One JSON object on stdout.
 *
 *     build/release/tests/bench/ops [threads [backend]]    backend: scalar, avx2, native */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compute/backend.h"
#include "compute/x86_tile.h"

/* One thread is timed by the processor time it got: other programs show less. */
static clockid_t clock_used = CLOCK_MONOTONIC;

static double
now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
AVX2 static double
peak(void)
{
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        __m256 a[12], half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f), sum = one;
        for (int i = 0; i < 12; i++) a[i] = _mm256_set1_ps((float)i);
        double t = now();
        for (int r = 0; r < 1000000; r++)
            TILE_UNROLL for (int i = 0; i < 12; i++) a[i] = _mm256_fmadd_ps(a[i], half, one);
        t = now() - t;
        for (int i = 0; i < 12; i++) sum = _mm256_add_ps(sum, a[i]);
        volatile float sink = _mm256_cvtss_f32(sum);
        (void)sink;
        if (t < best) best = t;
    }
    return 1e6 * 12 * 8 / best * 1e-9;
}
#else
static double peak(void) { return 0; }
#endif

typedef struct world {
    decai__compute *c;
    decai__tbuf *x, *y, *z, *w;
    decai__kv *kv;
    decai__matrix *m;
    decai__tbuf *table;
    size_t n, dim, count, heads, kv_heads, head_dim, pos, segments;
    uint32_t starts[65];
    int32_t form;
} world;

static int commas;

static void
report(world *w, const char *what, int32_t (*run)(world *), double mac)
{
    double best = 1e9, spent = 0;
    int32_t r = 0;
    decai__compute_begin(w->c);
    for (int round = 0; !r && (round < 5 || spent < 0.2) && round < 2000; round++) {
        double t = now();
        r = run(w);
        if (!r) r = decai__compute_sync(w->c);
        t = now() - t;
        spent += t;
        if (t < best) best = t;
    }
    decai__compute_end(w->c);
    if (r) fprintf(stderr, "%s: %s\n", what, decai_error_detail());
    printf("%s\n {\"op\":\"%s\",\"n\":%zu,\"us\":%.2f", commas++ ? "," : "", what, w->n, best * 1e6);
    if (mac > 0) printf(",\"gmac_s\":%.2f", mac / best * 1e-9);
    printf("}");
    fflush(stdout);
}

#define REF(b) DECAI__REF(w->b)

static int32_t
run_norm(world *w)
{
    decai__norm p = { w->n, 1, w->dim, 1e-5f, DECAI__NORM_RMS };
    return decai__op_norm(w->c, REF(y), REF(x), REF(w), DECAI__NO_REF, &p, "x");
}
static int32_t
run_layer_norm(world *w)
{
    decai__norm p = { w->n, 1, w->dim, 1e-5f, DECAI__NORM_LAYER };
    return decai__op_norm(w->c, REF(y), REF(x), REF(w), REF(w), &p, "x");
}
static int32_t run_quant(world *w) { return decai__op_quant(w->c, REF(y), REF(x), w->form, w->n, w->dim, "x"); }
static int32_t run_add(world *w) { return decai__op_add(w->c, REF(y), REF(x), REF(y), w->n * w->dim); }
static int32_t run_bias(world *w) { return decai__op_bias(w->c, REF(y), REF(w), w->n, w->dim); }
static int32_t run_silu(world *w) { return decai__op_glu(w->c, REF(y), REF(x), REF(z), DECAI__GLU_SILU, w->n * w->dim); }
static int32_t run_gelu(world *w) { return decai__op_glu(w->c, REF(y), REF(x), DECAI__NO_REF, DECAI__GLU_GELU_ERF, w->n * w->dim); }
static int32_t
run_rope(world *w)
{
    decai__rope p = { w->n, w->heads, w->head_dim, w->head_dim, 0, true };
    return decai__op_rope(w->c, REF(x), w->table, &p);
}
static int32_t run_store(world *w) { return decai__op_kv_store(w->c, w->kv, 0, w->pos, REF(x), REF(x), w->n, "x"); }
static int32_t
run_attention(world *w)
{
    decai__attn p = { w->n, w->heads, w->kv_heads, w->head_dim, w->pos, 0.125f, 0, DECAI__NO_REF };
    return decai__op_attention(w->c, REF(y), REF(x), w->kv, 0, &p, "x");
}
static int32_t
run_full(world *w)
{
    decai__attn p = { w->n, w->heads, w->kv_heads, w->head_dim, 0, 0.125f, 0, DECAI__NO_REF };
    return decai__op_attention_full(w->c, REF(y), REF(x), REF(z), REF(z), w->starts, w->segments, &p, "x");
}
static int32_t run_matmul(world *w) { return decai__op_matmul(w->c, REF(y), w->m, REF(x), w->n); }

/* Causal attention: how many pairs of query and position there are. */
static double
pairs(const world *w)
{
    return (double)w->n * ((double)w->pos + ((double)w->n + 1) / 2) * (double)(w->heads * w->head_dim) * 2;
}

static void
attention(world *w, int32_t type, size_t n, size_t pos, const char *what)
{
    decai__kv_spec spec = { 1, w->kv_heads, w->head_dim, type, pos + n + 512, 512, NULL };
    if (decai__kv_create(&w->kv, w->c, &spec)) return;
    w->n = 512;
    for (w->pos = 0; w->pos < pos; w->pos += 512) run_store(w);
    w->pos = pos;
    w->n = n;
    run_store(w);
    report(w, what, run_attention, pairs(w));
    decai__kv_destroy(w->kv);
}

static void
product(world *w, int32_t type, size_t n, size_t rows, size_t cols, const char *what)
{
    size_t len = rows * decai__row_size(type, cols);
    uint8_t *data = calloc(1, len);
    for (size_t i = 0; data && i < len; i++) data[i] = (uint8_t)(i * 2654435761u >> 24 & (i % 4 == 3 ? 0x3f : i % 2 ? 0xbb : 0xff));
    if (data && !decai__matrix_create(&w->m, w->c, "bench", type, rows, cols, data, len, NULL)) {
        w->n = n;
        report(w, what, run_matmul, (double)rows * (double)cols * (double)n);
        decai__matrix_destroy(w->m);
    }
    free(data);
}

static void
decoder(world *w, size_t n)
{
    *w = (world){ .c = w->c, .x = w->x, .y = w->y, .z = w->z, .w = w->w, .table = w->table, .n = n, .dim = 2048, .heads = 32,
        .kv_heads = 4, .head_dim = 64, .form = DECAI__ACT_256 };
    report(w, "norm 2048", run_norm, 0);
    report(w, "quant 2048, 256", run_quant, 0);
    w->form = DECAI__ACT_32;
    report(w, "quant 2048, 32", run_quant, 0);
    report(w, "add 2048", run_add, 0);
    report(w, "rope 32 x 64", run_rope, 0);
    w->dim = 5632;
    report(w, "silu 5632", run_silu, 0);
}

static void
encoder(world *w)
{
    *w = (world){ .c = w->c, .x = w->x, .y = w->y, .z = w->z, .w = w->w, .n = 512, .dim = 384, .heads = 12, .kv_heads = 12,
        .head_dim = 32, .segments = 8 };
    for (uint32_t i = 0; i <= 8; i++) w->starts[i] = i * 64;
    report(w, "layer norm 384", run_layer_norm, 0);
    report(w, "bias 384", run_bias, 0);
    report(w, "attention_full 8 x 64", run_full, 8.0 * 64 * 64 * 384 * 2);
    w->segments = 1;
    w->starts[1] = 512;
    report(w, "attention_full 512", run_full, 512.0 * 512 * 384 * 2);
    w->dim = 1536;
    report(w, "gelu 1536", run_gelu, 0);
    product(w, DECAI__F32, 512, 384, 384, "F32 384 x 384");
    product(w, DECAI__F32, 512, 1536, 384, "F32 1536 x 384");
    product(w, DECAI__F32, 512, 384, 1536, "F32 384 x 1536");
    product(w, DECAI__F16, 512, 384, 1536, "F16 384 x 1536");
    product(w, DECAI__BF16, 512, 384, 1536, "BF16 384 x 1536");
    product(w, DECAI__F32, 16, 384, 1536, "F32 384 x 1536");
    product(w, DECAI__F16, 1, 2048, 2048, "F16 2048 x 2048");
}

static int32_t
open_world(world *w, decai_context *ctx, const char *kind, size_t slices)
{
    bool narrow = !strcmp(kind, "avx2");
    int32_t r = decai__compute_open(&w->c, ctx, narrow ? "native" : kind, "", NULL);
    if (r) return r;
#if defined(__x86_64__)
    if (narrow) w->c->kernels = &decai__kernels_avx2;
#endif
    w->c->slices = slices;
    w->c->repack = true;
    size_t bytes = (size_t)512 * 5632 * 4;
    float *host = malloc(bytes);
    uint32_t u = 1;
    for (size_t i = 0; host && i < bytes / 4; i++) host[i] = (float)((u = u * 1664525 + 1013904223) >> 8) / 8388608.0f - 1.0f;
    decai__tbuf **all[] = { &w->x, &w->y, &w->z, &w->w };
    for (size_t i = 0; !r && i < 4; i++) r = decai__tbuf_create(all[i], w->c, bytes);
    for (size_t i = 0; !r && i < 4; i++) r = decai__tbuf_write(*all[i], 0, host, bytes);
    free(host);
    decai__rope_spec spec = { .rot_dim = 64, .base = 10000 };
    return r ? r : decai__rope_table_create(&w->table, w->c, 1024, &spec);
}

int
main(int argc, char **argv)
{
    size_t slices = argc > 1 ? (size_t)atoi(argv[1]) : 1;
    decai_options *o;
    decai_context *ctx;
    world w = { 0 };
    if (slices == 1) clock_used = CLOCK_PROCESS_CPUTIME_ID;
    if (decai_options_create(&o, NULL) || decai_options_set_i64(o, "base.threads", (int64_t)slices - 1) || decai_context_create(&ctx, o)) return 1;
    decai_destroy(o);
    if (open_world(&w, ctx, argc > 2 ? argv[2] : "native", slices)) return 1;
    printf("{\"bench\":\"ops\",\"device\":\"%s\",\"threads\":%zu,\"fma_peak_g_s_a_thread\":%.1f,\"rows\":[", decai__compute_device(w.c), slices, peak());
    decoder(&w, 512);
    for (int32_t type = 0; type < 2; type++) {
        attention(&w, type, 512, 0, type ? "attention q8_0, prefill from 0" : "attention f16, prefill from 0");
        attention(&w, type, 512, 4096, type ? "attention q8_0, prefill from 4096" : "attention f16, prefill from 4096");
    }
    decoder(&w, 1);
    for (int32_t type = 0; type < 2; type++) {
        attention(&w, type, 1, 512, type ? "attention q8_0, decode at 512" : "attention f16, decode at 512");
        attention(&w, type, 1, 8192, type ? "attention q8_0, decode at 8192" : "attention f16, decode at 8192");
        attention(&w, type, 1, 131072, type ? "attention q8_0, decode at 131072" : "attention f16, decode at 131072");
    }
    w.n = 1;
    encoder(&w);
    printf("\n]}\n");
    decai__tbuf_destroy(w.x);
    decai__tbuf_destroy(w.y);
    decai__tbuf_destroy(w.z);
    decai__tbuf_destroy(w.w);
    decai__compute_destroy(w.c);
    decai_destroy(ctx);
    return 0;
}
