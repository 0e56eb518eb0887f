/* safetensors.c - models published as safetensors, one file or several.
 *
 *     u64 n, little-endian
 *     n bytes: one JSON object, {"name": {"dtype", "shape", "data_offsets"}, ...,
 *              "__metadata__": {"text": "text", ...}}
 *     the tensors' bytes, without gaps, offsets counted from here
 *
 *     model.safetensors.index.json: {"metadata": {...}, "weight_map": {"name": "file", ...}}
 *
 * Source: the safetensors format description (docs of the package safetensors).
 * The files are hostile: strict JSON through codec, a bound on n before anything
 * is read, offsets that cover the data exactly once, sizes that follow from type
 * and shape, files named by an index only beside it.
 *
 * Names, shapes and config.json become a GGUF's (hf_names.c, hf_config.c): rows
 * first in "shape" are rows last in dims. Bytes stay where they are, with three
 * exceptions that are copied: vectors become F32, as converters write them (and
 * Gemma's norms get their 1), GPT-2's matrices are turned, and a tensor at an
 * address that is no multiple of 8. The model root is that of the result, so what is bound is what runs. */
#include <string.h>

#include "model/hf.h"

#define INDEX_NAME_MAX 255           /* bytes of a file's name in an index */
#define RAW_NAME_MAX   255           /* bytes of a tensor's name in a header */

/* A tensor while places are not final. */
typedef struct item {
    decai__tensor tensor;
    uint64_t offset;                 /* of its bytes in the file */
    size_t name_at;                  /* in names */
    uint32_t file;
    int32_t action;
    size_t side_at;                  /* SIZE_MAX: its bytes are the file's */
} item;

/* One line of an index. */
struct listed { const char *tensor, *file; };

typedef struct reader {
    decai__loader *l;
    decai__hf hf;
    decai__json *index;              /* NULL: one file */
    struct listed *listed;           /* weight_map by tensor name; into index */
    size_t listed_count, found;      /* found: tensors in the files */
    const char **file_name;          /* of the files in an index, sorted; into index */
    size_t files;
    item *items;
    size_t count, cap;
    decai__buf names;
    char folder[DECAI_MODEL_PATH_MAX + 1];
} reader;

/* ---- one header ------------------------------------------------------------------ */

static int32_t
header_front(const uint8_t *data, size_t have, uint64_t file_len, uint64_t *n)
{
    if (file_len < 8 + 2) return decai__fail(DECAI_E_CORRUPT, "header: the file has %llu bytes", (unsigned long long)file_len);
    if (have < 8) return DECAI__MORE;
    *n = decai__load_le64(data);
    if (*n > file_len - 8)
        return decai__fail(DECAI_E_CORRUPT, "header: %llu bytes declared, %llu left in the file", (unsigned long long)*n,
            (unsigned long long)(file_len - 8));
    if (*n > DECAI_MODEL_HEADER_MAX)
        return decai__fail(DECAI_E_LIMIT, "header: %llu bytes are above DECAI_MODEL_HEADER_MAX = %d", (unsigned long long)*n,
            DECAI_MODEL_HEADER_MAX);
    return have < 8 + *n ? DECAI__MORE : 0;
}

static int32_t
check_front(void *user, const uint8_t *data, size_t have, uint64_t file_len)
{
    uint64_t n;
    (void)user;
    return header_front(data, have, file_len, &n);
}

static int32_t
take_type(const decai__json *doc, const decai__json_node *node, decai__tensor *t)
{
    static const struct { const char *name; uint32_t type; } TYPE[] = { { "F32", DECAI_TENSOR_F32 },
        { "F16", DECAI_TENSOR_F16 }, { "BF16", DECAI_TENSOR_BF16 } };
    const char *text;
    int32_t r = decai__json_get_str(doc, node, "dtype", &text, NULL);
    if (r) return r;
    for (size_t i = 0; i < DECAI__COUNT(TYPE); i++)
        if (!strcmp(text, TYPE[i].name)) {
            t->type = TYPE[i].type;
            return 0;
        }
    return decai__fail(DECAI_E_UNSUPPORTED, "%s: dtype \"%.16s\" is not read; F32, F16 and BF16 are", decai__json_key(node), text);
}

