/* scan.c - the walk over a text, and the small cuts that patterns are made of.
 *
 * A pre-tokenizer is a list of cuts; each is given a stretch that the cut before
 * it left whole and says where the next piece of it ends. A cut never looks
 * outside its stretch, so "not followed by a non-space" holds at its end.
 *
 * Every byte is looked at a bounded number of times and nothing recurses: no
 * text, however uniform, costs more than linear time or any stack. A byte that
 * is not part of valid UTF-8 counts as one character that is in no class.
 *
 * The big patterns are in scan_words.c. Source of all of them: the models' own
 * tokenizer.json, as listed in llama.cpp's src/llama-vocab.cpp. */
#include <string.h>

#include "tok/scan_words.h"


/* The first place where match holds ends a gap; a match at p is the piece. Each
 * match looks at two characters before it fails. */
static inline const uint8_t *
first(const uint8_t *p, const uint8_t *end, decai__cut_fn *match)
{
    const uint8_t *e = match(p, end);
    if (e) return e;
    do decai__utf8_next(p, end, &p);
    while (p < end && !match(p, end));
    return p;
}

/* ---- one class of characters ------------------------------------------------- */

static const uint8_t *
number_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n;
    return DECAI__IN(decai__class_next(p, end, &n), DECAI__SET_N) ? n : NULL;
}

static const uint8_t *cut_number(const uint8_t *p, const uint8_t *end) { return first(p, end, number_match); }

static const uint8_t *
three_numbers_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *e = decai__numbers_end(p, end, 3);
    return e > p ? e : NULL;
}

static const uint8_t *cut_three_numbers(const uint8_t *p, const uint8_t *end) { return first(p, end, three_numbers_match); }

static const uint8_t *
numbers_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *e = decai__run(p, end, DECAI__SET_N);
    return e > p ? e : NULL;
}

static const uint8_t *cut_numbers(const uint8_t *p, const uint8_t *end) { return first(p, end, numbers_match); }

static const uint8_t *
newline_match(const uint8_t *p, const uint8_t *end)
{
    (void)end;
    return *p == '\n' || *p == '\r' ? p + 1 : NULL;
}

static const uint8_t *cut_newline(const uint8_t *p, const uint8_t *end) { return first(p, end, newline_match); }

/* [0-9][0-9][0-9] */
static const uint8_t *
three_digits_match(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 3) return NULL;
    for (int i = 0; i < 3; i++)
        if (p[i] < '0' || p[i] > '9') return NULL;
    return p + 3;
}

static const uint8_t *cut_three_digits(const uint8_t *p, const uint8_t *end) { return first(p, end, three_digits_match); }

/* A run of punctuation, ASCII symbols being punctuation too. */
static const uint8_t *
punctuation_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *from = p;
    for (; p < end; p = n) {
        enum decai__class k = decai__class_next(p, end, &n);
        if (k != DECAI__P && !(k == DECAI__S && *p < 0x80)) break;
    }
    return p > from ? p : NULL;
}

static const uint8_t *cut_punctuation(const uint8_t *p, const uint8_t *end) { return first(p, end, punctuation_match); }

/* [^\n]+ | \n+ */
static const uint8_t *
cut_lines(const uint8_t *p, const uint8_t *end)
{
    if (*p == '\n') {
        while (p < end && *p == '\n') p++;
        return p;
    }
    const uint8_t *e = memchr(p, '\n', (size_t)(end - p));
    return e ? e : end;
}

/* ---- digits in threes, counted from the right --------------------------------- */

static const uint8_t *
digits_end(const uint8_t *p, const uint8_t *end, size_t *count)
{
    const uint8_t *n;
    for (*count = 0; p < end && decai__class_next(p, end, &n) == DECAI__ND; p = n) ++*count;
    return p;
}

/* The first group of a run of `count` digits at p. */
static const uint8_t *
group_end(const uint8_t *p, const uint8_t *end, size_t count)
{
    for (size_t i = count % 3 ? count % 3 : 3; i; i--) decai__utf8_next(p, end, &p);
    return p;
}

/* (?=(\d{3})+(?!\d)): groups of three; what is no digit stays whole. *run is the
 * end of a run whose groups are being given: its length is counted only once. */
