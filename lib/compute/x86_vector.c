/* x86_vector.c - one token (decode) with AVX-512 and VNNI: the arithmetic of
 * x86_avx512.c without a panel. Quants go from the packed record through registers
 * into the sum, so that the processor runs far enough ahead to keep memory busy. */
#include "compute/x86.h"

#if defined(__x86_64__)

#define X86_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define X86_SIGNED 0
#define X86_WIDE 64
#include "compute/x86_unpack.h"
#include "compute/x86_dot512.h"
#include "compute/x86_lines.h"

#define UNROLL _Pragma("GCC unroll 8")

typedef struct sums { wide even, odd; } sums;

INLINE wide times(wide a, wide b) { return _mm512_mullo_epi32(a, b); }
INLINE wide plus(wide a, wide b) { return _mm512_add_epi32(a, b); }

/* ---- blocks of 32 ------------------------------------------------------------- */

INLINE void
block32(const int32_t type, sums *s, const uint8_t *r, size_t record, const x86_act32 *x, wide table)
{
    fetch(r + AHEAD, record);
    wide w[8], d = block_scale(type, r), sum = spread(&x->init);
    block_lines(type, w, r, table);
    UNROLL
    for (int t = 0; t < 8; t++) sum = dot4(sum, w[t], x->q + 4 * t);
    widen_add(&s->even, &s->odd, sum, times(d, spread(&x->scale)));
    if (has_mins(type)) widen_add(&s->even, &s->odd, block_min(type, r, d), spread(&x->sum));
}

/* ---- super-blocks ---------------------------------------------------------------- */

/* v + sc * sum, sc the byte k of every lane. */
INLINE wide scaled(wide v, wide sum, wide scale, const int k) { return plus(v, times(sum, byte_of(scale, k))); }

/* Products of eight min pairs' first or last: two of a line of four mins. */
INLINE wide
min_dots(wide u, wide m, const int32_t *pair)
{
    u = _mm512_dpwssd_epi32(u, only(m, 0x00ff00ff), spread(pair));
    return _mm512_dpwssd_epi32(u, only(right32(m, 8), 0x00ff00ff), spread(pair + 1));
}

INLINE void
finish_super(sums *s, wide v, wide d, const x86_act256 *x)
{
    widen_add(&s->even, &s->odd, v, times(d, spread(&x->scale)));
}

INLINE void
finish_mins(sums *s, wide u, const uint8_t *dm, const x86_act256 *x)
{
    finish_super(s, u, _mm512_sub_epi32(_mm512_setzero_si512(), wide16(dm)), x);
}

/* Part i of n of the record that comes at this place of a later one. */
INLINE void fetch_part(const uint8_t *r, size_t record, int i, size_t n) { fetch(r + AHEAD + record / n * (size_t)i, record / n); }

X86_TARGET static void
super_q2(sums *s, const uint8_t *r, size_t record, const x86_act256 *x)
{
    wide v = all8(0), u = v;
    UNROLL
    for (int k = 0; k < 4; k++) u = min_dots(u, high4(load(r + 64 + 64 * k)), x->pair + 2 * k);
    UNROLL
    for (int n = 0; n < 4; n++) {                /* 16 elements of each quarter of a half */
        const uint8_t *q = r + 320 + 512 * (n / 2) + 256 * (n % 2);
        fetch_part(r, record, n, 4);
        const int8_t *a = x->q + 128 * (n / 2) + 16 * (n % 2);
        wide sum[4] = { all8(0), all8(0), all8(0), all8(0) };
        UNROLL
        for (int t = 0; t < 4; t++) {
            const wide w = load(q + 64 * t);
            UNROLL
            for (int j = 0; j < 4; j++) sum[j] = dot4(sum[j], move_bits(w, 2 * j, 0, 3), a + 32 * j + 4 * t);
        }
        UNROLL
        for (int j = 0; j < 4; j++) {
            const int k = 8 * (n / 2) + 2 * j + n % 2;
            v = scaled(v, sum[j], low4(load(r + 64 + 64 * (k / 4))), k % 4);
        }
    }
    finish_super(s, v, wide16(r), x);
    finish_mins(s, u, r + 32, x);
}

