/* jinja_eval.c - the value of an expression.
 *
 * Each node has its functions, chosen once: the plain ones, and quicker ones for
 * what chat templates are made of (a field of a dict in a variable, comparing with
 * a constant text, tests of a type). The steps were paid for by the body; what
 * looks at data pays for it by its length. After an error values are undefined and
 * whatever would look at data does nothing, so the walk ends with its statement.
 * r->node is the node whose own work is being done, for the error's place: it is
 * set again after the children were computed. */
#include <string.h>

#include "tok/jinja_tree.h"

/* ---- constants and names -------------------------------------------------------------- */

static decai__j_val
eval_const(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)r;
    (void)f;
    return n->value;
}

static decai__j_val
eval_name(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)r;
    decai__j_val v = *decai__j_slot(f, n->hops, n->slot);
    return v.type == J_MISSING ? decai__j_undef_of(n) : v;
}

static decai__j_val
eval_local(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)r;
    decai__j_val v = f->slots[n->slot];
    return v.type == J_MISSING ? decai__j_undef_of(n) : v;
}

/* The value of a node that often is a constant: without a call. */
static inline decai__j_val
value_of(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return n->kind == N_CONST ? n->value : n->eval(r, f, n);
}

/* ---- fields: d.x, d["x"] ------------------------------------------------------------------ */

static decai__j_val
namespace_field(decai__j_run *r, decai__j_val obj, const decai__j_node *n)
{
    const decai__j_dict *d = obj.u.dict;
    for (uint32_t i = 0; i < d->count; i++)
        if (d->e[i].key.u.s == n->value.u.s && d->e[i].key.n == n->value.n && d->e[i].key.type == J_STR) return d->e[i].val;
    return decai__j_attr(r, obj, n->value, n->aux);
}

static inline decai__j_val
attr_of(decai__j_run *r, decai__j_val obj, const decai__j_node *n)
{
    if (obj.type == J_DICT && n->flags & DJ_FIELD && obj.u.dict->symbols) {
        const decai__j_val *v = decai__j_dict_at(obj.u.dict, n->sym);
        return v ? *v : decai__j_undef_of(n);
    }
    r->node = n;
    if (obj.type == J_NS && n->sym) return namespace_field(r, obj, n);
    if (obj.type == J_LOOP && n->op) return decai__j_loop_get(r, obj.u.loop, n->op);
    return decai__j_attr(r, obj, n->value, n->aux);
}

static decai__j_val
eval_attr(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return attr_of(r, decai__j_eval(r, f, n->kid[0]), n);
}

/* Of a variable of this frame, whose slot is in n->hops. */
static inline decai__j_val
local_of(const decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val v = f->slots[n->hops];
    return v.type == J_MISSING ? decai__j_undef_of(n->kid[0]) : v;
}

static decai__j_val
eval_attr_local(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return attr_of(r, local_of(f, n), n);
}

static decai__j_val
eval_item(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val a = decai__j_eval(r, f, n->kid[0]), b = decai__j_eval(r, f, n->kid[1]);
    if (a.type == J_LIST && b.type == J_INT && b.u.i >= 0 && b.u.i < a.u.list->count) return a.u.list->items[b.u.i];
    r->node = n;
    return r->error ? decai__j_undef_of(n) : decai__j_item(r, a, b);
}

static inline decai__j_val
item_of(decai__j_run *r, decai__j_val obj, const decai__j_node *n)
{
    if (obj.type == J_DICT && obj.u.dict->symbols) {
        const decai__j_val *v = decai__j_dict_at(obj.u.dict, n->sym);
        if (v) return *v;
    }
    r->node = n;
    return decai__j_item(r, obj, n->kid[1]->value);
}

static decai__j_val
eval_item_const(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return item_of(r, decai__j_eval(r, f, n->kid[0]), n);
}

static decai__j_val
eval_item_local(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return item_of(r, local_of(f, n), n);
}

/* ---- lists, dicts, slices ------------------------------------------------------------------- */

static decai__j_val
eval_list(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_list *l = decai__j_list_new(r, n->count);
    for (uint32_t i = 0; l && i < n->count && !r->error; i++) l->items[l->count++] = decai__j_eval(r, f, n->kid[i]);
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
    if (r->error) return decai__j_undef_of(n);
    bool sliced = part[0].type >= J_STR && part[0].type <= J_RANGE && part[0].type != J_DICT;
    if (n->flags & DJ_FOLDED && !sliced && part[0].type > J_UNDEF) return decai__j_undef(r);
    return decai__j_slice(r, part[0], part[1], part[2], part[3]);
}

/* ---- logic ------------------------------------------------------------------------------------ */

static bool
test_value(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return decai__j_truth(r, decai__j_eval(r, f, n));
}

