/* scheduler.c - the handle: who is there, what is to be told, what was done.
 *
 * A step computes for many and tells nothing. What it drew waits in the requests, and
 * one event a call is taken from them; only when none has anything to tell, the next
 * step begins. A token becomes part of its session at the moment it is told, so what
 * was drawn ahead and is not wanted any more leaves nothing behind.
 */
#include "infer/schedule.h"

#include <string.h>
#include <time.h>

/* ---- birth and death ---------------------------------------------------------------------- */

/* The session is the caller's again. */
static void
release(decai_scheduler *s, schedule_request *r)
{
    decai_session *session = r->session;

    decai__prefix_leave(&r->place);
    if (session->kv && !session->failed) (void)decai__kv_truncate(session->kv, session->length);
    decai__leave(session);
    decai__drafter_free(s, &r->drafter);
    s->dead[s->dead_count++] = session;
    decai__free(s->h.context, r);
}

void
decai__schedule_bury(decai_scheduler *s)
{
    while (s->dead_count) decai__destroy(s->dead[--s->dead_count]);
}

static void
scheduler_destroy(void *self)
{
    decai_scheduler *s = self;
    decai_context *ctx = s->h.context;

    for (size_t i = 0; i < s->count; i++) {
        atomic_store(&s->requests[i]->session->cancelled, 1);
        release(s, s->requests[i]);
        decai__schedule_bury(s);
    }
    decai__prefix_close(&s->prefix);
    decai__free(ctx, s->requests);
    decai__free(ctx, s->dead);
    decai__free(ctx, s->turns);
    decai__free(ctx, s->draft_turns);
    decai__free(ctx, s->parts);
    decai__heads_free(&s->heads, ctx);
    decai__heads_free(&s->draft_heads, ctx);
    if (s->made) {
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
    }
    decai__destroy(s->draft_probe);
    decai__destroy(s->engine);
}

static int32_t
make_locks(decai_scheduler *s)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr)) return decai__fail(DECAI_E_NOMEM, "scheduler: no condition");
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int bad = pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (bad) return decai__fail(DECAI_E_NOMEM, "scheduler: no condition");
    if (pthread_mutex_init(&s->lock, NULL)) {
        pthread_cond_destroy(&s->changed);
        return decai__fail(DECAI_E_NOMEM, "scheduler: no mutex");
    }
    s->made = true;
    return 0;
}

int32_t
decai__scheduler_create(decai_scheduler **out, decai_engine *engine, const decai_options *opts)
{
    decai_context *ctx = engine->h.context;
    int32_t r = decai__opts_check(opts, "infer base");

    if (r) return r;
    if (engine->program->encoder)
        return decai__fail(DECAI_E_UNSUPPORTED, "scheduler: architecture %s has no next token", engine->program->arch);
    decai_scheduler *s = decai__handle_create(ctx, DECAI__SCHEDULER, sizeof *s, scheduler_destroy);
    if (!s) return DECAI_E_NOMEM;
    decai__retain(engine);
    s->engine = engine;
    s->prefix.disk.dir = -1;
    atomic_init(&s->urgent, 0);
    s->active_max = (uint32_t)decai__opt_i64(opts, "infer.active");
    s->queue_max = (uint32_t)decai__opt_i64(opts, "infer.queue");
    s->memory_max = (size_t)decai__opt_i64(opts, "infer.memory_bytes");
    s->prefix_max = (size_t)decai__opt_i64(opts, "infer.prefix_bytes");
    s->draft_max = (uint32_t)decai__opt_i64(opts, "infer.draft_max");
    s->requests = decai__calloc(ctx, (size_t)s->active_max + s->queue_max, sizeof *s->requests);
    s->dead = decai__calloc(ctx, 2 * ((size_t)s->active_max + s->queue_max), sizeof(decai_session *));
    s->turns = decai__calloc(ctx, s->active_max, sizeof *s->turns);
    s->draft_turns = decai__calloc(ctx, s->active_max, sizeof *s->turns);
    s->draft_heads.plain = true;
    s->parts = decai__calloc(ctx, s->active_max, sizeof *s->parts);
    if (!s->requests || !s->dead || !s->turns || !s->draft_turns || !s->parts) r = decai__fail(DECAI_E_NOMEM, "scheduler: %u sessions", s->active_max);
    if (!r) r = decai__prefix_open(&s->prefix, ctx, s->prefix_max);
    if (!r && s->prefix_max)
        r = decai__prefix_disk_open(&s->prefix.disk, ctx, decai__opt_str(opts, "infer.prefix_dir"),
            (uint64_t)decai__opt_i64(opts, "infer.prefix_dir_bytes"), decai__model_root(engine->model), engine->contract);
    if (!r) r = make_locks(s);
    if (r) decai__destroy(s);
    else *out = s;
    return r;
}

