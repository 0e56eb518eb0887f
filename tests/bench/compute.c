/* compute.c - how fast the integer products are: GEMV (one token) and GEMM (64
 * tokens) per backend and type, beside the machine's read bandwidth measured in
 * the same run. One JSON object on stdout.
 *
 *     build/release/tests/bench/compute [threads [rows cols]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compute/backend.h"

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct reading { const uint64_t *data; size_t words, slices; uint64_t sums[64]; } reading;

static void
read_slice(void *user, size_t i)
{
    reading *s = user;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    size_t end = s->words / s->slices * (i + 1);
    for (size_t k = s->words / s->slices * i; k + 4 <= end; k += 4) {
        a += s->data[k];
        b += s->data[k + 1];
        c += s->data[k + 2];
        d += s->data[k + 3];
    }
    s->sums[i] = a + b + c + d;
}

static double
read_bandwidth(decai_context *ctx, size_t slices)
{
    size_t bytes = (size_t)256 << 20;
    uint64_t *data = malloc(bytes);
    if (!data) return 0;
    memset(data, 1, bytes);
    double best = 1e9;
    volatile uint64_t sink = 0;
    for (int round = 0; round < 5; round++) {
        reading s = { data, bytes / 8, slices, { 0 } };
        double t = now();
        decai__parallel(ctx, slices, read_slice, &s);
        t = now() - t;
        if (t < best) best = t;
        sink = sink + s.sums[0];
    }
    free(data);
    return (double)bytes / best * 1e-9;
}

typedef struct work { decai__matrix *m; decai__tbuf *x, *act, *y; } work;

static int32_t
prepare(work *w, decai__compute *c, int32_t type, size_t rows, size_t cols, size_t n)
{
    size_t len = rows * decai__row_size(type, cols);
    uint8_t *data = malloc(len);
    float *x = malloc(n * cols * 4);
    uint32_t r = 1;
    int32_t e = data && x ? 0 : DECAI_E_NOMEM;
    for (size_t i = 0; !e && i < len; i++) data[i] = (uint8_t)((r = r * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; !e && i < len; i += type == DECAI__Q8_0 ? 34 : 18) data[i + 1] = 0x20;
    for (size_t i = 0; !e && i < n * cols; i++) x[i] = (float)((r = r * 1664525 + 1013904223) >> 8) / 16777216.0f - 0.5f;
    if (!e) e = decai__matrix_create(&w->m, c, "bench", type, rows, cols, data, len, NULL);
    if (!e) e = decai__tbuf_create(&w->x, c, n * cols * 4);
    if (!e) e = decai__tbuf_create(&w->act, c, n * decai__act_stride(DECAI__ACT_32, cols));
    if (!e) e = decai__tbuf_create(&w->y, c, n * rows * 4);
    if (!e) e = decai__tbuf_write(w->x, 0, x, n * cols * 4);
    if (!e) e = decai__op_quant(c, DECAI__REF(w->act), DECAI__REF(w->x), DECAI__ACT_32, n, cols, "bench");
    free(data);
    free(x);
    return e;
}

static int first = 1;

static int
measure(decai_context *ctx, const char *kind, size_t slices, int32_t type, size_t rows, size_t cols, size_t n)
{
    decai__compute *c;
    work w = { 0 };
    if (decai__compute_open(&c, ctx, kind, "", NULL)) {
        fprintf(stderr, "%s: %s\n", kind, decai_error_detail());
        return 0;
    }
    c->slices = slices;
    int32_t e = prepare(&w, c, type, rows, cols, n);
    double best = 1e9, spent = 0;
    for (int round = 0; !e && (round < 3 || spent < 0.5); round++) {
        double t = now();
        e = decai__op_matmul(c, DECAI__REF(w.y), w.m, DECAI__REF(w.act), n);
        if (!e) e = decai__compute_sync(c);
        t = now() - t;
        spent += t;
        if (t < best) best = t;
    }
    if (e) fprintf(stderr, "%s: %s\n", kind, decai_error_detail());
    else printf("%s\n {\"backend\":\"%s\",\"device\":\"%s\",\"type\":\"%s\",\"rows\":%zu,\"cols\":%zu,\"tokens\":%zu,"
            "\"ms\":%.3f,\"gmac_s\":%.2f,\"weights_gb_s\":%.2f}", first ? "" : ",", decai__compute_name(c),
            decai__compute_device(c), type == DECAI__Q8_0 ? "Q8_0" : "Q4_0", rows, cols, n, best * 1e3,
            (double)rows * (double)cols * (double)n / best * 1e-9,
            (double)rows * (double)decai__row_size(type, cols) / best * 1e-9);
    first = 0;
    decai__tbuf_destroy(w.x);
    decai__tbuf_destroy(w.act);
    decai__tbuf_destroy(w.y);
    decai__matrix_destroy(w.m);
    decai__compute_destroy(c);
    return e != 0;
}

static void
load_line(char *out, size_t cap)
{
    FILE *f = fopen("/proc/loadavg", "r");
    out[0] = 0;
    if (!f) return;
    if (!fgets(out, (int)cap, f)) out[0] = 0;
    out[strcspn(out, "\n")] = 0;
    fclose(f);
}

int
main(int argc, char **argv)
{
    static const char *kinds[] = { "scalar", "native", "opencl" };
    size_t threads = argc > 1 ? (size_t)atoi(argv[1]) : 2;
    size_t rows = argc > 3 ? (size_t)atoi(argv[2]) : 16384, cols = argc > 3 ? (size_t)atoi(argv[3]) : 4096;
    decai_options *o;
    decai_context *ctx;
    char load[128];
    if (!threads || threads > 64 || rows < 8 || !decai__row_size(DECAI__Q8_0, cols)) return 2;
    if (decai_options_create(&o, NULL)) return 2;
    if (decai_options_set_i64(o, "base.threads", (int64_t)threads - 1) || decai_context_create(&ctx, o)) return 2;
    decai_destroy(o);
    load_line(load, sizeof load);
    printf("{\"bench\":\"compute\",\"threads\":%zu,\"load_before\":\"%s\",\"read_gb_s\":%.2f,\"results\":[", threads, load,
        read_bandwidth(ctx, threads));
    int bad = 0;
    for (size_t k = 0; k < 3; k++)
        for (size_t n = 1; n <= 64; n *= 64) {
            /* Scalar is the yardstick of right, not of fast: a slice of the rows will do. */
            size_t some = !strcmp(kinds[k], "scalar") || n > 1 ? rows / 8 : rows;
            bad |= measure(ctx, kinds[k], threads, DECAI__Q8_0, some, cols, n);
            bad |= measure(ctx, kinds[k], threads, DECAI__Q4_0, some, cols, n);
        }
    load_line(load, sizeof load);
    printf("],\"load_after\":\"%s\"}\n", load);
    decai_destroy(ctx);
    return bad;
}
