/* json_walk.c - the strict lexer that every JSON text passes first. RFC 8259:
 *
 *     value   object | array | string | number | true | false | null
 *     number  -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
 *     string  " (any character but ", \ and U+0000..U+001F | escape)* "
 *     escape  \" \\ \/ \b \f \n \r \t \uXXXX, surrogates in pairs
 *     space   20 09 0A 0D, between tokens
 *
 * and tighter where the RFC leaves room: UTF-8 only and valid, no byte order
 * mark, no U+0000 even when escaped, named caps on size, depth and values.
 * Numbers stay text: nobody here ever makes a double of one.
 *
 * It does not recurse: open objects and arrays are a bit each on a stack, so
 * that a hostile text cannot choose our stack depth. What it finds it tells a
 * sink: the duplicate checker first, the tree builder afterwards.
 */
#include <stdio.h>
#include <string.h>
#include "codec/internal.h"
#include "codec/json_scan.h"

struct walk {
    const char *text;
    size_t len, pos, nodes;
    uint32_t depth;
    bool object[DECAI_JSON_DEPTH_MAX];
    decai__buf scratch;                 /* a string that had escapes */
    const decai__json_limits *limits;
    decai__json_sink sink;
    void *user;
};

const decai__json_limits decai__json_limits_default = { DECAI_JSON_TEXT_MAX, DECAI_JSON_NODE_MAX, "DECAI_JSON_TEXT_MAX", "DECAI_JSON_NODE_MAX" };

int32_t
decai__json_fail_at(const char *text, size_t len, size_t offset, int32_t code, const char *why)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < offset && i < len; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return decai__fail(code, "json: line %zu, column %zu: %s", line, offset - start + 1, why);
}

static int32_t
fail(const struct walk *w, size_t offset, const char *why)
{
    return decai__json_fail_at(w->text, w->len, offset, DECAI_E_CORRUPT, why);
}

static int32_t
limit(const struct walk *w, const char *why)
{
    return decai__json_fail_at(w->text, w->len, w->pos, DECAI_E_LIMIT, why);
}

/* The next byte, or -1 at the end. */
static int
peek(const struct walk *w)
{
    return w->pos < w->len ? (uint8_t)w->text[w->pos] : -1;
}

static int
skip_space(struct walk *w)
{
    int c;
    while ((c = peek(w)) == ' ' || c == '\t' || c == '\n' || c == '\r') w->pos++;
    return c;
}

static int32_t
emit(struct walk *w, int32_t kind, const char *text, size_t len, size_t offset)
{
    decai__json_event event = { kind, text, len, offset };
    return w->sink(w->user, &event);
}

/* ---- strings ------------------------------------------------------------- */

/* Four hex digits at pos, or -1. */
static int32_t
read_hex4(struct walk *w)
{
    int32_t v = 0;
    for (size_t i = 0; i < 4; i++, w->pos++) {
        int c = peek(w);
        if (c >= '0' && c <= '9') v = v << 4 | (c - '0');
        else if (c >= 'a' && c <= 'f') v = v << 4 | (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') v = v << 4 | (c - 'A' + 10);
        else return -1;
    }
    return v;
}

static int32_t
add_utf8(decai__buf *b, uint32_t cp)
{
    uint8_t bytes[4];
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n; i-- > 1; cp >>= 6) bytes[i] = (uint8_t)(0x80 | (cp & 0x3f));
    bytes[0] = (uint8_t)(lead[n] | cp);
    return decai__buf_add(b, bytes, n);
}

/* Behind "\u": one code point, from two escapes if it is a surrogate pair. */
static int32_t
read_unicode(struct walk *w, size_t start)
{
    int32_t high = read_hex4(w), low;
    if (high < 0) return fail(w, start, "\\u needs four hex digits");
    if (high == 0) return fail(w, start, "\\u0000 is refused: texts end with NUL inside");
    if (high >= 0xdc00 && high <= 0xdfff) return fail(w, start, "low surrogate without a high one");
    if (high < 0xd800 || high > 0xdbff) return add_utf8(&w->scratch, (uint32_t)high);
    if (w->len - w->pos < 2 || w->text[w->pos] != '\\' || w->text[w->pos + 1] != 'u')
        return fail(w, start, "high surrogate without a low one");
    w->pos += 2;
    low = read_hex4(w);
    if (low < 0xdc00 || low > 0xdfff) return fail(w, start, "high surrogate without a low one");
    return add_utf8(&w->scratch, 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
}

static int32_t
read_escape(struct walk *w)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t start = w->pos++;                        /* the backslash */
    int c = peek(w);
    if (c < 0) return fail(w, start, "the text ends within a string");
    w->pos++;
    if (c == 'u') return read_unicode(w, start);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) return fail(w, start, "unknown escape");
    return decai__buf_add_byte(&w->scratch, (uint8_t)to[at - from]);
}

