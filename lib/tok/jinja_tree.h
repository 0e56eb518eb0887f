/* jinja_tree.h - a parsed template: nodes in an arena, immutable once made.
 *
 * lexer -> tokens -> parser -> tree -> scopes (every name bound to a slot).
 * A node's children, by kind (? may be NULL, * any number):
 *
 *   ATTR obj · ITEM obj key · SLICE obj start? stop? step? · CALL callee arg*
 *   FILTER in? arg* · TEST in arg* · KW value · STAR value · STARS value
 *   NOT NEG POS x · AND OR CONCAT LIST TUPLE x* · ADD x x* (left to right)
 *   BIN a b · COMPARE a OPERAND* · OPERAND b · COND test yes no? · DICT (key value)*
 *   BODY stmt* · OUTPUT x* · IF (test body)* else? · SET target x
 *   FOR target iter test? body else? copy? (of target, for the test) · SETBLOCK target filter? body
 *   MACRO body default* param* · CALLBLOCK call body default* param*
 *   FILTERBLOCK filter body · WITH body (target value)* · SCOPE body
 *   GENERATION body · BLOCK body · OUTSIDE x (include, import, extends)
 */
#ifndef DECAI__JINJA_TREE_H
#define DECAI__JINJA_TREE_H

#include "tok/jinja_value.h"

enum decai__j_kind {
    N_CONST, N_NAME, N_NSREF, N_LIST, N_TUPLE, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_KW, N_STAR, N_STARS,
    N_FILTER, N_TEST, N_NOT, N_NEG, N_POS, N_AND, N_OR, N_ADD, N_CONCAT, N_BIN, N_COMPARE, N_OPERAND, N_COND,
    N_BODY, N_DATA, N_OUTPUT, N_IF, N_FOR, N_SET, N_SETBLOCK, N_MACRO, N_CALLBLOCK, N_FILTERBLOCK, N_WITH, N_SCOPE,
    N_GENERATION, N_BLOCK, N_BREAK, N_CONTINUE, N_OUTSIDE
};

enum decai__j_op { O_SUB, O_MUL, O_DIV, O_FLOORDIV, O_MOD, O_POW, O_EQ, O_NE, O_LT, O_LE, O_GT, O_GE, O_IN, O_NOTIN };

/* Flags of nodes. */
enum {
    DJ_STORE = 1, DJ_PARAM = 2,      /* NAME: assigned to; a parameter */
    DJ_RECURSIVE = 4, DJ_USES_LOOP = 8,  /* FOR */
    DJ_ELSE = 16,                    /* IF: the last child is the else part */
    DJ_CALLER = 32, DJ_KWARGS = 64, DJ_VARARGS = 128,   /* MACRO, CALLBLOCK: the body uses them */
    DJ_SCOPED = 256,                 /* BLOCK */
    DJ_SPREAD = 2048,                /* CALL, FILTER, TEST: with * or ** */
    DJ_FIELD = 1024,                 /* ATTR, ITEM: of a dict, nothing but the entry of that symbol */
    DJ_FOLDED = 512                  /* SLICE, BIN: Jinja2 computes (a part of) it while compiling, and differs */
};

enum { DJ_UNKNOWN = 0xffff };        /* aux of FILTER, TEST: no such one; it raises when reached */

/* What happens to a slot when its scope begins. */
enum decai__j_load_kind { DJ_LOAD_NOTHING, DJ_LOAD_MISSING, DJ_LOAD_CONTEXT, DJ_LOAD_OUTER };
typedef struct decai__j_load { uint32_t slot, kind, hops, from; } decai__j_load;
typedef struct decai__j_scope { decai__j_load *loads; uint32_t count; } decai__j_scope;

/* A piece of code with slots of its own: template, macro, call block, recursive loop. */
typedef struct decai__j_func {
    struct decai__j_func *outer;
    uint32_t slots;
    bool kept;                       /* something inside it may outlive the call */
    bool block;                      /* of a block: the template's own names come first */
    decai__j_scope scope;
    uint32_t caller, kwargs, varargs;    /* their slots */
} decai__j_func;

