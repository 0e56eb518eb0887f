/* backend.c - making, sharing and losing a backend.
 *
 * Order of a create: options → open → known-answer test. With compute.fallback=1
 * an OpenCL device that is missing, fails or computes wrongly is replaced by
 * native (same bits, so nobody's result changes) and the log says why. */
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "compute/backend.h"
#include "compute/x86.h"

#if defined(__x86_64__)
/* AVX2 by the compiler's check, which asks the system too; F16C by its bit of
 * CPUID leaf 1 (Intel SDM vol. 2, CPUID), as clang 14 does not know the name. */
static bool
cpu_fits(void)
{
    unsigned a, b, c, d;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return false;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool
cpu_wide(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const decai__kernels *
decai__kernels_native(void)
{
#if defined(__x86_64__)
    if (cpu_fits()) return cpu_wide() ? &decai__kernels_avx512 : &decai__kernels_avx2;
#endif
    return &decai__kernels_scalar;
}

int32_t
decai__native_isa(decai__compute *c, const char *isa)
{
    const decai__kernels *best = decai__kernels_native(), *k = best;
    if (!strcmp(isa, "portable")) k = &decai__kernels_scalar;
#if defined(__x86_64__)
    else if (!strcmp(isa, "avx2")) k = &decai__kernels_avx2;
    else if (!strcmp(isa, "avx512")) k = &decai__kernels_avx512;
#endif
    else if (strcmp(isa, "auto")) return decai__fail(DECAI_E_INVALID, "compute.isa: \"%.16s\" is not of this processor family", isa);
#if defined(__x86_64__)
    if (k == &decai__kernels_avx512 ? best != k : k == &decai__kernels_avx2 && best == &decai__kernels_scalar)
        return decai__fail(DECAI_E_UNSUPPORTED, "compute.isa: this CPU has no %s", isa);
    c->isa = k == &decai__kernels_avx512 && __builtin_cpu_supports("avx512vnni") ? &decai__x86_isa_avx512 : &decai__x86_isa_avx2;
#endif
    c->kernels = k;
    memcpy(c->device, k->name, strlen(k->name) + 1);
    return 0;
}

static int32_t
open_kind(decai__compute *c, const char *kind, const char *device, const decai__cl_choice *choice, decai__cl_hook *hook)
{
    if (!strcmp(kind, "scalar")) {
        c->table = &decai__host_scalar;
        c->kernels = &decai__kernels_scalar;
    } else if (!strcmp(kind, "native") || !strcmp(kind, "auto")) {
        c->table = &decai__host_native;
        return decai__native_isa(c, "auto");
    } else if (!strcmp(kind, "opencl")) {
        c->table = &decai__cl_backend;
        decai__cl_choice kept = { choice ? choice->flavour : NULL, NULL };
        if (choice && choice->cache_dir && *choice->cache_dir) {
            kept.cache_dir = c->cache_dir = decai__strdup(c->ctx, choice->cache_dir);
            if (!c->cache_dir) return DECAI_E_NOMEM;
        }
        return decai__cl_open(c, device, &kept, hook);
    } else {
        return decai__fail(DECAI_E_INVALID, "compute.backend: \"%.16s\"", kind);
    }
    size_t len = strlen(c->kernels->name);
    memcpy(c->device, c->kernels->name, len + 1);
    return 0;
}

int32_t
decai__compute_open(decai__compute **out, decai_context *ctx, const char *kind, const char *device,
    decai__cl_hook *hook)
{
    return decai__compute_open_as(out, ctx, kind, device, NULL, hook);
}

int32_t
decai__compute_open_as(decai__compute **out, decai_context *ctx, const char *kind, const char *device,
    const decai__cl_choice *choice, decai__cl_hook *hook)
{
    *out = NULL;
    decai__compute *c = decai__calloc(ctx, 1, sizeof *c);
    if (!c) return DECAI_E_NOMEM;
    c->ctx = ctx;
    c->slices = 1;
    c->repack = true;
    if (pthread_mutex_init(&c->lock, NULL)) {
        decai__free(ctx, c);
        return decai__fail(DECAI_E_NOMEM, "compute: no mutex");
    }
    int32_t r = open_kind(c, kind, device, choice, hook);
    if (r) {
        pthread_mutex_destroy(&c->lock);
        decai__free(ctx, c->cache_dir);
        decai__free(ctx, c);
        return r;
    }
    *out = c;
    return 0;
}

static int32_t
create_kind(decai__compute **out, decai_context *ctx, const decai_options *options, const char *kind,
    decai__cl_hook *hook)
{
    int64_t slices = decai__opt_i64(options, "compute.threads");
    const decai__cl_choice choice = { decai__opt_str(options, "compute.flavour"), decai__opt_str(options, "compute.cache_dir") };
    int32_t r = decai__compute_open_as(out, ctx, kind, decai__opt_str(options, "compute.device"), &choice, hook);
    if (r) return r;
    (*out)->slices = slices ? (size_t)slices : (size_t)decai__thread_count(ctx);
    (*out)->fallback = decai__opt_i64(options, "compute.fallback") != 0;
    (*out)->repack = decai__opt_i64(options, "compute.repack") != 0;
    if ((*out)->table == &decai__host_native) r = decai__native_isa(*out, decai__opt_str(options, "compute.isa"));
    if (!r) r = decai__compute_verify_start(*out);
    if (r) {
        decai__compute_destroy(*out);
        *out = NULL;
    }
    return r;
}

int32_t
decai__compute_create_native(decai__compute **out, decai_context *ctx, const decai_options *options)
{
    return create_kind(out, ctx, options, "native", NULL);
}

int32_t
decai__compute_create(decai__compute **out, decai_context *ctx, const decai_options *options)
{
    return decai__compute_create_hooked(out, ctx, options, NULL);
}

int32_t
decai__compute_create_hooked(decai__compute **out, decai_context *ctx, const decai_options *options,
    decai__cl_hook *hook)
{
    const char *kind = decai__opt_str(options, "compute.backend");
    int32_t r = create_kind(out, ctx, options, kind, hook);
    if (r != DECAI_E_DEVICE || !decai__opt_i64(options, "compute.fallback") || strcmp(kind, "opencl")) return r;
    decai__log(ctx, DECAI_LOG_WARN, "compute: opencl is replaced by native: %s", decai__error_detail());
    return create_kind(out, ctx, options, "native", NULL);
}

void
decai__compute_destroy(decai__compute *c)
{
    if (!c) return;
    c->table->close(c);
    pthread_mutex_destroy(&c->lock);
    decai__free(c->ctx, c->cache_dir);
    decai__free(c->ctx, c);
}

const char *decai__compute_name(const decai__compute *c) { return c->table->name; }
const char *decai__compute_device(const decai__compute *c) { return c->device; }
void decai__compute_set_two_level(decai__compute *c, bool on) { c->two_level = on; }
bool decai__compute_two_level(const decai__compute *c) { return c->two_level; }
bool decai__compute_lost(const decai__compute *c) { return c->lost; }
bool decai__compute_fallback(const decai__compute *c) { return c->fallback; }
void decai__compute_lock(decai__compute *c) { pthread_mutex_lock(&c->lock); }
void decai__compute_unlock(decai__compute *c) { pthread_mutex_unlock(&c->lock); }
