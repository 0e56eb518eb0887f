/* attention_full.cl - encoders: a token sees all of its segment, keys and values are
 * f32 rows (CONTRACT.md §11). One head of one token a work-group; bounds holds the
 * segment's first and end by token. */
#ifdef X86
#define ITEMS 1u
#else
#define ITEMS GROUP
#endif
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void attention_full(__global float *y, ulong y_at, __global const float *q, ulong q_at,
    __global const float *k, ulong k_at, __global const float *v, ulong v_at, __global float *scores, uint width,
    __global const uint *bounds, uint heads, uint group, uint dim, uint first, float scale, float cap,
    float inverse_cap, __global uint *status, uint op)
{
    __local float shared[ITEMS];
    uint lid = get_local_id(0), head = get_group_id(0), i = first + get_group_id(1);
    uint from = bounds[2u * i], count = bounds[2u * i + 1u] - from, bad = 0;
    ulong stride = (ulong)(heads / group) * dim, at = ((ulong)i * heads + head) * dim;
    __global float *p = scores + ((ulong)get_group_id(1) * heads + head) * (width + 16u);
    __global const float *qh = q + q_at + at;
    __global const float *kh = k + k_at + from * stride + head / group * dim, *vh = v + v_at + from * stride + head / group * dim;
    __global float *yh = y + y_at + at;
    float top = -INFINITY;
    for (uint t = lid; t < count; t += ITEMS) {
        float s = 0.0f;
        for (uint d = 0; d < dim; d++) s = fma(qh[d], kh[t * stride + d], s);
        s = one_score(s, scale, cap, inverse_cap);
        bad |= not_finite(s) ? 1u : 0u;
        top = s > top ? s : top;
        p[t] = s;
    }
    if (bad) mark(status, op);
    shared[lid] = top;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint j = 0; j < ITEMS; j++) top = shared[j] > top ? shared[j] : top;
    for (uint t = lid; t < count; t += ITEMS) p[t] = own_exp1(p[t] - top);
    barrier(CLK_GLOBAL_MEM_FENCE);
    float inverse = own_recip1(joined_weights(p, 0, 0, count));
    for (uint d = lid; d < dim; d += ITEMS) {
        float sum = 0.0f;
        for (uint t = 0; t < count;) {
            uint next = min(count, t + KV_PAGE);
            float acc = 0.0f;
            for (; t < next; t++) acc = fma(p[t], vh[t * stride + d], acc);
            sum = sum + acc;
        }
        yh[d] = sum * inverse;
    }
}
