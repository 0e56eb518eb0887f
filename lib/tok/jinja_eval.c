/* jinja_eval.c - the value of an expression.
 *
 * A walk over the tree. Each node costs one step of fuel and one level of depth;
 * after an error the fuel is gone, so the walk unwinds by itself. r->node is the
 * node whose own work is being done, for the error's place: it is set again
 * after the children were computed. */
#include <string.h>

#include "tok/jinja_tree.h"

decai__j_val *
decai__j_slot(decai__j_frame *f, uint32_t hops, uint32_t slot)
{
    while (hops--) f = f->outer;
    return &f->slots[slot];
}

static decai__j_val
eval_name(decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val v = *decai__j_slot(f, n->hops, n->slot);
    return v.type == J_MISSING ? (decai__j_val){ .type = J_UNDEF, .u.node = n } : v;
}

static inline decai__j_val
field(const decai__j_dict *d, const decai__j_node *n)
{
    const decai__j_val *v = decai__j_dict_at(d, n->sym);
    return v ? *v : (decai__j_val){ .type = J_UNDEF, .u.node = n };
}

static decai__j_val
eval_list(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_list *l = decai__j_list_new(r, n->count);
    for (uint32_t i = 0; l && i < n->count; i++) l->items[l->count++] = decai__j_eval(r, f, n->kid[i]);
    return n->kind == N_LIST ? decai__j_list_val(l) : decai__j_tuple_val(l);
}

static decai__j_val
eval_dict(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_dict *d = decai__j_dict_new(r, n->count / 2);
    for (uint32_t i = 0; d && i + 1 < n->count && !r->error; i += 2) {
        decai__j_val key = decai__j_eval(r, f, n->kid[i]), val = decai__j_eval(r, f, n->kid[i + 1]);
        r->node = n;
        decai__j_dict_set(r, d, key, val);
    }
    return decai__j_dict_val(d);
}

static decai__j_val
eval_slice(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val part[4];
    for (uint32_t i = 0; i < 4; i++) part[i] = n->kid[i] ? decai__j_eval(r, f, n->kid[i]) : decai__j_missing();
    r->node = n;
    bool sliced = part[0].type >= J_STR && part[0].type <= J_RANGE && part[0].type != J_DICT;
    if (n->flags & DJ_FOLDED && !sliced && part[0].type > J_UNDEF) return decai__j_undef(r);
    return decai__j_slice(r, part[0], part[1], part[2], part[3]);
}

/* and, or: the operand that decides. */
static decai__j_val
eval_logic(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val v = decai__j_eval(r, f, n->kid[0]);
    for (uint32_t i = 1; i < n->count && decai__j_truth(r, v) == (n->kind == N_AND) && !r->error; i++)
        v = decai__j_eval(r, f, n->kid[i]);
    return v;
}

static decai__j_val
eval_add(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val v = decai__j_eval(r, f, n->kid[0]);
    for (uint32_t i = 1; i < n->count && !r->error; i++) {
        decai__j_val w = decai__j_eval(r, f, n->kid[i]);
        r->node = n;
        v = decai__j_add(r, v, w);
    }
    return v;
}

/* a ~ b ~ c: the texts of all, side by side; computed first, as Python does. */
static decai__j_val
eval_concat(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val *parts = decai__j_push(r, n->count), v = decai__j_lit("");
    if (!parts) return decai__j_undef(r);
    for (uint32_t i = 0; i < n->count; i++) parts[i] = decai__j_eval(r, f, n->kid[i]);
    r->node = n;
    for (uint32_t i = 0; i < n->count && !r->error; i++) {
        decai__j_val s = decai__j_to_str(r, parts[i]);
        s.flag = 0;
        v = decai__j_concat(r, v, s);
    }
    decai__j_pop(r, parts);
    return v;
}

static bool
operand(decai__j_run *r, enum decai__j_op op, decai__j_val a, decai__j_val b)
{
    switch (op) {
    case O_EQ: return decai__j_equal(r, a, b);
    case O_NE: return !decai__j_equal(r, a, b);
    case O_IN: return decai__j_contains(r, b, a);
    case O_NOTIN: return !decai__j_contains(r, b, a);
    default: return decai__j_ordered(r, op, a, b);
    }
}

static decai__j_val
eval_compare(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    bool holds = true;
    decai__j_val a = decai__j_eval(r, f, n->kid[0]);
    for (uint32_t i = 1; i < n->count && holds && !r->error; i++) {
        const decai__j_node *o = n->kid[i];
        decai__j_val b = decai__j_eval(r, f, o->kid[0]);
        r->node = n;
        holds = operand(r, (enum decai__j_op)o->op, a, b);
        a = b;
    }
    return decai__j_bool(holds);
}

