/* jinja_value.c - memory, strings, lists and dicts of one rendering.
 *
 * Texts that are built up piece by piece (s = s ~ x in a loop) must not cost
 * the square of their length. decai__j_concat therefore leaves room behind what it
 * makes and remembers the last few such texts: appending to one of them writes
 * behind it in place. The old text is a prefix of the new one, so both stay as
 * they are. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tok/jinja_tree.h"

/* ---- the arena ------------------------------------------------------------- */

enum { BLOCK_MIN = 16 << 10, BLOCK_BIG = 1 << 20 };
typedef struct decai__j_block { struct decai__j_block *next; size_t size; } decai__j_block;

static void *
arena_block(decai__j_arena *a, size_t size)
{
    size_t bytes = a->blocks ? DECAI__MIN(a->blocks->size * 2, (size_t)BLOCK_BIG) : BLOCK_MIN;
    if (bytes > a->max - a->used) bytes = a->max - a->used;
    if (bytes < size + sizeof(decai__j_block)) bytes = size + sizeof(decai__j_block);
    if (bytes > a->max - a->used) return NULL;
    decai__j_block *b = decai__alloc(a->ctx, bytes);
    if (!b) return NULL;
    *b = (decai__j_block){ .next = a->blocks, .size = bytes };
    a->blocks = b;
    a->used += bytes;
    a->cur = (char *)b + sizeof *b;
    a->end = (char *)b + bytes;
    return a->cur;
}

void *
decai__j_arena_alloc(decai__j_arena *a, size_t size)
{
    if (size > a->max) return NULL;
    size = (size + 15) & ~(size_t)15;
    if ((size_t)(a->end - a->cur) < size && !arena_block(a, size)) return NULL;
    void *p = a->cur;
    a->cur += size;
    return p;
}

int32_t
decai__j_arena_why(const decai__j_arena *a, size_t size)
{
    bool limit = size > a->max || size + sizeof(decai__j_block) + 15 > a->max - a->used;
    return limit ? DECAI_E_LIMIT : DECAI_E_NOMEM;
}

void
decai__j_arena_free(decai__j_arena *a)
{
    for (decai__j_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        decai__free(a->ctx, b);
    }
    a->blocks = NULL;
    a->cur = a->end = NULL;
    a->used = 0;
}

void *
decai__j_alloc(decai__j_run *r, size_t size)
{
    void *p = decai__j_arena_alloc(&r->arena, size);
    if (p) return p;
    if (decai__j_arena_why(&r->arena, size) == DECAI_E_LIMIT)
        decai__j_raise(r, DECAI_E_LIMIT, "%s: %zu bytes are not enough", r->arena.name, r->arena.max);
    else
        decai__j_raise(r, DECAI_E_NOMEM, "%zu bytes", size);
    return NULL;
}

/* ---- errors and fuel ---------------------------------------------------------- */

decai__j_val
decai__j_raise(decai__j_run *r, int32_t code, const char *format, ...)
{
    decai__j_val undef = { .type = J_UNDEF, .u.node = r->node };
    r->fuel = -1;
    if (r->error) return undef;
    char why[160], place[120];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    place[0] = 0;
    if (r->node) decai__j_place(r->t, r->node->begin, r->node->end, place, sizeof place);
    r->error = decai__fail(code, "template: %s%s%s", place, place[0] ? ": " : "", why);
    return undef;
}

bool
decai__j_pay_slow(decai__j_run *r)
{
    if (!r->error)
        decai__j_raise(r, DECAI_E_LIMIT, "tok.template_fuel: more than %lld steps", (long long)r->fuel_max);
    r->fuel = -1;
    return false;
}

/* ---- the stack of arguments and frames ------------------------------------------- */

typedef struct decai__j_stack { struct decai__j_stack *below, *above; decai__j_val *top, *end; decai__j_val items[]; } decai__j_stack;
enum { STACK_CHUNK = 500 };

