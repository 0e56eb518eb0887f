/* Every architecture and every tensor type: one set of bits on every backend, and
 * a session, its trace and the single-leaf step that say the same.
 *
 * The models are synthetic (support_synth.h), with windows that a prompt runs
 * beyond. By default each architecture and each type is seen once or twice;
 * DECAI_DEEP=1 crosses all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/infer.h"
#include "support_infer.h"
#include "support_synth.h"

#define PROMPT 130                 /* beyond two pages and the window of 100 */
#define OUTPUT 3
#define SEQUENCES 5

typedef struct setup {
    const char *backend;
    int64_t threads, batch, page;  /* page: where the prompt is cut in two, in 130ths */
    const char *kv_type, *activation;
} setup;

static decai_model *
open_model(decai_context *ctx, const char *flavour, uint32_t type)
{
    synth_spec s;
    uint8_t *bytes;
    size_t len;
    decai_model *model = NULL;
    assert_int_equal(synth_defaults(&s, flavour, type, "tiny"), 0);
    synth_memory(&s, &bytes, &len);
    assert_int_equal(decai_model_open(&model, ctx, bytes, len, NULL), 0);
    free(bytes);
    return model;
}

/* NULL: this backend is not here. */
static decai_engine *
open_engine(decai_context *ctx, decai_model *model, const setup *u)
{
    decai_options *o = NULL;
    decai_engine *engine = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", u->backend), 0);
    assert_int_equal(decai_options_set_i64(o, "compute.fallback", 0), 0);
    if (u->batch) assert_int_equal(decai_options_set_i64(o, "infer.batch", u->batch), 0);
    if (u->kv_type) assert_int_equal(decai_options_set_str(o, "infer.kv_type", u->kv_type), 0);
    if (u->activation) assert_int_equal(decai_options_set_str(o, "infer.activation", u->activation), 0);
    int32_t r = decai_engine_create(&engine, model, o);
    if (r) print_message("%s: %s: %s\n", u->backend, decai_error_name(r), decai_error_detail());
    assert_true(r == 0 || (r == DECAI_E_DEVICE && !strcmp(u->backend, "opencl")));
    decai_destroy(o);
    return engine;
}

/* Vectors of several sequences of all lengths, hashed. */
static void
encode_hash(uint8_t out[32], decai_engine *engine, uint32_t vocab)
{
    static const uint32_t lengths[SEQUENCES] = { 1, 64, 7, 65, 30 };
    uint32_t dim = decai__engine_program(engine)->shape.dim;
    int32_t tokens[256];
    float *vectors = malloc(SEQUENCES * dim * sizeof *vectors);
    size_t count = 0, len;
    for (int i = 0; i < SEQUENCES; i++) count += lengths[i];
    infer_tokens(tokens, count, vocab, 9);
    assert_int_equal(decai_engine_encode(engine, vectors, SEQUENCES * dim, &len, tokens, count, lengths, SEQUENCES,
        DECAI_EMBED_NORMALISE), 0);
    assert_int_equal(decai_hash_keccak256(out, 32, (uint8_t *)vectors, len * sizeof *vectors), 0);
    free(vectors);
}

static void
session_hash(uint8_t out[32], decai_engine *engine, decai_context *ctx, uint32_t vocab, int64_t prompt, int64_t page)
{
    int32_t tokens[PROMPT], token;
    decai_session *s = infer_session(engine, ctx, "infer.logits_all", (int64_t)1, "infer.ignore_end", (int64_t)1,
        "infer.max_tokens", (int64_t)OUTPUT, NULL);
    infer_tokens(tokens, (size_t)prompt, vocab, 7);
    page = page * prompt / PROMPT;
    if (page) assert_int_equal(decai_session_add(s, tokens, (size_t)page), 0);
    assert_int_equal(decai_session_add(s, tokens + page, (size_t)(prompt - page)), 0);
    while (decai_session_next(s, &token) == 1) continue;
    assert_int_equal(decai_session_hash_get(s, out, 32), 0);
    decai_destroy(s);
}

