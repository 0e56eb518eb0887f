/* toolcall_literal.c - calls that are written as in a program, as JSON while they come.
 *
 *     PYTHON   [NAME(KEY=value, ..), ..]     strings in ' or ", True, False, None
 *     NOTED    NAME{KEY:value,..}            strings between the format's own marks
 *
 * Values nest as lists and dicts. A call has begun once its first KEY has its sign, or it
 * is closed without any. Some models write strings without escaping the quotes in them:
 * a quote ends a string only where a comma, a colon or a bracket follows. A word that is
 * neither a number nor a constant is a string in NOTED, and cuts the call in PYTHON.
 */
#include <string.h>

#include "tok/norm_work.h"
#include "tok/toolcall.h"

enum { START, BETWEEN, TITLE, KEY, KEY_WORD, SIGN, VALUE, STRING, QUOTE, ESCAPE, HEX, WORD, NEXT };

static bool
noted(const decai__answer *a)
{
    return a->f->form == DECAI__CALL_NOTED;
}

static bool
in_array(const decai__call *c)
{
    return c->literal.depth && (c->literal.arrays >> (c->literal.depth - 1) & 1);
}

static void
put(decai__answer *a, const char *text, size_t len)
{
    decai__answer_put(a, DECAI_ANSWER_ARGUMENTS, text, len);
}

static int
go(decai__call *c, uint8_t at)
{
    c->at = at;
    c->word_len = 0;
    return DECAI__CALL_MORE;
}

/* A value or a key begins: what stands before it. */
static void
put_before(decai__answer *a)
{
    decai__call *c = &a->call;
    if (c->literal.comma) put(a, ",", 1);
    c->literal.comma = false;
}

static void
begin(decai__answer *a)
{
    if (a->call.begun) return;
    decai__answer_begin_call(a);
    put(a, "{", 1);
}

/* ---- brackets -------------------------------------------------------------------------------- */

static int
open(decai__answer *a, bool array)
{
    decai__call *c = &a->call;
    if (c->literal.depth == DECAI_JSON_DEPTH_MAX) return DECAI__CALL_FAIL;
    uint64_t bit = (uint64_t)1 << c->literal.depth++;
    c->literal.arrays = array ? c->literal.arrays | bit : c->literal.arrays & ~bit;
    if (in_array(c) || c->literal.depth > 1) put_before(a), put(a, array ? "[" : "{", 1);
    return go(c, array ? VALUE : KEY);
}

static int
shut(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    char want = in_array(c) ? ']' : c->literal.depth == 1 && !noted(a) ? ')' : '}';
    if (!c->literal.depth || byte != want) return DECAI__CALL_FAIL;
    begin(a);
    put(a, byte == ']' ? "]" : "}", 1);
    c->literal.comma = true;
    if (--c->literal.depth) return go(c, NEXT);
    decai__answer_end_call(a);
    c->any = true;
    return noted(a) ? DECAI__CALL_DONE : go(c, BETWEEN);
}

/* ---- strings ----------------------------------------------------------------------------------- */

static int
string(decai__answer *a, char quote, bool key)
{
    decai__call *c = &a->call;
    put_before(a);
    put(a, "\"", 1);
    c->literal.quote = quote;
    c->literal.key = key;
    c->literal.high = 0;
    return go(c, STRING);
}

static int
string_ends(decai__answer *a)
{
    decai__call *c = &a->call;
    put(a, "\"", 1);
    c->literal.comma = !c->literal.key;
    return go(c, c->literal.key ? SIGN : NEXT);
}

/* Text of a string between marks: what may be the end mark is in word. */
static int
marked_byte(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    size_t n = strlen(a->f->stop);
    (void)decai__call_word(c, byte);
    while (c->word_len && memcmp(c->word, a->f->stop, c->word_len)) {
        decai__call_escape(a, *c->word);
        memmove(c->word, c->word + 1, --c->word_len);
    }
    return c->word_len == n ? string_ends(a) : DECAI__CALL_MORE;
}

static void
put_code(decai__answer *a, uint32_t code)
{
    uint8_t bytes[4];
    bool bad = (code >= 0xd800 && code < 0xe000) || code > 0x10ffff;
    size_t n = decai__utf8_put(bad ? 0xfffd : code, bytes);
    for (size_t i = 0; i < n; i++) decai__call_escape(a, (char)bytes[i]);
}

