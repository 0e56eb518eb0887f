/* compute.h - the numeric contract (CONTRACT.md, draft 0) and its backends.
 *
 * Three layers:
 *   leaf.c     pure scalar functions, no state: the contract itself. Disputes
 *              call them one at a time.
 *   ops        whole-tensor operations on a backend (scalar, native, opencl).
 *              Scalar ops are loops over the leaf functions; the others give
 *              the same bits or fail their known-answer test at creation.
 *   backend    memory (decai__tbuf), weights (decai__matrix), the known-answer test.
 *
 * How a graph uses it:
 *
 *     decai__compute_create(&c, ctx, opts);
 *     decai__matrix_create(&wq, c, "blk.0.attn_q.weight", type, rows, cols, data, len, &lost);
 *     decai__tbuf_create(&x, c, N * dim * 4);   ...
 *     decai__compute_lock(c);                       sessions share one backend
 *     decai__op_embed(c, REF(x), embedding, ids, n);
 *     decai__op_norm(c, REF(h), REF(x), REF(norm_w), n, dim, eps, "blk.0.attn_norm");
 *     decai__op_quant(c, REF(act), REF(h), n, dim, "blk.0.attn_q");
 *     decai__op_matmul(c, REF(q), wq, REF(act), n);
 *     decai__op_matmul(c, (decai__ref){k_cache, pos * kv_dim * 4}, wk, REF(act), n);
 *     decai__op_rope(...); decai__op_attention(...); ...
 *     decai__tbuf_read(logits, 0, host, bytes);     waits, and reports what went wrong
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
#define DECAI__BLOCK 32           /* elements that share a scale */
#define DECAI__KV_PAGE 64         /* positions summed before they are merged */
#define DECAI__HEAD_MAX 256       /* head_dim: one leaf */

/* Tensor types by their GGUF numbers. */
enum { DECAI__F32 = 0, DECAI__F16 = 1, DECAI__Q4_0 = 2, DECAI__Q8_0 = 8, DECAI__BF16 = 30 };

/* Bytes of one row of raw tensor data; 0 for a type or a cols we do not take
 * (cols in 1..DECAI_COMPUTE_COLS_MAX, a multiple of 32 for quants). */
size_t decai__row_size(int32_t type, size_t cols);
bool decai__type_quantised(int32_t type);

/* ---- floating-point state: round to nearest, subnormals kept ---------------- */

typedef struct decai__fpu { uint64_t saved[2]; } decai__fpu;
void decai__fpu_enter(decai__fpu *f);
void decai__fpu_leave(const decai__fpu *f);

/* ---- activations: canonical bytes ------------------------------------------
 * One token's quantised vector of K elements, everywhere (memory of a backend,
 * activation tree, dispute):
 *
 *     offset  size    what
 *     0       4       K, u32 LE
 *     4       4       E, i32 LE: exponent of the token's grid
 *     8       2*K/32  s, u16 LE: scale of each block of 32, 1..16514
 *     ..      K       q, i8, -127..127        X_k = s[k/32] * q_k
 *
 * In a buffer of N tokens the stride is decai__act_stride(K), padding is zero. */
static inline size_t decai__act_size(size_t cols) { return 8 + cols / 32 * 2 + cols; }
static inline size_t decai__act_stride(size_t cols) { return (decai__act_size(cols) + 63) & ~(size_t)63; }

/* A view into those bytes. */
typedef struct decai__act {
    uint32_t cols;
    int32_t exponent;
    const uint8_t *scales;           /* u16 LE, maybe unaligned */
    const int8_t *quants;
} decai__act;
/* 0 | DECAI_E_CORRUPT (sizes, K, scale 0 or above 16514, quant -128, E outside -59..60) */
int32_t decai__act_decode(decai__act *out, const uint8_t *data, size_t len);
static inline uint32_t decai__act_scale(const decai__act *a, size_t block) { return decai__load_le16(a->scales + 2 * block); }

/* ---- leaf functions: the contract in scalar C (CONTRACT.md, same order) ------
 * Pure. They assume round-to-nearest without FTZ: call between decai__fpu_enter
 * and decai__fpu_leave. `row` is one row of raw GGUF tensor bytes. */

/* §2 weights: the row's shared exponent F. *lost += scales that were rounded.
 * 0 | DECAI_E_CORRUPT: a NaN or Inf scale */
