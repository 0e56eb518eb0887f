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

#define GRID_BITS 21                 /* |G| <= 2^21 */
#define ABS_LIMIT_BITS 0x5d800000u   /* 2^60 as f32 bits: refused from here on */
#define ABS_ZERO_BITS 0x21800000u    /* 2^-60: a token below this is zero */
#define F16_OVERFLOW_BITS 0x477ff000u /* 65520: rounds to an f16 infinity from here on */

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

/* ---- floats (§5-§14) ------------------------------------------------------- */

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

/* To nearest even, subnormals kept; from 65520 on: infinity. */
LEAF_INLINE uint16_t
f32_to_f16(float x)
{
    uint32_t u = f32_bits(x), a = u & 0x7fffffffu, sign = u >> 16 & 0x8000u, h;
    if (a > 0x7f800000u) h = 0x7e00;
    else if (a >= F16_OVERFLOW_BITS) h = 0x7c00;
    else if (a >= 0x38800000u) h = (uint32_t)rne_shift(a - 0x38000000u, 13);
    else if (a >= 0x00800000u) h = (uint32_t)rne_shift((a & 0x7fffff) | 0x800000, 126 - (a >> 23));
    else h = 0;
    return (uint16_t)(sign | h);
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

/* 1/(1 + exp(-x)). */
LEAF_INLINE float
leaf_sigmoid(float x)
{
    float e = leaf_exp(-__builtin_fabsf(x));
    float r = leaf_recip(1.0f + e);
    return x < 0.0f ? e * r : r;
}

/* Below 0.625 an odd polynomial, above it (1 - t)/(1 + t) with t = exp(-2|x|). */
LEAF_INLINE float
leaf_tanh(float x)
{
    float a = __builtin_fabsf(x), z = a * a;
    float p = -0x1.76abf6p-8f;
    p = FMA(p, z, 0x1.5256cep-6f);
    p = FMA(p, z, -0x1.b84448p-5f);
    p = FMA(p, z, 0x1.110768p-3f);
    p = FMA(p, z, -0x1.555534p-2f);
    float small = FMA(p * z, a, a);
    float t = leaf_exp(-2.0f * a);
    float y = a < 0.625f ? small : (1.0f - t) * leaf_recip(1.0f + t);
    return f32_from(f32_bits(y) | (f32_bits(x) & 0x80000000u));
}

/* Below 1 an odd polynomial, above it 1 - exp(p), p fitted to ln erfc; from 4 on 1. */
LEAF_INLINE float
leaf_erf(float x)
{
    float a = __builtin_fabsf(x), z = a * a;
    float p = 0x1.496a28p-14f;
    p = FMA(p, z, -0x1.a3f6fcp-11f);
    p = FMA(p, z, 0x1.5405b2p-8f);
    p = FMA(p, z, -0x1.b7f90cp-6f);
    p = FMA(p, z, 0x1.ce2cf8p-4f);
    p = FMA(p, z, -0x1.81273ep-2f);
    p = FMA(p, z, 0x1.06eba8p-3f);                              /* 2/sqrt(pi) - 1 */
    float small = FMA(p, a, a);
    float q = -0x1.6bd850p-16f;
    q = FMA(q, a, 0x1.cec654p-12f);
    q = FMA(q, a, -0x1.138cd8p-8f);
    q = FMA(q, a, 0x1.9d0318p-6f);
    q = FMA(q, a, -0x1.bc151ep-4f);
    q = FMA(q, a, -0x1.443566p-1f);
    q = FMA(q, a, -0x1.212c0ep+0f);
    q = FMA(q, a, 0x1.8a5954p-13f);
    float y = a < 1.0f ? small : a < 4.0f ? 1.0f - leaf_exp(q) : 1.0f;
    return f32_from(f32_bits(y) | (f32_bits(x) & 0x80000000u));
}

LEAF_INLINE float
leaf_gelu_tanh(float x)
{
    float u = x * x;
    float t = (0x1.988454p-1f * x) * FMA(u, 0x1.6e4e26p-5f, 1.0f);  /* sqrt(2/pi), 0.044715 */
    return (0.5f * x) * (1.0f + leaf_tanh(t));
}

LEAF_INLINE float
leaf_gelu_erf(float x)
{
    return (0.5f * x) * (1.0f + leaf_erf(x * 0x1.6a09e6p-1f));      /* 1/sqrt(2) */
}

LEAF_INLINE float
leaf_oai_gate(float gate)
{
    float g = gate > 7.0f ? 7.0f : gate;
    return g * leaf_sigmoid(0x1.b3b646p+0f * g);                    /* 1.702 */
}

LEAF_INLINE float
leaf_activation(int32_t kind, float gate)
{
    switch (kind) {
    case DECAI__GLU_SILU: return gate * leaf_sigmoid(gate);
    case DECAI__GLU_GELU_TANH: return leaf_gelu_tanh(gate);
    case DECAI__GLU_GELU_ERF: return leaf_gelu_erf(gate);
    default: return leaf_oai_gate(gate);
    }
}

LEAF_INLINE float
leaf_glu(int32_t kind, float gate, float up)
{
    if (kind == DECAI__GLU_OAI) up = (up > 7.0f ? 7.0f : up < -7.0f ? -7.0f : up) + 1.0f;
    return leaf_activation(kind, gate) * up;
}

LEAF_INLINE float
leaf_softcap(float x, float cap, float inverse)
{
    return cap * leaf_tanh(x * inverse);
}

/* One 32-block (the last of a head may be short) of a Q8_0 cache: its f16 scale, a
 * 127th of the largest. Where f16 runs out of bits the next power of two instead,
 * 2^-24 at least: so what was read from a cache goes in again unchanged. */
LEAF_INLINE uint16_t
leaf_kv_scale(uint32_t largest_bits)
{
    float v = f32_from(largest_bits) * 0x1.020408p-7f;              /* RN(1/127) */
    if (v >= 0x1p-14f) return f32_to_f16(v);
    int32_t up = (int32_t)((f32_bits(v) + 0x7fffffu) >> 23) - 127 + 24;
    return (uint16_t)(1 << (up > 0 ? up : 0));
}

LEAF_INLINE int8_t
leaf_kv_quant(float x, float inverse)
{
    float t = x * inverse + 0x1.8p+23f;
    float q = t - 0x1.8p+23f;
    return (int8_t)(q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q);
}

LEAF_INLINE void
leaf_rope(float *x0, float *x1, float c, float s)
{
    float a = *x0, b = *x1;
    *x0 = FMA(a, c, -(b * s));
    *x1 = FMA(a, s, b * c);
}

#endif /* DECAI__LEAF_H */
