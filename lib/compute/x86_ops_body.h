/* x86_ops_body.h - norms, activations, rotation and elementwise ops; compiled by
 * x86_vec.h's rule. Elementwise ops put elements in lanes. A norm's sums are chains
 * of 256, so eight chains (leaves of one vector, or of several) share a vector:
 * 8 x 8 elements are transposed, then added in order. */

/* ---- elements ------------------------------------------------------------------- */

VFN void
VNAME(decai__lanes_glu)(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *y = (float *)a->y;
    const float *gate = (const float *)a->x, *up = (const float *)a->w;
    int32_t kind = a->kind;
    (void)slice;
#define GLU_LOOP(KIND) \
    if (kind == (KIND) && up) for (; first + VN <= end; first += VN) vstore(y + first, vglu(KIND, vload(gate + first), vload(up + first))); \
    if (kind == (KIND) && !up) for (; first + VN <= end; first += VN) vstore(y + first, vactivation(KIND, vload(gate + first)));
    GLU_LOOP(DECAI__GLU_SILU)
    GLU_LOOP(DECAI__GLU_GELU_TANH)
    GLU_LOOP(DECAI__GLU_GELU_ERF)
    GLU_LOOP(DECAI__GLU_OAI)
#undef GLU_LOOP
    for (; first < end; first++) y[first] = up ? leaf_glu(kind, gate[first], up[first]) : leaf_activation(kind, gate[first]);
}

VFN void
VNAME(decai__lanes_add)(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *y = (float *)a->y;
    const float *x = (const float *)a->x, *w = (const float *)a->w;
    (void)slice;
    for (; first + VN <= end; first += VN) vstore(y + first, vload(x + first) + vload(w + first));
    for (; first < end; first++) y[first] = x[first] + w[first];
}

VFN void
VNAME(decai__lanes_softcap)(decai__call *a, size_t first, size_t end, size_t slice)
{
    float *y = (float *)a->y;
    (void)slice;
    for (; first + VN <= end; first += VN) vstore(y + first, a->scale * vtanh(vload(y + first) * a->inverse));
    for (; first < end; first++) y[first] = leaf_softcap(y[first], a->scale, a->inverse);
}

VFN void
VNAME(decai__lanes_bias)(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t i = first; i < end; i++) {
        float *y = (float *)a->y + i * a->dim;
        const float *b = (const float *)a->w + decai__call_expert(a, i) * a->dim;
        size_t k = 0;
        for (; k + VN <= a->dim; k += VN) vstore(y + k, vload(y + k) + vload(b + k));
        for (; k < a->dim; k++) y[k] = y[k] + b[k];
    }
}

VFN void
VNAME(decai__lanes_mix_expert)(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    for (size_t i = first; i < end; i++) {
        float *y = (float *)a->y + i * a->dim;
        const float *x = (const float *)a->x + i * a->dim;
        float weight = ((const decai__chosen *)(const void *)a->z)[i * a->used + a->slot].weight;
        size_t k = 0;
        for (; k + VN <= a->dim; k += VN)
            vstore(y + k, a->slot ? vfma(vset(weight), vload(x + k), vload(y + k)) : (vf)(weight * vload(x + k)));
        for (; k < a->dim; k++) y[k] = a->slot ? FMA(weight, x[k], y[k]) : weight * x[k];
    }
}

/* Largest |x| as bits: NaN and Inf are above every finite magnitude. */
VFN static uint32_t
VNAME(largest_bits)(const float *x, size_t count)
{
    vi most = vseti(0);
    uint32_t top = 0;
    size_t k = 0;
    for (; k + VN <= count; k += VN) {
        vi a = vbits(vload(x + k)) & 0x7fffffff;
        most = (vi)((most & ~(a > most)) | (a & (a > most)));
    }
    for (; k < count; k++) top = DECAI__MAX(top, f32_bits(x[k]) & 0x7fffffffu);
    int32_t lane[VN];
    memcpy(lane, &most, sizeof lane);
    for (int i = 0; i < VN; i++) top = DECAI__MAX(top, (uint32_t)lane[i]);
    return top;
}

VFN void
VNAME(decai__lanes_check)(decai__call *a, size_t first, size_t end, size_t slice)
{
    (void)slice;
    if (VNAME(largest_bits)((const float *)a->x + first * a->dim, (end - first) * a->dim) >= ABS_LIMIT_BITS)
        atomic_store(&a->bad, 1);
}

