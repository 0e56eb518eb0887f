/* gguf.c - the GGUF parser. The file is hostile.
 *
 *     "GGUF"  u32 version (2 or 3)  u64 tensors  u64 metadata
 *     metadata:  string key, u32 type, value
 *     tensors:   string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset
 *     padding to general.alignment, then the tensors' data at their offsets
 *
 *     string  u64 length, bytes          array  u32 type, u64 count, elements
 *     type    0 u8 1 i8 2 u16 3 i16 4 u32 5 i32 6 f32 7 bool 8 string 9 array
 *             10 u64 11 i64 12 f64       all little-endian
 *
 * Source: the GGUF description (docs/gguf.md of ggml).
 *
 * What holds: nothing is allocated, multiplied or followed before the bytes it
 * speaks of are known to exist in the file. A count of n items of at least k
 * bytes is refused unless n <= bytes left / k. Names and keys are printable
 * ASCII, so they can stand in an error text. Every check names the field.
 *
 * The parser may be given only the front of the file. A field that the file
 * holds but the front does not gives DECAI__MORE; a field that even the file
 * cannot hold is refused at once. */
#include <string.h>

#include "model/internal.h"

/* Smallest encodings, for bounding counts by the bytes left. */
#define METADATA_MIN (8 + 1 + 4 + 1)
#define TENSOR_MIN   (8 + 1 + 4 + 8 + 4 + 8)

typedef struct cursor {
    const uint8_t *data;
    size_t have, pos;                /* pos <= have <= file_len */
    uint64_t file_len;
} cursor;

static uint64_t
left(const cursor *c)
{
    return c->file_len - c->pos;
}

/* Are n more bytes there? 0, DECAI__MORE, or an error naming what they are. */
static int32_t
need(const cursor *c, uint64_t n, const char *field)
{
    decai__assert(c->pos <= c->have && c->have <= c->file_len);
    if (n > left(c))
        return decai__fail(DECAI_E_CORRUPT, "%s: %llu bytes declared, %llu left in the file", field,
            (unsigned long long)n, (unsigned long long)left(c));
    return n > c->have - c->pos ? DECAI__MORE : 0;
}

static int32_t
take(cursor *c, uint64_t n, const char *field, const uint8_t **out)
{
    int32_t r = need(c, n, field);
    if (r) return r;
    *out = c->data + c->pos;
    c->pos += (size_t)n;
    return 0;
}

static int32_t
take_u32(cursor *c, const char *field, uint32_t *out)
{
    const uint8_t *p;
    int32_t r = take(c, 4, field, &p);
    if (!r) *out = decai__load_le32(p);
    return r;
}

static int32_t
take_u64(cursor *c, const char *field, uint64_t *out)
{
    const uint8_t *p;
    int32_t r = take(c, 8, field, &p);
    if (!r) *out = decai__load_le64(p);
    return r;
}

static int32_t
too_many(const char *field, uint64_t count, uint64_t max)
{
    return decai__fail(DECAI_E_LIMIT, "%s: %llu is above %llu", field, (unsigned long long)count,
        (unsigned long long)max);
}

/* A count of items of at least `least` bytes each, under a named maximum. */
static int32_t
check_count(const cursor *c, const char *field, uint64_t count, uint64_t least, uint64_t max)
{
    if (count > left(c) / least)
        return decai__fail(DECAI_E_CORRUPT, "%s: %llu of at least %llu bytes, %llu left in the file", field,
            (unsigned long long)count, (unsigned long long)least, (unsigned long long)left(c));
    return count > max ? too_many(field, count, max) : 0;
}

/* ---- metadata ---------------------------------------------------------- */

/* Bytes of a scalar; 0 for string, array and unknown types. */
static uint32_t
scalar_size(uint32_t type)
{
    static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    return type < sizeof size ? size[type] : 0;
}

