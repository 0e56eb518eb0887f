/* golden.c - the values in DOMAINS.md, made the same way for every domain, so
 * that a changed preimage cannot go unnoticed.
 *
 *     hash   Keccak(u8 len, domain, bytes 00 01 .. 1f)
 *     tree   native root of five leaves, leaf i being the i bytes 00 01 ..
 */
#include <string.h>

#include "hash/internal.h"

int32_t
decai__domain_golden(uint8_t out[32], const char *kind, const char *domain)
{
    uint8_t sample[32];
    int32_t r = decai__domain_check(domain);
    if (r) return r;
    for (size_t i = 0; i < sizeof sample; i++) sample[i] = (uint8_t)i;
    if (!strcmp(kind, "hash")) {
        decai__keccak k;
        decai__keccak_init(&k);
        decai__hash_domain(&k, domain);
        decai__keccak_update(&k, sample, sizeof sample);
        decai__keccak_final(&k, out);
        return 0;
    }
    if (!strcmp(kind, "tree")) {
        decai__merkle_builder b;
        r = decai__merkle_builder_init(&b, domain);
        for (size_t i = 0; i < 5 && !r; i++) r = decai__merkle_builder_add_leaf_data(&b, sample, i);
        if (!r) decai__merkle_builder_root(&b, out);
        return r;
    }
    return decai__fail(DECAI_E_NOT_FOUND, "golden: unknown kind %s", kind);
}
