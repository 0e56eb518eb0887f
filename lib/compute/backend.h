/* backend.h - inside the compute room: what a backend is made of.
 *
 *   ops.c      checks arguments and state, fills a decai__call, then hands it to
 *              the backend's table by the op's number
 *   host.c     one table for scalar and native: host memory, slices over the pool,
 *              inner loops from a decai__kernels (scalar.c; avx2.c, ...). A kernel
 *              that native lacks (NULL) is scalar's
 *   cl_*.c     the OpenCL table; an op it lacks goes through cl_fallback.c: inputs
 *              read back, scalar's loop, output written
 *
 * Adding an op: a DECAI__K_ number here, a door in ops.c, a loop in scalar*.c. It
 * then works everywhere; speed is added by kernels.
 *
 * Matrices: memory.c checks the bytes and computes row exponents, then the table's
 * `prepare` makes the backend's own arrangement of the raw rows. */
#ifndef DECAI__COMPUTE_BACKEND_H
#define DECAI__COMPUTE_BACKEND_H

#include <pthread.h>

#include "compute/compute.h"

#define DEVICE_NAME_MAX 128
#define POSITIONS_MAX ((size_t)1 << 20)  /* of an angle table: angle.c is exact up to here */
#define TOKENS_MAX 65536                 /* n of one op */

struct decai__tbuf {
    decai__compute *c;
    size_t size;
    uint8_t *host;                   /* scalar, native: 64-byte aligned */
    void *host_block;                /* what to free */
    void *device;                    /* opencl: cl_mem */
};

/* What `prepare` may use and must fill. Rows of all experts count through:
 * row r of expert e is e * rows + r. */
struct decai__matrix {
    decai__compute *c;
    char *name;
    int32_t type, act;               /* act: DECAI__ACT_* of its input; -1: f32 */
    size_t experts, rows, cols;      /* rows of one expert */
    size_t raw_row;                  /* bytes of a raw row */
    decai__tbuf *exponents;          /* F of every row, i32; NULL: a float type */
    const uint8_t *raw;              /* raw rows in host memory, or NULL: a copy (raw_copy) or the caller's */
    void *raw_copy;
    /* The split arrangement (decai__matrix_split): Q8_0 and Q4_0 with D i16
     * [row][cols/32] apart from the quants; float types keep raw rows in quants. */
    decai__tbuf *scales, *quants;
    size_t row_bytes;                /* of quants */
    void *impl;                      /* the backend's own; freed by its `forget` */
};

/* Every layer's pages. Position p of a layer lies in page slot (p / 64) % slots. */
typedef struct decai__kv_layer {
    size_t window, slots;
    size_t first, end;               /* positions stored: first..end-1 */
    void **page;                     /* host: by slot; [2][kv_heads][64][row_bytes], or NULL */
} decai__kv_layer;

struct decai__kv {
    decai__compute *c;
    size_t layers, kv_heads, head_dim, capacity, batch;
    int32_t type;
    size_t row_bytes;                /* of one head of one position */
    size_t bytes;
    decai__kv_layer *layer;
    void *impl;                      /* the backend's own */
};

/* By layer: on a host the page itself, a reference of it; on a device a buffer (cl_mem). */
struct decai__kv_page {
    decai__compute *c;
    size_t layers, bytes;            /* of one layer */
    void *at[];
};

enum {
    DECAI__K_EMBED, DECAI__K_EMBED_ADD, DECAI__K_NORM, DECAI__K_QUANT, DECAI__K_CHECK, DECAI__K_MATMUL,
    DECAI__K_BIAS, DECAI__K_ROUTE, DECAI__K_MIX_EXPERT, DECAI__K_ROPE, DECAI__K_KV_STORE, DECAI__K_ATTENTION,
    DECAI__K_ATTENTION_FULL, DECAI__K_GLU, DECAI__K_ADD, DECAI__K_SOFTCAP, DECAI__K_COUNT
};

