/* load.c - the life of a model handle: made, filled once, immutable, freed. */
#include <string.h>

#include "model/internal.h"

#define SIDE_MAX ((size_t)1 << 30)    /* bytes that a safetensors model may need beside its files */

static void
model_destroy(void *self)
{
    decai_model *m = self;
    decai__model_tables_free(m);
    decai__identity_free(m->h.context, &m->identity);
    decai__buf_free(&m->side);
    (void)decai__files_reset(m, 0);
}

static int32_t
create(decai_model **out, decai_context *ctx, const decai_options *opts)
{
    *out = NULL;
    int32_t r = decai__opts_check(opts, "model");
    if (r) return r;
    *out = decai__handle_create(ctx, DECAI__MODEL, sizeof **out, model_destroy);
    if (!*out) return decai__fail(DECAI_E_NOMEM, "model: no memory for the handle");
    (*out)->format = "gguf";
    decai__buf_init(&(*out)->side, ctx, SIDE_MAX, "model");
    return 0;
}

/* What a load computes beside the tables. */
typedef struct wanted { bool hash, sha256; } wanted;

static wanted
wanted_of(const decai_options *opts)
{
    return (wanted){ decai__opt_i64(opts, "model.hash") == 1, decai__opt_i64(opts, "model.sha256") == 1 };
}

/* The last step of every load: from here on nothing changes. */
static int32_t
finish(decai_model *m, wanted what, decai_task *task)
{
    int32_t r = what.hash ? decai__identity_compute(m, what.sha256, task) : 0;
    if (!r) atomic_store_explicit(&m->ready, 1, memory_order_release);
    return r;
}

static int32_t
give(decai_model **out, decai_model *m, int32_t r)
{
    if (!r) *out = m;
    else decai__destroy(m);
    return r;
}

int32_t
decai__model_load(decai_model **out, decai_context *ctx, const char *path, const decai_options *opts)
{
    decai_model *m;
    *out = NULL;
    int32_t r = create(&m, ctx, opts);
    if (r) return r;
    decai__loader l = { .model = m, .map = decai__opt_i64(opts, "model.map") == 1 };
    r = decai__model_read(&l, path);
    if (!r) r = finish(m, wanted_of(opts), NULL);
    return give(out, m, r);
}

int32_t
decai__model_open(decai_model **out, decai_context *ctx, const uint8_t *data, size_t len, const decai_options *opts)
{
    decai_model *m;
    *out = NULL;
    int32_t r = create(&m, ctx, opts);
    if (r) return r;
    /* First on the caller's bytes: what is refused is not copied. */
    decai__gguf g;
    r = decai__gguf_parse(ctx, &g, data, len, len);
    decai__gguf_free(ctx, &g);
    if (!r) r = decai__files_reset(m, 1);
    if (!r && !(m->files[0].block = decai__alloc(ctx, len + 64)))
        r = decai__fail(DECAI_E_NOMEM, "model: no memory for %zu bytes", len);
    if (r) return give(out, m, r);
    decai__file *f = &m->files[0];
    uint8_t *copy = (uint8_t *)f->block + (64 - (uintptr_t)f->block % 64) % 64;
    memcpy(copy, data, len);
    f->data = copy;
    f->have = f->len = len;
    r = decai__gguf_adopt(m);
    if (!r) r = finish(m, wanted_of(opts), NULL);
    return give(out, m, r);
}

/* ---- in the background --------------------------------------------------- */

typedef struct load_work { decai_model *model; bool map; wanted what; char path[]; } load_work;

static int32_t
load_run(decai_task *task, void *user)
{
    load_work *w = user;
    decai__loader l = { .model = w->model, .task = task, .map = w->map };
    int32_t r = decai__model_read(&l, w->path);
    return r ? r : finish(w->model, w->what, task);
}

static void
load_free(decai_context *ctx, void *user)
{
    load_work *w = user;
    decai__destroy(w->model);
    decai__free(ctx, w);
}

int32_t
decai__model_load_start(decai_task **task, decai_model **out, decai_context *ctx, const char *path,
    const decai_options *opts)
{
    decai_model *m;
    *task = NULL;
    *out = NULL;
    int32_t r = create(&m, ctx, opts);
    if (r) return r;
    size_t len = strlen(path) + 1;
    load_work *w = decai__alloc(ctx, sizeof *w + len);
    if (!w) return give(out, m, decai__fail(DECAI_E_NOMEM, "model: no memory for the task"));
    w->model = m;
    w->map = decai__opt_i64(opts, "model.map") == 1;
    w->what = wanted_of(opts);
    memcpy(w->path, path, len);
    /* Two owners: the work and the caller. A failed start frees the work's. */
    decai__retain(m);
    r = decai__task_start(task, ctx, load_run, w, load_free);
    return give(out, m, r);
}
