/* num_u256_test.c - 256-bit arithmetic against Python's integers
 * (tests/golden/u256.txt), and the decimal grammar at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "num/num.h"

static decai__u256 parse(const char *text)
{
    decai__u256 v;
    assert_int_equal(decai__u256_parse(&v, text, strlen(text), "test"), 0);
    return v;
}

/* The result as text, or "!" if the operation said no; then *v must be as before. */
static void expect(bool ok, const decai__u256 *v, const char *want, const char *line)
{
    char text[DECAI__U256_TEXT_MAX + 1] = "!";
    if (ok) (void)decai__u256_format(text, v);
    if (strcmp(text, want)) fail_msg("%s: got %s", line, text);
}

static void run(const char *line, char (*w)[160], int words)
{
    const char *op = w[0];
    decai__u256 a = parse(w[1]), b = parse(w[2]), out = { { 1, 2, 3, 4 } }, rem = { { 0 } };
    const decai__u256 untouched = out;
    uint64_t b64 = 0, rem64 = 0, wide[8];
    bool ok = true;
    (void)words;
    if (!strcmp(op, "add")) expect(ok = decai__u256_add(&out, &a, &b), &out, w[3], line);
    else if (!strcmp(op, "sub")) expect(ok = decai__u256_sub(&out, &a, &b), &out, w[3], line);
    else if (!strcmp(op, "mul")) expect(ok = decai__u256_mul(&out, &a, &b), &out, w[3], line);
    else if (!strcmp(op, "cmp")) assert_int_equal(decai__u256_cmp(&a, &b), w[3][0] == '-' ? -1 : w[3][0] - '0');
    else if (!strcmp(op, "div")) {
        expect(ok = decai__u256_div(&out, &rem, &a, &b), &out, w[3], line);
        expect(ok, &rem, w[4], line);
    } else if (!strcmp(op, "wide")) {
        decai__u256 low, high;
        decai__u256_mul_wide(wide, &a, &b);
        memcpy(low.limb, wide, 32);
        memcpy(high.limb, wide + 4, 32);
        expect(true, &high, w[3], line);
        expect(true, &low, w[4], line);
    } else if (!strcmp(op, "mul64")) {
        assert_true(decai__u256_to_u64(&b64, &b));
        expect(ok = decai__u256_mul_u64(&out, &a, b64), &out, w[3], line);
    } else if (!strcmp(op, "div64")) {
        assert_true(decai__u256_to_u64(&b64, &b));
        expect(ok = decai__u256_div_u64(&out, &rem64, &a, b64), &out, w[3], line);
        rem = decai__u256_from_u64(rem64);
        expect(ok, &rem, w[4], line);
    } else if (!strcmp(op, "muldiv")) {
        decai__u256 c = parse(w[3]);
        expect(ok = decai__u256_mul_div(&out, &rem, &a, &b, &c), &out, w[4], line);
        expect(ok, &rem, w[5], line);
    } else fail_msg("unknown operation %s", op);
    if (!ok) assert_memory_equal(&out, &untouched, sizeof out);
}

static void golden(void **state)
{
    char line[1024], w[6][160];
    size_t lines = 0;
    (void)state;
    FILE *f = fopen("tests/golden/u256.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        int n = sscanf(line, "%159s %159s %159s %159s %159s %159s", w[0], w[1], w[2], w[3], w[4], w[5]);
        assert_true(n >= 4);
        run(line, w, n);
        lines++;
    }
    fclose(f);
    assert_true(lines > 1500);
}

static void aliases(void **state)
{
    (void)state;
    decai__u256 a = parse("123456789012345678901234567890"), twice = a, square;
    assert_true(decai__u256_add(&twice, &twice, &twice));
    assert_true(decai__u256_sub(&twice, &twice, &a));
    assert_int_equal(decai__u256_cmp(&twice, &a), 0);
    assert_true(decai__u256_mul(&square, &a, &a));
    assert_true(decai__u256_mul_div(&square, NULL, &square, &a, &square));
    assert_int_equal(decai__u256_cmp(&square, &a), 0);
}

