/* decai/model.h - model files: read, checked, named by one content root.
 *
 * A model file is hostile until proven otherwise: every count, size, type,
 * name and offset in it is checked before it is used, and a refusal names
 * the field and the value (decai_error_detail). What was accepted never changes
 * again: a model handle is immutable and shareable between threads.
 */
#ifndef DECAI_MODEL_H
#define DECAI_MODEL_H

#include "decai/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ------------------------------------------------------------ */

#define DECAI_MODEL_KEY_MAX      255      /**< bytes of a metadata key */
#define DECAI_MODEL_NAME_MAX     64       /**< bytes of a tensor name */
#define DECAI_MODEL_METADATA_MAX 65536    /**< metadata entries of a file */
#define DECAI_MODEL_TENSOR_MAX   65536    /**< tensors of a file */
#define DECAI_MODEL_DIMS_MAX     4        /**< dimensions of a tensor */
#define DECAI_MODEL_DEPTH_MAX    4        /**< arrays inside arrays in one metadata value */
#define DECAI_MODEL_STRING_MAX   67108864 /**< bytes of one metadata string */
#define DECAI_MODEL_ARRAY_MAX    16777216 /**< elements of one metadata array, nested ones included */
#define DECAI_MODEL_ALIGN_MIN    8        /**< smallest general.alignment */
#define DECAI_MODEL_ALIGN_MAX    1048576  /**< largest general.alignment */
#define DECAI_MODEL_CHUNK        1048576  /**< bytes of a tensor's data in one Merkle leaf */
#define DECAI_MODEL_PATH_MAX     4095     /**< bytes of a file's path */
#define DECAI_MODEL_FILES_MAX    1024     /**< files of one model */
#define DECAI_MODEL_HEADER_MAX   8388608  /**< bytes of a safetensors header or index */

/* ---- tensor types: GGUF's numbers; only these are read ------------------- */

#define DECAI_TENSOR_F32    0  /**< 32-bit float */
#define DECAI_TENSOR_F16    1  /**< 16-bit float */
#define DECAI_TENSOR_Q4_0   2  /**< blocks of 32: f16 scale, 4-bit quants */
#define DECAI_TENSOR_Q4_1   3  /**< blocks of 32: f16 scale and minimum, 4-bit quants */
#define DECAI_TENSOR_Q5_0   6  /**< blocks of 32: f16 scale, 5-bit quants */
#define DECAI_TENSOR_Q5_1   7  /**< blocks of 32: f16 scale and minimum, 5-bit quants */
#define DECAI_TENSOR_Q8_0   8  /**< blocks of 32: f16 scale, 8-bit quants */
#define DECAI_TENSOR_Q2_K   10 /**< blocks of 256: 4-bit scales and minima a 16, 2-bit quants */
#define DECAI_TENSOR_Q3_K   11 /**< blocks of 256: 6-bit scales a 16, 3-bit quants */
#define DECAI_TENSOR_Q4_K   12 /**< blocks of 256: 6-bit scales and minima a 32, 4-bit quants */
#define DECAI_TENSOR_Q5_K   13 /**< blocks of 256: 6-bit scales and minima a 32, 5-bit quants */
#define DECAI_TENSOR_Q6_K   14 /**< blocks of 256: 8-bit scales a 16, 6-bit quants */
#define DECAI_TENSOR_IQ4_NL 20 /**< blocks of 32: f16 scale, 4-bit indices of a table */
#define DECAI_TENSOR_IQ4_XS 23 /**< blocks of 256: 6-bit scales a 32, 4-bit indices of a table */
#define DECAI_TENSOR_BF16   30 /**< bfloat16 */
#define DECAI_TENSOR_MXFP4  39 /**< blocks of 32: 8-bit exponent, 4-bit floats (OCP Microscaling) */

/* ---- metadata value types: GGUF's numbers --------------------------------- */

#define DECAI_METADATA_U8     0  /**< uint8_t */
#define DECAI_METADATA_I8     1  /**< int8_t */
#define DECAI_METADATA_U16    2  /**< uint16_t */
#define DECAI_METADATA_I16    3  /**< int16_t */
#define DECAI_METADATA_U32    4  /**< uint32_t */
#define DECAI_METADATA_I32    5  /**< int32_t */
#define DECAI_METADATA_F32    6  /**< float */
#define DECAI_METADATA_BOOL   7  /**< one byte, 0 or 1 */
#define DECAI_METADATA_STRING 8  /**< bytes with a length */
#define DECAI_METADATA_ARRAY  9  /**< elements of one type */
#define DECAI_METADATA_U64    10 /**< uint64_t */
#define DECAI_METADATA_I64    11 /**< int64_t */
#define DECAI_METADATA_F64    12 /**< double */

/* ---- types ------------------------------------------------------------- */

/** A model file that passed every check. Immutable, shareable. */
typedef struct decai_model decai_model;

/* ---- loading ----------------------------------------------------------- */

