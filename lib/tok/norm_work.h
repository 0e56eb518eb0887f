/* norm_work.h - between norm.c and norm_form.c: the output of one step. */
#ifndef DECAI__TOK_NORM_WORK_H
#define DECAI__TOK_NORM_WORK_H

#include <string.h>

#include "tok/norm.h"

typedef struct decai__norm_out {
    decai_context *ctx;
    const decai__normed *from;       /* what the step reads */
    uint8_t *bytes;
    uint32_t *ends;                  /* if from->places */
    size_t len, cap, max;
    bool changed;                    /* false: the step left all as it was, and wrote nothing */
} decai__norm_out;

/* Code points of one segment. */
typedef struct decai__form_work { decai_context *ctx; uint32_t *points; size_t count, cap; } decai__form_work;

/* Bytes that stand for [at, end) of what is read. */
int32_t decai__norm_put(decai__norm_out *out, const uint8_t *bytes, size_t len, size_t at, size_t end);
/* [at, end) as it is. */
int32_t decai__norm_same(decai__norm_out *out, size_t at, size_t end);
int32_t decai__norm_form(decai__norm_out *out, const decai__norm_step *step, const uint8_t *text, size_t len);

static inline size_t
decai__utf8_put(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(c | (n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0));
    return n;
}

#endif /* DECAI__TOK_NORM_WORK_H */
