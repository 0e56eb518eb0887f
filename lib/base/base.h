/* base.h - what rooms may use of base. Names start with decai__ and are hidden.
 *
 * The shape of every handle:
 *
 *     struct decai_model { decai__handle h; ... };          first member, always
 *
 * The shape of every exported function (lib/<room>/api.c, nowhere else):
 *
 *     int32_t decai_model_root_get(decai_model *model, uint8_t *out, size_t out_len)
 *     {
 *         int32_t r = decai__enter_shared(model, DECAI__MODEL);   type, fork
 *         if (r) return r;
 *         ... check arguments, call decai__model_xxx ...
 *     }
 *
 * decai__enter takes the in-use flag as well and needs decai__leave; the shared
 * form is for immutable handles (context, model, tokenizer).
 * Errors: `return decai__fail(DECAI_E_LIMIT, "model.map: %lld is above 1", v)`.
 */
#ifndef DECAI__BASE_H
#define DECAI__BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "decai/base.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "libdecai needs a little-endian machine"
#endif
#ifdef __FAST_MATH__
#error "libdecai's numeric contract forbids fast-math"
#endif

/* ---- asserts: on in debug and sanitizer builds, gone in release ---------- */

#ifdef DECAI_DEBUG
#define decai__assert(cond) ((cond) ? (void)0 : __builtin_trap())
#else
#define decai__assert(cond) ((void)0)
#endif

#define DECAI__COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DECAI__MIN(a, b)    ((a) < (b) ? (a) : (b))
#define DECAI__MAX(a, b)    ((a) > (b) ? (a) : (b))

/* ---- errors ------------------------------------------------------------ */

