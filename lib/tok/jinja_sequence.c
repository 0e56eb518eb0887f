/* jinja_sequence.c - the filters that walk over items.
 *
 * map, select, reject, selectattr, rejectattr, items and unique are lazy, as in
 * Jinja2: nothing happens before somebody walks over the result, and the result
 * can be walked once. reverse, batch and slice give what is walked once, too, but
 * are computed at once. Sorting is stable and by Python's order. */
#include <string.h>

#include "tok/jinja_filter.h"

/* Something to walk once, made of a lazy step or (step NULL) of another value. */
static decai__j_val
iter_new(decai__j_run *r, decai__j_val source, bool (*step)(decai__j_run *, decai__j_iter *, decai__j_val *), const char *name)
{
    decai__j_iter *it = decai__j_alloc(r, sizeof *it);
    if (!it) return decai__j_undef(r);
    *it = (decai__j_iter){ .source = source, .step = step, .name = name };
    return (decai__j_val){ .type = J_ITER, .u.iter = it };
}

static bool
step_same(decai__j_run *r, decai__j_iter *it, decai__j_val *out)
{
    return decai__j_walk_next(r, &it->in, out);
}

/* Arguments live on the stack; a lazy filter keeps its own. */
static const decai__j_args *
keep(decai__j_run *r, const decai__j_args *a)
{
    decai__j_args *k = decai__j_alloc(r, sizeof *k);
    decai__j_val *pos = decai__j_alloc(r, (a->count + 1) * sizeof *pos);
    decai__j_kwarg *kw = decai__j_alloc(r, (a->kw_count + 1) * sizeof *kw);
    if (!k || !pos || !kw) return NULL;
    if (a->count) memcpy(pos, a->pos, a->count * sizeof *pos);
    if (a->kw_count) memcpy(kw, a->kw, a->kw_count * sizeof *kw);
    *k = (decai__j_args){ pos, a->count, kw, a->kw_count };
    return k;
}

static decai__j_args
behind(const decai__j_args *a, uint32_t from)
{
    return (decai__j_args){ a->pos + from, a->count - from, a->kw, a->kw_count };
}

/* ---- map ----------------------------------------------------------------------------- */

static bool
kw_get(const decai__j_args *a, const char *name, decai__j_val *out)
{
    for (uint32_t i = 0; i < a->kw_count; i++)
        if (decai__j_str_is(a->kw[i].name, name, strlen(name))) {
            *out = a->kw[i].val;
            return true;
        }
    return false;
}

static bool
step_map(decai__j_run *r, decai__j_iter *it, decai__j_val *out)
{
    decai__j_val item, path, fallback = decai__j_missing();
    const decai__j_args *a = it->args;
    if (!decai__j_walk_next(r, &it->in, &item)) return false;
    if (!a->count && kw_get(a, "attribute", &path)) {
        bool has = kw_get(a, "default", &fallback);
        if (a->kw_count > 1u + has) DJ_ERROR(r, "map: an argument with an unknown name");
        *out = decai__j_path(r, item, path, fallback);
        return !r->error;
    }
    if (!a->count) {
        DJ_ERROR(r, "map needs a filter or an attribute");
        return false;
    }
    decai__j_val name = a->pos[0];
    uint16_t which = name.type == J_STR ? decai__j_filter_find(name.u.s, name.n) : (uint16_t)DJ_UNKNOWN;
    if (which == DJ_UNKNOWN) {
        DJ_ERROR(r, "map: no such filter");
        return false;
    }
    decai__j_args rest = behind(a, 1);
    *out = decai__j_filter_call(r, which, item, &rest);
    return !r->error;
}

