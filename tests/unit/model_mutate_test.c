/* model_mutate_test.c - a mutator that knows GGUF.
 *
 * It walks sound files once and writes down every field: counts, lengths, types,
 * dims, offsets, values. Then each field gets each of {0, 1, -1, max, half, file
 * size / width and its neighbours, +-1, every type number}, and the file is cut
 * at every byte. Whatever still opens is used in full: rows, text, tokenizer,
 * encode, decode. Nothing may crash (sanitizer builds look), live on, or take
 * more than the file and 64 MiB; a refusal must have a text, and costs a few
 * dozen allocations at most.
 *
 * Three sound files: a small Llama with a vocabulary; one with every tensor type,
 * in one to four dimensions (experts are the third); a split one on disk.
 *
 * Default: some thousand mutations. DECAI_DEEP=1: more than 10^6, with pairs of
 * fields and random bytes. */
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
#include "tok/tok.h"

static decai_context *ctx;
static support_heap heap;
static decai_options *no_hash;
/* The file that is mutated at the moment, and its fields. */
static uint8_t *base;
static size_t base_len;
#define CALLS_MAX 64                /* allocations a refusal may cost */

/* ---- the fields of the file ------------------------------------------------ */

typedef struct field { size_t at; uint32_t width; bool type; } field;
static field *fields;
static size_t field_count;

enum { LLAMA, ZOO, FIRST, SECOND, SOUND };
static struct sound { uint8_t *base; size_t base_len; field *fields; size_t field_count; } sound[SOUND];

static void choose(int which)
{
    base = sound[which].base;
    base_len = sound[which].base_len;
    fields = sound[which].fields;
    field_count = sound[which].field_count;
}

static void add_field(size_t at, uint32_t width, bool type)
{
    if (field_count % 1024 == 0) fields = realloc(fields, (field_count + 1024) * sizeof *fields);
    assert_non_null(fields);
    fields[field_count++] = (field){ at, width, type };
}

static uint64_t u64_at(size_t at) { return decai__load_le64(base + at); }

static size_t walk_string(size_t at)
{
    add_field(at, 8, false);
    return at + 8 + (size_t)u64_at(at);
}

static size_t walk_value(size_t at, uint32_t type)
{
    static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    if (type == 8) return walk_string(at);
    if (type != 9) {
        add_field(at, size[type], false);
        return at + size[type];
    }
    uint32_t item = decai__load_le32(base + at);
    uint64_t count = u64_at(at + 4);
    add_field(at, 4, true);
    add_field(at + 4, 8, false);
    at += 12;
    for (uint64_t i = 0; i < count; i++) {
        /* The elements of long arrays are alike: every 16th will do. */
        size_t mark = field_count;
        at = walk_value(at, item);
        if (i % 16) field_count = mark;
    }
    return at;
}

static void walk_file(void)
{
    uint64_t tensors = u64_at(8), metadata = u64_at(16);
    size_t at = 24;
    add_field(0, 4, false), add_field(4, 4, false), add_field(8, 8, false), add_field(16, 8, false);
    for (uint64_t i = 0; i < metadata; i++) {
        at = walk_string(at);
        add_field(at, 4, true);
        at = walk_value(at + 4, decai__load_le32(base + at));
    }
    for (uint64_t i = 0; i < tensors; i++) {
        at = walk_string(at);
        uint32_t n = decai__load_le32(base + at);
        add_field(at, 4, false);
        at += 4;
        for (uint32_t d = 0; d < n; d++, at += 8) add_field(at, 8, false);
        add_field(at, 4, true);
        add_field(at + 4, 8, false);
        at += 12;
    }
}

/* ---- one mutated file ------------------------------------------------------- */

static uint64_t tried, opened, tokenized;

