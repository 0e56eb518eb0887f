/* engine.h - the structs behind the handles. Private to the room. */
#ifndef DECAI__INFER_ENGINE_H
#define DECAI__INFER_ENGINE_H

#include <pthread.h>

#include "infer/infer.h"

/* What one pass over the model works in: rows of one session, or of many side by
 * side. It belongs to the backend and not to a session, so a session is little more
 * than its cache. Used under the backend's lock only (pass.c). */
typedef struct decai__pass {
    decai__tbuf **slot;              /* infer.batch rows each */
    uint32_t slots;
    decai__tbuf *rows;               /* residuals that a head is to be computed of */
    decai__tbuf *scores;             /* their logits, DECAI__HEAD_ROWS at a time */
    decai__tbuf *record;             /* node data: node i of n rows at n * node_at[i]; NULL: no session has a tree */
    uint8_t *record_host;            /* a device's copied here */
    uint8_t *nodes;                  /* node hashes by row, with record */
    size_t scores_rows;
} decai__pass;

/* A backend with the model's weights in it. Immutable once made, but for what passes
 * work in; an engine has one, and a second, native one after its device was lost. */
typedef struct decai__body {
    decai_context *ctx;
    decai__compute *c;
    decai__pass pass;
    size_t tensors;
    uint32_t weights;
    decai__matrix **matrix;      /* by decai__op.weights */
    decai__tbuf **vector;        /* by tensor index: norms, biases, sinks as f32 */
    decai__tbuf *rope[DECAI__ROPES_MAX]; /* angles of every position of the context */
    uint64_t lost;               /* weight scales that were rounded */
} decai__body;

/* Which scratch buffer holds each op's output. Outputs share buffers when their
 * lifetimes do not overlap, so scratch does not grow with the layers. */
typedef struct decai__plan {
    int32_t *slot;               /* by op; -1: none */
    size_t *slot_bytes;          /* by slot: bytes a token */
    uint32_t slots;
    size_t *node_at;             /* by node: bytes a token before it in the record */
    size_t record_bytes;         /* of all nodes, the head's included, a token */
} decai__plan;

/* Buffers for whole sequences (encode.c), made when first needed. */
typedef struct decai__encoder {
    decai__body *body;           /* they lie in its backend */
    size_t tokens;               /* that fit */
    decai__tbuf **slot;
} decai__encoder;

struct decai_engine {
    decai__handle h;
    atomic_int ready;            /* 1: filled; nothing changes any more */
    int32_t contract;            /* its number */
    int32_t pooling;             /* of decai_engine_encode */
    decai__encoder encoder;      /* guarded by encode_lock */
    pthread_mutex_t encode_lock;
    decai_model *model;
    decai__program *program;
    decai__plan plan;
    uint32_t context, batch;
    bool repack;                 /* backends rearrange weights: their pages can go */
    pthread_mutex_t lock;        /* guards body and spare */
    bool lock_made;
    decai__body *body;           /* the one in use */
    decai__body *spare;          /* the lost one, kept for sessions that still hold its buffers */
};

/* constrain.c */
typedef struct decai__constraint {
    const decai_grammar *grammar;    /* NULL: none */
    decai_matcher *matcher;
    uint64_t *mask;                  /* vocab bits */
    int32_t *seen;                   /* the tokens that the matcher took */
    size_t count;
} decai__constraint;

/* sample_session.c */
typedef struct decai__sampling {
    decai__constraint constraint;
    decai__sample_work *work;
    size_t first;                /* of this answer's tokens: set when tokens are added */
    int64_t *mu;                 /* mirostat's, before each token of the answer; NULL without it */
} decai__sampling;

#define DECAI__HEAD_ROWS 32          /* heads computed together with logits_all or logprobs */

struct decai_session {
    decai__handle h;
    decai_engine *engine;
    atomic_uint cancelled;
    bool failed;                 /* only decai_session_start helps */
    bool incomplete;             /* a move to another body stopped half way: make its memory anew */
    bool ended;                  /* end-of-text was handed out */
    bool waiting;                /* tokens[length] was sampled and not computed yet */
    bool head;                   /* logits belong to position length - 1 */
    bool any_logits;

    decai__sampler sampler;
    decai__sampling sampling;
    uint32_t max_tokens;
    bool tree, keep_nodes, logits_all, ignore_end, logprobs;
    bool has_fault;
    decai__fault fault;

    int32_t *tokens;             /* capacity of them */
    float *logprob;              /* by position, with logprobs */
    float *previous;             /* logits of position length - 1, with logprobs */
    uint8_t *roots;              /* 32 bytes a position, with tree */
    uint8_t *nodes;              /* node hashes by position, with keep_nodes */
    uint8_t *sampled;            /* by position */
    uint8_t *last_nodes;         /* node hashes of position length - 1, with tree */
    size_t length, capacity;
    uint64_t prompt, generated, turn;      /* turn: handed out since the last add */
    uint64_t prompt_ns, generated_ns;
    uint8_t chain[32];
    float *logits;               /* vocab of them (DECAI__HEAD_ROWS times with logits_all or logprobs) */