static decai__j_stack *
stack_chunk(decai__j_run *r, size_t n)
{
    decai__j_stack *below = r->stack;
    if (below && below->above && (size_t)(below->above->end - below->above->items) >= n) {
        below->above->top = below->above->items;
        return below->above;
    }
    size_t count = n > STACK_CHUNK ? n : STACK_CHUNK;
    decai__j_stack *s = decai__j_alloc(r, sizeof *s + count * sizeof s->items[0]);
    if (!s) return NULL;
    s->below = below;
    s->above = NULL;
    s->top = s->items;
    s->end = s->items + count;
    if (below) below->above = s;
    return s;
}

decai__j_val *
decai__j_push(decai__j_run *r, size_t n)
{
    if (!r->stack || (size_t)(r->stack->end - r->stack->top) < n) {
        decai__j_stack *s = stack_chunk(r, n);
        if (!s) return NULL;
        r->stack = s;
    }
    decai__j_val *p = r->stack->top;
    r->stack->top += n;
    return p;
}

void
decai__j_pop(decai__j_run *r, decai__j_val *mark)
{
    while (r->stack->below && !(mark >= r->stack->items && mark <= r->stack->end)) {
        r->stack->top = r->stack->items;
        r->stack = r->stack->below;
    }
    r->stack->top = mark;
}

/* ---- output --------------------------------------------------------------------------- */

bool
decai__j_put_slow(decai__j_run *r, const char *s, size_t n)
{
    if (r->error) return false;
    if (n > r->out.max - r->out.len) {
        decai__j_raise(r, DECAI_E_LIMIT, "tok.template_output_max: more than %zu bytes", r->out.max);
        return false;
    }
    size_t cap = r->out.cap ? r->out.cap : DECAI__MIN(r->out.max, r->out.hint + 1024);
    while (cap < r->out.len + n) cap = cap > r->out.max / 2 ? r->out.max : cap * 2;
    char *data = decai__realloc(r->ctx, r->out.data, r->out.cap, cap);
    if (!data) {
        decai__j_raise(r, DECAI_E_NOMEM, "%zu bytes of output", cap);
        return false;
    }
    r->out.data = data;
    r->out.cap = cap;
    if (n) memcpy(data + r->out.len, s, n);
    r->out.len += n;
    return true;
}

decai__j_val
decai__j_taken(decai__j_run *r, size_t from)
{
    decai__j_val v = decai__j_str_copy(r, r->out.data ? r->out.data + from : "", r->out.len - from);
    r->out.len = from;
    return v;
}

/* ---- strings ---------------------------------------------------------------------------- */

decai__j_val
decai__j_str_copy(decai__j_run *r, const char *s, size_t n)
{
    if (n == 0) return decai__j_str("", 0);
    decai__j_pay_bytes(r, n);
    char *p = decai__j_alloc(r, n);
    if (!p) return decai__j_str("", 0);
    memcpy(p, s, n);
    return decai__j_str(p, n);
}

/* Write b behind a, where a is the end of a text with room. */
static bool
grow_in_place(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    for (uint32_t i = 0; i < DJ_GROWING; i++) {
        decai__j_grow *g = &r->grow[i];
        if (!g->data || a.u.s < g->data || a.u.s + a.n != g->data + g->used || a.u.s >= g->data + g->cap) continue;
        if (g->cap - g->used < b.n) return false;
        memcpy((char *)(uintptr_t)g->data + g->used, b.u.s, b.n);
        g->used += b.n;
        return true;
    }
    return false;
}

decai__j_val
decai__j_concat(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    decai__j_val v = a;
    if (b.n == 0) return a;
    if (a.n == 0) {
        b.flag = a.flag;
        return b;
    }
    if ((uint64_t)a.n + b.n > UINT32_MAX) return decai__j_raise(r, DECAI_E_LIMIT, "a text above 4 GiB");
    if (!decai__j_pay_bytes(r, b.n)) return a;
    v.n = a.n + b.n;
    if (grow_in_place(r, a, b)) return v;
    decai__j_pay_bytes(r, a.n);
    size_t cap = v.n < 64 ? v.n + 64 : (size_t)v.n * 2;
    char *p = decai__j_alloc(r, cap);
    if (!p) return a;
    memcpy(p, a.u.s, a.n);
    memcpy(p + a.n, b.u.s, b.n);
    r->grow[r->grow_next] = (decai__j_grow){ p, v.n, cap };
    r->grow_next = (r->grow_next + 1) % DJ_GROWING;
    v.u.s = p;
    return v;
}

