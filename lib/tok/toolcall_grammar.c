/* toolcall_grammar.c - tool calls as a grammar: what may follow the mark of a call.
 *
 *     {"format": "hermes", "tools": [..], "tool_choice": "auto", "parallel_tool_calls": true}
 *
 * tools and the others are OpenAI's; format is a row of toolcall.c. auto and required are
 * the same here: whether there is a call is decided before its mark. A tool that is
 * named is the only one. With "whole": true the grammar is of whole answers: toolcall_whole.c.
 *
 *     format                     the text
 *     hermes                     {"name": .., "arguments": ..}</tool_call>, then perhaps
 *                                another mark and call, and so on
 *     llama3, llama4, gemma      {"name": .., "parameters": ..}
 *     lfm2, gemma4               as in a program: toolcall_program.c
 *     mistral                    [{"name": .., "arguments": ..}, ..]
 *     command-r                  ```json [{"tool_name": .., "parameters": ..}, ..] ```
 *     command-r7b                [{"tool_call_id": "0", "tool_name": .., "parameters": ..}, ..]
 *     functionary                NAME>{..}</function>, then perhaps <function= and so on
 *     functionary-v3.2           NAME, a new line, {..}
 *     granite, apertus           [..] of {"name": .., "arguments": ..}, of {NAME: {..}}
 *     nemotron, tool-calls       the same with their end mark
 *     qwen3-coder, seed-oss      <function=NAME> parameters </function></tool_call>, and so on
 *     glm                        NAME, parameters, </tool_call>, and so on
 *     minimax-m2, deepseek-v3.2  invokes and the end mark, behind the mark of all calls
 *     harmony, mistral-args,     the arguments alone: the name stands between marks that
 *     deepseek, kimi-k2          are control tokens, which no grammar here speaks of
 *
 * Parameters between marks that are strings are any text without the end mark; a strict
 * tool's pattern, format, minLength and maxLength are refused there.
 */
#include <stdio.h>
#include <string.h>

#include "tok/toolcall_grammar.h"

#define NAME_MAX  DECAI__CALL_NAME_MAX
#define MARK_MAX  64
#define DEEPSEEK_END "<\xef\xbd\x9c" "tool\xe2\x96\x81" "calls\xe2\x96\x81" "end\xef\xbd\x9c>"
#define DSML      "\xef\xbd\x9c" "DSML\xef\xbd\x9c"

typedef decai__tools maker;

int32_t
decai__tools_fail(maker *m, int32_t code, const char *why)
{
    if (!m->s.net->error) m->s.net->error = decai__fail(code, "tools: %s", why);
    return m->s.net->error;
}

/* What the format writes; and a name, which has no control tokens in it. */
static uint32_t
put(maker *m, uint32_t from, const char *text)
{
    return decai__tools_put(m, from, text);
}

static uint32_t
put_name(maker *m, uint32_t from, const char *text)
{
    return decai__net_text(m->s.net, from, text, strlen(text));
}

static uint32_t
space(maker *m, uint32_t from)
{
    return decai__schema_space(&m->s, from);
}

/* ---- reading --------------------------------------------------------------------------- */

static bool
is_name(const char *name)
{
    size_t n = name ? strlen(name) : 0;              /* what is in an array has none */
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)name[i] <= ' ' || strchr("<>\"\\", name[i])) return false;
    return n && n <= NAME_MAX;
}

static void
read_tools(maker *m, const decai__json_node *list, const char *only)
{
    if (decai__json_type(list) != DECAI__JSON_ARRAY) decai__tools_fail(m, DECAI_E_CORRUPT, "tools: not an array");
    for (list = decai__json_first(list); list && !m->s.net->error; list = decai__json_next(list)) {
        const decai__json_node *own = decai__json_find(list, "function");
        const char *name = "";
        size_t len;
        if (!own) own = list;                        /* as newer interfaces have it */
        if (decai__json_get_str(m->s.doc, own, "name", &name, &len) || !is_name(name)) decai__tools_fail(m, DECAI_E_CORRUPT, "a tool's name: 1 to 128 bytes without spaces, quotes and angle brackets");
        else if (m->count == DECAI__TOOLS_MAX) decai__tools_fail(m, DECAI_E_LIMIT, "more than 256");
        else if (!only || !strcmp(only, name)) m->names[m->count] = name, m->tools[m->count++] = own;
    }
    if (!m->count) decai__tools_fail(m, DECAI_E_INVALID, only ? "tool_choice names none of them" : "there are none");
}

