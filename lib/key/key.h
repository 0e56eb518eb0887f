/* key.h - what rooms may use of key: secp256k1 and EIP-712 building blocks.
 *
 * decai__key_sign is the one function that makes a signature. Only lib/wallet
 * may refer to it (checked with nm): no other room, no api.c.
 */
#ifndef DECAI__KEY_H
#define DECAI__KEY_H

#include "base/base.h"
#include "decai/key.h"

/* ---- secret keys --------------------------------------------------------- */

/* secret: 32 bytes, or NULL for a new one from the random seam. */
int32_t decai__key_new(decai_key **out, decai_context *ctx, const uint8_t *secret, const decai_options *o);
/* Sign a digest: 65 bytes r | s | v, low s, checked before it is released.
 * Fresh auxiliary entropy unless key.aux_entropy=0 in a test context. */
int32_t decai__key_sign(const decai_key *key, uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32]);
/* The check before release: DECAI_E_INTEGRITY unless sig recovers to this key. */
int32_t decai__key_check(const decai_key *key, const uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32]);
/* The public half never changes: no lock needed. */
const uint8_t *decai__key_address(const decai_key *key);
const uint8_t *decai__key_public(const decai_key *key);
bool decai__key_is_test(const decai_key *key);
bool decai__key_is_locked(const decai_key *key);

/* One page for one secret (pages.c): not in core dumps, zero in a forked child,
 * locked where the system lets us. */
uint8_t *decai__page_create(bool *locked);      /* NULL: no memory */
void decai__page_destroy(uint8_t *page);        /* wipes; NULL is fine */
/* Overwrite the stack below the caller: libsecp256k1 0.2.0 leaves copies. */
void decai__stack_wipe(void);

/* ---- addresses and signatures -------------------------------------------- */

/* Last 20 bytes of Keccak-256(x | y); pub is 0x04 | x | y. */
void decai__address_of(uint8_t out[DECAI_ADDRESS_BYTES], const uint8_t pub[DECAI_PUBLIC_BYTES]);
void decai__address_text(char out[DECAI_ADDRESS_TEXT], const uint8_t address[DECAI_ADDRESS_BYTES]);
int32_t decai__address_read(uint8_t out[DECAI_ADDRESS_BYTES], const char *text, size_t len, const char *field);

/* Strict: low s, v 27/28. pub may be NULL. */
int32_t decai__recover(decai_context *ctx, uint8_t address[DECAI_ADDRESS_BYTES], uint8_t *pub,
    const uint8_t sig[DECAI_SIGNATURE_BYTES], const uint8_t digest[32]);
/* The plain ECDSA check of 64 bytes r | s against a public key; low s only. */
int32_t decai__verify(decai_context *ctx, const uint8_t rs[64], const uint8_t digest[32],
    const uint8_t *pub, size_t pub_len);

void decai__eip191(uint8_t out[32], const void *message, size_t len);

/* ---- EIP-712 ------------------------------------------------------------- */

typedef struct decai__typed {
    uint8_t domain[32], message[32], digest[32];
} decai__typed;

int32_t decai__typed_hash(decai_context *ctx, decai__typed *out, const char *text, size_t len);
/* keccak(0x1901 | domain | message) */
void decai__typed_digest(uint8_t out[32], const uint8_t domain[32], const uint8_t message[32]);
/* keccak(keccak(type) | words...): a struct whose fields are words already. */
void decai__typed_struct(uint8_t out[32], const char *type, const uint8_t (*words)[32], size_t count);
/* The domain of everything that libdecai itself signs: EIP712Domain(string
 * name,string version,uint256 chainId) with "libdecai", "1", chain_id. */
void decai__typed_domain(uint8_t out[32], uint64_t chain_id);

/* The digests of statements that other rooms name by content. */
/* Receipt(bytes32 receiptId,bytes32 modelRoot,bytes32 jobId,uint64 expiry) */
void decai__receipt_digest(uint8_t out[32], const uint8_t receipt_id[32], const uint8_t model_root[32],
    const uint8_t job_id[32], uint64_t expiry, uint64_t chain_id);
/* Manifest(bytes32 manifestId,bytes32 modelRoot,address owner) */
void decai__manifest_digest(uint8_t out[32], const uint8_t manifest_id[32], const uint8_t model_root[32],
    const uint8_t owner[DECAI_ADDRESS_BYTES], uint64_t chain_id);

#endif /* DECAI__KEY_H */
