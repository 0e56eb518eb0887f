/* quant.cl - activations to canonical bytes and their tail (CONTRACT.md §3): one
 * work-group a token. The largest magnitude first (order-free), then blocks.
 *
 * form 0: a scale for 32 elements; 1: for 256; 2: S for 256 and s6 for 32. */
void put16(__global uchar *p, uint v)
{
    p[0] = (uchar)v;
    p[1] = (uchar)(v >> 8);
}

uint scale_of(uint most, uint parts)
{
    return max(1u, (most + parts - 1u) / parts);
}

typedef struct places { uint wide, fine, quants, size, sums; } places;

places places_of(uint form, uint cols)
{
    places p;
    p.wide = 8u;
    p.fine = 8u + 2u * (form ? cols / 256u : cols / 32u);
    p.quants = p.fine + (form == 2u ? cols / 32u : 0u);
    p.size = p.quants + cols;
    p.sums = (p.size + 63u) / 64u * 64u;
    return p;
}

void head(__global uchar *out, uint cols, uint form, int exponent)
{
    put16(out, cols);
    put16(out + 2, cols >> 16 | form << 8);
    put16(out + 4, (uint)exponent);
    put16(out + 6, (uint)exponent >> 16);
}

/* x on the grid: |x * grid| <= 2^21 and the product is exact where it matters. */
#define ON_GRID(T, x, grid) (as_##T((x) * (grid) + 0x1.8p+23f) - 0x4b400000)

#ifdef X86
uint most16(uint16 v)
{
    uint8 a = max(v.lo, v.hi);
    uint4 b = max(a.lo, a.hi);
    uint2 c = max(b.lo, b.hi);
    return max(c.x, c.y);
}

int total16(int16 v)
{
    int8 a = v.lo + v.hi;
    int4 b = a.lo + a.hi;
    int2 c = b.lo + b.hi;
    return c.x + c.y;
}

/* floor((2|g| + s) / 2s) with its sign. The estimate is off by one at most,
 * however the device divides; the remainder says so. */
int16 divided(int16 g, int s, float inverse)
{
    int16 n = as_int16(abs(g)) * 2 + s, q = convert_int16(convert_float16(n) * inverse), rest = n - q * (2 * s);
    q += (rest < 0) - (rest >= 2 * s);
    return select(q, -q, g < 0);
}

