/* sample_edit.c - steps 1 to 4 and 6 of SAMPLING.md: what is said about single tokens,
 * by the caller, by a grammar, by the tokens before. They work on a copy of the
 * logits; a token that is out has the logit -Inf there, and no step brings it back.
 *
 * Counts are made anew from the history at each draw, so nothing has to be undone when
 * tokens that were only guessed at are thrown away. */
#include "infer/sample.h"

bool
decai__sampler_edits(const decai__sampler *s)
{
    return s->bias_count || s->repeat_milli || s->presence_milli || s->frequency_milli || s->dry_multiplier_milli
        || (s->sigma_milli && s->temperature_milli);
}

static float
bounded(float x)
{
    return x > SAMPLE_LARGEST ? SAMPLE_LARGEST : x < -SAMPLE_LARGEST ? -SAMPLE_LARGEST : x;
}

static float
thousandths(int32_t milli)
{
    return (float)milli / 1000.0f;
}

/* ---- step 1 ---------------------------------------------------------------------- */

static void
add_bias(float *x, const decai__bias *bias, size_t pairs, uint32_t count)
{
    for (size_t i = 0; i < pairs && (uint32_t)bias[i].token < count; i++) {
        float *l = x + bias[i].token;
        *l = bias[i].milli == DECAI__BIAS_BAN ? SAMPLE_OUT : bounded(*l + thousandths(bias[i].milli));
    }
}

/* ---- steps 3 and 4: what the history says ---------------------------------------------------- */

typedef struct window { const int32_t *tokens; size_t n; } window;

/* The last `last_n` (-1: all) of the tokens from..position. */
static window
window_of(const decai__draw *d, size_t from, int32_t last_n)
{
    size_t have = (size_t)d->position + 1, n = have - DECAI__MIN(have, from);
    if (last_n >= 0) n = DECAI__MIN(n, (size_t)last_n);
    return (window){ d->tokens + (have - n), n };
}

static float
penalised(float l, float count, const decai__sampler *s)
{
    float repeat = thousandths((int32_t)s->repeat_milli);
    if (s->repeat_milli) l = bounded(l > 0.0f ? l / repeat : l * repeat);
    return bounded(l - (count * thousandths(s->frequency_milli) + thousandths(s->presence_milli)));
}

static void
penalties(decai__sample_work *w, const decai__draw *d, uint32_t count)
{
    const decai__sampler *s = d->sampler;
    window in = window_of(d, s->penalty_own ? d->first : 0, s->penalty_last_n);

    for (size_t i = 0; i < in.n; i++)
        if ((uint32_t)in.tokens[i] < count) w->count[in.tokens[i]]++;
    /* The first place of a token settles it. */
    for (size_t i = 0; i < in.n; i++) {
        uint32_t t = (uint32_t)in.tokens[i];
        if (t >= count || !w->count[t]) continue;
        if (w->x[t] != SAMPLE_OUT) w->x[t] = penalised(w->x[t], (float)w->count[t], s);
        w->count[t] = 0;
    }
}

static bool
breaks(const decai__sampler *s, int32_t token)
{
    size_t low = 0, high = s->breaker_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->breakers[middle] == token) return true;
        if (s->breakers[middle] < token) low = middle + 1;
        else high = middle;
    }
    return false;
}

/* match[k], k > 0: how many tokens before and at the place k before the last equal
 * those before and at the last (Gusfield's Z, 1997, section 1.4, read backwards). */
static void
match_backwards(uint32_t *match, const window *in)
{
    const int32_t *last = in->tokens + in->n - 1;
    size_t left = 0, right = 0;               /* match[left] reaches up to right, itself excluded */

    for (size_t k = 1; k < in->n; k++) {
        size_t m = k < right ? DECAI__MIN(right - k, match[k - left]) : 0;
        while (k + m < in->n && *(last - m) == *(last - k - m)) m++;
        match[k] = (uint32_t)m;
        if (k + m > right) left = k, right = k + m;
    }
}

static float
dry_penalty(const decai__sampler *s, uint32_t length)
{
    float power = 1.0f, base = thousandths((int32_t)s->dry_base_milli);
    for (uint32_t n = s->dry_allowed; n < length && power < 0x1p+60f; n++) power *= base;
    return thousandths((int32_t)s->dry_multiplier_milli) * power;
}

static void
dry(decai__sample_work *w, const decai__draw *d, uint32_t count)
{
    const decai__sampler *s = d->sampler;
    window in = window_of(d, 0, s->dry_last_n);
    size_t unbroken = 0;

    if (in.n < 2) return;
    const int32_t *last = in.tokens + in.n - 1;
    while (unbroken < in.n && !breaks(s, *(last - unbroken))) unbroken++;
    if (unbroken < DECAI__MAX(1, s->dry_allowed)) return;
    decai__assert(in.n <= w->history);
    match_backwards(w->match, &in);
    /* count: the longest match that a token would go on with. */
    for (size_t k = 1; k < in.n; k++) {
        uint32_t t = (uint32_t)*(last - k + 1), m = (uint32_t)DECAI__MIN(w->match[k], unbroken);
        if (t < count) w->count[t] = DECAI__MAX(w->count[t], m);
    }
    for (size_t k = 1; k < in.n; k++) {
        uint32_t t = (uint32_t)*(last - k + 1);
        if (t >= count) continue;
        uint32_t m = w->count[t];
        w->count[t] = 0;
        if (m < DECAI__MAX(1, s->dry_allowed) || w->x[t] == SAMPLE_OUT || breaks(s, (int32_t)t)) continue;
        w->x[t] = bounded(w->x[t] - dry_penalty(s, m));
    }
}

void
decai__sample_edit(decai__sample_work *w, const decai__draw *d, uint32_t count)
{
    const decai__sampler *s = d->sampler;

    add_bias(w->x, s->bias, s->bias_count, count);
    if (d->mask) decai__mask_run(w->x, d->mask, count);
    if (s->repeat_milli || s->presence_milli || s->frequency_milli) penalties(w, d, count);
    if (s->dry_multiplier_milli) dry(w, d, count);
}

/* ---- step 6 ----------------------------------------------------------------------------------- */

/* The largest d that stays: d^2 * 10^6 grows with d. */
static uint32_t
farthest(const decai__spread *m, uint32_t sigma_milli)
{
    double mean = (double)m->sum / (double)m->count, variance = (double)m->squares / (double)m->count - mean * mean;
    double bound = (variance > 0.0 ? variance : 0.0) * (double)((uint64_t)sigma_milli * sigma_milli);
    uint64_t low = 0, high = 262144;

    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        if ((double)(middle * middle) * 1e6 <= bound) low = middle;
        else high = middle - 1;
    }
    return (uint32_t)low;
}

void
decai__sample_sigma(float *x, uint32_t count, float max, uint32_t sigma_milli)
{
    decai__spread m = { 0, 0, 0 };

    decai__spread_run(&m, x, count, max);
    decai__near_run(x, count, max, farthest(&m, sigma_milli));
}