/* ---- norms ------------------------------------------------------------------------ */

enum { VNAME(CHAIN_SUM), VNAME(CHAIN_SQUARES), VNAME(CHAIN_DEVIATIONS) };

/* out[i] = chain over x[i][0..count): sum, squares, or squares about mean[i]. */
VINLINE void
VNAME(chains_of)(int kind, float out[8], const float *const x[8], const float mean[8], size_t count)
{
    __m256 acc = _mm256_setzero_ps(), m = _mm256_loadu_ps(mean);
    size_t k = 0;
    for (; k + 8 <= count; k += 8) {
        __m256 r[8];
        for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(x[i] + k);
        vtranspose8(r);
        for (int i = 0; i < 8; i++) {
            if (kind == VNAME(CHAIN_DEVIATIONS)) r[i] = _mm256_sub_ps(r[i], m);
            acc = kind == VNAME(CHAIN_SUM) ? _mm256_add_ps(acc, r[i]) : _mm256_fmadd_ps(r[i], r[i], acc);
        }
    }
    _mm256_storeu_ps(out, acc);
    for (; k < count; k++)
        for (int i = 0; i < 8; i++) {
            float v = kind == VNAME(CHAIN_DEVIATIONS) ? x[i][k] - mean[i] : x[i][k];
            out[i] = kind == VNAME(CHAIN_SUM) ? out[i] + v : FMA(v, v, out[i]);
        }
}

VFN static void
VNAME(chains)(int kind, float out[8], const float *const x[8], const float mean[8], size_t count)
{
    if (kind == VNAME(CHAIN_SUM)) VNAME(chains_of)(VNAME(CHAIN_SUM), out, x, mean, count);
    else if (kind == VNAME(CHAIN_SQUARES)) VNAME(chains_of)(VNAME(CHAIN_SQUARES), out, x, mean, count);
    else VNAME(chains_of)(VNAME(CHAIN_DEVIATIONS), out, x, mean, count);
}

#define NORM_ROWS 8                  /* vectors whose leaves are summed together */

/* sum[i] = joined leaves of row i; rows in a batch share their chains' vectors. */
VFN static void
VNAME(row_sums)(int kind, float *sum, const float *x, const float *mean, size_t rows, size_t dim)
{
    size_t leaves = (dim + DECAI__LEAF - 1) / DECAI__LEAF, total = rows * leaves;
    float part[8];
    for (size_t i = 0; i < rows; i++) sum[i] = 0.0f;
    /* All leaves but a short last one, in groups of eight, row after row. */
    size_t full = dim / DECAI__LEAF, many = rows * full;
    for (size_t at = 0; at < many; at += 8) {
        const float *from[8];
        float about[8];
        for (size_t i = 0; i < 8; i++) {
            size_t c = DECAI__MIN(at + i, many - 1);
            from[i] = x + c / full * dim + c % full * DECAI__LEAF;
            about[i] = mean[c / full];
        }
        VNAME(chains)(kind, part, from, about, DECAI__LEAF);
        for (size_t i = 0; i < 8 && at + i < many; i++) sum[(at + i) / full] = sum[(at + i) / full] + part[i];
    }
    if (total == many) return;
    for (size_t at = 0; at < rows; at += 8) {
        const float *from[8];
        float about[8];
        for (size_t i = 0; i < 8; i++) {
            size_t r = DECAI__MIN(at + i, rows - 1);
            from[i] = x + r * dim + full * DECAI__LEAF;
            about[i] = mean[r];
        }
        VNAME(chains)(kind, part, from, about, dim % DECAI__LEAF);
        for (size_t i = 0; i < 8 && at + i < rows; i++) sum[at + i] = sum[at + i] + part[i];
    }
}

VFN static void
VNAME(norm_row)(float *y, const float *x, const float *w, const float *b, float mean, float factor, bool layer, size_t dim)
{
    size_t k = 0;
    for (; k + VN <= dim; k += VN) {
        vf v = vload(x + k);
        if (layer) v = v - mean;
        v = (v * factor) * vload(w + k);
        vstore(y + k, b ? (vf)(v + vload(b + k)) : (vf)v);
    }
    for (; k < dim; k++) {
        float v = ((layer ? x[k] - mean : x[k]) * factor) * w[k];
        y[k] = b ? v + b[k] : v;
    }
}

