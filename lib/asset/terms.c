/* terms.c - what the owner says about a model, from options or from JSON.
 *
 * Royalty parts are integers of 10000 (basis points of the price); they are
 * never fractions, and a payout divides by largest remainder (room reward).
 */
#include <string.h>

#include "asset/asset.h"
#include "codec/codec.h"
#include "key/key.h"
#include "num/num.h"

#define TERMS_KEYS "name owner licence chain_id royalties tokenizer_hash"

/* Text that a person will read: UTF-8 without control characters. */
static int32_t
check_text(const char *text, const char *field)
{
    size_t len = strnlen(text, DECAI_MANIFEST_TEXT_MAX + 1);
    if (!len || len > DECAI_MANIFEST_TEXT_MAX)
        return decai__fail(DECAI_E_INVALID, "%s: not 1 to %d bytes", field, DECAI_MANIFEST_TEXT_MAX);
    if (decai__utf8_valid(text, len) != len) return decai__fail(DECAI_E_INVALID, "%s: not UTF-8", field);
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
            return decai__fail(DECAI_E_INVALID, "%s: byte %zu is a control character", field, i);
    return 0;
}

/* The characters of an SPDX licence expression; the ids are not looked up. */
static int32_t
check_licence(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr(" .-+():", *c)))
            return decai__fail(DECAI_E_INVALID, "licence: '%c' is not part of an SPDX expression", *c);
    return 0;
}

int32_t
decai__terms_check(const decai__terms *t)
{
    uint32_t sum = 0;

    if (t->chain_id < 1 || t->chain_id > INT64_MAX)
        return decai__fail(DECAI_E_INVALID, "chain_id: %llu is not 1 to 2^63-1", (unsigned long long)t->chain_id);
    int32_t r = check_text(t->name, "name");
    if (!r) r = check_text(t->licence, "licence");
    if (!r) r = check_licence(t->licence);
    for (size_t i = 0; i < t->royalty_count && !r; i++) {
        if (t->royalties[i].parts < 1 || t->royalties[i].parts > DECAI_MANIFEST_PARTS_MAX)
            return decai__fail(DECAI_E_INVALID, "royalties[%zu]: %u is not 1 to %d parts", i, t->royalties[i].parts,
                DECAI_MANIFEST_PARTS_MAX);
        for (size_t j = 0; j < i; j++)
            if (!memcmp(t->royalties[i].to, t->royalties[j].to, 20))
                return decai__fail(DECAI_E_INVALID, "royalties[%zu]: the same receiver as [%zu]", i, j);
        sum += t->royalties[i].parts;
    }
    if (!r && sum > DECAI_MANIFEST_PARTS_MAX)
        r = decai__fail(DECAI_E_INVALID, "royalties: %u parts in all, %d at most", sum, DECAI_MANIFEST_PARTS_MAX);
    return r;
}

static int32_t
set_text(char out[DECAI_MANIFEST_TEXT_MAX + 1], const char *text, size_t len, const char *field)
{
    if (!len) return decai__fail(DECAI_E_INVALID, "%s: missing", field);
    if (len > DECAI_MANIFEST_TEXT_MAX)
        return decai__fail(DECAI_E_INVALID, "%s: %zu bytes, more than %d", field, len, DECAI_MANIFEST_TEXT_MAX);
    memcpy(out, text, len);
    return 0;
}

static int32_t
add_royalty(decai__terms *t, const char *to, size_t to_len, uint64_t parts)
{
    if (t->royalty_count == DECAI_MANIFEST_SHARES_MAX)
        return decai__fail(DECAI_E_LIMIT, "royalties: more than DECAI_MANIFEST_SHARES_MAX");
    if (parts > DECAI_MANIFEST_PARTS_MAX)
        return decai__fail(DECAI_E_INVALID, "royalties[%zu]: %llu parts", t->royalty_count, (unsigned long long)parts);
    decai__royalty *royalty = &t->royalties[t->royalty_count++];
    royalty->parts = (uint32_t)parts;
    return decai__address_read(royalty->to, to, to_len, "royalties");
}

