/* key_typed_test.c - EIP-712: public sets, and the ways in which documents lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "key/key.h"
#include "support_vectors.h"

static decai_context *ctx;

static int
setup(void **state)
{
    (void)state;
    return decai_context_create(&ctx, NULL);
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

/* Write a node back as JSON text. */
static void
put_node(decai__json_writer *w, const decai__json *json, const decai__json_node *n, const char *key)
{
    const char *text = NULL;
    size_t len = 0;
    bool truth = false;
    int64_t v = 0;
    switch (decai__json_type(n)) {
    case DECAI__JSON_OBJECT:
    case DECAI__JSON_ARRAY:
        if (decai__json_type(n) == DECAI__JSON_OBJECT) decai__json_put_object(w, key);
        else decai__json_put_array(w, key);
        for (const decai__json_node *c = decai__json_first(n); c; c = decai__json_next(c))
            put_node(w, json, c, decai__json_key(c));
        decai__json_put_end(w);
        break;
    case DECAI__JSON_STRING:
        assert_int_equal(decai__json_str(json, n, &text, &len), 0);
        decai__json_put_text(w, key, text, len);
        break;
    case DECAI__JSON_BOOL:
        assert_int_equal(decai__json_bool(json, n, &truth), 0);
        decai__json_put_bool(w, key, truth);
        break;
    case DECAI__JSON_NULL:
        decai__json_put_null(w, key);
        break;
    default:
        assert_int_equal(decai__json_i64(json, n, &v), 0);
        decai__json_put_i64(w, key, v);
    }
}

static int32_t
hash_node(const decai__json *json, const decai__json_node *n, decai__typed *out)
{
    decai__buf b;
    decai__json_writer w;
    decai__buf_init(&b, ctx, 1 << 22, "test");
    decai__json_writer_init(&w, &b, false);
    put_node(&w, json, n, NULL);
    assert_int_equal(decai__json_writer_end(&w), 0);
    int32_t r = decai__typed_hash(ctx, out, (const char *)b.data, b.len);
    decai__buf_free(&b);
    return r;
}

/* Documents that the set calls valid (for all, or for some library) and we
 * refuse, each with its reason. */
static const char *const refused[][2] = {
    {"valid_space_in_custom_type_fieldname", "a field name must be an identifier: the type text is split at spaces"},
    {"valid_primary_type_is_empty_string", "a type must have a name"},
    {"valid_space_in_custom_type_metamask_returns_empty_string_if_non_alphanum_in_custom_type",
        "a type name must be an identifier; libraries disagree on it"},
    {"valid_missing_eip712_type_metamask_ignores_domain_data_if_domain_types_not_present",
        "without the type EIP712Domain libraries disagree on the domain"},
    {"valid_missing_primary_type_key_metamask_requires_primary_type_key", "the primary type is not guessed"},
    {"valid_missing_primary_type_key_and_eip712domain_type_metamask_needs_primarytype",
        "the primary type is not guessed"},
    {"valid_int_value_for_string_type_ethers_handles_mismatched_type_and_value_differently",
        "a number is not a string; libraries disagree on it"},
    {"valid_null_value_for_custom_type_ethers_requires_non_null", "null is no struct; libraries disagree on it"},
    {"valid_nested_structs_ethers_does_not_accept_recursive_custom_type_arrays", "cyclic types; ethers refuses them"},
    {"valid_eip712_example_ethers_does_not_accept_recursive_custom_types", "cyclic types; ethers refuses them"},
};

static const char *
why_refused(const char *name)
{
    for (size_t i = 0; i < DECAI__COUNT(refused); i++)
        if (!strcmp(refused[i][0], name)) return refused[i][1];
    return NULL;
}

