/* decai/base.h - what every other header stands on: errors, context, options,
 * handles, tasks, and the library's description of itself.
 *
 * Reading rules, the same in every header of this folder:
 *   - int32_t results: 0 ok, negative error, positive only where written (1 =
 *     one item produced). Names, versions and destroy are the exceptions.
 *   - order: handle, outputs, in/outs, inputs; a buffer is followed by its
 *     length, a callback by its `void *user`. create/open/load take
 *     (T **out, parents..., options).
 *   - on failure every output is 0 or NULL, so a caller may always destroy it.
 *   - no pointer of the caller's is kept after return, seams excepted.
 *   - bytes out are (out, cap, len): too small gives DECAI_E_SPACE and the
 *     size needed in *len; NULL with cap 0 asks for the size.
 *   - @annotations in doc blocks are read by tests/tools/api.py.
 */
#ifndef DECAI_BASE_H
#define DECAI_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define DECAI_API
#else
#define DECAI_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- versions ---------------------------------------------------------- */

#define DECAI_VERSION_MAJOR 0
#define DECAI_VERSION_MINOR 1
#define DECAI_VERSION_PATCH 0

/* ---- errors: pinned for ever, never renumbered --------------------------
 * -1..-99 are common; room r of lib/rooms.txt owns -(100r)-1 .. -(100r)-99. */

#define DECAI_E_INVALID     (-1)  /**< an argument breaks the function's rules */
#define DECAI_E_NOMEM       (-2)  /**< the allocator said no */
#define DECAI_E_SPACE       (-3)  /**< output buffer too small; *len = needed */
#define DECAI_E_CORRUPT     (-4)  /**< input bytes are not what they claim to be */
#define DECAI_E_LIMIT       (-5)  /**< a named maximum was passed */
#define DECAI_E_UNSUPPORTED (-6)  /**< known, but not in this build or version */
#define DECAI_E_STATE       (-7)  /**< not now: wrong order of calls, or after fork */
#define DECAI_E_BUSY        (-8)  /**< another thread is inside this handle */
#define DECAI_E_NOT_FOUND   (-9)  /**< no such item */
#define DECAI_E_EXISTS      (-10) /**< there is one already, and it differs */
#define DECAI_E_IO          (-11) /**< the operating system said no */
#define DECAI_E_INTEGRITY   (-12) /**< a hash, signature or number does not check */
#define DECAI_E_DENIED      (-13) /**< policy refuses */
#define DECAI_E_CANCELLED   (-14) /**< the caller asked to stop */
#define DECAI_E_TIMEOUT     (-15) /**< the deadline passed; the work goes on */
#define DECAI_E_DEVICE      (-16) /**< a compute device or its driver failed */
#define DECAI_E_INTERNAL    (-17) /**< a fault of ours; please report it */
#define DECAI_E_CONFLICT    (-18) /**< lost a race: stale token, changed row */
#define DECAI_E_FUNDS       (-19) /**< the account does not hold that much */
#define DECAI_E_FULL        (-20) /**< disk or queue full */

/* ---- limits ------------------------------------------------------------ */

#define DECAI_OPTION_KEY_MAX   63      /**< bytes of an option key */
#define DECAI_OPTION_COUNT_MAX 64      /**< keys set in one options handle */
#define DECAI_OPTION_BYTES_MAX 65536   /**< bytes of one option value */
#define DECAI_DETAIL_MAX       255     /**< bytes of an error detail */
#define DECAI_THREADS_MAX      256     /**< base.threads */

/* ---- option types, as decai_option_at reports them ----------------------- */

#define DECAI_OPTION_I64   1 /**< decai_options_set_i64 */
#define DECAI_OPTION_F64   2 /**< decai_options_set_f64 */
#define DECAI_OPTION_STR   3 /**< decai_options_set_str */
#define DECAI_OPTION_BYTES 4 /**< decai_options_set_bytes */
#define DECAI_OPTION_FN    5 /**< decai_options_set_fn */

/* ---- log levels -------------------------------------------------------- */

#define DECAI_LOG_ERROR 1 /**< something was lost or refused */
#define DECAI_LOG_WARN  2 /**< worth a look: a fallback, a rounded scale */
#define DECAI_LOG_INFO  3 /**< what is going on */

/* ---- types ------------------------------------------------------------- */

/** The library's root object: seams, pool, log. Immutable, shareable. */
typedef struct decai_context decai_context;
/** A bag of checked option values, used while creating something. */
typedef struct decai_options decai_options;
/** Work that goes on in the background. */
typedef struct decai_task decai_task;
/** Any function, cast; each option documents the real type. */
typedef void (*decai_fn)(void);

/* ---- names ------------------------------------------------------------- */

/** The library's version, "major.minor.patch".
 *
 *  Returns: static text
 *  @thread any  @since 0.1
 */
DECAI_API const char *decai_version(void);

/** The pinned name of an error number, e.g. "DECAI_E_SPACE".
 *
 *  Returns: static text; "DECAI_E_UNKNOWN" for a number never given out, "ok"
 *           for 0 and above
 *  In:   code  a result of any function
 *  @thread any  @since 0.1
 */
DECAI_API const char *decai_error_name(int32_t code);

/** What went wrong last on this thread: the field and the value.
 *
 *  Returns: text of at most DECAI_DETAIL_MAX bytes, "" if there is none; valid
 *           until the next decai call on this thread that fails. Never holds
 *           secrets, prompts or keys.
 *  @thread any  @since 0.1
 */
