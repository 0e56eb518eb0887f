/* compute.h - the numeric contract (CONTRACT.md, version 1) and its backends.
 *
 * Three layers:
 *   leaf.c, types.c   pure scalar functions, no state: the contract itself.
 *                     Disputes call them one at a time.
 *   ops               whole-tensor operations on a backend (scalar, native,
 *                     opencl). Scalar ops are loops over the leaf functions; the
 *                     others give the same bits or fail their known-answer test.
 *   backend           memory (decai__tbuf), weights (decai__matrix), caches
 *                     (decai__kv), the known-answer test.
 *
 * How a graph uses it:
 *
 *     decai__compute_create(&c, ctx, opts);
 *     decai__compute_set_two_level(c, false);       before the first matrix
 *     decai__matrix_create(&wq, c, "blk.0.attn_q.weight", type, rows, cols, data, len, &lost);
 *     decai__kv_create(&kv, c, &spec);
 *     decai__tbuf_create(&x, c, N * dim * 4);   ...
 *     decai__compute_lock(c);                       sessions share one backend
 *     decai__compute_begin(c);
 *     decai__op_embed(c, REF(x), &embedding, ids, n, 1.0f);
 *     decai__op_norm(c, REF(h), REF(x), REF(norm_w), NO_REF, &norm, "blk.0.attn_norm");
 *     decai__op_quant(c, REF(act), REF(h), DECAI__ACT_256, n, dim, "blk.0.attn_q");
 *     decai__op_matmul(c, REF(q), wq, REF(act), n); ... k, v
 *     decai__op_rope(...);
 *     decai__op_kv_store(c, kv, 0, pos, REF(k), REF(v), n, "blk.0.kv");
 *     decai__op_attention(c, REF(y), REF(q), kv, 0, &attn, "blk.0.scores"); ...
 *     decai__tbuf_read(logits, 0, host, bytes);     waits, and reports what went wrong
 *     decai__compute_end(c);
 *     decai__compute_unlock(c);
 *
 * Ops may return before the work is done (OpenCL: one in-order queue); a read or
 * decai__compute_sync waits. DECAI_E_INTEGRITY (NaN, Inf, too large) may thus
 * arrive at the op or at the next read/sync; it names the tensor. It is sticky
 * until that read/sync returned it.
 *
 * DECAI_E_DEVICE from any call: the device is lost (decai__compute_lost): every
 * later call gives it again. Whoever owns the token history may then create a
 * native backend and replay: the bits are the same. Destroying is always fine.
 */
#ifndef DECAI__COMPUTE_H
#define DECAI__COMPUTE_H

#include "base/base.h"
#include "decai/compute.h"

/* ---- sizes ---------------------------------------------------------------- */

#define DECAI__LEAF 256           /* elements of one dot product's smallest step */
#define DECAI__BLOCK 32           /* elements that share a scale; K-quants: a super-block is a leaf */
#define DECAI__KV_PAGE 64         /* positions summed before they are merged */
#define DECAI__HEAD_MAX 256       /* head_dim: one leaf */
#define DECAI__EXPERTS_MAX 1024   /* of one router */
#define DECAI__USED_MAX 64        /* experts a token goes through */

/* Tensor types by their GGUF numbers. */
enum {
    DECAI__F32 = 0, DECAI__F16 = 1, DECAI__Q4_0 = 2, DECAI__Q4_1 = 3, DECAI__Q5_0 = 6, DECAI__Q5_1 = 7,
    DECAI__Q8_0 = 8, DECAI__Q2_K = 10, DECAI__Q3_K = 11, DECAI__Q4_K = 12, DECAI__Q5_K = 13, DECAI__Q6_K = 14,
    DECAI__IQ4_NL = 20, DECAI__IQ4_XS = 23, DECAI__BF16 = 30, DECAI__MXFP4 = 39
};

/* Bytes of one row of raw tensor data; 0 for a type or a cols we do not take
 * (cols in 1..DECAI_COMPUTE_COLS_MAX, a multiple of the type's block). */
