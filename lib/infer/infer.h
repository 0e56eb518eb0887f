/* infer.h - what proof may use of infer: the program of a token, sessions'
 * records, and the scalar trace that a dispute bisects.
 *
 * One statement of a graph, three readers. graph_llama.c turns a model's
 * metadata into a *program*: the ops of one token in execution order. exec.c
 * runs it on a backend for many tokens at once, trace.c runs it in scalar C for
 * one token and keeps every op's output, leaf.c recomputes a single row or leaf
 * of one op from opened inputs. All three give the same bits, which the tests
 * assert and a dispute relies on. A new architecture is one new graph file.
 *
 * The program of arch llama (`x` the residual, K = inputs of a dot product):
 *
 *     EMBED                                              x = token_embd[id]
 *     per layer:
 *       NORM QUANT* MATMUL q k v  ROPE q k  KV           node 4l + 0
 *       SCORE SOFTMAX MIX QUANT* MATMUL attn_output ADD  node 4l + 1
 *       NORM QUANT* MATMUL gate up  SILU_MUL             node 4l + 2
 *       QUANT* MATMUL ffn_down ADD                       node 4l + 3
 *     where a token is sampled (the head):
 *       NORM QUANT* LOGITS SAMPLE                        nodes 4L, 4L + 1
 *
 * QUANT* is an activation node: the bytes it hands to the products that follow
 * are committed. They are the canonical activation (compute.h) if any of these
 * products is quantised, then the f32 input if any is not; usually one of both.
 * Node 4L + 1 is the logits' digest (32 bytes), made by LOGITS.
 */
#ifndef DECAI__INFER_H
#define DECAI__INFER_H

#include "base/base.h"
#include "compute/compute.h"
#include "decai/infer.h"
#include "hash/hash.h"
#include "model/model.h"

/* ---- domains (lib/hash/DOMAINS.md) ------------------------------------------ */

#define DECAI__DOMAIN_ACT_NODE  "decai.act.node.1"      /* leaves: node data; root: token root */
#define DECAI__DOMAIN_ACT_TOKEN "decai.act.token.1"     /* leaves: token roots; root: activation root */
#define DECAI__DOMAIN_LOGITS    "decai.logits.1"        /* digest of one position's logits */
#define DECAI__DOMAIN_CHAIN     "decai.logits.chain.1"  /* running hash over digests */
#define DECAI__DOMAIN_SAMPLE    "decai.sample.1"        /* random numbers of the sampler */

/* ---- program ---------------------------------------------------------------- */

/* Values are part of dispute transcripts: never renumber. */
enum decai__op_kind {
    DECAI__OP_EMBED = 1,  /* rows: dim       row k from the embedding's row of the token */
    DECAI__OP_NORM,       /* rows: dim       RMSNorm with a weight vector */
    DECAI__OP_QUANT,      /* rows: 1         the committed bytes, as a whole */
    DECAI__OP_MATMUL,     /* rows: weight's  dot product of length cols */
    DECAI__OP_ROPE,       /* rows: in[0]'s   rotated at the token's position */
    DECAI__OP_KV,         /* rows: 2 kv_dim  k then v, rounded as the cache keeps them */
    DECAI__OP_SCORE,      /* rows: heads * (position + 1), row = head * (position + 1) + p */
    DECAI__OP_SOFTMAX,    /* rows: as SCORE  exp(score - max), not yet divided */
    DECAI__OP_MIX,        /* rows: heads * head_dim */
    DECAI__OP_ADD,        /* rows: dim */
    DECAI__OP_SILU_MUL,   /* rows: ffn       silu(in[0]) * in[1] */
    DECAI__OP_LOGITS,     /* rows: vocab     a product like MATMUL; also node 4L + 1 */
    DECAI__OP_SAMPLE,     /* rows: 1         the token, i32 */
    DECAI__OP_KIND_COUNT
};

