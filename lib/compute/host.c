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
static int32_t
run(decai__compute *c, decai__call *a, decai__kernel kernel, size_t items, size_t unit)
{
    slicing s = { a, kernel, items, slices_for(c, items, unit), unit };
    if (s.slices == 1)
        run_slice(&s, 0);
    else
        decai__parallel(c->ctx, s.slices, run_slice, &s);
    if (!atomic_load(&a->bad)) return 0;
    return decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", a->what);
}

/* ---- ops -------------------------------------------------------------------------- */

/* About 10 us of work, so that waking a thread pays. */
static size_t
unit_for(size_t cost_of_one)
{
    return DECAI__MAX((size_t)1, 16384 / DECAI__MAX((size_t)1, cost_of_one));
}

static int32_t
host_embed(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->embed, a->n, unit_for(a->dim));
}

static int32_t
host_norm(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->norm, a->n, unit_for(a->dim * 4));
}

static int32_t
host_quant(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->quant, a->n, unit_for(a->dim * 4));
}

static int32_t
host_check(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->check, a->n, unit_for(a->dim));
}

/* Items are rows, in units of 8: the tile height of the SIMD kernels. */
static int32_t
host_matmul(decai__compute *c, decai__call *a)
{
    size_t unit = unit_for(a->dim * a->n / 8);
    return run(c, a, c->kernels->matmul, a->m->rows, (unit + 7) / 8 * 8);
}

static int32_t
host_rope(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->rope, a->n, unit_for(a->rope.heads * a->rope.rot_dim));
}

/* Items are (token, head) pairs; each slice has room for one row of scores. */
static int32_t
host_attention(decai__compute *c, decai__call *a)
{
    const decai__attn *p = &a->attn;
    size_t items = p->n * p->heads, positions = p->pos + p->n, unit = unit_for(positions * p->head_dim);
    size_t page_up = (positions + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE * DECAI__KV_PAGE;
    a->scratch_stride = page_up + DECAI__HEAD_MAX;
    a->scratch = decai__calloc(c->ctx, slices_for(c, items, unit), a->scratch_stride * 4);
    if (!a->scratch) return DECAI_E_NOMEM;
    int32_t r = run(c, a, c->kernels->attention, items, unit);
    decai__free(c->ctx, a->scratch);
    return r;
}

static int32_t
host_silu_mul(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->silu_mul, a->n, 4096);
}

static int32_t
host_add(decai__compute *c, decai__call *a)
{
    return run(c, a, c->kernels->add, a->n, 16384);
}

#define HOST_TABLE(kind) { \
    .name = kind, .close = host_close, .sync = host_sync, .alloc = host_alloc, .release = host_release, \
    .write = host_write, .read = host_read, .copy = host_copy, .embed = host_embed, .norm = host_norm, \
    .quant = host_quant, .check = host_check, .matmul = host_matmul, .rope = host_rope, \
    .attention = host_attention, .silu_mul = host_silu_mul, .add = host_add }

const decai__backend decai__host_scalar = HOST_TABLE("scalar");
const decai__backend decai__host_native = HOST_TABLE("native");
