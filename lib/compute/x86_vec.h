/* x86_vec.h - one text, two instruction sets.
 *
 * The files that include x86_*_body.h are compiled twice: with X86_WIDE 0 a vector
 * is 8 floats (AVX2, FMA, F16C), with 1 it is 16 (AVX-512 F, BW, DQ, VL). Lanes are
 * always different outputs or independent elements; what one lane does is the text
 * of leaf.h in its order, so both widths give scalar's bits.
 *
 * vf and vi are compiler vectors: + - * are IEEE operations lane by lane, and no
 * contraction happens (-ffp-contract=off); a comparison gives a mask of -1 and 0. */
#include "compute/leaf.h"
#include "compute/x86_tile.h"

#if X86_WIDE
#define VN 16
#define VTARGET AVX512_TARGET
#define VNAME(x) x##_avx512
typedef __m512 vf;
typedef int32_t vi __attribute__((vector_size(64)));
#else
#define VN 8
#define VTARGET "avx2,fma,f16c"
#define VNAME(x) x##_avx2
typedef __m256 vf;
typedef int32_t vi __attribute__((vector_size(32)));
#endif

#define VFN __attribute__((target(VTARGET)))
#define VINLINE static inline __attribute__((always_inline, unused, target(VTARGET)))

#if X86_WIDE
#define vtile tile16
#define vexp exp16
VINLINE vf vload(const float *p) { return _mm512_loadu_ps(p); }
VINLINE void vstore(float *p, vf v) { _mm512_storeu_ps(p, v); }
VINLINE vf vset(float x) { return _mm512_set1_ps(x); }
VINLINE vi vseti(int32_t x) { return (vi)_mm512_set1_epi32(x); }
VINLINE vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/* y where b is NaN: as `a > b ? a : b` */
VINLINE vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
VINLINE vf vload_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
VINLINE vf vload_i8(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p))); }
#else
#define vtile tile8
#define vexp exp8
VINLINE vf vload(const float *p) { return _mm256_loadu_ps(p); }
VINLINE void vstore(float *p, vf v) { _mm256_storeu_ps(p, v); }
VINLINE vf vset(float x) { return _mm256_set1_ps(x); }
VINLINE vi vseti(int32_t x) { return (vi)_mm256_set1_epi32(x); }
VINLINE vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VINLINE vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
VINLINE vf vload_half(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VINLINE vf vload_i8(const int8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p))); }
#endif

VINLINE vi vbits(vf v) { return (vi)v; }
VINLINE vf vfrom(vi v) { return (vf)v; }
VINLINE vf vsel(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
VINLINE vf vabs(vf x) { return vfrom(vbits(x) & 0x7fffffff); }

/* Lanes of NaN or infinity. */
VINLINE vi vbad(vf x) { return (vbits(x) & 0x7fffffff) >= 0x7f800000; }

VINLINE bool
vany(vi mask)
{
    int32_t lane[VN], any = 0;
    memcpy(lane, &mask, sizeof lane);
    for (int i = 0; i < VN; i++) any |= lane[i];
    return any != 0;
}

VINLINE float
vmax_lanes(vf v)
{
    float lane[VN], most;
    vstore(lane, v);
    most = lane[0];
    for (int i = 1; i < VN; i++) most = lane[i] > most ? lane[i] : most;
    return most;
}

/* ---- the functions of §9 and §12, lane by lane ---------------------------------- */

VINLINE vf
vrecip(vf x)
{
    vf r = vfrom(0x7ef311c3 - vbits(x)), one = vset(1.0f);
    for (int i = 0; i < 4; i++) r = vfma(r, vfma(-x, r, one), r);
    return r;
}

VINLINE vf
vsigmoid(vf x)
{
    vf e = vexp(-vabs(x));
    vf r = vrecip(vset(1.0f) + e);
    return vsel(x < 0.0f, e * r, r);
}

VINLINE vf
vtanh(vf x)
{
    vf a = vabs(x), z = a * a;
    vf p = vset(-0x1.76abf6p-8f);
    p = vfma(p, z, vset(0x1.5256cep-6f));
    p = vfma(p, z, vset(-0x1.b84448p-5f));
    p = vfma(p, z, vset(0x1.110768p-3f));
    p = vfma(p, z, vset(-0x1.555534p-2f));
    vf small = vfma(p * z, a, a);
    vf t = vexp(-2.0f * a);
    vf y = vsel(a < 0.625f, small, (1.0f - t) * vrecip(1.0f + t));
    return vfrom(vbits(y) | (vbits(x) & INT32_MIN));
}

VINLINE vf
verf(vf x)
{
    vf a = vabs(x), z = a * a;
    vf p = vset(0x1.496a28p-14f);
    p = vfma(p, z, vset(-0x1.a3f6fcp-11f));
    p = vfma(p, z, vset(0x1.5405b2p-8f));
    p = vfma(p, z, vset(-0x1.b7f90cp-6f));
    p = vfma(p, z, vset(0x1.ce2cf8p-4f));
    p = vfma(p, z, vset(-0x1.81273ep-2f));
    p = vfma(p, z, vset(0x1.06eba8p-3f));
    vf small = vfma(p, a, a);
    vf q = vset(-0x1.6bd850p-16f);
    q = vfma(q, a, vset(0x1.cec654p-12f));
    q = vfma(q, a, vset(-0x1.138cd8p-8f));
    q = vfma(q, a, vset(0x1.9d0318p-6f));
    q = vfma(q, a, vset(-0x1.bc151ep-4f));
    q = vfma(q, a, vset(-0x1.443566p-1f));
    q = vfma(q, a, vset(-0x1.212c0ep+0f));
    q = vfma(q, a, vset(0x1.8a5954p-13f));
    vf y = vsel(a < 1.0f, small, vsel(a < 4.0f, 1.0f - vexp(q), vset(1.0f)));
    return vfrom(vbits(y) | (vbits(x) & INT32_MIN));
}

VINLINE vf
vactivation(int32_t kind, vf g)
{
    if (kind == DECAI__GLU_SILU) return g * vsigmoid(g);
    if (kind == DECAI__GLU_GELU_TANH)
        return (0.5f * g) * (1.0f + vtanh((0x1.988454p-1f * g) * vfma(g * g, vset(0x1.6e4e26p-5f), vset(1.0f))));
    if (kind == DECAI__GLU_GELU_ERF) return (0.5f * g) * (1.0f + verf(g * 0x1.6a09e6p-1f));
    g = vsel(g > 7.0f, vset(7.0f), g);
    return g * vsigmoid(0x1.b3b646p+0f * g);
}

VINLINE vf
vglu(int32_t kind, vf gate, vf up)
{
    if (kind == DECAI__GLU_OAI) up = vsel(up > 7.0f, vset(7.0f), vsel(up < -7.0f, vset(-7.0f), up)) + 1.0f;
    return vactivation(kind, gate) * up;
}

/* ---- transposes ----------------------------------------------------------------------- */

/* r[i][k] -> r[k][i], 8 x 8. */
VINLINE void
vtranspose8(__m256 r[8])
{
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
            b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}
