/* toolcall_parse.c - an answer taken apart at once: the events of toolcall_answer.c as JSON.
 *
 *     {"content": "..", "reasoning": "..", "tool_calls": [{"id": .., "type": "function",
 *      "function": {"name": "..", "arguments": "{..}"}}], "complete": true}
 *
 * content is null and reasoning absent where there is none; arguments are JSON as text,
 * as OpenAI has them; id is there where the model wrote one. complete: nothing is held,
 * and no call was cut. A call that was cut has the arguments that came, and "complete":
 * false; of an answer of which more may come it is left out.
 */
#include "tok/toolcall.h"

/* One pass over the events: texts apart, calls as JSON with a comma before each but the first. */
typedef struct parts {
    decai__buf content, reasoning, arguments, calls;
    const char *name;
    size_t name_len;
    bool cut;
} parts;

static void
put_call(parts *p, const char *id, size_t id_len, bool cut)
{
    decai__json_writer w;
    if (p->calls.len) (void)decai__buf_add_byte(&p->calls, ',');
    decai__json_writer_init(&w, &p->calls, false);
    decai__json_put_object(&w, NULL);
    if (id_len) decai__json_put_text(&w, "id", id, id_len);
    decai__json_put_str(&w, "type", "function");
    decai__json_put_object(&w, "function");
    decai__json_put_text(&w, "name", p->name, p->name_len);
    decai__json_put_text(&w, "arguments", (const char *)p->arguments.data, p->arguments.len);
    decai__json_put_end(&w);
    if (cut) decai__json_put_bool(&w, "complete", false);
    decai__json_put_end(&w);
    (void)decai__json_writer_end(&w);
    p->arguments.len = 0;
    p->cut |= cut;
}

static void
take(parts *p, const decai__answer *a)
{
    const decai__event *e = (const decai__event *)(void *)a->events.data, *end = e + a->events.len / sizeof *e;
    const char *at = (const char *)a->bytes.data;
    for (; e < end; at += e++->len) {
        switch (e->kind) {
        case DECAI_ANSWER_CONTENT: (void)decai__buf_add(&p->content, at, e->len); break;
        case DECAI_ANSWER_REASONING: (void)decai__buf_add(&p->reasoning, at, e->len); break;
        case DECAI_ANSWER_CALL: p->name = at; p->name_len = e->len; break;
        case DECAI_ANSWER_ARGUMENTS: (void)decai__buf_add(&p->arguments, at, e->len); break;
        default: put_call(p, at, e->len, e->kind == DECAI_ANSWER_CALL_CUT);
        }
    }
}

static int32_t
put_all(decai__buf *out, const parts *p, bool complete)
{
    decai__json_writer w;
    decai__json_writer_init(&w, out, false);
    decai__json_put_object(&w, NULL);
    if (p->content.len) decai__json_put_text(&w, "content", (const char *)p->content.data, p->content.len);
    else decai__json_put_null(&w, "content");
    if (p->reasoning.len) decai__json_put_text(&w, "reasoning", (const char *)p->reasoning.data, p->reasoning.len);
    decai__json_put_bool(&w, "complete", complete && !p->cut);
    decai__json_put_end(&w);
    int32_t r = decai__json_writer_end(&w);
    if (r) return r;
    out->len--;                                      /* the calls are JSON already: before the last brace */
    (void)decai__buf_add_str(out, ",\"tool_calls\":[");
    if (p->calls.len) (void)decai__buf_add(out, p->calls.data, p->calls.len);
    return decai__buf_add_str(out, "]}");
}

int32_t
decai__answer_parse(decai__buf *out, const decai__call_format *f, const char *text, size_t len, int32_t flags)
{
    decai__answer a;
    parts p = { .cut = false };
    decai__buf *all[] = { &p.content, &p.reasoning, &p.arguments, &p.calls };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) decai__buf_init(all[i], out->ctx, 8 * (size_t)DECAI_ANSWER_TEXT_MAX, "answer");
    decai__answer_init(&a, out->ctx, f, flags);
    int32_t r = decai__answer_add(&a, text, len);
    if (!r && !(flags & DECAI_ANSWER_PARTIAL)) r = decai__answer_end(&a);
    if (!r) take(&p, &a);
    for (size_t i = 0; i < DECAI__COUNT(all) && !r; i++) r = all[i]->error;
    if (!r) r = put_all(out, &p, !(flags & DECAI_ANSWER_PARTIAL) || !decai__answer_holds(&a));
    for (size_t i = 0; i < DECAI__COUNT(all); i++) decai__buf_free(all[i]);
    decai__answer_free(&a);
    return r;
}
