/* serve_call.c - calls, what is written for them, and the queues between threads.
 *
 * A call has one owner for each of its sides: the HTTP thread from the request's
 * first line to its end, a worker or the engine while it works on it, the response
 * while it is sent. The last one frees it. */
#include "serve.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- owners ------------------------------------------------------------------- */

static void
choice_free(choice *ch)
{
    decai_destroy(ch->session);
    decai_destroy(ch->stream);
    decai_destroy(ch->options);
    text *const texts[] = {&ch->ids, &ch->answer, &ch->marks, &ch->receipt, &ch->opening, &ch->receipt_id, &ch->part, &ch->reasoning};
    tools_free(ch);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) text_free(texts[i]);
}

void
call_name(call *c, const char *prefix)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = (size_t)snprintf(c->id, sizeof c->id, "%s", prefix);
    uint64_t id = atomic_fetch_add(&c->s->ids, 1) * 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < 16; i++) c->id[n++] = hex[id >> (4 * i) & 15];
    c->id[n] = 0;
}

void
call_drop(call *c)
{
    if (atomic_fetch_sub(&c->owners, 1) != 1) return;
    for (size_t i = 0; i < c->count; i++) choice_free(&c->choices[i]);
    for (size_t i = 0; i < c->stop_count; i++) text_free(&c->stops[i]);
    text *const texts[] = {&c->body, &c->path, &c->origin, &c->out, &c->header, &c->head, &c->event, &c->tools, &c->echo, &c->ids,
        &c->lengths, &c->vectors};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) text_free(texts[i]);
    decai_destroy(c->grammar);
    atomic_fetch_sub(&c->s->held, c->held);
    pthread_mutex_destroy(&c->lock);
    free(c->choices);
    free(c);
}

void
choices_make(call *c, size_t count)
{
    c->choices = calloc(count, sizeof *c->choices);
    if (!c->choices) die(EXIT_FAILED, "out of memory");
    c->count = c->open = count;
    for (size_t i = 0; i < count; i++) {
        c->choices[i].call = c;
        c->choices[i].index = i;
        c->choices[i].stop = c->choices[i].held = -1;
    }
}

/* ---- writing: under the call's lock ------------------------------------------------ */

static void
wake(call *c)
{
    if (!c->suspended) return;
    c->suspended = false;
    MHD_resume_connection(c->connection);
}

void
call_write(call *c, const char *data, size_t len)
{
    pthread_mutex_lock(&c->lock);
    /* What was taken leaves before the buffer would grow. */
    if (c->taken && c->out.len + len >= c->out.cap) {
        memmove(c->out.data, c->out.data + c->taken, c->out.len - c->taken);
        c->out.len -= c->taken;
        c->taken = 0;
    }
    text_add(&c->out, data, len);
    if (c->streaming) wake(c);
    pthread_mutex_unlock(&c->lock);
}

void
call_stream(call *c)
{
    pthread_mutex_lock(&c->lock);
    c->status = 200;
    c->type = "text/event-stream";
    c->streaming = c->ready = true;
    wake(c);
    pthread_mutex_unlock(&c->lock);
}

void
call_end(call *c, int status, const char *type)
{
    pthread_mutex_lock(&c->lock);
    if (!c->streaming) {
        c->status = status;
        c->type = type;
    }
    c->ready = c->done = true;
    wake(c);
    pthread_mutex_unlock(&c->lock);
}

size_t
call_waiting(call *c)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->out.len - c->taken;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* ---- refusing -------------------------------------------------------------------------- */

static const char *
error_type(int status)
{
    return status == 401 ? "authentication_error" : status == 403 ? "permission_error" : status == 429 ? "rate_limit_error"
        : status >= 500 ? "server_error" : "invalid_request_error";
}

static void
json_or_null(text *t, const char *value)
{
    if (value) text_json_any(t, value, strlen(value));
    else text_printf(t, "null");
}

void
call_refuse(call *c, int status, const char *param, const char *code, const char *format, ...)
{
    text json = {0};
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_printf(&json, "%s{\"error\":{\"message\":", c->streaming ? "data: " : "");
    text_json_any(&json, line, strlen(line));
    text_printf(&json, ",\"type\":\"%s\",\"param\":", error_type(status));
    json_or_null(&json, param);
    text_printf(&json, ",\"code\":");
    json_or_null(&json, code);
    text_printf(&json, c->streaming ? "}}\n\n" : "}}\n");
    if (!c->done) {
        call_write(c, json.data, json.len);
        call_end(c, status, "application/json");
    }
    text_free(&json);
}