DECAI_API const char *decai_error_detail(void);

/** The description of this whole interface, bindings/api.json as built in.
 *
 *  Returns: static NUL-terminated JSON text
 *  @thread any  @since 0.1
 */
DECAI_API const char *decai_api_json(void);

/** A public constant by name, for callers without a C compiler.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOT_FOUND
 *  Out:  value  the constant's value
 *  In:   name   the macro's name, e.g. "DECAI_OPTION_KEY_MAX"
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_constant_get(int64_t *value, const char *name);

/** What this build can do, one item a call: optional parts and whether they
 *  are there ("postgresql", "native.avx2", "mlock", ...).
 *
 *  Returns: 1 an item | 0 index is past the end | DECAI_E_INVALID
 *  Out:  name     static text
 *        present  1 there, 0 not in this build or on this machine
 *  In:   index    0, 1, 2, ...
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_feature_at(const char **name, int32_t *present, size_t index);

/* ---- options ----------------------------------------------------------- */

/** Make an empty bag of options.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   context  whose allocator to use; NULL (the C library's) only for the
 *                 options that create a context                    @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_options_create(decai_options **out, decai_context *context);

/** Set an integer option.
 *
 *  Returns: 0 | DECAI_E_INVALID (unknown key, wrong type; out of bounds, with
 *           the bounds in the detail) | DECAI_E_LIMIT | DECAI_E_NOMEM
 *  In:   options
 *        key    "<room>.<name>[_unit]"; decai_option_at lists them
 *        value
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_options_set_i64(decai_options *options, const char *key, int64_t value);

/** Set a floating-point option.
 *
 *  Returns: as decai_options_set_i64; NaN is out of bounds
 *  In:   options
 *        key
 *        value
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_options_set_f64(decai_options *options, const char *key, double value);

/** Set a text option; the text is copied.
 *
 *  Returns: as decai_options_set_i64; bounds are of the length in bytes
 *  In:   options
 *        key
 *        value  NUL-terminated UTF-8
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_options_set_str(decai_options *options, const char *key, const char *value);

/** Set a bytes option; the bytes are copied.
 *
 *  Returns: as decai_options_set_i64; bounds are of the length
 *  In:   options
 *        key
 *        value  @len(value_len) @nullable
 *        value_len
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_options_set_bytes(
    decai_options *options, const char *key, const uint8_t *value, size_t value_len);

/** Set a function option: a seam ("seam.clock.mono_ns") or the log.
 *
 *  The function is called from any thread and must be thread-safe; function
 *  and user must outlive everything made with these options.
 *
 *  Returns: as decai_options_set_i64
 *  In:   options
 *        key
 *        function  cast to decai_fn; NULL restores the default    @nullable
 *        user      handed back as the function's first argument   @nullable
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_options_set_fn(
    decai_options *options, const char *key, decai_fn function, void *user);

/** The table of all options, one row a call.
 *
 *  Returns: 1 a row | 0 index is past the end | DECAI_E_INVALID
 *  Out:  key   static text
 *        type  DECAI_OPTION_*
 *        doc   static text: "default; bounds; what it does"
 *  In:   index 0, 1, 2, ...
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_option_at(const char **key, int32_t *type, const char **doc, size_t index);

/* ---- context and handles ------------------------------------------------- */

/** Make a context: the root of everything else.
 *
 *  It starts `base.threads` pool threads (0: none; work then happens inside
 *  decai_task_wait), touches no environment, no locale, no signal and no
 *  global state. A context whose random or clock seam was replaced is a *test*
 *  context; keys and receipts made in it carry that mark.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_IO (no thread)
 *  Out:  out      @owned
 *  In:   options  keys of rooms "base" and "seam"               @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_context_create(decai_context **out, const decai_options *options);

/** Add one owner to any handle.
 *
 *  Returns: 0 | DECAI_E_INVALID (not a live handle)
 *  In:   handle  any handle of this library
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_retain(void *handle);

/** Drop one owner of any handle; the last one frees it. Children keep their
 *  parents alive, so the order does not matter.
 *
 *  In:   handle  any handle of this library, or NULL            @nullable
 *  @thread any  @since 0.1
 */
DECAI_API void decai_destroy(void *handle);

/* ---- tasks ------------------------------------------------------------- */

/** Wait for a task. With a pool of 0 threads the work happens in here. The
 *  error detail of work that failed on another thread is handed over.
 *
 *  Returns: the task's own result (0 or an error) | DECAI_E_TIMEOUT, the work
 *           goes on | DECAI_E_INVALID | DECAI_E_STATE
 *  In:   task
 *        timeout_ms  0 only looks; -1 waits for ever
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_task_wait(decai_task *task, int64_t timeout_ms);

/** Ask a task to stop; it ends soon with DECAI_E_CANCELLED, or with its result
 *  if that was ready.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  In:   task
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_task_cancel(decai_task *task);

/** A file descriptor that becomes readable when the task is done. It belongs
 *  to the task: poll it, do not read or close it.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE (a pool of 0 threads has no
 *           one who would ever signal it)
 *  Out:  fd
 *  In:   task
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_task_fd(decai_task *task, int32_t *fd);

/** How far a task has come.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  phase  static text, e.g. "hash"; "" before the start
 *        done   units of this phase that are done
 *        total  units of this phase; 0 unknown
 *  In:   task
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_task_progress(
    decai_task *task, const char **phase, uint64_t *done, uint64_t *total);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_BASE_H */
