/* fuzz_tokenizer_json.c - a tokenizer.json, then text for it.
 *
 * The input is u32 length, that many bytes of JSON, and the text. What was read
 * can be written as GGUF or is refused; encoding never reads or writes astray. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tok/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai_tokenizer *t;
    decai__buf out;
    if (!ctx && decai_context_create(&ctx, NULL)) return 0;
    if (size < 4) return 0;
    size_t len = decai__load_le32(data);
    if (len > size - 4) return 0;
    if (decai_tokenizer_open(&t, ctx, data + 4, len, NULL)) return 0;
    for (int32_t flags = 0; flags < 4; flags++) {
        decai__buf_init(&out, ctx, 1u << 24, "ids");
        if (!decai__tok_encode(t, &out, data + 4 + len, size - 4 - len, flags)) {
            decai__buf back;
            decai__buf_init(&back, ctx, 1u << 24, "text");
            if (decai__tok_decode(t, &back, (const int32_t *)(const void *)out.data, out.len / 4, 1)) abort();
            decai__buf_free(&back);
        }
        decai__buf_free(&out);
    }
    decai__buf_init(&out, ctx, 1u << 26, "file");
    decai__tok_put_gguf(t, &out);
    decai__buf_free(&out);
    decai__buf_init(&out, ctx, 1u << 26, "file");
    decai__tok_put_json(t, &out);
    decai__buf_free(&out);
    decai_destroy(t);
    return 0;
}
