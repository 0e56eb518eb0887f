/* grammar_walk.h - many tokens against one chart. */
#ifndef DECAI__GRAMMAR_WALK_H
#define DECAI__GRAMMAR_WALK_H

#include "tok/grammar.h"

#define DECAI__WALK_NODES 224        /* sets remembered in one walk */
#define DECAI__WALK_ITEMS 16         /* items of one of them, at most */

typedef struct decai__walk_node { uint8_t next[256], count; bool escaped; } decai__walk_node;

/* Ranges of places in a decai__order: from, to, from, to; ascending. */
typedef struct decai__ranges { uint32_t *at; size_t count, cap; uint64_t tokens; } decai__ranges;

typedef struct decai__walk {
    uint8_t *node;                   /* by bytes of the token: the number of the set there */
    uint8_t *escaped;                /* by bytes: that beginning went beyond the chain's end */
    decai__walk_node *nodes;
    decai__item *items;
    uint32_t node_count;
    size_t depth_max;
    bool remember;
    decai__ranges out[2];            /* tokens that may come; tokens that are not known */
} decai__walk;

/* token_max: bytes of the longest token. */
int32_t decai__walk_make(decai__walk *w, decai_context *ctx, size_t token_max);
void decai__walk_free(decai__walk *w, decai_context *ctx);
/* in NULL: all tokens. The chart is as before. */
int32_t decai__walk_run(decai__walk *w, decai__chart *c, const decai__order *o, const decai__ranges *in);

#endif /* DECAI__GRAMMAR_WALK_H */
