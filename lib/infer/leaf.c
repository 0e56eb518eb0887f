/* leaf.c - one row, or one leaf of one row, from opened inputs only.
 *
 * This is what a referee runs when a dispute has come down to one place. It has
 * no engine, no caches and no model: a program (derived from metadata), the
 * weight row and input vectors that both parties agreed on. Every input comes
 * from a party, so every size is checked against the program before use.
 */
#include "infer/infer.h"

#include <math.h>
#include <string.h>

typedef struct leaf_call {
    const decai__program *p;
    const decai__op *op;
    uint64_t position, row;
    uint32_t leaf;
    const decai__op_args *a;
} leaf_call;

static int32_t
need(const char *what, const void *data, size_t len, size_t want)
{
    if (data && len == want) return 0;
    return decai__fail(DECAI_E_CORRUPT, "%s: %zu bytes, expected %zu", what, data ? len : 0, want);
}

/* Input `which` as floats; they may lie at any address, so one is fetched at a time. */
static float
at(const leaf_call *c, int which, uint64_t index)
{
    float x;
    memcpy(&x, (const uint8_t *)c->a->in[which] + 4 * (size_t)index, 4);
    return x;
}

static int32_t
need_input(const leaf_call *c, int which, uint64_t floats)
{
    static const char *const names[] = { "input 0", "input 1", "input 2" };
    return need(names[which], c->a->in[which], c->a->in_len[which], 4 * (size_t)floats);
}

static int32_t
need_weight(const leaf_call *c, uint64_t cols, bool quantised)
{
    size_t size = decai__row_size(c->a->weight_type, (size_t)cols);
    if (!size || decai__type_quantised(c->a->weight_type) != quantised)
        return decai__fail(DECAI_E_CORRUPT, "weight type: %d", (int)c->a->weight_type);
    return need("weight row", c->a->weight, c->a->weight_len, size);
}

static int32_t
exponent_of(const decai__op_args *a, uint32_t cols, int32_t *exponent)
{
    uint64_t lost = 0;
    if (decai__leaf_row_exponent(exponent, &lost, a->weight_type, a->weight, cols))
        return decai__fail(DECAI_E_CORRUPT, "weight row: a scale is NaN or infinite");
    return 0;
}

/* Element of a float vector given as a tensor's bytes of any alignment. */
static float
vector_at(const uint8_t *data, int32_t type, size_t k)
{
    return decai__leaf_weight_f32(type, data, k);
}

/* The second vector (a bias, sinks), n elements. */
static int32_t
need_extra(const leaf_call *c, size_t n)
{
    size_t size = decai__row_size(c->a->extra_type, n);
    if (!size || decai__type_quantised(c->a->extra_type))
        return decai__fail(DECAI_E_CORRUPT, "second vector type: %d", (int)c->a->extra_type);
    return need("second vector", c->a->extra, c->a->extra_len, size);
}

/* ---- QUANT -------------------------------------------------------------------------------- */

int32_t
decai__quant_leaf(const decai__op *op, const float *x, uint8_t *out)
{
    for (size_t f = 0; f < DECAI__ACT_FORMS; f++) {
        if (!(op->forms & decai__forms[f])) continue;
        int32_t r = decai__leaf_quant(out + decai__quant_offset(op, decai__forms[f]), decai__form_act(decai__forms[f]), x, op->cols);
        if (r) return decai__fail(r, "activation: a value is NaN, infinite or too large");
    }
    if (op->forms & DECAI__FORM_F32) {
        for (size_t k = 0; k < op->cols; k++)
            if (!(fabsf(x[k]) < 0x1p60f))
                return decai__fail(DECAI_E_INTEGRITY, "activation: a value is NaN, infinite or too large");
        memcpy(out + decai__quant_offset(op, DECAI__FORM_F32), x, 4 * (size_t)op->cols);
    }
    return 0;
}

/* ---- products ------------------------------------------------------------------------------- */

