/* internal.h - what the files of codec share with each other and nobody else. */
#ifndef DECAI__CODEC_INTERNAL_H
#define DECAI__CODEC_INTERNAL_H

#include "codec/codec.h"

/* ---- UTF-8 ---- */

/* Length of the first character, 1..4, or 0 if it is not valid UTF-8. */
size_t decai__utf8_next(const char *text, size_t len);

/* ---- hex ---- */

/* All digits? The error has the position. */
int32_t decai__hex_check(const char *text, size_t text_len, const char *field);
/* len bytes from 2*len checked digits. */
void decai__hex_read(uint8_t *out, const char *text, size_t len);

/* ---- JSON ---- */

/* A JSON string with its quotes; DECAI_E_INVALID if text is not UTF-8. */
int32_t decai__json_escape(decai__buf *out, const char *text, size_t len);

/* The limits of a JSON text at large; the walk and the check within others. */
extern const decai__json_limits decai__json_limits_default;
int32_t decai__json_walk_within(decai_context *ctx, const char *text, size_t len, const decai__json_limits *limits,
    decai__json_sink sink, void *user);
int32_t decai__json_check_within(decai_context *ctx, const char *text, size_t len, const decai__json_limits *limits);

/* Of a STRING or NUMBER; of a BOOL. */
const char *decai__json_value_text(const decai__json_node *node);
bool decai__json_value_bool(const decai__json_node *node);

/* The public handle's inside (json_nodes.c). A value was checked before it is looked at. */
int32_t decai__json_nodes_open(decai_json **out, decai_context *ctx, const char *text, size_t len);
int32_t decai__json_nodes_check(const decai_json *json, int32_t value);
void decai__json_nodes_type(const decai_json *json, int32_t value, int32_t *type, uint64_t *count);
int32_t decai__json_nodes_child(const decai_json *json, int32_t value, size_t index);                        /* or -1 */
int32_t decai__json_nodes_find(const decai_json *json, int32_t value, const char *key, size_t key_len);      /* or -1 */
/* Into the handle; NULL where there is none. */
const char *decai__json_nodes_key(const decai_json *json, int32_t value, size_t *len);
const char *decai__json_nodes_text(const decai_json *json, int32_t value, size_t *len);
const char *decai__json_nodes_source(const decai_json *json, int32_t value, size_t *len);
int32_t decai__json_nodes_path(const decai_json *json, int32_t value, decai__buf *b);

/* ---- CBOR ---- */

/* Account for one item: 0 a value | 1 a map's key | an error with nest->why. */
int32_t decai__cbor_nest_take(decai__cbor_nest *nest, int32_t type, uint64_t value);

#endif /* DECAI__CODEC_INTERNAL_H */
