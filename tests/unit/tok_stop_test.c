/* Stop texts of a token stream: found across tokens and in the middle of them, what is
 * held back, limits; beside a search through the whole text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support_gguf.h"
#include "support_heap.h"
#include "tok/internal.h"
#include "tok/stop.h"

static support_heap heap;
static decai_context *ctx;
static decai_tokenizer *t;

static int
setup(void **state)
{
    gguf_writer w;
    decai_model *m = NULL;
    uint8_t *bytes;
    size_t len;
    (void)state;
    if (!(ctx = support_heap_context(&heap))) return 1;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    gguf_end(&w, &bytes, &len);
    int32_t r = decai_model_open(&m, ctx, bytes, len, NULL);
    if (!r) r = decai_tokenizer_create(&t, m, NULL);
    free(bytes);
    decai_destroy(m);
    return r;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(t);
    decai_destroy(ctx);
    return heap.live != 0;
}

static int32_t
stop_add(decai_token_stream *s, const char *text)
{
    return decai_token_stream_stop_add(s, (const uint8_t *)text, strlen(text));
}

/* Bytes as tokens of one byte; stops ended by NULL. What was given, and the index or -1. */
static int32_t
run(char *out, const char *text, const char *const *stops)
{
    decai_token_stream *s;
    uint8_t some[64];
    size_t len, at = 0, n = strlen(text);
    int32_t index, r = 0;
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    for (; *stops; stops++) assert_int_equal(stop_add(s, *stops), 0);
    for (size_t i = 0; i <= n; i++) {
        r = decai_token_stream_add(s, some, sizeof some, &len, i < n ? (uint8_t)text[i] : DECAI_TOKEN_END);
        assert_true(r == 0 || r == 1);
        memcpy(out + at, some, len);
        at += len;
    }
    out[at] = 0;
    assert_int_equal(decai_token_stream_stop_get(s, &index), r);
    decai_destroy(s);
    return index;
}

static void
test_rows(void **state)
{
    static const struct { const char *text, *stops[4], *out; int32_t index; } rows[] = {
        { "hello world", { "wor" }, "hello ", 0 },
        { "hello world", { "xyz", "o w" }, "hell", 1 },
        { "hello", { "lloq" }, "hello", -1 },                     /* held to the end, then given */
        { "aab", { "ab" }, "a", 0 },
        { "ababac", { "abac" }, "ab", 0 },                        /* falls back inside itself */
        { "aaaaab", { "aaab" }, "aa", 0 },
        { "abcd", { "abcd", "bc" }, "a", 1 },                     /* complete first */
        { "abc", { "bc", "abc" }, "", 1 },                        /* at the same byte: the longer */
        { "abc", { "abc", "bc" }, "", 0 },
        { "stop", { "stop" }, "", 0 },
        { "\xc3\xa9t\xc3\xa9", { "\xc3\xa9" }, "", 0 },
        { "t\xc3\xa9s", { "\xc3\xa8" }, "t\xc3\xa9s", -1 },       /* equal first bytes of two characters */
        { "\xe2\x80 END", { "END" }, "\xef\xbf\xbd ", 0 },        /* behind what is no character */
        { "a\xff" "b", { "\xef\xbf\xbd" }, "a", 0 },              /* the text that people see counts */
        { "\n\nUser: hi", { "\nUser:", "\n\nU" }, "", 1 },
    };
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t index = run(out, rows[i].text, rows[i].stops);
        if (index != rows[i].index || strcmp(out, rows[i].out)) fail_msg("row %zu: %d, \"%s\"", i, (int)index, out);
    }
}

/* After the end nothing comes, whatever is added. */
static void
test_the_end_is_the_end(void **state)
{
    decai_token_stream *s;
    uint8_t out[64];
    size_t len;
    int32_t index;
    (void)state;
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    assert_int_equal(stop_add(s, "b"), 0);
    assert_int_equal(decai_token_stream_stop_get(s, &index), 0);
    assert_int_equal(index, -1);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'a'), 0);
    assert_int_equal(stop_add(s, "c"), DECAI_E_STATE);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'b'), 1);
    assert_int_equal(len, 0);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'c'), 1);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, DECAI_TOKEN_END), 1);
    assert_int_equal(len, 0);
    assert_int_equal(decai_token_stream_stop_get(s, &index), 1);
    assert_int_equal(index, 0);
    decai_destroy(s);
}

