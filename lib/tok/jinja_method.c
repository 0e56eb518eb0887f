/* jinja_method.c - the methods of texts, dicts, lists and ranges that templates call.
 *
 * They take positions in code points and give views where Python would copy. Of a
 * marked text the results are marked, and what is joined to it is escaped, as
 * markupsafe does. Methods that Python has and this file lacks are refused by
 * name, never silently undefined. */
#include <math.h>
#include <string.h>

#include "tok/jinja_filter.h"

/* ---- pieces that filters use, too -------------------------------------------------- */

/* Line ends of str.splitlines: their bytes at p, or 0. */
static size_t
line_end(const char *p, const char *end)
{
    uint8_t c = (uint8_t)*p;
    if (c == '\r') return p + 1 < end && p[1] == '\n' ? 2 : 1;
    if ((c >= 10 && c <= 12) || (c >= 28 && c <= 30)) return 1;
    if (c == 0xc2 && p + 1 < end && (uint8_t)p[1] == 0x85) return 2;
    if (c == 0xe2 && p + 2 < end && (uint8_t)p[1] == 0x80 && ((uint8_t)p[2] == 0xa8 || (uint8_t)p[2] == 0xa9)) return 3;
    return 0;
}

decai__j_list *
decai__j_lines(decai__j_run *r, decai__j_val s, bool keep)
{
    decai__j_list *l = decai__j_list_new(r, 4);
    size_t from = 0;
    decai__j_pay_bytes(r, s.n);
    for (size_t i = 0; l && i < s.n && !r->error;) {
        size_t n = line_end(s.u.s + i, s.u.s + s.n);
        if (n) {
            decai__j_pay(r, 1);
            decai__j_list_add(r, l, decai__j_sub(s, from, keep ? i + n : i));
            from = i + n;
        }
        i += n ? n : 1;
    }
    if (l && from < s.n) decai__j_list_add(r, l, decai__j_sub(s, from, s.n));
    return l;
}

/* from empty: between all characters, and around them. */
static decai__j_val
replace_empty(decai__j_run *r, decai__j_val s, decai__j_val to, int64_t count)
{
    const char *p = s.u.s, *end = p + s.n;
    size_t start = r->out.len;
    while (count != 0 && decai__j_pay(r, 1)) {
        decai__j_put(r, to.u.s, to.n);
        if (count > 0) count--;
        if (p == end) break;
        const char *q = p;
        decai__j_rune(&q, end);
        decai__j_put(r, p, (size_t)(q - p));
        p = q;
    }
    decai__j_put(r, p, (size_t)(end - p));
    return decai__j_taken(r, start);
}

decai__j_val
decai__j_replace(decai__j_run *r, decai__j_val s, decai__j_val from, decai__j_val to, int64_t count)
{
    decai__j_val out = s;
    const char *p = s.u.s, *end = p + s.n, *hit;
    if (!decai__j_pay_bytes(r, s.n)) return s;
    if (!from.n) {
        out = replace_empty(r, s, to, count);
        out.flag = s.flag;
        return out;
    }
    size_t start = r->out.len;
    bool any = false;
    while (count != 0 && decai__j_pay(r, 1) && (hit = decai__j_find(r, p, (size_t)(end - p), from.u.s, from.n))) {
        decai__j_put(r, p, (size_t)(hit - p));
        decai__j_put(r, to.u.s, to.n);
        p = hit + from.n;
        any = true;
        if (count > 0) count--;
    }
    if (!any) return s;
    decai__j_put(r, p, (size_t)(end - p));
    out = decai__j_taken(r, start);
    out.flag = s.flag;
    return out;
}

decai__j_val
decai__j_justify(decai__j_run *r, decai__j_val s, int64_t width, decai__j_val fill, char how)
{
    int64_t n = decai__j_chars(r, s), pad = width - n;
    if (pad <= 0) return s;
    if (!decai__j_pay(r, (size_t)pad / 8)) return s;
    int64_t left = how == 'l' ? 0 : how == 'r' ? pad : pad / 2 + (pad & width & 1);
    size_t from = r->out.len;
    for (int64_t i = 0; i < left && !r->error; i++) decai__j_put(r, fill.u.s, fill.n);
    decai__j_put(r, s.u.s, s.n);
    for (int64_t i = left; i < pad && !r->error; i++) decai__j_put(r, fill.u.s, fill.n);
    decai__j_val out = decai__j_taken(r, from);
    out.flag = s.flag;
    return out;
}

