/* asset.h - the manifest's insides.
 *
 * The bytes, deterministic CBOR (RFC 8949 4.2.1), a map with ascending keys:
 *
 *   1 version  uint 1              7 owner      bstr(20)
 *   2 chain id uint                8 licence    tstr, an SPDX expression
 *   3 model root bstr(32)          9 royalties  [[bstr(20), uint parts]...], absent = none
 *   4 tokenizer hash bstr(32), absent = unknown
 *   5 file SHA-256 bstr(32)       10 tensors    [[tstr name, bstr(32) digest]...],
 *   6 name tstr                       names ascending by bytes
 *
 * The names stand outside the digests: a renamed tensor keeps its digest, and
 * lineage between two models can be seen. Unknown keys are refused.
 */
#ifndef DECAI__ASSET_H
#define DECAI__ASSET_H

#include "base/base.h"
#include "decai/asset.h"

typedef struct decai__royalty {
    uint8_t to[20];
    uint32_t parts;
} decai__royalty;

typedef struct decai__tensor_digest {
    char *name;
    size_t name_len;
    uint8_t digest[32];
} decai__tensor_digest;

struct decai_manifest {
    decai__handle h;
    uint64_t chain_id;
    uint8_t model_root[32], file_sha256[32], tokenizer[32], owner[20];
    bool has_tokenizer;
    char *name, *licence;
    size_t royalty_count, tensor_count;
    decai__royalty royalties[DECAI_MANIFEST_SHARES_MAX];
    decai__tensor_digest *tensors;
    uint8_t *bytes;                  /* the encoding, made once */
    size_t bytes_len;
    uint8_t id[32];
};

#endif /* DECAI__ASSET_H */
