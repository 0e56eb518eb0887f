/* cl_pack.c - raw GGUF rows into what the OpenCL kernels read (kernels/_types.cl).
 *
 * Rows go in groups of 16, one lane a row; the last group is filled with zeros. The
 * codes of 32 elements of a group are one record, made of 64-byte words of four
 * bytes a lane:
 *
 *   4 bits  4 words: word j holds elements 4j..4j+3 in its low nibbles and
 *           16+4j..16+4j+3 in its high ones
 *   +1 bit  1 word more: in byte i, bit j is the fifth of element 4j+i and bit 4+j
 *           that of 16+4j+i (Q3_K: the third)
 *   2 bits  2 words: in byte i of the first, bits 2j and 2j+1 belong to element
 *           4j+i; of the second to 16+4j+i (Q6_K: bits 5 and 6, after 4 words)
 *   8 bits  8 words: word j is elements 4j..4j+3
 *
 * Q8_0's bytes are shifted by 128; every code is unsigned. Scales of a group stand
 * apart: by 32 elements D and the min's scale, int16 [16] each; K-quants by 256
 * elements the same, then sub-scales int8 [16 or 8][16] and mins likewise. */
#include <string.h>

#include "compute/cl_pack.h"

typedef struct block {               /* 32 or 256 elements of one row */
    uint8_t code[256];
    int8_t sc[16];
    uint8_t mn[16];
} block;

static const struct { int32_t type; decai__pack p; } packs[PACK_TYPES] = {
    /*                 elems raw bits high subs mins */
    { DECAI__Q4_0,   {  32,  18, 4, 0, 0,  false } },
    { DECAI__Q4_1,   {  32,  20, 4, 0, 0,  true } },
    { DECAI__Q5_0,   {  32,  22, 4, 1, 0,  false } },
    { DECAI__Q5_1,   {  32,  24, 4, 1, 0,  true } },
    { DECAI__Q8_0,   {  32,  34, 8, 0, 0,  false } },
    { DECAI__Q2_K,   { 256,  84, 0, 2, 16, true } },
    { DECAI__Q3_K,   { 256, 110, 0, 3, 16, false } },
    { DECAI__Q4_K,   { 256, 144, 4, 0, 8,  true } },
    { DECAI__Q5_K,   { 256, 176, 4, 1, 8,  true } },
    { DECAI__Q6_K,   { 256, 210, 4, 2, 16, false } },
    { DECAI__IQ4_NL, {  32,  18, 4, 0, 0,  false } },
    { DECAI__IQ4_XS, { 256, 136, 4, 0, 8,  false } },
    { DECAI__MXFP4,  {  32,  17, 4, 0, 0,  false } },
};

size_t
decai__pack_index(int32_t type)
{
    size_t i = 0;
    while (i < PACK_TYPES && packs[i].type != type) i++;
    return i;
}

const decai__pack *
decai__pack_of(int32_t type)
{
    size_t i = decai__pack_index(type);
    return i < PACK_TYPES ? &packs[i].p : NULL;
}

size_t
decai__pack_record(const decai__pack *p)
{
    static const size_t high[] = { 0, 64, 128, 192 };
    return (size_t)p->bits * 64 + high[p->high];
}

size_t
decai__pack_scales(const decai__pack *p)
{
    return (size_t)(p->mins ? 2 : 1) * (32 + (size_t)p->subs * 16);
}

/* ---- raw blocks ---------------------------------------------------------------- */

/* 16 bytes of nibbles: 0..15 low, 16..31 high; `high` adds a fifth bit from 32. */
static void
nibbles(uint8_t *code, const uint8_t *q, uint32_t high)
{
    for (size_t i = 0; i < 16; i++) {
        code[i] = (uint8_t)((q[i] & 15) | (high >> i & 1) << 4);
        code[i + 16] = (uint8_t)(q[i] >> 4 | (high >> (i + 16) & 1) << 4);
    }
}

/* The 6-bit scales and mins of Q4_K and Q5_K: 12 bytes for 8 of each. */
static void
six_bits(block *b, const uint8_t *p)
{
    for (size_t i = 0; i < 4; i++) {
        b->sc[i] = (int8_t)(p[i] & 63);
        b->mn[i] = p[i + 4] & 63;
        b->sc[i + 4] = (int8_t)((p[i + 8] & 15) | (p[i] >> 6) << 4);
        b->mn[i + 4] = (uint8_t)(p[i + 8] >> 4 | (p[i + 4] >> 6) << 4);
    }
}

/* 32 bytes hold 64 codes: low nibbles, then high; high bits 2c and 2c+1 of qh. */
static void
decode_q4_k(block *b, const uint8_t *raw, const uint8_t *q, const uint8_t *qh)
{
    six_bits(b, raw + 4);
    for (size_t c = 0; c < 4; c++)
        for (size_t i = 0; i < 32; i++) {
            uint8_t v = q[c * 32 + i];
            uint32_t h = qh ? (uint32_t)qh[i] >> (2 * c) : 0;
            b->code[c * 64 + i] = (uint8_t)((v & 15) | (h & 1) << 4);
            b->code[c * 64 + 32 + i] = (uint8_t)(v >> 4 | (h >> 1 & 1) << 4);
        }
}

