/* jinja_expr.c - expressions, by recursive descent over the tokens.
 *
 *   cond    or [if or [else cond]]...
 *   or      and [or and]...            and  not [and not]...
 *   not     not not | compare          compare  sum [op sum]...
 *   sum     concat [+|- concat]...     concat  term [~ term]...
 *   term    power [*|/|//|% power]...  power  unary [** unary]...
 *   unary   -unary | +unary | primary, then .x [x] (x) |filter is test
 *
 * Two of Jinja2's habits are kept: ** binds to the left, and a minus before a
 * filtered value takes the value first ((-x)|abs). Every level down is counted,
 * so a hostile template cannot choose our stack. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tok/jinja_tree.h"

decai__j_node *
decai__j_parse_fail(decai__j_parser *p, int32_t code, const char *format, ...)
{
    char why[120];
    va_list args;
    if (p->error) return NULL;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    const decai__j_token *t = decai__j_tok(p);
    p->error = decai__j_fail_at(p->t, t->begin, t->end, code, "%s", why);
    return NULL;
}

const decai__j_token *
decai__j_tok(const decai__j_parser *p)
{
    return &p->tok[p->at];
}

const decai__j_token *
decai__j_tok_next(decai__j_parser *p)
{
    const decai__j_token *t = &p->tok[p->at];
    if (p->at + 1 < p->count) p->at++;
    return t;
}

bool
decai__j_tok_is(const decai__j_parser *p, const char *name)
{
    const decai__j_token *t = decai__j_tok(p);
    return t->type == T_NAME && decai__j_str_is(t->value, name, strlen(name));
}

bool
decai__j_tok_op(const decai__j_parser *p, uint16_t op)
{
    return decai__j_tok(p)->type == T_OP && decai__j_tok(p)->op == op;
}

bool
decai__j_tok_skip(decai__j_parser *p, const char *name)
{
    if (!decai__j_tok_is(p, name)) return false;
    decai__j_tok_next(p);
    return true;
}

bool
decai__j_tok_skip_op(decai__j_parser *p, uint16_t op)
{
    if (!decai__j_tok_op(p, op)) return false;
    decai__j_tok_next(p);
    return true;
}

bool
decai__j_tok_want(decai__j_parser *p, const char *name)
{
    if (decai__j_tok_skip(p, name)) return true;
    decai__j_parse_fail(p, DECAI_E_CORRUPT, "'%s' should be here", name);
    return false;
}

bool
decai__j_tok_want_op(decai__j_parser *p, uint16_t op)
{
    if (decai__j_tok_skip_op(p, op)) return true;
    decai__j_parse_fail(p, DECAI_E_CORRUPT, "'%c' should be here", op & 0x7f);
    return false;
}

bool
decai__j_enter(decai__j_parser *p)
{
    if (p->error) return false;
    if (p->depth == DECAI_TEMPLATE_NEST_MAX) {
        decai__j_parse_fail(p, DECAI_E_LIMIT, "nested deeper than DECAI_TEMPLATE_NEST_MAX (%d)", DECAI_TEMPLATE_NEST_MAX);
        return false;
    }
    p->depth++;
    return true;
}

void
decai__j_leave(decai__j_parser *p)
{
    p->depth--;
}

/* ---- nodes -------------------------------------------------------------------------- */

bool
decai__j_kids_add(decai__j_parser *p, decai__j_kids *k, decai__j_node *n)
{
    if (p->error) return false;
    if (k->count == k->cap) {
        uint32_t cap = k->cap ? k->cap * 2 : 8;
        decai__j_node **items = decai__j_arena_alloc(&p->t->arena, cap * sizeof *items);
        if (!items) {
            p->error = decai__fail(decai__j_arena_why(&p->t->arena, cap * sizeof *items), "template: its tree");
            return false;
        }
        if (k->count) memcpy(items, k->items, k->count * sizeof *items);
        k->items = items;
        k->cap = cap;
    }
    k->items[k->count++] = n;
    return true;
}

