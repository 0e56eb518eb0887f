/* scan_block.c - many pieces at a time, on the instructions that the CPU has.
 *
 * scan_block.h finds where pieces begin from masks of 64 bytes; here are the
 * masks, by SSE2 (every x86-64 has it), AVX2 and AVX-512, and in plain C, which
 * only the tests run: elsewhere the plain scanner is as quick. */
#include "tok/scan_block.h"

static const block_rules RULES[DECAI__PRE_COUNT] = {
    [DECAI__PRE_GPT2] = { .on = true, .plain = true, .contraction = 1 },
    [DECAI__PRE_LLAMA3] = { .on = true, .numbers = 3, .after = 1, .contraction = 1 },
    [DECAI__PRE_QWEN2] = { .on = true, .numbers = 1, .after = 1, .contraction = 1 },
    [DECAI__PRE_QWEN35] = { .on = true, .numbers = 1, .after = 1, .contraction = 1, .marks = true },
    [DECAI__PRE_PLAIN_QWEN] = { .on = true, .numbers = 1, .after = 1 },
    [DECAI__PRE_SEED] = { .on = true, .numbers = 1, .contraction = 1 },
    [DECAI__PRE_BAILING] = { .on = true, .numbers = 1, .after = 1, .contraction = 1 },
    [DECAI__PRE_O200K] = { .on = true, .numbers = 3, .after = 2, .contraction = 2, .cased = true },
    [DECAI__PRE_GRANITE] = { .on = true, .numbers = 3, .after = 2, .contraction = 2, .cased = true },
    [DECAI__PRE_TEKKEN] = { .on = true, .numbers = 1, .after = 2, .cased = true },
};

typedef masks masks_fn(const uint8_t *p);
/* Writes from + i for each bit i of starts; up to 64 may be written. How many there are. */
typedef size_t places_fn(const uint8_t **ends, const uint8_t *from, uint64_t starts);

BLOCK_INLINE size_t
many(enum decai__pre pre, const uint8_t *p, const uint8_t *end, const uint8_t **ends, size_t cap, masks_fn *look,
    wide_fn *look_wide, places_fn *places)
{
    const block_rules *s = &RULES[pre];
    decai__cut_fn *cut = decai__scan_single(pre);
    size_t n = 0;
    while (p < end && cap - n >= BLOCK) {
        uint64_t starts = 0;
        if (end - p >= (ptrdiff_t)BLOCK) {
            masks m = look(p);
            classes c = classify(p, end, s, &m, look_wide);
            if (c.limit > 1) starts = starts_of(p, end, &c, s) & below(last_run(&c) + 1) & ~(uint64_t)1;
        }
        if (!starts) {
            ends[n++] = p = cut(p, end);
            continue;
        }
        n += places(ends + n, p, starts);
        p += 63 - __builtin_clzll(starts);
    }
    return n;
}

BLOCK_INLINE size_t
places_plain(const uint8_t **ends, const uint8_t *from, uint64_t starts)
{
    size_t n = 0;
    for (; starts; starts &= starts - 1) ends[n++] = from + __builtin_ctzll(starts);
    return n;
}

/* ---- plain C -------------------------------------------------------------------- */

BLOCK_INLINE masks
look_plain(const uint8_t *p)
{
    masks m = { 0 };
    for (uint32_t i = 0; i < BLOCK; i++) {
        uint64_t bit = (uint64_t)1 << i;
        if (p[i] >= 0x80) m.high |= bit;
        else if (p[i] >= 'A' && p[i] <= 'Z') m.upper |= bit;
        else if (p[i] >= 'a' && p[i] <= 'z') m.lower |= bit;
        else if (p[i] >= '0' && p[i] <= '9') m.digit |= bit;
        if (p[i] == ' ') m.space |= bit;
        if (p[i] == ' ' || (p[i] >= 9 && p[i] <= 13)) m.blank |= bit;
        if (p[i] == '\n' || p[i] == '\r') m.newline |= bit;
        if (p[i] == '/') m.slash |= bit;
        if (p[i] == '\'') m.quote |= bit;
    }
    return m;
}

