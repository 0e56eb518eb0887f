/* silu_mul.cl - silu(gate) * up (CONTRACT.md §11): one item an element. */
__kernel void silu_mul(__global float *y, ulong y_at, __global const float *a, ulong a_at,
    __global const float *b, ulong b_at, ulong count)
{
    size_t i = get_global_id(0);
    if (i >= count) return;
    float gate = a[a_at + i], up = b[b_at + i];
    float e = own_exp(-fabs(gate));
    float r = own_recip(1.0f + e);
    float sigma = gate < 0.0f ? e * r : r;
    y[y_at + i] = (gate * sigma) * up;
}
