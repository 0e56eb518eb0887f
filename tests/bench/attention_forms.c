/* attention_forms.c - attention in floats against attention in integers (DESIGN §4.6).
 *
 * float    K and V in f16; scores, softmax weights and mix as CONTRACT.md §10: f32
 *          fma chains, page results joined left to right.
 * integer  K, V and q in 16-bit fixed point, one power of two a token and head;
 *          score = exact integer, one rounding; softmax weights of 20 bits with V's
 *          exponent inside, p = RNE(2^20 exp(score - max) 2^(e_t - e_max)); exact sums.
 *          q and p are cut into two halves, so that pairs of 16-bit products add up
 *          in 32 bits (a page of 64: 64 * 32767 * 1024 < 2^31); page sums meet in
 *          f64, exact below 2^53.
 *
 * Both have the layouts they like best: K transposed in pages of 64 positions, V with
 * elements side by side, the integer form with neighbours paired for madd. One thread,
 * forms interleaved, best of the rounds; errors against f64 on the unrounded K and V.
 * One JSON object on stdout.
 *
 *     build/release/tests/bench/attention_forms [rounds] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compute/leaf.h"
#include "compute/x86_tile.h"

#if defined(__x86_64__)

#define PAGE DECAI__KV_PAGE
#define VNNI_TARGET AVX512_TARGET ",avx512vnni"

typedef struct world {
    size_t dim, positions, queries;  /* queries: of one KV head; decode: its group */
    float scale;
    float *q, *k, *v;                /* [queries][dim], [positions][dim] */
    uint16_t *k16, *v16;             /* float form: K pages [dim][64], V pages [64][dim] */
    int16_t *ki, *vi;                /* integer form: K pages [dim/2][64][2], V pages [32][dim][2] */
    float *ke, *ve;                  /* 2^exponent of each position */
    float *panel, *s, *y, *qt;       /* scratch */
    int16_t *qh, *ql, *ph, *pl;
    double *o;
    int32_t *isum;
} world;

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t seed = 1;

static float
gauss(void)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        sum += (double)(seed >> 40) / 16777216.0;
    }
    return (float)(sum - 6.0);
}

/* ---- data -------------------------------------------------------------------- */

__attribute__((target("f16c"))) static uint16_t
to_f16(float x)
{
    return (uint16_t)_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x), 0));
}

/* 2^e above the largest magnitude, and the values on that grid. */
static float
fix(int16_t *out, const float *x, size_t dim)
{
    float most = 0;
    int e;
    for (size_t d = 0; d < dim; d++) most = fmaxf(most, fabsf(x[d]));
    frexpf(most, &e);
    for (size_t d = 0; d < dim; d++) {
        long v = lrintf(ldexpf(x[d], 15 - e));
        out[d] = (int16_t)(v > 32767 ? 32767 : v < -32767 ? -32767 : v);
    }
    return ldexpf(1.0f, e - 15);
}

static void *
get(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) & ~(size_t)63);
    if (!p) exit(1);
    memset(p, 0, bytes);
    return p;
}

static void
world_pages(world *w)
{
    size_t dim = w->dim;
    int16_t *row = get(dim * 2);
    for (size_t t = 0; t < w->positions; t++) {
        size_t page = t / PAGE * PAGE * dim, in = t % PAGE;
        for (size_t d = 0; d < dim; d++) {
            w->k16[page + d * PAGE + in] = to_f16(w->k[t * dim + d]);
            w->v16[page + in * dim + d] = to_f16(w->v[t * dim + d]);
        }
        w->ke[t] = fix(row, w->k + t * dim, dim);
        for (size_t d = 0; d < dim; d++) w->ki[page + (d / 2 * PAGE + in) * 2 + d % 2] = row[d];
        w->ve[t] = fix(row, w->v + t * dim, dim);
        for (size_t d = 0; d < dim; d++) w->vi[page + (in / 2 * dim + d) * 2 + in % 2] = row[d];
    }
    free(row);
}

