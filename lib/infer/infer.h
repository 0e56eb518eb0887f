/* infer.h - what proof may use of infer: the program of a token, sessions'
 * records, and the scalar trace that a dispute bisects.
 *
 * One statement of a graph, three readers. A graph file (graph_llama.c, ...) turns
 * a model's metadata into a *program*: the ops of one token in execution order.
 * exec.c runs it on a backend for many tokens at once, trace.c runs it in scalar C
 * for one token and keeps every op's output, leaf.c recomputes a single row or leaf
 * of one op from opened inputs. All three give the same bits, which the tests
 * assert and a dispute relies on. A new architecture is one new graph file.
 *
 * The program of arch llama (`x` the residual, K = inputs of a dot product):
 *
 *     EMBED                                              x = token_embd[id]
 *     per layer:
 *       NORM QUANT* MATMUL q k v  ROPE q k  KV
 *       SCORE SOFTMAX MIX QUANT* MATMUL attn_output ADD
 *       NORM QUANT* MATMUL gate up  GLU
 *       QUANT* MATMUL ffn_down ADD
 *     where a token is sampled (the head):
 *       NORM QUANT* LOGITS SAMPLE
 *
 * QUANT* is an activation node, numbered in order (here 4 a layer, then the
 * head's): the bytes it hands to the products that follow are committed. They are
 * the canonical activations (compute.h) of each form that these products read, in
 * the order ACT_32, ACT_256, ACT_2L, then the f32 input if any reads that; usually
 * one of all. The node after the head's is the digest of the logits (32 bytes).
 * Other architectures add ops around these: biases, experts (a QUANT for each
 * expert that a token goes through), caps. Encoders have no cache, head or nodes
 * that a session would commit; they run whole sequences (encode.c).
 */
#ifndef DECAI__INFER_H
#define DECAI__INFER_H

#include "base/base.h"
#include "compute/compute.h"
#include "decai/infer.h"
#include "hash/hash.h"
#include "model/model.h"
#include "tok/tok.h"

/* ---- domains (lib/hash/DOMAINS.md) ------------------------------------------ */

#define DECAI__DOMAIN_ACT_NODE  "decai.act.node.1"      /* leaves: node data; root: token root */
#define DECAI__DOMAIN_ACT_TOKEN "decai.act.token.1"     /* leaves: token roots; root: activation root */
#define DECAI__DOMAIN_LOGITS    "decai.logits.1"        /* digest of one position's logits */
#define DECAI__DOMAIN_CHAIN     "decai.logits.chain.1"  /* running hash over digests */
#define DECAI__DOMAIN_PREFIX_PAGE "decai.prefix.page.1" /* key of a cache page on disk */
#define DECAI__DOMAIN_PREFIX_DATA "decai.prefix.data.1" /* digest of its bytes */
#define DECAI__DOMAIN_SAMPLE    "decai.sample.1"        /* random numbers of the sampler */
#define DECAI__DOMAIN_XTC       "decai.sample.xtc.1"    /* whether XTC acts at a position */
#define DECAI__DOMAIN_BIAS      "decai.sample.bias.1"   /* digest of a list of logit biases */
#define DECAI__DOMAIN_BREAKERS  "decai.sample.breakers.1"   /* digest of DRY's sequence breakers */

/* ---- program ---------------------------------------------------------------- */

/* Values are part of dispute transcripts: never renumber. */
enum decai__op_kind {
    DECAI__OP_EMBED = 1,  /* rows: dim       row k from the embedding's row of the token, times scale */
    DECAI__OP_NORM,       /* rows: in[0]'s   groups of cols elements, each with the same weights */
    DECAI__OP_QUANT,      /* rows: 1         the committed bytes, as a whole */
    DECAI__OP_MATMUL,     /* rows: of the weight, from its row `first`; dot products of length cols */
    DECAI__OP_ROPE,       /* rows: in[0]'s   rotated at the token's position */
    DECAI__OP_KV,         /* rows: 2 kv_dim  k then v, as they stand in the cache */
    DECAI__OP_SCORE,      /* rows: heads * visible, row = head * visible + p - first visible */
    DECAI__OP_SOFTMAX,    /* rows: as SCORE  exp(score - max), not yet divided; with sinks one more a head */
    DECAI__OP_MIX,        /* rows: heads * head_dim */
    DECAI__OP_ADD,        /* rows: dim */
    DECAI__OP_GLU,        /* rows: ffn       activation(in[0]) * in[1]; in[1] -1: the activation */
    DECAI__OP_LOGITS,     /* rows: vocab     a product like MATMUL */
    DECAI__OP_SAMPLE,     /* rows: 1         the token, i32 */
    DECAI__OP_EMBED_ADD,  /* rows: dim       in[0] + a row of the tensor: the position's, or row 0 */
    DECAI__OP_BIAS,       /* rows: in[0]'s   in[0] + vector, from its element `first` */
    DECAI__OP_SOFTCAP,    /* rows: in[0]'s   scale * tanh(in[0] / scale) */
    DECAI__OP_ROUTE,      /* rows: used      decai__chosen, 8 bytes each */
    DECAI__OP_MATMUL_EXPERT, /* MATMUL with the expert that in[1] (ROUTE) names in `slot` */
    DECAI__OP_BIAS_EXPERT,   /* BIAS with that expert's vector */
    DECAI__OP_MIX_EXPERT,    /* rows: dim    in[2] (slot 0: nothing) + weight in `slot` of in[1] * in[0] */
    DECAI__OP_ATTENTION_FULL, /* rows: heads * head_dim; in: q, k, v; encoders only, no leaf */
    DECAI__OP_KIND_COUNT
};

