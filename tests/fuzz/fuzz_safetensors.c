/* fuzz_safetensors.c - any bytes as a model file, as config.json, or as an index.
 *
 * The first byte says which of the three the rest is; the other two are sound.
 * What loads is used in full, and must load to the same root when it is mapped. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static decai_context *ctx;
static decai_options *mapped;
static char folder[] = "/tmp/decai-fuzz-XXXXXX";

static const char CONFIG[] = "{\"model_type\": \"gemma2\", \"hidden_size\": 4, \"num_hidden_layers\": 1, \"num_attention_heads\": 1, "
    "\"head_dim\": 4, \"intermediate_size\": 4, \"max_position_embeddings\": 8, \"vocab_size\": 2, \"rms_norm_eps\": 1e-6}";
static const char INDEX[] = "{\"weight_map\": {\"model.norm.weight\": \"m\", \"model.embed_tokens.weight\": \"m\"}}";
static const char HEADER[] = "{\"model.norm.weight\": {\"dtype\": \"BF16\", \"shape\": [4], \"data_offsets\": [0, 8]}, "
    "\"model.embed_tokens.weight\": {\"dtype\": \"F16\", \"shape\": [2, 4], \"data_offsets\": [8, 24]}}";

static void put(const char *name, const void *head, size_t head_len, const void *data, size_t len)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);                    /* a file system may flush what is cut and rewritten */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(head, 1, head_len, f) != head_len || fwrite(data, 1, len, f) != len || fclose(f)) abort();
}

static void clean(void)
{
    static const char *const FILES[] = { "config.json", "i.json", "m" };
    char path[64];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FILES[i]);
        unlink(path);
    }
    rmdir(folder);
    decai_destroy(mapped);
    decai_destroy(ctx);
}

static void use(const decai_model *m)
{
    static float row[65536];
    size_t len;
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        if (t->dims[0] <= 65536) decai__tensor_row(t, t->elements / t->dims[0] - 1, row);
        if ((uintptr_t)t->data % 8 || decai__model_tensor_find(m, t->name) != t) abort();
        decai__tensor_drop(m, t);
    }
    decai_model_format(m, NULL, 0, &len);
    for (size_t i = 0; i < decai__model_metadata_count(m); i++)
        decai_model_metadata_get(m, NULL, 0, &len, decai__model_metadata_at(m, i)->key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    uint8_t length[8] = { sizeof HEADER - 1 }, header[sizeof HEADER + 7];
    decai_model *a, *b;
    if (!ctx) {
        if (!mkdtemp(folder) || decai_context_create(&ctx, NULL) || decai_options_create(&mapped, ctx)) abort();
        if (decai_options_set_i64(mapped, "model.map", 1)) abort();
        atexit(clean);
    }
    if (!size) return 0;
    memcpy(header, length, 8);
    memcpy(header + 8, HEADER, sizeof HEADER - 1);
    uint8_t kind = data[0] % 3;
    if (kind == 0) put("m", "", 0, data + 1, size - 1);
    else put("m", header, sizeof header, "\1\2\3\4\5\6\7\x8\1\2\3\4\5\6\7\x8\1\2\3\4\5\6\7\x8", 24);
    if (kind == 1) put("config.json", "", 0, data + 1, size - 1);
    else put("config.json", CONFIG, sizeof CONFIG - 1, "", 0);
    if (kind == 2) put("i.json", "", 0, data + 1, size - 1);
    else put("i.json", INDEX, sizeof INDEX - 1, "", 0);
    snprintf(path, sizeof path, "%s/%s", folder, kind == 2 ? "i.json" : "m");
    int32_t r = decai_model_load(&a, ctx, path, NULL), s = decai_model_load(&b, ctx, path, mapped);
    if (r != s) abort();
    if (r && !*decai_error_detail()) abort();
    if (!r) {
        use(a);
        use(b);
        if (memcmp(decai__model_root(a), decai__model_root(b), 32) != 0) abort();
    }
    decai_destroy(a);
    decai_destroy(b);
    return 0;
}
