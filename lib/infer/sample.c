/* sample.c - from logits to a token, in integers, so that anybody can redo it.
 *
 * The rule (part of the numeric contract; DESIGN §4.7):
 *   rank   i stands before j if logit_i > logit_j, or they are equal and i < j
 *   greedy (temperature 0) the first in rank
 *   else, with T = temperature in thousandths and m = the largest logit
 *     w_i = RNE(2^30 * exp((logit_i - m) * (1000 / T)))   f32 steps, own exp; u32
 *     kept  the first top_k in rank (all if 0); of these the shortest prefix in
 *           rank whose weights sum to at least total * top_p / 65536 rounded down
 *           (total: of the top_k), one token at least
 *     r     the first 8 bytes, big-endian, of
 *           H(domain "decai.sample.1", seed u64, position u64)
 *     pick  floor(r * S / 2^64), S the sum of the kept weights; walk the kept
 *           tokens in order of id and take the first at which the running sum
 *           exceeds pick
 * S is below 2^50 (2^20 tokens of at most 2^30), so nothing overflows. The random
 * number depends on seed and position alone: no state, any position can be
 * redone by itself.
 */
#include "infer/infer.h"

#include <math.h>

#define ONE 1073741824.0f      /* 2^30 */

void
decai__sampler_read(decai__sampler *out, const decai_options *opts)
{
    double p = decai__opt_f64(opts, "infer.top_p");

    /* Halves up; the values are not negative. */
    out->temperature_milli = (uint32_t)(decai__opt_f64(opts, "infer.temperature") * 1000.0 + 0.5);
    out->top_k = (uint32_t)decai__opt_i64(opts, "infer.top_k");
    out->top_p_65536 = (uint32_t)(p * 65536.0 + 0.5);
    out->seed = (uint64_t)decai__opt_i64(opts, "infer.seed");
}

static uint64_t
random_at(uint64_t seed, uint64_t position)
{
    decai__keccak k;
    uint8_t h[32];

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_SAMPLE);
    decai__hash_u64(&k, seed);
    decai__hash_u64(&k, position);
    decai__keccak_final(&k, h);
    return decai__load_be64(h);
}

/* floor(a * b / 2^64) for b < 2^63. */
static uint64_t
mul_high(uint64_t a, uint64_t b)
{
    uint64_t al = a & UINT32_MAX, ah = a >> 32, bl = b & UINT32_MAX, bh = b >> 32;
    uint64_t mid = ah * bl + (al * bl >> 32);
    uint64_t low = al * bh + (mid & UINT32_MAX);
    return ah * bh + (mid >> 32) + (low >> 32);
}

static bool
before(const float *logits, uint32_t a, uint32_t b)
{
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

/* Sink ids[root]: the heap holds the *last* in rank on top. */
static void
sink(uint32_t *ids, uint32_t root, uint32_t count, const float *logits)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && before(logits, ids[child], ids[child + 1])) child++;
        if (!before(logits, ids[root], ids[child])) return;
        uint32_t t = ids[root];
        ids[root] = ids[child];
        ids[child] = t;
    }
}

/* The first `keep` of all ids in rank, sorted: a heap of the best so far, then
 * heapsort. ids has room for keep. */
static void
rank(uint32_t *ids, uint32_t keep, const float *logits, uint32_t count)
{
    for (uint32_t i = 0; i < keep; i++) ids[i] = i;
    for (uint32_t i = keep / 2; i-- > 0; ) sink(ids, i, keep, logits);
    for (uint32_t i = keep; i < count; i++)
        if (before(logits, i, ids[0])) {
            ids[0] = i;
            sink(ids, 0, keep, logits);
        }
    for (uint32_t n = keep; n-- > 1; ) {
        uint32_t t = ids[0];
        ids[0] = ids[n];
        ids[n] = t;
        sink(ids, 0, n, logits);
    }
}

static uint32_t
largest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static uint32_t
weight(float logit, float max, float inverse)
{
    float d = (logit - max) * inverse;       /* may be -Inf: exp gives 0 below -104 */
    if (d < -104.0f) return 0;
    /* Below 2^24 times a power of two: the product and the rounding are exact
     * steps, RNE by adding and taking away 2^23 is not needed in double. */
    double w = (double)(decai__leaf_exp(d) * ONE);
    uint32_t low = (uint32_t)w;
    double rest = w - (double)low;
    return low + (rest > 0.5 || (rest == 0.5 && (low & 1)) ? 1 : 0);
}

/* Weights of tokens that are out become 0. ids: scratch for the ranking. */
static void
cut(uint32_t *weights, uint32_t *ids, const decai__sampler *s, const float *logits, uint32_t count)
{
    uint32_t keep = s->top_k && s->top_k < count ? s->top_k : count;
    uint64_t total = 0, sum = 0;
    uint32_t kept = 0;

    rank(ids, keep, logits, count);
    for (uint32_t i = 0; i < keep; i++) total += weights[ids[i]];
    /* total * p / 65536 without overflow: total < 2^50, p <= 2^16 */
    uint64_t need = (total >> 16) * s->top_p_65536 + ((total & 0xffff) * s->top_p_65536 >> 16);
    while (kept < keep && (kept == 0 || sum < need)) sum += weights[ids[kept++]];

    /* Mark by sign of place: ids beyond `kept` and all unranked ones go to 0. */
    for (uint32_t i = 0; i < kept; i++) weights[ids[i]] |= UINT32_C(1) << 31;
    for (uint32_t i = 0; i < count; i++)
        weights[i] = weights[i] >> 31 ? weights[i] & INT32_MAX : 0;
}

static int32_t
draw(decai_context *ctx, int32_t *token, const decai__sampler *s, const float *logits, uint32_t count,
    uint64_t position)
{
    uint32_t *weights = decai__alloc(ctx, count * 2 * sizeof *weights);
    float max = logits[largest(logits, count)];
    float inverse = 1000.0f / (float)s->temperature_milli;
    uint64_t sum = 0;
    uint32_t i = 0;

    if (!weights) return decai__fail(DECAI_E_NOMEM, "sampler: %u tokens", count);
    for (i = 0; i < count; i++) weights[i] = weight(logits[i], max, inverse);
    if ((s->top_k && s->top_k < count) || s->top_p_65536 < 65536)
        cut(weights, weights + count, s, logits, count);
    for (i = 0; i < count; i++) sum += weights[i];
    /* The largest logit weighs 2^30 and is always kept. */
    decai__assert(sum >= UINT64_C(1) << 30 && sum <= UINT64_C(1) << 50);

    uint64_t pick = mul_high(random_at(s->seed, position), sum);
    uint64_t run = weights[0];
    for (i = 0; run <= pick && i + 1 < count; ) run += weights[++i];
    *token = (int32_t)i;
    decai__free(ctx, weights);
    return 0;
}

int32_t
decai__sample(decai_context *ctx, int32_t *token, const decai__sampler *s, const float *logits, uint32_t count,
    uint64_t position)
{
    decai__assert(count > 0 && count <= DECAI_VOCAB_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(logits[i]))
            return decai__fail(DECAI_E_INTEGRITY, "logits: token %u at position %llu is not finite", i,
                (unsigned long long)position);
    if (s->temperature_milli == 0) {
        *token = (int32_t)largest(logits, count);
        return 0;
    }
    return draw(ctx, token, s, logits, count, position);
}
