/* logits.c - what choosing a token does to a whole vocabulary of logits: maxima,
 * exponentials, which are large enough, which are allowed (CONTRACT.md §9 for the
 * functions).
 *
 * A vocabulary has up to a million tokens and a token is chosen after every step, so
 * these go eight at a time where the processor can: lane by lane the steps of leaf.h,
 * hence its bits. They keep nothing and belong to no backend. */
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

/* Adding 2^23 leaves the rounded integer in the low bits. */
static uint32_t
distance(float max, float x)
{
    float u = max - x;
    return f32_bits((u < 256.0f ? u : 256.0f) * 1024.0f + 0x1p+23f) & 0x7fffff;
}

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

/* ---- runs: eight lanes ---------------------------------------------------------------- */

#if defined(__x86_64__)

/* F16C, which the lanes' target names, is not used here. */
static bool
lanes(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

VINLINE __m256i
distance8(float max, vf x)
{
    vf u = vset(max) - x;
    return _mm256_cvtps_epi32(vsel(u < 256.0f, u, vset(256.0f)) * 1024.0f);
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

VFN static size_t
max_lanes(const float *x, size_t count, float *max, bool *finite)
{
    vf most = vset(*max);
    vi odd = vseti(0);
    size_t i = 0;
    for (; i + VN <= count; i += VN) {
        vf v = vload(x + i);
        most = vmax(v, most);
        odd |= vbad(v);
    }
    *max = vmax_lanes(most);
    *finite &= !vany(odd);
    return i;
}

VFN static size_t
above_lanes(uint32_t *ids, uint32_t first, const float *x, size_t count, float least, size_t *found)
{
    size_t i = 0, n = 0;
    for (; i + VN <= count; i += VN) {
        int32_t above = _mm256_movemask_ps(_mm256_cmp_ps(vload(x + i), vset(least), _CMP_GE_OQ));
        for (; above; above &= above - 1) ids[n++] = first + (uint32_t)i + (uint32_t)__builtin_ctz((unsigned)above);
    }
    *found = n;
    return i;
}

VFN static size_t
mask_lanes(float *x, const uint64_t *mask, size_t count)
{
    const vi bit = { 1, 2, 4, 8, 16, 32, 64, 128 };
    size_t i = 0;
    for (; i + VN <= count; i += VN) {
        int32_t bits = (int32_t)(mask[i / 64] >> i % 64 & 255);
        if (bits != 255) vstore(x + i, vsel((vseti(bits) & bit) == bit, vload(x + i), vset(-__builtin_inff())));
    }
    return i;
}

/* A block at most: lanes of sums stay below 2^31. */
VFN static size_t
spread_lanes(decai__spread *to, const float *x, size_t count, float max)
{
    __m256i sum = _mm256_setzero_si256(), even = sum, odd = sum, in = sum;
    uint32_t part[2 * VN];
    uint64_t square[4];
    size_t i = 0;
    for (; i + VN <= count; i += VN) {
        vf v = vload(x + i);
        __m256i is = (__m256i)(v > -__builtin_inff()), d = _mm256_and_si256(is, distance8(max, v));
        in = _mm256_sub_epi32(in, is);
        sum = _mm256_add_epi32(sum, d);
        even = _mm256_add_epi64(even, _mm256_mul_epu32(d, d));
        d = _mm256_srli_epi64(d, 32);
        odd = _mm256_add_epi64(odd, _mm256_mul_epu32(d, d));
    }
    memcpy(part, &in, sizeof in);
    memcpy(part + VN, &sum, sizeof sum);
    even = _mm256_add_epi64(even, odd);
    memcpy(square, &even, sizeof even);
    for (int l = 0; l < VN; l++) to->count += part[l], to->sum += part[VN + l];
    for (int l = 0; l < 4; l++) to->squares += square[l];
    return i;
}

VFN static size_t
near_lanes(float *x, size_t count, float max, uint32_t most)
{
    size_t i = 0;
    for (; i + VN <= count; i += VN) {
        vf v = vload(x + i);
        vi far = (vi)_mm256_cmpgt_epi32(distance8(max, v), _mm256_set1_epi32((int32_t)most));
        if (vany(far)) vstore(x + i, vsel(far, vset(-__builtin_inff()), v));
    }
    return i;
}

#else

static bool lanes(void) { return false; }
#define exp_lanes(...) 0
#define exp30_lanes(...) 0
#define max_lanes(...) 0
#define above_lanes(...) 0
#define mask_lanes(...) 0
#define spread_lanes(...) 0
#define near_lanes(...) 0

#endif

/* ---- runs --------------------------------------------------------------------------------- */

void
decai__exp_run(float *out, const float *x, size_t count, float max, float scale)
{
    size_t i = lanes() ? exp_lanes(out, x, count, max, scale) : 0;
    for (; i < count; i++) out[i] = leaf_exp((x[i] - max) * scale);
}

uint64_t
decai__exp30_run(uint32_t *out, const float *x, size_t count, float max, float scale)
{
    uint64_t sum = 0;
    size_t i = lanes() ? exp30_lanes(out, x, count, max, scale, &sum) : 0;
    for (; i < count; i++) {
        out[i] = exp30((x[i] - max) * scale);
        sum += out[i];
    }
    return sum;
}

float
decai__max_run(const float *x, size_t count, bool *finite)
{
    float max = -__builtin_inff();
    size_t i = lanes() ? max_lanes(x, count, &max, finite) : 0;
    for (; i < count; i++) {
        *finite &= (f32_bits(x[i]) & 0x7fffffff) < 0x7f800000;
        max = x[i] > max ? x[i] : max;
    }
    return max;
}

size_t
decai__above_run(uint32_t *ids, uint32_t first, const float *x, size_t count, float least)
{
    size_t n = 0, i = lanes() ? above_lanes(ids, first, x, count, least, &n) : 0;
    for (; i < count; i++)
        if (x[i] >= least) ids[n++] = first + (uint32_t)i;
    return n;
}

void
decai__mask_run(float *x, const uint64_t *mask, size_t count)
{
    size_t i = lanes() ? mask_lanes(x, mask, count) : 0;
    for (; i < count; i++)
        if (!(mask[i / 64] >> i % 64 & 1)) x[i] = -__builtin_inff();
}

void
decai__spread_run(decai__spread *to, const float *x, size_t count, float max)
{
    for (size_t at = 0, end; at < count; at = end) {
        end = DECAI__MIN(count, at + 256);
        size_t i = at + (lanes() ? spread_lanes(to, x + at, end - at, max) : 0);
        for (; i < end; i++) {
            uint64_t in = x[i] > -__builtin_inff(), d = in ? distance(max, x[i]) : 0;
            to->count += in;
            to->sum += d;
            to->squares += d * d;
        }
    }
}

void
decai__near_run(float *x, size_t count, float max, uint32_t most)
{
    size_t i = lanes() ? near_lanes(x, count, max, most) : 0;
    for (; i < count; i++)
        if (distance(max, x[i]) > most) x[i] = -__builtin_inff();
}
