/* num.h - unsigned 256-bit integers: money and EVM words. Internal only: at
 * the public door such a number is decimal text or 32 bytes big-endian.
 *
 * A decai__u256 is four 64-bit limbs, the lowest first. Nothing wraps around
 * silently: every operation that can leave 0 .. 2^256-1 returns false then and
 * leaves *out untouched, so that `if (!decai__u256_add(...))` is the overflow
 * branch. out may be one of the inputs. No operation allocates.
 * Not constant time: amounts are public, keys never come here.
 */
#ifndef DECAI__NUM_H
#define DECAI__NUM_H

#include "base/base.h"

#define DECAI__U256_TEXT_MAX 78                 /* decimal digits of 2^256-1 */

typedef struct decai__u256 { uint64_t limb[4]; } decai__u256;

decai__u256 decai__u256_from_u64(uint64_t v);
decai__u256 decai__u256_from_be(const uint8_t in[32]);
void decai__u256_to_be(uint8_t out[32], const decai__u256 *a);
/* False if a needs more than 64 bits. */
bool decai__u256_to_u64(uint64_t *out, const decai__u256 *a);

bool decai__u256_is_zero(const decai__u256 *a);
int decai__u256_cmp(const decai__u256 *a, const decai__u256 *b);        /* -1, 0, 1 */

bool decai__u256_add(decai__u256 *out, const decai__u256 *a, const decai__u256 *b);
bool decai__u256_sub(decai__u256 *out, const decai__u256 *a, const decai__u256 *b);
bool decai__u256_mul(decai__u256 *out, const decai__u256 *a, const decai__u256 *b);
bool decai__u256_mul_u64(decai__u256 *out, const decai__u256 *a, uint64_t b);
/* floor(a / b) and, if rem is not NULL, a mod b; false only for b = 0. */
bool decai__u256_div_u64(decai__u256 *out, uint64_t *rem, const decai__u256 *a, uint64_t b);
bool decai__u256_div(decai__u256 *out, decai__u256 *rem, const decai__u256 *a, const decai__u256 *b);
/* The full product, low limb first; cannot overflow. */
void decai__u256_mul_wide(uint64_t out[8], const decai__u256 *a, const decai__u256 *b);
/* floor(a*b/c) with a 512-bit product between, and the remainder (rem may be
 * NULL): what a split "parts of total" needs. False for c = 0 or a quotient
 * above 2^256-1. */
bool decai__u256_mul_div(decai__u256 *out, decai__u256 *rem, const decai__u256 *a,
    const decai__u256 *b, const decai__u256 *c);

/* Decimal text, strict: digits only, no sign, space or leading zero ("0" is
 * zero), 1 to 78 of them, at most 2^256-1. 0 | DECAI_E_CORRUPT | DECAI_E_LIMIT;
 * the detail starts with `field`. */
int32_t decai__u256_parse(decai__u256 *out, const char *text, size_t len, const char *field);
/* NUL-terminated decimal text; returns its length without the NUL. */
size_t decai__u256_format(char out[DECAI__U256_TEXT_MAX + 1], const decai__u256 *a);

/* The same strict grammar for machine words; i64 may start with one '-' ("-0"
 * is refused). Used wherever integers are read from text. */
int32_t decai__u64_parse(uint64_t *out, const char *text, size_t len, const char *field);
int32_t decai__i64_parse(int64_t *out, const char *text, size_t len, const char *field);

#endif /* DECAI__NUM_H */
