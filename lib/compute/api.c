/* api.c - the door of compute: devices listed and tested. */
#include <string.h>

#include "compute/backend.h"

#define HOST_DEVICES 2               /* index 0 scalar, 1 native; OpenCL from 2 on */
#define JSON_MAX 4096

static int32_t
describe(decai_context *ctx, decai__buf *json, size_t index)
{
    if (index >= HOST_DEVICES) return decai__cl_describe(ctx, json, index - HOST_DEVICES, index);
    const char *kind = index ? "native" : "scalar";
    const char *name = index ? decai__kernels_native()->name : decai__kernels_scalar.name;
    int32_t r = decai__buf_printf(json, "{\"index\":%zu,\"backend\":\"%s\",\"name\":\"%s\",\"fit\":1}", index, kind, name);
    return r ? r : 1;
}

int32_t
decai_device_at(decai_context *context, uint8_t *out, size_t cap, size_t *len, size_t index)
{
    if (!len) return decai__fail(DECAI_E_INVALID, "len: NULL");
    *len = 0;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r) return r;
    if (!out && cap) return decai__fail(DECAI_E_INVALID, "out: NULL with cap %zu", cap);

    decai__buf json;
    decai__buf_init(&json, context, JSON_MAX, "device JSON");
    r = describe(context, &json, index);
    if (r == 1) {
        r = decai__bytes_out(out, cap, len, json.data, json.len);
        if (!r) r = 1;
    }
    decai__buf_free(&json);
    return r;
}

static int32_t
open_index(decai__compute **c, decai_context *context, size_t index)
{
    char device[24];
    if (index < HOST_DEVICES) return decai__compute_open(c, context, index ? "native" : "scalar", "", NULL);
    decai__buf text;
    decai__buf_init(&text, context, sizeof device - 1, "device index");
    int32_t r = decai__buf_printf(&text, "%zu", index - HOST_DEVICES);
    if (!r) {
        memcpy(device, text.data, text.len);
        device[text.len] = 0;
    }
    decai__buf_free(&text);
    if (r) return r;
    /* Ask first: opening an index past the end would be a device error. */
    decai__buf json;
    decai__buf_init(&json, context, JSON_MAX, "device JSON");
    r = describe(context, &json, index);
    decai__buf_free(&json);
    if (r < 0) return r;
    if (r == 0) return decai__fail(DECAI_E_NOT_FOUND, "index: device %zu", index);
    return decai__compute_open(c, context, "opencl", device, NULL);
}

int32_t
decai_device_verify(decai_context *context, size_t index)
{
    decai__compute *c;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r) return r;
    r = open_index(&c, context, index);
    if (r) return r;
    r = decai__compute_verify(c);
    decai__compute_destroy(c);
    return r;
}
