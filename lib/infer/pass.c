/* pass.c - one pass of rows that belong to many sessions.
 *
 *     rows       | session A: positions 17..17 | session B: positions 64..95 | ...
 *     heads      the last rows of each, as many as it asks for
 *
 * Matrices see rows and nothing else; caches, rotations and attention see spans. So a
 * session's numbers are those that it would get alone. The buffers are the body's and
 * hold nothing once the lock is gone; what comes out is the caller's.
 */
#include "infer/engine.h"

#include <string.h>

/* ---- buffers ------------------------------------------------------------------------------ */

static int32_t
grow_scores(const decai_engine *e, decai__body *b, size_t rows)
{
    decai__tbuf *wider = NULL;

    if (b->pass.scores_rows >= rows) return 0;
    int32_t r = decai__tbuf_create(&wider, b->c, rows * 4 * (size_t)e->program->shape.vocab);
    if (r) return r;
    decai__tbuf_destroy(b->pass.scores);
    b->pass.scores = wider;
    b->pass.scores_rows = rows;
    return 0;
}

static int32_t
make_record(const decai_engine *e, decai__body *b)
{
    decai__pass *p = &b->pass;
    int32_t r = 0;

    if (!p->record) r = decai__tbuf_create(&p->record, b->c, (size_t)e->batch * e->plan.record_bytes);
    if (!r && !p->record_host && !decai__tbuf_host(p->record))
        p->record_host = decai__alloc(b->ctx, (size_t)e->batch * e->plan.record_bytes);
    if (!r && !p->nodes) p->nodes = decai__calloc(b->ctx, e->batch, 32 * ((size_t)e->program->nodes + 2));
    if (!r && (!p->nodes || (!p->record_host && !decai__tbuf_host(p->record))))
        r = decai__fail(DECAI_E_NOMEM, "activation tree: %u tokens", e->batch);
    return r;
}

int32_t
decai__pass_reserve(const decai_engine *e, decai__body *b, size_t heads, bool tree)
{
    decai__pass *p = &b->pass;
    int32_t r = 0;

    if (!p->slot) {
        p->slot = decai__calloc(b->ctx, e->plan.slots, sizeof(decai__tbuf *));
        if (!p->slot) return decai__fail(DECAI_E_NOMEM, "pass: %u buffers", e->plan.slots);
        p->slots = e->plan.slots;
    }
    for (uint32_t i = 0; i < p->slots && !r; i++)
        if (!p->slot[i]) r = decai__tbuf_create(&p->slot[i], b->c, e->batch * e->plan.slot_bytes[i]);
    if (!r) r = grow_scores(e, b, DECAI__MIN(heads, (size_t)DECAI__HEAD_ROWS));
    if (!r && tree) r = make_record(e, b);
    return r;
}

void
decai__pass_free(decai__body *b)
{
    decai__pass *p = &b->pass;

    for (uint32_t i = 0; i < p->slots; i++) decai__tbuf_destroy(p->slot[i]);
    decai__tbuf_destroy(p->rows);
    decai__tbuf_destroy(p->scores);
    decai__tbuf_destroy(p->record);
    decai__free(b->ctx, p->slot);
    decai__free(b->ctx, p->record_host);
    decai__free(b->ctx, p->nodes);
    *p = (decai__pass){ 0 };
}

/* ---- rows --------------------------------------------------------------------------------- */

static size_t
logits_stride(const decai_engine *e)
{
    return decai__pad64(32 + 4 * (size_t)e->program->shape.vocab);
}

static size_t
nodes_stride(const decai_engine *e)
{
    return 32 * ((size_t)e->program->nodes + 2);
}

const float *
decai__heads_logits(const decai__heads *h, const decai_engine *e, size_t head)
{
    return (const float *)(const void *)(h->logits + head * logits_stride(e) + 32);
}

const uint8_t *
decai__heads_nodes(const decai__heads *h, const decai_engine *e, size_t head)
{
    return h->nodes + head * nodes_stride(e);
}

void
decai__heads_free(decai__heads *h, decai_context *ctx)
{
    decai__free(ctx, h->logits);
    decai__free(ctx, h->digests);
    decai__free(ctx, h->nodes);
    *h = (decai__heads){ 0 };
}

