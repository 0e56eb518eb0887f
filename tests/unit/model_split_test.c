/* model_split_test.c - a GGUF in several files: one identity with the merged
 * file, every inconsistency refused by name; mapped files, their odd alignments
 * and the pages they give back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/internal.h"
#include "support_gguf.h"
#include "support_heap.h"

enum { FILES = 3, TENSORS = 7, BIG = 300000 };

static support_heap heap;
static decai_context *ctx;
static decai_options *mapped, *no_hash;
static char folder[] = "/tmp/decai-split-XXXXXX", path[128];
static uint8_t *weights;

/* What a case may change in file `no`. */
typedef struct change {
    uint32_t no, no_value, count_value, tensors_value;     /* file, and what it says */
    int extra;                        /* 1: a key that differs, 2: a key the first lacks, 3: an equal key */
    int twice;                        /* 1: tensor 0 again */
    int missing;                      /* 1: no such file, 2: no split.no, 3: no split.tensors.count */
} change;

static const char *name_of(uint32_t no)
{
    snprintf(path, sizeof path, "%s/m-%05u-of-%05u.gguf", folder, no + 1, FILES);
    return path;
}

static void put_tensor(gguf_writer *w, uint32_t i)
{
    char name[16];
    uint64_t dims[2] = { i ? 32 + 8 * i : BIG, 1 + i };
    snprintf(name, sizeof name, "t%u", (i * 5) % TENSORS);
    gguf_tensor(w, name, 0, 2, dims, weights + i, (size_t)(4 * dims[0] * dims[1]));
}

static void put_metadata(gguf_writer *w)
{
    gguf_str(w, "general.architecture", "none");
    gguf_u32(w, "answer", 42);
}

static void save(gguf_writer *w, const char *to)
{
    uint8_t *bytes;
    size_t len;
    gguf_end(w, &bytes, &len);
    assert_int_equal(support_gguf_save(to, bytes, len), 0);
    free(bytes);
}

static void u16(gguf_writer *w, const char *key, uint32_t v)
{
    uint16_t raw = (uint16_t)v;
    gguf_raw(w, key, DECAI_METADATA_U16, &raw, 2);
}

/* File 0 has all metadata and no tensor; 1 and 2 share them. */
static void write_files(const change *c)
{
    for (uint32_t no = 0; no < FILES; no++) {
        gguf_writer w;
        bool hit = c && c->no == no;
        if (hit && c->missing == 1) {
            unlink(name_of(no));
            continue;
        }
        gguf_begin(&w, no == 2 ? 64 : 0);
        if (no == 2) gguf_u32(&w, "general.alignment", 64);
        if (!no) put_metadata(&w);
        if (hit && c->extra) gguf_u32(&w, c->extra == 2 ? "other" : "answer", c->extra == 1 ? 43 : 42);
        if (!hit || c->missing != 2) u16(&w, "split.no", hit ? c->no_value : no);
        u16(&w, "split.count", hit ? c->count_value : FILES);
        if (!hit || c->missing != 3) gguf_i32(&w, "split.tensors.count", (int32_t)(hit ? c->tensors_value : TENSORS));
        for (uint32_t i = 0; i < TENSORS; i++)
            if (no == 1 + i % 2) put_tensor(&w, i);
        if (hit && c->twice) put_tensor(&w, 0);
        save(&w, name_of(no));
    }
}

static int32_t load(decai_model **m, const decai_options *o) { return decai_model_load(m, ctx, name_of(0), o); }

static void write_merged(char *to, size_t cap)
{
    gguf_writer w;
    snprintf(to, cap, "%s/merged.gguf", folder);
    gguf_begin(&w, 0);
    put_metadata(&w);
    u16(&w, "split.no", 0);             /* as gguf-split --merge leaves them */
    u16(&w, "split.count", 0);
    gguf_i32(&w, "split.tensors.count", TENSORS);
    for (uint32_t i = TENSORS; i-- > 0;) put_tensor(&w, i);
    save(&w, to);
}

