/* x86_avx2.c - integer products with AVX2, half a line (eight rows) at a time.
 *
 * vpmaddubsw multiplies unsigned bytes (weights) by signed ones (activations) and
 * adds neighbours into 16 bits; a lane of 32 bits holds two such sums. How many
 * lines may be added before they must be widened (x86_form.run):
 *
 *     8  4-bit quants 8*2*15*127 = 30480; 5-bit ones and MXFP4 lowered by `zero`:
 *        a sum starts at -zero * (sum of q), may wrap on its way, and ends within
 *        8*2*16*127 = 32512
 *     4  Q5_K 4*2*31*127 = 31496; Q6_K lowered by 32: 32512; Q3_K, Q2_K
 *     1  int8: |w| times x with w's sign, 2*128*127 = 32512
 *
 * vpmaddwd widens, and multiplies by the scale in the same step: D of a 32-block
 * (65024 * 32767 < 2^31), sc of a sub-block. int8 blocks of 32 are widened by ones,
 * as isum * D does not fit; isum (2^20) meets D s (2^30) in 64 bits instead. */
#include "compute/x86.h"

#if defined(__x86_64__)

#define X86_TARGET __attribute__((target("avx2,fma,f16c")))
#define X86_SIGNED 1
#define X86_WIDE 32
#include "compute/x86_unpack.h"

#define INLINE static inline __attribute__((always_inline)) X86_TARGET
#define UNROLL _Pragma("GCC unroll 8")

typedef int32_t __attribute__((may_alias, aligned(1))) loose32;

INLINE __m256i spread(const void *p) { return _mm256_set1_epi32(*(const loose32 *)p); }
INLINE __m256i line(const void *p) { return _mm256_load_si256((const __m256i *)p); }
INLINE void put(void *p, __m256i v) { _mm256_store_si256((__m256i *)p, v); }
/* The low half of every lane twice. */
INLINE __m256i twice(__m256i v) { return _mm256_blend_epi16(v, _mm256_slli_epi32(v, 16), 0xaa); }

INLINE void
widen_add(__m256i *even, __m256i *odd, __m256i a, __m256i b)
{
    *even = _mm256_add_epi64(*even, _mm256_mul_epi32(a, b));
    *odd = _mm256_add_epi64(*odd, _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
}

/* sum[c] += 16-bit products of lines 0..lines-1; q: of eight rows, x: of token 0. */
INLINE void
add_lines(const int tokens, const int lines, __m256i *sum, const uint8_t *q, const int8_t *x, size_t step)
{
    UNROLL
    for (int t = 0; t < lines; t++) {
        const __m256i w = line(q + 64 * t);
        UNROLL
        for (int c = 0; c < tokens; c++)
            sum[c] = _mm256_add_epi16(sum[c], _mm256_maddubs_epi16(w, spread(x + (size_t)c * step + 4 * t)));
    }
}

/* sum[c] += 32-bit products of int8 lines, the pairs of products times the pairs in scale. */
INLINE void
add_signed(const int tokens, const int lines, __m256i *sum, const uint8_t *q, const int8_t *x, size_t step, const __m256i *scale)
{
    UNROLL
    for (int t = 0; t < lines; t++) {
        const __m256i w = line(q + 64 * t), size = _mm256_abs_epi8(w);
        UNROLL
        for (int c = 0; c < tokens; c++) {
            __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(spread(x + (size_t)c * step + 4 * t), w));
            sum[c] = _mm256_add_epi32(sum[c], _mm256_madd_epi16(pairs, scale[c]));
        }
    }
}

/* ---- blocks of 32 ------------------------------------------------------------- */

#define STEP32 (X86_ACT32_STEP * sizeof(x86_act32))
#define TOKENS_MOST 4

INLINE void
block32(const int tokens, const int run, const bool mins, __m256i *even, __m256i *odd, const uint8_t *q,
    const int32_t *scale, const int32_t *min, const x86_act32 *a)
{
    __m256i sum[TOKENS_MOST];
    const __m256i d = line(scale), pair = twice(d);
    UNROLL
    for (int c = 0; c < tokens; c++) sum[c] = run == 1 ? _mm256_setzero_si256() : spread(&a[c * X86_ACT32_STEP].init);
    if (run == 1) {
        const __m256i one = _mm256_set1_epi16(1), ones[TOKENS_MOST] = { one, one, one, one };
        add_signed(tokens, 8, sum, q, a->q, STEP32, ones);
    } else {
        add_lines(tokens, 8, sum, q, a->q, STEP32);
    }
    UNROLL
    for (int c = 0; c < tokens; c++) {
        const x86_act32 *x = a + c * X86_ACT32_STEP;
        const __m256i s = spread(&x->scale);
        if (run == 1) {
            widen_add(&even[c], &odd[c], sum[c], _mm256_mullo_epi32(d, s));
        } else {
            const __m256i v = _mm256_madd_epi16(sum[c], pair);
            even[c] = _mm256_add_epi64(even[c], _mm256_mul_epi32(v, s));
            odd[c] = _mm256_add_epi64(odd[c], _mm256_mul_epi32(_mm256_srli_epi64(v, 32), s));
        }
        if (mins) widen_add(&even[c], &odd[c], line(min), spread(&x->sum));
    }
}

