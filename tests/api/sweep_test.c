/* sweep_test.c - the allocation sweep: no exported function may crash, leak or
 * lie when memory runs out.
 *
 * For each row of tests/api/sweep_<room>.c and each k: a fresh context, a
 * healthy setup, then run() with
 *     once   the k-th allocation failing,
 *     from   every allocation from the k-th on failing,
 *     libc   (not under sanitizers) the k-th malloc of the whole process
 *            failing, the libraries underneath included.
 * After it: a negative error or a harmless success, a healthy run() on the same
 * state that succeeds, and not one byte of ours left once the context is gone.
 * Functions that never allocate are listed in tests/sweep-none.txt, so that
 * one which stops being swept is noticed. DECAI_DEEP=1 tries every k; else
 * every k up to 48, then steps that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sweep.h"

#define SWEEP(room) extern const sweep_case sweep_##room[];
#include "sweeps.inc"
#undef SWEEP

static const sweep_case *const rooms[] = {
#define SWEEP(room) sweep_##room,
#include "sweeps.inc"
#undef SWEEP
};

enum mode { ONCE, FROM, LIBC, MODES };
static const char *const mode_names[] = {"once", "from", "libc"};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INTERPOSE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define INTERPOSE 0
#endif
#endif
#ifndef INTERPOSE
#define INTERPOSE 1
#endif

static struct {
    enum mode mode;
    int armed;
    long k, count, live;
} sweep;

static int
must_fail(enum mode a, enum mode b)
{
    if (!sweep.armed || (sweep.mode != a && sweep.mode != b)) return 0;
    sweep.count++;
    return sweep.mode == FROM ? sweep.count >= sweep.k : sweep.count == sweep.k;
}

#if INTERPOSE
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
static _Thread_local int on_this_thread;

/* The tests are compiled with hidden visibility; a hidden malloc replaces
 * nobody's. */
#pragma GCC visibility push(default)

void *
malloc(size_t n)
{
    return on_this_thread && must_fail(LIBC, LIBC) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t m)
{
    return on_this_thread && must_fail(LIBC, LIBC) ? NULL : __libc_calloc(n, m);
}

void *
realloc(void *p, size_t n)
{
    return on_this_thread && n && must_fail(LIBC, LIBC) ? NULL : __libc_realloc(p, n);
}
#pragma GCC visibility pop
#endif

static void *
seam_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    (void)user, (void)old_size;
    if (!size) {
        if (ptr) sweep.live--;
        free(ptr);
        return NULL;
    }
    if (must_fail(ONCE, FROM)) return NULL;
    void *p = realloc(ptr, size);
    if (p && !ptr) sweep.live++;
    return p;
}

static decai_context *
context(void)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)seam_realloc, NULL), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    return ctx;
}

static void
arm(enum mode mode, long k)
{
    sweep.mode = mode;
    sweep.k = k;
    sweep.count = 0;
    sweep.armed = 1;
#if INTERPOSE
    on_this_thread = 1;
#endif
}

static void
disarm(void)
{
    sweep.armed = 0;
#if INTERPOSE
    on_this_thread = 0;
#endif
}

/* One failure; true while k was still within reach. */
static int
try_once(const sweep_case *c, enum mode mode, long k)
{
    long before = sweep.live;
    decai_context *ctx = context();
    void *state = NULL;
    if (c->setup && c->setup(ctx, &state) < 0)
        fail_msg("%s: setup: %s", c->function, decai_error_detail());

    arm(mode, k);
    int32_t r = c->run(ctx, state);
    disarm();
    int reached = sweep.count >= k;
    if (r < 0 && !reached)
        fail_msg("%s %s: fails with no allocation failing: %s (%s)", c->function, mode_names[mode],
            decai_error_name(r), decai_error_detail());
    r = c->run(ctx, state);
    if (r < 0)
        fail_msg("%s %s k=%ld: does not recover: %s (%s)", c->function, mode_names[mode], k,
            decai_error_name(r), decai_error_detail());
    if (c->teardown) c->teardown(ctx, state);
    decai_destroy(ctx);
    if (sweep.live != before)
        fail_msg("%s %s k=%ld: %ld allocations left", c->function, mode_names[mode], k, sweep.live - before);
    return reached;
}

static long
sweep_case_run(const sweep_case *c, enum mode mode)
{
    int deep = getenv("DECAI_DEEP") != NULL;
    long k = 1, reached = 0;
    while (try_once(c, mode, k)) {
        reached = sweep.count > reached ? sweep.count : reached;
        k += deep || k < 48 ? 1 : k / 4;
    }
    return mode == FROM ? k - 1 : reached;
}

static int
listed(const char *path, const char *name)
{
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    char line[256];
    int found = 0;
    while (!found && fgets(line, sizeof line, f)) {
        line[strcspn(line, " \t\r\n")] = 0;
        found = !strcmp(line, name);
    }
    fclose(f);
    return found;
}

static void
every_function_survives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        for (const sweep_case *c = rooms[i]; c->function; c++) {
            long points = sweep_case_run(c, ONCE);
            sweep_case_run(c, FROM);
            long libc = INTERPOSE ? sweep_case_run(c, LIBC) : 0;
            print_message("# %-36s %5ld allocation points, %5ld with the libraries\n", c->function, points, libc);
            int none = listed("tests/sweep-none.txt", c->function);
            if (INTERPOSE && points + libc == 0 && !none) fail_msg("%s: never allocates, and is not in tests/sweep-none.txt", c->function);
            if (points + libc > 0 && none) fail_msg("%s: allocates, yet is in tests/sweep-none.txt", c->function);
        }
}

static int
has_case(const char *name)
{
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        for (const sweep_case *c = rooms[i]; c->function; c++)
            if (!strcmp(c->function, name)) return 1;
    return 0;
}

static void
every_export_is_swept(void **state)
{
    (void)state;
    FILE *f = fopen("bindings/symbols.txt", "r");
    if (!f) fail_msg("bindings/symbols.txt: missing; run from the repository root after make bindings");
    char line[256];
    int missing = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, " @\t\r\n")] = 0;
        if (strncmp(line, "decai_", 6) || has_case(line)) continue;
        print_message("# %s has no sweep case\n", line);
        missing++;
    }
    fclose(f);
    assert_int_equal(missing, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_survives),
        cmocka_unit_test(every_export_is_swept),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