static int32_t
heads_reserve(decai__heads *h, const decai_engine *e, size_t rows, bool tree)
{
    decai_context *ctx = e->h.context;

    rows = DECAI__MIN((size_t)e->batch, (rows + 7) / 8 * 8);
    if (h->rows < rows) {
        decai__free(ctx, h->logits);
        decai__free(ctx, h->digests);
        h->rows = 0;
        h->logits = decai__alloc(ctx, rows * logits_stride(e));
        h->digests = decai__alloc(ctx, rows * sizeof *h->digests);
        if (!h->logits || !h->digests) return decai__fail(DECAI_E_NOMEM, "pass: logits of %zu rows", rows);
        h->rows = rows;
    }
    if (tree && h->nodes_rows < rows) {
        decai__free(ctx, h->nodes);
        h->nodes_rows = 0;
        h->nodes = decai__alloc(ctx, rows * nodes_stride(e));
        if (!h->nodes) return decai__fail(DECAI_E_NOMEM, "pass: nodes of %zu rows", rows);
        h->nodes_rows = rows;
    }
    return 0;
}

/* What a pass is about. */
typedef struct pass {
    decai_engine *e;
    decai__body *b;
    decai__heads *out;
    decai__turn *turns;
    size_t count, rows, heads, recorded_count;
    bool tree;
    int32_t ids[DECAI_BATCH_MAX];
    uint32_t positions[DECAI_BATCH_MAX], zeros[DECAI_BATCH_MAX], recorded[DECAI_BATCH_MAX], head_row[DECAI_BATCH_MAX];
    decai__span spans[DECAI_BATCH_MAX];
    uint8_t *head_nodes[DECAI_BATCH_MAX];
} pass;

static void
lay_out(pass *p)
{
    for (size_t i = 0; i < p->count; i++) {
        decai__turn *t = &p->turns[i];
        const decai_session *s = t->s;
        decai__assert(t->n && t->heads <= t->n && s->body == p->b && s->length + t->n <= s->capacity);
        t->head = p->heads;
        p->spans[i] = (decai__span){ s->kv, s->length, t->n };
        p->tree |= s->tree;
        for (size_t j = 0; j < t->n; j++) {
            p->ids[p->rows] = s->tokens[s->length + j];
            p->positions[p->rows] = (uint32_t)(s->length + j);
            if (s->tree) p->recorded[p->recorded_count++] = (uint32_t)p->rows;
            if (j + t->heads >= t->n) {
                p->head_nodes[p->heads] = s->tree ? p->b->pass.nodes + p->rows * nodes_stride(p->e) : NULL;
                p->head_row[p->heads++] = (uint32_t)p->rows;
            }
            p->rows++;
        }
    }
}

/* Roots of the positions that nothing is sampled at. */
static void
keep_roots(pass *p)
{
    const uint8_t *nodes = p->b->pass.nodes;
    size_t stride = nodes_stride(p->e);

    for (size_t i = 0; i < p->count; i++) {
        decai__turn *t = &p->turns[i];
        decai_session *s = t->s;
        for (size_t j = 0; s->tree && j + t->heads < t->n; j++) decai__record_keep(s, s->length + j, nodes + j * stride, p->e->program->nodes);
        nodes += t->n * stride;
    }
}

static int32_t
run_body(pass *p, const atomic_uint *stop)
{
    const decai__program *program = p->e->program;
    size_t row = 4 * (size_t)program->shape.dim;
    decai__exec x = decai__exec_of(p->e, p->b, p->spans, p->count, p->rows);

    x.ids = p->ids;
    x.positions = p->positions;
    x.zeros = p->zeros;
    x.record = p->tree ? p->b->pass.record : NULL;
    int32_t r = decai__exec_run(&x, 0, program->body, stop);
    decai__ref last = decai__exec_place(&x, (int32_t)program->body - 1);
    for (size_t i = 0; i < p->heads && !r; i++)
        r = decai__tbuf_copy(p->b->pass.rows, i * row, last.buf, last.at + p->head_row[i] * row, row);
    if (!r && p->tree) r = decai__record_rows(p->e, p->b, p->rows, p->recorded, p->recorded_count);
    if (!r && p->tree) keep_roots(p);
    return r;
}

/* ---- heads -------------------------------------------------------------------------------- */

#define DIGESTS 8                    /* that are made side by side */

_Static_assert(sizeof DECAI__DOMAIN_LOGITS - 1 == 14, "the preimage's head is 31 bytes");

