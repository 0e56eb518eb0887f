/* How far the contract's numbers are from the model's: a naive forward pass in
 * double over the dequantised weights. Float models differ by f32 rounding only;
 * quantised ones also by the int8 activations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/infer.h"
#include "support_infer.h"

#define LENGTH 96

typedef struct reference {
    const decai_model *model;
    const decai__shape *h;
    double *k[8], *v[8];           /* by layer: LENGTH * kv_dim */
} reference;

static double
weight(const decai__tensor *t, size_t row, size_t col, float *scratch, size_t *cached)
{
    if (*cached != row) decai__tensor_row(t, row, scratch);
    *cached = row;
    return scratch[col];
}

static void
product(const reference *f, const char *name, int layer, const double *x, double *y)
{
    char full[80];
    if (layer >= 0) (void)snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    else (void)snprintf(full, sizeof full, "%s", name);
    const decai__tensor *t = decai__model_tensor_find(f->model, full);
    float *scratch = malloc(4 * (size_t)t->dims[0]);
    size_t cached = SIZE_MAX;
    for (size_t r = 0; r < t->dims[1]; r++) {
        double sum = 0;
        for (size_t c = 0; c < t->dims[0]; c++) sum += weight(t, r, c, scratch, &cached) * x[c];
        y[r] = sum;
    }
    free(scratch);
}

static void
norm(const reference *f, const char *name, int layer, const double *x, double *y)
{
    char full[80];
    float w[256];
    double sum = 0;
    if (layer >= 0) (void)snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    else (void)snprintf(full, sizeof full, "%s", name);
    decai__tensor_row(decai__model_tensor_find(f->model, full), 0, w);
    for (uint32_t i = 0; i < f->h->dim; i++) sum += x[i] * x[i];
    for (uint32_t i = 0; i < f->h->dim; i++) y[i] = x[i] / sqrt(sum / f->h->dim + f->h->eps) * w[i];
}

static void
rope(const decai__shape *h, double *x, uint32_t rows, size_t pos)
{
    for (uint32_t head = 0; head < rows; head += h->head_dim)
        for (uint32_t j = 0; j < h->rot_dim / 2; j++) {
            double angle = (double)pos * pow(10000.0, -2.0 * j / h->rot_dim);
            double a = x[head + 2 * j], b = x[head + 2 * j + 1];
            x[head + 2 * j] = a * cos(angle) - b * sin(angle);
            x[head + 2 * j + 1] = a * sin(angle) + b * cos(angle);
        }
}

static void
attend(const reference *f, int l, const double *q, size_t pos, double *y)
{
    const decai__shape *h = f->h;
    double p[LENGTH];
    for (uint32_t head = 0; head < h->heads; head++) {
        size_t at = head / (h->heads / h->kv_heads) * h->head_dim;
        double total = 0;
        for (size_t t = 0; t <= pos; t++) {
            double s = 0;
            for (uint32_t d = 0; d < h->head_dim; d++) s += q[head * h->head_dim + d] * f->k[l][t * h->kv_dim + at + d];
            total += p[t] = exp(s / sqrt(h->head_dim));
        }
        for (uint32_t d = 0; d < h->head_dim; d++) {
            double s = 0;
            for (size_t t = 0; t <= pos; t++) s += p[t] * f->v[l][t * h->kv_dim + at + d];
            y[head * h->head_dim + d] = s / total;
        }
    }
}

/* To the nearest f16; the values here are normal. */
static double
to_half(double v)
{
    int e;
    double f = frexp(v, &e);
    return ldexp(nearbyint(ldexp(f, 11)), e - 11);
}