/* shape is rows first; dims are the contiguous one first. */
static int32_t
take_shape(const decai__json *doc, const decai__json_node *node, decai__tensor *t)
{
    const decai__json_node *list;
    uint64_t shape[DECAI_MODEL_DIMS_MAX];
    uint32_t n = 0;
    int32_t r = decai__json_get(doc, node, "shape", DECAI__JSON_ARRAY, &list);
    if (r) return r;
    for (const decai__json_node *d = decai__json_first(list); d; d = decai__json_next(d)) {
        if (n == DECAI_MODEL_DIMS_MAX)
            return decai__fail(DECAI_E_LIMIT, "%s: more than %d dimensions", decai__json_key(node), DECAI_MODEL_DIMS_MAX);
        r = decai__json_u64(doc, d, &shape[n]);
        if (r) return r;
        if (!shape[n]) return decai__fail(DECAI_E_CORRUPT, "%s: shape[%u] is 0", decai__json_key(node), n);
        n++;
    }
    t->n_dims = n ? n : 1;
    t->elements = 1;
    for (uint32_t i = 0; i < DECAI_MODEL_DIMS_MAX; i++) {
        t->dims[i] = i < n ? shape[n - 1 - i] : 1;
        if (__builtin_mul_overflow(t->elements, t->dims[i], &t->elements))
            return decai__fail(DECAI_E_CORRUPT, "%s: shape: the product wraps", decai__json_key(node));
    }
    return 0;
}

static int32_t
take_offsets(const decai__json *doc, const decai__json_node *node, uint64_t room, uint64_t *begin, uint64_t *end)
{
    const decai__json_node *list, *a, *b;
    int32_t r = decai__json_get(doc, node, "data_offsets", DECAI__JSON_ARRAY, &list);
    if (r) return r;
    a = decai__json_first(list);
    b = decai__json_next(a);
    if (!a || !b || decai__json_next(b)) return decai__json_fail(doc, list, DECAI_E_CORRUPT, "not two offsets");
    r = decai__json_u64(doc, a, begin);
    if (!r) r = decai__json_u64(doc, b, end);
    if (!r && (*begin > *end || *end > room))
        r = decai__fail(DECAI_E_CORRUPT, "%s: data_offsets %llu, %llu; there are %llu bytes of data", decai__json_key(node),
            (unsigned long long)*begin, (unsigned long long)*end, (unsigned long long)room);
    return r;
}

static item *
new_item(reader *s)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256, bytes;
        item *grown = decai__mul_size(&bytes, cap, sizeof *grown)
            ? decai__realloc(s->hf.ctx, s->items, s->cap * sizeof *grown, bytes) : NULL;
        if (!grown) return NULL;
        s->items = grown;
        s->cap = cap;
    }
    memset(&s->items[s->count], 0, sizeof *s->items);
    return &s->items[s->count++];
}

/* A tensor that counts: named, sized, its type known. */
static int32_t
keep(reader *s, const decai__json *doc, const decai__json_node *node, item *it, uint64_t size)
{
    char name[DECAI_MODEL_NAME_MAX + 1];
    decai__tensor *t = &it->tensor;
    int32_t r = decai__hf_name(&s->hf, decai__json_key(node), name, &it->action);
    if (r || it->action == DECAI__HF_SKIP) return r;
    r = take_type(doc, node, t);
    if (!r) r = take_shape(doc, node, t);
    if (r) return r;
    t->name = decai__json_key(node);
    r = decai__tensor_size(t, s->l->model->files[it->file].len);
    if (!r && t->size != size)
        r = decai__fail(DECAI_E_CORRUPT, "%s: %llu bytes by its offsets, %zu by type and shape", t->name, (unsigned long long)size, t->size);
    it->name_at = s->names.len;
    t->name_len = (uint32_t)strlen(name);
    return r ? r : decai__buf_add(&s->names, name, t->name_len + 1);
}

