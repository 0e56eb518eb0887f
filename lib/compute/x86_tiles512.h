/* x86_tiles512.h - products of one group's chunk with up to eight tokens, AVX-512
 * and VNNI. Included by x86_avx512.c and x86_stream.c, which define X86_TARGET.
 *
 * vpdpbusd adds four products of an unsigned byte (weight) and a signed one
 * (activation, broadcast) to each of sixteen 32-bit sums: no 16-bit step, so
 * nothing saturates. Weights are unsigned by `zero`, which each sum's start takes
 * off again: init = -zero * sum of q.
 *
 *     32-blocks     isum (at most 2^20) times D s (below 2^30), in 64 bits
 *     super-blocks  v = sum over sub-blocks of sc isum (below 2^28), then v times D s
 *
 * vpmuldq multiplies the even 32-bit lanes to 64 bits; the odd ones come by a
 * shift. Accumulators keep them apart (x86_acc). Two-level scales make v up to 64
 * times larger: it is then taken to 64 bits every `flush` lines of 32.
 *
 * Lines come from a panel (type PANEL), or straight from the records: then memory is
 * read at the pace of the products, and a panel is made on the way for the tiles that
 * follow, if there are any (keep). */
#ifndef DECAI__X86_TILES512_H
#define DECAI__X86_TILES512_H

#define X86_SIGNED 0
#define X86_WIDE 64
#include "compute/x86_unpack.h"
#include "compute/x86_dot512.h"
#include "compute/x86_lines.h"

#define UNROLL _Pragma("GCC unroll 8")
#define PANEL (-1)

/* With PANEL, records are what a later tile will read, so many bytes a block (0: none). */
typedef struct source { x86_panel *panel; const uint8_t *records; size_t record; } source;

/* ---- blocks of 32 ------------------------------------------------------------- */

INLINE void
keep_block(x86_panel *p, size_t b, const wide w[8], wide d, wide m, const bool mins)
{
    UNROLL
    for (int t = 0; t < 8; t++) store(p->q + 512 * b + 64 * (size_t)t, w[t]);
    store(p->scale[b], d);
    if (mins) store(p->min[b], m);
}

INLINE void
tile32(const int32_t type, const bool keep, const int tokens, const bool mins, x86_acc *acc, const source *from,
    const x86_act32 *a, size_t blocks)
{
    x86_panel *p = from->panel;
    const uint8_t *r = from->records;
    const wide table = line_table(type);
    __m512i even[8], odd[8];
    UNROLL
    for (int c = 0; c < tokens; c++) {
        even[c] = line(acc[c]);
        odd[c] = line(acc[c] + 8);
    }
    for (size_t b = 0; b < blocks; b++) {
        __m512i w[8], d, m;
        if (type == PANEL) {
            UNROLL
            for (int t = 0; t < 8; t++) w[t] = line(p->q + 512 * b + 64 * t);
            d = line(p->scale[b]);
            m = mins ? line(p->min[b]) : d;
            fetch(r, from->record);
        } else {
            fetch(r + AHEAD, from->record);
            block_lines(type, w, r, table);
            d = block_scale(type, r);
            m = mins ? block_min(type, r, d) : d;
            if (keep) keep_block(p, b, w, d, m, mins);
        }
        r += from->record;
        UNROLL
        for (int c = 0; c < tokens; c++) {
            const x86_act32 *x = a + c * X86_ACT32_STEP + b;
            __m512i sum = spread(&x->init);
            UNROLL
            for (int t = 0; t < 8; t++) sum = dot4(sum, w[t], x->q + 4 * t);
            widen_add(&even[c], &odd[c], sum, _mm512_mullo_epi32(d, spread(&x->scale)));
            if (mins) widen_add(&even[c], &odd[c], m, spread(&x->sum));
        }
    }
    UNROLL
    for (int c = 0; c < tokens; c++) {
        _mm512_store_si512(acc[c], even[c]);
        _mm512_store_si512(acc[c] + 8, odd[c]);
    }
}

/* ---- super-blocks ---------------------------------------------------------------- */

/* acc += a * (d * s) */
INLINE void
flush(int64_t *acc, __m512i a, __m512i d, __m512i s)
{
    __m512i even = line(acc), odd = line(acc + 8);
    widen_add(&even, &odd, a, _mm512_mullo_epi32(d, s));
    _mm512_store_si512(acc, even);
    _mm512_store_si512(acc + 8, odd);
}

