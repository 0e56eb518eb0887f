/* decai/codec.h - text and binary forms that other systems read.
 *
 * JSON here is strict: RFC 8259, valid UTF-8 (surrogate pairs included), no
 * duplicate keys, bounded depth, size and number of values, and no "\u0000",
 * which the RFC allows but texts of this library cannot hold. CBOR is the
 * subset that receipts use, in RFC 8949's deterministic form: unsigned and
 * negative integers, byte and text strings, arrays, and maps with ascending
 * unsigned keys; one encoding per value.
 */
#ifndef DECAI_CODEC_H
#define DECAI_CODEC_H

#include "decai/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_HEX_TEXT_MAX   33554432 /**< characters of a hex text */
#define DECAI_JSON_TEXT_MAX  16777216 /**< bytes of a JSON text */
#define DECAI_JSON_DEPTH_MAX 64       /**< objects and arrays within each other */
#define DECAI_JSON_NODE_MAX  1048576  /**< values in one JSON text */

#define DECAI_JSON_NULL   1 /**< null */
#define DECAI_JSON_BOOL   2 /**< true or false */
#define DECAI_JSON_NUMBER 3 /**< a number, kept as the text that was written */
#define DECAI_JSON_STRING 4 /**< a string */
#define DECAI_JSON_ARRAY  5 /**< an array */
#define DECAI_JSON_OBJECT 6 /**< an object */

#define DECAI_CBOR_BYTES_MAX 16777216 /**< bytes of a CBOR item */
#define DECAI_CBOR_DEPTH_MAX 16       /**< arrays and maps within each other */
#define DECAI_CBOR_TEXT_MAX  67108864 /**< characters decai_cbor_format will write */

/** A JSON text that was read. Immutable, shareable. */
typedef struct decai_json decai_json;

/** Write bytes as lower-case hexadecimal text, without "0x" and without a NUL.
 *  Not for secrets.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_LIMIT | DECAI_E_INVALID
 *  Out:  out   two characters a byte; NULL with cap 0 asks the size  @len(cap) @nullable
 *        cap
 *        len   characters written or needed; 0 on any other error
 *  In:   data  @len(data_len) @nullable
 *        data_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_hex_encode(
    char *out, size_t cap, size_t *len, const uint8_t *data, size_t data_len);

/** Read hexadecimal text, upper or lower case. Not for secrets: its time
 *  depends on the text. Nothing is written unless the whole text is valid.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_CORRUPT (odd length, or a character
 *           that is no digit; the detail has its position) | DECAI_E_LIMIT |
 *           DECAI_E_INVALID
 *  Out:  out   the bytes; NULL with cap 0 asks the size        @len(cap) @nullable
 *        cap
 *        len   bytes written or needed; 0 on any other error
 *  In:   text  digits without "0x"                             @len(text_len) @nullable
 *        text_len  at most DECAI_HEX_TEXT_MAX
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_hex_decode(
    uint8_t *out, size_t cap, size_t *len, const char *text, size_t text_len);

/** Check that a text is strict JSON, as every door of this library reads it.
 *
 *  Returns: 0 | DECAI_E_CORRUPT (the detail has line, column and reason) |
 *           DECAI_E_LIMIT (size, depth or number of values) |
 *           DECAI_E_NOMEM | DECAI_E_INVALID | DECAI_E_STATE
 *  In:   context
 *        text  @len(text_len) @nullable
 *        text_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_verify(decai_context *context, const char *text, size_t text_len);

/** Read a strict JSON text. Its values are named by numbers: 0 is the whole, and
 *  decai_json_at and decai_json_get give those inside it. The text is copied.
 *
 *  Returns: 0 | as decai_json_verify
 *  Out:  out   @owned
 *  In:   context
 *        text  UTF-8                                           @len(text_len) @nullable
 *        text_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_open(decai_json **out, decai_context *context, const char *text, size_t text_len);

/** What a value is.
 *
 *  Returns: 0 | DECAI_E_INVALID (no such value)
 *  Out:  type   DECAI_JSON_*
 *        count  values directly inside an array or object; else 0
 *  In:   json
 *        value  0, or what decai_json_at or decai_json_get gave
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_type_get(const decai_json *json, int32_t *type, uint64_t *count, int32_t value);

/** A value inside an array or object, by its place. It is found at once, however
 *  many stand before it.
 *
 *  Returns: 1 a value | 0 index is past the end, or nothing can be inside | DECAI_E_INVALID
 *  Out:  out    the value inside
 *  In:   json
 *        value  an array or object
 *        index  0, 1, 2, ... in the order of the text
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_at(const decai_json *json, int32_t *out, int32_t value, size_t index);

/** A member of an object, by its key.
 *
 *  Returns: 1 a value | 0 there is none, or it is no object | DECAI_E_INVALID
 *  Out:  out    the member's value
 *  In:   json
 *        value  an object
 *        key    decoded; NUL-terminated UTF-8
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_get(const decai_json *json, int32_t *out, int32_t value, const char *key);

/** The key of an object's member. Without a NUL.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOT_FOUND (not a member of an object) | DECAI_E_INVALID
 *  Out:  out    decoded; NULL with cap 0 asks the size         @len(cap) @nullable
 *        cap
 *        len    bytes written or needed; 0 on any other error
 *  In:   json
 *        value  a member
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_key_get(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value);

/** The text of a value that is no array or object: a string decoded, a number and
 *  a word as they were written. Without a NUL.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOT_FOUND (an array or object) | DECAI_E_INVALID
 *  Out:  out    NULL with cap 0 asks the size                  @len(cap) @nullable
 *        cap
 *        len    bytes written or needed; 0 on any other error
 *  In:   json
 *        value
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_text_get(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value);

/** A value as JSON text, byte for byte as it was written: a part of a text that can
 *  be read again. Without a NUL.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID
 *  Out:  out    NULL with cap 0 asks the size                  @len(cap) @nullable
 *        cap
 *        len    bytes written or needed; 0 on any other error
 *  In:   json
 *        value
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_format(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value);

/** Where a value stands, for messages: "bids[2].price"; empty for the whole.
 *  Without a NUL.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID | DECAI_E_NOMEM
 *  Out:  out    NULL with cap 0 asks the size                  @len(cap) @nullable
 *        cap
 *        len    bytes written or needed; 0 on any other error
 *  In:   json
 *        value
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_json_path_get(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value);

/** Check that bytes are exactly one item of the CBOR subset, in its one form.
 *
 *  Returns: 0 | DECAI_E_CORRUPT (the detail has position and reason) |
 *           DECAI_E_UNSUPPORTED (float, null, tag, indefinite length, or a
 *           map key that is no unsigned integer) | DECAI_E_LIMIT |
 *           DECAI_E_INVALID
 *  In:   data  @len(data_len) @nullable
 *        data_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_cbor_verify(const uint8_t *data, size_t data_len);

/** Write a CBOR item of the subset as text for people: RFC 8949's diagnostic
 *  notation, indented; byte strings as h'..', and as <<..>> where they hold an
 *  array or map of the subset themselves. No NUL at the end.
 *
 *  Returns: 0 | DECAI_E_SPACE | as decai_cbor_verify | DECAI_E_NOMEM |
 *           DECAI_E_STATE
 *  Out:  out   the text; NULL with cap 0 asks the size         @len(cap) @nullable
 *        cap
 *        len   characters written or needed; 0 on any other error
 *  In:   context
 *        data  @len(data_len) @nullable
 *        data_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_cbor_format(
    decai_context *context, char *out, size_t cap, size_t *len, const uint8_t *data, size_t data_len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_CODEC_H */
