/* shelf.c - engines of several models under one budget of bytes.
 *
 *     add    a model and its name: nothing is prepared yet
 *     get    the engine, made if it is not there; for it go the engines that were got
 *            longest ago and that nobody else holds
 *
 * An engine is counted as the bytes of its model's tensors, which is about what its
 * weights take once they are arranged. Who holds an engine (a session, a scheduler, the
 * caller) keeps it there: the shelf gives up its own hold only, and only the last one.
 * Making an engine takes seconds and happens under the lock: two who want the same
 * model wait for one engine.
 */
#include "infer/shelf.h"

#include <string.h>

static void
shelf_destroy(void *self)
{
    decai_shelf *s = self;

    for (size_t i = 0; i < s->count; i++) {
        decai__destroy(s->place[i].engine);
        decai__destroy(s->place[i].model);
        decai__free(s->h.context, s->place[i].name);
    }
    decai__destroy(s->options);
    if (s->made) pthread_mutex_destroy(&s->lock);
}

int32_t
decai__shelf_create(decai_shelf **out, decai_context *ctx, const decai_options *opts)
{
    int32_t r = decai__opts_check(opts, "compute infer base");

    if (r) return r;
    decai_shelf *s = decai__handle_create(ctx, DECAI__SHELF, sizeof *s, shelf_destroy);
    if (!s) return DECAI_E_NOMEM;
    s->most = (size_t)decai__opt_i64(opts, "infer.shelf_bytes");
    if (opts) r = decai__options_copy(&s->options, ctx, opts);
    if (!r && pthread_mutex_init(&s->lock, NULL)) r = decai__fail(DECAI_E_NOMEM, "shelf: no mutex");
    s->made = !r;
    if (r) decai__destroy(s);
    else *out = s;
    return r;
}

static shelf_place *
find(decai_shelf *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->place[i].name, name)) return &s->place[i];
    return NULL;
}

static uint64_t
bytes_of(const decai_model *model)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < decai__model_tensor_count(model); i++) sum += decai__model_tensor_at(model, i)->size;
    return sum;
}

static int32_t
add(decai_shelf *s, const char *name, decai_model *model)
{
    uint64_t bytes = bytes_of(model);

    if (find(s, name)) return decai__fail(DECAI_E_EXISTS, "name: \"%.64s\" is there already", name);
    if (s->count == DECAI_SHELF_MODELS_MAX) return decai__fail(DECAI_E_LIMIT, "shelf: %d models", DECAI_SHELF_MODELS_MAX);
    if (s->most && bytes > s->most)
        return decai__fail(DECAI_E_LIMIT, "model: %llu bytes, the shelf may hold %zu", (unsigned long long)bytes, s->most);
    char *copy = decai__strdup(s->h.context, name);
    if (!copy) return decai__fail(DECAI_E_NOMEM, "name");
    decai__retain(model);
    s->place[s->count++] = (shelf_place){ .name = copy, .model = model, .bytes = (size_t)bytes };
    return 0;
}

int32_t
decai__shelf_add(decai_shelf *s, const char *name, decai_model *model)
{
    pthread_mutex_lock(&s->lock);
    int32_t r = add(s, name, model);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Held by the shelf alone: nobody can come to hold it but through the shelf's lock. */
static bool
idle(const shelf_place *p)
{
    return p->engine && atomic_load(&p->engine->h.refs) == 1;
}

static int32_t
make_room(decai_shelf *s, size_t bytes)
{
    while (s->most && s->bytes > s->most - bytes) {
        shelf_place *oldest = NULL;
        for (size_t i = 0; i < s->count; i++)
            if (idle(&s->place[i]) && (!oldest || s->place[i].got < oldest->got)) oldest = &s->place[i];
        if (!oldest)
            return decai__fail(DECAI_E_FULL, "shelf: %zu bytes of %zu are in use, %zu more are needed", s->bytes, s->most, bytes);
        decai__destroy(oldest->engine);
        oldest->engine = NULL;
        s->bytes -= oldest->bytes;
        s->dropped++;
    }
    return 0;
}

static int32_t
get(decai_shelf *s, decai_engine **out, const char *name)
{
    shelf_place *p = find(s, name);

    if (!p) return decai__fail(DECAI_E_NOT_FOUND, "name: \"%.64s\"", name);
    if (!p->engine) {
        int32_t r = make_room(s, p->bytes);
        if (!r) r = decai__engine_create(&p->engine, p->model, s->options);
        if (r) return r;
        s->bytes += p->bytes;
        s->created++;
    }
    p->got = ++s->gets;
    decai__retain(p->engine);
    *out = p->engine;
    return 0;
}

int32_t
decai__shelf_get(decai_shelf *s, decai_engine **out, const char *name)
{
    pthread_mutex_lock(&s->lock);
    int32_t r = get(s, out, name);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int32_t
decai__shelf_format(decai_shelf *s, decai__buf *out)
{
    pthread_mutex_lock(&s->lock);
    (void)decai__buf_printf(out, "{\"bytes\":%zu,\"bytes_max\":%zu,\"created\":%llu,\"dropped\":%llu,\"models\":[", s->bytes, s->most,
        (unsigned long long)s->created, (unsigned long long)s->dropped);
    for (size_t i = 0; i < s->count; i++) {
        const shelf_place *p = &s->place[i];
        (void)decai__buf_printf(out, "%s{\"name\":", i ? "," : "");
        decai__format_text(out, p->name);
        (void)decai__buf_printf(out, ",\"bytes\":%zu,\"ready\":%s,\"idle\":%s}", p->bytes, p->engine ? "true" : "false",
            idle(p) ? "true" : "false");
    }
    pthread_mutex_unlock(&s->lock);
    return decai__buf_add_str(out, "]}");
}
