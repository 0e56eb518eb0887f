/* api.c - the door of asset: arguments are checked here, work is done behind. */
#include <string.h>

#include "asset/asset.h"
#include "model/model.h"

#define FORMAT_MAX (4u * DECAI_MANIFEST_BYTES_MAX) /* hex doubles, names are escaped */

static int32_t
enter_model(const decai_model *model)
{
    int32_t r = decai__enter_shared(model, DECAI__MODEL);
    return r ? r : decai__model_ready(model);
}

int32_t
decai_manifest_create(decai_manifest **out, const decai_model *model, const decai_options *options)
{
    decai__terms terms;
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = enter_model(model);
    if (!r && !options) r = decai__fail(DECAI_E_INVALID, "options: NULL; name, owner, licence, chain_id are required");
    if (!r) r = decai__opts_check(options, "asset");
    if (!r) r = decai__terms_from_options(&terms, options);
    return r ? r : decai__manifest_create(out, model, &terms);
}

int32_t
decai_manifest_parse(decai_manifest **out, const decai_model *model, const char *text, size_t text_len)
{
    decai__terms terms;
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = enter_model(model);
    if (!r && !text) r = decai__fail(DECAI_E_INVALID, "text: NULL");
    if (!r) r = decai__terms_from_json(decai__context_of(model), &terms, text, text_len);
    return r ? r : decai__manifest_create(out, model, &terms);
}

int32_t
decai_manifest_encode(const decai_manifest *manifest, uint8_t *out, size_t cap, size_t *len)
{
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(manifest, DECAI__MANIFEST);
    return r ? r : decai__bytes_out(out, cap, len, manifest->bytes, manifest->bytes_len);
}

int32_t
decai_manifest_decode(decai_manifest **out, decai_context *context, const uint8_t *bytes, size_t bytes_len)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r && (!bytes || !bytes_len)) r = decai__fail(DECAI_E_INVALID, "bytes: %s", bytes ? "none" : "NULL");
    return r ? r : decai__manifest_decode(out, context, bytes, bytes_len);
}

int32_t
decai_manifest_format(const decai_manifest *manifest, char *out, size_t cap, size_t *len)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(manifest, DECAI__MANIFEST);
    if (r) return r;
    decai__buf_init(&b, decai__context_of(manifest), FORMAT_MAX, "a manifest's text");
    r = decai__manifest_format(manifest, &b);
    return decai__door_close(r, &b, out, cap, len);
}

int32_t
decai_manifest_id_get(const decai_manifest *manifest, uint8_t *out, size_t out_len)
{
    int32_t r = decai__door_fixed(out, out_len, 32, "out");
    if (r) return r;
    memset(out, 0, out_len);
    r = decai__enter_shared(manifest, DECAI__MANIFEST);
    if (!r) memcpy(out, manifest->id, 32);
    return r;
}

int32_t
decai_manifest_get(const decai_manifest *manifest, uint8_t *model_root, size_t model_root_len, uint8_t *owner,
    size_t owner_len, uint64_t *chain_id)
{
    int32_t r = decai__door_fixed(model_root, model_root_len, 32, "model_root");
    if (!r) r = decai__door_fixed(owner, owner_len, 20, "owner");
    if (!r && !chain_id) r = decai__fail(DECAI_E_INVALID, "chain_id: NULL");
    if (r) return r;
    memset(model_root, 0, 32);
    memset(owner, 0, 20);
    *chain_id = 0;
    r = decai__enter_shared(manifest, DECAI__MANIFEST);
    if (r) return r;
    memcpy(model_root, manifest->model_root, 32);
    memcpy(owner, manifest->terms.owner, 20);
    *chain_id = manifest->terms.chain_id;
    return 0;
}

int32_t
decai_manifest_royalty_at(const decai_manifest *manifest, uint8_t *address, size_t address_len, int64_t *parts,
    size_t index)
{
    int32_t r = decai__door_fixed(address, address_len, 20, "address");
    if (!r && !parts) r = decai__fail(DECAI_E_INVALID, "parts: NULL");
    if (r) return r;
    memset(address, 0, 20);
    *parts = 0;
    r = decai__enter_shared(manifest, DECAI__MANIFEST);
    if (r || index >= manifest->terms.royalty_count) return r;
    memcpy(address, manifest->terms.royalties[index].to, 20);
    *parts = manifest->terms.royalties[index].parts;
    return 1;
}

int32_t
decai_manifest_verify(const decai_manifest *manifest, const decai_model *model)
{
    int32_t r = decai__enter_shared(manifest, DECAI__MANIFEST);
    if (!r) r = enter_model(model);
    return r ? r : decai__manifest_verify(manifest, model);
}
