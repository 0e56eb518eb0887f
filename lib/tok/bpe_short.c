/* bpe_short.c - pair encoding of pieces of at most 64 bytes: most pieces.
 *
 * The same merges in the same order as bpe.c, which is the truth: least rank
 * first, the leftmost of equals. A symbol keeps the place where it began; bits
 * say which are left, so neighbours are found by counting zeros. A pair's rank and
 * place are one number, and the least of all such numbers is the next merge: 64 of
 * them are looked through by vectors in less time than a heap needs. Nothing is
 * allocated.
 *
 * The table of merges does not fit the near caches, and each merge waits for the
 * one before it. So several pieces go side by side: each makes one merge and asks
 * for the two places in the table where its new pairs stand, then each reads what
 * came. SentencePiece, which asks the vocabulary, goes alone. */
#include "tok/internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define NONE UINT32_MAX
#define NOWHERE (DECAI__SHORT + 8)
#define LANES 16u
/* As the id of a character without a token, or of the place behind the last symbol: no pair has it. */
#define NO_ID ((uint64_t)1 << 44)
#define SHORT_INLINE static inline __attribute__((always_inline, unused))

typedef struct shorts {
    const uint8_t *text;
    uint32_t n, lanes;               /* symbols at first; rounded up */
    bool fresh;                      /* the first pairs are asked for, not yet read */
    uint64_t pair[2];                /* asked for: in the key of merge_slots; and where in it */
    uint32_t place[2], at[2];        /* at: of which symbol; NOWHERE: what comes is not used */
    uint64_t id[DECAI__SHORT + 1];
    uint32_t key[DECAI__SHORT + 16]; /* of the pair that begins here: rank << 8 | place; NONE */
    uint8_t next[DECAI__SHORT + 1], prev[DECAI__SHORT + 1];   /* n: there is none */
    uint8_t start[DECAI__SHORT + 1]; /* in the piece */
} shorts;

typedef uint32_t least_fn(const uint32_t *key, uint32_t lanes);

/* ---- symbols -------------------------------------------------------------------- */

static const uint8_t COUNT[DECAI__SHORT + 2] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65,
};

/* What stands at p, of a byte-level vocabulary: a character where that is known to
 * come to the same, else a byte. */
SHORT_INLINE int32_t
symbol_at(const decai_tokenizer *t, const uint8_t *p, const uint8_t *begin, const uint8_t *end, const uint8_t **next)
{
    if (*p >= 0xc2 && t->char_id) {
        uint32_t c = decai__utf8_next(p, end, next);
        int32_t id = c < 65536 ? t->char_id[c] : -1;
        if (id >= 0 && (p == begin || !decai__pair_in_token(t, p[-1], *p)) && (*next == end || !decai__pair_in_token(t, (*next)[-1], **next)))
            return id;
    }
    *next = p + 1;
    return t->byte_id[*p];
}

/* The first symbols. A byte without a token: false. */
SHORT_INLINE bool
split(shorts *s, const decai_tokenizer *t, bool bytes, uint32_t len)
{
    const uint8_t *text = s->text, *next;
    bool known = true;
    s->n = 0;
    for (uint32_t i = 0; i < len; i = (uint32_t)(next - text)) {
        int32_t id;
        if (bytes) {
            id = symbol_at(t, text + i, text, text + len, &next);
            known = known && id >= 0;
        } else {
            decai__utf8_next(text + i, text + len, &next);
            id = decai__piece_find(t, text + i, (size_t)(next - text) - i);
        }
        s->id[s->n] = id < 0 ? NO_ID : (uint64_t)id;
        s->start[s->n++] = (uint8_t)i;
    }
    s->start[s->n] = (uint8_t)len;
    memcpy(s->next, COUNT + 1, DECAI__SHORT + 1);
    memcpy(s->prev + 1, COUNT, DECAI__SHORT);
    s->prev[0] = (uint8_t)s->n;
    s->id[s->n] = NO_ID;
    s->lanes = (s->n + 15) & ~15u;
    for (uint32_t i = s->n - 1; i < s->lanes; i++) s->key[i] = NONE;
    return known;
}

/* Symbol i takes the next one into itself, which is gone; the next one then. */
SHORT_INLINE uint32_t
join(shorts *s, uint32_t i)
{
    uint32_t gone = s->next[i], after = s->next[gone];
    s->next[i] = (uint8_t)after;
    s->prev[after] = (uint8_t)i;
    s->key[gone] = s->key[i] = NONE;
    return after;
}

/* ---- by the table of merges ---------------------------------------------------------- */