decai__j_node *
decai__j_node_new(decai__j_parser *p, enum decai__j_kind kind, uint32_t begin, const decai__j_kids *kids)
{
    uint32_t count = kids ? kids->count : 0, height = 0;
    if (p->error) return NULL;
    size_t size = sizeof(decai__j_node) + count * sizeof(decai__j_node *);
    decai__j_node *n = decai__j_arena_alloc(&p->t->arena, size);
    if (!n) {
        p->error = decai__fail(decai__j_arena_why(&p->t->arena, size), "template: its tree");
        return NULL;
    }
    memset(n, 0, sizeof *n);
    n->kind = (uint8_t)kind;
    n->count = count;
    n->begin = begin;
    n->end = p->at ? p->tok[p->at - 1].end : begin;
    for (uint32_t i = 0; i < count; i++) {
        n->kid[i] = kids->items[i];
        if (kids->items[i] && kids->items[i]->height > height) height = kids->items[i]->height;
    }
    n->height = (uint16_t)(height + 1);
    if (n->height > DECAI_TEMPLATE_NEST_MAX)
        return decai__j_parse_fail(p, DECAI_E_LIMIT, "nested deeper than DECAI_TEMPLATE_NEST_MAX (%d)", DECAI_TEMPLATE_NEST_MAX);
    return n;
}

decai__j_node *
decai__j_node_with(decai__j_parser *p, enum decai__j_kind kind, uint32_t begin, decai__j_node *a, decai__j_node *b, decai__j_node *c)
{
    decai__j_node *items[] = { a, b, c };
    decai__j_kids k = { items, c ? 3 : b ? 2 : a ? 1 : 0, 3 };
    return decai__j_node_new(p, kind, begin, &k);
}

/* ---- primaries ------------------------------------------------------------------------- */

static decai__j_node *
constant(decai__j_parser *p, uint32_t begin, decai__j_val v)
{
    decai__j_node *n = decai__j_node_new(p, N_CONST, begin, NULL);
    if (n) n->value = v;
    return n;
}

static decai__j_node *
named(decai__j_parser *p, enum decai__j_kind kind, uint32_t begin, decai__j_val name, const decai__j_kids *kids)
{
    decai__j_node *n = decai__j_node_new(p, kind, begin, kids);
    if (n) n->value = name;
    return n;
}

static decai__j_node *
primary_name(decai__j_parser *p, bool target)
{
    const decai__j_token *t = decai__j_tok_next(p);
    decai__j_val v = t->value;
    if (decai__j_str_is(v, "true", 4) || decai__j_str_is(v, "True", 4)) return constant(p, t->begin, decai__j_bool(true));
    if (decai__j_str_is(v, "false", 5) || decai__j_str_is(v, "False", 5)) return constant(p, t->begin, decai__j_bool(false));
    if (decai__j_str_is(v, "none", 4) || decai__j_str_is(v, "None", 4)) return constant(p, t->begin, decai__j_none());
    decai__j_node *n = named(p, N_NAME, t->begin, v, NULL);
    if (!target || !decai__j_tok_skip_op(p, '.')) return n;
    const decai__j_token *attr = decai__j_tok(p);
    if (attr->type != T_NAME) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "a name should be here");
    decai__j_tok_next(p);
    n = decai__j_node_with(p, N_NSREF, t->begin, n, NULL, NULL);
    if (n) n->value = attr->value;
    return n;
}

/* Strings side by side are one. */
static decai__j_node *
primary_string(decai__j_parser *p)
{
    const decai__j_token *t = decai__j_tok_next(p);
    decai__j_val v = t->value;
    while (decai__j_tok(p)->type == T_STRING) {
        decai__j_val w = decai__j_tok_next(p)->value;
        char *s = decai__j_arena_alloc(&p->t->arena, (size_t)v.n + w.n);
        if (!s) {
            p->error = decai__fail(decai__j_arena_why(&p->t->arena, (size_t)v.n + w.n), "template: a string");
            return NULL;
        }
        memcpy(s, v.u.s, v.n);
        memcpy(s + v.n, w.u.s, w.n);
        v = decai__j_str(s, (size_t)v.n + w.n);
    }
    return constant(p, t->begin, v);
}

