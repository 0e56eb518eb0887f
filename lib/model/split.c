/* split.c - a GGUF in one file or in many.
 *
 *     NAME-00001-of-00003.gguf     all metadata, some of the tensors
 *     NAME-00002-of-00003.gguf     split.* and more tensors
 *     NAME-00003-of-00003.gguf
 *
 *     split.no             of this file, from 0
 *     split.count          files; 0 or 1, or no such key: only this one
 *     split.tensors.count  tensors in all files together
 *
 * Source: llama.cpp's gguf-split and gguf-py's writer; file names as there.
 *
 * The first file is what one loads; the names of the others follow from its
 * own. Every file is a whole GGUF and is checked like one. Beyond that: each
 * says its own number, the same counts as the first, metadata that the first
 * does not contradict; no tensor is in two; all together are as many as said.
 *
 * Files that are read are checked twice: first only their fronts, so that a
 * refusal costs headers, then as a whole, for they may have changed. */
#include <string.h>

#include "model/internal.h"

#define SUFFIX_LEN 20                /* "-00001-of-00003.gguf" */

static int32_t
inconsistent(const char *key, size_t file, uint64_t value, uint64_t wanted)
{
    return decai__fail(DECAI_E_CORRUPT, "%s: %llu in file %zu, %llu is needed", key, (unsigned long long)value,
        file + 1, (unsigned long long)wanted);
}

/* An integer of one file's metadata, 0 when it is not there. */
static int32_t
split_value(const decai__gguf *g, const char *key, uint64_t max, bool *there, uint64_t *out)
{
    const decai__metadata *e = decai__gguf_find(g, key);
    *there = e != NULL;
    *out = 0;
    return e ? decai__metadata_integer(e, 0, max, out) : 0;
}

/* One of several must have it, and it must be this. */
static int32_t
expect(const decai__gguf *g, const char *key, size_t file, uint64_t wanted)
{
    bool there;
    uint64_t value;
    int32_t r = split_value(g, key, UINT64_MAX, &there, &value);
    if (r) return r;
    if (!there) return decai__fail(DECAI_E_CORRUPT, "%s: missing in file %zu", key, file + 1);
    return value == wanted ? 0 : inconsistent(key, file, value, wanted);
}

/* How many files there are, by the first one's word. */
static int32_t
file_count(const decai__gguf *g, size_t *count)
{
    bool there;
    uint64_t n, no;
    int32_t r = split_value(g, DECAI__KEY_SPLIT_COUNT, UINT64_MAX, &there, &n);
    if (r) return r;
    if (n > DECAI_MODEL_FILES_MAX)
        return decai__fail(DECAI_E_LIMIT, DECAI__KEY_SPLIT_COUNT ": %llu is above DECAI_MODEL_FILES_MAX = %d",
            (unsigned long long)n, DECAI_MODEL_FILES_MAX);
    *count = n > 1 ? (size_t)n : 1;
    r = split_value(g, DECAI__KEY_SPLIT_NO, UINT64_MAX, &there, &no);
    if (!r && no)
        return decai__fail(DECAI_E_CORRUPT, DECAI__KEY_SPLIT_NO ": %llu; load the first file, whose name ends in -00001-of-%05zu.gguf",
            (unsigned long long)no, *count);
    return r;
}

/* ---- names --------------------------------------------------------------------- */

static void
put_digits(char *out, size_t v)
{
    for (int i = 4; i >= 0; i--, v /= 10) out[i] = (char)('0' + v % 10);
}

static void
put_suffix(char *out, size_t no, size_t count)
{
    memcpy(out, "-00000-of-00000.gguf", SUFFIX_LEN + 1);
    put_digits(out + 1, no + 1);
    put_digits(out + 10, count);
}

/* The first file's name must be what its metadata says it is. */
static int32_t
check_name(const char *path, size_t count)
{
    char suffix[SUFFIX_LEN + 1];
    size_t len = strlen(path);
    put_suffix(suffix, 0, count);
    if (len > SUFFIX_LEN && !strcmp(path + len - SUFFIX_LEN, suffix)) return 0;
    return decai__fail(DECAI_E_CORRUPT, DECAI__KEY_SPLIT_COUNT ": %zu files, but the name does not end in %s", count, suffix);
}

/* ---- the files ------------------------------------------------------------------- */

/* What a front is checked with: a table that is thrown away each time. */
static int32_t
check_front(void *user, const uint8_t *data, size_t have, uint64_t file_len)
{
    decai__gguf g;
    int32_t r = decai__gguf_parse(user, &g, data, have, file_len);
    decai__gguf_free(user, &g);
    return r;
}

static int32_t
take_file(decai__loader *l, size_t no, const char *path, bool whole)
{
    decai_model *m = l->model;
    decai__file *f = &m->files[no];
    int32_t r = whole ? decai__file_whole(l, f, path) : decai__file_front(l, f, path, check_front, m->h.context);
    if (!r) r = decai__gguf_parse(m->h.context, &m->parts[no], f->data, f->have, f->len);
    decai__assert(r <= 0);
    return r;
}

void
decai__model_tables_free(decai_model *m)
{
    for (size_t i = 0; i < m->part_count; i++) decai__gguf_free(m->h.context, &m->parts[i]);
    decai__free(m->h.context, m->parts);
    decai__free(m->h.context, m->merged);
    m->parts = NULL;
    m->merged = NULL;
    m->part_count = 0;
    memset(&m->gguf, 0, sizeof m->gguf);
}

static int32_t
parts_reset(decai_model *m, size_t count)
{
    decai__model_tables_free(m);
    m->parts = decai__calloc(m->h.context, count, sizeof *m->parts);
    if (!m->parts) return decai__fail(DECAI_E_NOMEM, "model: no memory for %zu files", count);
    m->part_count = count;
    return decai__files_reset(m, count);
}

