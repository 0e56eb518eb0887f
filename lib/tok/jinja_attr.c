/* jinja_attr.c - x.name, x[key], x[a:b:c], as the sandboxed environment sees them.
 *
 *   x.name    a method or attribute of the type first, then the item "name"
 *   x[key]    the item first, then, for text keys, the attribute
 *   neither   the undefined value, which remembers where it was made
 *
 * Names that begin with an underscore and methods that would change a list or a
 * dict are not given out: what comes back is an undefined value that raises when
 * it is used, so nothing in a template can change the conversation. */
#include <string.h>

#include "tok/jinja_tree.h"

/* Which types have an attribute: bits by type. */
enum {
    A_STR = 1, A_LIST = 2, A_TUPLE = 4, A_DICT = 8, A_RANGE = 16, A_VIEW = 32, A_INT = 64, A_FLOAT = 128,
    A_LOOP = 256, A_CYCLER = 512, A_MACRO = 1024, A_ITER = 2048,
    A_UNSAFE = 1 << 15               /* hidden by the sandbox */
};
#define A_NUM (A_INT | A_FLOAT)

static const struct { const char *name; uint16_t types; } methods[] = {
    /* The order is that of enum decai__j_method in jinja_method.c's table: sorted by name. */
    { "append", A_LIST | A_UNSAFE }, { "arguments", A_MACRO }, { "as_integer_ratio", A_NUM }, { "bit_count", A_INT },
    { "bit_length", A_INT }, { "caller", A_MACRO }, { "capitalize", A_STR }, { "casefold", A_STR },
    { "catch_kwargs", A_MACRO }, { "catch_varargs", A_MACRO }, { "center", A_STR }, { "changed", A_LOOP },
    { "clear", A_LIST | A_DICT | A_UNSAFE }, { "close", A_ITER }, { "conjugate", A_NUM },
    { "copy", A_LIST | A_DICT }, { "count", A_STR | A_LIST | A_TUPLE | A_RANGE }, { "current", A_CYCLER },
    { "cycle", A_LOOP }, { "denominator", A_INT }, { "depth", A_LOOP }, { "depth0", A_LOOP }, { "encode", A_STR },
    { "endswith", A_STR }, { "expandtabs", A_STR }, { "explicit_caller", A_MACRO },
    { "extend", A_LIST | A_UNSAFE }, { "find", A_STR }, { "first", A_LOOP }, { "format", A_STR },
    { "format_map", A_STR }, { "from_bytes", A_INT }, { "fromhex", A_FLOAT }, { "fromkeys", A_DICT },
    { "get", A_DICT }, { "hex", A_FLOAT }, { "imag", A_NUM },
    { "index", A_STR | A_LIST | A_TUPLE | A_RANGE | A_LOOP }, { "index0", A_LOOP },
    { "insert", A_LIST | A_UNSAFE }, { "is_integer", A_FLOAT }, { "isalnum", A_STR }, { "isalpha", A_STR },
    { "isascii", A_STR }, { "isdecimal", A_STR }, { "isdigit", A_STR }, { "isdisjoint", A_VIEW },
    { "isidentifier", A_STR }, { "islower", A_STR }, { "isnumeric", A_STR }, { "isprintable", A_STR },
    { "isspace", A_STR }, { "istitle", A_STR }, { "isupper", A_STR }, { "items", A_DICT }, { "join", A_STR },
    { "keys", A_DICT }, { "last", A_LOOP }, { "length", A_LOOP }, { "ljust", A_STR }, { "lower", A_STR },
    { "lstrip", A_STR }, { "maketrans", A_STR }, { "mapping", A_VIEW }, { "name", A_MACRO }, { "next", A_CYCLER },
    { "nextitem", A_LOOP }, { "numerator", A_INT }, { "partition", A_STR }, { "pop", A_LIST | A_DICT | A_UNSAFE },
    { "popitem", A_DICT | A_UNSAFE }, { "previtem", A_LOOP }, { "real", A_NUM }, { "remove", A_LIST | A_UNSAFE },
    { "removeprefix", A_STR }, { "removesuffix", A_STR }, { "replace", A_STR }, { "reset", A_CYCLER },
    { "reverse", A_LIST | A_UNSAFE }, { "revindex", A_LOOP }, { "revindex0", A_LOOP }, { "rfind", A_STR },
    { "rindex", A_STR }, { "rjust", A_STR }, { "rpartition", A_STR }, { "rsplit", A_STR }, { "rstrip", A_STR },
    { "send", A_ITER }, { "setdefault", A_DICT | A_UNSAFE }, { "sort", A_LIST | A_UNSAFE }, { "split", A_STR },
    { "splitlines", A_STR }, { "start", A_RANGE }, { "startswith", A_STR }, { "step", A_RANGE }, { "stop", A_RANGE },
    { "strip", A_STR }, { "swapcase", A_STR }, { "throw", A_ITER }, { "title", A_STR }, { "to_bytes", A_INT },
    { "translate", A_STR }, { "update", A_DICT | A_UNSAFE }, { "upper", A_STR }, { "values", A_DICT },
    { "zfill", A_STR },
};

