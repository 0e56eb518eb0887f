/* sweep_compute.c - compute's rows of the allocation sweep. Host devices only: a
 * driver that meets a failing malloc inside itself is beyond us (DESIGN §3). */
#include <stddef.h>

#include "sweep.h"

static int32_t
device_at(decai_context *ctx, void *state)
{
    uint8_t json[512];
    size_t len;
    (void)state;
    int32_t r = decai_device_at(ctx, json, sizeof json, &len, 0);
    return r == 1 ? decai_device_at(ctx, json, sizeof json, &len, 1) : r;
}

static int32_t
device_verify(decai_context *ctx, void *state)
{
    (void)state;
    return decai_device_verify(ctx, 1);
}

const sweep_case sweep_compute[] = {
    {"decai_device_at", NULL, device_at, NULL},
    {"decai_device_verify", NULL, device_verify, NULL},
    {0},
};
