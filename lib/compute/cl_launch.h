/* cl_launch.h - putting one kernel launch together: arguments in the order of
 * kernels/<op>.cl, then one enqueue. The first failure sticks. Offsets go in as
 * elements; the doors have checked every range. */
#ifndef DECAI__CL_LAUNCH_H
#define DECAI__CL_LAUNCH_H

#include "compute/cl_backend.h"

typedef struct launch {
    decai__compute *c;
    decai__cl *s;
    cl_kernel k;
    cl_uint next;
    cl_int e;
} launch;

static inline launch
launch_begin(decai__compute *c, cl_kernel kernel)
{
    return (launch){ c, c->impl, kernel, 0, CL_SUCCESS };
}

static inline void
arg(launch *l, size_t size, const void *value)
{
    if (!l->e) l->e = decai__cl_arg(l->s->hook, l->k, l->next++, size, value);
}

static inline void arg_mem(launch *l, cl_mem m) { arg(l, sizeof m, &m); }
static inline void arg_u32(launch *l, size_t v) { cl_uint u = (cl_uint)v; arg(l, sizeof u, &u); }
static inline void arg_i32(launch *l, int32_t v) { cl_int u = v; arg(l, sizeof u, &u); }
static inline void arg_u64(launch *l, size_t v) { cl_ulong u = v; arg(l, sizeof u, &u); }
static inline void arg_f32(launch *l, float v) { cl_float u = v; arg(l, sizeof u, &u); }

/* A buffer and the place in it, counted in elements of `each` bytes. A kernel that
 * does not read an operand still wants a buffer: the status word stands in. */
static inline void
arg_ref(launch *l, decai__ref r, size_t each)
{
    arg_mem(l, r.buf ? r.buf->device : l->s->status);
    arg_u64(l, r.at / each);
}

/* The expert of each token: route, slot of used; used 0: none. */
static inline void
arg_route(launch *l, const decai__call *a)
{
    arg_ref(l, a->rz, 4);
    arg_u32(l, a->slot);
    arg_u32(l, a->used);
}

/* The status word and this op's number. */
static inline void
arg_status(launch *l, const char *what)
{
    arg_mem(l, l->s->status);
    arg_u32(l, l->s->pending);
    l->s->names[l->s->pending++] = what;
}

/* When the table of names is full, look first. */
static inline int32_t
room_for_name(decai__compute *c)
{
    const decai__cl *s = c->impl;
    return s->pending < PENDING_MAX ? 0 : decai__cl_sync(c);
}

/* Work-groups of `local` items in the first dimension; x is rounded up to it. */
static inline int32_t
launch_end(launch *l, const char *op, size_t x, size_t y, size_t z, size_t local)
{
    const size_t global[3] = { (x + local - 1) / local * local, y, z }, locals[3] = { local, 1, 1 };
    if (!l->e) l->e = decai__cl_run(l->s->hook, l->s->queue, l->k, global, locals);
    return decai__cl_failed(l->c, op, l->e);
}

/* `count` floats by ELEMENTS (kernels/_math.cl), for each of y rows. */
static inline int32_t
launch_elements(launch *l, const char *op, size_t count, size_t y)
{
    if (l->s->wide) return launch_end(l, op, (count + ELEMENTS_CHUNK - 1) / ELEMENTS_CHUNK, y, 1, 1);
    return launch_end(l, op, count, y, 1, GROUP_ITEMS);
}

#endif /* DECAI__CL_LAUNCH_H */
