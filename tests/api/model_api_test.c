/* model_api_test.c - models as a program that links the library sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"
#include "support_gguf.h"

static decai_context *ctx;
static char path[] = "/tmp/decai-model-XXXXXX";
static uint8_t *bytes;
static size_t bytes_len;

static decai_model *load(int64_t map, int64_t hash)
{
    decai_options *o;
    decai_model *m;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.map", map), 0);
    assert_int_equal(decai_options_set_i64(o, "model.hash", hash), 0);
    if (decai_model_load(&m, ctx, path, o)) fail_msg("%s", decai_error_detail());
    decai_destroy(o);
    return m;
}

/* Read, mapped, in memory and in the background: one root. */
static void all_doors_give_one_root(void **state)
{
    uint8_t want[32], got[32], sha[32];
    decai_model *m = load(0, 1);
    decai_task *task;
    uint64_t n;
    (void)state;
    assert_int_equal(decai_model_root_get(m, want, 32), 0);
    assert_int_equal(decai_model_sha256_get(m, sha, 32), 0);
    assert_memory_not_equal(want, sha, 32);
    decai_destroy(m);
    m = load(1, 1);
    assert_int_equal(decai_model_root_get(m, got, 32), 0);
    assert_memory_equal(got, want, 32);
    decai_destroy(m);
    assert_int_equal(decai_model_open(&m, ctx, bytes, bytes_len, NULL), 0);
    assert_int_equal(decai_model_root_get(m, got, 32), 0);
    assert_memory_equal(got, want, 32);
    decai_destroy(m);
    assert_int_equal(decai_model_load_start(&task, &m, ctx, path, NULL), 0);
    assert_int_equal(decai_task_wait(task, -1), 0);
    assert_int_equal(decai_model_root_get(m, got, 32), 0);
    assert_memory_equal(got, want, 32);
    assert_int_equal(decai_model_tensor_count(m, &n), 0);
    assert_int_equal(n, 21);
    decai_destroy(task);
    decai_destroy(m);
}

static void a_model_waits_for_its_task(void **state)
{
    decai_model *m;
    decai_task *task;
    uint8_t root[32];
    uint64_t n;
    (void)state;
    /* No pool threads: nothing happens before the wait. */
    assert_int_equal(decai_model_load_start(&task, &m, ctx, path, NULL), 0);
    assert_int_equal(decai_model_root_get(m, root, 32), DECAI_E_STATE);
    assert_int_equal(decai_model_tensor_count(m, &n), DECAI_E_STATE);
    decai_destroy(m);                            /* the task keeps it */
    assert_int_equal(decai_task_wait(task, -1), 0);
    decai_destroy(task);
    assert_int_equal(decai_model_load_start(&task, &m, ctx, path, NULL), 0);
    assert_int_equal(decai_task_cancel(task), 0);
    assert_int_equal(decai_task_wait(task, -1), DECAI_E_CANCELLED);
    assert_int_equal(decai_model_root_get(m, root, 32), DECAI_E_STATE);
    decai_destroy(task);
    decai_destroy(m);
    assert_int_equal(decai_model_load_start(&task, &m, ctx, "/no/such/file", NULL), 0);
    assert_int_equal(decai_task_wait(task, -1), DECAI_E_IO);
    decai_destroy(task);
    decai_destroy(m);
}

static void content(void **state)
{
    decai_model *m = load(0, 1);
    const char *name, *before = "";
    int32_t type;
    uint64_t dims[4], size, count = 0;
    uint8_t text[65536], root[32];
    const uint8_t *data;
    size_t len, small;
    (void)state;
    for (; decai_model_tensor_at(m, &name, &type, dims, 4, &size, (size_t)count) == 1; count++) {
        assert_true(strcmp(before, name) < 0);
        assert_true(dims[3] == 1 && size > 0 && (type == 0 || type == 8));
        assert_int_equal(decai_model_tensor_root_get(m, root, 32, name), 0);
        assert_int_equal(decai_model_tensor_get(m, &data, &len, name), 0);
        assert_true(len == size && (uintptr_t)data % 8 == 0);
        before = name;
    }
    assert_int_equal(count, 21);
    before = "";
    for (size_t i = 0; decai_model_metadata_at(m, &name, &type, i) == 1; i++) {
        assert_true(strcmp(before, name) < 0 && type >= 0 && type <= 12);
        before = name;
    }
    assert_int_equal(decai_model_metadata_get(m, text, sizeof text, &len, "general.architecture"), 0);
    assert_true(len == 5 && !memcmp(text, "llama", 5));
    assert_int_equal(decai_model_metadata_get(m, NULL, 0, &small, "general.architecture"), DECAI_E_SPACE);
    assert_int_equal(small, 5);
    assert_int_equal(decai_model_metadata_get(m, text, sizeof text, &len, "llama.block_count"), 0);
    assert_true(len == 1 && *text == '2');
    assert_int_equal(decai_model_format(m, text, sizeof text, &len), 0);
    text[len] = 0;
    assert_non_null(strstr((char *)text, "\"format\":\"gguf\",\"version\":3"));
    assert_non_null(strstr((char *)text, "\"name\":\"blk.0.attn_k.weight\",\"type\":\"Q8_0\",\"dims\":[64,32]"));
    assert_non_null(strstr((char *)text, "\"tokenizer.ggml.tokens\":{\"array\":\"string\",\"count\":320,"));
    assert_int_equal(decai_json_verify(ctx, (const char *)text, len), 0);
    decai_destroy(m);
}