/* ---- arguments ------------------------------------------------------------------------ */

static bool
given(decai__j_val v)
{
    return v.type != J_MISSING && v.type != J_NONE;
}

static decai__j_val
want_str(decai__j_run *r, decai__j_val self, decai__j_val v)
{
    if (v.type == J_STR) return self.flag & DJ_MARKUP ? decai__j_escape(r, v) : v;
    if (v.type <= J_UNDEF) decai__j_undef_raise(r, v);
    else DJ_ERROR(r, "a text is needed, not %s", decai__j_type_name(v));
    return decai__j_lit("");
}

/* start and end of find, count, startswith, ...: byte offsets; false if start is beyond. */
static bool
window(decai__j_run *r, decai__j_val s, decai__j_val start, decai__j_val end, size_t *from, size_t *to)
{
    *from = 0;
    *to = s.n;
    if (!given(start) && !given(end)) return true;
    int64_t n = decai__j_chars(r, s), a = given(start) ? decai__j_want_int(r, start, "start") : 0;
    int64_t b = given(end) ? decai__j_want_int(r, end, "end") : n;
    if (a < 0 && (a += n) < 0) a = 0;
    if (b < 0 && (b += n) < 0) b = 0;
    if (b > n) b = n;
    if (a > b) return false;
    *from = decai__j_offset(s, a);
    *to = decai__j_offset(s, b);
    return !r->error;
}

/* ---- texts --------------------------------------------------------------------------------- */

static decai__j_val
m_affix(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool end)
{
    decai__j_val arg[3];
    size_t from, to;
    if (!decai__j_bind_args(r, a, "prefix start end", 1, arg)) return decai__j_undef(r);
    bool in = window(r, s, arg[1], arg[2], &from, &to), hit = false;
    decai__j_list one = { &arg[0], 1, 1 }, *all = arg[0].type == J_TUPLE ? arg[0].u.list : &one;
    for (uint32_t i = 0; i < all->count && !hit && !r->error; i++) {
        decai__j_val v = all->items[i];
        if (v.type != J_STR) return want_str(r, s, v);
        hit = decai__j_pay(r, 1) && in && v.n <= to - from && decai__j_pay_bytes(r, v.n)
            && !memcmp(end ? s.u.s + to - v.n : s.u.s + from, v.u.s, v.n);
    }
    return decai__j_bool(hit);
}

static decai__j_val
m_strip(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool left, bool right)
{
    decai__j_val chars;
    if (!decai__j_bind_args(r, a, "chars", 0, &chars)) return decai__j_undef(r);
    if (given(chars) && chars.type != J_STR) return want_str(r, s, chars);
    return decai__j_strip(r, s, chars, left, right);
}

/* Words between whitespace; at most max cuts (max < 0: all). */
static void
split_space(decai__j_run *r, decai__j_val s, int64_t max, decai__j_list *l)
{
    decai__j_val rest = decai__j_strip(r, s, decai__j_none(), true, false);
    while (rest.n && decai__j_pay(r, 1)) {
        const char *p = rest.u.s, *end = p + rest.n, *q = p;
        if (max == 0) {
            decai__j_list_add(r, l, decai__j_strip(r, rest, decai__j_none(), false, true));
            return;
        }
        if (max > 0) max--;
        while (p < end && !decai__j_is_space(decai__j_rune(&q, end))) p = q;
        decai__j_list_add(r, l, decai__j_sub(rest, 0, (size_t)(p - rest.u.s)));
        rest = decai__j_strip(r, decai__j_sub(rest, (size_t)(p - rest.u.s), rest.n), decai__j_none(), true, false);
    }
}

static void
rsplit_space(decai__j_run *r, decai__j_val s, int64_t max, decai__j_list *l)
{
    decai__j_val rest = decai__j_strip(r, s, decai__j_none(), false, true);
    while (rest.n && decai__j_pay(r, 1)) {
        size_t at = rest.n;
        if (max == 0) {
            decai__j_list_add(r, l, decai__j_strip(r, rest, decai__j_none(), true, false));
            return;
        }
        if (max > 0) max--;
        while (at > 0) {
            size_t p = at - 1;
            while (p > 0 && ((uint8_t)rest.u.s[p] & 0xc0) == 0x80) p--;
            const char *q = rest.u.s + p;
            if (decai__j_is_space(decai__j_rune(&q, rest.u.s + rest.n))) break;
            at = p;
        }
        decai__j_list_add(r, l, decai__j_sub(rest, at, rest.n));
        rest = decai__j_strip(r, decai__j_sub(rest, 0, at), decai__j_none(), false, true);
    }
}

