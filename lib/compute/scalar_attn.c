/* scalar_attn.c - keys, values and attention in scalar C (CONTRACT.md §10, §11).
 *
 * One item is one head of one token. Three passes over what it sees: scores, their
 * largest (a sink's logit is one of them), weights in place; then pages of 64
 * positions, from a multiple of 64 on, joined left to right. */
#include "compute/backend.h"
#include "compute/leaf.h"

void
decai__scalar_kv_store(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__kv *kv = a->kv;
    (void)slice;
    for (size_t i = first; i < end; i++)
        for (size_t h = 0; h < kv->kv_heads; h++) {
            size_t at = (i * kv->kv_heads + h) * kv->head_dim;
            bool k = decai__leaf_kv_pack(decai__kv_host_row(kv, a->layer, 0, a->pos + i, h), kv->type,
                (const float *)a->x + at, kv->head_dim);
            bool v = decai__leaf_kv_pack(decai__kv_host_row(kv, a->layer, 1, a->pos + i, h), kv->type,
                (const float *)a->w + at, kv->head_dim);
            if (!k || !v) atomic_store(&a->bad, 1);
        }
}

/* Where one item's keys and values come from: a cache, or f32 rows. */
typedef struct source {
    const decai__kv *kv;
    size_t layer, head;
    const float *k, *v;              /* f32: of position 0 of this head */
    size_t stride, dim;
} source;

static const float *
vector_at(const source *s, int32_t which, size_t pos, float *room)
{
    if (!s->kv) return (which ? s->v : s->k) + pos * s->stride;
    decai__leaf_kv_unpack(room, s->kv->type, decai__kv_host_row(s->kv, s->layer, which, pos, s->head), s->dim);
    return room;
}

/* p[t - from] for positions from..end-1: weights. *sum_of_sink is the sink's.
 * False: a score is not finite. */
static bool
weights_of(float *p, const source *s, const float *q, size_t from, size_t end, const decai__attn *c, const float *sink,
    float *sink_weight)
{
    float room[DECAI__HEAD_MAX], max = sink ? *sink : -__builtin_inff();
    bool finite = true;
    for (size_t t = from; t < end; t++) {
        float score = decai__leaf_score(q, vector_at(s, 0, t, room), s->dim, c->scale, c->softcap);
        if (!(score - score == 0.0f)) finite = false;
        if (score > max) max = score;
        p[t - from] = score;
    }
    for (size_t t = from; t < end; t++) p[t - from] = decai__leaf_weight_of(p[t - from], max);
    *sink_weight = sink ? decai__leaf_weight_of(*sink, max) : 0.0f;
    return finite;
}

/* One page of values into y, which holds the joined pages so far. */
static void
mix_page(float *y, const source *s, const float *p, size_t from, size_t count)
{
    float room[DECAI__HEAD_MAX], acc[DECAI__HEAD_MAX] = { 0 };
    for (size_t t = 0; t < count; t++) {
        const float *v = vector_at(s, 1, from + t, room);
        for (size_t d = 0; d < s->dim; d++) acc[d] = FMA(p[t], v[d], acc[d]);
    }
    for (size_t d = 0; d < s->dim; d++) y[d] = decai__leaf_join(y[d], acc[d]);
}

/* origin: where pages are counted from (a segment's start; 0 in a cache). */
static bool
attend(float *y, const source *s, const float *q, size_t origin, size_t from, size_t end, const decai__attn *c,
    const float *sink, float *p)
{
    float sum = 0.0f, sink_weight;
    bool finite = weights_of(p, s, q, from, end, c, sink, &sink_weight);
    for (size_t d = 0; d < s->dim; d++) y[d] = 0.0f;
    for (size_t t = from; t < end;) {
        size_t next = DECAI__MIN(end, origin + ((t - origin) / DECAI__KV_PAGE + 1) * DECAI__KV_PAGE);
        sum = decai__leaf_join(sum, decai__leaf_page_sum(p + (t - from), next - t));
        mix_page(y, s, p + (t - from), t, next - t);
        t = next;
    }
    if (sink) sum = decai__leaf_join(sum, sink_weight);
    for (size_t d = 0; d < s->dim; d++) y[d] = decai__leaf_attn(y[d], sum);
    return finite;
}

void
decai__scalar_attention(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__attn *c = &a->attn;
    float *p = a->scratch + slice * a->scratch_stride;
    for (size_t item = first; item < end; item++) {
        size_t pos = c->pos + item / c->heads, head = item % c->heads;
        const source s = { .kv = a->kv, .layer = a->layer, .head = head / (c->heads / c->kv_heads), .dim = c->head_dim };
        const float *sink = a->w ? (const float *)a->w + head : NULL;
        size_t from = decai__window_first(pos, a->kv->layer[a->layer].window);
        if (!attend((float *)a->y + item * c->head_dim, &s, (const float *)a->x + item * c->head_dim, 0, from, pos + 1,
                c, sink, p)) atomic_store(&a->bad, 1);
    }
}

/* The segment that holds token i: the last start at or before it. */
static size_t
segment_of(const decai__call *a, size_t i)
{
    size_t low = 0, high = a->segments;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (a->starts[middle] <= i) low = middle;
        else high = middle;
    }
    return low;
}

void
decai__scalar_attention_full(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__attn *c = &a->attn;
    size_t stride = c->kv_heads * c->head_dim, group = c->heads / c->kv_heads;
    float *p = a->scratch + slice * a->scratch_stride;
    for (size_t item = first; item < end; item++) {
        size_t i = item / c->heads, head = item % c->heads / group * c->head_dim, segment = segment_of(a, i);
        const source s = { .k = (const float *)a->w + head, .v = (const float *)a->z + head, .stride = stride, .dim = c->head_dim };
        size_t from = a->starts[segment];
        if (!attend((float *)a->y + item * c->head_dim, &s, (const float *)a->x + item * c->head_dim, from, from,
                a->starts[segment + 1], c, NULL, p)) atomic_store(&a->bad, 1);
    }
}
