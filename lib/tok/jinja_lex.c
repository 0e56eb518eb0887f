/* jinja_lex.c - a template's text to tokens, whitespace control included.
 *
 * Outside of tags text runs up to the next "{{", "{%" or "{#". A tag's mark
 * decides what happens to the text around it:
 *
 *   {%-  {{-  {#-   all whitespace before it goes
 *   {%   {#         spaces before it go, if it is the first thing on its line
 *   {%+  {#+        the text before stays as it is
 *   -%}  -}}  -#}   all whitespace after it goes
 *   %}   #}         one newline after it goes
 *   +%}  +#}        the text after stays as it is
 *
 * which is Jinja2 with trim_blocks and lstrip_blocks, as chat templates expect
 * them. An end mark inside brackets is no end. Newlines are "\n" by now. */
#include <string.h>

#include "codec/codec.h"
#include "tok/jinja_tree.h"

static int32_t
lex_fail(decai__j_lexer *lx, size_t at, const char *why)
{
    size_t end = at + 24 < lx->len ? at + 24 : lx->len;
    if (!lx->error) lx->error = decai__j_fail_at(lx->t, (uint32_t)at, (uint32_t)end, DECAI_E_CORRUPT, "%s", why);
    return lx->error;
}

static decai__j_token *
add(decai__j_lexer *lx, uint16_t type, size_t begin, size_t end)
{
    if (lx->error) return NULL;
    if (lx->count == lx->cap) {
        uint32_t cap = lx->cap ? lx->cap * 2 : 256;
        decai__j_token *tokens = decai__j_arena_alloc(&lx->t->arena, cap * sizeof *tokens);
        if (!tokens) {
            lx->error = decai__fail(decai__j_arena_why(&lx->t->arena, cap * sizeof *tokens), "template: its tokens");
            return NULL;
        }
        if (lx->count) memcpy(tokens, lx->tokens, lx->count * sizeof *tokens);
        lx->tokens = tokens;
        lx->cap = cap;
    }
    decai__j_token *t = &lx->tokens[lx->count++];
    *t = (decai__j_token){ .type = type, .begin = (uint32_t)begin, .end = (uint32_t)end };
    return t;
}

/* Bytes of one whitespace character at pos, or 0. */
static size_t
space_at(const decai__j_lexer *lx, size_t pos)
{
    if (pos >= lx->len) return 0;
    const char *p = lx->s + pos, *q = p;
    return decai__j_is_space(decai__j_rune(&q, lx->s + lx->len)) ? (size_t)(q - p) : 0;
}

static size_t
skip_space(const decai__j_lexer *lx, size_t pos)
{
    for (size_t n; (n = space_at(lx, pos)) > 0;) pos += n;
    return pos;
}

/* Where the whitespace at the end of [from, to) begins. */
static size_t
space_back(const decai__j_lexer *lx, size_t from, size_t to)
{
    while (to > from) {
        size_t p = to - 1;
        while (p > from && ((uint8_t)lx->s[p] & 0xc0) == 0x80) p--;
        if (!space_at(lx, p) || p + space_at(lx, p) != to) break;
        to = p;
    }
    return to;
}

/* The text before a tag that begins at `end`. */
static void
data(decai__j_lexer *lx, size_t begin, size_t end, char mark, bool variable)
{
    size_t to = end;
    if (mark == '-') {
        to = space_back(lx, begin, end);
    } else if (mark != '+' && !variable) {
        size_t line = end;
        while (line > begin && lx->s[line - 1] != '\n') line--;
        if ((line > begin || lx->line_start) && space_back(lx, line, end) == line) to = line;
    }
    if (to > begin) {
        decai__j_token *t = add(lx, T_DATA, begin, to);
        if (t) t->value = decai__j_str(lx->s + begin, to - begin);
    }
}

/* Behind an end mark: `minus` takes all whitespace, else one newline if trimmed. */
static void
after(decai__j_lexer *lx, bool minus, bool trim)
{
    size_t from = lx->pos;
    if (minus) lx->pos = skip_space(lx, lx->pos);
    else if (trim && lx->pos < lx->len && lx->s[lx->pos] == '\n') lx->pos++;
    lx->line_start = lx->pos > from && lx->s[lx->pos - 1] == '\n';
}

static char
mark_at(const decai__j_lexer *lx, size_t pos)
{
    char c = pos < lx->len ? lx->s[pos] : 0;
    return c == '-' || c == '+' ? c : 0;
}

