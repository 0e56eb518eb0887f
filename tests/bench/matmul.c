/* matmul.c - the native backend's products, every quantised type and instruction
 * set: GMAC/s and GB/s of weights for one, eight and 512 tokens, beside what this
 * machine can do at most, measured in the same run: reads of 1 GiB (best of 20), and
 * products of bytes out of registers. One JSON object on stdout.
 *
 *     build/release/tests/bench/matmul [threads [rows cols [type]]] */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "compute/backend.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the machine --------------------------------------------------------------- */

typedef struct reading { const uint8_t *data; size_t bytes, slices; uint64_t sums[256]; } reading;

static void
read_slice(void *user, size_t i)
{
    reading *r = user;
    const uint64_t *p = (const uint64_t *)(const void *)(r->data + r->bytes / r->slices * i);
    uint64_t sum[16] = { 0 };
    for (size_t k = 0; k + 16 <= r->bytes / r->slices / 8; k += 16)
        for (int j = 0; j < 16; j++) sum[j] |= p[k + (size_t)j];
    for (int j = 1; j < 16; j++) sum[0] |= sum[j];
    r->sums[i] = sum[0];
}

static double
read_limit(decai_context *ctx, size_t slices)
{
    const size_t bytes = (size_t)1 << 30, huge = (size_t)2 << 20;
    reading r = { aligned_alloc(huge, bytes), bytes, slices, { 0 } };
    double best = 1e9;
    if (!r.data) return 0;
#ifdef MADV_HUGEPAGE
    (void)madvise((void *)(uintptr_t)r.data, bytes, MADV_HUGEPAGE);
#endif
    memset((void *)(uintptr_t)r.data, 1, bytes);
    for (int round = 0; round < 20; round++) {
        double t = now();
        decai__parallel(ctx, slices, read_slice, &r);
        t = now() - t;
        if (t < best && r.sums[0]) best = t;
    }
    free((void *)(uintptr_t)r.data);
    return (double)bytes / best * 1e-9;
}

#define PRODUCTS 4096                /* rounds of eight independent chains */

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) static void
dots_avx512(void *user, size_t i)
{
    __m512i sum[8], w = _mm512_set1_epi8((char)(i + 1));
    for (int j = 0; j < 8; j++) sum[j] = w;
    for (int k = 0; k < PRODUCTS; k++)
        for (int j = 0; j < 8; j++) sum[j] = _mm512_dpbusd_epi32(sum[j], w, sum[j]);
    for (int j = 1; j < 8; j++) sum[0] = _mm512_add_epi32(sum[0], sum[j]);
    ((uint32_t *)user)[i] = (uint32_t)_mm512_reduce_add_epi32(sum[0]);
}

__attribute__((target("avx2"))) static void
dots_avx2(void *user, size_t i)
{
    __m256i sum[8], w = _mm256_set1_epi8((char)(i + 1));
    for (int j = 0; j < 8; j++) sum[j] = w;
    for (int k = 0; k < PRODUCTS; k++)
        for (int j = 0; j < 8; j++) sum[j] = _mm256_add_epi16(sum[j], _mm256_maddubs_epi16(w, sum[j]));
    for (int j = 1; j < 8; j++) sum[0] = _mm256_add_epi16(sum[0], sum[j]);
    ((uint32_t *)user)[i] = (uint32_t)_mm256_extract_epi32(sum[0], 0);
}
#endif

/* GMAC/s; 0: not an instruction set with a limit known here. */
static double
product_limit(decai_context *ctx, size_t slices, const char *isa)
{
    void (*dots)(void *, size_t) = NULL;
    double macs = 8.0 * PRODUCTS * (double)slices, best = 1e9;
    uint32_t sums[256];
#if defined(__x86_64__)
    if (!strcmp(isa, "avx512") && __builtin_cpu_supports("avx512vnni")) dots = dots_avx512;
    if (!strcmp(isa, "avx2") && __builtin_cpu_supports("avx2")) dots = dots_avx2;
    macs *= dots == dots_avx512 ? 64 : 32;
#endif
    if (!dots) return 0;
    for (int round = 0; round < 200; round++) {
        double t = now();
        decai__parallel(ctx, slices, dots, sums);
        t = now() - t;
        if (t < best) best = t;
    }
    return macs / best * 1e-9;
}

static void
load_line(const char *key)
{
    char line[128] = "";
    FILE *f = fopen("/proc/loadavg", "r");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) fclose(f);
    line[strcspn(line, "\n")] = 0;
    printf("\"%s\":\"%s\"", key, line);
}

/* ---- products --------------------------------------------------------------------- */

static const struct { const char *name; int32_t type, d, m; } TYPES[] = {
    { "Q4_0", DECAI__Q4_0, 0, -1 }, { "Q4_1", DECAI__Q4_1, 0, 2 }, { "Q5_0", DECAI__Q5_0, 0, -1 }, { "Q5_1", DECAI__Q5_1, 0, 2 },
    { "Q8_0", DECAI__Q8_0, 0, -1 }, { "IQ4_NL", DECAI__IQ4_NL, 0, -1 }, { "MXFP4", DECAI__MXFP4, -1, -1 },
    { "Q2_K", DECAI__Q2_K, 80, 82 }, { "Q3_K", DECAI__Q3_K, 108, -1 }, { "Q4_K", DECAI__Q4_K, 0, 2 }, { "Q5_K", DECAI__Q5_K, 0, 2 },
    { "Q6_K", DECAI__Q6_K, 208, -1 }, { "IQ4_XS", DECAI__IQ4_XS, 0, -1 },
};

typedef struct work { decai__compute *c; decai__matrix *m; decai__tbuf *x, *act, *y; double load_gb_s; } work;

