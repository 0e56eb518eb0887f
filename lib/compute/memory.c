/* memory.c - buffers and prepared matrices: the part that is the same for every
 * backend. Two arrangements of raw rows are offered (backend.h); the rule is §2. */
#include <string.h>

#include "compute/backend.h"

/* ---- buffers ---------------------------------------------------------------- */

static int32_t
alive(const decai__compute *c)
{
    return c->lost ? decai__fail(DECAI_E_DEVICE, "compute: device %s is lost", c->device) : 0;
}

static int32_t
inside(const decai__tbuf *b, size_t at, size_t len)
{
    if (at <= b->size && len <= b->size - at) return 0;
    return decai__fail(DECAI_E_INVALID, "compute buffer: %zu bytes at %zu of %zu", len, at, b->size);
}

int32_t
decai__tbuf_create(decai__tbuf **out, decai__compute *c, size_t bytes)
{
    *out = NULL;
    int32_t r = alive(c);
    if (r) return r;
    decai__tbuf *b = decai__calloc(c->ctx, 1, sizeof *b);
    if (!b) return DECAI_E_NOMEM;
    b->c = c;
    b->size = bytes;
    r = c->table->alloc(b);
    if (r) {
        decai__free(c->ctx, b);
        return r;
    }
    *out = b;
    return 0;
}

void
decai__tbuf_destroy(decai__tbuf *b)
{
    if (!b) return;
    decai_context *ctx = b->c->ctx;
    b->c->table->release(b);
    decai__free(ctx, b);
}

size_t decai__tbuf_size(const decai__tbuf *b) { return b->size; }
const uint8_t *decai__tbuf_host(const decai__tbuf *b) { return b->host; }

int32_t
decai__tbuf_write(decai__tbuf *b, size_t at, const void *data, size_t len)
{
    int32_t r = alive(b->c);
    if (!r) r = inside(b, at, len);
    return r || !len ? r : b->c->table->write(b, at, data, len);
}

int32_t
decai__tbuf_read(decai__tbuf *b, size_t at, void *data, size_t len)
{
    int32_t r = alive(b->c);
    if (!r) r = inside(b, at, len);
    return r ? r : b->c->table->read(b, at, data, len);
}

int32_t
decai__tbuf_copy(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len)
{
    int32_t r = alive(to->c);
    if (!r) r = inside(to, to_at, len);
    if (!r) r = inside(from, from_at, len);
    if (r || !len) return r;
    if (to->c != from->c) return decai__fail(DECAI_E_INVALID, "compute copy: buffers of two backends");
    if (to == from && to_at < from_at + len && from_at < to_at + len)
        return decai__fail(DECAI_E_INVALID, "compute copy: ranges overlap");
    return to->c->table->copy(to, to_at, from, from_at, len);
}

int32_t
decai__compute_sync(decai__compute *c)
{
    int32_t r = alive(c);
    return r ? r : c->table->sync(c);
}

void
decai__compute_begin(decai__compute *c)
{
    if (c->table->begin) c->table->begin(c);
}

void
decai__compute_end(decai__compute *c)
{
    if (c->table->end) c->table->end(c);
}

/* ---- matrices ------------------------------------------------------------------ */

/* Rows are prepared in portions, so that a large tensor needs little host memory
 * beside its final place. */
#define PORTION_BYTES ((size_t)4 << 20)

typedef struct portion {
    int16_t *scales;
    uint8_t *quants;
    size_t rows;                     /* capacity */
} portion;

static void
portion_free(decai_context *ctx, portion *p)
{
    decai__free(ctx, p->scales);
    decai__free(ctx, p->quants);
}

static int32_t
portion_alloc(decai_context *ctx, portion *p, const decai__matrix *m)
{
    p->rows = DECAI__MAX((size_t)1, DECAI__MIN(m->rows, PORTION_BYTES / m->row_bytes));
    p->scales = decai__calloc(ctx, p->rows * (m->cols / DECAI__BLOCK), 2);
    p->quants = decai__alloc(ctx, p->rows * m->row_bytes);
    return p->scales && p->quants ? 0 : DECAI_E_NOMEM;
}

static void
split_row(const decai__matrix *m, portion *p, size_t i, const uint8_t *row)
{
    size_t blocks = m->cols / DECAI__BLOCK, qs = m->type == DECAI__Q8_0 ? 32 : 16;
    int32_t exponent = 0;
    (void)decai__leaf_row_exponent(&exponent, NULL, m->type, row, m->cols);
    for (size_t b = 0; b < blocks; b++) {
        p->scales[i * blocks + b] = (int16_t)decai__leaf_block_scale(m->type, row, b, exponent);
        memcpy(p->quants + i * m->row_bytes + b * qs, row + b * (qs + 2) + 2, qs);
    }
}

