/* model_safetensors_test.c - models published as safetensors: names, shapes and
 * config.json as a GGUF has them, one file or several with one root, vectors
 * widened; hostile headers, indexes and configurations refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/hf.h"
#include "support_gguf.h"
#include "support_heap.h"

static support_heap heap;
static decai_context *ctx;
static decai_options *mapped;
static char folder[] = "/tmp/decai-safe-XXXXXX", path[160];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const void *data, size_t len)
{
    assert_int_equal(support_gguf_save(at(name), data, len), 0);
}

static void put_text(const char *name, const char *text) { put_file(name, text, strlen(text)); }

/* A header and `size` bytes of data behind it. */
static void put_model(const char *name, const char *header, size_t size)
{
    size_t n = strlen(header);
    uint8_t *bytes = malloc(8 + n + size);
    assert_non_null(bytes);
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < size; i++) bytes[8 + n + i] = (uint8_t)(i * 37 + i / 200);
    put_file(name, bytes, 8 + n + size);
    free(bytes);
}

#define CONFIG(more) "{\"model_type\": \"llama\", \"hidden_size\": 64, \"num_hidden_layers\": 1, " \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"intermediate_size\": 96, " \
    "\"max_position_embeddings\": 128, \"vocab_size\": 40, \"rms_norm_eps\": 1e-05, " \
    "\"hidden_act\": \"silu\"" more "}"

/* The tensors of one layer, in any of three types; BF16 vectors. */
static const struct { const char *name; int rows, cols; } LLAMA[] = {
    { "model.embed_tokens.weight", 40, 64 }, { "model.layers.0.input_layernorm.weight", 64, 0 },
    { "model.layers.0.self_attn.q_proj.weight", 64, 64 }, { "model.layers.0.self_attn.k_proj.weight", 32, 64 },
    { "model.layers.0.self_attn.v_proj.weight", 32, 64 }, { "model.layers.0.self_attn.o_proj.weight", 64, 64 },
    { "model.layers.0.post_attention_layernorm.weight", 64, 0 }, { "model.layers.0.mlp.gate_proj.weight", 96, 64 },
    { "model.layers.0.mlp.up_proj.weight", 96, 64 }, { "model.layers.0.mlp.down_proj.weight", 64, 96 },
    { "model.norm.weight", 64, 0 }, { "lm_head.weight", 40, 64 },
};
#define LLAMA_COUNT (sizeof LLAMA / sizeof *LLAMA)

/* Of tensors [first, end); returns the bytes of data. Values depend on the tensor alone. */
static size_t write_part(const char *name, const char *dtype, size_t first, size_t end)
{
    char header[4096] = "{\"__metadata__\": {\"format\": \"pt\"}";
    size_t width = strcmp(dtype, "F32") ? 2 : 4, data = 0;
    static uint8_t bytes[400000];
    for (size_t i = first; i < end; i++) {
        size_t n = (size_t)LLAMA[i].rows * (size_t)(LLAMA[i].cols ? LLAMA[i].cols : 1) * width;
        char shape[32];
        if (LLAMA[i].cols) snprintf(shape, sizeof shape, "%d, %d", LLAMA[i].rows, LLAMA[i].cols);
        else snprintf(shape, sizeof shape, "%d", LLAMA[i].rows);
        snprintf(header + strlen(header), sizeof header - strlen(header),
            ", \"%s\": {\"dtype\": \"%s\", \"shape\": [%s], \"data_offsets\": [%zu, %zu]}", LLAMA[i].name, dtype, shape, data, data + n);
        for (size_t k = 0; k < n; k++) bytes[8 + sizeof header + data + k] = (uint8_t)(k % 2 ? 0x3c + i : k * 7 + i);
        data += n;
    }
    strcat(header, "}");
    while (strlen(header) % 8) strcat(header, " ");
    size_t n = strlen(header);
    uint8_t *from = bytes + 8 + sizeof header - 8 - n;
    for (size_t i = 0; i < 8; i++) from[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(from + 8, header, n);
    put_file(name, from, 8 + n + data);
    return data;
}

static void write_index(const char *skip, const char *wrong)
{
    char text[4096] = "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {";
    for (size_t i = 0; i < LLAMA_COUNT; i++) {
        if (skip && !strcmp(skip, LLAMA[i].name)) continue;
        bool second = (i >= 5) != (wrong && !strcmp(wrong, LLAMA[i].name));
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"%s\": \"model-%s.safetensors\"",
            i ? ", " : "", LLAMA[i].name, second ? "2" : "1");
    }
    strcat(text, "}}");
    put_text("model.safetensors.index.json", text);
}

