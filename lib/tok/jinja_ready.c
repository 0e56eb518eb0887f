/* jinja_ready.c - the last step of making a template: what each node will do.
 *
 *   eval, test, put, exec   functions for the node's kind and what its children are
 *   cost                    a body pays for all its statements at once when it
 *                           begins: whatever they may do besides is paid for apart
 *   level                   how deep below its body a node is. Only what can go
 *                           deeper at run time (bodies, calls) counts its depth
 *                           then; what is below is bounded by the text's nesting
 *
 * Lists and tuples of constants become constants: nothing can change them. */
#include <string.h>

#include "tok/jinja_tree.h"

static bool
is_statement(const decai__j_node *n)
{
    return n->kind >= N_BODY;
}

/* Arguments behind the first child: by position, by name, or with * and **. */
static void
count_arguments(decai__j_node *n)
{
    for (uint32_t i = 1; i < n->count; i++) {
        if (n->kid[i]->kind == N_STAR || n->kid[i]->kind == N_STARS) n->flags |= DJ_SPREAD;
        else if (n->kid[i]->kind == N_KW) n->defaults++;
        else n->args++;
    }
}

static void
fold_list(decai__j_template *t, decai__j_node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->kid[i]->kind != N_CONST) return;
    decai__j_list *l = decai__j_arena_alloc(&t->arena, sizeof *l + n->count * sizeof(decai__j_val));
    if (!l) return;                                  /* then it is made each time */
    *l = (decai__j_list){ (decai__j_val *)(void *)(l + 1), n->count, n->count };
    for (uint32_t i = 0; i < n->count; i++) l->items[i] = n->kid[i]->value;
    n->value = n->kind == N_LIST ? decai__j_list_val(l) : decai__j_tuple_val(l);
    n->kind = N_CONST;
}

/* {{ "text" }} is text: then it can join its neighbours. */
static bool
is_text(const decai__j_node *n)
{
    if (n->kind == N_DATA) return true;
    if (n->kind != N_OUTPUT) return false;
    for (uint32_t i = 0; i < n->count; i++)
        if (n->kid[i]->kind != N_CONST || !decai__j_is_plain(n->kid[i]->value)) return false;
    return true;
}

static size_t
text_length(const decai__j_node *n)
{
    size_t len = n->kind == N_DATA ? n->value.n : 0;
    for (uint32_t i = 0; n->kind == N_OUTPUT && i < n->count; i++) len += n->kid[i]->value.n;
    return len;
}

static char *
text_copy(const decai__j_node *n, char *to)
{
    const decai__j_val *v = &n->value;
    for (uint32_t i = 0; n->kind == N_DATA ? i < 1 : i < n->count; i++) {
        if (n->kind == N_OUTPUT) v = &n->kid[i]->value;
        if (v->n) memcpy(to, v->u.s, v->n);
        to += v->n;
    }
    return to;
}

/* Texts side by side in a body become one. */
static void
merge_texts(decai__j_template *t, decai__j_node *n)
{
    uint32_t count = 0;
    for (uint32_t i = 0, end; i < n->count; i = end) {
        decai__j_node *first = n->kid[i];
        size_t len = 0;
        for (end = i; end < n->count && is_text(n->kid[end]); end++) len += text_length(n->kid[end]);
        char *text = end > i && len && len < UINT32_MAX ? decai__j_arena_alloc(&t->arena, len) : NULL;
        if (!text) {                                 /* no text, or no memory for it: as it is */
            end = i + 1;
        } else {
            char *to = text;
            for (uint32_t k = i; k < end; k++) to = text_copy(n->kid[k], to);
            first->kind = N_DATA;
            first->count = 0;
            first->value = decai__j_str(text, len);
        }
        n->kid[count++] = first;
    }
    n->count = count;
}

/* level: of n, at least 1. */
static void
ready(decai__j_template *t, decai__j_node *n, uint16_t level)
{
    uint32_t cost = 1;
    n->level = level;
    for (uint32_t i = 0; i < n->count; i++) {
        decai__j_node *k = n->kid[i];
        if (!k) continue;
        ready(t, k, n->kind == N_BODY ? 1 : (uint16_t)(level + 1));
        if (k->kind != N_BODY) cost += k->cost;
    }
    n->cost = cost;
    if (n->kind == N_BODY) merge_texts(t, n);
    for (uint32_t i = 0; n->kind == N_BODY && i < n->count; i++)
        if (n->kid[i]->kind == N_DATA) decai__j_ready_stmt(n->kid[i]);
    if (n->kind == N_CALL || n->kind == N_FILTER || n->kind == N_TEST) count_arguments(n);
    if (n->kind == N_LIST || n->kind == N_TUPLE) fold_list(t, n);
    if (is_statement(n)) decai__j_ready_stmt(n);
    else decai__j_ready_expr(n);
}

void
decai__j_ready(decai__j_template *t)
{
    ready(t, t->body, 1);
}
