/* angle.c - rotary angles without libm (CONTRACT.md §8).
 *
 *     angle(pos, j) = pos * f_j,   f_j = base^(-2j/rot_dim), scaled as the spec says
 *
 * in double with + - * / only, each exactly rounded by IEEE 754, in the order
 * written here; then cos and sin are rounded once to f32. Series are Taylor's,
 * long enough that truncation is below half an ulp of the double. */
#include "compute/leaf.h"

#define LN2_HI 0x1.62e42feep-1       /* the upper 32 bits of ln 2 ... */
#define LN2_LO 0x1.a39ef35793c76p-33 /* ... and the rest */
#define TWO_PI 0x1.921fb54442d18p+2
#define TWO_OVER_PI 0x1.45f306dc9c883p-1
#define PI2_A 0x1.921fb544p+0        /* pi/2 in pieces of 33 bits: n * piece is exact for n < 2^20 */
#define PI2_B 0x1.0b4611a6p-34
#define PI2_C 0x1.3198a2e037073p-69

/* To the nearest integer for |x| < 2^51. */
static double
nearest(double x)
{
    double t = x + 0x1.8p+52;
    return t - 0x1.8p+52;
}

static double
power_of_two(int64_t n)
{
    uint64_t u = (uint64_t)(n + 1023) << 52;
    double d;
    memcpy(&d, &u, 8);
    return d;
}

/* ln(x), x > 0 and normal: x = m * 2^e with m in [0.71, 1.42), ln m = 2 artanh(s). */
static double
log_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    int64_t e = (int64_t)(u >> 52) - 1023;
    u = (u & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
    double m;
    memcpy(&m, &u, 8);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m = m * 0.5;
        e++;
    }
    double s = (m - 1.0) / (m + 1.0), z = s * s, p = 0.0;
    for (int k = 25; k >= 1; k -= 2) p = p * z + 1.0 / (double)k;
    return ((double)e * LN2_LO + 2.0 * s * p) + (double)e * LN2_HI;
}

/* exp(x) for -700 < x < 700. */
static double
exp_of(double x)
{
    double n = nearest(x * 0x1.71547652b82fep+0);
    double r = (x - n * LN2_HI) - n * LN2_LO, p = 1.0;
    for (int k = 16; k >= 1; k--) p = p * r / (double)k + 1.0;
    return p * power_of_two((int64_t)n);
}

static double
sine_of(double r)
{
    double z = r * r, p = 1.0;
    for (int k = 18; k >= 2; k -= 2) p = 1.0 - p * z / (double)(k * (k + 1));
    return r * p;
}

static double
cosine_of(double r)
{
    double z = r * r, p = 1.0;
    for (int k = 19; k >= 1; k -= 2) p = 1.0 - p * z / (double)(k * (k + 1));
    return p;
}

/* ---- frequencies of a spec -------------------------------------------------------- */

/* The pair at which `turns` full turns fit into the original context (YaRN, Peng
 * et al. 2023, eq. 15 solved for the dimension). */
static double
yarn_pair(const decai__rope_spec *s, double turns)
{
    return (double)s->rot_dim * log_of(s->yarn.original / (turns * TWO_PI)) / (2.0 * log_of(s->base));
}

static double
floor_of(double x)
{
    double n = nearest(x);
    return n > x ? n - 1.0 : n;
}

/* 0: the frequency stays; 1: it is divided by the factor; linear in between. */
static double
yarn_share(const decai__rope_spec *s, size_t pair)
{
    double low = floor_of(yarn_pair(s, s->yarn.beta_fast)), high = -floor_of(-yarn_pair(s, s->yarn.beta_slow));
    double last = (double)s->rot_dim - 1.0;
    low = low < 0.0 ? 0.0 : low;
    high = high > last ? last : high;
    double width = high - low < 0.001 ? 0.001 : high - low;
    double share = ((double)pair - low) / width;
    return share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share;
}

double
decai__leaf_rope_frequency(const decai__rope_spec *s, size_t pair)
{
    double exponent = (double)(2 * pair) / (double)s->rot_dim;
    double f = exp_of(-(exponent * log_of(s->base)));
    if (s->freq_factors) f = f / (double)s->freq_factors[pair];
    if (s->linear > 0.0) f = f / s->linear;
    if (s->yarn.factor > 0.0) {
        double share = yarn_share(s, pair);
        f = f * (1.0 - share) + f / s->yarn.factor * share;
    }
    return f;
}

double
decai__leaf_rope_magnitude(const decai__rope_spec *s)
{
    double m = s->mscale > 0.0 ? s->mscale : 1.0;
    if (s->yarn.factor > 0.0) m = m * (s->yarn.attn_factor * (1.0 + 0.1 * log_of(s->yarn.factor)));
    return m;
}

double
decai__rope_ntk_base(double base, double factor, size_t rot_dim)
{
    return base * exp_of(log_of(factor) * (double)rot_dim / (double)(rot_dim - 2));
}

void
decai__leaf_rope_angle(float *cosine, float *sine, uint64_t pos, double frequency, double magnitude)
{
    double angle = (double)pos * frequency;
    double n = nearest(angle * TWO_OVER_PI);
    double r = ((angle - n * PI2_A) - n * PI2_B) - n * PI2_C;
    double s = magnitude * sine_of(r), c = magnitude * cosine_of(r);
    switch ((int64_t)n & 3) {
    case 0: *cosine = (float)c; *sine = (float)s; break;
    case 1: *cosine = (float)-s; *sine = (float)c; break;
    case 2: *cosine = (float)-c; *sine = (float)-s; break;
    default: *cosine = (float)s; *sine = (float)-c; break;
    }
}