static decai__j_val
eval_cond(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    if (decai__j_truth(r, decai__j_eval(r, f, n->kid[0]))) return decai__j_eval(r, f, n->kid[1]);
    if (n->count > 2) return decai__j_eval(r, f, n->kid[2]);
    return (decai__j_val){ .type = J_UNDEF, .u.node = n };
}

/* ---- calls ----------------------------------------------------------------------- */

static bool
star(decai__j_run *r, decai__j_val v, decai__j_list *pos)
{
    decai__j_walk w;
    decai__j_val item;
    if (!decai__j_walk_begin(r, &w, v)) return false;
    while (decai__j_walk_next(r, &w, &item))
        if (!decai__j_list_add(r, pos, item)) return false;
    return !r->error;
}

/* The slow way, for calls with * or **: lists that grow. */
static bool
args_spread(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, uint32_t from, decai__j_args *out)
{
    decai__j_list *pos = decai__j_list_new(r, n->count), *kw = decai__j_list_new(r, n->count * 2);
    for (uint32_t i = from; pos && kw && i < n->count && !r->error; i++) {
        const decai__j_node *k = n->kid[i];
        if (k->kind != N_STAR && k->kind != N_STARS && k->kind != N_KW) {
            decai__j_list_add(r, pos, decai__j_eval(r, f, k));
            continue;
        }
        decai__j_val v = decai__j_eval(r, f, k->kid[0]);
        r->node = n;
        if (k->kind == N_STAR) {
            star(r, v, pos);
        } else if (k->kind == N_KW) {
            decai__j_list_add(r, kw, k->value);
            decai__j_list_add(r, kw, v);
        } else if (v.type != J_DICT) {
            DJ_ERROR(r, "** needs a dict, not %s", decai__j_type_name(v));
        } else {
            for (uint32_t e = 0; e < v.u.dict->count && decai__j_pay(r, 1); e++) {
                if (v.u.dict->e[e].key.type != J_STR) DJ_ERROR(r, "** needs names as keys");
                decai__j_list_add(r, kw, v.u.dict->e[e].key);
                decai__j_list_add(r, kw, v.u.dict->e[e].val);
            }
        }
    }
    if (r->error || !pos || !kw) return false;
    *out = (decai__j_args){ pos->items, pos->count, (decai__j_kwarg *)(void *)kw->items, kw->count / 2 };
    return true;
}

bool
decai__j_args_eval(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, uint32_t from, decai__j_args *out)
{
    uint32_t pos = 0, kw = 0;
    for (uint32_t i = from; i < n->count; i++) {
        if (n->kid[i]->kind == N_STAR || n->kid[i]->kind == N_STARS) return args_spread(r, f, n, from, out);
        if (n->kid[i]->kind == N_KW) kw++;
        else pos++;
    }
    *out = (decai__j_args){ NULL, pos, NULL, kw };
    if (!pos && !kw) return true;
    decai__j_val *items = decai__j_push(r, pos + 2 * (size_t)kw);
    if (!items) return false;
    out->pos = items;
    out->kw = (decai__j_kwarg *)(void *)(items + pos);
    for (uint32_t i = 0; i < pos; i++) items[i] = decai__j_eval(r, f, n->kid[from + i]);
    for (uint32_t i = 0; i < kw; i++) {
        const decai__j_node *k = n->kid[from + pos + i];
        out->kw[i] = (decai__j_kwarg){ k->value, decai__j_eval(r, f, k->kid[0]) };
    }
    r->node = n;
    return !r->error;
}

/* x.method(...) without making a bound method of it. */
static bool
eval_method(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val *out)
{
    const decai__j_node *c = n->kid[0];
    if (c->kind != N_ATTR || c->aux == DJ_UNKNOWN) return false;
    decai__j_val obj = decai__j_eval(r, f, c->kid[0]);
    decai__j_args a;
    decai__j_val *mark = decai__j_push(r, 0);
    r->node = c;
    bool direct = (obj.type == J_STR || obj.type == J_DICT || obj.type == J_LIST) && decai__j_method_has(obj, c->aux);
    decai__j_val callee = direct ? decai__j_none() : decai__j_attr(r, obj, c->value, c->aux);
    if (!r->error && mark && decai__j_args_eval(r, f, n, 1, &a)) {
        r->node = n;
        if (!direct) *out = decai__j_call(r, callee, &a);
        else if (obj.type == J_STR && (int32_t)c->slot >= 0) *out = decai__j_str_method_call(r, obj, (int32_t)c->slot, &a);
        else *out = decai__j_method_call(r, obj, c->aux, &a);
    } else {
        *out = decai__j_undef(r);
    }
    if (mark) decai__j_pop(r, mark);
    return true;
}

