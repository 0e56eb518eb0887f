/* step.c - one token in scalar C, every op's output kept: the view of a dispute.
 *
 * It reads weights straight from the model's bytes (never from what a backend
 * prepared) and uses compute's leaf functions only, so what it says is the
 * contract. Outputs are laid out one behind the other in one arena:
 *
 *     op               output
 *     QUANT            the committed bytes (infer.h)
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
    return (op->kind == DECAI__OP_MATMUL || op->kind == DECAI__OP_LOGITS) && op->forms != DECAI__FORM_F32;
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
    st->scratch = decai__calloc(ctx, widest, sizeof(float));
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
tensor_of(const decai__step *st, const decai__op *op)
{
    return decai__model_tensor_at(st->model, (size_t)op->tensor);
}

static int32_t
row_exponent(int32_t *exponent, const decai__tensor *t, size_t row)
{
    uint64_t lost = 0;
    if (decai__leaf_row_exponent(exponent, &lost, (int32_t)t->type, t->data + row * t->row_size, (size_t)t->dims[0]))
        return decai__fail(DECAI_E_CORRUPT, "%s: row %zu has a scale that is NaN or infinite", t->name, row);
    return 0;
}

static int32_t
do_embed(decai__step *st, uint32_t i)
{
    const decai__tensor *t = tensor_of(st, &st->p->ops[i]);
    int32_t type = (int32_t)t->type, exponent = 0;
    float *y = floats(st, (int32_t)i);

    if (decai__type_quantised(type)) {
        int32_t r = row_exponent(&exponent, t, (size_t)st->token);
        if (r) return r;
    }
    for (size_t k = 0; k < st->p->ops[i].rows; k++)
        y[k] = decai__leaf_embed(type, t->data + (size_t)st->token * t->row_size, k, exponent);
    return 0;
}

static int32_t
do_norm(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__tensor *t = tensor_of(st, op);
    const float *x = floats(st, op->in[0]);
    float *y = floats(st, (int32_t)i), sum = 0.0f;

    for (size_t leaf = 0; leaf * DECAI__LEAF < op->cols; leaf++)
        sum = decai__leaf_join(sum, decai__leaf_squares(x, op->cols, leaf));
    float factor = decai__leaf_norm_factor(sum, op->cols, st->p->shape.eps);
    if (isnan(factor)) return decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", t->name);
    for (size_t k = 0; k < op->rows; k++)
        y[k] = decai__leaf_norm(x[k], factor, decai__leaf_weight_f32((int32_t)t->type, t->data, k));
    return 0;
}

static int32_t
do_product(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i], *quant = &st->p->ops[op->in[0]];
    const decai__tensor *t = tensor_of(st, op);
    float *y = floats(st, (int32_t)i);
    int32_t type = (int32_t)t->type, exponent = 0;
    decai__act act;

    if (op->forms == DECAI__FORM_F32) {
        /* A copy, because the f32 part may lie at any address. */
        memcpy(st->scratch, st->out[op->in[0]] + decai__quant_offset(quant, DECAI__FORM_F32), 4 * (size_t)op->cols);
        for (size_t row = 0; row < op->rows; row++)
            y[row] = decai__row_dot(type, t->data + row * t->row_size, st->scratch, op->cols);
        return 0;
    }
    int32_t r = decai__act_decode(&act, st->out[op->in[0]] + decai__quant_offset(quant, op->forms),
        decai__form_size(op->forms, op->cols));
    for (size_t row = 0; row < op->rows && !r; row++) {
        r = row_exponent(&exponent, t, row);
        if (r) break;
        st->sums[i][row] = decai__row_sum(type, t->data + row * t->row_size, exponent, &act);
        y[row] = decai__leaf_result(st->sums[i][row], exponent, act.exponent);
    }
    return r;
}

static void
do_rope(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__shape *h = &st->p->shape;
    size_t pairs = h->rot_dim / 2, near = h->neox ? 1 : 2, far = h->neox ? pairs : 1;
    const decai__rope_spec spec = { .rot_dim = h->rot_dim, .base = h->rope_base };
    float *y = floats(st, (int32_t)i), cosine, sine;

    memcpy(y, st->out[op->in[0]], st->len[i]);
    for (size_t j = 0; j < pairs; j++) {
        decai__leaf_rope_angle(&cosine, &sine, st->position, decai__leaf_rope_frequency(&spec, j), 1.0);
        for (size_t head = 0; head < op->rows; head += h->head_dim)
            decai__leaf_rope(y + head + j * near, y + head + j * near + far, cosine, sine);
    }
}

/* Output first, then the cache: a fault in between reaches the cache too. */
static int32_t
do_kv(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__shape *h = &st->p->shape;
    int32_t type = decai__contract_kv_type(st->p->contract);
    bool fits = true;
    for (size_t j = 0; j < 2; j++)
        for (size_t at = 0; at < h->kv_dim; at += h->head_dim)
            fits &= decai__leaf_kv_round(floats(st, (int32_t)i) + j * h->kv_dim + at, type, floats(st, op->in[j]) + at, h->head_dim);
    return fits ? 0 : decai__fail(DECAI_E_INTEGRITY, "keys and values: a value is NaN, infinite or too large");
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
    size_t positions = (size_t)st->position + 1, group = h->heads / h->kv_heads;
    const float *q = floats(st, op->in[0]), *k = st->kv[2 * op->layer];
    float *y = floats(st, (int32_t)i);

    for (size_t head = 0; head < h->heads; head++)
        for (size_t t = 0; t < positions; t++) {
            float score = decai__leaf_score(q + head * h->head_dim, k + t * h->kv_dim + head / group * h->head_dim,
                h->head_dim, h->scale, 0.0f);
            if (!isfinite(score)) return decai__fail(DECAI_E_INTEGRITY, "attention: a score is not finite");
            y[head * positions + t] = score;
        }
    return 0;
}

