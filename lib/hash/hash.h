/* hash.h - Keccak-256, SHA-256 and Merkle trees, as the other rooms use them.
 *
 * Preimages (DESIGN: integers u64 big-endian, level u8, domain = u8 length and
 * ASCII, data = u64 length and bytes):
 *
 *     leaf  H(0x00, domain, index, data)
 *     node  H(0x01, domain, level, left, right)      level of the node, leaves are 0
 *     root  H(0x02, domain, count, top)              count 0: top = 32 zero bytes
 *
 * An odd node is promoted to the next level, never paired with itself. The tree
 * over the first n leaves is therefore what a Merkle mountain range of n leaves
 * is when its peaks are bagged from right to left (the parent of a peak of
 * height h gets level h + 1) and the size is bound by the root: one structure
 * serves stored data, streams of tokens and every prefix of such a stream.
 *
 * A proof is the list of 32-byte siblings from the leaf up; a level on which
 * the path is promoted contributes nothing. Its length follows from index and
 * count alone and is checked.
 *
 * Domains: 1..DECAI_DOMAIN_MAX bytes in 0x21..0x7e. Each one used in lib/ is a
 * row of lib/hash/DOMAINS.md, whose head says how a golden value is made.
 */
#ifndef DECAI__HASH_H
#define DECAI__HASH_H

#include <openssl/types.h>

#include "base/base.h"
#include "decai/hash.h"

/* ---- Keccak-256 (pad byte 0x01, the EVM's; not SHA3-256) ------------------ */

#define DECAI__KECCAK_RATE 136                  /* bytes absorbed per permutation */

typedef struct decai__keccak {
    uint64_t lane[25];
    size_t fill;                                /* bytes of the current block, < rate */
    uint8_t pad;
} decai__keccak;

void decai__keccak_init(decai__keccak *k);
/* The same sponge with another pad byte: 0x06 is SHA3-256, which lets OpenSSL
 * vouch for the permutation. For tests. */
void decai__keccak_init_pad(decai__keccak *k, uint8_t pad);
void decai__keccak_update(decai__keccak *k, const void *data, size_t len);
void decai__keccak_final(decai__keccak *k, uint8_t out[32]);
void decai__keccak256(uint8_t out[32], const void *data, size_t len);

/* `count` messages of one length side by side: message j is data[j]. Eight at a
 * time with AVX-512, four with AVX2; equal to plain calls, always. */
void decai__keccak256_many(uint8_t (*out)[32], const void *const *data, size_t len, size_t count);

/* Absorb u8 length + ASCII; u64 big-endian; u64 length + bytes. */
void decai__hash_domain(decai__keccak *k, const char *domain);
void decai__hash_u64(decai__keccak *k, uint64_t v);
void decai__hash_data(decai__keccak *k, const void *data, size_t len);
/* 0, or DECAI_E_INVALID / DECAI_E_LIMIT naming the domain. */
int32_t decai__domain_check(const char *domain);

/* ---- SHA-256, by OpenSSL; no configuration file, no environment ------------ */

/* A value: nothing to free, may be dropped at any time. */
typedef struct decai__sha256_state { _Alignas(8) uint8_t opaque[112]; } decai__sha256_state;

int32_t decai__sha256_init(decai_context *ctx, decai__sha256_state *s);
int32_t decai__sha256_update(decai__sha256_state *s, const void *data, size_t len);
int32_t decai__sha256_final(decai__sha256_state *s, uint8_t out[32]);
int32_t decai__sha256(decai_context *ctx, uint8_t out[32], const void *data, size_t len);
/* The library context that every other OpenSSL call of this context must be
 * given; it holds the default provider only. Beware: EVP_*Init of OpenSSL 3.0
 * still loads the file OPENSSL_CONF names into the process's default context. */
int32_t decai__hash_ossl(decai_context *ctx, OSSL_LIB_CTX **out);

/* ---- native Merkle tree: the three preimages ------------------------------ */

/* The domain must have passed decai__domain_check. */
void decai__merkle_leaf(uint8_t out[32], const char *domain, uint64_t index, const void *data, size_t len);
/* `count` leaves of one length; leaf j is at index + j * step (step 0: leaves of
 * as many trees). The fast form: eight (four) at a time. */
void decai__merkle_leaf_many(uint8_t (*out)[32], const char *domain, uint64_t index, uint64_t step,
    const void *const *data, size_t len, size_t count);
/* The same with an index for each. */
void decai__merkle_leaf_each(uint8_t (*out)[32], const char *domain, const uint64_t *index,
    const void *const *data, size_t len, size_t count);
void decai__merkle_node(uint8_t out[32], const char *domain, uint32_t level, const uint8_t left[32],
    const uint8_t right[32]);
void decai__merkle_root(uint8_t out[32], const char *domain, uint64_t count, const uint8_t top[32]);

/* How many siblings the proof of index in a tree of count leaves has. */
size_t decai__merkle_proof_count(uint64_t index, uint64_t count);
/* Strict: 0 | DECAI_E_INVALID (index >= count, bad domain) | DECAI_E_LIMIT |
 * DECAI_E_CORRUPT (proof_len is not 32 times the count above) |
 * DECAI_E_INTEGRITY (another root). */
int32_t decai__merkle_verify(const uint8_t root[32], const char *domain, uint64_t index, uint64_t count,
    const uint8_t leaf[32], const uint8_t *proof, size_t proof_len);

/* ---- streaming builder: a root in O(log n) memory, no allocation ----------- */

#define DECAI__MERKLE_LEVELS 41                 /* DECAI_TREE_COUNT_MAX = 2^40 leaves */

