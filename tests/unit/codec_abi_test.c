/* codec_abi_test.c - abi.encode against the ethers.js vectors (those whose types
 * the encoder has), and hex and UTF-8, the small codecs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"

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

static void encodes_to(const decai__abi_value *v, size_t count, const char *hex)
{
    uint8_t want[2048];
    size_t len = strlen(hex) / 2;
    decai__buf b;
    assert_int_equal(decai__hex_decode(want, len, hex, strlen(hex), "test"), 0);
    decai__buf_init(&b, ctx, 1 << 16, "test");
    assert_int_equal(decai__abi_encode(&b, v, count), 0);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.data, want, len);
    decai__buf_free(&b);
}

#define W0(n) "00000000000000000000000000000000000000000000000000000000000000" n

/* The example of the ABI specification: (uint256 0x123, uint32[] {0x456,
 * 0x789}, bytes10 "1234567890", bytes "Hello, world!"). */
static void specification(void **state)
{
    uint8_t ten[32] = "1234567890";
    uint8_t number[32] = { 0 };
    const decai__abi_value array[] = { { .type = DECAI__ABI_UINT64, .number = 0x456 },
        { .type = DECAI__ABI_UINT64, .number = 0x789 } };
    const decai__abi_value v[] = {
        { .type = DECAI__ABI_UINT256, .data = number, .len = 32 },
        { .type = DECAI__ABI_ARRAY, .items = array, .len = 2 },
        { .type = DECAI__ABI_BYTES32, .data = ten, .len = 32 },
        { .type = DECAI__ABI_BYTES, .data = "Hello, world!", .len = 13 },
    };
    (void)state;
    number[30] = 1;
    number[31] = 0x23;
    encodes_to(v, 4, "0000000000000000000000000000000000000000000000000000000000000123"
        W0("80") "3132333435363738393000000000000000000000000000000000000000000000" W0("e0") W0("02")
        "0000000000000000000000000000000000000000000000000000000000000456"
        "0000000000000000000000000000000000000000000000000000000000000789" W0("0d")
        "48656c6c6f2c20776f726c642100000000000000000000000000000000000000");
}

static void refusals(void **state)
{
    uint8_t word[32] = { 0 };
    const decai__abi_value mixed[] = { { .type = DECAI__ABI_UINT64 }, { .type = DECAI__ABI_BOOL } };
    const decai__abi_value bad[] = {
        { .type = DECAI__ABI_BOOL, .number = 2 }, { .type = DECAI__ABI_ADDRESS, .data = word, .len = 32 },
        { .type = DECAI__ABI_UINT256, .data = NULL, .len = 32 }, { .type = DECAI__ABI_STRING, .data = "\xff", .len = 1 },
        { .type = DECAI__ABI_ARRAY, .items = mixed, .len = 2 },
    };
    decai__abi_value nested[DECAI__ABI_DEPTH_MAX + 1];
    decai__buf b;
    (void)state;
    decai__buf_init(&b, ctx, 1 << 16, "test");
    for (size_t i = 0; i < DECAI__COUNT(bad); i++) assert_int_equal(decai__abi_encode(&b, &bad[i], 1), DECAI_E_INVALID);
    const decai__abi_value unknown = { .type = 99 };
    assert_int_equal(decai__abi_encode(&b, &unknown, 1), DECAI_E_UNSUPPORTED);
    assert_int_equal(b.len, 0);
    nested[0] = (decai__abi_value){ .type = DECAI__ABI_UINT64 };
    for (size_t depth = 1; depth <= DECAI__ABI_DEPTH_MAX; depth++)
        nested[depth] = (decai__abi_value){ .type = DECAI__ABI_TUPLE, .items = &nested[depth - 1], .len = 1 };
    assert_int_equal(decai__abi_encode(&b, &nested[DECAI__ABI_DEPTH_MAX - 2], 1), 0);
    assert_int_equal(decai__abi_encode(&b, &nested[DECAI__ABI_DEPTH_MAX - 1], 1), 0);
    assert_int_equal(decai__abi_encode(&b, &nested[DECAI__ABI_DEPTH_MAX], 1), DECAI_E_LIMIT);
    decai__buf_free(&b);
}

/* ---- ethers.js: "verbose" gives type and value, "encoded" the result ------------- */

