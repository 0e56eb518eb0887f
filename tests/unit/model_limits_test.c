/* model_limits_test.c - every named limit of a GGUF at limit - 1, limit and
 * limit + 1, and the sound files around them: versions, alignments, types,
 * metadata of every type, empty and vocabulary-only files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/internal.h"
#include "support_gguf.h"
#include "support_heap.h"

static decai_context *ctx;
static support_heap heap;
static decai_options *no_hash;

/* The result of opening what w holds; the model, if wanted and good. */
static int32_t finish(gguf_writer *w, decai_model **out)
{
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    gguf_end(w, &bytes, &len);
    int32_t r = decai_model_open(&m, ctx, bytes, len, no_hash);
    free(bytes);
    if (out) *out = m;
    else decai_destroy(m);
    return r;
}

static void key_length(void **state)
{
    char key[DECAI_MODEL_KEY_MAX + 2];
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        memset(key, 'k', sizeof key);
        key[DECAI_MODEL_KEY_MAX + d] = 0;
        gguf_begin(&w, 0);
        gguf_u32(&w, key, 1);
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
    assert_non_null(strstr(decai_error_detail(), "metadata key: 256 is above 255"));
}

static void name_length(void **state)
{
    char name[DECAI_MODEL_NAME_MAX + 2];
    uint64_t dims[1] = { 1 };
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        memset(name, 'n', sizeof name);
        name[DECAI_MODEL_NAME_MAX + d] = 0;
        gguf_begin(&w, 0);
        gguf_tensor(&w, name, 0, 1, dims, dims, 4);
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
    assert_non_null(strstr(decai_error_detail(), "tensor name: 65 is above 64"));
}

static void metadata_count(void **state)
{
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        char key[16];
        gguf_begin(&w, 0);
        for (int i = 0; i < DECAI_MODEL_METADATA_MAX + d; i++) {
            snprintf(key, sizeof key, "k%d", i);
            gguf_bool(&w, key, 1);
        }
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
    assert_non_null(strstr(decai_error_detail(), "metadata_count: 65537"));
}

static void tensor_count(void **state)
{
    uint64_t dims[1] = { 2 };
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        char name[16];
        gguf_begin(&w, 8);
        gguf_u32(&w, "general.alignment", 8);
        for (int i = 0; i < DECAI_MODEL_TENSOR_MAX + d; i++) {
            snprintf(name, sizeof name, "t%d", i);
            gguf_tensor(&w, name, 0, 1, dims, dims, 8);
        }
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
    assert_non_null(strstr(decai_error_detail(), "tensor_count: 65537"));
}

static void dims_count(void **state)
{
    uint64_t dims[5] = { 2, 1, 1, 1, 1 };
    (void)state;
    for (uint32_t n = 3; n <= 5; n++) {
        gguf_writer w;
        gguf_begin(&w, 0);
        gguf_tensor(&w, "t", 0, n, dims, dims, 8);
        assert_int_equal(finish(&w, NULL), n > 4 ? DECAI_E_LIMIT : 0);
    }
}

static void nesting(void **state)
{
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        gguf_bytes b = { 0 };
        for (int i = 1; i < DECAI_MODEL_DEPTH_MAX + d; i++) gguf_put_u32(&b, 9), gguf_put_u64(&b, 1);
        gguf_put_u32(&b, 0), gguf_put_u64(&b, 0);
        gguf_begin(&w, 0);
        gguf_raw(&w, "nest", 9, b.data, b.len);
        free(b.data);
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
}

static void string_length(void **state)
{
    char *text = calloc(1, DECAI_MODEL_STRING_MAX + 1);
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        gguf_begin(&w, 0);
        gguf_str_n(&w, "text", text, (size_t)(DECAI_MODEL_STRING_MAX + d));
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
    free(text);
}

static void array_length(void **state)
{
    uint8_t *raw = calloc(1, 12 + DECAI_MODEL_ARRAY_MAX + 1);
    (void)state;
    for (int d = -1; d <= 1; d++) {
        gguf_writer w;
        uint64_t n = (uint64_t)(DECAI_MODEL_ARRAY_MAX + d);
        memcpy(raw + 4, &n, 8);
        gguf_begin(&w, 0);
        gguf_raw(&w, "bytes", 9, raw, 12 + (size_t)n);
        assert_int_equal(finish(&w, NULL), d > 0 ? DECAI_E_LIMIT : 0);
    }
    free(raw);
}

