/* grammar_make.h - what the two files that make an automaton share. */
#ifndef DECAI__GRAMMAR_MAKE_H
#define DECAI__GRAMMAR_MAKE_H

#include "tok/grammar.h"

typedef struct decai__letter { uint32_t key, to; } decai__letter;    /* a call's rule or an edge, and where it goes */
typedef struct decai__subset { size_t at; uint32_t len; } decai__subset;

typedef struct decai__maker {
    decai_context *ctx;
    decai__auto *a;
    const decai__net *n;
    uint8_t *yes;                    /* by rule: it matches some text */
    uint8_t *empty;                  /* by rule: it matches the empty text */
    uint32_t *number;                /* by rule: in the automaton, or DECAI__NONE */
    uint32_t *rules;                 /* by number: the net's */
    uint32_t numbered;               /* so many are called from those made so far */
    uint32_t *owner;                 /* by state: the rule whose end it is, or DECAI__NONE */
    uint8_t *reach, *live;           /* by state: from a start; to an end */
    uint32_t *stack, *stamp, now;    /* by state */
    uint64_t work;

    /* grammar_subset.c: the rule at hand. */
    uint32_t rule;                   /* the net's number */
    uint32_t base;                   /* automaton state of subset 0 */
    size_t subset_max;
    bool single;                     /* one edge, one subset: nondeterministic */
    uint32_t *set;                   /* being gathered; then ascending */
    size_t set_len;
    decai__letter *letters;
    size_t letter_count;
    uint32_t *pool, *slots;          /* states of all subsets; hash table of subsets, plus one */
    size_t pool_len, pool_cap, slot_count;
    decai__subset *subsets;
    size_t subset_count, subset_cap;
} decai__maker;

int32_t decai__maker_no_memory(void);
/* The number that the automaton has for a rule of the net. */
uint32_t decai__maker_number(decai__maker *m, uint32_t rule);
/* All states of one rule; *start: the first. */
int32_t decai__maker_rule(decai__maker *m, uint32_t rule, uint32_t *start);

#endif /* DECAI__GRAMMAR_MAKE_H */
