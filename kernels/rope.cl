/* rope.cl - rotary positions in place (CONTRACT.md §8). The table of angles was made
 * on the CPU: [position][pair][cos, sin]. One item is a head (x86) or a pair. */
void rotate_pair(__global float *v, uint at, uint far, float c, float s)
{
    float a = v[at], b = v[far];
    v[at] = fma(a, c, -(b * s));
    v[far] = fma(a, s, b * c);
}

__kernel void rope(__global float *x, ulong x_at, __global const float *table,
    uint heads, uint head_dim, uint pairs, uint neox, uint pos)
{
#ifdef X86
    uint h = get_global_id(0), i = get_global_id(1), j = 0;
#else
    uint j = get_global_id(0), h = get_global_id(1), i = get_global_id(2);
    if (j >= pairs) return;
#endif
    __global const float *angle = table + (ulong)(pos + i) * pairs * 2;
    __global float *v = x + x_at + ((ulong)i * heads + h) * head_dim;
#ifdef X86
    for (; j + 16u <= pairs; j += 16u) {
        float16 t0 = vload16(0, angle + 2u * j), t1 = vload16(1, angle + 2u * j), a, b;
        float16 c = (float16)(t0.even, t1.even), s = (float16)(t0.odd, t1.odd);
        if (neox) {
            a = vload16(0, v + j);
            b = vload16(0, v + j + pairs);
            vstore16(fma(a, c, -(b * s)), 0, v + j);
            vstore16(fma(a, s, b * c), 0, v + j + pairs);
        } else {
            float16 u0 = vload16(0, v + 2u * j), u1 = vload16(1, v + 2u * j), p, q;
            a = (float16)(u0.even, u1.even);
            b = (float16)(u0.odd, u1.odd);
            p = fma(a, c, -(b * s));
            q = fma(a, s, b * c);
            u0.even = p.lo;
            u0.odd = q.lo;
            u1.even = p.hi;
            u1.odd = q.hi;
            vstore16(u0, 0, v + 2u * j);
            vstore16(u1, 1, v + 2u * j);
        }
    }
    for (; j < pairs; j++)
#endif
        rotate_pair(v, neox ? j : 2u * j, neox ? j + pairs : 2u * j + 1u, angle[2u * j], angle[2u * j + 1u]);
}
