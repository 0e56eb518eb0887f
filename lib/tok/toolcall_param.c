/* toolcall_param.c - calls whose parameters stand between marks, as JSON while they come.
 *
 *     head NAME name_end  key KEY key_end value? text value_end  ..  close
 *
 * A call has begun once a parameter or the close follows its name. A value is JSON if it
 * is, but a text otherwise; a schema's "string", or string="true" behind KEY, say that it
 * is a text, which then goes out while it comes. What may be JSON waits until it is whole
 * or is none. A value that begins with a quote is a text unless something says that it is
 * JSON. A key that comes twice cuts the call: neither value can be meant to hide the other.
 */
#include <string.h>

#include "tok/toolcall.h"

enum { HEAD, TITLE, BETWEEN, KEY, SEPARATOR, VALUE };

#define PARAMETERS_MAX 256

/* ---- values --------------------------------------------------------------------------------- */

static void
put(decai__answer *a, const char *data, size_t len)
{
    decai__answer_put(a, DECAI_ANSWER_ARGUMENTS, data, len);
}

void
decai__call_escape(decai__answer *a, char byte)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", digits[] = "0123456789abcdef";
    const char *at = byte ? strchr(from, byte) : NULL;
    if (at) put(a, (char[]){ '\\', to[at - from] }, 2);
    else if (!byte) put(a, "\xef\xbf\xbd", 3);       /* strict JSON has no NUL */
    else if ((uint8_t)byte < ' ') put(a, (char[]){ '\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15] }, 6);
    else put(a, &byte, 1);
}

/* What was kept in case it is JSON is a text. */
static void
be_text(decai__answer *a)
{
    a->call.text = true;
    put(a, "\"", 1);
    for (size_t i = 0; i < a->kept.len; i++) decai__call_escape(a, (char)a->kept.data[i]);
    a->kept.len = 0;
}

/* Templates print booleans as Python does, and models learn it: where the schema has no
 * string, the JSON of a word that is kept, whole, or with `more` behind it its beginning. */
static const char *
python_word(const decai__answer *a, const char *more)
{
    static const struct { const char *from, *to; uint32_t type; } words[] = {
        { "True", "true", DECAI__TYPE_BOOL }, { "False", "false", DECAI__TYPE_BOOL }, { "None", "null", DECAI__TYPE_NULL },
    };
    const decai__call *c = &a->call;
    size_t n = a->kept.len;
    for (size_t i = 0; i < DECAI__COUNT(words) && !(c->types & DECAI__TYPE_STRING); i++) {
        bool same = c->types & words[i].type && n + !!more <= strlen(words[i].from) && (!n || !memcmp(a->kept.data, words[i].from, n));
        if (same && (more ? words[i].from[n] == *more : !words[i].from[n])) return words[i].to;
    }
    return NULL;
}

static void
value_byte(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    bool word = a->kept.len && strchr("TFN", a->kept.data[0]);
    if (c->text) {
        decai__call_escape(a, byte);
        return;
    }
    if ((word || !a->kept.len) && python_word(a, &byte)) {
        (void)decai__buf_add_byte(&a->kept, (uint8_t)byte);
        return;
    }
    if (word) {
        (void)decai__buf_add_byte(&a->kept, (uint8_t)byte);
        be_text(a);
        return;
    }
    bool json = a->kept.len || ((byte != '"' || c->quoted) && !decai__is_blank(byte));
    if (json && !a->kept.len && c->types) json = c->types & decai__type_of_byte(byte);
    int r = !json ? DECAI__ACCEPT_BAD : !c->ended ? decai__accept_byte(&c->json_at, byte) : decai__is_blank(byte) ? DECAI__ACCEPT_MORE : DECAI__ACCEPT_BAD;
    if (r == DECAI__ACCEPT_BEFORE && decai__is_blank(byte)) r = DECAI__ACCEPT_DONE;
    (void)decai__buf_add_byte(&a->kept, (uint8_t)byte);
    if (r == DECAI__ACCEPT_DONE) c->ended = true;
    else if (r != DECAI__ACCEPT_MORE) be_text(a);
}

static void
value_ends(decai__answer *a)
{
    decai__call *c = &a->call;
    bool json = !c->text && a->kept.len && (c->ended || (!c->json_at.depth && decai__accept_whole(&c->json_at)));
    const char *word = !c->text && a->kept.len ? python_word(a, NULL) : NULL;
    if (word) json = true, put(a, word, strlen(word));
    else if (json) put(a, (const char *)a->kept.data, a->kept.len);
    else if (!c->text) be_text(a);
    if (!json) put(a, "\"", 1);
    a->kept.len = 0;
    c->at = BETWEEN;
    c->word_len = 0;
}

/* ---- names and keys --------------------------------------------------------------------------- */

/* What stands in quotes, or all of it. */
static const char *
unquoted(const decai__call *c, size_t *len)
{
    const char *text = c->word, *end;
    *len = c->word_len;
    if (!*len || *text != '"' || !(end = memchr(text + 1, '"', *len - 1))) return text;
    *len = (size_t)(end - text) - 1;
    return text + 1;
}

static bool
says(const decai__call *c, const char *attribute)
{
    size_t n = strlen(attribute);
    for (size_t i = 0; i + n <= c->word_len; i++)
        if (!memcmp(c->word + i, attribute, n)) return true;
    return false;
}

/* Every key ends with a NUL. */
static bool
is_new_key(decai__answer *a, const char *key, size_t len)
{
    for (size_t at = 0; at < a->keys.len; at += strlen((char *)a->keys.data + at) + 1)
        if (strlen((char *)a->keys.data + at) == len && !memcmp(a->keys.data + at, key, len)) return false;
    (void)decai__buf_add(&a->keys, key, len);
    (void)decai__buf_add_byte(&a->keys, 0);
    return a->call.parameters++ < PARAMETERS_MAX;
}

static int
key_ends(decai__answer *a)
{
    decai__call *c = &a->call;
    char name[DECAI__CALL_NAME_MAX + 1] = { 0 };
    size_t len;
    const char *key = unquoted(c, &len);
    if (!len || len > DECAI__CALL_NAME_MAX || memchr(key, 0, len) || !is_new_key(a, key, len)) return DECAI__CALL_FAIL;
    put(a, c->parameters > 1 ? ",\"" : "\"", c->parameters > 1 ? 2 : 1);
    for (size_t i = 0; i < len; i++) decai__call_escape(a, key[i]);
    put(a, "\":", 2);
    memcpy(name, key, len);
    c->types = decai__type_of_parameter(a->tools, c->name, name);
    c->quoted = says(c, "string=\"false\"") || (c->types && c->types != DECAI__TYPE_STRING);
    c->text = says(c, "string=\"true\"") || c->types == DECAI__TYPE_STRING;
    if (c->text) put(a, "\"", 1);
    c->first = true;
    c->ended = false;
    c->json_at = (decai__accept){ .state = 0 };
    c->at = a->f->p.value ? SEPARATOR : VALUE;
    c->word_len = 0;
    return DECAI__CALL_MORE;
}

/* ---- marks --------------------------------------------------------------------------------------- */

/* Is the word a mark (1), or may it become one (0)? */
static int
is_mark(const decai__call *c, const char *mark)
{
    size_t n = strlen(mark);
    if (c->word_len > n || memcmp(c->word, mark, c->word_len)) return -1;
    return c->word_len == n;
}

/* The word goes on to a mark, behind which is `then`. */
static int
mark_then(decai__call *c, char byte, const char *mark, uint8_t then)
{
    (void)decai__call_word(c, byte);
    int r = is_mark(c, mark);
    if (r == 1) c->at = then, c->word_len = 0;
    return r < 0 ? DECAI__CALL_FAIL : DECAI__CALL_MORE;
}

static int
between(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (!c->word_len && decai__is_blank(byte)) return DECAI__CALL_MORE;
    (void)decai__call_word(c, byte);
    int key = is_mark(c, a->f->p.key), close = is_mark(c, a->f->p.close);
    if (key < 0 && close < 0) return DECAI__CALL_FAIL;
    if (key < 1 && close < 1) return DECAI__CALL_MORE;
    if (!c->begun) {
        decai__answer_begin_call(a);
        put(a, "{", 1);
        if (close < 1) (void)decai__buf_add(&a->hold, c->word, c->word_len);
    }
    c->at = KEY;
    c->word_len = 0;
    if (close < 1) return DECAI__CALL_MORE;
    put(a, "}", 1);
    decai__answer_end_call(a);
    return DECAI__CALL_DONE;
}

/* A byte of a value. Its first and last new line are none of it where the format has lines;
 * the beginning of value_end is in word, behind a new line that may be the last. */
static int
in_value(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    const decai__call_marks *p = &a->f->p;
    size_t n = strlen(p->value_end);
    bool first = c->first && p->lines;
    c->first = false;
    if (first && byte == '\n') return DECAI__CALL_MORE;
    (void)decai__call_word(c, byte);
    for (;;) {
        size_t skip = p->lines && c->word_len && *c->word == '\n';
        size_t m = c->word_len - skip;
        if (m <= n && !memcmp(c->word + skip, p->value_end, m)) {
            if (m == n) value_ends(a);
            return DECAI__CALL_MORE;
        }
        value_byte(a, *c->word);
        memmove(c->word, c->word + 1, --c->word_len);
    }
}

static int
separator(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (!c->word_len && decai__is_blank(byte)) return DECAI__CALL_MORE;
    return mark_then(c, byte, a->f->p.value, VALUE);
}

/* ---- the beginning ---------------------------------------------------------------------------------- */

static int
head(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (!c->word_len && decai__is_blank(byte)) return DECAI__CALL_MORE;
    if (!c->word_len && (byte == '{' || byte == '[' || byte == '`')) {
        c->json = true;                              /* forebears of these formats write JSON */
        return decai__call_byte(a, byte);
    }
    if (!a->f->p.head) {
        c->at = TITLE;
        return decai__parameters_byte(a, byte);
    }
    return mark_then(c, byte, a->f->p.head, TITLE);
}

static int
title(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    const char *stop = a->f->p.name_end;
    bool ends = stop ? byte == *stop : byte == '\n' || byte == '<';
    size_t len;
    if (!ends) return (uint8_t)byte >= ' ' && byte != '<' && decai__call_word(c, byte) ? DECAI__CALL_MORE : DECAI__CALL_FAIL;
    const char *name = unquoted(c, &len);
    if (!decai__call_named(c, name, len)) return DECAI__CALL_FAIL;
    c->at = BETWEEN;
    c->word_len = 0;
    return stop || byte == '\n' ? DECAI__CALL_MORE : between(a, byte);
}

/* A key up to its end mark, which begins with a byte that no key has. */
static int
key(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    const char *end = a->f->p.key_end;
    size_t n = strlen(end);
    if (!decai__call_word(c, byte)) return DECAI__CALL_FAIL;
    const char *mark = memchr(c->word, *end, c->word_len);
    if (!mark) return (uint8_t)byte < ' ' || byte == '<' ? DECAI__CALL_FAIL : DECAI__CALL_MORE;
    size_t m = (size_t)(c->word + c->word_len - mark);
    if (memcmp(mark, end, m)) return DECAI__CALL_FAIL;
    if (m < n) return DECAI__CALL_MORE;
    c->word_len -= n;
    return key_ends(a);
}

int
decai__parameters_byte(decai__answer *a, char byte)
{
    switch (a->call.at) {
    case HEAD: return head(a, byte);
    case TITLE: return title(a, byte);
    case BETWEEN: return between(a, byte);
    case KEY: return key(a, byte);
    case SEPARATOR: return separator(a, byte);
    default: return in_value(a, byte);
    }
}

bool
decai__parameters_loose(const decai__call *c)
{
    return c->at != VALUE;
}
