/* manifest.c - bytes <-> manifest, and the check that what runs is what was
 * tokenized.
 *
 * There is one way into a handle, decode: create writes the bytes and reads
 * them back. What is accepted has exactly one encoding (the CBOR reader insists
 * on the shortest forms and ascending keys; lists are ordered and counted), so
 * equal manifests have equal ids and a changed byte is another manifest.
 */
#include <string.h>

#include "asset/asset.h"
#include "codec/codec.h"
#include "hash/hash.h"
#include "key/key.h"
#include "model/model.h"

_Static_assert(DECAI_MANIFEST_TENSORS_MAX >= DECAI_MODEL_TENSOR_MAX, "every model fits a manifest");

static void
manifest_destroy(void *self)
{
    decai_manifest *m = self;
    decai__free(m->h.context, m->tensors);
    decai__free(m->h.context, m->bytes);
}

/* ---- writing ------------------------------------------------------------- */

static void
put_royalties(decai__cbor_writer *w, const decai__terms *t)
{
    if (!t->royalty_count) return;
    decai__cbor_put_uint(w, DECAI__MANIFEST_ROYALTIES);
    decai__cbor_put_array(w, t->royalty_count);
    for (size_t i = 0; i < t->royalty_count; i++) {
        decai__cbor_put_array(w, 2);
        decai__cbor_put_bytes(w, t->royalties[i].to, 20);
        decai__cbor_put_uint(w, t->royalties[i].parts);
    }
}

static void
put_tensors(decai__cbor_writer *w, const decai_model *model)
{
    size_t count = decai__model_tensor_count(model);
    decai__cbor_put_uint(w, DECAI__MANIFEST_TENSORS);
    decai__cbor_put_array(w, count);
    for (size_t i = 0; i < count; i++) {
        const decai__tensor *tensor = decai__model_tensor_at(model, i);
        decai__cbor_put_array(w, 2);
        decai__cbor_put_text(w, tensor->name, tensor->name_len);
        decai__cbor_put_bytes(w, decai__tensor_root(model, tensor), 32);
    }
}

static int32_t
write_bytes(decai__buf *b, const decai_model *model, const decai__terms *t)
{
    decai__cbor_writer w;

    decai__cbor_writer_init(&w, b);
    decai__cbor_put_map(&w, 8u + t->has_tokenizer + (t->royalty_count != 0));
    decai__cbor_put_key_uint(&w, DECAI__MANIFEST_VERSION, 1);
    decai__cbor_put_key_uint(&w, DECAI__MANIFEST_CHAIN_ID, t->chain_id);
    decai__cbor_put_key_bytes(&w, DECAI__MANIFEST_MODEL_ROOT, decai__model_root(model), 32);
    if (t->has_tokenizer) decai__cbor_put_key_bytes(&w, DECAI__MANIFEST_TOKENIZER, t->tokenizer, 32);
    decai__cbor_put_key_bytes(&w, DECAI__MANIFEST_FILE_SHA256, decai__model_sha256(model), 32);
    decai__cbor_put_key_text(&w, DECAI__MANIFEST_NAME, t->name, strlen(t->name));
    decai__cbor_put_key_bytes(&w, DECAI__MANIFEST_OWNER, t->owner, 20);
    decai__cbor_put_key_text(&w, DECAI__MANIFEST_LICENCE, t->licence, strlen(t->licence));
    put_royalties(&w, t);
    put_tensors(&w, model);
    return decai__cbor_writer_end(&w);
}

int32_t
decai__manifest_create(decai_manifest **out, const decai_model *model, const decai__terms *t)
{
    decai__buf b;

    if (!decai__model_root(model) || !decai__model_sha256(model))
        return decai__fail(DECAI_E_STATE, "model: loaded with model.hash=0 or model.sha256=0, so it lacks a digest");
    decai__buf_init(&b, decai__context_of(model), DECAI_MANIFEST_BYTES_MAX, "DECAI_MANIFEST_BYTES_MAX");
    int32_t r = write_bytes(&b, model, t);
    if (!r) r = decai__manifest_decode(out, decai__context_of(model), b.data, b.len);
    decai__buf_free(&b);
    return r;
}

