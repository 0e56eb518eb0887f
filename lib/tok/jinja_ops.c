/* jinja_ops.c - what Python's operators mean for a template's values.
 *
 *   + - * / // % **   numbers; + also texts, lists, tuples; * repeats; % formats
 *   == !=             numbers by value across types, containers by their items
 *   < <= > >=         numbers, texts, lists, tuples; anything else raises
 *   in                parts of texts, items, keys
 *
 * Integers have 64 bits; a result beyond them is DECAI_E_UNSUPPORTED, said, not
 * wrapped. Longer integers of the conversation pass through as their text. A
 * text that is marked safe escapes what is joined to it (markupsafe). */
#include <math.h>
#include <string.h>

#include "tok/jinja_tree.h"

const char *
decai__j_type_name(decai__j_val v)
{
    static const char *const names[] = { "Undefined", "Undefined", "NoneType", "bool", "int", "float", "int", "str",
        "list", "tuple", "dict", "range", "dict view", "generator", "Namespace", "Cycler", "Joiner", "Macro",
        "LoopContext", "function", "method" };
    return v.type == J_ITER && v.u.iter->name ? v.u.iter->name : names[v.type];
}

bool
decai__j_truth(decai__j_run *r, decai__j_val v)
{
    switch (v.type) {
    case J_MISSING:
    case J_UNDEF:
    case J_NONE: return false;
    case J_BOOL:
    case J_INT: return v.u.i != 0;
    case J_FLOAT: return v.u.f != 0;
    case J_STR: return v.n != 0;
    case J_LIST:
    case J_TUPLE: return v.u.list->count != 0;
    case J_DICT:
    case J_VIEW: return v.u.dict->count != 0;
    case J_RANGE: return v.u.range->count != 0;
    case J_LOOP: return decai__j_length(r, v) != 0;
    default: return true;
    }
}

/* ---- equality -------------------------------------------------------------------- */

static bool
num_equal(decai__j_val a, decai__j_val b)
{
    if (a.type == J_BIG || b.type == J_BIG) {
        if (a.type == b.type) return a.n == b.n && !memcmp(a.u.s, b.u.s, a.n);
        return (a.type == J_FLOAT || b.type == J_FLOAT) && decai__j_num(a) == decai__j_num(b);
    }
    if (a.type == J_FLOAT || b.type == J_FLOAT) {
        double x = decai__j_num(a), y = decai__j_num(b);
        if (a.type != b.type && fabs(x) >= 9007199254740992.0)   /* an int may not fit a double */
            return x == y && fabs(x) < 9223372036854775808.0
                && (a.type == J_FLOAT ? (int64_t)x == b.u.i : a.u.i == (int64_t)y);
        return x == y;
    }
    return a.u.i == b.u.i;
}

static bool
lists_equal(decai__j_run *r, const decai__j_list *a, const decai__j_list *b)
{
    if (a == b) return true;
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!decai__j_same(a->items[i], b->items[i]) && !decai__j_equal(r, a->items[i], b->items[i])) return false;
    return true;
}

static bool
dicts_equal(decai__j_run *r, const decai__j_dict *a, const decai__j_dict *b)
{
    if (a == b) return true;
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        decai__j_entry *e = decai__j_dict_find(r, b, a->e[i].key);
        if (!e || !(decai__j_same(a->e[i].val, e->val) || decai__j_equal(r, a->e[i].val, e->val))) return false;
    }
    return true;
}

static bool
views_equal(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    if (a.aux == DJ_VALUES || b.aux == DJ_VALUES) return false;
    if (a.aux != b.aux || a.u.dict->count != b.u.dict->count) return a.u.dict->count + b.u.dict->count == 0;
    for (uint32_t i = 0; i < a.u.dict->count; i++) {
        decai__j_entry *e = &a.u.dict->e[i], *f = decai__j_dict_find(r, b.u.dict, e->key);
        if (!f || (a.aux == DJ_ITEMS && !decai__j_equal(r, e->val, f->val))) return false;
    }
    return true;
}

