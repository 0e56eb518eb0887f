/* x86.h - integer products on x86-64: rows interleaved by sixteen.
 *
 * A matrix is cut into groups of sixteen rows. Inside a group four consecutive
 * quants of one row make a 32-bit lane and sixteen rows a line of 64 bytes:
 *
 *     line t of a block   row 0: q[4t..4t+3] | row 1: q[4t..4t+3] | ... | row 15
 *
 * so a lane gathers one output: an activation's four bytes are broadcast to all
 * lanes, and no sum ever crosses them. AVX-512 takes a line at once, AVX2 its
 * halves (rows 0-7, rows 8-15): one arrangement serves both.
 *
 *     x86_pack.c            raw GGUF rows -> packed groups
 *     x86_matrix.c   all groups of a matrix, at load
 *     x86_unpack.h   packed group -> panel: bytes and 32-bit scales of up to
 *                    X86_CHUNK elements, in the first-level cache
 *     x86_tiles512.h, x86_avx512.c, x86_avx2.c
 *                    panel times up to eight tokens -> 64-bit sums
 *     x86_stream.c   the first eight without a panel, AVX-512
 *     x86_vector.c   one token without a panel, AVX-512
 *     x86_matmul.c   the loops around them; tokens by expert
 *
 * Sums are exact, so neither chunks nor tiles nor the instruction set show. */
#ifndef DECAI__X86_H
#define DECAI__X86_H

#include "compute/backend.h"

#if defined(__x86_64__)

#define X86_ROWS 16
#define X86_CHUNK 512               /* elements of K unpacked at a time */
#define X86_TOKENS 128               /* whose sums live on the stack */

/* What the loops need to know of a type. */
typedef struct x86_form {
    int32_t type;
    uint8_t block;                   /* elements of a record / 32: 1 or 8 */
    uint8_t sub;                     /* elements that share a scale: 16 or 32 */
    uint8_t zero;                    /* unpacked quants are larger than the real ones by this; 128: int8 */
    uint8_t run;                     /* AVX2: lines that add up in 16 bits; 1: int8, by sign */
    bool mins;
    uint16_t raw, record;            /* bytes of a raw block; of sixteen, packed */
} x86_form;

/* NULL: a type without integer products. */
const x86_form *decai__x86_form_of(int32_t type);

/* Records first..first+count-1 of the rows; rows past the tensor's end repeat its last. */
void decai__x86_pack(const x86_form *f, uint8_t *to, const uint8_t *const rows[X86_ROWS],
    const int32_t exponents[X86_ROWS], size_t first, size_t count);

/* One group's unpacked chunk. 32-blocks: scale is D and min is Dm + zero * D, one
 * of each a block. Super-blocks: scale is the sub-scale, min pairs of sub-mins
 * (i16), d and dm are D and Dm. */
typedef struct x86_panel {
    uint8_t q[X86_CHUNK * X86_ROWS];
    int32_t scale[X86_CHUNK / 16][X86_ROWS];
    int32_t min[X86_CHUNK / 32][X86_ROWS];
    int32_t d[X86_CHUNK / 256][X86_ROWS], dm[X86_CHUNK / 256][X86_ROWS];
} x86_panel;

/* A token's activations as tiles read them, one after the other: init is what a
 * sum starts from (-zero times the sum of q; AVX2: two i16, of the two halves of
 * each four), scale is s. */
typedef struct x86_act32 {
    int8_t q[32];
    int32_t init, scale, sum, unused;            /* sum: s times the sum of q */
} x86_act32;

typedef struct x86_act256 {
    int8_t q[256];
    int32_t init[16];                            /* by sub-block */
    int32_t pair[8];                             /* i16 sums of q that meet a min pair */
    int32_t s6[8];                               /* two-level: by 32 */
    int32_t scale, unused[15];
} x86_act256;

/* Sums of 16 (wide: of 32) as the pairs that min pairs meet (x86_unpack.h): 0 2, 1 3,
 * 4 6, 5 7, ...; in order for two levels. */
