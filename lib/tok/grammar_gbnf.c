/* grammar_gbnf.c - GBNF, the grammar notation of llama.cpp, into a net.
 *
 *     root  ::= item ("," item)* ; # a comment
 *     item  ::= [a-z0-9]{1,8} | "\"" [^"\n]* "\"" | .
 *
 *     name ::= a | b        a rule; the next line begins a new one, except inside ( )
 *                           and behind ::= and |
 *     "text"                its characters; escapes \n \r \t \\ \" \[ \] \xHH \uHHHH
 *                           \UHHHHHHHH: of a character, not of a byte
 *     [a-z_] [^"]           one character of a set, or none of it; . any character
 *     x* x+ x? x{2} x{2,} x{2,5}     repetition
 *     ( a | b )             a group
 *     <think> !<think>      tokens by name: refused, DECAI_E_UNSUPPORTED
 *
 * Read by recursive descent, one level a group, at most DECAI_GRAMMAR_NEST_MAX. A rule
 * may be used before it is written, may call itself first (left recursion), and is
 * written once.
 */
#include "tok/grammar.h"

#include <string.h>

#include "codec/codec.h"

#define CLASS_MAX 4096               /* ranges of one character class */

typedef struct name { uint32_t at, len, rule, line; bool written; } name;

typedef struct reader {
    decai__net *net;
    const char *text;
    size_t len, at;
    uint32_t nest;
    name *names;
    uint32_t *slots;                 /* hash table of places in names, plus one */
    size_t count, cap, slot_count;
    decai__range *ranges;            /* of the class being read, and its complement */
} reader;

/* ---- errors and characters ------------------------------------------------------------ */

static void
fail_at(reader *r, size_t at, int32_t code, const char *why)
{
    unsigned line = 1, column = 1;
    if (r->net->error) return;
    for (size_t i = 0; i < at && i < r->len; i++) {
        column = r->text[i] == '\n' ? 1 : column + 1;
        line += r->text[i] == '\n';
    }
    r->net->error = decai__fail(code, "grammar: line %u, column %u: %s", line, column, why);
}

static void
fail(reader *r, const char *why)
{
    fail_at(r, r->at, DECAI_E_CORRUPT, why);
}

static char
peek(const reader *r)
{
    return r->at < r->len ? r->text[r->at] : 0;
}

static bool
eat(reader *r, const char *what)
{
    size_t n = strlen(what);
    if (r->len - r->at < n || memcmp(r->text + r->at, what, n)) return false;
    r->at += n;
    return true;
}

static void
space(reader *r, bool newlines)
{
    for (; r->at < r->len; r->at++) {
        char c = r->text[r->at];
        if (c == '#') {
            const char *end = memchr(r->text + r->at, '\n', r->len - r->at);
            r->at = end ? (size_t)(end - r->text) : r->len;
            if (r->at == r->len) return;
            c = '\n';
        }
        if (c != ' ' && c != '\t' && !(newlines && (c == '\n' || c == '\r'))) return;
    }
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t
word(reader *r)
{
    size_t start = r->at;
    while (is_word(peek(r))) r->at++;
    return r->at - start;
}

static uint32_t
hex(reader *r, uint32_t digits)
{
    uint32_t v = 0;
    for (uint32_t i = 0; i < digits; i++, r->at++) {
        char c = peek(r);
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10) : 16;
        if (d == 16) {
            fail(r, "a hexadecimal digit is missing");
            return 0;
        }
        v = v << 4 | d;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) fail(r, "the escape is no character of Unicode");
    return v;
}

/* One character, escaped or not; the text is valid UTF-8. */
static uint32_t
character(reader *r)
{
    uint8_t b = (uint8_t)r->text[r->at++];
    if (b == '\\') {
        char c = peek(r);
        if (c) r->at++;
        switch (c) {
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        case 'x': return hex(r, 2);
        case 'u': return hex(r, 4);
        case 'U': return hex(r, 8);
        case '\\': case '"': case '[': case ']': case '-': case '^': return (uint8_t)c;
        default: break;
        }
        r->at--;
        fail(r, "an escape that is not known");
        return 0;
    }
    uint32_t more = b < 0x80 ? 0 : b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3, v = more ? b & (0x3fu >> more) : b;
    for (; more; more--) v = v << 6 | ((uint8_t)r->text[r->at++] & 0x3f);
    return v;
}

/* ---- names of rules --------------------------------------------------------------------- */

