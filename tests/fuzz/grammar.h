/* grammar.h - what the fuzzers of grammars have in common: a vocabulary, and a text that
 * is followed token by token. What the masks allow is what is taken one by one; taking
 * back what was taken gives the same mask; a refusal says why. */
#ifndef DECAI_FUZZ_GRAMMAR_H
#define DECAI_FUZZ_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "tok/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VOCAB = 273, WORDS = (VOCAB + 63) / 64 };

static decai_context *ctx;
static decai_tokenizer *t;

/* Each byte, in GPT-2's letters for bytes, then some pieces (also of strings, escapes and
 * characters), the end, and a mark of tool calls. */
static int start(void)
{
    static const char *const pieces[] = { "ab", "a,", "],", "[[", "1+", "xy", "yx", "bc]", "aaaa", "\\\",", "\\\":", "a\\\"", "\\\\u00", "\\u00e4\\u00b8", "a\\u00e4" };
    static char json[16384];
    size_t at = 0;
    int other = 256;
    if (decai_context_create(&ctx, NULL)) return -1;
    at += (size_t)snprintf(json, sizeof json, "{\"added_tokens\":[{\"id\":271,\"content\":\"</s>\",\"special\":true},{\"id\":272,\"content\":\"<tool_call>\",\"special\":true}],\"pre_tokenizer\":"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    for (int b = 0; b < 256; b++) {
        int letter = b <= 32 || (b >= 127 && b <= 160) || b == 173 ? other++ : b;
        at += (size_t)snprintf(json + at, sizeof json - at, "\"\\u%04x\":%d,", (unsigned)letter, b);
    }
    for (int i = 0; i < 15; i++) at += (size_t)snprintf(json + at, sizeof json - at, "\"%s\":%d,", pieces[i], 256 + i);
    at += (size_t)snprintf(json + at, sizeof json - at, "\"</s>\":271,\"<tool_call>\":272}}}");
    return decai_tokenizer_open(&t, ctx, (const uint8_t *)json, at, NULL);
}

/* complete: looks at a text that may end, or NULL. */
static void follow(decai_matcher *m, const uint8_t *text, size_t len, void (*complete)(const uint8_t *text, size_t len))
{
    uint64_t bits[WORDS], again[WORDS], taken;
    for (size_t i = 0; i < len && i < 64; i++) {
        int32_t r = decai__matcher_mask(m, bits);
        if (r && !decai_error_detail()[0]) abort();
        for (int32_t id = i < 4 ? 0 : text[i]; id < (i < 4 ? VOCAB : text[i] + 1) && !r; id++) {
            int32_t q = decai__matcher_add(m, &taken, &id, 1);
            if (!q && (taken != 0) != (bits[id / 64] >> id % 64 & 1)) abort();
            if (taken && decai__matcher_remove(m, 1)) abort();
        }
        if (!r && !decai__matcher_mask(m, again) && memcmp(bits, again, sizeof bits)) abort();
        int32_t token = text[i];
        if (decai__matcher_add(m, &taken, &token, 1) || !taken) return;
        if (complete && decai__matcher_complete(m)) complete(text, i + 1);
    }
}

/* The input is a grammar, a NUL, and bytes. */
static int fuzz_grammar(const char *kind, const uint8_t *data, size_t size, void (*complete)(const uint8_t *text, size_t len))
{
    decai_grammar *g;
    decai_matcher *m;
    if (!ctx && start()) abort();
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t text = nul ? (size_t)(nul - data) : size;
    int32_t r = decai_grammar_create(&g, t, kind, (const char *)data, text, NULL);
    if (r) {
        if (r == DECAI_E_INTERNAL || !decai_error_detail()[0]) abort();
        return 0;
    }
    if (!decai_matcher_create(&m, g)) {
        if (nul) follow(m, nul + 1, size - text - 1, complete);
        decai_destroy(m);
    }
    decai_destroy(g);
    return 0;
}

#endif
