/* logits.c - logits of every position of a token sequence, for accuracy.py.
 *
 *     logits MODEL.gguf OUT.f32 [option=value ...] < ids
 *
 * Ids stand on standard input, separated by blanks. Out: f32 little-endian,
 * [positions][vocab]; for an encoder one vector (not normalised), and with several
 * lines one a line. Options are keys of compute and infer, and base.threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/engine.h"

static int32_t
must(int32_t r, const char *what)
{
    if (r >= 0) return r;
    fprintf(stderr, "logits: %s: %s: %s\n", what, decai_error_name(r), decai__error_detail());
    exit(1);
}

static void
set(decai_options *o, const char *text)
{
    char key[64];
    const char *value = strchr(text, '=');
    if (!value || value - text >= (long)sizeof key) exit(2);
    snprintf(key, sizeof key, "%.*s", (int)(value - text), text);
    char *end;
    long long n = strtoll(value + 1, &end, 10);
    must(*end ? decai_options_set_str(o, key, value + 1) : decai_options_set_i64(o, key, n), key);
}

/* One line of ids; false at the end. */
static bool
read_line(int32_t *ids, size_t cap, size_t *count)
{
    int c;
    *count = 0;
    while ((c = getchar()) != EOF && c != '\n') {
        int v;
        ungetc(c, stdin);
        if (scanf("%d", &v) != 1) {
            (void)getchar();
            continue;
        }
        if (*count < cap) ids[(*count)++] = v;
    }
    return *count > 0 || c != EOF;
}

static void
decode(decai_engine *engine, FILE *out, const int32_t *ids, size_t count)
{
    decai_session *s = NULL;
    decai_options *o = NULL;
    size_t vocab = decai__engine_program(engine)->shape.vocab, len;
    float *logits = malloc(vocab * sizeof *logits);
    int32_t token;
    must(decai_options_create(&o, NULL), "options");
    must(decai_options_set_i64(o, "infer.ignore_end", 1), "infer.ignore_end");
    must(decai_session_create(&s, engine, o), "session");
    for (size_t i = 0; i < count; i++) {
        if (i == 0) must(decai_session_add(s, ids, 1), "add");
        else must(decai__session_force(s, ids[i]), "force");
        must(decai_session_next(s, &token), "next");
        must(decai_session_logits_get(s, logits, vocab, &len), "logits");
        fwrite(logits, sizeof *logits, vocab, out);
    }
    free(logits);
    decai_destroy(o);
    decai_destroy(s);
}

static void
encode(decai_engine *engine, FILE *out, const int32_t *ids, size_t count)
{
    size_t dim = decai__engine_program(engine)->shape.dim, len;
    float *vector = malloc(dim * sizeof *vector);
    uint32_t length = (uint32_t)count;
    must(decai_engine_encode(engine, vector, dim, &len, ids, count, &length, 1, 0), "encode");
    fwrite(vector, sizeof *vector, dim, out);
    free(vector);
}

int
main(int argc, char **argv)
{
    static int32_t ids[131072];
    decai_options *o = NULL, *base = NULL;
    decai_context *ctx = NULL;
    decai_model *model = NULL;
    decai_engine *engine = NULL;
    size_t count;
    if (argc < 3) return 2;
    must(decai_options_create(&base, NULL), "options");
    for (int i = 3; i < argc; i++)
        if (!strncmp(argv[i], "base.", 5)) set(base, argv[i]);
    must(decai_context_create(&ctx, base), "context");
    must(decai_options_create(&o, ctx), "options");
    for (int i = 3; i < argc; i++)
        if (strncmp(argv[i], "base.", 5)) set(o, argv[i]);
    must(decai_model_load(&model, ctx, argv[1], NULL), argv[1]);
    must(decai_engine_create(&engine, model, o), "engine");
    FILE *out = fopen(argv[2], "wb");
    if (!out) return 1;
    while (read_line(ids, 131072, &count))
        if (count) (decai__engine_program(engine)->encoder ? encode : decode)(engine, out, ids, count);
    return fclose(out) ? 1 : 0;
}