static void
world_make(world *w, size_t dim, size_t positions, size_t queries, float sharp)
{
    size_t kv = positions * dim;
    *w = (world){ .dim = dim, .positions = positions, .queries = queries, .scale = 1.0f / sqrtf((float)dim) };
    w->q = get(queries * dim * 4);
    w->k = get(kv * 4);
    w->v = get(kv * 4);
    w->k16 = get(kv * 2);
    w->v16 = get(kv * 2);
    w->ki = get(kv * 2);
    w->vi = get(kv * 2);
    w->ke = get(positions * 4);
    w->ve = get(positions * 4);
    w->panel = get(PAGE * dim * 4);
    w->s = get(positions * 32 * 4);
    w->y = get((queries + 32) * dim * 4);
    w->qt = get(32 * dim * 4);
    w->qh = get(16 * dim * 2);
    w->ql = get(16 * dim * 2);
    w->ph = get(16 * PAGE * 2);
    w->pl = get(16 * PAGE * 2);
    w->o = get(16 * dim * 8);
    w->isum = get(2 * 16 * 512 * 4);
    for (size_t i = 0; i < queries * dim; i++) w->q[i] = gauss() * sharp;
    for (size_t i = 0; i < kv; i++) w->k[i] = gauss();
    for (size_t i = 0; i < kv; i++) w->v[i] = gauss();
    world_pages(w);
}

static void
world_free(world *w)
{
    void *all[] = { w->q, w->k, w->v, w->k16, w->v16, w->ki, w->vi, w->ke, w->ve, w->panel, w->s, w->y, w->qt,
        w->qh, w->ql, w->ph, w->pl, w->o, w->isum };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) free(all[i]);
}

/* ---- the float form -------------------------------------------------------------
 * Prefill: lanes are queries (L of them), both products the same tile. Decode: lanes
 * are positions for the scores, elements for the mix. */

