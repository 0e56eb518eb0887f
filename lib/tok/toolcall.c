/* toolcall.c - how models write tool calls: a table of formats, and which of them a chat
 * template teaches, by the marks in its text.
 *
 *   hermes          <tool_call>{"name": .., "arguments": ..}</tool_call>      Qwen, Hermes, many
 *   qwen3-coder     <tool_call><function=NAME><parameter=KEY>value</parameter></function></tool_call>
 *   llama3          {"name": .., "parameters": ..}, perhaps behind <|python_tag|>
 *   gemma           the same, bare or fenced by ```
 *   mistral         [TOOL_CALLS][{"name": .., "arguments": ..}]
 *   mistral-args    [TOOL_CALLS]NAME[ARGS]{..}
 *   deepseek        begin-call mark, function, separator, NAME, ```json {..} ```, end mark
 *   command-r       Action: ```json [{"tool_name": .., "parameters": ..}] ```
 *   command-r7b     <|START_ACTION|>[{"tool_name": .., "parameters": ..}]<|END_ACTION|>
 *   functionary     <function=NAME>{..}</function>
 *   functionary-v3.2  >>>NAME, new line, {..}; >>>all is text
 *   harmony         <|channel|>commentary to=functions.NAME <|message|>{..}<|call|>
 *   none            no calls; <think> .. </think> alone
 */
#include "tok/toolcall.h"

#include <string.h>

#define THINK "<think>", "</think>"
#define DS(s) "<\xef\xbd\x9c" "tool\xe2\x96\x81" s "\xef\xbd\x9c>"     /* fullwidth bars, and U+2581 for spaces */

static const decai__call_format formats[] = {
    { "hermes", DECAI__CALL_OBJECT, "<tool_call>", "</tool_call>", NULL, NULL, false, THINK, { NULL } },
    { "qwen3-coder", DECAI__CALL_XML, "<tool_call>", "</tool_call>", "<function=", NULL, false, THINK, { NULL } },
    { "llama3", DECAI__CALL_OBJECT, "<|python_tag|>", NULL, NULL, NULL, true, THINK, { "<|eom_id|>", "<|eot_id|>" } },
    { "gemma", DECAI__CALL_OBJECT, "```json", "```", NULL, NULL, true, THINK, { "<end_of_turn>" } },
    { "mistral", DECAI__CALL_OBJECT, "[TOOL_CALLS]", NULL, NULL, NULL, false, "[THINK]", "[/THINK]", { NULL } },
    { "mistral-args", DECAI__CALL_NAMED, "[TOOL_CALLS]", NULL, NULL, "[ARGS]", false, "[THINK]", "[/THINK]", { NULL } },
    { "deepseek", DECAI__CALL_NAMED, DS("call\xe2\x96\x81" "begin"), DS("call\xe2\x96\x81" "end"), NULL, "\n", false, THINK,
        { DS("calls\xe2\x96\x81" "begin"), DS("calls\xe2\x96\x81" "end") } },
    { "command-r", DECAI__CALL_OBJECT, "Action:", NULL, NULL, NULL, false, THINK, { NULL } },
    { "command-r7b", DECAI__CALL_OBJECT, "<|START_ACTION|>", "<|END_ACTION|>", NULL, NULL, false, "<|START_THINKING|>", "<|END_THINKING|>",
        { "<|START_RESPONSE|>", "<|END_RESPONSE|>" } },
    { "functionary", DECAI__CALL_NAMED, "<function=", "</function>", NULL, ">", false, THINK, { NULL } },
    { "functionary-v3.2", DECAI__CALL_NAMED, ">>>", NULL, NULL, "\n", false, THINK, { ">>>all\n" } },
    { "harmony", DECAI__CALL_CHANNEL, "<|channel|>", "<|call|>", "<|start|>", NULL, false, NULL, NULL, { NULL } },
    { "none", DECAI__CALL_OBJECT, NULL, NULL, NULL, NULL, false, THINK, { NULL } },
};

const decai__call_format *
decai__call_format_find(const char *name)
{
    for (size_t i = 0; i < DECAI__COUNT(formats); i++)
        if (!strcmp(formats[i].name, name)) return &formats[i];
    return NULL;
}

static bool
has(const char *text, size_t len, const char *mark)
{
    size_t n = strlen(mark);
    for (size_t i = 0; i + n <= len; i++)
        if (text[i] == *mark && !memcmp(text + i, mark, n)) return true;
    return false;
}

const decai__call_format *
decai__call_format_of(const char *text, size_t len)
{
    /* The first row whose marks are both there. */
    static const struct { const char *mark, *also, *name; } rows[] = {
        { "<|channel|>", "<|message|>", "harmony" }, { DS("call\xe2\x96\x81" "begin"), "", "deepseek" },
        { "<function=", "<parameter=", "qwen3-coder" }, { "<function=", "", "functionary" }, { ">>>", "<|start_header_id|>", "functionary-v3.2" },
        { "<|START_ACTION|>", "", "command-r7b" }, { "Action:", "tool_name", "command-r" }, { "[TOOL_CALLS]", "[ARGS]", "mistral-args" },
        { "[TOOL_CALLS]", "", "mistral" }, { "<tool_call>", "", "hermes" }, { "<|python_tag|>", "", "llama3" },
        { "<|start_header_id|>", "parameters", "llama3" }, { "<start_of_turn>", "", "gemma" },
    };
    for (size_t i = 0; i < DECAI__COUNT(rows); i++)
        if (has(text, len, rows[i].mark) && has(text, len, rows[i].also)) return decai__call_format_find(rows[i].name);
    return NULL;
}

/* ---- JSON in the middle of a text ------------------------------------------------------ */

size_t
decai__json_span(const char *text, size_t len)
{
    size_t depth = 0;
    bool string = false;
    if (!len || !*text) return 0;
    if (*text != '{' && *text != '[' && *text != '"') {
        size_t n = 0;
        while (n < len && text[n] && strchr("+-.0123456789eEtruefalsn", text[n])) n++;
        return n == len && n ? SIZE_MAX : n;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (string) {
            if (c == '\\') i++;
            else if (c == '"') string = false;
        } else if (c == '"') {
            string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (!string && !depth) return i + 1;
    }
    return SIZE_MAX;
}

static size_t
blank(const char *text, size_t at, size_t len)
{
    while (at < len && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) at++;
    return at;
}

const char *
decai__json_member(const char *object, size_t len, const char *key, size_t *value_len)
{
    size_t at = 1, n = strlen(key);
    for (;;) {
        at = blank(object, at, len);
        size_t name = at, span = at < len ? decai__json_span(object + at, len - at) : 0;
        if (!span || span == SIZE_MAX || object[at] != '"') return NULL;
        at = blank(object, at + span, len);
        at = blank(object, at + 1, len);                             /* the colon */
        *value_len = at < len ? decai__json_span(object + at, len - at) : 0;
        if (!*value_len || *value_len == SIZE_MAX) return NULL;
        if (span == n + 2 && !memcmp(object + name + 1, key, n)) return object + at;
        at = blank(object, at + *value_len, len);
        if (at >= len || object[at] != ',') return NULL;
        at++;
    }
}