size_t decai__row_size(int32_t type, size_t cols);
size_t decai__type_block(int32_t type);            /* elements: 1, 32 or 256; 0: not a type we know */
size_t decai__type_block_bytes(int32_t type);
bool decai__type_known(int32_t type);
bool decai__type_quantised(int32_t type);

/* ---- floating-point state: round to nearest, subnormals kept ---------------- */

typedef struct decai__fpu { uint64_t saved[2]; } decai__fpu;
void decai__fpu_enter(decai__fpu *f);
void decai__fpu_leave(const decai__fpu *f);

/* ---- activations: canonical bytes ------------------------------------------
 * One token's quantised vector of K elements, everywhere (memory of a backend,
 * activation tree, dispute). Three forms, by which weights read them:
 *
 *     ACT_32    types of 32-blocks; K a multiple of 32
 *     ACT_256   K-quants and IQ4_XS; K a multiple of 256
 *     ACT_2L    the same with two-level scales
 *
 *     offset  what
 *     0       K | form << 24, u32 LE
 *     4       E, i32 LE: exponent of the token's grid
 *     8       scales  ACT_32   u16 LE a 32-block, 1..16514
 *                     ACT_256  u16 LE a 256-block, 1..16514
 *                     ACT_2L   u16 LE S a 256-block, 1..263; then u8 s6 a 32-block, 1..63
 *     ..      K       q, i8, -127..127        X_k = s * q_k; ACT_2L: s = S * s6
 *
 * In a buffer of N tokens each takes decai__act_stride bytes: the canonical ones,
 * zeros up to a multiple of 64, then the sums of q over each 16 elements (i16 LE),
 * zeros up to a multiple of 64. Every backend fills all of it the same way. */
enum { DECAI__ACT_32 = 0, DECAI__ACT_256 = 1, DECAI__ACT_2L = 2, DECAI__ACT_FORMS = 3 };

#define DECAI__ACT_SCALE_MAX 16514
#define DECAI__ACT_S_MAX 263
#define DECAI__ACT_S6_MAX 63

/* The form that a weight type reads; -1: a float type. */
int32_t decai__type_act(int32_t type, bool two_level);
static inline size_t decai__act_block(int32_t form) { return form == DECAI__ACT_32 ? 32 : 256; }   /* K's unit */
static inline size_t
decai__act_scales_size(int32_t form, size_t cols)
{
    if (form == DECAI__ACT_32) return cols / 32 * 2;
    return cols / 256 * 2 + (form == DECAI__ACT_2L ? cols / 32 : 0);
}
static inline size_t decai__pad64(size_t n) { return (n + 63) & ~(size_t)63; }
static inline size_t decai__act_quants_at(int32_t form, size_t cols) { return 8 + decai__act_scales_size(form, cols); }
static inline size_t decai__act_size(int32_t form, size_t cols) { return decai__act_quants_at(form, cols) + cols; }
static inline size_t decai__act_sums_at(int32_t form, size_t cols) { return decai__pad64(decai__act_size(form, cols)); }
static inline size_t
decai__act_stride(int32_t form, size_t cols)
{
    return decai__act_sums_at(form, cols) + decai__pad64(cols / 16 * 2);
}

/* A view into those bytes. */
typedef struct decai__act {
    uint32_t cols;
    int32_t form, exponent;
    const uint8_t *scales;           /* maybe unaligned */
    const int8_t *quants;
} decai__act;
/* The canonical bytes, checked: 0 | DECAI_E_CORRUPT (sizes, K, form, a scale out of
 * its range, quant -128, E outside -59..60) */
int32_t decai__act_decode(decai__act *out, const uint8_t *data, size_t len);
/* The scale of the 32 elements from 32*block, whatever the form. */
static inline uint32_t
decai__act_scale(const decai__act *a, size_t block)
{
    if (a->form == DECAI__ACT_32) return decai__load_le16(a->scales + 2 * block);
    uint32_t s = decai__load_le16(a->scales + block / 8 * 2);
    return a->form == DECAI__ACT_256 ? s : s * a->scales[a->cols / 256 * 2 + block];
}