/* Sums of mins, pair by pair: u[c] = sum of mn * sum of q. */
INLINE void
min_sums(const int tokens, const bool two_level, const int pairs, __m512i *u, const int32_t (*min)[X86_ROWS],
    const x86_act256 *a)
{
    for (int c = 0; c < tokens; c++) u[c] = _mm512_setzero_si512();
    for (int j = 0; j < pairs; j++) {
        const __m512i m = line(min[j]);
        UNROLL
        for (int c = 0; c < tokens; c++) {
            const x86_act256 *x = a + c * X86_ACT256_STEP;
            if (two_level) {
                __m512i v = _mm512_dpwssd_epi32(_mm512_setzero_si512(), m, spread(&x->pair[j]));
                u[c] = _mm512_add_epi32(u[c], _mm512_mullo_epi32(v, spread(&x->s6[j])));
            } else {
                u[c] = _mm512_dpwssd_epi32(u[c], m, spread(&x->pair[j]));
            }
        }
    }
}

/* The lines of sub-block s: from the panel's q, or a record. */
INLINE void
sub_lines(const int32_t type, const bool keep, const int sub, wide w[8], uint8_t *q, const uint8_t *r, size_t record, int s, wide table)
{
    const int lines = sub / 4;
    q += (size_t)(64 * lines * s);
    if (type == PANEL) {
        UNROLL
        for (int t = 0; t < lines; t++) w[t] = line(q + 64 * t);
        fetch(r + record * (size_t)(lines * s) / 64, record * (size_t)lines / 64);
        return;
    }
    fetch(r + AHEAD + record * (size_t)(lines * s) / 64, record * (size_t)lines / 64);
    if (sub == 16) lines_of_16(type, w, r, s);
    else lines_of_32(type, w, r, s, table);
    if (!keep) return;
    UNROLL
    for (int t = 0; t < lines; t++) store(q + 64 * t, w[t]);
}

/* v[c] += sc * isum for the sub-blocks of 32 elements from line 8 * j. */
INLINE void
sub_sums(const int32_t type, const bool keep, const int tokens, const int sub, const bool zero, const bool two_level, __m512i *v,
    uint8_t *q, const uint8_t *r, size_t record, const int32_t (*scale)[X86_ROWS], const x86_act256 *a, int j, wide table)
{
    const int lines = sub / 4, parts = 32 / sub;
    for (int part = 0; part < parts; part++) {
        const int first = 8 * j + part * lines, s = j * parts + part;
        __m512i w[8];
        sub_lines(type, keep, sub, w, q, r, record, s, table);
        const __m512i sc = line(scale[s]);
        UNROLL
        for (int c = 0; c < tokens; c++) {
            const x86_act256 *x = a + c * X86_ACT256_STEP;
            __m512i sum = zero ? spread(&x->init[s]) : _mm512_setzero_si512();
            UNROLL
            for (int t = 0; t < lines; t++) sum = dot4(sum, w[t], x->q + 4 * (first + t));
            __m512i factor = two_level ? _mm512_mullo_epi32(sc, spread(&x->s6[j])) : sc;
            v[c] = _mm512_add_epi32(v[c], _mm512_mullo_epi32(sum, factor));
        }
    }
}

/* period: 32-blocks between flushes, 8 without two levels. */
INLINE void
tile256(const int32_t type, const bool keep, const int tokens, const int sub, const bool zero, const bool mins, const bool two_level,
    const int period, x86_acc *acc, const source *from, const x86_act256 *a, size_t blocks)
{
    x86_panel *p = from->panel;
    const uint8_t *r = from->records;
    const wide table = line_table(type);
    for (size_t b = 0; b < blocks; b++, a++, r += from->record) {
        if (type != PANEL) super_scales(type, p, b, r, two_level);
        const __m512i d = line(p->d[b]);
        __m512i v[8];
        for (int j = 0; j < 8; j += period) {
            UNROLL
            for (int c = 0; c < tokens; c++) v[c] = _mm512_setzero_si512();
            for (int i = j; i < j + period; i++)
                sub_sums(type, keep, tokens, sub, zero, two_level, v, p->q + 4096 * b, r, from->record,
                    (const int32_t (*)[X86_ROWS])p->scale + b * (size_t)(256 / sub), a, i, table);
            UNROLL
            for (int c = 0; c < tokens; c++) flush(acc[c], v[c], d, spread(&a[c * X86_ACT256_STEP].scale));
        }
        if (!mins) continue;
        const __m512i less = _mm512_sub_epi32(_mm512_setzero_si512(), line(p->dm[b]));
        const int pairs = two_level || sub == 16 ? 8 : 4;
        min_sums(tokens, two_level, pairs, v, (const int32_t (*)[X86_ROWS])p->min + 8 * b, a);
        UNROLL
        for (int c = 0; c < tokens; c++) flush(acc[c], v[c], less, spread(&a[c * X86_ACT256_STEP].scale));
    }
}

#endif /* DECAI__X86_TILES512_H */