/* One call of a decai__j_func. */
typedef struct decai__j_frame { struct decai__j_frame *outer; decai__j_val *slots; } decai__j_frame;
enum decai__j_flow { DJ_ON, DJ_BREAK, DJ_CONTINUE };

/* What a node does, chosen when the template is made (jinja_ready.c): give its
 * value, say whether that is true, put it out as text; a statement: run. */
struct decai__j_node;
typedef decai__j_val decai__j_eval_fn(decai__j_run *r, decai__j_frame *f, const struct decai__j_node *n);
typedef bool decai__j_test_fn(decai__j_run *r, decai__j_frame *f, const struct decai__j_node *n);
typedef void decai__j_put_fn(decai__j_run *r, decai__j_frame *f, const struct decai__j_node *n);
typedef enum decai__j_flow decai__j_exec_fn(decai__j_run *r, decai__j_frame *f, const struct decai__j_node *n);

typedef struct decai__j_node {
    uint8_t kind, op;                /* op: of BIN, OPERAND; which field of a loop an ATTR is */
    uint16_t flags, aux, height;     /* aux: which attribute, filter, test */
    uint16_t sym;                    /* of the constant or name, or 0 (jinja_intern.c) */
    uint16_t level;                  /* nodes from the BODY that it is in down to it */
    uint32_t count;
    uint32_t hops, slot;             /* NAME, and what else has a slot; TEST: slot has the types for which
                                      * it holds, as bits, where only the type matters */
    union { decai__j_eval_fn *eval; decai__j_exec_fn *exec; };
    decai__j_test_fn *test;
    decai__j_put_fn *put;
    decai__j_val value;                    /* constant; name as a string */
    uint32_t cost;                   /* steps: its nodes, without those of BODYs inside */
    uint32_t begin, end;             /* in the source, for errors */
    uint32_t args;                   /* MACRO, CALLBLOCK: parameters; FOR: slot of loop; what is called: arguments by
                                      * position */
    uint32_t defaults;               /* of parameters; what is called: arguments by name */
    decai__j_func *func;
    decai__j_scope *scope;                 /* FOR: body, else, test */
    struct decai__j_node *kid[];
} decai__j_node;

typedef struct decai__j_template {
    decai__j_arena arena;
    const char *text;                /* newlines normalised, without the last one */
    size_t len;
    decai__j_node *body;
    decai__j_func *func;
    decai__j_val *names;                   /* that come from outside */
    uint32_t name_count, name_cap;
    int32_t *name_global;            /* the function of that name, or -1 */
    uint32_t *name_root;             /* for blocks: the slot of the template's own such name, + 1 */
    uint16_t *name_symbol;
    decai__j_val *symbols;                 /* texts by number, from 1 on */
    uint16_t *symbol_table;
    uint32_t symbol_count, symbol_cap, symbol_mask;
} decai__j_template;

typedef struct decai__j_limits {
    int64_t text_max, fuel, memory, output, depth, time_s;   /* time_s < 0: the context's clock */
} decai__j_limits;

/* ---- making (jinja_lex.c, jinja_parse.c, jinja_expr.c, jinja_scope.c) ------------- */

