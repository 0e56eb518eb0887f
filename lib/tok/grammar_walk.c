/* grammar_walk.c - which tokens of a sorted list can follow a chart's last set.
 *
 * Three answers: yes; no; or, in a chart of a chain, not known: the bytes cannot go on
 * inside the chain, but some beginning of them went beyond its end.
 *
 * Most tokens in most states run through one loop of the automaton, the letters of a
 * string. There sets come again and again. A set without an origin of its own (all
 * items began in set 0 or before) means the same wherever it stands, so it is given a
 * number, and what it becomes by each byte is remembered for the length of one walk:
 * an automaton made deterministic as it is used. Other sets are worked out each time.
 *
 * And most tokens are letters throughout. Behind a first byte it is worked out once which
 * classes of characters (letters, digits, a space ...) can follow as often as one likes,
 * or so many times: tokens of nothing else follow, and are not walked.
 */
#include <string.h>

#include "tok/grammar_walk.h"

#define CLASS_RULES 6
#define RULES_KEPT  16
#define ALL_CLASSES ((1u << DECAI__CLASS_NEVER) - 1 - (1u << DECAI__CLASS_QUOTE))     /* the quote ends strings, and all else there */
#define FRONTIER    8                /* sets that the bytes of one character lead to */
#define CLASS_SETS  32               /* sets looked at for one of them */
#define CLASS_MOST  10               /* characters looked at, unless there is no end to them sooner */
#define CLASS_WORTH 48               /* tokens that begin with a byte, from which on it is worth it */
#define CLASS_MANY  2000             /* from which on characters beyond ASCII are, too */

enum { UNKNOWN = 0, DEAD = 1, OWN = 2, FIRST = 3 };      /* what a set becomes by a byte */

/* From a set on: characters of these classes can follow, in any order, so many at most. */
typedef struct class_rule { uint32_t classes, most; } class_rule;
typedef struct class_rules { uint32_t number, classes, count; class_rule rule[CLASS_RULES]; } class_rules;

typedef struct walker {
    decai__walk *w;
    decai__chart *c;
    const decai__order *o;
    size_t base;                     /* bytes in the chart before any token's */
    uint32_t depth;                  /* bytes of the last token that went through */
    uint32_t charted;                /* so many of them are in the chart; the others stand as numbers */
    uint32_t fail;                   /* its first so many bytes cannot follow; 0: they can */
    uint32_t last;                   /* place of the last token, or DECAI__NONE */
    class_rules rules[RULES_KEPT];   /* by number: they are asked for again */
} walker;

void
decai__walk_free(decai__walk *w, decai_context *ctx)
{
    decai__free(ctx, w->node);
    decai__free(ctx, w->escaped);
    decai__free(ctx, w->nodes);
    decai__free(ctx, w->items);
    for (size_t i = 0; i < 2; i++) decai__free(ctx, w->out[i].at);
}

int32_t
decai__walk_make(decai__walk *w, decai_context *ctx, size_t token_max)
{
    *w = (decai__walk){ .depth_max = token_max };
    w->node = decai__alloc(ctx, (token_max + 1) * sizeof *w->node);
    w->escaped = decai__alloc(ctx, token_max + 1);
    w->nodes = decai__alloc(ctx, DECAI__WALK_NODES * sizeof *w->nodes);
    w->items = decai__alloc(ctx, DECAI__WALK_NODES * DECAI__WALK_ITEMS * sizeof *w->items);
    if (w->node && w->escaped && w->nodes && w->items) return 0;
    decai__walk_free(w, ctx);
    *w = (decai__walk){ .depth_max = 0 };
    return decai__fail(DECAI_E_NOMEM, "grammar: a walk");
}