static int
by_offset(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset)
                                  : (x->tensor.size > y->tensor.size) - (x->tensor.size < y->tensor.size);
}

/* The file's items cover its data exactly once; then those to skip go. */
static int32_t
check_cover(reader *s, size_t first, uint64_t data_start, uint64_t file_len)
{
    item *it = s->items + first;
    size_t n = s->count - first, kept = first;
    uint64_t at = data_start;
    decai__sort(it, n, sizeof *it, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (it[i].offset != at)
            return decai__fail(DECAI_E_CORRUPT, "data_offsets: %llu: %s", (unsigned long long)(it[i].offset - data_start),
                it[i].offset < at ? "tensors overlap" : "a gap before it");
        at += it[i].tensor.size;
    }
    if (at != file_len)
        return decai__fail(DECAI_E_CORRUPT, "data_offsets: %llu bytes behind the last tensor", (unsigned long long)(file_len - at));
    for (size_t i = 0; i < n; i++)
        if (it[i].action != DECAI__HF_SKIP) s->items[kept++] = it[i];
    s->count = kept;
    return 0;
}

/* With an index: the tensor must be listed, and as in this file. */
static int32_t
check_listed(const reader *s, const char *tensor, uint32_t file)
{
    size_t low = 0, high = s->listed_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(tensor, s->listed[mid].tensor);
        if (!order && !strcmp(s->listed[mid].file, s->file_name[file])) return 0;
        if (!order)
            return decai__fail(DECAI_E_CORRUPT, "weight_map: %s is listed in %.64s, not in %s", tensor, s->listed[mid].file, s->file_name[file]);
        if (order < 0) high = mid;
        else low = mid + 1;
    }
    if (!s->index) return 0;
    return decai__fail(DECAI_E_CORRUPT, "weight_map: %s of %s is not listed", tensor, s->file_name[file]);
}

/* Names stand in error texts: printable, and no longer than they need to be. */
static int32_t
check_tensor_name(const char *name)
{
    size_t len = strlen(name);
    if (!len || len > RAW_NAME_MAX) return decai__fail(DECAI_E_LIMIT, "header: a tensor's name has %zu bytes, at most %d", len, RAW_NAME_MAX);
    for (size_t i = 0; i < len; i++)
        if (name[i] < 0x21 || name[i] > 0x7e)
            return decai__fail(DECAI_E_CORRUPT, "header: a tensor's name has the byte 0x%02x", (unsigned)(uint8_t)name[i]);
    return 0;
}

static int32_t
take_member(reader *s, const decai__json *doc, const decai__json_node *node, uint32_t file, uint64_t data_start, uint64_t room)
{
    uint64_t begin, end;
    const char *name = decai__json_key(node);
    int32_t r = decai__json_expect(doc, node, DECAI__JSON_OBJECT);
    if (r || !strcmp(name, "__metadata__")) return r;
    s->found++;
    r = check_tensor_name(name);
    if (!r) r = decai__json_only(doc, node, "dtype shape data_offsets");
    if (!r) r = check_listed(s, name, file);
    if (!r) r = take_offsets(doc, node, room, &begin, &end);
    if (r) return r;
    if (s->count >= DECAI_MODEL_TENSOR_MAX)
        return decai__fail(DECAI_E_LIMIT, "header: more than DECAI_MODEL_TENSOR_MAX = %d tensors", DECAI_MODEL_TENSOR_MAX);
    item *it = new_item(s);
    if (!it) return decai__fail(DECAI_E_NOMEM, "model: no memory for %zu tensors", s->count);
    it->file = file;
    it->side_at = SIZE_MAX;
    r = keep(s, doc, node, it, end - begin);
    it->offset = data_start + begin;
    it->tensor.size = (size_t)(end - begin);
    return r;
}

