/* preload_serve.c - a library put before libdecai (LD_PRELOAD) for the tests of decai
 * serve: engines that take long to make, schedulers that fail. What it shall do is in
 * environment variables:
 *
 *     SLOW_ENGINE="name milliseconds"   decai_shelf_get of that name takes so long
 *     FAIL_NEXT="call times"            decai_scheduler_next gives DECAI_E_NOMEM from its
 *                                       so many-th call with something to do, so often
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decai.h"

int32_t
decai_shelf_get(decai_shelf *shelf, decai_engine **out, const char *name)
{
    int32_t (*real)(decai_shelf *, decai_engine **, const char *) = NULL;
    char slow[256] = "";
    long ms = 0;
    *(void **)&real = dlsym(RTLD_NEXT, "decai_shelf_get");
    if (getenv("SLOW_ENGINE") && sscanf(getenv("SLOW_ENGINE"), "%255s %ld", slow, &ms) == 2 && !strcmp(slow, name)) {
        const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&t, NULL);
    }
    return real(shelf, out, name);
}

int32_t
decai_scheduler_next(decai_scheduler *scheduler, int32_t *kind, uint64_t *request, int64_t *value, int64_t *total, int64_t timeout_ms)
{
    static long calls;
    long from = 0, times = 0;
    int32_t (*real)(decai_scheduler *, int32_t *, uint64_t *, int64_t *, int64_t *, int64_t) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "decai_scheduler_next");
    calls++;
    if (getenv("FAIL_NEXT") && sscanf(getenv("FAIL_NEXT"), "%ld %ld", &from, &times) == 2 && calls >= from && calls < from + times)
        return DECAI_E_NOMEM;
    return real(scheduler, kind, request, value, total, timeout_ms);
}