/* Record why on this thread and return the code. Never pass secrets. */
int32_t decai__fail(int32_t code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The pinned table, generated from the headers. */
const char *decai__error_name(int32_t code);
const char *decai__error_detail(void);

/* ---- memory: everything goes through the context's seam ------------------ */

void *decai__alloc(decai_context *ctx, size_t size);                  /* uninitialised */
void *decai__calloc(decai_context *ctx, size_t count, size_t size);   /* zeroed, overflow checked */
void *decai__realloc(decai_context *ctx, void *ptr, size_t old_size, size_t size);
void decai__free(decai_context *ctx, void *ptr);                      /* NULL is fine */
void *decai__memdup(decai_context *ctx, const void *data, size_t size);
char *decai__strdup(decai_context *ctx, const char *text);
/* Cannot be optimised away. */
void decai__wipe(void *ptr, size_t size);

/* ---- files: io.c --------------------------------------------------------- */

bool decai__read_all(int fd, uint8_t *out, size_t len);          /* false: an error, or the end comes before */
bool decai__write_all(int fd, const uint8_t *data, size_t len);
/* 64 hex digits and the ending, with a NUL. */
void decai__digest_name(char *name, const uint8_t digest[32], const char *ending);
/* a*b and a+b into *out; false on overflow. */
bool decai__mul_size(size_t *out, size_t a, size_t b);
bool decai__add_size(size_t *out, size_t a, size_t b);

/* ---- handles ----------------------------------------------------------- */

/* Type tags: one line a type. The values are internal and may change. */
enum decai__type {
    DECAI__CONTEXT = 1, DECAI__OPTIONS, DECAI__TASK,
    DECAI__TREE, DECAI__JSON,
    DECAI__KEY, DECAI__STORE, DECAI__MODEL, DECAI__TOKENIZER, DECAI__TOKEN_STREAM, DECAI__TEMPLATE,
    DECAI__GRAMMAR, DECAI__MATCHER,
    DECAI__ENGINE, DECAI__SESSION,
    DECAI__WALLET, DECAI__INTENT, DECAI__PERMIT,
    DECAI__MANIFEST, DECAI__RECEIPT, DECAI__VERIFICATION, DECAI__DISPUTE,
    DECAI__MARKET, DECAI__PAYOUT, DECAI__SCHEDULER, DECAI__SHELF, DECAI__ANSWER, DECAI__TYPE_COUNT
};

typedef struct decai__handle {
    uint64_t magic;                  /* DECAI__LIVE while it lives */
    int32_t type;                    /* enum decai__type */
    atomic_uint refs;
    atomic_uint busy;                /* 1 while a thread is inside */
    decai_context *context;          /* owned reference; NULL only for the context and its options */
    void (*destroy)(void *self);     /* frees what it owns, then returns; base frees self */
} decai__handle;

/* Zeroed memory with a filled-in header; keeps a reference on ctx. */
void *decai__handle_create(decai_context *ctx, int32_t type, size_t size, void (*destroy)(void *));
int32_t decai__retain(void *handle);
void decai__destroy(void *handle);
/* Type, fork and in-use checks. 0, or the error to return. */
int32_t decai__enter(const void *handle, int32_t type);
int32_t decai__enter_shared(const void *handle, int32_t type);
void decai__leave(const void *handle);
decai_context *decai__context_of(const void *handle);

/* ---- buffers: growing bytes with a named maximum --------------------------- */

typedef struct decai__buf {
    decai_context *ctx;
    uint8_t *data;
    size_t len, cap, max;
    const char *name;                /* of the maximum, for the error detail */
    int32_t error;                   /* sticky: after a failure appends do nothing */
} decai__buf;

void decai__buf_init(decai__buf *b, decai_context *ctx, size_t max, const char *name);
void decai__buf_free(decai__buf *b);
void decai__buf_wipe_free(decai__buf *b);
int32_t decai__buf_add(decai__buf *b, const void *data, size_t len);
int32_t decai__buf_add_byte(decai__buf *b, uint8_t byte);
int32_t decai__buf_add_str(decai__buf *b, const char *text);
int32_t decai__buf_add_u64be(decai__buf *b, uint64_t v);
int32_t decai__buf_printf(decai__buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The (out, cap, len) convention in one place: *len = needed; copies if it fits. */
int32_t decai__bytes_out(uint8_t *out, size_t cap, size_t *len, const void *data, size_t data_len);

/* ---- doors: checks that exported functions share ---------------------------- */

/* A fixed-size buffer argument: there, and exactly as long as it must be. */
int32_t decai__door_fixed(const void *buffer, size_t len, size_t want, const char *name);
/* Start of a function that gives bytes: (out, cap, len) are sound, *len = 0. */
int32_t decai__door_open(const void *out, size_t cap, size_t *len);
/* End of it: if r is 0, hand over what was written; free the rest. */
int32_t decai__door_close(int32_t r, decai__buf *b, void *out, size_t cap, size_t *len);

/* ---- options ----------------------------------------------------------- */

/* Values, or the default from opts.def; o may be NULL. Keys must exist. */
int64_t decai__opt_i64(const decai_options *o, const char *key);
double decai__opt_f64(const decai_options *o, const char *key);
const char *decai__opt_str(const decai_options *o, const char *key);
const uint8_t *decai__opt_bytes(const decai_options *o, const char *key, size_t *len);
decai_fn decai__opt_fn(const decai_options *o, const char *key, void **user);
bool decai__opt_is_set(const decai_options *o, const char *key);
/* For who reads them later: the caller may change his. */
int32_t decai__options_copy(decai_options **out, decai_context *ctx, const decai_options *o);
/* Refuse keys of rooms that this create does not read: rooms = "model base". */
int32_t decai__opts_check(const decai_options *o, const char *rooms);

/* ---- seams ------------------------------------------------------------- */

int64_t decai__clock_mono_ns(decai_context *ctx);
int64_t decai__clock_wall_ms(decai_context *ctx);      /* since 1970, UTC */
int32_t decai__random(decai_context *ctx, void *out, size_t len);
bool decai__is_test(const decai_context *ctx);         /* a replaced random or clock seam */
void decai__log(decai_context *ctx, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- what a room keeps per context (OpenSSL's library context, ...) -------- */

enum decai__slot { DECAI__SLOT_HASH, DECAI__SLOT_KEY, DECAI__SLOT_STORE, DECAI__SLOT_COMPUTE, DECAI__SLOT_COUNT };
/* Made once under the context's lock; destroyed with the context. make returns
 * an error code and fills *value. */
int32_t decai__context_slot(decai_context *ctx, int32_t slot, void **value,
    int32_t (*make)(decai_context *ctx, void **value), void (*destroy)(decai_context *ctx, void *value));

/* ---- threads and tasks --------------------------------------------------- */

/* Run fn(user, i) for i in 0..count-1 on the caller and on idle pool threads;
 * returns when all are done. fn must not fail, block or call this again. */
void decai__parallel(decai_context *ctx, size_t count, void (*fn)(void *user, size_t index), void *user);
/* Around many short loops in a row: threads wake once and stay awake between loops
 * (for at most some 100 us without work). Nests; from any thread; never needed. */
void decai__parallel_begin(decai_context *ctx);
void decai__parallel_end(decai_context *ctx);
int32_t decai__thread_count(const decai_context *ctx);   /* pool threads + 1, the caller */

/* Work for a task. Polls decai__task_stopped and reports progress as it goes. */
typedef int32_t (*decai__task_fn)(decai_task *task, void *user);
/* Start fn on the pool (or inside wait with a pool of 0). user_free(user) runs
 * when the task handle goes; on failure to start it runs at once. */
int32_t decai__task_start(decai_task **out, decai_context *ctx, decai__task_fn fn, void *user,
    void (*user_free)(decai_context *ctx, void *user));
bool decai__task_stopped(decai_task *task);              /* NULL: never */
void decai__task_report(decai_task *task, const char *phase, uint64_t done, uint64_t total); /* NULL: nothing */
/* A user_free for a user that is a handle: drops the task's reference. */
void decai__task_release(decai_context *ctx, void *handle);

/* ---- big- and little-endian words ------------------------------------------ */

static inline uint16_t decai__load_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t decai__load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t decai__load_le64(const uint8_t *p)
{
    return decai__load_le32(p) | (uint64_t)decai__load_le32(p + 4) << 32;
}
static inline void decai__store_le64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline void decai__store_be64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (56 - 8 * i));
}
static inline uint64_t decai__load_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}
static inline void decai__store_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

#endif /* DECAI__BASE_H */