static void
split_by(decai__j_run *r, decai__j_val s, decai__j_val sep, int64_t max, bool right, decai__j_list *l)
{
    while (max != 0 && decai__j_pay(r, 1)) {
        const char *hit = right ? decai__j_find_last(r, s.u.s, s.n, sep.u.s, sep.n) : decai__j_find(r, s.u.s, s.n, sep.u.s, sep.n);
        if (!hit) break;
        size_t at = (size_t)(hit - s.u.s);
        decai__j_list_add(r, l, right ? decai__j_sub(s, at + sep.n, s.n) : decai__j_sub(s, 0, at));
        s = right ? decai__j_sub(s, 0, at) : decai__j_sub(s, at + sep.n, s.n);
        if (max > 0) max--;
    }
    decai__j_list_add(r, l, s);
}

static decai__j_val
m_split(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool right)
{
    decai__j_val arg[2];
    if (!decai__j_bind_args(r, a, "sep maxsplit", 0, arg)) return decai__j_undef(r);
    int64_t max = arg[1].type == J_MISSING ? -1 : decai__j_want_int(r, arg[1], "split");
    decai__j_list *l = decai__j_list_new(r, 4);
    if (!l || !decai__j_pay_bytes(r, s.n)) return decai__j_undef(r);
    if (!given(arg[0])) {
        if (right) rsplit_space(r, s, max, l);
        else split_space(r, s, max, l);
    } else {
        if (arg[0].type != J_STR) return want_str(r, s, arg[0]);
        if (!arg[0].n) return DJ_ERROR(r, "split: an empty separator");
        split_by(r, s, arg[0], max, right, l);
    }
    for (uint32_t i = 0; right && i < l->count / 2; i++) {
        decai__j_val t = l->items[i];
        l->items[i] = l->items[l->count - 1 - i];
        l->items[l->count - 1 - i] = t;
    }
    return r->error ? decai__j_undef(r) : decai__j_list_val(l);
}

static decai__j_val
m_partition(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool right)
{
    decai__j_val sep;
    if (!decai__j_bind_args(r, a, "sep", 1, &sep)) return decai__j_undef(r);
    if (sep.type != J_STR) return want_str(r, s, sep);
    if (!sep.n) return DJ_ERROR(r, "partition: an empty separator");
    decai__j_list *l = decai__j_list_new(r, 3);
    if (!l || !decai__j_pay_bytes(r, s.n)) return decai__j_undef(r);
    const char *hit = right ? decai__j_find_last(r, s.u.s, s.n, sep.u.s, sep.n) : decai__j_find(r, s.u.s, s.n, sep.u.s, sep.n);
    size_t at = hit ? (size_t)(hit - s.u.s) : 0;
    decai__j_val none = decai__j_sub(s, 0, 0);
    sep.flag = s.flag;
    decai__j_list_add(r, l, hit ? decai__j_sub(s, 0, at) : right ? none : s);
    decai__j_list_add(r, l, hit ? sep : none);
    decai__j_list_add(r, l, hit ? decai__j_sub(s, at + sep.n, s.n) : right ? s : none);
    return decai__j_tuple_val(l);
}

static decai__j_val
m_find(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool right, bool must)
{
    decai__j_val arg[3];
    size_t from, to;
    if (!decai__j_bind_args(r, a, "sub start end", 1, arg)) return decai__j_undef(r);
    if (arg[0].type != J_STR) return want_str(r, s, arg[0]);
    bool in = window(r, s, arg[1], arg[2], &from, &to) && decai__j_pay_bytes(r, s.n);
    const char *hit = !in ? NULL : right ? decai__j_find_last(r, s.u.s + from, to - from, arg[0].u.s, arg[0].n)
                                         : decai__j_find(r, s.u.s + from, to - from, arg[0].u.s, arg[0].n);
    if (!hit && must) return DJ_ERROR(r, "index: not found");
    return decai__j_int(hit ? decai__j_chars(r, decai__j_sub(s, 0, (size_t)(hit - s.u.s))) : -1);
}

