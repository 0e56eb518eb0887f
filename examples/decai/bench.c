/* bench.c - decai bench infer: how fast a model runs here, beside the machine's
 * own limit.
 *
 * The prompt is seeded numbers, so one model has one logits_hash on every
 * backend, thread count and batch. Each figure is the best of the rounds. Decoding
 * is bound by how fast the weights can be read: read_gbps is the best of several
 * plain reads of 1 GiB by the same number of threads, in the same run. */
#include "cli.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define READ_BYTES ((size_t)1 << 30)
#define READ_TIMES 20

typedef struct arguments {
    bool json, no_read, tree;
    const char *model, *backend, *threads, *prefill, *decode, *batch, *rounds;
} arguments;

typedef struct result {
    double load_s, prefill_tps, decode_tps, read_gbps;
    double prefill_tree_tps, decode_tree_tps;      /* with the activation tree */
    uint64_t peak_rss, private_dirty;
    uint8_t hash[32];
} result;

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the machine's limit ------------------------------------------------------- */

typedef struct reader {
    const uint8_t *data;
    size_t len;
    uint64_t sum;
    pthread_barrier_t *gate;
} reader;

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t
read_avx2(const uint8_t *p, size_t len)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i + 128 <= len; i += 128) {
        a = _mm256_xor_si256(a, _mm256_load_si256((const __m256i *)(const void *)(p + i)));
        b = _mm256_xor_si256(b, _mm256_load_si256((const __m256i *)(const void *)(p + i + 32)));
        c = _mm256_xor_si256(c, _mm256_load_si256((const __m256i *)(const void *)(p + i + 64)));
        d = _mm256_xor_si256(d, _mm256_load_si256((const __m256i *)(const void *)(p + i + 96)));
    }
    a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    return (uint64_t)_mm256_extract_epi64(a, 0) ^ (uint64_t)_mm256_extract_epi64(a, 1)
        ^ (uint64_t)_mm256_extract_epi64(a, 2) ^ (uint64_t)_mm256_extract_epi64(a, 3);
}
#endif

static uint64_t
read_plain(const uint8_t *p, size_t len)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= len; i += 8) {
        memcpy(&word, p + i, 8);
        sum ^= word;
    }
    return sum;
}

static void *
read_part(void *user)
{
    reader *r = user;
    pthread_barrier_wait(r->gate);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) r->sum = read_avx2(r->data, r->len);
    else
#endif
        r->sum = read_plain(r->data, r->len);
    pthread_barrier_wait(r->gate);
    return NULL;
}

static double
read_once(const uint8_t *data, size_t threads)
{
    pthread_t id[256];
    reader part[256];
    pthread_barrier_t gate;
    size_t each = READ_BYTES / threads / 128 * 128;
    pthread_barrier_init(&gate, NULL, (unsigned)threads + 1);
    for (size_t i = 0; i < threads; i++) {
        part[i] = (reader){data + i * each, each, 0, &gate};
        if (pthread_create(&id[i], NULL, read_part, &part[i])) die(EXIT_FAILED, "no thread to read with");
    }
    pthread_barrier_wait(&gate);
    double start = now();
    pthread_barrier_wait(&gate);
    double seconds = now() - start;
    for (size_t i = 0; i < threads; i++) pthread_join(id[i], NULL);
    pthread_barrier_destroy(&gate);
    return (double)(each * threads) / seconds / 1e9;
}

static double
read_speed(size_t threads)
{
    void *data = NULL;
    double best = 0;
    if (posix_memalign(&data, 4096, READ_BYTES)) die(EXIT_FAILED, "no memory to read 1 GiB from");
    memset(data, 1, READ_BYTES);
    for (int i = 0; i < READ_TIMES; i++) {
        double speed = read_once(data, threads);
        if (speed > best) best = speed;
    }
    free(data);
    return best;
}

/* ---- the model --------------------------------------------------------------------- */

static uint64_t
field_of(const char *path, const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    size_t n = strlen(name);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, n)) kib = strtoull(line + n, NULL, 10);
    if (f) fclose(f);
    return (uint64_t)kib * 1024;
}