X86_TARGET static void
super_q3(sums *s, const uint8_t *r, size_t record, const x86_act256 *x)
{
    const wide a = load(r + 32), b = load(r + 96), c = load(r + 160);
    wide v = all8(0), sc[4];
    UNROLL
    for (int k = 0; k < 4; k++) sc[k] = q3_four(a, b, c, k);
    UNROLL
    for (int part = 0; part < 2; part++) {       /* elements 0-15, 16-31 of every 32 */
        wide sum[8];
        UNROLL
        for (int j = 0; j < 8; j++) sum[j] = spread(&x->init[2 * j + part]);
        UNROLL
        for (int t = 0; t < 4; t++) {
            const uint8_t *q = r + 224 + 192 * (4 * part + t);
            const wide h = load(q), low = load(q + 64), high = load(q + 128);
            fetch_part(r, record, 4 * part + t, 8);
            UNROLL
            for (int j = 0; j < 8; j++) {
                wide w = both(move_bits(j < 4 ? low : high, 2 * (j % 4), 0, 3), move_bits(h, j, 2, 4));
                sum[j] = dot4(sum[j], w, x->q + 32 * j + 16 * part + 4 * t);
            }
        }
        UNROLL
        for (int j = 0; j < 8; j++) v = scaled(v, sum[j], sc[j / 2], j % 2 * 2 + part);
    }
    finish_super(s, v, wide16(r), x);
}

X86_TARGET static void
super_q4(sums *s, const uint8_t *r, size_t record, const x86_act256 *x)
{
    const wide a = load(r + 64), b = load(r + 128), c = load(r + 192);
    wide v = all8(0), u = min_dots(v, six_bits(a, b, c, 2), x->pair);
    u = min_dots(u, six_bits(a, b, c, 3), x->pair + 2);
    UNROLL
    for (int k = 0; k < 4; k++) {
        wide lo = all8(0), hi = lo, sc = six_bits(a, b, c, k / 2);
        UNROLL
        for (int t = 0; t < 8; t++) {
            if (t % 4 == 0) fetch_part(r, record, 2 * k + t / 4, 8);
            const wide w = load(r + 256 + 512 * k + 64 * t);
            lo = dot4(lo, low4(w), x->q + 64 * k + 4 * t);
            hi = dot4(hi, high4(w), x->q + 64 * k + 32 + 4 * t);
        }
        v = scaled(scaled(v, lo, sc, k % 2 * 2), hi, sc, k % 2 * 2 + 1);
    }
    finish_super(s, v, wide16(r), x);
    finish_mins(s, u, r + 32, x);
}

X86_TARGET static void
super_q5(sums *s, const uint8_t *r, size_t record, const x86_act256 *x)
{
    const wide a = load(r + 64), b = load(r + 128), c = load(r + 192);
    wide v = all8(0), u = min_dots(v, six_bits(a, b, c, 2), x->pair), sum[8];
    u = min_dots(u, six_bits(a, b, c, 3), x->pair + 2);
    UNROLL
    for (int j = 0; j < 8; j++) sum[j] = v;
    UNROLL
    for (int t = 0; t < 8; t++) {
        const uint8_t *q = r + 256 + 320 * t;
        fetch_part(r, record, t, 8);
        const wide h = load(q);
        UNROLL
        for (int k = 0; k < 4; k++) {
            const wide w = load(q + 64 + 64 * k);
            sum[2 * k] = dot4(sum[2 * k], both(low4(w), move_bits(h, 2 * k, 4, 16)), x->q + 64 * k + 4 * t);
            sum[2 * k + 1] = dot4(sum[2 * k + 1], both(high4(w), move_bits(h, 2 * k + 1, 4, 16)), x->q + 64 * k + 32 + 4 * t);
        }
    }
    UNROLL
    for (int j = 0; j < 8; j++) v = scaled(v, sum[j], six_bits(a, b, c, j / 4), j % 4);
    finish_super(s, v, wide16(r), x);
    finish_mins(s, u, r + 32, x);
}