/* Every 16th file is hashed as well; not under MemorySanitizer, which takes what
 * OpenSSL wrote for uninitialised. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define HASHED 0
#endif
#endif
#ifndef HASHED
#define HASHED 1
#endif

static void use_tokenizer(const decai_model *m)
{
    decai_tokenizer *t;
    int32_t ids[64];
    uint8_t text[64];
    size_t n, len;
    int32_t r = decai_tokenizer_create(&t, m, NULL);
    if (r) {
        if (!*decai_error_detail()) fail_msg("a refusal without text: %d", r);
        assert_null(t);
        return;
    }
    tokenized++;
    r = decai_tokenizer_encode(t, ids, 64, &n, (const uint8_t *)"the hell of\0 12\xff", 17, 3);
    if (!r) assert_int_equal(decai_tokenizer_decode(t, text, 64, &len, ids, n, 1), 0);
    decai_destroy(t);
}

static void use_model(const decai_model *m)
{
    static float row[4096];
    size_t len;
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        uint64_t rows = t->elements / t->dims[0];
        if (t->dims[0] > 4096) continue;
        decai__tensor_row(t, 0, row);
        decai__tensor_row(t, rows - 1, row);
    }
    assert_int_equal(decai_model_format(m, NULL, 0, &len), DECAI_E_SPACE);
    use_tokenizer(m);
}

static void try_bytes(const uint8_t *bytes, size_t len)
{
    decai_model *m;
    size_t before = heap.live;
    uint64_t calls = heap.calls;
    support_heap_mark(&heap);
    int32_t r = decai_model_open(&m, ctx, bytes, len, HASHED && tried % 16 == 0 ? NULL : no_hash);
    tried++;
    if (!r) {
        opened++;
        use_model(m);
    } else if (!*decai_error_detail()) {
        fail_msg("a refusal without text: %d", r);
    } else if (heap.calls - calls > CALLS_MAX) {
        fail_msg("a refusal after %llu allocations: %s", (unsigned long long)(heap.calls - calls), decai_error_detail());
    }
    decai_destroy(m);
    if (heap.peak - before > len + (64u << 20)) fail_msg("%zu bytes of memory for a file of %zu", heap.peak - before, len);
    if (heap.live != before) fail_msg("%zu bytes left behind", heap.live - before);
}

static uint64_t value(uint64_t old, uint32_t width, uint32_t which)
{
    uint64_t max = width == 8 ? UINT64_MAX : (1ull << (8 * width)) - 1;
    switch (which) {
    case 0: return 0;
    case 1: return 1;
    case 2: return max;                          /* -1 */
    case 3: return max >> 1;                     /* the largest signed */
    case 4: return (max >> 1) + 1;               /* the smallest signed */
    case 5: return old + 1;
    case 6: return old - 1;
    case 7: return base_len;
    case 8: return base_len / width;
    case 9: return base_len / width + 1;
    case 10: return max / width;
    case 11: return max / width + 1;
    case 12: return old * 2;
    default: return max - 31;
    }
}
#define VALUES 14

static void put(uint8_t *bytes, const field *f, uint64_t v) { memcpy(bytes + f->at, &v, f->width); }

static uint64_t get(const field *f)
{
    uint64_t v = 0;
    memcpy(&v, base + f->at, f->width);
    return v;
}

static uint8_t *fresh(void)
{
    uint8_t *copy = malloc(base_len);
    assert_non_null(copy);
    memcpy(copy, base, base_len);
    return copy;
}

/* ---- the sweeps -------------------------------------------------------------- */

static void each_field_each_value(void **state)
{
    (void)state;
    for (int which = LLAMA; which <= ZOO; which++) {
        choose(which);
        uint8_t *bytes = fresh();
        uint64_t before = tried, opened_before = opened;
        for (size_t i = 0; i < field_count; i++) {
            const field *f = &fields[i];
            uint32_t kinds = f->type ? 45 : 0;
            for (uint32_t v = 0; v < VALUES + kinds; v++) {
                put(bytes, f, v < VALUES ? value(get(f), f->width, v) : v - VALUES);
                try_bytes(bytes, base_len);
            }
            put(bytes, f, get(f));
        }
        free(bytes);
        printf("# %zu fields, %llu mutations, %llu opened, %llu tokenizers\n", field_count, (unsigned long long)(tried - before),
            (unsigned long long)opened, (unsigned long long)tokenized);
        assert_true(tried - before >= 2000 && opened > opened_before && tokenized > 0);
    }
}

