/* internal.h - what the files of this room share: the handle, the parser. */
#ifndef DECAI__MODEL_INTERNAL_H
#define DECAI__MODEL_INTERNAL_H

#include "hash/hash.h"
#include "model/model.h"

#define DECAI__DOMAIN_TENSOR_DATA "decai.tensor.data.v1"   /* tree over a tensor's chunks */
#define DECAI__DOMAIN_TENSOR      "decai.tensor.v1"        /* type, dims and data root */
#define DECAI__DOMAIN_MODEL       "decai.model.v1"         /* tree over all entries */

/* This key says how the file is laid out, not what the model is. */
#define DECAI__KEY_ALIGNMENT "general.alignment"
#define DECAI__ALIGNMENT_DEFAULT 32

/* The parser looked at all bytes it was given and wants more of the file. */
#define DECAI__MORE 1

/* What the parser finds; owns its arrays, points into the bytes it was given. */
typedef struct decai__gguf {
    uint32_t version;
    uint32_t alignment;
    uint64_t data_start;             /* file offset of the first tensor byte */
    decai__tensor *tensors;          /* by name */
    size_t tensor_count;
    decai__metadata *metadata;       /* by key */
    size_t metadata_count;
    char *names;                     /* NUL-terminated copies of keys and names */
} decai__gguf;

typedef struct decai__identity {
    bool done;
    uint8_t root[32], sha256[32];
    uint8_t (*tensor_root)[32];      /* by tensor index */
    uint8_t (*data_root)[32];        /* by tensor index */
    uint8_t (*chunk)[32];            /* leaf hashes of all tensors' chunks, in name order */
    uint64_t *chunk_first;           /* tensor_count + 1 of them */
    decai__merkle_tree entries;
    bool has_entries;
} decai__identity;

struct decai_model {
    decai__handle h;
    atomic_int ready;                /* 0 until loaded; nothing changes after 1 */
    decai__gguf gguf;
    decai__identity identity;
    void *block;                     /* allocation, or the mapping */
    size_t map_len;                  /* 0: block is an allocation */
    const uint8_t *file;
    size_t file_len;
};

/* gguf.c: check `have` bytes of a file of file_len and fill in *g. 0, or
 * DECAI__MORE when have < file_len and the header goes on. With have < file_len
 * a success says that the header and the layout are good; data pointers are
 * valid only with have == file_len. *g needs decai__gguf_free in every case. */
int32_t decai__gguf_parse(decai_context *ctx, decai__gguf *g, const uint8_t *data, size_t have, uint64_t file_len);
void decai__gguf_free(decai_context *ctx, decai__gguf *g);

/* quants.c: whole blocks of a quantised type. */
void decai__quants_to_f32(uint32_t type, const uint8_t *data, uint64_t count, float *out);

/* identity.c */
int32_t decai__identity_compute(decai_model *model, decai_task *task);
void decai__identity_free(decai_context *ctx, decai__identity *id);
bool decai__metadata_bound(const decai__metadata *entry);   /* does the root bind it? */

/* file.c: the file's bytes in memory or mapped, after the header was checked. */
int32_t decai__model_read(decai_model *model, const char *path, bool map, decai_task *task);

#endif /* DECAI__MODEL_INTERNAL_H */
