/* toolcall_call.c - what is inside a call, byte by byte: JSON objects, and names before JSON.
 *
 *     OBJECT   {"name": .., "arguments": {..}, "id": ..} in any order, alone or in an array,
 *              perhaps within {"function": ..}, perhaps fenced by ```
 *     KEYED    {NAME: {..}}
 *     NAMED    NAME, what ends it, {..}
 *
 * A call has begun once its name is known and the first byte of its arguments is there:
 * from then on its arguments go out as they come. Before that everything is held, and is
 * content should it turn out to be no call. Arguments that stand before the name wait.
 * Arguments may also be a string that holds JSON: it goes out without its escapes.
 */
#include <string.h>

#include "tok/toolcall.h"

enum {
    START, LANGUAGE, VALUE, ITEM,                    /* before the JSON; in an array */
    MEMBER, NEXT_MEMBER, KEY, COLON, AFTER_KEY,      /* in an object */
    NAME, ID, ARGUMENTS, TEXT_ARGUMENTS, SKIPPED, AFTER_VALUE,
    TITLE, AFTER_TITLE, NAMED_ARGUMENTS              /* NAMED */
};

bool
decai__is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool
decai__call_word(decai__call *c, char byte)
{
    if (c->word_len == sizeof c->word) return false;
    c->word[c->word_len++] = byte;
    return true;
}

bool
decai__call_named(decai__call *c, const char *text, size_t len)
{
    while (len && decai__is_blank(*text)) text++, len--;
    while (len && decai__is_blank(text[len - 1])) len--;
    if (!len || len > DECAI__CALL_NAME_MAX) return false;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] <= ' ' || strchr("<>\"\\", text[i])) return false;
    memcpy(c->name, text, len);
    c->name[len] = 0;
    c->name_len = len;
    return c->known = true;
}

static bool
is_word(const decai__call *c, const char *word)
{
    size_t n = strlen(word);
    return c->word_len == n + 2 && !memcmp(c->word + 1, word, n);     /* it stands in quotes */
}

/* A value or key begins; its first byte comes next. */
static int
begin_value(decai__call *c, uint8_t at)
{
    c->at = at;
    c->word_len = 0;
    c->json_at = (decai__accept){ .state = 0 };
    return DECAI__CALL_MORE;
}

/* ---- arguments ----------------------------------------------------------------------------- */

static void
put_arguments(decai__answer *a, const void *data, size_t len)
{
    if (a->call.begun) decai__answer_put(a, DECAI_ANSWER_ARGUMENTS, data, len);
    else (void)decai__buf_add(&a->kept, data, len);
}

/* The name is known and the arguments have come, or begin now. */
static void
begin(decai__answer *a)
{
    decai__answer_begin_call(a);
    put_arguments(a, a->kept.data, a->kept.len);
    a->kept.len = 0;
}

static int
begin_arguments(decai__answer *a, uint8_t at, char byte)
{
    decai__call *c = &a->call;
    if (c->ended || c->begun || a->kept.len) return DECAI__CALL_FAIL;
    begin_value(c, at);
    c->inner = c->json_at;
    (void)decai__accept_byte(&c->json_at, byte);
    if (at == TEXT_ARGUMENTS) return DECAI__CALL_MORE;
    if (c->known) begin(a);
    put_arguments(a, &byte, 1);
    return DECAI__CALL_MORE;
}

/* A byte of a string that holds the arguments: what it stands for is theirs. */
static int
text_argument(decai__answer *a, int r)
{
    decai__call *c = &a->call;
    for (size_t i = 0; i < c->json_at.out_len; i++) {
        char byte = (char)c->json_at.out[i];
        if (c->ended) {
            if (!decai__is_blank(byte)) return DECAI__CALL_FAIL;
            continue;
        }
        if (!c->inner.depth && decai__is_blank(byte)) continue;
        if (!c->inner.depth && byte != '{') return DECAI__CALL_FAIL;
        int inner = decai__accept_byte(&c->inner, byte);
        if (inner < 0) return DECAI__CALL_FAIL;
        if (c->known && !c->begun) begin(a);
        put_arguments(a, &byte, 1);
        c->ended = inner == DECAI__ACCEPT_DONE;
    }
    if (r != DECAI__ACCEPT_DONE) return DECAI__CALL_MORE;
    if (c->inner.depth) return DECAI__CALL_FAIL;
    if (!c->ended && !c->begun) put_arguments(a, "{}", 2);            /* an empty text: no arguments */
    c->ended = true;
    c->at = AFTER_VALUE;
    return DECAI__CALL_MORE;
}

