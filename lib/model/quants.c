/* quants.c - blocks of quantised weights as floats, the reference of all others.
 *
 *     32 weights a block                                          bytes
 *     Q4_0    f16 d; 16 nibble bytes                 d (q - 8)       18
 *     Q4_1    f16 d, m; 16 nibble bytes              d q + m         20
 *     Q5_0    f16 d; u32 high bits; 16 nibble bytes  d (q - 16)      22
 *     Q5_1    f16 d, m; u32 high; 16 nibble bytes    d q + m         24
 *     Q8_0    f16 d; 32 x i8                         d q             34
 *     IQ4_NL  f16 d; 16 nibble bytes                 d t[q]          18
 *     MXFP4   u8 e; 16 nibble bytes                  2^(e-128) u[q]  17
 *     256 weights a block, K-quants: scales of their own every 16 or 32
 *     Q2_K    16 x (4 bit sc, 4 bit mn); 64 x 2 bit; f16 d, dmin             84
 *     Q3_K    32 high-bit bytes; 64 x 2 bit; 16 x 6 bit sc; f16 d           110
 *     Q4_K    f16 d, dmin; 8 x (6 bit sc, 6 bit mn); 128 nibble bytes       144
 *     Q5_K    f16 d, dmin; 8 x (6, 6 bit); 32 high-bit bytes; 128 nibbles   176
 *     Q6_K    128 nibble bytes; 64 x 2 high bits; 16 x i8 sc; f16 d         210
 *     IQ4_XS  f16 d; u16 high scales; 4 low scales; 128 nibble bytes        136
 *
 * Nibbles of a 32-group: the low ones are elements 0..15, the high ones 16..31.
 * K-quants put groups further apart: see each function.
 *
 * Sources: ggml's block structs (ggml-common.h), and the OCP Microscaling
 * Formats v1.0 for MXFP4's e2m1 numbers, doubled here so that they are whole.
 *
 * Every value is what the format's reference computes, bit for bit: the scale
 * of a group first (exact in a float: 11 + 6 bits), its product with the quant
 * second, the minimum subtracted last, each rounded once. Only that last
 * subtraction (or addition of m) can round at all. */
#include <string.h>

#include "model/internal.h"

/* IQ4's sixteen levels: spaced for weights that are normally distributed. */
static const int8_t LEVELS[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
/* e2m1 times two; the upper half is the lower one negated, -0 is 0. */
static const int8_t E2M1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

static float
half(const uint8_t *p)
{
    return decai__half_to_f32(decai__load_le16(p));
}

/* ---- blocks of 32 ---------------------------------------------------------- */

/* Quant i of 32 nibbles. */
static int
nibble(const uint8_t *q, int i)
{
    return i < 16 ? q[i] & 15 : q[i - 16] >> 4;
}

static void
block_q8_0(const uint8_t *b, float *out)
{
    float d = half(b);
    for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)b[2 + i];
}

static void
block_q4_0(const uint8_t *b, float *out)
{
    float d = half(b);
    for (int i = 0; i < 32; i++) out[i] = d * (float)(nibble(b + 2, i) - 8);
}

static void
block_q4_1(const uint8_t *b, float *out)
{
    float d = half(b), m = half(b + 2);
    for (int i = 0; i < 32; i++) {
        float p = d * (float)nibble(b + 4, i);
        out[i] = p + m;
    }
}

static void
block_q5_0(const uint8_t *b, float *out)
{
    float d = half(b);
    uint32_t high = decai__load_le32(b + 2);
    for (int i = 0; i < 32; i++) out[i] = d * (float)((nibble(b + 6, i) | (int)(high >> i & 1) << 4) - 16);
}

static void
block_q5_1(const uint8_t *b, float *out)
{
    float d = half(b), m = half(b + 2);
    uint32_t high = decai__load_le32(b + 4);
    for (int i = 0; i < 32; i++) {
        float p = d * (float)(nibble(b + 8, i) | (int)(high >> i & 1) << 4);
        out[i] = p + m;
    }
}

static void
block_iq4_nl(const uint8_t *b, float *out)
{
    float d = half(b);
    for (int i = 0; i < 32; i++) out[i] = d * (float)LEVELS[nibble(b + 2, i)];
}

/* 2^(e - 128): half of e8m0's 2^(e - 127), for E2M1 is doubled. The two lowest
 * are subnormal floats. e = 255, NaN in the OCP text, is 2^127 in ggml. */
