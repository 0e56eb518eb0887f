/* codec_cbor_test.c - the CBOR subset: known encodings (RFC 8949, appendix A,
 * those of the subset), refusals, both sides of every limit, encode(decode(x))
 * = x over damaged bytes, and the text for people. */
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

static size_t unhex(uint8_t *out, const char *hex)
{
    size_t len = strlen(hex) / 2;
    assert_int_equal(decai__hex_decode(out, len, hex, strlen(hex), "test"), 0);
    return len;
}

static void integers(void **state)
{
    static const struct { int64_t v; const char *hex; } cases[] = {
        { 0, "00" }, { 1, "01" }, { 10, "0a" }, { 23, "17" }, { 24, "1818" }, { 25, "1819" }, { 100, "1864" },
        { 255, "18ff" }, { 256, "190100" }, { 1000, "1903e8" }, { 65535, "19ffff" }, { 65536, "1a00010000" },
        { 1000000, "1a000f4240" }, { 4294967295, "1affffffff" }, { 4294967296, "1b0000000100000000" },
        { 1000000000000, "1b000000e8d4a51000" }, { INT64_MAX, "1b7fffffffffffffff" }, { -1, "20" }, { -10, "29" },
        { -24, "37" }, { -25, "3818" }, { -100, "3863" }, { -256, "38ff" }, { -257, "390100" }, { -1000, "3903e7" },
        { INT64_MIN, "3b7fffffffffffffff" },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) {
        uint8_t want[16];
        size_t len = unhex(want, cases[i].hex);
        decai__buf b;
        decai__cbor_writer w;
        decai__cbor_reader r;
        int64_t v = 0;
        decai__buf_init(&b, ctx, 64, "test");
        decai__cbor_writer_init(&w, &b);
        decai__cbor_put_int(&w, cases[i].v);
        assert_int_equal(decai__cbor_writer_end(&w), 0);
        assert_int_equal(b.len, len);
        assert_memory_equal(b.data, want, len);
        assert_int_equal(decai__cbor_reader_init(&r, want, len, "test"), 0);
        assert_int_equal(decai__cbor_get_int(&r, &v), 0);
        assert_true(v == cases[i].v);
        assert_int_equal(decai__cbor_reader_end(&r), 0);
        decai__buf_free(&b);
    }
}

static void valid(void **state)
{
    static const char *const cases[] = {
        "1bffffffffffffffff", "3bffffffffffffffff", "40", "4401020304", "60", "6161", "6449455446", "62225c", "62c3bc",
        "63e6b0b4", "64f0908591", "80", "83010203", "8301820203820405", "a0", "a201020304", "a301010218180301",
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819", "a10081a100a0", "8180",
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) {
        uint8_t data[64];
        if (decai__cbor_check(data, unhex(data, cases[i]), "test")) fail_msg("%s: %s", cases[i], decai_error_detail());
    }
}

