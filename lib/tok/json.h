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
    bool ruled;                      /* a normalizer was a rule of the family */
    bool marks;                      /* the one that makes U+2581 of spaces was */
} decai__json_reader;

/* json_parts.c: each fills rules of t, or refuses by name. */
int32_t decai__json_normalizer(decai__json_reader *j, const decai__json_node *n);      /* json_norm.c */
int32_t decai__json_step_add(decai__json_reader *j, const decai__json_node *n, const decai__norm_step *step);
int32_t decai__json_steps(decai__json_reader *j, const decai__json_node *n);
int32_t decai__json_post(decai__json_reader *j, const decai__json_node *n);
int32_t decai__json_float(decai__json_reader *j, const decai__json_node *n, float *out);

/* Small questions about a node. */
bool decai__json_type_is(decai__json_reader *j, const decai__json_node *n, const char *name);
bool decai__json_is_null(const decai__json_node *n);
/* A string, or the String of a pattern. */
bool decai__json_is_string(decai__json_reader *j, const decai__json_node *n, const char *key, const char *want);
bool decai__json_flag(decai__json_reader *j, const decai__json_node *n, const char *key, bool absent);
/* "what TYPE is not known", and what to do. */
int32_t decai__json_refuse(decai__json_reader *j, const decai__json_node *n, const char *what);

/* json.c: what tokenizer.decai.rules holds of a tokenizer.json that GGUF cannot say. */
int32_t decai__json_rules_read(decai_tokenizer *t, const char *text, size_t len);
int32_t decai__json_rules_put(const decai_tokenizer *t, decai__buf *out);
/* json_model.c: the member "model"; a token's text there and in added_tokens. */
int32_t decai__json_put_model(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text);
bool decai__json_is_added(const decai_tokenizer *t, uint32_t id);
int32_t decai__json_text_of(const decai_tokenizer *t, uint32_t id, decai__buf *out);
/* json_norm.c: the member "normalizer". */
int32_t decai__json_put_normalizer(const decai_tokenizer *t, decai__json_writer *w);

/* files.c: a token as GGUF writes it; appended. */
int32_t decai__token_text(const decai_tokenizer *t, uint32_t id, decai__buf *out);
/* The hash of a tokenizer that came from no GGUF: as if from the one it would be. */
int32_t decai__tok_hash_made(decai_tokenizer *t);

#endif /* DECAI__TOK_JSON_H */