typedef struct decai__op {
    int32_t kind;         /* enum decai__op_kind */
    int32_t layer;        /* -1: outside the layers */
    int32_t tensor;       /* decai__tensor.index of the weights, or -1 */
    int32_t in[2];        /* ordinals of the ops it reads, or -1 */
    uint32_t rows;        /* output elements; SCORE and SOFTMAX: per position (= heads) */
    uint32_t cols;        /* elements of the vector a row is made from; 0: element-wise */
    uint32_t row_bytes;   /* bytes of an output element: 4; QUANT: all of it */
    int32_t node;         /* activation node that commits the output, or -1 */
    uint32_t forms;       /* QUANT: DECAI__FORM_* it holds; MATMUL, LOGITS: the one it reads */
} decai__op;

/* Forms of one vector; a node commits those present as ACT_32, ACT_256, ACT_2L, f32. */
enum { DECAI__FORM_ACT = 1, DECAI__FORM_F32 = 2, DECAI__FORM_ACT256 = 4, DECAI__FORM_ACT2L = 8 };
#define DECAI__FORMS_ACT (DECAI__FORM_ACT | DECAI__FORM_ACT256 | DECAI__FORM_ACT2L)
/* DECAI__FORM_* of an activation form (DECAI__ACT_*), and back (one bit, not F32). */
static inline uint32_t
decai__form_of_act(int32_t act)
{
    return act == DECAI__ACT_32 ? DECAI__FORM_ACT : act == DECAI__ACT_256 ? DECAI__FORM_ACT256 : DECAI__FORM_ACT2L;
}
static inline int32_t
decai__act_of_form(uint32_t form)
{
    return form == DECAI__FORM_ACT ? DECAI__ACT_32 : form == DECAI__FORM_ACT256 ? DECAI__ACT_256 : DECAI__ACT_2L;
}
/* The present forms in their order: form i of `forms`, or 0 past the last. */
static inline uint32_t
decai__form_at(uint32_t forms, int i)
{
    static const uint32_t order[4] = { DECAI__FORM_ACT, DECAI__FORM_ACT256, DECAI__FORM_ACT2L, DECAI__FORM_F32 };
    for (int k = 0; k < 4; k++)
        if ((forms & order[k]) && i-- == 0) return order[k];
    return 0;
}
/* Committed bytes of one form of cols elements. */
static inline size_t
decai__form_size(uint32_t form, size_t cols)
{
    return form == DECAI__FORM_F32 ? 4 * cols : decai__act_size(decai__act_of_form(form), cols);
}

typedef struct decai__shape {
    uint32_t layers, dim, heads, kv_heads, head_dim, kv_dim, ffn, vocab, rot_dim;
    uint32_t context;     /* the model's own */
    float eps, scale;     /* of norms; of attention scores */
    double rope_base;
    bool neox;            /* RoPE pairs, see decai__op_rope */
    int32_t eos, eot;     /* ids that end a text, or -1 */
} decai__shape;

typedef struct decai__program {
    decai_context *ctx;
    const char *arch;     /* static text */
    decai__shape shape;
    decai__op *ops;
    uint32_t count;       /* ops, the head's included */
    uint32_t body;        /* ops before the head */
    uint32_t nodes;       /* activation nodes of a token that is not sampled: 4L */
    int32_t contract;     /* contract number: 1..DECAI__CONTRACT_MAX */
} decai__program;         /* a sampled token has nodes + 2 */

/* From metadata, tensor shapes and the contract number (rounding of the caches,
 * activation scales) alone: no weights are read. The model must outlive it. 0 | DECAI_E_UNSUPPORTED (architecture, a feature of it, an unknown
 * tensor) | DECAI_E_CORRUPT (names key or tensor) | DECAI_E_LIMIT | DECAI_E_NOMEM */
int32_t decai__program_create(decai__program **out, decai_context *ctx, const decai_model *model, int32_t contract);
void decai__program_destroy(decai__program *p);                        /* NULL is fine */
const char *decai__op_name(int32_t kind);                              /* "MATMUL" */
/* Output elements of an op at a position (SCORE and SOFTMAX grow with it). */
uint64_t decai__op_rows(const decai__program *p, uint32_t ordinal, uint64_t position);
/* Leaves of one row: products cols / 256 rounded up, everything else 1. */
uint32_t decai__op_leaves(const decai__program *p, uint32_t ordinal);
/* Where a form's part of a QUANT output lies; its size. The element that byte
 * `at` of it belongs to (0 for heads and scales). */
