/* serve_tools.c - tools of /v1/chat/completions and /v1/responses.
 *
 * The tools go into the chat template as /v1/chat/completions has them (on the other
 * route a function's members stand beside its type, here "flat"); how the model then writes a call is
 * what its template teaches, and the library takes the answer apart accordingly. A call
 * that must come (tool_choice required, or by name) is a grammar instead: the answer is
 * {"name": .., "arguments": ..} by the schemas of the tools, whatever the template says.
 * Where none must come, strict and parallel_tool_calls false are a grammar too: any text,
 * and behind the template's mark a call; refused for formats of which none can speak. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

/* ---- the request --------------------------------------------------------------------- */

static bool
only_members(params *p, int32_t object, const char *const *known)
{
    int32_t found;
    for (size_t i = 0; i < value_count(p, object); i++) {
        int32_t at = value_at(p, object, i);
        bool fine = false;
        for (size_t k = 0; known[k]; k++) fine |= decai_json_get(p->json, &found, object, known[k]) == 1 && found == at;
        if (!fine) return refuse_value(p, at, NULL, "not known here");
    }
    return true;
}

static bool
read_function(params *p, int32_t function)
{
    static const char *const flat[] = {"type", "name", "description", "parameters", "strict", NULL}, *const *inner = flat + 1;
    int32_t v;
    text name = {0};
    bool strict = false;
    if (!read_type(p, function, DECAI_JSON_OBJECT, "an object") || !only_members(p, function, p->flat ? flat : inner)) return false;
    if (!value_get(p, &v, function, "name")) return refuse_value(p, function, "name", "missing");
    bool good = read_text(p, v, &name) && (name.len || refuse_value(p, v, NULL, "empty"));
    text_free(&name);
    if (good && value_get(p, &v, function, "parameters")) good = read_type(p, v, DECAI_JSON_OBJECT, "a JSON Schema");
    if (good && value_get(p, &v, function, "strict")) good = read_bool(p, v, &strict);
    if (strict) p->strict = v;
    return good;
}

static bool
read_tool(params *p, int32_t tool)
{
    static const char *const outer[] = {"type", "function", NULL};
    int32_t type, function = tool;
    if (!read_type(p, tool, DECAI_JSON_OBJECT, "an object")) return false;
    if (!value_get(p, &type, tool, "type")) return refuse_value(p, tool, "type", "missing");
    if (!value_is(p, type, "function")) return refuse_value(p, type, NULL, "only \"function\" is supported");
    if (!p->flat && !only_members(p, tool, outer)) return false;
    if (!p->flat && !value_get(p, &function, tool, "function")) return refuse_value(p, tool, "function", "missing");
    return read_function(p, function);
}

bool
tools_read(params *p, int32_t v)
{
    if (!read_type(p, v, DECAI_JSON_ARRAY, "an array of tools")) return false;
    if (!value_count(p, v)) return true;
    for (size_t i = 0; i < value_count(p, v); i++)
        if (!read_tool(p, value_at(p, v, i))) return false;
    p->tools = v;
    return true;
}

bool
tool_choice_read(params *p, int32_t v)
{
    static const char *const outer[] = {"type", "function", NULL}, *const inner[] = {"name", NULL}, *const flat[] = {"type", "name", NULL};
    int32_t function = v, name;
    p->choice = v;
    p->no_tools = value_is(p, v, "none");
    p->forced = value_is(p, v, "required");
    if (p->no_tools || p->forced || value_is(p, v, "auto")) return true;
    if (value_type(p, v) != DECAI_JSON_OBJECT) return refuse_value(p, v, NULL, "must be \"none\", \"auto\", \"required\" or a function");
    if (!only_members(p, v, p->flat ? flat : outer)) return false;
    if (!p->flat && !value_get(p, &function, v, "function")) return refuse_value(p, v, "function", "missing");
    if (!p->flat && !only_members(p, function, inner)) return false;
    if (!value_get(p, &name, function, "name")) return refuse_value(p, function, "name", "missing");
    p->forced = true;
    return read_text(p, name, &p->wanted);
}

bool
parallel_read(params *p, int32_t v)
{
    bool given = true;
    if (!read_bool(p, v, &given)) return false;
    if (!given) p->single = v;
    return true;
}

