/* cost.c - what a pass costs by its rows, in passes of one row.
 *
 *     rows       1    2    4    8    16
 *     a CPU      1   1.1  1.2  1.9   3.8       weights are read once, products are made for each
 *     a GPU      1    1    1   1.1   1.2
 *
 * Measured once for a scheduler, before its first guess, on a session of its own: the
 * first layer or some, with each count of rows in turn, and before every turn so many
 * layers that few caches still hold the first. The shortest time of every single op
 * counts: an op is over before another program gets its turn, so that a loaded machine
 * gives the ratios of a quiet one. Nothing is measured again, and judgements do not
 * change with the load. It takes a tenth of a second.
 */
#include "infer/schedule.h"

#define ROUNDS 4
#define BYTES (28 << 20)             /* weights that are measured; fewer where the model has less, */
#define CACHE (72 << 20)             /* or are read before, */
#define LONGEST 4e6                  /* or take one row more nanoseconds */

static const uint32_t ROWS[COST_POINTS] = { 1, 2, 4, 8, 16 };

double
decai__cost_of(const decai__cost *c, double rows)
{
    size_t i = 1;

    if (rows <= 1) return rows > 0 ? 1 : 0;
    while (i < COST_POINTS - 1 && rows > ROWS[i]) i++;
    double slope = (c->of[i] - c->of[i - 1]) / (ROWS[i] - ROWS[i - 1]);
    return c->of[i] + slope * (rows - ROWS[i]);
}

/* Bytes of weights that ops 0..to-1 read for one row. */
static double
weights(const decai_engine *e, uint32_t to)
{
    double sum = 0;

    for (uint32_t i = 0; i < to; i++) {
        const decai__op *op = &e->program->ops[i];
        if (decai__op_product(op)) sum += (double)op->rows * (double)decai__model_tensor_at(e->model, (size_t)op->tensor)->row_size;
    }
    return sum;
}

double
decai__cost_weights(const decai_engine *e)
{
    return weights(e, e->program->count);
}

/* The shortest times of ops so far, by count of rows. */
typedef struct times { double of[COST_POINTS]; } times;

static int32_t
run(decai_session *s, times *t, uint32_t ops, size_t point)
{
    static const uint32_t zeros[16], positions[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    decai__span span = { s->kv, 0, ROWS[point] };
    decai__exec x = decai__exec_of(s->engine, s->body, &span, 1, ROWS[point]);

    int32_t ids[16];                                 /* of many tokens: experts differ */
    for (uint32_t i = 0; i < 16; i++) ids[i] = (int32_t)(i * 7919 % s->engine->program->shape.vocab);
    x.ids = ids;
    x.positions = positions;
    x.zeros = zeros;
    int32_t r = decai__kv_truncate(s->kv, 0);
    if (!r) r = decai__kv_reserve(s->kv, 0, ROWS[point]);
    if (!r) r = decai__compute_sync(s->body->c);
    for (uint32_t i = 0; i < ops && !r; i++) {
        double *best = t ? &t[i].of[point] : NULL;
        int64_t start = decai__clock_mono_ns(s->h.context);
        r = decai__exec_run(&x, i, i + 1, NULL);
        if (!r) r = decai__compute_sync(s->body->c);
        double took = (double)(decai__clock_mono_ns(s->h.context) - start);
        if (!r && best && (!(*best > 0) || took < *best)) *best = took;
    }
    return r;
}

/* Ops until `bytes` are read or `ns` gone; a product at least. */
static uint32_t
ops_for(const decai_engine *e, const times *t, uint32_t most, double bytes, double ns)
{
    uint32_t ops = 0;
    double sum = 0;

    while (ops < most && ((weights(e, ops) < bytes && sum < ns) || !(weights(e, ops) > 0))) sum += t[ops++].of[0];
    return ops;
}

static double
sum_of(const times *t, uint32_t ops, size_t point)
{
    double sum = 0;
    for (uint32_t i = 0; i < ops; i++) sum += t[i].of[point];
    return sum;
}

static int32_t
measure(decai__cost *c, decai_session *s, times *t, size_t points)
{
    const decai_engine *e = s->engine;
    uint32_t all = ops_for(e, t, e->program->body, CACHE, LONGEST);

    int32_t r = run(s, t, all, 0);                   /* how long it takes */
    all = ops_for(e, t, all, CACHE, 2 * LONGEST);
    uint32_t ops = ops_for(e, t, all, BYTES, LONGEST);
    for (size_t i = 0; i < ROUNDS * points && !r; i++) {
        if (i % points == 0) r = run(s, NULL, all, 0);
        if (!r) r = run(s, t, ops, i % points);
    }
    double one = sum_of(t, ops, 0);
    if (r || points < COST_POINTS || !(one > 0)) return r;
    c->ns = one * decai__cost_weights(e) / weights(e, ops);
    for (size_t i = 0; i < COST_POINTS; i++) c->of[i] = i ? DECAI__MAX(sum_of(t, ops, i) / one, c->of[i - 1]) : 1;
    return 0;
}

void
decai__cost_measure(decai__cost *c, decai_engine *e)
{
    uint32_t most = DECAI__MIN(e->batch, e->context);
    decai_session *s = NULL;
    size_t points = 0;

    *c = (decai__cost){ .known = true, .of = { 1, 1.5, 2, 3, 5 } };
    while (points < COST_POINTS && ROWS[points] <= most) points++;
    times *t = decai__calloc(e->h.context, e->program->body, sizeof *t);
    if (t && points > 1 && !decai__session_make(&s, e, NULL)) {
        decai__compute_lock(s->body->c);
        decai__compute_begin(s->body->c);
        (void)measure(c, s, t, points);
        decai__compute_end(s->body->c);
        decai__compute_unlock(s->body->c);
    }
    decai__destroy(s);
    decai__free(e->h.context, t);
}
