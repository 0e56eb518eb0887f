/* x86_unpack.h - one group's records into a panel. Included by x86_avx2.c and
 * x86_avx512.c, which define
 *
 *     X86_TARGET   their function attributes
 *     X86_SIGNED   int8 types stay signed; else quants are raised by 128
 *     X86_WIDE     bytes of a step: 32 (half a line) or 64. A store is as wide as the
 *                  load that soon reads it back, or the load would wait for it
 *
 * A line is four quants of sixteen rows; line t of a block is q[64 t ..]. */
#include <immintrin.h>
#include <string.h>

#include "compute/x86.h"

#define UNPACK_INLINE static inline __attribute__((always_inline, unused)) X86_TARGET

#if X86_WIDE == 64
typedef __m512i wide;
UNPACK_INLINE wide load(const void *p) { return _mm512_loadu_si512(p); }
UNPACK_INLINE void store(void *p, wide v) { _mm512_storeu_si512(p, v); }
UNPACK_INLINE wide both(wide a, wide b) { return _mm512_or_si512(a, b); }
UNPACK_INLINE wide flipped(wide a, wide b) { return _mm512_xor_si512(a, b); }
UNPACK_INLINE wide all8(int v) { return _mm512_set1_epi8((char)v); }
UNPACK_INLINE wide masked(wide v, int mask) { return _mm512_and_si512(v, all8(mask)); }
UNPACK_INLINE wide left(wide v, int n) { return _mm512_slli_epi16(v, (unsigned)n); }
UNPACK_INLINE wide right(wide v, int n) { return _mm512_srli_epi16(v, (unsigned)n); }
UNPACK_INLINE wide left32(wide v, int n) { return _mm512_slli_epi32(v, (unsigned)n); }
UNPACK_INLINE wide right32(wide v, int n) { return _mm512_srli_epi32(v, (unsigned)n); }
UNPACK_INLINE wide signed32(wide v) { return _mm512_srai_epi32(v, 24); }
UNPACK_INLINE wide all32(int v) { return _mm512_set1_epi32(v); }
UNPACK_INLINE wide only(wide v, int mask) { return _mm512_and_si512(v, all32(mask)); }
UNPACK_INLINE wide lower8(wide v, int n) { return _mm512_sub_epi8(v, all8(n)); }
UNPACK_INLINE wide lookup(wide table, wide v) { return _mm512_shuffle_epi8(table, v); }
UNPACK_INLINE wide table16(__m128i v) { return _mm512_broadcast_i32x4(v); }
#else
typedef __m256i wide;
UNPACK_INLINE wide load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
UNPACK_INLINE void store(void *p, wide v) { _mm256_storeu_si256((__m256i *)p, v); }
UNPACK_INLINE wide both(wide a, wide b) { return _mm256_or_si256(a, b); }
UNPACK_INLINE wide flipped(wide a, wide b) { return _mm256_xor_si256(a, b); }
UNPACK_INLINE wide all8(int v) { return _mm256_set1_epi8((char)v); }
UNPACK_INLINE wide masked(wide v, int mask) { return _mm256_and_si256(v, all8(mask)); }
UNPACK_INLINE wide left(wide v, int n) { return _mm256_slli_epi16(v, n); }
UNPACK_INLINE wide right(wide v, int n) { return _mm256_srli_epi16(v, n); }
UNPACK_INLINE wide left32(wide v, int n) { return _mm256_slli_epi32(v, n); }
UNPACK_INLINE wide right32(wide v, int n) { return _mm256_srli_epi32(v, n); }
UNPACK_INLINE wide signed32(wide v) { return _mm256_srai_epi32(v, 24); }
UNPACK_INLINE wide all32(int v) { return _mm256_set1_epi32(v); }
UNPACK_INLINE wide only(wide v, int mask) { return _mm256_and_si256(v, all32(mask)); }
UNPACK_INLINE wide lower8(wide v, int n) { return _mm256_sub_epi8(v, all8(n)); }
UNPACK_INLINE wide lookup(wide table, wide v) { return _mm256_shuffle_epi8(table, v); }
UNPACK_INLINE wide table16(__m128i v) { return _mm256_broadcastsi128_si256(v); }
#endif

UNPACK_INLINE wide low4(wide v) { return masked(v, 15); }
UNPACK_INLINE wide high4(wide v) { return masked(right(v, 4), 15); }

/* Bits from..: of a byte to bits to..: shift by a constant either way, then mask. */
UNPACK_INLINE wide
move_bits(wide v, int from, int to, int mask)
{
    return masked(from < to ? left(v, to - from) : right(v, from - to), mask);
}

UNPACK_INLINE __m128i load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* Sixteen i16, sixteen i8 to sixteen lanes. */
UNPACK_INLINE void
widen16(int32_t to[X86_ROWS], const uint8_t *from)
{
#if X86_WIDE == 64
    store(to, _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from)));
