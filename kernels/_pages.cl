/* _pages.cl - the pages of a cache (CONTRACT.md §10).
 *
 * A page is 64 positions, [k, v][head]. Keys lie with the position fastest, so that
 * 64 scores are lanes; values with the element fastest. Q8_0: scales before quants.
 *
 *              F16                  Q8_0
 *     k        u16 [dim][64]        u16 [blocks][64], i8 [dim][64]
 *     v        u16 [64][dim]        u16 [64][blocks], i8 [64][dim]
 */
typedef struct cell { __global ushort *scales, *halves; __global char *quants; uint each, scale_each; } cell;

/* Element d of the position is at [d * each]. */
cell cell_at(__global uchar *chunk, uint slot, uint which, uint heads, uint head, uint t, uint dim, int q8)
{
    uint blocks = (dim + 31u) / 32u, bytes = 64u * (q8 ? 2u * blocks + dim : 2u * dim);
    __global uchar *p = chunk + ((ulong)slot * 2u * heads + which * heads + head) * bytes;
    cell c;
    c.each = which ? 1u : 64u;
    c.scale_each = c.each;
    c.scales = (__global ushort *)p + (which ? t * blocks : t);
    c.halves = (__global ushort *)p + (which ? t * dim : t);
    c.quants = (__global char *)(p + 128u * blocks) + (which ? t * dim : t);
    return c;
}

/* One element of a cell as f32. */
float cell_value(const cell *c, uint d, int q8)
{
    if (!q8) return f16_value(c->halves[d * c->each]);
    return (float)c->quants[d * c->each] * f16_value(c->scales[d / 32u * c->scale_each]);
}
