/* sample.c - from logits to a token, so that anybody can redo it: the order of the
 * steps, weights, and the draw. SAMPLING.md is the rule, step by step.
 *
 *     logits  -> edits 1-4 -> the first in rank                        (greedy)
 *                          -> sigma -> weights -> cuts 8-12 -> the draw
 *
 * What is random comes from (seed, position) alone, what is remembered from the
 * tokens before; mirostat's mu is the one number that a draw hands to the next.
 *
 * Nothing is sorted. A list of tokens is cut by finding the key at which it ends,
 * eleven bits at a time; most tokens never get into one, because a pass over the
 * logits has left the maximum of each block of 256, and blocks that are too low are
 * not looked at again. Sums of weights stay below 2^50 (2^20 tokens of at most 2^30).
 */
#include "infer/sample.h"

#include <string.h>

#define EXP_ZERO (-22.0f)            /* from here down 2^30 exp(x) rounds to 0 */

/* ---- numbers ----------------------------------------------------------------------------- */

uint64_t
decai__sample_random(const char *domain, uint64_t seed, uint64_t position)
{
    decai__keccak k;
    uint8_t h[32];

    decai__keccak_init(&k);
    decai__hash_domain(&k, domain);
    decai__hash_u64(&k, seed);
    decai__hash_u64(&k, position);
    decai__keccak_final(&k, h);
    return decai__load_be64(h);
}

uint64_t
decai__sample_mul_high(uint64_t a, uint64_t b)
{
    uint64_t al = a & UINT32_MAX, ah = a >> 32, bl = b & UINT32_MAX, bh = b >> 32;
    uint64_t mid = ah * bl + (al * bl >> 32);
    uint64_t low = al * bh + (mid & UINT32_MAX);
    return ah * bh + (mid >> 32) + (low >> 32);
}

uint64_t
decai__sample_share(uint64_t total, uint32_t p)
{
    return (total >> 16) * p + ((total & 0xffff) * p >> 16);
}

/* ---- one pass over the logits ---------------------------------------------------------------- */

static float
maxima(float *most, const float *x, uint32_t count, bool *finite)
{
    float max = SAMPLE_OUT;
    for (uint32_t at = 0; at < count; at += SAMPLE_BLOCK) {
        float m = decai__max_run(x + at, DECAI__MIN(SAMPLE_BLOCK, count - at), finite);
        most[at / SAMPLE_BLOCK] = m;
        if (m > max) max = m;
    }
    return max;
}

static uint32_t
first_of(const float *most, const float *x, float max)
{
    uint32_t i = 0;
    while (!(*most == max)) most++, i += SAMPLE_BLOCK;
    while (!(x[i] == max)) i++;
    return i;
}

static int32_t
not_finite(const float *x, uint32_t count, uint64_t position)
{
    uint32_t i = 0;
    while (i + 1 < count && x[i] - x[i] == 0.0f) i++;
    return decai__fail(DECAI_E_INTEGRITY, "logits: token %u at position %llu is not finite", i, (unsigned long long)position);
}

/* ---- weights ------------------------------------------------------------------------------- */

/* The sum of all, and of each block. */
static void
weigh(sample_cut *c)
{
    uint32_t w[SAMPLE_BLOCK];

    c->sum = 0;
    for (uint32_t at = 0, b = 0; at < c->count; at += SAMPLE_BLOCK, b++) {
        bool any = (c->work->most[b] - c->max) * c->inverse >= EXP_ZERO;
        c->work->sum[b] = any ? decai__exp30_run(w, c->x + at, DECAI__MIN(SAMPLE_BLOCK, c->count - at), c->max, c->inverse) : 0;
        c->sum += c->work->sum[b];
    }
}

/* A logit that no token with a weight of `bound` or more lies below: in powers of
 * two, and one of them too low, so that no rounding matters. */
