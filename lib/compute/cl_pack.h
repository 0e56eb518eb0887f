/* cl_pack.h - weights as the OpenCL kernels read them; see cl_pack.c. */
#ifndef DECAI__CL_PACK_H
#define DECAI__CL_PACK_H

#include "compute/backend.h"

#define PACK_ROWS 16                 /* rows of a group: one lane each */
#define PACK_TYPES 13                /* quantised types */

typedef struct decai__pack {
    size_t elements, raw;            /* of a GGUF block, and its bytes */
    int32_t bits, high, subs;        /* plain bits of a code; kind of the higher ones; sub-scales */
    bool mins;
} decai__pack;

/* NULL: a float type. index: 0..PACK_TYPES-1 of a quantised one. */
const decai__pack *decai__pack_of(int32_t type);
size_t decai__pack_index(int32_t type);
size_t decai__pack_record(const decai__pack *p);     /* bytes of 32 elements of a group */
size_t decai__pack_scales(const decai__pack *p);     /* bytes of a block's scales of a group */
/* One row into lane `lane` of a group, whose memory was zero. */
void decai__pack_row(uint8_t *quants, uint8_t *scales, int32_t type, const uint8_t *raw, int32_t exponent,
    size_t cols, size_t lane);

#endif /* DECAI__CL_PACK_H */
