/* sweep.h - the allocation sweep's fixtures. Each room has tests/api/sweep_<room>.c
 * with an array `const sweep_case sweep_<room>[]` ended by a zeroed row: one row
 * for every exported function of the room, with a run() on which it SUCCEEDS.
 *
 * The driver makes a context whose allocator it controls, calls setup once with
 * the allocator healthy, then run() with the k-th allocation failing (once; then
 * all from the k-th), k = 1, 2, ... until run() has passed untouched. run() must
 * destroy whatever it made. A failing run must return a negative error (or
 * succeed, where the loss was harmless), leak nothing, and leave `state` such
 * that the next run still works. */
#ifndef DECAI_TESTS_SWEEP_H
#define DECAI_TESTS_SWEEP_H

#include <stdint.h>

#include "decai.h"

typedef struct sweep_case {
    const char *function;                                    /* the exported name */
    int32_t (*setup)(decai_context *ctx, void **state);      /* may be NULL */
    int32_t (*run)(decai_context *ctx, void *state);         /* >= 0 on success */
    void (*teardown)(decai_context *ctx, void *state);       /* may be NULL */
} sweep_case;

#endif
