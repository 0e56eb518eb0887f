/* leaf.c - the contract in scalar C: one function a rule, no state.
 *
 * A dispute ends at one call of one of these on committed bytes; scalar.c runs a
 * whole model through them. CONTRACT.md sections are named at each group.
 *
 * Raw rows (GGUF): blocks of 32 elements, each an f16 scale d and then
 *     Q8_0 (34 bytes): 32 int8                 x = d * q
 *     Q4_0 (18 bytes): 16 bytes of nibbles      x = d * (q - 8) */
#include "compute/leaf.h"

/* ---- rows -------------------------------------------------------------------- */

bool
decai__type_quantised(int32_t type)
{
    return type == DECAI__Q8_0 || type == DECAI__Q4_0;
}

size_t
decai__row_size(int32_t type, size_t cols)
{
    if (cols == 0 || cols > DECAI_COMPUTE_COLS_MAX) return 0;
    switch (type) {
    case DECAI__F32: return cols * 4;
    case DECAI__F16: case DECAI__BF16: return cols * 2;
    case DECAI__Q8_0: return cols % DECAI__BLOCK ? 0 : cols / DECAI__BLOCK * 34;
    case DECAI__Q4_0: return cols % DECAI__BLOCK ? 0 : cols / DECAI__BLOCK * 18;
    default: return 0;
    }
}

static const uint8_t *
block_at(int32_t type, const uint8_t *row, size_t block)
{
    return row + block * (type == DECAI__Q8_0 ? 34 : 18);
}

/* ---- §2 weights ---------------------------------------------------------------- */

/* |d| = m * 2^x with m an integer below 2048. */
static void
f16_split(uint16_t h, uint32_t *m, int32_t *x)
{
    uint32_t e = h >> 10 & 31;
    *m = (h & 1023) | (e ? 1024 : 0);
    *x = (e ? (int32_t)e : 1) - 25;
}

/* D = RNE(d * 2^-F); *lost says whether a bit went. */
static int32_t
scale_align(uint16_t h, int32_t exponent, bool *lost)
{
    uint32_t m;
    int32_t x;
    f16_split(h, &m, &x);
    int32_t up = x - exponent;
    uint64_t d;
    if (up >= 0) {
        d = (uint64_t)m << (up < 32 ? up : 32);
        *lost = false;
    } else {
        uint32_t down = (uint32_t)-up;
        d = rne_shift(m, down);
        *lost = m && (down > 63 || (d << down) != m);
    }
    return h & 0x8000 ? -(int32_t)d : (int32_t)d;
}

int32_t
decai__leaf_row_exponent(int32_t *exponent, uint64_t *lost, int32_t type, const uint8_t *row, size_t cols)
{
    uint32_t largest = 0;
    size_t blocks = cols / DECAI__BLOCK;
    *exponent = 0;
    /* Among finite f16 the order of |d| is the order of the low 15 bits. */
    for (size_t b = 0; b < blocks; b++) {
        uint32_t h = decai__load_le16(block_at(type, row, b)) & 0x7fffu;
        if (h >= 0x7c00) return DECAI_E_CORRUPT;
        if (h > largest) largest = h;
    }
    if (largest) {
        uint32_t m;
        int32_t x;
        f16_split((uint16_t)largest, &m, &x);
        *exponent = x + (31 - __builtin_clz(m)) - (SCALE_BITS - 1);
    }
    for (size_t b = 0; b < blocks && lost; b++) {
        bool rounded;
        scale_align(decai__load_le16(block_at(type, row, b)), *exponent, &rounded);
        *lost += rounded;
    }
    return 0;
}

int32_t
decai__leaf_block_scale(int32_t type, const uint8_t *row, size_t block, int32_t exponent)
{
    bool lost;
    return scale_align(decai__load_le16(block_at(type, row, block)), exponent, &lost);
}

int32_t
decai__leaf_weight(int32_t type, const uint8_t *row, size_t k, int32_t exponent)
{
    const uint8_t *qs = block_at(type, row, k / DECAI__BLOCK) + 2;
    return decai__leaf_block_scale(type, row, k / DECAI__BLOCK, exponent) * block_quant(type, qs, k % DECAI__BLOCK);
}

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

static void
quant_block(uint8_t *scale, int8_t *q, const float *x, int32_t exponent)
{
    int32_t g[DECAI__BLOCK], most = 0;
    for (int i = 0; i < DECAI__BLOCK; i++) {
        g[i] = grid(x[i], exponent);
        int32_t a = g[i] < 0 ? -g[i] : g[i];
        if (a > most) most = a;
    }
    int32_t s = DECAI__MAX(1, (most + 126) / 127);
    store_le16(scale, (uint32_t)s);
    for (int i = 0; i < DECAI__BLOCK; i++) {
        int32_t a = g[i] < 0 ? -g[i] : g[i];
        int32_t v = (2 * a + s) / (2 * s);
        q[i] = (int8_t)(g[i] < 0 ? -v : v);
    }
}

