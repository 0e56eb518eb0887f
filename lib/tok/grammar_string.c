/* grammar_string.c - is a state of an automaton the body of a JSON string?
 *
 * Not by what the schema says, but by what the automaton does. A state is walked beside
 * the automaton of one form (grammar_body.c), through one character, byte by byte: where
 * one has an edge the other must have one, and all characters must end in one state.
 * Then that state is the body with one character less, and so on:
 *
 *     s0 --any character--> s1 --any character--> s2        a form's characters
 *     |                     |                     |
 *     "                     "                     "         where least are done
 *     +-------> behind <----+---------------------+
 *
 * until a state that leads to itself (no end to the characters) or has the quote alone.
 * No state on the way may call a rule, end its rule or have two edges for a byte: then
 * nothing else can happen, and a text's set may hold other items beside it.
 */
#include <string.h>

#include "tok/grammar.h"

#define STATES 64                    /* more than any form has */

enum { UNKNOWN, NONE, YES, OPEN };   /* OPEN: the way goes through it just now */

/* One character, the automaton's state s beside the form's state t. */
typedef struct proof {
    const decai__auto *a, *form;
    uint32_t met[STATES];            /* by the form's state: the automaton's, or DECAI__NONE */
    uint32_t waits[STATES], waiting;
    uint32_t next, behind;           /* after the character; after the quote */
} proof;

static bool
meet(proof *p, uint32_t t, uint32_t s)
{
    if (t == p->form->start[0]) {
        if (p->next == DECAI__NONE) p->next = s;
        return p->next == s;
    }
    if (p->met[t] != DECAI__NONE) return p->met[t] == s;
    p->met[t] = s;
    p->waits[p->waiting++] = t;
    return true;
}

/* Where byte b leads, and up to which byte all lead there. *e: an edge at or before b's. */
static uint32_t
edge(const decai__auto *a, uint32_t state, uint32_t *e, uint32_t b, uint32_t *end)
{
    while (*e < a->states[state + 1].bytes && a->bytes[*e].high < b) ++*e;
    if (*e == a->states[state + 1].bytes) return DECAI__NONE;
    if (a->bytes[*e].low > b) {
        *end = DECAI__MIN(*end, a->bytes[*e].low - 1u);
        return DECAI__NONE;
    }
    *end = DECAI__MIN(*end, a->bytes[*e].high);
    return a->bytes[*e].to;
}

static bool
is_inside(const decai__auto *a, uint32_t s)
{
    const decai__auto_state *state = &a->states[s];
    if (state->final || state->calls != state[1].calls) return false;
    for (uint32_t e = state->bytes + 1; e < state[1].bytes; e++)
        if (a->bytes[e].low <= a->bytes[e - 1].high) return false;
    return true;
}

static bool
all_bytes(proof *p, uint32_t t, uint32_t s)
{
    const decai__auto *a = p->a, *form = p->form;
    uint32_t i = a->states[s].bytes, k = form->states[t].bytes;
    if (!is_inside(a, s)) return false;
    for (uint32_t b = 0, end; b < 256; b = end + 1) {
        end = 255;
        uint32_t to = edge(a, s, &i, b, &end), want = edge(form, t, &k, b, &end);
        if (want != DECAI__NONE && form->states[want].final) p->behind = to;
        else if (want == DECAI__NONE ? to != DECAI__NONE : to == DECAI__NONE || !meet(p, want, to)) return false;
    }
    return true;
}

static bool
prove(proof *p, uint32_t s)
{
    memset(p->met, 0xff, sizeof p->met);
    p->waiting = 0;
    p->next = p->behind = DECAI__NONE;
    if (!all_bytes(p, p->form->start[0], s)) return false;
    while (p->waiting) {
        uint32_t t = p->waits[--p->waiting];
        if (!all_bytes(p, t, p->met[t])) return false;
    }
    return true;
}

static uint32_t
after(const decai__auto *a, uint32_t state, uint8_t byte)
{
    uint32_t e = a->states[state].bytes, end = 255;
    return edge(a, state, &e, byte, &end);
}

/* The only form that it could be. */
static uint8_t
form_of(const decai__auto *a, uint32_t s)
{
    uint32_t escape = after(a, s, '\\');
    if (escape == DECAI__NONE) return DECAI__SPELL_PLAIN;
    return after(a, escape, 'u') == DECAI__NONE ? DECAI__SPELL_ESCAPES : DECAI__SPELL_UNICODE;
}

static bool
is_quote_alone(const decai__auto *a, uint32_t s)
{
    const decai__auto_state *state = &a->states[s];
    return state[1].bytes == state->bytes + 1 && a->bytes[state->bytes].low == '"' && a->bytes[state->bytes].high == '"' && is_inside(a, s);
}

/* What `s` is; OPEN: its next state says it (`last` then holds that one). */
static decai__string
look(const decai__auto *a, const decai__body *b, uint32_t s)
{
    proof p = { .a = a };
    if (is_quote_alone(a, s)) return (decai__string){ .last = s, .behind = a->bytes[a->states[s].bytes].to, .known = YES, .form = DECAI__SPELLINGS };
    uint8_t form = form_of(a, s);
    p.form = &b->forms[form];
    if (!prove(&p, s) || (p.next == s && p.behind == DECAI__NONE)) return (decai__string){ .known = NONE };
    if (p.next == s) return (decai__string){ .room = DECAI__NONE, .last = s, .behind = p.behind, .known = YES, .form = form };
    return (decai__string){ .last = p.next, .behind = p.behind, .known = OPEN, .form = form };
}

/* A state that `next` follows; behind: its own quote's. */
static decai__string
extend(const decai__string *next, uint32_t behind, uint8_t form)
{
    decai__string out = *next;
    bool quote = behind != DECAI__NONE;
    if (next->known != YES || (next->form != form && next->form != DECAI__SPELLINGS) || (quote && (next->least || next->behind != behind)))
        return (decai__string){ .known = NONE };
    out.form = form;
    out.least += !quote;
    if (out.room != DECAI__NONE) out.room++;
    return out;
}

const decai__string *
decai__string_at(decai__string *strings, const decai__auto *a, const decai__body *b, uint32_t state)
{
    uint32_t s = state, before = DECAI__NONE;
    /* Forward to what is known; the way back is kept in `room`. A state that is met
     * again on the way is OPEN, and none of them is a string. */
    while (strings[s].known == UNKNOWN) {
        strings[s] = look(a, b, s);
        if (strings[s].known != OPEN) break;
        strings[s].room = before;
        before = s;
        s = strings[s].last;
    }
    for (uint32_t k = before; k != DECAI__NONE;) {
        uint32_t back = strings[k].room;
        strings[k] = extend(&strings[s], strings[k].behind, strings[k].form);
        s = k;
        k = back;
    }
    return strings[state].known == YES ? &strings[state] : NULL;
}
