/* scan_words.c - the patterns that cut words, compiled by hand.
 *
 * Nearly all are one scheme, the first alternative that matches at a place:
 *
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d)                   contraction
 *     [^\r\n\p{L}\p{N}]?\p{L}+                       a word, with what stands before it
 *     \p{N}{1,3}                                     numbers
 *      ?[^\s\p{L}\p{N}]+[\r\n]*                      signs, and the line ends after them
 *     \s*[\r\n]+ | \s+(?!\S) | \s+                   spaces
 *
 * The last line means: spaces up to the last line end in them; else a run before
 * a word leaves its last character to the word; else the run. `scheme` says in
 * which points a pattern differs; each cut is one constant scheme, so the
 * compiler folds the tests away.
 *
 * Case matters to o200k and its kin (words): with U = Lu Lt Lm Lo M and L = Ll Lm
 * Lo M, X?U*L+ comes first, then X?U+L*. A regular expression finds the end by
 * stepping back; here one pass over the run of U suffices: if a lower-case letter
 * follows, the word goes on through it; else it ends behind the last character
 * that is in both sets; else, all being capitals, it is the run. */
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "tok/scan_words.h"

#define ANY SIZE_MAX

typedef struct scheme {
    size_t numbers;                  /* most numbers in a piece */
    bool contraction;                /* as the first alternative */
    bool marks;                      /* marks are letters */
    bool cased;                      /* words by case, contraction behind them */
    bool tail_contraction;
    bool han;                        /* runs of Han stand alone */
    bool phrases;                    /* a word goes on over single spaces between letters */
    uint8_t after;                   /* behind signs: 0 nothing, 1 line ends, 2 line ends and "/", 3 one of these */
    bool signs_stop;                 /* signs: [^\s\p{L}\p{N}\r\n] without line ends behind */
} scheme;

/* enum decai__class of ASCII. */
static const uint8_t ASCII[128] = {
    13, 13, 13, 13, 13, 13, 13, 13, 13, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
    12, 10, 10, 10, 11, 10, 10, 10, 10, 10, 10, 11, 10, 10, 10, 10, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 10, 10, 11, 11, 11, 10,
    10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10, 10, 10, 11, 10,
    11, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 10, 11, 10, 11, 13,
};

/* ---- runs ------------------------------------------------------------------------ */

/* Bytes at p that lie in [low, low + width), letters of both cases with fold 32;
 * stops at the first other one. */
static inline const uint8_t *
ascii_run(const uint8_t *p, const uint8_t *end, uint8_t fold, uint8_t low, uint8_t width)
{
#if defined(__SSE2__)
    const __m128i f = _mm_set1_epi8((char)fold), l = _mm_set1_epi8((char)low), w = _mm_set1_epi8((char)(width - 1));
    while (end - p >= 16) {
        __m128i v = _mm_sub_epi8(_mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)p), f), l);
        uint32_t in = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, w), v));
        if (in != 0xffff) return p + __builtin_ctz(~in);
        p += 16;
    }
#endif
    while (p < end && (uint8_t)((*p | fold) - low) < width) p++;
    return p;
}

const uint8_t *
decai__run(const uint8_t *p, const uint8_t *end, uint32_t set)
{
    const uint8_t *n;
    while (p < end && DECAI__IN(decai__class_next(p, end, &n), set)) p = n;
    return p;
}

const uint8_t *
decai__numbers_end(const uint8_t *p, const uint8_t *end, size_t most)
{
    const uint8_t *n;
    for (; most && p < end && DECAI__IN(decai__class_next(p, end, &n), DECAI__SET_N); most--) p = n;
    return p;
}

/* A run of letters (and marks), ASCII ones by the vector. */
static inline const uint8_t *
letters_end(const uint8_t *p, const uint8_t *end, uint32_t set)
{
    const uint8_t *n;
    for (;;) {
        p = ascii_run(p, end, 32, 'a', 26);
        if (p == end || *p < 0x80) return p;
        do {
            if (!DECAI__IN(decai__class_next(p, end, &n), set)) return p;
            p = n;
        } while (p < end && *p >= 0x80);
    }
}

