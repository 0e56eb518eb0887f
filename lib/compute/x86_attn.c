/* x86_attn.c - attention on x86-64: layout of cache pages, and how an op is cut into
 * items (x86_attn.h tells the two ways; x86_attn_body.h computes).
 *
 *     many   an item is a block of queries of one KV head, the longest first;
 *            encoders: (segment, KV head, up to 256 queries), K transposed once
 *     few    an item is a KV head; or, if heads do not fill the slices evenly and
 *            there are pages enough, a range of its pages: scores of all ranges,
 *            then weights and mixes of all, then the joins */
#include <string.h>

#include "compute/x86_lanes.h"

#if defined(__x86_64__)

#define WIDE_PAGES 512               /* up to here two vectors of queries: 4 MiB of scores a slice */
#define FULL_QUERIES 256             /* of an encoder's item */

/* ---- pages --------------------------------------------------------------------- */

static void
layout(x86_attn *s, int32_t type, size_t dim)
{
    size_t size = type == DECAI__KV_F16 ? 2 : 1, scales = type == DECAI__KV_F16 ? 0 : (dim + 31) / 32 * DECAI__KV_PAGE * 2;
    s->type = type;
    s->dim = dim;
    s->dim16 = (dim + 15) & ~(size_t)15;
    s->k_scales = dim * DECAI__KV_PAGE * size;
    s->v_at = s->k_scales + scales;
    s->v_scales = s->v_at + s->dim16 * DECAI__KV_PAGE * size;
    s->head_bytes = decai__pad64(s->v_scales + scales);
}

size_t
decai__x86_kv_page_bytes(const decai__kv *kv)
{
    x86_attn s;
    layout(&s, kv->type, kv->head_dim);
    return kv->kv_heads * s.head_bytes;
}

/* A canonical row (decai__leaf_kv_pack) into its place, or out of it. */
static void
move_row(const x86_attn *s, uint8_t *head, int32_t which, size_t t, uint8_t *row, bool in)
{
    size_t blocks = s->type == DECAI__KV_F16 ? 0 : (s->dim + 31) / 32, size = blocks ? 1 : 2;
    uint8_t *scales = head + (which ? s->v_scales : s->k_scales), *values = head + (which ? s->v_at : 0);
    size_t first = which ? t * s->dim16 : t, step = which ? 1 : DECAI__KV_PAGE;
    for (size_t b = 0; b < blocks; b++) {
        uint8_t *at = scales + (b * DECAI__KV_PAGE + t) * 2;
        memcpy(in ? at : row + 2 * b, in ? row + 2 * b : at, 2);
    }
    row += 2 * blocks;
    if (which) {
        memcpy(in ? values + first * size : row, in ? row : values + first * size, s->dim * size);
        return;
    }
    for (size_t d = 0; d < s->dim; d++) {
        uint8_t *at = values + (first + d * step) * size;
        if (size == 2) memcpy(in ? at : row + 2 * d, in ? row + 2 * d : at, 2);
        else *(in ? at : row + d) = *(in ? row + d : at);
    }
}

void
decai__x86_kv_row(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t head, uint8_t *row, bool in)
{
    const decai__kv_layer *y = &kv->layer[layer];
    x86_attn s;
    layout(&s, kv->type, kv->head_dim);
    move_row(&s, (uint8_t *)y->page[pos / DECAI__KV_PAGE % y->slots] + head * s.head_bytes, which, pos % DECAI__KV_PAGE, row, in);
}

void
decai__x86_kv_store(const x86_attn_isa *isa, decai__call *a, size_t first, size_t end)
{
    const decai__kv *kv = a->kv;
    const decai__kv_layer *y = &kv->layer[a->layer];
    uint8_t row[2 * DECAI__HEAD_MAX + 64];
    x86_attn s;
    layout(&s, kv->type, kv->head_dim);
    for (size_t i = first; i < end; i++)
        for (size_t h = 0; h < kv->kv_heads; h++) {
            size_t at = (i * kv->kv_heads + h) * kv->head_dim, pos = a->pos + i;
            uint8_t *page = (uint8_t *)y->page[pos / DECAI__KV_PAGE % y->slots] + h * s.head_bytes;
            for (int32_t which = 0; which < 2; which++) {
                if (!isa->pack(row, kv->type, (const float *)(which ? a->w : a->x) + at, kv->head_dim)) atomic_store(&a->bad, 1);
                move_row(&s, page, which, pos % DECAI__KV_PAGE, row, true);
            }
        }
}

