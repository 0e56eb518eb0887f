/* fuzz_leaf.c - any bytes as rows of a quantised matrix and as a token's activation:
 * refused, or the exact integer of §4, and native's kernels give the same float.
 *
 *     byte  0     which type
 *           1     bit 0: two-level scales; bits 1..: blocks, 1 to 4 (of 256) or 8 (of 32)
 *           2..   rows, then the activation; what is missing is repeated */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__extension__ typedef __int128 i128;

enum { ROWS = 9 };

static const int32_t TYPES[] = { DECAI__Q4_0, DECAI__Q4_1, DECAI__Q5_0, DECAI__Q5_1, DECAI__Q8_0, DECAI__IQ4_NL, DECAI__MXFP4,
    DECAI__Q2_K, DECAI__Q3_K, DECAI__Q4_K, DECAI__Q5_K, DECAI__Q6_K, DECAI__IQ4_XS };

static decai_context *ctx;
static decai__compute *native;
static decai__tbuf *act, *y;

static void
make_backend(void)
{
    if (decai_context_create(&ctx, NULL) || decai__compute_open(&native, ctx, "native", "", NULL)) abort();
    if (decai__tbuf_create(&act, native, 4096) || decai__tbuf_create(&y, native, ROWS * 4)) abort();
}

/* The sum in 128 bits, weight by weight. */
static i128
exact_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *a)
{
    i128 sum = 0;
    for (size_t k = 0; k < a->cols; k++)
        sum += (i128)decai__leaf_weight(type, row, k, exponent) * a->quants[k] * (i128)decai__act_scale(a, k / 32);
    return sum;
}

static void
check_native(int32_t type, const uint8_t *rows, size_t cols, const uint8_t *token, int32_t form, const float *want)
{
    decai__matrix *m;
    float got[ROWS];
    decai__compute_set_two_level(native, form == DECAI__ACT_2L);
    if (decai__matrix_create(&m, native, "fuzz", type, ROWS, cols, rows, ROWS * decai__row_size(type, cols), NULL)) abort();
    if (decai__tbuf_write(act, 0, token, decai__act_stride(form, cols))) abort();
    if (decai__op_matmul(native, DECAI__REF(y), m, DECAI__REF(act), 1) || decai__tbuf_read(y, 0, got, sizeof got)) abort();
    if (memcmp(got, want, sizeof got)) abort();
    decai__matrix_destroy(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t rows[ROWS * 4 * 256], token[4096];
    float want[ROWS];
    if (size < 4) return 0;
    if (!ctx) make_backend();
    int32_t type = TYPES[data[0] % DECAI__COUNT(TYPES)], form = decai__type_act(type, data[1] & 1), exponent;
    size_t block = decai__type_block(type), cols = block * (1 + (data[1] >> 1) % (block == 32 ? 8 : 4)), row = decai__row_size(type, cols);
    size_t len = decai__act_size(form, cols);
    for (size_t i = 0; i < ROWS * row; i++) rows[i] = data[2 + i % (size - 2)];
    for (size_t i = 0; i < len; i++) token[i] = data[2 + (ROWS * row + i) % (size - 2)];
    uint32_t head = (uint32_t)cols | (uint32_t)form << 24;
    memcpy(token, &head, 4);

    decai__act a;
    if (decai__act_decode(&a, token, len)) return 0;
    decai__leaf_quant_tail(token, form, cols);
    for (size_t i = 0; i < ROWS; i++) {
        if (decai__leaf_row_exponent(&exponent, NULL, type, rows + i * row, cols)) return 0;
        int64_t sum = decai__row_sum(type, rows + i * row, exponent, &a);
        if ((i128)sum != exact_sum(type, rows + i * row, exponent, &a)) abort();
        want[i] = decai__leaf_result(sum, exponent, a.exponent);
        if (!isfinite(want[i]) || (sum && !isnormal(want[i]))) abort();
    }
    check_native(type, rows, cols, token, form, want);
    return 0;
}
