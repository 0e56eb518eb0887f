/* toolcall_answer.c - an answer taken apart while it comes: reasoning, content, tool calls.
 *
 * Byte by byte, each once, whatever the pieces in which the text comes:
 *
 *     OPEN      the mark of reasoning may come
 *     REASON    reasoning, up to its end mark
 *     FIRST     nothing yet: { or [ may be a call where the format has bare ones
 *     TEXT      content, up to a mark
 *     CALL      behind a call's mark: toolcall_call.c
 *     AFTER     behind a call: a fence, its end mark, another call
 *     HEADER    harmony: from the mark of a message to <|message|>
 *     BODY      harmony: a message that is no call
 *
 * Held back is what may become a mark, what may become a call, and blanks that may be
 * the last. What stands behind a call's mark and is no call is content as it was written,
 * mark included; nothing is read twice but the beginning of a mark, so time is linear.
 * Only what has surely begun is a call; if its arguments then break off, it is cut, and
 * what follows is content again.
 */
#include <string.h>

#include "tok/toolcall.h"

enum { OPEN, REASON, FIRST, TEXT, CALL, AFTER, HEADER, BODY };

#define MARKS_MAX  8
#define HEADER_MAX 512                               /* bytes of a message's header */

static const char message[] = "<|message|>";

/* ---- events ------------------------------------------------------------------------------- */

void
decai__answer_put(decai__answer *a, int32_t kind, const void *data, size_t len)
{
    decai__event *last = a->events.len ? (decai__event *)(void *)(a->events.data + a->events.len) - 1 : NULL;
    decai__event e = { .kind = kind, .call = kind < DECAI_ANSWER_CALL ? 0 : a->calls - 1, .len = len };
    bool joins = kind == DECAI_ANSWER_CONTENT || kind == DECAI_ANSWER_REASONING || kind == DECAI_ANSWER_ARGUMENTS;
    if (joins && !len) return;
    if (decai__buf_add(&a->bytes, data, len)) return;
    if (joins && last && last->kind == e.kind && last->call == e.call) last->len += len;
    else (void)decai__buf_add(&a->events, &e, sizeof e);
}

/* Content (0) or reasoning (1), without the blanks that may be its last. */
static void
put_text(decai__answer *a, bool reasoning, const char *text, size_t len)
{
    decai__buf *blanks = &a->blanks[reasoning];
    int32_t kind = reasoning ? DECAI_ANSWER_REASONING : DECAI_ANSWER_CONTENT;
    while (a->lead && len && decai__is_blank(*text)) text++, len--;
    size_t end = len;
    while (end && decai__is_blank(text[end - 1])) end--;
    if (end) {
        a->lead = false;
        decai__answer_put(a, kind, blanks->data, blanks->len);
        decai__answer_put(a, kind, text, end);
        blanks->len = 0;
    }
    (void)decai__buf_add(blanks, text + end, len - end);
}

void
decai__answer_begin_call(decai__answer *a)
{
    a->calls++;
    a->call.begun = true;
    a->hold.len = 0;
    decai__answer_put(a, DECAI_ANSWER_CALL, a->call.name, a->call.name_len);
}

void
decai__answer_end_call(decai__answer *a)
{
    decai__answer_put(a, DECAI_ANSWER_CALL_END, a->call.id, a->call.id_len);
    a->call.begun = false;
}

/* ---- marks ------------------------------------------------------------------------------------ */

/* The marks that this state looks for; NULL among them. */
static size_t
marks(const decai__answer *a, const char **list)
{
    static const char *const ends[] = { "<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>" };
    const decai__call_format *f = a->f;
    switch (a->state) {
    case OPEN: list[0] = f->think; return 1;
    case REASON: list[0] = f->think_end; return 1;
    case AFTER:
        list[0] = a->call.fenced ? "```" : NULL;
        list[1] = f->end;
        return 2;
    case HEADER: list[0] = message; return 1;
    case BODY:
        memcpy(list, ends, sizeof ends);
        return DECAI__COUNT(ends);
    case TEXT:
        list[0] = f->begin;
        list[1] = f->other;
        memcpy(list + 2, f->dropped, sizeof f->dropped);
        return 2 + DECAI__CALL_DROPPED;
    default: return 0;
    }
}

/* Which mark the bytes are, the longest that they begin with (*len its length), or -1;
 * *more: they may still become one. */
static int
match(const decai__answer *a, const char *text, size_t len, size_t *mark_len, bool *more)
{
    const char *list[MARKS_MAX] = { NULL };
    size_t count = marks(a, list);
    int found = -1;
    *more = false;
    *mark_len = 0;
    for (size_t i = 0; i < count; i++) {
        if (!list[i] || *list[i] != *text) continue;
        size_t n = strlen(list[i]);
        if (len < n && !memcmp(list[i], text, len)) *more = true;
        if (len >= n && n > *mark_len && !memcmp(list[i], text, n)) found = (int)i, *mark_len = n;
    }
    return found;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static void feed(decai__answer *a, char byte);

static void
feed_all(decai__answer *a, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) feed(a, text[i]);
}

