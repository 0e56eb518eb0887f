/* fuzz_gguf.c - any bytes as a model file; what opens is used in full. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/model.h"
#include "tok/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const decai_model *m)
{
    static float row[65536];
    uint8_t root[32];
    size_t len;
    decai__model_proof proof;
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        const uint8_t *chunk;
        if (t->dims[0] <= 65536) decai__tensor_row(t, t->elements / t->dims[0] - 1, row);
        uint64_t last = decai__tensor_chunk_count(t) - 1;
        size_t n = decai__tensor_chunk(t, last, &chunk);
        /* What was accepted must prove itself. */
        if (!decai__model_chunk_prove(m, t, last, &proof)
            && decai__model_chunk_verify(decai__model_root(m), t->name, t->type, t->n_dims, t->dims, last, chunk, n, &proof))
            abort();
    }
    decai_model_root_get(m, root, sizeof root);
    decai_model_format(m, NULL, 0, &len);
    for (size_t i = 0; i < decai__model_metadata_count(m); i++)
        decai_model_metadata_get(m, NULL, 0, &len, decai__model_metadata_at(m, i)->key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai_model *m;
    if (!ctx && decai_context_create(&ctx, NULL)) return 0;
    if (decai_model_open(&m, ctx, data, size, NULL)) return 0;
    use(m);
    decai_destroy(m);
    return 0;
}
