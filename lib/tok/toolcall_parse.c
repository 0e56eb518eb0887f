/* toolcall_parse.c - an answer taken apart: reasoning, content, tool calls.
 *
 * One pass from mark to mark. What is between calls is content; what stands behind a
 * call's mark and is no call is content as it was written, mark included, so nothing of
 * an answer is lost. While more may come (partial), whatever may still become a mark,
 * blanks that may turn out to be the last, and a call that is not complete are held
 * back: of two beginnings of one answer, the longer one's content and calls begin with
 * the shorter one's.
 *
 *     {"content": "..", "reasoning": "..", "tool_calls": [{"id": .., "type": "function",
 *      "function": {"name": "..", "arguments": "{..}"}}], "complete": true}
 *
 * content is null and reasoning absent where there is none; arguments are JSON as text,
 * as OpenAI has them; id is there where the model wrote one. complete: nothing is held.
 */
#include <string.h>

#include "tok/toolcall.h"

typedef struct parser {
    const decai__call_format *f;
    decai_context *ctx;
    const char *text;
    size_t len, at;
    bool partial, thinking;
    bool held;                       /* what is left waits for more */
    uint32_t failed;                 /* marks that were no calls */
    decai__buf content, reasoning;
    decai__buf calls;                /* JSON, item after item, a comma before each but the first */
} parser;

#define FAILED_MAX 64                /* further marks are content: each of them may have been looked behind to the end */

/* ---- small steps -------------------------------------------------------------------------- */

static bool
begins(const parser *p, size_t at, const char *mark)
{
    size_t n = mark ? strlen(mark) : 0;
    return n && p->len - at >= n && !memcmp(p->text + at, mark, n);
}

/* The rest of the text, not empty, is the beginning of the mark and no more. */
static bool
may_begin(const parser *p, size_t at, const char *mark)
{
    return mark && p->partial && at < p->len && p->len - at < strlen(mark) && !memcmp(p->text + at, mark, p->len - at);
}

/* Where a mark begins, before `to`; SIZE_MAX: nowhere. */
static size_t
find_before(const parser *p, size_t from, size_t to, const char *mark)
{
    for (size_t i = from; mark && i < to; i++)
        if (begins(p, i, mark)) return i;
    return SIZE_MAX;
}

static size_t
find(const parser *p, size_t from, const char *mark)
{
    return find_before(p, from, p->len, mark);
}

static size_t
blank(const parser *p, size_t at)
{
    while (at < p->len && strchr(" \n\r\t", p->text[at]) && p->text[at]) at++;
    return at;
}

