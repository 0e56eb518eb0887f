/* bias.cl - x[n][dim] += b[dim], or the row of the token's expert (CONTRACT.md §13, §14). */
__kernel void bias(__global float *x, ulong x_at, __global const float *b, ulong b_at, uint dim,
    __global const int *route, ulong route_at, uint slot, uint used, uint experts)
{
    size_t token = get_global_id(1);
    x += x_at + token * dim;
    b += b_at;
    if (used) {
        uint e = (uint)route[route_at + 2ul * (token * used + slot)];
        b += (ulong)(e < experts ? e : 0u) * dim;
    }
#define BIAS(W) STORE##W(LOAD##W(x + i) + LOAD##W(b + i), x + i);
    ELEMENTS(i, dim, BIAS);
}
