/* exec.c - runs a program on a backend, for a batch of tokens at once.
 *
 * Row i of the batch is position length + i. Nothing here depends on how many
 * rows there are or which backend it is: every op's contract is per row. Ops may
 * return before they are done; whoever reads (record.c, session.c) waits.
 *
 * What leaves this file: caches rows length..length+n-1, s->last (the residual of
 * the last row), with the activation tree the record buffer, after a head the
 * scores buffer.
 */
#include "infer/engine.h"

typedef struct exec {
    decai_session *s;
    const decai__program *p;
    decai__compute *c;
    const int32_t *ids;
    size_t n;
    decai__ref head_in;              /* what the head's first op reads */
    bool record;
} exec;

static decai__ref
ref_of(const exec *e, int32_t ordinal)
{
    int32_t slot = e->s->engine->plan.slot[ordinal];
    decai__assert(slot >= 0);
    return DECAI__REF(e->s->slot[slot]);
}

static const char *
tensor_name(const exec *e, const decai__op *op)
{
    return decai__model_tensor_at(e->s->engine->model, (size_t)op->tensor)->name;
}

/* The record's place for a form of a node: n tokens' node_at bytes before it, and
 * the act part of all tokens before the f32 part; so one read fetches all. */
static decai__ref
record_ref(const exec *e, const decai__op *quant, uint32_t form)
{
    const decai_session *s = e->s;
    size_t at = e->n * s->engine->plan.node_at[quant->node];
    if (form == DECAI__FORM_F32 && (quant->forms & DECAI__FORM_ACT))
        at += e->n * decai__act_stride(quant->cols);
    return (decai__ref){ s->record, at };
}

static decai__ref
input_of(const exec *e, uint32_t ordinal, int which)
{
    const decai__op *op = &e->p->ops[ordinal];
    if (ordinal == e->p->body) return e->head_in;
    return ref_of(e, op->in[which]);
}

static int32_t
run_quant(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    const char *what = tensor_name(e, &e->p->ops[i + 1]);   /* a product follows its QUANT */
    decai__ref x = input_of(e, i, 0);
    int32_t r = 0;

    if (op->forms & DECAI__FORM_ACT) {
        r = decai__op_quant(e->c, ref_of(e, (int32_t)i), x, e->n, op->cols, what);
        if (!r && e->record) {
            decai__ref to = record_ref(e, op, DECAI__FORM_ACT);
            r = decai__tbuf_copy(to.buf, to.at, ref_of(e, (int32_t)i).buf, 0, e->n * decai__act_stride(op->cols));
        }
    }
    if (!r && (op->forms & DECAI__FORM_F32)) {
        r = decai__op_check(e->c, x, e->n, op->cols, what);
        if (!r && e->record) {
            decai__ref to = record_ref(e, op, DECAI__FORM_F32);
            r = decai__tbuf_copy(to.buf, to.at, x.buf, x.at, e->n * op->cols * 4);
        }
    }
    return r;
}

static int32_t
run_product(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    decai__ref in = ref_of(e, decai__plan_source(e->p, op));
    decai__ref out = op->kind == DECAI__OP_LOGITS ? DECAI__REF(e->s->scores) : ref_of(e, (int32_t)i);
    return decai__op_matmul(e->c, out, e->s->body->matrix[op->tensor], in, e->n);
}

static int32_t
run_kv(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    size_t row = 4 * (size_t)e->p->shape.kv_dim;
    int32_t r = 0;

    for (int j = 0; j < 2 && !r; j++) {
        decai__ref from = ref_of(e, op->in[j]);
        r = decai__tbuf_copy(e->s->kv[2 * op->layer + j], e->s->length * row, from.buf, from.at, e->n * row);
    }
    return r;
}