/* splitmix64: ids below the vocabulary, the same everywhere. */
static int32_t *
prompt_make(size_t count, uint64_t vocab)
{
    int32_t *ids = calloc(count, sizeof *ids);
    uint64_t state = 2026;
    if (!ids) die(EXIT_FAILED, "no memory for %zu tokens", count);
    for (size_t i = 0; i < count; i++) {
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        ids[i] = (int32_t)((z ^ z >> 31) % vocab);
    }
    return ids;
}

static void
round_run(decai_session *s, const int32_t *ids, size_t prefill, int64_t decode, uint8_t hash[32], double *prefill_tps,
    double *decode_tps)
{
    uint64_t prompt, generated, prompt_ns, generated_ns;
    int32_t token;
    check(decai_session_start(s), "start");
    check(decai_session_add(s, ids, prefill), "prefill");
    for (int64_t i = 0; i < decode; i++)
        if (!check(decai_session_next(s, &token), "decode")) die(EXIT_FAILED, "decode: ended after %lld tokens", (long long)i);
    check(decai_session_count(s, &prompt, &generated, &prompt_ns, &generated_ns), "count");
    check(decai_session_hash_get(s, hash, 32), "hash");
    double fast = (double)prompt * 1e9 / (double)(prompt_ns ? prompt_ns : 1);
    if (fast > *prefill_tps) *prefill_tps = fast;
    fast = (double)generated * 1e9 / (double)(generated_ns ? generated_ns : 1);
    if (fast > *decode_tps) *decode_tps = fast;
}

static decai_engine *
engine_load(decai_context *ctx, const arguments *a, int64_t context, result *out)
{
    decai_options *o = NULL, *m = NULL;
    decai_model *model = NULL;
    decai_engine *engine = NULL;
    double start = now();
    check(decai_options_create(&m, ctx), "options");
    check(decai_options_set_i64(m, "model.hash", 0), "model.hash");
    check(decai_options_set_i64(m, "model.map", 1), "model.map");
    check(decai_model_load(&model, ctx, model_path(a->model), m), "model");
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_str(o, "compute.backend", a->backend), "--backend");
    cache_use(o, a->backend);
    check(decai_options_set_i64(o, "infer.context", context), "--prefill and --decode");
    if (a->batch) check(decai_options_set_i64(o, "infer.batch", number_of(a->batch, "--batch", 1, DECAI_BATCH_MAX)), "--batch");
    check(decai_engine_create(&engine, model, o), "engine");
    out->load_s = now() - start;
    decai_destroy(o);
    decai_destroy(m);
    decai_destroy(model);
    return engine;
}

/* The rounds; with --tree each is followed by one that commits to what it does. */
static void
rounds_run(const arguments *a, decai_context *ctx, decai_engine *engine, const int32_t *ids, result *r)
{
    int64_t prefill = number_of(a->prefill, "--prefill", 1, 100000), decode = number_of(a->decode, "--decode", 0, 30000);
    int64_t rounds = number_of(a->rounds, "--rounds", 1, 1000);
    decai_options *o = NULL;
    decai_session *plain = NULL, *tree = NULL;
    uint8_t hash[32];
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_i64(o, "infer.ignore_end", 1), "infer.ignore_end");
    check(decai_session_create(&plain, engine, o), "session");
    check(decai_options_set_i64(o, "infer.activation_tree", 1), "infer.activation_tree");
    if (a->tree) check(decai_session_create(&tree, engine, o), "session");
    for (int64_t i = 0; i < rounds; i++) {
        round_run(plain, ids, (size_t)prefill, decode, r->hash, &r->prefill_tps, &r->decode_tps);
        if (!tree) continue;
        round_run(tree, ids, (size_t)prefill, decode, hash, &r->prefill_tree_tps, &r->decode_tree_tps);
        if (memcmp(hash, r->hash, sizeof hash)) die(EXIT_WRONG, "the activation tree changed the logits");
    }
    decai_destroy(o);
    decai_destroy(plain);
    decai_destroy(tree);
}

