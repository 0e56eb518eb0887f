/* hash.c - Keccak-256 beside OpenSSL's SHA3-256 (the same permutation and rate)
 * in one run, interleaved, the best of several rounds; one JSON object.
 *
 *     build/release/tests/bench/hash [rounds]
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hash/internal.h"

enum { CHUNK = 1 << 20, CHUNKS = 16, NODES = 40000, LEAF = 4608 };

static uint8_t *data;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void plain(void)
{
    uint8_t h[32];
    for (size_t i = 0; i < CHUNKS; i++) decai__keccak256(h, data + i * CHUNK, CHUNK);
}

static void many(void)
{
    uint8_t h[CHUNKS][32];
    const void *p[CHUNKS];
    for (size_t i = 0; i < CHUNKS; i++) p[i] = data + i * CHUNK;
    decai__keccak256_many(h, p, CHUNK, CHUNKS);
}

/* The same on AVX2 alone: what machines without AVX-512 get. */
static void many_avx2(void)
{
    uint64_t lane[100] __attribute__((aligned(64))) = { 0 };
    if (!decai__keccak_has_avx2()) return;
    for (size_t i = 0; i < CHUNKS; i += 4) {
        const uint8_t *const p[4] = { data + i * CHUNK, data + (i + 1) * CHUNK, data + (i + 2) * CHUNK,
            data + (i + 3) * CHUNK };
        decai__keccak_absorb4_avx2(lane, p, CHUNK / DECAI__KECCAK_RATE);
    }
}

/* Inputs of matrix products as an activation tree commits them: a few KiB each. */
static void leaves(void)
{
    uint8_t h[16][32];
    const void *p[16];
    for (size_t at = 0; at < (size_t)CHUNK * CHUNKS / LEAF; at += 16) {
        for (size_t i = 0; i < 16; i++) p[i] = data + (at + i) * LEAF;
        decai__merkle_leaf_many(h, "decai.example.tree.v1", 7, 0, p, LEAF, 16);
    }
}

static void openssl(void)
{
    uint8_t h[32];
    for (size_t i = 0; i < CHUNKS; i++) EVP_Digest(data + i * CHUNK, CHUNK, h, NULL, EVP_sha3_256(), NULL);
}

static void tree(void)
{
    decai__merkle_builder b;
    uint8_t h[32];
    if (decai__merkle_builder_init(&b, "decai.example.tree.v1")) exit(1);
    if (decai__merkle_builder_add_chunks(&b, NULL, data, (size_t)CHUNK * CHUNKS, CHUNK)) exit(1);
    decai__merkle_builder_root(&b, h);
}

static void copy(void)
{
    static uint8_t *to;
    if (!to && !(to = malloc((size_t)CHUNK * CHUNKS))) exit(1);
    memcpy(to, data, (size_t)CHUNK * CHUNKS);
}

static void nodes(void)
{
    uint8_t h[32];
    for (size_t i = 0; i < NODES; i++) decai__merkle_node(h, "decai.example.tree.v1", 1, data + 64 * i, data + 64 * i + 32);
}

static void nodes_many(void)
{
    static uint8_t h[NODES][32];
    static const void *p[NODES];
    for (size_t i = 0; i < NODES; i++) p[i] = data + 64 * i;
    decai__keccak256_many(h, p, 88, NODES);
}

static void nodes_openssl(void)
{
    uint8_t h[32];
    for (size_t i = 0; i < NODES; i++) EVP_Digest(data + 64 * i, 88, h, NULL, EVP_sha3_256(), NULL);
}

int main(int argc, char **argv)
{
    static struct { const char *name; void (*run)(void); double work, best; } rows[] = {
        { "keccak_plain_mb_s", plain, CHUNKS * 1.048576, 0 }, { "keccak_many_mb_s", many, CHUNKS * 1.048576, 0 },
        { "openssl_sha3_256_mb_s", openssl, CHUNKS * 1.048576, 0 }, { "merkle_1mib_chunks_mb_s", tree, CHUNKS * 1.048576, 0 },
        { "memcpy_mb_s", copy, CHUNKS * 1.048576, 0 }, { "nodes_plain_per_s", nodes, NODES, 0 },
        { "nodes_many_per_s", nodes_many, NODES, 0 }, { "nodes_openssl_per_s", nodes_openssl, NODES, 0 },
        { "keccak_avx2_mb_s", many_avx2, CHUNKS * 1.048576, 0 }, { "leaves_4608_b_mb_s", leaves, CHUNKS * 1.048576, 0 },
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 7;
    double load[3] = { -1, -1, -1 };
    if (!(data = malloc((size_t)CHUNK * CHUNKS))) return 1;
    for (size_t i = 0; i < (size_t)CHUNK * CHUNKS; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (long r = 0; r < rounds; r++)
        for (size_t i = 0; i < ROWS; i++) {
            double start = now();
            rows[i].run();
            double rate = rows[i].work / (now() - start);
            if (rate > rows[i].best) rows[i].best = rate;
        }
    FILE *f = fopen("/proc/loadavg", "r");
    if (f) {
        if (fscanf(f, "%lf", load) != 1) load[0] = -1;
        fclose(f);
    }
    printf("{\n");
    for (size_t i = 0; i < ROWS; i++) printf("  \"%s\": %.0f,\n", rows[i].name, rows[i].best);
    printf("  \"ratio_plain_openssl\": %.2f,\n  \"ratio_many_openssl\": %.2f,\n  \"ratio_nodes_many_openssl\": %.2f,\n"
        "  \"side_by_side\": %u,\n  \"load\": %.2f\n}\n", rows[0].best / rows[2].best, rows[1].best / rows[2].best,
        rows[6].best / rows[7].best, decai__keccak_widest(), load[0]);
    free(data);
    return 0;
}