static int32_t
activation(const leaf_call *c, decai__act *act)
{
    const decai__op *quant = &c->p->ops[c->op->in[0]];
    int32_t r = need("input 0", c->a->in[0], c->a->in_len[0], decai__quant_size(quant));
    if (!r)
        r = decai__act_decode(act, (const uint8_t *)c->a->in[0] + decai__quant_offset(quant, c->op->forms),
            decai__form_size(c->op->forms, c->op->cols));
    if (!r && (act->cols != c->op->cols || act->form != decai__form_act(c->op->forms)))
        r = decai__fail(DECAI_E_CORRUPT, "activation: %u elements of form %d", act->cols, (int)act->form);
    return r;
}

static int32_t
leaf_quantised(const leaf_call *c, int64_t *sum, float *value)
{
    int32_t exponent = 0;
    decai__act act;

    int32_t r = activation(c, &act);
    if (!r) r = need_weight(c, c->op->cols, true);
    if (!r) r = exponent_of(c->a, c->op->cols, &exponent);
    if (r) return r;
    if (c->leaf != DECAI__WHOLE_ROW) {
        *sum = decai__leaf_sum(c->a->weight_type, c->a->weight, exponent, &act, c->leaf);
        return 0;
    }
    *sum = decai__row_sum(c->a->weight_type, c->a->weight, exponent, &act);
    *value = decai__leaf_result(*sum, exponent, act.exponent);
    return 0;
}

static int32_t
leaf_float(const leaf_call *c, decai_context *ctx, float *value)
{
    const decai__op *quant = &c->p->ops[c->op->in[0]];
    int32_t r = need("input 0", c->a->in[0], c->a->in_len[0], decai__quant_size(quant));
    if (!r) r = need_weight(c, c->op->cols, false);
    if (r) return r;
    const uint8_t *from = (const uint8_t *)c->a->in[0] + decai__quant_offset(quant, DECAI__FORM_F32);
    float *x = decai__memdup(ctx, from, 4 * (size_t)c->op->cols);
    if (!x) return decai__fail(DECAI_E_NOMEM, "leaf: %u columns", c->op->cols);
    *value = c->leaf == DECAI__WHOLE_ROW
        ? decai__row_dot(c->a->weight_type, c->a->weight, x, c->op->cols)
        : decai__leaf_dot(c->a->weight_type, c->a->weight, x, c->op->cols, c->leaf);
    decai__free(ctx, x);
    return 0;
}

int32_t
decai__sum_result(float *value, int64_t sum, const decai__program *p, uint32_t ordinal, const decai__op_args *args)
{
    leaf_call c = { .p = p, .op = &p->ops[ordinal], .a = args };
    int32_t exponent = 0;
    decai__act act;
    decai__fpu fpu;

    decai__fpu_enter(&fpu);
    int32_t r = need_weight(&c, c.op->cols, true);
    if (!r) r = activation(&c, &act);
    if (!r) r = exponent_of(args, c.op->cols, &exponent);
    if (!r) *value = decai__leaf_result(sum, exponent, act.exponent);
    decai__fpu_leave(&fpu);
    return r;
}

/* ---- the others: a whole row ------------------------------------------------------------------ */

static int32_t
row_embed(const leaf_call *c, float *value)
{
    bool quantised = decai__type_quantised(c->a->weight_type);
    int32_t exponent = 0, r = need_weight(c, c->op->rows, quantised);
    if (!r && c->op->kind == DECAI__OP_EMBED_ADD) r = need_input(c, 0, c->op->rows);
    if (!r && quantised) r = exponent_of(c->a, c->op->rows, &exponent);
    if (r) return r;
    float v = decai__leaf_embed(c->a->weight_type, c->a->weight, (size_t)c->row, exponent);
    if (c->op->kind == DECAI__OP_EMBED_ADD) *value = decai__leaf_add(at(c, 0, c->row), v);
    else *value = c->op->scale == 1.0f ? v : v * c->op->scale;
    return 0;
}

