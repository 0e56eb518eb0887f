/* sample_session.c - a session's draws: which tokens came before, what mirostat
 * remembers, when it moves on.
 *
 * A draw changes nothing that a later draw reads: it leaves mirostat's next value
 * beside the present one, and decai__sampling_accept moves it when the token is handed
 * out. So several positions may be drawn one after the other, each accepted before
 * the next, and what was not accepted was never there. All else is made from the
 * tokens that stand before the position.
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
    int32_t r = decai__sampler_read(&s->sampler, s->h.context, opts);
    if (!r) r = check_tokens(s);
    if (!r)
        r = decai__sample_work_create(&s->sampling.work, s->h.context, &s->sampler, s->engine->program->shape.vocab,
            s->engine->context, false);
    decai__sampling_turn(s, 0);
    return r;
}

void
decai__sampling_free(decai_session *s)
{
    decai__sample_work_destroy(s->sampling.work);
    decai__sampler_free(s->h.context, &s->sampler);
}

void
decai__sampling_turn(decai_session *s, size_t first)
{
    s->sampling.first = first;
    s->sampling.mu = s->sampling.next_mu = 2 * (int64_t)s->sampler.tau_65536;
}

int32_t
decai__session_sample(decai_session *s, const float *logits, size_t position, int32_t *token)
{
    decai__sampling *g = &s->sampling;
    decai__draw d = { .sampler = &s->sampler, .position = position, .tokens = s->tokens, .first = g->first, .mu = g->mu };

    return decai__sample(g->work, token, &g->next_mu, &d, logits, s->engine->program->shape.vocab);
}

void
decai__sampling_accept(decai_session *s, int32_t token)
{
    s->sampling.token = token;
    s->sampling.mu = s->sampling.next_mu;
}

int64_t decai__session_mu(const decai_session *session) { return session->sampling.mu; }
