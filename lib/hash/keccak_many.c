/* keccak_many.c - many messages of one length, as many side by side as the
 * registers hold.
 *
 * What makes it worth having: chunks of a model, leaves of an activation tree
 * and nodes of one level all come in equal lengths. A sponge has no parallelism
 * inside, but eight of them in step fill a 512-bit register lane by lane.
 *
 *     form   messages   where
 *     8      8          AVX-512
 *     4      4          AVX2, or AVX-512 on 256-bit registers
 *     1      1          everywhere
 *
 * Message j is its head (head_len bytes at heads + j * head_step) and then
 * data[j]: Merkle preimages begin with a few bytes that are not part of the
 * data, and copying a megabyte to put them in front would cost as much as
 * hashing saves. Whole blocks are absorbed from the caller's memory; those that
 * hold the head's end or the padding are put together here.
 *
 * Every form gives the bits of plain calls, in any mixture. */
#include <string.h>

#include "hash/internal.h"

#define WIDE DECAI__KECCAK_WIDE_MAX

/* Absorb `blocks` whole blocks of each message: lane i of message j is
 * lane[i * width + j]. */
typedef void absorb_fn(uint64_t *lane, const uint8_t *const *data, size_t blocks);

uint32_t
decai__keccak_widest(void)
{
    return decai__keccak_has_avx512() ? 8 : decai__keccak_has_avx2() ? 4 : 1;
}

static absorb_fn *
absorb_of(uint32_t width)
{
    if (width == 8) return decai__keccak_absorb8_avx512;
    return decai__keccak_has_avx512() ? decai__keccak_absorb4_avx512 : decai__keccak_absorb4_avx2;
}

/* Bytes [pos, pos + len) of head and data; what is past their end stays out. */
static void
copy_part(uint8_t *out, const uint8_t *head, size_t head_len, const uint8_t *data, size_t pos, size_t len)
{
    if (pos < head_len) {
        size_t part = DECAI__MIN(head_len - pos, len);
        memcpy(out, head + pos, part);
        out += part;
        len -= part;
        pos += part;
    }
    if (len) memcpy(out, data + (pos - head_len), len);
}

/* `count` messages through `width` sponges; spare sponges repeat the last one. */
static void
in_step(uint32_t width, uint8_t (*out)[32], const decai__keccak_batch *b, size_t first, size_t count)
{
    _Alignas(64) uint64_t lane[25 * WIDE] = { 0 };
    uint8_t block[WIDE][DECAI__KECCAK_RATE];
    const uint8_t *own[WIDE], *at[WIDE], *data[WIDE], *head[WIDE];
    absorb_fn *absorb = absorb_of(width);
    size_t total = b->head_len + b->len, pos = 0;
    for (size_t j = 0; j < width; j++) {
        size_t k = first + DECAI__MIN(j, count - 1);
        own[j] = block[j];
        data[j] = b->data[k];
        head[j] = b->head_len ? b->heads + k * b->head_step : NULL;
    }
    while (total - pos >= DECAI__KECCAK_RATE) {
        size_t blocks = pos >= b->head_len ? (total - pos) / DECAI__KECCAK_RATE : 1;
        for (size_t j = 0; j < width; j++) {
            if (pos >= b->head_len) at[j] = data[j] + (pos - b->head_len);
            else copy_part(block[j], head[j], b->head_len, data[j], pos, DECAI__KECCAK_RATE);
        }
        absorb(lane, pos >= b->head_len ? at : own, blocks);
        pos += blocks * DECAI__KECCAK_RATE;
    }
    for (size_t j = 0; j < width; j++) {
        copy_part(block[j], head[j], b->head_len, data[j], pos, total - pos);
        memset(block[j] + (total - pos), 0, DECAI__KECCAK_RATE - (total - pos));
        block[j][total - pos] = 0x01;
        block[j][DECAI__KECCAK_RATE - 1] |= 0x80;
    }
    absorb(lane, own, 1);
    for (size_t j = 0; j < count; j++)
        for (size_t i = 0; i < 4; i++) decai__store_le64(out[j] + 8 * i, lane[i * width + j]);
}

static void
alone(uint8_t out[32], const decai__keccak_batch *b, size_t j)
{
    decai__keccak k;
    decai__keccak_init(&k);
    if (b->head_len) decai__keccak_update(&k, b->heads + j * b->head_step, b->head_len);
    decai__keccak_update(&k, b->data[j], b->len);
    decai__keccak_final(&k, out);
}

void
decai__keccak_batch_as(uint32_t widest, uint8_t (*out)[32], const decai__keccak_batch *b)
{
    widest = DECAI__MIN(widest, decai__keccak_widest());
    for (size_t done = 0, n; done < b->count; done += n) {
        size_t left = b->count - done;
        /* Half-filled registers still beat the next narrower form. */
        uint32_t width = widest == 8 && left > 4 ? 8 : widest >= 4 && left > 1 ? 4 : 1;
        n = DECAI__MIN(left, (size_t)width);
        if (width == 1) alone(out[done], b, done);
        else in_step(width, out + done, b, done, n);
    }
}

void
decai__keccak256_many(uint8_t (*out)[32], const void *const *data, size_t len, size_t count)
{
    const decai__keccak_batch b = { .data = data, .len = len, .count = count };
    decai__keccak_batch_as(WIDE, out, &b);
}
