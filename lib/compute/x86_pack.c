/* x86_pack.c - raw GGUF rows into groups of sixteen (x86.h).
 *
 * A record is one block of each of the sixteen rows:
 *
 *     scales     D i16[16], and Dm i16[16] where the type has mins;
 *                MXFP4: log2 D, i8[16], negative: D is 0
 *     sub-scales as lines too, four bytes a row: Q2_K, Q6_K 4 lines, Q3_K Q4_K Q5_K
 *                3 (still in their 6 bits), IQ4_XS 2 (ls - 32)
 *     quants     the block's bytes as lines. Q5_0 Q5_1: 64 bytes of high bits first
 *                (fifth_bits). Q3_K, line by line: high bits, first half, second
 *                half; Q5_K: high bits, four quarters; Q6_K, each half line by
 *                line: two of low bits, one of high. So a record is read from its
 *                first byte to its last, which is what the hardware prefetches
 *
 * GGUF keeps elements i and i + 16 (or i + 32, ...) in one byte, so a line of
 * bytes unpacks into whole lines of quants by shifts and masks alone: packing is
 * a transposition and a record is as large as sixteen blocks (MXFP4 the same;
 * IQ4_XS 2 bytes a row more). */
#include <string.h>

#include "compute/x86.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,f16c")))

static const x86_form FORMS[] = {
    { DECAI__Q4_0, 1, 32, 8, 8, false, 18, 288 },    { DECAI__Q4_1, 1, 32, 0, 8, true, 20, 320 },
    { DECAI__Q5_0, 1, 32, 16, 8, false, 22, 352 },   { DECAI__Q5_1, 1, 32, 16, 8, true, 24, 384 },
    { DECAI__Q8_0, 1, 32, 128, 1, false, 34, 544 },  { DECAI__IQ4_NL, 1, 32, 128, 1, false, 18, 288 },
    { DECAI__MXFP4, 1, 32, 12, 8, false, 17, 272 },  { DECAI__Q2_K, 8, 16, 0, 4, true, 84, 1344 },
    { DECAI__Q3_K, 8, 16, 4, 4, false, 110, 1760 },  { DECAI__Q4_K, 8, 32, 0, 8, true, 144, 2304 },
    { DECAI__Q5_K, 8, 32, 0, 4, true, 176, 2816 },   { DECAI__Q6_K, 8, 16, 32, 4, false, 210, 3360 },
    { DECAI__IQ4_XS, 8, 32, 128, 1, false, 136, 2208 },
};

const x86_form *
decai__x86_form_of(int32_t type)
{
    for (size_t i = 0; i < DECAI__COUNT(FORMS); i++)
        if (FORMS[i].type == type) return &FORMS[i];
    return NULL;
}

typedef const uint8_t *const *blocks;    /* the same block of the sixteen rows */

/* ---- transpositions --------------------------------------------------------- */

/* Four words from at of every row: row r's word t to lane r of the line at t * step. */
AVX2 static void
four_lines(uint8_t *to, size_t step, blocks b, size_t at)
{
    for (size_t r = 0; r < X86_ROWS; r += 4) {
        __m128i v[4], x[4];
        for (size_t i = 0; i < 4; i++) v[i] = _mm_loadu_si128((const __m128i *)(const void *)(b[r + i] + at));
        x[0] = _mm_unpacklo_epi32(v[0], v[1]);
        x[1] = _mm_unpacklo_epi32(v[2], v[3]);
        x[2] = _mm_unpackhi_epi32(v[0], v[1]);
        x[3] = _mm_unpackhi_epi32(v[2], v[3]);
        _mm_storeu_si128((__m128i *)(void *)(to + 4 * r), _mm_unpacklo_epi64(x[0], x[1]));
        _mm_storeu_si128((__m128i *)(void *)(to + step + 4 * r), _mm_unpackhi_epi64(x[0], x[1]));
        _mm_storeu_si128((__m128i *)(void *)(to + 2 * step + 4 * r), _mm_unpacklo_epi64(x[2], x[3]));
        _mm_storeu_si128((__m128i *)(void *)(to + 3 * step + 4 * r), _mm_unpackhi_epi64(x[2], x[3]));
    }
}

/* `bytes` bytes from at, a multiple of 16, of every row as lines, `step` apart. */
AVX2 static void
lines_apart(uint8_t *to, size_t step, blocks b, size_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 16) four_lines(to + i / 4 * step, step, b, at + i);
}

AVX2 static void
lines(uint8_t *to, blocks b, size_t at, size_t bytes)
{
    lines_apart(to, 64, b, at, bytes);
}

/* The same for any number of words. Returns past the lines. */
static uint8_t *
words(uint8_t *to, blocks b, size_t at, size_t count)
{
    for (size_t t = 0; t < count; t++)
        for (size_t r = 0; r < X86_ROWS; r++) memcpy(to + 64 * t + 4 * r, b[r] + at + 4 * t, 4);
    return to + 64 * count;
}

/* ---- scales --------------------------------------------------------------------- */

/* D = RNE(d * 2^-F): the product is exact in f32, the conversion rounds. */
AVX2 static uint8_t *
align16(uint8_t *to, blocks b, size_t at, const float grid[X86_ROWS])
{
    uint16_t h[X86_ROWS];
    for (size_t r = 0; r < X86_ROWS; r++) memcpy(&h[r], b[r] + at, 2);
    for (size_t r = 0; r < X86_ROWS; r += 8) {
        __m256 d = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(h + r)));
        __m256i v = _mm256_cvtps_epi32(_mm256_mul_ps(d, _mm256_loadu_ps(grid + r)));
        __m128i p = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storeu_si128((__m128i *)(void *)(to + 2 * r), p);
    }
    return to + 2 * X86_ROWS;
}

