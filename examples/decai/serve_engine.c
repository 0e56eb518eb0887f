/* serve_engine.c - the one thread that runs the model.
 *
 * Choices wait in a queue until a slot is free; those that have one are stepped in
 * turn: some prompt tokens, one answer token, or a few texts to embed. So a long prompt
 * or a long list does not stall the others, and everybody gets the same share.
 *
 * A choice whose call has too many bytes waiting for a slow reader rests: it keeps its
 * session but no slot, until the HTTP thread says that they are taken. A choice whose
 * client is gone ends at its next step. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT_STEP 256              /* prompt tokens of one step */

enum { RESTS, MOVED, ENDED };

struct engine_thread {
    server *s;
    pthread_t thread;
    choice *running;                 /* the thread's own: stepped in turn */
    bool stop_now;

    pthread_mutex_t lock;            /* of what follows */
    pthread_cond_t more;
    choice *first, **last;           /* waiting */
    size_t waits, runs, rests, calls;
    bool stop, kicked;
    double cpu;
    uint64_t tokens;
    text status;                     /* of what runs, not older than a quarter of a second */
    double shown;
};

/* ---- the end of choices and calls ------------------------------------------------------ */

static void
measure(const call *c)
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

/* One choice less; the last one drops the engine's part of the call. */
static void
leave(engine_thread *e, choice *ch)
{
    call *c = ch->call;
    decai_destroy(ch->session);
    decai_destroy(ch->stream);
    ch->session = NULL;
    ch->stream = NULL;
    if (--c->open) return;
    if (atomic_load(&c->gone)) metrics_cancelled(e->s->metrics);
    else measure(c);
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

static void
show(choice *ch, const char *data, size_t len)
{
    call *c = ch->call;
    if (len) text_add(&ch->answer, data, len);
    if (!c->stream) return;
    if (!c->streaming) {
        call_stream(c);
        c->form->begin(c);
    }
    if (len || ch->marks.len > ch->marks_shown) c->form->piece(ch, data, len);
}

static int
failed(choice *ch, int32_t r)
{
    call_fail(ch->call, r, NULL);
    return ENDED;
}

static int
finish(choice *ch, const char *reason)
{
    call *c = ch->call;
    uint8_t piece[DECAI_TOKEN_STREAM_MAX + DECAI_STOP_BYTES_MAX];
    size_t len = 0;
    if (ch->stop < 0 && decai_token_stream_add(ch->stream, piece, sizeof piece, &len, DECAI_TOKEN_END)) len = 0;
    show(ch, (const char *)piece, len);
    ch->reason = reason;
    int32_t r = c->receipt ? receipt_make(ch) : 0;
    if (r) return failed(ch, r);
    if (c->receipt && !c->stream) {
        text_reserve(&c->header, 0);
        text_add(&c->header, ch->receipt_id.data, ch->receipt_id.len);
    }
    if (c->stream) c->form->finish(ch);
    if (c->open == 1) c->form->end(c);
    return ENDED;
}

/* ---- one step of a choice ------------------------------------------------------------------ */

static int
begin(choice *ch)
{
    call *c = ch->call;
    int32_t r = decai_session_create(&ch->session, c->s->engine, ch->options);
    if (!r) r = decai_token_stream_create(&ch->stream, c->s->tok, 0);
    for (size_t i = 0; !r && i < c->stop_count; i++)
        r = decai_token_stream_stop_add(ch->stream, (const uint8_t *)c->stops[i].data, c->stops[i].len);
    return r ? failed(ch, r) : MOVED;
}

static int
feed(choice *ch)
{
    size_t left = ch->ids.len / sizeof(int32_t) - ch->fed, n = left < PROMPT_STEP ? left : PROMPT_STEP;
    int32_t r = decai_session_add(ch->session, (const int32_t *)(const void *)ch->ids.data + ch->fed, n);
    ch->fed += n;
    return r ? failed(ch, r) : MOVED;
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
mark_add(choice *ch)
{
    int32_t tokens[SERVE_TOP_MAX + 1];
    float values[SERVE_TOP_MAX + 1];
    size_t n = 0, same = 0;
    int32_t r = decai_session_top_get(ch->session, tokens, SERVE_TOP_MAX + 1, &n, values, SERVE_TOP_MAX + 1, &same, (uint32_t)ch->call->top);
    for (size_t i = 0; !r && i < n; i++) {
        const mark m = {tokens[i], values[i], i ? 0 : (uint32_t)n - 1};
        text_add(&ch->marks, (const char *)&m, sizeof m);
    }
    return r;
}

static int
token_take(choice *ch, int32_t token)
{
    call *c = ch->call;
    uint8_t piece[DECAI_TOKEN_STREAM_MAX + DECAI_STOP_BYTES_MAX];
    size_t len = 0;
    ch->tokens++;
    ch->last = token;
    c->output_tokens++;
    if (c->first_token <= 0) c->first_token = seconds_now();
    int32_t r = c->top >= 0 && !is_control(ch, token) ? mark_add(ch) : 0;
    if (!r) r = decai_token_stream_add(ch->stream, piece, sizeof piece, &len, token);
    if (r < 0) return failed(ch, r);
    show(ch, (const char *)piece, len);
    if (r == 0) return MOVED;
    (void)decai_token_stream_stop_get(ch->stream, &ch->stop);
    return finish(ch, "stop");
}

static int
generate(choice *ch)
{
    int32_t token = 0, r = decai_session_next(ch->session, &token);
    if (r == 1) return token_take(ch, token);
    if (r && r != DECAI_E_LIMIT) return failed(ch, r);
    return finish(ch, !r && ch->tokens && is_control(ch, ch->last) ? "stop" : "length");
}

static int
step(engine_thread *e, choice *ch)
{
    call *c = ch->call;
    if (atomic_load(&c->gone) || c->done || e->stop_now) return ENDED;
    if (c->form->operation == OPERATION_EMBEDDINGS) return embeddings_step(c) ? ENDED : MOVED;
    if (c->streaming && call_waiting(c) > SERVE_OUT_MAX) return RESTS;
    if (!ch->session) return begin(ch);
    return ch->fed < ch->ids.len / sizeof(int32_t) ? feed(ch) : generate(ch);
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
            e->status.len ? "," : "", c->id, ch->index, ch->rests ? "slow reader" : ch->tokens ? "writing" : "reading",
            ch->ids.len / sizeof(int32_t), (unsigned long long)ch->tokens, now - c->began);
    }
}

