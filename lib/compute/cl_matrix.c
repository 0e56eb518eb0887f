/* cl_matrix.c - weights on an OpenCL device, and products with them.
 *
 * Rows are packed in groups of 16 (cl_pack.c; float types: [column][row of 16]) and
 * stand in parts, each in buffers of at most the device's largest allocation: a
 * part is a range of experts, or, where one expert is too large, of its groups. A
 * product is a launch for each part; which part a row is in cannot show. */
#include <string.h>

#include "compute/cl_launch.h"

typedef struct part {
    size_t expert0, experts, group0, groups;     /* groups of each expert */
    cl_mem exponents, scales, quants;            /* a float type: quants only */
} part;

typedef struct packed {
    size_t groups;                               /* of a whole expert */
    size_t quants_each, scales_each;             /* bytes of a group */
    size_t count;
    part part[];
} packed;

/* ---- packing -------------------------------------------------------------------- */

#define PORTION_BYTES ((size_t)4 << 20)          /* packed on the host at a time */

typedef struct portion {
    const decai__matrix *m;
    const packed *p;
    const part *t;
    const uint8_t *data;
    size_t first;                                /* group of the part, experts counted through */
    size_t count;
    uint8_t *quants, *scales;
    int32_t *exponents;
} portion;

static void
pack_floats(uint8_t *out, const uint8_t *row, size_t cols, size_t size, size_t lane)
{
    for (size_t k = 0; k < cols; k++) memcpy(out + (k * PACK_ROWS + lane) * size, row + k * size, size);
}

/* One group: i of the portion. */
static void
pack_group(void *user, size_t i)
{
    const portion *o = user;
    const decai__matrix *m = o->m;
    size_t at = o->first + i, expert = o->t->expert0 + at / o->t->groups, group = o->t->group0 + at % o->t->groups;
    uint8_t *quants = o->quants + i * o->p->quants_each, *scales = o->scales + i * o->p->scales_each;
    memset(quants, 0, o->p->quants_each);
    memset(scales, 0, o->p->scales_each);
    for (size_t lane = 0; lane < PACK_ROWS; lane++) {
        size_t row = group * PACK_ROWS + lane;
        int32_t exponent = 0;
        if (row < m->rows) {
            const uint8_t *raw = o->data + (expert * m->rows + row) * m->raw_row;
            if (m->act < 0) {
                pack_floats(quants, raw, m->cols, m->raw_row / m->cols, lane);
            } else {
                (void)decai__leaf_row_exponent(&exponent, NULL, m->type, raw, m->cols);
                decai__pack_row(quants, scales, m->type, raw, exponent, m->cols, lane);
            }
        }
        o->exponents[i * PACK_ROWS + lane] = exponent;
    }
}

static int32_t
write_portion(decai__compute *c, const portion *o)
{
    decai__cl *s = c->impl;
    const packed *p = o->p;
    cl_int e = decai__cl_write(s->hook, s->queue, o->t->quants, o->first * p->quants_each, o->count * p->quants_each, o->quants);
    if (!e && p->scales_each)
        e = decai__cl_write(s->hook, s->queue, o->t->scales, o->first * p->scales_each, o->count * p->scales_each, o->scales);
    if (!e && p->scales_each)
        e = decai__cl_write(s->hook, s->queue, o->t->exponents, o->first * PACK_ROWS * 4, o->count * PACK_ROWS * 4, o->exponents);
    return decai__cl_failed(c, "clEnqueueWriteBuffer", e);
}

static int32_t
fill_part(decai__matrix *m, const packed *p, const part *t, const uint8_t *data)
{
    decai__compute *c = m->c;
    size_t all = t->experts * t->groups, most = DECAI__MAX((size_t)1, DECAI__MIN(all, PORTION_BYTES / p->quants_each));
    portion o = { .m = m, .p = p, .t = t, .data = data, .quants = decai__alloc(c->ctx, most * p->quants_each),
        .scales = decai__alloc(c->ctx, most * p->scales_each + 1), .exponents = decai__alloc(c->ctx, most * PACK_ROWS * 4) };
    int32_t r = o.quants && o.scales && o.exponents ? 0 : DECAI_E_NOMEM;
    for (; !r && o.first < all; o.first += o.count) {
        o.count = DECAI__MIN(most, all - o.first);
        decai__parallel(c->ctx, o.count, pack_group, &o);
        r = write_portion(c, &o);
    }
    decai__free(c->ctx, o.quants);
    decai__free(c->ctx, o.scales);
    decai__free(c->ctx, o.exponents);
    return r;
}

