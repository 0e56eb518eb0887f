/* tok_norm_test.c - normalization forms beside Python's Unicode database
 * (tests/golden/norm.txt), and what the steps of a normalizer promise: bytes that
 * are no UTF-8 stay, places ascend to the text's end, linear time on anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "tok/norm_work.h"

static decai_context *ctx;
static const char *const NAME[] = { "NFD", "NFC", "NFKD", "NFKC" };

static decai__normed form(uint8_t f, const void *text, size_t len, bool places)
{
    decai__norm norm = { 1, { { .kind = DECAI__NORM_FORM, .form = f } } };
    decai__normed out;
    if (decai__norm_text(ctx, &norm, text, len, places, &out)) fail_msg("%s", decai_error_detail());
    return out;
}

static void check_places(const decai__normed *n, size_t len)
{
    if (!n->owned) return;
    assert_non_null(n->ends);
    assert_int_equal(n->ends[0], 0);
    for (size_t i = 0; i < n->len; i++) assert_true(n->ends[i] <= n->ends[i + 1]);
    if (n->len) assert_int_equal(n->ends[n->len], len);
}

/* ---- beside the golden file ----------------------------------------------------------- */

static void every_code_point(uint8_t f, const char *tail_hex, const char *want)
{
    uint8_t tail[16], text[24], digest[32];
    char got[65];
    size_t tail_len = *tail_hex == '-' ? 0 : strlen(tail_hex) / 2;
    decai__buf all;
    assert_int_equal(decai__hex_decode(tail, tail_len, tail_hex, 2 * tail_len, "tail"), 0);
    decai__buf_init(&all, ctx, 1u << 28, "forms");
    for (uint32_t c = 0; c < 0x110000; c++) {
        if ((c >= 0xd800 && c < 0xe000) || (c >= 0x34000 && c < 0xe0000)) continue;
        size_t n = decai__utf8_put(c, text);
        memcpy(text + n, tail, tail_len);
        decai__normed out = form(f, text, n + tail_len, false);
        decai__buf_add(&all, out.bytes, out.len);
        decai__buf_add_byte(&all, '\n');
        decai__norm_free(&out);
    }
    assert_int_equal(decai__sha256(ctx, digest, all.data, all.len), 0);
    decai__hex_encode(got, digest, 32);
    got[64] = 0;
    assert_string_equal(got, want);
    decai__buf_free(&all);
}

static void one_text(char *line)
{
    static uint8_t text[4096], want[8192];
    char *field = strtok(line, " ");
    size_t len = strlen(field) / 2;
    assert_true(len <= sizeof text);
    assert_int_equal(decai__hex_decode(text, len, field, 2 * len, "text"), 0);
    for (uint8_t f = 0; f < 4; f++) {
        field = strtok(NULL, " ");
        size_t n = strlen(field) / 2;
        assert_int_equal(decai__hex_decode(want, n, field, 2 * n, "form"), 0);
        decai__normed out = form(f, text, len, true);
        assert_int_equal(out.len, n);
        assert_memory_equal(out.bytes, want, n);
        check_places(&out, len);
        decai__norm_free(&out);
        /* A text in form is left alone, without a copy. */
        out = form(f, want, n, false);
        assert_int_equal(out.len, n);
        assert_memory_equal(out.bytes, want, n);
        size_t span = decai__norm_span((enum decai__form)f, want, n);
        if (span == n) assert_false(out.owned);
        decai__norm_free(&out);
    }
}

static void as_unicode_says(void **state)
{
    static char line[65536];
    size_t texts = 0, rows = 0;
    (void)state;
    FILE *file = fopen("tests/golden/norm.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (*line == '#') continue;
        if (*line != 'N') {
            one_text(line);
            texts++;
            continue;
        }
        char *name = strtok(line, " "), *tail = strtok(NULL, " "), *want = strtok(NULL, " ");
        for (uint8_t f = 0; f < 4; f++)
            if (!strcmp(name, NAME[f])) every_code_point(f, tail, want);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 16);
    assert_int_equal(texts, 200);
}

/* ---- promises --------------------------------------------------------------------------- */

static void no_utf8_stays(void **state)
{
    static const uint8_t TEXT[] = "a\xff\xcc\x81" "e\xcc\x81\xc3\xc3\x80\xe4\xb8\x80\xcc";
    static const uint8_t WANT[] = "a\xff\xcc\x81\xc3\xa9\xc3\xc3\x80\xe4\xb8\x80\xcc";
    (void)state;
    decai__normed out = form(DECAI__NFC, TEXT, sizeof TEXT - 1, true);
    assert_int_equal(out.len, sizeof WANT - 1);
    assert_memory_equal(out.bytes, WANT, out.len);
    check_places(&out, sizeof TEXT - 1);
    decai__norm_free(&out);
}