/* ---- submissions --------------------------------------------------------------------------- */

static schedule_request *
find(const decai_scheduler *s, uint64_t id)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->requests[i]->id == id) return s->requests[i];
    return NULL;
}

/* Bytes of cache that the answer may grow to. */
static size_t
memory_for(const decai_session *session, size_t target)
{
    size_t context = session->engine->context;
    size_t end = session->max_tokens ? DECAI__MIN(context, target + session->max_tokens) : context;
    return decai__kv_bytes_for(session->kv, end);
}

static int32_t
admit(decai_scheduler *s, schedule_request *r, const int32_t *tokens, size_t count)
{
    decai_session *session = r->session;
    size_t have = session->length + session->waiting, places = (size_t)s->active_max + s->queue_max;

    if (find(s, r->id)) return decai__fail(DECAI_E_EXISTS, "request: %llu is still there", (unsigned long long)r->id);
    if (s->count == places) return decai__fail(DECAI_E_FULL, "infer.queue: %zu sessions are there already", places);
    r->memory = memory_for(session, have + count);
    if (s->memory_max && r->memory > s->memory_max)
        return decai__fail(DECAI_E_LIMIT, "infer.memory_bytes: this session may need %zu, all may have %zu", r->memory,
            s->memory_max);
    int32_t e = decai__session_extend(session, tokens, count);
    if (e) return e;
    r->first = have;                                 /* a token that waited is computed with the prompt */
    r->target = have + count;
    r->order = s->submitted++;
    r->place.lost = decai__schedule_by_itself(session);
    r->submitted_ns = decai__clock_mono_ns(s->h.context);
    s->requests[s->count++] = r;
    atomic_store(&s->urgent, 1);
    pthread_cond_signal(&s->changed);
    return 0;
}

int32_t
decai__scheduler_submit(decai_scheduler *s, decai_session *session, uint64_t id, int32_t priority, const int32_t *tokens,
    size_t count)
{
    if (session->engine != s->engine) return decai__fail(DECAI_E_INVALID, "session: it belongs to another engine");
    schedule_request *r = decai__calloc(s->h.context, 1, sizeof *r);
    if (!r) return decai__fail(DECAI_E_NOMEM, "request: %llu", (unsigned long long)id);

    *r = (schedule_request){ .id = id, .session = session, .priority = priority, .last_head = SIZE_MAX };
    pthread_mutex_lock(&s->lock);
    int32_t e = admit(s, r, tokens, count);
    if (!e) decai__retain(session);
    pthread_mutex_unlock(&s->lock);
    if (e) decai__free(s->h.context, r);
    return e;
}