static int32_t
check_bools(const char *key, const uint8_t *p, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (p[i] > 1) return decai__fail(DECAI_E_CORRUPT, "%s: a bool holds %u", key, p[i]);
    return 0;
}

static int32_t
take_string(cursor *c, const char *key, const uint8_t **out, uint64_t *len)
{
    int32_t r = take_u64(c, key, len);
    if (r) return r;
    if (*len > left(c)) return need(c, *len, key);
    if (*len > DECAI_MODEL_STRING_MAX) return too_many(key, *len, DECAI_MODEL_STRING_MAX);
    return take(c, *len, key, out);
}

/* Skip the elements of an array, checking each. `budget` counts elements of all
 * nesting levels of this value. Depth is capped, so recursion is too. */
static int32_t
skip_array(cursor *c, const char *key, uint32_t depth, uint64_t *budget, uint32_t *type, uint64_t *count)
{
    if (depth > DECAI_MODEL_DEPTH_MAX) return too_many(key, depth, DECAI_MODEL_DEPTH_MAX);
    int32_t r = take_u32(c, key, type);
    if (!r) r = take_u64(c, key, count);
    if (r) return r;
    if (*type > DECAI_METADATA_F64)
        return decai__fail(DECAI_E_CORRUPT, "%s: array element type %u is unknown", key, *type);
    uint32_t size = scalar_size(*type);
    r = check_count(c, key, *count, size ? size : *type == DECAI_METADATA_STRING ? 8 : 12, DECAI_MODEL_ARRAY_MAX);
    if (r) return r;
    if (*count > *budget) return too_many(key, *count, *budget);
    *budget -= *count;
    const uint8_t *p;
    uint64_t n;
    uint32_t t;
    if (size) {
        r = take(c, *count * size, key, &p);
        return r || *type != DECAI_METADATA_BOOL ? r : check_bools(key, p, *count);
    }
    for (uint64_t i = 0; !r && i < *count; i++)
        r = *type == DECAI_METADATA_STRING ? take_string(c, key, &p, &n)
                                           : skip_array(c, key, depth + 1, budget, &t, &n);
    return r;
}

static int32_t
take_value(cursor *c, decai__metadata *m)
{
    uint64_t budget = DECAI_MODEL_ARRAY_MAX;
    size_t start = c->pos;
    int32_t r;
    m->count = 1;
    if (m->type == DECAI_METADATA_STRING) {
        r = take_string(c, m->key, &m->value, &m->count);
    } else if (m->type == DECAI_METADATA_ARRAY) {
        r = skip_array(c, m->key, 1, &budget, &m->item_type, &m->count);
        if (!r) m->value = c->data + start + 12;
    } else if (scalar_size(m->type)) {
        r = take(c, scalar_size(m->type), m->key, &m->value);
        if (!r && m->type == DECAI_METADATA_BOOL) r = check_bools(m->key, m->value, 1);
    } else {
        return decai__fail(DECAI_E_CORRUPT, "%s: value type %u is unknown", m->key, m->type);
    }
    m->raw = c->data + start;
    m->raw_size = c->pos - start;
    return r;
}

/* A key or name: 1..max printable ASCII bytes, copied into *arena with a NUL. */
static int32_t
take_name(cursor *c, const char *field, uint64_t max, char **arena, const char **out, uint32_t *out_len)
{
    const uint8_t *p;
    uint64_t len;
    int32_t r = take_u64(c, field, &len);
    if (r) return r;
    if (!len) return decai__fail(DECAI_E_CORRUPT, "%s: length 0", field);
    if (len > left(c)) return need(c, len, field);
    if (len > max) return too_many(field, len, max);
    r = take(c, len, field, &p);
    if (r) return r;
    for (uint64_t i = 0; i < len; i++)
        if (p[i] < 0x21 || p[i] > 0x7e)
            return decai__fail(DECAI_E_CORRUPT, "%s: byte 0x%02x at %llu is not printable ASCII", field, p[i],
                (unsigned long long)i);
    memcpy(*arena, p, (size_t)len);
    (*arena)[len] = 0;
    *out = *arena;
    *out_len = (uint32_t)len;
    *arena += len + 1;
    return 0;
}

