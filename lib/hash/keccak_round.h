/* keccak_round.h - one round of Keccak-f[1600] (FIPS 202, 3.2), written once
 * for every width. The includer defines, before use:
 *
 *     KECCAK_XOR(a, b)       a ^ b
 *     KECCAK_XOR3(a, b, c)   a ^ b ^ c
 *     KECCAK_ROL(a, n)       rotate left by the constant n, 0..63
 *     KECCAK_CHI(a, b, c)    a ^ (~b & c)
 *
 * Lane (x, y) is element x + 5y. The round reads a[25] and writes e[25], two
 * arrays that the compiler keeps in registers as far as they go: all indices
 * are constants, nothing is moved in place, and pi costs nothing. Output plane
 * y takes its five inputs from lanes (x + 3y mod 5, x), each rotated by rho.
 */
#ifndef DECAI__KECCAK_ROUND_H
#define DECAI__KECCAK_ROUND_H

#define KECCAK_SUM(a, x) \
    KECCAK_XOR3(KECCAK_XOR3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20])

/* Five lanes (index, theta column, rotation) into plane p of e, through chi. */
#define KECCAK_PLANE(word, e, p, a, i0, r0, i1, r1, i2, r2, i3, r3, i4, r4) \
    do { \
        word b0 = KECCAK_ROL(KECCAK_XOR(a[i0], d[i0 % 5]), r0); \
        word b1 = KECCAK_ROL(KECCAK_XOR(a[i1], d[i1 % 5]), r1); \
        word b2 = KECCAK_ROL(KECCAK_XOR(a[i2], d[i2 % 5]), r2); \
        word b3 = KECCAK_ROL(KECCAK_XOR(a[i3], d[i3 % 5]), r3); \
        word b4 = KECCAK_ROL(KECCAK_XOR(a[i4], d[i4 % 5]), r4); \
        e[p + 0] = KECCAK_CHI(b0, b1, b2); \
        e[p + 1] = KECCAK_CHI(b1, b2, b3); \
        e[p + 2] = KECCAK_CHI(b2, b3, b4); \
        e[p + 3] = KECCAK_CHI(b3, b4, b0); \
        e[p + 4] = KECCAK_CHI(b4, b0, b1); \
    } while (0)

#define KECCAK_ROUND(word, e, a, constant) \
    do { \
        word c[5] = { KECCAK_SUM(a, 0), KECCAK_SUM(a, 1), KECCAK_SUM(a, 2), KECCAK_SUM(a, 3), KECCAK_SUM(a, 4) }; \
        word d[5] = { KECCAK_XOR(c[4], KECCAK_ROL(c[1], 1)), KECCAK_XOR(c[0], KECCAK_ROL(c[2], 1)), \
            KECCAK_XOR(c[1], KECCAK_ROL(c[3], 1)), KECCAK_XOR(c[2], KECCAK_ROL(c[4], 1)), \
            KECCAK_XOR(c[3], KECCAK_ROL(c[0], 1)) }; \
        KECCAK_PLANE(word, e, 0, a, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14); \
        KECCAK_PLANE(word, e, 5, a, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61); \
        KECCAK_PLANE(word, e, 10, a, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18); \
        KECCAK_PLANE(word, e, 15, a, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56); \
        KECCAK_PLANE(word, e, 20, a, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2); \
        e[0] = KECCAK_XOR(e[0], constant); \
    } while (0)

#endif /* DECAI__KECCAK_ROUND_H */
