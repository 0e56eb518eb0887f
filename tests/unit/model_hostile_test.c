/* model_hostile_test.c - one regression for every class of attack that model
 * readers have fallen to, G1..G13 (public advisories; the class is what counts).
 *
 * Files are small and lie in tests/golden/hostile-gguf; each is made again here
 * and compared, so that none can rot. DECAI_WRITE=folder writes them there. Each
 * must be refused with the right error, the field in the text, and little memory. */
#include <pthread.h>
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

#define FOLDER "tests/golden/hostile-gguf"

static decai_context *ctx;
static support_heap heap;

static const uint64_t ONE_ROW[4] = { 8, 1, 1, 1 };
static const float ZEROS[8];

static void one_tensor(gguf_writer *w, const char *name) { gguf_tensor(w, name, 0, 1, ONE_ROW, ZEROS, 32); }

/* A whole little tokenizer, so that one bad field is the only thing wrong. */
static void tokens(gguf_writer *w, const char *const *text, size_t count, const char *const *merges, size_t merge_count)
{
    gguf_str(w, "tokenizer.ggml.model", "gpt2");
    gguf_str(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(w, "tokenizer.ggml.tokens", text, count);
    gguf_strs(w, "tokenizer.ggml.merges", merges, merge_count);
}

static const char *const AB[] = { "a", "b", "ab" };
static const char *const MERGE_AB[] = { "a b" };

/* ---- the files ------------------------------------------------------------- */

static void g01_dims_wrap(gguf_writer *w)
{
    uint64_t dims[4] = { 1ull << 32, 1ull << 32, 1, 1 };
    gguf_tensor_info(w, "wrap", 0, 2, dims, 0);
}
static void g01_bytes_wrap(gguf_writer *w)
{
    uint64_t dims[1] = { 1ull << 62 };          /* times 4 bytes is 0 */
    gguf_tensor_info(w, "wrap", 0, 1, dims, 0);
}
static void g02_tensor_past_end(gguf_writer *w)
{
    uint64_t dims[1] = { 16 };
    gguf_tensor_info(w, "long", 0, 1, dims, 0);
    gguf_put(&w->data, ZEROS, 32);               /* half of it */
}
static void g02_offset_past_end(gguf_writer *w)
{
    gguf_tensor_info(w, "far", 0, 1, ONE_ROW, UINT64_MAX & ~31ull);
    gguf_put(&w->data, ZEROS, 32);
}
static void g02_string_past_end(gguf_writer *w)
{
    uint64_t len = 1ull << 40;
    gguf_raw(w, "general.name", 8, &len, 8);
}
static void g03_scores_u8(gguf_writer *w)
{
    uint8_t raw[15] = { 0, 0, 0, 0, 3 };         /* array of u8, 3 elements */
    tokens(w, AB, 3, MERGE_AB, 1);
    gguf_raw(w, "tokenizer.ggml.scores", 9, raw, sizeof raw);
}
static void g03_types_short(gguf_writer *w)
{
    int32_t one = 1;
    tokens(w, AB, 3, MERGE_AB, 1);
    gguf_i32s(w, "tokenizer.ggml.token_type", &one, 1);
}
static void g03_types_strings(gguf_writer *w)
{
    tokens(w, AB, 3, MERGE_AB, 1);
    gguf_strs(w, "tokenizer.ggml.token_type", AB, 3);
}
static void g04_dims_five(gguf_writer *w)
{
    uint64_t dims[5] = { 8, 1, 1, 1, 1 };
    gguf_tensor_info(w, "five", 0, 5, dims, 0);
    gguf_put(&w->data, ZEROS, 32);
}
static void g04_nested_deep(gguf_writer *w)
{
    gguf_bytes b = { 0 };
    for (int i = 0; i < 100; i++) gguf_put_u32(&b, 9), gguf_put_u64(&b, 1);
    gguf_put_u32(&b, 0), gguf_put_u64(&b, 0);
    gguf_raw(w, "deep", 9, b.data, b.len);
    free(b.data);
}
static void g05_byte_token(gguf_writer *w)
{
    static const char *const text[] = { "a", "b", "<0x-1>" };
    int32_t kinds[] = { 1, 1, 6 };
    tokens(w, text, 3, MERGE_AB, 0);
    gguf_i32s(w, "tokenizer.ggml.token_type", kinds, 3);
}
static void g05_merge_names_nothing(gguf_writer *w)
{
    static const char *const merges[] = { "a b", "b a" };
    tokens(w, AB, 3, merges, 2);
}
static void g05_eos_out_of_range(gguf_writer *w)
{
    tokens(w, AB, 3, MERGE_AB, 1);
    gguf_i32(w, "tokenizer.ggml.eos_token_id", -2);
}
static void g06_many_tensors(gguf_writer *w) { w->tensor_count = 1ull << 40; }
static void g06_many_metadata(gguf_writer *w) { w->metadata_count = UINT64_MAX; }
static void g06_big_array(gguf_writer *w)
{
    gguf_bytes b = { 0 };
    gguf_put_u32(&b, 12), gguf_put_u64(&b, 1ull << 61);     /* f64: 2^64 bytes */
    gguf_raw(w, "big", 9, b.data, b.len);
    free(b.data);
}
static void alignment(gguf_writer *w, uint32_t v)
{
    gguf_u32(w, "general.alignment", v);
    one_tensor(w, "t");
}
static void g07_zero(gguf_writer *w) { alignment(w, 0); }
static void g07_huge(gguf_writer *w) { alignment(w, 1u << 31); }
static void g07_odd(gguf_writer *w) { alignment(w, 36); }
static void g07_type(gguf_writer *w)
{
    gguf_u64(w, "general.alignment", 32);
    one_tensor(w, "t");
}
static void g10_template(gguf_writer *w)
{
    tokens(w, AB, 3, MERGE_AB, 1);
    gguf_str(w, "tokenizer.chat_template", "{{ cycler.__init__.__globals__.os.popen('id').read() }}");
}
static void g12_type_number(gguf_writer *w)
{
    gguf_tensor_info(w, "pointer", UINT32_MAX, 1, ONE_ROW, 0);
    gguf_put(&w->data, ZEROS, 32);
}
static void g13_keys(gguf_writer *w)
{
    gguf_u32(w, "twice", 1);
    gguf_u32(w, "other", 1);
    gguf_u32(w, "twice", 2);
}
static void g13_tensors(gguf_writer *w)
{
    one_tensor(w, "twice");
    one_tensor(w, "twice");
}
static void g13_overlap(gguf_writer *w)
{
    one_tensor(w, "a");
    gguf_tensor_info(w, "b", 0, 1, ONE_ROW, 0);
}
static void g13_offset_odd(gguf_writer *w)
{
    gguf_tensor_info(w, "odd", 0, 1, ONE_ROW, 4);
    gguf_put(&w->data, ZEROS, 32);
    gguf_put(&w->data, ZEROS, 32);
}
static void g13_merge_twice(gguf_writer *w)
{
    static const char *const merges[] = { "a b", "a b" };
    tokens(w, AB, 3, merges, 2);
}
static void bool_two(gguf_writer *w)
{
    uint8_t two = 2;
    gguf_raw(w, "flag", 7, &two, 1);
}
static void key_control(gguf_writer *w) { gguf_u32(w, "bad\nkey", 1); }
static void type_unknown(gguf_writer *w) { gguf_raw(w, "what", 13, ZEROS, 8); }
static void dims_zero(gguf_writer *w)
{
    uint64_t dims[2] = { 8, 0 };
    gguf_tensor_info(w, "none", 0, 2, dims, 0);
    gguf_put(&w->data, ZEROS, 32);
}
static void block_cut(gguf_writer *w)
{
    uint64_t dims[1] = { 33 };
    gguf_tensor_info(w, "cut", 8, 1, dims, 0);
    gguf_put(&w->data, ZEROS, 32), gguf_put(&w->data, ZEROS, 32);
}
static void version_one(gguf_writer *w) { w->version = 1; }
static void version_swapped(gguf_writer *w) { w->version = 3u << 24; }

/* result: of opening, or of the tokenizer where the file itself is sound. */
static const struct hostile { const char *name; void (*make)(gguf_writer *); int32_t result; int tokenizer; const char *field; } CASES[] = {
    { "g01-dims-wrap", g01_dims_wrap, DECAI_E_CORRUPT, 0, "wrap: dims[1]" },
    { "g01-bytes-wrap", g01_bytes_wrap, DECAI_E_CORRUPT, 0, "wrap: 4611686018427387904 elements" },
    { "g02-tensor-past-end", g02_tensor_past_end, DECAI_E_CORRUPT, 0, "long: offset 0 and size 64" },
    { "g02-offset-past-end", g02_offset_past_end, DECAI_E_CORRUPT, 0, "far: offset 18446744073709551584" },
    { "g02-string-past-end", g02_string_past_end, DECAI_E_CORRUPT, 0, "general.name: 1099511627776 bytes" },
    { "g03-scores-u8", g03_scores_u8, DECAI_E_CORRUPT, 1, "tokenizer.ggml.scores: elements of type 0" },
    { "g03-types-short", g03_types_short, DECAI_E_CORRUPT, 1, "tokenizer.ggml.token_type: 1 elements for 3" },
    { "g03-types-strings", g03_types_strings, DECAI_E_CORRUPT, 1, "tokenizer.ggml.token_type: elements of type 8" },
    { "g04-dims-five", g04_dims_five, DECAI_E_LIMIT, 0, "five: 5 is above 4" },
    { "g04-nested-deep", g04_nested_deep, DECAI_E_LIMIT, 0, "deep: 5 is above 4" },
    { "g05-byte-token", g05_byte_token, DECAI_E_CORRUPT, 1, "tokenizer.ggml.tokens[2]" },
    { "g05-merge-names-nothing", g05_merge_names_nothing, DECAI_E_CORRUPT, 1, "tokenizer.ggml.merges[1]" },
    { "g05-eos-out-of-range", g05_eos_out_of_range, DECAI_E_CORRUPT, 1, "tokenizer.ggml.eos_token_id: -2" },
    { "g06-many-tensors", g06_many_tensors, DECAI_E_CORRUPT, 0, "tensor_count: 1099511627776" },
    { "g06-many-metadata", g06_many_metadata, DECAI_E_CORRUPT, 0, "metadata_count: 18446744073709551615" },
    { "g06-big-array", g06_big_array, DECAI_E_CORRUPT, 0, "big: 2305843009213693952" },
    { "g07-alignment-zero", g07_zero, DECAI_E_LIMIT, 0, "general.alignment: 0" },
    { "g07-alignment-huge", g07_huge, DECAI_E_LIMIT, 0, "general.alignment: 2147483648" },
    { "g07-alignment-odd", g07_odd, DECAI_E_CORRUPT, 0, "general.alignment: 36" },
    { "g07-alignment-type", g07_type, DECAI_E_CORRUPT, 0, "general.alignment: type 10" },
    { "g10-template", g10_template, 0, 1, "" },
    { "g12-type-number", g12_type_number, DECAI_E_UNSUPPORTED, 0, "pointer: tensor type 4294967295" },
    { "g13-keys-twice", g13_keys, DECAI_E_CORRUPT, 0, "twice: duplicate key" },
    { "g13-tensors-twice", g13_tensors, DECAI_E_CORRUPT, 0, "twice: duplicate tensor" },
    { "g13-overlap", g13_overlap, DECAI_E_CORRUPT, 0, "offset 0 overlaps" },
    { "g13-offset-odd", g13_offset_odd, DECAI_E_CORRUPT, 0, "odd: offset 4" },
    { "g13-merge-twice", g13_merge_twice, DECAI_E_CORRUPT, 1, "tokenizer.ggml.merges[1]" },
    { "x-bool-two", bool_two, DECAI_E_CORRUPT, 0, "flag: a bool holds 2" },
    { "x-key-control", key_control, DECAI_E_CORRUPT, 0, "metadata key: byte 0x0a at 3" },
    { "x-type-unknown", type_unknown, DECAI_E_CORRUPT, 0, "what: value type 13" },
    { "x-dims-zero", dims_zero, DECAI_E_CORRUPT, 0, "none: dims[1] is 0" },
    { "x-block-cut", block_cut, DECAI_E_CORRUPT, 0, "cut: dims[0] 33" },
    { "x-version-one", version_one, DECAI_E_UNSUPPORTED, 0, "version: 1" },
    { "x-version-swapped", version_swapped, DECAI_E_UNSUPPORTED, 0, "version: 50331648 (big-endian?)" },
};

static void compare_with_file(const char *name, const uint8_t *bytes, size_t len)
{
    char path[512];
    uint8_t stored[4097];
    const char *folder = getenv("DECAI_WRITE");
    snprintf(path, sizeof path, "%s/%s.gguf", folder ? folder : FOLDER, name);
    if (folder) support_gguf_save(path, bytes, len);
    assert_true(len <= 4096);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    size_t n = fread(stored, 1, sizeof stored, f);
    fclose(f);
    assert_int_equal(n, len);
    assert_memory_equal(stored, bytes, len);
}

static void check_refused(const struct hostile *h, const uint8_t *bytes, size_t len)
{
    decai_model *m;
    decai_tokenizer *t = NULL;
    size_t before = heap.live;
    support_heap_mark(&heap);
    int32_t r = decai_model_open(&m, ctx, bytes, len, NULL);
    if (h->tokenizer) {
        if (r) fail_msg("%s: %s", h->name, decai_error_detail());
        r = decai_tokenizer_create(&t, m, NULL);
    }
    if (r != h->result || (r && !strstr(decai_error_detail(), h->field)))
        fail_msg("%s: %d %s", h->name, r, r ? decai_error_detail() : "");
    if (r && !h->tokenizer) assert_null(m);
    /* What a tokenizer takes whatever the file holds, its table of byte pairs above
     * all (256 KiB), is less than half a MiB. */
    size_t room = (h->tokenizer ? 512 : 64) * 1024;
    if (heap.peak - before > room) fail_msg("%s: took %zu bytes", h->name, heap.peak - before);
    decai_destroy(t);
    decai_destroy(m);
    assert_int_equal(heap.live, before);
}

static void files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        gguf_writer w;
        uint8_t *bytes;
        size_t len;
        gguf_begin(&w, 0);
        CASES[i].make(&w);
        gguf_end(&w, &bytes, &len);
        compare_with_file(CASES[i].name, bytes, len);
        check_refused(&CASES[i], bytes, len);
        free(bytes);
    }
}