#define FLOAT_PREFILL(name, ATTR, TILE, EXP, VEC, N, J, LOAD, STORE, SET1, SUB, MUL, ADD, MAX, ZERO, LOADH, TYPE) \
ATTR static void \
name(world *w) \
{ \
    const size_t L = 2 * N, dim = w->dim; \
    for (size_t first = 0; first < w->queries; first += L) { \
        float inverse[2 * N]; \
        VEC max[2], sum[2]; \
        for (size_t l = 0; l < L; l++) \
            for (size_t d = 0; d < dim; d++) w->qt[d * L + l] = w->q[(first + l) * dim + d]; \
        for (size_t v = 0; v < 2; v++) { \
            max[v] = SET1(-INFINITY); \
            sum[v] = ZERO(); \
        } \
        for (size_t t = 0; t < w->positions; t += PAGE) { \
            float *s = w->s + t * L; \
            for (size_t i = 0; i < PAGE * dim; i += N) STORE(w->panel + i, LOADH(TYPE, w->k16 + t * dim, i)); \
            size_t j = 0; \
            for (; j + J <= PAGE; j += J) { \
                tile_place p = { s + j * L, L, w->qt, L, w->panel + j, PAGE, dim }; \
                TILE(DECAI__F32, false, 2, J, 1, &p); \
            } \
            for (; j + 4 <= PAGE; j += 4) { \
                tile_place p = { s + j * L, L, w->qt, L, w->panel + j, PAGE, dim }; \
                TILE(DECAI__F32, false, 2, 4, 1, &p); \
            } \
            for (; j + 2 <= PAGE; j += 2) { \
                tile_place p = { s + j * L, L, w->qt, L, w->panel + j, PAGE, dim }; \
                TILE(DECAI__F32, false, 2, 2, 1, &p); \
            } \
            for (size_t i = 0; i < PAGE; i++) \
                for (size_t v = 0; v < 2; v++) { \
                    VEC x = MUL(LOAD(s + i * L + v * N), SET1(w->scale)); \
                    STORE(s + i * L + v * N, x); \
                    max[v] = MAX(max[v], x); \
                } \
        } \
        float *ot = (float *)(void *)w->o; \
        memset(ot, 0, L * dim * 4); \
        for (size_t t = 0; t < w->positions; t += PAGE) { \
            float *s = w->s + t * L; \
            for (size_t v = 0; v < 2; v++) { \
                VEC page = ZERO(); \
                for (size_t i = 0; i < PAGE; i++) { \
                    VEC x = EXP(SUB(LOAD(s + i * L + v * N), max[v])); \
                    STORE(s + i * L + v * N, x); \
                    page = ADD(page, x); \
                } \
                sum[v] = ADD(sum[v], page); \
            } \
            for (size_t i = 0; i < PAGE * dim; i += N) STORE(w->panel + i, LOADH(TYPE, w->v16 + t * dim, i)); \
            size_t d = 0; \
            for (; d + J <= dim; d += J) { \
                tile_place p = { ot + d * L, L, s, L, w->panel + d, dim, PAGE }; \
                TILE(DECAI__F32, true, 2, J, 1, &p); \
            } \
            for (; d + 4 <= dim; d += 4) { \
                tile_place p = { ot + d * L, L, s, L, w->panel + d, dim, PAGE }; \
                TILE(DECAI__F32, true, 2, 4, 1, &p); \
            } \
            for (; d + 2 <= dim; d += 2) { \
                tile_place p = { ot + d * L, L, s, L, w->panel + d, dim, PAGE }; \
                TILE(DECAI__F32, true, 2, 2, 1, &p); \
            } \
        } \
        for (size_t v = 0; v < 2; v++) STORE(inverse + v * N, sum[v]); \
        for (size_t l = 0; l < L; l++) inverse[l] = leaf_recip(inverse[l]); \
        for (size_t l = 0; l < L; l++) \
            for (size_t d = 0; d < dim; d++) w->y[(first + l) * dim + d] = ot[d * L + l] * inverse[l]; \
    } \
}
FLOAT_PREFILL(float_prefill_avx2, AVX2, tile8, exp8, __m256, 8, 6, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps,
    _mm256_sub_ps, _mm256_mul_ps, _mm256_add_ps, _mm256_max_ps, _mm256_setzero_ps, tile_load8, DECAI__F16)
FLOAT_PREFILL(float_prefill_avx512, AVX512, tile16, exp16, __m512, 16, 12, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps,
    _mm512_sub_ps, _mm512_mul_ps, _mm512_add_ps, _mm512_max_ps, _mm512_setzero_ps, tile_load16, DECAI__F16)

