/* identity.c - one content root for a model, and proofs of its parts.
 *
 *     data root    native tree "decai.tensor.data.v1" over the data's 1 MiB chunks
 *     tensor root  Keccak-256(domain "decai.tensor.v1", type, n_dims, dims..., data root)
 *     entry        tensor:   1, name, type, n_dims, dims..., tensor root
 *                  metadata: 2, key, type, value as it stands in the file
 *     model root   native tree "decai.model.v1" over the entries: all tensors by
 *                  name bytes, then all metadata by key bytes
 *
 * Numbers are u64 big-endian, names, keys and values u64 length and bytes,
 * roots 32 bytes. What a value means does not depend on how its bytes are read:
 * GGUF has one encoding for each. general.alignment and split.* are left out:
 * they describe the files' layout, and equal content must have equal roots. So
 * are version, padding, order and offsets: a split file has the root of the
 * merged one.
 *
 * Chunks are hashed eight at a time on all threads, those of different tensors
 * together; SHA-256 of the files runs beside them. Leaf hashes are kept (32
 * bytes a MiB): proofs are then look-ups. */
#include <string.h>

#include "model/internal.h"

bool
decai__metadata_bound(const decai__metadata *e)
{
    static const char *const layout[] = { DECAI__KEY_ALIGNMENT, DECAI__KEY_SPLIT_NO, DECAI__KEY_SPLIT_COUNT,
        DECAI__KEY_SPLIT_TENSORS };
    for (size_t i = 0; i < DECAI__COUNT(layout); i++)
        if (!strcmp(e->key, layout[i])) return false;
    return true;
}

uint64_t
decai__tensor_chunk_count(const decai__tensor *t)
{
    return (t->size + DECAI_MODEL_CHUNK - 1) / DECAI_MODEL_CHUNK;
}

size_t
decai__tensor_chunk(const decai__tensor *t, uint64_t chunk, const uint8_t **data)
{
    size_t start = (size_t)chunk * DECAI_MODEL_CHUNK;
    decai__assert(chunk < decai__tensor_chunk_count(t));
    *data = t->data + start;
    return DECAI__MIN(t->size - start, DECAI_MODEL_CHUNK);
}

/* ---- preimages ----------------------------------------------------------- */

static void
hash_shape(decai__keccak *k, uint32_t type, uint32_t n_dims, const uint64_t *dims)
{
    decai__hash_u64(k, type);
    decai__hash_u64(k, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) decai__hash_u64(k, dims[i]);
}

static void
tensor_root(uint8_t out[32], uint32_t type, uint32_t n_dims, const uint64_t *dims, const uint8_t data_root[32])
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_TENSOR);
    hash_shape(&k, type, n_dims, dims);
    decai__keccak_update(&k, data_root, 32);
    decai__keccak_final(&k, out);
}

/* The front of a native leaf, H(0x00, domain, index, u64 length ...): entries
 * are hashed piece by piece instead of being copied together. */
static void
leaf_begin(decai__keccak *k, uint64_t index, uint64_t len)
{
    decai__keccak_init(k);
    decai__keccak_update(k, "", 1);
    decai__hash_domain(k, DECAI__DOMAIN_MODEL);
    decai__hash_u64(k, index);
    decai__hash_u64(k, len);
}

static void
tensor_leaf(uint8_t out[32], uint64_t index, const char *name, uint32_t type, uint32_t n_dims,
    const uint64_t *dims, const uint8_t root[32])
{
    decai__keccak k;
    size_t name_len = strlen(name);
    leaf_begin(&k, index, 8 + 8 + name_len + 8 + 8 + 8 * (uint64_t)n_dims + 32);
    decai__hash_u64(&k, 1);
    decai__hash_data(&k, name, name_len);
    hash_shape(&k, type, n_dims, dims);
    decai__keccak_update(&k, root, 32);
    decai__keccak_final(&k, out);
}

static void
metadata_leaf(uint8_t out[32], uint64_t index, const char *key, uint32_t type, const uint8_t *raw, size_t len)
{
    decai__keccak k;
    size_t key_len = strlen(key);
    leaf_begin(&k, index, 8 + 8 + key_len + 8 + 8 + (uint64_t)len);
    decai__hash_u64(&k, 2);
    decai__hash_data(&k, key, key_len);
    decai__hash_u64(&k, type);
    decai__hash_data(&k, raw, len);
    decai__keccak_final(&k, out);
}

