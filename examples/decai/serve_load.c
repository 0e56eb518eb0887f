/* serve_load.c - a model's engine comes and goes, and what other threads ask of its thread. */
#include "serve_engine.h"

#include <stdlib.h>
#include <string.h>

/* ---- the engine comes and goes ------------------------------------------------------------------- */

static void
state_set(engine_thread *e, int state, decai_scheduler *q)
{
    pthread_mutex_lock(&e->lock);
    if (state == ENGINE_READY) e->loads++;
    e->state = state;
    e->since = e->used = seconds_now();
    e->give = false;
    e->q = q;
    pthread_mutex_unlock(&e->lock);
}

/* Whose clients are gone and of which nothing has begun. */
static void
waiting_purge(engine_thread *e)
{
    choice *ended = NULL;
    pthread_mutex_lock(&e->lock);
    for (choice **at = &e->first; *at;) {
        choice *ch = *at;
        if (ch->call->begun || !atomic_load(&ch->call->gone)) {
            at = &ch->next;
            continue;
        }
        *at = ch->next;
        e->waits--;
        ch->next = NULL;
        if (--ch->call->open) continue;
        ch->next = ended;
        ended = ch;
    }
    for (e->last = &e->first; *e->last;) e->last = &(*e->last)->next;
    pthread_mutex_unlock(&e->lock);
    while (ended) {
        choice *ch = ended;
        ended = ch->next;
        call_leave(ch->call);
    }
}

static bool
wanted(void *user)
{
    engine_thread *e = user;
    waiting_purge(e);
    pthread_mutex_lock(&e->lock);
    bool still = !e->stop && (e->first || e->eager);
    pthread_mutex_unlock(&e->lock);
    return still;
}

static int32_t
scheduler_make(engine_thread *e, decai_scheduler **q)
{
    decai_options *o = NULL;
    *q = NULL;
    if (e->m->encoder) return 0;
    int32_t r = decai_options_create(&o, e->s->ctx);
    if (!r) r = decai_options_set_i64(o, "infer.active", e->s->slots);
    if (!r) r = decai_scheduler_create(q, e->engine, o);
    if (!r) r = decai_scheduler_draft_set(*q, e->draft);
    decai_destroy(o);
    return r;
}

void
engine_unload(engine_thread *e)
{
    decai_scheduler *q = e->q;
    state_set(e, ENGINE_ABSENT, NULL);
    decai_destroy(q);
    decai_destroy(e->draft);
    decai_destroy(e->engine);
    e->engine = e->draft = NULL;
    models_returned(e->s);
}

/* The first answer names the contract, so an engine describes itself before it. */
static int32_t
fingerprint(engine_thread *e)
{
    text about = {0}, value = {0};
    size_t len = 0;
    int32_t r = decai_engine_format(e->engine, NULL, 0, &len);
    if (r == DECAI_E_SPACE) r = decai_engine_format(e->engine, (uint8_t *)text_reserve(&about, len), len, &len);
    if (!r && !e->m->fingerprint.len) {
        json_field(&value, about.data, "contract");
        text_printf(&e->m->fingerprint, "decai-%s-%.16s", value.data, e->m->root.data + 2);
        engine_device(&e->m->device, e->engine, "auto");
    }
    text_free(&about);
    text_free(&value);
    return r;
}

/* 0: it is there | DECAI_E_CANCELLED: nobody wants it any more | what went wrong */
int32_t
engine_load(engine_thread *e)
{
    decai_scheduler *q = NULL;
    state_set(e, ENGINE_WANTED, NULL);
    int32_t r = models_lend(e->m, &e->engine, &e->draft, wanted, e);
    if (!r) r = fingerprint(e);
    if (!r) r = scheduler_make(e, &q);
    if (!r) {
        state_set(e, ENGINE_READY, q);
        return 0;
    }
    decai_destroy(q);
    engine_unload(e);
    return r;
}

/* What waits cannot be answered. */
void
engine_refuse_waiting(engine_thread *e, int32_t r)
{
    char detail[DECAI_DETAIL_MAX + 1];
    snprintf(detail, sizeof detail, "%s", decai_error_detail());
    pthread_mutex_lock(&e->lock);
    choice *list = e->first;
    for (choice *ch = list; ch; ch = ch->next) ch->call->begun = true;
    e->first = NULL;
    e->last = &e->first;
    e->runs += e->waits;
    e->waits = 0;
    e->failures++;
    pthread_mutex_unlock(&e->lock);
    while (list) {
        call_refuse(list->call, 500, NULL, "engine_failed", "model %s: %s: %s", e->m->name.data, decai_error_name(r), detail);
        choice_leave(e, &list, list);
    }
}