INLINE void
tile32(const int tokens, const int run, const bool mins, x86_acc *acc, const x86_panel *p, const x86_act32 *a, size_t blocks)
{
    for (int half = 0; half < 2; half++) {
        __m256i even[TOKENS_MOST], odd[TOKENS_MOST];
        UNROLL
        for (int c = 0; c < tokens; c++) {
            even[c] = line(acc[c] + 4 * half);
            odd[c] = line(acc[c] + 8 + 4 * half);
        }
        for (size_t b = 0; b < blocks; b++)
            block32(tokens, run, mins, even, odd, p->q + 512 * b + 32 * half, p->scale[b] + 8 * half, p->min[b] + 8 * half, a + b);
        UNROLL
        for (int c = 0; c < tokens; c++) {
            put(acc[c] + 4 * half, even[c]);
            put(acc[c] + 8 + 4 * half, odd[c]);
        }
    }
}

/* ---- super-blocks ---------------------------------------------------------------- */

#define STEP256 (X86_ACT256_STEP * sizeof(x86_act256))

/* acc += a * (d * s); acc: of this half. */
INLINE void
flush(int64_t *acc, __m256i a, __m256i d, __m256i s)
{
    __m256i even = line(acc), odd = line(acc + 8);
    widen_add(&even, &odd, a, _mm256_mullo_epi32(d, s));
    put(acc, even);
    put(acc + 8, odd);
}

/* Scale pairs times the token's second-level scale, which lies in both halves of s6. */
INLINE void
factors(const int tokens, const bool two_level, __m256i *factor, const int32_t *scale, const x86_act256 *a, int j)
{
    const __m256i pair = twice(line(scale));
    UNROLL
    for (int c = 0; c < tokens; c++)
        factor[c] = two_level ? _mm256_mullo_epi16(pair, spread(&a[c * X86_ACT256_STEP].s6[j])) : pair;
}

/* v[c] += sc * isum of the 32 elements from line 8 * j. */
INLINE void
sub_sums(const int tokens, const int sub, const int run, const bool zero, const bool two_level, __m256i *v,
    const uint8_t *q, const int32_t (*scale)[X86_ROWS], const x86_act256 *a, int j)
{
    const int lines = run == 8 || (run == 1 && sub == 32) ? 8 : 4;
    for (int first = 8 * j; first < 8 * j + 8; first += lines) {
        const int s = 4 * first / sub;
        __m256i sum[TOKENS_MOST], factor[TOKENS_MOST];
        factors(tokens, two_level, factor, scale[s], a, j);
        if (run == 1) {
            add_signed(tokens, lines, v, q + 64 * first, a->q + 4 * first, STEP256, factor);
            continue;
        }
        UNROLL
        for (int c = 0; c < tokens; c++) sum[c] = zero ? spread(&a[c * X86_ACT256_STEP].init[s]) : _mm256_setzero_si256();
        add_lines(tokens, lines, sum, q + 64 * first, a->q + 4 * first, STEP256);
        UNROLL
        for (int c = 0; c < tokens; c++) v[c] = _mm256_add_epi32(v[c], _mm256_madd_epi16(sum[c], factor[c]));
    }
}

INLINE void
min_sums(const int tokens, const bool two_level, const int pairs, __m256i *u, const int32_t (*min)[X86_ROWS], int half,
    const x86_act256 *a)
{
    UNROLL
    for (int c = 0; c < tokens; c++) u[c] = _mm256_setzero_si256();
    for (int j = 0; j < pairs; j++) {
        const __m256i m = line(min[j] + 8 * half);
        UNROLL
        for (int c = 0; c < tokens; c++) {
            const x86_act256 *x = a + c * X86_ACT256_STEP;
            __m256i v = _mm256_madd_epi16(m, spread(&x->pair[j]));
            if (two_level) v = _mm256_mullo_epi32(v, _mm256_srli_epi32(spread(&x->s6[j]), 16));
            u[c] = _mm256_add_epi32(u[c], v);
        }
    }
}

