/* types.c - quantised weights as integers (CONTRACT.md §2): one reading of every
 * GGUF type, from which scalar products, the embedding and disputes are made.
 *
 * A row is blocks of 32 or 256 elements. Its f16 scales share one exponent F, so
 * that each becomes an integer D (and the mins Dm), and every weight is
 *
 *     Q4_0    D (q - 8)       Q4_1, Q5_1  D q + Dm          Q2_K        D sc q - Dm mn
 *     Q5_0    D (q - 16)      IQ4_NL      D t[q]            Q3_K        D (sc - 32)(q - 4)
 *     Q8_0    D q             MXFP4       D e[q]            Q4_K, Q5_K  D sc q - Dm mn
 *                             IQ4_XS      D (ls - 32) t[q]  Q6_K        D sc (q - 32)
 *
 * Block layouts are those of ggml (src/ggml-common.h), bytes in this order:
 *
 *     Q4_0   18  d; 16 nibble bytes (low: elements 0-15, high: 16-31)
 *     Q4_1   20  d, m; 16             Q5_0  22  d; 4 high bits; 16
 *     Q5_1   24  d, m; 4; 16          Q8_0  34  d; 32 int8
 *     IQ4_NL 18  d; 16                MXFP4 17  e; 16
 *     Q2_K   84  16 (scale low, min high nibble); 64 of 2 bits; d, dmin
 *     Q3_K  110  32 high bits; 64 of 2 bits; 12 bytes of 16 6-bit scales; d
 *     Q4_K  144  d, dmin; 12 bytes of 8 6-bit scales and mins; 128 nibbles
 *     Q5_K  176  d, dmin; 12; 32 high bits; 128 nibbles
 *     Q6_K  210  128 low nibbles; 64 of 2 high bits; 16 int8 scales; d
 *     IQ4_XS 136 d; u16 high bits of scales; 4 low nibbles of scales; 128 nibbles */
#include "compute/leaf.h"

typedef struct type_row {
    int32_t type;
    uint8_t block_log2, bits;        /* elements: 2^; w of D */
    uint16_t bytes;                  /* of a block */
    int16_t d, m;                    /* where the scale and the min lie; -1: none */
} type_row;

static const type_row TYPES[] = {
    { DECAI__F32, 0, 0, 4, -1, -1 },      { DECAI__F16, 0, 0, 2, -1, -1 },     { DECAI__BF16, 0, 0, 2, -1, -1 },
    { DECAI__Q4_0, 5, 15, 18, 0, -1 },    { DECAI__Q4_1, 5, 15, 20, 0, 2 },    { DECAI__Q5_0, 5, 15, 22, 0, -1 },
    { DECAI__Q5_1, 5, 15, 24, 0, 2 },     { DECAI__Q8_0, 5, 15, 34, 0, -1 },   { DECAI__IQ4_NL, 5, 15, 18, 0, -1 },
    { DECAI__MXFP4, 5, 15, 17, 0, -1 },   { DECAI__Q2_K, 8, 15, 84, 80, 82 },  { DECAI__Q3_K, 8, 15, 110, 108, -1 },
    { DECAI__Q4_K, 8, 15, 144, 0, 2 },    { DECAI__Q5_K, 8, 14, 176, 0, 2 },   { DECAI__Q6_K, 8, 13, 210, 208, -1 },
    { DECAI__IQ4_XS, 8, 13, 136, 0, -1 },
};

static const type_row *
type_of(int32_t type)
{
    for (size_t i = 0; i < DECAI__COUNT(TYPES); i++)
        if (TYPES[i].type == type) return &TYPES[i];
    return NULL;
}

/* ---- sizes ----------------------------------------------------------------------- */

bool
decai__type_known(int32_t type)
{
    return type_of(type) != NULL;
}

bool
decai__type_quantised(int32_t type)
{
    const type_row *t = type_of(type);
    return t && t->bits;
}

size_t
decai__type_block(int32_t type)
{
    const type_row *t = type_of(type);
    return t ? (size_t)1 << t->block_log2 : 0;
}

size_t
decai__type_block_bytes(int32_t type)
{
    const type_row *t = type_of(type);
    return t ? t->bytes : 0;
}

size_t
decai__row_size(int32_t type, size_t cols)
{
    const type_row *t = type_of(type);
    if (!t || cols == 0 || cols > DECAI_COMPUTE_COLS_MAX) return 0;
    size_t blocks = cols >> t->block_log2;
    return blocks << t->block_log2 == cols ? blocks * t->bytes : 0;
}

int32_t
decai__type_act(int32_t type, bool two_level)
{
    const type_row *t = type_of(type);
    if (!t || !t->bits) return -1;
    if (t->block_log2 == 5) return DECAI__ACT_32;
    return two_level ? DECAI__ACT_2L : DECAI__ACT_256;
}

/* ---- the shared exponent ------------------------------------------------------------ */

#define MXFP4_EXPONENT_MIN (-46)     /* F + E - 21 >= -126: a result is never subnormal */
#define MXFP4_SCALE_MAX 160          /* e of 2^32, the largest scale taken */

