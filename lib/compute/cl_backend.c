/* cl_backend.c - an OpenCL device as a backend: one context, one in-order queue,
 * one program from the embedded kernels, buffers that stay on the device.
 *
 * Any failing call loses the device (decai__compute_lost) and is DECAI_E_DEVICE
 * with the call's name and code. Nothing here waits but reads, sync and writes
 * (whose data the caller may free on return). */
#include <string.h>

#include "compute/cl_backend.h"

int32_t
decai__cl_failed(decai__compute *c, const char *call, cl_int status)
{
    if (status == CL_SUCCESS) return 0;
    c->lost = true;
    return decai__fail(DECAI_E_DEVICE, "%s: OpenCL error %d on \"%s\"", call, (int)status, c->device);
}

/* ---- opening and closing ------------------------------------------------------ */

static int32_t
status_make(decai__compute *c, decai__cl *s)
{
    const uint32_t none = UINT32_MAX;
    cl_int e = decai__cl_buffer(s->hook, &s->status, s->context, 64);
    if (e) return decai__cl_failed(c, "clCreateBuffer", e);
    return decai__cl_failed(c, "clEnqueueWriteBuffer", decai__cl_write(s->hook, s->queue, s->status, 0, 4, &none));
}

static void
cl_close(decai__compute *c)
{
    decai__cl *s = c->impl;
    if (!s) return;
    decai__cl_hook *h = s->hook;
    /* Whatever still runs uses our memory: wait, and ignore what it says. */
    if (s->queue) decai__cl_finish(h, s->queue);
    decai__cl_drop_buffer(h, s->status);
    decai__cl_drop_buffer(h, s->scores);
    decai__cl_drop_buffer(h, s->bounds);
    decai__cl_drop_programs(s);
    decai__cl_drop_queue(h, s->queue);
    decai__cl_drop_context(h, s->context);
    decai__free(c->ctx, s);
    c->impl = NULL;
}

/* The largest buffer: the driver's word, at most half the address space of size_t. */
static cl_int
limits(decai__cl *s)
{
    cl_ulong most = 0;
    cl_uint units = 0;
    cl_int e = decai__cl_device_info(s->hook, s->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most);
    if (!e) e = decai__cl_device_info(s->hook, s->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units);
    s->units = DECAI__MAX(units, 1u);
    s->max_alloc = (size_t)DECAI__MIN(most, (cl_ulong)(SIZE_MAX / 2));
    if (s->hook->max_alloc && s->hook->max_alloc < s->max_alloc) s->max_alloc = (size_t)s->hook->max_alloc;
    return e;
}

int32_t
decai__cl_open(decai__compute *c, const char *device, const decai__cl_choice *choice, decai__cl_hook *hook)
{
    decai__cl *s = decai__calloc(c->ctx, 1, sizeof *s);
    if (!s) return DECAI_E_NOMEM;
    s->hook = hook ? hook : &s->own_hook;
    s->cache_dir = choice && choice->cache_dir ? choice->cache_dir : "";
    c->impl = s;
    cl_int e = 0;
    int32_t r = decai__cl_pick(s, device, c->device, sizeof c->device);
    if (!r) e = limits(s);
    if (!r && !e) e = decai__cl_context(s->hook, &s->context, s->platform, s->device);
    if (!r && !e) e = decai__cl_queue(s->hook, &s->queue, s->context, s->device);
    if (!r) r = decai__cl_failed(c, "opencl open", e);
    if (!r) r = decai__cl_pick_flavour(c, choice && choice->flavour ? choice->flavour : "");
    if (!r) r = decai__cl_build_base(c);
    if (!r) r = status_make(c, s);
    if (r) cl_close(c);
    return r;
}

/* ---- buffers -------------------------------------------------------------------- */

