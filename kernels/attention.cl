/* attention.cl - one head of one token a work-group (CONTRACT.md §10): scores,
 * their largest (order-free), weights, then pages of 64 joined left to right.
 * Scores live in p: [group][positions_max]. */
float8 score8(__global const float *q, __global const float *k, ulong stride, uint dim)
{
    float8 acc = (float8)0.0f;
    for (uint d = 0; d < dim; d++) {
        __global const float *c = k + d;
        float8 v = (float8)(c[0], c[stride], c[2 * stride], c[3 * stride],
            c[4 * stride], c[5 * stride], c[6 * stride], c[7 * stride]);
        acc = fma((float8)q[d], v, acc);
    }
    return acc;
}

float score1(__global const float *q, __global const float *k, uint dim)
{
    float acc = 0.0f;
    for (uint d = 0; d < dim; d++) acc = fma(q[d], k[d], acc);
    return acc;
}

/* The joined pages of value elements d..d+7, and of one element. */
float8 mix8(__global const float *p, __global const float *v, ulong stride, uint positions)
{
    float8 y = (float8)0.0f;
    for (uint t = 0; t < positions; t += KV_PAGE) {
        uint end = min(positions, t + KV_PAGE);
        float8 acc = (float8)0.0f;
        for (uint i = t; i < end; i++) acc = fma((float8)p[i], vload8(0, v + i * stride), acc);
        y = y + acc;
    }
    return y;
}

float mix1(__global const float *p, __global const float *v, ulong stride, uint positions)
{
    float y = 0.0f;
    for (uint t = 0; t < positions; t += KV_PAGE) {
        uint end = min(positions, t + KV_PAGE);
        float acc = 0.0f;
        for (uint i = t; i < end; i++) acc = fma(p[i], v[i * stride], acc);
        y = y + acc;
    }
    return y;
}

__kernel void attention(__global float *y, ulong y_at, __global const float *q, ulong q_at,
    __global const float *k, ulong k_at, __global const float *v, ulong v_at, __global float *scores,
    uint heads, uint group, uint dim, uint first, uint pos, uint positions_max, float scale,
    __global uint *status, uint op, __local float *shared)
{
    uint lid = get_local_id(0), items = get_local_size(0);
    uint head = get_group_id(0), i = first + get_group_id(1), positions = pos + i + 1u;
    ulong stride = (ulong)(heads / group) * dim, at = ((ulong)i * heads + head) * dim, kv = (ulong)(head / group) * dim;
    __global float *p = scores + ((ulong)get_group_id(1) * heads + head) * positions_max;
    __global const float *qh = q + q_at + at, *kh = k + k_at + kv, *vh = v + v_at + kv;
    uint whole = positions / 8u, bad = 0;
    float top = -INFINITY;
    for (uint c = lid; c < whole; c += items) {
        float8 s = score8(qh, kh + c * 8u * stride, stride, dim) * scale;
        vstore8(s, c, p);
    }
    for (uint t = whole * 8u + lid; t < positions; t += items) p[t] = score1(qh, kh + t * stride, dim) * scale;
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (uint t = lid; t < positions; t += items) {
        float s = p[t];
        top = s > top ? s : top;
        bad |= (as_uint(s) & 0x7fffffffu) >= 0x7f800000u ? 1u : 0u;
    }
    if (bad) mark(status, op);
    shared[lid] = top;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint j = 0; j < items; j++) top = shared[j] > top ? shared[j] : top;
    for (uint t = lid; t < positions; t += items) p[t] = own_exp(p[t] - top);
    barrier(CLK_GLOBAL_MEM_FENCE);

    /* Every item joins the page sums itself: cheaper than another barrier. */
    float sum = 0.0f;
    for (uint t = 0; t < positions; t += KV_PAGE) {
        uint end = min(positions, t + KV_PAGE);
        float page = 0.0f;
        for (uint j = t; j < end; j++) page = page + p[j];
        sum = sum + page;
    }
    float inverse = own_recip(sum);
    for (uint c = lid; c < dim / 8u; c += items)
        vstore8(mix8(p, vh + 8u * c, stride, positions) * inverse, c, y + y_at + at);
    for (uint d = dim / 8u * 8u + lid; d < dim; d += items)
        y[y_at + at + d] = mix1(p, vh + d, stride, positions) * inverse;
}
