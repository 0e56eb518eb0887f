/* handle.c - one header for every handle: type tag, owners, in-use flag.
 *
 *     bytes  what
 *     0-7    DECAI__LIVE while alive, DECAI__DEAD after
 *     8-11   type tag, checked at every door
 *     12-15  owners; the last decai_destroy frees
 *     16-19  1 while a thread is inside a door that may change the handle
 *
 * A child holds a reference on its context (and its room adds one on each
 * other parent), so handles may be destroyed in any order. After fork the
 * child process has none of our threads and must not touch what the parent
 * still uses: every door answers DECAI_E_STATE and destroy does nothing. */
#include <unistd.h>

#include "base/context.h"

#define DECAI__LIVE 0x6465636169000001ull
#define DECAI__DEAD 0x64656361690000ddull

void
decai__handle_init(decai__handle *h, int32_t type, void (*destroy)(void *))
{
    h->magic = DECAI__LIVE;
    h->type = type;
    atomic_init(&h->refs, 1);
    atomic_init(&h->busy, 0);
    h->destroy = destroy;
}

void *
decai__handle_create(decai_context *ctx, int32_t type, size_t size, void (*destroy)(void *))
{
    decai__assert(size >= sizeof(decai__handle));
    decai__handle *h = decai__calloc(ctx, 1, size);
    if (!h) {
        decai__fail(DECAI_E_NOMEM, "handle: %zu bytes", size);
        return NULL;
    }
    decai__handle_init(h, type, destroy);
    h->context = ctx;
    if (ctx) decai__retain(ctx);
    return h;
}

decai_context *
decai__context_of(const void *handle)
{
    const decai__handle *h = handle;
    /* The cast drops const from the handle, which is the context itself here. */
    return h->type == DECAI__CONTEXT ? (decai_context *)(uintptr_t)h : h->context;
}

static int32_t
check(const decai__handle *h, int32_t type)
{
    if (!h) return decai__fail(DECAI_E_INVALID, "handle: NULL");
    if (h->magic != DECAI__LIVE) return decai__fail(DECAI_E_INVALID, "handle: not a live handle");
    if (type && h->type != type)
        return decai__fail(DECAI_E_INVALID, "handle: type %d where %d is wanted", (int)h->type, (int)type);
    const decai_context *ctx = decai__context_of(h);
    if (ctx && decai__forked(ctx))
        return decai__fail(DECAI_E_STATE, "handle: made before fork, in another process");
    return 0;
}

int32_t
decai__enter_shared(const void *handle, int32_t type)
{
    return check(handle, type);
}

int32_t
decai__enter(const void *handle, int32_t type)
{
    int32_t r = check(handle, type);
    if (r) return r;
    decai__handle *h = (decai__handle *)(uintptr_t)handle;
    if (atomic_exchange_explicit(&h->busy, 1, memory_order_acquire))
        return decai__fail(DECAI_E_BUSY, "handle: in use by another thread");
    return 0;
}

void
decai__leave(const void *handle)
{
    decai__handle *h = (decai__handle *)(uintptr_t)handle;
    atomic_store_explicit(&h->busy, 0, memory_order_release);
}

int32_t
decai__retain(void *handle)
{
    int32_t r = check(handle, 0);
    if (r) return r;
    decai__handle *h = handle;
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return 0;
}

void
decai__destroy(void *handle)
{
    decai__handle *h = handle;
    if (!h || h->magic != DECAI__LIVE) return;
    decai_context *ctx = decai__context_of(h);
    if (ctx && decai__forked(ctx)) return;
    if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1) return;

    h->magic = DECAI__DEAD;
    if (h->type == DECAI__CONTEXT) {
        h->destroy(h);               /* frees itself: a pool thread may come last */
        return;
    }
    if (h->destroy) h->destroy(h);
    decai__free(h->context, h);
    decai__destroy(ctx);
}
