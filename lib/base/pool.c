/* pool.c - the threads of a context.
 *
 * Two kinds of work share them. A *parallel loop* is short and hot: its caller
 * works on it too, and idle threads join; indices are handed out by an atomic
 * counter, so which thread runs which index is never part of a result. A *task*
 * is long and goes to one thread. Loops come first: somebody waits for them.
 *
 * A decode step is hundreds of loops of some 20 us, so a loop is posted without a
 * lock and threads that have run dry stay awake for a while (longer between
 * decai__parallel_begin and _end, when the next loop is known to come):
 *
 *     caller   takes a slot, writes fn, user, count, sets open, counts posted up,
 *              wakes sleepers if too few are awake, works, clears open, waits until
 *              nobody is inside, gives the slot back
 *     thread   sees posted move, counts itself inside, and only if the slot is
 *              then open may it read the slot; works; counts itself out
 *
 * Entering ("inside, then open?") and closing ("not open, then inside?") are
 * sequentially consistent, so one of the two sees the other. Sleeping and waking
 * are the same handshake over sleepers and posted. The caller never needs a
 * thread to come: with all of them busy it does the loop alone.
 *
 * A thread may drop the last reference on its own context (a task that outlived
 * its owner). It cannot join itself, so it marks the pool orphaned, leaves its
 * loop and frees pool and context on the way out. */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"

#define LOOPS_MAX 8                  /* callers at once; one more works alone */
#define SPIN_STEP 64                 /* pauses between two yields: 1 to 3 us */
#define SPIN_COLD 16                 /* steps before sleep: about 20 us */
#define SPIN_HOT 60                  /* the same inside begin and end: 60 to 150 us */

/* MODE=stress gives the processor away between any two steps, so that orders of
 * threads that are rare elsewhere happen all the time. */
#ifdef DECAI_STRESS
#define shake() sched_yield()
#else
#define shake() ((void)0)
#endif

typedef struct loop {
    atomic_bool taken;               /* some caller's */
    atomic_bool open;                /* fn, user, count may be read by who is inside */
    atomic_bool waiting;             /* its caller sleeps until it is empty */
    atomic_int inside;               /* threads that may be at work in it */
    atomic_size_t next;
    void (*fn)(void *, size_t);
    void *user;
    size_t count;
    char apart[64];                  /* the next slot's counters are on other lines */
} loop;