/* The same refusals through the file system, where only the front is read. */
static void files_are_refused_on_disk(void **state)
{
    (void)state;
    decai_options *map;
    assert_int_equal(decai_options_create(&map, ctx), 0);
    assert_int_equal(decai_options_set_i64(map, "model.map", 1), 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char path[512];
        decai_model *m;
        snprintf(path, sizeof path, FOLDER "/%s.gguf", CASES[i].name);
        for (int mapped = 0; mapped < 2; mapped++) {
            int32_t r = decai_model_load(&m, ctx, path, mapped ? map : NULL);
            if (r != (CASES[i].tokenizer ? 0 : CASES[i].result)) fail_msg("%s: %d %s", path, r, decai_error_detail());
            decai_destroy(m);
        }
    }
    decai_destroy(map);
}

/* Bytes this process has read from files so far; -1 where the system does not say. */
static long long bytes_read(void)
{
    long long n = -1;
    FILE *f = fopen("/proc/self/io", "r");
    if (!f) return -1;
    if (fscanf(f, "rchar: %lld", &n) != 1) n = -1;
    fclose(f);
    return n;
}

/* A file of 256 MiB whose last tensor is wrong is refused after its header: a
 * MiB read, a few dozen allocations; mapped, nothing but what tells formats
 * apart. So is a safetensors file that has no config.json beside it. */
