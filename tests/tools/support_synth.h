/* support_synth.h - writes synthetic models of every architecture and tensor type
 * that the engine runs: seeded, from a few kilobytes to gigabytes.
 *
 *     synth_spec s;
 *     synth_defaults(&s, "gemma2", 12, "tiny");     Q4_K, sizes of its own
 *     synth_memory(&s, &bytes, &len);               free(bytes)
 *     synth_file(&s, path);                         streamed: an 8B model too
 *
 * Weights are random blocks, written in the type's own encoding with scales that
 * keep each product's output near its input's size, so that activations look
 * like a model's: nothing saturates, every layer counts. What the bytes mean is
 * the type's business; the file is the truth, not some floats behind it. */
#ifndef DECAI_TESTS_SUPPORT_SYNTH_H
#define DECAI_TESTS_SUPPORT_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#define SYNTH_Q4_K_M 1012          /* as llama.cpp mixes it: Q4_K, and Q6_K where it matters */

typedef struct synth_spec {
    const char *flavour;           /* a name of synth_flavours */
    uint32_t type;                 /* of the matrices, or SYNTH_Q4_K_M */
    uint32_t layers, dim, heads, kv_heads, head_dim, ffn, vocab, context;
    uint32_t experts, used, expert_ffn, window;
    int tied;
    int small_vocab;               /* write the tests' byte vocabulary */
    uint64_t seed;
    const char *vocab_file;        /* copy the tokenizer of this GGUF; vocab follows it */
} synth_spec;

/* NULL-terminated. */
extern const char *const synth_flavours[];
extern const uint32_t synth_types[];           /* ends with UINT32_MAX */
const char *synth_type_name(uint32_t type);    /* "Q4_K"; NULL: none */
/* 0, or -1: no such flavour or size. Sizes: "micro", "tiny", "small",
 * "1b", "8b", "minilm". */
int synth_defaults(synth_spec *s, const char *flavour, uint32_t type, const char *size);
/* The GGUF architecture of a flavour. */
const char *synth_arch(const char *flavour);
void synth_memory(const synth_spec *s, uint8_t **out, size_t *len);
int synth_file(const synth_spec *s, const char *path);           /* 0, or -1 with errno */
size_t synth_row_size(uint32_t type, uint64_t cols);

#endif
