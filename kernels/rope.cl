/* rope.cl - rotary positions in place (CONTRACT.md §8): one item a pair. The table
 * of angles was made on the CPU: [position][pair][cos, sin]. */
__kernel void rope(__global float *x, ulong x_at, __global const float *table,
    uint heads, uint head_dim, uint pairs, uint neox, uint pos)
{
    uint j = get_global_id(0), h = get_global_id(1), i = get_global_id(2);
    if (j >= pairs) return;
    __global const float *angle = table + ((ulong)(pos + i) * pairs + j) * 2;
    __global float *v = x + x_at + ((ulong)i * heads + h) * head_dim;
    uint at = neox ? j : 2 * j, far = neox ? j + pairs : 2 * j + 1;
    float a = v[at], b = v[far], c = angle[0], s = angle[1];
    v[at] = fma(a, c, -(b * s));
    v[far] = fma(a, s, b * c);
}
