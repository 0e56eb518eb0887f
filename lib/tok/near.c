/* near.c - which of many pieces are in the near table: keys, places and look-ups,
 * in plain C and by the vectors that the CPU has. The same for all: cache.h. */
#include "tok/cache.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define NEAR_INLINE static inline __attribute__((always_inline, unused))
#define AHEAD 16u                    /* pieces whose places are asked for before they are read */

typedef uint32_t hits_fn(const uint64_t *set, uint64_t key);

NEAR_INLINE void
keys_plain(decai__cache_scratch *s, const uint8_t *const *from, const uint8_t *const *to, size_t begin, size_t count, const uint8_t *end)
{
    for (size_t i = begin; i < count; i++) {
        s->key[i] = decai__near_key(from[i], (size_t)(to[i] - from[i]), end);
        s->set[i] = decai__near_place(s->key[i]);
    }
}

/* Inner pieces are not the same as those pieces alone. */
NEAR_INLINE void
keys_inner(decai__cache_scratch *s, size_t count, const bool *inner)
{
    for (size_t i = 0; inner && i < count; i++) {
        if (!inner[i]) continue;
        s->key[i] = decai__near_inner(s->key[i]);
        s->set[i] = decai__near_place(s->key[i]);
    }
}

NEAR_INLINE uint32_t
hits_plain(const uint64_t *set, uint64_t key)
{
    return (uint32_t)(set[0] == key) | (uint32_t)(set[1] == key) << 1 | (uint32_t)(set[2] == key) << 2 | (uint32_t)(set[3] == key) << 3;
}

/* What is not near is listed; nothing here depends on what comes. */
NEAR_INLINE size_t
look_all(decai__cache *c, size_t count, hits_fn *hits)
{
    decai__cache_scratch *s = &c->scratch;
    size_t far = 0;
    for (size_t i = 0; i < AHEAD; i++) s->set[count + i] = 0;
    for (size_t i = 0; i < AHEAD; i++) __builtin_prefetch(&c->near[s->set[i]]);
    for (size_t i = 0; i < count; i++) {
        const decai__near_set *n = &c->near[s->set[i]];
        __builtin_prefetch(&c->near[s->set[i + AHEAD]]);
        uint32_t hit = s->key[i] ? hits(n->key, s->key[i]) : 0;
        uint64_t ids = n->ids[__builtin_ctz(hit | 8)];
        s->ids[i] = hit ? ids : DECAI__NOT_NEAR;
        s->far[far] = (uint32_t)i;
        far += !hit;
    }
    return far;
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))

AVX2 NEAR_INLINE uint32_t
hits_avx2(const uint64_t *set, uint64_t key)
{
    __m256i v = _mm256_load_si256((const __m256i *)(const void *)set);
    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(v, _mm256_set1_epi64x((long long)key))));
}

AVX2 static size_t
look_avx2(decai__cache *c, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *end, const bool *inner)
{
    keys_plain(&c->scratch, from, to, 0, count, end);
    keys_inner(&c->scratch, count, inner);
    return look_all(c, count, hits_avx2);
}

/* ---- eight keys at once ----------------------------------------------------------- */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,lzcnt")))

AVX512 NEAR_INLINE void
keys_avx512(decai__cache_scratch *s, const uint8_t *const *from, const uint8_t *const *to, size_t i, __m512i last)
{
    const __m512i eight = _mm512_set1_epi64(8), all = _mm512_set1_epi64(64);
    __m512i f = _mm512_loadu_si512((const void *)(from + i)), t = _mm512_loadu_si512((const void *)(to + i));
    __m512i len = _mm512_sub_epi64(t, f), bits = _mm512_slli_epi64(len, 3), over = _mm512_sub_epi64(all, bits);
    __mmask8 good = _mm512_cmple_epu64_mask(len, eight) & _mm512_cmple_epu64_mask(f, last);
    __m512i v = _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), good, f, NULL, 1);
    v = _mm512_srlv_epi64(_mm512_sllv_epi64(v, over), over);
    __m512i top = _mm512_srlv_epi64(v, _mm512_sub_epi64(bits, eight));
    __mmask8 plain = _mm512_cmpneq_epi64_mask(_mm512_srli_epi64(v, 56), _mm512_set1_epi64(DECAI__NEAR_INNER));
    v = _mm512_maskz_mov_epi64(_mm512_mask_test_epi64_mask(plain, top, top), v);
    __m512i h = _mm512_srli_epi64(_mm512_mullo_epi64(v, _mm512_set1_epi64((long long)0x9e3779b97f4a7c15u)), 32);
    _mm512_storeu_si512((void *)(s->key + i), v);
    _mm256_storeu_si256((__m256i *)(void *)(s->set + i), _mm512_cvtepi64_epi32(_mm512_and_si512(h, _mm512_set1_epi64(DECAI__NEAR_SETS - 1))));
}

AVX512 static size_t
look_avx512(decai__cache *c, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text, const uint8_t *end,
    const bool *inner)
{
    size_t i = 0;
    if (end - text >= 8)
        for (const __m512i last = _mm512_set1_epi64((long long)(uintptr_t)(end - 8)); i + 8 <= count; i += 8)
            keys_avx512(&c->scratch, from, to, i, last);
    keys_plain(&c->scratch, from, to, i, count, end);
    keys_inner(&c->scratch, count, inner);
    return look_all(c, count, hits_avx2);
}

static bool
has_bits(void)
{
    return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif

size_t
decai__near_look(decai__cache *c, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text, const uint8_t *end,
    const bool *inner)
{
#if defined(__x86_64__)
    if (has_bits() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return look_avx512(c, from, to, count, text, end, inner);
    if (has_bits() && __builtin_cpu_supports("avx2")) return look_avx2(c, from, to, count, end, inner);
#endif
    (void)text;
    keys_plain(&c->scratch, from, to, 0, count, end);
    keys_inner(&c->scratch, count, inner);
    return look_all(c, count, hits_plain);
}