typedef struct decai__op {
    int32_t kind;         /* enum decai__op_kind */
    int32_t layer;        /* -1: outside the layers */
    int32_t tensor;       /* decai__tensor.index of the weights, or -1 */
    int32_t extra;        /* a second one: NORM's bias, SOFTMAX's sinks; or -1 */
    int32_t in[3];        /* ordinals of the ops it reads, or -1 */
    uint32_t rows;        /* output elements; SCORE and SOFTMAX: per position seen (= heads) */
    uint32_t cols;        /* elements of the vector a row is made from; 0: element-wise */
    uint32_t row_bytes;   /* bytes of an output element: 4; ROUTE 8; QUANT: all of it */
    int32_t node;         /* activation node that commits the output, or -1 */
    uint32_t forms;       /* QUANT: DECAI__FORM_* it holds; products: the one it reads */
    uint32_t first;       /* where the op begins in a tensor that it shares */
    uint32_t variant;     /* NORM, GLU, ROUTE: the contract's kind; ROPE: the table; EMBED_ADD: 1 row 0 */
    uint32_t window;      /* SCORE, SOFTMAX, MIX: positions seen at most; 0: all */
    uint32_t experts, used, slot;
    uint32_t weights;     /* products: place among the program's distinct matrices */
    float scale;          /* EMBED; SCORE and SOFTCAP: the cap, 0 none */
} decai__op;

enum { DECAI__FORM_ACT = 1, DECAI__FORM_F32 = 2, DECAI__FORM_ACT256 = 4, DECAI__FORM_ACT2L = 8 };

#define DECAI__ROPES_MAX 2

typedef struct decai__shape {
    uint32_t layers, dim, heads, kv_heads, head_dim, kv_dim, ffn, vocab, rot_dim;
    uint32_t context;     /* the model's own */
    float eps, scale;     /* of norms; of attention scores */
    bool neox;            /* RoPE pairs, see decai__op_rope */
    int32_t eos, eot;     /* ids that end a text, or -1 */
} decai__shape;

enum { DECAI__POOL_NONE = 0, DECAI__POOL_MEAN = 1, DECAI__POOL_CLS = 2, DECAI__POOL_LAST = 3 };

typedef struct decai__program {
    decai_context *ctx;
    const char *arch;     /* static text */
    int32_t contract;     /* its number: decai__contract_number */
    decai__shape shape;
    decai__op *ops;
    uint32_t count;       /* ops, the head's included */
    uint32_t body;        /* ops before the head */
    uint32_t nodes;       /* activation nodes of a token that is not sampled */
    uint32_t logits;      /* ordinal whose output is sampled from: LOGITS, or SOFTCAP after it */
    uint32_t weights;     /* distinct matrices */
    uint32_t ropes;       /* angle tables */
    decai__rope_spec rope[DECAI__ROPES_MAX];
    float *factors[DECAI__ROPES_MAX];
    uint32_t *window;     /* by layer: positions seen; 0: all */
    bool encoder;
    int32_t pooling;      /* DECAI__POOL_*, as the file says */
} decai__program;         /* a sampled token has nodes + 2 */

/* From metadata and tensor shapes alone: no weights are read. The model must
 * outlive it. 0 | DECAI_E_UNSUPPORTED (architecture, a feature of it, an unknown
 * tensor) | DECAI_E_CORRUPT (names key or tensor) | DECAI_E_LIMIT | DECAI_E_NOMEM */
int32_t decai__program_create(decai__program **out, decai_context *ctx, const decai_model *model, int32_t contract);
void decai__program_destroy(decai__program *p);                        /* NULL is fine */
const char *decai__op_name(int32_t kind);                              /* "MATMUL" */
/* Output elements of an op at a position (SCORE and SOFTMAX grow with it, up to
 * their window). */
