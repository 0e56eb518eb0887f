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

/* The columns, in the order of the oracle's OPTIONS. */
enum { N, KIND, SEED, PLACE, ALPHA, HSEED, FIRST, TEMPERATURE, TOP_K, TOP_P, RANDOM, MIN_P, TYPICAL, SIGMA, REPEAT, PRESENCE,
    FREQUENCY, LAST_N, OWN, MULTIPLIER, BASE, ALLOWED, DRY_LAST_N, THRESHOLD, PROBABILITY, TAU, ETA, MU, NUMBERS };

typedef struct row {
    int64_t v[NUMBERS];
    decai__bias bias[16];
    int32_t breakers[16], tokens[128];
    uint64_t mask[LOGITS_MAX / 64];
    decai__sampler s;
    decai__draw d;
    int32_t token;
    int64_t mu;
} row;

static size_t
read_pairs(char **at, decai__bias *out, bool values)
{
    size_t n = 0;
    while (**at == ' ') ++*at;
    if (**at == '-') {
        ++*at;
        return 0;
    }
    do {
        assert_true(n < 16);
        out[n].token = (int32_t)strtol(*at, at, 10);
        if (values) {
            assert_int_equal(**at, ':');
            out[n].milli = (int32_t)strtol(*at + 1, at, 10);
        }
        n++;
    } while (*(*at)++ == ',');
    return n;
}

static void
read_sampler(row *r)
{
    const int64_t *v = r->v;
    r->s = (decai__sampler){ .temperature_milli = (uint32_t)v[TEMPERATURE], .top_k = (uint32_t)v[TOP_K],
        .top_p_65536 = (uint32_t)v[TOP_P], .seed = (uint64_t)v[RANDOM], .min_p_65536 = (uint32_t)v[MIN_P],
        .typical_65536 = (uint32_t)v[TYPICAL], .sigma_milli = (uint32_t)v[SIGMA], .repeat_milli = (uint32_t)v[REPEAT],
        .presence_milli = (int32_t)v[PRESENCE], .frequency_milli = (int32_t)v[FREQUENCY],
        .penalty_last_n = (int32_t)v[LAST_N], .penalty_own = (uint32_t)v[OWN],
        .dry_multiplier_milli = (uint32_t)v[MULTIPLIER], .dry_base_milli = (uint32_t)v[BASE], .dry_allowed = (uint32_t)v[ALLOWED],
        .dry_last_n = (int32_t)v[DRY_LAST_N], .xtc_threshold_65536 = (uint32_t)v[THRESHOLD],
        .xtc_probability_65536 = (uint32_t)v[PROBABILITY], .tau_65536 = (uint32_t)v[TAU], .eta_65536 = (uint32_t)v[ETA],
        .bias = r->bias, .breakers = r->breakers };
}

static void
read_row(row *r, char *line)
{
    decai__bias ids[16];
    char *at = line;
    for (int i = 0; i < NUMBERS; i++) r->v[i] = strtoll(at, &at, 10);
    read_sampler(r);
    r->s.bias_count = read_pairs(&at, r->bias, true);
    r->s.breaker_count = read_pairs(&at, ids, false);
    for (size_t i = 0; i < r->s.breaker_count; i++) r->breakers[i] = ids[i].token;
    uint64_t mask = strtoull(at, &at, 10), seed = (uint64_t)r->v[HSEED];
    bool masked = mask != 0;
    for (size_t i = 0; i < LOGITS_MAX / 64; i++) {
        uint64_t a = support_rand(&mask);
        r->mask[i] = a & support_rand(&mask);
    }
    int64_t alpha = r->v[ALPHA];
    for (int64_t i = 0; i <= r->v[PLACE]; i++) {
        bool turn = alpha < 0 && support_rand(&seed) % 16 != 0;
        r->tokens[i] = (int32_t)(turn ? i % -alpha : (int64_t)(support_rand(&seed) % (uint64_t)(alpha < 0 ? -alpha : alpha)));
    }
    r->d = (decai__draw){ .sampler = &r->s, .position = (uint64_t)r->v[PLACE], .tokens = r->tokens, .first = (size_t)r->v[FIRST],
        .mu = r->v[MU], .mask = masked ? r->mask : NULL };
    r->token = (int32_t)strtol(at, &at, 10);
    r->mu = strtoll(at, &at, 10);
    assert_int_equal(*at, '\n');
}

static void
test_golden(void **state)
{
    static float x[LOGITS_MAX];
    static row r;
    char line[4096];
    int rows = 0;
    (void)state;
    FILE *f = fopen("tests/golden/sample.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        read_row(&r, line);
        uint32_t n = (uint32_t)r.v[N];
        assert_in_range(n, 1, LOGITS_MAX);
        make_logits(x, n, r.v[KIND], (uint64_t)r.v[SEED]);
        int32_t token = -1;
        int64_t mu = r.d.mu;
        decai__sample_work *w = NULL;
        assert_int_equal(decai__sample_work_create(&w, ctx, &r.s, n, (size_t)r.v[PLACE] + 1, r.d.mask != NULL), 0);
        /* Twice with one scratch: nothing of a draw may stay in it. */
        for (int i = 0; i < 2; i++) {
            int32_t e = decai__sample(w, &token, &mu, &r.d, x, n);
            assert_int_equal(e, r.token < 0 ? DECAI_E_STATE : 0);
        }
        decai__sample_work_destroy(w);
        rows++;
        if (token != r.token || mu != r.mu)
            fail_msg("line %d: token %d, mu %lld here; %d, %lld there", rows, (int)token, (long long)mu, (int)r.token, (long long)r.mu);
    }
    fclose(f);
    print_message("# %d draws equal\n", rows);
    assert_true(rows >= 900);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_golden) };
    return cmocka_run_group_tests_name("infer_sample_golden", tests, setup, teardown);
}
