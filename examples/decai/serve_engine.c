/* serve_engine.c - the one thread that runs the model.
 *
 * Choices wait in a queue until a slot is free. Those that have one are with the
 * library's scheduler, which computes them side by side and hands out one event after
 * the other: a token, an end. Between events this thread takes in what has come, and
 * embeds some texts where a call wants that; a model that only embeds has no scheduler.
 *
 * A call whose reader is slow stops nobody: while SERVE_OUT_MAX bytes wait for it, what
 * comes is kept as text and numbers, and written as one event when they are taken. A
 * choice whose client is gone is cancelled, and ends with the scheduler's next event. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

struct engine_thread {
    server *s;
    pthread_t thread;
    decai_scheduler *q;              /* NULL: an encoder's */
    choice *running, *embedding;     /* the thread's own: with the scheduler; to be embedded, in turn */

    pthread_mutex_t lock;            /* of what follows */
    pthread_cond_t more;
    choice *first, **last;           /* waiting */
    size_t waits, runs, calls;
    bool stop;
    double cpu;
    uint64_t tokens;
    text status;                     /* of what runs, not older than a quarter of a second */
    double shown;
};

/* ---- the end of choices and calls ------------------------------------------------------ */

void
call_measure(const call *c)
{
    metrics *m = c->s->metrics;
    double now = seconds_now();
    int operation = c->form->operation;
    metrics_observe(m, operation, SERIES_DURATION, now - c->began);
    metrics_observe(m, operation, SERIES_INPUT, (double)c->prompt_tokens);
    if (operation == OPERATION_EMBEDDINGS) return;
    metrics_observe(m, operation, SERIES_OUTPUT, (double)c->output_tokens);
    if (c->first_token > 0) metrics_observe(m, operation, SERIES_FIRST_TOKEN, c->first_token - c->began);
    if (c->first_token > 0 && c->output_tokens > 1)
        metrics_observe(m, operation, SERIES_OUTPUT_TOKEN, (now - c->first_token) / (double)(c->output_tokens - 1));
}

/* The scheduler's number for a choice. */
static uint64_t
number_of_choice(const choice *ch)
{
    return (uint64_t)(uintptr_t)ch;
}

/* One choice less; the last one drops the engine's part of the call. */
static void
leave(engine_thread *e, choice **list, choice *ch)
{
    call *c = ch->call;
    while (*list != ch) list = &(*list)->next;
    *list = ch->next;
    pthread_mutex_lock(&e->lock);
    e->runs--;
    pthread_mutex_unlock(&e->lock);
    decai_destroy(ch->session);
    decai_destroy(ch->stream);
    ch->session = NULL;
    ch->stream = NULL;
    if (--c->open) return;
    if (atomic_load(&c->gone)) metrics_cancelled(e->s->metrics);
    pthread_mutex_lock(&e->lock);
    e->calls--;
    pthread_mutex_unlock(&e->lock);
    call_drop(c);
}

typedef int32_t (*encoder)(decai_receipt *, uint8_t *, size_t, size_t *);

static int32_t
fetch(decai_receipt *r, encoder get, text *out)
{
    size_t len = 0;
    int32_t code = get(r, NULL, 0, &len);
    if (code && code != DECAI_E_SPACE) return code;
    text_reserve(out, len);
    return get(r, (uint8_t *)out->data, len, &len);
}

static int32_t
receipt_make(choice *ch)
{
    decai_receipt *r = NULL;
    uint8_t id[32];
    int32_t code = decai_receipt_create(&r, ch->session, ch->call->s->tok, NULL);
    if (!code) code = decai_receipt_id_get(r, id, sizeof id);
    if (!code) code = fetch(r, decai_receipt_encode, &ch->receipt);
    if (!code) code = fetch(r, decai_opening_get, &ch->opening);
    if (!code) text_hex(&ch->receipt_id, id, sizeof id);
    decai_destroy(r);
    return code;
}