static void cut_everywhere(void **state)
{
    (void)state;
    for (int which = LLAMA; which <= ZOO; which++) {
        choose(which);
        size_t header = 24;
        for (size_t i = 0; i < field_count; i++) header = DECAI__MAX(header, fields[i].at + fields[i].width);
        size_t step = getenv("DECAI_DEEP") ? 1 : 7;
        for (size_t n = 0; n <= header; n += step) {
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, base, n);
            try_bytes(cut, n);
            free(cut);
        }
    }
}

static void mutate(uint8_t *bytes, uint64_t *seed, bool pair)
{
    const field *a = &fields[support_rand(seed) % field_count], *b = &fields[support_rand(seed) % field_count];
    size_t at = support_rand(seed) % 24000 % base_len;
    put(bytes, a, value(get(a), a->width, support_rand(seed) % VALUES));
    if (pair) put(bytes, b, value(get(b), b->width, support_rand(seed) % VALUES));
    else bytes[at] ^= (uint8_t)(1u << support_rand(seed) % 8);
}

/* Two fields at once, and fields together with random bytes. */
static void random_mixtures(void **state)
{
    uint64_t seed = 11, count = getenv("DECAI_DEEP") ? 500000 : 300;
    (void)state;
    for (int which = LLAMA; which <= ZOO; which++) {
        choose(which);
        uint8_t *bytes = fresh();
        for (uint64_t i = 0; i < count; i++) {
            mutate(bytes, &seed, i % 2);
            try_bytes(bytes, base_len);
            memcpy(bytes, base, base_len);
        }
        free(bytes);
    }
    printf("# %llu mutations in all, %llu opened, %llu tokenizers\n", (unsigned long long)tried,
        (unsigned long long)opened, (unsigned long long)tokenized);
    if (getenv("DECAI_DEEP")) assert_true(tried >= 1000000);
}

/* ---- split files -------------------------------------------------------------- */

static char folder[] = "/tmp/decai-mutate-XXXXXX", first_path[64], second_path[64];

static void try_split(const decai_options *o)
{
    decai_model *m;
    size_t before = heap.live;
    uint64_t calls = heap.calls;
    support_heap_mark(&heap);
    int32_t r = decai_model_load(&m, ctx, first_path, o);
    if (!r) opened++;
    else if (!*decai_error_detail()) fail_msg("a refusal without text: %d", r);
    else if (heap.calls - calls > 2 * CALLS_MAX) fail_msg("a refusal after %llu allocations", (unsigned long long)(heap.calls - calls));
    decai_destroy(m);
    if (heap.peak - before > 4 * base_len + (64u << 20)) fail_msg("%zu bytes of memory", heap.peak - before);
    if (heap.live != before) fail_msg("%zu bytes left behind", heap.live - before);
}

/* Two files on disk, one of them mutated. */
static void split_mutations(void **state)
{
    uint64_t seed = 17, count = getenv("DECAI_DEEP") ? 30000 : 400;
    decai_options *mapped;
    (void)state;
    assert_int_equal(decai_options_create(&mapped, ctx), 0);
    assert_int_equal(decai_options_set_i64(mapped, "model.map", 1), 0);
    assert_int_equal(decai_options_set_i64(mapped, "model.hash", 0), 0);
    uint64_t before = opened;
    try_split(no_hash);
    try_split(mapped);
    assert_int_equal(opened, before + 2);
    for (uint64_t i = 0; i < count; i++) {
        const char *to = i % 3 ? second_path : first_path;
        choose(i % 3 ? SECOND : FIRST);
        uint8_t *bytes = fresh();
        mutate(bytes, &seed, i % 2);
        /* A file system may flush what is cut and rewritten: away with it first. */
        unlink(to);
        assert_int_equal(support_gguf_save(to, bytes, base_len), 0);
        try_split(i & 4 ? mapped : no_hash);
        free(bytes);
        unlink(to);
        assert_int_equal(support_gguf_save(to, base, base_len), 0);
    }
    printf("# %llu mutations of split files, %llu opened\n", (unsigned long long)count, (unsigned long long)(opened - before));
    decai_destroy(mapped);
}

