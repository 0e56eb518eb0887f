/* party.c - what one side of a dispute does on its own machine.
 *
 * It runs its job again with its own engine, shows the roots of all positions,
 * and then answers questions about one position from a full trace. Whatever it
 * shows must hash to what its receipt committed; a party that cannot do that has
 * lost, whoever is right about the numbers. */
#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "proof/dispute.h"

void
decai__party_lose(decai_dispute *d, int32_t which)
{
    if (d->party[which].lost) return;
    d->party[which].lost = true;
    d->loser |= which ? 2 : 1;
    snprintf(d->reason, sizeof d->reason, "party %c: %.200s", which ? 'b' : 'a', decai__error_detail());
}

void
decai__party_free(decai_context *ctx, decai__party *p)
{
    decai__trace_destroy(p->trace);
    decai__opening_free(ctx, &p->opening);
    decai__free(ctx, p->opening_bytes);
    decai__free(ctx, p->tokens);
    decai__free(ctx, p->mu);
    decai__free(ctx, p->roots);
    decai__free(ctx, p->mask);
    decai__destroy(p->grammar);
    decai__destroy(p->receipt);
    decai__destroy(p->engine);
}

/* ---- opening the commitments --------------------------------------------- */

static int32_t
tokens_join(decai_context *ctx, decai__party *p)
{
    p->prompt_count = p->opening.prompt.count;
    p->count = p->prompt_count + p->opening.output.count;
    p->tokens = decai__calloc(ctx, p->count, sizeof *p->tokens);
    p->mu = decai__calloc(ctx, p->opening.output.count, sizeof *p->mu);
    if (!p->tokens || !p->mu) return decai__fail(DECAI_E_NOMEM, "dispute: %zu tokens", p->count);
    memcpy(p->tokens, p->opening.prompt.ids, p->prompt_count * sizeof *p->tokens);
    memcpy(p->tokens + p->prompt_count, p->opening.output.ids, p->opening.output.count * sizeof *p->tokens);
    decai__sampler_of(&p->sampler, &p->receipt->fields.sampler, &p->opening);
    return 0;
}

int32_t
decai__party_open(decai_dispute *d, int32_t which)
{
    decai__party *p = &d->party[which];
    int32_t e = decai__opening_decode(d->h.context, &p->opening, p->opening_bytes, p->opening_len);
    if (e == DECAI_E_NOMEM) return e;
    if (!e) e = decai__opening_check(&p->opening, p->receipt);
    if (!e && memcmp(p->receipt->fields.hash[DECAI__R_MODEL], d->model_root, 32))
        e = decai__fail(DECAI_E_INTEGRITY, "model_root: its receipt names another model than the job");
    if (!e && (!p->opening.prompt.count || !p->opening.output.count))
        e = decai__fail(DECAI_E_INTEGRITY, "opening: no tokens");
    if (e) {
        decai__party_lose(d, which);
        return 0;
    }
    e = decai__contract_match(p->receipt, p->engine);
    if (e) return e;
    return tokens_join(d->h.context, p);
}

/* ---- running again --------------------------------------------------------- */

static int32_t
party_replay(decai_session *s, const decai__party *p, decai_task *task)
{
    int32_t e = decai_session_add(s, p->tokens, p->prompt_count);
    for (size_t i = p->prompt_count; !e && i < p->count; i++) {
        if (decai__task_stopped(task)) return decai__fail(DECAI_E_CANCELLED, "dispute: stopped at token %zu", i);
        decai__task_report(task, "trace", i, p->count);
        int32_t token;
        e = decai_session_next(s, &token);
        if (e == 0) return decai__fail(DECAI_E_INTEGRITY, "output[%zu]: its own run had ended", i - p->prompt_count);
        if (e < 0) return e;
        /* It used another token than its sampler gave: its own word counts. */
        e = token == p->tokens[i] ? 0 : decai__session_force(s, p->tokens[i]);
    }
    for (size_t i = 0; !e && i < p->opening.output.count; i++) p->mu[i] = decai__session_mu(s, i);
    return e;
}

static int32_t
party_roots(decai_context *ctx, decai__party *p, decai_session *s)
{
    uint8_t root[32];
    int32_t e = decai_session_root_get(s, root, 32);
    if (e) return e;
    if (memcmp(root, p->receipt->fields.hash[DECAI__R_ACTIVATION], 32))
        return decai__fail(DECAI_E_INTEGRITY, "activation_root: its engine does not reproduce its own receipt");
    p->positions = decai__session_length(s);
    p->roots = decai__memdup(ctx, decai__session_token_roots(s), p->positions * 32);
    return p->roots ? 0 : decai__fail(DECAI_E_NOMEM, "dispute: %zu roots", p->positions);
}

int32_t
decai__party_run(decai_dispute *d, int32_t which, decai_task *task)
{
    decai__party *p = &d->party[which];
    decai_options *o = NULL;
    decai_session *s = NULL;
    int32_t e = decai__sampler_options(&o, d->h.context, &p->receipt->fields.sampler, &p->opening);
    if (!e) e = decai_session_create(&s, p->engine, o);
    if (!e && !p->grammar) e = decai__opening_grammar(&p->grammar, &p->opening, p->receipt, p->engine);
    if (!e && p->grammar) e = decai_session_grammar_set(s, p->grammar);
    if (!e && p->has_fault) decai__session_fault(s, &p->fault);
    if (!e) e = party_replay(s, p, task);
    if (!e) e = party_roots(d->h.context, p, s);
    decai__destroy(s);
    decai__destroy(o);
    /* Only these speak of the receipt; a full machine or a lost device does not. */
    if (e != DECAI_E_INTEGRITY && e != DECAI_E_INVALID && e != DECAI_E_LIMIT) return e;
    decai__party_lose(d, which);
    return 0;
}

