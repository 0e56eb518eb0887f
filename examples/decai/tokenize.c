/* tokenize.c - text to token ids, ids to text, one tokenizer file to another, and
 * how fast. A tokenizer is a model's metadata or a tokenizer.json. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

static bool
is_json(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) die(EXIT_FAILED, "%s: %s", path, strerror(errno));
    int c = fgetc(f);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') c = fgetc(f);
    fclose(f);
    return c == '{';
}

/* The model's content is not hashed: only its metadata is wanted. */
static decai_tokenizer *
tokenizer_open(decai_context *ctx, const char *path)
{
    decai_tokenizer *t = NULL;
    decai_options *o = NULL;
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_i64(o, "tok.text_max", 1 << 30), "options");
    if (is_json(path)) {
        text file = {0};
        file_read(&file, path);
        check(decai_tokenizer_open(&t, ctx, (const uint8_t *)file.data, file.len, o), path);
        text_free(&file);
    } else {
        decai_options *m = NULL;
        decai_model *model = NULL;
        check(decai_options_create(&m, ctx), "options");
        check(decai_options_set_i64(m, "model.hash", 0), "options");
        check(decai_model_load(&model, ctx, path, m), path);
        check(decai_tokenizer_create(&t, model, o), path);
        decai_destroy(model);
        decai_destroy(m);
    }
    decai_destroy(o);
    return t;
}

static void
print_number(text *out, uint64_t v, char before)
{
    char digits[24];
    int at = sizeof digits;
    do digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    if (before) digits[--at] = before;
    text_add(out, digits + at, sizeof digits - (size_t)at);
}

