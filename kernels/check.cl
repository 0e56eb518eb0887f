/* check.cl - the bound before a float matrix (CONTRACT.md §5). */
#define HIGH1(v) ((as_uint(v) & 0x7fffffffu) >= ABS_LIMIT_BITS)
#define HIGH16(v) any((as_uint16(v) & 0x7fffffffu) >= (uint16)ABS_LIMIT_BITS)
#define CHECK(W) if (HIGH##W(LOAD##W(x + i))) mark(status, op);
__kernel void check(__global const float *x, ulong x_at, ulong count, __global uint *status, uint op)
{
    x += x_at;
    ELEMENTS(i, count, CHECK);
}
