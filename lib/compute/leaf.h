/* leaf.h - the arithmetic of the contract, once, as inline functions.
 *
 * leaf.c gives them outside names for disputes; scalar.c loops over them; avx2.c
 * inlines the same text into functions compiled for FMA, where __builtin_fmaf is
 * one instruction instead of a call. An fma is exactly rounded either way, so
 * the bits cannot differ; only speed does. CONTRACT.md has the rules by section. */
#ifndef DECAI__LEAF_H
#define DECAI__LEAF_H

#include <string.h>

#include "compute/compute.h"

#define LEAF_INLINE static inline __attribute__((always_inline, unused))

#define SCALE_BITS 15                /* w of Q8_0 and Q4_0 */
#define GRID_BITS 21                 /* |G| <= 2^21 */
#define ABS_LIMIT_BITS 0x5d800000u   /* 2^60 as f32 bits: refused from here on */
#define ABS_ZERO_BITS 0x21800000u    /* 2^-60: a token below this is zero */

LEAF_INLINE uint32_t
f32_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

LEAF_INLINE float
f32_from(uint32_t u)
{
    float x;
    memcpy(&x, &u, 4);
    return x;
}

/* m * 2^-shift, to nearest, ties to even. */
LEAF_INLINE uint64_t
rne_shift(uint64_t m, uint32_t shift)
{
    if (shift == 0) return m;
    if (shift > 63) return 0;
    uint64_t q = m >> shift, rem = m & ((1ULL << shift) - 1), half = 1ULL << (shift - 1);
    return q + (rem > half || (rem == half && (q & 1)));
}

/* ---- integers (§2-§4) ---------------------------------------------------- */

/* Dot product of one 32-block's quants with int8 activations: at most 520192. */
LEAF_INLINE int32_t
block_dot_q8(const uint8_t *qs, const int8_t *x)
{
    int32_t sum = 0;
    for (int i = 0; i < DECAI__BLOCK; i++) sum += (int32_t)(int8_t)qs[i] * x[i];
    return sum;
}

/* Low nibbles are elements 0..15, high nibbles 16..31; the zero is 8. */
LEAF_INLINE int32_t
block_dot_q4(const uint8_t *qs, const int8_t *x)
{
    int32_t sum = 0;
    for (int i = 0; i < 16; i++) {
        sum += ((int32_t)(qs[i] & 15) - 8) * x[i];
        sum += ((int32_t)(qs[i] >> 4) - 8) * x[i + 16];
    }
    return sum;
}

LEAF_INLINE int32_t
block_dot(int32_t type, const uint8_t *qs, const int8_t *x)
{
    return type == DECAI__Q8_0 ? block_dot_q8(qs, x) : block_dot_q4(qs, x);
}

LEAF_INLINE int32_t
block_quant(int32_t type, const uint8_t *qs, size_t i)
{
    if (type == DECAI__Q8_0) return (int8_t)qs[i];
    return (int32_t)(i < 16 ? qs[i] & 15 : qs[i - 16] >> 4) - 8;
}

/* RN_f32(sum) * 2^(F + E - 21). The rounding is done in integers, so it does not
 * depend on the conversion instruction's mode; the rest is exact (§4). */
LEAF_INLINE float
int_result(int64_t sum, int32_t exponent)
{
    uint64_t u = sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum;
    uint32_t shift = 0;
    if (u >> 24) {
        shift = 40 - (uint32_t)__builtin_clzll(u);
        u = rne_shift(u, shift);
    }
    if (u == 0) return 0.0f;
    float y = (float)(uint32_t)u * f32_from((uint32_t)(exponent + (int32_t)shift + 127) << 23);
    return sum < 0 ? -y : y;
}

/* ---- floats (§5-§12) ------------------------------------------------------- */

#define FMA(a, b, c) __builtin_fmaf((a), (b), (c))

LEAF_INLINE float
f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023;
    if (e == 31) return f32_from(sign | 0x7f800000u | m << 13);
    if (e) return f32_from(sign | (e + 112) << 23 | m << 13);
    if (!m) return f32_from(sign);
    uint32_t up = (uint32_t)__builtin_clz(m) - 21;              /* to bit 10 */
    return f32_from(sign | (113 - up) << 23 | (m << up & 1023) << 13);
}

LEAF_INLINE float
weight_f32(int32_t type, const uint8_t *row, size_t k)
{
    if (type == DECAI__F32) return f32_from(decai__load_le32(row + 4 * k));
    uint16_t h = decai__load_le16(row + 2 * k);
    return type == DECAI__F16 ? f16_to_f32(h) : f32_from((uint32_t)h << 16);
}

/* exp(x) for x <= 0: n = RNE(x/ln 2) through the 1.5*2^23 shift, r in two steps,
 * Taylor to r^7, exact scaling. Below -87 the result is +0. */
LEAF_INLINE float
leaf_exp(float x)
{
    float t = FMA(x, 0x1.715476p+0f, 0x1.8p+23f);
    float n = t - 0x1.8p+23f;
    float r = FMA(n, -0x1.62e400p-1f, x);
    r = FMA(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.a01a02p-13f;                                  /* 1/5040 */
    p = FMA(p, r, 0x1.6c16c2p-10f);                             /* 1/720 */
    p = FMA(p, r, 0x1.111112p-7f);                              /* 1/120 */
    p = FMA(p, r, 0x1.555556p-5f);                              /* 1/24 */
    p = FMA(p, r, 0x1.555556p-3f);                              /* 1/6 */
    p = FMA(p, r, 0.5f);
    p = FMA(p, r, 1.0f);
    p = FMA(p, r, 1.0f);
    float y = p * f32_from((f32_bits(t) - 0x4b400000u + 127u) << 23);
    return x < -87.0f ? 0.0f : y;
}

/* 1/x: integer seed (12 %), four Newton steps r += r*(1 - x*r). */
LEAF_INLINE float
leaf_recip(float x)
{
    float r = f32_from(0x7ef311c3u - f32_bits(x));
    for (int i = 0; i < 4; i++) r = FMA(r, FMA(-x, r, 1.0f), r);
    return r;
}

/* 1/sqrt(x): integer seed (3.5 %), four Newton steps r += r*(1/2 - x/2*r*r). */
LEAF_INLINE float
leaf_rsqrt(float x)
{
    float r = f32_from(0x5f3759dfu - (f32_bits(x) >> 1)), h = 0.5f * x;
    for (int i = 0; i < 4; i++) r = FMA(r, FMA(-h, r * r, 0.5f), r);
    return r;
}

LEAF_INLINE float
leaf_norm_factor(float sum, float inverse_cols, float eps)
{
    if (!(sum < 0x1p100f)) return f32_from(0x7fc00000u);
    return leaf_rsqrt(FMA(sum, inverse_cols, eps));
}

LEAF_INLINE float
leaf_silu_mul(float gate, float up)
{
    float e = leaf_exp(-__builtin_fabsf(gate));
    float r = leaf_recip(1.0f + e);
    float sigma = gate < 0.0f ? e * r : r;
    return (gate * sigma) * up;
}

LEAF_INLINE void
leaf_rope(float *x0, float *x1, float c, float s)
{
    float a = *x0, b = *x1;
    *x0 = FMA(a, c, -(b * s));
    *x1 = FMA(a, s, b * c);
}

#endif /* DECAI__LEAF_H */
