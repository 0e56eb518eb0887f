/* fuzz_eip712.c - typed data: never a crash; what is accepted hashes to the
 * same digest after its JSON was taken apart and written again, and a document
 * that is refused leaves no digest behind. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "key/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put_number(decai__json_writer *w, const decai__json *json, const decai__json_node *n, const char *key)
{
    const char *text = NULL;
    if (decai__json_number(json, n, &text)) abort();
    decai__json_put_str(w, key, text);          /* "5" and 5 are one integer in typed data */
}

static void
put_node(decai__json_writer *w, const decai__json *json, const decai__json_node *n, const char *key)
{
    const char *text = NULL;
    size_t len = 0;
    bool truth = false;
    int32_t type = decai__json_type(n);
    if (type == DECAI__JSON_OBJECT || type == DECAI__JSON_ARRAY) {
        if (type == DECAI__JSON_OBJECT) decai__json_put_object(w, key);
        else decai__json_put_array(w, key);
        for (const decai__json_node *c = decai__json_first(n); c; c = decai__json_next(c))
            put_node(w, json, c, decai__json_key(c));
        decai__json_put_end(w);
    } else if (type == DECAI__JSON_STRING) {
        if (decai__json_str(json, n, &text, &len)) abort();
        decai__json_put_text(w, key, text, len);
    } else if (type == DECAI__JSON_BOOL) {
        if (decai__json_bool(json, n, &truth)) abort();
        decai__json_put_bool(w, key, truth);
    } else if (type == DECAI__JSON_NUMBER) put_number(w, json, n, key);
    else abort();                               /* null is never accepted */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    static const decai__typed none;
    decai__typed first, second;
    decai__json *json = NULL;
    decai__json_writer w;
    decai__buf b;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (decai__typed_hash(ctx, &first, (const char *)data, size)) {
        if (memcmp(&first, &none, sizeof(none)) != 0) abort();
        return 0;
    }
    if (decai__json_parse(ctx, &json, (const char *)data, size)) abort();
    decai__buf_init(&b, ctx, 1 << 24, "fuzz");
    decai__json_writer_init(&w, &b, false);
    put_node(&w, json, decai__json_root(json), NULL);
    if (decai__json_writer_end(&w)) abort();
    if (decai__typed_hash(ctx, &second, (const char *)b.data, b.len)) abort();
    if (memcmp(&first, &second, sizeof(first)) != 0) abort();
    decai__buf_free(&b);
    decai__json_free(json);
    return 0;
}
