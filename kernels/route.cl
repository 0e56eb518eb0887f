/* route.cl - the experts of a token (CONTRACT.md §14): one item a token. The largest
 * scores, ties to the lower id; ids ascending in the result. */
__kernel void route(__global int *out, ulong out_at, __global const float *scores, ulong scores_at,
    uint n, uint experts, uint used, int all, __global uint *status, uint op)
{
    uint taken[32];
    size_t token = get_global_id(0);
    if (token >= n) return;
    __global const float *s = scores + scores_at + token * experts;
    __global int *to = out + out_at + 2ul * token * used;
    float top = 0.0f, sum = 0.0f;
    uint slot = 0, bad = 0;
    for (uint i = 0; i < 32u; i++) taken[i] = 0;
    for (uint e = 0; e < experts; e++) bad |= (as_uint(s[e]) & 0x7fffffffu) >= 0x7f800000u ? 1u : 0u;
    if (bad) mark(status, op);
    for (uint i = 0; i < used; i++) {
        uint at = experts;
        for (uint e = 0; e < experts; e++)
            if (!(taken[e / 32u] >> (e % 32u) & 1u) && (at == experts || s[e] > s[at])) at = e;
        if (i == 0) top = s[at];
        taken[at / 32u] |= 1u << (at % 32u);
    }
    for (uint e = 0; e < experts; e++) {
        float p = own_exp1(s[e] - top);
        bool mine = taken[e / 32u] >> (e % 32u) & 1u;
        if (mine || all) sum = sum + p;
        if (!mine) continue;
        to[2u * slot] = (int)e;
        to[2u * slot++ + 1u] = as_int(p);
    }
    float inverse = own_recip1(sum);
    for (uint i = 0; i < used; i++) to[2u * i + 1u] = as_int(as_float(to[2u * i + 1u]) * inverse);
}
