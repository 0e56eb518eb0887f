/* probe.cl - does the device's compiler take a flavour, and does the device then
 * multiply four bytes right? out[0] = 7 + 3*-2 + 1*2 + 255*127 + 128*-127 = 16132. */
#ifdef PROBE
#if defined(X86) && X86 == 2
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || !defined(__F16C__)
#error "the compiler's target has no AVX-512"
#endif
int probe_dot(uint w, int x)
{
    int16 acc = (int16)7, v = (int16)(int)w, u = (int16)x;
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(v), "v"(u));
    return acc.sf;
}
#elif defined(X86)
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "the compiler's target has no AVX2"
#endif
typedef char probe_bytes __attribute__((vector_size(32)));
typedef short probe_shorts __attribute__((vector_size(32)));
int probe_dot(uint w, int x)
{
    int8 v = (int8)(int)w, u = (int8)x;
    probe_shorts s = __builtin_ia32_pmaddubsw256(__builtin_astype(v, probe_bytes), __builtin_astype(u, probe_bytes));
    int8 ones = (int8)0x00010001;
    int8 r = __builtin_astype(__builtin_ia32_pmaddwd256(s, __builtin_astype(ones, probe_shorts)), int8);
    return r.s7 + 7;
}
#elif defined(NVIDIA)
int probe_dot(uint w, int x)
{
    int r, acc = 7;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(w), "r"(x), "r"(acc));
    return r;
}
#elif defined(DOT8)
#pragma OPENCL EXTENSION cl_khr_integer_dot_product : enable
int probe_dot(uint w, int x)
{
    return dot_4x8packed_us_int(w, as_uint(x)) + 7;
}
#else
int probe_dot(uint w, int x)
{
    int4 v = convert_int4(as_uchar4(w)) * convert_int4(as_char4(x));
    return v.x + v.y + v.z + v.w + 7;
}
#endif

__kernel void probe(__global int *out, uint w, int x)
{
    out[0] = probe_dot(w, x);
}
#endif
