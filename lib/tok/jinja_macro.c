/* jinja_macro.c - calling a macro or a call block: its arguments into the slots of
 * a new frame, by Jinja2's rules for what is missing and what is left over; its
 * body's text is what comes back. */
#include <string.h>

#include "tok/jinja_tree.h"

/* The value of parameter i by position or name; *used counts named ones that were taken. */
static decai__j_val
macro_arg(const decai__j_args *a, uint32_t i, decai__j_val name, uint32_t *used)
{
    if (i < a->count) return a->pos[i];
    for (uint32_t k = a->kw_count; k-- > 0;)
        if (decai__j_str_is(a->kw[k].name, name.u.s, name.n)) {
            ++*used;
            return a->kw[k].val;
        }
    return decai__j_missing();
}

static bool
is_param(const decai__j_node *n, uint32_t from, decai__j_val name)
{
    for (uint32_t i = n->count - n->args + from; i < n->count; i++)
        if (decai__j_str_is(n->kid[i]->value, name.u.s, name.n)) return true;
    return false;
}

/* What is left over goes to kwargs and varargs, or is one too many. */
static void
macro_rest(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, const decai__j_args *a)
{
    uint32_t taken = DECAI__MIN(a->count, n->args);
    bool own_caller = n->func->caller != UINT32_MAX;
    decai__j_dict *kw = n->flags & DJ_KWARGS ? decai__j_dict_new(r, a->kw_count) : NULL;
    if (own_caller) f->slots[n->func->caller] = decai__j_undef(r);
    for (uint32_t i = 0; i < a->kw_count && !r->error; i++) {
        decai__j_val name = a->kw[i].name;
        if (is_param(n, taken, name)) continue;
        if (own_caller && decai__j_str_is(name, "caller", 6)) {
            if (a->kw[i].val.type != J_NONE) f->slots[n->func->caller] = a->kw[i].val;
        } else if (kw) {
            decai__j_dict_set(r, kw, name, a->kw[i].val);
        } else {
            DJ_ERROR(r, "the macro takes no argument %.*s", (int)DECAI__MIN(name.n, 40u), name.u.s);
        }
    }
    if (kw) f->slots[n->func->kwargs] = decai__j_dict_val(kw);
    uint32_t extra = a->count - taken;
    if (n->flags & DJ_VARARGS) {
        decai__j_list *l = decai__j_list_new(r, extra);
        for (uint32_t i = 0; l && i < extra; i++) l->items[l->count++] = a->pos[taken + i];
        f->slots[n->func->varargs] = decai__j_tuple_val(l);
    } else if (extra) {
        DJ_ERROR(r, "the macro takes at most %u arguments", n->args);
    }
}

decai__j_val
decai__j_call_macro(decai__j_run *r, const decai__j_macro *m, const decai__j_args *a)
{
    const decai__j_node *n = m->node;
    uint32_t at = n->kind == N_MACRO ? 0 : 1, used = 0, first = n->count - n->args;
    decai__j_val *mark = decai__j_push(r, 0);
    decai__j_frame *f = mark ? decai__j_frame_new(r, m->env, n->func) : NULL;
    if (!f || !decai__j_pay(r, 1 + (size_t)n->args * a->kw_count / 8 + (n->defaults ? n->cost : 0))) return decai__j_undef(r);
    for (uint32_t i = 0; i < n->args; i++)
        f->slots[n->kid[first + i]->slot] = macro_arg(a, i, n->kid[first + i]->value, &used);
    macro_rest(r, f, n, a);
    size_t from = r->out.len;
    decai__j_scope_begin(r, f, &n->func->scope);
    for (uint32_t i = 0; i < n->args && !r->error; i++) {
        decai__j_val *slot = &f->slots[n->kid[first + i]->slot];
        if (slot->type != J_MISSING) continue;
        uint32_t plain = n->args - n->defaults;
        *slot = i < plain ? (decai__j_val){ .type = J_UNDEF, .u.node = n->kid[first + i] }
                          : decai__j_eval(r, f, n->kid[at + 1 + i - plain]);
    }
    if (!r->error) decai__j_exec(r, f, n->kid[at]);
    decai__j_pop(r, mark);
    return decai__j_taken(r, from);
}