void
call_fail(call *c, int32_t r, const char *param)
{
    char detail[DECAI_DETAIL_MAX + 1];
    snprintf(detail, sizeof detail, "%s", decai_error_detail());
    bool theirs = r == DECAI_E_INVALID || r == DECAI_E_LIMIT || r == DECAI_E_CORRUPT || r == DECAI_E_UNSUPPORTED ||
        r == DECAI_E_TEMPLATE || r == DECAI_E_NOT_FOUND;
    call_refuse(c, theirs ? 400 : 500, param, theirs ? NULL : "decai_error", "%s: %s", decai_error_name(r), detail);
}

/* ---- workers --------------------------------------------------------------------------------- */

static call *
worker_take(worker *w, bool *stop)
{
    struct timespec until;
    pthread_mutex_lock(&w->lock);
    if (!w->first && !w->stop) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        if (w->idle) pthread_cond_timedwait(&w->more, &w->lock, &until);
        else pthread_cond_wait(&w->more, &w->lock);
    }
    call *c = w->first;
    if (c) {
        w->first = c->next;
        if (!w->first) w->last = &w->first;
        w->waiting--;
    }
    *stop = w->stop && !c;
    pthread_mutex_unlock(&w->lock);
    return c;
}

static void *
worker_loop(void *user)
{
    worker *w = user;
    double looked = 0;
    bool stop = false;
    while (!stop) {
        call *c = worker_take(w, &stop);
        if (c && !atomic_load(&c->gone)) c->route->read(c);
        if (c) call_drop(c);
        if (w->idle && seconds_now() - looked > 0.1) {
            looked = seconds_now();
            w->idle(w->s);
        }
    }
    return NULL;
}

void
worker_start(worker *w, server *s, void (*idle)(server *))
{
    *w = (worker){.idle = idle, .s = s};
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    if (pthread_create(&w->thread, NULL, worker_loop, w)) die(EXIT_FAILED, "no thread");
}

bool
worker_add(worker *w, call *c, size_t max)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->waiting < max;
    if (room) {
        atomic_fetch_add(&c->owners, 1);
        c->next = NULL;
        *w->last = c;
        w->last = &c->next;
        w->waiting++;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

void
worker_stop(worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
}

/* ---- small things -------------------------------------------------------------------------------- */

/* Length of the UTF-8 character at the front, 0 if it is none. */
static size_t
utf8_length(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (!n || n > len) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

void
text_json_any(text *out, const char *data, size_t len)
{
    text clean = {0};
    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = utf8_length(data + i, len - i);
        if (n) text_add(&clean, data + i, n);
        else text_add(&clean, "\xef\xbf\xbd", 3);
    }
    text_json(out, clean.data ? clean.data : "", clean.len);
    text_free(&clean);
}

void
base64_add(text *out, const void *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;
    size_t at = out->len;
    char *o = text_reserve(out, at + (len + 2) / 3 * 4) + at;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < len ? p[i + 2] : 0u);
        *o++ = digits[v >> 18];
        *o++ = digits[v >> 12 & 63];
        *o++ = i + 1 < len ? digits[v >> 6 & 63] : '=';
        *o++ = i + 2 < len ? digits[v & 63] : '=';
    }
}

static int
base64_digit(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52
        : c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
base64_read(text *out, const char *data, size_t len)
{
    if (len % 4) return false;
    text_reserve(out, 0);
    for (size_t i = 0; i < len; i += 4) {
        size_t pad = i + 4 == len ? (data[i + 3] == '=') + (data[i + 3] == '=' && data[i + 2] == '=') : 0;
        uint32_t v = 0;
        for (size_t k = 0; k < 4 - pad; k++) {
            int d = base64_digit(data[i + k]);
            if (d < 0) return false;
            v |= (uint32_t)d << (18 - 6 * k);
        }
        const char bytes[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        text_add(out, bytes, 3 - pad);
    }
    return true;
}

void
text_number(text *out, double v)
{
    text_printf(out, "%.9g", v);
}
