/* codec_api_test.c - codec from outside: every function on good and bad arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"

static decai_context *ctx;

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

static void hex_encode(void **state)
{
    const uint8_t data[] = { 0x00, 0x9a, 0xff };
    char out[8] = "........";
    size_t len = 9;
    (void)state;
    assert_int_equal(decai_hex_encode(NULL, 0, &len, data, 3), DECAI_E_SPACE);
    assert_int_equal(len, 6);
    assert_int_equal(decai_hex_encode(out, 5, &len, data, 3), DECAI_E_SPACE);
    assert_memory_equal(out, "........", 8);
    assert_int_equal(decai_hex_encode(out, 6, &len, data, 3), 0);
    assert_memory_equal(out, "009aff..", 8);
    assert_int_equal(decai_hex_encode(NULL, 0, &len, NULL, 0), 0);
    assert_int_equal(len, 0);
    assert_int_equal(decai_hex_encode(out, 6, NULL, data, 3), DECAI_E_INVALID);
    assert_int_equal(decai_hex_encode(NULL, 6, &len, data, 3), DECAI_E_INVALID);
    assert_int_equal(decai_hex_encode(out, 6, &len, NULL, 3), DECAI_E_INVALID);
}

static void hex_decode(void **state)
{
    uint8_t out[3] = { 7, 7, 7 };
    size_t len = 9;
    (void)state;
    assert_int_equal(decai_hex_decode(NULL, 0, &len, "009aFF", 6), DECAI_E_SPACE);
    assert_int_equal(len, 3);
    assert_int_equal(decai_hex_decode(out, 2, &len, "009aFF", 6), DECAI_E_SPACE);
    assert_int_equal(out[0], 7);
    assert_int_equal(decai_hex_decode(out, 3, &len, "009aFF", 6), 0);
    assert_memory_equal(out, "\x00\x9a\xff", 3);
    /* A fault at the end leaves the start unwritten, and comes before the size. */
    out[0] = 7;
    assert_int_equal(decai_hex_decode(out, 3, &len, "009ag0", 6), DECAI_E_CORRUPT);
    assert_int_equal(out[0], 7);
    assert_int_equal(len, 0);
    assert_non_null(strstr(decai_error_detail(), "byte 4"));
    assert_int_equal(decai_hex_decode(NULL, 0, &len, "zz", 2), DECAI_E_CORRUPT);
    assert_int_equal(decai_hex_decode(out, 3, &len, "009", 3), DECAI_E_CORRUPT);
    assert_int_equal(decai_hex_decode(out, 3, &len, "0x00", 4), DECAI_E_CORRUPT);
    assert_int_equal(decai_hex_decode(out, 3, NULL, "00", 2), DECAI_E_INVALID);
    assert_int_equal(decai_hex_decode(out, 3, &len, NULL, 2), DECAI_E_INVALID);
    assert_int_equal(decai_hex_decode(NULL, 3, &len, "00", 2), DECAI_E_INVALID);
    assert_int_equal(decai_hex_decode(NULL, 0, &len, NULL, 0), 0);
}

static void hex_limit(void **state)
{
    size_t len;
    (void)state;
    char *text = malloc(DECAI_HEX_TEXT_MAX + 2);
    uint8_t *out = malloc(DECAI_HEX_TEXT_MAX / 2 + 1);
    assert_non_null(text);
    assert_non_null(out);
    memset(text, '5', DECAI_HEX_TEXT_MAX + 2);
    assert_int_equal(decai_hex_decode(out, DECAI_HEX_TEXT_MAX / 2, &len, text, DECAI_HEX_TEXT_MAX - 1), DECAI_E_CORRUPT);
    assert_int_equal(decai_hex_decode(out, DECAI_HEX_TEXT_MAX / 2, &len, text, DECAI_HEX_TEXT_MAX), 0);
    assert_int_equal(decai_hex_decode(out, DECAI_HEX_TEXT_MAX / 2, &len, text, DECAI_HEX_TEXT_MAX + 1), DECAI_E_LIMIT);
    assert_int_equal(decai_hex_encode(text, DECAI_HEX_TEXT_MAX, &len, out, DECAI_HEX_TEXT_MAX / 2 - 1), 0);
    assert_int_equal(decai_hex_encode(text, DECAI_HEX_TEXT_MAX, &len, out, DECAI_HEX_TEXT_MAX / 2), 0);
    assert_int_equal(len, DECAI_HEX_TEXT_MAX);
    assert_int_equal(decai_hex_encode(text, DECAI_HEX_TEXT_MAX + 2, &len, out, DECAI_HEX_TEXT_MAX / 2 + 1), DECAI_E_LIMIT);
    assert_int_equal(len, 0);
    free(text);
    free(out);
}