/* ---- GPT-2: case counts in contractions, " " alone leads ---------------------------- */

const uint8_t *
decai__cut_gpt2(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n;
    size_t len = *p == '\'' ? decai__contraction(p, end, false) : 0;
    if (len) return p + len;
    const uint8_t *word = *p == ' ' && end - p > 1 ? p + 1 : p, *last = p;
    enum decai__class k = decai__class_next(word, end, &n);
    if (DECAI__IN(k, DECAI__SET_L)) return letters_end(n, end, DECAI__SET_L);
    if (DECAI__IN(k, DECAI__SET_N)) return decai__run(n, end, DECAI__SET_N);
    if (k != DECAI__SPACE) return decai__run(n, end, ~(DECAI__SET_L | DECAI__SET_N | DECAI__SET_SPACE));
    const uint8_t *stop = p;
    for (; stop < end && decai__class_next(stop, end, &n) == DECAI__SPACE; stop = n) last = stop;
    return stop == end || last == p ? stop : last;
}

/* ---- the scheme --------------------------------------------------------------------- */

static inline bool
is_newline(uint8_t b)
{
    return b == '\n' || b == '\r';
}

/* Spaces at p: p is one. */
static inline const uint8_t *
spaces_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *last = p, *line = NULL, *stop = p, *from = p;
    for (; stop < end; stop = n) {
        if (*stop == ' ') n = stop + 1;
        else if (decai__class_next(stop, end, &n) != DECAI__SPACE) break;
        else if (is_newline(*stop)) line = n;
        last = stop;
    }

    if (line) return line;
    return stop == end || last == from ? stop : last;
}

static inline const uint8_t *
signs_end(const uint8_t *p, const uint8_t *end, uint32_t stop, const scheme *s)
{
    const uint8_t *n;
    while (p < end && !DECAI__IN(decai__class_next(p, end, &n), stop)) p = n;
    if (s->signs_stop) return p;
    if (s->after == 3) return p < end && (is_newline(*p) || *p == '/') ? p + 1 : p;
    while (p < end && (is_newline(*p) ? s->after != 0 : *p == '/' && s->after == 2)) p++;
    return p;
}

static inline bool
is_han(uint32_t c)
{
    /* Script=Han of Unicode 16: ideographs, radicals, numerals, iteration marks. */
    static const uint32_t REST[][2] = {
        { 0x2e80, 0x2e99 }, { 0x2e9b, 0x2ef3 }, { 0x2f00, 0x2fd5 }, { 0x3005, 0x3005 }, { 0x3007, 0x3007 }, { 0x3021, 0x3029 },
        { 0x3038, 0x303b }, { 0xf900, 0xfa6d }, { 0xfa70, 0xfad9 }, { 0x16fe2, 0x16fe3 }, { 0x16ff0, 0x16ff1 }, { 0x20000, 0x2a6df },
        { 0x2a700, 0x2b739 }, { 0x2b740, 0x2b81d }, { 0x2b820, 0x2cea1 }, { 0x2ceb0, 0x2ebe0 }, { 0x2ebf0, 0x2ee5d },
        { 0x2f800, 0x2fa1d }, { 0x30000, 0x3134a }, { 0x31350, 0x323af },
    };
    if (c < 0x2e80) return false;
    if (c >= 0x3400 && c <= 0x9fff) return c <= 0x4dbf || c >= 0x4e00;
    for (size_t i = 0; i < DECAI__COUNT(REST); i++)
        if (c <= REST[i][1]) return c >= REST[i][0];
    return false;
}

