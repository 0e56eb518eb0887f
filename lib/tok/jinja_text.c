/* jinja_text.c - text as Python counts it: code points over UTF-8.
 *
 * Strings are views of bytes; indices and lengths are code points. All text is
 * valid UTF-8 (the JSON lexer and the template's own check see to it), so
 * walking needs no error case. Most text is ASCII: that is asked first, eight
 * bytes at a time. Searching is by first byte and memcmp, with a second look at
 * its last byte; a hostile needle costs fuel. */
#include <string.h>

#include "tok/jinja_tree.h"

uint32_t
decai__j_rune(const char **s, const char *end)
{
    const uint8_t *p = (const uint8_t *)*s;
    size_t left = (size_t)(end - *s);
    if (p[0] < 0x80 || left < 2) {
        *s += 1;
        return p[0];
    }
    if (p[0] < 0xe0 || left < 3) {
        *s += 2;
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    }
    if (p[0] < 0xf0 || left < 4) {
        *s += 3;
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    }
    *s += 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

size_t
decai__j_rune_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

void
decai__j_put_rune(decai__j_run *r, uint32_t c)
{
    char b[4];
    decai__j_put(r, b, decai__j_rune_put(b, c));
}

bool
decai__j_ascii(const char *s, size_t n)
{
    uint64_t all = 0, w;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&w, s + i, 8);
        all |= w;
    }
    for (; i < n; i++) all |= (uint8_t)s[i] & 0x80u;
    return !(all & 0x8080808080808080u);
}

int64_t
decai__j_chars(decai__j_run *r, decai__j_val s)
{
    int64_t n = 0;
    decai__j_pay_bytes(r, s.n);
    for (uint32_t i = 0; i < s.n; i++) n += ((uint8_t)s.u.s[i] & 0xc0) != 0x80;
    return n;
}

size_t
decai__j_offset(decai__j_val s, int64_t at)
{
    size_t i = 0;
    while (at > 0 && i < s.n) {
        i++;
        while (i < s.n && ((uint8_t)s.u.s[i] & 0xc0) == 0x80) i++;
        at--;
    }
    return i;
}

/* Comparisons at so many bytes are paid for together. */
enum { FIND_WORK = 4096 };

static bool
find_paid(decai__j_run *r, size_t *work, size_t more)
{
    *work += more;
    if (*work < FIND_WORK) return true;
    bool ok = !r || decai__j_pay(r, *work / 32);
    *work = 0;
    return ok;
}

const char *
decai__j_find(decai__j_run *r, const char *hay, size_t hay_len, const char *needle, size_t needle_len)
{
    size_t work = 0;
    if (!needle_len) return hay;
    if (needle_len > hay_len) return NULL;
    const char *last = hay + (hay_len - needle_len);
    for (const char *p = hay; p <= last; p++) {
        p = memchr(p, needle[0], (size_t)(last - p) + 1);
        if (!p) return NULL;
        if (p[needle_len - 1] != needle[needle_len - 1]) continue;
        if (!memcmp(p, needle, needle_len)) return p;
        if (!find_paid(r, &work, needle_len)) return NULL;
    }
    return NULL;
}

const char *
decai__j_find_last(decai__j_run *r, const char *hay, size_t hay_len, const char *needle, size_t needle_len)
{
    size_t work = 0;
    if (needle_len > hay_len) return NULL;
    if (!needle_len) return hay + hay_len;
    for (const char *p = hay + (hay_len - needle_len);; p--) {
        bool near = p[0] == needle[0];
        if (near && !memcmp(p, needle, needle_len)) return p;
        if (p == hay || !find_paid(r, &work, near ? needle_len : 1)) return NULL;
    }
}

decai__j_val
decai__j_sub(decai__j_val s, size_t from, size_t to)
{
    s.u.s += from;
    s.n = (uint32_t)(to - from);
    return s;
}

static bool
strip_hit(decai__j_run *r, decai__j_val chars, const char *s, size_t n, uint32_t c)
{
    if (chars.type != J_STR) return c < 0x80 ? (c >= 9 && c <= 13) || (c >= 28 && c <= 32) : decai__j_is_space(c);
    return decai__j_pay(r, 1 + chars.n / 32) && decai__j_find(r, chars.u.s, chars.n, s, n) != NULL;
}

