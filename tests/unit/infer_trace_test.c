/* The trace of a token, the session's commitments and the single-leaf step must
 * be one and the same computation; faults must travel through all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/infer.h"
#include "support_infer.h"

#define PROMPT 70                  /* more than one KV page */
#define OUTPUT 4

typedef struct fixture {
    decai_context *ctx;
    decai_model *model;
    decai_engine *engine;
    support_llama shape;
} fixture;

static const support_llama SMALL = { .n_vocab = 320, .n_embd = 64, .n_layer = 2, .n_head = 4, .n_head_kv = 2,
    .n_ff = 288, .n_ctx = 128, .type = 8, .tied = 0, .vocab = 1, .seed = 5 };

static void
open_fixture(fixture *f, uint32_t type, int tied)
{
    f->shape = SMALL;
    f->shape.type = type;
    f->shape.tied = tied;
    f->ctx = infer_context(1);
    f->model = infer_model(f->ctx, &f->shape);
    f->engine = infer_engine(f->ctx, f->model, NULL);
    assert_non_null(f->engine);
}

static void
close_fixture(fixture *f)
{
    decai_destroy(f->engine);
    decai_destroy(f->model);
    decai_destroy(f->ctx);
}

/* A finished session with all its nodes; output holds what it sampled. */
static decai_session *
converse(const fixture *f, const decai__fault *fault, int32_t *tokens)
{
    decai_session *s = infer_session(f->engine, f->ctx, "infer.activation_nodes", (int64_t)1,
        "infer.max_tokens", (int64_t)OUTPUT, NULL);
    infer_tokens(tokens, PROMPT, f->shape.n_vocab, 7);
    decai__session_fault(s, fault);
    assert_int_equal(decai_session_add(s, tokens, PROMPT), 0);
    int32_t r, token, n = PROMPT;
    while ((r = decai_session_next(s, &token)) == 1) tokens[n++] = token;
    assert_int_equal(r, 0);
    return s;
}

static decai__trace *
trace_at(const fixture *f, decai_session *s, size_t position, const decai__fault *fault)
{
    const int32_t *tokens;
    size_t count;
    decai__trace *t = NULL;
    decai__draw draw = { .sampler = decai__session_sampler(s) };
    decai__session_tokens(s, &tokens, &count);
    assert_true(position < count);
    assert_int_equal(decai__trace_create(&t, f->engine, tokens, position + 1,
        decai__session_sampled(s, position), &draw, fault), 0);
    return t;
}

/* ---- program ------------------------------------------------------------- */

static void
test_program(void **state)
{
    fixture f;
    (void)state;
    open_fixture(&f, 8, 0);
    const decai__program *p = decai__engine_program(f.engine);

    assert_int_equal(p->nodes, 4 * 2);
    assert_int_equal(p->ops[0].kind, DECAI__OP_EMBED);
    assert_int_equal(p->ops[p->count - 1].kind, DECAI__OP_SAMPLE);
    int32_t node = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        for (int j = 0; j < 2; j++) assert_true(op->in[j] < (int32_t)i);
        if (op->kind == DECAI__OP_QUANT) assert_int_equal(op->node, node++);
        else assert_int_equal(op->node, -1);
        if (op->kind == DECAI__OP_MATMUL || op->kind == DECAI__OP_LOGITS) {
            assert_int_equal(p->ops[op->in[0]].kind, DECAI__OP_QUANT);
            assert_true(op->tensor >= 0);
        }
    }
    assert_int_equal(node, (int32_t)p->nodes + 1);
    /* Derived twice from the model: equal. */
    decai__program *again = NULL;
    assert_int_equal(decai__program_create(&again, f.ctx, f.model, 1), 0);
    assert_int_equal(again->count, p->count);
    assert_memory_equal(again->ops, p->ops, p->count * sizeof *p->ops);
    decai__program_destroy(again);
    close_fixture(&f);
}