static void one_identity(void **state)
{
    char merged[160];
    decai_model *whole, *split, *map;
    (void)state;
    write_files(NULL);
    write_merged(merged, sizeof merged);
    assert_int_equal(decai_model_load(&whole, ctx, merged, NULL), 0);
    if (load(&split, NULL)) fail_msg("%s", decai_error_detail());
    if (load(&map, mapped)) fail_msg("%s", decai_error_detail());
    assert_int_equal(decai__model_tensor_count(split), TENSORS);
    assert_memory_equal(decai__model_root(whole), decai__model_root(split), 32);
    assert_memory_equal(decai__model_root(whole), decai__model_root(map), 32);
    assert_memory_equal(decai__model_sha256(split), decai__model_sha256(map), 32);
    assert_memory_not_equal(decai__model_sha256(split), decai__model_sha256(whole), 32);
    assert_string_equal(decai__model_path(split), name_of(0));
    for (size_t i = 0; i < TENSORS; i++) {
        const decai__tensor *a = decai__model_tensor_at(whole, i), *b = decai__model_tensor_at(map, i);
        decai__model_proof p;
        const uint8_t *chunk;
        size_t n = decai__tensor_chunk(b, 0, &chunk);
        assert_string_equal(a->name, b->name);
        assert_memory_equal(a->data, b->data, a->size);
        assert_int_equal(decai__model_chunk_prove(map, b, 0, &p), 0);
        assert_int_equal(decai__model_chunk_verify(decai__model_root(whole), b->name, b->type, b->n_dims, b->dims, 0,
            chunk, n, &p), 0);
    }
    decai_destroy(whole);
    decai_destroy(split);
    decai_destroy(map);
}

/* Without the files' SHA-256 the root is the same, and the alias is not there. */
static void without_sha256(void **state)
{
    decai_options *o;
    decai_model *with, *m;
    uint8_t out[32];
    (void)state;
    write_files(NULL);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.sha256", 0), 0);
    assert_int_equal(load(&m, o), 0);
    assert_int_equal(load(&with, NULL), 0);
    assert_memory_equal(decai__model_root(m), decai__model_root(with), 32);
    assert_null(decai__model_sha256(m));
    assert_int_equal(decai_model_sha256_get(m, out, 32), DECAI_E_STATE);
    decai_destroy(m);
    decai_destroy(with);
    decai_destroy(o);
}

static void refused(const char *what, const change *c, int32_t want, const char *text)
{
    decai_model *m;
    write_files(c);
    for (int map = 0; map < 2; map++) {
        size_t before = heap.live;
        support_heap_mark(&heap);
        int32_t r = load(&m, map ? mapped : NULL);
        if (r != want || !strstr(decai_error_detail(), text)) fail_msg("%s: %d %s", what, r, decai_error_detail());
        assert_null(m);
        assert_int_equal(heap.live, before);
        /* Fronts of three files, each of at most a MiB. */
        if (heap.peak - before > (4u << 20)) fail_msg("%s: %zu bytes", what, heap.peak - before);
    }
}

