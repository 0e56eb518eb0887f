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
 * The functions carry their targets themselves and are called after a look at
 * the CPU at run time; the file is compiled for the plain baseline like every
 * other.
 */
#include "hash/internal.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "hash/keccak_round.h"

#define KECCAK_XOR(a, b)    ((a) ^ (b))
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
#undef KECCAK_ROL
#undef KECCAK_CHI
#define KECCAK_XOR(a, b)    _mm256_xor_si256(a, b)
#define KECCAK_ROL(a, n)    _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - (n)))
#define KECCAK_CHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))

bool
decai__keccak_has_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

__attribute__((target("avx2"))) void
decai__keccak_permute4_avx2(uint64_t lane[25][4])
{
    __m256i a[25], e[25];
    for (int i = 0; i < 25; i++) a[i] = _mm256_load_si256((const __m256i *)(const void *)lane[i]);
    for (int round = 0; round < 24; round += 2) {
        KECCAK_ROUND(__m256i, e, a, _mm256_set1_epi64x((long long)decai__keccak_constants[round]));
        KECCAK_ROUND(__m256i, a, e, _mm256_set1_epi64x((long long)decai__keccak_constants[round + 1]));
    }
    for (int i = 0; i < 25; i++) _mm256_store_si256((__m256i *)(void *)lane[i], a[i]);
}

/* XOR v into lane i of all four messages. */
#define XOR_LANE(i, v) \
    _mm256_store_si256((__m256i *)(void *)lane[i], \
        _mm256_xor_si256(_mm256_load_si256((const __m256i *)(const void *)lane[i]), v))

__attribute__((target("avx2"))) void
decai__keccak_absorb4_avx2(uint64_t lane[25][4], const uint8_t *const block[4])
{
    /* 16 of the 17 lanes as four 4x4 transposes of 64-bit words ... */
    for (int i = 0; i < 16; i += 4) {
        __m256i r0 = _mm256_loadu_si256((const __m256i *)(const void *)(block[0] + 8 * i));
        __m256i r1 = _mm256_loadu_si256((const __m256i *)(const void *)(block[1] + 8 * i));
        __m256i r2 = _mm256_loadu_si256((const __m256i *)(const void *)(block[2] + 8 * i));
        __m256i r3 = _mm256_loadu_si256((const __m256i *)(const void *)(block[3] + 8 * i));
        __m256i lo01 = _mm256_unpacklo_epi64(r0, r1), hi01 = _mm256_unpackhi_epi64(r0, r1);
        __m256i lo23 = _mm256_unpacklo_epi64(r2, r3), hi23 = _mm256_unpackhi_epi64(r2, r3);
        XOR_LANE(i + 0, _mm256_permute2x128_si256(lo01, lo23, 0x20));
        XOR_LANE(i + 1, _mm256_permute2x128_si256(hi01, hi23, 0x20));
        XOR_LANE(i + 2, _mm256_permute2x128_si256(lo01, lo23, 0x31));
        XOR_LANE(i + 3, _mm256_permute2x128_si256(hi01, hi23, 0x31));
    }
    /* ... and the last one by hand. */
    for (int j = 0; j < 4; j++) lane[16][j] ^= decai__load_le64(block[j] + 128);
}

#else

bool
decai__keccak_has_bmi(void)
{
    return false;
}

bool
decai__keccak_has_wide(void)
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
decai__keccak_permute4_avx2(uint64_t lane[25][4])
{
    (void)lane;
    decai__assert(!"no AVX2");
}

void
decai__keccak_absorb4_avx2(uint64_t lane[25][4], const uint8_t *const block[4])
{
    (void)lane;
    (void)block;
    decai__assert(!"no AVX2");
}

#endif
