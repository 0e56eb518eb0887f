/* One hash of all logits, whatever computes them: {scalar, native, opencl} x
 * {1, 2 threads} x {batch 1, 7, 64} x the caller's rounding mode and FTZ, over
 * 2,048 positions of a synthetic model, compared with a committed golden value
 * (tests/golden/infer_logits.txt). */
#include <fenv.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_infer.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define SEQUENCES 4
#define LENGTH 512

static const support_llama MODEL = { .n_vocab = 320, .n_embd = 64, .n_layer = 2, .n_head = 4, .n_head_kv = 2,
    .n_ff = 96, .n_ctx = LENGTH, .type = 8, .tied = 0, .vocab = 1, .seed = 42 };

static char golden[2][65];        /* Q8_0, Q4_0 tied */
static bool have_golden;

static void
read_golden(void)
{
    FILE *f = fopen("tests/golden/infer_logits.txt", "r");
    if (!f) return;
    have_golden = fscanf(f, "q8_0 %64s q4_0 %64s", golden[0], golden[1]) == 2;
    fclose(f);
}

/* The caller's floating-point state while the library works; restored and
 * checked after it. The model itself is made in the ordinary one. */
static int caller_mode = FE_TONEAREST;

static void
set_state(void)
{
    assert_int_equal(fesetround(caller_mode), 0);
#if defined(__x86_64__)
    if (caller_mode != FE_TONEAREST) _mm_setcsr(_mm_getcsr() | 0x8040);           /* FTZ and DAZ */
#endif
}

static void
check_state(void)
{
    assert_int_equal(fegetround(), caller_mode);
#if defined(__x86_64__)
    assert_int_equal(_mm_getcsr() & 0x8040, caller_mode != FE_TONEAREST ? 0x8040 : 0);
    _mm_setcsr(_mm_getcsr() & ~0x8040u);
#endif
    fesetround(FE_TONEAREST);
}

static const char *flavour;       /* of OpenCL; NULL: the default */

/* Hash over all sequences. Empty text: no such backend here. */
static void
run(char hex[65], const support_llama *m, const char *backend, int64_t threads, int64_t batch)
{
    decai_context *ctx = infer_context(threads - 1);
    decai_model *model = infer_model(ctx, m);
    uint8_t all[32 * SEQUENCES], hash[32];
    int32_t tokens[LENGTH];

    set_state();
    decai_engine *engine = infer_engine(ctx, model, &(infer_setup){ .backend = backend, .batch = batch, .flavour = flavour });

    hex[0] = 0;
    if (engine) {
        decai_session *s = infer_session(engine, ctx, "infer.logits_all", (int64_t)1, NULL);
        for (int i = 0; i < SEQUENCES; i++) {
            infer_tokens(tokens, LENGTH, m->n_vocab, 100 + (uint64_t)i);
            assert_int_equal(decai_session_start(s), 0);
            assert_int_equal(decai_session_add(s, tokens, 130), 0);
            assert_int_equal(decai_session_add(s, tokens + 130, LENGTH - 130), 0);
            assert_int_equal(decai_session_hash_get(s, all + 32 * i, 32), 0);
        }
        assert_int_equal(decai_hash_keccak256(hash, 32, all, sizeof all), 0);
        infer_hex(hex, hash);
        decai_destroy(s);
    }
    check_state();
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(ctx);
}

static void
backend_test(const char *backend)
{
    static const int64_t batches[] = { 64, 7, 1 };
    char hex[65];

    for (int64_t threads = 1; threads <= 2; threads++)
        for (int b = 0; b < 3; b++) {
            run(hex, &MODEL, backend, threads, batches[b]);
            if (!hex[0]) {
                print_message("no device for backend %s\n", backend);
                skip();
            }
            assert_string_equal(hex, golden[0]);
        }
}

static void test_scalar(void **state) { (void)state; backend_test("scalar"); }
static void test_native(void **state) { (void)state; backend_test("native"); }
static void test_opencl(void **state) { (void)state; backend_test("opencl"); }

/* A flavour is on by default only after this (lib/compute/README.md). The second
 * costs another round of compiling: deep runs only. */
static void
test_opencl_flavours(void **state)
{
    static const char *const names[] = { "generic", "pocl-avx2" };
    support_llama tied = MODEL;
    char hex[65];
    (void)state;

    tied.type = 2;
    tied.tied = 1;
    for (int i = 0; i < (getenv("DECAI_DEEP") ? 2 : 1); i++) {
        flavour = names[i];
        run(hex, &MODEL, "opencl", 1, 64);
        if (hex[0]) assert_string_equal(hex, golden[0]);
        run(hex, &tied, "opencl", 1, 7);
        if (hex[0]) assert_string_equal(hex, golden[1]);
        print_message("# %s: %s\n", names[i], hex[0] ? "equal" : "no device takes it");
        flavour = NULL;
    }
}

static void
test_q4_0_tied(void **state)
{
    static const char *const backends[] = { "scalar", "native", "opencl" };
    support_llama m = MODEL;
    char hex[65];
    (void)state;

    m.type = 2;
    m.tied = 1;
    for (int i = 0; i < 3; i++) {
        run(hex, &m, backends[i], 2, 64);
        if (hex[0]) assert_string_equal(hex, golden[1]);
    }
}

static void
test_callers_fpu(void **state)
{
    static const int modes[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    char hex[65];
    (void)state;

    static const char *const backends[] = { "scalar", "native", "opencl" };
    static const int64_t batches[] = { 64, 7, 1 };
    bool deep = getenv("DECAI_DEEP") != NULL;
    int runs = 0;

    /* Each backend under each mode; DECAI_DEEP crosses them with all threads and
     * batches, else these differ along the way. */
    for (size_t b = 0; b < 3; b++)
        for (size_t i = 0; i < 3; i++)
            for (size_t k = 0; k < 6; k++) {
                if (!deep && k != (i + b) % 4) continue;
                caller_mode = modes[i];
                run(hex, &MODEL, backends[b], 1 + (int64_t)(k % 2), batches[k / 2]);
                caller_mode = FE_TONEAREST;
                if (hex[0]) assert_string_equal(hex, golden[0]);
                else assert_string_equal(backends[b], "opencl");
                runs++;
            }
    print_message("# %d runs under other rounding modes, FTZ and DAZ\n", runs);
}

/* Not the hash alone: another token, weight or position must change it. */
static void
test_hash_reacts(void **state)
{
    support_llama m = MODEL;
    char hex[65];
    (void)state;

    m.seed = 43;
    run(hex, &m, "native", 1, 64);
    assert_string_not_equal(hex, golden[0]);
}

static int
print_golden(void)
{
    support_llama m = MODEL;
    char a[65], b[65];
    run(a, &m, "scalar", 1, 64);
    m.type = 2;
    m.tied = 1;
    run(b, &m, "scalar", 1, 64);
    printf("q8_0 %s\nq4_0 %s\n", a, b);
    return 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar), cmocka_unit_test(test_native), cmocka_unit_test(test_opencl), cmocka_unit_test(test_opencl_flavours),
        cmocka_unit_test(test_q4_0_tied), cmocka_unit_test(test_callers_fpu), cmocka_unit_test(test_hash_reacts),
    };
    if (argc > 1 && !strcmp(argv[1], "--golden")) return print_golden();
    read_golden();
    if (!have_golden) {
        fprintf(stderr, "tests/golden/infer_logits.txt: unreadable\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
