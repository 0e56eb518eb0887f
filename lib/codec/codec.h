/* codec.h - hex, strict JSON, the CBOR subset and ABI words, for other rooms.
 *
 * Readers point into the caller's bytes wherever they can and never copy more
 * than they must; writers append to a decai__buf, whose sticky error carries
 * every failure, so that a writer is checked once, at its end.
 */
#ifndef DECAI__CODEC_H
#define DECAI__CODEC_H

#include "base/base.h"
#include "decai/codec.h"
#include "num/num.h"

/* ---- hex ------------------------------------------------------------------ */

/* 2*len lower-case digits, no NUL. */
void decai__hex_encode(char *out, const void *data, size_t len);
/* Exactly 2*len digits into len bytes, an optional "0x" before them. 0 |
 * DECAI_E_CORRUPT; the detail starts with `field`. */
int32_t decai__hex_decode(uint8_t *out, size_t len, const char *text, size_t text_len, const char *field);
/* Constant time in the characters (not in the length), for key material: no
 * prefix, no position in the error. */
int32_t decai__hex_decode_secret(uint8_t *out, size_t len, const char *text, size_t text_len);
void decai__hex_encode_secret(char *out, const void *data, size_t len);

/* Bytes of the valid UTF-8 prefix; equal to len when all of it is valid
 * (shortest forms, no surrogates, at most U+10FFFF). */
size_t decai__utf8_valid(const char *text, size_t len);

/* ---- JSON: reading ---------------------------------------------------------- */

enum decai__json_type {
    DECAI__JSON_NULL = 1, DECAI__JSON_BOOL, DECAI__JSON_NUMBER, DECAI__JSON_STRING,
    DECAI__JSON_ARRAY, DECAI__JSON_OBJECT
};

typedef struct decai__json decai__json;             /* a parsed text, owns its nodes */
typedef struct decai__json_node decai__json_node;   /* one value in it */

/* 0 | DECAI_E_CORRUPT | DECAI_E_LIMIT | DECAI_E_NOMEM; *out = NULL on failure. */
int32_t decai__json_parse(decai_context *ctx, decai__json **out, const char *text, size_t len);
/* What a kind of file may have at most, where that is more than a JSON text at
 * large; the names are for the errors. */
typedef struct decai__json_limits { size_t text, nodes; const char *text_name, *node_name; } decai__json_limits;
int32_t decai__json_parse_within(decai_context *ctx, decai__json **out, const char *text, size_t len,
    const decai__json_limits *limits);
/* The lexer alone: what decai_json_verify is. */
int32_t decai__json_check(decai_context *ctx, const char *text, size_t len);
void decai__json_free(decai__json *doc);            /* NULL is fine */

const decai__json_node *decai__json_root(const decai__json *doc);
int32_t decai__json_type(const decai__json_node *node);         /* NULL node: 0 */
size_t decai__json_count(const decai__json_node *node);         /* children; walks them */
const decai__json_node *decai__json_first(const decai__json_node *node);
const decai__json_node *decai__json_next(const decai__json_node *node);
const char *decai__json_key(const decai__json_node *node);      /* of a member; else NULL */
/* Member by name, NULL if it is not there or node is no object. */
const decai__json_node *decai__json_find(const decai__json_node *node, const char *key);

/* Typed reads of a node. The error names its path: "bids[2].price: ...".
 * Integers come from JSON numbers written as plain integers; u256 also from a
 * string of decimal digits. NULL node: DECAI_E_NOT_FOUND. */