    /* In the backend's memory; made anew when the body is replaced. */
    decai__body *body;
    decai__kv *kv;
    decai__tbuf *last;           /* the residual of position length - 1 */
};

/* engine.c */
int32_t decai__engine_create(decai_engine **out, decai_model *model, const decai_options *opts);
int32_t decai__engine_create_start(decai_task **task, decai_engine **out, decai_model *model, const decai_options *opts);
int32_t decai__engine_format(decai_engine *engine, decai__buf *out);
void decai__format_text(decai__buf *out, const char *text);           /* as a JSON string */
decai__body *decai__engine_body(decai_engine *engine);
/* After DECAI_E_DEVICE on `lost`: the body to go on with, made if need be.
 * DECAI_E_DEVICE where compute.fallback is 0. */
int32_t decai__engine_replace(decai_engine *engine, decai__body *lost);

/* load.c: weights into a backend; owns c from here on, whatever happens. task may
 * be NULL. */
int32_t decai__body_create(decai__body **out, const decai_engine *e, decai__compute *c, decai_task *task);
void decai__body_destroy(decai__body *b);                              /* NULL is fine */

/* encode.c */
int32_t decai__engine_encode(decai_engine *e, float *out, const int32_t *tokens, const uint32_t *lengths,
    size_t sequences, bool normalise);
void decai__encoder_free(decai_context *ctx, decai__encoder *enc, uint32_t slots);

/* plan.c */
int32_t decai__plan_make(decai__plan *plan, decai_context *ctx, const decai__program *p);
void decai__plan_free(decai__plan *plan, decai_context *ctx);
/* The op whose slot a product reads: QUANT itself, or what it read. */
int32_t decai__plan_source(const decai__program *p, const decai__op *product);
/* Bytes a token of a node's slot before those of one form; form 0: all of them. */
size_t decai__plan_form_at(const decai__op *quant, uint32_t form);

/* exec.c: the caller holds the backend's lock and has checked sizes. */
typedef struct decai__exec {
    decai_model *model;
    const decai__program *p;
    const decai__plan *plan;
    decai__body *body;
    decai__compute *c;
    decai__tbuf **slot;
    decai__tbuf *scores, *record;    /* record: NULL, or where nodes go */
    size_t n;                        /* rows */
    const decai__span *spans;        /* whose they are; encoders: NULL */
    size_t span_count;
    const int32_t *ids;
    const uint32_t *positions, *zeros;
    const uint32_t *starts;          /* encoders: segments + 1; else NULL */
    size_t segments;
    decai__ref head_in;              /* what the head's first op reads */
} decai__exec;
decai__exec decai__exec_of(const decai_engine *e, decai__body *b, const decai__span *spans, size_t count, size_t n);
/* Where an op's output lies. */
decai__ref decai__exec_place(const decai__exec *e, int32_t ordinal);
/* Ops from..to-1; cancelled may be NULL. */
int32_t decai__exec_run(const decai__exec *e, uint32_t from, uint32_t to, const atomic_uint *cancelled);
int32_t decai__exec_body(decai_session *s, const int32_t *ids, size_t n);
/* Logits of n rows of the residual at x, into the pass's scores; records the head's node if asked. */
int32_t decai__exec_head(decai_session *s, decai__ref x, size_t n, bool record);
/* The head's norm of n rows that decai__exec_body just left, to out[n][dim]. */
int32_t decai__exec_norm(decai_session *s, size_t n, float *out);

/* pass.c: under the backend's lock. reserve: what a pass with so many heads needs. */
int32_t decai__pass_reserve(const decai_engine *e, decai__body *b, size_t heads, bool tree);
void decai__pass_free(decai__body *b);
/* A session's part of a pass: tokens[length..length+n-1]; logits of the last `heads`
 * of them. Its cache has the pages. The pass tells which head is its first. */
typedef struct decai__turn { decai_session *s; size_t n, heads, head; } decai__turn;
/* What comes out, by head; whoever runs passes has one. */
typedef struct decai__heads {
    uint8_t *logits;                 /* 32 bytes, of them 31 the digest's preimage, then f32 [vocab] */
    uint8_t (*digests)[32];
    uint8_t *nodes;                  /* node hashes, head and digest included; with a tree */
    size_t rows, nodes_rows;
    bool plain;                      /* no digests are wanted */
} decai__heads;
/* All of it, at most infer.batch rows. Of a session it changes the cache and (with a
 * tree) the record behind `length`, nothing else. stop: given up between ops
 * (DECAI_E_CANCELLED); NULL: never. Takes the lock itself. */
int32_t decai__pass_run(decai_engine *e, decai__body *b, decai__turn *turns, size_t count, decai__heads *out,
    const atomic_uint *stop);
const float *decai__heads_logits(const decai__heads *h, const decai_engine *e, size_t head);
const uint8_t *decai__heads_nodes(const decai__heads *h, const decai_engine *e, size_t head);
void decai__heads_free(decai__heads *h, decai_context *ctx);

