/* plan.c - which scratch buffer holds each op's output.
 *
 * A linear scan over the program: an output lives from its op to the last op
 * that reads it. Ops whose contract allows "in place" (NORM, ADD, SILU_MUL, ROPE)
 * give their inputs back before they take a buffer, the others after. Fused or
 * free ops need no buffer: SCORE and SOFTMAX run inside MIX, KV copies into the
 * cache, LOGITS and SAMPLE have their own places.
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
    return product->forms == DECAI__FORM_F32 ? p->ops[quant].in[0] : quant;
}

size_t
decai__plan_act_bytes(const decai__op *quant, uint32_t before)
{
    size_t size = 0;
    uint32_t form;
    for (int i = 0; (form = decai__form_at(quant->forms & DECAI__FORMS_ACT, i)) && form != before; i++)
        size += decai__act_stride(decai__act_of_form(form), quant->cols);
    return size;
}

static size_t
slot_size(const decai__op *op)
{
    switch (op->kind) {
    case DECAI__OP_KV: case DECAI__OP_SCORE: case DECAI__OP_SOFTMAX: case DECAI__OP_LOGITS: case DECAI__OP_SAMPLE:
        return 0;
    case DECAI__OP_QUANT:
        return decai__plan_act_bytes(op, 0);
    default:
        return 4 * (size_t)op->rows;
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
        for (int j = 0; j < 2; j++)
            if (op->in[j] >= 0) last[op->in[j]] = DECAI__MAX(last[op->in[j]], at);
        if (op->kind == DECAI__OP_MATMUL || op->kind == DECAI__OP_LOGITS) {
            int32_t source = decai__plan_source(p, op);
            last[source] = DECAI__MAX(last[source], at);
        }
    }
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

static void
give_back(const decai__plan *plan, uint8_t *busy, const uint32_t *last, uint32_t upto, uint32_t now)
{
    for (uint32_t i = 0; i < upto; i++)
        if (last[i] == now && plan->slot[i] >= 0) busy[plan->slot[i]] = 0;
}

static void
assign(decai__plan *plan, const decai__program *p, const uint32_t *last, uint8_t *busy)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        size_t size = slot_size(op);
        bool in_place = op->kind == DECAI__OP_NORM || op->kind == DECAI__OP_ADD
            || op->kind == DECAI__OP_SILU_MUL || op->kind == DECAI__OP_ROPE;

        plan->slot[i] = -1;
        if (op->kind == DECAI__OP_ROPE) {
            /* decai__op_rope knows no other way; nobody else reads its input. */
            decai__assert(last[op->in[0]] == i);
            plan->slot[i] = plan->slot[op->in[0]];
            continue;
        }
        if (in_place) give_back(plan, busy, last, i, i);
        if (size) plan->slot[i] = take(plan, busy, size);
        if (!in_place) give_back(plan, busy, last, i + 1, i);
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
        at += decai__plan_act_bytes(op, 0);
        if (op->forms & DECAI__FORM_F32) at += pad64(4 * (size_t)op->cols);
    }
    plan->record_bytes = at;
}

int32_t
decai__plan_make(decai__plan *plan, decai_context *ctx, const decai__program *p)
{
    uint32_t *last = decai__calloc(ctx, p->count, sizeof *last);
    uint8_t *busy = decai__calloc(ctx, p->count, 1);
    int32_t r = 0;

    plan->slot = decai__calloc(ctx, p->count, sizeof *plan->slot);
    plan->slot_bytes = decai__calloc(ctx, p->count, sizeof *plan->slot_bytes);
    plan->node_at = decai__calloc(ctx, p->nodes + 1, sizeof *plan->node_at);
    if (!last || !busy || !plan->slot || !plan->slot_bytes || !plan->node_at)
        r = decai__fail(DECAI_E_NOMEM, "plan: %u ops", p->count);
    if (!r) {
        last_uses(p, last);
        assign(plan, p, last, busy);
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
