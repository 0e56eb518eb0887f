/* cl_kv.c - caches on an OpenCL device, and attention over them.
 *
 * A layer's page slots stand in chunks, made when first written: the first of 16
 * pages, then each as large as all before it, none above the device's largest
 * buffer. kernels/_pages.cl tells a page's layout. Consecutive positions of one
 * chunk are a *run*; storing and attention launch once a run. Attention over several
 * runs takes its scores run by run, then its values run by run, in order: that is
 * the contract's order of pages. */
#include "compute/cl_launch.h"

#define FIRST_PAGES 16
#define SCORES_BYTES ((size_t)64 << 20) /* of scratch: tokens beyond it take another launch */
#define STEP_SCORES 1u
#define STEP_WEIGHTS 2u
#define STEP_VALUES 4u
#define STEP_FIRST 8u
#define STEP_LAST 16u

typedef struct chunk { cl_mem mem; size_t first, slots; } chunk;
typedef struct chunks { chunk *at; size_t count, slots; } chunks;   /* of a layer */

static size_t
page_bytes(const decai__kv *kv)
{
    return 2 * kv->kv_heads * DECAI__KV_PAGE * kv->row_bytes;
}

int32_t
decai__cl_kv_open(decai__kv *kv)
{
    const decai__cl *s = kv->c->impl;
    if (page_bytes(kv) > s->max_alloc)
        return decai__fail(DECAI_E_LIMIT, "kv: a page of %zu bytes, a buffer of \"%s\" holds %zu", page_bytes(kv), kv->c->device, s->max_alloc);
    kv->impl = decai__calloc(kv->c->ctx, kv->layers, sizeof(chunks));
    return kv->impl ? 0 : DECAI_E_NOMEM;
}

void
decai__cl_kv_close(decai__kv *kv)
{
    chunks *all = kv->impl;
    decai__cl *s = kv->c->impl;
    for (size_t l = 0; all && l < kv->layers; l++) {
        for (size_t i = 0; i < all[l].count; i++) decai__cl_drop_buffer(s->hook, all[l].at[i].mem);
        decai__free(kv->c->ctx, all[l].at);
    }
    decai__free(kv->c->ctx, all);
    kv->impl = NULL;
}

static int32_t
add_chunk(decai__kv *kv, chunks *l, size_t slots)
{
    decai__cl *s = kv->c->impl;
    chunk *more = decai__realloc(kv->c->ctx, l->at, l->count * sizeof *more, (l->count + 1) * sizeof *more);
    if (!more) return DECAI_E_NOMEM;
    l->at = more;
    chunk *k = &l->at[l->count];
    *k = (chunk){ .first = l->slots, .slots = slots };
    cl_int e = decai__cl_buffer(s->hook, &k->mem, s->context, slots * page_bytes(kv));
    if (e) return decai__cl_failed(kv->c, "clCreateBuffer", e);
    l->count++;
    l->slots += slots;
    kv->bytes += slots * page_bytes(kv);
    return 0;
}

int32_t
decai__cl_kv_reserve(decai__kv *kv, size_t layer, size_t pos, size_t n)
{
    const decai__cl *s = kv->c->impl;
    const decai__kv_layer *y = &kv->layer[layer];
    chunks *l = (chunks *)kv->impl + layer;
    size_t last = (pos + n - 1) / DECAI__KV_PAGE, need = DECAI__MIN(last + 1, y->slots), most = s->max_alloc / page_bytes(kv);
    int32_t r = 0;
    while (!r && l->slots < need) {
        size_t more = DECAI__MIN(DECAI__MAX(l->slots, (size_t)FIRST_PAGES), y->slots - l->slots);
        r = add_chunk(kv, l, DECAI__MIN(more, most));
    }
    return r;
}

