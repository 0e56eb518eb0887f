/* store.h - transactions, named statements and idempotency keys, for the rooms
 * that keep records.
 *
 * A room never sees SQL or a database library. It opens a transaction, runs
 * statements by name with values, and ends the transaction:
 *
 *     decai__query q;
 *     if ((r = decai__tx_begin(s))) return r;
 *     r = decai__query_start(&q, s, DECAI__SQL_ACCOUNT_FIND, "tt", name, asset);
 *     if (r == 0 && (r = decai__query_step(&q)) == 1) ... decai__query_i64(&q, 0) ...
 *     decai__query_done(&q);
 *     return decai__tx_end(s, r);             commit on r >= 0, else roll back
 *
 * The text of every statement is a row of lib/store/sql/<room>.def; the schema
 * is lib/store/sql/schema.def. Parameters are ?1, ?2, ...: no value ever
 * becomes part of a statement's text.
 */
#ifndef DECAI__STORE_H
#define DECAI__STORE_H

#include "base/base.h"
#include "decai/store.h"

/* ---- statements ------------------------------------------------------------ */

enum decai__sql {
#define STATEMENT(name, text) DECAI__SQL_##name,
#include "store/sql/store.def"
#include "store/sql/job.def"
#include "store/sql/reward.def"
#undef STATEMENT
    DECAI__SQL_COUNT
};

typedef struct decai__query {
    decai_store *store;
    int32_t id;                    /* enum decai__sql */
    void *impl;                    /* the backend's statement; NULL when done */
} decai__query;

/* ---- a database engine ------------------------------------------------------ */

/* What an engine must do; SQLite is sqlite.c. Every function returns 0 or an
 * error with a detail that names the store's file. Columns stay valid until the
 * next step or done. */
typedef struct decai__store_backend {
    const char *name;
    int32_t (*open)(decai_store *s, const char *path, const decai_options *options);
    void (*close)(decai_store *s);
    int32_t (*begin)(decai_store *s, bool write);
    int32_t (*commit)(decai_store *s);
    void (*rollback)(decai_store *s);
    int32_t (*prepare)(decai_store *s, int32_t id, void **statement);
    int32_t (*bind_i64)(decai_store *s, void *statement, int32_t at, int64_t v);
    int32_t (*bind_bytes)(decai_store *s, void *statement, int32_t at, const void *data, size_t len);
    int32_t (*bind_text)(decai_store *s, void *statement, int32_t at, const char *text, size_t len);
    int32_t (*bind_null)(decai_store *s, void *statement, int32_t at);
    int32_t (*step)(decai_store *s, void *statement);             /* 1 row | 0 end | error */
    void (*done)(decai_store *s, void *statement);
    bool (*is_null)(void *statement, int32_t column);
    int64_t (*get_i64)(void *statement, int32_t column);
    const void *(*get_bytes)(void *statement, int32_t column, size_t *len);
    int64_t (*changes)(decai_store *s);                           /* rows of the last statement */
    int32_t (*schema)(decai_store *s, int64_t *version);
    int32_t (*audit)(decai_store *s);
} decai__store_backend;

struct decai_store {
    decai__handle h;
    const decai__store_backend *backend;
    void *impl;                    /* the engine's connection */
    char *path;                    /* for error details */
    int64_t busy_ms;
    bool in_tx;
    void *statements[DECAI__SQL_COUNT];   /* prepared on first use, kept */
};

extern const decai__store_backend decai__store_sqlite;

int32_t decai__store_open(decai_store **out, decai_context *ctx, const char *path, const decai_options *options);

/* ---- transactions ------------------------------------------------------------ */

/* A write transaction takes the one writer's place at once, so that what it
 * reads cannot change under it. A read transaction is a snapshot. */
int32_t decai__tx_begin(decai_store *s);
int32_t decai__tx_begin_read(decai_store *s);
/* r < 0: roll back, return r. Else commit and return r, or the commit's error:
 * then the outcome is unknown until the caller repeats with its key. */
int32_t decai__tx_end(decai_store *s, int32_t r);

/* ---- running statements --------------------------------------------------------- */

/* Start a statement. kinds has one letter a parameter:
 *   i  int64_t                b  const uint8_t * of 32 bytes, NULL allowed
 *   t  const char *, NULL ok  B  const void *, size_t (NULL, 0 is SQL NULL)
 *   n  none: SQL NULL         a  const uint8_t * of 20 bytes
 * The values must live until the query is done. */
int32_t decai__query_start(decai__query *q, decai_store *s, int32_t id, const char *kinds, ...);
int32_t decai__query_step(decai__query *q);                       /* 1 row | 0 end | error */
void decai__query_done(decai__query *q);                          /* safe to repeat */
/* Start, step to the end, done. *changes (may be NULL): rows changed. */
int32_t decai__query_run(decai_store *s, int64_t *changes, int32_t id, const char *kinds, ...);
/* Start and step once: 1 with a row open in q | 0 none (done already) | error. */
int32_t decai__query_one(decai__query *q, decai_store *s, int32_t id, const char *kinds, ...);

bool decai__query_null(const decai__query *q, int32_t column);
int64_t decai__query_i64(const decai__query *q, int32_t column);
const void *decai__query_bytes(const decai__query *q, int32_t column, size_t *len);
/* Copy exactly len bytes; DECAI_E_CORRUPT naming the statement otherwise. */
int32_t decai__query_fixed(const decai__query *q, int32_t column, uint8_t *out, size_t len);
/* Copy text with a NUL; DECAI_E_CORRUPT if it does not fit. */
int32_t decai__query_text(const decai__query *q, int32_t column, char *out, size_t cap);

/* The clock seam's wall time, never below 0. */
int64_t decai__store_now(const decai_store *s);

/* ---- idempotency ----------------------------------------------------------------- */

#define DECAI__EFFECT_RESULT_MAX 64

/* One external effect under the caller's key. The key, the request's hash and
 * the answer are written in the effect's own transaction. */
typedef struct decai__effect {
    decai_store *store;
    const char *key, *op;
    int64_t time_ms;
    uint8_t request[32];
    uint8_t result[DECAI__EFFECT_RESULT_MAX];
    size_t result_len;
} decai__effect;

/* 1..DECAI_NAME_MAX of A-Z a-z 0-9 . _ - ; the detail starts with `field`. */
int32_t decai__name_check(const char *name, const char *field);
/* 1..DECAI_KEY_MAX bytes, printable ASCII without space. */
int32_t decai__effect_key_check(const char *key);
/* Opens the write transaction. 0: new, go on | 1: done before, result is
 * filled in and the transaction is over | DECAI_E_EXISTS: same key, other
 * request | error. Only after 0 comes decai__effect_end. */
int32_t decai__effect_begin(decai__effect *e, decai_store *s, const char *key, const char *op,
    const uint8_t request[32]);
/* Write the key and commit (r >= 0), or roll back. */
int32_t decai__effect_end(decai__effect *e, int32_t r);

#endif /* DECAI__STORE_H */