/* ---- parts ------------------------------------------------------------------------- */

static int32_t
make_part(decai__matrix *m, const packed *p, part *t)
{
    decai__cl *s = m->c->impl;
    size_t all = t->experts * t->groups;
    cl_int e = decai__cl_buffer(s->hook, &t->quants, s->context, all * p->quants_each + 64);
    if (!e && p->scales_each) e = decai__cl_buffer(s->hook, &t->scales, s->context, all * p->scales_each + 64);
    if (!e && p->scales_each) e = decai__cl_buffer(s->hook, &t->exponents, s->context, all * PACK_ROWS * 4);
    return decai__cl_failed(m->c, "clCreateBuffer", e);
}

/* Part i of the cut: whole experts where they fit, else groups of one. */
static void
cut(const decai__matrix *m, packed *p, size_t fit, size_t i, size_t cuts)
{
    part *t = &p->part[i];
    if (p->groups <= fit) {
        size_t each = fit / p->groups;
        t->expert0 = i * each;
        t->experts = DECAI__MIN(each, m->experts - t->expert0);
        t->groups = p->groups;
    } else {
        t->expert0 = i / cuts;
        t->experts = 1;
        t->group0 = i % cuts * fit;
        t->groups = DECAI__MIN(fit, p->groups - t->group0);
    }
}

int32_t
decai__cl_prepare(decai__matrix *m, const uint8_t *data)
{
    decai__cl *s = m->c->impl;
    const decai__pack *k = decai__pack_of(m->type);
    size_t groups = (m->rows + PACK_ROWS - 1) / PACK_ROWS;
    size_t each = k ? decai__pack_record(k) * (m->cols / 32) : m->raw_row * PACK_ROWS;
    size_t fit = (s->max_alloc - DECAI__MIN(s->max_alloc, (size_t)64)) / each;
    if (!fit)
        return decai__fail(DECAI_E_LIMIT, "%s: 16 rows need %zu bytes, a buffer of \"%s\" holds %zu", m->name, each, m->c->device, s->max_alloc);
    size_t cuts = (groups + fit - 1) / fit;
    size_t count = groups <= fit ? (m->experts + fit / groups - 1) / (fit / groups) : m->experts * cuts;
    int32_t r = k ? decai__cl_build_type(m->c, m->type) : 0;
    if (r) return r;
    packed *p = decai__calloc(m->c->ctx, 1, sizeof *p + count * sizeof p->part[0]);
    if (!p) return DECAI_E_NOMEM;
    *p = (packed){ .groups = groups, .quants_each = each, .count = count,
        .scales_each = k ? decai__pack_scales(k) * (m->cols / k->elements) : 0 };
    m->impl = p;
    for (size_t i = 0; !r && i < count; i++) {
        cut(m, p, fit, i, cuts);
        r = make_part(m, p, &p->part[i]);
        if (!r) r = fill_part(m, p, &p->part[i], data);
    }
    return r;
}

void
decai__cl_forget(decai__matrix *m)
{
    packed *p = m->impl;
    decai__cl *s = m->c->impl;
    for (size_t i = 0; p && i < p->count; i++) {
        decai__cl_drop_buffer(s->hook, p->part[i].quants);
        decai__cl_drop_buffer(s->hook, p->part[i].scales);
        decai__cl_drop_buffer(s->hook, p->part[i].exponents);
    }
    decai__free(m->c->ctx, p);
    m->impl = NULL;
}

/* ---- products -------------------------------------------------------------------------- */

