/* encode.c - vectors of whole texts.
 *
 * Encoders: many sequences go through the graph together, one behind the other and
 * without padding; attention keeps them apart by their starts. As many go together
 * as fit the buffers; what goes together never changes a result. Decoders: each
 * sequence goes through a session of its own, and what is pooled is the normed
 * residual.
 *
 * Pooling and normalising are done here, in f64 by ascending token, one rounding
 * to f32 at the end: the same on every backend.
 */
#include "infer/engine.h"

#include <math.h>
#include <string.h>

#define TOKENS_TOGETHER 1024

/* ---- pooling ------------------------------------------------------------------------ */

typedef struct pool {
    int32_t kind;
    uint32_t dim;
    double *sum;
} pool;

static void
pool_add(pool *p, const float *rows, size_t count)
{
    for (size_t i = 0; i < count; i++, rows += p->dim)
        for (uint32_t k = 0; k < p->dim; k++) p->sum[k] += (double)rows[k];
}

/* `rows` of one sequence, all of them. */
static void
pool_whole(pool *p, const float *rows, size_t count)
{
    memset(p->sum, 0, p->dim * sizeof *p->sum);
    if (p->kind == DECAI__POOL_MEAN) pool_add(p, rows, count);
    else pool_add(p, p->kind == DECAI__POOL_CLS ? rows : rows + (count - 1) * p->dim, 1);
}

static void
pool_end(const pool *p, float *out, size_t count, bool normalise)
{
    double scale = p->kind == DECAI__POOL_MEAN ? 1.0 / (double)count : 1.0, squares = 0.0;

    for (uint32_t k = 0; k < p->dim; k++) {
        p->sum[k] *= scale;
        squares += p->sum[k] * p->sum[k];
    }
    double factor = normalise && squares > 0.0 ? 1.0 / sqrt(squares) : 1.0;
    for (uint32_t k = 0; k < p->dim; k++) out[k] = (float)(p->sum[k] * factor);
}

/* ---- encoders -------------------------------------------------------------------------- */

void
decai__encoder_free(decai_context *ctx, decai__encoder *enc, uint32_t slots)
{
    for (uint32_t i = 0; enc->slot && i < slots; i++) decai__tbuf_destroy(enc->slot[i]);
    decai__free(ctx, enc->slot);
    *enc = (decai__encoder){ 0 };
}

/* Buffers in the body that is in use now. */
static int32_t
encoder_make(decai_engine *e, decai__body *body)
{
    decai__encoder *enc = &e->encoder;
    decai_context *ctx = e->h.context;
    int32_t r = 0;

    if (enc->slot && enc->body == body) return 0;
    if (enc->slot) decai__encoder_free(ctx, enc, e->plan.slots);
    enc->body = body;
    enc->tokens = DECAI__MAX((size_t)TOKENS_TOGETHER, (size_t)e->context);
    enc->slot = decai__calloc(ctx, e->plan.slots, sizeof(decai__tbuf *));
    if (!enc->slot) return decai__fail(DECAI_E_NOMEM, "encode: %u slots", e->plan.slots);
    for (uint32_t i = 0; i < e->plan.slots && !r; i++)
        r = decai__tbuf_create(&enc->slot[i], body->c, enc->tokens * e->plan.slot_bytes[i]);
    if (r) decai__encoder_free(ctx, enc, e->plan.slots);
    return r;
}

/* Host memory of one run. */
typedef struct work {
    uint32_t *starts, *positions, *zeros;
    float *rows;
    pool pool;
} work;

static void
work_free(decai_context *ctx, work *w)
{
    decai__free(ctx, w->starts);
    decai__free(ctx, w->positions);
    decai__free(ctx, w->zeros);
    decai__free(ctx, w->rows);
    decai__free(ctx, w->pool.sum);
}

static int32_t
work_make(work *w, const decai_engine *e, size_t tokens)
{
    decai_context *ctx = e->h.context;
    uint32_t dim = e->program->shape.dim;

    *w = (work){ .pool = { .kind = e->pooling, .dim = dim } };
    w->starts = decai__calloc(ctx, tokens + 1, sizeof *w->starts);
    w->positions = decai__calloc(ctx, tokens, sizeof *w->positions);
    w->zeros = decai__calloc(ctx, tokens, sizeof *w->zeros);
    w->rows = decai__calloc(ctx, tokens, dim * sizeof *w->rows);
    w->pool.sum = decai__calloc(ctx, dim, sizeof *w->pool.sum);
    if (w->starts && w->positions && w->zeros && w->rows && w->pool.sum) return 0;
    work_free(ctx, w);
    return decai__fail(DECAI_E_NOMEM, "encode: %zu tokens", tokens);
}

/* Sequences that go together, their starts and positions; tokens of them in *n. */
static size_t
pack(work *w, const uint32_t *lengths, size_t sequences, size_t room, size_t *n)
{
    size_t count = 0, at = 0;

    while (count < sequences && at + lengths[count] <= room) {
        w->starts[count] = (uint32_t)at;
        for (uint32_t i = 0; i < lengths[count]; i++) w->positions[at + i] = i;
        at += lengths[count++];
    }
    w->starts[count] = (uint32_t)at;
    *n = at;
    return count;
}

