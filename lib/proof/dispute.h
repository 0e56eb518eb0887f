/* dispute.h - the inside of a dispute: two parties, a referee, a verdict. */
#ifndef DECAI__PROOF_DISPUTE_H
#define DECAI__PROOF_DISPUTE_H

#include "proof/proof.h"

/* One side: what it committed (receipt), what it says it ran (engine), and what
 * it shows when asked. The referee trusts none of it. */
typedef struct decai__party {
    decai_receipt *receipt;          /* kept */
    decai_engine *engine;            /* kept */
    decai__opening opening;
    uint8_t *opening_bytes;
    size_t opening_len;
    int32_t *tokens;                 /* prompt, then output */
    size_t count, prompt_count;
    uint8_t *roots;                  /* of its positions, 32 bytes each */
    size_t positions;
    decai__sampler sampler;
    int64_t *mu;                     /* mirostat's value before each output token */
    decai_grammar *grammar;          /* of its sampler, or NULL */
    uint64_t *mask;                  /* with one: of the draw */
    decai__draw draw;                /* at the position under dispute */
    decai__trace *trace;             /* of that position */
    bool has_fault;                  /* a test's tampering; never set through the API */
    decai__fault fault;
    bool lost;                       /* by itself: it cannot open what it committed */
} decai__party;

/* A claim about one leaf, or the referee's own value. */
typedef struct decai__claim {
    bool exact;                      /* sum counts; else value */
    int64_t sum;
    float value;
} decai__claim;

struct decai_dispute {
    decai__handle h;
    decai__party party[2];
    uint8_t model_root[32];
    atomic_int done;
    int32_t loser;                   /* 0 nobody, 1 a, 2 b, 3 both */
    int64_t token, layer, op, row, leaf;
    char reason[DECAI_DETAIL_MAX + 1];
    char op_name[32];
    char tensor[64];
    bool has_claims;
    decai__claim claim[2], truth;
    uint64_t rounds;                 /* questions of the bisection */
    uint64_t referee_bytes;          /* what the referee had to read */
    uint64_t referee_steps;          /* multiplications it made */
};

int32_t decai__dispute_create(decai_dispute **out, decai_context *ctx, const uint8_t model_root[32]);
int32_t decai__dispute_party(decai_dispute *d, int32_t which, decai_receipt *r, const uint8_t *opening,
    size_t opening_len, decai_engine *engine);
int32_t decai__dispute_run(decai_dispute *d, decai_task *task);
int32_t decai__dispute_start(decai_task **task, decai_dispute *d);
int32_t decai__dispute_format(decai__buf *out, const decai_dispute *d);

/* party.c: what a party does on its own machine. A finding against the party
 * sets lost, with the reason on the dispute; the result is 0 then. */
int32_t decai__party_open(decai_dispute *d, int32_t which);
int32_t decai__party_run(decai_dispute *d, int32_t which, decai_task *task);
int32_t decai__party_trace(decai_dispute *d, int32_t which, size_t position);
bool decai__party_sampled(const decai__party *p, size_t position);
/* An op's output as the party claims it: the sampler's token is the one it used. */
const void *decai__party_output(const decai__party *p, size_t position, uint32_t ordinal, size_t *len);
/* Its claims for the leaves of one row of a product, `count` of them. */
int32_t decai__party_leaves(const decai__party *p, size_t position, uint32_t ordinal, uint64_t row,
    decai__claim *claims, uint32_t count);
void decai__party_lose(decai_dispute *d, int32_t which);
void decai__party_free(decai_context *ctx, decai__party *p);

/* referee.c: the only judge. Fills truth and loser from the claims. */
int32_t decai__referee_supplier(decai_dispute *d, int32_t *which);
int32_t decai__referee_decide(decai_dispute *d, int32_t supplier);
/* The arguments of an op at a position from a party's trace, weights apart. */
void decai__op_inputs(decai__op_args *args, const decai__party *p, size_t position, uint32_t ordinal);

#endif /* DECAI__PROOF_DISPUTE_H */