/* A lazy filter; what is false has nothing to walk over and is not looked at. */
static decai__j_val
lazy(decai__j_run *r, decai__j_val in, const decai__j_args *a, bool (*step)(decai__j_run *, decai__j_iter *, decai__j_val *), bool attr, bool negate)
{
    bool any = decai__j_truth(r, in);
    decai__j_list *none = any ? NULL : decai__j_list_new(r, 0);
    decai__j_val v = iter_new(r, any ? in : decai__j_list_val(none), step, "generator");
    if (v.type != J_ITER) return v;
    v.u.iter->args = keep(r, a);
    v.u.iter->attr = attr;
    v.u.iter->negate = negate;
    return r->error ? decai__j_undef(r) : v;
}

decai__j_val
decai__j_f_map(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    return lazy(r, in, a, step_map, false, false);
}

/* ---- select and its kin ------------------------------------------------------------------ */

static bool
selected(decai__j_run *r, const decai__j_iter *it, decai__j_val item)
{
    const decai__j_args *a = it->args;
    uint32_t off = it->attr;
    if (it->attr) {
        if (!a->count) {
            DJ_ERROR(r, "an attribute's name is missing");
            return false;
        }
        item = decai__j_path(r, item, a->pos[0], decai__j_missing());
    }
    if (r->error) return false;
    if (a->count <= off) return decai__j_truth(r, item);
    decai__j_val name = a->pos[off];
    uint16_t which = name.type == J_STR ? decai__j_test_find(name.u.s, name.n) : (uint16_t)DJ_UNKNOWN;
    if (which == DJ_UNKNOWN) {
        DJ_ERROR(r, "no such test");
        return false;
    }
    decai__j_args rest = behind(a, off + 1);
    return decai__j_test_call(r, which, item, &rest);
}

static bool
step_select(decai__j_run *r, decai__j_iter *it, decai__j_val *out)
{
    while (decai__j_walk_next(r, &it->in, out)) {
        bool yes = selected(r, it, *out);
        if (r->error) return false;
        if (yes != it->negate) return true;
    }
    return false;
}

decai__j_val decai__j_f_select(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return lazy(r, in, a, step_select, false, false); }
decai__j_val decai__j_f_reject(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return lazy(r, in, a, step_select, false, true); }
decai__j_val decai__j_f_selectattr(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return lazy(r, in, a, step_select, true, false); }
decai__j_val decai__j_f_rejectattr(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return lazy(r, in, a, step_select, true, true); }

/* ---- items, unique --------------------------------------------------------------------------- */

static bool
step_items(decai__j_run *r, decai__j_iter *it, decai__j_val *out)
{
    if (it->source.type > J_UNDEF && it->source.type != J_DICT) {
        DJ_ERROR(r, "items: a mapping is needed, not %s", decai__j_type_name(it->source));
        return false;
    }
    if (it->source.type == J_DICT && it->in.over.type == J_DICT)
        it->in.over = (decai__j_val){ .type = J_VIEW, .aux = DJ_ITEMS, .u.dict = it->source.u.dict };
    return decai__j_walk_next(r, &it->in, out);
}

decai__j_val
decai__j_f_items(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    return iter_new(r, in, step_items, "generator");
}

static bool
step_unique(decai__j_run *r, decai__j_iter *it, decai__j_val *out)
{
    decai__j_val arg[2];
    if (!it->state && !(it->state = decai__j_dict_new(r, 0))) return false;
    if (!decai__j_bind_args(r, it->args, "case_sensitive attribute", 0, arg)) return false;
    while (decai__j_walk_next(r, &it->in, out)) {
        decai__j_dict *seen = it->state;
        decai__j_val key = decai__j_path(r, *out, arg[1], decai__j_missing());
        if (!decai__j_truth(r, arg[0])) key = decai__j_fold(r, key);
        uint32_t before = seen->count;
        if (!decai__j_dict_set(r, seen, key, decai__j_none()) || r->error) return false;
        if (seen->count > before) return true;
    }
    return false;
}

decai__j_val
decai__j_f_unique(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val v = iter_new(r, in, step_unique, "generator");
    if (v.type == J_ITER) v.u.iter->args = keep(r, a);
    return v;
}