/* All that ran is lost, and said to be; the next request gets a new scheduler. */
void
engine_scheduler_failed(engine_thread *e, int32_t r)
{
    char detail[DECAI_DETAIL_MAX + 1];
    snprintf(detail, sizeof detail, "%s", decai_error_detail());
    pthread_mutex_lock(&e->lock);
    e->failures++;
    pthread_mutex_unlock(&e->lock);
    if (++e->failed > SERVE_FAILURES_MAX) die(EXIT_FAILED, "%s: %zu schedulers have failed in a row: %s: %s", e->m->name.data, e->failed, decai_error_name(r), detail);
    while (e->running || e->embedding) {
        choice **list = e->running ? &e->running : &e->embedding;
        call_refuse((*list)->call, 500, NULL, "engine_failed", "the engine failed: %s: %s", decai_error_name(r), detail);
        choice_leave(e, list, *list);
    }
    engine_unload(e);
}

/* ---- from other threads ---------------------------------------------------------------------------- */

engine_thread *
engine_thread_make(served *m, bool now)
{
    engine_thread *e = calloc(1, sizeof *e);
    if (!e) die(EXIT_FAILED, "out of memory");
    e->s = m->s;
    e->m = m;
    e->last = &e->first;
    text_reserve(&e->status, 0);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->more, NULL);
    e->eager = now;
    if (now) check(engine_load(e), m->draft.len ? "engine, --draft" : "engine");
    e->eager = false;
    return e;
}

void
engine_thread_run(engine_thread *e)
{
    if (pthread_create(&e->thread, NULL, engine_loop, e)) die(EXIT_FAILED, "no thread");
}

/* Under the lock. */
static void
wake(engine_thread *e)
{
    pthread_cond_signal(&e->more);
    if (e->q) (void)decai_scheduler_cancel(e->q, 0);
}

/* Nobody waits for this call any more: what it has with the scheduler ends. */
void
engine_thread_cancel(engine_thread *e, call *c)
{
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; e->q && c->begun && i < c->count; i++) (void)decai_scheduler_cancel(e->q, number_of_choice(&c->choices[i]));
    pthread_mutex_unlock(&e->lock);
    waiting_purge(e);
}

void
engine_thread_give(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    e->give = e->state == ENGINE_READY;
    wake(e);
    pthread_mutex_unlock(&e->lock);
}

/* After the HTTP side has ended. */
void
engine_thread_stop(engine_thread *e)
{
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    wake(e);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    engine_unload(e);
    while (e->running) choice_leave(e, &e->running, e->running);
    while (e->embedding) choice_leave(e, &e->embedding, e->embedding);
    while (e->first) choice_leave(e, &e->first, e->first);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->more);
    text_free(&e->status);
    free(e);
}

bool
engine_thread_add(engine_thread *e, call *c)
{
    server *s = e->s;
    bool room = atomic_fetch_add(&s->working, 1) < (size_t)s->queue;
    pthread_mutex_lock(&e->lock);
    room = room && !e->stop;
    if (room) {
        atomic_fetch_add(&c->owners, 1);
        atomic_store(&c->submitted, true);
        e->waits += c->count;
        for (size_t i = 0; i < c->count; i++) {
            *e->last = &c->choices[i];
            e->last = &c->choices[i].next;
        }
        wake(e);
    }
    pthread_mutex_unlock(&e->lock);
    if (!room) atomic_fetch_sub(&s->working, 1);
    return room;
}

void
engine_thread_status(engine_thread *e, text *out)
{
    pthread_mutex_lock(&e->lock);
    if (e->status.len) text_printf(out, "%s%s", out->len && out->data[out->len - 1] != '[' ? "," : "", e->status.data);
    pthread_mutex_unlock(&e->lock);
}

void
engine_thread_about(engine_thread *e, engine_about *out)
{
    double now = seconds_now();
    pthread_mutex_lock(&e->lock);
    *out = (engine_about){.state = e->state, .seconds = e->state == ENGINE_ABSENT ? 0 : now - e->since, .idle_s = now - e->used, .giving = e->give,
        .runs = e->runs, .waits = e->waits, .cpu = e->cpu, .tokens = e->tokens, .loads = e->loads, .failures = e->failures};
    pthread_mutex_unlock(&e->lock);
}
