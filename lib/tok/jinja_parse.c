/* jinja_parse.c - statements, and the way from a text to a template.
 *
 * Known: for if set with macro call filter block print, raw (in the lexer),
 * break continue, generation (chat templates mark the assistant's words with
 * it), autoescape false. include, import, from and extends are read and raise
 * when they are reached: a template has no other templates. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "tok/jinja_tree.h"

static decai__j_node *body(decai__j_parser *p, const char *end1, const char *end2, const char *end3);

/* A statement's body, behind its tag: up to one of the ends, which is left in
 * place as the current token. */
static decai__j_node *
block(decai__j_parser *p, const char *end1, const char *end2, const char *end3)
{
    decai__j_tok_skip_op(p, ':');
    if (!p->error && decai__j_tok_next(p)->type != T_BLOCK_END) {
        p->at--;
        return decai__j_parse_fail(p, DECAI_E_CORRUPT, "the tag should end here");
    }
    return body(p, end1, end2, end3);
}

/* The same in a scope of its own: what an outer if said about filters and loops
 * does not reach in. */
static decai__j_node *
inner(decai__j_parser *p, bool code, const char *end1, const char *end2)
{
    uint32_t in_if = p->in_if, in_loop = p->in_loop;
    p->in_if = 0;
    if (code) p->in_loop = 0;
    decai__j_node *n = block(p, end1, end2, NULL);
    p->in_if = in_if;
    p->in_loop = in_loop;
    return n;
}

/* ---- targets ------------------------------------------------------------------------ */

static bool
assignable(decai__j_parser *p, decai__j_node *n, uint16_t flag)
{
    if (!n) return false;
    if (n->kind == N_NAME) n->flags |= flag;
    else if (n->kind == N_TUPLE || n->kind == N_LIST) {
        for (uint32_t i = 0; i < n->count; i++)
            if (!assignable(p, n->kid[i], flag)) return false;
    } else if (n->kind != N_NSREF) {
        decai__j_parse_fail(p, DECAI_E_CORRUPT, "this cannot be assigned to");
        return false;
    }
    return true;
}

static decai__j_node *
target(decai__j_parser *p, const char *until, bool namespace, uint16_t flag)
{
    decai__j_kids k = { 0 };
    uint32_t begin = decai__j_tok(p)->begin;
    bool tuple = false;
    if (!decai__j_enter(p)) return NULL;
    while (!p->error) {
        if (k.count && !decai__j_tok_want_op(p, ',')) break;
        const decai__j_token *t = decai__j_tok(p);
        if (t->type == T_VAR_END || t->type == T_BLOCK_END || decai__j_tok_op(p, ')') || (until && decai__j_tok_is(p, until))) break;
        decai__j_kids_add(p, &k, decai__j_parse_primary(p, namespace));
        if (!decai__j_tok_op(p, ',')) break;
        tuple = true;
    }
    decai__j_leave(p);
    if (!k.count && !p->error) decai__j_parse_fail(p, DECAI_E_CORRUPT, "a name should be here");
    decai__j_node *n = tuple ? decai__j_node_new(p, N_TUPLE, begin, &k) : k.count ? k.items[0] : NULL;
    return !p->error && assignable(p, n, flag) ? n : NULL;
}

static decai__j_node *
name(decai__j_parser *p, uint16_t flag)
{
    const decai__j_token *t = decai__j_tok(p);
    if (t->type != T_NAME) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "a name should be here");
    decai__j_tok_next(p);
    decai__j_node *n = decai__j_node_new(p, N_NAME, t->begin, NULL);
    if (n) {
        n->value = t->value;
        n->flags = flag;
    }
    return n;
}

/* ---- statements ------------------------------------------------------------------------ */

/* Nothing in a loop may be assigned to the name loop. */
static void
loop_name_free(decai__j_parser *p, const decai__j_node *n)
{
    if (!n || p->error) return;
    if (n->kind == N_NAME && n->flags & DJ_STORE && decai__j_str_is(n->value, "loop", 4))
        p->error = decai__j_fail_at(p->t, n->begin, n->end, DECAI_E_CORRUPT, "loop cannot be assigned to inside a loop");
    for (uint32_t i = 0; i < n->count; i++) loop_name_free(p, n->kid[i]);
}

