/* jinja_exec.c - statements: what a template puts out, in order.
 *
 * Text that is captured (set blocks, filter blocks, macros) is put behind what is
 * there and taken off again, so one buffer serves every depth. A loop walks its
 * items one at a time: what `loop` tells about later ones is looked up only when
 * it is asked for, as in Jinja2. */
#include <string.h>

#include "tok/jinja_tree.h"

void
decai__j_scope_begin(decai__j_run *r, decai__j_frame *f, const decai__j_scope *s)
{
    if (!s->count) return;
    decai__j_pay(r, s->count / 8);
    for (uint32_t i = 0; i < s->count; i++) {
        const decai__j_load *l = &s->loads[i];
        if (l->kind == DJ_LOAD_CONTEXT) f->slots[l->slot] = r->context[l->from];
        else if (l->kind == DJ_LOAD_OUTER) f->slots[l->slot] = *decai__j_slot(f, l->hops, l->from);
        else if (l->kind == DJ_LOAD_MISSING) f->slots[l->slot] = decai__j_missing();
    }
}

void
decai__j_scope_end(decai__j_run *r, decai__j_frame *f, const decai__j_scope *s)
{
    (void)r;
    for (uint32_t i = 0; i < s->count; i++) f->slots[s->loads[i].slot] = decai__j_missing();
}

/* ---- assignment ------------------------------------------------------------------- */

static void
assign_parts(decai__j_run *r, decai__j_frame *f, const decai__j_node *to, decai__j_val v)
{
    decai__j_walk w;
    decai__j_val item;
    r->node = to;
    if (v.type <= J_UNDEF || !decai__j_walk_begin(r, &w, v)) {
        if (!r->error) DJ_ERROR(r, "%u values are needed, there are none", to->count);
        return;
    }
    decai__j_list *l = decai__j_list_new(r, to->count);
    for (uint32_t i = 0; l && i < to->count; i++) {
        if (!decai__j_walk_next(r, &w, &item)) {
            DJ_ERROR(r, "%u values are needed, there are %u", to->count, i);
            return;
        }
        l->items[l->count++] = item;
    }
    if (l && decai__j_walk_next(r, &w, &item)) DJ_ERROR(r, "%u values are needed, there are more", to->count);
    for (uint32_t i = 0; l && i < to->count && !r->error; i++) decai__j_assign(r, f, to->kid[i], l->items[i]);
}

void
decai__j_assign(decai__j_run *r, decai__j_frame *f, const decai__j_node *to, decai__j_val v)
{
    if (r->error) return;
    if (to->kind == N_NAME) {
        *decai__j_slot(f, to->hops, to->slot) = v;
    } else if (to->kind == N_NSREF) {
        decai__j_val ns = *decai__j_slot(f, to->kid[0]->hops, to->kid[0]->slot);
        r->node = to;
        if (ns.type != J_NS) DJ_ERROR(r, "only a namespace's attributes can be assigned to");
        else decai__j_dict_set(r, ns.u.dict, to->value, v);
    } else {
        assign_parts(r, f, to, v);
    }
}

/* Namespaces are checked before the value is computed. */
static void
check_namespaces(decai__j_run *r, decai__j_frame *f, const decai__j_node *to)
{
    if (to->kind == N_NSREF) {
        r->node = to;
        if (decai__j_slot(f, to->kid[0]->hops, to->kid[0]->slot)->type != J_NS)
            DJ_ERROR(r, "only a namespace's attributes can be assigned to");
    }
    for (uint32_t i = 0; to->kind == N_TUPLE && i < to->count; i++) check_namespaces(r, f, to->kid[i]);
}

/* ---- loops --------------------------------------------------------------------------- */

static bool
passes(decai__j_run *r, decai__j_loop *l, decai__j_val item)
{
    if (!l->tested) return true;
    decai__j_assign(r, l->frame, l->node->kid[5], item);
    const decai__j_node *test = l->node->kid[2];
    return decai__j_pay(r, test->cost) && test->test(r, l->frame, test) && !r->error;
}

static bool
walk_passing(decai__j_run *r, decai__j_loop *l, decai__j_val *out)
{
    while (decai__j_walk_next(r, &l->walk, out)) {
        if (passes(r, l, *out)) return true;
        if (r->error) return false;
    }
    return false;
}

static decai__j_val
peek(decai__j_run *r, decai__j_loop *l)
{
    if (l->after.type == J_MISSING && !walk_passing(r, l, &l->after)) l->after = decai__j_missing();
    return l->after;
}