static decai__j_val
m_count(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    decai__j_val arg[3];
    size_t from, to;
    int64_t n = 0;
    if (!decai__j_bind_args(r, a, "sub start end", 1, arg)) return decai__j_undef(r);
    if (arg[0].type != J_STR) return want_str(r, s, arg[0]);
    if (!window(r, s, arg[1], arg[2], &from, &to) || !decai__j_pay_bytes(r, s.n)) return decai__j_int(0);
    if (!arg[0].n) return decai__j_int(decai__j_chars(r, decai__j_sub(s, from, to)) + 1);
    for (const char *p = s.u.s + from, *end = s.u.s + to, *hit;
         (hit = decai__j_find(r, p, (size_t)(end - p), arg[0].u.s, arg[0].n)); p = hit + arg[0].n)
        n++;
    return decai__j_int(n);
}

static decai__j_val
m_replace(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    decai__j_val arg[3];
    if (!decai__j_bind_args(r, a, "old new count", 2, arg)) return decai__j_undef(r);
    int64_t count = arg[2].type == J_MISSING ? -1 : decai__j_want_int(r, arg[2], "replace");
    if (arg[0].type != J_STR) return want_str(r, s, arg[0]);
    return decai__j_replace(r, s, arg[0], want_str(r, s, arg[1]), count);
}

static decai__j_val
m_join(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    decai__j_val items, v;
    decai__j_walk w;
    if (!decai__j_bind_args(r, a, "iterable", 1, &items) || !decai__j_walk_begin(r, &w, items)) return decai__j_undef(r);
    size_t from = r->out.len;
    bool first = true;
    while (decai__j_walk_next(r, &w, &v)) {
        if (s.flag & DJ_MARKUP) v = decai__j_escape(r, v);
        if (v.type != J_STR) return want_str(r, s, v);
        if (!first) decai__j_put_val(r, s);
        first = false;
        decai__j_put_val(r, v);
    }
    v = decai__j_taken(r, from);
    v.flag = s.flag;
    return v;
}

static decai__j_val
m_justify(decai__j_run *r, decai__j_val s, const decai__j_args *a, char how)
{
    decai__j_val arg[2];
    if (!decai__j_bind_args(r, a, "width fillchar", 1, arg)) return decai__j_undef(r);
    decai__j_val fill = arg[1].type == J_MISSING ? decai__j_lit(" ") : arg[1];
    if (fill.type != J_STR || decai__j_chars(r, fill) != 1) return DJ_ERROR(r, "justify: one character is needed");
    return decai__j_justify(r, s, decai__j_want_int(r, arg[0], "justify"), want_str(r, s, fill), how);
}

static decai__j_val
m_zfill(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    decai__j_val width;
    if (!decai__j_bind_args(r, a, "width", 1, &width)) return decai__j_undef(r);
    int64_t pad = decai__j_want_int(r, width, "zfill") - decai__j_chars(r, s);
    size_t sign = s.n && (s.u.s[0] == '-' || s.u.s[0] == '+'), from = r->out.len;
    if (pad <= 0 || !decai__j_pay(r, (size_t)pad / 8)) return s;
    decai__j_put(r, s.u.s, sign);
    for (int64_t i = 0; i < pad && !r->error; i++) decai__j_put_byte(r, '0');
    decai__j_put(r, s.u.s + sign, s.n - sign);
    decai__j_val out = decai__j_taken(r, from);
    out.flag = s.flag;
    return out;
}

static decai__j_val
m_remove(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool end)
{
    decai__j_val v;
    if (!decai__j_bind_args(r, a, "affix", 1, &v)) return decai__j_undef(r);
    if (v.type != J_STR) return want_str(r, s, v);
    if (!decai__j_pay_bytes(r, v.n) || v.n > s.n || memcmp(end ? s.u.s + s.n - v.n : s.u.s, v.u.s, v.n)) return s;
    return end ? decai__j_sub(s, 0, s.n - v.n) : decai__j_sub(s, v.n, s.n);
}

static decai__j_val
m_expandtabs(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    decai__j_val size;
    if (!decai__j_bind_args(r, a, "tabsize", 0, &size)) return decai__j_undef(r);
    int64_t tab = size.type == J_MISSING ? 8 : decai__j_want_int(r, size, "expandtabs"), column = 0;
    size_t from = r->out.len;
    for (uint32_t i = 0; i < s.n && decai__j_pay(r, 1); i++) {
        char c = s.u.s[i];
        if (c == '\t') {
            int64_t n = tab > 0 ? tab - column % tab : 0;
            for (int64_t k = 0; k < n && decai__j_pay(r, 1); k++) decai__j_put_byte(r, ' ');
            column += n;
            continue;
        }
        decai__j_put_byte(r, c);
        column = c == '\n' || c == '\r' ? 0 : column + (((uint8_t)c & 0xc0) != 0x80);
    }
    decai__j_val out = decai__j_taken(r, from);
    out.flag = s.flag;
    return out;
}

