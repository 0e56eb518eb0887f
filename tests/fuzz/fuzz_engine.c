/* fuzz_engine.c - a hostile model that passed the file checks must still not
 * hurt an engine: load, make an engine, compute two tokens and draw two; an encoder
 * encodes two texts. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static decai_context *ctx;
static decai_options *load, *make, *talk;

static void
once(void)
{
    if (ctx) return;
    if (decai_context_create(&ctx, NULL) || decai_options_create(&load, ctx) || decai_options_create(&make, ctx)
        || decai_options_create(&talk, ctx) || decai_options_set_i64(load, "model.hash", 0)
        || decai_options_set_str(make, "compute.backend", "native") || decai_options_set_i64(make, "infer.batch", 2)
        || decai_options_set_i64(talk, "infer.activation_tree", 1) || decai_options_set_i64(talk, "infer.max_tokens", 2))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int32_t tokens[2] = { 0, 1 };
    static const uint32_t lengths[2] = { 1, 1 };
    static float vectors[2 * 65536];
    size_t len;
    decai_model *model = NULL;
    decai_engine *engine = NULL;
    decai_session *session = NULL;
    int32_t token;

    once();
    if (!decai_model_open(&model, ctx, data, size, load) && !decai_engine_create(&engine, model, make)
        && decai_engine_encode(engine, vectors, sizeof vectors / sizeof *vectors, &len, tokens, 2, lengths, 2, 0) < 1
        && !decai_session_create(&session, engine, talk) && !decai_session_add(session, tokens, 2))
        while (decai_session_next(session, &token) == 1) { }
    decai_destroy(session);
    decai_destroy(engine);
    decai_destroy(model);
    return 0;
}
