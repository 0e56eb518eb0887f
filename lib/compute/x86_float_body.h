/* x86_float_body.h - float products (CONTRACT.md §5); compiled by x86_vec.h's rule.
 *
 * Weights are packed once: panels of 32 rows, [cols][32] elements of the tensor's
 * own type, rows past the end zero. A slice takes (block of tokens) x (panels): it
 * transposes its tokens to [cols][J] and runs the tile leaf by leaf of 256; the leaf
 * sums join in y. Tokens are blocked so that their transposed copy and a panel's leaf
 * stay in the second-level cache; which block a token falls into cannot show. */

#if X86_WIDE
#define FLOAT_J 12
#else
#define FLOAT_J 6
#endif
#define FLOAT_GROUPS 5               /* sizes a block of tokens is cut into */

static const uint8_t VNAME(float_sizes)[FLOAT_GROUPS] = { FLOAT_J, FLOAT_J * 2 / 3, FLOAT_J / 3, FLOAT_J > 6 ? 2 : 1, 1 };

/* ---- the tiles ----------------------------------------------------------------- */

#if X86_WIDE
#define FLOAT_TILE(name, type, J) \
VFN static void VNAME(name)(const tile_place *t) { tile16(type, true, 2, J, 1, t); }
#else
/* Sixteen registers hold half a panel; one token takes the whole of it. */
#define FLOAT_TILE(name, type, J) \
VFN static void \
VNAME(name)(const tile_place *t) \
{ \
    tile_place half = *t; \
    if (J == 1) { \
        tile8(type, true, 4, 1, 1, t); \
        return; \
    } \
    tile8(type, true, 2, J, 1, t); \
    half.a = (const uint8_t *)t->a + 16 * ((type) == DECAI__F32 ? 4 : 2); \
    half.c += 16; \
    tile8(type, true, 2, J, 1, &half); \
}
#endif
#define FLOAT_TILES(name, type) \
FLOAT_TILE(name##_a, type, FLOAT_J) \
FLOAT_TILE(name##_b, type, FLOAT_J * 2 / 3) \
FLOAT_TILE(name##_c, type, FLOAT_J / 3) \
FLOAT_TILE(name##_d, type, (FLOAT_J > 6 ? 2 : 1)) \
FLOAT_TILE(name##_e, type, 1)
FLOAT_TILES(float_f32, DECAI__F32)
FLOAT_TILES(float_f16, DECAI__F16)
FLOAT_TILES(float_bf16, DECAI__BF16)

typedef void (*VNAME(float_tile))(const tile_place *t);
#define FLOAT_ROW(name) { VNAME(name##_a), VNAME(name##_b), VNAME(name##_c), VNAME(name##_d), VNAME(name##_e) }
static const VNAME(float_tile) VNAME(float_tiles)[3][FLOAT_GROUPS] = {
    FLOAT_ROW(float_f32), FLOAT_ROW(float_f16), FLOAT_ROW(float_bf16)
};

/* ---- tokens ---------------------------------------------------------------------- */

/* to[k][j] = x[j][k] for `size` tokens, a size of the table above. */
VFN static void
VNAME(float_pack)(float *to, const float *x, size_t size, size_t cols)
{
    size_t j = 0;
    for (; j + 4 <= size; j += 4) {
        const float *r = x + j * cols;
        size_t k = 0;
        for (; k + 4 <= cols; k += 4) {
            __m128 a = _mm_loadu_ps(r + k), b = _mm_loadu_ps(r + cols + k);
            __m128 c = _mm_loadu_ps(r + 2 * cols + k), d = _mm_loadu_ps(r + 3 * cols + k);
            _MM_TRANSPOSE4_PS(a, b, c, d);
            _mm_storeu_ps(to + k * size + j, a);
            _mm_storeu_ps(to + (k + 1) * size + j, b);
            _mm_storeu_ps(to + (k + 2) * size + j, c);
            _mm_storeu_ps(to + (k + 3) * size + j, d);
        }
        for (; k < cols; k++)
            for (size_t i = 0; i < 4; i++) to[k * size + j + i] = r[i * cols + k];
    }
    for (; j < size; j++)
        for (size_t k = 0; k < cols; k++) to[k * size + j] = x[j * cols + k];
}

/* Tokens of a block, group by group; returns the number of groups. */
static size_t
VNAME(float_pack_block)(float *to, uint8_t *groups, const float *x, size_t tokens, size_t cols)
{
    size_t count = 0, g = 0;
    for (size_t i = 0; i < tokens;) {
        size_t size = VNAME(float_sizes)[g];
        if (i + size > tokens) {
            g++;
            continue;
        }
        VNAME(float_pack)(to + i * cols, x + i * cols, size, cols);
        groups[count++] = (uint8_t)g;
        i += size;
    }
    return count;
}

/* ---- panels ---------------------------------------------------------------------- */

/* One panel times the packed tokens: y[tokens][stride], `rows` of its 32 are real. */
VFN static void
VNAME(float_panel)(float *y, size_t stride, size_t rows, const x86_float *f, const uint8_t *panel, const float *packed,
    const uint8_t *groups, size_t count)
{
    float room[FLOAT_J][X86_FLOAT_ROWS];
    for (size_t leaf = 0; leaf < f->cols; leaf += DECAI__LEAF) {
        size_t from = 0, k = DECAI__MIN((size_t)DECAI__LEAF, f->cols - leaf);
        for (size_t i = 0; i < count; i++) {
            size_t size = VNAME(float_sizes)[groups[i]];
            bool whole = rows == X86_FLOAT_ROWS;
            float *at = y + from * stride;
            tile_place t = { .c = whole ? at : room[0], .cs = whole ? stride : X86_FLOAT_ROWS,
                .a = panel + leaf * X86_FLOAT_ROWS * f->size, .as = X86_FLOAT_ROWS,
                .b = packed + from * f->cols + leaf * size, .bk = size, .k = k };
            for (size_t j = 0; j < size; j++) {
                if (!leaf) memset(at + j * stride, 0, rows * 4);
                if (!whole) memcpy(room[j], at + j * stride, rows * 4);
            }
            VNAME(float_tiles)[f->kind][groups[i]](&t);
            for (size_t j = 0; j < size && !whole; j++) memcpy(at + j * stride, room[j], rows * 4);
            from += size;
        }
    }
}

/* Items: (block of tokens) x (panel), panels fastest. */
static void
VNAME(float_items)(const x86_float *f, float *y, const float *x, size_t n, size_t block, size_t first, size_t end,
    float *packed)
{
    uint8_t groups[X86_FLOAT_BLOCK];
    while (first < end) {
        size_t from = first / f->panels * block, tokens = DECAI__MIN(block, n - from);
        size_t stop = DECAI__MIN(end, (first / f->panels + 1) * f->panels);
        size_t count = VNAME(float_pack_block)(packed, groups, x + from * f->cols, tokens, f->cols);
        for (; first < stop; first++) {
            size_t row = first % f->panels * X86_FLOAT_ROWS;
            VNAME(float_panel)(y + from * f->rows + row, f->rows, DECAI__MIN((size_t)X86_FLOAT_ROWS, f->rows - row), f,
                f->data + first % f->panels * f->panel_bytes, packed, groups, count);
        }
    }
}
