/* Corners that the plain synthetic model does not reach: products of different
 * weight types behind one activation node, no grouping of heads, partial and
 * NeoX rotation, and a cancel in the middle of a long prompt. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/engine.h"
#include "support_infer.h"

enum { VOCAB = 96, DIM = 96, FFN = 288, HEADS = 3 };

static void
tensor(gguf_writer *w, const char *name, uint32_t type, uint64_t cols, uint64_t rows)
{
    uint64_t dims[2] = { cols, rows }, seed = strlen(name) * 131 + (uint64_t)name[4];
    size_t n = (size_t)(cols * rows), size = support_type_size(type, n);
    float *x = malloc(n * sizeof *x);
    uint8_t *data = malloc(size);
    for (size_t i = 0; i < n; i++) x[i] = rows > 1 ? (float)(support_rand(&seed) % 2001) / 1000.0f * 0.15f - 0.15f : 1.0f;
    support_quantise(type, x, n, data);
    (void)gguf_tensor(w, name, type, rows > 1 ? 2 : 1, dims, data, size);
    free(x);
    free(data);
}

/* One layer, every matrix of another type, rot_dim below head_dim. */
static decai_model *
mixed_model(decai_context *ctx)
{
    decai_model *model = NULL;
    gguf_writer w;
    uint8_t *bytes;
    size_t len;

    gguf_begin(&w, 32);
    gguf_str(&w, "general.architecture", "llama");
    gguf_u32(&w, "llama.block_count", 1);
    gguf_u32(&w, "llama.embedding_length", DIM);
    gguf_u32(&w, "llama.feed_forward_length", FFN);
    gguf_u32(&w, "llama.attention.head_count", HEADS);
    gguf_u32(&w, "llama.context_length", 200);
    gguf_u32(&w, "llama.rope.dimension_count", 20);
    gguf_f32(&w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    tensor(&w, "token_embd.weight", 2, DIM, VOCAB);
    tensor(&w, "output_norm.weight", 0, DIM, 1);
    tensor(&w, "output.weight", 1, DIM, VOCAB);
    tensor(&w, "blk.0.attn_norm.weight", 0, DIM, 1);
    tensor(&w, "blk.0.attn_q.weight", 8, DIM, DIM);
    tensor(&w, "blk.0.attn_k.weight", 0, DIM, DIM);
    tensor(&w, "blk.0.attn_v.weight", 1, DIM, DIM);
    tensor(&w, "blk.0.attn_output.weight", 2, DIM, DIM);
    tensor(&w, "blk.0.ffn_norm.weight", 1, DIM, 1);
    tensor(&w, "blk.0.ffn_gate.weight", 30, DIM, FFN);
    tensor(&w, "blk.0.ffn_up.weight", 8, DIM, FFN);
    tensor(&w, "blk.0.ffn_down.weight", 0, FFN, DIM);
    gguf_end(&w, &bytes, &len);
    assert_int_equal(decai_model_open(&model, ctx, bytes, len, NULL), 0);
    free(bytes);
    return model;
}

static void
test_mixed_types(void **state)
{
    static const char *const backends[] = { "scalar", "native" };
    uint8_t root[2][32];
    int32_t tokens[80], token;
    (void)state;
    infer_tokens(tokens, 80, VOCAB, 1);
    for (int b = 0; b < 2; b++) {
        decai_context *ctx = infer_context(b);
        decai_model *model = mixed_model(ctx);
        decai_engine *e = infer_engine(ctx, model, &(infer_setup){ .backend = backends[b], .batch = b ? 7 : 64 });
        decai_session *s = infer_session(e, ctx, "infer.activation_nodes", (int64_t)1, NULL);
        assert_non_null(e);
        assert_int_equal(e->program->ops[2].forms, DECAI__FORM_ACT | DECAI__FORM_F32);
        assert_int_equal(decai_session_add(s, tokens, 70), 0);
        assert_int_equal(decai_session_next(s, &token), 1);
        assert_int_equal(decai_session_root_get(s, root[b], 32), 0);
        for (size_t at = 0; at < 70; at += 23) {
            decai__trace *t = NULL;
            uint32_t n, m;
            assert_int_equal(decai__trace_create(&t, e, tokens, at + 1, at == 69, NULL, NULL), 0);
            const uint8_t *x = decai__trace_nodes(t, &n), *y = decai__session_nodes(s, at, &m);
            assert_int_equal(n, m);
            assert_memory_equal(x, y, 32 * n);
            decai__trace_destroy(t);
        }
        decai_destroy(s);
        decai_destroy(e);
        decai_destroy(model);
        decai_destroy(ctx);
    }
    assert_memory_equal(root[0], root[1], 32);
}

/* leaf.c and step.c against compute's own op, in both pairings. */
static void
test_rope_pairings(void **state)
{
    decai_context *ctx = infer_context(0);
    decai_model *model = mixed_model(ctx);
    decai__program *p = NULL;
    decai__compute *c = NULL;
    decai__tbuf *buf = NULL, *table = NULL;
    float x[DIM], want[DIM], got;
    uint64_t seed = 4;
    (void)state;

    assert_int_equal(decai__program_create(&p, ctx, model, 1), 0);
    assert_int_equal(decai__compute_create_native(&c, ctx, NULL), 0);
    const decai__rope_spec spec = p->rope[0];
    assert_int_equal(decai__rope_table_create(&table, c, 100, &spec), 0);
    assert_int_equal(decai__tbuf_create(&buf, c, sizeof x), 0);
    uint32_t rope = 0;
    while (p->ops[rope].kind != DECAI__OP_ROPE) rope++;
    for (int i = 0; i < DIM; i++) x[i] = (float)(support_rand(&seed) % 1000) / 500.0f - 1.0f;
    for (int neox = 0; neox < 2; neox++) {
        decai__rope a = { .n = 1, .heads = HEADS, .head_dim = 32, .rot_dim = 20, .pos = 99, .neox = neox };
        decai__op_args args = { .in = { x, NULL }, .in_len = { sizeof x, 0 } };
        int64_t sum;
        p->shape.neox = neox;
        assert_int_equal(decai__tbuf_write(buf, 0, x, sizeof x), 0);
        assert_int_equal(decai__op_rope(c, DECAI__REF(buf), table, &a), 0);
        assert_int_equal(decai__tbuf_read(buf, 0, want, sizeof want), 0);
        for (uint32_t row = 0; row < DIM; row++) {
            assert_int_equal(decai__op_leaf(ctx, p, rope, 99, row, DECAI__WHOLE_ROW, &args, &sum, &got), 0);
            assert_memory_equal(&got, &want[row], 4);
        }
    }
    decai__tbuf_destroy(buf);
    decai__tbuf_destroy(table);
    decai__compute_destroy(c);
    decai__program_destroy(p);
    decai_destroy(model);
    decai_destroy(ctx);
}

typedef struct watcher { decai_session *s; atomic_int go; } watcher;

static void *
stop_when_busy(void *user)
{
    watcher *w = user;
    while (!atomic_load(&w->go)) { }
    while (!atomic_load(&w->s->h.busy)) { }
    assert_int_equal(decai_session_cancel(w->s), 0);
    return NULL;
}

/* Batches of one token and 190 of them: the cancel comes while add is inside. */
static void
test_cancel_inside(void **state)
{
    decai_context *ctx = infer_context(0);
    decai_model *model = mixed_model(ctx);
    decai_engine *e = infer_engine(ctx, model, &(infer_setup){ .backend = "scalar", .batch = 1 });
    int32_t tokens[190], token;
    uint8_t root[32];
    uint64_t in, out, in_ns, out_ns;
    int stopped = 0;
    (void)state;
    infer_tokens(tokens, 190, VOCAB, 3);
    for (int round = 0; round < 20; round++) {
        watcher w = { .s = infer_session(e, ctx, "infer.activation_tree", (int64_t)1, NULL) };
        pthread_t thread;
        atomic_init(&w.go, 0);
        assert_int_equal(pthread_create(&thread, NULL, stop_when_busy, &w), 0);
        atomic_store(&w.go, 1);
        int32_t r = decai_session_add(w.s, tokens, 190);
        if (r == 0) {
            /* The thread slept through it: keep it from waiting for ever. */
            atomic_store(&w.s->h.busy, 1);
            pthread_join(thread, NULL);
            atomic_store(&w.s->h.busy, 0);
        } else {
            pthread_join(thread, NULL);
            assert_int_equal(r, DECAI_E_CANCELLED);
            stopped++;
            assert_int_equal(decai_session_count(w.s, &in, &out, &in_ns, &out_ns), 0);
            assert_true(in == 0 && decai__session_length(w.s) < 190);
            assert_int_equal(decai_session_root_get(w.s, root, 32), DECAI_E_STATE);
        }
        assert_int_equal(decai_session_next(w.s, &token), DECAI_E_CANCELLED);
        assert_int_equal(decai_session_start(w.s), 0);
        assert_int_equal(decai_session_add(w.s, tokens, 3), 0);
        assert_int_equal(decai_session_next(w.s, &token), 1);
        decai_destroy(w.s);
    }
    print_message("cancelled inside a prompt: %d of 20\n", stopped);
    assert_true(stopped > 0);
    decai_destroy(e);
    decai_destroy(model);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed_types), cmocka_unit_test(test_rope_pairings), cmocka_unit_test(test_cancel_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
