/* logprob.c - how likely each token was, given those before it: what perplexity
 * is made of (infer.logprobs), and what a caller shows (decai_session_top_get).
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

/* logprob_i = (l_i - max) - log */
typedef struct softmax { double max, log; } softmax;

static softmax
softmax_of(const float *logits, uint32_t vocab)
{
    bool finite = true;
    float max = decai__max_run(logits, vocab, &finite), run[RUN];
    double sum = 0.0;

    for (uint32_t at = 0; at < vocab; at += RUN) {
        uint32_t n = DECAI__MIN(RUN, vocab - at);
        decai__exp_run(run, logits + at, n, max, 1.0f);
        for (uint32_t i = 0; i < n; i++) sum += (double)run[i];
    }
    return (softmax){ (double)max, decai__leaf_ln(sum) };
}

static float
logprob(const softmax *p, float logit)
{
    return (float)((double)logit - p->max - p->log);
}

static float
logprob_of(const float *logits, uint32_t vocab, int32_t token)
{
    softmax p = softmax_of(logits, vocab);
    return logprob(&p, logits[token]);
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

/* ---- the likeliest ------------------------------------------------------------------------ */

/* The first `count` in rank, sorted; count <= vocab. */
static void
likeliest(int32_t *ids, uint32_t count, const float *logits, uint32_t vocab)
{
    uint32_t found[RUN], n = 0;

    for (uint32_t at = 0; at < vocab; at += RUN) {
        /* Equal ones come later in rank: only what is above the last counts, once all places are taken. */
        float least = n < count ? -__builtin_inff() : logits[ids[n - 1]];
        size_t above = decai__above_run(found, at, logits + at, DECAI__MIN(RUN, vocab - at), least);
        for (size_t i = 0; i < above; i++) {
            float l = logits[found[i]];
            if (n == count && !(l > logits[ids[n - 1]])) continue;
            uint32_t to = n < count ? n++ : n - 1;
            for (; to && logits[ids[to - 1]] < l; to--) ids[to] = ids[to - 1];
            ids[to] = (int32_t)found[i];
        }
    }
}

void
decai__top(int32_t *tokens, float *logprobs, int32_t token, uint32_t count, const float *logits, uint32_t vocab)
{
    softmax p = softmax_of(logits, vocab);

    tokens[0] = token;
    if (count) likeliest(tokens + 1, count, logits, vocab);
    for (uint32_t i = 0; i <= count; i++) logprobs[i] = logprob(&p, logits[tokens[i]]);
}
