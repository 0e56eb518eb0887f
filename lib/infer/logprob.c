/* logprob.c - how likely each token was, given those before it: what perplexity
 * is made of (infer.logprobs).
 *
 *     logprob_i = (l_t - m) - ln(sum over v of exp(l_v - m))
 *
 * l the logits of position i - 1, t the token at i, m the largest logit; exp and ln are
 * the contract's, the sum runs in f64 by ascending id. So the figure is the same on
 * every backend, as the logits are.
 */
#include "infer/engine.h"

#include <string.h>

#define RUN 256u                     /* exponentials made at once */

static float
logprob_of(const float *logits, uint32_t vocab, int32_t token)
{
    float max = logits[0];
    double sum = 0.0;
    float run[RUN];

    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > max) max = logits[i];
    for (uint32_t at = 0; at < vocab; at += RUN) {
        uint32_t n = DECAI__MIN(RUN, vocab - at);
        decai__exp_run(run, logits + at, n, max, 1.0f);
        for (uint32_t i = 0; i < n; i++) sum += (double)run[i];
    }
    return (float)((double)logits[token] - (double)max - decai__leaf_ln(sum));
}

typedef struct logprob_job { decai_session *s; size_t first; } logprob_job;

/* Row i of s->logits is position first + i: it speaks of the token after that. */
static void
one(void *user, size_t i)
{
    const logprob_job *job = user;
    decai_session *s = job->s;
    uint32_t vocab = s->engine->program->shape.vocab;
    size_t next = job->first + i + 1;
    s->logprob[next] = logprob_of(s->logits + i * vocab, vocab, s->tokens[next]);
}

void
decai__logprobs(decai_session *s, size_t first, size_t n, size_t known)
{
    uint32_t vocab = s->engine->program->shape.vocab;
    logprob_job job = { s, first };

    /* The first token of an add: its logits came before it was known. */
    if (first && first == s->length) s->logprob[first] = logprob_of(s->previous, vocab, s->tokens[first]);
    decai__parallel(s->h.context, DECAI__MIN(n, known - first - 1), one, &job);
    if (first + n == known) memcpy(s->previous, s->logits + (n - 1) * (size_t)vocab, vocab * sizeof *s->previous);
}
