/* access.c - tensors and metadata by name, and metadata as checked values.
 *
 * Both tables are sorted by name bytes, which is also the order that the model
 * root binds, so a look-up is a binary search. A typed getter refuses a wrong
 * type and a value out of bounds with the key and the value in the text: what
 * a model says about itself is input like any other. */
#include <string.h>

#include "model/internal.h"

int32_t
decai__model_ready(const decai_model *m)
{
    if (atomic_load_explicit(&m->ready, memory_order_acquire)) return 0;
    return decai__fail(DECAI_E_STATE, "model: not loaded; its task has not ended with 0");
}

size_t
decai__model_tensor_count(const decai_model *m)
{
    return m->gguf.tensor_count;
}

const decai__tensor *
decai__model_tensor_at(const decai_model *m, size_t index)
{
    return index < m->gguf.tensor_count ? &m->gguf.tensors[index] : NULL;
}

size_t
decai__model_metadata_count(const decai_model *m)
{
    return m->gguf.metadata_count;
}

const decai__metadata *
decai__model_metadata_at(const decai_model *m, size_t index)
{
    return index < m->gguf.metadata_count ? &m->gguf.metadata[index] : NULL;
}

const decai__tensor *
decai__model_tensor_find(const decai_model *m, const char *name)
{
    size_t low = 0, high = m->gguf.tensor_count, len = strlen(name);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const decai__tensor *t = &m->gguf.tensors[mid];
        int order = decai__compare_bytes(name, len, t->name, t->name_len);
        if (!order) return t;
        if (order < 0) high = mid;
        else low = mid + 1;
    }
    return NULL;
}

const decai__metadata *
decai__gguf_find(const decai__gguf *g, const char *key)
{
    size_t low = 0, high = g->metadata_count, len = strlen(key);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const decai__metadata *e = &g->metadata[mid];
        int order = decai__compare_bytes(key, len, e->key, e->key_len);
        if (!order) return e;
        if (order < 0) high = mid;
        else low = mid + 1;
    }
    return NULL;
}

const decai__metadata *
decai__model_metadata_find(const decai_model *m, const char *key)
{
    return decai__gguf_find(&m->gguf, key);
}

const char *
decai__model_path(const decai_model *m)
{
    return m->file_count ? m->files[0].path : NULL;
}

/* ---- typed values -------------------------------------------------------- */

static int32_t
find(const decai_model *m, const char *key, const decai__metadata **out)
{
    *out = decai__model_metadata_find(m, key);
    return *out ? 0 : decai__fail(DECAI_E_NOT_FOUND, "%s: not in the metadata", key);
}

static int32_t
wrong_type(const decai__metadata *e, const char *wanted)
{
    return decai__fail(DECAI_E_CORRUPT, "%s: type %u is not %s", e->key, e->type, wanted);
}

/* Any integer as magnitude and sign; false for other types. */
static bool
integer(const decai__metadata *e, uint64_t *v, bool *negative)
{
    int64_t s = 0;
    *negative = false;
    switch (e->type) {
    case DECAI_METADATA_U8: *v = e->value[0]; return true;
    case DECAI_METADATA_U16: *v = decai__load_le16(e->value); return true;
    case DECAI_METADATA_U32: *v = decai__load_le32(e->value); return true;
    case DECAI_METADATA_U64: *v = decai__load_le64(e->value); return true;
    case DECAI_METADATA_I8: s = (int8_t)e->value[0]; break;
    case DECAI_METADATA_I16: s = (int16_t)decai__load_le16(e->value); break;
    case DECAI_METADATA_I32: s = (int32_t)decai__load_le32(e->value); break;
    case DECAI_METADATA_I64: s = (int64_t)decai__load_le64(e->value); break;
    default: return false;
    }
    *negative = s < 0;
    *v = s < 0 ? 0 - (uint64_t)s : (uint64_t)s;
    return true;
}

int32_t
decai__metadata_integer(const decai__metadata *e, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;
    bool negative;
    if (!integer(e, &v, &negative)) return wrong_type(e, "an integer");
    if (negative || v < min || v > max)
        return decai__fail(DECAI_E_CORRUPT, "%s: %s%llu is not in %llu..%llu", e->key, negative ? "-" : "",
            (unsigned long long)v, (unsigned long long)min, (unsigned long long)max);
    *out = v;
    return 0;
}

int32_t
decai__model_u64(const decai_model *m, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
    const decai__metadata *e;
    int32_t r = find(m, key, &e);
    return r ? r : decai__metadata_integer(e, min, max, out);
}

int32_t
decai__model_f32(const decai_model *m, const char *key, float min, float max, float *out)
{
    const decai__metadata *e;
    float v;
    double d;
    int32_t r = find(m, key, &e);
    if (r) return r;
    if (e->type == DECAI_METADATA_F32) memcpy(&v, e->value, 4);
    else if (e->type == DECAI_METADATA_F64) memcpy(&d, e->value, 8), v = (float)d;
    else return wrong_type(e, "a float");
    if (!(v >= min && v <= max)) {
        uint32_t bits;
        memcpy(&bits, &v, 4);
        return decai__fail(DECAI_E_CORRUPT, "%s: value with the bits %08x is out of bounds", key, bits);
    }
    *out = v;
    return 0;
}

int32_t
decai__model_bool(const decai_model *m, const char *key, bool *out)
{
    const decai__metadata *e;
    int32_t r = find(m, key, &e);
    if (r) return r;
    if (e->type != DECAI_METADATA_BOOL) return wrong_type(e, "a bool");
    *out = e->value[0] == 1;
    return 0;
}

int32_t
decai__model_str(const decai_model *m, const char *key, const char **out, size_t *len)
{
    const decai__metadata *e;
    int32_t r = find(m, key, &e);
    if (r) return r;
    if (e->type != DECAI_METADATA_STRING) return wrong_type(e, "a string");
    *out = (const char *)e->value;
    *len = (size_t)e->count;
    return 0;
}

int32_t
decai__model_array(const decai_model *m, const char *key, uint32_t item_type, const decai__metadata **out)
{
    const decai__metadata *e;
    int32_t r = find(m, key, &e);
    if (r) return r;
    if (e->type != DECAI_METADATA_ARRAY) return wrong_type(e, "an array");
    if (e->item_type != item_type)
        return decai__fail(DECAI_E_CORRUPT, "%s: elements of type %u, not %u", key, e->item_type, item_type);
    *out = e;
    return 0;
}

/* ---- elements of arrays ---------------------------------------------------- */

int32_t
decai__metadata_next_str(const decai__metadata *array, const uint8_t **pos, const char **out, size_t *len)
{
    const uint8_t *end = array->raw + array->raw_size;
    decai__assert(array->type == DECAI_METADATA_ARRAY && array->item_type == DECAI_METADATA_STRING);
    if (!*pos) *pos = array->value;
    if (*pos == end) return 0;
    /* The parser walked these very lengths: they end exactly at `end`. */
    *len = (size_t)decai__load_le64(*pos);
    *out = (const char *)*pos + 8;
    decai__assert(*len <= (size_t)(end - *pos) - 8);
    *pos += 8 + *len;
    return 1;
}

uint32_t
decai__metadata_u32(const decai__metadata *array, uint64_t index)
{
    decai__assert(index < array->count);
    return decai__load_le32(array->value + 4 * index);
}

float
decai__metadata_f32(const decai__metadata *array, uint64_t index)
{
    float v;
    decai__assert(index < array->count);
    memcpy(&v, array->value + 4 * index, 4);
    return v;
}
