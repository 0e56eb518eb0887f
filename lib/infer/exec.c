/* exec.c - runs a program on a backend, for many rows at once.
 *
 * The rows belong to spans: some tokens of one session, then some of the next (an
 * encoder's rows are whole sequences one behind the other). Nothing here depends on
 * how many rows there are, whose the others are, or which backend it is: every op's
 * contract is per row. Ops may return before they are
 * done; whoever reads (record.c, session.c) waits.
 *
 * What leaves this file: the caches' new positions, a lone session's s->last (the
 * residual of its last row), with the activation tree the record buffer, after a
 * head the scores buffer.
 */
#include "infer/engine.h"

typedef struct decai__exec exec;

decai__ref
decai__exec_place(const exec *e, int32_t ordinal)
{
    int32_t slot = e->plan->slot[ordinal];
    if (slot < 0) {                              /* logits, and their cap, have a place of their own */
        decai__assert(e->p->ops[ordinal].layer < 0);
        return DECAI__REF(e->scores);
    }
    return DECAI__REF(e->slot[slot]);
}

static decai__ref
input_of(const exec *e, uint32_t ordinal, int which)
{
    const decai__op *op = &e->p->ops[ordinal];
    if (ordinal == e->p->body && e->head_in.buf) return e->head_in;
    return decai__exec_place(e, op->in[which]);
}

static const char *
tensor_name(const exec *e, int32_t tensor)
{
    return decai__model_tensor_at(e->model, (size_t)tensor)->name;
}

static decai__ref
vector_of(const exec *e, int32_t tensor, uint32_t first)
{
    return tensor < 0 ? DECAI__NO_REF : (decai__ref){ e->body->vector[tensor], 4 * (size_t)first };
}

/* ---- activations ------------------------------------------------------------------------ */

/* One form of a node into its slot and, recorded, into the record: n tokens'
 * node_at bytes before it, and all tokens of a form before the next form, so one
 * read fetches all. */
static int32_t
quant_form(const exec *e, uint32_t i, uint32_t form, decai__ref x, const char *what, size_t *recorded)
{
    const decai__op *op = &e->p->ops[i];
    int32_t act = decai__form_act(form), r;
    decai__ref out = x;
    size_t bytes = e->n * op->cols * 4;

    if (!(op->forms & form)) return 0;
    if (act >= 0) {
        bytes = e->n * decai__act_stride(act, op->cols);
        out = decai__exec_place(e, (int32_t)i);
        out.at += e->n * decai__plan_form_at(op, form);
        r = decai__op_quant(e->c, out, x, act, e->n, op->cols, what);
    } else {
        r = decai__op_check(e->c, x, e->n, op->cols, what);
    }
    if (!r && e->record) r = decai__tbuf_copy(e->record, *recorded, out.buf, out.at, bytes);
    *recorded += bytes;
    return r;
}

static int32_t
run_quant(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    const char *what = tensor_name(e, e->p->ops[i + 1].tensor);    /* a product follows its QUANT */
    decai__ref x = input_of(e, i, 0);
    size_t at = e->record ? e->n * e->plan->node_at[op->node] : 0;
    int32_t r = 0;

    for (size_t f = 0; f < DECAI__FORM_COUNT && !r; f++) r = quant_form(e, i, decai__forms[f], x, what, &at);
    return r;
}

static int32_t
run_product(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    decai__ref in = decai__exec_place(e, decai__plan_source(e->p, op)), y = decai__exec_place(e, (int32_t)i);
    const decai__matrix *m = e->body->matrix[op->weights];

    if (op->forms != DECAI__FORM_F32) in.at += e->n * decai__plan_form_at(&e->p->ops[op->in[0]], op->forms);
    if (op->kind == DECAI__OP_MATMUL_EXPERT)
        return decai__op_matmul_expert(e->c, y, m, in, decai__exec_place(e, op->in[1]), op->slot, op->used, e->n);
    return decai__op_matmul(e->c, y, m, in, e->n);
}

/* ---- attention --------------------------------------------------------------------------- */

static int32_t
run_kv(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    return decai__op_kv_store_each(e->c, e->spans, e->span_count, (size_t)op->layer, decai__exec_place(e, op->in[0]),
        decai__exec_place(e, op->in[1]), "attention");
}