/* ---- objects ------------------------------------------------------------------------------- */

static int
object(decai__call *c)
{
    c->known = c->begun = c->ended = c->nested = false;
    c->name_len = c->id_len = 0;
    c->at = MEMBER;
    return DECAI__CALL_MORE;
}

static int
close_object(decai__answer *a)
{
    decai__call *c = &a->call;
    if (c->nested) {
        c->nested = false;
        c->at = AFTER_VALUE;
        return DECAI__CALL_MORE;
    }
    if (!c->known) return DECAI__CALL_FAIL;
    if (!c->begun) {
        if (!a->kept.len) put_arguments(a, "{}", 2);
        begin(a);
    }
    decai__answer_end_call(a);
    c->begun = false;
    c->any = true;
    c->at = ITEM;
    return c->list ? DECAI__CALL_MORE : DECAI__CALL_DONE;
}

/* The key is in word; byte is the first of its value. */
static int
member(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    bool text = byte == '"', arguments = is_word(c, "arguments") || is_word(c, "parameters");
    if (c->keyed) {
        if (c->begun) decai__answer_end_call(a);                      /* of the member before */
        c->begun = c->ended = false;
        if (byte != '{' || !decai__call_named(c, c->word + 1, c->word_len - 2)) return DECAI__CALL_FAIL;
        return begin_arguments(a, ARGUMENTS, byte);
    }
    if (arguments && (byte == '{' || text)) return begin_arguments(a, text ? TEXT_ARGUMENTS : ARGUMENTS, byte);
    if (arguments) return DECAI__CALL_FAIL;
    if (byte == '{' && is_word(c, "function") && !c->nested && !c->known) {
        c->nested = true;
        c->at = MEMBER;
        return DECAI__CALL_MORE;
    }
    bool name = is_word(c, "name") || is_word(c, "tool_name"), id = is_word(c, "id") || is_word(c, "tool_call_id");
    if (name && (!text || c->known)) return DECAI__CALL_FAIL;
    begin_value(c, name ? NAME : id && text ? ID : SKIPPED);
    return decai__call_byte(a, byte);
}

/* A name or an id is in word: without escapes, or it is none. */
static int
word_ends(decai__answer *a, bool name)
{
    decai__call *c = &a->call;
    size_t len = c->word_len - 2;
    bool plain = !memchr(c->word, '\\', c->word_len);
    c->at = AFTER_VALUE;
    if (!name && plain && len && len <= DECAI__CALL_NAME_MAX) memcpy(c->id, c->word + 1, c->id_len = len);
    if (!name) return DECAI__CALL_MORE;
    if (!plain || !decai__call_named(c, c->word + 1, len)) return DECAI__CALL_FAIL;
    if (c->ended) begin(a);                                           /* its arguments came before */
    return DECAI__CALL_MORE;
}

static int
value_byte(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    uint8_t at = c->at;
    int r = decai__accept_byte(&c->json_at, byte);
    if (r < 0) return DECAI__CALL_FAIL;
    if (r == DECAI__ACCEPT_BEFORE) {
        c->at = AFTER_VALUE;
        return decai__call_byte(a, byte);
    }
    bool full = (at == KEY || at == NAME || at == ID) && !decai__call_word(c, byte), ends = r == DECAI__ACCEPT_DONE;
    if (full && at != ID && (at == NAME || c->keyed)) return DECAI__CALL_FAIL;
    if (at == ARGUMENTS || at == NAMED_ARGUMENTS) put_arguments(a, &byte, 1);
    if (at == TEXT_ARGUMENTS) return text_argument(a, r);
    if (!ends) return DECAI__CALL_MORE;
    switch (at) {
    case KEY: c->at = COLON; return DECAI__CALL_MORE;
    case NAME: return word_ends(a, true);
    case ID: return word_ends(a, false);
    case ARGUMENTS: c->ended = true; break;
    case NAMED_ARGUMENTS:
        decai__answer_end_call(a);
        return DECAI__CALL_DONE;
    default: break;
    }
    c->at = AFTER_VALUE;
    return DECAI__CALL_MORE;
}

