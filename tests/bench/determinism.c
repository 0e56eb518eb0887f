/* determinism.c - the cost of one answer with AVX-512 VNNI; see determinism.h.
 *
 *     build/release/tests/bench/determinism [rounds] */
#if defined(__x86_64__)

/* The library's tiles once more, for their helpers; the table is the library's. */
#define decai__x86_isa_avx512 x86_isa_avx512_here
#include "../../lib/compute/x86_avx512.c"
#undef decai__x86_isa_avx512
extern const x86_isa decai__x86_isa_avx512;

#include "determinism.h"

/* acc[token]: sixteen f32. Four chains over blocks for one token, one for more. */
INLINE void
free32(const int tokens, x86_acc *acc, const source *from, const x86_act32 *a, size_t blocks)
{
    const x86_panel *p = from->panel;
    const int chains = tokens == 1 ? 4 : 1;
    __m512 sum[8][4];
    UNROLL
    for (int c = 0; c < tokens; c++)
        for (int i = 0; i < chains; i++) sum[c][i] = i ? _mm512_setzero_ps() : _mm512_load_ps(acc[c]);
    for (size_t b = 0; b < blocks; b += (size_t)chains)
        UNROLL
        for (int i = 0; i < chains; i++) {
            if (b + (size_t)i >= blocks) break;
            __m512i w[8];
            UNROLL
            for (int t = 0; t < 8; t++) w[t] = line(p->q + 512 * (b + (size_t)i) + 64 * t);
            const __m512 d = _mm512_cvtepi32_ps(line(p->scale[b + (size_t)i]));
            UNROLL
            for (int c = 0; c < tokens; c++) {
                const x86_act32 *x = a + c * X86_ACT32_STEP + b + i;
                __m512i v = spread(&x->init);
                UNROLL
                for (int t = 0; t < 8; t++) v = dot4(v, w[t], x->q + 4 * t);
                float s;
                memcpy(&s, &x->unused, 4);
                sum[c][i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(v), _mm512_mul_ps(d, _mm512_set1_ps(s)), sum[c][i]);
            }
        }
    UNROLL
    for (int c = 0; c < tokens; c++) {
        for (int i = 1; i < chains; i++) sum[c][0] = _mm512_add_ps(sum[c][0], sum[c][i]);
        _mm512_store_ps(acc[c], sum[c][0]);
    }
}

INLINE void
free256(const int tokens, const int sub, const bool zero, const bool mins, x86_acc *acc, const source *from, const x86_act256 *a,
    size_t blocks)
{
    x86_panel *p = from->panel;
    const uint8_t *r = from->records;
    __m512 sum[8];
    UNROLL
    for (int c = 0; c < tokens; c++) sum[c] = _mm512_load_ps(acc[c]);
    for (size_t b = 0; b < blocks; b++, a++, r += from->record) {
        const __m512 d = _mm512_cvtepi32_ps(line(p->d[b]));
        __m512i v[8];
        float s[8];
        UNROLL
        for (int c = 0; c < tokens; c++) {
            v[c] = _mm512_setzero_si512();
            memcpy(&s[c], &a[c * X86_ACT256_STEP].unused[0], 4);
        }
        for (int j = 0; j < 8; j++)
            sub_sums(PANEL, false, tokens, sub, zero, false, v, p->q + 4096 * b, r, from->record,
                (const int32_t (*)[X86_ROWS])p->scale + b * (size_t)(256 / sub), a, j, line(p->q));
        UNROLL
        for (int c = 0; c < tokens; c++)
            sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(v[c]), _mm512_mul_ps(d, _mm512_set1_ps(s[c])), sum[c]);
        if (!mins) continue;
        const __m512 dm = _mm512_cvtepi32_ps(line(p->dm[b]));
        min_sums(tokens, false, 4, v, (const int32_t (*)[X86_ROWS])p->min + 8 * b, a);
        UNROLL
        for (int c = 0; c < tokens; c++)
            sum[c] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(v[c]), _mm512_mul_ps(dm, _mm512_set1_ps(s[c])), sum[c]);
    }
    UNROLL
    for (int c = 0; c < tokens; c++) _mm512_store_ps(acc[c], sum[c]);
}

TILES(free_plain, ARGS, free32(tokens, acc, p, a, blocks))
TILES(free_k4, ARGS, free256(tokens, 32, false, true, acc, p, a, blocks))
TILES(free_k6, ARGS, free256(tokens, 16, true, false, acc, p, a, blocks))

static void
free_multiply(const x86_form *f, x86_acc *acc, x86_panel *panel, const void *act, size_t blocks, size_t tokens, bool two_level,
    const uint8_t *next, size_t each)
{
    static const tile table[3][4] = { ROW(free_plain), ROW(free_k4), ROW(free_k6) };
    const tile *t = table[f->block == 1 ? 0 : f->mins ? 1 : 2];
    const size_t step = f->block == 1 ? X86_ACT32_STEP * sizeof(x86_act32) : X86_ACT256_STEP * sizeof(x86_act256);
    const uint8_t *a = act;
    source p = { panel, next, each };
    (void)two_level;
    for (int log = 3; log >= 0; log--)
        for (; tokens >> log; tokens -= (size_t)1 << log, acc += (size_t)1 << log, a += step << log, p.record = 0)
            t[log](acc, &p, a, blocks);
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
    __m512i power = _mm512_add_epi32(_mm512_loadu_si512(row_exponents), _mm512_set1_epi32(act_exponent - 21 + 127));
    __m512 v = _mm512_mul_ps(_mm512_load_ps(acc), _mm512_castsi512_ps(_mm512_slli_epi32(power, 23)));
    _mm512_mask_storeu_ps(y, (__mmask16)((1u << rows) - 1), v);
}

int
main(int argc, char **argv)
{
    static const x86_isa freest = { "free", unpack, free_prepare32, free_prepare256, free_multiply, NULL, NULL, free_finish };
    x86_isa panels = decai__x86_isa_avx512;      /* the free tiles have no other way */
    panels.stream = NULL;
    panels.vector = NULL;
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512bw")) {
        printf("{\"bench\":\"determinism\",\"isa\":\"AVX-512 VNNI\",\"rows\":[]}\n");
        return 0;
    }
    return run("AVX-512 VNNI", &panels, &freest, argc > 1 ? atoi(argv[1]) : 15);
}

#else

int
main(void)
{
    return 0;
}

#endif