static decai__j_val
eval_call(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val out;
    if (eval_method(r, f, n, &out)) return out;
    decai__j_val callee = decai__j_eval(r, f, n->kid[0]);
    decai__j_args a;
    decai__j_val *mark = decai__j_push(r, 0);
    out = decai__j_undef(r);
    if (mark && decai__j_args_eval(r, f, n, 1, &a)) {
        r->node = n;
        out = decai__j_call(r, callee, &a);
    }
    if (mark) decai__j_pop(r, mark);
    return out;
}

static decai__j_val
eval_filter(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_args a;
    decai__j_val *mark = decai__j_push(r, 0), out = decai__j_undef(r);
    decai__j_val in = n->kid[0] ? decai__j_eval(r, f, n->kid[0]) : r->root[-1];
    if (mark && decai__j_args_eval(r, f, n, 1, &a)) {
        r->node = n;
        if (n->aux == DJ_UNKNOWN)
            decai__j_raise(r, DECAI_E_UNSUPPORTED, "no filter named %.*s", (int)DECAI__MIN(n->value.n, 60u), n->value.u.s);
        else out = decai__j_filter_call(r, n->aux, in, &a);
    }
    if (mark) decai__j_pop(r, mark);
    return out;
}

static decai__j_val
eval_test(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_args a;
    bool out = false;
    decai__j_val *mark = decai__j_push(r, 0);
    decai__j_val in = decai__j_eval(r, f, n->kid[0]);
    if (mark && decai__j_args_eval(r, f, n, 1, &a)) {
        r->node = n;
        if (n->aux == DJ_UNKNOWN)
            decai__j_raise(r, DECAI_E_UNSUPPORTED, "no test named %.*s", (int)DECAI__MIN(n->value.n, 60u), n->value.u.s);
        else out = decai__j_test_call(r, n->aux, in, &a);
    }
    if (mark) decai__j_pop(r, mark);
    return decai__j_bool(out);
}

/* ---- all of them -------------------------------------------------------------------- */

static decai__j_val
eval_deep(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val a, b;
    switch (n->kind) {
    case N_LIST:
    case N_TUPLE: return eval_list(r, f, n);
    case N_DICT: return eval_dict(r, f, n);
    case N_ATTR:
        a = decai__j_eval(r, f, n->kid[0]);
        if (n->flags & DJ_FIELD && a.type == J_DICT && a.u.dict->sym) return field(a.u.dict, n);
        r->node = n;
        return decai__j_attr(r, a, n->value, n->aux);
    case N_ITEM:
        a = decai__j_eval(r, f, n->kid[0]);
        if (n->flags & DJ_FIELD && a.type == J_DICT && a.u.dict->sym && n->kid[1]->sym) {
            const decai__j_val *v = decai__j_dict_at(a.u.dict, n->kid[1]->sym);
            if (v) return *v;
        }
        b = decai__j_eval(r, f, n->kid[1]);
        r->node = n;
        return decai__j_item(r, a, b);
    case N_SLICE: return eval_slice(r, f, n);
    case N_CALL: return eval_call(r, f, n);
    case N_FILTER: return eval_filter(r, f, n);
    case N_TEST: return eval_test(r, f, n);
    case N_NOT: return decai__j_bool(!decai__j_truth(r, decai__j_eval(r, f, n->kid[0])));
    case N_NEG:
    case N_POS:
        a = decai__j_eval(r, f, n->kid[0]);
        r->node = n;
        return decai__j_negate(r, a, n->kind == N_NEG);
    case N_AND:
    case N_OR: return eval_logic(r, f, n);
    case N_ADD: return eval_add(r, f, n);
    case N_CONCAT: return eval_concat(r, f, n);
    case N_BIN:
        a = decai__j_eval(r, f, n->kid[0]);
        b = decai__j_eval(r, f, n->kid[1]);
        r->node = n;
        if (n->flags & DJ_FOLDED && decai__j_is_num(a) && decai__j_num(a) < 0)
            return decai__j_negate(r, decai__j_binary(r, O_POW, decai__j_negate(r, a, true), b), true);
        return decai__j_binary(r, (enum decai__j_op)n->op, a, b);
    case N_COMPARE: return eval_compare(r, f, n);
    case N_COND: return eval_cond(r, f, n);
    default: return decai__j_raise(r, DECAI_E_INTERNAL, "an expression of kind %d", n->kind);
    }
}

decai__j_val
decai__j_eval(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    if (--r->fuel < 0 && !decai__j_pay_slow(r)) return (decai__j_val){ .type = J_UNDEF, .u.node = n };
    if (n->kind == N_CONST) return n->value;
    if (n->kind == N_NAME) return eval_name(f, n);
    if (r->depth >= r->depth_max) {
        r->node = n;
        return decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: deeper than %u", r->depth_max);
    }
    r->depth++;
    decai__j_val v = eval_deep(r, f, n);
    r->depth--;
    return v;
}
