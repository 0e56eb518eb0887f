/* leaf.c - the contract in scalar C: one function a rule, no state.
 *
 * A dispute ends at one call of one of these on committed bytes; scalar.c runs a
 * whole model through them. CONTRACT.md sections are named at each group; the
 * integers of weights (§2) are in types.c. */
#include "compute/leaf.h"

/* ---- §3 activations ---------------------------------------------------------------- */

static void
store_le16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* Signed G = RNE(x * 2^(21 - E)): since |x| < 2^E the shift is always to the right. */
static int32_t
grid(float x, int32_t exponent)
{
    uint32_t u = f32_bits(x), e = u >> 23 & 255;
    uint64_t m = (u & 0x7fffff) | (e ? 0x800000 : 0);
    int32_t down = exponent - GRID_BITS + 150 - (e ? (int32_t)e : 1);
    int32_t g = (int32_t)rne_shift(m, (uint32_t)down);
    return u >> 31 ? -g : g;
}

/* Largest |G| of a block, for its scale. */
static int32_t
largest(const int32_t *g, size_t count)
{
    int32_t most = 0;
    for (size_t i = 0; i < count; i++) most = DECAI__MAX(most, g[i] < 0 ? -g[i] : g[i]);
    return most;
}

/* q = sgn(G) * floor((2|G| + s) / (2s)): X = s*q is G to the nearest multiple. */
static void
quants(int8_t *q, const int32_t *g, size_t count, int32_t s)
{
    for (size_t i = 0; i < count; i++) {
        int32_t a = g[i] < 0 ? -g[i] : g[i];
        int32_t v = (2 * a + s) / (2 * s);
        q[i] = (int8_t)(g[i] < 0 ? -v : v);
    }
}

static int32_t
scale_of(int32_t most, int32_t parts)
{
    return DECAI__MAX(1, (most + parts - 1) / parts);
}

/* ACT_2L: S for 256 elements, then six bits for each 32 of them. */
static void
quant_two_level(uint8_t *wide, uint8_t *fine, int8_t *q, const int32_t *g)
{
    int32_t s = scale_of(largest(g, 256), 127 * DECAI__ACT_S6_MAX);
    store_le16(wide, (uint32_t)s);
    for (size_t j = 0; j < 8; j++) {
        int32_t s6 = scale_of(largest(g + 32 * j, 32), 127 * s);
        fine[j] = (uint8_t)s6;
        quants(q + 32 * j, g + 32 * j, 32, s * s6);
    }
}

static void
quant_blocks(uint8_t *out, int32_t form, const float *x, size_t cols, int32_t exponent)
{
    size_t block = decai__act_block(form);
    uint8_t *scales = out + 8, *fine = scales + cols / 256 * 2;
    int8_t *q = (int8_t *)(out + decai__act_quants_at(form, cols));
    int32_t g[256];
    for (size_t k = 0; k < cols; k += block) {
        for (size_t i = 0; i < block; i++) g[i] = grid(x[k + i], exponent);
        if (form == DECAI__ACT_2L) {
            quant_two_level(scales + k / 256 * 2, fine + k / 32, q + k, g);
            continue;
        }
        int32_t s = scale_of(largest(g, block), 127);
        store_le16(scales + k / block * 2, (uint32_t)s);
        quants(q + k, g, block, s);
    }
}

/* Every scale 1, every q 0. */
static void
quant_zero(uint8_t *out, int32_t form, size_t cols)
{
    size_t wide = cols / decai__act_block(form), at = decai__act_quants_at(form, cols);
    for (size_t b = 0; b < wide; b++) store_le16(out + 8 + 2 * b, 1);
    memset(out + 8 + 2 * wide, 1, at - 8 - 2 * wide);
    memset(out + at, 0, cols);
}