/* One call of a tool as a schema. */
static void
put_schema(params *p, int32_t function, const text *name, text *out)
{
    int32_t parameters;
    text_printf(out, "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":");
    text_json(out, name->data, name->len);
    text_printf(out, "},\"arguments\":");
    if (value_get(p, &parameters, function, "parameters")) value_source(p, parameters, out);
    else text_printf(out, "{\"type\":\"object\",\"additionalProperties\":false}");
    text_printf(out, "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}");
}

static void
put_tools(const params *p, bool strict, text *out)
{
    static const char *const members[] = {"name", "description", "parameters", "strict"};
    int32_t v;
    if (!p->flat) {
        value_source(p, p->tools, out);
        return;
    }
    for (size_t i = 0; i < value_count(p, p->tools); i++) {
        text_printf(out, "%s{\"type\":\"function\",\"function\":{", i ? "," : "[");
        for (size_t k = 0; k < 3 + (size_t)strict; k++) {
            if (!value_get(p, &v, value_at(p, p->tools, i), members[k])) continue;
            text_printf(out, "%s\"%s\":", k ? "," : "", members[k]);
            value_source(p, v, out);
        }
        text_printf(out, "}}");
    }
    text_add(out, "]", 1);
}

/* The tools for the template. */
void
tools_source(const params *p, text *out)
{
    put_tools(p, false, out);
}

/* The grammar of calls that must come. */
static bool
force(params *p)
{
    text schema = {0};
    size_t found = 0;
    if (p->grammar) return refuse_value(p, p->choice, NULL, "beside a response_format or a grammar");
    text_printf(&schema, "{\"anyOf\":[");
    for (size_t i = 0; i < value_count(p, p->tools); i++) {
        int32_t function = value_at(p, p->tools, i), named = -1;
        text name = {0};
        if (!p->flat && !value_get(p, &function, function, "function")) continue;
        if (!value_get(p, &named, function, "name")) continue;
        (void)read_text(p, named, &name);
        if (!p->wanted.len || !strcmp(p->wanted.data, name.data)) {
            if (found++) text_add(&schema, ",", 1);
            put_schema(p, function, &name, &schema);
        }
        text_free(&name);
    }
    text_printf(&schema, "]}");
    bool good = found || refuse_value(p, p->choice, NULL, "\"%s\" is none of the tools", p->wanted.data);
    good = good && read_grammar(p, p->tools, "json_schema", schema.data, schema.len);
    text_free(&schema);
    return good;
}

/* The grammar of answers in which calls may come, but no wrong ones, or no second. */
static bool
may_call(params *p)
{
    int32_t named = p->strict >= 0 ? p->strict : p->single;
    text source = {0};
    text_printf(&source, "{\"format\":\"%s\",\"whole\":true,\"thinking\":%s,\"parallel_tool_calls\":%s,\"tools\":", p->call->model->call_form.data,
        p->call->thinks ? "true" : "false", p->single < 0 ? "true" : "false");
    text_add(&source, p->call->tools.data, p->call->tools.len);
    text_add(&source, "}", 1);
    bool good = read_grammar(p, named, "tools", source.data, source.len);
    text_free(&source);
    return good;
}

bool
tools_check(params *p)
{
    if (p->no_tools) p->tools = -1;
    if (p->tools < 0) return !p->forced || refuse_value(p, p->choice, NULL, "without tools");
    put_tools(p, true, &p->call->tools);
    if (p->forced) return force(p);
    if (!p->call->model->call_form.len)
        return refuse_value(p, p->tools, NULL,
            "this model's chat template teaches no form of tool calls that is known here; tool_choice \"required\" needs none");
    return (p->strict < 0 && p->single < 0) || !p->grammar || refuse_value(p, p->strict >= 0 ? p->strict : p->single, NULL,
        "beside a response_format or a grammar");
}

/* Templates of models that reason may begin the reasoning themselves. */
bool
tools_thinks(const char *prompt, size_t len)
{
    static const char *const marks[] = {"<think>", "[THINK]", "<seed:think>", "<|START_THINKING|>", "<|inner_prefix|>", "<|channel>thought"};
    while (len && strchr(" \n\r\t", prompt[len - 1])) len--;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t n = strlen(marks[i]);
        if (len >= n && !memcmp(prompt + len - n, marks[i], n)) return true;
    }
    return false;
}

bool
tools_ready(params *p)
{
    /* What a grammar makes JSON from its first byte on has no reasoning. */
    if (p->tools < 0 || p->forced || p->formatted) p->call->thinks = false;
    return p->tools < 0 || p->forced || (p->strict < 0 && p->single < 0) || may_call(p);
}

