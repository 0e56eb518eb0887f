/* norm.cl - RMSNorm and LayerNorm (CONTRACT.md §7). Leaves are chains of 256 each
 * and independent; they are joined left to right. */
typedef struct normed { float mean, factor; } normed;

/* One leaf: its plain sum, or its squares about the mean. */
float norm_leaf(__global const float *v, uint dim, uint leaf, bool squares, float mean)
{
    uint end = min(dim, (leaf + 1u) * LEAF);
    float acc = 0.0f;
    for (uint k = leaf * LEAF; k < end; k++) {
        float d = v[k] - mean;
        acc = squares ? fma(d, d, acc) : acc + v[k];
    }
    return acc;
}

bool norm_factor(float sum, float inverse, float eps, float *factor)
{
    bool good = sum < 0x1p100f;
    *factor = good ? own_rsqrt(fma(sum, inverse, eps)) : as_float(0x7fc00000u);
    return good;
}

#ifdef X86
/* Eight whole leaves as eight chains side by side. */
float norm_join(__global const float *v, uint dim, bool squares, float mean)
{
    uint count = (dim + LEAF - 1u) / LEAF, leaf = 0;
    float sum = 0.0f;
    for (; leaf + 8u <= dim / LEAF; leaf += 8u) {
        float8 acc = (float8)0.0f;
        __global const float *p = v + leaf * LEAF;
        for (uint k = 0; k < LEAF; k++) {
            float8 d = (float8)(p[k], p[k + 256], p[k + 512], p[k + 768], p[k + 1024], p[k + 1280], p[k + 1536], p[k + 1792]);
            d = d - mean;
            acc = squares ? fma(d, d, acc) : acc + d;
        }
        sum = sum + acc.s0;
        sum = sum + acc.s1;
        sum = sum + acc.s2;
        sum = sum + acc.s3;
        sum = sum + acc.s4;
        sum = sum + acc.s5;
        sum = sum + acc.s6;
        sum = sum + acc.s7;
    }
    for (; leaf < count; leaf++) sum = sum + norm_leaf(v, dim, leaf, squares, mean);
    return sum;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void norm(__global float *y, ulong y_at, __global const float *x, ulong x_at, __global const float *w, ulong w_at,
    __global const float *b, ulong b_at, uint dim, float inverse, float eps, int layer, int biased,
    __global uint *status, uint op)
{
    ulong row = (ulong)get_group_id(0) * dim;
    __global const float *v = x + x_at + row;
    float mean = layer ? norm_join(v, dim, false, 0.0f) * inverse : 0.0f, factor;
    if (!norm_factor(norm_join(v, dim, true, mean), inverse, eps, &factor)) mark(status, op);
    y += y_at + row;
    w += w_at;
    b += b_at;
    uint k = 0;
    for (; k + 16u <= dim; k += 16u) {
        float16 d = vload16(0, v + k);
        if (layer) d = d - mean;
        d = (d * factor) * vload16(0, w + k);
        vstore16(biased ? d + vload16(0, b + k) : d, 0, y + k);
    }
    for (; k < dim; k++) {
        float d = ((layer ? v[k] - mean : v[k]) * factor) * w[k];
        y[k] = biased ? d + b[k] : d;
    }
}
#else
/* Every item joins the leaves itself: cheaper than another barrier. */
float norm_join(__local float *leaves, __global const float *v, uint dim, bool squares, float mean)
{
    uint count = (dim + LEAF - 1u) / LEAF;
    float sum = 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint l = get_local_id(0); l < count; l += GROUP) leaves[l] = norm_leaf(v, dim, l, squares, mean);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint l = 0; l < count; l++) sum = sum + leaves[l];
    return sum;
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void norm(__global float *y, ulong y_at, __global const float *x, ulong x_at, __global const float *w, ulong w_at,
    __global const float *b, ulong b_at, uint dim, float inverse, float eps, int layer, int biased,
    __global uint *status, uint op)
{
    __local float leaves[LEAVES_MAX];
    ulong row = (ulong)get_group_id(0) * dim;
    __global const float *v = x + x_at + row;
    float mean = 0.0f, factor;
    if (layer) mean = norm_join(leaves, v, dim, false, 0.0f) * inverse;
    if (!norm_factor(norm_join(leaves, v, dim, true, mean), inverse, eps, &factor) && get_local_id(0) == 0) mark(status, op);
    barrier(CLK_GLOBAL_MEM_FENCE);                   /* in place: all have read before one writes */
    for (uint k = get_local_id(0); k < dim; k += GROUP) {
        float d = ((layer ? v[k] - mean : v[k]) * factor) * w[w_at + k];
        y[y_at + row + k] = biased ? d + b[b_at + k] : d;
    }
}
#endif
