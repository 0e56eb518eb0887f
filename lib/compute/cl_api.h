/* cl_api.h - every OpenCL call that this library makes, one wrapper each.
 *
 * A wrapper returns the OpenCL status; handles come out through pointers. Each
 * first asks the hook (tests: the N-th call fails with a chosen code), then puts
 * the thread into the contract's floating-point mode, because drivers on CPUs run
 * kernels in the caller's thread or in threads that inherit its mode. Releases
 * never fail. live counts objects made and not yet released. */
#ifndef DECAI__CL_API_H
#define DECAI__CL_API_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "compute/backend.h"

/* What a driver says about a device. */
typedef struct decai__cl_facts {
    bool cpu, pocl, nvidia, amd, intel, dot8;
    char version[128], driver[128];  /* of the device and its driver: part of a cached program's key */
} decai__cl_facts;

cl_int decai__cl_platforms(decai__cl_hook *h, cl_uint cap, cl_platform_id *out, cl_uint *count);
cl_int decai__cl_devices(decai__cl_hook *h, cl_platform_id p, cl_uint cap, cl_device_id *out, cl_uint *count);
cl_int decai__cl_platform_text(decai__cl_hook *h, cl_platform_id p, cl_platform_info what, size_t cap, char *out);
cl_int decai__cl_device_info(decai__cl_hook *h, cl_device_id d, cl_device_info what, size_t size, void *out);
cl_int decai__cl_context(decai__cl_hook *h, cl_context *out, cl_platform_id p, cl_device_id d);
cl_int decai__cl_queue(decai__cl_hook *h, cl_command_queue *out, cl_context c, cl_device_id d);
cl_int decai__cl_program(decai__cl_hook *h, cl_program *out, cl_context c, cl_uint count, const char **source, const size_t *len);
cl_int decai__cl_program_binary(decai__cl_hook *h, cl_program *out, cl_context c, cl_device_id d, const uint8_t *data, size_t len);
cl_int decai__cl_binary_size(decai__cl_hook *h, cl_program p, size_t *size);
cl_int decai__cl_binary(decai__cl_hook *h, cl_program p, uint8_t *out);
cl_int decai__cl_build(decai__cl_hook *h, cl_program p, cl_device_id d, const char *options);
cl_int decai__cl_build_log(decai__cl_hook *h, cl_program p, cl_device_id d, size_t cap, char *out);
cl_int decai__cl_kernel(decai__cl_hook *h, cl_kernel *out, cl_program p, const char *name);
cl_int decai__cl_buffer(decai__cl_hook *h, cl_mem *out, cl_context c, size_t size);
cl_int decai__cl_arg(decai__cl_hook *h, cl_kernel k, cl_uint index, size_t size, const void *value);
cl_int decai__cl_run(decai__cl_hook *h, cl_command_queue q, cl_kernel k, const size_t global[3], const size_t local[3]);
cl_int decai__cl_write(decai__cl_hook *h, cl_command_queue q, cl_mem m, size_t at, size_t len, const void *data);
cl_int decai__cl_read(decai__cl_hook *h, cl_command_queue q, cl_mem m, bool wait, size_t at, size_t len, void *data);
cl_int decai__cl_copy(decai__cl_hook *h, cl_command_queue q, cl_mem to, size_t to_at, cl_mem from, size_t from_at, size_t len);
cl_int decai__cl_fill(decai__cl_hook *h, cl_command_queue q, cl_mem m, uint32_t value, size_t len);
cl_int decai__cl_finish(decai__cl_hook *h, cl_command_queue q);
/* NULL is fine in each. */
void decai__cl_drop_buffer(decai__cl_hook *h, cl_mem m);
void decai__cl_drop_kernel(decai__cl_hook *h, cl_kernel k);
void decai__cl_drop_program(decai__cl_hook *h, cl_program p);
void decai__cl_drop_queue(decai__cl_hook *h, cl_command_queue q);
void decai__cl_drop_context(decai__cl_hook *h, cl_context c);

#endif /* DECAI__CL_API_H */
