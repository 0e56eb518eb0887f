/* cl_program.c - kernels to programs: the embedded sources, joined for a purpose,
 * built with the flavour's defines, or taken from the disk cache.
 *
 *   base   _common _math _pages and every op but the integer products
 *   type   _common _types and one product file, once a quantised type is loaded:
 *          a model needs two or three of thirteen, and each takes a build
 *   probe  probe.cl alone
 *
 * With compute.cache_dir a program's binary is kept under a key made of everything
 * that it depends on. A cached one that does not build any more is built anew. */
#include <string.h>

#include "compute/cl_backend.h"
#include "hash/hash.h"

#define KERNEL_BEGIN(name) static const unsigned char source_##name[] = {
#define KERNEL_END(name) };
#include "kernels.inc"

#define SOURCE(name) { (const char *)source_##name, sizeof source_##name }
typedef struct source { const char *text; size_t len; } source;

static const source base_sources[] = {
    SOURCE(_common), SOURCE(_math), SOURCE(_pages), SOURCE(add), SOURCE(attention), SOURCE(attention_full), SOURCE(bias),
    SOURCE(check), SOURCE(glu), SOURCE(kv_store), SOURCE(matmul_float), SOURCE(mix_expert), SOURCE(norm), SOURCE(quant),
    SOURCE(rope), SOURCE(route), SOURCE(softcap),
};
static const source type_sources[] = { SOURCE(_common), SOURCE(_types), SOURCE(matmul), SOURCE(matmul_x86) };
static const source probe_sources[] = { SOURCE(probe) };
#define SOURCES_MAX DECAI__COUNT(base_sources)

static const char *const kernel_names[K_COUNT] = {
    "add", "attention", "attention_full", "bias", "check", "glu", "kv_load", "kv_store", "matmul_float",
    "mix_expert", "norm", "quant", "rope", "route", "softcap",
};

/* No -cl-fast-relaxed-math, no -cl-mad-enable, no -cl-denorms-are-zero. -w: PoCL counts
 * warnings on the standard error of the host, wide vectors on AVX2 among them. */
#define BUILD_OPTIONS "-cl-std=CL1.2 -w"

typedef struct build { const source *sources; size_t count; char options[BUILD_OPTIONS_MAX]; } build;

/* options + text, which always fits: both are ours. */
static void
append(char *options, const char *text)
{
    size_t at = strlen(options), len = strlen(text);
    decai__assert(at + len < BUILD_OPTIONS_MAX);
    memcpy(options + at, text, len + 1);
}

static cl_int
from_source(decai__cl *s, const build *b, cl_program *out)
{
    const char *texts[SOURCES_MAX];
    size_t lens[SOURCES_MAX];
    for (size_t i = 0; i < b->count; i++) {
        texts[i] = b->sources[i].text;
        lens[i] = b->sources[i].len;
    }
    return decai__cl_program(s->hook, out, s->context, (cl_uint)b->count, texts, lens);
}

static void
log_failure(decai__compute *c, const build *b, cl_program p)
{
    decai__cl *s = c->impl;
    char log[1024] = { 0 };
    decai__cl_build_log(s->hook, p, s->device, sizeof log - 1, log);
    decai__log(c->ctx, DECAI_LOG_ERROR, "compute: kernels (%s) do not build on \"%s\": %.900s", b->options, c->device, log);
}

/* ---- the disk cache ------------------------------------------------------------- */

static void
key_of(decai__compute *c, const build *b, decai__cl_key *key)
{
    const decai__cl *s = c->impl;
    decai__keccak k;
    decai__keccak_init(&k);
    for (size_t i = 0; i < b->count; i++) decai__keccak_update(&k, b->sources[i].text, b->sources[i].len);
    decai__keccak_update(&k, b->options, sizeof b->options);
    decai__keccak_update(&k, c->device, sizeof c->device);
    decai__keccak_update(&k, s->facts.version, sizeof s->facts.version);
    decai__keccak_update(&k, s->facts.driver, sizeof s->facts.driver);
    decai__keccak_final(&k, key->bytes);
}

/* 1 built from the cache | 0 not there or not good any more | error. */
static int32_t
from_cache(decai__compute *c, const build *b, const decai__cl_key *key, cl_program *out)
{
    decai__cl *s = c->impl;
    decai__buf data;
    decai__buf_init(&data, c->ctx, (size_t)64 << 20, "cached program");
    int32_t r = decai__cl_cache_load(c->ctx, s->cache_dir, key, &data);
    if (r == 1) {
        cl_int e = decai__cl_program_binary(s->hook, out, s->context, s->device, data.data, data.len);
        if (!e) e = decai__cl_build(s->hook, *out, s->device, b->options);
        if (e) {
            decai__cl_drop_program(s->hook, *out);
            *out = NULL;
            r = 0;
        }
    }
    decai__buf_free(&data);
    return r;
}

