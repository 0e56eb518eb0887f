/* matmul_q8.cl - Q8_0 weights times activations (CONTRACT.md §4): exact integers,
 * so a lane's order is free. One item is one row and up to TILE tokens. */
int dot_q8(char16 w0, char16 w1, __global const char *x)
{
    /* 128 * 127 fits 16 bits, and so does the sum of two such products. */
    short16 p = convert_short16(w0) * convert_short16(vload16(0, x))
              + convert_short16(w1) * convert_short16(vload16(1, x));
    int8 a = convert_int8(p.lo) + convert_int8(p.hi);
    int4 c = a.lo + a.hi;
    int2 d = c.lo + c.hi;
    return d.x + d.y;
}

__kernel void matmul_q8(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const short *scales, __global const uchar *quants,
    uint rows, uint cols, uint n, uint first)
{
    uint row = get_global_id(0), token = first + get_global_id(1), blocks = cols / 32u;
    if (row >= rows) return;
    __global const char *w = (__global const char *)quants + (ulong)row * cols;
    __global const short *d = scales + (ulong)row * blocks;
    __global const uchar *a = act + act_at + (ulong)token * stride;
    __global const char *x = (__global const char *)(a + 8u + 2u * blocks);
    long sum = 0;
    for (uint b = 0; b < blocks; b++) {
        int s = (int)d[b] * (int)u16_at(a + 8u + 2u * b);
        sum += (long)s * dot_q8(vload16(2u * b, w), vload16(2u * b + 1u, w), x + 32u * b);
    }
    y[y_at + (ulong)token * rows + row] = int_result(sum, exponents[row] + i32_at(a + 4) - GRID_BITS);
}

/* Four tokens: weights are read and widened once. */
__kernel void matmul_q8_x4(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const short *scales, __global const uchar *quants,
    uint rows, uint cols, uint n, uint first)
{
    uint row = get_global_id(0), token = first + 4u * get_global_id(1), blocks = cols / 32u;
    if (row >= rows) return;
    __global const char *w = (__global const char *)quants + (ulong)row * cols;
    __global const short *d = scales + (ulong)row * blocks;
    __global const uchar *a = act + act_at + (ulong)token * stride;
    long sum[4] = { 0, 0, 0, 0 };
    for (uint b = 0; b < blocks; b++) {
        char16 w0 = vload16(2u * b, w), w1 = vload16(2u * b + 1u, w);
        for (uint j = 0; j < 4u; j++) {
            __global const uchar *t = a + j * stride;
            int s = (int)d[b] * (int)u16_at(t + 8u + 2u * b);
            sum[j] += (long)s * dot_q8(w0, w1, (__global const char *)(t + 8u + 2u * blocks + 32u * b));
        }
    }
    for (uint j = 0; j < 4u; j++)
        y[y_at + (ulong)(token + j) * rows + row] =
            int_result(sum[j], exponents[row] + i32_at(a + j * stride + 4) - GRID_BITS);
}
