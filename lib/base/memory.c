/* memory.c - every byte the library owns comes through one function.
 *
 * The seam has the shape of Lua's allocator: (user, ptr, old size, new size),
 * size 0 frees. The old size is a hint (0 when unknown). A test makes the k-th
 * call fail; a host counts; the default is the C library. A NULL context means
 * the default too: only the options that create a context need that. */
#include <stdlib.h>
#include <string.h>

#include "base/context.h"

static void *
raw_realloc(decai_context *ctx, void *ptr, size_t old_size, size_t size)
{
    if (ctx && ctx->realloc_fn) return ctx->realloc_fn(ctx->realloc_user, ptr, old_size, size);
    if (size) return realloc(ptr, size);
    free(ptr);
    return NULL;
}

void *
decai__alloc(decai_context *ctx, size_t size)
{
    /* A cap far above any honest need turns a wrapped size into an error. */
    if (ctx && size > ctx->alloc_max) return NULL;
    return raw_realloc(ctx, NULL, 0, size ? size : 1);
}

void *
decai__calloc(decai_context *ctx, size_t count, size_t size)
{
    size_t bytes;
    if (!decai__mul_size(&bytes, count, size)) return NULL;
    void *ptr = decai__alloc(ctx, bytes);
    if (ptr) memset(ptr, 0, bytes ? bytes : 1);
    return ptr;
}

void *
decai__realloc(decai_context *ctx, void *ptr, size_t old_size, size_t size)
{
    if (ctx && size > ctx->alloc_max) return NULL;
    return raw_realloc(ctx, ptr, old_size, size ? size : 1);
}

void
decai__free(decai_context *ctx, void *ptr)
{
    if (ptr) raw_realloc(ctx, ptr, 0, 0);
}

void *
decai__memdup(decai_context *ctx, const void *data, size_t size)
{
    void *copy = decai__alloc(ctx, size);
    if (copy && size) memcpy(copy, data, size);
    return copy;
}

char *
decai__strdup(decai_context *ctx, const char *text)
{
    return decai__memdup(ctx, text, strlen(text) + 1);
}

void
decai__wipe(void *ptr, size_t size)
{
    if (!size) return;
    memset(ptr, 0, size);
    /* The compiler must believe that somebody reads the zeros. */
    __asm__ volatile("" : : "r"(ptr) : "memory");
}

bool
decai__mul_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool
decai__add_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}