#if defined(__SSE2__)
/* Sixteen bytes at a time over text of any script. Each lead byte says which of
 * the bytes behind it must be continuations (80..BF); these, as bits, must be the
 * very ones that are. E0, ED, F0..F4 want more of their second byte and end the
 * run, as C0 and C1 do. Returns where a quote, backslash or control character
 * stands, or else from where on one has to look closer: the begin of a character. */
#define BITS(x) ((unsigned)_mm_movemask_epi8(x))
static const char *
text_run(const char *p, const char *end)
{
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
    unsigned carry = 0;
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned hits = BITS(_mm_or_si128(_mm_cmplt_epi8(v, space), _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash))));
        if (!(hits | carry)) continue;
        unsigned high = BITS(v), part = BITS(_mm_cmplt_epi8(v, _mm_set1_epi8(-64))), marks = hits & ~high;
        unsigned three = high & ~BITS(_mm_cmplt_epi8(v, _mm_set1_epi8(-32)));
        unsigned odd = BITS(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(-32)), _mm_cmpeq_epi8(v, _mm_set1_epi8(-19))))
            | BITS(_mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8(1)), _mm_set1_epi8(-63)))
            | (high & ~BITS(_mm_cmplt_epi8(v, _mm_set1_epi8(-16))));
        unsigned want = carry | (high & ~part) << 1 | three << 2;
        unsigned seen = marks ? (marks & -marks) * 2 - 1 : 0xffff;      /* up to the first mark */
        if (((want ^ part) | odd) & seen) break;
        if (marks) return p + __builtin_ctz(marks);
        carry = want >> 16;
    }
    if (carry)
        do p--;
        while (((uint8_t)*p & 0xc0) == 0x80);
    return p;
}
#undef BITS
#else
static const char *
text_run(const char *p, const char *end)
{
    return p + decai__json_plain(p, (size_t)(end - p));
}
#endif

const char *
decai__json_text_end(const char *p, const char *end)
{
    for (;;) {
        p = text_run(p, end);
        do {
            if (p == end) return NULL;
            uint8_t c = (uint8_t)*p;
            if (c == '"' || c == '\\') return p;
            size_t n = c < 0x20 ? 0 : decai__utf8_next(p, (size_t)(end - p));
            if (!n) return NULL;
            p += n;
        } while (p < end && ((uint8_t)*p >= 0x80 || end - p < 16));
    }
}

/* At the opening quote. Without escapes *text points into the source. */
static int32_t
read_string(struct walk *w, const char **text, size_t *len)
{
    size_t start = ++w->pos, plain = start;         /* plain: not yet copied */
    bool copied = false;
    int32_t r = 0;
    w->scratch.len = 0;
    while (!r) {
        w->pos += decai__json_plain(w->text + w->pos, w->len - w->pos);
        int c = peek(w);
        if (c < 0) return fail(w, start - 1, "the text ends within a string");
        if (c == '"') break;
        if (c < 0x20) return fail(w, w->pos, "control character in a string; escape it");
        if (c == '\\') {
            copied = true;
            r = decai__buf_add(&w->scratch, w->text + plain, w->pos - plain);
            if (!r) r = read_escape(w);
            plain = w->pos;
            continue;
        }
        size_t n = decai__utf8_next(w->text + w->pos, w->len - w->pos);
        if (!n) return fail(w, w->pos, "not valid UTF-8");
        w->pos += n;
    }
    if (!r && copied) r = decai__buf_add(&w->scratch, w->text + plain, w->pos - plain);
    if (r) return r;
    *text = copied ? (const char *)w->scratch.data : w->text + start;
    *len = copied ? w->scratch.len : w->pos - start;
    w->pos++;
    return 0;
}

/* ---- numbers and words ----------------------------------------------------- */

static size_t
skip_digits(struct walk *w)
{
    size_t start = w->pos;
    while (peek(w) >= '0' && peek(w) <= '9') w->pos++;
    return w->pos - start;
}

static int32_t
read_number(struct walk *w)
{
    size_t start = w->pos;
    if (peek(w) == '-') w->pos++;
    if (peek(w) == '0') {
        w->pos++;
        if (peek(w) >= '0' && peek(w) <= '9') return fail(w, start, "number with a leading zero");
    } else if (!skip_digits(w)) {
        return fail(w, start, "minus without a digit");
    }
    if (peek(w) == '.') {
        w->pos++;
        if (!skip_digits(w)) return fail(w, start, "number without a digit behind its point");
    }
    if (peek(w) == 'e' || peek(w) == 'E') {
        w->pos++;
        if (peek(w) == '+' || peek(w) == '-') w->pos++;
        if (!skip_digits(w)) return fail(w, start, "number without a digit in its exponent");
    }
    return emit(w, DECAI__EVENT_NUMBER, w->text + start, w->pos - start, start);
}