#else
    store(to, _mm256_cvtepi16_epi32(load16(from)));
    store(to + 8, _mm256_cvtepi16_epi32(load16(from + 16)));
#endif
}

/* Byte k of every lane, signed. */
UNPACK_INLINE wide byte_of(wide v, int k) { return signed32(left32(v, 24 - 8 * k)); }

/* ---- blocks of 32 ------------------------------------------------------------ */

UNPACK_INLINE void
nibbles(uint8_t *q, const uint8_t *from)
{
    for (size_t i = 0; i < 256; i += X86_WIDE) {
        wide v = load(from + i);
        store(q + i, low4(v));
        store(q + 256 + i, high4(v));
    }
}

UNPACK_INLINE void
looked_up(uint8_t *q, const uint8_t *from, wide table)
{
    for (size_t i = 0; i < 256; i += X86_WIDE) {
        wide v = load(from + i);
        store(q + i, lookup(table, low4(v)));
        store(q + 256 + i, lookup(table, high4(v)));
    }
}

UNPACK_INLINE wide
iq4_table(void)
{
    wide t = table16(_mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113));
    return X86_SIGNED ? t : flipped(t, all8(128));
}

/* E2M1 doubled, raised by 12. */
UNPACK_INLINE wide
e2m1_table(void)
{
    return table16(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

/* Half line i takes bit i % 8 of 32 of the bytes (x86_pack.c). */
#if X86_WIDE == 64
/* The fifth bits of line t (0..3) of the four that these 32 bytes are for. */
UNPACK_INLINE wide
fifth_line(const uint8_t *bits, int t)
{
    const wide h = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)bits));
    const wide ones = _mm512_inserti64x4(all8(2 << 2 * t), _mm256_set1_epi8((char)(1 << 2 * t)), 0);
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(h, ones), all8(16));
}

UNPACK_INLINE void
add_fifth(uint8_t *q, const uint8_t *bits)
{
#pragma GCC unroll 8
    for (int t = 0; t < 8; t++) store(q + 64 * t, both(load(q + 64 * t), fifth_line(bits + 32 * (t / 4), t % 4)));
}
#else
UNPACK_INLINE void
add_fifth(uint8_t *q, const uint8_t *bits)
{
    for (int half = 0; half < 2; half++) {
        const wide h = load(bits + 32 * half);
        uint8_t *to = q + 256 * half;
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) store(to + 32 * i, both(load(to + 32 * i), move_bits(h, i, 4, 16)));
    }
}
#endif

UNPACK_INLINE void
bytes(uint8_t *q, const uint8_t *from)
{
    const wide flip = all8(X86_SIGNED ? 0 : 128);
    for (size_t i = 0; i < 512; i += X86_WIDE) store(q + i, flipped(load(from + i), flip));
}

/* D of MXFP4 from its power; a count above 31 (a negative one) gives 0. */
UNPACK_INLINE void
powers_of_two(int32_t to[X86_ROWS], const uint8_t *from)
{
#if X86_WIDE == 64
    store(to, _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_cvtepi8_epi32(load16(from))));
#else
    for (int i = 0; i < X86_ROWS; i += 8)
        store(to + i, _mm256_sllv_epi32(_mm256_set1_epi32(1), _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(from + i)))));
#endif
}

/* Dm + zero * D, so that quants may stay lowered by zero. */
UNPACK_INLINE void
raise_min(int32_t to[X86_ROWS], const int32_t d[X86_ROWS], const uint8_t *from, int zero)
{
    widen16(to, from);
    for (int i = 0; zero && i < X86_ROWS; i++) to[i] += d[i] * zero;
}

__attribute__((unused)) X86_TARGET static void
unpack_block(int32_t type, x86_panel *p, size_t i, const uint8_t *r)
{
    uint8_t *q = p->q + 512 * i;
    if (type == DECAI__MXFP4) {
        powers_of_two(p->scale[i], r);
        looked_up(q, r + 16, e2m1_table());
        return;
    }
    widen16(p->scale[i], r);
    switch (type) {
    case DECAI__Q4_0: nibbles(q, r + 32); break;
    case DECAI__IQ4_NL: looked_up(q, r + 32, iq4_table()); break;
    case DECAI__Q4_1:
        raise_min(p->min[i], p->scale[i], r + 32, 0);
        nibbles(q, r + 64);
        break;
    case DECAI__Q5_0:
        nibbles(q, r + 96);
        add_fifth(q, r + 32);
        break;
    case DECAI__Q5_1:
        raise_min(p->min[i], p->scale[i], r + 32, 16);
        nibbles(q, r + 128);
        add_fifth(q, r + 64);
        break;
    default: bytes(q, r + 32); break;
    }
}