/* Decode with a group of 4 (or 1) queries on a KV head. */
#define FLOAT_DECODE(name, G, ATTR, TILE, EXP, VEC, N, V, LOAD, STORE, SET1, SUB, MUL, MAX) \
ATTR static void \
name(world *w) \
{ \
    const size_t dim = w->dim, T = w->positions; \
    float max[G], sum[G]; \
    VEC m[G]; \
    for (size_t j = 0; j < G; j++) { \
        m[j] = SET1(-INFINITY); \
        sum[j] = 0; \
        for (size_t d = 0; d < dim; d++) w->qt[d * G + j] = w->q[j * dim + d]; \
    } \
    for (size_t t = 0; t < T; t += PAGE) { \
        for (size_t l = 0; l < PAGE; l += V * N) { \
            tile_place p = { w->s + t + l, T, w->k16 + t * dim + l, PAGE, w->qt, G, dim }; \
            TILE(DECAI__F16, false, V, G, 1, &p); \
        } \
        for (size_t j = 0; j < G; j++) \
            for (size_t l = 0; l < PAGE; l += N) { \
                VEC x = MUL(LOAD(w->s + j * T + t + l), SET1(w->scale)); \
                STORE(w->s + j * T + t + l, x); \
                m[j] = MAX(m[j], x); \
            } \
    } \
    for (size_t j = 0; j < G; j++) { \
        float lane[N]; \
        STORE(lane, m[j]); \
        max[j] = lane[0]; \
        for (size_t l = 1; l < N; l++) max[j] = fmaxf(max[j], lane[l]); \
    } \
    memset(w->y, 0, G * dim * 4); \
    for (size_t t = 0; t < T; t += PAGE) { \
        float page[G] = { 0 }; \
        for (size_t j = 0; j < G; j++) \
            for (size_t l = 0; l < PAGE; l += N) \
                STORE(w->s + j * T + t + l, EXP(SUB(LOAD(w->s + j * T + t + l), SET1(max[j])))); \
        for (size_t l = 0; l < PAGE; l++) \
            for (size_t j = 0; j < G; j++) page[j] += w->s[j * T + t + l]; \
        for (size_t j = 0; j < G; j++) sum[j] += page[j]; \
        for (size_t l = 0; l < PAGE; l++) \
            for (size_t j = 0; j < G; j++) w->panel[l * G + j] = w->s[j * T + t + l]; \
        for (size_t d = 0; d < dim; d += V * N) { \
            tile_place p = { w->y + d, dim, w->v16 + t * dim + d, dim, w->panel, G, PAGE }; \
            TILE(DECAI__F16, true, V, G, 1, &p); \
        } \
    } \
    for (size_t j = 0; j < G; j++) \
        for (size_t d = 0; d < dim; d++) w->y[j * dim + d] *= leaf_recip(sum[j]); \
}
#define DECODE8(name, G, V) FLOAT_DECODE(name, G, AVX2, tile8, exp8, __m256, 8, V, _mm256_loadu_ps, _mm256_storeu_ps, \
    _mm256_set1_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_max_ps)
#define DECODE16(name, G, V) FLOAT_DECODE(name, G, AVX512, tile16, exp16, __m512, 16, V, _mm512_loadu_ps, _mm512_storeu_ps, \
    _mm512_set1_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_max_ps)
DECODE8(float_decode4_avx2, 4, 2)
DECODE8(float_decode1_avx2, 1, 4)
DECODE16(float_decode4_avx512, 4, 4)
DECODE16(float_decode1_avx512, 1, 4)

/* ---- the integer form ---------------------------------------------------------------
 * tile of J queries by V vectors: high and low halves in 32-bit sums. */

AVX2_INLINE __m256i
dot8(__m256i acc, __m256i a, __m256i b)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}

__attribute__((always_inline, target(VNNI_TARGET))) static inline __m512i
dot16(__m512i acc, __m512i a, __m512i b)
{
    return _mm512_dpwssd_epi32(acc, a, b);
}

/* a: [k][lanes][2], bh and bl: [J][k][2] with stride bs elements; out: hi and lo. */
#define INT_TILE(name, ATTR, VEC, N, LOADI, STOREI, SET32, DOT, ZERO) \
ATTR static inline void \
name(size_t V, size_t J, int32_t *hi, int32_t *lo, size_t cs, const int16_t *a, size_t as, \
    const int16_t *bh, const int16_t *bl, size_t bs, size_t k) \
{ \
    VEC h[6][2], l[6][2]; \
    TILE_UNROLL for (size_t j = 0; j < J; j++) TILE_UNROLL for (size_t v = 0; v < V; v++) h[j][v] = l[j][v] = ZERO(); \
    for (size_t i = 0; i < k; i++) { \
        VEC x[2]; \
        TILE_UNROLL for (size_t v = 0; v < V; v++) x[v] = LOADI((const void *)(a + i * as + v * 2 * N)); \
        TILE_UNROLL for (size_t j = 0; j < J; j++) { \
            int32_t p, r; \
            memcpy(&p, bh + j * bs + 2 * i, 4); \
            memcpy(&r, bl + j * bs + 2 * i, 4); \
            TILE_UNROLL for (size_t v = 0; v < V; v++) { \
                h[j][v] = DOT(h[j][v], x[v], SET32(p)); \
                l[j][v] = DOT(l[j][v], x[v], SET32(r)); \
            } \
        } \
    } \
    TILE_UNROLL for (size_t j = 0; j < J; j++) TILE_UNROLL for (size_t v = 0; v < V; v++) { \
        STOREI((void *)(hi + j * cs + v * N), h[j][v]); \
        STOREI((void *)(lo + j * cs + v * N), l[j][v]); \
    } \
}
INT_TILE(itile8, __attribute__((always_inline, target("avx2,fma,f16c"))), __m256i, 8, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm256_set1_epi32, dot8, _mm256_setzero_si256)
INT_TILE(itile16, __attribute__((always_inline, target(VNNI_TARGET))), __m512i, 16, _mm512_loadu_si512, _mm512_storeu_si512,
    _mm512_set1_epi32, dot16, _mm512_setzero_si512)