/* memory.c: the device parts need the backend's lock */
int32_t decai__session_reserve(decai_session *s, size_t tokens);
int32_t decai__session_host_make(decai_session *s);
void decai__session_host_free(decai_session *s);
int32_t decai__session_device_make(decai_session *s);
void decai__session_device_free(decai_session *s);

/* record.c. A pass of n rows: node hashes of `count` of them (rows NULL: the first)
 * into pass.nodes; after a head of n rows the two nodes more of each, into nodes[i]
 * (NULL: not wanted); digests NULL: one more. */
int32_t decai__record_rows(const decai_engine *e, decai__body *b, size_t n, const uint32_t *rows, size_t count);
int32_t decai__record_heads(const decai_engine *e, decai__body *b, size_t n, uint8_t *const *nodes,
    const uint8_t (*digests)[32]);
/* A position's node hashes become the session's. */
void decai__record_keep(decai_session *s, size_t position, const uint8_t *nodes, uint32_t count);
/* A session's own: n tokens from position length, or one head; or from a step's outputs. */
int32_t decai__record_body(decai_session *s, size_t n);
int32_t decai__record_head(decai_session *s, const uint8_t digest[32]);
struct decai__step;
void decai__record_step(decai_session *s, const struct decai__step *st);
void decai__record_step_head(decai_session *s, const struct decai__step *st);

/* logprob.c: those that n rows of logits, from position `first` on, tell; tokens are
 * known up to position known - 1. */
void decai__logprobs(decai_session *s, size_t first, size_t n, size_t known);
/* A token and the `count` likeliest of the logits it was drawn from; count <= vocab,
 * room for one more. */
void decai__top(int32_t *tokens, float *logprobs, int32_t token, uint32_t count, const float *logits, uint32_t vocab);

/* forward.c: compute tokens[length..upto-1], batch by batch; the head of the last */
int32_t decai__forward(decai_session *s, size_t upto);
int32_t decai__forward_head(decai_session *s, int32_t *token);
/* After DECAI_E_DEVICE: go on in the engine's next body. */
int32_t decai__session_move(decai_session *s);

/* sample_session.c: make reads the options. sample draws from the logits of a position
 * that tokens[] is filled up to; where it is drawn twice the later one counts. */
int32_t decai__sampling_make(decai_session *s, const decai_options *opts);
void decai__sampling_free(decai_session *s);
int32_t decai__session_sample(decai_session *s, const float *logits, size_t position, int32_t *token);

/* constrain.c: set replaces work, too. *mask: of a draw at this position, or NULL; the
 * draw's tokens must be there. */
int32_t decai__session_grammar_set(decai_session *s, const decai_grammar *grammar);
int32_t decai__constrain(decai_session *s, size_t position, const uint64_t **mask);
bool decai__constrain_ends(const decai_session *s, int32_t token);
void decai__constrain_free(decai__constraint *k, decai_context *ctx);

/* session.c */
int32_t decai__session_create(decai_session **out, decai_engine *engine, const decai_options *opts);
/* The same with a fault (NULL: none), for traces: it draws no token. */
int32_t decai__session_make(decai_session **out, decai_engine *engine, const decai__fault *fault);
void decai__session_start(decai_session *s);
int32_t decai__session_root(const decai_session *s, uint8_t out[32]);
int32_t decai__session_add(decai_session *s, const int32_t *tokens, size_t count);
int32_t decai__session_next(decai_session *s, int32_t *token);
/* The first half of add: checks the tokens and appends them, computes nothing. */
int32_t decai__session_extend(decai_session *s, const int32_t *tokens, size_t count);
/* A token that was drawn at position length - 1 is handed out and waits. */
void decai__session_give(decai_session *s, int32_t token);

/* step.c: one token in scalar C. */
typedef struct decai__step {
    decai_context *ctx;
    const decai_model *model;
    const decai__program *p;
    const decai__draw *draw;            /* where SAMPLE runs */
    const decai__fault *fault;          /* NULL, or at this position */
    uint64_t position;
    int32_t token;
    uint8_t *arena;                     /* holds every output */
    uint8_t **out;                      /* by op */
    size_t *len;
    int64_t **sums;                     /* by op; NULL but for quantised products */
    float *caches;                      /* all of kv */
    float **kv;                         /* 2 * layers: [position + 1][kv_dim]; the last row is written here */
    float *scratch;                     /* three of the widest vector, aligned */
    size_t widest;
} decai__step;

/* caches: false for a head alone. */
int32_t decai__step_make(decai__step *st, decai_context *ctx, const decai_model *model, const decai__program *p,
    uint64_t position, bool caches);
void decai__step_free(decai__step *st);
int32_t decai__step_run(decai__step *st, uint32_t from, uint32_t to);
/* Hashes of the activation nodes among ops from..to-1; LOGITS gives its digest's. */
void decai__step_nodes(const decai__step *st, uint8_t *hashes, uint32_t from, uint32_t to);
/* (token + delta) mod vocab. */
int32_t decai__fault_token(int32_t token, int64_t delta, uint32_t vocab);
/* The caches of positions 0..position-1, from the session's backend. */
int32_t decai__step_read_caches(decai__step *st, decai_session *s);

#endif /* DECAI__INFER_ENGINE_H */
