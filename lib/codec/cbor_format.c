/* cbor_format.c - CBOR of the subset as text for people: the diagnostic
 * notation of RFC 8949, section 8, one element a line.
 *
 *     {
 *       1: h'00ff',
 *       2: [
 *         "text",
 *         -5
 *       ]
 *     }
 *
 * A byte string that is itself an array or a map of the subset is written as
 * <<...>> (RFC 8610, appendix G): a receipt's payload within its envelope. That
 * loses nothing, since a value of the subset has one encoding only.
 */
#include <string.h>

#include "codec/internal.h"

#define EMBED_MAX 4            /* <<..>> within each other */

struct printer {
    decai__buf *out;
    uint32_t indent;           /* of the embedding item */
    uint32_t embed;
    struct { bool map, used; } level[DECAI_CBOR_DEPTH_MAX + 1];
};

static int32_t print_item(struct printer *p, const void *data, size_t len, const char *name);

static void
line(struct printer *p, uint32_t depth)
{
    decai__buf_add_byte(p->out, '\n');
    for (uint32_t i = 0; i < p->indent + depth; i++) decai__buf_add(p->out, "  ", 2);
}

static void
print_hex(struct printer *p, const decai__cbor_item *item)
{
    char two[2];
    decai__buf_add_str(p->out, "h'");
    for (size_t i = 0; i < item->len && !p->out->error; i++) {
        decai__hex_encode(two, item->data + i, 1);
        decai__buf_add(p->out, two, 2);
    }
    decai__buf_add_byte(p->out, '\'');
}

static void
print_bytes(struct printer *p, const decai__cbor_item *item, uint32_t depth)
{
    bool container = item->len > 1 && item->data[0] >> 5 >= DECAI__CBOR_ARRAY;
    if (!container || p->embed == EMBED_MAX || decai__cbor_check(item->data, item->len, "embedded")) {
        print_hex(p, item);
        return;
    }
    struct printer inner = { .out = p->out, .indent = p->indent + depth, .embed = p->embed + 1 };
    decai__buf_add_str(p->out, "<<");
    (void)print_item(&inner, item->data, item->len, "embedded");     /* it was checked */
    decai__buf_add_str(p->out, ">>");
}

/* -1 - value, which needs 65 bits at the far end. */
static void
print_integer(struct printer *p, const decai__cbor_item *item)
{
    char text[DECAI__U256_TEXT_MAX + 1];
    decai__u256 v = decai__u256_from_u64(item->value), one = decai__u256_from_u64(1);
    if (item->type == DECAI__CBOR_NINT) {
        (void)decai__u256_add(&v, &v, &one);                          /* at most 2^64 */
        decai__buf_add_byte(p->out, '-');
    }
    decai__buf_add(p->out, text, decai__u256_format(text, &v));
}

static void
print_value(struct printer *p, const decai__cbor_item *item, uint32_t depth)
{
    bool map = item->type == DECAI__CBOR_MAP;
    switch (item->type) {
    case DECAI__CBOR_UINT:
    case DECAI__CBOR_NINT:
        print_integer(p, item);
        break;
    case DECAI__CBOR_BYTES:
        print_bytes(p, item, depth);
        break;
    case DECAI__CBOR_TEXT:
        (void)decai__json_escape(p->out, (const char *)item->data, item->len);   /* UTF-8 was checked */
        break;
    default:
        decai__buf_add_str(p->out, map ? (item->value ? "{" : "{}") : (item->value ? "[" : "[]"));
        p->level[depth].map = map;
        p->level[depth].used = false;
        break;
    }
}

/* Punctuation before an item at `depth` open levels. */
static void
print_before(struct printer *p, const decai__cbor_item *item, uint32_t depth)
{
    if (!depth) return;
    if (p->level[depth - 1].map && !item->key) {
        decai__buf_add_str(p->out, ": ");
        return;
    }
    if (p->level[depth - 1].used) decai__buf_add_byte(p->out, ',');
    p->level[depth - 1].used = true;
    line(p, depth);
}

static int32_t
print_item(struct printer *p, const void *data, size_t len, const char *name)
{
    decai__cbor_reader r;
    decai__cbor_item item;
    int32_t result = decai__cbor_reader_init(&r, data, len, name);
    if (result) return result;
    for (uint32_t depth = 0; !p->out->error && (result = decai__cbor_next(&r, &item)) == 1; depth = r.nest.depth) {
        print_before(p, &item, depth);
        print_value(p, &item, depth);
        for (uint32_t at = depth; at > r.nest.depth; at--) {
            line(p, at - 1);
            decai__buf_add_byte(p->out, p->level[at - 1].map ? '}' : ']');
        }
    }
    if (p->out->error) return p->out->error;
    return result ? result : decai__cbor_reader_end(&r);
}

int32_t
decai__cbor_format(decai__buf *out, const void *data, size_t len, const char *name)
{
    struct printer p = { .out = out };
    return print_item(&p, data, len, name);
}