static void
comment(decai__j_lexer *lx)
{
    size_t start = lx->pos;
    const char *p = decai__j_find(NULL, lx->s + lx->pos, lx->len - lx->pos, "#}", 2);
    if (!p) {
        lex_fail(lx, start, "a comment without an end");
        return;
    }
    char mark = p > lx->s + start ? p[-1] : 0;
    lx->pos = (size_t)(p - lx->s) + 2;
    after(lx, mark == '-', mark != '+');
}

/* At "{%" with its mark passed: is it "raw %}"? Then pos is behind it. */
static bool
raw_begin(decai__j_lexer *lx, size_t pos)
{
    pos = skip_space(lx, pos);
    if (lx->len - pos < 3 || memcmp(lx->s + pos, "raw", 3)) return false;
    pos = skip_space(lx, pos + 3);
    bool minus = pos < lx->len && lx->s[pos] == '-';
    pos += minus;
    if (lx->len - pos < 2 || memcmp(lx->s + pos, "%}", 2)) return false;
    lx->pos = pos + 2;
    lx->line_start = false;
    if (minus) after(lx, true, false);
    return true;
}

/* Text up to {% endraw %}. */
static void
raw(decai__j_lexer *lx)
{
    size_t start = lx->pos, at = start;
    for (;;) {
        const char *p = decai__j_find(NULL, lx->s + at, lx->len - at, "{%", 2);
        if (!p) {
            lex_fail(lx, start, "a raw block without an end");
            return;
        }
        size_t tag = (size_t)(p - lx->s);
        char mark = mark_at(lx, tag + 2);
        size_t pos = skip_space(lx, tag + 2 + (mark != 0));
        at = tag + 2;
        if (lx->len - pos < 6 || memcmp(lx->s + pos, "endraw", 6)) continue;
        pos = skip_space(lx, pos + 6);
        char end = mark_at(lx, pos);
        pos += end != 0;
        if (lx->len - pos < 2 || memcmp(lx->s + pos, "%}", 2)) continue;
        data(lx, start, tag, mark, false);
        lx->pos = pos + 2;
        after(lx, end == '-', end != '+');
        return;
    }
}

/* ---- inside tags ------------------------------------------------------------------- */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (uint8_t)c >= 0x80;
}

/* Digits with single underscores between them, from pos; its end. */
static size_t
digits(const decai__j_lexer *lx, size_t pos, int base)
{
    size_t i = pos;
    for (;;) {
        size_t k = i + (i > pos && i < lx->len && lx->s[i] == '_');
        char c = k < lx->len ? lx->s[k] : 0;
        int d = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
        if (d >= base) return i;
        i = k + 1;
    }
}

