/* scalar.c - the inner loops of the contract: nothing but the leaf functions'
 * text in their canonical order. Every other backend is compared with this one.
 * Attention and caches are in scalar_attn.c. */
#include "compute/backend.h"
#include "compute/leaf.h"

/* ---- embedding: rows of the file as they are --------------------------------------- */

/* The row's values into out. False: a value is NaN or infinite. */
static bool
row_values(float *out, const decai__rows *t, size_t row)
{
    const uint8_t *at = t->data + row * t->row_size;
    int32_t w[DECAI__LEAF], exponent = 0;
    size_t block = decai__type_block(t->type);
    bool finite = true;
    if (!decai__type_quantised(t->type)) {
        for (size_t k = 0; k < t->cols; k++) {
            out[k] = weight_f32(t->type, at, k);
            finite &= (f32_bits(out[k]) & 0x7fffffffu) < 0x7f800000u;
        }
        return finite;
    }
    if (decai__leaf_row_exponent(&exponent, NULL, t->type, at, t->cols)) return false;
    for (size_t k = 0; k < t->cols; k += block) {
        decai__leaf_block_weights(w, t->type, at, k / block, exponent);
        for (size_t i = 0; i < block; i++) out[k + i] = int_result(w[i], exponent);
    }
    return true;
}

void
decai__scalar_embed(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t i = first; i < end; i++) {
        float *y = (float *)a->y + i * a->dim;
        if (!row_values(y, a->rows, a->ids[i])) atomic_store(&a->bad, 1);
        for (size_t k = 0; a->scale != 1.0f && k < a->dim; k++) y[k] = y[k] * a->scale;
    }
}

void
decai__scalar_embed_add(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *v = a->scratch + slice * a->scratch_stride;
    for (size_t i = first; i < end; i++) {
        float *y = (float *)a->y + i * a->dim;
        if (!row_values(v, a->rows, a->ids[i])) atomic_store(&a->bad, 1);
        for (size_t k = 0; k < a->dim; k++) y[k] = decai__leaf_add(y[k], v[k]);
    }
}

/* ---- norm, activations ---------------------------------------------------------------- */

static void
scalar_norm(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__norm *p = &a->norm;
    (void)slice;
    for (size_t i = first; i < end; i++)
        if (decai__row_norm((float *)a->y + i * p->dim, (const float *)a->x + i * p->dim, (const float *)a->w,
                (const float *)a->z, p->dim, p->eps, p->kind)) atomic_store(&a->bad, 1);
}

static void
scalar_quant(decai__call *a, size_t first, size_t end, size_t slice)
{
    size_t stride = decai__act_stride(a->form, a->dim);
    (void)slice;
    for (size_t i = first; i < end; i++) {
        uint8_t *out = a->y + i * stride;
        if (decai__leaf_quant(out, a->form, (const float *)a->x + i * a->dim, a->dim)) atomic_store(&a->bad, 1);
        decai__leaf_quant_tail(out, a->form, a->dim);
    }
}

static void
scalar_check(decai__call *a, size_t first, size_t end, size_t slice)
{
    const float *x = (const float *)a->x;
    (void)slice;
    for (size_t k = first * a->dim; k < end * a->dim; k++)
        if ((f32_bits(x[k]) & 0x7fffffffu) >= ABS_LIMIT_BITS) atomic_store(&a->bad, 1);
}

/* ---- products ---------------------------------------------------------------------------- */

/* A row's integer weights, and its product with one token: the sum of §4. */
static void
row_weights(int32_t *w, const decai__matrix *m, size_t row, int32_t exponent)
{
    size_t block = decai__type_block(m->type);
    for (size_t k = 0; k < m->cols; k += block)
        decai__leaf_block_weights(w + k, m->type, m->raw + row * m->raw_row, k / block, exponent);
}

static float
row_product(const int32_t *w, const decai__matrix *m, int32_t row_exponent, const uint8_t *token)
{
    decai__act act = { .cols = (uint32_t)m->cols, .form = m->act, .scales = token + 8,
        .quants = (const int8_t *)token + decai__act_quants_at(m->act, m->cols) };
    int64_t sum = 0;
    memcpy(&act.exponent, token + 4, 4);
    for (size_t b = 0; b < m->cols / DECAI__BLOCK; b++) {
        const int8_t *q = act.quants + b * DECAI__BLOCK;
        int64_t part = 0;
        for (size_t i = 0; i < DECAI__BLOCK; i++) part += (int64_t)w[b * DECAI__BLOCK + i] * q[i];
        sum += part * (int64_t)decai__act_scale(&act, b);
    }
    return decai__leaf_result(sum, row_exponent, act.exponent);
}