static decai_model *load(const char *name, const decai_options *o)
{
    decai_model *m;
    if (decai_model_load(&m, ctx, at(name), o)) fail_msg("%s: %s", name, decai_error_detail());
    return m;
}

static uint64_t number(const decai_model *m, const char *key)
{
    uint64_t v = 0;
    if (decai__model_u64(m, key, 0, UINT64_MAX, &v)) fail_msg("%s", decai_error_detail());
    return v;
}

static float real(const decai_model *m, const char *key)
{
    float v = 0;
    if (decai__model_f32(m, key, -1e30f, 1e30f, &v)) fail_msg("%s", decai_error_detail());
    return v;
}

static void check_llama(const decai_model *m, uint32_t type)
{
    float row[96], raw;
    const decai__tensor *q = decai__model_tensor_find(m, "blk.0.attn_k.weight"), *n = decai__model_tensor_find(m, "blk.0.ffn_norm.weight");
    assert_int_equal(decai__model_tensor_count(m), LLAMA_COUNT);
    assert_non_null(q);
    assert_true(q->type == type && q->n_dims == 2 && q->dims[0] == 64 && q->dims[1] == 32);
    assert_non_null(n);
    assert_true(n->type == DECAI_TENSOR_F32 && n->n_dims == 1 && n->dims[0] == 64 && n->size == 256);
    decai__tensor_row(n, 0, row);
    if (type != DECAI_TENSOR_F32) {
        uint8_t bytes[2] = { (uint8_t)(4 * 7 + 6), 0x3c + 6 };       /* element 2 of tensor 6 */
        decai__row_to_f32(type, bytes, 1, &raw);
        assert_true(row[2] == raw);
    }
    for (size_t i = 0; i < LLAMA_COUNT; i++) assert_true((uintptr_t)decai__model_tensor_at(m, i)->data % 8 == 0);
    assert_int_equal(number(m, "llama.embedding_length"), 64);
    assert_int_equal(number(m, "llama.attention.head_count_kv"), 2);
    assert_int_equal(number(m, "llama.attention.key_length"), 16);
    assert_int_equal(number(m, "llama.rope.neox"), 1);
    assert_true(real(m, "llama.rope.freq_base") == 10000.0f && real(m, "llama.attention.layer_norm_rms_epsilon") == 1e-5f);
}

static void one_file(void **state)
{
    static const struct { const char *name; uint32_t type; } TYPE[] = { { "F32", 0 }, { "F16", 1 }, { "BF16", 30 } };
    (void)state;
    put_text("config.json", CONFIG(""));
    for (size_t i = 0; i < 3; i++) {
        write_part("model.safetensors", TYPE[i].name, 0, LLAMA_COUNT);
        decai_model *m = load("model.safetensors", NULL), *map = load("model.safetensors", mapped);
        check_llama(m, TYPE[i].type);
        check_llama(map, TYPE[i].type);
        assert_memory_equal(decai__model_root(m), decai__model_root(map), 32);
        decai_destroy(m);
        decai_destroy(map);
    }
}

static void several_files(void **state)
{
    (void)state;
    put_text("config.json", CONFIG(""));
    write_part("model.safetensors", "BF16", 0, LLAMA_COUNT);
    write_part("model-1.safetensors", "BF16", 0, 5);
    write_part("model-2.safetensors", "BF16", 5, LLAMA_COUNT);
    write_index(NULL, NULL);
    decai_model *one = load("model.safetensors", NULL), *two = load("model.safetensors.index.json", NULL);
    decai_model *map = load("model.safetensors.index.json", mapped);
    check_llama(two, DECAI_TENSOR_BF16);
    check_llama(map, DECAI_TENSOR_BF16);
    assert_memory_equal(decai__model_root(one), decai__model_root(two), 32);
    assert_memory_equal(decai__model_root(one), decai__model_root(map), 32);
    assert_memory_not_equal(decai__model_sha256(one), decai__model_sha256(two), 32);
    size_t len;
    assert_int_equal(decai_model_format(two, NULL, 0, &len), DECAI_E_SPACE);
    decai_destroy(one);
    decai_destroy(two);
    decai_destroy(map);
}

