/* The sampler beside a second implementation of its rule (tests/tools/sample_oracle.py):
 * every line of tests/golden/sample.txt gives the token that it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/infer.h"
#include "support_infer.h"

#define LOGITS_MAX 4096

static decai_context *ctx;
static int setup(void **state) { (void)state; ctx = infer_context(0); return 0; }
static int teardown(void **state) { (void)state; decai_destroy(ctx); return 0; }

/* As make_logits of the oracle. */
static void
make_logits(float *x, uint32_t n, int64_t kind, uint64_t seed)
{
    static const float scale[] = { 0, 0x1p-19f, 0x1p-23f, 0x1p-17f }, extreme[] = { 3e38f, -3e38f, -0.0f, 0.0f };
    for (uint32_t i = 0; i < n; i++)
        x[i] = kind ? (float)((int64_t)(support_rand(&seed) % (1 << 24)) - (1 << 23)) * scale[kind]
            : (float)((int64_t)(support_rand(&seed) % 64) - 32) / 4;
    for (int i = 0; kind == 3 && i < 4; i++) x[support_rand(&seed) % n] = extreme[i];
}

enum { N, KIND, SEED, PLACE, ALPHA, HSEED, FIRST, TEMPERATURE, TOP_K, TOP_P, RANDOM, NUMBERS };

static void
test_golden(void **state)
{
    static float x[LOGITS_MAX];
    char line[4096];
    int rows = 0;
    (void)state;
    FILE *f = fopen("tests/golden/sample.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        int64_t v[NUMBERS];
        char *at = line;
        for (int i = 0; i < NUMBERS; i++) v[i] = strtoll(at, &at, 10);
        uint32_t n = (uint32_t)v[N];
        assert_in_range(n, 1, LOGITS_MAX);
        make_logits(x, n, v[KIND], (uint64_t)v[SEED]);
        decai__sampler s = { .temperature_milli = (uint32_t)v[TEMPERATURE], .top_k = (uint32_t)v[TOP_K],
            .top_p_65536 = (uint32_t)v[TOP_P], .seed = (uint64_t)v[RANDOM] };
        int32_t token = -1, want = -2;
        assert_int_equal(decai__sample(ctx, &token, &s, x, n, (uint64_t)v[PLACE]), 0);
        at = strrchr(line, ' ');                         /* the last but one number */
        while (at[-1] != ' ') at--;
        want = (int32_t)strtol(at, NULL, 10);
        rows++;
        if (token != want) fail_msg("line %d: token %d here, %d there", rows, (int)token, (int)want);
    }
    fclose(f);
    printf("# %d draws equal\n", rows);
    assert_true(rows >= 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_golden) };
    return cmocka_run_group_tests_name("infer_sample_golden", tests, setup, teardown);
}