static int32_t
read_word(struct walk *w)
{
    static const struct { const char *word; size_t len; int32_t kind; } words[] = {
        { "true", 4, DECAI__EVENT_TRUE }, { "false", 5, DECAI__EVENT_FALSE }, { "null", 4, DECAI__EVENT_NULL },
    };
    for (size_t i = 0; i < DECAI__COUNT(words); i++)
        if (w->len - w->pos >= words[i].len && !memcmp(w->text + w->pos, words[i].word, words[i].len)) {
            size_t start = w->pos;
            w->pos += words[i].len;
            return emit(w, words[i].kind, w->text + start, words[i].len, start);
        }
    return fail(w, w->pos, peek(w) < 0 ? "the text ends where a value should be" : "a value should be here");
}

/* ---- structure ------------------------------------------------------------- */

static int32_t
open_level(struct walk *w, bool object)
{
    if (w->depth == DECAI_JSON_DEPTH_MAX) return limit(w, "deeper than DECAI_JSON_DEPTH_MAX");
    w->object[w->depth++] = object;
    size_t start = w->pos++;
    return emit(w, object ? DECAI__EVENT_OPEN_OBJECT : DECAI__EVENT_OPEN_ARRAY, NULL, 0, start);
}

static int32_t
close_level(struct walk *w)
{
    decai__assert(w->depth > 0);
    w->depth--;
    return emit(w, DECAI__EVENT_CLOSE, NULL, 0, w->pos++);
}

static int32_t
too_many(const struct walk *w)
{
    char why[96];
    snprintf(why, sizeof why, "more values than %s", w->limits->node_name);
    return limit(w, why);
}

static int32_t
read_value(struct walk *w)
{
    const char *text;
    size_t len, start;
    int c = skip_space(w);
    if (++w->nodes > w->limits->nodes) return too_many(w);
    if (c == '{' || c == '[') return open_level(w, c == '{');
    if (c == '-' || (c >= '0' && c <= '9')) return read_number(w);
    if (c != '"') return read_word(w);
    start = w->pos;
    int32_t r = read_string(w, &text, &len);
    return r ? r : emit(w, DECAI__EVENT_STRING, text, len, start);
}

static int32_t
read_key(struct walk *w)
{
    const char *text;
    size_t len, start = w->pos;
    if (peek(w) != '"') return fail(w, w->pos, "a key in quotes should be here");
    int32_t r = read_string(w, &text, &len);
    if (!r) r = emit(w, DECAI__EVENT_KEY, text, len, start);
    if (r) return r;
    if (skip_space(w) != ':') return fail(w, w->pos, "':' should be here");
    w->pos++;
    return 0;
}

/* One step inside the innermost object or array: its end, or an element. */
static int32_t
read_element(struct walk *w, bool *first)
{
    bool object = w->object[w->depth - 1];
    int c = skip_space(w);
    if (c == (object ? '}' : ']')) {
        *first = false;
        return close_level(w);
    }
    if (!*first) {
        if (c != ',') return fail(w, w->pos, object ? "',' or '}' should be here" : "',' or ']' should be here");
        w->pos++;
        c = skip_space(w);
    }
    uint32_t depth = w->depth;
    int32_t r = object ? read_key(w) : 0;
    if (!r) r = read_value(w);
    *first = w->depth > depth;                      /* a new level begins empty */
    return r;
}

int32_t
decai__json_walk(decai_context *ctx, const char *text, size_t len, decai__json_sink sink, void *user)
{
    return decai__json_walk_within(ctx, text, len, &decai__json_limits_default, sink, user);
}

int32_t
decai__json_walk_within(decai_context *ctx, const char *text, size_t len, const decai__json_limits *limits,
    decai__json_sink sink, void *user)
{
    struct walk w = { .text = text, .len = len, .limits = limits, .sink = sink, .user = user };
    if (len > limits->text)
        return decai__fail(DECAI_E_LIMIT, "json: %zu bytes, at most %s (%zu)", len, limits->text_name, limits->text);
    decai__buf_init(&w.scratch, ctx, limits->text, limits->text_name);
    int32_t r = read_value(&w);
    bool first = true;
    while (!r && w.depth) r = read_element(&w, &first);
    if (!r && skip_space(&w) >= 0) r = fail(&w, w.pos, "something stands behind the value");
    decai__buf_free(&w.scratch);
    return r;
}