int32_t decai__json_str(const decai__json *doc, const decai__json_node *node, const char **text, size_t *len);
int32_t decai__json_bool(const decai__json *doc, const decai__json_node *node, bool *out);
int32_t decai__json_i64(const decai__json *doc, const decai__json_node *node, int64_t *out);
int32_t decai__json_u64(const decai__json *doc, const decai__json_node *node, uint64_t *out);
int32_t decai__json_u256(const decai__json *doc, const decai__json_node *node, decai__u256 *out);
/* The number's text as it stood in the file (valid JSON number). */
int32_t decai__json_number(const decai__json *doc, const decai__json_node *node, const char **text);
/* A string of exactly 2*len hex digits, "0x" allowed. */
int32_t decai__json_hex(const decai__json *doc, const decai__json_node *node, uint8_t *out, size_t len);
/* The node itself, if it has this type (enum decai__json_type). */
int32_t decai__json_expect(const decai__json *doc, const decai__json_node *node, int32_t type);

/* The same by key of an object: absent is DECAI_E_NOT_FOUND, with the path. */
int32_t decai__json_get(const decai__json *doc, const decai__json_node *object, const char *key, int32_t type,
    const decai__json_node **out);
int32_t decai__json_get_str(const decai__json *doc, const decai__json_node *object, const char *key,
    const char **text, size_t *len);
int32_t decai__json_get_bool(const decai__json *doc, const decai__json_node *object, const char *key, bool *out);
int32_t decai__json_get_i64(const decai__json *doc, const decai__json_node *object, const char *key, int64_t *out);
int32_t decai__json_get_u64(const decai__json *doc, const decai__json_node *object, const char *key, uint64_t *out);
int32_t decai__json_get_u256(const decai__json *doc, const decai__json_node *object, const char *key,
    decai__u256 *out);
int32_t decai__json_get_hex(const decai__json *doc, const decai__json_node *object, const char *key,
    uint8_t *out, size_t len);
/* DECAI_E_UNSUPPORTED if the object has a key that is not among the
 * space-separated ones; the error names it. */
int32_t decai__json_only(const decai__json *doc, const decai__json_node *object, const char *keys);
/* Fail with the node's path before the text: "path: why". */
int32_t decai__json_fail(const decai__json *doc, const decai__json_node *node, int32_t code, const char *why);

/* ---- JSON: events, what the walker says to a checker or a builder ------------- */

enum decai__json_event_kind {
    DECAI__EVENT_OPEN_OBJECT = 1, DECAI__EVENT_OPEN_ARRAY, DECAI__EVENT_CLOSE, DECAI__EVENT_KEY,
    DECAI__EVENT_STRING, DECAI__EVENT_NUMBER, DECAI__EVENT_TRUE, DECAI__EVENT_FALSE, DECAI__EVENT_NULL
};

typedef struct decai__json_event {
    int32_t kind;
    const char *text;       /* KEY, STRING: decoded, no NUL behind or inside; NUMBER: as written */
    size_t len;
    size_t offset;          /* of its first byte in the source */
} decai__json_event;

/* 0 goes on; an error ends the walk. */
typedef int32_t (*decai__json_sink)(void *user, const decai__json_event *event);

/* Lex the whole text and feed the sink. */
int32_t decai__json_walk(decai_context *ctx, const char *text, size_t len, decai__json_sink sink, void *user);
/* Inside a string: its closing quote or next backslash; NULL where the text ends
 * first, or something stands that may not (a control character, bad UTF-8). */
const char *decai__json_text_end(const char *p, const char *end);
/* Fail with "json: line L, column C: why". */
int32_t decai__json_fail_at(const char *text, size_t len, size_t offset, int32_t code, const char *why);

/* ---- JSON: writing ---------------------------------------------------------- */

/* key is NULL in arrays and at the root. Errors stick in buf->error: wrong
 * nesting is DECAI_E_INTERNAL, text that is not UTF-8 DECAI_E_INVALID. */
typedef struct decai__json_writer {
    decai__buf *buf;
    uint32_t depth;
    bool pretty;                                     /* two spaces a level */
    struct { bool object, used; } level[DECAI_JSON_DEPTH_MAX + 1];
} decai__json_writer;