/* The value of a node that has only a truth. */
static decai__j_val
eval_test_of(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return decai__j_bool(n->test(r, f, n));
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

static bool
test_and(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (!n->kid[i]->test(r, f, n->kid[i]) || r->error) return false;
    return true;
}

static bool
test_or(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count && !r->error; i++)
        if (n->kid[i]->test(r, f, n->kid[i])) return true;
    return false;
}

static bool
test_not(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return !n->kid[0]->test(r, f, n->kid[0]);
}

static decai__j_val
eval_cond(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    if (n->kid[0]->test(r, f, n->kid[0])) return decai__j_eval(r, f, n->kid[1]);
    return n->count > 2 ? decai__j_eval(r, f, n->kid[2]) : decai__j_undef_of(n);
}

/* ---- operators ---------------------------------------------------------------------------------- */

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

static bool
test_compare(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
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
    return holds;
}

/* x == "text", x != "text": the node has the text and whether it is to be equal. */
static inline bool
is_text(decai__j_val a, const decai__j_node *n)
{
    return (a.type == J_STR && decai__j_text_equal(a, n->value)) == (n->op == O_EQ);
}

static bool
test_text(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return is_text(decai__j_eval(r, f, n->kid[0]), n);
}

static bool
test_text_attr(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return is_text(attr_of(r, local_of(f, n->kid[0]), n->kid[0]), n);
}

static bool
test_text_item(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return is_text(item_of(r, local_of(f, n->kid[0]), n->kid[0]), n);
}

/* "text" in d, "text" not in d */
static bool
test_member(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    const decai__j_node *o = n->kid[1];
    decai__j_val in = decai__j_eval(r, f, o->kid[0]);
    bool there;
    r->node = n;
    if (in.type == J_DICT && in.u.dict->symbols) there = decai__j_dict_at(in.u.dict, n->kid[0]->sym);
    else there = decai__j_contains(r, in, n->kid[0]->value);
    return there == (o->op == O_IN);
}

static decai__j_val
eval_negate(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val a = decai__j_eval(r, f, n->kid[0]);
    r->node = n;
    return decai__j_negate(r, a, n->kind == N_NEG);
}

