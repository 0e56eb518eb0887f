/* ops.c - the door of every op: sizes and places checked once, for all backends.
 * A kernel behind it may assume that every byte it touches is inside its buffer.
 * Attention's and caches' doors are in ops_attn.c. */
#include <string.h>

#include "compute/ops.h"

/* ---- shared checks -------------------------------------------------------------- */

/* Every buffer belongs to this backend; [at, at + len) lies inside; aligned. */
int32_t
decai__op_place(const decai__compute *c, const char *op, const char *arg, decai__ref r, size_t count, size_t each,
    size_t align, size_t *len)
{
    if (!r.buf || r.buf->c != c) return decai__fail(DECAI_E_INVALID, "%s: %s is not a buffer of this backend", op, arg);
    if (r.at % align) return decai__fail(DECAI_E_INVALID, "%s: %s at %zu, not a multiple of %zu", op, arg, r.at, align);
    if (!decai__mul_size(len, count, each) || r.at > r.buf->size || *len > r.buf->size - r.at)
        return decai__fail(DECAI_E_INVALID, "%s: %s needs %zu x %zu bytes at %zu of %zu", op, arg, count, each, r.at, r.buf->size);
    return 0;
}

#define Y(count, each, align) decai__op_place(c, op, "y", a.ry, (count), (each), (align), &a.ny)
#define X(count, each, align) decai__op_place(c, op, "x", a.rx, (count), (each), (align), &a.nx)
#define W(count, each) decai__op_place(c, op, "w", a.rw, (count), (each), 4, &a.nw)
#define Z(count, each) decai__op_place(c, op, "z", a.rz, (count), (each), 4, &a.nz)

int32_t
decai__op_ready(const decai__compute *c, const char *op, size_t n)
{
    if (c->lost) return decai__fail(DECAI_E_DEVICE, "%s: device %s is lost", op, c->device);
    if (n == 0 || n > TOKENS_MAX) return decai__fail(DECAI_E_INVALID, "%s: n %zu, 1 to %d", op, n, TOKENS_MAX);
    return 0;
}

/* Two tensors of the same op may be equal or apart, never half over each other. */
static int32_t
apart(const char *op, decai__ref a, decai__ref b, size_t len)
{
    if (a.buf != b.buf || a.at == b.at || a.at + len <= b.at || b.at + len <= a.at) return 0;
    return decai__fail(DECAI_E_INVALID, "%s: output and input overlap in part", op);
}

static uint8_t *
host_at(decai__ref r)
{
    return r.buf && r.buf->host ? r.buf->host + r.at : NULL;
}

static void
resolve(decai__call *a)
{
    a->y = host_at(a->ry);
    a->x = host_at(a->rx);
    a->w = host_at(a->rw);
    a->z = host_at(a->rz);
    if (!a->unit) a->unit = 1;
}

int32_t
decai__op_go(decai__compute *c, int id, decai__call *a)
{
    resolve(a);
    return c->table->run(c, id, a);
}

int32_t
decai__op_go_each(decai__compute *c, int id, decai__call *calls, size_t count)
{
    int32_t r = 0;
    for (size_t i = 0; i < count; i++) resolve(&calls[i]);
    if (count > 1 && c->table->run_each) return c->table->run_each(c, id, calls, count);
    for (size_t i = 0; i < count && !r; i++) r = c->table->run(c, id, &calls[i]);
    return r;
}

static int32_t
dim_check(const char *op, size_t dim)
{
    return dim && dim <= DECAI_COMPUTE_COLS_MAX ? 0 : decai__fail(DECAI_E_INVALID, "%s: dim %zu", op, dim);
}

/* ---- embedding -------------------------------------------------------------------- */