static decai__j_node *
parse_for(decai__j_parser *p, uint32_t begin)
{
    uint32_t in_if = p->in_if;
    decai__j_node *test = NULL, *other = NULL, *to = target(p, "in", false, DJ_STORE);
    decai__j_tok_want(p, "in");
    decai__j_node *iter = decai__j_parse_tuple(p, false, "recursive", false);
    p->in_if = 0;
    if (decai__j_tok_skip(p, "if")) test = decai__j_parse_expr(p, true);
    bool recursive = decai__j_tok_skip(p, "recursive");
    p->in_if = in_if;
    uint32_t outer = p->in_loop++;
    decai__j_node *inside = inner(p, false, "endfor", "else");
    p->in_loop = recursive ? 0 : outer;
    if (!p->error && decai__j_tok_is(p, "else")) {
        decai__j_tok_next(p);
        other = inner(p, false, "endfor", NULL);
    }
    p->in_loop = outer;
    decai__j_tok_want(p, "endfor");
    decai__j_node *items[] = { to, iter, test, inside, other, NULL };
    decai__j_kids k = { items, 6, 6 };
    decai__j_node *n = decai__j_node_new(p, N_FOR, begin, &k);
    if (n && recursive) n->flags |= DJ_RECURSIVE;
    loop_name_free(p, n);
    return n;
}

static decai__j_node *
parse_if(decai__j_parser *p, uint32_t begin)
{
    decai__j_kids k = { 0 };
    bool other = false;
    p->in_if++;
    do {
        decai__j_kids_add(p, &k, decai__j_parse_tuple(p, false, NULL, false));
        decai__j_kids_add(p, &k, block(p, "elif", "else", "endif"));
    } while (!p->error && decai__j_tok_skip(p, "elif"));
    if (!p->error && decai__j_tok_skip(p, "else")) {
        other = true;
        decai__j_kids_add(p, &k, block(p, "endif", NULL, NULL));
    }
    p->in_if--;
    decai__j_tok_want(p, "endif");
    decai__j_node *n = decai__j_node_new(p, N_IF, begin, &k);
    if (n && other) n->flags |= DJ_ELSE;
    return n;
}

static decai__j_node *
parse_set(decai__j_parser *p, uint32_t begin)
{
    decai__j_node *to = target(p, NULL, true, DJ_STORE);
    if (decai__j_tok_skip_op(p, '=')) return decai__j_node_with(p, N_SET, begin, to, decai__j_parse_tuple(p, true, NULL, false), NULL);
    uint32_t in_if = p->in_if;
    p->in_if = 0;
    decai__j_node *filter = decai__j_parse_filter(p, NULL, false);
    p->in_if = in_if;
    decai__j_node *inside = inner(p, false, "endset", NULL);
    decai__j_tok_want(p, "endset");
    decai__j_node *items[] = { to, filter, inside };
    decai__j_kids k = { items, 3, 3 };
    return decai__j_node_new(p, N_SETBLOCK, begin, &k);
}

static decai__j_node *
parse_with(decai__j_parser *p, uint32_t begin)
{
    decai__j_kids k = { 0 };
    decai__j_kids_add(p, &k, NULL);
    while (!p->error && decai__j_tok(p)->type != T_BLOCK_END) {
        if (k.count > 1 && !decai__j_tok_want_op(p, ',')) break;
        decai__j_kids_add(p, &k, target(p, NULL, false, DJ_STORE | DJ_PARAM));
        decai__j_tok_want_op(p, '=');
        decai__j_kids_add(p, &k, decai__j_parse_expr(p, true));
    }
    decai__j_node *inside = inner(p, false, "endwith", NULL);
    if (!p->error) k.items[0] = inside;
    decai__j_tok_want(p, "endwith");
    return decai__j_node_new(p, N_WITH, begin, &k);
}

/* (a, b=1, ...): parameters behind their defaults, as the node wants them. */
static void
signature(decai__j_parser *p, decai__j_kids *params, decai__j_kids *defaults)
{
    decai__j_tok_want_op(p, '(');
    while (!p->error && !decai__j_tok_op(p, ')')) {
        if (params->count && !decai__j_tok_want_op(p, ',')) return;
        decai__j_kids_add(p, params, name(p, DJ_STORE | DJ_PARAM));
        if (decai__j_tok_skip_op(p, '=')) decai__j_kids_add(p, defaults, decai__j_parse_expr(p, true));
        else if (defaults->count) decai__j_parse_fail(p, DECAI_E_CORRUPT, "a parameter without a default follows one with");
    }
    decai__j_tok_want_op(p, ')');
}