size_t decai__quant_size(const decai__op *op);
size_t decai__quant_offset(const decai__op *op, uint32_t form);
uint32_t decai__quant_element(const decai__op *op, size_t at);

/* ---- sampling: integers only (sample.c states the rule) ------------------------ */

typedef struct decai__sampler {
    uint32_t temperature_milli;   /* 0: greedy */
    uint32_t top_k;               /* 0: all */
    uint32_t top_p_65536;         /* 65536: all */
    uint64_t seed;
} decai__sampler;

void decai__sampler_read(decai__sampler *out, const decai_options *opts);
/* 0 | DECAI_E_INTEGRITY (NaN or Inf) | DECAI_E_NOMEM. position: of the token
 * whose logits these are. */
int32_t decai__sample(decai_context *ctx, int32_t *token, const decai__sampler *s,
    const float *logits, uint32_t count, uint64_t position);

/* ---- commitments ------------------------------------------------------------ */

/* H(domain, position, count, f32 little-endian) and chain' = H(domain, chain, digest). */
void decai__logits_digest(uint8_t out[32], uint64_t position, const float *logits, uint32_t count);
void decai__logits_chain(uint8_t chain[32], const uint8_t digest[32]);
/* Hash of one node; token root from the node hashes (32 bytes each, in order);
 * activation root from the token roots. */
void decai__act_node_hash(uint8_t out[32], uint32_t node, const void *data, size_t len);
void decai__act_token_root(uint8_t out[32], const uint8_t *nodes, uint32_t count);
void decai__act_root(uint8_t out[32], const uint8_t *token_roots, uint64_t count);

/* ---- engine and session -------------------------------------------------------- */

decai_model *decai__engine_model(const decai_engine *engine);
const decai__program *decai__engine_program(const decai_engine *engine);
const char *decai__engine_backend(const decai_engine *engine);         /* "native" ... */
int32_t decai__engine_contract(const decai_engine *engine);            /* contract number */

/* A session's record. Pointers live until the next call on the session. */
typedef struct decai__record {
    const int32_t *tokens;       /* prompt, then generated */
    size_t prompt, generated;
    uint8_t root[32], hash[32];  /* activation root, running hash of the logits */
} decai__record;

/* What a replay of one prompt and its answer gives again. DECAI_E_STATE: nothing
 * produced, failed, more than one turn, no activation tree, or logits_all. The
 * caller is inside the session's door. */
int32_t decai__session_record(decai__record *out, const decai_session *session);
const decai__sampler *decai__session_sampler(const decai_session *session);
uint32_t decai__session_max_tokens(const decai_session *session);       /* 0: until the context is full */
decai_engine *decai__session_engine(const decai_session *session);
/* All tokens computed or about to be: prompt and output in order. A sampled
 * token that was not computed yet (the last one) is included. */
void decai__session_tokens(const decai_session *session, const int32_t **tokens, size_t *count);
/* Positions computed: roots exist for these. */
size_t decai__session_length(const decai_session *session);
/* 32 bytes each; NULL without infer.activation_tree. */
const uint8_t *decai__session_token_roots(const decai_session *session);
bool decai__session_sampled(const decai_session *session, size_t position);
/* Node hashes of a position, 32 bytes each; NULL without infer.activation_nodes. */
const uint8_t *decai__session_nodes(const decai_session *session, size_t position, uint32_t *count);
/* The order of calls a verifier makes: feed the prompt, then for every output
 * token sample and compare. decai__session_force replaces the sampled token that
 * is about to be computed (a cheat's view, or a replay of foreign output).
 * DECAI_E_STATE if none is waiting. */
int32_t decai__session_force(decai_session *session, int32_t token);

/* ---- faults: the data of a tampering test ---------------------------------------
 * One output value of one op of one position is changed as the token is
 * computed, in session and trace alike; everything after it follows honestly.
 *   float outputs    value + delta / 256
 *   products         the exact sum + delta where quantised, then as contracted
 *   QUANT            q[row] + delta, clamped to -127..127; - delta where that
 *                    changes nothing (no act form: as floats)
 *   SAMPLE           (token + delta) mod vocab */