X86_TARGET static void
super_q6(sums *s, const uint8_t *r, size_t record, const x86_act256 *x)
{
    wide v = all8(0);
    UNROLL
    for (int n = 0; n < 4; n++) {                /* 16 elements of each quarter of a half */
        const int half = n / 2, part = n % 2;
        const uint8_t *q = r + 288 + 1536 * half + 768 * part;
        fetch_part(r, record, n, 4);
        const int8_t *a = x->q + 128 * half + 16 * part;
        wide sum[4];
        UNROLL
        for (int j = 0; j < 4; j++) sum[j] = spread(&x->init[8 * half + 2 * j + part]);
        UNROLL
        for (int t = 0; t < 4; t++) {
            const wide lo = load(q + 192 * t), hi = load(q + 192 * t + 64), h = load(q + 192 * t + 128);
            sum[0] = dot4(sum[0], both(low4(lo), move_bits(h, 0, 4, 48)), a + 4 * t);
            sum[1] = dot4(sum[1], both(low4(hi), move_bits(h, 2, 4, 48)), a + 32 + 4 * t);
            sum[2] = dot4(sum[2], both(high4(lo), masked(h, 48)), a + 64 + 4 * t);
            sum[3] = dot4(sum[3], both(high4(hi), move_bits(h, 6, 4, 48)), a + 96 + 4 * t);
        }
        UNROLL
        for (int j = 0; j < 4; j++) v = scaled(v, sum[j], load(r + 32 + 64 * (2 * half + j / 2)), j % 2 * 2 + part);
    }
    finish_super(s, v, wide16(r), x);
}

X86_TARGET static void
super_xs(sums *s, const uint8_t *r, size_t record, const x86_act256 *x)
{
    const wide table = line_table(DECAI__IQ4_XS);
    wide v = all8(0);
    UNROLL
    for (int j = 0; j < 8; j++) {
        wide w[8], sum = spread(&x->init[j]);
        fetch_part(r, record, j, 8);
        nibble_lines(w, r + 160 + 256 * j, true, table);
        UNROLL
        for (int t = 0; t < 8; t++) sum = dot4(sum, w[t], x->q + 32 * j + 4 * t);
        v = scaled(v, sum, load(r + 32 + 64 * (j / 4)), j % 4);
    }
    finish_super(s, v, wide16(r), x);
}

/* ---- one group's chunk --------------------------------------------------------------- */

#define BLOCKS(T) \
    for (size_t b = 0; b < blocks; b++) block32(T, &s, records + b * f->record, f->record, (const x86_act32 *)act + b, line_table(T)); \
    break
#define SUPERS(name) \
    for (size_t b = 0; b < blocks; b++) name(&s, records + b * f->record, f->record, (const x86_act256 *)act + b); \
    break

X86_TARGET void
decai__x86_vector_avx512(const x86_form *f, x86_acc *acc, const uint8_t *records, const void *act, size_t blocks)
{
    sums s = { line(*acc), line(*acc + 8) };
    switch (f->type) {
    case DECAI__Q4_0: BLOCKS(DECAI__Q4_0);
    case DECAI__Q4_1: BLOCKS(DECAI__Q4_1);
    case DECAI__Q5_0: BLOCKS(DECAI__Q5_0);
    case DECAI__Q5_1: BLOCKS(DECAI__Q5_1);
    case DECAI__Q8_0: BLOCKS(DECAI__Q8_0);
    case DECAI__IQ4_NL: BLOCKS(DECAI__IQ4_NL);
    case DECAI__MXFP4: BLOCKS(DECAI__MXFP4);
    case DECAI__Q2_K: SUPERS(super_q2);
    case DECAI__Q3_K: SUPERS(super_q3);
    case DECAI__Q4_K: SUPERS(super_q4);
    case DECAI__Q5_K: SUPERS(super_q5);
    case DECAI__Q6_K: SUPERS(super_q6);
    default: SUPERS(super_xs);
    }
    _mm512_store_si512(*acc, s.even);
    _mm512_store_si512(*acc + 8, s.odd);
}

#endif
