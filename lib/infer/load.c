/* load.c - a model's weights into a backend.
 *
 * Matrices go up in the order they have in the file, so that a file that is not in
 * memory yet is read from front to back; the next ones are asked for ahead, and
 * the pages of what a backend has rearranged are given back. Embeddings stay in
 * the mapping and are read there. With a task, progress is in bytes and a stop
 * is noticed between tensors.
 */
#include "infer/engine.h"

#include <math.h>

#define AHEAD 4                      /* tensors that are asked for in advance */

void
decai__body_destroy(decai__body *b)
{
    if (!b) return;
    decai__pass_free(b);
    for (size_t i = 0; b->matrix && i < b->weights; i++) decai__matrix_destroy(b->matrix[i]);
    for (size_t i = 0; b->vector && i < b->tensors; i++) decai__tbuf_destroy(b->vector[i]);
    for (size_t i = 0; i < DECAI__ROPES_MAX; i++) decai__tbuf_destroy(b->rope[i]);
    decai__compute_destroy(b->c);
    decai__free(b->ctx, b->matrix);
    decai__free(b->ctx, b->vector);
    decai__free(b->ctx, b);
}

/* ---- vectors: norm weights, biases, sinks ---------------------------------------- */

static int32_t
load_vector(decai__body *b, const decai__tensor *t)
{
    size_t n = (size_t)t->elements, row = (size_t)t->dims[0];

    if (b->vector[t->index]) return 0;
    float *w = decai__alloc(b->ctx, n * sizeof *w);
    int32_t r = w ? 0 : DECAI_E_NOMEM;
    for (size_t i = 0; !r && i < n / row; i++) decai__tensor_row(t, i, w + i * row);
    for (size_t i = 0; !r && i < n; i++)
        if (!isfinite(w[i])) r = decai__fail(DECAI_E_CORRUPT, "%s: element %zu is NaN or infinite", t->name, i);
    if (!r) r = decai__tbuf_create(&b->vector[t->index], b->c, n * sizeof *w);
    if (!r) r = decai__tbuf_write(b->vector[t->index], 0, w, n * sizeof *w);
    decai__free(b->ctx, w);
    return r;
}

static int32_t
load_vectors(decai__body *b, const decai_engine *e)
{
    const decai__program *p = e->program;
    int32_t r = 0;

    for (uint32_t i = 0; i < p->count && !r; i++) {
        const decai__op *op = &p->ops[i];
        bool vector = op->kind == DECAI__OP_NORM || op->kind == DECAI__OP_BIAS || op->kind == DECAI__OP_BIAS_EXPERT;
        if (vector && op->tensor >= 0) r = load_vector(b, decai__model_tensor_at(e->model, (size_t)op->tensor));
        if (!r && op->extra >= 0) r = load_vector(b, decai__model_tensor_at(e->model, (size_t)op->extra));
    }
    return r;
}

/* ---- matrices ------------------------------------------------------------------------ */

/* One of the program's distinct matrices, as an op uses it. */
typedef struct part { const decai__op *op; const decai__tensor *t; const uint8_t *data; size_t len; } part;

static int
compare_parts(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* In file order; p->weights of them. */
static part *
list_parts(const decai_engine *e, uint64_t *bytes)
{
    const decai__program *p = e->program;
    part *parts = decai__calloc(e->h.context, p->weights ? p->weights : 1, sizeof *parts);

    *bytes = 0;
    if (!parts) return NULL;
    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        if (!decai__op_product(op)) continue;
        part *at = &parts[op->weights];
        if (at->op) continue;
        at->op = op;
        at->t = decai__model_tensor_at(e->model, (size_t)op->tensor);
        at->data = at->t->data + op->first * at->t->row_size;
        at->len = (op->experts ? op->experts : 1) * (size_t)op->rows * at->t->row_size;
        *bytes += at->len;
    }
    decai__sort(parts, p->weights, sizeof *parts, compare_parts);
    return parts;
}

static int32_t
load_matrix(decai__body *b, const part *w)
{
    const decai__op *op = w->op;
    decai__matrix **out = &b->matrix[op->weights];
    uint64_t lost = 0;
    int32_t r = op->kind == DECAI__OP_MATMUL_EXPERT
        ? decai__matrix_create_experts(out, b->c, w->t->name, (int32_t)w->t->type, op->experts, op->rows, op->cols, w->data, w->len, &lost)
        : decai__matrix_create(out, b->c, w->t->name, (int32_t)w->t->type, op->rows, op->cols, w->data, w->len, &lost);
    b->lost += lost;
    return r;
}

static int32_t
load_matrices(decai__body *b, const decai_engine *e, decai_task *task)
{
    uint32_t count = e->program->weights;
    uint64_t bytes, done = 0;
    part *parts = list_parts(e, &bytes);
    int32_t r = parts ? 0 : decai__fail(DECAI_E_NOMEM, "engine: %u matrices", count);

    for (uint32_t i = 0; i < count && !r; i++) {
        if (decai__task_stopped(task)) r = decai__fail(DECAI_E_CANCELLED, "engine: stopped at %s", parts[i].t->name);
        decai__task_report(task, "weights", done, bytes);
        if (i + AHEAD < count) decai__tensor_prefetch(e->model, parts[i + AHEAD].t);
        if (!r) r = load_matrix(b, &parts[i]);
        /* A tensor that several ops share a part each of goes with its last part. */
        if (!r && e->repack && (i + 1 == count || parts[i + 1].t != parts[i].t)) decai__tensor_drop(e->model, parts[i].t);
        done += parts ? parts[i].len : 0;
    }
    decai__task_report(task, "weights", done, bytes);
    decai__free(e->h.context, parts);
    return r;
}

int32_t
decai__body_create(decai__body **out, const decai_engine *e, decai__compute *c, decai_task *task)
{
    decai_context *ctx = e->h.context;
    const decai__program *p = e->program;
    decai__body *b = decai__calloc(ctx, 1, sizeof *b);
    int32_t r = 0;

    if (!b) {
        decai__compute_destroy(c);
        return decai__fail(DECAI_E_NOMEM, "engine: weights");
    }
    b->ctx = ctx;
    b->c = c;
    decai__compute_set_two_level(c, decai__contract_two_level(e->contract));
    b->tensors = decai__model_tensor_count(e->model);
    b->weights = p->weights;
    b->matrix = decai__calloc(ctx, b->weights + 1, sizeof(decai__matrix *));
    b->vector = decai__calloc(ctx, b->tensors, sizeof(decai__tbuf *));
    if (!b->matrix || !b->vector) r = decai__fail(DECAI_E_NOMEM, "engine: %zu tensors", b->tensors);

    if (!r) r = load_vectors(b, e);
    if (!r) r = load_matrices(b, e, task);
    for (uint32_t i = 0; i < p->ropes && !r; i++) r = decai__rope_table_create(&b->rope[i], c, e->context, &p->rope[i]);
    if (!r) r = decai__compute_sync(c);
    if (r) {
        decai__body_destroy(b);
        return r;
    }
    *out = b;
    return 0;
}