/* ---- one of them --------------------------------------------------------------------------------- */

decai__j_val
decai__j_f_first(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_walk w;
    decai__j_val v;
    if (!decai__j_bind_args(r, a, "", 0, NULL) || !decai__j_walk_begin(r, &w, in)) return decai__j_undef(r);
    return decai__j_walk_next(r, &w, &v) ? v : decai__j_undef(r);
}

static bool
reversible(decai__j_val v)
{
    return v.type <= J_UNDEF || (v.type >= J_STR && v.type <= J_VIEW);
}

decai__j_val
decai__j_f_last(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    if (!reversible(in)) return DJ_ERROR(r, "last: a %s cannot be walked backwards; add |list", decai__j_type_name(in));
    if (in.type == J_LIST || in.type == J_TUPLE) {
        const decai__j_list *l = in.u.list;
        return l->count ? l->items[l->count - 1] : decai__j_undef(r);
    }
    decai__j_list *l = decai__j_collect(r, in);
    return l && l->count ? l->items[l->count - 1] : decai__j_undef(r);
}

static decai__j_val
extreme(decai__j_run *r, decai__j_val in, const decai__j_args *a, bool max)
{
    decai__j_val arg[2], item, best = decai__j_undef(r), best_key = decai__j_missing();
    decai__j_walk w;
    if (!decai__j_bind_args(r, a, "case_sensitive attribute", 0, arg) || !decai__j_walk_begin(r, &w, in)) return decai__j_undef(r);
    while (decai__j_walk_next(r, &w, &item)) {
        decai__j_val key = decai__j_path(r, item, arg[1], decai__j_missing());
        if (!decai__j_truth(r, arg[0])) key = decai__j_fold(r, key);
        if (best_key.type != J_MISSING) {
            int c = max ? decai__j_compare(r, key, best_key, ">") : decai__j_compare(r, key, best_key, "<");
            if (c != (max ? 1 : -1)) continue;
        }
        best = item;
        best_key = key;
    }
    return best;
}

decai__j_val decai__j_f_min(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return extreme(r, in, a, false); }
decai__j_val decai__j_f_max(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return extreme(r, in, a, true); }

/* ---- all of them ------------------------------------------------------------------------------------ */

decai__j_val
decai__j_f_length(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    int64_t n = decai__j_length(r, in);
    return r->error ? decai__j_undef(r) : decai__j_int(n);
}

decai__j_val
decai__j_f_list(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    return decai__j_list_val(decai__j_collect(r, in));
}

decai__j_val
decai__j_f_join(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2], item;
    decai__j_walk w;
    if (!decai__j_bind_args(r, a, "d attribute", 0, arg)) return decai__j_undef(r);
    decai__j_val sep = arg[0].type == J_MISSING ? decai__j_lit("") : decai__j_to_str(r, arg[0]);
    size_t from = r->out.len;
    bool first = true;
    if (!decai__j_walk_begin(r, &w, in)) return decai__j_undef(r);
    while (decai__j_walk_next(r, &w, &item)) {
        if (!first) decai__j_put_val(r, sep);
        first = false;
        decai__j_put_val(r, decai__j_path(r, item, arg[1], decai__j_missing()));
    }
    return decai__j_taken(r, from);
}

static decai__j_val
reverse_str(decai__j_run *r, decai__j_val s)
{
    return decai__j_slice(r, s, decai__j_missing(), decai__j_missing(), decai__j_int(-1));
}

decai__j_val
decai__j_f_reverse(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    if (in.type == J_STR) return reverse_str(r, in);
    decai__j_list *l = decai__j_collect(r, in), *back = l ? decai__j_list_new(r, l->count) : NULL;
    if (!back) return decai__j_undef(r);
    for (uint32_t i = l->count; i-- > 0;) back->items[back->count++] = l->items[i];
    return reversible(in) ? iter_new(r, decai__j_list_val(back), step_same, "reverse iterator") : decai__j_list_val(back);
}