/* A call may begin: what is held is its mark, or nothing. */
static void
enter_call(decai__answer *a, const char *mark, size_t len)
{
    a->state = a->f->form == DECAI__CALL_CHANNEL ? HEADER : CALL;
    a->call = (decai__call){ .at = 0 };
    a->kept.len = a->keys.len = a->hold.len = 0;
    (void)decai__buf_add(&a->hold, mark, len);
}

/* It was none, or it broke off. The end of what is held may begin another mark. */
static void
leave_call(decai__answer *a)
{
    char again[DECAI__CALL_MARK_MAX];
    const char *text = (char *)a->hold.data;
    size_t len = a->hold.len, from = len > sizeof again ? len - sizeof again : 0, n;
    bool more = false;
    if (a->call.begun && a->call.ended) decai__answer_end_call(a);
    else if (a->call.begun) decai__answer_put(a, DECAI_ANSWER_CALL_CUT, NULL, 0);
    a->state = TEXT;
    for (; from < len; from++)
        if (match(a, text + from, len - from, &n, &more) < 0 && more) break;
    memcpy(again, len ? text + from : "", len - from);
    put_text(a, false, text, from);
    a->hold.len = 0;
    feed_all(a, again, len - from);
}

static void
call_byte(decai__answer *a, char byte)
{
    bool loose = decai__call_loose(a);
    uint32_t calls = a->calls;
    int r = decai__call_byte(a, byte);
    if (r == DECAI__CALL_FAIL) {
        leave_call(a);
        feed(a, byte);
    } else if (r == DECAI__CALL_DONE) {
        a->state = AFTER;
        a->hold.len = 0;
        a->blanks_before = a->blanks[0].len;
    } else if (!decai__call_loose(a)) {
        a->hold.len = 0;
    } else if (loose && calls == a->calls) {
        (void)decai__buf_add_byte(&a->hold, (uint8_t)byte);
    }
}

/* Behind a call, no mark: another call, or text. */
static void
after(decai__answer *a, char byte)
{
    const decai__call_format *f = a->f;
    bool object = (f->form == DECAI__CALL_OBJECT || f->form == DECAI__CALL_PYTHON) && (f->bare || (f->end && !a->call.list));
    if (f->bare && byte == ';') {
        a->blanks[0].len = a->blanks_before;
        return;
    }
    if (decai__is_blank(byte)) {
        put_text(a, false, &byte, 1);
    } else if (object && (byte == '{' || (f->bare && byte == '['))) {
        enter_call(a, NULL, 0);
        feed(a, byte);
    } else {
        a->state = TEXT;
        feed(a, byte);
    }
}

/* ---- harmony's messages ------------------------------------------------------------------------- */

/* A header is held, whole: whose message, and where to. */
static void
header_ends(decai__answer *a)
{
    static const char to[] = "to=functions.", tag[] = "<|channel|>";
    const char *text = (char *)a->hold.data, *name = NULL, *channel = NULL, *end;
    size_t len = a->hold.len;
    for (size_t i = 0; i < len; i++) {
        if (!name && len - i >= sizeof to - 1 && !memcmp(text + i, to, sizeof to - 1)) name = text + i + sizeof to - 1;
        if (!channel && len - i >= sizeof tag - 1 && !memcmp(text + i, tag, sizeof tag - 1)) channel = text + i + sizeof tag - 1;
    }
    for (end = name; end && end < text + len && !strchr(" \n<", *end); ) end++;
    if (name && decai__call_named(&a->call, name, (size_t)(end - name))) {
        (void)decai__buf_add(&a->hold, message, sizeof message - 1);
        decai__call_open(&a->call);
        a->state = CALL;
        return;
    }
    a->state = BODY;
    a->analysis = channel && (size_t)(text + len - channel) >= 8 && !memcmp(channel, "analysis", 8);
    a->hold.len = 0;
}

/* ---- one byte ------------------------------------------------------------------------------------ */

/* A mark is complete. */
static void
act(decai__answer *a, int which, const char *mark, size_t len)
{
    switch (a->state) {
    case OPEN:
        a->state = REASON;
        a->lead = true;
        a->blanks[0].len = 0;
        break;
    case REASON:
        a->state = FIRST;
        a->lead = true;
        a->blanks[1].len = 0;
        break;
    case AFTER:
        a->blanks[0].len = DECAI__MIN(a->blanks[0].len, a->blanks_before);
        if (which == 0) a->call.fenced = false;
        else a->state = TEXT;
        break;
    case HEADER: header_ends(a); break;
    case BODY:
        a->state = TEXT;
        if (which > 2) enter_call(a, mark, len);
        break;
    default:
        if (which > 1) {
            if (a->f->bare) a->state = FIRST;        /* an object may follow */
            break;
        }
        enter_call(a, mark, len);
        if (which == 1 && a->f->form == DECAI__CALL_PARAMETERS) {
            a->hold.len = 0;                         /* this mark is part of the call */
            feed_all(a, mark, len);
        }
    }
}

