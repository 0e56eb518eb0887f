/* x86_lanes_avx512.c - the bodies of x86_*_body.h, sixteen lanes wide. */
#include "compute/x86_lanes.h"

#if defined(__x86_64__)

#define X86_WIDE 1
#include "compute/x86_vec.h"
#include "compute/x86_ops_body.h"
#include "compute/x86_attn_body.h"
#include "compute/x86_float_body.h"

static void
op_kv_store(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    decai__x86_kv_store(&decai__attn_avx512, a, first, end);
}

const x86_lanes decai__lanes_avx512 = {
    .op = {
        [DECAI__K_NORM] = op_norm_avx512, [DECAI__K_QUANT] = op_quant_avx512, [DECAI__K_CHECK] = op_check_avx512,
        [DECAI__K_BIAS] = op_bias_avx512, [DECAI__K_ROUTE] = op_route_avx512, [DECAI__K_MIX_EXPERT] = op_mix_expert_avx512,
        [DECAI__K_ROPE] = op_rope_avx512, [DECAI__K_KV_STORE] = op_kv_store, [DECAI__K_GLU] = op_glu_avx512,
        [DECAI__K_ADD] = op_add_avx512, [DECAI__K_SOFTCAP] = op_softcap_avx512,
    },
    .attn = &decai__attn_avx512,
    .float_items = float_items_avx512,
};

#endif