static int32_t
take_header(reader *s, uint32_t file)
{
    const decai__file *f = &s->l->model->files[file];
    decai__json *doc = NULL;
    uint64_t n = 0;
    size_t first = s->count;
    int32_t r = header_front(f->data, f->have, f->len, &n);
    decai__assert(r <= 0);
    if (!r) r = decai__json_parse(s->hf.ctx, &doc, (const char *)f->data + 8, (size_t)n);
    if (!r) r = decai__json_expect(doc, decai__json_root(doc), DECAI__JSON_OBJECT);
    for (const decai__json_node *m = r ? NULL : decai__json_first(decai__json_root(doc)); m && !r; m = decai__json_next(m))
        r = take_member(s, doc, m, file, 8 + n, f->len - 8 - n);
    decai__json_free(doc);
    return r ? r : check_cover(s, first, 8 + n, f->len);
}

/* ---- the index ---------------------------------------------------------------------- */

/* Strings, or structs that begin with one. */
static int
by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Names of files beside the index, and nowhere else. */
static int32_t
check_file_name(const char *name)
{
    size_t len = strlen(name);
    bool bad = !len || len > INDEX_NAME_MAX || name[0] == '.' || strchr(name, '/');
    for (size_t i = 0; i < len && !bad; i++) bad = name[i] < 0x20 || name[i] > 0x7e;
    return bad ? decai__fail(DECAI_E_CORRUPT, "weight_map: \"%.64s\" is no name of a file beside the index", name) : 0;
}

static int32_t
read_index(reader *s, const char *path)
{
    decai__buf text;
    const decai__json_node *map = NULL;
    decai__buf_init(&text, s->hf.ctx, DECAI_MODEL_HEADER_MAX, "DECAI_MODEL_HEADER_MAX");
    int32_t r = decai__file_text(path, &text);
    if (!r) r = decai__json_parse(s->hf.ctx, &s->index, (const char *)text.data, text.len);
    decai__buf_free(&text);
    if (!r) r = decai__json_get(s->index, decai__json_root(s->index), "weight_map", DECAI__JSON_OBJECT, &map);
    if (r) return r;
    size_t count = decai__json_count(map), n = 0;
    if (!count) return decai__fail(DECAI_E_CORRUPT, "weight_map: empty");
    s->file_name = decai__calloc(s->hf.ctx, count, sizeof *s->file_name);
    s->listed = decai__calloc(s->hf.ctx, count, sizeof *s->listed);
    if (!s->file_name || !s->listed) return decai__fail(DECAI_E_NOMEM, "model: no memory for an index");
    for (const decai__json_node *m = decai__json_first(map); m && !r; m = decai__json_next(m), n++) {
        r = decai__json_str(s->index, m, &s->file_name[n], NULL);
        if (!r) r = check_file_name(s->file_name[n]);
        s->listed[n] = (struct listed){ decai__json_key(m), s->file_name[n] };
    }
    if (r) return r;
    s->listed_count = n;
    decai__sort(s->listed, n, sizeof *s->listed, by_text);
    decai__sort(s->file_name, n, sizeof *s->file_name, by_text);
    for (size_t i = 0; i < n; i++)
        if (!s->files || strcmp(s->file_name[i], s->file_name[s->files - 1])) s->file_name[s->files++] = s->file_name[i];
    if (s->files <= DECAI_MODEL_FILES_MAX) return 0;
    return decai__fail(DECAI_E_LIMIT, "weight_map: %zu files are above DECAI_MODEL_FILES_MAX = %d", s->files, DECAI_MODEL_FILES_MAX);
}

/* ---- files ------------------------------------------------------------------------------ */

static int32_t
take_file(reader *s, uint32_t no, const char *path, bool whole)
{
    char beside[DECAI_MODEL_PATH_MAX + INDEX_NAME_MAX + 2];
    decai__file *f = &s->l->model->files[no];
    size_t len = strlen(s->folder);
    if (s->index) {
        memcpy(beside, s->folder, len);
        memcpy(beside + len, s->file_name[no], strlen(s->file_name[no]) + 1);
        path = beside;
    }
    int32_t r = whole ? decai__file_whole(s->l, f, path) : decai__file_front(s->l, f, path, check_front, NULL);
    return r ? r : take_header(s, no);
}

