/* pool.c - the threads of a context.
 *
 * Two kinds of work share them. A *parallel loop* is short and hot: its caller
 * works on it too, and idle threads join; indices are handed out by an atomic
 * counter, so which thread runs which index is never part of a result. A *task*
 * is long and goes to one thread. Loops come first: somebody waits for them.
 *
 * A thread may drop the last reference on its own context (a task that outlived
 * its owner). It cannot join itself, so it marks the pool orphaned, leaves its
 * loop and frees pool and context on the way out. */
#include <sched.h>
#include <string.h>

#include "base/context.h"

#define SPIN_ROUNDS 2000             /* about 20 us: a decode step's gap between products */

/* MODE=stress gives the processor away between any two steps, so that orders of
 * threads that are rare elsewhere happen all the time. */
#ifdef DECAI_STRESS
#define shake() sched_yield()
#else
#define shake() ((void)0)
#endif

typedef struct loop {
    void (*fn)(void *, size_t);
    void *user;
    size_t count;
    atomic_size_t next;
    int32_t inside;                  /* pool threads at work in it; under lock */
    struct loop *link;
} loop;

typedef struct decai__pool {
    decai_context *ctx;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    loop *loops;
    decai_task *first, *last;
    atomic_uint posted;              /* bumped with each new piece of work: what spinners watch */
    bool stop, orphan;
    pthread_t heir;                  /* if orphan: the thread that frees pool and context */
    int32_t count;
    pthread_t threads[];
} decai__pool;

static _Thread_local const decai__pool *my_pool;

int32_t
decai__pool_threads(const decai__pool *p)
{
    return p->count;
}

static void
loop_run(loop *l)
{
    size_t i;
    while ((i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed)) < l->count) {
        shake();
        l->fn(l->user, i);
    }
}

static loop *
loop_open(decai__pool *p)
{
    loop *l = p->loops;
    while (l && atomic_load_explicit(&l->next, memory_order_relaxed) >= l->count) l = l->link;
    return l;
}

static void
spin(decai__pool *p, unsigned seen)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&p->posted, memory_order_relaxed) != seen) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

/* Called and left with the lock held. True if it found something to do. */
static bool
work_once(decai__pool *p)
{
    loop *l = loop_open(p);
    if (l) {
        l->inside++;
        pthread_mutex_unlock(&p->lock);
        loop_run(l);
        pthread_mutex_lock(&p->lock);
        if (--l->inside == 0) pthread_cond_broadcast(&p->done);
        return true;
    }
    decai_task *task = p->first;
    if (!task) return false;
    p->first = *decai__task_link(task);
    if (!p->first) p->last = NULL;
    pthread_mutex_unlock(&p->lock);
    shake();
    decai__task_run(task);
    pthread_mutex_lock(&p->lock);
    return true;
}

static void
pool_free(decai__pool *p)
{
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    decai__free(p->ctx, p);
}

static void *
thread_main(void *user)
{
    decai__pool *p = user;
    my_pool = p;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (work_once(p)) continue;
        unsigned seen = atomic_load_explicit(&p->posted, memory_order_relaxed);
        pthread_mutex_unlock(&p->lock);
        spin(p, seen);
        pthread_mutex_lock(&p->lock);
        if (!p->stop && atomic_load_explicit(&p->posted, memory_order_relaxed) == seen)
            pthread_cond_wait(&p->wake, &p->lock);
    }
    bool last = p->orphan && pthread_equal(p->heir, pthread_self());
    pthread_mutex_unlock(&p->lock);
    my_pool = NULL;
    if (last) {
        decai_context *ctx = p->ctx;
        pool_free(p);
        decai__context_release(ctx);
    }
    return NULL;
}

int32_t
decai__pool_create(decai__pool **out, decai_context *ctx, int32_t threads)
{
    decai__pool *p = decai__calloc(ctx, 1, sizeof *p + (size_t)threads * sizeof(pthread_t));
    if (!p) return decai__fail(DECAI_E_NOMEM, "base.threads: %d", (int)threads);
    p->ctx = ctx;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    while (p->count < threads && !pthread_create(&p->threads[p->count], NULL, thread_main, p)) p->count++;
    if (p->count < threads) {
        int32_t made = p->count;
        decai__pool_destroy(p);
        return decai__fail(DECAI_E_IO, "base.threads: only %d of %d could be started", (int)made, (int)threads);
    }
    *out = p;
    return 0;
}

bool
decai__pool_destroy(decai__pool *p)
{
    bool mine = my_pool == p;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    p->orphan = mine;
    p->heir = pthread_self();
    atomic_fetch_add(&p->posted, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int32_t i = 0; i < p->count; i++) {
        if (mine && pthread_equal(p->threads[i], pthread_self()))
            pthread_detach(p->threads[i]);
        else
            pthread_join(p->threads[i], NULL);
    }
    decai__assert(!p->first);        /* a queued task holds the context alive */
    if (mine) return true;
    pool_free(p);
    return false;
}

static void
post(decai__pool *p, bool all)
{
    atomic_fetch_add_explicit(&p->posted, 1, memory_order_relaxed);
    if (all) pthread_cond_broadcast(&p->wake);
    else pthread_cond_signal(&p->wake);
}

void
decai__pool_submit(decai__pool *p, decai_task *task)
{
    pthread_mutex_lock(&p->lock);
    *decai__task_link(task) = NULL;
    if (p->last) *decai__task_link(p->last) = task;
    else p->first = task;
    p->last = task;
    post(p, false);
    pthread_mutex_unlock(&p->lock);
}

void
decai__pool_parallel(decai__pool *p, size_t count, void (*fn)(void *, size_t), void *user)
{
    loop l = {.fn = fn, .user = user, .count = count};
    atomic_init(&l.next, 0);
    pthread_mutex_lock(&p->lock);
    l.link = p->loops;
    p->loops = &l;
    post(p, true);
    pthread_mutex_unlock(&p->lock);

    shake();
    loop_run(&l);
    shake();

    pthread_mutex_lock(&p->lock);
    loop **at = &p->loops;
    while (*at != &l) at = &(*at)->link;
    *at = l.link;
    while (l.inside) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
