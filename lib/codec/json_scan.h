/* json_scan.h - how far a JSON string goes on without anything to look at. */
#ifndef DECAI__JSON_SCAN_H
#define DECAI__JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Most text is printable ASCII: how many bytes of it there are before the first
 * that may need a look (quote, backslash, control, beyond ASCII), in steps of 16
 * where the machine has them, then of 8; what is left is looked at one by one.
 * In eights: a byte below 0x20 borrows from its top bit, one equal to a mark
 * becomes 0. In sixteens: as signed bytes, beyond ASCII is below 0x20, too. */
static inline size_t
decai__json_plain(const char *s, size_t len)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    size_t i = 0;
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
    for (; i + 16 <= len; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        __m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, space), _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) return i + (size_t)__builtin_ctz(mask);
    }
#endif
    for (; i + 8 <= len; i += 8) {
        uint64_t w, q, b;
        memcpy(&w, s + i, 8);
        q = w ^ (ones * '"');
        b = w ^ (ones * '\\');
        uint64_t hit = (w | (w - ones * 0x20) | (q - ones) | (b - ones)) & tops;
        if (hit) return i + (size_t)__builtin_ctzll(hit) / 8;
    }
    return i;
}

#endif /* DECAI__JSON_SCAN_H */