static void alignment_range(void **state)
{
    static const struct { uint32_t v; int32_t r; } CASE[] = { { 4, DECAI_E_LIMIT }, { 7, DECAI_E_LIMIT }, { 8, 0 },
        { 9, DECAI_E_CORRUPT }, { 16, 0 }, { 24, 0 }, { 28, DECAI_E_CORRUPT }, { 40, 0 }, { DECAI_MODEL_ALIGN_MAX / 2, 0 }, { DECAI_MODEL_ALIGN_MAX - 1, DECAI_E_CORRUPT },
        { DECAI_MODEL_ALIGN_MAX, 0 }, { DECAI_MODEL_ALIGN_MAX + 1, DECAI_E_LIMIT }, { 2 * DECAI_MODEL_ALIGN_MAX, DECAI_E_LIMIT } };
    uint64_t dims[1] = { 2 };
    (void)state;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        gguf_writer w;
        decai_model *m;
        gguf_begin(&w, CASE[i].v);
        gguf_u32(&w, "general.alignment", CASE[i].v);
        gguf_tensor(&w, "t", 0, 1, dims, "\1\2\3\4\5\6\7", 8);
        gguf_tensor(&w, "u", 0, 1, dims, "abcdefg", 8);
        int32_t r = finish(&w, &m);
        if (r != CASE[i].r) fail_msg("alignment %u: %d %s", CASE[i].v, r, decai_error_detail());
        if (!r) assert_memory_equal(decai__model_tensor_find(m, "u")->data, "abcdefg", 8);
        decai_destroy(m);
    }
}

static void path_length(void **state)
{
    static char path[DECAI_MODEL_PATH_MAX + 2];
    decai_model *m;
    (void)state;
    for (int d = -1; d <= 1; d++) {
        memset(path, '/', sizeof path);
        memcpy(path + DECAI_MODEL_PATH_MAX + d - 2, "/x", 3);
        int32_t r = decai_model_load(&m, ctx, path, NULL);
        assert_int_equal(r, d > 0 ? DECAI_E_LIMIT : DECAI_E_IO);
    }
    assert_int_equal(decai_model_load(&m, ctx, "", NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_load(&m, ctx, NULL, NULL), DECAI_E_INVALID);
}

/* ---- sound files ----------------------------------------------------------- */

static void empty_files(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        gguf_writer w;
        decai_model *m;
        gguf_begin(&w, 0);
        w.version = version;
        assert_int_equal(finish(&w, &m), 0);
        assert_int_equal(decai__model_tensor_count(m), 0);
        assert_null(decai__model_root(m));       /* model.hash was 0 */
        decai_destroy(m);
    }
}

/* Every prefix of a file that ends inside the header or the data is refused. */
static void truncation(void **state)
{
    support_llama shape = SUPPORT_LLAMA_TINY;
    uint8_t *bytes;
    size_t len, step = getenv("DECAI_DEEP") ? 1 : 37;
    decai_model *m;
    (void)state;
    shape.n_embd = 32;
    shape.n_layer = 1;
    support_gguf_llama(&shape, &bytes, &len);
    for (size_t n = 0; n < len; n += step) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, bytes, n);
        int32_t r = decai_model_open(&m, ctx, cut, n, no_hash);
        /* The file ends in padding; all before that is content. */
        if (r != DECAI_E_CORRUPT) fail_msg("%zu of %zu bytes: %d", n, len, r);
        free(cut);
    }
    free(bytes);
}

