/* x86_dot512.h - the steps that x86_avx512.c and x86_vector.c share. Included with
 * X86_TARGET defined. */
#ifndef DECAI__X86_DOT512_H
#define DECAI__X86_DOT512_H

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline, unused)) X86_TARGET

typedef int32_t __attribute__((may_alias, aligned(1))) loose32;

INLINE __m512i spread(const void *p) { return _mm512_set1_epi32(*(const loose32 *)p); }
INLINE __m512i line(const void *p) { return _mm512_load_si512(p); }

/* acc += four products a lane. gcc 12 does not fold the broadcast into the
 * instruction by itself; sanitizers see the plain form. */
INLINE __m512i
dot4(__m512i acc, __m512i w, const int8_t *x)
{
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const loose32 *)(const void *)x));
    return acc;
#else
    return _mm512_dpbusd_epi32(acc, w, spread(x));
#endif
}

/* even += a * b of even lanes, odd of odd ones. */
INLINE void
widen_add(__m512i *even, __m512i *odd, __m512i a, __m512i b)
{
    *even = _mm512_add_epi64(*even, _mm512_mul_epi32(a, b));
    *odd = _mm512_add_epi64(*odd, _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)));
}

#endif
