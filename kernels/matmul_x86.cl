/* matmul_x86.cl - integer products on an x86 CPU behind OpenCL (CONTRACT.md §4):
 * one lane of a register is one row of weights, one work-item is a strip of rows.
 *
 * Compiled once a tensor type (TYPE), with X86 1 (AVX2, 8 lanes) or 2 (AVX-512
 * VNNI, 16 lanes). lib/compute/cl_pack.c tells the layout of the weights. Sums are
 * exact, so lanes, tiles and the order of blocks cannot show in a result.
 *
 * The unsigned codes u of a block times the int8 activations give `isum` in 32
 * bits, then
 *   32-block types   sum += (isum - zero * sum of x) * D * s     a block, 64 bits
 *   K-quants         part += sc * isum               256 elements fit 32 bits,
 *                    low += mn * (sum of x)          so do zeros and mins,
 *                    sum += (D * part - M * low) * s
 * With two-level scales s = S * s6, and every 64 elements go to 64 bits. */
#if defined(X86) && defined(TYPE)

#define AS(type, v) __builtin_astype(v, type)

#if X86 == 2
#define LANES 16
#define COLUMNS 8
typedef int16 vint;
typedef long8 vlong;
typedef float8 vhalf;
typedef float16 vfloat;
typedef char vbytes __attribute__((vector_size(64)));
#define AS_VINT as_int16
#define AS_VFLOAT as_float16
#define AS_VULONG as_ulong8
#define SPLAT(v) ((int16)(v))
#define MUL64(a, b) __builtin_ia32_pmuldq512(a, b)
#define SHUFFLE(t, v) AS(vint, __builtin_ia32_pshufb512(AS(vbytes, t), AS(vbytes, v)))
#define VLOAD(p) vload16(0, (__global const int *)(p))
#define FROM_SHORT(p) convert_int16(vload16(0, (__global const short *)(p)))
#define FROM_CHAR(p) convert_int16(vload16(0, (__global const char *)(p)))
#define FROM_UCHAR(p) convert_int16(vload16(0, (__global const uchar *)(p)))
#define VSTORE(v, p) vstore16(v, 0, p)
#define JOIN(e, o) ((float16)(e.s0, o.s0, e.s1, o.s1, e.s2, o.s2, e.s3, o.s3, \
    e.s4, o.s4, e.s5, o.s5, e.s6, o.s6, e.s7, o.s7))
#else
#define LANES 8
#define COLUMNS 4
typedef int8 vint;
typedef long4 vlong;
typedef float4 vhalf;
typedef float8 vfloat;
typedef char vbytes __attribute__((vector_size(32)));
typedef short vshorts __attribute__((vector_size(32)));
#define AS_VINT as_int8
#define AS_VFLOAT as_float8
#define AS_VULONG as_ulong4
#define SPLAT(v) ((int8)(v))
#define MUL64(a, b) __builtin_ia32_pmuldq256(a, b)
#define SHUFFLE(t, v) AS(vint, __builtin_ia32_pshufb256(AS(vbytes, t), AS(vbytes, v)))
#define VLOAD(p) vload8(0, (__global const int *)(p))
#define FROM_SHORT(p) convert_int8(vload8(0, (__global const short *)(p)))
#define FROM_CHAR(p) convert_int8(vload8(0, (__global const char *)(p)))
#define FROM_UCHAR(p) convert_int8(vload8(0, (__global const uchar *)(p)))
#define VSTORE(v, p) vstore8(v, 0, p)
#define JOIN(e, o) ((float8)(e.s0, o.s0, e.s1, o.s1, e.s2, o.s2, e.s3, o.s3))
#endif
/* Columns 0..count-1: count is a constant where this is inlined. */
#define EACH(c) _Pragma("unroll") for (int c = 0; c < COLUMNS; c++) if (c < count)
#define FAST static inline __attribute__((always_inline))

typedef int loose_int __attribute__((aligned(1)));
#define FOUR(p) SPLAT(*(__global const loose_int *)(p))      /* 4 activations in every lane */

/* The zero of the codes; AVX2 takes 8-bit codes with their sign. */
#define SIGNED (X86 == 1 && (TYPE == T_Q8_0 || TYPE == T_IQ4_NL || TYPE == T_IQ4_XS))
#define ZERO (SIGNED ? 0 : TYPE_ZERO)