/* The chunk of position pos; *end: where its run ends, at most `limit`. */
static const chunk *
run_at(const decai__kv *kv, size_t layer, size_t pos, size_t limit, size_t *end)
{
    const chunks *l = (const chunks *)kv->impl + layer;
    size_t slot = pos / DECAI__KV_PAGE % kv->layer[layer].slots, i = 0;
    while (l->at[i].first + l->at[i].slots <= slot) i++;
    size_t pages = l->at[i].first + l->at[i].slots - slot;
    *end = DECAI__MIN(limit, (pos / DECAI__KV_PAGE + pages) * DECAI__KV_PAGE);
    return &l->at[i];
}

/* ---- storing and loading --------------------------------------------------------- */

static int32_t
store_run(decai__kv *kv, size_t layer, size_t pos, size_t n, decai__ref k, decai__ref v, uint32_t parts, const char *what)
{
    decai__compute *c = kv->c;
    int32_t r = 0;
    for (size_t at = pos, end; !r && at < pos + n; at = end) {
        const chunk *t = run_at(kv, layer, at, pos + n, &end);
        r = room_for_name(c);
        if (r) return r;
        launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_KV_STORE]);
        arg_mem(&l, t->mem);
        arg_u32(&l, t->first);
        arg_u32(&l, kv->layer[layer].slots);
        arg_ref(&l, k, 4);
        arg_ref(&l, v, 4);
        arg_u32(&l, kv->kv_heads);
        arg_u32(&l, kv->head_dim);
        arg_i32(&l, kv->type == DECAI__KV_Q8_0);
        arg_u32(&l, pos);
        arg_u32(&l, at - pos);
        arg_u32(&l, parts);
        arg_status(&l, what);
        r = launch_end(&l, "kv_store", kv->kv_heads, end - at, 1, 1);
    }
    return r;
}

int32_t
decai__cl_kv_store(decai__compute *c, decai__call *a)
{
    (void)c;
    return store_run(a->kv, a->layer, a->pos, a->n, a->rx, a->rw, 3, a->what);
}

int32_t
decai__cl_kv_put(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x)
{
    decai__tbuf *t = NULL;
    size_t bytes = n * kv->kv_heads * kv->head_dim * 4;
    int32_t r = decai__tbuf_create(&t, kv->c, bytes);
    if (!r) r = decai__tbuf_write(t, 0, x, bytes);
    if (!r) r = store_run(kv, layer, pos, n, DECAI__REF(t), DECAI__REF(t), 1u << which, "kv");
    if (!r) r = decai__cl_sync(kv->c);
    decai__tbuf_destroy(t);
    return r;
}

int32_t
decai__cl_kv_get(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out)
{
    decai__compute *c = kv->c;
    decai__tbuf *t = NULL;
    size_t bytes = n * kv->kv_heads * kv->head_dim * 4;
    int32_t r = decai__tbuf_create(&t, c, bytes);
    for (size_t at = pos, end; !r && at < pos + n; at = end) {
        const chunk *k = run_at(kv, layer, at, pos + n, &end);
        launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_KV_LOAD]);
        arg_mem(&l, k->mem);
        arg_u32(&l, k->first);
        arg_u32(&l, kv->layer[layer].slots);
        arg_ref(&l, DECAI__REF(t), 4);
        arg_u32(&l, kv->kv_heads);
        arg_u32(&l, kv->head_dim);
        arg_i32(&l, kv->type == DECAI__KV_Q8_0);
        arg_u32(&l, pos);
        arg_u32(&l, at - pos);
        arg_u32(&l, (size_t)which);
        r = launch_end(&l, "kv_load", kv->kv_heads, end - at, 1, 1);
    }
    if (!r) r = decai__tbuf_read(t, 0, out, bytes);
    decai__tbuf_destroy(t);
    return r;
}

/* ---- pages for others ---------------------------------------------------------------- */

/* Where a page's bytes lie in its chunk. */
static size_t
page_at(const decai__kv *kv, size_t layer, size_t page, const chunk **t)
{
    size_t end;
    *t = run_at(kv, layer, page * DECAI__KV_PAGE, SIZE_MAX, &end);
    return (page % kv->layer[layer].slots - (*t)->first) * page_bytes(kv);
}

