/* mix_expert.cl - experts added in the order of slots (CONTRACT.md §14). */
__kernel void mix_expert(__global float *y, ulong y_at, __global const float *x, ulong x_at, uint dim,
    __global const float *route, ulong route_at, uint slot, uint used)
{
    size_t token = get_global_id(1);
    float w = route[route_at + 2ul * (token * used + slot) + 1ul];
    y += y_at + token * dim;
    x += x_at + token * dim;
#define WEIGHT1 (w)
#define WEIGHT16 ((float16)(w))
#define FIRST(W) STORE##W(WEIGHT##W * LOAD##W(x + i), y + i);
#define NEXT(W) STORE##W(fma(WEIGHT##W, LOAD##W(x + i), LOAD##W(y + i)), y + i);
    if (slot == 0) ELEMENTS(i, dim, FIRST);
    else ELEMENTS(i, dim, NEXT);
}