static void
do_softmax(decai__step *st, uint32_t i)
{
    size_t positions = (size_t)st->position + 1;
    const float *x = floats(st, st->p->ops[i].in[0]);
    float *y = floats(st, (int32_t)i);

    for (size_t head = 0; head < st->p->shape.heads; head++, x += positions, y += positions) {
        float max = x[0];
        for (size_t t = 1; t < positions; t++)
            if (x[t] > max) max = x[t];
        for (size_t t = 0; t < positions; t++) y[t] = decai__leaf_weight_of(x[t], max);
    }
}

static void
do_mix(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    const decai__shape *h = &st->p->shape;
    size_t positions = (size_t)st->position + 1, group = h->heads / h->kv_heads;
    const float *v = st->kv[2 * op->layer + 1];
    float *y = floats(st, (int32_t)i);

    for (size_t row = 0; row < op->rows; row++) {
        size_t head = row / h->head_dim, element = head / group * h->head_dim + row % h->head_dim;
        const float *p = floats(st, op->in[0]) + head * positions;
        float sum = 0.0f, mix = 0.0f;
        for (size_t t = 0; t < positions; t += DECAI__KV_PAGE) {
            size_t count = DECAI__MIN((size_t)DECAI__KV_PAGE, positions - t);
            sum = decai__leaf_join(sum, decai__leaf_page_sum(p + t, count));
            mix = decai__leaf_join(mix, decai__leaf_page_mix(p + t, v + t * h->kv_dim + element, h->kv_dim, count));
        }
        y[row] = decai__leaf_attn(mix, sum);
    }
}

static int32_t
do_op(decai__step *st, uint32_t i)
{
    const decai__op *op = &st->p->ops[i];
    float *y = floats(st, (int32_t)i);

    switch (op->kind) {
    case DECAI__OP_EMBED: return do_embed(st, i);
    case DECAI__OP_NORM: return do_norm(st, i);
    case DECAI__OP_QUANT: return decai__quant_leaf(op, floats(st, op->in[0]), st->out[i]);
    case DECAI__OP_MATMUL:
    case DECAI__OP_LOGITS: return do_product(st, i);
    case DECAI__OP_ROPE: do_rope(st, i); return 0;
    case DECAI__OP_KV: return do_kv(st, i);
    case DECAI__OP_SCORE: return do_score(st, i);
    case DECAI__OP_SOFTMAX: do_softmax(st, i); return 0;
    case DECAI__OP_MIX: do_mix(st, i); return 0;
    case DECAI__OP_ADD:
        for (size_t k = 0; k < op->rows; k++)
            y[k] = decai__leaf_add(floats(st, op->in[0])[k], floats(st, op->in[1])[k]);
        return 0;
    case DECAI__OP_SILU_MUL:
        for (size_t k = 0; k < op->rows; k++)
            y[k] = decai__leaf_glu(DECAI__GLU_SILU, floats(st, op->in[0])[k], floats(st, op->in[1])[k]);
        return 0;
    default:
        return decai__sample(st->ctx, (int32_t *)(void *)st->out[i], st->sampler, floats(st, op->in[0]),
            st->p->shape.vocab, st->position);
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
    if (op->forms & DECAI__FORMS_ACT) {
        int32_t first = decai__act_of_form(decai__form_at(op->forms, 0));
        int8_t *q = (int8_t *)out + decai__act_quants_at(first, op->cols) + row % op->cols;
        int64_t step = DECAI__MAX(INT64_C(-254), DECAI__MIN(INT64_C(254), delta));
        int64_t v = DECAI__MAX(INT64_C(-127), DECAI__MIN(INT64_C(127), *q + step));
        if (v == *q) v = DECAI__MAX(INT64_C(-127), DECAI__MIN(INT64_C(127), *q - step));
        *q = (int8_t)v;
        return;
    }
    uint8_t *at = out + 4 * (size_t)(row % op->cols);
    memcpy(st->scratch, at, 4);
    fault_float(st->scratch, delta);
    memcpy(at, st->scratch, 4);
}

static int32_t
fault_sum(decai__step *st, uint32_t i, size_t row, int64_t delta)
{
    const decai__op *op = &st->p->ops[i];
    const uint8_t *act = st->out[op->in[0]] + decai__quant_offset(&st->p->ops[op->in[0]], op->forms);
    int32_t exponent = 0, act_exponent = (int32_t)decai__load_le32(act + 4);
    int32_t r = row_exponent(&exponent, tensor_of(st, op), row);

    st->sums[i][row] += delta;
    floats(st, (int32_t)i)[row] = decai__leaf_result(st->sums[i][row], exponent, act_exponent);
    return r;
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
        if (op->kind != DECAI__OP_LOGITS) continue;
        decai__logits_digest(digest, st->position, floats(st, (int32_t)i), p->shape.vocab);
        decai__act_node_hash(hashes + 32 * ((size_t)p->nodes + 1), p->nodes + 1, digest, 32);
    }
}