static decai__j_val
int_value(decai__j_lexer *lx, size_t begin, size_t end, int base)
{
    uint64_t v = 0;
    bool big = false;
    char *text = NULL;
    size_t n = 0;
    for (size_t i = begin; i < end; i++) {
        char c = lx->s[i];
        if (c == '_') continue;
        uint64_t d = (uint64_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
        big |= __builtin_mul_overflow(v, (uint64_t)base, &v);
        big |= __builtin_add_overflow(v, d, &v);
    }
    if (!big && v <= INT64_MAX) return decai__j_int((int64_t)v);
    if (base != 10 || !(text = decai__j_arena_alloc(&lx->t->arena, end - begin))) {
        lex_fail(lx, begin, "an integer beyond 64 bits");
        return decai__j_int(0);
    }
    for (size_t i = begin; i < end; i++)
        if (lx->s[i] != '_') text[n++] = lx->s[i];
    return (decai__j_val){ .type = J_BIG, .n = (uint32_t)n, .u.s = text };
}

static void
float_token(decai__j_lexer *lx, size_t begin, size_t end)
{
    char b[256];
    size_t n = 0;
    for (size_t i = begin; i < end && n < sizeof b; i++)
        if (lx->s[i] != '_') b[n++] = lx->s[i];
    decai__j_token *t = add(lx, T_FLOAT, begin, end);
    if (n == sizeof b) lex_fail(lx, begin, "a number of more than 255 digits");
    else if (t) t->value = decai__j_float(decai__j_float_of(b, n));
    lx->pos = end;
}

static void
number(decai__j_lexer *lx)
{
    size_t begin = lx->pos, end = digits(lx, begin, 10), f = end;
    bool dot = begin && lx->s[begin - 1] == '.';      /* x.0.1: parts of a path */
    if (!dot) {
        if (f + 1 < lx->len && lx->s[f] == '.' && is_digit(lx->s[f + 1])) f = digits(lx, f + 1, 10);
        if (f < lx->len && (lx->s[f] | 32) == 'e') {
            size_t e = f + 1 + (f + 1 < lx->len && (lx->s[f + 1] == '+' || lx->s[f + 1] == '-'));
            if (e < lx->len && is_digit(lx->s[e])) f = digits(lx, e, 10);
        }
        if (f > end) {
            float_token(lx, begin, f);
            return;
        }
    }
    int base = 10;
    if (lx->s[begin] == '0' && begin + 2 < lx->len) {
        char c = (char)(lx->s[begin + 1] | 32);
        int b = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
        size_t from = begin + 2 + (lx->s[begin + 2] == '_');
        if (b && digits(lx, from, b) > from) {
            base = b;
            end = digits(lx, from, b);
        }
    }
    if (base == 10 && lx->s[begin] == '0') {          /* 012 is 0 and 12, as in Jinja2 */
        end = begin + 1;
        while (end < lx->len && (lx->s[end] == '0' || (lx->s[end] == '_' && end + 1 < lx->len && lx->s[end + 1] == '0')))
            end++;
    }
    decai__j_token *t = add(lx, T_INT, begin, end);
    decai__j_val v = int_value(lx, base == 10 ? begin : begin + 2, end, base);
    if (t) t->value = v;
    lx->pos = end;
}

static void
name(decai__j_lexer *lx)
{
    size_t begin = lx->pos;
    while (lx->pos < lx->len && is_word(lx->s[lx->pos]) && ((uint8_t)lx->s[lx->pos] < 0xc0 || !space_at(lx, lx->pos)))
        lx->pos++;
    decai__j_token *t = add(lx, T_NAME, begin, lx->pos);
    if (t) t->value = decai__j_str(lx->s + begin, lx->pos - begin);
}

static int
hex_value(const char *s, size_t left, int count, uint32_t *out)
{
    *out = 0;
    if (left < (size_t)count) return 0;
    for (int i = 0; i < count; i++) {
        char c = s[i];
        int d = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0) return 0;
        *out = *out << 4 | (uint32_t)d;
    }
    return count;
}

/* Behind a backslash at s[0]: write what it stands for, return how many bytes
 * of source it took; 0: an escape that Python refuses. */
static size_t
escape(const char *s, size_t left, char *out, size_t *n)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *at = memchr(from, s[0], sizeof from - 1);
    uint32_t c = 0;
    if (at) {
        out[(*n)++] = to[at - from];
        return 1;
    }
    if (s[0] == '\n') return 1;
    if (s[0] >= '0' && s[0] <= '7') {
        size_t i = 0;
        while (i < 3 && i < left && s[i] >= '0' && s[i] <= '7') c = c * 8 + (uint32_t)(s[i++] - '0');
        *n += decai__j_rune_put(out + *n, c);
        return i;
    }
    if (s[0] == 'x' || s[0] == 'u' || s[0] == 'U') {
        int count = s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : 8;
        if (!hex_value(s + 1, left - 1, count, &c) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
        *n += decai__j_rune_put(out + *n, c);
        return (size_t)count + 1;
    }
    if (s[0] == 'N') return 0;
    out[(*n)++] = '\\';                                /* unknown: both characters stay */
    return SIZE_MAX;
}

static void
string(decai__j_lexer *lx)
{
    size_t begin = lx->pos, i = begin + 1, n = 0;
    char quote = lx->s[begin];
    bool escaped = false;
    while (i < lx->len && lx->s[i] != quote) {
        if (lx->s[i] == '\\') {
            escaped = true;
            i++;
        }
        i++;
    }
    if (i >= lx->len) {
        lex_fail(lx, begin, "a string without an end");
        return;
    }
    decai__j_token *t = add(lx, T_STRING, begin, i + 1);
    if (!t) return;
    lx->pos = i + 1;
    t->value = decai__j_str(lx->s + begin + 1, i - begin - 1);
    if (!escaped) return;
    char *out = decai__j_arena_alloc(&lx->t->arena, i - begin + 8);
    if (!out) {
        lx->error = decai__fail(decai__j_arena_why(&lx->t->arena, i - begin + 8), "template: a string");
        return;
    }
    for (size_t k = begin + 1; k < i;) {
        if (lx->s[k] != '\\') {
            out[n++] = lx->s[k++];
            continue;
        }
        size_t took = escape(lx->s + k + 1, i - k - 1, out, &n);
        if (!took) {
            lex_fail(lx, k, "an escape that cannot be read");
            return;
        }
        k += took == SIZE_MAX ? 1 : 1 + took;
    }
    t->value = decai__j_str(out, n);
}