static void refusals_read_headers_only(void **state)
{
    enum { TENSORS = 200, SIZE = 256 << 20 };
    char path[] = "/tmp/decai-refuse-XXXXXX";
    uint64_t dims[1] = { 8 };
    uint8_t *bytes;
    size_t len;
    decai_options *map;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(decai_options_create(&map, ctx), 0);
    assert_int_equal(decai_options_set_i64(map, "model.map", 1), 0);
    for (int kind = 0; kind < 2; kind++) {
        gguf_writer w;
        gguf_begin(&w, 0);
        for (int i = 0; i < TENSORS; i++) {
            char name[16];
            snprintf(name, sizeof name, "t%d", i);
            gguf_tensor_info(&w, name, 0, 1, dims, i + 1 < TENSORS ? 32u * (unsigned)i : (uint64_t)SIZE);
        }
        gguf_end(&w, &bytes, &len);
        if (kind) {
            memset(bytes, 0, 8);                         /* a header of 16 MiB */
            bytes[3] = 1;
            bytes[8] = '{';
        }
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        free(bytes);
        for (int mapped = 0; mapped < 2; mapped++) {
            decai_model *m;
            uint64_t calls = heap.calls;
            size_t before = heap.live;
            long long from = bytes_read();
            support_heap_mark(&heap);
            int32_t r = decai_model_load(&m, ctx, path, mapped ? map : NULL);
            assert_int_equal(r, kind ? DECAI_E_IO : DECAI_E_CORRUPT);
            long long took = bytes_read() - from;
            if (from >= 0 && took > (mapped || kind ? 8192 : (1 << 20) + 8192)) fail_msg("%lld bytes read", took);
            if (heap.calls - calls > 64) fail_msg("%llu allocations", (unsigned long long)(heap.calls - calls));
            if (heap.peak - before > (2u << 20)) fail_msg("%zu bytes of memory", heap.peak - before);
            assert_int_equal(heap.live, before);
        }
    }
    decai_destroy(map);
    close(fd);
    unlink(path);
}

