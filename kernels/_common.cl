/* _common.cl - what every kernel stands on; first in the program (files are
 * joined in byte order of their names). OpenCL C 1.2, full profile; no extension.
 *
 * Only + - * and explicit fma on floats: each exactly rounded here and in C.
 * Division, sqrt, exp of the device are never called (they may be off by ulps),
 * contraction is off. Each function is the twin of one in lib/compute/leaf.h. */
#pragma OPENCL FP_CONTRACT OFF

#define LEAF 256
#define KV_PAGE 64
#define GRID_BITS 21
#define ABS_LIMIT_BITS 0x5d800000u
#define ABS_ZERO_BITS 0x21800000u
#define LEAVES_MAX 256

/* Tensor types by their GGUF numbers. */
#define T_F32 0
#define T_F16 1
#define T_Q4_0 2
#define T_Q8_0 8

/* The first op that met a bad value is the one reported: a minimum is order-free. */
void mark(__global uint *status, uint op)
{
    atomic_min((volatile __global uint *)status, op);
}

float int_result(long sum, int exponent)
{
    ulong u = sum < 0 ? 0ul - (ulong)sum : (ulong)sum;
    uint shift = 0;
    if (u >> 24) {
        shift = 40u - (uint)clz(u);
        ulong q = u >> shift, rem = u & ((1ul << shift) - 1ul), tie = 1ul << (shift - 1u);
        u = q + ((rem > tie || (rem == tie && (q & 1ul))) ? 1ul : 0ul);
    }
    if (u == 0) return 0.0f;
    float y = (float)(uint)u * as_float((uint)(exponent + (int)shift + 127) << 23);
    return sum < 0 ? -y : y;
}

uint u16_at(__global const uchar *p)
{
    return (uint)p[0] | (uint)p[1] << 8;
}

/* Row headers of activations are read by bytes: their alignment is 2 at best. */
int i32_at(__global const uchar *p)
{
    return (int)((uint)p[0] | (uint)p[1] << 8 | (uint)p[2] << 16 | (uint)p[3] << 24);
}

float f16_value(uint h)
{
    uint sign = (h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 1023u;
    if (e == 31u) return as_float(sign | 0x7f800000u | m << 13);
    if (e) return as_float(sign | (e + 112u) << 23 | m << 13);
    if (!m) return as_float(sign);
    uint up = (uint)clz(m) - 21u;
    return as_float(sign | (113u - up) << 23 | (m << up & 1023u) << 13);
}

float weight_f32(int type, __global const uchar *row, uint k)
{
    if (type == T_F32) return ((__global const float *)row)[k];
    uint h = ((__global const ushort *)row)[k];
    return type == T_F16 ? f16_value(h) : as_float(h << 16);
}

float own_exp(float x)
{
    float t = fma(x, 0x1.715476p+0f, 0x1.8p+23f);
    float n = t - 0x1.8p+23f;
    float r = fma(n, -0x1.62e400p-1f, x);
    r = fma(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.a01a02p-13f;
    p = fma(p, r, 0x1.6c16c2p-10f);
    p = fma(p, r, 0x1.111112p-7f);
    p = fma(p, r, 0x1.555556p-5f);
    p = fma(p, r, 0x1.555556p-3f);
    p = fma(p, r, 0.5f);
    p = fma(p, r, 1.0f);
    p = fma(p, r, 1.0f);
    float y = p * as_float((as_uint(t) - 0x4b400000u + 127u) << 23);
    return x < -87.0f ? 0.0f : y;
}

float own_recip(float x)
{
    float r = as_float(0x7ef311c3u - as_uint(x));
    for (int i = 0; i < 4; i++) r = fma(r, fma(-x, r, 1.0f), r);
    return r;
}

float own_rsqrt(float x)
{
    float r = as_float(0x5f3759dfu - (as_uint(x) >> 1)), h = 0.5f * x;
    for (int i = 0; i < 4; i++) r = fma(r, fma(-h, r * r, 0.5f), r);
    return r;
}