/* ---- codes: 4 elements of LANES rows ------------------------------------------ */

FAST vint look(vint v)
{
#if TYPE_TABLE
    const int4 q = as_int4(as_uchar16((char16)(TABLE)) + (uchar16)ZERO);
#if X86 == 2
    return SHUFFLE((int16)(q, q, q, q), v);
#else
    return SHUFFLE((int8)(q, q), v);
#endif
#else
    return v;
#endif
}

/* Bits that stand at `from` in each byte, moved to `to`. */
FAST vint moved(vint v, const int from, const int to, const int mask)
{
    return (from > to ? v >> (from - to) : v << (to - from)) & mask;
}

/* The j-th four of elements 0..15 (low) and of 16..31 (high) of a record. */
FAST void codes(vint *low, vint *high, __global const uchar *p, const int j)
{
#if TYPE == T_Q8_0
    *low = VLOAD(p + 64 * j);
    *high = VLOAD(p + 256 + 64 * j);
    if (SIGNED) {
        *low ^= (int)0x80808080u;
        *high ^= (int)0x80808080u;
    }
#elif TYPE == T_Q2_K || TYPE == T_Q3_K
    *low = moved(VLOAD(p), 2 * j, 0, 0x03030303);
    *high = moved(VLOAD(p + 64), 2 * j, 0, 0x03030303);
#if TYPE == T_Q3_K
    vint h = VLOAD(p + 128);
    *low |= moved(h, j, 2, 0x04040404);
    *high |= moved(h, 4 + j, 2, 0x04040404);
#endif
#else
    vint w = VLOAD(p + 64 * j);
    *low = look(w & 0x0f0f0f0f);
    *high = look((w >> 4) & 0x0f0f0f0f);
#if RECORD == 320
    vint h = VLOAD(p + 256);
    *low |= moved(h, j, 4, 0x10101010);
    *high |= moved(h, 4 + j, 4, 0x10101010);
#elif RECORD == 384
    *low |= moved(VLOAD(p + 256), 2 * j, 4, 0x30303030);
    *high |= moved(VLOAD(p + 320), 2 * j, 4, 0x30303030);
#endif
#endif
}

/* ---- dots: a += elements 0..15 and b += 16..31 (b = a where they share a scale) ---- */

typedef struct columns { __global const uchar *x[COLUMNS]; } columns;

#if X86 == 2
/* As text: PoCL compiles for a CPU that may lack the feature, while the host,
 * which looked at CPUID, has it. */
#define PAIRS(acc, a, b) __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b))
#define DOT(acc, w, p) __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(__global const loose_int *)(p)))

FAST void dots(vint *a, vint *b, __global const uchar *p, const columns *x, uint at, const int count)
{
    #pragma unroll
    for (int j = 0; j < 4; j++) {
        vint low, high;
        codes(&low, &high, p, j);
        EACH(c) DOT(a[c], low, x->x[c] + at + 4 * j);
        EACH(c) DOT(b[c], high, x->x[c] + at + 16 + 4 * j);
    }
}
#else
#define PAIRS(acc, a, b) ((acc) += AS(vint, __builtin_ia32_pmaddwd256(AS(vshorts, a), AS(vshorts, b))))
#define ADD16(a, b) AS(vint, AS(vshorts, a) + AS(vshorts, b))
/* Products of codes that may be added in 16 bits; a and b of a step count as two
 * where they go into one sum. */
#define FITS (SIGNED ? 1 : TYPE == T_Q6_K ? 2 : (RECORD == 320 || TYPE == T_MXFP4) ? 4 : 8)
#define STEPS (TYPE_BY16 ? FITS : FITS / 2)
#define DIVISOR (STEPS == 0 ? 1 : STEPS > 4 ? 4 : STEPS)

FAST vint product(vint w, vint x)
{
#if SIGNED
    return AS(vint, __builtin_ia32_pmaddubsw256(AS(vbytes, __builtin_elementwise_abs(AS(vbytes, w))),
        __builtin_ia32_psignb256(AS(vbytes, x), AS(vbytes, w))));
#else
    return AS(vint, __builtin_ia32_pmaddubsw256(AS(vbytes, w), AS(vbytes, x)));
#endif
}