/* ---- the answer, on the engine's thread ----------------------------------------------------- */

static int32_t
begin(choice *ch)
{
    const call *c = ch->call;
    /* What a grammar forced is a bare object, which is what Llama 3 writes. */
    return decai_answer_create(&ch->parts, c->s->ctx, c->forced ? "llama3" : c->model->call_form.data, c->tools.data, c->tools.len,
        c->thinks ? DECAI_ANSWER_THINKING : 0);
}

static tool_call *
tool_begin(choice *ch, const char *name, size_t len)
{
    tool_call *more = realloc(ch->tools, (ch->tool_count + 1) * sizeof *more);
    if (!more) die(EXIT_FAILED, "out of memory");
    ch->tools = more;
    tool_call *t = &more[ch->tool_count];
    *t = (tool_call){.shown = 0};
    text_printf(&t->id, "call_%s_%zu_%zu", ch->call->id + strlen(ch->call->form->prefix), ch->index, ch->tool_count++);
    text_add(&t->name, name, len);
    text_add(&t->arguments, "", 0);
    return t;
}

static void
take(choice *ch, int32_t kind, int32_t i, const char *data, size_t len)
{
    switch (kind) {
    case DECAI_ANSWER_CONTENT:
        if (!ch->answer.len) ch->message_at = ch->tool_count;
        text_add(&ch->answer, data, len);
        break;
    case DECAI_ANSWER_REASONING: text_add(&ch->reasoning, data, len); break;
    case DECAI_ANSWER_CALL: tool_begin(ch, data, len); break;
    case DECAI_ANSWER_ARGUMENTS: text_add(&ch->tools[i].arguments, data, len); break;
    default:
        ch->tools[i].ended = true;
        ch->tools[i].cut = kind == DECAI_ANSWER_CALL_CUT;
    }
}

int32_t
tools_take(choice *ch, const char *data, size_t len, bool last)
{
    int32_t r = ch->parts ? 0 : begin(ch), kind = DECAI_ANSWER_CONTENT, i;
    if (!r) r = decai_answer_add(ch->parts, data, len, last ? DECAI_ANSWER_LAST : 0);
    while (!r && kind != DECAI_ANSWER_NONE) {
        r = decai_answer_next(ch->parts, (uint8_t *)ch->part.data, ch->part.cap, &len, &kind, &i);
        if (r == DECAI_E_SPACE) {                    /* the event waits */
            text_reserve(&ch->part, len);
            r = 0;
        } else if (!r && kind != DECAI_ANSWER_NONE) {
            take(ch, kind, i, ch->part.data, len);
        }
    }
    return r;
}

/* Calls before the first word, words, the other calls: the order in which they came. */
void
tools_show(choice *ch)
{
    const form *f = ch->call->form;
    size_t i = 0;
    if (f->reasoning && ch->reasoning.len > ch->reasoning_shown)
        f->reasoning(ch, ch->reasoning.data + ch->reasoning_shown, ch->reasoning.len - ch->reasoning_shown);
    ch->reasoning_shown = ch->reasoning.len;
    if (ch->answer.len)
        while (i < ch->message_at) f->tool(ch, i++);
    if (ch->answer.len > ch->answer_shown || ch->marks.len > ch->marks_shown)
        f->piece(ch, ch->answer.data ? ch->answer.data + ch->answer_shown : "", ch->answer.len - ch->answer_shown);
    ch->answer_shown = ch->answer.len;
    while (i < ch->tool_count) f->tool(ch, i++);
}

void
tools_json(const choice *ch, text *out)
{
    for (size_t i = 0; i < ch->tool_count; i++) {
        const tool_call *t = &ch->tools[i];
        text_printf(out, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", i ? "," : "", t->id.data);
        text_json(out, t->name.data, t->name.len);
        text_printf(out, ",\"arguments\":");
        text_json(out, t->arguments.data, t->arguments.len);
        text_printf(out, "}}");
    }
}

void
tools_free(choice *ch)
{
    decai_destroy(ch->parts);
    for (size_t i = 0; i < ch->tool_count; i++) {
        text_free(&ch->tools[i].id);
        text_free(&ch->tools[i].name);
        text_free(&ch->tools[i].arguments);
    }
    free(ch->tools);
}
