/* cbor_read.c - a pull reader of the CBOR subset that accepts one encoding per
 * value and nothing else.
 *
 * Refused: a head longer than needed (RFC 8949, 4.2.1), the reserved 28..30,
 * indefinite lengths, tags, floats and simple values; map keys that are not
 * unsigned or do not ascend; a count that the rest of the bytes cannot hold (so
 * that no count makes anybody allocate); bytes behind the item. Because nothing
 * has two spellings, encode(decode(x)) == x.
 */
#include <string.h>

#include "codec/internal.h"

static int32_t
fail(const decai__cbor_reader *r, size_t at, int32_t code, const char *why)
{
    if (r->field) return decai__fail(code, "%s.%s: byte %zu: %s", r->name, r->field, at, why);
    return decai__fail(code, "%s: byte %zu: %s", r->name, at, why);
}

int32_t
decai__cbor_reader_init(decai__cbor_reader *r, const void *data, size_t len, const char *name)
{
    memset(r, 0, sizeof *r);
    r->data = data;
    r->len = len;
    r->name = name;
    if (len <= DECAI_CBOR_BYTES_MAX) return 0;
    return decai__fail(DECAI_E_LIMIT, "%s: %zu bytes, at most DECAI_CBOR_BYTES_MAX (%d)", name, len,
        DECAI_CBOR_BYTES_MAX);
}

/* The head at pos: type and value, shortest form only. */
static int32_t
read_head(decai__cbor_reader *r, decai__cbor_item *item)
{
    size_t start = r->pos;
    if (start >= r->len) return fail(r, start, DECAI_E_CORRUPT, "the bytes end where an item should be");
    uint8_t major = r->data[start] >> 5, info = r->data[start] & 31;
    if (major == 6) return fail(r, start, DECAI_E_UNSUPPORTED, "a tag");
    if (major == 7) return fail(r, start, DECAI_E_UNSUPPORTED, "a float, null, bool or simple value");
    if (info == 31) return fail(r, start, DECAI_E_UNSUPPORTED, "an indefinite length");
    if (info > 27) return fail(r, start, DECAI_E_CORRUPT, "a reserved head");
    size_t bytes = info < 24 ? 0 : (size_t)1 << (info - 24);
    if (r->len - start - 1 < bytes) return fail(r, start, DECAI_E_CORRUPT, "the bytes end within a head");
    uint64_t value = info;
    if (bytes) value = 0;
    for (size_t i = 0; i < bytes; i++) value = value << 8 | r->data[start + 1 + i];
    /* The least value that needs this many bytes: 24, 2^8, 2^16, 2^32. */
    static const uint64_t least[4] = { 24, (uint64_t)1 << 8, (uint64_t)1 << 16, (uint64_t)1 << 32 };
    if (bytes && value < least[info - 24]) return fail(r, start, DECAI_E_CORRUPT, "a head longer than needed");
    item->type = major;
    item->value = value;
    r->pos = start + 1 + bytes;
    return 0;
}

/* The string behind its head, or whether a count can be true. */
static int32_t
read_body(decai__cbor_reader *r, decai__cbor_item *item, size_t start)
{
    size_t rest = r->len - r->pos;
    switch (item->type) {
    case DECAI__CBOR_BYTES:
    case DECAI__CBOR_TEXT:
        if (item->value > rest) return fail(r, start, DECAI_E_CORRUPT, "a string longer than the bytes");
        item->data = r->data + r->pos;
        item->len = (size_t)item->value;
        if (item->type == DECAI__CBOR_TEXT && decai__utf8_valid((const char *)item->data, item->len) != item->len)
            return fail(r, start, DECAI_E_CORRUPT, "text that is not UTF-8");
        r->pos += item->len;
        return 0;
    case DECAI__CBOR_ARRAY:
        if (item->value > rest) return fail(r, start, DECAI_E_CORRUPT, "an array longer than the bytes");
        return 0;
    case DECAI__CBOR_MAP:
        if (item->value > rest / 2) return fail(r, start, DECAI_E_CORRUPT, "a map longer than the bytes");
        return 0;
    default:
        return 0;
    }
}

int32_t
decai__cbor_next(decai__cbor_reader *r, decai__cbor_item *item)
{
    size_t start = r->pos;
    memset(item, 0, sizeof *item);
    if (r->nest.done) return 0;
    int32_t result = read_head(r, item);
    if (!result) result = read_body(r, item, start);
    if (result) return result;
    result = decai__cbor_nest_take(&r->nest, item->type, item->value);
    if (result < 0) return fail(r, start, result, r->nest.why);
    item->key = result == 1;
    return 1;
}

/* ---- typed reads ------------------------------------------------------------ */

static int32_t
wrong(const decai__cbor_reader *r, size_t start, const decai__cbor_item *item, const char *want)
{
    static const char *const names[] = { "uint", "nint", "bstr", "tstr", "array", "map" };
    if (r->field)
        return decai__fail(DECAI_E_CORRUPT, "%s.%s: byte %zu: %s where %s should be", r->name, r->field, start,
            names[item->type], want);
    return decai__fail(DECAI_E_CORRUPT, "%s: byte %zu: %s where %s should be", r->name, start, names[item->type], want);
}