/* The first file again, with room for the others. */
static int32_t
make_room(decai_model *m, size_t count)
{
    decai__gguf first = m->parts[0], *parts = decai__calloc(m->h.context, count, sizeof *parts);
    decai__file *files = decai__calloc(m->h.context, count, sizeof *files);
    if (!parts || !files) {
        decai__free(m->h.context, parts);
        decai__free(m->h.context, files);
        return decai__fail(DECAI_E_NOMEM, "model: no memory for %zu files", count);
    }
    parts[0] = first;
    files[0] = m->files[0];
    decai__free(m->h.context, m->parts);
    decai__free(m->h.context, m->files);
    m->parts = parts;
    m->files = files;
    m->part_count = m->file_count = count;
    return 0;
}

/* ---- together ----------------------------------------------------------------------- */

static bool
equal_values(const decai__metadata *a, const decai__metadata *b)
{
    return a && a->type == b->type && a->raw_size == b->raw_size && !memcmp(a->raw, b->raw, a->raw_size);
}

/* Nothing in a later file's metadata may go against the first. */
static int32_t
check_part(const decai_model *m, size_t no, uint64_t total)
{
    const decai__gguf *g = &m->parts[no];
    int32_t r = expect(g, DECAI__KEY_SPLIT_NO, no, no);
    if (!r) r = expect(g, DECAI__KEY_SPLIT_COUNT, no, m->part_count);
    if (!r) r = expect(g, DECAI__KEY_SPLIT_TENSORS, no, total);
    for (size_t i = 0; !r && i < g->metadata_count; i++) {
        const decai__metadata *e = &g->metadata[i];
        if (decai__metadata_bound(e) && !equal_values(decai__gguf_find(&m->parts[0], e->key), e))
            r = decai__fail(DECAI_E_CORRUPT, "%s: file %zu has it, and the first has not or says otherwise", e->key, no + 1);
    }
    return r;
}

static int32_t
merge(decai_model *m)
{
    bool there;
    uint64_t total, sum = 0;
    m->gguf = m->parts[0];
    int32_t r = split_value(&m->gguf, DECAI__KEY_SPLIT_TENSORS, UINT64_MAX, &there, &total);
    if (r) return r;
    for (size_t i = 0; i < m->part_count; i++) sum += m->parts[i].tensor_count;
    if (there && total != sum)
        return decai__fail(DECAI_E_CORRUPT, DECAI__KEY_SPLIT_TENSORS ": %llu, the %zu files have %llu", (unsigned long long)total,
            m->part_count, (unsigned long long)sum);
    if (m->part_count == 1) return 0;
    for (size_t i = 0; !r && i < m->part_count; i++) r = check_part(m, i, total);
    if (r) return r;
    if (sum > DECAI_MODEL_TENSOR_MAX)
        return decai__fail(DECAI_E_LIMIT, DECAI__KEY_SPLIT_TENSORS ": %llu is above %d", (unsigned long long)sum, DECAI_MODEL_TENSOR_MAX);
    m->merged = decai__calloc(m->h.context, (size_t)sum, sizeof *m->merged);
    if (!m->merged) return decai__fail(DECAI_E_NOMEM, "model: no memory for %llu tensors", (unsigned long long)sum);
    size_t at = 0;
    for (size_t i = 0; i < m->part_count; at += m->parts[i++].tensor_count)
        if (m->parts[i].tensor_count)
            memcpy(m->merged + at, m->parts[i].tensors, m->parts[i].tensor_count * sizeof *m->merged);
    m->gguf.tensors = m->merged;
    m->gguf.tensor_count = at;
    return decai__tensors_sort(m->merged, at);
}

/* All files, as fronts or whole. */
static int32_t
load_as(decai__loader *l, const char *path, bool whole)
{
    decai_model *m = l->model;
    char *name = NULL;
    size_t count = 1, len = strlen(path);
    int32_t r = parts_reset(m, 1);
    if (!r) r = take_file(l, 0, path, whole);
    if (!r) r = file_count(&m->parts[0], &count);
    if (!r && count > 1) {
        r = check_name(path, count);
        if (!r) r = make_room(m, count);
        if (!r && !(name = decai__alloc(m->h.context, len + 1))) r = decai__fail(DECAI_E_NOMEM, "model: no memory for a name");
    }
    if (!r && name) memcpy(name, path, len + 1);
    for (size_t i = 1; !r && i < count; i++) {
        put_suffix(name + len - SUFFIX_LEN, i, count);
        r = take_file(l, i, name, whole);
    }
    decai__free(m->h.context, name);
    return r ? r : merge(m);
}

int32_t
decai__gguf_load(decai__loader *l, const char *path)
{
    int32_t r = l->map ? 0 : load_as(l, path, false);
    if (r) return r;
    if (!l->map) {
        l->total = 0;
        for (size_t i = 0; i < l->model->file_count; i++) l->total += l->model->files[i].len;
    }
    return load_as(l, path, true);
}

int32_t
decai__gguf_adopt(decai_model *m)
{
    size_t count = 1;
    decai__model_tables_free(m);
    m->parts = decai__calloc(m->h.context, 1, sizeof *m->parts);
    if (!m->parts) return decai__fail(DECAI_E_NOMEM, "model: no memory for its tables");
    m->part_count = 1;
    int32_t r = decai__gguf_parse(m->h.context, &m->parts[0], m->files[0].data, m->files[0].have, m->files[0].len);
    if (!r) r = file_count(&m->parts[0], &count);
    if (!r && count > 1)
        return decai__fail(DECAI_E_UNSUPPORTED, DECAI__KEY_SPLIT_COUNT ": %zu; a model in memory is one file", count);
    return r ? r : merge(m);
}
