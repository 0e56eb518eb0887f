/* x86_avx512.c - integer products with AVX-512 and VNNI: tiles of x86_tiles512.h on
 * panels, activations as they want them, results. */
#include "compute/x86.h"

#if defined(__x86_64__)

#define X86_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#include "compute/x86_tiles512.h"

/* ---- choosing a tile ---------------------------------------------------------------- */

#define TILES(name, args, call) \
    X86_TARGET static void name##_8 args { const int tokens = 8; call; } \
    X86_TARGET static void name##_4 args { const int tokens = 4; call; } \
    X86_TARGET static void name##_2 args { const int tokens = 2; call; } \
    X86_TARGET static void name##_1 args { const int tokens = 1; call; }
#define ARGS (x86_acc *acc, const source *p, const void *a, size_t blocks)

TILES(plain, ARGS, tile32(PANEL, false, tokens, false, acc, p, a, blocks))
TILES(plain_min, ARGS, tile32(PANEL, false, tokens, true, acc, p, a, blocks))
TILES(k45, ARGS, tile256(PANEL, false, tokens, 32, false, true, false, 8, acc, p, a, blocks))
TILES(k36, ARGS, tile256(PANEL, false, tokens, 16, true, false, false, 8, acc, p, a, blocks))
TILES(k2, ARGS, tile256(PANEL, false, tokens, 16, false, true, false, 8, acc, p, a, blocks))
TILES(xs, ARGS, tile256(PANEL, false, tokens, 32, true, false, false, 8, acc, p, a, blocks))
/* Two levels: |v| of 32 elements is at most 63 |sc| |isum|. Q4_K 2.4e8 (8 fit),
 * Q5_K 5.0e8 (4), Q6_K 1.05e9 (2), IQ4_XS 1.04e9 (2), Q3_K 3.3e7, Q2_K 1.2e7. */
TILES(k4_two, ARGS, tile256(PANEL, false, tokens, 32, false, true, true, 8, acc, p, a, blocks))
TILES(k5_two, ARGS, tile256(PANEL, false, tokens, 32, false, true, true, 4, acc, p, a, blocks))
TILES(k6_two, ARGS, tile256(PANEL, false, tokens, 16, true, false, true, 2, acc, p, a, blocks))
TILES(k3_two, ARGS, tile256(PANEL, false, tokens, 16, true, false, true, 8, acc, p, a, blocks))
TILES(k2_two, ARGS, tile256(PANEL, false, tokens, 16, false, true, true, 8, acc, p, a, blocks))
TILES(xs_two, ARGS, tile256(PANEL, false, tokens, 32, true, false, true, 2, acc, p, a, blocks))

typedef void (*tile) ARGS;
#define ROW(name) { name##_1, name##_2, name##_4, name##_8 }

static const tile *
tiles_of(const x86_form *f, bool two_level)
{
    static const tile TABLE[][4] = {
        ROW(plain), ROW(plain_min), ROW(k45), ROW(k36), ROW(k2), ROW(xs),
        ROW(k4_two), ROW(k5_two), ROW(k6_two), ROW(k3_two), ROW(k2_two), ROW(xs_two),
    };
    switch (f->type) {
    case DECAI__Q2_K: return TABLE[two_level ? 10 : 4];
    case DECAI__Q3_K: return TABLE[two_level ? 9 : 3];
    case DECAI__Q4_K: return TABLE[two_level ? 6 : 2];
    case DECAI__Q5_K: return TABLE[two_level ? 7 : 2];
    case DECAI__Q6_K: return TABLE[two_level ? 8 : 3];
    case DECAI__IQ4_XS: return TABLE[two_level ? 11 : 5];
    default: return TABLE[f->mins ? 1 : 0];
    }
}

static void
multiply(const x86_form *f, x86_acc *acc, x86_panel *panel, const void *act, size_t blocks, size_t tokens, bool two_level,
    const uint8_t *next, size_t each)
{
    const tile *t = tiles_of(f, two_level);
    source p = { panel, next, each };
    const size_t step = f->block == 1 ? X86_ACT32_STEP * sizeof(x86_act32) : X86_ACT256_STEP * sizeof(x86_act256);
    const uint8_t *a = act;
    for (int log = 3; log >= 0; log--)
        for (; tokens >> log; tokens -= (size_t)1 << log, acc += (size_t)1 << log, a += step << log, p.record = 0)
            t[log](acc, &p, a, blocks);
}

/* ---- activations ------------------------------------------------------------------------ */

static void
prepare32(const x86_form *f, x86_act32 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        int32_t sum = sums[2 * b] + sums[2 * b + 1], s = (int32_t)decai__load_le16(scales + 2 * b);
        memcpy(to[b].q, q + 32 * b, 32);
        to[b].init = -f->zero * sum;
        to[b].scale = s;
        to[b].sum = s * sum;
    }
}

static void
prepare256(const x86_form *f, x86_act256 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales,
    const uint8_t *s6, size_t blocks)
{
    size_t each = f->sub / 16;
    for (size_t b = 0; b < blocks; b++, to++, q += 256, sums += 16) {
        memcpy(to->q, q, 256);
        for (size_t j = 0; j < 16 / each; j++)
            to->init[j] = -f->zero * (sums[each * j] + (each == 2 ? sums[2 * j + 1] : 0));
        x86_pairs(to, sums, each == 2 && !s6, s6 != NULL);
        for (size_t j = 0; j < 8; j++) to->s6[j] = s6 ? s6[8 * b + j] : 1;
        to->scale = (int32_t)decai__load_le16(scales + 2 * b);
    }
}

/* ---- results ------------------------------------------------------------------------------ */

/* y = RN(acc) * 2^(F + E - 21); both steps' roundings are the contract's one: the
 * power is normal and so is the result. */
X86_TARGET static void
finish(float *y, const x86_acc *acc, const int32_t *row_exponents, int32_t act_exponent, size_t rows)
{
    const __m512i order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    __m512 even = _mm512_castps256_ps512(_mm512_cvtepi64_ps(line(*acc)));
    __m512 odd = _mm512_castps256_ps512(_mm512_cvtepi64_ps(line(*acc + 8)));
    __m512i power = _mm512_add_epi32(_mm512_loadu_si512(row_exponents), _mm512_set1_epi32(act_exponent - 21 + 127));
    __m512 v = _mm512_mul_ps(_mm512_permutex2var_ps(even, order, odd), _mm512_castsi512_ps(_mm512_slli_epi32(power, 23)));
    _mm512_mask_storeu_ps(y, (__mmask16)((1u << rows) - 1), v);
}

const x86_isa decai__x86_isa_avx512 = {
    "AVX-512 VNNI", unpack, prepare32, prepare256, multiply, decai__x86_stream_avx512, decai__x86_vector_avx512, finish,
};

#endif
