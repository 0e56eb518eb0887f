/* matmul_q4.cl - Q4_0 weights times activations (CONTRACT.md §4). A block is 16
 * bytes: low nibbles are elements 0..15, high nibbles 16..31, the zero is 8. */
int dot_q4(uchar16 v, __global const char *x)
{
    short16 lo = convert_short16(v & (uchar16)15) - (short16)8, hi = convert_short16(v >> (uchar16)4) - (short16)8;
    short16 p = lo * convert_short16(vload16(0, x)) + hi * convert_short16(vload16(1, x));
    short8 a = p.lo + p.hi;                          /* 32 * 8 * 127 = 32512: all of it fits 16 bits */
    short4 c = a.lo + a.hi;
    short2 d = c.lo + c.hi;
    return (int)d.x + (int)d.y;
}

__kernel void matmul_q4(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const short *scales, __global const uchar *quants,
    uint rows, uint cols, uint n, uint first)
{
    uint row = get_global_id(0), token = first + get_global_id(1), blocks = cols / 32u;
    if (row >= rows) return;
    __global const uchar *w = quants + (ulong)row * (cols / 2u);
    __global const short *d = scales + (ulong)row * blocks;
    __global const uchar *a = act + act_at + (ulong)token * stride;
    __global const char *x = (__global const char *)(a + 8u + 2u * blocks);
    long sum = 0;
    for (uint b = 0; b < blocks; b++) {
        int s = (int)d[b] * (int)u16_at(a + 8u + 2u * b);
        sum += (long)s * dot_q4(vload16(b, w), x + 32u * b);
    }
    y[y_at + (ulong)token * rows + row] = int_result(sum, exponents[row] + i32_at(a + 4) - GRID_BITS);
}

/* Four tokens: weights are read and unpacked once. */
__kernel void matmul_q4_x4(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const short *scales, __global const uchar *quants,
    uint rows, uint cols, uint n, uint first)
{
    uint row = get_global_id(0), token = first + 4u * get_global_id(1), blocks = cols / 32u;
    if (row >= rows) return;
    __global const uchar *w = quants + (ulong)row * (cols / 2u);
    __global const short *d = scales + (ulong)row * blocks;
    __global const uchar *a = act + act_at + (ulong)token * stride;
    long sum[4] = { 0, 0, 0, 0 };
    for (uint b = 0; b < blocks; b++) {
        uchar16 v = vload16(b, w);
        for (uint j = 0; j < 4u; j++) {
            __global const uchar *t = a + j * stride;
            int s = (int)d[b] * (int)u16_at(t + 8u + 2u * b);
            sum[j] += (long)s * dot_q4(v, (__global const char *)(t + 8u + 2u * blocks + 32u * b));
        }
    }
    for (uint j = 0; j < 4u; j++)
        y[y_at + (ulong)(token + j) * rows + row] =
            int_result(sum[j], exponents[row] + i32_at(a + j * stride + 4) - GRID_BITS);
}