int32_t decai__j_template_make(decai_context *ctx, decai__j_template *t, const char *text, size_t len, const decai__j_limits *limits);
/* Fail with "template: line N: `excerpt`: why". */
int32_t decai__j_fail_at(const decai__j_template *t, uint32_t begin, uint32_t end, int32_t code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Append "line N: `excerpt`"; out has room for cap bytes with the NUL. */
void decai__j_place(const decai__j_template *t, uint32_t begin, uint32_t end, char *out, size_t cap);

enum decai__j_token_type {
    T_EOF, T_DATA, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_STRING, T_INT, T_FLOAT, T_OP
};
/* op: the character of an operator, two of them as first << 8 | second. */
typedef struct decai__j_token { uint16_t type, op; uint32_t begin, end; decai__j_val value; } decai__j_token;

typedef struct decai__j_lexer {
    decai__j_template *t;
    const char *s;
    size_t pos, len;
    decai__j_token *tokens;
    uint32_t count, cap;
    char open[256];                  /* brackets */
    uint32_t depth;
    bool line_start;                 /* what was read last ended with a newline */
    int32_t error;
} decai__j_lexer;
int32_t decai__j_lex(decai__j_lexer *lx);

typedef struct decai__j_parser {
    decai__j_template *t;
    const decai__j_token *tok;
    uint32_t at, count;
    uint32_t depth, in_loop, in_if;
    int32_t error;
} decai__j_parser;
#define DJ_OP2(a, b) ((uint16_t)((a) << 8 | (b)))

decai__j_node *decai__j_parse_fail(decai__j_parser *p, int32_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));
const decai__j_token *decai__j_tok(const decai__j_parser *p);
const decai__j_token *decai__j_tok_next(decai__j_parser *p);
bool decai__j_tok_is(const decai__j_parser *p, const char *name);      /* a name token with this text */
bool decai__j_tok_op(const decai__j_parser *p, uint16_t op);
bool decai__j_tok_skip(decai__j_parser *p, const char *name);
bool decai__j_tok_skip_op(decai__j_parser *p, uint16_t op);
bool decai__j_tok_want(decai__j_parser *p, const char *name);
bool decai__j_tok_want_op(decai__j_parser *p, uint16_t op);
bool decai__j_enter(decai__j_parser *p);                               /* one level deeper; needs decai__j_leave */
void decai__j_leave(decai__j_parser *p);

/* Children are collected in a list first. */
typedef struct decai__j_kids { decai__j_node **items; uint32_t count, cap; } decai__j_kids;
bool decai__j_kids_add(decai__j_parser *p, decai__j_kids *k, decai__j_node *n);
/* end: of the last token that was read. NULL after an error. */
decai__j_node *decai__j_node_new(decai__j_parser *p, enum decai__j_kind kind, uint32_t begin, const decai__j_kids *kids);
decai__j_node *decai__j_node_with(decai__j_parser *p, enum decai__j_kind kind, uint32_t begin, decai__j_node *a, decai__j_node *b, decai__j_node *c);

decai__j_node *decai__j_parse_expr(decai__j_parser *p, bool cond);
/* Expression or tuple. until: a name that ends it, or NULL; parens: () is fine. */
decai__j_node *decai__j_parse_tuple(decai__j_parser *p, bool cond, const char *until, bool parens);
decai__j_node *decai__j_parse_primary(decai__j_parser *p, bool target);
decai__j_node *decai__j_parse_filter(decai__j_parser *p, decai__j_node *in, bool start);
/* Nothing in it comes from a name: Jinja2 would fold it. */
bool decai__j_constant(const decai__j_node *n);
decai__j_node *decai__j_parse_body(decai__j_parser *p);                      /* jinja_parse.c: the whole template */

int32_t decai__j_bind(decai__j_template *t);                           /* jinja_scope.c */
int32_t decai__j_intern(decai__j_template *t);                         /* jinja_intern.c */
void decai__j_ready(decai__j_template *t);                             /* jinja_ready.c */
void decai__j_ready_expr(decai__j_node *n);                            /* jinja_eval.c: eval, test, put */
void decai__j_ready_stmt(decai__j_node *n);                            /* jinja_exec.c: exec */
/* The number of a name of the template's, or 0; then the text becomes the template's own. */
uint16_t decai__j_symbol(const decai__j_template *t, decai__j_val *name);

/* ---- running (jinja_exec.c, jinja_eval.c, jinja_call.c) ------------------------------- */

typedef struct decai__j_macro {
    const decai__j_node *node;
    decai__j_frame *env;
    decai__j_val name;                     /* J_NONE: a call block's */
} decai__j_macro;