static decai__j_node *
code_node(decai__j_parser *p, enum decai__j_kind kind, uint32_t begin, decai__j_kids *k, const decai__j_kids *params, const decai__j_kids *defaults)
{
    for (uint32_t i = 0; i < defaults->count; i++) decai__j_kids_add(p, k, defaults->items[i]);
    for (uint32_t i = 0; i < params->count; i++) decai__j_kids_add(p, k, params->items[i]);
    decai__j_node *n = decai__j_node_new(p, kind, begin, k);
    if (n) {
        n->args = params->count;
        n->defaults = defaults->count;
    }
    return n;
}

static decai__j_node *
parse_macro(decai__j_parser *p, uint32_t begin)
{
    decai__j_kids k = { 0 }, params = { 0 }, defaults = { 0 };
    uint32_t in_if = p->in_if;
    decai__j_node *self = name(p, DJ_STORE);
    p->in_if = 0;
    signature(p, &params, &defaults);
    p->in_if = in_if;
    decai__j_kids_add(p, &k, inner(p, true, "endmacro", NULL));
    decai__j_tok_want(p, "endmacro");
    decai__j_node *n = code_node(p, N_MACRO, begin, &k, &params, &defaults);
    if (n && self) n->value = self->value;
    return n;
}

static decai__j_node *
parse_call(decai__j_parser *p, uint32_t begin)
{
    decai__j_kids k = { 0 }, params = { 0 }, defaults = { 0 };
    if (decai__j_tok_op(p, '(')) signature(p, &params, &defaults);
    decai__j_node *callee = decai__j_parse_expr(p, true);
    if (!p->error && callee->kind != N_CALL) decai__j_parse_fail(p, DECAI_E_CORRUPT, "a call should be here");
    decai__j_kids_add(p, &k, callee);
    decai__j_kids_add(p, &k, inner(p, true, "endcall", NULL));
    decai__j_tok_want(p, "endcall");
    return code_node(p, N_CALLBLOCK, begin, &k, &params, &defaults);
}

static decai__j_node *
parse_filter_block(decai__j_parser *p, uint32_t begin)
{
    uint32_t in_if = p->in_if;
    p->in_if = 0;
    decai__j_node *filter = decai__j_parse_filter(p, NULL, true);
    p->in_if = in_if;
    decai__j_node *inside = inner(p, false, "endfilter", NULL);
    decai__j_tok_want(p, "endfilter");
    return decai__j_node_with(p, N_FILTERBLOCK, begin, filter, inside, NULL);
}

static decai__j_node *
parse_block(decai__j_parser *p, uint32_t begin)
{
    decai__j_node *self = name(p, DJ_STORE);
    bool scoped = decai__j_tok_skip(p, "scoped");
    if (decai__j_tok_is(p, "required")) return decai__j_parse_fail(p, DECAI_E_UNSUPPORTED, "required blocks");
    decai__j_node *inside = inner(p, true, "endblock", NULL);
    decai__j_tok_want(p, "endblock");
    if (p->error) return NULL;
    if (decai__j_tok(p)->type == T_NAME && decai__j_str_is(decai__j_tok(p)->value, self->value.u.s, self->value.n)) decai__j_tok_next(p);
    decai__j_node *n = decai__j_node_with(p, N_BLOCK, begin, inside, NULL, NULL);
    if (!n) return NULL;
    n->value = self->value;
    if (scoped) n->flags |= DJ_SCOPED;
    return n;
}

static decai__j_node *
parse_print(decai__j_parser *p, uint32_t begin)
{
    decai__j_kids k = { 0 };
    while (!p->error && decai__j_tok(p)->type != T_BLOCK_END) {
        if (k.count && !decai__j_tok_want_op(p, ',')) break;
        decai__j_kids_add(p, &k, decai__j_parse_expr(p, true));
    }
    return decai__j_node_new(p, N_OUTPUT, begin, &k);
}

static decai__j_node *
parse_generation(decai__j_parser *p, uint32_t begin)
{
    decai__j_node *inside = inner(p, true, "endgeneration", NULL);
    decai__j_tok_want(p, "endgeneration");
    return decai__j_node_with(p, N_GENERATION, begin, inside, NULL, NULL);
}