FAST void dots(vint *a, vint *b, __global const uchar *p, const columns *x, uint at, const int count)
{
    const vint ones = SPLAT(0x00010001);
    vint s[COLUMNS], t[COLUMNS];
    #pragma unroll
    for (int j = 0; j < 4; j++) {
        vint low, high;
        codes(&low, &high, p, j);
        EACH(c) {
            vint u = product(low, FOUR(x->x[c] + at + 4 * j)), v = product(high, FOUR(x->x[c] + at + 16 + 4 * j));
            if (STEPS == 0) {
                PAIRS(a[c], u, ones);
                PAIRS(b[c], v, ones);
                continue;
            }
            if (!TYPE_BY16) u = ADD16(u, v);
            bool first = j % DIVISOR == 0, last = j % DIVISOR == DIVISOR - 1;
            s[c] = first ? u : ADD16(s[c], u);
            if (TYPE_BY16) t[c] = first ? v : ADD16(t[c], v);
            if (!last) continue;
            PAIRS(a[c], s[c], ones);
            if (TYPE_BY16) PAIRS(b[c], t[c], ones);
        }
    }
}
#endif

/* ---- 64-bit sums: even and odd lanes apart ------------------------------------------ */

typedef struct sums { vlong even[COLUMNS], odd[COLUMNS]; } sums;

#define UPPER(v) AS_VINT(AS_VULONG(v) >> 32)

FAST vfloat result(vlong even, vlong odd, vint exponent)
{
    vhalf e = __builtin_convertvector(even, vhalf), o = __builtin_convertvector(odd, vhalf);
    return JOIN(e, o) * AS_VFLOAT((exponent + 127) << 23);
}

/* Where a work-item's rows and columns are. */
typedef struct place {
    __global const uchar *scales, *quants;
    __global const int *exponents;
    uint cols, groups;
} place;

#if !TYPE_SUPER
#define BLOCKS_MAX 2048
/* 32 * 31 * 127 and more times D does not fit 32 bits; s * D always does. */
#define LARGE (TYPE == T_Q8_0 || TYPE == T_IQ4_NL || TYPE == T_Q5_1)

/* Scales of the columns by block, and what each block adds whatever its codes. */
FAST void prepare(int *scale, int *bias, const columns *act, uint cols, const int count)
{
    uint blocks = cols / 32u, tail = (8u + 2u * blocks + cols + 63u) / 64u * 64u;
    for (uint b = 0; b < blocks; b++)
        for (int c = 0; c < count; c++) {
            int s = (int)u16_at(act->x[c] + 8u + 2u * b);
            __global const uchar *t = act->x[c] + tail + 4u * b;
            int x = (int)(short)u16_at(t) + (int)(short)u16_at(t + 2);
            scale[b * COLUMNS + c] = s;
            bias[b * COLUMNS + c] = TYPE_MIN ? s * x : -ZERO * x;
        }
}

FAST void group_sums(sums *sum, const place *w, uint group, uint lane, const int *scale, const int *bias,
    const columns *act, const int count)
{
    uint blocks = w->cols / 32u, values = 8u + 2u * blocks;
    __global const uchar *q = w->quants + (ulong)group * blocks * RECORD + lane * 4u;
    __global const uchar *d = w->scales + (ulong)group * blocks * SCALES + lane * 2u;
    EACH(c) sum->even[c] = sum->odd[c] = (vlong)0;
    for (uint b = 0; b < blocks; b++, q += RECORD, d += SCALES) {
        vint a[COLUMNS], D = FROM_SHORT(d);
#if TYPE_MIN || !TYPE_ZERO
        EACH(c) a[c] = SPLAT(0);
#else
        EACH(c) a[c] = SPLAT(bias[b * COLUMNS + c]);
#endif
        dots(a, a, q, act, values + 32u * b, count);
        EACH(c) {
            vint s = SPLAT(scale[b * COLUMNS + c]);
#if LARGE
            vint ds = D * s;
            sum->even[c] += MUL64(a[c], ds);
            sum->odd[c] += MUL64(UPPER(a[c]), UPPER(ds));
#else
            vint v = a[c] * D;
            sum->even[c] += MUL64(v, s);
            sum->odd[c] += MUL64(UPPER(v), s);
#endif
        }
#if TYPE_MIN
        vint m = FROM_SHORT(d + 32), upper = UPPER(m);
        EACH(c) {
            vint s = SPLAT(bias[b * COLUMNS + c]);
            sum->even[c] += MUL64(m, s);
            sum->odd[c] += MUL64(upper, s);
        }
#endif
    }
}
#else
#define HALVES (TYPE_BY16 ? 2 : 1)