decai__j_val
decai__j_f_sum(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2], item;
    decai__j_walk w;
    if (!decai__j_bind_args(r, a, "attribute start", 0, arg) || !decai__j_walk_begin(r, &w, in)) return decai__j_undef(r);
    decai__j_val sum = arg[1].type == J_MISSING ? decai__j_int(0) : arg[1];
    if (sum.type == J_STR) return DJ_ERROR(r, "sum: texts cannot be summed");
    while (decai__j_walk_next(r, &w, &item)) sum = decai__j_add(r, sum, decai__j_path(r, item, arg[0], decai__j_missing()));
    return sum;
}

decai__j_val
decai__j_f_batch(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2], item;
    decai__j_walk w;
    if (!decai__j_bind_args(r, a, "linecount fill_with", 1, arg) || !decai__j_walk_begin(r, &w, in)) return decai__j_undef(r);
    int64_t n = decai__j_want_int(r, arg[0], "batch");
    decai__j_list *rows = decai__j_list_new(r, 4), *row = decai__j_list_new(r, 4);
    while (rows && row && decai__j_walk_next(r, &w, &item)) {
        if (row->count == n) {
            decai__j_list_add(r, rows, decai__j_list_val(row));
            if (!(row = decai__j_list_new(r, 4))) break;
        }
        decai__j_list_add(r, row, item);
    }
    bool fill = arg[1].type != J_MISSING && arg[1].type != J_NONE;
    while (row && row->count && fill && row->count < n && decai__j_pay(r, 1) && decai__j_list_add(r, row, arg[1])) { }
    if (row && row->count) decai__j_list_add(r, rows, decai__j_list_val(row));
    return r->error ? decai__j_undef(r) : iter_new(r, decai__j_list_val(rows), step_same, "generator");
}

decai__j_val
decai__j_f_slice(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2];
    if (!decai__j_bind_args(r, a, "slices fill_with", 1, arg)) return decai__j_undef(r);
    int64_t n = decai__j_want_int(r, arg[0], "slice");
    decai__j_list *all = decai__j_collect(r, in), *out = decai__j_list_new(r, 4);
    if (!all || !out) return decai__j_undef(r);
    if (n == 0) return DJ_ERROR(r, "slice: division by zero");
    int64_t each = n > 0 ? all->count / n : 0, more = n > 0 ? all->count % n : 0, at = 0;
    for (int64_t i = 0; i < n && decai__j_pay(r, 1); i++) {
        int64_t count = each + (i < more);
        decai__j_list *part = decai__j_list_new(r, (uint32_t)count + 1);
        if (!part) break;
        for (int64_t k = 0; k < count; k++) part->items[part->count++] = all->items[at++];
        if (i >= more && arg[1].type != J_MISSING && arg[1].type != J_NONE) part->items[part->count++] = arg[1];
        decai__j_list_add(r, out, decai__j_list_val(part));
    }
    return r->error ? decai__j_undef(r) : iter_new(r, decai__j_list_val(out), step_same, "generator");
}

/* ---- in order ------------------------------------------------------------------------------------------ */

/* sort's key: a list with one part for each of the comma-separated paths. */
static decai__j_val
sort_key(decai__j_run *r, decai__j_val item, decai__j_val path, bool fold)
{
    decai__j_list *key = decai__j_list_new(r, 1);
    if (!key) return decai__j_undef(r);
    bool text = path.type == J_STR;
    for (size_t at = 0; at <= (text ? path.n : 0) && !r->error;) {
        const char *comma = text ? memchr(path.u.s + at, ',', path.n - at) : NULL;
        size_t end = comma ? (size_t)(comma - path.u.s) : path.n;
        decai__j_val v = decai__j_path(r, item, text ? decai__j_sub(path, at, end) : path, decai__j_missing());
        decai__j_list_add(r, key, fold ? decai__j_fold(r, v) : v);
        at = end + 1;
    }
    return decai__j_list_val(key);
}

