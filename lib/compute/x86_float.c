/* x86_float.c - float matrices on x86-64: packing, and how a product is cut.
 *
 * Items are (block of tokens) x (panel of 32 rows), panels fastest: a chunk of items
 * packs its tokens once. A product of few tokens is cut over panels alone; experts
 * are taken token by token. compute.repack = 0 keeps raw rows: scalar's loop then. */
#include <string.h>

#include "compute/x86_lanes.h"

#if defined(__x86_64__)

#define PACKED_BYTES ((size_t)512 << 10)     /* of a block's tokens: half of a second-level cache */

/* ---- packing ---------------------------------------------------------------------- */

static void
pack_panel(uint8_t *to, const decai__matrix *m, const uint8_t *data, size_t row, size_t rows, size_t size)
{
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *from = data + (row + r) * m->raw_row;
        for (size_t k = 0; k < m->cols; k++) memcpy(to + (k * X86_FLOAT_ROWS + r) * size, from + k * size, size);
    }
}

typedef struct packing {
    const decai__matrix *m;
    const uint8_t *data;
    uint8_t *to;
    size_t panels, panel_bytes, size;
} packing;

static void
pack_item(void *user, size_t i)
{
    const packing *p = user;
    size_t expert = i / p->panels, row = i % p->panels * X86_FLOAT_ROWS;
    pack_panel(p->to + i * p->panel_bytes, p->m, p->data + expert * p->m->rows * p->m->raw_row, row,
        DECAI__MIN((size_t)X86_FLOAT_ROWS, p->m->rows - row), p->size);
}

int32_t
decai__x86_float_prepare(decai__matrix *m, const uint8_t *data)
{
    if (!m->c->repack) return decai__matrix_keep_raw(m, data);
    size_t size = m->type == DECAI__F32 ? 4 : 2, panels = (m->rows + X86_FLOAT_ROWS - 1) / X86_FLOAT_ROWS;
    packing p = { m, data, NULL, panels, X86_FLOAT_ROWS * m->cols * size, size };
    int32_t r = decai__tbuf_create(&m->quants, m->c, m->experts * panels * p.panel_bytes);
    if (r) return r;
    p.to = m->quants->host;
    decai__parallel(m->c->ctx, m->experts * panels, pack_item, &p);
    return 0;
}

/* ---- products ----------------------------------------------------------------------- */

typedef struct plan {
    x86_float f;
    const x86_lanes *lanes;
    size_t block, room_each;
    float *room;
} plan;

static void
token_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    p->lanes->float_items(&p->f, (float *)a->y, (const float *)a->x, a->n, p->block, first, end,
        p->room + slice * p->room_each);
}

/* Items are (token, panel): each token has its expert's panels. */
static void
expert_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    for (; first < end; first++) {
        size_t token = first / p->f.panels, panel = first % p->f.panels;
        x86_float f = p->f;
        f.data += decai__call_expert(a, token) * f.panels * f.panel_bytes;
        p->lanes->float_items(&f, (float *)a->y + token * f.rows, (const float *)a->x + token * f.cols, 1, 1, panel, panel + 1,
            p->room + slice * p->room_each);
    }
}

int32_t
decai__x86_float_matmul(decai__compute *c, decai__call *a, const x86_lanes *lanes)
{
    const decai__matrix *m = a->m;
    size_t size = m->type == DECAI__F32 ? 4 : 2, fit = PACKED_BYTES / (m->cols * 4) / 12 * 12;
    plan p = { .lanes = lanes, .block = DECAI__MIN((size_t)X86_FLOAT_BLOCK, DECAI__MAX((size_t)12, fit)) };
    p.f = (x86_float){ .rows = m->rows, .cols = m->cols, .panels = (m->rows + X86_FLOAT_ROWS - 1) / X86_FLOAT_ROWS, .size = size,
        .panel_bytes = X86_FLOAT_ROWS * m->cols * size, .kind = m->type == DECAI__F32 ? 0 : m->type == DECAI__F16 ? 1 : 2,
        .data = m->quants->host };
    if (a->used) p.block = 1;
    p.block = DECAI__MIN(p.block, a->n);
    p.room_each = p.block * m->cols + 64;
    p.room = decai__host_room(c, c->slices * p.room_each * 4);
    if (!p.room) return DECAI_E_NOMEM;
    a->plan = &p;
    size_t blocks = (a->n + p.block - 1) / p.block, cost = X86_FLOAT_ROWS * m->cols * p.block / 16;
    /* With many blocks a chunk is a whole block: its tokens are packed once. */
    size_t unit = blocks >= 4 * c->slices ? p.f.panels : DECAI__MAX(decai__host_unit(cost), (p.f.panels + 3) / 4);
    if (a->used) decai__host_items(c, a, expert_items, a->n * p.f.panels, decai__host_unit(X86_FLOAT_ROWS * m->cols / 8));
    else decai__host_items(c, a, token_items, blocks * p.f.panels, a->n < 4 ? decai__host_unit(cost) : unit);
    return 0;
}

#endif