void sixteen(__global uchar *out, const places *p, uint k, int16 g, int s, float inverse)
{
    int16 q = divided(g, s, inverse);
    vstore16(convert_char16(q), 0, (__global char *)(out + p->quants + k));
    put16(out + p->sums + k / 8u, (uint)total16(q));
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void quant(__global uchar *act, ulong act_at, __global const float *x, ulong x_at,
    uint cols, uint form, ulong stride, __global uint *status, uint op)
{
    __global const float *v = x + x_at + (ulong)get_group_id(0) * cols;
    __global uchar *out = act + act_at + (ulong)get_group_id(0) * stride;
    places p = places_of(form, cols);
    uint16 tops = (uint16)0u;
    for (uint k = 0; k < cols; k += 16u) tops = max(tops, as_uint16(vload16(0, v + k)) & 0x7fffffffu);
    uint top = most16(tops), block = form ? 256u : 32u;
    bool zero = top < ABS_ZERO_BITS || top >= ABS_LIMIT_BITS;
    int exponent = zero ? 0 : (int)(top >> 23) - 126;
    if (top >= ABS_LIMIT_BITS) mark(status, op);
    head(out, cols, form, exponent);
    float grid = as_float((uint)(GRID_BITS - exponent + 127) << 23);
    for (uint k = 0; k < cols; k += block) {
        int16 g[16];
        uint most[8], all = 0;
        for (uint i = 0; i < block / 32u; i++) {
            int16 a = ON_GRID(int16, vload16(0, v + k + 32u * i), grid);
            int16 b = ON_GRID(int16, vload16(0, v + k + 32u * i + 16u), grid);
            if (zero) a = b = (int16)0;
            g[2u * i] = a;
            g[2u * i + 1u] = b;
            most[i] = most16(max(abs(a), abs(b)));
            all = max(all, most[i]);
        }
        uint wide = scale_of(all, form == 2u ? 127u * 63u : 127u);
        put16(out + p.wide + k / block * 2u, wide);
        for (uint i = 0; i < block / 32u; i++) {
            uint s = wide;
            if (form == 2u) {
                uint s6 = scale_of(most[i], 127u * wide);
                out[p.fine + k / 32u + i] = (uchar)s6;
                s *= s6;
            }
            float inverse = 1.0f / (float)(2u * s);
            sixteen(out, &p, k + 32u * i, g[2u * i], (int)s, inverse);
            sixteen(out, &p, k + 32u * i + 16u, g[2u * i + 1u], (int)s, inverse);
        }
    }
    for (uint i = p.size; i < p.sums; i++) out[i] = 0;
    for (ulong i = p.sums + cols / 8u; i < stride; i++) out[i] = 0;
}
#else
/* 32 elements of one scale; the sum of each 16. */
void thirty_two(__global uchar *out, const places *p, __global const float *v, uint k, uint s, float grid, bool zero)
{
    for (uint h = 0; h < 32u; h += 16u) {
        int sum = 0;
        for (uint i = k + h; i < k + h + 16u; i++) {
            int g = zero ? 0 : ON_GRID(int, v[i], grid), q = (int)((2u * abs(g) + s) / (2u * s));
            q = g < 0 ? -q : q;
            sum += q;
            out[p->quants + i] = (uchar)q;
        }
        put16(out + p->sums + (k + h) / 8u, (uint)sum);
    }
}

uint most_of(__global const float *v, uint from, uint count, float grid, bool zero)
{
    uint most = 0;
    for (uint i = from; i < from + count && !zero; i++) most = max(most, abs(ON_GRID(int, v[i], grid)));
    return most;
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void quant(__global uchar *act, ulong act_at, __global const float *x, ulong x_at,
    uint cols, uint form, ulong stride, __global uint *status, uint op)
{
    __local uint tops[GROUP];
    uint lid = get_local_id(0), block = form ? 256u : 32u;
    __global const float *v = x + x_at + (ulong)get_group_id(0) * cols;
    __global uchar *out = act + act_at + (ulong)get_group_id(0) * stride;
    places p = places_of(form, cols);
    uint top = 0;
    for (uint k = lid; k < cols; k += GROUP) top = max(top, as_uint(v[k]) & 0x7fffffffu);
    tops[lid] = top;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = 0; i < GROUP; i++) top = max(top, tops[i]);
    bool zero = top < ABS_ZERO_BITS || top >= ABS_LIMIT_BITS;
    int exponent = zero ? 0 : (int)(top >> 23) - 126;
    if (lid == 0) head(out, cols, form, exponent);
    if (lid == 0 && top >= ABS_LIMIT_BITS) mark(status, op);
    float grid = as_float((uint)(GRID_BITS - exponent + 127) << 23);
    for (uint k = lid * 32u; k < cols; k += GROUP * 32u) {
        uint first = k / block * block, wide = scale_of(most_of(v, first, block, grid, zero), form == 2u ? 127u * 63u : 127u), s = wide;
        if (k == first) put16(out + p.wide + k / block * 2u, wide);
        if (form == 2u) {
            uint s6 = scale_of(most_of(v, k, 32u, grid, zero), 127u * wide);
            out[p.fine + k / 32u] = (uchar)s6;
            s *= s6;
        }
        thirty_two(out, &p, v, k, s, grid, zero);
    }
    for (uint i = p.size + lid; i < p.sums; i += GROUP) out[i] = 0;
    for (ulong i = p.sums + cols / 8u + lid; i < stride; i += GROUP) out[i] = 0;
}
#endif