static decai__j_val
m_lines(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    decai__j_val keep;
    if (!decai__j_bind_args(r, a, "keepends", 0, &keep)) return decai__j_undef(r);
    return decai__j_list_val(decai__j_lines(r, s, decai__j_truth(r, keep)));
}

/* ---- what a text is made of ---------------------------------------------------------------------- */

static bool
is_alnum(uint32_t c)
{
    return decai__j_is_alpha(c) || decai__j_is_decimal(c) || decai__j_is_digit(c) || decai__j_is_numeric(c);
}

static bool
is_identifier_part(uint32_t c)
{
    return c == '_' || is_alnum(c);
}

static decai__j_val
m_all(decai__j_run *r, decai__j_val s, const decai__j_args *a, bool (*is)(uint32_t), bool empty)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL) || !decai__j_pay_bytes(r, s.n * (size_t)8)) return decai__j_undef(r);
    for (const char *p = s.u.s, *end = p + s.n; p < end;)
        if (!is(decai__j_rune(&p, end))) return decai__j_bool(false);
    return decai__j_bool(s.n ? true : empty);
}

static decai__j_val
m_identifier(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    if (s.n && s.u.s[0] >= '0' && s.u.s[0] <= '9') return decai__j_bool(false);
    return m_all(r, s, a, is_identifier_part, false);
}

static decai__j_val
m_test(decai__j_run *r, decai__j_val s, const decai__j_args *a, const char *test)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    return decai__j_bool(decai__j_test_call(r, decai__j_test_find(test, strlen(test)), s, a));
}

/* Upper case only where a word begins, lower case only inside words; some case at all. */
static decai__j_val
m_istitle(decai__j_run *r, decai__j_val s, const decai__j_args *a)
{
    bool cased = false, any = false;
    if (!decai__j_bind_args(r, a, "", 0, NULL) || !decai__j_pay_bytes(r, s.n * (size_t)8)) return decai__j_undef(r);
    for (const char *p = s.u.s, *end = p + s.n; p < end;) {
        uint32_t c = decai__j_rune(&p, end);
        bool low = decai__j_is_lower(c), up = decai__j_is_upper(c) || (decai__j_is_cased(c) && !low);
        if ((up && cased) || (low && !cased)) return decai__j_bool(false);
        cased = up || low;
        any |= cased;
    }
    return decai__j_bool(any);
}

/* ---- dicts, lists --------------------------------------------------------------------------------- */

static decai__j_val
m_get(decai__j_run *r, decai__j_val d, const decai__j_args *a)
{
    if (a->kw_count || a->count < 1 || a->count > 2) return DJ_ERROR(r, "get takes a key and a default");
    if (!decai__j_hashable(a->pos[0])) return DJ_ERROR(r, "unhashable type: %s", decai__j_type_name(a->pos[0]));
    decai__j_entry *e = decai__j_dict_find(r, d.u.dict, a->pos[0]);
    return e ? e->val : a->count > 1 ? a->pos[1] : decai__j_none();
}

static decai__j_val
m_view(decai__j_run *r, decai__j_val d, const decai__j_args *a, uint16_t which)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    return (decai__j_val){ .type = J_VIEW, .aux = which, .u.dict = d.u.dict };
}

/* Nothing can change what was copied, so the copy is the thing itself. */
static decai__j_val
m_copy(decai__j_run *r, decai__j_val v, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    if (v.type == J_DICT) {
        decai__j_dict *d = decai__j_alloc(r, sizeof *d);
        if (d) *d = *v.u.dict;
        return decai__j_dict_val(d);
    }
    decai__j_list *l = decai__j_alloc(r, sizeof *l);
    if (l) *l = *v.u.list;
    return decai__j_list_val(l);
}

