/* fuzz_answer.c - an answer taken apart, in the format that the first byte says.
 *
 * What comes out is strict JSON, the same again, whatever the flags; what a beginning
 * shows of content, the whole shows first; and the pieces in which the text comes do not
 * matter. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "tok/toolcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const formats[] = { "hermes", "qwen3-coder", "llama3", "gemma", "mistral", "mistral-args", "deepseek", "command-r",
    "command-r7b", "functionary", "functionary-v3.2", "harmony", "none", "glm", "seed-oss", "minimax-m2", "deepseek-v3.2", "kimi-k2", "granite",
    "nemotron", "tool-calls", "apertus" };

static decai_context *ctx;

/* The content, decoded, to be freed; the JSON is checked. */
static decai__json *read(const char *format, const char *text, size_t len, int32_t flags, const char **content, size_t *content_len)
{
    size_t n = 0;
    decai__json *doc;
    *content = "";
    *content_len = 0;
    int32_t r = decai_answer_parse(ctx, NULL, 0, &n, format, text, len, flags);
    if (r != DECAI_E_SPACE) {
        if (r == DECAI_E_INTERNAL || !decai_error_detail()[0]) abort();
        return NULL;
    }
    uint8_t *out = malloc(n);
    if (!out || decai_answer_parse(ctx, out, n, &n, format, text, len, flags)) abort();
    if (decai__json_parse(ctx, &doc, (const char *)out, n) && !strstr(decai_error_detail(), "NUL")) abort();
    free(out);
    if (doc) (void)decai__json_get_str(doc, decai__json_root(doc), "content", content, content_len);
    if (!*content) *content = "";
    return doc;
}

/* The events of the text in pieces of at most step bytes are those of the whole. */
static void split(const char *format, const char *text, size_t len, size_t step)
{
    decai__answer whole, parts;
    const decai__call_format *f = decai__call_format_find(format);
    decai__answer_init(&whole, ctx, f, 0);
    decai__answer_init(&parts, ctx, f, 0);
    int32_t r = decai__answer_add(&whole, text, len), s = 0;
    if (!r) r = decai__answer_end(&whole);
    for (size_t i = 0; i < len; i += step) s = decai__answer_add(&parts, text + i, step < len - i ? step : len - i);
    if (!s) s = decai__answer_end(&parts);
    if (r != s || whole.bytes.len != parts.bytes.len || whole.events.len != parts.events.len) abort();
    if (whole.bytes.len && memcmp(whole.bytes.data, parts.bytes.data, whole.bytes.len)) abort();
    decai__answer_free(&whole);
    decai__answer_free(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *shown, *whole;
    size_t shown_len, whole_len;
    if ((!ctx && decai_context_create(&ctx, NULL)) || size < 2) return 0;
    const char *format = formats[data[0] % (sizeof formats / sizeof *formats)], *text = (const char *)data + 1;
    size_t len = size - 1, cut = data[size - 1] % (len + 1);
    if (decai__utf8_valid(text, len) != len) return 0;
    cut = decai__utf8_valid(text, cut);
    split(format, text, len, 1);
    split(format, text, len, cut + 1);
    decai__json *all = read(format, text, len, 0, &whole, &whole_len), *part = read(format, text, cut, DECAI_ANSWER_PARTIAL, &shown, &shown_len);
    if (all && part && (shown_len > whole_len || memcmp(shown, whole, shown_len))) abort();
    decai__json_free(all);
    decai__json_free(part);
    decai__json_free(read(format, text, len, DECAI_ANSWER_PARTIAL | DECAI_ANSWER_THINKING, &whole, &whole_len));
    return 0;
}