/* What a stretch of elements gave, times its scale, into 64 bits. */
FAST void widen(sums *sum, int c, vint part, vint low, vint D, vint M, int scale)
{
#if TYPE_MIN
    vint ds = D * SPLAT(scale), ms = M * SPLAT(scale);
    sum->even[c] += MUL64(part, ds) - MUL64(low, ms);
    sum->odd[c] += MUL64(UPPER(part), UPPER(ds)) - MUL64(UPPER(low), UPPER(ms));
#else
    vint ds = D * SPLAT(scale), v = ZERO ? part - low * ZERO : part;
    sum->even[c] += MUL64(v, ds);
    sum->odd[c] += MUL64(UPPER(v), UPPER(ds));
#endif
}

/* Two sub-blocks of minimums (or of scales, for the zero) as pairs of int16. */
FAST vint pair(__global const uchar *d, int i)
{
#if TYPE_MIN
    vint v = FROM_UCHAR(d + AT_MN + 16 * i);
#else
    vint v = FROM_CHAR(d + AT_SC + 16 * i);
#endif
#if TYPE_BY16
#if TYPE_MIN
    return v | FROM_UCHAR(d + AT_MN + 16 * i + 16) << 16;
#else
    return (v & 0xffff) | FROM_CHAR(d + AT_SC + 16 * i + 16) << 16;
#endif
#else
    return (v & 0xffff) | v << 16;
#endif
}

FAST void group_sums(sums *sum, const place *w, uint group, uint lane, const columns *act, const int count,
    const bool two)
{
    uint supers = w->cols / 256u, values = 8u + 2u * supers + (two ? w->cols / 32u : 0u);
    uint tail = (values + w->cols + 63u) / 64u * 64u;
    __global const uchar *q = w->quants + (ulong)group * supers * (8 * RECORD) + lane * 4u;
    __global const uchar *d = w->scales + (ulong)group * supers * SCALES;
    EACH(c) sum->even[c] = sum->odd[c] = (vlong)0;
    for (uint i = 0; i < supers; i++, d += SCALES) {
        vint part[COLUMNS], low[COLUMNS], D = FROM_SHORT(d + lane * 2u), M = D;
#if TYPE_MIN
        M = FROM_SHORT(d + 32 + lane * 2u);
#endif
        EACH(c) part[c] = low[c] = SPLAT(0);
        for (uint b = 0; b < 8u; b++, q += RECORD) {
            vint a[COLUMNS], h[COLUMNS];
            uint at = 256u * i + 32u * b;
            EACH(c) a[c] = h[c] = SPLAT(0);
            dots(a, TYPE_BY16 ? h : a, q, act, values + at, count);
            vint sc = FROM_CHAR(d + AT_SC + lane + 16u * HALVES * b);
#if TYPE_BY16
            vint sh = FROM_CHAR(d + AT_SC + lane + 16u * HALVES * b + 16u);
#endif
#if TYPE_MIN || ZERO
            vint mn = pair(d + lane, HALVES * (int)b);
#endif
            EACH(c) {
#if TYPE_BY16
                vint v = a[c] * sc + h[c] * sh;
#else
                vint v = a[c] * sc;
#endif
                vint m = SPLAT(0);
#if TYPE_MIN || ZERO
                vint x = FOUR(act->x[c] + tail + at / 8u);
                if (two) PAIRS(m, mn, x); else PAIRS(low[c], mn, x);
#endif
                if (two) {
                    vint s6 = SPLAT((int)act->x[c][8u + 2u * supers + 8u * i + b]);
                    part[c] += v * s6;
                    low[c] += m * s6;
                    if (b & 1u) {
                        widen(sum, c, part[c], low[c], D, M, (int)u16_at(act->x[c] + 8u + 2u * i));
                        part[c] = low[c] = SPLAT(0);
                    }
                } else {
                    part[c] += v;
                }
            }
        }
        EACH(c) if (!two)
            widen(sum, c, part[c], low[c], D, M, (int)u16_at(act->x[c] + 8u + 2u * i));
    }
}
#endif

