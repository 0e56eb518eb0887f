/* jinja_json.c - a conversation's JSON to a template's values, in one pass.
 *
 * Rendering is so quick that reading the conversation is much of its cost, so
 * this reader only knows how to accept: it builds values while it goes, and what
 * it does not like it leaves to the strict lexer of codec, which says what is
 * wrong and where. So both accept the same texts (tok_template_test.c holds them
 * against each other), and there is one place for what an error says.
 *
 * Texts without escapes are views of the JSON itself, which outlives the
 * rendering. Integers that fit 64 bits are integers, longer ones keep their
 * digits; what has a point or an exponent is a double, as Python's json reads it.
 * Children are gathered on a stack and copied out when their list or dict closes.
 * Keys that the template names get its symbols (jinja_intern.c). */
#include <string.h>

#include "codec/codec.h"
#include "codec/json_scan.h"
#include "tok/jinja_tree.h"

enum { GUESSES = 8 };

typedef struct reader {
    decai__j_run *r;
    const char *end;
    decai__j_val *items;             /* open containers' children, keys before values */
    size_t count, cap;
    struct { size_t first; bool object; } open[DECAI_JSON_DEPTH_MAX];
    uint32_t depth, nodes;
    uint16_t guess[GUESSES];         /* the symbol of the last key at this place in its dict */
} reader;

/* ---- texts ------------------------------------------------------------------------ */