/* ---- refusals --------------------------------------------------------------------- */

static void refused(const char *name, int32_t want, const char *text)
{
    decai_model *m;
    for (int map = 0; map < 2; map++) {
        size_t before = heap.live;
        support_heap_mark(&heap);
        int32_t r = decai_model_load(&m, ctx, at(name), map ? mapped : NULL);
        if (r != want || !strstr(decai_error_detail(), text)) fail_msg("%s: %d %s; wanted %d %s", name, r, decai_error_detail(), want, text);
        assert_null(m);
        assert_int_equal(heap.live, before);
        if (heap.peak - before > (4u << 20)) fail_msg("%s: %zu bytes", text, heap.peak - before);
    }
}

#define T(name, dtype, shape, a, b) "\"" name "\": {\"dtype\": \"" dtype "\", \"shape\": [" shape "], \"data_offsets\": [" #a ", " #b "]}"
#define NORM "model.norm.weight"

static void headers(void **state)
{
    static const struct { const char *header; size_t data; int32_t r; const char *text; } CASE[] = {
        { "{" T(NORM, "F32", "4", 0, 16) "}", 17, DECAI_E_CORRUPT, "1 bytes behind the last tensor" },
        { "{" T(NORM, "F32", "4", 0, 16) "}", 15, DECAI_E_CORRUPT, "data_offsets 0, 16; there are 15" },
        { "{" T(NORM, "F32", "4", 16, 0) "}", 16, DECAI_E_CORRUPT, "data_offsets 16, 0" },
        { "{" T(NORM, "F32", "4", 0, 12) "}", 12, DECAI_E_CORRUPT, "12 bytes by its offsets, 16 by type and shape" },
        { "{" T(NORM, "F32", "4", 4, 20) "}", 20, DECAI_E_CORRUPT, "a gap before it" },
        { "{" T(NORM, "F32", "4", 0, 16) ", " T("lm_head.weight", "F32", "4", 8, 24) "}", 24, DECAI_E_CORRUPT, "tensors overlap" },
        { "{" T(NORM, "F32", "4", 0, 16) ", " T(NORM, "F32", "4", 16, 32) "}", 32, DECAI_E_CORRUPT, "json" },
        { "{" T(NORM, "F32", "4", 0, 16) ", " T("norm.weight", "F32", "4", 16, 32) "}", 32, DECAI_E_CORRUPT, "output_norm.weight: duplicate tensor" },
        { "{" T(NORM, "I64", "2", 0, 16) "}", 16, DECAI_E_UNSUPPORTED, NORM ": dtype \"I64\"" },
        { "{" T(NORM, "F8_E4M3", "16", 0, 16) "}", 16, DECAI_E_UNSUPPORTED, "F8_E4M3" },
        { "{" T("model.layers.0.self_attn.r_proj.weight", "F32", "4", 0, 16) "}", 16, DECAI_E_UNSUPPORTED, "r_proj.weight: no part of architecture llama" },
        { "{" T("model.layers.00.mlp.up_proj.weight", "F32", "4", 0, 16) "}", 16, DECAI_E_UNSUPPORTED, "no part of" },
        { "{" T(NORM, "F32", "0", 0, 0) "}", 0, DECAI_E_CORRUPT, "shape[0] is 0" },
        { "{" T(NORM, "F32", "1, 1, 1, 1, 4", 0, 16) "}", 16, DECAI_E_LIMIT, "more than 4 dimensions" },
        { "{" T(NORM, "F32", "4294967296, 4294967296", 0, 16) "}", 16, DECAI_E_CORRUPT, "the product wraps" },
        { "{" T(NORM, "F32", "4611686018427387904", 0, 16) "}", 16, DECAI_E_CORRUPT, "do not fit a file" },
        { "{" T(NORM, "F32", "-4", 0, 16) "}", 16, DECAI_E_CORRUPT, "shape" },
        { "{" T(NORM, "F32", "4.0", 0, 16) "}", 16, DECAI_E_CORRUPT, "shape" },
        { "{\"" NORM "\": {\"dtype\": \"F32\", \"shape\": [4]}}", 16, DECAI_E_NOT_FOUND, "data_offsets" },
        { "{\"" NORM "\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 16, 3]}}", 16, DECAI_E_CORRUPT, "not two offsets" },
        { "{\"" NORM "\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 16], \"more\": 1}}", 16, DECAI_E_UNSUPPORTED, "more" },
        { "{\"" NORM "\": 7}", 0, DECAI_E_CORRUPT, NORM },
        { "{" T("a b", "F32", "4", 0, 16) "}", 16, DECAI_E_CORRUPT, "byte 0x20" },
        { "{" T("", "F32", "4", 0, 16) "}", 16, DECAI_E_LIMIT, "name has 0 bytes" },
        { "{]", 0, DECAI_E_CORRUPT, "json" },
        { "{} x", 0, DECAI_E_CORRUPT, "json" },
    };
    (void)state;
    put_text("config.json", CONFIG(""));
    for (size_t i = 0; i < DECAI__COUNT(CASE); i++) {
        put_model("x.safetensors", CASE[i].header, CASE[i].data);
        refused("x.safetensors", CASE[i].r, CASE[i].text);
    }
    put_file("x.safetensors", "\1\1\0\0\0\0\0\0{}", 10);
    refused("x.safetensors", DECAI_E_CORRUPT, "magic");              /* says more bytes than there are */
}

