/* api.c - the door of codec: checks arguments, then calls inside. */
#include <string.h>

#include "codec/internal.h"

static int32_t
check_bytes(const char *name, const void *p, size_t len)
{
    return p || !len ? 0 : decai__fail(DECAI_E_INVALID, "%s: NULL with length %zu", name, len);
}

/* The start of every (out, cap, len) door. */
static int32_t
check_out(const void *out, size_t cap, size_t *len)
{
    if (!len) return decai__fail(DECAI_E_INVALID, "len: NULL");
    *len = 0;
    return check_bytes("out", out, cap);
}

int32_t
decai_hex_encode(char *out, size_t cap, size_t *len, const uint8_t *data, size_t data_len)
{
    int32_t r = check_out(out, cap, len);
    if (!r) r = check_bytes("data", data, data_len);
    if (r) return r;
    if (data_len > DECAI_HEX_TEXT_MAX / 2)
        return decai__fail(DECAI_E_LIMIT, "data_len: %zu, at most half of DECAI_HEX_TEXT_MAX", data_len);
    *len = 2 * data_len;
    if (cap < *len) return decai__fail(DECAI_E_SPACE, "out: %zu bytes, %zu needed", cap, *len);
    decai__hex_encode(out, data, data_len);
    return 0;
}

int32_t
decai_hex_decode(uint8_t *out, size_t cap, size_t *len, const char *text, size_t text_len)
{
    int32_t r = check_out(out, cap, len);
    if (!r) r = check_bytes("text", text, text_len);
    if (r) return r;
    if (text_len > DECAI_HEX_TEXT_MAX)
        return decai__fail(DECAI_E_LIMIT, "text_len: %zu, at most DECAI_HEX_TEXT_MAX (%d)", text_len,
            DECAI_HEX_TEXT_MAX);
    if (text_len % 2) return decai__fail(DECAI_E_CORRUPT, "text: %zu digits, an odd number", text_len);
    /* The whole text is judged before the space is: a caller who asks for the
     * size of rubbish is told that it is rubbish. */
    r = decai__hex_check(text, text_len, "text");
    if (r) return r;
    *len = text_len / 2;
    if (cap < *len) return decai__fail(DECAI_E_SPACE, "out: %zu bytes, %zu needed", cap, *len);
    decai__hex_read(out, text, *len);
    return 0;
}

int32_t
decai_json_verify(decai_context *context, const char *text, size_t text_len)
{
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = check_bytes("text", text, text_len);
    return r ? r : decai__json_check(context, text, text_len);
}

/* ---- the JSON handle ---------------------------------------------------------- */

int32_t
decai_json_open(decai_json **out, decai_context *context, const char *text, size_t text_len)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = check_bytes("text", text, text_len);
    return r ? r : decai__json_nodes_open(out, context, text, text_len);
}

static int32_t
check_value(const decai_json *json, int32_t value)
{
    int32_t r = decai__enter_shared(json, DECAI__JSON);
    return r ? r : decai__json_nodes_check(json, value);
}

int32_t
decai_json_type_get(const decai_json *json, int32_t *type, uint64_t *count, int32_t value)
{
    if (!type || !count) return decai__fail(DECAI_E_INVALID, "%s: NULL", type ? "count" : "type");
    *type = 0;
    *count = 0;
    int32_t r = check_value(json, value);
    if (!r) decai__json_nodes_type(json, value, type, count);
    return r;
}

/* The end of a door that looks for a value inside another. */
static int32_t
found(int32_t *out, int32_t value)
{
    *out = value < 0 ? 0 : value;
    return value >= 0;
}

int32_t
decai_json_at(const decai_json *json, int32_t *out, int32_t value, size_t index)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = 0;
    int32_t r = check_value(json, value);
    return r ? r : found(out, decai__json_nodes_child(json, value, index));
}

int32_t
decai_json_get(const decai_json *json, int32_t *out, int32_t value, const char *key)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = 0;
    int32_t r = check_value(json, value);
    if (!r && !key) r = decai__fail(DECAI_E_INVALID, "key: NULL");
    return r ? r : found(out, decai__json_nodes_find(json, value, key, strlen(key)));
}

/* Bytes that lie in the handle; NULL is what the value does not have. */
static int32_t
give(char *out, size_t cap, size_t *len, const char *data, size_t data_len, const char *why)
{
    if (!data) return decai__fail(DECAI_E_NOT_FOUND, "value: %s", why);
    return decai__bytes_out((uint8_t *)out, cap, len, data, data_len);
}

int32_t
decai_json_key_get(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value)
{
    size_t n = 0;
    int32_t r = check_out(out, cap, len);
    if (!r) r = check_value(json, value);
    if (r) return r;
    const char *key = decai__json_nodes_key(json, value, &n);
    return give(out, cap, len, key, n, "not a member of an object");
}

int32_t
decai_json_text_get(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value)
{
    size_t n = 0;
    int32_t r = check_out(out, cap, len);
    if (!r) r = check_value(json, value);
    if (r) return r;
    const char *text = decai__json_nodes_text(json, value, &n);
    return give(out, cap, len, text, n, "an array or object has no text");
}

int32_t
decai_json_format(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value)
{
    size_t n = 0;
    int32_t r = check_out(out, cap, len);
    if (!r) r = check_value(json, value);
    if (r) return r;
    const char *text = decai__json_nodes_source(json, value, &n);
    return give(out, cap, len, text, n, "");
}

int32_t
decai_json_path_get(const decai_json *json, char *out, size_t cap, size_t *len, int32_t value)
{
    decai__buf path;
    int32_t r = check_out(out, cap, len);
    if (!r) r = check_value(json, value);
    if (r) return r;
    decai__buf_init(&path, decai__context_of(json), DECAI_JSON_TEXT_MAX, "DECAI_JSON_TEXT_MAX");
    r = decai__json_nodes_path(json, value, &path);
    return decai__door_close(r, &path, out, cap, len);
}

/* ---- CBOR --------------------------------------------------------------------- */

int32_t
decai_cbor_verify(const uint8_t *data, size_t data_len)
{
    int32_t r = check_bytes("data", data, data_len);
    return r ? r : decai__cbor_check(data, data_len, "cbor");
}

int32_t
decai_cbor_format(
    decai_context *context, char *out, size_t cap, size_t *len, const uint8_t *data, size_t data_len)
{
    decai__buf text;
    int32_t r = check_out(out, cap, len);
    if (!r) r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = check_bytes("data", data, data_len);
    if (r) return r;
    decai__buf_init(&text, context, DECAI_CBOR_TEXT_MAX, "DECAI_CBOR_TEXT_MAX");
    r = decai__cbor_format(&text, data, data_len, "cbor");
    if (!r) r = decai__bytes_out((uint8_t *)out, cap, len, text.data, text.len);
    decai__buf_free(&text);
    return r;
}
