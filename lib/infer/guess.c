/* guess.c - who guesses how many tokens in a step: as many as give the most for the time.
 *
 *     tokens a step    one for each that decodes, and of its guesses 1 to i all come true
 *                      with a chance share[i]
 *     its time         of a pass of so many rows (cost.c), and what the draft model takes
 *
 * The likeliest guesses are taken first, until there is none left; as many of them as
 * gave the best rate are kept. Rows come in steps on most machines, so the search does
 * not end where the next one does not pay. Beside a prompt the rows cost what they add,
 * and where several decode, a step is stretched to twice its time at most.
 *
 * Where the draft model knows better than a session's text, it is asked; all that are
 * asked go as far, because its passes are shared. Nothing here looks at a clock: the
 * same text and the same costs give the same guesses.
 */
#include "infer/schedule.h"

#define WORTH 0.87                   /* of what is hoped for counts: nothing is to be slower for guesses */
#define DRAWN 0.03                   /* a guess's logits are hashed and drawn from, in passes */
#define STRETCH 2                    /* a step with guesses costs so many without at most, if several decode */
#define LEAST 0.03                   /* less likely guesses are never made */
#define HOPED 0.4                    /* of a first guess, before costs are measured for it */
#define AGAIN 64                     /* steps after which a model is tried that did not pay; doubled each time */
#define AGAIN_MOST 4096
#define TRIES 2                      /* guesses in a row then */
#define TRY 0.02                     /* steps to catch up for them, by step without */

typedef struct guessing {
    decai_scheduler *s;
    size_t decoding, rows;           /* sessions; rows without guesses */
    double value;                    /* tokens hoped for */
    size_t text;                     /* guesses from texts */
} guessing;

static double
time_of(const guessing *g, size_t guesses)
{
    const decai__cost *c = &g->s->cost;
    double more = decai__cost_of(c, (double)(g->rows + guesses)) - decai__cost_of(c, (double)g->rows);
    return decai__cost_of(c, (double)g->decoding) + more + DRAWN * (double)guesses;
}

/* Somebody whose text does not repeat itself waits for those whose text does. */
static bool
too_long(const guessing *g, double time)
{
    return g->decoding > 1 && time > STRETCH * time_of(g, 0);
}

/* ---- from the text --------------------------------------------------------------------------- */

/* The likeliest guess that is not taken yet; 0: none. */
static double
take_next(decai_scheduler *s)
{
    schedule_turn *best = NULL;

    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        if (t->text < t->hoped && (!best || t->r->share[t->text] > best->r->share[best->text])) best = t;
    }
    return best ? best->r->share[best->text++] : 0;
}

static void
plan_text(guessing *g, size_t room)
{
    double value = g->value, best = value / time_of(g, 0), share;
    size_t keep = 0;

    for (size_t n = 1; n <= room && !too_long(g, time_of(g, n)) && (share = take_next(g->s)) > LEAST; n++) {
        value += WORTH * share;
        if (value / time_of(g, n) <= best) continue;
        best = value / time_of(g, n);
        keep = n;
    }
    for (size_t i = 0; i < g->s->turn_count; i++) g->s->parts[i].text = 0;
    for (g->text = 0; g->text < keep; g->text++) g->value += WORTH * take_next(g->s);
}

/* ---- from the model ---------------------------------------------------------------------------- */

double
decai__guess_ratio(const decai_scheduler *s)
{
    if (s->cost.ns > 0 && s->draft_cost.ns > 0) return s->draft_cost.ns / s->cost.ns;
    return decai__cost_weights(s->draft) / decai__cost_weights(s->engine);
}

/* Tokens hoped for, and were all guesses true; guesses in all; the model's time. */
typedef struct asking { double value, sure, time; size_t rows; } asking;

/* Those who would ask: their text's guesses are given up for the model's. */
static size_t
would_ask(const guessing *g, asking *a)
{
    size_t count = 0;

    *a = (asking){ .value = g->value, .rows = g->text };
    for (size_t i = 0; i < g->s->turn_count; i++) {
        schedule_turn *t = &g->s->parts[i];
        bool knows = t->text && decai__drafter_right(g->s, &t->r->drafter) <= t->r->share[0];
        t->asks = t->most && !knows ? decai__drafter_room(g->s, t->r, t->most) : 0;
        t->chance = 1;
        if (!t->asks) continue;
        for (size_t j = 0; j < t->text; j++) a->value -= WORTH * t->r->share[j];
        a->rows -= t->text;
        count++;
    }
    a->sure = a->value;
    return count;
}

