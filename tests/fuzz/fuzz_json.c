/* fuzz_json.c - strict JSON: whatever comes in, checking and parsing agree, and
 * a tree can be walked, read and named. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai__json *doc = NULL;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (size > 4096) return 0;                      /* paths make the visit quadratic */
    int32_t checked = decai__json_check(ctx, (const char *)data, size);
    int32_t parsed = decai__json_parse(ctx, &doc, (const char *)data, size);
    if (checked != parsed || !doc != (parsed != 0)) abort();
    if (doc) visit(doc, decai__json_root(doc));
    decai__json_free(doc);
    return 0;
}
