/* load.c - the life of a model handle: made, filled once, immutable, freed. */
#include <string.h>
#include <sys/mman.h>

#include "model/internal.h"

static void
model_destroy(void *self)
{
    decai_model *m = self;
    decai_context *ctx = m->h.context;
    decai__gguf_free(ctx, &m->gguf);
    decai__identity_free(ctx, &m->identity);
    if (m->map_len) munmap(m->block, m->map_len);
    else decai__free(ctx, m->block);
}

static int32_t
create(decai_model **out, decai_context *ctx, const decai_options *opts)
{
    *out = NULL;
    int32_t r = decai__opts_check(opts, "model");
    if (r) return r;
    *out = decai__handle_create(ctx, DECAI__MODEL, sizeof **out, model_destroy);
    return *out ? 0 : decai__fail(DECAI_E_NOMEM, "model: no memory for the handle");
}

/* The last step of every load: from here on nothing changes. */
static int32_t
finish(decai_model *m, bool hash, decai_task *task)
{
    int32_t r = hash ? decai__identity_compute(m, task) : 0;
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
    r = decai__model_read(m, path, decai__opt_i64(opts, "model.map") == 1, NULL);
    if (!r) r = finish(m, decai__opt_i64(opts, "model.hash") == 1, NULL);
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
    r = decai__gguf_parse(ctx, &m->gguf, data, len, len);
    decai__gguf_free(ctx, &m->gguf);
    if (!r && !(m->block = decai__alloc(ctx, len + 64)))
        r = decai__fail(DECAI_E_NOMEM, "model: no memory for %zu bytes", len);
    if (r) return give(out, m, r);
    uint8_t *file = (uint8_t *)m->block + (64 - (uintptr_t)m->block % 64) % 64;
    memcpy(file, data, len);
    m->file = file;
    m->file_len = len;
    r = decai__gguf_parse(ctx, &m->gguf, m->file, len, len);
    if (!r) r = finish(m, decai__opt_i64(opts, "model.hash") == 1, NULL);
    return give(out, m, r);
}

/* ---- in the background --------------------------------------------------- */

typedef struct load_work { decai_model *model; bool map, hash; char path[]; } load_work;

static int32_t
load_run(decai_task *task, void *user)
{
    load_work *w = user;
    int32_t r = decai__model_read(w->model, w->path, w->map, task);
    return r ? r : finish(w->model, w->hash, task);
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
    w->hash = decai__opt_i64(opts, "model.hash") == 1;
    memcpy(w->path, path, len);
    /* Two owners: the work and the caller. A failed start frees the work's. */
    decai__retain(m);
    r = decai__task_start(task, ctx, load_run, w, load_free);
    return give(out, m, r);
}
