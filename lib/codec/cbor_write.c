/* cbor_write.c - CBOR of the subset, in the deterministic form of RFC 8949,
 * section 4.2.1: the shortest head for every number, length and count.
 *
 *     head   major << 5 | n            n < 24
 *            major << 5 | 24..27       then 1, 2, 4 or 8 bytes big-endian
 *     major  0 uint  1 nint (-1 - n)  2 bstr  3 tstr  4 array  5 map
 */
#include <string.h>

#include "codec/internal.h"

static void
stick(decai__cbor_writer *w, int32_t code, const char *why)
{
    if (!w->buf->error) w->buf->error = decai__fail(code, "cbor writer: %s", why);
}

void
decai__cbor_writer_init(decai__cbor_writer *w, decai__buf *buf)
{
    memset(w, 0, sizeof *w);
    w->buf = buf;
}

static void
put_head(decai__cbor_writer *w, int32_t type, uint64_t value)
{
    uint8_t head[9], major = (uint8_t)(type << 5);
    size_t bytes = value < 24 ? 0 : value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
    if (w->buf->error) return;
    if (decai__cbor_nest_take(&w->nest, type, value) < 0) {
        /* Whatever the rule, breaking it here is a fault of ours. */
        stick(w, DECAI_E_INTERNAL, w->nest.why);
        return;
    }
    head[0] = (uint8_t)(major | (bytes ? 23 + (bytes == 1 ? 1 : bytes == 2 ? 2 : bytes == 4 ? 3 : 4) : value));
    for (size_t i = bytes; i > 0; i--, value >>= 8) head[i] = (uint8_t)value;
    decai__buf_add(w->buf, head, 1 + bytes);
}

void
decai__cbor_put_array(decai__cbor_writer *w, uint64_t count)
{
    put_head(w, DECAI__CBOR_ARRAY, count);
}

void
decai__cbor_put_map(decai__cbor_writer *w, uint64_t pairs)
{
    put_head(w, DECAI__CBOR_MAP, pairs);
}

void
decai__cbor_put_uint(decai__cbor_writer *w, uint64_t v)
{
    put_head(w, DECAI__CBOR_UINT, v);
}

void
decai__cbor_put_int(decai__cbor_writer *w, int64_t v)
{
    if (v < 0) put_head(w, DECAI__CBOR_NINT, (uint64_t)(-1 - v));
    else put_head(w, DECAI__CBOR_UINT, (uint64_t)v);
}

void
decai__cbor_put_bytes(decai__cbor_writer *w, const void *data, size_t len)
{
    put_head(w, DECAI__CBOR_BYTES, len);
    decai__buf_add(w->buf, data, len);
}

void
decai__cbor_put_text(decai__cbor_writer *w, const char *text, size_t len)
{
    if (decai__utf8_valid(text, len) != len) stick(w, DECAI_E_INVALID, "text is not UTF-8");
    put_head(w, DECAI__CBOR_TEXT, len);
    decai__buf_add(w->buf, text, len);
}

void
decai__cbor_put_u256(decai__cbor_writer *w, const decai__u256 *v)
{
    uint8_t word[32];
    decai__u256_to_be(word, v);
    decai__cbor_put_bytes(w, word, sizeof word);
}

void
decai__cbor_put_key_uint(decai__cbor_writer *w, uint64_t key, uint64_t v)
{
    decai__cbor_put_uint(w, key);
    decai__cbor_put_uint(w, v);
}

void
decai__cbor_put_key_bytes(decai__cbor_writer *w, uint64_t key, const void *data, size_t len)
{
    decai__cbor_put_uint(w, key);
    decai__cbor_put_bytes(w, data, len);
}

void
decai__cbor_put_key_text(decai__cbor_writer *w, uint64_t key, const char *text, size_t len)
{
    decai__cbor_put_uint(w, key);
    decai__cbor_put_text(w, text, len);
}

int32_t
decai__cbor_writer_end(decai__cbor_writer *w)
{
    if (!w->nest.done) stick(w, DECAI_E_INTERNAL, "the item is not finished");
    return w->buf->error;
}