static const uint8_t *
cut_groups(const uint8_t *p, const uint8_t *end, const uint8_t **run)
{
    size_t count;
    const uint8_t *n;
    if (p < *run) return group_end(p, end, 3);
    if (decai__class_next(p, end, &n) != DECAI__ND) {
        while (p < end && decai__class_next(p, end, &n) != DECAI__ND) p = n;
        return p;
    }
    *run = digits_end(p, end, &count);
    return group_end(p, end, count);
}

/* \d{1,3}(?=(?:\d{3})*\b): a run before a letter, mark or joiner has no border. */
static const uint8_t *
cut_bounded_groups(const uint8_t *p, const uint8_t *end, const uint8_t **run)
{
    size_t count;
    const uint8_t *n;
    if (p < *run) return group_end(p, end, 3);
    const uint8_t *e = digits_end(p, end, &count);
    bool joined = e < end && (*e == '_' || DECAI__IN(decai__class_next(e, end, &n), DECAI__SET_L | DECAI__SET_M | DECAI__SET_N));
    if (count && !joined) {
        *run = e;
        return group_end(p, end, count);
    }
    for (p = e; p < end && decai__class_next(p, end, &n) != DECAI__ND;) p = n;
    return p;
}

/* ---- DeepSeek's lists of characters ---------------------------------------------- */

typedef struct range { uint16_t first, last; } range;

static bool
in_ranges(uint32_t c, const range *table, size_t count)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c > table[mid].last) low = mid + 1;
        else high = mid;
    }
    return low < count && c >= table[low].first;
}

static bool
is_llm_letter(uint32_t c)
{
    static const range TABLE[] = {
        {0xb5,0xb5}, {0xc0,0xd6}, {0xd8,0xf6}, {0xf8,0x1ba}, {0x1bc,0x1bf}, {0x1c4,0x293}, {0x295,0x2af},
        {0x370,0x373}, {0x376,0x376}, {0x377,0x377}, {0x37b,0x37d}, {0x37f,0x37f}, {0x386,0x386}, {0x388,0x38a},
        {0x38c,0x38c}, {0x38e,0x3a1}, {0x3a3,0x3f5}, {0x3f7,0x481}, {0x48a,0x52f}, {0x531,0x556}, {0x10a0,0x10c5},
        {0x13a0,0x13f5}, {0x13f8,0x13fd}, {0x1c90,0x1cba}, {0x1cbd,0x1cbf}, {0x1d00,0x1d2b}, {0x1d6b,0x1d77},
        {0x1d79,0x1d9a}, {0x1e00,0x1f15}, {0x1f18,0x1f1d}, {0x1f20,0x1f45}, {0x1f48,0x1f4d}, {0x1f50,0x1f57},
        {0x1f59,0x1f59}, {0x1f5b,0x1f5b}, {0x1f5d,0x1f5d}, {0x1f5f,0x1f7d}, {0x1f80,0x1fb4}, {0x1fb6,0x1fbc},
        {0x1fbe,0x1fbe}, {0x1fc2,0x1fc4}, {0x1fc6,0x1fcc}, {0x1fd0,0x1fd3}, {0x1fd6,0x1fdb}, {0x1fe0,0x1fec},
        {0x1ff2,0x1ff4}, {0x1ff6,0x1ffc}, {0x2102,0x2102}, {0x2107,0x2107}, {0x210a,0x2113}, {0x2115,0x2115},
        {0x2119,0x211d}, {0x2124,0x2124}, {0x2126,0x2126}, {0x2128,0x2128}, {0x212a,0x212d}, {0x212f,0x2134},
        {0x2139,0x2139}, {0x213c,0x213f}, {0x2145,0x2149}, {0x214e,0x214e}, {0x2183,0x2183}, {0x2184,0x2184},
        {0x2c00,0x2c7b}, {0x2c7e,0x2ce4}, {0x2ceb,0x2cee}, {0x2cf2,0x2cf2}, {0x2cf3,0x2cf3}, {0xa640,0xa66d},
        {0xa680,0xa69b}, {0xa722,0xa76f}, {0xa771,0xa787}, {0xa78b,0xa78e}, {0xab70,0xabbf}, {0xfb00,0xfb06},
        {0xfb13,0xfb17}, {0xff21,0xff3a}, {0xff41,0xff5a},
    };
    if (c < 0x80) return (c | 32) >= 'a' && (c | 32) <= 'z';
    if (c > 0xffff)
        return (c >= 0x10400 && c <= 0x1044f) || (c >= 0x104b0 && c <= 0x104d3) || (c >= 0x104d8 && c <= 0x104fb)
            || (c >= 0x10c80 && c <= 0x10cb2) || (c >= 0x10cc0 && c <= 0x10cf2) || (c >= 0x118a0 && c <= 0x118df)
            || (c >= 0x1e900 && c <= 0x1e943);
    return in_ranges(c, TABLE, DECAI__COUNT(TABLE));
}