/* period: 32-blocks between flushes, 8 without two levels (x86_avx512.c). */
INLINE void
tile256(const int tokens, const int sub, const int run, const bool zero, const bool mins, const bool two_level,
    const int period, x86_acc *acc, const x86_panel *p, const x86_act256 *a, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, a++)
        for (int half = 0; half < 2; half++) {
            const __m256i d = line(p->d[b] + 8 * half);
            const int32_t (*scale)[X86_ROWS] = (const int32_t (*)[X86_ROWS])(p->scale[b * (size_t)(256 / sub)] + 8 * half);
            __m256i v[TOKENS_MOST];
            for (int j = 0; j < 8; j += period) {
                UNROLL
                for (int c = 0; c < tokens; c++) v[c] = _mm256_setzero_si256();
                for (int i = j; i < j + period; i++)
                    sub_sums(tokens, sub, run, zero, two_level, v, p->q + 4096 * b + 32 * half, scale, a, i);
                UNROLL
                for (int c = 0; c < tokens; c++) flush(acc[c] + 4 * half, v[c], d, spread(&a[c * X86_ACT256_STEP].scale));
            }
            if (!mins) continue;
            const __m256i less = _mm256_sub_epi32(_mm256_setzero_si256(), line(p->dm[b] + 8 * half));
            min_sums(tokens, two_level, two_level || sub == 16 ? 8 : 4, v, p->min + 8 * b, half, a);
            UNROLL
            for (int c = 0; c < tokens; c++) flush(acc[c] + 4 * half, v[c], less, spread(&a[c * X86_ACT256_STEP].scale));
        }
}

/* ---- choosing a tile ---------------------------------------------------------------- */

#define TILES(name, call) \
    X86_TARGET static void name##_4 ARGS { const int tokens = 4; call; } \
    X86_TARGET static void name##_2 ARGS { const int tokens = 2; call; } \
    X86_TARGET static void name##_1 ARGS { const int tokens = 1; call; }
#define ARGS (x86_acc *acc, const x86_panel *p, const void *a, size_t blocks)

TILES(plain, tile32(tokens, 8, false, acc, p, a, blocks))
TILES(plain_min, tile32(tokens, 8, true, acc, p, a, blocks))
TILES(plain_int8, tile32(tokens, 1, false, acc, p, a, blocks))
TILES(k4, tile256(tokens, 32, 8, false, true, false, 8, acc, p, a, blocks))
TILES(k5, tile256(tokens, 32, 4, false, true, false, 8, acc, p, a, blocks))
TILES(k36, tile256(tokens, 16, 4, true, false, false, 8, acc, p, a, blocks))
TILES(k2, tile256(tokens, 16, 4, false, true, false, 8, acc, p, a, blocks))
TILES(xs, tile256(tokens, 32, 1, false, false, false, 8, acc, p, a, blocks))
TILES(k4_two, tile256(tokens, 32, 8, false, true, true, 8, acc, p, a, blocks))
TILES(k5_two, tile256(tokens, 32, 4, false, true, true, 4, acc, p, a, blocks))
TILES(k6_two, tile256(tokens, 16, 4, true, false, true, 2, acc, p, a, blocks))
TILES(k3_two, tile256(tokens, 16, 4, true, false, true, 8, acc, p, a, blocks))
TILES(k2_two, tile256(tokens, 16, 4, false, true, true, 8, acc, p, a, blocks))
TILES(xs_two, tile256(tokens, 32, 1, false, false, true, 2, acc, p, a, blocks))

typedef void (*tile) ARGS;
#define ROW(name) { name##_1, name##_2, name##_4 }

static const tile *
tiles_of(const x86_form *f, bool two_level)
{
    static const tile TABLE[][3] = {
        ROW(plain), ROW(plain_min), ROW(plain_int8), ROW(k4), ROW(k5), ROW(k36), ROW(k2), ROW(xs),
        ROW(k4_two), ROW(k5_two), ROW(k6_two), ROW(k3_two), ROW(k2_two), ROW(xs_two),
    };
    switch (f->type) {
    case DECAI__Q2_K: return TABLE[two_level ? 12 : 6];
    case DECAI__Q3_K: return TABLE[two_level ? 11 : 5];
    case DECAI__Q4_K: return TABLE[two_level ? 8 : 3];
    case DECAI__Q5_K: return TABLE[two_level ? 9 : 4];
    case DECAI__Q6_K: return TABLE[two_level ? 10 : 5];
    case DECAI__IQ4_XS: return TABLE[two_level ? 13 : 7];
    default: return TABLE[f->run == 1 ? 2 : f->mins ? 1 : 0];
    }
}