/* The tool that tool_choice names, or NULL. */
static const char *
read_choice(maker *m, const decai__json_node *choice)
{
    const char *name = NULL;
    size_t len;
    if (!choice) return NULL;
    if (decai__json_type(choice) == DECAI__JSON_OBJECT) {
        const decai__json_node *own = decai__json_find(choice, "function");
        m->must = true;
        if (decai__json_get_str(m->s.doc, own ? own : choice, "name", &name, &len)) decai__tools_fail(m, DECAI_E_CORRUPT, "tool_choice: no name");
        return name;
    }
    if (!decai__json_str(m->s.doc, choice, &name, &len)) m->must = !strcmp(name, "required");
    if (!name || (strcmp(name, "auto") && strcmp(name, "required")))
        decai__tools_fail(m, DECAI_E_INVALID, "tool_choice: neither auto nor required nor a function");
    return NULL;
}

static void
read_all(maker *m, const decai__json_node *root)
{
    static const char *const known[] = { "format", "tools", "tool_choice", "parallel_tool_calls", "whole", "thinking" };
    const decai__json_node *parallel = decai__json_find(root, "parallel_tool_calls"), *whole = decai__json_find(root, "whole"), *thinking = decai__json_find(root, "thinking");
    const char *format = "";
    size_t len;
    for (const decai__json_node *k = decai__json_first(root); k; k = decai__json_next(k)) {
        size_t i = 0;
        while (decai__json_key(k) && i < DECAI__COUNT(known) && strcmp(known[i], decai__json_key(k))) i++;
        if (!decai__json_key(k) || i == DECAI__COUNT(known)) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "a member that is none of format, tools, tool_choice, parallel_tool_calls, whole, thinking");
    }
    m->parallel = true;
    if (parallel && decai__json_bool(m->s.doc, parallel, &m->parallel)) decai__tools_fail(m, DECAI_E_CORRUPT, "parallel_tool_calls: neither true nor false");
    if (whole && decai__json_bool(m->s.doc, whole, &m->whole)) decai__tools_fail(m, DECAI_E_CORRUPT, "whole: neither true nor false");
    if (thinking && decai__json_bool(m->s.doc, thinking, &m->thinking)) decai__tools_fail(m, DECAI_E_CORRUPT, "thinking: neither true nor false");
    if (m->thinking && !m->whole) decai__tools_fail(m, DECAI_E_INVALID, "thinking: only with whole");
    if (decai__json_get_str(m->s.doc, root, "format", &format, &len) || !(m->f = decai__call_format_find(format)) || (!m->f->begin && !m->f->bare))
        decai__tools_fail(m, DECAI_E_INVALID, "format: not known");
    const char *only = read_choice(m, decai__json_find(root, "tool_choice"));
    if (!m->s.net->error) read_tools(m, decai__json_find(root, "tools"), only);
}

/* ---- calls -------------------------------------------------------------------------------- */

/* In whole answers, which are not forced to be calls, only strict tools' arguments follow
 * their schemas. */
static bool
is_free(maker *m, size_t tool)
{
    bool strict = false;
    const decai__json_node *v = decai__json_find(m->tools[tool], "strict");
    if (v && decai__json_type(v) != DECAI__JSON_NULL && decai__json_bool(m->s.doc, v, &strict)) decai__tools_fail(m, DECAI_E_CORRUPT, "strict: neither true nor false");
    return m->whole && !strict;
}

uint32_t
decai__tools_arguments(maker *m, uint32_t from, size_t tool)
{
    decai__all all = { .count = 0 };
    if (is_free(m, tool)) return decai__schema_object(&m->s, from, &all);
    const decai__json_node *schema = decai__json_find(m->tools[tool], "parameters");
    if (m->whole && !schema) return put(m, space(m, put(m, from, "{")), "}");
    size_t path = decai__schema_enter(&m->s, m->names[tool], 0);
    m->s.root = schema;
    if (schema) decai__schema_add(&m->s, &all, schema);
    from = all.count || all.never ? decai__schema_emit(&m->s, from, all) : decai__schema_object(&m->s, from, &all);
    decai__schema_leave(&m->s, path);
    return from;
}