/* ---- classes that are not about a file ------------------------------------- */

static void g04_numbers_have_bounds(void **state)
{
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    uint64_t v = 0;
    float f = 0;
    (void)state;
    float nan_value = ZEROS[0] / ZEROS[1];
    gguf_begin(&w, 0);
    gguf_u32(&w, "llama.block_count", 513);
    gguf_i32(&w, "llama.head_count", -1);
    gguf_f32(&w, "llama.eps", nan_value);
    gguf_end(&w, &bytes, &len);
    assert_int_equal(decai_model_open(&m, ctx, bytes, len, NULL), 0);
    assert_int_equal(decai__model_u64(m, "llama.block_count", 1, 513, &v), 0);
    assert_int_equal(v, 513);
    assert_int_equal(decai__model_u64(m, "llama.block_count", 1, 512, &v), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "llama.block_count: 513 is not in 1..512"));
    assert_int_equal(decai__model_u64(m, "llama.head_count", 0, UINT64_MAX, &v), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "llama.head_count: -1"));
    assert_int_equal(decai__model_f32(m, "llama.eps", 0, 1, &f), DECAI_E_CORRUPT);
    assert_int_equal(decai__model_u64(m, "llama.eps", 0, 1, &v), DECAI_E_CORRUPT);
    assert_int_equal(decai__model_u64(m, "no.such", 0, 1, &v), DECAI_E_NOT_FOUND);
    decai_destroy(m);
    free(bytes);
}