static int32_t
put(decai_context *ctx, decai__ranges *out, uint32_t from, uint32_t to)
{
    if (out->count && out->at[2 * out->count - 1] == from) {
        out->at[2 * out->count - 1] = to;
    } else {
        if (out->count == out->cap) {
            size_t cap = out->cap ? 2 * out->cap : 256;
            uint32_t *at = decai__realloc(ctx, out->at, 2 * out->cap * sizeof *at, 2 * cap * sizeof *at);
            if (!at) return decai__fail(DECAI_E_NOMEM, "grammar: %zu ranges of tokens", cap);
            out->at = at;
            out->cap = cap;
        }
        out->at[2 * out->count] = from;
        out->at[2 * out->count++ + 1] = to;
    }
    out->tokens += to - from;
    return 0;
}

/* ---- sets that are remembered --------------------------------------------------------- */

/* The number of the chart's last set; OWN: it is not remembered. */
static uint32_t
remember(walker *k)
{
    decai__walk *w = k->w;
    decai__chart *c = k->c;
    size_t first = decai__chart_first(c, c->sets - 1), n = c->len - first;
    if (n > DECAI__WALK_ITEMS) return OWN;
    for (size_t i = first; i < c->len; i++)
        if (c->items[i].origin > 0) return OWN;
    for (uint32_t i = 0; i < w->node_count; i++) {
        const decai__walk_node *d = &w->nodes[i];
        if (d->count == n && d->escaped == c->escaped && !memcmp(w->items + i * DECAI__WALK_ITEMS, c->items + first, n * sizeof *c->items))
            return FIRST + i;
    }
    if (w->node_count == DECAI__WALK_NODES) return OWN;
    decai__walk_node *d = &w->nodes[w->node_count];
    memcpy(w->items + w->node_count * DECAI__WALK_ITEMS, c->items + first, n * sizeof *c->items);
    memset(d->next, 0, sizeof d->next);
    d->count = (uint8_t)n;
    d->escaped = c->escaped;
    return FIRST + w->node_count++;
}

/* The last set stands as a number only; put its items into the chart. */
static bool
unfold(walker *k, uint32_t number)
{
    decai__chart *c = k->c;
    const decai__walk_node *d = &k->w->nodes[number - FIRST];
    if (c->len > decai__chart_first(c, c->sets - 1)) return true;
    while (c->cap - c->len < d->count) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        decai__item *items = decai__realloc(c->ctx, c->items, c->cap * sizeof *items, cap * sizeof *items);
        if (!items) {
            c->error = decai__fail(DECAI_E_NOMEM, "grammar: no memory for its chart");
            return false;
        }
        c->items = items;
        c->cap = cap;
    }
    memcpy(c->items + c->len, k->w->items + (number - FIRST) * DECAI__WALK_ITEMS, d->count * sizeof *c->items);
    c->len += d->count;
    c->ends[c->sets - 1] = c->len;
    return true;
}

/* An empty set for one that stands as a number. */
static bool
push_number(decai__chart *c)
{
    if (c->sets == c->set_cap) {
        size_t cap = 2 * c->set_cap;
        size_t *ends = decai__realloc(c->ctx, c->ends, c->set_cap * sizeof *ends, cap * sizeof *ends);
        if (!ends) {
            c->error = decai__fail(DECAI_E_NOMEM, "grammar: no memory for its chart");
            return false;
        }
        c->ends = ends;
        c->set_cap = cap;
    }
    c->ends[c->sets++] = c->len;
    return true;
}

/* The chart goes to depth, its last set with items. */
static bool
chart_to_depth(walker *k)
{
    uint32_t number = k->w->node[k->depth];
    decai__chart_back(k->c, k->base + k->charted);
    for (; k->charted < k->depth; k->charted++)
        if (!push_number(k->c)) return false;
    return number < FIRST || unfold(k, number);
}