/* None: the tests hold the others to what is found without. */
BLOCK_INLINE wide
look_wide_plain(const uint8_t *p)
{
    (void)p;
    return (wide){ 0 };
}

static size_t
many_plain(enum decai__pre pre, const uint8_t *p, const uint8_t *end, const uint8_t **ends, size_t cap)
{
    return many(pre, p, end, ends, cap, look_plain, look_wide_plain, places_plain);
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Bytes of x in [low, low + width): each instruction set's own IN and IS. */
#define LOOK(vector, join)                                                                                        \
    masks m = { .upper = join(IN, 'A', 26), .lower = join(IN, 'a', 26), .digit = join(IN, '0', 10), .space = join(IS, ' ', 0), \
        .blank = join(IN, 9, 5), .newline = join(IS, '\n', 0) | join(IS, '\r', 0), .slash = join(IS, '/', 0),      \
        .quote = join(IS, '\'', 0), .high = join(HIGH, 0, 0) };                                                    \
    m.blank |= m.space

/* U+0400 to U+045F; U+5000 to U+9FFF; U+3041 to U+30FF without signs, marks and
 * what is not assigned. All of E5 to E9 are letters (of E4 not: U+4DC0). */
#define WIDE(vector, join)                                                                                        \
    uint64_t more = join(IN, 0x80, 64), one = more >> 1, two = more >> 2, d0 = join(IS, 0xd0, 0), d1 = join(IS, 0xd1, 0);  \
    uint64_t low = join(IN, 0x80, 48) >> 1, not81 = join(IS, 0x80, 0) >> 2, not83 = join(IS, 0xbb, 0) >> 2;        \
    uint64_t not82 = (join(IN, 0x97, 6) | join(IS, 0xa0, 0)) >> 2;                                                \
    uint64_t kana = (join(IS, 0x81, 0) >> 1 & ~not81) | (join(IS, 0x82, 0) >> 1 & ~not82) | (join(IS, 0x83, 0) >> 1 & ~not83); \
    wide w = { .upper = d0 & low, .lower = (d0 & one & ~low) | (d1 & join(IN, 0x80, 32) >> 1),                    \
        .both = ((join(IN, 0xe5, 5) & one) | (join(IS, 0xe3, 0) & kana)) & two }

/* ---- SSE2 ------------------------------------------------------------------------ */

#define IN(v, low, width) ((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(                                            \
    _mm_min_epu8(_mm_sub_epi8(v, _mm_set1_epi8((char)(low))), _mm_set1_epi8((width) - 1)), _mm_sub_epi8(v, _mm_set1_epi8((char)(low))))))
#define IS(v, byte, unused) ((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)(byte)))))
#define HIGH(v, unused, unused2) ((uint32_t)_mm_movemask_epi8(v))
#define FOUR(op, a, b) (op(v[0], a, b) | (uint64_t)op(v[1], a, b) << 16 | (uint64_t)op(v[2], a, b) << 32 | (uint64_t)op(v[3], a, b) << 48)

BLOCK_INLINE masks
look_sse2(const uint8_t *p)
{
    __m128i v[4];
    for (int i = 0; i < 4; i++) v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    LOOK(v, FOUR);
    return m;
}

BLOCK_INLINE wide
look_wide_sse2(const uint8_t *p)
{
    __m128i v[4];
    for (int i = 0; i < 4; i++) v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    WIDE(v, FOUR);
    return w;
}

static size_t
many_sse2(enum decai__pre pre, const uint8_t *p, const uint8_t *end, const uint8_t **ends, size_t cap)
{
    return many(pre, p, end, ends, cap, look_sse2, look_wide_sse2, places_plain);
}

#undef IN
#undef IS
#undef HIGH

