/* sweep_model.c - model's rows of the allocation sweep. */
#include <stdlib.h>
#include <string.h>

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

const sweep_case sweep_model[] = {
    { "decai_model_load", NULL, load, NULL },
    { "decai_model_load", NULL, load_mapped, NULL },
    { "decai_model_load_start", NULL, load_start, NULL },
    { "decai_model_open", setup, open_bytes, teardown },
    { "decai_model_root_get", setup, hashes, teardown },
    { "decai_model_sha256_get", setup, hashes, teardown },
    { "decai_model_tensor_root_get", setup, hashes, teardown },
    { "decai_model_tensor_count", setup, lists, teardown },
    { "decai_model_tensor_at", setup, lists, teardown },
    { "decai_model_metadata_at", setup, lists, teardown },
    { "decai_model_metadata_get", setup, texts, teardown },
    { "decai_model_format", setup, format, teardown },
    { NULL, NULL, NULL, NULL },
};
