/* proof_arch_test.c - disputes over every kind of op that architectures are made of.
 *
 * For each flavour a small model runs honestly, and again with one value of one op
 * changed; the dispute must end at that op and row. At least one fault for each
 * kind of op that the flavour's program has, windows of three positions included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proof/dispute.h"
#include "support_proof.h"
#include "support_synth.h"

typedef struct bench {
    decai_context *ctx;
    support_run honest;
    uint8_t root[32];
    const char *flavour;
    unsigned caught, without_effect;
} bench;

static void
open_bench(bench *t, const char *flavour, uint32_t type)
{
    synth_spec s;
    uint8_t *bytes;
    size_t len;
    memset(t, 0, sizeof *t);
    t->flavour = flavour;
    assert_int_equal(synth_defaults(&s, flavour, type, type == SYNTH_Q4_K_M ? "tiny" : "micro"), 0);
    s.vocab = SUPPORT_VOCAB_MIN;
    s.small_vocab = 1;
    s.window = s.window ? 3 : 0;
    synth_memory(&s, &bytes, &len);
    assert_int_equal(decai_context_create(&t->ctx, NULL), 0);
    assert_int_equal(support_run_make(&t->honest, t->ctx, bytes, len, 1), 0);
    assert_int_equal(decai_model_root_get(t->honest.model, t->root, 32), 0);
    free(bytes);
}

static bool
same_commitments(const bench *t, const support_run *r)
{
    const decai__fields *a = &t->honest.receipt->fields, *b = &r->receipt->fields;
    return !memcmp(a->hash[DECAI__R_ACTIVATION], b->hash[DECAI__R_ACTIVATION], 32)
        && !memcmp(a->hash[DECAI__R_LOGITS], b->hash[DECAI__R_LOGITS], 32);
}

static void
judge(bench *t, const support_run *cheat, const decai__fault *f)
{
    const decai__op *op = &decai__engine_program(t->honest.engine)->ops[f->op];
    decai_dispute *d = NULL;
    assert_int_equal(decai__dispute_create(&d, t->ctx, t->root), 0);
    assert_int_equal(decai__dispute_party(d, 0, t->honest.receipt, t->honest.opening, t->honest.opening_len, t->honest.engine), 0);
    assert_int_equal(decai__dispute_party(d, 1, cheat->receipt, cheat->opening, cheat->opening_len, cheat->engine), 0);
    d->party[1].has_fault = true;
    d->party[1].fault = *f;
    assert_int_equal(decai__dispute_run(d, NULL), 0);
    if (d->loser != 2 || (uint64_t)d->token != f->position || d->op != f->op || (d->row != f->row && op->kind != DECAI__OP_QUANT))
        fail_msg("%s: %s, op %u row %u at %llu: loser %d, found %lld %lld %lld: %s", t->flavour, decai__op_name(op->kind), f->op,
            f->row, (unsigned long long)f->position, d->loser, (long long)d->token, (long long)d->op, (long long)d->row, d->reason);
    decai_destroy(d);
    t->caught++;
}

static void
one_fault(bench *t, const decai__fault *f)
{
    support_run cheat = { .model = t->honest.model, .tok = t->honest.tok, .engine = t->honest.engine };
    decai_session *s = NULL;
    decai_options *o = NULL;
    decai_retain(cheat.model);
    decai_retain(cheat.tok);
    decai_retain(cheat.engine);
    assert_int_equal(decai_options_create(&o, t->ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", SUPPORT_OUTPUT), 0);
    assert_int_equal(decai_session_create(&s, cheat.engine, o), 0);
    decai__session_fault(s, f);
    const decai__tokens *prompt = &t->honest.receipt->opening.prompt;
    assert_int_equal(decai_session_add(s, prompt->ids, prompt->count), 0);
    assert_int_equal(support_finish(s), 0);
    assert_int_equal(support_receipt(&cheat, t->ctx, s, 1), 0);
    if (same_commitments(t, &cheat)) t->without_effect++;
    else judge(t, &cheat, f);
    decai_destroy(o);
    decai_destroy(s);
    support_run_free(&cheat);
}

/* Floats move by 2 and more, sums by what makes them move as far. */
static void
faults(bench *t)
{
    const decai__program *p = decai__engine_program(t->honest.engine);
    unsigned seen[DECAI__OP_KIND_COUNT] = { 0 };
    size_t prompt = t->honest.receipt->opening.prompt.count;
    uint64_t seed = 11;
    for (uint32_t i = 0; i < p->count; i++) {
        const decai__op *op = &p->ops[i];
        if (seen[op->kind]++ >= 2) continue;
        decai__fault f = { .position = prompt - 1 + support_rand(&seed) % (SUPPORT_OUTPUT - 1), .op = i,
            .delta = 512 + (int64_t)(support_rand(&seed) % 512) };
        f.row = (uint32_t)(support_rand(&seed) % (op->kind == DECAI__OP_QUANT ? op->cols : decai__op_rows(p, i, f.position)));
        if (decai__op_product(op) && op->forms != DECAI__FORM_F32) f.delta <<= 34;
        one_fault(t, &f);
    }
}

static void
flavour(const char *name, uint32_t type, int32_t kind)
{
    bench t;
    open_bench(&t, name, type);
    const decai__program *p = decai__engine_program(t.honest.engine);
    bool found = false;
    for (uint32_t i = 0; i < p->count; i++) found |= p->ops[i].kind == kind;
    assert_true(found);
    faults(&t);
    if (t.without_effect * 3 > t.caught)
        fail_msg("%s: %u caught, %u without effect", name, t.caught, t.without_effect);
    support_run_free(&t.honest);
    decai_destroy(t.ctx);
}

static void test_gpt_oss(void **state) { (void)state; flavour("gpt-oss", 8, DECAI__OP_BIAS_EXPERT); }
static void test_mixtral(void **state) { (void)state; flavour("mixtral", 8, DECAI__OP_MIX_EXPERT); }
static void test_qwen3moe(void **state) { (void)state; flavour("qwen3moe", 8, DECAI__OP_ROUTE); }
static void test_gemma2(void **state) { (void)state; flavour("gemma2", SYNTH_Q4_K_M, DECAI__OP_SOFTCAP); }
static void test_gemma3(void **state) { (void)state; flavour("gemma3", 8, DECAI__OP_NORM); }
static void test_gpt2(void **state) { (void)state; flavour("gpt2", 8, DECAI__OP_EMBED_ADD); }
static void test_phi3(void **state) { (void)state; flavour("phi3", 2, DECAI__OP_GLU); }
static void test_qwen2(void **state) { (void)state; flavour("qwen2", 0, DECAI__OP_BIAS); }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt_oss), cmocka_unit_test(test_mixtral), cmocka_unit_test(test_qwen3moe),
        cmocka_unit_test(test_gemma2), cmocka_unit_test(test_gemma3), cmocka_unit_test(test_gpt2), cmocka_unit_test(test_phi3),
        cmocka_unit_test(test_qwen2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