static float
least_for(const sample_cut *c, uint64_t bound)
{
    if (bound < 2) return -SAMPLE_LARGEST;
    float least = c->max + 0.69f * ((float)(63 - __builtin_clzll(bound)) - 31.0f) / c->inverse;
    return DECAI__MAX(least, -SAMPLE_LARGEST);
}

/* Top-p's list: all above some logit that together hold its share. Of n tokens, those
 * that weigh less than the n-th part of what it drops do not hold that much; a larger
 * part leaves fewer tokens and is mostly enough, so it is tried first. */
static bool
gather_top_p(sample_cut *c, uint32_t p)
{
    weigh(c);
    uint64_t total = c->sum;
    bool enough = false;

    for (uint64_t parts = 64; !enough && parts / 64 < c->count; parts *= 64) {
        decai__cut_above(c, least_for(c, decai__sample_share(total, 65536 - p) / DECAI__MIN(parts, c->count)));
        enough = c->n && c->sum >= decai__sample_share(total, p);
    }
    c->sum = total;
    return enough;
}

/* The list that steps 9 to 12 begin with, where there was no step 8. */
static void
gather(sample_cut *c, const decai__sampler *s)
{
    bool top_p = s->top_p_65536 < 65536;

    if (s->typical_65536) {
        decai__cut_above(c, -SAMPLE_LARGEST);
    } else if (top_p) {
        if (!gather_top_p(c, s->top_p_65536)) decai__cut_above(c, -SAMPLE_LARGEST);
    } else if (s->min_p_65536) {
        /* The largest weight is 2^30: what min-p takes away is known. */
        decai__cut_above(c, least_for(c, (uint64_t)s->min_p_65536 << 14));
    } else if (s->xtc_probability_65536) {
        decai__cut_above(c, -SAMPLE_LARGEST);
    } else {
        weigh(c);
        c->whole = true;
        c->n = c->count;
    }
}

static void
mirostat(sample_cut *c)
{
    weigh(c);
    uint32_t bound = decai__mirostat_bound(c->sum, c->draw->mu);
    decai__cut_above(c, least_for(c, bound));
    decai__cut_light(c, bound);
    if (!c->n) {
        c->work->id[0] = c->best;
        c->work->w[0] = 1u << 30;
        c->n = 1;
    }
    c->sum = decai__cut_sum(c);
}

/* The first place at which the running sum is above `at`. */
static uint32_t
pick(const uint32_t *w, uint32_t n, uint64_t at)
{
    uint64_t run = w[0];
    uint32_t j = 0;

    while (run <= at && j + 1 < n) run += w[++j];
    return j;
}

static uint32_t
pick_whole(const sample_cut *c, uint64_t at)
{
    uint32_t w[SAMPLE_BLOCK], b = 0;

    for (; at >= c->work->sum[b]; b++) at -= c->work->sum[b];
    uint32_t first = b * SAMPLE_BLOCK, n = DECAI__MIN(SAMPLE_BLOCK, c->count - first);
    (void)decai__exp30_run(w, c->x + first, n, c->max, c->inverse);
    return first + pick(w, n, at);
}

static void
draw(sample_cut *c, int32_t *token, int64_t *mu)
{
    const decai__sampler *s = c->draw->sampler;

    c->inverse = 1000.0f / (float)s->temperature_milli;
    if (s->tau_65536) {
        mirostat(c);
    } else {
        if (s->top_k && s->top_k < c->count) decai__cut_top_k(c, s->top_k);
        else gather(c, s);
        decai__cut(c, s);
    }
    decai__assert(c->n > 0 && c->sum > 0 && c->sum <= UINT64_C(1) << 50);
    uint64_t at = decai__sample_mul_high(decai__sample_random(DECAI__DOMAIN_SAMPLE, s->seed, c->draw->position), c->sum);
    uint32_t j = c->whole ? pick_whole(c, at) : pick(c->work->w, c->n, at);
    *token = (int32_t)(c->whole ? j : c->work->id[j]);
    if (s->tau_65536) *mu = decai__mirostat_next(s, c->draw->mu, c->sum, c->work->w[j]);
}