decai__j_val
decai__j_f_sort(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[3];
    if (!decai__j_bind_args(r, a, "reverse case_sensitive attribute", 0, arg)) return decai__j_undef(r);
    decai__j_list *l = decai__j_collect(r, in);
    decai__j_val *keys = l ? decai__j_alloc(r, (l->count + 1) * sizeof *keys) : NULL;
    if (!keys) return decai__j_undef(r);
    for (uint32_t i = 0; i < l->count && !r->error; i++)
        keys[i] = sort_key(r, l->items[i], arg[2], !decai__j_truth(r, arg[1]));
    if (r->error || !decai__j_sort(r, l->items, keys, l->count, decai__j_truth(r, arg[0]))) return decai__j_undef(r);
    return decai__j_list_val(l);
}

decai__j_val
decai__j_f_dictsort(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[3];
    if (!decai__j_bind_args(r, a, "case_sensitive by reverse", 0, arg)) return decai__j_undef(r);
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    bool value = decai__j_str_is(arg[1], "value", 5);
    if (arg[1].type != J_MISSING && !value && !decai__j_str_is(arg[1], "key", 3))
        return DJ_ERROR(r, "dictsort: by must be 'key' or 'value'");
    if (in.type != J_DICT) return DJ_ERROR(r, "dictsort: a dict is needed, not %s", decai__j_type_name(in));
    const decai__j_dict *d = in.u.dict;
    decai__j_list *l = decai__j_list_new(r, d->count);
    decai__j_val *keys = decai__j_alloc(r, (d->count + 1) * sizeof *keys);
    if (!l || !keys) return decai__j_undef(r);
    for (uint32_t i = 0; i < d->count && !r->error; i++) {
        l->items[l->count++] = decai__j_pair(r, d->e[i].key, d->e[i].val);
        keys[i] = value ? d->e[i].val : d->e[i].key;
        if (!decai__j_truth(r, arg[0])) keys[i] = decai__j_fold(r, keys[i]);
    }
    if (r->error || !decai__j_sort(r, l->items, keys, l->count, decai__j_truth(r, arg[2]))) return decai__j_undef(r);
    return decai__j_list_val(l);
}

static decai__j_val
group_key(decai__j_run *r, decai__j_val item, const decai__j_val arg[3], bool fold)
{
    decai__j_val v = decai__j_path(r, item, arg[0], arg[1]);
    return fold ? decai__j_fold(r, v) : v;
}

decai__j_val
decai__j_f_groupby(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[3];
    if (!decai__j_bind_args(r, a, "attribute default case_sensitive", 1, arg)) return decai__j_undef(r);
    decai__j_list *l = decai__j_collect(r, in), *out = decai__j_list_new(r, 4);
    decai__j_val *keys = l ? decai__j_alloc(r, (l->count + 1) * sizeof *keys) : NULL;
    if (!keys || !out) return decai__j_undef(r);
    bool fold = !decai__j_truth(r, arg[2]);
    for (uint32_t i = 0; i < l->count && !r->error; i++) keys[i] = group_key(r, l->items[i], arg, fold);
    if (r->error || !decai__j_sort(r, l->items, keys, l->count, false)) return decai__j_undef(r);
    for (uint32_t i = 0; i < l->count && !r->error;) {
        decai__j_list *group = decai__j_list_new(r, 4);
        uint32_t first = i;
        while (group && i < l->count && decai__j_equal(r, keys[i], keys[first])) decai__j_list_add(r, group, l->items[i++]);
        if (i == first) i++;                         /* NaN equals nothing */
        decai__j_val t = decai__j_pair(r, group_key(r, l->items[first], arg, false), decai__j_list_val(group));
        t.aux = 1;                                   /* has .grouper and .list */
        decai__j_list_add(r, out, t);
    }
    return decai__j_list_val(out);
}