/* ---- trace = session ----------------------------------------------------- */

static void
trace_equals_session(uint32_t type, int tied)
{
    fixture f;
    int32_t tokens[PROMPT + OUTPUT];
    open_fixture(&f, type, tied);
    decai_session *s = converse(&f, NULL, tokens);
    static const size_t positions[] = { 0, 1, 63, 64, PROMPT - 1, PROMPT, PROMPT + OUTPUT - 2 };

    assert_int_equal(decai__session_length(s), PROMPT + OUTPUT - 1);
    for (size_t i = 0; i < DECAI__COUNT(positions); i++) {
        size_t at = positions[i];
        uint32_t mine, theirs;
        uint8_t root[32];
        decai__trace *t = trace_at(&f, s, at, NULL);
        const uint8_t *a = decai__trace_nodes(t, &mine), *b = decai__session_nodes(s, at, &theirs);
        assert_int_equal(mine, theirs);
        assert_int_equal(theirs, decai__engine_program(f.engine)->nodes + (at >= PROMPT - 1 ? 2u : 0u));
        assert_memory_equal(a, b, 32 * mine);
        decai__act_token_root(root, a, mine);
        assert_memory_equal(root, decai__session_token_roots(s) + 32 * at, 32);
        if (decai__session_sampled(s, at)) {
            size_t len;
            const int32_t *sampled = decai__trace_output(t, decai__trace_count(t) - 1, &len);
            assert_int_equal(len, 4);
            assert_int_equal(*sampled, tokens[at + 1]);
        }
        decai__trace_destroy(t);
    }
    decai_destroy(s);
    close_fixture(&f);
}

static void test_equal_q8_0(void **state) { (void)state; trace_equals_session(8, 0); }
static void test_equal_q4_0(void **state) { (void)state; trace_equals_session(2, 1); }
static void test_equal_f16(void **state) { (void)state; trace_equals_session(1, 0); }
static void test_equal_f32(void **state) { (void)state; trace_equals_session(0, 1); }
static void test_equal_bf16(void **state) { (void)state; trace_equals_session(30, 0); }

/* ---- leaf = trace -------------------------------------------------------- */

static void
fill_args(const fixture *f, const decai__trace *t, uint32_t ordinal, uint64_t position, uint64_t row, float *column,
    decai__op_args *a)
{
    const decai__program *p = decai__engine_program(f->engine);
    const decai__op *op = &p->ops[ordinal];
    static const decai__sampler greedy = { .top_p_65536 = 65536 };
    static const decai__draw draw = { .sampler = &greedy };

    memset(a, 0, sizeof *a);
    a->draw = &draw;
    for (int j = 0; j < 2; j++)
        if (op->in[j] >= 0) a->in[j] = decai__trace_output(t, (uint32_t)op->in[j], &a->in_len[j]);
    if (op->tensor >= 0) {
        const decai__tensor *w = decai__model_tensor_at(f->model, (size_t)op->tensor);
        size_t r = op->kind == DECAI__OP_NORM || op->kind == DECAI__OP_EMBED ? 0 : (size_t)row;
        a->weight = w->data + r * w->row_size;
        a->weight_len = w->row_size;
        a->weight_type = (int32_t)w->type;
    }
    const decai__shape *h = &p->shape;
    uint32_t group = h->heads / h->kv_heads;
    if (op->kind == DECAI__OP_SCORE) {
        a->kv = decai__trace_k(t, (uint32_t)op->layer) + row % (position + 1) * h->kv_dim;
        a->kv_len = h->kv_dim;
    }
    if (op->kind == DECAI__OP_MIX) {
        size_t element = row / h->head_dim / group * h->head_dim + row % h->head_dim;
        for (size_t i = 0; i <= position; i++)
            column[i] = decai__trace_v(t, (uint32_t)op->layer)[i * h->kv_dim + element];
        a->kv = column;
        a->kv_len = (size_t)position + 1;
    }
}

