/* sweep_model.c - model's rows of the allocation sweep. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support_gguf.h"
#include "sweep.h"

/* A sound little file that is in the tree. */
#define SOUND "tests/golden/hostile-gguf/g10-template.gguf"

typedef struct sample { uint8_t *bytes; size_t len; decai_model *model; } sample;

static int32_t
setup(decai_context *ctx, void **state)
{
    support_llama shape = SUPPORT_LLAMA_TINY;
    sample *s = calloc(1, sizeof *s);
    if (!s) return DECAI_E_NOMEM;
    shape.n_embd = shape.n_ff = 32;
    shape.n_layer = shape.n_head = shape.n_head_kv = 1;
    support_gguf_llama(&shape, &s->bytes, &s->len);
    *state = s;
    return decai_model_open(&s->model, ctx, s->bytes, s->len, NULL);
}

static void
teardown(decai_context *ctx, void *state)
{
    sample *s = state;
    (void)ctx;
    if (!s) return;
    decai_destroy(s->model);
    free(s->bytes);
    free(s);
}

static int32_t
load(decai_context *ctx, void *state)
{
    decai_model *m;
    (void)state;
    int32_t r = decai_model_load(&m, ctx, SOUND, NULL);
    decai_destroy(m);
    return r;
}

static int32_t
load_mapped(decai_context *ctx, void *state)
{
    decai_options *o;
    decai_model *m = NULL;
    (void)state;
    int32_t r = decai_options_create(&o, ctx);
    if (!r) r = decai_options_set_i64(o, "model.map", 1);
    if (!r) r = decai_model_load(&m, ctx, SOUND, o);
    decai_destroy(m);
    decai_destroy(o);
    return r;
}

static int32_t
load_start(decai_context *ctx, void *state)
{
    decai_model *m;
    decai_task *task;
    uint64_t n;
    (void)state;
    int32_t r = decai_model_load_start(&task, &m, ctx, SOUND, NULL);
    if (!r) r = decai_task_wait(task, -1);
    if (!r) r = decai_model_tensor_count(m, &n);
    decai_destroy(task);
    decai_destroy(m);
    return r;
}

static int32_t
open_bytes(decai_context *ctx, void *state)
{
    sample *s = state;
    decai_model *m;
    int32_t r = decai_model_open(&m, ctx, s->bytes, s->len, NULL);
    decai_destroy(m);
    return r;
}

static int32_t
hashes(decai_context *ctx, void *state)
{
    sample *s = state;
    uint8_t out[32];
    (void)ctx;
    int32_t r = decai_model_root_get(s->model, out, 32);
    if (!r) r = decai_model_sha256_get(s->model, out, 32);
    if (!r) r = decai_model_tensor_root_get(s->model, out, 32, "output.weight");
    return r;
}

static int32_t
lists(decai_context *ctx, void *state)
{
    sample *s = state;
    uint64_t count, dims[DECAI_MODEL_DIMS_MAX], size;
    const char *name;
    int32_t type;
    (void)ctx;
    int32_t r = decai_model_tensor_count(s->model, &count);
    if (!r && decai_model_tensor_at(s->model, &name, &type, dims, DECAI_MODEL_DIMS_MAX, &size, 0) != 1) r = -1;
    const uint8_t *data;
    size_t len;
    if (!r) r = decai_model_tensor_get(s->model, &data, &len, name);
    if (!r && decai_model_metadata_at(s->model, &name, &type, 0) != 1) r = -1;
    return r;
}

static int32_t
texts(decai_context *ctx, void *state)
{
    sample *s = state;
    static uint8_t out[65536];
    size_t len;
    (void)ctx;
    int32_t r = decai_model_metadata_get(s->model, out, sizeof out, &len, "tokenizer.ggml.token_type");
    if (!r) r = decai_model_metadata_get(s->model, out, sizeof out, &len, "llama.rope.freq_base");
    return r;
}

static int32_t
format(decai_context *ctx, void *state)
{
    sample *s = state;
    static uint8_t out[65536];
    size_t len;
    (void)ctx;
    return decai_model_format(s->model, out, sizeof out, &len);
}

/* ---- models of several files, in a folder of their own ---------------------- */

typedef struct several { char folder[32], first[64]; } several;

static const char *const NAMES[] = { "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "config.json", "a.safetensors",
    "b.safetensors", "model.safetensors.index.json" };

static void
path_of(const several *s, int i, char out[64])
{
    snprintf(out, 64, "%s/%s", s->folder, NAMES[i]);
}

