/* wpm.c - WordPiece, as BERT's reference and Hugging Face's port do it.
 *
 *     clean     control characters go; white space is a space
 *     cjk       an ideograph is a word of its own
 *     strip     canonical decomposition, nonspacing marks go
 *     lower     lower case
 *     words     between spaces; each punctuation sign alone
 *     pieces    the longest token that begins the word (in the vocabulary with a
 *               space before it), then the longest that goes on, ...; a word that
 *               cannot be had so, or is longer than 100 characters, is unknown
 *
 * Source: github.com/google-research/bert, tokenization.py. */
#include "tok/internal.h"

#define WORD_MAX 100                 /* characters */

static bool
is_cjk(uint32_t c)
{
    /* 2B920, not 2B820: so it stands in the port that made the published ids. */
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df)
        || (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf)
        || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static size_t
utf8_put(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(c | (n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0));
    return n;
}

/* The word norm[from, norm_len), which begins with a space, to ids. */
static int32_t
add_word(decai__work *w, size_t from, size_t chars)
{
    const decai_tokenizer *t = w->t;
    size_t before = w->ids->dropped + w->ids->len, end = w->norm_len;
    int32_t r = 0, unknown = t->special[DECAI__UNKNOWN];
    bool known = chars <= WORD_MAX;
    for (size_t at = from; !r && known && at < end;) {
        int32_t id = -1;
        size_t stop = DECAI__MIN(end, at + t->token_bytes_max);
        for (; stop > at; stop--) {
            if (stop < end && (w->norm[stop] & 0xc0) == 0x80) continue;
            if (at == from && stop == at + 1) break;      /* the space alone is no piece */
            id = decai__piece_find(t, w->norm + at, stop - at);
            if (id >= 0) break;
        }
        known = id >= 0;
        if (known) r = decai__ids_add(w->ids, id, decai__work_end(w, w->norm_end[stop]));
        at = stop;
    }
    if (r || known) return r;
    decai__ids_back(w->ids, before);
    if (unknown < 0) return decai__fail(DECAI_E_UNSUPPORTED, "text: a word has no tokens, and the vocabulary no unknown token");
    return decai__ids_add(w->ids, unknown, decai__work_end(w, w->norm_end[end]));
}

typedef struct words { decai__work *w; size_t chars; } words;

static int32_t
end_word(words *s)
{
    int32_t r = s->chars ? add_word(s->w, 0, s->chars) : 0;
    s->chars = 0;
    s->w->norm_len = 0;
    return r;
}

/* One character after all rewriting. */
static int32_t
add_char(words *s, uint32_t c, size_t end)
{
    uint8_t bytes[4];
    enum decai__class k = decai__unicode_class(c);
    bool sign = k == DECAI__P || (k == DECAI__S && c < 0x80);
    bool alone = sign || (s->w->t->rules.cjk && is_cjk(c));
    int32_t r = 0;
    if (k == DECAI__SPACE || alone) r = end_word(s);
    if (r || k == DECAI__SPACE) return r;
    if (!s->chars++) r = decai__norm_add(s->w, (const uint8_t *)" ", 1, 0);
    if (!r) r = decai__norm_add(s->w, bytes, utf8_put(c, bytes), end);
    return r || !alone ? r : end_word(s);
}

/* Hangul syllables decompose by arithmetic (Unicode 3.12). */
static size_t
hangul(uint32_t c, uint32_t out[3])
{
    uint32_t s = c - 0xac00;
    out[0] = 0x1100 + s / 588;
    out[1] = 0x1161 + s % 588 / 28;
    out[2] = 0x11a7 + s % 28;
    return s % 28 ? 3 : 2;
}

static int32_t
rewrite_char(words *s, uint32_t c, size_t end)
{
    const decai__rules *rules = &s->w->t->rules;
    uint32_t out[3] = { c, 0, 0 };
    size_t n = 1;
    enum decai__class k = decai__unicode_class(c);
    if (rules->clean && (c == 0 || c == 0xfffd || c == DECAI__BAD)) return 0;
    if (rules->clean && (k == DECAI__CC || k == DECAI__CF || k == DECAI__CO)) return 0;
    if (rules->clean && c < 0x20 && c != '\t' && c != '\n' && c != '\r') return 0;
    if (rules->clean && c == 0x85) return 0;
    if (rules->strip && k == DECAI__MN) return 0;
    if (c < 0x80) {
        if (rules->lower && c >= 'A' && c <= 'Z') out[0] = c + 32;
    } else if (rules->strip && c >= 0xac00 && c < 0xd7a4) {
        n = hangul(c, out);
    } else if ((rules->strip || rules->lower) && !(c >= 0xac00 && c < 0xd7a4) && c != DECAI__BAD) {
        n = decai__unicode_rewrite(c, rules->strip + 2 * rules->lower, out);
    }
    int32_t r = 0;
    for (size_t i = 0; !r && i < n; i++) r = add_char(s, out[i] == DECAI__BAD ? 0xfffd : out[i], end);
    return r;
}

int32_t
decai__wpm_piece(decai__work *w, const uint8_t *text, size_t len)
{
    words s = { w, 0 };
    const uint8_t *end = text + len, *n;
    int32_t r = 0;
    w->norm_len = 0;
    for (const uint8_t *p = text; !r && p < end; p = n) {
        uint32_t c = decai__utf8_next(p, end, &n);
        r = rewrite_char(&s, c, (size_t)(n - text));
    }
    return r ? r : end_word(&s);
}