static void
check_row(const fixture *f, const decai__trace *t, uint32_t i, uint64_t position, uint64_t row, int32_t token)
{
    const decai__program *p = decai__engine_program(f->engine);
    const decai__op *op = &p->ops[i];
    float column[PROMPT + OUTPUT], value, part;
    decai__op_args a;
    int64_t sum, total = 0, leaf_sum;
    size_t len;

    fill_args(f, t, i, position, row, column, &a);
    if (op->kind == DECAI__OP_EMBED) a.weight += (size_t)token * a.weight_len;
    const uint8_t *out = decai__trace_output(t, i, &len);
    assert_int_equal(decai__op_leaf(f->ctx, p, i, position, row, DECAI__WHOLE_ROW, &a, &sum, &value), 0);
    if (op->kind == DECAI__OP_SAMPLE) {
        assert_int_equal(sum, *(const int32_t *)(const void *)out);
        return;
    }
    assert_memory_equal(&value, out + 4 * row, 4);
    if (op->kind != DECAI__OP_MATMUL && op->kind != DECAI__OP_LOGITS) return;

    /* Leaves add up to the row. */
    float joined = 0.0f;
    for (uint32_t leaf = 0; leaf < decai__op_leaves(p, i); leaf++) {
        assert_int_equal(decai__op_leaf(f->ctx, p, i, position, row, leaf, &a, &leaf_sum, &part), 0);
        total += leaf_sum;
        joined = decai__leaf_join(joined, part);
    }
    if (decai__trace_sums(t, i)) {
        assert_true(total == sum && sum == decai__trace_sums(t, i)[row]);
        assert_int_equal(decai__sum_result(&part, total, p, i, &a), 0);
        assert_memory_equal(&part, &value, 4);
    } else {
        assert_memory_equal(&joined, &value, 4);
    }
}

static void
leaf_equals_trace(uint32_t type)
{
    fixture f;
    int32_t tokens[PROMPT + OUTPUT];
    open_fixture(&f, type, 0);
    const decai__program *p = decai__engine_program(f.engine);
    decai_session *s = converse(&f, NULL, tokens);
    static const size_t positions[] = { 0, 65, PROMPT };

    for (size_t n = 0; n < 3; n++) {
        size_t at = positions[n], len;
        decai__trace *t = trace_at(&f, s, at, NULL);
        for (uint32_t i = 0; i < decai__trace_count(t); i++) {
            const decai__op *op = &p->ops[i];
            uint64_t rows = decai__op_rows(p, i, at);
            const uint8_t *out = decai__trace_output(t, i, &len);
            assert_int_equal(len, rows * op->row_bytes);
            if (op->kind == DECAI__OP_QUANT) {
                uint8_t *again = malloc(len);
                size_t in_len;
                assert_int_equal(decai__quant_leaf(op, decai__trace_output(t, (uint32_t)op->in[0], &in_len), again), 0);
                assert_memory_equal(again, out, len);
                free(again);
                continue;
            }
            for (uint64_t row = 0; row < rows; row += 1 + rows / 7) check_row(&f, t, i, at, row, tokens[at]);
            check_row(&f, t, i, at, rows - 1, tokens[at]);
        }
        decai__trace_destroy(t);
    }
    decai_destroy(s);
    close_fixture(&f);
}

static void test_leaf_q8_0(void **state) { (void)state; leaf_equals_trace(8); }
static void test_leaf_q4_0(void **state) { (void)state; leaf_equals_trace(2); }
static void test_leaf_f16(void **state) { (void)state; leaf_equals_trace(1); }

