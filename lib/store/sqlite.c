/* sqlite.c - the embedded engine.
 *
 * How a file is set up, and why:
 *
 *   journal_mode=WAL      one writer, readers never wait for it
 *   synchronous=FULL      a commit returns after its WAL frames are synced;
 *                         NORMAL would lose the last commits at a power cut
 *   foreign_keys=ON       off by default in SQLite, per connection
 *   trusted_schema=OFF, DBCONFIG_DEFENSIVE, no extension loading, no ATTACH
 *                         a crafted file cannot run functions or write its own
 *                         schema (sqlite.org/security.html)
 *   cell_size_check=ON    damage is noticed when a page is read
 *   application_id        "dcai": another program's database is refused
 *   user_version          the schema; migrations run inside one transaction
 *
 * Every setting that can be refused silently (a PRAGMA answers, it does not
 * fail) is read back at open.
 *
 * BEGIN IMMEDIATE takes the writer's lock at once: a deferred transaction that
 * reads first and then wants to write fails with SQLITE_BUSY without waiting.
 *
 * Which errors mean what: a full disk is SQLITE_FULL, but a file-size limit or
 * quota surfaces as an I/O error, so the errno behind it is asked.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "store/store.h"

#define APPLICATION_ID 0x64636169                /* "dcai" */

static const char *const statement_text[DECAI__SQL_COUNT] = {
#define STATEMENT(name, text) text,
#include "store/sql/store.def"
#include "store/sql/job.def"
#include "store/sql/reward.def"
#undef STATEMENT
};

static const struct { int64_t version; const char *text; } migrations[] = {
#define MIGRATION(version, text) {version, text},
#include "store/sql/schema.def"
#undef MIGRATION
};

/* ---- errors ---------------------------------------------------------------- */

/* The errno behind a failed write: of the connection, of the database file, or
 * of the WAL, whichever remembers one. */
static int
write_errno(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    int e = sqlite3_system_errno(db);
    if (!e) sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &e);
    if (!e && sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK && wal && wal->pMethods)
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &e);
    return e;
}

static int32_t
error_code(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY: case SQLITE_LOCKED: return DECAI_E_BUSY;
    case SQLITE_NOMEM: return DECAI_E_NOMEM;
    case SQLITE_FULL: return DECAI_E_FULL;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: return DECAI_E_CORRUPT;
    case SQLITE_TOOBIG: return DECAI_E_LIMIT;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? DECAI_E_CONFLICT
                                                                                    : DECAI_E_INTEGRITY;
    case SQLITE_IOERR: {
        if (rc == SQLITE_IOERR_NOMEM) return DECAI_E_NOMEM;
        int e = db ? write_errno(db) : 0;
        return e == EFBIG || e == ENOSPC || e == EDQUOT ? DECAI_E_FULL : DECAI_E_IO;
    }
    case SQLITE_READONLY: case SQLITE_CANTOPEN: case SQLITE_PERM: case SQLITE_PROTOCOL: return DECAI_E_IO;
    default: return DECAI_E_INTERNAL;
    }
}

/* SQLite's message names columns and pages, never values. */
static int32_t
fail(decai_store *s, int rc, const char *what)
{
    sqlite3 *db = s->impl;
    int32_t code = error_code(db, rc);
    if (code == DECAI_E_BUSY)
        return decai__fail(code, "store: %.120s: locked by another process for %lld ms", s->path,
                           (long long)s->busy_ms);
    return decai__fail(code, "store: %.120s: %s: %.80s", s->path, what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* ---- pragmas ----------------------------------------------------------------- */

static int32_t
run(decai_store *s, const char *text)
{
    int rc = sqlite3_exec(s->impl, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "setup");
}

/* The first column of the first row as an integer and, if out is given, text. */
static int32_t
ask(decai_store *s, const char *text, int64_t *value, char *out, size_t cap)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->impl, text, -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    int32_t r = 0;
    if (rc != SQLITE_ROW) {
        r = rc == SQLITE_DONE ? decai__fail(DECAI_E_IO, "store: %.120s: no answer to %s", s->path, text)
                              : fail(s, rc, text);
    } else {
        const char *t = (const char *)sqlite3_column_text(st, 0);
        if (value) *value = sqlite3_column_int64(st, 0);
        if (out) snprintf(out, cap, "%s", t ? t : "");
    }
    sqlite3_finalize(st);
    return r;
}

static int32_t
expect_i64(decai_store *s, const char *pragma, int64_t want)
{
    int64_t got = 0;
    int32_t r = ask(s, pragma, &got, NULL, 0);
    if (r) return r;
    if (got != want)
        return decai__fail(DECAI_E_IO, "store: %.120s: %s is %lld, not %lld", s->path, pragma, (long long)got,
                           (long long)want);
    return 0;
}

/* Two processes that open a fresh file at once both want the exclusive lock
 * that the change to WAL needs; SQLite then answers BUSY without waiting. */
static int32_t
set_wal(decai_store *s, bool memory)
{
    char mode[16] = "";
    int32_t r = 0;
    for (int64_t tries = s->busy_ms / 5 + 1; tries > 0; tries--) {
        r = ask(s, "PRAGMA journal_mode=WAL", NULL, mode, sizeof mode);
        if (r != DECAI_E_BUSY) break;
        sqlite3_sleep(5);
    }
    if (r) return r;
    if (strcmp(mode, memory ? "memory" : "wal") != 0)
        return decai__fail(DECAI_E_IO, "store: %.120s: journal mode is %s, not WAL", s->path, mode);
    return 0;
}

static int32_t
harden(decai_store *s)
{
    sqlite3 *db = s->impl;
    int on = 0;
    if (sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on) != SQLITE_OK || !on)
        return decai__fail(DECAI_E_UNSUPPORTED, "store: this SQLite has no defensive mode");
    if (sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, &on) != SQLITE_OK || on)
        return decai__fail(DECAI_E_UNSUPPORTED, "store: this SQLite loads extensions");
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 8);
    return run(s, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
                  "PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=OFF");
}

