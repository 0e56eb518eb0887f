/* schema_number.c - numbers of a JSON Schema, between bounds digit by digit.
 *
 * Bounds are decimal numbers of at most 18 digits before and behind the point. A number
 * with bounds is written without exponent:
 *
 *     integers from 7 to 120      7..9 | 10..99 | 100..119 | 120: by length, then each
 *                                 place between the two bounds' digits
 *     numbers from 0.5 to 3       0 and a fraction from .5 | 1..2 and any fraction
 *                                 | 3 and a fraction of zeros
 *
 * Negative ones are the same with the bounds exchanged, behind a minus sign. -0 is
 * written only where there are no bounds.
 */
#include <string.h>

#include "tok/schema.h"

#define PLACES 18
#define DIGITS 20

/* A bound without its sign; whole part without leading zeros ("0" for none), fraction
 * without trailing ones. */
typedef struct bound { bool set, negative, open; char whole[DIGITS], part[DIGITS]; } bound;

static void
add_digits(decai__net *n, uint32_t from, uint32_t to, char low, char high)
{
    if (low <= high) decai__net_bytes(n, from, to, (uint8_t)low, (uint8_t)high);
}

/* Any n digits. */
static uint32_t
any_digits(decai__net *n, uint32_t from, size_t count)
{
    for (; count; count--) {
        uint32_t to = decai__net_state(n);
        add_digits(n, from, to, '0', '9');
        from = to;
    }
    return from;
}

/* ---- reading bounds ---------------------------------------------------------------------- */

static void
read_bound(decai__schema *s, bound *out, const decai__json_node *node, const char *keyword, bool open)
{
    const char *text;
    size_t whole = 0, part = 0;
    bool point = false;
    if (decai__json_number(s->doc, node, &text)) {
        decai__schema_fail(s, DECAI_E_CORRUPT, keyword, "not a number");
        return;
    }
    bound b = { .set = true, .open = open, .negative = *text == '-' };
    for (text += b.negative; *text; text++) {
        if (*text == '.') {
            point = true;
        } else if (*text < '0' || *text > '9' || (point ? part : whole) == PLACES) {
            decai__schema_fail(s, DECAI_E_UNSUPPORTED, keyword, "bounds with exponents or more than 18 digits are not built");
            return;
        } else if (point) {
            b.part[part++] = *text;
        } else {
            b.whole[whole++] = *text;
        }
    }
    while (part && b.part[part - 1] == '0') b.part[--part] = 0;
    if (!strcmp(b.whole, "0") && !part) b.negative = false;
    *out = b;
}

/* Magnitudes: -1, 0, 1. */
static int
compare(const bound *a, const bound *b)
{
    size_t n = strlen(a->whole), m = strlen(b->whole);
    int c = n != m ? n < m ? -1 : 1 : strcmp(a->whole, b->whole);
    return c ? c : strcmp(a->part, b->part);
}

/* The tighter of two lower (or, mirrored, upper) bounds. */
static void
tighten(bound *best, bound other, bool lower)
{
    int c;
    if (!best->set || !other.set) {
        if (other.set) *best = other;
        return;
    }
    c = best->negative != other.negative ? best->negative ? -1 : 1 : best->negative ? -compare(best, &other) : compare(best, &other);
    if (!c) best->open = best->open || other.open;
    else if (lower == (c < 0)) *best = other;
}

static void
read_side(decai__schema *s, bound *out, const decai__all *all, bool lower)
{
    const char *plain = lower ? "minimum" : "maximum", *open = lower ? "exclusiveMinimum" : "exclusiveMaximum";
    for (uint32_t i = 0; i < all->count && !s->net->error; i++) {
        const decai__json_node *k = decai__json_find(all->node[i], plain), *e = decai__json_find(all->node[i], open);
        bound b = { .set = false };
        bool yes = false;
        /* Draft 4: exclusiveMinimum is true or false beside minimum. */
        if (e && decai__json_type(e) == DECAI__JSON_BOOL) {
            (void)decai__json_bool(s->doc, e, &yes);
            e = NULL;
        }
        if (k) {
            read_bound(s, &b, k, plain, yes);
            tighten(out, b, lower);
        }
        if (e && !s->net->error) {
            read_bound(s, &b, e, open, true);
            tighten(out, b, lower);
        }
    }
}

/* ---- digits between bounds ------------------------------------------------------------------- */

/* Digits of equal length, low..high; NULL: no bound on that side. */
static void
same_length(decai__net *n, uint32_t from, uint32_t to, const char *low, const char *high, size_t len)
{
    if (n->error) return;
    if (!low && !high) {
        decai__net_empty(n, any_digits(n, from, len), to);
        return;
    }
    if (len == 1) {
        add_digits(n, from, to, low ? *low : '0', high ? *high : '9');
        return;
    }
    char l = low ? *low : '0', h = high ? *high : '9';
    if (low && high && l == h) {
        uint32_t next = decai__net_state(n);
        add_digits(n, from, next, l, l);
        same_length(n, next, to, low + 1, high + 1, len - 1);
        return;
    }
    if (low) {
        uint32_t next = decai__net_state(n);
        add_digits(n, from, next, l, l);
        same_length(n, next, to, low + 1, NULL, len - 1);
    }
    if (high) {
        uint32_t next = decai__net_state(n);
        add_digits(n, from, next, h, h);
        same_length(n, next, to, NULL, high + 1, len - 1);
    }
    char a = (char)(l + (low != NULL)), b = (char)(h - (high != NULL));
    if (a <= b) {
        uint32_t next = decai__net_state(n);
        add_digits(n, from, next, a, b);
        same_length(n, next, to, NULL, NULL, len - 1);
    }
}

