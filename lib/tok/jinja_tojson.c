/* jinja_tojson.c - the tojson filter as chat templates know it: Python's
 * json.dumps(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False),
 * not Jinja2's own, which escapes HTML. ", " and ": " between items; with an
 * indent, one item a line and no space behind the comma. */
#include <string.h>

#include "tok/jinja_tree.h"

typedef struct style {
    bool ascii, pretty, sorted;
    decai__j_val indent, comma, colon;
    uint32_t level;
} style;

static void put_json(decai__j_run *r, style *s, decai__j_val v);

static void
put_u(decai__j_run *r, uint32_t c)
{
    static const char hex[] = "0123456789abcdef";
    char b[6] = { '\\', 'u', hex[c >> 12 & 15], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15] };
    decai__j_put(r, b, 6);
}

static void
put_string(decai__j_run *r, const style *st, decai__j_val v)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *s = v.u.s, *end = s + v.n, *plain = s;
    decai__j_pay_bytes(r, v.n);
    decai__j_put_byte(r, '"');
    while (s < end) {
        uint8_t b = (uint8_t)*s;
        if ((b >= 0x20 && b < 0x7f && b != '"' && b != '\\') || (!st->ascii && b >= 0x7f)) {
            s++;
            continue;
        }
        decai__j_put(r, plain, (size_t)(s - plain));
        const char *at = b ? memchr(from, b, sizeof from - 1) : NULL;
        uint32_t c = decai__j_rune(&s, end);
        if (at) {
            char pair[2] = { '\\', to[at - from] };
            decai__j_put(r, pair, 2);
        } else if (c >= 0x10000) {
            put_u(r, 0xd800 + ((c - 0x10000) >> 10));
            put_u(r, 0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put_u(r, c);
        }
        plain = s;
    }
    decai__j_put(r, plain, (size_t)(s - plain));
    decai__j_put_byte(r, '"');
}

static void
put_line(decai__j_run *r, const style *s)
{
    if (!s->pretty) return;
    decai__j_put_byte(r, '\n');
    for (uint32_t i = 0; i < s->level && decai__j_pay(r, 1); i++) decai__j_put(r, s->indent.u.s, s->indent.n);
}

static void
put_array(decai__j_run *r, style *s, const decai__j_list *l)
{
    decai__j_put_byte(r, '[');
    s->level++;
    for (uint32_t i = 0; i < l->count && !r->error; i++) {
        if (i) decai__j_put(r, s->comma.u.s, s->comma.n);
        put_line(r, s);
        put_json(r, s, l->items[i]);
    }
    s->level--;
    if (l->count) put_line(r, s);
    decai__j_put_byte(r, ']');
}

static void
put_number(decai__j_run *r, decai__j_val v)
{
    if (v.type == J_FLOAT && v.u.f != v.u.f) decai__j_put_lit(r, "NaN");
    else if (v.type == J_FLOAT && v.u.f - v.u.f != 0) decai__j_put_lit(r, v.u.f > 0 ? "Infinity" : "-Infinity");
    else if (v.type == J_BOOL) decai__j_put_lit(r, v.u.i ? "true" : "false");
    else decai__j_put_repr(r, v);
}

static void
put_key(decai__j_run *r, const style *s, decai__j_val k)
{
    if (k.type == J_STR) {
        put_string(r, s, k);
    } else if (k.type == J_NONE) {
        decai__j_put_lit(r, "\"null\"");
    } else if (decai__j_is_num(k)) {
        decai__j_put_byte(r, '"');
        put_number(r, k);
        decai__j_put_byte(r, '"');
    } else {
        DJ_ERROR(r, "tojson: a %s cannot be a key", decai__j_type_name(k));
    }
}

static const decai__j_dict *
in_order(decai__j_run *r, const decai__j_dict *d)
{
    decai__j_val *keys = decai__j_alloc(r, (d->count + 1) * sizeof *keys), *places = decai__j_alloc(r, (d->count + 1) * sizeof *places);
    decai__j_dict *o = decai__j_alloc(r, sizeof *o);
    decai__j_entry *e = decai__j_alloc(r, (d->count + 1) * sizeof *e);
    if (!keys || !places || !o || !e) return NULL;
    for (uint32_t i = 0; i < d->count; i++) {
        keys[i] = d->e[i].key;
        places[i] = decai__j_int(i);
    }
    if (!decai__j_sort(r, places, keys, d->count, false)) return NULL;
    for (uint32_t i = 0; i < d->count; i++) e[i] = d->e[places[i].u.i];
    *o = (decai__j_dict){ .e = e, .count = d->count, .cap = d->count };
    return o;
}

static void
put_object(decai__j_run *r, style *s, const decai__j_dict *d)
{
    if (s->sorted && !(d = in_order(r, d))) return;
    decai__j_put_byte(r, '{');
    s->level++;
    for (uint32_t i = 0; i < d->count && !r->error; i++) {
        if (i) decai__j_put(r, s->comma.u.s, s->comma.n);
        put_line(r, s);
        put_key(r, s, d->e[i].key);
        decai__j_put(r, s->colon.u.s, s->colon.n);
        put_json(r, s, d->e[i].val);
    }
    s->level--;
    if (d->count) put_line(r, s);
    decai__j_put_byte(r, '}');
}

static void
put_json(decai__j_run *r, style *s, decai__j_val v)
{
    if (!decai__j_pay(r, 1)) return;
    if (++r->depth > r->depth_max) {
        decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: values nested deeper than %u", r->depth_max);
    } else if (v.type == J_STR) {
        put_string(r, s, v);
    } else if (v.type == J_NONE) {
        decai__j_put_lit(r, "null");
    } else if (decai__j_is_num(v)) {
        put_number(r, v);
    } else if (v.type == J_LIST || v.type == J_TUPLE) {
        put_array(r, s, v.u.list);
    } else if (v.type == J_DICT) {
        put_object(r, s, v.u.dict);
    } else {
        DJ_ERROR(r, "tojson: a %s has no JSON", decai__j_type_name(v));
    }
    r->depth--;
}

decai__j_val
decai__j_tojson(decai__j_run *r, decai__j_val v, const decai__j_args *a)
{
    decai__j_val arg[4];
    style s = { .comma = decai__j_lit(", "), .colon = decai__j_lit(": "), .indent = decai__j_lit("") };
    if (!decai__j_bind_args(r, a, "ensure_ascii indent separators sort_keys", 0, arg)) return decai__j_undef(r);
    s.ascii = decai__j_truth(r, arg[0]);
    s.sorted = decai__j_truth(r, arg[3]);
    if (arg[1].type != J_MISSING && arg[1].type != J_NONE) {
        s.pretty = true;
        s.comma = decai__j_lit(",");
        if (arg[1].type == J_STR) s.indent = arg[1];
        else s.indent = decai__j_binary(r, O_MUL, decai__j_lit(" "), decai__j_int(decai__j_want_int(r, arg[1], "tojson: indent")));
    }
    if (arg[2].type != J_MISSING && arg[2].type != J_NONE) {
        decai__j_list *l = decai__j_collect(r, arg[2]);
        if (!l || l->count != 2 || l->items[0].type != J_STR || l->items[1].type != J_STR)
            return DJ_ERROR(r, "tojson: separators must be two texts");
        s.comma = l->items[0];
        s.colon = l->items[1];
    }
    size_t from = r->out.len;
    if (!r->error) put_json(r, &s, v);
    return decai__j_taken(r, from);
}
