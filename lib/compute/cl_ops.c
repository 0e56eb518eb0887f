/* cl_ops.c - ops as kernel launches: arguments in the order of kernels/<op>.cl,
 * then one enqueue. Offsets go in as elements; ops.c has checked every range. */
#include <string.h>

#include "compute/cl_backend.h"

/* A launch being put together; the first failure sticks. */
typedef struct launch {
    decai__compute *c;
    decai__cl *s;
    cl_kernel k;
    cl_uint next;
    cl_int e;
} launch;

static launch
begin(decai__compute *c, int kernel)
{
    decai__cl *s = c->impl;
    return (launch){ c, s, s->kernels[kernel], 0, CL_SUCCESS };
}

static void
arg(launch *l, size_t size, const void *value)
{
    if (!l->e) l->e = decai__cl_arg(l->s->hook, l->k, l->next++, size, value);
}

static void arg_mem(launch *l, cl_mem m) { arg(l, sizeof m, &m); }
static void arg_u32(launch *l, size_t v) { cl_uint u = (cl_uint)v; arg(l, sizeof u, &u); }
static void arg_i32(launch *l, int32_t v) { cl_int u = v; arg(l, sizeof u, &u); }
static void arg_u64(launch *l, size_t v) { cl_ulong u = v; arg(l, sizeof u, &u); }
static void arg_f32(launch *l, float v) { cl_float u = v; arg(l, sizeof u, &u); }
static void arg_local(launch *l, size_t size) { arg(l, size, NULL); }

/* A buffer and the place in it, counted in elements of `each` bytes. */
static void
arg_ref(launch *l, decai__ref r, size_t each)
{
    arg_mem(l, r.buf->device);
    arg_u64(l, r.at / each);
}

/* The status word and this op's number; when the table of names is full, look first. */
static int32_t
room_for_name(decai__compute *c)
{
    decai__cl *s = c->impl;
    return s->pending < PENDING_MAX ? 0 : decai__cl_sync(c);
}

static void
arg_status(launch *l, const char *what)
{
    arg_mem(l, l->s->status);
    arg_u32(l, l->s->pending);
    l->s->names[l->s->pending++] = what;
}

/* Work-groups of `local` items in the first dimension; x is rounded up to it. */
static int32_t
end(launch *l, const char *op, size_t x, size_t y, size_t z, size_t local)
{
    const size_t global[3] = { (x + local - 1) / local * local, y, z }, locals[3] = { local, 1, 1 };
    if (!l->e) l->e = decai__cl_run(l->s->hook, l->s->queue, l->k, global, locals);
    return decai__cl_failed(l->c, op, l->e);
}

/* Plain elementwise kernels: a CPU device takes long groups, whose items its
 * compiler turns into vector loops. */
static size_t
span(const decai__cl *s, size_t count)
{
    size_t most = s->group == 1 ? 1024 : LOCAL_MAX, local = 1;
    while (local < most && local < count) local *= 2;
    return local;
}

static int32_t
cl_norm(decai__compute *c, decai__call *a)
{
    if (a->norm.kind != DECAI__NORM_RMS) return decai__cl_through_host(c, DECAI__K_NORM, a);
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = begin(c, K_NORM);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_ref(&l, a->rw, 4);
    arg_u32(&l, a->dim);
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    volatile float inverse = 1.0f / (float)a->dim;   /* volatile: divided here, in this mode */
    decai__fpu_leave(&fpu);
    arg_f32(&l, inverse);
    arg_f32(&l, a->norm.eps);
    arg_status(&l, a->what);
    return end(&l, "norm", a->items * l.s->group, 1, 1, l.s->group);
}

static int32_t
cl_quant(decai__compute *c, decai__call *a)
{
    if (a->form != DECAI__ACT_32) return decai__cl_through_host(c, DECAI__K_QUANT, a);
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = begin(c, K_QUANT);
    arg_ref(&l, a->ry, 1);
    arg_ref(&l, a->rx, 4);
    arg_u32(&l, a->dim);
    arg_u64(&l, decai__act_stride(a->form, a->dim));
    arg_status(&l, a->what);
    arg_local(&l, l.s->group * 4);
    return end(&l, "quant", a->n * l.s->group, 1, 1, l.s->group);
}