typedef struct decai__fault {
    uint64_t position;
    uint32_t op;
    uint32_t row;
    int64_t delta;
} decai__fault;

/* Before the position is computed; one fault a session. NULL: none. */
void decai__session_fault(decai_session *session, const decai__fault *fault);

/* ---- trace ---------------------------------------------------------------------- */

typedef struct decai__trace decai__trace;

/* Recompute the last of `count` tokens in scalar C straight from the model's
 * bytes and keep every op's output. The tokens before it go through the engine's
 * backend (fault applied). sampled: run the head too. */
int32_t decai__trace_create(decai__trace **out, decai_engine *engine, const int32_t *tokens, size_t count,
    bool sampled, const decai__sampler *sampler, const decai__fault *fault);
void decai__trace_destroy(decai__trace *t);                            /* NULL is fine */
uint32_t decai__trace_count(const decai__trace *t);                    /* ops that ran */
/* f32 rows; QUANT: the committed bytes; SAMPLE: i32. */
const void *decai__trace_output(const decai__trace *t, uint32_t ordinal, size_t *len);
/* Exact sums of a quantised product, one a row; NULL for every other op. */
const int64_t *decai__trace_sums(const decai__trace *t, uint32_t ordinal);
/* The layer's caches as this token sees them: [position + 1][kv_dim]. */
const float *decai__trace_k(const decai__trace *t, uint32_t layer);
const float *decai__trace_v(const decai__trace *t, uint32_t layer);
/* Node hashes of the traced token (32 bytes each), equal to what a session commits. */
const uint8_t *decai__trace_nodes(const decai__trace *t, uint32_t *count);

/* The same as a walk: called once an op, in order; a negative result stops it. */
typedef int32_t (*decai__trace_fn)(void *user, const decai__program *p, uint32_t ordinal,
    const void *data, size_t len, const int64_t *sums);
int32_t decai__trace_token(decai_engine *engine, const int32_t *tokens, size_t count, bool sampled,
    const decai__sampler *sampler, const decai__fault *fault, decai__trace_fn fn, void *user);

/* ---- one row or leaf from opened inputs only: the referee's step --------------- */

typedef struct decai__op_args {
    const uint8_t *weight;   /* EMBED, MATMUL, LOGITS: the raw tensor row; NORM: the weight vector's bytes */
    size_t weight_len;
    int32_t weight_type;     /* DECAI_TENSOR_* */
    const void *in[2];       /* whole outputs of op.in[0], op.in[1], as decai__trace_output gives them */
    size_t in_len[2];
    const float *kv;         /* SCORE: the K row of position p (kv_dim); MIX: V of the row's kv head
                                and element, one float a position (position + 1) */
    size_t kv_len;           /* floats */
    const decai__sampler *sampler;   /* SAMPLE */
} decai__op_args;

#define DECAI__WHOLE_ROW UINT32_MAX

/* MATMUL and LOGITS with leaf j: *sum (quantised) or *value (float weights) of
 * that leaf alone. With DECAI__WHOLE_ROW: *value the row's result, *sum the exact
 * sum (quantised). Other ops take DECAI__WHOLE_ROW or leaf 0: *value, except
 * SAMPLE (*sum: the token) and QUANT (decai__quant_leaf).
 * 0 | DECAI_E_INVALID (no such row or leaf) | DECAI_E_CORRUPT (an input's size or
 * content; the detail names it) | DECAI_E_INTEGRITY (not finite) */
int32_t decai__op_leaf(decai_context *ctx, const decai__program *p, uint32_t ordinal, uint64_t position,
    uint64_t row, uint32_t leaf, const decai__op_args *args, int64_t *sum, float *value);
/* QUANT: the committed bytes from the f32 input; out holds decai__quant_size. */
int32_t decai__quant_leaf(const decai__op *op, const float *x, uint8_t *out);
/* A product's result from its exact sum: needs the weight row (for its shared
 * exponent) and the activation. */
int32_t decai__sum_result(float *value, int64_t sum, const decai__program *p, uint32_t ordinal,
    const decai__op_args *args);

#endif /* DECAI__INFER_H */