/* J queries at a time, for prefill (J = 4 or 6) and decode (J = group). The halves
 * of a score meet as fma(float(hi), 256, float(lo)): hi and lo are integers that do
 * not depend on any order. */
#define INT_ATTENTION(name, J, V, ATTR, ITILE, EXP, VEC, IVEC, N, LOAD, STORE, SET1, SUB, MUL, FMADD, MAX, CVTF, CVTI, LOADI, \
    STOREHALF, SRA, AND, SET32, CVTD, LOADD, STORED, FMADDD, ADDD, SETD, HALF) \
ATTR static void \
name(world *w) \
{ \
    const size_t dim = w->dim, T = w->positions; \
    for (size_t first = 0; first < w->queries; first += J) { \
        float max[J], emax = 0; \
        double total[J]; \
        for (size_t j = 0; j < J; j++) { \
            int16_t row[DECAI__HEAD_MAX]; \
            float e = fix(row, w->q + (first + j) * dim, dim) * w->scale; \
            for (size_t d = 0; d < dim; d++) { \
                int32_t l = ((row[d] + 128) & 255) - 128; \
                w->ql[j * dim + d] = (int16_t)l; \
                w->qh[j * dim + d] = (int16_t)((row[d] - l) / 256); \
            } \
            max[j] = e; \
        } \
        VEC top[J]; \
        for (size_t j = 0; j < J; j++) top[j] = SET1(-INFINITY); \
        for (size_t t = 0; t < T; t += PAGE) { \
            for (size_t l = 0; l < PAGE; l += V * N) \
                ITILE(V, J, w->isum + l, w->isum + J * PAGE + l, PAGE, w->ki + t * dim + 2 * l, 2 * PAGE, \
                    w->qh, w->ql, dim, dim / 2); \
            for (size_t j = 0; j < J; j++) \
                for (size_t l = 0; l < PAGE; l += N) { \
                    VEC hi = CVTF(LOADI((const void *)(w->isum + j * PAGE + l))); \
                    VEC lo = CVTF(LOADI((const void *)(w->isum + (J + j) * PAGE + l))); \
                    VEC x = MUL(FMADD(hi, SET1(256.0f), lo), MUL(LOAD(w->ke + t + l), SET1(max[j]))); \
                    STORE(w->s + j * T + t + l, x); \
                    top[j] = MAX(top[j], x); \
                } \
        } \
        for (size_t j = 0; j < J; j++) { \
            float lane[N]; \
            STORE(lane, top[j]); \
            max[j] = lane[0]; \
            for (size_t l = 1; l < N; l++) max[j] = fmaxf(max[j], lane[l]); \
        } \
        VEC big = SET1(0.0f); \
        for (size_t t = 0; t < T; t += N) big = MAX(big, LOAD(w->ve + t)); \
        float lanes[N]; \
        STORE(lanes, big); \
        for (size_t l = 0; l < N; l++) emax = fmaxf(emax, lanes[l]); \
        for (size_t j = 0; j < J; j++) total[j] = 0; \
        memset(w->o, 0, J * dim * 8); \
        for (size_t t = 0; t < T; t += PAGE) { \
            for (size_t j = 0; j < J; j++) { \
                IVEC sum = SET32(0); \
                for (size_t l = 0; l < PAGE; l += N) { \
                    VEC p = EXP(SUB(LOAD(w->s + j * T + t + l), SET1(max[j]))); \
                    IVEC mixed = CVTI(MUL(p, MUL(LOAD(w->ve + t + l), SET1(1048576.0f / emax)))); \
                    sum = ADDD##_i(sum, CVTI(MUL(p, SET1(1048576.0f)))); \
                    STOREHALF(w->ph + j * PAGE + l, SRA(mixed, 10)); \
                    STOREHALF(w->pl + j * PAGE + l, AND(mixed, SET32(1023))); \
                } \
                int32_t part[N]; \
                memcpy(part, &sum, sizeof part); \
                for (size_t l = 0; l < N; l++) total[j] += part[l]; \
            } \
            for (size_t d = 0; d < dim; d += V * N) \
                ITILE(V, J, w->isum + d, w->isum + J * dim + d, dim, w->vi + t * dim + 2 * d, 2 * dim, \
                    w->ph, w->pl, PAGE, PAGE / 2); \
            for (size_t i = 0; i < J * dim; i += HALF) { \
                double *o = w->o + i; \
                STORED(o, ADDD(LOADD(o), FMADDD(CVTD(w->isum + i), SETD(1024.0), CVTD(w->isum + J * dim + i)))); \
            } \
        } \
        for (size_t j = 0; j < J; j++) \
            for (size_t d = 0; d < dim; d++) \
                w->y[(first + j) * dim + d] = (float)(w->o[j * dim + d] * (double)emax / total[j]); \
    } \
}