static void invalid(void **state)
{
    static const struct { const char *hex; int32_t code; } cases[] = {
        { "", DECAI_E_CORRUPT }, { "0000", DECAI_E_CORRUPT },                              /* nothing; two items */
        { "1800", DECAI_E_CORRUPT }, { "1817", DECAI_E_CORRUPT }, { "1900ff", DECAI_E_CORRUPT },
        { "1a0000ffff", DECAI_E_CORRUPT }, { "1b00000000ffffffff", DECAI_E_CORRUPT },      /* longer than needed */
        { "3817", DECAI_E_CORRUPT }, { "580100", DECAI_E_CORRUPT }, { "780161", DECAI_E_CORRUPT },
        { "980100", DECAI_E_CORRUPT }, { "b8010000", DECAI_E_CORRUPT },
        { "18", DECAI_E_CORRUPT }, { "19ff", DECAI_E_CORRUPT }, { "1bffffffffffffff", DECAI_E_CORRUPT },
        { "41", DECAI_E_CORRUPT }, { "420a", DECAI_E_CORRUPT }, { "5bffffffffffffffff", DECAI_E_CORRUPT },
        { "61ff", DECAI_E_CORRUPT }, { "62c328", DECAI_E_CORRUPT }, { "63eda080", DECAI_E_CORRUPT },
        { "81", DECAI_E_CORRUPT }, { "8201", DECAI_E_CORRUPT }, { "9bffffffffffffffff", DECAI_E_CORRUPT },
        { "a1", DECAI_E_CORRUPT }, { "a100", DECAI_E_CORRUPT }, { "bb8000000000000000", DECAI_E_CORRUPT },
        { "1c", DECAI_E_CORRUPT }, { "1d", DECAI_E_CORRUPT }, { "1e", DECAI_E_CORRUPT }, { "5c", DECAI_E_CORRUPT },
        { "5f4100ff", DECAI_E_UNSUPPORTED }, { "7f6161ff", DECAI_E_UNSUPPORTED }, { "9f00ff", DECAI_E_UNSUPPORTED },
        { "bf0000ff", DECAI_E_UNSUPPORTED }, { "1f", DECAI_E_UNSUPPORTED }, { "3f", DECAI_E_UNSUPPORTED },
        { "c000", DECAI_E_UNSUPPORTED }, { "d9d9f700", DECAI_E_UNSUPPORTED }, { "c2420102", DECAI_E_UNSUPPORTED },
        { "f4", DECAI_E_UNSUPPORTED }, { "f5", DECAI_E_UNSUPPORTED }, { "f6", DECAI_E_UNSUPPORTED },
        { "f7", DECAI_E_UNSUPPORTED }, { "f93c00", DECAI_E_UNSUPPORTED }, { "fa47c35000", DECAI_E_UNSUPPORTED },
        { "fb3ff199999999999a", DECAI_E_UNSUPPORTED }, { "ff", DECAI_E_UNSUPPORTED }, { "81f6", DECAI_E_UNSUPPORTED },
        { "a2010001ff", DECAI_E_CORRUPT }, { "a202000100", DECAI_E_CORRUPT },
        { "a161610000", DECAI_E_UNSUPPORTED }, { "a12000", DECAI_E_UNSUPPORTED }, { "a1800000", DECAI_E_UNSUPPORTED },
        { "a1400000", DECAI_E_UNSUPPORTED }, { "a2010001", DECAI_E_CORRUPT },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) {
        uint8_t data[64];
        int32_t r = decai__cbor_check(data, unhex(data, cases[i].hex), "receipt");
        if (r != cases[i].code) fail_msg("%s: %d", cases[i].hex, r);
        assert_non_null(strstr(decai_error_detail(), "receipt: byte "));
    }
    uint8_t twice[] = { 0xa2, 1, 0, 1, 0 };
    assert_int_equal(decai__cbor_check(twice, sizeof twice, "receipt"), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "second time"));
}

static void limits(void **state)
{
    (void)state;
    for (size_t depth = DECAI_CBOR_DEPTH_MAX - 1; depth <= DECAI_CBOR_DEPTH_MAX + 1; depth++) {
        uint8_t data[DECAI_CBOR_DEPTH_MAX + 2];
        decai__buf b;
        decai__cbor_writer w;
        memset(data, 0x81, depth);
        data[depth] = 0;
        assert_int_equal(decai__cbor_check(data, depth + 1, "test"), depth > DECAI_CBOR_DEPTH_MAX ? DECAI_E_LIMIT : 0);
        decai__buf_init(&b, ctx, 64, "test");
        decai__cbor_writer_init(&w, &b);
        for (size_t i = 0; i < depth; i++) decai__cbor_put_array(&w, 1);
        decai__cbor_put_uint(&w, 0);
        assert_int_equal(decai__cbor_writer_end(&w), depth > DECAI_CBOR_DEPTH_MAX ? DECAI_E_INTERNAL : 0);
        decai__buf_free(&b);
    }
    uint8_t *big = calloc(1, DECAI_CBOR_BYTES_MAX + 1);
    assert_non_null(big);
    for (size_t len = DECAI_CBOR_BYTES_MAX - 1; len <= DECAI_CBOR_BYTES_MAX + 1; len++) {
        big[0] = 0x5a;
        decai__store_be32(big + 1, (uint32_t)(len - 5));
        assert_int_equal(decai__cbor_check(big, len, "test"), len > DECAI_CBOR_BYTES_MAX ? DECAI_E_LIMIT : 0);
    }
    free(big);
}