static int32_t
take_files(reader *s, const char *path, bool whole)
{
    uint64_t total = 0;
    s->count = s->found = 0;
    s->names.len = 0;
    int32_t r = decai__files_reset(s->l->model, s->files);
    for (uint32_t i = 0; i < s->files && !r; i++) {
        r = take_file(s, i, path, whole);
        total += s->l->model->files[i].len;
    }
    s->l->total = total;
    return r;
}

/* ---- the tables ---------------------------------------------------------------------------- */

static int32_t
pad_side(decai__buf *side)
{
    static const uint8_t zero[8];
    return side->len % 8 ? decai__buf_add(side, zero, 8 - side->len % 8) : 0;
}

/* Rows for columns, element by element of 2 or 4 bytes. */
static int32_t
transpose(item *it, decai__buf *side, const uint8_t *data)
{
    decai__tensor *t = &it->tensor;
    uint64_t rows = t->dims[1], cols = t->dims[0];
    size_t width = t->row_size / cols;
    int32_t r = 0;
    for (uint64_t c = 0; c < cols; c++)
        for (uint64_t i = 0; i < rows && !r; i++) r = decai__buf_add(side, data + (i * cols + c) * width, width);
    t->dims[0] = rows;
    t->dims[1] = cols;
    t->row_size = rows * width;
    return r;
}

/* Does it stay in the file? If not: F32, or as it is at a better address. */
static int32_t
settle(reader *s, item *it)
{
    decai__tensor *t = &it->tensor;
    decai__buf *side = s->hf.side;
    const uint8_t *data = s->l->model->files[it->file].data + it->offset;
    bool vector = t->n_dims == 1, widen = vector && (t->type != DECAI_TENSOR_F32 || it->action == DECAI__HF_PLUS_ONE);
    bool turn = it->action == DECAI__HF_TRANSPOSE && t->n_dims == 2;
    t->data = data;
    if (!widen && !turn && (uintptr_t)data % 8 == 0) return 0;
    int32_t r = pad_side(side);
    it->side_at = side->len;
    if (turn) return r ? r : transpose(it, side, data);
    if (!widen) return r ? r : decai__buf_add(side, data, t->size);
    for (uint64_t i = 0; i < t->elements && !r; i++) {
        float v;
        decai__row_to_f32(t->type, data + i * t->row_size / t->dims[0], 1, &v);
        if (it->action == DECAI__HF_PLUS_ONE) v += 1;
        r = decai__buf_add(side, &v, 4);
    }
    t->type = DECAI_TENSOR_F32;
    t->size = t->row_size = (size_t)t->elements * 4;
    return r;
}

static int32_t
add_factors(reader *s)
{
    uint32_t n = s->hf.factor_count;
    if (!n) return 0;
    item *it = new_item(s);
    if (!it) return decai__fail(DECAI_E_NOMEM, "model: no memory for %zu tensors", s->count);
    int32_t r = pad_side(s->hf.side);
    it->side_at = s->hf.side->len;
    it->name_at = s->names.len;
    it->tensor = (decai__tensor){ .name_len = 17, .type = DECAI_TENSOR_F32, .n_dims = 1, .dims = { n, 1, 1, 1 },
        .elements = n, .size = (size_t)n * 4, .row_size = (size_t)n * 4 };
    if (!r) r = decai__buf_add(&s->names, "rope_freqs.weight", 18);
    return r ? r : decai__buf_add(s->hf.side, s->hf.factors, (size_t)n * 4);
}

static void
fill_metadata(const reader *s, decai__gguf *g, char *keys)
{
    for (size_t i = 0; i < s->hf.count; i++) {
        const decai__hf_entry *e = &s->hf.entry[i];
        decai__metadata *m = &g->metadata[i];
        const uint8_t *raw = s->hf.side->data + e->at;
        m->key_len = (uint32_t)strlen(e->key);
        memcpy(keys, e->key, m->key_len + 1);
        m->key = keys;
        keys += m->key_len + 1;
        m->type = e->type;
        m->raw = raw;
        m->raw_size = e->size;
        m->count = e->type == DECAI_METADATA_STRING ? decai__load_le64(raw) : 1;
        m->value = e->type == DECAI_METADATA_STRING ? raw + 8 : raw;
    }
    g->metadata_count = s->hf.count;
}

