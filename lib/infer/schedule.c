/* schedule.c - one step of a scheduler: who computes how many rows, the pass, the
 * draws, and what it cost.
 *
 * Each step every decoding session computes one row. Prompts fill up: as many rows as
 * cost about one more step without them, so nobody waits longer than twice as long for
 * a token; where nobody decodes, as many as fit, but beside prompts that end long ones
 * get nothing and a few rows in turn. Rows that are scarce (infer.batch is all there is) go by priority, then to who
 * has computed least (a newcomer starts level with the least of those who are there),
 * then to decoding, then to the shorter rest.
 *
 * A pass in which nobody waits for a token but a long prompt is computed is given up
 * between two ops when somebody new comes; the one after it is not, so that work
 * goes on whatever comes.
 *
 * How rows are grouped, cut and ordered never shows in what a session gives.
 */
#include "infer/schedule.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_LEAST 8                /* prompt rows beside others; all, while costs are not known */
#define MEAN 0.25                    /* weight of the newest in the mean costs */

bool
decai__schedule_by_itself(const decai_session *session)
{
    return session->logits_all || session->logprobs || session->has_fault;
}

/* ---- places --------------------------------------------------------------------------------- */

/* a goes before b. */
static bool
before(const schedule_request *a, const schedule_request *b)
{
    if (a->priority != b->priority) return a->priority > b->priority;
    if (a->state == REQUEST_QUEUED) return a->order < b->order;
    if (a->virtual_rows != b->virtual_rows) return a->virtual_rows < b->virtual_rows;
    if (a->state != b->state) return a->state == REQUEST_DECODE;
    size_t rest_a = a->target - a->session->length, rest_b = b->target - b->session->length;
    if (a->state == REQUEST_PROMPT && rest_a != rest_b) return rest_a < rest_b;
    return a->order < b->order;
}

static bool
planned(const decai_scheduler *s, const schedule_request *r)
{
    for (size_t i = 0; i < s->turn_count; i++)
        if (s->parts[i].r == r) return true;
    return false;
}

/* An earlier one computes the page that r needs next: r takes it over when it is there. */
static bool
waits(const decai_scheduler *s, const schedule_request *r)
{
    const decai__prefix_place *at = &r->place;
    size_t first = at->pages * DECAI__KV_PAGE, end = first + DECAI__KV_PAGE;

    if (r->state != REQUEST_PROMPT || at->lost || !s->prefix.bucket || end >= r->target) return false;
    for (size_t i = 0; i < s->count; i++) {
        const schedule_request *o = s->requests[i];
        if (o->state == REQUEST_PROMPT && o->order < r->order && o->priority >= r->priority && !o->place.lost
            && o->place.node == at->node && o->place.pages == at->pages && end <= o->target && (o->session->tree || !r->session->tree)
            && !memcmp(o->session->tokens + first, r->session->tokens + first, DECAI__KV_PAGE * sizeof(int32_t))) return true;
    }
    return false;
}

/* The one in one of two states that goes first and has no turn yet. */
static schedule_request *
first_in(const decai_scheduler *s, int32_t state, int32_t other)
{
    schedule_request *best = NULL;
    for (size_t i = 0; i < s->count; i++) {
        schedule_request *r = s->requests[i];
        if ((r->state == state || r->state == other) && !planned(s, r) && (!best || before(r, best)) && !waits(s, r))
            best = r;
    }
    return best;
}

void
decai__schedule_take(decai_scheduler *s, size_t bytes)
{
    s->memory += bytes;
    if (!s->memory_max) return;
    size_t rest = s->memory_max - s->memory;
    decai__prefix_shrink(&s->prefix, rest);
    s->prefix.most = DECAI__MIN(s->prefix_max, rest);
}

static void
activate(decai_scheduler *s, schedule_request *r)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < s->count; i++) {
        const schedule_request *o = s->requests[i];
        if (o->state == REQUEST_PROMPT || o->state == REQUEST_DECODE) least = DECAI__MIN(least, o->virtual_rows);
    }
    r->virtual_rows = least == UINT64_MAX ? 0 : least;
    r->state = REQUEST_PROMPT;
    r->started_ns = decai__clock_mono_ns(s->h.context);
    s->active++;
    decai__schedule_take(s, r->memory);
}