static inline void
x86_pairs(x86_act256 *to, const int16_t *sums, bool wide, bool two_level)
{
    int16_t pair[16] = { 0 };
    for (size_t j = 0; j < (wide ? 8u : 16u); j++) {
        size_t at = two_level ? j : j / 4 * 4 + j % 2 * 2 + j % 4 / 2;
        pair[at] = wide ? (int16_t)(sums[2 * j] + sums[2 * j + 1]) : sums[j];
    }
    __builtin_memcpy(to->pair, pair, sizeof pair);
}

#define X86_ACT32_STEP (X86_CHUNK / 32)          /* records from a token to the next */
#define X86_ACT256_STEP (X86_CHUNK / 256)

/* acc[token][..]: sums of rows 0 2 4 .. 14, then 1 3 .. 15. */
typedef int64_t x86_acc[X86_ROWS];

/* One instruction set. blocks: records of the type in the panel. */
typedef struct x86_isa {
    const char *name;
    void (*unpack)(const x86_form *f, x86_panel *p, const uint8_t *records, size_t blocks, bool two_level);
    /* Activations of one token for one chunk: blocks of 32 elements from quants. */
    void (*prepare32)(const x86_form *f, x86_act32 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales,
        size_t blocks);
    void (*prepare256)(const x86_form *f, x86_act256 *to, const int8_t *q, const int16_t *sums, const uint8_t *scales,
        const uint8_t *s6, size_t blocks);
    /* Meanwhile memory brings `each` bytes a block from next. */
    void (*multiply)(const x86_form *f, x86_acc *acc, x86_panel *p, const void *act, size_t blocks, size_t tokens,
        bool two_level, const uint8_t *next, size_t each);
    /* Up to eight tokens straight from records, one level; of an odd count the sums and
     * activations behind the last are touched too. keep: eight, and the panel is made
     * for those that follow. NULL: unpack. */
    void (*stream)(const x86_form *f, x86_acc *acc, x86_panel *p, const uint8_t *records, const void *act, size_t blocks,
        size_t tokens, bool keep);
    /* One token straight from records, one level; NULL: through a panel. */
    void (*vector)(const x86_form *f, x86_acc *acc, const uint8_t *records, const void *act, size_t blocks);
    /* y[token * stride + row] of `rows` rows; exponents: F - 21 of rows, E of tokens */
    void (*finish)(float *y, const x86_acc *acc, const int32_t *row_exponents, int32_t act_exponent, size_t rows);
} x86_isa;

typedef struct x86_slab x86_slab;

/* A quantised matrix on a native backend (decai__matrix.impl): groups of each
 * expert one after the other, or NULL with compute.repack = 0. */
typedef struct x86_matrix {
    const x86_form *form;
    size_t groups, group_bytes;      /* of one expert */
    uint8_t *packed;                 /* 64-byte aligned */
    x86_slab *slab;                  /* where that lies */
} x86_matrix;

/* The arrangement of one expert's group; rows past the end repeat the last. */
void decai__x86_group_rows(const decai__matrix *m, const uint8_t *data, size_t expert, size_t group, const uint8_t *rows[X86_ROWS],
    int32_t exponents[X86_ROWS]);

int32_t decai__x86_prepare(decai__matrix *m, const uint8_t *data);
void decai__x86_forget(decai__matrix *m);
int32_t decai__x86_matmul(decai__compute *c, decai__call *a);

extern const x86_isa decai__x86_isa_avx2, decai__x86_isa_avx512;
void decai__x86_stream_avx512(const x86_form *f, x86_acc *acc, x86_panel *panel, const uint8_t *records, const void *act, size_t blocks,
    size_t tokens, bool keep);
void decai__x86_vector_avx512(const x86_form *f, x86_acc *acc, const uint8_t *records, const void *act, size_t blocks);

#endif
#endif /* DECAI__X86_H */