/* ---- AVX2 ------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#define IN(v, low, width) ((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(                                      \
    _mm256_min_epu8(_mm256_sub_epi8(v, _mm256_set1_epi8((char)(low))), _mm256_set1_epi8((width) - 1)), _mm256_sub_epi8(v, _mm256_set1_epi8((char)(low))))))
#define IS(v, byte, unused) ((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)(byte)))))
#define HIGH(v, unused, unused2) ((uint32_t)_mm256_movemask_epi8(v))
#define TWO(op, a, b) (op(v[0], a, b) | (uint64_t)op(v[1], a, b) << 32)

AVX2 BLOCK_INLINE masks
look_avx2(const uint8_t *p)
{
    __m256i v[2];
    for (int i = 0; i < 2; i++) v[i] = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * i));
    LOOK(v, TWO);
    return m;
}

AVX2 BLOCK_INLINE wide
look_wide_avx2(const uint8_t *p)
{
    __m256i v[2];
    for (int i = 0; i < 2; i++) v[i] = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * i));
    WIDE(v, TWO);
    return w;
}

AVX2 static size_t
many_avx2(enum decai__pre pre, const uint8_t *p, const uint8_t *end, const uint8_t **ends, size_t cap)
{
    return many(pre, p, end, ends, cap, look_avx2, look_wide_avx2, places_plain);
}

#undef IN
#undef IS
#undef HIGH

/* ---- AVX-512 ------------------------------------------------------------------------ */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,bmi2,lzcnt,popcnt")))
#define IN(v, low, width) _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8((char)(low))), _mm512_set1_epi8(width))
#define IS(v, byte, unused) _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8((char)(byte)))
#define HIGH(v, unused, unused2) _mm512_movepi8_mask(v)
#define ONE(op, a, b) op(v, a, b)

AVX512 BLOCK_INLINE masks
look_avx512(const uint8_t *p)
{
    __m512i v = _mm512_loadu_si512((const void *)p);
    LOOK(v, ONE);
    return m;
}

AVX512 BLOCK_INLINE size_t
places_avx512(const uint8_t **ends, const uint8_t *from, uint64_t starts)
{
    static const uint8_t COUNT[64] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
        27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
        60, 61, 62, 63 };
    size_t n = (size_t)__builtin_popcountll(starts);
    __m512i all = _mm512_maskz_compress_epi8(starts, _mm512_loadu_si512((const void *)COUNT)), base = _mm512_set1_epi64((long long)(uintptr_t)from);
    uint8_t at[64];
    _mm512_storeu_si512((void *)at, all);
    for (size_t i = 0; i < n; i += 8) {
        __m512i eight = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(at + i)));
        _mm512_storeu_si512((void *)(ends + i), _mm512_add_epi64(eight, base));
    }
    return n;
}

AVX512 BLOCK_INLINE wide
look_wide_avx512(const uint8_t *p)
{
    __m512i v = _mm512_loadu_si512((const void *)p);
    WIDE(v, ONE);
    return w;
}

AVX512 static size_t
many_avx512(enum decai__pre pre, const uint8_t *p, const uint8_t *end, const uint8_t **ends, size_t cap)
{
    return many(pre, p, end, ends, cap, look_avx512, look_wide_avx512, places_avx512);
}

#endif /* __x86_64__ */

/* ---- which ----------------------------------------------------------------------------- */

bool
decai__scan_quick(enum decai__pre pre)
{
    return RULES[pre].on;
}

decai__many_fn *
decai__scan_many_of(enum decai__scan_isa isa)
{
#if defined(__x86_64__)
    bool bits = __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    switch (isa) {
    case DECAI__SCAN_AVX512: return bits && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2") ? many_avx512 : NULL;
    case DECAI__SCAN_AVX2: return bits && __builtin_cpu_supports("avx2") ? many_avx2 : NULL;
    case DECAI__SCAN_SSE2: return many_sse2;
    default: return many_plain;
    }
#else
    return isa == DECAI__SCAN_PLAIN ? many_plain : NULL;
#endif
}

decai__many_fn *
decai__scan_many(enum decai__pre pre)
{
    for (int isa = DECAI__SCAN_AVX512; RULES[pre].on && isa > DECAI__SCAN_PLAIN; isa--) {
        decai__many_fn *f = decai__scan_many_of((enum decai__scan_isa)isa);
        if (f) return f;
    }
    return NULL;
}