/* ---- one position in full ---------------------------------------------------- */

bool
decai__party_sampled(const decai__party *p, size_t position)
{
    return position + 1 >= p->prompt_count && position + 1 < p->count;
}

/* The tokens that its grammar lets come at a position. */
static int32_t
party_mask(decai_context *ctx, decai__party *p, size_t position)
{
    size_t vocab = decai__engine_program(p->engine)->shape.vocab, before = position + 1 - p->prompt_count;
    decai_matcher *m = NULL;
    uint64_t taken = 0;
    if (!p->mask) p->mask = decai__calloc(ctx, (vocab + 63) / 64, sizeof *p->mask);
    if (!p->mask) return decai__fail(DECAI_E_NOMEM, "dispute: a mask of %zu tokens", vocab);
    int32_t e = decai__matcher_create(&m, p->grammar);
    if (!e) e = decai__matcher_add(m, &taken, p->tokens + p->prompt_count, before);
    if (!e && taken < before) e = decai__fail(DECAI_E_INTEGRITY, "output[%zu]: not in its grammar", (size_t)taken);
    if (!e) e = decai__matcher_mask(m, p->mask);
    decai__destroy(m);
    p->draw.mask = p->mask;
    return e;
}

/* What the sampler had before it at a position, its logits apart. */
static int32_t
party_draw(decai_context *ctx, decai__party *p, size_t position)
{
    p->draw = (decai__draw){.sampler = &p->sampler, .position = position, .tokens = p->tokens, .first = p->prompt_count};
    if (!decai__party_sampled(p, position)) return 0;
    p->draw.mu = p->mu[position + 1 - p->prompt_count];
    return p->grammar ? party_mask(ctx, p, position) : 0;
}

int32_t
decai__party_trace(decai_dispute *d, int32_t which, size_t position)
{
    decai__party *p = &d->party[which];
    decai__trace_destroy(p->trace);
    p->trace = NULL;
    int32_t e = party_draw(d->h.context, p, position);
    if (!e) e = decai__trace_create(&p->trace, p->engine, p->tokens, position + 1,
        decai__party_sampled(p, position), &p->draw, p->has_fault ? &p->fault : NULL);
    if (e == DECAI_E_INTEGRITY) {
        decai__party_lose(d, which);
        return 0;
    }
    if (e) return e;
    if (position >= p->positions) return 0;
    uint32_t count;
    uint8_t root[32];
    const uint8_t *nodes = decai__trace_nodes(p->trace, &count);
    decai__act_token_root(root, nodes, count);
    if (!memcmp(root, p->roots + 32 * position, 32)) return 0;
    decai__fail(DECAI_E_INTEGRITY, "position %zu: its trace does not hash to its own root", position);
    decai__party_lose(d, which);
    return 0;
}

const void *
decai__party_output(const decai__party *p, size_t position, uint32_t ordinal, size_t *len)
{
    const decai__program *program = decai__engine_program(p->engine);
    if (program->ops[ordinal].kind == DECAI__OP_SAMPLE && position + 1 < p->count) {
        *len = sizeof *p->tokens;
        return &p->tokens[position + 1];
    }
    return decai__trace_output(p->trace, ordinal, len);
}

void
decai__op_inputs(decai__op_args *args, const decai__party *p, size_t position, uint32_t ordinal)
{
    const decai__op *op = &decai__engine_program(p->engine)->ops[ordinal];
    for (int i = 0; i < 3; i++)
        if (op->in[i] >= 0)
            args->in[i] = decai__party_output(p, position, (uint32_t)op->in[i], &args->in_len[i]);
    args->draw = &p->draw;
}

int32_t
decai__party_leaves(const decai__party *p, size_t position, uint32_t ordinal, uint64_t row,
    decai__claim *claims, uint32_t count)
{
    decai_context *ctx = decai__context_of(p->engine);
    const decai__program *program = decai__engine_program(p->engine);
    const decai__op *op = &program->ops[ordinal];
    const decai__tensor *tensor = decai__model_tensor_at(decai__engine_model(p->engine), (size_t)op->tensor);
    const int64_t *sums = decai__trace_sums(p->trace, ordinal);
    decai__op_args args = {.weight_len = tensor->row_size, .weight_type = (int32_t)tensor->type};
    decai__weight_rows w;
    decai__op_inputs(&args, p, position, ordinal);
    int32_t bad = decai__op_weight(&w, program, ordinal, row, position, p->tokens[position], args.in[1], args.in_len[1]);
    if (bad) return bad;
    args.weight = tensor->data + w.row * tensor->row_size;
    int64_t total = 0;
    for (uint32_t j = 0; j < count; j++) {
        claims[j] = (decai__claim){.exact = sums != NULL};
        int32_t e = decai__op_leaf(ctx, program, ordinal, position, row, j, &args, &claims[j].sum, &claims[j].value);
        if (e) return e;
        total += claims[j].sum;
    }
    /* Claims of a row must add up to the sum it used. What a tampered sum has
     * too much must stand somewhere: it is put on the first leaf. */
    if (sums) claims[0].sum += sums[row] - total;
    return 0;
}
