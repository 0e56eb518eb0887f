/* support_infer.h - engines and sessions on small synthetic models, for tests. */
#ifndef DECAI_TESTS_SUPPORT_INFER_H
#define DECAI_TESTS_SUPPORT_INFER_H

#include <stdbool.h>

#include "decai.h"
#include "support_gguf.h"

typedef struct infer_setup {
    const char *backend;          /* NULL: default */
    int64_t threads;              /* pool threads of the context */
    int64_t batch, context;       /* 0: default */
    const char *flavour;          /* OpenCL: NULL: default */
} infer_setup;

/* The model as a file image, opened in a fresh context; the handles keep each
 * other, so destroying engine (and context) is enough. Each ends the test run
 * with a message if something fails. */
decai_context *infer_context(int64_t pool_threads);
decai_model *infer_model(decai_context *ctx, const support_llama *m);
/* False for "opencl" under ThreadSanitizer: PoCL is not instrumented and hidden there. */
bool infer_backend_there(const char *backend);
decai_engine *infer_engine(decai_context *ctx, decai_model *model, const infer_setup *setup);
/* name, value pairs ended by NULL; values are integers. */
decai_session *infer_session(decai_engine *engine, decai_context *ctx, const char *name, ...);
/* Seeded ids below vocab. */
void infer_tokens(int32_t *tokens, size_t count, uint32_t vocab, uint64_t seed);
void infer_hex(char out[65], const uint8_t hash[32]);

#endif