/* ---- a strip: row groups first..end-1 times `count` columns ----------------------------- */

FAST void strip(__global float *y, ulong pitch, uint rows, uint real, const place *w, uint first, uint end,
    const columns *act, const int count, const bool two)
{
#if !TYPE_SUPER
    int scale[BLOCKS_MAX * COLUMNS], bias[BLOCKS_MAX * COLUMNS];
    prepare(scale, bias, act, w->cols, count);
#endif
    for (uint g = first; g < end; g++)
        for (uint lane = 0; lane < 16u; lane += LANES) {
            sums sum;
            uint row = g * 16u + lane;
#if TYPE_SUPER
            group_sums(&sum, w, g, lane, act, count, two);
#else
            group_sums(&sum, w, g, lane, scale, bias, act, count);
#endif
            vint exponent = VLOAD(w->exponents + row);
            EACH(c) {
                if ((uint)c >= real || row >= rows) continue;
                vfloat v = result(sum.even[c], sum.odd[c], exponent + (i32_at(act->x[c] + 4) - GRID_BITS));
                __global float *to = y + c * pitch + row;
                if (row + LANES <= rows) {
                    VSTORE(v, to);
                } else {
                    float f[LANES];
                    VSTORE(v, f);
                    for (uint r = row; r < rows; r++) to[r - row] = f[r - row];
                }
            }
        }
}

/* Many tokens: item (i, j) does STRIP row groups of the part and PANEL tokens. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void matmul_tile(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const uchar *scales, __global const uchar *quants,
    uint rows, ulong pitch, uint groups, uint cols, uint n, uint panel, uint run, uint two)
{
    uint first = get_group_id(0) * run, from = get_group_id(1) * panel, to = min(n, from + panel);
    place w = { scales, quants, exponents, cols, groups };
    for (uint t = from; t < to; t += COLUMNS) {
        columns x;
        for (uint c = 0; c < COLUMNS; c++) x.x[c] = act + act_at + (ulong)min(t + c, n - 1u) * stride;
        __global float *out = y + y_at + t * pitch;
#if TYPE_SUPER
        if (two) strip(out, pitch, rows, to - t, &w, first, min(groups, first + run), &x, COLUMNS, true);
        else
#endif
        strip(out, pitch, rows, to - t, &w, first, min(groups, first + run), &x, COLUMNS, false);
    }
}

/* One token an item of the second dimension; used > 0: the rows of its expert. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void matmul_one(__global float *y, ulong y_at, __global const uchar *act, ulong act_at, ulong stride,
    __global const int *exponents, __global const uchar *scales, __global const uchar *quants,
    uint rows, ulong pitch, uint groups, uint cols, uint run, uint two,
    __global const int *route, ulong route_at, uint slot, uint used, uint expert0, uint experts)
{
    uint first = get_group_id(0) * run, i = get_group_id(1);
    columns x;
    place w = { scales, quants, exponents, cols, groups };
    if (used) {
        uint e = (uint)route[route_at + 2ul * (i * used + slot)] - expert0;
        if (e >= experts) return;
        ulong at = (ulong)e * groups * (cols / 32u);
        w.quants += at * RECORD;
        w.scales += TYPE_SUPER ? at / 8u * SCALES : at * SCALES;
        w.exponents += e * groups * 16u;
    }
    x.x[0] = act + act_at + (ulong)i * stride;
#if TYPE_SUPER
    if (two) strip(y + y_at + i * pitch, pitch, rows, 1u, &w, first, min(groups, first + run), &x, 1, true);
    else
#endif
    strip(y + y_at + i * pitch, pitch, rows, 1u, &w, first, min(groups, first + run), &x, 1, false);
}
#endif