/* ---- beside a plain search ---------------------------------------------------------------- */

enum { TOKENS = 24, TEXT = 512, STOPS = 5 };

typedef struct plain { uint8_t text[TEXT]; size_t len; char stops[STOPS][8]; int count; } plain;

static size_t
ends_with(const plain *p, size_t len, const char *stop, size_t n)
{
    return len >= n && !memcmp(p->text + len - n, stop, n);
}

/* The first length of text at which a stop text is complete; *index: the longest. 0: none. */
static size_t
first_end(const plain *p, int32_t *index)
{
    *index = -1;
    for (size_t len = 1; len <= p->len && *index < 0; len++) {
        for (int i = 0; i < p->count; i++)
            if (ends_with(p, len, p->stops[i], strlen(p->stops[i]))
                && (*index < 0 || strlen(p->stops[i]) > strlen(p->stops[*index]))) *index = i;
        if (*index >= 0) return len;
    }
    return 0;
}

static size_t
longest_beginning(const plain *p)
{
    size_t most = 0;
    for (int i = 0; i < p->count; i++)
        for (size_t n = 1; n < strlen(p->stops[i]); n++)
            if (n > most && ends_with(p, p->len, p->stops[i], n)) most = n;
    return most;
}

static decai_token_stream *
stream_with(const plain *p)
{
    decai_token_stream *s;
    assert_int_equal(decai_token_stream_create(&s, t, DECAI_DECODE_CONTINUE), 0);
    for (int i = 0; i < p->count; i++) assert_int_equal(stop_add(s, p->stops[i]), 0);
    return s;
}

static void
random_stops(plain *p, uint64_t *seed)
{
    static const char *const letters[] = { "a", "b", "e", "l", "\xc3\xa9", "\xef\xbf\xbd" };
    p->count = 1 + (int)(support_rand(seed) % STOPS);
    for (int i = 0; i < p->count; i++) {
        p->stops[i][0] = 0;
        for (uint64_t n = 1 + support_rand(seed) % 3, k = 0; k < n; k++)
            if (strlen(p->stops[i]) < 4) strcat(p->stops[i], letters[support_rand(seed) % 6]);
    }
}

static void
test_plain_search(void **state)
{
    static const int32_t ids[] = { 'a', 'b', 'e', 'l', 0xc3, 0xa9, 0xef, 256, 257, 258, 259, 260 };
    uint64_t seed = 7;
    int stopped = 0;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        plain p = { .len = 0 };
        uint8_t out[64], given[TEXT];
        size_t len, at = 0;
        int32_t index = -1;
        random_stops(&p, &seed);
        plain none = { .count = 0 };
        decai_token_stream *s = stream_with(&p), *bare = stream_with(&none);
        for (int i = 0; i <= TOKENS && index < 0; i++) {
            int32_t token = i < TOKENS ? ids[support_rand(&seed) % 12] : DECAI_TOKEN_END;
            assert_int_equal(decai_token_stream_add(bare, p.text + p.len, 64, &len, token), 0);
            p.len += len;
            size_t end = first_end(&p, &index);
            /* A refusal for space changes nothing. */
            int32_t r = decai_token_stream_add(s, NULL, 0, &len, token);
            if (r == DECAI_E_SPACE) r = decai_token_stream_add(s, out, sizeof out, &len, token);
            memcpy(given + at, out, len);
            at += len;
            size_t want = index >= 0 ? end - strlen(p.stops[index]) : i < TOKENS ? p.len - longest_beginning(&p) : p.len;
            if (r != (index >= 0) || at != want || memcmp(given, p.text, at)) fail_msg("round %d, token %d: %zu bytes, %zu expected", round, i, at, want);
        }
        int32_t told;
        assert_int_equal(decai_token_stream_stop_get(s, &told), index >= 0);
        assert_true(index < 0 || !strcmp(p.stops[told], p.stops[index]));
        stopped += index >= 0;
        decai_destroy(s);
        decai_destroy(bare);
    }
    print_message("# %d of 20000 ended by a stop text\n", stopped);
    assert_in_range(stopped, 2000, 19990);
}

/* ---- limits, refusals, time ------------------------------------------------------------------ */

