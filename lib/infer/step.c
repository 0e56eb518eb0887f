/* step.c - one token in scalar C, every op's output kept: the view of a dispute.
 *
 * It reads weights straight from the model's bytes (never from what a backend
 * prepared) and uses compute's leaf functions only, so what it says is the
 * contract. Outputs are laid out one behind the other in one arena:
 *
 *     op               output
 *     QUANT            the committed bytes (infer.h)
 *     ROUTE            decai__chosen, one an expert used
 *     SAMPLE           i32
 *     every other      f32, decai__op_rows of them; quantised products have
 *                      their exact sums (i64) beside
 *
 * Fault injection sits here and nowhere else: after an op is done, one value of
 * its output may be changed, and everything that follows is honest.
 */
#include "infer/engine.h"

#include <math.h>
#include <string.h>

static size_t
pad8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static bool
has_sums(const decai__op *op)
{
    return decai__op_product(op) && op->forms != DECAI__FORM_F32;
}

/* Sizes, and with an arena the places. Returns the bytes needed. */
static size_t
lay_out(decai__step *st, uint32_t from)
{
    size_t at = 0;
    for (uint32_t i = from; i < st->p->count; i++) {
        const decai__op *op = &st->p->ops[i];
        size_t rows = (size_t)decai__op_rows(st->p, i, st->position);
        st->len[i] = rows * op->row_bytes;
        if (st->arena) st->out[i] = st->arena + at;
        at += pad8(st->len[i]);
        if (!has_sums(op)) continue;
        if (st->arena) st->sums[i] = (int64_t *)(void *)(st->arena + at);
        at += rows * sizeof(int64_t);
    }
    return at;
}

static int32_t
make_caches(decai__step *st)
{
    const decai__shape *h = &st->p->shape;
    size_t each, all;

    if (!decai__mul_size(&each, (size_t)st->position + 1, h->kv_dim)
        || !decai__mul_size(&all, each, 2 * (size_t)h->layers))
        return DECAI_E_LIMIT;
    st->caches = decai__calloc(st->ctx, all, sizeof(float));
    if (!st->caches) return DECAI_E_NOMEM;
    for (uint32_t i = 0; i < 2 * h->layers; i++) st->kv[i] = st->caches + i * each;
    return 0;
}

int32_t
decai__step_make(decai__step *st, decai_context *ctx, const decai_model *model, const decai__program *p,
    uint64_t position, bool caches)
{
    uint32_t widest = 1;

    *st = (decai__step){ .ctx = ctx, .model = model, .p = p, .position = position };
    for (uint32_t i = 0; i < p->count; i++) widest = DECAI__MAX(widest, p->ops[i].cols);
    st->out = decai__calloc(ctx, p->count, sizeof *st->out);
    st->len = decai__calloc(ctx, p->count, sizeof *st->len);
    st->sums = decai__calloc(ctx, p->count, sizeof *st->sums);
    st->kv = decai__calloc(ctx, 2 * (size_t)p->shape.layers, sizeof *st->kv);
    st->scratch = decai__calloc(ctx, widest, 2 * sizeof(float));
    st->widest = widest;
    if (!st->out || !st->len || !st->sums || !st->kv || !st->scratch) goto fail;

    uint32_t from = caches ? 0 : p->body - 1;
    st->arena = decai__calloc(ctx, 1, lay_out(st, from));
    if (!st->arena) goto fail;
    (void)lay_out(st, from);
    if (caches && make_caches(st)) goto fail;
    return 0;
fail:
    decai__step_free(st);
    return decai__fail(DECAI_E_NOMEM, "trace: position %llu", (unsigned long long)position);
}

void
decai__step_free(decai__step *st)
{
    decai__free(st->ctx, st->out);
    decai__free(st->ctx, st->len);
    decai__free(st->ctx, st->sums);
    decai__free(st->ctx, st->kv);
    decai__free(st->ctx, st->scratch);
    decai__free(st->ctx, st->arena);
    decai__free(st->ctx, st->caches);
    memset(st, 0, sizeof *st);
}

/* ---- ops --------------------------------------------------------------------------------- */

static float *
floats(const decai__step *st, int32_t ordinal)
{
    return (float *)(void *)st->out[ordinal];
}

static const decai__tensor *
tensor_of(const decai__step *st, int32_t index)
{
    return decai__model_tensor_at(st->model, (size_t)index);
}

