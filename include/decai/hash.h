/* decai/hash.h - hashes, Merkle trees with inclusion proofs, payout claims.
 *
 * Keccak-256 names everything in this library; SHA-256 is there for what other
 * systems name. The native tree binds domain, index and count:
 *
 *     leaf  Keccak(0x00, domain, index, data)
 *     node  Keccak(0x01, domain, level, left, right)   an odd node is promoted
 *     root  Keccak(0x02, domain, count, top)           count 0: 32 zero bytes
 *
 * with integers as 8 bytes big-endian, level as 1 byte, domain as 1 byte length
 * and ASCII, data as 8 bytes length and bytes. A proof is the siblings from the
 * leaf up, 32 bytes each. Claims are another kind of tree, the one contracts of
 * the OpenZeppelin family check; it does not bind the index.
 */
#ifndef DECAI_HASH_H
#define DECAI_HASH_H

#include "decai/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_HASH_BYTES      32            /**< bytes of a Keccak-256 or SHA-256 hash */
#define DECAI_DOMAIN_MAX      64            /**< bytes of a domain: printable ASCII without space */
#define DECAI_TREE_COUNT_MAX  1099511627776 /**< leaves of a native tree, 2^40 */
#define DECAI_CLAIM_PROOF_MAX 2048          /**< bytes of a claim's proof, 64 siblings */

/** A native Merkle tree that grows at its end. */
typedef struct decai_tree decai_tree;

/** Keccak-256, the EVM's (pad byte 0x01; SHA3-256 is another function).
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  out   the hash                                       @len(out_len)
 *        out_len  must be 32
 *  In:   data  @len(data_len) @nullable
 *        data_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_hash_keccak256(
    uint8_t *out, size_t out_len, const uint8_t *data, size_t data_len);

/** SHA-256, by OpenSSL, without its configuration file or environment.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_UNSUPPORTED (this
 *           OpenSSL has no SHA-256)
 *  Out:  out   the hash                                       @len(out_len)
 *        out_len  must be 32
 *  In:   context
 *        data  @len(data_len) @nullable
 *        data_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_hash_sha256(
    decai_context *context, uint8_t *out, size_t out_len, const uint8_t *data, size_t data_len);

/** Make an empty tree.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_LIMIT | DECAI_E_NOMEM | DECAI_E_STATE
 *  Out:  out      @owned
 *  In:   context
 *        domain   what the leaves are, e.g. "org.example.log.v1": trees of two
 *                 domains never share a hash
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tree_create(decai_tree **out, decai_context *context, const char *domain);

/** Append one leaf. On failure the tree is as it was.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_LIMIT | DECAI_E_NOMEM | DECAI_E_BUSY
 *           | DECAI_E_STATE
 *  In:   tree
 *        data  @len(data_len) @nullable
 *        data_len
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_tree_add(decai_tree *tree, const uint8_t *data, size_t data_len);

/** How many leaves a tree has.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_STATE
 *  Out:  count
 *  In:   tree
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_tree_count_get(decai_tree *tree, uint64_t *count);

/** The root of the first `count` leaves: a tree remembers every prefix.
 *
 *  Returns: 0 | DECAI_E_INVALID (more than the tree has) | DECAI_E_BUSY |
 *           DECAI_E_STATE
 *  Out:  out    the root                                      @len(out_len)
 *        out_len  must be 32
 *  In:   tree
 *        count  decai_tree_count_get's for the whole tree
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_tree_root_get(
    decai_tree *tree, uint8_t *out, size_t out_len, uint64_t count);

/** Prove that a leaf is among the first `count` leaves, at its index.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID (index >= count, or count more
 *           than the tree has) | DECAI_E_BUSY | DECAI_E_STATE
 *  Out:  out    the siblings from the leaf up, 32 bytes each  @len(cap) @nullable
 *        cap    1280 is always enough
 *        len    bytes written or needed; 0 for a tree of one leaf
 *  In:   tree
 *        index
 *        count
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_tree_prove(
    decai_tree *tree, uint8_t *out, size_t cap, size_t *len, uint64_t index, uint64_t count);

/** Check such a proof; needs no tree.
 *
 *  Returns: 0 it holds | DECAI_E_INTEGRITY it does not | DECAI_E_CORRUPT (the
 *           proof's length is not the one that index and count ask for) |
 *           DECAI_E_INVALID (index >= count, bad domain) | DECAI_E_LIMIT
 *  In:   domain
 *        root   @len(root_len)
 *        root_len   must be 32
 *        index
 *        count
 *        data   the leaf                                      @len(data_len) @nullable
 *        data_len
 *        proof  @len(proof_len) @nullable
 *        proof_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tree_verify(
    const char *domain, const uint8_t *root, size_t root_len, uint64_t index, uint64_t count,
    const uint8_t *data, size_t data_len, const uint8_t *proof, size_t proof_len);

/** Check a payout claim against a payout root, as an OpenZeppelin
 *  MerkleProof contract does: leaf = keccak(keccak(abi.encode(account,
 *  amount))), sorted pairs.
 *
 *  Returns: 0 it holds | DECAI_E_INTEGRITY it does not | DECAI_E_CORRUPT (the
 *           proof's length is no multiple of 32) | DECAI_E_LIMIT |
 *           DECAI_E_INVALID
 *  In:   root     @len(root_len)
 *        root_len     must be 32
 *        account  an EVM address                              @len(account_len)
 *        account_len  must be 20
 *        amount   256-bit, big-endian                         @len(amount_len)
 *        amount_len   must be 32
 *        proof    @len(proof_len) @nullable
 *        proof_len    at most DECAI_CLAIM_PROOF_MAX
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_claim_verify(
    const uint8_t *root, size_t root_len, const uint8_t *account, size_t account_len,
    const uint8_t *amount, size_t amount_len, const uint8_t *proof, size_t proof_len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_HASH_H */