/* ---- reading ------------------------------------------------------------- */

static int32_t
get_text(decai__cbor_reader *r, char out[DECAI_MANIFEST_TEXT_MAX + 1], const char *field)
{
    const char *text = NULL;
    size_t len = 0;
    int32_t e = decai__cbor_get_text(r, &text, &len);
    if (!e && (len > DECAI_MANIFEST_TEXT_MAX || memchr(text, 0, len)))
        e = decai__fail(DECAI_E_LIMIT, "manifest.%s: %zu bytes or a zero byte", field, len);
    if (!e) memcpy(out, text, len);
    return e;
}

static int32_t
get_pair(decai__cbor_reader *r, const char *field)
{
    uint64_t two = 0;
    int32_t e = decai__cbor_get_array(r, &two);
    return !e && two != 2 ? decai__fail(DECAI_E_CORRUPT, "manifest.%s: an entry is no pair", field) : e;
}

static int32_t
get_royalties(decai__cbor_reader *r, decai__terms *t)
{
    uint64_t count = 0, parts = 0;
    int32_t e = decai__cbor_get_array(r, &count);
    if (e) return e;
    if (!count) return decai__fail(DECAI_E_CORRUPT, "manifest.royalties: empty instead of absent");
    if (count > DECAI_MANIFEST_SHARES_MAX)
        return decai__fail(DECAI_E_LIMIT, "manifest.royalties: more than DECAI_MANIFEST_SHARES_MAX");
    for (size_t i = 0; i < count; i++) {
        e = get_pair(r, "royalties");
        if (!e) e = decai__cbor_get_fixed(r, t->royalties[i].to, 20);
        if (!e) e = decai__cbor_get_uint(r, &parts);
        if (!e && parts > DECAI_MANIFEST_PARTS_MAX)
            e = decai__fail(DECAI_E_CORRUPT, "manifest.royalties[%zu]: %llu parts", i, (unsigned long long)parts);
        if (e) return e;
        t->royalties[i].parts = (uint32_t)parts;
    }
    t->royalty_count = (size_t)count;
    return 0;
}

/* Byte order of two names, the shorter first when one begins the other. */
static int
compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t both = DECAI__MIN(a_len, b_len);
    int c = both ? memcmp(a, b, both) : 0;
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* The names that a model may have: 1 to 64 printable ASCII characters. */
static bool
is_name(const char *name, size_t len)
{
    if (!len || len > DECAI_MODEL_NAME_MAX) return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] < 0x21 || name[i] > 0x7e) return false;
    return true;
}

static int32_t
get_tensors(decai__cbor_reader *r, decai_manifest *m)
{
    uint64_t count = 0;
    int32_t e = decai__cbor_get_array(r, &count);
    if (e) return e;
    if (count > DECAI_MANIFEST_TENSORS_MAX)
        return decai__fail(DECAI_E_LIMIT, "manifest.tensors: more than DECAI_MANIFEST_TENSORS_MAX");
    /* An entry has at least 36 bytes: no allocation that the input did not pay for. */
    if (count > m->bytes_len / 36) return decai__fail(DECAI_E_CORRUPT, "manifest.tensors: cut short");
    m->tensors = decai__calloc(m->h.context, count ? (size_t)count : 1, sizeof(*m->tensors));
    if (!m->tensors) return DECAI_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        decai__tensor_digest *t = &m->tensors[i];
        e = get_pair(r, "tensors");
        if (!e) e = decai__cbor_get_text(r, &t->name, &t->name_len);
        if (!e && !is_name(t->name, t->name_len))
            e = decai__fail(DECAI_E_CORRUPT, "manifest.tensors[%zu]: not a tensor's name", i);
        if (!e) e = decai__cbor_get_fixed(r, t->digest, 32);
        if (!e && i && compare_names(t[-1].name, t[-1].name_len, t->name, t->name_len) >= 0)
            e = decai__fail(DECAI_E_CORRUPT, "manifest.tensors[%zu]: names do not ascend", i);
        if (e) return e;
    }
    m->tensor_count = (size_t)count;
    return 0;
}

