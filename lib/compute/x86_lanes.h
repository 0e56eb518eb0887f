/* x86_lanes.h - what one width of lanes offers (x86_lanes_avx2.c, x86_lanes_avx512.c);
 * x86_native.c makes backends of it. */
#ifndef DECAI__X86_LANES_H
#define DECAI__X86_LANES_H

#include "compute/x86_attn.h"
#include "compute/x86_float.h"

typedef struct x86_lanes {
    /* Items first..end-1 of a float product: (block of tokens) x (panel). */
    void (*float_items)(const x86_float *f, float *y, const float *x, size_t n, size_t block, size_t first, size_t end,
        float *packed);
} x86_lanes;

extern const x86_lanes decai__lanes_avx2, decai__lanes_avx512;

/* Inner loops over items, as decai__kernel. */
#define LANES_OP(op) \
    void decai__lanes_##op##_avx2(decai__call *a, size_t first, size_t end, size_t slice); \
    void decai__lanes_##op##_avx512(decai__call *a, size_t first, size_t end, size_t slice)
LANES_OP(norm);
LANES_OP(quant);
LANES_OP(check);
LANES_OP(bias);
LANES_OP(route);
LANES_OP(mix_expert);
LANES_OP(rope);
LANES_OP(kv_store);
LANES_OP(glu);
LANES_OP(add);
LANES_OP(softcap);

/* x86_attn.c */
size_t decai__x86_kv_page_bytes(const decai__kv *kv);
void decai__x86_kv_row(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t head, uint8_t *row, bool in);
void decai__x86_kv_store(const x86_attn_isa *isa, decai__call *a, size_t first, size_t end);
int32_t decai__x86_attention(decai__compute *c, decai__call *a, const x86_attn_isa *isa);
int32_t decai__x86_attention_each(decai__compute *c, decai__call *calls, size_t count, const x86_attn_isa *isa);
int32_t decai__x86_attention_full(decai__compute *c, decai__call *a, const x86_attn_isa *isa);

/* x86_float.c: matrices of float types, and their products. */
int32_t decai__x86_float_prepare(decai__matrix *m, const uint8_t *data);
void decai__x86_float_forget(decai__matrix *m);
int32_t decai__x86_float_matmul(decai__compute *c, decai__call *a, const x86_lanes *lanes);

#endif
