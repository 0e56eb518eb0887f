/* hex.c - hexadecimal text, in two manners.
 *
 * The plain one is for public bytes: it says where a text is wrong. The other
 * is for keys: no table indexed by a secret, no branch on one, one verdict at
 * the end, so that neither cache nor branch predictor learns a digit. Only the
 * length shows.
 */
#include <string.h>

#include "codec/internal.h"

static int
nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void
decai__hex_encode(char *out, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
}

int32_t
decai__hex_check(const char *text, size_t text_len, const char *field)
{
    for (size_t i = 0; i < text_len; i++)
        if (nibble(text[i]) < 0)
            return decai__fail(DECAI_E_CORRUPT, "%s: byte %zu is 0x%02x, not a hex digit", field, i,
                (unsigned)(uint8_t)text[i]);
    return 0;
}

void
decai__hex_read(uint8_t *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
}

int32_t
decai__hex_decode(uint8_t *out, size_t len, const char *text, size_t text_len, const char *field)
{
    if (text_len >= 2 && text[0] == '0' && text[1] == 'x') {
        text += 2;
        text_len -= 2;
    }
    if (text_len % 2 || text_len / 2 != len)
        return decai__fail(DECAI_E_CORRUPT, "%s: %zu hex digits for %zu bytes", field, text_len, len);
    int32_t r = decai__hex_check(text, text_len, field);
    if (!r) decai__hex_read(out, text, len);
    return r;
}

/* All ones if low <= c <= high, else 0. The differences are far below 2^31, so
 * the sign bit of an unsigned difference tells. */
static uint32_t
between(uint32_t c, uint32_t low, uint32_t high)
{
    return ((c - low) >> 31 | (high - c) >> 31) - 1;
}

/* The value of a digit; sets bits in *bad if it is none. */
static uint32_t
secret_nibble(char c, uint32_t *bad)
{
    uint32_t v = (uint8_t)c;
    uint32_t digit = between(v, '0', '9');
    uint32_t lower = between(v, 'a', 'f');
    uint32_t upper = between(v, 'A', 'F');
    *bad |= ~(digit | lower | upper);
    return (digit & (v - '0')) | (lower & (v - 'a' + 10)) | (upper & (v - 'A' + 10));
}

int32_t
decai__hex_decode_secret(uint8_t *out, size_t len, const char *text, size_t text_len)
{
    uint32_t bad = 0;
    if (text_len != 2 * len) return decai__fail(DECAI_E_CORRUPT, "secret: %zu hex digits for %zu bytes", text_len, len);
    for (size_t i = 0; i < len; i++) {
        uint32_t high = secret_nibble(text[2 * i], &bad);
        uint32_t low = secret_nibble(text[2 * i + 1], &bad);
        out[i] = (uint8_t)(high << 4 | low);
    }
    if (!bad) return 0;
    decai__wipe(out, len);
    return decai__fail(DECAI_E_CORRUPT, "secret: not all are hex digits");
}

void
decai__hex_encode_secret(char *out, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < 2 * len; i++) {
        uint32_t v = i % 2 ? p[i / 2] & 15u : p[i / 2] >> 4;
        uint32_t letter = between(v, 10, 15);
        out[i] = (char)(v + (~letter & '0') + (letter & ('a' - 10)));
    }
}