bool
decai__j_loop_next(decai__j_run *r, decai__j_loop *l, decai__j_val *out)
{
    if (l->after.type != J_MISSING) {
        *out = l->after;
        l->after = decai__j_missing();
    } else if (!walk_passing(r, l, out)) {
        return false;
    }
    l->index0++;
    l->before = l->current;
    l->current = *out;
    return !r->error;
}

static int64_t
loop_length(decai__j_run *r, decai__j_loop *l)
{
    if (l->length >= 0) return l->length;
    if (!l->tested && l->walk.over.type != J_ITER && l->walk.over.type != J_LOOP)
        return l->length = decai__j_length(r, l->walk.over);
    /* No length of its own: the rest is collected, and walked from there. */
    decai__j_list *rest = decai__j_list_new(r, 8);
    decai__j_val item;
    while (rest && walk_passing(r, l, &item))
        if (!decai__j_list_add(r, rest, item)) break;
    if (r->error) return 0;
    l->length = rest->count + l->index0 + 1 + (l->after.type != J_MISSING);
    l->walk = (decai__j_walk){ .over = decai__j_list_val(rest) };
    l->tested = false;
    return l->length;
}

/* ---- what loop tells ---------------------------------------------------------------- */

enum { F_NONE, F_INDEX, F_INDEX0, F_FIRST, F_LAST, F_LENGTH, F_REVINDEX, F_REVINDEX0, F_PREVITEM, F_NEXTITEM, F_DEPTH, F_DEPTH0 };

uint8_t
decai__j_loop_field(decai__j_val name)
{
    static const char *const names[] = { "", "index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem", "depth", "depth0" };
    for (uint8_t i = F_INDEX; i <= F_DEPTH0; i++)
        if (decai__j_str_is(name, names[i], strlen(names[i]))) return i;
    return F_NONE;
}

decai__j_val
decai__j_loop_get(decai__j_run *r, decai__j_loop *l, uint8_t field)
{
    decai__j_val v;
    switch (field) {
    case F_INDEX: return decai__j_int(l->index0 + 1);
    case F_INDEX0: return decai__j_int(l->index0);
    case F_FIRST: return decai__j_bool(l->index0 == 0);
    case F_LAST: return decai__j_bool(peek(r, l).type == J_MISSING);
    case F_LENGTH: return decai__j_int(loop_length(r, l));
    case F_REVINDEX: return decai__j_int(loop_length(r, l) - l->index0);
    case F_REVINDEX0: return decai__j_int(loop_length(r, l) - l->index0 - 1);
    case F_PREVITEM: return l->index0 == 0 ? decai__j_undef(r) : l->before;
    case F_NEXTITEM:
        v = peek(r, l);
        return v.type == J_MISSING ? decai__j_undef(r) : v;
    case F_DEPTH: return decai__j_int(l->depth0 + 1);
    default: return decai__j_int(l->depth0);
    }
}

decai__j_val
decai__j_loop_attr(decai__j_run *r, decai__j_loop *l, const char *name, size_t n)
{
    return decai__j_loop_get(r, l, decai__j_loop_field(decai__j_str(name, n)));
}

/* ---- running loops -------------------------------------------------------------------- */

/* A frame of the function's own, in place of f. */
decai__j_frame *
decai__j_frame_new(decai__j_run *r, decai__j_frame *outer, const decai__j_func *func)
{
    decai__j_frame *f = decai__j_alloc(r, sizeof *f);
    if (!f) return NULL;
    *f = (decai__j_frame){ outer, NULL };
    decai__j_pay(r, func->slots / 8);
    f->slots = func->kept ? decai__j_alloc(r, (func->slots + 1) * sizeof(decai__j_val)) : decai__j_push(r, func->slots + 1);
    for (uint32_t i = 0; f->slots && i < func->slots; i++) f->slots[i] = decai__j_missing();
    return f->slots ? f : NULL;
}

static decai__j_loop *
loop_new(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val items, int64_t depth0)
{
    decai__j_loop *l = decai__j_alloc(r, sizeof *l);
    if (!l) return NULL;
    *l = (decai__j_loop){ .node = n, .frame = f, .index0 = -1, .length = -1, .tested = n->kid[2] != NULL, .depth0 = depth0 };
    r->node = n->kid[1];
    return decai__j_walk_begin(r, &l->walk, items) ? l : NULL;
}