int32_t
decai__leaf_quant(uint8_t *out, int32_t form, const float *x, size_t cols)
{
    uint32_t most = 0;
    /* As integers NaN and Inf are above every finite magnitude. */
    for (size_t k = 0; k < cols; k++) {
        uint32_t a = f32_bits(x[k]) & 0x7fffffffu;
        if (a > most) most = a;
    }
    bool zero = most < ABS_ZERO_BITS || most >= ABS_LIMIT_BITS;
    int32_t exponent = zero ? 0 : (int32_t)(most >> 23) - 126;
    uint32_t head = (uint32_t)cols | (uint32_t)form << 24;
    memcpy(out, &head, 4);
    memcpy(out + 4, &exponent, 4);
    if (zero) quant_zero(out, form, cols);
    else quant_blocks(out, form, x, cols, exponent);
    return most < ABS_LIMIT_BITS ? 0 : DECAI_E_INTEGRITY;
}

void
decai__leaf_quant_tail(uint8_t *token, int32_t form, size_t cols)
{
    size_t size = decai__act_size(form, cols), at = decai__act_sums_at(form, cols);
    const int8_t *q = (const int8_t *)(token + decai__act_quants_at(form, cols));
    memset(token + size, 0, decai__act_stride(form, cols) - size);
    for (size_t k = 0; k < cols; k += 16) {
        int32_t sum = 0;
        for (size_t i = 0; i < 16; i++) sum += q[k + i];
        store_le16(token + at + k / 8, (uint32_t)sum & 0xffffu);
    }
}

static int32_t
scales_check(const decai__act *a)
{
    size_t wide = a->cols / decai__act_block(a->form);
    uint32_t most = a->form == DECAI__ACT_2L ? DECAI__ACT_S_MAX : DECAI__ACT_SCALE_MAX;
    for (size_t b = 0; b < wide; b++) {
        uint32_t s = decai__load_le16(a->scales + 2 * b);
        if (s < 1 || s > most) return decai__fail(DECAI_E_CORRUPT, "activation: scale %u of block %zu", s, b);
    }
    for (size_t b = 0; a->form == DECAI__ACT_2L && b < a->cols / 32; b++) {
        uint32_t s = a->scales[2 * wide + b];
        if (s < 1 || s > DECAI__ACT_S6_MAX) return decai__fail(DECAI_E_CORRUPT, "activation: sub-scale %u of block %zu", s, b);
    }
    return 0;
}

int32_t
decai__act_decode(decai__act *out, const uint8_t *data, size_t len)
{
    if (len < 8) return decai__fail(DECAI_E_CORRUPT, "activation: %zu bytes, need at least 8", len);
    size_t cols = decai__load_le32(data) & 0xffffffu;
    int32_t form = data[3];
    if (form >= DECAI__ACT_FORMS) return decai__fail(DECAI_E_CORRUPT, "activation: form %d", form);
    if (!cols || cols > DECAI_COMPUTE_COLS_MAX || cols % decai__act_block(form))
        return decai__fail(DECAI_E_CORRUPT, "activation: K %zu", cols);
    if (len != decai__act_size(form, cols))
        return decai__fail(DECAI_E_CORRUPT, "activation: %zu bytes, K %zu needs %zu", len, cols, decai__act_size(form, cols));
    *out = (decai__act){ .cols = (uint32_t)cols, .form = form, .scales = data + 8 };
    memcpy(&out->exponent, data + 4, 4);
    out->quants = (const int8_t *)(data + decai__act_quants_at(form, cols));
    if (out->exponent < -59 || out->exponent > 60)
        return decai__fail(DECAI_E_CORRUPT, "activation: E %d", out->exponent);
    int32_t r = scales_check(out);
    for (size_t k = 0; !r && k < cols; k++)
        if (out->quants[k] == -128) r = decai__fail(DECAI_E_CORRUPT, "activation: quant -128 at %zu", k);
    return r;
}

/* ---- §4 integer products ----------------------------------------------------------- */