static int32_t
run_together(decai_engine *e, work *w, const int32_t *tokens, size_t segments, size_t n)
{
    decai__body *body = e->encoder.body;
    const decai__program *p = e->program;
    decai__exec x = { .model = e->model, .p = p, .plan = &e->plan, .body = body, .c = body->c, .slot = e->encoder.slot,
        .n = n, .ids = tokens, .positions = w->positions, .zeros = w->zeros, .starts = w->starts, .segments = segments };

    decai__compute_lock(body->c);
    decai__compute_begin(body->c);
    int32_t r = decai__exec_run(&x, 0, p->body, NULL);
    if (!r) r = decai__tbuf_read(e->encoder.slot[e->plan.slot[p->body - 1]], 0, w->rows, n * p->shape.dim * sizeof *w->rows);
    else if (r != DECAI_E_DEVICE) (void)decai__compute_sync(body->c);
    decai__compute_end(body->c);
    decai__compute_unlock(body->c);
    return r;
}

static int32_t
together(decai_engine *e, work *w, const int32_t *tokens, size_t segments, size_t n)
{
    decai__body *body = decai__engine_body(e);
    int32_t r = encoder_make(e, body);

    if (!r) r = run_together(e, w, tokens, segments, n);
    if (r != DECAI_E_DEVICE) return r;
    r = decai__engine_replace(e, body);            /* lost: once more, on the native one */
    if (!r) r = encoder_make(e, decai__engine_body(e));
    return r ? r : run_together(e, w, tokens, segments, n);
}

static int32_t
encode_all(decai_engine *e, float *out, const int32_t *tokens, const uint32_t *lengths, size_t sequences, bool normalise)
{
    uint32_t dim = e->program->shape.dim;
    size_t room = DECAI__MAX((size_t)TOKENS_TOGETHER, (size_t)e->context);
    work w;
    int32_t r = work_make(&w, e, room);

    if (r) return r;
    for (size_t i = 0, n; i < sequences && !r; ) {
        size_t count = pack(&w, lengths + i, sequences - i, room, &n);
        decai__assert(count);
        r = together(e, &w, tokens, count, n);
        for (size_t s = 0; s < count && !r; s++) {
            pool_whole(&w.pool, w.rows + w.starts[s] * (size_t)dim, lengths[i + s]);
            pool_end(&w.pool, out + (i + s) * dim, lengths[i + s], normalise);
        }
        tokens += n;
        i += count;
    }
    work_free(e->h.context, &w);
    return r;
}

/* ---- decoders ----------------------------------------------------------------------------- */

/* The normed residuals of one sequence, batch by batch, into the pool. */
static int32_t
decoder_rows(decai_session *s, work *w, const int32_t *tokens, size_t count)
{
    decai_engine *e = s->engine;
    const decai__program *p = e->program;
    uint32_t dim = p->shape.dim;
    int32_t r = 0;

    memset(w->pool.sum, 0, dim * sizeof *w->pool.sum);
    r = decai__kv_truncate(s->kv, 0);
    for (s->length = 0; s->length < count && !r; ) {
        size_t n = DECAI__MIN(count - s->length, (size_t)e->batch), first = s->length;
        r = decai__exec_body(s, tokens + first, n);
        if (!r) r = decai__exec_norm(s, n, w->rows);
        s->length += n;
        if (r) break;
        if (w->pool.kind == DECAI__POOL_MEAN) pool_add(&w->pool, w->rows, n);
        else if (w->pool.kind == DECAI__POOL_CLS && first == 0) pool_add(&w->pool, w->rows, 1);
        else if (w->pool.kind == DECAI__POOL_LAST && s->length == count) pool_add(&w->pool, w->rows + (n - 1) * (size_t)dim, 1);
    }
    return r;
}

static int32_t
decoder_one(decai_session *s, work *w, const int32_t *tokens, size_t count)
{
    int32_t r = decai__session_reserve(s, count);

    if (r) return r;
    decai__compute_lock(s->body->c);
    decai__compute_begin(s->body->c);
    r = decoder_rows(s, w, tokens, count);
    decai__compute_end(s->body->c);
    decai__compute_unlock(s->body->c);
    return r;
}

static int32_t
encode_each(decai_engine *e, float *out, const int32_t *tokens, const uint32_t *lengths, size_t sequences, bool normalise)
{
    uint32_t dim = e->program->shape.dim;
    decai_session *s = NULL;
    work w;
    int32_t r = work_make(&w, e, e->batch);

    if (r) return r;
    r = decai__session_make(&s, e, NULL);
    for (size_t i = 0; i < sequences && !r; i++) {
        r = decoder_one(s, &w, tokens, lengths[i]);
        if (r == DECAI_E_DEVICE) {
            s->length = 0;                           /* nothing to replay: this text goes again as a whole */
            r = decai__session_move(s);
            if (!r) r = decoder_one(s, &w, tokens, lengths[i]);
        }
        if (!r) pool_end(&w.pool, out + i * dim, lengths[i], normalise);
        tokens += lengths[i];
    }
    decai__destroy(s);
    work_free(e->h.context, &w);
    return r;
}

int32_t
decai__engine_encode(decai_engine *e, float *out, const int32_t *tokens, const uint32_t *lengths, size_t sequences,
    bool normalise)
{
    decai__fpu fpu;

    pthread_mutex_lock(&e->encode_lock);
    decai__fpu_enter(&fpu);
    int32_t r = e->program->encoder ? encode_all(e, out, tokens, lengths, sequences, normalise)
        : encode_each(e, out, tokens, lengths, sequences, normalise);
    decai__fpu_leave(&fpu);
    pthread_mutex_unlock(&e->encode_lock);
    return r;
}
