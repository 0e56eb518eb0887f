/* context.c - the root object: seams, log, fork rule, per-room slots.
 *
 * Nothing here reads the environment or the locale. A seam is one function and
 * its user pointer; the defaults ask the operating system. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/context.h"

#define RANDOM_CHUNK 256             /* getrandom never cuts this short */

bool
decai__forked(const decai_context *ctx)
{
    return ctx->pid != getpid();
}

void
decai__context_release(decai_context *ctx)
{
    pthread_mutex_destroy(&ctx->lock);
    decai__free(ctx, ctx);
}

static void
context_destroy(void *self)
{
    decai_context *ctx = self;
    for (size_t i = 0; i < DECAI__SLOT_COUNT; i++)
        if (ctx->slots[i].value) ctx->slots[i].destroy(ctx, ctx->slots[i].value);
    if (ctx->pool && decai__pool_destroy(ctx->pool)) return;
    decai__context_release(ctx);
}

static void
read_seams(decai_context *ctx, const decai_options *o)
{
    ctx->mono_fn = (decai__clock_fn)decai__opt_fn(o, "seam.clock.mono_ns", &ctx->mono_user);
    ctx->wall_fn = (decai__clock_fn)decai__opt_fn(o, "seam.clock.wall_ms", &ctx->wall_user);
    ctx->random_fn = (decai__random_fn)decai__opt_fn(o, "seam.random.fill", &ctx->random_user);
    ctx->log_fn = (decai__log_fn)decai__opt_fn(o, "base.log", &ctx->log_user);
    ctx->log_level = (int32_t)decai__opt_i64(o, "base.log_level");
    ctx->test = ctx->mono_fn || ctx->wall_fn || ctx->random_fn;
}

int32_t
decai__context_create(decai_context **out, const decai_options *o)
{
    int32_t r = decai__opts_check(o, "base seam");
    if (r) return r;

    void *user;
    decai__realloc_fn realloc_fn = (decai__realloc_fn)decai__opt_fn(o, "seam.memory.realloc", &user);
    decai_context seed = {.realloc_fn = realloc_fn, .realloc_user = user};
    seed.alloc_max = (uint64_t)decai__opt_i64(o, "base.alloc_max");
    /* The first allocation must already come through the seam it will own. */
    decai_context *ctx = decai__calloc(&seed, 1, sizeof *ctx);
    if (!ctx) return decai__fail(DECAI_E_NOMEM, "context: %zu bytes", sizeof *ctx);

    decai__handle_init(&ctx->h, DECAI__CONTEXT, context_destroy);
    ctx->realloc_fn = seed.realloc_fn;
    ctx->realloc_user = seed.realloc_user;
    ctx->alloc_max = seed.alloc_max;
    ctx->pid = getpid();
    read_seams(ctx, o);
    if (pthread_mutex_init(&ctx->lock, NULL)) {
        decai__free(&seed, ctx);
        return decai__fail(DECAI_E_NOMEM, "context: mutex");
    }

    int32_t threads = (int32_t)decai__opt_i64(o, "base.threads");
    if (threads) r = decai__pool_create(&ctx->pool, ctx, threads);
    if (r) {
        decai__context_release(ctx);
        return r;
    }
    *out = ctx;
    return 0;
}

int64_t
decai__clock_mono_ns(decai_context *ctx)
{
    if (ctx->mono_fn) return ctx->mono_fn(ctx->mono_user);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
decai__clock_wall_ms(decai_context *ctx)
{
    if (ctx->wall_fn) return ctx->wall_fn(ctx->wall_user);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int32_t
os_random(uint8_t *out, size_t len)
{
    while (len) {
        size_t want = DECAI__MIN(len, RANDOM_CHUNK);
        ssize_t got = getrandom(out, want, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return decai__fail(DECAI_E_IO, "random: getrandom, errno %d", errno);
        out += got;
        len -= (size_t)got;
    }
    return 0;
}

int32_t
decai__random(decai_context *ctx, void *out, size_t len)
{
    if (!ctx->random_fn) return os_random(out, len);
    int32_t r = ctx->random_fn(ctx->random_user, out, len);
    return r ? decai__fail(DECAI_E_IO, "seam.random.fill: returned %d", (int)r) : 0;
}

bool
decai__is_test(const decai_context *ctx)
{
    return ctx->test;
}

void
decai__log(decai_context *ctx, int32_t level, const char *format, ...)
{
    if (!ctx->log_fn || level > ctx->log_level) return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ctx->log_fn(ctx->log_user, level, text);
}

int32_t
decai__context_slot(decai_context *ctx, int32_t slot, void **value,
    int32_t (*make)(decai_context *ctx, void **value), void (*destroy)(decai_context *ctx, void *value))
{
    decai__assert(slot >= 0 && slot < DECAI__SLOT_COUNT);
    int32_t r = 0;
    pthread_mutex_lock(&ctx->lock);
    context_slot *s = &ctx->slots[slot];
    if (!s->value) r = make(ctx, &s->value);
    if (!r) s->destroy = destroy;
    *value = s->value;
    pthread_mutex_unlock(&ctx->lock);
    return r;
}

void
decai__parallel(decai_context *ctx, size_t count, void (*fn)(void *user, size_t index), void *user)
{
    if (ctx->pool && count > 1) {
        decai__pool_parallel(ctx->pool, count, fn, user);
        return;
    }
    for (size_t i = 0; i < count; i++) fn(user, i);
}

void
decai__parallel_begin(decai_context *ctx)
{
    if (ctx->pool) decai__pool_begin(ctx->pool);
}

void
decai__parallel_end(decai_context *ctx)
{
    if (ctx->pool) decai__pool_end(ctx->pool);
}

int32_t
decai__thread_count(const decai_context *ctx)
{
    return 1 + (ctx->pool ? decai__pool_threads(ctx->pool) : 0);
}
