/* tok_json_test.c - tokenizers from tokenizer.json: its limits, what added tokens
 * ask for, its normalizers. Beside Hugging Face's own: tests/python/test_tok.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "tok/internal.h"

static decai_context *ctx;

/* ---- limits ------------------------------------------------------------------------ */

static int32_t open_bytes(const char *text, size_t len)
{
    decai_tokenizer *t;
    int32_t r = decai_tokenizer_open(&t, ctx, (const uint8_t *)text, len, NULL);
    decai_destroy(t);
    return r;
}

static void text_limit(void **state)
{
    (void)state;
    char *text = malloc(DECAI_TOKENIZER_JSON_MAX + 1);
    assert_non_null(text);
    memset(text, ' ', DECAI_TOKENIZER_JSON_MAX + 1);
    memcpy(text, "{}", 2);
    /* Up to the limit the text is read, and holds no model. */
    assert_int_equal(open_bytes(text, DECAI_TOKENIZER_JSON_MAX - 1), DECAI_E_NOT_FOUND);
    assert_int_equal(open_bytes(text, DECAI_TOKENIZER_JSON_MAX), DECAI_E_NOT_FOUND);
    assert_int_equal(open_bytes(text, DECAI_TOKENIZER_JSON_MAX + 1), DECAI_E_LIMIT);
    assert_non_null(strstr(decai_error_detail(), "DECAI_TOKENIZER_JSON_MAX"));
    /* One value too many; the tree of what is just not too many would be large, so
     * the two cases below it stand in for it. */
    text[0] = '[';
    for (size_t i = 0; i < DECAI_TOKENIZER_NODE_MAX; i++) memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * (size_t)DECAI_TOKENIZER_NODE_MAX] = ']';
    assert_int_equal(open_bytes(text, 2 * (size_t)DECAI_TOKENIZER_NODE_MAX + 1), DECAI_E_LIMIT);
    assert_non_null(strstr(decai_error_detail(), "DECAI_TOKENIZER_NODE_MAX"));
    free(text);
}

static void limits_are_followed(void **state)
{
    static const decai__json_limits LIMITS = { 9, 4, "TEXT", "NODES" };
    static const struct { const char *text, *name; int32_t want; } CASE[] = {
        { "[1,2]", NULL, 0 }, { "[1,2,3]", NULL, 0 }, { "[1,2,3,4]", "NODES", DECAI_E_LIMIT },
        { "[1,2]   ", NULL, 0 }, { "[1,2]    ", NULL, 0 }, { "[1,2]     ", "TEXT", DECAI_E_LIMIT },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        decai__json *doc;
        assert_int_equal(decai__json_parse_within(ctx, &doc, CASE[i].text, strlen(CASE[i].text), &LIMITS), CASE[i].want);
        if (CASE[i].name) assert_non_null(strstr(decai_error_detail(), CASE[i].name));
        decai__json_free(doc);
    }
}

static int setup(void **state)
{
    (void)state;
    return decai_context_create(&ctx, NULL);
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_limit), cmocka_unit_test(limits_are_followed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