static decai__j_node *
primary_list(decai__j_parser *p)
{
    decai__j_kids k = { 0 };
    uint32_t begin = decai__j_tok_next(p)->begin;
    while (!p->error && !decai__j_tok_op(p, ']')) {
        if (k.count && !decai__j_tok_want_op(p, ',')) break;
        if (decai__j_tok_op(p, ']')) break;
        decai__j_kids_add(p, &k, decai__j_parse_expr(p, true));
    }
    decai__j_tok_want_op(p, ']');
    return decai__j_node_new(p, N_LIST, begin, &k);
}

static decai__j_node *
primary_dict(decai__j_parser *p)
{
    decai__j_kids k = { 0 };
    uint32_t begin = decai__j_tok_next(p)->begin;
    while (!p->error && !decai__j_tok_op(p, '}')) {
        if (k.count && !decai__j_tok_want_op(p, ',')) break;
        if (decai__j_tok_op(p, '}')) break;
        decai__j_kids_add(p, &k, decai__j_parse_expr(p, true));
        decai__j_tok_want_op(p, ':');
        decai__j_kids_add(p, &k, decai__j_parse_expr(p, true));
    }
    decai__j_tok_want_op(p, '}');
    return decai__j_node_new(p, N_DICT, begin, &k);
}

decai__j_node *
decai__j_parse_primary(decai__j_parser *p, bool target)
{
    const decai__j_token *t = decai__j_tok(p);
    if (p->error) return NULL;
    if (t->type == T_NAME) return primary_name(p, target);
    if (t->type == T_STRING) return primary_string(p);
    if (t->type == T_INT || t->type == T_FLOAT) {
        decai__j_tok_next(p);
        return constant(p, t->begin, t->value);
    }
    if (decai__j_tok_op(p, '[')) return primary_list(p);
    if (decai__j_tok_op(p, '{')) return primary_dict(p);
    if (!decai__j_tok_skip_op(p, '('))
        return decai__j_parse_fail(p, DECAI_E_CORRUPT, "an expression should be here");
    decai__j_node *n = decai__j_parse_tuple(p, true, NULL, true);
    decai__j_tok_want_op(p, ')');
    return n;
}

/* ---- what follows a primary --------------------------------------------------------------- */

/* One argument of a call: x, name=x, *x or **x. */
static decai__j_node *
argument(decai__j_parser *p, uint32_t *stage)
{
    uint32_t begin = decai__j_tok(p)->begin, at = 0;
    enum decai__j_kind kind = N_CONST;
    decai__j_val name = decai__j_missing();
    if (decai__j_tok_skip_op(p, '*')) at = 2, kind = N_STAR;
    else if (decai__j_tok_skip_op(p, DJ_OP2('*', '*'))) at = 3, kind = N_STARS;
    else if (decai__j_tok(p)->type == T_NAME && p->tok[p->at + 1].type == T_OP && p->tok[p->at + 1].op == '=') {
        at = 1;
        kind = N_KW;
        name = decai__j_tok_next(p)->value;
        decai__j_tok_next(p);
    }
    /* x before name= before *x before **x; name= may also follow *x. */
    if ((at == 0 && *stage > 0) || (at == 1 && *stage == 3) || (at == 2 && *stage >= 2) || (at == 3 && *stage == 3))
        return decai__j_parse_fail(p, DECAI_E_CORRUPT, "arguments in an order that no call has");
    if (at > *stage) *stage = at;
    decai__j_node *n = decai__j_parse_expr(p, true);
    if (!at || !n) return n;
    n = decai__j_node_with(p, kind, begin, n, NULL, NULL);
    if (n) n->value = name;
    return n;
}

static void
arguments(decai__j_parser *p, decai__j_kids *k)
{
    uint32_t stage = 0;
    bool first = true;
    decai__j_tok_want_op(p, '(');
    while (!p->error && !decai__j_tok_op(p, ')')) {
        if (!first && !decai__j_tok_want_op(p, ',')) return;
        if (!first && decai__j_tok_op(p, ')')) break;
        decai__j_kids_add(p, k, argument(p, &stage));
        first = false;
    }
    decai__j_tok_want_op(p, ')');
}

