/* hf.h - what config.json says, as the metadata of a GGUF; private to the room.
 *
 * A safetensors file knows nothing of architectures: it holds tensors by the
 * names of the program that was trained. config.json beside it has the rest.
 * These two files turn both into what a GGUF of the same model would say, so
 * that no other room has to know a second vocabulary. */
#ifndef DECAI__MODEL_HF_H
#define DECAI__MODEL_HF_H

#include "codec/codec.h"
#include "model/internal.h"

enum { DECAI__HF_LLAMA, DECAI__HF_QWEN2, DECAI__HF_QWEN3, DECAI__HF_GEMMA, DECAI__HF_GEMMA2, DECAI__HF_GEMMA3,
    DECAI__HF_PHI3, DECAI__HF_GPT2, DECAI__HF_BERT, DECAI__HF_NOMIC_BERT };

#define DECAI__HF_ENTRIES_MAX 48
#define DECAI__HF_HEAD_MAX    1024      /* elements of a head */

/* A metadata entry before its place in memory is final. */
typedef struct decai__hf_entry {
    char key[72];
    uint32_t type;
    size_t at, size;                 /* raw value in side */
} decai__hf_entry;

typedef struct decai__hf {
    decai_context *ctx;
    decai__buf *side;                /* the values */
    int32_t family;                  /* DECAI__HF_* */
    const char *arch;
    bool tied;                       /* the output matrix may be missing */
    decai__hf_entry entry[DECAI__HF_ENTRIES_MAX];
    size_t count;
    float factors[DECAI__HF_HEAD_MAX / 2];   /* rope_freqs, factor_count of them */
    uint32_t factor_count;
    int32_t error;                   /* sticky */
} decai__hf;

/* hf_config.c: read config.json (and 1_Pooling/config.json) in `folder`. */
int32_t decai__hf_read(decai__hf *hf, const char *folder);
/* A JSON number as a double, at most an ulp away, whatever the locale. */
double decai__hf_number(const char *text);

enum { DECAI__HF_KEEP, DECAI__HF_SKIP, DECAI__HF_PLUS_ONE, DECAI__HF_TRANSPOSE };

/* hf_names.c: the GGUF name of a tensor and what is done with it. 0, or
 * DECAI_E_UNSUPPORTED naming one that is no part of the architecture. */
int32_t decai__hf_name(const decai__hf *hf, const char *name, char out[DECAI_MODEL_NAME_MAX + 1], int32_t *action);

#endif /* DECAI__MODEL_HF_H */