/* False: this backend is not here. */
static bool
hash_of(uint8_t out[32], const char *flavour, uint32_t type, int64_t prompt, const setup *u)
{
    decai_context *ctx = infer_context(u->threads - 1);
    decai_model *model = open_model(ctx, flavour, type);
    decai_engine *engine = open_engine(ctx, model, u);
    if (engine) {
        const decai__program *p = decai__engine_program(engine);
        if (p->encoder) encode_hash(out, engine, p->shape.vocab);
        else session_hash(out, engine, ctx, p->shape.vocab, prompt, u->page);
    }
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(ctx);
    return engine != NULL;
}

static bool
deep(void)
{
    return getenv("DECAI_DEEP") != NULL;
}

/* The committed hash of a flavour's Q8_0 model: version 1 of the contract stays. A
 * line of tests/golden/infer_arch.txt: flavour, hash. */
static void
check_golden(const char *flavour, const char *hash)
{
    char name[32], want[65];
    bool found = false;
    FILE *f = fopen("tests/golden/infer_arch.txt", "r");
    assert_non_null(f);
    while (!found && fscanf(f, "%31s %64s", name, want) == 2) found = !strcmp(name, flavour);
    fclose(f);
    if (!found || strcmp(want, hash)) print_message("%s %s\n", flavour, hash);
    assert_true(found);
    assert_string_equal(hash, want);
}

/* The scalar backend's hash, and everybody else's. */
static void
one_hash(const char *flavour, uint32_t type, int64_t prompt, const char *kv_type, const char *activation)
{
    static const setup others[] = { { "native", 3, 7, 65, 0, 0 }, { "opencl", 2, 64, 0, 0, 0 }, { "native", 1, 64, 0, 0, 0 },
        { "native", 2, 1, 1, 0, 0 }, { "scalar", 2, 512, 129, 0, 0 }, { "opencl", 1, 7, 64, 0, 0 } };
    static int turn;               /* OpenCL takes its time to begin: every third one sees it, if not deep */
    setup u = { "scalar", 2, 64, 0, kv_type, activation };
    uint8_t want[32], got[32];
    char a[65], b[65];

    assert_true(hash_of(want, flavour, type, prompt, &u));
    infer_hex(a, want);
    if (type == 8 && prompt == PROMPT && !kv_type) check_golden(flavour, a);
    size_t count = deep() ? 6 : turn++ % 3 ? 1 : 2;
    for (size_t i = 0; i < count; i++) {
        u = others[i];
        u.kv_type = kv_type;
        u.activation = activation;
        if (!hash_of(got, flavour, type, prompt, &u)) continue;
        infer_hex(b, got);
        if (strcmp(a, b))
            print_message("%s %s %s: threads %d batch %d differs\n", flavour, synth_type_name(type), u.backend,
                (int)u.threads, (int)u.batch);
        assert_string_equal(a, b);
    }
}

static void
test_architectures(void **state)
{
    (void)state;
    for (size_t f = 0; synth_flavours[f]; f++) one_hash(synth_flavours[f], 8, PROMPT, NULL, NULL);
}

static void
test_types(void **state)
{
    (void)state;
    for (size_t t = 0; synth_types[t] != UINT32_MAX; t++)
        for (size_t f = 0; synth_flavours[f]; f++)
            if (deep() || f == t % 3) one_hash(synth_flavours[f], synth_types[t], deep() ? PROMPT : 12, NULL, NULL);
}

/* Contract numbers 2, 3 and 4 are computations of their own. */
static void
test_contracts(void **state)
{
    uint8_t hash[4][32];
    (void)state;
    for (int n = 0; n < 4; n++) {
        const char *kv = n & 1 ? "q8_0" : "f16", *activation = n & 2 ? "two_level" : "one_level";
        for (size_t f = 0; synth_flavours[f]; f++)
            if (n && (deep() || !strcmp(synth_flavours[f], "gemma2")))
                one_hash(synth_flavours[f], SYNTH_Q4_K_M, deep() ? PROMPT : 20, kv, activation);
        assert_true(hash_of(hash[n], "llama", SYNTH_Q4_K_M, 12, &(setup){ "native", 2, 64, 0, kv, activation }));
        for (int m = 0; m < n; m++) assert_memory_not_equal(hash[m], hash[n], 32);
    }
}