static decai_tokenizer *small_tokenizer(void)
{
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    decai_tokenizer *t;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    gguf_end(&w, &bytes, &len);
    assert_int_equal(decai_model_open(&m, ctx, bytes, len, NULL), 0);
    if (decai_tokenizer_create(&t, m, NULL)) fail_msg("%s", decai_error_detail());
    decai_destroy(m);
    free(bytes);
    return t;
}

typedef struct deep { decai_tokenizer *t; const uint8_t *text; size_t len, ids; int32_t result; } deep;

static void *encode_thread(void *user)
{
    deep *d = user;
    d->result = decai_tokenizer_encode(d->t, NULL, 0, &d->ids, d->text, d->len, 0);
    return NULL;
}

/* 80,000 equal characters ended a reader that recursed once a character. Here
 * the whole call lives on a stack of 64 KiB (the sanitizers' own frames: more). */
static void g08_no_recursion(void **state)
{
    static const uint8_t FILL[] = { 'a', ' ', '7', '!', 0xff, 0, '\n' };
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    size_t stack = 512 * 1024;
#else
    size_t stack = 64 * 1024;
#endif
    size_t len = 80000;
    uint8_t *text = malloc(len);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, stack), 0);
    decai_tokenizer *t = small_tokenizer();
    for (size_t i = 0; i < sizeof FILL; i++) {
        pthread_t thread;
        deep d = { t, text, len, 0, 0 };
        memset(text, FILL[i], len);
        assert_int_equal(pthread_create(&thread, &attr, encode_thread, &d), 0);
        pthread_join(thread, NULL);
        assert_int_equal(d.result, DECAI_E_SPACE);
        assert_int_equal(d.ids, len);            /* no merge applies to these */
    }
    pthread_attr_destroy(&attr);
    decai_destroy(t);
    free(text);
}

