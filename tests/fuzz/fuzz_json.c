/* fuzz_json.c - strict JSON: whatever comes in, checking and parsing agree, and
 * a tree can be walked, read and named; the public handle shows the same one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every node through every typed read: the wrong ones build paths. */
static void visit(const decai__json *doc, const decai__json_node *node)
{
    const char *text;
    size_t len;
    int64_t i;
    uint64_t u;
    bool b;
    decai__u256 v;
    uint8_t bytes[4];
    (void)decai__json_str(doc, node, &text, &len);
    (void)decai__json_i64(doc, node, &i);
    (void)decai__json_u64(doc, node, &u);
    (void)decai__json_u256(doc, node, &v);
    (void)decai__json_bool(doc, node, &b);
    (void)decai__json_hex(doc, node, bytes, sizeof bytes);
    (void)decai__json_get_u64(doc, node, "a", &u);
    for (const decai__json_node *c = decai__json_first(node); c; c = decai__json_next(c)) visit(doc, c);
}

/* The public handle holds the same tree, and what it gives of a value is that value. */
static void compare(decai_context *ctx, const decai_json *json, int32_t value, const decai__json_node *node)
{
    int32_t type, child, at;
    uint64_t count;
    size_t len, n = 0;
    char out[8192];
    decai__json *again = NULL;
    if (decai_json_type_get(json, &type, &count, value) || type != decai__json_type(node)) abort();
    if (decai_json_format(json, out, sizeof out, &len, value) || decai__json_parse(ctx, &again, out, len)) abort();
    if (decai__json_type(decai__json_root(again)) != type || decai__json_count(decai__json_root(again)) != count) abort();
    decai__json_free(again);
    if (decai_json_path_get(json, out, sizeof out, &len, value)) abort();
    int32_t r = decai_json_text_get(json, out, sizeof out, &len, value);
    if (r != (type >= DECAI_JSON_ARRAY ? DECAI_E_NOT_FOUND : 0)) abort();
    if (type == DECAI_JSON_STRING || type == DECAI_JSON_NUMBER) {
        const char *text = decai__json_value_text(node);
        if (len != strlen(text) || memcmp(out, text, len)) abort();
    }
    for (const decai__json_node *c = decai__json_first(node); c; c = decai__json_next(c), n++) {
        if (decai_json_at(json, &child, value, n) != 1) abort();
        const char *key = decai__json_key(c);
        if (key && (decai_json_get(json, &at, value, key) != 1 || at != child)) abort();
        if (decai_json_key_get(json, out, sizeof out, &len, child) != (key ? 0 : DECAI_E_NOT_FOUND)) abort();
        if (key && (len != strlen(key) || memcmp(out, key, len))) abort();
        compare(ctx, json, child, c);
    }
    if (n != count || decai_json_at(json, &child, value, n)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decai_json *json = NULL;
    static decai_context *ctx;
    decai__json *doc = NULL;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (size > 4096) return 0;                      /* paths make the visit quadratic */
    int32_t checked = decai__json_check(ctx, (const char *)data, size);
    int32_t parsed = decai__json_parse(ctx, &doc, (const char *)data, size);
    if (checked != parsed || !doc != (parsed != 0)) abort();
    if (decai_json_open(&json, ctx, (const char *)data, size) != parsed || !json != (parsed != 0)) abort();
    if (doc) visit(doc, decai__json_root(doc));
    if (doc) compare(ctx, json, 0, decai__json_root(doc));
    decai_destroy(json);
    decai__json_free(doc);
    return 0;
}
