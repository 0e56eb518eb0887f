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
        cmocka_unit_test(cbor), cmocka_unit_test(cbor_text_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