static decai__j_val
eval_binary(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val a = value_of(r, f, n->kid[0]), b = value_of(r, f, n->kid[1]);
    r->node = n;
    if (r->error) return decai__j_undef_of(n);
    if (n->flags & DJ_FOLDED && decai__j_is_num(a) && decai__j_num(a) < 0)
        return decai__j_negate(r, decai__j_binary(r, O_POW, decai__j_negate(r, a, true), b), true);
    return decai__j_binary(r, (enum decai__j_op)n->op, a, b);
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
decai__j_args_eval(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_args *out)
{
    uint32_t pos = n->args, kw = n->defaults;
    if (n->flags & DJ_SPREAD) return args_spread(r, f, n, 1, out);
    *out = (decai__j_args){ NULL, pos, NULL, kw };
    if (!pos && !kw) return !r->error;
    decai__j_val *items = decai__j_push(r, pos + 2 * (size_t)kw);
    if (!items) return false;
    out->pos = items;
    out->kw = (decai__j_kwarg *)(void *)(items + pos);
    for (uint32_t i = 0; i < pos; i++) items[i] = decai__j_eval(r, f, n->kid[1 + i]);
    for (uint32_t i = 0; i < kw; i++) {
        const decai__j_node *k = n->kid[1 + pos + i];
        out->kw[i] = (decai__j_kwarg){ k->value, decai__j_eval(r, f, k->kid[0]) };
    }
    r->node = n;
    return !r->error;
}

enum { ARGS_FEW = 3 };

/* The same with a little memory of the caller's, which does for most calls. *mark
 * must be given back with args_done. */
static inline bool
args_of(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val few[ARGS_FEW], decai__j_args *out, decai__j_val **mark)
{
    *mark = NULL;
    if (n->flags & DJ_SPREAD || n->defaults || n->args > ARGS_FEW) {
        *mark = decai__j_push(r, 0);
        return *mark && decai__j_args_eval(r, f, n, out);
    }
    *out = (decai__j_args){ few, n->args, NULL, 0 };
    for (uint32_t i = 0; i < n->args; i++) few[i] = decai__j_eval(r, f, n->kid[1 + i]);
    r->node = n;
    return !r->error;
}

static inline void
args_done(decai__j_run *r, decai__j_val *mark)
{
    if (mark) decai__j_pop(r, mark);
}

/* x.method(...) without making a bound method of it. */
static decai__j_val
method_call(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val obj)
{
    const decai__j_node *c = n->kid[0];
    decai__j_val few[ARGS_FEW], *mark, out = decai__j_undef_of(n);
    decai__j_args a;
    r->node = c;
    bool direct = (obj.type == J_STR || obj.type == J_DICT || obj.type == J_LIST) && decai__j_method_has(obj, c->aux);
    decai__j_val callee = direct ? decai__j_none() : decai__j_attr(r, obj, c->value, c->aux);
    if (r->error) return out;
    if (args_of(r, f, n, few, &a, &mark)) {
        if (!direct) out = decai__j_call(r, callee, &a);
        else if (obj.type == J_STR && (int32_t)c->slot >= 0) out = decai__j_str_method_call(r, obj, (int32_t)c->slot, &a);
        else out = decai__j_method_call(r, obj, c->aux, &a);
    }
    args_done(r, mark);
    return out;
}

/* The same a level deeper: an attribute may be a macro. */
static decai__j_val
method_of(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val obj)
{
    uint32_t depth = r->depth;
    decai__j_val out = decai__j_undef_of(n);
    r->node = n;
    if (decai__j_deeper(r, n)) out = method_call(r, f, n, obj);
    r->depth = depth;
    return out;
}

static decai__j_val
eval_method(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return method_of(r, f, n, decai__j_eval(r, f, n->kid[0]->kid[0]));
}

/* d.get("x"), d.get("x", constant) */
static decai__j_val
eval_get(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val d = decai__j_eval(r, f, n->kid[0]->kid[0]);
    if (d.type != J_DICT || !d.u.dict->symbols) return method_of(r, f, n, d);
    const decai__j_val *v = decai__j_dict_at(d.u.dict, n->kid[1]->sym);
    return v ? *v : n->count > 2 ? n->kid[2]->value : decai__j_none();
}

static decai__j_val
eval_items(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val d = decai__j_eval(r, f, n->kid[0]->kid[0]);
    if (d.type != J_DICT) return method_of(r, f, n, d);
    return (decai__j_val){ .type = J_VIEW, .aux = DJ_ITEMS, .u.dict = d.u.dict };
}

static decai__j_val
eval_call(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val few[ARGS_FEW], *mark, callee = decai__j_eval(r, f, n->kid[0]), out = decai__j_undef_of(n);
    decai__j_args a;
    uint32_t depth = r->depth;
    r->node = n;
    if (!decai__j_deeper(r, n)) {
        r->depth = depth;
        return out;
    }
    if (args_of(r, f, n, few, &a, &mark)) out = decai__j_call(r, callee, &a);
    args_done(r, mark);
    r->depth = depth;
    return out;
}

static decai__j_val
eval_filter(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val few[ARGS_FEW], *mark, in = n->kid[0] ? decai__j_eval(r, f, n->kid[0]) : r->root[-1], out = decai__j_undef_of(n);
    decai__j_args a;
    if (args_of(r, f, n, few, &a, &mark)) {
        if (n->aux == DJ_UNKNOWN)
            decai__j_raise(r, DECAI_E_UNSUPPORTED, "no filter named %.*s", (int)DECAI__MIN(n->value.n, 60u), n->value.u.s);
        else out = decai__j_filter_call(r, n->aux, in, &a);
    }
    args_done(r, mark);
    return out;
}

static bool
test_test(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val few[ARGS_FEW], *mark, in = decai__j_eval(r, f, n->kid[0]);
    decai__j_args a;
    bool out = false;
    if (args_of(r, f, n, few, &a, &mark)) {
        if (n->aux == DJ_UNKNOWN)
            decai__j_raise(r, DECAI_E_UNSUPPORTED, "no test named %.*s", (int)DECAI__MIN(n->value.n, 60u), n->value.u.s);
        else out = decai__j_test_call(r, n->aux, in, &a);
    }
    args_done(r, mark);
    return out;
}

static bool
test_type(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    return n->slot >> decai__j_eval(r, f, n->kid[0]).type & 1;
}

/* ---- putting out ------------------------------------------------------------------------------ */

static inline void
put(decai__j_run *r, decai__j_val v)
{
    if (v.type != J_STR) decai__j_put_val(r, v);
    else if (decai__j_pay_bytes(r, v.n)) decai__j_put(r, v.u.s, v.n);
}

static void
put_value(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val v = decai__j_eval(r, f, n);
    r->node = n;
    put(r, v);
}

static void
put_const(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)f;
    r->node = n;
    put(r, n->value);
}

/* Rows of + and ~ whose parts are plain texts need no text of their own: the parts
 * go out one by one. */
