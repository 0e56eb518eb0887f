/* scalar.c - the inner loops of the contract: nothing but the leaf functions'
 * text in their canonical order. Every other backend is compared with this one. */
#include "compute/backend.h"
#include "compute/leaf.h"

static void
scalar_embed(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__matrix *m = a->m;
    size_t blocks = m->cols / DECAI__BLOCK, qs = m->type == DECAI__Q8_0 ? 32 : 16;
    (void)slice;
    for (size_t i = first; i < end; i++) {
        size_t row = a->ids[i];
        float *y = (float *)a->y + i * m->cols;
        const uint8_t *quants = m->quants->host + row * m->row_bytes;
        if (!decai__type_quantised(m->type)) {
            for (size_t k = 0; k < m->cols; k++) y[k] = weight_f32(m->type, quants, k);
            continue;
        }
        int32_t exponent = ((const int32_t *)m->exponents->host)[row];
        const int16_t *scales = (const int16_t *)m->scales->host + row * blocks;
        for (size_t k = 0; k < m->cols; k++) {
            size_t b = k / DECAI__BLOCK;
            y[k] = int_result((int64_t)scales[b] * block_quant(m->type, quants + b * qs, k % DECAI__BLOCK), exponent);
        }
    }
}

static void
scalar_norm(decai__call *a, size_t first, size_t end, size_t slice)
{
    const float *w = (const float *)a->w;
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const float *x = (const float *)a->x + i * a->dim;
        float *y = (float *)a->y + i * a->dim, sum = 0.0f;
        for (size_t leaf = 0; leaf * DECAI__LEAF < a->dim; leaf++)
            sum = decai__leaf_join(sum, decai__leaf_squares(x, a->dim, leaf));
        float factor = decai__leaf_norm_factor(sum, a->dim, a->eps);
        if (factor != factor) atomic_store(&a->bad, 1);
        for (size_t k = 0; k < a->dim; k++) y[k] = decai__leaf_norm(x[k], factor, w[k]);
    }
}

static void
scalar_quant(decai__call *a, size_t first, size_t end, size_t slice)
{
    size_t stride = decai__act_stride(a->dim), size = decai__act_size(a->dim);
    (void)slice;
    for (size_t i = first; i < end; i++) {
        uint8_t *out = a->y + i * stride;
        if (decai__leaf_quant(out, (const float *)a->x + i * a->dim, a->dim)) atomic_store(&a->bad, 1);
        memset(out + size, 0, stride - size);
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

/* One row times one token from prepared weights: the sum of §4, leaf by leaf. */
static float
prepared_row(const decai__matrix *m, size_t row, const uint8_t *act)
{
    size_t blocks = m->cols / DECAI__BLOCK, qs = m->type == DECAI__Q8_0 ? 32 : 16;
    const int16_t *scales = (const int16_t *)m->scales->host + row * blocks;
    const uint8_t *quants = m->quants->host + row * m->row_bytes;
    const int8_t *x = (const int8_t *)(act + 8 + 2 * blocks);
    int32_t exponent;
    int64_t sum = 0;
    memcpy(&exponent, act + 4, 4);
    for (size_t b = 0; b < blocks; b++) {
        int32_t scale = scales[b] * (int32_t)decai__load_le16(act + 8 + 2 * b);
        sum += (int64_t)scale * block_dot(m->type, quants + b * qs, x + b * DECAI__BLOCK);
    }
    return decai__leaf_result(sum, ((const int32_t *)m->exponents->host)[row], exponent);
}

static void
scalar_matmul(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__matrix *m = a->m;
    bool quantised = decai__type_quantised(m->type);
    size_t stride = quantised ? decai__act_stride(m->cols) : m->cols * 4;
    (void)slice;
    for (size_t row = first; row < end; row++)
        for (size_t i = 0; i < a->n; i++) {
            const uint8_t *in = a->x + i * stride;
            ((float *)a->y)[i * m->rows + row] = quantised ? prepared_row(m, row, in)
                : decai__row_dot(m->type, m->quants->host + row * m->row_bytes, (const float *)in, m->cols);
        }
}

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

/* Scores, their maximum, weights in place. False: a score is not finite. */
static bool
attention_weights(float *p, size_t positions, const float *q, const float *k, size_t stride, size_t dim, float scale)
{
    float max = -__builtin_inff();
    bool finite = true;
    for (size_t t = 0; t < positions; t++) {
        p[t] = decai__leaf_score(q, k + t * stride, dim, scale);
        if (!(p[t] - p[t] == 0.0f)) finite = false;
        if (p[t] > max) max = p[t];
    }
    for (size_t t = 0; t < positions; t++) p[t] = decai__leaf_weight_of(p[t], max);
    return finite;
}

static void
scalar_attention(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__attn *c = &a->attn;
    size_t stride = c->kv_heads * c->head_dim, group = c->heads / c->kv_heads;
    float *p = a->scratch + slice * a->scratch_stride;
    for (size_t item = first; item < end; item++) {
        size_t i = item / c->heads, kv = item % c->heads / group * c->head_dim, positions = c->pos + i + 1;
        float *y = (float *)a->y + item * c->head_dim, sum = 0.0f;
        const float *v = (const float *)a->z + kv;
        if (!attention_weights(p, positions, (const float *)a->x + item * c->head_dim,
                (const float *)a->w + kv, stride, c->head_dim, c->scale)) atomic_store(&a->bad, 1);
        for (size_t d = 0; d < c->head_dim; d++) y[d] = 0.0f;
        for (size_t t = 0; t < positions; t += DECAI__KV_PAGE) {
            size_t count = DECAI__MIN((size_t)DECAI__KV_PAGE, positions - t);
            sum = decai__leaf_join(sum, decai__leaf_page_sum(p + t, count));
            for (size_t d = 0; d < c->head_dim; d++)
                y[d] = decai__leaf_join(y[d], decai__leaf_page_mix(p + t, v + t * stride + d, stride, count));
        }
        for (size_t d = 0; d < c->head_dim; d++) y[d] = decai__leaf_attn(y[d], sum);
    }
}

static void
scalar_silu_mul(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t k = first; k < end; k++)
        ((float *)a->y)[k] = decai__leaf_silu_mul(((const float *)a->x)[k], ((const float *)a->w)[k]);
}

static void
scalar_add(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t k = first; k < end; k++)
        ((float *)a->y)[k] = decai__leaf_add(((const float *)a->x)[k], ((const float *)a->w)[k]);
}

const decai__kernels decai__kernels_scalar = {
    "portable", scalar_embed, scalar_norm, scalar_quant, scalar_check, scalar_matmul,
    scalar_rope, scalar_attention, scalar_silu_mul, scalar_add,
};