#define POOL 4096
static decai__abi_value pool[POOL];
static uint8_t bytes[1 << 18];
static size_t pool_used, bytes_used;

static bool convert(const decai__json *doc, const decai__json_node *node, decai__abi_value *out);

static bool convert_hex(const decai__json *doc, const decai__json_node *value, decai__abi_value *out, int32_t type,
    size_t want)
{
    const char *text;
    size_t len;
    assert_int_equal(decai__json_str(doc, value, &text, &len), 0);
    size_t n = (len - 2) / 2;
    if (want && n != want) return false;
    assert_true(bytes_used + n <= sizeof bytes);
    assert_int_equal(decai__hex_decode(bytes + bytes_used, n, text, len, "test"), 0);
    *out = (decai__abi_value){ .type = type, .data = bytes + bytes_used, .len = n };
    bytes_used += n;
    return true;
}

static bool convert_children(const decai__json *doc, const decai__json_node *value, decai__abi_value *out, int32_t type)
{
    size_t n = decai__json_count(value), i = 0;
    decai__abi_value *items = pool + pool_used;
    assert_true(pool_used + n <= POOL);
    pool_used += n;
    for (const decai__json_node *at = decai__json_first(value); at; at = decai__json_next(at), i++)
        if (!convert(doc, at, &items[i])) return false;
    *out = (decai__abi_value){ .type = type, .items = items, .len = n };
    return true;
}

/* Only what the encoder has; signed numbers, short bytesN and fixed arrays are
 * for the chain room. */
static bool convert(const decai__json *doc, const decai__json_node *node, decai__abi_value *out)
{
    const decai__json_node *value = decai__json_find(node, "value");
    const char *type, *text;
    size_t len;
    decai__u256 v;
    bool b;
    assert_int_equal(decai__json_get_str(doc, node, "type", &type, NULL), 0);
    if (!strcmp(type, "string")) {
        assert_int_equal(decai__json_str(doc, value, &text, &len), 0);
        *out = (decai__abi_value){ .type = DECAI__ABI_STRING, .data = text, .len = len };
        return true;
    }
    if (!strcmp(type, "boolean")) {
        assert_int_equal(decai__json_bool(doc, value, &b), 0);
        *out = (decai__abi_value){ .type = DECAI__ABI_BOOL, .number = b };
        return true;
    }
    if (!strcmp(type, "number")) {
        if (decai__json_u256(doc, value, &v)) return false;            /* negative */
        decai__u256_to_be(bytes + bytes_used, &v);
        *out = (decai__abi_value){ .type = DECAI__ABI_UINT256, .data = bytes + bytes_used, .len = 32 };
        bytes_used += 32;
        return true;
    }
    if (!strcmp(type, "address")) return convert_hex(doc, value, out, DECAI__ABI_ADDRESS, 20);
    if (!strcmp(type, "hexstring")) return convert_hex(doc, value, out, DECAI__ABI_BYTES, 0);
    if (!strcmp(type, "object")) return convert_children(doc, value, out, DECAI__ABI_TUPLE);
    if (!strcmp(type, "array")) return convert_children(doc, value, out, DECAI__ABI_ARRAY);
    return false;
}

/* bytesN and T[k] look in "verbose" like bytes and T[]: go by the type text. */
static bool has_type(const char *type)
{
    for (const char *at = type; (at = strstr(at, "bytes")) != NULL; at += 5)
        if (at[5] >= '0' && at[5] <= '9') return false;
    for (const char *at = type; (at = strchr(at, '[')) != NULL; at++)
        if (at[1] != ']') return false;
    return !strstr(type, "fixed");
}