static float
e8m0_half(uint8_t e)
{
    uint32_t bits = e < 2 ? (uint32_t)0x00200000 << e : (uint32_t)(e - 1) << 23;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static void
block_mxfp4(const uint8_t *b, float *out)
{
    float d = e8m0_half(b[0]);
    for (int i = 0; i < 32; i++) out[i] = d * (float)E2M1[nibble(b + 1, i)];
}

/* ---- blocks of 256 --------------------------------------------------------- */

/* Byte 32 h + l holds, two bits each, elements 128 h + 32 j + l for j = 0..3. */
static void
block_q2_k(const uint8_t *b, float *out)
{
    const uint8_t *scale = b, *q = b + 16;
    float d = half(b + 80), dmin = half(b + 82);
    for (int i = 0; i < 256; i++) {
        float sc = d * (float)(scale[i / 16] & 15), mn = dmin * (float)(scale[i / 16] >> 4);
        float p = sc * (float)(q[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3);
        out[i] = p - mn;
    }
}

/* Sixteen 6-bit scales in 12 bytes: low nibbles in the first 8, two high bits
 * of scale j in byte 8 + j % 4. */
static int
scale_q3_k(const uint8_t *s, int j)
{
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    return low | (s[8 + j % 4] >> (j / 4 * 2) & 3) << 4;
}

/* The low two bits lie as in Q2_K; bit i / 32 of high byte i % 32 is the third,
 * and 4 is taken off where it is NOT set. */
static void
block_q3_k(const uint8_t *b, float *out)
{
    const uint8_t *high = b, *q = b + 32, *scale = b + 96;
    float d = half(b + 108);
    for (int i = 0; i < 256; i++) {
        float sc = d * (float)(scale_q3_k(scale, i / 16) - 32);
        int low = q[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        out[i] = sc * (float)(low - (high[i % 32] >> (i / 32) & 1 ? 0 : 4));
    }
}

/* Eight 6-bit scales and eight minima in 12 bytes: 0..3 stand whole in bytes
 * 0..3 and 4..7; 4..7 have their low nibbles in bytes 8..11 and their two high
 * bits on top of the former. */
static void
scale_q4_k(const uint8_t *s, int j, int *sc, int *mn)
{
    if (j < 4) {
        *sc = s[j] & 63;
        *mn = s[j + 4] & 63;
    } else {
        *sc = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *mn = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

/* Q4_K and Q5_K: nibbles of 64-groups in 32 bytes, low ones first; bit i / 32
 * of high byte i % 32 is the fifth. `high` is NULL for Q4_K. */
static void
block_q45_k(const uint8_t *b, const uint8_t *high, const uint8_t *q, float *out)
{
    float d = half(b), dmin = half(b + 2);
    for (int j = 0; j < 8; j++) {
        int sc, mn;
        scale_q4_k(b + 4, j, &sc, &mn);
        float dl = d * (float)sc, ml = dmin * (float)mn;
        for (int i = 0; i < 32; i++) {
            int v = q[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
            if (high) v |= (high[i] >> j & 1) << 4;
            float p = dl * (float)v;
            out[32 * j + i] = p - ml;
        }
    }
}

static void
block_q4_k(const uint8_t *b, float *out)
{
    block_q45_k(b, NULL, b + 16, out);
}

static void
block_q5_k(const uint8_t *b, float *out)
{
    block_q45_k(b, b + 16, b + 48, out);
}

/* Each half of 128: 64 nibble bytes hold elements l, l + 32 low and l + 64,
 * l + 96 high; 32 bytes hold the upper two bits of l, l + 32, l + 64, l + 96. */
static void
block_q6_k(const uint8_t *b, float *out)
{
    const uint8_t *low = b, *high = b + 128, *scale = b + 192;
    float d = half(b + 208);
    for (int i = 0; i < 256; i++) {
        int h = i / 128, j = i / 32 % 4, l = i % 32;
        int v = low[64 * h + j % 2 * 32 + l] >> (j / 2 * 4) & 15;
        v |= (high[32 * h + l] >> (2 * j) & 3) << 4;
        float sc = d * (float)(int8_t)scale[i / 16];
        out[i] = sc * (float)(v - 32);
    }
}

/* Eight 32-groups of IQ4_NL's nibbles, each with a 6-bit scale minus 32. */
static void
block_iq4_xs(const uint8_t *b, float *out)
{
    float d = half(b);
    uint32_t high = decai__load_le16(b + 2);
    for (int j = 0; j < 8; j++) {
        int sc = (b[4 + j / 2] >> (j % 2 * 4) & 15) | (int)(high >> (2 * j) & 3) << 4;
        float dl = d * (float)(sc - 32);
        for (int i = 0; i < 32; i++) out[32 * j + i] = dl * (float)LEVELS[nibble(b + 8 + 16 * j, i)];
    }
}

/* ---- rows -------------------------------------------------------------------- */

typedef void block_fn(const uint8_t *block, float *out);

static block_fn *
block_of(uint32_t type)
{
    switch (type) {
    case DECAI_TENSOR_Q4_0: return block_q4_0;
    case DECAI_TENSOR_Q4_1: return block_q4_1;
    case DECAI_TENSOR_Q5_0: return block_q5_0;
    case DECAI_TENSOR_Q5_1: return block_q5_1;
    case DECAI_TENSOR_Q8_0: return block_q8_0;
    case DECAI_TENSOR_Q2_K: return block_q2_k;
    case DECAI_TENSOR_Q3_K: return block_q3_k;
    case DECAI_TENSOR_Q4_K: return block_q4_k;
    case DECAI_TENSOR_Q5_K: return block_q5_k;
    case DECAI_TENSOR_Q6_K: return block_q6_k;
    case DECAI_TENSOR_IQ4_NL: return block_iq4_nl;
    case DECAI_TENSOR_IQ4_XS: return block_iq4_xs;
    case DECAI_TENSOR_MXFP4: return block_mxfp4;
    default: return NULL;
    }
}

void
decai__quants_to_f32(uint32_t type, const uint8_t *data, uint64_t count, float *out)
{
    const decai__type_info *info = decai__tensor_type(type);
    block_fn *block = block_of(type);
    decai__assert(info && block && count % info->block == 0);
    for (uint64_t i = 0; i < count / info->block; i++) block(data + info->bytes * i, out + info->block * i);
}