/* eth-account's documents; digests in tests/golden/eip712.json are its own. */
static void
test_eth_account(void **state)
{
    static const char *const files[] = {"valid_for_all", "valid_py_and_ethers", "valid_py_and_metamask", "invalid",
        "one_arg_invalid"};
    (void)state;
    size_t len, equal = 0, refusals = 0;
    decai__json *golden = NULL, *json = NULL;
    char path[96], *text = support_file("tests/golden/eip712.json", &len);
    assert_non_null(text);
    assert_int_equal(decai__json_parse(ctx, &golden, text, len), 0);
    free(text);
    for (size_t i = 0; i < DECAI__COUNT(files); i++) {
        snprintf(path, sizeof(path), "eip712/%s.json", files[i]);
        text = support_vector(path, &len);
        if (!text) {
            decai__json_free(golden);
            skip();
        }
        assert_int_equal(decai__json_parse(ctx, &json, text, len), 0);
        for (const decai__json_node *n = decai__json_first(decai__json_root(json)); n; n = decai__json_next(n)) {
            const char *name = decai__json_key(n), *why = why_refused(name);
            decai__typed have;
            uint8_t want[32];
            int32_t r = hash_node(json, n, &have);
            bool valid = !strncmp(name, "valid", 5) && !why;
            if (why) printf("# refused: %s: %s\n", name, why);
            if (!valid) {
                if (r >= 0) fail_msg("%s was accepted", name);
                assert_true(strlen(decai_error_detail()) > 0);
                refusals++;
                continue;
            }
            if (r) fail_msg("%s: %s", name, decai_error_detail());
            assert_int_equal(decai__json_get_hex(golden, decai__json_root(golden), name, want, 32), 0);
            assert_memory_equal(have.digest, want, 32);
            equal++;
        }
        decai__json_free(json);
        free(text);
    }
    printf("# %zu digests equal, %zu refused\n", equal, refusals);
    assert_int_equal(equal, 7);
    assert_int_equal(refusals, 22);
    decai__json_free(golden);
}

