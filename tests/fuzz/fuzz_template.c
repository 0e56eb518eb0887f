/* fuzz_template.c - a template, then a conversation for it.
 *
 * The input is the template's text, a NUL, and JSON. Whatever comes out must be
 * valid UTF-8, the same a second time, and within the limits; whatever fails must
 * say why. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "tok/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 16 };

static void use(const decai_template *t, const char *json, size_t len)
{
    static uint8_t out[OUT_MAX], again[OUT_MAX];
    size_t n, m;
    int32_t r = decai_template_format(t, out, OUT_MAX, &n, json, len);
    int32_t q = decai_template_format(t, again, OUT_MAX, &m, json, len);
    if (r != q || n != m) abort();
    if (r) {
        if (r == DECAI_E_INTERNAL || !decai_error_detail()[0]) abort();
        return;
    }
    if (memcmp(out, again, n) || decai__utf8_valid((const char *)out, n) != n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    static decai_options *opts;
    decai_template *t;
    if (!ctx) {
        if (decai_context_create(&ctx, NULL) || decai_options_create(&opts, ctx)) return 0;
        decai_options_set_i64(opts, "tok.template_fuel", 200000);
        decai_options_set_i64(opts, "tok.template_memory_max", 1 << 22);
        decai_options_set_i64(opts, "tok.template_output_max", OUT_MAX);
        decai_options_set_i64(opts, "tok.template_time_s", 1753005296);
    }
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t text = nul ? (size_t)(nul - data) : size;
    int32_t r = decai_template_create(&t, ctx, NULL, (const char *)data, text, opts);
    if (r) {
        if (r == DECAI_E_INTERNAL || !decai_error_detail()[0]) abort();
        return 0;
    }
    if (nul) use(t, (const char *)nul + 1, size - text - 1);
    else use(t, "[{\"role\":\"user\",\"content\":\"a\"}]", 31);
    decai_destroy(t);
    return 0;
}
