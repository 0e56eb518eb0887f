/* matmul.cl - integer products on any device (CONTRACT.md §4): 16 rows of a group
 * are 16 lanes, and SPLITS items share the columns of a row; their 64-bit sums are
 * added in local memory. Exact integers, so how it is split cannot show.
 *
 * Compiled once a tensor type (TYPE); the arithmetic is matmul_x86.cl's, a lane an
 * item. DOT4 multiplies four unsigned codes with four signed activations:
 *     NVIDIA   one dp4a
 *     DOT8     cl_khr_integer_dot_product (AMD, Intel)
 *     else     plain C */
#if !defined(X86) && defined(TYPE)
#ifndef SPLITS
#define SPLITS 4
#endif
#define TOKENS 4

#if defined(NVIDIA)
int dot4(uint w, int x, int acc)
{
    int r;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(w), "r"(x), "r"(acc));
    return r;
}
#elif defined(DOT8)
#pragma OPENCL EXTENSION cl_khr_integer_dot_product : enable
int dot4(uint w, int x, int acc)
{
    return acc + dot_4x8packed_us_int(w, as_uint(x));
}
#else
int dot4(uint w, int x, int acc)
{
    int4 a = convert_int4(as_uchar4(w)), b = convert_int4(as_char4(x));
    a = a * b;
    return acc + a.x + a.y + a.z + a.w;
}
#endif

uint word_at(__global const uchar *p)
{
    return *(__global const uint *)p;
}

/* Activations start anywhere. */
int four_at(__global const uchar *p)
{
    return as_int(vload4(0, (__global const char *)p));
}

uint moved(uint v, int from, int to, uint mask)
{
    return (from > to ? v >> (from - to) : v << (to - from)) & mask;
}

#if TYPE_TABLE
__constant char table[16] = { TABLE };
uint look(uint v)
{
    uchar4 i = as_uchar4(v);
    char4 t = (char4)(table[i.x], table[i.y], table[i.z], table[i.w]) + (char4)(char)TYPE_ZERO;
    return as_uint(t);
}
#else
#define look(v) (v)
#endif

/* As in matmul_x86.cl: elements 4j.. of the low and of the high half of a record. */
void codes(uint *low, uint *high, __global const uchar *p, int j)
{
#if TYPE == T_Q8_0
    *low = word_at(p + 64 * j);
    *high = word_at(p + 256 + 64 * j);
#elif TYPE == T_Q2_K || TYPE == T_Q3_K
    *low = moved(word_at(p), 2 * j, 0, 0x03030303u);
    *high = moved(word_at(p + 64), 2 * j, 0, 0x03030303u);
#if TYPE == T_Q3_K
    uint h = word_at(p + 128);
    *low |= moved(h, j, 2, 0x04040404u);
    *high |= moved(h, 4 + j, 2, 0x04040404u);
#endif
#else
    uint w = word_at(p + 64 * j);
    *low = look(w & 0x0f0f0f0fu);
    *high = look(w >> 4 & 0x0f0f0f0fu);
#if RECORD == 320
    uint h = word_at(p + 256);
    *low |= moved(h, j, 4, 0x10101010u);
    *high |= moved(h, 4 + j, 4, 0x10101010u);
#elif RECORD == 384
    *low |= moved(word_at(p + 256), 2 * j, 4, 0x30303030u);
    *high |= moved(word_at(p + 320), 2 * j, 4, 0x30303030u);
#endif
#endif
}

int sum16_at(__global const uchar *act, uint tail, uint k)
{
    return (int)(short)u16_at(act + tail + k / 8u);
}

/* Sums of elements 0..15 and 16..31 of the block at column k, `count` tokens. */
void dots(int *a, int *b, __global const uchar *q, __global const uchar *act, ulong stride, uint at, int count)
{
    for (int c = 0; c < count; c++) a[c] = b[c] = 0;
    for (int j = 0; j < 4; j++) {
        uint low, high;
        codes(&low, &high, q, j);
        for (int c = 0; c < count; c++) {
            __global const uchar *x = act + c * stride + at + 4u * (uint)j;
            a[c] = dot4(low, four_at(x), a[c]);
            b[c] = dot4(high, four_at(x + 16), b[c]);
        }
    }
}