static int32_t
embed(decai__compute *c, const char *op, int id, decai__ref y, const decai__rows *t, const uint32_t *ids, size_t n, float scale)
{
    decai__call a = { .rows = t, .ids = ids, .ry = y, .n = n, .dim = t->cols, .items = n, .cost = t->cols, .scale = scale,
        .what = t->name, .y_in = id == DECAI__K_EMBED_ADD };
    int32_t r = decai__op_ready(c, op, n);
    if (!r && (!t->data || t->row_size == 0 || t->row_size != decai__row_size(t->type, t->cols)))
        r = decai__fail(DECAI_E_INVALID, "%s: %s has rows of %zu bytes, type %d, %zu columns", op, t->name, t->row_size, t->type, t->cols);
    if (!r) r = Y(n, t->cols * 4, 4);
    for (size_t i = 0; !r && i < n; i++)
        if (ids[i] >= t->rows) r = decai__fail(DECAI_E_INVALID, "%s: token %u of %zu", op, ids[i], t->rows);
    if (r) return r;
    if (id == DECAI__K_EMBED_ADD) a.scratch_stride = t->cols;
    r = decai__op_go(c, id, &a);
    if (r != DECAI_E_INTEGRITY) return r;
    return decai__fail(DECAI_E_CORRUPT, "%s: a value of a row is NaN or infinite", t->name);
}

int32_t
decai__op_embed(decai__compute *c, decai__ref y, const decai__rows *t, const uint32_t *ids, size_t n, float scale)
{
    return embed(c, "embed", DECAI__K_EMBED, y, t, ids, n, scale);
}

int32_t
decai__op_embed_add(decai__compute *c, decai__ref y, const decai__rows *t, const uint32_t *ids, size_t n)
{
    return embed(c, "embed_add", DECAI__K_EMBED_ADD, y, t, ids, n, 1.0f);
}

/* ---- norm, activations --------------------------------------------------------------- */

int32_t
decai__op_norm(decai__compute *c, decai__ref y, decai__ref x, decai__ref w, decai__ref b, const decai__norm *p, const char *what)
{
    const char *op = "norm";
    decai__call a = { .ry = y, .rx = x, .rw = w, .rz = b, .n = p->n, .norm = *p, .dim = p->dim, .items = p->n * p->groups,
        .cost = p->dim * 4, .what = what };
    int32_t r = decai__op_ready(c, op, p->n);
    if (!r) r = dim_check(op, p->dim);
    if (!r && (!p->groups || p->groups > 65536)) r = decai__fail(DECAI_E_INVALID, "norm: %zu groups", p->groups);
    if (!r && !(p->eps >= 0x1p-60f && p->eps <= 1.0f)) r = decai__fail(DECAI_E_INVALID, "norm: eps is not between 2^-60 and 1");
    if (!r && p->kind != DECAI__NORM_RMS && p->kind != DECAI__NORM_LAYER) r = decai__fail(DECAI_E_INVALID, "norm: kind %d", p->kind);
    if (!r && b.buf && p->kind == DECAI__NORM_RMS) r = decai__fail(DECAI_E_INVALID, "norm: RMS has no bias");
    if (!r) r = Y(a.items, p->dim * 4, 4);
    if (!r) r = X(a.items, p->dim * 4, 4);
    if (!r) r = W(1, p->dim * 4);
    if (!r && b.buf) r = Z(1, p->dim * 4);
    if (!r) r = apart(op, y, x, a.ny);
    return r ? r : decai__op_go(c, DECAI__K_NORM, &a);
}

int32_t
decai__op_quant(decai__compute *c, decai__ref act, decai__ref x, int32_t form, size_t n, size_t dim, const char *what)
{
    const char *op = "quant";
    decai__call a = { .ry = act, .rx = x, .n = n, .dim = dim, .form = form, .items = n, .cost = dim * 4, .what = what };
    int32_t r = decai__op_ready(c, op, n);
    if (!r) r = dim_check(op, dim);
    if (!r && (form < 0 || form >= DECAI__ACT_FORMS)) r = decai__fail(DECAI_E_INVALID, "quant: form %d", form);
    if (!r && dim % decai__act_block(form)) r = decai__fail(DECAI_E_INVALID, "quant: dim %zu", dim);
    if (!r) r = Y(n, decai__act_stride(form, dim), 64);
    if (!r) r = X(n, dim * 4, 4);
    if (!r && act.buf == x.buf) r = decai__fail(DECAI_E_INVALID, "quant: act and x share a buffer");
    return r ? r : decai__op_go(c, DECAI__K_QUANT, &a);
}

int32_t
decai__op_check(decai__compute *c, decai__ref x, size_t n, size_t dim, const char *what)
{
    const char *op = "check";
    decai__call a = { .rx = x, .n = n, .dim = dim, .items = n, .cost = dim, .what = what };
    int32_t r = decai__op_ready(c, op, n);
    if (!r) r = dim_check(op, dim);
    if (!r) r = X(n, dim * 4, 4);
    return r ? r : decai__op_go(c, DECAI__K_CHECK, &a);
}

