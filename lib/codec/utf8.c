/* utf8.c - is it UTF-8? RFC 3629, section 4:
 *
 *     00..7F
 *     C2..DF 80..BF
 *     E0     A0..BF 80..BF        no longer form of what fits two bytes
 *     E1..EF 80..BF 80..BF        but ED 80..9F: no surrogates
 *     F0     90..BF 80..BF 80..BF
 *     F1..F3 80..BF 80..BF 80..BF
 *     F4     80..8F 80..BF 80..BF  nothing above U+10FFFF
 */
#include "codec/internal.h"

size_t
decai__utf8_next(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    uint8_t low = 0x80, high = 0xbf;
    size_t n;
    if (!len) return 0;
    if (p[0] < 0x80) return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) n = 2;
    else if ((p[0] & 0xf0) == 0xe0) n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4) n = 4;
    else return 0;
    if (p[0] == 0xe0) low = 0xa0;
    if (p[0] == 0xed) high = 0x9f;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;
    if (n > len || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

size_t
decai__utf8_valid(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t n = decai__utf8_next(text + at, len - at);
        if (!n) break;
        at += n;
    }
    return at;
}
