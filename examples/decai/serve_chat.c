/* serve_chat.c - /v1/chat/completions.
 *
 * The messages are rebuilt for the chat template: content that comes in parts becomes
 * one text, a developer's message a system's, the arguments of earlier tool calls the
 * object that they hold. A model without a template takes one message, alone, as
 * `decai chat` gives it. */
#include "serve.h"

#include <string.h>

/* ---- messages -------------------------------------------------------------------- */

/* A content's text: a string, or parts of type "text" behind each other. */
static bool
content_text(params *p, int32_t value, text *out)
{
    int32_t type, part;
    text_reserve(out, out->len);
    if (value_type(p, value) == DECAI_JSON_STRING) return read_text(p, value, out);
    if (!read_type(p, value, DECAI_JSON_ARRAY, "a string or an array of parts")) return false;
    for (size_t i = 0; i < value_count(p, value); i++) {
        int32_t at = value_at(p, value, i);
        if (!value_get(p, &type, at, "type")) return refuse_value(p, at, "type", "missing");
        if (!value_is(p, type, "text") && !value_is(p, type, "input_text") && !value_is(p, type, "output_text"))
            return refuse_value(p, type, NULL, "only parts of type text are supported");
        if (!value_get(p, &part, at, "text")) return refuse_value(p, at, "text", "missing");
        if (!read_text(p, part, out)) return false;
    }
    return true;
}

static bool
put_text(params *p, int32_t value, const char *name, text *out)
{
    text t = {0};
    bool good = content_text(p, value, &t);
    if (good) {
        text_printf(out, ",\"%s\":", name);
        text_json(out, t.data, t.len);
    }
    text_free(&t);
    return good;
}

/* Templates want the object; what is none stays a string. */
void
chat_arguments(server *s, const text *given, text *out)
{
    decai_json *parsed = NULL;
    if (!decai_json_open(&parsed, s->ctx, given->data, given->len)) text_add(out, given->data, given->len);
    else text_json(out, given->data, given->len);
    decai_destroy(parsed);
}

/* One earlier call: {"id","type":"function","function":{"name","arguments"}}. */
static bool
put_tool_call(params *p, int32_t value, text *out)
{
    int32_t id, function, name, arguments;
    text given = {0}, called = {0};
    if (!value_get(p, &function, value, "function")) return refuse_value(p, value, "function", "missing");
    if (!value_get(p, &name, function, "name")) return refuse_value(p, function, "name", "missing");
    if (!value_get(p, &arguments, function, "arguments")) return refuse_value(p, function, "arguments", "missing");
    bool good = read_text(p, name, &called) && read_text(p, arguments, &given);
    if (good) {
        text_printf(out, "{\"type\":\"function\",");
        if (value_get(p, &id, value, "id")) {
            text_printf(out, "\"id\":");
            value_source(p, id, out);
            text_add(out, ",", 1);
        }
        text_printf(out, "\"function\":{\"name\":");
        text_json(out, called.data, called.len);
        text_printf(out, ",\"arguments\":");
        chat_arguments(p->call->s, &given, out);
        text_printf(out, "}}");
    }
    text_free(&given);
    text_free(&called);
    return good;
}

static bool
put_tool_calls(params *p, int32_t value, text *out)
{
    if (!read_type(p, value, DECAI_JSON_ARRAY, "an array")) return false;
    text_printf(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < value_count(p, value); i++) {
        if (i) text_add(out, ",", 1);
        if (!put_tool_call(p, value_at(p, value, i), out)) return false;
    }
    text_add(out, "]", 1);
    return true;
}

static bool
put_role(params *p, int32_t message, text *out)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    int32_t role;
    if (!read_type(p, message, DECAI_JSON_OBJECT, "an object")) return false;
    if (!value_get(p, &role, message, "role")) return refuse_value(p, message, "role", "missing");
    const char *found = value_is(p, role, "developer") ? "system" : NULL;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (value_is(p, role, roles[i])) found = roles[i];
    if (!found) return refuse_value(p, role, NULL, "must be system, developer, user, assistant or tool");
    text_printf(out, "{\"role\":\"%s\"", found);
    return true;
}

bool
chat_message(params *p, int32_t message, text *out)
{
    int32_t content, calls, other;
    if (!put_role(p, message, out)) return false;
    bool has_calls = value_get(p, &calls, message, "tool_calls");
    if (value_get(p, &content, message, "content")) {
        if (!put_text(p, content, "content", out)) return false;
    } else if (has_calls) {
        text_printf(out, ",\"content\":\"\"");
    } else {
        return refuse_value(p, message, "content", "missing");
    }
    if (has_calls && !put_tool_calls(p, calls, out)) return false;
    if (value_get(p, &other, message, "name") && !put_text(p, other, "name", out)) return false;
    if (value_get(p, &other, message, "tool_call_id") && !put_text(p, other, "tool_call_id", out)) return false;
    text_add(out, "}", 1);
    return true;
}