/* Nothing, or an id of letters and digits between the two texts. */
static uint32_t
put_maybe_id(maker *m, uint32_t from, const char *before, const char *behind)
{
    static const decai__range letters[] = { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } };
    decai__net *n = m->s.net;
    uint32_t letter = decai__net_state(n), to = decai__net_state(n);
    decai__net_ranges(n, put(m, from, before), letter, letters, DECAI__COUNT(letters));
    decai__net_ranges(n, letter, letter, letters, DECAI__COUNT(letters));
    decai__net_empty(n, put(m, letter, behind), to);
    decai__net_empty(n, from, to);
    return to;
}

static uint32_t
put_object(maker *m, uint32_t from, size_t tool, const char *id, const char *name, const char *arguments)
{
    from = space(m, put(m, from, "{"));
    if (id) {
        from = put(m, space(m, put(m, put(m, put(m, from, "\""), id), "\":")), "\"");
        uint32_t digit = decai__net_state(m->s.net);
        decai__net_bytes(m->s.net, from, digit, '0', '9');
        decai__net_bytes(m->s.net, digit, digit, '0', '9');
        from = space(m, put(m, digit, "\","));
    }
    from = space(m, put(m, put(m, put(m, from, "\""), name), "\":"));
    from = put(m, put_name(m, put(m, from, "\""), m->names[tool]), "\"");
    from = space(m, put(m, from, ","));
    from = space(m, put(m, put(m, put(m, from, "\""), arguments), "\":"));
    from = decai__tools_arguments(m, from, tool);
    if (!strcmp(m->f->name, "mistral")) from = put_maybe_id(m, from, ", \"id\": \"", "\"");
    return put(m, space(m, from), "}");
}

/* {NAME: arguments} */
static uint32_t
put_keyed(maker *m, uint32_t from, size_t tool)
{
    from = put(m, put_name(m, put(m, space(m, put(m, from, "{")), "\""), m->names[tool]), "\":");
    return put(m, space(m, decai__tools_arguments(m, space(m, from), tool)), "}");
}

/* Of this type alone, and without values that are listed. */
static bool
is_plain(maker *m, const decai__json_node *schema, const char *wanted)
{
    const char *type;
    size_t len;
    return !decai__json_find(schema, "enum") && !decai__json_find(schema, "const") && !decai__json_get_str(m->s.doc, schema, "type", &type, &len)
        && !strcmp(type, wanted);
}

/* Values of an enum of texts stand without quotes, as texts do. */
static uint32_t
put_plain_enum(maker *m, uint32_t from, const decai__json_node *list)
{
    uint32_t to = decai__net_state(m->s.net);
    const char *text;
    size_t len;
    for (list = decai__json_first(list); list; list = decai__json_next(list)) {
        if (!decai__json_str(m->s.doc, list, &text, &len)) decai__net_empty(m->s.net, decai__net_text(m->s.net, from, text, len), to);
        else decai__net_empty(m->s.net, decai__schema_literal(&m->s, from, list), to);
    }
    return to;
}

/* Nothing, or a new line. */
static uint32_t
put_line(maker *m, uint32_t from)
{
    uint32_t to = decai__net_state(m->s.net);
    decai__net_empty(m->s.net, from, to);
    decai__net_empty(m->s.net, put(m, from, "\n"), to);
    return to;
}

/* Where a name stands in quotes. */
static bool
is_quoted(const maker *m)
{
    return !m->f->p.head && m->f->p.name_end;
}

static bool
is_text_enum(maker *m, const decai__json_node *list)
{
    const char *text;
    size_t len;
    const decai__json_node *k = decai__json_first(list);
    while (k && !decai__json_str(m->s.doc, k, &text, &len)) k = decai__json_next(k);
    return list && !k;
}

