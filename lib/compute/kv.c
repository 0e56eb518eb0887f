/* kv.c - keys and values of one session.
 *
 * Positions come in pages of DECAI__KV_PAGE (64), the contract's summing unit. A
 * layer without a window has a slot for every page of the capacity; one with a
 * window has just enough slots for window + batch positions and reuses them:
 *
 *     page of position p    p / 64
 *     its slot              p / 64 % slots
 *     alive                 positions first..end-1; writing past the ring moves
 *                           `first` up, truncating moves `end` down
 *
 * Host pages are made when first written and never move. Behind a count of the caches
 * (and index entries) that share one:
 *
 *     [which: k, v][kv_heads][64][row_bytes]      a head's 64 rows are consecutive
 *
 * A shared page is never written: who wants to gets a copy first.
 *
 * What a row holds is decai__leaf_kv_pack's business. */
#include <string.h>

#include "compute/backend.h"

/* ---- the object, the same for every backend ----------------------------------------- */

static int32_t
spec_check(const decai__kv_spec *s)
{
    if (!s->layers || s->layers > 4096 || !s->kv_heads || s->kv_heads > 65536 || !s->head_dim || s->head_dim > DECAI__HEAD_MAX)
        return decai__fail(DECAI_E_INVALID, "kv: %zu layers, %zu heads of %zu", s->layers, s->kv_heads, s->head_dim);
    if (s->type != DECAI__KV_F16 && s->type != DECAI__KV_Q8_0) return decai__fail(DECAI_E_INVALID, "kv: type %d", s->type);
    if (!s->capacity || s->capacity > POSITIONS_MAX || !s->batch || s->batch > TOKENS_MAX)
        return decai__fail(DECAI_E_INVALID, "kv: capacity %zu, batch %zu", s->capacity, s->batch);
    return 0;
}