static void
multiply(const x86_form *f, x86_acc *acc, x86_panel *p, const void *act, size_t blocks, size_t tokens, bool two_level,
    const uint8_t *next, size_t each)
{
    const tile *t = tiles_of(f, two_level);
    const size_t step = f->block == 1 ? STEP32 : STEP256;
    const uint8_t *a = act;
    for (size_t at = 0; at < blocks * each; at += 64) __builtin_prefetch(next + at, 0, 2);
    for (int log = 2; log >= 0; log--)
        for (; tokens >> log; tokens -= (size_t)1 << log, acc += (size_t)1 << log, a += step << log)
            t[log](acc, p, a, blocks);
}

/* ---- activations ------------------------------------------------------------------------ */

/* -zero times the sums of q[4t] + q[4t + 1] and of q[4t + 2] + q[4t + 3], over
 * sixteen elements each: two i16 a 32-bit lane. */
INLINE __m128i
half_sums(const int8_t *q, int zero)
{
    __m128i v = _mm_maddubs_epi16(_mm_set1_epi8(1), load16(q));
    v = _mm_add_epi16(v, _mm_shuffle_epi32(v, 0x4e));
    v = _mm_add_epi16(v, _mm_shuffle_epi32(v, 0xb1));
    return _mm_mullo_epi16(v, _mm_set1_epi16((int16_t)-zero));
}

X86_TARGET static void
prepare32(const x86_form *f, x86_act32 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        int32_t sum = sums[2 * b] + sums[2 * b + 1], s = (int32_t)decai__load_le16(scales + 2 * b);
        __m128i init = _mm_add_epi16(half_sums(q + 32 * b, f->zero), half_sums(q + 32 * b + 16, f->zero));
        memcpy(to[b].q, q + 32 * b, 32);
        to[b].init = _mm_cvtsi128_si32(init);
        to[b].scale = s;
        to[b].sum = s * sum;
    }
}

X86_TARGET static void
prepare256(const x86_form *f, x86_act256 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales,
    const uint8_t *s6, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, to++, q += 256, sums += 16) {
        memcpy(to->q, q, 256);
        for (size_t j = 0; j < 16; j++) to->init[j] = _mm_cvtsi128_si32(half_sums(q + 16 * j, f->zero));
        x86_pairs(to, sums, f->sub == 32 && !s6, s6 != NULL);
        for (size_t j = 0; j < 8; j++) to->s6[j] = 0x10001 * (s6 ? s6[8 * b + j] : 1);
        to->scale = (int32_t)decai__load_le16(scales + 2 * b);
    }
}

/* ---- results ------------------------------------------------------------------------------ */

/* Four sums to f32, rounded once. Below 2^51 a double holds them: adding the
 * integer to the bits of 1.5 * 2^52 makes it. */
INLINE __m128
round4(const int64_t *acc)
{
    const __m256i v = line(acc), top = _mm256_add_epi64(v, _mm256_set1_epi64x((int64_t)1 << 51));
    if (!_mm256_testz_si256(top, _mm256_set1_epi64x((int64_t)0xfff0000000000000)))
        return _mm_setr_ps((float)acc[0], (float)acc[1], (float)acc[2], (float)acc[3]);
    const __m256i bits = _mm256_add_epi64(v, _mm256_set1_epi64x(0x4338000000000000));
    return _mm256_cvtpd_ps(_mm256_sub_pd(_mm256_castsi256_pd(bits), _mm256_set1_pd(0x1.8p52)));
}

X86_TARGET static void
finish(float *y, const x86_acc *acc, const int32_t *row_exponents, int32_t act_exponent, size_t rows)
{
    float out[X86_ROWS];
    for (int half = 0; half < 2; half++) {
        __m128 even = round4(*acc + 4 * half), odd = round4(*acc + 8 + 4 * half);
        __m256 v = _mm256_set_m128(_mm_unpackhi_ps(even, odd), _mm_unpacklo_ps(even, odd));
        __m256i power = _mm256_add_epi32(load(row_exponents + 8 * half), _mm256_set1_epi32(act_exponent - 21 + 127));
        _mm256_storeu_ps(out + 8 * half, _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23))));
    }
    memcpy(y, out, rows * sizeof *y);
}

const x86_isa decai__x86_isa_avx2 = { "AVX2", unpack, prepare32, prepare256, multiply, NULL, NULL, finish };

#endif