static int32_t
configure(decai_store *s, const decai_options *options, bool memory)
{
    char text[128];
    int64_t sync = decai__opt_i64(options, "store.synchronous");
    int32_t r = set_wal(s, memory);
    if (r) return r;
    snprintf(text, sizeof text, "PRAGMA synchronous=%d; PRAGMA cache_size=-%lld; PRAGMA journal_size_limit=67108864",
             (int)sync, (long long)decai__opt_i64(options, "store.cache_kib"));
    if ((r = run(s, text))) return r;
    if ((r = expect_i64(s, "PRAGMA synchronous", sync))) return r;
    if ((r = expect_i64(s, "PRAGMA foreign_keys", 1))) return r;
    return expect_i64(s, "PRAGMA trusted_schema", 0);
}

/* ---- schema -------------------------------------------------------------------- */

/* Ours, empty, or somebody else's? */
static int32_t
check_owner(decai_store *s)
{
    int64_t id = 0, tables = 0;
    /* One snapshot for both questions: between them another process may be
     * making the schema, and its file would look like a stranger's. */
    int32_t r = run(s, "BEGIN");
    if (r) return r;
    r = ask(s, "PRAGMA application_id", &id, NULL, 0);
    if (r == 0) r = ask(s, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0);
    int32_t end = run(s, r ? "ROLLBACK" : "COMMIT");
    if (r || (r = end)) return r;
    if (id == APPLICATION_ID || (id == 0 && tables == 0)) return 0;
    return decai__fail(DECAI_E_EXISTS, "store: %.120s: a database of another program (application id %lld)",
                       s->path, (long long)id);
}

static int32_t
migrate_from(decai_store *s, int64_t version)
{
    char text[96];
    int32_t r = 0;
    for (size_t i = 0; i < DECAI__COUNT(migrations) && r == 0; i++) {
        if (migrations[i].version <= version) continue;
        r = run(s, migrations[i].text);
    }
    if (r) return r;
    snprintf(text, sizeof text, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
             DECAI_STORE_SCHEMA);
    return run(s, text);
}

static int32_t
migrate(decai_store *s)
{
    int64_t version = 0;
    int32_t r = ask(s, "PRAGMA user_version", &version, NULL, 0);
    if (r || version == DECAI_STORE_SCHEMA) return r;

    /* Again under the writer's lock: another process may have been quicker. */
    if ((r = run(s, "BEGIN IMMEDIATE"))) return r;
    r = ask(s, "PRAGMA user_version", &version, NULL, 0);
    if (r == 0 && version > DECAI_STORE_SCHEMA)
        r = decai__fail(DECAI_E_UNSUPPORTED, "store: %.120s: schema %lld is newer than %d", s->path,
                        (long long)version, DECAI_STORE_SCHEMA);
    if (r == 0) r = migrate_from(s, version);
    if (r == 0) r = run(s, "COMMIT");
    if (r && !sqlite3_get_autocommit(s->impl)) sqlite3_exec(s->impl, "ROLLBACK", NULL, NULL, NULL);
    return r ? r : expect_i64(s, "PRAGMA user_version", DECAI_STORE_SCHEMA);
}

/* ---- open and close ---------------------------------------------------------------- */

