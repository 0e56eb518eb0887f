/* cl_backend.h - the state behind an OpenCL backend, shared by cl_*.c.
 *
 *   cl_api.c      every OpenCL call, one wrapper each
 *   cl_device.c   which devices there are and whether one fits
 *   cl_flavour.c  what a device's compiler takes beyond plain OpenCL C
 *   cl_program.c  kernels: sources, builds, the disk cache's use
 *   cl_cache.c    the disk cache itself
 *   cl_backend.c  opening, closing, buffers
 *   cl_pack.c     weights as the kernels read them
 *   cl_matrix.c   matrices and their products
 *   cl_kv.c       caches and attention
 *   cl_ops.c      the other ops */
#ifndef DECAI__CL_BACKEND_H
#define DECAI__CL_BACKEND_H

#include "compute/cl_api.h"
#include "compute/cl_pack.h"

#define PENDING_MAX 1024             /* ops between two looks at the status word */
#define DEVICES_MAX 64
#define GROUP_ITEMS 64               /* GROUP of the kernels */
#define MATMUL_SPLITS 4              /* SPLITS of matmul.cl */
#define ELEMENTS_CHUNK 2048          /* CHUNK of kernels/_math.cl */
#define BUILD_OPTIONS_MAX 128

/* Kernels of the base program, in the order of decai__cl_kernel_names. */
enum cl_kernel_id {
    K_ADD, K_ATTENTION, K_ATTENTION_FULL, K_BIAS, K_CHECK, K_GLU, K_KV_LOAD, K_KV_STORE, K_MATMUL_FLOAT,
    K_MIX_EXPERT, K_NORM, K_QUANT, K_ROPE, K_ROUTE, K_SOFTCAP, K_COUNT
};

typedef struct decai__cl_flavour {
    const char *name;
    const char *defines;             /* of the build, after the shape's */
    bool wide;                       /* the x86 shape: work-groups of one item that loop */
    bool passed;                     /* the self-test and the whole-model hash, on real hardware */
    bool (*fits)(const decai__cl_facts *f);
} decai__cl_flavour;

/* A type's own program. */
typedef struct decai__cl_type { cl_program program; cl_kernel tile, one; } decai__cl_type;

typedef struct decai__cl {
    decai__cl_hook *hook, own_hook;
    cl_platform_id platform;
    cl_device_id device;
    decai__cl_facts facts;
    cl_context context;
    cl_command_queue queue;
    const decai__cl_flavour *flavour;
    const char *cache_dir;           /* "" none; a copy */
    bool wide;                       /* flavour->wide */
    size_t max_alloc;                /* bytes of one buffer */
    size_t units;                    /* compute units, at least 1 */
    cl_program program;
    cl_kernel kernels[K_COUNT];
    decai__cl_type types[PACK_TYPES];
    cl_mem status;                   /* u32: the least number of an op that met a bad value */
    cl_mem scores, bounds;           /* scratch, grown as needed */
    size_t scores_size, bounds_size;
    uint32_t pending;                /* checking ops since the last look */
    const char *names[PENDING_MAX];
} decai__cl;

/* Status to error: marks the backend lost. 0 if status is CL_SUCCESS. */
int32_t decai__cl_failed(decai__compute *c, const char *call, cl_int status);
/* Find the device by index or name ("" the first); fills platform, device, facts. */
int32_t decai__cl_pick(decai__cl *s, const char *want, char *name, size_t name_cap);

/* cl_flavour.c. pick: the named one, or the best that has passed and whose trial
 * program gives the right answer. by name: NULL if there is none. */
int32_t decai__cl_pick_flavour(decai__compute *c, const char *want);
const decai__cl_flavour *decai__cl_flavour_likely(const decai__cl_facts *f, bool passed);

/* cl_program.c. */
int32_t decai__cl_build_probe(decai__compute *c, const char *defines, cl_program *out);
int32_t decai__cl_build_base(decai__compute *c);
int32_t decai__cl_build_type(decai__compute *c, int32_t type);      /* once; then nothing */
void decai__cl_drop_programs(decai__cl *s);

/* cl_cache.c: programs on disk. load: 1 found, 0 not. Both never fail for disk reasons. */
typedef struct decai__cl_key { uint8_t bytes[32]; } decai__cl_key;
int32_t decai__cl_cache_load(decai_context *ctx, const char *dir, const decai__cl_key *key, decai__buf *out);
void decai__cl_cache_save(decai_context *ctx, const char *dir, const decai__cl_key *key, const uint8_t *data, size_t len);

/* Scratch of at least `need` bytes; what it held is lost. */
int32_t decai__cl_grow(decai__compute *c, cl_mem *m, size_t *size, size_t need);

/* cl_matrix.c, cl_kv.c, cl_ops.c. */
int32_t decai__cl_prepare(decai__matrix *m, const uint8_t *data);
void decai__cl_forget(decai__matrix *m);
int32_t decai__cl_matmul(decai__compute *c, decai__call *a);
int32_t decai__cl_kv_open(decai__kv *kv);
void decai__cl_kv_close(decai__kv *kv);
int32_t decai__cl_kv_reserve(decai__kv *kv, size_t layer, size_t pos, size_t n);
int32_t decai__cl_kv_get(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, float *out);
int32_t decai__cl_kv_put(decai__kv *kv, size_t layer, int32_t which, size_t pos, size_t n, const float *x);
int32_t decai__cl_kv_take(decai__kv *kv, size_t layer, size_t page, void **at);
int32_t decai__cl_kv_give(decai__kv *kv, size_t layer, size_t page, void *at);
void decai__cl_kv_drop(decai__compute *c, void *at);
int32_t decai__cl_kv_store(decai__compute *c, decai__call *a);
int32_t decai__cl_attention(decai__compute *c, decai__call *a);
int32_t decai__cl_attention_full(decai__compute *c, decai__call *a);
int32_t decai__cl_op(decai__compute *c, int op, decai__call *a);
int32_t decai__cl_sync(decai__compute *c);

#endif /* DECAI__CL_BACKEND_H */
