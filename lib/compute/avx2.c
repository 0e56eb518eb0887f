/* avx2.c - integer products of Q8_0 and Q4_0 with AVX2.
 *
 * The order of integer sums is free, so lanes split K and scalar.c's bits come out. For a block of 32 weights w and activations x:
 *
 *     Q8_0  maddubs(|w|, sign(x, w))       16-bit pairs; |w| = 128 is fine unsigned,
 *                                          and x is never -128 (2*128*127 < 2^15)
 *     Q4_0  maddubs(q, x) - maddubs(8, x)  pairs of (q - 8) * x
 *     both  madd(pairs, D)                 widens to 32 bits and applies the weight
 *                                          scale: 2 * 32512 * 32767 < 2^31
 *           mul_epi32 by s, twice          even and odd lanes into 64-bit sums */
#include "compute/x86_lanes.h"
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

void
decai__avx2_matmul(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    integer_matmul(a, first, end);
}

bool
decai__avx2_takes(const decai__matrix *m)
{
    return m->experts == 1 && (m->type == DECAI__Q8_0 || m->type == DECAI__Q4_0);
}

#endif
