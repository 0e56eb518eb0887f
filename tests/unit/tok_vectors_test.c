/* tok_vectors_test.c - exact ids on real vocabularies: the texts and ids that
 * llama.cpp publishes with its vocabularies (vectors/tokenizers, *.inp and *.out),
 * and those of the shipped model (examples/model). Missing files are skipped,
 * loudly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "model/model.h"
#include "tok/tok.h"

static decai_context *ctx;

static char *slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*len + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *len, f), *len);
    text[*len] = 0;
    fclose(f);
    return text;
}

/* NULL: the file is not there. */
static decai_tokenizer *load(const char *path)
{
    decai_model *m;
    decai_tokenizer *t = NULL;
    int32_t r = decai_model_load(&m, ctx, path, NULL);
    if (r == DECAI_E_IO) return NULL;
    if (r || decai_tokenizer_create(&t, m, NULL)) fail_msg("%s: %s", path, decai_error_detail());
    decai_destroy(m);
    return t;
}

/* exact: decoding gives the text again. WordPiece does not promise that. */
static void check(bool exact, decai_tokenizer *t, const char *text, size_t len, const int32_t *want, size_t count)
{
    size_t n, out;
    int32_t *ids = malloc((len + 2) * sizeof *ids);
    uint8_t *back = malloc(4 * len + 64);
    assert_int_equal(decai_tokenizer_encode(t, ids, len + 2, &n, (const uint8_t *)text, len, 0), 0);
    if (n != count || (n && memcmp(ids, want, n * sizeof *ids)))
        fail_msg("\"%.*s\": %zu ids, %zu wanted", (int)len, text, n, count);
    /* Asking the count gives the count. */
    assert_int_equal(decai_tokenizer_encode(t, NULL, 0, &out, (const uint8_t *)text, len, 0), n ? DECAI_E_SPACE : 0);
    assert_int_equal(out, n);
    assert_int_equal(decai_tokenizer_decode(t, back, 4 * len + 64, &out, ids, n, 0), 0);
    if (exact && (out != len || memcmp(back, text, len))) fail_msg("\"%.*s\" comes back as \"%.*s\"", (int)len, text, (int)out, back);
    free(ids);
    free(back);
}

/* Space-separated ids of one line. */
static size_t parse_ids(char *line, int32_t *ids, size_t cap)
{
    size_t n = 0;
    for (char *p = line, *end; *p; p = end) {
        long v = strtol(p, &end, 10);
        if (end == p) break;
        assert_true(n < cap);
        ids[n++] = (int32_t)v;
    }
    return n;
}

static void one_vocabulary(const char *name)
{
    static const char SEPARATOR[] = "\n__ggml_vocab_test__\n";
    char path[1024];
    int32_t ids[4096];
    size_t len, ids_len, cases = 0;
    const char *folder = getenv("DECAI_VECTORS");
    snprintf(path, sizeof path, "%s/tokenizers/ggml-vocab-%s.gguf", folder ? folder : "../shared/vectors", name);
    decai_tokenizer *t = load(path);
    if (!t) {
        printf("# SKIP %s is not there\n", path);
        skip();
    }
    strcat(path, ".inp");
    char *input = slurp(path, &len);
    strcpy(path + strlen(path) - 4, ".out");
    char *output = slurp(path, &ids_len);
    assert_true(input && output);
    char *text = input, *line = output;
    for (;;) {
        char *end = strstr(text, SEPARATOR), *eol = strchr(line, '\n');
        if (eol) *eol = 0;
        check(strcmp(name, "bert-bge") != 0, t, text, end ? (size_t)(end - text) : strlen(text), ids, parse_ids(line, ids, 4096));
        cases++;
        if (!end) break;
        assert_non_null(eol);
        text = end + sizeof SEPARATOR - 1;
        line = eol + 1;
    }
    printf("# %s: %zu texts\n", name, cases);
    assert_true(cases >= 40);
    free(input);
    free(output);
    decai_destroy(t);
}

/* Random Unicode texts and the ids that Hugging Face's tokenizers give them
 * (tests/tools/golden_tok.py); the vocabulary is the one of the vectors. */
