/* x86_native.c - the native backends of x86-64: AVX2 and AVX-512.
 *
 * Compiled into every build by function attributes and chosen at run time
 * (backend.c). A quantised matrix is x86_matrix.c's and x86_matmul.c's, one of a
 * float type x86_float.c's; ops without a loop here are scalar's. */
#include "compute/x86.h"
#include "compute/x86_lanes.h"

#if defined(__x86_64__)

static int32_t
prepare(decai__matrix *m, const uint8_t *data)
{
    return m->act < 0 ? decai__x86_float_prepare(m, data) : decai__x86_prepare(m, data);
}

/* Float rows that stayed raw have no loop of their own. */
static int32_t
matmul(decai__compute *c, decai__call *a, const x86_lanes *lanes)
{
    if (a->m->act >= 0) return decai__x86_matmul(c, a);
    if (a->m->quants) return decai__x86_float_matmul(c, a, lanes);
    a->scratch = decai__host_room(c, c->slices * a->scratch_stride * 4);
    if (!a->scratch) return DECAI_E_NOMEM;
    decai__host_items(c, a, decai__scalar_matmul, a->items, (decai__host_unit(a->cost) + a->unit - 1) / a->unit * a->unit);
    return 0;
}

#define DRIVERS(name) \
static int32_t matmul_##name(decai__compute *c, decai__call *a) { return matmul(c, a, &decai__lanes_##name); } \
static int32_t attention_##name(decai__compute *c, decai__call *a) { return decai__x86_attention(c, a, &decai__attn_##name); } \
static int32_t attention_each_##name(decai__compute *c, decai__call *calls, size_t n) { return decai__x86_attention_each(c, calls, n, &decai__attn_##name); } \
static int32_t attention_full_##name(decai__compute *c, decai__call *a) { return decai__x86_attention_full(c, a, &decai__attn_##name); }
DRIVERS(avx2)
DRIVERS(avx512)

#define OPS(isa) \
    [DECAI__K_NORM] = decai__lanes_norm_##isa, [DECAI__K_QUANT] = decai__lanes_quant_##isa, \
    [DECAI__K_CHECK] = decai__lanes_check_##isa, [DECAI__K_BIAS] = decai__lanes_bias_##isa, \
    [DECAI__K_ROUTE] = decai__lanes_route_##isa, [DECAI__K_MIX_EXPERT] = decai__lanes_mix_expert_##isa, \
    [DECAI__K_ROPE] = decai__lanes_rope_##isa, [DECAI__K_KV_STORE] = decai__lanes_kv_store_##isa, \
    [DECAI__K_GLU] = decai__lanes_glu_##isa, [DECAI__K_ADD] = decai__lanes_add_##isa, [DECAI__K_SOFTCAP] = decai__lanes_softcap_##isa

#define KERNELS(label, isa) { \
    .name = label, .op = { OPS(isa) }, \
    .drive = { [DECAI__K_MATMUL] = matmul_##isa, [DECAI__K_ATTENTION] = attention_##isa, \
        [DECAI__K_ATTENTION_FULL] = attention_full_##isa }, \
    .attention_each = attention_each_##isa, .kv_page_bytes = decai__x86_kv_page_bytes, .kv_row = decai__x86_kv_row, .prepare = prepare, .forget = decai__x86_forget }

const decai__kernels decai__kernels_avx2 = KERNELS("AVX2", avx2);
const decai__kernels decai__kernels_avx512 = KERNELS("AVX-512", avx512);

#endif