/* general.alignment decides where data lies, so its type and range are strict. */
static int32_t
take_alignment(decai__gguf *g, const decai__metadata *m)
{
    if (m->type != DECAI_METADATA_U32)
        return decai__fail(DECAI_E_CORRUPT, DECAI__KEY_ALIGNMENT ": type %u is not u32", m->type);
    uint32_t a = decai__load_le32(m->value);
    if (a < DECAI_MODEL_ALIGN_MIN || a > DECAI_MODEL_ALIGN_MAX)
        return decai__fail(DECAI_E_LIMIT, DECAI__KEY_ALIGNMENT ": %u is not in %d..%d", a, DECAI_MODEL_ALIGN_MIN,
            DECAI_MODEL_ALIGN_MAX);
    if (a % 8) return decai__fail(DECAI_E_CORRUPT, DECAI__KEY_ALIGNMENT ": %u is no multiple of 8", a);
    g->alignment = a;
    return 0;
}

static int
by_key(const void *a, const void *b)
{
    const decai__metadata *x = a, *y = b;
    return decai__compare_bytes(x->key, x->key_len, y->key, y->key_len);
}

int32_t
decai__metadata_sort(decai__metadata *m, size_t count)
{
    decai__sort(m, count, sizeof *m, by_key);
    for (size_t i = 1; i < count; i++)
        if (!by_key(&m[i - 1], &m[i])) return decai__fail(DECAI_E_CORRUPT, "%s: duplicate key", m[i].key);
    return 0;
}

static int32_t
take_metadata(cursor *c, decai__gguf *g, char **arena)
{
    for (size_t i = 0; i < g->metadata_count; i++) {
        decai__metadata *m = &g->metadata[i];
        int32_t r = take_name(c, "metadata key", DECAI_MODEL_KEY_MAX, arena, &m->key, &m->key_len);
        if (!r) r = take_u32(c, m->key, &m->type);
        if (!r) r = take_value(c, m);
        if (!r && !strcmp(m->key, DECAI__KEY_ALIGNMENT)) r = take_alignment(g, m);
        if (r) return r;
    }
    return decai__metadata_sort(g->metadata, g->metadata_count);
}

/* ---- tensors ----------------------------------------------------------- */