AVX2_INLINE __m256d cvtd8(const int32_t *p) { return _mm256_cvtepi32_pd(_mm_loadu_si128((const __m128i *)(const void *)p)); }
AVX512_INLINE __m512d cvtd16(const int32_t *p) { return _mm512_cvtepi32_pd(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
AVX2_INLINE void half8(int16_t *p, __m256i v)
{
    v = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 8);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(v));
}
AVX512_INLINE void half16(int16_t *p, __m512i v) { _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(v)); }
#define _mm256_add_pd_i _mm256_add_epi32
#define _mm512_add_pd_i _mm512_add_epi32

#define INT8(name, J, V) INT_ATTENTION(name, J, V, AVX2, itile8, exp8, __m256, __m256i, 8, _mm256_loadu_ps, _mm256_storeu_ps, \
    _mm256_set1_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_cvtepi32_ps, _mm256_cvtps_epi32, \
    _mm256_loadu_si256, half8, _mm256_srai_epi32, _mm256_and_si256, _mm256_set1_epi32, cvtd8, _mm256_loadu_pd, \
    _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd, _mm256_set1_pd, 4)
#define INT16(name, J, V) INT_ATTENTION(name, J, V, __attribute__((target(VNNI_TARGET))), itile16, exp16, __m512, __m512i, 16, \
    _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_fmadd_ps, _mm512_max_ps, \
    _mm512_cvtepi32_ps, _mm512_cvtps_epi32, _mm512_loadu_si512, half16, _mm512_srai_epi32, _mm512_and_si512, \
    _mm512_set1_epi32, cvtd16, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd, _mm512_set1_pd, 8)
INT8(int_prefill_avx2, 6, 1)
INT8(int_decode4_avx2, 4, 1)
INT8(int_decode1_avx2, 1, 2)
INT16(int_prefill_avx512, 6, 2)
INT16(int_decode4_avx512, 4, 2)
INT16(int_decode1_avx512, 1, 2)

/* ---- truth and report ------------------------------------------------------------------ */

