/* grammar_order.c - texts in the order of their bytes, for masks: a vocabulary's.
 *
 * Neighbours share beginnings: a token is walked from where it parts from the one
 * before it, and where a beginning cannot follow, all tokens with it are done.
 *
 *     i    token   common
 *     7    "a
 *     8    "ab     2          after 7, one byte more is walked
 *     9    "abc    3
 *     10   "b      1          where "a cannot follow, 8 and 9 are passed over
 *
 * Sorted by their first eight bytes in eight passes of counting, then, where these
 * are equal, by heap sort: O(n log n) for any vocabulary.
 */
#include <string.h>

#include "tok/grammar.h"
#include "tok/internal.h"

typedef decai__order_text entry;

/* 0-9, a-f, g-z, A-F, G-Z, _, -, space, ., quote and backslash, control, other ASCII. */
const uint8_t decai__byte_class[128] = {
    10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
    7, 11, 9, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 6, 8, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 11, 11, 11, 11, 11,
    11, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 11, 9, 11, 11, 5,
    11, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 11, 11, 11, 11, 10,
};

const decai__utf8_form decai__utf8_forms[DECAI__UTF8_FORMS] = {
    { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xe1, 0x80, 0xbf, 3 }, { 0xe2, 0xe2, 0x80, 0xbf, 3 },
    { 0xe3, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
    { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* Bytes of the character beyond ASCII at p, of which `len` are there; 0: it is none. */
static uint32_t
character(const uint8_t *p, uint32_t len)
{
    for (const decai__utf8_form *f = decai__utf8_forms; f < decai__utf8_forms + DECAI__UTF8_FORMS; f++) {
        if (*p < f->low || *p > f->high) continue;
        if (len > 1 && (p[1] < f->second_low || p[1] > f->second_high)) return 0;
        for (uint32_t i = 2; i < DECAI__MIN(len, f->len); i++)
            if (p[i] >> 6 != 2) return 0;
        return DECAI__MIN(len, f->len);
    }
    return 0;
}

static uint16_t
classes_of(const uint8_t *p, uint32_t len, uint8_t *chars)
{
    uint32_t out = 0, count = 0;
    for (uint32_t i = *p < 0x80, n; i < len; i += n) {
        bool ascii = p[i] < 0x80;
        n = ascii ? 1 : character(p + i, len - i);
        if (!n) return 1u << DECAI__CLASS_NEVER;
        count++;
        out |= 1u << (ascii ? decai__byte_class[p[i]] : p[i] == 0xe2 ? DECAI__CLASS_E2 : DECAI__CLASS_BEYOND);
    }
    *chars = (uint8_t)DECAI__MIN(count, 255);
    return (uint16_t)out;
}

static int
by_bytes(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    uint32_t n = DECAI__MIN(x->len, y->len);
    int c = n ? memcmp(x->bytes, y->bytes, n) : 0;
    if (c) return c;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* One pass of counting by byte `shift` of the heads. */
static void
pass(entry *to, const entry *from, size_t count, uint32_t shift)
{
    size_t at[257] = { 0 };
    for (size_t i = 0; i < count; i++) at[(from[i].head >> shift & 255) + 1]++;
    for (size_t b = 0; b < 256; b++) at[b + 1] += at[b];
    for (size_t i = 0; i < count; i++) to[at[from[i].head >> shift & 255]++] = from[i];
}

void
decai__order_sort(entry *e, entry *spare, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        e[i].head = 0;
        for (uint32_t k = 0; k < 8; k++) e[i].head = e[i].head << 8 | (k < e[i].len ? e[i].bytes[k] : 0);
    }
    for (uint32_t shift = 0; shift < 64; shift += 16) {
        pass(spare, e, count, shift);
        pass(e, spare, count, shift + 8);
    }
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && e[end].head == e[i].head;) end++;
        if (end - i > 1) decai__sort(e + i, end - i, sizeof *e, by_bytes);
    }
}

static uint8_t
shared(const decai__order *o, uint32_t i)
{
    const uint8_t *a = o->bytes + o->start[i - 1], *b = o->bytes + o->start[i];
    uint32_t n = DECAI__MIN(decai__order_len(o, i - 1), decai__order_len(o, i)), k = 0;
    while (k < n && k < 255 && a[k] == b[k]) k++;
    return (uint8_t)k;
}

static void
fill(decai__order *o, const entry *e)
{
    for (uint32_t i = 0, at = 0; i < o->count; at += e[i++].len) {
        o->id[i] = e[i].id;
        o->start[i] = at;
        o->start[i + 1] = at + e[i].len;
        memcpy(o->bytes + at, e[i].bytes, e[i].len);
        o->classes[i] = classes_of(e[i].bytes, e[i].len, &o->chars[i]);
        o->common[i] = i ? shared(o, i) : 0;
    }
    for (uint32_t b = 0, i = 0; b <= 256; b++) {
        while (b && i < o->count && o->bytes[o->start[i]] < b) i++;
        o->first[b] = b == 256 ? o->count : i;
    }
}

int32_t
decai__order_make(decai__order *o, decai_context *ctx, const decai__order_text *texts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += texts[i].len;
    *o = (decai__order){ .count = (uint32_t)count };
    if (bytes > UINT32_MAX) return decai__fail(DECAI_E_LIMIT, "grammar: %zu bytes of tokens", bytes);
    o->bytes = decai__alloc(ctx, bytes + 1);
    o->start = decai__calloc(ctx, count + 1, sizeof *o->start);
    o->id = decai__alloc(ctx, (count + 1) * sizeof *o->id);
    o->common = decai__alloc(ctx, count + 1);
    o->classes = decai__alloc(ctx, (count + 1) * sizeof *o->classes);
    o->chars = decai__calloc(ctx, count + 1, 1);
    if (!o->chars || !o->bytes || !o->start || !o->id || !o->common || !o->classes) return decai__fail(DECAI_E_NOMEM, "grammar: %zu tokens in order", count);
    fill(o, texts);
    return 0;
}

void
decai__order_free(decai_context *ctx, decai__order *o)
{
    decai__free(ctx, o->id);
    decai__free(ctx, o->start);
    decai__free(ctx, o->bytes);
    decai__free(ctx, o->common);
    decai__free(ctx, o->classes);
    decai__free(ctx, o->chars);
}
