/* x86_lines.h - lines of a packed record in registers, AVX-512: what x86_unpack.h
 * stores in a panel, one block or sub-block at a time. Included behind it with
 * X86_WIDE 64; type is a constant at every call, tables are made once a chunk. */
#ifndef DECAI__X86_LINES_H
#define DECAI__X86_LINES_H

#define AHEAD 12288                  /* bytes: memory's latency at its full speed */

/* The hardware alone looks ahead too little, and not past the end of a page. */
UNPACK_INLINE void
fetch(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

/* ---- blocks of 32 ------------------------------------------------------------- */

UNPACK_INLINE bool has_mins(int32_t type) { return type == DECAI__Q4_1 || type == DECAI__Q5_1; }
UNPACK_INLINE bool has_fifth(int32_t type) { return type == DECAI__Q5_0 || type == DECAI__Q5_1; }

/* What lines of a type are looked up in, or flipped by. */
UNPACK_INLINE wide
line_table(int32_t type)
{
    if (type == DECAI__IQ4_NL || type == DECAI__IQ4_XS) return iq4_table();
    return type == DECAI__MXFP4 ? e2m1_table() : all8(128);
}

UNPACK_INLINE wide wide16(const uint8_t *from) { return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from)); }

UNPACK_INLINE wide
block_scale(int32_t type, const uint8_t *r)
{
    return type == DECAI__MXFP4 ? _mm512_sllv_epi32(all32(1), _mm512_cvtepi8_epi32(load16(r))) : wide16(r);
}

UNPACK_INLINE wide
block_min(int32_t type, const uint8_t *r, wide scale)
{
    wide m = wide16(r + 32);
    return type == DECAI__Q5_1 ? _mm512_add_epi32(m, left32(scale, 4)) : m;
}

/* Four lines of nibbles as eight, which stand for themselves or an entry of the table. */
UNPACK_INLINE void
nibble_lines(wide w[8], const uint8_t *from, bool look, wide table)
{
#pragma GCC unroll 8
    for (int t = 0; t < 4; t++) {
        const wide v = load(from + 64 * t), lo = low4(v), hi = high4(v);
        w[t] = look ? lookup(table, lo) : lo;
        w[4 + t] = look ? lookup(table, hi) : hi;
    }
}

UNPACK_INLINE void
block_lines(int32_t type, wide w[8], const uint8_t *r, wide table)
{
    const uint8_t *q = r + (type == DECAI__MXFP4 ? 16 : 32) + (has_mins(type) ? 32 : 0);
    if (type == DECAI__Q8_0) {
#pragma GCC unroll 8
        for (int t = 0; t < 8; t++) w[t] = flipped(load(q + 64 * t), table);
        return;
    }
    nibble_lines(w, has_fifth(type) ? q + 64 : q, type == DECAI__MXFP4 || type == DECAI__IQ4_NL, table);
    if (!has_fifth(type)) return;
#pragma GCC unroll 8
    for (int t = 0; t < 8; t++) w[t] = both(w[t], fifth_line(q + 32 * (t / 4), t % 4));
}

/* ---- super-blocks ---------------------------------------------------------------- */

UNPACK_INLINE wide shifted(wide v, int n) { return _mm512_srl_epi16(v, _mm_cvtsi32_si128(n)); }

/* `value` in the bytes whose bit `bit` is set. */
UNPACK_INLINE wide
where_bit(wide v, int bit, int value)
{
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(v, all8(1 << bit)), all8(value));
}

/* Sub-block s of 16: four lines. Its elements are part s % 2 of the 32 that are
 * quarter j of half n. */
UNPACK_INLINE void
lines_of_16(int32_t type, wide w[8], const uint8_t *r, int s)
{
    const int n = s / 8, j = s % 8 / 2;
#pragma GCC unroll 8
    for (int t = 0; t < 4; t++) {
        const int at = s % 2 * 4 + t;
        if (type == DECAI__Q2_K) {
            w[t] = masked(shifted(load(r + 320 + 512 * n + 64 * at), 2 * j), 3);
        } else if (type == DECAI__Q3_K) {
            const uint8_t *q = r + 224 + 192 * at;
            w[t] = both(masked(shifted(load(q + 64 + 64 * n), 2 * j), 3), where_bit(load(q), 4 * n + j, 4));
        } else {
            const uint8_t *q = r + 288 + 1536 * n + 192 * at;
            const wide v = masked(shifted(load(q + 64 * (j % 2)), j / 2 * 4), 15);
            w[t] = both(v, left(masked(shifted(load(q + 128), 2 * j), 3), 4));
        }
    }
}

/* Sub-block s of 32: eight lines. */
UNPACK_INLINE void
lines_of_32(int32_t type, wide w[8], const uint8_t *r, int s, wide table)
{
    if (type == DECAI__IQ4_XS) {
        nibble_lines(w, r + 160 + 256 * s, true, table);
        return;
    }
#pragma GCC unroll 8
    for (int t = 0; t < 8; t++) {
        const uint8_t *q = type == DECAI__Q4_K ? r + 256 + 64 * t : r + 256 + 320 * t;
        const wide v = masked(shifted(load(q + (type == DECAI__Q4_K ? 512 * (s / 2) : 64 + 64 * (s / 2))), s % 2 * 4), 15);
        w[t] = type == DECAI__Q4_K ? v : both(v, where_bit(load(q), s, 16));
    }
}

#endif /* DECAI__X86_LINES_H */
