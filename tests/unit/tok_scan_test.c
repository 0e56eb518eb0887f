/* tok_scan_test.c - the quick scanners against the plain ones: the same pieces for
 * every pattern and instruction set, on seeded text in which everything that a
 * pattern tells apart stands beside everything else, at every place of a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tok/scan_words.h"

#define TEXT_MAX 1024u
#define CAP 128u

static uint64_t next_random(uint64_t *state)
{
    /* xorshift64* (Vigna 2016) */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * 0x2545f4914f6cdd1du) >> 33;
}

static bool is_deep(void)
{
    return getenv("DECAI_DEEP") != NULL;
}

static const char *const ATOM[] = {
    "a", "e", "s", "t", "ll", "re", "ve", "d", "m", "word", "A", "S", "LL", "Word", "XYZ", "'", "'s", "'T", "'ll", "'rE", "' ", "''",
    " ", " ", "  ", "    ", "\n", "\r\n", "\n\n", "\t", "\v", " \n", "\n ", "\n   ", "/", "//", "\n/", "/\n", "=", ".", "->", "!?", "_",
    "1", "12", "345", "67890", "\0", "\x1c", "\x7f",
    "\xc3\xa9", "\xc3\x89", "\xc5\xbf", "'\xc5\xbf", "\xc7\x85", "\xca\xb0", "\xcc\x81", "\xe0\xa5\x8d", "\xe6\xbc\xa2", "\xe6\xbc\xa2\xe5\xad\x97",
    "\xd0\xb6\xd0\x96", "\xc2\xa0", "\xe3\x80\x80", "\xc2\x85", "\xc2\xbd", "\xd9\xa3", "\xe2\x80\x94", "\xe3\x80\x82", "\xf0\x9f\x98\x80",
    "\xf0\x9d\x90\x80", "\xff", "\xc3", "\xe6\xbc", "\xf0\x9f", "\xed\xa0\x80", "\xe2\x80\x8b",
};

static const enum decai__pre PRE[] = { DECAI__PRE_GPT2, DECAI__PRE_LLAMA3, DECAI__PRE_QWEN2, DECAI__PRE_QWEN35, DECAI__PRE_PLAIN_QWEN,
    DECAI__PRE_SEED, DECAI__PRE_BAILING, DECAI__PRE_O200K, DECAI__PRE_GRANITE, DECAI__PRE_TEKKEN };

static void compare(enum decai__pre pre, enum decai__scan_isa isa, const uint8_t *text, size_t len)
{
    const uint8_t *ends[CAP], *p = text, *end = text + len;
    decai__many_fn *many = decai__scan_many_of(isa);
    decai__cut_fn *cut = decai__scan_single(pre);
    while (p < end) {
        size_t n = many(pre, p, end, ends, CAP);
        assert_true(n > 0 && n <= CAP);
        for (size_t i = 0; i < n; i++) {
            const uint8_t *want = cut(p, end);
            if (ends[i] != want) {
                for (size_t k = 0; k < len; k++) printf("%02x", text[k]);
                fail_msg("pattern %d, instructions %d: the piece at %td ends at %td, not %td", pre, isa, p - text, want - text, ends[i] - text);
            }
            p = want;
        }
    }
}

/* The text ends where its memory ends: a read beyond it is found by ASan. */
static void all(const uint8_t *text, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    for (int isa = DECAI__SCAN_PLAIN; isa <= DECAI__SCAN_AVX512; isa++) {
        if (!decai__scan_many_of((enum decai__scan_isa)isa)) continue;
        for (size_t i = 0; i < DECAI__COUNT(PRE); i++) compare(PRE[i], (enum decai__scan_isa)isa, copy, len);
    }
    free(copy);
}

static void add(uint8_t *text, size_t *len, const char *atom)
{
    size_t n = atom[0] ? strlen(atom) : 1;
    if (*len + n > TEXT_MAX) return;
    memcpy(text + *len, atom, n);
    *len += n;
}

