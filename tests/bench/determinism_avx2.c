/* determinism_avx2.c - the cost of one answer with AVX2; see determinism.h.
 *
 *     build/release/tests/bench/determinism_avx2 [rounds] */
#if defined(__x86_64__)

/* The library's tiles once more, for their helpers; the table is the library's. */
#define decai__x86_isa_avx2 x86_isa_avx2_here
#include "../../lib/compute/x86_avx2.c"
#undef decai__x86_isa_avx2
extern const x86_isa decai__x86_isa_avx2;

#include "determinism.h"

INLINE float
scale_of(const void *p)
{
    float s;
    memcpy(&s, p, 4);
    return s;
}

/* Scales are f32, so 16-bit sums are widened by ones. acc[token]: sixteen f32. One
 * token: four chains over blocks. */
INLINE void
free32(const int tokens, const int run_, x86_acc *acc, const x86_panel *p, const x86_act32 *a, size_t blocks)
{
    const int chains = tokens == 1 ? 4 : 1;
    const __m256i one = _mm256_set1_epi16(1), ones[TOKENS_MOST] = { one, one, one, one };
    for (int half = 0; half < 2; half++) {
        __m256 total[TOKENS_MOST][4];
        UNROLL
        for (int c = 0; c < tokens; c++)
            for (int i = 0; i < chains; i++) total[c][i] = i ? _mm256_setzero_ps() : _mm256_load_ps((float *)(void *)acc[c] + 8 * half);
        for (size_t b = 0; b < blocks; b += (size_t)chains)
            UNROLL
            for (int i = 0; i < chains; i++) {
                const size_t at = b + (size_t)i;
                if (at >= blocks) break;
                const uint8_t *q = p->q + 512 * at + 32 * half;
                __m256i sum[TOKENS_MOST];
                const __m256 d = _mm256_cvtepi32_ps(line(p->scale[at] + 8 * half));
                UNROLL
                for (int c = 0; c < tokens; c++) sum[c] = run_ == 1 ? _mm256_setzero_si256() : spread(&a[at + c * X86_ACT32_STEP].init);
                if (run_ == 1) add_signed(tokens, 8, sum, q, a[at].q, STEP32, ones);
                else add_lines(tokens, 8, sum, q, a[at].q, STEP32);
                UNROLL
                for (int c = 0; c < tokens; c++) {
                    __m256i v = run_ == 1 ? sum[c] : _mm256_madd_epi16(sum[c], one);
                    __m256 s = _mm256_set1_ps(scale_of(&a[at + c * X86_ACT32_STEP].unused));
                    total[c][i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(v), _mm256_mul_ps(d, s), total[c][i]);
                }
            }
        UNROLL
        for (int c = 0; c < tokens; c++) {
            for (int i = 1; i < chains; i++) total[c][0] = _mm256_add_ps(total[c][0], total[c][i]);
            _mm256_store_ps((float *)(void *)acc[c] + 8 * half, total[c][0]);
        }
    }
}

INLINE void
free256(const int tokens, const int sub, const int run_, const bool zero, const bool mins, x86_acc *acc, const x86_panel *p,
    const x86_act256 *a, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, a++)
        for (int half = 0; half < 2; half++) {
            const int32_t (*scale)[X86_ROWS] = (const int32_t (*)[X86_ROWS])(p->scale[b * (size_t)(256 / sub)] + 8 * half);
            const __m256 d = _mm256_cvtepi32_ps(line(p->d[b] + 8 * half));
            __m256i v[TOKENS_MOST];
            UNROLL
            for (int c = 0; c < tokens; c++) v[c] = _mm256_setzero_si256();
            for (int i = 0; i < 8; i++)
                sub_sums(tokens, sub, run_, zero, false, v, p->q + 4096 * b + 32 * half, scale, a, i);
            UNROLL
            for (int c = 0; c < tokens; c++) {
                float *to = (float *)(void *)acc[c] + 8 * half;
                __m256 s = _mm256_set1_ps(scale_of(&a[c * X86_ACT256_STEP].unused[0]));
                _mm256_store_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(v[c]), _mm256_mul_ps(d, s), _mm256_load_ps(to)));
            }
            if (!mins) continue;
            const __m256 dm = _mm256_cvtepi32_ps(line(p->dm[b] + 8 * half));
            min_sums(tokens, false, sub == 16 ? 8 : 4, v, p->min + 8 * b, half, a);
            UNROLL
            for (int c = 0; c < tokens; c++) {
                float *to = (float *)(void *)acc[c] + 8 * half;
                __m256 s = _mm256_set1_ps(scale_of(&a[c * X86_ACT256_STEP].unused[0]));
                _mm256_store_ps(to, _mm256_fnmadd_ps(_mm256_cvtepi32_ps(v[c]), _mm256_mul_ps(dm, s), _mm256_load_ps(to)));
            }
        }
}

TILES(free_plain, free32(tokens, 8, acc, p, a, blocks))
TILES(free_int8, free32(tokens, 1, acc, p, a, blocks))
TILES(free_k4, free256(tokens, 32, 8, false, true, acc, p, a, blocks))
TILES(free_k6, free256(tokens, 16, 4, true, false, acc, p, a, blocks))

static void
free_multiply(const x86_form *f, x86_acc *acc, x86_panel *p, const void *act, size_t blocks, size_t tokens, bool two_level,
    const uint8_t *next, size_t each)
{
    static const tile table[4][3] = { ROW(free_plain), ROW(free_int8), ROW(free_k4), ROW(free_k6) };
    const tile *t = table[f->block == 1 ? f->run == 1 : f->mins ? 2 : 3];
    const size_t step = f->block == 1 ? STEP32 : STEP256;
    const uint8_t *a = act;
    (void)two_level;
    for (size_t at = 0; at < blocks * each; at += 64) __builtin_prefetch(next + at, 0, 2);
    for (int log = 2; log >= 0; log--)
        for (; tokens >> log; tokens -= (size_t)1 << log, acc += (size_t)1 << log, a += step << log)
            t[log](acc, p, a, blocks);
}

static void
free_prepare32(const x86_form *f, x86_act32 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales, size_t blocks)
{
    prepare32(f, to, q, sums, scales, blocks);
    for (size_t b = 0; b < blocks; b++) {
        float s = (float)to[b].scale;
        memcpy(&to[b].unused, &s, 4);
    }
}

static void
free_prepare256(const x86_form *f, x86_act256 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales, const uint8_t *s6, size_t blocks)
{
    prepare256(f, to, q, sums, scales, s6, blocks);
    for (size_t b = 0; b < blocks; b++) {
        float s = (float)to[b].scale;
        memcpy(&to[b].unused[0], &s, 4);
    }
}

X86_TARGET static void
free_finish(float *y, const x86_acc *acc, const int32_t *row_exponents, int32_t act_exponent, size_t rows)
{
    float out[X86_ROWS];
    for (int half = 0; half < 2; half++) {
        __m256i power = _mm256_add_epi32(load(row_exponents + 8 * half), _mm256_set1_epi32(act_exponent - 21 + 127));
        __m256 v = _mm256_load_ps((const float *)(const void *)acc + 8 * half);
        _mm256_storeu_ps(out + 8 * half, _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23))));
    }
    memcpy(y, out, rows * sizeof *y);
}

int
main(int argc, char **argv)
{
    static const x86_isa freest = { "free", unpack, free_prepare32, free_prepare256, free_multiply, NULL, NULL, free_finish };
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return run("AVX2", &decai__x86_isa_avx2, &freest, argc > 1 ? atoi(argv[1]) : 15);
}

#else

int
main(void)
{
    return 0;
}

#endif
