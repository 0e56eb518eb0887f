/* keccak4.c - four messages of one length through four sponges side by side.
 *
 * What makes it worth having: chunks of a model, leaves of an activation tree
 * and nodes of one level all come in equal lengths. The portable form runs the
 * plain permutation on each column; the wide form (keccak_avx2.c) runs all
 * columns at once. Both give what four plain calls give, bit for bit.
 *
 * lane[i][j] is lane i of message j. Bytes that do not fill a block wait in
 * block[j]; whole blocks are absorbed from the caller's memory.
 */
#include <string.h>

#include "hash/internal.h"

void
decai__keccak4_init_as(decai__keccak4 *k, int32_t wide)
{
    memset(k->lane, 0, sizeof k->lane);
    k->fill = 0;
    k->wide = wide && decai__keccak_has_wide();
}

void
decai__keccak4_init(decai__keccak4 *k)
{
    decai__keccak4_init_as(k, 1);
}

static void
absorb_plain(decai__keccak4 *k, const uint8_t *const block[4])
{
    for (size_t j = 0; j < 4; j++) {
        uint64_t a[25];
        for (size_t i = 0; i < 25; i++) a[i] = k->lane[i][j];
        for (size_t i = 0; i < DECAI__KECCAK_RATE / 8; i++) a[i] ^= decai__load_le64(block[j] + 8 * i);
        decai__keccak_permute(a);
        for (size_t i = 0; i < 25; i++) k->lane[i][j] = a[i];
    }
}

static void
absorb(decai__keccak4 *k, const uint8_t *const block[4])
{
    if (!k->wide) {
        absorb_plain(k, block);
        return;
    }
    decai__keccak_absorb4_avx2(k->lane, block);
    decai__keccak_permute4_avx2(k->lane);
}

static void
absorb_own(decai__keccak4 *k)
{
    const uint8_t *const block[4] = { k->block[0], k->block[1], k->block[2], k->block[3] };
    absorb(k, block);
    k->fill = 0;
}

void
decai__keccak4_update(decai__keccak4 *k, const void *const data[4], size_t len)
{
    const uint8_t *p[4] = { data[0], data[1], data[2], data[3] };
    decai__assert(k->fill < DECAI__KECCAK_RATE);
    while (len) {
        size_t part = DECAI__MIN(len, DECAI__KECCAK_RATE - k->fill);
        if (part == DECAI__KECCAK_RATE) {
            const uint8_t *const block[4] = { p[0], p[1], p[2], p[3] };
            absorb(k, block);
        } else {
            for (size_t j = 0; j < 4; j++) memcpy(k->block[j] + k->fill, p[j], part);
            k->fill += part;
            if (k->fill == DECAI__KECCAK_RATE) absorb_own(k);
        }
        for (size_t j = 0; j < 4; j++) p[j] += part;
        len -= part;
    }
}

void
decai__keccak4_update_same(decai__keccak4 *k, const void *data, size_t len)
{
    const void *const four[4] = { data, data, data, data };
    decai__keccak4_update(k, four, len);
}

void
decai__keccak4_final(decai__keccak4 *k, uint8_t out[4][32])
{
    for (size_t j = 0; j < 4; j++) {
        memset(k->block[j] + k->fill, 0, DECAI__KECCAK_RATE - k->fill);
        k->block[j][k->fill] = 0x01;
        k->block[j][DECAI__KECCAK_RATE - 1] |= 0x80;
    }
    absorb_own(k);
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < 4; i++) decai__store_le64(out[j] + 8 * i, k->lane[i][j]);
}

void
decai__keccak256_x4(uint8_t out[4][32], const void *const data[4], size_t len)
{
    decai__keccak4 k;
    decai__keccak4_init(&k);
    decai__keccak4_update(&k, data, len);
    decai__keccak4_final(&k, out);
}