static void inconsistencies(void **state)
{
    static const struct { const char *what; change c; int32_t r; const char *text; } CASE[] = {
        { "a number twice", { 2, 1, FILES, TENSORS, 0, 0, 0 }, DECAI_E_CORRUPT, "split.no: 1 in file 3, 2 is needed" },
        { "not the first", { 0, 1, FILES, TENSORS, 0, 0, 0 }, DECAI_E_CORRUPT, "load the first file" },
        { "another count", { 1, 1, 4, TENSORS, 0, 0, 0 }, DECAI_E_CORRUPT, "split.count: 4 in file 2, 3 is needed" },
        { "count and name", { 0, 0, 2, TENSORS, 0, 0, 0 }, DECAI_E_CORRUPT, "does not end in -00001-of-00002.gguf" },
        { "too many", { 0, 0, DECAI_MODEL_FILES_MAX + 1, TENSORS, 0, 0, 0 }, DECAI_E_LIMIT, "DECAI_MODEL_FILES_MAX" },
        { "another sum", { 2, 2, FILES, TENSORS + 1, 0, 0, 0 }, DECAI_E_CORRUPT, "split.tensors.count: 8 in file 3, 7" },
        { "a wrong sum", { 0, 0, FILES, TENSORS + 1, 0, 0, 0 }, DECAI_E_CORRUPT, "split.tensors.count: 8, the 3 files have 7" },
        { "a negative sum", { 0, 0, FILES, UINT32_MAX, 0, 0, 0 }, DECAI_E_CORRUPT, "split.tensors.count: -1" },
        { "another value", { 1, 1, FILES, TENSORS, 1, 0, 0 }, DECAI_E_CORRUPT, "answer: file 2" },
        { "another key", { 1, 1, FILES, TENSORS, 2, 0, 0 }, DECAI_E_CORRUPT, "other: file 2" },
        { "no file", { 2, 2, FILES, TENSORS, 0, 0, 1 }, DECAI_E_IO, "m-00003-of-00003.gguf: open failed" },
        { "no number", { 2, 2, FILES, TENSORS, 0, 0, 2 }, DECAI_E_CORRUPT, "split.no: missing in file 3" },
        { "no sum", { 0, 0, FILES, TENSORS, 0, 0, 3 }, DECAI_E_CORRUPT, "split.tensors.count: missing in file 1" },
    };
    static const change twice = { 2, 2, FILES, TENSORS, 0, 1, 0 }, equal = { 1, 1, FILES, TENSORS, 3, 0, 0 };
    decai_model *m;
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(CASE); i++) refused(CASE[i].what, &CASE[i].c, CASE[i].r, CASE[i].text);
    refused("a tensor twice", &twice, DECAI_E_CORRUPT, "split.tensors.count: 7, the 3 files have 8");
    write_files(&equal);                /* the same value again is no contradiction */
    if (load(&m, NULL)) fail_msg("%s", decai_error_detail());
    decai_destroy(m);
}

/* The sum is right and a tensor is in two files. */
static void tensor_in_two_files(void **state)
{
    decai_model *m;
    (void)state;
    for (uint32_t no = 0; no < FILES; no++) {
        gguf_writer w;
        gguf_begin(&w, 0);
        if (!no) put_metadata(&w);
        u16(&w, "split.no", no);
        u16(&w, "split.count", FILES);
        gguf_i32(&w, "split.tensors.count", 3);
        put_tensor(&w, no ? 1 : 2);
        save(&w, name_of(no));
    }
    assert_int_equal(load(&m, NULL), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "t5: duplicate tensor"));
}

static void from_memory(void **state)
{
    static uint8_t bytes[4096];
    decai_model *m;
    (void)state;
    write_files(NULL);
    FILE *f = fopen(name_of(0), "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_int_equal(decai_model_open(&m, ctx, bytes, len, NULL), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "split.count: 3"));
}

/* DECAI_MODEL_FILES_MAX files would do; here the count alone at the limit. */
static void count_limit(void **state)
{
    char name[160];
    decai_model *m;
    (void)state;
    for (uint32_t d = 0; d < 3; d++) {
        uint32_t count = DECAI_MODEL_FILES_MAX - 1 + d;
        gguf_writer w;
        gguf_begin(&w, 0);
        u16(&w, "split.no", 0);
        u16(&w, "split.count", count);
        gguf_i32(&w, "split.tensors.count", 0);
        snprintf(name, sizeof name, "%s/l-00001-of-%05u.gguf", folder, count);
        save(&w, name);
        assert_int_equal(decai_model_load(&m, ctx, name, NULL), d > 1 ? DECAI_E_LIMIT : DECAI_E_IO);
        unlink(name);
    }
}

static long resident_pages(void)
{
    long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &resident), 2);
    fclose(f);
    return resident;
}

static uint64_t sum_of(const decai__tensor *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < t->size; i++) sum = sum * 31 + t->data[i];
    return sum;
}

