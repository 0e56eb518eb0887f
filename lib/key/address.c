/* address.c - addresses as text, and the hash of personal messages.
 *
 * EIP-55: "0x" and 40 hex digits; letter i is upper case when nibble i of
 * Keccak-256(the 40 lower-case digits) is 8 or more. All lower case carries no
 * checksum and is read too; all upper case is only read if it happens to check.
 *
 * EIP-191 version 0x45: Keccak-256("\x19Ethereum Signed Message:\n" | decimal
 * length | message).
 */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "key/key.h"

void
decai__address_text(char out[DECAI_ADDRESS_TEXT], const uint8_t address[DECAI_ADDRESS_BYTES])
{
    uint8_t hash[32];
    char *digits = out + 2;

    out[0] = '0';
    out[1] = 'x';
    decai__hex_encode(digits, address, DECAI_ADDRESS_BYTES);
    decai__keccak256(hash, digits, 40);
    for (size_t i = 0; i < 40; i++) {
        unsigned nibble = i % 2 ? hash[i / 2] & 15u : hash[i / 2] >> 4;
        if (digits[i] >= 'a' && nibble >= 8) digits[i] = (char)(digits[i] - 'a' + 'A');
    }
}

static bool
all_lower(const char *digits)
{
    for (size_t i = 0; i < 40; i++)
        if (digits[i] >= 'A' && digits[i] <= 'F') return false;
    return true;
}

int32_t
decai__address_read(uint8_t out[DECAI_ADDRESS_BYTES], const char *text, size_t len, const char *field)
{
    uint8_t read[DECAI_ADDRESS_BYTES];
    char right[DECAI_ADDRESS_TEXT];

    if (len != DECAI_ADDRESS_TEXT || text[0] != '0' || text[1] != 'x')
        return decai__fail(DECAI_E_CORRUPT, "%s: not 0x and 40 hex digits", field);
    int32_t r = decai__hex_decode(read, sizeof(read), text + 2, 40, field);
    if (r) return r;
    decai__address_text(right, read);
    if (!all_lower(text + 2) && memcmp(text, right, sizeof(right)) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "%s: %.42s has a wrong checksum (EIP-55)", field, text);
    memcpy(out, read, sizeof(read));
    return 0;
}

void
decai__eip191(uint8_t out[32], const void *message, size_t len)
{
    decai__keccak k;
    char head[64];
    int n = snprintf(head, sizeof(head), "\x19" "Ethereum Signed Message:\n%zu", len);

    decai__keccak_init(&k);
    decai__keccak_update(&k, head, (size_t)n);
    if (len) decai__keccak_update(&k, message, len);
    decai__keccak_final(&k, out);
}