static decai__j_node *
call(decai__j_parser *p, decai__j_node *callee)
{
    decai__j_kids k = { 0 };
    decai__j_kids_add(p, &k, callee);
    arguments(p, &k);
    return decai__j_node_new(p, N_CALL, callee ? callee->begin : 0, &k);
}

/* One part of x[...]: an expression, or a slice with its object still missing. */
static decai__j_node *
subscript_part(decai__j_parser *p, decai__j_node *obj)
{
    decai__j_node *part[3] = { NULL, NULL, NULL };
    uint32_t begin = decai__j_tok(p)->begin, i = 0;
    if (!decai__j_tok_op(p, ':')) {
        part[0] = decai__j_parse_expr(p, true);
        if (!decai__j_tok_op(p, ':')) return part[0];
    }
    while (!p->error && i < 2 && decai__j_tok_skip_op(p, ':')) {
        i++;
        if (!decai__j_tok_op(p, ':') && !decai__j_tok_op(p, ']') && !decai__j_tok_op(p, ',')) part[i] = decai__j_parse_expr(p, true);
    }
    decai__j_node *items[] = { obj, part[0], part[1], part[2] };
    decai__j_kids k = { items, 4, 4 };
    return decai__j_node_new(p, N_SLICE, obj ? obj->begin : begin, &k);
}

static decai__j_node *
subscript(decai__j_parser *p, decai__j_node *obj)
{
    decai__j_kids k = { 0 };
    uint32_t begin = obj ? obj->begin : 0;
    decai__j_tok_next(p);
    while (!p->error && !decai__j_tok_op(p, ']')) {
        if (k.count && !decai__j_tok_want_op(p, ',')) break;
        decai__j_kids_add(p, &k, subscript_part(p, obj));
    }
    decai__j_tok_want_op(p, ']');
    if (p->error) return NULL;
    if (k.count == 1 && k.items[0]->kind == N_SLICE && k.items[0]->kid[0] == obj && k.items[0]->end <= p->tok[p->at - 1].begin)
        return k.items[0];
    for (uint32_t i = 0; i < k.count; i++)
        if (k.items[i]->kind == N_SLICE && k.items[i]->kid[0] == obj)
            return decai__j_parse_fail(p, DECAI_E_UNSUPPORTED, "several slices in one subscript");
    decai__j_node *key = k.count == 1 ? k.items[0] : decai__j_node_new(p, N_TUPLE, begin, &k);
    return decai__j_node_with(p, N_ITEM, begin, obj, key, NULL);
}

static decai__j_node *
member(decai__j_parser *p, decai__j_node *obj)
{
    decai__j_tok_next(p);
    const decai__j_token *t = decai__j_tok_next(p);
    uint32_t begin = obj ? obj->begin : t->begin;
    if (t->type == T_INT) return decai__j_node_with(p, N_ITEM, begin, obj, constant(p, t->begin, t->value), NULL);
    if (t->type != T_NAME) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "a name or a number should follow the dot");
    decai__j_node *n = decai__j_node_with(p, N_ATTR, begin, obj, NULL, NULL);
    if (n) {
        n->value = t->value;
        n->aux = decai__j_method_find(t->value.u.s, t->value.n);
        n->slot = (uint32_t)decai__j_str_method_find(t->value.u.s, t->value.n);
    }
    return n;
}

static decai__j_node *
postfix(decai__j_parser *p, decai__j_node *n)
{
    while (!p->error) {
        if (decai__j_tok_op(p, '.')) n = member(p, n);
        else if (decai__j_tok_op(p, '[')) n = subscript(p, n);
        else if (decai__j_tok_op(p, '(')) n = call(p, n);
        else break;
    }
    return n;
}

/* A name with dots, as filters and tests may have. */
static decai__j_val
dotted(decai__j_parser *p)
{
    const decai__j_token *t = decai__j_tok(p);
    if (t->type != T_NAME) {
        decai__j_parse_fail(p, DECAI_E_CORRUPT, "a name should be here");
        return decai__j_missing();
    }
    uint32_t begin = t->begin, end = t->end;
    decai__j_tok_next(p);
    while (decai__j_tok_skip_op(p, '.')) {
        end = decai__j_tok(p)->end;
        if (decai__j_tok_next(p)->type != T_NAME) decai__j_parse_fail(p, DECAI_E_CORRUPT, "a name should be here");
    }
    return decai__j_str(p->t->text + begin, end - begin);
}