static void dropped_pages_come_back(void **state)
{
    decai_model *m, *read;
    (void)state;
    write_files(NULL);
    assert_int_equal(load(&m, mapped), 0);
    assert_int_equal(load(&read, no_hash), 0);
    const decai__tensor *big = decai__model_tensor_find(m, "t0"), *same = decai__model_tensor_find(read, "t0");
    decai__tensor_prefetch(m, big);
    decai__tensor_prefetch(read, same);
    uint64_t sum = sum_of(big);
    long before = resident_pages(), page = sysconf(_SC_PAGESIZE);
    decai__tensor_drop(m, big);
    long dropped = before - resident_pages();
    /* Sanitizers move memory of their own meanwhile: most of the 1.2 MB is enough. */
    if (dropped * page < 600000) fail_msg("%ld pages of a tensor of %zu bytes went", dropped, big->size);
    decai__tensor_drop(read, same);          /* was read: nothing to drop */
    assert_int_equal(sum_of(same), sum);
    assert_int_equal(sum_of(big), sum);
    /* Small tensors share pages with their neighbours; dropping all is harmless. */
    for (size_t i = 0; i < TENSORS; i++) decai__tensor_drop(m, decai__model_tensor_at(m, i));
    for (size_t i = 0; i < TENSORS; i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        assert_memory_equal(t->data, decai__model_tensor_find(read, t->name)->data, t->size);
    }
    decai_destroy(m);
    decai_destroy(read);
}

/* Any multiple of 8, mapped: data lies where the file puts it. */
static void odd_alignments(void **state)
{
    static const uint32_t ALIGN[] = { 8, 24, 40, 64, 4096, 65544 };
    char name[160];
    (void)state;
    snprintf(name, sizeof name, "%s/aligned.gguf", folder);
    for (size_t a = 0; a < DECAI__COUNT(ALIGN); a++) {
        gguf_writer w;
        decai_model *m;
        gguf_begin(&w, ALIGN[a]);
        gguf_u32(&w, "general.alignment", ALIGN[a]);
        for (uint32_t i = 1; i < TENSORS; i++) put_tensor(&w, i);
        save(&w, name);
        if (decai_model_load(&m, ctx, name, mapped)) fail_msg("%u: %s", ALIGN[a], decai_error_detail());
        for (uint32_t i = 1; i < TENSORS; i++) {
            char tensor[16];
            snprintf(tensor, sizeof tensor, "t%u", (i * 5) % TENSORS);
            const decai__tensor *t = decai__model_tensor_find(m, tensor);
            assert_memory_equal(t->data, weights + i, t->size);
        }
        decai_destroy(m);
    }
    unlink(name);
}

static int setup(void **state)
{
    uint64_t seed = 5;
    (void)state;
    weights = malloc(4 * BIG + 64);
    if (!weights || !mkdtemp(folder) || !(ctx = support_heap_context(&heap))) return 1;
    for (size_t i = 0; i < 4 * BIG + 64; i++) weights[i] = (uint8_t)support_rand(&seed);
    if (decai_options_create(&mapped, ctx) || decai_options_create(&no_hash, ctx)) return 1;
    if (decai_options_set_i64(mapped, "model.map", 1) || decai_options_set_i64(no_hash, "model.hash", 0)) return 1;
    /* The first hash of a context makes what all later ones share. */
    decai_model *m = NULL;
    write_files(NULL);
    int32_t r = load(&m, NULL);
    decai_destroy(m);
    return r;
}

static int teardown(void **state)
{
    char name[160];
    (void)state;
    for (uint32_t no = 0; no < FILES; no++) unlink(name_of(no));
    snprintf(name, sizeof name, "%s/merged.gguf", folder);
    unlink(name);
    decai_destroy(mapped);
    decai_destroy(no_hash);
    decai_destroy(ctx);
    free(weights);
    return rmdir(folder) || heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_identity), cmocka_unit_test(without_sha256), cmocka_unit_test(inconsistencies), cmocka_unit_test(tensor_in_two_files),
        cmocka_unit_test(from_memory), cmocka_unit_test(count_limit), cmocka_unit_test(dropped_pages_come_back),
        cmocka_unit_test(odd_alignments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