/* The rank of a pair whose search begins at `place`; NONE. */
typedef uint32_t search_fn(const uint64_t *slots, uint32_t mask, uint32_t place, uint64_t pair);

SHORT_INLINE bool
two_bytes(const shorts *s, uint32_t i, bool bytes)
{
    return bytes && s->start[i + 2] - s->start[i] == 2;
}

/* The first pairs are asked for, then read. */
SHORT_INLINE void
ask_first(const shorts *s, const decai_tokenizer *t, bool bytes)
{
    for (uint32_t i = 0; i + 1 < s->n; i++)
        if (!two_bytes(s, i, bytes)) __builtin_prefetch(t->merge_slots + decai__merge_place(t, s->id[i] << 20 | s->id[i + 1]));
}

SHORT_INLINE void
take_first(shorts *s, const decai_tokenizer *t, bool bytes, search_fn *search)
{
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        uint64_t pair = s->id[i] << 20 | s->id[i + 1];
        uint32_t rank = two_bytes(s, i, bytes) ? t->byte_merge[(uint32_t)s->text[s->start[i]] << 8 | s->text[s->start[i] + 1]]
            : search(t->merge_slots, t->merge_mask, decai__merge_place(t, pair), pair);
        s->key[i] = rank == NONE ? NONE : rank << 8 | i;
    }
}

/* For the pair of two symbols; no_pair: one of them is none. */
SHORT_INLINE void
ask(shorts *s, const decai_tokenizer *t, uint32_t which, uint32_t left, uint32_t right, bool no_pair)
{
    uint64_t pair = s->id[left] << 20 | s->id[right];
    s->at[which] = no_pair ? NOWHERE : left;
    s->pair[which] = pair;
    s->place[which] = no_pair ? 0 : decai__merge_place(t, pair);
    __builtin_prefetch(t->merge_slots + s->place[which]);
}

/* One merge; false: there is none left. */
SHORT_INLINE bool
step(shorts *s, const decai_tokenizer *t, least_fn *least)
{
    uint32_t best = least(s->key, s->lanes), i = best & 255;
    if (best == NONE) return false;
    uint32_t before = s->prev[i], after = join(s, i);
    s->id[i] = t->merges[best >> 8].merged;
    ask(s, t, 0, i, after, after == s->n);
    ask(s, t, 1, before, i, before == s->n);
    return true;
}

SHORT_INLINE void
take(shorts *s, const decai_tokenizer *t, search_fn *search)
{
    for (int which = 0; which < 2; which++) {
        uint32_t rank = search(t->merge_slots, t->merge_mask, s->place[which], s->pair[which]);
        s->key[s->at[which]] = rank == NONE ? NONE : rank << 8 | s->at[which];
        __builtin_prefetch(&t->merges[rank == NONE ? 0 : rank]);
    }
}

SHORT_INLINE bool
begin(shorts *s, const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    bool bytes = t->rules.family == DECAI__BPE;
    s->text = text;
    s->fresh = true;
    if (!split(s, t, bytes, (uint32_t)len)) return false;
    if (t->rules.family != DECAI__SPM) ask_first(s, t, bytes);
    return true;
}

/* What was asked for is read. */
SHORT_INLINE void
answer(shorts *s, const decai_tokenizer *t, search_fn *search)
{
    if (s->fresh) take_first(s, t, t->rules.family == DECAI__BPE, search);
    else take(s, t, search);
    s->fresh = false;
}

SHORT_INLINE void
finish(const shorts *s, decai__group_item *to)
{
    uint32_t count = 0;
    bool known = true;
    for (uint32_t i = 0; i < s->n; i = s->next[i]) {
        known = known && s->id[i] != NO_ID;
        to->id[count++] = (int32_t)s->id[i];
    }
    to->count = known ? count : 0;   /* a character without a token: its bytes, or unknown */
}

/* The next item that can be begun, from *next on, to a lane. */
SHORT_INLINE bool
refill(shorts *s, const decai_tokenizer *t, decai__group_item *item, size_t count, size_t *next, uint8_t *of)
{
    for (; *next < count; ++*next) {
        item[*next].count = 0;
        if (!begin(s, t, item[*next].text, item[*next].len)) continue;
        *of = (uint8_t)(*next)++;
        return true;
    }
    return false;
}