/* Inside a condition an unknown filter may stand, as long as it is not reached. */
static void
known(decai__j_parser *p, decai__j_node *n, const char *what)
{
    if (n && n->aux == DJ_UNKNOWN && !p->in_if)
        decai__j_parse_fail(p, DECAI_E_UNSUPPORTED, "no %s named %.*s", what, (int)DECAI__MIN(n->value.n, 60u), n->value.u.s);
}

decai__j_node *
decai__j_parse_filter(decai__j_parser *p, decai__j_node *in, bool start)
{
    while (!p->error && (start || decai__j_tok_op(p, '|'))) {
        decai__j_kids k = { 0 };
        uint32_t begin = in ? in->begin : decai__j_tok(p)->begin;
        if (!start) decai__j_tok_next(p);
        start = false;
        decai__j_val name = dotted(p);
        decai__j_kids_add(p, &k, in);
        if (decai__j_tok_op(p, '(')) arguments(p, &k);
        decai__j_node *n = named(p, N_FILTER, begin, name, &k);
        if (n) n->aux = decai__j_filter_find(name.u.s, name.n);
        known(p, n, "filter");
        in = n;
    }
    return in;
}

static decai__j_node *
test(decai__j_parser *p, decai__j_node *in)
{
    decai__j_kids k = { 0 };
    uint32_t begin = in ? in->begin : 0;
    decai__j_tok_next(p);
    bool negated = decai__j_tok_skip(p, "not");
    decai__j_val name = dotted(p);
    const decai__j_token *t = decai__j_tok(p);
    decai__j_kids_add(p, &k, in);
    if (decai__j_tok_op(p, '(')) {
        arguments(p, &k);
    } else if ((t->type == T_NAME || t->type == T_STRING || t->type == T_INT || t->type == T_FLOAT || decai__j_tok_op(p, '[')
            || decai__j_tok_op(p, '{')) && !decai__j_tok_is(p, "else") && !decai__j_tok_is(p, "or") && !decai__j_tok_is(p, "and")) {
        if (decai__j_tok_is(p, "is")) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "tests cannot be chained with is");
        decai__j_kids_add(p, &k, postfix(p, decai__j_parse_primary(p, false)));
    }
    decai__j_node *n = named(p, N_TEST, begin, name, &k);
    if (n) n->aux = decai__j_test_find(name.u.s, name.n);
    known(p, n, "test");
    return negated ? decai__j_node_with(p, N_NOT, begin, n, NULL, NULL) : n;
}

static decai__j_node *
filters(decai__j_parser *p, decai__j_node *n)
{
    while (!p->error) {
        if (decai__j_tok_op(p, '|')) n = decai__j_parse_filter(p, n, false);
        else if (decai__j_tok_is(p, "is")) n = test(p, n);
        else if (decai__j_tok_op(p, '(')) n = call(p, n);
        else break;
    }
    return n;
}

/* ---- operators -------------------------------------------------------------------------------- */

static decai__j_node *
unary(decai__j_parser *p, bool with_filter)
{
    uint32_t begin = decai__j_tok(p)->begin;
    decai__j_node *n = NULL;
    if (!decai__j_enter(p)) return NULL;
    if (decai__j_tok_op(p, '-') || decai__j_tok_op(p, '+')) {
        enum decai__j_kind kind = decai__j_tok_next(p)->op == '-' ? N_NEG : N_POS;
        n = unary(p, false);
        n = decai__j_node_with(p, kind, begin, n, NULL, NULL);
    } else {
        n = decai__j_parse_primary(p, false);
    }
    n = postfix(p, n);
    if (with_filter) n = filters(p, n);
    decai__j_leave(p);
    return n;
}