/* The arguments of one op, resolved; what a kernel sees.
 *
 *     op              items       y        x       w       z       else
 *     EMBED(_ADD)     tokens      y                                rows, ids, scale
 *     NORM            groups      y        x       weight  bias    norm
 *     QUANT           tokens      act      x                       form, dim
 *     CHECK           tokens               x                       dim
 *     MATMUL          rows of m   y        in              route   m, n; used 0: no experts
 *     BIAS            tokens      x        bias            route   dim; used 0: no experts
 *     ROUTE           tokens      route    scores                  route
 *     MIX_EXPERT      tokens      y        x               route   dim, slot, used
 *     ROPE            tokens      x                table           rope
 *     KV_STORE        tokens               k       v               kv, layer, pos
 *     ATTENTION       n * heads   y        q               sinks   kv, layer, attn
 *     ATTENTION_FULL  n * heads   y        q       k       v       starts, segments, attn
 *     GLU             floats      y        gate    up              kind
 *     ADD             floats      y        a       b
 *     SOFTCAP         floats      x                                scale = cap, inverse = 1/cap */
typedef struct decai__call {
    const decai__matrix *m;
    const decai__rows *rows;
    const uint32_t *ids;
    uint8_t *y;                      /* host: resolved pointers, NULL where there is none */
    const uint8_t *x, *w, *z;
    decai__ref ry, rx, rw, rz;       /* the same as references, for opencl */
    size_t ny, nx, nw, nz;           /* their lengths in bytes */
    bool y_in;                       /* y is read too */
    size_t items, cost, unit;        /* cost: elementary steps an item; unit: items that stay together */
    size_t n, dim, slot, used, experts, layer, pos, segments;
    int32_t form, kind;
    float scale, inverse;
    const uint32_t *starts;
    decai__kv *kv;
    decai__norm norm;
    decai__route route;
    decai__rope rope;
    decai__attn attn;
    const char *what;
    atomic_int bad;                  /* set by a slice that met NaN, Inf or too much */
    const void *plan;                /* a driver's own, for its kernels */
    size_t scratch_stride;           /* floats a slice; 0: none needed */
    float *scratch;
} decai__call;

/* Inner loops over items first..end of an op; slice numbers the scratch space. */
typedef void (*decai__kernel)(decai__call *a, size_t first, size_t end, size_t slice);
typedef struct decai__kernels {
    const char *name;
    decai__kernel op[DECAI__K_COUNT];   /* NULL: scalar's */
    /* The whole op, where items alone do not say how to cut it; NULL: host.c's way. */
    int32_t (*drive[DECAI__K_COUNT])(decai__compute *c, decai__call *a);
    /* Several calls of attention at once; NULL: one after the other. */
    int32_t (*attention_each)(decai__compute *c, decai__call *calls, size_t count);
    /* Own arrangement of cache pages: bytes of a page, and one canonical row into its
     * place (in) or out of it. NULL: kv.c's rows. */
    size_t (*kv_page_bytes)(const decai__kv *kv);
    void (*kv_row)(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t head, uint8_t *row, bool in);
    /* Own arrangement of a matrix's rows; NULL: raw rows stay (scalar's matmul). */
    int32_t (*prepare)(decai__matrix *m, const uint8_t *data);
    void (*forget)(decai__matrix *m);
} decai__kernels;

/* What tests plan and count on an OpenCL backend; a backend has its own otherwise. */
typedef struct decai__cl_hook {
    uint64_t calls, fail_at;         /* the fail_at-th call (from 1) fails with code; 0 none */
    int32_t code;
    int64_t live;                    /* OpenCL objects made and not released */
    uint64_t max_alloc;              /* a lower limit for one buffer than the device's; 0: the device's */
} decai__cl_hook;

/* What an OpenCL backend is told by options; strings are read while it opens and,
 * cache_dir, while it lives. NULL or "": the defaults. */
