/* quant.cl - activations to canonical bytes (CONTRACT.md §3): one work-group a
 * token. The largest magnitude first (order-free), then blocks of 32. */
__kernel void quant(__global uchar *act, ulong act_at, __global const float *x, ulong x_at,
    uint cols, ulong stride, __global uint *status, uint op, __local uint *most)
{
    uint lid = get_local_id(0), items = get_local_size(0), blocks = cols / 32u;
    __global const float *v = x + x_at + (ulong)get_group_id(0) * cols;
    __global uchar *out = act + act_at + (ulong)get_group_id(0) * stride;
    uint top = 0;
    for (uint k = lid; k < cols; k += items) top = max(top, as_uint(v[k]) & 0x7fffffffu);
    most[lid] = top;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = 0; i < items; i++) top = max(top, most[i]);

    bool zero = top < ABS_ZERO_BITS || top >= ABS_LIMIT_BITS;
    int exponent = zero ? 0 : (int)(top >> 23) - 126;
    if (top >= ABS_LIMIT_BITS && lid == 0) mark(status, op);
    if (lid == 0)
        for (uint i = 0; i < 4u; i++) {
            out[i] = (uchar)(cols >> (8u * i));
            out[4u + i] = (uchar)((uint)exponent >> (8u * i));
        }
    float grid = as_float((uint)(GRID_BITS - exponent + 127) << 23);
    for (uint b = lid; b < blocks; b += items) {
        int g[32];
        uint largest = 0;
        for (uint i = 0; i < 32u; i++) {
            g[i] = zero ? 0 : convert_int_rte(v[b * 32u + i] * grid);
            largest = max(largest, abs(g[i]));
        }
        uint s = max(1u, (largest + 126u) / 127u);
        out[8u + 2u * b] = (uchar)s;
        out[9u + 2u * b] = (uchar)(s >> 8);
        for (uint i = 0; i < 32u; i++) {
            int q = (int)((2u * abs(g[i]) + s) / (2u * s));
            out[8u + 2u * blocks + b * 32u + i] = (uchar)(g[i] < 0 ? -q : q);
        }
    }
    /* The tail: zeros, and the sums of 16 quants (every item's are there first). */
    ulong sums = stride - ((cols / 8u + 63u) & ~63u);
    for (ulong i = 8u + 2u * blocks + cols + lid; i < sums; i += items) out[i] = 0;
    for (ulong i = sums + cols / 8u + lid; i < stride; i += items) out[i] = 0;
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (uint k = lid; k < cols / 16u; k += items) {
        int sum = 0;
        for (uint i = 0; i < 16u; i++) sum += (char)out[8u + 2u * blocks + 16u * k + i];
        out[sums + 2u * k] = (uchar)sum;
        out[sums + 2u * k + 1u] = (uchar)(sum >> 8);
    }
}
