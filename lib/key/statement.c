/* statement.c - the EIP-712 structs that libdecai itself signs.
 *
 * Every field of them is a word or the hash of a string, so a struct is a type
 * text and a row of words (EIP-712, "Definition of encodeData").
 */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "key/key.h"

void
decai__typed_digest(uint8_t out[32], const uint8_t domain[32], const uint8_t message[32])
{
    static const uint8_t prefix[2] = {0x19, 0x01};
    decai__keccak k;

    decai__keccak_init(&k);
    decai__keccak_update(&k, prefix, sizeof(prefix));
    decai__keccak_update(&k, domain, 32);
    decai__keccak_update(&k, message, 32);
    decai__keccak_final(&k, out);
}

void
decai__typed_struct(uint8_t out[32], const char *type, const uint8_t (*words)[32], size_t count)
{
    decai__keccak k;
    uint8_t type_hash[32];

    decai__keccak256(type_hash, type, strlen(type));
    decai__keccak_init(&k);
    decai__keccak_update(&k, type_hash, sizeof(type_hash));
    for (size_t i = 0; i < count; i++) decai__keccak_update(&k, words[i], 32);
    decai__keccak_final(&k, out);
}

void
decai__typed_domain(uint8_t out[32], uint64_t chain_id)
{
    uint8_t words[3][32];

    decai__keccak256(words[0], "libdecai", 8);
    decai__keccak256(words[1], "1", 1);
    decai__abi_word_u64(words[2], chain_id);
    decai__typed_struct(out, "EIP712Domain(string name,string version,uint256 chainId)",
        (const uint8_t (*)[32])words, 3);
}

static void
digest_of(uint8_t out[32], const char *type, uint8_t (*words)[32], size_t count, uint64_t chain_id)
{
    uint8_t domain[32], message[32];

    decai__typed_struct(message, type, (const uint8_t (*)[32])words, count);
    decai__typed_domain(domain, chain_id);
    decai__typed_digest(out, domain, message);
}

void
decai__receipt_digest(uint8_t out[32], const uint8_t receipt_id[32], const uint8_t model_root[32],
    const uint8_t job_id[32], uint64_t expiry, uint64_t chain_id)
{
    uint8_t words[4][32];

    memcpy(words[0], receipt_id, 32);
    memcpy(words[1], model_root, 32);
    memcpy(words[2], job_id, 32);
    decai__abi_word_u64(words[3], expiry);
    digest_of(out, "Receipt(bytes32 receiptId,bytes32 modelRoot,bytes32 jobId,uint64 expiry)", words, 4, chain_id);
}

void
decai__manifest_digest(uint8_t out[32], const uint8_t manifest_id[32], const uint8_t model_root[32],
    const uint8_t owner[DECAI_ADDRESS_BYTES], uint64_t chain_id)
{
    uint8_t words[3][32];

    memcpy(words[0], manifest_id, 32);
    memcpy(words[1], model_root, 32);
    decai__abi_word_address(words[2], owner);
    digest_of(out, "Manifest(bytes32 manifestId,bytes32 modelRoot,address owner)", words, 3, chain_id);
}
