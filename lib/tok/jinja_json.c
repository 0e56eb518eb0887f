/* jinja_json.c - a conversation's JSON to a template's values, in one pass.
 *
 * The strict lexer walks the text; each event becomes a value in the arena. Texts
 * without escapes are views of the JSON itself, which outlives the rendering.
 * Integers that fit 64 bits are integers, longer ones keep their digits; what has
 * a point or an exponent is a double, as Python's json reads it. Lists and dicts
 * are gathered on a stack and copied out when they close. */
#include <string.h>

#include "codec/codec.h"
#include "tok/jinja_tree.h"

typedef struct reader {
    decai__j_run *r;
    const char *text, *end;
    decai__j_val *items;                   /* open containers' children, keys before values */
    size_t count, cap;
    struct { size_t first; bool object; } open[DECAI_JSON_DEPTH_MAX];
    uint32_t depth;
    decai__j_val root;
} reader;

static decai__j_val
text_val(reader *rd, const decai__json_event *e)
{
    if (e->text >= rd->text && e->text < rd->end) return decai__j_str(e->text, e->len);
    return decai__j_str_copy(rd->r, e->text, e->len);
}

static decai__j_val
number_val(reader *rd, const decai__json_event *e)
{
    uint64_t v = 0;
    size_t i = e->text[0] == '-';
    bool minus = i, fits = true;
    for (; i < e->len; i++) {
        char c = e->text[i];
        if (c < '0' || c > '9') return decai__j_float(decai__j_float_of(e->text, e->len));
        fits = fits && v <= (INT64_MAX - 9) / 10;
        v = v * 10 + (uint64_t)(c - '0');
    }
    if (fits) return decai__j_int(minus ? -(int64_t)v : (int64_t)v);
    decai__j_val big = text_val(rd, e);
    if (e->len - minus <= 19) {                      /* near the edge: 64 bits may still do */
        v = 0;
        bool over = false;
        for (i = minus; i < e->len; i++) {
            over |= __builtin_mul_overflow(v, (uint64_t)10, &v);
            over |= __builtin_add_overflow(v, (uint64_t)(e->text[i] - '0'), &v);
        }
        if (!over && v <= INT64_MAX) return decai__j_int(minus ? -(int64_t)v : (int64_t)v);
    }
    big.type = J_BIG;
    return big;
}

static int32_t
push(reader *rd, decai__j_val v)
{
    if (rd->count == rd->cap) {
        size_t cap = rd->cap ? rd->cap * 2 : 64;
        decai__j_val *items = decai__j_alloc(rd->r, cap * sizeof *items);
        if (!items) return rd->r->error;
        if (rd->count) memcpy(items, rd->items, rd->count * sizeof *items);
        rd->items = items;
        rd->cap = cap;
    }
    rd->items[rd->count++] = v;
    return 0;
}

static decai__j_val
close_object(reader *rd, size_t first, size_t offset)
{
    size_t n = (rd->count - first) / 2;
    decai__j_dict *d = decai__j_dict_new(rd->r, (uint32_t)n);
    for (size_t i = 0; d && i < n; i++) {
        decai__j_val key = rd->items[first + 2 * i];
        uint32_t before = d->count;
        if (!decai__j_dict_set(rd->r, d, key, rd->items[first + 2 * i + 1])) break;
        if (d->count == before && !rd->r->error)
            rd->r->error = decai__json_fail_at(rd->text, (size_t)(rd->end - rd->text), offset, DECAI_E_CORRUPT,
                "a key of the object that ends here is there twice");
    }
    return decai__j_dict_val(d);
}

static decai__j_val
close_array(reader *rd, size_t first)
{
    size_t n = rd->count - first;
    decai__j_list *l = decai__j_list_new(rd->r, (uint32_t)n);
    if (l && n) memcpy(l->items, rd->items + first, n * sizeof(decai__j_val));
    if (l) l->count = (uint32_t)n;
    return decai__j_list_val(l);
}

static int32_t
on_event(void *user, const decai__json_event *e)
{
    reader *rd = user;
    decai__j_val v = decai__j_none();
    switch (e->kind) {
    case DECAI__EVENT_OPEN_OBJECT:
    case DECAI__EVENT_OPEN_ARRAY:
        rd->open[rd->depth].first = rd->count;
        rd->open[rd->depth++].object = e->kind == DECAI__EVENT_OPEN_OBJECT;
        return 0;
    case DECAI__EVENT_CLOSE: {
        size_t first = rd->open[--rd->depth].first;
        v = rd->open[rd->depth].object ? close_object(rd, first, e->offset) : close_array(rd, first);
        rd->count = first;
        break;
    }
    case DECAI__EVENT_KEY:
    case DECAI__EVENT_STRING: v = text_val(rd, e); break;
    case DECAI__EVENT_NUMBER: v = number_val(rd, e); break;
    case DECAI__EVENT_TRUE: v = decai__j_bool(true); break;
    case DECAI__EVENT_FALSE: v = decai__j_bool(false); break;
    default: break;
    }
    if (rd->r->error) return rd->r->error;
    if (rd->depth) return push(rd, v);
    rd->root = v;
    return 0;
}

int32_t
decai__j_json_read(decai__j_run *r, const char *text, size_t len, decai__j_val *out)
{
    reader rd = { .r = r, .text = text, .end = text + len };
    int32_t code = decai__json_walk(r->ctx, text, len, on_event, &rd);
    *out = rd.root;
    return code;
}
