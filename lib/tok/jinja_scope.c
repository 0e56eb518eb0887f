/* jinja_scope.c - which name means which slot: decided once, when a template is made.
 *
 * Jinja2 turns templates into Python functions and names into local variables,
 * by rules that show: what a loop assigns is gone behind it, a macro sees the
 * names around its definition as they are when it is called, a name that only
 * one branch of an if assigns comes from outside in the other. This file follows
 * the rules (jinja2/idtracking.py is their reference):
 *
 *   - a scope is a template, macro, call block, loop body (again each time
 *     around), with, set or filter block; an if is none;
 *   - first look at a whole scope, without its inner scopes: reading a name that
 *     no scope around knows takes it from outside (the conversation) when the
 *     scope begins; assigning it makes a slot here, which begins with the outer
 *     scope's value, or with nothing;
 *   - then bind its names, and go into the inner scopes in the same way.
 *
 * A slot belongs to a function (what has a frame of its own at run time); a name
 * is found by how many functions out (hops) and which slot there. */
#include <string.h>

#include "tok/jinja_tree.h"

/* ---- maps from numbers to numbers ------------------------------------------------ */

typedef struct map { uint64_t *keys; uint32_t *vals; uint32_t count, size; } map;

typedef struct binder {
    decai__j_template *t;
    int32_t error;
    map symbols, outside;            /* hash of a name -> chain; symbol -> index in t->names */
    struct symbol { decai__j_val name; uint32_t next; } *symbol;
    uint32_t symbol_count, symbol_cap;
    struct { uint32_t *items, count, cap; } blocks;
} binder;

typedef struct func { struct func *outer; decai__j_func *made; map slots; uint32_t depth; } func;
typedef struct entry {
    uint32_t symbol, slot, kind, from;
    func *in, *from_in;              /* whose slot it is; whose slot it begins with */
    bool stored;
} entry;
typedef struct scope {
    struct scope *outer;
    func *func;
    uint32_t level;
    map names;                       /* symbol -> entry */
    entry *entries;
    uint32_t count, cap;
    uint32_t *log, log_count, log_cap;   /* entries, in the order they were first stored to */
} scope;

static void *
take(binder *b, size_t size)
{
    if (b->error) return NULL;
    void *p = decai__j_arena_alloc(&b->t->arena, size);
    if (!p) b->error = decai__fail(decai__j_arena_why(&b->t->arena, size), "template: its names");
    return p;
}

/* Room for one more item in a growing array; NULL after an error. */
static void *
more(binder *b, void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap) return items;
    uint32_t now = *cap ? *cap * 2 : 8;
    void *p = take(b, now * size);
    if (!p) return NULL;
    if (count) memcpy(p, items, count * size);
    *cap = now;
    return p;
}

static uint32_t
map_at(const map *m, uint64_t key)
{
    uint32_t i = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (m->size - 1);
    while (m->vals[i] && m->keys[i] != key) i = (i + 1) & (m->size - 1);
    return i;
}

/* The value + 1, or 0. */
static uint32_t
map_get(const map *m, uint64_t key)
{
    return m->size ? m->vals[map_at(m, key)] : 0;
}

static void
map_put(binder *b, map *m, uint64_t key, uint32_t val)
{
    if (m->count * 2 >= m->size) {
        map big = { .size = m->size ? m->size * 2 : 8, .count = m->count };
        big.keys = take(b, big.size * sizeof *big.keys);
        big.vals = take(b, big.size * sizeof *big.vals);
        if (b->error) return;
        memset(big.vals, 0, big.size * sizeof *big.vals);
        for (uint32_t i = 0; i < m->size; i++) {
            if (!m->vals[i]) continue;
            uint32_t at = map_at(&big, m->keys[i]);
            big.keys[at] = m->keys[i];
            big.vals[at] = m->vals[i];
        }
        *m = big;
    }
    uint32_t at = map_at(m, key);
    m->count += !m->vals[at];
    m->keys[at] = key;
    m->vals[at] = val + 1;
}

