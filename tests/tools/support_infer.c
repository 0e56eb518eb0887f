/* support_infer.c - see support_infer.h. */
#include "support_infer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
must(int32_t r, const char *what)
{
    if (r >= 0) return;
    fprintf(stderr, "%s: %s: %s\n", what, decai_error_name(r), decai_error_detail());
    abort();
}

decai_context *
infer_context(int64_t pool_threads)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    must(decai_options_create(&o, NULL), "options");
    must(decai_options_set_i64(o, "base.threads", pool_threads), "base.threads");
    must(decai_context_create(&ctx, o), "context");
    decai_destroy(o);
    return ctx;
}

decai_model *
infer_model(decai_context *ctx, const support_llama *m)
{
    decai_model *model = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    support_gguf_llama(m, &bytes, &len);
    must(decai_model_open(&model, ctx, bytes, len, NULL), "model");
    free(bytes);
    return model;
}

bool
infer_backend_there(const char *backend)
{
#if defined(__SANITIZE_THREAD__)
    return strcmp(backend, "opencl") != 0;
#else
    return backend != NULL;
#endif
}

decai_engine *
infer_engine(decai_context *ctx, decai_model *model, const infer_setup *setup)
{
    decai_options *o = NULL;
    decai_engine *engine = NULL;
    must(decai_options_create(&o, ctx), "options");
    if (setup && setup->backend) must(decai_options_set_str(o, "compute.backend", setup->backend), "compute.backend");
    if (setup && setup->flavour) must(decai_options_set_str(o, "compute.flavour", setup->flavour), "compute.flavour");
    if (setup && setup->batch) must(decai_options_set_i64(o, "infer.batch", setup->batch), "infer.batch");
    if (setup && setup->context) must(decai_options_set_i64(o, "infer.context", setup->context), "infer.context");
    must(decai_options_set_i64(o, "compute.fallback", 0), "compute.fallback");
    int32_t r = decai_engine_create(&engine, model, o);
    if (r) fprintf(stderr, "engine: %s: %s\n", decai_error_name(r), decai_error_detail());
    decai_destroy(o);
    return engine;
}

decai_session *
infer_session(decai_engine *engine, decai_context *ctx, const char *name, ...)
{
    decai_options *o = NULL;
    decai_session *s = NULL;
    va_list ap;
    must(decai_options_create(&o, ctx), "options");
    va_start(ap, name);
    for (; name; name = va_arg(ap, const char *)) {
        int64_t v = va_arg(ap, int64_t);
        must(decai_options_set_i64(o, name, v), name);
    }
    va_end(ap);
    must(decai_session_create(&s, engine, o), "session");
    decai_destroy(o);
    return s;
}

void
infer_tokens(int32_t *tokens, size_t count, uint32_t vocab, uint64_t seed)
{
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++) tokens[i] = (int32_t)(support_rand(&state) % vocab);
}

void
infer_hex(char out[65], const uint8_t hash[32])
{
    for (int i = 0; i < 32; i++) (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
