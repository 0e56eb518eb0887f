/* cl_flavour.c - what a device's compiler takes beyond plain OpenCL C.
 *
 * A flavour is chosen in three steps: the driver's words (`fits`), a trial build of
 * kernels/probe.cl, and its answer. Without a name only flavours that have passed
 * the self-test and the whole-model hash on real hardware are tried; README.md has
 * device, driver and date of each pass. compute.flavour names any of them. */
#include <string.h>

#include "compute/cl_backend.h"

/* PoCL compiles for the CPU we run on, so this CPU's answer is the device's. */
static bool
pocl_cpu(const decai__cl_facts *f)
{
#if defined(__x86_64__)
    return f->cpu && f->pocl && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    (void)f;
    return false;
#endif
}

static bool
pocl_vnni(const decai__cl_facts *f)
{
#if defined(__x86_64__)
    return pocl_cpu(f) && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#else
    return pocl_cpu(f);
#endif
}

static bool is_nvidia(const decai__cl_facts *f) { return f->nvidia; }
static bool is_amd(const decai__cl_facts *f) { return f->amd && f->dot8; }
static bool is_intel(const decai__cl_facts *f) { return f->intel && f->dot8; }
static bool is_any(const decai__cl_facts *f) { (void)f; return true; }

/* Best first. pocl-x86 is one name for two levels; pocl-avx2 names the lower. */
static const decai__cl_flavour flavours[] = {
    { "pocl-x86", " -DX86=2", true, true, pocl_vnni },
    { "pocl-x86", " -DX86=1", true, true, pocl_cpu },
    { "pocl-avx2", " -DX86=1", true, true, pocl_cpu },
    { "nvidia", " -DNVIDIA", false, false, is_nvidia },
    { "amd", " -DDOT8", false, false, is_amd },
    { "intel", " -DDOT8", false, false, is_intel },
    { "generic", "", false, true, is_any },
};

const decai__cl_flavour *
decai__cl_flavour_likely(const decai__cl_facts *f, bool passed)
{
    for (size_t i = 0; i < DECAI__COUNT(flavours); i++)
        if ((flavours[i].passed || !passed) && flavours[i].fits(f)) return &flavours[i];
    return NULL;
}

#define PROBE_W 0x80ff0103u
#define PROBE_X ((cl_int)0x817f02fe)
#define PROBE_ANSWER 16132

static cl_int
ask(decai__cl *s, cl_program p, cl_kernel *k, cl_mem *m, int32_t *answer)
{
    const size_t one[3] = { 1, 1, 1 };
    const cl_uint w = PROBE_W;
    const cl_int x = PROBE_X;
    cl_int e = decai__cl_kernel(s->hook, k, p, "probe");
    if (!e) e = decai__cl_buffer(s->hook, m, s->context, 64);
    if (!e) e = decai__cl_arg(s->hook, *k, 0, sizeof *m, m);
    if (!e) e = decai__cl_arg(s->hook, *k, 1, sizeof w, &w);
    if (!e) e = decai__cl_arg(s->hook, *k, 2, sizeof x, &x);
    if (!e) e = decai__cl_run(s->hook, s->queue, *k, one, one);
    if (!e) e = decai__cl_read(s->hook, s->queue, *m, true, 0, 4, answer);
    return e;
}

/* 1 it works | 0 it does not | error. A compiler that refuses is an answer, a device
 * that fails at it is not. */
static int32_t
trial(decai__compute *c, const decai__cl_flavour *f)
{
    decai__cl *s = c->impl;
    cl_program p = NULL;
    cl_kernel k = NULL;
    cl_mem m = NULL;
    int32_t answer = 0, r = decai__cl_build_probe(c, f->defines, &p);
    if (r == 1) r = decai__cl_failed(c, "probe", ask(s, p, &k, &m, &answer));
    decai__cl_drop_buffer(s->hook, m);
    decai__cl_drop_kernel(s->hook, k);
    decai__cl_drop_program(s->hook, p);
    return r < 0 ? r : answer == PROBE_ANSWER;
}

int32_t
decai__cl_pick_flavour(decai__compute *c, const char *want)
{
    decai__cl *s = c->impl;
    bool known = false;
    for (size_t i = 0; i < DECAI__COUNT(flavours); i++) {
        const decai__cl_flavour *f = &flavours[i];
        if (*want ? strcmp(want, f->name) : !f->passed) continue;
        known = true;
        if (!f->fits(&s->facts)) continue;
        int32_t r = trial(c, f);
        if (r < 0) return r;
        if (!r) continue;
        s->flavour = f;
        s->wide = f->wide;
        return 0;
    }
    if (!known) return decai__fail(DECAI_E_INVALID, "compute.flavour: \"%.16s\"", want);
    return decai__fail(DECAI_E_DEVICE, "compute.flavour: \"%s\" does not take %.16s", c->device, *want ? want : "any");
}

const char *
decai__cl_flavour_name(const decai__compute *c)
{
    return c->table == &decai__cl_backend ? ((const decai__cl *)c->impl)->flavour->name : "";
}