static uint8_t *
random_rows(size_t t, size_t len)
{
    uint8_t *data = malloc(len);
    uint32_t r = 1;
    for (size_t i = 0; data && i < len; i++) data[i] = (uint8_t)((r = r * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; data && i < len; i += decai__type_block_bytes(TYPES[t].type)) {
        if (TYPES[t].d < 0) data[i] = 120;
        else data[i + (size_t)TYPES[t].d + 1] = 0x20;
        if (TYPES[t].m >= 0) data[i + (size_t)TYPES[t].m + 1] = 0x20;
    }
    return data;
}

static int32_t
fill(work *w, size_t t, size_t rows, size_t cols, size_t n)
{
    size_t len = rows * decai__row_size(TYPES[t].type, cols);
    uint8_t *data = random_rows(t, len);
    float *x = malloc(n * cols * 4);
    uint32_t r = 1;
    int32_t e = data && x ? 0 : DECAI_E_NOMEM;
    for (size_t i = 0; !e && i < n * cols; i++) x[i] = (float)((r = r * 1664525 + 1013904223) >> 8) / 16777216.0f - 0.5f;
    double start = now();
    if (!e) e = decai__matrix_create(&w->m, w->c, "bench", TYPES[t].type, rows, cols, data, len, NULL);
    w->load_gb_s = (double)len / (now() - start) * 1e-9;
    if (!e) e = decai__tbuf_create(&w->x, w->c, n * cols * 4);
    if (!e) e = decai__tbuf_create(&w->act, w->c, n * decai__act_stride(decai__matrix_act(w->m), cols));
    if (!e) e = decai__tbuf_create(&w->y, w->c, n * rows * 4);
    if (!e) e = decai__tbuf_write(w->x, 0, x, n * cols * 4);
    if (!e) e = decai__op_quant(w->c, DECAI__REF(w->act), DECAI__REF(w->x), decai__matrix_act(w->m), n, cols, "bench");
    free(data);
    free(x);
    return e;
}

static double
best_time(work *w, size_t n)
{
    double best = 1e9, spent = 0;
    int32_t e = 0;
    decai__compute_begin(w->c);
    for (int round = 0; !e && (round < 5 || spent < 0.3); round++) {
        double t = now();
        e = decai__op_matmul(w->c, DECAI__REF(w->y), w->m, DECAI__REF(w->act), n);
        t = now() - t;
        spent += t;
        if (t < best) best = t;
    }
    decai__compute_end(w->c);
    return e ? 0 : best;
}

static int first = 1;

static int
measure(decai_context *ctx, const char *isa, size_t slices, size_t t, size_t rows, size_t cols, size_t n)
{
    work w = { 0 };
    double best = 0;
    if (decai__compute_open(&w.c, ctx, "native", "", NULL)) return 1;
    w.c->slices = slices;
    if (!decai__native_isa(w.c, isa) && !fill(&w, t, rows, cols, n)) best = best_time(&w, n);
    if (best > 0) {
        printf("%s\n {\"isa\":\"%s\",\"type\":\"%s\",\"tokens\":%zu,\"gmac_s\":%.1f,\"gb_s\":%.1f,\"load_gb_s\":%.1f}", first ? "" : ",", isa,
            TYPES[t].name, n, (double)rows * (double)cols * (double)n / best * 1e-9,
            (double)rows * (double)decai__row_size(TYPES[t].type, cols) / best * 1e-9, w.load_gb_s);
        first = 0;
    }
    decai__tbuf_destroy(w.x);
    decai__tbuf_destroy(w.act);
    decai__tbuf_destroy(w.y);
    decai__matrix_destroy(w.m);
    decai__compute_destroy(w.c);
    return best <= 0;
}

int
main(int argc, char **argv)
{
    static const char *const ISAS[] = { "avx512", "avx2" };
    static const size_t TOKENS[] = { 1, 8, 512 };
    size_t threads = argc > 1 ? (size_t)atoi(argv[1]) : 2;
    size_t rows = argc > 3 ? (size_t)atoi(argv[2]) : 32768, cols = argc > 3 ? (size_t)atoi(argv[3]) : 4096;
    decai_options *o;
    decai_context *ctx;
    if (!threads || threads > 64 || rows < 128 || !decai__row_size(DECAI__Q4_K, cols)) return 2;
    if (decai_options_create(&o, NULL)) return 2;
    if (decai_options_set_i64(o, "base.threads", (int64_t)threads - 1) || decai_context_create(&ctx, o)) return 2;
    decai_destroy(o);
    printf("{\"bench\":\"matmul\",\"threads\":%zu,\"rows\":%zu,\"cols\":%zu,", threads, rows, cols);
    load_line("load_before");
    printf(",\"read_gb_s\":%.1f", read_limit(ctx, threads));
    for (size_t i = 0; i < 2; i++) printf(",\"%s_gmac_s\":%.1f", ISAS[i], product_limit(ctx, threads, ISAS[i]));
    printf(",\"results\":[");
    int bad = 0;
    for (size_t t = 0; t < DECAI__COUNT(TYPES); t++)
        for (size_t i = 0; i < 2 && (argc < 5 || !strcmp(argv[4], TYPES[t].name)); i++)
            for (size_t k = 0; k < 3; k++)               /* many tokens need no large matrix to be measured */
                bad += measure(ctx, ISAS[i], threads, t, TOKENS[k] > 1 ? rows / 8 : rows, cols, TOKENS[k]);
    printf("],");
    load_line("load_after");
    printf("}\n");
    decai_destroy(ctx);
    return bad ? 1 : 0;
}
