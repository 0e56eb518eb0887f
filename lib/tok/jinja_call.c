/* jinja_call.c - what can be called: macros, methods, and the few functions that
 * every chat template may use. Nothing here reaches outside of the rendering:
 * strftime_now reads the time that the rendering was given. */
#include <string.h>

#include "tok/jinja_tree.h"

enum global { G_RANGE, G_DICT, G_NAMESPACE, G_CYCLER, G_JOINER, G_RAISE, G_STRFTIME, G_LIPSUM, G_COUNT };
static const char *const globals[G_COUNT] = { "range", "dict", "namespace", "cycler", "joiner", "raise_exception",
    "strftime_now", "lipsum" };

int32_t
decai__j_global_find(decai__j_val name)
{
    for (int32_t i = 0; i < G_COUNT; i++)
        if (decai__j_str_is(name, globals[i], strlen(globals[i]))) return i;
    return -1;
}

/* ---- arguments --------------------------------------------------------------------- */

/* The i-th of space-separated names. */
static bool
name_at(const char *names, uint32_t i, const char **name, size_t *n)
{
    while (i-- > 0) {
        names = strchr(names, ' ');
        if (!names) return false;
        names++;
    }
    const char *end = strchr(names, ' ');
    *name = names;
    *n = end ? (size_t)(end - names) : strlen(names);
    return *n > 0;
}

/* By position only, and not too few. */
static bool
bind_positions(const decai__j_args *a, const char *names, uint32_t need, decai__j_val *out)
{
    uint32_t count = *names != 0;
    for (const char *c = names; *c; c++) count += *c == ' ';
    if (a->count > count || a->count < need) return false;
    for (uint32_t i = 0; i < count; i++) out[i] = i < a->count ? a->pos[i] : decai__j_missing();
    for (uint32_t i = 0; i < need; i++)
        if (out[i].type == J_MISSING) return false;
    return true;
}

bool
decai__j_bind_args(decai__j_run *r, const decai__j_args *a, const char *names, uint32_t need, decai__j_val *out)
{
    if (!a->kw_count && !r->error && bind_positions(a, names, need, out)) return true;
    const char *name;
    size_t n;
    uint32_t count = 0, used = 0;
    if (a->kw_count && !decai__j_pay(r, a->kw_count)) return false;
    for (; name_at(names, count, &name, &n); count++) {
        out[count] = count < a->count ? a->pos[count] : decai__j_missing();
        for (uint32_t k = 0; k < a->kw_count; k++) {
            if (!decai__j_str_is(a->kw[k].name, name, n)) continue;
            if (out[count].type != J_MISSING) {
                DJ_ERROR(r, "two values for the argument %.*s", (int)n, name);
                return false;
            }
            out[count] = a->kw[k].val;
            used++;
        }
        if (count < need && out[count].type == J_MISSING) {
            DJ_ERROR(r, "the argument %.*s is missing", (int)n, name);
            return false;
        }
    }
    if (a->count > count || used < a->kw_count) {
        DJ_ERROR(r, a->count > count ? "too many arguments" : "an argument with an unknown name");
        return false;
    }
    return !r->error;
}

/* ---- the functions ---------------------------------------------------------------------- */

enum { RANGE_MAX = 100000, RANGE_VALUE_MAX = 1 << 30 };   /* the first one is the sandbox's own */

static decai__j_val
call_range(decai__j_run *r, const decai__j_args *a)
{
    int64_t v[3] = { 0, 0, 1 };
    if (a->kw_count || a->count < 1 || a->count > 3) return DJ_ERROR(r, "range takes one to three integers");
    for (uint32_t i = 0; i < a->count; i++) v[a->count == 1 ? 1 : i] = decai__j_want_int(r, a->pos[i], "range");
    if (r->error) return decai__j_undef(r);
    if (v[2] == 0) return DJ_ERROR(r, "range: the step cannot be zero");
    for (int i = 0; i < 3; i++)
        if (v[i] < -RANGE_VALUE_MAX || v[i] > RANGE_VALUE_MAX)
            return decai__j_raise(r, DECAI_E_UNSUPPORTED, "range: a value beyond 2^30");
    int64_t count = v[2] > 0 ? (v[1] > v[0] ? (v[1] - v[0] - 1) / v[2] + 1 : 0)
                             : (v[1] < v[0] ? (v[0] - v[1] - 1) / -v[2] + 1 : 0);
    if (count > RANGE_MAX) return DJ_ERROR(r, "range: more than %d items", RANGE_MAX);
    decai__j_range *g = decai__j_alloc(r, sizeof *g);
    if (!g) return decai__j_undef(r);
    *g = (decai__j_range){ v[0], v[1], v[2], count };
    return (decai__j_val){ .type = J_RANGE, .u.range = g };
}