static uint32_t
symbol_of(binder *b, decai__j_val name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < name.n; i++) h = (h ^ (uint8_t)name.u.s[i]) * 0x100000001b3u;
    uint32_t first = map_get(&b->symbols, h);
    for (uint32_t i = first; i; i = b->symbol[i - 1].next)
        if (decai__j_str_is(b->symbol[i - 1].name, name.u.s, name.n)) return i - 1;
    struct symbol *s = more(b, b->symbol, b->symbol_count, &b->symbol_cap, sizeof *s);
    if (!s) return 0;
    b->symbol = s;
    s[b->symbol_count] = (struct symbol){ name, first };
    map_put(b, &b->symbols, h, b->symbol_count);
    return b->symbol_count++;
}

/* ---- scopes ----------------------------------------------------------------------------- */

static scope *
scope_new(binder *b, scope *outer, func *f, uint32_t level)
{
    scope *s = take(b, sizeof *s);
    if (s) *s = (scope){ .outer = outer, .func = f, .level = level };
    return s;
}

static func *
func_new(binder *b, func *outer)
{
    func *f = take(b, sizeof *f);
    decai__j_func *made = take(b, sizeof *made);
    if (!f || !made) return NULL;
    memset(made, 0, sizeof *made);
    *f = (func){ .outer = outer, .made = made, .depth = outer ? outer->depth + 1 : 0 };
    made->outer = outer ? outer->made : NULL;
    made->caller = made->kwargs = made->varargs = UINT32_MAX;
    return f;
}

static entry *
find_here(const scope *s, uint32_t symbol)
{
    uint32_t at = map_get(&s->names, symbol);
    return at ? &s->entries[at - 1] : NULL;
}

static entry *
find(const scope *s, uint32_t symbol)
{
    for (; s; s = s->outer) {
        entry *e = find_here(s, symbol);
        if (e) return e;
    }
    return NULL;
}

static uint32_t
outside_index(binder *b, uint32_t symbol)
{
    uint32_t at = map_get(&b->outside, symbol);
    if (at) return at - 1;
    decai__j_val *names = more(b, b->t->names, b->t->name_count, &b->t->name_cap, sizeof *names);
    if (!names) return 0;
    b->t->names = names;
    names[b->t->name_count] = b->symbol[symbol].name;
    map_put(b, &b->outside, symbol, b->t->name_count);
    return b->t->name_count++;
}

/* The scope's entry for a symbol, made if it is not there. */
static entry *
define(binder *b, scope *s, uint32_t symbol)
{
    entry *e = find_here(s, symbol);
    if (e) return e;
    entry *all = more(b, s->entries, s->count, &s->cap, sizeof *all);
    if (!all) return NULL;
    s->entries = all;
    uint64_t key = (uint64_t)s->level << 32 | symbol;
    uint32_t slot = map_get(&s->func->slots, key);
    if (!slot) {
        slot = ++s->func->made->slots;
        map_put(b, &s->func->slots, key, slot - 1);
    }
    all[s->count] = (entry){ .symbol = symbol, .slot = slot - 1, .in = s->func };
    map_put(b, &s->names, symbol, s->count);
    return b->error ? NULL : &all[s->count++];
}

static void
mark_stored(binder *b, scope *s, entry *e)
{
    if (!e || e->stored) return;
    e->stored = true;
    uint32_t *log = more(b, s->log, s->log_count, &s->log_cap, sizeof *log);
    if (!log) return;
    s->log = log;
    log[s->log_count++] = (uint32_t)(e - s->entries);
}

static void
load(binder *b, scope *s, uint32_t symbol)
{
    if (b->error || find(s, symbol)) return;
    entry *e = define(b, s, symbol);
    if (!e) return;
    e->kind = DJ_LOAD_CONTEXT;
    e->from = outside_index(b, symbol);
}

/* The slot begins with the outer scope's value, if there is an outer one. */
static void
load_outer(binder *b, scope *s, entry *e, enum decai__j_load_kind otherwise)
{
    const entry *o = s->outer ? find(s->outer, e->symbol) : NULL;
    e->kind = o ? DJ_LOAD_OUTER : (uint32_t)otherwise;
    if (o) {
        e->from = o->slot;
        e->from_in = o->in;
    } else if (otherwise == DJ_LOAD_CONTEXT) {
        e->from = outside_index(b, e->symbol);
    }
}

