/* internal.h - what the files of hash share with each other and nobody else. */
#ifndef DECAI__HASH_INTERNAL_H
#define DECAI__HASH_INTERNAL_H

#include "hash/hash.h"

extern const uint64_t decai__keccak_constants[24];

void decai__keccak_permute(uint64_t lane[25]);
/* Baseline C, and the same for a CPU with BMI and BMI2. */
void decai__keccak_permute_plain(uint64_t lane[25]);
void decai__keccak_permute_bmi(uint64_t lane[25]);
bool decai__keccak_has_bmi(void);
void decai__keccak_permute_avx512(uint64_t lane[25]);
bool decai__keccak_has_avx2(void);
bool decai__keccak_has_avx512(void);           /* F and VL */
/* Absorb whole blocks of each message: lane i of message j is lane[4 i + j], or
 * lane[8 i + j]; lane is aligned to 64. Only where the CPU has it. */
void decai__keccak_absorb4_avx2(uint64_t *lane, const uint8_t *const *data, size_t blocks);
void decai__keccak_absorb4_avx512(uint64_t *lane, const uint8_t *const *data, size_t blocks);
void decai__keccak_absorb8_avx512(uint64_t *lane, const uint8_t *const *data, size_t blocks);

/* keccak_many.c: message j is its head at heads + j * head_step and data[j]. */
#define DECAI__KECCAK_WIDE_MAX 8
typedef struct decai__keccak_batch {
    const uint8_t *heads;
    size_t head_len, head_step;
    const void *const *data;
    size_t len, count;
} decai__keccak_batch;
uint32_t decai__keccak_widest(void);           /* messages side by side here: 8, 4 or 1 */
/* At most `widest` side by side; out may not overlap the data. */
void decai__keccak_batch_as(uint32_t widest, uint8_t (*out)[32], const decai__keccak_batch *b);

/* Parents of `pairs` adjacent pairs (64 bytes each) at `level`, many at a time. */
void decai__merkle_nodes(uint8_t *out, const char *domain, uint32_t level, const uint8_t *pair, size_t pairs);

#endif /* DECAI__HASH_INTERNAL_H */