/* The next item of a list that is walked as it is, into *out. */
static inline bool
list_next(decai__j_run *r, decai__j_loop *l, decai__j_val *out)
{
    const decai__j_list *list = l->walk.over.u.list;
    if (l->walk.at >= list->count || !decai__j_pay(r, 1)) return false;
    *out = list->items[l->walk.at++];
    l->index0++;
    if (!(l->node->flags & DJ_USES_LOOP)) return true;
    l->before = l->current;
    l->current = *out;
    return true;
}

static enum decai__j_flow
loop_run(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val items, int64_t depth0)
{
    decai__j_loop *l = loop_new(r, f, n, items, depth0);
    enum decai__j_flow flow = DJ_ON;
    decai__j_val item;
    bool none = true, list = items.type == J_LIST && !n->kid[2], direct = n->kid[0]->kind == N_NAME && !n->kid[0]->hops;
    if (!l) return DJ_ON;
    if (l->tested) decai__j_scope_begin(r, f, &n->scope[2]);
    while (list && l->after.type == J_MISSING ? list_next(r, l, &item) : decai__j_loop_next(r, l, &item)) {
        if (n->flags & DJ_USES_LOOP) f->slots[n->args] = (decai__j_val){ .type = J_LOOP, .u.loop = l };
        if (direct) f->slots[n->kid[0]->slot] = item;
        else decai__j_assign(r, f, n->kid[0], item);
        decai__j_scope_begin(r, f, &n->scope[0]);
        flow = decai__j_exec(r, f, n->kid[3]);
        if (r->error) return DJ_ON;
        none = none && flow != DJ_ON;                /* as in Jinja2, which notes a run at the body's end */
        if (flow == DJ_BREAK) break;
    }
    decai__j_scope_end(r, f, &n->scope[0]);
    if (none && n->kid[4] && !r->error) {
        decai__j_scope_begin(r, f, &n->scope[1]);
        flow = decai__j_exec(r, f, n->kid[4]);
        decai__j_scope_end(r, f, &n->scope[1]);
        return flow;
    }
    return DJ_ON;
}

void
decai__j_for_run(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val items, int64_t depth0)
{
    decai__j_val *mark = decai__j_push(r, 0);
    decai__j_frame *own = mark ? decai__j_frame_new(r, f, n->func) : NULL;
    if (own) loop_run(r, own, n, items, depth0);
    if (mark) decai__j_pop(r, mark);
}

decai__j_val
decai__j_loop_recurse(decai__j_run *r, const decai__j_loop *l, decai__j_val items)
{
    if (!(l->node->flags & DJ_RECURSIVE)) return DJ_ERROR(r, "only a loop marked recursive can be called");
    if (r->depth >= r->depth_max) return decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: deeper than %u", r->depth_max);
    size_t from = r->out.len;
    r->depth++;
    decai__j_for_run(r, l->frame->outer, l->node, items, l->depth0 + 1);
    r->depth--;
    return decai__j_taken(r, from);
}

static enum decai__j_flow
exec_for(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_val items = decai__j_eval(r, f, n->kid[1]);
    if (r->error) return DJ_ON;
    if (!(n->flags & DJ_RECURSIVE)) return loop_run(r, f, n, items, 0);
    decai__j_for_run(r, f, n, items, 0);
    return DJ_ON;
}

/* ---- the other statements --------------------------------------------------------------- */

static enum decai__j_flow
exec_if(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    uint32_t pairs = n->flags & DJ_ELSE ? n->count - 1 : n->count;
    for (uint32_t i = 0; i < pairs && !r->error; i += 2)
        if (n->kid[i]->test(r, f, n->kid[i])) return r->error ? DJ_ON : decai__j_exec(r, f, n->kid[i + 1]);
    return n->flags & DJ_ELSE && !r->error ? decai__j_exec(r, f, n->kid[n->count - 1]) : DJ_ON;
}

static enum decai__j_flow
exec_set_block(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    size_t from = r->out.len;
    decai__j_scope_begin(r, f, n->scope);
    enum decai__j_flow flow = decai__j_exec(r, f, n->kid[2]);
    decai__j_val text = decai__j_taken(r, from);
    if (flow != DJ_ON || r->error) return flow;
    if (n->kid[1]) {
        decai__j_val outer = r->root[-1];
        r->root[-1] = text;
        text = decai__j_eval(r, f, n->kid[1]);
        r->root[-1] = outer;
    }
    decai__j_assign(r, f, n->kid[0], text);
    decai__j_scope_end(r, f, n->scope);
    return DJ_ON;
}

