/* decai/wallet.h - the only way to a signature.
 *
 *     bytes -> intent (what it does) -> permit (the policy said yes) -> signature
 *
 * The same decoder gives the text for a human, the input of the policy and the
 * digest that is signed. What it does not know entirely is refused: there is
 * no blind signing here.
 */
#ifndef DECAI_WALLET_H
#define DECAI_WALLET_H

#include "decai/base.h"
#include "decai/key.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a statement is. Its signature is EIP-712 with the domain name
 * "libdecai", version "1" and the chain id. */

#define DECAI_INTENT_ORDER    1 /**< bytes: an EIP-712 JSON document of type Order */
#define DECAI_INTENT_RECEIPT  2 /**< bytes: the CBOR payload of a receipt */
#define DECAI_INTENT_MANIFEST 3 /**< bytes: the CBOR of a model's manifest */

#define DECAI_INTENT_BYTES_MAX    16777216 /**< bytes of a statement */
#define DECAI_WALLET_MODELS_MAX   256      /**< model roots in a policy */
#define DECAI_WALLET_SPENDS_MAX   4096     /**< reservations inside one window */
#define DECAI_WALLET_STATE_MAX    262144   /**< bytes of an encoded state */
#define DECAI_ORDER_REDUNDANCY_MAX 1024    /**< providers that one order may lease to */
#define DECAI_ORDER_ASSET_MAX     64       /**< bytes of an asset's name */

/** A key under a policy, and what has been spent under it. */
typedef struct decai_wallet decai_wallet;
/** A decoded statement: its exact bytes and what signing them would do. */
typedef struct decai_intent decai_intent;
/** One permission to sign one intent once. */
typedef struct decai_permit decai_permit;

