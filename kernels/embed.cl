/* embed.cl - rows of the embedding matrix as f32 (CONTRACT.md §6): one item an element. */
__kernel void embed(__global float *y, ulong y_at, int type, uint cols, ulong row_bytes,
    __global const int *exponents, __global const short *scales, __global const uchar *quants,
    __global const uint *ids)
{
    uint k = get_global_id(0), i = get_global_id(1);
    if (k >= cols) return;
    ulong row = ids[i];
    __global const uchar *q = quants + row * row_bytes;
    float v;
    if (type == T_Q8_0 || type == T_Q4_0) {
        uint b = k / 32u, e = k % 32u;
        int w = type == T_Q8_0 ? (int)(char)q[k]
            : (int)(e < 16u ? q[b * 16u + e] & 15 : q[b * 16u + e - 16u] >> 4) - 8;
        v = int_result((long)scales[row * (cols / 32u) + b] * w, exponents[row]);
    } else {
        v = weight_f32(type, q, k);
    }
    y[y_at + (ulong)i * cols + k] = v;
}