/* limit - 1, limit, limit + 1 of the header and of a name. */
static void limits(void **state)
{
    static const char tail[] = T(NORM, "F32", "4", 0, 16) "}";
    char *header = malloc(DECAI_MODEL_HEADER_MAX + 2);
    (void)state;
    assert_non_null(header);
    put_text("config.json", CONFIG(""));
    for (size_t d = 0; d < 3; d++) {
        size_t n = DECAI_MODEL_HEADER_MAX - 1 + d;
        memset(header, ' ', n);
        header[0] = '{';
        memcpy(header + n - (sizeof tail - 1), tail, sizeof tail - 1);
        header[n] = 0;
        put_model("x.safetensors", header, 16);
        decai_model *m;
        int32_t r = decai_model_load(&m, ctx, at("x.safetensors"), NULL);
        assert_int_equal(r, d > 1 ? DECAI_E_LIMIT : 0);
        if (r) assert_non_null(strstr(decai_error_detail(), "DECAI_MODEL_HEADER_MAX"));
        decai_destroy(m);
    }
    for (size_t d = 0; d < 3; d++) {
        char name[300];
        memset(name, 'n', 254 + d);
        name[254 + d] = 0;
        snprintf(header, 1000, "{\"%s\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 16]}}", name);
        put_model("x.safetensors", header, 16);
        refused("x.safetensors", d > 1 ? DECAI_E_LIMIT : DECAI_E_UNSUPPORTED, d > 1 ? "256 bytes, at most 255" : "nnnn");
    }
    free(header);
}

/* Tensors of one file, and files of one index, at limit - 1, limit, limit + 1. */
static void count_limits(void **state)
{
    size_t cap = 6u << 20;
    char *text = malloc(cap), *at_end;
    (void)state;
    assert_non_null(text);
    put_text("config.json", CONFIG(""));
    for (size_t d = 0; d < 3; d++) {
        at_end = text + sprintf(text, "{");
        for (size_t i = 0; i < DECAI_MODEL_TENSOR_MAX - 1 + d; i++)
            at_end += sprintf(at_end, "%s\"%zuposition_ids\":{\"dtype\":\"\",\"shape\":[],\"data_offsets\":[0,0]}", i ? "," : "", i);
        strcpy(at_end, "}");
        put_model("x.safetensors", text, 0);
        decai_model *m;
        assert_int_equal(decai_model_load(&m, ctx, at("x.safetensors"), mapped), d > 1 ? DECAI_E_LIMIT : 0);
        if (d > 1) assert_non_null(strstr(decai_error_detail(), "DECAI_MODEL_TENSOR_MAX"));
        decai_destroy(m);
    }
    for (size_t d = 0; d < 3; d++) {
        at_end = text + sprintf(text, "{\"weight_map\": {");
        for (size_t i = 0; i < DECAI_MODEL_FILES_MAX - 1 + d; i++) at_end += sprintf(at_end, "%s\"t%zu\": \"f%zu\"", i ? ", " : "", i, i);
        strcpy(at_end, "}}");
        put_text("i.json", text);
        refused("i.json", d > 1 ? DECAI_E_LIMIT : DECAI_E_IO, d > 1 ? "DECAI_MODEL_FILES_MAX" : "f0: open failed");
    }
    free(text);
}