static void
test_leaf_refuses(void **state)
{
    fixture f;
    int32_t tokens[PROMPT + OUTPUT];
    float column[PROMPT + OUTPUT], value;
    decai__op_args a;
    int64_t sum;
    (void)state;
    open_fixture(&f, 8, 0);
    const decai__program *p = decai__engine_program(f.engine);
    decai_session *s = converse(&f, NULL, tokens);
    decai__trace *t = trace_at(&f, s, PROMPT, NULL);

    for (uint32_t i = 0; i < p->count; i++) {
        if (p->ops[i].kind == DECAI__OP_QUANT) continue;
        uint64_t rows = decai__op_rows(p, i, PROMPT);
        fill_args(&f, t, i, PROMPT, 0, column, &a);
        assert_int_equal(decai__op_leaf(f.ctx, p, i, PROMPT, rows, DECAI__WHOLE_ROW, &a, &sum, &value), DECAI_E_INVALID);
        assert_int_equal(decai__op_leaf(f.ctx, p, i, PROMPT, 0, decai__op_leaves(p, i), &a, &sum, &value), DECAI_E_INVALID);
        if (a.in[0]) {
            a.in_len[0] -= 1;
            assert_int_equal(decai__op_leaf(f.ctx, p, i, PROMPT, 0, DECAI__WHOLE_ROW, &a, &sum, &value), DECAI_E_CORRUPT);
            a.in_len[0] += 1;
        }
        if (a.weight) {
            a.weight_len -= 1;
            assert_int_equal(decai__op_leaf(f.ctx, p, i, PROMPT, 0, DECAI__WHOLE_ROW, &a, &sum, &value), DECAI_E_CORRUPT);
            a.weight_len += 1;
            a.weight_type = 77;
            assert_int_equal(decai__op_leaf(f.ctx, p, i, PROMPT, 0, DECAI__WHOLE_ROW, &a, &sum, &value), DECAI_E_CORRUPT);
        }
        if (a.kv) {
            a.kv_len -= 1;
            assert_int_equal(decai__op_leaf(f.ctx, p, i, PROMPT, 0, DECAI__WHOLE_ROW, &a, &sum, &value), DECAI_E_CORRUPT);
        }
    }
    assert_int_equal(decai__op_leaf(f.ctx, p, p->count, 0, 0, 0, &a, &sum, &value), DECAI_E_INVALID);
    decai__trace_destroy(t);
    decai_destroy(s);
    close_fixture(&f);
}

/* ---- faults -------------------------------------------------------------- */

/* One large fault in each op of the program: session and trace agree on every
 * committed node, and the trace first differs at the op that was changed. */
static void
test_faults(void **state)
{
    fixture f;
    int32_t tokens[PROMPT + OUTPUT], changed[PROMPT + OUTPUT];
    uint8_t honest[32], root[32];
    uint32_t same = 0;
    (void)state;
    open_fixture(&f, 8, 0);
    const decai__program *p = decai__engine_program(f.engine);
    decai_session *s = converse(&f, NULL, tokens);
    assert_int_equal(decai_session_root_get(s, honest, 32), 0);

    for (uint32_t i = 0; i < p->count; i++) {
        decai__fault fault = { .position = PROMPT, .op = i, .row = 3, .delta = i % 2 ? 900 : -900 };
        const decai__op *op = &p->ops[i];
        if (op->kind == DECAI__OP_MATMUL || op->kind == DECAI__OP_LOGITS) fault.delta *= INT64_C(1) << 34;
        decai_session *c = converse(&f, &fault, changed);
        assert_int_equal(decai_session_root_get(c, root, 32), 0);
        if (!memcmp(root, honest, 32)) {
            print_message("without effect: op %u, %s\n", i, decai__op_name(op->kind));
            same++;
        }

        decai__trace *a = trace_at(&f, s, PROMPT, NULL), *b = trace_at(&f, c, PROMPT, &fault);
        uint32_t na, nb;
        const uint8_t *nodes = decai__trace_nodes(b, &na), *kept = decai__session_nodes(c, PROMPT, &nb);
        assert_int_equal(na, nb);
        assert_memory_equal(nodes, kept, 32 * na);
        for (uint32_t j = 0; j <= i; j++) {
            size_t len;
            const void *x = decai__trace_output(a, j, &len), *y = decai__trace_output(b, j, &len);
            if (tokens[PROMPT] == changed[PROMPT]) assert_int_equal(memcmp(x, y, len) != 0, j == i);
        }
        decai__trace_destroy(a);
        decai__trace_destroy(b);
        decai_destroy(c);
    }
    /* The last token sampled is the only one that nothing is computed from. */
    assert_true(same <= p->count / 10);
    decai_destroy(s);
    close_fixture(&f);
}