/* Any parameters: the tool is not strict. */
static uint32_t
put_any_parameters(maker *m, uint32_t from)
{
    static const decai__range letters[] = { { '!', '!' }, { '#', ';' }, { '=', '=' }, { '?', '[' }, { ']', 0x10ffff } };
    const decai__call_marks *p = &m->f->p;
    decai__net *n = m->s.net;
    uint32_t again = decai__net_state(n), letter = decai__net_state(n);
    const char *quote = is_quoted(m) ? "\"" : "";
    decai__net_empty(n, from, again);
    decai__net_ranges(n, put(m, put(m, again, p->key), quote), letter, letters, DECAI__COUNT(letters));
    decai__net_ranges(n, letter, letter, letters, DECAI__COUNT(letters));
    uint32_t end = put(m, letter, quote);
    if (!strncmp(m->f->name, "deepseek-v", 10)) end = put(m, end, " string=\"true\"");
    end = put(m, end, p->key_end);
    if (p->value) end = put(m, put_line(m, end), p->value);
    decai__net_empty(n, put_line(m, decai__tools_text_to(m, end, p->value_end)), again);
    return again;
}

/* KEY, as it stands between its marks. */
static uint32_t
put_key(maker *m, uint32_t from, const char *key, bool text)
{
    const decai__call_marks *p = &m->f->p;
    const char *quote = is_quoted(m) ? "\"" : "";
    from = put(m, put_name(m, put(m, put(m, from, p->key), quote), key), quote);
    if (!strncmp(m->f->name, "deepseek-v", 10)) from = put(m, from, text ? " string=\"true\"" : " string=\"false\"");
    from = put(m, from, p->key_end);
    if (p->value) from = put(m, put_line(m, from), p->value);
    return p->lines ? put(m, from, "\n") : from;
}

void
decai__tools_plain(maker *m, const decai__json_node *schema)
{
    static const char *const keywords[] = { "pattern", "format", "minLength", "maxLength" };
    for (size_t i = 0; i < DECAI__COUNT(keywords); i++)
        if (m->whole && decai__json_find(schema, keywords[i]) && !m->s.net->error)
            m->s.net->error = decai__fail(DECAI_E_UNSUPPORTED, "tools: %.64s: %s is not built for texts without quotes, as %s has them",
                decai__json_key(schema) ? decai__json_key(schema) : "items", keywords[i], m->f->name);
}

static uint32_t
put_parameter(maker *m, uint32_t from, const decai__json_node *schema)
{
    const decai__call_marks *p = &m->f->p;
    const decai__json_node *list = decai__json_find(schema, "enum");
    bool text = is_plain(m, schema, "string"), words = is_text_enum(m, list);
    char end[MARK_MAX];
    snprintf(end, sizeof end, "%s%s", p->lines ? "\n" : "", p->value_end);
    from = put_key(m, from, decai__json_key(schema), text || words);
    if (text) decai__tools_plain(m, schema);
    if (text) return put_line(m, decai__tools_text_to(m, from, end));
    if (words) {
        from = put_plain_enum(m, from, list);
    } else if (p->head && is_plain(m, schema, "boolean")) {   /* as these templates print them, and as JSON has them */
        from = decai__tools_one(m, from, "True\0False\0true\0false\0");
    } else {
        decai__all all = { .count = 0 };
        decai__schema_add(&m->s, &all, schema);
        from = decai__schema_emit(&m->s, from, all);
    }
    return put_line(m, put(m, from, end));
}

bool
decai__tools_required(maker *m, const decai__json_node *schema, const char *name)
{
    const char *text;
    size_t len;
    const decai__json_node *k = decai__json_first(decai__json_find(schema, "required"));
    for (; k; k = decai__json_next(k))
        if (!decai__json_str(m->s.doc, k, &text, &len) && !strcmp(text, name)) return true;
    return false;
}

static uint32_t
put_parameters(maker *m, uint32_t from, size_t tool)
{
    const decai__call_marks *p = &m->f->p;
    const char *quote = is_quoted(m) ? "\"" : "";
    const decai__json_node *schema = decai__json_find(m->tools[tool], "parameters"), *k = decai__json_first(decai__json_find(schema, "properties"));
    m->s.root = schema;
    from = put(m, put_name(m, put(m, put(m, from, p->head ? p->head : is_quoted(m) ? m->f->begin : ""), quote), m->names[tool]), quote);
    from = put_line(m, put(m, from, p->name_end ? p->name_end : ""));
    if (is_free(m, tool)) return put(m, put_any_parameters(m, from), p->close);
    for (; k && !m->s.net->error; k = decai__json_next(k)) {
        uint32_t next = decai__net_state(m->s.net);
        if (!is_name(decai__json_key(k))) {
            decai__tools_fail(m, DECAI_E_UNSUPPORTED, "a parameter's name with spaces, quotes or angle brackets");
            break;
        }
        decai__net_empty(m->s.net, put_parameter(m, from, k), next);
        if (!decai__tools_required(m, schema, decai__json_key(k))) decai__net_empty(m->s.net, from, next);
        from = next;
    }
    return put(m, from, p->close);
}

