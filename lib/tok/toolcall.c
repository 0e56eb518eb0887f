/* toolcall.c - how models write tool calls: a table of formats, and which of them a chat
 * template teaches, by the marks in its text.
 *
 *   hermes          <tool_call>{"name": .., "arguments": ..}</tool_call>      Qwen, Hermes, Granite 4, many
 *   qwen3-coder     <tool_call><function=NAME><parameter=KEY>value</parameter></function></tool_call>
 *   seed-oss        the same in <seed:tool_call>
 *   glm             <tool_call>NAME <arg_key>KEY</arg_key><arg_value>value</arg_value></tool_call>   GLM 4.5 on, Ling, Laguna
 *   minimax-m2      <minimax:tool_call><invoke name="NAME"><parameter name="KEY">value</parameter></invoke></minimax:tool_call>
 *   deepseek-v3.2   the same with DSML marks, and string="true" or "false" behind KEY; deepseek-v4: another mark around
 *   kimi-k2         section and call marks, functions.NAME:0, argument mark, {..}, end marks
 *   llama3          {"name": .., "parameters": ..}, perhaps behind <|python_tag|>
 *   gemma           the same, bare or fenced by ```
 *   mistral         [TOOL_CALLS][{"name": .., "arguments": ..}]
 *   mistral-args    [TOOL_CALLS]NAME[ARGS]{..}
 *   deepseek        begin-call mark, function, separator, NAME, ```json {..} ```, end mark
 *   command-r       Action: ```json [{"tool_name": .., "parameters": ..}] ```
 *   command-r7b     <|START_ACTION|>[{"tool_name": .., "parameters": ..}]<|END_ACTION|>
 *   granite         <|tool_call|>[{"name": .., "arguments": ..}]              Granite 3, Phi 4 mini
 *   nemotron        <TOOLCALL>[{"name": .., "arguments": ..}]</TOOLCALL>
 *   tool-calls      <tool_calls>[{"name": .., "arguments": ..}]</tool_calls>  Apriel, Hunyuan, MiniMax M1, Jamba
 *   apertus         <|tools_prefix|>[{NAME: {..}}]<|tools_suffix|>
 *   lfm2            <|tool_call_start|>[NAME(KEY='value', ..)]<|tool_call_end|>, or JSON in it
 *   llama4          {"name": .., "parameters": ..} or [NAME(KEY="value", ..)], perhaps between python marks
 *   gemma4          <|tool_call>call:NAME{KEY:value, ..}<tool_call|>, strings between <|"|>; function-gemma alike
 *   functionary     <function=NAME>{..}</function>
 *   functionary-v3.2  >>>NAME, new line, {..}; >>>all is text
 *   harmony         <|channel|>commentary to=functions.NAME <|message|>{..}<|call|>
 *   none            no calls; <think> .. </think> alone
 */
#include "tok/toolcall.h"

#include <string.h>

#define THINK .think = "<think>", .think_end = "</think>"
#define MISTRAL .think = "[THINK]", .think_end = "[/THINK]"
#define DS(s) "<\xef\xbd\x9c" "tool\xe2\x96\x81" s "\xef\xbd\x9c>"     /* fullwidth bars, and U+2581 for spaces */
#define DSML_MARKS { NULL, ">", "<" DSML "parameter name=", ">", NULL, "</" DSML "parameter>", "</" DSML "invoke>", false }
#define DSML "\xef\xbd\x9c" "DSML\xef\xbd\x9c"