void decai__json_writer_init(decai__json_writer *w, decai__buf *buf, bool pretty);
void decai__json_put_object(decai__json_writer *w, const char *key);
void decai__json_put_array(decai__json_writer *w, const char *key);
void decai__json_put_end(decai__json_writer *w);     /* of the object or array */
void decai__json_put_str(decai__json_writer *w, const char *key, const char *text);
void decai__json_put_text(decai__json_writer *w, const char *key, const char *text, size_t len);
void decai__json_put_i64(decai__json_writer *w, const char *key, int64_t v);
void decai__json_put_u64(decai__json_writer *w, const char *key, uint64_t v);
void decai__json_put_u256(decai__json_writer *w, const char *key, const decai__u256 *v);   /* "123" */
/* v / 10^places, e.g. (1234, 3) -> 1.234; places at most 18. */
void decai__json_put_fixed(decai__json_writer *w, const char *key, int64_t v, uint32_t places);
void decai__json_put_bool(decai__json_writer *w, const char *key, bool v);
void decai__json_put_null(decai__json_writer *w, const char *key);
void decai__json_put_hex(decai__json_writer *w, const char *key, const void *data, size_t len);   /* "0x.." */
/* The buffer's error, or DECAI_E_INTERNAL if something is still open. */
int32_t decai__json_writer_end(decai__json_writer *w);

/* ---- CBOR subset: what both sides track --------------------------------------- */

/* One open array or map. The reader's and the writer's rules are one piece of
 * code: counts must come out, keys of maps are unsigned and ascend. */
typedef struct decai__cbor_frame { uint64_t left, last_key; bool map, key_next, any_key; } decai__cbor_frame;
typedef struct decai__cbor_nest {
    uint32_t depth;
    bool done;                                       /* the one top-level item is complete */
    const char *why;                                 /* of the last refusal */
    decai__cbor_frame frame[DECAI_CBOR_DEPTH_MAX];
} decai__cbor_nest;

enum decai__cbor_type {
    DECAI__CBOR_UINT = 0, DECAI__CBOR_NINT, DECAI__CBOR_BYTES, DECAI__CBOR_TEXT, DECAI__CBOR_ARRAY, DECAI__CBOR_MAP
};

/* ---- CBOR: writing -------------------------------------------------------------- */

typedef struct decai__cbor_writer { decai__buf *buf; decai__cbor_nest nest; } decai__cbor_writer;

void decai__cbor_writer_init(decai__cbor_writer *w, decai__buf *buf);
void decai__cbor_put_array(decai__cbor_writer *w, uint64_t count);
void decai__cbor_put_map(decai__cbor_writer *w, uint64_t pairs);
void decai__cbor_put_uint(decai__cbor_writer *w, uint64_t v);         /* also a map's key */
void decai__cbor_put_int(decai__cbor_writer *w, int64_t v);
void decai__cbor_put_bytes(decai__cbor_writer *w, const void *data, size_t len);
void decai__cbor_put_text(decai__cbor_writer *w, const char *text, size_t len);   /* UTF-8 */
void decai__cbor_put_u256(decai__cbor_writer *w, const decai__u256 *v);           /* bstr(32) */
/* key and value in one call, for maps */
void decai__cbor_put_key_uint(decai__cbor_writer *w, uint64_t key, uint64_t v);
void decai__cbor_put_key_bytes(decai__cbor_writer *w, uint64_t key, const void *data, size_t len);
void decai__cbor_put_key_text(decai__cbor_writer *w, uint64_t key, const char *text, size_t len);
/* The buffer's error, or DECAI_E_INTERNAL if counts or keys were wrong. */
int32_t decai__cbor_writer_end(decai__cbor_writer *w);

/* ---- CBOR: reading, pull style ---------------------------------------------------- */

typedef struct decai__cbor_item {
    int32_t type;                                    /* enum decai__cbor_type */
    uint64_t value;                                  /* UINT: v; NINT: -1 - value; ARRAY, MAP: count */
    const uint8_t *data;                             /* BYTES, TEXT: into the input */
    size_t len;
    bool key;                                        /* it is a map's key */
} decai__cbor_item;

