/* exp.c - exponentials and logarithms of the sampler (CONTRACT.md §9), one by one
 * and many at once.
 *
 * A vocabulary has up to a million logits and every one wants its exponential, so
 * the runs go eight at a time where the processor can: lane by lane the steps of
 * leaf.h, hence its bits. They keep nothing and belong to no backend. */
#include "compute/leaf.h"

#if defined(__x86_64__)
#define X86_WIDE 0
#include "compute/x86_vec.h"
#endif

#define ONE 0x1p+30f

/* Below 2^24 the product has a fraction; adding and taking away 2^23 rounds it to
 * even. Below 2^23 that is exact; from there on y is an integer already. */
static uint32_t
exp30(float x)
{
    float y = leaf_exp(x) * ONE;
    if (y < 0x1p+23f) y = (y + 0x1p+23f) - 0x1p+23f;
    return (uint32_t)y;
}

uint32_t decai__leaf_exp30(float x) { return exp30(x); }

uint32_t
decai__leaf_log2(uint64_t x)
{
    uint32_t log = 63 - (uint32_t)__builtin_clzll(x);
    uint64_t y = log <= 31 ? x << (31 - log) : x >> (log - 31);
    for (int i = 0; i < 16; i++) {
        y = y * y >> 31;
        log = 2 * log + (uint32_t)(y >> 32);
        y >>= y >> 32;
    }
    return log;
}

double
decai__leaf_ln(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    int64_t e = (int64_t)(bits >> 52 & 2047) - 1023;
    bits = (bits & 0xfffffffffffff) | (UINT64_C(1023) << 52);
    double m;
    memcpy(&m, &bits, 8);
    if (m >= 1.5) m *= 0.5, e++;
    double z = (m - 1.0) / (m + 1.0), z2 = z * z, power = z, sum = 0.0;
    for (int k = 1; k < 30; k += 2) {
        sum += power / (double)k;
        power *= z2;
    }
    return 2.0 * sum + (double)e * 0x1.62e42fefa39efp-1;
}

/* ---- runs --------------------------------------------------------------------------- */

#if defined(__x86_64__)

/* F16C, which the lanes' target names, is not used here. */
static bool
lanes(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

VFN static size_t
exp_lanes(float *out, const float *x, size_t count, float max, float scale)
{
    size_t i = 0;
    for (; i + VN <= count; i += VN) vstore(out + i, vexp((vload(x + i) - vset(max)) * vset(scale)));
    return i;
}

VFN static size_t
exp30_lanes(uint32_t *out, const float *x, size_t count, float max, float scale, uint64_t *sum)
{
    __m256i even = _mm256_setzero_si256(), odd = even, low = _mm256_set1_epi64x(UINT32_MAX);
    uint64_t part[4];
    size_t i = 0;
    for (; i + VN <= count; i += VN) {
        __m256i w = _mm256_cvtps_epi32(vexp((vload(x + i) - vset(max)) * vset(scale)) * vset(ONE));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), w);
        even = _mm256_add_epi64(even, _mm256_and_si256(w, low));
        odd = _mm256_add_epi64(odd, _mm256_srli_epi64(w, 32));
    }
    _mm256_storeu_si256((__m256i *)(void *)part, _mm256_add_epi64(even, odd));
    *sum = part[0] + part[1] + part[2] + part[3];
    return i;
}

#endif

void
decai__exp_run(float *out, const float *x, size_t count, float max, float scale)
{
    size_t i = 0;
#if defined(__x86_64__)
    if (lanes()) i = exp_lanes(out, x, count, max, scale);
#endif
    for (; i < count; i++) out[i] = leaf_exp((x[i] - max) * scale);
}

uint64_t
decai__exp30_run(uint32_t *out, const float *x, size_t count, float max, float scale)
{
    uint64_t sum = 0;
    size_t i = 0;
#if defined(__x86_64__)
    if (lanes()) i = exp30_lanes(out, x, count, max, scale, &sum);
#endif
    for (; i < count; i++) {
        out[i] = exp30((x[i] - max) * scale);
        sum += out[i];
    }
    return sum;
}