static int32_t
run_attention(const exec *e, uint32_t i)
{
    const decai__op *mix = &e->p->ops[i], *score = &e->p->ops[e->p->ops[mix->in[0]].in[0]];
    const decai__shape *h = &e->p->shape;
    decai__attn a = { .n = e->n, .heads = h->heads, .kv_heads = h->kv_heads, .head_dim = h->head_dim,
        .pos = e->s->length, .scale = h->scale };
    decai__ref k = DECAI__REF(e->s->kv[2 * mix->layer]), v = DECAI__REF(e->s->kv[2 * mix->layer + 1]);
    return decai__op_attention(e->c, ref_of(e, (int32_t)i), ref_of(e, score->in[0]), k, v, &a, "attention");
}

static int32_t
run_rope(const exec *e, uint32_t i)
{
    const decai__shape *h = &e->p->shape;
    decai__rope a = { .n = e->n, .heads = e->p->ops[i].rows / h->head_dim, .head_dim = h->head_dim,
        .rot_dim = h->rot_dim, .pos = e->s->length, .neox = h->neox };
    return decai__op_rope(e->c, ref_of(e, (int32_t)i), e->s->body->rope, &a);
}

static int32_t
run_op(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    size_t count = e->n * op->rows;

    switch (op->kind) {
    case DECAI__OP_EMBED:
        return decai__op_embed(e->c, ref_of(e, (int32_t)i), e->s->body->matrix[op->tensor],
            (const uint32_t *)e->ids, e->n);
    case DECAI__OP_NORM:
        return decai__op_norm(e->c, ref_of(e, (int32_t)i), input_of(e, i, 0),
            DECAI__REF(e->s->body->vector[op->tensor]), e->n, op->rows, e->p->shape.eps, tensor_name(e, op));
    case DECAI__OP_QUANT:
        return run_quant(e, i);
    case DECAI__OP_MATMUL:
    case DECAI__OP_LOGITS:
        return run_product(e, i);
    case DECAI__OP_ROPE:
        return run_rope(e, i);
    case DECAI__OP_KV:
        return run_kv(e, i);
    case DECAI__OP_MIX:
        return run_attention(e, i);
    case DECAI__OP_ADD:
        return decai__op_add(e->c, ref_of(e, (int32_t)i), ref_of(e, op->in[0]), ref_of(e, op->in[1]), count);
    case DECAI__OP_SILU_MUL:
        return decai__op_silu_mul(e->c, ref_of(e, (int32_t)i), ref_of(e, op->in[0]), ref_of(e, op->in[1]), count);
    default:                                    /* SCORE and SOFTMAX run in MIX, SAMPLE in session.c */
        return 0;
    }
}

int32_t
decai__exec_body(decai_session *s, const int32_t *ids, size_t n)
{
    const decai__program *p = s->engine->program;
    exec e = { .s = s, .p = p, .c = s->body->c, .ids = ids, .n = n, .record = s->tree };
    size_t row = 4 * (size_t)p->shape.dim;
    int32_t layer = -1, r = 0;

    decai__assert(n >= 1 && n <= s->engine->batch && s->length + n <= s->capacity);
    for (uint32_t i = 0; i < p->body && !r; i++) {
        if (p->ops[i].layer != layer && atomic_load(&s->cancelled))
            r = decai__fail(DECAI_E_CANCELLED, "session: cancelled");
        layer = p->ops[i].layer;
        if (!r) r = run_op(&e, i);
    }
    if (!r) r = decai__tbuf_copy(s->last, 0, ref_of(&e, (int32_t)p->body - 1).buf, (n - 1) * row, row);
    return r;
}

int32_t
decai__exec_head(decai_session *s, decai__ref x, size_t n, bool record)
{
    const decai__program *p = s->engine->program;
    exec e = { .s = s, .p = p, .c = s->body->c, .n = n, .head_in = x, .record = record };
    int32_t r = 0;

    for (uint32_t i = p->body; i < p->count && !r; i++) r = run_op(&e, i);
    return r;
}