/* dict(mapping or pairs, name=value...) */
static decai__j_dict *
make_dict(decai__j_run *r, const decai__j_args *a)
{
    decai__j_dict *d = decai__j_dict_new(r, 0);
    decai__j_walk w;
    decai__j_val item;
    if (a->count > 1) DJ_ERROR(r, "dict takes at most one argument without a name");
    if (d && a->count == 1 && a->pos[0].type == J_DICT) {
        const decai__j_dict *from = a->pos[0].u.dict;
        for (uint32_t i = 0; i < from->count && decai__j_pay(r, 1); i++) decai__j_dict_set(r, d, from->e[i].key, from->e[i].val);
    } else if (d && a->count == 1 && decai__j_walk_begin(r, &w, a->pos[0])) {
        while (decai__j_walk_next(r, &w, &item)) {
            decai__j_list *pair = decai__j_collect(r, item);
            if (!pair || pair->count != 2) {
                DJ_ERROR(r, "dict needs pairs");
                break;
            }
            decai__j_dict_set(r, d, pair->items[0], pair->items[1]);
        }
    }
    for (uint32_t i = 0; d && i < a->kw_count && !r->error; i++) decai__j_dict_set(r, d, a->kw[i].name, a->kw[i].val);
    return r->error ? NULL : d;
}

static decai__j_val
call_namespace(decai__j_run *r, const decai__j_args *a)
{
    decai__j_dict *d = make_dict(r, a);
    return d ? (decai__j_val){ .type = J_NS, .u.dict = d } : decai__j_undef(r);
}

static decai__j_val
call_cycler(decai__j_run *r, const decai__j_args *a, bool joiner)
{
    decai__j_val sep = decai__j_lit(", ");
    decai__j_cycler *c = decai__j_alloc(r, sizeof *c);
    if (joiner && a->count + a->kw_count && !decai__j_bind_args(r, a, "sep", 0, &sep)) return decai__j_undef(r);
    if (!joiner && (a->kw_count || !a->count)) return DJ_ERROR(r, "cycler needs items");
    uint32_t n = joiner ? 1 : a->count;
    decai__j_val *items = decai__j_alloc(r, n * sizeof *items);
    if (!c || !items) return decai__j_undef(r);
    memcpy(items, joiner ? &sep : a->pos, n * sizeof *items);
    *c = (decai__j_cycler){ items, n, 0, false };
    return (decai__j_val){ .type = joiner ? J_JOINER : J_CYCLER, .u.cycler = c };
}

/* The message itself may hold parts of the conversation, which errors never do:
 * the error shows the expression, in which most of the message stands. */
static decai__j_val
call_raise(decai__j_run *r, const decai__j_args *a)
{
    decai__j_val message;
    if (!decai__j_bind_args(r, a, "message", 1, &message)) return decai__j_undef(r);
    return decai__j_raise(r, DECAI_E_TEMPLATE, "the template refuses this conversation");
}

decai__j_val
decai__j_call_global(decai__j_run *r, uint32_t which, const decai__j_args *a)
{
    decai__j_val v;
    switch (which) {
    case G_RANGE: return call_range(r, a);
    case G_DICT: return decai__j_dict_val(make_dict(r, a));
    case G_NAMESPACE: return call_namespace(r, a);
    case G_CYCLER: return call_cycler(r, a, false);
    case G_JOINER: return call_cycler(r, a, true);
    case G_RAISE: return call_raise(r, a);
    case G_STRFTIME:
        if (!decai__j_bind_args(r, a, "format", 1, &v)) return decai__j_undef(r);
        return decai__j_strftime(r, v);
    default: return decai__j_raise(r, DECAI_E_UNSUPPORTED, "%s: its text is random", globals[which]);
    }
}