/* The next item, which must be there. */
static int32_t
need(decai__cbor_reader *r, decai__cbor_item *item)
{
    int32_t result = decai__cbor_next(r, item);
    if (result == 0) return fail(r, r->pos, DECAI_E_CORRUPT, "nothing where an item should be");
    return result < 0 ? result : 0;
}

static int32_t
typed(decai__cbor_reader *r, decai__cbor_item *item, int32_t type, const char *want)
{
    size_t start = r->pos;
    int32_t result = need(r, item);
    if (!result && item->type != type) result = wrong(r, start, item, want);
    return result;
}

int32_t
decai__cbor_get_uint(decai__cbor_reader *r, uint64_t *out)
{
    decai__cbor_item item;
    int32_t result = typed(r, &item, DECAI__CBOR_UINT, "uint");
    *out = result ? 0 : item.value;
    return result;
}

int32_t
decai__cbor_get_int(decai__cbor_reader *r, int64_t *out)
{
    decai__cbor_item item;
    size_t start = r->pos;
    int32_t result = need(r, &item);
    *out = 0;
    if (!result && item.type != DECAI__CBOR_UINT && item.type != DECAI__CBOR_NINT)
        result = wrong(r, start, &item, "an integer");
    if (!result && item.value > INT64_MAX) result = fail(r, start, DECAI_E_LIMIT, "an integer outside 64 bits");
    if (result) return result;
    *out = item.type == DECAI__CBOR_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
    return 0;
}

int32_t
decai__cbor_get_bytes(decai__cbor_reader *r, const uint8_t **data, size_t *len)
{
    decai__cbor_item item;
    int32_t result = typed(r, &item, DECAI__CBOR_BYTES, "bstr");
    *data = result ? NULL : item.data;
    *len = result ? 0 : item.len;
    return result;
}

int32_t
decai__cbor_get_fixed(decai__cbor_reader *r, uint8_t *out, size_t len)
{
    decai__cbor_item item;
    size_t start = r->pos;
    int32_t result = typed(r, &item, DECAI__CBOR_BYTES, "bstr");
    if (!result && item.len != len) result = fail(r, start, DECAI_E_CORRUPT, "a bstr of another length");
    if (!result) memcpy(out, item.data, len);
    return result;
}

int32_t
decai__cbor_get_text(decai__cbor_reader *r, const char **text, size_t *len)
{
    decai__cbor_item item;
    int32_t result = typed(r, &item, DECAI__CBOR_TEXT, "tstr");
    *text = result ? NULL : (const char *)item.data;
    *len = result ? 0 : item.len;
    return result;
}

int32_t
decai__cbor_get_u256(decai__cbor_reader *r, decai__u256 *out)
{
    uint8_t word[32] = { 0 };
    int32_t result = decai__cbor_get_fixed(r, word, sizeof word);
    *out = decai__u256_from_be(word);
    return result;
}

int32_t
decai__cbor_get_array(decai__cbor_reader *r, uint64_t *count)
{
    decai__cbor_item item;
    int32_t result = typed(r, &item, DECAI__CBOR_ARRAY, "array");
    *count = result ? 0 : item.value;
    return result;
}

int32_t
decai__cbor_get_map(decai__cbor_reader *r, uint64_t *pairs)
{
    decai__cbor_item item;
    int32_t result = typed(r, &item, DECAI__CBOR_MAP, "map");
    *pairs = result ? 0 : item.value;
    return result;
}

int32_t
decai__cbor_get_key(decai__cbor_reader *r, uint64_t *key)
{
    decai__cbor_item item;
    size_t start = r->pos;
    int32_t result = typed(r, &item, DECAI__CBOR_UINT, "a key");
    *key = result ? 0 : item.value;
    if (!result && !item.key) result = fail(r, start, DECAI_E_CORRUPT, "a value where a key should be");
    return result;
}

int32_t
decai__cbor_skip(decai__cbor_reader *r)
{
    decai__cbor_item item;
    uint32_t depth = r->nest.depth;
    int32_t result = need(r, &item);
    while (!result && r->nest.depth > depth) result = need(r, &item);
    return result;
}

int32_t
decai__cbor_reader_end(decai__cbor_reader *r)
{
    if (!r->nest.done) return fail(r, r->pos, DECAI_E_CORRUPT, "more items than were read");
    if (r->pos != r->len) return fail(r, r->pos, DECAI_E_CORRUPT, "bytes behind the item");
    return 0;
}

int32_t
decai__cbor_check(const void *data, size_t len, const char *name)
{
    decai__cbor_reader r;
    decai__cbor_item item;
    int32_t result = decai__cbor_reader_init(&r, data, len, name);
    if (result) return result;
    while ((result = decai__cbor_next(&r, &item)) == 1) { }
    return result ? result : decai__cbor_reader_end(&r);
}