/* The name and what stands around it and the arguments, where these are control tokens. */
static uint32_t
put_titled(maker *m, uint32_t from, size_t tool)
{
    static const char begin[] = "<\xef\xbd\x9c" "tool\xe2\x96\x81" "call\xe2\x96\x81" "begin\xef\xbd\x9c>";
    const decai__call_format *f = m->f;
    decai__net *n = m->s.net;
    if (!strcmp(f->name, "mistral-args")) {
        from = put_maybe_id(m, put_name(m, from, m->names[tool]), "[CALL_ID]", "");
        return decai__tools_arguments(m, put(m, from, f->stop), tool);
    }
    if (!strcmp(f->name, "kimi-k2")) {
        uint32_t digit = decai__net_state(n);
        from = put(m, put_name(m, put(m, put(m, from, f->begin), "functions."), m->names[tool]), ":");
        decai__net_bytes(n, from, digit, '0', '9');
        decai__net_bytes(n, digit, digit, '0', '9');
        return put(m, decai__tools_arguments(m, put(m, digit, f->stop), tool), f->end);
    }
    /* DeepSeek V3.1, and before it. */
    uint32_t to = decai__net_state(n);
    from = put(m, from, begin);
    decai__net_empty(n, put(m, decai__tools_arguments(m, put(m, put_name(m, from, m->names[tool]), f->stop), tool), f->end), to);
    from = put(m, put_name(m, put(m, put(m, from, "function"), f->stop), m->names[tool]), "\n```json\n");
    decai__net_empty(n, put(m, put(m, decai__tools_arguments(m, from, tool), "\n```"), f->end), to);
    return to;
}

/* One call of any tool, in the format's own way. */
static uint32_t
put_call(maker *m, uint32_t from)
{
    const char *f = m->f->name;
    bool cohere = !strncmp(f, "command", 7), llama = !strcmp(f, "llama3") || !strcmp(f, "llama4") || !strcmp(f, "gemma");
    bool program = m->f->form == DECAI__CALL_NOTED || (m->f->form == DECAI__CALL_PYTHON && !llama);
    bool alone = !strcmp(f, "harmony") || !strcmp(f, "mistral-args") || !strcmp(f, "deepseek") || !strcmp(f, "kimi-k2");
    uint32_t to = decai__net_state(m->s.net);
    for (size_t i = 0; i < m->count && !m->s.net->error; i++) {
        uint32_t end;
        if (alone) end = m->whole ? put_titled(m, from, i) : decai__tools_arguments(m, from, i);
        else if (program) end = decai__tools_program(m, from, i, is_free(m, i));
        else if (m->f->form == DECAI__CALL_KEYED) end = put_keyed(m, from, i);
        else if (m->f->form == DECAI__CALL_PARAMETERS) end = put_parameters(m, from, i);
        else if (m->f->form == DECAI__CALL_NAMED) end = decai__tools_arguments(m, put(m, put_name(m, from, m->names[i]), m->f->stop), i);
        else end = put_object(m, from, i, !strcmp(f, "command-r7b") ? "tool_call_id" : NULL, cohere ? "tool_name" : "name", cohere || llama ? "parameters" : "arguments");
        decai__net_empty(m->s.net, end, to);
    }
    return to;
}