/* ---- chunks, in parallel --------------------------------------------------- */

/* Jobs: first each file's SHA-256, the long ones; then eight whole chunks each,
 * counted through all tensors; then eight last chunks, shorter than a MiB, each.
 * Only messages of one length can be hashed side by side, so the last chunks
 * are sorted by theirs: layers repeat shapes. */
#define GROUP 8

typedef struct tail { size_t len; uint32_t tensor; } tail;

typedef struct hash_work {
    decai_model *model;
    decai_task *task;
    size_t files;                    /* whose SHA-256 is wanted */
    uint64_t *whole_first;           /* tensor_count + 1: whole chunks before each tensor */
    tail *tails;
    size_t tail_count;
    _Atomic uint64_t done;
    uint64_t total;
    atomic_int sha_result;
} hash_work;

static void
advance(hash_work *w, uint64_t bytes)
{
    uint64_t done = atomic_fetch_add(&w->done, bytes) + bytes;
    decai__task_report(w->task, "hash", done, w->total);
}

static void
hash_file(hash_work *w, decai__file *f)
{
    decai__sha256_state s;
    int32_t r = decai__sha256_init(w->model->h.context, &s);
    for (size_t pos = 0, n; pos < f->have && !r; pos += n) {
        n = DECAI__MIN(f->have - pos, (size_t)(4u << 20));
        if (decai__task_stopped(w->task)) break;
        r = decai__sha256_update(&s, f->data + pos, n);
        advance(w, n);
    }
    if (!r) r = decai__sha256_final(&s, f->sha256);
    if (r) atomic_store(&w->sha_result, r);
}

/* The tensor that holds whole chunk `at` of all. */
static size_t
tensor_of(const hash_work *w, uint64_t at)
{
    size_t low = 0, high = w->model->gguf.tensor_count;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (w->whole_first[mid] <= at) low = mid;
        else high = mid;
    }
    return low;
}

static void
hash_whole(hash_work *w, uint64_t first)
{
    decai_model *m = w->model;
    uint64_t n = DECAI__MIN(w->whole_first[m->gguf.tensor_count] - first, GROUP), index[GROUP] = { 0 };
    const void *data[GROUP] = { NULL };
    uint8_t leaf[GROUP][32], *to[GROUP];
    size_t t = tensor_of(w, first);
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *p;
        while (first + i >= w->whole_first[t + 1]) t++;
        index[i] = first + i - w->whole_first[t];
        (void)decai__tensor_chunk(&m->gguf.tensors[t], index[i], &p);
        data[i] = p;
        to[i] = m->identity.chunk[m->identity.chunk_first[t] + index[i]];
    }
    decai__merkle_leaf_each(leaf, DECAI__DOMAIN_TENSOR_DATA, index, data, DECAI_MODEL_CHUNK, (size_t)n);
    for (uint64_t i = 0; i < n; i++) memcpy(to[i], leaf[i], 32);
    advance(w, n * DECAI_MODEL_CHUNK);
}

static void
hash_tails(hash_work *w, size_t first)
{
    decai_model *m = w->model;
    size_t end = DECAI__MIN(first + GROUP, w->tail_count), n;
    for (; first < end; first += n) {
        const tail *t = &w->tails[first];
        uint64_t index[GROUP];
        const void *data[GROUP];
        uint8_t leaf[GROUP][32];
        for (n = 0; first + n < end && t[n].len == t->len; n++) {
            const uint8_t *p;
            const decai__tensor *of = &m->gguf.tensors[t[n].tensor];
            index[n] = decai__tensor_chunk_count(of) - 1;
            (void)decai__tensor_chunk(of, index[n], &p);
            data[n] = p;
        }
        decai__merkle_leaf_each(leaf, DECAI__DOMAIN_TENSOR_DATA, index, data, t->len, n);
        for (size_t i = 0; i < n; i++) memcpy(m->identity.chunk[m->identity.chunk_first[t[i].tensor] + index[i]], leaf[i], 32);
        advance(w, n * t->len);
    }
}

static size_t
whole_jobs(const hash_work *w)
{
    return (size_t)((w->whole_first[w->model->gguf.tensor_count] + GROUP - 1) / GROUP);
}