static decai__j_node *
binary(decai__j_parser *p, decai__j_node *a, enum decai__j_op op, decai__j_node *b)
{
    decai__j_node *n = decai__j_node_with(p, N_BIN, a ? a->begin : 0, a, b, NULL);
    if (n) n->op = (uint8_t)op;
    return n;
}

bool
decai__j_constant(const decai__j_node *n)
{
    if (!n || n->kind == N_CONST) return true;
    if (n->kind == N_NAME || n->kind == N_CALL) return false;
    for (uint32_t i = 0; i < n->count; i++)
        if (!decai__j_constant(n->kid[i])) return false;
    return true;
}

/* Jinja2 writes a folded negative base without brackets: (-1) ** n is -(1 ** n)
 * then, unless it folds the whole. */
static decai__j_node *
power(decai__j_parser *p)
{
    decai__j_node *n = unary(p, true);
    while (!p->error && decai__j_tok_skip_op(p, DJ_OP2('*', '*'))) {
        decai__j_node *exponent = unary(p, true), *base = n;
        n = binary(p, base, O_POW, exponent);
        if (n && decai__j_constant(base) && !decai__j_constant(exponent)) n->flags |= DJ_FOLDED;
    }
    return n;
}

static decai__j_node *
term(decai__j_parser *p)
{
    decai__j_node *n = power(p);
    while (!p->error) {
        enum decai__j_op op;
        if (decai__j_tok_skip_op(p, '*')) op = O_MUL;
        else if (decai__j_tok_skip_op(p, '/')) op = O_DIV;
        else if (decai__j_tok_skip_op(p, DJ_OP2('/', '/'))) op = O_FLOORDIV;
        else if (decai__j_tok_skip_op(p, '%')) op = O_MOD;
        else break;
        n = binary(p, n, op, power(p));
    }
    return n;
}

/* Operands of one kind in a row are children of one node. */
static decai__j_node *
row(decai__j_parser *p, enum decai__j_kind kind, uint16_t op, const char *word, decai__j_node *(*next)(decai__j_parser *))
{
    decai__j_node *n = next(p);
    if (p->error || !(word ? decai__j_tok_is(p, word) : decai__j_tok_op(p, op))) return n;
    decai__j_kids k = { 0 };
    uint32_t begin = n->begin;
    decai__j_kids_add(p, &k, n);
    while (!p->error && (word ? decai__j_tok_skip(p, word) : decai__j_tok_skip_op(p, op))) decai__j_kids_add(p, &k, next(p));
    return decai__j_node_new(p, kind, begin, &k);
}

static decai__j_node *
concat(decai__j_parser *p)
{
    return row(p, N_CONCAT, '~', NULL, term);
}

static decai__j_node *
plus(decai__j_parser *p)
{
    return row(p, N_ADD, '+', NULL, concat);
}

/* a + b - c + d: the minus splits the row, what follows adds to the result. */
static decai__j_node *
sum(decai__j_parser *p)
{
    decai__j_node *n = plus(p);
    while (!p->error && decai__j_tok_skip_op(p, '-')) {
        n = binary(p, n, O_SUB, concat(p));
        if (p->error || !decai__j_tok_op(p, '+')) continue;
        decai__j_kids k = { 0 };
        uint32_t begin = n->begin;
        decai__j_kids_add(p, &k, n);
        while (!p->error && decai__j_tok_skip_op(p, '+')) decai__j_kids_add(p, &k, concat(p));
        n = decai__j_node_new(p, N_ADD, begin, &k);
    }
    return n;
}

static bool
comparison(decai__j_parser *p, enum decai__j_op *op)
{
    static const struct { uint16_t text; uint8_t op; } ops[] = {
        { DJ_OP2('=', '='), O_EQ }, { DJ_OP2('!', '='), O_NE }, { DJ_OP2('<', '='), O_LE }, { DJ_OP2('>', '='), O_GE },
        { '<', O_LT }, { '>', O_GT },
    };
    for (size_t i = 0; i < DECAI__COUNT(ops); i++)
        if (decai__j_tok_skip_op(p, ops[i].text)) {
            *op = (enum decai__j_op)ops[i].op;
            return true;
        }
    *op = O_IN;
    if (decai__j_tok_skip(p, "in")) return true;
    if (!decai__j_tok_is(p, "not") || p->tok[p->at + 1].type != T_NAME || !decai__j_str_is(p->tok[p->at + 1].value, "in", 2))
        return false;
    *op = O_NOTIN;
    decai__j_tok_next(p);
    decai__j_tok_next(p);
    return true;
}