/* A vector's element, counted over all of the tensor. */
static float
element(const decai__tensor *t, size_t k)
{
    size_t row = (size_t)t->dims[0];
    return decai__leaf_weight_f32((int32_t)t->type, t->data + k / row * t->row_size, k % row);
}

/* The rows of its tensor that op i reads for output row `row`: where they begin. */
static const uint8_t *
weight_row(const decai__step *st, uint32_t i, size_t row, size_t *index)
{
    const decai__op *op = &st->p->ops[i];
    const decai__tensor *t = tensor_of(st, op->tensor);
    bool routed = op->kind == DECAI__OP_MATMUL_EXPERT || op->kind == DECAI__OP_BIAS_EXPERT;
    decai__weight_rows w = { 0 };
    int32_t r = decai__op_weight(&w, st->p, i, row, st->position, st->token, routed ? st->out[op->in[1]] : NULL,
        routed ? st->len[op->in[1]] : 0);
    decai__assert(!r);                               /* our own ROUTE is sound */
    (void)r;
    *index = (size_t)w.row;
    return t->data + w.row * t->row_size;
}

static int32_t
row_exponent(int32_t *exponent, const decai__tensor *t, const uint8_t *row)
{
    uint64_t lost = 0;
    if (decai__leaf_row_exponent(exponent, &lost, (int32_t)t->type, row, (size_t)t->dims[0]))
        return decai__fail(DECAI_E_CORRUPT, "%s: a row has a scale that is NaN, infinite or too large", t->name);
    return 0;
}

static int32_t
do_embed(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__tensor *t = tensor_of(st, op->tensor);
    int32_t type = (int32_t)t->type, exponent = 0;
    float *y = floats(st, (int32_t)i);
    size_t index;
    const uint8_t *row = weight_row(st, i, 0, &index);

    if (decai__type_quantised(type)) {
        int32_t r = row_exponent(&exponent, t, row);
        if (r) return r;
    }
    for (size_t k = 0; k < op->rows; k++) {
        float v = decai__leaf_embed(type, row, k, exponent);
        if (op->kind == DECAI__OP_EMBED_ADD) y[k] = decai__leaf_add(floats(st, op->in[0])[k], v);
        else y[k] = op->scale == 1.0f ? v : v * op->scale;
    }
    return 0;
}

static int32_t
do_norm(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__tensor *t = tensor_of(st, op->tensor);
    float *w = st->scratch, *b = op->extra < 0 ? NULL : st->scratch + st->widest;
    int32_t r = 0;

    for (size_t k = 0; k < op->cols; k++) {
        w[k] = element(t, k);
        if (b) b[k] = element(tensor_of(st, op->extra), k);
    }
    for (size_t at = 0; at < op->rows && !r; at += op->cols)
        r = decai__row_norm(floats(st, (int32_t)i) + at, floats(st, op->in[0]) + at, w, b, op->cols, st->p->shape.eps,
            (int32_t)op->variant);
    return r ? decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", t->name) : 0;
}

static int32_t
do_product(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i], *quant = &st->p->ops[op->in[0]];
    const decai__tensor *t = tensor_of(st, op->tensor);
    const uint8_t *in = st->out[op->in[0]] + decai__quant_offset(quant, op->forms);
    float *y = floats(st, (int32_t)i);
    int32_t type = (int32_t)t->type, exponent = 0;
    size_t index;
    decai__act act;

    if (op->forms == DECAI__FORM_F32) {
        memcpy(st->scratch, in, 4 * (size_t)op->cols);      /* a copy, because it may lie at any address */
        for (size_t row = 0; row < op->rows; row++)
            y[row] = decai__row_dot(type, weight_row(st, i, row, &index), st->scratch, op->cols);
        return 0;
    }
    int32_t r = decai__act_decode(&act, in, decai__form_size(op->forms, op->cols));
    for (size_t row = 0; row < op->rows && !r; row++) {
        const uint8_t *w = weight_row(st, i, row, &index);
        r = row_exponent(&exponent, t, w);
        if (r) break;
        st->sums[i][row] = decai__row_sum(type, w, exponent, &act);
        y[row] = decai__leaf_result(st->sums[i][row], exponent, act.exponent);
    }
    return r;
}

