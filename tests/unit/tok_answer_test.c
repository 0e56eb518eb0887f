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

/* ---- JSON byte by byte -------------------------------------------------------------------- */

static bool
accepts(const char *text, size_t len)
{
    decai__accept a = { .state = 0 };
    int r = DECAI__ACCEPT_MORE;
    size_t i = 0;
    while (i < len && r == DECAI__ACCEPT_MORE) r = decai__accept_byte(&a, text[i++]);
    if (r == DECAI__ACCEPT_BEFORE) i--;
    else if (r == DECAI__ACCEPT_MORE && (a.depth || !decai__accept_whole(&a))) return false;
    while (i < len && decai__is_blank(text[i])) i++;
    return r >= 0 && i == len;
}

static uint64_t random_state = 7;

static size_t
below(size_t n)
{
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (size_t)((z ^ z >> 31) % n);
}

/* What is accepted is what the strict reader takes, names that repeat apart. */
static void
test_accepts_what_the_reader_takes(void **state)
{
    static const char *const seeds[] = { "{\"a\": [1, -2.5e+3, {}, [], \"x\\u00e9\\ud83d\\ude00\\n\"], \"b\": true}", "[false, null, 0, 0.0, 1E5]", "\"a\\\"b\\/\"", " -0.5 ", "12",
        "{\"a\":{\"a\":{\"b\":[[[1]]]}}}", "[\"\\ud800\"]", "\"\\u0000\"", "{}", "[[],{}]" };
    static const char letters[] = "{}[]\",:\\u0d1823eE+-.aftnrl \n";
    size_t taken = 0;
    (void)state;
    for (uint32_t round = 0; round < 300000; round++) {
        const char *seed = seeds[below(DECAI__COUNT(seeds))];
        char text[128];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        for (size_t n = below(4); n-- && len;) {
            size_t at = below(len);
            if (below(3)) text[at] = letters[below(sizeof letters - 1)];
            else if (below(2)) memmove(text + at, text + at + 1, --len - at);
            else memmove(text + at + 1, text + at, len - at), len++, text[at] = letters[below(sizeof letters - 1)];
        }
        bool want = !decai_json_verify(ctx, text, len);
        if (!want && strstr(decai_error_detail(), "there before")) continue;
        taken += want;
        if (accepts(text, len) != want) fail_msg("%.*s: %s", (int)len, text, want ? "taken by the reader alone" : decai_error_detail());
    }
    assert_true(taken > 30000);
    for (size_t depth = DECAI_JSON_DEPTH_MAX - 1; depth <= DECAI_JSON_DEPTH_MAX + 1; depth++) {
        char text[2 * DECAI_JSON_DEPTH_MAX + 8];
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(accepts(text, 2 * depth), depth <= DECAI_JSON_DEPTH_MAX);
        assert_int_equal(accepts(text, 2 * depth), !decai_json_verify(ctx, text, 2 * depth));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_linear), cmocka_unit_test(test_accepts_what_the_reader_takes) };
    return cmocka_run_group_tests_name("tok_answer", tests, setup, teardown);
}