VFN void
VNAME(decai__lanes_norm)(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__norm *p = &a->norm;
    bool layer = p->kind == DECAI__NORM_LAYER;
    float inverse = 1.0f / (float)p->dim, mean[NORM_ROWS] = { 0 }, none[NORM_ROWS] = { 0 }, sum[NORM_ROWS];
    (void)slice;
    for (size_t at = first; at < end; at += NORM_ROWS) {
        size_t rows = DECAI__MIN((size_t)NORM_ROWS, end - at);
        const float *x = (const float *)a->x + at * p->dim;
        if (layer) {
            VNAME(row_sums)(VNAME(CHAIN_SUM), mean, x, none, rows, p->dim);
            for (size_t i = 0; i < rows; i++) mean[i] = mean[i] * inverse;
        }
        VNAME(row_sums)(layer ? VNAME(CHAIN_DEVIATIONS) : VNAME(CHAIN_SQUARES), sum, x, mean, rows, p->dim);
        for (size_t i = 0; i < rows; i++) {
            float factor = leaf_norm_factor(sum[i], inverse, p->eps);
            if (factor != factor) atomic_store(&a->bad, 1);
            VNAME(norm_row)((float *)a->y + (at + i) * p->dim, x + i * p->dim, (const float *)a->w, (const float *)a->z,
                mean[i], factor, layer, p->dim);
        }
    }
}

/* ---- activations --------------------------------------------------------------------- */

/* G of 32 or 256 elements and their largest |G|. x * 2^(21-E) is exact, or rounds to
 * 0 as it should; the conversion is to nearest even. */