static void
report(const arguments *a, decai_engine *engine, const result *r)
{
    text about = {0}, hash = {0};
    FETCH(&about, "engine", decai_engine_format(engine, out, cap, &len));
    text_hex(&hash, r->hash, sizeof r->hash);
    if (a->tree && !a->json)
        printf("tree     %10.2f and %.2f tokens/s with it\n", r->prefill_tree_tps, r->decode_tree_tps);
    if (a->json)
        printf("{\"prefill_tps\":%.2f,\"decode_tps\":%.2f,\"load_s\":%.3f,\"peak_rss\":%llu,\"private_dirty\":%llu,"
               "\"logits_hash\":\"%s\",\"read_gbps\":%.2f,\"prefill_tree_tps\":%.2f,\"decode_tree_tps\":%.2f,\"prefill\":%s,\"decode\":%s,\"engine\":%s}\n",
            r->prefill_tps, r->decode_tps, r->load_s, (unsigned long long)r->peak_rss,
            (unsigned long long)r->private_dirty, hash.data, r->read_gbps, r->prefill_tree_tps, r->decode_tree_tps,
            a->prefill, a->decode, about.data);
    else
        printf("prefill  %10.2f tokens/s (%s tokens)\ndecode   %10.2f tokens/s (%s tokens)\nload     %10.3f s\n"
               "memory   %10.1f MiB at most, %.1f MiB of its own\nreading  %10.2f GB/s\nlogits   %s\nengine   %s\n",
            r->prefill_tps, a->prefill, r->decode_tps, a->decode, r->load_s, (double)r->peak_rss / 1048576,
            (double)r->private_dirty / 1048576, r->read_gbps, hash.data, about.data);
    text_free(&about);
    text_free(&hash);
}

static int
bench_infer(const arguments *a)
{
    int64_t prefill = number_of(a->prefill, "--prefill", 1, 100000), decode = number_of(a->decode, "--decode", 0, 30000);
    int64_t threads = a->threads ? number_of(a->threads, "--threads", 1, 256) : -1;
    decai_context *ctx = context_make(threads > 0 ? threads - 1 : -1, a->json);
    text about = {0}, value = {0};
    result r = {0};

    decai_engine *engine = engine_load(ctx, a, prefill + decode, &r);
    FETCH(&about, "engine", decai_engine_format(engine, out, cap, &len));
    json_field(&value, about.data, "vocab");
    int32_t *ids = prompt_make((size_t)prefill, strtoull(value.data, NULL, 10));
    rounds_run(a, ctx, engine, ids, &r);

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    r.peak_rss = (uint64_t)usage.ru_maxrss * 1024;
    r.private_dirty = field_of("/proc/self/smaps_rollup", "Private_Dirty:") + field_of("/proc/self/status", "RssShmem:");
    json_field(&value, about.data, "threads");
    if (!a->no_read) r.read_gbps = read_speed((size_t)strtoull(value.data, NULL, 10));
    report(a, engine, &r);
    free(ids);
    text_free(&about);
    text_free(&value);
    decai_destroy(engine);
    decai_destroy(ctx);
    return EXIT_OK;
}

int
bench_main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "tok")) return bench_tok_main(argc, argv);
    arguments a = {.backend = "native", .prefill = "512", .decode = "64", .rounds = "3"};
    const flag flags[] = {
        {"--model", "FILE", "default: the shipped model", &a.model, NULL},
        {"--prefill", "N", "tokens of the prompt; default 512", &a.prefill, NULL},
        {"--decode", "N", "tokens to produce; default 64", &a.decode, NULL},
        {"--backend", "NAME", "scalar, native (default) or opencl", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
        {"--batch", "N", "prompt tokens computed together", &a.batch, NULL},
        {"--rounds", "N", "rounds, of which the best counts; default 3", &a.rounds, NULL},
        {"--tree", NULL, "measure with the activation tree as well, round by round", NULL, &a.tree},
        {"--no-read", NULL, "do not measure how fast memory is read", NULL, &a.no_read},
        {"--json", NULL, "one JSON object, nothing else", NULL, &a.json},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai bench infer [options]\n       decai bench tok [--model FILE] FILE [--json]\n");
    if (n != 1 || strcmp(argv[0], "infer")) die(EXIT_USAGE, "bench knows infer and tok; see decai bench --help");
    backend_check(a.backend);
    return bench_infer(&a);
}