/* In order: who is next waits until there is room, nobody overtakes. */
static void
take_places(decai_scheduler *s)
{
    schedule_request *r;
    while (s->active < s->active_max && (r = first_in(s, REQUEST_QUEUED, REQUEST_QUEUED)) != NULL) {
        while (s->memory_max && r->memory > s->memory_max - s->memory)
            if (!decai__drafter_shed(s)) return;
        activate(s, r);
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void
plan_turn(decai_scheduler *s, schedule_request *r, size_t n, size_t heads)
{
    s->parts[s->turn_count++] = (schedule_turn){ .r = r, .n = n, .heads = heads };
}

/* Prompt rows that cost about a step without prompts. */
static size_t
chunk(const decai_scheduler *s)
{
    if (!(s->decode_ns > 0) || !(s->row_ns > 0)) return CHUNK_LEAST;
    double rows = s->decode_ns / s->row_ns;
    return rows < CHUNK_LEAST ? CHUNK_LEAST : rows > DECAI_BATCH_MAX ? DECAI_BATCH_MAX : (size_t)rows;
}

/* Whoever goes first takes what he needs of what is left. */
static void
plan_rows(decai_scheduler *s, size_t room)
{
    bool decoding = false;
    for (size_t i = 0; i < s->count; i++) decoding |= s->requests[i]->state == REQUEST_DECODE;
    bool waited_for = decoding;                      /* somebody's token depends on this step */
    size_t most = decoding ? DECAI__MIN(room, chunk(s)) : room;
    schedule_request *r;

    while (room && (r = first_in(s, REQUEST_DECODE, most ? REQUEST_PROMPT : REQUEST_DECODE)) != NULL) {
        size_t rest = r->target - r->session->length, n = DECAI__MIN(rest, DECAI__MIN(most, room));
        if (r->state == REQUEST_DECODE) {
            plan_turn(s, r, 1, 1);
            room--;
            continue;
        }
        if (n != rest && waited_for && !decoding) {  /* prompts end here: long ones step back, every other time */
            n = s->stepped_back ? DECAI__MIN(n, chunk(s)) : 0;
            s->stepped_back = !s->stepped_back;
            if (n) plan_turn(s, r, n, 0);
            return;
        }
        plan_turn(s, r, n, n == rest);
        most -= n;
        room -= n;
        waited_for |= n == rest;
    }
}

static void
plan(decai_scheduler *s)
{
    size_t room = s->engine->batch;
    schedule_request *r;

    s->turn_count = 0;
    for (size_t i = 0; i < s->count; i++) {          /* a pass failed: whose fault is it? */
        r = s->requests[i];
        if (!r->suspect || r->end) continue;
        size_t rest = r->state == REQUEST_PROMPT ? r->target - r->session->length : 1, n = DECAI__MIN(rest, room);
        r->suspect = false;
        plan_turn(s, r, n, n == rest);
        return;
    }
    plan_rows(s, room);
    decai__guess_plan(s);
}

/* ---- known pages -------------------------------------------------------------------------------- */

/* A prompt that was computed beside another that begins alike meets its pages at the
 * next border. */
static void
adopt(decai_scheduler *s, schedule_request *r)
{
    decai_session *session = r->session;

    if (decai__session_reserve(session, r->target + 1)) return;
    decai__compute_lock(session->body->c);
    int32_t e = session->length ? 0 : decai__kv_truncate(session->kv, 0);
    if (!e) e = decai__prefix_adopt(&s->prefix, &r->place, session, r->target);
    decai__compute_unlock(session->body->c);
    if (!e) return;
    decai__prefix_leave(&r->place);                  /* what is there is computed instead */
    (void)decai__kv_truncate(session->kv, session->length);
}

/* Before rows are planned. Pages may come from disk, and the backend may be busy with
 * somebody else's pass: submissions do not wait for that, so it goes on without the
 * lock. The sessions and the tree are ours; what others look at is written with it. */
static void
adopt_all(decai_scheduler *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->count; i++) {
        schedule_request *r = s->requests[i];
        if (r->state != REQUEST_PROMPT || r->place.lost || r->session->body != decai__engine_body(s->engine)) continue;
        s->parts[count++] = (schedule_turn){ .r = r, .n = r->session->length };
    }
    if (!count) return;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < count; i++) adopt(s, s->parts[i].r);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        schedule_request *r = s->parts[i].r;
        size_t length = r->session->length, first = DECAI__MAX(s->parts[i].n, r->first);
        if (length > first) r->shared += length - first;
        r->computed = length > r->first ? length - r->first : 0;
    }
}

static void
see_prefixes(decai_scheduler *s)
{
    s->prefix_count = s->prefix.count;
    s->prefix_bytes = s->prefix.bytes;
    s->prefix_hits = s->prefix.hits;
    s->prefix_loaded = s->prefix.disk.loaded;
    s->prefix_saved = s->prefix.disk.saved;
}

/* ---- computing: without the lock ------------------------------------------------------------- */

