/* perplexity.c - decai perplexity: how well a model foresees a text.
 *
 * The text's tokens are cut into windows of --context tokens; each begins anew
 * (with the begin token where the file has one), and the second half of each is
 * judged, so that every judged token has at least half a window before it. That is
 * how llama.cpp's tool counts, too, so the numbers compare. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
    bool json;
    const char *backend, *threads, *context, *kv_type;
} arguments;

typedef struct tally {
    double sum, squares;             /* of -ln p */
    uint64_t count, tokens, ns;
    size_t windows;
} tally;

static void
judge(decai_session *s, const int32_t *ids, size_t n, tally *t)
{
    uint64_t prompt, generated, prompt_ns, generated_ns;
    float *p = calloc(n, sizeof *p);
    size_t len = 0;
    if (!p) die(EXIT_FAILED, "no memory for %zu tokens", n);
    check(decai_session_start(s), "start");
    check(decai_session_add(s, ids, n), "text");
    check(decai_session_logprobs_get(s, p, n, &len), "log-probabilities");
    check(decai_session_count(s, &prompt, &generated, &prompt_ns, &generated_ns), "count");
    for (size_t i = n / 2 + 1; i < n; i++) {
        t->sum -= (double)p[i];
        t->squares += (double)p[i] * (double)p[i];
        t->count++;
    }
    t->tokens += n;
    t->ns += prompt_ns;
    t->windows++;
    free(p);
}

static void
report(const arguments *a, decai_engine *engine, const tally *t)
{
    double mean = t->sum / (double)t->count, spread = t->squares / (double)t->count - mean * mean;
    double error = t->count > 1 ? sqrt((spread > 0 ? spread : 0) / (double)(t->count - 1)) * exp(mean) : 0;
    double speed = (double)t->tokens * 1e9 / (double)(t->ns ? t->ns : 1);
    if (!a->json) {
        printf("%.4f +- %.4f\n", exp(mean), error);
        fprintf(stderr, "%llu of %llu tokens judged, in %zu windows; %.1f a second\n", (unsigned long long)t->count,
            (unsigned long long)t->tokens, t->windows, speed);
        return;
    }
    text about = {0};
    FETCH(&about, "engine", decai_engine_format(engine, out, cap, &len));
    printf("{\"perplexity\":%.6f,\"error\":%.6f,\"judged\":%llu,\"tokens\":%llu,\"windows\":%zu,\"tokens_s\":%.1f,\"engine\":%s}\n",
        exp(mean), error, (unsigned long long)t->count, (unsigned long long)t->tokens, t->windows, speed, about.data);
    text_free(&about);
}

/* Windows of the text through the session. */
static void
run(const arguments *a, decai_engine *engine, decai_tokenizer *tok, decai_context *ctx, const char *file, progress *p)
{
    int64_t context = number_of(a->context, "--context", 4, DECAI_CONTEXT_TOKENS_MAX);
    decai_options *o = NULL;
    decai_session *s = NULL;
    text data = {0}, ids = {0}, begin = {0};
    tally t = {0};

    file_read(&data, file);
    size_t n = text_encode(tok, &ids, data.data, data.len, DECAI_ENCODE_ADD), window = (size_t)context;
    bool has_begin = text_encode(tok, &begin, "", 0, DECAI_ENCODE_ADD) > 0;
    int32_t *all = (int32_t *)(void *)ids.data;
    if (n < window) die(EXIT_FAILED, "%s: %zu tokens, a window has %zu; see --context", file, n, window);
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_i64(o, "infer.logprobs", 1), "infer.logprobs");
    check(decai_session_create(&s, engine, o), "session");
    for (size_t at = 0; at + window <= n; at += window) {
        progress_show(p, "judge", at, n);
        if (has_begin) all[at] = ((int32_t *)(void *)begin.data)[0];
        judge(s, all + at, window, &t);
    }
    progress_end(p);
    report(a, engine, &t);
    decai_destroy(s);
    decai_destroy(o);
    text_free(&data);
    text_free(&ids);
    text_free(&begin);
}

int
perplexity_main(int argc, char **argv)
{
    arguments a = {.backend = "auto", .context = "512", .kv_type = "f16"};
    const flag flags[] = {
        {"--context", "N", "tokens of a window; default 512", &a.context, NULL},
        {"--backend", "NAME", "auto, scalar, native or opencl; the number is the same on all", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
        {"--kv-type", "NAME", "f16 (default) or q8_0", &a.kv_type, NULL},
        {"--json", NULL, "one JSON object, nothing else", NULL, &a.json},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai perplexity MODEL.gguf FILE [options]\n");
    if (n != 2) die(EXIT_USAGE, "perplexity takes MODEL.gguf and a text file");

    backend_check(a.backend);
    decai_context *ctx = context_make(a.threads ? number_of(a.threads, "--threads", 1, 256) - 1 : -1, a.json);
    progress p;
    decai_tokenizer *tok = NULL;
    decai_options *o = NULL;
    progress_init(&p, a.json);
    decai_model *model = model_open(ctx, argv[0], &p);
    check(decai_tokenizer_create(&tok, model, NULL), argv[0]);
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_str(o, "compute.backend", a.backend), "--backend");
    cache_use(o, a.backend);
    check(decai_options_set_str(o, "infer.kv_type", a.kv_type), "--kv-type");
    check(decai_options_set_i64(o, "infer.context", number_of(a.context, "--context", 4, DECAI_CONTEXT_TOKENS_MAX)), "--context");
    decai_engine *engine = engine_open(model, o, &p);
    run(&a, engine, tok, ctx, argv[1], &p);
    decai_destroy(o);
    decai_destroy(engine);
    decai_destroy(tok);
    decai_destroy(model);
    decai_destroy(ctx);
    return EXIT_OK;
}
