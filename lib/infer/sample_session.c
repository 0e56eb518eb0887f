/* sample_session.c - a session's draws: which tokens came before, what mirostat
 * remembers.
 *
 * A draw is a function of the logits and of the tokens up to its position. The one
 * number beside them, mirostat's, is kept by place in the answer: a draw reads that
 * of its place and leaves the next one's, which only a draw behind the token that
 * came out reads. So positions may be drawn in a row, thrown away and drawn again,
 * and nothing has to be accepted or taken back.
 */
#include "infer/engine.h"

static int32_t
check_tokens(const decai_session *s)
{
    const decai__sampler *p = &s->sampler;
    int32_t vocab = (int32_t)s->engine->program->shape.vocab;
    /* Ascending: the last is the largest. */
    int32_t bias = p->bias_count ? p->bias[p->bias_count - 1].token : 0;
    int32_t breaker = p->breaker_count ? p->breakers[p->breaker_count - 1] : 0;

    if (bias >= vocab) return decai__fail(DECAI_E_INVALID, "infer.logit_bias: token %d is outside 0..%d", (int)bias, (int)vocab - 1);
    if (breaker >= vocab)
        return decai__fail(DECAI_E_INVALID, "infer.dry_breakers: token %d is outside 0..%d", (int)breaker, (int)vocab - 1);
    return 0;
}

int32_t
decai__sampling_make(decai_session *s, const decai_options *opts)
{
    decai__sampling *g = &s->sampling;
    size_t context = s->engine->context;

    int32_t r = decai__sampler_read(&s->sampler, s->h.context, opts);
    if (!r) r = check_tokens(s);
    if (!r) r = decai__sample_work_create(&g->work, s->h.context, &s->sampler, s->engine->program->shape.vocab, context, false);
    if (r || !s->sampler.tau_65536) return r;
    g->mu = decai__alloc(s->h.context, (context + 1) * sizeof *g->mu);
    if (!g->mu) return decai__fail(DECAI_E_NOMEM, "session: %zu tokens", context);
    g->mu[0] = 2 * (int64_t)s->sampler.tau_65536;
    return 0;
}

void
decai__sampling_free(decai_session *s)
{
    decai__constrain_free(&s->sampling.constraint, s->h.context);
    decai__sample_work_destroy(s->sampling.work);
    decai__free(s->h.context, s->sampling.mu);
    decai__sampler_free(s->h.context, &s->sampler);
}

int32_t
decai__session_sample(decai_session *s, const float *logits, size_t position, int32_t *token)
{
    decai__sampling *g = &s->sampling;
    decai__draw d = { .sampler = &s->sampler, .position = position, .tokens = s->tokens, .first = g->first };
    int64_t next = 0;

    decai__assert(position + 1 >= g->first && position < s->engine->context);
    if (g->mu) d.mu = g->mu[position + 1 - g->first];
    int32_t r = decai__constrain(s, position, &d.mask);
    if (!r) r = decai__sample(g->work, token, &next, &d, logits, s->engine->program->shape.vocab);
    if (!r && g->mu) g->mu[position + 2 - g->first] = next;
    return r;
}

int64_t
decai__session_mu(const decai_session *session, size_t output)
{
    return session->sampling.mu ? session->sampling.mu[output] : 0;
}