static int32_t
row_norm(const leaf_call *c, decai_context *ctx, float *value)
{
    uint32_t n = c->op->cols;
    int32_t r = need_input(c, 0, c->op->rows);
    if (!r) r = need_weight(c, n, false);
    if (!r && c->op->extra >= 0) r = need_extra(c, n);
    if (r) return r;
    /* x, weight, bias of the row's group; the result goes over x. */
    float *x = decai__calloc(ctx, 3 * (size_t)n, sizeof *x), *w = x + n, *b = c->op->extra < 0 ? NULL : w + n;
    if (!x) return decai__fail(DECAI_E_NOMEM, "leaf: %u columns", n);
    for (uint32_t k = 0; k < n; k++) {
        x[k] = at(c, 0, c->row / n * n + k);
        w[k] = vector_at(c->a->weight, c->a->weight_type, k);
        if (b) b[k] = vector_at(c->a->extra, c->a->extra_type, k);
    }
    if (decai__row_norm(x, x, w, b, n, c->p->shape.eps, (int32_t)c->op->variant))
        r = decai__fail(DECAI_E_INTEGRITY, "norm: a value is NaN, infinite or too large");
    else *value = x[c->row % n];
    decai__free(ctx, x);
    return r;
}

static int32_t
row_rope(const leaf_call *c, float *value)
{
    const decai__shape *h = &c->p->shape;
    uint32_t d = (uint32_t)(c->row % h->head_dim), pairs = h->rot_dim / 2;
    float cosine, sine;
    int32_t r = need_input(c, 0, c->op->rows);

    if (r) return r;
    if (d >= h->rot_dim) {
        *value = at(c, 0, c->row);
        return 0;
    }
    /* Which pair, and which of its two. */
    bool second = h->neox ? d >= pairs : d & 1;
    uint32_t pair = h->neox ? d % pairs : d / 2, apart = h->neox ? pairs : 1;
    float x0 = at(c, 0, second ? c->row - apart : c->row), x1 = at(c, 0, second ? c->row : c->row + apart);
    const decai__rope_spec *spec = &c->p->rope[c->op->variant];
    decai__leaf_rope_angle(&cosine, &sine, c->position, decai__leaf_rope_frequency(spec, pair),
        decai__leaf_rope_magnitude(spec));
    decai__leaf_rope(&x0, &x1, cosine, sine);
    *value = second ? x1 : x0;
    return 0;
}

/* The cache rounds a head as a whole. */
static int32_t
row_kv(const leaf_call *c, float *value)
{
    const decai__shape *h = &c->p->shape;
    int which = c->row >= h->kv_dim;
    uint64_t element = c->row % h->kv_dim, head = element / h->head_dim * h->head_dim;
    float x[DECAI__HEAD_MAX];
    int32_t r = need_input(c, which, h->kv_dim);

    if (r) return r;
    for (uint32_t d = 0; d < h->head_dim; d++) x[d] = at(c, which, head + d);
    if (!decai__leaf_kv_round(x, decai__contract_kv_type(c->p->contract), x, h->head_dim))
        return decai__fail(DECAI_E_INTEGRITY, "attention: a key or value is not finite or too large");
    *value = x[element - head];
    return 0;
}

static int32_t
row_score(const leaf_call *c, float *value)
{
    const decai__shape *h = &c->p->shape;
    uint64_t head = c->row / decai__op_visible(c->op, c->position), group = h->heads / h->kv_heads;
    float q[DECAI__HEAD_MAX];
    int32_t r = need_input(c, 0, (uint64_t)h->heads * h->head_dim);

    if (!r) r = need("k row", c->a->kv, 4 * c->a->kv_len, 4 * (size_t)h->kv_dim);
    if (r) return r;
    for (uint32_t d = 0; d < h->head_dim; d++) q[d] = at(c, 0, head * h->head_dim + d);
    *value = decai__leaf_score(q, c->a->kv + head / group * h->head_dim, h->head_dim, h->scale, c->op->scale);
    if (!isfinite(*value)) return decai__fail(DECAI_E_INTEGRITY, "attention: a score is not finite");
    return 0;
}

static int32_t
row_softmax(const leaf_call *c, float *value)
{
    bool sinks = c->op->extra >= 0;
    uint64_t visible = decai__op_visible(c->op, c->position), head = c->row / (visible + sinks);
    uint64_t first = head * visible, mine = c->row % (visible + sinks);
    int32_t r = need_input(c, 0, c->op->rows * visible);

    if (!r && sinks) r = need_extra(c, c->op->rows);
    if (r) return r;
    float sink = sinks ? vector_at(c->a->extra, c->a->extra_type, (size_t)head) : 0.0f, max = sinks ? sink : at(c, 0, first);
    for (uint64_t t = 0; t < visible; t++)
        if (at(c, 0, first + t) > max) max = at(c, 0, first + t);
    *value = decai__leaf_weight_of(mine == visible ? sink : at(c, 0, first + mine), max);
    return 0;
}

