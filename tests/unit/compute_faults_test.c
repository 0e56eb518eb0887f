/* compute_faults_test.c - every OpenCL call can fail.
 *
 * A scenario (open, known answers, a small graph, close) is run once to count its
 * OpenCL calls; then again with call N failing, for all N and codes. Wanted each
 * time: DECAI_E_DEVICE and a backend that knows it is lost, or (with fallback) a
 * native one with the same bits; no OpenCL object left; no host memory left.
 * DECAI_DEEP=1 runs all N with all codes, otherwise each N meets one code and
 * the long middle is thinned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"

#define DIM 64

/* -4 allocation, -5 resources, -6 host memory, -54 work-group size, -61 buffer size */
static const int32_t codes[] = { -4, -5, -6, -54, -61 };

static int64_t live_blocks;

static void *
counting_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    (void)user; (void)old_size;
    if (!size) {
        if (ptr) live_blocks--;
        free(ptr);
        return NULL;
    }
    if (!ptr) live_blocks++;
    return realloc(ptr, size);
}

static decai_context *
context(void)
{
    decai_options *o;
    decai_context *ctx;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)counting_realloc, NULL), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    return ctx;
}

/* Everything a graph uses, once: a wrong bit anywhere reaches y. */
static int32_t
graph(decai__compute *c, float y[3 * DIM])
{
    enum { N = 3, KV = 70 };
    static const uint32_t ids[N] = { 1, 4, 2 };
    decai__matrix *q8 = NULL, *q4 = NULL, *f16 = NULL;
    decai__tbuf *x = NULL, *h = NULL, *act = NULL, *cache = NULL, *table = NULL;
    decai__kv *kv = NULL;
    const decai__kv_spec spec = { 1, 1, DIM, DECAI__KV_F16, KV, KV, NULL };
    const decai__rope_spec angles = { .rot_dim = DIM, .base = 10000.0 };
    const decai__norm norm = { N, 1, DIM, 1e-5f, DECAI__NORM_RMS };
    uint8_t data[DIM * 68];
    float host[KV * DIM];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + i / 7) & 0xbb;
    for (size_t i = 0; i < KV * DIM; i++) host[i] = (float)((int)(i * 7919 % 101) - 50) * 0.03125f;
    int32_t r = decai__matrix_create(&q8, c, "q8", DECAI__Q8_0, DIM, DIM, data, DIM * 68, NULL);
    if (!r) r = decai__matrix_create(&q4, c, "q4", DECAI__Q4_0, DIM, DIM, data, DIM * 36, NULL);
    if (!r) r = decai__matrix_create(&f16, c, "f16", DECAI__F16, DIM / 2, DIM, data, DIM / 2 * DIM * 2, NULL);
    if (!r) r = decai__tbuf_create(&x, c, N * DIM * 4);
    if (!r) r = decai__tbuf_create(&h, c, KV * DIM * 4);
    if (!r) r = decai__tbuf_create(&act, c, N * decai__act_stride(DECAI__ACT_32, DIM));
    if (!r) r = decai__tbuf_create(&cache, c, KV * DIM * 4);
    if (!r) r = decai__rope_table_create(&table, c, KV, &angles);
    if (!r) r = decai__tbuf_write(cache, 0, host, sizeof host);
    const decai__rows rows = { "q8", DECAI__Q8_0, DIM, DIM, data, 68 };
    if (!r) r = decai__op_embed(c, DECAI__REF(x), &rows, ids, N, 1.0f);
    if (!r) r = decai__op_norm(c, DECAI__REF(x), DECAI__REF(x), DECAI__REF(cache), DECAI__NO_REF, &norm, "norm");
    if (!r) r = decai__op_quant(c, DECAI__REF(act), DECAI__REF(x), DECAI__ACT_32, N, DIM, "act");
    if (!r) r = decai__op_matmul(c, DECAI__REF(h), q4, DECAI__REF(act), N);
    const decai__rope rope = { N, 1, DIM, DIM, KV - N, false };
    if (!r) r = decai__op_rope(c, DECAI__REF(h), table, &rope);
    const decai__attn attn = { N, 1, 1, DIM, KV - N, 0.125f, 0.0f, DECAI__NO_REF };
    if (!r) r = decai__kv_create(&kv, c, &spec);
    if (!r) r = decai__op_kv_store(c, kv, 0, 0, DECAI__REF(cache), DECAI__REF(cache), KV, "kv");
    if (!r) r = decai__op_attention(c, DECAI__REF(x), DECAI__REF(h), kv, 0, &attn, "scores");
    if (!r) r = decai__op_glu(c, DECAI__REF(x), DECAI__REF(x), DECAI__REF(h), DECAI__GLU_SILU, N * DIM);
    if (!r) r = decai__op_add(c, DECAI__REF(x), DECAI__REF(x), DECAI__REF(h), N * DIM);
    if (!r) r = decai__op_check(c, DECAI__REF(x), N, DIM, "check");
    if (!r) r = decai__op_matmul(c, DECAI__REF(h), f16, DECAI__REF(x), N);
    if (!r) r = decai__tbuf_copy(x, 0, h, 0, N * DIM / 2 * 4);
    if (!r) r = decai__tbuf_read(x, 0, y, 3 * DIM * 4);
    decai__kv_destroy(kv);
    decai__tbuf_destroy(x);
    decai__tbuf_destroy(h);
    decai__tbuf_destroy(act);
    decai__tbuf_destroy(cache);
    decai__tbuf_destroy(table);
    decai__matrix_destroy(q8);
    decai__matrix_destroy(q4);
    decai__matrix_destroy(f16);
    return r;
}