/* Whole numbers low..high without leading zeros; high NULL: without end. */
static void
whole_between(decai__net *n, uint32_t from, uint32_t to, const char *low, const char *high)
{
    size_t a = strlen(low), b = high ? strlen(high) : a;
    for (size_t len = a; len <= b && !n->error; len++) {
        char least[DIGITS] = { '1' };
        memset(least + 1, '0', len - 1);
        same_length(n, from, to, len == a ? low : least, high && len == b ? high : NULL, len);
    }
    if (high) return;
    uint32_t first = decai__net_state(n), rest = any_digits(n, first, a);    /* one place more than low, or many */
    add_digits(n, from, first, '1', '9');
    add_digits(n, rest, rest, '0', '9');
    decai__net_empty(n, rest, to);
}

/* One more or less; false: below zero. Room for one more digit. */
static bool
next_whole(char *digits, bool up)
{
    size_t n = strlen(digits), i = n;
    char from = up ? '9' : '0', wrap = up ? '0' : '9';
    if (!up && !strcmp(digits, "0")) return false;
    while (i && digits[i - 1] == from) digits[--i] = wrap;
    if (i) digits[i - 1] = (char)(digits[i - 1] + (up ? 1 : -1));
    else if (up) memmove(digits + 1, digits, n + 1), *digits = '1';
    if (!up && digits[0] == '0' && digits[1]) memmove(digits, digits + 1, n);
    return true;
}

static bool
whole_order(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    return n != m ? n < m : strcmp(a, b) <= 0;
}

/* Integers of one sign, magnitudes from `low` to `high` (not set: without end). */
static void
integers(decai__net *n, uint32_t from, uint32_t to, bound low, bound high)
{
    char a[DIGITS + 1], b[DIGITS + 1];
    memcpy(a, low.whole, DIGITS);
    memcpy(b, high.whole, DIGITS);
    if (low.part[0] || low.open) (void)next_whole(a, true);
    if (high.set && high.open && !high.part[0] && !next_whole(b, false)) return;
    if (!high.set) whole_between(n, from, to, a, NULL);
    else if (whole_order(a, b)) whole_between(n, from, to, a, b);
}

/* ---- fractions ----------------------------------------------------------------------------------- */

/* A point and digits that are above `low` (or it, unless open), below `high` (or it). */
static void
fraction(decai__net *n, uint32_t from, uint32_t to, const bound *low, const bound *high)
{
    uint32_t digits = decai__net_state(n), free = decai__net_state(n);
    bool exact = !high || high->part[0] || !high->open;
    add_digits(n, free, free, '0', '9');
    decai__net_empty(n, free, to);
    /* Without a fraction: it is zero. */
    if ((!low || (!low->part[0] && !low->open)) && exact) decai__net_empty(n, from, to);
    decai__net_bytes(n, from, digits, '.', '.');
    /* Along the digits of both bounds while the text equals them. */
    const char *a = low ? low->part : NULL, *b = high ? high->part : NULL;
    uint32_t at = digits;
    if (!a && !b) {
        add_digits(n, digits, free, '0', '9');
        return;
    }
    struct { uint32_t state; const char *a, *b; } stack[2 * DIGITS + 4];
    size_t count = 0;
    stack[count].state = at;
    stack[count].a = a;
    stack[count++].b = b;
    while (count && !n->error) {
        uint32_t state = stack[--count].state;
        a = stack[count].a;
        b = stack[count].b;
        char l = a && *a ? *a : '0', h = b ? *b ? *b : '0' : '9';
        bool ended = (!a || !*a) && (!b || !*b), loop = ended && state != digits;
        if (l > h) continue;
        /* Equal so far, and the rest of the bounds is zeros. */
        if (state != digits && (!a || (!*a && !low->open)) && (!b || *b || !high->open) && (!a || !*a)) decai__net_empty(n, state, to);
        for (char c = l; c <= h; c++) {
            const char *na = a && c == l ? *a ? a + 1 : a : NULL, *nb = b && c == h ? *b ? b + 1 : b : NULL;
            uint32_t next = !na && !nb ? free : loop && na == a && nb == b ? state : decai__net_state(n);
            add_digits(n, state, next, c, c);
            if (next != free && next != state && count < DECAI__COUNT(stack)) {
                stack[count].state = next;
                stack[count].a = na;
                stack[count++].b = nb;
            }
        }
    }
}

