/* decimal.c - integers from and to decimal text, one spelling per value.
 *
 * The grammar is 0 | [1-9][0-9]*, with one '-' before it for i64 (but no "-0").
 * No sign, space, separator, exponent or leading zero: an amount that is signed
 * as text must have one form only. No locale, no libc conversion.
 */
#include "num/num.h"

#include <string.h>

/* Whether text is of the grammar above; names the first thing that is wrong. */
static int32_t
check_digits(const char *text, size_t len, const char *field)
{
    if (!len) return decai__fail(DECAI_E_CORRUPT, "%s: empty, a decimal integer is needed", field);
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return decai__fail(DECAI_E_CORRUPT, "%s: byte %zu is 0x%02x, not a decimal digit", field, i,
                (unsigned)(uint8_t)text[i]);
    if (len > 1 && text[0] == '0')
        return decai__fail(DECAI_E_CORRUPT, "%s: leading zero", field);
    return 0;
}

int32_t
decai__u256_parse(decai__u256 *out, const char *text, size_t len, const char *field)
{
    decai__u256 v = decai__u256_from_u64(0);
    int32_t r = check_digits(text, len, field);
    if (r) return r;
    for (size_t i = 0; i < len; i++) {
        decai__u256 digit = decai__u256_from_u64((uint64_t)(text[i] - '0'));
        if (!decai__u256_mul_u64(&v, &v, 10) || !decai__u256_add(&v, &v, &digit))
            return decai__fail(DECAI_E_LIMIT, "%s: %zu digits, above 2^256-1", field, len);
    }
    *out = v;
    return 0;
}

size_t
decai__u256_format(char out[DECAI__U256_TEXT_MAX + 1], const decai__u256 *a)
{
    char text[DECAI__U256_TEXT_MAX];
    size_t at = sizeof text;
    decai__u256 v = *a;
    do {
        uint64_t digit = 0;
        (void)decai__u256_div_u64(&v, &digit, &v, 10);       /* 10 is not 0 */
        decai__assert(at > 0);
        text[--at] = (char)('0' + digit);
    } while (!decai__u256_is_zero(&v));
    memcpy(out, text + at, sizeof text - at);
    out[sizeof text - at] = 0;
    return sizeof text - at;
}

int32_t
decai__u64_parse(uint64_t *out, const char *text, size_t len, const char *field)
{
    uint64_t v = 0;
    int32_t r = check_digits(text, len, field);
    if (r) return r;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return decai__fail(DECAI_E_LIMIT, "%s: %.*s is above 2^64-1", field, (int)DECAI__MIN(len, (size_t)40), text);
        v = 10 * v + digit;
    }
    *out = v;
    return 0;
}

int32_t
decai__i64_parse(int64_t *out, const char *text, size_t len, const char *field)
{
    uint64_t v;
    bool negative = len && text[0] == '-';
    int32_t r = decai__u64_parse(&v, text + negative, len - negative, field);
    if (r) return r;
    if (negative && !v) return decai__fail(DECAI_E_CORRUPT, "%s: minus zero", field);
    if (v > (uint64_t)INT64_MAX + negative)
        return decai__fail(DECAI_E_LIMIT, "%s: %.*s is outside 64 bits", field, (int)DECAI__MIN(len, (size_t)40), text);
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}
