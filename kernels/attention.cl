/* attention.cl - one head of one token a work-group (CONTRACT.md §11): scores, their
 * largest (order-free), weights, then pages of 64 joined left to right.
 *
 * A cache may lie in several buffers; a launch sees one of them, positions c0..c1-1:
 *     bit 0 of steps  scores of these positions into the scratch row
 *     bit 1           all scores are there: largest, weights in place, their sum
 *     bit 2           values of these positions joined to y
 *     bit 3, bit 4    y starts from 0; y is complete
 * A scratch row is [positions from base][sum]; base is a multiple of 64. */
typedef struct view {
    __global uchar *chunk;
    uint first_slot, slots, heads, head, dim, from, end, base, c0, c1, width;
    int q8;
} view;

float one_score(float s, float scale, float cap, float inverse_cap)
{
    s = s * scale;
    return cap > 0.0f ? softcap1(s, cap, inverse_cap) : s;
}

/* The sum of weights, page by page; p is at position `from`. */
float joined_weights(__global const float *p, uint origin, uint from, uint end)
{
    float sum = 0.0f;
    for (uint t = from; t < end;) {
        uint next = min(end, origin + ((t - origin) / KV_PAGE + 1u) * KV_PAGE);
        float page = 0.0f;
        for (; t < next; t++) page = page + p[t - from];
        sum = sum + page;
    }
    return sum;
}

bool not_finite(float x)
{
    return (as_uint(x) & 0x7fffffffu) >= 0x7f800000u;
}

#ifdef X86
typedef short halves8 __attribute__((vector_size(16)));

float16 from_f16(__global const ushort *p)
{
#ifdef __F16C__
    float8 lo = __builtin_ia32_vcvtph2ps256(__builtin_astype(vload8(0, p), halves8));
    float8 hi = __builtin_ia32_vcvtph2ps256(__builtin_astype(vload8(1, p), halves8));
    return (float16)(lo, hi);
#else
    float16 v;
    for (int i = 0; i < 16; i++) ((float *)&v)[i] = f16_value(p[i]);
    return v;
#endif
}

/* 64 scores of a page; positions outside the token's sight get -inf. */
void page_scores(__global float *p, const view *w, __global const float *q, uint page,
    float scale, float cap, float inverse_cap)
{
    float16 s[4];
    cell c = cell_at(w->chunk, page % w->slots - w->first_slot, 0, w->heads, w->head, 0, w->dim, w->q8);
    #pragma unroll
    for (int j = 0; j < 4; j++) s[j] = (float16)0.0f;
    for (uint from = 0; from < w->dim; from += 32u) {
        uint end = min(w->dim, from + 32u);
        if (w->q8) {
            float16 d[4];
            #pragma unroll
            for (int j = 0; j < 4; j++) d[j] = from_f16(c.scales + from * 2u + 16 * j);
            for (uint k = from; k < end; k++)
                #pragma unroll
                for (int j = 0; j < 4; j++)
                    s[j] = fma((float16)q[k], convert_float16(vload16(j, c.quants + k * 64u)) * d[j], s[j]);
        } else {
            for (uint k = from; k < end; k++)
                #pragma unroll
                for (int j = 0; j < 4; j++) s[j] = fma((float16)q[k], from_f16(c.halves + k * 64u + 16 * j), s[j]);
        }
    }
    #pragma unroll
    for (int j = 0; j < 4; j++) {
        float16 v = s[j] * scale;
        if (cap > 0.0f) v = softcap16(v, cap, inverse_cap);
        vstore16(v, j, p);
    }
    for (uint t = 0; t < KV_PAGE; t++)
        if (page * KV_PAGE + t < w->from || page * KV_PAGE + t >= w->end) p[t] = -INFINITY;
}

