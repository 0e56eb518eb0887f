/* kv_store.cl - keys and values into the pages of a cache, and back (CONTRACT.md §10).
 * One item is one head of one position; chunk starts at the first slot it holds. */
void store_q8(const cell *c, __global const float *v, uint dim)
{
    for (uint from = 0; from < dim; from += 32u) {
        uint end = min(dim, from + 32u), most = 0;
        for (uint d = from; d < end; d++) most = max(most, as_uint(v[d]) & 0x7fffffffu);
        float wide = as_float(most) * 0x1.020408p-7f;
        /* Where f16 runs out of bits the next power of two, 2^-24 at least. */
        int up = (int)((as_uint(wide) + 0x7fffffu) >> 23) - 127 + 24;
        uint h = wide >= 0x1p-14f ? f16_bits(wide) : 1u << max(up, 0);
        float inverse = own_recip1(f16_value(h));
        c->scales[from / 32u * c->scale_each] = (ushort)h;
        for (uint d = from; d < end; d++) {
            float q = v[d] * inverse + 0x1.8p+23f;
            q = q - 0x1.8p+23f;
            c->quants[d * c->each] = (char)(q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q);
        }
    }
}

/* parts: 1 keys, 2 values. Tokens first..first+size-1 of k and v at pos + token. */
__kernel void kv_store(__global uchar *chunk, uint first_slot, uint slots, __global const float *k, ulong k_at,
    __global const float *v, ulong v_at, uint heads, uint dim, int q8, uint pos, uint first, uint parts,
    __global uint *status, uint op)
{
    uint head = get_global_id(0), i = first + get_global_id(1), at = pos + i;
    uint slot = at / 64u % slots - first_slot;
    for (uint which = 0; which < 2u; which++) {
        if (!(parts >> which & 1u)) continue;
        __global const float *x = (which ? v + v_at : k + k_at) + ((ulong)i * heads + head) * dim;
        cell c = cell_at(chunk, slot, which, heads, head, at % 64u, dim, q8);
        bool fits = true;
        for (uint d = 0; d < dim; d++) fits = fits && (as_uint(x[d]) & 0x7fffffffu) < F16_OVERFLOW_BITS;
        if (!fits) mark(status, op);
        if (q8 && fits) store_q8(&c, x, dim);
        else if (q8) for (uint d = 0; d < dim; d++) {
            c.quants[d * c.each] = 0;
            c.scales[d / 32u * c.scale_each] = 0;
        }
        else for (uint d = 0; d < dim; d++) c.halves[d * c.each] = fits ? (ushort)f16_bits(x[d]) : 0;
    }
}

__kernel void kv_load(__global uchar *chunk, uint first_slot, uint slots, __global float *out, ulong out_at,
    uint heads, uint dim, int q8, uint pos, uint first, uint which)
{
    uint head = get_global_id(0), i = first + get_global_id(1), at = pos + i;
    cell c = cell_at(chunk, at / 64u % slots - first_slot, which, heads, head, at % 64u, dim, q8);
    for (uint d = 0; d < dim; d++) out[out_at + ((ulong)i * heads + head) * dim + d] = cell_value(&c, d, q8);
}
