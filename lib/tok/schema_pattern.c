/* schema_pattern.c - the regular expressions of `pattern`, into a net of JSON spelling.
 *
 *     a  \.  \n \r \t \f \v \/  \xHH  \uHHHH      one character
 *     .  [a-z] [^a-z]  \d \w \s \D \W \S          one of a set
 *     ( )  (?: )  (?<name> )  |                    groups and choices
 *     *  +  ?  {m}  {m,}  {m,n}, and each with ?   repetition; greedy or not is the same
 *     ^  $                                          at the ends of the whole, or of a branch of it
 *
 * What is not anchored may have any text before or behind it. Everything else, look-around,
 * references, \b and \p above all, is refused by name. The dialects disagree beyond
 * ASCII: \d \w \s and what they leave out are ASCII here (\S apart), so that a text holds in all.
 */
#include <string.h>

#include "tok/schema.h"

#define NEST_MAX 64
#define SET_MAX  256                 /* ranges of one set */

typedef struct regex {
    decai__schema *s;
    decai__net *n;
    const char *text, *end;
    uint32_t nest;
} regex;

typedef struct set { decai__range r[SET_MAX + 1]; size_t n; } set;

static void
fail(regex *r, const char *why)
{
    decai__schema_fail(r->s, DECAI_E_UNSUPPORTED, "pattern", why);
    r->text = r->end;
}

static bool
eat(regex *r, const char *what)
{
    size_t n = strlen(what);
    if ((size_t)(r->end - r->text) < n || memcmp(r->text, what, n)) return false;
    r->text += n;
    return true;
}

/* ---- sets ------------------------------------------------------------------------------ */

static void
put(regex *r, set *out, uint32_t low, uint32_t high)
{
    if (out->n == SET_MAX) fail(r, "more than 256 ranges in a set");
    else out->r[out->n++] = (decai__range){ low, high };
}

/* \d and its kin; false: another letter. */
static bool
named_set(regex *r, set *out, char c)
{
    static const decai__range digit[] = { { '0', '9' } }, word[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };
    static const decai__range space[] = { { 9, 13 }, { ' ', ' ' } };
    static const decai__range beyond[] = { { 0x80, 0x84 }, { 0x86, 0x9f }, { 0xa1, 0x167f }, { 0x1681, 0x1fff }, { 0x200b, 0x2027 }, { 0x202a, 0x202e },
        { 0x2030, 0x205e }, { 0x2060, 0x2fff }, { 0x3001, 0xfefe }, { 0xff00, 0x10ffff } };
    char lower = (char)(c | 32);
    const decai__range *of = lower == 'd' ? digit : lower == 'w' ? word : space;
    size_t n = lower == 'd' ? 1 : lower == 'w' ? 4 : 2;
    decai__range inverse[8];
    if (lower != 'd' && lower != 'w' && lower != 's') return false;
    if (c == lower) {
        for (size_t i = 0; i < n; i++) put(r, out, of[i].low, of[i].high);
        return true;
    }
    size_t m = decai__ranges_invert(inverse, of, n);
    for (size_t i = 0; i < m; i++)
        if (inverse[i].low < 0x80) put(r, out, inverse[i].low, DECAI__MIN(inverse[i].high, 0x7f));
    for (size_t i = 0; i < DECAI__COUNT(beyond) && lower == 's'; i++) put(r, out, beyond[i].low, beyond[i].high);
    return true;
}

static uint32_t
hex(regex *r, uint32_t digits)
{
    uint32_t v = 0;
    for (; digits && r->text < r->end; digits--, r->text++) {
        char c = *r->text, l = (char)(c | 32);
        if (!((c >= '0' && c <= '9') || (l >= 'a' && l <= 'f'))) break;
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : l - 'a' + 10);
    }
    if (digits || (v >= 0xd800 && v <= 0xdfff)) fail(r, "a hexadecimal escape that is no character");
    return v;
}

/* What follows a backslash: one character, or a set put into out (then DECAI__NONE). */
static uint32_t
escape(regex *r, set *out)
{
    char c = r->text < r->end ? *r->text++ : 0;
    if (named_set(r, out, c)) return DECAI__NONE;
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'x': return hex(r, 2);
    case 'u': return hex(r, 4);
    default: break;
    }
    if (!c || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (uint8_t)c >= 0x80)
        fail(r, "an escape that is not built (references, \\b, \\p and their kin)");
    return (uint8_t)c;
}

static uint32_t
character(regex *r)
{
    uint8_t b = (uint8_t)*r->text++;
    uint32_t more = b < 0x80 ? 0 : b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3, v = more ? b & (0x3fu >> more) : b;
    for (; more; more--) v = v << 6 | ((uint8_t)*r->text++ & 0x3f);
    return v;
}

static void
read_set(regex *r, set *out)
{
    bool invert = eat(r, "^");
    set in = { .n = 0 };
    while (r->text < r->end && *r->text != ']') {
        uint32_t low = eat(r, "\\") ? *r->text == 'b' ? (r->text++, 8u) : escape(r, &in) : character(r), high = low;
        if (low != DECAI__NONE && r->end - r->text > 1 && *r->text == '-' && r->text[1] != ']') {
            r->text++;
            high = eat(r, "\\") ? escape(r, &in) : character(r);
            if (high == DECAI__NONE || high < low) fail(r, "a range of a set that ends before it begins");
        }
        if (low != DECAI__NONE && r->text <= r->end) put(r, &in, low, high);
    }
    if (!eat(r, "]")) fail(r, "a set has no ]");
    in.n = decai__ranges_join(in.r, in.n);
    if (!invert) *out = in;
    else out->n = decai__ranges_invert(out->r, in.r, in.n);
}

