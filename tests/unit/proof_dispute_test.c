/* proof_dispute_test.c - the cheat sweep: single values are changed in weights,
 * in activations and in the output, one at a time, and every change that reaches
 * a committed value must be caught and located at its exact place.
 *
 * A change that reaches nothing committed (equal activation root, logits hash
 * and output) is counted as without effect: at most 10 % may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "proof/dispute.h"
#include "support_proof.h"

enum { WEIGHTS = 130, ACTIVATIONS = 110, OUTPUTS = 30 };

static struct {
    decai_context *ctx;
    uint8_t *bytes;
    size_t len;
    support_run honest;
    uint8_t root[32];
    unsigned caught, without_effect;
} t;

static int
setup(void **state)
{
    (void)state;
    assert_int_equal(decai_context_create(&t.ctx, NULL), 0);
    support_model(&t.bytes, &t.len, NULL, NULL);
    assert_int_equal(support_run_make(&t.honest, t.ctx, t.bytes, t.len, 1), 0);
    assert_int_equal(decai_model_root_get(t.honest.model, t.root, 32), 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    support_run_free(&t.honest);
    free(t.bytes);
    decai_destroy(t.ctx);
    return 0;
}

/* The dispute of the honest run (a, or b if swapped) with another. */
static decai_dispute *
dispute(const support_run *cheat, const decai__fault *fault, bool swapped)
{
    decai_dispute *d = NULL;
    int32_t c = swapped ? 0 : 1;
    assert_int_equal(decai__dispute_create(&d, t.ctx, t.root), 0);
    assert_int_equal(decai__dispute_party(d, 1 - c, t.honest.receipt, t.honest.opening, t.honest.opening_len, t.honest.engine), 0);
    assert_int_equal(decai__dispute_party(d, c, cheat->receipt, cheat->opening, cheat->opening_len, cheat->engine), 0);
    if (fault) {
        d->party[c].has_fault = true;
        d->party[c].fault = *fault;
    }
    assert_int_equal(decai__dispute_run(d, NULL), 0);
    return d;
}

static bool
same_commitments(const support_run *r)
{
    const decai__fields *a = &t.honest.receipt->fields, *b = &r->receipt->fields;
    const decai__tokens *x = &t.honest.receipt->opening.output;
    decai__opening o;
    assert_int_equal(decai__opening_decode(t.ctx, &o, r->opening, r->opening_len), 0);
    bool same = !memcmp(a->hash[DECAI__R_ACTIVATION], b->hash[DECAI__R_ACTIVATION], 32)
        && !memcmp(a->hash[DECAI__R_LOGITS], b->hash[DECAI__R_LOGITS], 32)
        && x->count == o.output.count && !memcmp(x->ids, o.output.ids, x->count * sizeof *x->ids);
    decai__opening_free(t.ctx, &o);
    return same;
}

static void
no_effect(const decai_dispute *d, const char *what)
{
    if (d->loser) fail_msg("%s: equal commitments, yet party %d lost: %s", what, d->loser, d->reason);
    t.without_effect++;
    print_message("# without effect: %s\n", what);
}

/* ---- weights -------------------------------------------------------------------- */

typedef struct weight_change {
    const char *tensor;
    uint64_t row, col;
} weight_change;

/* One quant (or one float of a norm) of one tensor, far off its value. */
static void
change_weight(uint8_t *bytes, const decai__tensor *tensor, const uint8_t *file, const weight_change *c)
{
    size_t at = (size_t)(tensor->data - file) + c->row * tensor->row_size;
    if (tensor->type == DECAI_TENSOR_F32) {
        bytes[at + 4 * c->col + 3] ^= 0x80;
        return;
    }
    int8_t *q = (int8_t *)bytes + at + c->col / 32 * 34 + 2 + c->col % 32;
    *q = (int8_t)(*q > 0 ? *q - 120 : *q + 120);
}

/* Where the tensor's bytes are in the file: the model copied it, so look for them. */
static size_t
find(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + size <= t.len; i += 32)
        if (!memcmp(t.bytes + i, data, size)) return i;
    fail_msg("tensor not found");
    return 0;
}

