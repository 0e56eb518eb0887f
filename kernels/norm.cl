/* norm.cl - RMSNorm (CONTRACT.md §7): one work-group a token. Leaves are chains of
 * 256 fma each, spread over the items; item 0 joins them left to right. */
__kernel void norm(__global float *y, ulong y_at, __global const float *x, ulong x_at,
    __global const float *w, ulong w_at, uint dim, float inverse, float eps,
    __global uint *status, uint op)
{
    __local float leaves[LEAVES_MAX];
    __local float shared_factor;
    uint lid = get_local_id(0), items = get_local_size(0), count = (dim + LEAF - 1u) / LEAF;
    ulong row = (ulong)get_group_id(0) * dim;
    __global const float *v = x + x_at + row;
    for (uint l = lid; l < count; l += items) {
        uint end = min(dim, (l + 1u) * LEAF);
        float acc = 0.0f;
        for (uint k = l * LEAF; k < end; k++) acc = fma(v[k], v[k], acc);
        leaves[l] = acc;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lid == 0) {
        float sum = 0.0f;
        for (uint l = 0; l < count; l++) sum = sum + leaves[l];
        bool good = sum < 0x1p100f;
        shared_factor = good ? own_rsqrt(fma(sum, inverse, eps)) : as_float(0x7fc00000u);
        if (!good) mark(status, op);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float factor = shared_factor;
    for (uint k = lid; k < dim; k += items) y[y_at + row + k] = (v[k] * factor) * w[w_at + k];
}