/* All bytes that the same edges of a numbered set take lead to the same. */
static void
keep_next(walker *k, uint32_t number, uint8_t byte, uint32_t next)
{
    const decai__auto *a = k->c->a;
    decai__walk_node *d = &k->w->nodes[number - FIRST];
    const decai__item *items = k->w->items + (number - FIRST) * DECAI__WALK_ITEMS;
    uint32_t low = 0, high = 255;
    for (uint32_t i = 0; i < d->count; i++)
        for (uint32_t e = a->states[items[i].state].bytes; e < a->states[items[i].state + 1].bytes; e++) {
            const decai__auto_bytes *b = &a->bytes[e];
            if (b->high < byte) low = DECAI__MAX(low, b->high + 1u);
            else if (b->low > byte) high = DECAI__MIN(high, b->low - 1u);
            else low = DECAI__MAX(low, b->low), high = DECAI__MIN(high, b->high);
        }
    memset(d->next + low, (int)next, high - low + 1);
}

/* The chart takes a byte: what its new set is. */
static uint32_t
take(walker *k, uint32_t number, uint8_t byte)
{
    bool ok = decai__chart_step(k->c, byte);
    uint32_t next = !ok ? DEAD : k->w->remember ? remember(k) : OWN;
    if (number >= FIRST && !k->c->error) keep_next(k, number, byte, next);
    return next;
}

/* One byte more, from depth to depth + 1, where no number says what comes. */
static bool
step(walker *k, uint8_t byte)
{
    decai__walk *w = k->w;
    if (!chart_to_depth(k)) return false;
    uint32_t next = take(k, w->node[k->depth], byte);
    if (k->c->error || next == DEAD) return false;
    w->node[++k->depth] = (uint8_t)next;
    k->charted = k->depth;
    w->escaped[k->depth] = w->escaped[k->depth - 1] || k->c->escaped;
    return true;
}

/* As many bytes as numbers say something about. False: the next cannot follow. */
static bool
run_numbers(walker *k, const uint8_t *bytes, uint32_t len)
{
    decai__walk *w = k->w;
    uint32_t d = k->depth, number = w->node[d];
    uint8_t escaped = w->escaped[d], next = FIRST;
    while (d < len && number >= FIRST && (next = w->nodes[number - FIRST].next[bytes[d]]) >= FIRST) {
        escaped |= w->nodes[next - FIRST].escaped;
        number = w->node[++d] = next;
        w->escaped[d] = escaped;
    }
    k->depth = d;
    return next != DEAD;
}

/* ---- classes of bytes ------------------------------------------------------------------ */

/* What a numbered set becomes by a byte, wherever it stands. The chart goes to its base. */
static uint32_t
next_of(walker *k, uint32_t number, uint8_t byte)
{
    uint32_t next = k->w->nodes[number - FIRST].next[byte];
    if (next != UNKNOWN) return next;
    k->depth = k->charted = 0;
    k->last = DECAI__NONE;
    decai__chart_back(k->c, k->base);
    if (!push_number(k->c) || !unfold(k, number)) return DEAD;
    next = take(k, number, byte);
    decai__chart_back(k->c, k->base);
    return next;
}

/* A set of numbers, small. */
typedef struct frontier { uint32_t number[FRONTIER], count; } frontier;

static bool
enter(frontier *f, uint32_t number)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->number[i] == number) return true;
    if (number < FIRST || f->count == FRONTIER) return false;
    f->number[f->count++] = number;
    return true;
}

/* By each of the bytes low..high; false: some byte cannot follow, or leads to too much. */
static bool
advance(walker *k, frontier *f, uint32_t low, uint32_t high)
{
    frontier out = { .count = 0 };
    for (uint32_t i = 0; i < f->count; i++)
        for (uint32_t b = low; b <= high; b++)
            if (!enter(&out, next_of(k, f->number[i], (uint8_t)b))) return false;
    *f = out;
    return true;
}

/* What characters of one form lead to, beside what is there. */
static bool
one_form(walker *k, frontier *out, uint32_t number, const decai__utf8_form *form)
{
    frontier f = { .number = { number }, .count = 1 };
    bool ok = advance(k, &f, form->low, form->high) && advance(k, &f, form->second_low, form->second_high);
    for (uint32_t i = 2; i < form->len && ok; i++) ok = advance(k, &f, 0x80, 0xbf);
    for (uint32_t i = 0; i < f.count && ok; i++) ok = enter(out, f.number[i]);
    return ok;
}