static uint32_t
hash(const char *p, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++) h = (h ^ (uint8_t)p[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool
grow_names(reader *r)
{
    size_t cap = r->cap ? 2 * r->cap : 64, slots = 2 * cap;
    decai_context *ctx = r->net->ctx;
    name *names = decai__realloc(ctx, r->names, r->cap * sizeof *names, cap * sizeof *names);
    if (names) {
        r->names = names;
        r->cap = cap;
    }
    uint32_t *table = names ? decai__calloc(ctx, slots, sizeof *table) : NULL;
    if (!table) {
        r->net->error = decai__fail(DECAI_E_NOMEM, "grammar: %zu names", cap);
        return false;
    }
    for (size_t i = 0; i < r->count; i++) {
        size_t k = hash(r->text + names[i].at, names[i].len) & (slots - 1);
        while (table[k]) k = (k + 1) & (slots - 1);
        table[k] = (uint32_t)i + 1;
    }
    decai__free(ctx, r->slots);
    r->slots = table;
    r->slot_count = slots;
    return true;
}

/* The rule of a name, new or known; its place in names. */
static size_t
find(reader *r, size_t at, size_t len)
{
    if (r->net->error || (2 * r->count >= r->slot_count && !grow_names(r))) return 0;
    size_t k = hash(r->text + at, len) & (r->slot_count - 1);
    for (; r->slots[k]; k = (k + 1) & (r->slot_count - 1)) {
        const name *n = &r->names[r->slots[k] - 1];
        if (n->len == len && !memcmp(r->text + n->at, r->text + at, len)) return r->slots[k] - 1;
    }
    uint32_t rule = decai__net_rule_add(r->net);
    r->names[r->count] = (name){ (uint32_t)at, (uint32_t)len, rule, 0, false };
    r->slots[k] = (uint32_t)++r->count;
    return r->count - 1;
}

/* ---- what stands in a rule ------------------------------------------------------------------ */

static decai__piece
piece(decai__net *n)
{
    uint32_t s = decai__net_state(n);
    return (decai__piece){ s, s, s, s };
}

static void
literal(reader *r, decai__piece *p)
{
    while (r->at < r->len && peek(r) != '"' && !r->net->error) {
        uint32_t c = character(r), to = decai__net_state(r->net);
        decai__net_ranges(r->net, p->to, to, &(decai__range){ c, c }, 1);
        p->to = to;
    }
    if (!eat(r, "\"")) fail(r, "a text has no end");
}

static void
class(reader *r, decai__piece *p)
{
    bool invert = eat(r, "^");
    size_t n = 0;
    while (r->at < r->len && peek(r) != ']' && !r->net->error) {
        size_t start = r->at;
        decai__range one;
        one.low = one.high = character(r);
        if (peek(r) == '-' && r->at + 1 < r->len && r->text[r->at + 1] != ']') {
            r->at++;
            one.high = character(r);
        }
        if (one.high < one.low) fail_at(r, start, DECAI_E_CORRUPT, "a range ends before it begins");
        if (n == CLASS_MAX) fail_at(r, start, DECAI_E_LIMIT, "more than 4096 ranges in a class");
        else r->ranges[n++] = one;
    }
    if (!eat(r, "]")) fail(r, "a class has no end");
    if (r->net->error) return;
    decai__range *set = r->ranges;
    n = decai__ranges_join(set, n);
    if (invert) {
        n = decai__ranges_invert(r->ranges + CLASS_MAX, set, n);
        set = r->ranges + CLASS_MAX;
    }
    p->to = decai__net_state(r->net);
    decai__net_ranges(r->net, p->from, p->to, set, n);
}

static uint32_t
count(reader *r)
{
    uint32_t v = 0;
    size_t start = r->at;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++) v = DECAI__MIN(v * 10 + (uint32_t)(peek(r) - '0'), 100000000u);
    if (start == r->at) fail(r, "a number is missing");
    if (v > DECAI_GRAMMAR_STATE_MAX) fail_at(r, start, DECAI_E_LIMIT, "a repetition above DECAI_GRAMMAR_STATE_MAX");
    return v;
}

static bool
repetition(reader *r, uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = DECAI__NONE;
    if (eat(r, "*")) return true;
    if (eat(r, "+")) return *least = 1, true;
    if (eat(r, "?")) return *most = 1, true;
    if (!eat(r, "{")) return false;
    space(r, false);
    *least = *most = count(r);
    space(r, false);
    if (eat(r, ",")) {
        space(r, false);
        *most = peek(r) == '}' ? DECAI__NONE : count(r);
        space(r, false);
    }
    if (!eat(r, "}")) fail(r, "a repetition has no }");
    if (*most < *least) fail(r, "a repetition ends before it begins");
    return true;
}

static decai__piece choices(reader *r);

static decai__piece
item(reader *r)
{
    decai__net *n = r->net;
    decai__piece p;
    if (eat(r, "(")) {
        if (++r->nest > DECAI_GRAMMAR_NEST_MAX) fail_at(r, r->at, DECAI_E_LIMIT, "groups nest deeper than DECAI_GRAMMAR_NEST_MAX");
        p = choices(r);
        if (!eat(r, ")")) fail(r, "a group has no )");
        r->nest--;
        return p;
    }
    p = piece(n);
    if (eat(r, "\"")) {
        literal(r, &p);
    } else if (eat(r, "[")) {
        class(r, &p);
    } else if (eat(r, ".")) {
        p.to = decai__net_state(n);
        decai__net_ranges(n, p.from, p.to, &(decai__range){ 0, 0x10ffff }, 1);
    } else {
        size_t at = r->at, len = word(r), k = find(r, at, len);
        if (n->error) return p;
        p.to = decai__net_state(n);
        decai__net_call(n, p.from, p.to, r->names[k].rule);
    }
    p.last = n->error ? p.first : (uint32_t)n->states - 1;
    return p;
}

static decai__piece
sequence(reader *r)
{
    decai__net *n = r->net;
    decai__piece all = piece(n);
    uint32_t least, most;
    while (!n->error) {
        char c = peek(r);
        if (c == '<' || c == '!') fail_at(r, r->at, DECAI_E_UNSUPPORTED, "tokens by name, <...>, are not built");
        if (c != '"' && c != '[' && c != '(' && c != '.' && !is_word(c)) break;
        decai__piece one = item(r);
        space(r, r->nest > 0);
        while (!n->error && repetition(r, &least, &most)) {
            one = decai__net_repeat(n, one, least, most);
            space(r, r->nest > 0);
        }
        decai__net_empty(n, all.to, one.from);
        all.to = one.to;
    }
    all.last = n->error ? all.first : (uint32_t)n->states - 1;
    return all;
}

static decai__piece
choices(reader *r)
{
    decai__net *n = r->net;
    decai__piece p = piece(n);
    p.to = decai__net_state(n);
    do {
        space(r, true);
        decai__piece one = sequence(r);
        decai__net_empty(n, p.from, one.from);
        decai__net_empty(n, one.to, p.to);
    } while (!n->error && eat(r, "|"));
    p.last = n->error ? p.first : (uint32_t)n->states - 1;
    return p;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void
rule(reader *r)
{
    size_t at = r->at, len = word(r);
    if (!len) {
        fail(r, "the name of a rule is missing");
        return;
    }
    size_t k = find(r, at, len);
    space(r, false);
    if (!eat(r, "::=")) fail(r, "::= is missing behind the name of a rule");
    if (r->net->error) return;
    if (r->names[k].written) fail_at(r, at, DECAI_E_CORRUPT, "a rule is written twice");
    r->names[k].written = true;
    decai__piece p = choices(r);
    if (r->at < r->len && peek(r) != '\n' && peek(r) != '\r') fail(r, "neither part of a rule nor the end of its line");
    if (r->net->error) return;
    decai__net_rule own = r->net->rules[r->names[k].rule];
    decai__net_empty(r->net, own.start, p.from);
    decai__net_empty(r->net, p.to, own.end);
    space(r, true);
}

static void
finish(reader *r, uint32_t *root)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < r->count && !r->net->error; i++) {
        if (!r->names[i].written) fail_at(r, r->names[i].at, DECAI_E_CORRUPT, "a rule that is written nowhere");
        if (r->names[i].len == 4 && !memcmp(r->text + r->names[i].at, "root", 4)) found = i;
    }
    if (r->net->error) return;
    if (found == SIZE_MAX) r->net->error = decai__fail(DECAI_E_CORRUPT, "grammar: no rule is named root");
    else *root = r->names[found].rule;
}

int32_t
decai__gbnf_read(decai__net *n, uint32_t *root, const char *text, size_t len)
{
    reader r = { .net = n, .text = text, .len = len };
    size_t valid = decai__utf8_valid(text, len);
    if (valid < len) fail_at(&r, valid, DECAI_E_CORRUPT, "not UTF-8");
    r.ranges = decai__alloc(n->ctx, (2 * CLASS_MAX + 1) * sizeof *r.ranges);
    if (!r.ranges && !n->error) n->error = decai__fail(DECAI_E_NOMEM, "grammar: a class");
    if (!n->error) space(&r, true);
    while (!n->error && r.at < len) rule(&r);
    finish(&r, root);
    decai__free(n->ctx, r.ranges);
    decai__free(n->ctx, r.names);
    decai__free(n->ctx, r.slots);
    return n->error;
}