VFN static int32_t
VNAME(grid)(int32_t *g, const float *x, size_t count, float scale)
{
    vi most = vseti(0);
    for (size_t k = 0; k < count; k += VN) {
#if X86_WIDE
        vi v = (vi)_mm512_cvtps_epi32(vload(x + k) * scale);
        most = (vi)_mm512_max_epi32((__m512i)most, _mm512_abs_epi32((__m512i)v));
#else
        vi v = (vi)_mm256_cvtps_epi32(vload(x + k) * scale);
        most = (vi)_mm256_max_epi32((__m256i)most, _mm256_abs_epi32((__m256i)v));
#endif
        memcpy(g + k, &v, sizeof v);
    }
#if X86_WIDE
    return _mm512_reduce_max_epi32((__m512i)most);
#else
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128((__m256i)most), _mm256_extracti128_si256((__m256i)most, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
#endif
}

/* q = sgn(G) * floor((2|G| + s) / (2s)) by the reciprocal r of 2s. The numerator N is
 * an integer below 2^23, the quotient below 127.5 and either an integer or 1/(2s) >=
 * 3.01e-5 away from the next one above. r is off by 2^-24 of itself and the fma by
 * 2^-18 at most: together below 1.15e-5. So 1.5e-5 more lifts every integer over its
 * edge and nothing else (compute_native_test.c tries every s at every edge). */
VFN static void
VNAME(quants)(int8_t *q, const int32_t *g, size_t count, int32_t s)
{
    const vf once = vset((float)s), reciprocal = vset(1.0f / (float)(2 * s)), edge = vset(1.5e-5f);
    for (size_t k = 0; k < count; k += VN) {
        vi v;
        memcpy(&v, g + k, sizeof v);
#if X86_WIDE
        vf num = _mm512_cvtepi32_ps(_mm512_slli_epi32(_mm512_abs_epi32((__m512i)v), 1)) + once;
        __m512i m = _mm512_cvttps_epi32(vfma(num, reciprocal, edge));
        m = _mm512_mask_sub_epi32(m, _mm512_movepi32_mask((__m512i)v), _mm512_setzero_si512(), m);
        _mm_storeu_si128((__m128i *)(void *)(q + k), _mm512_cvtepi32_epi8(m));
#else
        vf num = _mm256_cvtepi32_ps(_mm256_slli_epi32(_mm256_abs_epi32((__m256i)v), 1)) + once;
        __m256i m = _mm256_sign_epi32(_mm256_cvttps_epi32(vfma(num, reciprocal, edge)), (__m256i)v);
        __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
        _mm_storel_epi64((__m128i *)(void *)(q + k), _mm_packs_epi16(h, h));
#endif
    }
}

LEAF_INLINE void
VNAME(put16)(uint8_t *p, int32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

LEAF_INLINE int32_t
VNAME(scale_of)(int32_t most, int32_t parts)
{
    return DECAI__MAX(1, (most + parts - 1) / parts);
}

VFN static void
VNAME(quant_block)(uint8_t *wide, uint8_t *fine, int8_t *q, const float *x, int32_t form, float scale)
{
    int32_t g[256], most[8], all = 0;
    if (form == DECAI__ACT_32) {
        int32_t s = VNAME(scale_of)(VNAME(grid)(g, x, 32, scale), 127);
        VNAME(put16)(wide, s);
        VNAME(quants)(q, g, 32, s);
        return;
    }
    for (size_t j = 0; j < 8; j++) {
        most[j] = VNAME(grid)(g + 32 * j, x + 32 * j, 32, scale);
        all = DECAI__MAX(all, most[j]);
    }
    bool two = form == DECAI__ACT_2L;
    int32_t s = VNAME(scale_of)(all, two ? 127 * DECAI__ACT_S6_MAX : 127);
    VNAME(put16)(wide, s);
    if (!two) VNAME(quants)(q, g, 256, s);
    for (size_t j = 0; two && j < 8; j++) {
        int32_t s6 = VNAME(scale_of)(most[j], 127 * s);
        fine[j] = (uint8_t)s6;
        VNAME(quants)(q + 32 * j, g + 32 * j, 32, s * s6);
    }
}

/* Zeros behind the canonical bytes, sums of 16, zeros. */
VFN static void
VNAME(quant_tail)(uint8_t *token, int32_t form, size_t cols)
{
    size_t size = decai__act_size(form, cols), at = decai__act_sums_at(form, cols), end = at + cols / 8;
    const int8_t *q = (const int8_t *)(token + decai__act_quants_at(form, cols));
    memset(token + size, 0, at - size);
    memset(token + end, 0, decai__act_stride(form, cols) - end);
    /* Raised by 128 the quants are unsigned: vpsadbw sums eight of them. */
    for (size_t k = 0; k < cols; k += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(q + k));
        v = _mm256_sad_epu8(_mm256_xor_si256(v, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
        v = _mm256_sub_epi32(_mm256_add_epi32(v, _mm256_srli_si256(v, 8)), _mm256_set1_epi32(16 * 128));
        VNAME(put16)(token + at + k / 8, _mm256_extract_epi32(v, 0));
        VNAME(put16)(token + at + k / 8 + 2, _mm256_extract_epi32(v, 4));
    }
}

VFN void
VNAME(decai__lanes_quant)(decai__call *a, size_t first, size_t end, size_t slice)
{
    size_t cols = a->dim, stride = decai__act_stride(a->form, cols), block = decai__act_block(a->form);
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const float *x = (const float *)a->x + i * cols;
        uint8_t *out = a->y + i * stride, *scales = out + 8, *fine = scales + cols / 256 * 2;
        int8_t *q = (int8_t *)out + decai__act_quants_at(a->form, cols);
        uint32_t most = VNAME(largest_bits)(x, cols), head = (uint32_t)cols | (uint32_t)a->form << 24;
        if (most < ABS_ZERO_BITS || most >= ABS_LIMIT_BITS) {
            if (decai__leaf_quant(out, a->form, x, cols)) atomic_store(&a->bad, 1);
            decai__leaf_quant_tail(out, a->form, cols);
            continue;
        }
        int32_t exponent = (int32_t)(most >> 23) - 126;
        float scale = f32_from((uint32_t)(GRID_BITS - exponent + 127) << 23);
        memcpy(out, &head, 4);
        memcpy(out + 4, &exponent, 4);
        for (size_t k = 0; k < cols; k += block)
            VNAME(quant_block)(scales + k / block * 2, fine + k / 32, q + k, x + k, a->form, scale);
        VNAME(quant_tail)(out, a->form, cols);
    }
}

/* ---- rotation ----------------------------------------------------------------------------- */

/* Pairs (j, j + pairs): halves are vectors. c, s: [pairs]. */
VFN static void
VNAME(rotate_halves)(float *x, const float *c, const float *s, size_t pairs)
{
    size_t j = 0;
    for (; j + VN <= pairs; j += VN) {
        vf a = vload(x + j), b = vload(x + pairs + j), co = vload(c + j), si = vload(s + j);
        vstore(x + j, vfma(a, co, -(b * si)));
        vstore(x + pairs + j, vfma(a, si, b * co));
    }
    for (; j < pairs; j++) leaf_rope(x + j, x + pairs + j, c[j], s[j]);
}

/* Pairs (2j, 2j + 1). c, s: each entry twice. Even lanes: fma(a, c, -(b s)); odd
 * lanes: fma(a, s, b c), where a is the neighbour below. */
VFN static void
VNAME(rotate_pairs)(float *x, const float *c, const float *s, size_t count)
{
    size_t j = 0;
    for (; j + 8 <= count; j += 8) {
        __m256 v = _mm256_loadu_ps(x + j), w = _mm256_permute_ps(v, 0xb1), co = _mm256_loadu_ps(c + j), si = _mm256_loadu_ps(s + j);
        __m256 even = _mm256_fmadd_ps(v, co, -(w * si)), odd = _mm256_fmadd_ps(w, si, v * co);
        _mm256_storeu_ps(x + j, _mm256_blend_ps(even, odd, 0xaa));
    }
    for (; j < count; j += 2) leaf_rope(x + j, x + j + 1, c[j], s[j]);
}

VFN void
VNAME(decai__lanes_rope)(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__rope *p = &a->rope;
    size_t pairs = p->rot_dim / 2, copies = p->neox ? 1 : 2;
    float c[DECAI__HEAD_MAX], s[DECAI__HEAD_MAX];
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const float *table = (const float *)a->w + (p->pos + i) * pairs * 2;
        for (size_t j = 0; j < pairs * copies; j++) {
            c[j] = table[j / copies * 2];
            s[j] = table[j / copies * 2 + 1];
        }
        for (size_t h = 0; h < p->heads; h++) {
            float *x = (float *)a->y + (i * p->heads + h) * p->head_dim;
            if (p->neox) VNAME(rotate_halves)(x, c, s, pairs);
            else VNAME(rotate_pairs)(x, c, s, p->rot_dim);
        }
    }
}

/* ---- experts ------------------------------------------------------------------------------- */

/* decai__leaf_route's steps, with the exponentials in lanes. */
VFN static int32_t
VNAME(route_one)(decai__chosen *out, const float *scores, size_t experts, size_t used, int32_t kind)
{
    float p[DECAI__EXPERTS_MAX + VN], max = 0.0f, sum = 0.0f;
    uint8_t taken[DECAI__EXPERTS_MAX] = { 0 };
    size_t slot = 0;
    if (VNAME(largest_bits)(scores, experts) >= 0x7f800000u) return decai__leaf_route(out, scores, experts, used, kind);
    for (size_t i = 0; i < used; i++) {
        size_t at = experts;
        for (size_t e = 0; e < experts; e++)
            if (!taken[e] && (at == experts || scores[e] > scores[at])) at = e;
        if (i == 0) max = scores[at];
        taken[at] = 1;
    }
    memset(p, 0, sizeof p);
    memcpy(p, scores, experts * 4);
    for (size_t e = 0; e < experts; e += VN) vstore(p + e, vexp(vload(p + e) - max));
    for (size_t e = 0; e < experts; e++) {
        if (taken[e] || kind == DECAI__ROUTE_ALL) sum = sum + p[e];
        if (taken[e]) out[slot++] = (decai__chosen){ (int32_t)e, p[e] };
    }
    float inverse = leaf_recip(sum);
    for (size_t i = 0; i < used; i++) out[i].weight = out[i].weight * inverse;
    return 0;
}

VFN void
VNAME(decai__lanes_route)(decai__call *a, size_t first, size_t end, size_t slice)
{
    const decai__route *p = &a->route;
    (void)slice;
    for (size_t i = first; i < end; i++)
        if (VNAME(route_one)((decai__chosen *)(void *)a->y + i * p->used, (const float *)a->x + i * p->experts,
                p->experts, p->used, p->kind)) atomic_store(&a->bad, 1);
}
