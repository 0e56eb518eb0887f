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
    "nemotron", "tool-calls", "apertus", "lfm2", "llama4", "gemma4", "function-gemma", "deepseek-v4" };

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

/* All events so far behind each other: a letter and the call before each but those that go on. */
typedef struct told { uint8_t *data; size_t len, cap; int32_t kind, call; } told;

static void tell(told *t, const void *data, size_t len)
{
    if (t->len + len > t->cap && !(t->data = realloc(t->data, t->cap = 2 * (t->len + len)))) abort();
    if (len) memcpy(t->data + t->len, data, len);
    t->len += len;
}

static void drain(told *t, decai_answer *a)
{
    static uint8_t out[1 << 20];
    for (;;) {
        size_t len;
        int32_t kind, call;
        if (decai_answer_next(a, out, sizeof out, &len, &kind, &call) || decai__utf8_valid((char *)out, len) != len) abort();
        if (!kind) return;
        bool text = kind == DECAI_ANSWER_CONTENT || kind == DECAI_ANSWER_REASONING || kind == DECAI_ANSWER_ARGUMENTS;
        if (!text || kind != t->kind || call != t->call) tell(t, (uint8_t[]){ (uint8_t)('a' + kind), (uint8_t)call }, 2);
        tell(t, out, len);
        t->kind = kind;
        t->call = call;
    }
}

/* The events of the text in pieces of at most step bytes. */
static told pieces(const char *format, const char *text, size_t len, size_t step)
{
    static const char tools[] = "[{\"name\":\"a\",\"parameters\":{\"properties\":{\"x\":{\"type\":\"string\"},\"y\":{\"enum\":[1,null]},\"k\":{\"type\":[\"boolean\",\"null\"]}}}}]";
    told t = { NULL, 0, 0, 0, 0 };
    decai_answer *a;
    if (decai_answer_create(&a, ctx, format, step & 1 ? tools : NULL, step & 1 ? sizeof tools - 1 : 0, 0)) return t;
    for (size_t i = 0; i < len; i += step) {
        if (decai_answer_add(a, text + i, step < len - i ? step : len - i, 0)) break;
        drain(&t, a);
    }
    if (!decai_answer_add(a, NULL, 0, DECAI_ANSWER_LAST)) drain(&t, a);
    decai_destroy(a);
    return t;
}

/* Pieces make no difference. */
static void split(const char *format, const char *text, size_t len, size_t step)
{
    told whole = pieces(format, text, len, 65536 + (step & 1)), parts = pieces(format, text, len, step);
    if (whole.len != parts.len || (whole.len && memcmp(whole.data, parts.data, whole.len))) abort();
    free(whole.data);
    free(parts.data);
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
    split(format, text, len, 2 + cut % 64);
    decai__json *all = read(format, text, len, 0, &whole, &whole_len), *part = read(format, text, cut, DECAI_ANSWER_PARTIAL, &shown, &shown_len);
    if (all && part && (shown_len > whole_len || memcmp(shown, whole, shown_len))) abort();
    decai__json_free(all);
    decai__json_free(part);
    decai__json_free(read(format, text, len, DECAI_ANSWER_PARTIAL | DECAI_ANSWER_THINKING, &whole, &whole_len));
    return 0;
}