/* ---- what all items share --------------------------------------------------------- */

typedef struct plan {
    x86_attn s;
    const x86_attn_isa *isa;
    bool wide;
    size_t block, blocks, kv_heads;  /* many: queries of an item, items of a head */
    size_t queries;
    float *room;
    size_t room_each;                /* floats a slice */
    size_t most_pages;               /* encoders: of a segment */
} plan;

static void
plan_open(plan *p, const x86_attn_isa *isa, decai__call *a)
{
    const decai__attn *c = &a->attn;
    *p = (plan){ .isa = isa, .kv_heads = c->kv_heads };
    if (a->kv) layout(&p->s, a->kv->type, c->head_dim);
    x86_attn *s = &p->s;
    s->dim = c->head_dim;
    s->dim16 = (c->head_dim + 15) & ~(size_t)15;
    s->n = c->n;
    s->heads = c->heads;
    s->group = c->heads / c->kv_heads;
    s->pos = c->pos;
    s->scale = c->scale;
    s->cap = c->softcap;
    s->inverse = a->inverse;          /* divided at the door, in the contract's mode */
    s->q = (const float *)a->x;
    s->y = (float *)a->y;
    s->bad = &a->bad;
}

static float *
slice_room(const plan *p, size_t slice)
{
    return p->room + slice * p->room_each;
}

/* ---- many: blocks of queries ------------------------------------------------------- */

static void
many_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    for (; first < end; first++) {
        x86_attn s = p->s;
        size_t at = (p->blocks - 1 - first / p->kv_heads) * p->block;
        s.kv_head = first % p->kv_heads;
        p->isa->many(&s, at, DECAI__MIN(p->block, p->queries - at), p->wide, slice_room(p, slice));
    }
}

static int32_t
run_many(decai__compute *c, decai__call *a, plan *p)
{
    size_t pages = p->s.page_end - p->s.page_from;
    p->wide = p->queries > p->isa->lanes && pages <= WIDE_PAGES;
    p->block = p->isa->lanes * (p->wide ? 2 : 1);
    p->blocks = (p->queries + p->block - 1) / p->block;
    p->room_each = p->isa->many_room(&p->s, pages, p->wide);
    p->room = decai__host_room(c, c->slices * p->room_each * 4);
    if (!p->room) return DECAI_E_NOMEM;
    decai__host_items(c, a, many_items, p->kv_heads * p->blocks, 1);
    return 0;
}

/* ---- few: heads, or ranges of their pages ------------------------------------------- */

static void
few_heads(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    for (; first < end; first++) {
        p->isa->few_scores(&p->s, first, 0, slice_room(p, slice));
        p->isa->few_mix(&p->s, first, 0, slice_room(p, slice));
        p->isa->few_join(&p->s, first);
    }
}

static void
few_scores(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    for (; first < end; first++) p->isa->few_scores(&p->s, first / p->s.ranges, first % p->s.ranges, slice_room(p, slice));
}

static void
few_mix(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    for (; first < end; first++) p->isa->few_mix(&p->s, first / p->s.ranges, first % p->s.ranges, slice_room(p, slice));
}

static void
few_join(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    (void)slice;
    for (; first < end; first++) p->isa->few_join(&p->s, first);
}

static void
few_ranges(const decai__compute *c, plan *p, size_t pages)
{
    x86_attn *s = &p->s;
    s->ranges = 1;
    if (c->slices > 1 && p->kv_heads % c->slices && pages >= 16)
        s->ranges = DECAI__MIN(pages / 4, (4 * c->slices + p->kv_heads - 1) / p->kv_heads);
    s->range_pages = (pages + s->ranges - 1) / s->ranges;
    s->ranges = (pages + s->range_pages - 1) / s->range_pages;
}