uint64_t decai__op_rows(const decai__program *p, uint32_t ordinal, uint64_t position);
/* Leaves of one row: products cols / 256 rounded up, everything else 1. */
uint32_t decai__op_leaves(const decai__program *p, uint32_t ordinal);
/* Every form in the order of a node's bytes; the activations come first. */
#define DECAI__ACT_FORMS 3
#define DECAI__FORM_COUNT 4
extern const uint32_t decai__forms[DECAI__FORM_COUNT];
/* Where the part of a form lies in a QUANT's output; its size. */
size_t decai__quant_size(const decai__op *op);
size_t decai__quant_offset(const decai__op *op, uint32_t form);
/* The element that byte `at` of a QUANT's output belongs to (0 for heads and scales). */
uint32_t decai__quant_element(const decai__op *op, size_t at);
size_t decai__form_size(uint32_t form, size_t cols);                   /* canonical bytes of one form */
int32_t decai__form_act(uint32_t form);                                /* DECAI__ACT_*; -1: f32 */
bool decai__op_product(const decai__op *op);                           /* MATMUL, LOGITS, MATMUL_EXPERT */
/* First position that SCORE, SOFTMAX and MIX see at a position, and how many. */
uint64_t decai__op_first(const decai__op *op, uint64_t position);
uint64_t decai__op_visible(const decai__op *op, uint64_t position);

/* ---- sampling (SAMPLING.md states the rule) -------------------------------------- */

/* A logit bias in thousandths, or DECAI__BIAS_BAN: the token is out. */
#define DECAI__BIAS_BAN INT32_MIN
typedef struct decai__bias { int32_t token, milli; } decai__bias;

/* Options in the units that receipts carry, in one form: what is off is 0 with all
 * that belongs to it (top_p: 65536; windows count only where their step is on). */
typedef struct decai__sampler {
    uint32_t temperature_milli;   /* 0: greedy */
    uint32_t top_k;               /* 0: all */
    uint32_t top_p_65536;         /* 65536: all */
    uint64_t seed;
    uint32_t min_p_65536, typical_65536, sigma_milli;
    uint32_t repeat_milli;        /* never 1000 */
    int32_t presence_milli, frequency_milli;
    int32_t penalty_last_n;       /* -1: all; not 0 */
    uint32_t penalty_own;         /* 1: tokens of the answer alone */
    uint32_t dry_multiplier_milli, dry_base_milli, dry_allowed;
    int32_t dry_last_n;           /* -1: all; not 0 */
    uint32_t xtc_threshold_65536, xtc_probability_65536;
    uint32_t tau_65536, eta_65536;    /* tau > 0: mirostat 2 */
    const decai__bias *bias;      /* tokens ascending; whoever made the sampler owns them */
    size_t bias_count;
    const int32_t *breakers;      /* of DRY, ascending */
    size_t breaker_count;
} decai__sampler;

/* sampler.c. Reads infer.*: 0 | DECAI_E_INVALID | DECAI_E_LIMIT | DECAI_E_UNSUPPORTED
 * | DECAI_E_NOMEM. free is fine after a failure, and twice. */
int32_t decai__sampler_read(decai__sampler *out, decai_context *ctx, const decai_options *opts);
void decai__sampler_free(decai_context *ctx, decai__sampler *s);
/* H(domain, count, then each number as u64, negative ones as 2^64 + v). */
void decai__bias_digest(uint8_t out[32], const decai__bias *bias, size_t count);
void decai__breakers_digest(uint8_t out[32], const int32_t *tokens, size_t count);

/* All that one draw depends on, the logits apart. */
typedef struct decai__draw {
    const decai__sampler *sampler;
    uint64_t position;            /* of the token whose logits these are */
    const int32_t *tokens;        /* position + 1 of them; may be NULL where no step reads them */
    size_t first;                 /* of the answer's own */
    int64_t mu;                   /* mirostat, 1/65536 bits */
    const uint64_t *mask;         /* bit i: token i may come; NULL: all may */
} decai__draw;

/* Scratch for draws: no draw allocates. history: most tokens before one; masked: a
 * draw may have a mask. */
typedef struct decai__sample_work decai__sample_work;
int32_t decai__sample_work_create(decai__sample_work **out, decai_context *ctx, const decai__sampler *s, uint32_t vocab,
    size_t history, bool masked);
void decai__sample_work_destroy(decai__sample_work *w);                 /* NULL is fine */
/* *mu: what a draw behind this token reads. 0 | DECAI_E_INTEGRITY (NaN or Inf)
 * | DECAI_E_STATE (no token is allowed). The caller has set the contract's floating-
 * point mode. */
