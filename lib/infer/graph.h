/* graph.h - how a graph file states its architecture. Private to the room.
 *
 * A graph reads hyper-parameters into g->shape, finds its tensors (each checked
 * for shape and type, and ticked off) and emits ops in execution order. Errors
 * are sticky: after the first one every call does nothing and gives 0, so a
 * graph reads as a description and checks once. graph.c has the reading and the
 * single ops, blocks.c the parts that most architectures share.
 */
#ifndef DECAI__INFER_GRAPH_H
#define DECAI__INFER_GRAPH_H

#include "infer/infer.h"

typedef struct decai__graph {
    decai__program *p;
    const decai_model *model;
    const char *arch;
    uint8_t *used;            /* one byte a tensor */
    uint32_t cap;             /* of p->ops */
    int32_t error;            /* the first one */
} decai__graph;

/* ---- metadata (graph.c) ------------------------------------------------------- */

/* Integer "<arch>.<name>" in min..max. Without it: `absent`, or an error if that
 * is UINT64_MAX. */
uint32_t decai__graph_u32(decai__graph *g, const char *name, uint64_t min, uint64_t max, uint64_t absent);
float decai__graph_f32(decai__graph *g, const char *name, float min, float max, float absent);
bool decai__graph_bool(decai__graph *g, const char *name, bool absent);
/* Is "<arch>.<name>" this text? */
bool decai__graph_is(const decai__graph *g, const char *name, const char *text);
bool decai__graph_key(const decai__graph *g, const char *name);       /* is it there at all? */
/* The key must be absent, or hold zero (false, "none"): a feature we lack. */
void decai__graph_refuse(decai__graph *g, const char *name);
void decai__graph_refuse_usual(decai__graph *g);                       /* those that no graph here has */

/* ---- tensors -------------------------------------------------------------------- */

/* The tensor `name` (layer >= 0: "blk.<layer>.<name>") with these dims; cols 0: a
 * vector of `rows`; experts 0: not three-dimensional. Its index. */
int32_t decai__graph_tensor(decai__graph *g, int32_t layer, const char *name, uint32_t rows, uint32_t cols);
int32_t decai__graph_tensor3(decai__graph *g, int32_t layer, const char *name, uint32_t experts, uint32_t rows,
    uint32_t cols);
/* The same, or -1 where the file has none of that name. */
int32_t decai__graph_maybe(decai__graph *g, int32_t layer, const char *name, uint32_t rows, uint32_t cols);
bool decai__graph_has(const decai__graph *g, int32_t layer, const char *name);

/* ---- ops: each gives its ordinal -------------------------------------------------- */

/* NORM of groups of dim elements with "<name>.weight" (LayerNorm: and ".bias"). */
int32_t decai__graph_norm(decai__graph *g, int32_t layer, int32_t in, const char *name, int32_t kind, uint32_t groups,
    uint32_t dim);
/* The next activation node: it holds the forms that these weights read. */
int32_t decai__graph_quant(decai__graph *g, int32_t layer, int32_t in, uint32_t cols, const int32_t *tensors,
    size_t count);
/* rows of the tensor from its row `first`; rows 0: all. */
int32_t decai__graph_matmul(decai__graph *g, int32_t kind, int32_t layer, int32_t in, int32_t tensor, uint32_t first,
    uint32_t rows);
int32_t decai__graph_matmul_expert(decai__graph *g, int32_t layer, int32_t in, int32_t tensor, int32_t route, uint32_t slot);
int32_t decai__graph_bias(decai__graph *g, int32_t layer, int32_t in, int32_t tensor, uint32_t first, uint32_t rows);
int32_t decai__graph_add(decai__graph *g, int32_t layer, int32_t a, int32_t b);
int32_t decai__graph_glu(decai__graph *g, int32_t layer, int32_t gate, int32_t up, int32_t kind, uint32_t rows);
/* Anything else: filled in by the caller from a blank one. */
decai__op decai__graph_blank(int32_t kind, int32_t layer, int32_t in0, int32_t in1, uint32_t rows);
int32_t decai__graph_op(decai__graph *g, decai__op op);

/* ---- parts of architectures (blocks.c) --------------------------------------------- */

/* layers, dim, ffn, heads, kv_heads, head_dim, rot_dim, context, eps, scale. */
void decai__graph_shape(decai__graph *g, bool layer_norm);
/* Angle table `which`, with the file's scaling and factor tensors; plain: without. */
void decai__graph_rope(decai__graph *g, uint32_t which, double base, bool plain);
/* x = token_embd[id] * scale. */
int32_t decai__graph_embed(decai__graph *g, float scale);
int32_t decai__graph_embed_add(decai__graph *g, int32_t x, const char *name, uint32_t rows, bool by_position);
/* Norm, output product (tied where there is no output.weight), cap, SAMPLE; the
 * body ends before it. */
void decai__graph_head(decai__graph *g, int32_t x, int32_t norm_kind, float softcap);

typedef struct decai__attention_block {
    bool fused;               /* attn_qkv instead of three tensors */
    bool bias;                /* where the file has them */
    bool qk_norm, sinks, full;
    int32_t table;            /* of angles; -1: no rotation */
    float softcap;
} decai__attention_block;

/* From the normed input to attn_output's product, bias added. The layer's window
 * is p->window's. */
int32_t decai__graph_attention(decai__graph *g, int32_t layer, int32_t h, const decai__attention_block *b);
/* down(activation(gate) * up); fused: gate then up in ffn_up. */
int32_t decai__graph_gated(decai__graph *g, int32_t layer, int32_t h, int32_t glu, bool fused);
/* down(activation(up)), with biases where the file has them. */
int32_t decai__graph_plain(decai__graph *g, int32_t layer, int32_t h, int32_t glu);
/* Experts chosen by ffn_gate_inp; bias: all four have one. */
int32_t decai__graph_experts(decai__graph *g, int32_t layer, int32_t h, int32_t glu, uint32_t ffn, bool bias);
/* Layers that look through "attention.sliding_window" (absent: `absent`) positions:
 * those where layer % pattern is below pattern - dense (pattern 1, dense 0: all),
 * or, turned around, those where it is not 0. */
void decai__graph_windows(decai__graph *g, uint32_t absent, uint32_t pattern, uint32_t dense);

/* One a file. */
void decai__graph_llama(decai__graph *g);
void decai__graph_qwen2(decai__graph *g);
void decai__graph_qwen3(decai__graph *g);
void decai__graph_qwen3moe(decai__graph *g);
void decai__graph_gemma(decai__graph *g);
void decai__graph_gemma2(decai__graph *g);
void decai__graph_gemma3(decai__graph *g);
void decai__graph_phi3(decai__graph *g);
void decai__graph_gpt2(decai__graph *g);
void decai__graph_gpt_oss(decai__graph *g);
void decai__graph_bert(decai__graph *g);
void decai__graph_nomic_bert(decai__graph *g);

#endif /* DECAI__INFER_GRAPH_H */