/* Fill the slots, and sleep where there is nothing to do. False: the end. */
static bool
gather(engine_thread *e, bool moved)
{
    pthread_mutex_lock(&e->lock);
    status_write(e);
    while (!e->stop && !moved && !e->kicked && !(e->first && e->runs - e->rests < (size_t)e->s->slots))
        pthread_cond_wait(&e->more, &e->lock);
    e->kicked = false;
    choice **tail = &e->running;
    while (*tail) tail = &(*tail)->next;
    while (e->first && e->runs - e->rests < (size_t)e->s->slots) {
        choice *ch = e->first;
        e->first = ch->next;
        if (!e->first) e->last = &e->first;
        ch->next = NULL;
        *tail = ch;
        tail = &ch->next;
        e->waits--;
        e->runs++;
    }
    e->stop_now = e->stop;
    bool more = !e->stop || e->running || e->first;
    pthread_mutex_unlock(&e->lock);
    return more;
}

/* Everybody's step. True: something moved. */
static bool
round_of_steps(engine_thread *e)
{
    bool moved = false;
    for (choice **at = &e->running; *at;) {
        choice *ch = *at;
        uint64_t tokens = ch->tokens;
        double from = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
        int r = step(e, ch);
        double spent = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - from;
        tokens = ch->tokens - tokens;
        moved |= r != RESTS;
        pthread_mutex_lock(&e->lock);
        e->cpu += spent;
        e->tokens += tokens;
        e->rests += (size_t)(r == RESTS) - (size_t)ch->rests;
        e->runs -= r == ENDED;
        pthread_mutex_unlock(&e->lock);
        ch->rests = r == RESTS;
        if (r == ENDED) {
            *at = ch->next;
            leave(e, ch);
        } else {
            at = &ch->next;
        }
    }
    return moved;
}

static void *
loop(void *user)
{
    engine_thread *e = user;
    bool moved = false;
    while (gather(e, moved)) moved = round_of_steps(e);
    return NULL;
}

/* ---- from other threads ---------------------------------------------------------------------------- */

engine_thread *
engine_thread_start(server *s)
{
    engine_thread *e = calloc(1, sizeof *e);
    if (!e) die(EXIT_FAILED, "out of memory");
    e->s = s;
    e->last = &e->first;
    text_reserve(&e->status, 0);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->more, NULL);
    if (pthread_create(&e->thread, NULL, loop, e)) die(EXIT_FAILED, "no thread");
    return e;
}

void
engine_thread_stop(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->more);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
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
        e->calls++;
        e->waits += c->count;
        for (size_t i = 0; i < c->count; i++) {
            *e->last = &c->choices[i];
            e->last = &c->choices[i].next;
        }
        pthread_cond_signal(&e->more);
    }
    pthread_mutex_unlock(&e->lock);
    return room;
}

void
engine_thread_wake(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    e->kicked = true;
    pthread_cond_signal(&e->more);
    pthread_mutex_unlock(&e->lock);
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