static int
put(const several *s, int i, const void *data, size_t len)
{
    char path[64];
    path_of(s, i, path);
    return support_gguf_save(path, data, len);
}

static int
put_shard(const several *s, int no)
{
    gguf_writer w;
    uint64_t dims[1] = { 8 };
    uint16_t said[2] = { (uint16_t)no, 2 };
    uint8_t *bytes;
    size_t len;
    gguf_begin(&w, 0);
    if (!no) gguf_str(&w, "general.architecture", "none");
    gguf_raw(&w, "split.no", DECAI_METADATA_U16, &said[0], 2);
    gguf_raw(&w, "split.count", DECAI_METADATA_U16, &said[1], 2);
    gguf_i32(&w, "split.tensors.count", 2);
    gguf_tensor(&w, no ? "b" : "a", 0, 1, dims, "12345678123456781234567812345678", 32);
    gguf_end(&w, &bytes, &len);
    int r = put(s, no, bytes, len);
    free(bytes);
    return r;
}

static int
put_part(const several *s, int i, const char *name, const char *shape)
{
    char file[256] = { 0 };
    int n = snprintf(file + 8, sizeof file - 8, "{\"%s\": {\"dtype\": \"BF16\", \"shape\": [%s], \"data_offsets\": [0, 16]}}", name, shape);
    file[0] = (char)n;
    memcpy(file + 8 + n, "0123456789abcdef", 16);
    return put(s, i, file, (size_t)n + 24);
}

static int32_t
setup_several(decai_context *ctx, void **state, int first)
{
    static const char config[] = "{\"model_type\": \"gemma\", \"hidden_size\": 4, \"num_hidden_layers\": 1, "
        "\"num_attention_heads\": 1, \"intermediate_size\": 4, \"max_position_embeddings\": 8, \"vocab_size\": 2, \"head_dim\": 4}";
    static const char index[] = "{\"weight_map\": {\"model.embed_tokens.weight\": \"a.safetensors\", \"model.norm.weight\": \"b.safetensors\"}}";
    several *s = calloc(1, sizeof *s);
    (void)ctx;
    if (!s) return DECAI_E_NOMEM;
    *state = s;
    strcpy(s->folder, "/tmp/decai-sweep-XXXXXX");
    if (!mkdtemp(s->folder)) return DECAI_E_IO;
    path_of(s, first, s->first);
    if (put_shard(s, 0) || put_shard(s, 1) || put(s, 2, config, sizeof config - 1) || put(s, 5, index, sizeof index - 1)) return DECAI_E_IO;
    return put_part(s, 3, "model.embed_tokens.weight", "2, 4") || put_part(s, 4, "model.norm.weight", "8") ? DECAI_E_IO : 0;
}

static int32_t setup_split(decai_context *ctx, void **state) { return setup_several(ctx, state, 0); }
static int32_t setup_index(decai_context *ctx, void **state) { return setup_several(ctx, state, 5); }

static void
teardown_several(decai_context *ctx, void *state)
{
    several *s = state;
    char path[64];
    (void)ctx;
    for (int i = 0; s && i < 6; i++) {
        path_of(s, i, path);
        unlink(path);
    }
    if (s) rmdir(s->folder);
    free(s);
}

static int32_t
load_several(decai_context *ctx, void *state)
{
    const several *s = state;
    decai_model *m;
    int32_t r = decai_model_load(&m, ctx, s->first, NULL);
    decai_destroy(m);
    return r;
}

const sweep_case sweep_model[] = {
    { "decai_model_load", NULL, load, NULL },
    { "decai_model_load", NULL, load_mapped, NULL },
    { "decai_model_load", setup_split, load_several, teardown_several },
    { "decai_model_load", setup_index, load_several, teardown_several },
    { "decai_model_load_start", NULL, load_start, NULL },
    { "decai_model_open", setup, open_bytes, teardown },
    { "decai_model_root_get", setup, hashes, teardown },
    { "decai_model_sha256_get", setup, hashes, teardown },
    { "decai_model_tensor_root_get", setup, hashes, teardown },
    { "decai_model_tensor_get", setup, lists, teardown },
    { "decai_model_tensor_count", setup, lists, teardown },
    { "decai_model_tensor_at", setup, lists, teardown },
    { "decai_model_metadata_at", setup, lists, teardown },
    { "decai_model_metadata_get", setup, texts, teardown },
    { "decai_model_format", setup, format, teardown },
    { NULL, NULL, NULL, NULL },
};