/* Text that came. A stream gives it on, unless its reader is far behind. */
static void
show(choice *ch, const char *data, size_t len, bool last)
{
    call *c = ch->call;
    int32_t r = c->calls ? tools_take(ch, data, len, last) : 0;
    if (r) call_fail(c, r, NULL);
    if (!c->calls && len) text_add(&ch->answer, data, len);
    if (!c->stream || c->done) return;
    if (!c->streaming) {
        call_stream(c);
        c->form->begin(c);
    }
    if (!last && call_waiting(c) > SERVE_OUT_MAX) return;
    if (ch->answer.len > ch->answer_shown || ch->marks.len > ch->marks_shown)
        c->form->piece(ch, ch->answer.data ? ch->answer.data + ch->answer_shown : "", ch->answer.len - ch->answer_shown);
    ch->answer_shown = ch->answer.len;
}

static void
finish(choice *ch, const char *reason)
{
    call *c = ch->call;
    uint8_t piece[DECAI_TOKEN_STREAM_MAX + DECAI_STOP_BYTES_MAX];
    size_t len = 0;
    if (ch->stop < 0 && decai_token_stream_add(ch->stream, piece, sizeof piece, &len, DECAI_TOKEN_END)) len = 0;
    show(ch, (const char *)piece, len, true);
    ch->reason = ch->tool_calls.len && !strcmp(reason, "stop") ? "tool_calls" : reason;
    if (c->done) return;
    int32_t r = c->receipt ? receipt_make(ch) : 0;
    if (r) {
        call_fail(c, r, "decai_receipt");
        return;
    }
    if (c->receipt && !c->stream) {
        text_reserve(&c->header, 0);
        text_add(&c->header, ch->receipt_id.data, ch->receipt_id.len);
    }
    if (c->stream) c->form->finish(ch);
    if (c->open == 1) {
        call_measure(c);
        c->form->end(c);
    }
}

/* ---- a choice and the scheduler ---------------------------------------------------------------- */

static bool
unwanted(const choice *ch)
{
    return atomic_load(&ch->call->gone) || ch->call->done;
}

static int32_t
begin(engine_thread *e, choice *ch)
{
    call *c = ch->call;
    int32_t r = decai_session_create(&ch->session, c->s->engine, ch->options);
    if (!r && c->grammar) r = decai_session_grammar_set(ch->session, c->grammar);
    if (!r) r = decai_token_stream_create(&ch->stream, c->s->tok, c->calls ? DECAI_DECODE_SPECIAL : 0);
    for (size_t i = 0; !r && i < c->stop_count; i++)
        r = decai_token_stream_stop_add(ch->stream, (const uint8_t *)c->stops[i].data, c->stops[i].len);
    return r ? r : decai_scheduler_submit(e->q, ch->session, number_of_choice(ch), 0, (const int32_t *)(const void *)ch->ids.data,
        ch->ids.len / sizeof(int32_t));
}

static bool
is_control(const choice *ch, int32_t token)
{
    uint8_t bytes[DECAI_TOKEN_STREAM_MAX];
    size_t len;
    int32_t kind = 0;
    return !decai_tokenizer_token_get(ch->call->s->tok, bytes, sizeof bytes, &len, &kind, token) && kind == DECAI_TOKEN_CONTROL;
}

static int32_t
mark_add(engine_thread *e, choice *ch)
{
    int32_t tokens[SERVE_TOP_MAX + 1];
    float values[SERVE_TOP_MAX + 1];
    size_t n = 0, same = 0;
    int32_t r = decai_scheduler_top_get(e->q, tokens, SERVE_TOP_MAX + 1, &n, values, SERVE_TOP_MAX + 1, &same, number_of_choice(ch),
        (uint32_t)ch->call->top);
    for (size_t i = 0; !r && i < n; i++) {
        const mark m = {tokens[i], values[i], i ? 0 : (uint32_t)n - 1};
        text_add(&ch->marks, (const char *)&m, sizeof m);
    }
    return r;
}

/* A token's text. */
static void
say(engine_thread *e, choice *ch, int32_t token, int32_t r)
{
    call *c = ch->call;
    uint8_t piece[DECAI_TOKEN_STREAM_MAX + DECAI_STOP_BYTES_MAX];
    size_t len = 0;
    if (!r) r = decai_token_stream_add(ch->stream, piece, sizeof piece, &len, token);
    if (r < 0) call_fail(c, r, NULL);
    else show(ch, (const char *)piece, len, false);
    if (r == 1) (void)decai_token_stream_stop_get(ch->stream, &ch->stop);
    if (r == 1) (void)decai_scheduler_cancel(e->q, number_of_choice(ch));
}

