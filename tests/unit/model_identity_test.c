/* model_identity_test.c - roots against values that a second implementation made
 * (tests/tools/golden_model.py), what a root depends on and what not, proofs of
 * chunks and metadata, and the values of every tensor type. */
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
#include "tok/tok.h"

static decai_context *ctx;

static decai_model *open_bytes(const uint8_t *bytes, size_t len)
{
    decai_model *m;
    if (decai_model_open(&m, ctx, bytes, len, NULL)) fail_msg("%s", decai_error_detail());
    return m;
}

static decai_model *llama(const support_llama *shape)
{
    uint8_t *bytes;
    size_t len;
    support_gguf_llama(shape, &bytes, &len);
    decai_model *m = open_bytes(bytes, len);
    free(bytes);
    return m;
}

/* Two tensors, one of them three chunks long. */
static void big_file(uint8_t **out, size_t *len, uint32_t alignment, int swapped)
{
    gguf_writer w;
    uint64_t dims[2] = { 700000, 1 }, small[2] = { 2, 2 };
    uint8_t *data = malloc(2800000);
    for (size_t i = 0; i < 2800000; i++) data[i] = (uint8_t)(i * 7 + i / 251);
    gguf_begin(&w, alignment);
    if (swapped) gguf_u32(&w, "general.alignment", alignment);
    gguf_str(&w, "general.architecture", "none");
    gguf_u32(&w, "answer", 42);
    if (swapped) gguf_tensor(&w, "a", 1, 2, small, data, 8);
    gguf_tensor(&w, "big", 0, 1, dims, data, 2800000);
    if (!swapped) gguf_tensor(&w, "a", 1, 2, small, data, 8);
    if (swapped) w.version = 2;
    gguf_end(&w, out, len);
    free(data);
}

static void hex(char out[65], const uint8_t *hash)
{
    for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* Each line of the file is a fact about m. */
static void check_golden(const char *path, decai_model *m)
{
    char line[256], kind[16], a[80], b[80], text[65];
    size_t tensors = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        int n = sscanf(line, "%15s %79s %79s", kind, a, b);
        if (!strcmp(kind, "model")) {
            hex(text, decai__model_root(m));
            assert_string_equal(text, a);
        } else if (!strcmp(kind, "tensor") && n == 3) {
            const decai__tensor *t = decai__model_tensor_find(m, a);
            assert_non_null(t);
            hex(text, decai__tensor_root(m, t));
            assert_string_equal(text, b);
            tensors++;
        } else {
            decai_tokenizer *tok;
            assert_string_equal(kind, "tokenizer");
            if (decai_tokenizer_create(&tok, m, NULL)) fail_msg("%s", decai_error_detail());
            hex(text, decai__tok_hash(tok));
            assert_string_equal(text, a);
            decai_destroy(tok);
        }
    }
    fclose(f);
    assert_int_equal(tensors, decai__model_tensor_count(m));
}

static const support_llama SMALL = { .n_vocab = SUPPORT_VOCAB_MIN, .n_embd = 32, .n_layer = 1, .n_head = 2,
    .n_head_kv = 1, .n_ff = 64, .n_ctx = 64, .type = 8, .vocab = 1, .seed = 7 };

static void golden(void **state)
{
    uint8_t *bytes;
    size_t len;
    (void)state;
    /* DECAI_WRITE=folder writes the files that golden_model.py then reads. */
    const char *folder = getenv("DECAI_WRITE");
    char path[512];
    support_gguf_llama(&SMALL, &bytes, &len);
    if (folder) snprintf(path, sizeof path, "%s/identity-llama.gguf", folder), support_gguf_save(path, bytes, len);
    decai_model *m = open_bytes(bytes, len);
    free(bytes);
    check_golden("tests/golden/identity-llama.txt", m);
    decai_destroy(m);
    big_file(&bytes, &len, 32, 0);
    if (folder) snprintf(path, sizeof path, "%s/identity-big.gguf", folder), support_gguf_save(path, bytes, len);
    m = open_bytes(bytes, len);
    free(bytes);
    check_golden("tests/golden/identity-big.txt", m);
    decai_destroy(m);
}