SHORT_INLINE void
merge_group(const decai_tokenizer *t, decai__group_item *item, size_t count, least_fn *least, search_fn *search)
{
    shorts s[LANES];
    uint8_t of[LANES], lane[LANES];  /* which item; the lanes at work */
    uint32_t lanes = 0;
    size_t next = 0;
    while (lanes < LANES && refill(&s[lanes], t, item, count, &next, &of[lanes])) lane[lanes] = (uint8_t)lanes, lanes++;
    while (lanes) {
        for (uint32_t i = 0; i < lanes;) {
            uint32_t at = lane[i];
            bool more = s[at].fresh || step(&s[at], t, least);
            if (!more) finish(&s[at], &item[of[at]]);
            if (more || refill(&s[at], t, item, count, &next, &of[at])) i++;
            else lane[i] = lane[--lanes];
        }
        for (uint32_t i = 0; i < lanes; i++) answer(&s[lane[i]], t, search);
    }
}

SHORT_INLINE void
merge_one(shorts *s, const decai_tokenizer *t, least_fn *least, search_fn *search)
{
    do answer(s, t, search);
    while (step(s, t, least));
}

/* ---- by score ---------------------------------------------------------------------- */

SHORT_INLINE uint32_t
score_key(shorts *s, const decai_tokenizer *t, int32_t *merged, uint32_t i, uint32_t end)
{
    size_t len = end - s->start[i];
    merged[i] = len > t->token_bytes_max ? -1 : decai__piece_find(t, s->text + s->start[i], len);
    return merged[i] < 0 ? NONE : t->order[merged[i]] << 8 | i;
}

SHORT_INLINE void
merge_scored(shorts *s, const decai_tokenizer *t, least_fn *least)
{
    int32_t merged[DECAI__SHORT];
    uint32_t best;
    for (uint32_t i = 0; i + 1 < s->n; i++) s->key[i] = score_key(s, t, merged, i, s->start[i + 2]);
    while ((best = least(s->key, s->lanes)) != NONE) {
        uint32_t i = best & 255, before = s->prev[i], after = join(s, i);
        s->id[i] = (uint64_t)merged[i];
        if (after != s->n) s->key[i] = score_key(s, t, merged, i, s->start[s->next[after]]);
        if (before != s->n) s->key[before] = score_key(s, t, merged, before, s->start[after]);
    }
}

/* ---- on what the CPU has -------------------------------------------------------------- */

SHORT_INLINE uint32_t
least_plain(const uint32_t *key, uint32_t lanes)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < lanes; i++) best = DECAI__MIN(best, key[i]);
    return best;
}

SHORT_INLINE uint32_t
search_plain(const uint64_t *slots, uint32_t mask, uint32_t place, uint64_t pair)
{
    for (uint32_t i = place; slots[i] != DECAI__NO_MERGE; i = (i + 1) & mask)
        if (slots[i] >> 24 == pair) return slots[i] & 0xffffff;
    return NONE;
}

static void
group_plain(const decai_tokenizer *t, decai__group_item *item, size_t count)
{
    merge_group(t, item, count, least_plain, search_plain);
}

static void
one_plain(shorts *s, const decai_tokenizer *t)
{
    if (t->rules.family == DECAI__SPM) merge_scored(s, t, least_plain);
    else merge_one(s, t, least_plain, search_plain);
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))

