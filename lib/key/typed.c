/* typed.c - EIP-712: hashes of a typed JSON document, strictly.
 *
 *     digest       = keccak(0x1901 | hashStruct(domain) | hashStruct(message))
 *     hashStruct   = keccak(typeHash | word of each field)
 *     word         = atoms: 32 bytes; bytes, string: keccak of the bytes;
 *                    arrays: keccak of the words of the elements; structs: hashStruct
 *
 * One JSON form a type. Where known libraries read the same document in two
 * ways ("false" as a bool, null as an empty string, a negative bytesN, a short
 * fixed array) it is refused here: a signature over an ambiguous text is a
 * signature over whatever the other side wants to read.
 */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "key/key.h"
#include "key/typed.h"

typedef struct walker {
    const decai__typed_doc *doc;
    uint32_t depth;
} walker;

static int32_t hash_struct(walker *w, const decai__json_node *node, size_t index, uint8_t out[32]);

static int32_t
bad(const walker *w, const decai__json_node *node, const char *why)
{
    return decai__json_fail(w->doc->json, node, DECAI_E_CORRUPT, why);
}

static size_t
bit_length(const decai__u256 *v)
{
    for (size_t i = 4; i-- > 0;)
        if (v->limb[i]) return 64 * i + 64 - (size_t)__builtin_clzll(v->limb[i]);
    return 0;
}

/* Two's complement in place. */
static void
negate(uint8_t word[32])
{
    unsigned carry = 1;
    for (size_t i = 32; i-- > 0;) {
        unsigned v = (uint8_t)~word[i] + carry;
        word[i] = (uint8_t)v;
        carry = v >> 8;
    }
}

static bool
is_power_of_two(const decai__u256 *v)
{
    int ones = 0;
    for (size_t i = 0; i < 4; i++) ones += __builtin_popcountll(v->limb[i]);
    return ones == 1;
}

/* A JSON integer or the same digits as text; '-' only for intN, never "-0". */
static int32_t
encode_integer(walker *w, const decai__json_node *node, decai__typed_type t, uint8_t out[32])
{
    const char *text = NULL;
    size_t len = 0;
    decai__u256 v;
    int32_t r;

    if (decai__json_type(node) == DECAI__JSON_STRING) r = decai__json_str(w->doc->json, node, &text, &len);
    else {
        r = decai__json_number(w->doc->json, node, &text);
        if (!r) len = strlen(text);
    }
    if (r) return bad(w, node, "not an integer");

    bool minus = t.kind == DECAI__TYPED_INT && len && text[0] == '-';
    if (decai__u256_parse(&v, text + minus, len - minus, "value")) return bad(w, node, "not an integer in decimal");
    size_t bits = bit_length(&v);
    if (minus && bits == 0) return bad(w, node, "-0");
    size_t room = t.kind == DECAI__TYPED_INT ? t.width - 1 : t.width;
    if (bits > room && !(minus && bits == t.width && is_power_of_two(&v))) return bad(w, node, "out of its type's range");
    decai__u256_to_be(out, &v);
    if (minus) negate(out);
    return 0;
}

/* "0x" and hex digits, into the sponge or, for bytesN, into the word. */
static int32_t
encode_bytes(walker *w, const decai__json_node *node, decai__typed_type t, uint8_t out[32])
{
    const char *text = NULL;
    size_t len = 0;
    uint8_t chunk[64];
    decai__keccak k;

    if (decai__json_str(w->doc->json, node, &text, &len) || len < 2 || text[0] != '0' || text[1] != 'x' || len % 2)
        return bad(w, node, "not 0x and pairs of hex digits");
    text += 2;
    len = len / 2 - 1;
    if (t.kind == DECAI__TYPED_FIXED && len != t.width) return bad(w, node, "not as many bytes as its type says");
    decai__keccak_init(&k);
    for (size_t at = 0; at < len; at += sizeof(chunk)) {
        size_t n = DECAI__MIN(len - at, sizeof(chunk));
        if (text[2 * at] == '0' && text[2 * at + 1] == 'x') return bad(w, node, "not a hex digit");
        if (decai__hex_decode(chunk, n, text + 2 * at, 2 * n, "value")) return bad(w, node, "not a hex digit");
        decai__keccak_update(&k, chunk, n);
    }
    if (t.kind == DECAI__TYPED_BYTES) decai__keccak_final(&k, out);
    else memcpy(out, chunk, len);           /* at most 32: it was one chunk */
    return 0;
}

