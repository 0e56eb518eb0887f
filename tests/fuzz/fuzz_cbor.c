/* fuzz_cbor.c - the CBOR subset: what is accepted has one encoding, so writing
 * it again gives the same bytes; what is shown is what was checked. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False for an integer the writer has no call for. */
static bool rewrite(decai__cbor_writer *w, const decai__cbor_item *item)
{
    switch (item->type) {
    case DECAI__CBOR_UINT: decai__cbor_put_uint(w, item->value); return true;
    case DECAI__CBOR_NINT:
        if (item->value > INT64_MAX) return false;
        decai__cbor_put_int(w, -1 - (int64_t)item->value);
        return true;
    case DECAI__CBOR_BYTES: decai__cbor_put_bytes(w, item->data, item->len); return true;
    case DECAI__CBOR_TEXT: decai__cbor_put_text(w, (const char *)item->data, item->len); return true;
    case DECAI__CBOR_ARRAY: decai__cbor_put_array(w, item->value); return true;
    default: decai__cbor_put_map(w, item->value); return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai__cbor_reader r;
    decai__cbor_writer w;
    decai__cbor_item item;
    decai__buf again, text;
    bool writable = true;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    decai__buf_init(&text, ctx, 1 << 24, "fuzz");
    int32_t checked = decai__cbor_check(data, size, "fuzz");
    int32_t shown = decai__cbor_format(&text, data, size, "fuzz");
    decai__buf_free(&text);
    if (checked != shown && shown != DECAI_E_LIMIT) abort();
    if (checked) return 0;
    decai__buf_init(&again, ctx, 1 << 24, "fuzz");
    decai__cbor_writer_init(&w, &again);
    if (decai__cbor_reader_init(&r, data, size, "fuzz")) abort();
    while (writable && decai__cbor_next(&r, &item) == 1) writable = rewrite(&w, &item);
    if (writable && (decai__cbor_writer_end(&w) || again.len != size || memcmp(again.data, data, size))) abort();
    decai__buf_free(&again);
    return 0;
}