static void json(void **state)
{
    (void)state;
    assert_int_equal(decai_json_verify(ctx, "{\"a\":[1,2]}", 11), 0);
    assert_int_equal(decai_json_verify(ctx, "{\"a\":1,\"\\u0061\":2}", 18), DECAI_E_CORRUPT);
    assert_string_equal(decai_error_detail(), "json: line 1, column 8: this key was there before");
    assert_int_equal(decai_json_verify(ctx, NULL, 0), DECAI_E_CORRUPT);
    assert_int_equal(decai_json_verify(ctx, NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_json_verify(NULL, "1", 1), DECAI_E_INVALID);
}

#define TEXT(name) static const char name[]

/* Each value of a text: its number, type, children, text, source, path. */
static void json_handle(void **state)
{
    TEXT(text) = " {\"a\" : [1.50, \"x\\ny\", {\"\\u0062\": true}] ,\"\":null, \"c\":{}, \"d\":\"\\\\\"} ";
    static const struct { int32_t type; uint64_t count; const char *key, *text, *source, *path; } want[] = {
        { DECAI_JSON_OBJECT, 4, NULL, NULL, NULL, "" },
        { DECAI_JSON_ARRAY, 3, "a", NULL, "[1.50, \"x\\ny\", {\"\\u0062\": true}]", "a" },
        { DECAI_JSON_NUMBER, 0, NULL, "1.50", "1.50", "a[0]" },
        { DECAI_JSON_STRING, 0, NULL, "x\ny", "\"x\\ny\"", "a[1]" },
        { DECAI_JSON_OBJECT, 1, NULL, NULL, "{\"\\u0062\": true}", "a[2]" },
        { DECAI_JSON_BOOL, 0, "b", "true", "true", "a[2].b" },
        { DECAI_JSON_NULL, 0, "", "null", "null", "" },
        { DECAI_JSON_OBJECT, 0, "c", NULL, "{}", "c" },
        { DECAI_JSON_STRING, 0, "d", "\\", "\"\\\\\"", "d" },
    };
    decai_json *json = NULL;
    int32_t type, value;
    uint64_t count;
    char out[128];
    size_t len;
    (void)state;
    assert_int_equal(decai_json_open(&json, ctx, text, sizeof text - 1), 0);
    for (int32_t i = 0; i < 9; i++) {
        assert_int_equal(decai_json_type_get(json, &type, &count, i), 0);
        assert_int_equal(type, want[i].type);
        assert_int_equal(count, want[i].count);
        assert_int_equal(decai_json_key_get(json, out, sizeof out, &len, i), want[i].key ? 0 : DECAI_E_NOT_FOUND);
        assert_int_equal(len, want[i].key ? strlen(want[i].key) : 0);
        if (want[i].key) assert_memory_equal(out, want[i].key, len);
        assert_int_equal(decai_json_text_get(json, out, sizeof out, &len, i), want[i].text ? 0 : DECAI_E_NOT_FOUND);
        assert_int_equal(len, want[i].text ? strlen(want[i].text) : 0);
        if (want[i].text) assert_memory_equal(out, want[i].text, len);
        assert_int_equal(decai_json_format(json, out, sizeof out, &len, i), 0);
        if (want[i].source) assert_int_equal(len, strlen(want[i].source));
        if (want[i].source) assert_memory_equal(out, want[i].source, len);
        assert_int_equal(decai_json_path_get(json, out, sizeof out, &len, i), 0);
        assert_int_equal(len, strlen(want[i].path));
        assert_memory_equal(out, want[i].path, len);
    }
    assert_int_equal(decai_json_get(json, &value, 0, "c"), 1);
    assert_int_equal(value, 7);
    assert_int_equal(decai_json_get(json, &value, 4, "b"), 1);
    assert_int_equal(value, 5);
    assert_int_equal(decai_json_get(json, &value, 0, "b"), 0);
    assert_int_equal(decai_json_get(json, &value, 1, "a"), 0);
    assert_int_equal(decai_json_at(json, &value, 1, 2), 1);
    assert_int_equal(value, 4);
    assert_int_equal(decai_json_at(json, &value, 1, 3), 0);
    assert_int_equal(decai_json_at(json, &value, 2, 0), 0);
    decai_destroy(json);
}

static void json_handle_refuses(void **state)
{
    decai_json *json = (decai_json *)ctx;
    int32_t type, value = 7;
    uint64_t count;
    size_t len = 9;
    char out[4];
    (void)state;
    assert_int_equal(decai_json_open(&json, ctx, "[1,]", 4), DECAI_E_CORRUPT);
    assert_null(json);
    assert_int_equal(decai_json_open(NULL, ctx, "1", 1), DECAI_E_INVALID);
    assert_int_equal(decai_json_open(&json, NULL, "1", 1), DECAI_E_INVALID);
    assert_int_equal(decai_json_open(&json, ctx, NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_json_open(&json, ctx, NULL, 0), DECAI_E_CORRUPT);
    assert_int_equal(decai_json_open(&json, ctx, "\"12345\"", 7), 0);
    assert_int_equal(decai_json_type_get(json, &type, &count, 1), DECAI_E_INVALID);
    assert_string_equal(decai_error_detail(), "value: 1 is not in 0..0");
    assert_int_equal(decai_json_type_get(json, &type, &count, -1), DECAI_E_INVALID);
    assert_int_equal(decai_json_type_get(json, NULL, &count, 0), DECAI_E_INVALID);
    assert_int_equal(decai_json_type_get(NULL, &type, &count, 0), DECAI_E_INVALID);
    assert_int_equal(decai_json_at(json, NULL, 0, 0), DECAI_E_INVALID);
    assert_int_equal(decai_json_at(json, &value, 1, 0), DECAI_E_INVALID);
    assert_int_equal(value, 0);
    assert_int_equal(decai_json_get(json, &value, 0, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_json_text_get(json, out, sizeof out, &len, 0), DECAI_E_SPACE);
    assert_int_equal(len, 5);
    assert_int_equal(decai_json_text_get(json, NULL, 4, &len, 0), DECAI_E_INVALID);
    assert_int_equal(decai_json_key_get(json, out, sizeof out, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_json_format(json, out, sizeof out, &len, 2), DECAI_E_INVALID);
    assert_int_equal(len, 0);
    assert_int_equal(decai_json_path_get((decai_json *)ctx, out, sizeof out, &len, 0), DECAI_E_INVALID);
    decai_destroy(json);
}

static void cbor(void **state)
{
    static const uint8_t data[] = { 0xa1, 0x01, 0x82, 0x20, 0x41, 0xff };
    static const char want[] = "{\n  1: [\n    -1,\n    h'ff'\n  ]\n}";
    char out[64];
    size_t len = 9;
    (void)state;
    assert_int_equal(decai_cbor_verify(data, sizeof data), 0);
    assert_int_equal(decai_cbor_verify(data, sizeof data - 1), DECAI_E_CORRUPT);
    assert_int_equal(decai_cbor_verify((const uint8_t *)"\xf6", 1), DECAI_E_UNSUPPORTED);
    assert_int_equal(decai_cbor_verify(NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_cbor_verify(NULL, 0), DECAI_E_CORRUPT);
    assert_int_equal(decai_cbor_format(ctx, NULL, 0, &len, data, sizeof data), DECAI_E_SPACE);
    assert_int_equal(len, sizeof want - 1);
    assert_int_equal(decai_cbor_format(ctx, out, sizeof out, &len, data, sizeof data), 0);
    assert_int_equal(len, sizeof want - 1);
    assert_memory_equal(out, want, len);
    assert_int_equal(decai_cbor_format(ctx, out, sizeof out, &len, data, sizeof data - 1), DECAI_E_CORRUPT);
    assert_int_equal(len, 0);
    assert_int_equal(decai_cbor_format(NULL, out, sizeof out, &len, data, sizeof data), DECAI_E_INVALID);
    assert_int_equal(decai_cbor_format(ctx, out, sizeof out, NULL, data, sizeof data), DECAI_E_INVALID);
    assert_int_equal(decai_cbor_format(ctx, NULL, 1, &len, data, sizeof data), DECAI_E_INVALID);
}

/* An item of one-byte elements grows about forty times: the cap on text. */
static void cbor_text_limit(void **state)
{
    size_t len = 9, count = 1 << 24;
    (void)state;
    uint8_t *data = malloc(count);
    assert_non_null(data);
    memset(data, 0, count);
    data[0] = 0x9a;
    data[1] = 0x00, data[2] = 0xff, data[3] = 0xff, data[4] = 0xfb;
    /* "[", then "\n  0" and commas, then "\n]": 5 * n + 2 characters */
    for (size_t n = DECAI_CBOR_TEXT_MAX / 5 - 1; n <= DECAI_CBOR_TEXT_MAX / 5 + 1; n++) {
        data[1] = (uint8_t)(n >> 24), data[2] = (uint8_t)(n >> 16), data[3] = (uint8_t)(n >> 8), data[4] = (uint8_t)n;
        int32_t want = 5 * n + 2 > DECAI_CBOR_TEXT_MAX ? DECAI_E_LIMIT : DECAI_E_SPACE;
        assert_int_equal(decai_cbor_format(ctx, NULL, 0, &len, data, n + 5), want);
        assert_int_equal(len, want == DECAI_E_LIMIT ? 0 : 5 * n + 2);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_encode), cmocka_unit_test(hex_decode), cmocka_unit_test(hex_limit), cmocka_unit_test(json),
        cmocka_unit_test(json_handle), cmocka_unit_test(json_handle_refuses),
        cmocka_unit_test(cbor), cmocka_unit_test(cbor_text_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
