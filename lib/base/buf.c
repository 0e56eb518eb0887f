/* buf.c - growing bytes that know their maximum from birth.
 *
 * The error is sticky: a writer appends freely and looks once at the end. A
 * buffer that was ever asked for too much stays broken, so half a document
 * cannot be mistaken for a whole one. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

void
decai__buf_init(decai__buf *b, decai_context *ctx, size_t max, const char *name)
{
    *b = (decai__buf){.ctx = ctx, .max = max, .name = name};
}

void
decai__buf_free(decai__buf *b)
{
    decai__free(b->ctx, b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void
decai__buf_wipe_free(decai__buf *b)
{
    if (b->data) decai__wipe(b->data, b->cap);
    decai__buf_free(b);
}

static int32_t
buf_reserve(decai__buf *b, size_t more)
{
    if (b->error) return b->error;
    if (more > b->max - b->len)
        return b->error = decai__fail(DECAI_E_LIMIT, "%s: more than %zu bytes", b->name, b->max);
    if (b->len + more <= b->cap) return 0;

    size_t cap = b->cap ? b->cap : 64;
    while (cap < b->len + more) cap = cap > b->max / 2 ? b->max : cap * 2;
    uint8_t *data = decai__alloc(b->ctx, cap);
    if (!data) return b->error = decai__fail(DECAI_E_NOMEM, "%s: %zu bytes", b->name, cap);
    /* Copied by hand instead of realloc: a secret's old copy must be wiped. */
    if (b->len) memcpy(data, b->data, b->len);
    if (b->data) decai__wipe(b->data, b->cap);
    decai__free(b->ctx, b->data);
    b->data = data;
    b->cap = cap;
    return 0;
}

int32_t
decai__buf_add(decai__buf *b, const void *data, size_t len)
{
    int32_t r = buf_reserve(b, len);
    if (r) return r;
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int32_t
decai__buf_add_byte(decai__buf *b, uint8_t byte)
{
    return decai__buf_add(b, &byte, 1);
}

int32_t
decai__buf_add_str(decai__buf *b, const char *text)
{
    return decai__buf_add(b, text, strlen(text));
}

int32_t
decai__buf_add_u64be(decai__buf *b, uint64_t v)
{
    uint8_t bytes[8];
    decai__store_be64(bytes, v);
    return decai__buf_add(b, bytes, sizeof bytes);
}

int32_t
decai__buf_printf(decai__buf *b, const char *format, ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) return b->error = decai__fail(DECAI_E_INTERNAL, "%s: format", b->name);
    if ((size_t)n < sizeof small) return decai__buf_add(b, small, (size_t)n);

    int32_t r = buf_reserve(b, (size_t)n + 1);
    if (r) return r;
    va_start(args, format);
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
    return 0;
}

int32_t
decai__bytes_out(uint8_t *out, size_t cap, size_t *len, const void *data, size_t data_len)
{
    *len = data_len;
    if (cap < data_len) return decai__fail(DECAI_E_SPACE, "out: %zu bytes needed, %zu given", data_len, cap);
    if (data_len) memcpy(out, data, data_len);
    return 0;
}
