/* x86_matrix.c - quantised matrices as the native backend keeps them: packed by all
 * threads at load, in one block of memory about as large as the file's. */
#define _DEFAULT_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "compute/x86.h"

#if defined(__x86_64__)

#define HUGE_PAGE ((size_t)2 << 20)

/* A product reads weights from their first byte to their last: with huge pages the
 * hardware looks ahead past 4 KiB. Advice only; what is less than a page stays. */
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
    if (!decai__mul_size(&bytes, p.groups, x->group_bytes) || !decai__add_size(&bytes, bytes, 64))
        return decai__fail(DECAI_E_NOMEM, "%s: %zu groups of %zu bytes", m->name, p.groups, x->group_bytes);
    x->block = decai__alloc(m->c->ctx, bytes);
    if (!x->block) return DECAI_E_NOMEM;
    x->packed = (uint8_t *)(((uintptr_t)x->block + 63) & ~(uintptr_t)63);
    advise_huge(x->packed, bytes - 64);
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
    decai__free(m->c->ctx, x->block);
    decai__free(m->c->ctx, x);
    m->impl = NULL;
}

#endif