static void
decode_q2_k(block *b, const uint8_t *raw)
{
    for (size_t i = 0; i < 16; i++) {
        b->sc[i] = (int8_t)(raw[i] & 15);
        b->mn[i] = raw[i] >> 4;
    }
    for (size_t k = 0; k < 256; k++)
        b->code[k] = raw[16 + k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3;
}

/* Sub-scale i, 6 bits: the low four from byte i % 8, the high two from byte 8 + i % 4. */
static void
decode_q3_k(block *b, const uint8_t *raw)
{
    const uint8_t *s = raw + 96;
    for (size_t i = 0; i < 16; i++) {
        uint32_t low = s[i % 8] >> (i / 8 * 4) & 15u, high = s[8 + i % 4] >> (i / 4 * 2) & 3u;
        b->sc[i] = (int8_t)((int32_t)(low | high << 4) - 32);
    }
    for (size_t k = 0; k < 256; k++) {
        uint32_t low = raw[32 + k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3u;
        b->code[k] = (uint8_t)(low | (raw[k % 32] >> (k / 32) & 1u) << 2);
    }
}

static void
decode_q6_k(block *b, const uint8_t *raw)
{
    memcpy(b->sc, raw + 192, 16);
    for (size_t k = 0; k < 256; k++) {
        size_t half = k / 128, part = k % 128 / 32, i = k % 32;
        uint32_t low = raw[half * 64 + part % 2 * 32 + i] >> (part / 2 * 4) & 15u;
        uint32_t high = raw[128 + half * 32 + i] >> (part * 2) & 3u;
        b->code[k] = (uint8_t)(low | high << 4);
    }
}

static void
decode_iq4_xs(block *b, const uint8_t *raw)
{
    uint32_t high = decai__load_le16(raw + 2);
    for (size_t i = 0; i < 8; i++) {
        uint32_t low = raw[4 + i / 2] >> (i % 2 * 4) & 15u;
        b->sc[i] = (int8_t)((int32_t)(low | (high >> (2 * i) & 3u) << 4) - 32);
        nibbles(b->code + 32 * i, raw + 8 + 16 * i, 0);
    }
}

static void
decode(block *b, int32_t type, const uint8_t *raw)
{
    switch (type) {
    case DECAI__Q4_0: case DECAI__IQ4_NL: nibbles(b->code, raw + 2, 0); break;
    case DECAI__MXFP4: nibbles(b->code, raw + 1, 0); break;
    case DECAI__Q4_1: nibbles(b->code, raw + 4, 0); break;
    case DECAI__Q5_0: nibbles(b->code, raw + 6, decai__load_le32(raw + 2)); break;
    case DECAI__Q5_1: nibbles(b->code, raw + 8, decai__load_le32(raw + 4)); break;
    case DECAI__Q8_0: for (size_t i = 0; i < 32; i++) b->code[i] = raw[2 + i] ^ 0x80; break;
    case DECAI__Q2_K: decode_q2_k(b, raw); break;
    case DECAI__Q3_K: decode_q3_k(b, raw); break;
    case DECAI__Q4_K: decode_q4_k(b, raw, raw + 16, NULL); break;
    case DECAI__Q5_K: decode_q4_k(b, raw, raw + 48, raw + 16); break;
    case DECAI__Q6_K: decode_q6_k(b, raw); break;
    default: decode_iq4_xs(b, raw); break;
    }
}

/* ---- records ------------------------------------------------------------------------ */

/* `record` starts at the lane's four bytes of the first word. */
static void
scatter(uint8_t *record, const uint8_t *code, const decai__pack *p)
{
    uint8_t *high = record + (size_t)p->bits * 64;
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < 4; i++) {
            uint8_t a = code[4 * j + i], b = code[16 + 4 * j + i];
            if (p->bits == 8) {
                record[64 * j + i] = a;
                record[256 + 64 * j + i] = b;
            }
            if (p->bits == 4) record[64 * j + i] = (uint8_t)((a & 15) | b << 4);
            if (p->high == 1) high[i] |= (uint8_t)((a >> 4 & 1) << j | (b >> 4 & 1) << (4 + j));
            if (p->high >= 2) {
                high[i] |= (uint8_t)((a >> p->bits & 3) << (2 * j));
                high[64 + i] |= (uint8_t)((b >> p->bits & 3) << (2 * j));
            }
            if (p->high == 3) high[128 + i] |= (uint8_t)((a >> 2 & 1) << j | (b >> 2 & 1) << (4 + j));
        }
}

static void
store_i16(uint8_t *p, int32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)((uint32_t)v >> 8);
}

static void
pack_block(uint8_t *quants, uint8_t *scales, const decai__pack *p, const block *b, size_t lane, int32_t d, int32_t m)
{
    size_t record = decai__pack_record(p), wide = p->mins ? 64 : 32;
    for (size_t k = 0; k < p->elements; k += 32) scatter(quants + k / 32 * record + lane * 4, b->code + k, p);
    store_i16(scales + lane * 2, d);
    if (p->mins) store_i16(scales + 32 + lane * 2, m);
    for (size_t i = 0; i < (size_t)p->subs; i++) {
        scales[wide + i * PACK_ROWS + lane] = (uint8_t)b->sc[i];
        if (p->mins) scales[wide + ((size_t)p->subs + i) * PACK_ROWS + lane] = b->mn[i];
    }
}

void
decai__pack_row(uint8_t *quants, uint8_t *scales, int32_t type, const uint8_t *raw, int32_t exponent,
    size_t cols, size_t lane)
{
    const decai__pack *p = decai__pack_of(type);
    size_t record = decai__pack_record(p) * (p->elements / 32), each = decai__pack_scales(p);
    block b = { 0 };
    for (size_t i = 0; i < cols / p->elements; i++) {
        decode(&b, type, raw + i * p->raw);
        int32_t d = decai__leaf_block_scale(type, raw, i, exponent);
        int32_t m = p->mins ? decai__leaf_block_min(type, raw, i, exponent) : 0;
        pack_block(quants + i * record, scales + i * each, p, &b, lane, d, m);
    }
}