static void
weight_case(const weight_change *c)
{
    decai__tensor tensor = *decai__model_tensor_find(t.honest.model, c->tensor);
    size_t at = find(tensor.data, tensor.size);
    char what[160];
    snprintf(what, sizeof what, "weight %s[%llu][%llu]", c->tensor, (unsigned long long)c->row, (unsigned long long)c->col);
    uint8_t *bytes = malloc(t.len);
    memcpy(bytes, t.bytes, t.len);
    tensor.data = t.bytes + at;
    change_weight(bytes, &tensor, t.bytes, c);

    support_run cheat = {0};
    assert_int_equal(support_run_make(&cheat, t.ctx, bytes, t.len, 1), 0);
    assert_int_equal(support_forge(&cheat, t.ctx, t.root), 0);
    bool swapped = c->col % 2;
    decai_dispute *d = dispute(&cheat, NULL, swapped);
    if (same_commitments(&cheat)) {
        no_effect(d, what);
    } else {
        if (d->loser != (swapped ? 1 : 2)) fail_msg("%s: loser %d: %s", what, d->loser, d->reason);
        if (strcmp(d->tensor, c->tensor)) fail_msg("%s: located in %s (%s)", what, d->tensor, d->op_name);
        bool matrix = tensor.type != DECAI_TENSOR_F32 && strcmp(c->tensor, "token_embd.weight");
        if (matrix && ((uint64_t)d->row != c->row || (uint64_t)d->leaf != c->col / 256))
            fail_msg("%s: located at row %lld leaf %lld", what, (long long)d->row, (long long)d->leaf);
        if (!matrix && (uint64_t)d->row != c->col) fail_msg("%s: located at row %lld", what, (long long)d->row);
        t.caught++;
    }
    decai_destroy(d);
    support_run_free(&cheat);
    free(bytes);
}

static void
weights(void **state)
{
    (void)state;
    uint64_t seed = 11;
    size_t tensors = decai__model_tensor_count(t.honest.model);
    for (int i = 0; i < WEIGHTS; i++) {
        const decai__tensor *tensor = decai__model_tensor_at(t.honest.model, (size_t)i % tensors);
        weight_change c = {.tensor = tensor->name, .col = support_rand(&seed) % tensor->dims[0],
            .row = support_rand(&seed) % tensor->dims[1]};
        /* Rows of the embedding count only for tokens that were used. */
        if (!strcmp(tensor->name, "token_embd.weight")) c.row = "Hello"[i % 5];
        weight_case(&c);
    }
}

/* ---- activations ------------------------------------------------------------------- */

static void
activation_case(const decai__fault *f)
{
    const decai__program *p = decai__engine_program(t.honest.engine);
    char what[160];
    snprintf(what, sizeof what, "activation: position %llu op %u (%s) row %u delta %lld", (unsigned long long)f->position, f->op,
        decai__op_name(p->ops[f->op].kind), f->row, (long long)f->delta);
    support_run cheat = {.model = t.honest.model, .tok = t.honest.tok, .engine = t.honest.engine};
    decai_retain(cheat.model);
    decai_retain(cheat.tok);
    decai_retain(cheat.engine);
    decai_session *s = NULL;
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, t.ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", SUPPORT_OUTPUT), 0);
    assert_int_equal(decai_session_create(&s, cheat.engine, o), 0);
    decai__session_fault(s, f);
    const decai__tokens *prompt = &t.honest.receipt->opening.prompt;
    assert_int_equal(decai_session_add(s, prompt->ids, prompt->count), 0);
    assert_int_equal(support_finish(s), 0);
    assert_int_equal(support_receipt(&cheat, t.ctx, s, 1), 0);
    decai_dispute *d = dispute(&cheat, f, false);
    if (same_commitments(&cheat)) {
        no_effect(d, what);
    } else {
        if (d->loser != 2) fail_msg("%s: loser %d: %s", what, d->loser, d->reason);
        if ((uint64_t)d->token != f->position || d->op != f->op || (d->row != f->row && p->ops[f->op].kind != DECAI__OP_QUANT))
            fail_msg("%s: located at %lld, %lld, %lld", what, (long long)d->token, (long long)d->op, (long long)d->row);
        t.caught++;
    }
    decai_destroy(d);
    decai_destroy(o);
    decai_destroy(s);
    support_run_free(&cheat);
}

