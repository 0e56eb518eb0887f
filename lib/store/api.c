/* api.c - the door of room store: opening a file and checking it. */
#include <string.h>

#include "store/store.h"

static void
store_destroy(void *self)
{
    decai_store *s = self;
    if (s->impl) s->backend->close(s);
    decai__free(s->h.context, s->path);
}

int32_t
decai__store_open(decai_store **out, decai_context *ctx, const char *path, const decai_options *options)
{
    decai_store *s = decai__handle_create(ctx, DECAI__STORE, sizeof *s, store_destroy);
    if (!s) return decai__fail(DECAI_E_NOMEM, "store: no memory for the handle");
    s->backend = &decai__store_sqlite;
    s->busy_ms = decai__opt_i64(options, "store.busy_ms");
    /* "file:" and ":" begin special names in SQLite; here a path is a path. */
    bool special = strncmp(path, "file:", 5) == 0 || (path[0] == ':' && strcmp(path, ":memory:") != 0);
    size_t n = strlen(path);
    s->path = decai__alloc(ctx, n + 3);
    int32_t r = s->path ? 0 : decai__fail(DECAI_E_NOMEM, "store: no memory for the path");
    if (r == 0) {
        memcpy(s->path, "./", 2);
        memcpy(s->path + (special ? 2 : 0), path, n + 1);
        r = s->backend->open(s, s->path, options);
    }
    if (r) decai__destroy(s);
    else *out = s;
    return r;
}

int32_t
decai_store_open(decai_store **out, decai_context *context, const char *path, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r == 0) r = decai__opts_check(options, "store");
    if (r) return r;
    if (!path || !*path) return decai__fail(DECAI_E_INVALID, "path: empty");
    if (strlen(path) > DECAI_STORE_PATH_MAX)
        return decai__fail(DECAI_E_LIMIT, "path: %zu bytes, at most %d", strlen(path), DECAI_STORE_PATH_MAX);
    return decai__store_open(out, context, path, options);
}

int32_t
decai_store_audit(decai_store *store)
{
    int32_t r = decai__enter(store, DECAI__STORE);
    if (r) return r;
    r = store->backend->audit(store);
    decai__leave(store);
    return r;
}

int32_t
decai_store_schema_get(decai_store *store, int64_t *schema)
{
    if (!schema) return decai__fail(DECAI_E_INVALID, "schema: NULL");
    *schema = 0;
    int32_t r = decai__enter(store, DECAI__STORE);
    if (r) return r;
    r = store->backend->schema(store, schema);
    decai__leave(store);
    return r;
}
