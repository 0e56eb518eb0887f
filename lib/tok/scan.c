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

/* Runs of bytes that are numbers when each byte is a letter of GPT-2's alphabet: the
 * digits, and those written as 2 3 1 raised, 1/4, 1/2, 3/4. */
static const uint8_t *
alphabet_numbers_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *from = p;
    for (; p < end; p++)
        if (!(*p >= '0' && *p <= '9') && *p != 0xb2 && *p != 0xb3 && *p != 0xb9 && !(*p >= 0xbc && *p <= 0xbe)) break;
    return p > from ? p : NULL;
}

/* By bytes, not by characters. */
static const uint8_t *
cut_alphabet_numbers(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *e = alphabet_numbers_match(p, end);
    if (e) return e;
    do p++;
    while (p < end && !alphabet_numbers_match(p, p + 1));
    return p;
}

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

/* Numbers in threes, counted from the right; what is none stays whole. */
static const uint8_t *
cut_number_groups(const uint8_t *p, const uint8_t *end, const uint8_t **run)
{
    const uint8_t *n;
    if (p < *run) return group_end(p, end, 3);
    size_t count = 0;
    for (const uint8_t *q = p; q < end && DECAI__IN(decai__class_next(q, end, &n), DECAI__SET_N); q = *run = n) count++;
    if (count) return group_end(p, end, count);
    while (p < end && !DECAI__IN(decai__class_next(p, end, &n), DECAI__SET_N)) p = n;
    return p;
}

bool
decai__is_word(uint32_t c)
{
    static const uint32_t MORE[][2] = {
        { 0x5f, 0x5f }, { 0x16ee, 0x16f0 }, { 0x203f, 0x2040 }, { 0x2054, 0x2054 }, { 0x2160, 0x2182 }, { 0x2185, 0x2188 },
        { 0x24b6, 0x24e9 }, { 0x3007, 0x3007 }, { 0x3021, 0x3029 }, { 0x3038, 0x303a }, { 0xa6e6, 0xa6ef }, { 0xfe33, 0xfe34 },
        { 0xfe4d, 0xfe4f }, { 0xff3f, 0xff3f }, { 0x10140, 0x10174 }, { 0x10341, 0x10341 }, { 0x1034a, 0x1034a },
        { 0x103d1, 0x103d5 }, { 0x12400, 0x1246e }, { 0x1f130, 0x1f149 }, { 0x1f150, 0x1f169 }, { 0x1f170, 0x1f189 },
    };
    if (DECAI__IN(decai__unicode_class(c), DECAI__SET_L | DECAI__SET_M | 1u << DECAI__ND)) return true;
    for (size_t i = 0; i < DECAI__COUNT(MORE) && c >= MORE[i][0]; i++)
        if (c <= MORE[i][1]) return true;
    return false;
}

/* Of a run of digits at p: its end, and their count; 0 where no border ends it. The
 * model's engine takes the numbers of Latin-1 for parts of words as well. */
static const uint8_t *
bounded_end(const uint8_t *p, const uint8_t *end, size_t *count)
{
    const uint8_t *n, *e = digits_end(p, end, count);
    uint32_t c = e < end ? decai__utf8_next(e, end, &n) : ' ';
    if (decai__is_word(c) || (c < 0x100 && decai__unicode_class(c) == DECAI__NO)) *count = 0;
    return e;
}

/* \d{1,3}(?=(?:\d{3})*\b). What does not match stays whole with what is around
 * it; *run is the end of the run of digits behind that, or of groups being given. */
static const uint8_t *
cut_bounded_groups(const uint8_t *p, const uint8_t *end, const uint8_t **run)
{
    size_t count;
    const uint8_t *n, *e;
    if (p < *run) return group_end(p, end, 3);
    e = bounded_end(p, end, &count);
    if (count) {
        *run = e;
        return group_end(p, end, count);
    }
    for (p = e; p < end;) {
        if (decai__class_next(p, end, &n) != DECAI__ND) {
            p = n;
            continue;
        }
        e = bounded_end(p, end, &count);
        if (count) break;
        p = e;
    }
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

/* ---- AFMoE, Youtu, Chameleon ---------------------------------------------------------- */

/* Ideographs, kana, Hangul and the scripts of South-East Asia that have no spaces. */
static bool
is_afmoe_script(uint32_t c)
{
    static const range TABLE[] = {
        { 0xe40, 0xe7f }, { 0xe80, 0xeff }, { 0x1000, 0x109f }, { 0x1100, 0x11ff }, { 0x1780, 0x17ff }, { 0x2f00, 0x2fdf },
        { 0x3040, 0x30ff }, { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff }, { 0xa9e0, 0xa9ff }, { 0xaa60, 0xaa7f }, { 0xac00, 0xd7af },
        { 0xf900, 0xfaff }, { 0xff65, 0xff9f },
    };
    return in_ranges(c, TABLE, DECAI__COUNT(TABLE));
}

/* 1 Hangul, 2 signs of full width, 3 Bopomofo, 4 ideographs and kana; 0 others. */
static int
youtu_script(uint32_t c)
{
    if ((c >= 0xac00 && c <= 0xd7a3) || (c >= 0x3131 && c <= 0x318e)) return 1;
    if (c == 0x2014 || c == 0x2018 || c == 0x2019 || c == 0x201c || c == 0x201d || c == 0x2026 || c == 0xff01 || c == 0xff0c
        || c == 0xff1a || c == 0xff1b || (c >= 0x3001 && c <= 0x303f) || (c >= 0xfe30 && c <= 0xfe4f))
        return 2;
    if (c >= 0x3105 && c <= 0x312f) return 3;
    return is_v3_cjk(c) ? 4 : 0;
}

static const uint8_t *
youtu_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n;
    int script = youtu_script(decai__utf8_next(p, end, &n));
    if (!script) return NULL;
    for (p = n; p < end && youtu_script(decai__utf8_next(p, end, &n)) == script;) p = n;
    return p;
}

