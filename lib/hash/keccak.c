/* keccak.c - Keccak-256, one message at a time, in plain C.
 *
 * The sponge of FIPS 202 with rate 136 and capacity 64 bytes, 24 rounds, and
 * the padding of the original submission, which the EVM froze: one byte 0x01
 * behind the message, 0x80 into the block's last byte (0x81 when they meet).
 * SHA3-256 differs in that byte alone (0x06), which is how the tests let
 * OpenSSL's SHA3-256 check this permutation.
 *
 *     block   0 .................. 135 | 136 ... 199
 *             message, padded          | capacity, never touched from outside
 *             lanes 0..16              | lanes 17..24
 *
 * A lane is little-endian; so is the machine (base.h refuses others).
 */
#include "hash/hash.h"

#include <string.h>

#include "hash/internal.h"
#include "hash/keccak_round.h"

#define KECCAK_XOR(a, b)    ((a) ^ (b))
#define KECCAK_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KECCAK_ROL(a, n)    ((a) << (n) | (a) >> ((64 - (n)) & 63))
#define KECCAK_CHI(a, b, c) ((a) ^ (~(b) & (c)))

const uint64_t decai__keccak_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

void
decai__keccak_permute_plain(uint64_t lane[25])
{
    uint64_t e[25];
    for (int round = 0; round < 24; round += 2) {
        KECCAK_ROUND(uint64_t, e, lane, decai__keccak_constants[round]);
        KECCAK_ROUND(uint64_t, lane, e, decai__keccak_constants[round + 1]);
    }
}

void
decai__keccak_permute(uint64_t lane[25])
{
    if (decai__keccak_has_avx512()) decai__keccak_permute_avx512(lane);
    else if (decai__keccak_has_bmi()) decai__keccak_permute_bmi(lane);
    else decai__keccak_permute_plain(lane);
}

void
decai__keccak_init_pad(decai__keccak *k, uint8_t pad)
{
    memset(k, 0, sizeof *k);
    k->pad = pad;
}

void
decai__keccak_init(decai__keccak *k)
{
    decai__keccak_init_pad(k, 0x01);
}

/* XOR part of a block into the state, byte by byte at the edges. */
static void
absorb_part(decai__keccak *k, const uint8_t *data, size_t len)
{
    uint8_t *state = (uint8_t *)k->lane;
    decai__assert(k->fill + len <= DECAI__KECCAK_RATE);
    for (size_t i = 0; i < len; i++) state[k->fill + i] ^= data[i];
    k->fill += len;
    if (k->fill == DECAI__KECCAK_RATE) {
        decai__keccak_permute(k->lane);
        k->fill = 0;
    }
}

void
decai__keccak_update(decai__keccak *k, const void *data, size_t len)
{
    const uint8_t *p = data;
    decai__assert(k->fill < DECAI__KECCAK_RATE);
    if (k->fill && len) {
        size_t part = DECAI__MIN(len, DECAI__KECCAK_RATE - k->fill);
        absorb_part(k, p, part);
        p += part;
        len -= part;
    }
    for (; len >= DECAI__KECCAK_RATE; p += DECAI__KECCAK_RATE, len -= DECAI__KECCAK_RATE) {
        for (size_t i = 0; i < DECAI__KECCAK_RATE / 8; i++) {
            uint64_t word;
            memcpy(&word, p + 8 * i, 8);      /* the caller's data has no alignment */
            k->lane[i] ^= word;
        }
        decai__keccak_permute(k->lane);
    }
    if (len) absorb_part(k, p, len);
}

void
decai__keccak_final(decai__keccak *k, uint8_t out[32])
{
    uint8_t *state = (uint8_t *)k->lane;
    decai__assert(k->fill < DECAI__KECCAK_RATE);
    state[k->fill] ^= k->pad;
    state[DECAI__KECCAK_RATE - 1] ^= 0x80;
    decai__keccak_permute(k->lane);
    memcpy(out, k->lane, 32);
}

void
decai__keccak256(uint8_t out[32], const void *data, size_t len)
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__keccak_update(&k, data, len);
    decai__keccak_final(&k, out);
}

void
decai__hash_u64(decai__keccak *k, uint64_t v)
{
    uint8_t word[8];
    decai__store_be64(word, v);
    decai__keccak_update(k, word, sizeof word);
}

void
decai__hash_data(decai__keccak *k, const void *data, size_t len)
{
    decai__hash_u64(k, len);
    decai__keccak_update(k, data, len);
}

void
decai__hash_domain(decai__keccak *k, const char *domain)
{
    size_t len = strlen(domain);
    decai__assert(len >= 1 && len <= DECAI_DOMAIN_MAX);
    uint8_t byte = (uint8_t)len;
    decai__keccak_update(k, &byte, 1);
    decai__keccak_update(k, domain, len);
}

int32_t
decai__domain_check(const char *domain)
{
    if (!domain || !*domain) return decai__fail(DECAI_E_INVALID, "domain: missing");
    size_t len = strnlen(domain, DECAI_DOMAIN_MAX + 1);
    if (len > DECAI_DOMAIN_MAX)
        return decai__fail(DECAI_E_LIMIT, "domain: longer than DECAI_DOMAIN_MAX (%d)", DECAI_DOMAIN_MAX);
    for (size_t i = 0; i < len; i++)
        if (domain[i] < 0x21 || domain[i] > 0x7e)
            return decai__fail(DECAI_E_INVALID, "domain: byte %zu is 0x%02x, not printable ASCII", i,
                (unsigned)(uint8_t)domain[i]);
    return 0;
}
