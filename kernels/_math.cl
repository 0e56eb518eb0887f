/* _math.cl - own functions (CONTRACT.md §9, §12), for one float and for sixteen.
 * `select` reads a comparison's result in both: 1 in a scalar, all bits in a lane. */
#define MATH(T, U, W) \
T own_exp##W(T x) \
{ \
    T t = fma(x, (T)0x1.715476p+0f, (T)0x1.8p+23f); \
    T n = t - 0x1.8p+23f; \
    T r = fma(n, (T)-0x1.62e400p-1f, x); \
    r = fma(n, (T)-0x1.7f7d1cp-20f, r); \
    T p = (T)0x1.a01a02p-13f; \
    p = fma(p, r, (T)0x1.6c16c2p-10f); \
    p = fma(p, r, (T)0x1.111112p-7f); \
    p = fma(p, r, (T)0x1.555556p-5f); \
    p = fma(p, r, (T)0x1.555556p-3f); \
    p = fma(p, r, (T)0.5f); \
    p = fma(p, r, (T)1.0f); \
    p = fma(p, r, (T)1.0f); \
    T y = p * as_##T((as_##U(t) - 0x4b400000u + 127u) << 23); \
    return select(y, (T)0.0f, x < (T)-87.0f); \
} \
T own_recip##W(T x) \
{ \
    T r = as_##T((U)0x7ef311c3u - as_##U(x)); \
    for (int i = 0; i < 4; i++) r = fma(r, fma(-x, r, (T)1.0f), r); \
    return r; \
} \
T own_sigmoid##W(T x) \
{ \
    T e = own_exp##W(-fabs(x)), r = own_recip##W(e + 1.0f); \
    return select(r, e * r, x < (T)0.0f); \
} \
T signed_as##W(T y, T x) \
{ \
    return as_##T(as_##U(y) | (as_##U(x) & 0x80000000u)); \
} \
T own_tanh##W(T x) \
{ \
    T a = fabs(x), z = a * a, p = (T)-0x1.76abf6p-8f; \
    p = fma(p, z, (T)0x1.5256cep-6f); \
    p = fma(p, z, (T)-0x1.b84448p-5f); \
    p = fma(p, z, (T)0x1.110768p-3f); \
    p = fma(p, z, (T)-0x1.555534p-2f); \
    T small = fma(p * z, a, a), t = own_exp##W(a * -2.0f); \
    T large = ((T)1.0f - t) * own_recip##W(t + 1.0f); \
    return signed_as##W(select(large, small, a < (T)0.625f), x); \
} \
T own_erf##W(T x) \
{ \
    T a = fabs(x), z = a * a, p = (T)0x1.496a28p-14f; \
    p = fma(p, z, (T)-0x1.a3f6fcp-11f); \
    p = fma(p, z, (T)0x1.5405b2p-8f); \
    p = fma(p, z, (T)-0x1.b7f90cp-6f); \
    p = fma(p, z, (T)0x1.ce2cf8p-4f); \
    p = fma(p, z, (T)-0x1.81273ep-2f); \
    p = fma(p, z, (T)0x1.06eba8p-3f); \
    T small = fma(p, a, a), q = (T)-0x1.6bd850p-16f; \
    q = fma(q, a, (T)0x1.cec654p-12f); \
    q = fma(q, a, (T)-0x1.138cd8p-8f); \
    q = fma(q, a, (T)0x1.9d0318p-6f); \
    q = fma(q, a, (T)-0x1.bc151ep-4f); \
    q = fma(q, a, (T)-0x1.443566p-1f); \
    q = fma(q, a, (T)-0x1.212c0ep+0f); \
    q = fma(q, a, (T)0x1.8a5954p-13f); \
    T large = select((T)1.0f, (T)1.0f - own_exp##W(q), a < (T)4.0f); \
    return signed_as##W(select(large, small, a < (T)1.0f), x); \
} \
T activation##W(int kind, T x) \
{ \
    if (kind == 0) return x * own_sigmoid##W(x); \
    if (kind == 1) { \
        T t = (x * 0x1.988454p-1f) * fma(x * x, (T)0x1.6e4e26p-5f, (T)1.0f); \
        return (x * 0.5f) * (own_tanh##W(t) + 1.0f); \
    } \
    if (kind == 2) return (x * 0.5f) * (own_erf##W(x * 0x1.6a09e6p-1f) + 1.0f); \
    T g = select(x, (T)7.0f, x > (T)7.0f); \
    return g * own_sigmoid##W(g * 0x1.b3b646p+0f); \
} \
T glu##W(int kind, T gate, T up) \
{ \
    T u = select(select(up, (T)-7.0f, up < (T)-7.0f), (T)7.0f, up > (T)7.0f) + 1.0f; \
    return activation##W(kind, gate) * (kind == 3 ? u : up); \
} \
T softcap##W(T x, float cap, float inverse) \
{ \
    return own_tanh##W(x * inverse) * cap; \
}

MATH(float, uint, 1)
#ifdef X86
MATH(float16, uint16, 16)
#endif

float own_rsqrt(float x)
{
    float r = as_float(0x5f3759dfu - (as_uint(x) >> 1)), h = 0.5f * x;
    for (int i = 0; i < 4; i++) r = fma(r, fma(-h, r * r, 0.5f), r);
    return r;
}

/* To nearest even, subnormals kept; the caller has refused what would overflow. */
uint f16_bits(float x)
{
    uint u = as_uint(x), a = u & 0x7fffffffu, sign = u >> 16 & 0x8000u, m = a - 0x38000000u, shift = 13u;
    if (a < 0x00800000u) return sign;
    if (a < 0x38800000u) {
        m = (a & 0x7fffffu) | 0x800000u;
        shift = 126u - (a >> 23);
        if (shift > 31u) return sign;
    }
    uint q = m >> shift, rest = m & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
    return sign | (q + ((rest > tie || (rest == tie && (q & 1u))) ? 1u : 0u));
}

/* ---- elements: an item of the x86 shape takes CHUNK of them, others one ---------- */

#define LOAD1(p) (*(p))
#define LOAD16(p) vload16(0, p)
#define STORE1(v, p) (*(p) = (v))
#define STORE16(v, p) vstore16(v, 0, p)
#ifdef X86
#define CHUNK 2048
#define ELEMENTS(i, count, BODY) do { \
    size_t i = get_group_id(0) * CHUNK, end_ = min((size_t)(count), i + CHUNK); \
    for (; i + 16 <= end_; i += 16) { BODY(16) } \
    for (; i < end_; i++) { BODY(1) } \
} while (0)
#else
#define ELEMENTS(i, count, BODY) do { \
    size_t i = get_global_id(0); \
    if (i < (count)) { BODY(1) } \
} while (0)
#endif
