/* model_mutate_test.c - a mutator that knows GGUF.
 *
 * It walks a sound file once and writes down every field: counts, lengths, types,
 * dims, offsets, values. Then each field gets each of {0, 1, -1, max, half, file
 * size / width and its neighbours, +-1, every type number}, and the file is cut
 * at every byte. Whatever still opens is used in full: rows, text, tokenizer,
 * encode, decode. Nothing may crash (sanitizer builds look), live on, or take
 * more than the file and 64 MiB; a refusal must have a text.
 *
 * Default: a few thousand mutations. DECAI_DEEP=1: more than 10^5, with pairs of
 * fields and random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/internal.h"
#include "support_gguf.h"
#include "support_heap.h"
#include "tok/tok.h"

static decai_context *ctx;
static support_heap heap;
static decai_options *no_hash;
static uint8_t *base;
static size_t base_len;

/* ---- the fields of the file ------------------------------------------------ */

typedef struct field { size_t at; uint32_t width; bool type; } field;
static field *fields;
static size_t field_count;

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
    support_heap_mark(&heap);
    int32_t r = decai_model_open(&m, ctx, bytes, len, HASHED && tried % 16 == 0 ? NULL : no_hash);
    tried++;
    if (!r) {
        opened++;
        use_model(m);
    } else if (!*decai_error_detail()) {
        fail_msg("a refusal without text: %d", r);
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
    uint8_t *bytes = fresh();
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
    printf("# %zu fields, %llu mutations, %llu opened, %llu tokenizers\n", field_count, (unsigned long long)tried,
        (unsigned long long)opened, (unsigned long long)tokenized);
    assert_true(tried >= 3000 && opened > 0 && tokenized > 0);
}

static void cut_everywhere(void **state)
{
    (void)state;
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

/* Two fields at once, and fields together with random bytes. */
static void random_mixtures(void **state)
{
    uint64_t seed = 11, count = getenv("DECAI_DEEP") ? 100000 : 500;
    (void)state;
    uint8_t *bytes = fresh();
    for (uint64_t i = 0; i < count; i++) {
        const field *a = &fields[support_rand(&seed) % field_count], *b = &fields[support_rand(&seed) % field_count];
        size_t at = support_rand(&seed) % 24000 % base_len;
        put(bytes, a, value(get(a), a->width, support_rand(&seed) % VALUES));
        if (i % 2) put(bytes, b, value(get(b), b->width, support_rand(&seed) % VALUES));
        else bytes[at] ^= (uint8_t)(1u << support_rand(&seed) % 8);
        try_bytes(bytes, base_len);
        memcpy(bytes, base, base_len);
    }
    free(bytes);
    printf("# %llu mutations in all, %llu opened, %llu tokenizers\n", (unsigned long long)tried,
        (unsigned long long)opened, (unsigned long long)tokenized);
    if (getenv("DECAI_DEEP")) assert_true(tried >= 100000);
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
    walk_file();
    if (!(ctx = support_heap_context(&heap)) || decai_options_create(&no_hash, ctx)) return 1;
    /* The first hash of a context makes what all later ones share. */
    int32_t r = decai_model_open(&m, ctx, base, base_len, NULL);
    decai_destroy(m);
    return r ? r : decai_options_set_i64(no_hash, "model.hash", 0);
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(no_hash);
    decai_destroy(ctx);
    free(base);
    free(fields);
    return heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_each_value), cmocka_unit_test(cut_everywhere), cmocka_unit_test(random_mixtures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
