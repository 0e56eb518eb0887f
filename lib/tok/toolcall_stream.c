/* toolcall_stream.c - the handle of an answer that comes: pieces in, events out.
 *
 * A piece may end within a character; its bytes wait, at most three, so that no event
 * ends there. Events are taken in order; when all are, their memory is used again.
 */
#include <string.h>

#include "tok/toolcall.h"

struct decai_answer {
    decai__handle h;
    decai__answer a;
    decai__json *tools;
    char tail[4];                    /* a character that has begun */
    size_t tail_len, len;            /* bytes of all pieces */
    size_t event, byte;              /* taken */
    bool last;
    int32_t error;
};

static void
answer_destroy(void *self)
{
    decai_answer *s = self;
    decai__answer_free(&s->a);
    decai__json_free(s->tools);
}

int32_t
decai__answer_create(decai_answer **out, decai_context *ctx, const decai__call_format *f, const char *tools, size_t tools_len, int32_t flags)
{
    decai_answer *s = decai__handle_create(ctx, DECAI__ANSWER, sizeof *s, answer_destroy);
    if (!s) return decai__fail(DECAI_E_NOMEM, "answer: %zu bytes", sizeof *s);
    decai__answer_init(&s->a, ctx, f, flags);
    int32_t r = tools ? decai__json_parse(ctx, &s->tools, tools, tools_len) : 0;
    if (!r && tools && decai__json_type(decai__json_root(s->tools)) != DECAI__JSON_ARRAY) r = decai__fail(DECAI_E_CORRUPT, "tools: not an array");
    s->a.tools = s->tools;
    if (r) decai__destroy(s);
    else *out = s;
    return r;
}

/* Bytes of a character that begins so; 0: none does. */
static size_t
need(uint8_t first)
{
    return first < 0xc2 || first > 0xf4 ? 0 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/* Whole characters go on; what begins one waits. */
static int32_t
take(decai_answer *s, const char *text, size_t len)
{
    int32_t r = 0;
    for (; s->tail_len && len && !r; text++, len--) {
        s->tail[s->tail_len++] = *text;
        if (decai__utf8_valid(s->tail, s->tail_len) == s->tail_len) r = decai__answer_add(&s->a, s->tail, s->tail_len), s->tail_len = 0;
        else if (s->tail_len >= need((uint8_t)*s->tail)) r = decai__fail(DECAI_E_INVALID, "text: not UTF-8");
    }
    size_t whole = decai__utf8_valid(text, len);
    if (!r) r = decai__answer_add(&s->a, text, whole);
    if (!r && len > whole && len - whole >= need((uint8_t)text[whole])) r = decai__fail(DECAI_E_INVALID, "text: not UTF-8");
    if (r || len == whole) return r;
    memcpy(s->tail, text + whole, s->tail_len = len - whole);
    return 0;
}

int32_t
decai__answer_piece(decai_answer *s, const char *text, size_t len, bool last)
{
    if (s->error) return decai__fail(s->error, "answer: it failed before");
    if (s->last) return decai__fail(DECAI_E_STATE, "answer: its last piece was added");
    if (len > DECAI_ANSWER_TEXT_MAX - s->len) s->error = decai__fail(DECAI_E_LIMIT, "text: more than %d bytes", DECAI_ANSWER_TEXT_MAX);
    if (!s->error) s->error = take(s, text, len);
    if (!s->error && last && s->tail_len) s->error = decai__fail(DECAI_E_INVALID, "text: not UTF-8");
    if (!s->error && last) s->error = decai__answer_end(&s->a);
    s->len += len;
    s->last = last;
    return s->error;
}

int32_t
decai__answer_next(decai_answer *s, uint8_t *out, size_t cap, size_t *len, int32_t *kind, int32_t *call)
{
    decai__buf *events = &s->a.events, *bytes = &s->a.bytes;
    *kind = DECAI_ANSWER_NONE;
    *call = 0;
    if (s->event * sizeof(decai__event) == events->len) return 0;
    const decai__event *e = (const decai__event *)(void *)events->data + s->event;
    int32_t r = decai__bytes_out(out, cap, len, e->len ? bytes->data + s->byte : NULL, e->len);
    if (r) return r;
    *kind = e->kind;
    *call = (int32_t)e->call;
    s->byte += e->len;
    if (++s->event * sizeof *e < events->len) return 0;
    s->event = s->byte = events->len = bytes->len = 0;
    return 0;
}
