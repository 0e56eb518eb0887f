/* model.h - what other rooms may use of a model: checked tensors, typed
 * metadata, identity and proofs of it.
 *
 * Everything here was checked at load: a decai__tensor's data lies inside the
 * file's bytes, its size follows from type and dims, names are printable ASCII,
 * NUL-terminated and unique, a bool is 0 or 1, array elements are all there.
 * Pointers live as long as the model handle (retain it).
 */
#ifndef DECAI__MODEL_H
#define DECAI__MODEL_H

#include "base/base.h"
#include "decai/model.h"

/* ---- tensors ------------------------------------------------------------- */

typedef struct decai__tensor {
    const char *name;              /* NUL-terminated copy */
    uint32_t name_len;
    uint32_t type;                 /* DECAI_TENSOR_* */
    uint32_t n_dims;               /* 1..4, as in the file */
    uint32_t index;                /* place in name order = index in decai__model_tensor_at */
    uint64_t dims[DECAI_MODEL_DIMS_MAX]; /* unused ones are 1; dims[0] is the row */
    uint64_t elements;             /* product of dims */
    const uint8_t *data;           /* any alignment >= 8 */
    size_t size;                   /* bytes of data */
    size_t row_size;               /* bytes of one row of dims[0] elements */
} decai__tensor;

/* 0, or DECAI_E_STATE while a background load is under way. Exported functions
 * of other rooms that take a model call decai__enter_shared and then this. */
int32_t decai__model_ready(const decai_model *model);

size_t decai__model_tensor_count(const decai_model *model);
const decai__tensor *decai__model_tensor_at(const decai_model *model, size_t index);  /* by name order */
const decai__tensor *decai__model_tensor_find(const decai_model *model, const char *name); /* NULL: none */

/* The path the model was loaded from (of the first file, or of the index); NULL
 * when it came from memory. What lies beside it (tokenizer.json) may be read. */
const char *decai__model_path(const decai_model *model);

/* Of a mapped file only, otherwise nothing: give back the pages that lie wholly
 * inside the tensor (after it was repacked; its bytes stay readable, from the
 * file), or ask for all of its pages to be read ahead (before). */
void decai__tensor_drop(const decai_model *model, const decai__tensor *tensor);
void decai__tensor_prefetch(const decai_model *model, const decai__tensor *tensor);

/* Elements and bytes of one block; NULL name for a type that is not read. */
typedef struct decai__type_info { const char *name; uint32_t block; uint32_t bytes; } decai__type_info;
const decai__type_info *decai__tensor_type(uint32_t type);   /* NULL: unsupported */

/* One row as floats, bit for bit what the format's reference gives (quants.c;
 * f16 and bf16 widen exactly). out holds dims[0] floats; row < elements /
 * dims[0]. The reference for tests; kernels have their own. */
void decai__tensor_row(const decai__tensor *tensor, uint64_t row, float *out);
/* The same for bare bytes: count is a multiple of the type's block. */
void decai__row_to_f32(uint32_t type, const uint8_t *data, uint64_t count, float *out);
float decai__half_to_f32(uint16_t h);
uint16_t decai__f32_to_f16(float f);      /* nearest, ties to even */

/* ---- metadata ------------------------------------------------------------ */

typedef struct decai__metadata {
    const char *key;               /* NUL-terminated copy */
    uint32_t key_len;
    uint32_t type;                 /* DECAI_METADATA_* */
    uint32_t item_type;            /* arrays: type of the elements */
    uint64_t count;                /* arrays: elements; strings: bytes; else 1 */
    const uint8_t *value;          /* scalars: little-endian bytes; strings: the
                                      bytes; arrays: the first element */
    const uint8_t *raw;            /* the value as it stands in the file: what identity binds */
    size_t raw_size;
} decai__metadata;

size_t decai__model_metadata_count(const decai_model *model);
const decai__metadata *decai__model_metadata_at(const decai_model *model, size_t index);    /* by key order */
const decai__metadata *decai__model_metadata_find(const decai_model *model, const char *key); /* NULL: none */

/* Typed access. Any integer type is taken where the value fits the bounds;
 * f32 takes F32 and F64. DECAI_E_NOT_FOUND when absent, DECAI_E_CORRUPT on a
 * wrong type or a value out of bounds; the detail names key and value. */
