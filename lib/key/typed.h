/* typed.h - inside key: the types of one EIP-712 document. */
#ifndef DECAI__KEY_TYPED_H
#define DECAI__KEY_TYPED_H

#include "codec/codec.h"

/* One atomic or struct type, without array brackets. */
enum decai__typed_kind {
    DECAI__TYPED_STRUCT = 1, DECAI__TYPED_BOOL, DECAI__TYPED_ADDRESS, DECAI__TYPED_STRING,
    DECAI__TYPED_BYTES, DECAI__TYPED_FIXED, DECAI__TYPED_UINT, DECAI__TYPED_INT
};

typedef struct decai__typed_type {
    int32_t kind;
    uint32_t width;                    /* FIXED: bytes; UINT, INT: bits; STRUCT: index */
} decai__typed_type;

typedef struct decai__typed_struct_def {
    const char *name;
    const decai__json_node *fields;    /* the array of {name, type} */
    size_t count;
    uint64_t needs;                    /* bit i: refers, at any depth, to struct i */
    int32_t colour;                    /* 0 new, 1 on the path, 2 done */
    uint8_t hash[32];                  /* keccak(encodeType) */
} decai__typed_struct_def;

typedef struct decai__typed_doc {
    decai_context *ctx;
    decai__json *json;
    size_t count;
    size_t domain, primary;            /* indexes into def */
    decai__typed_struct_def def[DECAI_TYPED_TYPES_MAX];
} decai__typed_doc;

/* Read and check types and primaryType: everything but the values. */
int32_t decai__typed_types(decai__typed_doc *doc);
/* Text of a field's type up to its first bracket -> what it is. */
int32_t decai__typed_resolve(const decai__typed_doc *doc, const decai__json_node *at, decai__typed_type *out,
    const char *text, size_t len);
/* Split "T[3]" at its last bracket: *inner = length of "T", *fixed = 3; "T[]"
 * gives fixed 0. False: no array. Only after decai__typed_types passed it. */
bool decai__typed_array(const char *text, size_t len, size_t *inner, uint64_t *fixed);
/* An object with exactly `count` members, all of them asked for by name. */
int32_t decai__typed_exact(const decai__typed_doc *doc, const decai__json_node *object, size_t count);

#endif /* DECAI__KEY_TYPED_H */