static int32_t
get_field(decai__cbor_reader *r, decai_manifest *m, uint64_t key)
{
    uint64_t version = 0;
    int32_t e;

    switch (key) {
    case DECAI__MANIFEST_VERSION:
        e = decai__cbor_get_uint(r, &version);
        if (!e && version != 1)
            e = decai__fail(DECAI_E_UNSUPPORTED, "manifest.version: %llu", (unsigned long long)version);
        return e;
    case DECAI__MANIFEST_CHAIN_ID: return decai__cbor_get_uint(r, &m->terms.chain_id);
    case DECAI__MANIFEST_MODEL_ROOT: return decai__cbor_get_fixed(r, m->model_root, 32);
    case DECAI__MANIFEST_TOKENIZER:
        m->terms.has_tokenizer = true;
        return decai__cbor_get_fixed(r, m->terms.tokenizer, 32);
    case DECAI__MANIFEST_FILE_SHA256: return decai__cbor_get_fixed(r, m->file_sha256, 32);
    case DECAI__MANIFEST_NAME: return get_text(r, m->terms.name, "name");
    case DECAI__MANIFEST_OWNER: return decai__cbor_get_fixed(r, m->terms.owner, 20);
    case DECAI__MANIFEST_LICENCE: return get_text(r, m->terms.licence, "licence");
    case DECAI__MANIFEST_ROYALTIES: return get_royalties(r, &m->terms);
    case DECAI__MANIFEST_TENSORS: return get_tensors(r, m);
    default: return decai__fail(DECAI_E_UNSUPPORTED, "manifest: unknown key %llu", (unsigned long long)key);
    }
}

static int32_t
read_bytes(decai_manifest *m)
{
    static const uint32_t optional = 1u << DECAI__MANIFEST_TOKENIZER | 1u << DECAI__MANIFEST_ROYALTIES;
    static const uint32_t all = (1u << (DECAI__MANIFEST_TENSORS + 1)) - 2u;
    decai__cbor_reader r;
    uint64_t pairs = 0, key = 0;
    uint32_t seen = 0;

    int32_t e = decai__cbor_reader_init(&r, m->bytes, m->bytes_len, "manifest");
    if (!e) e = decai__cbor_get_map(&r, &pairs);
    for (uint64_t i = 0; i < pairs && !e; i++) {
        e = decai__cbor_get_key(&r, &key);
        if (!e) e = get_field(&r, m, key);
        if (!e) seen |= 1u << key;
    }
    if (!e) e = decai__cbor_reader_end(&r);
    if (!e && (seen | optional) != all)
        for (uint32_t k = DECAI__MANIFEST_VERSION; k <= DECAI__MANIFEST_TENSORS && !e; k++)
            if (!((seen | optional) >> k & 1)) e = decai__fail(DECAI_E_CORRUPT, "manifest: key %u is missing", k);
    if (e) return e;
    e = decai__terms_check(&m->terms);
    return e == DECAI_E_INVALID ? DECAI_E_CORRUPT : e;
}

int32_t
decai__manifest_decode(decai_manifest **out, decai_context *ctx, const uint8_t *bytes, size_t len)
{
    decai__keccak k;

    if (len > DECAI_MANIFEST_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, "bytes: %zu, more than DECAI_MANIFEST_BYTES_MAX", len);
    decai_manifest *m = decai__handle_create(ctx, DECAI__MANIFEST, sizeof(*m), manifest_destroy);
    if (!m) return DECAI_E_NOMEM;
    m->bytes = decai__memdup(ctx, bytes, len);
    m->bytes_len = len;
    int32_t r = m->bytes ? read_bytes(m) : DECAI_E_NOMEM;
    if (r) {
        decai__destroy(m);
        return r;
    }
    decai__keccak_init(&k);
    decai__keccak_update(&k, "decai.manifest.v1", sizeof("decai.manifest.v1"));
    decai__keccak_update(&k, m->bytes, m->bytes_len);
    decai__keccak_final(&k, m->id);
    *out = m;
    return 0;
}