/* Of a pair of surrogates the first waits; alone it is no character. */
static void
put_unit(decai__answer *a, uint32_t code)
{
    decai__call *c = &a->call;
    uint32_t high = c->literal.high;
    c->literal.high = 0;
    if (high && code >= 0xdc00 && code < 0xe000) {
        put_code(a, 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00));
        return;
    }
    if (high) put_code(a, 0xfffd);
    if (code >= 0xd800 && code < 0xdc00) c->literal.high = code;
    else put_code(a, code);
}

static void
flush_high(decai__answer *a)
{
    if (a->call.literal.high) put_code(a, 0xfffd);
    a->call.literal.high = 0;
}

static int
escape(decai__answer *a, char byte)
{
    static const char from[] = "nrtbfav\\'\"/", to[] = "\n\r\t\b\f\a\v\\'\"/";
    decai__call *c = &a->call;
    const char *at = byte ? strchr(from, byte) : NULL;
    c->at = STRING;
    if (byte == 'u' || byte == 'x' || byte == 'U') {
        c->literal.code = 0;
        c->literal.digits = byte == 'u' ? 4 : byte == 'x' ? 2 : 8;
        c->at = HEX;
        return DECAI__CALL_MORE;
    }
    flush_high(a);
    if (at) decai__call_escape(a, to[at - from]);
    else if (byte != '\n') decai__call_escape(a, '\\'), decai__call_escape(a, byte);
    return DECAI__CALL_MORE;
}

static int
hex(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    char low = (char)(byte | 32);
    uint32_t digit = byte >= '0' && byte <= '9' ? (uint32_t)(byte - '0') : low >= 'a' && low <= 'f' ? (uint32_t)(low - 'a' + 10) : 16;
    if (digit == 16 || c->literal.code > 0x10ffff) return DECAI__CALL_FAIL;
    c->literal.code = c->literal.code << 4 | digit;
    if (--c->literal.digits) return DECAI__CALL_MORE;
    put_unit(a, c->literal.code);
    c->at = STRING;
    return DECAI__CALL_MORE;
}

static int
string_byte(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (noted(a)) return marked_byte(a, byte);
    if (byte == '\\') {
        c->at = ESCAPE;
        return DECAI__CALL_MORE;
    }
    flush_high(a);
    if (byte == c->literal.quote) return go(c, QUOTE);
    decai__call_escape(a, byte);
    return DECAI__CALL_MORE;
}

/* Behind a quote that may be the last; blanks that follow are in word. */
static int
after_quote(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (decai__is_blank(byte) && decai__call_word(c, byte)) return DECAI__CALL_MORE;
    if (strchr(c->literal.key ? ":" : ",)]}", byte) && byte) {
        (void)string_ends(a);
        return decai__literal_byte(a, byte);
    }
    decai__call_escape(a, c->literal.quote);
    for (size_t i = 0; i < c->word_len; i++) decai__call_escape(a, c->word[i]);
    go(c, STRING);
    return string_byte(a, byte);
}

/* ---- words ---------------------------------------------------------------------------------------- */

static bool
is_number(const decai__call *c)
{
    decai__accept n = { .state = 0 };
    for (size_t i = 0; i < c->word_len; i++)
        if (decai__accept_byte(&n, c->word[i]) != DECAI__ACCEPT_MORE) return false;
    return decai__accept_whole(&n);
}

static int
word_ends(decai__answer *a)
{
    static const struct { const char *from, *to; } words[] = { { "True", "true" }, { "False", "false" }, { "None", "null" },
        { "true", "true" }, { "false", "false" }, { "null", "null" } };
    decai__call *c = &a->call;
    const char *to = NULL;
    for (size_t i = 0; i < DECAI__COUNT(words); i++)
        if (c->word_len == strlen(words[i].from) && !memcmp(c->word, words[i].from, c->word_len)) to = words[i].to;
    bool number = !to && is_number(c);
    if (!c->word_len || (!to && !number && !noted(a))) return DECAI__CALL_FAIL;
    put_before(a);
    if (to) put(a, to, strlen(to));
    else if (!number) put(a, "\"", 1);
    for (size_t i = 0; !to && i < c->word_len; i++) decai__call_escape(a, c->word[i]);
    if (!to && !number) put(a, "\"", 1);
    c->literal.comma = true;
    return go(c, NEXT);
}

static int
word(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    bool ends = strchr(",)]}", byte) && byte;
    if (ends || (decai__is_blank(byte) && !noted(a))) {
        while (c->word_len && decai__is_blank(c->word[c->word_len - 1])) c->word_len--;
        int r = word_ends(a);
        return r < 0 ? r : decai__literal_byte(a, byte);
    }
    return (uint8_t)byte < ' ' || strchr("\"'<>[{(", byte) || !decai__call_word(c, byte) ? DECAI__CALL_FAIL : DECAI__CALL_MORE;
}