int32_t
decai__cl_kv_take(decai__kv *kv, size_t layer, size_t page, void **at)
{
    decai__cl *s = kv->c->impl;
    const chunk *t;
    size_t from = page_at(kv, layer, page, &t);
    cl_mem own = NULL;
    cl_int e = decai__cl_buffer(s->hook, &own, s->context, page_bytes(kv));
    if (e) return decai__cl_failed(kv->c, "clCreateBuffer", e);
    *at = own;
    return decai__cl_failed(kv->c, "clEnqueueCopyBuffer", decai__cl_copy(s->hook, s->queue, own, 0, t->mem, from, page_bytes(kv)));
}

int32_t
decai__cl_kv_give(decai__kv *kv, size_t layer, size_t page, void *at)
{
    decai__cl *s = kv->c->impl;
    const chunk *t;
    int32_t r = decai__cl_kv_reserve(kv, layer, page * DECAI__KV_PAGE, DECAI__KV_PAGE);
    if (r) return r;
    size_t to = page_at(kv, layer, page, &t);
    return decai__cl_failed(kv->c, "clEnqueueCopyBuffer", decai__cl_copy(s->hook, s->queue, t->mem, to, at, 0, page_bytes(kv)));
}

void
decai__cl_kv_drop(decai__compute *c, void *at)
{
    decai__cl_drop_buffer(((decai__cl *)c->impl)->hook, at);
}

/* ---- attention --------------------------------------------------------------------- */

/* Tokens first..first+count-1 over the run that starts at position c0. */
typedef struct stretch { const chunk *t; size_t c0, c1, base, width, first, count; } stretch;

static int32_t
attend(decai__compute *c, const decai__call *a, const stretch *x, uint32_t steps)
{
    const decai__attn *p = &a->attn;
    const decai__kv_layer *y = &a->kv->layer[a->layer];
    int32_t r = room_for_name(c);
    if (r) return r;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_ATTENTION]);
    arg_ref(&l, a->ry, 4);
    arg_ref(&l, a->rx, 4);
    arg_mem(&l, x->t->mem);
    arg_u32(&l, x->t->first);
    arg_u32(&l, y->slots);
    arg_u32(&l, x->base);
    arg_u32(&l, x->c0);
    arg_u32(&l, x->c1);
    arg_mem(&l, l.s->scores);
    arg_u32(&l, x->width);
    arg_u32(&l, p->heads);
    arg_u32(&l, p->heads / p->kv_heads);
    arg_u32(&l, p->head_dim);
    arg_i32(&l, a->kv->type == DECAI__KV_Q8_0);
    arg_u32(&l, x->first);
    arg_u32(&l, p->pos);
    arg_u32(&l, y->window);
    arg_f32(&l, p->scale);
    arg_f32(&l, p->softcap);
    arg_f32(&l, a->inverse);
    arg_ref(&l, a->rw, 4);
    arg_i32(&l, a->rw.buf != NULL);
    arg_u32(&l, steps);
    arg_status(&l, a->what);
    size_t items = l.s->wide ? 1 : GROUP_ITEMS;
    return launch_end(&l, "attention", p->heads * items, x->count, 1, items);
}

