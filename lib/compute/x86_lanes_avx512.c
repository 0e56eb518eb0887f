/* x86_lanes_avx512.c - the bodies of x86_*_body.h, sixteen lanes wide. */
#include "compute/x86_lanes.h"

#if defined(__x86_64__)

#define X86_WIDE 1
#include "compute/x86_vec.h"
#include "compute/x86_ops_body.h"
#include "compute/x86_attn_body.h"
#include "compute/x86_float_body.h"

void
decai__lanes_kv_store_avx512(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    decai__x86_kv_store(&decai__attn_avx512, a, first, end);
}

const x86_lanes decai__lanes_avx512 = { .float_items = float_items_avx512 };

#endif