int
tokenize_main(int argc, char **argv)
{
    const char *model = NULL;
    bool ids = false, no_special = false, offsets = false;
    const flag flags[] = {
        {"--model", "FILE", "a GGUF model or a tokenizer.json; default: the shipped model", &model, NULL},
        {"--ids", NULL, "print the ids, space-separated, on one line (default)", NULL, &ids},
        {"--no-special", NULL, "no begin and end tokens, and text never becomes a control token", NULL, &no_special},
        {"--offsets", NULL, "id:end, where each token's bytes end in the file", NULL, &offsets},
    };
    if (flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai tokenize [--model FILE] FILE [options]\n") != 1)
        die(EXIT_USAGE, "tokenize takes one FILE");
    decai_context *ctx = context_make(-1, true);
    decai_tokenizer *t = tokenizer_open(ctx, model_path(model));
    text file = {0}, out = {0}, line = {0}, places = {0};
    uint64_t end, row;
    size_t n = 0, m = 0, rows = 0;
    file_read(&file, argv[0]);
    int32_t f = no_special ? 0 : DECAI_ENCODE_SPECIAL | DECAI_ENCODE_ADD;
    const uint8_t *bytes = (const uint8_t *)file.data;
    if (offsets) {
        /* A normalizer can make more ids than there are bytes: then once more. */
        int32_t r;
        n = file.len + 2;
        do {
            size_t cap = n;
            end = file.len;
            text_reserve(&out, cap * sizeof(int32_t));
            text_reserve(&places, cap * sizeof(uint64_t));
            r = decai_tokenizer_batch_encode(t, (int32_t *)(void *)out.data, cap, &n, (uint64_t *)(void *)places.data, cap, &m,
                &row, 1, &rows, bytes, file.len, &end, 1, 0, f);
        } while (r == DECAI_E_SPACE);
        check(r, argv[0]);
    } else {
        check(ids_encode(t, &out, file.data, file.len, f), argv[0]);
        n = out.len / sizeof(int32_t);
    }
    for (size_t i = 0; i < n; i++) {
        int32_t id;
        memcpy(&id, out.data + i * sizeof id, sizeof id);
        print_number(&line, (uint64_t)id, i ? ' ' : 0);
        if (!offsets) continue;
        memcpy(&end, places.data + i * sizeof end, sizeof end);
        print_number(&line, end, ':');
    }
    text_add(&line, "\n", 1);
    fwrite(line.data, 1, line.len, stdout);
    text_free(&file);
    text_free(&out);
    text_free(&line);
    text_free(&places);
    decai_destroy(t);
    decai_destroy(ctx);
    return EXIT_OK;
}

int
detokenize_main(int argc, char **argv)
{
    const char *model = NULL;
    bool special = false;
    const flag flags[] = {
        {"--model", "FILE", "a GGUF model or a tokenizer.json; default: the shipped model", &model, NULL},
        {"--special", NULL, "write control tokens as their text, not as nothing", NULL, &special},
    };
    if (flags_read(argc, argv, flags, sizeof flags / sizeof *flags,
            "usage: decai detokenize [--model FILE] FILE\n\nFILE holds ids, separated by white space.\n") != 1)
        die(EXIT_USAGE, "detokenize takes one FILE");
    decai_context *ctx = context_make(-1, true);
    decai_tokenizer *t = tokenizer_open(ctx, model_path(model));
    text file = {0}, ids = {0}, written = {0};
    file_read(&file, argv[0]);
    if (file.len && memchr(file.data, 0, file.len)) die(EXIT_FAILED, "%s: a NUL among the ids", argv[0]);
    for (char *p = file.data, *end; file.len && *p; p = end) {
        while (*p && strchr(" \t\r\n", *p)) p++;
        end = p;
        if (!*p) break;
        while (*end && !strchr(" \t\r\n", *end)) end++;
        char last = *end;
        *end = 0;
        int32_t id = (int32_t)number_of(p, argv[0], 0, INT32_MAX);
        *end = last;
        text_add(&ids, (const char *)&id, sizeof id);
    }
    FETCH(&written, argv[0], decai_tokenizer_decode(t, out, cap, &len, (const int32_t *)(const void *)ids.data,
        ids.len / sizeof(int32_t), special ? DECAI_DECODE_SPECIAL : 0));
    fwrite(written.data, 1, written.len, stdout);
    text_free(&file);
    text_free(&ids);
    text_free(&written);
    decai_destroy(t);
    decai_destroy(ctx);
    return EXIT_OK;
}

int
tokenizer_main(int argc, char **argv)
{
    if (flags_read(argc, argv, NULL, 0,
            "usage: decai tokenizer convert IN OUT\n\n"
            "IN is a GGUF model or a tokenizer.json; OUT ends in .gguf (the tokenizer's\n"
            "metadata) or .json (a Hugging Face tokenizer.json).\n") != 3 || strcmp(argv[0], "convert"))
        die(EXIT_USAGE, "tokenizer knows: convert IN OUT");
    size_t len_name = strlen(argv[2]);
    bool gguf = len_name > 5 && !strcmp(argv[2] + len_name - 5, ".gguf");
    if (!gguf && (len_name < 6 || strcmp(argv[2] + len_name - 5, ".json")))
        die(EXIT_USAGE, "%s: ends neither in .gguf nor in .json", argv[2]);
    decai_context *ctx = context_make(-1, true);
    decai_tokenizer *t = tokenizer_open(ctx, argv[1]);
    text file = {0};
    FETCH(&file, argv[1], decai_tokenizer_format(t, out, cap, &len, gguf ? "gguf" : "json"));
    file_write(argv[2], file.data, file.len);
    text_free(&file);
    decai_destroy(t);
    decai_destroy(ctx);
    return EXIT_OK;
}

/* ---- bench tok ------------------------------------------------------------------ */

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int
bench_tok_main(int argc, char **argv)
{
    const char *model = NULL, *rounds = "5";
    bool json = false;
    const flag flags[] = {
        {"--model", "FILE", "a GGUF model or a tokenizer.json; default: the shipped model", &model, NULL},
        {"--rounds", "N", "rounds, of which the best counts; default 5", &rounds, NULL},
        {"--json", NULL, "one JSON object, nothing else", NULL, &json},
    };
    if (flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai bench tok [--model FILE] FILE [--json]\n") != 2)
        die(EXIT_USAGE, "bench tok takes one FILE");
    decai_context *ctx = context_make(0, true);
    const char *path = model_path(model);
    text file = {0}, ids = {0}, back = {0};
    double load = 1e9, encode = 1e9, decode = 1e9;
    size_t n = 0, len = 0;
    decai_tokenizer *t = NULL;
    file_read(&file, argv[1]);
    text_reserve(&ids, (file.len + 8) * sizeof(int32_t));
    for (int64_t i = number_of(rounds, "--rounds", 1, 1000); i > 0; i--) {
        decai_destroy(t);
        double a = now();
        t = tokenizer_open(ctx, path);
        if (now() - a < load) load = now() - a;
        /* Twice: the first text also fills the tokenizer's table of pieces. */
        for (int again = 0; again < 2; again++) {
            double b = now();
            check(decai_tokenizer_encode(t, (int32_t *)(void *)ids.data, file.len + 8, &n, (const uint8_t *)file.data, file.len, 0), argv[1]);
            double c = now();
            if (c - b < encode) encode = c - b;
        }
        text_reserve(&back, 4 * file.len + 4096);
        double d = now();
        check(decai_tokenizer_decode(t, (uint8_t *)back.data, back.len, &len, (const int32_t *)(const void *)ids.data, n, 0), argv[1]);
        double e = now();
        if (e - d < decode) decode = e - d;
    }
    double mb = (double)file.len / 1e6;
    if (json)
        printf("{\"encode_mbps\":%.2f,\"decode_mbps\":%.2f,\"load_ms\":%.2f,\"bytes\":%zu,\"tokens\":%zu}\n", mb / encode,
            (double)len / 1e6 / decode, load * 1e3, file.len, n);
    else
        printf("encode %.1f MB/s, decode %.1f MB/s, load %.1f ms; %zu bytes, %zu tokens\n", mb / encode,
            (double)len / 1e6 / decode, load * 1e3, file.len, n);
    text_free(&file);
    text_free(&ids);
    text_free(&back);
    decai_destroy(t);
    decai_destroy(ctx);
    return EXIT_OK;
}