static void pull(void **state)
{
    decai__buf b;
    decai__cbor_writer w;
    decai__cbor_reader r;
    decai__u256 amount = decai__u256_from_u64(5), got;
    const uint8_t *bytes;
    const char *text;
    uint64_t count, key, v;
    uint8_t fixed[32];
    size_t len;
    (void)state;
    decai__buf_init(&b, ctx, 4096, "test");
    decai__cbor_writer_init(&w, &b);
    decai__cbor_put_map(&w, 4);
    decai__cbor_put_key_uint(&w, 1, 7);
    decai__cbor_put_key_text(&w, 2, "hi", 2);
    decai__cbor_put_uint(&w, 3);
    decai__cbor_put_array(&w, 2);
    decai__cbor_put_bytes(&w, "abc", 3);
    decai__cbor_put_map(&w, 1);
    decai__cbor_put_key_bytes(&w, 0, "x", 1);
    decai__cbor_put_uint(&w, 9);
    decai__cbor_put_u256(&w, &amount);
    assert_int_equal(decai__cbor_writer_end(&w), 0);

    assert_int_equal(decai__cbor_reader_init(&r, b.data, b.len, "receipt"), 0);
    assert_int_equal(decai__cbor_get_map(&r, &count), 0);
    assert_int_equal(count, 4);
    assert_int_equal(decai__cbor_get_key(&r, &key), 0);
    assert_int_equal(key, 1);
    assert_int_equal(decai__cbor_get_uint(&r, &v), 0);
    assert_int_equal(v, 7);
    assert_int_equal(decai__cbor_get_key(&r, &key), 0);
    assert_int_equal(decai__cbor_get_text(&r, &text, &len), 0);
    assert_memory_equal(text, "hi", len);
    assert_int_equal(decai__cbor_get_key(&r, &key), 0);
    decai__cbor_reader here = r;
    assert_int_equal(decai__cbor_skip(&r), 0);
    assert_int_equal(decai__cbor_get_key(&r, &key), 0);
    assert_int_equal(key, 9);
    r = here;
    assert_int_equal(decai__cbor_get_array(&r, &count), 0);
    assert_int_equal(decai__cbor_get_bytes(&r, &bytes, &len), 0);
    assert_int_equal(len, 3);
    assert_int_equal(decai__cbor_get_map(&r, &count), 0);
    assert_int_equal(decai__cbor_get_key(&r, &key), 0);
    assert_int_equal(decai__cbor_get_fixed(&r, fixed, 1), 0);
    assert_int_equal(decai__cbor_reader_end(&r), DECAI_E_CORRUPT);     /* not yet */
    assert_int_equal(decai__cbor_get_key(&r, &key), 0);
    assert_int_equal(key, 9);
    assert_int_equal(decai__cbor_get_u256(&r, &got), 0);
    assert_int_equal(decai__u256_cmp(&got, &amount), 0);
    assert_int_equal(decai__cbor_reader_end(&r), 0);
    assert_int_equal(decai__cbor_get_uint(&r, &v), DECAI_E_CORRUPT);   /* nothing is left */

    /* the wrong type names field, place and types */
    r = here;
    r.field = "amount";
    assert_int_equal(decai__cbor_get_uint(&r, &v), DECAI_E_CORRUPT);
    assert_string_equal(decai_error_detail(), "receipt.amount: byte 8: array where uint should be");
    decai__buf_free(&b);
}

static void writer_misuse(void **state)
{
    (void)state;
    for (int kind = 0; kind < 7; kind++) {
        decai__buf b;
        decai__cbor_writer w;
        decai__buf_init(&b, ctx, 64, "test");
        decai__cbor_writer_init(&w, &b);
        if (kind == 0) decai__cbor_put_array(&w, 2), decai__cbor_put_uint(&w, 1);                 /* one short */
        if (kind == 1) decai__cbor_put_uint(&w, 1), decai__cbor_put_uint(&w, 1);                  /* one too many */
        if (kind == 2) decai__cbor_put_map(&w, 2), decai__cbor_put_key_uint(&w, 2, 0), decai__cbor_put_key_uint(&w, 1, 0);
        if (kind == 3) decai__cbor_put_map(&w, 2), decai__cbor_put_key_uint(&w, 1, 0), decai__cbor_put_key_uint(&w, 1, 0);
        if (kind == 4) decai__cbor_put_map(&w, 1), decai__cbor_put_text(&w, "k", 1), decai__cbor_put_uint(&w, 0);
        if (kind == 6) decai__cbor_put_text(&w, "\xff", 1);
        assert_int_equal(decai__cbor_writer_end(&w), kind == 6 ? DECAI_E_INVALID : DECAI_E_INTERNAL);
        decai__buf_free(&b);
    }
}

static void shown(const char *hex, const char *want)
{
    uint8_t data[256];
    decai__buf b;
    decai__buf_init(&b, ctx, 4096, "test");
    if (decai__cbor_format(&b, data, unhex(data, hex), "test")) fail_msg("%s: %s", hex, decai_error_detail());
    decai__buf_add_byte(&b, 0);
    assert_string_equal((char *)b.data, want);
    decai__buf_free(&b);
}

