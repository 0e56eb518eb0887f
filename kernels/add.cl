/* add.cl - residual (CONTRACT.md §13). */
#define ADD(W) STORE##W(LOAD##W(a + i) + LOAD##W(b + i), y + i);
__kernel void add(__global float *y, ulong y_at, __global const float *a, ulong a_at,
    __global const float *b, ulong b_at, ulong count)
{
    y += y_at;
    a += a_at;
    b += b_at;
    ELEMENTS(i, count, ADD);
}
