/* sample.c - what choosing a token costs, by vocabulary and options: milliseconds of
 * processor time a draw, and how many copies of the logits that is (interleaved, best
 * of the rounds). One JSON object a vocabulary.
 *
 *     build/release/tests/bench/sample [rounds]
 *
 * The logits are sums of twelve uniform numbers, so near to normal, four wide, with
 * sixty likely tokens on top: every draw has the next of a few such vectors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "infer/infer.h"

enum { VECTORS = 8, HISTORY = 4096 };

static uint64_t seed = 1;

static uint32_t
rnd(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}

static float
normal(float width)
{
    double s = 0;
    for (int i = 0; i < 12; i++) s += rnd() / 4294967296.0;
    return (float)(s - 6) * width;
}

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static const int32_t breakers[] = { 13, 198 };

static const struct { const char *name; decai__sampler s; bool masked; } cases[] = {
    { "greedy", { .top_p_65536 = 65536 }, false },
    { "temperature", { .temperature_milli = 800, .top_p_65536 = 65536 }, false },
    { "top_k_40", { .temperature_milli = 800, .top_k = 40, .top_p_65536 = 65536 }, false },
    { "top_k_40_top_p_0.95", { .temperature_milli = 800, .top_k = 40, .top_p_65536 = 62259 }, false },
    { "top_p_0.95", { .temperature_milli = 800, .top_p_65536 = 62259 }, false },
    { "min_p_0.05", { .temperature_milli = 800, .top_p_65536 = 65536, .min_p_65536 = 3277 }, false },
    { "typical_0.95", { .temperature_milli = 800, .top_p_65536 = 65536, .typical_65536 = 62259 }, false },
    { "top_n_sigma_1", { .temperature_milli = 800, .top_p_65536 = 65536, .sigma_milli = 1000 }, false },
    { "xtc", { .temperature_milli = 800, .top_p_65536 = 65536, .xtc_probability_65536 = 65536, .xtc_threshold_65536 = 6554 }, false },
    { "top_k_40_typical_0.95", { .temperature_milli = 800, .top_k = 40, .top_p_65536 = 65536, .typical_65536 = 62259 }, false },
    { "min_p_0.05_xtc", { .temperature_milli = 800, .top_p_65536 = 65536, .min_p_65536 = 3277, .xtc_probability_65536 = 65536,
        .xtc_threshold_65536 = 6554 }, false },
    { "mirostat", { .temperature_milli = 800, .top_p_65536 = 65536, .tau_65536 = 5 << 16, .eta_65536 = 6554 }, false },
    { "greedy_mask", { .top_p_65536 = 65536 }, true },
    { "greedy_penalties_64", { .top_p_65536 = 65536, .repeat_milli = 1100, .penalty_last_n = 64 }, false },
    { "greedy_dry_4096", { .top_p_65536 = 65536, .dry_multiplier_milli = 800, .dry_base_milli = 1750, .dry_allowed = 2,
        .dry_last_n = -1, .breakers = breakers, .breaker_count = 2 }, false },
    { "penalties_dry_mask_top_k_top_p_min_p", { .temperature_milli = 800, .top_k = 40, .top_p_65536 = 62259, .min_p_65536 = 3277,
        .repeat_milli = 1100, .penalty_last_n = 64, .dry_multiplier_milli = 800, .dry_base_milli = 1750, .dry_allowed = 2,
        .dry_last_n = -1, .breakers = breakers, .breaker_count = 2 }, true },
};

static float *logits[VECTORS];
static int32_t tokens[HISTORY];
static uint64_t *mask;

static double
time_case(decai_context *ctx, size_t which, uint32_t vocab)
{
    const decai__sampler *s = &cases[which].s;
    decai__sample_work *w = NULL;
    int64_t mu;
    int32_t token;
    if (decai__sample_work_create(&w, ctx, s, vocab, HISTORY, cases[which].masked)) exit(1);
    double start = now();
    for (size_t i = 0; i < VECTORS; i++) {
        decai__draw d = { .sampler = s, .position = HISTORY - 1, .tokens = tokens, .mu = 10 << 16,
            .mask = cases[which].masked ? mask : NULL };
        if (decai__sample(w, &token, &mu, &d, logits[i], vocab)) exit(1);
    }
    double spent = now() - start;
    decai__sample_work_destroy(w);
    return spent / VECTORS;
}

static double
time_copy(float *to, uint32_t vocab)
{
    double start = now();
    for (size_t i = 0; i < VECTORS; i++) {
        memcpy(to, logits[i], vocab * sizeof *to);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return (now() - start) / VECTORS;
}

static void
measure(decai_context *ctx, uint32_t vocab, int rounds)
{
    double best[sizeof cases / sizeof *cases], copy = 1e9;
    float *to = malloc(vocab * sizeof *to);
    mask = malloc((vocab + 63) / 64 * sizeof *mask);
    for (size_t v = 0; v < VECTORS; v++) {
        logits[v] = malloc(vocab * sizeof *logits[v]);
        for (uint32_t i = 0; i < vocab; i++) logits[v][i] = normal(4);
        for (int i = 0; i < 60; i++) logits[v][rnd() % vocab] = 14 + normal(2);
    }
    for (size_t i = 0; i < HISTORY; i++) tokens[i] = (int32_t)(i % 7 ? rnd() % 200 : rnd() % vocab);
    for (size_t i = 0; i < (vocab + 63) / 64; i++) mask[i] = i % 3 ? 0 : (uint64_t)rnd() << 32 | rnd();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) best[c] = 1e9;
    for (int r = 0; r < rounds; r++) {
        double t = time_copy(to, vocab);
        copy = t < copy ? t : copy;
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            t = time_case(ctx, c, vocab);
            best[c] = t < best[c] ? t : best[c];
        }
    }
    printf("{\"vocab\": %u, \"copy_ms\": %.4f", vocab, copy);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        printf(", \"%s\": {\"ms\": %.4f, \"copies\": %.1f}", cases[c].name, best[c], best[c] / copy);
    printf("}\n");
    for (size_t v = 0; v < VECTORS; v++) free(logits[v]);
    free(mask);
    free(to);
}

int
main(int argc, char **argv)
{
    static const uint32_t vocab[] = { 32000, 128256, 262144 };
    int rounds = argc > 1 ? atoi(argv[1]) : 15;
    decai_context *ctx = NULL;
    if (decai_context_create(&ctx, NULL)) return 1;
    for (size_t i = 0; i < sizeof vocab / sizeof *vocab; i++) measure(ctx, vocab[i], rounds);
    decai_destroy(ctx);
    return 0;
}