static int32_t
cl_check(decai__compute *c, decai__call *a)
{
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = begin(c, K_CHECK);
    arg_ref(&l, a->rx, 4);
    arg_u64(&l, a->n * a->dim);
    arg_status(&l, a->what);
    return end(&l, "check", a->n * a->dim, 1, 1, span(l.s, a->n * a->dim));
}

static int32_t
integer_part(decai__compute *c, decai__call *a, int kernel, size_t first, size_t items)
{
    const decai__matrix *m = a->m;
    launch l = begin(c, kernel);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 1);
    arg_u64(&l, decai__act_stride(m->act, m->cols));
    arg_mem(&l, m->exponents->device);
    arg_mem(&l, m->scales->device);
    arg_mem(&l, m->quants->device);
    arg_u32(&l, m->rows);
    arg_u32(&l, m->cols);
    arg_u32(&l, a->n);
    arg_u32(&l, first);
    /* On a CPU a group of 16 rows amortises the launch of a group; more only unbalances. */
    return end(&l, "matmul", m->rows, items, 1, l.s->group == 1 ? 16 : LOCAL_MAX);
}

static int32_t
cl_matmul(decai__compute *c, decai__call *a)
{
    const decai__matrix *m = a->m;
    if (m->raw) return decai__cl_through_host(c, DECAI__K_MATMUL, a);
    if (m->act >= 0) {
        bool q8 = m->type == DECAI__Q8_0;
        size_t fours = a->n / 4, rest = a->n % 4;
        int32_t r = fours ? integer_part(c, a, q8 ? K_MATMUL_Q8_X4 : K_MATMUL_Q4_X4, 0, fours) : 0;
        return r || !rest ? r : integer_part(c, a, q8 ? K_MATMUL_Q8 : K_MATMUL_Q4, fours * 4, rest);
    }
    launch l = begin(c, K_MATMUL_FLOAT);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_i32(&l, m->type);
    arg_mem(&l, m->quants->device);
    arg_u64(&l, m->row_bytes);
    arg_u32(&l, m->rows);
    arg_u32(&l, m->cols);
    return end(&l, "matmul", m->rows, a->n, 1, l.s->group == 1 ? 16 : LOCAL_MAX);
}

static int32_t
cl_rope(decai__compute *c, decai__call *a)
{
    const decai__rope *p = &a->rope;
    launch l = begin(c, K_ROPE);
    arg_ref(&l, a->ry, 4);
    arg_mem(&l, a->rw.buf->device);
    arg_u32(&l, p->heads);
    arg_u32(&l, p->head_dim);
    arg_u32(&l, p->rot_dim / 2);
    arg_u32(&l, p->neox);
    arg_u32(&l, p->pos);
    return end(&l, "rope", p->rot_dim / 2, p->heads, p->n, span(l.s, p->rot_dim / 2));
}

static int32_t
elementwise(decai__compute *c, decai__call *a, int kernel, const char *op)
{
    launch l = begin(c, kernel);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_ref(&l, a->rw, 4);
    arg_u64(&l, a->n);
    return end(&l, op, a->n, 1, 1, span(l.s, a->n));
}

static int32_t cl_add(decai__compute *c, decai__call *a) { return elementwise(c, a, K_ADD, "add"); }

static int32_t
cl_glu(decai__compute *c, decai__call *a)
{
    if (a->kind != DECAI__GLU_SILU || !a->rw.buf) return decai__cl_through_host(c, DECAI__K_GLU, a);
    return elementwise(c, a, K_SILU_MUL, "glu");
}

static int32_t (*const ops[DECAI__K_COUNT])(decai__compute *, decai__call *) = {
    [DECAI__K_NORM] = cl_norm, [DECAI__K_QUANT] = cl_quant, [DECAI__K_CHECK] = cl_check, [DECAI__K_MATMUL] = cl_matmul,
    [DECAI__K_ROPE] = cl_rope, [DECAI__K_GLU] = cl_glu, [DECAI__K_ADD] = cl_add,
};

int32_t
decai__cl_op(decai__compute *c, int op, decai__call *a)
{
    return ops[op] ? ops[op](c, a) : decai__cl_through_host(c, op, a);
}

/* Split rows where a kernel reads them, raw ones for the way through the host. */
int32_t
decai__cl_prepare(decai__matrix *m, const uint8_t *data)
{
    bool ours = m->act < 0 || m->type == DECAI__Q8_0 || m->type == DECAI__Q4_0;
    return ours && m->experts == 1 ? decai__matrix_split(m, data) : decai__matrix_keep_raw(m, data);
}
