/* context.h - the inside of a context; only base's own files include it. */
#ifndef DECAI__BASE_CONTEXT_H
#define DECAI__BASE_CONTEXT_H

#include <pthread.h>
#include <sys/types.h>

#include "base/base.h"

typedef void *(*decai__realloc_fn)(void *user, void *ptr, size_t old_size, size_t size);
typedef int64_t (*decai__clock_fn)(void *user);
typedef int32_t (*decai__random_fn)(void *user, uint8_t *out, size_t len);
typedef void (*decai__log_fn)(void *user, int32_t level, const char *text);

struct decai__pool;

typedef struct context_slot {
    void *value;
    void (*destroy)(decai_context *ctx, void *value);
} context_slot;

struct decai_context {
    decai__handle h;
    pid_t pid;                       /* the process that made it: the fork rule */
    bool test;                       /* a clock or random seam was replaced */
    uint64_t alloc_max;
    decai__realloc_fn realloc_fn;
    void *realloc_user;
    decai__clock_fn mono_fn, wall_fn;
    void *mono_user, *wall_user;
    decai__random_fn random_fn;
    void *random_user;
    decai__log_fn log_fn;
    void *log_user;
    int32_t log_level;
    pthread_mutex_t lock;            /* guards slots */
    context_slot slots[DECAI__SLOT_COUNT];
    struct decai__pool *pool;        /* NULL with base.threads = 0 */
};

/* Handles: handle.c. Fills in a header; the memory is the caller's. */
void decai__handle_init(decai__handle *h, int32_t type, void (*destroy)(void *));

/* Threads: pool.c. */
int32_t decai__pool_create(struct decai__pool **out, decai_context *ctx, int32_t threads);
/* Stops and joins. True: the caller was itself a pool thread, and the pool will
 * call decai__context_release when that thread has left its loop. */
bool decai__pool_destroy(struct decai__pool *pool);
int32_t decai__pool_threads(const struct decai__pool *pool);
void decai__pool_submit(struct decai__pool *pool, decai_task *task);
void decai__pool_parallel(
    struct decai__pool *pool, size_t count, void (*fn)(void *, size_t), void *user);
void decai__pool_begin(struct decai__pool *pool);
void decai__pool_end(struct decai__pool *pool);
void decai__context_release(decai_context *ctx);

/* Tasks: task.c. Runs the work and drops the pool's reference. */
void decai__task_run(decai_task *task);
decai_task **decai__task_link(decai_task *task);
int32_t decai__task_wait(decai_task *task, int64_t timeout_ms);
int32_t decai__task_fd(decai_task *task, int32_t *fd);
void decai__task_cancel(decai_task *task);
void decai__task_progress(decai_task *task, const char **phase, uint64_t *done, uint64_t *total);

/* Context: context.c. */
int32_t decai__context_create(decai_context **out, const decai_options *o);
bool decai__forked(const decai_context *ctx);

/* Options: options.c. */
int32_t decai__options_create(decai_options **out, decai_context *ctx);
int32_t decai__options_put(decai_options *o, const char *key, int32_t type, int64_t i64, double f64,
    const void *data, size_t len, decai_fn fn, void *user);
int32_t decai__option_at(const char **key, int32_t *type, const char **doc, size_t index);

/* Tables: tables.c. */
int32_t decai__constant_get(int64_t *value, const char *name);
int32_t decai__feature_at(const char **name, int32_t *present, size_t index);
const char *decai__api_json(void);

#endif
