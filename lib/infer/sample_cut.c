/* sample_cut.c - which of the weighted tokens stay: steps 8 to 12 of SAMPLING.md and
 * mirostat's cut.
 *
 * The list holds ids ascending with their weights beside them and only gets shorter.
 * A cut "the first so many in an order" does not sort it: the order is a 32-bit key,
 * larger keys first, and the last key that stays is found digit by digit from the top
 * (a histogram over 11, 11 and 10 bits of what the items weigh); of the items with
 * exactly that key the smaller ids stay until the sum is enough.
 *
 *     cut        key                         an item weighs
 *     top-k      the logit, as ordered bits  1
 *     typical    ~|delta - mean|             its weight
 *     top-p      the logit                   its weight
 */
#include "infer/sample.h"

#include <string.h>

/* -0 equals +0: a sum with +0 makes them the same bits. */
static uint32_t
key_of(float logit)
{
    uint32_t u;
    logit += 0.0f;
    memcpy(&u, &logit, sizeof u);
    return u >> 31 ? ~u : u | UINT32_C(1) << 31;
}

static float
logit_of(uint32_t key)
{
    uint32_t u = key >> 31 ? key & INT32_MAX : ~key;
    float logit;
    memcpy(&logit, &u, sizeof logit);
    return logit;
}

/* -x * 4096 to the nearest integer, ties to even: at most 2^17 for a token that
 * weighs anything, so adding and taking away 2^23 rounds it. */
static uint32_t
delta_of(const sample_cut *c, float logit)
{
    float d = (c->max - logit) * c->inverse * 4096.0f;
    return (uint32_t)((d + 0x1p+23f) - 0x1p+23f);
}

/* ---- the order of a cut ---------------------------------------------------------------- */

typedef struct order {
    const sample_cut *c;
    const float *x;                  /* by id */
    const uint32_t *w;               /* NULL: every item weighs 1 */
    bool typical;
    uint32_t mean;
} order;

static uint32_t
item_key(const order *o, uint32_t id)
{
    if (!o->typical) return key_of(o->x[id]);
    uint32_t delta = delta_of(o->c, o->x[id]);
    return ~(delta > o->mean ? delta - o->mean : o->mean - delta);
}

/* The key of the last item that stays if the first ones up to a sum of `need` do
 * (need is at most the sum of all). *rest: how much of it the items of that very key
 * have to give. A delta is below 2^17: the first digit of typical's keys is known. */
static uint32_t
last_key(const order *o, const uint32_t *id, uint32_t n, uint64_t need, uint64_t *rest)
{
    static const uint32_t shift[] = { 21, 10, 0 }, mask[] = { 2047, 2047, 1023 };
    uint64_t *sum = o->c->work->sum;
    uint32_t prefix = o->typical ? 2047u << 21 : 0, known = prefix;

    for (int level = o->typical; level < 3; level++) {
        memset(sum, 0, (mask[level] + 1) * sizeof *sum);
        for (uint32_t j = 0; j < n; j++) {
            uint32_t key = item_key(o, id[j]);
            if ((key & known) == prefix) sum[key >> shift[level] & mask[level]] += o->w ? o->w[j] : 1;
        }
        uint32_t digit = mask[level];
        for (; digit && sum[digit] < need; digit--) need -= sum[digit];
        prefix |= digit << shift[level];
        known |= mask[level] << shift[level];
    }
    *rest = need;
    return prefix;
}

static void
keep_first(sample_cut *c, const order *o, uint64_t need)
{
    decai__sample_work *w = c->work;
    uint64_t rest;
    uint32_t last = last_key(o, w->id, c->n, DECAI__MAX(need, 1), &rest), kept = 0;

    for (uint32_t j = 0; j < c->n; j++) {
        uint32_t key = item_key(o, w->id[j]), weight = w->w[j];
        if (key < last || (key == last && !rest)) continue;
        if (key == last) rest -= DECAI__MIN(rest, o->w ? weight : 1);
        w->id[kept] = w->id[j];
        w->w[kept++] = weight;
    }
    c->n = kept;
}

uint64_t
decai__cut_sum(const sample_cut *c)
{
    uint64_t sum = 0;
    for (uint32_t j = 0; j < c->n; j++) sum += c->work->w[j];
    return sum;
}

/* ---- step 8 -------------------------------------------------------------------------------- */

/* At least k tokens are not below the k-th largest of the blocks' maxima. (A maximum
 * that is too high because its token went out in step 6 does no harm: then fewer than
 * k are left, and all of them lie above it.) */
