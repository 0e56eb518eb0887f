/* check.cl - the bound before a float matrix (CONTRACT.md §5): one item an element. */
__kernel void check(__global const float *x, ulong x_at, ulong count, __global uint *status, uint op)
{
    size_t i = get_global_id(0);
    if (i < count && (as_uint(x[x_at + i]) & 0x7fffffffu) >= ABS_LIMIT_BITS) mark(status, op);
}