/* Row `row` (of all experts) times token i. */
static void
scalar_row(decai__call *a, size_t row, size_t out, size_t from, size_t to, int32_t *w)
{
    const decai__matrix *m = a->m;
    const uint8_t *raw = m->raw + row * m->raw_row;
    if (m->act < 0) {
        for (size_t i = from; i < to; i++)
            ((float *)a->y)[i * m->rows + out] = decai__row_dot(m->type, raw, (const float *)a->x + i * m->cols, m->cols);
        return;
    }
    /* From the raw bytes, not from m->exponents: with OpenCL those are on the device. */
    int32_t exponent = 0;
    size_t stride = decai__act_stride(m->act, m->cols);
    (void)decai__leaf_row_exponent(&exponent, NULL, m->type, raw, m->cols);
    row_weights(w, m, row, exponent);
    for (size_t i = from; i < to; i++)
        ((float *)a->y)[i * m->rows + out] = row_product(w, m, exponent, a->x + i * stride);
}

void
decai__scalar_matmul(decai__call *a, size_t first, size_t end, size_t slice)
{
    int32_t *w = (int32_t *)(void *)(a->scratch + slice * a->scratch_stride);
    for (size_t row = first; row < end; row++) {
        if (!a->used) scalar_row(a, row, row, 0, a->n, w);
        for (size_t i = 0; a->used && i < a->n; i++)
            scalar_row(a, decai__call_expert(a, i) * a->m->rows + row, row, i, i + 1, w);
    }
}

static void
scalar_bias(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t i = first; i < end; i++) {
        float *y = (float *)a->y + i * a->dim;
        const float *b = (const float *)a->w + decai__call_expert(a, i) * a->dim;
        for (size_t k = 0; k < a->dim; k++) y[k] = decai__leaf_add(y[k], b[k]);
    }
}

/* ---- experts -------------------------------------------------------------------------------- */

static void
scalar_route(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__route *p = &a->route;
    (void)slice;
    for (size_t i = first; i < end; i++)
        if (decai__leaf_route((decai__chosen *)(void *)a->y + i * p->used, (const float *)a->x + i * p->experts,
                p->experts, p->used, p->kind)) atomic_store(&a->bad, 1);
}

static void
scalar_mix_expert(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t i = first; i < end; i++) {
        float *y = (float *)a->y + i * a->dim, weight = ((const decai__chosen *)(const void *)a->z)[i * a->used + a->slot].weight;
        const float *x = (const float *)a->x + i * a->dim;
        for (size_t k = 0; k < a->dim; k++) y[k] = decai__leaf_mix_expert(a->slot, weight, x[k], y[k]);
    }
}

/* ---- rotation and elements -------------------------------------------------------------------- */

static void
scalar_rope(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__rope *p = &a->rope;
    size_t pairs = p->rot_dim / 2, step = p->neox ? 1 : 2, far = p->neox ? pairs : 1;
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const float *table = (const float *)a->w + (p->pos + i) * pairs * 2;
        for (size_t h = 0; h < p->heads; h++) {
            float *x = (float *)a->y + (i * p->heads + h) * p->head_dim;
            for (size_t j = 0; j < pairs; j++)
                decai__leaf_rope(x + j * step, x + j * step + far, table[2 * j], table[2 * j + 1]);
        }
    }
}

static void
scalar_glu(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *y = (float *)a->y;
    const float *gate = (const float *)a->x, *up = (const float *)a->w;
    (void)slice;
    for (size_t k = first; k < end; k++)
        y[k] = up ? decai__leaf_glu(a->kind, gate[k], up[k]) : decai__leaf_activation(a->kind, gate[k]);
}

static void
scalar_add(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t k = first; k < end; k++)
        ((float *)a->y)[k] = decai__leaf_add(((const float *)a->x)[k], ((const float *)a->w)[k]);
}

static void
scalar_softcap(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t k = first; k < end; k++) ((float *)a->y)[k] = leaf_softcap(((float *)a->y)[k], a->scale, a->inverse);
}

const decai__kernels decai__kernels_scalar = {
    .name = "portable",
    .op = {
        [DECAI__K_EMBED] = decai__scalar_embed, [DECAI__K_EMBED_ADD] = decai__scalar_embed_add,
        [DECAI__K_NORM] = scalar_norm, [DECAI__K_QUANT] = scalar_quant, [DECAI__K_CHECK] = scalar_check,
        [DECAI__K_MATMUL] = decai__scalar_matmul, [DECAI__K_BIAS] = scalar_bias, [DECAI__K_ROUTE] = scalar_route,
        [DECAI__K_MIX_EXPERT] = scalar_mix_expert, [DECAI__K_ROPE] = scalar_rope,
        [DECAI__K_KV_STORE] = decai__scalar_kv_store, [DECAI__K_ATTENTION] = decai__scalar_attention,
        [DECAI__K_ATTENTION_FULL] = decai__scalar_attention_full, [DECAI__K_GLU] = scalar_glu,
        [DECAI__K_ADD] = scalar_add, [DECAI__K_SOFTCAP] = scalar_softcap,
    },
};
