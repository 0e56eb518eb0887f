/* fuzz_detokenize.c - any bytes through a token stream, one byte token each.
 *
 * What comes out must be valid UTF-8 at every step, and must be the input where
 * the input was valid as a whole. The vocabulary is the 256 bytes. Then the same with
 * the first bytes as stop texts (a length, the text, up to four of them): what comes
 * out is the beginning of what came without, and behind it stands the stop text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "model/model.h"
#include "tok/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(decai__buf *b, const void *data, size_t len) { decai__buf_add(b, data, len); }

static void put_u64(decai__buf *b, uint64_t v) { put(b, &v, 8); }

static void put_str(decai__buf *b, const char *text, size_t len)
{
    put_u64(b, len);
    put(b, text, len);
}

static void put_key(decai__buf *b, const char *key, uint32_t type)
{
    put_str(b, key, strlen(key));
    put(b, &type, 4);
}

/* A GGUF of nothing but a tokenizer of "<0x00>" .. "<0xFF>". */
static decai_tokenizer *bytes_tokenizer(decai_context *ctx)
{
    static const char HEX[] = "0123456789ABCDEF";
    decai__buf b;
    decai_model *m;
    decai_tokenizer *t = NULL;
    uint32_t string = 8, i32 = 5, byte = 6;
    decai__buf_init(&b, ctx, 1u << 20, "file");
    put(&b, "GGUF\3\0\0\0", 8);
    put_u64(&b, 0), put_u64(&b, 5);
    put_key(&b, "tokenizer.ggml.model", 8), put_str(&b, "gpt2", 4);
    put_key(&b, "tokenizer.ggml.pre", 8), put_str(&b, "gpt-2", 5);
    put_key(&b, "tokenizer.ggml.merges", 9), put(&b, &string, 4), put_u64(&b, 0);
    put_key(&b, "tokenizer.ggml.tokens", 9), put(&b, &string, 4), put_u64(&b, 256);
    for (int i = 0; i < 256; i++) {
        char text[6] = { '<', '0', 'x', HEX[i >> 4], HEX[i & 15], '>' };
        put_str(&b, text, 6);
    }
    put_key(&b, "tokenizer.ggml.token_type", 9), put(&b, &i32, 4), put_u64(&b, 256);
    for (int i = 0; i < 256; i++) put(&b, &byte, 4);
    if (b.error || decai_model_open(&m, ctx, b.data, b.len, NULL) || decai_tokenizer_create(&t, m, NULL)) abort();
    decai_destroy(m);
    decai__buf_free(&b);
    return t;
}

static void with_stops(decai_tokenizer *t, const uint8_t *data, size_t size)
{
    decai_token_stream *s;
    decai__buf all, whole;
    uint8_t out[64];
    const uint8_t *stop[4];
    size_t len, lens[4], count = 0;
    int32_t r = 0, index = -1;
    if (decai_token_stream_create(&s, t, 0)) return;
    while (count < 4 && size && *data % 16 < size) {
        stop[count] = data + 1;
        lens[count] = *data % 16;
        if (decai_token_stream_stop_add(s, stop[count], lens[count])) break;
        size -= lens[count] + 1;
        data += lens[count++] + 1;
    }
    decai__buf_init(&all, decai__context_of(t), 1u << 26, "text");
    decai__buf_init(&whole, decai__context_of(t), 1u << 26, "text");
    for (size_t i = 0; i <= size && !r; i++) {
        r = decai_token_stream_add(s, out, sizeof out, &len, i < size ? data[i] : DECAI_TOKEN_END);
        if (r < 0 || decai__utf8_valid((const char *)out, len) != len) abort();
        decai__buf_add(&all, out, len);
    }
    if (decai_token_stream_stop_get(s, &index) != r || (r && (size_t)index >= count)) abort();
    if (r) decai__buf_add(&all, stop[index], lens[index]);
    decai_destroy(s);
    if (decai_token_stream_create(&s, t, 0)) return;
    for (size_t i = 0; i <= size; i++) {
        if (decai_token_stream_add(s, out, sizeof out, &len, i < size ? data[i] : DECAI_TOKEN_END)) abort();
        decai__buf_add(&whole, out, len);
    }
    if (whole.len < all.len || (!r && whole.len != all.len) || (all.len && memcmp(whole.data, all.data, all.len))) abort();
    decai__buf_free(&all);
    decai__buf_free(&whole);
    decai_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    static decai_tokenizer *t;
    decai_token_stream *s;
    decai__buf all;
    uint8_t out[16];
    size_t len;
    if (!ctx && decai_context_create(&ctx, NULL)) return 0;
    if (!t) t = bytes_tokenizer(ctx);
    if (decai_token_stream_create(&s, t, 0)) return 0;
    decai__buf_init(&all, ctx, 1u << 26, "text");
    for (size_t i = 0; i <= size; i++) {
        if (decai_token_stream_add(s, out, sizeof out, &len, i < size ? data[i] : DECAI_TOKEN_END)) abort();
        if (decai__utf8_valid((const char *)out, len) != len) abort();
        decai__buf_add(&all, out, len);
    }
    if (decai__utf8_valid((const char *)data, size) == size && (all.len != size || (size && memcmp(all.data, data, size)))) abort();
    decai__buf_free(&all);
    decai_destroy(s);
    with_stops(t, data, size);
    return 0;
}