/* |d| = m * 2^x with m an integer below 2048. */
static void
f16_split(uint32_t h, uint32_t *m, int32_t *x)
{
    uint32_t e = h >> 10 & 31;
    *m = (h & 1023) | (e ? 1024 : 0);
    *x = (e ? (int32_t)e : 1) - 25;
}

/* RNE(m * 2^(x - F)); *lost says whether a bit went. */
static int32_t
align(uint32_t m, int32_t x, int32_t exponent, bool *lost)
{
    int32_t up = x - exponent;
    if (up >= 0) {
        *lost = false;
        return (int32_t)((uint64_t)m << (up < 20 ? up : 20));
    }
    uint32_t down = (uint32_t)-up;
    uint64_t d = rne_shift(m, down);
    *lost = m && (down > 31 || (d << down) != m);
    return (int32_t)d;
}

static int32_t
align_f16(uint32_t h, int32_t exponent, bool *lost)
{
    uint32_t m;
    int32_t x;
    f16_split(h, &m, &x);
    int32_t d = align(m, x, exponent, lost);
    return h & 0x8000 ? -d : d;
}

/* E8M0: 2^(e - 127), and the element values of E2M1 are kept doubled. */
static int32_t
mxfp4_exponent(int32_t *exponent, uint64_t *lost, const uint8_t *row, size_t blocks)
{
    int32_t largest = 0;
    bool rounded;
    for (size_t b = 0; b < blocks; b++) largest = DECAI__MAX(largest, (int32_t)row[b * 17]);
    if (largest > MXFP4_SCALE_MAX) return DECAI_E_CORRUPT;
    *exponent = DECAI__MAX(largest - 128 - 14, MXFP4_EXPONENT_MIN);
    for (size_t b = 0; b < blocks && lost; b++) {
        (void)align(1, (int32_t)row[b * 17] - 128, *exponent, &rounded);
        *lost += rounded;
    }
    return 0;
}

/* Among finite f16 the order of |d| is the order of the low 15 bits. */
static int32_t
largest_scale(uint32_t *largest, const type_row *t, const uint8_t *row, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++)
        for (int i = 0; i < 2; i++) {
            int at = i ? t->m : t->d;
            if (at < 0) continue;
            uint32_t h = decai__load_le16(row + b * t->bytes + at) & 0x7fffu;
            if (h >= 0x7c00) return DECAI_E_CORRUPT;
            if (h > *largest) *largest = h;
        }
    return 0;
}

int32_t
decai__leaf_row_exponent(int32_t *exponent, uint64_t *lost, int32_t type, const uint8_t *row, size_t cols)
{
    const type_row *t = type_of(type);
    size_t blocks = cols >> t->block_log2;
    uint32_t largest = 0, m;
    int32_t x;
    bool rounded;

    *exponent = 0;
    if (type == DECAI__MXFP4) return mxfp4_exponent(exponent, lost, row, blocks);
    if (largest_scale(&largest, t, row, blocks)) return DECAI_E_CORRUPT;
    if (largest) {
        f16_split(largest, &m, &x);
        *exponent = x + (31 - __builtin_clz(m)) - (t->bits - 1);
    }
    for (size_t b = 0; b < blocks && lost; b++) {
        align_f16(decai__load_le16(row + b * t->bytes + t->d), *exponent, &rounded);
        *lost += rounded;
        if (t->m < 0) continue;
        align_f16(decai__load_le16(row + b * t->bytes + t->m), *exponent, &rounded);
        *lost += rounded;
    }
    return 0;
}

int32_t
decai__leaf_block_scale(int32_t type, const uint8_t *row, size_t block, int32_t exponent)
{
    const type_row *t = type_of(type);
    const uint8_t *at = row + block * t->bytes + t->d;
    bool lost;
    if (type == DECAI__MXFP4) return align(1, (int32_t)*at - 128, exponent, &lost);
    return align_f16(decai__load_le16(at), exponent, &lost);
}

int32_t
decai__leaf_block_min(int32_t type, const uint8_t *row, size_t block, int32_t exponent)
{
    const type_row *t = type_of(type);
    bool lost;
    return t->m < 0 ? 0 : align_f16(decai__load_le16(row + block * t->bytes + t->m), exponent, &lost);
}

/* ---- blocks of 32 ---------------------------------------------------------------------- */