decai__j_val
decai__j_strip(decai__j_run *r, decai__j_val s, decai__j_val chars, bool left, bool right)
{
    const char *begin = s.u.s, *end = s.u.s + s.n;
    while (left && begin < end) {
        const char *p = begin;
        uint32_t c = decai__j_rune(&p, end);
        if (!strip_hit(r, chars, begin, (size_t)(p - begin), c)) break;
        begin = p;
    }
    while (right && begin < end) {
        const char *p = end - 1, *q;
        while (p > begin && ((uint8_t)*p & 0xc0) == 0x80) p--;
        q = p;
        uint32_t c = decai__j_rune(&q, end);
        if (!strip_hit(r, chars, p, (size_t)(end - p), c)) break;
        end = p;
    }
    decai__j_pay(r, (s.n - (size_t)(end - begin)) / 8);
    return decai__j_sub(s, (size_t)(begin - s.u.s), (size_t)(end - s.u.s));
}

/* ---- printing --------------------------------------------------------------------- */

void
decai__j_put_int(decai__j_run *r, int64_t i)
{
    char b[24];
    size_t n = sizeof b;
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do b[--n] = (char)('0' + u % 10);
    while (u /= 10);
    if (i < 0) b[--n] = '-';
    decai__j_put(r, b + n, sizeof b - n);
}

void
decai__j_put_escaped(decai__j_run *r, const char *s, size_t n)
{
    size_t plain = 0;
    decai__j_pay_bytes(r, n);
    for (size_t i = 0; i < n; i++) {
        const char *to = s[i] == '&' ? "&amp;" : s[i] == '<' ? "&lt;" : s[i] == '>' ? "&gt;"
            : s[i] == '\'' ? "&#39;" : s[i] == '"' ? "&#34;" : NULL;
        if (!to) continue;
        decai__j_put(r, s + plain, i - plain);
        decai__j_put_lit(r, to);
        plain = i + 1;
    }
    decai__j_put(r, s + plain, n - plain);
}

static void
put_hex(decai__j_run *r, char letter, uint32_t c, int digits)
{
    static const char hex[] = "0123456789abcdef";
    decai__j_put_byte(r, '\\');
    decai__j_put_byte(r, letter);
    while (digits-- > 0) decai__j_put_byte(r, hex[c >> (4 * digits) & 15]);
}

/* repr(str): single quotes unless only those are inside; what cannot be
 * printed as an escape. */
static void
put_repr_str(decai__j_run *r, decai__j_val v)
{
    const char *s = v.u.s, *end = s + v.n;
    char quote = memchr(s, '\'', v.n) && !memchr(s, '"', v.n) ? '"' : '\'';
    decai__j_pay_bytes(r, v.n);
    decai__j_put_byte(r, quote);
    while (s < end) {
        const char *from = s;
        uint32_t c = decai__j_rune(&s, end);
        if (c == '\n') decai__j_put_lit(r, "\\n");
        else if (c == '\r') decai__j_put_lit(r, "\\r");
        else if (c == '\t') decai__j_put_lit(r, "\\t");
        else if (c == '\\') decai__j_put_lit(r, "\\\\");
        else if (c == (uint32_t)quote) decai__j_put(r, quote == '"' ? "\\\"" : "\\'", 2);
        else if (c >= 0x20 && c < 0x7f) decai__j_put_byte(r, (char)c);
        else if (c >= 0x80 && decai__j_is_printable(c)) decai__j_put(r, from, (size_t)(s - from));
        else if (c < 0x100) put_hex(r, 'x', c, 2);
        else if (c < 0x10000) put_hex(r, 'u', c, 4);
        else put_hex(r, 'U', c, 8);
    }
    decai__j_put_byte(r, quote);
}

static void
put_items(decai__j_run *r, const decai__j_list *l, char open, char close, bool comma)
{
    decai__j_put_byte(r, open);
    for (uint32_t i = 0; i < l->count && decai__j_pay(r, 1); i++) {
        if (i) decai__j_put(r, ", ", 2);
        decai__j_put_repr(r, l->items[i]);
    }
    if (comma && l->count == 1) decai__j_put_byte(r, ',');
    decai__j_put_byte(r, close);
}