/* Contract numbers, as receipts name them. */
enum { DECAI__KV_F16 = 0, DECAI__KV_Q8_0 = 1 };
static inline int32_t decai__contract_number(int32_t kv_type, bool two_level) { return 1 + kv_type + (two_level ? 2 : 0); }
static inline int32_t decai__contract_kv_type(int32_t contract) { return (contract - 1) & 1; }
static inline bool decai__contract_two_level(int32_t contract) { return contract > 2; }
#define DECAI__CONTRACT_MAX 4

/* ---- leaf functions: the contract in scalar C (CONTRACT.md, same order) ------
 * Pure. They assume round-to-nearest without FTZ: call between decai__fpu_enter
 * and decai__fpu_leave. `row` is one row of raw GGUF tensor bytes. */

/* §2 weights: the row's shared exponent F. *lost += scales that were rounded.
 * 0 | DECAI_E_CORRUPT: a scale that is NaN, infinite or (MXFP4) too large */
int32_t decai__leaf_row_exponent(int32_t *exponent, uint64_t *lost, int32_t type, const uint8_t *row, size_t cols);
/* D of one block of the type (and Dm where it has one; else 0), given F. */
int32_t decai__leaf_block_scale(int32_t type, const uint8_t *row, size_t block, int32_t exponent);
int32_t decai__leaf_block_min(int32_t type, const uint8_t *row, size_t block, int32_t exponent);
/* Integer weight W_k, given F; and those of one whole block (32 or 256). */
int32_t decai__leaf_weight(int32_t type, const uint8_t *row, size_t k, int32_t exponent);
void decai__leaf_block_weights(int32_t *weights, int32_t type, const uint8_t *row, size_t block, int32_t exponent);
/* §3 activations: x[cols] -> canonical bytes (decai__act_size). 0 | DECAI_E_INTEGRITY */
int32_t decai__leaf_quant(uint8_t *out, int32_t form, const float *x, size_t cols);
/* The tail of a buffer's token: sums of 16 and both paddings (not committed). */
void decai__leaf_quant_tail(uint8_t *token, int32_t form, size_t cols);
/* §4 one leaf (256 elements; the last may be short) of an integer product. */
int64_t decai__leaf_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act, size_t leaf);
int64_t decai__row_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act); /* all leaves */
float decai__leaf_result(int64_t sum, int32_t row_exponent, int32_t act_exponent);
/* §5 one leaf of a float product (F32, F16, BF16 row), and how leaves add. */
float decai__leaf_dot(int32_t type, const uint8_t *row, const float *x, size_t cols, size_t leaf);
float decai__leaf_join(float acc, float leaf);                        /* acc + leaf; acc starts at +0 */
float decai__row_dot(int32_t type, const uint8_t *row, const float *x, size_t cols);
float decai__leaf_weight_f32(int32_t type, const uint8_t *row, size_t k); /* float types: exact value */
/* §6 embedding element: quantised RN(W_k) * 2^F, or float. */
float decai__leaf_embed(int32_t type, const uint8_t *row, size_t k, int32_t exponent);
/* §7 norms. RMS: squares of one leaf; factor from the joined sum; one element.
 * LayerNorm: sum of one leaf, mean, squares about it, then as RMS.
 * factor returns NaN if the sum is not finite or at least 2^100. */
float decai__leaf_squares(const float *x, size_t cols, size_t leaf);
float decai__leaf_total(const float *x, size_t cols, size_t leaf);
float decai__leaf_mean(float sum, size_t cols);
float decai__leaf_deviations(const float *x, float mean, size_t cols, size_t leaf);
float decai__leaf_norm_factor(float sum, size_t cols, float eps);
float decai__leaf_norm(float x, float factor, float weight);           /* LayerNorm: x - mean first */
/* All of it for one vector: 0 | DECAI_E_INTEGRITY. bias NULL: none. y may be x. */
enum { DECAI__NORM_RMS = 0, DECAI__NORM_LAYER = 1 };
int32_t decai__row_norm(float *y, const float *x, const float *weight, const float *bias, size_t cols,
    float eps, int32_t kind);
