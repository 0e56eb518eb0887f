/* grammar_make.c - from net to automaton.
 *
 *   1. what can come to an end, and what can be empty: two runs of one worklist
 *   2. a rule that ends by calling itself becomes a loop (list ::= item list | item)
 *   3. rules that the root reaches, one by one: the subset construction, bytes and
 *      calls alike as letters; where it grows beyond GROWTH times the rule's states, or
 *      beyond WORK steps, the rule keeps its nondeterministic form without empty edges
 *   4. dead ends were never put into a subset, so every state is of use
 *
 * So a chart whose last set is not empty holds a text that can be completed; the
 * masks rest on that. All steps are linear but the third, which is bounded.
 */
#include <string.h>

#include "tok/grammar_make.h"

int32_t
decai__maker_no_memory(void)
{
    return decai__fail(DECAI_E_NOMEM, "grammar: automaton");
}

/* ---- 1: what comes to an end -------------------------------------------------------------- */

/* States that a rule's start reaches over empty edges, rules of `yes`, and bytes if
 * asked; each rule whose end is reached becomes one of `yes`. */
static int32_t
solve(decai__maker *m, uint8_t *yes, bool bytes)
{
    const decai__net *n = m->n;
    uint32_t *waits = decai__alloc(m->ctx, n->rule_count * sizeof *waits), *next = decai__alloc(m->ctx, (n->edge_count + 1) * sizeof *next);
    size_t top = 0;
    if (!waits || !next) {
        decai__free(m->ctx, waits);
        decai__free(m->ctx, next);
        return decai__maker_no_memory();
    }
    memset(m->reach, 0, n->states);
    for (size_t i = 0; i < n->rule_count; i++) {
        waits[i] = DECAI__NONE;
        m->stack[top++] = n->rules[i].start;
        m->reach[n->rules[i].start] = 1;
    }
#define PUSH(s) do { if (!m->reach[s]) m->reach[s] = 1, m->stack[top++] = (s); } while (0)
    while (top) {
        uint32_t s = m->stack[--top], rule = m->owner[s];
        if (rule != DECAI__NONE && !yes[rule]) {
            yes[rule] = 1;
            for (uint32_t e = waits[rule]; e != DECAI__NONE; e = next[e]) PUSH(n->edges[e].to);
        }
        for (uint32_t e = n->first[s]; e != DECAI__NONE; e = n->edges[e].next) {
            const decai__net_edge *d = &n->edges[e];
            if (d->kind == DECAI__EDGE_EMPTY || (d->kind == DECAI__EDGE_BYTES && bytes) || (d->kind == DECAI__EDGE_RULE && yes[d->rule])) {
                PUSH(d->to);
            } else if (d->kind == DECAI__EDGE_RULE) {
                next[e] = waits[d->rule];
                waits[d->rule] = e;
            }
        }
    }
#undef PUSH
    decai__free(m->ctx, waits);
    decai__free(m->ctx, next);
    return 0;
}

/* States from which their rule's end is reached, over edges that come to an end. */
static int32_t
mark_live(decai__maker *m)
{
    const decai__net *n = m->n;
    uint32_t *from = decai__alloc(m->ctx, (n->edge_count + 1) * sizeof *from), *next = decai__alloc(m->ctx, (n->edge_count + 1) * sizeof *next);
    uint32_t *into = decai__alloc(m->ctx, n->states * sizeof *into);
    size_t top = 0;
    if (from && next && into) {
        memset(into, 0xff, n->states * sizeof *into);
        for (uint32_t s = 0; s < n->states; s++)
            for (uint32_t e = n->first[s]; e != DECAI__NONE; e = n->edges[e].next) {
                if (n->edges[e].kind == DECAI__EDGE_RULE && !m->yes[n->edges[e].rule]) continue;
                from[e] = s;
                next[e] = into[n->edges[e].to];
                into[n->edges[e].to] = e;
            }
        for (size_t i = 0; i < n->rule_count; i++) m->live[m->stack[top++] = n->rules[i].end] = 1;
        while (top) {
            uint32_t s = m->stack[--top];
            for (uint32_t e = into[s]; e != DECAI__NONE; e = next[e])
                if (!m->live[from[e]]) m->live[m->stack[top++] = from[e]] = 1;
        }
    }
    bool ok = from && next && into;
    decai__free(m->ctx, from);
    decai__free(m->ctx, next);
    decai__free(m->ctx, into);
    return ok ? 0 : decai__maker_no_memory();
}

