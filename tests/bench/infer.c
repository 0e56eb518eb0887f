/* infer.c - tokens per second of one model on every backend. One JSON object on
 * stdout; the logits hash must be the same on all of them.
 *
 *     build/release/tests/bench/infer MODEL.gguf [threads [prompt [generate]]]
 *
 * Best of three rounds, backends interleaved; "load" is /proc/loadavg's first
 * number, because a shared machine says little without it. The peer's numbers on
 * the same file: tests/bench/infer_peer.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decai.h"

static int
fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, decai_error_detail());
    return 1;
}

typedef struct result { double prefill, decode; char hash[65]; } result;

static int
round_of(decai_context *ctx, decai_engine *engine, int prompt, int generate, result *out)
{
    decai_options *o = NULL;
    decai_session *s = NULL;
    uint64_t in, gen, in_ns, gen_ns;
    int32_t *tokens = malloc(sizeof *tokens * (size_t)prompt), token, r;
    uint8_t hash[32];

    if (!tokens || decai_options_create(&o, ctx) || decai_session_create(&s, engine, o))
        return fail("session");
    for (int i = 0; i < prompt; i++) tokens[i] = 5 + i * 7919 % 200;
    if (decai_session_add(s, tokens, (size_t)prompt)) return fail("prompt");
    if (decai_session_count(s, &in, &gen, &in_ns, &gen_ns)) return fail("count");
    double prefill = (double)in * 1e9 / (double)in_ns;
    /* The first one needs no decoding; an end of text is talked over. */
    if (decai_session_next(s, &token) != 1 || decai_session_count(s, &in, &gen, &in_ns, &gen_ns)) return fail("first");
    uint64_t before = in_ns + gen_ns;
    for (int i = 1; i < generate; i++) {
        r = decai_session_next(s, &token);
        if (r == 0) r = decai_session_add(s, &tokens[i % prompt], 1) ? -1 : decai_session_next(s, &token);
        if (r != 1) return fail("generate");
    }
    if (decai_session_count(s, &in, &gen, &in_ns, &gen_ns) || decai_session_hash_get(s, hash, 32)) return fail("hash");
    double decode = (double)(generate - 1) * 1e9 / (double)(in_ns + gen_ns - before);
    if (prefill > out->prefill) out->prefill = prefill;
    if (decode > out->decode) out->decode = decode;
    for (int i = 0; i < 32; i++) (void)snprintf(out->hash + 2 * i, 3, "%02x", hash[i]);
    decai_destroy(s);
    decai_destroy(o);
    free(tokens);
    return 0;
}

static double
load_now(void)
{
    double load = -1;
    FILE *f = fopen("/proc/loadavg", "r");
    if (f && fscanf(f, "%lf", &load) != 1) load = -1;
    if (f) fclose(f);
    return load;
}

int
main(int argc, char **argv)
{
    static const char *const names[] = { "scalar", "native", "opencl" };
    int threads = argc > 2 ? atoi(argv[2]) : 2, prompt = argc > 3 ? atoi(argv[3]) : 128;
    int generate = argc > 4 ? atoi(argv[4]) : 64, shown = 0;
    decai_context *ctx = NULL;
    decai_options *o = NULL;
    decai_model *model = NULL;
    decai_engine *engine[3] = { NULL };
    result best[3] = { { 0 } };

    if (argc < 2) return fprintf(stderr, "usage: infer MODEL.gguf [threads [prompt [generate]]]\n"), 2;
    if (decai_options_create(&o, NULL) || decai_options_set_i64(o, "base.threads", threads - 1)
        || decai_context_create(&ctx, o) || decai_model_load(&model, ctx, argv[1], NULL))
        return fail(argv[1]);
    for (int i = 0; i < 3; i++) {
        decai_options *e = NULL;
        if (decai_options_create(&e, ctx) || decai_options_set_str(e, "compute.backend", names[i])
            || decai_options_set_i64(e, "compute.fallback", 0))
            return fail("options");
        if (decai_engine_create(&engine[i], model, e)) (void)fail(names[i]);
        decai_destroy(e);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 3; i++)
            if (engine[i] && round_of(ctx, engine[i], prompt, generate, &best[i])) return 1;

    printf("{\"threads\":%d,\"prompt\":%d,\"load\":%.2f,\"backends\":{", threads, prompt, load_now());
    for (int i = 0; i < 3; i++)
        if (engine[i])
            printf("%s\"%s\":{\"prefill_tps\":%.1f,\"decode_tps\":%.1f,\"logits_hash\":\"%s\"}", shown++ ? "," : "",
                names[i], best[i].prefill, best[i].decode, best[i].hash);
    printf("}}\n");
    for (int i = 0; i < 3; i++) decai_destroy(engine[i]);
    decai_destroy(model);
    decai_destroy(ctx);
    decai_destroy(o);
    return 0;
}