uint16_t
decai__j_method_find(const char *name, size_t n)
{
    size_t lo = 0, hi = DECAI__COUNT(methods);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2, len = strlen(methods[mid].name);
        int c = memcmp(name, methods[mid].name, n < len ? n : len);
        if (!c && n == len) return (uint16_t)mid;
        if (c < 0 || (!c && n < len)) hi = mid;
        else lo = mid + 1;
    }
    return DJ_UNKNOWN;
}

const char *
decai__j_method_name(uint16_t which)
{
    return methods[which].name;
}

bool
decai__j_method_unsafe(uint16_t which)
{
    return methods[which].types & A_UNSAFE;
}

static uint32_t
type_bit(decai__j_val v)
{
    static const uint16_t bits[] = { [J_BOOL] = A_INT, [J_INT] = A_INT, [J_BIG] = A_INT, [J_FLOAT] = A_FLOAT,
        [J_STR] = A_STR, [J_LIST] = A_LIST, [J_TUPLE] = A_TUPLE, [J_DICT] = A_DICT, [J_RANGE] = A_RANGE,
        [J_VIEW] = A_VIEW, [J_CYCLER] = A_CYCLER, [J_LOOP] = A_LOOP, [J_MACRO] = A_MACRO, [J_ITER] = A_ITER,
        [J_METHOD] = 0 };
    return bits[v.type];
}

bool
decai__j_method_has(decai__j_val obj, uint16_t which)
{
    return which != DJ_UNKNOWN && methods[which].types & type_bit(obj) & 0x7fff;
}

decai__j_val
decai__j_undef(decai__j_run *r)
{
    return (decai__j_val){ .type = J_UNDEF, .u.node = r->node };
}

decai__j_val
decai__j_undef_raise(decai__j_run *r, decai__j_val v)
{
    char place[100] = "";
    if (v.flag & DJ_UNSAFE) return DJ_ERROR(r, "an attribute that templates may not use");
    if (v.type == J_UNDEF && v.u.node) decai__j_place(r->t, v.u.node->begin, v.u.node->end, place, sizeof place);
    return DJ_ERROR(r, "undefined%s%s", place[0] ? ", from " : "", place);
}

static decai__j_val
unsafe(decai__j_run *r)
{
    decai__j_val v = decai__j_undef(r);
    v.flag = DJ_UNSAFE;
    return v;
}

/* Attributes that are values. */
static decai__j_val
property(decai__j_run *r, decai__j_val obj, const char *name)
{
    size_t n = strlen(name);
    if (obj.type == J_LOOP) return decai__j_loop_attr(r, obj.u.loop, name, n);
    if (obj.type == J_RANGE)
        return decai__j_int(name[2] == 'a' ? obj.u.range->start : name[2] == 'e' ? obj.u.range->step : obj.u.range->stop);
    if (obj.type == J_CYCLER && obj.u.cycler->count) return obj.u.cycler->items[obj.u.cycler->at];
    if (decai__j_is_num(obj)) {
        if (!strcmp(name, "imag")) return obj.type == J_FLOAT ? decai__j_float(0) : decai__j_int(0);
        if (!strcmp(name, "denominator")) return decai__j_int(1);
        return obj.type == J_BOOL ? decai__j_int(obj.u.i) : obj;
    }
    if (obj.type == J_MACRO && !strcmp(name, "name")) return obj.u.macro->name;
    return decai__j_raise(r, DECAI_E_UNSUPPORTED, "the attribute %s of a %s", name, decai__j_type_name(obj));
}

static bool
is_property(decai__j_val obj, const char *name)
{
    if (obj.type == J_LOOP) return strcmp(name, "cycle") && strcmp(name, "changed");
    if (obj.type == J_RANGE) return name[0] == 's';
    if (obj.type == J_CYCLER) return !strcmp(name, "current");
    if (decai__j_is_num(obj))
        return !strcmp(name, "real") || !strcmp(name, "imag") || !strcmp(name, "numerator") || !strcmp(name, "denominator");
    return obj.type == J_MACRO || (obj.type == J_VIEW && !strcmp(name, "mapping"));
}