/* §8 RoPE. A spec states the angles; f64 on the CPU. */
typedef struct decai__rope_spec {
    size_t rot_dim;                  /* even, at most DECAI__HEAD_MAX */
    double base;
    double linear;                   /* positions are divided by it; 1 (or 0): not scaled */
    const float *freq_factors;       /* rot_dim/2 divisors of the frequencies (Llama 3, longrope), or NULL */
    struct { double factor, original, beta_fast, beta_slow, attn_factor; } yarn;   /* factor 0: no YaRN */
    double mscale;                   /* multiplies cos and sin; 1 (or 0): none */
} decai__rope_spec;
/* The pair's angle per position, and what multiplies cos and sin. */
double decai__leaf_rope_frequency(const decai__rope_spec *spec, size_t pair);
double decai__leaf_rope_magnitude(const decai__rope_spec *spec);
void decai__leaf_rope_angle(float *cosine, float *sine, uint64_t pos, double frequency, double magnitude);
/* base * factor^(rot_dim / (rot_dim - 2)): NTK-aware scaling as a change of base. */
double decai__rope_ntk_base(double base, double factor, size_t rot_dim);
void decai__leaf_rope(float *x0, float *x1, float cosine, float sine);
/* §9 own functions: exp for x <= 0, 1/x and 1/sqrt(x) for normal x in 2^-100..2^100,
 * tanh and erf for every finite x. */
float decai__leaf_exp(float x);
float decai__leaf_recip(float x);
float decai__leaf_rsqrt(float x);
float decai__leaf_tanh(float x);
float decai__leaf_erf(float x);
/* Of the sampler: RNE(2^30 exp(x)) for x <= 0; log2 of x >= 1 in 1/65536; ln of a
 * normal x >= 1. */
uint32_t decai__leaf_exp30(float x);
uint32_t decai__leaf_log2(uint64_t x);
double decai__leaf_ln(double x);
/* Many at once, (x_i - max) * scale in two f32 steps: exp and exp30 of these. x_i may
 * be -Inf, and none is above max. The sum of what exp30 gives is returned. */
void decai__exp_run(float *out, const float *x, size_t count, float max, float scale);
uint64_t decai__exp30_run(uint32_t *out, const float *x, size_t count, float max, float scale);
/* The largest, -Inf of none; *finite becomes false if one is NaN or infinite, and then
 * the largest means nothing where one is NaN. */
float decai__max_run(const float *x, size_t count, bool *finite);
/* first + i for each x_i >= least, ascending; how many. ids has room for count. */
size_t decai__above_run(uint32_t *ids, uint32_t first, const float *x, size_t count, float least);
/* x_i becomes -Inf where bit i of the mask is 0. */
void decai__mask_run(float *x, const uint64_t *mask, size_t count);
/* d_i = RNE((max - x_i) * 1024), 262144 from max - x_i = 256 on. Of those that are not
 * -Inf: how many, the sums of d_i and of their squares (below 2^56), added to what
 * stands there. Then: x_i becomes -Inf where d_i is above `most` (below 262144). */
typedef struct decai__spread { uint64_t count, sum, squares; } decai__spread;
void decai__spread_run(decai__spread *to, const float *x, size_t count, float max);
void decai__near_run(float *x, size_t count, float max, uint32_t most);
/* §10 caches: the value of one head's vector as its cache keeps it. false: a value
 * is not finite or does not fit. Stored bytes: F16 head_dim u16; Q8_0 ceil(head_dim
 * / 32) scales (f16), then head_dim i8. out of decai__leaf_kv_round may be x. */
size_t decai__kv_row_bytes(int32_t kv_type, size_t head_dim);
bool decai__leaf_kv_pack(uint8_t *out, int32_t kv_type, const float *x, size_t head_dim);
void decai__leaf_kv_unpack(float *out, int32_t kv_type, const uint8_t *row, size_t head_dim);
bool decai__leaf_kv_round(float *out, int32_t kv_type, const float *x, size_t head_dim);
uint16_t decai__leaf_to_f16(float x);                                     /* to nearest even; overflow: infinity */
/* §11 attention, one head. score: cap 0: none. First visible position. Weight of
 * a position; a page's sum of weights and its mix of values (element d of count
 * value rows `stride` floats apart); the output element from the joined results. */