bool
chat_messages(params *p, int32_t value, text *out)
{
    if (value < 0) return refuse_value(p, -1, "messages", "missing");
    if (!read_type(p, value, DECAI_JSON_ARRAY, "an array of messages")) return false;
    if (!value_count(p, value)) return refuse_value(p, value, NULL, "empty");
    for (size_t i = 0; i < value_count(p, value); i++) {
        if (out->len) text_add(out, ",", 1);
        if (!chat_message(p, value_at(p, value, i), out)) return false;
    }
    return true;
}

/* ---- the prompt ------------------------------------------------------------------------ */

/* The one message of a model without a template: begin token, text, separator. */
bool
chat_alone(params *p, int32_t value, text *ids)
{
    const served *m = p->call->model;
    text words = {0};
    bool good = content_text(p, value, &words) && ids_add(p, value, ids, words.data, words.len, DECAI_ENCODE_ADD);
    if (good && m->separator >= 0) text_add(ids, (const char *)&m->separator, sizeof m->separator);
    text_free(&words);
    return good;
}

/* A rendering in which users' words look like control tokens: they stay words. */
static bool
ids_plain(params *p, text *ids, const char *data, size_t len, const char *sign)
{
    int32_t r = guard_encode(p->call->model->guard, ids, data, len, sign);
    if (r) call_fail(p->call, r, "messages");
    return !r;
}

/* Messages as JSON objects with commas between them, through the template. */
bool
chat_template(params *p, const text *messages, text *ids)
{
    const served *m = p->call->model;
    text json = {0}, rendered = {0};
    text_printf(&json, "{\"messages\":[%s],\"tools\":", messages->data);
    if (p->tools >= 0) tools_source(p, &json);
    else text_printf(&json, "null");
    text_printf(&json, ",\"documents\":null,\"add_generation_prompt\":true%s}", p->variables.data ? p->variables.data : "");
    const char *sign;
    int32_t marked = guard_mark(m->guard, p->call->s->ctx, &json, &sign);
    size_t len = 0, cap = json.len + 4096;           /* most templates add little: one rendering */
    int32_t r = marked ? marked : DECAI_E_SPACE;
    for (int tries = 0; r == DECAI_E_SPACE && tries < 2; tries++, cap = len) {
        text_reserve(&rendered, cap);
        r = decai_template_format(m->chat, (uint8_t *)rendered.data, cap, &len, json.data, json.len);
    }
    if (marked == DECAI_E_LIMIT) refuse_value(p, p->input, NULL, "spells control tokens, and every character that could part them");
    else if (r) call_fail(p->call, r, "messages");
    p->call->thinks = !r && tools_thinks(rendered.data, len);
    bool good = !r && (sign ? ids_plain(p, ids, rendered.data, len, sign) : ids_add(p, p->input, ids, rendered.data, len, DECAI_ENCODE_SPECIAL));
    text_free(&json);
    text_free(&rendered);
    return good;
}

static bool
prompt_ids(params *p, text *ids)
{
    text messages = {0};
    int32_t content;
    bool good = chat_messages(p, p->input, &messages);
    if (good && p->call->model->chat) {
        good = chat_template(p, &messages, ids);
    } else if (good) {
        good = value_count(p, p->input) == 1 || refuse_value(p, p->input, NULL,
            "this model has no chat template and takes one message alone (decai serve --template gives it one)");
        good = good && (value_get(p, &content, value_at(p, p->input, 0), "content") || refuse_value(p, p->input, NULL, "no content"));
        good = good && chat_alone(p, content, ids);
    }
    text_free(&messages);
    return good;
}

/* ---- the answer --------------------------------------------------------------------------- */

/* Elements of logprobs.content: the marks from `from` on. */
void
marks_json(choice *ch, size_t from, text *out)
{
    const served *of = ch->call->model;
    const mark *m = (const mark *)(void *)(ch->marks.data + from), *end = (const mark *)(void *)(ch->marks.data + ch->marks.len);
    for (bool first = true; m < end; first = false) {
        const mark *head = m++;
        text_printf(out, "%s{\"token\":", first ? "" : ",");
        token_json(of, out, head->token);
        text_printf(out, ",\"logprob\":%.9g,\"bytes\":", (double)head->logprob);
        token_bytes_json(of, out, head->token);
        text_printf(out, ",\"top_logprobs\":[");
        for (uint32_t i = 0; i < head->count; i++, m++) {
            text_printf(out, "%s{\"token\":", i ? "," : "");
            token_json(of, out, m->token);
            text_printf(out, ",\"logprob\":%.9g,\"bytes\":", (double)m->logprob);
            token_bytes_json(of, out, m->token);
            text_add(out, "}", 1);
        }
        text_printf(out, "]}");
    }
}