static void layout_does_not_count(void **state)
{
    uint8_t *one, *two;
    size_t one_len, two_len;
    (void)state;
    big_file(&one, &one_len, 32, 0);
    big_file(&two, &two_len, 4096, 1);      /* order, alignment and version differ */
    decai_model *a = open_bytes(one, one_len), *b = open_bytes(two, two_len);
    assert_memory_equal(decai__model_root(a), decai__model_root(b), 32);
    assert_memory_not_equal(decai__model_sha256(a), decai__model_sha256(b), 32);
    decai_destroy(a);
    decai_destroy(b);
    free(one);
    free(two);
}

typedef struct nudge { const char *tensor; size_t byte; } nudge;

static void change_byte(void *user, const char *tensor, uint8_t *data, size_t size)
{
    const nudge *n = user;
    if (!strcmp(tensor, n->tensor) && n->byte < size) data[n->byte] ^= 1;
}

/* Every byte of content counts: one changed bit in any tensor, any metadata
 * value, any name. */
static void content_counts(void **state)
{
    (void)state;
    decai_model *m = llama(&SMALL);
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        nudge n = { t->name, t->size - 1 };
        support_llama shape = SMALL;
        shape.tamper = change_byte;
        shape.user = &n;
        decai_model *other = llama(&shape);
        const decai__tensor *u = decai__model_tensor_at(other, i);
        assert_memory_not_equal(decai__model_root(m), decai__model_root(other), 32);
        assert_memory_not_equal(decai__tensor_root(m, t), decai__tensor_root(other, u), 32);
        decai_destroy(other);
    }
    support_llama shape = SMALL;
    shape.n_ctx++;
    decai_model *other = llama(&shape);
    assert_memory_not_equal(decai__model_root(m), decai__model_root(other), 32);
    decai_destroy(other);
    decai_destroy(m);
}

static int32_t verify(const decai_model *m, const decai__tensor *t, uint64_t chunk, const decai__model_proof *p)
{
    const uint8_t *data;
    size_t len = decai__tensor_chunk(t, chunk, &data);
    return decai__model_chunk_verify(decai__model_root(m), t->name, t->type, t->n_dims, t->dims, chunk, data, len, p);
}

static void chunk_proofs(void **state)
{
    uint8_t *bytes;
    size_t len;
    decai__model_proof p, wrong;
    (void)state;
    big_file(&bytes, &len, 32, 0);
    decai_model *m = open_bytes(bytes, len);
    free(bytes);
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        for (uint64_t c = 0; c < decai__tensor_chunk_count(t); c++) {
            assert_int_equal(decai__model_chunk_prove(m, t, c, &p), 0);
            assert_int_equal(verify(m, t, c, &p), 0);
            /* A flipped bit anywhere in the path, the data root or the indices. */
            for (uint32_t s = 0; s < p.chunk_len + p.entry_len; s++) {
                wrong = p;
                wrong.path[s][31] ^= 1;
                assert_int_equal(verify(m, t, c, &wrong), DECAI_E_INTEGRITY);
            }
            wrong = p;
            wrong.data_root[0] ^= 1;
            assert_int_equal(verify(m, t, c, &wrong), DECAI_E_INTEGRITY);
            wrong = p;
            wrong.entry_index ^= 1;
            assert_int_not_equal(verify(m, t, c, &wrong), 0);
            wrong = p;
            wrong.entry_count++;
            assert_int_not_equal(verify(m, t, c, &wrong), 0);
        }
        assert_int_equal(decai__model_chunk_prove(m, t, decai__tensor_chunk_count(t), &p), DECAI_E_INVALID);
    }
    decai_destroy(m);
}

