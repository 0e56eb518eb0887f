/* x86_matrix.c - quantised matrices as the native backend keeps them: packed by all
 * threads at load, in slabs of memory about as large as the file's tensors. */
#define _DEFAULT_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "compute/x86.h"

#if defined(__x86_64__)

#define HUGE_PAGE ((size_t)2 << 20)
#define SLAB_BYTES ((size_t)32 << 20)
#define SLAB_LEAST ((size_t)256 << 10)           /* of a matrix that lies in one */

/* ---- memory ------------------------------------------------------------------- */

/* A product reads weights from their first byte to their last: with huge pages the
 * hardware looks ahead past 4 KiB. Most matrices are smaller than a few of these, so
 * they lie side by side in slabs that begin on one. What nobody takes of a slab is
 * never touched. Matrices of a backend come and go in one thread at a time. */
struct x86_slab {
    struct x86_slab *next;
    uint8_t *block;                  /* what to free */
    size_t at, end;                  /* of block: the first free byte, the last */
    size_t live;                     /* matrices in it */
};

/* Advice only; what is less than a page stays. */
static void
advise_huge(uint8_t *data, size_t len)
{
    uintptr_t first = ((uintptr_t)data + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)data + len) & ~(uintptr_t)(HUGE_PAGE - 1);
#ifdef MADV_HUGEPAGE
    if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)first, (void)end;
#endif
}

static bool
slab_alloc(decai__compute *c, x86_slab *s, size_t size, size_t align)
{
    if (decai__add_size(&s->end, size, align)) s->block = decai__alloc(c->ctx, s->end);
    if (s->block) s->at = (align - (uintptr_t)s->block % align) % align;
    return s->block;
}

/* Room for more than this one, if there is so much. */
static x86_slab *
slab_make(decai__compute *c, size_t bytes)
{
    x86_slab *s = decai__calloc(c->ctx, 1, sizeof *s);
    if (!s) return NULL;
    bool large = bytes >= SLAB_LEAST && slab_alloc(c, s, DECAI__MAX(bytes, SLAB_BYTES), HUGE_PAGE);
    if (!large && !slab_alloc(c, s, bytes, 64)) {
        decai__free(c->ctx, s);
        return NULL;
    }
    advise_huge(s->block, s->end);
    s->next = c->slabs;
    return c->slabs = s;
}

/* 64-byte aligned. */
static uint8_t *
slab_take(decai__compute *c, x86_slab **out, size_t bytes)
{
    x86_slab *s = c->slabs;
    while (s && (bytes < SLAB_LEAST || s->end - s->at < bytes)) s = s->next;
    if (!s) s = slab_make(c, bytes);
    if (!s) return NULL;
    uint8_t *data = s->block + s->at;
    s->at += DECAI__MIN(decai__pad64(bytes), s->end - s->at);
    s->live++;
    *out = s;
    return data;
}

static void
slab_give(decai__compute *c, x86_slab *s)
{
    x86_slab **at = &c->slabs;
    if (!s || --s->live) return;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    decai__free(c->ctx, s->block);
    decai__free(c->ctx, s);
}

/* ---- matrices ------------------------------------------------------------------- */

void
decai__x86_group_rows(const decai__matrix *m, const uint8_t *data, size_t expert, size_t group, const uint8_t *rows[X86_ROWS],
    int32_t exponents[X86_ROWS])
{
    const int32_t *all = (const int32_t *)(const void *)m->exponents->host;
    for (size_t r = 0; r < X86_ROWS; r++) {
        size_t row = expert * m->rows + DECAI__MIN(group * X86_ROWS + r, m->rows - 1);
        rows[r] = data + row * m->raw_row;
        exponents[r] = all[row];
    }
}

typedef struct packing {
    const decai__matrix *m;
    const x86_matrix *x;
    const uint8_t *data;
    size_t groups, slices;
} packing;

static void
pack_slice(void *user, size_t i)
{
    const packing *p = user;
    const x86_matrix *x = p->x;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    for (size_t g = p->groups * i / p->slices; g < p->groups * (i + 1) / p->slices; g++) {
        const uint8_t *rows[X86_ROWS];
        int32_t exponents[X86_ROWS];
        decai__x86_group_rows(p->m, p->data, g / x->groups, g % x->groups, rows, exponents);
        decai__x86_pack(x->form, x->packed + g * x->group_bytes, rows, exponents, 0, p->m->cols / 32 / x->form->block);
    }
    decai__fpu_leave(&fpu);
}

static int32_t
pack_all(const decai__matrix *m, x86_matrix *x, const uint8_t *data)
{
    packing p = { m, x, data, m->experts * x->groups, 0 };
    size_t bytes;
    if (!decai__mul_size(&bytes, p.groups, x->group_bytes))
        return decai__fail(DECAI_E_NOMEM, "%s: %zu groups of %zu bytes", m->name, p.groups, x->group_bytes);
    x->packed = slab_take(m->c, &x->slab, bytes);
    if (!x->packed) return DECAI_E_NOMEM;
    p.slices = DECAI__MAX((size_t)1, DECAI__MIN(p.groups, 4 * m->c->slices));
    decai__parallel(m->c->ctx, p.slices, pack_slice, &p);
    return 0;
}

int32_t
decai__x86_prepare(decai__matrix *m, const uint8_t *data)
{
    x86_matrix *x = decai__calloc(m->c->ctx, 1, sizeof *x);
    if (!x) return DECAI_E_NOMEM;
    m->impl = x;
    x->form = decai__x86_form_of(m->type);
    x->groups = (m->rows + X86_ROWS - 1) / X86_ROWS;
    x->group_bytes = m->cols / 32 / x->form->block * x->form->record;
    if (m->c->repack) return pack_all(m, x, data);
    m->raw = data;
    return 0;
}

void
decai__x86_forget(decai__matrix *m)
{
    x86_matrix *x = m->impl;
    if (!x) return;
    slab_give(m->c, x->slab);
    decai__free(m->c->ctx, x);
    m->impl = NULL;
}

#endif