static size_t
slots_for(const decai__kv_spec *s, size_t window)
{
    size_t all = (s->capacity + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE;
    size_t ring = (window + s->batch + DECAI__KV_PAGE - 2) / DECAI__KV_PAGE + 1;
    return window ? DECAI__MIN(all, ring) : all;
}

int32_t
decai__kv_create(decai__kv **out, decai__compute *c, const decai__kv_spec *s)
{
    *out = NULL;
    if (c->lost) return decai__fail(DECAI_E_DEVICE, "kv: device %s is lost", c->device);
    int32_t r = spec_check(s);
    if (r) return r;
    decai__kv *kv = decai__calloc(c->ctx, 1, sizeof *kv);
    if (!kv) return DECAI_E_NOMEM;
    *kv = (decai__kv){ .c = c, .layers = s->layers, .kv_heads = s->kv_heads, .head_dim = s->head_dim, .capacity = s->capacity,
        .batch = s->batch, .type = s->type, .row_bytes = decai__kv_row_bytes(s->type, s->head_dim) };
    kv->layer = decai__calloc(c->ctx, s->layers, sizeof *kv->layer);
    if (!kv->layer) {
        decai__free(c->ctx, kv);
        return DECAI_E_NOMEM;
    }
    for (size_t l = 0; l < s->layers; l++) {
        kv->layer[l].window = s->window ? s->window[l] : 0;
        kv->layer[l].slots = slots_for(s, kv->layer[l].window);
    }
    r = c->table->kv_open(kv);
    if (r) {
        decai__kv_destroy(kv);
        return r;
    }
    *out = kv;
    return 0;
}

void
decai__kv_destroy(decai__kv *kv)
{
    if (!kv) return;
    kv->c->table->kv_close(kv);
    decai__free(kv->c->ctx, kv->layer);
    decai__free(kv->c->ctx, kv);
}

size_t decai__kv_bytes(const decai__kv *kv) { return kv->bytes; }

static size_t
page_bytes(const decai__kv *kv)
{
    const decai__kernels *own = kv->c->kernels;
    if (own && own->kv_page_bytes) return own->kv_page_bytes(kv);
    return 2 * kv->kv_heads * DECAI__KV_PAGE * kv->row_bytes;
}

size_t
decai__kv_bytes_for(const decai__kv *kv, size_t length)
{
    size_t pages = 0;
    for (size_t l = 0; l < kv->layers; l++)
        pages += DECAI__MIN((length + DECAI__KV_PAGE - 1) / DECAI__KV_PAGE, kv->layer[l].slots);
    return pages * page_bytes(kv);
}

int32_t
decai__kv_reserve(decai__kv *kv, size_t pos, size_t n)
{
    if (kv->c->lost) return decai__fail(DECAI_E_DEVICE, "kv: device %s is lost", kv->c->device);
    if (!n || pos > kv->capacity || n > kv->capacity - pos)
        return decai__fail(DECAI_E_INVALID, "kv: %zu positions at %zu, capacity %zu", n, pos, kv->capacity);
    int32_t r = 0;
    for (size_t l = 0; l < kv->layers && !r; l++) r = kv->c->table->kv_reserve(kv, l, pos, n);
    return r;
}

int32_t
decai__kv_truncate(decai__kv *kv, size_t length)
{
    for (size_t l = 0; l < kv->layers; l++) {
        const decai__kv_layer *y = &kv->layer[l];
        if (length && length < y->end && y->first > decai__window_first(length, y->window))
            return decai__fail(DECAI_E_STATE, "kv: position %zu of layer %zu is gone, the ring starts at %zu",
                decai__window_first(length, y->window), l, y->first);
    }
    for (size_t l = 0; l < kv->layers; l++) {
        decai__kv_layer *y = &kv->layer[l];
        if (length < y->end) y->end = length;
        if (y->first >= y->end) y->first = y->end = length ? y->end : 0;
    }
    return 0;
}

/* Positions pos..pos+n-1 become alive: after the last, or over what is there. */
int32_t
decai__kv_extend(decai__kv *kv, size_t layer, size_t pos, size_t n)
{
    decai__kv_layer *y = &kv->layer[layer];
    if (pos > y->end || pos < y->first)
        return decai__fail(DECAI_E_STATE, "kv: store at %zu of layer %zu, which holds %zu..%zu", pos, layer, y->first, y->end);
    int32_t r = kv->c->table->kv_reserve(kv, layer, pos, n);
    if (r) return r;
    y->end = DECAI__MAX(y->end, pos + n);
    /* The page that the ring is about to reuse takes its positions along. */
    size_t last_page = (y->end - 1) / DECAI__KV_PAGE;
    if (last_page >= y->slots) y->first = DECAI__MAX(y->first, (last_page + 1 - y->slots) * DECAI__KV_PAGE);
    return 0;
}

/* ---- pages for others ------------------------------------------------------------------ */

size_t decai__kv_page_bytes(const decai__kv *kv) { return kv->layers * page_bytes(kv); }

void
decai__kv_page_drop(decai__kv_page *p)
{
    if (!p) return;
    for (size_t l = 0; l < p->layers; l++)
        if (p->at[l]) p->c->table->kv_drop(p->c, p->at[l]);
    decai__free(p->c->ctx, p);
}

int32_t
decai__kv_page_take(decai__kv_page **out, decai__kv *kv, size_t page)
{
    int32_t r = 0;
    *out = NULL;
    if (kv->c->lost) return decai__fail(DECAI_E_DEVICE, "kv: device %s is lost", kv->c->device);
    for (size_t l = 0; l < kv->layers; l++)
        if (kv->layer[l].first > page * DECAI__KV_PAGE || kv->layer[l].end < (page + 1) * DECAI__KV_PAGE)
            return decai__fail(DECAI_E_STATE, "kv: page %zu, layer %zu holds %zu..%zu", page, l, kv->layer[l].first, kv->layer[l].end);
    decai__kv_page *p = decai__calloc(kv->c->ctx, 1, sizeof *p + kv->layers * sizeof(void *));
    if (!p) return DECAI_E_NOMEM;
    p->c = kv->c;
    p->layers = kv->layers;
    p->bytes = page_bytes(kv);
    for (size_t l = 0; l < kv->layers && !r; l++) r = kv->c->table->kv_take(kv, l, page, &p->at[l]);
    if (r) decai__kv_page_drop(p);
    else *out = p;
    return r;
}

int32_t
decai__kv_page_give(decai__kv *kv, size_t page, const decai__kv_page *p)
{
    int32_t r = 0;
    if (p->c != kv->c || p->layers != kv->layers || p->bytes != page_bytes(kv) || (page + 1) * DECAI__KV_PAGE > kv->capacity)
        return decai__fail(DECAI_E_INVALID, "kv: page %zu is not one of this cache", page);
    for (size_t l = 0; l < kv->layers; l++)
        if (kv->layer[l].end != page * DECAI__KV_PAGE)
            return decai__fail(DECAI_E_STATE, "kv: page %zu, layer %zu ends at %zu", page, l, kv->layer[l].end);
    for (size_t l = 0; l < kv->layers && !r; l++) r = kv->c->table->kv_give(kv, l, page, p->at[l]);
    for (size_t l = 0; l < kv->layers && !r; l++) {
        decai__kv_layer *y = &kv->layer[l];
        y->end = (page + 1) * DECAI__KV_PAGE;
        if (page >= y->slots) y->first = DECAI__MAX(y->first, (page + 1 - y->slots) * DECAI__KV_PAGE);
    }
    return r;
}

static int32_t
range_check(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n)
{
    if (kv->c->lost) return decai__fail(DECAI_E_DEVICE, "kv: device %s is lost", kv->c->device);
    if (layer >= kv->layers || which < 0 || which > 1 || pos > kv->capacity || n > kv->capacity - pos)
        return decai__fail(DECAI_E_INVALID, "kv: layer %zu, part %d, %zu positions at %zu", layer, which, n, pos);
    return 0;
}

int32_t
decai__kv_read(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out)
{
    int32_t r = range_check(kv, layer, which, pos, n);
    if (r || !n) return r;
    const decai__kv_layer *y = &kv->layer[layer];
    if (pos < y->first || pos + n > y->end)
        return decai__fail(DECAI_E_STATE, "kv: read of %zu..%zu, layer %zu holds %zu..%zu", pos, pos + n, layer, y->first, y->end);
    return kv->c->table->kv_get(kv, layer, which, pos, n, out);
}

int32_t
decai__kv_write(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x)
{
    int32_t r = range_check(kv, layer, which, pos, n);
    if (r || !n) return r;
    r = decai__kv_extend(kv, layer, pos, n);
    return r ? r : kv->c->table->kv_put(kv, layer, which, pos, n, x);
}

/* ---- pages in host memory ------------------------------------------------------------- */

int32_t
decai__kv_host_open(decai__kv *kv)
{
    for (size_t l = 0; l < kv->layers; l++) {
        kv->layer[l].page = decai__calloc(kv->c->ctx, kv->layer[l].slots, sizeof(void *));
        if (!kv->layer[l].page) return DECAI_E_NOMEM;
        kv->bytes += kv->layer[l].slots * sizeof(void *);
    }
    return 0;
}

#define PAGE_HEAD 64                 /* before a page: how many share it; keeps its alignment */

static atomic_uint *
sharers(void *page)
{
    return (atomic_uint *)(void *)((uint8_t *)page - PAGE_HEAD);
}

static void *
page_create(const decai__kv *kv)
{
    /* SIMD may read past a row, never write. */
    uint8_t *block = decai__calloc(kv->c->ctx, 1, PAGE_HEAD + page_bytes(kv) + 64);
    if (!block) return NULL;
    atomic_init(sharers(block + PAGE_HEAD), 1);
    return block + PAGE_HEAD;
}

void
decai__kv_host_drop(decai__compute *c, void *page)
{
    if (page && atomic_fetch_sub(sharers(page), 1) == 1) decai__free(c->ctx, (uint8_t *)page - PAGE_HEAD);
}

void
decai__kv_host_close(decai__kv *kv)
{
    for (size_t l = 0; l < kv->layers; l++) {
        decai__kv_layer *y = &kv->layer[l];
        for (size_t i = 0; y->page && i < y->slots; i++) decai__kv_host_drop(kv->c, y->page[i]);
        decai__free(kv->c->ctx, y->page);
        y->page = NULL;
    }
}

int32_t
decai__kv_host_reserve(decai__kv *kv, size_t layer, size_t pos, size_t n)
{
    decai__kv_layer *y = &kv->layer[layer];
    for (size_t page = pos / DECAI__KV_PAGE; page <= (pos + n - 1) / DECAI__KV_PAGE; page++) {
        void **at = &y->page[page % y->slots], *old = *at;
        if (old && atomic_load(sharers(old)) == 1) continue;
        void *own = page_create(kv);
        if (!own) return DECAI_E_NOMEM;
        if (old) memcpy(own, old, page_bytes(kv));
        else kv->bytes += page_bytes(kv) + 64;
        decai__kv_host_drop(kv->c, old);
        *at = own;
    }
    return 0;
}

int32_t
decai__kv_host_take(decai__kv *kv, size_t layer, size_t page, void **at)
{
    const decai__kv_layer *y = &kv->layer[layer];
    *at = y->page[page % y->slots];
    atomic_fetch_add(sharers(*at), 1);
    return 0;
}

int32_t
decai__kv_host_give(decai__kv *kv, size_t layer, size_t page, void *at)
{
    const decai__kv_layer *y = &kv->layer[layer];
    void **to = &y->page[page % y->slots];
    if (!*to) kv->bytes += page_bytes(kv) + 64;
    decai__kv_host_drop(kv->c, *to);
    *to = at;
    atomic_fetch_add(sharers(at), 1);
    return 0;
}

uint8_t *
decai__kv_host_row(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t head)
{
    const decai__kv_layer *y = &kv->layer[layer];
    uint8_t *page = y->page[pos / DECAI__KV_PAGE % y->slots];
    return page + (((size_t)which * kv->kv_heads + head) * DECAI__KV_PAGE + pos % DECAI__KV_PAGE) * kv->row_bytes;
}

/* One canonical row out of its place, or into it. */
static void
host_row(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t head, uint8_t *row, bool in)
{
    if (kv->c->kernels && kv->c->kernels->kv_row) {
        kv->c->kernels->kv_row(kv, layer, which, pos, head, row, in);
        return;
    }
    uint8_t *at = decai__kv_host_row(kv, layer, which, pos, head);
    memcpy(in ? at : row, in ? row : at, kv->row_bytes);
}

int32_t
decai__kv_host_get(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out)
{
    uint8_t row[2 * DECAI__HEAD_MAX + 64];
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    for (size_t i = 0; i < n * kv->kv_heads; i++) {
        host_row(kv, layer, which, pos + i / kv->kv_heads, i % kv->kv_heads, row, false);
        decai__leaf_kv_unpack(out + i * kv->head_dim, kv->type, row, kv->head_dim);
    }
    decai__fpu_leave(&fpu);
    return 0;
}

int32_t
decai__kv_host_put(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x)
{
    uint8_t row[2 * DECAI__HEAD_MAX + 64];
    bool fits = true;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    for (size_t i = 0; i < n * kv->kv_heads; i++) {
        fits &= decai__leaf_kv_pack(row, kv->type, x + i * kv->head_dim, kv->head_dim);
        host_row(kv, layer, which, pos + i / kv->kv_heads, i % kv->kv_heads, row, true);
    }
    decai__fpu_leave(&fpu);
    return fits ? 0 : decai__fail(DECAI_E_INTEGRITY, "kv: a value is NaN, infinite or too large");
}

/* ---- pages as bytes --------------------------------------------------------------------- */

size_t
decai__kv_page_size(const decai__kv *kv)
{
    return kv->layers * 2 * kv->kv_heads * DECAI__KV_PAGE * kv->row_bytes;
}

static bool
f16_finite(const uint8_t *p)
{
    return (decai__load_le16(p) & 0x7c00) != 0x7c00;
}

/* Could decai__leaf_kv_pack have made it? */
static bool
row_possible(const decai__kv *kv, const uint8_t *row)
{
    size_t halves = kv->type == DECAI__KV_F16 ? kv->head_dim : (kv->head_dim + 31) / 32;
    bool good = true;
    for (size_t i = 0; i < halves; i++) good &= f16_finite(row + 2 * i);
    if (kv->type == DECAI__KV_F16) return good;
    for (size_t b = 0; b < halves; b++) good &= !(row[2 * b + 1] & 0x80);
    for (size_t d = 0; d < kv->head_dim; d++) good &= row[2 * halves + d] != 0x80;
    return good;
}

/* 64 positions of one layer's keys or values, to or from rows. */
static int32_t
move_part(decai__kv *kv, size_t layer, int32_t which, size_t pos, uint8_t *rows, bool in)
{
    size_t count = DECAI__KV_PAGE * kv->kv_heads;
    if (!kv->c->kernels) {                           /* a device: by way of exact floats */
        float *x = decai__alloc(kv->c->ctx, count * kv->head_dim * sizeof *x);
        if (!x) return DECAI_E_NOMEM;
        int32_t r = in ? 0 : kv->c->table->kv_get(kv, layer, which, pos, DECAI__KV_PAGE, x);
        for (size_t i = 0; i < count && !r; i++) {
            if (in) decai__leaf_kv_unpack(x + i * kv->head_dim, kv->type, rows + i * kv->row_bytes, kv->head_dim);
            else (void)decai__leaf_kv_pack(rows + i * kv->row_bytes, kv->type, x + i * kv->head_dim, kv->head_dim);
        }
        if (in && !r) r = kv->c->table->kv_put(kv, layer, which, pos, DECAI__KV_PAGE, x);
        decai__free(kv->c->ctx, x);
        return r;
    }
    for (size_t i = 0; i < count; i++)
        host_row(kv, layer, which, pos + i / kv->kv_heads, i % kv->kv_heads, rows + i * kv->row_bytes, in);
    return 0;
}

static int32_t
move_page(decai__kv *kv, size_t page, uint8_t *rows, bool in)
{
    size_t part = kv->kv_heads * DECAI__KV_PAGE * kv->row_bytes;
    int32_t r = 0;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    for (size_t i = 0; i < 2 * kv->layers && !r; i++)
        r = move_part(kv, i / 2, (int32_t)(i % 2), page * DECAI__KV_PAGE, rows + i * part, in);
    decai__fpu_leave(&fpu);
    return r;
}

int32_t
decai__kv_page_export(decai__kv *kv, size_t page, uint8_t *out)
{
    if (kv->c->lost) return decai__fail(DECAI_E_DEVICE, "kv: device %s is lost", kv->c->device);
    for (size_t l = 0; l < kv->layers; l++)
        if (kv->layer[l].first > page * DECAI__KV_PAGE || kv->layer[l].end < (page + 1) * DECAI__KV_PAGE)
            return decai__fail(DECAI_E_STATE, "kv: page %zu, layer %zu holds %zu..%zu", page, l, kv->layer[l].first, kv->layer[l].end);
    return move_page(kv, page, out, false);
}

int32_t
decai__kv_page_import(decai__kv *kv, size_t page, const uint8_t *data)
{
    size_t pos = page * DECAI__KV_PAGE, rows = decai__kv_page_size(kv) / kv->row_bytes;
    int32_t r = range_check(kv, 0, 0, pos, DECAI__KV_PAGE);
    for (size_t i = 0; i < rows && !r; i++)
        if (!row_possible(kv, data + i * kv->row_bytes)) r = decai__fail(DECAI_E_INTEGRITY, "kv: row %zu of a page holds what no cache can", i);
    for (size_t l = 0; l < kv->layers && !r; l++)
        if (kv->layer[l].end != pos) r = decai__fail(DECAI_E_STATE, "kv: page %zu, layer %zu ends at %zu", page, l, kv->layer[l].end);
    if (!r) r = decai__kv_reserve(kv, pos, DECAI__KV_PAGE);
    for (size_t l = 0; l < kv->layers && !r; l++) r = decai__kv_extend(kv, l, pos, DECAI__KV_PAGE);
    /* Read only where `in` is true. */
    if (!r) r = move_page(kv, page, (uint8_t *)(uintptr_t)data, true);
    return r;
}
