/* scan.c - cutting text into pre-tokens, by hand-written scanners.
 *
 * GPT-2's pattern, first alternative that matches at a place:
 *
 *     's | 't | 're | 've | 'm | 'll | 'd
 *     " "? letters   |   " "? numbers   |   " "? others
 *     spaces not followed by a non-space   |   spaces
 *
 * letters, numbers and spaces are \p{L}, \p{N} and White_Space, others the rest.
 * The last line means: a run of spaces before a word leaves its last character
 * to the word if that is " ", else that character stands alone.
 *
 * The digits family (smollm, starcoder, refact, ...) first cuts out every single
 * number, then applies the pattern to what lies between; each stretch is a text
 * of its own, so the spaces before a number stay together.
 *
 * Every byte is looked at a bounded number of times and nothing recurses: no
 * text, however uniform, costs more than linear time or any stack. A byte that
 * is not part of valid UTF-8 counts as one character of class "others".
 *
 * Source of the patterns: the GPT-2 release (encoder.py) and the pre-tokenizer
 * table of llama.cpp (src/llama-vocab.cpp). */
#include <string.h>

#include "tok/internal.h"

bool
decai__pre_find(const char *name, size_t len, enum decai__pre *out)
{
    static const struct { const char *name; enum decai__pre pre; } TABLE[] = {
        { "gpt-2", DECAI__PRE_GPT2 }, { "phi-2", DECAI__PRE_GPT2 }, { "mpt", DECAI__PRE_GPT2 },
        { "olmo", DECAI__PRE_GPT2 }, { "jais", DECAI__PRE_GPT2 }, { "modern-bert", DECAI__PRE_GPT2 },
        { "smollm", DECAI__PRE_DIGITS }, { "starcoder", DECAI__PRE_DIGITS }, { "refact", DECAI__PRE_DIGITS },
        { "command-r", DECAI__PRE_DIGITS }, { "codeshell", DECAI__PRE_DIGITS }, { "exaone", DECAI__PRE_DIGITS },
        { "minerva-7b", DECAI__PRE_DIGITS },
    };
    for (size_t i = 0; i < DECAI__COUNT(TABLE); i++)
        if (strlen(TABLE[i].name) == len && !memcmp(TABLE[i].name, name, len)) {
            *out = TABLE[i].pre;
            return true;
        }
    return false;
}

/* One character: its class, and where the next one starts. Strict UTF-8
 * (Unicode table 3-7): the second byte's range excludes overlong forms,
 * surrogates and what lies beyond U+10FFFF. */
static enum decai__class
next_char(const uint8_t *p, const uint8_t *end, const uint8_t **next)
{
    uint8_t b = *p;
    *next = p + 1;
    if (b < 0x80) return decai__unicode_class(b);
    uint32_t more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1, c = b & (0x3fu >> more);
    uint8_t low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80, high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
    if (b < 0xc2 || b > 0xf4 || (size_t)(end - p) <= more) return DECAI__OTHER;
    for (uint32_t i = 1; i <= more; i++, low = 0x80, high = 0xbf) {
        if (p[i] < low || p[i] > high) return DECAI__OTHER;
        c = c << 6 | (p[i] & 0x3f);
    }
    *next = p + 1 + more;
    return decai__unicode_class(c);
}

/* End of the run of one class that starts at p; *last: its last character. */
static const uint8_t *
run_end(const uint8_t *p, const uint8_t *end, enum decai__class class, const uint8_t **last)
{
    const uint8_t *next;
    for (*last = p; p < end && next_char(p, end, &next) == class; p = next) *last = p;
    return p;
}

/* Length of 's 't 'm 'd 're 've 'll at p, which is an apostrophe; 0: none. */
static size_t
contraction(const uint8_t *p, const uint8_t *end)
{
    size_t n = (size_t)(end - p);
    if (n >= 2 && (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd')) return 2;
    if (n < 3) return 0;
    return !memcmp(p, "'re", 3) || !memcmp(p, "'ve", 3) || !memcmp(p, "'ll", 3) ? 3 : 0;
}

static const uint8_t *
gpt2_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *last, *next;
    size_t n = *p == '\'' ? contraction(p, end) : 0;
    if (n) return p + n;
    const uint8_t *word = *p == ' ' && end - p > 1 ? p + 1 : p;
    enum decai__class class = next_char(word, end, &next);
    if (class != DECAI__SPACE) return run_end(word, end, class, &last);
    const uint8_t *stop = run_end(p, end, DECAI__SPACE, &last);
    return stop == end || last == p ? stop : last;
}

void
decai__scan_begin(decai__scanner *s, enum decai__pre pre, const uint8_t *text, size_t len)
{
    s->pre = pre;
    s->pos = text;
    s->end = text + len;
    s->piece = pre == DECAI__PRE_GPT2 ? s->end : text;
}

bool
decai__scan_next(decai__scanner *s, const uint8_t **out, size_t *len)
{
    const uint8_t *next, *p = s->pos;
    if (p == s->end) return false;
    *out = p;
    if (p == s->piece) {
        /* Digits family, at the border of a stretch: a number stands alone. */
        if (next_char(p, s->end, &next) == DECAI__NUMBER) {
            s->pos = s->piece = next;
            *len = (size_t)(next - p);
            return true;
        }
        while (s->piece < s->end && next_char(s->piece, s->end, &next) != DECAI__NUMBER) s->piece = next;
    }
    s->pos = gpt2_end(p, s->piece);
    *len = (size_t)(s->pos - p);
    decai__assert(*len > 0);
    return true;
}