static void
forward(reference *f, int32_t token, size_t pos, double *logits)
{
    const decai__shape *h = f->h;
    double x[256], n[256], q[256], a[256], g[512], u[512], o[256];
    float row[256];
    decai__tensor_row(decai__model_tensor_find(f->model, "token_embd.weight"), (uint64_t)token, row);
    for (uint32_t i = 0; i < h->dim; i++) x[i] = row[i];
    for (int l = 0; l < (int)h->layers; l++) {
        norm(f, "attn_norm.weight", l, x, n);
        product(f, "attn_q.weight", l, n, q);
        product(f, "attn_k.weight", l, n, f->k[l] + pos * h->kv_dim);
        product(f, "attn_v.weight", l, n, f->v[l] + pos * h->kv_dim);
        rope(h, q, h->heads * h->head_dim, pos);
        rope(h, f->k[l] + pos * h->kv_dim, h->kv_dim, pos);
        for (size_t d = 0; d < h->kv_dim; d++) {     /* caches hold f16 */
            f->k[l][pos * h->kv_dim + d] = to_half(f->k[l][pos * h->kv_dim + d]);
            f->v[l][pos * h->kv_dim + d] = to_half(f->v[l][pos * h->kv_dim + d]);
        }
        attend(f, l, q, pos, a);
        product(f, "attn_output.weight", l, a, o);
        for (uint32_t i = 0; i < h->dim; i++) x[i] += o[i];
        norm(f, "ffn_norm.weight", l, x, n);
        product(f, "ffn_gate.weight", l, n, g);
        product(f, "ffn_up.weight", l, n, u);
        for (uint32_t i = 0; i < h->ffn; i++) u[i] *= g[i] / (1 + exp(-g[i]));
        product(f, "ffn_down.weight", l, u, o);
        for (uint32_t i = 0; i < h->dim; i++) x[i] += o[i];
    }
    norm(f, "output_norm.weight", -1, x, n);
    product(f, "output.weight", -1, n, logits);
}

/* RMS error / RMS value of the logits over all positions. */
static double
error_of(uint32_t type)
{
    support_llama m = { .n_vocab = 320, .n_embd = 64, .n_layer = 3, .n_head = 4, .n_head_kv = 2, .n_ff = 160,
        .n_ctx = 128, .type = type, .vocab = 1, .seed = 77 };
    decai_context *ctx = infer_context(0);
    decai_model *model = infer_model(ctx, &m);
    decai_engine *engine = infer_engine(ctx, model, NULL);
    decai_session *s = infer_session(engine, ctx, NULL);
    reference f = { .model = model, .h = &decai__engine_program(engine)->shape };
    int32_t tokens[LENGTH], token;
    double want[320], error = 0, value = 0;
    float got[320];
    size_t len;

    infer_tokens(tokens, LENGTH, 300, 12);           /* below the end-of-text ids */
    for (uint32_t l = 0; l < m.n_layer; l++) {
        f.k[l] = calloc(LENGTH * f.h->kv_dim, sizeof(double));
        f.v[l] = calloc(LENGTH * f.h->kv_dim, sizeof(double));
    }
    for (size_t i = 0; i < LENGTH; i++) {
        forward(&f, tokens[i], i, want);
        /* The sampled token is replaced by the sequence's own. */
        if (i == 0) assert_int_equal(decai_session_add(s, tokens, 1), 0);
        else assert_int_equal(decai__session_force(s, tokens[i]), 0);
        assert_int_equal(decai_session_next(s, &token), 1);
        assert_int_equal(decai_session_logits_get(s, got, 320, &len), 0);
        for (int j = 0; j < 320; j++) {
            error += (got[j] - want[j]) * (got[j] - want[j]);
            value += want[j] * want[j];
        }
    }
    for (uint32_t l = 0; l < m.n_layer; l++) {
        free(f.k[l]);
        free(f.v[l]);
    }
    decai_destroy(s);
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(ctx);
    return sqrt(error / value);
}

static void
check(uint32_t type, const char *name, double bound)
{
    double e = error_of(type);
    print_message("%s: relative RMS error %.3g (bound %.3g)\n", name, e, bound);
    assert_true(e > 0 && e < bound);
}

static void test_f32(void **state) { (void)state; check(0, "F32", 2e-4); }
static void test_f16(void **state) { (void)state; check(1, "F16", 2e-4); }
static void test_q8_0(void **state) { (void)state; check(8, "Q8_0", 4e-2); }
static void test_q4_0(void **state) { (void)state; check(2, "Q4_0", 4e-2); }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32), cmocka_unit_test(test_f16), cmocka_unit_test(test_q8_0), cmocka_unit_test(test_q4_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