typedef struct decai__j_loop {
    decai__j_walk walk;
    const decai__j_node *node;             /* FOR */
    decai__j_frame *frame;
    int64_t index0, length;          /* length -1: not known yet */
    decai__j_val current, before, after, changed;
    bool tested;                     /* items pass through the loop's test */
    int64_t depth0;
} decai__j_loop;

typedef struct decai__j_kwarg { decai__j_val name, val; } decai__j_kwarg;
typedef struct decai__j_args { decai__j_val *pos; uint32_t count; decai__j_kwarg *kw; uint32_t kw_count; } decai__j_args;

static inline decai__j_val decai__j_eval(decai__j_run *r, decai__j_frame *f, const decai__j_node *n) { return n->eval(r, f, n); }
static inline enum decai__j_flow decai__j_exec(decai__j_run *r, decai__j_frame *f, const decai__j_node *n) { return n->exec(r, f, n); }
static inline decai__j_val decai__j_undef_of(const decai__j_node *n) { return (decai__j_val){ .type = J_UNDEF, .u.node = n }; }
/* Go n->level levels deeper, or raise; then r->depth must be set back. */
static inline bool decai__j_deeper(decai__j_run *r, const decai__j_node *n)
{
    r->depth += n->level;
    if (r->depth <= r->depth_max) return true;
    decai__j_raise(r, DECAI_E_LIMIT, "tok.template_depth: deeper than %u", r->depth_max);
    return false;
}
void decai__j_assign(decai__j_run *r, decai__j_frame *f, const decai__j_node *target, decai__j_val v);
void decai__j_scope_begin(decai__j_run *r, decai__j_frame *f, const decai__j_scope *s);
void decai__j_scope_end(decai__j_run *r, decai__j_frame *f, const decai__j_scope *s);
static inline decai__j_val *decai__j_slot(decai__j_frame *f, uint32_t hops, uint32_t slot)
{
    while (hops--) f = f->outer;
    return &f->slots[slot];
}
/* What a rendering is given: a dict of variables, or the list messages; and the
 * model's variables, which come second. */
typedef struct decai__j_outside { decai__j_val conversation; const struct decai__j_kwarg *model; uint32_t count; } decai__j_outside;
/* A frame of the function's own, around it the frame `outer`; NULL: raised. */
decai__j_frame *decai__j_frame_new(decai__j_run *r, decai__j_frame *outer, const decai__j_func *func);
int32_t decai__j_template_run(const decai__j_template *t, decai__j_run *r, const decai__j_outside *given);

bool decai__j_loop_next(decai__j_run *r, decai__j_loop *l, decai__j_val *out);
uint8_t decai__j_loop_field(decai__j_val name);                        /* 0: none */
decai__j_val decai__j_loop_get(decai__j_run *r, decai__j_loop *l, uint8_t field);
decai__j_val decai__j_loop_attr(decai__j_run *r, decai__j_loop *l, const char *name, size_t n);
decai__j_val decai__j_loop_recurse(decai__j_run *r, const decai__j_loop *l, decai__j_val items);
/* The loop's body over items, as text that is put; for a recursive one in a frame of its own. */
void decai__j_for_run(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_val items, int64_t depth0);

/* The arguments of n, which stand behind its first child, on the stack. */
bool decai__j_args_eval(decai__j_run *r, decai__j_frame *f, const decai__j_node *n, decai__j_args *out);
decai__j_val decai__j_call(decai__j_run *r, decai__j_val callee, const decai__j_args *a);
decai__j_val decai__j_call_macro(decai__j_run *r, const decai__j_macro *m, const decai__j_args *a);
decai__j_val decai__j_call_global(decai__j_run *r, uint32_t which, const decai__j_args *a);

/* ---- attributes and methods (jinja_attr.c, jinja_method*.c) ---------------------------- */

