/* cl_device.c - which OpenCL devices there are, and whether one can keep the
 * contract: little-endian, compiler, full profile, subnormals, nearest rounding
 * and fma in single precision. What a driver says is only the first filter; the
 * known-answer test decides. */
#include <stdio.h>
#include <string.h>

#include "compute/cl_backend.h"

#define TEXT_MAX 128

typedef struct device_list {
    cl_platform_id platforms[DEVICES_MAX];
    cl_device_id devices[DEVICES_MAX];
    size_t count;
} device_list;

/* Printable ASCII only, JSON's two special characters replaced: a driver's text
 * is not to be trusted with our syntax. */
static void
clean(char *text)
{
    text[TEXT_MAX - 1] = 0;
    for (char *p = text; *p; p++)
        if (*p < 32 || *p > 126 || *p == '"' || *p == '\\') *p = '?';
    for (size_t n = strlen(text); n && text[n - 1] == ' '; n--) text[n - 1] = 0;
}

static cl_int
list_devices(decai__cl_hook *h, device_list *l)
{
    cl_platform_id platforms[16];
    cl_uint count = 0;
    l->count = 0;
    cl_int e = decai__cl_platforms(h, 16, platforms, &count);
    if (e == -1001) return CL_SUCCESS;               /* CL_PLATFORM_NOT_FOUND_KHR: no driver installed */
    if (e) return e;
    for (cl_uint p = 0; p < count && p < 16; p++) {
        cl_uint room = (cl_uint)(DEVICES_MAX - l->count), found = 0;
        if (!room) break;
        e = decai__cl_devices(h, platforms[p], room, l->devices + l->count, &found);
        if (e == CL_DEVICE_NOT_FOUND) continue;
        if (e) return e;
        for (cl_uint i = 0; i < found && i < room; i++) l->platforms[l->count++] = platforms[p];
    }
    return CL_SUCCESS;
}

static cl_int
device_text(decai__cl_hook *h, cl_device_id d, cl_device_info what, char out[TEXT_MAX])
{
    char raw[1024] = { 0 };
    cl_int e = decai__cl_device_info(h, d, what, sizeof raw - 1, raw);
    memcpy(out, raw, TEXT_MAX);
    clean(out);
    return e;
}

static bool
fit(decai__cl_hook *h, cl_device_id d, cl_int *e)
{
    cl_bool available = 0, compiler = 0, little = 0;
    cl_device_fp_config fp = 0;
    const cl_device_fp_config need = CL_FP_DENORM | CL_FP_ROUND_TO_NEAREST | CL_FP_FMA | CL_FP_INF_NAN;
    char profile[TEXT_MAX];
    *e = decai__cl_device_info(h, d, CL_DEVICE_AVAILABLE, sizeof available, &available);
    if (!*e) *e = decai__cl_device_info(h, d, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler);
    if (!*e) *e = decai__cl_device_info(h, d, CL_DEVICE_ENDIAN_LITTLE, sizeof little, &little);
    if (!*e) *e = decai__cl_device_info(h, d, CL_DEVICE_SINGLE_FP_CONFIG, sizeof fp, &fp);
    if (!*e) *e = device_text(h, d, CL_DEVICE_PROFILE, profile);
    return !*e && available && compiler && little && (fp & need) == need && !strcmp(profile, "FULL_PROFILE");
}

/* Words that a flavour is judged by; the trial build decides. */
static cl_int
facts_of(decai__cl_hook *h, cl_platform_id p, cl_device_id d, decai__cl_facts *f)
{
    char vendor[TEXT_MAX], platform[TEXT_MAX] = { 0 }, extensions[8192] = { 0 };
    cl_device_type type = 0;
    cl_int e = decai__cl_device_info(h, d, CL_DEVICE_TYPE, sizeof type, &type);
    if (!e) e = device_text(h, d, CL_DEVICE_VENDOR, vendor);
    if (!e) e = device_text(h, d, CL_DEVICE_VERSION, f->version);
    if (!e) e = device_text(h, d, CL_DRIVER_VERSION, f->driver);
    if (!e) e = decai__cl_platform_text(h, p, CL_PLATFORM_NAME, sizeof platform - 1, platform);
    if (e) return e;
    /* A list longer than we take is read as none: no flavour that needs one. */
    if (decai__cl_device_info(h, d, CL_DEVICE_EXTENSIONS, sizeof extensions - 1, extensions)) extensions[0] = 0;
    f->cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    f->pocl = strstr(platform, "Portable Computing Language") != NULL;
    f->nvidia = !f->pocl && strstr(vendor, "NVIDIA") != NULL;
    f->amd = !f->pocl && (strstr(vendor, "Advanced Micro Devices") || strstr(vendor, "AMD"));
    f->intel = !f->pocl && strstr(vendor, "Intel") != NULL;
    f->dot8 = strstr(extensions, "cl_khr_integer_dot_product") != NULL;
    return CL_SUCCESS;
}

