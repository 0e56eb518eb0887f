/* asset.h - the manifest's insides.
 *
 * The bytes, deterministic CBOR (RFC 8949 4.2.1), a map with ascending keys:
 *
 *   1 version uint, 1                     7 owner     bstr(20)
 *   2 chain id uint, 1 .. 2^63-1          8 licence   tstr, an SPDX expression
 *   3 model root bstr(32)                 9 royalties [[bstr(20), uint parts]...],
 *   4 tokenizer hash bstr(32),              1 or more; absent = none
 *     absent = not stated                10 tensors   [[tstr name, bstr(32) digest]...],
 *   5 file SHA-256 bstr(32)                 names ascending by bytes
 *   6 name tstr
 *
 * The names stand outside the digests: a renamed tensor keeps its digest, so
 * that what two models share can be seen. Unknown keys are refused.
 * id = Keccak-256("decai.manifest.v1" | 0x00 | bytes).
 */
#ifndef DECAI__ASSET_H
#define DECAI__ASSET_H

#include "base/base.h"
#include "decai/asset.h"

enum decai__manifest_key {
    DECAI__MANIFEST_VERSION = 1, DECAI__MANIFEST_CHAIN_ID, DECAI__MANIFEST_MODEL_ROOT, DECAI__MANIFEST_TOKENIZER,
    DECAI__MANIFEST_FILE_SHA256, DECAI__MANIFEST_NAME, DECAI__MANIFEST_OWNER, DECAI__MANIFEST_LICENCE,
    DECAI__MANIFEST_ROYALTIES, DECAI__MANIFEST_TENSORS
};

typedef struct decai__royalty {
    uint8_t to[20];
    uint32_t parts;                     /* of DECAI_MANIFEST_PARTS_MAX */
} decai__royalty;

/* What the owner says; the rest of a manifest is what the model is. */
typedef struct decai__terms {
    uint64_t chain_id;
    uint8_t owner[20], tokenizer[32];
    bool has_tokenizer;
    char name[DECAI_MANIFEST_TEXT_MAX + 1], licence[DECAI_MANIFEST_TEXT_MAX + 1];
    size_t royalty_count;
    decai__royalty royalties[DECAI_MANIFEST_SHARES_MAX];
} decai__terms;

typedef struct decai__tensor_digest {
    const char *name;                   /* into the manifest's bytes; not NUL-terminated */
    size_t name_len;
    uint8_t digest[32];
} decai__tensor_digest;

struct decai_manifest {
    decai__handle h;
    decai__terms terms;
    uint8_t model_root[32], file_sha256[32], id[32];
    size_t tensor_count;
    decai__tensor_digest *tensors;
    uint8_t *bytes;
    size_t bytes_len;
};

/* ---- terms.c --------------------------------------------------------------- */

int32_t decai__terms_from_options(decai__terms *t, const decai_options *o);
int32_t decai__terms_from_json(decai_context *ctx, decai__terms *t, const char *text, size_t len);
/* The rules that hold for terms from anywhere, a decoded manifest too. */
int32_t decai__terms_check(const decai__terms *t);

/* ---- manifest.c ------------------------------------------------------------ */

/* Write the bytes for these terms and this model, then read them back: create
 * and decode give the same handle by construction. */
int32_t decai__manifest_create(decai_manifest **out, const decai_model *model, const decai__terms *t);
int32_t decai__manifest_decode(decai_manifest **out, decai_context *ctx, const uint8_t *bytes, size_t len);
int32_t decai__manifest_format(const decai_manifest *m, decai__buf *b);
int32_t decai__manifest_verify(const decai_manifest *m, const decai_model *model);

#endif /* DECAI__ASSET_H */
