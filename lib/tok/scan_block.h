/* scan_block.h - 64 bytes at a time: which of them are what, as bits, and where
 * pieces begin among them. Included by scan_block.c once for each instruction set;
 * all of it is plain C but for the making of the first masks.
 *
 * A block begins where a piece begins, so nothing before it matters. Bit i stands
 * for byte i. Bytes of one character share their class; `rest` marks those that
 * are not its first. Runs are found by adding: a carry goes through ones.
 *
 *     s + run          the bit behind each run of ones that begins at a bit of s
 *     run & ~(s + run) the rest of such a run
 *
 * The last run in sight may go on, and what stands in it may depend on that; all
 * starts up to its first byte are right, and only those are given. A character
 * that the bits cannot tell (a number or space beyond ASCII, a mark that may lead
 * a word, a capital behind a letter without case) ends the block before it. The
 * piece that begins there is found by the plain scanner, as all are without this
 * file: it is the truth, this is its quick twin. */
#ifndef DECAI__TOK_SCAN_BLOCK_H
#define DECAI__TOK_SCAN_BLOCK_H

#include "tok/scan_words.h"

/* Inlined where they are used, so that they are compiled for the caller's
 * instruction set. */
#define BLOCK_INLINE static inline __attribute__((always_inline, unused))
#define BLOCK 64u

/* In what the patterns differ; scan_words.c has them in full. */
typedef struct block_rules {
    bool on;                         /* this pattern is known here */
    bool plain;                      /* GPT-2: only " " leads, line ends are spaces like others */
    bool cased;                      /* words end where lower case ends */
    bool marks;                      /* marks are letters */
    uint8_t numbers;                 /* most numbers in a piece: 1, 3, or 0 for any */
    uint8_t after;                   /* behind signs: 0 nothing, 1 line ends, 2 line ends and "/" */
    uint8_t contraction;             /* 1 before all else, 2 behind words */
} block_rules;

typedef struct masks {
    uint64_t upper, lower, digit, space, blank, newline, slash, quote, high;
} masks;

/* What the bytes are, characters beyond ASCII among them. letter holds upper and
 * lower and, if words are cased, both (letters and marks of no case). */
typedef struct classes {
    uint64_t letter, upper, lower, both, digit, space, blank, newline, slash, quote, sign, rest;
    uint32_t limit;                  /* bytes that are known */
} classes;

/* First bytes of letters that their bytes alone tell: capital, small, of no case. */
typedef struct wide {
    uint64_t upper, lower, both;
} wide;
typedef wide wide_fn(const uint8_t *p);

BLOCK_INLINE uint64_t
below(uint32_t n)
{
    return n < 64 ? ((uint64_t)1 << n) - 1 : UINT64_MAX;
}

/* The character at bit i of the block: its bits in the masks. False: it ends the
 * block. */
BLOCK_INLINE bool
add_high(classes *c, const block_rules *s, uint32_t i, uint64_t bits, enum decai__class k)
{
    c->rest |= bits & (bits - 1) & ~((uint64_t)1 << i);
    if (DECAI__IN(k, DECAI__SET_N | DECAI__SET_SPACE)) return false;
    if (!s->cased) {
        if (DECAI__IN(k, DECAI__SET_L | (s->marks ? DECAI__SET_M : 0))) c->letter |= bits;
        return true;
    }
    if (!DECAI__IN(k, DECAI__SET_L | DECAI__SET_M)) return true;
    if (DECAI__IN(k, DECAI__SET_M) && !(i && c->letter >> (i - 1) & 1)) return false;
    c->letter |= bits;
    if (k == DECAI__LL) c->lower |= bits;
    else if (DECAI__IN(k, DECAI__SET_LOWER)) c->both |= bits;
    else c->upper |= bits;
    return true;
}

/* Many letters at once: which bytes are theirs. A byte that begins a character
 * never stands within another, so that what is before it does not matter. */
BLOCK_INLINE uint64_t
add_wide(classes *c, const block_rules *s, wide w)
{
    uint64_t upper = w.upper | w.upper << 1, lower = w.lower | w.lower << 1, both = w.both | w.both << 1 | w.both << 2;
    uint64_t all = upper | lower | both;
    c->letter |= all;
    c->rest |= all & ~(w.upper | w.lower | w.both);
    if (s->cased) c->upper |= upper, c->lower |= lower, c->both |= both;
    return all;
}

BLOCK_INLINE classes
classify(const uint8_t *p, const uint8_t *end, const block_rules *s, const masks *m, wide_fn *look_wide)
{
    classes c = { .letter = m->upper | m->lower, .upper = m->upper, .lower = m->lower, .digit = m->digit, .space = m->space,
        .blank = m->blank, .newline = m->newline, .slash = m->slash, .quote = m->quote, .limit = BLOCK };
    uint64_t high = m->high;
    if (high & high << 3) high &= ~add_wide(&c, s, look_wide(p));     /* one alone costs less below */
    while (high) {
        const uint8_t *n;
        uint32_t i = (uint32_t)__builtin_ctzll(high);
        enum decai__class k = decai__class_next(p + i, end, &n);
        uint32_t len = (uint32_t)(n - p) - i;
        uint64_t bits = below(len) << i;
        if (i + len > BLOCK || !add_high(&c, s, i, bits, k)) {
            c.limit = i;
            break;
        }
        high &= ~bits;
    }
    if (s->cased) {
        uint64_t lost = c.upper & ~c.rest & c.both << 1 & below(c.limit);
        if (lost) c.limit = (uint32_t)__builtin_ctzll(lost);
    }
    uint64_t in = below(c.limit);
    c.letter &= in, c.upper &= in, c.lower &= in, c.both &= in, c.digit &= in, c.space &= in, c.blank &= in, c.newline &= in;
    c.slash &= in, c.quote &= in, c.rest &= in;
    c.sign = in & ~(c.letter | c.digit | c.blank);
    return c;
}

