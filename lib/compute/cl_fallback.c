/* cl_fallback.c - an op that has no kernel of its own yet goes through host memory:
 * inputs are read back (which waits for the queue), scalar's loop runs, the output
 * is written. Slow and right; caches of such a backend live in host memory. */
#include "compute/backend.h"

/* A host copy of one operand, or NULL where the op has none. */
static int32_t
fetch(decai__compute *c, decai__ref r, size_t len, bool fill, uint8_t **out)
{
    *out = NULL;
    if (!r.buf || !len) return 0;
    *out = decai__alloc(c->ctx, len);
    if (!*out) return DECAI_E_NOMEM;
    return fill ? c->table->read(r.buf, r.at, *out, len) : 0;
}

static void
run_all(decai__compute *c, int op, decai__call *a)
{
    decai__fpu fpu;
    (void)c;
    decai__fpu_enter(&fpu);
    decai__kernels_scalar.op[op](a, 0, a->items, 0);
    decai__fpu_leave(&fpu);
}

int32_t
decai__cl_through_host(decai__compute *c, int op, decai__call *a)
{
    uint8_t *y = NULL, *x = NULL, *w = NULL, *z = NULL;
    int32_t r = fetch(c, a->ry, a->ny, a->y_in, &y);
    if (!r) r = fetch(c, a->rx, a->nx, true, &x);
    if (!r) r = fetch(c, a->rw, a->nw, true, &w);
    if (!r) r = fetch(c, a->rz, a->nz, true, &z);
    if (!r && a->scratch_stride) {
        a->scratch = decai__calloc(c->ctx, a->scratch_stride, 4);
        if (!a->scratch) r = DECAI_E_NOMEM;
    }
    if (!r) {
        a->y = y;
        a->x = x;
        a->w = w;
        a->z = z;
        run_all(c, op, a);
        if (atomic_load(&a->bad)) r = decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", a->what);
    }
    if (!r && y) r = c->table->write(a->ry.buf, a->ry.at, y, a->ny);
    decai__free(c->ctx, a->scratch);
    decai__free(c->ctx, y);
    decai__free(c->ctx, x);
    decai__free(c->ctx, w);
    decai__free(c->ctx, z);
    return r;
}