static int32_t
cl_alloc(decai__tbuf *b)
{
    decai__cl *s = b->c->impl;
    cl_mem m;
    if (b->size > SIZE_MAX - 128) return decai__fail(DECAI_E_NOMEM, "compute buffer: %zu bytes", b->size);
    size_t size = (b->size + 64) & ~(size_t)63;      /* never 0 */
    cl_int e = decai__cl_buffer(s->hook, &m, s->context, size);
    if (e) return decai__cl_failed(b->c, "clCreateBuffer", e);
    e = decai__cl_fill(s->hook, s->queue, m, 0, size);
    if (e) {
        decai__cl_drop_buffer(s->hook, m);
        return decai__cl_failed(b->c, "clEnqueueFillBuffer", e);
    }
    b->device = m;
    return 0;
}

/* The runtime keeps a buffer until queued commands are done with it. */
static void
cl_release(decai__tbuf *b)
{
    decai__cl *s = b->c->impl;
    decai__cl_drop_buffer(s->hook, b->device);
}

static int32_t
cl_write(decai__tbuf *b, size_t at, const void *data, size_t len)
{
    decai__cl *s = b->c->impl;
    return decai__cl_failed(b->c, "clEnqueueWriteBuffer", decai__cl_write(s->hook, s->queue, b->device, at, len, data));
}

static int32_t
cl_copy(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len)
{
    decai__cl *s = to->c->impl;
    return decai__cl_failed(to->c, "clEnqueueCopyBuffer",
        decai__cl_copy(s->hook, s->queue, to->device, to_at, from->device, from_at, len));
}

static int32_t
cl_read(decai__tbuf *b, size_t at, void *data, size_t len)
{
    decai__cl *s = b->c->impl;
    if (len) {
        cl_int e = decai__cl_read(s->hook, s->queue, b->device, s->pending == 0, at, len, data);
        if (e) return decai__cl_failed(b->c, "clEnqueueReadBuffer", e);
    }
    return s->pending || !len ? decai__cl_sync(b->c) : 0;
}

/* One queue in order: when the status word has arrived, all before it has. */
int32_t
decai__cl_sync(decai__compute *c)
{
    decai__cl *s = c->impl;
    if (!s->pending) return decai__cl_failed(c, "clFinish", decai__cl_finish(s->hook, s->queue));
    uint32_t first = UINT32_MAX;
    const uint32_t none = UINT32_MAX;
    cl_int e = decai__cl_read(s->hook, s->queue, s->status, true, 0, 4, &first);
    /* A failed enqueue may have left a read of the caller's memory under way. */
    if (e) decai__cl_finish(s->hook, s->queue);
    if (e) return decai__cl_failed(c, "clEnqueueReadBuffer", e);
    uint32_t count = s->pending;
    s->pending = 0;
    if (first == UINT32_MAX) return 0;
    e = decai__cl_write(s->hook, s->queue, s->status, 0, 4, &none);
    if (e) return decai__cl_failed(c, "clEnqueueWriteBuffer", e);
    return decai__fail(DECAI_E_INTEGRITY, "%s: a value is NaN, infinite or too large",
        first < count && s->names[first] ? s->names[first] : "compute");
}

int32_t
decai__cl_grow(decai__compute *c, cl_mem *m, size_t *size, size_t need)
{
    decai__cl *s = c->impl;
    if (*size >= need) return 0;
    decai__cl_drop_buffer(s->hook, *m);
    *m = NULL;
    *size = 0;
    need = (need + 4095) / 4096 * 4096;
    cl_int e = decai__cl_buffer(s->hook, m, s->context, need);
    if (!e) *size = need;
    return decai__cl_failed(c, "clCreateBuffer", e);
}

const decai__backend decai__cl_backend = {
    .name = "opencl", .close = cl_close, .sync = decai__cl_sync, .alloc = cl_alloc, .release = cl_release,
    .write = cl_write, .read = cl_read, .copy = cl_copy,
    .prepare = decai__cl_prepare, .forget = decai__cl_forget,
    .kv_open = decai__cl_kv_open, .kv_close = decai__cl_kv_close, .kv_reserve = decai__cl_kv_reserve,
    .kv_get = decai__cl_kv_get,
    .kv_put = decai__cl_kv_put, .kv_take = decai__cl_kv_take, .kv_give = decai__cl_kv_give, .kv_drop = decai__cl_kv_drop, .run = decai__cl_op,
};
