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
 * each form of all tokens before the next; so one read fetches all. */
static decai__ref
record_ref(const exec *e, const decai__op *quant, uint32_t form)
{
    const decai_session *s = e->s;
    size_t at = s->engine->plan.node_at[quant->node] + decai__plan_act_bytes(quant, form);
    return (decai__ref){ s->record, e->n * at };
}

/* A form's place in the slot of QUANT `ordinal`. */
static decai__ref
act_ref(const exec *e, int32_t ordinal, uint32_t form)
{
    decai__ref r = ref_of(e, ordinal);
    r.at += e->n * decai__plan_act_bytes(&e->p->ops[ordinal], form);
    return r;
}

static decai__ref
input_of(const exec *e, uint32_t ordinal, int which)
{
    const decai__op *op = &e->p->ops[ordinal];
    if (ordinal == e->p->body) return e->head_in;
    return ref_of(e, op->in[which]);
}

static int32_t
run_embed(const exec *e, uint32_t i)
{
    const decai__tensor *t = decai__model_tensor_at(e->s->engine->model, (size_t)e->p->ops[i].tensor);
    const decai__rows rows = { t->name, (int32_t)t->type, (size_t)t->dims[1], (size_t)t->dims[0], t->data, t->row_size };
    return decai__op_embed(e->c, ref_of(e, (int32_t)i), &rows, (const uint32_t *)e->ids, e->n, 1.0f);
}

static int32_t
run_norm(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    const decai__norm p = { e->n, 1, op->rows, e->p->shape.eps, DECAI__NORM_RMS };
    return decai__op_norm(e->c, ref_of(e, (int32_t)i), input_of(e, i, 0), DECAI__REF(e->s->body->vector[op->tensor]),
        DECAI__NO_REF, &p, tensor_name(e, op));
}

static int32_t
run_quant(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    const char *what = tensor_name(e, &e->p->ops[i + 1]);   /* a product follows its QUANT */
    decai__ref x = input_of(e, i, 0);
    int32_t r = 0;
    uint32_t form;

    for (int k = 0; !r && (form = decai__form_at(op->forms & DECAI__FORMS_ACT, k)); k++) {
        int32_t act = decai__act_of_form(form);
        decai__ref y = act_ref(e, (int32_t)i, form), to = record_ref(e, op, form);
        r = decai__op_quant(e->c, y, x, act, e->n, op->cols, what);
        if (!r && e->record) r = decai__tbuf_copy(to.buf, to.at, y.buf, y.at, e->n * decai__act_stride(act, op->cols));
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
    int32_t source = decai__plan_source(e->p, op);
    decai__ref in = op->forms == DECAI__FORM_F32 ? ref_of(e, source) : act_ref(e, source, op->forms);
    decai__ref out = op->kind == DECAI__OP_LOGITS ? DECAI__REF(e->s->scores) : ref_of(e, (int32_t)i);
    return decai__op_matmul(e->c, out, e->s->body->matrix[op->tensor], in, e->n);
}

static int32_t
run_kv(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    return decai__op_kv_store(e->c, e->s->kv, (size_t)op->layer, e->s->length, ref_of(e, op->in[0]), ref_of(e, op->in[1]),
        e->n, "keys and values");
}

static int32_t
run_attention(const exec *e, uint32_t i)
{
    const decai__op *mix = &e->p->ops[i], *score = &e->p->ops[e->p->ops[mix->in[0]].in[0]];
    const decai__shape *h = &e->p->shape;
    decai__attn a = { .n = e->n, .heads = h->heads, .kv_heads = h->kv_heads, .head_dim = h->head_dim,
        .pos = e->s->length, .scale = h->scale };
    return decai__op_attention(e->c, ref_of(e, (int32_t)i), ref_of(e, score->in[0]), e->s->kv, (size_t)mix->layer, &a,
        "attention");
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
        return run_embed(e, i);
    case DECAI__OP_NORM:
        return run_norm(e, i);
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
        return decai__op_glu(e->c, ref_of(e, (int32_t)i), ref_of(e, op->in[0]), ref_of(e, op->in[1]), DECAI__GLU_SILU, count);
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
    decai__compute_begin(e.c);
    for (uint32_t i = 0; i < p->body && !r; i++) {
        if (p->ops[i].layer != layer && atomic_load(&s->cancelled))
            r = decai__fail(DECAI_E_CANCELLED, "session: cancelled");
        layer = p->ops[i].layer;
        if (!r) r = run_op(&e, i);
    }
    if (!r) r = decai__tbuf_copy(s->last, 0, ref_of(&e, (int32_t)p->body - 1).buf, (n - 1) * row, row);
    decai__compute_end(e.c);
    return r;
}

int32_t
decai__exec_head(decai_session *s, decai__ref x, size_t n, bool record)
{
    const decai__program *p = s->engine->program;
    exec e = { .s = s, .p = p, .c = s->body->c, .n = n, .head_in = x, .record = record };
    int32_t r = 0;

    decai__compute_begin(e.c);
    for (uint32_t i = p->body; i < p->count && !r; i++) r = run_op(&e, i);
    decai__compute_end(e.c);
    return r;
}
