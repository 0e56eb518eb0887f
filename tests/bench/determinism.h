/* determinism.h - what one answer costs: the contract's integer products beside the
 * freest ones, in the same loops, on the same packed weights and activations.
 *
 * The free tile keeps everything that made ours fast (rows in lanes, the same dot
 * instructions, unpacking, blocking) and drops what the contract asks for: scales
 * and sums are f32, one fused multiply-add a block (a super-block for K-quants), a
 * chain of any order, four accumulators where a single token leaves latency open, no
 * 64-bit sums. Its results differ in the last bits from order to order; ours do not.
 *
 * Included by determinism.c (AVX-512 VNNI) and determinism_avx2.c, each after the
 * library's own tile file, whose helpers the free tile uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One shape: both in turn, best of the rounds; *ratio = ours / free. */
static int32_t
measure(decai__compute *c, const x86_isa *ours, const x86_isa *freest, int32_t type, const char *name, size_t rows, size_t cols, size_t n,
    int rounds, double *ratio)
{
    size_t len = rows * decai__row_size(type, cols), block = decai__type_block_bytes(type);
    int32_t form = decai__type_act(type, false);
    uint8_t *data = malloc(len);
    float *x = malloc(n * cols * 4), *y[2] = { malloc(n * rows * 4), malloc(n * rows * 4) };
    decai__matrix *m = NULL;
    decai__tbuf *bx = NULL, *act = NULL, *out = NULL;
    uint32_t r = 1;
    if (!data || !x || !y[0] || !y[1]) return DECAI_E_NOMEM;
    for (size_t i = 0; i < len; i++) data[i] = (uint8_t)((r = r * 1664525 + 1013904223) >> 24);
    /* The block's f16 scales: first in Q4_0, Q8_0 and Q4_K (with the mins), last in Q6_K. */
    for (size_t i = 0; i < len; i += block) {
        size_t at = type == DECAI__Q6_K ? i + block - 2 : i;
        data[at + 1] = (uint8_t)(0x20 | (data[at + 1] & 3));
        if (type == DECAI__Q4_K) data[at + 3] = (uint8_t)(0x20 | (data[at + 3] & 3));
    }
    for (size_t i = 0; i < n * cols; i++) x[i] = (float)((r = r * 1664525 + 1013904223) >> 8) / 8388608.0f - 1.0f;
    int32_t e = decai__matrix_create(&m, c, "bench", type, rows, cols, data, len, NULL);
    if (!e) e = decai__tbuf_create(&bx, c, n * cols * 4);
    if (!e) e = decai__tbuf_create(&act, c, n * decai__act_stride(form, cols));
    if (!e) e = decai__tbuf_create(&out, c, n * rows * 4);
    if (!e) e = decai__tbuf_write(bx, 0, x, n * cols * 4);
    if (!e) e = decai__op_quant(c, DECAI__REF(act), DECAI__REF(bx), form, n, cols, "bench");
    double best[2] = { 1e9, 1e9 };
    for (int i = 0; !e && i < 2 * rounds; i++) {
        c->isa = i % 2 ? freest : ours;
        double t = now();
        e = decai__op_matmul(c, DECAI__REF(out), m, DECAI__REF(act), n);
        t = now() - t;
        if (t < best[i % 2]) best[i % 2] = t;
        if (!e && i < 2) e = decai__tbuf_read(out, 0, y[i], n * rows * 4);
    }
    double wrong = 0, power = 0;
    for (size_t i = 0; !e && i < n * rows; i++) {
        wrong += ((double)y[0][i] - (double)y[1][i]) * ((double)y[0][i] - (double)y[1][i]);
        power += (double)y[0][i] * (double)y[0][i];
    }
    /* A free tile that computed something else would be no comparison. */
    if (!e && wrong > 1e-9 * power) e = decai__fail(DECAI_E_INTEGRITY, "%s: the free tile is wrong, %g", name, wrong / power);
    double mac = (double)rows * (double)cols * (double)n * 1e-9;
    if (!e) printf("%s\n {\"type\":\"%s\",\"tokens\":%zu,\"rows\":%zu,\"cols\":%zu,\"gmac_s\":%.2f,\"free_gmac_s\":%.2f,\"cost\":%.4f}",
            *ratio > 0 ? "," : "", name, n, rows, cols, mac / best[0], mac / best[1], best[0] / best[1] - 1);
    fflush(stdout);
    *ratio = best[0] / best[1];
    decai__tbuf_destroy(bx);
    decai__tbuf_destroy(act);
    decai__tbuf_destroy(out);
    decai__matrix_destroy(m);
    free(data);
    free(x);
    free(y[0]);
    free(y[1]);
    return e;
}

static int
run(const char *isa_name, const x86_isa *ours, const x86_isa *freest, int rounds)
{
    static const struct { int32_t type; const char *name; } types[] = {
        { DECAI__Q4_0, "Q4_0" }, { DECAI__Q8_0, "Q8_0" }, { DECAI__Q4_K, "Q4_K" }, { DECAI__Q6_K, "Q6_K" } };
    decai_context *ctx;
    decai__compute *c;
    double ratio = 0, sum[2] = { 0, 0 };
    if (decai_context_create(&ctx, NULL) || decai__compute_open(&c, ctx, "native", "", NULL)) return 1;
    c->repack = true;
    printf("{\"bench\":\"determinism\",\"isa\":\"%s\",\"rows\":[", isa_name);
    for (int decode = 0; decode < 2; decode++)
        for (size_t t = 0; t < 4; t++) {
            if (measure(c, ours, freest, types[t].type, types[t].name, decode ? 16384 : 2048, decode ? 4096 : 2048, decode ? 1 : 256,
                    rounds, &ratio)) {
                fprintf(stderr, "%s\n", decai_error_detail());
                return 1;
            }
            sum[decode] += ratio / 4;
        }
    printf("\n],\"prefill_cost\":%.4f,\"decode_cost\":%.4f}\n", sum[0] - 1, sum[1] - 1);
    decai__compute_destroy(c);
    decai_destroy(ctx);
    return 0;
}