#if !TYPE_SUPER
/* Every SPLITS-th block of one row from `split` on. */
void row_sums(long *sum, __global const uchar *d, __global const uchar *q, __global const uchar *act, ulong stride,
    uint cols, uint split, int count, uint two)
{
    uint blocks = cols / 32u, values = 8u + 2u * blocks, tail = (values + cols + 63u) / 64u * 64u;
    for (uint i = split; i < blocks; i += SPLITS) {
        int a[TOKENS], b[TOKENS], D = ((__global const short *)(d + i * SCALES))[0];
        dots(a, b, q + i * RECORD, act, stride, values + 32u * i, count);
        for (int c = 0; c < count; c++) {
            __global const uchar *t = act + c * stride;
            int s = (int)u16_at(t + 8u + 2u * i), x = sum16_at(t, tail, 32u * i) + sum16_at(t, tail, 32u * i + 16u);
            sum[c] += (long)(a[c] + b[c] - TYPE_ZERO * x) * (D * s);
#if TYPE_MIN
            sum[c] += (long)((__global const short *)(d + i * SCALES + 32u))[0] * (s * x);
#endif
        }
    }
}
#else
void row_sums(long *sum, __global const uchar *d, __global const uchar *q, __global const uchar *act, ulong stride,
    uint cols, uint split, int count, uint two)
{
    uint supers = cols / 256u, fine = 8u + 2u * supers, values = fine + (two ? cols / 32u : 0u);
    uint tail = (values + cols + 63u) / 64u * 64u, lane = get_local_id(0) % 16u;
    for (uint i = split; i < cols / 32u; i += SPLITS) {      /* 32 elements at a time */
        __global const uchar *at = d + i / 8u * SCALES;
        __global const char *sub = (__global const char *)(at - 2u * lane + lane + AT_SC) + i % 8u * (SUBS * 2u);
        int a[TOKENS], b[TOKENS], D = ((__global const short *)at)[0];
        dots(a, b, q + i * RECORD, act, stride, values + 32u * i, count);
#if TYPE_MIN
        __global const uchar *low = at - 2u * lane + lane + AT_MN + i % 8u * (SUBS * 2u);
        int M = ((__global const short *)(at + 32u))[0];
#endif
        for (int c = 0; c < count; c++) {
            __global const uchar *t = act + c * stride;
            int s = (int)u16_at(t + 8u + i / 8u * 2u) * (two ? (int)t[fine + i] : 1);
            int x0 = sum16_at(t, tail, 32u * i), x1 = sum16_at(t, tail, 32u * i + 16u);
#if TYPE_BY16
            int part = (a[c] - TYPE_ZERO * x0) * sub[0] + (b[c] - TYPE_ZERO * x1) * sub[16];
#else
            int part = (a[c] + b[c] - TYPE_ZERO * (x0 + x1)) * sub[0];
#endif
            sum[c] += (long)part * (D * s);
#if TYPE_MIN && TYPE_BY16
            sum[c] -= (long)(x0 * low[0] + x1 * low[16]) * (M * s);
#elif TYPE_MIN
            sum[c] -= (long)((x0 + x1) * low[0]) * (M * s);
#endif
        }
    }
}
#endif

/* One group of rows times `count` tokens; act and y at the first of them. */
void group_product(__global float *y, ulong pitch, __global const uchar *act, ulong stride, __global const int *exponents,
    __global const uchar *scales, __global const uchar *quants, uint rows, uint group, uint cols, int count, uint two,
    __local long *parts)
{
    uint lid = get_local_id(0), lane = lid % 16u, split = lid / 16u, row = group * 16u + lane;
    ulong blocks = (ulong)group * (cols / 32u);
    long sum[TOKENS];
    for (int c = 0; c < TOKENS; c++) sum[c] = 0;
    row_sums(sum, scales + (TYPE_SUPER ? blocks / 8u : blocks) * SCALES + lane * 2u, quants + blocks * RECORD + lane * 4u,
        act, stride, cols, split, count, two);
    for (int c = 0; c < count; c++) parts[(c * SPLITS + split) * 16u + lane] = sum[c];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (split || row >= rows) return;
    for (int c = 0; c < count; c++) {
        long total = 0;
        for (uint i = 0; i < SPLITS; i++) total += parts[(c * SPLITS + i) * 16u + lane];
        y[c * pitch + row] = int_result(total, exponents[row] + i32_at(act + c * stride + 4) - GRID_BITS);
    }
}

__kernel __attribute__((reqd_work_group_size(16 * SPLITS, 1, 1)))
void matmul_tile(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const uchar *scales, __global const uchar *quants,
    uint rows, ulong pitch, uint groups, uint cols, uint n, uint panel, uint run, uint two)
{
    __local long parts[TOKENS * SPLITS * 16];
    uint first = get_group_id(1) * TOKENS;
    group_product(y + y_at + first * pitch, pitch, act + act_at + first * stride, stride, exponents, scales, quants, rows,
        get_group_id(0), cols, (int)min((uint)TOKENS, n - first), two, parts);
}

__kernel __attribute__((reqd_work_group_size(16 * SPLITS, 1, 1)))
void matmul_one(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const uchar *scales, __global const uchar *quants,
    uint rows, ulong pitch, uint groups, uint cols, uint run, uint two,
    __global const int *route, ulong route_at, uint slot, uint used, uint expert0, uint experts)
{
    __local long parts[TOKENS * SPLITS * 16];
    uint i = get_group_id(1), e = 0;
    if (used) {
        e = (uint)route[route_at + 2ul * (i * used + slot)] - expert0;
        if (e >= experts) return;
    }
    ulong at = (ulong)e * groups * (cols / 32u);
    group_product(y + y_at + i * pitch, pitch, act + act_at + i * stride, stride, exponents + e * groups * 16u,
        scales + (TYPE_SUPER ? at / 8u : at) * SCALES, quants + at * RECORD, rows, get_group_id(0), cols, 1, two, parts);
}
#endif
