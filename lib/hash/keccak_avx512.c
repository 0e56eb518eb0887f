/* keccak_avx512.c - the permutation on AVX-512: eight states in step, four on
 * 256-bit registers, and one alone.
 *
 * Three things make it more than a wider AVX2: a rotation is one instruction
 * (vprolq), any function of three words is one (vpternlogq: chi, and the sums
 * of theta), and 32 registers hold all 25 lanes and what a plane needs beside
 * them. One state alone gains as well: chi's and-not and theta's sums take half
 * the instructions that general registers need, and nothing is spilled.
 *
 * The round is keccak_round.h's; only absorbing differs, for rows of message
 * bytes have to become columns. Called after a look at the CPU. */
#include "hash/internal.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "hash/keccak_round.h"

bool
decai__keccak_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}

#define TARGET __attribute__((target("avx512f,avx512vl")))

/* Truth tables of vpternlogq: a ^ b ^ c, and chi's a ^ (~b & c). */
#define TABLE_XOR3 0x96
#define TABLE_CHI  0xd2

/* ---- one state ---------------------------------------------------------------- */

#define KECCAK_XOR(a, b)     _mm_xor_si128(a, b)
#define KECCAK_XOR3(a, b, c) _mm_ternarylogic_epi64(a, b, c, TABLE_XOR3)
#define KECCAK_ROL(a, n)     _mm_rol_epi64(a, n)
#define KECCAK_CHI(a, b, c)  _mm_ternarylogic_epi64(a, b, c, TABLE_CHI)

TARGET void
decai__keccak_permute_avx512(uint64_t lane[25])
{
    __m128i a[25], e[25];
    for (int i = 0; i < 25; i++) a[i] = _mm_loadl_epi64((const __m128i *)(const void *)(lane + i));
    for (int round = 0; round < 24; round += 2) {
        KECCAK_ROUND(__m128i, e, a, _mm_set1_epi64x((long long)decai__keccak_constants[round]));
        KECCAK_ROUND(__m128i, a, e, _mm_set1_epi64x((long long)decai__keccak_constants[round + 1]));
    }
    for (int i = 0; i < 25; i++) _mm_storel_epi64((__m128i *)(void *)(lane + i), a[i]);
}

#undef KECCAK_XOR
#undef KECCAK_XOR3
#undef KECCAK_ROL
#undef KECCAK_CHI

/* ---- four states ---------------------------------------------------------------- */

#define KECCAK_XOR(a, b)     _mm256_xor_si256(a, b)
#define KECCAK_XOR3(a, b, c) _mm256_ternarylogic_epi64(a, b, c, TABLE_XOR3)
#define KECCAK_ROL(a, n)     _mm256_rol_epi64(a, n)
#define KECCAK_CHI(a, b, c)  _mm256_ternarylogic_epi64(a, b, c, TABLE_CHI)

/* A copy, not eight shifted bytes: clang would make a vector of those. */
static inline long long
word(const uint8_t *p)
{
    long long v;
    memcpy(&v, p, 8);
    return v;
}

/* Rows of a 4x4 matrix of words to columns: p[j] holds four lanes of message j. */
TARGET static inline void
columns4(__m256i a[4], const uint8_t *const p[4], size_t at)
{
    __m256i r0 = _mm256_loadu_si256((const __m256i *)(const void *)(p[0] + at));
    __m256i r1 = _mm256_loadu_si256((const __m256i *)(const void *)(p[1] + at));
    __m256i r2 = _mm256_loadu_si256((const __m256i *)(const void *)(p[2] + at));
    __m256i r3 = _mm256_loadu_si256((const __m256i *)(const void *)(p[3] + at));
    __m256i lo01 = _mm256_unpacklo_epi64(r0, r1), hi01 = _mm256_unpackhi_epi64(r0, r1);
    __m256i lo23 = _mm256_unpacklo_epi64(r2, r3), hi23 = _mm256_unpackhi_epi64(r2, r3);
    a[0] = _mm256_xor_si256(a[0], _mm256_permute2x128_si256(lo01, lo23, 0x20));
    a[1] = _mm256_xor_si256(a[1], _mm256_permute2x128_si256(hi01, hi23, 0x20));
    a[2] = _mm256_xor_si256(a[2], _mm256_permute2x128_si256(lo01, lo23, 0x31));
    a[3] = _mm256_xor_si256(a[3], _mm256_permute2x128_si256(hi01, hi23, 0x31));
}

