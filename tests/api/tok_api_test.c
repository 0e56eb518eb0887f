/* tok_api_test.c - the tokenizer as a program that links the library sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"
#include "support_gguf.h"

static decai_context *ctx;
static decai_tokenizer *t;

static const uint8_t *u8(const char *s) { return (const uint8_t *)s; }

static void there_and_back(void **state)
{
    int32_t ids[32];
    uint8_t text[64];
    size_t n, len, asked;
    (void)state;
    assert_int_equal(decai_tokenizer_encode(t, NULL, 0, &asked, u8(" the hello"), 10, 0), DECAI_E_SPACE);
    assert_int_equal(decai_tokenizer_encode(t, ids, 32, &n, u8(" the hello"), 10, 0), 0);
    assert_true(n == asked && n == 3);
    assert_int_equal(decai_tokenizer_decode(t, text, sizeof text, &len, ids, n, 0), 0);
    assert_true(len == 10 && !memcmp(text, " the hello", 10));
    assert_int_equal(decai_tokenizer_decode(t, NULL, 0, &len, ids, n, 0), DECAI_E_SPACE);
    assert_int_equal(len, 10);
    assert_int_equal(decai_tokenizer_encode(t, ids, 32, &n, NULL, 0, DECAI_ENCODE_ADD), 0);
    assert_true(n == 1 && ids[0] == SUPPORT_VOCAB_MIN - 2);
}

static void vocabulary(void **state)
{
    uint64_t count;
    int32_t id, kind, back;
    uint8_t out[32], hash[32], zero[32] = { 0 };
    size_t len;
    (void)state;
    assert_int_equal(decai_tokenizer_count(t, &count), 0);
    assert_int_equal(count, SUPPORT_VOCAB_MIN);
    for (int32_t i = 0; i < (int32_t)count; i++) {
        assert_int_equal(decai_tokenizer_token_get(t, out, sizeof out, &len, &kind, i), 0);
        assert_int_equal(decai_tokenizer_id_get(t, &back, out, len), 0);
        assert_int_equal(back, i);
    }
    assert_int_equal(decai_tokenizer_special_get(t, &id, "bos"), 0);
    assert_int_equal(id, SUPPORT_VOCAB_MIN - 2);
    assert_int_equal(decai_tokenizer_token_get(t, out, sizeof out, &len, &kind, id), 0);
    assert_true(kind == DECAI_TOKEN_CONTROL && len == 9 && !memcmp(out, "<|begin|>", 9));
    assert_int_equal(decai_tokenizer_special_get(t, &id, "eos"), 0);
    assert_int_equal(decai_tokenizer_special_get(t, &id, "padding"), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_tokenizer_special_get(t, &id, "king"), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_id_get(t, &id, u8("no such"), 7), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_tokenizer_hash_get(t, hash, 32), 0);
    assert_memory_not_equal(hash, zero, 32);
}

static void stream(void **state)
{
    decai_token_stream *s;
    uint8_t out[16];
    size_t len;
    (void)state;
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 0xe4), 0);
    assert_int_equal(len, 0);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 0xb8), 0);
    assert_int_equal(len, 0);
    assert_int_equal(decai_token_stream_add(s, out, 2, &len, 0xad), DECAI_E_SPACE);
    assert_int_equal(len, 3);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 0xad), 0);
    assert_true(len == 3 && !memcmp(out, "\xe4\xb8\xad", 3));
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, 0xc3), 0);
    assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, DECAI_TOKEN_END), 0);
    assert_true(len == 3 && !memcmp(out, "\xef\xbf\xbd", 3));
    decai_destroy(s);
}

/* Each output is optional; the lengths are told all the same. */
static void batch_outputs(void **state)
{
    const uint64_t text_ends[] = { 1, 3 };
    int32_t ids[8], again[8];
    uint64_t ends[8], rows[2];
    size_t n, m, k;
    (void)state;
    assert_int_equal(decai_tokenizer_batch_encode(t, ids, 8, &n, ends, 8, &m, rows, 2, &k, u8("abc"), 3, text_ends, 2, 0, 0), 0);
    assert_true(n == m && k == 2 && rows[1] == n && ends[n - 1] == 2);
    assert_int_equal(decai_tokenizer_batch_encode(t, again, 8, &n, NULL, 0, &m, NULL, 0, &k, u8("abc"), 3, text_ends, 2, 0, 0), 0);
    assert_true(n == m && k == 2 && !memcmp(ids, again, n * sizeof *ids));
    assert_int_equal(decai_tokenizer_batch_encode(t, ids, 1, &n, NULL, 0, &m, NULL, 0, &k, u8("abc"), 3, text_ends, 2, 0, 0), DECAI_E_SPACE);
    assert_true(n > 1);
    assert_int_equal(decai_tokenizer_batch_encode(t, ids, 8, &n, NULL, 0, &m, NULL, 0, &k, u8("abc"), 3, text_ends, 1, 0, 0), DECAI_E_INVALID);
}

static void wrong_arguments(void **state)
{
    decai_tokenizer *none;
    decai_token_stream *s;
    int32_t id;
    uint8_t out[32];
    size_t n;
    (void)state;
    assert_int_equal(decai_tokenizer_create(&none, NULL, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_create(&none, (decai_model *)(void *)t, NULL), DECAI_E_INVALID);
    assert_null(none);
    assert_int_equal(decai_tokenizer_encode(t, &id, 1, NULL, u8("a"), 1, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_encode(t, NULL, 1, &n, u8("a"), 1, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_encode(t, &id, 1, &n, NULL, 1, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_encode(t, &id, 1, &n, u8("a"), 1, 4), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_decode(t, out, 32, &n, NULL, 1, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_decode(t, out, 32, &n, &id, 0, 4), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_hash_get(t, out, 33), DECAI_E_INVALID);
    assert_int_equal(decai_token_stream_create(&s, t, 8), DECAI_E_INVALID);
    assert_null(s);
    assert_int_equal(decai_token_stream_add(NULL, out, 32, &n, 0), DECAI_E_INVALID);
    assert_int_equal(decai_tokenizer_count(NULL, NULL), DECAI_E_INVALID);
}

/* The model may go first, the stream last. */
static int setup(void **state)
{
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    (void)state;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    gguf_end(&w, &bytes, &len);
    if (decai_context_create(&ctx, NULL) || decai_model_open(&m, ctx, bytes, len, NULL)) return 1;
    free(bytes);
    int32_t r = decai_tokenizer_create(&t, m, NULL);
    decai_destroy(m);
    decai_destroy(ctx);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(vocabulary), cmocka_unit_test(stream),
        cmocka_unit_test(batch_outputs), cmocka_unit_test(wrong_arguments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