/* Elements d..d+16*width-1 of a page's values, positions t0..t1-1 of it. */
#define MIX_PAGE(width) \
void mix_page##width(__global float *y, __global const float *p, const cell *v, uint dim, uint d, uint t0, uint t1, int q8) \
{ \
    float16 acc[width]; \
    _Pragma("unroll") \
    for (int j = 0; j < width; j++) acc[j] = (float16)0.0f; \
    uint blocks = (dim + 31u) / 32u; \
    for (uint t = t0; t < t1; t++) \
        _Pragma("unroll") \
        for (int j = 0; j < width; j++) { \
            uint k = d + 16u * j; \
            float16 x; \
            if (q8) x = convert_float16(vload16(0, v->quants + t * dim + k)) * f16_value(v->scales[t * blocks + k / 32u]); \
            else x = from_f16(v->halves + t * dim + k); \
            acc[j] = fma((float16)p[t], x, acc[j]); \
        } \
    _Pragma("unroll") \
    for (int j = 0; j < width; j++) vstore16(vload16(j, y + d) + acc[j], j, y + d); \
}
MIX_PAGE(1)
MIX_PAGE(4)

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void attention(__global float *y, ulong y_at, __global const float *q, ulong q_at, __global uchar *chunk,
    uint first_slot, uint slots, uint base, uint c0, uint c1, __global float *scores, uint width,
    uint heads, uint group, uint dim, int q8, uint first, uint pos, uint window, float scale, float cap,
    float inverse_cap, __global const float *sinks, ulong sinks_at, int sinking, uint steps,
    __global uint *status, uint op)
{
    uint head = get_group_id(0), i = first + get_group_id(1), at = pos + i, end = at + 1u;
    view w = { chunk, first_slot, slots, heads / group, head / group, dim,
        window && end > window ? end - window : 0u, end, base, c0, c1, width, q8 };
    __global float *row = scores + ((ulong)get_group_id(1) * heads + head) * (width + 16u);
    __global const float *qh = q + q_at + ((ulong)i * heads + head) * dim;
    __global float *yh = y + y_at + ((ulong)i * heads + head) * dim;
    uint a = max(w.from, c0), b = min(end, c1);
    if (steps & 1u && a < b)
        for (uint page = a / KV_PAGE; page * KV_PAGE < b; page++)
            page_scores(row + (page * KV_PAGE - base), &w, qh, page, scale, cap, inverse_cap);
    if (steps & 2u) {
        uint from = w.from / KV_PAGE * KV_PAGE, to = (end + KV_PAGE - 1u) / KV_PAGE * KV_PAGE;
        __global float *p = row + (from - base);
        float sink = sinking ? sinks[sinks_at + head] : -INFINITY, top = sink;
        float16 tops = (float16)top;
        int16 bad = (int16)0;
        for (uint t = 0; t < to - from; t += 16u) {
            float16 s = vload16(0, p + t);
            tops = select(tops, s, s > tops);
            bad |= s - s != (float16)0.0f && s != (float16)-INFINITY;
        }
        float8 t8 = select(tops.lo, tops.hi, tops.hi > tops.lo);
        float4 t4 = select(t8.lo, t8.hi, t8.hi > t8.lo);
        top = t4.x > t4.y ? t4.x : t4.y;
        top = t4.z > top ? t4.z : top;
        top = t4.w > top ? t4.w : top;
        for (uint t = w.from; t < end; t++)
            if (p[t - from] == -INFINITY) bad.s0 = -1;
        if (any(bad)) mark(status, op);
        for (uint t = 0; t < to - from; t += 16u) vstore16(own_exp16(vload16(0, p + t) - top), 0, p + t);
        float sum = joined_weights(p + (w.from - from), 0, w.from, end);
        if (sinking) sum = sum + own_exp1(sink - top);
        row[width] = sum;
    }
    if (!(steps & 4u)) return;
    if (steps & 8u) for (uint d = 0; d < dim; d++) yh[d] = 0.0f;
    for (uint t = a; t < b;) {
        uint page = t / KV_PAGE, t0 = t % KV_PAGE, t1 = min(b - page * KV_PAGE, (uint)KV_PAGE), d = 0;
        __global const float *p = row + (page * KV_PAGE - base);
        cell v = cell_at(chunk, page % slots - first_slot, 1, w.heads, w.head, 0, dim, q8);
        for (; d + 64u <= dim; d += 64u) mix_page4(yh, p, &v, dim, d, t0, t1, q8);
        for (; d + 16u <= dim; d += 16u) mix_page1(yh, p, &v, dim, d, t0, t1, q8);
        for (; d < dim; d++) {
            float acc = 0.0f;
            uint blocks = (dim + 31u) / 32u;
            for (uint j = t0; j < t1; j++) {
                float x = q8 ? (float)v.quants[j * dim + d] * f16_value(v.scales[j * blocks + d / 32u]) : f16_value(v.halves[j * dim + d]);
                acc = fma(p[j], x, acc);
            }
            yh[d] = yh[d] + acc;
        }
        t = page * KV_PAGE + t1;
    }
    if (!(steps & 16u)) return;
    float inverse = own_recip1(row[width]);
    for (uint d = 0; d < dim; d++) yh[d] = yh[d] * inverse;
}
#else
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void attention(__global float *y, ulong y_at, __global const float *q, ulong q_at, __global uchar *chunk,
    uint first_slot, uint slots, uint base, uint c0, uint c1, __global float *scores, uint width,
    uint heads, uint group, uint dim, int q8, uint first, uint pos, uint window, float scale, float cap,
    float inverse_cap, __global const float *sinks, ulong sinks_at, int sinking, uint steps,
    __global uint *status, uint op)
{
    __local float shared[GROUP];
    uint lid = get_local_id(0), head = get_group_id(0), i = first + get_group_id(1), end = pos + i + 1u;
    uint from = window && end > window ? end - window : 0u, a = max(from, c0), b = min(end, c1), bad = 0;
    __global float *row = scores + ((ulong)get_group_id(1) * heads + head) * (width + 16u);
    __global float *p = row + (from - base);                    /* of position `from` */
    __global const float *qh = q + q_at + ((ulong)i * heads + head) * dim;
    __global float *yh = y + y_at + ((ulong)i * heads + head) * dim;
    if (steps & 1u)
        for (uint t = a + lid; t < b; t += GROUP) {
            cell k = cell_at(chunk, t / KV_PAGE % slots - first_slot, 0, heads / group, head / group, t % KV_PAGE, dim, q8);
            float s = 0.0f;
            for (uint d = 0; d < dim; d++) s = fma(qh[d], cell_value(&k, d, q8), s);
            p[t - from] = one_score(s, scale, cap, inverse_cap);
        }
    barrier(CLK_GLOBAL_MEM_FENCE);
    if (steps & 2u) {
        float sink = sinking ? sinks[sinks_at + head] : -INFINITY, top = sink;
        for (uint t = lid; t < end - from; t += GROUP) {
            top = p[t] > top ? p[t] : top;
            bad |= not_finite(p[t]) ? 1u : 0u;
        }
        if (bad) mark(status, op);
        shared[lid] = top;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint j = 0; j < GROUP; j++) top = shared[j] > top ? shared[j] : top;
        for (uint t = lid; t < end - from; t += GROUP) p[t] = own_exp1(p[t] - top);
        barrier(CLK_GLOBAL_MEM_FENCE);
        float sum = joined_weights(p, 0, from, end);
        if (sinking) sum = sum + own_exp1(sink - top);
        if (lid == 0) row[width] = sum;
    }
    barrier(CLK_GLOBAL_MEM_FENCE);
    if (!(steps & 4u)) return;
    float inverse = steps & 16u ? own_recip1(row[width]) : 0.0f;
    for (uint d = lid; d < dim; d += GROUP) {
        float sum = steps & 8u ? 0.0f : yh[d];
        for (uint t = a; t < b;) {
            uint next = min(b, (t / KV_PAGE + 1u) * KV_PAGE);
            float acc = 0.0f;
            for (; t < next; t++) {
                cell v = cell_at(chunk, t / KV_PAGE % slots - first_slot, 1, heads / group, head / group, t % KV_PAGE, dim, q8);
                acc = fma(p[t - from], cell_value(&v, d, q8), acc);
            }
            sum = sum + acc;
        }
        yh[d] = steps & 16u ? sum * inverse : sum;
    }
}
#endif
