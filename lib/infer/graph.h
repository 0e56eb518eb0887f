/* graph.h - how a graph file states its architecture. Private to the room.
 *
 * A graph reads hyper-parameters into g->shape, finds its tensors (each checked
 * for shape and type, and ticked off) and emits ops in execution order. Errors
 * are sticky: after the first one every call does nothing and gives 0, so a
 * graph reads as a description and checks once.
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

/* Integer "<arch>.<name>" in min..max. Without it: `absent`, or an error if that
 * is UINT64_MAX. */
uint32_t decai__graph_u32(decai__graph *g, const char *name, uint64_t min, uint64_t max, uint64_t absent);
float decai__graph_f32(decai__graph *g, const char *name, float min, float max, float absent);
/* The key must be absent, or hold zero (false, "none"): a feature we lack. */
void decai__graph_refuse(decai__graph *g, const char *name);

/* The tensor `name` (layer >= 0: "blk.<layer>.<name>") with these dims; cols 0: a
 * vector of `rows`. Its index. */
int32_t decai__graph_tensor(decai__graph *g, int32_t layer, const char *name, uint32_t rows, uint32_t cols);
bool decai__graph_has(const decai__graph *g, const char *name);

/* Append an op; its ordinal. rows and cols as decai__op says. */
int32_t decai__graph_op(decai__graph *g, decai__op op);
int32_t decai__graph_norm(decai__graph *g, int32_t layer, int32_t in, int32_t tensor, uint32_t dim);
/* The next activation node: it holds the forms that these weights read. */
int32_t decai__graph_quant(decai__graph *g, int32_t layer, int32_t in, uint32_t cols,
    const int32_t *tensors, size_t count);
int32_t decai__graph_matmul(decai__graph *g, int32_t kind, int32_t layer, int32_t in, int32_t tensor);

/* One a file. */
void decai__graph_llama(decai__graph *g);

#endif /* DECAI__INFER_GRAPH_H */
