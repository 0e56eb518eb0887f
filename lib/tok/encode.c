/* encode.c - text to ids: tokens matched as a whole, then pre-tokens, then BPE.
 *
 * User-defined tokens are always looked for; control tokens (and the unknown
 * token) only with DECAI_ENCODE_SPECIAL, so that a user's text cannot steer the
 * model by spelling a control token. The leftmost match wins, and of those the
 * longest. Matching costs at most text length times the longest such token
 * (DECAI__SPECIAL_BYTES_MAX), by narrowing a sorted list byte by byte. */
#include <string.h>

#include "tok/internal.h"

/* First place in match[low, high) whose byte at `depth` is >= byte. All of the
 * range share their first `depth` bytes; shorter tokens come first. */
static uint32_t
narrow(const decai_tokenizer *t, uint32_t low, uint32_t high, size_t depth, uint32_t byte)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2, id = t->match[mid];
        bool less = decai__token_len(t, id) <= depth || t->bytes[t->offset[id] + depth] < byte;
        if (less) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* The longest token that stands at p; -1: none. */
static int32_t
match_at(const decai_tokenizer *t, const uint8_t *p, const uint8_t *end, bool control)
{
    int32_t best = -1;
    uint32_t low = t->match_first[*p], high = t->match_first[*p + 1];
    for (size_t depth = 1; low < high; depth++) {
        /* Tokens that end here come first in the range, lower ids first. */
        bool found = false;
        for (; low < high && decai__token_len(t, t->match[low]) == depth; low++) {
            if (found || !(control || t->kind[t->match[low]] == DECAI_TOKEN_USER)) continue;
            best = (int32_t)t->match[low];
            found = true;
        }
        if (p + depth == end) break;
        high = narrow(t, low, high, depth, (uint32_t)p[depth] + 1);
        low = narrow(t, low, high, depth, p[depth]);
    }
    return best;
}

static int32_t
encode_plain(const decai_tokenizer *t, decai__bpe *b, decai__buf *out, const uint8_t *text, size_t len)
{
    decai__scanner s;
    const uint8_t *piece;
    size_t n;
    int32_t r = 0;
    decai__scan_begin(&s, t->pre, text, len);
    while (!r && decai__scan_next(&s, &piece, &n)) r = decai__bpe_encode(b, t, piece, n, out);
    return r;
}

static int32_t
add_id(decai__buf *out, int32_t id)
{
    return decai__buf_add(out, &id, sizeof id);
}

int32_t
decai__tok_encode(const decai_tokenizer *t, decai__buf *out, const uint8_t *text, size_t len, int32_t flags)
{
    decai__bpe b = { decai__context_of(t), NULL, NULL, 0 };
    bool control = flags & DECAI_ENCODE_SPECIAL, add = flags & DECAI_ENCODE_ADD;
    int32_t r = 0;
    /* Before any pointer is made of it: text + a wild len is not a pointer. */
    if (len > t->text_max) return decai__fail(DECAI_E_LIMIT, "tok.text_max: %zu bytes are above %zu", len, t->text_max);
    const uint8_t *p = text, *end = text + len, *plain = text;
    if (add && t->add_bos) r = add_id(out, t->special[DECAI__BOS]);
    while (!r && p < end) {
        int32_t id = match_at(t, p, end, control);
        if (id < 0) {
            p++;
            continue;
        }
        r = encode_plain(t, &b, out, plain, (size_t)(p - plain));
        if (!r) r = add_id(out, id);
        plain = p += decai__token_len(t, (uint32_t)id);
    }
    if (!r) r = encode_plain(t, &b, out, plain, (size_t)(end - plain));
    if (!r && add && t->add_eos) r = add_id(out, t->special[DECAI__EOS]);
    decai__bpe_free(&b);
    return r;
}