typedef struct decai__cl_choice { const char *flavour, *cache_dir; } decai__cl_choice;

typedef struct decai__backend {
    const char *name;
    void (*close)(decai__compute *c);
    int32_t (*sync)(decai__compute *c);
    void (*begin)(decai__compute *c);
    void (*end)(decai__compute *c);
    int32_t (*alloc)(decai__tbuf *b);
    void (*release)(decai__tbuf *b);
    int32_t (*write)(decai__tbuf *b, size_t at, const void *data, size_t len);
    int32_t (*read)(decai__tbuf *b, size_t at, void *data, size_t len);
    int32_t (*copy)(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len);
    int32_t (*prepare)(decai__matrix *m, const uint8_t *data);
    void (*forget)(decai__matrix *m);
    /* Caches. open: after kv's fields are filled; reserve: pages for positions
     * pos..pos+n-1 of a layer exist; get and put: decai__kv_read and _write. */
    int32_t (*kv_open)(decai__kv *kv);
    void (*kv_close)(decai__kv *kv);
    int32_t (*kv_reserve)(decai__kv *kv, size_t layer, size_t pos, size_t n);
    int32_t (*kv_get)(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out);
    int32_t (*kv_put)(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x);
    /* Pages shared: one layer of them. */
    int32_t (*kv_take)(decai__kv *kv, size_t layer, size_t page, void **at);
    int32_t (*kv_give)(decai__kv *kv, size_t layer, size_t page, void *at);
    void (*kv_drop)(decai__compute *c, void *at);
    int32_t (*run)(decai__compute *c, int op, decai__call *a);
    /* Several calls of one op, no output shared; NULL: one after the other. */
    int32_t (*run_each)(decai__compute *c, int op, decai__call *calls, size_t count);
} decai__backend;

struct decai__compute {
    decai_context *ctx;
    const decai__backend *table;
    const decai__kernels *kernels;   /* host backends */
    const struct x86_isa *isa;       /* native on x86-64: of the integer products (x86.h) */
    void *impl;                      /* opencl: its state; host: the team's */
    struct x86_slab *slabs;          /* native on x86-64: packed weights (x86_matrix.c) */
    pthread_mutex_t lock;
    size_t slices;
    bool lost, fallback, two_level, repack;
    bool verify_types;               /* set by decai__compute_verify_start */
    char device[DEVICE_NAME_MAX];
    char *cache_dir;                 /* compute.cache_dir, or NULL */
};

extern const decai__backend decai__host_scalar, decai__host_native, decai__cl_backend;
extern const decai__kernels decai__kernels_scalar;
#if defined(__x86_64__)
extern const decai__kernels decai__kernels_avx2, decai__kernels_avx512;
#endif
/* The fastest kernels this CPU can run. */
const decai__kernels *decai__kernels_native(void);
/* Give a native backend the kernels named: "auto" (decai__kernels_native), "portable",
 * "avx2", "avx512". 0 | DECAI_E_UNSUPPORTED (not of this CPU) | DECAI_E_INVALID */
int32_t decai__native_isa(decai__compute *c, const char *isa);

/* scalar*.c, for the tables and for native kernels that lack a case. */
void decai__scalar_embed(decai__call *a, size_t first, size_t end, size_t slice);
void decai__scalar_embed_add(decai__call *a, size_t first, size_t end, size_t slice);
void decai__scalar_matmul(decai__call *a, size_t first, size_t end, size_t slice);
void decai__scalar_kv_store(decai__call *a, size_t first, size_t end, size_t slice);
void decai__scalar_attention(decai__call *a, size_t first, size_t end, size_t slice);
void decai__scalar_attention_full(decai__call *a, size_t first, size_t end, size_t slice);

/* memory.c: arrangements a backend's `prepare` may use. raw: a host copy (or the
 * caller's bytes with compute.repack=0); split: see decai__matrix. */
