/* serve_responses.c - /v1/responses, as far as it maps to one answer.
 *
 * Input and instructions become messages; the answer is one output item of one text,
 * one item for each call of a tool, or both. Nothing is stored, so what refers to stored responses is refused. A stream is typed
 * events with running numbers. */
#include "serve.h"

#include <string.h>

/* ---- the answer ------------------------------------------------------------------- */

static void
put_part(choice *ch, text *out)
{
    text_printf(out, "{\"type\":\"output_text\",\"text\":");
    text_json(out, ch->answer.data ? ch->answer.data : "", ch->answer.len);
    text_printf(out, ",\"annotations\":[],\"logprobs\":[");
    if (ch->call->top >= 0) marks_json(ch, 0, out);
    text_printf(out, "]}");
}

static void
put_item(choice *ch, text *out)
{
    text_printf(out, "{\"type\":\"message\",\"id\":\"msg_%s\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[", ch->call->id + 5,
        !ch->reason ? "in_progress" : !strcmp(ch->reason, "length") ? "incomplete" : "completed");
    if (ch->reason) put_part(ch, out);
    text_printf(out, "]}");
}

static void
put_call(const choice *ch, size_t i, bool whole, text *out)
{
    const tool_call *t = &ch->tools[i];
    text_printf(out, "{\"type\":\"function_call\",\"id\":\"fc_%s_%zu\",\"call_id\":\"%s\",\"name\":", ch->call->id + 5, i, t->id.data);
    text_json(out, t->name.data, t->name.len);
    text_printf(out, ",\"arguments\":");
    text_json(out, t->arguments.data, whole ? t->arguments.len : 0);
    text_printf(out, ",\"status\":\"%s\"}", !whole ? "in_progress" : t->cut ? "incomplete" : "completed");
}

/* A message, unless there are calls and no words. */
static bool
has_message(const choice *ch)
{
    return ch->answer.len || !ch->tool_count;
}

static void
put_output(choice *ch, text *out)
{
    bool any = false;
    for (size_t i = 0; i <= ch->tool_count; i++) {
        if (i == ch->message_at && has_message(ch)) {
            if (any) text_add(out, ",", 1);
            put_item(ch, out);
            any = true;
        }
        if (i == ch->tool_count) break;
        if (any) text_add(out, ",", 1);
        put_call(ch, i, true, out);
        any = true;
    }
}

/* The whole object, as it stands. */
static void
put_response(call *c, text *out)
{
    choice *ch = &c->choices[0];
    bool cut = ch->reason && !strcmp(ch->reason, "length");
    text_printf(out, "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"error\":null,\"incomplete_details\":%s,\"model\":",
        c->id, (long long)c->created, !ch->reason ? "in_progress" : cut ? "incomplete" : "completed",
        cut ? "{\"reason\":\"max_output_tokens\"}" : "null");
    text_json(out, c->model->name.data, c->model->name.len);
    text_printf(out, ",%s,\"output\":[", c->echo.data);
    if (ch->reason) put_output(ch, out);
    text_printf(out, "],\"usage\":");
    if (ch->reason)
        text_printf(out, "{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":%llu},\"output_tokens\":%llu,"
            "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%llu}", (unsigned long long)c->prompt_tokens,
            (unsigned long long)c->cached_tokens, (unsigned long long)c->output_tokens, (unsigned long long)(c->prompt_tokens + c->output_tokens));
    else text_printf(out, "null");
    if (ch->reason) receipt_json(ch, false, out);
    text_add(out, "}", 1);
}