int32_t decai__sample(decai__sample_work *w, int32_t *token, int64_t *mu, const decai__draw *draw,
    const float *logits, uint32_t count);
/* The same with scratch of its own. */
int32_t decai__sample_once(decai_context *ctx, int32_t *token, const decai__draw *draw, const float *logits,
    uint32_t count);

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
int32_t decai__engine_contract(const decai_engine *engine);            /* its number */
/* 0, or DECAI_E_STATE while it is made in the background. Exported functions that
 * take an engine call decai__enter_shared and then this. */
int32_t decai__engine_ready(const decai_engine *engine);
const char *decai__engine_backend(const decai_engine *engine);         /* "native" ... */

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
const decai_grammar *decai__session_grammar(const decai_session *session);      /* NULL: none */
/* Mirostat's number before token `output` of the answer, which was drawn, or can be
 * drawn next. */
int64_t decai__session_mu(const decai_session *session, size_t output);
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
 *   float outputs    value + delta / 256 (KV: then as the cache rounds it)
 *   products         the exact sum + delta where quantised, then as contracted
 *   QUANT            q[row] + delta, clamped to -127..127; - delta where that
 *                    changes nothing (no act form: as floats)
 *   ROUTE            the weight + delta / 256
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
 * backend (fault applied). sampled: run the head too; the draw (NULL: greedy) gets its
 * position and tokens from these. */
int32_t decai__trace_create(decai__trace **out, decai_engine *engine, const int32_t *tokens, size_t count,
    bool sampled, const decai__draw *draw, const decai__fault *fault);
void decai__trace_destroy(decai__trace *t);                            /* NULL is fine */
uint32_t decai__trace_count(const decai__trace *t);                    /* ops that ran */
/* f32 rows; QUANT: the committed bytes; SAMPLE: i32. */
const void *decai__trace_output(const decai__trace *t, uint32_t ordinal, size_t *len);
/* Exact sums of a quantised product, one a row; NULL for every other op. */
const int64_t *decai__trace_sums(const decai__trace *t, uint32_t ordinal);
/* The layer's caches as this token sees them: [position + 1][kv_dim]; what a window
 * hides is zero. */
const float *decai__trace_k(const decai__trace *t, uint32_t layer);
const float *decai__trace_v(const decai__trace *t, uint32_t layer);
/* Node hashes of the traced token (32 bytes each), equal to what a session commits. */
const uint8_t *decai__trace_nodes(const decai__trace *t, uint32_t *count);

/* The same as a walk: called once an op, in order; a negative result stops it. */
typedef int32_t (*decai__trace_fn)(void *user, const decai__program *p, uint32_t ordinal,
    const void *data, size_t len, const int64_t *sums);
int32_t decai__trace_token(decai_engine *engine, const int32_t *tokens, size_t count, bool sampled,
    const decai__draw *draw, const decai__fault *fault, decai__trace_fn fn, void *user);

/* ---- one row or leaf from opened inputs only: the referee's step --------------- */

typedef struct decai__op_args {
    const uint8_t *weight;   /* EMBED, products: the raw tensor row (decai__op_weight); NORM, BIAS: the vector's bytes */
    size_t weight_len;
    int32_t weight_type;     /* DECAI_TENSOR_* */
    const uint8_t *extra;    /* NORM's bias, SOFTMAX's sinks: the vector's bytes */
    size_t extra_len;
    int32_t extra_type;
    const void *in[3];       /* whole outputs of op.in, as decai__trace_output gives them */
    size_t in_len[3];
    const float *kv;         /* SCORE: the K row of the position (kv_dim); MIX: V of the row's kv head
                                and element, one float a visible position */
    size_t kv_len;           /* floats */
    const decai__draw *draw;         /* SAMPLE; its position is the op's */
} decai__op_args;

#define DECAI__WHOLE_ROW UINT32_MAX

/* Which row of its tensor (rows of dims[0] elements) an op reads for one of its
 * rows: EMBED's is the token's, an expert's follows from route (in[1]'s output).
 * count: rows it needs from there on (a vector: all of it). */
typedef struct decai__weight_rows { uint64_t row, count; } decai__weight_rows;
int32_t decai__op_weight(decai__weight_rows *out, const decai__program *p, uint32_t ordinal, uint64_t row,
    uint64_t position, int32_t token, const void *route, size_t route_len);

/* MATMUL and LOGITS with leaf j: *sum (quantised) or *value (float weights) of
 * that leaf alone. With DECAI__WHOLE_ROW: *value the row's result, *sum the exact
 * sum (quantised). Other ops take DECAI__WHOLE_ROW or leaf 0: *value, except
 * SAMPLE (*sum: the token), ROUTE (*sum: the expert) and QUANT (decai__quant_leaf).
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
