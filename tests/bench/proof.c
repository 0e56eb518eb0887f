/* proof.c - receipts per second: made, verified by replay, disputed. One JSON
 * object on stdout; "load" is /proc/loadavg's first number.
 *
 *     build/release/tests/bench/proof MODEL.gguf */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decai.h"

#define TOKENS 16

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
check(int32_t r, const char *what)
{
    if (r >= 0) return;
    fprintf(stderr, "%s: %s: %s\n", what, decai_error_name(r), decai_error_detail());
    exit(1);
}

static decai_session *
session_of(decai_context *ctx, decai_engine *engine, int64_t tree)
{
    static const int32_t prompt[8] = {40, 41, 42, 43, 44, 45, 46, 47};
    decai_options *o = NULL;
    decai_session *s = NULL;
    int32_t token, r;
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_i64(o, "infer.activation_tree", tree), "tree");
    check(decai_options_set_i64(o, "infer.max_tokens", TOKENS), "max_tokens");
    check(decai_session_create(&s, engine, o), "session");
    check(decai_session_add(s, prompt, 8), "prompt");
    while ((r = decai_session_next(s, &token)) == 1) {}
    check(r, "next");
    decai_destroy(o);
    return s;
}

static double
load_average(void)
{
    double v = 0;
    FILE *f = fopen("/proc/loadavg", "r");
    if (f && fscanf(f, "%lf", &v) != 1) v = 0;
    if (f) fclose(f);
    return v;
}

int
main(int argc, char **argv)
{
    decai_context *ctx = NULL;
    decai_model *model = NULL;
    decai_tokenizer *tok = NULL;
    decai_engine *engine = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: proof MODEL.gguf\n");
        return 2;
    }
    check(decai_context_create(&ctx, NULL), "context");
    check(decai_model_load(&model, ctx, argv[1], NULL), "model");
    check(decai_tokenizer_create(&tok, model, NULL), "tokenizer");
    check(decai_engine_create(&engine, model, NULL), "engine");

    enum { RUNS = 40, RECEIPTS = 2000, VERIFIED = 40 };
    double plain = 1e9, tree = 1e9;
    for (int i = 0; i < RUNS; i++) {  /* interleaved: what the activation tree costs */
        double t0 = now();
        decai_destroy(session_of(ctx, engine, 0));
        double t1 = now();
        decai_destroy(session_of(ctx, engine, 1));
        double t2 = now();
        if (t1 - t0 < plain) plain = t1 - t0;
        if (t2 - t1 < tree) tree = t2 - t1;
    }
    decai_session *s = session_of(ctx, engine, 1);
    decai_receipt *r = NULL;
    double start = now();
    for (int i = 0; i < RECEIPTS; i++) {
        decai_destroy(r);
        check(decai_receipt_create(&r, s, tok, NULL), "receipt");
    }
    double created = now() - start;
    size_t len = 0;
    uint8_t *opening = malloc(65536);
    check(decai_opening_get(r, opening, 65536, &len), "opening");
    start = now();
    for (int i = 0; i < VERIFIED; i++) {
        decai_verification *v = NULL;
        uint64_t replayed, committed;
        check(decai_receipt_verify(&v, r, opening, len, engine), "verify");
        check(decai_verification_get(v, &replayed, &committed), "verify");
        decai_destroy(v);
    }
    double verified = now() - start;
    printf("{\"receipts_per_s\":%.0f,\"verified_by_replay_per_s\":%.1f,\"tokens\":%d,\"run_ms\":%.3f,\"run_with_tree_ms\":%.3f,\"tree_cost\":%.3f,\"load\":%.2f}\n",
        RECEIPTS / created, VERIFIED / verified, TOKENS, plain * 1e3, tree * 1e3, tree / plain - 1, load_average());
    free(opening);
    decai_destroy(r);
    decai_destroy(s);
    decai_destroy(engine);
    decai_destroy(tok);
    decai_destroy(model);
    decai_destroy(ctx);
    return 0;
}