static void without_identity(void **state)
{
    decai_model *m = load(0, 0);
    uint8_t out[32];
    (void)state;
    assert_int_equal(decai_model_root_get(m, out, 32), DECAI_E_STATE);
    assert_int_equal(decai_model_sha256_get(m, out, 32), DECAI_E_STATE);
    assert_int_equal(decai_model_tensor_root_get(m, out, 32, "output.weight"), DECAI_E_STATE);
    decai_destroy(m);
}

static void wrong_arguments(void **state)
{
    decai_model *m = load(0, 1), *none;
    uint8_t out[32];
    const char *name;
    int32_t type;
    uint64_t dims[4], size;
    const uint8_t *data;
    size_t len;
    decai_options *o;
    (void)state;
    assert_int_equal(decai_model_load(NULL, ctx, path, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_load(&none, NULL, path, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_load(&none, ctx, "/", NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_load(&none, ctx, "/dev/null", NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_open(&none, ctx, NULL, 8, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_open(&none, ctx, NULL, 0, NULL), DECAI_E_CORRUPT);
    assert_null(none);
    assert_int_equal(decai_model_root_get(m, out, 31), DECAI_E_INVALID);
    assert_int_equal(decai_model_root_get(m, NULL, 32), DECAI_E_INVALID);
    assert_int_equal(decai_model_root_get(NULL, out, 32), DECAI_E_INVALID);
    assert_int_equal(decai_model_root_get((decai_model *)(void *)ctx, out, 32), DECAI_E_INVALID);
    assert_int_equal(decai_model_tensor_root_get(m, out, 32, "none"), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_model_tensor_get(m, &data, &len, "none"), DECAI_E_NOT_FOUND);
    assert_true(!data && !len);
    assert_int_equal(decai_model_tensor_get(m, NULL, &len, "output.weight"), DECAI_E_INVALID);
    assert_int_equal(decai_model_tensor_get(m, &data, NULL, "output.weight"), DECAI_E_INVALID);
    assert_int_equal(decai_model_tensor_get(m, &data, &len, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_model_tensor_at(m, &name, &type, dims, 3, &size, 0), DECAI_E_INVALID);
    assert_int_equal(decai_model_tensor_at(m, &name, &type, dims, 4, &size, SIZE_MAX), 0);
    assert_int_equal(decai_model_metadata_at(m, &name, &type, SIZE_MAX), 0);
    assert_int_equal(decai_model_metadata_get(m, out, 32, &len, "none"), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.map", 2), DECAI_E_INVALID);
    assert_int_equal(decai_options_set_i64(o, "tok.text_max", 9), 0);
    assert_int_equal(decai_model_load(&none, ctx, path, o), DECAI_E_INVALID);   /* another room's key */
    decai_destroy(o);
    decai_destroy(m);
}

static int setup(void **state)
{
    support_llama shape = SUPPORT_LLAMA_TINY;
    (void)state;
    support_gguf_llama(&shape, &bytes, &bytes_len);
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    FILE *f = fdopen(fd, "wb");
    fwrite(bytes, 1, bytes_len, f);
    fclose(f);
    return decai_context_create(&ctx, NULL);
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    free(bytes);
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_doors_give_one_root), cmocka_unit_test(a_model_waits_for_its_task),
        cmocka_unit_test(content), cmocka_unit_test(without_identity), cmocka_unit_test(wrong_arguments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
