/* support_gguf.h - writes GGUF files for tests: field by field, or a whole
 * Llama-type model with seeded weights. Needs nothing of the library.
 *
 * Low level: begin, add metadata and tensors in any order, end. Nothing is
 * checked: hostile files are written with the same calls. High level:
 *
 *     support_llama m = SUPPORT_LLAMA_TINY;
 *     m.type = 8;                                   Q8_0 matrices
 *     uint8_t *bytes; size_t len;
 *     support_gguf_llama(&m, &bytes, &len);         free(bytes)
 */
#ifndef DECAI_TESTS_SUPPORT_GGUF_H
#define DECAI_TESTS_SUPPORT_GGUF_H

#include <stddef.h>
#include <stdint.h>

typedef struct gguf_bytes { uint8_t *data; size_t len, cap; } gguf_bytes;

typedef struct gguf_writer {
    uint32_t version;          /* 3 after begin */
    uint32_t alignment;        /* of tensor data; begin writes no key for it */
    uint64_t metadata_count, tensor_count;
    gguf_bytes metadata, infos, data;
} gguf_writer;

void gguf_begin(gguf_writer *w, uint32_t alignment);
void gguf_u32(gguf_writer *w, const char *key, uint32_t v);
void gguf_i32(gguf_writer *w, const char *key, int32_t v);
void gguf_u64(gguf_writer *w, const char *key, uint64_t v);
void gguf_f32(gguf_writer *w, const char *key, float v);
void gguf_bool(gguf_writer *w, const char *key, int v);
void gguf_str(gguf_writer *w, const char *key, const char *text);
void gguf_str_n(gguf_writer *w, const char *key, const void *text, size_t len);
void gguf_strs(gguf_writer *w, const char *key, const char *const *texts, size_t count);
void gguf_i32s(gguf_writer *w, const char *key, const int32_t *v, size_t count);
void gguf_f32s(gguf_writer *w, const char *key, const float *v, size_t count);
/* Any type number with any value bytes. */
void gguf_raw(gguf_writer *w, const char *key, uint32_t type, const void *value, size_t len);
/* Data is placed at the next aligned offset; returns that offset. */
uint64_t gguf_tensor(gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
    const uint64_t *dims, const void *data, size_t size);
/* The info alone, with any offset. */
void gguf_tensor_info(gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
    const uint64_t *dims, uint64_t offset);
/* The file's bytes, malloc'd; the writer is freed. */
void gguf_end(gguf_writer *w, uint8_t **out, size_t *len);

/* Bytes as they stand in the file, for gguf_raw. */
void gguf_put(gguf_bytes *b, const void *data, size_t len);
void gguf_put_u32(gguf_bytes *b, uint32_t v);
void gguf_put_u64(gguf_bytes *b, uint64_t v);
void gguf_put_str(gguf_bytes *b, const void *text, size_t len);

/* ---- a Llama-type model ---------------------------------------------------- */

typedef struct support_llama {
    uint32_t n_vocab, n_embd, n_layer, n_head, n_head_kv, n_ff, n_ctx;
    uint32_t type;             /* GGUF type of the matrices: 0 F32, 1 F16, 2 Q4_0, 8 Q8_0, 30 BF16 */
    int tied;                  /* 1: no output.weight */
    int vocab;                 /* 1: a small byte-level BPE; needs n_vocab >= SUPPORT_VOCAB_MIN */
    uint64_t seed;
    uint32_t alignment;        /* 0: 32, without a key */
    float rope_freq_base, rms_eps;   /* 0: 10000 and 1e-5 */
    /* May change any tensor's final bytes before they are written. */
    void (*tamper)(void *user, const char *tensor, uint8_t *data, size_t size);
    void *user;
} support_llama;

#define SUPPORT_VOCAB_MIN 320
#define SUPPORT_LLAMA_TINY { .n_vocab = SUPPORT_VOCAB_MIN, .n_embd = 64, .n_layer = 2, .n_head = 4, \
    .n_head_kv = 2, .n_ff = 128, .n_ctx = 128, .type = 8, .tied = 0, .vocab = 1, .seed = 1 }

void support_gguf_llama(const support_llama *m, uint8_t **out, size_t *len);
/* 0, or -1 with errno. */
int support_gguf_save(const char *path, const uint8_t *data, size_t len);
/* The metadata of the small vocabulary alone, ids 0..n_vocab-1: 256 bytes,
 * merged pieces, unused ones, then <|begin|>, <|end|>. */
void support_gguf_vocab(gguf_writer *w, uint32_t n_vocab);

uint16_t support_f16(float f);
/* Quantise rows of n floats (n a multiple of 32 for block types); out must hold
 * support_type_size(type, n). */
size_t support_type_size(uint32_t type, size_t n);
void support_quantise(uint32_t type, const float *x, size_t n, uint8_t *out);
uint64_t support_rand(uint64_t *state);

#endif
