/* schema_multiple.c - multipleOf: digits modulo a number.
 *
 * A step is m / 10^k: 0.25 is 25 / 10^2. A decimal number is a multiple if its digits, with
 * k places behind the point, are one of m; more places may be there and are zeros:
 *
 *     so far   12        12.         12.5      12.50     12.500
 *     mod 25   12        12          0         0         0
 *     places             0           1         2         2
 *     times    10^2      10^2        10^1      1         1        ends there if 0 mod 25
 *
 * The numbers between the bounds are drawn first, for themselves, and become an automaton;
 * what is drawn into the schema's net is that automaton beside (remainder, places). It is
 * exact in decimals: 0.3 is a multiple of 0.1, which a validator that divides floats denies.
 */
#include <string.h>

#include "tok/schema.h"

#define PLACES 18

/* ---- steps ------------------------------------------------------------------------------ */

static bool
read_step(decai__schema *s, decai__step *out, const decai__json_node *node)
{
    const char *text;
    uint32_t places = 0, m = 0;
    bool point = false;
    if (decai__json_number(s->doc, node, &text)) {
        decai__schema_fail(s, DECAI_E_CORRUPT, "multipleOf", "not a number");
        return false;
    }
    size_t n = strlen(text);
    while (memchr(text, '.', n) && text[n - 1] == '0') n--;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || m > DECAI__MULTIPLE_MAX || places == PLACES) {
            decai__schema_fail(s, DECAI_E_UNSUPPORTED, "multipleOf", "built for at most 4096 and 18 places, digits, no sign, no exponent");
            return false;
        }
        m = 10 * m + (uint32_t)(text[i] - '0');
        places += point;
    }
    if (!m) decai__schema_fail(s, DECAI_E_CORRUPT, "multipleOf", "not above zero");
    *out = (decai__step){ m, places };
    return m != 0;
}

static uint64_t
power(uint32_t k)
{
    uint64_t p = 1;
    for (; k; k--) p *= 10;
    return p;
}

/* The least step of which both are divisors; false: too large. */
static bool
join(decai__step *a, decai__step b)
{
    uint32_t places = DECAI__MAX(a->places, b.places);
    if (places - DECAI__MIN(a->places, b.places) > 4) return false;
    uint64_t x = a->m * power(places - a->places), y = b.m * power(places - b.places), p = x, q = y;
    while (q) {
        uint64_t r = p % q;
        p = q;
        q = r;
    }
    x = x / p * y;
    for (; places && x % 10 == 0; places--) x /= 10;
    if (x > DECAI__MULTIPLE_MAX) return false;
    *a = (decai__step){ (uint32_t)x, places };
    return true;
}

decai__step
decai__schema_step(decai__schema *s, const decai__all *all, bool integer)
{
    decai__step step = { 0, 0 }, one;
    for (uint32_t i = 0; i < all->count && !s->net->error; i++) {
        const decai__json_node *k = decai__json_find(all->node[i], "multipleOf");
        if (!k || !read_step(s, &one, k)) continue;
        if (!step.m) step = one;
        else if (!join(&step, one)) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "multipleOf", "the multiples of all of them are above 4096");
        if (step.m > DECAI__MULTIPLE_MAX) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "multipleOf", "built up to 4096");
    }
    if (integer && step.m == 1) step.m = 0;          /* integers are multiples of 1 / 10^k */
    return step;
}

/* ---- numbers beside remainders ------------------------------------------------------------ */

typedef struct pair { uint32_t state, rest, places, at; } pair;     /* at: in the net; places: DECAI__NONE before the point */

typedef struct product {
    decai__net *n;
    const decai__auto *a;
    decai__step step;
    uint32_t *number;                /* by (state, places, rest): the net's, or DECAI__NONE */
    pair *waits;
    size_t waiting;
} product;

static uint32_t
place_of(const product *p, const pair *k)
{
    uint32_t row = k->places == DECAI__NONE ? 0 : k->places + 1;
    return (k->state * (p->step.places + 2) + row) * p->step.m + k->rest;
}

static uint32_t
reach(product *p, pair k)
{
    uint32_t *at = &p->number[place_of(p, &k)];
    if (*at == DECAI__NONE) {
        k.at = *at = decai__net_state(p->n);
        if (!p->n->error) p->waits[p->waiting++] = k;
    }
    return *at;
}

/* After one byte; false: it is no multiple. */
static bool
go(const product *p, pair *k, uint32_t byte, uint32_t state)
{
    k->state = state;
    if (byte == '.') k->places = 0;
    if (byte < '0' || byte > '9') return true;
    if (k->places == p->step.places) return byte == '0';
    if (k->places != DECAI__NONE) k->places++;
    k->rest = (10 * k->rest + byte - '0') % p->step.m;
    return true;
}

static bool
is_multiple(const product *p, const pair *k)
{
    uint32_t rest = k->rest;
    for (uint32_t i = k->places == DECAI__NONE ? 0 : k->places; i < p->step.places; i++) rest = 10 * rest % p->step.m;
    return !rest;
}

static void
draw(product *p, uint32_t from, uint32_t to)
{
    const decai__auto *a = p->a;
    decai__net_empty(p->n, from, reach(p, (pair){ .state = a->start[0], .places = DECAI__NONE }));
    while (p->waiting && !p->n->error) {
        pair k = p->waits[--p->waiting];
        if (a->states[k.state].final && is_multiple(p, &k)) decai__net_empty(p->n, k.at, to);
        for (uint32_t e = a->states[k.state].bytes; e < a->states[k.state + 1].bytes; e++)
            for (uint32_t b = a->bytes[e].low; b <= a->bytes[e].high && !p->n->error; b++) {
                pair next = k;
                if (go(p, &next, b, a->bytes[e].to)) decai__net_bytes(p->n, k.at, reach(p, next), (uint8_t)b, (uint8_t)b);
            }
    }
}

void
decai__schema_multiples(decai__schema *s, uint32_t from, uint32_t to, const decai__auto *numbers, decai__step step)
{
    decai__net *n = s->net;
    uint64_t pairs = (uint64_t)numbers->state_count * (step.places + 2) * step.m;
    product p = { .n = n, .a = numbers, .step = step };
    if (n->error) return;
    if (pairs > DECAI__MULTIPLE_PAIRS) {
        decai__schema_fail(s, DECAI_E_LIMIT, "multipleOf", "too many remainders between bounds of so many digits");
        return;
    }
    p.number = decai__alloc(n->ctx, (size_t)pairs * sizeof *p.number);
    p.waits = decai__alloc(n->ctx, (size_t)pairs * sizeof *p.waits);
    if (p.number && p.waits) {
        memset(p.number, 0xff, (size_t)pairs * sizeof *p.number);
        draw(&p, from, to);
    } else {
        decai__schema_fail(s, DECAI_E_NOMEM, NULL, "no memory");
    }
    decai__free(n->ctx, p.number);
    decai__free(n->ctx, p.waits);
}