static void
put_add(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    size_t from = r->out.len;
    decai__j_val v = value_of(r, f, n->kid[0]);
    uint32_t i = 1;
    if (decai__j_is_plain(v)) {
        put(r, v);
        for (; i < n->count && !r->error; i++) {
            decai__j_val w = value_of(r, f, n->kid[i]);
            if (!decai__j_is_plain(w)) {
                v = decai__j_taken(r, from);
                r->node = n;
                v = decai__j_add(r, v, w);
                i++;
                break;
            }
            put(r, w);
            v = decai__j_missing();
        }
        if (v.type == J_MISSING || i == 1) return;
    }
    for (; i < n->count && !r->error; i++) {
        decai__j_val w = value_of(r, f, n->kid[i]);
        r->node = n;
        v = decai__j_add(r, v, w);
    }
    decai__j_put_val(r, v);
}

static void
put_concat(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count && !r->error; i++) n->kid[i]->put(r, f, n->kid[i]);
}

static void
put_cond(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    if (n->kid[0]->test(r, f, n->kid[0])) n->kid[1]->put(r, f, n->kid[1]);
    else if (n->count > 2) n->kid[2]->put(r, f, n->kid[2]);
}

/* ---- choosing -------------------------------------------------------------------------------------- */

static bool
is_local(const decai__j_node *n)
{
    return n->kind == N_NAME && !n->hops;
}

static void
ready_compare(decai__j_node *n)
{
    const decai__j_node *a = n->kid[0], *o = n->kid[1], *b = o->kid[0];
    n->eval = eval_test_of;
    n->test = test_compare;
    if (n->count != 2) return;
    if ((o->op == O_EQ || o->op == O_NE) && b->kind == N_CONST && decai__j_is_plain(b->value)) {
        n->test = a->eval == eval_attr_local ? test_text_attr : a->eval == eval_item_local ? test_text_item : test_text;
        n->value = b->value;
        n->op = o->op;
    }
    if ((o->op == O_IN || o->op == O_NOTIN) && a->kind == N_CONST && a->sym) n->test = test_member;
}

static void
ready_call(decai__j_node *n)
{
    const decai__j_node *c = n->kid[0];
    n->eval = eval_call;
    if (c->kind != N_ATTR || c->aux == DJ_UNKNOWN) return;
    n->eval = eval_method;
    if (n->flags & DJ_SPREAD || n->defaults) return;
    bool constant = n->args == 1 || (n->args == 2 && n->kid[2]->kind == N_CONST);
    if (decai__j_str_is(c->value, "get", 3) && constant && n->kid[1]->kind == N_CONST && n->kid[1]->sym) n->eval = eval_get;
    if (decai__j_str_is(c->value, "items", 5) && !n->args) n->eval = eval_items;
}

void
decai__j_ready_expr(decai__j_node *n)
{
    static decai__j_eval_fn *const evals[] = { [N_CONST] = eval_const, [N_NAME] = eval_name, [N_LIST] = eval_list, [N_TUPLE] = eval_list,
        [N_DICT] = eval_dict, [N_ATTR] = eval_attr, [N_ITEM] = eval_item, [N_SLICE] = eval_slice, [N_FILTER] = eval_filter, [N_NEG] = eval_negate,
        [N_POS] = eval_negate, [N_AND] = eval_logic, [N_OR] = eval_logic, [N_ADD] = eval_add, [N_CONCAT] = eval_concat, [N_BIN] = eval_binary,
        [N_COND] = eval_cond, [N_TEST] = eval_test_of, [N_NOT] = eval_test_of, [N_COMPARE] = NULL, [N_OPERAND] = NULL };
    n->eval = n->kind < DECAI__COUNT(evals) ? evals[n->kind] : NULL;
    n->test = n->kind == N_AND ? test_and : n->kind == N_OR ? test_or : n->kind == N_NOT ? test_not : test_value;
    n->put = n->kind == N_CONST ? put_const : n->kind == N_ADD ? put_add : n->kind == N_CONCAT ? put_concat : n->kind == N_COND ? put_cond : put_value;
    if (is_local(n)) n->eval = eval_local;
    if (n->kind == N_ATTR) {
        n->op = decai__j_loop_field(n->value);
        if (is_local(n->kid[0])) n->eval = eval_attr_local;
    }
    if (n->kind == N_ITEM && n->flags & DJ_FIELD) {
        n->sym = n->kid[1]->sym;
        n->eval = is_local(n->kid[0]) ? eval_item_local : eval_item_const;
    }
    if ((n->kind == N_ATTR || n->kind == N_ITEM) && is_local(n->kid[0])) n->hops = n->kid[0]->slot;
    if (n->kind == N_COMPARE) ready_compare(n);
    if (n->kind == N_CALL) ready_call(n);
    if (n->kind == N_TEST) {
        n->slot = n->count == 1 ? decai__j_test_types(n->aux) : 0;
        n->test = n->slot ? test_type : test_test;
    }
}