/* X?U*L+ | X?U+L* without the X; NULL: neither. *lower: the first of the two. */
static inline const uint8_t *
cased_end(const uint8_t *p, const uint8_t *end, bool han, bool *lower)
{
    const uint8_t *n, *both = NULL, *from = p;
    uint32_t c = 0;
    enum decai__class k = DECAI__CN;
    for (; p < end; p = n) {
        p = ascii_run(p, end, 0, 'A', 26);
        if (p == end) break;
        c = decai__utf8_next(p, end, &n);
        k = decai__unicode_class(c);
        if (!DECAI__IN(k, DECAI__SET_UPPER) || (han && is_han(c))) break;
        if (DECAI__IN(k, DECAI__SET_LOWER)) both = n;
    }
    *lower = true;
    if (p < end && k == DECAI__LL) {
        for (;;) {
            p = ascii_run(p, end, 0, 'a', 26);
            if (p == end || (*p < 0x80)) return p;
            c = decai__utf8_next(p, end, &n);
            if (!DECAI__IN(decai__unicode_class(c), DECAI__SET_LOWER) || (han && is_han(c))) return p;
            p = n;
        }
    }
    if (both) return both;
    *lower = false;
    return p > from ? p : NULL;
}

/* A word of the cased patterns whose first character, up to n, is of class k. */
static inline const uint8_t *
cased_word(const uint8_t *p, const uint8_t *n, const uint8_t *end, enum decai__class k, const scheme *s)
{
    bool lower;
    const uint8_t *e;
    if (DECAI__IN(k, DECAI__SET_L)) {
        e = cased_end(p, end, s->han, &lower);
    } else {
        if (is_newline(*p)) return NULL;
        e = n < end ? cased_end(n, end, s->han, &lower) : NULL;
        /* A mark can lead a word or be one: alone, when X?U*L+ fails behind it. */
        if (DECAI__IN(k, DECAI__SET_M) && (!e || !lower)) e = n;
    }
    return e && s->tail_contraction && e < end && *e == '\'' ? e + decai__contraction(e, end, true) : e;
}

static inline const uint8_t *
plain_word(const uint8_t *p, const uint8_t *n, const uint8_t *end, enum decai__class k, uint32_t letters)
{
    const uint8_t *after;
    if (DECAI__IN(k, letters)) return letters_end(n, end, letters);
    if (n == end || is_newline(*p)) return NULL;
    uint8_t b = *n;
    if ((uint8_t)((b | 32) - 'a') < 26) return letters_end(n + 1, end, letters);
    if (b < 0x80 || !DECAI__IN(decai__class_next(n, end, &after), letters)) return NULL;
    return letters_end(after, end, letters);
}

/* X?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+ from its first letter on. */
static inline const uint8_t *
phrase_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *stop = p;
    while (p < end && DECAI__IN(decai__class_next(p, end, &n), DECAI__SET_L)) {
        stop = p = decai__run(n, end, DECAI__SET_M);
        if (p < end && *p == ' ') p++;
    }
    return stop;
}

static inline const uint8_t *
phrase(const uint8_t *p, const uint8_t *n, const uint8_t *end, enum decai__class k)
{
    if (DECAI__IN(k, DECAI__SET_L)) return phrase_end(p, end);
    if (n == end || is_newline(*p)) return NULL;
    const uint8_t *e = phrase_end(n, end);
    return e > n ? e : NULL;
}