/* Where the last run begins. limit > 0. */
BLOCK_INLINE uint32_t
last_run(const classes *c)
{
    uint64_t last = (uint64_t)1 << (c->limit - 1), run;
    run = c->letter & last ? c->letter : c->digit & last ? c->digit : c->blank & last ? c->blank : c->sign;
    uint64_t other = ~run & below(c->limit);
    return other ? 64 - (uint32_t)__builtin_clzll(other) : 0;
}

BLOCK_INLINE uint64_t
number_starts(uint64_t digit, uint32_t most)
{
    uint64_t first = digit & ~(digit << 1), all = first;
    if (most == 1) return digit;
    if (most == 3)
        for (uint64_t at = first, four = digit & digit << 1 & digit << 2 & digit << 3; (at = at << 3 & four) != 0;) all |= at;
    return all;
}

/* Spaces behind the last line end of their run are a piece of their own; of those
 * where another line end comes, nothing begins. */
BLOCK_INLINE uint64_t
tails(uint64_t blank, uint64_t newline)
{
    uint64_t open = blank & ~newline, first = open & newline << 1;
    if (!first || !((open + first) & ~open & newline)) return first;
    for (uint64_t each = first; each; each &= each - 1) {
        uint64_t one = each & -each;
        if ((open + one) & ~open & newline) first &= ~one;
    }
    return first;
}

/* Contractions before all else: the piece that begins with an apostrophe ends
 * behind them. */
BLOCK_INLINE uint64_t
lead_contractions(const uint8_t *p, const uint8_t *end, const classes *c, uint64_t starts, bool fold)
{
    for (uint64_t each = c->quote & starts; each; each &= each - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(each);
        size_t len = decai__contraction(p + i, end, fold);
        if (!len) continue;
        starts &= ~((uint64_t)2 << i);       /* GPT-2's words begin behind the apostrophe */
        if (i + len < BLOCK) starts |= (uint64_t)1 << (i + len) & c->letter;
    }
    return starts;
}

/* Contractions that end a word. */
BLOCK_INLINE uint64_t
tail_contractions(const uint8_t *p, const uint8_t *end, const classes *c, uint64_t starts)
{
    size_t stop = 0;
    for (uint64_t each = c->quote & c->letter << 1; each; each &= each - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(each);
        size_t len = i == stop ? 0 : decai__contraction(p + i, end, true);
        if (!len) continue;
        stop = i + len;
        starts &= ~(below((uint32_t)len) << i);
        if (stop < BLOCK) starts |= (uint64_t)1 << stop & c->letter;
    }
    return starts;
}

/* Line ends (with after 2, slashes too) behind signs: they belong to them. */
BLOCK_INLINE uint64_t
tail_of_signs(uint64_t sign, uint64_t newline, uint64_t slash, uint8_t after)
{
    uint64_t first = newline & sign << 1, on = newline | (after == 2 ? slash : 0), out = 0;
    if (!after || !first) return 0;
    /* A run that holds several firsts is "\n/\n": one by one. */
    if (after == 1 || !(on & slash & newline << 1)) return on & ~(on + first);
    for (; first; first &= first - 1) out |= on & ~(on + (first & -first));
    return out;
}

/* Where pieces begin: right up to last_run. */
BLOCK_INLINE uint64_t
starts_of(const uint8_t *p, const uint8_t *end, const classes *c, const block_rules *s)
{
    uint64_t sign = c->sign, blank = c->blank, newline = s->plain ? 0 : c->newline, tail;
    tail = tail_of_signs(sign, newline, c->slash, s->after);
    sign &= ~tail, blank &= ~tail, newline &= ~tail;
    uint64_t open = blank & ~newline, first_sign = sign & ~(sign << 1);
    /* Of a run before something, the last space is no longer its own. */
    uint64_t last = (open + (open & ~(open << 1))) & ~open & ~newline;
    uint64_t starts = (blank & ~(blank << 1)) | last >> 1 | tails(blank, newline);
    uint64_t lead = s->plain ? c->space : open;
    uint64_t words = c->letter & ~(c->letter << 1) & ~(lead << 1);
    first_sign &= ~(c->space << 1);
    /* One sign alone leads a word. */
    if (!s->plain) words &= ~(((first_sign << 1) + c->rest) & ~c->rest);
    if (s->cased) words |= c->upper & ~c->rest & c->lower << 1;
    uint64_t numbers = number_starts(c->digit, s->numbers);
    if (s->plain) numbers &= ~(c->space << 1);
    starts |= words | numbers | first_sign;
    if (s->contraction == 1 && c->quote & starts) starts = lead_contractions(p, end, c, starts, !s->plain);
    if (s->contraction == 2 && c->quote) starts = tail_contractions(p, end, c, starts);
    return starts;
}

#endif /* DECAI__TOK_SCAN_BLOCK_H */
