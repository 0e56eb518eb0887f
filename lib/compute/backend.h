/* backend.h - inside the compute room: what a backend is made of.
 *
 *   ops.c      checks arguments and state, then calls the backend's table
 *   host.c     one table for scalar and native: host memory, slices over the pool,
 *              inner loops from a decai__kernels (scalar.c, avx2.c)
 *   cl_*.c     the OpenCL table
 *
 * A matrix is prepared the same way everywhere: row exponents i32[rows], block
 * scales D i16[rows][cols/32], quants without their f16 (Q8_0: cols bytes a row,
 * Q4_0: cols/2, GGUF's nibble order). Float rows are kept raw. */
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

struct decai__matrix {
    decai__compute *c;
    char *name;
    int32_t type;
    size_t rows, cols, row_bytes;    /* row_bytes: of quants */
    decai__tbuf *exponents, *scales, *quants;
};

/* The arguments of one op, resolved; what a kernel sees. */
typedef struct decai__call {
    const decai__matrix *m;
    const uint32_t *ids;
    uint8_t *y;                      /* host: resolved pointers */
    const uint8_t *x, *w, *z;        /* inputs in the op's order */
    decai__ref ry, rx, rw, rz;       /* the same as references, for opencl */
    size_t n, dim;
    float eps;
    decai__rope rope;
    decai__attn attn;
    const char *what;
    atomic_int bad;                  /* set by a slice that met NaN, Inf or too much */
    float *scratch;                  /* attention: one row of scores a slice */
    size_t scratch_stride;
} decai__call;

/* Inner loops over items first..end of an op (rows, tokens, heads or floats);
 * slice numbers the scratch space. */
typedef void (*decai__kernel)(decai__call *a, size_t first, size_t end, size_t slice);
typedef struct decai__kernels {
    const char *name;
    decai__kernel embed, norm, quant, check, matmul, rope, attention, silu_mul, add;
} decai__kernels;

/* What tests plan and count on an OpenCL backend; a backend has its own otherwise. */
typedef struct decai__cl_hook {
    uint64_t calls, fail_at;         /* the fail_at-th call (from 1) fails with code; 0 none */
    int32_t code;
    int64_t live;                    /* OpenCL objects made and not released */
} decai__cl_hook;

typedef struct decai__backend {
    const char *name;
    void (*close)(decai__compute *c);
    int32_t (*sync)(decai__compute *c);
    int32_t (*alloc)(decai__tbuf *b);
    void (*release)(decai__tbuf *b);
    int32_t (*write)(decai__tbuf *b, size_t at, const void *data, size_t len);
    int32_t (*read)(decai__tbuf *b, size_t at, void *data, size_t len);
    int32_t (*copy)(decai__tbuf *to, size_t to_at, decai__tbuf *from, size_t from_at, size_t len);
    int32_t (*embed)(decai__compute *c, decai__call *a);
    int32_t (*norm)(decai__compute *c, decai__call *a);
    int32_t (*quant)(decai__compute *c, decai__call *a);
    int32_t (*check)(decai__compute *c, decai__call *a);
    int32_t (*matmul)(decai__compute *c, decai__call *a);
    int32_t (*rope)(decai__compute *c, decai__call *a);
    int32_t (*attention)(decai__compute *c, decai__call *a);
    int32_t (*silu_mul)(decai__compute *c, decai__call *a);
    int32_t (*add)(decai__compute *c, decai__call *a);
} decai__backend;

struct decai__compute {
    decai_context *ctx;
    const decai__backend *table;
    const decai__kernels *kernels;   /* host backends */
    void *impl;                      /* opencl: its state */
    pthread_mutex_t lock;
    size_t slices;
    bool lost, fallback;
    char device[DEVICE_NAME_MAX];
};

extern const decai__backend decai__host_scalar, decai__host_native, decai__cl_backend;
extern const decai__kernels decai__kernels_scalar;
#if defined(__x86_64__)
extern const decai__kernels decai__kernels_avx2;
#endif
/* The fastest kernels this CPU can run. */
const decai__kernels *decai__kernels_native(void);


/* A bare backend, no known-answer test; kind as compute.backend. hook may be NULL. */
int32_t decai__compute_open(decai__compute **out, decai_context *ctx, const char *kind, const char *device,
    decai__cl_hook *hook);
/* decai__compute_create with a hook. */
int32_t decai__compute_create_hooked(decai__compute **out, decai_context *ctx, const decai_options *options,
    decai__cl_hook *hook);
/* Known-answer test (verify.c): every op against scalar. 0 | DECAI_E_DEVICE | DECAI_E_NOMEM */
int32_t decai__compute_verify(decai__compute *c);
/* Its steps one at a time, for tests: 1 a step | 0 past the end | error. */
int32_t decai__compute_known_answer(decai__compute *c, const char **op, uint64_t *hash, uint64_t *golden, size_t index);

/* OpenCL entry (cl_backend.c): fills c->impl and c->device. */
int32_t decai__cl_open(decai__compute *c, const char *device, decai__cl_hook *hook);
/* The index-th OpenCL device as JSON, numbered `shown`: 1 | 0 past the end | error. */
int32_t decai__cl_describe(decai_context *ctx, decai__buf *json, size_t index, size_t shown);

#endif /* DECAI__COMPUTE_BACKEND_H */