/* ---- sound files ------------------------------------------------------------------ */

static void keep(int which)
{
    sound[which] = (struct sound){ base, base_len, NULL, 0 };
    fields = NULL;
    field_count = 0;
    walk_file();
    sound[which].fields = fields;
    sound[which].field_count = field_count;
}

/* A tensor of every type, in one to four dimensions; as file `no` of two, or alone. */
static void make_zoo(uint32_t no, bool alone)
{
    static const uint32_t TYPE[] = { 0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 30, 39 };
    static uint8_t data[32768];
    gguf_writer w;
    uint16_t raw[2] = { (uint16_t)no, 2 };
    gguf_begin(&w, 0);
    if (!no) gguf_str(&w, "general.architecture", "zoo");
    if (!alone) {
        gguf_raw(&w, "split.no", DECAI_METADATA_U16, &raw[0], 2);
        gguf_raw(&w, "split.count", DECAI_METADATA_U16, &raw[1], 2);
        gguf_i32(&w, "split.tensors.count", 2 * (int32_t)DECAI__COUNT(TYPE));
    }
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 31 + i / 97);
    for (uint32_t i = 0; i < DECAI__COUNT(TYPE); i++) {
        const decai__type_info *info = decai__tensor_type(TYPE[i]);
        uint64_t dims[4] = { 256, i % 4 > 0 ? 2 : 1, i % 4 > 1 ? 3 : 1, i % 4 > 2 ? 2 : 1 };
        char name[16];
        snprintf(name, sizeof name, "t%u.%s", no, info->name);
        gguf_tensor(&w, name, TYPE[i], 1 + i % 4, dims, data, (size_t)(256 / info->block * info->bytes * dims[1] * dims[2] * dims[3]));
    }
    gguf_end(&w, &base, &base_len);
}

static int setup(void **state)
{
    support_llama shape = SUPPORT_LLAMA_TINY;
    decai_model *m = NULL;
    (void)state;
    shape.n_embd = shape.n_ff = 32;
    shape.n_head = shape.n_head_kv = 1;
    shape.n_layer = 1;
    shape.tied = 1;
    shape.alignment = 64;
    support_gguf_llama(&shape, &base, &base_len);
    keep(LLAMA);
    make_zoo(0, true);
    keep(ZOO);
    for (uint32_t no = 0; no < 2; no++) {
        make_zoo(no, false);
        keep(no ? SECOND : FIRST);
    }
    if (!mkdtemp(folder)) return 1;
    snprintf(first_path, sizeof first_path, "%s/z-00001-of-00002.gguf", folder);
    snprintf(second_path, sizeof second_path, "%s/z-00002-of-00002.gguf", folder);
    if (support_gguf_save(first_path, sound[FIRST].base, sound[FIRST].base_len)) return 1;
    if (support_gguf_save(second_path, sound[SECOND].base, sound[SECOND].base_len)) return 1;
    choose(LLAMA);
    if (!(ctx = support_heap_context(&heap)) || decai_options_create(&no_hash, ctx)) return 1;
    /* The first hash of a context makes what all later ones share. */
    int32_t r = decai_model_open(&m, ctx, base, base_len, NULL);
    decai_destroy(m);
    return r ? r : decai_options_set_i64(no_hash, "model.hash", 0);
}

static int teardown(void **state)
{
    (void)state;
    unlink(first_path);
    unlink(second_path);
    decai_destroy(no_hash);
    decai_destroy(ctx);
    for (int i = 0; i < SOUND; i++) free(sound[i].base), free(sound[i].fields);
    return rmdir(folder) || heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_each_value), cmocka_unit_test(cut_everywhere), cmocka_unit_test(random_mixtures),
        cmocka_unit_test(split_mutations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
