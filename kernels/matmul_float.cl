/* matmul_float.cl - F32, F16, BF16 weights (CONTRACT.md §5): leaves of 256 fma, added
 * left to right. Weights lie [group of 16 rows][column][row], a lane a row. */
#ifdef X86
float16 weights16(int type, __global const uchar *p)
{
    if (type == T_F32) return vload16(0, (__global const float *)p);
    if (type == T_F16) return from_f16((__global const ushort *)p);
    return as_float16(convert_uint16(vload16(0, (__global const ushort *)p)) << 16);
}

/* G groups times C tokens; a group or token that is not there repeats the last. */
#define FLOAT_TILE(G, C) \
void float_tile##G##x##C(__global float *y, ulong pitch, __global const float *const *x, int type, \
    __global const uchar *w, ulong each, uint rows, uint group, uint groups, uint cols, uint real) \
{ \
    float16 sum[G][C], acc[G][C]; \
    __global const uchar *at[G]; \
    uint size = type == T_F32 ? 64u : 32u; \
    _Pragma("unroll") \
    for (int g = 0; g < G; g++) { \
        at[g] = w + min(group + g, groups - 1u) * each; \
        _Pragma("unroll") \
        for (int c = 0; c < C; c++) sum[g][c] = (float16)0.0f; \
    } \
    for (uint from = 0; from < cols; from += LEAF) { \
        uint end = min(cols, from + LEAF); \
        _Pragma("unroll") \
        for (int g = 0; g < G; g++) \
            _Pragma("unroll") \
            for (int c = 0; c < C; c++) acc[g][c] = (float16)0.0f; \
        for (uint k = from; k < end; k++) \
            _Pragma("unroll") \
            for (int g = 0; g < G; g++) { \
                float16 v = weights16(type, at[g] + k * size); \
                _Pragma("unroll") \
                for (int c = 0; c < C; c++) acc[g][c] = fma(v, (float16)x[c][k], acc[g][c]); \
            } \
        _Pragma("unroll") \
        for (int g = 0; g < G; g++) \
            _Pragma("unroll") \
            for (int c = 0; c < C; c++) sum[g][c] = sum[g][c] + acc[g][c]; \
    } \
    _Pragma("unroll") \
    for (int g = 0; g < G; g++) \
        _Pragma("unroll") \
        for (int c = 0; c < C; c++) { \
            uint row = (group + g) * 16u; \
            if ((uint)c >= real || row >= rows) continue; \
            float v[16]; \
            vstore16(sum[g][c], 0, v); \
            for (uint r = 0; r < 16u && row + r < rows; r++) y[c * pitch + row + r] = v[r]; \
        } \
}
FLOAT_TILE(4, 1)
FLOAT_TILE(2, 4)

/* An item: 4 groups of one token, or of `panel` tokens. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#else
__kernel __attribute__((reqd_work_group_size(16, 1, 1)))
#endif
void matmul_float(__global float *y, ulong y_at, __global const float *x, ulong x_at, int type,
    __global const uchar *weights, uint rows, ulong pitch, uint groups, uint cols, uint n, uint panel,
    __global const int *route, ulong route_at, uint slot, uint used, uint expert0, uint experts)
{
    ulong each = (ulong)cols * (type == T_F32 ? 64u : 32u);
    uint token = get_group_id(1) * panel;
    if (used) {
        uint e = (uint)route[route_at + 2ul * (token * used + slot)] - expert0;
        if (e >= experts) return;
        weights += e * groups * each;
    }
    y += y_at;
    x += x_at;
#ifdef X86
    uint group = get_group_id(0) * 4u, to = min(n, token + panel);
    for (; token < to; token += panel > 1u ? 4u : 1u) {
        __global const float *v[4];
        for (uint c = 0; c < 4u; c++) v[c] = x + (ulong)min(token + c, to - 1u) * cols;
        __global float *out = y + token * pitch;
        if (panel > 1u) {
            float_tile2x4(out, pitch, v, type, weights, each, rows, group, groups, cols, to - token);
            if (group + 2u < groups) float_tile2x4(out, pitch, v, type, weights, each, rows, group + 2u, groups, cols, to - token);
        } else {
            float_tile4x1(out, pitch, v, type, weights, each, rows, group, groups, cols, 1u);
        }
    }
#else
    uint row = get_global_id(0), lane = row % 16u;
    if (row >= rows) return;
    __global const uchar *w = weights + row / 16u * each;
    __global const float *v = x + (ulong)token * cols;
    float sum = 0.0f;
    for (uint from = 0; from < cols; from += LEAF) {
        uint end = min(cols, from + LEAF);
        float acc = 0.0f;
        for (uint k = from; k < end; k++) {
            float m = type == T_F32 ? ((__global const float *)w)[k * 16u + lane]
                : type == T_F16 ? f16_value(((__global const ushort *)w)[k * 16u + lane])
                : as_float((uint)((__global const ushort *)w)[k * 16u + lane] << 16);
            acc = fma(m, v[k], acc);
        }
        sum = sum + acc;
    }
    y[token * pitch + row] = sum;
#endif
}
