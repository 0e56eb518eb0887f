/* u256.c - arithmetic on 256-bit unsigned integers.
 *
 * Four 64-bit limbs, the lowest first. Carries go through unsigned __int128,
 * which gcc and clang have on every 64-bit target. Every function writes *out
 * last, so that out may alias an input, and not at all when the result does
 * not fit.
 *
 *     value = limb[0] + limb[1]*2^64 + limb[2]*2^128 + limb[3]*2^192
 */
#include "num/num.h"

#include <string.h>

__extension__ typedef unsigned __int128 u128;

decai__u256
decai__u256_from_u64(uint64_t v)
{
    return (decai__u256){ { v, 0, 0, 0 } };
}

decai__u256
decai__u256_from_be(const uint8_t in[32])
{
    decai__u256 a;
    for (size_t i = 0; i < 4; i++) a.limb[3 - i] = decai__load_be64(in + 8 * i);
    return a;
}

void
decai__u256_to_be(uint8_t out[32], const decai__u256 *a)
{
    for (size_t i = 0; i < 4; i++) decai__store_be64(out + 8 * i, a->limb[3 - i]);
}

bool
decai__u256_to_u64(uint64_t *out, const decai__u256 *a)
{
    if (a->limb[1] | a->limb[2] | a->limb[3]) return false;
    *out = a->limb[0];
    return true;
}

bool
decai__u256_is_zero(const decai__u256 *a)
{
    return !(a->limb[0] | a->limb[1] | a->limb[2] | a->limb[3]);
}

int
decai__u256_cmp(const decai__u256 *a, const decai__u256 *b)
{
    for (size_t i = 4; i-- > 0;)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

bool
decai__u256_add(decai__u256 *out, const decai__u256 *a, const decai__u256 *b)
{
    decai__u256 sum;
    u128 carry = 0;
    for (size_t i = 0; i < 4; i++) {
        carry += (u128)a->limb[i] + b->limb[i];
        sum.limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
    if (carry) return false;
    *out = sum;
    return true;
}

bool
decai__u256_sub(decai__u256 *out, const decai__u256 *a, const decai__u256 *b)
{
    decai__u256 diff;
    uint64_t borrow = 0;
    for (size_t i = 0; i < 4; i++) {
        u128 d = (u128)a->limb[i] - b->limb[i] - borrow;
        diff.limb[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    if (borrow) return false;
    *out = diff;
    return true;
}

void
decai__u256_mul_wide(uint64_t out[8], const decai__u256 *a, const decai__u256 *b)
{
    uint64_t p[8] = { 0 };
    for (size_t i = 0; i < 4; i++) {
        u128 carry = 0;
        for (size_t j = 0; j < 4; j++) {
            /* (2^64-1)^2 + 2*(2^64-1) = 2^128 - 1: cannot overflow. */
            carry += (u128)a->limb[i] * b->limb[j] + p[i + j];
            p[i + j] = (uint64_t)carry;
            carry >>= 64;
        }
        p[i + 4] = (uint64_t)carry;
    }
    memcpy(out, p, sizeof p);
}

bool
decai__u256_mul(decai__u256 *out, const decai__u256 *a, const decai__u256 *b)
{
    uint64_t p[8];
    decai__u256_mul_wide(p, a, b);
    if (p[4] | p[5] | p[6] | p[7]) return false;
    memcpy(out->limb, p, sizeof out->limb);
    return true;
}

bool
decai__u256_mul_u64(decai__u256 *out, const decai__u256 *a, uint64_t b)
{
    decai__u256 wide = decai__u256_from_u64(b);
    return decai__u256_mul(out, a, &wide);
}

bool
decai__u256_div_u64(decai__u256 *out, uint64_t *rem, const decai__u256 *a, uint64_t b)
{
    decai__u256 q;
    u128 r = 0;
    if (!b) return false;
    for (size_t i = 4; i-- > 0;) {
        r = r << 64 | a->limb[i];
        q.limb[i] = (uint64_t)(r / b);
        r %= b;
    }
    if (rem) *rem = (uint64_t)r;
    *out = q;
    return true;
}

/* 512 by 256 bits, one bit at a time: 512 shifts and compares, a few
 * microseconds. Splits are made once per settlement; a loop that can be read
 * beats a Knuth D that cannot. The quotient must fit 256 bits, that is, the
 * high half must be below the divisor (the caller checked). */
static void
divide(decai__u256 *quot, decai__u256 *rem, const uint64_t wide[8], const decai__u256 *b)
{
    decai__u256 r, q = { { 0 } };
    memcpy(r.limb, wide + 4, sizeof r.limb);
    decai__assert(decai__u256_cmp(&r, b) < 0);
    for (size_t bit = 256; bit-- > 0;) {
        uint64_t top = r.limb[3] >> 63;
        for (size_t i = 3; i > 0; i--) r.limb[i] = r.limb[i] << 1 | r.limb[i - 1] >> 63;
        r.limb[0] = r.limb[0] << 1 | (wide[bit / 64] >> (bit % 64) & 1);
        /* With the bit that fell out at the top, 2r+1 is certainly above b;
         * the subtraction modulo 2^256 is then exact, as 2r+1 < 2b. */
        if (top || decai__u256_cmp(&r, b) >= 0) {
            uint64_t borrow = 0;
            for (size_t i = 0; i < 4; i++) {
                u128 d = (u128)r.limb[i] - b->limb[i] - borrow;
                r.limb[i] = (uint64_t)d;
                borrow = (uint64_t)(d >> 64) & 1;
            }
            q.limb[bit / 64] |= (uint64_t)1 << (bit % 64);
        }
    }
    *quot = q;
    *rem = r;
}

bool
decai__u256_mul_div(decai__u256 *out, decai__u256 *rem, const decai__u256 *a,
    const decai__u256 *b, const decai__u256 *c)
{
    uint64_t p[8];
    decai__u256 high, q, r;
    decai__u256_mul_wide(p, a, b);
    memcpy(high.limb, p + 4, sizeof high.limb);
    if (decai__u256_cmp(&high, c) >= 0) return false;        /* c = 0 included */
    divide(&q, &r, p, c);
    *out = q;
    if (rem) *rem = r;
    return true;
}

bool
decai__u256_div(decai__u256 *out, decai__u256 *rem, const decai__u256 *a, const decai__u256 *b)
{
    decai__u256 one = decai__u256_from_u64(1);
    return decai__u256_mul_div(out, rem, a, &one, b);
}
