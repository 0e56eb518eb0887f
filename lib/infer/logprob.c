/* logprob.c - how likely each token was, given those before it: what perplexity
 * is made of (infer.logprobs).
 *
 *     logprob_i = (l_t - m) - ln(sum over v of exp(l_v - m))
 *
 * l the logits of position i - 1, t the token at i, m the largest logit; exp is the
 * contract's, the sum runs in f64 by ascending id, ln is our own. So the figure is
 * the same on every backend, as the logits are.
 */
#include "infer/engine.h"

#include <string.h>

/* ln(x), x >= 1: x = m * 2^e with m in [0.75, 1.5), then the series of artanh. */
static double
natural_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    int64_t e = (int64_t)(bits >> 52 & 2047) - 1023;
    bits = (bits & 0xfffffffffffff) | (UINT64_C(1023) << 52);
    double m;
    memcpy(&m, &bits, 8);
    if (m >= 1.5) m *= 0.5, e++;
    double z = (m - 1.0) / (m + 1.0), z2 = z * z, power = z, sum = 0.0;
    for (int k = 1; k < 30; k += 2) {
        sum += power / (double)k;
        power *= z2;
    }
    return 2.0 * sum + (double)e * 0x1.62e42fefa39efp-1;
}

static float
logprob_of(const float *logits, uint32_t vocab, int32_t token)
{
    float max = logits[0];
    double sum = 0.0;

    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > max) max = logits[i];
    for (uint32_t i = 0; i < vocab; i++) sum += (double)decai__leaf_exp(logits[i] - max);
    return (float)((double)logits[token] - (double)max - natural_log(sum));
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
