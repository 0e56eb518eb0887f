/* fuzz_hex.c - hex: both decoders agree, and encoding gives the text back but
 * for its case. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t a[2048], b[2048];
    static char text[4096];
    size_t len = 0;
    if (size > sizeof text) return 0;
    int32_t plain = decai_hex_decode(a, sizeof a, &len, (const char *)data, size);
    int32_t secret = decai__hex_decode_secret(b, size / 2, (const char *)data, size);
    if ((plain == 0) != (secret == 0)) abort();
    if (plain) return 0;
    if (len != size / 2 || memcmp(a, b, len)) abort();
    decai__hex_encode(text, a, len);
    for (size_t i = 0; i < size; i++)
        if (text[i] != (char)data[i] && text[i] != (char)(data[i] | 0x20)) abort();
    return 0;
}
