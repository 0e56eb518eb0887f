/* decai/reward.h - one epoch's payout by recorded work.
 *
 * The pot is shared in proportion to work units with integers only: everybody
 * gets the whole part of pot * units / total, the units left over go one each
 * to the largest remainders, equal remainders by name. The shares always sum
 * to the pot. A payout is frozen as a Merkle tree that Solidity contracts
 * already read: OpenZeppelin's StandardMerkleTree over
 * (uint256 index, address account, uint256 amount). */
#ifndef DECAI_REWARD_H
#define DECAI_REWARD_H

#include "decai/base.h"
#include "decai/hash.h"
#include "decai/store.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_CLAIMS_MAX      262144  /**< claims of one payout */
#define DECAI_PAYOUT_TEXT_MAX 16777216 /**< bytes of the rows given to decai_payout_create */

/** One epoch's payout: claims and their tree. */
typedef struct decai_payout decai_payout;

/** Record work done in an epoch, to be paid when the epoch is settled.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_LIMIT | DECAI_E_STATE (epoch settled)
 *           | DECAI_E_EXISTS (key used by another request) | DECAI_E_CONFLICT
 *           (the account had another address)
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL | DECAI_E_NOMEM
 *  In:   store
 *        epoch    0 .. 2^63-1
 *        account  who did it; a name as in decai/job.h
 *        address  where it is paid                            @len(address_len)
 *        address_len  20
 *        units    decimal text, more than 0; several records add up
 *        key      idempotency key, e.g. the job's id
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_work_add(decai_store *store, uint64_t epoch, const char *account,
    const uint8_t *address, size_t address_len, const char *units, const char *key);

/** Settle an epoch: share the pot, build the tree, store claims and root in one
 *  transaction. Settling it again with the same asset and pot gives the same
 *  payout.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND (no work recorded) | DECAI_E_EXISTS (settled
 *           with another asset or pot) | DECAI_E_INTEGRITY | DECAI_E_LIMIT
 *           | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL
 *           | DECAI_E_NOMEM | DECAI_E_STATE
 *  Out:  out    @owned
 *  In:   store
 *        epoch
 *        asset  a name as in decai/job.h
 *        pot    decimal text
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_epoch_settle(
    decai_payout **out, decai_store *store, uint64_t epoch, const char *asset, const char *pot);

/** Load a settled epoch and check it again from its records alone: shares,
 *  sum and root are recomputed from the work and compared.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND | DECAI_E_INTEGRITY (what differs)
 *           | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_NOMEM
 *           | DECAI_E_STATE
 *  Out:  out    @owned
 *  In:   store
 *        epoch
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_payout_load(decai_payout **out, decai_store *store, uint64_t epoch);

/** Share a pot among rows given as text, without a store.
 *
 *  Returns: 0 | DECAI_E_CORRUPT (no strict JSON, a wrong or unknown field)
 *           | DECAI_E_EXISTS (a name twice) | DECAI_E_LIMIT | DECAI_E_INVALID
 *           | DECAI_E_NOMEM
 *  Out:  out    @owned
 *  In:   context
 *        pot    decimal text
 *        rows   JSON: [{"account": name, "address": 40 hex digits, "units":
 *               decimal text}, ...]                           @len(rows_len)
 *        rows_len  at most DECAI_PAYOUT_TEXT_MAX
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_payout_create(decai_payout **out, decai_context *context,
    const char *pot, const char *rows, size_t rows_len);

/** The root and the number of claims.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_BUSY
 *  Out:  root      @len(root_len)
 *        root_len  32
 *        count     claims
 *  In:   payout
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_payout_get(
    decai_payout *payout, uint8_t *root, size_t root_len, uint64_t *count);

/** One claim a call, in the order of the names' bytes.
 *
 *  Returns: 1 a claim | 0 index is past the end | DECAI_E_INVALID
 *           | DECAI_E_SPACE (name) | DECAI_E_STATE | DECAI_E_BUSY
 *  Out:  name     of the account, not NUL-terminated         @len(cap) @nullable
 *        cap
 *        len      bytes written or needed
 *        address  @len(address_len)
 *        address_len  20
 *        amount   big-endian                                  @len(amount_len)
 *        amount_len  32
 *  In:   payout
 *        index    0, 1, 2, ...
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_claim_at(decai_payout *payout, char *name, size_t cap, size_t *len,
    uint8_t *address, size_t address_len, uint8_t *amount, size_t amount_len, uint64_t index);

/** The Merkle proof of one claim.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOT_FOUND | DECAI_E_INVALID
 *           | DECAI_E_STATE | DECAI_E_BUSY | DECAI_E_NOMEM
 *  Out:  out    32-byte hashes one after the other, from the leaf up
 *                                                       @len(cap) @nullable
 *        cap
 *        len    bytes written or needed: 32 * hashes
 *  In:   payout
 *        index  of the claim
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_claim_prove(
    decai_payout *payout, uint8_t *out, size_t cap, size_t *len, uint64_t index);

/** Check one claim against a root, as a Solidity contract would that hashes
 *  (index, account, amount). (decai_claim_verify is for leaves without index.)
 *
 *  Returns: 0 it holds | DECAI_E_INTEGRITY it does not | DECAI_E_INVALID
 *           | DECAI_E_CORRUPT (the proof's length is no multiple of 32)
 *           | DECAI_E_LIMIT (a proof longer than DECAI_CLAIM_PROOF_MAX)
 *  In:   root     @len(root_len)
 *        root_len  32
 *        index    of the claim
 *        address  @len(address_len)
 *        address_len  20
 *        amount   big-endian                                  @len(amount_len)
 *        amount_len  32
 *        proof    from decai_claim_prove            @len(proof_len) @nullable
 *        proof_len  a multiple of 32
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_payout_verify(const uint8_t *root, size_t root_len, uint64_t index,
    const uint8_t *address, size_t address_len, const uint8_t *amount, size_t amount_len,
    const uint8_t *proof, size_t proof_len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_REWARD_H */