/** Read a model, check it, and compute its identity. By content, the file is
 *
 *  - a GGUF; of a split one (NAME-00001-of-0000N.gguf) the first loads all;
 *  - a safetensors file with config.json beside it, or the index of several
 *    (model.safetensors.index.json): F32, F16 and BF16 weights of the model
 *    types llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3_text, phi3, gpt2,
 *    bert and nomic_bert. Names and metadata are those of a GGUF, and so is the root.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_IO | DECAI_E_NOMEM
 *           | DECAI_E_CORRUPT (not what it claims to be) | DECAI_E_LIMIT (a
 *           DECAI_MODEL_*_MAX was passed) | DECAI_E_UNSUPPORTED (version,
 *           tensor type, model type, or a feature that config.json asks for)
 *  Out:  out      @owned
 *  In:   context
 *        path     of a regular file
 *        options  keys of room "model"                            @nullable
 *
 *  A file that is refused costs at most its header's bytes, read once or
 *  twice, and a few MiB. With model.map = 1 the file is mapped: whoever
 *  truncates it meanwhile raises SIGBUS in this process, so map only what
 *  nobody else can write.
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_load(
    decai_model **out, decai_context *context, const char *path, const decai_options *options);

/** Load in the background: phases "read", "hash".
 *
 *  The model handle exists at once, but every call on it gives DECAI_E_STATE
 *  until the task has ended with 0; after a failed or cancelled task it stays
 *  that way and only waits to be destroyed.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM; the task's result is that of
 *           decai_model_load, or DECAI_E_CANCELLED
 *  Out:  task     @owned
 *        out      @owned
 *  In:   context
 *        path     copied
 *        options  keys of room "model"                            @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_load_start(decai_task **task, decai_model **out,
    decai_context *context, const char *path, const decai_options *options);

/** The same as decai_model_load for a GGUF that is in memory; it is copied.
 *
 *  Returns: as decai_model_load
 *  Out:  out      @owned
 *  In:   context
 *        data     the file's bytes                                @len(data_len)
 *        data_len
 *        options  keys of room "model"; model.map has no effect    @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_open(decai_model **out, decai_context *context,
    const uint8_t *data, size_t data_len, const decai_options *options);

/* ---- identity ---------------------------------------------------------- */

/** The model root: one Keccak-256 Merkle root over every tensor (name, type,
 *  dimensions, data) and all metadata. Alignment, padding, the order in the file
 *  and the split into files (split.*) do not count, so a rewritten file with
 *  equal content has an equal root.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE (model.hash was 0, or not loaded)
 *  Out:  out      32 bytes                                         @len(out_len)
 *  In:   out_len  32
 *        model
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_root_get(const decai_model *model, uint8_t *out, size_t out_len);

/** The SHA-256 of the whole file, an alias for other people's registries. Of
 *  several files it is the SHA-256 of their digests in order, 32 bytes each;
 *  decai_model_format shows each one's own.
 *
 *  Returns: as decai_model_root_get; DECAI_E_STATE too when model.sha256 was 0
 *  Out:  out      32 bytes                                         @len(out_len)
 *  In:   out_len  32
 *        model
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_sha256_get(const decai_model *model, uint8_t *out, size_t out_len);

/** The digest of one tensor: type, dimensions and data, not the name.
 *
 *  Returns: as decai_model_root_get | DECAI_E_NOT_FOUND
 *  Out:  out      32 bytes                                         @len(out_len)
 *  In:   out_len  32
 *        model
 *        name     of the tensor
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_tensor_root_get(
    const decai_model *model, uint8_t *out, size_t out_len, const char *name);

/* ---- content ----------------------------------------------------------- */

/** How many tensors there are.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE
 *  Out:  count
 *  In:   model
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_tensor_count(const decai_model *model, uint64_t *count);

/** One tensor, sorted by name bytes: the order in which the root binds them.
 *
 *  Returns: 1 a tensor | 0 index is past the end | DECAI_E_INVALID | DECAI_E_STATE
 *  Out:  name      text that lives as long as the model
 *        type      DECAI_TENSOR_*
 *        dims      dims[0] is the contiguous one; unused ones are 1   @len(dims_len)
 *        size      bytes of data
 *  In:   dims_len  DECAI_MODEL_DIMS_MAX
 *        model
 *        index     0, 1, 2, ...
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_tensor_at(const decai_model *model, const char **name,
    int32_t *type, uint64_t *dims, size_t dims_len, uint64_t *size, size_t index);

/** The bytes of one tensor where they lie: rows of dims[0] elements in the
 *  tensor's type, little-endian, as the file (or its conversion to a GGUF's
 *  arrangement) has them. They live as long as the model and are not to be written.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_NOT_FOUND
 *  In:   model
 *  Out:  data   at least 8-aligned                                  @lent(len)
 *        len    bytes
 *  In:   name   of the tensor
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_tensor_get(
    const decai_model *model, const uint8_t **data, size_t *len, const char *name);

/** One metadata entry, sorted by key bytes.
 *
 *  Returns: 1 an entry | 0 index is past the end | DECAI_E_INVALID | DECAI_E_STATE
 *  Out:  key    text that lives as long as the model
 *        type   DECAI_METADATA_*
 *  In:   model
 *        index  0, 1, 2, ...
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_metadata_at(
    const decai_model *model, const char **key, int32_t *type, size_t index);

/** The value of one metadata entry as text: a string as its bytes, a number in
 *  decimal, a bool as "true" or "false", an array as JSON.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_NOT_FOUND
 *           | DECAI_E_SPACE | DECAI_E_NOMEM
 *  Out:  out    not NUL-terminated                          @len(cap) @nullable
 *        len    bytes written or needed
 *  In:   model
 *        key
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_metadata_get(
    const decai_model *model, uint8_t *out, size_t cap, size_t *len, const char *key);

/** The whole description as one JSON object: format, sizes, identity, metadata
 *  (long arrays as {"array", "count", "head"}) and tensors with their digests.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_SPACE | DECAI_E_NOMEM
 *  Out:  out    UTF-8, not NUL-terminated                   @len(cap) @nullable
 *        len    bytes written or needed
 *  In:   model
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_model_format(
    const decai_model *model, uint8_t *out, size_t cap, size_t *len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_MODEL_H */
