/* serve_tools.c - tools of /v1/chat/completions and /v1/responses.
 *
 * The tools go into the chat template as /v1/chat/completions has them (on the other
 * route a function's members stand beside its type, here "flat"); how the model then writes a call is
 * what its template teaches, and the library takes the answer apart accordingly. A call
 * that must come (tool_choice required, or by name) is a grammar instead: the answer is
 * {"name": .., "arguments": ..} by the schemas of the tools, whatever the template says.
 * Without it nothing forces arguments to their schema, so strict is refused then. */
#include "serve.h"

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
    return read_bool(p, v, &given) && (given || refuse_value(p, v, NULL, "only true is supported"));
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

/* The tools for the template. */
void
tools_source(const params *p, text *out)
{
    static const char *const members[] = {"name", "description", "parameters"};
    int32_t v;
    if (!p->flat) {
        value_source(p, p->tools, out);
        return;
    }
    for (size_t i = 0; i < value_count(p, p->tools); i++) {
        text_printf(out, "%s{\"type\":\"function\",\"function\":{", i ? "," : "[");
        for (size_t k = 0; k < 3; k++) {
            if (!value_get(p, &v, value_at(p, p->tools, i), members[k])) continue;
            text_printf(out, "%s\"%s\":", k ? "," : "", members[k]);
            value_source(p, v, out);
        }
        text_printf(out, "}}");
    }
    text_add(out, "]", 1);
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

bool
tools_check(params *p)
{
    if (p->no_tools) p->tools = -1;
    if (p->tools < 0) return !p->forced || refuse_value(p, p->choice, NULL, "without tools");
    if (p->forced) return force(p);
    if (p->strict >= 0) return refuse_value(p, p->strict, NULL, "only with a tool_choice that makes a call come");
    return p->call->model->call_form.len || refuse_value(p, p->tools, NULL,
        "this model's chat template teaches no form of tool calls that is known here; tool_choice \"required\" needs none");
}

/* ---- the answer, on the engine's thread ----------------------------------------------------- */

static int32_t
parse(choice *ch, int32_t flags, text *out)
{
    server *s = ch->call->s;
    /* What a grammar forced is a bare object, which is what Llama 3 writes. */
    const char *written = ch->call->forced ? "llama3" : ch->call->model->call_form.data;
    size_t len = 0, cap = 2 * ch->raw.len + 1024;
    int32_t r = DECAI_E_SPACE;
    for (int tries = 0; r == DECAI_E_SPACE && tries < 2; tries++, cap = len) {
        text_reserve(out, cap);
        r = decai_answer_parse(s->ctx, (uint8_t *)out->data, cap, &len, written, ch->raw.data ? ch->raw.data : "", ch->raw.len, flags);
    }
    out->len = r ? 0 : len;
    return r;
}

/* A line a call: its id, and name and arguments as JSON strings, which hold no tab. */
static void
take_calls(choice *ch, params *p, int32_t calls)
{
    int32_t function, name, arguments;
    for (size_t i = 0; i < value_count(p, calls); i++) {
        if (!value_get(p, &function, value_at(p, calls, i), "function") || !value_get(p, &name, function, "name") ||
            !value_get(p, &arguments, function, "arguments")) continue;
        text_printf(&ch->tool_calls, "call_%s_%zu_%zu\t", ch->call->id + strlen(ch->call->form->prefix), ch->index, i);
        value_source(p, name, &ch->tool_calls);
        text_add(&ch->tool_calls, "\t", 1);
        value_source(p, arguments, &ch->tool_calls);
        text_add(&ch->tool_calls, "\n", 1);
    }
}

int32_t
tools_take(choice *ch, const char *data, size_t len, bool last)
{
    text json = {0}, content = {0};
    params p;
    int32_t v;
    decai_json *parsed = NULL;
    if (len) text_add(&ch->raw, data, len);
    if (!last && !ch->call->stream) return 0;
    int32_t r = parse(ch, last ? 0 : DECAI_ANSWER_PARTIAL, &json);
    if (!r) r = decai_json_open(&parsed, ch->call->s->ctx, json.data, json.len);
    params_init(&p, ch->call, parsed);
    if (!r && value_get(&p, &v, 0, "content") && read_text(&p, v, &content) && content.len >= ch->answer.len) {
        text_reserve(&ch->answer, 0);
        text_add(&ch->answer, content.data, content.len);
    }
    if (!r && last && value_get(&p, &v, 0, "reasoning")) (void)read_text(&p, v, &ch->reasoning);
    if (!r && last && value_get(&p, &v, 0, "tool_calls")) take_calls(ch, &p, v);
    params_free(&p);
    text_free(&json);
    text_free(&content);
    return r;
}

bool
tools_next(const choice *ch, const char **at, tool_call *out)
{
    const char *p = *at ? *at : ch->tool_calls.data, *tab = p ? strchr(p, '\t') : NULL;
    if (!tab) return false;
    const char *second = strchr(tab + 1, '\t'), *end = strchr(second, '\n');
    *out = (tool_call){p, tab + 1, second + 1, (int)(tab - p), (int)(second - tab - 1), (int)(end - second - 1)};
    *at = end + 1;
    return true;
}

void
tools_json(const choice *ch, bool indexed, text *out)
{
    const char *at = NULL;
    tool_call t;
    for (size_t i = 0; tools_next(ch, &at, &t); i++) {
        text_printf(out, i ? ",{" : "{");
        if (indexed) text_printf(out, "\"index\":%zu,", i);
        text_printf(out, "\"id\":\"%.*s\",\"type\":\"function\",\"function\":{\"name\":%.*s,\"arguments\":%.*s}}", t.id_len, t.id, t.name_len,
            t.name, t.arguments_len, t.arguments);
    }
}
