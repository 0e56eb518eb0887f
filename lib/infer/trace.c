/* trace.c - the outputs of every op of one token, for a dispute.
 *
 * The tokens before it run on the engine's backend (its caches are the contract's
 * bits); the token itself goes through step.c. A party to a dispute calls this on
 * its own model: what it committed and what it traces agree, or it disputes
 * against itself.
 */
#include "infer/engine.h"

struct decai__trace {
    decai_engine *engine;            /* owned reference */
    decai__step step;
    decai__sampler greedy;
    decai__draw draw;
    decai__fault fault;
    uint32_t count;                  /* ops that ran */
    uint32_t node_count;
    uint8_t *nodes;
};

void
decai__trace_destroy(decai__trace *t)
{
    if (!t) return;
    decai_context *ctx = t->engine->h.context;
    decai_engine *engine = t->engine;
    if (t->step.ctx) decai__step_free(&t->step);
    decai__free(ctx, t->nodes);
    decai__free(ctx, t);
    decai__destroy(engine);
}

/* The caches as the tokens before leave them. */
static int32_t
run_prefix(decai__trace *t, const int32_t *tokens, size_t count, const decai__fault *fault)
{
    decai_session *s = NULL;

    if (count == 0) return 0;
    int32_t r = decai__session_make(&s, t->engine, fault);
    if (!r) r = decai__session_add(s, tokens, count);
    if (!r) {
        decai__compute_lock(s->body->c);
        r = decai__step_read_caches(&t->step, s);
        decai__compute_unlock(s->body->c);
    }
    decai__destroy(s);
    return r;
}

static int32_t
fill(decai__trace *t, const int32_t *tokens, size_t count, bool sampled, const decai__fault *fault)
{
    const decai__program *p = t->engine->program;

    int32_t r = decai__step_make(&t->step, t->engine->h.context, t->engine->model, p, count - 1, true);
    if (r) return r;
    t->count = sampled ? p->count : p->body;
    t->node_count = p->nodes + (sampled ? 2 : 0);
    t->nodes = decai__calloc(t->engine->h.context, (size_t)p->nodes + 2, 32);
    if (!t->nodes) return decai__fail(DECAI_E_NOMEM, "trace: %u nodes", p->nodes);

    t->step.token = tokens[count - 1];
    t->step.draw = &t->draw;
    if (fault && fault->position == count - 1) t->step.fault = &t->fault;
    r = run_prefix(t, tokens, count - 1, fault);
    if (!r) r = decai__step_run(&t->step, 0, t->count);
    if (!r) decai__step_nodes(&t->step, t->nodes, 0, t->count);
    return r;
}

int32_t
decai__trace_create(decai__trace **out, decai_engine *engine, const int32_t *tokens, size_t count, bool sampled,
    const decai__draw *draw, const decai__fault *fault)
{
    uint32_t vocab = engine->program->shape.vocab;
    decai__fpu fpu;

    *out = NULL;
    if (engine->program->encoder) return decai__fail(DECAI_E_UNSUPPORTED, "trace: architecture %s", engine->program->arch);
    if (count < 1 || count > engine->context)
        return decai__fail(DECAI_E_LIMIT, "trace: %zu tokens, 1..%u", count, engine->context);
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return decai__fail(DECAI_E_INVALID, "tokens[%zu]: %d is outside 0..%u", i, (int)tokens[i], vocab - 1);
    decai__trace *t = decai__calloc(engine->h.context, 1, sizeof *t);
    if (!t) return decai__fail(DECAI_E_NOMEM, "trace");

    decai__retain(engine);
    t->engine = engine;
    t->greedy.top_p_65536 = 65536;
    t->draw = draw ? *draw : (decai__draw){ .sampler = &t->greedy };
    t->draw.position = count - 1;
    t->draw.tokens = tokens;
    if (fault) t->fault = *fault;
    decai__fpu_enter(&fpu);
    int32_t r = fill(t, tokens, count, sampled, fault);
    decai__fpu_leave(&fpu);
    if (r) {
        decai__trace_destroy(t);
        return r;
    }
    *out = t;
    return 0;
}

uint32_t decai__trace_count(const decai__trace *t) { return t->count; }

const void *
decai__trace_output(const decai__trace *t, uint32_t ordinal, size_t *len)
{
    decai__assert(ordinal < t->count);
    *len = t->step.len[ordinal];
    return t->step.out[ordinal];
}

const int64_t *
decai__trace_sums(const decai__trace *t, uint32_t ordinal)
{
    decai__assert(ordinal < t->count);
    return t->step.sums[ordinal];
}

const float *decai__trace_k(const decai__trace *t, uint32_t layer) { return t->step.kv[2 * layer]; }
const float *decai__trace_v(const decai__trace *t, uint32_t layer) { return t->step.kv[2 * layer + 1]; }

const uint8_t *
decai__trace_nodes(const decai__trace *t, uint32_t *count)
{
    *count = t->node_count;
    return t->nodes;
}

int32_t
decai__trace_token(decai_engine *engine, const int32_t *tokens, size_t count, bool sampled,
    const decai__draw *draw, const decai__fault *fault, decai__trace_fn fn, void *user)
{
    decai__trace *t = NULL;
    int32_t r = decai__trace_create(&t, engine, tokens, count, sampled, draw, fault);

    for (uint32_t i = 0; !r && i < t->count; i++)
        r = fn(user, engine->program, i, t->step.out[i], t->step.len[i], t->step.sums[i]);
    decai__trace_destroy(t);
    return r;
}