static float
block_bound(const sample_cut *c, uint32_t k)
{
    decai__sample_work *w = c->work;
    uint32_t blocks = (c->count + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK;
    order o = { .c = c, .x = w->most };
    uint64_t rest;

    if (k > blocks) return -SAMPLE_LARGEST;
    for (uint32_t b = 0; b < blocks; b++) w->id[b] = b;
    float bound = logit_of(last_key(&o, w->id, blocks, k, &rest));
    return DECAI__MAX(bound, -SAMPLE_LARGEST);
}

/* Ids of the tokens with a logit of at least so much. */
static void
list_above(sample_cut *c, float least)
{
    size_t n = 0;

    for (uint32_t at = 0; at < c->count; at += SAMPLE_BLOCK)
        if (c->work->most[at / SAMPLE_BLOCK] >= least)
            n += decai__above_run(c->work->id + n, at, c->x + at, DECAI__MIN(SAMPLE_BLOCK, c->count - at), least);
    c->n = (uint32_t)n;
}

static void
weigh_list(sample_cut *c)
{
    const uint32_t *id = c->work->id;
    float x[64];

    for (uint32_t at = 0, n; at < c->n; at += n) {
        n = DECAI__MIN(64u, c->n - at);
        for (uint32_t j = 0; j < n; j++) x[j] = c->x[id[at + j]];
        (void)decai__exp30_run(c->work->w + at, x, n, c->max, c->inverse);
    }
    decai__cut_light(c, 1);
    c->sum = decai__cut_sum(c);
}

void
decai__cut_top_k(sample_cut *c, uint32_t k)
{
    order o = { .c = c, .x = c->x };

    list_above(c, block_bound(c, k));
    if (c->n > k) keep_first(c, &o, k);
    weigh_list(c);
}

void
decai__cut_above(sample_cut *c, float least)
{
    list_above(c, least);
    weigh_list(c);
}

/* ---- steps 9 to 12 ---------------------------------------------------------------------------- */

/* w * delta is below 2^41, as x exp(-x) is below 0.37: sums stay below 2^61. */
static void
typical(sample_cut *c, uint32_t p)
{
    const decai__sample_work *w = c->work;
    uint64_t sum = 0;

    for (uint32_t j = 0; j < c->n; j++) sum += (uint64_t)w->w[j] * delta_of(c, c->x[w->id[j]]);
    order o = { .c = c, .x = c->x, .w = w->w, .typical = true, .mean = (uint32_t)(sum / c->sum) };
    keep_first(c, &o, decai__sample_share(c->sum, p));
}

void
decai__cut_light(sample_cut *c, uint64_t bound)
{
    uint32_t *id = c->work->id, *w = c->work->w, kept = 0;

    for (uint32_t j = 0; j < c->n; j++) {
        uint32_t weight = w[j];
        id[kept] = id[j];
        w[kept] = weight;
        kept += weight >= bound;
    }
    c->n = kept;
}

static void
min_p(sample_cut *c, uint32_t p)
{
    const uint32_t *w = c->work->w;
    uint64_t most = 0;

    for (uint32_t j = 0; j < c->n; j++) most = DECAI__MAX(most, w[j]);
    decai__cut_light(c, (most * p + 65535) / 65536);
}

/* Of the tokens with at least the bound only the last in rank stays. */
static void
xtc(sample_cut *c, const decai__sampler *s, uint64_t position)
{
    decai__sample_work *w = c->work;
    uint64_t bound = decai__sample_share(c->sum, s->xtc_threshold_65536);
    uint32_t last = UINT32_MAX, kept = 0;

    if (decai__sample_random(DECAI__DOMAIN_XTC, s->seed, position) >> 48 >= s->xtc_probability_65536) return;
    for (uint32_t j = 0; j < c->n; j++)
        if (w->w[j] >= bound && (last == UINT32_MAX || !(c->x[w->id[j]] > c->x[w->id[last]]))) last = j;
    for (uint32_t j = 0; j < c->n; j++) {
        if (w->w[j] >= bound && j != last) continue;
        w->id[kept] = w->id[j];
        w->w[kept++] = w->w[j];
    }
    c->n = kept;
}

void
decai__cut(sample_cut *c, const decai__sampler *s)
{
    if (c->whole) return;
    if (s->typical_65536) {
        typical(c, s->typical_65536);
        c->sum = decai__cut_sum(c);
    }
    if (s->top_p_65536 < 65536) {
        order o = { .c = c, .x = c->x, .w = c->work->w };
        keep_first(c, &o, decai__sample_share(c->sum, s->top_p_65536));
    }
    if (s->min_p_65536) min_p(c, s->min_p_65536);
    c->sum = decai__cut_sum(c);
    if (!s->xtc_probability_65536) return;
    xtc(c, s, c->draw->position);
    c->sum = decai__cut_sum(c);
}

/* ---- mirostat 2 --------------------------------------------------------------------------------- */

uint32_t
decai__mirostat_bound(uint64_t total, int64_t mu)
{
    uint32_t low = 1, high = (1u << 30) + 1;           /* the answer is in low..high */
    int64_t least = (int64_t)decai__leaf_log2(total) - mu;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((int64_t)decai__leaf_log2(middle) >= least) high = middle;
        else low = middle + 1;
    }
    return low;
}

int64_t
decai__mirostat_next(const decai__sampler *s, int64_t mu, uint64_t total, uint32_t weight)
{
    int64_t surprise = (int64_t)decai__leaf_log2(total) - (int64_t)decai__leaf_log2(weight);
    int64_t change = (surprise - (int64_t)s->tau_65536) * s->eta_65536;
    /* Towards minus infinity. */
    int64_t steps = change < 0 ? -((65535 - change) / 65536) : change / 65536;
    mu -= steps;
    return mu < 0 ? 0 : mu > 1 << 22 ? 1 << 22 : mu;
}
