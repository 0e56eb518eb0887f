/* x86_float.h - float matrices as the native backend keeps them. */
#ifndef DECAI__X86_FLOAT_H
#define DECAI__X86_FLOAT_H

#include "compute/compute.h"

#define X86_FLOAT_ROWS 32            /* of a panel: both widths take it whole or in halves */
#define X86_FLOAT_BLOCK 96           /* most tokens of a block; a multiple of 12 and 6 */

typedef struct x86_float {
    size_t rows, cols, panels;       /* of one expert */
    size_t size, panel_bytes;        /* of an element, of a panel */
    int32_t kind;                    /* 0 F32, 1 F16, 2 BF16 */
    const uint8_t *data;             /* of one expert */
} x86_float;

#endif