decai__j_val
decai__j_call(decai__j_run *r, decai__j_val callee, const decai__j_args *a)
{
    if (r->error) return decai__j_undef(r);
    switch (callee.type) {
    case J_MACRO: {
        if (r->depth >= r->depth_max) return decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: deeper than %u", r->depth_max);
        return decai__j_call_macro(r, callee.u.macro, a);
    }
    case J_GLOBAL: return decai__j_call_global(r, callee.aux, a);
    case J_METHOD: return decai__j_method_call(r, callee.u.bound->self, (uint16_t)callee.u.bound->method, a);
    case J_LOOP: {
        decai__j_val items;
        if (!decai__j_bind_args(r, a, "iterable", 1, &items)) return decai__j_undef(r);
        return decai__j_loop_recurse(r, callee.u.loop, items);
    }
    case J_JOINER:
        if (a->count || a->kw_count) return DJ_ERROR(r, "a joiner takes no arguments");
        if (callee.u.cycler->used) return callee.u.cycler->items[0];
        callee.u.cycler->used = true;
        return decai__j_lit("");
    case J_MISSING:
    case J_UNDEF: return decai__j_undef_raise(r, callee);
    default: return DJ_ERROR(r, "a %s cannot be called", decai__j_type_name(callee));
    }
}

/* ---- what filters share -------------------------------------------------------------------- */

static bool
all_digits(decai__j_val s)
{
    for (uint32_t i = 0; i < s.n; i++)
        if (s.u.s[i] < '0' || s.u.s[i] > '9') return false;
    return s.n > 0 && s.n < 18;
}

decai__j_val
decai__j_path(decai__j_run *r, decai__j_val item, decai__j_val path, decai__j_val fallback)
{
    bool has = fallback.type != J_MISSING && fallback.type != J_NONE;
    if (path.type == J_MISSING || path.type == J_NONE) return item;
    if (path.type != J_STR) {
        item = decai__j_item(r, item, path);
        return has && item.type == J_UNDEF ? fallback : item;
    }
    for (size_t at = 0; at <= path.n && !r->error;) {
        const char *dot = memchr(path.u.s + at, '.', path.n - at);
        size_t end = dot ? (size_t)(dot - path.u.s) : path.n;
        decai__j_val part = decai__j_sub(path, at, end);
        if (all_digits(part)) {
            int64_t i = 0;
            for (uint32_t k = 0; k < part.n; k++) i = i * 10 + (part.u.s[k] - '0');
            part = decai__j_int(i);
        }
        item = decai__j_item(r, item, part);
        if (has && item.type == J_UNDEF) item = fallback;
        at = end + 1;
        decai__j_pay(r, 1);
    }
    return item;
}

decai__j_val
decai__j_fold(decai__j_run *r, decai__j_val v)
{
    return v.type == J_STR ? decai__j_str_case(r, v, 'l') : v;
}

/* Merge sort, bottom up: stable, no recursion, n log n comparisons. */
bool
decai__j_sort(decai__j_run *r, decai__j_val *items, decai__j_val *keys, uint32_t n, bool reverse)
{
    size_t size = n * sizeof(decai__j_val);
    decai__j_val *to_items = decai__j_alloc(r, size), *to_keys = decai__j_alloc(r, size), *ai = items, *ak = keys;
    if (!to_items || !to_keys) return false;
    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t lo = 0; lo < n; lo += 2 * width) {
            uint64_t mid = DECAI__MIN(lo + width, n), hi = DECAI__MIN(lo + 2 * width, n), i = lo, j = mid;
            for (uint64_t k = lo; k < hi; k++) {
                bool right = i >= mid;
                if (i < mid && j < hi) {
                    int c = reverse ? decai__j_compare(r, ak[i], ak[j], "<") : decai__j_compare(r, ak[j], ak[i], "<");
                    right = c == -1;
                }
                uint64_t from = right ? j++ : i++;
                to_items[k] = ai[from];
                to_keys[k] = ak[from];
            }
            if (r->error) return false;
        }
        decai__j_val *t = ai;
        ai = to_items;
        to_items = t;
        t = ak;
        ak = to_keys;
        to_keys = t;
    }
    if (ai != items && n) {
        memcpy(items, ai, size);
        memcpy(keys, ak, size);
    }
    return true;
}