static void
put_logprobs(choice *ch, size_t from, text *out)
{
    text_printf(out, ",\"logprobs\":");
    if (ch->call->top < 0) {
        text_printf(out, "null");
        return;
    }
    text_printf(out, "{\"content\":[");
    marks_json(ch, from, out);
    text_printf(out, "],\"refusal\":null}");
}

/* What every object of this answer begins with. */
static void
begin_head(call *c, const char *object)
{
    text_reserve(&c->head, 0);
    text_printf(&c->head, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", c->id, object, (long long)c->created);
    text_json(&c->head, c->model->name.data, c->model->name.len);
    text_printf(&c->head, ",\"system_fingerprint\":\"%s\",\"choices\":[", c->model->fingerprint.data);
}

static text *
event_begin(call *c)
{
    text_reserve(&c->event, 0);
    text_add(&c->event, "data: ", 6);
    text_add(&c->event, c->head.data, c->head.len);
    return &c->event;
}

static void
event_end(call *c, const char *tail)
{
    text_add(&c->event, tail, strlen(tail));
    call_write(c, c->event.data, c->event.len);
}

static void
delta(choice *ch, const char *role, const char *data, size_t len, const char *reason)
{
    call *c = ch->call;
    text *e = event_begin(c);
    text_printf(e, "{\"index\":%zu,\"delta\":{", ch->index);
    if (role) text_printf(e, "\"role\":\"%s\",", role);
    if (data) {
        text_add(e, "\"content\":", 10);
        text_json(e, data, len);
    }
    text_add(e, "}", 1);
    if (c->top >= 0) put_logprobs(ch, ch->marks_shown, e);
    ch->marks_shown = ch->marks.len;
    if (reason) text_printf(e, ",\"finish_reason\":\"%s\"", reason);
    else text_add(e, ",\"finish_reason\":null", 21);
    if (reason) receipt_json(ch, true, e);
    text_add(e, "}", 1);
    event_end(c, c->usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void
chat_begin(call *c)
{
    begin_head(c, "chat.completion.chunk");
    for (size_t i = 0; i < c->count; i++) delta(&c->choices[i], "assistant", "", 0, NULL);
}

static void
chat_piece(choice *ch, const char *data, size_t len)
{
    delta(ch, NULL, data, len, NULL);
}

static text *
delta_begin(choice *ch)
{
    text *e = event_begin(ch->call);
    text_printf(e, "{\"index\":%zu,\"delta\":{", ch->index);
    return e;
}

static void
delta_end(choice *ch, const char *tail)
{
    text_printf(&ch->call->event, "%s},\"finish_reason\":null}", tail);
    event_end(ch->call, ch->call->usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void
chat_reasoning(choice *ch, const char *data, size_t len)
{
    text *e = delta_begin(ch);
    text_printf(e, "\"reasoning_content\":");
    text_json(e, data, len);
    delta_end(ch, "");
}

/* A call begins with its name and no arguments; they follow as they come. */
static void
chat_tool(choice *ch, size_t i)
{
    tool_call *t = &ch->tools[i];
    if (!t->opened) {
        text *e = delta_begin(ch);
        text_printf(e, "\"tool_calls\":[{\"index\":%zu,\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", i, t->id.data);
        text_json(e, t->name.data, t->name.len);
        delta_end(ch, ",\"arguments\":\"\"}}]");
        t->opened = true;
    }
    if (t->arguments.len > t->shown) {
        text *e = delta_begin(ch);
        text_printf(e, "\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":", i);
        text_json(e, t->arguments.data + t->shown, t->arguments.len - t->shown);
        delta_end(ch, "}}]");
        t->shown = t->arguments.len;
    }
}

static void
chat_finish(choice *ch)
{
    delta(ch, NULL, NULL, 0, ch->reason);
}

void
usage_json(const call *c, text *out)
{
    text_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,\"prompt_tokens_details\":{\"cached_tokens\":%llu}}",
        (unsigned long long)c->prompt_tokens, (unsigned long long)c->output_tokens,
        (unsigned long long)(c->prompt_tokens + c->output_tokens), (unsigned long long)c->cached_tokens);
}

void
receipt_json(const choice *ch, bool among, text *out)
{
    if (!ch->call->receipt || among != (ch->call->count > 1)) return;
    text_printf(out, ",\"decai_receipt\":{\"id\":\"%s\",\"receipt\":\"", ch->receipt_id.data);
    base64_add(out, ch->receipt.data, ch->receipt.len);
    text_printf(out, "\",\"opening\":\"");
    base64_add(out, ch->opening.data, ch->opening.len);
    text_printf(out, "\"}");
}

static void
stream_end(call *c)
{
    if ((c->receipt && c->count == 1) || c->usage) {
        text *e = event_begin(c);
        text_printf(e, "]");
        if (c->usage) {
            text_printf(e, ",\"usage\":");
            usage_json(c, e);
        }
        receipt_json(c->choices, false, e);
        event_end(c, "}\n\n");
    }
    call_write(c, "data: [DONE]\n\n", 14);
    call_end(c, 200, "text/event-stream");
}

static void
put_message_of(choice *ch, text *e)
{
    text_printf(e, "{\"role\":\"assistant\",\"content\":");
    if (ch->tool_count && !ch->answer.len) text_printf(e, "null");
    else text_json(e, ch->answer.data ? ch->answer.data : "", ch->answer.len);
    text_printf(e, ",\"refusal\":null");
    if (ch->reasoning.len) {
        text_printf(e, ",\"reasoning_content\":");
        text_json(e, ch->reasoning.data, ch->reasoning.len);
    }
    if (ch->tool_count) {
        text_printf(e, ",\"tool_calls\":[");
        tools_json(ch, e);
        text_printf(e, "]");
    }
    text_printf(e, "}");
}

static void
chat_end(call *c)
{
    if (c->stream) {
        stream_end(c);
        return;
    }
    text *e = &c->event;
    begin_head(c, "chat.completion");
    text_reserve(e, 0);
    text_add(e, c->head.data, c->head.len);
    for (size_t i = 0; i < c->count; i++) {
        choice *ch = &c->choices[i];
        text_printf(e, "%s{\"index\":%zu,\"message\":", i ? "," : "", i);
        put_message_of(ch, e);
        put_logprobs(ch, 0, e);
        text_printf(e, ",\"finish_reason\":\"%s\"", ch->reason);
        receipt_json(ch, true, e);
        text_add(e, "}", 1);
    }
    text_printf(e, "],\"usage\":");
    usage_json(c, e);
    receipt_json(c->choices, false, e);
    text_printf(e, "}\n");
    call_write(c, e->data, e->len);
    call_end(c, 200, "application/json");
}

static const form chat_form = {OPERATION_CHAT, "chatcmpl-", chat_begin, chat_piece, chat_reasoning, chat_tool, chat_finish, chat_end};

/* ---- the request ------------------------------------------------------------------------------ */

static bool
messages(params *p, int32_t v)
{
    p->input = v;
    return true;
}

static bool
completion_tokens(params *p, int32_t v)
{
    return read_i64(p, v, 1, DECAI_CONTEXT_TOKENS_MAX, &p->max_tokens);
}

static bool
logprobs(params *p, int32_t v)
{
    return read_bool(p, v, &p->logprobs);
}

static bool
top_logprobs(params *p, int32_t v)
{
    return read_i64(p, v, 0, SERVE_TOP_MAX, &p->top);
}

static bool
response_format(params *p, int32_t v)
{
    bool good = read_format(p, v, true);
    p->formatted = good && p->grammar;
    return good;
}

static bool
no_store(params *p, int32_t v)
{
    bool given = false;
    return read_bool(p, v, &given) && (!given || refuse_value(p, v, NULL, "nothing is stored here"));
}

static const field chat_fields[] = {
    {"messages", messages}, {"max_completion_tokens", completion_tokens}, {"logprobs", logprobs},
    {"top_logprobs", top_logprobs}, {"response_format", response_format}, {"tools", tools_read}, {"tool_choice", tool_choice_read},
    {"chat_template_kwargs", read_variables}, {"reasoning_effort", read_effort}, {"service_tier", NULL},
    {"parallel_tool_calls", parallel_read}, {"store", no_store}, {"metadata", NULL}, {NULL, NULL},
};

void
chat_read(call *c)
{
    params p;
    c->form = &chat_form;
    if (params_open(&p, c) && fields_read(&p, chat_fields, sample_fields)) {
        if (p.top >= 0 && !p.logprobs) refuse_value(&p, -1, "top_logprobs", "only with logprobs true");
        else if (tools_check(&p)) {
            if (p.logprobs && p.top < 0) p.top = 0;
            choices_make(c, (size_t)p.n);
            bool good = prompt_ids(&p, &c->choices[0].ids) && tools_ready(&p);
            for (size_t i = 1; good && i < c->count; i++) text_add(&c->choices[i].ids, c->choices[0].ids.data, c->choices[0].ids.len);
            if (good) call_run(c, &p);
        }
    }
    params_free(&p);
}