/* Texts of few kinds of atoms meet more of what those do to each other. */
static void atoms(void **state)
{
    uint8_t text[TEXT_MAX];
    uint64_t rng = 1;
    int texts = is_deep() ? 2000000 : 8000;
    (void)state;
    for (int i = 0; i < texts; i++) {
        uint32_t kinds = 2 + next_random(&rng) % 12, pick[13];
        size_t len = 0, want = 1 + next_random(&rng) % 300;
        for (uint32_t k = 0; k < kinds; k++) pick[k] = (uint32_t)(next_random(&rng) % DECAI__COUNT(ATOM));
        if (next_random(&rng) % 2) pick[0] = (uint32_t)(next_random(&rng) % 9);
        while (len < want) add(text, &len, ATOM[pick[next_random(&rng) % kinds]]);
        all(text, len);
    }
}

static void random_bytes(void **state)
{
    uint8_t text[TEXT_MAX];
    uint64_t rng = 2;
    (void)state;
    for (int i = 0; i < 4000; i++) {
        size_t len = next_random(&rng) % 300;
        uint32_t mask = next_random(&rng) % 2 ? 0xff : 0x7f;
        for (size_t k = 0; k < len; k++) text[k] = (uint8_t)(next_random(&rng) & mask);
        all(text, len);
    }
}

/* Every two atoms at the places around a block's end, behind a run of each class. */
static void borders(void **state)
{
    static const char *const FILL[] = { "a", "A", "1", "=", " ", "\n", "/", "\xc3\xa9" };
    uint8_t text[TEXT_MAX];
    (void)state;
    for (size_t f = 0; f < DECAI__COUNT(FILL); f++)
        for (size_t a = 0; a < DECAI__COUNT(ATOM); a++)
            for (size_t b = 0; b < DECAI__COUNT(ATOM); b += is_deep() ? 1 : 11) {
                for (size_t at = 58; at <= 66; at++) {
                    size_t len = 0;
                    add(text, &len, "x");
                    while (len < at) add(text, &len, FILL[f]);
                    add(text, &len, ATOM[a]);
                    add(text, &len, ATOM[b]);
                    while (len < 140) add(text, &len, at % 2 ? "a" : " b");
                    all(text, len);
                }
            }
}

static void lengths(void **state)
{
    uint8_t text[TEXT_MAX];
    (void)state;
    for (size_t a = 0; a < DECAI__COUNT(ATOM); a++) {
        size_t len = 0;
        for (size_t before = 0; len < 200; before = len) {
            add(text, &len, ATOM[a]);
            all(text, len);
            assert_true(len > before);
        }
    }
    all(text, 0);
}

/* Every character of two or three bytes (surrogates and what is not assigned among
 * them) beside itself, its neighbours and letters, and without its last byte. */
static void characters(void **state)
{
    static const char *const BESIDE[] = { "", "a", "\xd0\x96", "\xe6\xbc\xa2", " ", "'", "1" };
    uint8_t text[TEXT_MAX];
    (void)state;
    for (uint32_t from = 0x80; from < 0x10000; from += 8) {
        size_t len = 0;
        for (uint32_t c = from; c < from + 8; c++) {
            char two[] = { (char)(0xc0 | c >> 6), (char)(0x80 | (c & 63)), 0 };
            char three[] = { (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63)), 0 };
            char *one = c < 0x800 ? two : three;
            add(text, &len, BESIDE[(from / 8 + c) % DECAI__COUNT(BESIDE)]);
            for (uint32_t k = 0; k <= c % 3; k++) add(text, &len, one);
            if (c % 5) continue;
            one[strlen(one) - 1] = 0;
            add(text, &len, one);
        }
        while (len < 64 + from / 8 % 9) add(text, &len, "b");
        all(text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(atoms), cmocka_unit_test(random_bytes), cmocka_unit_test(borders),
        cmocka_unit_test(lengths), cmocka_unit_test(characters) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