static void against_hugging_face(const char *name)
{
    static char line[65536];
    static int32_t ids[4096];
    char path[1024];
    const char *folder = getenv("DECAI_VECTORS");
    size_t cases = 0;
    snprintf(path, sizeof path, "%s/tokenizers/ggml-vocab-%s.gguf", folder ? folder : "../shared/vectors", name);
    decai_tokenizer *t = load(path);
    if (!t) {
        printf("# SKIP %s is not there\n", path);
        skip();
    }
    snprintf(path, sizeof path, "tests/golden/tok-%s.txt", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        assert_non_null(colon);
        size_t len = (size_t)(colon - line) / 2;
        uint8_t *text = malloc(len + 1);
        if (decai__hex_decode(text, len, line, 2 * len, "text")) fail_msg("%s", decai_error_detail());
        check(true, t, (const char *)text, len, ids, parse_ids(colon + 1, ids, 4096));
        free(text);
        cases++;
    }
    fclose(f);
    printf("# %s: %zu texts beside Hugging Face\n", name, cases);
    assert_int_equal(cases, 400);
    decai_destroy(t);
}

static void hugging_face_gpt2(void **state) { (void)state; against_hugging_face("gpt-2"); }
static void hugging_face_digits(void **state) { (void)state; against_hugging_face("starcoder"); }

/* Every vocabulary that has texts and ids. */
static void all_vocabularies(void **state)
{
    static const char *const NAME[] = { "bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2",
        "llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2", "qwen35", "refact", "starcoder" };
    (void)state;
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++) one_vocabulary(NAME[i]);
}

/* These name no pattern: known by the ids of a text, or told by their kind. */
static void nameless_vocabularies(void **state)
{
    static const char *const NAME[] = { "aquila", "baichuan", "gpt-neox", "nomic-bert-moe" };
    const char *folder = getenv("DECAI_VECTORS");
    char path[1024];
    (void)state;
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++) {
        snprintf(path, sizeof path, "%s/tokenizers/ggml-vocab-%s.gguf", folder ? folder : "../shared/vectors", NAME[i]);
        decai_tokenizer *t = load(path);
        if (!t) {
            printf("# SKIP %s is not there\n", path);
            skip();
        }
        decai_destroy(t);
    }
}

/* MemorySanitizer takes what cJSON wrote for uninitialised; the JSON is read by
 * every other build. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define READS_JSON 0
#endif
#endif
#ifndef READS_JSON
#define READS_JSON 1
#endif

#if READS_JSON
/* The texts and ids that the model's training script wrote down. */
static void shipped_model(void **state)
{
    size_t len, count = 0;
    decai__json *doc;
    (void)state;
    decai_tokenizer *t = load("examples/model/decai-actions.q8_0.gguf");
    char *json = slurp("tests/golden/shipped-tok.json", &len);
    if (!t || !json) {
        printf("# SKIP examples/model has no model, or tests/golden has no shipped-tok.json\n");
        decai_destroy(t);
        free(json);
        skip();
    }
    if (decai__json_parse(ctx, &doc, json, len)) fail_msg("%s", decai_error_detail());
    const decai__json_node *texts = decai__json_find(decai__json_root(doc), "texts");
    assert_non_null(texts);
    for (const decai__json_node *n = decai__json_first(texts); n; n = decai__json_next(n)) {
        const char *text;
        size_t text_len, id_count = 0;
        int32_t want[1024];
        assert_int_equal(decai__json_get_str(doc, n, "text", &text, &text_len), 0);
        const decai__json_node *ids = decai__json_find(n, "ids");
        for (const decai__json_node *i = decai__json_first(ids); i; i = decai__json_next(i)) {
            int64_t v;
            assert_int_equal(decai__json_i64(doc, i, &v), 0);
            assert_true(id_count < 1024);
            want[id_count++] = (int32_t)v;
        }
        check(true, t, text, text_len, want, id_count);
        count++;
    }
    printf("# shipped model: %zu texts\n", count);
    assert_true(count >= 100);
    decai__json_free(doc);
    free(json);
    decai_destroy(t);
}
#endif

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
        cmocka_unit_test(all_vocabularies), cmocka_unit_test(nameless_vocabularies),
        cmocka_unit_test(hugging_face_gpt2), cmocka_unit_test(hugging_face_digits),
#if READS_JSON
        cmocka_unit_test(shipped_model),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