static int32_t
row_mix(const leaf_call *c, float *value)
{
    const decai__shape *h = &c->p->shape;
    bool sinks = c->op->extra >= 0;
    size_t visible = (size_t)decai__op_visible(c->op, c->position), from = (size_t)decai__op_first(c->op, c->position);
    size_t first = (size_t)(c->row / h->head_dim) * (visible + sinks);
    float page[DECAI__KV_PAGE], sum = 0.0f, mix = 0.0f;
    int32_t r = need_input(c, 0, (uint64_t)h->heads * (visible + sinks));

    if (!r) r = need("v column", c->a->kv, 4 * c->a->kv_len, 4 * visible);
    for (size_t t = 0, count; t < visible && !r; t += count) {
        count = DECAI__MIN(visible - t, DECAI__KV_PAGE - (from + t) % DECAI__KV_PAGE);
        for (size_t j = 0; j < count; j++) page[j] = at(c, 0, first + t + j);
        sum = decai__leaf_join(sum, decai__leaf_page_sum(page, count));
        mix = decai__leaf_join(mix, decai__leaf_page_mix(page, c->a->kv + t, 1, count));
    }
    if (!r && sinks) sum = decai__leaf_join(sum, at(c, 0, first + visible));
    if (!r) *value = decai__leaf_attn(mix, sum);
    return r;
}

static int32_t
row_elements(const leaf_call *c, float *value)
{
    bool pair = c->op->in[1] >= 0;
    int32_t r = need_input(c, 0, c->op->rows);
    if (!r && pair) r = need_input(c, 1, c->op->rows);
    if (r) return r;
    float a = at(c, 0, c->row), b = pair ? at(c, 1, c->row) : 0.0f;
    if (c->op->kind == DECAI__OP_ADD) *value = decai__leaf_add(a, b);
    else if (c->op->kind == DECAI__OP_SOFTCAP) *value = decai__leaf_softcap(a, c->op->scale);
    else *value = pair ? decai__leaf_glu((int32_t)c->op->variant, a, b) : decai__leaf_activation((int32_t)c->op->variant, a);
    return 0;
}

/* BIAS: the whole tensor is given; BIAS_EXPERT: the expert's row of it. */
static int32_t
row_bias(const leaf_call *c, float *value)
{
    size_t size = decai__row_size(c->a->weight_type, 1), k = (size_t)c->row + c->op->first;
    int32_t r = need_input(c, 0, c->op->rows);
    if (r) return r;
    if (!size || decai__type_quantised(c->a->weight_type) || !c->a->weight || c->a->weight_len < (k + 1) * size)
        return decai__fail(DECAI_E_CORRUPT, "bias: %zu bytes of type %d", c->a->weight_len, (int)c->a->weight_type);
    *value = decai__leaf_add(at(c, 0, c->row), vector_at(c->a->weight, c->a->weight_type, k));
    return 0;
}

static int32_t
row_route(const leaf_call *c, int64_t *sum, float *value)
{
    float scores[DECAI__EXPERTS_MAX];
    decai__chosen chosen[DECAI__USED_MAX];
    int32_t r = need_input(c, 0, c->op->experts);

    if (r) return r;
    for (uint32_t e = 0; e < c->op->experts; e++) scores[e] = at(c, 0, e);
    r = decai__leaf_route(chosen, scores, c->op->experts, c->op->used, (int32_t)c->op->variant);
    if (r) return decai__fail(r, "route: a score is not finite");
    *sum = chosen[c->row].id;
    *value = chosen[c->row].weight;
    return 0;
}