static void indexes(void **state)
{
    (void)state;
    put_text("config.json", CONFIG(""));
    write_part("model-1.safetensors", "F16", 0, 5);
    write_part("model-2.safetensors", "F16", 5, LLAMA_COUNT);
    write_index("lm_head.weight", NULL);
    refused("model.safetensors.index.json", DECAI_E_CORRUPT, "weight_map: lm_head.weight of model-2.safetensors is not listed");
    write_index(NULL, NORM);
    refused("model.safetensors.index.json", DECAI_E_CORRUPT, NORM " is listed in model-1.safetensors, not in model-2");
    write_index(NULL, NULL);
    write_part("model-2.safetensors", "F16", 5, LLAMA_COUNT - 1);
    refused("model.safetensors.index.json", DECAI_E_CORRUPT, "weight_map: 12 tensors, the files have 11");
    unlink(at("model-2.safetensors"));
    refused("model.safetensors.index.json", DECAI_E_IO, "model-2.safetensors: open failed");
    put_text("i.json", "{\"weight_map\": {\"a\": \"../x.safetensors\"}}");
    refused("i.json", DECAI_E_CORRUPT, "no name of a file beside the index");
    put_text("i.json", "{\"weight_map\": {\"a\": \"/etc/x\"}}");
    refused("i.json", DECAI_E_CORRUPT, "no name of a file");
    put_text("i.json", "{\"weight_map\": {}}");
    refused("i.json", DECAI_E_CORRUPT, "weight_map: empty");
    put_text("i.json", "{}");
    refused("i.json", DECAI_E_NOT_FOUND, "weight_map");
    put_text("i.json", "{\"weight_map\": [\"a\"]}");
    refused("i.json", DECAI_E_CORRUPT, "weight_map");
}

static void configurations(void **state)
{
    static const struct { const char *text; int32_t r; const char *detail; } CASE[] = {
        { "[]", DECAI_E_CORRUPT, "an object is needed" },
        { "{}", DECAI_E_NOT_FOUND, "model_type" },
        { "{\"model_type\": \"rwkv\"}", DECAI_E_UNSUPPORTED, "model_type: \"rwkv\"" },
        { "{\"model_type\": \"llama\"}", DECAI_E_CORRUPT, "hidden_size is missing" },
        { CONFIG(", \"head_dim\": 2000"), DECAI_E_CORRUPT, "head_dim: 2000" },
        { CONFIG(", \"quantization_config\": {}"), DECAI_E_UNSUPPORTED, "quantization_config" },
        { CONFIG(", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}"), DECAI_E_UNSUPPORTED, "type \"dynamic\"" },
        { CONFIG(", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0}"), DECAI_E_CORRUPT, "low_freq_factor" },
        { CONFIG(", \"rope_theta\": \"x\""), DECAI_E_CORRUPT, "rope_theta" },
        { CONFIG(", \"rope_theta\": 0.5"), DECAI_E_CORRUPT, "rope_theta" },
        { CONFIG(", \"tie_word_embeddings\": 1"), DECAI_E_CORRUPT, "tie_word_embeddings" },
        { CONFIG(", \"hidden_activation\": 3, \"eos_token_id\": -1"), DECAI_E_CORRUPT, "eos_token_id" },
        { "{\"model_type\": \"qwen2\", \"use_sliding_window\": true, \"hidden_size\": 64, \"num_hidden_layers\": 1, "
          "\"num_attention_heads\": 4, \"intermediate_size\": 96, \"max_position_embeddings\": 128, \"vocab_size\": 40, "
          "\"rms_norm_eps\": 1e-06}", DECAI_E_UNSUPPORTED, "use_sliding_window" },
    };
    (void)state;
    write_part("model.safetensors", "F16", 0, LLAMA_COUNT);
    for (size_t i = 0; i < DECAI__COUNT(CASE); i++) {
        put_text("config.json", CASE[i].text);
        refused("model.safetensors", CASE[i].r, CASE[i].detail);
    }
    unlink(at("config.json"));
    refused("model.safetensors", DECAI_E_IO, "config.json: open failed");
    put_text("config.json", CONFIG(", \"tie_word_embeddings\": false"));
    write_part("model.safetensors", "F16", 0, LLAMA_COUNT - 1);
    refused("model.safetensors", DECAI_E_CORRUPT, "lm_head.weight: missing");
}