static bool
equal(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    if (decai__j_is_num(a) && decai__j_is_num(b)) return num_equal(a, b);
    if (a.type <= J_UNDEF && b.type <= J_UNDEF) return true;
    if (a.type != b.type) return false;
    switch (a.type) {
    case J_NONE: return true;
    case J_STR: return a.n == b.n && !memcmp(a.u.s, b.u.s, a.n);
    case J_LIST:
    case J_TUPLE: return lists_equal(r, a.u.list, b.u.list);
    case J_DICT: return dicts_equal(r, a.u.dict, b.u.dict);
    case J_VIEW: return views_equal(r, a, b);
    case J_RANGE: {
        const decai__j_range *x = a.u.range, *y = b.u.range;
        return x->count == y->count && (!x->count || (x->start == y->start && (x->count == 1 || x->step == y->step)));
    }
    default: return decai__j_same(a, b);
    }
}

bool
decai__j_equal(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    if (a.type == J_STR && b.type == J_STR) return decai__j_pay_bytes(r, a.n) && decai__j_text_equal(a, b);
    if (!decai__j_pay(r, 1)) return false;
    bool same = false;
    if (++r->depth > r->depth_max)
        decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: values nested deeper than %u", r->depth_max);
    else
        same = equal(r, a, b);
    r->depth--;
    return same;
}

bool
decai__j_same(decai__j_val a, decai__j_val b)
{
    if (a.type != b.type) return false;
    switch (a.type) {
    case J_NONE: return true;
    case J_BOOL:
    case J_INT: return a.u.i == b.u.i && (a.type == J_BOOL || (a.u.i >= -5 && a.u.i <= 256));
    case J_FLOAT:
    case J_UNDEF: return false;
    case J_STR: return a.u.s == b.u.s && a.n == b.n && a.flag == b.flag;
    case J_VIEW: return false;
    case J_GLOBAL: return a.aux == b.aux;
    default: return a.u.list == b.u.list;
    }
}

/* ---- order ------------------------------------------------------------------------- */

static int
num_order(decai__j_val a, decai__j_val b)
{
    if (decai__j_is_int(a) && decai__j_is_int(b)) return a.u.i < b.u.i ? -1 : a.u.i > b.u.i;
    if (a.type == J_BIG && b.type == J_BIG) {
        bool minus = a.u.s[0] == '-';
        if (minus != (b.u.s[0] == '-')) return minus ? -1 : 1;
        int c = a.n != b.n ? (a.n < b.n ? -1 : 1) : memcmp(a.u.s, b.u.s, a.n);
        return minus ? -c : c;
    }
    if (a.type == J_BIG && b.type != J_FLOAT) return a.u.s[0] == '-' ? -1 : 1;
    if (b.type == J_BIG && a.type != J_FLOAT) return b.u.s[0] == '-' ? 1 : -1;
    double x = decai__j_num(a), y = decai__j_num(b);
    if (x != x || y != y) return 2;
    if (x == y && a.type != b.type && !num_equal(a, b)) {       /* an int beside a double beyond 2^53 */
        int64_t i = a.type == J_FLOAT ? b.u.i : a.u.i;
        double f = a.type == J_FLOAT ? x : y;
        int c = f >= 9223372036854775808.0 ? -1 : f < -9223372036854775808.0 ? 1 : i < (int64_t)f ? -1 : 1;
        return a.type == J_FLOAT ? -c : c;
    }
    return x < y ? -1 : x > y;
}

static int
str_order(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    uint32_t n = a.n < b.n ? a.n : b.n;
    decai__j_pay_bytes(r, n);
    int c = n ? memcmp(a.u.s, b.u.s, n) : 0;
    return c ? (c < 0 ? -1 : 1) : a.n < b.n ? -1 : a.n > b.n;
}

int
decai__j_compare(decai__j_run *r, decai__j_val a, decai__j_val b, const char *op)
{
    int c = 0;
    if (!decai__j_pay(r, 1)) return 0;
    if (decai__j_is_num(a) && decai__j_is_num(b)) return num_order(a, b);
    if (a.type == J_STR && b.type == J_STR) return str_order(r, a, b);
    if (a.type <= J_UNDEF || b.type <= J_UNDEF) {
        decai__j_undef_raise(r, a.type <= J_UNDEF ? a : b);
        return 0;
    }
    if (a.type != b.type || (a.type != J_LIST && a.type != J_TUPLE)) {
        DJ_ERROR(r, "'%s' is not supported between %s and %s", op, decai__j_type_name(a), decai__j_type_name(b));
        return 0;
    }
    if (++r->depth > r->depth_max)
        decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: values nested deeper than %u", r->depth_max);
    const decai__j_list *x = a.u.list, *y = b.u.list;
    uint32_t i = 0;
    while (!r->error && i < x->count && i < y->count
        && (decai__j_same(x->items[i], y->items[i]) || decai__j_equal(r, x->items[i], y->items[i])))
        i++;
    if (r->error) c = 0;
    else if (i < x->count && i < y->count) c = decai__j_compare(r, x->items[i], y->items[i], op);
    else c = x->count < y->count ? -1 : x->count > y->count;
    r->depth--;
    return c;
}