static void
store(binder *b, scope *s, uint32_t symbol)
{
    if (b->error) return;
    entry *e = find_here(s, symbol);
    if (!e && (e = define(b, s, symbol))) load_outer(b, s, e, DJ_LOAD_MISSING);
    mark_stored(b, s, e);
}

static uint32_t
parameter(binder *b, scope *s, decai__j_val name)
{
    entry *e = b->error ? NULL : define(b, s, symbol_of(b, name));
    if (!e) return 0;
    e->kind = DJ_LOAD_NOTHING;
    mark_stored(b, s, e);
    return e->slot;
}

/* ---- looking at a scope -------------------------------------------------------------------- */

static void look(binder *b, scope *s, const decai__j_node *n);

static void
look_all(binder *b, scope *s, const decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count; i++) look(b, s, n->kid[i]);
}

/* Names that an if assigned for the first time: where it did not, they keep
 * what they would have been. */
static void
look_if(binder *b, scope *s, const decai__j_node *n)
{
    uint32_t mark = s->log_count;
    look_all(b, s, n);
    for (uint32_t i = mark; i < s->log_count && !b->error; i++) {
        entry *e = &s->entries[s->log[i]];
        if (e->kind != DJ_LOAD_NOTHING) load_outer(b, s, e, DJ_LOAD_CONTEXT);
    }
}

static void
look(binder *b, scope *s, const decai__j_node *n)
{
    if (!n || b->error) return;
    switch (n->kind) {
    case N_NAME:
        if (n->flags & DJ_PARAM) parameter(b, s, n->value);
        else if (n->flags & DJ_STORE) store(b, s, symbol_of(b, n->value));
        else load(b, s, symbol_of(b, n->value));
        break;
    case N_IF: look_if(b, s, n); break;
    case N_MACRO: store(b, s, symbol_of(b, n->value)); break;
    case N_SET:
        look(b, s, n->kid[1]);
        look(b, s, n->kid[0]);
        break;
    case N_FOR: look(b, s, n->kid[1]); break;
    case N_CALLBLOCK:
    case N_SETBLOCK:
    case N_FILTERBLOCK: look(b, s, n->kid[0]); break;
    case N_WITH:
        for (uint32_t i = 2; i < n->count; i += 2) look(b, s, n->kid[i]);
        break;
    case N_GENERATION:
    case N_SCOPE:
    case N_BLOCK: break;
    default: look_all(b, s, n);
    }
}

static void
look_target(binder *b, scope *s, const decai__j_node *n)
{
    if (n->kind == N_NAME) parameter(b, s, n->value);
    else
        for (uint32_t i = 0; i < n->count; i++) look_target(b, s, n->kid[i]);
}

static bool
reads(const decai__j_node *n, const char *name, size_t len)
{
    if (!n) return false;
    if (n->kind == N_NAME) return !(n->flags & DJ_STORE) && decai__j_str_is(n->value, name, len);
    for (uint32_t i = 0; i < n->count; i++)
        if (reads(n->kid[i], name, len)) return true;
    return false;
}

/* ---- binding its names --------------------------------------------------------------------------- */

static void bind(binder *b, scope *s, decai__j_node *n);

static void
bind_all(binder *b, scope *s, decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count; i++) bind(b, s, n->kid[i]);
}

static void
bind_name(binder *b, scope *s, decai__j_node *n)
{
    uint32_t symbol = symbol_of(b, n->value);
    load(b, s, symbol);
    const entry *e = b->error ? NULL : find(s, symbol);
    if (!e) return;
    n->slot = e->slot;
    n->hops = s->func->depth - e->in->depth;
}

/* What the scope does when it begins. */
static decai__j_scope
scope_made(binder *b, const scope *s)
{
    decai__j_scope made = { NULL, 0 };
    if (b->error || !s->count || !(made.loads = take(b, s->count * sizeof *made.loads))) return made;
    for (uint32_t i = 0; i < s->count; i++) {
        const entry *e = &s->entries[i];
        uint32_t hops = e->kind == DJ_LOAD_OUTER ? s->func->depth - e->from_in->depth : 0;
        made.loads[made.count++] = (decai__j_load){ e->slot, e->kind, hops, e->from };
    }
    return made;
}