static void
on_token(engine_thread *e, choice *ch, int32_t token)
{
    call *c = ch->call;
    ch->tokens++;
    c->output_tokens++;
    if (c->first_token <= 0) c->first_token = seconds_now();
    int32_t r = c->top >= 0 && !is_control(ch, token) ? mark_add(e, ch) : 0, now = token;
    if (c->calls) {                  /* with marks in the text, its end must not be one of them */
        now = ch->held;
        ch->held = token;
    }
    if (now >= 0 || r) say(e, ch, now, r);
}

static void
on_event(engine_thread *e, choice *ch, int32_t kind, int64_t value)
{
    if (unwanted(ch)) (void)decai_scheduler_cancel(e->q, number_of_choice(ch));
    switch (kind) {
    case DECAI_EVENT_PROMPT:
        ch->call->cached_tokens += (uint64_t)value;
        return;
    case DECAI_EVENT_TOKEN:
        if (!unwanted(ch)) on_token(e, ch, (int32_t)value);
        return;
    case DECAI_EVENT_FINISHED:
        if (!unwanted(ch) && ch->held >= 0 && value != DECAI_FINISH_END) say(e, ch, ch->held, 0);
        if (!unwanted(ch)) finish(ch, value == DECAI_FINISH_END ? "stop" : "length");
        break;
    case DECAI_EVENT_FAILED:
        if (!unwanted(ch)) call_fail(ch->call, (int32_t)value, NULL);
        break;
    case DECAI_EVENT_CANCELLED:
        if (!unwanted(ch)) finish(ch, "stop");
        break;
    default:
        return;
    }
    leave(e, &e->running, ch);
}

/* ---- the thread ----------------------------------------------------------------------------------- */

/* Under the lock: what runs, for people. */
static void
status_write(engine_thread *e)
{
    double now = seconds_now();
    if (e->running && now - e->shown < 0.25) return;
    e->shown = now;
    text_reserve(&e->status, 0);
    for (choice *ch = e->running; ch; ch = ch->next) {
        const call *c = ch->call;
        text_printf(&e->status, "%s{\"id\":\"%s\",\"index\":%zu,\"state\":\"%s\",\"prompt_tokens\":%zu,\"tokens\":%llu,\"seconds\":%.3f}",
            e->status.len ? "," : "", c->id, ch->index, ch->tokens ? "writing" : "reading", ch->ids.len / sizeof(int32_t),
            (unsigned long long)ch->tokens, now - c->began);
    }
}

/* The next that waits, where there is a slot; it is on one of the two lists then. */
static choice *
take(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    status_write(e);
    while (!e->q && !e->stop && !e->first && !e->embedding) pthread_cond_wait(&e->more, &e->lock);
    choice *ch = e->stop || e->runs >= (size_t)e->s->slots ? NULL : e->first;
    if (ch) {
        bool embed = ch->call->form->operation == OPERATION_EMBEDDINGS;
        choice **list = embed ? &e->embedding : &e->running;
        e->first = ch->next;
        if (!e->first) e->last = &e->first;
        e->waits--;
        e->runs++;
        /* What embeds takes turns: the new one last. */
        while (embed && *list) list = &(*list)->next;
        ch->next = *list;
        *list = ch;
    }
    pthread_mutex_unlock(&e->lock);
    return ch;
}

static void
take_in(engine_thread *e)
{
    for (choice *ch; (ch = take(e));) {
        if (ch->call->form->operation == OPERATION_EMBEDDINGS) continue;
        int32_t r = unwanted(ch) ? DECAI_E_CANCELLED : begin(e, ch);
        if (r && !unwanted(ch)) call_fail(ch->call, r, NULL);
        if (r) leave(e, &e->running, ch);
    }
}

/* Some texts of the first in turn, which is the last one then. */
static void
embed(engine_thread *e)
{
    choice *ch = e->embedding;
    if (unwanted(ch) || embeddings_step(ch->call)) {
        leave(e, &e->embedding, ch);
        return;
    }
    choice **at = &e->embedding;
    *at = ch->next;
    while (*at) at = &(*at)->next;
    *at = ch;
    ch->next = NULL;
}

static void
account(engine_thread *e, double from, bool token)
{
    double spent = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - from;
    pthread_mutex_lock(&e->lock);
    e->cpu += spent;
    e->tokens += token;
    pthread_mutex_unlock(&e->lock);
}

