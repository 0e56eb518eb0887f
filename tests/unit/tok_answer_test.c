/* An answer that comes: each byte is looked at a bounded number of times, for any text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_heap.h"
#include "tok/toolcall.h"

static support_heap heap;
static decai_context *ctx;

static int
setup(void **state)
{
    (void)state;
    return (ctx = support_heap_context(&heap)) ? 0 : 1;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return heap.live != 0;
}

/* Steps for a text of a pattern many times over, token by token of three bytes. */
static uint64_t
steps(const char *format, const char *begin, const char *pattern, size_t times)
{
    decai__answer a;
    size_t n = strlen(begin), m = strlen(pattern), len = n + times * m;
    char *text = malloc(len);
    assert_non_null(text);
    memcpy(text, begin, n);
    for (size_t i = 0; i < times; i++) memcpy(text + n + i * m, pattern, m);
    decai__answer_init(&a, ctx, decai__call_format_find(format), 0);
    for (size_t i = 0; i < len; i += 3) assert_int_equal(decai__answer_add(&a, text + i, DECAI__MIN((size_t)3, len - i)), 0);
    assert_int_equal(decai__answer_end(&a), 0);
    uint64_t made = a.steps;
    assert_true(a.bytes.len <= 3 * len + 64);
    decai__answer_free(&a);
    free(text);
    return made;
}

static void
test_linear(void **state)
{
    static const struct { const char *format, *begin, *pattern; } rows[] = {
        { "hermes", "", "words and words. " }, { "hermes", "", "<tool_call>{" }, { "hermes", "", "<tool_cal" }, { "hermes", "", "<tool_call>{\"a\": \"" },
        { "hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"", "word " }, { "hermes", "<tool_call>{\"arguments\": {\"a\": \"", "<tool_call>" },
        { "hermes", "", "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>\n" }, { "hermes", "", " \n" }, { "hermes", "<think>", "</thin" },
        { "llama3", "", "{\"a\":" }, { "llama3", "", "{\"name\": \"a\"};" }, { "harmony", "", "<|channel|>" }, { "harmony", "", "<|start|>x<|message|>y<|" },
        { "qwen3-coder", "", "<tool_call><function=a>" }, { "qwen3-coder", "<tool_call><function=a><parameter=x>", "\n</parameter\n" },
        { "qwen3-coder", "<tool_call><function=a><parameter=x>", "[1, " }, { "glm", "", "<tool_call>a<arg_key>" }, { "glm", "<tool_call>a", "<arg_key>b</arg_key><arg_value>1" },
        { "minimax-m2", "", "<invoke name=\"a\"><parameter name=\"b\">" }, { "kimi-k2", "", "<|tool_call_begin|>functions.a<|tool_call_argument" },
        { "functionary", "", "<function=" }, { "functionary-v3.2", "", ">>>al" }, { "apertus", "<|tools_prefix|>[", "{\"a\": {}}, " }, { "mistral", "", "[TOOL_CALLS][" },
        { "deepseek", "", "<\xef\xbd\x9c" "tool\xe2\x96\x81" "call" }, { "gemma", "", "``" }, { "command-r", "", "Action: ```jso" },
        { "lfm2", "<|tool_call_start|>[f(a='", "it's " }, { "lfm2", "", "<|tool_call_start|>[f(a=" }, { "llama4", "[", "f(a=1), " }, { "gemma4", "<|tool_call>call:f{a:<|\"|>", "<|\"" },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(rows); i++) {
        uint64_t few = steps(rows[i].format, rows[i].begin, rows[i].pattern, 500), many = steps(rows[i].format, rows[i].begin, rows[i].pattern, 2000);
        if (many > 4 * few + 256 || many > 3 * (2000 * strlen(rows[i].pattern) + 64)) fail_msg("%s, %s: %llu steps, then %llu", rows[i].format, rows[i].pattern,
            (unsigned long long)few, (unsigned long long)many);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_linear) };
    return cmocka_run_group_tests_name("tok_answer", tests, setup, teardown);
}