static float right[3 * DIM];

static void
scalar_result(void)
{
    decai_context *ctx = context();
    decai__compute *c;
    assert_int_equal(decai__compute_open(&c, ctx, "scalar", "", NULL), 0);
    assert_int_equal(graph(c, right), 0);
    decai__compute_destroy(c);
    decai_destroy(ctx);
}

/* Open without the known-answer test, run the graph; 0 or the error. */
static int32_t
scenario(decai_context *ctx, decai__cl_hook *hook)
{
    decai__compute *c;
    float y[3 * DIM];
    int32_t r = decai__compute_open(&c, ctx, "opencl", "", hook);
    if (r) return r;
    r = graph(c, y);
    if (!r) assert_memory_equal(y, right, sizeof y);
    if (r) {
        assert_true(decai__compute_lost(c));
        assert_int_equal(decai__compute_sync(c), DECAI_E_DEVICE);
        assert_int_equal(graph(c, y), DECAI_E_DEVICE);
        decai__compute *native;                      /* what the owner does then: replay */
        assert_int_equal(decai__compute_create_native(&native, ctx, NULL), 0);
        assert_int_equal(graph(native, y), 0);
        assert_memory_equal(y, right, sizeof y);
        decai__compute_destroy(native);
    }
    decai__compute_destroy(c);
    return r;
}

static uint64_t
calls_of(int32_t (*run)(decai_context *, decai__cl_hook *))
{
    decai_context *ctx = context();
    decai__cl_hook hook = { 0 };
    int32_t r = run(ctx, &hook);
    if (r == DECAI_E_DEVICE && strstr(decai_error_detail(), "no OpenCL device")) {
        decai_destroy(ctx);
        print_message("# no OpenCL device on this machine\n");
        skip();
    }
    if (r) fail_msg("%s", decai_error_detail());
    assert_int_equal(hook.live, 0);
    decai_destroy(ctx);
    return hook.calls;
}

