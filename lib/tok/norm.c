/* norm.c - the steps of a tokenizer.json's normalizer, one after the other.
 *
 *     FORM       NFC, NFD, NFKC, NFKD; norm_form.c
 *     LOWER      each character's lower case, whatever stands around it
 *     ACCENTS    characters of category M go
 *     STRIP      white space at the ends goes
 *     REPLACE    a text by another, from the left, no overlap
 *     SPACES     runs of spaces, or of white space, by a text
 *     PREPEND    a text before one that is not empty
 *
 * A step first looks whether it has anything to do; if not, the text is handed on
 * without a copy. As github.com/huggingface/tokenizers has these steps. */
#include "tok/norm_work.h"

#define ROOM_MORE 65536u

/* ---- output ----------------------------------------------------------------------- */

static int32_t
reserve(decai__norm_out *out, size_t len)
{
    size_t need = out->len + len;
    if (need > out->max) return decai__fail(DECAI_E_LIMIT, "normalizer: the text becomes more than %zu bytes", out->max);
    if (need <= out->cap) return 0;
    size_t cap = need + need / 2 + 256;
    uint8_t *bytes = decai__realloc(out->ctx, out->bytes, out->cap, cap);
    if (!bytes) return decai__fail(DECAI_E_NOMEM, "normalizer: no memory for %zu bytes", cap);
    out->bytes = bytes;
    if (out->from->places) {
        size_t before = out->cap ? out->cap + 1 : 0;
        uint32_t *ends = decai__realloc(out->ctx, out->ends, before * sizeof *ends, (cap + 1) * sizeof *ends);
        if (!ends) return decai__fail(DECAI_E_NOMEM, "normalizer: no memory for the places of %zu bytes", cap);
        out->ends = ends;
        out->ends[0] = 0;
    }
    out->cap = cap;
    return 0;
}

static uint32_t
place_of(const decai__norm_out *out, size_t at)
{
    return out->from->ends ? out->from->ends[at] : (uint32_t)at;
}

int32_t
decai__norm_put(decai__norm_out *out, const uint8_t *bytes, size_t len, size_t at, size_t end)
{
    (void)at;
    int32_t r = reserve(out, len);
    if (r) return r;
    if (len) memcpy(out->bytes + out->len, bytes, len);
    for (size_t i = 1; out->ends && i <= len; i++) out->ends[out->len + i] = place_of(out, end);
    out->len += len;
    return 0;
}

int32_t
decai__norm_same(decai__norm_out *out, size_t at, size_t end)
{
    int32_t r = reserve(out, end - at);
    if (r) return r;
    if (end > at) memcpy(out->bytes + out->len, out->from->bytes + at, end - at);
    for (size_t i = at + 1; out->ends && i <= end; i++) out->ends[out->len + i - at] = place_of(out, i);
    out->len += end - at;
    return 0;
}

/* ---- steps --------------------------------------------------------------------------- */

/* The lower case of the character at p, or nothing (0) if it has none of its own. */
static size_t
lower_of(const uint8_t *p, const uint8_t *end, const uint8_t **next, uint8_t out[12])
{
    uint32_t to[3], c = decai__utf8_next(p, end, next);
    if (c < 0x80) {
        out[0] = (uint8_t)(c | 32);
        return c >= 'A' && c <= 'Z';
    }
    if (c == DECAI__BAD || c - 0xac00 < 11172 || (c >= 0x2e80 && c < 0xa640)) return 0;
    size_t n = decai__unicode_rewrite(c, 2, to), len = 0;
    if (n == 1 && to[0] == c) return 0;
    for (size_t i = 0; i < n; i++) len += decai__utf8_put(to[i], out + len);
    return len;
}

static int32_t
lower(decai__norm_out *out, const uint8_t *text, size_t len)
{
    const uint8_t *end = text + len, *n, *from = text;
    uint8_t bytes[12];
    int32_t r = 0;
    for (const uint8_t *p = text; !r && p < end; p = n) {
        size_t k = lower_of(p, end, &n, bytes);
        if (!k) continue;
        r = decai__norm_same(out, (size_t)(from - text), (size_t)(p - text));
        if (!r) r = decai__norm_put(out, bytes, k, (size_t)(p - text), (size_t)(n - text));
        from = n;
        out->changed = true;
    }
    return r || !out->changed ? r : decai__norm_same(out, (size_t)(from - text), len);
}

static int32_t
accents(decai__norm_out *out, const uint8_t *text, size_t len)
{
    const uint8_t *end = text + len, *n, *from = text;
    int32_t r = 0;
    for (const uint8_t *p = text; !r && p < end; p = n) {
        if (*p < 0x80) {
            n = p + 1;
            continue;
        }
        if (!DECAI__IN(decai__class_next(p, end, &n), DECAI__SET_M)) continue;
        r = decai__norm_same(out, (size_t)(from - text), (size_t)(p - text));
        from = n;
        out->changed = true;
    }
    return r || !out->changed ? r : decai__norm_same(out, (size_t)(from - text), len);
}

