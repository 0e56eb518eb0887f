/* internal.h - what the files of this room share: the handle, the parsers. */
#ifndef DECAI__MODEL_INTERNAL_H
#define DECAI__MODEL_INTERNAL_H

#include "hash/hash.h"
#include "model/model.h"

#define DECAI__DOMAIN_TENSOR_DATA "decai.tensor.data.v1"   /* tree over a tensor's chunks */
#define DECAI__DOMAIN_TENSOR      "decai.tensor.v1"        /* type, dims and data root */
#define DECAI__DOMAIN_MODEL       "decai.model.v1"         /* tree over all entries */

/* These keys say how the files are laid out, not what the model is. */
#define DECAI__KEY_ALIGNMENT     "general.alignment"
#define DECAI__KEY_SPLIT_NO      "split.no"
#define DECAI__KEY_SPLIT_COUNT   "split.count"
#define DECAI__KEY_SPLIT_TENSORS "split.tensors.count"
#define DECAI__ALIGNMENT_DEFAULT 32

/* A parser looked at all bytes it was given and wants more of the file. */
#define DECAI__MORE 1

/* What a parser finds; owns its arrays, points into the bytes it was given. */
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

/* One file of the model: read, mapped, or a copy of the caller's bytes. */
typedef struct decai__file {
    char *path;                      /* NULL: it came from memory */
    void *block;                     /* allocation, or the mapping */
    size_t map_len;                  /* 0: block is an allocation */
    const uint8_t *data;
    size_t have;                     /* bytes at data: len, or less for a front */
    uint64_t len;                    /* of the file */
    uint8_t sha256[32];
} decai__file;

typedef struct decai__identity {
    bool done, has_sha256;
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
    const char *format;              /* "gguf" or "safetensors" */
    decai__gguf gguf;                /* the tables in force; they belong to parts and merged */
    decai__gguf *parts;              /* one a file; safetensors: one */
    size_t part_count;
    decai__tensor *merged;           /* the tensors of several files */
    decai__buf side;                 /* safetensors: values and small tensors made at load */
    decai__file *files;
    size_t file_count;
    decai__identity identity;
};

/* How a file is to be loaded, handed down. */
typedef struct decai__loader {
    decai_model *model;
    decai_task *task;                /* may be NULL */
    bool map;
    uint64_t done, total;            /* bytes, for the progress report */
} decai__loader;

/* gguf.c: check `have` bytes of a file of file_len and fill in *g. 0, or
 * DECAI__MORE when have < file_len and the header goes on. With have < file_len
 * a success says that the header and the layout are good; data pointers are
 * valid only with have == file_len. *g needs decai__gguf_free in every case. */
int32_t decai__gguf_parse(decai_context *ctx, decai__gguf *g, const uint8_t *data, size_t have, uint64_t file_len);
void decai__gguf_free(decai_context *ctx, decai__gguf *g);
const decai__metadata *decai__gguf_find(const decai__gguf *g, const char *key);     /* NULL: none */
/* Sort by name and number the tensors; DECAI_E_CORRUPT names one that is twice. */
int32_t decai__tensors_sort(decai__tensor *tensors, size_t count);
/* The same for metadata by key. */
int32_t decai__metadata_sort(decai__metadata *metadata, size_t count);
/* t->size, row_size from type and dims; field errors name t->name. */
int32_t decai__tensor_size(decai__tensor *t, uint64_t file_len);
/* An integer entry within bounds, or an error naming key and value. */
int32_t decai__metadata_integer(const decai__metadata *e, uint64_t min, uint64_t max, uint64_t *out);

/* split.c: one GGUF or all the files of a split one, from first file `path`. */
int32_t decai__gguf_load(decai__loader *l, const char *path);
/* A GGUF in memory: m->files[0] is there. */
int32_t decai__gguf_adopt(decai_model *model);

/* The tables go; files stay. */
void decai__model_tables_free(decai_model *model);

/* safetensors.c: one file or, by its index, several; config.json beside them. */
int32_t decai__safetensors_load(decai__loader *l, const char *path, bool index);

/* quants.c: whole blocks of a quantised type. */
void decai__quants_to_f32(uint32_t type, const uint8_t *data, uint64_t count, float *out);

/* identity.c */
int32_t decai__identity_compute(decai_model *model, bool sha256, decai_task *task);
void decai__identity_free(decai_context *ctx, decai__identity *id);
bool decai__metadata_bound(const decai__metadata *entry);   /* does the root bind it? */

/* ---- file.c: bytes of files ------------------------------------------------- */

enum { DECAI__KIND_GGUF, DECAI__KIND_SAFETENSORS, DECAI__KIND_INDEX };

/* What the first bytes of a file say it is; *len is its size. */
int32_t decai__file_kind(const char *path, int32_t *kind, uint64_t *len);
/* Room for `count` files; those that are there are closed. */
int32_t decai__files_reset(decai_model *model, size_t count);
/* Is a front of the file enough? 0, DECAI__MORE, or the refusal. */
typedef int32_t decai__front_fn(void *user, const uint8_t *data, size_t have, uint64_t file_len);
/* Read no more of the file than `check` asks for; the front stays in *f. */
int32_t decai__file_front(decai__loader *l, decai__file *f, const char *path, decai__front_fn *check, void *user);
/* All of it, mapped or read. */
int32_t decai__file_whole(decai__loader *l, decai__file *f, const char *path);
void decai__file_close(decai_context *ctx, decai__file *f);
/* A small text file as a whole, appended to out, whose maximum is the limit. */
int32_t decai__file_text(const char *path, decai__buf *out);

/* By content: the tables of model->gguf and the bytes they point into. */
int32_t decai__model_read(decai__loader *l, const char *path);

#endif /* DECAI__MODEL_INTERNAL_H */