/* ---- super-blocks ------------------------------------------------------------------ */

/* Q4_K, Q5_K: twelve bytes, three lines, hold eight 6-bit scales and mins: 0-3 in
 * the low six bits of the first two lines; 4-7 in four bits of the third and the
 * two that are left of the first two. which: 0 scales 0-3, 1 scales 4-7, 2, 3 mins. */
UNPACK_INLINE wide
six_bits(wide a, wide b, wide c, int which)
{
    const wide first = which < 2 ? a : b;
    if (which % 2 == 0) return masked(first, 63);
    return both(which < 2 ? low4(c) : high4(c), move_bits(first, 6, 4, 48));
}

/* Mins as pairs of i16: of 32-blocks 0 and 2, 1 and 3, 4 and 6, 5 and 7; two-level:
 * each with itself. */
UNPACK_INLINE void
min_pairs(int32_t (*to)[X86_ROWS], size_t lane, wide m, bool two_level)
{
    if (!two_level) {
        store(to[0] + lane, only(m, 0x00ff00ff));
        store(to[1] + lane, only(right32(m, 8), 0x00ff00ff));
        return;
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const wide v = only(right32(m, 8 * k), 255);
        store(to[k] + lane, both(v, left32(v, 16)));
    }
}

UNPACK_INLINE void
scales_and_mins(x86_panel *p, size_t i, const uint8_t *from, bool two_level)
{
    int32_t (*scale)[X86_ROWS] = p->scale + 8 * i, (*min)[X86_ROWS] = p->min + 8 * i;
    for (size_t lane = 0; lane < X86_ROWS; lane += X86_WIDE / 4) {
        const wide a = load(from + 4 * lane), b = load(from + 64 + 4 * lane), c = load(from + 128 + 4 * lane);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) store(scale[j] + lane, byte_of(six_bits(a, b, c, j / 4), j % 4));
        min_pairs(min, lane, six_bits(a, b, c, 2), two_level);
        min_pairs(min + (two_level ? 4 : 2), lane, six_bits(a, b, c, 3), two_level);
    }
}

/* Mins of sixteen elements as pairs: 4k and 4k + 2, 4k + 1 and 4k + 3; two-level: 4k
 * and 4k + 1, 4k + 2 and 4k + 3, which share a scale. */
UNPACK_INLINE void
q2_mins(int32_t (*to)[X86_ROWS], size_t lane, wide m, bool two_level)
{
    if (!two_level) {
        min_pairs(to, lane, m, false);
        return;
    }
    for (int k = 0; k < 2; k++)
        store(to[k] + lane, both(only(right32(m, 16 * k), 255), only(left32(right32(m, 16 * k), 8), 0x00ff0000)));
}

UNPACK_INLINE void
q2_scales(x86_panel *p, size_t i, const uint8_t *from, bool two_level)
{
    for (size_t k = 0; k < 4; k++)
        for (size_t lane = 0; lane < X86_ROWS; lane += X86_WIDE / 4) {
            const wide v = load(from + 64 * k + 4 * lane), s = low4(v);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) store(p->scale[16 * i + 4 * k + (size_t)j] + lane, byte_of(s, j));
            q2_mins(p->min + 8 * i + 2 * k, lane, high4(v), two_level);
        }
}

/* Q3_K, scales 4k..4k+3: four low bits from the first two lines, two high ones from
 * the third; lowered by 32. */
UNPACK_INLINE wide
q3_four(wide a, wide b, wide c, int k)
{
    const wide from = k % 2 ? b : a;
    return lower8(both(k < 2 ? low4(from) : high4(from), move_bits(c, 2 * k, 4, 48)), 32);
}

UNPACK_INLINE void
q3_scales(x86_panel *p, size_t i, const uint8_t *from)
{
    for (size_t lane = 0; lane < X86_ROWS; lane += X86_WIDE / 4) {
        const wide a = load(from + 4 * lane), b = load(from + 64 + 4 * lane), c = load(from + 128 + 4 * lane);
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++) store(p->scale[16 * i + (size_t)j] + lane, byte_of(q3_four(a, b, c, j / 4), j % 4));
    }
}

/* Signed bytes as they are: Q6_K four lines, IQ4_XS two. */
UNPACK_INLINE void
byte_scales(int32_t (*to)[X86_ROWS], const uint8_t *from, size_t count)
{
    for (size_t k = 0; k < count; k++)
        for (size_t lane = 0; lane < X86_ROWS; lane += X86_WIDE / 4) {
            const wide v = load(from + 64 * k + 4 * lane);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) store(to[4 * k + (size_t)j] + lane, byte_of(v, j));
        }
}