static bool
wanted(const char *want, size_t index, const char *name)
{
    char number[24];
    snprintf(number, sizeof number, "%zu", index);
    return !*want || !strcmp(want, number) || strstr(name, want);
}

int32_t
decai__cl_pick(decai__cl *s, const char *want, char *name, size_t name_cap)
{
    device_list l;
    cl_int e = list_devices(s->hook, &l);
    for (size_t i = 0; !e && i < l.count; i++) {
        char text[TEXT_MAX];
        e = device_text(s->hook, l.devices[i], CL_DEVICE_NAME, text);
        if (e || !wanted(want, i, text)) continue;
        bool ok = fit(s->hook, l.devices[i], &e);
        if (e) break;
        if (!ok) {
            if (!*want) continue;
            return decai__fail(DECAI_E_DEVICE, "opencl device \"%.60s\" cannot keep the numeric contract", text);
        }
        s->platform = l.platforms[i];
        s->device = l.devices[i];
        e = facts_of(s->hook, s->platform, s->device, &s->facts);
        if (e) break;
        snprintf(name, name_cap, "%s", text);
        return 0;
    }
    if (e) return decai__fail(DECAI_E_DEVICE, "opencl devices: OpenCL error %d", (int)e);
    if (!*want) return decai__fail(DECAI_E_DEVICE, "no OpenCL device among %zu", l.count);
    return decai__fail(DECAI_E_DEVICE, "compute.device: no OpenCL device \"%.60s\" among %zu", want, l.count);
}

int32_t
decai__cl_describe(decai_context *ctx, decai__buf *json, size_t index, size_t shown)
{
    decai__cl_hook h = { 0 };
    device_list l;
    char name[TEXT_MAX], platform[TEXT_MAX] = { 0 };
    decai__cl_facts f = { 0 };
    cl_uint units = 0;
    cl_ulong memory = 0;
    (void)ctx;
    cl_int e = list_devices(&h, &l);
    if (e) return decai__fail(DECAI_E_DEVICE, "opencl devices: OpenCL error %d", (int)e);
    if (index >= l.count) return 0;
    cl_device_id d = l.devices[index];
    e = device_text(&h, d, CL_DEVICE_NAME, name);
    if (!e) e = facts_of(&h, l.platforms[index], d, &f);
    if (!e) e = decai__cl_platform_text(&h, l.platforms[index], CL_PLATFORM_NAME, sizeof platform - 1, platform);
    if (!e) e = decai__cl_device_info(&h, d, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units);
    if (!e) e = decai__cl_device_info(&h, d, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory);
    bool ok = !e && fit(&h, d, &e);
    if (e) return decai__fail(DECAI_E_DEVICE, "opencl device %zu: OpenCL error %d", index, (int)e);
    clean(platform);
    const decai__cl_flavour *best = decai__cl_flavour_likely(&f, false), *used = decai__cl_flavour_likely(&f, true);
    int32_t r = decai__buf_printf(json, "{\"index\":%zu,\"backend\":\"opencl\",\"name\":\"%s\",\"opencl\":%zu,"
        "\"platform\":\"%s\",\"version\":\"%s\",\"driver\":\"%s\",\"units\":%u,\"memory\":%llu,\"fit\":%d,"
        "\"flavour\":\"%s\",\"best_flavour\":\"%s\",\"best_passed\":%d}",
        shown, name, index, platform, f.version, f.driver, units, (unsigned long long)memory, ok ? 1 : 0,
        used->name, best->name, best->passed ? 1 : 0);
    return r ? r : 1;
}