static void
put_dict(decai__j_run *r, const decai__j_dict *d)
{
    decai__j_put_byte(r, '{');
    for (uint32_t i = 0; i < d->count && decai__j_pay(r, 1); i++) {
        if (i) decai__j_put(r, ", ", 2);
        decai__j_put_repr(r, d->e[i].key);
        decai__j_put(r, ": ", 2);
        decai__j_put_repr(r, d->e[i].val);
    }
    decai__j_put_byte(r, '}');
}

static void
put_view(decai__j_run *r, decai__j_val v)
{
    decai__j_list *l = decai__j_collect(r, v);
    decai__j_put_lit(r, v.aux == DJ_KEYS ? "dict_keys(" : v.aux == DJ_VALUES ? "dict_values(" : "dict_items(");
    if (l) put_items(r, l, '[', ']', false);
    decai__j_put_byte(r, ')');
}

static void
put_range(decai__j_run *r, const decai__j_range *range)
{
    decai__j_put_lit(r, "range(");
    decai__j_put_int(r, range->start);
    decai__j_put(r, ", ", 2);
    decai__j_put_int(r, range->stop);
    if (range->step != 1) {
        decai__j_put(r, ", ", 2);
        decai__j_put_int(r, range->step);
    }
    decai__j_put_byte(r, ')');
}

/* Objects whose repr holds an address in Python: there is no right answer. */
static void
put_object(decai__j_run *r, decai__j_val v)
{
    if (v.type == J_MACRO) {
        decai__j_put_lit(r, "<Macro ");
        if (v.u.macro->name.type == J_STR) put_repr_str(r, v.u.macro->name);
        else decai__j_put_lit(r, "anonymous");
        decai__j_put_byte(r, '>');
    } else if (v.type == J_LOOP) {
        decai__j_put_lit(r, "<LoopContext ");
        decai__j_put_int(r, v.u.loop->index0 + 1);
        decai__j_put_byte(r, '/');
        decai__j_put_val(r, decai__j_loop_attr(r, v.u.loop, "length", 6));
        decai__j_put_byte(r, '>');
    } else if (v.type == J_NS) {
        decai__j_put_lit(r, "<Namespace ");
        put_dict(r, v.u.dict);
        decai__j_put_byte(r, '>');
    } else {
        decai__j_raise(r, DECAI_E_UNSUPPORTED, "a %s cannot be printed; add |list, or call it", decai__j_type_name(v));
    }
}

static void
put_repr(decai__j_run *r, decai__j_val v)
{
    switch (v.type) {
    case J_MISSING:
    case J_UNDEF: decai__j_put_lit(r, "Undefined"); break;
    case J_NONE: decai__j_put(r, "None", 4); break;
    case J_BOOL: decai__j_put_lit(r, v.u.i ? "True" : "False"); break;
    case J_INT: decai__j_put_int(r, v.u.i); break;
    case J_FLOAT: decai__j_put_float(r, v.u.f); break;
    case J_BIG: decai__j_put(r, v.u.s, v.n); break;
    case J_STR:
        if (v.flag & DJ_MARKUP) decai__j_put_lit(r, "Markup(");
        put_repr_str(r, v);
        if (v.flag & DJ_MARKUP) decai__j_put_byte(r, ')');
        break;
    case J_LIST: put_items(r, v.u.list, '[', ']', false); break;
    case J_TUPLE: put_items(r, v.u.list, '(', ')', true); break;
    case J_DICT: put_dict(r, v.u.dict); break;
    case J_VIEW: put_view(r, v); break;
    case J_RANGE: put_range(r, v.u.range); break;
    default: put_object(r, v);
    }
}

void
decai__j_put_repr(decai__j_run *r, decai__j_val v)
{
    if (!decai__j_pay(r, 1)) return;
    if (++r->depth > r->depth_max)
        decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: values nested deeper than %u", r->depth_max);
    else
        put_repr(r, v);
    r->depth--;
}

void
decai__j_put_val(decai__j_run *r, decai__j_val v)
{
    if (v.type == J_STR) {
        decai__j_pay_bytes(r, v.n);
        decai__j_put(r, v.u.s, v.n);
    } else if (v.type != J_UNDEF && v.type != J_MISSING) {
        decai__j_put_repr(r, v);
    }
}
