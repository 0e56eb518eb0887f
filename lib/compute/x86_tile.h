/* x86_tile.h - one register tile for everything that is a float chain.
 *
 *     C[j][l] = (C[j][l] +) chain over k of fma(A[k][l], B[k*bk + j*bj], acc), acc from +0
 *
 * l runs over lanes, so each output walks its own chain in ascending k: the
 * contract's order, whatever the tile's size. Three ops are this tile:
 *
 *     float product   A = packed rows of weights (lanes: outputs), B = tokens
 *     scores          A = a page of K, transposed (lanes: positions), B = queries;
 *                     or A = queries, transposed, B = the page, for many queries
 *     mix             A = a page of V (lanes: elements), B = softmax weights; or
 *                     A = weights of many queries (lanes: queries), B = the page
 *
 * A's elements are f32, f16 or bf16 and become f32 (exactly) as they are loaded.
 * V vectors of lanes by J columns are constants: the loops over them unroll, and
 * the sums live in registers. AVX2: 2 x 6 fills the 16 registers; AVX-512: 2 x 12
 * of 32. Both keep both multipliers of a Zen or Core busy: per k there are V loads,
 * J broadcasts and V*J products, and V*J chains hide the latency of 4. */
#ifndef DECAI__X86_TILE_H
#define DECAI__X86_TILE_H

#if defined(__x86_64__)

#include <immintrin.h>

#include "compute/compute.h"

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX2_INLINE static inline __attribute__((always_inline, unused, target("avx2,fma,f16c")))
#define AVX512_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
#define AVX512 __attribute__((target(AVX512_TARGET)))
#define AVX512_INLINE static inline __attribute__((always_inline, unused, target(AVX512_TARGET)))

/* type: DECAI__F32, DECAI__F16 or DECAI__BF16, a constant at every call. */
AVX2_INLINE __m256
tile_load8(int32_t type, const void *p, size_t i)
{
    if (type == DECAI__F32) return _mm256_loadu_ps((const float *)p + i);
    __m128i h = _mm_loadu_si128((const __m128i *)((const uint16_t *)p + i));
    if (type == DECAI__F16) return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

AVX512_INLINE __m512
tile_load16(int32_t type, const void *p, size_t i)
{
    if (type == DECAI__F32) return _mm512_loadu_ps((const float *)p + i);
    __m256i h = _mm256_loadu_si256((const __m256i *)((const uint16_t *)p + i));
    if (type == DECAI__F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* as: elements from one k of A to the next; cs: floats from one j of C to the next. */
typedef struct tile_place {
    float *c;
    size_t cs;
    const void *a;
    size_t as;
    const float *b;
    size_t bk, k;
} tile_place;

/* gcc keeps an array in registers only if its loops were unrolled early. */
#if defined(__clang__)
#define TILE_UNROLL
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif

#define TILE_BODY(VEC, LANES, LOAD, ZERO, SET1, FMADD, ADD, LOADU, STOREU, MAXV, MAXJ) \
    VEC acc[MAXJ][MAXV]; \
    TILE_UNROLL for (size_t j = 0; j < J; j++) \
        TILE_UNROLL for (size_t v = 0; v < V; v++) acc[j][v] = ZERO(); \
    const float *b = t->b; \
    for (size_t k = 0; k < t->k; k++, b += t->bk) { \
        VEC a[MAXV]; \
        TILE_UNROLL for (size_t v = 0; v < V; v++) a[v] = LOAD(type, t->a, k * t->as + v * (LANES)); \
        TILE_UNROLL for (size_t j = 0; j < J; j++) { \
            VEC x = SET1(b[j * bj]); \
            TILE_UNROLL for (size_t v = 0; v < V; v++) acc[j][v] = FMADD(a[v], x, acc[j][v]); \
        } \
    } \
    TILE_UNROLL for (size_t j = 0; j < J; j++) \
        TILE_UNROLL for (size_t v = 0; v < V; v++) { \
            float *c = t->c + j * t->cs + v * (LANES); \
            STOREU(c, join ? ADD(LOADU(c), acc[j][v]) : acc[j][v]); \
        }

AVX2_INLINE void
tile8(int32_t type, bool join, size_t V, size_t J, size_t bj, const tile_place *t)
{
    TILE_BODY(__m256, 8, tile_load8, _mm256_setzero_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps,
        _mm256_loadu_ps, _mm256_storeu_ps, 4, 6)
}

AVX512_INLINE void
tile16(int32_t type, bool join, size_t V, size_t J, size_t bj, const tile_place *t)
{
    TILE_BODY(__m512, 16, tile_load16, _mm512_setzero_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps,
        _mm512_loadu_ps, _mm512_storeu_ps, 4, 12)
}

/* exp for x <= 0: leaf_exp of leaf.h, lane by lane. */
AVX2_INLINE __m256
exp8(__m256 x)
{
    __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(0x1.715476p+0f), _mm256_set1_ps(0x1.8p+23f));
    __m256 n = _mm256_sub_ps(t, _mm256_set1_ps(0x1.8p+23f));
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-0x1.62e400p-1f), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-0x1.7f7d1cp-20f), r);
    __m256 p = _mm256_set1_ps(0x1.a01a02p-13f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.6c16c2p-10f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.111112p-7f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555556p-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555556p-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    __m256i e = _mm256_slli_epi32(_mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000 - 127)), 23);
    __m256 y = _mm256_mul_ps(p, _mm256_castsi256_ps(e));
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_LT_OQ), y);
}

AVX512_INLINE __m512
exp16(__m512 x)
{
    __m512 t = _mm512_fmadd_ps(x, _mm512_set1_ps(0x1.715476p+0f), _mm512_set1_ps(0x1.8p+23f));
    __m512 n = _mm512_sub_ps(t, _mm512_set1_ps(0x1.8p+23f));
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0x1.62e400p-1f), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0x1.7f7d1cp-20f), r);
    __m512 p = _mm512_set1_ps(0x1.a01a02p-13f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.6c16c2p-10f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.111112p-7f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555556p-5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555556p-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    __m512i e = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_castps_si512(t), _mm512_set1_epi32(0x4b400000 - 127)), 23);
    __m512 y = _mm512_mul_ps(p, _mm512_castsi512_ps(e));
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_NLT_UQ), y);
}

#endif
#endif /* DECAI__X86_TILE_H */