static void
trim(decai__buf *b)
{
    while (b->len && b->data[b->len - 1] && strchr(" \n\r\t", b->data[b->len - 1])) b->len--;
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* A call with its arguments as JSON text. */
static int32_t
put_call(parser *p, const char *name, size_t name_len, const char *arguments, size_t len, const char *id, size_t id_len)
{
    decai__json_writer w;
    if (p->calls.len) (void)decai__buf_add_byte(&p->calls, ',');
    decai__json_writer_init(&w, &p->calls, false);
    decai__json_put_object(&w, NULL);
    if (id) decai__json_put_text(&w, "id", id, id_len);
    decai__json_put_str(&w, "type", "function");
    decai__json_put_object(&w, "function");
    decai__json_put_text(&w, "name", name, name_len);
    decai__json_put_text(&w, "arguments", arguments, len);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}

/* A text without escapes, or NULL. */
static const char *
plain_text(const char *value, size_t *len)
{
    if (!value || *len < 2 || *value != '"' || memchr(value, '\\', *len)) return NULL;
    *len -= 2;
    return value + 1;
}

/* Arguments given as a text that holds JSON. */
static int32_t
put_text_arguments(parser *p, const char *name, size_t name_len, const char *value, size_t len, const char *id, size_t id_len)
{
    decai__json *doc;
    const char *text;
    size_t n;
    int32_t r = decai__json_parse(p->ctx, &doc, value, len);
    if (r) return r;
    r = decai__json_str(doc, decai__json_root(doc), &text, &n);
    if (!r) r = put_call(p, name, name_len, text, n, id, id_len);
    decai__json_free(doc);
    return r;
}

/* Is an object a call? Its text is sound JSON. 1 yes, put; 0 no. */
static int32_t
object_call(parser *p, const char *object, size_t len)
{
    static const char *const names[] = { "name", "tool_name" }, *const arguments[] = { "arguments", "parameters" }, *const ids[] = { "id", "tool_call_id" };
    const char *name = NULL, *value = NULL, *id = NULL;
    size_t name_len = 0, value_len = 0, id_len = 0;
    for (size_t i = 0; i < 2; i++) {
        if (!name) name = decai__json_member(object, len, names[i], &name_len);
        if (!value) value = decai__json_member(object, len, arguments[i], &value_len);
        if (!id) id = decai__json_member(object, len, ids[i], &id_len);
    }
    name = plain_text(name, &name_len);
    id = plain_text(id, &id_len);
    if (!name || !name_len) return 0;
    int32_t r = !value ? put_call(p, name, name_len, "{}", 2, id, id_len)
        : *value == '"' ? put_text_arguments(p, name, name_len, value, value_len, id, id_len)
        : *value == '{' ? put_call(p, name, name_len, value, value_len, id, id_len) : DECAI_E_CORRUPT;
    return r == DECAI_E_CORRUPT ? 0 : r ? r : 1;
}

static int32_t
list_calls(parser *p, const char *list, size_t len)
{
    size_t at = 1, calls = p->calls.len;
    for (bool any = false;; any = true) {
        while (at < len && list[at] && strchr(" \n\r\t,", list[at])) at++;
        if (at >= len || list[at] == ']') return any;
        size_t span = decai__json_span(list + at, len - at);
        int32_t r = list[at] == '{' ? object_call(p, list + at, span) : 0;
        if (r != 1) {
            if (!r) p->calls.len = calls;            /* all of them, or none */
            return r;
        }
        at += span;
    }
}

static void
close_fence(parser *p)
{
    size_t at = blank(p, p->at);
    if (begins(p, at, "```")) p->at = at + 3;
    else if (may_begin(p, at, "```")) p->at = p->len;
}

/* JSON from p->at on, fenced or not, as calls: 1 and p->at behind it; 0 no call, p->at
 * unchanged; held. */
static int32_t
json_calls(parser *p)
{
    size_t at = blank(p, p->at);
    bool fenced = false;
    if (begins(p, at, "```")) {
        fenced = true;
        at += 3;
        if (may_begin(p, at, "json")) return p->held = true, 0;
        if (begins(p, at, "json")) at += 4;
        at = blank(p, at);
    }
    if (at == p->len || may_begin(p, at, "```")) return p->held = p->partial, 0;
    size_t span = p->text[at] == '{' || p->text[at] == '[' ? decai__json_span(p->text + at, p->len - at) : 0;
    if (span == SIZE_MAX) return p->held = p->partial, 0;
    if (!span) return 0;
    int32_t r = decai__json_check(p->ctx, p->text + at, span);
    if (r) return r == DECAI_E_NOMEM ? r : 0;
    r = p->text[at] == '{' ? object_call(p, p->text + at, span) : list_calls(p, p->text + at, span);
    if (r != 1) return r;
    p->at = at + span;
    if (fenced) close_fence(p);
    return 1;
}

/* NAME, what ends it, JSON. DeepSeek writes function, a separator and the name. */
static int32_t
named_call(parser *p)
{
    static const char separator[] = "<\xef\xbd\x9c" "tool\xe2\x96\x81" "sep\xef\xbd\x9c>";
    size_t name = p->at, end, at;
    bool deepseek = !strcmp(p->f->name, "deepseek");
    if (deepseek && begins(p, name, "function") && begins(p, name + 8, separator)) {
        name += 8 + sizeof separator - 1;
        end = find(p, name, "\n");
        at = end == SIZE_MAX ? p->len : end + 1;
    } else {
        const char *stop = deepseek ? separator : p->f->stop;
        end = find(p, name, stop);
        at = end == SIZE_MAX ? p->len : end + strlen(stop);
    }
    if (end == SIZE_MAX) return p->held = p->partial, 0;
    while (end > name && (p->text[end - 1] == ' ' || p->text[end - 1] == '\r')) end--;
    if (end == name) return 0;
    at = blank(p, at);
    bool fenced = begins(p, at, "```json");
    if (fenced) at = blank(p, at + 7);
    if (at == p->len || may_begin(p, at, "```json")) return p->held = p->partial, 0;
    size_t span = p->text[at] == '{' ? decai__json_span(p->text + at, p->len - at) : 0;
    if (span == SIZE_MAX) return p->held = p->partial, 0;
    if (!span) return 0;
    int32_t r = decai__json_check(p->ctx, p->text + at, span);
    if (r) return r == DECAI_E_NOMEM ? r : 0;
    r = put_call(p, p->text + name, end - name, p->text + at, span, NULL, 0);
    if (r) return r;
    p->at = at + span;
    if (fenced) close_fence(p);
    return 1;
}

/* A parameter's value: JSON if it is, but a text otherwise. */
static int32_t
put_value(parser *p, decai__json_writer *w, decai__buf *b, const char *key, size_t key_len, const char *value, size_t len)
{
    decai__buf name;
    decai__buf_init(&name, p->ctx, 4096, "parameter");
    int32_t r = decai__buf_add(&name, key, key_len);
    if (!r) r = decai__buf_add_byte(&name, 0);
    bool json = !r && len && decai__json_span(value, len) && *value != '"' && !decai__json_check(p->ctx, value, len);
    if (!r && json) {
        /* The writer has no raw values: one byte stands for it, then gives way. */
        decai__json_put_u64(w, (const char *)name.data, 0);
        if (b->len) b->len--;
        r = decai__buf_add(b, value, len);
    } else if (!r) {
        decai__json_put_text(w, (const char *)name.data, value, len);
    }
    decai__buf_free(&name);
    return r;
}

static int32_t
xml_parameters(parser *p, decai__buf *b, size_t from, size_t end)
{
    decai__json_writer w;
    int32_t r = 0;
    decai__json_writer_init(&w, b, false);
    decai__json_put_object(&w, NULL);
    for (size_t at = find_before(p, from, end, "<parameter="); !r && at < end; at = find_before(p, at, end, "<parameter=")) {
        size_t key = at + 11, close = find_before(p, key, end, ">"), stop = find_before(p, key, end, "</parameter>");
        if (close >= end || stop > end || stop < close) break;
        size_t value = close + 1, last = stop;
        if (value < last && p->text[value] == '\n') value++;
        if (last > value && p->text[last - 1] == '\n') last--;
        r = put_value(p, &w, b, p->text + key, close - key, p->text + value, last - value);
        at = stop;
    }
    decai__json_put_end(&w);
    return r ? r : decai__json_writer_end(&w);
}

static int32_t
xml_call(parser *p)
{
    size_t at = blank(p, p->at), end = find(p, at, "</function>");
    decai__buf b;
    if (at == p->len || may_begin(p, at, "<function=")) return p->held = p->partial, 0;
    if (!begins(p, at, "<function=")) return json_calls(p);          /* its forebears write JSON */
    size_t name = at + 10, close = find(p, name, ">");
    if (end == SIZE_MAX) return p->held = p->partial, 0;
    if (close >= end || close == name) return 0;
    decai__buf_init(&b, p->ctx, DECAI_JSON_TEXT_MAX, "DECAI_JSON_TEXT_MAX");
    int32_t r = xml_parameters(p, &b, close + 1, end);
    /* Names that repeat make no JSON: then it is no call. */
    if (!r) r = decai__json_check(p->ctx, (const char *)b.data, b.len);
    if (!r) r = put_call(p, p->text + name, close - name, (const char *)b.data, b.len, NULL, 0);
    decai__buf_free(&b);
    if (r) return r == DECAI_E_NOMEM ? r : 0;
    p->at = end + 11;
    return 1;
}

/* ---- harmony: messages with channels -------------------------------------------------------- */

static size_t
first_of(const parser *p, size_t from, const char *const *marks, size_t count)
{
    for (size_t at = from; at < p->len; at++)
        for (size_t i = 0; p->text[at] == '<' && i < count; i++)
            if (begins(p, at, marks[i])) return at;
    return p->len;
}

/* One message, from behind <|channel|> or <|start|> on. */
static int32_t
channel(parser *p)
{
    static const char *const ends[] = { "<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>" };
    size_t head = p->at, message = find(p, head, "<|message|>");
    if (message == SIZE_MAX) return p->held = p->partial, 0;
    size_t body = message + 11, end = first_of(p, body, ends, DECAI__COUNT(ends)), to = find_before(p, head, message, "to=functions.");
    if (to < message) {
        size_t name = to + 13, last = name, at = blank(p, body);
        while (last < message && !strchr(" \n<", p->text[last])) last++;
        size_t span = at < end && p->text[at] == '{' ? decai__json_span(p->text + at, end - at) : 0;
        if (end == p->len && p->partial) return p->held = true, 0;
        if (!span || span == SIZE_MAX || last == name) return 0;
        int32_t r = decai__json_check(p->ctx, p->text + at, span);
        if (!r) r = put_call(p, p->text + name, last - name, p->text + at, span, NULL, 0);
        if (r) return r == DECAI_E_NOMEM ? r : 0;
    } else {
        size_t tag = find_before(p, head, message, "<|channel|>");
        bool analysis = begins(p, tag == SIZE_MAX ? head : tag + 11, "analysis");
        size_t stop = end;
        /* The end of what is there may begin a mark. */
        for (size_t i = 0; end == p->len && p->partial && i < DECAI__COUNT(ends); i++)
            for (size_t k = body; k < stop; k++)
                if (may_begin(p, k, ends[i])) stop = k;
        (void)decai__buf_add(analysis ? &p->reasoning : &p->content, p->text + body, stop - body);
    }
    p->at = end;
    for (size_t i = 0; i < 3; i++)
        if (begins(p, end, ends[i])) p->at = end + strlen(ends[i]);
    return 1;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

/* What stands behind a call's mark. */
static int32_t
call(parser *p)
{
    switch (p->f->form) {
    case DECAI__CALL_NAMED: return named_call(p);
    case DECAI__CALL_XML: return xml_call(p);
    case DECAI__CALL_CHANNEL: return channel(p);
    default: return json_calls(p);
    }
}

/* Reasoning at the beginning: marked, or up to its end mark where the template began it. */
static void
reasoning(parser *p)
{
    const char *begin = p->f->think, *end = p->f->think_end;
    size_t at = blank(p, 0), stop = find(p, 0, end);
    if (!begin) return;
    if (!p->thinking && (may_begin(p, at, begin) || (p->partial && at == p->len))) {
        p->held = true;
        return;
    }
    if (begins(p, at, begin)) at += strlen(begin);
    else if (!p->thinking) return;
    size_t last = stop == SIZE_MAX ? p->len : stop;
    for (size_t k = at; stop == SIZE_MAX && k < last; k++)
        if (may_begin(p, k, end)) last = k;
    at = DECAI__MIN(blank(p, at), last);
    (void)decai__buf_add(&p->reasoning, p->text + at, last - at);
    p->at = stop == SIZE_MAX ? p->len : blank(p, stop + strlen(end));
}

static int32_t
at_mark(parser *p, bool other)
{
    size_t before = p->at;
    if (!other) p->at += strlen(p->f->begin);
    else if (p->f->form == DECAI__CALL_CHANNEL) p->at += strlen(p->f->other);
    int32_t r = call(p);
    if (r < 0) return r;
    if (!r) {                                        /* no call: its mark is content */
        p->at = before;
        if (p->held) return 0;
        p->failed++;
        (void)decai__buf_add(&p->content, p->text + before, 1);
        p->at = before + 1;
        return 0;
    }
    size_t at = blank(p, p->at);
    if (begins(p, at, p->f->end)) p->at = at + strlen(p->f->end);
    else if (p->f->end && (may_begin(p, at, p->f->end) || at == p->len)) p->at = at == p->len ? p->at : p->len;
    return 0;
}

static int32_t
walk(parser *p)
{
    const decai__call_format *f = p->f;
    int32_t r = 0;
    reasoning(p);
    size_t start = blank(p, p->at);
    if (!p->held && f->bare && start < p->len && (p->text[start] == '{' || p->text[start] == '[')) {
        size_t before = p->at;
        do {
            r = json_calls(p);
            if (r != 1) break;
            before = p->at;
            p->at = blank(p, p->at);
            if (begins(p, p->at, ";")) p->at++;
        } while (p->at < p->len);
        if (r >= 0) r = 0;
        p->at = p->held ? before : p->at;
    }
    while (!r && !p->held && p->at < p->len) {
        bool dropped = false, waits = may_begin(p, p->at, f->begin) || may_begin(p, p->at, f->other);
        for (size_t i = 0; i < 3; i++) {
            if (begins(p, p->at, f->dropped[i])) p->at += strlen(f->dropped[i]), dropped = true;
            waits = waits || may_begin(p, p->at, f->dropped[i]);
        }
        if (dropped) continue;
        if (waits) p->held = true;
        else if (p->failed < FAILED_MAX && begins(p, p->at, f->begin)) r = at_mark(p, false);
        else if (p->failed < FAILED_MAX && begins(p, p->at, f->other)) r = at_mark(p, true);
        else (void)decai__buf_add_byte(&p->content, (uint8_t)p->text[p->at++]);
    }
    return r;
}

int32_t
decai__answer_parse(decai__buf *out, const decai__call_format *f, const char *text, size_t len, int32_t flags)
{
    parser p = { .f = f, .ctx = out->ctx, .text = text, .len = len, .partial = flags & DECAI_ANSWER_PARTIAL,
        .thinking = flags & DECAI_ANSWER_THINKING };
    decai__json_writer w;
    decai__buf_init(&p.content, out->ctx, len + 1, "content");
    decai__buf_init(&p.reasoning, out->ctx, len + 1, "reasoning");
    decai__buf_init(&p.calls, out->ctx, DECAI_JSON_TEXT_MAX, "DECAI_JSON_TEXT_MAX");
    int32_t r = walk(&p);
    if (!r) r = p.content.error ? p.content.error : p.reasoning.error ? p.reasoning.error : p.calls.error;
    if (!r) {
        trim(&p.content);
        trim(&p.reasoning);
        decai__json_writer_init(&w, out, false);
        decai__json_put_object(&w, NULL);
        if (p.content.len) decai__json_put_text(&w, "content", (const char *)p.content.data, p.content.len);
        else decai__json_put_null(&w, "content");
        if (p.reasoning.len) decai__json_put_text(&w, "reasoning", (const char *)p.reasoning.data, p.reasoning.len);
        decai__json_put_bool(&w, "complete", !p.held);
        decai__json_put_end(&w);
        r = decai__json_writer_end(&w);
    }
    if (!r) {                                        /* the calls are JSON already: before the last brace */
        out->len--;
        (void)decai__buf_add_str(out, ",\"tool_calls\":[");
        if (p.calls.len) (void)decai__buf_add(out, p.calls.data, p.calls.len);
        r = decai__buf_add_str(out, "]}");
    }
    decai__buf_free(&p.content);
    decai__buf_free(&p.reasoning);
    decai__buf_free(&p.calls);
    return r;
}