float decai__leaf_score(const float *q, const float *k, size_t head_dim, float scale, float cap);
static inline size_t
decai__window_first(size_t pos, size_t window)
{
    return window && pos + 1 > window ? pos + 1 - window : 0;
}
float decai__leaf_weight_of(float score, float max);                     /* exp(score - max) */
float decai__leaf_page_sum(const float *p, size_t count);
float decai__leaf_page_mix(const float *p, const float *v, size_t stride, size_t count);
float decai__leaf_attn(float mix, float sum);
/* §12 gated and plain activations. kind: enum below. */
enum { DECAI__GLU_SILU = 0, DECAI__GLU_GELU_TANH = 1, DECAI__GLU_GELU_ERF = 2, DECAI__GLU_OAI = 3, DECAI__GLU_KINDS = 4 };
float decai__leaf_activation(int32_t kind, float gate);                  /* OAI has no plain form: gate * sigmoid(1.702 gate), clamped */
float decai__leaf_glu(int32_t kind, float gate, float up);
/* §13 residual, bias; cap. */
float decai__leaf_add(float a, float b);
float decai__leaf_softcap(float x, float cap);
/* §14 experts: ids ascending and their weights from the scores of one token.
 * 0 | DECAI_E_INTEGRITY. mix: slot 0 starts a sum. */
enum { DECAI__ROUTE_SELECTED = 0, DECAI__ROUTE_ALL = 1 };
typedef struct decai__chosen { int32_t id; float weight; } decai__chosen;
int32_t decai__leaf_route(decai__chosen *out, const float *scores, size_t experts, size_t used, int32_t kind);
float decai__leaf_mix_expert(size_t slot, float weight, float x, float y);
float decai__f16_to_f32(uint16_t h);                                     /* exact */

/* ---- a backend ------------------------------------------------------------- */

typedef struct decai__compute decai__compute;   /* one engine's device state */
typedef struct decai__tbuf decai__tbuf;         /* bytes in a backend's memory */
typedef struct decai__matrix decai__matrix;     /* prepared weights, immutable */
typedef struct decai__kv decai__kv;             /* one session's keys and values */

/* Reads compute.* of options (NULL: defaults). Runs the known-answer test.
 * 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_DEVICE (with compute.fallback=0)
 * The context must outlive it (the engine's handle holds a reference). */
int32_t decai__compute_create(decai__compute **out, decai_context *ctx, const decai_options *options);
/* The native backend, whatever the options say: for the replay after a loss. */
int32_t decai__compute_create_native(decai__compute **out, decai_context *ctx, const decai_options *options);
/* After its buffers, matrices and caches. NULL is fine. */
void decai__compute_destroy(decai__compute *c);
/* Whether K-quants read ACT_2L (contract numbers 3 and 4): before the first matrix. */
void decai__compute_set_two_level(decai__compute *c, bool on);
bool decai__compute_two_level(const decai__compute *c);
const char *decai__compute_name(const decai__compute *c);        /* "scalar" "native" "opencl" */
const char *decai__compute_device(const decai__compute *c);      /* "AVX2", "portable", the device's name */
bool decai__compute_lost(const decai__compute *c);
bool decai__compute_fallback(const decai__compute *c);           /* compute.fallback */
/* Calls on one backend come from one thread at a time: hold this while sessions
 * on several threads share it. */
void decai__compute_lock(decai__compute *c);
void decai__compute_unlock(decai__compute *c);
/* Around a forward pass, inside the lock: a host backend wakes its threads once
 * and they wait for the next op awake. Never needed for a right result. */
void decai__compute_begin(decai__compute *c);
void decai__compute_end(decai__compute *c);
/* Wait for everything. 0 | DECAI_E_INTEGRITY | DECAI_E_DEVICE */
int32_t decai__compute_sync(decai__compute *c);

/* ---- buffers (zeroed at birth) ---------------------------------------------- */