/* ---- what families say ------------------------------------------------------------------ */

/* Llama 3.1's divisors, by Python's floats (math.pi, **), as float32. */
static void llama3(void **state)
{
    /* base 500000, head 16: factor 8, low 1, high 4, old context 8192 */
    static const float WANT[8] = { 1, 1, 1, 1, 2.69452969f, 8, 8, 8 };
    float f[8];
    (void)state;
    put_text("config.json", CONFIG(", \"rope_theta\": 500000.0, \"rope_scaling\": {\"factor\": 8.0, \"high_freq_factor\": 4.0, "
        "\"low_freq_factor\": 1.0, \"original_max_position_embeddings\": 8192, \"rope_type\": \"llama3\"}, "
        "\"eos_token_id\": [7, 8, 9], \"sliding_window\": null"));
    write_part("model.safetensors", "BF16", 0, LLAMA_COUNT);
    decai_model *m = load("model.safetensors", NULL);
    const decai__tensor *t = decai__model_tensor_find(m, "rope_freqs.weight");
    assert_non_null(t);
    assert_true(t->dims[0] == 8 && t->type == DECAI_TENSOR_F32);
    decai__tensor_row(t, 0, f);
    for (int i = 0; i < 8; i++) if (!(f[i] >= WANT[i] * 0.999999f && f[i] <= WANT[i] * 1.000001f)) fail_msg("%d: %.9g", i, (double)f[i]);
    assert_int_equal(number(m, "tokenizer.ggml.eos_token_id"), 7);
    assert_int_equal(number(m, "tokenizer.ggml.eot_token_id"), 9);
    assert_null(decai__model_metadata_find(m, "llama.attention.sliding_window"));
    decai_destroy(m);
}

static void gemma_norms_are_whole(void **state)
{
    float row[64];
    (void)state;
    put_text("config.json", "{\"model_type\": \"gemma\", \"hidden_size\": 64, \"num_hidden_layers\": 1, \"head_dim\": 16, "
        "\"num_attention_heads\": 4, \"intermediate_size\": 96, \"max_position_embeddings\": 128, \"vocab_size\": 40, "
        "\"hidden_activation\": \"gelu_pytorch_tanh\", \"hidden_act\": \"silu\"}");
    write_part("model.safetensors", "F32", 0, LLAMA_COUNT);
    decai_model *m = load("model.safetensors", NULL);
    decai__tensor_row(decai__model_tensor_find(m, "output_norm.weight"), 0, row);
    const decai__file *f = &m->files[0];
    uint64_t n = decai__load_le64(f->data);
    /* The same vector in the file: tensor 10, in front of lm_head. */
    const uint8_t *raw = f->data + f->len - 40 * 64 * 4 - 64 * 4;
    assert_true(8 + n < f->len);
    for (int i = 0; i < 64; i++) {
        float v;
        memcpy(&v, raw + 4 * i, 4);
        v += 1;
        assert_memory_equal(&row[i], &v, 4);
    }
    assert_true(real(m, "gemma.attention.layer_norm_rms_epsilon") == 1e-6f);
    decai_destroy(m);
}

