/* keccak_x86.c - the permutation for the instructions of newer x86-64 machines.
 *
 * BMI: one state. andn is chi's "and not" in one step and rorx rotates without
 * destroying its source, which spares the moves that the baseline pays for.
 *
 * AVX2: four states at once. A 256-bit register holds the same lane of four
 * messages, so the round is the scalar one (keccak_round.h) with vector words:
 * no shuffles inside. Only the absorbing has to turn four rows of message bytes
 * into columns.
 *
 * keccak_avx512.c goes on from here.
 *
 * The functions carry their targets themselves and are called after a look at
 * the CPU at run time; the file is compiled for the plain baseline like every
 * other.
 */
#include "hash/internal.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "hash/keccak_round.h"

#define KECCAK_XOR(a, b)    ((a) ^ (b))
#define KECCAK_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KECCAK_ROL(a, n)    ((a) << (n) | (a) >> ((64 - (n)) & 63))
#define KECCAK_CHI(a, b, c) ((a) ^ (~(b) & (c)))

bool
decai__keccak_has_bmi(void)
{
    return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

__attribute__((target("bmi,bmi2"))) void
decai__keccak_permute_bmi(uint64_t lane[25])
{
    uint64_t e[25];
    for (int round = 0; round < 24; round += 2) {
        KECCAK_ROUND(uint64_t, e, lane, decai__keccak_constants[round]);
        KECCAK_ROUND(uint64_t, lane, e, decai__keccak_constants[round + 1]);
    }
}

#undef KECCAK_XOR
#undef KECCAK_XOR3
#undef KECCAK_ROL
#undef KECCAK_CHI
#define KECCAK_XOR(a, b)    _mm256_xor_si256(a, b)
#define KECCAK_XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define KECCAK_ROL(a, n)    _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - (n)))
#define KECCAK_CHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))

bool
decai__keccak_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

/* A copy, not eight shifted bytes: clang would make a vector of those. */
static inline long long
word(const uint8_t *p)
{
    long long v;
    memcpy(&v, p, 8);
    return v;
}

/* Rows of a 4x4 matrix of words to columns: p[j] holds four lanes of message j. */
__attribute__((target("avx2"))) static inline void
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

__attribute__((target("avx2"))) void
decai__keccak_absorb4_avx2(uint64_t *lane, const uint8_t *const *data, size_t blocks)
{
    __m256i a[25], e[25];
    const uint8_t *p[4] = { data[0], data[1], data[2], data[3] };
    for (int i = 0; i < 25; i++) a[i] = _mm256_load_si256((const __m256i *)(const void *)(lane + 4 * i));
    for (; blocks; blocks--) {
        for (size_t i = 0; i < 4; i++) columns4(a + 4 * i, p, 32 * i);
        a[16] = KECCAK_XOR(a[16], _mm256_set_epi64x(word(p[3] + 128),
            word(p[2] + 128), word(p[1] + 128),
            word(p[0] + 128)));
        for (int round = 0; round < 24; round += 2) {
            KECCAK_ROUND(__m256i, e, a, _mm256_set1_epi64x((long long)decai__keccak_constants[round]));
            KECCAK_ROUND(__m256i, a, e, _mm256_set1_epi64x((long long)decai__keccak_constants[round + 1]));
        }
        for (int j = 0; j < 4; j++) p[j] += DECAI__KECCAK_RATE;
    }
    for (int i = 0; i < 25; i++) _mm256_store_si256((__m256i *)(void *)(lane + 4 * i), a[i]);
}

#else

bool
decai__keccak_has_bmi(void)
{
    return false;
}

bool
decai__keccak_has_avx2(void)
{
    return false;
}

/* Never reached: what they need is not there. */
void
decai__keccak_permute_bmi(uint64_t lane[25])
{
    (void)lane;
    decai__assert(!"no BMI");
}

void
decai__keccak_absorb4_avx2(uint64_t *lane, const uint8_t *const *data, size_t blocks)
{
    (void)lane;
    (void)data;
    (void)blocks;
    decai__assert(!"no AVX2");
}

#endif
