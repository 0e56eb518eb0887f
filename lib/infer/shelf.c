/* shelf.c - engines of several models under one budget of bytes.
 *
 *     add    a model and its name: nothing is prepared yet
 *     get    the engine, made if it is not there; for it go the engines that were got
 *            longest ago and that nobody else holds
 *
 * An engine is counted as the bytes of its model's tensors, which is about what its
 * weights take once they are arranged. Who holds an engine (a session, a scheduler, the
 * caller) keeps it there: the shelf gives up its own hold only, and only the last one.
 *
 * Making an engine takes seconds. Its bytes are taken under the lock, the work is done
 * without it: other engines can be had meanwhile, and who wants the same one waits.
 * Who finds no room waits, too, as long as something is being made: that may fail, and
 * its bytes come back. A maker never waits for another, so somebody always goes on.
 */
#include "infer/shelf.h"

#include <stdio.h>
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
    if (s->made) {
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
    }
}

static int32_t
make_lock(decai_shelf *s)
{
    if (pthread_mutex_init(&s->lock, NULL)) return decai__fail(DECAI_E_NOMEM, "shelf: no mutex");
    if (pthread_cond_init(&s->changed, NULL)) {
        pthread_mutex_destroy(&s->lock);
        return decai__fail(DECAI_E_NOMEM, "shelf: no condition");
    }
    s->made = true;
    return 0;
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
    if (!r) r = make_lock(s);
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

/* Engines go only if that is enough: none is given up for a call that fails anyway. */
static int32_t
make_room(decai_shelf *s, size_t bytes)
{
    size_t held = 0;

    for (size_t i = 0; i < s->count; i++) {
        const shelf_place *p = &s->place[i];
        if ((p->engine || p->making) && !idle(p)) held += p->bytes;
    }
    if (s->most && held > s->most - bytes)
        return decai__fail(DECAI_E_FULL, "shelf: %zu bytes of %zu are in use, %zu more are needed", held, s->most, bytes);
    while (s->most && s->bytes > s->most - bytes) {
        shelf_place *oldest = NULL;
        for (size_t i = 0; i < s->count; i++)
            if (idle(&s->place[i]) && (!oldest || s->place[i].got < oldest->got)) oldest = &s->place[i];
        decai__assert(oldest);                       /* an idle engine stays idle under the lock */
        decai__destroy(oldest->engine);
        oldest->engine = NULL;
        s->bytes -= oldest->bytes;
        s->dropped++;
    }
    return 0;
}

/* Entered and left with the lock, which is not held in between. */
/* How many tokens of context a model has; 0 where that cannot be read, which its
 * engine then says. */
static uint64_t
context_of(const decai_model *model)
{
    const char *arch = NULL;
    char key[96];
    size_t len = 0;
    uint64_t own = 0;

    if (decai__model_str(model, "general.architecture", &arch, &len) || len > 64) return 0;
    (void)snprintf(key, sizeof key, "%.*s.context_length", (int)len, arch);
    return decai__model_u64(model, key, 1, UINT32_MAX, &own) ? 0 : own;
}

/* The options are for all models: one that has less context than they ask for gets its own. */
static int32_t
make_engine(decai_shelf *s, decai_engine **out, decai_model *model)
{
    decai_options *less = NULL;
    int64_t asked = decai__opt_i64(s->options, "infer.context");
    uint64_t own = asked ? context_of(model) : 0;

    if (!own || (uint64_t)asked <= own) return decai__engine_create(out, model, s->options);
    int32_t r = decai__options_copy(&less, s->h.context, s->options);
    if (!r) r = decai_options_set_i64(less, "infer.context", (int64_t)own);
    if (!r) r = decai__engine_create(out, model, less);
    decai__destroy(less);
    return r;
}

static int32_t
make(decai_shelf *s, shelf_place *p)
{
    decai_engine *e = NULL;

    p->making = true;
    s->making++;
    s->bytes += p->bytes;
    pthread_mutex_unlock(&s->lock);
    int32_t r = make_engine(s, &e, p->model);
    pthread_mutex_lock(&s->lock);
    p->making = false;
    s->making--;
    p->engine = e;                                   /* NULL after a failure */
    if (r) s->bytes -= p->bytes;
    else s->created++;
    pthread_cond_broadcast(&s->changed);
    return r;
}

static int32_t
get(decai_shelf *s, decai_engine **out, const char *name)
{
    shelf_place *p = find(s, name);

    if (!p) return decai__fail(DECAI_E_NOT_FOUND, "name: \"%.64s\"", name);
    while (!p->engine) {
        int32_t r = p->making ? DECAI_E_FULL : make_room(s, p->bytes);
        if (r == DECAI_E_FULL && s->making) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        if (!r) r = make(s, p);
        if (r) return r;
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
    (void)decai__buf_printf(out, "{\"bytes\":%zu,\"bytes_max\":%zu,\"gets\":%llu,\"created\":%llu,\"dropped\":%llu,\"models\":[",
        s->bytes, s->most, (unsigned long long)s->gets, (unsigned long long)s->created, (unsigned long long)s->dropped);
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
