/* api.c - the exported functions of the model room: check, then call inside. */
#include <string.h>

#include "model/internal.h"

#define TEXT_MAX ((size_t)1 << 30)   /* bytes that format and metadata_get may make */

static int32_t
door(const decai_model *model)
{
    int32_t r = decai__enter_shared(model, DECAI__MODEL);
    return r ? r : decai__model_ready(model);
}

static int32_t
check_path(const char *path)
{
    if (!path || !*path) return decai__fail(DECAI_E_INVALID, "path: %s", path ? "empty" : "NULL");
    size_t len = 0;
    while (len <= DECAI_MODEL_PATH_MAX && path[len]) len++;
    if (len > DECAI_MODEL_PATH_MAX)
        return decai__fail(DECAI_E_LIMIT, "path: longer than DECAI_MODEL_PATH_MAX = %d bytes", DECAI_MODEL_PATH_MAX);
    return 0;
}

int32_t
decai_model_load(decai_model **out, decai_context *context, const char *path, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = check_path(path);
    return r ? r : decai__model_load(out, context, path, options);
}

int32_t
decai_model_load_start(decai_task **task, decai_model **out, decai_context *context, const char *path,
    const decai_options *options)
{
    if (task) *task = NULL;
    if (out) *out = NULL;
    if (!task || !out) return decai__fail(DECAI_E_INVALID, "%s: NULL", task ? "out" : "task");
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = check_path(path);
    return r ? r : decai__model_load_start(task, out, context, path, options);
}

int32_t
decai_model_open(decai_model **out, decai_context *context, const uint8_t *data, size_t data_len,
    const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r) return r;
    if (!data && data_len) return decai__fail(DECAI_E_INVALID, "data: NULL");
    if (data_len > SIZE_MAX - 64) return decai__fail(DECAI_E_LIMIT, "data_len: %zu", data_len);
    return decai__model_open(out, context, data ? data : (const uint8_t *)"", data_len, options);
}

/* ---- identity ---------------------------------------------------------- */

/* The door of those that give a hash: zeros until there is one. */
static int32_t
hash_door(const decai_model *model, uint8_t *out, size_t out_len)
{
    if (!out || out_len != 32) return decai__fail(DECAI_E_INVALID, "out_len: %zu is not 32", out ? out_len : 0);
    memset(out, 0, 32);
    return door(model);
}

static int32_t
give_hash(const uint8_t *hash, uint8_t *out)
{
    if (!hash) return decai__fail(DECAI_E_STATE, "model.hash or model.sha256: it was 0 at load");
    memcpy(out, hash, 32);
    return 0;
}

int32_t
decai_model_root_get(const decai_model *model, uint8_t *out, size_t out_len)
{
    int32_t r = hash_door(model, out, out_len);
    return r ? r : give_hash(decai__model_root(model), out);
}

int32_t
decai_model_sha256_get(const decai_model *model, uint8_t *out, size_t out_len)
{
    int32_t r = hash_door(model, out, out_len);
    return r ? r : give_hash(decai__model_sha256(model), out);
}

int32_t
decai_model_tensor_root_get(const decai_model *model, uint8_t *out, size_t out_len, const char *name)
{
    int32_t r = hash_door(model, out, out_len);
    if (r) return r;
    if (!name) return decai__fail(DECAI_E_INVALID, "name: NULL");
    const decai__tensor *t = decai__model_tensor_find(model, name);
    return t ? give_hash(decai__tensor_root(model, t), out) : decai__fail(DECAI_E_NOT_FOUND, "%s: no such tensor", name);
}

/* ---- content ----------------------------------------------------------- */

int32_t
decai_model_tensor_count(const decai_model *model, uint64_t *count)
{
    if (!count) return decai__fail(DECAI_E_INVALID, "count: NULL");
    *count = 0;
    int32_t r = door(model);
    if (r) return r;
    *count = decai__model_tensor_count(model);
    return 0;
}

int32_t
decai_model_tensor_at(const decai_model *model, const char **name, int32_t *type, uint64_t *dims,
    size_t dims_len, uint64_t *size, size_t index)
{
    if (!name || !type || !dims || !size || dims_len != DECAI_MODEL_DIMS_MAX)
        return decai__fail(DECAI_E_INVALID, "dims_len: %zu is not %d, or an output is NULL", dims_len,
            DECAI_MODEL_DIMS_MAX);
    *name = NULL;
    *type = 0;
    *size = 0;
    memset(dims, 0, DECAI_MODEL_DIMS_MAX * sizeof *dims);
    int32_t r = door(model);
    if (r) return r;
    const decai__tensor *t = decai__model_tensor_at(model, index);
    if (!t) return 0;
    *name = t->name;
    *type = (int32_t)t->type;
    memcpy(dims, t->dims, sizeof t->dims);
    *size = t->size;
    return 1;
}

int32_t
decai_model_tensor_get(const decai_model *model, const uint8_t **data, size_t *len, const char *name)
{
    if (!data || !len || !name) return decai__fail(DECAI_E_INVALID, "%s: NULL", !data ? "data" : !len ? "len" : "name");
    *data = NULL;
    *len = 0;
    int32_t r = door(model);
    if (r) return r;
    const decai__tensor *t = decai__model_tensor_find(model, name);
    if (!t) return decai__fail(DECAI_E_NOT_FOUND, "%s: no such tensor", name);
    *data = t->data;
    *len = t->size;
    return 0;
}

int32_t
decai_model_metadata_at(const decai_model *model, const char **key, int32_t *type, size_t index)
{
    if (!key || !type) return decai__fail(DECAI_E_INVALID, "%s: NULL", key ? "type" : "key");
    *key = NULL;
    *type = 0;
    int32_t r = door(model);
    if (r) return r;
    const decai__metadata *e = decai__model_metadata_at(model, index);
    if (!e) return 0;
    *key = e->key;
    *type = (int32_t)e->type;
    return 1;
}

/* One place for text that is made and then copied out. */
static int32_t
give_text(const decai_model *model, const decai__metadata *entry, uint8_t *out, size_t cap, size_t *len)
{
    decai__buf b;
    decai__buf_init(&b, decai__context_of(model), TEXT_MAX, "model text");
    int32_t r = entry ? decai__metadata_format(entry, &b) : decai__model_format(model, &b);
    if (!r) r = decai__bytes_out(out, cap, len, b.data, b.len);
    decai__buf_free(&b);
    return r;
}

int32_t
decai_model_metadata_get(const decai_model *model, uint8_t *out, size_t cap, size_t *len, const char *key)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    int32_t r = door(model);
    if (r) return r;
    if (!key) return decai__fail(DECAI_E_INVALID, "key: NULL");
    const decai__metadata *e = decai__model_metadata_find(model, key);
    if (!e) return decai__fail(DECAI_E_NOT_FOUND, "%s: not in the metadata", key);
    return give_text(model, e, out, cap, len);
}

int32_t
decai_model_format(const decai_model *model, uint8_t *out, size_t cap, size_t *len)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    int32_t r = door(model);
    return r ? r : give_text(model, NULL, out, cap, len);
}