/* "event: ...", and data up to its own members. */
static text *
event_begin(call *c, const char *type)
{
    text_reserve(&c->event, 0);
    text_printf(&c->event, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%llu", type, type, (unsigned long long)c->sequence++);
    return &c->event;
}

static void
event_end(call *c)
{
    text_add(&c->event, "}\n\n", 3);
    call_write(c, c->event.data, c->event.len);
}

static void
event_response(call *c, const char *type)
{
    text *e = event_begin(c, type);
    text_printf(e, ",\"response\":");
    put_response(c, e);
    event_end(c);
}

/* Members that every event within the one item has. */
static text *
event_item(call *c, const char *type, bool content)
{
    text *e = event_begin(c, type);
    text_printf(e, ",\"output_index\":%zu", c->choices[0].message_at);
    if (content) text_printf(e, ",\"item_id\":\"msg_%s\",\"content_index\":0", c->id + 5);
    return e;
}

static void
open_message(call *c)
{
    text *e = event_item(c, "response.output_item.added", false);
    c->opened = true;
    text_printf(e, ",\"item\":{\"type\":\"message\",\"id\":\"msg_%s\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}", c->id + 5);
    event_end(c);
    e = event_item(c, "response.content_part.added", true);
    text_printf(e, ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}");
    event_end(c);
}

static void
responses_begin(call *c)
{
    event_response(c, "response.created");
    event_response(c, "response.in_progress");
    if (!c->calls) open_message(c);
}

static void
responses_piece(choice *ch, const char *data, size_t len)
{
    if (!ch->call->opened && len) open_message(ch->call);
    if (!ch->call->opened) return;
    text *e = event_item(ch->call, "response.output_text.delta", true);
    text_printf(e, ",\"delta\":");
    text_json(e, data, len);
    text_printf(e, ",\"logprobs\":[");
    if (ch->call->top >= 0) marks_json(ch, ch->marks_shown, e);
    ch->marks_shown = ch->marks.len;
    text_add(e, "]", 1);
    event_end(ch->call);
}

static void
finish_message(choice *ch)
{
    call *c = ch->call;
    if (!c->opened) open_message(c);
    text *e = event_item(c, "response.output_text.done", true);
    text_printf(e, ",\"text\":");
    text_json(e, ch->answer.data ? ch->answer.data : "", ch->answer.len);
    text_printf(e, ",\"logprobs\":[");
    if (c->top >= 0) marks_json(ch, 0, e);
    text_add(e, "]", 1);
    event_end(c);
    e = event_item(c, "response.content_part.done", true);
    text_printf(e, ",\"part\":");
    put_part(ch, e);
    event_end(c);
    e = event_item(c, "response.output_item.done", false);
    text_printf(e, ",\"item\":");
    put_item(ch, e);
    event_end(c);
}

/* Members that every event of a call's item has. */
static text *
event_call(choice *ch, const char *type, size_t i, bool id)
{
    text *e = event_begin(ch->call, type);
    text_printf(e, ",\"output_index\":%zu", i + (has_message(ch) && i >= ch->message_at));
    if (id) text_printf(e, ",\"item_id\":\"fc_%s_%zu\"", ch->call->id + 5, i);
    return e;
}

static void
event_call_item(choice *ch, const char *type, size_t i, bool whole)
{
    text *e = event_call(ch, type, i, false);
    text_printf(e, ",\"item\":");
    put_call(ch, i, whole, e);
    event_end(ch->call);
}

static void
responses_tool(choice *ch, size_t i)
{
    tool_call *t = &ch->tools[i];
    if (!t->opened) event_call_item(ch, "response.output_item.added", i, false);
    t->opened = true;
    if (t->arguments.len > t->shown) {
        text *e = event_call(ch, "response.function_call_arguments.delta", i, true);
        text_printf(e, ",\"delta\":");
        text_json(e, t->arguments.data + t->shown, t->arguments.len - t->shown);
        event_end(ch->call);
        t->shown = t->arguments.len;
    }
    if (!t->ended || t->closed) return;
    t->closed = true;
    text *e = event_call(ch, "response.function_call_arguments.done", i, true);
    text_printf(e, ",\"name\":");
    text_json(e, t->name.data, t->name.len);
    text_printf(e, ",\"arguments\":");
    text_json(e, t->arguments.data, t->arguments.len);
    event_end(ch->call);
    event_call_item(ch, "response.output_item.done", i, true);
}

static void
responses_finish(choice *ch)
{
    if (has_message(ch)) finish_message(ch);
}

static void
responses_end(call *c)
{
    if (c->stream) {
        event_response(c, !strcmp(c->choices[0].reason, "length") ? "response.incomplete" : "response.completed");
    } else {
        text_reserve(&c->event, 0);
        put_response(c, &c->event);
        text_add(&c->event, "\n", 1);
        call_write(c, c->event.data, c->event.len);
    }
    call_end(c, 200, "application/json");
}

static const form responses_form = {OPERATION_CHAT, "resp_", responses_begin, responses_piece, NULL, responses_tool, responses_finish, responses_end};

/* ---- the request ---------------------------------------------------------------------- */

static bool input(params *p, int32_t v) { p->input = v; return true; }
static bool instructions(params *p, int32_t v) { return read_text(p, v, &p->instructions); }
static bool max_output(params *p, int32_t v) { return read_i64(p, v, 1, DECAI_CONTEXT_TOKENS_MAX, &p->max_tokens); }
static bool top_logprobs(params *p, int32_t v) { return read_i64(p, v, 0, SERVE_TOP_MAX, &p->top); }
static bool metadata(params *p, int32_t v) { p->metadata = v; return read_type(p, v, DECAI_JSON_OBJECT, "an object"); }

static bool
store(params *p, int32_t v)
{
    bool given = false;
    return read_bool(p, v, &given) && (!given || refuse_value(p, v, NULL, "nothing is stored here"));
}

static bool
background(params *p, int32_t v)
{
    bool given = false;
    return read_bool(p, v, &given) && (!given || refuse_value(p, v, NULL, "only false is supported"));
}

static bool
truncation(params *p, int32_t v)
{
    return value_is(p, v, "disabled") || refuse_value(p, v, NULL, "only \"disabled\" is supported");
}

static bool
include(params *p, int32_t v)
{
    if (!read_type(p, v, DECAI_JSON_ARRAY, "an array")) return false;
    for (size_t i = 0; i < value_count(p, v); i++) {
        if (!value_is(p, value_at(p, v, i), "message.output_text.logprobs"))
            return refuse_value(p, value_at(p, v, i), NULL, "only \"message.output_text.logprobs\" is supported");
        p->logprobs = true;
    }
    return true;
}

static bool
text_format(params *p, int32_t v)
{
    if (!read_type(p, v, DECAI_JSON_OBJECT, "an object")) return false;
    bool good = !value_get(p, &p->format, v, "format") || read_format(p, p->format, false);
    p->formatted = good && p->format >= 0 && p->grammar;
    return good;
}

/* The members of sample_fields that this route has not. */
static bool
not_here(params *p, int32_t v)
{
    return refuse_value(p, v, NULL, "not a member of this route");
}

static bool
reasoning(params *p, int32_t v)
{
    int32_t effort;
    if (!read_type(p, v, DECAI_JSON_OBJECT, "an object")) return false;
    bool given = value_get(p, &effort, v, "effort");
    for (size_t i = 0; i < value_count(p, v); i++) {
        int32_t at = value_at(p, v, i);
        if (value_type(p, at) != DECAI_JSON_NULL && !(given && at == effort)) return refuse_value(p, at, NULL, "only effort is supported");
    }
    return !given || read_effort(p, effort);
}

static const field responses_fields[] = {
    {"reasoning", reasoning}, {"chat_template_kwargs", read_variables}, {"service_tier", NULL},
    {"input", input}, {"instructions", instructions}, {"max_output_tokens", max_output}, {"top_logprobs", top_logprobs},
    {"metadata", metadata}, {"store", store}, {"background", background}, {"truncation", truncation}, {"include", include},
    {"text", text_format}, {"tools", tools_read}, {"tool_choice", tool_choice_read}, {"parallel_tool_calls", parallel_read},
    {"max_tokens", not_here}, {"n", not_here}, {"stream_options", not_here}, {NULL, NULL},
};

/* What the response repeats of the request. */
static void
echo(call *c, const params *p)
{
    text *e = &c->echo;
    text_printf(e, "\"instructions\":");
    if (p->instructions.data) text_json(e, p->instructions.data, p->instructions.len);
    else text_printf(e, "null");
    text_printf(e, ",\"metadata\":");
    if (p->metadata >= 0) value_source(p, p->metadata, e);
    else text_printf(e, "{}");
    text_printf(e, ",\"max_output_tokens\":");
    if (p->max_tokens) text_printf(e, "%lld", (long long)p->max_tokens);
    else text_printf(e, "null");
    text_printf(e, ",\"temperature\":%.9g,\"top_p\":%.9g,\"parallel_tool_calls\":%s,\"previous_response_id\":null,\"store\":false,"
        "\"truncation\":\"disabled\",\"text\":{\"format\":", p->temperature, p->top_p, p->single < 0 ? "true" : "false");
    if (p->format >= 0) value_source(p, p->format, e);
    else text_printf(e, "{\"type\":\"text\"}");
    text_printf(e, "},\"tools\":");
    if (p->tools >= 0) value_source(p, p->tools, e);
    else text_printf(e, "[]");
    text_printf(e, ",\"tool_choice\":");
    if (p->choice >= 0) value_source(p, p->choice, e);
    else text_printf(e, "\"auto\"");
}

static void
put_plain(text *out, const char *role, const text *content)
{
    text_printf(out, "%s{\"role\":\"%s\",\"content\":", out->len ? "," : "", role);
    text_json(out, content->data, content->len);
    text_add(out, "}", 1);
}

/* A call of before, or what came of it, as a message. */
static bool
put_earlier(params *p, int32_t item, bool result, text *out)
{
    int32_t id, words, name = -1;
    text given = {0};
    const char *member = result ? "output" : "arguments";
    if (!value_get(p, &id, item, "call_id")) return refuse_value(p, item, "call_id", "missing");
    if (!value_get(p, &words, item, member)) return refuse_value(p, item, member, "missing");
    if (!result && !value_get(p, &name, item, "name")) return refuse_value(p, item, "name", "missing");
    if (!read_type(p, id, DECAI_JSON_STRING, "a string") || (name >= 0 && !read_type(p, name, DECAI_JSON_STRING, "a string"))) return false;
    bool good = read_text(p, words, &given);
    text_printf(out, result ? "{\"role\":\"tool\",\"tool_call_id\":" : "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\",\"id\":");
    value_source(p, id, out);
    if (result) {
        text_printf(out, ",\"content\":");
        if (good) text_json(out, given.data, given.len);
        text_add(out, "}", 1);
    } else {
        text_printf(out, ",\"function\":{\"name\":");
        value_source(p, name, out);
        text_printf(out, ",\"arguments\":");
        if (good) chat_arguments(p->call->s, &given, out);
        text_printf(out, "}}]}");
    }
    text_free(&given);
    return good;
}

static bool
put_items(params *p, text *out)
{
    int32_t type;
    if (!read_type(p, p->input, DECAI_JSON_ARRAY, "a string or an array of items")) return false;
    if (!value_count(p, p->input)) return refuse_value(p, p->input, NULL, "empty");
    for (size_t i = 0; i < value_count(p, p->input); i++) {
        int32_t item = value_at(p, p->input, i);
        bool typed = value_get(p, &type, item, "type"), asked = typed && value_is(p, type, "function_call"),
            result = typed && value_is(p, type, "function_call_output");
        if (typed && !asked && !result && !value_is(p, type, "message"))
            return refuse_value(p, type, NULL, "only message, function_call and function_call_output are supported");
        if (out->len) text_add(out, ",", 1);
        if (!(asked || result ? put_earlier(p, item, result, out) : chat_message(p, item, out))) return false;
    }
    return true;
}

static bool
prompt_ids(params *p, text *ids)
{
    text messages = {0}, words = {0};
    bool good = p->input >= 0 || refuse_value(p, -1, "input", "missing");
    bool plain = good && value_type(p, p->input) == DECAI_JSON_STRING;
    if (good && !p->call->model->chat) {
        good = (plain && !p->instructions.data) || refuse_value(p, p->input, NULL, "this model has no chat template and takes one text alone");
        good = good && chat_alone(p, p->input, ids);
    } else if (good) {
        if (p->instructions.data) put_plain(&messages, "system", &p->instructions);
        good = plain ? read_text(p, p->input, &words) : put_items(p, &messages);
        if (good && plain) put_plain(&messages, "user", &words);
        good = good && chat_template(p, &messages, ids);
    }
    text_free(&messages);
    text_free(&words);
    return good;
}

void
responses_read(call *c)
{
    params p;
    c->form = &responses_form;
    bool good = params_open(&p, c);
    p.flat = true;
    if (good && fields_read(&p, responses_fields, sample_fields)) {
        if (tools_check(&p)) {
            if (p.logprobs && p.top < 0) p.top = 0;
            echo(c, &p);
            choices_make(c, 1);
            if (prompt_ids(&p, &c->choices[0].ids) && tools_ready(&p)) call_run(c, &p);
        }
    }
    params_free(&p);
}
