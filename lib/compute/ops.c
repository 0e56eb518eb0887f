/* ops.c - the door of every op: sizes and places checked once, for all backends.
 * A kernel behind it may assume that every byte it touches is inside its buffer. */
#include <string.h>

#include "compute/backend.h"

/* Every buffer belongs to this backend; [at, at + len) lies inside; aligned. */
static int32_t
place(const decai__compute *c, const char *op, const char *arg, decai__ref r, size_t count, size_t each, size_t align)
{
    size_t len;
    if (!r.buf || r.buf->c != c) return decai__fail(DECAI_E_INVALID, "%s: %s is not a buffer of this backend", op, arg);
    if (r.at % align) return decai__fail(DECAI_E_INVALID, "%s: %s at %zu, not a multiple of %zu", op, arg, r.at, align);
    if (!decai__mul_size(&len, count, each) || r.at > r.buf->size || len > r.buf->size - r.at)
        return decai__fail(DECAI_E_INVALID, "%s: %s needs %zu x %zu bytes at %zu of %zu", op, arg, count, each, r.at, r.buf->size);
    return 0;
}

static int32_t
ready(const decai__compute *c, const char *op, size_t n)
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
    return r.buf->host ? r.buf->host + r.at : NULL;
}

static void
resolve(decai__call *a)
{
    if (a->ry.buf) a->y = host_at(a->ry);
    if (a->rx.buf) a->x = host_at(a->rx);
    if (a->rw.buf) a->w = host_at(a->rw);
    if (a->rz.buf) a->z = host_at(a->rz);
}

int32_t
decai__op_embed(decai__compute *c, decai__ref y, const decai__matrix *m, const uint32_t *ids, size_t n)
{
    int32_t r = ready(c, "embed", n);
    if (r) return r;
    if (m->c != c) return decai__fail(DECAI_E_INVALID, "embed: %s belongs to another backend", m->name);
    r = place(c, "embed", "y", y, n, m->cols * 4, 4);
    if (r) return r;
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= m->rows) return decai__fail(DECAI_E_INVALID, "embed: token %u of %zu", ids[i], m->rows);
    decai__call a = { .m = m, .ids = ids, .ry = y, .n = n, .dim = m->cols };
    resolve(&a);
    return c->table->embed(c, &a);
}

int32_t
decai__op_norm(decai__compute *c, decai__ref y, decai__ref x, decai__ref w, size_t n, size_t dim,
    float eps, const char *what)
{
    int32_t r = ready(c, "norm", n);
    if (!r && (dim == 0 || dim > DECAI_COMPUTE_COLS_MAX)) r = decai__fail(DECAI_E_INVALID, "norm: dim %zu", dim);
    if (!r && !(eps >= 0x1p-60f && eps <= 1.0f)) r = decai__fail(DECAI_E_INVALID, "norm: eps is not between 2^-60 and 1");
    if (!r) r = place(c, "norm", "y", y, n, dim * 4, 4);
    if (!r) r = place(c, "norm", "x", x, n, dim * 4, 4);
    if (!r) r = place(c, "norm", "w", w, 1, dim * 4, 4);
    if (!r) r = apart("norm", y, x, n * dim * 4);
    if (r) return r;
    decai__call a = { .ry = y, .rx = x, .rw = w, .n = n, .dim = dim, .eps = eps, .what = what };
    resolve(&a);
    return c->table->norm(c, &a);
}

int32_t
decai__op_quant(decai__compute *c, decai__ref act, decai__ref x, size_t n, size_t dim, const char *what)
{
    int32_t r = ready(c, "quant", n);
    if (!r && !decai__row_size(DECAI__Q8_0, dim)) r = decai__fail(DECAI_E_INVALID, "quant: dim %zu", dim);
    if (!r) r = place(c, "quant", "act", act, n, decai__act_stride(dim), 64);
    if (!r) r = place(c, "quant", "x", x, n, dim * 4, 4);
    if (!r && act.buf == x.buf) r = decai__fail(DECAI_E_INVALID, "quant: act and x share a buffer");
    if (r) return r;
    decai__call a = { .ry = act, .rx = x, .n = n, .dim = dim, .what = what };
    resolve(&a);
    return c->table->quant(c, &a);
}

int32_t
decai__op_check(decai__compute *c, decai__ref x, size_t n, size_t dim, const char *what)
{
    int32_t r = ready(c, "check", n);
    if (!r && (dim == 0 || dim > DECAI_COMPUTE_COLS_MAX)) r = decai__fail(DECAI_E_INVALID, "check: dim %zu", dim);
    if (!r) r = place(c, "check", "x", x, n, dim * 4, 4);
    if (r) return r;
    decai__call a = { .rx = x, .n = n, .dim = dim, .what = what };
    resolve(&a);
    return c->table->check(c, &a);
}

int32_t
decai__op_matmul(decai__compute *c, decai__ref y, const decai__matrix *m, decai__ref in, size_t n)
{
    int32_t r = ready(c, "matmul", n);
    if (r) return r;
    if (m->c != c) return decai__fail(DECAI_E_INVALID, "matmul: %s belongs to another backend", m->name);
    bool quantised = decai__type_quantised(m->type);
    r = place(c, "matmul", "y", y, n, m->rows * 4, 4);
    if (!r) r = place(c, "matmul", "in", in, n, quantised ? decai__act_stride(m->cols) : m->cols * 4, quantised ? 64 : 4);
    if (!r && y.buf == in.buf) r = decai__fail(DECAI_E_INVALID, "matmul: y and in share a buffer");
    if (r) return r;
    decai__call a = { .m = m, .ry = y, .rx = in, .n = n, .dim = m->cols };
    resolve(&a);
    return c->table->matmul(c, &a);
}