typedef struct decai__pool {
    decai_context *ctx;
    pthread_mutex_t lock;            /* guards the queue and both conditions */
    pthread_cond_t wake, done;
    decai_task *first, *last;
    atomic_int queued;               /* tasks in the queue */
    atomic_int working;              /* threads in a task */
    atomic_int sleepers, spinners;
    atomic_int hot;                  /* callers between begin and end */
    atomic_uint posted;              /* bumped with each new piece of work: what spinners watch */
    atomic_bool stop;
    bool orphan;
    pthread_t heir;                  /* if orphan: the thread that frees pool and context */
    int32_t useful;                  /* helpers that have a processor of their own */
    loop loops[LOOPS_MAX];
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
pause_once(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* ---- threads ------------------------------------------------------------------- */

static void
loop_run(loop *l)
{
    size_t i;
    while ((i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed)) < l->count) {
        shake();
        l->fn(l->user, i);
    }
}

/* The last one out wakes a caller who has gone to sleep. */
static void
loop_leave(decai__pool *p, loop *l)
{
    if (atomic_fetch_sub(&l->inside, 1) != 1 || !atomic_load(&l->waiting)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static bool
loops_once(decai__pool *p)
{
    bool found = false;
    for (size_t i = 0; i < LOOPS_MAX; i++) {
        loop *l = &p->loops[i];
        if (!atomic_load_explicit(&l->open, memory_order_relaxed)) continue;
        atomic_fetch_add(&l->inside, 1);
        shake();
        if (atomic_load(&l->open) && atomic_load_explicit(&l->next, memory_order_relaxed) < l->count) {
            found = true;
            loop_run(l);
        }
        loop_leave(p, l);
    }
    return found;
}

static bool
task_once(decai__pool *p)
{
    if (!atomic_load(&p->queued)) return false;
    pthread_mutex_lock(&p->lock);
    decai_task *task = p->first;
    if (task) {
        p->first = *decai__task_link(task);
        if (!p->first) p->last = NULL;
        atomic_fetch_sub(&p->queued, 1);
        atomic_fetch_add(&p->working, 1);
    }
    pthread_mutex_unlock(&p->lock);
    if (!task) return false;
    shake();
    decai__task_run(task);
    atomic_fetch_sub(&p->working, 1);
    return true;
}

/* Awake for a while; only as many as have a processor to burn. */
static void
spin(decai__pool *p, unsigned seen)
{
    if (atomic_fetch_add(&p->spinners, 1) < p->useful) {
        int steps = atomic_load_explicit(&p->hot, memory_order_relaxed) ? SPIN_HOT : SPIN_COLD;
        for (int i = 0; i < steps; i++) {
            for (int j = 0; j < SPIN_STEP; j++) {
                if (atomic_load_explicit(&p->posted, memory_order_relaxed) != seen) goto done;
                pause_once();
            }
            sched_yield();
        }
    }
done:
    atomic_fetch_sub(&p->spinners, 1);
}

static void
sleep_until(decai__pool *p, unsigned seen)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (!atomic_load(&p->stop) && atomic_load(&p->posted) == seen) pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
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
    while (!atomic_load(&p->stop)) {
        unsigned seen = atomic_load(&p->posted);
        if (loops_once(p) || task_once(p)) continue;
        spin(p, seen);
        if (atomic_load(&p->posted) == seen) sleep_until(p, seen);
    }
    pthread_mutex_lock(&p->lock);
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
    p->useful = (int32_t)DECAI__MAX(1L, sysconf(_SC_NPROCESSORS_ONLN) - 1);
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
    p->orphan = mine;
    p->heir = pthread_self();
    atomic_store(&p->stop, true);
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

/* ---- callers -------------------------------------------------------------------- */

/* Announces work for `helpers` threads and wakes as many as are not awake. */
static void
post(decai__pool *p, int32_t helpers)
{
    atomic_fetch_add(&p->posted, 1);
    int32_t asleep = atomic_load(&p->sleepers);
    if (!asleep) return;
    int32_t missing = helpers - (p->count - asleep - atomic_load(&p->working));
    if (missing <= 0) return;
    pthread_mutex_lock(&p->lock);
    if (missing == 1) pthread_cond_signal(&p->wake);
    else pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void
decai__pool_submit(decai__pool *p, decai_task *task)
{
    pthread_mutex_lock(&p->lock);
    *decai__task_link(task) = NULL;
    if (p->last) *decai__task_link(p->last) = task;
    else p->first = task;
    p->last = task;
    atomic_fetch_add(&p->queued, 1);
    atomic_fetch_add(&p->posted, 1);
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static loop *
loop_take(decai__pool *p)
{
    for (size_t i = 0; i < LOOPS_MAX; i++) {
        bool no = false;
        if (atomic_compare_exchange_strong(&p->loops[i].taken, &no, true)) return &p->loops[i];
    }
    return NULL;
}

/* Nobody may enter any more; whoever is inside finishes what he took. */
static void
loop_close(decai__pool *p, loop *l)
{
    atomic_store(&l->open, false);
    shake();
    for (int i = 0; i < SPIN_HOT; i++) {
        for (int j = 0; j < SPIN_STEP; j++) {
            if (!atomic_load(&l->inside)) return;
            pause_once();
        }
        sched_yield();
    }
    if (!atomic_load(&l->inside)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&l->waiting, true);
    while (atomic_load(&l->inside)) pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&l->waiting, false);
    pthread_mutex_unlock(&p->lock);
}

void
decai__pool_parallel(decai__pool *p, size_t count, void (*fn)(void *, size_t), void *user)
{
    loop *l = loop_take(p);
    if (!l) {
        for (size_t i = 0; i < count; i++) fn(user, i);
        return;
    }
    l->fn = fn;
    l->user = user;
    l->count = count;
    atomic_store(&l->next, 0);
    atomic_store(&l->open, true);
    post(p, (int32_t)DECAI__MIN(count - 1, (size_t)p->useful));
    shake();
    loop_run(l);
    shake();
    loop_close(p, l);
    atomic_store(&l->taken, false);
}

void
decai__pool_begin(decai__pool *p)
{
    atomic_fetch_add(&p->hot, 1);
    post(p, p->useful);
}

void
decai__pool_end(decai__pool *p)
{
    atomic_fetch_sub(&p->hot, 1);
}
