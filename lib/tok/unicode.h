/* unicode.h - classes of characters and the reading of UTF-8. */
#ifndef DECAI__TOK_UNICODE_H
#define DECAI__TOK_UNICODE_H

#include "base/base.h"

/* General categories, as far as any tokenizer tells them apart. White_Space
 * comes before the category: U+0085 and its like are DECAI__SPACE. */
enum decai__class {
    DECAI__CN, DECAI__LU, DECAI__LL, DECAI__LT, DECAI__LM, DECAI__LO, DECAI__MN, DECAI__MC, DECAI__ND, DECAI__NO,
    DECAI__P, DECAI__S, DECAI__SPACE, DECAI__CC, DECAI__CF, DECAI__CO
};
/* Sets of classes, one bit each. */
#define DECAI__IN(class, set) ((1u << (class)) & (set))
#define DECAI__SET_L 0x003eu
#define DECAI__SET_M 0x00c0u
#define DECAI__SET_N 0x0300u
#define DECAI__SET_P 0x0400u
#define DECAI__SET_S 0x0800u
#define DECAI__SET_SPACE 0x1000u
#define DECAI__SET_UPPER (0x003au | DECAI__SET_M)   /* Lu Lt Lm Lo M */
#define DECAI__SET_LOWER (0x0034u | DECAI__SET_M)   /* Ll Lm Lo M */

extern const uint8_t decai__class_index[4352];
extern const uint8_t decai__class_block[][128];

static inline enum decai__class
decai__unicode_class(uint32_t c)
{
    if (c > 0x10ffff) return DECAI__CN;
    return (enum decai__class)(decai__class_block[decai__class_index[c >> 8]][(c & 255) / 2] >> (c % 2 * 4) & 15);
}

/* What a code point becomes: mode 1 decomposed without nonspacing marks, 2 in
 * lower case, 3 both. Not for Hangul syllables and not for marks themselves. */
size_t decai__unicode_rewrite(uint32_t c, int mode, uint32_t out[3]);
const char *decai__unicode_version(void);

/* One character and where the next one starts. Strict UTF-8 (Unicode table 3-7):
 * the second byte's range excludes overlong forms, surrogates and what lies
 * beyond U+10FFFF. A byte that is no part of valid UTF-8 is a character of its
 * own, DECAI__BAD, of class DECAI__CN. p < end. */
#define DECAI__BAD 0x110000u

static inline uint32_t
decai__utf8_next(const uint8_t *p, const uint8_t *end, const uint8_t **next)
{
    uint32_t b = *p;
    *next = p + 1;
    if (b < 0x80) return b;
    size_t n = (size_t)(end - p);
    if (b >= 0xe1 && b < 0xed && n > 2 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
        *next = p + 3;
        return (b & 0xf) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3fu);
    }
    uint32_t more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1, c = b & (0x3fu >> more);
    uint8_t low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80, high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
    if (b < 0xc2 || b > 0xf4 || n <= more) return DECAI__BAD;
    for (uint32_t i = 1; i <= more; i++, low = 0x80, high = 0xbf) {
        if (p[i] < low || p[i] > high) return DECAI__BAD;
        c = c << 6 | (p[i] & 0x3f);
    }
    *next = p + 1 + more;
    return c;
}

static inline enum decai__class
decai__class_next(const uint8_t *p, const uint8_t *end, const uint8_t **next)
{
    return decai__unicode_class(decai__utf8_next(p, end, next));
}

#endif /* DECAI__TOK_UNICODE_H */
