/* softcap.cl - x = cap * tanh(x / cap) in place (CONTRACT.md §13). */
#define CAPPED(W) STORE##W(softcap##W(LOAD##W(x + i), cap, inverse), x + i);
__kernel void softcap(__global float *x, ulong x_at, ulong count, float cap, float inverse)
{
    x += x_at;
    ELEMENTS(i, count, CAPPED);
}
