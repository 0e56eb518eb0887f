/* sweep_asset.c - asset's rows of the allocation sweep. */
#include <stdlib.h>
#include <string.h>

#include "support_gguf.h"
#include "sweep.h"

#define OWNER "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"

typedef struct life {
    decai_model *model;
    decai_options *options;
    decai_manifest *manifest;
    uint8_t *bytes;
    size_t len;
} life;

static void
teardown(decai_context *ctx, void *state)
{
    life *l = state;
    (void)ctx;
    if (!l) return;
    decai_destroy(l->manifest);
    decai_destroy(l->options);
    decai_destroy(l->model);
    free(l->bytes);
    free(l);
}

static int32_t
setup(decai_context *ctx, void **state)
{
    support_llama tiny = SUPPORT_LLAMA_TINY;
    life *l = calloc(1, sizeof(*l));
    uint8_t *gguf = NULL;
    size_t len = 0;
    int32_t r = l ? 0 : DECAI_E_NOMEM;
    if (r) return r;
    *state = l;
    support_gguf_llama(&tiny, &gguf, &len);
    r = decai_model_open(&l->model, ctx, gguf, len, NULL);
    free(gguf);
    if (!r) r = decai_options_create(&l->options, ctx);
    if (!r) r = decai_options_set_str(l->options, "asset.name", "tiny");
    if (!r) r = decai_options_set_str(l->options, "asset.owner", OWNER);
    if (!r) r = decai_options_set_str(l->options, "asset.licence", "MIT");
    if (!r) r = decai_options_set_i64(l->options, "asset.chain_id", 1);
    if (!r) r = decai_options_set_str(l->options, "asset.royalties", OWNER "=500");
    if (!r) r = decai_manifest_create(&l->manifest, l->model, l->options);
    if (!r && decai_manifest_encode(l->manifest, NULL, 0, &l->len) != DECAI_E_SPACE) r = DECAI_E_INTERNAL;
    if (!r && !(l->bytes = malloc(l->len))) r = DECAI_E_NOMEM;
    return r ? r : decai_manifest_encode(l->manifest, l->bytes, l->len, &l->len);
}

static int32_t
create(decai_context *ctx, void *state)
{
    life *l = state;
    decai_manifest *m = NULL;
    (void)ctx;
    int32_t r = decai_manifest_create(&m, l->model, l->options);
    decai_destroy(m);
    return r;
}

static int32_t
parse(decai_context *ctx, void *state)
{
    static const char text[] = "{\"name\":\"tiny\",\"owner\":\"" OWNER "\",\"licence\":\"MIT\",\"chain_id\":1}";
    decai_manifest *m = NULL;
    (void)ctx;
    int32_t r = decai_manifest_parse(&m, ((life *)state)->model, text, sizeof(text) - 1);
    decai_destroy(m);
    return r;
}

static int32_t
encode(decai_context *ctx, void *state)
{
    life *l = state;
    size_t len;
    (void)ctx;
    return decai_manifest_encode(l->manifest, l->bytes, l->len, &len);
}

static int32_t
decode(decai_context *ctx, void *state)
{
    life *l = state;
    decai_manifest *m = NULL;
    int32_t r = decai_manifest_decode(&m, ctx, l->bytes, l->len);
    decai_destroy(m);
    return r;
}

static int32_t
format(decai_context *ctx, void *state)
{
    static char out[1 << 16];
    size_t len;
    (void)ctx;
    return decai_manifest_format(((life *)state)->manifest, out, sizeof(out), &len);
}

static int32_t
id_get(decai_context *ctx, void *state)
{
    uint8_t id[32];
    (void)ctx;
    return decai_manifest_id_get(((life *)state)->manifest, id, 32);
}

static int32_t
get(decai_context *ctx, void *state)
{
    uint8_t root[32], owner[20];
    uint64_t chain;
    (void)ctx;
    return decai_manifest_get(((life *)state)->manifest, root, 32, owner, 20, &chain);
}

static int32_t
royalty_at(decai_context *ctx, void *state)
{
    uint8_t to[20];
    int64_t parts;
    (void)ctx;
    return decai_manifest_royalty_at(((life *)state)->manifest, to, 20, &parts, 0);
}

static int32_t
verify(decai_context *ctx, void *state)
{
    life *l = state;
    (void)ctx;
    return decai_manifest_verify(l->manifest, l->model);
}

const sweep_case sweep_asset[] = {
    {"decai_manifest_create", setup, create, teardown},
    {"decai_manifest_parse", setup, parse, teardown},
    {"decai_manifest_encode", setup, encode, teardown},
    {"decai_manifest_decode", setup, decode, teardown},
    {"decai_manifest_format", setup, format, teardown},
    {"decai_manifest_id_get", setup, id_get, teardown},
    {"decai_manifest_get", setup, get, teardown},
    {"decai_manifest_royalty_at", setup, royalty_at, teardown},
    {"decai_manifest_verify", setup, verify, teardown},
    {0},
};