/* ---- session = trace = leaf ------------------------------------------------------------- */

typedef struct fixture {
    decai_context *ctx;
    decai_model *model;
    decai_engine *engine;
    const decai__program *p;
    decai__trace *t;
    size_t position;
    int32_t token;
} fixture;

static void
vector_args(const fixture *f, int32_t tensor, const uint8_t **data, size_t *len, int32_t *type)
{
    const decai__tensor *w = decai__model_tensor_at(f->model, (size_t)tensor);
    *data = w->data;
    *len = w->size;
    *type = (int32_t)w->type;
}

static void
fill_args(const fixture *f, uint32_t i, uint64_t row, float *column, decai__op_args *a)
{
    static const decai__sampler greedy = { .top_p_65536 = 65536 };
    static const decai__draw draw = { .sampler = &greedy };
    const decai__op *op = &f->p->ops[i];
    const decai__shape *h = &f->p->shape;
    decai__weight_rows w;

    *a = (decai__op_args){ .draw = &draw };
    for (int j = 0; j < 3; j++)
        if (op->in[j] >= 0) a->in[j] = decai__trace_output(f->t, (uint32_t)op->in[j], &a->in_len[j]);
    if (op->tensor >= 0) {
        vector_args(f, op->tensor, &a->weight, &a->weight_len, &a->weight_type);
        assert_int_equal(decai__op_weight(&w, f->p, i, row, f->position, f->token, a->in[1], a->in_len[1]), 0);
        if (op->kind != DECAI__OP_NORM && op->kind != DECAI__OP_BIAS) {
            a->weight_len = decai__model_tensor_at(f->model, (size_t)op->tensor)->row_size;
            a->weight += w.row * a->weight_len;
        }
    }
    if (op->extra >= 0) vector_args(f, op->extra, &a->extra, &a->extra_len, &a->extra_type);
    uint64_t first = decai__op_first(op, f->position), visible = decai__op_visible(op, f->position);
    if (op->kind == DECAI__OP_SCORE) {
        a->kv = decai__trace_k(f->t, (uint32_t)op->layer) + (first + row % visible) * h->kv_dim;
        a->kv_len = h->kv_dim;
    }
    if (op->kind == DECAI__OP_MIX) {
        size_t at = row / h->head_dim / (h->heads / h->kv_heads) * h->head_dim + row % h->head_dim;
        for (size_t k = 0; k < visible; k++)
            column[k] = decai__trace_v(f->t, (uint32_t)op->layer)[(first + k) * h->kv_dim + at];
        a->kv = column;
        a->kv_len = (size_t)visible;
    }
}

static void
check_row(const fixture *f, uint32_t i, uint64_t row)
{
    const decai__op *op = &f->p->ops[i];
    float column[PROMPT + OUTPUT], value;
    int64_t sum, total = 0, part;
    decai__op_args a;
    size_t len;
    const uint8_t *out = decai__trace_output(f->t, i, &len);
    int32_t whole;

    fill_args(f, i, row, column, &a);
    assert_int_equal(decai__op_leaf(f->ctx, f->p, i, f->position, row, DECAI__WHOLE_ROW, &a, &sum, &value), 0);
    if (op->kind == DECAI__OP_SAMPLE || op->kind == DECAI__OP_ROUTE) {
        memcpy(&whole, out + op->row_bytes * row, 4);
        assert_int_equal(sum, whole);
        if (op->kind == DECAI__OP_SAMPLE) return;
        out += 4;
    }
    assert_memory_equal(&value, out + op->row_bytes * row, 4);
    if (!decai__trace_sums(f->t, i)) return;
    for (uint32_t leaf = 0; leaf < decai__op_leaves(f->p, i); leaf++) {
        assert_int_equal(decai__op_leaf(f->ctx, f->p, i, f->position, row, leaf, &a, &part, &value), 0);
        total += part;
    }
    assert_true(total == sum && sum == decai__trace_sums(f->t, i)[row]);
}