static void for_people(void **state)
{
    (void)state;
    shown("00", "0");
    shown("3bffffffffffffffff", "-18446744073709551616");
    shown("43010203", "h'010203'");
    shown("40", "h''");
    shown("62610a", "\"a\\n\"");
}

static void for_people_nested(void **state)
{
    (void)state;
    shown("80", "[]");
    shown("a0", "{}");
    shown("8180", "[\n  []\n]");
    shown("a201820203050a", "{\n  1: [\n    2,\n    3\n  ],\n  5: 10\n}");
    shown("a1008120", "{\n  0: [\n    -1\n  ]\n}");
    shown("820146a10182182040", "[\n  1,\n  <<{\n    1: [\n      32,\n      h''\n    ]\n  }>>\n]");
    shown("43810000", "h'810000'");                                    /* one item and a byte: just bytes */
}

/* ---- damaged bytes -------------------------------------------------------------- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static size_t roll(size_t below)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (size_t)(random_state >> 11) % below;
}

/* What was accepted is written again by the writer and must be the same bytes. */
static void again(const uint8_t *data, size_t len)
{
    decai__cbor_reader r;
    decai__cbor_writer w;
    decai__cbor_item item;
    decai__buf b;
    decai__buf_init(&b, ctx, 1 << 16, "test");
    decai__cbor_writer_init(&w, &b);
    assert_int_equal(decai__cbor_reader_init(&r, data, len, "test"), 0);
    while (decai__cbor_next(&r, &item) == 1) switch (item.type) {
        case DECAI__CBOR_UINT: decai__cbor_put_uint(&w, item.value); break;
        case DECAI__CBOR_NINT:
            if (item.value > INT64_MAX) {
                decai__buf_free(&b);                                   /* the writer has no such integer */
                return;
            }
            decai__cbor_put_int(&w, -1 - (int64_t)item.value);
            break;
        case DECAI__CBOR_BYTES: decai__cbor_put_bytes(&w, item.data, item.len); break;
        case DECAI__CBOR_TEXT: decai__cbor_put_text(&w, (const char *)item.data, item.len); break;
        case DECAI__CBOR_ARRAY: decai__cbor_put_array(&w, item.value); break;
        default: decai__cbor_put_map(&w, item.value); break;
    }
    assert_int_equal(decai__cbor_writer_end(&w), 0);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.data, data, len);
    decai__buf_free(&b);
}

static void mutations(void **state)
{
    static const char *const seeds[] = {
        "a3010702626869038243616263a1004178", "8301820203820405", "a5000101020203031818041a000f4240",
        "840158100102030405060708090a0b0c0d0e0f10a201182002386380",
    };
    const char *deep = getenv("DECAI_DEEP");
    size_t total = deep && *deep == '1' ? 200000 : 6000, accepted = 0;
    (void)state;
    for (size_t i = 0; i < total; i++) {
        uint8_t data[160];
        size_t len = unhex(data, seeds[i % DECAI__COUNT(seeds)]);
        for (size_t k = roll(3) + 1; k-- > 0 && len;) {
            size_t at = roll(len);
            if (roll(4) == 0) len = at;
            else if (roll(3) == 0) data[at] = (uint8_t)roll(256);
            else if (roll(2)) data[at] ^= (uint8_t)(1 << roll(8));
            else memmove(data + at, data + at + 1, --len - at);
        }
        uint8_t *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, data, len);
        int32_t r = decai__cbor_check(exact, len, "test");
        assert_true(r == 0 || r == DECAI_E_CORRUPT || r == DECAI_E_LIMIT || r == DECAI_E_UNSUPPORTED);
        if (!r) {
            decai__buf b;
            accepted++;
            again(exact, len);
            decai__buf_init(&b, ctx, 1 << 16, "test");
            assert_int_equal(decai__cbor_format(&b, exact, len, "test"), 0);
            decai__buf_free(&b);
        }
        free(exact);
    }
    printf("# cbor: %zu mutations, %zu still valid\n", total, accepted);
    assert_true(accepted > total / 100 && accepted < total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers), cmocka_unit_test(valid), cmocka_unit_test(invalid), cmocka_unit_test(limits),
        cmocka_unit_test(pull), cmocka_unit_test(writer_misuse), cmocka_unit_test(for_people),
        cmocka_unit_test(for_people_nested), cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