/* Brackets must match; an end mark inside them is two operators. */
static bool
balance(decai__j_lexer *lx, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (lx->depth == sizeof lx->open) {
            lex_fail(lx, lx->pos, "brackets nested too deep");
            return false;
        }
        lx->open[lx->depth++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!lx->depth || lx->open[lx->depth - 1] != c) {
            lex_fail(lx, lx->pos, "a bracket that closes nothing");
            return false;
        }
        lx->depth--;
    }
    return true;
}

static void
operator(decai__j_lexer *lx)
{
    static const char pairs[] = "//**==!=>=<=", singles[] = "+-/*%~[](){}><=.:|,;";
    char c = lx->s[lx->pos], d = lx->pos + 1 < lx->len ? lx->s[lx->pos + 1] : 0;
    for (size_t i = 0; i + 1 < sizeof pairs; i += 2)
        if (c == pairs[i] && d == pairs[i + 1]) {
            decai__j_token *t = add(lx, T_OP, lx->pos, lx->pos + 2);
            if (t) t->op = DJ_OP2(c, d);
            lx->pos += 2;
            return;
        }
    if (!c || !memchr(singles, c, sizeof singles - 1)) {
        lex_fail(lx, lx->pos, "an unexpected character");
        return;
    }
    if (!balance(lx, c)) return;
    decai__j_token *t = add(lx, T_OP, lx->pos, lx->pos + 1);
    if (t) t->op = (uint8_t)c;
    lx->pos++;
}

/* At a tag's end? Then pass it. */
static bool
tag_end(decai__j_lexer *lx, bool variable)
{
    char mark = mark_at(lx, lx->pos);
    if (variable && mark == '+') mark = 0;
    size_t pos = lx->pos + (mark != 0);
    if (lx->depth || lx->len - pos < 2 || memcmp(lx->s + pos, variable ? "}}" : "%}", 2)) return false;
    add(lx, variable ? T_VAR_END : T_BLOCK_END, lx->pos, pos + 2);
    lx->pos = pos + 2;
    after(lx, mark == '-', !variable && mark != '+');
    return true;
}

static void
tag(decai__j_lexer *lx, bool variable)
{
    size_t begin = lx->pos;
    while (!lx->error) {
        if (lx->pos < lx->len && tag_end(lx, variable)) return;
        lx->pos = skip_space(lx, lx->pos);
        if (lx->pos >= lx->len) {
            lex_fail(lx, begin, "a tag without an end");
            return;
        }
        if (tag_end(lx, variable)) return;
        char c = lx->s[lx->pos];
        if (is_digit(c)) number(lx);
        else if (is_word(c)) name(lx);
        else if (c == '\'' || c == '"') string(lx);
        else operator(lx);
    }
}

int32_t
decai__j_lex(decai__j_lexer *lx)
{
    lx->line_start = true;
    while (lx->pos < lx->len && !lx->error) {
        size_t begin = lx->pos, at = begin;
        const char *p = NULL;
        char c = 0;
        while (at + 1 < lx->len && (p = memchr(lx->s + at, '{', lx->len - at - 1))) {
            c = p[1];
            if (c == '{' || c == '%' || c == '#') break;
            at = (size_t)(p - lx->s) + 1;
            p = NULL;
        }
        if (!p || at + 1 >= lx->len) {
            data(lx, begin, lx->len, '+', true);
            break;
        }
        at = (size_t)(p - lx->s);
        char mark = mark_at(lx, at + 2);
        data(lx, begin, at, mark, c == '{');
        lx->pos = at + 2 + (mark != 0);
        lx->line_start = false;
        if (c == '#') {
            comment(lx);
        } else if (c == '{') {
            add(lx, T_VAR_BEGIN, at, lx->pos);
            tag(lx, true);
        } else if (raw_begin(lx, lx->pos)) {
            raw(lx);
        } else {
            add(lx, T_BLOCK_BEGIN, at, lx->pos);
            tag(lx, false);
        }
        lx->depth = lx->error ? 0 : lx->depth;
    }
    add(lx, T_EOF, lx->len, lx->len);
    return lx->error;
}