static void g09_g11_integers(void **state)
{
    decai_tokenizer *t = small_tokenizer();
    size_t len;
    int32_t id, kind, bad[] = { -1, INT32_MIN, INT32_MAX, SUPPORT_VOCAB_MIN };
    uint8_t out[64];
    (void)state;
    assert_int_equal(decai_tokenizer_encode(t, NULL, 0, &len, out, SIZE_MAX, 0), DECAI_E_LIMIT);
    assert_int_equal(decai_tokenizer_encode(t, &id, SIZE_MAX, &len, (const uint8_t *)"a", 1, 0), 0);
    assert_int_equal(decai_tokenizer_encode(t, &id, 1, &len, (const uint8_t *)"a", 1, -1), DECAI_E_INVALID);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(decai_tokenizer_decode(t, out, sizeof out, &len, &bad[i], 1, 0), DECAI_E_NOT_FOUND);
        assert_int_equal(decai_tokenizer_token_get(t, out, sizeof out, &len, &kind, bad[i]), DECAI_E_NOT_FOUND);
        decai_token_stream *s;
        assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
        int32_t r = decai_token_stream_add(s, out, sizeof out, &len, bad[i]);
        assert_int_equal(r, bad[i] == DECAI_TOKEN_END ? 0 : DECAI_E_NOT_FOUND);
        decai_destroy(s);
    }
    decai_destroy(t);
}

/* A template is data: it comes back as it stands and nothing runs it. */
static void g10_template_is_data(void **state)
{
    decai_model *m;
    char text[128];
    size_t len;
    (void)state;
    assert_int_equal(decai_model_load(&m, ctx, FOLDER "/g10-template.gguf", NULL), 0);
    assert_int_equal(decai_model_metadata_get(m, (uint8_t *)text, sizeof text, &len, "tokenizer.chat_template"), 0);
    assert_true(len == 55 && !memcmp(text, "{{ cycler", 9));
    decai_destroy(m);
}

/* Scanning for duplicates must not be quadratic: 60,000 names with one long
 * common front, in one file. Compared pairwise they would take minutes. */
static void g13_many_names(void **state)
{
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    char key[64];
    (void)state;
    gguf_begin(&w, 0);
    for (int i = 0; i < 60000; i++) {
        snprintf(key, sizeof key, "a.long.common.front.of.every.key.%05d", (i * 7919) % 60000);
        gguf_u32(&w, key, 1);
    }
    gguf_end(&w, &bytes, &len);
    assert_int_equal(decai_model_open(&m, ctx, bytes, len, NULL), 0);
    for (size_t i = 1; i < decai__model_metadata_count(m); i++)
        assert_true(strcmp(decai__model_metadata_at(m, i - 1)->key, decai__model_metadata_at(m, i)->key) < 0);
    decai_destroy(m);
    free(bytes);
}

static int setup(void **state)
{
    static const uint8_t empty[24] = { 'G', 'G', 'U', 'F', 3 };
    decai_model *m = NULL;
    (void)state;
    if (!(ctx = support_heap_context(&heap))) return 1;
    /* The first hash of a context makes what all later ones share. */
    int32_t r = decai_model_open(&m, ctx, empty, sizeof empty, NULL);
    decai_destroy(m);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_refused), cmocka_unit_test(files_are_refused_on_disk),
        cmocka_unit_test(refusals_read_headers_only),
        cmocka_unit_test(g04_numbers_have_bounds), cmocka_unit_test(g08_no_recursion),
        cmocka_unit_test(g09_g11_integers), cmocka_unit_test(g10_template_is_data), cmocka_unit_test(g13_many_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