/* Numbers of one sign. */
static void
decimals(decai__net *n, uint32_t from, uint32_t to, bound low, bound high)
{
    bool same = high.set && !strcmp(low.whole, high.whole);
    uint32_t first = decai__net_state(n);
    same_length(n, from, first, low.whole, low.whole, strlen(low.whole));
    fraction(n, first, to, &low, same ? &high : NULL);
    if (same) return;
    char a[DIGITS + 1], b[DIGITS + 1];
    memcpy(a, low.whole, DIGITS);
    (void)next_whole(a, true);
    uint32_t middle = decai__net_state(n);
    if (high.set) {
        memcpy(b, high.whole, DIGITS);
        uint32_t last = decai__net_state(n);
        same_length(n, from, last, high.whole, high.whole, strlen(high.whole));
        fraction(n, last, to, NULL, &high);
        if (next_whole(b, false) && whole_order(a, b)) whole_between(n, from, middle, a, b);
    } else {
        whole_between(n, from, middle, a, NULL);
    }
    fraction(n, middle, to, NULL, NULL);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static void
unbounded(decai__net *n, uint32_t from, uint32_t to, bool integer)
{
    uint32_t sign = decai__net_state(n), whole = decai__net_state(n), more = decai__net_state(n);
    decai__net_empty(n, from, sign);
    decai__net_bytes(n, from, sign, '-', '-');
    add_digits(n, sign, whole, '0', '0');
    add_digits(n, sign, more, '1', '9');
    add_digits(n, more, more, '0', '9');
    decai__net_empty(n, more, whole);
    decai__net_empty(n, whole, to);
    if (integer) return;
    uint32_t point = decai__net_state(n), part = decai__net_state(n), e = decai__net_state(n), digits = decai__net_state(n), power = decai__net_state(n);
    decai__net_bytes(n, whole, point, '.', '.');
    add_digits(n, point, part, '0', '9');
    add_digits(n, part, part, '0', '9');
    decai__net_empty(n, part, to);
    for (uint32_t k = 0; k < 2; k++) {
        decai__net_bytes(n, k ? whole : part, e, 'e', 'e');
        decai__net_bytes(n, k ? whole : part, e, 'E', 'E');
    }
    decai__net_empty(n, e, digits);
    decai__net_bytes(n, e, digits, '+', '+');
    decai__net_bytes(n, e, digits, '-', '-');
    add_digits(n, digits, power, '0', '9');
    decai__net_empty(n, power, to);
    uint32_t second = decai__net_state(n);             /* at most two: a double holds what is written */
    add_digits(n, power, second, '0', '9');
    decai__net_empty(n, second, to);
}

/* From zero up, unless all are below; then below zero, magnitudes. */
static void
between(decai__net *n, uint32_t from, uint32_t to, bound low, bound high, bool integer)
{
    bound zero = { .set = true, .whole = "0" }, above = { .set = true, .open = true, .whole = "0" };
    void (*draw)(decai__net *, uint32_t, uint32_t, bound, bound) = integer ? integers : decimals;
    if (!(high.set && high.negative)) {
        bound from_zero = low.set && !low.negative ? low : zero;
        if (!high.set || compare(&from_zero, &high) < 0 || (!compare(&from_zero, &high) && !from_zero.open && !high.open)) draw(n, from, to, from_zero, high);
    }
    if (!low.set || low.negative) {
        uint32_t minus = decai__net_state(n);
        bound least = high.set && high.negative ? high : above, most = low;
        decai__net_bytes(n, from, minus, '-', '-');
        if (!most.set || compare(&least, &most) < 0 || (!compare(&least, &most) && !least.open && !most.open)) draw(n, minus, to, least, most);
    }
}

/* The same, but multiples alone: drawn for themselves first. */
static void
multiples_between(decai__schema *s, uint32_t from, uint32_t to, bound low, bound high, bool integer, decai__step step)
{
    decai__net alone = { .ctx = s->net->ctx };
    decai__auto numbers = { .ctx = NULL };
    uint32_t rule = decai__net_rule_add(&alone);
    if (!alone.error) between(&alone, alone.rules[rule].start, alone.rules[rule].end, low, high, integer);
    int32_t r = alone.error ? alone.error : decai__auto_make(&numbers, &alone, rule);
    if (!r) decai__schema_multiples(s, from, to, &numbers, step);
    else if (r != DECAI_E_INVALID) s->net->error = r;     /* invalid: there are none, and nothing leads to `to` */
    if (numbers.ctx) decai__auto_free(&numbers);
    decai__net_free(&alone);
}

uint32_t
decai__schema_number(decai__schema *s, uint32_t from, const decai__all *all, bool integer)
{
    decai__net *n = s->net;
    bound low = { .set = false }, high = { .set = false };
    decai__step step = decai__schema_step(s, all, integer);
    read_side(s, &low, all, true);
    read_side(s, &high, all, false);
    if (n->error) return from;
    bool bounded = low.set || high.set || step.m;
    if (!bounded && all->count) return decai__schema_shared(s, from, integer ? DECAI__S_INTEGER : DECAI__S_NUMBER);
    uint32_t to = decai__net_state(n);
    if (!bounded) unbounded(n, from, to, integer);
    else if (step.m) multiples_between(s, from, to, low, high, integer, step);
    else between(n, from, to, low, high, integer);
    return to;
}
