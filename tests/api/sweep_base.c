/* sweep_base.c - base's rows of the allocation sweep. */
#include <string.h>

#include "sweep.h"

static int32_t
names(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    return strlen(decai_version()) && strlen(decai_error_name(-1)) && strlen(decai_api_json()) && decai_error_detail() ? 0 : -1;
}

static int32_t
tables(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    int64_t v;
    const char *name, *doc;
    int32_t n;
    if (decai_constant_get(&v, "DECAI_E_NOMEM") || v != DECAI_E_NOMEM) return -1;
    if (decai_feature_at(&name, &n, 0) != 1) return -1;
    return decai_option_at(&name, &n, &doc, 0) == 1 ? 0 : -1;
}

static int32_t
options_setup(decai_context *ctx, void **state)
{
    return decai_options_create((decai_options **)state, ctx);
}

static void
destroy_state(decai_context *ctx, void *state)
{
    (void)ctx;
    decai_destroy(state);
}

static int32_t
options_create(decai_context *ctx, void *state)
{
    (void)state;
    decai_options *o = NULL;
    int32_t r = decai_options_create(&o, ctx);
    decai_destroy(o);
    return r;
}

static int32_t
set_i64(decai_context *ctx, void *state)
{
    (void)ctx;
    return decai_options_set_i64(state, "base.threads", 1);
}

static int32_t
set_f64(decai_context *ctx, void *state)
{
    (void)ctx;
    return decai_options_set_f64(state, "infer.temperature", 0.5);
}

static int32_t
set_str(decai_context *ctx, void *state)
{
    (void)ctx;
    return decai_options_set_str(state, "compute.backend", "scalar");
}

static int32_t
set_bytes(decai_context *ctx, void *state)
{
    (void)ctx;
    static const uint8_t nonce[32];
    return decai_options_set_bytes(state, "proof.nonce", nonce, sizeof nonce);
}

static int32_t
set_fn(decai_context *ctx, void *state)
{
    (void)ctx;
    return decai_options_set_fn(state, "base.log", NULL, NULL);
}

static int32_t
context_create(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    decai_context *another = NULL;
    int32_t r = decai_context_create(&another, NULL);
    decai_destroy(another);
    return r;
}

static int32_t
owners(decai_context *ctx, void *state)
{
    (void)ctx;
    int32_t r = decai_retain(state);
    if (!r) decai_destroy(state);
    return r;
}

/* Loading a model is work that allocates. With no pool it runs in wait. */
static int32_t
task_setup(decai_context *ctx, void **state)
{
    decai_model *model = NULL;
    decai_task *task = NULL;
    int32_t r = decai_model_load_start(&task, &model, ctx, "tests/fuzz/corpus/engine/q8_0.gguf", NULL);
    decai_destroy(model);
    *state = task;
    return r;
}

static int32_t
task_wait(decai_context *ctx, void *state)
{
    void *task = NULL;
    (void)state;
    int32_t r = task_setup(ctx, &task);
    if (!r) r = decai_task_wait(task, -1);
    decai_destroy(task);
    return r;
}

static int32_t
task_rest(decai_context *ctx, void *state)
{
    const char *phase;
    uint64_t done, total;
    (void)ctx;
    int32_t r = decai_task_progress(state, &phase, &done, &total);
    return r ? r : decai_task_cancel(state);
}

/* Only a pool's task has an fd: a context of its own, the sweep's allocator apart. */
static int32_t
task_fd(decai_context *ctx, void *state)
{
    decai_options *o = NULL;
    decai_context *pooled = NULL;
    void *task = NULL;
    int32_t fd = -1;
    (void)ctx, (void)state;
    int32_t r = decai_options_create(&o, NULL);
    if (!r) r = decai_options_set_i64(o, "base.threads", 1);
    if (!r) r = decai_context_create(&pooled, o);
    if (!r) r = task_setup(pooled, &task);
    if (!r) r = decai_task_fd(task, &fd);
    if (!r && fd < 0) r = -1;
    decai_destroy(task);
    decai_destroy(pooled);
    decai_destroy(o);
    return r;
}

const sweep_case sweep_base[] = {
    {"decai_version", NULL, names, NULL},
    {"decai_error_name", NULL, names, NULL},
    {"decai_error_detail", NULL, names, NULL},
    {"decai_api_json", NULL, names, NULL},
    {"decai_constant_get", NULL, tables, NULL},
    {"decai_feature_at", NULL, tables, NULL},
    {"decai_option_at", NULL, tables, NULL},
    {"decai_options_create", NULL, options_create, NULL},
    {"decai_options_set_i64", options_setup, set_i64, destroy_state},
    {"decai_options_set_f64", options_setup, set_f64, destroy_state},
    {"decai_options_set_str", options_setup, set_str, destroy_state},
    {"decai_options_set_bytes", options_setup, set_bytes, destroy_state},
    {"decai_options_set_fn", options_setup, set_fn, destroy_state},
    {"decai_context_create", NULL, context_create, NULL},
    {"decai_retain", options_setup, owners, destroy_state},
    {"decai_destroy", options_setup, owners, destroy_state},
    {"decai_task_wait", NULL, task_wait, NULL},
    {"decai_task_cancel", task_setup, task_rest, destroy_state},
    {"decai_task_progress", task_setup, task_rest, destroy_state},
    {"decai_task_fd", NULL, task_fd, NULL},
    {NULL, NULL, NULL, NULL},
};
