/* avx2.c - native inner loops for x86-64 with AVX2, FMA and F16C.
 *
 * Compiled into every build by function attributes and chosen at run time
 * (backend.c). Where the order is free (integer sums) lanes split K; where it is
 * not (float leaves) lanes hold different outputs and each walks its chain in
 * the contract's order. So scalar.c's bits come out of both.
 *
 * Integer products. For a block of 32 weights w and activations x:
 *
 *     Q8_0  maddubs(|w|, sign(x, w))       16-bit pairs; |w| = 128 is fine unsigned,
 *                                          and x is never -128 (2*128*127 < 2^15)
 *     Q4_0  maddubs(q, x) - maddubs(8, x)  pairs of (q - 8) * x
 *     both  madd(pairs, D)                 widens to 32 bits and applies the weight
 *                                          scale: 2 * 32512 * 32767 < 2^31
 *           mul_epi32 by s, twice          even and odd lanes into 64-bit sums */
#include "compute/backend.h"
#include "compute/leaf.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma,f16c")))

/* ---- integer products -------------------------------------------------------- */

typedef struct tile {
    const decai__matrix *m;
    size_t blocks, qs, stride;
    const uint8_t *act;              /* of the first token */
} tile;

AVX2_INLINE __m256i
load_q4(const uint8_t *qs)
{
    __m128i v = _mm_loadu_si128((const __m128i *)qs);
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 32-bit lanes times s into two 64-bit sums. */
AVX2_INLINE void
accumulate(__m256i *even, __m256i *odd, __m256i lanes, __m256i s)
{
    *even = _mm256_add_epi64(*even, _mm256_mul_epi32(lanes, s));
    *odd = _mm256_add_epi64(*odd, _mm256_mul_epi32(_mm256_srli_epi64(lanes, 32), s));
}

AVX2_INLINE int64_t
horizontal(__m256i even, __m256i odd)
{
    __m256i v = _mm256_add_epi64(even, odd);
    __m128i h = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    return _mm_cvtsi128_si64(h) + _mm_extract_epi64(h, 1);
}

/* One row times COUNT tokens (a constant: loops over it unroll). */
#define ROW_KERNEL(name, type_constant, COUNT, LOAD) \
AVX2 static void \
name(const tile *t, size_t row, size_t token, float *y, size_t y_stride) \
{ \
    const int16_t *scales = (const int16_t *)t->m->scales->host + row * t->blocks; \
    const uint8_t *quants = t->m->quants->host + row * t->m->row_bytes; \
    const uint8_t *act[COUNT]; \
    __m256i even[COUNT], odd[COUNT]; \
    for (int j = 0; j < (COUNT); j++) { \
        act[j] = t->act + (token + (size_t)j) * t->stride + 8; \
        even[j] = odd[j] = _mm256_setzero_si256(); \
    } \
    for (size_t b = 0; b < t->blocks; b++) { \
        const __m256i w = LOAD(quants + b * t->qs), d = _mm256_set1_epi16(scales[b]); \
        const __m256i aw = _mm256_abs_epi8(w); \
        _mm_prefetch((const char *)(quants + b * t->qs + 1024), _MM_HINT_T0); \
        for (int j = 0; j < (COUNT); j++) { \
            __m256i x = _mm256_loadu_si256((const __m256i *)(act[j] + 2 * t->blocks + b * DECAI__BLOCK)); \
            __m256i s = _mm256_set1_epi64x(decai__load_le16(act[j] + 2 * b)); \
            __m256i pairs = (type_constant) == DECAI__Q8_0 \
                ? _mm256_maddubs_epi16(aw, _mm256_sign_epi8(x, w)) \
                : _mm256_sub_epi16(_mm256_maddubs_epi16(w, x), _mm256_maddubs_epi16(_mm256_set1_epi8(8), x)); \
            accumulate(&even[j], &odd[j], _mm256_madd_epi16(pairs, d), s); \
        } \
    } \
    for (int j = 0; j < (COUNT); j++) { \
        int32_t exponent; \
        memcpy(&exponent, act[j] - 4, 4); \
        exponent += ((const int32_t *)t->m->exponents->host)[row] - GRID_BITS; \
        y[(token + (size_t)j) * y_stride + row] = int_result(horizontal(even[j], odd[j]), exponent); \
    } \
}

#define LOAD_Q8(p) _mm256_loadu_si256((const __m256i *)(p))
ROW_KERNEL(row_q8_1, DECAI__Q8_0, 1, LOAD_Q8)
ROW_KERNEL(row_q8_4, DECAI__Q8_0, 4, LOAD_Q8)
ROW_KERNEL(row_q4_1, DECAI__Q4_0, 1, load_q4)
ROW_KERNEL(row_q4_4, DECAI__Q4_0, 4, load_q4)

/* Tokens in panels that stay in the second-level cache while all rows pass by. */
static void
integer_matmul(decai__call *a, size_t first, size_t end)
{
    const decai__matrix *m = a->m;
    bool q8 = m->type == DECAI__Q8_0;
    tile t = { m, m->cols / DECAI__BLOCK, q8 ? 32 : 16, decai__act_stride(DECAI__ACT_32, m->cols), a->x };
    size_t panel = DECAI__MAX((size_t)4, 131072 / t.stride / 4 * 4);
    for (size_t from = 0; from < a->n; from += panel) {
        size_t to = DECAI__MIN(a->n, from + panel);
        for (size_t row = first; row < end; row++) {
            size_t i = from;
            for (; i + 4 <= to; i += 4) (q8 ? row_q8_4 : row_q4_4)(&t, row, i, (float *)a->y, m->rows);
            for (; i < to; i++) (q8 ? row_q8_1 : row_q4_1)(&t, row, i, (float *)a->y, m->rows);
        }
    }
}

/* ---- float products: 8 rows are 8 lanes ------------------------------------------ */

AVX2_INLINE void
transpose8(__m256 r[8])
{
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
            b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

AVX2_INLINE __m256
load8(int32_t type, const uint8_t *p)
{
    if (type == DECAI__F32) return _mm256_loadu_ps((const float *)p);
    __m128i h = _mm_loadu_si128((const __m128i *)p);
    if (type == DECAI__F16) return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* w[k][lane] = element k of row + lane, for one leaf; the count is a multiple of 8
 * but at the end of a short leaf, and rows are clamped to the last. */
AVX2 static void
leaf_panel(float w[DECAI__LEAF][8], const decai__matrix *m, size_t row, size_t from, size_t count)
{
    size_t size = m->type == DECAI__F32 ? 4 : 2, k = 0;
    const uint8_t *rows[8];
    for (size_t i = 0; i < 8; i++) rows[i] = m->quants->host + DECAI__MIN(row + i, m->rows - 1) * m->row_bytes + from * size;
    for (; k + 8 <= count; k += 8) {
        __m256 r[8];
        for (int i = 0; i < 8; i++) r[i] = load8(m->type, rows[i] + k * size);
        transpose8(r);
        for (int i = 0; i < 8; i++) _mm256_store_ps(w[k + (size_t)i], r[i]);
    }
    for (; k < count; k++)
        for (int i = 0; i < 8; i++) w[k][i] = weight_f32(m->type, rows[i], k);
}

/* COUNT tokens' leaves for 8 rows, joined to what earlier leaves gave. */
#define LEAF_KERNEL(name, COUNT) \
AVX2 static void \
name(float w[DECAI__LEAF][8], const float *x, size_t cols, size_t count, float (*sums)[8]) \
{ \
    __m256 acc[COUNT]; \
    for (int j = 0; j < (COUNT); j++) acc[j] = _mm256_setzero_ps(); \
    for (size_t k = 0; k < count; k++) \
        for (int j = 0; j < (COUNT); j++) \
            acc[j] = _mm256_fmadd_ps(_mm256_load_ps(w[k]), _mm256_broadcast_ss(x + (size_t)j * cols + k), acc[j]); \
    for (int j = 0; j < (COUNT); j++) \
        _mm256_storeu_ps(sums[j], _mm256_add_ps(_mm256_loadu_ps(sums[j]), acc[j])); \
}
LEAF_KERNEL(leaf_1, 1)
LEAF_KERNEL(leaf_8, 8)

#define FLOAT_TOKENS 64              /* a batch of tokens whose sums live on the stack */

static void
float_rows(decai__call *a, size_t row, size_t rows, size_t token, size_t tokens)
{
    const decai__matrix *m = a->m;
    float w[DECAI__LEAF][8] __attribute__((aligned(32)));
    float sums[FLOAT_TOKENS][8];
    memset(sums, 0, sizeof sums);
    for (size_t from = 0; from < m->cols; from += DECAI__LEAF) {
        size_t count = DECAI__MIN((size_t)DECAI__LEAF, m->cols - from), i = 0;
        const float *x = (const float *)a->x + token * m->cols + from;
        leaf_panel(w, m, row, from, count);
        for (; i + 8 <= tokens; i += 8) leaf_8(w, x + i * m->cols, m->cols, count, sums + i);
        for (; i < tokens; i++) leaf_1(w, x + i * m->cols, m->cols, count, sums + i);
    }
    for (size_t i = 0; i < tokens; i++)
        memcpy((float *)a->y + (token + i) * m->rows + row, sums[i], rows * 4);
}

AVX2 static void
avx2_matmul(decai__call *a, size_t first, size_t end, size_t slice)
{
    if (a->used || a->m->raw) {
        decai__scalar_matmul(a, first, end, slice);
        return;
    }
    if (a->m->act >= 0) {
        integer_matmul(a, first, end);
        return;
    }
    for (size_t row = first; row < end; row += 8)
        for (size_t i = 0; i < a->n; i += FLOAT_TOKENS)
            float_rows(a, row, DECAI__MIN((size_t)8, end - row), i, DECAI__MIN((size_t)FLOAT_TOKENS, a->n - i));
}

/* Split rows for what these loops know, raw ones for scalar's. */
static int32_t
avx2_prepare(decai__matrix *m, const uint8_t *data)
{
    bool ours = m->act < 0 || m->type == DECAI__Q8_0 || m->type == DECAI__Q4_0;
    return ours && m->experts == 1 ? decai__matrix_split(m, data) : decai__matrix_keep_raw(m, data);
}

/* ---- activations -------------------------------------------------------------------- */

AVX2 static uint32_t
largest_bits(const float *x, size_t cols)
{
    const __m256i mask = _mm256_set1_epi32(0x7fffffff);
    __m256i most = _mm256_setzero_si256();
    for (size_t k = 0; k < cols; k += 8)
        most = _mm256_max_epu32(most, _mm256_and_si256(mask, _mm256_loadu_si256((const __m256i *)(x + k))));
    uint32_t lane[8], top = 0;
    _mm256_storeu_si256((__m256i *)lane, most);
    for (int i = 0; i < 8; i++) top = DECAI__MAX(top, lane[i]);
    return top;
}

/* One block. x * 2^(21-E) is exact (or rounds to 0 as it should), the conversion
 * is to nearest even; the quotient's f32 division cannot cross an integer:
 * numerator and denominator are below 2^23, the quotient below 128 (§3). */
AVX2 static void
quant_block8(uint8_t *scale, int8_t *q, const float *x, float grid)
{
    __m256i g[4], a[4], most = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        g[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(grid)));
        a[i] = _mm256_abs_epi32(g[i]);
        most = _mm256_max_epi32(most, a[i]);
    }
    int32_t lane[8], top = 0;
    _mm256_storeu_si256((__m256i *)lane, most);
    for (int i = 0; i < 8; i++) top = DECAI__MAX(top, lane[i]);
    int32_t s = DECAI__MAX(1, (top + 126) / 127);
    scale[0] = (uint8_t)s;
    scale[1] = (uint8_t)(s >> 8);
    const __m256 twice = _mm256_set1_ps((float)(2 * s)), once = _mm256_set1_ps((float)s);
    for (int i = 0; i < 4; i++) {
        __m256 num = _mm256_add_ps(_mm256_cvtepi32_ps(_mm256_slli_epi32(a[i], 1)), once);
        a[i] = _mm256_sign_epi32(_mm256_cvttps_epi32(_mm256_div_ps(num, twice)), g[i]);
    }
    __m256i lo = _mm256_packs_epi32(a[0], a[1]), hi = _mm256_packs_epi32(a[2], a[3]);
    __m256i v = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(lo, hi), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)q, v);
}