/* Memory, before anything is computed, so that who finds none fails by himself. */
static int32_t
make_room(schedule_turn *t)
{
    decai_session *session = t->r->session;
    decai__body *body = decai__engine_body(session->engine);

    int32_t r = session->body != body ? decai__session_move(session) : 0;
    if (!r) r = decai__session_reserve(session, session->length + t->n + 1);
    if (!r && !session->length) r = decai__kv_truncate(session->kv, 0);
    if (!r && t->r->state == REQUEST_DECODE && t->n > 1)
        memcpy(session->tokens + session->length + 1, t->r->draft, (t->n - 1) * sizeof *t->r->draft);
    if (r || decai__schedule_by_itself(session)) return r;
    decai__compute_lock(session->body->c);
    r = decai__kv_reserve(session->kv, session->length, t->n);
    decai__compute_unlock(session->body->c);
    if (r == DECAI_E_DEVICE) r = decai__session_move(session);
    return r;
}

static void
note(schedule_turn *t, int32_t result)
{
    t->result = result;
    if (result) (void)snprintf(t->r->detail, sizeof t->r->detail, "%s", decai__error_detail());
}

static void
run_by_itself(schedule_turn *t)
{
    decai_session *session = t->r->session;
    int32_t token = 0, r = decai__forward(session, session->length + t->n);

    if (!r && t->heads) r = decai__forward_head(session, &token);
    note(t, r);
    t->r->drawn[0] = token;
    t->r->drawn_count = !r && t->heads;
    t->r->head = SIZE_MAX;
}

/* The turns of those that go together. */
static size_t
gather(decai_scheduler *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        t->turn = NULL;
        if (t->result || decai__schedule_by_itself(t->r->session)) continue;
        s->turns[count] = (decai__turn){ .s = t->r->session, .n = t->n, .heads = t->heads };
        t->turn = &s->turns[count++];
    }
    return count;
}

static int32_t
run_together(decai_scheduler *s, const atomic_uint *stop)
{
    size_t count = gather(s);
    int32_t r = count ? decai__pass_run(s->engine, s->turns[0].s->body, s->turns, count, &s->heads, stop) : 0;

    if (r != DECAI_E_DEVICE) return r;
    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        if (t->turn) note(t, decai__session_move(t->r->session));
    }
    count = gather(s);
    return count ? decai__pass_run(s->engine, s->turns[0].s->body, s->turns, count, &s->heads, NULL) : 0;
}

/* The tokens of one session, from its heads: until one is not what was guessed. */
static void
draw(void *user, size_t i)
{
    decai_scheduler *s = user;
    schedule_turn *t = &s->parts[i];
    schedule_request *r = t->r;
    decai_session *session = r->session;
    decai__fpu fpu;

    if (t->result || !t->turn || !t->heads) return;
    size_t first = session->length + t->n - t->heads;
    r->head = t->turn->head;
    decai__fpu_enter(&fpu);
    for (size_t j = 0; j < t->heads && (!j || r->drawn[j - 1] == r->draft[j - 1]); j++) {
        int32_t e = decai__session_sample(session, decai__heads_logits(&s->heads, s->engine, r->head + j), first + j, &r->drawn[j]);
        if (e && !j) t->result = e;                  /* behind others it shows again, first of the next step */
        if (e) break;
        r->drawn_count = j + 1;
    }
    decai__fpu_leave(&fpu);
}

static int32_t
compute(decai_scheduler *s, const atomic_uint *stop)
{
    decai__fpu fpu;

    decai__fpu_enter(&fpu);
    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        note(t, make_room(t));
        if (!t->result && decai__schedule_by_itself(t->r->session)) run_by_itself(t);
    }
    int32_t r = run_together(s, stop);
    if (!r) decai__parallel(s->h.context, s->turn_count, draw, s);
    for (size_t i = 0; i < s->turn_count && !r; i++) {
        if (!s->parts[i].result || !s->parts[i].turn) continue;
        draw(s, (s->parts[i].result = 0, i));        /* again, here, for the detail */
        note(&s->parts[i], s->parts[i].result);
    }
    decai__fpu_leave(&fpu);
    return r;
}

/* Decoding, a page is kept when its last token is the session's: one step later. */
static void
keep(decai_scheduler *s, schedule_request *r)
{
    decai_session *session = r->session;

    if (r->place.lost || (r->place.pages + 1) * DECAI__KV_PAGE > session->length) return;
    decai__compute_lock(session->body->c);
    decai__prefix_keep(&s->prefix, &r->place, session);
    decai__compute_unlock(session->body->c);
}

/* What was computed is known from now on: to the session, and to those who begin alike. */
static void
settle(decai_scheduler *s)
{
    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        if (t->result || !t->turn) continue;
        if (t->r->state == REQUEST_PROMPT) t->r->session->length += t->n;
        keep(s, t->r);
    }
}

/* ---- booking: with the lock again -------------------------------------------------------------- */

