/* proof_arch_test.c - disputes over every architecture, kind of op and contract
 * number: one value of one op is changed, and the referee finds that op and the
 * party that changed it. Models are synthetic (support_synth.h). Each run sees half
 * of the kinds of each architecture; DECAI_DEEP=1 all of them, at more places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "proof/dispute.h"
#include "support_infer.h"
#include "support_proof.h"
#include "support_synth.h"

enum { PROMPT = 9 };

static struct {
    decai_context *ctx;
    support_run honest;
    uint8_t root[32];
    const char *flavour;
    unsigned caught, silent, kinds[DECAI__OP_KIND_COUNT];
} t;

static bool
deep(void)
{
    return getenv("DECAI_DEEP") != NULL;
}

static decai_engine *
engine_of(decai_model *model, int32_t contract)
{
    decai_options *o = NULL;
    decai_engine *engine = NULL;
    assert_int_equal(decai_options_create(&o, t.ctx), 0);
    assert_int_equal(decai_options_set_str(o, "infer.kv_type", decai__contract_kv_type(contract) ? "q8_0" : "f16"), 0);
    assert_int_equal(decai_options_set_str(o, "infer.activation", decai__contract_two_level(contract) ? "two_level" : "one_level"), 0);
    if (decai_engine_create(&engine, model, o)) fail_msg("%s: %s", t.flavour, decai_error_detail());
    decai_destroy(o);
    assert_int_equal(decai__engine_contract(engine), contract);
    return engine;
}

/* A run to its receipt; with a fault, a cheat's. */
static void
run(support_run *r, const decai__fault *fault)
{
    int32_t prompt[PROMPT];
    uint32_t vocab = decai__engine_program(r->engine)->shape.vocab;
    decai_session *s = infer_session(r->engine, t.ctx, "infer.activation_tree", (int64_t)1, "infer.max_tokens",
        (int64_t)SUPPORT_OUTPUT, NULL);
    if (fault) decai__session_fault(s, fault);
    infer_tokens(prompt, PROMPT, vocab, 3);
    assert_int_equal(decai_session_add(s, prompt, PROMPT), 0);
    int32_t e = support_finish(s);
    if (e) fail_msg("%s: %s", t.flavour, decai_error_detail());
    e = support_receipt(r, t.ctx, s, 1);
    if (e) fail_msg("%s: %s", t.flavour, decai_error_detail());
    decai_destroy(s);
}

static void
open_honest(const char *flavour, uint32_t type, int32_t contract)
{
    synth_spec s;
    uint8_t *bytes;
    size_t len;
    t.flavour = flavour;
    assert_int_equal(synth_defaults(&s, flavour, type, "tiny"), 0);
    s.small_vocab = 1;
    synth_memory(&s, &bytes, &len);
    assert_int_equal(decai_model_open(&t.honest.model, t.ctx, bytes, len, NULL), 0);
    free(bytes);
    if (decai_tokenizer_create(&t.honest.tok, t.honest.model, NULL)) fail_msg("%s: %s", flavour, decai_error_detail());
    t.honest.engine = engine_of(t.honest.model, contract);
    assert_int_equal(decai_model_root_get(t.honest.model, t.root, 32), 0);
    run(&t.honest, NULL);
    assert_int_equal(t.honest.receipt->fields.number[DECAI__R_CONTRACT], contract);
}

/* But for the tokens, which are committed under salts of their own. */
static bool
same_commitments(const support_run *r)
{
    const decai__fields *a = &t.honest.receipt->fields, *b = &r->receipt->fields;
    return !memcmp(a->hash[DECAI__R_ACTIVATION], b->hash[DECAI__R_ACTIVATION], 32)
        && !memcmp(a->hash[DECAI__R_LOGITS], b->hash[DECAI__R_LOGITS], 32);
}

static void
dispute(const decai__fault *f)
{
    const decai__program *p = decai__engine_program(t.honest.engine);
    const decai__op *op = &p->ops[f->op];
    support_run cheat = { .model = t.honest.model, .tok = t.honest.tok, .engine = t.honest.engine };
    decai_dispute *d = NULL;
    char what[160];
    snprintf(what, sizeof what, "%s, contract %d: position %llu op %u (%s) row %u", t.flavour, p->contract,
        (unsigned long long)f->position, f->op, decai__op_name(op->kind), f->row);
    decai_retain(cheat.model);
    decai_retain(cheat.tok);
    decai_retain(cheat.engine);
    run(&cheat, f);
    assert_int_equal(decai__dispute_create(&d, t.ctx, t.root), 0);
    assert_int_equal(decai__dispute_party(d, 0, t.honest.receipt, t.honest.opening, t.honest.opening_len, t.honest.engine), 0);
    assert_int_equal(decai__dispute_party(d, 1, cheat.receipt, cheat.opening, cheat.opening_len, cheat.engine), 0);
    d->party[1].has_fault = true;
    d->party[1].fault = *f;
    int32_t e = decai__dispute_run(d, NULL);
    if (e) fail_msg("%s: %s", what, decai_error_detail());
    t.kinds[op->kind]++;
    if (!d->loser) {
        assert_true(same_commitments(&cheat));
        t.silent++;
        if (deep()) print_message("# without effect: %s\n", what);
    } else {
        if (d->loser != 2) fail_msg("%s: loser %d: %s", what, d->loser, d->reason);
        if ((uint64_t)d->token != f->position || d->op != f->op) fail_msg("%s: located at %lld, %lld", what, (long long)d->token, (long long)d->op);
        /* A q8_0 cache changes with a block's scale; a quant's row is an element. */
        bool exact = op->kind != DECAI__OP_QUANT && op->kind != DECAI__OP_KV;
        if (exact && d->row != f->row) fail_msg("%s: located at row %lld", what, (long long)d->row);
        t.caught++;
    }
    decai_destroy(d);
    support_run_free(&cheat);
}