AVX2 static void
avx2_quant(decai__call *a, size_t first, size_t end, size_t slice)
{
    size_t stride = decai__act_stride(a->form, a->dim), blocks = a->dim / DECAI__BLOCK;
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const float *x = (const float *)a->x + i * a->dim;
        uint8_t *out = a->y + i * stride;
        uint32_t most = a->form == DECAI__ACT_32 ? largest_bits(x, a->dim) : 0, cols = (uint32_t)a->dim;
        if (most < ABS_ZERO_BITS || most >= ABS_LIMIT_BITS) {
            if (decai__leaf_quant(out, a->form, x, a->dim)) atomic_store(&a->bad, 1);
            decai__leaf_quant_tail(out, a->form, a->dim);
            continue;
        }
        int32_t exponent = (int32_t)(most >> 23) - 126;
        float grid = f32_from((uint32_t)(GRID_BITS - exponent + 127) << 23);
        memcpy(out, &cols, 4);
        memcpy(out + 4, &exponent, 4);
        for (size_t b = 0; b < blocks; b++)
            quant_block8(out + 8 + 2 * b, (int8_t *)out + 8 + 2 * blocks + b * DECAI__BLOCK, x + b * DECAI__BLOCK, grid);
        decai__leaf_quant_tail(out, a->form, a->dim);
    }
}