static void
check_trace(fixture *f)
{
    for (uint32_t i = 0; i < decai__trace_count(f->t); i++) {
        const decai__op *op = &f->p->ops[i];
        uint64_t rows = decai__op_rows(f->p, i, f->position);
        size_t len, in_len;
        const uint8_t *out = decai__trace_output(f->t, i, &len);
        assert_int_equal(len, rows * op->row_bytes);
        if (op->kind == DECAI__OP_QUANT) {
            uint8_t *again = malloc(len);
            assert_int_equal(decai__quant_leaf(op, decai__trace_output(f->t, (uint32_t)op->in[0], &in_len), again), 0);
            assert_memory_equal(again, out, len);
            free(again);
            continue;
        }
        for (uint64_t row = 0; row < rows; row += 1 + rows / 5) check_row(f, i, row);
        check_row(f, i, rows - 1);
    }
}

static void
one_trace(const char *flavour, uint32_t type, const char *kv_type)
{
    static const size_t positions[] = { 0, 64, PROMPT - 1, PROMPT };
    fixture f = { .ctx = infer_context(1) };
    int32_t prompt[PROMPT], token;
    const int32_t *tokens;
    size_t count;
    f.model = open_model(f.ctx, flavour, type);
    f.engine = open_engine(f.ctx, f.model, &(setup){ "native", 2, 0, 0, kv_type, NULL });
    f.p = decai__engine_program(f.engine);
    decai_session *s = infer_session(f.engine, f.ctx, "infer.activation_nodes", (int64_t)1, "infer.max_tokens",
        (int64_t)OUTPUT, "infer.ignore_end", (int64_t)1, NULL);
    infer_tokens(prompt, PROMPT, f.p->shape.vocab, 7);
    assert_int_equal(decai_session_add(s, prompt, PROMPT), 0);
    while (decai_session_next(s, &token) == 1) continue;
    decai__session_tokens(s, &tokens, &count);
    for (size_t i = 0; i < DECAI__COUNT(positions); i++) {
        uint32_t mine, theirs;
        f.position = positions[i];
        f.token = tokens[f.position];
        assert_int_equal(decai__trace_create(&f.t, f.engine, tokens, f.position + 1,
            decai__session_sampled(s, f.position), NULL, NULL), 0);
        const uint8_t *a = decai__trace_nodes(f.t, &mine), *b = decai__session_nodes(s, f.position, &theirs);
        assert_int_equal(mine, theirs);
        if (memcmp(a, b, 32 * mine)) print_message("%s: position %zu\n", flavour, f.position);
        assert_memory_equal(a, b, 32 * mine);
        check_trace(&f);
        decai__trace_destroy(f.t);
    }
    decai_destroy(s);
    decai_destroy(f.engine);
    decai_destroy(f.model);
    decai_destroy(f.ctx);
}

static void
test_traces(void **state)
{
    (void)state;
    for (size_t f = 0; synth_flavours[f]; f++) {
        if (strstr(synth_flavours[f], "bert")) continue;
        one_trace(synth_flavours[f], f % 5 == 1 ? SYNTH_Q4_K_M : 8, f % 3 ? "f16" : "q8_0");
        for (size_t t = 0; deep() && synth_types[t] != UINT32_MAX; t++) one_trace(synth_flavours[f], synth_types[t], "f16");
    }
}

/* ---- limits ------------------------------------------------------------------------------- */