void
decai__schedule_end(decai_scheduler *s, schedule_request *r, int32_t kind, int64_t value)
{
    if (r->state == REQUEST_PROMPT || r->state == REQUEST_DECODE) {
        s->active--;
        s->memory -= r->memory;
        decai__drafter_free(s, &r->drafter);
    }
    r->state = REQUEST_OVER;
    r->end = kind;
    r->end_value = value;
    r->drawn_count = r->told;
    r->tell_prompt = r->tell_progress = false;
}

static void
fail(decai_scheduler *s, schedule_request *r, int32_t error)
{
    if (error == DECAI_E_CANCELLED) return;          /* told as that when events are looked for */
    r->session->failed = true;
    decai__schedule_end(s, r, DECAI_EVENT_FAILED, error);
}

static void
book(decai_scheduler *s, schedule_turn *t)
{
    schedule_request *r = t->r;
    decai_session *session = r->session;

    r->rows += t->n;
    r->virtual_rows += t->n;
    r->steps++;
    s->rows += t->n;
    if (r->state == REQUEST_DECODE) {
        if (t->guessed) decai__drafter_learn(s, &r->drafter, t->guessed, r->drawn_count - 1);
        s->drafted += t->n - 1;
        s->draft_right += r->drawn_count ? r->drawn_count - 1 : 0;
        return;
    }
    s->prompt_tokens += t->n;
    r->computed = session->length > r->first ? session->length - r->first : 0;
    r->tell_progress = true;
    if (!t->heads) return;
    r->state = REQUEST_DECODE;
    r->tell_prompt = true;
    r->prompt_ns = decai__clock_mono_ns(s->h.context);
    session->prompt += r->target - r->first;
}

static void
mean(double *of, double value)
{
    if (value > 0) *of = *of > 0 ? *of + MEAN * (value - *of) : value;
}

/* Mean costs: of a step with a row of each, of a prompt's row beside one. */
static void
learn(decai_scheduler *s, int64_t ns)
{
    size_t prompt = 0, decode = 0, draft = 0;

    for (size_t i = 0; i < s->turn_count; i++) {
        const schedule_turn *t = &s->parts[i];
        if (t->r->state == REQUEST_PROMPT) prompt += t->n;
        else decode++, draft += t->n - 1;
    }
    double own = (double)ns - (decode ? s->decode_ns : 0);
    double more = draft ? decai__cost_of(&s->cost, (double)(decode + draft)) / decai__cost_of(&s->cost, (double)decode) : 1;
    if (!prompt) mean(&s->decode_ns, (double)ns / more);
    else if (prompt >= CHUNK_LEAST && !draft) mean(&s->row_ns, own / (double)prompt);
}

/* What a pass that came to nothing left behind `length`. */
static void
forget(decai_scheduler *s)
{
    for (size_t i = 0; i < s->turn_count; i++)
        if (s->parts[i].turn) (void)decai__kv_truncate(s->parts[i].r->session->kv, s->parts[i].r->session->length);
}

void
decai__schedule_step(decai_scheduler *s)
{
    for (size_t i = 0; i < s->count; i++) {
        schedule_request *r = s->requests[i];
        r->told = r->drawn_count = 0;
        r->last_head = SIZE_MAX;
        r->head = 0;
    }
    take_places(s);
    adopt_all(s);
    plan(s);
    if (!s->turn_count) return;
    bool decoding = false;
    for (size_t i = 0; i < s->turn_count; i++) decoding |= s->parts[i].r->state == REQUEST_DECODE;
    const atomic_uint *stop = decoding || s->given_up ? NULL : &s->urgent;
    atomic_store(&s->urgent, 0);
    pthread_mutex_unlock(&s->lock);
    decai__guess_run(s);
    int64_t start = decai__clock_mono_ns(s->h.context);
    int32_t r = compute(s, stop);
    int64_t ns = decai__clock_mono_ns(s->h.context) - start;
    if (!r) settle(s);
    decai__schedule_bury(s);
    pthread_mutex_lock(&s->lock);

    s->steps++;
    s->given_up = r == DECAI_E_CANCELLED && stop;
    s->preempted += s->given_up;
    if (r) forget(s);
    else learn(s, ns);
    for (size_t i = 0; i < s->turn_count; i++) {
        schedule_turn *t = &s->parts[i];
        if (r && t->turn && !t->result) {
            if (s->given_up) continue;
            t->r->suspect = s->turn_count > 1;       /* one by one, until it shows whose it is */
            if (t->r->suspect) continue;
            note(t, r);
        }
        if (t->result) fail(s, t->r, t->result);
        else book(s, t);
        if (t->r->drafter.off) decai__drafter_free(s, &t->r->drafter);
    }
    see_prefixes(s);
}
