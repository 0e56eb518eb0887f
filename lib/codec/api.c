/* api.c - the door of codec: checks arguments, then calls inside. */
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