decai__j_val
decai__j_to_str(decai__j_run *r, decai__j_val v)
{
    if (v.type == J_STR) return v;
    size_t from = r->out.len;
    decai__j_put_val(r, v);
    return decai__j_taken(r, from);
}

decai__j_val
decai__j_escape(decai__j_run *r, decai__j_val v)
{
    if (v.type == J_STR && v.flag & DJ_MARKUP) return v;
    decai__j_val s = decai__j_to_str(r, v);
    size_t from = r->out.len;
    decai__j_put_escaped(r, s.u.s, s.n);
    if (r->out.len - from == s.n) r->out.len = from;
    else s = decai__j_taken(r, from);
    s.flag |= DJ_MARKUP;
    return s;
}

/* ---- lists ----------------------------------------------------------------------------------- */

decai__j_list *
decai__j_list_new(decai__j_run *r, uint32_t cap)
{
    decai__j_list *l = decai__j_alloc(r, sizeof *l);
    if (!l) return NULL;
    *l = (decai__j_list){ .cap = cap };
    if (cap && !(l->items = decai__j_alloc(r, (size_t)cap * sizeof(decai__j_val)))) return NULL;
    return l;
}

bool
decai__j_list_add(decai__j_run *r, decai__j_list *l, decai__j_val v)
{
    if (l->count == l->cap) {
        if (l->cap > UINT32_MAX / 2) return false;
        uint32_t cap = l->cap ? l->cap * 2 : 4;
        decai__j_val *items = decai__j_alloc(r, (size_t)cap * sizeof v);
        if (!items) return false;
        if (l->count) memcpy(items, l->items, l->count * sizeof v);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->count++] = v;
    return true;
}

decai__j_val
decai__j_list_val(decai__j_list *l)
{
    return l ? (decai__j_val){ .type = J_LIST, .u.list = l } : (decai__j_val){ .type = J_UNDEF };
}

decai__j_val
decai__j_tuple_val(decai__j_list *l)
{
    return l ? (decai__j_val){ .type = J_TUPLE, .u.list = l } : (decai__j_val){ .type = J_UNDEF };
}

decai__j_val
decai__j_pair(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    decai__j_list *l = decai__j_list_new(r, 2);
    if (!l) return (decai__j_val){ .type = J_UNDEF };
    l->items[0] = a;
    l->items[1] = b;
    l->count = 2;
    return decai__j_tuple_val(l);
}

/* ---- dicts ------------------------------------------------------------------------------------- */

bool
decai__j_hashable(decai__j_val v)
{
    if (v.type == J_TUPLE) {
        for (uint32_t i = 0; i < v.u.list->count; i++)
            if (v.u.list->items[i].type == J_TUPLE || !decai__j_hashable(v.u.list->items[i])) return false;
        return true;
    }
    return v.type != J_LIST && v.type != J_DICT && (v.type != J_VIEW || v.aux == DJ_VALUES);
}

/* Equal values must have equal hashes: 1 == 1.0 == True. Anything that is no
 * text goes by its number or its type; probes are paid for, so a flood of equal
 * hashes only burns the fuel. */