/* What the characters of a class lead to; false: not all can follow. */
static bool
one_class(walker *k, frontier *out, uint32_t number, uint32_t class)
{
    bool ok = true;
    out->count = 0;
    for (uint32_t b = 0; b < 128 && class < DECAI__CLASS_BEYOND && ok; b++)
        if (decai__byte_class[b] == class) ok = enter(out, next_of(k, number, (uint8_t)b));
    for (uint32_t i = 0; i < DECAI__UTF8_FORMS && class >= DECAI__CLASS_BEYOND && ok; i++)
        if ((decai__utf8_forms[i].low == 0xe2) == (class == DECAI__CLASS_E2)) ok = one_form(k, out, number, &decai__utf8_forms[i]);
    return ok;
}

/* What is known of one level of sets: the classes that can follow each of them, and what
 * they lead to. */
typedef struct level { uint32_t sets[CLASS_SETS], from, to, end, open; uint8_t met[FIRST + DECAI__WALK_NODES]; } level;

/* New sets come behind; false: too many. */
static bool
meet(level *l, const frontier *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (l->met[f->number[i]]) continue;
        if (l->end == CLASS_SETS) return false;
        l->met[f->number[i]] = 1;
        l->sets[l->end++] = f->number[i];
    }
    return true;
}

/* Level by level: what so many characters of the open classes lead to and was not met
 * before. When nothing new comes, there is no end to the characters. */
static void
make_rules(walker *k, class_rules *out, uint32_t number, uint32_t classes)
{
    level l = { .sets = { number }, .to = 1, .end = 1, .open = classes };
    uint32_t most = 0;
    frontier f;
    *out = (class_rules){ .number = number, .classes = classes };
    l.met[number] = 1;
    for (; l.from < l.to && !k->c->error; l.from = l.to, l.to = l.end, most++) {
        uint32_t before = l.open;
        bool room = true;
        for (uint32_t i = l.from; i < l.to; i++)
            for (uint32_t c = 0; c < DECAI__CLASS_NEVER; c++) {
                if (!(l.open >> c & 1)) continue;
                if (!one_class(k, &f, l.sets[i], c)) l.open &= ~(1u << c);
                else room = meet(&l, &f) && room;
            }
        if (l.open != before) {
            out->rule[out->count++] = (class_rule){ before, most };
            if (!l.open || out->count == CLASS_RULES) return;
        }
        if (!room) most++;
        if (!room || most == CLASS_MOST) break;
    }
    out->rule[out->count++] = (class_rule){ l.open, l.from < l.to ? most : DECAI__NONE };
}

/* 255 characters may be more. */
static bool
follows(const class_rules *rules, uint32_t classes, uint32_t chars)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if (!(classes & ~rules->rule[i].classes) && chars <= rules->rule[i].most) return true;
    return false;
}

/* ---- tokens ---------------------------------------------------------------------------- */

static uint32_t
common(const walker *k, uint32_t i)
{
    if (k->last == DECAI__NONE) return 0;
    if (i == k->last + 1) return k->o->common[i];
    const decai__order *o = k->o;
    uint32_t at = 0, n = DECAI__MIN(decai__order_len(o, k->last), decai__order_len(o, i));
    const uint8_t *p = o->bytes + o->start[k->last], *q = o->bytes + o->start[i];
    while (at < n && p[at] == q[at]) at++;
    return at;
}

/* Token i, `same` of whose bytes are the last one's. 0, or an error. */
static int32_t
token(walker *k, uint32_t i, uint32_t same)
{
    uint32_t len = decai__order_len(k->o, i);
    const uint8_t *bytes = k->o->bytes + k->o->start[i];
    k->depth = DECAI__MIN(same, k->depth);
    k->charted = DECAI__MIN(k->charted, k->depth);
    k->fail = 0;
    while (run_numbers(k, bytes, len) && k->depth < len && step(k, bytes[k->depth])) continue;
    if (k->c->error) return k->c->error;
    if (k->depth < len) k->fail = k->depth + 1;
    k->last = i;
    return 0;
}