static decai__j_scope *
scopes_for(binder *b, decai__j_node *n, uint32_t count)
{
    n->scope = take(b, count * sizeof *n->scope);
    if (n->scope) memset(n->scope, 0, count * sizeof *n->scope);
    return n->scope;
}

static void
bind_inside(binder *b, scope *s, decai__j_node *n, decai__j_node *first, decai__j_node *second)
{
    scope *in = scope_new(b, s, s->func, s->level + 1);
    if (!in || !scopes_for(b, n, 1)) return;
    look(b, in, first);
    look(b, in, second);
    if (first) bind(b, in, first);
    if (second) bind(b, in, second);
    n->scope[0] = scope_made(b, in);
}

static decai__j_node *
copy_target(binder *b, const decai__j_node *n)
{
    size_t size = sizeof *n + n->count * sizeof(decai__j_node *);
    decai__j_node *c = take(b, size);
    if (!c) return NULL;
    memcpy(c, n, size);
    for (uint32_t i = 0; i < n->count; i++) c->kid[i] = copy_target(b, n->kid[i]);
    return c;
}

enum { TEST_LEVEL = 1 << 20 };       /* the test's names are kept apart from the body's */

static void
bind_for(binder *b, scope *s, decai__j_node *n)
{
    bind(b, s, n->kid[1]);
    func *f = s->func;
    if (n->flags & DJ_RECURSIVE) {
        s->func->made->kept = true;
        f = func_new(b, f);
        if (!f) return;
        n->func = f->made;
    }
    if (!scopes_for(b, n, 3)) return;
    scope *body = scope_new(b, s, f, s->level + 1), *other = scope_new(b, s, f, s->level + 1);
    if (!body || !other) return;
    if (n->flags & DJ_RECURSIVE || reads(n->kid[3], "loop", 4)) {
        n->flags |= DJ_USES_LOOP;
        n->args = parameter(b, body, decai__j_lit("loop"));
    }
    look_target(b, body, n->kid[0]);
    look(b, body, n->kid[3]);
    if (n->kid[2]) {
        scope *test = scope_new(b, s, f, s->level + 1 + TEST_LEVEL);
        n->kid[5] = copy_target(b, n->kid[0]);
        if (!test || b->error) return;
        look_target(b, test, n->kid[5]);
        look(b, test, n->kid[2]);
        bind(b, test, n->kid[5]);
        bind(b, test, n->kid[2]);
        n->scope[2] = scope_made(b, test);
    }
    bind(b, body, n->kid[0]);
    bind(b, body, n->kid[3]);
    n->scope[0] = scope_made(b, body);
    if (n->kid[4]) {
        look(b, other, n->kid[4]);
        bind(b, other, n->kid[4]);
        n->scope[1] = scope_made(b, other);
    }
}

/* A special name that the body reads is a parameter, unless it is one anyway. */
static uint32_t
special(binder *b, scope *in, decai__j_node *n, const decai__j_node *body, const char *name, uint16_t flag)
{
    for (uint32_t i = n->count - n->args; i < n->count; i++)
        if (decai__j_str_is(n->kid[i]->value, name, strlen(name))) {
            if (flag == DJ_CALLER && reads(body, name, strlen(name))) n->flags |= flag;
            return UINT32_MAX;
        }
    if (!reads(body, name, strlen(name))) return UINT32_MAX;
    n->flags |= flag;
    return parameter(b, in, decai__j_lit(name));
}

/* A macro or call block; at: where its body is among its children. */
static void
bind_code(binder *b, scope *s, decai__j_node *n, uint32_t at)
{
    s->func->made->kept = true;
    func *f = func_new(b, s->func);
    scope *in = f ? scope_new(b, s, f, s->level + 1) : NULL;
    if (!in) return;
    n->func = f->made;
    for (uint32_t i = n->count - n->args; i < n->count; i++) look(b, in, n->kid[i]);
    f->made->caller = special(b, in, n, n->kid[at], "caller", DJ_CALLER);
    f->made->kwargs = special(b, in, n, n->kid[at], "kwargs", DJ_KWARGS);
    f->made->varargs = special(b, in, n, n->kid[at], "varargs", DJ_VARARGS);
    for (uint32_t i = at + 1; i < n->count - n->args; i++) look(b, in, n->kid[i]);
    look(b, in, n->kid[at]);
    for (uint32_t i = at; i < n->count; i++) bind(b, in, n->kid[i]);
    f->made->scope = scope_made(b, in);
}