static decai__j_val
m_seq_find(decai__j_run *r, decai__j_val v, const decai__j_args *a, bool count)
{
    decai__j_walk w;
    decai__j_val item;
    int64_t n = 0, at = 0;
    if (a->kw_count || a->count != 1) return DJ_ERROR(r, "one value is needed");
    if (!decai__j_walk_begin(r, &w, v)) return decai__j_undef(r);
    for (; decai__j_walk_next(r, &w, &item); at++) {
        if (!decai__j_same(item, a->pos[0]) && !decai__j_equal(r, item, a->pos[0])) continue;
        if (!count) return decai__j_int(at);
        n++;
    }
    return count ? decai__j_int(n) : DJ_ERROR(r, "index: not found");
}

static decai__j_val
m_fromkeys(decai__j_run *r, const decai__j_args *a)
{
    decai__j_val arg[2], key;
    decai__j_walk w;
    if (!decai__j_bind_args(r, a, "iterable value", 1, arg) || !decai__j_walk_begin(r, &w, arg[0])) return decai__j_undef(r);
    decai__j_dict *d = decai__j_dict_new(r, 0);
    while (d && decai__j_walk_next(r, &w, &key) && decai__j_dict_set(r, d, key, given(arg[1]) ? arg[1] : decai__j_none())) { }
    return r->error ? decai__j_undef(r) : decai__j_dict_val(d);
}

static decai__j_val
m_loop(decai__j_run *r, decai__j_val v, const decai__j_args *a, bool cycle)
{
    decai__j_loop *l = v.u.loop;
    if (a->kw_count || (cycle && !a->count)) return DJ_ERROR(r, "values without names are needed");
    if (cycle) return a->pos[l->index0 % a->count];
    decai__j_list *now = decai__j_list_new(r, a->count);
    if (!now) return decai__j_undef(r);
    if (a->count) memcpy(now->items, a->pos, a->count * sizeof *a->pos);
    now->count = a->count;
    decai__j_val t = decai__j_tuple_val(now);
    bool changed = l->changed.type != J_TUPLE || !decai__j_equal(r, l->changed, t);
    if (changed) l->changed = t;
    return decai__j_bool(changed);
}

static decai__j_val
m_cycler(decai__j_run *r, decai__j_val v, const decai__j_args *a, bool next)
{
    decai__j_cycler *c = v.u.cycler;
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    decai__j_val now = c->items[c->at];
    c->at = next ? (c->at + 1) % c->count : 0;
    return next ? now : decai__j_none();
}

/* ---- by name --------------------------------------------------------------------------------------- */

typedef decai__j_val str_method(decai__j_run *r, decai__j_val s, const decai__j_args *a);
#define M(name, call) static decai__j_val name(decai__j_run *r, decai__j_val s, const decai__j_args *a) { return call; }
M(s_capitalize, decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_str_case(r, s, 'c') : s)
M(s_center, m_justify(r, s, a, 'c'))
M(s_endswith, m_affix(r, s, a, true))
M(s_find, m_find(r, s, a, false, false))
M(s_index, m_find(r, s, a, false, true))
M(s_isalnum, m_all(r, s, a, is_alnum, false))
M(s_isalpha, m_all(r, s, a, decai__j_is_alpha, false))
M(s_isascii, decai__j_bool(decai__j_bind_args(r, a, "", 0, NULL) && decai__j_ascii(s.u.s, s.n)))
M(s_isdecimal, m_all(r, s, a, decai__j_is_decimal, false))
M(s_isdigit, m_all(r, s, a, decai__j_is_digit, false))
M(s_islower, m_test(r, s, a, "lower"))
M(s_isnumeric, m_all(r, s, a, decai__j_is_numeric, false))
M(s_isprintable, m_all(r, s, a, decai__j_is_printable, true))
M(s_isspace, m_all(r, s, a, decai__j_is_space, false))
M(s_isupper, m_test(r, s, a, "upper"))
M(s_ljust, m_justify(r, s, a, 'l'))
M(s_lower, decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_str_case(r, s, 'l') : s)
M(s_lstrip, m_strip(r, s, a, true, false))
M(s_partition, m_partition(r, s, a, false))
M(s_removeprefix, m_remove(r, s, a, false))
M(s_removesuffix, m_remove(r, s, a, true))
M(s_rfind, m_find(r, s, a, true, false))
M(s_rindex, m_find(r, s, a, true, true))
M(s_rjust, m_justify(r, s, a, 'r'))
M(s_rpartition, m_partition(r, s, a, true))
M(s_rsplit, m_split(r, s, a, true))
M(s_rstrip, m_strip(r, s, a, false, true))
M(s_split, m_split(r, s, a, false))
M(s_startswith, m_affix(r, s, a, false))
M(s_strip, m_strip(r, s, a, true, true))
M(s_swapcase, decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_str_case(r, s, 's') : s)
M(s_title, decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_str_case(r, s, 't') : s)
M(s_upper, decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_str_case(r, s, 'u') : s)
#undef M