static void
to_cache(decai__compute *c, const decai__cl_key *key, cl_program p)
{
    decai__cl *s = c->impl;
    size_t size = 0;
    if (decai__cl_binary_size(s->hook, p, &size) || !size || size > (size_t)64 << 20) return;
    uint8_t *data = decai__alloc(c->ctx, size);
    if (data && !decai__cl_binary(s->hook, p, data)) decai__cl_cache_save(c->ctx, s->cache_dir, key, data, size);
    decai__free(c->ctx, data);
}

static int32_t
make(decai__compute *c, const build *b, cl_program *out)
{
    decai__cl *s = c->impl;
    decai__cl_key key = { { 0 } };
    bool cached = *s->cache_dir != 0;
    if (cached) {
        key_of(c, b, &key);
        int32_t r = from_cache(c, b, &key, out);
        if (r) return r < 0 ? r : 0;
    }
    cl_int e = from_source(s, b, out);
    if (e) return decai__cl_failed(c, "clCreateProgramWithSource", e);
    e = decai__cl_build(s->hook, *out, s->device, b->options);
    if (e) {
        log_failure(c, b, *out);
        return decai__cl_failed(c, "clBuildProgram", e);
    }
    if (cached) to_cache(c, &key, *out);
    return 0;
}

/* ---- programs ------------------------------------------------------------------------ */

/* 1 built | 0 the compiler refuses | error. Logs nothing: a refusal is an answer. */
int32_t
decai__cl_build_probe(decai__compute *c, const char *defines, cl_program *out)
{
    decai__cl *s = c->impl;
    build b = { probe_sources, DECAI__COUNT(probe_sources), BUILD_OPTIONS " -DPROBE" };
    append(b.options, defines);
    cl_int e = from_source(s, &b, out);
    if (e) return decai__cl_failed(c, "clCreateProgramWithSource", e);
    return decai__cl_build(s->hook, *out, s->device, b.options) == CL_SUCCESS;
}

int32_t
decai__cl_build_base(decai__compute *c)
{
    decai__cl *s = c->impl;
    build b = { base_sources, DECAI__COUNT(base_sources), BUILD_OPTIONS };
    append(b.options, s->flavour->defines);
    int32_t r = make(c, &b, &s->program);
    for (int i = 0; !r && i < K_COUNT; i++)
        r = decai__cl_failed(c, kernel_names[i], decai__cl_kernel(s->hook, &s->kernels[i], s->program, kernel_names[i]));
    return r;
}

int32_t
decai__cl_build_type(decai__compute *c, int32_t type)
{
    decai__cl *s = c->impl;
    decai__cl_type *t = &s->types[decai__pack_index(type)];
    if (t->one) return 0;
    build b = { type_sources, DECAI__COUNT(type_sources), BUILD_OPTIONS };
    char number[] = " -DTYPE=00";
    number[8] = (char)('0' + type / 10);
    number[9] = (char)('0' + type % 10);
    if (type < 10) memcpy(number + 8, (const char[]){ (char)('0' + type), 0 }, 2);   /* 08 would be octal */
    append(b.options, s->flavour->defines);
    append(b.options, number);
    int32_t r = t->program ? 0 : make(c, &b, &t->program);
    if (!r && !t->tile) r = decai__cl_failed(c, "matmul_tile", decai__cl_kernel(s->hook, &t->tile, t->program, "matmul_tile"));
    if (!r) r = decai__cl_failed(c, "matmul_one", decai__cl_kernel(s->hook, &t->one, t->program, "matmul_one"));
    if (!r && c->verify_types) r = decai__compute_verify_type(c, type);   /* comes back here once, and returns above */
    if (r == DECAI_E_DEVICE) c->lost = true;
    return r;
}

void
decai__cl_drop_programs(decai__cl *s)
{
    for (int i = 0; i < K_COUNT; i++) decai__cl_drop_kernel(s->hook, s->kernels[i]);
    decai__cl_drop_program(s->hook, s->program);
    for (int i = 0; i < PACK_TYPES; i++) {
        decai__cl_drop_kernel(s->hook, s->types[i].tile);
        decai__cl_drop_kernel(s->hook, s->types[i].one);
        decai__cl_drop_program(s->hook, s->types[i].program);
    }
}