int32_t decai__leaf_row_exponent(int32_t *exponent, uint64_t *lost, int32_t type, const uint8_t *row, size_t cols);
/* D of one block, given F. */
int32_t decai__leaf_block_scale(int32_t type, const uint8_t *row, size_t block, int32_t exponent);
/* Integer weight W_k, given F. */
int32_t decai__leaf_weight(int32_t type, const uint8_t *row, size_t k, int32_t exponent);
/* §3 activations: x[cols] -> canonical bytes (decai__act_size). 0 | DECAI_E_INTEGRITY */
int32_t decai__leaf_quant(uint8_t *out, const float *x, size_t cols);
/* §4 one leaf (256 elements; the last may be short) of an integer product. */
int64_t decai__leaf_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act, size_t leaf);
int64_t decai__row_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act); /* all leaves */
float decai__leaf_result(int64_t sum, int32_t row_exponent, int32_t act_exponent);
/* §5 one leaf of a float product (F32, F16, BF16 row), and how leaves add. */
float decai__leaf_dot(int32_t type, const uint8_t *row, const float *x, size_t cols, size_t leaf);
float decai__leaf_join(float acc, float leaf);                        /* acc + leaf; acc starts at +0 */
float decai__row_dot(int32_t type, const uint8_t *row, const float *x, size_t cols);
float decai__leaf_weight_f32(int32_t type, const uint8_t *row, size_t k); /* float types: exact value */
/* §6 embedding element: quantised (W_k * 2^F) or float. */
float decai__leaf_embed(int32_t type, const uint8_t *row, size_t k, int32_t exponent);
/* §7 RMSNorm: squares of one leaf; factor from the joined sum; one element.
 * factor returns NaN if the sum is not finite or at least 2^100. */
float decai__leaf_squares(const float *x, size_t cols, size_t leaf);
float decai__leaf_norm_factor(float sum, size_t cols, float eps);
float decai__leaf_norm(float x, float factor, float weight);
/* §8 RoPE: angle table entry (cos, sin) and the rotation of one pair in place. */
void decai__leaf_rope_angle(float *cosine, float *sine, uint64_t pos, size_t pair, size_t rot_dim, double base);
void decai__leaf_rope(float *x0, float *x1, float cosine, float sine);
/* §9 own functions: exp for x <= 0, 1/x and 1/sqrt(x) for normal x in 2^-100..2^100. */
float decai__leaf_exp(float x);
float decai__leaf_recip(float x);
float decai__leaf_rsqrt(float x);
/* §10 attention, one head: score; weight of a position; a page's sum of weights
 * and its mix of values (element d of count value rows `stride` floats apart);
 * the output element from the joined page results. */
float decai__leaf_score(const float *q, const float *k, size_t head_dim, float scale);
float decai__leaf_weight_of(float score, float max);                     /* exp(score - max) */
float decai__leaf_page_sum(const float *p, size_t count);
float decai__leaf_page_mix(const float *p, const float *v, size_t stride, size_t count);
float decai__leaf_attn(float mix, float sum);
/* §11 silu(gate) * up; §12 residual. */
float decai__leaf_silu_mul(float gate, float up);
float decai__leaf_add(float a, float b);
float decai__f16_to_f32(uint16_t h);                                     /* exact */

/* ---- a backend ------------------------------------------------------------- */

typedef struct decai__compute decai__compute;   /* one engine's device state */
typedef struct decai__tbuf decai__tbuf;         /* bytes in a backend's memory */
typedef struct decai__matrix decai__matrix;     /* prepared weights, immutable */

/* Reads compute.* of options (NULL: defaults). Runs the known-answer test.
 * 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_DEVICE (with compute.fallback=0)
 * The context must outlive it (the engine's handle holds a reference). */
int32_t decai__compute_create(decai__compute **out, decai_context *ctx, const decai_options *options);
/* The native backend, whatever the options say: for the replay after a loss. */
int32_t decai__compute_create_native(decai__compute **out, decai_context *ctx, const decai_options *options);
/* After its buffers and matrices. NULL is fine. */
void decai__compute_destroy(decai__compute *c);
const char *decai__compute_name(const decai__compute *c);        /* "scalar" "native" "opencl" */
const char *decai__compute_device(const decai__compute *c);      /* "AVX2", "portable", the device's name */
bool decai__compute_lost(const decai__compute *c);
bool decai__compute_fallback(const decai__compute *c);           /* compute.fallback */
/* Calls on one backend come from one thread at a time: hold this while sessions
 * on several threads share it. */
void decai__compute_lock(decai__compute *c);
void decai__compute_unlock(decai__compute *c);
/* Wait for all ops. 0 | DECAI_E_INTEGRITY | DECAI_E_DEVICE */
int32_t decai__compute_sync(decai__compute *c);

/* ---- memory ------------------------------------------------------------------ */