static int32_t
split_quantised(decai__matrix *m, const uint8_t *data)
{
    decai_context *ctx = m->c->ctx;
    portion p = { 0 };
    size_t rows = m->experts * m->rows, blocks = m->cols / DECAI__BLOCK;
    int32_t r = portion_alloc(ctx, &p, m);
    for (size_t row = 0; !r && row < rows; row += p.rows) {
        size_t count = DECAI__MIN(p.rows, rows - row);
        for (size_t i = 0; i < count; i++) split_row(m, &p, i, data + (row + i) * m->raw_row);
        r = decai__tbuf_write(m->scales, row * blocks * 2, p.scales, count * blocks * 2);
        if (!r) r = decai__tbuf_write(m->quants, row * m->row_bytes, p.quants, count * m->row_bytes);
    }
    portion_free(ctx, &p);
    return r;
}

int32_t
decai__matrix_split(decai__matrix *m, const uint8_t *data)
{
    bool quantised = m->act >= 0;
    size_t blocks = m->cols / DECAI__BLOCK, rows = m->experts * m->rows;
    m->row_bytes = quantised ? m->raw_row - 2 * blocks : m->raw_row;
    int32_t r = decai__tbuf_create(&m->quants, m->c, rows * m->row_bytes);
    if (r) return r;
    if (!quantised) return decai__tbuf_write(m->quants, 0, data, rows * m->raw_row);
    r = decai__tbuf_create(&m->scales, m->c, rows * blocks * 2);
    return r ? r : split_quantised(m, data);
}

int32_t
decai__matrix_keep_raw(decai__matrix *m, const uint8_t *data)
{
    m->raw = data;
    if (!m->c->repack) return 0;
    m->raw = m->raw_copy = decai__memdup(m->c->ctx, data, m->experts * m->rows * m->raw_row);
    return m->raw_copy ? 0 : DECAI_E_NOMEM;
}

/* Every row is looked at before any is used: by all threads, as a file may be tens
 * of gigabytes. The first bad row is named, however the rows were cut. */
typedef struct scan {
    const decai__matrix *m;
    const uint8_t *data;
    int32_t *exponents;
    size_t rows, slices;
    bool lost;
    _Atomic uint64_t rounded;
    atomic_size_t bad;               /* row; SIZE_MAX: none */
} scan;

static bool
row_fits(const scan *s, size_t row, uint64_t *lost)
{
    const decai__matrix *m = s->m;
    const uint8_t *raw = s->data + row * m->raw_row;
    if (m->act >= 0) return decai__leaf_row_exponent(&s->exponents[row], s->lost ? lost : NULL, m->type, raw, m->cols) == 0;
    for (size_t k = 0; k < m->cols; k++) {
        float w = decai__leaf_weight_f32(m->type, raw, k);
        if (!(w - w == 0.0f)) return false;
    }
    return true;
}

static void
scan_slice(void *user, size_t i)
{
    scan *s = user;
    uint64_t lost = 0;
    size_t row = s->rows * i / s->slices, end = s->rows * (i + 1) / s->slices;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    while (row < end && row_fits(s, row, &lost)) row++;
    decai__fpu_leave(&fpu);
    s->rounded += lost;
    size_t bad = atomic_load(&s->bad);
    while (row < end && row < bad && !atomic_compare_exchange_weak(&s->bad, &bad, row)) continue;
}

#define SCAN_BYTES ((size_t)256 << 10)   /* worth a slice */

static int32_t
scan_rows(decai__matrix *m, const uint8_t *data, int32_t *exponents, uint64_t *lost)
{
    scan s = { .m = m, .data = data, .exponents = exponents, .rows = m->experts * m->rows, .lost = lost != NULL };
    s.slices = DECAI__MIN(DECAI__MIN(s.rows, 4 * m->c->slices), s.rows * m->raw_row / SCAN_BYTES + 1);
    atomic_init(&s.rounded, 0);
    atomic_init(&s.bad, SIZE_MAX);
    if (s.slices == 1) scan_slice(&s, 0);
    else decai__parallel(m->c->ctx, s.slices, scan_slice, &s);
    if (lost) *lost += s.rounded;
    if (s.bad == SIZE_MAX) return 0;
    if (m->act >= 0) return decai__fail(DECAI_E_CORRUPT, "%s: row %zu has a scale that is NaN, infinite or too large", m->name, s.bad);
    size_t k = 0;
    for (float w = 0.0f; w - w == 0.0f; k++) w = decai__leaf_weight_f32(m->type, data + s.bad * m->raw_row, k);
    return decai__fail(DECAI_E_CORRUPT, "%s: row %zu, element %zu is NaN or infinite", m->name, s.bad, k - 1);
}