int32_t decai__tbuf_create(decai__tbuf **out, decai__compute *c, size_t bytes);
void decai__tbuf_destroy(decai__tbuf *b);                                              /* NULL is fine */
size_t decai__tbuf_size(const decai__tbuf *b);
/* Its bytes where they lie, for who only reads after a sync; NULL on a device. */
const uint8_t *decai__tbuf_host(const decai__tbuf *b);
int32_t decai__tbuf_write(decai__tbuf *b, size_t at, const void *data, size_t len);    /* data is free on return */
int32_t decai__tbuf_read(decai__tbuf *b, size_t at, void *data, size_t len);           /* sync, then copy out */
int32_t decai__tbuf_copy(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len);

/* A place in a buffer: `at` in bytes, a multiple of 4 (of 64 for activations). */
typedef struct decai__ref { decai__tbuf *buf; size_t at; } decai__ref;
#define DECAI__REF(b) ((decai__ref){ (b), 0 })
#define DECAI__NO_REF ((decai__ref){ NULL, 0 })

/* ---- weights ------------------------------------------------------------------ */

/* Rows in the model's mapping, read as they are: embeddings. The caller fills it. */
typedef struct decai__rows {
    const char *name;
    int32_t type;
    size_t rows, cols;
    const uint8_t *data;
    size_t row_size;
} decai__rows;

/* data: rows * decai__row_size(type, cols) raw tensor bytes: copied in the
 * backend's own arrangement (with compute.repack=0 a host backend keeps the
 * pointer: the caller keeps the bytes). name is kept as a copy. *lost (may be
 * NULL): scales that lost bits by row alignment.
 * 0 | DECAI_E_CORRUPT (NaN or Inf, names the tensor) | DECAI_E_LIMIT |
 * DECAI_E_UNSUPPORTED (type) | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_DEVICE */
int32_t decai__matrix_create(decai__matrix **out, decai__compute *c, const char *name, int32_t type,
    size_t rows, size_t cols, const void *data, size_t len, uint64_t *lost);
/* [experts][rows][cols] for decai__op_matmul_expert. */
int32_t decai__matrix_create_experts(decai__matrix **out, decai__compute *c, const char *name, int32_t type,
    size_t experts, size_t rows, size_t cols, const void *data, size_t len, uint64_t *lost);
void decai__matrix_destroy(decai__matrix *m);                                          /* NULL is fine */
size_t decai__matrix_rows(const decai__matrix *m);
size_t decai__matrix_cols(const decai__matrix *m);
size_t decai__matrix_experts(const decai__matrix *m);    /* 1 unless created with experts */
bool decai__matrix_quantised(const decai__matrix *m);    /* input is an activation, not f32 */
int32_t decai__matrix_act(const decai__matrix *m);       /* its form on this backend; -1: f32 */

/* ---- keys and values ------------------------------------------------------------
 * Pages of 64 positions, made when first written. A layer with a window keeps the
 * last window + batch positions as a ring, the others all. */

typedef struct decai__kv_spec {
    size_t layers, kv_heads, head_dim;
    int32_t type;                    /* DECAI__KV_F16 | DECAI__KV_Q8_0 */
    size_t capacity;                 /* positions, at most 2^20 */
    size_t batch;                    /* most positions of one decai__op_kv_store */
    const uint32_t *window;          /* by layer, 0: all; NULL: none has one; copied */
} decai__kv_spec;

int32_t decai__kv_create(decai__kv **out, decai__compute *c, const decai__kv_spec *spec);
void decai__kv_destroy(decai__kv *kv);                                                  /* NULL is fine */
/* Forget positions from length on. DECAI_E_STATE: a ring has already dropped what
 * position `length` would see (nothing changed): compute again from 0. */
int32_t decai__kv_truncate(decai__kv *kv, size_t length);
size_t decai__kv_bytes(const decai__kv *kv);             /* memory it holds now */
/* What positions 0..length-1 of such a cache take, in pages. */
size_t decai__kv_bytes_for(const decai__kv *kv, size_t length);
/* Make the pages of positions pos..pos+n-1 of every layer, so that storing there
 * cannot fail for memory. 0 | DECAI_E_NOMEM | DECAI_E_INVALID | DECAI_E_DEVICE */