static void bert_names(void **state)
{
    static const char *const FROM[] = { "embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.bias",
        "encoder.layer.11.attention.self.query.weight", "encoder.layer.3.attention.output.LayerNorm.weight",
        "encoder.layer.3.intermediate.dense.bias", "encoder.layer.0.output.dense.weight" };
    static const char *const TO[] = { "token_embd.weight", "token_embd_norm.bias", "blk.11.attn_q.weight",
        "blk.3.attn_output_norm.weight", "blk.3.ffn_up.bias", "blk.0.ffn_down.weight" };
    decai__hf hf = { .family = DECAI__HF_BERT, .arch = "bert" };
    char out[DECAI_MODEL_NAME_MAX + 1];
    int32_t action;
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(FROM); i++) {
        assert_int_equal(decai__hf_name(&hf, FROM[i], out, &action), 0);
        assert_string_equal(out, TO[i]);
        assert_int_equal(action, DECAI__HF_KEEP);
    }
    assert_int_equal(decai__hf_name(&hf, "pooler.dense.weight", out, &action), 0);
    assert_int_equal(action, DECAI__HF_SKIP);
    assert_int_equal(decai__hf_name(&hf, "encoder.layer.0.output.dense.weights", out, &action), DECAI_E_UNSUPPORTED);
    assert_int_equal(decai__hf_name(&hf, "encoder.layer.123456.output.dense.weight", out, &action), DECAI_E_UNSUPPORTED);
}

static void family_names(void **state)
{
    decai__hf hf = { .family = DECAI__HF_GEMMA3, .arch = "gemma3" };
    char out[DECAI_MODEL_NAME_MAX + 1];
    int32_t action;
    (void)state;
    assert_int_equal(decai__hf_name(&hf, "model.layers.5.post_attention_layernorm.weight", out, &action), 0);
    assert_string_equal(out, "blk.5.post_attention_norm.weight");
    assert_int_equal(action, DECAI__HF_PLUS_ONE);
    assert_int_equal(decai__hf_name(&hf, "model.layers.5.pre_feedforward_layernorm.weight", out, &action), 0);
    assert_string_equal(out, "blk.5.ffn_norm.weight");
    assert_int_equal(decai__hf_name(&hf, "model.layers.5.self_attn.k_norm.weight", out, &action), 0);
    assert_string_equal(out, "blk.5.attn_k_norm.weight");
    hf.family = DECAI__HF_PHI3;
    assert_int_equal(decai__hf_name(&hf, "model.layers.31.mlp.gate_up_proj.weight", out, &action), 0);
    assert_string_equal(out, "blk.31.ffn_up.weight");
    assert_int_equal(action, DECAI__HF_KEEP);
    assert_int_equal(decai__hf_name(&hf, "model.layers.0.self_attn.rotary_emb.inv_freq", out, &action), 0);
    assert_int_equal(action, DECAI__HF_SKIP);
}

static void other_dialects(void **state)
{
    static const struct { int32_t family; const char *from, *to; int32_t action; } CASE[] = {
        { DECAI__HF_GPT2, "transformer.h.3.attn.c_attn.weight", "blk.3.attn_qkv.weight", DECAI__HF_TRANSPOSE },
        { DECAI__HF_GPT2, "h.3.mlp.c_proj.bias", "blk.3.ffn_down.bias", DECAI__HF_KEEP },
        { DECAI__HF_GPT2, "wpe.weight", "position_embd.weight", DECAI__HF_KEEP },
        { DECAI__HF_NOMIC_BERT, "encoder.layers.2.mlp.fc12.weight", "blk.2.ffn_gate.weight", DECAI__HF_KEEP },
        { DECAI__HF_NOMIC_BERT, "emb_ln.bias", "token_embd_norm.bias", DECAI__HF_KEEP },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(CASE); i++) {
        decai__hf hf = { .family = CASE[i].family, .arch = "x" };
        char out[DECAI_MODEL_NAME_MAX + 1];
        int32_t action;
        assert_int_equal(decai__hf_name(&hf, CASE[i].from, out, &action), 0);
        assert_string_equal(out, CASE[i].to);
        assert_int_equal(action, CASE[i].action);
    }
    decai__hf hf = { .family = DECAI__HF_GPT2, .arch = "gpt2" };
    char out[DECAI_MODEL_NAME_MAX + 1];
    int32_t action;
    assert_int_equal(decai__hf_name(&hf, "h.0.attn.bias", out, &action), 0);
    assert_int_equal(action, DECAI__HF_SKIP);
}

