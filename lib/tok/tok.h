/* tok.h - what other rooms may use of a tokenizer.
 *
 * Ids are int32_t, 0 .. count-1. Every function here takes checked arguments
 * (a live tokenizer); the exported twins in api.c check at the door.
 */
#ifndef DECAI__TOK_H
#define DECAI__TOK_H

#include "base/base.h"
#include "decai/tok.h"

enum decai__special {
    DECAI__BOS, DECAI__EOS, DECAI__EOT, DECAI__UNKNOWN, DECAI__SEPARATOR, DECAI__PADDING,
    DECAI__CLS, DECAI__MASK,
    DECAI__SPECIAL_COUNT
};

int32_t decai__tok_create(decai_tokenizer **out, const decai_model *model, const decai_options *opts);
int32_t decai__tok_open(decai_tokenizer **out, decai_context *ctx, const uint8_t *json, size_t len, const decai_options *opts);
/* The tokenizer as a file, appended. */
int32_t decai__tok_put_gguf(const decai_tokenizer *tok, decai__buf *out);
int32_t decai__tok_put_json(const decai_tokenizer *tok, decai__buf *out);
const uint8_t *decai__tok_hash(const decai_tokenizer *tok);            /* 32 bytes */
uint32_t decai__tok_count(const decai_tokenizer *tok);
/* The token's bytes (a control token's text); NULL beyond the vocabulary. */
const uint8_t *decai__tok_bytes(const decai_tokenizer *tok, int32_t token, size_t *len);
int32_t decai__tok_kind(const decai_tokenizer *tok, int32_t token);   /* DECAI_TOKEN_* */
int32_t decai__tok_id(const decai_tokenizer *tok, const uint8_t *text, size_t len);  /* -1: none */
int32_t decai__tok_special(const decai_tokenizer *tok, enum decai__special role);    /* -1: none */
/* Does generation stop at this token? eos, eot and their kin. */
bool decai__tok_is_end(const decai_tokenizer *tok, int32_t token);

/* Does it stand for text (normal, user-defined, byte)? Others decode to nothing. */
bool decai__tok_is_text(const decai_tokenizer *tok, int32_t token);

/* Does encoding put a space before a text, which decoding takes away? */
bool decai__tok_leads(const decai_tokenizer *tok);

/* Ids are appended to out as int32_t (out->len / 4 of them). */
int32_t decai__tok_encode(const decai_tokenizer *tok, decai__buf *out, const uint8_t *text, size_t len, int32_t flags);
int32_t decai__tok_decode(const decai_tokenizer *tok, decai__buf *out, const int32_t *tokens, size_t len, int32_t flags);

int32_t decai__token_stream_create(decai_token_stream **out, const decai_tokenizer *tok, int32_t flags);
/* As decai_token_stream_stop_add, _stop_get and _add; one thread at a time. */
int32_t decai__token_stream_stop_add(decai_token_stream *stream, const uint8_t *text, size_t len);
int32_t decai__token_stream_stop(const decai_token_stream *stream, int32_t *index);
int32_t decai__token_stream_add(decai_token_stream *stream, uint8_t *out, size_t cap, size_t *len, int32_t token);

/* ---- grammars and matchers: as their exported twins --------------------------------- */

int32_t decai__grammar_create(decai_grammar **out, const decai_tokenizer *tokenizer, const char *kind, const char *text,
    size_t len, const decai_options *opts);
/* 32 bytes: H(domain, kind, text). The same of a kind and text that were not read yet. */
const uint8_t *decai__grammar_digest(const decai_grammar *g);
void decai__grammar_digest_of(uint8_t out[32], const char *kind, const char *text, size_t len);
const char *decai__grammar_kind(const decai_grammar *g);
const char *decai__grammar_text(const decai_grammar *g, size_t *len);
bool decai__grammar_is_end(const decai_grammar *g, int32_t token);      /* of its vocabulary: ends a generation */
const uint8_t *decai__grammar_tok_hash(const decai_grammar *g);        /* of its tokenizer, 32 bytes */

int32_t decai__matcher_create(decai_matcher **out, const decai_grammar *g);
/* As many of the tokens as may come; *taken says how many. */
int32_t decai__matcher_add(decai_matcher *m, uint64_t *taken, const int32_t *tokens, size_t count);
int32_t decai__matcher_remove(decai_matcher *m, uint64_t count);
void decai__matcher_start(decai_matcher *m);
uint32_t decai__matcher_tokens(const decai_matcher *m);           /* of its vocabulary */
/* (tokens of the vocabulary + 63) / 64 words. */
int32_t decai__matcher_mask(decai_matcher *m, uint64_t *bits);
bool decai__matcher_complete(const decai_matcher *m);
/* The last token ended the text. */
bool decai__matcher_over(const decai_matcher *m);
/* 0, or what went wrong while looking. */
int32_t decai__matcher_forced(decai_matcher *m, decai__buf *out);

#endif /* DECAI__TOK_H */