static int32_t
run_few(decai__compute *c, decai__call *a, plan *p)
{
    x86_attn *s = &p->s;
    size_t pages = s->page_end - s->page_from, rows = p->kv_heads * p->queries;
    few_ranges(c, p, pages);
    p->room_each = ATTN_FEW_MAX * DECAI__HEAD_MAX + DECAI__KV_PAGE * s->dim16 + 64;
    size_t scores = rows * ATTN_ROW(pages * DECAI__KV_PAGE), part = rows * pages * s->dim16, sums = rows * pages, most = rows * s->ranges;
    s->scores = decai__host_room(c, (scores + part + sums + most + 64 + c->slices * p->room_each) * 4);
    if (!s->scores) return DECAI_E_NOMEM;
    s->part = s->scores + scores;
    s->part_sum = s->part + part;
    s->most = s->part_sum + sums;
    p->room = s->most + ((most + 15) & ~(size_t)15);
    size_t cost = pages * DECAI__KV_PAGE * s->dim * p->queries / 8;
    if (s->ranges == 1) {
        decai__host_items(c, a, few_heads, p->kv_heads, decai__host_unit(cost));
        return 0;
    }
    decai__host_items(c, a, few_scores, p->kv_heads * s->ranges, 1);
    decai__host_items(c, a, few_mix, p->kv_heads * s->ranges, 1);
    decai__host_items(c, a, few_join, p->kv_heads, decai__host_unit(pages * s->dim16 * p->queries / 8));
    return 0;
}

/* Of a call over a cache; true: few. */
static bool
plan_cache(plan *p, const x86_attn_isa *isa, decai__call *a)
{
    plan_open(p, isa, a);
    x86_attn *s = &p->s;
    s->layer = &a->kv->layer[a->layer];
    s->window = s->layer->window;
    s->sinks = (const float *)a->w;
    s->page_from = decai__window_first(s->pos, s->window) / DECAI__KV_PAGE;
    s->page_end = (s->pos + s->n + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE;
    p->queries = s->n * s->group;
    return p->queries <= ATTN_FEW_MAX && (s->n == 1 || p->queries < isa->lanes);
}

int32_t
decai__x86_attention(decai__compute *c, decai__call *a, const x86_attn_isa *isa)
{
    plan p;
    a->plan = &p;
    return plan_cache(&p, isa, a) ? run_few(c, a, &p) : run_many(c, a, &p);
}

/* ---- several caches, few queries of each: an item is a head of a call ------------------ */

typedef struct several {
    decai__call *calls;
    const x86_attn_isa *isa;
    size_t call[ATTN_CALLS], count, kv_heads, room_each;     /* of those with few queries */
    float *room;
} several;

/* Floats that one head of a call needs. */
static size_t
head_room(const plan *p)
{
    const x86_attn *s = &p->s;
    size_t pages = s->page_end - s->page_from, rows = p->queries;
    return rows * ATTN_ROW(pages * DECAI__KV_PAGE) + rows * pages * (s->dim16 + 1) + rows + 64
        + ATTN_FEW_MAX * DECAI__HEAD_MAX + DECAI__KV_PAGE * s->dim16;
}

static void
several_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    const several *all = a->plan;
    for (; first < end; first++) {
        decai__call *one = &all->calls[all->call[first / all->kv_heads]];
        size_t head = first % all->kv_heads;
        plan p;
        (void)plan_cache(&p, all->isa, one);
        x86_attn *s = &p.s;
        size_t pages = s->page_end - s->page_from, rows = p.queries;
        s->head0 = head;
        s->ranges = 1;
        s->range_pages = pages;
        s->scores = all->room + slice * all->room_each;
        s->part = s->scores + rows * ATTN_ROW(pages * DECAI__KV_PAGE);
        s->part_sum = s->part + rows * pages * s->dim16;
        s->most = s->part_sum + rows * pages;
        float *room = s->most + ((rows + 15) & ~(size_t)15);
        all->isa->few_scores(s, head, 0, room);
        all->isa->few_mix(s, head, 0, room);
        all->isa->few_join(s, head);
    }
}