/* getattr: true where Python's object has it. */
static bool
attribute(decai__j_run *r, decai__j_val obj, uint16_t which, decai__j_val *out)
{
    if (!decai__j_method_has(obj, which)) return false;
    if (methods[which].types & A_UNSAFE) {
        *out = unsafe(r);
        return true;
    }
    if (is_property(obj, methods[which].name)) {
        *out = property(r, obj, methods[which].name);
        return true;
    }
    decai__j_bound *b = decai__j_alloc(r, sizeof *b);
    if (!b) return true;
    *b = (decai__j_bound){ obj, which };
    *out = (decai__j_val){ .type = J_METHOD, .u.bound = b };
    return true;
}

/* Names of every Python object's own machinery: there, but never given out. */
static bool
is_dunder(decai__j_val name)
{
    static const char *const all[] = { "__class__", "__doc__", "__init__", "__dict__", "__eq__", "__ne__", "__hash__",
        "__str__", "__repr__", "__dir__", "__format__", "__getattribute__", "__setattr__", "__delattr__", "__new__",
        "__reduce__", "__reduce_ex__", "__sizeof__", "__subclasshook__", "__init_subclass__", "__lt__", "__le__",
        "__gt__", "__ge__" };
    if (name.n < 6 || name.u.s[0] != '_' || name.u.s[1] != '_') return false;
    for (size_t i = 0; i < DECAI__COUNT(all); i++)
        if (decai__j_str_is(name, all[i], strlen(all[i]))) return true;
    return false;
}

/* What Jinja2's Undefined has besides: there, and hidden as well; any other name
 * of it raises. */
static bool
is_undefined_own(decai__j_val name)
{
    static const char *const all[] = { "_fail_with_undefined_error", "_undefined_exception", "_undefined_hint", "_undefined_message",
        "_undefined_name", "_undefined_obj", "__add__", "__aiter__", "__bool__", "__call__", "__complex__", "__div__", "__float__", "__floordiv__",
        "__getattr__", "__getitem__", "__int__", "__iter__", "__len__", "__mod__", "__module__", "__mul__", "__neg__", "__pos__",
        "__pow__", "__radd__", "__rdiv__", "__rfloordiv__", "__rmod__", "__rmul__", "__rpow__", "__rsub__", "__rtruediv__",
        "__slots__", "__sub__", "__truediv__" };
    if (!name.n || name.u.s[0] != '_') return false;
    for (size_t i = 0; i < DECAI__COUNT(all); i++)
        if (decai__j_str_is(name, all[i], strlen(all[i]))) return true;
    return is_dunder(name);
}

static decai__j_val
subscript(decai__j_run *r, decai__j_val obj, decai__j_val key, bool *found)
{
    int64_t n, i;
    *found = true;
    if (obj.type == J_DICT) {
        decai__j_entry *e = decai__j_hashable(key) ? decai__j_dict_find(r, obj.u.dict, key) : NULL;
        if (e) return e->val;
    } else if (decai__j_is_int(key) && (obj.type == J_LIST || obj.type == J_TUPLE || obj.type == J_STR || obj.type == J_RANGE)) {
        n = decai__j_length(r, obj);
        i = key.u.i < 0 ? key.u.i + n : key.u.i;
        if (i >= 0 && i < n) {
            if (obj.type == J_LIST || obj.type == J_TUPLE) return obj.u.list->items[i];
            if (obj.type == J_RANGE) return decai__j_int(obj.u.range->start + i * obj.u.range->step);
            size_t at = n == obj.n ? (size_t)i : decai__j_offset(obj, i);
            const char *p = obj.u.s + at, *q = p;
            decai__j_rune(&q, obj.u.s + obj.n);
            return decai__j_sub(obj, at, at + (size_t)(q - p));
        }
    }
    *found = false;
    return decai__j_undef(r);
}

decai__j_val
decai__j_attr(decai__j_run *r, decai__j_val obj, decai__j_val name, uint16_t which)
{
    decai__j_val out = decai__j_undef(r);
    bool found;
    if (obj.type <= J_UNDEF) return is_undefined_own(name) ? unsafe(r) : decai__j_undef_raise(r, obj);
    if (obj.type == J_NS) {
        if (name.n && name.u.s[0] == '_') return unsafe(r);
        decai__j_entry *e = decai__j_dict_find(r, obj.u.dict, name);
        return e ? e->val : out;
    }
    if (attribute(r, obj, which, &out)) return out;
    if (obj.type == J_TUPLE && obj.aux) {            /* of groupby */
        if (decai__j_str_is(name, "grouper", 7)) return obj.u.list->items[0];
        if (decai__j_str_is(name, "list", 4)) return obj.u.list->items[1];
    }
    if (is_dunder(name)) return unsafe(r);
    return subscript(r, obj, name, &found);
}