static const struct { const char *name; str_method *call; } str_methods[] = {
    { "capitalize", s_capitalize }, { "center", s_center }, { "count", m_count }, { "endswith", s_endswith },
    { "expandtabs", m_expandtabs }, { "find", s_find }, { "format", decai__j_format }, { "index", s_index },
    { "isalnum", s_isalnum }, { "isalpha", s_isalpha }, { "isascii", s_isascii }, { "isdecimal", s_isdecimal },
    { "isdigit", s_isdigit }, { "isidentifier", m_identifier }, { "islower", s_islower }, { "isnumeric", s_isnumeric },
    { "isprintable", s_isprintable }, { "isspace", s_isspace }, { "istitle", m_istitle }, { "isupper", s_isupper },
    { "join", m_join }, { "ljust", s_ljust }, { "lower", s_lower }, { "lstrip", s_lstrip },
    { "partition", s_partition }, { "removeprefix", s_removeprefix }, { "removesuffix", s_removesuffix },
    { "replace", m_replace }, { "rfind", s_rfind }, { "rindex", s_rindex }, { "rjust", s_rjust },
    { "rpartition", s_rpartition }, { "rsplit", s_rsplit }, { "rstrip", s_rstrip }, { "split", s_split },
    { "splitlines", m_lines }, { "startswith", s_startswith }, { "strip", s_strip }, { "swapcase", s_swapcase },
    { "title", s_title }, { "upper", s_upper }, { "zfill", m_zfill },
};

int32_t
decai__j_str_method_find(const char *name, size_t n)
{
    for (size_t i = 0; i < DECAI__COUNT(str_methods); i++)
        if (strlen(str_methods[i].name) == n && !memcmp(str_methods[i].name, name, n)) return (int32_t)i;
    return -1;
}

decai__j_val
decai__j_str_method_call(decai__j_run *r, decai__j_val s, int32_t at, const decai__j_args *a)
{
    return str_methods[at].call(r, s, a);
}

decai__j_val
decai__j_method_call(decai__j_run *r, decai__j_val obj, uint16_t which, const decai__j_args *a)
{
    const char *name = decai__j_method_name(which);
    if (r->error) return decai__j_undef(r);
    if (decai__j_method_unsafe(which)) return DJ_ERROR(r, "%s would change a %s", name, decai__j_type_name(obj));
    if (obj.type == J_STR) {
        int32_t at = decai__j_str_method_find(name, strlen(name));
        if (at >= 0) return str_methods[at].call(r, obj, a);
    } else if (obj.type == J_DICT) {
        if (!strcmp(name, "get")) return m_get(r, obj, a);
        if (!strcmp(name, "items")) return m_view(r, obj, a, DJ_ITEMS);
        if (!strcmp(name, "keys")) return m_view(r, obj, a, DJ_KEYS);
        if (!strcmp(name, "values")) return m_view(r, obj, a, DJ_VALUES);
        if (!strcmp(name, "copy")) return m_copy(r, obj, a);
        if (!strcmp(name, "fromkeys")) return m_fromkeys(r, a);
    } else if (obj.type == J_LOOP) {
        return m_loop(r, obj, a, name[1] == 'y');
    } else if (obj.type == J_CYCLER) {
        return m_cycler(r, obj, a, name[0] == 'n');
    } else if (!strcmp(name, "copy")) {
        return m_copy(r, obj, a);
    } else if (!strcmp(name, "count") || !strcmp(name, "index")) {
        return m_seq_find(r, obj, a, name[0] == 'c');
    } else if (!strcmp(name, "is_integer")) {
        return decai__j_bool(obj.u.f - obj.u.f == 0 && floor(obj.u.f) == obj.u.f);
    } else if (!strcmp(name, "conjugate")) {
        return obj.type == J_BOOL ? decai__j_int(obj.u.i) : obj;
    }
    return decai__j_raise(r, DECAI_E_UNSUPPORTED, "the method %s of a %s", name, decai__j_type_name(obj));
}
