/* matmul_float.cl - F32, F16, BF16 weights (CONTRACT.md §5): one item is one row of
 * one token; leaves of 256 fma, added left to right. */
__kernel void matmul_float(__global float *y, ulong y_at, __global const float *x, ulong x_at,
    int type, __global const uchar *weights, ulong row_bytes, uint rows, uint cols)
{
    uint row = get_global_id(0), token = get_global_id(1);
    if (row >= rows) return;
    __global const uchar *w = weights + (ulong)row * row_bytes;
    __global const float *v = x + x_at + (ulong)token * cols;
    float sum = 0.0f;
    for (uint from = 0; from < cols; from += LEAF) {
        uint end = min(cols, from + LEAF);
        float acc = 0.0f;
        for (uint k = from; k < end; k++) acc = fma(weight_f32(type, w, k), v[k], acc);
        sum = sum + acc;
    }
    y[y_at + (ulong)token * rows + row] = sum;
}
