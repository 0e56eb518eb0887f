/* cl_backend.c - OpenCL (not here yet). */
#include "compute/backend.h"

const decai__backend decai__cl_backend = { .name = "opencl" };

int32_t
decai__cl_open(decai__compute *c, const char *device)
{
    (void)c;
    return decai__fail(DECAI_E_DEVICE, "opencl device \"%.60s\": not in this build", device);
}

int32_t
decai__cl_describe(decai_context *ctx, decai__buf *json, size_t index, size_t shown)
{
    (void)ctx; (void)json; (void)index; (void)shown;
    return 0;
}