/* ---- the whole ------------------------------------------------------------------------------- */

uint32_t
decai__maker_number(decai__maker *m, uint32_t rule)
{
    if (m->number[rule] == DECAI__NONE) {
        m->number[rule] = m->numbered;
        m->rules[m->numbered++] = rule;
    }
    return m->number[rule];
}

static int32_t
maker_init(decai__maker *m, decai__auto *a, const decai__net *n)
{
    *m = (decai__maker){ .ctx = n->ctx, .a = a, .n = n };
    m->yes = decai__calloc(m->ctx, n->rule_count, 1);
    m->empty = decai__calloc(m->ctx, n->rule_count, 1);
    m->number = decai__alloc(m->ctx, n->rule_count * sizeof *m->number);
    m->rules = decai__alloc(m->ctx, n->rule_count * sizeof *m->rules);
    m->owner = decai__alloc(m->ctx, n->states * sizeof *m->owner);
    m->reach = decai__calloc(m->ctx, n->states, 1);
    m->live = decai__calloc(m->ctx, n->states, 1);
    m->stack = decai__alloc(m->ctx, n->states * sizeof *m->stack);
    m->stamp = decai__calloc(m->ctx, n->states, sizeof *m->stamp);
    m->set = decai__alloc(m->ctx, n->states * sizeof *m->set);
    m->letters = decai__alloc(m->ctx, (n->edge_count + 1) * sizeof *m->letters);
    if (!m->yes || !m->empty || !m->number || !m->rules || !m->owner || !m->reach || !m->live || !m->stack || !m->stamp || !m->set
        || !m->letters)
        return decai__maker_no_memory();
    memset(m->number, 0xff, n->rule_count * sizeof *m->number);
    memset(m->owner, 0xff, n->states * sizeof *m->owner);
    for (uint32_t i = 0; i < n->rule_count; i++) m->owner[n->rules[i].end] = i;
    return 0;
}

static void
maker_free(decai__maker *m)
{
    void *all[] = { m->yes, m->empty, m->number, m->rules, m->owner, m->reach, m->live, m->stack, m->stamp, m->set, m->letters,
        m->pool, m->slots, m->subsets };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) decai__free(m->ctx, all[i]);
}

/* Rules in the order in which they are met, the root first. */
static int32_t
make_rules(decai__maker *m, uint32_t root)
{
    decai__auto *a = m->a;
    size_t rules = m->n->rule_count;
    a->start = decai__alloc(m->ctx, rules * sizeof *a->start);
    a->nullable = decai__alloc(m->ctx, rules);
    if (!a->start || !a->nullable) return decai__maker_no_memory();
    (void)decai__maker_number(m, root);
    for (; a->rule_count < m->numbered; a->rule_count++) {
        uint32_t rule = m->rules[a->rule_count];
        int32_t r = decai__maker_rule(m, rule, &a->start[a->rule_count]);
        if (r) return r;
        a->nullable[a->rule_count] = m->empty[rule];
    }
    return 0;
}

int32_t
decai__auto_make(decai__auto *out, const decai__net *n, uint32_t root)
{
    decai__maker m;
    *out = (decai__auto){ .ctx = n->ctx };
    int32_t r = maker_init(&m, out, n);
    if (!r) r = solve(&m, m.yes, true);
    if (!r && !m.yes[root]) r = decai__fail(DECAI_E_INVALID, "grammar: no text can ever be complete");
    if (!r) r = solve(&m, m.empty, false);
    if (!r) r = mark_live(&m);
    if (!r) r = make_rules(&m, root);
    maker_free(&m);
    if (r) decai__auto_free(out);
    return r;
}

void
decai__auto_free(decai__auto *a)
{
    decai__free(a->ctx, a->states);
    decai__free(a->ctx, a->bytes);
    decai__free(a->ctx, a->calls);
    decai__free(a->ctx, a->start);
    decai__free(a->ctx, a->nullable);
    *a = (decai__auto){ .ctx = a->ctx };
}