static void
sqlite_close(decai_store *s)
{
    for (size_t i = 0; i < DECAI__COUNT(s->statements); i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
    /* close_v2: with no statement left it is close, and cannot fail. */
    sqlite3_close_v2(s->impl);
    s->impl = NULL;
}

static int32_t
sqlite_open(decai_store *s, const char *path, const decai_options *options)
{
    const char *vfs = decai__opt_str(options, "store.vfs");
    bool memory = strcmp(path, ":memory:") == 0;
    sqlite3 *db = NULL;
    if (*vfs && !sqlite3_vfs_find(vfs))
        return decai__fail(DECAI_E_UNSUPPORTED, "store.vfs: %s is not registered", vfs);

    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                             SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, *vfs ? vfs : NULL);
    s->impl = db;                                /* set even on failure: it has the message */
    int32_t r = rc == SQLITE_OK ? 0 : fail(s, rc, "open");
    if (r == 0) sqlite3_busy_timeout(db, (int)s->busy_ms);
    if (r == 0) r = harden(s);
    if (r == 0) r = check_owner(s);
    if (r == 0) r = configure(s, options, memory);
    if (r == 0) r = migrate(s);
    if (r) sqlite_close(s);
    return r;
}

/* ---- transactions -------------------------------------------------------------------- */

static int32_t
sqlite_begin(decai_store *s, bool write)
{
    int rc = sqlite3_exec(s->impl, write ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "begin");
}

static int32_t
sqlite_commit(decai_store *s)
{
    int rc = sqlite3_exec(s->impl, "COMMIT", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "commit, outcome unknown");
}

static void
sqlite_rollback(decai_store *s)
{
    /* Some errors (a full disk) have rolled back already. */
    if (!sqlite3_get_autocommit(s->impl)) sqlite3_exec(s->impl, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ------------------------------------------------------------------------ */

static int32_t
sqlite_prepare(decai_store *s, int32_t id, void **statement)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v3(s->impl, statement_text[id], -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
    if (rc != SQLITE_OK) return fail(s, rc, statement_text[id]);
    *statement = st;
    return 0;
}

static int32_t
sqlite_bind_i64(decai_store *s, void *st, int32_t at, int64_t v)
{
    int rc = sqlite3_bind_int64(st, at, v);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "bind");
}

static int32_t
sqlite_bind_bytes(decai_store *s, void *st, int32_t at, const void *data, size_t len)
{
    int rc = sqlite3_bind_blob64(st, at, data, len, SQLITE_STATIC);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "bind");
}

static int32_t
sqlite_bind_text(decai_store *s, void *st, int32_t at, const char *text, size_t len)
{
    int rc = sqlite3_bind_text64(st, at, text, len, SQLITE_STATIC, SQLITE_UTF8);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "bind");
}

static int32_t
sqlite_bind_null(decai_store *s, void *st, int32_t at)
{
    int rc = sqlite3_bind_null(st, at);
    return rc == SQLITE_OK ? 0 : fail(s, rc, "bind");
}

static int32_t
sqlite_step(decai_store *s, void *st)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) return 1;
    return rc == SQLITE_DONE ? 0 : fail(s, rc, "statement");
}

static void
sqlite_done(decai_store *s, void *st)
{
    (void)s;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);                  /* they point into the caller's memory */
}

static bool
sqlite_is_null(void *st, int32_t column)
{
    return sqlite3_column_type(st, column) == SQLITE_NULL;
}

static int64_t
sqlite_get_i64(void *st, int32_t column)
{
    return sqlite3_column_int64(st, column);
}

static const void *
sqlite_get_bytes(void *st, int32_t column, size_t *len)
{
    const void *p = sqlite3_column_blob(st, column);
    *len = (size_t)sqlite3_column_bytes(st, column);
    return p;
}

static int64_t
sqlite_changes(decai_store *s)
{
    return sqlite3_changes64(s->impl);
}

static int32_t
sqlite_schema(decai_store *s, int64_t *version)
{
    return ask(s, "PRAGMA user_version", version, NULL, 0);
}

static int32_t
sqlite_audit(decai_store *s)
{
    char text[160];
    int64_t broken = 0;
    int32_t r = ask(s, "PRAGMA integrity_check(1)", NULL, text, sizeof text);
    if (r) return r;
    if (strcmp(text, "ok") != 0) return decai__fail(DECAI_E_CORRUPT, "store: %.80s: %s", s->path, text);
    r = ask(s, "SELECT count(*) FROM pragma_foreign_key_check", &broken, NULL, 0);
    if (r) return r;
    if (broken)
        return decai__fail(DECAI_E_CORRUPT, "store: %.120s: %lld rows without their parent", s->path,
                           (long long)broken);
    return expect_i64(s, "PRAGMA application_id", APPLICATION_ID);
}

const decai__store_backend decai__store_sqlite = {
    .name = "sqlite", .open = sqlite_open, .close = sqlite_close, .begin = sqlite_begin,
    .commit = sqlite_commit, .rollback = sqlite_rollback, .prepare = sqlite_prepare,
    .bind_i64 = sqlite_bind_i64, .bind_bytes = sqlite_bind_bytes, .bind_text = sqlite_bind_text,
    .bind_null = sqlite_bind_null, .step = sqlite_step, .done = sqlite_done, .is_null = sqlite_is_null,
    .get_i64 = sqlite_get_i64, .get_bytes = sqlite_get_bytes, .changes = sqlite_changes,
    .schema = sqlite_schema, .audit = sqlite_audit,
};