static int32_t
engine_of(decai_context *ctx, const synth_spec *s, int64_t context, const char *kv_type, decai_engine **out)
{
    uint8_t *bytes;
    size_t len;
    decai_model *model = NULL;
    decai_options *o = NULL;
    synth_memory(s, &bytes, &len);
    assert_int_equal(decai_model_open(&model, ctx, bytes, len, NULL), 0);
    free(bytes);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    if (context) assert_int_equal(decai_options_set_i64(o, "infer.context", context), 0);
    if (kv_type) assert_int_equal(decai_options_set_str(o, "infer.kv_type", kv_type), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.batch", DECAI_BATCH_MAX), 0);
    int32_t r = decai_engine_create(out, model, o);
    decai_destroy(o);
    decai_destroy(model);
    return r;
}

/* Experts of a router, experts used: at the limit, and one above. */
static void
test_expert_limits(void **state)
{
    static const struct { uint32_t experts, used; int32_t result; } rows[] = {
        { DECAI__EXPERTS_MAX - 1, 2, 0 }, { DECAI__EXPERTS_MAX, 2, 0 }, { DECAI__EXPERTS_MAX + 1, 2, DECAI_E_LIMIT },
        { 65, DECAI__USED_MAX - 1, 0 }, { 65, DECAI__USED_MAX, 0 }, { 65, DECAI__USED_MAX + 1, DECAI_E_LIMIT },
        { 4, 5, DECAI_E_CORRUPT }, { 4, 0, DECAI_E_CORRUPT },
    };
    decai_context *ctx = infer_context(0);
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(rows); i++) {
        synth_spec s;
        decai_engine *engine = NULL;
        assert_int_equal(synth_defaults(&s, "qwen3moe", 8, "micro"), 0);
        s.experts = rows[i].experts;
        s.used = rows[i].used;
        assert_int_equal(engine_of(ctx, &s, 0, NULL, &engine), rows[i].result);
        if (rows[i].result) assert_non_null(strstr(decai_error_detail(), "expert_"));
        decai_destroy(engine);
    }
    decai_destroy(ctx);
}

/* A context as long as there can be, its cache in q8_0 and made page by page. The
 * deep run fills it; what it says then does not depend on how the text was cut. */
static void
test_long_context(void **state)
{
    size_t count = deep() ? DECAI_CONTEXT_TOKENS_MAX - 2 : 3000;
    decai_context *ctx = infer_context(1);
    int32_t *tokens = malloc(count * sizeof *tokens), token;
    uint8_t hash[2][32];
    synth_spec s;
    decai_engine *engine = NULL;
    (void)state;
    assert_int_equal(synth_defaults(&s, "llama", 8, "micro"), 0);
    s.context = DECAI_CONTEXT_TOKENS_MAX;
    infer_tokens(tokens, count, s.vocab, 3);
    assert_int_equal(engine_of(ctx, &s, DECAI_CONTEXT_TOKENS_MAX, "q8_0", &engine), 0);
    for (int i = 0; i < 2; i++) {
        decai_session *session = infer_session(engine, ctx, "infer.ignore_end", (int64_t)1, NULL);
        size_t cut = i ? count / 3 + 1 : count;
        assert_int_equal(decai_session_add(session, tokens, cut), 0);
        if (cut < count) assert_int_equal(decai_session_add(session, tokens + cut, count - cut), 0);
        assert_int_equal(decai_session_next(session, &token), 1);
        if (deep()) {                            /* two more fit, a third does not */
            assert_int_equal(decai_session_next(session, &token), 1);
            assert_int_equal(decai_session_next(session, &token), 1);
            assert_int_equal(decai_session_next(session, &token), DECAI_E_LIMIT);
        }
        assert_int_equal(decai_session_hash_get(session, hash[i], 32), 0);
        decai_destroy(session);
    }
    assert_memory_equal(hash[0], hash[1], 32);
    free(tokens);
    decai_destroy(engine);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architectures), cmocka_unit_test(test_types), cmocka_unit_test(test_contracts),
        cmocka_unit_test(test_traces), cmocka_unit_test(test_expert_limits), cmocka_unit_test(test_long_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