int32_t
decai__leaf_quant(uint8_t *out, const float *x, size_t cols)
{
    uint32_t most = 0;
    /* As integers NaN and Inf are above every finite magnitude. */
    for (size_t k = 0; k < cols; k++) {
        uint32_t a = f32_bits(x[k]) & 0x7fffffffu;
        if (a > most) most = a;
    }
    size_t blocks = cols / DECAI__BLOCK;
    uint8_t *scales = out + 8;
    int8_t *q = (int8_t *)(scales + 2 * blocks);
    int32_t exponent = most >= ABS_ZERO_BITS && most < ABS_LIMIT_BITS ? (int32_t)(most >> 23) - 126 : 0;
    uint32_t cols32 = (uint32_t)cols;
    memcpy(out, &cols32, 4);
    memcpy(out + 4, &exponent, 4);
    if (most < ABS_ZERO_BITS || most >= ABS_LIMIT_BITS) {
        for (size_t b = 0; b < blocks; b++) store_le16(scales + 2 * b, 1);
        memset(q, 0, cols);
        return most < ABS_LIMIT_BITS ? 0 : DECAI_E_INTEGRITY;
    }
    for (size_t b = 0; b < blocks; b++)
        quant_block(scales + 2 * b, q + b * DECAI__BLOCK, x + b * DECAI__BLOCK, exponent);
    return 0;
}

int32_t
decai__act_decode(decai__act *out, const uint8_t *data, size_t len)
{
    if (len < 8) return decai__fail(DECAI_E_CORRUPT, "activation: %zu bytes, need at least 8", len);
    size_t cols = decai__load_le32(data);
    if (!cols || cols > DECAI_COMPUTE_COLS_MAX || cols % DECAI__BLOCK)
        return decai__fail(DECAI_E_CORRUPT, "activation: K %zu", cols);
    if (len != decai__act_size(cols))
        return decai__fail(DECAI_E_CORRUPT, "activation: %zu bytes, K %zu needs %zu", len, cols, decai__act_size(cols));
    *out = (decai__act){ .cols = (uint32_t)cols, .scales = data + 8 };
    memcpy(&out->exponent, data + 4, 4);
    out->quants = (const int8_t *)(data + 8 + cols / DECAI__BLOCK * 2);
    if (out->exponent < -59 || out->exponent > 60)
        return decai__fail(DECAI_E_CORRUPT, "activation: E %d", out->exponent);
    for (size_t b = 0; b < cols / DECAI__BLOCK; b++)
        if (decai__act_scale(out, b) < 1 || decai__act_scale(out, b) > 16514)
            return decai__fail(DECAI_E_CORRUPT, "activation: scale %u of block %zu", decai__act_scale(out, b), b);
    for (size_t k = 0; k < cols; k++)
        if (out->quants[k] == -128) return decai__fail(DECAI_E_CORRUPT, "activation: quant -128 at %zu", k);
    return 0;
}

/* ---- §4 integer products ----------------------------------------------------------- */

int64_t
decai__leaf_sum(int32_t type, const uint8_t *row, int32_t exponent, const decai__act *act, size_t leaf)
{
    size_t blocks = act->cols / DECAI__BLOCK, first = leaf * (DECAI__LEAF / DECAI__BLOCK);
    size_t end = DECAI__MIN(blocks, first + DECAI__LEAF / DECAI__BLOCK);
    int64_t sum = 0;
    for (size_t b = first; b < end; b++) {
        int32_t scale = decai__leaf_block_scale(type, row, b, exponent) * (int32_t)decai__act_scale(act, b);
        sum += (int64_t)scale * block_dot(type, block_at(type, row, b) + 2, act->quants + b * DECAI__BLOCK);
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
decai__leaf_norm_factor(float sum, size_t cols, float eps)
{
    return leaf_norm_factor(sum, 1.0f / (float)cols, eps);
}

float decai__leaf_norm(float x, float factor, float weight) { return (x * factor) * weight; }
void decai__leaf_rope(float *x0, float *x1, float cosine, float sine) { leaf_rope(x0, x1, cosine, sine); }
float decai__leaf_exp(float x) { return leaf_exp(x); }
float decai__leaf_recip(float x) { return leaf_recip(x); }
float decai__leaf_rsqrt(float x) { return leaf_rsqrt(x); }
float decai__f16_to_f32(uint16_t h) { return f16_to_f32(h); }

/* ---- §10 attention, §11 SwiGLU, §12 residual --------------------------------------------------- */

float
decai__leaf_score(const float *q, const float *k, size_t head_dim, float scale)
{
    float acc = 0.0f;
    for (size_t d = 0; d < head_dim; d++) acc = FMA(q[d], k[d], acc);
    return acc * scale;
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
float decai__leaf_silu_mul(float gate, float up) { return leaf_silu_mul(gate, up); }
float decai__leaf_add(float a, float b) { return a + b; }