static decai__j_node *
compare(decai__j_parser *p)
{
    decai__j_node *n = sum(p);
    decai__j_kids k = { 0 };
    enum decai__j_op op;
    uint32_t begin = n ? n->begin : 0;
    while (!p->error && comparison(p, &op)) {
        if (!k.count) decai__j_kids_add(p, &k, n);
        decai__j_node *o = decai__j_node_with(p, N_OPERAND, decai__j_tok(p)->begin, sum(p), NULL, NULL);
        if (o) o->op = (uint8_t)op;
        decai__j_kids_add(p, &k, o);
    }
    return k.count ? decai__j_node_new(p, N_COMPARE, begin, &k) : n;
}

static decai__j_node *
not(decai__j_parser *p)
{
    if (!decai__j_tok_is(p, "not")) return compare(p);
    if (!decai__j_enter(p)) return NULL;
    uint32_t begin = decai__j_tok_next(p)->begin;
    decai__j_node *n = not(p);
    decai__j_leave(p);
    return decai__j_node_with(p, N_NOT, begin, n, NULL, NULL);
}

static decai__j_node *
and(decai__j_parser *p)
{
    return row(p, N_AND, 0, "and", not);
}

static decai__j_node *
or(decai__j_parser *p)
{
    return row(p, N_OR, 0, "or", and);
}

/* Is there an "if" of this expression ahead? Jinja2 checks the filters of a
 * conditional expression when they run; the first part is parsed before its "if". */
static bool
if_ahead(const decai__j_parser *p)
{
    int open = 0;
    for (uint32_t i = p->at; i < p->count; i++) {
        const decai__j_token *t = &p->tok[i];
        if (t->type == T_OP && (t->op == '(' || t->op == '[' || t->op == '{')) open++;
        else if (t->type == T_OP && (t->op == ')' || t->op == ']' || t->op == '}') && open-- == 0) return false;
        else if (t->type == T_OP && t->op == ',' && !open) return false;
        else if (t->type == T_VAR_END || t->type == T_BLOCK_END || t->type == T_EOF) return false;
        else if (!open && t->type == T_NAME && decai__j_str_is(t->value, "if", 2)) return true;
    }
    return false;
}

decai__j_node *
decai__j_parse_expr(decai__j_parser *p, bool cond)
{
    if (!decai__j_enter(p)) return NULL;
    bool soft = cond && !p->in_if && if_ahead(p);
    p->in_if += soft;
    decai__j_node *n = or(p);
    while (!p->error && cond && decai__j_tok_skip(p, "if")) {
        decai__j_node *check = or(p), *other = NULL;
        if (decai__j_tok_skip(p, "else")) other = decai__j_parse_expr(p, true);
        n = decai__j_node_with(p, N_COND, n ? n->begin : 0, check, n, other);
    }
    p->in_if -= soft;
    decai__j_leave(p);
    return n;
}

decai__j_node *
decai__j_parse_tuple(decai__j_parser *p, bool cond, const char *until, bool parens)
{
    decai__j_kids k = { 0 };
    uint32_t begin = decai__j_tok(p)->begin;
    bool tuple = false;
    while (!p->error) {
        if (k.count && !decai__j_tok_want_op(p, ',')) break;
        const decai__j_token *t = decai__j_tok(p);
        if (t->type == T_VAR_END || t->type == T_BLOCK_END || decai__j_tok_op(p, ')') || (until && decai__j_tok_is(p, until))) break;
        decai__j_kids_add(p, &k, decai__j_parse_expr(p, cond));
        if (!decai__j_tok_op(p, ',')) break;
        tuple = true;
    }
    if (!tuple && k.count) return k.items[0];
    if (!tuple && !parens) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "an expression should be here");
    return decai__j_node_new(p, N_TUPLE, begin, &k);
}