static void ethers(void **state)
{
    static char text[DECAI_JSON_TEXT_MAX];
    static uint8_t want[1 << 17];
    char command[600];
    const char *dir = getenv("DECAI_VECTORS");
    size_t checked = 0, total = 0;
    decai__json *doc = NULL;
    (void)state;
    snprintf(command, sizeof command, "%s/ethers/abi.json.gz", dir ? dir : "../shared/vectors");
    FILE *f = fopen(command, "rb");
    if (!f) {
        printf("# skip: no %s\n", command);
        skip();
        return;
    }
    fclose(f);
    snprintf(command, sizeof command, "gzip -dc '%s/ethers/abi.json.gz'", dir ? dir : "../shared/vectors");
    f = popen(command, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof text, f);
    assert_int_equal(pclose(f), 0);
    if (decai__json_parse(ctx, &doc, text, len)) fail_msg("%s", decai_error_detail());
    for (const decai__json_node *c = decai__json_first(decai__json_root(doc)); c; c = decai__json_next(c), total++) {
        const char *type, *hex;
        size_t hex_len;
        decai__abi_value v;
        decai__buf b;
        assert_int_equal(decai__json_get_str(doc, c, "type", &type, NULL), 0);
        pool_used = bytes_used = 0;
        if (!has_type(type) || !convert(doc, decai__json_find(c, "verbose"), &v)) continue;
        assert_int_equal(decai__json_get_str(doc, c, "encoded", &hex, &hex_len), 0);
        assert_true((hex_len - 2) / 2 <= sizeof want);
        assert_int_equal(decai__hex_decode(want, (hex_len - 2) / 2, hex, hex_len, "test"), 0);
        decai__buf_init(&b, ctx, 1 << 18, "test");
        if (decai__abi_encode(&b, &v, 1)) fail_msg("%s: %s", type, decai_error_detail());
        if (b.len != (hex_len - 2) / 2 || memcmp(b.data, want, b.len)) fail_msg("%s: another encoding", type);
        decai__buf_free(&b);
        checked++;
    }
    decai__json_free(doc);
    printf("# abi: %zu of %zu vectors are of our types\n", checked, total);
    assert_true(checked >= 50);
}

/* ---- hex ------------------------------------------------------------------------- */

static void hex_secret(void **state)
{
    (void)state;
    for (int high = 0; high < 256; high++)
        for (int low = 0; low < 256; low++) {
            char text[2] = { (char)high, (char)low }, back[2], plain[2];
            uint8_t a = 1, b = 2;
            int32_t ra = decai__hex_decode(&a, 1, text, 2, "test"), rb = decai__hex_decode_secret(&b, 1, text, 2);
            assert_int_equal(ra, rb);
            if (ra) {
                assert_int_equal(b, 0);
                continue;
            }
            assert_int_equal(a, b);
            decai__hex_encode(plain, &a, 1);
            decai__hex_encode_secret(back, &b, 1);
            assert_memory_equal(plain, back, 2);
        }
    uint8_t out[2];
    assert_int_equal(decai__hex_decode_secret(out, 2, "0x12", 4), DECAI_E_CORRUPT);
    assert_int_equal(decai__hex_decode_secret(out, 2, "123", 3), DECAI_E_CORRUPT);
    assert_int_equal(decai__hex_decode(out, 2, "0x1234", 6, "test"), 0);
    assert_int_equal(decai__hex_decode(out, 2, "0X1234", 6, "test"), DECAI_E_CORRUPT);
}

/* Against a second, plain statement of RFC 3629: decode, then judge the number. */
static bool plain_utf8(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t cp = p[i];
        size_t n = cp < 0x80 ? 1 : (cp & 0xe0) == 0xc0 ? 2 : (cp & 0xf0) == 0xe0 ? 3 : (cp & 0xf8) == 0xf0 ? 4 : 0;
        static const uint32_t mask[5] = { 0, 0x7f, 0x1f, 0x0f, 0x07 }, least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
        if (!n || n > len - i) return false;
        cp &= mask[n];
        for (size_t k = 1; k < n; k++) {
            if ((p[i + k] & 0xc0) != 0x80) return false;
            cp = cp << 6 | (p[i + k] & 0x3f);
        }
        if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) return false;
        i += n;
    }
    return true;
}

static void utf8(void **state)
{
    static const uint8_t edges[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
        0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff };
    enum { E = sizeof edges };
    (void)state;
    for (size_t i = 0; i < (size_t)E * E * E * E; i++) {
        uint8_t p[4] = { edges[i % E], edges[i / E % E], edges[i / E / E % E], edges[i / E / E / E] };
        for (size_t len = 1; len <= 4; len++)
            if ((decai__utf8_valid((const char *)p, len) == len) != plain_utf8(p, len))
                fail_msg("%02x %02x %02x %02x, %zu bytes", p[0], p[1], p[2], p[3], len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specification), cmocka_unit_test(refusals), cmocka_unit_test(ethers),
        cmocka_unit_test(hex_secret), cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