static void
digest_run(void *user, size_t chunk)
{
    const pass *p = user;
    size_t stride = logits_stride(p->e), first = chunk * DIGESTS, n = DECAI__MIN((size_t)DIGESTS, p->heads - first);
    const void *data[DIGESTS];

    for (size_t i = 0; i < n; i++) {
        uint8_t *at = p->out->logits + (first + i) * stride;
        at[1] = sizeof DECAI__DOMAIN_LOGITS - 1;
        memcpy(at + 2, DECAI__DOMAIN_LOGITS, sizeof DECAI__DOMAIN_LOGITS - 1);
        decai__store_be64(at + 16, p->positions[p->head_row[first + i]]);
        decai__store_be64(at + 24, p->e->program->shape.vocab);
        data[i] = at + 1;
    }
    decai__keccak256_many(p->out->digests + first, data, 31 + 4 * (size_t)p->e->program->shape.vocab, n);
}

static void
keep_head_nodes(pass *p)
{
    size_t nodes = p->e->program->nodes;

    for (size_t i = 0; i < p->heads; i++) {
        uint8_t *to = p->out->nodes + i * nodes_stride(p->e);
        if (!p->head_nodes[i]) continue;
        memcpy(to, p->head_nodes[i], 32 * (nodes + 1));
        decai__act_node_hash(to + 32 * (nodes + 1), (uint32_t)nodes + 1, p->out->digests[i], 32);
    }
}

static int32_t
run_heads(pass *p)
{
    const decai__program *program = p->e->program;
    decai__pass *b = &p->b->pass;
    size_t row = 4 * (size_t)program->shape.dim, vocab = 4 * (size_t)program->shape.vocab, stride = logits_stride(p->e), n;
    int32_t r = 0;

    for (size_t at = 0; at < p->heads && !r; at += n) {
        n = DECAI__MIN(p->heads - at, (size_t)DECAI__HEAD_ROWS);
        decai__exec x = decai__exec_of(p->e, p->b, NULL, 0, n);
        x.head_in = (decai__ref){ b->rows, at * row };
        x.record = p->tree ? b->record : NULL;
        r = decai__exec_run(&x, program->body, program->count, NULL);
        for (size_t i = 0; i < n && !r; i++)
            r = decai__tbuf_read(b->scores, i * vocab, p->out->logits + (at + i) * stride + 32, vocab);
        if (!r && p->tree) r = decai__record_heads(p->e, p->b, n, p->head_nodes + at, NULL);
    }
    if (r || p->out->plain) return r;
    decai__parallel(p->b->ctx, (p->heads + DIGESTS - 1) / DIGESTS, digest_run, p);
    if (p->tree) keep_head_nodes(p);
    return 0;
}

static int32_t
run(pass *p, const atomic_uint *stop)
{
    decai__compute *c = p->b->c;

    lay_out(p);
    decai__compute_begin(c);
    int32_t r = run_body(p, stop);
    if (!r && p->heads) r = run_heads(p);
    if (!r) r = decai__compute_sync(c);
    decai__compute_end(c);
    if (r && r != DECAI_E_DEVICE) (void)decai__compute_sync(c);      /* a queue that was given up must not run on */
    return r;
}

int32_t
decai__pass_run(decai_engine *e, decai__body *b, decai__turn *turns, size_t count, decai__heads *out, const atomic_uint *stop)
{
    pass *p = decai__calloc(b->ctx, 1, sizeof *p);
    size_t heads = 0;
    bool tree = false;

    if (!p) return decai__fail(DECAI_E_NOMEM, "pass");
    *p = (pass){ .e = e, .b = b, .out = out, .turns = turns, .count = count };
    for (size_t i = 0; i < count; i++) {
        heads += turns[i].heads;
        tree |= turns[i].s->tree;
    }
    int32_t r = heads_reserve(out, e, heads, tree);
    decai__compute_lock(b->c);
    if (!r) r = decai__pass_reserve(e, b, heads ? heads : 1, tree);
    if (!r && !b->pass.rows) r = decai__tbuf_create(&b->pass.rows, b->c, (size_t)e->batch * e->program->shape.dim * 4);
    if (!r) r = run(p, stop);
    decai__compute_unlock(b->c);
    decai__free(b->ctx, p);
    return r;
}