int32_t
decai__rope_table_create(decai__tbuf **out, decai__compute *c, size_t positions, size_t rot_dim, double base)
{
    *out = NULL;
    if (!positions || positions > POSITIONS_MAX || !rot_dim || rot_dim > DECAI__HEAD_MAX || rot_dim % 2)
        return decai__fail(DECAI_E_INVALID, "rope table: %zu positions, rot_dim %zu", positions, rot_dim);
    if (!(base >= 1.0 && base <= 1e12)) return decai__fail(DECAI_E_INVALID, "rope table: base is not between 1 and 10^12");
    size_t pairs = rot_dim / 2, bytes = positions * pairs * 8;
    float *t = decai__alloc(c->ctx, bytes);
    if (!t) return DECAI_E_NOMEM;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    for (size_t pos = 0; pos < positions; pos++)
        for (size_t j = 0; j < pairs; j++) {
            float *at = t + (pos * pairs + j) * 2;
            decai__leaf_rope_angle(at, at + 1, pos, j, rot_dim, base);
        }
    decai__fpu_leave(&fpu);
    int32_t r = decai__tbuf_create(out, c, bytes);
    if (!r) r = decai__tbuf_write(*out, 0, t, bytes);
    decai__free(c->ctx, t);
    if (r) {
        decai__tbuf_destroy(*out);
        *out = NULL;
    }
    return r;
}

int32_t
decai__op_rope(decai__compute *c, decai__ref x, decai__tbuf *table, const decai__rope *p)
{
    int32_t r = ready(c, "rope", p->n);
    if (r) return r;
    if (!p->heads || p->heads > 65536 || !p->head_dim || p->head_dim > DECAI__HEAD_MAX
        || !p->rot_dim || p->rot_dim % 2 || p->rot_dim > p->head_dim || p->pos > POSITIONS_MAX)
        return decai__fail(DECAI_E_INVALID, "rope: %zu heads of %zu, rot_dim %zu, pos %zu",
            p->heads, p->head_dim, p->rot_dim, p->pos);
    r = place(c, "rope", "x", x, p->n * p->heads, p->head_dim * 4, 4);
    if (!r) r = place(c, "rope", "table", DECAI__REF(table), p->pos + p->n, p->rot_dim * 4, 4);
    if (r) return r;
    decai__call a = { .ry = x, .rw = DECAI__REF(table), .n = p->n, .rope = *p };
    resolve(&a);
    return c->table->rope(c, &a);
}

int32_t
decai__op_attention(decai__compute *c, decai__ref y, decai__ref q, decai__ref k, decai__ref v,
    const decai__attn *p, const char *what)
{
    int32_t r = ready(c, "attention", p->n);
    if (r) return r;
    if (!p->heads || p->heads > 65536 || !p->kv_heads || p->heads % p->kv_heads
        || !p->head_dim || p->head_dim > DECAI__HEAD_MAX || p->pos > POSITIONS_MAX)
        return decai__fail(DECAI_E_INVALID, "attention: %zu heads, %zu of KV, head_dim %zu, pos %zu",
            p->heads, p->kv_heads, p->head_dim, p->pos);
    r = place(c, "attention", "y", y, p->n * p->heads, p->head_dim * 4, 4);
    if (!r) r = place(c, "attention", "q", q, p->n * p->heads, p->head_dim * 4, 4);
    if (!r) r = place(c, "attention", "k", k, p->pos + p->n, p->kv_heads * p->head_dim * 4, 4);
    if (!r) r = place(c, "attention", "v", v, p->pos + p->n, p->kv_heads * p->head_dim * 4, 4);
    if (!r && (y.buf == q.buf || y.buf == k.buf || y.buf == v.buf))
        r = decai__fail(DECAI_E_INVALID, "attention: y shares a buffer with an input");
    if (r) return r;
    decai__call a = { .ry = y, .rx = q, .rw = k, .rz = v, .n = p->n, .attn = *p, .what = what };
    resolve(&a);
    return c->table->attention(c, &a);
}

static int32_t
elementwise(decai__compute *c, decai__call *a, const char *op, size_t count)
{
    int32_t r = ready(c, op, 1);
    if (!r && !count) r = decai__fail(DECAI_E_INVALID, "%s: no elements", op);
    if (!r) r = place(c, op, "y", a->ry, count, 4, 4);
    if (!r) r = place(c, op, "a", a->rx, count, 4, 4);
    if (!r) r = place(c, op, "b", a->rw, count, 4, 4);
    if (!r) r = apart(op, a->ry, a->rx, count * 4);
    if (!r) r = apart(op, a->ry, a->rw, count * 4);
    if (!r) resolve(a);
    return r;
}

int32_t
decai__op_silu_mul(decai__compute *c, decai__ref y, decai__ref gate, decai__ref up, size_t count)
{
    decai__call a = { .ry = y, .rx = gate, .rw = up, .n = count };
    int32_t r = elementwise(c, &a, "silu_mul", count);
    return r ? r : c->table->silu_mul(c, &a);
}

int32_t
decai__op_add(decai__compute *c, decai__ref y, decai__ref a, decai__ref b, size_t count)
{
    decai__call call = { .ry = y, .rx = a, .rw = b, .n = count };
    int32_t r = elementwise(c, &call, "add", count);
    return r ? r : c->table->add(c, &call);
}
