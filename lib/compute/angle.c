/* angle.c - rotary angles without libm (CONTRACT.md §8).
 *
 *     angle(pos, j) = pos * base^(-2j/rot_dim)
 *
 * in double with + - * / only, each exactly rounded by IEEE 754, in the order
 * written here; then cos and sin are rounded once to f32. Series are Taylor's,
 * long enough that truncation is below half an ulp of the double. */
#include "compute/leaf.h"

#define LN2_HI 0x1.62e42feep-1       /* the upper 32 bits of ln 2 ... */
#define LN2_LO 0x1.a39ef35793c76p-33 /* ... and the rest */
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

/* exp(x) for -700 < x <= 0. */
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

void
decai__leaf_rope_angle(float *cosine, float *sine, uint64_t pos, size_t pair, size_t rot_dim, double base)
{
    double exponent = (double)(2 * pair) / (double)rot_dim;
    double angle = (double)pos * exp_of(-(exponent * log_of(base)));
    double n = nearest(angle * TWO_OVER_PI);
    double r = ((angle - n * PI2_A) - n * PI2_B) - n * PI2_C;
    double s = sine_of(r), c = cosine_of(r);
    switch ((int64_t)n & 3) {
    case 0: *cosine = (float)c; *sine = (float)s; break;
    case 1: *cosine = (float)-s; *sine = (float)c; break;
    case 2: *cosine = (float)-c; *sine = (float)-s; break;
    default: *cosine = (float)s; *sine = (float)-c; break;
    }
}