static int32_t
row_mix_expert(const leaf_call *c, float *value)
{
    decai__chosen chosen;
    bool more = c->op->in[2] >= 0;
    int32_t r = need_input(c, 0, c->op->rows);

    if (!r) r = need("route", c->a->in[1], c->a->in_len[1], c->op->used * sizeof chosen);
    if (!r && more) r = need_input(c, 2, c->op->rows);
    if (r) return r;
    memcpy(&chosen, (const uint8_t *)c->a->in[1] + c->op->slot * sizeof chosen, sizeof chosen);
    *value = decai__leaf_mix_expert(c->op->slot, chosen.weight, at(c, 0, c->row), more ? at(c, 2, c->row) : 0.0f);
    return 0;
}

static int32_t
row_sample(const leaf_call *c, decai_context *ctx, int64_t *sum)
{
    uint32_t vocab = c->p->shape.vocab;
    int32_t token = 0, r = need_input(c, 0, vocab);
    if (!r && !c->a->draw) r = decai__fail(DECAI_E_CORRUPT, "sampler: missing");
    if (r) return r;
    float *logits = decai__memdup(ctx, c->a->in[0], 4 * (size_t)vocab);
    if (!logits) return decai__fail(DECAI_E_NOMEM, "leaf: %u logits", vocab);
    decai__draw d = *c->a->draw;
    d.position = c->position;
    r = decai__sample_once(ctx, &token, &d, logits, vocab);
    *sum = token;
    decai__free(ctx, logits);
    return r;
}

static int32_t
dispatch(const leaf_call *c, decai_context *ctx, int64_t *sum, float *value)
{
    switch (c->op->kind) {
    case DECAI__OP_EMBED: case DECAI__OP_EMBED_ADD: return row_embed(c, value);
    case DECAI__OP_NORM: return row_norm(c, ctx, value);
    case DECAI__OP_MATMUL: case DECAI__OP_LOGITS: case DECAI__OP_MATMUL_EXPERT:
        return c->op->forms != DECAI__FORM_F32 ? leaf_quantised(c, sum, value) : leaf_float(c, ctx, value);
    case DECAI__OP_ROPE: return row_rope(c, value);
    case DECAI__OP_KV: return row_kv(c, value);
    case DECAI__OP_SCORE: return row_score(c, value);
    case DECAI__OP_SOFTMAX: return row_softmax(c, value);
    case DECAI__OP_MIX: return row_mix(c, value);
    case DECAI__OP_ADD: case DECAI__OP_GLU: case DECAI__OP_SOFTCAP: return row_elements(c, value);
    case DECAI__OP_BIAS: case DECAI__OP_BIAS_EXPERT: return row_bias(c, value);
    case DECAI__OP_ROUTE: return row_route(c, sum, value);
    case DECAI__OP_MIX_EXPERT: return row_mix_expert(c, value);
    case DECAI__OP_SAMPLE: return row_sample(c, ctx, sum);
    default: return decai__fail(DECAI_E_INVALID, "leaf: %s has its own call", decai__op_name(c->op->kind));
    }
}

int32_t
decai__op_leaf(decai_context *ctx, const decai__program *p, uint32_t ordinal, uint64_t position, uint64_t row,
    uint32_t leaf, const decai__op_args *args, int64_t *sum, float *value)
{
    decai__fpu fpu;

    *sum = 0;
    *value = 0.0f;
    if (ordinal >= p->count) return decai__fail(DECAI_E_INVALID, "op: %u of %u", ordinal, p->count);
    if (position >= DECAI_CONTEXT_TOKENS_MAX)
        return decai__fail(DECAI_E_INVALID, "position: %llu", (unsigned long long)position);
    if (row >= decai__op_rows(p, ordinal, position))
        return decai__fail(DECAI_E_INVALID, "row: %llu of op %u", (unsigned long long)row, ordinal);
    if (leaf != DECAI__WHOLE_ROW && leaf >= decai__op_leaves(p, ordinal))
        return decai__fail(DECAI_E_INVALID, "leaf: %u of op %u", leaf, ordinal);

    leaf_call c = { p, &p->ops[ordinal], position, row, leaf, args };
    decai__fpu_enter(&fpu);
    int32_t r = dispatch(&c, ctx, sum, value);
    decai__fpu_leave(&fpu);
    return r;
}