static void
activations(void **state)
{
    (void)state;
    const decai__program *p = decai__engine_program(t.honest.engine);
    const decai__opening *o = &t.honest.receipt->opening;
    size_t positions = o->prompt.count + o->output.count - 1;
    uint64_t seed = 5;
    for (int i = 0; i < ACTIVATIONS; i++) {
        decai__fault f = {.position = support_rand(&seed) % positions};
        bool sampled = f.position + 1 >= o->prompt.count;
        f.op = (uint32_t)((uint64_t)i % (sampled ? p->count : p->body));
        f.row = (uint32_t)(support_rand(&seed) % decai__op_rows(p, f.op, f.position));
        /* Floats move by 256 and more units of 1/256, sums and quants by as many steps. */
        f.delta = (int64_t)(support_rand(&seed) % 512) + 512;
        if (p->ops[f.op].kind == DECAI__OP_QUANT) f.row = (uint32_t)(support_rand(&seed) % p->ops[f.op].cols);
        if (p->ops[f.op].kind == DECAI__OP_MATMUL || p->ops[f.op].kind == DECAI__OP_LOGITS) f.delta <<= 36;
        activation_case(&f);
    }
}

/* ---- output ------------------------------------------------------------------------- */

static void
output_case(size_t at, int32_t shift)
{
    support_run cheat = {.model = t.honest.model, .tok = t.honest.tok, .engine = t.honest.engine};
    decai_retain(cheat.model);
    decai_retain(cheat.tok);
    decai_retain(cheat.engine);
    decai_session *s = NULL;
    assert_int_equal(support_session(&s, t.ctx, cheat.engine), 0);
    int32_t token, e;
    for (size_t i = 0; (e = decai_session_next(s, &token)) == 1; i++)
        if (i == at) assert_int_equal(decai__session_force(s, (token + shift) % 256), 0);
    assert_int_equal(e, 0);
    assert_int_equal(support_receipt(&cheat, t.ctx, s, 1), 0);
    decai_dispute *d = dispute(&cheat, NULL, shift % 2);
    if (d->loser != (shift % 2 ? 1 : 2)) fail_msg("output %zu + %d: loser %d: %s", at, (int)shift, d->loser, d->reason);
    assert_int_equal(d->token, t.honest.receipt->opening.prompt.count - 1 + at);
    assert_string_equal(d->op_name, decai__op_name(DECAI__OP_SAMPLE));
    t.caught++;
    decai_destroy(d);
    decai_destroy(s);
    support_run_free(&cheat);
}

static void
outputs(void **state)
{
    (void)state;
    for (int i = 0; i < OUTPUTS; i++) output_case((size_t)i % SUPPORT_OUTPUT, 1 + i);
}

static void
sweep_is_complete(void **state)
{
    (void)state;
    unsigned all = WEIGHTS + ACTIVATIONS + OUTPUTS;
    print_message("# %u single-value changes: %u caught and located, %u without effect\n", all, t.caught, t.without_effect);
    assert_int_equal(t.caught + t.without_effect, all);
    assert_true(all >= 200);
    assert_true(t.without_effect * 10 <= all);
}

/* ---- the rest ----------------------------------------------------------------------- */

static void
honest_parties_agree(void **state)
{
    (void)state;
    decai_dispute *d = dispute(&t.honest, NULL, false);
    assert_int_equal(d->loser, 0);
    assert_int_equal(d->token, -1);
    decai_destroy(d);
}

/* A receipt whose owner cannot run it again has lost, whatever it says. */
static void
unreproducible_party_loses(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(t.len);
    memcpy(bytes, t.bytes, t.len);
    const decai__tensor *tensor = decai__model_tensor_find(t.honest.model, "blk.0.ffn_up.weight");
    bytes[find(tensor->data, tensor->size) + 5] ^= 0x40;
    support_run cheat = {0};
    assert_int_equal(support_run_make(&cheat, t.ctx, bytes, t.len, 1), 0);
    assert_int_equal(support_forge(&cheat, t.ctx, t.root), 0);
    decai_destroy(cheat.engine);
    cheat.engine = t.honest.engine;
    decai_retain(cheat.engine);
    decai_dispute *d = dispute(&cheat, NULL, false);
    assert_int_equal(d->loser, 2);
    assert_non_null(strstr(d->reason, "does not reproduce"));
    decai_destroy(d);
    support_run_free(&cheat);
    free(bytes);
}

