/* cl_backend.h - the state behind an OpenCL backend, shared by cl_*.c. */
#ifndef DECAI__CL_BACKEND_H
#define DECAI__CL_BACKEND_H

#include "compute/backend.h"
#include "compute/cl_api.h"

#define PENDING_MAX 1024             /* ops between two looks at the status word */
#define DEVICES_MAX 64
#define LOCAL_MAX 64                 /* items of a work-group on a GPU */

enum cl_kernel_id {
    K_ADD, K_CHECK, K_MATMUL_FLOAT, K_MATMUL_Q4, K_MATMUL_Q4_X4,
    K_MATMUL_Q8, K_MATMUL_Q8_X4, K_NORM, K_QUANT, K_ROPE, K_SILU_MUL, K_COUNT
};

typedef struct decai__cl {
    decai__cl_hook *hook, own_hook;
    cl_platform_id platform;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel kernels[K_COUNT];
    cl_mem status;                   /* u32: the least number of an op that met a bad value */
    size_t group;                    /* items a work-group: 1 on CPUs, LOCAL_MAX on others */
    uint32_t pending;                /* checking ops since the last look */
    const char *names[PENDING_MAX];
} decai__cl;

/* Status to error: marks the backend lost. 0 if status is CL_SUCCESS. */
int32_t decai__cl_failed(decai__compute *c, const char *call, cl_int status);
/* Find the device by index or name ("" the first); fills platform and device. */
int32_t decai__cl_pick(decai__cl *s, const char *want, char *name, size_t name_cap);

/* Ops and the arrangement of matrices (cl_ops.c). */
int32_t decai__cl_op(decai__compute *c, int op, decai__call *a);
int32_t decai__cl_prepare(decai__matrix *m, const uint8_t *data);
int32_t decai__cl_sync(decai__compute *c);

#endif /* DECAI__CL_BACKEND_H */
