/* cl_api.c - the only file that calls OpenCL. See cl_api.h. */
#include "compute/cl_api.h"

/* The chosen failure, or CL_SUCCESS. */
static cl_int
planned(decai__cl_hook *h)
{
    h->calls++;
    return h->fail_at && h->calls == h->fail_at ? (cl_int)h->code : CL_SUCCESS;
}

/* One bracket a wrapper: `expr` runs in the contract's mode unless a failure is planned. */
#define CALL(expr) do { \
    cl_int status_ = planned(h); \
    if (status_ == CL_SUCCESS) { \
        decai__fpu fpu_; \
        decai__fpu_enter(&fpu_); \
        status_ = (expr); \
        decai__fpu_leave(&fpu_); \
    } \
    return status_; \
} while (0)

/* The same for calls that make an object and return the status through a pointer. */
#define MAKE(out, expr) do { \
    *(out) = NULL; \
    cl_int status_ = planned(h); \
    if (status_ == CL_SUCCESS) { \
        decai__fpu fpu_; \
        decai__fpu_enter(&fpu_); \
        *(out) = (expr); \
        decai__fpu_leave(&fpu_); \
        if (status_ == CL_SUCCESS && !*(out)) status_ = CL_OUT_OF_RESOURCES; \
        if (status_ == CL_SUCCESS) h->live++; else *(out) = NULL; \
    } \
    return status_; \
} while (0)

cl_int
decai__cl_platforms(decai__cl_hook *h, cl_uint cap, cl_platform_id *out, cl_uint *count)
{
    CALL(clGetPlatformIDs(cap, out, count));
}

cl_int
decai__cl_devices(decai__cl_hook *h, cl_platform_id p, cl_uint cap, cl_device_id *out, cl_uint *count)
{
    CALL(clGetDeviceIDs(p, CL_DEVICE_TYPE_ALL, cap, out, count));
}

cl_int
decai__cl_platform_text(decai__cl_hook *h, cl_platform_id p, cl_platform_info what, size_t cap, char *out)
{
    CALL(clGetPlatformInfo(p, what, cap, out, NULL));
}

cl_int
decai__cl_device_info(decai__cl_hook *h, cl_device_id d, cl_device_info what, size_t size, void *out)
{
    CALL(clGetDeviceInfo(d, what, size, out, NULL));
}

cl_int
decai__cl_context(decai__cl_hook *h, cl_context *out, cl_platform_id p, cl_device_id d)
{
    const cl_context_properties properties[] = { CL_CONTEXT_PLATFORM, (cl_context_properties)p, 0 };
    MAKE(out, clCreateContext(properties, 1, &d, NULL, NULL, &status_));
}

cl_int
decai__cl_queue(decai__cl_hook *h, cl_command_queue *out, cl_context c, cl_device_id d)
{
    MAKE(out, clCreateCommandQueue(c, d, 0, &status_));
}

cl_int
decai__cl_program(decai__cl_hook *h, cl_program *out, cl_context c, cl_uint count, const char **source, const size_t *len)
{
    MAKE(out, clCreateProgramWithSource(c, count, source, len, &status_));
}

cl_int
decai__cl_program_binary(decai__cl_hook *h, cl_program *out, cl_context c, cl_device_id d, const uint8_t *data, size_t len)
{
    MAKE(out, clCreateProgramWithBinary(c, 1, &d, &len, &data, NULL, &status_));
}

cl_int
decai__cl_binary_size(decai__cl_hook *h, cl_program p, size_t *size)
{
    CALL(clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof *size, size, NULL));
}

cl_int
decai__cl_binary(decai__cl_hook *h, cl_program p, uint8_t *out)
{
    CALL(clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof out, &out, NULL));
}

cl_int
decai__cl_build(decai__cl_hook *h, cl_program p, cl_device_id d, const char *options)
{
    CALL(clBuildProgram(p, 1, &d, options, NULL, NULL));
}

cl_int
decai__cl_build_log(decai__cl_hook *h, cl_program p, cl_device_id d, size_t cap, char *out)
{
    CALL(clGetProgramBuildInfo(p, d, CL_PROGRAM_BUILD_LOG, cap, out, NULL));
}

cl_int
decai__cl_kernel(decai__cl_hook *h, cl_kernel *out, cl_program p, const char *name)
{
    MAKE(out, clCreateKernel(p, name, &status_));
}

cl_int
decai__cl_buffer(decai__cl_hook *h, cl_mem *out, cl_context c, size_t size)
{
    MAKE(out, clCreateBuffer(c, CL_MEM_READ_WRITE, size, NULL, &status_));
}

cl_int
decai__cl_arg(decai__cl_hook *h, cl_kernel k, cl_uint index, size_t size, const void *value)
{
    CALL(clSetKernelArg(k, index, size, value));
}

cl_int
decai__cl_run(decai__cl_hook *h, cl_command_queue q, cl_kernel k, const size_t global[3], const size_t local[3])
{
    CALL(clEnqueueNDRangeKernel(q, k, 3, NULL, global, local, 0, NULL, NULL));
}

cl_int
decai__cl_write(decai__cl_hook *h, cl_command_queue q, cl_mem m, size_t at, size_t len, const void *data)
{
    CALL(clEnqueueWriteBuffer(q, m, CL_TRUE, at, len, data, 0, NULL, NULL));
}

cl_int
decai__cl_read(decai__cl_hook *h, cl_command_queue q, cl_mem m, bool wait, size_t at, size_t len, void *data)
{
    CALL(clEnqueueReadBuffer(q, m, wait ? CL_TRUE : CL_FALSE, at, len, data, 0, NULL, NULL));
}

cl_int
decai__cl_copy(decai__cl_hook *h, cl_command_queue q, cl_mem to, size_t to_at, cl_mem from, size_t from_at, size_t len)
{
    CALL(clEnqueueCopyBuffer(q, from, to, from_at, to_at, len, 0, NULL, NULL));
}

cl_int
decai__cl_fill(decai__cl_hook *h, cl_command_queue q, cl_mem m, uint32_t value, size_t len)
{
    CALL(clEnqueueFillBuffer(q, m, &value, sizeof value, 0, len, 0, NULL, NULL));
}

cl_int
decai__cl_finish(decai__cl_hook *h, cl_command_queue q)
{
    CALL(clFinish(q));
}

#define DROP(object, release) do { if (object) { release(object); h->live--; } } while (0)

void decai__cl_drop_buffer(decai__cl_hook *h, cl_mem m) { DROP(m, clReleaseMemObject); }
void decai__cl_drop_kernel(decai__cl_hook *h, cl_kernel k) { DROP(k, clReleaseKernel); }
void decai__cl_drop_program(decai__cl_hook *h, cl_program p) { DROP(p, clReleaseProgram); }
void decai__cl_drop_queue(decai__cl_hook *h, cl_command_queue q) { DROP(q, clReleaseCommandQueue); }
void decai__cl_drop_context(decai__cl_hook *h, cl_context c) { DROP(c, clReleaseContext); }