int32_t
decai__x86_attention_each(decai__compute *c, decai__call *calls, size_t count, const x86_attn_isa *isa)
{
    several all = { .calls = calls, .isa = isa, .kv_heads = calls[0].attn.kv_heads };
    decai__call a = { .plan = &all };
    size_t cost = 1;
    int32_t r = 0;
    decai__assert(count <= ATTN_CALLS);
    for (size_t i = 0; i < count; i++) {
        plan p;
        if (!plan_cache(&p, isa, &calls[i])) continue;
        all.call[all.count++] = i;
        all.room_each = DECAI__MAX(all.room_each, (head_room(&p) + 15) & ~(size_t)15);
        cost = DECAI__MAX(cost, (p.s.page_end - p.s.page_from) * DECAI__KV_PAGE * p.s.dim * p.queries / 8);
    }
    if (all.count > 1) {
        all.room = decai__host_room(c, c->slices * all.room_each * 4);
        if (!all.room) return DECAI_E_NOMEM;
        decai__host_items(c, &a, several_items, all.count * all.kv_heads, decai__host_unit(cost));
    }
    for (size_t i = 0, j = 0; i < count && !r; i++) {
        bool few = j < all.count && all.call[j] == i;
        if (few) j++;
        if (!few || all.count == 1) r = decai__x86_attention(c, &calls[i], isa);
    }
    return r;
}

/* ---- encoders ---------------------------------------------------------------------------- */

/* Items of a segment: its heads times its parts of FULL_QUERIES queries. */
static size_t
full_parts(const plan *p, size_t length)
{
    return (length * p->s.group + FULL_QUERIES - 1) / FULL_QUERIES;
}

static void
full_item(const plan *p, const decai__call *a, size_t segment, size_t part, size_t head, float *room)
{
    x86_attn s = p->s;
    size_t from = a->starts[segment], pages;
    s.token = from;
    s.length = a->starts[segment + 1] - from;
    s.kv_head = head;
    s.k = (const float *)a->w + from * s.stride + head * s.dim;
    s.v = (const float *)a->z + from * s.stride + head * s.dim;
    s.transposed = room;
    pages = (s.length + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE;
    for (size_t i = 0; i < pages; i++)
        p->isa->transpose(room + i * DECAI__KV_PAGE * s.dim, s.k + i * DECAI__KV_PAGE * s.stride, s.stride,
            DECAI__MIN((size_t)DECAI__KV_PAGE, s.length - i * DECAI__KV_PAGE), s.dim);
    size_t queries = s.length * s.group, end = DECAI__MIN(queries, (part + 1) * FULL_QUERIES);
    bool wide = queries > p->isa->lanes && pages <= WIDE_PAGES;
    size_t block = p->isa->lanes * (wide ? 2 : 1);
    for (size_t at = part * FULL_QUERIES; at < end; at += block)
        p->isa->many(&s, at, DECAI__MIN(block, end - at), wide, room + p->most_pages * DECAI__KV_PAGE * s.dim);
}

/* Item numbers run over segments, then parts, then heads. */
static void
full_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    size_t segment = 0, before = 0;
    for (; first < end; first++) {
        size_t count;
        while ((count = full_parts(p, a->starts[segment + 1] - a->starts[segment]) * p->kv_heads) <= first - before) {
            before += count;
            segment++;
        }
        full_item(p, a, segment, (first - before) / p->kv_heads, (first - before) % p->kv_heads, slice_room(p, slice));
    }
}

int32_t
decai__x86_attention_full(decai__compute *c, decai__call *a, const x86_attn_isa *isa)
{
    plan p;
    size_t items = 0;
    a->plan = &p;
    plan_open(&p, isa, a);
    p.s.stride = a->attn.kv_heads * a->attn.head_dim;
    for (size_t i = 0; i < a->segments; i++) {
        size_t length = a->starts[i + 1] - a->starts[i];
        items += full_parts(&p, length) * p.kv_heads;
        p.most_pages = DECAI__MAX(p.most_pages, (length + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE);
    }
    if (!items) return 0;
    p.room_each = p.most_pages * DECAI__KV_PAGE * p.s.dim + p.isa->many_room(&p.s, p.most_pages, p.most_pages <= WIDE_PAGES);
    p.room = decai__host_room(c, c->slices * p.room_each * 4);
    if (!p.room) return DECAI_E_NOMEM;
    size_t cost = a->attn.n / a->segments * a->attn.n / a->segments * p.s.dim * p.s.group / 8;
    decai__host_items(c, a, full_items, items, decai__host_unit(cost));
    return 0;
}

#endif