static const int8_t IQ4_VALUES[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
static const int8_t E2M1_VALUES[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

static int32_t
nibble(const uint8_t *qs, size_t i)
{
    return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}

static int32_t
fifth(const uint8_t *high, size_t i)
{
    return (int32_t)(decai__load_le32(high) >> i & 1) << 4;
}

static void
weights_32(int32_t *w, int32_t type, const uint8_t *b, int32_t d, int32_t m)
{
    for (size_t i = 0; i < 32; i++) switch (type) {
        case DECAI__Q4_0: w[i] = d * (nibble(b + 2, i) - 8); break;
        case DECAI__Q4_1: w[i] = d * nibble(b + 4, i) + m; break;
        case DECAI__Q5_0: w[i] = d * ((nibble(b + 6, i) | fifth(b + 2, i)) - 16); break;
        case DECAI__Q5_1: w[i] = d * (nibble(b + 8, i) | fifth(b + 4, i)) + m; break;
        case DECAI__Q8_0: w[i] = d * (int8_t)b[2 + i]; break;
        case DECAI__IQ4_NL: w[i] = d * IQ4_VALUES[nibble(b + 2, i)]; break;
        default: w[i] = d * E2M1_VALUES[nibble(b + 1, i)]; break;
        }
}

/* ---- super-blocks of 256 ------------------------------------------------------------------ */

/* Elements 128 n + 32 j + l: two bits at 2j of byte 32 n + l; a scale for 16. */
static void
weights_q2(int32_t *w, const uint8_t *b, int32_t d, int32_t m)
{
    for (size_t i = 0; i < 256; i++) {
        size_t n = i / 128, j = i / 32 % 4, l = i % 32;
        int32_t q = b[16 + 32 * n + l] >> (2 * j) & 3, s = b[i / 16];
        w[i] = d * ((s & 15) * q) - m * (s >> 4);
    }
}

/* As Q2_K, a third bit in the mask (bit 4n + j of byte l) and signed scales. */
static void
weights_q3(int32_t *w, const uint8_t *b, int32_t d)
{
    const uint8_t *s = b + 96;
    for (size_t i = 0; i < 256; i++) {
        size_t n = i / 128, j = i / 32 % 4, l = i % 32, k = i / 16;
        int32_t q = (b[32 + 32 * n + l] >> (2 * j) & 3) | (b[l] >> (4 * n + j) & 1) << 2;
        int32_t low = k < 8 ? s[k] & 15 : s[k - 8] >> 4, high = s[8 + k % 4] >> (2 * (k / 4)) & 3;
        w[i] = d * (((low | high << 4) - 32) * (q - 4));
    }
}

/* Q4_K and Q5_K: scale and min of sub-block j (0..7), six bits each in 12 bytes. */
static void
scale_min(const uint8_t *s, size_t j, int32_t *scale, int32_t *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

/* Pairs of sub-blocks share 32 bytes: low nibbles, then high. */
static void
weights_q45(int32_t *w, const uint8_t *b, int32_t d, int32_t m, bool five)
{
    const uint8_t *qs = b + (five ? 48 : 16);
    for (size_t j = 0; j < 8; j++) {
        int32_t scale, min;
        scale_min(b + 4, j, &scale, &min);
        for (size_t l = 0; l < 32; l++) {
            int32_t q = j % 2 ? qs[j / 2 * 32 + l] >> 4 : qs[j / 2 * 32 + l] & 15;
            if (five) q |= (b[16 + l] >> j & 1) << 4;
            w[32 * j + l] = d * (scale * q) - m * min;
        }
    }
}

/* Elements 128 n + 32 j + l: low nibble from ql, two high bits at 2j of qh. */
static void
weights_q6(int32_t *w, const uint8_t *b, int32_t d)
{
    for (size_t i = 0; i < 256; i++) {
        size_t n = i / 128, j = i / 32 % 4, l = i % 32;
        uint8_t low = b[64 * n + 32 * (j % 2) + l];
        int32_t q = (j < 2 ? low & 15 : low >> 4) | (b[128 + 32 * n + l] >> (2 * j) & 3) << 4;
        w[i] = d * ((int8_t)b[192 + i / 16] * (q - 32));
    }
}

static void
weights_iq4xs(int32_t *w, const uint8_t *b, int32_t d)
{
    uint32_t high = decai__load_le16(b + 2);
    for (size_t i = 0; i < 256; i++) {
        size_t j = i / 32;
        int32_t ls = (b[4 + j / 2] >> (4 * (j % 2)) & 15) | (int32_t)(high >> (2 * j) & 3) << 4;
        w[i] = d * ((ls - 32) * IQ4_VALUES[nibble(b + 8 + 16 * j, i % 32)]);
    }
}

void
decai__leaf_block_weights(int32_t *weights, int32_t type, const uint8_t *row, size_t block, int32_t exponent)
{
    const uint8_t *b = row + block * type_of(type)->bytes;
    int32_t d = decai__leaf_block_scale(type, row, block, exponent);
    int32_t m = decai__leaf_block_min(type, row, block, exponent);

    switch (type) {
    case DECAI__Q2_K: weights_q2(weights, b, d, m); break;
    case DECAI__Q3_K: weights_q3(weights, b, d); break;
    case DECAI__Q4_K: weights_q45(weights, b, d, m, false); break;
    case DECAI__Q5_K: weights_q45(weights, b, d, m, true); break;
    case DECAI__Q6_K: weights_q6(weights, b, d); break;
    case DECAI__IQ4_XS: weights_iq4xs(weights, b, d); break;
    default: weights_32(weights, type, b, d, m); break;
    }
}

int32_t
decai__leaf_weight(int32_t type, const uint8_t *row, size_t k, int32_t exponent)
{
    int32_t w[DECAI__LEAF];
    size_t block = decai__type_block(type);
    decai__leaf_block_weights(w, type, row, k / block, exponent);
    return w[k % block];
}