static void chunk_verify_refuses(void **state)
{
    uint8_t *bytes;
    size_t len;
    const uint8_t *data;
    decai__model_proof p;
    (void)state;
    big_file(&bytes, &len, 32, 0);
    decai_model *m = open_bytes(bytes, len);
    free(bytes);
    const decai__tensor *t = decai__model_tensor_find(m, "big");
    const uint8_t *root = decai__model_root(m);
    uint64_t other[1] = { 700001 }, wrap[4] = { UINT64_MAX, 2, 1, 1 };
    size_t n = decai__tensor_chunk(t, 2, &data);
    assert_int_equal(decai__model_chunk_prove(m, t, 2, &p), 0);
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 1, t->dims, 2, data, n, &p), 0);
    assert_int_not_equal(decai__model_chunk_verify(root, "bib", 0, 1, t->dims, 2, data, n, &p), 0);
    assert_int_not_equal(decai__model_chunk_verify(root, "big", 0, 1, other, 2, data, n + 4, &p), 0);
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 1, t->dims, 3, data, n, &p), DECAI_E_INVALID);
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 1, t->dims, UINT64_MAX, data, n, &p), DECAI_E_INVALID);
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 1, t->dims, 2, data, n - 1, &p), DECAI_E_INVALID);
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 2, wrap, 2, data, n, &p), DECAI_E_INVALID);
    assert_int_equal(decai__model_chunk_verify(root, "big", 12, 1, t->dims, 2, data, n, &p), DECAI_E_INVALID);
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 0, t->dims, 2, data, n, &p), DECAI_E_INVALID);
    p.chunk_len = UINT32_MAX;
    assert_int_equal(decai__model_chunk_verify(root, "big", 0, 1, t->dims, 2, data, n, &p), DECAI_E_INVALID);
    decai_destroy(m);
}

static void metadata_proofs(void **state)
{
    decai__model_proof p;
    (void)state;
    support_llama shape = SMALL;
    shape.alignment = 64;
    decai_model *m = llama(&shape);
    for (size_t i = 0; i < decai__model_metadata_count(m); i++) {
        const decai__metadata *e = decai__model_metadata_at(m, i);
        int32_t r = decai__model_metadata_prove(m, e, &p);
        if (!strcmp(e->key, "general.alignment")) {
            assert_int_equal(r, DECAI_E_INVALID);
            continue;
        }
        assert_int_equal(r, 0);
        const uint8_t *root = decai__model_root(m);
        assert_int_equal(decai__model_metadata_verify(root, e->key, e->type, e->raw, e->raw_size, &p), 0);
        assert_int_equal(decai__model_metadata_verify(root, e->key, e->type + 1, e->raw, e->raw_size, &p), DECAI_E_INTEGRITY);
        assert_int_equal(decai__model_metadata_verify(root, e->key, e->type, e->raw, e->raw_size - 1, &p), DECAI_E_INTEGRITY);
        assert_int_equal(decai__model_metadata_verify(root, "x", e->type, e->raw, e->raw_size, &p), DECAI_E_INTEGRITY);
    }
    decai_destroy(m);
}

/* ---- threads ---------------------------------------------------------------- */

typedef struct reader { decai_model *m; uint8_t root[32]; int32_t early; } reader;

/* Asks until the model is there, as a caller of the background load may. */
static void *read_root(void *user)
{
    reader *r = user;
    for (;;) {
        int32_t result = decai_model_root_get(r->m, r->root, 32);
        if (!result) return NULL;
        r->early += result == DECAI_E_STATE;
    }
}

static void a_pool_gives_the_same_root(void **state)
{
    uint8_t *bytes, want[32];
    size_t len;
    char path[] = "/tmp/decai-identity-XXXXXX";
    decai_options *o;
    decai_context *pool;
    decai_task *task;
    decai_model *m;
    (void)state;
    big_file(&bytes, &len, 32, 0);
    m = open_bytes(bytes, len);
    memcpy(want, decai__model_root(m), 32);
    decai_destroy(m);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(support_gguf_save(path, bytes, len), 0);
    free(bytes);
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_i64(o, "base.threads", 3), 0);
    assert_int_equal(decai_context_create(&pool, o), 0);
    decai_destroy(o);
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        assert_int_equal(decai_model_load_start(&task, &m, pool, path, NULL), 0);
        reader r = { m, { 0 }, 0 };
        assert_int_equal(pthread_create(&thread, NULL, read_root, &r), 0);
        assert_int_equal(decai_task_wait(task, -1), 0);
        pthread_join(thread, NULL);
        assert_memory_equal(r.root, want, 32);
        decai_destroy(task);
        decai_destroy(m);
    }
    decai_destroy(pool);
    remove(path);
}

/* ---- numbers ----------------------------------------------------------- */