/* F of every row; a scale that is no number refuses the tensor. */
static int32_t
row_exponents(decai__matrix *m, const uint8_t *data, uint64_t *lost)
{
    size_t rows = m->experts * m->rows;
    int32_t *f = decai__calloc(m->c->ctx, rows, 4), r = f ? scan_rows(m, data, f, lost) : DECAI_E_NOMEM;
    if (!r) r = decai__tbuf_create(&m->exponents, m->c, rows * 4);
    if (!r) r = decai__tbuf_write(m->exponents, 0, f, rows * 4);
    decai__free(m->c->ctx, f);
    return r;
}

static int32_t
matrix_check(const char *name, int32_t type, size_t experts, size_t rows, size_t cols, size_t len)
{
    size_t all, need, raw = decai__row_size(type, cols);
    if (cols > DECAI_COMPUTE_COLS_MAX)
        return decai__fail(DECAI_E_LIMIT, "%s: %zu columns, at most %d", name, cols, DECAI_COMPUTE_COLS_MAX);
    if (!decai__type_known(type)) return decai__fail(DECAI_E_UNSUPPORTED, "%s: tensor type %d", name, type);
    if (!raw || !rows || !experts || experts > DECAI__EXPERTS_MAX)
        return decai__fail(DECAI_E_INVALID, "%s: %zu x %zu rows of %zu columns", name, experts, rows, cols);
    if (!decai__mul_size(&all, experts, rows) || !decai__mul_size(&need, raw, all) || need != len)
        return decai__fail(DECAI_E_INVALID, "%s: %zu bytes for %zu x %zu rows of %zu", name, len, experts, rows, raw);
    return 0;
}

static int32_t
matrix_fill(decai__matrix *m, const uint8_t *data, uint64_t *lost)
{
    int32_t r = m->act >= 0 ? row_exponents(m, data, lost) : scan_rows(m, data, NULL, NULL);
    return r ? r : m->c->table->prepare(m, data);
}

int32_t
decai__matrix_create_experts(decai__matrix **out, decai__compute *c, const char *name, int32_t type,
    size_t experts, size_t rows, size_t cols, const void *data, size_t len, uint64_t *lost)
{
    decai__fpu fpu;
    uint64_t rounded = 0;
    *out = NULL;
    if (lost) *lost = 0;
    int32_t r = alive(c);
    if (!r) r = matrix_check(name, type, experts, rows, cols, len);
    if (r) return r;

    decai__matrix *m = decai__calloc(c->ctx, 1, sizeof *m);
    if (!m) return DECAI_E_NOMEM;
    *m = (decai__matrix){ .c = c, .type = type, .act = decai__type_act(type, c->two_level), .experts = experts, .rows = rows,
        .cols = cols, .raw_row = decai__row_size(type, cols) };
    m->name = decai__strdup(c->ctx, name);
    decai__fpu_enter(&fpu);
    r = m->name ? matrix_fill(m, data, &rounded) : DECAI_E_NOMEM;
    decai__fpu_leave(&fpu);
    if (r) {
        decai__matrix_destroy(m);
        return r;
    }
    if (lost) *lost = rounded;
    *out = m;
    return 0;
}

int32_t
decai__matrix_create(decai__matrix **out, decai__compute *c, const char *name, int32_t type,
    size_t rows, size_t cols, const void *data, size_t len, uint64_t *lost)
{
    return decai__matrix_create_experts(out, c, name, type, 1, rows, cols, data, len, lost);
}

void
decai__matrix_destroy(decai__matrix *m)
{
    if (!m) return;
    if (m->c->table->forget) m->c->table->forget(m);
    decai__tbuf_destroy(m->exponents);
    decai__tbuf_destroy(m->scales);
    decai__tbuf_destroy(m->quants);
    decai__free(m->c->ctx, m->raw_copy);
    decai__free(m->c->ctx, m->name);
    decai__free(m->c->ctx, m);
}

size_t decai__matrix_rows(const decai__matrix *m) { return m->rows; }
size_t decai__matrix_cols(const decai__matrix *m) { return m->cols; }
size_t decai__matrix_experts(const decai__matrix *m) { return m->experts; }
bool decai__matrix_quantised(const decai__matrix *m) { return m->act >= 0; }
int32_t decai__matrix_act(const decai__matrix *m) { return m->act; }