static void
test_limits(void **state)
{
    static uint8_t text[DECAI_STOP_BYTES_MAX + 1], out[DECAI_TOKEN_STREAM_MAX + DECAI_STOP_BYTES_MAX];
    decai_token_stream *s;
    size_t len;
    int32_t index;
    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t n = DECAI_STOP_BYTES_MAX - 1; n <= DECAI_STOP_BYTES_MAX + 1; n++) {
        assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
        assert_int_equal(decai_token_stream_stop_add(s, text, n), n > DECAI_STOP_BYTES_MAX ? DECAI_E_LIMIT : 0);
        for (size_t i = 0; i + 1 < n && n <= DECAI_STOP_BYTES_MAX; i++) {
            assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'a'), 0);
            assert_int_equal(len, 0);
        }
        if (n == DECAI_STOP_BYTES_MAX) {
            assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'b'), 0);     /* all of it at once */
            assert_int_equal(len, n);
        } else if (n < DECAI_STOP_BYTES_MAX) {
            assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'a'), 1);
            assert_int_equal(len, 0);
        }
        decai_destroy(s);
    }
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    for (int i = 1; i <= DECAI_STOP_COUNT_MAX + 1; i++) {
        char one[8];
        snprintf(one, sizeof one, "%dx", i);
        assert_int_equal(stop_add(s, one), i > DECAI_STOP_COUNT_MAX ? DECAI_E_LIMIT : 0);
    }
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, '6'), 0);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, '4'), 0);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 'x'), 1);
    assert_int_equal(decai_token_stream_stop_get(s, &index), 1);
    assert_int_equal(index, 63);
    decai_destroy(s);
}

static void
test_refused(void **state)
{
    static const char *const bad[] = { "", "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80" };
    decai_token_stream *s;
    int32_t index;
    (void)state;
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(stop_add(s, bad[i]), DECAI_E_INVALID);
    assert_int_equal(decai_token_stream_stop_add(s, NULL, 3), DECAI_E_INVALID);
    assert_int_equal(decai_token_stream_stop_add(NULL, (const uint8_t *)"a", 1), DECAI_E_INVALID);
    assert_int_equal(decai_token_stream_stop_get(s, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_token_stream_stop_get(NULL, &index), DECAI_E_INVALID);
    decai_destroy(s);
}

/* What makes it linear: each text falls back to the longest beginning it has, hence
 * never twice over the same bytes. */
static void
test_falls(void **state)
{
    uint64_t seed = 3;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        decai__stops stops = { .count = 0 };
        uint8_t text[24];
        size_t len = 1 + support_rand(&seed) % sizeof text;
        for (size_t i = 0; i < len; i++) text[i] = (uint8_t)('a' + support_rand(&seed) % 2);
        assert_int_equal(decai__stops_add(&stops, ctx, text, len), 0);
        for (size_t k = 0; k < len; k++) {
            size_t n = k;
            while (n && memcmp(text, text + k + 1 - n, n)) n--;
            assert_int_equal(stops.list[0].fall[k], n);
        }
        decai__stops_free(&stops, ctx);
    }
}

static double
seconds(const decai__stops *stops, const char *text, size_t len)
{
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        decai__stop_state at = { .hit = -1 };
        clock_t start = clock();
        for (size_t i = 0; i < 2000000; i++) decai__stops_step(stops, &at, (uint8_t)text[i % len]);
        assert_int_equal(at.hit, -1);
        double spent = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (spent < best) best = spent;
    }
    return best;
}

/* The worst text beside an ordinary one: a search that began again at each byte would
 * take a thousand times as long. */
static void
test_linear(void **state)
{
    static char text[DECAI_STOP_BYTES_MAX], worst[1500];
    decai__stops stops = { .count = 0 };
    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    memset(worst, 'a', sizeof worst);
    worst[sizeof worst - 1] = 'c';
    assert_int_equal(decai__stops_add(&stops, ctx, (const uint8_t *)text, sizeof text), 0);
    double ordinary = seconds(&stops, "the quick brown fox ", 20), hard = seconds(&stops, worst, sizeof worst);
    print_message("# ratio %.2f\n", hard / ordinary);
    assert_true(hard < 20 * ordinary);
    decai__stops_free(&stops, ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_the_end_is_the_end), cmocka_unit_test(test_plain_search),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_refused), cmocka_unit_test(test_falls),
        cmocka_unit_test(test_linear),
    };
    return cmocka_run_group_tests_name("tok_stop", tests, setup, teardown);
}
