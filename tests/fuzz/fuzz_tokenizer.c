/* fuzz_tokenizer.c - a GGUF with a tokenizer, then text for it.
 *
 * The input is u32 length, that many bytes of GGUF, and the text. What a byte-level
 * BPE without a normalizer gives must decode to the text again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tok/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(decai_context *ctx, const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    decai__buf ids, back;
    for (int32_t flags = 0; flags < 4; flags++) {
        decai__buf_init(&ids, ctx, 1u << 24, "ids");
        decai__buf_init(&back, ctx, 1u << 24, "text");
        if (!decai__tok_encode(t, &ids, text, len, flags)) {
            int32_t r = decai__tok_decode(t, &back, (const int32_t *)(const void *)ids.data, ids.len / 4, 1);
            if (r) abort();
            bool exact = t->rules.family == DECAI__BPE && !t->added;
            if (!flags && exact && (back.len != len || (len && memcmp(back.data, text, len)))) abort();
        }
        decai__buf_free(&ids);
        decai__buf_free(&back);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai_model *m;
    decai_tokenizer *t;
    if (!ctx && decai_context_create(&ctx, NULL)) return 0;
    if (size < 4) return 0;
    size_t len = decai__load_le32(data);
    if (len > size - 4) return 0;
    if (decai_model_open(&m, ctx, data + 4, len, NULL)) return 0;
    if (!decai_tokenizer_create(&t, m, NULL)) {
        use(ctx, t, data + 4 + len, size - 4 - len);
        decai_destroy(t);
    }
    decai_destroy(m);
    return 0;
}