/* ethers' cases give no EIP712Domain type: derived in the standard's order. */
static int32_t
hash_ethers(const decai__json *json, const decai__json_node *c, decai__typed *out)
{
    static const char *const fields[][2] = {{"name", "string"}, {"version", "string"}, {"chainId", "uint256"},
        {"verifyingContract", "address"}, {"salt", "bytes32"}};
    const decai__json_node *types = decai__json_find(c, "types"), *domain = decai__json_find(c, "domain");
    decai__buf b;
    decai__json_writer w;
    decai__buf_init(&b, ctx, 1 << 22, "test");
    decai__json_writer_init(&w, &b, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_object(&w, "types");
    decai__json_put_array(&w, "EIP712Domain");
    for (size_t i = 0; i < DECAI__COUNT(fields); i++)
        if (decai__json_find(domain, fields[i][0])) {
            decai__json_put_object(&w, NULL);
            decai__json_put_str(&w, "name", fields[i][0]);
            decai__json_put_str(&w, "type", fields[i][1]);
            decai__json_put_end(&w);
        }
    decai__json_put_end(&w);
    for (const decai__json_node *t = decai__json_first(types); t; t = decai__json_next(t))
        put_node(&w, json, t, decai__json_key(t));
    decai__json_put_end(&w);
    put_node(&w, json, decai__json_find(c, "primaryType"), "primaryType");
    put_node(&w, json, domain, "domain");
    put_node(&w, json, decai__json_find(c, "data"), "message");
    decai__json_put_end(&w);
    assert_int_equal(decai__json_writer_end(&w), 0);
    int32_t r = decai__typed_hash(ctx, out, (const char *)b.data, b.len);
    decai__buf_free(&b);
    return r;
}

static void
test_ethers(void **state)
{
    (void)state;
    size_t len, equal = 0, count = 0;
    char *text = support_vector("ethers/typed-data.json.gz", &len);
    decai__json *json = NULL;
    if (!text) skip();
    assert_int_equal(decai__json_parse(ctx, &json, text, len), 0);
    for (const decai__json_node *c = decai__json_first(decai__json_root(json)); c; c = decai__json_next(c), count++) {
        const char *name = NULL;
        uint8_t want[32];
        decai__typed have;
        assert_int_equal(decai__json_get_str(json, c, "name", &name, &len), 0);
        assert_int_equal(decai__json_get_hex(json, c, "digest", want, 32), 0);
        int32_t r = hash_ethers(json, c, &have);
        if (r) {
            printf("# refused: %s: %s\n", name, decai_error_detail());
            continue;
        }
        assert_memory_equal(have.digest, want, 32);
        equal++;
    }
    printf("# ethers: %zu of %zu digests equal\n", equal, count);
    assert_int_equal(equal, count);
    decai__json_free(json);
    free(text);
}

/* ---- one lie a row ------------------------------------------------------- */

#define DOMAIN_TYPE "\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"}]"
#define DOMAIN ",\"domain\":{\"name\":\"x\"}"

/* A document whose struct S has one field "v" of the given type and value. */
static int32_t
one(const char *type, const char *value)
{
    char text[4096];
    decai__typed t;
    int n = snprintf(text, sizeof(text), "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"v\",\"type\":\"%s\"}]},"
        "\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"v\":%s}}", type, value);
    assert_true(n > 0 && (size_t)n < sizeof(text));
    return decai__typed_hash(ctx, &t, text, (size_t)n);
}

static void
test_values(void **state)
{
    static const char *const good[][2] = {
        {"uint8", "0"}, {"uint8", "255"}, {"uint8", "\"255\""}, {"int8", "127"}, {"int8", "-128"}, {"int8", "\"-1\""},
        {"int256", "\"-57896044618658097711785492504343953926634992332820282019728792003956564819968\""},
        {"int256", "\"57896044618658097711785492504343953926634992332820282019728792003956564819967\""},
        {"uint256", "\"115792089237316195423570985008687907853269984665640564039457584007913129639935\""},
        {"bool", "true"}, {"bool", "false"}, {"string", "\"\""}, {"bytes", "\"0x\""}, {"bytes", "\"0xAb\""},
        {"bytes1", "\"0xff\""}, {"uint8[]", "[]"}, {"uint8[2]", "[1,2]"}, {"uint8[2][]", "[[1,2],[3,4]]"},
        {"address", "\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\""},
        {"address", "\"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\""}};
    static const char *const bad[][2] = {
        {"uint8", "256"}, {"uint8", "-1"}, {"uint8", "\"0x1\""}, {"uint8", "1.0"}, {"uint8", "1e1"}, {"uint8", "\"01\""},
        {"uint8", "\"\""}, {"uint8", "true"}, {"uint8", "null"}, {"uint8", "\" 1\""}, {"int8", "128"}, {"int8", "-129"},
        {"int8", "\"-0\""}, {"int8", "-0"}, {"int8", "\"--1\""}, {"int8", "\"+1\""},
        {"int256", "\"57896044618658097711785492504343953926634992332820282019728792003956564819968\""},
        {"uint256", "\"115792089237316195423570985008687907853269984665640564039457584007913129639936\""},
        {"bool", "\"false\""}, {"bool", "0"}, {"bool", "null"}, {"string", "null"}, {"string", "1"}, {"string", "[]"},
        {"bytes", "\"\""}, {"bytes", "\"0x1\""}, {"bytes", "\"0xgg\""}, {"bytes", "\"0X00\""}, {"bytes", "\"00\""},
        {"bytes", "\"0x0x\""}, {"bytes", "\"0x0x00\""}, {"bytes", "[0]"}, {"bytes", "null"}, {"bytes1", "\"0x\""},
        {"bytes1", "\"0xffff\""}, {"bytes2", "-1"}, {"bytes0", "\"0x\""}, {"bytes33", "\"0x\""}, {"bytes01", "\"0x00\""},
        {"uint8[2]", "[1]"}, {"uint8[2]", "[1,2,3]"}, {"uint8[]", "1"}, {"uint8[]", "null"}, {"uint8[0]", "[]"},
        {"uint8[02]", "[1,2]"}, {"uint8[", "[]"}, {"uint8]", "[]"}, {"uint8[]x", "[]"}, {"uint8[-1]", "[]"}, {"[]", "[]"},
        {"uint8[9999999999]", "[]"}, {"uint", "1"}, {"int", "1"}, {"uint7", "1"}, {"uint0", "1"}, {"uint264", "1"},
        {"uint08", "1"}, {"float", "1"}, {"", "1"}, {"T", "1"}, {"EIP712Domain", "{\"name\":\"x\"}"}, {"S", "{}"},
        {"S[]", "[]"},
        {"address", "\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD\""}, {"address", "\"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae\""},
        {"address", "\"5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\""}, {"address", "0"},
        {"address", "\"0x0x5aaeb6053f3e94c9b9a09f33669435e7ef1bea\""}};
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(good); i++)
        if (one(good[i][0], good[i][1])) fail_msg("%s %s: %s", good[i][0], good[i][1], decai_error_detail());
    for (size_t i = 0; i < DECAI__COUNT(bad); i++) {
        if (one(bad[i][0], bad[i][1]) >= 0) fail_msg("%s %s was accepted", bad[i][0], bad[i][1]);
        assert_true(strlen(decai_error_detail()) > 0);
    }
}