static void
avx2_check(decai__call *a, size_t first, size_t end, size_t slice)
{
    const float *x = (const float *)a->x;
    (void)slice;
    uint32_t most = 0;
    for (size_t k = first * a->dim; k < end * a->dim; k++) most = DECAI__MAX(most, f32_bits(x[k]) & 0x7fffffffu);
    if (most >= ABS_LIMIT_BITS) atomic_store(&a->bad, 1);
}

/* ---- norm, rotation, elements: the leaf text, compiled for FMA ------------------------ */

/* Eight leaves' chains side by side hide the fma's latency. */
AVX2 static float
sum_of_squares(const float *x, size_t dim)
{
    float sum = 0.0f;
    size_t leaf = 0;
    for (; (leaf + 8) * DECAI__LEAF <= dim; leaf += 8) {
        float acc[8] = { 0 };
        for (size_t k = 0; k < DECAI__LEAF; k++)
            for (size_t j = 0; j < 8; j++) {
                float v = x[(leaf + j) * DECAI__LEAF + k];
                acc[j] = FMA(v, v, acc[j]);
            }
        for (int j = 0; j < 8; j++) sum = sum + acc[j];
    }
    for (; leaf * DECAI__LEAF < dim; leaf++) {
        float acc = 0.0f;
        size_t end = DECAI__MIN(dim, (leaf + 1) * DECAI__LEAF);
        for (size_t k = leaf * DECAI__LEAF; k < end; k++) acc = FMA(x[k], x[k], acc);
        sum = sum + acc;
    }
    return sum;
}

