/* draft_model.c - guessing what a session says next by asking a smaller model.
 *
 *     the session   a b c d e | f        f waits
 *     its draft     a b c x              one session of the draft engine, behind it
 *
 * The draft keeps the beginning that both have in common, forgets the rest, computes
 * what it lacks (d e f) in one go and says greedily what it would say next. All of it
 * happens where passes are computed, without the scheduler's lock. A draft that fails,
 * whatever the reason, guesses nothing for the rest of its request.
 *
 * A guess costs its row in the pass and the draft's own time. Its i-th token comes true
 * with about p^i, p being this request's mean (at first everybody's), and is asked for
 * while that is more than it costs; where it does not pay it is tried again now and then.
 */
#include "infer/schedule.h"

#include <string.h>

#define RIGHT_FIRST 0.7              /* what is hoped of the first guess */
#define COST_FIRST 0.1               /* of a guess, in steps, while it is not known */
#define ROW_FIRST 0.25               /* of its row in the pass, while that is not known */
#define MARGIN 1.25                  /* a guess is to be worth this times its cost */
#define MEAN 0.1
#define FASTER 0.5                   /* weight of a time below the mean: what disturbs a measurement lengthens it */
#define AGAIN 64                     /* steps after which it is tried that did not pay */
#define HOPELESS 1024                /* the same where it would not pay if it were always right */
#define TRIES 2                      /* steps in a row then: the first one catches up */
#define BEHIND 4                     /* tokens to catch up with that are nothing special */
#define WORTH 32                     /* tokens to catch up with, by token of the answer left */

int32_t
decai__scheduler_draft_set(decai_scheduler *s, decai_engine *draft)
{
    decai_engine *old = draft;
    int32_t r = 0;

    if (draft && draft->program->encoder)
        return decai__fail(DECAI_E_UNSUPPORTED, "draft: architecture %s has no next token", draft->program->arch);
    if (draft && draft->program->shape.vocab != s->engine->program->shape.vocab)
        return decai__fail(DECAI_E_INVALID, "draft: a vocabulary of %u tokens, the scheduler's engine has one of %u",
            draft->program->shape.vocab, s->engine->program->shape.vocab);
    if (draft) decai__retain(draft);
    pthread_mutex_lock(&s->lock);
    if (s->submitted) {
        r = decai__fail(DECAI_E_STATE, "scheduler: sessions were submitted already");
    } else {
        old = s->draft;
        s->draft = draft;
    }
    pthread_mutex_unlock(&s->lock);
    decai__destroy(old);                             /* NULL is fine */
    return r;
}

void
decai__drafter_free(decai__drafter *d)
{
    decai__destroy(d->session);
    d->session = NULL;
}

/* ---- with the lock: how many -------------------------------------------------------------- */

size_t
decai__drafter_plan(decai_scheduler *s, schedule_request *r, size_t most, size_t decoding)
{
    decai__drafter *d = &r->drafter;
    const decai_session *target = r->session;
    size_t count = target->length + 1, n = 0;

    if (!s->draft || d->off || !most || count + most > s->draft->context) return 0;
    size_t behind = count - (d->session ? DECAI__MIN(d->session->length, count) : 0);
    size_t left = target->max_tokens ? target->max_tokens - target->turn : SIZE_MAX / WORTH;
    if (behind > BEHIND && behind > WORTH * left) return 0;
    double p = d->right > 0 ? d->right : s->model.right > 0 ? s->model.right : RIGHT_FIRST, cost = COST_FIRST;
    if (s->model.ns > 0 && s->decode_ns > 0)
        cost = s->model.ns / s->decode_ns + (s->draft_ns > 0 ? s->draft_ns / s->decode_ns : ROW_FIRST);
    cost *= MARGIN * (double)decoding;
    for (double share = p; n < most && share > cost; share *= p) n++;
    uint32_t again = cost < 1 ? AGAIN : HOPELESS;    /* to try means to catch up first */
    if (n) {
        d->since = 0;
    } else if (++d->since > again) {
        n = 1;
        if (d->since >= again + TRIES) d->since = 0;
    }
    return n;
}

