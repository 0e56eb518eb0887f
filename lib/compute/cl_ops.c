/* cl_ops.c - ops as kernel launches; products and attention have files of their own.
 * Embeddings are read from the model's mapping, so the host makes them. */
#include "compute/cl_launch.h"

/* 1/dim, divided here, in the contract's mode. */
static float
inverse_of(size_t dim)
{
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    volatile float inverse = 1.0f / (float)dim;
    decai__fpu_leave(&fpu);
    return inverse;
}

static size_t
items(const decai__cl *s)
{
    return s->wide ? 1 : GROUP_ITEMS;
}

static int32_t
cl_norm(decai__compute *c, decai__call *a)
{
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_NORM]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_ref(&l, a->rw, 4);
    arg_ref(&l, a->rz, 4);
    arg_u32(&l, a->norm.dim);
    arg_f32(&l, inverse_of(a->norm.dim));
    arg_f32(&l, a->norm.eps);
    arg_i32(&l, a->norm.kind == DECAI__NORM_LAYER);
    arg_i32(&l, a->rz.buf != NULL);
    arg_status(&l, a->what);
    return launch_end(&l, "norm", a->items * items(l.s), 1, 1, items(l.s));
}

static int32_t
cl_quant(decai__compute *c, decai__call *a)
{
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_QUANT]);
    arg_ref(&l, a->ry, 1);
    arg_ref(&l, a->rx, 4);
    arg_u32(&l, a->dim);
    arg_u32(&l, (size_t)a->form);
    arg_u64(&l, decai__act_stride(a->form, a->dim));
    arg_status(&l, a->what);
    return launch_end(&l, "quant", a->n * items(l.s), 1, 1, items(l.s));
}

static int32_t
cl_check(decai__compute *c, decai__call *a)
{
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_CHECK]);
    arg_ref(&l, a->rx, 4);
    arg_u64(&l, a->n * a->dim);
    arg_status(&l, a->what);
    return launch_elements(&l, "check", a->n * a->dim, 1);
}

static int32_t
cl_bias(decai__compute *c, decai__call *a)
{
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_BIAS]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rw, 4);
    arg_u32(&l, a->dim);
    arg_route(&l, a);
    arg_u32(&l, a->experts);
    return launch_elements(&l, "bias", a->dim, a->n);
}

static int32_t
cl_route(decai__compute *c, decai__call *a)
{
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_ROUTE]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_u32(&l, a->n);
    arg_u32(&l, a->route.experts);
    arg_u32(&l, a->route.used);
    arg_i32(&l, a->route.kind == DECAI__ROUTE_ALL);
    arg_status(&l, a->what);
    return launch_end(&l, "route", a->n, 1, 1, 1);
}

static int32_t
cl_mix_expert(decai__compute *c, decai__call *a)
{
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_MIX_EXPERT]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_u32(&l, a->dim);
    arg_route(&l, a);
    return launch_elements(&l, "mix_expert", a->dim, a->n);
}

static int32_t
cl_rope(decai__compute *c, decai__call *a)
{
    const decai__rope *p = &a->rope;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_ROPE]);
    arg_ref(&l, a->ry, 4);
    arg_mem(&l, a->rw.buf->device);
    arg_u32(&l, p->heads);
    arg_u32(&l, p->head_dim);
    arg_u32(&l, p->rot_dim / 2);
    arg_u32(&l, p->neox);
    arg_u32(&l, p->pos);
    if (l.s->wide) return launch_end(&l, "rope", p->heads, p->n, 1, 1);
    return launch_end(&l, "rope", p->rot_dim / 2, p->heads, p->n, GROUP_ITEMS);
}

static int32_t
cl_glu(decai__compute *c, decai__call *a)
{
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_GLU]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_ref(&l, a->rw, 4);
    arg_u64(&l, a->items);
    arg_i32(&l, a->kind);
    arg_i32(&l, a->rw.buf != NULL);
    return launch_elements(&l, "glu", a->items, 1);
}

static int32_t
cl_add(decai__compute *c, decai__call *a)
{
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_ADD]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_ref(&l, a->rw, 4);
    arg_u64(&l, a->items);
    return launch_elements(&l, "add", a->items, 1);
}

static int32_t
cl_softcap(decai__compute *c, decai__call *a)
{
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_SOFTCAP]);
    arg_ref(&l, a->ry, 4);
    arg_u64(&l, a->items);
    arg_f32(&l, a->scale);
    arg_f32(&l, a->inverse);
    return launch_elements(&l, "softcap", a->items, 1);
}

static int32_t (*const ops[DECAI__K_COUNT])(decai__compute *, decai__call *) = {
    [DECAI__K_NORM] = cl_norm, [DECAI__K_QUANT] = cl_quant, [DECAI__K_CHECK] = cl_check,
    [DECAI__K_MATMUL] = decai__cl_matmul, [DECAI__K_BIAS] = cl_bias, [DECAI__K_ROUTE] = cl_route,
    [DECAI__K_MIX_EXPERT] = cl_mix_expert, [DECAI__K_ROPE] = cl_rope, [DECAI__K_KV_STORE] = decai__cl_kv_store,
    [DECAI__K_ATTENTION] = decai__cl_attention, [DECAI__K_ATTENTION_FULL] = decai__cl_attention_full,
    [DECAI__K_GLU] = cl_glu, [DECAI__K_ADD] = cl_add, [DECAI__K_SOFTCAP] = cl_softcap,
};

int32_t
decai__cl_op(decai__compute *c, int op, decai__call *a)
{
    return ops[op] ? ops[op](c, a) : decai__cl_through_host(c, op, a);
}
