/* decai/store.h - one durable file for a market, its money and its payouts.
 *
 * A store is opened once and handed to the rooms that keep records in it
 * (decai_market_open, decai_work_add, decai_epoch_settle). What a call has
 * acknowledged is on the disk; what it has refused left no trace. */
#ifndef DECAI_STORE_H
#define DECAI_STORE_H

#include "decai/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_STORE_SCHEMA   1    /**< schema version this library writes */
#define DECAI_STORE_PATH_MAX 4096 /**< bytes of a store's path */
#define DECAI_NAME_MAX       64   /**< bytes of an account or asset name */
#define DECAI_KEY_MAX        128  /**< bytes of an idempotency key */

/** An open database file. */
typedef struct decai_store decai_store;

/** Open a store, creating the file or bringing an older schema up to date.
 *
 *  The file is SQLite in WAL mode with synchronous=FULL and foreign keys; the
 *  settings are read back and a store that refuses one is not opened. Several
 *  processes of one machine may open the same file; a network folder is not a
 *  place for it.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_LIMIT (path) | DECAI_E_IO
 *           | DECAI_E_FULL | DECAI_E_CORRUPT (no database, or damaged)
 *           | DECAI_E_UNSUPPORTED (a newer schema, an unknown VFS)
 *           | DECAI_E_EXISTS (somebody else's SQLite file)
 *           | DECAI_E_BUSY (locked by another process for store.busy_ms)
 *           | DECAI_E_NOMEM; the detail names the file
 *  Out:  out      @owned
 *  In:   context
 *        path     the file; ":memory:" is a store without a file, for tests
 *        options  keys of room "store"                        @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_store_open(
    decai_store **out, decai_context *context, const char *path, const decai_options *options);

/** Check the whole file: pages, indexes, foreign keys, settings.
 *
 *  Returns: 0 | DECAI_E_CORRUPT (the detail has the first finding)
 *           | DECAI_E_INVALID | DECAI_E_IO | DECAI_E_BUSY | DECAI_E_STATE
 *  In:   store
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_store_audit(decai_store *store);

/** The schema version of the file, equal to DECAI_STORE_SCHEMA once open.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_IO | DECAI_E_BUSY | DECAI_E_STATE
 *  Out:  schema  user_version as read back from the file
 *  In:   store
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_store_schema_get(decai_store *store, int64_t *schema);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_STORE_H */