/* ---- for reading --------------------------------------------------------- */

static void
put_address(decai__json_writer *w, const char *key, const uint8_t address[20])
{
    char text[DECAI_ADDRESS_TEXT];
    decai__address_text(text, address);
    decai__json_put_text(w, key, text, sizeof(text));
}

int32_t
decai__manifest_format(const decai_manifest *m, decai__buf *b)
{
    decai__json_writer w;

    decai__json_writer_init(&w, b, true);
    decai__json_put_object(&w, NULL);
    decai__json_put_hex(&w, "id", m->id, 32);
    decai__json_put_u64(&w, "version", 1);
    decai__json_put_u64(&w, "chain_id", m->terms.chain_id);
    decai__json_put_str(&w, "name", m->terms.name);
    decai__json_put_str(&w, "licence", m->terms.licence);
    put_address(&w, "owner", m->terms.owner);
    decai__json_put_hex(&w, "model_root", m->model_root, 32);
    decai__json_put_hex(&w, "file_sha256", m->file_sha256, 32);
    if (m->terms.has_tokenizer) decai__json_put_hex(&w, "tokenizer_hash", m->terms.tokenizer, 32);
    decai__json_put_array(&w, "royalties");
    for (size_t i = 0; i < m->terms.royalty_count; i++) {
        decai__json_put_object(&w, NULL);
        put_address(&w, "to", m->terms.royalties[i].to);
        decai__json_put_u64(&w, "parts", m->terms.royalties[i].parts);
        decai__json_put_end(&w);
    }
    decai__json_put_end(&w);
    decai__json_put_array(&w, "tensors");
    for (size_t i = 0; i < m->tensor_count; i++) {
        decai__json_put_object(&w, NULL);
        decai__json_put_text(&w, "name", m->tensors[i].name, m->tensors[i].name_len);
        decai__json_put_hex(&w, "digest", m->tensors[i].digest, 32);
        decai__json_put_end(&w);
    }
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}

/* ---- what runs is what was tokenized ------------------------------------- */

/* Tensors of both sides ascend by name: walk them together. */
static int32_t
compare_tensors(const decai_manifest *m, const decai_model *model)
{
    size_t count = decai__model_tensor_count(model), i = 0;

    for (; i < m->tensor_count && i < count; i++) {
        const decai__tensor_digest *want = &m->tensors[i];
        const decai__tensor *have = decai__model_tensor_at(model, i);
        int c = compare_names(want->name, want->name_len, have->name, have->name_len);
        if (c < 0)
            return decai__fail(DECAI_E_INTEGRITY, "tensor %.*s: not in the model", (int)want->name_len, want->name);
        if (c > 0) return decai__fail(DECAI_E_INTEGRITY, "tensor %s: not in the manifest", have->name);
        if (memcmp(want->digest, decai__tensor_root(model, have), 32) != 0)
            return decai__fail(DECAI_E_INTEGRITY, "tensor %s: its content is not what was tokenized", have->name);
    }
    if (i < m->tensor_count)
        return decai__fail(DECAI_E_INTEGRITY, "tensor %.*s: not in the model", (int)m->tensors[i].name_len, m->tensors[i].name);
    if (i < count)
        return decai__fail(DECAI_E_INTEGRITY, "tensor %s: not in the manifest", decai__model_tensor_at(model, i)->name);
    return 0;
}

int32_t
decai__manifest_verify(const decai_manifest *m, const decai_model *model)
{
    if (!decai__model_root(model))
        return decai__fail(DECAI_E_STATE, "model: loaded with model.hash=0, so it has no root");
    int32_t r = compare_tensors(m, model);
    if (!r && memcmp(m->model_root, decai__model_root(model), 32) != 0)
        r = decai__fail(DECAI_E_INTEGRITY, "model root: the metadata is not what was tokenized");
    return r;
}