/* The scheduler's next event, if there is one. */
static bool
advance(engine_thread *e)
{
    int32_t kind = 0;
    uint64_t request = 0;
    int64_t value = 0, total = 0;
    double from = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    int32_t r = decai_scheduler_next(e->q, &kind, &request, &value, &total, e->embedding ? 0 : -1);
    account(e, from, r == 1 && kind == DECAI_EVENT_TOKEN);
    if (r < 0) die(EXIT_FAILED, "scheduler: %s: %s", decai_error_name(r), decai_error_detail());
    if (r == 1) on_event(e, (choice *)(uintptr_t)request, kind, value);
    return r == 1;
}

static bool
stopping(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    bool stop = e->stop;
    pthread_mutex_unlock(&e->lock);
    return stop;
}

static void *
loop(void *user)
{
    engine_thread *e = user;
    for (size_t events = 0; !stopping(e);) {
        take_in(e);
        bool moved = e->q && advance(e);
        events = moved ? events + 1 : 0;
        /* About once a step of the others. */
        if (e->embedding && (!moved || events >= e->runs)) {
            double from = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
            embed(e);
            account(e, from, false);
            events = 0;
        }
    }
    return NULL;
}

/* ---- from other threads ---------------------------------------------------------------------------- */

engine_thread *
engine_thread_start(server *s)
{
    engine_thread *e = calloc(1, sizeof *e);
    decai_options *o = NULL;
    if (!e) die(EXIT_FAILED, "out of memory");
    e->s = s;
    e->last = &e->first;
    text_reserve(&e->status, 0);
    check(decai_options_create(&o, s->ctx), "options");
    check(decai_options_set_i64(o, "infer.active", s->slots), "--slots");
    if (!s->encoder) check(decai_scheduler_create(&e->q, s->engine, o), "scheduler");
    if (e->q) check(decai_scheduler_draft_set(e->q, s->draft), "--draft");
    decai_destroy(o);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->more, NULL);
    if (pthread_create(&e->thread, NULL, loop, e)) die(EXIT_FAILED, "no thread");
    return e;
}

void
engine_thread_wake(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    pthread_cond_signal(&e->more);
    pthread_mutex_unlock(&e->lock);
    if (e->q) (void)decai_scheduler_cancel(e->q, 0);
}

/* Nobody waits for this call any more: what it has with the scheduler ends. */
void
engine_thread_cancel(engine_thread *e, call *c)
{
    for (size_t i = 0; e->q && atomic_load(&c->submitted) && i < c->count; i++) (void)decai_scheduler_cancel(e->q, number_of_choice(&c->choices[i]));
}

/* After the HTTP side has ended. */
void
engine_thread_stop(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_mutex_unlock(&e->lock);
    engine_thread_wake(e);
    pthread_join(e->thread, NULL);
    decai_destroy(e->q);
    while (e->running) leave(e, &e->running, e->running);
    while (e->embedding) leave(e, &e->embedding, e->embedding);
    for (choice *ch; (ch = e->first);) {
        e->first = ch->next;
        ch->next = e->running;
        e->running = ch;
        leave(e, &e->running, ch);
    }
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->more);
    text_free(&e->status);
    free(e);
}

bool
engine_thread_add(engine_thread *e, call *c)
{
    pthread_mutex_lock(&e->lock);
    bool room = !e->stop && e->calls < (size_t)e->s->queue;
    if (room) {
        atomic_fetch_add(&c->owners, 1);
        atomic_store(&c->submitted, true);
        e->calls++;
        e->waits += c->count;
        for (size_t i = 0; i < c->count; i++) {
            *e->last = &c->choices[i];
            e->last = &c->choices[i].next;
        }
    }
    pthread_mutex_unlock(&e->lock);
    if (room) engine_thread_wake(e);
    return room;
}

void
engine_thread_status(engine_thread *e, text *out)
{
    pthread_mutex_lock(&e->lock);
    text_printf(out, "[%s]", e->status.data);
    pthread_mutex_unlock(&e->lock);
}

void
engine_thread_load(engine_thread *e, size_t *runs, size_t *waits, double *cpu, uint64_t *tokens)
{
    pthread_mutex_lock(&e->lock);
    *runs = e->runs;
    *waits = e->waits;
    *cpu = e->cpu;
    *tokens = e->tokens;
    pthread_mutex_unlock(&e->lock);
}