static void
every_call_fails_once(void **state)
{
    (void)state;
    scalar_result();
    uint64_t calls = calls_of(scenario);
    bool deep = getenv("DECAI_DEEP") != NULL;
    size_t failed = 0, harmless = 0;
    /* Opening and closing whole; every seventh of the long middle, where kernels are alike. */
    for (uint64_t n = 1; n <= calls; n += deep || n < 24 || n + 16 > calls ? 1 : 7)
        for (size_t k = 0; k < (deep ? 5 : 1); k++) {
            int64_t before = live_blocks;
            decai_context *ctx = context();
            decai__cl_hook hook = { .fail_at = n, .code = codes[deep ? k : n % 5] };
            int32_t r = scenario(ctx, &hook);
            if (r && r != DECAI_E_DEVICE) fail_msg("call %llu: %d %s", (unsigned long long)n, r, decai_error_detail());
            r ? failed++ : harmless++;
            assert_int_equal(hook.live, 0);
            decai_destroy(ctx);
            assert_int_equal(live_blocks, before);
        }
    print_message("# %llu calls; %zu runs failed cleanly, %zu unharmed\n", (unsigned long long)calls, failed, harmless);
    /* The wait inside close, the list of extensions and the trial build of the best
     * flavour may fail without consequence: another flavour has the same bits. */
    assert_true(harmless <= (deep ? 15 : 3));
}

static int64_t warnings;

static void
count_warning(void *user, int32_t level, const char *text)
{
    (void)user;
    if (level == DECAI_LOG_WARN && strstr(text, "replaced by native")) warnings++;
}

static int32_t
created(decai_context *ctx, decai__cl_hook *hook, int64_t fallback, const char **name)
{
    decai_options *o;
    decai__compute *c;
    float y[3 * DIM];
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "opencl"), 0);
    assert_int_equal(decai_options_set_i64(o, "compute.fallback", fallback), 0);
    int32_t r = decai__compute_create_hooked(&c, ctx, o, hook);
    *name = r ? "" : decai__compute_name(c);
    if (!r && !strcmp(*name, "native")) {
        assert_int_equal(graph(c, y), 0);
        assert_memory_equal(y, right, sizeof y);
    }
    decai__compute_destroy(c);
    decai_destroy(o);
    return r;
}

static int32_t
create_once(decai_context *ctx, decai__cl_hook *hook)
{
    const char *name;
    return created(ctx, hook, 0, &name);
}

static void
create_falls_back_with_a_warning(void **state)
{
    (void)state;
    scalar_result();
    uint64_t calls = calls_of(create_once);
    uint64_t step = getenv("DECAI_DEEP") ? 1 : 149;
    for (uint64_t n = 1; n < calls; n += n < 8 ? 1 : step) {
        decai_options *o;
        decai_context *ctx;
        const char *name;
        decai__cl_hook hook = { .fail_at = n, .code = codes[n % 5] };
        assert_int_equal(decai_options_create(&o, NULL), 0);
        assert_int_equal(decai_options_set_fn(o, "base.log", (decai_fn)count_warning, NULL), 0);
        assert_int_equal(decai_context_create(&ctx, o), 0);
        decai_destroy(o);
        warnings = 0;
        assert_int_equal(created(ctx, &hook, 1, &name), 0);
        if (n + 2 < calls) {                         /* the last calls are the wait at close */
            assert_string_equal(name, "native");
            assert_int_equal(warnings, 1);
        }
        assert_int_equal(hook.live, 0);
        hook = (decai__cl_hook){ .fail_at = n, .code = codes[n % 5] };
        if (n + 2 < calls) assert_int_equal(created(ctx, &hook, 0, &name), DECAI_E_DEVICE);
        assert_int_equal(hook.live, 0);
        decai_destroy(ctx);
    }
    print_message("# %llu calls in a create with its known-answer test\n", (unsigned long long)calls);
}

static void
unknown_devices_are_named(void **state)
{
    (void)state;
    decai_context *ctx = context();
    decai__compute *c;
    assert_int_equal(decai__compute_open(&c, ctx, "opencl", "no such device", NULL), DECAI_E_DEVICE);
    assert_non_null(strstr(decai_error_detail(), "no such device"));
    assert_null(c);
    assert_int_equal(decai__compute_open(&c, ctx, "cuda", "", NULL), DECAI_E_INVALID);
    assert_null(c);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(create_falls_back_with_a_warning),
        cmocka_unit_test(unknown_devices_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