/* Everything is in its place: pointers for offsets. */
static int32_t
build_tables(reader *s)
{
    decai_model *m = s->l->model;
    size_t keys = 0;
    for (size_t i = 0; i < s->hf.count; i++) keys += strlen(s->hf.entry[i].key) + 1;
    m->parts = decai__calloc(s->hf.ctx, 1, sizeof *m->parts);
    if (!m->parts) return decai__fail(DECAI_E_NOMEM, "model: no memory for its tables");
    m->part_count = 1;
    decai__gguf *g = m->parts;
    g->tensors = decai__calloc(s->hf.ctx, s->count, sizeof *g->tensors);
    g->metadata = decai__calloc(s->hf.ctx, s->hf.count, sizeof *g->metadata);
    g->names = decai__alloc(s->hf.ctx, s->names.len + keys);
    if (!g->tensors || !g->metadata || !g->names)
        return decai__fail(DECAI_E_NOMEM, "model: no memory for %zu tensors", s->count);
    if (s->names.len) memcpy(g->names, s->names.data, s->names.len);
    for (size_t i = 0; i < s->count; i++) {
        g->tensors[i] = s->items[i].tensor;
        g->tensors[i].name = g->names + s->items[i].name_at;
        if (s->items[i].side_at != SIZE_MAX) g->tensors[i].data = s->hf.side->data + s->items[i].side_at;
    }
    g->tensor_count = s->count;
    fill_metadata(s, g, g->names + s->names.len);
    int32_t r = decai__tensors_sort(g->tensors, g->tensor_count);
    if (!r) r = decai__metadata_sort(g->metadata, g->metadata_count);
    m->gguf = *g;
    return r;
}

static int32_t
finish(reader *s)
{
    int32_t r = 0;
    /* Each tensor in the files was found in the index; are there as many? */
    if (s->index && s->found != s->listed_count)
        r = decai__fail(DECAI_E_CORRUPT, "weight_map: %zu tensors, the files have %zu", s->listed_count, s->found);
    for (size_t i = 0; i < s->count && !r; i++) r = settle(s, &s->items[i]);
    if (!r) r = add_factors(s);
    if (!r) r = build_tables(s);
    bool head = s->hf.family != DECAI__HF_BERT && s->hf.family != DECAI__HF_NOMIC_BERT && !s->hf.tied;
    if (!r && head && !decai__model_tensor_find(s->l->model, "output.weight"))
        r = decai__fail(DECAI_E_CORRUPT, "lm_head.weight: missing, and tie_word_embeddings is false");
    return r;
}

int32_t
decai__safetensors_load(decai__loader *l, const char *path, bool index)
{
    decai_context *ctx = l->model->h.context;
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    reader *s = decai__calloc(ctx, 1, sizeof *s);
    if (!s) return decai__fail(DECAI_E_NOMEM, "model: no memory to read %s", path);
    s->l = l;
    s->files = index ? 0 : 1;
    s->hf.ctx = ctx;
    s->hf.side = &l->model->side;
    memcpy(s->folder, path, folder);
    decai__buf_init(&s->names, ctx, (size_t)DECAI_MODEL_TENSOR_MAX * (DECAI_MODEL_NAME_MAX + 2), "model");
    int32_t r = decai__hf_read(&s->hf, s->folder);
    if (!r && index) r = read_index(s, path);
    /* Fronts first, as with a GGUF: a refusal costs headers. */
    if (!r && !l->map) r = take_files(s, path, false);
    if (!r) r = take_files(s, path, true);
    if (!r) r = finish(s);
    decai__json_free(s->index);
    decai__free(ctx, s->file_name);
    decai__free(ctx, s->listed);
    decai__free(ctx, s->items);
    decai__buf_free(&s->names);
    decai__free(ctx, s);
    return r;
}
