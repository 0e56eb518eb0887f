/* json_write.c - JSON texts for reports, without a tree.
 *
 * A writer is a position in a decai__buf. Every failure ends up in the buffer's
 * sticky error, after which nothing is written any more, so a room writes its
 * whole report and looks once, at decai__json_writer_end. What comes out passes
 * the strict lexer, as long as one object is not given a key twice.
 */
#include <string.h>

#include "codec/internal.h"

static void
stick(decai__json_writer *w, int32_t code, const char *why)
{
    if (!w->buf->error) w->buf->error = decai__fail(code, "json writer: %s", why);
}

void
decai__json_writer_init(decai__json_writer *w, decai__buf *buf, bool pretty)
{
    memset(w, 0, sizeof *w);
    w->buf = buf;
    w->pretty = pretty;
}

static void
newline(decai__json_writer *w)
{
    if (!w->pretty) return;
    decai__buf_add_byte(w->buf, '\n');
    for (uint32_t i = 0; i < w->depth; i++) decai__buf_add(w->buf, "  ", 2);
}

int32_t
decai__json_escape(decai__buf *out, const char *text, size_t len)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (decai__utf8_valid(text, len) != len) return decai__fail(DECAI_E_INVALID, "json writer: text is not UTF-8");
    decai__buf_add_byte(out, '"');
    size_t plain = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        decai__buf_add(out, text + plain, i - plain);
        plain = i + 1;
        const char *at = c ? strchr(from, c) : NULL;
        if (at) {
            char two[2] = { '\\', to[at - from] };
            decai__buf_add(out, two, 2);
        } else {
            char six[6] = { '\\', 'u', '0', '0', 0, 0 };
            decai__hex_encode(six + 4, &c, 1);
            decai__buf_add(out, six, 6);
        }
    }
    decai__buf_add(out, text + plain, len - plain);
    return decai__buf_add_byte(out, '"');
}

/* What stands before a value: comma, line, key. */
static void
before(decai__json_writer *w, const char *key)
{
    bool in_object = w->depth && w->level[w->depth].object;
    if (in_object != (key != NULL)) stick(w, DECAI_E_INTERNAL, key ? "a key outside an object" : "a member without a key");
    if (!w->depth && w->level[0].used) stick(w, DECAI_E_INTERNAL, "two values at the root");
    if (w->buf->error) return;
    if (w->depth) {
        if (w->level[w->depth].used) decai__buf_add_byte(w->buf, ',');
        newline(w);
    }
    w->level[w->depth].used = true;
    if (!key) return;
    int32_t r = decai__json_escape(w->buf, key, strlen(key));
    if (r && !w->buf->error) w->buf->error = r;
    decai__buf_add(w->buf, ": ", w->pretty ? 2 : 1);
}

static void
open_level(decai__json_writer *w, const char *key, bool object)
{
    before(w, key);
    if (w->depth == DECAI_JSON_DEPTH_MAX) stick(w, DECAI_E_LIMIT, "deeper than DECAI_JSON_DEPTH_MAX");
    if (w->buf->error) return;
    decai__buf_add_byte(w->buf, object ? '{' : '[');
    w->depth++;
    w->level[w->depth].object = object;
    w->level[w->depth].used = false;
}

void
decai__json_put_object(decai__json_writer *w, const char *key)
{
    open_level(w, key, true);
}

void
decai__json_put_array(decai__json_writer *w, const char *key)
{
    open_level(w, key, false);
}

void
decai__json_put_end(decai__json_writer *w)
{
    if (!w->depth) stick(w, DECAI_E_INTERNAL, "nothing is open");
    if (w->buf->error) return;
    bool object = w->level[w->depth].object, used = w->level[w->depth].used;
    w->depth--;
    if (used) newline(w);
    decai__buf_add_byte(w->buf, object ? '}' : ']');
}

void
decai__json_put_text(decai__json_writer *w, const char *key, const char *text, size_t len)
{
    before(w, key);
    if (w->buf->error) return;
    int32_t r = decai__json_escape(w->buf, text, len);
    if (r && !w->buf->error) w->buf->error = r;
}

void
decai__json_put_str(decai__json_writer *w, const char *key, const char *text)
{
    decai__json_put_text(w, key, text, strlen(text));
}

static void
put_number(decai__json_writer *w, const char *key, bool negative, uint64_t magnitude, uint32_t places)
{
    char text[24];
    size_t at = sizeof text;
    uint32_t digits = 0;
    before(w, key);
    /* From the right; zeros until there is a digit before the point. */
    while (magnitude || digits <= places) {
        if (places && digits == places) text[--at] = '.';
        text[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
        digits++;
    }
    if (negative) text[--at] = '-';
    decai__buf_add(w->buf, text + at, sizeof text - at);
}

void
decai__json_put_i64(decai__json_writer *w, const char *key, int64_t v)
{
    put_number(w, key, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 0);
}

void
decai__json_put_u64(decai__json_writer *w, const char *key, uint64_t v)
{
    put_number(w, key, false, v, 0);
}

void
decai__json_put_fixed(decai__json_writer *w, const char *key, int64_t v, uint32_t places)
{
    if (places > 18) stick(w, DECAI_E_INTERNAL, "more than 18 places");
    else put_number(w, key, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, places);
}

void
decai__json_put_u256(decai__json_writer *w, const char *key, const decai__u256 *v)
{
    char text[DECAI__U256_TEXT_MAX + 1];
    decai__json_put_text(w, key, text, decai__u256_format(text, v));
}

void
decai__json_put_bool(decai__json_writer *w, const char *key, bool v)
{
    before(w, key);
    decai__buf_add_str(w->buf, v ? "true" : "false");
}

void
decai__json_put_null(decai__json_writer *w, const char *key)
{
    before(w, key);
    decai__buf_add_str(w->buf, "null");
}

void
decai__json_put_hex(decai__json_writer *w, const char *key, const void *data, size_t len)
{
    const uint8_t *p = data;
    char two[2];
    before(w, key);
    decai__buf_add_str(w->buf, "\"0x");
    for (size_t i = 0; i < len; i++) {
        decai__hex_encode(two, p + i, 1);
        decai__buf_add(w->buf, two, 2);
    }
    decai__buf_add_byte(w->buf, '"');
}

int32_t
decai__json_writer_end(decai__json_writer *w)
{
    if (w->depth || !w->level[0].used) stick(w, DECAI_E_INTERNAL, "the value is not finished");
    return w->buf->error;
}
