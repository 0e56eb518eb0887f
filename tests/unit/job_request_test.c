/* Order requests, mutated field by field: each field takes every value of a list
 * of wrong ones, alone (the refusal must name the field) and in random pairs.
 * And the order's id: golden, and changed by every field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "decai.h"
#include "job/job.h"

#define H32 "00000000000000000000000000000000000000000000000000000000000000"
#define MAX256 "115792089237316195423570985008687907853269984665640564039457584007913129639935"

static const struct field { const char *key, *value, *other; } fields[] = {
    {"requester", "\"alice\"", "\"bob\""}, {"verifier", "\"victor\"", "\"vera\""}, {"asset", "\"USDX\"", "\"EURX\""},
    {"job_spec", "\"" H32 "01\"", "\"" H32 "02\""}, {"model_root", "\"" H32 "03\"", "\"" H32 "04\""},
    {"prompt", "\"" H32 "05\"", "\"" H32 "06\""}, {"nonce", "\"" H32 "07\"", "\"" H32 "08\""},
    {"max_price", "\"100\"", "\"101\""}, {"verifier_fee", "\"7\"", "\"8\""}, {"stake", "\"50\"", "\"51\""},
    {"bid_deposit", "\"3\"", "\"4\""}, {"redundancy", "2", "3"}, {"bids_until_ms", "5", "6"},
    {"deadline_ms", "1000", "1001"},
    {"split", "{\"provider\":80,\"royalties\":[{\"account\":\"owner\",\"parts\":20}]}",
        "{\"provider\":80,\"royalties\":[{\"account\":\"owner\",\"parts\":21}]}"},
    {"slash", "{\"requester\":1,\"verifier\":1,\"burn\":1}", "{\"requester\":1,\"verifier\":1,\"burn\":2}"},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const wrong[] = {
    "null", "true", "-1", "1.5", "1e3", "\"\"", "\"-1\"", "\"1.0\"", "\"0x\"", "[]", "{}", "[[[[[]]]]]", "\"a b\"",
    "\"\\ud83d\\ude00\"", "18446744073709551616", "\"" MAX256 "0\"", "\"" H32 H32 "00\"", "{\"provider\":0}", "{\"provider\":-1}",
    "{\"provider\":1000001}", "{\"provider\":1,\"x\":1}", "{\"royalties\":[{\"account\":\"a\"}]}",
    "{\"requester\":0,\"verifier\":0,\"burn\":0}", "{\"burn\":1e9}",
};
#define WRONG (sizeof wrong / sizeof *wrong)

static uint64_t random_state = 7;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int
setup(void **state)
{
    return decai_context_create((decai_context **)state, NULL) ? -1 : 0;
}

static int
teardown(void **state)
{
    decai_destroy(*state);
    return 0;
}

/* The order with some values replaced; NULL keeps the good one. */
static size_t
build(char *out, size_t cap, const char *const values[FIELDS])
{
    size_t n = (size_t)snprintf(out, cap, "{");
    for (size_t i = 0; i < FIELDS; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s\"%s\":%s", i ? "," : "", fields[i].key,
                              values[i] ? values[i] : fields[i].value);
    return n + (size_t)snprintf(out + n, cap - n, "}");
}

static void
test_one_wrong_field(void **state)
{
    char text[4096];
    decai__order o;
    int refused = 0, taken = 0;
    for (size_t f = 0; f < FIELDS; f++)
        for (size_t w = 0; w < WRONG; w++) {
            const char *values[FIELDS] = {0};
            values[f] = wrong[w];
            size_t n = build(text, sizeof text, values);
            int32_t r = decai__order_parse(*state, &o, text, n);
            if (r == 0) {
                taken++;
                continue;
            }
            refused++;
            if (!strstr(decai_error_detail(), fields[f].key))
                fail_msg("%s = %s: %d %s", fields[f].key, wrong[w], (int)r, decai_error_detail());
        }
    print_message("%d refused by name, %d are possible values\n", refused, taken);
    /* what may pass: e.g. slash {} has its defaults; no field takes half of the list */
    assert_true(taken < 24);
}

static void
test_many_wrong_fields(void **state)
{
    char text[4096];
    decai__order o;
    int rounds = getenv("DECAI_DEEP") ? 1000000 : 20000;
    for (int i = 0; i < rounds; i++) {
        const char *values[FIELDS] = {0};
        for (int k = 0; k < 3; k++) values[next_random() % FIELDS] = wrong[next_random() % WRONG];
        size_t n = build(text, sizeof text, values);
        if (i % 3 == 0) n = next_random() % n;
        if (i % 3 == 1) text[next_random() % n] = (char)next_random();
        int32_t r = decai__order_parse(*state, &o, text, n);
        assert_true(r <= 0);
        if (r) assert_true(*decai_error_detail() != 0);
    }
}

