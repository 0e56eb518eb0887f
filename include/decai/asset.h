/* decai/asset.h - a model as an owned thing: its manifest.
 *
 * A manifest names a model by content (model root, file hash, one digest a
 * tensor), says who owns it, under which licence, and how royalties are split.
 * Its id is what a chain, an order or a payout refers to.
 */
#ifndef DECAI_ASSET_H
#define DECAI_ASSET_H

#include "decai/base.h"
#include "decai/model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_MANIFEST_BYTES_MAX   16777216 /**< bytes of an encoded manifest */
#define DECAI_MANIFEST_TENSORS_MAX 65536    /**< tensors in a manifest */
#define DECAI_MANIFEST_SHARES_MAX  64       /**< receivers of royalties */
#define DECAI_MANIFEST_PARTS_MAX   10000    /**< sum of the royalty parts; 10000 = the whole price */
#define DECAI_MANIFEST_TEXT_MAX    256      /**< bytes of the name or the licence */

/** What a model is, whose it is, and what its use costs. Immutable. */
typedef struct decai_manifest decai_manifest;

/** Describe a loaded model. Root, file hash and tensor digests come from the
 *  model; name, owner, licence, royalties, chain id from the options.
 *
 *  Returns: 0 | DECAI_E_INVALID (the option is named) | DECAI_E_CORRUPT |
 *           DECAI_E_INTEGRITY (address checksum) | DECAI_E_LIMIT | DECAI_E_NOMEM |
 *           DECAI_E_STATE (model.hash was 0, or not loaded)
 *  Out:  out      @owned
 *  In:   model
 *        options  keys of room "asset"
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_create(decai_manifest **out, const decai_model *model, const decai_options *options);

/** Describe a loaded model with terms given as JSON: an object with name,
 *  owner, licence, chain_id and, if wanted, royalties (a list of {"to": address,
 *  "parts": integer}) and tokenizer_hash (hex).
 *
 *  Returns: as decai_manifest_create
 *  Out:  out      @owned
 *  In:   model
 *        text     strict JSON                                  @len(text_len)
 *        text_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_parse(
    decai_manifest **out, const decai_model *model, const char *text, size_t text_len);

/** The manifest's bytes: deterministic CBOR.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOMEM | DECAI_E_INVALID
 *  Out:  out  @len(cap) @nullable
 *        len  bytes written or needed
 *  In:   manifest
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_encode(const decai_manifest *manifest, uint8_t *out, size_t cap, size_t *len);

/** Read a manifest. Only the one encoding of each manifest is accepted.
 *
 *  Returns: 0 | DECAI_E_CORRUPT | DECAI_E_UNSUPPORTED (version or unknown key) |
 *           DECAI_E_LIMIT | DECAI_E_NOMEM | DECAI_E_INVALID
 *  Out:  out      @owned
 *  In:   context
 *        bytes    @len(bytes_len)
 *        bytes_len  at most DECAI_MANIFEST_BYTES_MAX
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_decode(
    decai_manifest **out, decai_context *context, const uint8_t *bytes, size_t bytes_len);

/** The manifest as one JSON object, for reading.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOMEM | DECAI_E_INVALID
 *  Out:  out  JSON text, not NUL-terminated              @len(cap) @nullable
 *        len  bytes written or needed
 *  In:   manifest
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_format(const decai_manifest *manifest, char *out, size_t cap, size_t *len);

/** The manifest's id: Keccak-256("decai.manifest.v1" | 0x00 | bytes).
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  out      @len(out_len)
 *  In:   manifest
 *        out_len  32
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_id_get(const decai_manifest *manifest, uint8_t *out, size_t out_len);

/** Root and owner.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  model_root  @len(model_root_len)
 *        owner       @len(owner_len)
 *        chain_id
 *  In:   manifest
 *        model_root_len  32
 *        owner_len       20
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_get(const decai_manifest *manifest, uint8_t *model_root, size_t model_root_len,
    uint8_t *owner, size_t owner_len, uint64_t *chain_id);

/** Who gets royalties, one receiver a call.
 *
 *  Returns: 1 a receiver | 0 index is past the end | DECAI_E_INVALID
 *  Out:  address  @len(address_len)
 *        parts    of DECAI_MANIFEST_PARTS_MAX
 *  In:   manifest
 *        address_len  20
 *        index        0, 1, 2, ...
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_royalty_at(
    const decai_manifest *manifest, uint8_t *address, size_t address_len, int64_t *parts, size_t index);

/** Check that a loaded model is the one that was tokenized.
 *
 *  Returns: 0 it is | DECAI_E_INTEGRITY it is not; the detail names the first
 *           tensor that differs, or says that only metadata does |
 *           DECAI_E_STATE (model.hash was 0, or not loaded) | DECAI_E_INVALID
 *  In:   manifest
 *        model
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_manifest_verify(const decai_manifest *manifest, const decai_model *model);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_ASSET_H */