typedef struct decai__merkle_builder {
    char domain[DECAI_DOMAIN_MAX + 1];
    uint64_t count;                             /* bit h set: peak[h] is there */
    uint8_t peak[DECAI__MERKLE_LEVELS][32];
} decai__merkle_builder;

int32_t decai__merkle_builder_init(decai__merkle_builder *b, const char *domain);
int32_t decai__merkle_builder_add_leaf_hash(decai__merkle_builder *b, const uint8_t hash[32]);
int32_t decai__merkle_builder_add_leaf_data(decai__merkle_builder *b, const void *data, size_t len);
/* Cut data into leaves of chunk bytes (the last may be shorter) and add them;
 * many at a time, and on ctx's pool if ctx is not NULL. */
int32_t decai__merkle_builder_add_chunks(decai__merkle_builder *b, decai_context *ctx, const void *data,
    size_t len, size_t chunk);
void decai__merkle_builder_root(const decai__merkle_builder *b, uint8_t out[32]);

/* ---- whole tree: append-only, proofs at every size (the MMR too) ------------ */

typedef struct decai__merkle_tree {
    decai_context *ctx;
    char domain[DECAI_DOMAIN_MAX + 1];
    uint64_t count;
    struct decai__merkle_level { uint8_t *hash; size_t count, cap; } level[DECAI__MERKLE_LEVELS];
} decai__merkle_tree;                           /* level[h] holds the full subtrees of 2^h leaves */

int32_t decai__merkle_tree_init(decai__merkle_tree *t, decai_context *ctx, const char *domain);
void decai__merkle_tree_free(decai__merkle_tree *t);
/* On failure the tree is as before. */
int32_t decai__merkle_tree_add_leaf_hash(decai__merkle_tree *t, const uint8_t hash[32]);
int32_t decai__merkle_tree_add_leaf_data(decai__merkle_tree *t, const void *data, size_t len);
/* Many leaves at once (32 bytes each, in order); parents are made many at a time. */
int32_t decai__merkle_tree_add_leaf_hashes(decai__merkle_tree *t, const uint8_t *hashes, size_t count);
const uint8_t *decai__merkle_tree_leaf(const decai__merkle_tree *t, uint64_t index);   /* NULL past the end */
void decai__merkle_tree_root(const decai__merkle_tree *t, uint8_t out[32]);
/* The root when the tree had `count` leaves; DECAI_E_INVALID above t->count. */
int32_t decai__merkle_tree_root_at(const decai__merkle_tree *t, uint8_t out[32], uint64_t count);
/* Siblings of index in the tree of `count` leaves, 32 bytes each; *n of them,
 * at most DECAI__MERKLE_LEVELS. */
int32_t decai__merkle_tree_prove(const decai__merkle_tree *t, uint8_t (*out)[32], size_t *n,
    uint64_t index, uint64_t count);
/* The peaks (full subtrees, largest first) of the first `count` leaves. */
int32_t decai__merkle_tree_peaks(const decai__merkle_tree *t, uint8_t (*out)[32], size_t *n, uint64_t count);
/* First leaf that differs between two trees of one domain, in O(log n) node
 * comparisons; a missing leaf differs. DECAI_E_NOT_FOUND: equal. */
int32_t decai__merkle_tree_diff(const decai__merkle_tree *a, const decai__merkle_tree *b, uint64_t *index);

/* ---- OpenZeppelin-compatible tree (payouts only: the index is not bound) ---- */

typedef struct decai__oz_tree decai__oz_tree;

/* Leaf of StandardMerkleTree: keccak(keccak(abi.encode(...))). */
void decai__oz_leaf(uint8_t out[32], const void *abi, size_t len);
/* The same for (address, uint256), the claim of a payout. */
void decai__oz_leaf_claim(uint8_t out[32], const uint8_t account[20], const uint8_t amount[32]);
/* keccak of the two in ascending order. */
void decai__oz_node(uint8_t out[32], const uint8_t a[32], const uint8_t b[32]);
/* leaves: count * 32 bytes, in the order of the values. count 0: DECAI_E_INVALID. */
int32_t decai__oz_tree_create(decai_context *ctx, decai__oz_tree **out, const uint8_t *leaves, size_t count,
    bool sort_leaves);
void decai__oz_tree_free(decai__oz_tree *t);
const uint8_t *decai__oz_tree_root(const decai__oz_tree *t);
/* The heap array of 2*count - 1 hashes, as dumps hold it. */
const uint8_t *decai__oz_tree_nodes(const decai__oz_tree *t, size_t *count);
/* "treeIndex" of the i-th value. */
size_t decai__oz_tree_index(const decai__oz_tree *t, size_t i);
/* Proof of the i-th value, appended to out (32 bytes a sibling). */
int32_t decai__oz_tree_prove(const decai__oz_tree *t, decai__buf *out, size_t i);
/* 0 | DECAI_E_CORRUPT (length) | DECAI_E_LIMIT | DECAI_E_INTEGRITY. */
int32_t decai__oz_verify(const uint8_t root[32], const uint8_t leaf[32], const uint8_t *proof, size_t proof_len);

/* ---- golden values for DOMAINS.md ------------------------------------------ */

/* kind "hash": H(domain, bytes 00 01 .. 1f); kind "tree": native root of five
 * leaves, leaf i being the i bytes 00 01 ..; anything else DECAI_E_NOT_FOUND. */
int32_t decai__domain_golden(uint8_t out[32], const char *kind, const char *domain);

#endif /* DECAI__HASH_H */