/* ---- the whole -------------------------------------------------------------------------------- */

int32_t
decai__sample(decai__sample_work *w, int32_t *token, int64_t *mu, const decai__draw *d, const float *logits, uint32_t count)
{
    const decai__sampler *s = d->sampler;
    sample_cut c = { .work = w, .draw = d, .x = logits, .count = count };
    bool edits = d->mask || decai__sampler_edits(s);
    bool finite = true, ignored = true;

    decai__assert(count > 0 && count <= w->vocab && (!edits || w->x) && (w->id || !s->temperature_milli));
    c.max = maxima(w->most, logits, count, &finite);
    if (!finite) return not_finite(logits, count, d->position);
    if (edits) {
        memcpy(w->x, logits, count * sizeof *w->x);
        decai__sample_edit(w, d, count);
        c.x = w->x;
        c.max = maxima(w->most, w->x, count, &ignored);
        if (c.max == SAMPLE_OUT)
            return decai__fail(DECAI_E_STATE, "sampler: no token is allowed at position %llu", (unsigned long long)d->position);
    }
    c.best = first_of(w->most, c.x, c.max);
    *mu = d->mu;
    *token = (int32_t)c.best;
    if (!s->temperature_milli) return 0;
    if (s->sigma_milli) decai__sample_sigma(w->x, count, c.max, s->sigma_milli);
    draw(&c, token, mu);
    return 0;
}

/* ---- scratch ------------------------------------------------------------------------------------ */

int32_t
decai__sample_work_create(decai__sample_work **out, decai_context *ctx, const decai__sampler *s, uint32_t vocab,
    size_t history, bool masked)
{
    decai__sample_work *w = decai__calloc(ctx, 1, sizeof *w);
    bool counts = s->repeat_milli || s->presence_milli || s->frequency_milli || s->dry_multiplier_milli;
    size_t bytes = vocab * sizeof(float);

    if (!w) return decai__fail(DECAI_E_NOMEM, "sampler");
    w->ctx = ctx;
    w->vocab = vocab;
    w->history = history;
    w->most = decai__alloc(ctx, (vocab / SAMPLE_BLOCK + 1) * sizeof *w->most);
    if (masked || decai__sampler_edits(s)) w->x = decai__alloc(ctx, bytes);
    if (s->temperature_milli) w->id = decai__alloc(ctx, bytes);
    if (s->temperature_milli) w->w = decai__alloc(ctx, bytes);
    if (counts) w->count = decai__calloc(ctx, vocab, sizeof *w->count);
    if (s->dry_multiplier_milli) w->match = decai__alloc(ctx, history * sizeof *w->match);
    if (!w->most || ((masked || decai__sampler_edits(s)) && !w->x) || (s->temperature_milli && (!w->id || !w->w))
        || (counts && !w->count) || (s->dry_multiplier_milli && !w->match)) {
        decai__sample_work_destroy(w);
        return decai__fail(DECAI_E_NOMEM, "sampler: %u tokens", vocab);
    }
    *out = w;
    return 0;
}

void
decai__sample_work_destroy(decai__sample_work *w)
{
    if (!w) return;
    decai__free(w->ctx, w->most);
    decai__free(w->ctx, w->x);
    decai__free(w->ctx, w->id);
    decai__free(w->ctx, w->w);
    decai__free(w->ctx, w->count);
    decai__free(w->ctx, w->match);
    decai__free(w->ctx, w);
}

int32_t
decai__sample_once(decai_context *ctx, int32_t *token, const decai__draw *d, const float *logits, uint32_t count)
{
    decai__sample_work *w = NULL;
    int64_t mu;
    int32_t r = decai__sample_work_create(&w, ctx, d->sampler, count, (size_t)d->position + 1, d->mask != NULL);

    if (!r) r = decai__sample(w, token, &mu, d, logits, count);
    decai__sample_work_destroy(w);
    return r;
}