/* A byte that begins no mark. */
static void
miss(decai__answer *a, char byte)
{
    switch (a->state) {
    case OPEN:
        if (decai__is_blank(byte)) {
            (void)decai__buf_add_byte(&a->blanks[0], (uint8_t)byte);
            break;
        }
        a->lead = a->flags & DECAI_ANSWER_THINKING;
        if (a->lead) a->blanks[0].len = 0;
        a->state = a->lead ? REASON : FIRST;
        feed(a, byte);
        break;
    case REASON: put_text(a, true, &byte, 1); break;
    case AFTER: after(a, byte); break;
    case HEADER:
        (void)decai__buf_add_byte(&a->hold, (uint8_t)byte);
        if (a->hold.len > HEADER_MAX) leave_call(a);
        break;
    case BODY: put_text(a, a->analysis, &byte, 1); break;
    default: put_text(a, false, &byte, 1);
    }
}

/* Of the bytes that may be a mark, those that are decided; all of them if no more come. */
static void
settle(decai__answer *a, bool last)
{
    char mark[DECAI__CALL_MARK_MAX];
    while (a->mark_len) {
        bool more;
        size_t len, rest = a->mark_len;
        int which = match(a, a->mark, rest, &len, &more);
        if (more && !last) return;
        memcpy(mark, a->mark, rest);
        a->mark_len = 0;
        if (which >= 0) act(a, which, mark, len);
        else miss(a, *mark);
        len = which >= 0 ? len : 1;
        if (a->mark_len || a->state == CALL || a->state == FIRST) {
            feed_all(a, mark + len, rest - len);     /* the rest is another state's */
        } else {
            memcpy(a->mark, mark + len, a->mark_len = rest - len);
        }
    }
}

static void
feed(decai__answer *a, char byte)
{
    a->steps++;
    switch (a->state) {
    case CALL: call_byte(a, byte); return;
    case FIRST:
        if (decai__is_blank(byte)) {
            put_text(a, false, &byte, 1);
            return;
        }
        a->state = TEXT;
        if (a->f->bare && (byte == '{' || byte == '[')) {
            enter_call(a, NULL, 0);
            call_byte(a, byte);
            return;
        }
        break;
    default: break;
    }
    a->mark[a->mark_len++] = byte;
    settle(a, false);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

void
decai__answer_init(decai__answer *a, decai_context *ctx, const decai__call_format *f, int32_t flags)
{
    const size_t most = 8 * (size_t)DECAI_ANSWER_TEXT_MAX;
    *a = (decai__answer){ .ctx = ctx, .f = f, .flags = flags, .state = f->think ? OPEN : FIRST };
    decai__buf *all[] = { &a->hold, &a->blanks[0], &a->blanks[1], &a->kept, &a->keys, &a->bytes, &a->events };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) decai__buf_init(all[i], ctx, i == 6 ? 4 * most : most, "answer");
}

void
decai__answer_free(decai__answer *a)
{
    decai__buf *all[] = { &a->hold, &a->blanks[0], &a->blanks[1], &a->kept, &a->keys, &a->bytes, &a->events };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) decai__buf_free(all[i]);
}

static int32_t
error_of(const decai__answer *a)
{
    const decai__buf *all[] = { &a->hold, &a->blanks[0], &a->blanks[1], &a->kept, &a->keys, &a->bytes, &a->events };
    for (size_t i = 0; i < DECAI__COUNT(all); i++)
        if (all[i]->error) return all[i]->error;
    return 0;
}

/* How many bytes begin no mark and are no concern of this state: text to be put at once. */
static size_t
plain(const decai__answer *a, const char *text, size_t len)
{
    const char *list[MARKS_MAX] = { NULL };
    if (a->mark_len || (a->state != TEXT && a->state != REASON && a->state != BODY)) return 0;
    size_t count = marks(a, list);
    for (size_t i = 0; i < count; i++) {
        const char *at = list[i] ? memchr(text, *list[i], len) : NULL;
        if (at) len = (size_t)(at - text);
    }
    return len;
}

int32_t
decai__answer_add(decai__answer *a, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = plain(a, text + i, len - i);
        if (n) put_text(a, a->state == REASON || (a->state == BODY && a->analysis), text + i, n);
        else feed(a, text[i++]);
        i += n;
    }
    return error_of(a);
}

int32_t
decai__answer_end(decai__answer *a)
{
    settle(a, true);
    if (a->state == CALL || a->state == HEADER) {
        leave_call(a);
        settle(a, true);
    }
    return error_of(a);
}

bool
decai__answer_holds(const decai__answer *a)
{
    return a->mark_len || a->state == CALL || a->state == HEADER;
}
