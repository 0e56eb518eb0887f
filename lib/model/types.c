/* types.c - the tensor types that are read, and their values as floats.
 *
 *     F32   4 bytes                      F16, BF16  2 bytes
 *     Q8_0  block of 32: f16 d, 32 x i8            x = d * q
 *     Q4_0  block of 32: f16 d, 16 bytes           x = d * (q - 8)
 *           low nibbles are elements 0..15, high ones 16..31
 *
 * Source: the GGUF description, docs/gguf.md, and ggml's block structs. Every
 * value here is exact: an f16 has 11 significant bits and a quant at most 8. */
#include <string.h>

#include "model/internal.h"

static const struct { uint32_t id; decai__type_info info; } TYPES[] = {
    { DECAI_TENSOR_F32,  { "F32",  1,  4 } },
    { DECAI_TENSOR_F16,  { "F16",  1,  2 } },
    { DECAI_TENSOR_Q4_0, { "Q4_0", 32, 18 } },
    { DECAI_TENSOR_Q8_0, { "Q8_0", 32, 34 } },
    { DECAI_TENSOR_BF16, { "BF16", 1,  2 } },
};

const decai__type_info *
decai__tensor_type(uint32_t type)
{
    for (size_t i = 0; i < DECAI__COUNT(TYPES); i++)
        if (TYPES[i].id == type) return &TYPES[i].info;
    return NULL;
}

static float
from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint32_t
to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

float
decai__half_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, mag = h & 0x7fff;
    if (mag >= 0x7c00) return from_bits(sign | 0x7f800000 | (mag & 0x3ff) << 13);
    if (mag >= 0x400) return from_bits(sign | ((mag << 13) + (112u << 23)));
    /* Zero and subnormals: mag units of 2^-24, exact in a float. */
    return from_bits(sign | to_bits((float)mag * 0x1p-24f));
}

uint16_t
decai__f32_to_f16(float f)
{
    uint32_t bits = to_bits(f), sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
    if (mag > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (mag >= 0x477ff000) return (uint16_t)(sign | 0x7c00);     /* 65520 and up round to infinity */
    if (mag >= 0x38800000)
        return (uint16_t)(sign | (mag - 0x38000000 + 0xfff + (mag >> 13 & 1)) >> 13);
    /* Below 2^-14 the result counts units of 2^-24: shift the significand down
     * and round to even by hand. Below 2^-25 nothing is left. */
    if (mag <= 0x33000000) return (uint16_t)sign;
    uint32_t shift = 126 - (mag >> 23), m = (mag & 0x7fffff) | 0x800000;
    uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    return (uint16_t)(sign | (q + (rest > half || (rest == half && (q & 1)))));
}

static void
block_q8_0(const uint8_t *block, float *out)
{
    float d = decai__half_to_f32(decai__load_le16(block));
    for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)block[2 + i];
}

static void
block_q4_0(const uint8_t *block, float *out)
{
    float d = decai__half_to_f32(decai__load_le16(block));
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)((block[2 + i] & 15) - 8);
        out[i + 16] = d * (float)((block[2 + i] >> 4) - 8);
    }
}

void
decai__tensor_row(const decai__tensor *t, uint64_t row, float *out)
{
    decai__assert(row < t->elements / t->dims[0]);
    const uint8_t *p = t->data + row * t->row_size;
    uint64_t n = t->dims[0];
    switch (t->type) {
    case DECAI_TENSOR_F32:
        memcpy(out, p, t->row_size);
        return;
    case DECAI_TENSOR_F16:
        for (uint64_t i = 0; i < n; i++) out[i] = decai__half_to_f32(decai__load_le16(p + 2 * i));
        return;
    case DECAI_TENSOR_BF16:
        for (uint64_t i = 0; i < n; i++) out[i] = from_bits((uint32_t)decai__load_le16(p + 2 * i) << 16);
        return;
    case DECAI_TENSOR_Q8_0:
        for (uint64_t i = 0; i < n / 32; i++) block_q8_0(p + 34 * i, out + 32 * i);
        return;
    default:
        decai__assert(t->type == DECAI_TENSOR_Q4_0);
        for (uint64_t i = 0; i < n / 32; i++) block_q4_0(p + 18 * i, out + 32 * i);
        return;
    }
}
