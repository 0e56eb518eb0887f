/* host.c - scalar and native: host memory and slices over the context's pool.
 *
 * An op is items; at most c->slices threads take chunks of them and run one inner
 * loop in the contract's floating-point mode. Items never share an output, so the
 * number of slices, chunks and who runs them cannot show in a result. Ops too small
 * to share run on the calling thread. */
#include <string.h>

#include "compute/backend.h"

#define ALIGN 64

/* Memory that drivers use between two ops; grows, and is never shrunk. */
typedef struct host_room {
    size_t size;
    uint8_t *at;
    void *block;
} host_room;

static void
host_close(decai__compute *c)
{
    host_room *room = c->impl;
    if (!room) return;
    decai__free(c->ctx, room->block);
    decai__free(c->ctx, room);
}

void *
decai__host_room(decai__compute *c, size_t bytes)
{
    host_room *room = c->impl;
    if (!room) room = c->impl = decai__calloc(c->ctx, 1, sizeof *room);
    if (!room) return NULL;
    if (room->size >= bytes) return room->at;
    decai__free(c->ctx, room->block);
    *room = (host_room){ 0 };
    bytes += bytes / 4;              /* contexts grow by one position at a time */
    room->block = decai__alloc(c->ctx, bytes + ALIGN);
    if (!room->block) return NULL;
    room->at = (uint8_t *)(((uintptr_t)room->block + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    room->size = bytes;
    return room->at;
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

static void
host_begin(decai__compute *c)
{
    if (c->slices > 1) decai__parallel_begin(c->ctx);
}

static void
host_end(decai__compute *c)
{
    if (c->slices > 1) decai__parallel_end(c->ctx);
}

/* ---- slices -------------------------------------------------------------------
 * A slice is a place to work in: a number for scratch space. Whoever has it takes
 * chunks of items until there are none, so a late or slow thread costs one chunk. */

#define CHUNKS 4                     /* a slice, if the items allow */

typedef struct slicing {
    decai__call *call;
    decai__kernel kernel;
    size_t items, unit, chunk, units;
    atomic_size_t next;
} slicing;

static void
run_slice(void *user, size_t i)
{
    slicing *s = user;
    size_t at;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    while ((at = atomic_fetch_add_explicit(&s->next, s->chunk, memory_order_relaxed)) < s->units)
        s->kernel(s->call, at * s->unit, DECAI__MIN((at + s->chunk) * s->unit, s->items), i);
    decai__fpu_leave(&fpu);
}

static void
items_run(decai__compute *c, decai__call *a, decai__kernel kernel, size_t items, size_t unit, size_t slices)
{
    size_t units = (items + unit - 1) / unit;
    slicing s = { .call = a, .kernel = kernel, .items = items, .unit = unit, .units = units };
    s.chunk = slices == 1 ? units : DECAI__MAX((size_t)1, units / (slices * CHUNKS));
    atomic_init(&s.next, 0);
    if (slices == 1) run_slice(&s, 0);
    else decai__parallel(c->ctx, slices, run_slice, &s);
}

static size_t
slices_for(const decai__compute *c, size_t items, size_t unit)
{
    size_t units = (items + unit - 1) / unit;
    return DECAI__MAX((size_t)1, DECAI__MIN(c->slices, units));
}

void
decai__host_items(decai__compute *c, decai__call *a, decai__kernel kernel, size_t items, size_t unit)
{
    items_run(c, a, kernel, items, unit, slices_for(c, items, unit));
}

#define CHUNK_CYCLES 8192            /* some 2 us: what handing out a chunk may cost is a few per cent */

size_t
decai__host_unit(size_t cost)
{
    return DECAI__MAX((size_t)1, CHUNK_CYCLES / DECAI__MAX((size_t)1, cost));
}

/* ---- ops -------------------------------------------------------------------------- */

/* Whole units of items worth a chunk. cost counts elementary steps: one or two
 * cycles in a scalar loop, an eighth of one in lanes. */
static size_t
unit_for(const decai__compute *c, const decai__call *a)
{
    size_t cost = c->kernels == &decai__kernels_scalar ? a->cost : a->cost / 8;
    return (decai__host_unit(cost) + a->unit - 1) / a->unit * a->unit;
}

static int32_t
host_run(decai__compute *c, int op, decai__call *a)
{
    decai__kernel kernel = c->kernels->op[op] ? c->kernels->op[op] : decai__kernels_scalar.op[op];
    if (c->kernels->drive[op]) {
        int32_t r = c->kernels->drive[op](c, a);
        if (r) return r;
    } else {
        size_t unit = unit_for(c, a), slices = slices_for(c, a->items, unit);
        if (a->scratch_stride) {
            a->scratch = decai__host_room(c, slices * a->scratch_stride * 4);
            if (!a->scratch) return DECAI_E_NOMEM;
        }
        items_run(c, a, kernel, a->items, unit, slices);
    }
    if (!atomic_load(&a->bad)) return 0;
    return decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", a->what);
}

/* Calls, each of them whole: items of one call stay together. */
typedef struct each { decai__call *calls; decai__kernel kernel; } each;

static void
each_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    const each *e = a->plan;
    for (; first < end; first++) {
        decai__call *one = &e->calls[first];
        one->scratch = a->scratch;
        one->scratch_stride = a->scratch_stride;
        e->kernel(one, 0, one->items, slice);
    }
}

static int32_t
host_run_each(decai__compute *c, int op, decai__call *calls, size_t count)
{
    each e = { calls, c->kernels->op[op] ? c->kernels->op[op] : decai__kernels_scalar.op[op] };
    decai__call all = { .plan = &e };
    size_t cost = 1;
    int32_t r = 0;

    if (op == DECAI__K_ATTENTION && c->kernels->attention_each) {
        r = c->kernels->attention_each(c, calls, count);
    } else if (c->kernels->drive[op]) {
        for (size_t i = 0; i < count && !r; i++) r = c->kernels->drive[op](c, &calls[i]);
    } else {
        for (size_t i = 0; i < count; i++) {
            all.scratch_stride = DECAI__MAX(all.scratch_stride, calls[i].scratch_stride);
            cost = DECAI__MAX(cost, calls[i].items * calls[i].cost / 8);
        }
        if (all.scratch_stride) all.scratch = decai__host_room(c, c->slices * all.scratch_stride * 4);
        if (all.scratch_stride && !all.scratch) return DECAI_E_NOMEM;
        decai__host_items(c, &all, each_items, count, decai__host_unit(cost));
    }
    for (size_t i = 0; i < count && !r; i++)
        if (atomic_load(&calls[i].bad)) r = decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large", calls[i].what);
    return r;
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
    .name = kind, .close = host_close, .sync = host_sync, .begin = host_begin, .end = host_end, .alloc = host_alloc, .release = host_release, \
    .write = host_write, .read = host_read, .copy = host_copy, .prepare = host_prepare, .forget = host_forget, \
    .kv_open = decai__kv_host_open, .kv_close = decai__kv_host_close, .kv_reserve = decai__kv_host_reserve, \
    .kv_get = decai__kv_host_get, .kv_put = decai__kv_host_put, \
    .kv_take = decai__kv_host_take, .kv_give = decai__kv_host_give, .kv_drop = decai__kv_host_drop, .run = host_run, .run_each = host_run_each }

const decai__backend decai__host_scalar = HOST_TABLE("scalar");
const decai__backend decai__host_native = HOST_TABLE("native");