static void
another_model_loses_at_once(void **state)
{
    (void)state;
    uint8_t other[32];
    memset(other, 9, sizeof other);
    support_run cheat = {0};
    assert_int_equal(support_run_make(&cheat, t.ctx, t.bytes, t.len, 1), 0);
    assert_int_equal(support_forge(&cheat, t.ctx, other), 0);
    decai_dispute *d = dispute(&cheat, NULL, true);
    assert_int_equal(d->loser, 1);
    assert_non_null(strstr(d->reason, "model_root"));
    decai_destroy(d);
    support_run_free(&cheat);
}

/* The likeliest cheat of all: a cheaper model of another shape. Its ordinals and
 * rows mean nothing in the job's program, so no place is named. */
static void
other_shape_loses(void **state)
{
    (void)state;
    static const struct { uint32_t embd, layers, head_kv, ff, vocab, type; } shapes[] = {
        {64, 1, 2, 512, SUPPORT_VOCAB_MIN, 8},        /* fewer layers */
        {64, 3, 2, 512, SUPPORT_VOCAB_MIN, 8},        /* more */
        {32, 2, 2, 64, SUPPORT_VOCAB_MIN, 8},         /* narrower */
        {128, 2, 4, 1024, SUPPORT_VOCAB_MIN + 64, 8}, /* wider */
        {64, 2, 2, 512, SUPPORT_VOCAB_MIN, 0},        /* float weights: other leaves */
    };
    for (size_t i = 0; i < 2 * (sizeof shapes / sizeof *shapes); i++) {
        support_llama m = SUPPORT_LLAMA_TINY;
        m.n_embd = shapes[i / 2].embd;
        m.n_layer = shapes[i / 2].layers;
        m.n_head_kv = shapes[i / 2].head_kv;
        m.n_ff = shapes[i / 2].ff;
        m.n_vocab = shapes[i / 2].vocab;
        m.type = shapes[i / 2].type;
        m.seed = 5;
        uint8_t *bytes;
        size_t len;
        support_gguf_llama(&m, &bytes, &len);
        support_run cheat = {0};
        assert_int_equal(support_run_make(&cheat, t.ctx, bytes, len, 1), 0);
        assert_int_equal(support_forge(&cheat, t.ctx, t.root), 0);
        decai_dispute *d = dispute(&cheat, NULL, i % 2);
        assert_int_equal(d->loser, i % 2 ? 1 : 2);
        assert_non_null(strstr(d->reason, "another program"));
        assert_int_equal(d->token, -1);
        decai_destroy(d);
        support_run_free(&cheat);
        free(bytes);
    }
}

/* Without a root nobody can prove anything: the caller's mistake, no verdict. */
static void
model_without_root_is_refused(void **state)
{
    (void)state;
    decai_options *o = NULL;
    decai_model *model = NULL;
    decai_engine *engine = NULL;
    decai_task *task = NULL;
    decai_dispute *d = NULL;
    const support_run *h = &t.honest;
    assert_int_equal(decai_options_create(&o, t.ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.hash", 0), 0);
    assert_int_equal(decai_model_open(&model, t.ctx, t.bytes, t.len, o), 0);
    assert_int_equal(decai_engine_create(&engine, model, NULL), 0);
    assert_int_equal(decai_dispute_start(&task, &d, h->receipt, h->opening, h->opening_len, h->engine, h->receipt, h->opening,
        h->opening_len, engine, t.root, 32), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "engine_b"));
    assert_null(task);
    assert_null(d);
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_parties_agree),
        cmocka_unit_test(unreproducible_party_loses),
        cmocka_unit_test(another_model_loses_at_once),
        cmocka_unit_test(other_shape_loses),
        cmocka_unit_test(model_without_root_is_refused),
        cmocka_unit_test(weights),
        cmocka_unit_test(activations),
        cmocka_unit_test(outputs),
        cmocka_unit_test(sweep_is_complete),
    };
    return cmocka_run_group_tests_name("proof_dispute", tests, setup, teardown);
}