static double
error_of(const world *w)
{
    size_t dim = w->dim, count = w->queries < 16 ? w->queries : 16;
    double *s = get(w->positions * 8), *o = get(dim * 8), wrong = 0, power = 0;
    for (size_t i = 0; i < count; i++) {
        double max = -INFINITY, sum = 0;
        for (size_t t = 0; t < w->positions; t++) {
            s[t] = 0;
            for (size_t d = 0; d < dim; d++) s[t] += (double)w->q[i * dim + d] * (double)w->k[t * dim + d];
            s[t] *= (double)w->scale;
            max = fmax(max, s[t]);
        }
        memset(o, 0, dim * 8);
        for (size_t t = 0; t < w->positions; t++) {
            double p = exp(s[t] - max);
            sum += p;
            for (size_t d = 0; d < dim; d++) o[d] += p * (double)w->v[t * dim + d];
        }
        for (size_t d = 0; d < dim; d++) {
            double e = (double)w->y[i * dim + d] - o[d] / sum;
            wrong += e * e;
            power += o[d] / sum * (o[d] / sum);
        }
    }
    free(s);
    free(o);
    return sqrt(wrong / power);
}

typedef void (*form)(world *w);
static int commas;

static void
pair(const char *isa, const char *what, form a, form b, size_t dim, size_t T, size_t queries, int rounds)
{
    double best[2] = { 1e9, 1e9 }, error[2][2];
    world w;
    for (int sharp = 1; sharp >= 0; sharp--) {
        world_make(&w, dim, T, queries, sharp ? 4.0f : 0.5f);
        for (int f = 0; f < 2; f++) {
            (f ? b : a)(&w);
            error[f][sharp] = error_of(&w);
        }
        if (sharp) world_free(&w);
    }
    for (int r = 0; r < rounds; r++)
        for (int f = 0; f < 2; f++) {
            double t = now();
            (f ? b : a)(&w);
            t = now() - t;
            if (t < best[f]) best[f] = t;
        }
    double mac = 2.0 * (double)T * (double)dim * (double)queries * 1e-9;
    printf("%s\n {\"isa\":\"%s\",\"what\":\"%s\",\"dim\":%zu,\"positions\":%zu,\"queries\":%zu,"
        "\"float_gmac_s\":%.2f,\"integer_gmac_s\":%.2f,\"integer_speed\":%.3f,"
        "\"float_error_sharp\":%.2e,\"integer_error_sharp\":%.2e,\"float_error_flat\":%.2e,\"integer_error_flat\":%.2e}",
        commas++ ? "," : "", isa, what, dim, T, queries, mac / best[0], mac / best[1], best[0] / best[1],
        error[0][1], error[1][1], error[0][0], error[1][0]);
    fflush(stdout);
    world_free(&w);
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 7;
    bool wide = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    printf("{\"bench\":\"attention_forms\",\"rows\":[");
    for (size_t dim = 64; dim <= 128; dim *= 2) {
        pair("avx2", "prefill", float_prefill_avx2, int_prefill_avx2, dim, 2048, 96, rounds);
        pair("avx2", "decode, group of 4", float_decode4_avx2, int_decode4_avx2, dim, 8192, 4, 4 * rounds);
        pair("avx2", "decode, group of 1", float_decode1_avx2, int_decode1_avx2, dim, 8192, 1, 4 * rounds);
        pair("avx2", "decode, group of 4", float_decode4_avx2, int_decode4_avx2, dim, 131072, 4, rounds);
        if (!wide) continue;
        pair("avx512", "prefill", float_prefill_avx512, int_prefill_avx512, dim, 2048, 96, rounds);
        pair("avx512", "decode, group of 4", float_decode4_avx512, int_decode4_avx512, dim, 8192, 4, 4 * rounds);
        pair("avx512", "decode, group of 1", float_decode1_avx512, int_decode1_avx512, dim, 8192, 1, 4 * rounds);
        pair("avx512", "decode, group of 4", float_decode4_avx512, int_decode4_avx512, dim, 131072, 4, rounds);
    }
    printf("\n]}\n");
    return 0;
}

#else

int
main(void)
{
    printf("{\"bench\":\"attention_forms\",\"rows\":[]}\n");
    return 0;
}

#endif