static uint32_t
hash_of(decai__j_val v)
{
    uint64_t h = 0xcbf29ce484222325u;
    if (v.type == J_STR) {
        for (uint32_t i = 0; i < v.n; i++) h = (h ^ (uint8_t)v.u.s[i]) * 0x100000001b3u;
    } else if (v.type == J_TUPLE) {
        for (uint32_t i = 0; i < v.u.list->count; i++)
            if (v.u.list->items[i].type != J_TUPLE) h = (h ^ hash_of(v.u.list->items[i])) * 0x100000001b3u;
    } else if (decai__j_is_num(v)) {
        double d = decai__j_num(v);
        memcpy(&h, &d, sizeof h);
        if (d == 0) h = 0;
        h *= 0x9e3779b97f4a7c15u;
    }
    return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

decai__j_dict *
decai__j_dict_new(decai__j_run *r, uint32_t cap)
{
    decai__j_dict *d = decai__j_alloc(r, sizeof *d);
    if (!d) return NULL;
    *d = (decai__j_dict){ .cap = cap };
    if (cap && !(d->e = decai__j_alloc(r, (size_t)cap * sizeof(decai__j_entry)))) return NULL;
    return d;
}

decai__j_val
decai__j_dict_val(decai__j_dict *d)
{
    return d ? (decai__j_val){ .type = J_DICT, .u.dict = d } : (decai__j_val){ .type = J_UNDEF };
}

static bool
key_equal(decai__j_run *r, decai__j_val a, decai__j_val b)
{
    if (a.type == J_STR && b.type == J_STR) return decai__j_text_equal(a, b);
    return decai__j_equal(r, a, b);
}

decai__j_entry *
decai__j_dict_find(decai__j_run *r, const decai__j_dict *d, decai__j_val key)
{
    if (key.type == J_STR && key.n > 64 && !decai__j_pay(r, key.n / 32)) return NULL;
    if (!d->index) {
        for (uint32_t i = 0; i < d->count; i++)
            if (key_equal(r, d->e[i].key, key)) return &d->e[i];
        return NULL;
    }
    for (uint32_t h = hash_of(key) & d->mask; d->index[h]; h = (h + 1) & d->mask) {
        decai__j_entry *e = &d->e[d->index[h] - 1];
        if (key_equal(r, e->key, key)) return e;
        if (!decai__j_pay(r, 1)) return NULL;
    }
    return NULL;
}

static bool
dict_index(decai__j_run *r, decai__j_dict *d)
{
    uint32_t size = 32;
    while (size < d->cap * 2u) size *= 2;
    uint32_t *index = decai__j_alloc(r, size * sizeof *index);
    if (!index) return false;
    memset(index, 0, size * sizeof *index);
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t h = hash_of(d->e[i].key) & (size - 1);
        if (!decai__j_pay(r, 1 + (d->e[i].key.type == J_STR ? d->e[i].key.n / 32 : 0))) return false;
        while (index[h]) {
            h = (h + 1) & (size - 1);
            if (!decai__j_pay(r, 1)) return false;
        }
        index[h] = i + 1;
    }
    d->index = index;
    d->mask = size - 1;
    return true;
}

static bool
dict_grow(decai__j_run *r, decai__j_dict *d)
{
    if (d->cap > UINT32_MAX / 8) return false;
    uint32_t cap = d->cap ? d->cap * 2 : 4;
    decai__j_entry *e = decai__j_alloc(r, (size_t)cap * sizeof *e);
    if (!e) return false;
    if (d->count) memcpy(e, d->e, d->count * sizeof *e);
    d->e = e;
    d->cap = cap;
    return cap <= DJ_DICT_LINEAR || dict_index(r, d);
}

bool
decai__j_dict_set(decai__j_run *r, decai__j_dict *d, decai__j_val key, decai__j_val val)
{
    if (!decai__j_hashable(key)) {
        DJ_ERROR(r, "a %s cannot be a dict's key", decai__j_type_name(key));
        return false;
    }
    decai__j_entry *e = decai__j_dict_find(r, d, key);
    if (e) {
        e->val = val;
        return true;
    }
    if (d->count == d->cap && !dict_grow(r, d)) return false;
    if (d->cap > DJ_DICT_LINEAR && !d->index && !dict_index(r, d)) return false;
    d->e[d->count] = (decai__j_entry){ key, val };
    d->count++;
    d->symbols = false;
    if (d->index) {
        uint32_t h = hash_of(key) & d->mask;
        while (d->index[h] && decai__j_pay(r, 1)) h = (h + 1) & d->mask;
        if (!d->index[h]) d->index[h] = d->count;
    }
    return true;
}