/* Calls with what stands around and between them. */
uint32_t
decai__tools_calls(maker *m, uint32_t from)
{
    static const struct { const char *name, *open, *between, *close; } alone[] = {
        { "mistral-args", "", "[TOOL_CALLS]", "" }, { "kimi-k2", "", "", "<|tool_calls_section_end|>" }, { "deepseek", "", "", DEEPSEEK_END },
    }, rows[] = {
        { "hermes", "", "</tool_call>\n<tool_call>\n", "</tool_call>" }, { "qwen3-coder", "", "</tool_call>\n<tool_call>\n", "</tool_call>" },
        { "mistral", "[", ", ", "]" }, { "command-r", "```json\n[", ",\n", "]\n```" }, { "command-r7b", "[", ",\n", "]" },
        { "functionary", "", "</function><function=", "</function>" }, { "seed-oss", "", "</seed:tool_call>\n<seed:tool_call>\n", "</seed:tool_call>" },
        { "glm", "", "\n<tool_call>", "" }, { "minimax-m2", "", "", "</minimax:tool_call>" }, { "deepseek-v3.2", "", "", "</" DSML "function_calls>" },
        { "deepseek-v4", "", "", "</" DSML "tool_calls>" },
        { "granite", "[", ", ", "]" }, { "nemotron", "[", ", ", "]</TOOLCALL>" }, { "tool-calls", "[", ", ", "]</tool_calls>" },
        { "apertus", "[", ", ", "]" }, { "lfm2", "[", ", ", "]" }, { "gemma4", "", "<tool_call|><|tool_call>call:", "<tool_call|>" },
        { "function-gemma", "", "<end_function_call><start_function_call>call:", "<end_function_call>" },
    };
    decai__net *n = m->s.net;
    size_t i = 0;
    while (i < DECAI__COUNT(rows) && strcmp(rows[i].name, m->f->name)) i++;
    for (size_t k = 0; m->whole && k < DECAI__COUNT(alone); k++)
        if (!strcmp(alone[k].name, m->f->name)) {
            uint32_t again = decai__net_state(n), behind;
            decai__net_empty(n, from, again);
            bool lines = *alone[k].close;            /* between marks, not before a name */
            behind = put_call(m, lines ? put_line(m, again) : again);
            if (lines) behind = put_line(m, behind);
            if (m->parallel) decai__net_empty(n, put(m, behind, alone[k].between), again);
            return put(m, behind, alone[k].close);
        }
    if (i == DECAI__COUNT(rows)) return put_call(m, from);
    uint32_t first = space(m, put(m, space(m, from), rows[i].open)), begin = decai__net_state(n), end;
    bool tight = !strcmp(rows[i].name, "functionary") || !strcmp(rows[i].name, "glm") || m->f->form == DECAI__CALL_NOTED;
    if (tight) first = from;                         /* the name comes at once */
    decai__net_empty(n, first, begin);
    end = put_call(m, begin);
    if (!tight) end = space(m, end);
    if (m->parallel) decai__net_empty(n, put(m, end, rows[i].between), begin);
    uint32_t to = put(m, end, rows[i].close);
    if (m->whole && !strcmp(m->f->name, "tool-calls")) {              /* or a line each, without brackets */
        uint32_t line = decai__net_state(n);
        decai__net_empty(n, space(m, from), line);
        end = put_call(m, line);
        if (m->parallel) decai__net_empty(n, put(m, end, "\n"), line);
        decai__net_empty(n, put(m, space(m, end), m->f->end), to);
    }
    return to;
}

int32_t
decai__tools_read(decai__net *n, uint32_t *root, const decai_tokenizer *tokenizer, const char *text, size_t len)
{
    maker *m = decai__calloc(n->ctx, 1, sizeof *m);
    decai__json *doc = NULL;
    if (!m) return n->error = decai__fail(DECAI_E_NOMEM, "tools: no memory");
    m->s.net = n;
    m->tokenizer = tokenizer;
    memset(m->s.shared, 0xff, sizeof m->s.shared);
    n->error = decai__json_parse(n->ctx, &doc, text, len);
    m->s.doc = doc;
    if (!n->error && decai__json_type(decai__json_root(doc)) != DECAI__JSON_OBJECT) decai__tools_fail(m, DECAI_E_CORRUPT, "not an object");
    if (!n->error) read_all(m, decai__json_root(doc));
    if (!n->error) {
        *root = decai__net_rule_add(n);
        uint32_t start = n->error ? 0 : n->rules[*root].start, end = n->error ? 0 : n->rules[*root].end;
        if (m->whole) decai__tools_whole(m, start, end);
        else decai__net_empty(n, decai__tools_calls(m, start), end);
    }
    decai__free(n->ctx, m->s.memo);
    decai__free(n->ctx, m);
    decai__json_free(doc);
    return n->error;
}