/* Names of types that exist elsewhere, for the refusal's text. */
static const char *
foreign_type(uint32_t type)
{
    static const char *const name[] = {
        [9] = "Q8_1", [15] = "Q8_K", [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
        [19] = "IQ1_S", [21] = "IQ3_S", [22] = "IQ2_S", [24] = "I8",
        [25] = "I16", [26] = "I32", [27] = "I64", [28] = "F64", [29] = "IQ1_M", [34] = "TQ1_0",
        [35] = "TQ2_0", [40] = "NVFP4", [41] = "Q1_0", [42] = "Q2_0",
    };
    return type < DECAI__COUNT(name) && name[type] ? name[type] : "unknown";
}

static int32_t
take_dims(cursor *c, decai__tensor *t)
{
    int32_t r = take_u32(c, t->name, &t->n_dims);
    if (r) return r;
    if (!t->n_dims) return decai__fail(DECAI_E_CORRUPT, "%s: n_dims 0", t->name);
    if (t->n_dims > DECAI_MODEL_DIMS_MAX) return too_many(t->name, t->n_dims, DECAI_MODEL_DIMS_MAX);
    t->elements = 1;
    for (uint32_t i = 0; i < DECAI_MODEL_DIMS_MAX; i++) {
        t->dims[i] = 1;
        if (i < t->n_dims) r = take_u64(c, t->name, &t->dims[i]);
        if (r) return r;
        if (!t->dims[i]) return decai__fail(DECAI_E_CORRUPT, "%s: dims[%u] is 0", t->name, i);
        if (__builtin_mul_overflow(t->elements, t->dims[i], &t->elements))
            return decai__fail(DECAI_E_CORRUPT, "%s: dims[%u] %llu: the product wraps", t->name, i,
                (unsigned long long)t->dims[i]);
    }
    return 0;
}

int32_t
decai__tensor_size(decai__tensor *t, uint64_t file_len)
{
    const decai__type_info *info = decai__tensor_type(t->type);
    if (!info)
        return decai__fail(DECAI_E_UNSUPPORTED, "%s: tensor type %u (%s) is not read", t->name, t->type,
            foreign_type(t->type));
    if (t->dims[0] % info->block)
        return decai__fail(DECAI_E_CORRUPT, "%s: dims[0] %llu is no multiple of %s's block of %u", t->name,
            (unsigned long long)t->dims[0], info->name, info->block);
    /* A row is never longer than the tensor, so one check covers both. */
    if (!decai__mul_size(&t->size, (size_t)(t->elements / info->block), info->bytes) || t->size > file_len)
        return decai__fail(DECAI_E_CORRUPT, "%s: %llu elements of %s do not fit a file of %llu bytes", t->name,
            (unsigned long long)t->elements, info->name, (unsigned long long)file_len);
    t->row_size = (size_t)(t->dims[0] / info->block) * info->bytes;
    return 0;
}

/* The offset waits in row order until data_start is known: place_tensors. */
static int32_t
take_tensor(cursor *c, const decai__gguf *g, decai__tensor *t, uint64_t *offset, char **arena)
{
    int32_t r = take_name(c, "tensor name", DECAI_MODEL_NAME_MAX, arena, &t->name, &t->name_len);
    if (!r) r = take_dims(c, t);
    if (!r) r = take_u32(c, t->name, &t->type);
    if (!r) r = decai__tensor_size(t, c->file_len);
    if (!r) r = take_u64(c, t->name, offset);
    if (r) return r;
    if (*offset % g->alignment)
        return decai__fail(DECAI_E_CORRUPT, "%s: offset %llu is no multiple of the alignment %u", t->name,
            (unsigned long long)*offset, g->alignment);
    return 0;
}

typedef struct extent { uint64_t offset; decai__tensor *tensor; } extent;

static int
by_offset(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Inside the file and apart from each other; then data pointers are safe. */
static int32_t
place_tensors(const cursor *c, const decai__gguf *g, extent *e)
{
    uint64_t room = c->file_len > g->data_start ? c->file_len - g->data_start : 0, end = 0;
    decai__sort(e, g->tensor_count, sizeof *e, by_offset);
    for (size_t i = 0; i < g->tensor_count; i++) {
        decai__tensor *t = e[i].tensor;
        if (e[i].offset > room || t->size > room - e[i].offset)
            return decai__fail(DECAI_E_CORRUPT, "%s: offset %llu and size %llu pass the %llu bytes of data", t->name,
                (unsigned long long)e[i].offset, (unsigned long long)t->size, (unsigned long long)room);
        if (e[i].offset < end)
            return decai__fail(DECAI_E_CORRUPT, "%s: offset %llu overlaps %s", t->name,
                (unsigned long long)e[i].offset, e[i - 1].tensor->name);
        end = e[i].offset + t->size;
        if (c->have == c->file_len) t->data = c->data + (size_t)(g->data_start + e[i].offset);
    }
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    const decai__tensor *x = a, *y = b;
    return decai__compare_bytes(x->name, x->name_len, y->name, y->name_len);
}

int32_t
decai__tensors_sort(decai__tensor *t, size_t count)
{
    decai__sort(t, count, sizeof *t, by_name);
    for (size_t i = 0; i < count; i++) {
        t[i].index = (uint32_t)i;
        if (i && !by_name(&t[i - 1], &t[i])) return decai__fail(DECAI_E_CORRUPT, "%s: duplicate tensor", t[i].name);
    }
    return 0;
}

static int32_t
take_tensors(cursor *c, decai__gguf *g, char **arena, extent *e)
{
    for (size_t i = 0; i < g->tensor_count; i++) {
        e[i].tensor = &g->tensors[i];
        int32_t r = take_tensor(c, g, &g->tensors[i], &e[i].offset, arena);
        if (r) return r;
    }
    uint64_t gap = (g->alignment - c->pos % g->alignment) % g->alignment;
    g->data_start = c->pos + gap;
    int32_t r = place_tensors(c, g, e);
    if (r) return r;
    return decai__tensors_sort(g->tensors, g->tensor_count);
}

/* ---- file -------------------------------------------------------------- */

static int32_t
take_header(cursor *c, decai__gguf *g)
{
    const uint8_t *magic;
    uint64_t tensors = 0, metadata = 0;
    int32_t r = take(c, 4, "magic", &magic);
    if (r) return r;
    if (memcmp(magic, "GGUF", 4))
        return decai__fail(DECAI_E_CORRUPT, "magic: %02x%02x%02x%02x is not GGUF", magic[0], magic[1], magic[2], magic[3]);
    r = take_u32(c, "version", &g->version);
    if (r) return r;
    if (g->version != 2 && g->version != 3)
        return decai__fail(DECAI_E_UNSUPPORTED, "version: %u%s is not read; 2 and 3 are", g->version,
            g->version && !(g->version & 0xffff) ? " (big-endian?)" : "");
    r = take_u64(c, "tensor_count", &tensors);
    if (!r) r = take_u64(c, "metadata_count", &metadata);
    if (!r) r = check_count(c, "tensor_count", tensors, TENSOR_MIN, DECAI_MODEL_TENSOR_MAX);
    if (!r) r = check_count(c, "metadata_count", metadata, METADATA_MIN, DECAI_MODEL_METADATA_MAX);
    g->tensor_count = (size_t)tensors;
    g->metadata_count = (size_t)metadata;
    return r;
}

int32_t
decai__gguf_parse(decai_context *ctx, decai__gguf *g, const uint8_t *data, size_t have, uint64_t file_len)
{
    cursor c = { data, have, 0, file_len };
    extent *e = NULL;
    memset(g, 0, sizeof *g);
    g->alignment = DECAI__ALIGNMENT_DEFAULT;
    int32_t r = take_header(&c, g);
    if (r) {
        g->tensor_count = g->metadata_count = 0;
        return r;
    }
    /* The counts are bounded by the bytes left; so are the names, which follow
     * the lengths in the file and are one byte (a NUL) longer here. */
    size_t names = (size_t)DECAI__MIN((uint64_t)g->metadata_count * (DECAI_MODEL_KEY_MAX + 1)
        + (uint64_t)g->tensor_count * (DECAI_MODEL_NAME_MAX + 1), file_len);
    g->metadata = decai__calloc(ctx, g->metadata_count, sizeof *g->metadata);
    g->tensors = decai__calloc(ctx, g->tensor_count, sizeof *g->tensors);
    g->names = decai__alloc(ctx, names);
    e = decai__calloc(ctx, g->tensor_count, sizeof *e);
    if (!g->metadata || !g->tensors || !g->names || !e) {
        r = decai__fail(DECAI_E_NOMEM, "model: no memory for %zu tensors and %zu metadata", g->tensor_count,
            g->metadata_count);
        goto done;
    }
    char *arena = g->names;
    r = take_metadata(&c, g, &arena);
    if (!r) r = take_tensors(&c, g, &arena, e);
    decai__assert(r || (size_t)(arena - g->names) <= names);
done:
    decai__free(ctx, e);
    return r;
}

void
decai__gguf_free(decai_context *ctx, decai__gguf *g)
{
    decai__free(ctx, g->metadata);
    decai__free(ctx, g->tensors);
    decai__free(ctx, g->names);
    memset(g, 0, sizeof *g);
}
