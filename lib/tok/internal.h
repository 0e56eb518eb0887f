/* internal.h - what the files of this room share. */
#ifndef DECAI__TOK_INTERNAL_H
#define DECAI__TOK_INTERNAL_H

#include "model/model.h"
#include "tok/tok.h"

#define DECAI__DOMAIN_TOKENIZER "decai.tokenizer.v1"
#define DECAI__END_MAX 8             /* tokens that end a generation */
#define DECAI__SPECIAL_BYTES_MAX 256 /* bytes of a control or user-defined token */

/* ---- Unicode ------------------------------------------------------------- */

enum decai__class { DECAI__OTHER, DECAI__LETTER, DECAI__NUMBER, DECAI__SPACE };
enum decai__class decai__unicode_class(uint32_t c);
const char *decai__unicode_version(void);

/* ---- pre-tokenizers: where a text is cut before BPE ------------------------ */

enum decai__pre { DECAI__PRE_GPT2, DECAI__PRE_DIGITS };
/* The family of tokenizer.ggml.pre; false: not known. */
bool decai__pre_find(const char *name, size_t len, enum decai__pre *out);

typedef struct decai__scanner {
    enum decai__pre pre;
    const uint8_t *pos, *piece, *end;  /* piece: end of the stretch without numbers */
} decai__scanner;
void decai__scan_begin(decai__scanner *s, enum decai__pre pre, const uint8_t *text, size_t len);
/* The next pre-token: true and its bytes, or false at the end. */
bool decai__scan_next(decai__scanner *s, const uint8_t **out, size_t *len);

/* ---- the vocabulary -------------------------------------------------------- */

/* Sorted by bytes (prefix holds the first eight, so that most comparisons touch
 * nothing else), then pieces of text before other tokens, then by id. */
typedef struct decai__token_key {
    uint64_t prefix;
    const uint8_t *bytes;
    uint32_t len, id;
    bool other;
} decai__token_key;
/* Sorted by (left, right). */
typedef struct decai__merge { uint32_t left, right, rank, merged; } decai__merge;

struct decai_tokenizer {
    decai__handle h;
    uint8_t hash[32];
    uint32_t count;
    enum decai__pre pre;
    size_t text_max;
    bool add_bos, add_eos;
    uint8_t *kind;                   /* DECAI_TOKEN_*, by id */
    uint32_t *offset;                /* count + 1 of them, into bytes */
    uint8_t *bytes;
    decai__token_key *keys;          /* count of them */
    uint32_t *match;                 /* ids of control, unknown and user-defined tokens, by bytes */
    uint32_t match_first[257];       /* match[first[b] .. first[b + 1]) begin with byte b */
    decai__merge *merges;
    uint32_t merge_count;
    uint32_t *merge_first;           /* count + 1 of them, by left */
    int32_t byte_id[256];            /* -1: no token */
    int32_t special[DECAI__SPECIAL_COUNT];
    int32_t end[DECAI__END_MAX];
    uint32_t end_count;
};

static inline size_t
decai__token_len(const decai_tokenizer *t, uint32_t id)
{
    return t->offset[id + 1] - t->offset[id];
}

/* vocab.c: the first token in key order that has these bytes, or NULL. */
const decai__token_key *decai__token_find(const decai_tokenizer *t, const uint8_t *text, size_t len);

/* GPT-2's byte alphabet back to bytes: out holds len bytes. False, and nothing
 * promised about out, when the text has another letter in it. */
bool decai__alphabet_decode(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len);

/* merges.c: the table of merges, from metadata. */
int32_t decai__merges_load(decai_tokenizer *t, const decai_model *model);

/* ---- BPE ------------------------------------------------------------------- */

/* Room for the longest pre-token so far; freed by decai__bpe_free. */
typedef struct decai__bpe {
    decai_context *ctx;
    struct decai__symbol *symbols;
    uint32_t *heap;
    size_t cap;
} decai__bpe;
/* Append the ids of one pre-token to out. */
int32_t decai__bpe_encode(decai__bpe *b, const decai_tokenizer *t, const uint8_t *text, size_t len, decai__buf *out);
void decai__bpe_free(decai__bpe *b);

#endif /* DECAI__TOK_INTERNAL_H */