int32_t decai__model_u64(const decai_model *model, const char *key, uint64_t min, uint64_t max, uint64_t *out);
int32_t decai__model_f32(const decai_model *model, const char *key, float min, float max, float *out);
int32_t decai__model_bool(const decai_model *model, const char *key, bool *out);
/* Not NUL-terminated; points into the model. */
int32_t decai__model_str(const decai_model *model, const char *key, const char **out, size_t *len);
/* An array whose elements are of item_type (DECAI_METADATA_*). */
int32_t decai__model_array(const decai_model *model, const char *key, uint32_t item_type, const decai__metadata **out);

/* Walk an array of strings: 1 an item, 0 the end. *pos starts at NULL. */
int32_t decai__metadata_next_str(const decai__metadata *array, const uint8_t **pos, const char **out, size_t *len);
/* Element i of an array of 32-bit numbers (I32 or U32), or of floats. */
uint32_t decai__metadata_u32(const decai__metadata *array, uint64_t index);
float decai__metadata_f32(const decai__metadata *array, uint64_t index);

/* ---- identity ------------------------------------------------------------ */

const uint8_t *decai__model_root(const decai_model *model);     /* 32 bytes; NULL: model.hash was 0 */
const uint8_t *decai__model_sha256(const decai_model *model);   /* 32 bytes; NULL: model.hash was 0 */
const uint8_t *decai__tensor_root(const decai_model *model, const decai__tensor *tensor); /* 32 bytes; NULL */

/* Proofs up to the model root. A path is the siblings from the leaf up: first
 * chunk_len of them inside the tensor's chunk tree (0 for metadata), then
 * entry_len of them inside the model's entry tree. */
#define DECAI__MODEL_PATH_MAX 64
typedef struct decai__model_proof {
    uint64_t entry_index;          /* of the tensor or key among all entries */
    uint64_t entry_count;          /* tensors + bound metadata keys */
    uint32_t chunk_len, entry_len;
    uint8_t data_root[32];         /* of the tensor; zeros for metadata */
    uint8_t path[DECAI__MODEL_PATH_MAX][32];
} decai__model_proof;

/* Chunk i of a tensor: bytes [i MiB, (i+1) MiB) of its data. */
uint64_t decai__tensor_chunk_count(const decai__tensor *tensor);
size_t decai__tensor_chunk(const decai__tensor *tensor, uint64_t chunk, const uint8_t **data);
int32_t decai__model_chunk_prove(
    const decai_model *model, const decai__tensor *tensor, uint64_t chunk, decai__model_proof *proof);
/* Needs no model. 0 | DECAI_E_INTEGRITY | DECAI_E_CORRUPT
 * (path length) | DECAI_E_INVALID (shape, sizes). */
int32_t decai__model_chunk_verify(const uint8_t root[32], const char *name, uint32_t type,
    uint32_t n_dims, const uint64_t *dims, uint64_t chunk, const uint8_t *data, size_t len,
    const decai__model_proof *proof);
/* The same for one metadata entry: raw value bytes as in the file. */
int32_t decai__model_metadata_prove(
    const decai_model *model, const decai__metadata *entry, decai__model_proof *proof);
int32_t decai__model_metadata_verify(const uint8_t root[32], const char *key, uint32_t type,
    const uint8_t *raw, size_t len, const decai__model_proof *proof);

/* ---- order ------------------------------------------------------------------ */

/* Heap sort: no allocation, O(n log n) on any input. Items of at most 160 bytes. */
void decai__sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));
/* Order of byte strings: by bytes, then the shorter first. */
int decai__compare_bytes(const void *a, size_t a_len, const void *b, size_t b_len);

/* ---- loading (exported through api.c) --------------------------------------- */

int32_t decai__model_load(decai_model **out, decai_context *ctx, const char *path, const decai_options *opts);
int32_t decai__model_open(decai_model **out, decai_context *ctx, const uint8_t *data, size_t len, const decai_options *opts);
int32_t decai__model_load_start(decai_task **task, decai_model **out, decai_context *ctx, const char *path, const decai_options *opts);
/* JSON and text, appended to a buffer. */
int32_t decai__model_format(const decai_model *model, decai__buf *out);
int32_t decai__metadata_format(const decai__metadata *entry, decai__buf *out);

#endif /* DECAI__MODEL_H */
