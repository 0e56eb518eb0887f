/* fuzz_normalizer.c - steps of a normalizer, then a text for them.
 *
 * The input is a count of steps (its low four bits); for each, a kind with flags and
 * two lengths, then their bytes; the rest is the text. Places ascend and end at or
 * before the text's end; what is in a form stays as it is. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tok/norm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t text_of(const uint8_t *data, size_t at, size_t size, uint8_t *out, uint8_t *len)
{
    if (at == size) return at;
    *len = (uint8_t)(data[at++] % (DECAI__NORM_TEXT_MAX + 1));
    if (*len > size - at) *len = (uint8_t)(size - at);
    memcpy(out, data + at, *len);
    return at + *len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai__norm norm = { 0 };
    decai__normed out, again;
    if (!ctx && decai_context_create(&ctx, NULL)) return 0;
    if (!size) return 0;
    uint32_t count = data[0] & 15;
    size_t at = 1;
    while (norm.count < count && at < size) {
        decai__norm_step *s = &norm.steps[norm.count++];
        uint8_t b = data[at++];
        s->kind = (b & 7) % (DECAI__NORM_PREPEND + 1);
        s->form = b >> 3 & 3;
        s->left = b >> 5 & 1;
        s->right = b >> 6 & 1;
        s->least = b >> 7 ? 2 : 0;
        if (s->kind >= DECAI__NORM_REPLACE) at = text_of(data, at, size, s->to, &s->to_len);
        if (s->kind != DECAI__NORM_REPLACE) continue;
        at = text_of(data, at, size, s->from, &s->from_len);
        if (!s->from_len) s->kind = DECAI__NORM_PREPEND;
    }
    int32_t r = decai__norm_text(ctx, &norm, data + at, size - at, true, &out);
    for (size_t i = 0; !r && out.ends && i < out.len; i++)
        if (out.ends[i] > out.ends[i + 1] || out.ends[i + 1] > size - at) abort();
    for (uint8_t f = 0; !r && f < 4; f++) {
        decai__norm form = { 1, { { .kind = DECAI__NORM_FORM, .form = f } } };
        decai__normed once;
        if (!decai__norm_text(ctx, &form, out.bytes, out.len, false, &once) && !decai__norm_text(ctx, &form, once.bytes, once.len, false, &again)) {
            if (again.len != once.len || memcmp(again.bytes, once.bytes, once.len)) abort();
            decai__norm_free(&again);
        }
        decai__norm_free(&once);
    }
    decai__norm_free(&out);
    return 0;
}
