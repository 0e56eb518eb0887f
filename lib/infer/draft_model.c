/* draft_model.c - guessing what sessions say next by asking a smaller model.
 *
 *     a session     a b c d e | f        f waits
 *     its draft     a b c x              one session of the draft engine, behind it
 *
 * The draft keeps the beginning that both have in common, forgets the rest, computes
 * what it lacks (d e f) and says greedily what it would say next. Those of all sessions
 * that ask go together, pass by pass: first what each lacks, then a row of each for one
 * guess more. All of it happens where passes are computed, without the scheduler's lock.
 * A draft that fails, whatever the reason, guesses nothing for the rest of its request;
 * so does one whose cache does not fit into infer.memory_bytes, where it is counted
 * before it is made and given up for a session that waits.
 *
 * How often the i-th guess comes true is taken as p^i, p being this request's mean (at
 * first everybody's); whether that pays: guess.c.
 */
#include "infer/schedule.h"

#include <string.h>

#define RIGHT_FIRST 0.9              /* what is hoped of the first guess */
#define MEAN 0.1
#define BEHIND 4                     /* tokens to catch up with that are nothing special */
#define ANSWER 256                   /* tokens still to come where nobody says how many */

/* ---- the engine ------------------------------------------------------------------------------ */

int32_t
decai__scheduler_draft_set(decai_scheduler *s, decai_engine *draft)
{
    decai_session *probe = NULL;
    int32_t r = 0;

    if (draft && draft->program->encoder)
        return decai__fail(DECAI_E_UNSUPPORTED, "draft: architecture %s has no next token", draft->program->arch);
    if (draft && draft->program->shape.vocab != s->engine->program->shape.vocab)
        return decai__fail(DECAI_E_INVALID, "draft: a vocabulary of %u tokens, the scheduler's engine has one of %u",
            draft->program->shape.vocab, s->engine->program->shape.vocab);
    if (draft && (r = decai__session_make(&probe, draft, NULL)) != 0) return r;
    pthread_mutex_lock(&s->lock);
    if (s->submitted) {
        r = decai__fail(DECAI_E_STATE, "scheduler: sessions were submitted already");
    } else {
        decai_session *old = s->draft_probe;         /* it keeps its engine */
        s->draft_probe = probe;
        s->draft = draft;
        probe = old;
    }
    pthread_mutex_unlock(&s->lock);
    decai__destroy(probe);                           /* NULL is fine */
    return r;
}

/* ---- with the lock: memory, chances ---------------------------------------------------------- */

void
decai__drafter_free(decai_scheduler *s, decai__drafter *d)
{
    if (d->session) s->dead[s->dead_count++] = d->session;
    s->memory -= d->memory;
    d->session = NULL;
    d->memory = 0;
}

bool
decai__drafter_shed(decai_scheduler *s)
{
    for (size_t i = s->count; i-- > 0;) {            /* of the latest first */
        decai__drafter *d = &s->requests[i]->drafter;
        if (!d->memory) continue;
        d->off = true;
        decai__drafter_free(s, d);
        s->model.no_room++;
        return true;
    }
    return false;
}

/* Its cache is counted from now on; false, there is no room. */
static bool
take_memory(decai_scheduler *s, schedule_request *r)
{
    decai__drafter *d = &r->drafter;
    const decai_session *target = r->session;
    size_t end = target->max_tokens ? r->target + target->max_tokens : SIZE_MAX;

    if (d->memory) return true;
    size_t bytes = decai__kv_bytes_for(s->draft_probe->kv, DECAI__MIN(end, (size_t)s->draft->context));
    if (s->memory_max && bytes > s->memory_max - s->memory) {
        d->off = true;
        s->model.no_room++;
        return false;
    }
    decai__schedule_take(s, d->memory = bytes);
    return true;
}

/* What a row of many costs the draft, in steps. */
static double
row_cost(const decai_scheduler *s)
{
    const double *of = s->draft_cost.of;
    return (of[COST_POINTS - 1] - of[COST_POINTS - 2]) / 8 * decai__guess_ratio(s);
}

double
decai__drafter_behind(const decai_scheduler *s, const schedule_request *r)
{
    size_t count = r->session->length + 1, behind = count - (r->drafter.session ? DECAI__MIN(r->drafter.session->length, count) : 0);
    return behind > BEHIND ? (double)behind * row_cost(s) : 0;
}

size_t
decai__drafter_left(const schedule_request *r)
{
    const decai_session *target = r->session;
    size_t rest = target->engine->context - target->length;
    return DECAI__MIN(rest, target->max_tokens ? target->max_tokens - target->turn : ANSWER);
}

size_t
decai__drafter_room(const decai_scheduler *s, const schedule_request *r, size_t most)
{
    size_t count = r->session->length + 1;
    return r->drafter.off || count >= s->draft->context ? 0 : DECAI__MIN(most, s->draft->context - count);
}

void
decai__drafter_ask(decai_scheduler *s, schedule_turn *t, size_t n)
{
    if (!take_memory(s, t->r)) return;
    t->asked = DECAI__MIN(n, t->asks);
    t->text = 0;
}

