/* host.c - scalar and native: host memory and slices over the context's pool.
 *
 * An op is cut into at most c->slices ranges of items; each range runs one inner
 * loop in the contract's floating-point mode. Items never share an output, so
 * the number of slices and who runs them cannot show in a result. */
#include <string.h>

#include "compute/backend.h"

#define ALIGN 64

static void
host_close(decai__compute *c)
{
    (void)c;
}

static int32_t
host_sync(decai__compute *c)
{
    (void)c;
    return 0;
}

static int32_t
host_alloc(decai__tbuf *b)
{
    size_t size;
    /* A tail of 64 zero bytes: SIMD may read past the last row, never write. */
    if (!decai__add_size(&size, b->size, 2 * ALIGN)) return decai__fail(DECAI_E_NOMEM, "compute buffer: %zu bytes", b->size);
    b->host_block = decai__calloc(b->c->ctx, 1, size);
    if (!b->host_block) return DECAI_E_NOMEM;
    b->host = (uint8_t *)(((uintptr_t)b->host_block + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    return 0;
}

static void
host_release(decai__tbuf *b)
{
    decai__free(b->c->ctx, b->host_block);
}

static int32_t
host_write(decai__tbuf *b, size_t at, const void *data, size_t len)
{
    memcpy(b->host + at, data, len);
    return 0;
}

static int32_t
host_read(decai__tbuf *b, size_t at, void *data, size_t len)
{
    if (len) memcpy(data, b->host + at, len);
    return 0;
}

static int32_t
host_copy(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len)
{
    memcpy(to->host + to_at, from->host + from_at, len);
    return 0;
}

/* ---- slices ------------------------------------------------------------------- */

typedef struct slicing {
    decai__call *call;
    decai__kernel kernel;
    size_t items, slices, unit;
} slicing;

/* Slice i of the items, cut at multiples of unit. */
static void
run_slice(void *user, size_t i)
{
    const slicing *s = user;
    size_t units = (s->items + s->unit - 1) / s->unit;
    size_t first = units * i / s->slices * s->unit, end = units * (i + 1) / s->slices * s->unit;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    s->kernel(s->call, first, DECAI__MIN(end, s->items), i);
    decai__fpu_leave(&fpu);
}

static size_t
slices_for(const decai__compute *c, size_t items, size_t unit)
{
    size_t units = (items + unit - 1) / unit;
    return DECAI__MAX((size_t)1, DECAI__MIN(c->slices, units));
}

/* unit: the least number of items worth a slice of its own. */
/* About 10 us of work a slice, so that waking a thread pays; whole units. */
static size_t
unit_for(const decai__call *a)
{
    size_t items = DECAI__MAX((size_t)1, 16384 / DECAI__MAX((size_t)1, a->cost));
    return (items + a->unit - 1) / a->unit * a->unit;
}

static int32_t
host_run(decai__compute *c, int op, decai__call *a)
{
    decai__kernel kernel = c->kernels->op[op] ? c->kernels->op[op] : decai__kernels_scalar.op[op];
    slicing s = { a, kernel, a->items, 0, unit_for(a) };
    s.slices = slices_for(c, s.items, s.unit);
    if (a->scratch_stride) {
        a->scratch = decai__calloc(c->ctx, s.slices, a->scratch_stride * 4);
        if (!a->scratch) return DECAI_E_NOMEM;
    }
    if (s.slices == 1) run_slice(&s, 0);
    else decai__parallel(c->ctx, s.slices, run_slice, &s);
    decai__free(c->ctx, a->scratch);
    if (!atomic_load(&a->bad)) return 0;
    return decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", a->what);
}

static int32_t
host_prepare(decai__matrix *m, const uint8_t *data)
{
    return m->c->kernels->prepare ? m->c->kernels->prepare(m, data) : decai__matrix_keep_raw(m, data);
}

static void
host_forget(decai__matrix *m)
{
    if (m->c->kernels->forget) m->c->kernels->forget(m);
}

#define HOST_TABLE(kind) { \
    .name = kind, .close = host_close, .sync = host_sync, .alloc = host_alloc, .release = host_release, \
    .write = host_write, .read = host_read, .copy = host_copy, .prepare = host_prepare, .forget = host_forget, \
    .kv_open = decai__kv_host_open, .kv_close = decai__kv_host_close, .kv_reserve = decai__kv_host_reserve, \
    .kv_get = decai__kv_host_get, .kv_put = decai__kv_host_put, .run = host_run }

const decai__backend decai__host_scalar = HOST_TABLE("scalar");
const decai__backend decai__host_native = HOST_TABLE("native");
