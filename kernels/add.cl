/* add.cl - residual (CONTRACT.md §12): one item an element. */
__kernel void add(__global float *y, ulong y_at, __global const float *a, ulong a_at,
    __global const float *b, ulong b_at, ulong count)
{
    size_t i = get_global_id(0);
    if (i < count) y[y_at + i] = a[a_at + i] + b[b_at + i];
}