int32_t decai__kv_reserve(decai__kv *kv, size_t pos, size_t n);
/* One page (positions 64 page..64 page + 63 of every layer), kept for other caches of
 * this backend with the same spec. take: every layer has it whole (DECAI_E_STATE if
 * not), and kv goes on unchanged. give: the page after all that kv holds. On host
 * backends caches share the memory, and who writes into a shared page gets a copy;
 * OpenCL copies. Not from two threads at a time. */
typedef struct decai__kv_page decai__kv_page;
int32_t decai__kv_page_take(decai__kv_page **out, decai__kv *kv, size_t page);
int32_t decai__kv_page_give(decai__kv *kv, size_t page, const decai__kv_page *p);
void decai__kv_page_drop(decai__kv_page *p);                                            /* NULL is fine */
size_t decai__kv_page_bytes(const decai__kv *kv);        /* of one, all layers */
/* The same as bytes that every backend writes and reads alike: §10's rows, [layer][k,
 * v][position][head]. import: behind all that kv holds; DECAI_E_INTEGRITY: a value that
 * no cache holds (kv is as it was). */
size_t decai__kv_page_size(const decai__kv *kv);
int32_t decai__kv_page_export(decai__kv *kv, size_t page, uint8_t *out);
int32_t decai__kv_page_import(decai__kv *kv, size_t page, const uint8_t *data);
/* Exact values of positions pos..pos+n-1 as f32 [n][kv_heads][head_dim], which: 0 k,
 * 1 v; for traces and faults. write rounds as op_kv_store does (values that read
 * gave stay). DECAI_E_STATE: a position that is not there (any more). */
int32_t decai__kv_read(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out);
int32_t decai__kv_write(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x);

/* ---- ops -----------------------------------------------------------------------
 * n = tokens; tensors of n rows are row after row. Out-of-range sizes are
 * DECAI_E_INVALID. y may equal x where written "in place". `what` names the tensor
 * in errors and must live until the next sync. */

/* y[n][cols] = RN(row ids[i] * scale); scale 1: the row. y += row, for positions and
 * token types. An id >= rows: DECAI_E_INVALID. A NaN or Inf in the row: DECAI_E_CORRUPT. */
int32_t decai__op_embed(decai__compute *c, decai__ref y, const decai__rows *t, const uint32_t *ids, size_t n, float scale);
int32_t decai__op_embed_add(decai__compute *c, decai__ref y, const decai__rows *t, const uint32_t *ids, size_t n);
/* y[n][groups][dim] = norm of each group * w[dim] (+ b[dim]); in place allowed.
 * b.buf NULL: none (RMS never has one). */
typedef struct decai__norm { size_t n, groups, dim; float eps; int32_t kind; } decai__norm;
int32_t decai__op_norm(decai__compute *c, decai__ref y, decai__ref x, decai__ref w, decai__ref b,
    const decai__norm *p, const char *what);
/* act[n] (stride decai__act_stride(form, dim)) = quantised x[n][dim]. */
int32_t decai__op_quant(decai__compute *c, decai__ref act, decai__ref x, int32_t form, size_t n, size_t dim, const char *what);
/* x[n][dim] is finite and below 2^60: the check that stands before a float matrix. */
int32_t decai__op_check(decai__compute *c, decai__ref x, size_t n, size_t dim, const char *what);
/* y[n][rows] = m * in[n]; in: activations of form decai__matrix_act(m), or f32. */
int32_t decai__op_matmul(decai__compute *c, decai__ref y, const decai__matrix *m, decai__ref in, size_t n);
/* The same, token i with expert route[i][slot]; route is [n][used] of decai__chosen. */
int32_t decai__op_matmul_expert(decai__compute *c, decai__ref y, const decai__matrix *m, decai__ref in,
    decai__ref route, size_t slot, size_t used, size_t n);
/* x[n][dim] += b[dim], or += b[route[i][slot].id][dim], in place. */
int32_t decai__op_bias(decai__compute *c, decai__ref x, decai__ref b, size_t n, size_t dim);
int32_t decai__op_bias_expert(decai__compute *c, decai__ref x, decai__ref b, decai__ref route, size_t slot,
    size_t used, size_t experts, size_t n, size_t dim);