int32_t decai__tbuf_create(decai__tbuf **out, decai__compute *c, size_t bytes);        /* zeroed */
void decai__tbuf_destroy(decai__tbuf *b);                                              /* NULL is fine */
size_t decai__tbuf_size(const decai__tbuf *b);
int32_t decai__tbuf_write(decai__tbuf *b, size_t at, const void *data, size_t len);    /* data is free on return */
int32_t decai__tbuf_read(decai__tbuf *b, size_t at, void *data, size_t len);           /* sync, then copy out */
int32_t decai__tbuf_copy(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len);

/* A place in a buffer: `at` in bytes, a multiple of 4 (of 64 for activations). */
typedef struct decai__ref { decai__tbuf *buf; size_t at; } decai__ref;
#define DECAI__REF(b) ((decai__ref){ (b), 0 })

/* ---- weights ------------------------------------------------------------------
 * data: rows * decai__row_size(type, cols) raw tensor bytes, copied. name is kept
 * as a copy. *lost (may be NULL): scales that lost bits by row alignment.
 * 0 | DECAI_E_CORRUPT (NaN or Inf, names the tensor) | DECAI_E_LIMIT |
 * DECAI_E_UNSUPPORTED (type) | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_DEVICE */
int32_t decai__matrix_create(decai__matrix **out, decai__compute *c, const char *name, int32_t type,
    size_t rows, size_t cols, const void *data, size_t len, uint64_t *lost);
void decai__matrix_destroy(decai__matrix *m);                                          /* NULL is fine */
size_t decai__matrix_rows(const decai__matrix *m);
size_t decai__matrix_cols(const decai__matrix *m);
bool decai__matrix_quantised(const decai__matrix *m);    /* input is an activation, not f32 */

/* ---- ops -----------------------------------------------------------------------
 * n = tokens; tensors of n rows are row after row. Out-of-range sizes are
 * DECAI_E_INVALID. y may equal x where written "in place". */

/* y[n][cols] = rows ids[i] of m. An id >= rows: DECAI_E_INVALID. */
int32_t decai__op_embed(decai__compute *c, decai__ref y, const decai__matrix *m, const uint32_t *ids, size_t n);
/* y[n][dim] = RMSNorm(x) * w; in place allowed. what names the tensor in errors
 * and must live until the next sync. */
int32_t decai__op_norm(decai__compute *c, decai__ref y, decai__ref x, decai__ref w, size_t n, size_t dim,
    float eps, const char *what);
/* act[n] (stride decai__act_stride(dim)) = quantised x[n][dim]. */
int32_t decai__op_quant(decai__compute *c, decai__ref act, decai__ref x, size_t n, size_t dim, const char *what);
/* x[n][dim] is finite and below 2^60: the check that stands before a float matrix. */
int32_t decai__op_check(decai__compute *c, decai__ref x, size_t n, size_t dim, const char *what);
/* y[n][rows] = m * in[n]; in: activations if decai__matrix_quantised(m), else f32. */
int32_t decai__op_matmul(decai__compute *c, decai__ref y, const decai__matrix *m, decai__ref in, size_t n);
/* Angle table for positions 0..positions-1: f32 [positions][rot_dim/2][cos, sin]. */
int32_t decai__rope_table_create(decai__tbuf **out, decai__compute *c, size_t positions, size_t rot_dim, double base);
/* Rotate x[n][heads][head_dim] in place; row i is at position pos + i. neox 0:
 * pairs (2j, 2j+1), as arch llama; 1: pairs (j, j + rot_dim/2). rot_dim <= head_dim. */
typedef struct decai__rope { size_t n, heads, head_dim, rot_dim, pos; bool neox; } decai__rope;
int32_t decai__op_rope(decai__compute *c, decai__ref x, decai__tbuf *table, const decai__rope *r);
/* y[n][heads][head_dim]; q likewise; k and v caches [positions][kv_heads][head_dim]
 * f32. Row i sees positions 0..pos+i. heads is a multiple of kv_heads. */
typedef struct decai__attn { size_t n, heads, kv_heads, head_dim, pos; float scale; } decai__attn;
int32_t decai__op_attention(decai__compute *c, decai__ref y, decai__ref q, decai__ref k, decai__ref v,
    const decai__attn *a, const char *what);
/* y = silu(gate) * up, y = a + b; count floats; in place allowed. */
int32_t decai__op_silu_mul(decai__compute *c, decai__ref y, decai__ref gate, decai__ref up, size_t count);
int32_t decai__op_add(decai__compute *c, decai__ref y, decai__ref a, decai__ref b, size_t count);

#endif /* DECAI__COMPUTE_H */