bool
decai__j_ordered(decai__j_run *r, enum decai__j_op op, decai__j_val a, decai__j_val b)
{
    static const char *const names[] = { "<", "<=", ">", ">=" };
    int c = decai__j_compare(r, a, b, names[op - O_LT]);
    if (c == 2) return false;
    switch (op) {
    case O_LT: return c < 0;
    case O_LE: return c <= 0;
    case O_GT: return c > 0;
    default: return c >= 0;
    }
}

/* ---- in ------------------------------------------------------------------------------ */

static bool
list_contains(decai__j_run *r, const decai__j_list *l, decai__j_val item)
{
    for (uint32_t i = 0; i < l->count && decai__j_pay(r, 1); i++)
        if (decai__j_same(l->items[i], item) || decai__j_equal(r, l->items[i], item)) return true;
    return false;
}

bool
decai__j_contains(decai__j_run *r, decai__j_val seq, decai__j_val item)
{
    decai__j_walk w;
    decai__j_val v;
    switch (seq.type) {
    case J_STR:
        if (item.type != J_STR) {
            DJ_ERROR(r, "'in <string>' requires a string, not %s", decai__j_type_name(item));
            return false;
        }
        return decai__j_pay_bytes(r, seq.n) && decai__j_find(r, seq.u.s, seq.n, item.u.s, item.n) != NULL;
    case J_LIST:
    case J_TUPLE: return list_contains(r, seq.u.list, item);
    case J_DICT:
        if (!decai__j_hashable(item)) {
            DJ_ERROR(r, "unhashable type: %s", decai__j_type_name(item));
            return false;
        }
        return decai__j_dict_find(r, seq.u.dict, item) != NULL;
    default:
        if (seq.type == J_VIEW && seq.aux == DJ_KEYS && !decai__j_hashable(item)) {
            DJ_ERROR(r, "unhashable type: %s", decai__j_type_name(item));
            return false;
        }
        if (!decai__j_is_iterable(seq)) {
            DJ_ERROR(r, "a %s has no items for 'in'", decai__j_type_name(seq));
            return false;
        }
        if (!decai__j_walk_begin(r, &w, seq)) return false;
        while (decai__j_walk_next(r, &w, &v))
            if (decai__j_same(v, item) || decai__j_equal(r, v, item)) return true;
        return false;
    }
}

/* ---- length and walking ----------------------------------------------------------------- */

int64_t
decai__j_length(decai__j_run *r, decai__j_val v)
{
    switch (v.type) {
    case J_MISSING:
    case J_UNDEF: return 0;
    case J_STR: return decai__j_chars(r, v);
    case J_LIST:
    case J_TUPLE: return v.u.list->count;
    case J_DICT:
    case J_VIEW: return v.u.dict->count;
    case J_RANGE: return v.u.range->count;
    case J_LOOP: return decai__j_loop_attr(r, v.u.loop, "length", 6).u.i;
    default:
        DJ_ERROR(r, "a %s has no length", decai__j_type_name(v));
        return -1;
    }
}

bool
decai__j_is_iterable(decai__j_val v)
{
    return v.type <= J_UNDEF || (v.type >= J_STR && v.type <= J_ITER) || v.type == J_LOOP;
}

bool
decai__j_walk_begin(decai__j_run *r, decai__j_walk *w, decai__j_val v)
{
    *w = (decai__j_walk){ .over = v };
    if (r->error) return false;
    if (decai__j_is_iterable(v)) return true;
    DJ_ERROR(r, "a %s has no items to walk over", decai__j_type_name(v));
    return false;
}

static decai__j_val
view_item(decai__j_run *r, decai__j_val view, int64_t at)
{
    const decai__j_entry *e = &view.u.dict->e[at];
    if (view.aux == DJ_KEYS) return e->key;
    return view.aux == DJ_VALUES ? e->val : decai__j_pair(r, e->key, e->val);
}