/* ---- before the object ----------------------------------------------------------------------- */

/* A fence, its language, blanks. */
static int
fence(decai__call *c, char byte)
{
    static const char language[] = "json";
    if (c->at == START) {
        c->fenced = true;
        (void)decai__call_word(c, byte);
        if (c->word_len < 3) return DECAI__CALL_MORE;
        c->at = LANGUAGE;
        c->word_len = 0;
        return DECAI__CALL_MORE;
    }
    if (c->word_len == 4 || byte != language[c->word_len]) return DECAI__CALL_FAIL;
    (void)decai__call_word(c, byte);
    return DECAI__CALL_MORE;
}

static int
start(decai__call *c, char byte)
{
    bool outside = !c->word_len || (c->at == LANGUAGE && c->word_len == 4);
    if (c->at == START && byte == '`') return fence(c, byte);
    if (outside && decai__is_blank(byte)) {
        if (c->at == LANGUAGE) c->at = VALUE, c->word_len = 0;
        return DECAI__CALL_MORE;
    }
    if (outside && byte == '{') return object(c);
    if (outside && byte == '[') {
        c->list = true;
        c->at = ITEM;
        return DECAI__CALL_MORE;
    }
    return c->at == LANGUAGE ? fence(c, byte) : DECAI__CALL_FAIL;
}

/* ---- names before JSON ------------------------------------------------------------------------ */

static bool
word_has_end(const decai__call *c, const char *mark)
{
    size_t n = strlen(mark);
    return c->word_len >= n && !memcmp(c->word + c->word_len - n, mark, n);
}

/* Kimi: functions.NAME:0 is the id. Mistral: NAME[CALL_ID]ID. */
static bool
title(decai__answer *a, size_t len)
{
    decai__call *c = &a->call;
    char *name = c->word, *id;
    size_t from = 0;
    while (len && decai__is_blank(name[len - 1])) len--;
    if (!strcmp(a->f->name, "kimi-k2")) {
        while (from < len && decai__is_blank(name[from])) from++;
        c->id_len = len - from <= DECAI__CALL_NAME_MAX ? len - from : 0;
        memcpy(c->id, name + from, c->id_len);
        size_t end = len;
        while (end > from && name[end - 1] >= '0' && name[end - 1] <= '9') end--;
        if (end < len && end > from && name[end - 1] == ':') len = end - 1;
        if (len - from > 10 && !memcmp(name + from, "functions.", 10)) from += 10;
    } else if (*a->f->stop == '[') {
        for (id = name; id + 9 <= name + len && memcmp(id, "[CALL_ID]", 9);) id++;
        if (id + 9 <= name + len) {
            size_t n = (size_t)(name + len - id) - 9;
            if (n && n <= DECAI__CALL_NAME_MAX) memcpy(c->id, id + 9, c->id_len = n);
            len = (size_t)(id - name);
        }
        if (memchr(name, '[', len)) return false;
    }
    return decai__call_named(c, name + from, len - from);
}

/* Can a name still come of the word? No control byte, no mark but the beginning of the stop. */
static bool
may_name(const decai__call *c, const char *stop)
{
    const char *mark = memchr(c->word, '<', c->word_len), last = c->word[c->word_len - 1];
    if ((uint8_t)last < ' ' && last != '\r') return false;
    return !mark || (*stop == '<' && !memcmp(mark, stop, (size_t)(c->word + c->word_len - mark)));
}