void
decai__drafter_learn(decai_scheduler *s, decai__drafter *d, size_t guessed, size_t right)
{
    if (!(s->model.right > 0)) s->model.right = RIGHT_FIRST;
    if (!(d->right > 0)) d->right = s->model.right;
    for (size_t i = 0; i < guessed && i <= right; i++) {
        double value = i < right ? 1 : 0;
        d->right += MEAN * (value - d->right);
        s->model.right += MEAN * (value - s->model.right);
    }
    s->model.drafted += guessed;
    s->model.taken += right;
}

/* ---- without it: which --------------------------------------------------------------------- */

/* Back to what both say. */
static int32_t
rewind_to(decai_session *d, size_t length)
{
    if (length == d->length) return 0;
    decai__compute_lock(d->body->c);
    int32_t r = decai__kv_truncate(d->kv, length);
    if (r == DECAI_E_STATE) r = decai__kv_truncate(d->kv, length = 0);       /* a window that has moved on */
    decai__compute_unlock(d->body->c);
    if (!r) d->length = length;
    return r;
}

/* The likeliest next token; nothing is recorded. */
static int32_t
likeliest(decai_session *d, int32_t *token)
{
    uint32_t vocab = d->engine->program->shape.vocab, best = 0;

    decai__compute_lock(d->body->c);
    decai__compute_begin(d->body->c);
    int32_t r = decai__exec_head(d, DECAI__REF(d->last), 1, false);
    if (!r) r = decai__tbuf_read(d->body->pass.scores, 0, d->logits, 4 * (size_t)vocab);
    decai__compute_end(d->body->c);
    decai__compute_unlock(d->body->c);
    for (uint32_t i = 1; i < vocab && !r; i++)
        if (d->logits[i] > d->logits[best]) best = i;
    *token = (int32_t)best;
    return r;
}

/* Up to the waiting token, `rows` of them at most; 1: it is there. */
static int32_t
follow(decai_session *d, const decai_session *target, size_t most, size_t rows)
{
    size_t count = target->length + 1, same = 0;

    while (same < d->length && same < count - 1 && d->tokens[same] == target->tokens[same]) same++;
    int32_t r = rewind_to(d, same);
    if (!r) r = decai__session_reserve(d, count + most);
    if (r) return r;
    memcpy(d->tokens + d->length, target->tokens + d->length, (count - d->length) * sizeof *d->tokens);
    r = decai__forward(d, DECAI__MIN(count, d->length + rows));
    return r ? r : d->length == count;
}

static int32_t
guess(decai_session *d, const decai_session *target, int32_t *draft, size_t most, size_t rows)
{
    size_t n = 0;
    int32_t r = follow(d, target, most, rows);

    if (r <= 0) return r;
    r = likeliest(d, &draft[n]);
    while (!r && ++n < most) {
        d->tokens[d->length] = draft[n - 1];
        r = decai__forward(d, d->length + 1);
        if (!r) r = likeliest(d, &draft[n]);
    }
    return r ? r : (int32_t)n;
}

size_t
decai__drafter_guess(decai_scheduler *s, schedule_request *r, size_t most, size_t rows)
{
    decai__drafter *d = &r->drafter;
    int64_t start = decai__clock_mono_ns(s->h.context);
    int32_t n = 0;

    if (!d->session) n = decai__session_make(&d->session, s->draft, NULL);
    size_t behind = n ? 0 : r->session->length + 1 - DECAI__MIN(d->session->length, r->session->length + 1);
    if (!n) n = guess(d->session, r->session, r->draft, most, DECAI__MAX(rows, (size_t)BEHIND));
    if (n < 0) {
        d->off = true;
        decai__drafter_free(d);
        return 0;
    }
    double ns = (double)(decai__clock_mono_ns(s->h.context) - start) / (n ? n : 1);
    if (n && behind <= BEHIND) {
        double *mean = &s->model.ns;
        *mean = *mean > 0 ? *mean + (ns < *mean ? FASTER : MEAN) * (ns - *mean) : ns;
    }
    return (size_t)n;
}
