/* replay.c - main() for fuzz targets where there is no libFuzzer.
 *
 *   fuzz_x [--mutate N] [--seed S] FILE|FOLDER...
 *
 * Every input is given to the target in a heap buffer of exactly its size, so
 * that one byte too far is a sanitizer report. --mutate then makes N inputs out
 * of the corpus: flips, byte writes of interesting values, cut ends, removed
 * and doubled ranges, splices of two files. The same seed gives the same
 * inputs on every machine (splitmix64), so a failure comes back when asked.
 * Prints TAP: one line for the replay, one for the mutations.
 *
 * An input that crashes is written down before it is tried: with DECAI_FUZZ_SAVE
 * set to a path, the last input of a crashed run lies there.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, SIZE_MAX_MUTATED = 1 << 16 };
static struct input { uint8_t *data; size_t size; } inputs[INPUT_MAX];
static size_t input_count;
static uint64_t state = 1;

static uint64_t next(void)
{
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static size_t below(size_t n) { return n ? (size_t)(next() % n) : 0; }

static void die(const char *what, const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", path, what);
    exit(2);
}

static void try_one(const uint8_t *data, size_t size)
{
    const char *save = getenv("DECAI_FUZZ_SAVE");
    uint8_t *exact = malloc(size ? size : 1);

    if (!exact) die("no memory", "input");
    if (size) memcpy(exact, data, size);
    if (save) {
        FILE *f = fopen(save, "wb");
        if (!f || fwrite(exact, 1, size, f) != size || fclose(f)) die("cannot write", save);
    }
    /* libFuzzer's contract: size 0 comes with a pointer that may not be read. */
    LLVMFuzzerTestOneInput(size ? exact : exact + 1, size);
    free(exact);
}

static void load_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);

    if (!f || !data) die("cannot open", path);
    if (fread(data, 1, size, f) != size) die("cannot read", path);
    fclose(f);
    if (input_count == INPUT_MAX) die("corpus is larger than INPUT_MAX", path);
    inputs[input_count].data = data;
    inputs[input_count++].size = size;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);   /* not alphasort: it asks the locale */
}

static void load(const char *path)
{
    struct stat st;
    struct dirent **names;

    if (stat(path, &st)) die("not there", path);
    if (!S_ISDIR(st.st_mode)) {
        load_file(path, (size_t)st.st_size);
        return;
    }
    int n = scandir(path, &names, NULL, by_name);
    if (n < 0) die("cannot list", path);
    for (int i = 0; i < n; i++) {
        char full[4096];
        if (names[i]->d_name[0] != '.') {
            snprintf(full, sizeof full, "%s/%s", path, names[i]->d_name);
            load(full);
        }
        free(names[i]);
    }
    free(names);
}

static void flip(uint8_t *d, size_t *n)
{
    if (*n) d[below(*n)] ^= (uint8_t)(1u << below(8));
}

static void write_interesting(uint8_t *d, size_t *n)
{
    static const uint64_t values[] = { 0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000,
        0x7FFFFFFF, 0x80000000u, 0xFFFFFFFFu, 0x100000000u, 0x7FFFFFFFFFFFFFFFu, 0xFFFFFFFFFFFFFFFFu };
    size_t width = (size_t)1 << below(4);
    if (*n < width) return;
    uint64_t v = next() % 4 ? values[below(sizeof values / sizeof *values)] : next();
    memcpy(d + below(*n - width + 1), &v, width);
}

static void cut(uint8_t *d, size_t *n)
{
    (void)d;
    *n = below(*n + 1);
}

static void remove_range(uint8_t *d, size_t *n)
{
    size_t at = below(*n), len = below((*n - at < 64 ? *n - at : 64) + 1);
    memmove(d + at, d + at + len, *n - at - len);
    *n -= len;
}

static void double_range(uint8_t *d, size_t *n)
{
    size_t at = below(*n), len = below((*n - at < 64 ? *n - at : 64) + 1);
    if (*n + len > SIZE_MAX_MUTATED) return;
    memmove(d + at + len, d + at, *n - at);
    *n += len;
}

static void splice(uint8_t *d, size_t *n)
{
    const struct input *other = &inputs[below(input_count)];
    size_t at = below(*n + 1), from = below(other->size + 1), len = other->size - from;
    if (at + len > SIZE_MAX_MUTATED) len = SIZE_MAX_MUTATED - at;
    if (len) memcpy(d + at, other->data + from, len);
    *n = at + len;
}

static void mutate(uint64_t rounds)
{
    static uint8_t work[SIZE_MAX_MUTATED + 64];
    static void (*const how[])(uint8_t *, size_t *) = {
        flip, flip, write_interesting, write_interesting, cut, remove_range, double_range, splice };

    for (uint64_t i = 0; i < rounds; i++) {
        const struct input *in = &inputs[below(input_count)];
        size_t n = in->size < SIZE_MAX_MUTATED ? in->size : SIZE_MAX_MUTATED;
        if (n) memcpy(work, in->data, n);
        for (size_t k = 1 + below(4); k > 0; k--) how[below(sizeof how / sizeof *how)](work, &n);
        try_one(work, n);
    }
}

int main(int argc, char **argv)
{
    uint64_t rounds = 0, seed = 1;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--mutate") && i + 1 < argc) rounds = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc) seed = strtoull(argv[++i], NULL, 10);
        else load(argv[i]);
    }
    state = seed;
    if (!input_count) die("the corpus is empty", argc > 1 ? argv[argc - 1] : "(none)");
    try_one(NULL, 0);
    for (size_t i = 0; i < input_count; i++) try_one(inputs[i].data, inputs[i].size);
    printf("ok 1 - %zu files of the corpus and the empty input\n", input_count);
    fflush(stdout);
    mutate(rounds);
    printf("ok 2 - %" PRIu64 " mutations from seed %" PRIu64 "\n1..2\n", rounds, seed);
    for (size_t i = 0; i < input_count; i++) free(inputs[i].data);
    return 0;
}