static int
value(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (decai__is_blank(byte) && !c->word_len) return DECAI__CALL_MORE;
    if (noted(a) && (c->word_len || byte == *a->f->stop)) {           /* the mark of a string */
        (void)decai__call_word(c, byte);
        if (memcmp(c->word, a->f->stop, c->word_len)) return DECAI__CALL_FAIL;
        return c->word_len < strlen(a->f->stop) ? DECAI__CALL_MORE : string(a, 0, c->literal.key);
    }
    if (byte == '[' || byte == '{') return open(a, byte == '[');
    if (byte == ']') return shut(a, byte);
    if (!noted(a) && (byte == '"' || byte == '\'')) return string(a, byte, false);
    c->at = WORD;
    return word(a, byte);
}

/* ---- names and keys ---------------------------------------------------------------------------------- */

static bool
is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' || byte == '-' || (uint8_t)byte >= 0x80;
}

static int
title(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (byte == (noted(a) ? '{' : '(')) {
        if (!decai__call_named(c, c->word, c->word_len)) return DECAI__CALL_FAIL;
        c->literal.comma = false;
        c->literal.depth = 0;
        c->id_len = 0;
        return open(a, false);
    }
    return is_letter(byte) && decai__call_word(c, byte) ? DECAI__CALL_MORE : DECAI__CALL_FAIL;
}

static int
sign(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    bool outer = c->literal.depth == 1 && !noted(a);
    if (decai__is_blank(byte)) return DECAI__CALL_MORE;
    if (byte != (outer ? '=' : ':')) return DECAI__CALL_FAIL;
    if (c->word_len) {                               /* a key without quotes */
        begin(a);
        put_before(a);
        put(a, "\"", 1);
        for (size_t i = 0; i < c->word_len; i++) decai__call_escape(a, c->word[i]);
        put(a, "\"", 1);
    }
    put(a, ":", 1);
    c->literal.key = false;
    return go(c, VALUE);
}

static int
key_word(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (decai__is_blank(byte)) {
        c->at = SIGN;
        return DECAI__CALL_MORE;
    }
    if (is_letter(byte)) return decai__call_word(c, byte) && c->word_len <= DECAI__CALL_NAME_MAX ? DECAI__CALL_MORE : DECAI__CALL_FAIL;
    return c->word_len ? sign(a, byte) : DECAI__CALL_FAIL;
}

static int
key(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (decai__is_blank(byte) && !c->word_len) return DECAI__CALL_MORE;
    if (noted(a) && c->begun && (c->word_len || byte == *a->f->stop)) {
        c->literal.key = true;
        return value(a, byte);
    }
    if (byte == '}' || byte == ')') return shut(a, byte);
    if (!noted(a) && c->literal.depth > 1) return byte == '"' || byte == '\'' ? string(a, byte, true) : DECAI__CALL_FAIL;
    c->at = KEY_WORD;
    return key_word(a, byte);
}

static int
start(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (noted(a)) {
        c->at = TITLE;
        return title(a, byte);
    }
    if (decai__is_blank(byte)) return DECAI__CALL_MORE;
    if (byte == '[') return c->list = true, go(c, BETWEEN);
    if (byte != '{') return DECAI__CALL_FAIL;
    c->json = true;                                  /* these models write JSON, too */
    return decai__call_byte(a, byte);
}

static int
between(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (decai__is_blank(byte) || (byte == ',' && c->any)) return DECAI__CALL_MORE;
    if (byte == ']') return c->any ? DECAI__CALL_DONE : DECAI__CALL_FAIL;
    c->known = c->begun = c->ended = false;
    if (byte == '{' && !c->any) {
        c->json = true;
        decai__call_list(c);
        return decai__call_byte(a, byte);
    }
    c->at = TITLE;
    return title(a, byte);
}

int
decai__literal_byte(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    switch (c->at) {
    case START: return start(a, byte);
    case BETWEEN: return between(a, byte);
    case TITLE: return title(a, byte);
    case KEY: return key(a, byte);
    case KEY_WORD: return key_word(a, byte);
    case SIGN: return sign(a, byte);
    case VALUE: return value(a, byte);
    case STRING: return string_byte(a, byte);
    case QUOTE: return after_quote(a, byte);
    case ESCAPE: return escape(a, byte);
    case HEX: return hex(a, byte);
    case WORD: return word(a, byte);
    default:
        if (decai__is_blank(byte)) return DECAI__CALL_MORE;
        return byte == ',' ? go(c, in_array(c) ? VALUE : KEY) : shut(a, byte);
    }
}
