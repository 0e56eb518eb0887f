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
/* Lane i of message j is lane[i][j]; 32-byte aligned. Only with decai__keccak_has_wide(). */
void decai__keccak_permute4_avx2(uint64_t lane[25][4]);
/* XOR one block of each message into the state. */
void decai__keccak_absorb4_avx2(uint64_t lane[25][4], const uint8_t *const block[4]);

/* Parents of `pairs` adjacent pairs (64 bytes each) at `level`, four at a time. */
void decai__merkle_nodes(uint8_t *out, const char *domain, uint32_t level, const uint8_t *pair, size_t pairs);

#endif /* DECAI__HASH_INTERNAL_H */