/* DeepSeek writes function, its separator, the name and a new line, or the name and the separator. */
static int
titled(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    const char *stop = c->any ? "\n" : a->f->stop;
    if (c->any && !c->word_len && byte == '{') {     /* a tool of the name "function" */
        (void)decai__call_named(c, "function", 8);
        decai__call_open(c);
        return decai__call_byte(a, byte);
    }
    if (!decai__call_word(c, byte)) return DECAI__CALL_FAIL;
    if (!word_has_end(c, stop)) return may_name(c, stop) ? DECAI__CALL_MORE : DECAI__CALL_FAIL;
    size_t len = c->word_len - strlen(stop);
    if (!c->any && !strcmp(a->f->name, "deepseek") && len == 8 && !memcmp(c->word, "function", 8)) {
        c->any = true;
        c->word_len = 0;
        return DECAI__CALL_MORE;
    }
    if (!title(a, len)) return DECAI__CALL_FAIL;
    decai__call_open(c);
    return DECAI__CALL_MORE;
}

void
decai__call_list(decai__call *c)
{
    c->list = true;
    c->at = ITEM;
}

void
decai__call_open(decai__call *c)
{
    c->at = AFTER_TITLE;
    c->word_len = 0;
}

static int
after_title(decai__answer *a, char byte)
{
    static const char mark[] = "```json";
    decai__call *c = &a->call;
    if (c->word_len ? c->word_len < 7 && byte == mark[c->word_len] : byte == '`') {
        c->fenced = true;
        (void)decai__call_word(c, byte);
        return DECAI__CALL_MORE;
    }
    if (c->word_len && c->word_len < 7) return DECAI__CALL_FAIL;
    if (decai__is_blank(byte)) return DECAI__CALL_MORE;
    if (byte != '{') return DECAI__CALL_FAIL;
    begin(a);
    begin_value(c, NAMED_ARGUMENTS);
    return value_byte(a, byte);
}

int
decai__call_byte(decai__answer *a, char byte)
{
    decai__call *c = &a->call;
    if (a->f->form == DECAI__CALL_PARAMETERS && !c->json) return decai__parameters_byte(a, byte);
    if ((a->f->form == DECAI__CALL_PYTHON && !c->json) || a->f->form == DECAI__CALL_NOTED) return decai__literal_byte(a, byte);
    if (a->f->form == DECAI__CALL_NAMED && c->at == START) c->at = TITLE;
    c->keyed = a->f->form == DECAI__CALL_KEYED;
    bool blank = decai__is_blank(byte);
    switch (c->at) {
    case START: case LANGUAGE: case VALUE: return start(c, byte);
    case TITLE: return titled(a, byte);
    case AFTER_TITLE: return after_title(a, byte);
    case ITEM:
        if (blank || byte == ',') return DECAI__CALL_MORE;
        return byte == '{' ? object(c) : byte == ']' && c->any ? DECAI__CALL_DONE : DECAI__CALL_FAIL;
    case MEMBER: case NEXT_MEMBER:
        if (blank) return DECAI__CALL_MORE;
        if (byte == '}' && c->at == MEMBER) return close_object(a);
        if (byte != '"') return DECAI__CALL_FAIL;
        begin_value(c, KEY);
        return value_byte(a, byte);
    case COLON:
        if (byte == ':') c->at = AFTER_KEY;
        return blank || byte == ':' ? DECAI__CALL_MORE : DECAI__CALL_FAIL;
    case AFTER_KEY: return blank ? DECAI__CALL_MORE : member(a, byte);
    case AFTER_VALUE:
        if (byte == ',') c->at = NEXT_MEMBER;
        if (byte == '}') return close_object(a);
        return blank || byte == ',' ? DECAI__CALL_MORE : DECAI__CALL_FAIL;
    default: return value_byte(a, byte);
    }
}

bool
decai__call_loose(const decai__answer *a)
{
    return !a->call.begun || (a->f->form == DECAI__CALL_PARAMETERS && !a->call.json && decai__parameters_loose(&a->call));
}
