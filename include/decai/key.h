/* decai/key.h - secp256k1 keys, Ethereum addresses, message and typed-data
 * hashes, and checking of signatures.
 *
 * There is no function here that signs: signatures are made by one function,
 * decai_wallet_sign, after a policy said yes. A signature is 65 bytes
 * r | s | v, r and s big-endian, s in the lower half of the group order, v 27
 * or 28. Every function here refuses any other form.
 */
#ifndef DECAI_KEY_H
#define DECAI_KEY_H

#include "decai/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_KEY_BYTES       32 /**< a secret key */
#define DECAI_PUBLIC_BYTES    65 /**< a public key: 0x04 | x | y */
#define DECAI_ADDRESS_BYTES   20 /**< last 20 bytes of Keccak-256(x | y) */
#define DECAI_ADDRESS_TEXT    42 /**< characters of an address as text */
#define DECAI_SIGNATURE_BYTES 65 /**< r | s | v */

#define DECAI_TYPED_TEXT_MAX  1048576 /**< bytes of an EIP-712 document */
#define DECAI_TYPED_TYPES_MAX 64      /**< struct types in one document */
#define DECAI_TYPED_FIELDS_MAX 256    /**< fields of one struct type */
#define DECAI_TYPED_DEPTH_MAX 24      /**< nesting of structs and arrays in a value */

/** A secret key. Its bytes live in pages of the library's own, never in a core
 *  dump or in a child process, wiped when the last owner goes. */
typedef struct decai_key decai_key;

/** Make a new key from the context's random seam.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_IO (no entropy)
 *  Out:  out      @owned
 *  In:   context
 *        options  keys of room "key"                            @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_key_create(decai_key **out, decai_context *context, const decai_options *options);

/** Make a key of given bytes. The caller wipes its own copy.
 *
 *  Returns: 0 | DECAI_E_INVALID (wrong length; not in 1 .. n-1) | DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   context
 *        secret   big-endian scalar                         @len(secret_len)
 *        secret_len  DECAI_KEY_BYTES
 *        options  keys of room "key"                            @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_key_load(decai_key **out, decai_context *context, const uint8_t *secret,
    size_t secret_len, const decai_options *options);

/** The key's address, 20 bytes.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY
 *  Out:  out      @len(out_len)
 *  In:   key
 *        out_len  DECAI_ADDRESS_BYTES
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_key_address_get(decai_key *key, uint8_t *out, size_t out_len);

/** The key's public key, uncompressed.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY
 *  Out:  out      0x04 | x | y                                 @len(out_len)
 *  In:   key
 *        out_len  DECAI_PUBLIC_BYTES
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_key_public_get(decai_key *key, uint8_t *out, size_t out_len);

/** Whether the key was made in a test context, and whether its bytes are
 *  locked into memory.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY
 *  Out:  test    1 a replaced random or clock seam was present
 *        locked  1 mlock worked
 *  In:   key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_key_get(decai_key *key, int32_t *test, int32_t *locked);

/** An address as text: "0x" and 40 hex digits with the EIP-55 checksum.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID
 *  Out:  out  not NUL-terminated                        @len(cap) @nullable
 *        len  bytes written or needed
 *  In:   address                                         @len(address_len)
 *        address_len  DECAI_ADDRESS_BYTES
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_address_format(
    char *out, size_t cap, size_t *len, const uint8_t *address, size_t address_len);

/** Read an address: "0x" and 40 hex digits, all lower case, or with a correct
 *  EIP-55 checksum.
 *
 *  Returns: 0 | DECAI_E_CORRUPT | DECAI_E_INTEGRITY (checksum) | DECAI_E_INVALID
 *  Out:  out      @len(out_len)
 *  In:   out_len  DECAI_ADDRESS_BYTES
 *        text     @len(text_len)
 *        text_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_address_parse(uint8_t *out, size_t out_len, const char *text, size_t text_len);

/** The EIP-191 hash of a personal message.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  out      @len(out_len)
 *  In:   out_len  32
 *        message  @len(message_len) @nullable
 *        message_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_message_hash(
    uint8_t *out, size_t out_len, const uint8_t *message, size_t message_len);

/** The EIP-712 hashes of a JSON document with exactly the members types,
 *  primaryType, domain and message.
 *
 *  Strict: a value in any form but its type's, a missing or extra field, a
 *  wrong array length, a cyclic, duplicate or unused type, a wrong address
 *  checksum are refused. Integers are JSON integers or canonical decimal
 *  text; bytes are "0x" and hex; bool is true or false.
 *
 *  Returns: 0 | DECAI_E_CORRUPT (detail names the field) | DECAI_E_LIMIT |
 *           DECAI_E_INTEGRITY (address checksum) | DECAI_E_NOMEM | DECAI_E_INVALID
 *  Out:  digest   what is signed                            @len(digest_len)
 *        domain   domain separator               @len(domain_len) @nullable
 *        message  hash of the message struct    @len(message_len) @nullable
 *  In:   context
 *        digest_len   32
 *        domain_len   32
 *        message_len  32
 *        text         @len(text_len)
 *        text_len     at most DECAI_TYPED_TEXT_MAX
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_typed_hash(decai_context *context, uint8_t *digest, size_t digest_len,
    uint8_t *domain, size_t domain_len, uint8_t *message, size_t message_len,
    const char *text, size_t text_len);

/** Check that a digest was signed by the key behind an address.
 *
 *  Returns: 0 it was | DECAI_E_INTEGRITY it was not, or s is high, or r, s or
 *           v is out of range | DECAI_E_NOMEM | DECAI_E_INVALID
 *  In:   context
 *        signature  @len(signature_len)
 *        signature_len  DECAI_SIGNATURE_BYTES
 *        digest     @len(digest_len)
 *        digest_len     32
 *        address    @len(address_len)
 *        address_len    DECAI_ADDRESS_BYTES
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_signature_verify(decai_context *context, const uint8_t *signature,
    size_t signature_len, const uint8_t *digest, size_t digest_len, const uint8_t *address, size_t address_len);

/** Who signed a digest: the public key that the signature gives.
 *
 *  Any random signature recovers to somebody: compare with whom you expect.
 *
 *  Returns: 0 | DECAI_E_INTEGRITY (as decai_signature_verify) | DECAI_E_NOMEM |
 *           DECAI_E_INVALID
 *  Out:  address  the signer                               @len(address_len)
 *        public_key  0x04 | x | y                @len(public_len) @nullable
 *  In:   context
 *        address_len  DECAI_ADDRESS_BYTES
 *        public_len   DECAI_PUBLIC_BYTES
 *        signature    @len(signature_len)
 *        signature_len  DECAI_SIGNATURE_BYTES
 *        digest       @len(digest_len)
 *        digest_len   32
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_signature_recover(decai_context *context, uint8_t *address, size_t address_len,
    uint8_t *public_key, size_t public_len, const uint8_t *signature, size_t signature_len,
    const uint8_t *digest, size_t digest_len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_KEY_H */