static bool
walk_str(decai__j_walk *w, decai__j_val *out)
{
    if (w->at >= w->over.n) return false;
    const char *p = w->over.u.s + w->at, *q = p;
    decai__j_rune(&q, w->over.u.s + w->over.n);
    *out = w->over;
    out->u.s = p;
    out->n = (uint32_t)(q - p);
    w->at += q - p;
    return true;
}

static bool
walk_iter(decai__j_run *r, decai__j_iter *it, decai__j_val *out)
{
    if (it->done) return false;
    if (!it->begun) {
        it->begun = true;
        /* As the generators of Jinja2's filters begin: nothing to do for what is false. */
        if (!decai__j_walk_begin(r, &it->in, it->source)) it->done = true;
    }
    if (it->done || !it->step(r, it, out)) it->done = true;
    return !it->done && !r->error;
}

bool
decai__j_walk_next(decai__j_run *r, decai__j_walk *w, decai__j_val *out)
{
    if (!decai__j_pay(r, 1)) return false;
    switch (w->over.type) {
    case J_LIST:
    case J_TUPLE:
        if (w->at >= w->over.u.list->count) return false;
        *out = w->over.u.list->items[w->at++];
        return true;
    case J_DICT:
        if (w->at >= w->over.u.dict->count) return false;
        *out = w->over.u.dict->e[w->at++].key;
        return true;
    case J_VIEW:
        if (w->at >= w->over.u.dict->count) return false;
        *out = view_item(r, w->over, w->at++);
        return !r->error;
    case J_STR: return walk_str(w, out);
    case J_RANGE:
        if (w->at >= w->over.u.range->count) return false;
        *out = decai__j_int(w->over.u.range->start + w->at++ * w->over.u.range->step);
        return true;
    case J_ITER: return walk_iter(r, w->over.u.iter, out);
    case J_LOOP: {
        decai__j_val item;
        if (!decai__j_loop_next(r, w->over.u.loop, &item)) return false;
        *out = decai__j_pair(r, item, w->over);
        return !r->error;
    }
    default: return false;
    }
}

decai__j_list *
decai__j_collect(decai__j_run *r, decai__j_val v)
{
    decai__j_walk w;
    decai__j_val item;
    int64_t n = v.type == J_LIST || v.type == J_TUPLE ? v.u.list->count : v.type == J_DICT ? v.u.dict->count : 0;
    if (!decai__j_walk_begin(r, &w, v)) return NULL;
    decai__j_list *l = decai__j_list_new(r, (uint32_t)n);
    while (l && decai__j_walk_next(r, &w, &item))
        if (!decai__j_list_add(r, l, item)) return NULL;
    return r->error ? NULL : l;
}

int64_t
decai__j_want_int(decai__j_run *r, decai__j_val v, const char *what)
{
    if (decai__j_is_int(v)) return v.u.i;
    if (v.type == J_UNDEF) decai__j_undef_raise(r, v);
    else DJ_ERROR(r, "%s: an integer is needed, not %s", what, decai__j_type_name(v));
    return 0;
}

/* ---- arithmetic ----------------------------------------------------------------------------- */

static decai__j_val
too_big(decai__j_run *r)
{
    return decai__j_raise(r, DECAI_E_UNSUPPORTED, "the result is an integer beyond 64 bits");
}

static decai__j_val
unsupported(decai__j_run *r, const char *op, decai__j_val a, decai__j_val b)
{
    if (a.type <= J_UNDEF) return decai__j_undef_raise(r, a);
    if (b.type <= J_UNDEF) return decai__j_undef_raise(r, b);
    return DJ_ERROR(r, "%s does not work for %s and %s", op, decai__j_type_name(a), decai__j_type_name(b));
}

static decai__j_val
join_lists(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    uint64_t n = (uint64_t)a.u.list->count + b.u.list->count;
    if (n > UINT32_MAX / 2 || !decai__j_pay(r, n / 4)) return decai__j_undef(r);
    decai__j_list *l = decai__j_list_new(r, (uint32_t)n);
    if (!l) return decai__j_undef(r);
    if (a.u.list->count) memcpy(l->items, a.u.list->items, a.u.list->count * sizeof(decai__j_val));
    if (b.u.list->count) memcpy(l->items + a.u.list->count, b.u.list->items, b.u.list->count * sizeof(decai__j_val));
    l->count = (uint32_t)n;
    return a.type == J_LIST ? decai__j_list_val(l) : decai__j_tuple_val(l);
}