uint16_t decai__j_method_find(const char *name, size_t n);       /* DJ_UNKNOWN: no type has it */
const char *decai__j_method_name(uint16_t which);
bool decai__j_method_unsafe(uint16_t which);                     /* it would change its object */
/* environment.getattr and getitem. which: decai__j_method_find of the name. */
decai__j_val decai__j_attr(decai__j_run *r, decai__j_val obj, decai__j_val name, uint16_t which);
decai__j_val decai__j_item(decai__j_run *r, decai__j_val obj, decai__j_val key);
decai__j_val decai__j_slice(decai__j_run *r, decai__j_val obj, decai__j_val start, decai__j_val stop, decai__j_val step);
/* Has a value of this type the method (as an attribute)? */
bool decai__j_method_has(decai__j_val obj, uint16_t which);
/* The place of a text's method in its table, or -1; calling it by that place. */
int32_t decai__j_str_method_find(const char *name, size_t n);
decai__j_val decai__j_str_method_call(decai__j_run *r, decai__j_val s, int32_t at, const decai__j_args *a);
decai__j_val decai__j_method_call(decai__j_run *r, decai__j_val obj, uint16_t which, const decai__j_args *a);
decai__j_val decai__j_undef(decai__j_run *r);                                /* made by the node that runs */
decai__j_val decai__j_undef_raise(decai__j_run *r, decai__j_val v);                /* it was used: the error */
decai__j_val decai__j_percent(decai__j_run *r, decai__j_val format, decai__j_val args);  /* str % args (jinja_format.c) */
decai__j_val decai__j_percent_kw(decai__j_run *r, decai__j_val format, const decai__j_args *a);
decai__j_val decai__j_format(decai__j_run *r, decai__j_val format, const decai__j_args *a);   /* str.format */
decai__j_val decai__j_strftime(decai__j_run *r, decai__j_val format);

/* ---- operators, filters, tests ----------------------------------------------------------- */

decai__j_val decai__j_binary(decai__j_run *r, enum decai__j_op op, decai__j_val a, decai__j_val b);
decai__j_val decai__j_add(decai__j_run *r, decai__j_val a, decai__j_val b);
decai__j_val decai__j_negate(decai__j_run *r, decai__j_val v, bool minus);
bool decai__j_ordered(decai__j_run *r, enum decai__j_op op, decai__j_val a, decai__j_val b);

uint16_t decai__j_filter_find(const char *name, size_t n);
uint16_t decai__j_test_find(const char *name, size_t n);
decai__j_val decai__j_filter_call(decai__j_run *r, uint16_t which, decai__j_val in, const decai__j_args *a);
bool decai__j_test_call(decai__j_run *r, uint16_t which, decai__j_val in, const decai__j_args *a);
/* The types (bits) for which a test without an argument holds; 0: not only the type matters. */
uint32_t decai__j_test_types(uint16_t which);
int32_t decai__j_global_find(decai__j_val name);                       /* -1: none */

/* Arguments by position or name: names are separated by spaces, the first `need`
 * must be there; absent ones are J_MISSING. False: raised. */
bool decai__j_bind_args(decai__j_run *r, const decai__j_args *a, const char *names, uint32_t need, decai__j_val *out);
/* A dotted path of attributes as the filters take it. */
decai__j_val decai__j_path(decai__j_run *r, decai__j_val item, decai__j_val path, decai__j_val fallback);
decai__j_val decai__j_tojson(decai__j_run *r, decai__j_val v, const decai__j_args *a);
/* Sort in place by keys (kept apart), stable. */
bool decai__j_sort(decai__j_run *r, decai__j_val *items, decai__j_val *keys, uint32_t n, bool reverse);
decai__j_val decai__j_fold(decai__j_run *r, decai__j_val v);                       /* lower case if it is text */

/* ---- the conversation (jinja_json.c) --------------------------------------------------------- */

int32_t decai__j_json_read(decai__j_run *r, const char *text, size_t len, decai__j_val *out);

#endif /* DECAI__JINJA_TREE_H */