typedef struct decai__cbor_reader {
    const uint8_t *data;
    size_t len, pos;
    const char *name;                                /* in errors: "receipt: byte 17: ..." */
    const char *field;                               /* set it before a read: "receipt.model_root: ..." */
    decai__cbor_nest nest;
} decai__cbor_reader;

/* Fails with DECAI_E_LIMIT above DECAI_CBOR_BYTES_MAX. */
int32_t decai__cbor_reader_init(decai__cbor_reader *r, const void *data, size_t len, const char *name);
/* The next item, containers by their head. 1 an item | 0 the top-level item is
 * complete | DECAI_E_CORRUPT | DECAI_E_UNSUPPORTED | DECAI_E_LIMIT. */
int32_t decai__cbor_next(decai__cbor_reader *r, decai__cbor_item *item);
/* Typed: 0 or an error; another type is DECAI_E_CORRUPT. */
int32_t decai__cbor_get_uint(decai__cbor_reader *r, uint64_t *out);
int32_t decai__cbor_get_int(decai__cbor_reader *r, int64_t *out);
int32_t decai__cbor_get_bytes(decai__cbor_reader *r, const uint8_t **data, size_t *len);
int32_t decai__cbor_get_fixed(decai__cbor_reader *r, uint8_t *out, size_t len);    /* bstr of exactly len */
int32_t decai__cbor_get_text(decai__cbor_reader *r, const char **text, size_t *len);
int32_t decai__cbor_get_u256(decai__cbor_reader *r, decai__u256 *out);
int32_t decai__cbor_get_array(decai__cbor_reader *r, uint64_t *count);
int32_t decai__cbor_get_map(decai__cbor_reader *r, uint64_t *pairs);
/* The next key of the open map; a map of n pairs is read with n of these, each
 * followed by one value. */
int32_t decai__cbor_get_key(decai__cbor_reader *r, uint64_t *key);
/* One whole item, its children included. */
int32_t decai__cbor_skip(decai__cbor_reader *r);
/* Everything read, nothing after it. */
int32_t decai__cbor_reader_end(decai__cbor_reader *r);
/* Validate one item; append it as text. */
int32_t decai__cbor_check(const void *data, size_t len, const char *name);
int32_t decai__cbor_format(decai__buf *out, const void *data, size_t len, const char *name);

/* ---- Solidity ABI: encoding ---------------------------------------------------------- */

/* 32-byte words, as EIP-712's encodeData and static arguments use them. */
void decai__abi_word_u64(uint8_t out[32], uint64_t v);
void decai__abi_word_bool(uint8_t out[32], bool v);
void decai__abi_word_address(uint8_t out[32], const uint8_t address[20]);
void decai__abi_word_u256(uint8_t out[32], const decai__u256 *v);

enum decai__abi_type {
    DECAI__ABI_UINT256 = 1,   /* data: 32 bytes big-endian (len 32) */
    DECAI__ABI_UINT64,        /* number */
    DECAI__ABI_BOOL,          /* number, 0 or 1 */
    DECAI__ABI_ADDRESS,       /* data: 20 bytes */
    DECAI__ABI_BYTES32,       /* data: 32 bytes */
    DECAI__ABI_BYTES,         /* data, len */
    DECAI__ABI_STRING,        /* data, len: UTF-8 */
    DECAI__ABI_TUPLE,         /* items, len of them */
    DECAI__ABI_ARRAY          /* T[]: items of one type, len of them; empty allowed */
};

typedef struct decai__abi_value {
    int32_t type;
    uint64_t number;
    const void *data;
    size_t len;
    const struct decai__abi_value *items;
} decai__abi_value;

#define DECAI__ABI_DEPTH_MAX 8

/* abi.encode(values...): heads, then tails. */
int32_t decai__abi_encode(decai__buf *out, const decai__abi_value *values, size_t count);

#endif /* DECAI__CODEC_H */
