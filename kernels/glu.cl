/* glu.cl - activations, plain and gated (CONTRACT.md §12). */
#define GATED(W) STORE##W(glu##W(kind, LOAD##W(gate + i), LOAD##W(up + i)), y + i);
#define PLAIN(W) STORE##W(activation##W(kind, LOAD##W(gate + i)), y + i);
__kernel void glu(__global float *y, ulong y_at, __global const float *gate, ulong gate_at,
    __global const float *up, ulong up_at, ulong count, int kind, int gated)
{
    y += y_at;
    gate += gate_at;
    up += up_at;
    if (gated) ELEMENTS(i, count, GATED);
    else ELEMENTS(i, count, PLAIN);
}