decai__j_val
decai__j_item(decai__j_run *r, decai__j_val obj, decai__j_val key)
{
    bool found;
    if (obj.type <= J_UNDEF) return decai__j_undef_raise(r, obj);
    decai__j_val v = subscript(r, obj, key, &found);
    if (found || key.type != J_STR) return v;
    if (obj.type == J_NS) return decai__j_attr(r, obj, key, DJ_UNKNOWN);
    if (attribute(r, obj, decai__j_method_find(key.u.s, key.n), &v)) return v;
    return is_dunder(key) ? unsafe(r) : v;
}

/* ---- slices ------------------------------------------------------------------------- */

static int64_t
slice_bound(decai__j_run *r, decai__j_val v, int64_t n, int64_t absent, bool down)
{
    if (v.type == J_MISSING || v.type == J_NONE) return absent;
    int64_t i = decai__j_want_int(r, v, "slice");
    if (i < 0) i = i < -n ? (down ? -1 : 0) : i + n;
    else if (i >= n) i = down ? n - 1 : n;
    return i;
}

static decai__j_val
slice_str(decai__j_run *r, decai__j_val s, int64_t start, int64_t step, int64_t count, int64_t chars)
{
    if (count <= 0) return decai__j_sub(s, 0, 0);
    if (step == 1) {
        if (chars == s.n) return decai__j_sub(s, (size_t)start, (size_t)(start + count));
        size_t from = decai__j_offset(s, start);
        return decai__j_sub(s, from, from + decai__j_offset(decai__j_sub(s, from, s.n), count));
    }
    decai__j_val v = s;
    char *p = decai__j_alloc(r, s.n);
    const char **at = chars == s.n ? NULL : decai__j_alloc(r, (size_t)(chars + 1) * sizeof *at);
    if (!p || r->error) return decai__j_undef(r);
    if (at) {
        const char *q = s.u.s, *end = q + s.n;
        for (int64_t i = 0; i < chars; i++) {
            at[i] = q;
            decai__j_rune(&q, end);
        }
        at[chars] = q;
    }
    size_t len = 0;
    for (int64_t i = 0, k = start; i < count; i++, k += step) {
        const char *q = at ? at[k] : s.u.s + k;
        size_t n = at ? (size_t)(at[k + 1] - q) : 1;
        memcpy(p + len, q, n);
        len += n;
    }
    v.u.s = p;
    v.n = (uint32_t)len;
    return v;
}

decai__j_val
decai__j_slice(decai__j_run *r, decai__j_val obj, decai__j_val start, decai__j_val stop, decai__j_val step)
{
    if (obj.type <= J_UNDEF) return decai__j_undef_raise(r, obj);
    if (obj.type != J_STR && obj.type != J_LIST && obj.type != J_TUPLE && obj.type != J_RANGE)
        return DJ_ERROR(r, "a %s cannot be sliced", decai__j_type_name(obj));
    int64_t by = step.type == J_MISSING || step.type == J_NONE ? 1 : decai__j_want_int(r, step, "slice"), n = decai__j_length(r, obj);
    if (by == 0) return DJ_ERROR(r, "slice step cannot be zero");
    if (by < -INT32_MAX) by = -INT32_MAX;
    if (by > INT32_MAX) by = INT32_MAX;
    int64_t from = slice_bound(r, start, n, by < 0 ? n - 1 : 0, by < 0);
    int64_t to = slice_bound(r, stop, n, by < 0 ? -1 : n, by < 0);
    int64_t count = by > 0 ? (to > from ? (to - from - 1) / by + 1 : 0) : (to < from ? (from - to - 1) / -by + 1 : 0);
    if (r->error || !decai__j_pay(r, 1 + (size_t)count / 8)) return decai__j_undef(r);
    if (obj.type == J_STR) return slice_str(r, obj, from, by, count, n);
    if (obj.type == J_RANGE) {
        decai__j_range *g = decai__j_alloc(r, sizeof *g);
        if (!g) return decai__j_undef(r);
        const decai__j_range *o = obj.u.range;
        *g = (decai__j_range){ o->start + from * o->step, o->start + to * o->step,
            count > 1 ? o->step * by : 1, count };   /* a step beyond the range could overflow */
        return (decai__j_val){ .type = J_RANGE, .u.range = g };
    }
    decai__j_list *l = decai__j_list_new(r, (uint32_t)count);
    for (int64_t i = 0, k = from; l && i < count; i++, k += by) l->items[l->count++] = obj.u.list->items[k];
    return obj.type == J_LIST ? decai__j_list_val(l) : decai__j_tuple_val(l);
}