/* What a filter or call block gives is put as it is: Python joins only texts. */
static void
put_text(decai__j_run *r, const decai__j_node *n, decai__j_val v)
{
    r->node = n;
    if (r->error || v.type == J_STR) decai__j_put_val(r, v);
    else DJ_ERROR(r, "the block becomes a %s, not a text", decai__j_type_name(v));
}

static enum decai__j_flow
exec_filter_block(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    size_t from = r->out.len;
    decai__j_scope_begin(r, f, n->scope);
    enum decai__j_flow flow = decai__j_exec(r, f, n->kid[1]);
    decai__j_val outer = r->root[-1], text = decai__j_taken(r, from);
    if (flow != DJ_ON || r->error) return flow;
    r->root[-1] = text;
    text = decai__j_eval(r, f, n->kid[0]);
    r->root[-1] = outer;
    put_text(r, n->kid[0], text);
    decai__j_scope_end(r, f, n->scope);
    return DJ_ON;
}

static enum decai__j_flow
exec_with(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_scope_begin(r, f, n->scope);
    for (uint32_t i = 1; i < n->count && !r->error; i += 2) decai__j_assign(r, f, n->kid[i], decai__j_eval(r, f, n->kid[i + 1]));
    enum decai__j_flow flow = r->error ? DJ_ON : decai__j_exec(r, f, n->kid[0]);
    if (flow == DJ_ON) decai__j_scope_end(r, f, n->scope);
    return flow;
}

static decai__j_val
macro_val(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val name)
{
    decai__j_macro *m = decai__j_alloc(r, sizeof *m);
    if (!m) return decai__j_undef(r);
    *m = (decai__j_macro){ n, f, name };
    return (decai__j_val){ .type = J_MACRO, .u.macro = m };
}

/* {% call f(...) %}: f gets the block as caller. */
static enum decai__j_flow
exec_call_block(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_args a;
    uint32_t depth = r->depth;
    decai__j_val *mark = decai__j_push(r, 0);
    const decai__j_node *call = n->kid[0];
    decai__j_val callee = decai__j_eval(r, f, call->kid[0]);
    r->node = call;
    if (mark && decai__j_deeper(r, call) && decai__j_args_eval(r, f, call, &a)) {
        decai__j_kwarg *kw = decai__j_alloc(r, (a.kw_count + 1) * sizeof *kw);
        if (kw) {
            if (a.kw_count) memcpy(kw, a.kw, a.kw_count * sizeof *kw);
            kw[a.kw_count++] = (decai__j_kwarg){ decai__j_lit("caller"), macro_val(r, f, n, decai__j_none()) };
            a.kw = kw;
            r->node = call;
            put_text(r, call, decai__j_call(r, callee, &a));
        }
    }
    if (mark) decai__j_pop(r, mark);
    r->depth = depth;
    return DJ_ON;
}

static enum decai__j_flow
exec_block(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    if (n->flags & DJ_SCOPED) {
        decai__j_scope_begin(r, f, n->scope);
        decai__j_exec(r, f, n->kid[0]);
        decai__j_scope_end(r, f, n->scope);
        return DJ_ON;
    }
    decai__j_val *mark = decai__j_push(r, 0);
    decai__j_frame *own = mark ? decai__j_frame_new(r, NULL, n->func) : NULL;
    if (own) {
        decai__j_scope_begin(r, own, &n->func->scope);
        for (uint32_t i = 0; i < n->func->scope.count; i++) {
            const decai__j_load *l = &n->func->scope.loads[i];
            uint32_t slot = l->kind == DJ_LOAD_CONTEXT ? r->t->name_root[l->from] : 0;
            if (slot && r->root[slot - 1].type != J_MISSING) own->slots[l->slot] = r->root[slot - 1];
        }
        decai__j_exec(r, own, n->kid[0]);
    }
    if (mark) decai__j_pop(r, mark);
    return DJ_ON;
}

static enum decai__j_flow
exec_scope(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    decai__j_scope_begin(r, f, n->scope);
    enum decai__j_flow flow = decai__j_exec(r, f, n->kid[0]);
    if (flow == DJ_ON) decai__j_scope_end(r, f, n->scope);
    return flow;
}

static enum decai__j_flow
exec_body(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    enum decai__j_flow flow = DJ_ON;
    uint32_t depth = r->depth;
    r->node = n->count ? n->kid[0] : n;
    if (!decai__j_pay(r, n->cost)) return DJ_ON;
    if (decai__j_deeper(r, n))
        for (uint32_t i = 0; i < n->count && flow == DJ_ON && !r->error; i++) flow = decai__j_exec(r, f, n->kid[i]);
    r->depth = depth;
    return flow;
}