/* One block's weights against the activation; scales change every 32. */
static int64_t
block_sum(const int32_t *w, size_t count, const decai__act *act, size_t k)
{
    int64_t total = 0;
    for (size_t j = 0; j < count; j += DECAI__BLOCK) {
        const int8_t *q = act->quants + k + j;
        int64_t sum = 0;
        for (size_t i = 0; i < DECAI__BLOCK; i++) sum += (int64_t)w[j + i] * q[i];
        total += sum * (int64_t)decai__act_scale(act, (k + j) / DECAI__BLOCK);
    }
    return total;
}

int64_t
decai__leaf_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act, size_t leaf)
{
    int32_t w[DECAI__LEAF];
    size_t block = decai__type_block(type), end = DECAI__MIN((size_t)act->cols, (leaf + 1) * DECAI__LEAF);
    int64_t sum = 0;
    for (size_t k = leaf * DECAI__LEAF; k < end; k += block) {
        decai__leaf_block_weights(w, type, row, k / block, exponent);
        sum += block_sum(w, block, act, k);
    }
    return sum;
}

int64_t
decai__row_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act)
{
    int64_t sum = 0;
    for (size_t leaf = 0; leaf * DECAI__LEAF < act->cols; leaf++)
        sum += decai__leaf_sum(type, row, exponent, act, leaf);
    return sum;
}

float
decai__leaf_result(int64_t sum, int32_t row_exponent, int32_t act_exponent)
{
    return int_result(sum, row_exponent + act_exponent - GRID_BITS);
}

/* ---- §5 float products --------------------------------------------------------------- */

float
decai__leaf_dot(int32_t type, const uint8_t *row, const float *x, size_t cols, size_t leaf)
{
    size_t end = DECAI__MIN(cols, (leaf + 1) * DECAI__LEAF);
    float acc = 0.0f;
    for (size_t k = leaf * DECAI__LEAF; k < end; k++) acc = FMA(weight_f32(type, row, k), x[k], acc);
    return acc;
}

float
decai__leaf_join(float acc, float leaf)
{
    return acc + leaf;
}

float
decai__row_dot(int32_t type, const uint8_t *row, const float *x, size_t cols)
{
    float acc = 0.0f;
    for (size_t leaf = 0; leaf * DECAI__LEAF < cols; leaf++)
        acc = decai__leaf_join(acc, decai__leaf_dot(type, row, x, cols, leaf));
    return acc;
}

float
decai__leaf_weight_f32(int32_t type, const uint8_t *row, size_t k)
{
    return weight_f32(type, row, k);
}

/* ---- §6 embedding ------------------------------------------------------------------------ */

float
decai__leaf_embed(int32_t type, const uint8_t *row, size_t k, int32_t exponent)
{
    if (!decai__type_quantised(type)) return weight_f32(type, row, k);
    return int_result(decai__leaf_weight(type, row, k, exponent), exponent);
}

/* ---- §7 norm, §8 rotation, §9 functions ---------------------------------------------------- */

float
decai__leaf_squares(const float *x, size_t cols, size_t leaf)
{
    size_t end = DECAI__MIN(cols, (leaf + 1) * DECAI__LEAF);
    float acc = 0.0f;
    for (size_t k = leaf * DECAI__LEAF; k < end; k++) acc = FMA(x[k], x[k], acc);
    return acc;
}

float
decai__leaf_total(const float *x, size_t cols, size_t leaf)
{
    size_t end = DECAI__MIN(cols, (leaf + 1) * DECAI__LEAF);
    float acc = 0.0f;
    for (size_t k = leaf * DECAI__LEAF; k < end; k++) acc = acc + x[k];
    return acc;
}

float
decai__leaf_mean(float sum, size_t cols)
{
    return sum * (1.0f / (float)cols);
}

float
decai__leaf_deviations(const float *x, float mean, size_t cols, size_t leaf)
{
    size_t end = DECAI__MIN(cols, (leaf + 1) * DECAI__LEAF);
    float acc = 0.0f;
    for (size_t k = leaf * DECAI__LEAF; k < end; k++) {
        float d = x[k] - mean;
        acc = FMA(d, d, acc);
    }
    return acc;
}