static void metadata_of_every_type(void **state)
{
    static const struct { uint32_t type; uint8_t raw[8]; size_t size; const char *text; } CASE[] = {
        { 0, { 200 }, 1, "200" }, { 1, { 200 }, 1, "-56" }, { 2, { 1, 2 }, 2, "513" }, { 3, { 0, 0x80 }, 2, "-32768" },
        { 4, { 255, 255, 255, 255 }, 4, "4294967295" }, { 5, { 255, 255, 255, 255 }, 4, "-1" },
        { 6, { 0xac, 0xc5, 0x27, 0x37 }, 4, "0.00001" },            /* 1e-5f */
        { 6, { 0, 0x40, 0x1c, 0x46 }, 4, "10000" }, { 6, { 0, 0, 0xc0, 0x7f }, 4, "\"nan\"" },
        { 6, { 0, 0, 0x80, 0xff }, 4, "\"-inf\"" }, { 6, { 0, 0, 0, 0x72 }, 4, "\"1*2^101\"" },
        { 7, { 1 }, 1, "true" }, { 7, { 0 }, 1, "false" },
        { 10, { 255, 255, 255, 255, 255, 255, 255, 255 }, 8, "18446744073709551615" },
        { 11, { 0, 0, 0, 0, 0, 0, 0, 0x80 }, 8, "-9223372036854775808" },
        { 12, { 0, 0, 0, 0, 0, 0, 0xd0, 0xbf }, 8, "-0.25" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        gguf_writer w;
        decai_model *m;
        char text[64];
        size_t len;
        gguf_begin(&w, 0);
        gguf_raw(&w, "v", CASE[i].type, CASE[i].raw, CASE[i].size);
        assert_int_equal(finish(&w, &m), 0);
        assert_int_equal(decai_model_metadata_get(m, (uint8_t *)text, sizeof text, &len, "v"), 0);
        if (len != strlen(CASE[i].text) || memcmp(text, CASE[i].text, len))
            fail_msg("row %zu: %.*s, not %s", i, (int)len, text, CASE[i].text);
        decai_destroy(m);
    }
}

static void arrays_and_strings(void **state)
{
    static const char *const words[] = { "one", "", "three" };
    gguf_writer w;
    decai_model *m;
    gguf_bytes nested = { 0 };
    char text[256];
    const char *s;
    size_t len;
    const decai__metadata *a;
    const uint8_t *pos = NULL;
    (void)state;
    gguf_begin(&w, 0);
    gguf_strs(&w, "words", words, 3);
    gguf_put_u32(&nested, 9), gguf_put_u64(&nested, 2);
    for (int i = 0; i < 2; i++) gguf_put_u32(&nested, 4), gguf_put_u64(&nested, 1), gguf_put_u32(&nested, 7 + (uint32_t)i);
    gguf_raw(&w, "nested", 9, nested.data, nested.len);
    free(nested.data);
    gguf_str_n(&w, "bytes", "a\0\xff", 3);
    assert_int_equal(finish(&w, &m), 0);
    assert_int_equal(decai__model_array(m, "words", DECAI_METADATA_STRING, &a), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(decai__metadata_next_str(a, &pos, &s, &len), 1);
        assert_true(len == strlen(words[i]) && !memcmp(s, words[i], len));
    }
    assert_int_equal(decai__metadata_next_str(a, &pos, &s, &len), 0);
    assert_int_equal(decai_model_metadata_get(m, (uint8_t *)text, sizeof text, &len, "nested"), 0);
    assert_true(len == 9 && !memcmp(text, "[[7],[8]]", len));
    assert_int_equal(decai_model_metadata_get(m, (uint8_t *)text, sizeof text, &len, "bytes"), 0);
    assert_true(len == 3 && !memcmp(text, "a\0\xff", 3));
    assert_int_equal(decai_model_format(m, (uint8_t *)text, sizeof text, &len), 0);
    text[len] = 0;
    assert_non_null(strstr(text, "\"bytes\":\"a\\u0000\xef\xbf\xbd\""));
    assert_int_equal(decai__model_array(m, "words", DECAI_METADATA_I32, &a), DECAI_E_CORRUPT);
    assert_int_equal(decai__model_str(m, "words", &s, &len), DECAI_E_CORRUPT);
    decai_destroy(m);
}

/* A big file with a bad header costs its header: bytes and memory. */
static void refusals_are_cheap(void **state)
{
    char path[] = "/tmp/decai-limits-XXXXXX";
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    uint64_t dims[1] = { 8 };
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    gguf_begin(&w, 0);
    gguf_tensor(&w, "t", 0, 1, dims, "", 0);
    gguf_tensor(&w, "t", 0, 1, dims, "", 0);
    gguf_end(&w, &bytes, &len);
    FILE *f = fdopen(fd, "wb");
    fwrite(bytes, 1, len, f);
    fseek(f, 1L << 30, SEEK_SET);                /* a hole of a GiB */
    fputc(0, f);
    fclose(f);
    free(bytes);
    size_t before = heap.live;
    support_heap_mark(&heap);
    assert_int_equal(decai_model_load(&m, ctx, path, NULL), DECAI_E_CORRUPT);
    assert_true(heap.peak - before < 4u << 20);
    remove(path);
}

static int setup(void **state)
{
    (void)state;
    if (!(ctx = support_heap_context(&heap)) || decai_options_create(&no_hash, ctx)) return 1;
    return decai_options_set_i64(no_hash, "model.hash", 0);
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(no_hash);
    decai_destroy(ctx);
    return heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_length), cmocka_unit_test(name_length), cmocka_unit_test(metadata_count),
        cmocka_unit_test(tensor_count), cmocka_unit_test(dims_count), cmocka_unit_test(nesting),
        cmocka_unit_test(string_length), cmocka_unit_test(array_length), cmocka_unit_test(alignment_range),
        cmocka_unit_test(path_length), cmocka_unit_test(empty_files), cmocka_unit_test(truncation),
        cmocka_unit_test(metadata_of_every_type), cmocka_unit_test(arrays_and_strings),
        cmocka_unit_test(refusals_are_cheap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