/* [!-/:-~!-/:-~'-' -。] of half and full width, as the pattern lists them. */
static bool
is_llm_sign(uint32_t c)
{
    static const range TABLE[] = { { 0x21, 0x2f }, { 0x3a, 0x7e }, { 0x2018, 0x201f }, { 0x3000, 0x3002 },
        { 0xff01, 0xff0f }, { 0xff1a, 0xff5e } };
    return in_ranges(c, TABLE, DECAI__COUNT(TABLE));
}

static bool
is_llm_cjk(uint32_t c)
{
    return (c >= 0x800 && c <= 0x9fa5) || (c >= 0xac00 && c <= 0xd7ff);
}

static bool
is_v3_cjk(uint32_t c)
{
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x4e00 && c <= 0x9fa5);
}

static bool
is_letter(uint32_t c)
{
    return DECAI__IN(decai__unicode_class(c), DECAI__SET_L);
}

static bool
is_sign(uint32_t c)
{
    return decai__unicode_class(c) == DECAI__P;
}

/* \s?[set]+, or [set]+ */
static inline const uint8_t *
set_match(const uint8_t *p, const uint8_t *end, bool (*in)(uint32_t), bool space)
{
    const uint8_t *n, *word = p;
    uint32_t c = decai__utf8_next(p, end, &n);
    if (space && decai__unicode_class(c) == DECAI__SPACE && n < end) {
        const uint8_t *after;
        if (in(decai__utf8_next(n, end, &after))) word = n;
    }
    for (p = word; p < end && in(decai__utf8_next(p, end, &n));) p = n;
    return p > word ? p : NULL;
}

static const uint8_t *llm_letter_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_llm_letter, true); }
static const uint8_t *llm_sign_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_llm_sign, true); }
static const uint8_t *llm_cjk_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_llm_cjk, false); }
static const uint8_t *v3_cjk_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_v3_cjk, false); }
static const uint8_t *letter_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_letter, true); }
static const uint8_t *sign_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_sign, true); }

static const uint8_t *cut_llm_letters(const uint8_t *p, const uint8_t *end) { return first(p, end, llm_letter_match); }
static const uint8_t *cut_llm_signs(const uint8_t *p, const uint8_t *end) { return first(p, end, llm_sign_match); }
static const uint8_t *cut_llm_cjk(const uint8_t *p, const uint8_t *end) { return first(p, end, llm_cjk_match); }
static const uint8_t *cut_v3_cjk(const uint8_t *p, const uint8_t *end) { return first(p, end, v3_cjk_match); }
static const uint8_t *cut_letters(const uint8_t *p, const uint8_t *end) { return first(p, end, letter_match); }
static const uint8_t *cut_signs(const uint8_t *p, const uint8_t *end) { return first(p, end, sign_match); }

/* \s+$: the spaces that end the stretch, found from its end. */
static const uint8_t *
cut_trailing(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n, *e = end;
    while (e > p) {
        const uint8_t *c = e - 1;
        while (c > p && e - c < 4 && (*c & 0xc0) == 0x80) c--;
        if (decai__class_next(c, end, &n) != DECAI__SPACE || n != e) break;
        e = c;
    }
    return e > p ? e : end;
}

/* ---- the walk ---------------------------------------------------------------------- */

/* The groups keep a place between calls; scan_next knows these two by address. */
static const uint8_t *groups(const uint8_t *p, const uint8_t *end) { (void)p; return end; }
static const uint8_t *bounded_groups(const uint8_t *p, const uint8_t *end) { (void)end; return p; }