AVX2 static void
avx2_norm(decai__call *a, size_t first, size_t end, size_t slice)
{
    const float *w = (const float *)a->w;
    size_t dim = a->norm.dim;
    if (a->norm.kind != DECAI__NORM_RMS) {
        decai__kernels_scalar.op[DECAI__K_NORM](a, first, end, slice);
        return;
    }
    for (size_t i = first; i < end; i++) {
        const float *x = (const float *)a->x + i * dim;
        float *y = (float *)a->y + i * dim;
        float factor = leaf_norm_factor(sum_of_squares(x, dim), 1.0f / (float)dim, a->norm.eps);
        if (factor != factor) atomic_store(&a->bad, 1);
        for (size_t k = 0; k < dim; k++) y[k] = (x[k] * factor) * w[k];
    }
}

AVX2 static void
avx2_rope(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__rope *p = &a->rope;
    size_t pairs = p->rot_dim / 2, step = p->neox ? 1 : 2, far = p->neox ? pairs : 1;
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const float *table = (const float *)a->w + (p->pos + i) * pairs * 2;
        for (size_t h = 0; h < p->heads; h++) {
            float *x = (float *)a->y + (i * p->heads + h) * p->head_dim;
            for (size_t j = 0; j < pairs; j++) leaf_rope(x + j * step, x + j * step + far, table[2 * j], table[2 * j + 1]);
        }
    }
}

AVX2 static void
avx2_glu(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *y = (float *)a->y;
    const float *gate = (const float *)a->x, *up = (const float *)a->w;
    (void)slice;
    if (a->kind == DECAI__GLU_SILU && up)
        for (size_t k = first; k < end; k++) y[k] = leaf_glu(DECAI__GLU_SILU, gate[k], up[k]);
    else
        for (size_t k = first; k < end; k++) y[k] = up ? leaf_glu(a->kind, gate[k], up[k]) : leaf_activation(a->kind, gate[k]);
}

AVX2 static void
avx2_add(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *y = (float *)a->y;
    const float *x = (const float *)a->x, *w = (const float *)a->w;
    (void)slice;
    for (size_t k = first; k < end; k++) y[k] = x[k] + w[k];
}

const decai__kernels decai__kernels_avx2 = {
    .name = "AVX2",
    .op = {
        [DECAI__K_NORM] = avx2_norm, [DECAI__K_QUANT] = avx2_quant, [DECAI__K_CHECK] = avx2_check,
        [DECAI__K_MATMUL] = avx2_matmul, [DECAI__K_ROPE] = avx2_rope, [DECAI__K_GLU] = avx2_glu, [DECAI__K_ADD] = avx2_add,
    },
    .prepare = avx2_prepare,
};

#endif
