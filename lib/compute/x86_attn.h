/* x86_attn.h - attention on x86-64: what its files share.
 *
 * Cache pages are arranged for lanes. One head of one page (64 positions), dim16 =
 * head_dim rounded up to 16:
 *
 *     F16    K u16 [head_dim][64]              V u16 [64][dim16]
 *     Q8_0   K i8 [head_dim][64], f16 scales [blocks][64]; V i8 [64][dim16], f16 [blocks][64]
 *
 * Two ways through it, both in the contract's order (§11: chains over head_dim and
 * over the positions of a page, pages joined left to right):
 *
 *     many   lanes are queries (16 or 32 of a KV head: its group times tokens).
 *            A page is converted to f32 once for all of them; scores and mix are the
 *            same tile. Prefill and encoders.
 *     few    lanes are positions (scores) and elements (mix); f16 is converted as it
 *            is loaded. Decode: the pages of one head may be cut over slices; each
 *            page's sum and mix stand alone and are joined afterwards, in order.
 *
 * Positions that a query may not see get weight +0 instead of being left out. That
 * changes no bit: 0 * v + acc is acc (but for the sign of a zero, which the join
 * with +0 takes away), as long as v is finite, and caches hold finite values only. */
#ifndef DECAI__X86_ATTN_H
#define DECAI__X86_ATTN_H

#include "compute/backend.h"

#define ATTN_CALLS 16                /* that one decai__x86_attention_each takes */
#define ATTN_FEW_MAX 16              /* queries of a KV head that `few` takes at once */
/* A row of scores is an odd number of lines long: rows a power of two apart would
 * fall into the same sets of the first-level cache. */
#define ATTN_ROW(positions) ((positions) + 16)

typedef struct x86_attn {
    size_t n, heads, group, dim, dim16, pos, window;
    float scale, cap, inverse;
    const float *q, *sinks;
    float *y;
    atomic_int *bad;
    /* cache */
    const decai__kv_layer *layer;    /* NULL: f32 rows below */
    int32_t type;
    size_t head_bytes, v_at, k_scales, v_scales;     /* inside one head of a page */
    /* f32 rows: of the segment's first token; stride floats apart */
    const float *k, *v;
    size_t stride, length;
    float *transposed;               /* its K by pages, [page][dim][64] */
    size_t kv_head, token;           /* token: where the queries start in q and y */
    /* pages from..end-1 of the cache that this call touches */
    size_t page_from, page_end, ranges, range_pages;
    size_t head0;                    /* the head that the scratch below begins with */
    float *scores;                   /* few: [kv_heads][queries][ATTN_ROW(pages * 64)] */
    float *most;                     /* few: [kv_heads][ranges][queries] */
    float *part, *part_sum;          /* few: [kv_heads][pages][queries][dim16]; [..][pages][queries] */
} x86_attn;

/* Where a head's page lies; t is any position of it. */
static inline const uint8_t *
x86_attn_page(const x86_attn *s, size_t head, size_t page)
{
    return (const uint8_t *)s->layer->page[page % s->layer->slots] + head * s->head_bytes;
}

typedef struct x86_attn_isa {
    size_t lanes;                    /* of a vector; `many` takes one or two vectors of queries */
    /* queries first..first+count-1 of s->kv_head (query = token * group + head of the group) */
    void (*many)(const x86_attn *s, size_t first, size_t count, bool wide, float *room);
    /* room that `many` needs, in floats, for so many pages */
    size_t (*many_room)(const x86_attn *s, size_t pages, bool wide);
    /* All of head `head` at once; or the three steps over ranges of pages. */
    void (*few_scores)(const x86_attn *s, size_t head, size_t range, float *room);
    void (*few_mix)(const x86_attn *s, size_t head, size_t range, float *room);
    void (*few_join)(const x86_attn *s, size_t head);
    /* K rows of one page of a segment -> [dim][64] */
    void (*transpose)(float *to, const float *k, size_t stride, size_t count, size_t dim);
    /* f32 -> f16 or q8_0 canonical row; false: does not fit */
    bool (*pack)(uint8_t *row, int32_t type, const float *x, size_t dim);
} x86_attn_isa;

extern const x86_attn_isa decai__attn_avx2, decai__attn_avx512;

#endif /* DECAI__X86_ATTN_H */