/* ---- products --------------------------------------------------------------------------- */

static int32_t
experts_check(const char *op, size_t slot, size_t used, size_t experts)
{
    if (used >= 1 && used <= DECAI__USED_MAX && slot < used && experts >= used) return 0;
    return decai__fail(DECAI_E_INVALID, "%s: slot %zu of %zu, %zu experts", op, slot, used, experts);
}

static int32_t
matmul(decai__compute *c, const char *op, decai__call a)
{
    const decai__matrix *m = a.m;
    int32_t r = decai__op_ready(c, op, a.n);
    if (r) return r;
    if (m->c != c) return decai__fail(DECAI_E_INVALID, "%s: %s belongs to another backend", op, m->name);
    r = Y(a.n, m->rows * 4, 4);
    if (!r) r = X(a.n, m->act >= 0 ? decai__act_stride(m->act, m->cols) : m->cols * 4, m->act >= 0 ? 64 : 4);
    if (!r && a.ry.buf == a.rx.buf) r = decai__fail(DECAI_E_INVALID, "%s: y and in share a buffer", op);
    if (!r && a.used) r = Z(a.n, a.used * sizeof(decai__chosen));
    if (r) return r;
    a.dim = m->cols;
    a.form = m->act;
    a.experts = m->experts;
    a.items = m->rows;
    a.cost = m->cols * a.n / 8;
    a.unit = 8;
    a.scratch_stride = decai__pad64(m->cols * 4) / 4;
    return decai__op_go(c, DECAI__K_MATMUL, &a);
}

int32_t
decai__op_matmul(decai__compute *c, decai__ref y, const decai__matrix *m, decai__ref in, size_t n)
{
    if (m->experts != 1) return decai__fail(DECAI_E_INVALID, "matmul: %s has %zu experts", m->name, m->experts);
    return matmul(c, "matmul", (decai__call){ .m = m, .ry = y, .rx = in, .n = n });
}

int32_t
decai__op_matmul_expert(decai__compute *c, decai__ref y, const decai__matrix *m, decai__ref in, decai__ref route,
    size_t slot, size_t used, size_t n)
{
    int32_t r = experts_check("matmul_expert", slot, used, m->experts);
    if (r) return r;
    return matmul(c, "matmul_expert", (decai__call){ .m = m, .ry = y, .rx = in, .rz = route, .slot = slot, .used = used, .n = n });
}

static int32_t
bias(decai__compute *c, const char *op, decai__call a)
{
    int32_t r = decai__op_ready(c, op, a.n);
    if (!r) r = dim_check(op, a.dim);
    if (!r) r = Y(a.n, a.dim * 4, 4);
    if (!r) r = W(a.experts, a.dim * 4);
    if (!r && a.used) r = Z(a.n, a.used * sizeof(decai__chosen));
    if (!r && a.ry.buf == a.rw.buf) r = decai__fail(DECAI_E_INVALID, "%s: x and b share a buffer", op);
    a.items = a.n;
    a.cost = a.dim;
    a.y_in = true;
    return r ? r : decai__op_go(c, DECAI__K_BIAS, &a);
}

int32_t
decai__op_bias(decai__compute *c, decai__ref x, decai__ref b, size_t n, size_t dim)
{
    return bias(c, "bias", (decai__call){ .ry = x, .rw = b, .n = n, .dim = dim, .experts = 1 });
}

int32_t
decai__op_bias_expert(decai__compute *c, decai__ref x, decai__ref b, decai__ref route, size_t slot, size_t used,
    size_t experts, size_t n, size_t dim)
{
    int32_t r = experts_check("bias_expert", slot, used, experts);
    if (r) return r;
    return bias(c, "bias_expert", (decai__call){ .ry = x, .rw = b, .rz = route, .n = n, .dim = dim, .slot = slot, .used = used,
        .experts = experts });
}

/* ---- experts -------------------------------------------------------------------------------- */