AVX2 SHORT_INLINE uint32_t
least_avx2(const uint32_t *key, uint32_t lanes)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)key);
    for (uint32_t i = 8; i < lanes; i += 8) v = _mm256_min_epu32(v, _mm256_loadu_si256((const __m256i *)(const void *)(key + i)));
    __m128i w = _mm_min_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    w = _mm_min_epu32(w, _mm_shuffle_epi32(w, 0x4e));
    w = _mm_min_epu32(w, _mm_shuffle_epi32(w, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(w);
}

AVX2 SHORT_INLINE uint32_t
search_avx2(const uint64_t *slots, uint32_t mask, uint32_t place, uint64_t pair)
{
    const __m256i want = _mm256_set1_epi64x((long long)pair), none = _mm256_set1_epi64x(-1);
    for (;; place = (place + 8) & mask) {
        __m256i a = _mm256_load_si256((const __m256i *)(const void *)(slots + place));
        __m256i b = _mm256_load_si256((const __m256i *)(const void *)(slots + place + 4));
        __m256i hit = _mm256_packs_epi32(_mm256_cmpeq_epi64(_mm256_srli_epi64(a, 24), want), _mm256_cmpeq_epi64(_mm256_srli_epi64(b, 24), want));
        __m256i empty = _mm256_or_si256(_mm256_cmpeq_epi64(a, none), _mm256_cmpeq_epi64(b, none));
        if (_mm256_testz_si256(_mm256_or_si256(hit, empty), none)) continue;
        uint32_t m = (uint32_t)_mm256_movemask_epi8(hit);
        /* The low lanes of a, of b, the high lanes of a, of b: four bytes a slot. */
        static const uint8_t SLOT[9] = { 0, 1, 4, 5, 2, 3, 6, 7, 0 };
        uint32_t rank = slots[place + SLOT[m ? (uint32_t)__builtin_ctz(m) / 4 : 8]] & 0xffffff;
        return m ? rank : NONE;
    }
}

AVX2 static void
group_avx2(const decai_tokenizer *t, decai__group_item *item, size_t count)
{
    merge_group(t, item, count, least_avx2, search_avx2);
}

AVX2 static void
one_avx2(shorts *s, const decai_tokenizer *t)
{
    if (t->rules.family == DECAI__SPM) merge_scored(s, t, least_avx2);
    else merge_one(s, t, least_avx2, search_avx2);
}

/* ---- AVX-512: a line of slots, sixteen keys ------------------------------------------ */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,lzcnt")))

AVX512 SHORT_INLINE uint32_t
least_avx512(const uint32_t *key, uint32_t lanes)
{
    __m512i v = _mm512_loadu_si512((const void *)key);
    for (uint32_t i = 16; i < lanes; i += 16) v = _mm512_min_epu32(v, _mm512_loadu_si512((const void *)(key + i)));
    return _mm512_reduce_min_epu32(v);
}

AVX512 SHORT_INLINE uint32_t
search_avx512(const uint64_t *slots, uint32_t mask, uint32_t place, uint64_t pair)
{
    for (;; place = (place + 8) & mask) {
        __m512i v = _mm512_load_si512((const void *)(slots + place));
        uint32_t hit = _mm512_cmpeq_epi64_mask(_mm512_srli_epi64(v, 24), _mm512_set1_epi64((long long)pair));
        uint32_t empty = _mm512_cmpeq_epi64_mask(v, _mm512_set1_epi64(-1));
        if (!(hit | empty)) continue;
        uint32_t rank = slots[place + (uint32_t)__builtin_ctz(hit | 128)] & 0xffffff;
        return hit ? rank : NONE;
    }
}

AVX512 static void
group_avx512(const decai_tokenizer *t, decai__group_item *item, size_t count)
{
    merge_group(t, item, count, least_avx512, search_avx512);
}

static bool
has_avx512(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("bmi2");
}

static bool
has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif

static void
merge(shorts *s, const decai_tokenizer *t)
{
#if defined(__x86_64__)
    if (has_avx2()) {
        one_avx2(s, t);
        return;
    }
#endif
    one_plain(s, t);
}

/* ---- what others call ------------------------------------------------------------------ */

static int32_t
no_token(const decai_tokenizer *t, const uint8_t *text)
{
    while (t->byte_id[*text] >= 0) text++;
    return decai__fail(DECAI_E_UNSUPPORTED, "text: this vocabulary has no token for byte 0x%02x", *text);
}

int32_t
decai__bpe_short(decai__work *w, const uint8_t *text, size_t len)
{
    shorts s;
    int32_t r = 0;
    if (!begin(&s, w->t, text, len)) return no_token(w->t, text);
    merge(&s, w->t);
    for (uint32_t i = 0; !r && i < s.n; i = s.next[i]) {
        int32_t id = s.id[i] == NO_ID ? -1 : (int32_t)s.id[i];
        decai__symbol y[2] = { { .start = s.start[i], .id = id }, { .start = s.start[s.next[i]] } };
        r = id >= 0 && !w->ids->ends ? decai__ids_add(w->ids, id, 0) : decai__bpe_emit(w, text, y);
    }
    return r;
}

int32_t
decai__bpe_short_symbols(decai__work *w, const uint8_t *text, size_t len, uint32_t *count)
{
    shorts s;
    uint32_t n = 0;
    if (!begin(&s, w->t, text, len)) return no_token(w->t, text);
    merge(&s, w->t);
    for (uint32_t i = 0; i < s.n; i = s.next[i]) {
        w->symbols[n].start = s.start[i];
        w->symbols[n++].id = s.id[i] == NO_ID ? -1 : (int32_t)s.id[i];
    }
    w->symbols[n].start = (uint32_t)len;
    *count = n;
    return 0;
}

bool
decai__bpe_short_stable(const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    shorts s;
    if (!begin(&s, t, text, len)) return false;
    merge(&s, t);
    return s.next[0] == s.n;
}

void
decai__bpe_group(const decai_tokenizer *t, decai__group_item *item, size_t count)
{
#if defined(__x86_64__)
    if (has_avx512()) {
        group_avx512(t, item, count);
        return;
    }
    if (has_avx2()) {
        group_avx2(t, item, count);
        return;
    }
#endif
    group_plain(t, item, count);
}