static void half_floats(void **state)
{
    (void)state;
    assert_true(decai__half_to_f32(0x3c00) == 1.0f && decai__half_to_f32(0xc000) == -2.0f);
    assert_true(decai__half_to_f32(0x0001) == 0x1p-24f && decai__half_to_f32(0x7bff) == 65504.0f);
    /* Every half that is a number comes back from its float. */
    for (uint32_t h = 0; h < 0x10000; h++) {
        if ((h & 0x7fff) > 0x7c00) continue;
        if (decai__f32_to_f16(decai__half_to_f32((uint16_t)h)) != h) fail_msg("half %04x", h);
    }
    /* Ties to even, just above, and the way to infinity. */
    assert_int_equal(decai__f32_to_f16(1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(decai__f32_to_f16(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
    assert_int_equal(decai__f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(decai__f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(decai__f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(decai__f32_to_f16(0x1p-25f), 0);
    assert_int_equal(decai__f32_to_f16(0x1.8p-25f), 1);
    assert_int_equal(decai__f32_to_f16(0x1.8p-24f), 2);
    /* The two implementations in this tree agree on random bits. */
    uint64_t seed = 3;
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)support_rand(&seed);
        float f;
        memcpy(&f, &bits, 4);
        if (f != f) continue;
        if (decai__f32_to_f16(f) != support_f16(f)) fail_msg("float %08x", bits);
    }
}

/* Each type gives back its own values: error at most half a quant step. */
static void rows_of_every_type(void **state)
{
    static const struct { uint32_t type; float bound; } CASE[] = { { 0, 0.0f }, { 1, 0x1p-11f }, { 30, 0x1p-8f },
        { 8, 0.6f / 127 }, { 2, 1.1f / 8 } };
    (void)state;
    for (size_t c = 0; c < sizeof CASE / sizeof *CASE; c++) {
        float x[64], y[64];
        uint8_t data[256], *bytes;
        size_t len;
        uint64_t seed = 9, dims[2] = { 32, 2 };
        gguf_writer w;
        for (int i = 0; i < 64; i++) x[i] = (float)((int64_t)(support_rand(&seed) % 2001) - 1000) / 1000.0f;
        support_quantise(CASE[c].type, x, 64, data);
        gguf_begin(&w, 0);
        gguf_tensor(&w, "t", CASE[c].type, 2, dims, data, support_type_size(CASE[c].type, 64));
        gguf_end(&w, &bytes, &len);
        decai_model *m = open_bytes(bytes, len);
        free(bytes);
        decai__tensor_row(decai__model_tensor_at(m, 0), 0, y);
        decai__tensor_row(decai__model_tensor_at(m, 0), 1, y + 32);
        for (int i = 0; i < 64; i++) {
            float d = x[i] - y[i];
            if (!(d <= CASE[c].bound && d >= -CASE[c].bound)) fail_msg("type %u element %d: %g %g", CASE[c].type, i, (double)x[i], (double)y[i]);
        }
        decai_destroy(m);
    }
}

/* By hand: the nibble order and signs of Q4_0, the scale of Q8_0. */
static void blocks_by_hand(void **state)
{
    uint8_t q4[18] = { 0x00, 0x40 }, q8[34] = { 0x00, 0x38 };    /* 2.0 and 0.5 */
    float y[32];
    (void)state;
    q4[2] = 0xf0;
    q4[17] = 0x1a;
    decai__tensor t = { .type = 2, .dims = { 32, 1, 1, 1 }, .elements = 32, .data = q4, .row_size = 18 };
    decai__tensor_row(&t, 0, y);
    assert_true(y[0] == -16.0f && y[16] == 14.0f && y[15] == 4.0f && y[31] == -14.0f);
    q8[2] = 0x80;
    q8[33] = 127;
    t = (decai__tensor){ .type = 8, .dims = { 32, 1, 1, 1 }, .elements = 32, .data = q8, .row_size = 34 };
    decai__tensor_row(&t, 0, y);
    assert_true(y[0] == -64.0f && y[1] == 0.0f && y[31] == 63.5f);
}

static int setup(void **state)
{
    (void)state;
    return decai_context_create(&ctx, NULL);
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden), cmocka_unit_test(layout_does_not_count), cmocka_unit_test(content_counts),
        cmocka_unit_test(chunk_proofs), cmocka_unit_test(chunk_verify_refuses), cmocka_unit_test(metadata_proofs), cmocka_unit_test(a_pool_gives_the_same_root),
        cmocka_unit_test(half_floats), cmocka_unit_test(rows_of_every_type), cmocka_unit_test(blocks_by_hand),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
