/* embed.c - decai embed: lines of text in, one JSON line with a vector each out.
 *
 * Lines are gathered until there is enough to keep the machine busy; which of them
 * go together never changes a vector. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINES_TOGETHER 256
#define TOKENS_TOGETHER 16384

typedef struct arguments {
    bool raw, cut;
    const char *backend, *threads, *pooling;
} arguments;

/* What has been gathered. */
typedef struct batch {
    text tokens;                     /* int32_t */
    uint32_t lengths[LINES_TOGETHER];
    size_t lines, count, first;      /* first: number of the first line */
} batch;

static void
flush_batch(batch *b, decai_engine *engine, bool raw)
{
    text vectors = {0};
    const int32_t *tokens = (const int32_t *)(void *)b->tokens.data;
    int32_t flags = raw ? 0 : DECAI_EMBED_NORMALISE;
    size_t len = 0;
    if (!b->lines) return;
    int32_t r = decai_engine_encode(engine, NULL, 0, &len, tokens, b->count, b->lengths, b->lines, flags);
    if (r != DECAI_E_SPACE) check(r, "embed");
    text_reserve(&vectors, len * sizeof(float));
    const float *v = (const float *)(void *)vectors.data;
    check(decai_engine_encode(engine, (float *)(void *)vectors.data, len, &len, tokens, b->count, b->lengths, b->lines, flags), "embed");
    for (size_t i = 0, width = len / b->lines; i < b->lines; i++) {
        printf("{\"line\":%zu,\"tokens\":%u,\"embedding\":[", b->first + i, b->lengths[i]);
        for (size_t k = 0; k < width; k++) printf("%s%.9g", k ? "," : "", (double)v[i * width + k]);
        printf("]}\n");
    }
    b->first += b->lines;
    b->lines = b->count = 0;
    b->tokens.len = 0;
    text_free(&vectors);
}

/* One line's tokens behind the others. Too many: cut if asked, its last token (the
 * model's end mark) kept. */
static void
gather(batch *b, decai_engine *engine, decai_tokenizer *tok, const arguments *a, const char *line, size_t len, size_t context)
{
    text ids = {0};
    size_t n = text_encode(tok, &ids, line, len, DECAI_ENCODE_ADD);
    int32_t *id = (int32_t *)(void *)ids.data;
    size_t at = b->first + b->lines;
    if (!n) die(EXIT_FAILED, "line %zu: no tokens", at);
    if (n > context && !a->cut) die(EXIT_FAILED, "line %zu: %zu tokens, at most %zu; see --cut", at, n, context);
    if (n > context) {
        id[context - 1] = id[n - 1];
        n = context;
    }
    if (b->lines == LINES_TOGETHER || (b->lines && b->count + n > TOKENS_TOGETHER)) flush_batch(b, engine, a->raw);
    text_add(&b->tokens, ids.data, n * sizeof(int32_t));
    b->lengths[b->lines++] = (uint32_t)n;
    b->count += n;
    text_free(&ids);
}

static void
run(const arguments *a, decai_engine *engine, decai_tokenizer *tok, const char *file)
{
    FILE *in = strcmp(file, "-") ? fopen(file, "r") : stdin;
    text about = {0}, value = {0};
    batch *b = calloc(1, sizeof *b);
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (!in) die(EXIT_FAILED, "%s: %s", file, strerror(errno));
    if (!b) die(EXIT_FAILED, "no memory");
    FETCH(&about, "engine", decai_engine_format(engine, out, cap, &len));
    json_field(&value, about.data, "context");
    b->first = 1;
    while ((n = getline(&line, &room, in)) >= 0) {
        if (n && line[n - 1] == '\n') n--;
        gather(b, engine, tok, a, line, (size_t)n, strtoull(value.data, NULL, 10));
    }
    if (ferror(in)) die(EXIT_FAILED, "%s: %s", file, strerror(errno));
    flush_batch(b, engine, a->raw);
    if (in != stdin) fclose(in);
    free(line);
    text_free(&b->tokens);
    free(b);
    text_free(&about);
    text_free(&value);
}

int
embed_main(int argc, char **argv)
{
    arguments a = {.backend = "auto", .pooling = "auto"};
    const flag flags[] = {
        {"--pooling", "NAME", "auto (as the file says), mean, cls or last", &a.pooling, NULL},
        {"--raw", NULL, "vectors as they come; else of length 1", NULL, &a.raw},
        {"--cut", NULL, "cut lines that are longer than the model's context", NULL, &a.cut},
        {"--backend", "NAME", "auto, scalar, native or opencl; the vectors are the same on all", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai embed MODEL.gguf [FILE] [options]\n");
    if (n < 1 || n > 2) die(EXIT_USAGE, "embed takes MODEL.gguf and a file of lines (default: standard input)");

    backend_check(a.backend);
    decai_context *ctx = context_make(a.threads ? number_of(a.threads, "--threads", 1, 256) - 1 : -1, true);
    progress p;
    decai_tokenizer *tok = NULL;
    decai_options *o = NULL;
    progress_init(&p, false);
    decai_model *model = model_open(ctx, argv[0], &p);
    check(decai_tokenizer_create(&tok, model, NULL), argv[0]);
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_str(o, "compute.backend", a.backend), "--backend");
    cache_use(o, a.backend);
    check(decai_options_set_str(o, "infer.pooling", a.pooling), "--pooling");
    decai_engine *engine = engine_open(model, o, &p);
    run(&a, engine, tok, n == 2 ? argv[1] : "-");
    decai_destroy(o);
    decai_destroy(engine);
    decai_destroy(tok);
    decai_destroy(model);
    decai_destroy(ctx);
    return EXIT_OK;
}