/* route[n][used] from scores[n][experts]: the largest, ties to the lower id, ids
 * ascending; weights by softmax over the selected, or over all without renormalising. */
typedef struct decai__route { size_t n, experts, used; int32_t kind; } decai__route;
int32_t decai__op_route(decai__compute *c, decai__ref route, decai__ref scores, const decai__route *p, const char *what);
/* y[n][dim] = slot == 0 ? w * x : fma(w, x, y). */
int32_t decai__op_mix_expert(decai__compute *c, decai__ref y, decai__ref x, decai__ref route, size_t slot,
    size_t used, size_t n, size_t dim);
/* Angle table for positions 0..positions-1: f32 [positions][rot_dim/2][cos, sin]. */
int32_t decai__rope_table_create(decai__tbuf **out, decai__compute *c, size_t positions, const decai__rope_spec *spec);
/* Rotate x[n][heads][head_dim] in place; row i is at position pos + i. neox 0:
 * pairs (2j, 2j+1), as arch llama; 1: pairs (j, j + rot_dim/2). rot_dim <= head_dim. */
typedef struct decai__rope { size_t n, heads, head_dim, rot_dim, pos; bool neox; } decai__rope;
int32_t decai__op_rope(decai__compute *c, decai__ref x, decai__tbuf *table, const decai__rope *r);
/* Rows of several caches in one pass: n of each, at positions pos.. of kv, one span
 * behind the other. What a span's rows give does not depend on the other spans. The
 * _each ops take their n and pos from the spans; no two spans have the same cache. */
typedef struct decai__span { decai__kv *kv; size_t pos, n; } decai__span;
int32_t decai__op_rope_each(decai__compute *c, decai__ref x, decai__tbuf *table, const decai__span *spans, size_t count,
    const decai__rope *r);
/* k and v [n][kv_heads][head_dim] rounded into the cache at positions pos..pos+n-1.
 * A value that is not finite or beyond f16: DECAI_E_INTEGRITY. */
int32_t decai__op_kv_store(decai__compute *c, decai__kv *kv, size_t layer, size_t pos, decai__ref k, decai__ref v,
    size_t n, const char *what);
int32_t decai__op_kv_store_each(decai__compute *c, const decai__span *spans, size_t count, size_t layer, decai__ref k,
    decai__ref v, const char *what);
/* y[n][heads][head_dim]; q likewise. Row i is at position pos + i and sees the
 * layer's window up to itself. heads is a multiple of kv_heads. */
typedef struct decai__attn {
    size_t n, heads, kv_heads, head_dim, pos;
    float scale;
    float softcap;                   /* 0: none */
    decai__ref sinks;                /* f32 [heads]; buf NULL: none */
} decai__attn;
int32_t decai__op_attention(decai__compute *c, decai__ref y, decai__ref q, decai__kv *kv, size_t layer,
    const decai__attn *a, const char *what);
int32_t decai__op_attention_each(decai__compute *c, decai__ref y, decai__ref q, const decai__span *spans, size_t count,
    size_t layer, const decai__attn *a, const char *what);
/* Encoders: k and v f32 [n][kv_heads][head_dim], used as they are; token i of segment
 * s (tokens starts[s]..starts[s+1]-1; starts has segments + 1 entries, from 0 to
 * a->n) sees all of its segment. a->pos is not used. */
int32_t decai__op_attention_full(decai__compute *c, decai__ref y, decai__ref q, decai__ref k, decai__ref v,
    const uint32_t *starts, size_t segments, const decai__attn *a, const char *what);
/* y = activation(gate) * up; up.buf NULL: the plain activation. Count floats, in
 * place allowed. y = a + b; x = cap * tanh(x / cap) in place. */
int32_t decai__op_glu(decai__compute *c, decai__ref y, decai__ref gate, decai__ref up, int32_t kind, size_t count);
int32_t decai__op_add(decai__compute *c, decai__ref y, decai__ref a, decai__ref b, size_t count);
int32_t decai__op_softcap(decai__compute *c, decai__ref x, float cap, size_t count);

#endif /* DECAI__COMPUTE_H */
