/* tables.c - what the library says about itself: constants, features, its API. */
#define _DEFAULT_SOURCE                  /* RLIMIT_MEMLOCK */
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/context.h"

typedef struct constant_row {
    const char *name;
    int64_t value;
} constant_row;

static const constant_row constants[] = {
#define CONSTANT(name, value) {name, value},
#include "constants.inc"
#undef CONSTANT
};

static const char api_json[] = {
#include "api_json.inc"
    0};

static int32_t
always(void)
{
    return 1;
}

static int32_t
never(void)
{
    return 0;
}

static int32_t
cpu_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

/* Room for one locked page: what a key asks for. A process with the right to
 * lock without limit may succeed where this says no; decai_key_get tells. */
static int32_t
can_lock(void)
{
    struct rlimit limit;
    long page = sysconf(_SC_PAGESIZE);
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && page > 0 && limit.rlim_cur >= (rlim_t)page;
}

typedef struct feature_row {
    const char *name;
    int32_t (*present)(void);
} feature_row;

static const feature_row features[] = {
    {"compute.scalar", always},
    {"compute.native", always},
    {"compute.native.avx2", cpu_avx2},
    {"compute.opencl", always},      /* the loader is linked; decai_device_at lists the devices */
    {"store.sqlite", always},
    {"store.postgresql", never},
    {"net", never},
    {"chain", never},
    {"mlock", can_lock},             /* secrets stay out of swap */
};

int32_t
decai__constant_get(int64_t *value, const char *name)
{
    for (size_t i = 0; i < DECAI__COUNT(constants); i++)
        if (!strcmp(constants[i].name, name)) {
            *value = constants[i].value;
            return 0;
        }
    return decai__fail(DECAI_E_NOT_FOUND, "constant \"%.63s\"", name);
}

int32_t
decai__feature_at(const char **name, int32_t *present, size_t index)
{
    if (index >= DECAI__COUNT(features)) return 0;
    *name = features[index].name;
    *present = features[index].present();
    return 1;
}

const char *
decai__api_json(void)
{
    return api_json;
}