int32_t decai__matrix_keep_raw(decai__matrix *m, const uint8_t *data);
int32_t decai__matrix_split(decai__matrix *m, const uint8_t *data);
/* The expert of token i (0 without experts). */
static inline size_t
decai__call_expert(const decai__call *a, size_t token)
{
    if (!a->used) return 0;
    size_t id = (size_t)(uint32_t)((const decai__chosen *)(const void *)a->z)[token * a->used + a->slot].id;
    return id < a->experts ? id : 0;             /* foreign bytes in a route buffer stay inside too */
}

/* kv.c: pages in host memory, for host backends and for OpenCL's fallback. */
int32_t decai__kv_host_open(decai__kv *kv);
void decai__kv_host_close(decai__kv *kv);
int32_t decai__kv_host_reserve(decai__kv *kv, size_t layer, size_t pos, size_t n);
int32_t decai__kv_host_get(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out);
int32_t decai__kv_host_put(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x);
int32_t decai__kv_host_take(decai__kv *kv, size_t layer, size_t page, void **at);
int32_t decai__kv_host_give(decai__kv *kv, size_t layer, size_t page, void *at);
void decai__kv_host_drop(decai__compute *c, void *at);
/* Positions become alive: reserves them and moves the ends. */
int32_t decai__kv_extend(decai__kv *kv, size_t layer, size_t pos, size_t n);
/* The stored bytes of one head of one position. */
uint8_t *decai__kv_host_row(const decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t head);

/* host.c, for drivers: a kernel over items, in chunks of at least `unit` that idle
 * slices take one after the other; and memory between ops, 64-byte aligned, as it
 * was left (NULL: none, with the error set). unit: items worth a chunk, each `cost`
 * cycles. */
void decai__host_items(decai__compute *c, decai__call *a, decai__kernel kernel, size_t items, size_t unit);
void *decai__host_room(decai__compute *c, size_t bytes);
size_t decai__host_unit(size_t cost);

/* cl_fallback.c: the op through host memory and scalar's loop. */
int32_t decai__cl_through_host(decai__compute *c, int op, decai__call *a);

/* A bare backend, no known-answer test; kind as compute.backend. hook may be NULL. */
int32_t decai__compute_open(decai__compute **out, decai_context *ctx, const char *kind, const char *device,
    decai__cl_hook *hook);
/* The same with a flavour and a cache folder for OpenCL. */
int32_t decai__compute_open_as(decai__compute **out, decai_context *ctx, const char *kind, const char *device,
    const decai__cl_choice *choice, decai__cl_hook *hook);
/* decai__compute_create with a hook. */
int32_t decai__compute_create_hooked(decai__compute **out, decai_context *ctx, const decai_options *options,
    decai__cl_hook *hook);
/* Known-answer test (verify.c): every op against scalar. 0 | DECAI_E_DEVICE | DECAI_E_NOMEM */
int32_t decai__compute_verify(decai__compute *c);
/* What a create asks: the same, but OpenCL's products of a quantised type only when
 * the first matrix of that type is made (verify_type), as each is a program to build. */
int32_t decai__compute_verify_start(decai__compute *c);
int32_t decai__compute_verify_type(decai__compute *c, int32_t type);
/* Its steps one at a time, for tests: 1 a step | 0 past the end | error. */
int32_t decai__compute_known_answer(decai__compute *c, const char **op, uint64_t *hash, uint64_t *golden, size_t index);

/* OpenCL entry (cl_backend.c): fills c->impl and c->device. */
int32_t decai__cl_open(decai__compute *c, const char *device, const decai__cl_choice *choice, decai__cl_hook *hook);
/* The flavour in use, "" on host backends. */
const char *decai__cl_flavour_name(const decai__compute *c);
/* The index-th OpenCL device as JSON, numbered `shown`: 1 | 0 past the end | error. */
int32_t decai__cl_describe(decai_context *ctx, decai__buf *json, size_t index, size_t shown);

#endif /* DECAI__COMPUTE_BACKEND_H */
