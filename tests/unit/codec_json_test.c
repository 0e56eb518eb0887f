/* codec_json_test.c - the strict reader, its errors' places, its limits, the
 * tree, the writer, and thousands of damaged texts. */
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

static decai__json *parse(const char *text)
{
    decai__json *doc = NULL;
    int32_t r = decai__json_parse(ctx, &doc, text, strlen(text));
    if (r) fail_msg("%s: %s", text, decai_error_detail());
    return doc;
}

static void valid(void **state)
{
    static const char *const texts[] = {
        "0", "-0", "1", "-1", "1.5", "1e5", "1E+5", "1e-05", "0.0", "-0.0e0", "123456789012345678901234567890",
        "1e999999", "true", "false", "null", "\"\"", "\"a\"", "[]", "{}", " \t\r\n[ ] ", "[1,2]", "[[],[[]],{}]",
        "{\"a\":1}", "{\"a\":{\"a\":{\"a\":1}}}", "[{\"a\":1},{\"a\":1}]", "{\"\":0,\"a\":0,\"aa\":0}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0041\\uD83D\\uDE00\\uffff\"", "\"\x7f\"", "\"h\xc3\xa9 \xf0\x9f\x98\x80\"",
        "\"\xf4\x8f\xbf\xbf\"", "\"\xed\x9f\xbf\xee\x80\x80\"", "{\"a\":1,\"A\":2,\"\\u00e9\":3}",
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(texts); i++)
        if (decai__json_check(ctx, texts[i], strlen(texts[i])))
            fail_msg("%s: %s", texts[i], decai_error_detail());
}

#define BAD(text) { text, sizeof text - 1 }

