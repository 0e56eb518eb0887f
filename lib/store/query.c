/* query.c - transactions and named statements over whichever engine is below.
 *
 * The one rule of transactions: a function that begins one ends it, on every
 * path, through decai__tx_end. They do not nest; in_tx is asserted, so a room
 * that forgets fails its first test and not its thousandth.
 *
 * A query that fails in the middle is reset before the error goes up: an open
 * statement would keep the transaction's locks.
 */
#include <stdarg.h>
#include <string.h>

#include "store/store.h"

static const char *const statement_name[DECAI__SQL_COUNT] = {
#define STATEMENT(name, text) #name,
#include "store/sql/store.def"
#include "store/sql/job.def"
#include "store/sql/reward.def"
#undef STATEMENT
};

static int32_t
begin(decai_store *s, bool write)
{
    decai__assert(!s->in_tx);
    int32_t r = s->backend->begin(s, write);
    if (r == 0) s->in_tx = true;
    return r;
}

int32_t
decai__tx_begin(decai_store *s)
{
    return begin(s, true);
}

int32_t
decai__tx_begin_read(decai_store *s)
{
    return begin(s, false);
}

int32_t
decai__tx_end(decai_store *s, int32_t r)
{
    decai__assert(s->in_tx);
    s->in_tx = false;
    if (r >= 0) {
        int32_t c = s->backend->commit(s);
        if (c == 0) return r;
        r = c;
    }
    /* After a failed commit the engine may or may not still be inside. */
    s->backend->rollback(s);
    return r;
}

/* ---- parameters ---------------------------------------------------------- */

static int32_t
bind_bytes(decai_store *s, void *st, int32_t at, const void *data, size_t len)
{
    if (!data) return s->backend->bind_null(s, st, at);
    return s->backend->bind_bytes(s, st, at, data, len);
}

static int32_t
bind_text(decai_store *s, void *st, int32_t at, const char *text)
{
    if (!text) return s->backend->bind_null(s, st, at);
    return s->backend->bind_text(s, st, at, text, strlen(text));
}

static int32_t
query_start(decai__query *q, decai_store *s, int32_t id, const char *kinds, va_list *args)
{
    decai__assert(id >= 0 && id < DECAI__SQL_COUNT);
    decai__assert(s->in_tx);
    *q = (decai__query){.store = s, .id = id};
    int32_t r = 0;
    if (!s->statements[id]) r = s->backend->prepare(s, id, &s->statements[id]);
    if (r) return r;

    void *st = s->statements[id];
    for (int32_t at = 1; *kinds && r == 0; kinds++, at++) {
        switch (*kinds) {
        case 'i': r = s->backend->bind_i64(s, st, at, va_arg(*args, int64_t)); break;
        case 't': r = bind_text(s, st, at, va_arg(*args, const char *)); break;
        case 'b': r = bind_bytes(s, st, at, va_arg(*args, const uint8_t *), 32); break;
        case 'a': r = bind_bytes(s, st, at, va_arg(*args, const uint8_t *), 20); break;
        case 'B': {
            const void *data = va_arg(*args, const void *);
            r = bind_bytes(s, st, at, data, va_arg(*args, size_t));
            break;
        }
        case 'n': r = s->backend->bind_null(s, st, at); break;
        default: r = decai__fail(DECAI_E_INTERNAL, "store: statement %s: kind %c", statement_name[id], *kinds);
        }
    }
    q->impl = st;
    if (r) decai__query_done(q);
    return r;
}

int32_t
decai__query_start(decai__query *q, decai_store *s, int32_t id, const char *kinds, ...)
{
    va_list args;
    va_start(args, kinds);
    int32_t r = query_start(q, s, id, kinds, &args);
    va_end(args);
    return r;
}

int32_t
decai__query_step(decai__query *q)
{
    decai__assert(q->impl);
    int32_t r = q->store->backend->step(q->store, q->impl);
    if (r <= 0) decai__query_done(q);
    return r;
}

void
decai__query_done(decai__query *q)
{
    if (q->impl) q->store->backend->done(q->store, q->impl);
    q->impl = NULL;
}

int32_t
decai__query_one(decai__query *q, decai_store *s, int32_t id, const char *kinds, ...)
{
    va_list args;
    va_start(args, kinds);
    int32_t r = query_start(q, s, id, kinds, &args);
    va_end(args);
    return r ? r : decai__query_step(q);
}

int32_t
decai__query_run(decai_store *s, int64_t *changes, int32_t id, const char *kinds, ...)
{
    decai__query q;
    va_list args;
    va_start(args, kinds);
    int32_t r = query_start(&q, s, id, kinds, &args);
    va_end(args);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {}
    if (r == 0 && changes) *changes = s->backend->changes(s);
    return r;
}

/* ---- columns --------------------------------------------------------------- */

bool
decai__query_null(const decai__query *q, int32_t column)
{
    return q->store->backend->is_null(q->impl, column);
}

int64_t
decai__query_i64(const decai__query *q, int32_t column)
{
    return q->store->backend->get_i64(q->impl, column);
}

const void *
decai__query_bytes(const decai__query *q, int32_t column, size_t *len)
{
    return q->store->backend->get_bytes(q->impl, column, len);
}

int32_t
decai__query_fixed(const decai__query *q, int32_t column, uint8_t *out, size_t len)
{
    size_t n = 0;
    const void *p = decai__query_bytes(q, column, &n);
    if (!p || n != len)
        return decai__fail(DECAI_E_CORRUPT, "store: %s: %s column %d has %zu bytes, not %zu",
                           q->store->path, statement_name[q->id], (int)column, n, len);
    memcpy(out, p, len);
    return 0;
}

int32_t
decai__query_text(const decai__query *q, int32_t column, char *out, size_t cap)
{
    size_t n = 0;
    const void *p = decai__query_bytes(q, column, &n);
    if (n >= cap || (!p && n) || (p && memchr(p, 0, n)))
        return decai__fail(DECAI_E_CORRUPT, "store: %s: %s column %d: text of %zu bytes",
                           q->store->path, statement_name[q->id], (int)column, n);
    if (n) memcpy(out, p, n);
    out[n] = 0;
    return 0;
}