static void
bind_with(binder *b, scope *s, decai__j_node *n)
{
    scope *in = scope_new(b, s, s->func, s->level + 1);
    if (!in || !scopes_for(b, n, 1)) return;
    for (uint32_t i = 1; i < n->count; i += 2) look(b, in, n->kid[i]);
    look(b, in, n->kid[0]);
    for (uint32_t i = 1; i < n->count; i += 2) {
        bind(b, in, n->kid[i]);
        bind(b, s, n->kid[i + 1]);
    }
    bind(b, in, n->kid[0]);
    n->scope[0] = scope_made(b, in);
}

static void
bind_block(binder *b, scope *s, decai__j_node *n)
{
    uint32_t symbol = symbol_of(b, n->value);
    for (uint32_t i = 0; i < b->blocks.count; i++)
        if (b->blocks.items[i] == symbol) {
            b->error = decai__j_fail_at(b->t, n->begin, n->end, DECAI_E_CORRUPT, "this block is there twice");
            return;
        }
    uint32_t *items = more(b, b->blocks.items, b->blocks.count, &b->blocks.cap, sizeof *items);
    if (!items) return;
    b->blocks.items = items;
    items[b->blocks.count++] = symbol;
    if (n->flags & DJ_SCOPED) {
        bind_inside(b, s, n, n->kid[0], NULL);
        return;
    }
    func *f = func_new(b, NULL);
    scope *in = f ? scope_new(b, NULL, f, 0) : NULL;
    if (!in) return;
    f->made->block = true;
    n->func = f->made;
    look(b, in, n->kid[0]);
    bind(b, in, n->kid[0]);
    f->made->scope = scope_made(b, in);
}

static void
bind(binder *b, scope *s, decai__j_node *n)
{
    if (!n || b->error) return;
    switch (n->kind) {
    case N_NAME: bind_name(b, s, n); break;
    case N_FOR: bind_for(b, s, n); break;
    case N_MACRO:
        bind_name(b, s, n);
        bind_code(b, s, n, 0);
        break;
    case N_CALLBLOCK:
        bind(b, s, n->kid[0]);
        bind_code(b, s, n, 1);
        break;
    case N_FILTERBLOCK: bind_inside(b, s, n, n->kid[1], n->kid[0]); break;
    case N_SETBLOCK:
        bind(b, s, n->kid[0]);
        bind_inside(b, s, n, n->kid[2], n->kid[1]);
        break;
    case N_WITH: bind_with(b, s, n); break;
    case N_GENERATION:
    case N_SCOPE: bind_inside(b, s, n, n->kid[0], NULL); break;
    case N_BLOCK: bind_block(b, s, n); break;
    default: bind_all(b, s, n);
    }
}

int32_t
decai__j_bind(decai__j_template *t)
{
    binder b = { .t = t };
    func *f = func_new(&b, NULL);
    scope *root = f ? scope_new(&b, NULL, f, 0) : NULL;
    if (!root) return b.error;
    t->func = f->made;
    f->made->kept = true;
    look(&b, root, t->body);
    bind(&b, root, t->body);
    f->made->scope = scope_made(&b, root);
    t->name_root = take(&b, (t->name_count + 1) * sizeof *t->name_root);
    t->name_global = take(&b, (t->name_count + 1) * sizeof *t->name_global);
    for (uint32_t i = 0; !b.error && i < t->name_count; i++) {
        const entry *e = find_here(root, symbol_of(&b, t->names[i]));
        t->name_global[i] = decai__j_global_find(t->names[i]);
        t->name_root[i] = e && e->stored ? e->slot + 1 : 0;
    }
    return b.error;
}
