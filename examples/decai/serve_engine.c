/* serve_engine.c - the one thread that runs a model; each model has its own.
 *
 * Choices wait in a queue until a slot is free. Those that have one are with the
 * library's scheduler, which computes them side by side and hands out one event after
 * the other: a token, an end. Between events this thread takes in what has come, and
 * embeds some texts where a call wants that; a model that only embeds has no scheduler.
 *
 * The engine comes with the first request and stays until it is wanted back
 * (serve_models.c): then nothing more is taken in, and it goes when the last choice has
 * ended. A scheduler that fails ends the choices that it had, with an error each, and
 * another one takes its place.
 *
 * A call whose reader is slow stops nobody: while SERVE_OUT_MAX bytes wait for it, what
 * comes is kept as text and numbers, and written as one event when they are taken. A
 * choice whose client is gone is cancelled, and ends with the scheduler's next event. */
#include "serve_engine.h"

#include <stdlib.h>
#include <string.h>

/* ---- the end of choices and calls ------------------------------------------------------ */

void
call_measure(const call *c)
{
    const served *m = c->model;
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
uint64_t
number_of_choice(const choice *ch)
{
    return (uint64_t)(uintptr_t)ch;
}

/* The engine's part of a call has ended. */
void
call_leave(call *c)
{
    if (atomic_load(&c->gone)) metrics_cancelled(c->s->metrics);
    atomic_fetch_sub(&c->s->working, 1);
    call_drop(c);
}

/* One choice less; the last one drops the engine's part of the call. */
void
choice_leave(engine_thread *e, choice **list, choice *ch)
{
    call *c = ch->call;
    while (*list != ch) list = &(*list)->next;
    *list = ch->next;
    pthread_mutex_lock(&e->lock);
    e->runs--;
    e->used = seconds_now();
    pthread_mutex_unlock(&e->lock);
    decai_destroy(ch->session);
    decai_destroy(ch->stream);
    ch->session = NULL;
    ch->stream = NULL;
    if (!--c->open) call_leave(c);
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
    int32_t code = decai_receipt_create(&r, ch->session, ch->call->model->tok, NULL);
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
    if (c->calls) {
        tools_show(ch);
        return;
    }
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
    ch->reason = ch->tool_count && !strcmp(reason, "stop") ? "tool_calls" : reason;
    if (c->done) return;
    int32_t r = c->receipt ? receipt_make(ch) : 0;
    if (r) {
        call_fail(c, r, "decai_receipt");
        return;
    }
    if (c->receipt && !c->stream && c->count == 1) {
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
    int32_t r = decai_session_create(&ch->session, e->engine, ch->options);
    if (!r && c->grammar) r = decai_session_grammar_set(ch->session, c->grammar);
    if (!r) r = decai_token_stream_create(&ch->stream, c->model->tok, c->calls ? DECAI_DECODE_SPECIAL : 0);
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
    return !decai_tokenizer_token_get(ch->call->model->tok, bytes, sizeof bytes, &len, &kind, token) && kind == DECAI_TOKEN_CONTROL;
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
    e->failed = 0;
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
    choice_leave(e, &e->running, ch);
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
        text_printf(&e->status, "%s{\"id\":\"%s\",\"model\":", e->status.len ? "," : "", c->id);
        text_json(&e->status, e->m->name.data, e->m->name.len);
        text_printf(&e->status, ",\"index\":%zu,\"state\":\"%s\",\"prompt_tokens\":%zu,\"tokens\":%llu,\"seconds\":%.3f}",
            ch->index, ch->tokens ? "writing" : "reading", ch->ids.len / sizeof(int32_t),
            (unsigned long long)ch->tokens, now - c->began);
    }
}

/* The next that waits, where there is a slot; it is on one of the two lists then. */
static choice *
take(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    choice *ch = e->stop || e->give || e->runs >= (size_t)e->s->slots ? NULL : e->first;
    if (ch) {
        bool embed = ch->call->form->operation == OPERATION_EMBEDDINGS;
        choice **list = embed ? &e->embedding : &e->running;
        e->first = ch->next;
        if (!e->first) e->last = &e->first;
        ch->call->begun = true;
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
        if (r) choice_leave(e, &e->running, ch);
    }
}

/* Some texts of the first in turn, which is the last one then. */
static void
embed(engine_thread *e)
{
    choice *ch = e->embedding;
    if (unwanted(ch) || embeddings_step(ch->call, e->engine)) {
        choice_leave(e, &e->embedding, ch);
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
    if (r < 0) engine_scheduler_failed(e, r);
    if (r == 1) on_event(e, (choice *)(uintptr_t)request, kind, value);
    return r == 1;
}

/* Wait until there is something to do; false: the end. */
static bool
something(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    status_write(e);
    while (!e->stop && !e->running && !e->embedding) {
        if (e->give && e->engine) {
            pthread_mutex_unlock(&e->lock);
            engine_unload(e);
            pthread_mutex_lock(&e->lock);
        } else if (e->first) {
            break;
        } else {
            pthread_cond_wait(&e->more, &e->lock);
        }
    }
    bool stop = e->stop;
    pthread_mutex_unlock(&e->lock);
    return !stop;
}

void *
engine_loop(void *user)
{
    engine_thread *e = user;
    for (size_t events = 0; something(e);) {
        int32_t r = e->engine ? 0 : engine_load(e);
        if (r) {
            if (r != DECAI_E_CANCELLED) engine_refuse_waiting(e, r);
            continue;
        }
        take_in(e);
        bool moved = e->running && advance(e);
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