static void
do_rope(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__shape *h = &st->p->shape;
    const decai__rope_spec *spec = &st->p->rope[op->variant];
    size_t pairs = h->rot_dim / 2, near = h->neox ? 1 : 2, far = h->neox ? pairs : 1;
    float *y = floats(st, (int32_t)i), cosine, sine;
    double magnitude = decai__leaf_rope_magnitude(spec);

    memcpy(y, st->out[op->in[0]], st->len[i]);
    for (size_t j = 0; j < pairs; j++) {
        decai__leaf_rope_angle(&cosine, &sine, st->position, decai__leaf_rope_frequency(spec, j), magnitude);
        for (size_t head = 0; head < op->rows; head += h->head_dim)
            decai__leaf_rope(y + head + j * near, y + head + j * near + far, cosine, sine);
    }
}

/* Output first, then the cache: a fault in between reaches the cache too. */
static int32_t
do_kv(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    size_t half = op->rows / 2, dim = st->p->shape.head_dim;
    int32_t type = decai__contract_kv_type(st->p->contract);

    for (size_t at = 0; at < op->rows; at += dim)
        if (!decai__leaf_kv_round(floats(st, (int32_t)i) + at, type, floats(st, op->in[at >= half]) + at % half, dim))
            return decai__fail(DECAI_E_INTEGRITY, "attention: a key or value is not finite or too large");
    return 0;
}

static void
store_kv(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    size_t kv_dim = st->p->shape.kv_dim, at = (size_t)st->position * kv_dim;
    memcpy(st->kv[2 * op->layer] + at, floats(st, (int32_t)i), 4 * kv_dim);
    memcpy(st->kv[2 * op->layer + 1] + at, floats(st, (int32_t)i) + kv_dim, 4 * kv_dim);
}

static int32_t
do_score(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__shape *h = &st->p->shape;
    size_t first = (size_t)decai__op_first(op, st->position), group = h->heads / h->kv_heads;
    const float *q = floats(st, op->in[0]), *k = st->kv[2 * op->layer];
    float *y = floats(st, (int32_t)i);

    for (size_t head = 0; head < h->heads; head++)
        for (size_t t = first; t <= st->position; t++) {
            float score = decai__leaf_score(q + head * h->head_dim, k + t * h->kv_dim + head / group * h->head_dim,
                h->head_dim, h->scale, op->scale);
            if (!isfinite(score)) return decai__fail(DECAI_E_INTEGRITY, "attention: a score is not finite");
            *y++ = score;
        }
    return 0;
}

/* A head's weights, and behind them its sink's. */
static void
do_softmax(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    size_t visible = (size_t)decai__op_visible(op, st->position);
    const float *x = floats(st, op->in[0]);
    float *y = floats(st, (int32_t)i);

    for (size_t head = 0; head < st->p->shape.heads; head++, x += visible) {
        float sink = op->extra < 0 ? 0.0f : element(tensor_of(st, op->extra), head), max = op->extra < 0 ? x[0] : sink;
        for (size_t t = 0; t < visible; t++)
            if (x[t] > max) max = x[t];
        for (size_t t = 0; t < visible; t++) *y++ = decai__leaf_weight_of(x[t], max);
        if (op->extra >= 0) *y++ = decai__leaf_weight_of(sink, max);
    }
}

static void
do_mix(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__shape *h = &st->p->shape;
    size_t first = (size_t)decai__op_first(op, st->position), end = (size_t)st->position + 1, group = h->heads / h->kv_heads;
    size_t stride = end - first + (op->extra >= 0);
    const float *v = st->kv[2 * op->layer + 1];
    float *y = floats(st, (int32_t)i);

    for (size_t row = 0; row < op->rows; row++) {
        size_t head = row / h->head_dim, at = head / group * h->head_dim + row % h->head_dim;
        const float *p = floats(st, op->in[0]) + head * stride;
        float sum = 0.0f, mix = 0.0f;
        for (size_t t = first, next; t < end; t = next) {
            next = DECAI__MIN(end, (t / DECAI__KV_PAGE + 1) * DECAI__KV_PAGE);
            sum = decai__leaf_join(sum, decai__leaf_page_sum(p + (t - first), next - t));
            mix = decai__leaf_join(mix, decai__leaf_page_mix(p + (t - first), v + t * h->kv_dim + at, h->kv_dim, next - t));
        }
        if (op->extra >= 0) sum = decai__leaf_join(sum, p[end - first]);
        y[row] = decai__leaf_attn(mix, sum);
    }
}