/* The n-th op of a kind, or -1. */
static int32_t
op_of(const decai__program *p, int32_t kind, uint32_t n)
{
    int32_t found = -1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->ops[i].kind == kind && count++ <= n) found = (int32_t)i;
    return found;
}

static void
disputes_of(uint32_t which)
{
    const decai__program *p = decai__engine_program(t.honest.engine);
    uint64_t seed = 40 + which;
    for (int32_t kind = 1; kind < DECAI__OP_KIND_COUNT; kind++)
        for (uint32_t place = 0; place < (deep() ? 4u : 1u); place++) {
            int32_t op = op_of(p, kind, (uint32_t)(support_rand(&seed) % 6));
            if (op < 0 || (!deep() && ((uint32_t)kind + which) % 2)) continue;
            decai__fault f = { .op = (uint32_t)op, .position = PROMPT - 1 + place % 2, .delta = 700 };
            if ((uint32_t)op < p->body) f.position = support_rand(&seed) % (PROMPT + 2);
            f.row = (uint32_t)(support_rand(&seed) % decai__op_rows(p, f.op, f.position));
            if (kind == DECAI__OP_QUANT) f.row = (uint32_t)(support_rand(&seed) % p->ops[op].cols);
            if (decai__op_product(&p->ops[op]) && p->ops[op].forms != DECAI__FORM_F32) f.delta <<= 36;
            dispute(&f);
        }
}

static void
every_architecture(void **state)
{
    static const uint32_t types[] = { 12, 8, 39, 14, 2, 1 };             /* Q4_K Q8_0 MXFP4 Q6_K Q4_0 F16 */
    uint32_t which = 0;
    (void)state;
    for (size_t i = 0; synth_flavours[i]; i++) {
        if (strstr(synth_flavours[i], "bert")) continue;
        open_honest(synth_flavours[i], types[i % 6], 1 + (int32_t)(i % 4));
        disputes_of(which++);
        support_run_free(&t.honest);
    }
    print_message("# %u changes caught and located, %u without effect\n", t.caught, t.silent);
    assert_true(t.caught > 6 * t.silent);
    for (int32_t kind = 1; kind < DECAI__OP_KIND_COUNT; kind++)
        if (kind != DECAI__OP_ATTENTION_FULL && !t.kinds[kind]) fail_msg("no dispute over %s", decai__op_name(kind));
}

/* An engine of another number is not asked: the caller's mistake, both are named. */
static void
contract_numbers_are_compared(void **state)
{
    (void)state;
    open_honest("qwen2", 12, 2);
    decai_engine *other = engine_of(t.honest.model, 3);
    decai_dispute *d = NULL;
    decai_verification *v = NULL;
    assert_int_equal(decai__dispute_create(&d, t.ctx, t.root), 0);
    assert_int_equal(decai__dispute_party(d, 0, t.honest.receipt, t.honest.opening, t.honest.opening_len, t.honest.engine), 0);
    assert_int_equal(decai__dispute_party(d, 1, t.honest.receipt, t.honest.opening, t.honest.opening_len, other), 0);
    assert_int_equal(decai__dispute_run(d, NULL), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "number 3, the receipt names 2"));
    decai_destroy(d);
    assert_int_equal(decai_receipt_verify(&v, t.honest.receipt, t.honest.opening, t.honest.opening_len, other), DECAI_E_INVALID);
    assert_null(v);
    assert_non_null(strstr(decai_error_detail(), "number 3, the receipt names 2"));
    assert_int_equal(decai_receipt_verify(&v, t.honest.receipt, t.honest.opening, t.honest.opening_len, t.honest.engine), 0);
    decai_destroy(v);
    decai_destroy(other);
    support_run_free(&t.honest);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture), cmocka_unit_test(contract_numbers_are_compared),
    };
    t.ctx = infer_context(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    decai_destroy(t.ctx);
    return failed;
}