TARGET void
decai__keccak_absorb4_avx512(uint64_t *lane, const uint8_t *const *data, size_t blocks)
{
    __m256i a[25], e[25];
    const uint8_t *p[4] = { data[0], data[1], data[2], data[3] };
    for (int i = 0; i < 25; i++) a[i] = _mm256_load_si256((const __m256i *)(const void *)(lane + 4 * i));
    for (; blocks; blocks--) {
        for (size_t i = 0; i < 4; i++) columns4(a + 4 * i, p, 32 * i);
        a[16] = _mm256_xor_si256(a[16], _mm256_set_epi64x(word(p[3] + 128),
            word(p[2] + 128), word(p[1] + 128),
            word(p[0] + 128)));
        for (int round = 0; round < 24; round += 2) {
            KECCAK_ROUND(__m256i, e, a, _mm256_set1_epi64x((long long)decai__keccak_constants[round]));
            KECCAK_ROUND(__m256i, a, e, _mm256_set1_epi64x((long long)decai__keccak_constants[round + 1]));
        }
        for (size_t j = 0; j < 4; j++) p[j] += DECAI__KECCAK_RATE;
    }
    for (int i = 0; i < 25; i++) _mm256_store_si256((__m256i *)(void *)(lane + 4 * i), a[i]);
}

#undef KECCAK_XOR
#undef KECCAK_XOR3
#undef KECCAK_ROL
#undef KECCAK_CHI

/* ---- eight states ---------------------------------------------------------------- */

#define KECCAK_XOR(a, b)     _mm512_xor_si512(a, b)
#define KECCAK_XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, TABLE_XOR3)
#define KECCAK_ROL(a, n)     _mm512_rol_epi64(a, n)
#define KECCAK_CHI(a, b, c)  _mm512_ternarylogic_epi64(a, b, c, TABLE_CHI)

/* The same for 8x8 words: pairs of words, then of 128-bit quarters, then halves. */
TARGET static inline void
columns8(__m512i a[8], const uint8_t *const p[8], size_t at)
{
    __m512i r[8], t[8];
    for (int j = 0; j < 8; j++) r[j] = _mm512_loadu_si512(p[j] + at);
    for (int j = 0; j < 8; j += 2) {
        t[j] = _mm512_unpacklo_epi64(r[j], r[j + 1]);        /* words 0 2 4 6 of messages j, j + 1 */
        t[j + 1] = _mm512_unpackhi_epi64(r[j], r[j + 1]);    /* words 1 3 5 7 */
    }
    for (int odd = 0; odd < 2; odd++) {
        __m512i a0 = _mm512_shuffle_i64x2(t[odd], t[odd + 2], 0x88);       /* words 0 4 of 0..3 */
        __m512i a1 = _mm512_shuffle_i64x2(t[odd], t[odd + 2], 0xdd);       /* words 2 6 of 0..3 */
        __m512i b0 = _mm512_shuffle_i64x2(t[odd + 4], t[odd + 6], 0x88);   /* of 4..7 */
        __m512i b1 = _mm512_shuffle_i64x2(t[odd + 4], t[odd + 6], 0xdd);
        a[odd] = _mm512_xor_si512(a[odd], _mm512_shuffle_i64x2(a0, b0, 0x88));
        a[odd + 2] = _mm512_xor_si512(a[odd + 2], _mm512_shuffle_i64x2(a1, b1, 0x88));
        a[odd + 4] = _mm512_xor_si512(a[odd + 4], _mm512_shuffle_i64x2(a0, b0, 0xdd));
        a[odd + 6] = _mm512_xor_si512(a[odd + 6], _mm512_shuffle_i64x2(a1, b1, 0xdd));
    }
}

TARGET void
decai__keccak_absorb8_avx512(uint64_t *lane, const uint8_t *const *data, size_t blocks)
{
    __m512i a[25], e[25];
    const uint8_t *p[8];
    for (int j = 0; j < 8; j++) p[j] = data[j];
    for (int i = 0; i < 25; i++) a[i] = _mm512_load_si512(lane + 8 * i);
    for (; blocks; blocks--) {
        columns8(a, p, 0);
        columns8(a + 8, p, 64);
        _Alignas(64) uint64_t last[8];
        for (int j = 0; j < 8; j++) last[j] = (uint64_t)word(p[j] + 128);
        a[16] = _mm512_xor_si512(a[16], _mm512_load_si512(last));
        for (int round = 0; round < 24; round += 2) {
            KECCAK_ROUND(__m512i, e, a, _mm512_set1_epi64((long long)decai__keccak_constants[round]));
            KECCAK_ROUND(__m512i, a, e, _mm512_set1_epi64((long long)decai__keccak_constants[round + 1]));
        }
        for (int j = 0; j < 8; j++) p[j] += DECAI__KECCAK_RATE;
    }
    for (int i = 0; i < 25; i++) _mm512_store_si512(lane + 8 * i, a[i]);
}

#else

bool
decai__keccak_has_avx512(void)
{
    return false;
}

/* Never reached: what they need is not there. */
void
decai__keccak_permute_avx512(uint64_t lane[25])
{
    (void)lane;
    decai__assert(!"no AVX-512");
}

void
decai__keccak_absorb4_avx512(uint64_t *lane, const uint8_t *const *data, size_t blocks)
{
    (void)lane;
    (void)data;
    (void)blocks;
    decai__assert(!"no AVX-512");
}

void
decai__keccak_absorb8_avx512(uint64_t *lane, const uint8_t *const *data, size_t blocks)
{
    decai__keccak_absorb4_avx512(lane, data, blocks);
}

#endif