static const decai__call_format formats[] = {
    { "hermes", DECAI__CALL_OBJECT, "<tool_call>", "</tool_call>", THINK },
    { "qwen3-coder", DECAI__CALL_PARAMETERS, "<tool_call>", "</tool_call>", .other = "<function=", THINK,
        .p = { "<function=", ">", "<parameter=", ">", NULL, "</parameter>", "</function>", true } },
    { "seed-oss", DECAI__CALL_PARAMETERS, "<seed:tool_call>", "</seed:tool_call>", .think = "<seed:think>", .think_end = "</seed:think>",
        .p = { "<function=", ">", "<parameter=", ">", NULL, "</parameter>", "</function>", false } },
    { "glm", DECAI__CALL_PARAMETERS, "<tool_call>", "</tool_call>", THINK,
        .p = { NULL, NULL, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>", false } },
    { "minimax-m2", DECAI__CALL_PARAMETERS, "<invoke name=", NULL, THINK, .dropped = { "<minimax:tool_call>", "</minimax:tool_call>" },
        .p = { NULL, ">", "<parameter name=", ">", NULL, "</parameter>", "</invoke>", false } },
    { "deepseek-v3.2", DECAI__CALL_PARAMETERS, "<" DSML "invoke name=", NULL, THINK,
        .dropped = { "<" DSML "function_calls>", "</" DSML "function_calls>", "<" DSML "tool_calls>", "</" DSML "tool_calls>" }, .p = DSML_MARKS },
    { "deepseek-v4", DECAI__CALL_PARAMETERS, "<" DSML "invoke name=", NULL, THINK,
        .dropped = { "<" DSML "tool_calls>", "</" DSML "tool_calls>", "<" DSML "function_calls>", "</" DSML "function_calls>" }, .p = DSML_MARKS },
    { "kimi-k2", DECAI__CALL_NAMED, "<|tool_call_begin|>", "<|tool_call_end|>", .stop = "<|tool_call_argument_begin|>", THINK,
        .dropped = { "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>" } },
    { "llama3", DECAI__CALL_OBJECT, "<|python_tag|>", NULL, .bare = true, THINK, .dropped = { "<|eom_id|>", "<|eot_id|>" } },
    { "gemma", DECAI__CALL_OBJECT, "```json", "```", .bare = true, THINK, .dropped = { "<end_of_turn>" } },
    { "mistral", DECAI__CALL_OBJECT, "[TOOL_CALLS]", NULL, MISTRAL },
    { "mistral-args", DECAI__CALL_NAMED, "[TOOL_CALLS]", NULL, .stop = "[ARGS]", MISTRAL },
    { "deepseek", DECAI__CALL_NAMED, DS("call\xe2\x96\x81" "begin"), DS("call\xe2\x96\x81" "end"), .stop = DS("sep"), THINK,
        .dropped = { DS("calls\xe2\x96\x81" "begin"), DS("calls\xe2\x96\x81" "end") } },
    { "command-r", DECAI__CALL_OBJECT, "Action:", NULL, THINK },
    { "command-r7b", DECAI__CALL_OBJECT, "<|START_ACTION|>", "<|END_ACTION|>", .think = "<|START_THINKING|>", .think_end = "<|END_THINKING|>",
        .dropped = { "<|START_RESPONSE|>", "<|END_RESPONSE|>" } },
    { "granite", DECAI__CALL_OBJECT, "<|tool_call|>", "<|/tool_call|>", THINK },
    { "nemotron", DECAI__CALL_OBJECT, "<TOOLCALL>", "</TOOLCALL>", THINK },
    { "tool-calls", DECAI__CALL_OBJECT, "<tool_calls>", "</tool_calls>", THINK },
    { "apertus", DECAI__CALL_KEYED, "<|tools_prefix|>", "<|tools_suffix|>", .think = "<|inner_prefix|>", .think_end = "<|inner_suffix|>" },
    { "llama4", DECAI__CALL_PYTHON, NULL, NULL, .bare = true, THINK, .dropped = { "<|python_start|>", "<|python_end|>", "<|eom|>", "<|eot|>" } },
    { "lfm2", DECAI__CALL_PYTHON, "<|tool_call_start|>", "<|tool_call_end|>", THINK },
    { "gemma4", DECAI__CALL_NOTED, "<|tool_call>call:", "<tool_call|>", .stop = "<|\"|>", .think = "<|channel>thought\n", .think_end = "<channel|>",
        .dropped = { "<turn|>" } },
    { "function-gemma", DECAI__CALL_NOTED, "<start_function_call>call:", "<end_function_call>", .stop = "<escape>", THINK, .dropped = { "<end_of_turn>" } },
    { "functionary", DECAI__CALL_NAMED, "<function=", "</function>", .stop = ">", THINK },
    { "functionary-v3.2", DECAI__CALL_NAMED, ">>>", NULL, .stop = "\n", THINK, .dropped = { ">>>all\n" } },
    { "harmony", DECAI__CALL_CHANNEL, "<|channel|>", "<|call|>", .other = "<|start|>" },
    { "none", DECAI__CALL_OBJECT, NULL, NULL, THINK },
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
        { "<|channel|>", "<|message|>", "harmony" }, { DS("call\xe2\x96\x81" "begin"), "", "deepseek" }, { DSML "tool_calls>", "", "deepseek-v4" },
        { DSML, "'tool_calls>", "deepseek-v4" }, { DSML, "invoke name=", "deepseek-v3.2" },
        { "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "kimi-k2" }, { "<minimax:tool_call>", "<invoke name=", "minimax-m2" },
        { "<seed:tool_call>", "<parameter=", "seed-oss" }, { "<tool_call>", "<arg_key>", "glm" }, { "<|tools_prefix|>", "", "apertus" },
        { "<TOOLCALL>", "", "nemotron" }, { "<|tool_call>call:", "", "gemma4" }, { "<start_function_call>", "", "function-gemma" },
        { "<|tool_call_start|>", "", "lfm2" }, { "<|tool_list_start|>", "", "lfm2" }, { "List of tools: [", "<|im_start|>", "lfm2" },
        { "<|header_start|>", "parameters", "llama4" }, { "<tool_calls>", "", "tool-calls" },
        { "<function=", "<parameter=", "qwen3-coder" }, { "<function=", "", "functionary" }, { ">>>", "<|start_header_id|>", "functionary-v3.2" },
        { "<tool_call>", "<invoke name=", NULL },    /* MiniMax M3: nested elements, not known */
        { "<|START_ACTION|>", "", "command-r7b" }, { "Action:", "tool_name", "command-r" }, { "[TOOL_CALLS]", "[ARGS]", "mistral-args" },
        { "[TOOL_CALLS]", "", "mistral" }, { "<tool_call>", "", "hermes" }, { "<|tool_call|>", "", "granite" }, { "<|python_tag|>", "", "llama3" },
        { "<|start_header_id|>", "parameters", "llama3" }, { "<start_of_turn>", "", "gemma" },
    };
    for (size_t i = 0; i < DECAI__COUNT(rows); i++)
        if (has(text, len, rows[i].mark) && has(text, len, rows[i].also)) return rows[i].name ? decai__call_format_find(rows[i].name) : NULL;
    return NULL;
}