static decai__attn
attention_of(const exec *e)
{
    const decai__shape *h = &e->p->shape;
    return (decai__attn){ .n = e->n, .heads = h->heads, .kv_heads = h->kv_heads, .head_dim = h->head_dim,
        .scale = h->scale };
}

static int32_t
run_attention(const exec *e, uint32_t i)
{
    const decai__op *mix = &e->p->ops[i], *score = &e->p->ops[e->p->ops[mix->in[0]].in[0]];
    decai__attn a = attention_of(e);

    a.softcap = score->scale;
    a.sinks = vector_of(e, mix->extra, 0);
    return decai__op_attention_each(e->c, decai__exec_place(e, (int32_t)i), decai__exec_place(e, score->in[0]), e->spans,
        e->span_count, (size_t)mix->layer, &a, "attention");
}

static int32_t
run_attention_full(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    decai__attn a = attention_of(e);
    return decai__op_attention_full(e->c, decai__exec_place(e, (int32_t)i), decai__exec_place(e, op->in[0]), decai__exec_place(e, op->in[1]),
        decai__exec_place(e, op->in[2]), e->starts, e->segments, &a, "attention");
}

/* Sequences begin at position 0 each. */
static int32_t
run_rope(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    const decai__shape *h = &e->p->shape;
    decai__rope a = { .heads = op->rows / h->head_dim, .head_dim = h->head_dim, .rot_dim = h->rot_dim, .neox = h->neox };
    decai__ref x = decai__exec_place(e, (int32_t)i);
    int32_t r = 0;

    if (!e->starts) return decai__op_rope_each(e->c, x, e->body->rope[op->variant], e->spans, e->span_count, &a);
    for (size_t s = 0; s < e->segments && !r; s++) {
        a.n = e->starts[s + 1] - e->starts[s];
        a.pos = 0;
        r = decai__op_rope(e->c, (decai__ref){ x.buf, x.at + e->starts[s] * (size_t)op->rows * 4 }, e->body->rope[op->variant], &a);
    }
    return r;
}

/* ---- the others --------------------------------------------------------------------------- */

static int32_t
run_norm(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    decai__norm a = { .n = e->n, .groups = op->rows / op->cols, .dim = op->cols, .eps = e->p->shape.eps,
        .kind = (int32_t)op->variant };
    return decai__op_norm(e->c, decai__exec_place(e, (int32_t)i), input_of(e, i, 0), vector_of(e, op->tensor, 0),
        vector_of(e, op->extra, 0), &a, tensor_name(e, op->tensor));
}

static decai__rows
rows_of(const exec *e, int32_t tensor)
{
    const decai__tensor *t = decai__model_tensor_at(e->model, (size_t)tensor);
    return (decai__rows){ t->name, (int32_t)t->type, (size_t)t->dims[1], (size_t)t->dims[0], t->data, t->row_size };
}

static int32_t
run_embed(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    decai__rows rows = rows_of(e, op->tensor);
    decai__ref y = decai__exec_place(e, (int32_t)i);

    if (op->kind == DECAI__OP_EMBED)
        return decai__op_embed(e->c, y, &rows, (const uint32_t *)e->ids, e->n, op->scale);
    return decai__op_embed_add(e->c, y, &rows, op->variant ? e->zeros : e->positions, e->n);
}

static int32_t
run_expert(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    decai__ref y = decai__exec_place(e, (int32_t)i), x = decai__exec_place(e, op->in[0]);
    decai__route a = { .n = e->n, .experts = op->experts, .used = op->used, .kind = (int32_t)op->variant };

    switch (op->kind) {
    case DECAI__OP_ROUTE:
        return decai__op_route(e->c, y, x, &a, "ffn_gate_inp");
    case DECAI__OP_BIAS_EXPERT:
        return decai__op_bias_expert(e->c, y, vector_of(e, op->tensor, 0), decai__exec_place(e, op->in[1]), op->slot, op->used,
            op->experts, e->n, op->rows);
    default:
        return decai__op_mix_expert(e->c, y, x, decai__exec_place(e, op->in[1]), op->slot, op->used, e->n, op->rows);
    }
}