static void
test_documents(void **state)
{
    static const char *const bad[] = {
        "", "null", "[]", "{}", "{\"types\":{" DOMAIN_TYPE "}}",
        /* extra and missing members */
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{},\"x\":1}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"x\":1}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a\",\"type\":\"bool\"}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a\",\"type\":\"bool\"}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"b\":true}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a\",\"type\":\"bool\",\"x\":1}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"a\":true}}",
        /* duplicate field, duplicate JSON key, unused type, unknown primary type */
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a\",\"type\":\"bool\"},{\"name\":\"a\",\"type\":\"bool\"}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"a\":true}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a\",\"type\":\"bool\"}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"a\":true,\"a\":true}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[],\"T\":[]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"T\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"EIP712Domain\"" DOMAIN ",\"message\":{\"name\":\"x\"}}",
        /* names */
        "{\"types\":{" DOMAIN_TYPE ",\"bool\":[]},\"primaryType\":\"bool\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"uint256\":[]},\"primaryType\":\"uint256\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S(\":[]},\"primaryType\":\"S(\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a,bool b\",\"type\":\"bool\"}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"a,bool b\":true}}",
        /* cycles */
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[{\"name\":\"a\",\"type\":\"T[]\"}],\"T\":[{\"name\":\"b\",\"type\":\"S[]\"}]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{\"a\":[]}}",
        /* domains */
        "{\"types\":{\"S\":[]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"bytes32\"}],\"S\":[]},\"primaryType\":\"S\",\"domain\":{\"name\":\"0x\"},\"message\":{}}",
        "{\"types\":{\"EIP712Domain\":[{\"name\":\"x\",\"type\":\"string\"}],\"S\":[]},\"primaryType\":\"S\",\"domain\":{\"x\":\"x\"},\"message\":{}}",
        "{\"types\":{\"EIP712Domain\":[{\"name\":\"version\",\"type\":\"string\"},{\"name\":\"name\",\"type\":\"string\"}],\"S\":[]},\"primaryType\":\"S\",\"domain\":{\"name\":\"\",\"version\":\"\"},\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"S\",\"domain\":{},\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"S\",\"domain\":{\"name\":\"x\",\"version\":\"1\"},\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":{}},\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}",
        "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":1" DOMAIN ",\"message\":{}}",
        "{\"types\":[]" ",\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}"};
    static const char fine[] = "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}";
    decai__typed t;
    (void)state;
    assert_int_equal(decai__typed_hash(ctx, &t, fine, sizeof(fine) - 1), 0);
    for (size_t i = 0; i < DECAI__COUNT(bad); i++) {
        if (decai__typed_hash(ctx, &t, bad[i], strlen(bad[i])) >= 0) fail_msg("accepted: %s", bad[i]);
        assert_true(strlen(decai_error_detail()) > 0);
    }
}

/* Limits at limit - 1, limit, limit + 1. */
static int32_t
nested(size_t depth)
{
    char type[256] = "uint8", value[256] = "";
    for (size_t i = 0; i < depth; i++) strcat(type, "[]"), strcat(value, "[");
    strcat(value, "1");
    for (size_t i = 0; i < depth; i++) strcat(value, "]");
    return one(type, value);
}