static decai__j_node *
parse_autoescape(decai__j_parser *p, uint32_t begin)
{
    decai__j_node *on = decai__j_parse_expr(p, true);
    if (!p->error && (on->kind != N_CONST || on->value.type != J_BOOL || on->value.u.i))
        return decai__j_parse_fail(p, DECAI_E_UNSUPPORTED, "autoescape other than false");
    decai__j_node *inside = inner(p, false, "endautoescape", NULL);
    decai__j_tok_want(p, "endautoescape");
    return decai__j_node_with(p, N_SCOPE, begin, inside, NULL, NULL);
}

static decai__j_node *
parse_jump(decai__j_parser *p, uint32_t begin, enum decai__j_kind kind)
{
    if (!p->in_loop) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "break and continue need a loop around them");
    return decai__j_node_new(p, kind, begin, NULL);
}

/* include, import, extends: everything up to the tag's end is passed over. */
static decai__j_node *
parse_outside(decai__j_parser *p, uint32_t begin)
{
    decai__j_node *n = decai__j_parse_expr(p, true);
    while (!p->error && decai__j_tok(p)->type != T_BLOCK_END && decai__j_tok(p)->type != T_EOF) decai__j_tok_next(p);
    return decai__j_node_with(p, N_OUTSIDE, begin, n, NULL, NULL);
}

static decai__j_node *
statement(decai__j_parser *p)
{
    const decai__j_token *t = decai__j_tok(p);
    uint32_t begin = t->begin;
    if (t->type != T_NAME) return decai__j_parse_fail(p, DECAI_E_CORRUPT, "a statement's name should be here");
    if (decai__j_tok_skip(p, "if")) return parse_if(p, begin);
    if (decai__j_tok_skip(p, "set")) return parse_set(p, begin);
    if (decai__j_tok_skip(p, "for")) return parse_for(p, begin);
    if (decai__j_tok_skip(p, "macro")) return parse_macro(p, begin);
    if (decai__j_tok_skip(p, "call")) return parse_call(p, begin);
    if (decai__j_tok_skip(p, "filter")) return parse_filter_block(p, begin);
    if (decai__j_tok_skip(p, "with")) return parse_with(p, begin);
    if (decai__j_tok_skip(p, "block")) return parse_block(p, begin);
    if (decai__j_tok_skip(p, "print")) return parse_print(p, begin);
    if (decai__j_tok_skip(p, "generation")) return parse_generation(p, begin);
    if (decai__j_tok_skip(p, "autoescape")) return parse_autoescape(p, begin);
    if (decai__j_tok_skip(p, "break")) return parse_jump(p, begin, N_BREAK);
    if (decai__j_tok_skip(p, "continue")) return parse_jump(p, begin, N_CONTINUE);
    if (decai__j_tok_skip(p, "include") || decai__j_tok_skip(p, "import") || decai__j_tok_skip(p, "from") || decai__j_tok_skip(p, "extends"))
        return parse_outside(p, begin);
    return decai__j_parse_fail(p, DECAI_E_CORRUPT, "no such statement here");
}

static void
data(decai__j_parser *p, decai__j_kids *k)
{
    const decai__j_token *t = decai__j_tok_next(p);
    decai__j_node *n = decai__j_node_new(p, N_DATA, t->begin, NULL);
    if (n) n->value = t->value;
    decai__j_kids_add(p, k, n);
}

/* What is put out whole from constants is computed by Jinja2's own getitem, which
 * gives undefined for a slice of what has none, where Python raises. */
static void
fold_slices(decai__j_node *n)
{
    if (!n) return;
    if (n->kind == N_SLICE) n->flags |= DJ_FOLDED;
    for (uint32_t i = 0; i < n->count; i++) fold_slices(n->kid[i]);
}

static void
output(decai__j_parser *p, decai__j_kids *k)
{
    uint32_t begin = decai__j_tok_next(p)->begin;
    decai__j_node *n = decai__j_parse_tuple(p, true, NULL, false);
    if (n && decai__j_constant(n)) fold_slices(n);
    decai__j_kids_add(p, k, decai__j_node_with(p, N_OUTPUT, begin, n, NULL, NULL));
    if (!p->error && decai__j_tok_next(p)->type != T_VAR_END) {
        p->at--;
        decai__j_parse_fail(p, DECAI_E_CORRUPT, "the tag should end here");
    }
}

