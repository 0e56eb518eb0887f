/* json.h - tokenizer.json; between json.c, json_parts.c, files.c and vocab.c. */
#ifndef DECAI__TOK_JSON_H
#define DECAI__TOK_JSON_H

#include "codec/codec.h"
#include "tok/internal.h"

/* A pre-tokenizer of tokenizer.json as one line: its steps joined by newlines.
 * "S:" and a regular expression, "B0" "B1" ByteLevel without and with its own
 * pattern, "D0" "D1" Digits, "P" Punctuation, "M" Metaspace, "W" WhitespaceSplit,
 * "T" BertPreTokenizer. */
typedef struct decai__pattern { const char *steps; uint8_t pre; } decai__pattern;
extern const decai__pattern decai__patterns[];
extern const size_t decai__pattern_count;

typedef struct decai__json_reader {
    decai_tokenizer *t;
    decai__json *doc;
    const decai__json_node *root, *model;
    decai__buf steps;
} decai__json_reader;

/* json_parts.c: each fills rules of t, or refuses by name. */
int32_t decai__json_normalizer(decai__json_reader *j, const decai__json_node *n);
int32_t decai__json_steps(decai__json_reader *j, const decai__json_node *n);
int32_t decai__json_post(decai__json_reader *j, const decai__json_node *n);
int32_t decai__json_float(decai__json_reader *j, const decai__json_node *n, float *out);

/* files.c: a token as GGUF writes it; appended. */
int32_t decai__token_text(const decai_tokenizer *t, uint32_t id, decai__buf *out);
/* The hash of a tokenizer that came from no GGUF: as if from the one it would be. */
int32_t decai__tok_hash_made(decai_tokenizer *t);

#endif /* DECAI__TOK_JSON_H */