int32_t
decai__op_route(decai__compute *c, decai__ref route, decai__ref scores, const decai__route *p, const char *what)
{
    const char *op = "route";
    decai__call a = { .ry = route, .rx = scores, .n = p->n, .route = *p, .items = p->n, .cost = p->experts * 8, .what = what };
    int32_t r = decai__op_ready(c, op, p->n);
    if (!r) r = experts_check(op, 0, p->used, p->experts);
    if (!r && p->experts > DECAI__EXPERTS_MAX) r = decai__fail(DECAI_E_INVALID, "route: %zu experts", p->experts);
    if (!r && p->kind != DECAI__ROUTE_SELECTED && p->kind != DECAI__ROUTE_ALL) r = decai__fail(DECAI_E_INVALID, "route: kind %d", p->kind);
    if (!r) r = Y(p->n, p->used * sizeof(decai__chosen), 4);
    if (!r) r = X(p->n, p->experts * 4, 4);
    if (!r && route.buf == scores.buf) r = decai__fail(DECAI_E_INVALID, "route: route and scores share a buffer");
    return r ? r : decai__op_go(c, DECAI__K_ROUTE, &a);
}

int32_t
decai__op_mix_expert(decai__compute *c, decai__ref y, decai__ref x, decai__ref route, size_t slot, size_t used, size_t n, size_t dim)
{
    const char *op = "mix_expert";
    decai__call a = { .ry = y, .rx = x, .rz = route, .n = n, .dim = dim, .slot = slot, .used = used, .items = n, .cost = dim,
        .y_in = slot > 0 };
    int32_t r = decai__op_ready(c, op, n);
    if (!r) r = dim_check(op, dim);
    if (!r) r = experts_check(op, slot, used, used);
    if (!r) r = Y(n, dim * 4, 4);
    if (!r) r = X(n, dim * 4, 4);
    if (!r) r = Z(n, used * sizeof(decai__chosen));
    if (!r && (y.buf == x.buf || y.buf == route.buf)) r = decai__fail(DECAI_E_INVALID, "mix_expert: y shares a buffer with an input");
    return r ? r : decai__op_go(c, DECAI__K_MIX_EXPERT, &a);
}

/* ---- elements ------------------------------------------------------------------------------------ */

static int32_t
elementwise(decai__compute *c, const char *op, int id, decai__call a)
{
    int32_t r = decai__op_ready(c, op, 1);
    if (!r && !a.items) r = decai__fail(DECAI_E_INVALID, "%s: no elements", op);
    if (!r) r = Y(a.items, 4, 4);
    if (!r && a.rx.buf) r = X(a.items, 4, 4);
    if (!r && a.rw.buf) r = W(a.items, 4);
    if (!r && a.rx.buf) r = apart(op, a.ry, a.rx, a.ny);
    if (!r && a.rw.buf) r = apart(op, a.ry, a.rw, a.ny);
    a.n = a.items;
    return r ? r : decai__op_go(c, id, &a);
}

int32_t
decai__op_glu(decai__compute *c, decai__ref y, decai__ref gate, decai__ref up, int32_t kind, size_t count)
{
    if (kind < 0 || kind >= DECAI__GLU_KINDS) return decai__fail(DECAI_E_INVALID, "glu: kind %d", kind);
    if (!gate.buf) return decai__fail(DECAI_E_INVALID, "glu: gate is not a buffer of this backend");
    return elementwise(c, "glu", DECAI__K_GLU, (decai__call){ .ry = y, .rx = gate, .rw = up, .kind = kind, .items = count, .cost = 16 });
}

int32_t
decai__op_add(decai__compute *c, decai__ref y, decai__ref a, decai__ref b, size_t count)
{
    if (!a.buf || !b.buf) return decai__fail(DECAI_E_INVALID, "add: an input is not a buffer of this backend");
    return elementwise(c, "add", DECAI__K_ADD, (decai__call){ .ry = y, .rx = a, .rw = b, .items = count, .cost = 1 });
}

int32_t
decai__op_softcap(decai__compute *c, decai__ref x, float cap, size_t count)
{
    float inverse;
    int32_t r = decai__op_cap_inverse("softcap", cap, &inverse);
    if (r) return r;
    return elementwise(c, "softcap", DECAI__K_SOFTCAP, (decai__call){ .ry = x, .scale = cap, .inverse = inverse, .items = count,
        .cost = 16, .y_in = true });
}