/** Put a key under a policy. Without options nothing is allowed.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_CORRUPT (wallet.policy) | DECAI_E_LIMIT |
 *           DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   key      kept alive by the wallet
 *        options  keys of room "wallet": wallet.policy, or the single ones  @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_wallet_create(decai_wallet **out, decai_key *key, const decai_options *options);

/** The policy as JSON, in one canonical form; its Keccak-256 is the policy
 *  version that permits are bound to.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  out  JSON text, not NUL-terminated              @len(cap) @nullable
 *        len  bytes written or needed
 *  In:   wallet
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_wallet_policy_format(decai_wallet *wallet, char *out, size_t cap, size_t *len);

/** What has been reserved under the policy, to be kept by the caller: after a
 *  restart a wallet without its state has forgotten what it spent.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  out  @len(cap) @nullable
 *        len  bytes written or needed, at most DECAI_WALLET_STATE_MAX
 *  In:   wallet
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_wallet_state_encode(decai_wallet *wallet, uint8_t *out, size_t cap, size_t *len);

/** Bring back a state. Only into a wallet that has given no permit yet.
 *
 *  Time that passed while no wallet lived does not count: limits run out only
 *  by the monotonic clock of a living wallet, so no clock can reset them.
 *
 *  Returns: 0 | DECAI_E_STATE (a permit was given) | DECAI_E_CORRUPT |
 *           DECAI_E_UNSUPPORTED (version) | DECAI_E_LIMIT | DECAI_E_NOMEM |
 *           DECAI_E_BUSY | DECAI_E_INVALID
 *  In:   wallet
 *        bytes    of decai_wallet_state_encode                @len(bytes_len)
 *        bytes_len
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_wallet_state_decode(decai_wallet *wallet, const uint8_t *bytes, size_t bytes_len);

/** Write an order as the JSON document that is signed:
 *  Order(bytes32 modelRoot,bytes32 promptHash,uint256 maxPrice,string asset,
 *  uint64 redundancy,uint64 deadline,bytes32 salt).
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID (the field is named) | DECAI_E_NOMEM
 *  Out:  out          JSON text, not NUL-terminated      @len(cap) @nullable
 *        len          bytes written or needed
 *  In:   context
 *        model_root   @len(model_root_len)
 *        model_root_len   32
 *        prompt_hash  @len(prompt_hash_len)
 *        prompt_hash_len  32
 *        max_price    decimal text: the most that one lease may cost
 *        asset        name of what is paid with, 1 .. DECAI_ORDER_ASSET_MAX bytes
 *        redundancy   leases, 1 .. DECAI_ORDER_REDUNDANCY_MAX
 *        deadline_ms  UTC milliseconds after which nobody may act on it
 *        salt         makes equal orders differ                   @len(salt_len)
 *        salt_len         32
 *        chain_id     1 or more
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_order_encode(decai_context *context, char *out, size_t cap, size_t *len,
    const uint8_t *model_root, size_t model_root_len, const uint8_t *prompt_hash, size_t prompt_hash_len,
    const char *max_price, const char *asset, uint64_t redundancy, uint64_t deadline_ms,
    const uint8_t *salt, size_t salt_len, uint64_t chain_id);

/** Decode a statement for this wallet. Says what it would do; decides nothing.
 *
 *  Returns: 0 | DECAI_E_UNSUPPORTED (unknown kind, type, domain, version or
 *           chain id) | DECAI_E_CORRUPT | DECAI_E_INTEGRITY | DECAI_E_LIMIT |
 *           DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  out    @owned
 *  In:   wallet gives the chain id that goes into the domain
 *        kind   DECAI_INTENT_*
 *        bytes  @len(bytes_len)
 *        bytes_len  at most DECAI_INTENT_BYTES_MAX
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_intent_parse(
    decai_intent **out, decai_wallet *wallet, int32_t kind, const uint8_t *bytes, size_t bytes_len);

/** What an intent does, as one JSON object: kind, id, digest, the decoded
 *  fields, what it may cost at most, and "text", the same in plain words.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  out  JSON text, not NUL-terminated              @len(cap) @nullable
 *        len  bytes written or needed
 *  In:   intent
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_intent_format(decai_intent *intent, char *out, size_t cap, size_t *len);

/** The EIP-712 digest of an intent, as a counterparty computes it. An order's
 *  digest is its id.
 *
 *  Returns: 0 | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  out      @len(out_len)
 *  In:   intent
 *        out_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_intent_digest_get(decai_intent *intent, uint8_t *out, size_t out_len);

/** Ask the policy. A permit is bound to the SHA-256 of the intent's bytes and
 *  to the policy, is good for one signature, and its amount is reserved from
 *  now on whether it is used or not.
 *
 *  Returns: 0 | DECAI_E_DENIED (detail names the rule and the value) |
 *           DECAI_E_CONFLICT (an intent of another wallet) | DECAI_E_LIMIT |
 *           DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  out     @owned
 *  In:   wallet
 *        intent
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_permit_create(decai_permit **out, decai_wallet *wallet, decai_intent *intent);

/** Sign. Decodes the bytes again, asks the policy again, consumes the permit.
 *
 *  Returns: 0 | DECAI_E_STATE (the permit was used) | DECAI_E_CONFLICT (made
 *           for other bytes, another policy or another wallet) | DECAI_E_DENIED
 *           (no longer allowed: it expired) | DECAI_E_INTEGRITY (the signature
 *           did not verify and is withheld) | DECAI_E_IO (no entropy) |
 *           DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_INVALID
 *  Out:  signature  r | s | v                             @len(signature_len)
 *  In:   wallet
 *        signature_len  DECAI_SIGNATURE_BYTES
 *        intent
 *        permit
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_wallet_sign(decai_wallet *wallet, uint8_t *signature, size_t signature_len,
    decai_intent *intent, decai_permit *permit);

/** Who signed a statement. Compare with whom you expect.
 *
 *  Returns: 0 | DECAI_E_INTEGRITY (signature) | as decai_intent_parse
 *  Out:  address  @len(address_len)
 *  In:   context
 *        address_len    DECAI_ADDRESS_BYTES
 *        kind           DECAI_INTENT_*
 *        bytes          @len(bytes_len)
 *        bytes_len
 *        signature      @len(signature_len)
 *        signature_len  DECAI_SIGNATURE_BYTES
 *        chain_id       the chain that the statement must be for
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_intent_recover(decai_context *context, uint8_t *address, size_t address_len,
    int32_t kind, const uint8_t *bytes, size_t bytes_len, const uint8_t *signature, size_t signature_len,
    uint64_t chain_id);

/** Check a counterparty's signature of a statement. A manifest must be signed
 *  by the owner that it names.
 *
 *  Returns: 0 signed by that address | DECAI_E_INTEGRITY not | as decai_intent_parse
 *  In:   context
 *        kind           DECAI_INTENT_*
 *        bytes          @len(bytes_len)
 *        bytes_len
 *        signature      @len(signature_len)
 *        signature_len  DECAI_SIGNATURE_BYTES
 *        address        @len(address_len)
 *        address_len    DECAI_ADDRESS_BYTES
 *        chain_id       the chain that the statement must be for
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_intent_verify(decai_context *context, int32_t kind, const uint8_t *bytes,
    size_t bytes_len, const uint8_t *signature, size_t signature_len, const uint8_t *address,
    size_t address_len, uint64_t chain_id);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_WALLET_H */
