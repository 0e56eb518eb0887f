/* types.c - the tensor types that are read, and their values as floats.
 *
 * F32 is four bytes an element, F16 and BF16 are two; all others are blocks of
 * 32 or 256 elements (quants.c). A row is always whole blocks.
 *
 * Source: the GGUF description, docs/gguf.md, and ggml's type numbers. */
#include <string.h>

#include "model/internal.h"

static const struct { uint32_t id; decai__type_info info; } TYPES[] = {
    { DECAI_TENSOR_F32,    { "F32",    1,   4 } },
    { DECAI_TENSOR_F16,    { "F16",    1,   2 } },
    { DECAI_TENSOR_Q4_0,   { "Q4_0",   32,  18 } },
    { DECAI_TENSOR_Q4_1,   { "Q4_1",   32,  20 } },
    { DECAI_TENSOR_Q5_0,   { "Q5_0",   32,  22 } },
    { DECAI_TENSOR_Q5_1,   { "Q5_1",   32,  24 } },
    { DECAI_TENSOR_Q8_0,   { "Q8_0",   32,  34 } },
    { DECAI_TENSOR_Q2_K,   { "Q2_K",   256, 84 } },
    { DECAI_TENSOR_Q3_K,   { "Q3_K",   256, 110 } },
    { DECAI_TENSOR_Q4_K,   { "Q4_K",   256, 144 } },
    { DECAI_TENSOR_Q5_K,   { "Q5_K",   256, 176 } },
    { DECAI_TENSOR_Q6_K,   { "Q6_K",   256, 210 } },
    { DECAI_TENSOR_IQ4_NL, { "IQ4_NL", 32,  18 } },
    { DECAI_TENSOR_IQ4_XS, { "IQ4_XS", 256, 136 } },
    { DECAI_TENSOR_BF16,   { "BF16",   1,   2 } },
    { DECAI_TENSOR_MXFP4,  { "MXFP4",  32,  17 } },
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

void
decai__row_to_f32(uint32_t type, const uint8_t *data, uint64_t count, float *out)
{
    switch (type) {
    case DECAI_TENSOR_F32:
        memcpy(out, data, (size_t)count * 4);
        return;
    case DECAI_TENSOR_F16:
        for (uint64_t i = 0; i < count; i++) out[i] = decai__half_to_f32(decai__load_le16(data + 2 * i));
        return;
    case DECAI_TENSOR_BF16:
        for (uint64_t i = 0; i < count; i++) out[i] = from_bits((uint32_t)decai__load_le16(data + 2 * i) << 16);
        return;
    default:
        decai__quants_to_f32(type, data, count, out);
    }
}

void
decai__tensor_row(const decai__tensor *t, uint64_t row, float *out)
{
    decai__assert(row < t->elements / t->dims[0]);
    decai__row_to_f32(t->type, t->data + row * t->row_size, t->dims[0], out);
}