int32_t
decai__scheduler_cancel(decai_scheduler *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    schedule_request *r = id ? find(s, id) : NULL;
    if (r) {
        r->cancelled = true;
        atomic_store(&s->urgent, 1);
    }
    if (!id) s->wake = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* ---- events -------------------------------------------------------------------------------- */

/* drawn[told] becomes a token of the session. */
static int32_t
give(decai_scheduler *s, schedule_request *r)
{
    decai_session *session = r->session;
    size_t head = r->head + r->told;
    int32_t token = r->drawn[r->told++];

    if (head != SIZE_MAX) {                          /* by itself: the session did it as it drew */
        const decai_engine *e = s->engine;
        if (session->waiting) session->length++;
        session->sampled[session->length - 1] = 1;
        decai__logits_chain(session->chain, s->heads.digests[head]);
        if (session->tree)
            decai__record_keep(session, session->length - 1, decai__heads_nodes(&s->heads, e, head), e->program->nodes + 2);
        session->any_logits = session->head = true;
    }
    decai__session_give(session, token);
    r->last_head = head;
    r->generated++;
    s->tokens++;
    return token;
}

static int32_t
finish_of(const decai_session *session)
{
    if (session->ended) return DECAI_FINISH_END;
    if (session->max_tokens && session->turn >= session->max_tokens) return DECAI_FINISH_TOKENS;
    return session->length >= session->engine->context ? DECAI_FINISH_CONTEXT : 0;
}

static void
tell_token(decai_scheduler *s, schedule_request *r, schedule_event *v)
{
    decai_session *session = r->session;
    int32_t token = give(s, r), finish = finish_of(session);

    *v = (schedule_event){ DECAI_EVENT_TOKEN, r->id, token, (int64_t)r->generated };
    if (!r->token_ns) r->token_ns = decai__clock_mono_ns(s->h.context);
    if (finish) decai__schedule_end(s, r, DECAI_EVENT_FINISHED, finish);
}

/* The last event: the session gets what it would have by itself, and goes. */
static void
tell_end(decai_scheduler *s, size_t at, schedule_event *v)
{
    schedule_request *r = s->requests[at];
    decai_session *session = r->session;
    int64_t now = decai__clock_mono_ns(s->h.context);

    *v = (schedule_event){ r->end, r->id, r->end_value, (int64_t)r->generated };
    if (r->end == DECAI_EVENT_FAILED) (void)decai__fail((int32_t)r->end_value, "%s", r->detail);
    if (r->last_head != SIZE_MAX)
        memcpy(session->logits, decai__heads_logits(&s->heads, s->engine, r->last_head),
            s->engine->program->shape.vocab * sizeof *session->logits);
    else if (r->generated && !session->logits_all && !session->logprobs) session->any_logits = false;
    if (r->prompt_ns) {
        session->prompt_ns += (uint64_t)(r->prompt_ns - r->started_ns);
        session->generated_ns += (uint64_t)(now - r->prompt_ns);
    }
    *(r->end == DECAI_EVENT_FINISHED ? &s->finished : r->end == DECAI_EVENT_FAILED ? &s->failed : &s->cancelled) += 1;
    memmove(&s->requests[at], &s->requests[at + 1], (s->count - at - 1) * sizeof(schedule_request *));
    s->count--;
    release(s, r);
}

static bool
tell(decai_scheduler *s, size_t at, schedule_event *v)
{
    schedule_request *r = s->requests[at];
    int64_t total = (int64_t)(r->target - r->first), computed = (int64_t)r->computed;

    if (r->tell_progress && r->state == REQUEST_PROMPT) {
        *v = (schedule_event){ DECAI_EVENT_PROGRESS, r->id, computed, total };
        r->tell_progress = false;
    } else if (r->tell_prompt) {
        *v = (schedule_event){ DECAI_EVENT_PROMPT, r->id, (int64_t)r->shared, total };
        r->tell_prompt = r->tell_progress = false;
    } else if (r->told < r->drawn_count) {
        tell_token(s, r, v);
    } else if (r->end) {
        tell_end(s, at, v);
    } else {
        return false;
    }
    return true;
}

static void
drop(decai_scheduler *s, schedule_request *r)
{
    /* Drawn by itself, the session is one token ahead of what it told. */
    if (r->head == SIZE_MAX && r->told < r->drawn_count) r->session->failed = true;
    decai__schedule_end(s, r, DECAI_EVENT_CANCELLED, 0);
    atomic_store(&r->session->cancelled, 1);
}

static bool
event(decai_scheduler *s, schedule_event *v)
{
    for (size_t i = 0; i < s->count; i++) {
        schedule_request *r = s->requests[i];
        if (!r->end && (r->cancelled || atomic_load(&r->session->cancelled))) drop(s, r);
        if (tell(s, i, v)) return true;
    }
    return false;
}

static struct timespec
deadline_after(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

int32_t
decai__scheduler_next(decai_scheduler *s, schedule_event *v, int64_t timeout_ms)
{
    struct timespec until = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    int late = 0;
    bool found;

    pthread_mutex_lock(&s->lock);
    while (!(found = event(s, v)) && !s->wake) {
        if (s->count) {
            decai__schedule_step(s);
            continue;
        }
        if (!timeout_ms || late) break;
        late = timeout_ms < 0 ? pthread_cond_wait(&s->changed, &s->lock) : pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    if (!found) s->wake = false;
    pthread_mutex_unlock(&s->lock);
    decai__schedule_bury(s);
    return found ? 1 : 0;
}

/* ---- looking ------------------------------------------------------------------------------- */

int32_t
decai__scheduler_top(decai_scheduler *s, int32_t *tokens, float *logprobs, size_t room, size_t *len, uint64_t id,
    uint32_t count)
{
    uint32_t vocab = s->engine->program->shape.vocab;
    int32_t ids[DECAI_TOP_MAX + 1], e = 0;
    float values[DECAI_TOP_MAX + 1];

    count = DECAI__MIN(count, vocab);
    pthread_mutex_lock(&s->lock);
    const schedule_request *r = find(s, id);
    if (!r || !r->generated || !r->told || (r->last_head == SIZE_MAX && r->head != SIZE_MAX))
        e = decai__fail(DECAI_E_STATE, "request: the last event was no token of %llu", (unsigned long long)id);
    if (!e) *len = (size_t)count + 1;
    if (!e && room < *len) e = decai__fail(DECAI_E_SPACE, "tokens, logprobs: %zu values", *len);
    if (!e) {
        const decai_session *session = r->session;
        const float *logits = r->last_head == SIZE_MAX ? session->logits : decai__heads_logits(&s->heads, s->engine, r->last_head);
        decai__top(ids, values, session->tokens[session->length], count, logits, vocab);
        memcpy(tokens, ids, *len * sizeof *tokens);
        memcpy(logprobs, values, *len * sizeof *logprobs);
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

static void
format_request(const schedule_request *r, decai__buf *out, bool first)
{
    static const char *const names[] = { "queued", "prompt", "decode", "over" };

    (void)decai__buf_printf(out, "%s{\"request\":%llu,\"priority\":%d,\"state\":\"%s\",\"prompt\":%zu,\"computed\":%zu,"
        "\"shared\":%zu,\"tokens\":%llu,\"rows\":%llu,\"steps\":%llu,", first ? "" : ",", (unsigned long long)r->id,
        (int)r->priority, names[r->state], r->target - r->first, r->computed, r->shared, (unsigned long long)r->generated,
        (unsigned long long)r->rows, (unsigned long long)r->steps);
    (void)decai__buf_printf(out, "\"cache_bytes\":%zu,\"submitted_ns\":%lld,\"started_ns\":%lld,\"prompt_ns\":%lld,\"first_token_ns\":%lld}",
        r->memory, (long long)r->submitted_ns, (long long)r->started_ns, (long long)r->prompt_ns, (long long)r->token_ns);
}

/* What guesses are judged by, in thousandths of a pass of one row: passes of 1, 2, 4, 8 and
 * 16 rows; the draft model's of one. */
static void
format_costs(const decai_scheduler *s, decai__buf *out)
{
    (void)decai__buf_printf(out, "\"pass_costs\":[");
    for (size_t i = 0; i < COST_POINTS && s->cost.known; i++)
        (void)decai__buf_printf(out, "%s%lld", i ? "," : "", (long long)(1000 * s->cost.of[i]));
    double model = s->draft && s->cost.known ? decai__guess_ratio(s) : 0;
    (void)decai__buf_printf(out, "],\"model_cost\":%lld,\"requests\":[", (long long)(1000 * model));
}

int32_t
decai__scheduler_format(decai_scheduler *s, decai__buf *out)
{
    pthread_mutex_lock(&s->lock);
    (void)decai__buf_printf(out, "{\"active\":%zu,\"queued\":%zu,\"cache_bytes\":%zu,\"steps\":%llu,\"rows\":%llu,"
        "\"prompt_tokens\":%llu,\"tokens\":%llu,", s->active, s->count - s->active, s->memory, (unsigned long long)s->steps,
        (unsigned long long)s->rows, (unsigned long long)s->prompt_tokens, (unsigned long long)s->tokens);
    (void)decai__buf_printf(out, "\"prefix_pages\":%zu,\"prefix_bytes\":%zu,\"prefix_hits\":%llu,\"prefix_loaded_bytes\":%llu,"
        "\"prefix_saved_bytes\":%llu,", s->prefix_count, s->prefix_bytes, (unsigned long long)s->prefix_hits,
        (unsigned long long)s->prefix_loaded, (unsigned long long)s->prefix_saved);
    (void)decai__buf_printf(out, "\"finished\":%llu,\"failed\":%llu,\"cancelled\":%llu,\"given_up\":%llu,\"decode_step_ns\":%lld,"
        "\"prompt_row_ns\":%lld,\"drafted\":%llu,\"draft_right\":%llu,", (unsigned long long)s->finished, (unsigned long long)s->failed,
        (unsigned long long)s->cancelled, (unsigned long long)s->preempted, (long long)s->decode_ns, (long long)s->row_ns,
        (unsigned long long)s->drafted, (unsigned long long)s->draft_right);
    (void)decai__buf_printf(out, "\"draft_model\":%s,\"model_drafted\":%llu,\"model_right\":%llu,\"model_no_room\":%llu,",
        s->draft ? "true" : "false", (unsigned long long)s->model.drafted, (unsigned long long)s->model.taken,
        (unsigned long long)s->model.no_room);
    format_costs(s, out);
    for (size_t i = 0; i < s->count; i++) format_request(s->requests[i], out, i == 0);
    pthread_mutex_unlock(&s->lock);
    return decai__buf_add_str(out, "]}");
}