static void bytes_both_ways(void **state)
{
    uint8_t be[32], back[32];
    (void)state;
    for (size_t i = 0; i < 32; i++) be[i] = (uint8_t)(i + 1);
    decai__u256 v = decai__u256_from_be(be);
    assert_int_equal(v.limb[3], 0x0102030405060708);
    assert_int_equal(v.limb[0], 0x191a1b1c1d1e1f20);
    decai__u256_to_be(back, &v);
    assert_memory_equal(be, back, 32);
    uint64_t narrow = 5;
    assert_false(decai__u256_to_u64(&narrow, &v));
    assert_int_equal(narrow, 5);
}

#define MAX256 "115792089237316195423570985008687907853269984665640564039457584007913129639935"

static void decimal_grammar(void **state)
{
    static const struct { const char *text; int32_t code; } cases[] = {
        { "0", 0 }, { "1", 0 }, { "10", 0 }, { MAX256, 0 },
        { "115792089237316195423570985008687907853269984665640564039457584007913129639934", 0 },
        { "115792089237316195423570985008687907853269984665640564039457584007913129639936", DECAI_E_LIMIT },
        { MAX256 "0", DECAI_E_LIMIT }, { "", DECAI_E_CORRUPT }, { "00", DECAI_E_CORRUPT }, { "01", DECAI_E_CORRUPT },
        { "+1", DECAI_E_CORRUPT }, { "-1", DECAI_E_CORRUPT }, { " 1", DECAI_E_CORRUPT }, { "1 ", DECAI_E_CORRUPT },
        { "1e3", DECAI_E_CORRUPT }, { "0x1", DECAI_E_CORRUPT }, { "1.0", DECAI_E_CORRUPT }, { "1_0", DECAI_E_CORRUPT },
    };
    char text[DECAI__U256_TEXT_MAX + 1];
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(cases); i++) {
        decai__u256 v;
        assert_int_equal(decai__u256_parse(&v, cases[i].text, strlen(cases[i].text), "amount"), cases[i].code);
        if (cases[i].code) {
            assert_non_null(strstr(decai_error_detail(), "amount"));
            continue;
        }
        assert_int_equal(decai__u256_format(text, &v), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
    decai__u256 v;
    assert_int_equal(decai__u256_parse(&v, "1\0002", 3, "amount"), DECAI_E_CORRUPT);
}

static void words(void **state)
{
    uint64_t u = 0;
    int64_t i = 0;
    (void)state;
    assert_int_equal(decai__u64_parse(&u, "18446744073709551615", 20, "n"), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(decai__u64_parse(&u, "18446744073709551616", 20, "n"), DECAI_E_LIMIT);
    assert_int_equal(decai__u64_parse(&u, "99999999999999999999", 20, "n"), DECAI_E_LIMIT);
    assert_int_equal(decai__u64_parse(&u, "-1", 2, "n"), DECAI_E_CORRUPT);
    assert_int_equal(decai__i64_parse(&i, "9223372036854775807", 19, "n"), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(decai__i64_parse(&i, "9223372036854775808", 19, "n"), DECAI_E_LIMIT);
    assert_int_equal(decai__i64_parse(&i, "-9223372036854775808", 20, "n"), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(decai__i64_parse(&i, "-9223372036854775809", 20, "n"), DECAI_E_LIMIT);
    assert_int_equal(decai__i64_parse(&i, "-0", 2, "n"), DECAI_E_CORRUPT);
    assert_int_equal(decai__i64_parse(&i, "-", 1, "n"), DECAI_E_CORRUPT);
    assert_int_equal(decai__i64_parse(&i, "--1", 3, "n"), DECAI_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden), cmocka_unit_test(aliases), cmocka_unit_test(bytes_both_ways),
        cmocka_unit_test(decimal_grammar), cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
