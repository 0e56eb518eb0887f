/* _common.cl - what every kernel stands on; first in the program (files are
 * joined in byte order of their names). OpenCL C 1.2, full profile; no extension.
 *
 * Only + - * and explicit fma on floats: each exactly rounded here and in C.
 * Division, sqrt, exp of the device are never called (they may be off by ulps),
 * contraction is off. Each function is the twin of one in lib/compute/leaf.h.
 *
 * A program is compiled for a shape and maybe a flavour:
 *     X86 1, 2      a CPU under PoCL (AVX2; AVX-512 VNNI): work-groups of one item
 *                   that loop, float16 and the compiler's x86 builtins
 *     otherwise     GROUP items a work-group, one lane each; NVIDIA, DOT8: how four
 *                   bytes are multiplied. Extensions are used only behind these. */
#pragma OPENCL FP_CONTRACT OFF

#define LEAF 256
#define KV_PAGE 64
#define GRID_BITS 21
#define ABS_LIMIT_BITS 0x5d800000u
#define ABS_ZERO_BITS 0x21800000u
#define LEAVES_MAX 256
#define HEAD_MAX 256
#define F16_OVERFLOW_BITS 0x477ff000u

#ifndef GROUP
#define GROUP 64
#endif

/* Tensor types by their GGUF numbers. */
#define T_F32 0
#define T_F16 1
#define T_Q4_0 2
#define T_Q4_1 3
#define T_Q5_0 6
#define T_Q5_1 7
#define T_Q8_0 8
#define T_Q2_K 10
#define T_Q3_K 11
#define T_Q4_K 12
#define T_Q5_K 13
#define T_Q6_K 14
#define T_IQ4_NL 20
#define T_IQ4_XS 23
#define T_BF16 30
#define T_MXFP4 39

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

