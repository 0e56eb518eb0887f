/* pass.c - one pass of rows that belong to many sessions.
 *
 *     rows       | session A: positions 17..17 | session B: positions 64..95 | ...
 *     heads      the last rows of each, as many as it asks for
 *
 * Matrices see rows and nothing else; caches, rotations and attention see spans. So a
 * session's numbers are those that it would get alone. The buffers are the body's;
 * what a pass leaves in them stays until the next one: logits and digests by head,
 * with activation trees node hashes by row.
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
    decai__free(b->ctx, p->logits);
    decai__free(b->ctx, p->digests);
    *p = (decai__pass){ 0 };
}