static int32_t
many(size_t types, size_t fields)
{
    char *text = malloc(1 << 20), *p = text;
    decai__typed t;
    p += sprintf(p, "{\"types\":{" DOMAIN_TYPE ",\"S\":[");
    for (size_t i = 2; i < types; i++) p += sprintf(p, "%s{\"name\":\"t%zu\",\"type\":\"T%zu[]\"}", i > 2 ? "," : "", i, i);
    for (size_t i = 0; i < fields; i++) p += sprintf(p, "%s{\"name\":\"f%zu\",\"type\":\"bool\"}", i || types > 2 ? "," : "", i);
    p += sprintf(p, "]");
    for (size_t i = 2; i < types; i++) p += sprintf(p, ",\"T%zu\":[]", i);
    p += sprintf(p, "},\"primaryType\":\"S\"" DOMAIN ",\"message\":{");
    for (size_t i = 2; i < types; i++) p += sprintf(p, "%s\"t%zu\":[]", i > 2 ? "," : "", i);
    for (size_t i = 0; i < fields; i++) p += sprintf(p, "%s\"f%zu\":true", i || types > 2 ? "," : "", i);
    p += sprintf(p, "}}");
    int32_t r = decai__typed_hash(ctx, &t, text, (size_t)(p - text));
    free(text);
    return r;
}

static void
test_limits(void **state)
{
    (void)state;
    /* the message is a struct: one level is its own */
    assert_int_equal(nested(DECAI_TYPED_DEPTH_MAX - 3), 0);
    assert_int_equal(nested(DECAI_TYPED_DEPTH_MAX - 2), 0);
    assert_int_equal(nested(DECAI_TYPED_DEPTH_MAX - 1), DECAI_E_LIMIT);
    assert_int_equal(many(DECAI_TYPED_TYPES_MAX - 1, 0), 0);
    assert_int_equal(many(DECAI_TYPED_TYPES_MAX, 0), 0);
    assert_int_equal(many(DECAI_TYPED_TYPES_MAX + 1, 0), DECAI_E_LIMIT);
    assert_int_equal(many(2, DECAI_TYPED_FIELDS_MAX - 1), 0);
    assert_int_equal(many(2, DECAI_TYPED_FIELDS_MAX), 0);
    assert_int_equal(many(2, DECAI_TYPED_FIELDS_MAX + 1), DECAI_E_LIMIT);

    static const char head[] = "{\"types\":{" DOMAIN_TYPE ",\"S\":[]},\"primaryType\":\"S\"" DOMAIN ",\"message\":{}}";
    char *text = malloc(DECAI_TYPED_TEXT_MAX + 1);
    decai__typed t;
    memset(text, ' ', DECAI_TYPED_TEXT_MAX + 1);
    memcpy(text, head, sizeof(head) - 1);
    assert_int_equal(decai__typed_hash(ctx, &t, text, DECAI_TYPED_TEXT_MAX - 1), 0);
    assert_int_equal(decai__typed_hash(ctx, &t, text, DECAI_TYPED_TEXT_MAX), 0);
    assert_int_equal(decai__typed_hash(ctx, &t, text, DECAI_TYPED_TEXT_MAX + 1), DECAI_E_LIMIT);
    free(text);
}

/* EIP-191, EIP-55: the values of ethers' and the EIP's texts. */
static void
test_messages(void **state)
{
    /* keccak("\x19Ethereum Signed Message:\n11hello world") */
    static const uint8_t want[32] = {0xd9, 0xeb, 0xa1, 0x6e, 0xd0, 0xec, 0xae, 0x43, 0x2b, 0x71, 0xfe, 0x00, 0x8c, 0x98,
        0xcc, 0x87, 0x2b, 0xb4, 0xcc, 0x21, 0x4d, 0x32, 0x20, 0xa3, 0x6f, 0x36, 0x53, 0x26, 0xcf, 0x80, 0x7d, 0x68};
    static const char *const eip55[] = {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77"};
    uint8_t hash[32], address[20];
    char text[DECAI_ADDRESS_TEXT];
    (void)state;
    decai__eip191(hash, "hello world", 11);
    assert_memory_equal(hash, want, 32);
    for (size_t i = 0; i < DECAI__COUNT(eip55); i++) {
        assert_int_equal(decai__address_read(address, eip55[i], 42, "address"), 0);
        decai__address_text(text, address);
        assert_memory_equal(text, eip55[i], 42);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eth_account),
        cmocka_unit_test(test_ethers),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