/* Elements 32 apart lie in one byte: two bits each. */
UNPACK_INLINE void
four_twos(uint8_t *q, wide v)
{
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) store(q + 512 * j, move_bits(v, 2 * j, 0, 3));
}

UNPACK_INLINE void
q2_lines(uint8_t *q, const uint8_t *from)
{
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < 512; i += X86_WIDE) four_twos(q + 2048 * n + i, load(from + 512 * n + i));
}

/* The third bit of half n, quarter j: 4n + j of the mask. */
UNPACK_INLINE void
q3_lines(uint8_t *q, const uint8_t *from)
{
    for (size_t i = 0; i < 512; i += X86_WIDE) {
        const uint8_t *r = from + i / 64 * 192 + i % 64;
        const wide h = load(r);
        for (size_t n = 0; n < 2; n++) {
            const wide v = load(r + 64 + 64 * n), third = n ? right(h, 4) : h;
            uint8_t *to = q + 2048 * n + i;
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) store(to + 512 * j, both(move_bits(v, 2 * j, 0, 3), move_bits(third, j, 2, 4)));
        }
    }
}

/* Low nibbles are sub-block 2c, high ones 2c + 1. */
UNPACK_INLINE void
q4_lines(uint8_t *q, const uint8_t *from)
{
    for (size_t c = 0; c < 4; c++)
        for (size_t i = 0; i < 512; i += X86_WIDE) {
            const wide v = load(from + 512 * c + i);
            store(q + 1024 * c + i, low4(v));
            store(q + 1024 * c + 512 + i, high4(v));
        }
}

/* The fifth bit of sub-block j: bit j of the high byte. */
UNPACK_INLINE void
q5_lines(uint8_t *q, const uint8_t *from)
{
    for (size_t i = 0; i < 512; i += X86_WIDE) {
        const uint8_t *r = from + i / 64 * 320 + i % 64;
        const wide h = load(r);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            const wide v = load(r + 64 + 64 * c);
            store(q + 1024 * c + i, both(low4(v), move_bits(h, 2 * c, 4, 16)));
            store(q + 1024 * c + 512 + i, both(high4(v), move_bits(h, 2 * c + 1, 4, 16)));
        }
    }
}

UNPACK_INLINE void
q6_lines(uint8_t *q, const uint8_t *from)
{
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < 512; i += X86_WIDE) {
            const uint8_t *r = from + 1536 * n + i / 64 * 192 + i % 64;
            const wide a = load(r), b = load(r + 64), h = load(r + 128);
            uint8_t *to = q + 2048 * n + i;
            store(to, both(low4(a), move_bits(h, 0, 4, 48)));
            store(to + 512, both(low4(b), move_bits(h, 2, 4, 48)));
            store(to + 1024, both(high4(a), masked(h, 48)));
            store(to + 1536, both(high4(b), move_bits(h, 6, 4, 48)));
        }
}

/* All of a record but its quants. */
UNPACK_INLINE void
super_scales(int32_t type, x86_panel *p, size_t i, const uint8_t *r, bool two_level)
{
    widen16(p->d[i], r);
    if (type == DECAI__Q2_K || type == DECAI__Q4_K || type == DECAI__Q5_K) widen16(p->dm[i], r + 32);
    switch (type) {
    case DECAI__Q2_K: q2_scales(p, i, r + 64, two_level); break;
    case DECAI__Q3_K: q3_scales(p, i, r + 32); break;
    case DECAI__Q6_K: byte_scales(p->scale + 16 * i, r + 32, 4); break;
    case DECAI__IQ4_XS: byte_scales(p->scale + 8 * i, r + 32, 2); break;
    default: scales_and_mins(p, i, r + 64, two_level); break;
    }
}

__attribute__((unused)) X86_TARGET static void
unpack_super(int32_t type, x86_panel *p, size_t i, const uint8_t *r, bool two_level)
{
    uint8_t *q = p->q + 4096 * i;
    super_scales(type, p, i, r, two_level);
    switch (type) {
    case DECAI__Q2_K: q2_lines(q, r + 320); break;
    case DECAI__Q3_K: q3_lines(q, r + 224); break;
    case DECAI__Q4_K: q4_lines(q, r + 256); break;
    case DECAI__Q5_K: q5_lines(q, r + 256); break;
    case DECAI__Q6_K: q6_lines(q, r + 288); break;
    default:
        for (size_t j = 0; j < 8; j++) looked_up(q + 512 * j, r + 160 + 256 * j, iq4_table());
        break;
    }
}

__attribute__((unused)) X86_TARGET static void
unpack(const x86_form *f, x86_panel *p, const uint8_t *records, size_t blocks, bool two_level)
{
    for (size_t i = 0; i < blocks; i++, records += f->record)
        if (f->block == 1)
            unpack_block(f->type, p, i, records);
        else
            unpack_super(f->type, p, i, records, two_level);
}