double
decai__drafter_right(const decai_scheduler *s, const decai__drafter *d)
{
    return d->right > 0 ? d->right : s->model.right > 0 ? s->model.right : RIGHT_FIRST;
}

void
decai__drafter_learn(decai_scheduler *s, decai__drafter *d, size_t guessed, size_t right)
{
    d->right = decai__drafter_right(s, d);
    if (!(s->model.right > 0)) s->model.right = RIGHT_FIRST;
    for (size_t i = 0; i < guessed && i <= right; i++) {
        double value = i < right ? 1 : 0;
        d->right += MEAN * (value - d->right);
        s->model.right += MEAN * (value - s->model.right);
    }
    s->model.tried++;
    s->model.drafted += guessed;
    s->model.taken += right;
}

/* ---- without it: which --------------------------------------------------------------------- */

/* Back to what both say, and the tokens that it lacks. */
static int32_t
follow(decai_session *d, const decai_session *target, size_t most)
{
    size_t count = target->length + 1, same = 0;

    while (same < d->length && same < count - 1 && d->tokens[same] == target->tokens[same]) same++;
    decai__compute_lock(d->body->c);
    int32_t r = decai__kv_truncate(d->kv, same);
    if (r == DECAI_E_STATE) r = decai__kv_truncate(d->kv, same = 0);         /* a window that has moved on */
    decai__compute_unlock(d->body->c);
    if (r) return r;
    d->length = same;
    r = decai__session_reserve(d, count + most);
    if (!r) memcpy(d->tokens + same, target->tokens + same, (count - same) * sizeof *d->tokens);
    return r;
}

static int32_t
prepare(decai_scheduler *s, schedule_turn *t)
{
    decai__drafter *d = &t->r->drafter;
    int32_t r = 0;

    if (!d->session) r = decai__session_make(&d->session, s->draft, NULL);
    if (!r && d->session->body != decai__engine_body(s->draft)) r = decai__session_move(d->session);
    return r ? r : follow(d->session, t->r->session, t->asked);
}

static int32_t
reserve(decai_session *d, size_t n)
{
    decai__compute_lock(d->body->c);
    int32_t r = decai__kv_reserve(d->kv, d->length, n);
    decai__compute_unlock(d->body->c);
    return r;
}

static int32_t
likeliest(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

/* It guesses no more; its memory is given back with the lock. */
static void
give_up(schedule_turn *t)
{
    t->r->drafter.off = true;
    t->guessed = t->asked = 0;
    t->draft_turn = NULL;
}

/* A pass of the rows that each lacks. `catch_up` rows may be computed in this step before
 * anything is guessed; who is not there by then guesses in another one. */
static size_t
gather(decai_scheduler *s, size_t *catch_up)
{
    size_t count = 0, room = s->draft->batch;

    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        decai_session *d = t->r->drafter.session;
        t->draft_turn = NULL;
        if (t->guessed >= t->asked || !room) continue;
        size_t lacks = t->r->session->length + 1 + t->guessed - d->length;
        size_t n = DECAI__MIN(room, lacks > 1 ? DECAI__MIN(lacks, *catch_up) : 1);
        if (!n) t->asked = t->guessed;
        else if (reserve(d, n)) give_up(t);
        else s->draft_turns[count] = (decai__turn){ .s = d, .n = n, .heads = n == lacks }, t->draft_turn = &s->draft_turns[count++];
        room -= n;
        *catch_up -= lacks > 1 ? n : 0;
    }
    return count;
}

/* What a pass gave. */
static void
hear(decai_scheduler *s)
{
    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        const decai__turn *turn = t->draft_turn;
        if (!turn) continue;
        decai_session *d = turn->s;
        d->length += turn->n;
        if (!turn->heads) continue;                  /* not there yet */
        int32_t token = likeliest(decai__heads_logits(&s->draft_heads, s->draft, turn->head), s->draft->program->shape.vocab);
        t->r->draft[t->guessed++] = token;
        d->tokens[d->length] = token;
    }
}

void
decai__drafter_guess(decai_scheduler *s)
{
    double step = 1 / DECAI__MAX(row_cost(s), 1e-3); /* nobody waits for a token much longer than twice as long */
    size_t rows = DECAI__MAX((size_t)step, BEHIND * s->turn_count), count;

    for (size_t i = 0; i < s->turn_count; i++)
        if (s->parts[i].asked && prepare(s, &s->parts[i])) give_up(&s->parts[i]);
    while ((count = gather(s, &rows)) > 0) {
        decai_session *first = s->draft_turns[0].s;
        if (!decai__pass_run(s->draft, first->body, s->draft_turns, count, &s->draft_heads, NULL)) {
            hear(s);
            continue;
        }
        for (size_t i = 0; i < s->turn_count; i++)
            if (s->parts[i].draft_turn) give_up(&s->parts[i]);
    }
    for (size_t i = 0; i < s->turn_count; i++) {
        s->parts[i].n += s->parts[i].guessed;
        s->parts[i].heads += s->parts[i].guessed;
    }
}