static uint8_t *
powers(uint8_t *to, blocks b, const int32_t exponents[X86_ROWS])
{
    for (size_t r = 0; r < X86_ROWS; r++) {
        int32_t power = (int32_t)b[r][0] - 128 - exponents[r];
        to[r] = (uint8_t)(int8_t)DECAI__MAX(power, -1);
    }
    return to + X86_ROWS;
}

/* Bit 4t + e of row r to bit i % 8 of byte 32 (i / 8) + 4 (r % 8) + e, i = 2t + r / 8
 * the number of its half line: half line i is then found by one shift. */
static uint8_t *
fifth_bits(uint8_t *to, blocks b, size_t at)
{
    uint32_t out[16] = { 0 };
    for (size_t r = 0; r < X86_ROWS; r++) {
        uint32_t bits = decai__load_le32(b[r] + at);
        for (size_t t = 0; t < 8; t++) {
            size_t i = 2 * t + r / 8;
            uint32_t four = (bits >> (4 * t) & 15) * 0x00204081u & 0x01010101u;  /* a bit a byte */
            out[8 * (i / 8) + r % 8] |= four << (i % 8);
        }
    }
    memcpy(to, out, sizeof out);
    return to + sizeof out;
}

static uint8_t *
iq4_scales(uint8_t *to, blocks b)
{
    for (size_t r = 0; r < X86_ROWS; r++) {
        uint32_t high = decai__load_le16(b[r] + 2);
        for (size_t j = 0; j < 8; j++) {
            uint32_t ls = (b[r][4 + j / 2] >> (4 * (j % 2)) & 15u) | (high >> (2 * j) & 3u) << 4;
            to[64 * (j / 4) + 4 * r + j % 4] = (uint8_t)(ls - 32);
        }
    }
    return to + 8 * X86_ROWS;
}

/* ---- records ---------------------------------------------------------------------- */

AVX2 static void
pack_block(int32_t type, uint8_t *to, blocks b, const float *grid, const int32_t *exponents)
{
    switch (type) {
    case DECAI__Q4_0: case DECAI__IQ4_NL: lines(align16(to, b, 0, grid), b, 2, 16); break;
    case DECAI__Q4_1: lines(align16(align16(to, b, 0, grid), b, 2, grid), b, 4, 16); break;
    case DECAI__Q5_0: lines(fifth_bits(align16(to, b, 0, grid), b, 2), b, 6, 16); break;
    case DECAI__Q5_1: lines(fifth_bits(align16(align16(to, b, 0, grid), b, 2, grid), b, 4), b, 8, 16); break;
    case DECAI__Q8_0: lines(align16(to, b, 0, grid), b, 2, 32); break;
    case DECAI__MXFP4: lines(powers(to, b, exponents), b, 1, 16); break;
    case DECAI__Q2_K:
        lines(words(align16(align16(to, b, 80, grid), b, 82, grid), b, 0, 4), b, 16, 64);
        break;
    case DECAI__Q3_K:
        to = words(align16(to, b, 108, grid), b, 96, 3);
        lines_apart(to, 192, b, 0, 32);
        for (size_t n = 0; n < 2; n++) lines_apart(to + 64 + 64 * n, 192, b, 32 + 32 * n, 32);
        break;
    case DECAI__Q4_K:
        lines(words(align16(align16(to, b, 0, grid), b, 2, grid), b, 4, 3), b, 16, 128);
        break;
    case DECAI__Q5_K:
        to = words(align16(align16(to, b, 0, grid), b, 2, grid), b, 4, 3);
        lines_apart(to, 320, b, 16, 32);
        for (size_t c = 0; c < 4; c++) lines_apart(to + 64 + 64 * c, 320, b, 48 + 32 * c, 32);
        break;
    case DECAI__Q6_K:
        to = words(align16(to, b, 208, grid), b, 192, 4);
        for (size_t n = 0; n < 2; n++, to += 1536) {
            lines_apart(to, 192, b, 64 * n, 32);
            lines_apart(to + 64, 192, b, 64 * n + 32, 32);
            lines_apart(to + 128, 192, b, 128 + 32 * n, 32);
        }
        break;
    default: lines(iq4_scales(align16(to, b, 0, grid), b), b, 8, 128); break;
    }
}

AVX2 void
decai__x86_pack(const x86_form *f, uint8_t *to, const uint8_t *const rows[X86_ROWS],
    const int32_t exponents[X86_ROWS], size_t first, size_t count)
{
    const uint8_t *b[X86_ROWS];
    float grid[X86_ROWS];
    for (size_t r = 0; r < X86_ROWS; r++) {
        uint32_t bits = (uint32_t)(127 - exponents[r]) << 23;           /* 2^-F, F in -48..5 (MXFP4: not used) */
        memcpy(&grid[r], &bits, 4);
        b[r] = rows[r] + first * f->raw;
    }
    for (size_t i = 0; i < count; i++) {
        pack_block(f->type, to, b, grid, exponents);
        to += f->record;
        for (size_t r = 0; r < X86_ROWS; r++) b[r] += f->raw;
    }
}

#endif
