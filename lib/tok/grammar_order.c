/* grammar_order.c - a vocabulary in the order of its bytes, for masks.
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

typedef struct entry { uint64_t head; uint32_t id, len; const uint8_t *bytes; } entry;

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

static size_t
read_entries(entry *out, const decai_tokenizer *t)
{
    size_t n = 0;
    for (uint32_t id = 0; id < t->count; id++) {
        uint32_t len = (uint32_t)decai__token_len(t, id);
        if (!len || !decai__tok_is_text(t, (int32_t)id)) continue;
        entry e = { 0, id, len, t->bytes + t->offset[id] };
        for (uint32_t k = 0; k < 8; k++) e.head = e.head << 8 | (k < len ? e.bytes[k] : 0);
        out[n++] = e;
    }
    return n;
}

static void
sort(entry *e, entry *spare, size_t count)
{
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
shared(const entry *a, const entry *b)
{
    uint32_t n = DECAI__MIN(DECAI__MIN(a->len, b->len), 255), k = 0;
    while (k < n && a->bytes[k] == b->bytes[k]) k++;
    return (uint8_t)k;
}

static void
fill(decai__order *o, const entry *e)
{
    for (uint32_t i = 0; i < o->count; i++) {
        o->id[i] = e[i].id;
        o->common[i] = i ? shared(&e[i - 1], &e[i]) : 0;
    }
    for (uint32_t b = 0, i = 0; b <= 256; b++) {
        while (b && i < o->count && e[i].bytes[0] < b) i++;
        o->first[b] = b == 256 ? o->count : i;
    }
}

int32_t
decai__order_make(decai__order **out, const decai_tokenizer *t)
{
    decai_context *ctx = t->h.context;
    entry *e = decai__alloc(ctx, 2 * (size_t)t->count * sizeof *e);
    decai__order *o = decai__calloc(ctx, 1, sizeof *o);
    *out = NULL;
    if (e && o) {
        o->count = (uint32_t)read_entries(e, t);
        o->id = decai__alloc(ctx, ((size_t)o->count + 1) * sizeof *o->id);
        o->common = decai__alloc(ctx, (size_t)o->count + 1);
    }
    bool ok = e && o && o->id && o->common;
    if (ok) {
        sort(e, e + t->count, o->count);
        fill(o, e);
        *out = o;
    } else {
        decai__order_free(ctx, o);
    }
    decai__free(ctx, e);
    return ok ? 0 : decai__fail(DECAI_E_NOMEM, "grammar: %u tokens", t->count);
}

void
decai__order_free(decai_context *ctx, decai__order *o)
{
    if (!o) return;
    decai__free(ctx, o->id);
    decai__free(ctx, o->common);
    decai__free(ctx, o);
}