static void
test_missing_and_foreign(void **state)
{
    char text[4096], bad[4200];
    decai__order o;
    const char *values[FIELDS] = {0};
    size_t n = build(text, sizeof text, values);
    assert_int_equal(decai__order_parse(*state, &o, text, n), 0);
    for (size_t f = 0; f < FIELDS; f++) {
        char quoted[40];
        snprintf(quoted, sizeof quoted, "\"%s\":", fields[f].key);
        char *at = strstr(text, quoted);
        assert_non_null(at);
        /* misspelt: unknown, and named */
        size_t m = (size_t)snprintf(bad, sizeof bad, "%.*s\"x%s", (int)(at - text), text, at + 1);
        assert_int_equal(decai__order_parse(*state, &o, bad, m), DECAI_E_UNSUPPORTED);
        assert_non_null(strstr(decai_error_detail(), fields[f].key));
    }
    char *big = calloc(1, DECAI_ORDER_TEXT_MAX + 2);
    assert_non_null(big);
    memset(big, ' ', DECAI_ORDER_TEXT_MAX + 1);
    memcpy(big, text, n);
    assert_int_equal(decai__order_parse(*state, &o, big, DECAI_ORDER_TEXT_MAX - 1), 0);
    assert_int_equal(decai__order_parse(*state, &o, big, DECAI_ORDER_TEXT_MAX), 0);
    assert_int_equal(decai__order_parse(*state, &o, big, DECAI_ORDER_TEXT_MAX + 1), DECAI_E_LIMIT);
    free(big);
}

static void
test_id(void **state)
{
    static const char golden[] = "4924f3c1f118400718340f7bd32737fef3bb662f5c86cb2194bc5ef5583a1d23";
    char text[4096], hex[65];
    decai__order o, other;
    const char *values[FIELDS] = {0};
    size_t n = build(text, sizeof text, values);
    assert_int_equal(decai__order_parse(*state, &o, text, n), 0);
    decai__order_hex(hex, o.id);
    assert_string_equal(hex, golden);
    for (size_t f = 0; f < FIELDS; f++) {
        values[f] = fields[f].other;
        n = build(text, sizeof text, values);
        assert_int_equal(decai__order_parse(*state, &other, text, n), 0);
        assert_memory_not_equal(o.id, other.id, 32);
        values[f] = NULL;
    }
}

static void
test_limits(void **state)
{
    char text[4096];
    decai__order o;
    const char *values[FIELDS] = {0};
    static const struct { size_t field; const char *value; int32_t code; } cases[] = {
        {11, "15", 0}, {11, "16", 0}, {11, "17", DECAI_E_LIMIT}, {11, "1", 0}, {11, "0", DECAI_E_INVALID},
        {14, "{\"provider\":999999}", 0}, {14, "{\"provider\":1000000}", 0}, {14, "{\"provider\":1000001}", DECAI_E_LIMIT},
        {7, "\"57896044618658097711785492504343953926634992332820282019728792003956564819963\"", 0},
        {7, "\"57896044618658097711785492504343953926634992332820282019728792003956564819964\"", 0},
        {7, "\"57896044618658097711785492504343953926634992332820282019728792003956564819965\"", DECAI_E_LIMIT},
        {13, "9223372036854775807", 0}, {13, "9223372036854775808", DECAI_E_LIMIT}, {13, "5", 0}, {13, "4", DECAI_E_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        values[cases[i].field] = cases[i].value;
        size_t n = build(text, sizeof text, values);
        int32_t r = decai__order_parse(*state, &o, text, n);
        if (r != cases[i].code) print_message("case %zu: %d %s\n", i, (int)r, decai_error_detail());
        assert_int_equal(r, cases[i].code);
        values[cases[i].field] = NULL;
    }
    /* royalties: 7, 8, 9 lines */
    for (int lines = DECAI_ROYALTY_MAX - 1; lines <= DECAI_ROYALTY_MAX + 1; lines++) {
        char split[1024];
        size_t m = (size_t)snprintf(split, sizeof split, "{\"provider\":1,\"royalties\":[");
        for (int i = 0; i < lines; i++)
            m += (size_t)snprintf(split + m, sizeof split - m, "%s{\"account\":\"r%d\",\"parts\":1}", i ? "," : "", i);
        snprintf(split + m, sizeof split - m, "]}");
        values[14] = split;
        size_t n = build(text, sizeof text, values);
        assert_int_equal(decai__order_parse(*state, &o, text, n), lines > DECAI_ROYALTY_MAX ? DECAI_E_LIMIT : 0);
        values[14] = NULL;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_wrong_field, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_wrong_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_and_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