/* ---- pieces ----------------------------------------------------------------------------- */

static decai__piece
start_piece(decai__net *n)
{
    uint32_t s = decai__net_state(n);
    return (decai__piece){ s, s, s, s };
}

static decai__piece choices(regex *r, bool outer);

static decai__piece
group(regex *r)
{
    if (eat(r, "?")) {
        if (eat(r, "<") && r->text < r->end && *r->text != '=' && *r->text != '!') {
            const char *close = memchr(r->text, '>', (size_t)(r->end - r->text));
            if (close) r->text = close + 1;
            else fail(r, "a group's name has no >");
        } else if (!eat(r, ":")) {
            fail(r, "look-around and flags are not built");
        }
    }
    if (++r->nest > NEST_MAX) fail(r, "groups nest deeper than 64");
    decai__piece p = choices(r, false);
    r->nest--;
    if (!eat(r, ")")) fail(r, "a group has no )");
    return p;
}

static decai__piece
atom(regex *r)
{
    static const decai__range dot[] = { { 0, 9 }, { 11, 12 }, { 14, 0x2027 }, { 0x202a, 0x10ffff } };
    decai__net *n = r->n;
    set one = { .n = 0 };
    if (eat(r, "(")) return group(r);
    decai__piece p = start_piece(n);
    if (eat(r, "[")) {
        read_set(r, &one);
    } else if (eat(r, ".")) {
        memcpy(one.r, dot, sizeof dot);
        one.n = DECAI__COUNT(dot);
    } else {
        uint32_t c = 0;
        if (eat(r, "\\")) c = escape(r, &one);
        else if (strchr("^$*+?{}", *r->text)) fail(r, "^ or $ inside, or a repetition of nothing");
        else c = character(r);
        if (c != DECAI__NONE) put(r, &one, c, c);
    }
    one.n = decai__ranges_join(one.r, one.n);
    p.to = decai__net_state(n);
    decai__schema_characters(n, p.from, p.to, one.r, one.n);
    p.last = n->error ? p.first : (uint32_t)n->states - 1;
    return p;
}

static uint32_t
number(regex *r)
{
    uint32_t v = 0;
    if (r->text == r->end || *r->text < '0' || *r->text > '9') fail(r, "a repetition without a number");
    for (; r->text < r->end && *r->text >= '0' && *r->text <= '9'; r->text++) v = DECAI__MIN(v * 10 + (uint32_t)(*r->text - '0'), 10000000u);
    return v;
}

static bool
repetition(regex *r, uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = DECAI__NONE;
    if (eat(r, "*")) return true;
    if (eat(r, "+")) return *least = 1, true;
    if (eat(r, "?")) return *most = 1, true;
    if (!eat(r, "{")) return false;
    *least = *most = number(r);
    if (eat(r, ",")) *most = r->text < r->end && *r->text == '}' ? DECAI__NONE : number(r);
    if (!eat(r, "}")) fail(r, "a repetition has no }");
    if (*most < *least) fail(r, "a repetition that ends before it begins");
    return true;
}

/* Any text: what may stand where no anchor does. */
static void
put_any(regex *r, decai__piece *all)
{
    static const decai__range any = { 0, 0x10ffff };
    uint32_t loop = decai__net_state(r->n);
    decai__net_empty(r->n, all->to, loop);
    decai__schema_characters(r->n, loop, loop, &any, 1);
    all->to = loop;
}

static decai__piece
sequence(regex *r, bool outer)
{
    decai__net *n = r->n;
    decai__piece all = start_piece(n);
    uint32_t least, most;
    bool ended = false;
    if (outer && !eat(r, "^")) put_any(r, &all);
    while (r->text < r->end && *r->text != '|' && *r->text != ')' && !n->error) {
        if (outer && *r->text == '$' && (r->text + 1 == r->end || r->text[1] == '|')) {
            r->text++;
            ended = true;
            break;
        }
        decai__piece one = atom(r);
        if (r->text < r->end && repetition(r, &least, &most)) {
            one = decai__net_repeat(n, one, least, most);
            (void)eat(r, "?");
        }
        decai__net_empty(n, all.to, one.from);
        all.to = one.to;
    }
    if (outer && !ended) put_any(r, &all);
    all.last = n->error ? all.first : (uint32_t)n->states - 1;
    return all;
}

static decai__piece
choices(regex *r, bool outer)
{
    decai__net *n = r->n;
    decai__piece p = start_piece(n);
    p.to = decai__net_state(n);
    do {
        decai__piece one = sequence(r, outer);
        decai__net_empty(n, p.from, one.from);
        decai__net_empty(n, one.to, p.to);
    } while (!n->error && eat(r, "|"));
    p.last = n->error ? p.first : (uint32_t)n->states - 1;
    return p;
}

uint32_t
decai__schema_pattern(decai__schema *s, uint32_t from, const char *text, size_t len)
{
    regex r = { .s = s, .n = s->net, .text = text, .end = text + len };
    decai__piece p = choices(&r, true);
    if (r.text < r.end) fail(&r, "a ) that opens nowhere");
    decai__net_empty(s->net, from, p.from);
    return p.to;
}