static int32_t
run_op(const exec *e, uint32_t i)
{
    const decai__op *op = &e->p->ops[i];
    size_t count = e->n * op->rows;

    switch (op->kind) {
    case DECAI__OP_EMBED: case DECAI__OP_EMBED_ADD: return run_embed(e, i);
    case DECAI__OP_NORM: return run_norm(e, i);
    case DECAI__OP_QUANT: return run_quant(e, i);
    case DECAI__OP_MATMUL: case DECAI__OP_LOGITS: case DECAI__OP_MATMUL_EXPERT: return run_product(e, i);
    case DECAI__OP_BIAS: return decai__op_bias(e->c, decai__exec_place(e, (int32_t)i), vector_of(e, op->tensor, op->first), e->n, op->rows);
    case DECAI__OP_ROPE: return run_rope(e, i);
    case DECAI__OP_KV: return run_kv(e, i);
    case DECAI__OP_MIX: return run_attention(e, i);
    case DECAI__OP_ATTENTION_FULL: return run_attention_full(e, i);
    case DECAI__OP_ROUTE: case DECAI__OP_BIAS_EXPERT: case DECAI__OP_MIX_EXPERT: return run_expert(e, i);
    case DECAI__OP_ADD:
        return decai__op_add(e->c, decai__exec_place(e, (int32_t)i), decai__exec_place(e, op->in[0]), decai__exec_place(e, op->in[1]), count);
    case DECAI__OP_GLU:
        return decai__op_glu(e->c, decai__exec_place(e, (int32_t)i), decai__exec_place(e, op->in[0]),
            op->in[1] < 0 ? DECAI__NO_REF : decai__exec_place(e, op->in[1]), (int32_t)op->variant, count);
    case DECAI__OP_SOFTCAP: return decai__op_softcap(e->c, decai__exec_place(e, (int32_t)i), op->scale, count);
    default: return 0;                           /* SCORE and SOFTMAX run in MIX, SAMPLE in session.c */
    }
}

int32_t
decai__exec_run(const decai__exec *e, uint32_t from, uint32_t to, const atomic_uint *cancelled)
{
    int32_t r = 0;

    for (uint32_t i = from; i < to && !r; i++) {
        if (cancelled && atomic_load(cancelled)) r = decai__fail(DECAI_E_CANCELLED, "session: cancelled");
        if (!r) r = run_op(e, i);
    }
    return r;
}

exec
decai__exec_of(const decai_engine *e, decai__body *b, const decai__span *spans, size_t count, size_t n)
{
    return (exec){ .model = e->model, .p = e->program, .plan = &e->plan, .body = b, .c = b->c, .slot = b->pass.slot,
        .scores = b->pass.scores, .spans = spans, .span_count = count, .n = n };
}

int32_t
decai__exec_body(decai_session *s, const int32_t *ids, size_t n)
{
    const decai__program *p = s->engine->program;
    uint32_t positions[DECAI_BATCH_MAX], zeros[DECAI_BATCH_MAX] = { 0 };
    decai__span span = { s->kv, s->length, n };
    size_t row = 4 * (size_t)p->shape.dim;
    exec e = decai__exec_of(s->engine, s->body, &span, 1, n);

    decai__assert(n >= 1 && n <= s->engine->batch && s->length + n <= s->capacity);
    for (size_t i = 0; i < n; i++) positions[i] = (uint32_t)(s->length + i);
    e.ids = ids;
    e.positions = positions;
    e.zeros = zeros;
    e.record = s->tree ? s->body->pass.record : NULL;
    int32_t r = decai__exec_run(&e, 0, p->body, &s->cancelled);
    if (!r) r = decai__tbuf_copy(s->last, 0, decai__exec_place(&e, (int32_t)p->body - 1).buf, (n - 1) * row, row);
    return r;
}

int32_t
decai__exec_head(decai_session *s, decai__ref x, size_t n, bool record)
{
    const decai__program *p = s->engine->program;
    exec e = decai__exec_of(s->engine, s->body, NULL, 0, n);

    e.head_in = x;
    e.record = record ? s->body->pass.record : NULL;
    return decai__exec_run(&e, p->body, p->count, NULL);
}

int32_t
decai__exec_norm(decai_session *s, size_t n, float *out)
{
    const decai__program *p = s->engine->program;
    exec e = decai__exec_of(s->engine, s->body, NULL, 0, n);

    decai__assert(p->ops[p->body].kind == DECAI__OP_NORM);
    int32_t r = decai__exec_run(&e, p->body, p->body + 1, NULL);
    return r ? r : decai__tbuf_read(decai__exec_place(&e, (int32_t)p->body).buf, 0, out, n * p->shape.dim * sizeof *out);
}