/* Ops that make each element from those at its place. */
static void
do_elements(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const float *a = floats(st, op->in[0]), *b = op->in[1] < 0 ? NULL : floats(st, op->in[1]);
    float *y = floats(st, (int32_t)i);

    for (size_t k = 0; k < op->rows; k++)
        if (op->kind == DECAI__OP_ADD) y[k] = decai__leaf_add(a[k], b[k]);
        else if (op->kind == DECAI__OP_SOFTCAP) y[k] = decai__leaf_softcap(a[k], op->scale);
        else if (b) y[k] = decai__leaf_glu((int32_t)op->variant, a[k], b[k]);
        else y[k] = decai__leaf_activation((int32_t)op->variant, a[k]);
}

static void
do_bias(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__tensor *t = tensor_of(st, op->tensor);
    size_t index;

    (void)weight_row(st, i, 0, &index);
    index = op->kind == DECAI__OP_BIAS ? op->first : index * op->rows;
    for (size_t k = 0; k < op->rows; k++)
        floats(st, (int32_t)i)[k] = decai__leaf_add(floats(st, op->in[0])[k], element(t, index + k));
}

static int32_t
do_route(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    int32_t r = decai__leaf_route((decai__chosen *)(void *)st->out[i], floats(st, op->in[0]), op->experts, op->used,
        (int32_t)op->variant);
    return r ? decai__fail(r, "route: a score is not finite") : 0;
}

static void
do_mix_expert(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__chosen *chosen = (const decai__chosen *)(const void *)st->out[op->in[1]];

    for (size_t k = 0; k < op->rows; k++)
        floats(st, (int32_t)i)[k] = decai__leaf_mix_expert(op->slot, chosen[op->slot].weight, floats(st, op->in[0])[k],
            op->in[2] < 0 ? 0.0f : floats(st, op->in[2])[k]);
}

static int32_t
do_op(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];

    switch (op->kind) {
    case DECAI__OP_EMBED: case DECAI__OP_EMBED_ADD: return do_embed(st, i);
    case DECAI__OP_NORM: return do_norm(st, i);
    case DECAI__OP_QUANT: return decai__quant_leaf(op, floats(st, op->in[0]), st->out[i]);
    case DECAI__OP_MATMUL: case DECAI__OP_LOGITS: case DECAI__OP_MATMUL_EXPERT: return do_product(st, i);
    case DECAI__OP_ROPE: do_rope(st, i); return 0;
    case DECAI__OP_KV: return do_kv(st, i);
    case DECAI__OP_SCORE: return do_score(st, i);
    case DECAI__OP_SOFTMAX: do_softmax(st, i); return 0;
    case DECAI__OP_MIX: do_mix(st, i); return 0;
    case DECAI__OP_ADD: case DECAI__OP_GLU: case DECAI__OP_SOFTCAP: do_elements(st, i); return 0;
    case DECAI__OP_BIAS: case DECAI__OP_BIAS_EXPERT: do_bias(st, i); return 0;
    case DECAI__OP_ROUTE: return do_route(st, i);
    case DECAI__OP_MIX_EXPERT: do_mix_expert(st, i); return 0;
    case DECAI__OP_SAMPLE:
        return decai__sample_once(st->ctx, (int32_t *)(void *)st->out[i], st->draw, floats(st, op->in[0]), st->p->shape.vocab);
    default:
        return decai__fail(DECAI_E_UNSUPPORTED, "trace: %s", decai__op_name(op->kind));
    }
}

/* ---- faults ------------------------------------------------------------------------------- */

int32_t
decai__fault_token(int32_t token, int64_t delta, uint32_t vocab)
{
    int64_t moved = (token + delta % (int64_t)vocab) % (int64_t)vocab;
    return (int32_t)(moved < 0 ? moved + vocab : moved);
}

static void
fault_float(float *x, int64_t delta)
{
    *x = *x + (float)delta / 256.0f;
}

