/* sample.h - what the sampler's files share. Private to the room.
 *
 *     sampler.c      options into a sampler, its lists, their digests
 *     sample.c       the order of the steps; weights; greedy; the draw
 *     sample_edit.c  steps 1 to 4 and 6: single logits change, or are out
 *     sample_cut.c   steps 8 to 12 and mirostat: which of the weighted tokens stay
 *     sample_session.c  a session's side: history, state, likely tokens
 */
#ifndef DECAI__INFER_SAMPLE_H
#define DECAI__INFER_SAMPLE_H

#include "infer/infer.h"

#define SAMPLE_BLOCK 256u            /* logits whose maximum is kept */
#define SAMPLE_SUMS (DECAI_VOCAB_MAX / SAMPLE_BLOCK)   /* at least 2^11, the values of a key's digit */
#define SAMPLE_OUT (-__builtin_inff())   /* the logit of a token that is out */
#define SAMPLE_LARGEST __FLT_MAX__

/* Scratch of one session: nothing of it outlives a draw. */
struct decai__sample_work {
    decai_context *ctx;
    uint32_t vocab;
    size_t history;
    float *x;            /* logits as steps 1 to 6 leave them; NULL where there are no such steps */
    float *most;         /* the largest of each block; of one with tokens that went out in step 6, at least that */
    uint32_t *id, *w;    /* the list of tokens that stay, ids ascending, and their weights; temperature > 0 */
    uint32_t *count;     /* by token, all 0 between draws; penalties and DRY */
    uint32_t *match;     /* by place of the history; DRY */
    uint64_t sum[SAMPLE_SUMS];   /* of weights: by a digit of their keys, or by block */
};

/* A draw on its way through the cuts. */
typedef struct sample_cut {
    decai__sample_work *work;
    const decai__draw *draw;
    const float *x;
    uint32_t count;      /* tokens of the vocabulary */
    uint32_t n;          /* in the list: work->id[0..n-1], their weights in work->w */
    bool whole;          /* no cut is on: there is no list, work->sum has the sums by block */
    uint64_t sum;        /* of the weights that the steps so far have left */
    uint32_t best;       /* the first in rank */
    float max, inverse;  /* x_i becomes (x_i - max) * inverse */
} sample_cut;

uint64_t decai__sample_mul_high(uint64_t a, uint64_t b);               /* floor(a * b / 2^64), b < 2^63 */
uint64_t decai__sample_share(uint64_t total, uint32_t p);              /* floor(total * p / 2^16), total < 2^62, p <= 2^16 */
uint64_t decai__sample_random(const char *domain, uint64_t seed, uint64_t position);

/* sample_edit.c: steps 1 to 4 on a copy of the logits, step 6 after the maximum is known. */
bool decai__sampler_edits(const decai__sampler *s);
void decai__sample_edit(decai__sample_work *w, const decai__draw *d, uint32_t count);
void decai__sample_sigma(float *x, uint32_t count, float max, uint32_t sigma_milli);

/* sample_cut.c: fill the list and its sum: the first k in rank; those with a logit of
 * at least so much. */
void decai__cut_top_k(sample_cut *c, uint32_t k);
void decai__cut_above(sample_cut *c, float least);
uint64_t decai__cut_sum(const sample_cut *c);
/* Make it shorter: by those that weigh less than so much (the sum stays as it is);
 * steps 9 to 12, those that are on. */
void decai__cut_light(sample_cut *c, uint64_t bound);
void decai__cut(sample_cut *c, const decai__sampler *s);
/* The least weight whose surprise is at most mu; above 2^30: none has so little. */
uint32_t decai__mirostat_bound(uint64_t total, int64_t mu);
int64_t decai__mirostat_next(const decai__sampler *s, int64_t mu, uint64_t total, uint32_t weight);

#endif /* DECAI__INFER_SAMPLE_H */