/* Four hex digits, or -1. */
static int32_t
hex4(const char *s, const char *end)
{
    int32_t v = 0;
    if (end - s < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* Behind "\u": one code point, from two escapes if they are a pair; 0: refused. */
static uint32_t
unicode_escape(const char **s, const char *end)
{
    int32_t high = hex4(*s, end), low;
    if (high <= 0) return 0;
    *s += 4;
    if (high < 0xd800 || high > 0xdfff) return (uint32_t)high;
    if (high > 0xdbff || end - *s < 6 || (*s)[0] != '\\' || (*s)[1] != 'u') return 0;
    low = hex4(*s + 2, end);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *s += 6;
    return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

/* The text without its escapes, which is never longer; false: refused. */
static bool
unescape(const char *s, const char *end, char *out, uint32_t *len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *o = out;
    while (s < end) {
        const char *slash = memchr(s, '\\', (size_t)(end - s));
        size_t plain = (size_t)((slash ? slash : end) - s);
        memcpy(o, s, plain);
        o += plain;
        if (!slash) break;
        s = slash + 2;
        if (slash[1] == 'u') {
            uint32_t c = unicode_escape(&s, end);
            if (!c) return false;
            o += decai__j_rune_put(o, c);
        } else {
            const char *at = memchr(from, slash[1], sizeof from - 1);
            if (!at) return false;
            *o++ = to[at - from];
        }
    }
    *len = (uint32_t)(o - out);
    return true;
}

/* A text with more than printable ASCII: from its start, read up to `at`. */
static const char *
read_text_on(reader *rd, const char *start, const char *at, decai__j_val *v)
{
    bool escapes = false;
    while ((at = decai__json_text_end(at, rd->end)) && *at != '"') {
        escapes = true;
        if (rd->end - at < 2) return NULL;
        at += 2;
    }
    if (!at) return NULL;
    *v = decai__j_str(start, (size_t)(at - start));
    if (!escapes) return at + 1;
    char *copy = decai__j_pay_bytes(rd->r, v->n) ? decai__j_alloc(rd->r, v->n) : NULL;
    v->u.s = copy;
    return copy && unescape(start, at, copy, &v->n) ? at + 1 : NULL;
}

/* At the opening quote; behind the closing one, or NULL: refused. The same holds
 * for every function here that takes a place and gives one. */
static inline const char *
read_text(reader *rd, const char *p, decai__j_val *v)
{
    const char *start = p + 1, *at = start + decai__json_plain(start, (size_t)(rd->end - start));
    if (at < rd->end && *at == '"') {
        *v = decai__j_str(start, (size_t)(at - start));
        return at + 1;
    }
    return read_text_on(rd, start, at, v);
}

/* ---- numbers and words --------------------------------------------------------------- */

static const char *
digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

/* [+-]digits that were checked. */
static decai__j_val
integer(const char *s, size_t n)
{
    uint64_t v = 0;
    bool minus = *s == '-', over = n - minus > 19;
    for (size_t i = minus; i < n && !over; i++) {
        over |= __builtin_mul_overflow(v, (uint64_t)10, &v);
        over |= __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v);
    }
    if (!over && v <= INT64_MAX) return decai__j_int(minus ? -(int64_t)v : (int64_t)v);
    decai__j_val big = decai__j_str(s, n);
    big.type = J_BIG;
    return big;
}

static const char *
read_number(const char *p, const char *end, decai__j_val *v)
{
    const char *start = p, *first = p + (*p == '-'), *at = digits(first, end);
    bool whole = true;
    if (at == first || (at - first > 1 && *first == '0')) return NULL;
    if (at < end && *at == '.') {
        whole = false;
        p = at + 1;
        at = digits(p, end);
        if (at == p) return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        whole = false;
        p = at + 1;
        if (p < end && (*p == '+' || *p == '-')) p++;
        at = digits(p, end);
        if (at == p) return NULL;
    }
    size_t n = (size_t)(at - start);
    *v = whole ? integer(start, n) : decai__j_float(decai__j_float_of(start, n));
    return at;
}

static const char *
read_word(const char *p, const char *end, const char *word, size_t n, decai__j_val is, decai__j_val *v)
{
    *v = is;
    return (size_t)(end - p) < n || memcmp(p, word, n) ? NULL : p + n;
}

static inline const char *
read_scalar(reader *rd, const char *p, decai__j_val *v)
{
    switch (*p) {
    case '"': return read_text(rd, p, v);
    case 't': return read_word(p, rd->end, "true", 4, decai__j_bool(true), v);
    case 'f': return read_word(p, rd->end, "false", 5, decai__j_bool(false), v);
    case 'n': return read_word(p, rd->end, "null", 4, decai__j_none(), v);
    default: return read_number(p, rd->end, v);
    }
}

/* ---- lists and dicts ------------------------------------------------------------------- */

/* Room for one more value, which is filled in place: a value that is put together
 * elsewhere and then copied costs more than all the rest. NULL: no memory. */
static inline decai__j_val *
add(reader *rd)
{
    if (rd->count == rd->cap) {
        size_t cap = rd->cap ? rd->cap * 2 : 128;
        decai__j_val *items = decai__j_alloc(rd->r, cap * sizeof *items);
        if (!items) return NULL;
        if (rd->count) memcpy(items, rd->items, rd->count * sizeof *items);
        rd->items = items;
        rd->cap = cap;
    }
    return &rd->items[rd->count++];
}

/* No key twice: symbols are compared as numbers, other keys as texts. */
static bool
keys_differ(const decai__j_dict *d)
{
    for (uint32_t i = 1; i < d->count; i++)
        for (uint32_t k = 0; k < i; k++) {
            if (d->sym[i] != d->sym[k]) continue;
            if (d->sym[i] || decai__j_text_equal(d->e[i].key, d->e[k].key)) return false;
        }
    return true;
}

/* The same for a large one, which is indexed by the way. */
static bool
index_large(decai__j_run *r, decai__j_dict *d)
{
    uint32_t n = d->count;
    d->count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!decai__j_dict_set(r, d, d->e[i].key, d->e[i].val) || d->count == i) return false;
    return true;
}

/* The values from `first` on become one dict in their place. The pairs are laid out
 * as entries; a key's aux is its symbol. */
static bool
close_object(reader *rd, size_t first)
{
    uint32_t n = (uint32_t)((rd->count - first) / 2);
    decai__j_dict *d = decai__j_alloc(rd->r, sizeof *d + n * sizeof(decai__j_entry));
    if (!d) return false;
    *d = (decai__j_dict){ .count = n, .cap = n, .e = (decai__j_entry *)(void *)(d + 1), .symbols = n <= DJ_DICT_LINEAR };
    memset(d->sym, 0xff, sizeof d->sym);
    const decai__j_val *from = rd->items + first;
    for (uint32_t i = 0; i < n; i++) {
        d->e[i] = (decai__j_entry){ from[2 * i], from[2 * i + 1] };
        if (d->symbols) d->sym[i] = d->e[i].key.aux;
        d->e[i].key.aux = 0;
    }
    rd->count = first;
    decai__j_val *v = add(rd);
    if (!v) return false;
    *v = decai__j_dict_val(d);
    return d->symbols ? keys_differ(d) : index_large(rd->r, d);
}

static bool
close_array(reader *rd, size_t first)
{
    size_t n = rd->count - first;
    decai__j_list *l = decai__j_alloc(rd->r, sizeof *l + n * sizeof(decai__j_val));
    if (!l) return false;
    *l = (decai__j_list){ (decai__j_val *)(void *)(l + 1), (uint32_t)n, (uint32_t)n };
    if (n) memcpy(l->items, rd->items + first, n * sizeof(decai__j_val));
    rd->count = first;
    decai__j_val *v = add(rd);
    if (v) *v = decai__j_list_val(l);
    return v;
}

/* ---- structure ----------------------------------------------------------------------------- */

/* To the next byte that is no space, or the end. */
static inline const char *
skip(const char *p, const char *end)
{
    if (p < end && (uint8_t)*p > ' ') return p;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* At a key; behind its colon. Messages are alike: the key is likely the one that
 * the last dict had at this place, and then it need not even be read. */
static inline const char *
read_key(reader *rd, const char *p)
{
    const decai__j_template *t = rd->r->t;
    size_t at = (rd->count - rd->open[rd->depth - 1].first) / 2;
    uint16_t *guess = &rd->guess[at < GUESSES ? at : GUESSES - 1];
    decai__j_val *key = p < rd->end && *p == '"' ? add(rd) : NULL, known = t->symbols[*guess];
    if (!key) return NULL;
    if (*guess && (size_t)(rd->end - p) > known.n + 1 && p[known.n + 1] == '"' && decai__j_bytes_equal(p + 1, known.u.s, known.n)) {
        *key = known;
        key->aux = *guess;
        p += known.n + 2;
    } else {
        if (!(p = read_text(rd, p, key))) return NULL;
        *guess = key->aux = decai__j_symbol(t, key);
    }
    p = skip(p, rd->end);
    return p < rd->end && *p == ':' ? p + 1 : NULL;
}

/* At a list's or dict's bracket: behind it, if it is empty, or at its first value. */
static const char *
open_level(reader *rd, const char *p, bool *empty)
{
    bool object = *p == '{';
    p = skip(p + 1, rd->end);
    *empty = p < rd->end && *p == (object ? '}' : ']');
    if (rd->depth == DECAI_JSON_DEPTH_MAX) return NULL;
    if (*empty) return (object ? close_object(rd, rd->count) : close_array(rd, rd->count)) ? p + 1 : NULL;
    rd->open[rd->depth].first = rd->count;
    rd->open[rd->depth++].object = object;
    return object ? read_key(rd, p) : p;
}

/* Behind a value inside a list or dict: to the next one, or close, any number of
 * times. */
static const char *
read_behind(reader *rd, const char *p)
{
    while (rd->depth) {
        size_t first = rd->open[rd->depth - 1].first;
        bool object = rd->open[rd->depth - 1].object;
        p = skip(p, rd->end);
        if (p == rd->end) return NULL;
        if (*p == ',') {
            p = skip(p + 1, rd->end);
            return object ? read_key(rd, p) : p;
        }
        if (*p++ != (object ? '}' : ']')) return NULL;
        rd->depth--;
        if (!(object ? close_object(rd, first) : close_array(rd, first))) return NULL;
    }
    return p;
}

/* The value is items[0] in the end. */
static bool
read_all(reader *rd, const char *p)
{
    do {
        bool whole = true;
        p = skip(p, rd->end);
        if (p == rd->end || ++rd->nodes > DECAI_JSON_NODE_MAX) return false;
        if (*p == '{' || *p == '[') {
            p = open_level(rd, p, &whole);
        } else {
            decai__j_val *v = add(rd);
            p = v ? read_scalar(rd, p, v) : NULL;
        }
        if (p && whole) p = read_behind(rd, p);
    } while (p && rd->depth);
    return p && skip(p, rd->end) == rd->end;
}

int32_t
decai__j_json_read(decai__j_run *r, const char *text, size_t len, decai__j_val *out)
{
    reader rd;
    rd.r = r;
    rd.end = text + len;
    rd.items = NULL;
    rd.count = rd.cap = 0;
    rd.depth = rd.nodes = 0;
    memset(rd.guess, 0, sizeof rd.guess);
    *out = decai__j_none();
    if (len <= DECAI_JSON_TEXT_MAX && read_all(&rd, text)) {
        *out = rd.items[0];
        return r->error;
    }
    if (r->error) return r->error;
    int32_t code = decai__json_check(r->ctx, text, len);
    return code ? code : decai__fail(DECAI_E_INTERNAL, "conversation: two readers do not agree");
}