/* "0x..=250,0x..=100" */
static int32_t
parse_royalties(decai__terms *t, const char *text)
{
    while (*text) {
        const char *equals = strchr(text, '='), *end = strchr(text, ',');
        uint64_t parts = 0;
        if (!end) end = text + strlen(text);
        if (!equals || equals > end)
            return decai__fail(DECAI_E_INVALID, "asset.royalties: entry %zu is not address=parts", t->royalty_count);
        if (decai__u64_parse(&parts, equals + 1, (size_t)(end - equals - 1), "asset.royalties")) return DECAI_E_INVALID;
        int32_t r = add_royalty(t, text, (size_t)(equals - text), parts);
        if (r) return r;
        text = end;
        if (*text == ',' && !*++text) return decai__fail(DECAI_E_INVALID, "asset.royalties: a comma at the end");
    }
    return 0;
}

int32_t
decai__terms_from_options(decai__terms *t, const decai_options *o)
{
    const char *owner = decai__opt_str(o, "asset.owner"), *name = decai__opt_str(o, "asset.name");
    const char *licence = decai__opt_str(o, "asset.licence");
    size_t len = 0;
    const uint8_t *hash = decai__opt_bytes(o, "asset.tokenizer_hash", &len);

    memset(t, 0, sizeof(*t));
    t->chain_id = (uint64_t)decai__opt_i64(o, "asset.chain_id");
    if (len && len != 32) return decai__fail(DECAI_E_INVALID, "asset.tokenizer_hash: %zu bytes, not 32", len);
    if (len) memcpy(t->tokenizer, hash, 32);
    t->has_tokenizer = len != 0;
    int32_t r = set_text(t->name, name, strlen(name), "asset.name");
    if (!r) r = set_text(t->licence, licence, strlen(licence), "asset.licence");
    if (!r) r = decai__address_read(t->owner, owner, strlen(owner), "asset.owner");
    if (!r) r = parse_royalties(t, decai__opt_str(o, "asset.royalties"));
    return r ? r : decai__terms_check(t);
}

static int32_t
json_royalties(const decai__json *json, decai__terms *t)
{
    const decai__json_node *list = decai__json_find(decai__json_root(json), "royalties");
    if (!list) return 0;
    int32_t r = decai__json_expect(json, list, DECAI__JSON_ARRAY);
    for (const decai__json_node *n = decai__json_first(list); n && !r; n = decai__json_next(n)) {
        const char *to = NULL;
        size_t len = 0;
        uint64_t parts = 0;
        r = decai__json_expect(json, n, DECAI__JSON_OBJECT);
        if (!r) r = decai__json_only(json, n, "to parts");
        if (!r) r = decai__json_get_str(json, n, "to", &to, &len);
        if (!r) r = decai__json_get_u64(json, n, "parts", &parts);
        if (!r) r = add_royalty(t, to, len, parts);
    }
    return r;
}

static int32_t
json_fields(const decai__json *json, decai__terms *t)
{
    const decai__json_node *root = decai__json_root(json);
    const char *text = NULL;
    size_t len = 0;

    int32_t r = decai__json_expect(json, root, DECAI__JSON_OBJECT);
    if (!r) r = decai__json_only(json, root, TERMS_KEYS);
    if (!r) r = decai__json_get_u64(json, root, "chain_id", &t->chain_id);
    if (!r) r = decai__json_get_str(json, root, "name", &text, &len);
    if (!r) r = set_text(t->name, text, len, "name");
    if (!r) r = decai__json_get_str(json, root, "licence", &text, &len);
    if (!r) r = set_text(t->licence, text, len, "licence");
    if (!r) r = decai__json_get_str(json, root, "owner", &text, &len);
    if (!r) r = decai__address_read(t->owner, text, len, "owner");
    if (!r && decai__json_find(root, "tokenizer_hash")) {
        r = decai__json_get_hex(json, root, "tokenizer_hash", t->tokenizer, 32);
        t->has_tokenizer = true;
    }
    if (!r) r = json_royalties(json, t);
    return r == DECAI_E_NOT_FOUND ? DECAI_E_CORRUPT : r;
}

int32_t
decai__terms_from_json(decai_context *ctx, decai__terms *t, const char *text, size_t len)
{
    decai__json *json = NULL;

    memset(t, 0, sizeof(*t));
    int32_t r = decai__json_parse(ctx, &json, text, len);
    if (!r) r = json_fields(json, t);
    decai__json_free(json);
    return r ? r : decai__terms_check(t);
}