#define PANEL 64                     /* tokens of a work-item: their activations stay in the cache */
#define ITEMS_A_UNIT 8               /* work-items that keep a CPU's cores evenly busy */
#define RUN_MIN 4                    /* row groups that pay for what an item prepares */
#define RUN_MAX 16

static void
arg_expert(launch *l, const decai__call *a, const part *t)
{
    arg_route(l, a);
    arg_u32(l, t->expert0);
    arg_u32(l, t->experts);
}

static int32_t
float_part(decai__compute *c, const decai__call *a, const part *t)
{
    const decai__matrix *m = a->m;
    size_t panel = a->n == 1 || a->used ? 1 : PANEL, rows = m->rows - t->group0 * PACK_ROWS;
    launch l = launch_begin(c, ((decai__cl *)c->impl)->kernels[K_MATMUL_FLOAT]);
    if (!l.s->wide) panel = 1;
    arg_mem(&l, a->ry.buf->device);
    arg_u64(&l, a->ry.at / 4 + t->group0 * PACK_ROWS);
    arg_ref(&l, a->rx, 4);
    arg_i32(&l, m->type);
    arg_mem(&l, t->quants);
    arg_u32(&l, DECAI__MIN(rows, t->groups * PACK_ROWS));
    arg_u64(&l, m->rows);
    arg_u32(&l, t->groups);
    arg_u32(&l, m->cols);
    arg_u32(&l, a->n);
    arg_u32(&l, panel);
    arg_expert(&l, a, t);
    size_t across = l.s->wide ? (t->groups + 3) / 4 : t->groups * PACK_ROWS;
    return launch_end(&l, "matmul", across, (a->n + panel - 1) / panel, 1, l.s->wide ? 1 : PACK_ROWS);
}

static int32_t
integer_part(decai__compute *c, const decai__call *a, const part *t)
{
    const decai__matrix *m = a->m;
    decai__cl *s = c->impl;
    bool one = a->n == 1 || a->used;
    decai__cl_type *type = &s->types[decai__pack_index(m->type)];
    size_t panels = one ? a->n : (a->n + PANEL - 1) / PANEL, rows = m->rows - t->group0 * PACK_ROWS;
    size_t run = DECAI__MIN((size_t)RUN_MAX, t->groups * panels / (ITEMS_A_UNIT * s->units));
    run = DECAI__MAX(run, DECAI__MAX((size_t)1, DECAI__MIN((size_t)RUN_MIN, t->groups * panels / s->units)));
    launch l = launch_begin(c, one ? type->one : type->tile);
    arg_mem(&l, a->ry.buf->device);
    arg_u64(&l, a->ry.at / 4 + t->group0 * PACK_ROWS);
    arg_ref(&l, a->rx, 1);
    arg_u64(&l, decai__act_stride(m->act, m->cols));
    arg_mem(&l, t->exponents);
    arg_mem(&l, t->scales);
    arg_mem(&l, t->quants);
    arg_u32(&l, DECAI__MIN(rows, t->groups * PACK_ROWS));
    arg_u64(&l, m->rows);
    arg_u32(&l, t->groups);
    arg_u32(&l, m->cols);
    if (!one) {
        arg_u32(&l, a->n);
        arg_u32(&l, PANEL);
    }
    arg_u32(&l, run);
    arg_u32(&l, m->act == DECAI__ACT_2L);
    if (one) arg_expert(&l, a, t);
    if (s->wide) return launch_end(&l, "matmul", (t->groups + run - 1) / run, panels, 1, 1);
    return launch_end(&l, "matmul", t->groups * PACK_ROWS * MATMUL_SPLITS, one ? a->n : (a->n + 3) / 4, 1, PACK_ROWS * MATMUL_SPLITS);
}

int32_t
decai__cl_matmul(decai__compute *c, decai__call *a)
{
    const packed *p = a->m->impl;
    int32_t r = 0;
    for (size_t i = 0; !r && i < p->count; i++)
        r = a->m->act >= 0 ? integer_part(c, a, &p->part[i]) : float_part(c, a, &p->part[i]);
    return r;
}