static void
fault_quant(decai__step *st, const decai__op *op, uint8_t *out, uint32_t row, int64_t delta)
{
    for (size_t f = 0; f < DECAI__ACT_FORMS; f++) {
        if (!(op->forms & decai__forms[f])) continue;
        int8_t *q = (int8_t *)out + decai__act_quants_at(decai__form_act(decai__forms[f]), op->cols) + row % op->cols;
        int64_t step = DECAI__MAX(INT64_C(-254), DECAI__MIN(INT64_C(254), delta));
        int64_t v = DECAI__MAX(INT64_C(-127), DECAI__MIN(INT64_C(127), *q + step));
        if (v == *q) v = DECAI__MAX(INT64_C(-127), DECAI__MIN(INT64_C(127), *q - step));
        *q = (int8_t)v;
        return;                                      /* the first form there is */
    }
    uint8_t *at = out + 4 * (size_t)(row % op->cols);
    memcpy(st->scratch, at, 4);
    fault_float(st->scratch, delta);
    memcpy(at, st->scratch, 4);
}

static int32_t
fault_sum(decai__step *st, uint32_t i, size_t row, int64_t delta)
{
    const decai__op *op = &st->p->ops[i], *quant = &st->p->ops[op->in[0]];
    const uint8_t *act = st->out[op->in[0]] + decai__quant_offset(quant, op->forms);
    int32_t exponent = 0, act_exponent = (int32_t)decai__load_le32(act + 4);
    size_t index;
    int32_t r = row_exponent(&exponent, tensor_of(st, op->tensor), weight_row(st, i, row, &index));

    st->sums[i][row] += delta;
    floats(st, (int32_t)i)[row] = decai__leaf_result(st->sums[i][row], exponent, act_exponent);
    return r;
}

/* A cache holds only what its type can say, so the changed value is rounded as any
 * other; a change too small to survive that is doubled until it does. */
static void
fault_kv(decai__step *st, uint32_t i, size_t row, int64_t delta)
{
    size_t dim = st->p->shape.head_dim;
    int32_t type = decai__contract_kv_type(st->p->contract);
    float *head = floats(st, (int32_t)i) + row / dim * dim, before[DECAI__HEAD_MAX];

    memcpy(before, head, dim * sizeof *head);
    for (int tries = 0; tries < 40 && !memcmp(before, head, dim * sizeof *head); tries++, delta *= 2) {
        fault_float(head + row % dim, delta);
        if (!decai__leaf_kv_round(head, type, head, dim)) memcpy(head, before, dim * sizeof *head);
    }
}

static int32_t
apply_fault(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__fault *f = st->fault;
    size_t row = (size_t)(f->row % decai__op_rows(st->p, i, st->position));

    if (op->kind == DECAI__OP_QUANT) fault_quant(st, op, st->out[i], f->row, f->delta);
    else if (op->kind == DECAI__OP_SAMPLE)
        *(int32_t *)(void *)st->out[i] = decai__fault_token(*(int32_t *)(void *)st->out[i], f->delta, st->p->shape.vocab);
    else if (op->kind == DECAI__OP_ROUTE) fault_float(&((decai__chosen *)(void *)st->out[i])[row].weight, f->delta);
    else if (op->kind == DECAI__OP_KV) fault_kv(st, i, row, f->delta);
    else if (st->sums[i]) return fault_sum(st, i, row, f->delta);
    else fault_float(floats(st, (int32_t)i) + row, f->delta);
    return 0;
}

/* ---- the walk ----------------------------------------------------------------------------- */

int32_t
decai__step_run(decai__step *st, uint32_t from, uint32_t to)
{
    int32_t r = 0;

    for (uint32_t i = from; i < to && !r; i++) {
        r = do_op(st, i);
        if (!r && st->fault && st->fault->op == i) r = apply_fault(st, i);
        if (!r && st->p->ops[i].kind == DECAI__OP_KV) store_kv(st, i);
    }
    return r;
}

void
decai__step_nodes(const decai__step *st, uint8_t *hashes, uint32_t from, uint32_t to)
{
    const decai__program *p = st->p;
    uint8_t digest[32];

    for (uint32_t i = from; i < to; i++) {
        const decai__op *op = &p->ops[i];
        if (op->kind == DECAI__OP_QUANT)
            decai__act_node_hash(hashes + 32 * (size_t)op->node, (uint32_t)op->node, st->out[i], st->len[i]);
        if (i != p->logits) continue;
        decai__logits_digest(digest, st->position, floats(st, (int32_t)i), p->shape.vocab);
        decai__act_node_hash(hashes + 32 * ((size_t)p->nodes + 1), p->nodes + 1, digest, 32);
    }
}