static const uint8_t *
literal(const uint8_t *p, const uint8_t *end, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(end - p) >= len && !memcmp(p, text, len) ? p + len : NULL;
}

/* <sentinel:[0-9]+>; what stands before it ends where one begins. No digits are
 * read twice: each text of this kind has its own "<". */
static const uint8_t *
sentinel_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = literal(p, end, "<sentinel:"), *from = q;
    while (q && q < end && *q >= '0' && *q <= '9') q++;
    return q && q > from && q < end && *q == '>' ? q + 1 : NULL;
}

/* IMGIMG[A-I]{1,4}Z */
static const uint8_t *
image_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = literal(p, end, "IMGIMG"), *from = q;
    while (q && q < end && q - from < 4 && *q >= 'A' && *q <= 'I') q++;
    return q && q > from && q < end && *q == 'Z' ? q + 1 : NULL;
}

/* [\t\n] | four spaces | two spaces */
static const uint8_t *
blank_match(const uint8_t *p, const uint8_t *end)
{
    if (*p == '\t' || *p == '\n') return p + 1;
    const uint8_t *e = literal(p, end, "    ");
    return e ? e : literal(p, end, "  ");
}

/* A punctuation sign, ASCII symbols being punctuation too. */
static const uint8_t *
one_sign_match(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *n;
    enum decai__class k = decai__class_next(p, end, &n);
    return k == DECAI__P || (k == DECAI__S && *p < 0x80) ? n : NULL;
}

static const uint8_t *afmoe_match(const uint8_t *p, const uint8_t *end) { return set_match(p, end, is_afmoe_script, false); }
static const uint8_t *cut_afmoe(const uint8_t *p, const uint8_t *end) { return first(p, end, afmoe_match); }
static const uint8_t *cut_youtu(const uint8_t *p, const uint8_t *end) { return first(p, end, youtu_match); }
static const uint8_t *cut_sentinel(const uint8_t *p, const uint8_t *end) { return first(p, end, sentinel_match); }
static const uint8_t *cut_image(const uint8_t *p, const uint8_t *end) { return first(p, end, image_match); }
static const uint8_t *cut_blank(const uint8_t *p, const uint8_t *end) { return first(p, end, blank_match); }
static const uint8_t *cut_one_sign(const uint8_t *p, const uint8_t *end) { return first(p, end, one_sign_match); }

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

/* These keep a place between calls; scan_next knows them by address. */
static const uint8_t *groups(const uint8_t *p, const uint8_t *end) { (void)p; return end; }
static const uint8_t *bounded_groups(const uint8_t *p, const uint8_t *end) { (void)end; return p; }
static const uint8_t *number_groups(const uint8_t *p, const uint8_t *end) { return p + (end > p); }
static const uint8_t *jais2(const uint8_t *p, const uint8_t *end) { return end - (end > p); }
/* A stage that cuts nothing: behind the only stage of a pattern that keeps a place. */
static const uint8_t *whole(const uint8_t *p, const uint8_t *end) { (void)p; return end; }

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
    [DECAI__PRE_FALCON] = { { cut_punctuation, decai__cut_gpt2, cut_alphabet_numbers, cut_three_digits } },
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
    [DECAI__PRE_JAIS2] = { { jais2, whole } },
    [DECAI__PRE_YOUTU] = { { cut_youtu, decai__cut_youtu } },
    [DECAI__PRE_EXAONE_MOE] = { { decai__cut_exaone_moe } },
    [DECAI__PRE_AFMOE] = { { number_groups, cut_afmoe, decai__cut_deepseek3 } },
    [DECAI__PRE_SPARK] = { { cut_three_numbers, cut_v3_cjk, decai__cut_spark, cut_number } },
    [DECAI__PRE_CHAMELEON] = { { cut_sentinel, cut_image, cut_blank, cut_number, cut_one_sign, decai__cut_gpt2 } },
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
    if (f == number_groups) return cut_number_groups(p, end, &s->run);
    if (f == jais2) return decai__cut_jais2(p, end, &s->run);
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