decai__j_val
decai__j_add(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    int64_t i;
    if (a.type == J_STR && b.type == J_STR) {
        if ((a.flag | b.flag) & DJ_MARKUP) {
            a = decai__j_escape(r, a);
            b = decai__j_escape(r, b);
        }
        return decai__j_concat(r, a, b);
    }
    if (decai__j_is_int(a) && decai__j_is_int(b)) return __builtin_add_overflow(a.u.i, b.u.i, &i) ? too_big(r) : decai__j_int(i);
    if (decai__j_is_num(a) && decai__j_is_num(b))
        return a.type == J_FLOAT || b.type == J_FLOAT ? decai__j_float(decai__j_num(a) + decai__j_num(b)) : too_big(r);
    if (a.type == b.type && (a.type == J_LIST || a.type == J_TUPLE)) return join_lists(r, a, b);
    return unsupported(r, "+", a, b);
}

static decai__j_val
repeat(decai__j_run *r, decai__j_val a, int64_t times)
{
    uint64_t n = a.type == J_STR ? a.n : a.u.list->count, total;
    if (times < 0) times = 0;
    if (__builtin_mul_overflow(n, (uint64_t)times, &total) || total > UINT32_MAX / 32)
        return decai__j_raise(r, DECAI_E_LIMIT, "*: more than %u bytes or items", UINT32_MAX / 32);
    if (!decai__j_pay(r, total / 32 + 1)) return decai__j_undef(r);
    if (a.type == J_STR) {
        char *p = decai__j_alloc(r, total);
        for (uint64_t i = 0; p && n && i < total; i += n) memcpy(p + i, a.u.s, n);
        a.u.s = p ? p : "";
        a.n = p ? (uint32_t)total : 0;
        return a;
    }
    decai__j_list *l = decai__j_list_new(r, (uint32_t)total);
    for (uint64_t i = 0; l && n && i < total; i += n) memcpy(l->items + i, a.u.list->items, n * sizeof(decai__j_val));
    if (l) l->count = (uint32_t)total;
    return a.type == J_LIST ? decai__j_list_val(l) : decai__j_tuple_val(l);
}

static bool
is_sequence(decai__j_val v)
{
    return v.type == J_STR || v.type == J_LIST || v.type == J_TUPLE;
}

static decai__j_val
multiply(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    int64_t i;
    if (is_sequence(a) && decai__j_is_int(b)) return repeat(r, a, b.u.i);
    if (is_sequence(b) && decai__j_is_int(a)) return repeat(r, b, a.u.i);
    if (decai__j_is_int(a) && decai__j_is_int(b)) return __builtin_mul_overflow(a.u.i, b.u.i, &i) ? too_big(r) : decai__j_int(i);
    if (!decai__j_is_num(a) || !decai__j_is_num(b)) return unsupported(r, "*", a, b);
    return a.type == J_FLOAT || b.type == J_FLOAT ? decai__j_float(decai__j_num(a) * decai__j_num(b)) : too_big(r);
}

/* Python's float modulo and floor division: the sign of the divisor. */
static double
float_mod(double x, double y, double *quotient)
{
    double mod = fmod(x, y), div = (x - mod) / y;
    if (mod != 0) {
        if ((y < 0) != (mod < 0)) {
            mod += y;
            div -= 1.0;
        }
    } else {
        mod = copysign(0.0, y);
    }
    if (div != 0) {
        double whole = floor(div);
        if (div - whole > 0.5) whole += 1.0;
        *quotient = whole;
    } else {
        *quotient = copysign(0.0, x / y);
    }
    return mod;
}

static decai__j_val
int_divide(decai__j_run *r, enum decai__j_op op, int64_t a, int64_t b)
{
    if (op == O_DIV) {
        const int64_t exact = (int64_t)1 << 53;
        if (a > exact || a < -exact || b > exact || b < -exact) return decai__j_float(decai__j_div_ints(a, b));
        return decai__j_float((double)a / (double)b);
    }
    if (b == -1) {
        if (op == O_MOD) return decai__j_int(0);
        return a == INT64_MIN ? too_big(r) : decai__j_int(-a);
    }
    int64_t q = a / b, m = a % b;
    if (m && (m < 0) != (b < 0)) {
        m += b;
        q--;
    }
    return decai__j_int(op == O_MOD ? m : q);
}