static void
hash_job(void *user, size_t job)
{
    hash_work *w = user;
    size_t files = w->files, whole = whole_jobs(w);
    if (decai__task_stopped(w->task)) return;
    if (job < files) hash_file(w, &w->model->files[job]);
    else if (job < files + whole) hash_whole(w, (uint64_t)(job - files) * GROUP);
    else hash_tails(w, (job - files - whole) * GROUP);
}

static int
by_length(const void *a, const void *b)
{
    const tail *x = a, *y = b;
    return x->len != y->len ? (x->len > y->len) - (x->len < y->len) : (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

/* Who hashes what; memory for all of it. */
static int32_t
hash_plan(hash_work *w)
{
    decai_model *m = w->model;
    decai_context *ctx = m->h.context;
    size_t n = m->gguf.tensor_count;
    w->whole_first = decai__calloc(ctx, n + 1, sizeof *w->whole_first);
    w->tails = decai__calloc(ctx, n, sizeof *w->tails);
    m->identity.chunk_first = decai__calloc(ctx, n + 1, sizeof *m->identity.chunk_first);
    if (!w->whole_first || !w->tails || !m->identity.chunk_first) return DECAI_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const decai__tensor *t = &m->gguf.tensors[i];
        size_t rest = t->size % DECAI_MODEL_CHUNK;
        m->identity.chunk_first[i + 1] = m->identity.chunk_first[i] + decai__tensor_chunk_count(t);
        w->whole_first[i + 1] = w->whole_first[i] + t->size / DECAI_MODEL_CHUNK;
        if (rest) w->tails[w->tail_count++] = (tail){ rest, (uint32_t)i };
        w->total += t->size;
    }
    for (size_t i = 0; i < w->files; i++) w->total += m->files[i].have;
    decai__sort(w->tails, w->tail_count, sizeof *w->tails, by_length);
    m->identity.chunk = decai__calloc(ctx, (size_t)m->identity.chunk_first[n], 32);
    return m->identity.chunk ? 0 : DECAI_E_NOMEM;
}

/* One file's SHA-256 is the file's; of several it is that of their digests. */
static int32_t
file_digest(decai_model *m)
{
    decai__sha256_state s;
    if (m->file_count == 1) {
        memcpy(m->identity.sha256, m->files[0].sha256, 32);
        return 0;
    }
    int32_t r = decai__sha256_init(m->h.context, &s);
    for (size_t i = 0; !r && i < m->file_count; i++) r = decai__sha256_update(&s, m->files[i].sha256, 32);
    return r ? r : decai__sha256_final(&s, m->identity.sha256);
}

static int32_t
hash_chunks(decai_model *m, bool sha256, decai_task *task)
{
    hash_work w = { .model = m, .task = task, .files = sha256 ? m->file_count : 0 };
    int32_t r = hash_plan(&w);
    if (!r) {
        size_t jobs = w.files + whole_jobs(&w) + (w.tail_count + GROUP - 1) / GROUP;
        decai__parallel(m->h.context, jobs, hash_job, &w);
        r = decai__task_stopped(task) ? decai__fail(DECAI_E_CANCELLED, "model: cancelled") : atomic_load(&w.sha_result);
        if (!r && sha256) r = file_digest(m);
    } else {
        decai__fail(r, "model: no memory for its leaf hashes");
    }
    decai__free(m->h.context, w.whole_first);
    decai__free(m->h.context, w.tails);
    return r;
}

/* ---- roots ----------------------------------------------------------------- */

static int32_t
tensor_roots(decai_model *m)
{
    decai__identity *id = &m->identity;
    size_t n = m->gguf.tensor_count;
    id->tensor_root = decai__calloc(m->h.context, n, 32);
    id->data_root = decai__calloc(m->h.context, n, 32);
    if (!id->tensor_root || !id->data_root) return decai__fail(DECAI_E_NOMEM, "model: no memory for tensor roots");
    for (size_t i = 0; i < n; i++) {
        const decai__tensor *t = &m->gguf.tensors[i];
        decai__merkle_builder b;
        int32_t r = decai__merkle_builder_init(&b, DECAI__DOMAIN_TENSOR_DATA);
        for (uint64_t c = id->chunk_first[i]; !r && c < id->chunk_first[i + 1]; c++)
            r = decai__merkle_builder_add_leaf_hash(&b, id->chunk[c]);
        if (r) return r;
        decai__merkle_builder_root(&b, id->data_root[i]);
        tensor_root(id->tensor_root[i], t->type, t->n_dims, t->dims, id->data_root[i]);
    }
    return 0;
}

static int32_t
entry_tree(decai_model *m)
{
    decai__identity *id = &m->identity;
    uint8_t leaf[32];
    int32_t r = decai__merkle_tree_init(&id->entries, m->h.context, DECAI__DOMAIN_MODEL);
    if (r) return r;
    id->has_entries = true;
    for (size_t i = 0; !r && i < m->gguf.tensor_count; i++) {
        const decai__tensor *t = &m->gguf.tensors[i];
        tensor_leaf(leaf, id->entries.count, t->name, t->type, t->n_dims, t->dims, id->tensor_root[i]);
        r = decai__merkle_tree_add_leaf_hash(&id->entries, leaf);
    }
    for (size_t i = 0; !r && i < m->gguf.metadata_count; i++) {
        const decai__metadata *e = &m->gguf.metadata[i];
        if (!decai__metadata_bound(e)) continue;
        metadata_leaf(leaf, id->entries.count, e->key, e->type, e->raw, e->raw_size);
        r = decai__merkle_tree_add_leaf_hash(&id->entries, leaf);
    }
    if (!r) decai__merkle_tree_root(&id->entries, id->root);
    return r;
}

int32_t
decai__identity_compute(decai_model *m, bool sha256, decai_task *task)
{
    int32_t r = hash_chunks(m, sha256, task);
    if (!r) r = tensor_roots(m);
    if (!r) r = entry_tree(m);
    m->identity.done = !r;
    m->identity.has_sha256 = !r && sha256;
    return r;
}

void
decai__identity_free(decai_context *ctx, decai__identity *id)
{
    if (id->has_entries) decai__merkle_tree_free(&id->entries);
    decai__free(ctx, id->tensor_root);
    decai__free(ctx, id->data_root);
    decai__free(ctx, id->chunk);
    decai__free(ctx, id->chunk_first);
}

const uint8_t *
decai__model_root(const decai_model *m)
{
    return m->identity.done ? m->identity.root : NULL;
}

const uint8_t *
decai__model_sha256(const decai_model *m)
{
    return m->identity.has_sha256 ? m->identity.sha256 : NULL;
}

const uint8_t *
decai__tensor_root(const decai_model *m, const decai__tensor *t)
{
    return m->identity.done ? m->identity.tensor_root[t->index] : NULL;
}

/* ---- proofs ------------------------------------------------------------------ */

static int32_t
prove_entry(const decai_model *m, uint64_t index, decai__model_proof *p)
{
    size_t n = 0;
    if (!m->identity.done) return decai__fail(DECAI_E_STATE, "model.hash: 0, there is no root to prove to");
    p->entry_index = index;
    p->entry_count = m->identity.entries.count;
    if (p->chunk_len + DECAI__MERKLE_LEVELS > DECAI__MODEL_PATH_MAX)
        return decai__fail(DECAI_E_LIMIT, "path: %u levels of chunks", p->chunk_len);
    int32_t r = decai__merkle_tree_prove(&m->identity.entries, p->path + p->chunk_len, &n, index, p->entry_count);
    p->entry_len = (uint32_t)n;
    return r;
}

int32_t
decai__model_chunk_prove(const decai_model *m, const decai__tensor *t, uint64_t chunk, decai__model_proof *p)
{
    const decai__identity *id = &m->identity;
    decai__merkle_tree tree;
    uint64_t count = decai__tensor_chunk_count(t);
    size_t n = 0;
    memset(p, 0, sizeof *p);
    if (!id->done) return decai__fail(DECAI_E_STATE, "model.hash: 0, there is no root to prove to");
    if (chunk >= count)
        return decai__fail(DECAI_E_INVALID, "chunk: %llu of %llu", (unsigned long long)chunk, (unsigned long long)count);
    int32_t r = decai__merkle_tree_init(&tree, m->h.context, DECAI__DOMAIN_TENSOR_DATA);
    if (r) return r;
    r = decai__merkle_tree_add_leaf_hashes(&tree, id->chunk[id->chunk_first[t->index]], (size_t)count);
    if (!r) r = decai__merkle_tree_prove(&tree, p->path, &n, chunk, count);
    decai__merkle_tree_free(&tree);
    if (r) return r;
    p->chunk_len = (uint32_t)n;
    memcpy(p->data_root, id->data_root[t->index], 32);
    return prove_entry(m, t->index, p);
}

int32_t
decai__model_metadata_prove(const decai_model *m, const decai__metadata *e, decai__model_proof *p)
{
    uint64_t index = m->gguf.tensor_count;
    memset(p, 0, sizeof *p);
    if (!decai__metadata_bound(e)) return decai__fail(DECAI_E_INVALID, "%s: not part of the identity", e->key);
    for (const decai__metadata *i = m->gguf.metadata; i < e; i++) index += decai__metadata_bound(i);
    return prove_entry(m, index, p);
}

static int32_t
verify_entry(const uint8_t root[32], const uint8_t leaf[32], const decai__model_proof *p)
{
    return decai__merkle_verify(root, DECAI__DOMAIN_MODEL, p->entry_index, p->entry_count, leaf,
        p->path[p->chunk_len], (size_t)p->entry_len * 32);
}

static int32_t
check_path(const decai__model_proof *p)
{
    if (p->chunk_len <= DECAI__MODEL_PATH_MAX && p->entry_len < DECAI__MODEL_PATH_MAX - p->chunk_len) return 0;
    return decai__fail(DECAI_E_INVALID, "path: %u and %u siblings", p->chunk_len, p->entry_len);
}

/* Bytes of data that type and dims declare; the one size the chunk must fit. */
static int32_t
shape_size(uint32_t type, uint32_t n_dims, const uint64_t *dims, uint64_t *size)
{
    const decai__type_info *info = decai__tensor_type(type);
    uint64_t elements = 1;
    bool bad = !info || !n_dims || n_dims > DECAI_MODEL_DIMS_MAX;
    for (uint32_t i = 0; !bad && i < n_dims; i++)
        bad = !dims[i] || __builtin_mul_overflow(elements, dims[i], &elements);
    if (bad || dims[0] % info->block || __builtin_mul_overflow(elements / info->block, info->bytes, size))
        return decai__fail(DECAI_E_INVALID, "shape: type %u with %u dims", type, n_dims);
    return 0;
}

int32_t
decai__model_chunk_verify(const uint8_t root[32], const char *name, uint32_t type, uint32_t n_dims,
    const uint64_t *dims, uint64_t chunk, const uint8_t *data, size_t len, const decai__model_proof *p)
{
    uint64_t size = 0;
    uint8_t leaf[32], entry[32];
    int32_t r = check_path(p);
    if (!r) r = shape_size(type, n_dims, dims, &size);
    if (r) return r;
    uint64_t count = size / DECAI_MODEL_CHUNK + (size % DECAI_MODEL_CHUNK != 0);
    if (chunk >= count || len != DECAI__MIN(size - chunk * DECAI_MODEL_CHUNK, DECAI_MODEL_CHUNK))
        return decai__fail(DECAI_E_INVALID, "chunk: %llu of %llu with %zu bytes", (unsigned long long)chunk,
            (unsigned long long)count, len);
    decai__merkle_leaf(leaf, DECAI__DOMAIN_TENSOR_DATA, chunk, data, len);
    r = decai__merkle_verify(p->data_root, DECAI__DOMAIN_TENSOR_DATA, chunk, count, leaf, p->path[0],
        (size_t)p->chunk_len * 32);
    if (r) return r;
    tensor_root(leaf, type, n_dims, dims, p->data_root);
    tensor_leaf(entry, p->entry_index, name, type, n_dims, dims, leaf);
    return verify_entry(root, entry, p);
}

int32_t
decai__model_metadata_verify(const uint8_t root[32], const char *key, uint32_t type, const uint8_t *raw,
    size_t len, const decai__model_proof *p)
{
    uint8_t leaf[32];
    int32_t r = check_path(p);
    if (r) return r;
    if (p->chunk_len) return decai__fail(DECAI_E_INVALID, "path: %u chunk levels in a metadata proof", p->chunk_len);
    metadata_leaf(leaf, p->entry_index, key, type, raw, len);
    return verify_entry(root, leaf, p);
}