/* One guess more for all that ask: the n-th. */
static void
deeper(const guessing *g, asking *a, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < g->s->turn_count; i++) {
        schedule_turn *t = &g->s->parts[i];
        if (t->asks < n) continue;
        t->chance *= decai__drafter_right(g->s, &t->r->drafter);
        a->value += WORTH * t->chance;
        a->sure += WORTH;
        count++;
    }
    a->rows += count;
    a->time += decai__guess_ratio(g->s) * decai__cost_of(&g->s->draft_cost, (double)count);
}

/* What those who ask need to catch up, in passes; and how many tokens are still to come. */
static double
behind_of(const guessing *g, size_t *left)
{
    double sum = 0;

    *left = 0;
    for (size_t i = 0; i < g->s->turn_count; i++) {
        const schedule_turn *t = &g->s->parts[i];
        if (!t->asks) continue;
        sum += decai__drafter_behind(g->s, t->r);
        *left = DECAI__MAX(*left, decai__drafter_left(t->r));
    }
    return sum;
}

static void
plan_model(guessing *g, size_t room)
{
    decai_scheduler *s = g->s;
    const double least = g->value / time_of(g, g->text);
    double best = least, hope = 0;
    asking a;
    size_t n = 0, left, count = would_ask(g, &a), most = count ? DECAI__MIN((size_t)s->draft_max, (room - a.rows) / count) : 0;

    for (size_t i = 1; i <= most; i++) {
        deeper(g, &a, i);
        double time = time_of(g, a.rows) + a.time;
        if (too_long(g, time)) break;
        if (a.value / time > best) best = a.value / time, n = i;
        hope = DECAI__MAX(hope, a.sure / time);
    }
    double behind = behind_of(g, &left), saved = (double)left * time_of(g, 0) * (1 - least / best);
    if (behind > saved) n = 0;                       /* the answer is over before that pays */
    uint32_t again = DECAI__MAX(s->model.again, AGAIN);
    if (n) {
        s->model.since = s->model.again = s->model.tried = 0;
    } else if (most && hope > least && behind <= TRY * again && ++s->model.since > again) {
        n = 1;                                       /* texts change */
        if (s->model.since == again + 1) s->model.tried = 0;
        if (s->model.tried + 1 >= TRIES) s->model.since = 0, s->model.again = DECAI__MIN(2 * again, AGAIN_MOST);
    }
    for (size_t i = 0; i < s->turn_count && n; i++) {
        schedule_turn *t = &s->parts[i];
        if (t->asks) decai__drafter_ask(s, t, n);
    }
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/* What each one's text says; whether any of it is worth a look. */
static bool
look(guessing *g, size_t room)
{
    decai_scheduler *s = g->s;
    bool any = false;

    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        const decai_session *session = t->r->session;
        if (t->r->state != REQUEST_DECODE || decai__schedule_by_itself(session)) continue;
        /* No further than the answer and the context go. */
        t->most = DECAI__MIN(DECAI__MIN((size_t)s->draft_max, room), session->engine->context - session->length - 1);
        if (session->max_tokens) t->most = DECAI__MIN(t->most, session->max_tokens - session->turn - 1);
        t->hoped = decai__draft(&t->r->drafting, t->r->draft, t->r->share, t->most, session->tokens, session->length + 1);
        any |= t->hoped && t->r->share[0] >= HOPED;
    }
    return any;
}

void
decai__guess_plan(decai_scheduler *s)
{
    guessing g = { .s = s };

    for (size_t i = 0; i < s->turn_count; i++) {
        g.rows += s->parts[i].n;
        g.decoding += s->parts[i].r->state == REQUEST_DECODE;
    }
    size_t room = s->engine->batch - g.rows;
    if (!s->draft_max || !g.decoding || !room) return;
    bool any = look(&g, room);
    if (!s->cost.known) {
        s->measure = any || s->draft;
        return;
    }
    g.value = (double)g.decoding;
    plan_text(&g, room);
    if (s->draft) plan_model(&g, room);
    for (size_t i = 0; i < s->turn_count; i++) {
        s->parts[i].n += s->parts[i].text;
        s->parts[i].heads += s->parts[i].text;
    }
}

void
decai__guess_run(decai_scheduler *s)
{
    decai__fpu fpu;

    decai__fpu_enter(&fpu);
    if (s->measure) {
        decai__cost_measure(&s->cost, s->engine);
        if (s->draft) decai__cost_measure(&s->draft_cost, s->draft);
        s->measure = false;
    }
    if (s->draft) decai__drafter_guess(s);
    decai__fpu_leave(&fpu);
}