float
decai__leaf_norm_factor(float sum, size_t cols, float eps)
{
    return leaf_norm_factor(sum, 1.0f / (float)cols, eps);
}

float decai__leaf_norm(float x, float factor, float weight) { return (x * factor) * weight; }

int32_t
decai__row_norm(float *y, const float *x, const float *weight, const float *bias, size_t cols, float eps, int32_t kind)
{
    float mean = 0.0f, sum = 0.0f;
    bool layer = kind == DECAI__NORM_LAYER;
    for (size_t leaf = 0; layer && leaf * DECAI__LEAF < cols; leaf++)
        mean = decai__leaf_join(mean, decai__leaf_total(x, cols, leaf));
    if (layer) mean = decai__leaf_mean(mean, cols);
    for (size_t leaf = 0; leaf * DECAI__LEAF < cols; leaf++)
        sum = decai__leaf_join(sum, layer ? decai__leaf_deviations(x, mean, cols, leaf) : decai__leaf_squares(x, cols, leaf));
    float factor = decai__leaf_norm_factor(sum, cols, eps);
    for (size_t k = 0; k < cols; k++) {
        float v = decai__leaf_norm(layer ? x[k] - mean : x[k], factor, weight[k]);
        y[k] = bias ? v + bias[k] : v;
    }
    return factor != factor ? DECAI_E_INTEGRITY : 0;
}

void decai__leaf_rope(float *x0, float *x1, float cosine, float sine) { leaf_rope(x0, x1, cosine, sine); }
float decai__leaf_exp(float x) { return leaf_exp(x); }
float decai__leaf_recip(float x) { return leaf_recip(x); }
float decai__leaf_rsqrt(float x) { return leaf_rsqrt(x); }
float decai__leaf_tanh(float x) { return leaf_tanh(x); }
float decai__leaf_erf(float x) { return leaf_erf(x); }
float decai__f16_to_f32(uint16_t h) { return f16_to_f32(h); }
uint16_t decai__leaf_to_f16(float x) { return f32_to_f16(x); }

/* ---- §10 caches ------------------------------------------------------------------------------- */

size_t
decai__kv_row_bytes(int32_t kv_type, size_t head_dim)
{
    if (kv_type == DECAI__KV_F16) return 2 * head_dim;
    return (head_dim + DECAI__BLOCK - 1) / DECAI__BLOCK * 2 + head_dim;
}

static void
pack_block(uint8_t *scale, int8_t *q, const float *x, size_t count)
{
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++) most = DECAI__MAX(most, f32_bits(x[i]) & 0x7fffffffu);
    uint16_t d = leaf_kv_scale(most);
    float inverse = leaf_recip(f16_to_f32(d));
    store_le16(scale, d);
    for (size_t i = 0; i < count; i++) q[i] = leaf_kv_quant(x[i], inverse);
}

bool
decai__leaf_kv_pack(uint8_t *out, int32_t kv_type, const float *x, size_t head_dim)
{
    size_t blocks = (head_dim + DECAI__BLOCK - 1) / DECAI__BLOCK;
    bool fits = true;
    for (size_t d = 0; d < head_dim; d++) fits &= (f32_bits(x[d]) & 0x7fffffffu) < F16_OVERFLOW_BITS;
    if (!fits) {
        memset(out, 0, decai__kv_row_bytes(kv_type, head_dim));
        return false;
    }
    if (kv_type == DECAI__KV_F16) {
        for (size_t d = 0; d < head_dim; d++) store_le16(out + 2 * d, f32_to_f16(x[d]));
        return true;
    }
    for (size_t b = 0; b < blocks; b++) {
        size_t from = b * DECAI__BLOCK;
        pack_block(out + 2 * b, (int8_t *)out + 2 * blocks + from, x + from, DECAI__MIN(head_dim - from, (size_t)DECAI__BLOCK));
    }
    return true;
}