static const struct { decai__cut_fn *cut[DECAI__STAGE_MAX + 1]; } PRE[DECAI__PRE_COUNT] = {
    [DECAI__PRE_GPT2] = { { decai__cut_gpt2 } },
    [DECAI__PRE_DIGITS] = { { cut_number, decai__cut_gpt2 } },
    [DECAI__PRE_LLAMA3] = { { decai__cut_llama3 } },
    [DECAI__PRE_QWEN2] = { { decai__cut_qwen2 } },
    [DECAI__PRE_QWEN35] = { { decai__cut_qwen35 } },
    [DECAI__PRE_O200K] = { { decai__cut_o200k } },
    [DECAI__PRE_TEKKEN] = { { decai__cut_tekken } },
    [DECAI__PRE_DEEPSEEK_LLM] = { { cut_newline, cut_llm_letters, cut_llm_signs, cut_trailing, cut_llm_cjk, cut_number } },
    [DECAI__PRE_DEEPSEEK_CODER] = { { cut_newline, cut_letters, cut_signs, cut_llm_cjk, cut_number } },
    [DECAI__PRE_DEEPSEEK3] = { { cut_three_numbers, cut_v3_cjk, decai__cut_deepseek3 } },
    [DECAI__PRE_FALCON] = { { cut_punctuation, decai__cut_gpt2, cut_three_digits } },
    [DECAI__PRE_PUNCT] = { { cut_punctuation, decai__cut_gpt2, cut_numbers, cut_three_digits } },
    [DECAI__PRE_BLOOM] = { { decai__cut_bloom } },
    [DECAI__PRE_VIKING] = { { decai__cut_bloom, cut_number } },
    [DECAI__PRE_SEED] = { { decai__cut_seed } },
    [DECAI__PRE_BAILING] = { { decai__cut_bailing } },
    [DECAI__PRE_PLAIN_QWEN] = { { decai__cut_plain_qwen } },
    [DECAI__PRE_MINICPM] = { { cut_three_numbers, decai__cut_minicpm } },
    [DECAI__PRE_TINY_AYA] = { { bounded_groups, decai__cut_o200k } },
    [DECAI__PRE_KIMI] = { { decai__cut_kimi } },
    [DECAI__PRE_SUPERBPE] = { { cut_numbers, groups } },
    [DECAI__PRE_LINES] = { { cut_lines } },
    [DECAI__PRE_LINES_QWEN] = { { cut_lines, decai__cut_qwen2 } },
    [DECAI__PRE_GRANITE] = { { decai__cut_o200k } },
    [DECAI__PRE_NONE] = { { NULL } },
};

decai__cut_fn *
decai__scan_single(enum decai__pre pre)
{
    return PRE[pre].cut[1] ? NULL : PRE[pre].cut[0];
}

void
decai__scan_begin(decai__scanner *s, enum decai__pre pre, const uint8_t *text, size_t len)
{
    s->pre = pre;
    s->pos = text;
    s->text_end = text + len;
    s->run = text;
    for (s->stages = 0; s->stages <= DECAI__STAGE_MAX && PRE[pre].cut[s->stages]; s->stages++)
        if (s->stages < DECAI__STAGE_MAX) s->end[s->stages] = text;
}

static inline const uint8_t *
cut(decai__scanner *s, uint32_t stage, const uint8_t *p, const uint8_t *end)
{
    decai__cut_fn *f = PRE[s->pre].cut[stage];
    if (f == groups) return cut_groups(p, end, &s->run);
    return f == bounded_groups ? cut_bounded_groups(p, end, &s->run) : f(p, end);
}

bool
decai__scan_next(decai__scanner *s, const uint8_t **out, size_t *len)
{
    const uint8_t *p = s->pos, *end = s->text_end;
    if (p == end) return false;
    *out = p;
    uint32_t i = 0;
    for (; i + 1 < s->stages; i++) {
        if (p == s->end[i]) s->end[i] = cut(s, i, p, end);
        end = s->end[i];
    }
    s->pos = s->stages ? cut(s, i, p, end) : end;
    *len = (size_t)(s->pos - p);
    decai__assert(*len > 0 && s->pos <= end);
    return true;
}