/* 4 MiB of one thing: a mark, marks of all classes in turn, syllables, letters that
 * change. A quadratic step would not end here. */
static void any_length(void **state)
{
    static const char *const UNIT[] = { "\xcc\x81", "\xcc\xa3\xcc\x81\xcc\xa7", "\xea\xb0\x81", "\xe2\x84\xab", "\xe1\x84\x80\xe1\x85\xa1",
        "\xef\xb7\xba", "A", "\xff" };
    enum { SIZE = 1 << 22 };
    char *text = malloc(SIZE + 8);
    (void)state;
    for (size_t i = 0; i < sizeof UNIT / sizeof *UNIT; i++) {
        size_t n = strlen(UNIT[i]), len = 0;
        for (; len + n <= SIZE; len += n) memcpy(text + len, UNIT[i], n);
        for (uint8_t f = 0; f < 4; f++) {
            decai__normed out = form(f, text, len, f == 1);
            assert_true(out.len > 0 && out.len <= 11 * len);
            decai__norm_free(&out);
        }
    }
    free(text);
}

static void steps(void **state)
{
    static const struct { decai__norm_step step; const char *text, *want; } CASE[] = {
        { { .kind = DECAI__NORM_LOWER }, "AbC \xc3\x89\xc4\xb0\xce\xa3\xe1\xba\x9e", "abc \xc3\xa9i\xcc\x87\xcf\x83\xc3\x9f" },
        { { .kind = DECAI__NORM_LOWER }, "abc", "abc" },
        { { .kind = DECAI__NORM_ACCENTS }, "e\xcc\x81\xc3\xa9\xe0\xa4\xbe", "e\xc3\xa9" },
        { { .kind = DECAI__NORM_STRIP, .left = true, .right = true }, "\xe3\x80\x80 a b\n\xc2\xa0", "a b" },
        { { .kind = DECAI__NORM_STRIP, .right = true }, " a ", " a" },
        { { .kind = DECAI__NORM_STRIP, .left = true }, " a ", "a " },
        { { .kind = DECAI__NORM_STRIP, .left = true, .right = true }, " \n ", "" },
        { { .kind = DECAI__NORM_REPLACE, .from = "aa", .from_len = 2, .to = "bab", .to_len = 3 }, "aaaaa", "babbaba" },
        { { .kind = DECAI__NORM_REPLACE, .from = "x", .from_len = 1 }, "xaxx", "a" },
        { { .kind = DECAI__NORM_SPACES, .least = 2, .to = "_", .to_len = 1 }, "a b  c   ", "a b_c_" },
        { { .kind = DECAI__NORM_SPACES, .to = " ", .to_len = 1 }, "a\t\n b\xe3\x80\x80", "a b " },
        { { .kind = DECAI__NORM_PREPEND, .to = "<>", .to_len = 2 }, "a", "<>a" },
        { { .kind = DECAI__NORM_PREPEND, .to = "<>", .to_len = 2 }, "", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        decai__norm norm = { 1, { CASE[i].step } };
        decai__normed out;
        size_t len = strlen(CASE[i].text);
        assert_int_equal(decai__norm_text(ctx, &norm, (const uint8_t *)CASE[i].text, len, true, &out), 0);
        if (out.len != strlen(CASE[i].want) || memcmp(out.bytes, CASE[i].want, out.len))
            fail_msg("case %zu: \"%.*s\"", i, (int)out.len, (const char *)out.bytes);
        for (size_t k = 0; out.owned && k < out.len; k++) assert_true(out.ends[k] <= out.ends[k + 1] && out.ends[k + 1] <= len);
        decai__norm_free(&out);
    }
}

/* A step that makes much of little: up to the limit, and not beyond. */
static void growth(void **state)
{
    decai__norm norm = { 1, { { .kind = DECAI__NORM_REPLACE, .from = "a", .from_len = 1, .to_len = DECAI__NORM_TEXT_MAX } } };
    enum { MOST = 65536 / (DECAI__NORM_TEXT_MAX - DECAI__NORM_GROWTH_MAX) };
    static uint8_t text[MOST + 1];
    decai__normed out;
    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t len = MOST - 1; len <= MOST + 1; len++) {
        int32_t r = decai__norm_text(ctx, &norm, text, len, false, &out);
        assert_int_equal(r, len > MOST ? DECAI_E_LIMIT : 0);
        decai__norm_free(&out);
    }
    assert_non_null(strstr(decai_error_detail(), "normalizer"));
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
        cmocka_unit_test(as_unicode_says), cmocka_unit_test(no_utf8_stays), cmocka_unit_test(any_length),
        cmocka_unit_test(steps), cmocka_unit_test(growth),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