void
decai__leaf_kv_unpack(float *out, int32_t kv_type, const uint8_t *row, size_t head_dim)
{
    const int8_t *q = (const int8_t *)row + (head_dim + DECAI__BLOCK - 1) / DECAI__BLOCK * 2;
    for (size_t d = 0; d < head_dim; d++)
        out[d] = kv_type == DECAI__KV_F16 ? f16_to_f32(decai__load_le16(row + 2 * d))
            : (float)q[d] * f16_to_f32(decai__load_le16(row + d / DECAI__BLOCK * 2));
}

bool
decai__leaf_kv_round(float *out, int32_t kv_type, const float *x, size_t head_dim)
{
    uint8_t row[2 * DECAI__HEAD_MAX];
    bool fits = decai__leaf_kv_pack(row, kv_type, x, head_dim);
    decai__leaf_kv_unpack(out, kv_type, row, head_dim);
    return fits;
}

/* ---- §11 attention, §12 activations, §13 residual -------------------------------------------- */

float
decai__leaf_score(const float *q, const float *k, size_t head_dim, float scale, float cap)
{
    float acc = 0.0f;
    for (size_t d = 0; d < head_dim; d++) acc = FMA(q[d], k[d], acc);
    acc = acc * scale;
    return cap > 0.0f ? leaf_softcap(acc, cap, 1.0f / cap) : acc;
}

float
decai__leaf_weight_of(float score, float max)
{
    return leaf_exp(score - max);
}

float
decai__leaf_page_sum(const float *p, size_t count)
{
    float acc = 0.0f;
    for (size_t t = 0; t < count; t++) acc = acc + p[t];
    return acc;
}

float
decai__leaf_page_mix(const float *p, const float *v, size_t stride, size_t count)
{
    float acc = 0.0f;
    for (size_t t = 0; t < count; t++) acc = FMA(p[t], v[t * stride], acc);
    return acc;
}

float decai__leaf_attn(float mix, float sum) { return mix * leaf_recip(sum); }
float decai__leaf_activation(int32_t kind, float gate) { return leaf_activation(kind, gate); }
float decai__leaf_glu(int32_t kind, float gate, float up) { return leaf_glu(kind, gate, up); }
float decai__leaf_add(float a, float b) { return a + b; }
float decai__leaf_softcap(float x, float cap) { return leaf_softcap(x, cap, 1.0f / cap); }

/* ---- §14 experts --------------------------------------------------------------------------------- */

/* The largest score that is not taken yet; ties to the lower id. */
static size_t
best(const float *scores, const uint8_t *taken, size_t experts)
{
    size_t at = experts;
    for (size_t e = 0; e < experts; e++)
        if (!taken[e] && (at == experts || scores[e] > scores[at])) at = e;
    return at;
}

int32_t
decai__leaf_route(decai__chosen *out, const float *scores, size_t experts, size_t used, int32_t kind)
{
    uint8_t taken[DECAI__EXPERTS_MAX] = { 0 };
    float max = 0.0f, sum = 0.0f;
    bool finite = true;
    size_t slot = 0;
    for (size_t e = 0; e < experts; e++) finite &= (f32_bits(scores[e]) & 0x7fffffffu) < 0x7f800000u;
    for (size_t i = 0; i < used; i++) {
        size_t at = best(scores, taken, experts);
        if (i == 0) max = scores[at];
        taken[at] = 1;
    }
    for (size_t e = 0; e < experts; e++) {
        float p = leaf_exp(scores[e] - max);
        if (taken[e] || kind == DECAI__ROUTE_ALL) sum = sum + p;
        if (taken[e]) out[slot++] = (decai__chosen){ (int32_t)e, p };
    }
    float inverse = leaf_recip(sum);
    for (size_t i = 0; i < used; i++) out[i].weight = out[i].weight * inverse;
    return finite ? 0 : DECAI_E_INTEGRITY;
}

float
decai__leaf_mix_expert(size_t slot, float weight, float x, float y)
{
    return slot == 0 ? weight * x : FMA(weight, x, y);
}
