/* model_domains_test.c - the rows of lib/hash/DOMAINS.md that rooms model and tok
 * own: their golden values, over the sample that each row spells out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "support_gguf.h"
#include "tok/tok.h"

/* The golden value is the last cell of the row of this domain. */
static void check_row(const char *domain, const uint8_t *hash)
{
    char line[1024], start[80], text[65], golden[65] = "";
    FILE *f = fopen("lib/hash/DOMAINS.md", "r");
    assert_non_null(f);
    snprintf(start, sizeof start, "| `%s` |", domain);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, start, strlen(start))) continue;
        char *last = strrchr(line, '|');
        assert_true(last - line > 66);
        memcpy(golden, last - 65, 64);
    }
    fclose(f);
    for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
    if (strcmp(text, golden)) fail_msg("%s: %s here, %s in DOMAINS.md", domain, text, golden);
}

static decai_model *open_writer(decai_context *ctx, gguf_writer *w)
{
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    gguf_end(w, &bytes, &len);
    const char *folder = getenv("DECAI_WRITE");
    if (folder) {
        char path[512];
        snprintf(path, sizeof path, "%s/domains-%zu.gguf", folder, len);
        support_gguf_save(path, bytes, len);
    }
    if (decai_model_open(&m, ctx, bytes, len, NULL)) fail_msg("%s", decai_error_detail());
    free(bytes);
    return m;
}

static void rows(void **state)
{
    static const char *const texts[] = { "a", "b", "ab" }, *const merges[] = { "a b" };
    static const uint8_t data[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
    uint64_t dims[1] = { 3 };
    decai_context *ctx;
    decai_tokenizer *t;
    gguf_writer w;
    (void)state;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    gguf_begin(&w, 0);
    gguf_tensor(&w, "t", 0, 1, dims, data, sizeof data);
    gguf_u32(&w, "a", 7);
    decai_model *m = open_writer(ctx, &w);
    check_row("decai.tensor.v1", decai__tensor_root(m, decai__model_tensor_at(m, 0)));
    check_row("decai.model.v1", decai__model_root(m));
    decai_destroy(m);
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, 3);
    gguf_strs(&w, "tokenizer.ggml.merges", merges, 1);
    m = open_writer(ctx, &w);
    if (decai_tokenizer_create(&t, m, NULL)) fail_msg("%s", decai_error_detail());
    check_row("decai.tokenizer.v1", decai__tok_hash(t));
    decai_destroy(t);
    decai_destroy(m);
    decai_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