static decai__j_node *
body(decai__j_parser *p, const char *end1, const char *end2, const char *end3)
{
    decai__j_kids k = { 0 };
    uint32_t begin = decai__j_tok(p)->begin;
    bool ended = false;
    if (!decai__j_enter(p)) return NULL;
    while (!p->error && !ended) {
        const decai__j_token *t = decai__j_tok(p);
        if (t->type == T_EOF) {
            if (end1) decai__j_parse_fail(p, DECAI_E_CORRUPT, "the template ends before '%s'", end1);
            break;
        }
        if (t->type == T_DATA) {
            data(p, &k);
        } else if (t->type == T_VAR_BEGIN) {
            output(p, &k);
        } else {
            decai__j_tok_next(p);
            ended = (end1 && decai__j_tok_is(p, end1)) || (end2 && decai__j_tok_is(p, end2)) || (end3 && decai__j_tok_is(p, end3));
            if (ended) break;
            decai__j_kids_add(p, &k, statement(p));
            if (!p->error && decai__j_tok_next(p)->type != T_BLOCK_END) {
                p->at--;
                decai__j_parse_fail(p, DECAI_E_CORRUPT, "the tag should end here");
            }
        }
    }
    decai__j_leave(p);
    return decai__j_node_new(p, N_BODY, begin, &k);
}

decai__j_node *
decai__j_parse_body(decai__j_parser *p)
{
    return body(p, NULL, NULL, NULL);
}

/* ---- places in the source, for errors ------------------------------------------------------ */

void
decai__j_place(const decai__j_template *t, uint32_t begin, uint32_t end, char *out, size_t cap)
{
    size_t line = 1, n, excerpt = 0;
    for (size_t i = 0; i < begin && i < t->len; i++) line += t->text[i] == '\n';
    int wrote = snprintf(out, cap, "line %zu: `", line);
    n = wrote > 0 && (size_t)wrote < cap ? (size_t)wrote : 0;
    size_t max = cap > 80 ? 56 : cap / 2;
    for (size_t i = begin; i < end && i < t->len && n + 8 < cap; i++) {
        char c = t->text[i];
        bool space = c == ' ' || c == '\n' || c == '\t';
        if (space && excerpt && out[n - 1] == ' ') continue;
        /* Cut between characters. */
        if (excerpt >= max && ((uint8_t)c & 0xc0) != 0x80) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        out[n++] = space ? ' ' : c;
        excerpt++;
    }
    if (n + 1 < cap) out[n++] = '`';
    out[n < cap ? n : cap - 1] = 0;
}

int32_t
decai__j_fail_at(const decai__j_template *t, uint32_t begin, uint32_t end, int32_t code, const char *format, ...)
{
    char why[128], place[120];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    decai__j_place(t, begin, end, place, sizeof place);
    return decai__fail(code, "template: %s: %s", place, why);
}

/* ---- text to template -------------------------------------------------------------------------- */

/* "\r\n" and "\r" become "\n"; one newline at the end goes. */
static int32_t
normalise(decai__j_template *t, const char *text, size_t len)
{
    char *s = decai__j_arena_alloc(&t->arena, len + 1);
    if (!s) return decai__fail(decai__j_arena_why(&t->arena, len + 1), "template: its text");
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        s[n++] = text[i] == '\r' ? '\n' : text[i];
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n') i++;
    }
    if (n && s[n - 1] == '\n') n--;
    s[n] = 0;
    t->text = s;
    t->len = n;
    return 0;
}

int32_t
decai__j_template_make(decai_context *ctx, decai__j_template *t, const char *text, size_t len, const decai__j_limits *limits)
{
    if ((int64_t)len > limits->text_max)
        return decai__fail(DECAI_E_LIMIT, "tok.template_text_max: the template has %zu bytes, at most %lld", len,
            (long long)limits->text_max);
    size_t good = decai__utf8_valid(text, len);
    if (good != len) return decai__fail(DECAI_E_CORRUPT, "template: byte %zu: not valid UTF-8", good);
    /* A token is 32 bytes and a node about 100: what a text can become is bounded by its length. */
    t->arena = (decai__j_arena){ .ctx = ctx, .max = 1024 * len + (1u << 20), .name = "template" };
    int32_t r = normalise(t, text, len);
    if (r) return r;
    decai__j_lexer lx = { .t = t, .s = t->text, .len = t->len };
    r = decai__j_lex(&lx);
    if (r) return r;
    decai__j_parser p = { .t = t, .tok = lx.tokens, .count = lx.count };
    t->body = decai__j_parse_body(&p);
    if (p.error) return p.error;
    r = decai__j_bind(t);
    if (!r) r = decai__j_intern(t);
    if (!r) decai__j_ready(t);
    return r;
}