/* From a place on, where a text shares less than `fail` bytes with the one before it. */
static uint32_t
pass_over(const uint8_t *shares, uint32_t at, uint32_t to, uint32_t fail)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), fails = ones * fail;
    /* Eight at once: the high bit of each that is below `fail` (and perhaps of ones behind it). */
    for (uint64_t x; fail <= 128 && to - at >= 8; at += 8) {
        memcpy(&x, shares + at, 8);
        if ((x - fails) & ~x & ones << 7) break;
    }
    while (at < to && shares[at] >= fail) at++;
    return at;
}

/* Tokens from..to - 1. rules: of what follows the first byte, which they share, or of all
 * if that is not ASCII; or NULL. */
static int32_t
run(walker *k, uint32_t from, uint32_t to, const class_rules *rules)
{
    decai__walk *w = k->w;
    const decai__order *o = k->o;
    int32_t r = 0;
    for (uint32_t i = from, end; i < to && !r; i = end) {
        end = i;
        while (rules && end < to && follows(rules, o->classes[end], o->chars[end])) end++;
        if (end > i) {
            r = put(k->c->ctx, &w->out[0], i, end);
            continue;
        }
        uint32_t same = common(k, i);
        end = i + 1;
        if (!k->fail || same < k->fail) r = token(k, i, same);
        if (r) return r;
        /* All that begin as what cannot follow. Lengths from 255 on are not told apart. */
        if (k->fail && k->fail < 255) end = pass_over(o->common, end, to, k->fail);
        k->last = end - 1;
        if (!k->fail) r = put(k->c->ctx, &w->out[0], i, end);
        else if (w->escaped[k->fail - 1]) r = put(k->c->ctx, &w->out[1], i, end);
    }
    return r;
}

/* All tokens that begin with a byte. Few of those that begin in ASCII go beyond it. */
static int32_t
run_byte(walker *k, uint8_t byte)
{
    uint32_t from = k->o->first[byte], to = k->o->first[byte + 1], number = k->w->node[0], classes = ALL_CLASSES;
    const class_rules *rules = NULL;
    if (to - from >= CLASS_WORTH && number >= FIRST && byte < 0x80) {
        number = next_of(k, number, byte);
        if (to - from < CLASS_MANY) classes &= (1u << DECAI__CLASS_BEYOND) - 1;
    }
    if (to - from >= CLASS_WORTH && number >= FIRST) {
        class_rules *memo = &k->rules[(2 * number + (classes >> DECAI__CLASS_BEYOND & 1)) % RULES_KEPT];
        if (memo->number != number || memo->classes != classes) make_rules(k, memo, number, classes);
        rules = memo;
    }
    return k->c->error ? k->c->error : run(k, from, to, rules);
}

int32_t
decai__walk_run(decai__walk *w, decai__chart *c, const decai__order *o, const decai__ranges *in)
{
    walker k = { .w = w, .c = c, .o = o, .base = c->sets - 1, .last = DECAI__NONE };
    uint64_t next[4];
    int32_t r = 0;
    w->out[0].count = w->out[1].count = w->out[0].tokens = w->out[1].tokens = 0;
    w->node_count = 0;
    c->work = 0;
    w->remember = c->chain != NULL;
    w->escaped[0] = c->escaped;
    w->node[0] = w->remember ? (uint8_t)remember(&k) : OWN;
    if (in) {
        for (size_t i = 0; i < in->count && !r; i++) r = run(&k, in->at[2 * i], in->at[2 * i + 1], NULL);
    } else {
        decai__chart_next(c, next);
        for (uint32_t b = 0; b < 256 && !r; b++)
            if (w->escaped[0] || next[b / 64] >> b % 64 & 1) r = run_byte(&k, (uint8_t)b);
    }
    decai__chart_back(c, k.base);
    c->escaped = false;
    return r;
}