static int32_t
encode_atom(walker *w, const decai__json_node *node, decai__typed_type t, uint8_t out[32])
{
    const char *text = NULL;
    size_t len = 0;
    bool truth = false;
    int32_t r;

    memset(out, 0, 32);
    switch (t.kind) {
    case DECAI__TYPED_STRUCT:
        return hash_struct(w, node, t.width, out);
    case DECAI__TYPED_BOOL:
        if (decai__json_bool(w->doc->json, node, &truth)) return bad(w, node, "not true or false");
        out[31] = truth;
        return 0;
    case DECAI__TYPED_ADDRESS:
        if (decai__json_str(w->doc->json, node, &text, &len)) return bad(w, node, "not an address");
        r = decai__address_read(out + 12, text, len, "address");
        return r ? decai__json_fail(w->doc->json, node, r,
            r == DECAI_E_INTEGRITY ? "wrong address checksum (EIP-55)" : "not an address") : 0;
    case DECAI__TYPED_STRING:
        if (decai__json_str(w->doc->json, node, &text, &len)) return bad(w, node, "not a string");
        decai__keccak256(out, text, len);
        return 0;
    case DECAI__TYPED_BYTES:
    case DECAI__TYPED_FIXED:
        return encode_bytes(w, node, t, out);
    default:
        return encode_integer(w, node, t, out);
    }
}

static int32_t
encode_value(walker *w, const decai__json_node *node, const char *type, size_t len, uint8_t out[32])
{
    size_t inner = 0;
    uint64_t fixed = 0;
    decai__typed_type t;
    decai__keccak k;

    if (w->depth >= DECAI_TYPED_DEPTH_MAX)
        return decai__json_fail(w->doc->json, node, DECAI_E_LIMIT, "deeper than DECAI_TYPED_DEPTH_MAX");
    if (!decai__typed_array(type, len, &inner, &fixed)) {
        int32_t r = decai__typed_resolve(w->doc, node, &t, type, len);
        return r ? r : encode_atom(w, node, t, out);
    }

    if (decai__json_type(node) != DECAI__JSON_ARRAY) return bad(w, node, "not an array");
    if (fixed && decai__json_count(node) != fixed) return bad(w, node, "not as many elements as its type says");
    decai__keccak_init(&k);
    w->depth++;
    for (const decai__json_node *item = decai__json_first(node); item; item = decai__json_next(item)) {
        uint8_t word[32];
        int32_t r = encode_value(w, item, type, inner, word);
        if (r) return r;
        decai__keccak_update(&k, word, sizeof(word));
    }
    w->depth--;
    decai__keccak_final(&k, out);
    return 0;
}

static int32_t
hash_struct(walker *w, const decai__json_node *node, size_t index, uint8_t out[32])
{
    const decai__typed_struct_def *def = &w->doc->def[index];
    decai__keccak k;

    int32_t r = decai__typed_exact(w->doc, node, def->count);
    if (r) return r;
    decai__keccak_init(&k);
    decai__keccak_update(&k, def->hash, sizeof(def->hash));
    w->depth++;
    for (const decai__json_node *f = decai__json_first(def->fields); f; f = decai__json_next(f)) {
        const char *name = NULL, *type = NULL;
        size_t name_len = 0, type_len = 0;
        uint8_t word[32];
        r = decai__json_get_str(w->doc->json, f, "name", &name, &name_len);
        if (!r) r = decai__json_get_str(w->doc->json, f, "type", &type, &type_len);
        if (r) return r;
        const decai__json_node *value = decai__json_find(node, name);
        if (!value) return bad(w, node, "a field of its type is missing");
        r = encode_value(w, value, type, type_len, word);
        if (r) return r;
        decai__keccak_update(&k, word, sizeof(word));
    }
    w->depth--;
    decai__keccak_final(&k, out);
    return 0;
}

static int32_t
hash_document(decai__typed_doc *doc, decai__typed *out)
{
    const decai__json_node *root = decai__json_root(doc->json);
    const decai__json_node *domain = decai__json_find(root, "domain"), *message = decai__json_find(root, "message");
    walker w = {.doc = doc};

    int32_t r = decai__typed_exact(doc, root, 4);
    if (r) return r;
    if (!domain || !message)
        return decai__fail(DECAI_E_CORRUPT, "typed data: not exactly types, primaryType, domain, message");
    r = decai__typed_types(doc);
    if (!r) r = hash_struct(&w, domain, doc->domain, out->domain);
    w.depth = 0;
    if (!r) r = hash_struct(&w, message, doc->primary, out->message);
    if (!r) decai__typed_digest(out->digest, out->domain, out->message);
    return r;
}

int32_t
decai__typed_hash(decai_context *ctx, decai__typed *out, const char *text, size_t len)
{
    memset(out, 0, sizeof(*out));
    if (len > DECAI_TYPED_TEXT_MAX)
        return decai__fail(DECAI_E_LIMIT, "typed data: %zu bytes, more than DECAI_TYPED_TEXT_MAX", len);
    decai__typed_doc *doc = decai__calloc(ctx, 1, sizeof(*doc));   /* 8 KiB: not for the stack */
    if (!doc) return DECAI_E_NOMEM;
    doc->ctx = ctx;
    int32_t r = decai__json_parse(ctx, &doc->json, text, len);
    if (!r) r = hash_document(doc, out);
    if (r) memset(out, 0, sizeof(*out));
    decai__json_free(doc->json);
    decai__free(ctx, doc);
    return r;
}