/* All runs of one part of the tokens. */
static int32_t
attend_part(decai__compute *c, const decai__call *a, size_t first, size_t count)
{
    const decai__attn *p = &a->attn;
    size_t from = decai__window_first(p->pos + first, a->kv->layer[a->layer].window), end = p->pos + first + count;
    stretch x = { .base = from / DECAI__KV_PAGE * DECAI__KV_PAGE, .first = first, .count = count };
    x.width = (end - x.base + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE * DECAI__KV_PAGE;
    x.t = run_at(a->kv, a->layer, from, end, &x.c1);
    x.c0 = from;
    if (x.c1 == end) return attend(c, a, &x, STEP_SCORES | STEP_WEIGHTS | STEP_VALUES | STEP_FIRST | STEP_LAST);
    int32_t r = 0;
    for (x.c0 = from; !r && x.c0 < end; x.c0 = x.c1) {
        x.t = run_at(a->kv, a->layer, x.c0, end, &x.c1);
        r = attend(c, a, &x, STEP_SCORES | (x.c1 == end ? STEP_WEIGHTS : 0));
    }
    for (x.c0 = from; !r && x.c0 < end; x.c0 = x.c1) {
        x.t = run_at(a->kv, a->layer, x.c0, end, &x.c1);
        r = attend(c, a, &x, STEP_VALUES | (x.c0 == from ? STEP_FIRST : 0) | (x.c1 == end ? STEP_LAST : 0));
    }
    return r;
}

/* Tokens whose scratch rows fit. */
static size_t
part_of(const decai__cl *s, size_t n, size_t each)
{
    return DECAI__MAX((size_t)1, DECAI__MIN(n, DECAI__MIN(SCORES_BYTES, s->max_alloc) / each));
}

int32_t
decai__cl_attention(decai__compute *c, decai__call *a)
{
    const decai__attn *p = &a->attn;
    decai__cl *s = c->impl;
    size_t from = decai__window_first(p->pos, a->kv->layer[a->layer].window) / DECAI__KV_PAGE * DECAI__KV_PAGE;
    size_t each = p->heads * ((p->pos + p->n - from + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE * DECAI__KV_PAGE + 16) * 4;
    size_t part = part_of(s, p->n, each);
    int32_t r = decai__cl_grow(c, &s->scores, &s->scores_size, part * each);
    for (size_t first = 0; !r && first < p->n; first += part) r = attend_part(c, a, first, DECAI__MIN(part, p->n - first));
    return r;
}

/* First and end of each token's segment. */
static int32_t
write_bounds(decai__compute *c, const decai__call *a, size_t *longest)
{
    decai__cl *s = c->impl;
    uint32_t *b = decai__alloc(c->ctx, a->n * 8);
    if (!b) return DECAI_E_NOMEM;
    *longest = 0;
    for (size_t i = 0; i < a->segments; i++) {
        *longest = DECAI__MAX(*longest, (size_t)(a->starts[i + 1] - a->starts[i]));
        for (size_t t = a->starts[i]; t < a->starts[i + 1]; t++) {
            b[2 * t] = a->starts[i];
            b[2 * t + 1] = a->starts[i + 1];
        }
    }
    int32_t r = decai__cl_grow(c, &s->bounds, &s->bounds_size, a->n * 8);
    if (!r) r = decai__cl_failed(c, "clEnqueueWriteBuffer", decai__cl_write(s->hook, s->queue, s->bounds, 0, a->n * 8, b));
    decai__free(c->ctx, b);
    return r;
}

int32_t
decai__cl_attention_full(decai__compute *c, decai__call *a)
{
    const decai__attn *p = &a->attn;
    decai__cl *s = c->impl;
    size_t longest = 0;
    int32_t r = write_bounds(c, a, &longest);
    size_t width = (longest + 15) / 16 * 16, each = p->heads * (width + 16) * 4, part = part_of(s, p->n, each);
    if (!r) r = decai__cl_grow(c, &s->scores, &s->scores_size, part * each);
    for (size_t first = 0; !r && first < p->n; first += part) {
        size_t count = DECAI__MIN(part, p->n - first), items = s->wide ? 1 : GROUP_ITEMS;
        r = room_for_name(c);
        if (r) return r;
        launch l = launch_begin(c, s->kernels[K_ATTENTION_FULL]);
        arg_ref(&l, a->ry, 4);
        arg_ref(&l, a->rx, 4);
        arg_ref(&l, a->rw, 4);
        arg_ref(&l, a->rz, 4);
        arg_mem(&l, s->scores);
        arg_u32(&l, width);
        arg_mem(&l, s->bounds);
        arg_u32(&l, p->heads);
        arg_u32(&l, p->heads / p->kv_heads);
        arg_u32(&l, p->head_dim);
        arg_u32(&l, first);
        arg_f32(&l, p->scale);
        arg_f32(&l, p->softcap);
        arg_f32(&l, a->inverse);
        arg_status(&l, a->what);
        r = launch_end(&l, "attention_full", p->heads * items, count, 1, items);
    }
    return r;
}
