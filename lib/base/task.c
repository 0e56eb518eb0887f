/* task.c - work that goes on in the background, and how to wait for it.
 *
 *     queued --> running --> done
 *
 * With a pool, a thread of it runs the work and holds a reference, so that the
 * caller may destroy its handle at any time (that also asks the work to stop).
 * Without one, decai_task_wait runs the work on the caller's thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/context.h"

enum { QUEUED, RUNNING, DONE };

struct decai_task {
    decai__handle h;
    decai__task_fn fn;
    void *user;
    void (*user_free)(decai_context *, void *);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int32_t phase;                   /* QUEUED, RUNNING, DONE; under lock */
    int32_t result;
    char detail[DECAI_DETAIL_MAX + 1];   /* why, from the thread that ran it */
    int32_t pipe[2];                 /* -1 until somebody asks for the fd */
    atomic_int cancelled;
    _Atomic(const char *) step;
    _Atomic uint64_t step_done, step_total;
    decai_task *link;                /* in the pool's queue */
};

decai_task **
decai__task_link(decai_task *task)
{
    return &task->link;
}

static void
task_destroy(void *self)
{
    decai_task *t = self;
    if (t->user_free) t->user_free(t->h.context, t->user);
    for (int i = 0; i < 2; i++)
        if (t->pipe[i] >= 0) close(t->pipe[i]);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

static void
signal_fd(decai_task *t)
{
    if (t->pipe[1] < 0) return;
    ssize_t n;
    do n = write(t->pipe[1], "", 1);
    while (n < 0 && errno == EINTR);
}

static void
run_here(decai_task *t)
{
    /* A pool thread still has the detail of the task before this one. */
    (void)decai__fail(DECAI_E_INTERNAL, "%s", "");
    int32_t r = atomic_load(&t->cancelled) ? decai__fail(DECAI_E_CANCELLED, "task: cancelled before it began")
                                           : t->fn(t, t->user);
    pthread_mutex_lock(&t->lock);
    t->result = r;
    if (r < 0) snprintf(t->detail, sizeof t->detail, "%s", decai__error_detail());
    t->phase = DONE;
    signal_fd(t);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void
decai__task_run(decai_task *t)
{
    pthread_mutex_lock(&t->lock);
    t->phase = RUNNING;
    pthread_mutex_unlock(&t->lock);
    run_here(t);
    decai__destroy(t);
}

static int32_t
task_init(decai_task *t)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr)) return DECAI_E_NOMEM;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int bad = pthread_cond_init(&t->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (bad) return DECAI_E_NOMEM;
    if (!pthread_mutex_init(&t->lock, NULL)) return 0;
    pthread_cond_destroy(&t->changed);
    return DECAI_E_NOMEM;
}

int32_t
decai__task_start(decai_task **out, decai_context *ctx, decai__task_fn fn, void *user,
    void (*user_free)(decai_context *ctx, void *user))
{
    decai_task *t = decai__handle_create(ctx, DECAI__TASK, sizeof *t, NULL);
    if (t && task_init(t)) {
        decai__destroy(t);
        t = NULL;
    }
    if (!t) {
        if (user_free) user_free(ctx, user);
        return decai__fail(DECAI_E_NOMEM, "task");
    }
    t->h.destroy = task_destroy;
    t->fn = fn;
    t->user = user;
    t->user_free = user_free;
    t->pipe[0] = t->pipe[1] = -1;
    atomic_init(&t->step, "");
    if (ctx->pool) {
        decai__retain(t);
        decai__pool_submit(ctx->pool, t);
    }
    *out = t;
    return 0;
}

void
decai__task_release(decai_context *ctx, void *handle)
{
    (void)ctx;
    decai__destroy(handle);
}

bool
decai__task_stopped(decai_task *t)
{
    if (!t) return false;
    /* The pool's own reference is the only one left: nobody will ever look. */
    bool alone = t->h.context->pool && atomic_load_explicit(&t->h.refs, memory_order_relaxed) == 1;
    return alone || atomic_load_explicit(&t->cancelled, memory_order_relaxed);
}

void
decai__task_report(decai_task *t, const char *phase, uint64_t done, uint64_t total)
{
    if (!t) return;
    atomic_store_explicit(&t->step, phase, memory_order_relaxed);
    atomic_store_explicit(&t->step_done, done, memory_order_relaxed);
    atomic_store_explicit(&t->step_total, total, memory_order_relaxed);
}

static struct timespec
deadline_after(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

int32_t
decai__task_wait(decai_task *t, int64_t timeout_ms)
{
    if (timeout_ms < -1) return decai__fail(DECAI_E_INVALID, "timeout_ms: %lld", (long long)timeout_ms);
    bool inline_run = !t->h.context->pool;
    if (inline_run && t->phase == QUEUED && timeout_ms != 0) {
        t->phase = RUNNING;
        run_here(t);
    }
    struct timespec until = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&t->lock);
    int late = 0;
    while (t->phase != DONE && timeout_ms && !late && !inline_run)
        late = timeout_ms < 0 ? pthread_cond_wait(&t->changed, &t->lock)
                              : pthread_cond_timedwait(&t->changed, &t->lock, &until);
    bool done = t->phase == DONE;
    pthread_mutex_unlock(&t->lock);
    if (!done) return decai__fail(DECAI_E_TIMEOUT, "timeout_ms: %lld passed", (long long)timeout_ms);
    /* The detail is per thread: hand the worker's to the one who asks. */
    return t->result < 0 ? decai__fail(t->result, "%s", t->detail) : t->result;
}

void
decai__task_cancel(decai_task *t)
{
    atomic_store(&t->cancelled, 1);
}

int32_t
decai__task_fd(decai_task *t, int32_t *fd)
{
    if (!t->h.context->pool)
        return decai__fail(DECAI_E_STATE, "base.threads: 0, so nobody would ever signal the fd");
    int32_t r = 0;
    pthread_mutex_lock(&t->lock);
    if (t->pipe[0] < 0) {
        int ends[2];
        if (pipe(ends)) {
            r = decai__fail(DECAI_E_IO, "pipe: errno %d", errno);
        } else {
            for (int i = 0; i < 2; i++) {
                fcntl(ends[i], F_SETFD, FD_CLOEXEC);
                t->pipe[i] = ends[i];
            }
            if (t->phase == DONE) signal_fd(t);
        }
    }
    *fd = r ? -1 : t->pipe[0];
    pthread_mutex_unlock(&t->lock);
    return r;
}

void
decai__task_progress(decai_task *t, const char **phase, uint64_t *done, uint64_t *total)
{
    *phase = atomic_load_explicit(&t->step, memory_order_relaxed);
    *done = atomic_load_explicit(&t->step_done, memory_order_relaxed);
    *total = atomic_load_explicit(&t->step_total, memory_order_relaxed);
}