static inline const uint8_t *
scheme_end(const uint8_t *p, const uint8_t *end, const scheme *s)
{
    const uint32_t letters = DECAI__SET_L | (s->marks ? DECAI__SET_M : 0), stop = letters | DECAI__SET_N | DECAI__SET_SPACE;
    const uint8_t *n, *e;
    uint32_t c = *p;
    enum decai__class k;
    if (c < 0x80) {
        n = p + 1;
        k = (enum decai__class)ASCII[c];
    } else {
        c = decai__utf8_next(p, end, &n);
        k = decai__unicode_class(c);
    }
    if (s->contraction && c == '\'') {
        size_t len = decai__contraction(p, end, true);
        if (len) return p + len;
    }
    if (s->han && is_han(c)) {
        for (; n < end && is_han(decai__utf8_next(n, end, &e)); n = e) { }
        return n;
    }
    if (DECAI__IN(k, DECAI__SET_N)) return decai__numbers_end(n, end, s->numbers - 1);
    e = s->cased ? cased_word(p, n, end, k, s) : s->phrases ? phrase(p, n, end, k) : plain_word(p, n, end, k, letters);
    if (e) return e;
    if (k != DECAI__SPACE) return signs_end(n, end, stop, s);
    if (c == ' ' && n < end && !DECAI__IN(decai__class_next(n, end, &e), stop)) return signs_end(e, end, stop, s);
    return spaces_end(p, end);
}

#define CUT(name, ...)                                                          \
    const uint8_t *decai__cut_##name(const uint8_t *p, const uint8_t *end)      \
    {                                                                           \
        static const scheme S = { __VA_ARGS__ };                                \
        return scheme_end(p, end, &S);                                          \
    }

CUT(llama3, .numbers = 3, .contraction = true, .after = 1)
CUT(qwen2, .numbers = 1, .contraction = true, .after = 1)
CUT(qwen35, .numbers = 1, .contraction = true, .marks = true, .after = 1)
CUT(plain_qwen, .numbers = 1, .after = 1)
CUT(minicpm, .numbers = ANY, .contraction = true, .after = 1)
CUT(seed, .numbers = 1, .contraction = true, .signs_stop = true)
CUT(bailing, .numbers = 1, .contraction = true, .after = 1)
CUT(o200k, .numbers = 3, .cased = true, .tail_contraction = true, .after = 2)
CUT(tekken, .numbers = 1, .cased = true, .after = 2)
CUT(youtu, .numbers = 1, .cased = true, .tail_contraction = true, .after = 2)
CUT(exaone_moe, .numbers = 1, .contraction = true, .phrases = true, .after = 3)
CUT(kimi, .numbers = 3, .cased = true, .tail_contraction = true, .han = true, .after = 1)

/* ---- DeepSeek V3 ----------------------------------------------------------------------
 * [ASCII sign][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ |  ?[\p{P}\p{S}]+[\r\n]* | spaces
 * A character in none of these lies between pieces: it is a piece with its like. */

/* \s+(?!\S) | \s+ */
static const uint8_t *
run_before_word(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *stop = p, *last = p;
    for (; stop < end && decai__class_next(stop, end, &n) == DECAI__SPACE; stop = n) last = stop;
    return stop == end || last == p ? stop : last;
}

static bool
starts_v3(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *after;
    enum decai__class k = decai__class_next(p, end, &n);
    if (DECAI__IN(k, DECAI__SET_L | DECAI__SET_M | DECAI__SET_P | DECAI__SET_S | DECAI__SET_SPACE)) return true;
    return n < end && DECAI__IN(decai__class_next(n, end, &after), DECAI__SET_L | DECAI__SET_M);
}

/* `lines`: line ends go with the signs before them and with spaces, as above;
 * else (Spark 2.5) each is a piece, unless spaces before it reach over it. */
static inline const uint8_t *
v3_end(const uint8_t *p, const uint8_t *end, bool lines)
{
    const scheme S = { .after = lines };
    const uint32_t letters = DECAI__SET_L | DECAI__SET_M, signs = DECAI__SET_P | DECAI__SET_S;
    const uint8_t *n, *after;
    enum decai__class k = decai__class_next(p, end, &n);
    if (*p < 0x80 && DECAI__IN(k, signs)) {
        const uint8_t *e = ascii_run(n, end, 32, 'a', 26);
        if (e > n) return e;
    }
    if (DECAI__IN(k, letters)) return letters_end(n, end, letters);
    if (DECAI__IN(k, signs)) return signs_end(n, end, ~signs, &S);
    bool more = n < end, space = k == DECAI__SPACE;
    enum decai__class next = more ? decai__class_next(n, end, &after) : DECAI__CN;
    if (more && !is_newline(*p) && DECAI__IN(next, letters)) return letters_end(after, end, letters);
    if (more && *p == ' ' && DECAI__IN(next, signs)) return signs_end(after, end, ~signs, &S);
    if (space && lines) return spaces_end(p, end);
    if (space && is_newline(*p)) return p + 1;
    if (space) return run_before_word(p, end);
    for (p = n; p < end && !starts_v3(p, end);) decai__utf8_next(p, end, &p);
    return p;
}