static decai__j_val
divide(decai__j_run *r, enum decai__j_op op, decai__j_val a, decai__j_val b)
{
    if (op == O_MOD && a.type == J_STR) return decai__j_percent(r, a, b);
    if (!decai__j_is_num(a) || !decai__j_is_num(b)) return unsupported(r, op == O_MOD ? "%" : op == O_DIV ? "/" : "//", a, b);
    if (decai__j_num(b) == 0) return DJ_ERROR(r, "division by zero");
    if (decai__j_is_int(a) && decai__j_is_int(b)) return int_divide(r, op, a.u.i, b.u.i);
    if (op != O_DIV && a.type != J_FLOAT && b.type != J_FLOAT) return too_big(r);
    double x = decai__j_num(a), y = decai__j_num(b), q;
    if (op == O_DIV) return decai__j_float(x / y);
    double m = float_mod(x, y, &q);
    return decai__j_float(op == O_MOD ? m : q);
}

static decai__j_val
power(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    if (!decai__j_is_num(a) || !decai__j_is_num(b)) return unsupported(r, "**", a, b);
    if (decai__j_is_int(a) && decai__j_is_int(b) && b.u.i >= 0) {
        int64_t base = a.u.i, out = 1;
        for (int64_t e = b.u.i; e; e >>= 1) {
            if (e & 1 && __builtin_mul_overflow(out, base, &out)) return too_big(r);
            if (e > 1 && __builtin_mul_overflow(base, base, &base)) return too_big(r);
        }
        return decai__j_int(out);
    }
    if (a.type != J_FLOAT && b.type != J_FLOAT && (a.type == J_BIG || b.type == J_BIG)) return too_big(r);
    double x = decai__j_num(a), y = decai__j_num(b);
    if (x == 0 && y < 0) return DJ_ERROR(r, "0.0 cannot be raised to a negative power");
    if (x < 0 && y != floor(y) && x - x == 0)
        return decai__j_raise(r, DECAI_E_UNSUPPORTED, "**: the result is a complex number");
    double v = pow(x, y);
    if (v - v != 0 && x - x == 0 && y - y == 0) return DJ_ERROR(r, "**: the result is too large");
    return decai__j_float(v);
}

decai__j_val
decai__j_binary(decai__j_run *r, enum decai__j_op op, decai__j_val a, decai__j_val b)
{
    int64_t i;
    switch (op) {
    case O_SUB:
        if (decai__j_is_int(a) && decai__j_is_int(b)) return __builtin_sub_overflow(a.u.i, b.u.i, &i) ? too_big(r) : decai__j_int(i);
        if (!decai__j_is_num(a) || !decai__j_is_num(b)) {
            if (a.type == J_VIEW && b.type == J_VIEW) return decai__j_raise(r, DECAI_E_UNSUPPORTED, "sets");
            return unsupported(r, "-", a, b);
        }
        return a.type == J_FLOAT || b.type == J_FLOAT ? decai__j_float(decai__j_num(a) - decai__j_num(b)) : too_big(r);
    case O_MUL: return multiply(r, a, b);
    case O_POW: return power(r, a, b);
    default: return divide(r, op, a, b);
    }
}

decai__j_val
decai__j_negate(decai__j_run *r, decai__j_val v, bool minus)
{
    if (v.type == J_FLOAT) return decai__j_float(minus ? -v.u.f : v.u.f);
    if (v.type == J_BIG) {
        if (!minus) return v;
        if (v.u.s[0] == '-') return (decai__j_val){ .type = J_BIG, .n = v.n - 1, .u.s = v.u.s + 1 };
        char *p = decai__j_alloc(r, (size_t)v.n + 1);
        if (!p) return decai__j_undef(r);
        p[0] = '-';
        memcpy(p + 1, v.u.s, v.n);
        return (decai__j_val){ .type = J_BIG, .n = v.n + 1, .u.s = p };
    }
    if (!decai__j_is_int(v)) return unsupported(r, minus ? "unary -" : "unary +", v, v);
    if (minus && v.u.i == INT64_MIN) return too_big(r);
    return decai__j_int(minus ? -v.u.i : v.u.i);
}