/* A fault in the prompt, inside a batch: later positions see its cache rows. */
static void
test_fault_in_batch(void **state)
{
    fixture f;
    int32_t tokens[PROMPT + OUTPUT];
    (void)state;
    open_fixture(&f, 8, 0);
    const decai__program *p = decai__engine_program(f.engine);
    uint32_t kv = 0;
    while (p->ops[kv].kind != DECAI__OP_KV) kv++;
    decai__fault fault = { .position = 20, .op = kv, .row = 1, .delta = 2000 };
    decai_session *s = converse(&f, NULL, tokens), *c = converse(&f, &fault, tokens);
    const uint8_t *a = decai__session_token_roots(s), *b = decai__session_token_roots(c);

    assert_memory_equal(a, b, 32 * 20);
    assert_memory_not_equal(a + 32 * 20, b + 32 * 20, 32);
    for (size_t at = 19; at < 24; at++) {
        uint32_t n, m;
        decai__trace *t = trace_at(&f, c, at, &fault);
        const uint8_t *x = decai__trace_nodes(t, &n), *y = decai__session_nodes(c, at, &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, 32 * n);
        decai__trace_destroy(t);
    }
    decai_destroy(s);
    decai_destroy(c);
    close_fixture(&f);
}

static int32_t
count_ops(void *user, const decai__program *p, uint32_t ordinal, const void *data, size_t len, const int64_t *sums)
{
    uint32_t *n = user;
    assert_true(ordinal == *n && ordinal < p->count && data && len);
    (void)sums;
    return ++*n == 5 ? DECAI_E_CANCELLED : 0;
}

static void
test_walk_and_limits(void **state)
{
    fixture f;
    int32_t tokens[130];
    uint32_t n = 0;
    decai__trace *t = NULL;
    (void)state;
    open_fixture(&f, 8, 0);
    infer_tokens(tokens, 130, 320, 1);
    assert_int_equal(decai__trace_token(f.engine, tokens, 3, true, NULL, NULL, count_ops, &n), DECAI_E_CANCELLED);
    assert_int_equal(n, 5);
    assert_int_equal(decai__trace_create(&t, f.engine, tokens, 0, false, NULL, NULL), DECAI_E_LIMIT);
    assert_int_equal(decai__trace_create(&t, f.engine, tokens, 129, false, NULL, NULL), DECAI_E_LIMIT);
    assert_int_equal(decai__trace_create(&t, f.engine, tokens, 128, false, NULL, NULL), 0);
    decai__trace_destroy(t);
    tokens[1] = 320;
    assert_int_equal(decai__trace_create(&t, f.engine, tokens, 4, false, NULL, NULL), DECAI_E_INVALID);
    decai__trace_destroy(NULL);
    close_fixture(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program), cmocka_unit_test(test_equal_q8_0), cmocka_unit_test(test_equal_q4_0),
        cmocka_unit_test(test_equal_f16), cmocka_unit_test(test_equal_f32), cmocka_unit_test(test_equal_bf16),
        cmocka_unit_test(test_leaf_q8_0), cmocka_unit_test(test_leaf_q4_0), cmocka_unit_test(test_leaf_f16),
        cmocka_unit_test(test_leaf_refuses), cmocka_unit_test(test_faults), cmocka_unit_test(test_fault_in_batch),
        cmocka_unit_test(test_walk_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
