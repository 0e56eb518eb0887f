/* model.c - how long a model takes to open: mapped without hashes, mapped with
 * the root and SHA-256, read; best of several, with the rate and the load.
 *
 *     build/release/tests/bench/model [MIB [ROUNDS [THREADS]]]
 *
 * Writes a GGUF of MIB MiB (default 1024) in 291 tensors, with 128,256 tokens in
 * its metadata, into the current folder, and removes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "decai.h"

enum { TENSORS = 291, TOKENS = 128256 };
static const char PATH[] = "bench-model.gguf";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void put(FILE *f, uint64_t v, size_t width) { if (fwrite(&v, width, 1, f) != 1) exit(1); }

static void put_text(FILE *f, const char *text)
{
    put(f, strlen(text), 8);
    fputs(text, f);
}

static void write_file(uint64_t mib)
{
    static uint8_t block[1 << 20];
    char name[32];
    FILE *f = fopen(PATH, "wb");
    uint64_t rows = mib * 1048576 / TENSORS / 144, size = rows * 144, step = (size + 31) / 32 * 32;
    if (!f) exit(1);
    fputs("GGUF", f);
    put(f, 3, 4), put(f, TENSORS, 8), put(f, 2, 8);
    put_text(f, "general.architecture"), put(f, 8, 4), put_text(f, "none");
    put_text(f, "tokenizer.ggml.tokens"), put(f, 9, 4), put(f, 8, 4), put(f, TOKENS, 8);
    for (int i = 0; i < TOKENS; i++) snprintf(name, sizeof name, "token%d", i), put_text(f, name);
    for (uint64_t i = 0; i < TENSORS; i++) {
        snprintf(name, sizeof name, "blk.%d.weight", (int)i);
        put_text(f, name), put(f, 2, 4), put(f, 256, 8), put(f, rows, 8), put(f, 12, 4), put(f, i * step, 8);
    }
    while (ftell(f) % 32) fputc(0, f);
    for (size_t i = 0; i < sizeof block; i++) block[i] = (uint8_t)(i * 2654435761u >> 13);
    for (uint64_t left = TENSORS * step; left;) {
        size_t n = left < sizeof block ? (size_t)left : sizeof block;
        if (fwrite(block, n, 1, f) != 1) exit(1);
        left -= n;
    }
    if (fclose(f)) exit(1);
}

static double load(decai_context *ctx, int64_t map, int64_t hash)
{
    decai_options *o;
    decai_model *m;
    if (decai_options_create(&o, ctx) || decai_options_set_i64(o, "model.map", map) || decai_options_set_i64(o, "model.hash", hash)) exit(1);
    double start = now();
    if (decai_model_load(&m, ctx, PATH, o)) fprintf(stderr, "%s\n", decai_error_detail()), exit(1);
    double took = now() - start;
    decai_destroy(m);
    decai_destroy(o);
    return took;
}

int main(int argc, char **argv)
{
    uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 1024;
    long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 3;
    double best[3] = { 1e9, 1e9, 1e9 }, average = -1;
    decai_options *o;
    decai_context *plain, *ctx;
    if (decai_context_create(&plain, NULL) || decai_options_create(&o, plain)) return 1;
    if (decai_options_set_i64(o, "base.threads", argc > 3 ? strtol(argv[3], NULL, 10) : 2) || decai_context_create(&ctx, o)) return 1;
    write_file(mib);
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < 3; i++) {
            double t = load(ctx, i < 2, i > 0);
            if (t < best[i]) best[i] = t;
        }
    unlink(PATH);
    FILE *f = fopen("/proc/loadavg", "r");
    if (f) {
        if (fscanf(f, "%lf", &average) != 1) average = -1;
        fclose(f);
    }
    printf("{\n  \"mib\": %llu,\n  \"open_mapped_ms\": %.2f,\n  \"open_mapped_hashed_s\": %.3f,\n  \"hashed_gb_s\": %.2f,\n"
        "  \"open_read_hashed_s\": %.3f,\n  \"load\": %.2f\n}\n", (unsigned long long)mib, best[0] * 1e3, best[1],
        (double)mib * 1.048576e-3 / best[1], best[2], average);
    decai_destroy(o);
    decai_destroy(ctx);
    decai_destroy(plain);
    return 0;
}