static enum decai__j_flow
exec_data(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)f;
    r->node = n;
    decai__j_put(r, n->value.u.s, n->value.n);
    return DJ_ON;
}

static enum decai__j_flow
exec_output(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count && !r->error; i++) n->kid[i]->put(r, f, n->kid[i]);
    return DJ_ON;
}

static enum decai__j_flow
exec_set(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    check_namespaces(r, f, n->kid[0]);
    decai__j_assign(r, f, n->kid[0], r->error ? decai__j_none() : decai__j_eval(r, f, n->kid[1]));
    return DJ_ON;
}

static enum decai__j_flow
exec_set_local(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    f->slots[n->kid[0]->slot] = decai__j_eval(r, f, n->kid[1]);
    return DJ_ON;
}

static enum decai__j_flow
exec_macro(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    *decai__j_slot(f, n->hops, n->slot) = macro_val(r, f, n, n->value);
    return DJ_ON;
}

static enum decai__j_flow
exec_break(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)r;
    (void)f;
    return n->kind == N_BREAK ? DJ_BREAK : DJ_CONTINUE;
}

static enum decai__j_flow
exec_outside(decai__j_run *r, decai__j_frame *f, const decai__j_node *n)
{
    (void)f;
    r->node = n;
    DJ_ERROR(r, "a template has no other templates");
    return DJ_ON;
}

void
decai__j_ready_stmt(decai__j_node *n)
{
    static decai__j_exec_fn *const execs[] = { [N_BODY] = exec_body, [N_DATA] = exec_data, [N_OUTPUT] = exec_output, [N_IF] = exec_if,
        [N_FOR] = exec_for, [N_SET] = exec_set, [N_SETBLOCK] = exec_set_block, [N_MACRO] = exec_macro, [N_CALLBLOCK] = exec_call_block,
        [N_FILTERBLOCK] = exec_filter_block, [N_WITH] = exec_with, [N_SCOPE] = exec_scope, [N_GENERATION] = exec_scope,
        [N_BLOCK] = exec_block, [N_BREAK] = exec_break, [N_CONTINUE] = exec_break, [N_OUTSIDE] = exec_outside };
    n->exec = execs[n->kind];
    if (n->kind == N_SET && n->kid[0]->kind == N_NAME && !n->kid[0]->hops) n->exec = exec_set_local;
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* A name from outside: the conversation's, else the model's, else a function. A
 * conversation that is a list is the variable messages. */
static decai__j_val
outside(decai__j_run *r, const decai__j_outside *o, uint32_t i)
{
    decai__j_val name = r->t->names[i];
    uint16_t symbol = r->t->name_symbol[i];
    if (o->conversation.type == J_LIST) {
        if (decai__j_str_is(name, "messages", 8)) return o->conversation;
    } else if (symbol && o->conversation.u.dict->symbols) {
        const decai__j_val *v = decai__j_dict_at(o->conversation.u.dict, symbol);
        if (v) return *v;
    } else {
        const decai__j_entry *e = decai__j_dict_find(r, o->conversation.u.dict, name);
        if (e) return e->val;
    }
    for (uint32_t k = 0; k < o->count; k++)
        if (decai__j_text_equal(o->model[k].name, name)) return o->model[k].val;
    int32_t g = r->t->name_global[i];
    return g >= 0 ? (decai__j_val){ .type = J_GLOBAL, .aux = (uint16_t)g } : decai__j_missing();
}

int32_t
decai__j_template_run(const decai__j_template *t, decai__j_run *r, const decai__j_outside *given)
{
    decai__j_frame root = { NULL, NULL };
    r->t = t;
    r->context = decai__j_alloc(r, (t->name_count + 1) * sizeof(decai__j_val));
    decai__j_val *slots = decai__j_alloc(r, (t->func->slots + 2) * sizeof(decai__j_val));
    if (!r->context || !slots || !decai__j_push(r, 0)) return r->error;
    slots[0] = decai__j_undef(r);                          /* what a filter block captured: root[-1] */
    root.slots = r->root = slots + 1;
    for (uint32_t i = 0; i < t->func->slots; i++) root.slots[i] = decai__j_missing();
    for (uint32_t i = 0; i < t->name_count; i++) r->context[i] = outside(r, given, i);
    decai__j_scope_begin(r, &root, &t->func->scope);
    if (!r->error) decai__j_exec(r, &root, t->body);
    return r->error;
}