/* GPT-2 stores inputs as rows: [2][3] becomes three rows of two. */
static void gpt2_is_turned(void **state)
{
    static const float WANT[3][2] = { { 0, 3 }, { 1, 4 }, { 2, 5 } };
    static const char HEADER[] = "{\"h.0.mlp.c_fc.weight\": {\"dtype\": \"F32\", \"shape\": [2, 3], \"data_offsets\": [0, 24]}}";
    uint8_t bytes[8 + sizeof HEADER - 1 + 24] = { sizeof HEADER - 1 };
    float row[2];
    (void)state;
    put_text("config.json", "{\"model_type\": \"gpt2\", \"n_embd\": 2, \"n_layer\": 1, \"n_head\": 1, \"n_positions\": 8, "
        "\"vocab_size\": 2, \"activation_function\": \"gelu_new\"}");
    memcpy(bytes + 8, HEADER, sizeof HEADER - 1);
    for (int i = 0; i < 6; i++) {
        float v = (float)i;
        memcpy(bytes + 8 + sizeof HEADER - 1 + 4 * i, &v, 4);
    }
    put_file("x.safetensors", bytes, sizeof bytes);
    decai_model *m = load("x.safetensors", NULL);
    const decai__tensor *t = decai__model_tensor_find(m, "blk.0.ffn_up.weight");
    assert_non_null(t);
    assert_true(t->dims[0] == 2 && t->dims[1] == 3 && t->row_size == 8);
    for (uint64_t r = 0; r < 3; r++) {
        decai__tensor_row(t, r, row);
        assert_memory_equal(row, WANT[r], 8);
    }
    assert_int_equal(number(m, "gpt2.feed_forward_length"), 8);
    decai_destroy(m);
}

static void numbers(void **state)
{
    static const struct { const char *text; double v; } CASE[] = {
        { "1e-05", 1e-05 }, { "1e-12", 1e-12 }, { "0.000001", 0.000001 }, { "500000.0", 500000.0 }, { "-1.5E+3", -1500 },
        { "10000", 10000 }, { "0.1", 0.1 }, { "3.4028235e38", 3.4028235e38 }, { "0", 0 }, { "1000000000000000000000", 1e21 },
        { "0.5", 0.5 }, { "1e-400", 0 }, { "8.0", 8 },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(CASE); i++) {
        double v = decai__hf_number(CASE[i].text), d = v - CASE[i].v;
        double bound = (CASE[i].v < 0 ? -CASE[i].v : CASE[i].v) * 3e-16;
        if (!(d <= bound && d >= -bound)) fail_msg("%s: %.17g", CASE[i].text, v);
    }
    assert_true(decai__hf_number("1e9999") > 1e299);
}

/* ---- frame ------------------------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || !(ctx = support_heap_context(&heap)) || decai_options_create(&mapped, ctx)) return 1;
    /* The first hash of a context makes what all later ones share. */
    decai_model *m = NULL;
    put_text("config.json", CONFIG(""));
    write_part("model.safetensors", "F16", 0, LLAMA_COUNT);
    int32_t r = decai_model_load(&m, ctx, at("model.safetensors"), NULL);
    decai_destroy(m);
    return r ? r : decai_options_set_i64(mapped, "model.map", 1);
}

static int teardown(void **state)
{
    static const char *const FILES[] = { "config.json", "model.safetensors", "model-1.safetensors", "model-2.safetensors",
        "model.safetensors.index.json", "i.json", "x.safetensors" };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(FILES); i++) unlink(at(FILES[i]));
    decai_destroy(mapped);
    decai_destroy(ctx);
    return rmdir(folder) || heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file), cmocka_unit_test(several_files), cmocka_unit_test(headers), cmocka_unit_test(limits), cmocka_unit_test(count_limits),
        cmocka_unit_test(indexes), cmocka_unit_test(configurations), cmocka_unit_test(llama3),
        cmocka_unit_test(gemma_norms_are_whole), cmocka_unit_test(bert_names), cmocka_unit_test(family_names),
        cmocka_unit_test(other_dialects), cmocka_unit_test(gpt2_is_turned),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