const uint8_t *decai__cut_deepseek3(const uint8_t *p, const uint8_t *end) { return v3_end(p, end, true); }
const uint8_t *decai__cut_spark(const uint8_t *p, const uint8_t *end) { return v3_end(p, end, false); }

/* ---- Jais 2: Llama 3's, with spaces cut into powers of two ---------------------------------
 * \s*[\r\n]+ | \s{512}(?!\S) | \s{256}(?!\S) | ... | \s{4}(?!\S) | \s{1,2}(?!\S) | \s
 * *run: the end of a run of spaces that was seen to hold no line end. */
static const uint8_t *
space_block(const uint8_t *p, const uint8_t *run, const uint8_t *end)
{
    const uint8_t *n;
    size_t count = 0, most = 512;
    for (const uint8_t *q = p; q < run && count <= most; q = n, count++) decai__utf8_next(q, end, &n);
    while (most > 1 && count < most + (run < end)) most /= 2;
    for (; most; most--) decai__utf8_next(p, end, &p);
    return p;
}

const uint8_t *
decai__cut_jais2(const uint8_t *p, const uint8_t *end, const uint8_t **run)
{
    const uint8_t *n, *after, *line = NULL;
    bool lead = decai__class_next(p, end, &n) != DECAI__SPACE;
    /* A space before a word or signs goes with them. */
    if (!lead && n < end && !is_newline(*p)) lead = DECAI__IN(decai__class_next(n, end, &after), DECAI__SET_L);
    if (!lead && n < end && *p == ' ')
        lead = !DECAI__IN(decai__class_next(n, end, &after), DECAI__SET_L | DECAI__SET_N | DECAI__SET_SPACE);
    if (lead) return decai__cut_llama3(p, end);
    if (p >= *run) {
        const uint8_t *q = p;
        for (; q < end && decai__class_next(q, end, &n) == DECAI__SPACE; q = n)
            if (is_newline(*q)) line = n;
        if (line) return line;
        *run = q;
    }
    return space_block(p, *run, end);
}

/* ---- Bloom:  ?[^(\s|.,!?...)]+ ----------------------------------------------------------- */

static bool
is_bloom(uint32_t c)
{
    static const uint16_t NOT[] = { '(', '|', '.', ',', '!', '?', ')', 0x2026, 0x3002, 0xff0c, 0x3001, 0x0964, 0x06d4, 0x060c };
    for (size_t i = 0; i < DECAI__COUNT(NOT); i++)
        if (c == NOT[i]) return false;
    return decai__unicode_class(c) != DECAI__SPACE;
}

const uint8_t *
decai__cut_bloom(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *word = *p == ' ' ? p + 1 : p;
    if (word < end && is_bloom(decai__utf8_next(word, end, &n))) {
        for (p = n; p < end && is_bloom(decai__utf8_next(p, end, &n));) p = n;
        return p;
    }
    /* Between matches: up to where one starts. */
    for (decai__utf8_next(p, end, &p); p < end; p = n) {
        word = *p == ' ' ? p + 1 : p;
        n = p;
        if (word < end && is_bloom(decai__utf8_next(word, end, &n))) break;
        decai__utf8_next(p, end, &n);
    }
    return p;
}