static int32_t
strip(decai__norm_out *out, const decai__norm_step *step, const uint8_t *text, size_t len)
{
    const uint8_t *p = text, *end = text + len, *n;
    while (step->left && p < end && decai__class_next(p, end, &n) == DECAI__SPACE) p = n;
    while (step->right && p < end) {
        const uint8_t *c = end - 1;
        while (c > p && end - c < 4 && (*c & 0xc0) == 0x80) c--;
        if (decai__class_next(c, end, &n) != DECAI__SPACE || n != end) break;
        end = c;
    }
    if (p == text && end == text + len) return 0;
    out->changed = true;
    return decai__norm_same(out, (size_t)(p - text), (size_t)(end - text));
}

static int32_t
replace(decai__norm_out *out, const decai__norm_step *step, const uint8_t *text, size_t len)
{
    const uint8_t *end = text + len, *from = text, *p = text;
    int32_t r = 0;
    while (!r && (size_t)(end - p) >= step->from_len) {
        p = memchr(p, step->from[0], (size_t)(end - p) - step->from_len + 1);
        if (!p) break;
        if (memcmp(p, step->from, step->from_len)) {
            p++;
            continue;
        }
        r = decai__norm_same(out, (size_t)(from - text), (size_t)(p - text));
        if (!r) r = decai__norm_put(out, step->to, step->to_len, (size_t)(p - text), (size_t)(p - text) + step->from_len);
        from = p += step->from_len;
        out->changed = true;
    }
    return r || !out->changed ? r : decai__norm_same(out, (size_t)(from - text), len);
}

static int32_t
spaces(decai__norm_out *out, const decai__norm_step *step, const uint8_t *text, size_t len)
{
    const uint8_t *end = text + len, *from = text, *n;
    int32_t r = 0;
    for (const uint8_t *p = text; !r && p < end; p = n) {
        const uint8_t *stop = p;
        if (step->least) while (stop < end && *stop == ' ') stop++;
        else while (stop < end && decai__class_next(stop, end, &n) == DECAI__SPACE) stop = n;
        if (stop == p) decai__utf8_next(p, end, &n);
        else n = stop;
        if (stop == p || (size_t)(stop - p) < step->least) continue;
        r = decai__norm_same(out, (size_t)(from - text), (size_t)(p - text));
        if (!r) r = decai__norm_put(out, step->to, step->to_len, (size_t)(p - text), (size_t)(stop - text));
        from = stop;
        out->changed = true;
    }
    return r || !out->changed ? r : decai__norm_same(out, (size_t)(from - text), len);
}

static int32_t
prepend(decai__norm_out *out, const decai__norm_step *step, size_t len)
{
    if (!len || !step->to_len) return 0;
    out->changed = true;
    int32_t r = decai__norm_put(out, step->to, step->to_len, 0, 0);
    return r ? r : decai__norm_same(out, 0, len);
}

static int32_t
take_step(decai__norm_out *out, const decai__norm_step *step)
{
    const uint8_t *text = out->from->bytes;
    size_t len = out->from->len;
    switch (step->kind) {
    case DECAI__NORM_FORM: return decai__norm_form(out, step, text, len);
    case DECAI__NORM_LOWER: return lower(out, text, len);
    case DECAI__NORM_ACCENTS: return accents(out, text, len);
    case DECAI__NORM_STRIP: return strip(out, step, text, len);
    case DECAI__NORM_REPLACE: return replace(out, step, text, len);
    case DECAI__NORM_SPACES: return spaces(out, step, text, len);
    default: return prepend(out, step, len);
    }
}

/* ---- all of them ------------------------------------------------------------------------ */

void
decai__norm_free(decai__normed *text)
{
    if (!text->owned) return;
    decai__free(text->ctx, (void *)(uintptr_t)text->bytes);
    decai__free(text->ctx, (void *)(uintptr_t)text->ends);
}

int32_t
decai__norm_text(decai_context *ctx, const decai__norm *norm, const uint8_t *text, size_t len, bool places,
    decai__normed *out)
{
    size_t max = DECAI__MIN(len, UINT32_MAX / DECAI__NORM_GROWTH_MAX - ROOM_MORE) * DECAI__NORM_GROWTH_MAX + ROOM_MORE;
    int32_t r = 0;
    *out = (decai__normed){ .ctx = ctx, .bytes = text, .len = len, .places = places };
    for (uint32_t i = 0; !r && i < norm->count; i++) {
        decai__norm_out next = { .ctx = ctx, .from = out, .max = max };
        r = take_step(&next, &norm->steps[i]);
        decai__normed made = { ctx, next.bytes ? next.bytes : (const uint8_t *)"", next.ends, next.len, next.bytes != NULL, places };
        if (r || !next.changed) {
            decai__norm_free(&made);
            continue;
        }
        decai__norm_free(out);
        *out = made;
    }
    return r;
}