static void invalid(void **state)
{
    static const struct { const char *text; size_t len; } texts[] = {
        BAD(""), BAD(" "), BAD("tru"), BAD("True"), BAD("nul"), BAD("nullx"), BAD("NaN"), BAD("Infinity"), BAD("-"), BAD("+1"),
        BAD("01"), BAD("-01"), BAD("00"), BAD("1."), BAD(".5"), BAD("1.e5"), BAD("1e"), BAD("1e+"), BAD("0x1"), BAD("1 2"),
        BAD("[1,]"), BAD("[,1]"), BAD("[1 2]"), BAD("[1"), BAD("["), BAD("]"), BAD("[1]]"), BAD("[1}"), BAD("{"), BAD("{]"),
        BAD("{\"a\"}"), BAD("{\"a\":}"), BAD("{\"a\":1,}"), BAD("{,\"a\":1}"), BAD("{a:1}"), BAD("{1:1}"), BAD("{\"a\" 1}"),
        BAD("{\"a\":1 \"b\":2}"), BAD("{'a':1}"), BAD("{\"a\":1}}"), BAD("\""), BAD("\"a"), BAD("\"a\\"), BAD("\"\\\""),
        BAD("\"\\x41\""), BAD("\"\\u12\""), BAD("\"\\u12g4\""), BAD("\"\\u\""), BAD("\"\n\""), BAD("\"\t\""), BAD("\"\x1f\""),
        BAD("\"\0\""), BAD("\"\\u0000\""), BAD("1\0"), BAD("\"\\ud83d\""), BAD("\"\\ud83dx\""), BAD("\"\\ud83d\\n\""),
        BAD("\"\\ud83d\\ud83d\""), BAD("\"\\ude00\""), BAD("\"\\ud83d\\u0041\""), BAD("\"\x80\""), BAD("\"\xc3\""),
        BAD("\"\xc0\xaf\""), BAD("\"\xc1\xbf\""), BAD("\"\xe0\x80\xaf\""), BAD("\"\xed\xa0\x80\""), BAD("\"\xed\xbf\xbf\""),
        BAD("\"\xf0\x80\x80\xaf\""), BAD("\"\xf4\x90\x80\x80\""), BAD("\"\xf5\x80\x80\x80\""), BAD("\"\xff\""),
        BAD("\"\xe2\x82\""), BAD("\"\xf0\x9f\x98\""), BAD("\xef\xbb\xbf" "1"), BAD("// c\n1"), BAD("1/*c*/"), BAD("\x0b" "1"),
        BAD("\xc2\xa0" "1"), BAD("{\"a\":1,\"a\":1}"), BAD("{\"a\":1,\"b\":2,\"a\":3}"), BAD("{\"a\":1,\"\\u0061\":2}"),
        BAD("{\"\":1,\"\":2}"), BAD("{\"/\":1,\"\\/\":2}"), BAD("[{\"x\":{\"k\":1,\"k\":2}}]"),
        BAD("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), BAD("{\"a\":{\"a\":1},\"b\":0,\"a\":2}"),
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(texts); i++) {
        decai__json *doc = (decai__json *)&doc;
        int32_t r = decai__json_parse(ctx, &doc, texts[i].text, texts[i].len);
        if (r != DECAI_E_CORRUPT) fail_msg("row %zu, %s: %d", i, texts[i].text, r);
        assert_null(doc);
        assert_non_null(strstr(decai_error_detail(), "json: line "));
    }
}

static void places(void **state)
{
    static const struct { const char *text, *place; } cases[] = {
        { "[1,\n 2,\n  x]", "line 3, column 3" }, { "{\"a\": 1,\n\"a\": 2}", "line 2, column 1" },
        { "[1", "line 1, column 3" }, { "\"ab\x01\"", "line 1, column 4" }, { "", "line 1, column 1" },
        { "{\"k\":01}", "line 1, column 6" },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) {
        assert_int_equal(decai__json_check(ctx, cases[i].text, strlen(cases[i].text)), DECAI_E_CORRUPT);
        if (!strstr(decai_error_detail(), cases[i].place)) fail_msg("%s: %s", cases[i].text, decai_error_detail());
    }
}

/* Plain text is passed in steps of 16 and 8: what ends it is seen at every place. */
static void strides(void **state)
{
    (void)state;
    for (size_t n = 0; n < 50; n++) {
        char text[128], want[64];
        for (int c = 1; c < 256; c++) {
            memset(text, 'a', sizeof text);
            text[0] = text[80] = '"';
            text[1 + n] = (char)c;
            int32_t r = decai__json_check(ctx, text, 81);
            bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_int_equal(r, plain ? 0 : DECAI_E_CORRUPT);
            if (plain) continue;
            snprintf(want, sizeof want, "line 1, column %zu:", n + 2 + (c == '"'));
            if (!strstr(decai_error_detail(), c == '\\' ? "escape" : want)) fail_msg("%d at %zu: %s", c, n, decai_error_detail());
        }
        text[1 + n] = '"';
        assert_int_equal(decai__json_check(ctx, text, n + 2), 0);
    }
}

static void depth_limit(void **state)
{
    char text[2 * (DECAI_JSON_DEPTH_MAX + 1) * 5 + 2];
    (void)state;
    for (size_t depth = DECAI_JSON_DEPTH_MAX - 1; depth <= DECAI_JSON_DEPTH_MAX + 1; depth++)
        for (int object = 0; object <= 1; object++) {
            decai__json *doc = NULL;
            size_t at = 0;
            for (size_t i = 0; i < depth; i++)
                at += (size_t)snprintf(text + at, sizeof text - at, object && i + 1 < depth ? "{\"a\":" : object ? "{" : "[");
            for (size_t i = 0; i < depth; i++) text[at++] = object ? '}' : ']';
            int32_t want = depth > DECAI_JSON_DEPTH_MAX ? DECAI_E_LIMIT : 0;
            assert_int_equal(decai__json_parse(ctx, &doc, text, at), want);
            if (want) assert_non_null(strstr(decai_error_detail(), "DECAI_JSON_DEPTH_MAX"));
            decai__json_free(doc);
        }
}

static void size_limits(void **state)
{
    (void)state;
    char *text = malloc(DECAI_JSON_TEXT_MAX + 2);
    assert_non_null(text);
    memset(text, ' ', DECAI_JSON_TEXT_MAX + 2);
    text[0] = '1';
    assert_int_equal(decai__json_check(ctx, text, DECAI_JSON_TEXT_MAX - 1), 0);
    assert_int_equal(decai__json_check(ctx, text, DECAI_JSON_TEXT_MAX), 0);
    assert_int_equal(decai__json_check(ctx, text, DECAI_JSON_TEXT_MAX + 1), DECAI_E_LIMIT);
    /* [1,1,...]: the array is a value too */
    for (size_t nodes = DECAI_JSON_NODE_MAX - 1; nodes <= DECAI_JSON_NODE_MAX + 1; nodes++) {
        size_t at = 0;
        text[at++] = '[';
        for (size_t i = 1; i < nodes; i++) {
            if (i > 1) text[at++] = ',';
            text[at++] = '1';
        }
        text[at++] = ']';
        assert_int_equal(decai__json_check(ctx, text, at), nodes > DECAI_JSON_NODE_MAX ? DECAI_E_LIMIT : 0);
    }
    free(text);
}

/* Many keys, all alike but for their end: the check must not be quadratic. */
static void many_keys(void **state)
{
    enum { KEYS = 200000 };
    char *text = malloc(KEYS * 16 + 64);
    size_t at = 0;
    (void)state;
    assert_non_null(text);
    text[at++] = '{';
    for (size_t i = 0; i < KEYS; i++) at += (size_t)sprintf(text + at, "%s\"k%zu\":0", i ? "," : "", i);
    size_t end = at;
    text[at++] = '}';
    assert_int_equal(decai__json_check(ctx, text, at), 0);
    at = end + (size_t)sprintf(text + end, ",\"k77\":0}");
    assert_int_equal(decai__json_check(ctx, text, at), DECAI_E_CORRUPT);
    free(text);
}

static void tree(void **state)
{
    decai__json *doc = parse("{\"name\":\"caf\\u00e9\",\"bids\":[{\"price\":12,\"who\":\"0x0aFF\"},{\"price\":-3}],"
        "\"total\":\"340282366920938463463374607431768211456\",\"big\":18446744073709551615,\"on\":true,\"none\":null,"
        "\"rate\":1.5}");
    const decai__json_node *root = decai__json_root(doc), *bids, *bid;
    const char *text;
    size_t len;
    int64_t i = 9;
    uint64_t u = 9;
    bool b = false;
    decai__u256 v;
    uint8_t bytes[2];
    (void)state;
    assert_int_equal(decai__json_type(root), DECAI__JSON_OBJECT);
    assert_int_equal(decai__json_count(root), 7);
    assert_int_equal(decai__json_get_str(doc, root, "name", &text, &len), 0);
    assert_string_equal(text, "caf\xc3\xa9");
    assert_int_equal(len, 5);
    assert_int_equal(decai__json_get(doc, root, "bids", DECAI__JSON_ARRAY, &bids), 0);
    bid = decai__json_first(bids);
    assert_int_equal(decai__json_get_i64(doc, bid, "price", &i), 0);
    assert_int_equal(i, 12);
    assert_int_equal(decai__json_get_hex(doc, bid, "who", bytes, 2), 0);
    assert_int_equal(bytes[0], 0x0a);
    assert_int_equal(bytes[1], 0xff);
    assert_int_equal(decai__json_get_hex(doc, bid, "who", bytes, 1), DECAI_E_CORRUPT);
    assert_string_equal(decai_error_detail(), "bids[0].who: 4 hex digits for 1 bytes");
    bid = decai__json_next(bid);
    assert_int_equal(decai__json_get_i64(doc, bid, "price", &i), 0);
    assert_int_equal(i, -3);
    assert_int_equal(decai__json_get_u64(doc, bid, "price", &u), DECAI_E_CORRUPT);
    assert_int_equal(u, 0);
    assert_non_null(strstr(decai_error_detail(), "bids[1].price: "));
    assert_int_equal(decai__json_get_str(doc, bid, "who", &text, &len), DECAI_E_NOT_FOUND);
    assert_string_equal(decai_error_detail(), "bids[1].who: missing");
    assert_int_equal(decai__json_get_str(doc, bid, "price", &text, &len), DECAI_E_CORRUPT);
    assert_string_equal(decai_error_detail(), "bids[1].price: a number, a string is needed");
    assert_int_equal(decai__json_get_u256(doc, root, "total", &v), 0);
    assert_int_equal(v.limb[2], 1);
    assert_int_equal(decai__json_get_u64(doc, root, "big", &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(decai__json_get_i64(doc, root, "big", &i), DECAI_E_LIMIT);
    assert_int_equal(decai__json_get_i64(doc, root, "rate", &i), DECAI_E_CORRUPT);
    assert_int_equal(decai__json_number(doc, decai__json_find(root, "rate"), &text), 0);
    assert_string_equal(text, "1.5");
    assert_int_equal(decai__json_get_bool(doc, root, "on", &b), 0);
    assert_true(b);
    assert_int_equal(decai__json_get_bool(doc, root, "none", &b), DECAI_E_CORRUPT);
    assert_int_equal(decai__json_only(doc, root, "name bids total big on none rate"), 0);
    assert_int_equal(decai__json_only(doc, root, "name bids total big on none rat"), DECAI_E_UNSUPPORTED);
    assert_string_equal(decai_error_detail(), "rate: unknown key");
    assert_null(decai__json_find(bids, "x"));
    assert_int_equal(decai__json_get_str(doc, NULL, "x", &text, &len), DECAI_E_NOT_FOUND);
    decai__json_free(doc);
    decai__json_free(NULL);
}

static void writer(void **state)
{
    decai__buf b;
    decai__json_writer w;
    uint8_t bytes[2] = { 0xab, 1 };
    decai__u256 v = decai__u256_from_u64(77);
    (void)state;
    decai__buf_init(&b, ctx, 4096, "test");
    decai__json_writer_init(&w, &b, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_str(&w, "s", "q\" b\\ \n \x01 \xc3\xa9");
    decai__json_put_i64(&w, "min", INT64_MIN);
    decai__json_put_u64(&w, "max", UINT64_MAX);
    decai__json_put_fixed(&w, "f", -1234, 3);
    decai__json_put_fixed(&w, "g", 5, 3);
    decai__json_put_u256(&w, "v", &v);
    decai__json_put_hex(&w, "h", bytes, 2);
    decai__json_put_array(&w, "a");
    decai__json_put_bool(&w, NULL, true);
    decai__json_put_null(&w, NULL);
    decai__json_put_object(&w, NULL);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    assert_int_equal(decai__json_writer_end(&w), 0);
    decai__buf_add_byte(&b, 0);
    assert_string_equal((char *)b.data, "{\"s\":\"q\\\" b\\\\ \\n \\u0001 \xc3\xa9\",\"min\":-9223372036854775808,"
        "\"max\":18446744073709551615,\"f\":-1.234,\"g\":0.005,\"v\":\"77\",\"h\":\"0xab01\",\"a\":[true,null,{}]}");
    assert_int_equal(decai__json_check(ctx, (char *)b.data, b.len - 1), 0);
    decai__buf_free(&b);
}

static void pretty_writer(void **state)
{
    decai__buf b;
    decai__json_writer w;
    (void)state;
    decai__buf_init(&b, ctx, 4096, "test");
    decai__json_writer_init(&w, &b, true);
    decai__json_put_object(&w, NULL);
    decai__json_put_array(&w, "a");
    decai__json_put_i64(&w, NULL, 1);
    decai__json_put_i64(&w, NULL, 2);
    decai__json_put_end(&w);
    decai__json_put_array(&w, "b");
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    assert_int_equal(decai__json_writer_end(&w), 0);
    decai__buf_add_byte(&b, 0);
    assert_string_equal((char *)b.data, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": []\n}");
    decai__buf_free(&b);
}

/* Misuse is an error that sticks, never a broken text. */
static void writer_misuse(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        decai__buf b;
        decai__json_writer w;
        decai__buf_init(&b, ctx, 4096, "test");
        decai__json_writer_init(&w, &b, false);
        if (kind == 0) decai__json_put_i64(&w, "key", 1);              /* a key at the root */
        if (kind == 1) decai__json_put_end(&w);
        if (kind == 2) decai__json_put_i64(&w, NULL, 1), decai__json_put_i64(&w, NULL, 2);
        if (kind == 3) decai__json_put_object(&w, NULL), decai__json_put_i64(&w, NULL, 1);
        if (kind == 4) decai__json_put_object(&w, NULL);               /* never closed */
        if (kind == 5) decai__json_put_str(&w, NULL, "\xff");
        assert_int_equal(decai__json_writer_end(&w), kind == 5 ? DECAI_E_INVALID : DECAI_E_INTERNAL);
        decai__buf_free(&b);
    }
}

/* ---- damaged texts ------------------------------------------------------------ */

static const char *const seeds[] = {
    "{\"model\":\"tiny\",\"price\":\"1000000000000000000\",\"bids\":[{\"who\":\"a\",\"n\":1},{\"who\":\"b\",\"n\":-2.5e3}],\"ok\":true}",
    "[[1,2,[3,4,{\"k\":[null,false,\"\\u00e9\\ud83d\\ude00\\n\"]}]],\"plain \xc3\xa9\xf0\x9f\x98\x80\",0,-0.0,1e-7]",
    "{\"a\":{\"b\":{\"c\":{\"d\":[[[[[[]]]]]]}}},\"\":\"\",\"\\\"\\\\\\/\":1}",
};
static const char *const pieces[] = {
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "\\udc00", "\\uD83D\\uDE00", "0", "-", ".", "e", "1e9", "true",
    "null", "\xc3", "\xff", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\"a\":", "{\"a\":1,\"a\":2}", "[[[[[[[[", " ", "\n", "\x01",
};

static uint64_t random_state = 0x2545f4914f6cdd1d;

static size_t roll(size_t below)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (size_t)(random_state >> 11) % below;
}

static size_t mutate(char *out, size_t cap, size_t len)
{
    size_t at = len ? roll(len) : 0, n = len ? roll(DECAI__MIN(len - at, (size_t)12) + 1) : 0;
    const char *piece = pieces[roll(DECAI__COUNT(pieces))];
    size_t piece_len = strlen(piece);
    switch (roll(6)) {
    case 0:                                                            /* flip a bit */
        if (len) out[at] ^= (char)(1 << roll(8));
        return len;
    case 1:                                                            /* cut a part out */
        memmove(out + at, out + at + n, len - at - n);
        return len - n;
    case 2:                                                            /* say a part twice */
        if (len + n > cap) return len;
        memmove(out + at + n, out + at, len - at);
        return len + n;
    case 3:                                                            /* cut the end off */
        return at;
    default:                                                           /* put a token in */
        if (len + piece_len > cap) return len;
        memmove(out + at + piece_len, out + at, len - at);
        memcpy(out + at, piece, piece_len);
        return len + piece_len;
    }
}

/* Write a tree back; numbers as strings of their text. */
static void emit(decai__json_writer *w, const decai__json *doc, const decai__json_node *node)
{
    const char *key = decai__json_key(node), *text;
    size_t len;
    bool b;
    switch (decai__json_type(node)) {
    case DECAI__JSON_NULL: decai__json_put_null(w, key); return;
    case DECAI__JSON_BOOL:
        assert_int_equal(decai__json_bool(doc, node, &b), 0);
        decai__json_put_bool(w, key, b);
        return;
    case DECAI__JSON_NUMBER:
        assert_int_equal(decai__json_number(doc, node, &text), 0);
        decai__json_put_str(w, key, text);
        return;
    case DECAI__JSON_STRING:
        assert_int_equal(decai__json_str(doc, node, &text, &len), 0);
        decai__json_put_text(w, key, text, len);
        return;
    case DECAI__JSON_ARRAY: decai__json_put_array(w, key); break;
    default: decai__json_put_object(w, key); break;
    }
    for (const decai__json_node *c = decai__json_first(node); c; c = decai__json_next(c)) emit(w, doc, c);
    decai__json_put_end(w);
}

static void write_back(decai__buf *b, const char *text, size_t len)
{
    decai__json *doc = NULL;
    decai__json_writer w;
    assert_int_equal(decai__json_parse(ctx, &doc, text, len), 0);
    decai__buf_init(b, ctx, 1 << 20, "test");
    decai__json_writer_init(&w, b, false);
    emit(&w, doc, decai__json_root(doc));
    assert_int_equal(decai__json_writer_end(&w), 0);
    decai__json_free(doc);
}

static void mutations(void **state)
{
    const char *deep = getenv("DECAI_DEEP");
    size_t total = deep && *deep == '1' ? 200000 : 6000, accepted = 0;
    (void)state;
    for (size_t i = 0; i < total; i++) {
        char text[2048];
        const char *seed = seeds[i % DECAI__COUNT(seeds)];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        for (size_t k = roll(4) + 1; k-- > 0;) len = mutate(text, sizeof text, len);
        /* an exact allocation, so that a sanitizer sees one byte too far */
        char *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, text, len);
        int32_t r = decai__json_check(ctx, exact, len);
        if (r) {
            assert_true(r == DECAI_E_CORRUPT || r == DECAI_E_LIMIT);
            assert_non_null(strstr(decai_error_detail(), "json: "));
        } else {
            decai__buf once, twice;
            accepted++;
            write_back(&once, exact, len);
            write_back(&twice, (char *)once.data, once.len);
            assert_int_equal(once.len, twice.len);
            assert_memory_equal(once.data, twice.data, once.len);
            decai__buf_free(&once);
            decai__buf_free(&twice);
        }
        free(exact);
    }
    printf("# json: %zu mutations, %zu still valid\n", total, accepted);
    assert_true(accepted > total / 100 && accepted < total);
}

/* ---- cJSON running out of memory ------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INTERPOSE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define INTERPOSE 0
#endif
#endif
#ifndef INTERPOSE
#define INTERPOSE 1
#endif

#if INTERPOSE
extern void *__libc_malloc(size_t);
static volatile long fail_at, seen;     /* volatile: compilers believe malloc reads no globals */

/* Seen by the shared libraries too, whatever the default visibility is. */
__attribute__((visibility("default"))) void *malloc(size_t n)
{
    if (fail_at && ++seen == fail_at) return NULL;
    return __libc_malloc(n);
}

static void no_memory(void **state)
{
    const char *text = seeds[0];
    int32_t r = DECAI_E_NOMEM;
    (void)state;
    for (long k = 1; r; k++) {
        decai__json *doc = NULL;
        seen = 0;
        fail_at = k;
        r = decai__json_parse(ctx, &doc, text, strlen(text));
        fail_at = 0;
        if (r) {
            assert_int_equal(r, DECAI_E_NOMEM);
            assert_null(doc);
        } else {
            assert_true(k > 20);
            decai__json_free(doc);
        }
    }
}
#else
static void no_memory(void **state)
{
    (void)state;
    printf("# skip: malloc belongs to the sanitizer here\n");
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid), cmocka_unit_test(invalid), cmocka_unit_test(places), cmocka_unit_test(strides), cmocka_unit_test(depth_limit),
        cmocka_unit_test(size_limits), cmocka_unit_test(many_keys), cmocka_unit_test(tree), cmocka_unit_test(writer),
        cmocka_unit_test(pretty_writer), cmocka_unit_test(writer_misuse), cmocka_unit_test(mutations),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
