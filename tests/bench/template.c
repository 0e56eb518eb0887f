/* template.c - the time of one decai_template_format, for template.py, which asks
 * in turn with Jinja2.
 *
 *     build/release/tests/bench/template T.jinja CONVERSATION.json
 *
 * For each number on stdin: so many renderings, and their mean in seconds on
 * stdout. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "decai.h"

static char *read_file(const char *path, size_t *len)
{
    enum { FILE_MAX = 1 << 24 };
    FILE *f = fopen(path, "rb");
    char *text = f ? malloc(FILE_MAX) : NULL;
    if (!text) {
        fprintf(stderr, "template: %s cannot be read\n", path);
        exit(1);
    }
    *len = fread(text, 1, FILE_MAX, f);
    fclose(f);
    return text;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static uint8_t out[1 << 22];
    decai_context *ctx;
    decai_options *options;
    decai_template *t;
    size_t text_len, json_len, len;
    int count;
    if (argc != 3) return fprintf(stderr, "usage: template T.jinja CONVERSATION.json\n"), 2;
    char *text = read_file(argv[1], &text_len), *json = read_file(argv[2], &json_len);
    int32_t r = decai_context_create(&ctx, NULL);
    if (!r) r = decai_options_create(&options, ctx);
    if (!r) r = decai_options_set_i64(options, "tok.template_time_s", 1753005296);
    if (!r) r = decai_template_create(&t, ctx, NULL, text, text_len, options);
    if (r) return fprintf(stderr, "template: %s\n", decai_error_detail()), 1;
    while (scanf("%d", &count) == 1 && count > 0) {
        double start = now();
        for (int i = 0; i < count && !r; i++) r = decai_template_format(t, out, sizeof out, &len, json, json_len);
        printf("%.12f\n", (now() - start) / count);
        fflush(stdout);
        if (r) return fprintf(stderr, "template: %s\n", decai_error_detail()), 1;
    }
    return 0;
}
