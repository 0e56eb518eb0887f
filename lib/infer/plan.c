/* plan.c - which scratch buffer holds each op's output.
 *
 * A linear scan over the program: an output lives from its op to the last op
 * that reads it. Ops whose contract allows "in place" (NORM, ADD, GLU) give their
 * inputs back before they take a buffer, the others after. Some know no other way
 * than in place (ROPE, BIAS, caps, sums over experts): nobody else reads their
 * input. Fused or free ops need no buffer: SCORE and SOFTMAX run inside MIX, KV
 * writes into the cache, LOGITS and what follows it have their own places.
 */
#include "infer/engine.h"

static size_t
pad64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

int32_t
decai__plan_source(const decai__program *p, const decai__op *product)
{
    int32_t quant = product->in[0];
    decai__assert(p->ops[quant].kind == DECAI__OP_QUANT);
    return product->forms != DECAI__FORM_F32 ? quant : p->ops[quant].in[0];
}

size_t
decai__plan_form_at(const decai__op *quant, uint32_t form)
{
    size_t at = 0;
    for (size_t i = 0; i < DECAI__ACT_FORMS && decai__forms[i] != form; i++)
        if (quant->forms & decai__forms[i]) at += decai__act_stride(decai__form_act(decai__forms[i]), quant->cols);
    return at;
}

static size_t
slot_size(const decai__program *p, uint32_t i)
{
    const decai__op *op = &p->ops[i];
    switch (op->kind) {
    case DECAI__OP_KV: case DECAI__OP_SCORE: case DECAI__OP_SOFTMAX: case DECAI__OP_LOGITS: case DECAI__OP_SAMPLE:
        return 0;
    case DECAI__OP_QUANT:
        return decai__plan_form_at(op, 0);
    default:
        return (size_t)op->row_bytes * op->rows;
    }
}

/* The input whose place the output takes, or -1. */
static int32_t
taken_over(const decai__op *op)
{
    switch (op->kind) {
    case DECAI__OP_ROPE: case DECAI__OP_BIAS: case DECAI__OP_BIAS_EXPERT: case DECAI__OP_EMBED_ADD: case DECAI__OP_SOFTCAP:
        return op->in[0];
    case DECAI__OP_MIX_EXPERT:
        return op->in[2];
    default:
        return -1;
    }
}

/* Ordinal of the last reader of each op. Attention is executed at MIX, so what
 * SCORE reads must live until then. */
static void
last_uses(const decai__program *p, uint32_t *last)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        uint32_t at = i;
        last[i] = i;
        if (op->kind == DECAI__OP_SCORE) at = i + 2;
        for (int j = 0; j < 3; j++)
            if (op->in[j] >= 0) last[op->in[j]] = DECAI__MAX(last[op->in[j]], at);
        if (decai__op_product(op)) {
            int32_t source = decai__plan_source(p, op);
            last[source] = DECAI__MAX(last[source], at);
        }
    }
    /* An encoder's last op is read by the pooling. */
    if (p->encoder) last[p->count - 1] = p->count;
}

/* The free slot that needs the least growth, or a new one. */
static int32_t
take(decai__plan *plan, uint8_t *busy, size_t size)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < plan->slots; i++) {
        if (busy[i]) continue;
        if (best < 0) best = (int32_t)i;
        size_t have = plan->slot_bytes[i], other = plan->slot_bytes[best];
        bool fits = have >= size, other_fits = other >= size;
        if ((fits && (!other_fits || have < other)) || (!fits && !other_fits && have > other)) best = (int32_t)i;
    }
    if (best < 0) best = (int32_t)plan->slots++;
    plan->slot_bytes[best] = DECAI__MAX(plan->slot_bytes[best], size);
    busy[best] = 1;
    return best;
}

/* A slot that moved on to a later output stays busy for that one. */
static void
give_back(const decai__plan *plan, uint8_t *busy, const uint32_t *last, const uint8_t *moved, uint32_t from,
    uint32_t upto, uint32_t now)
{
    for (uint32_t i = from; i < upto; i++)
        if (last[i] == now && plan->slot[i] >= 0 && !moved[i]) busy[plan->slot[i]] = 0;
}

static void
assign(decai__plan *plan, const decai__program *p, const uint32_t *last, uint8_t *busy, uint8_t *moved)
{
    uint32_t oldest = 0;                             /* nothing before it is alive */

    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        size_t size = slot_size(p, i);
        bool in_place = op->kind == DECAI__OP_NORM || op->kind == DECAI__OP_ADD || op->kind == DECAI__OP_GLU;
        int32_t over = taken_over(op);

        while (oldest < i && last[oldest] < i) oldest++;
        plan->slot[i] = -1;
        if (over >= 0) {
            decai__assert(last[over] == i);
            plan->slot[i] = plan->slot[over];        /* -1: the cap on logits, in their own place */
            moved[over] = 1;
        }
        if (in_place) give_back(plan, busy, last, moved, oldest, i, i);
        if (size && over < 0) plan->slot[i] = take(plan, busy, size);
        if (!in_place) give_back(plan, busy, last, moved, oldest, i + 1, i);
    }
}

static void
lay_out_record(decai__plan *plan, const decai__program *p)
{
    size_t at = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        if (op->kind != DECAI__OP_QUANT) continue;
        plan->node_at[op->node] = at;
        at += decai__plan_form_at(op, 0);
        if (op->forms & DECAI__FORM_F32) at += pad64(4 * (size_t)op->cols);
    }
    plan->record_bytes = at;
}

int32_t
decai__plan_make(decai__plan *plan, decai_context *ctx, const decai__program *p)
{
    uint32_t *last = decai__calloc(ctx, p->count, sizeof *last);
    uint8_t *busy = decai__calloc(ctx, p->count, 2);
    int32_t r = 0;

    plan->slot = decai__calloc(ctx, p->count, sizeof *plan->slot);
    plan->slot_bytes = decai__calloc(ctx, p->count, sizeof *plan->slot_bytes);
    plan->node_at = decai__calloc(ctx, p->nodes + 1, sizeof *plan->node_at);
    if (!last || !busy || !plan->slot || !plan->slot_bytes || !plan->node_at)
        r = decai__fail(DECAI_E_NOMEM, "plan: %u ops", p->count);
    if (!r) {
        last_uses(p, last);
        assign(plan, p, last, busy, busy + p->count);
        lay_out_record(plan, p);
    }
    decai__free(ctx, last);
    decai__free(ctx, busy);
    return r;
}

void
decai__plan_free(decai__plan *plan, decai_context *ctx)
{
    decai__free(ctx, plan->slot);
    decai__free(ctx, plan->slot_bytes);
    decai__free(ctx, plan->node_at);
}
