/* program.c - from a model to the program of one token.
 *
 * A program is a pure function of the model's metadata and tensor table, and of
 * the contract's number (it says which activation form K-quants read); a referee
 * derives it himself and never takes it from a party. Invariants: inputs of an op
 * come before it; every tensor of the file is read by some op (an unknown one
 * means that we would compute something else than the file asks for); QUANT ops
 * number the activation nodes in execution order.
 */
#include "infer/graph.h"

#include <string.h>

static const struct { const char *arch; void (*build)(decai__graph *g); } ARCHITECTURES[] = {
    { "llama", decai__graph_llama }, { "qwen2", decai__graph_qwen2 }, { "qwen3", decai__graph_qwen3 },
    { "qwen3moe", decai__graph_qwen3moe }, { "gemma", decai__graph_gemma }, { "gemma2", decai__graph_gemma2 },
    { "gemma3", decai__graph_gemma3 }, { "phi3", decai__graph_phi3 }, { "gpt2", decai__graph_gpt2 },
    { "gpt-oss", decai__graph_gpt_oss }, { "bert", decai__graph_bert }, { "nomic-bert", decai__graph_nomic_bert },
};

/* An end-of-text id; absent or out of the vocabulary: none. */
static int32_t
end_id(const decai_model *model, const char *key, uint32_t vocab)
{
    uint64_t v = 0;

    if (!decai__model_metadata_find(model, key)) return -1;
    return decai__model_u64(model, key, 0, vocab - 1, &v) ? -1 : (int32_t)v;
}

static int32_t
build(decai__graph *g)
{
    const char *arch = NULL;
    size_t len = 0;
    int32_t r = decai__model_str(g->model, "general.architecture", &arch, &len);

    if (r == DECAI_E_NOT_FOUND) return decai__fail(DECAI_E_CORRUPT, "general.architecture: missing");
    if (r) return r;
    for (size_t i = 0; i < DECAI__COUNT(ARCHITECTURES) && !g->arch; i++)
        if (strlen(ARCHITECTURES[i].arch) == len && !memcmp(ARCHITECTURES[i].arch, arch, len)) {
            g->arch = g->p->arch = ARCHITECTURES[i].arch;
            ARCHITECTURES[i].build(g);
        }
    if (!g->arch)
        return decai__fail(DECAI_E_UNSUPPORTED, "general.architecture: \"%.*s\" is not known",
            (int)DECAI__MIN(len, 64), arch);
    g->p->pooling = (int32_t)decai__graph_u32(g, "pooling_type", 0, 4, DECAI__POOL_NONE);
    bool causal = decai__graph_bool(g, "attention.causal", !g->p->encoder);
    if (!g->error && causal == g->p->encoder)
        return decai__fail(DECAI_E_UNSUPPORTED, "%s.attention.causal: %s", g->arch, causal ? "true" : "false");
    if (g->error) return g->error;

    for (size_t i = 0; i < decai__model_tensor_count(g->model); i++)
        if (!g->used[i])
            return decai__fail(DECAI_E_UNSUPPORTED, "%s: no part of architecture %s",
                decai__model_tensor_at(g->model, i)->name, g->arch);
    g->p->shape.eos = end_id(g->model, "tokenizer.ggml.eos_token_id", g->p->shape.vocab);
    g->p->shape.eot = end_id(g->model, "tokenizer.ggml.eot_token_id", g->p->shape.vocab);
    return 0;
}

int32_t
decai__program_create(decai__program **out, decai_context *ctx, const decai_model *model, int32_t contract)
{
    decai__graph g = { .model = model };
    int32_t r = DECAI_E_NOMEM;

    *out = NULL;
    g.p = decai__calloc(ctx, 1, sizeof *g.p);
    g.used = decai__calloc(ctx, decai__model_tensor_count(model) + 1, 1);
    if (!g.p || !g.used) {
        (void)decai__fail(r, "program: %zu tensors", decai__model_tensor_count(model));
        goto done;
    }
    g.p->ctx = ctx;
    g.p->contract = contract;
    r = build(&g);
    if (!r) *out = g.p;
done:
    decai__free(ctx, g.used);
    if (r && g.p) {
        g.p->ctx = ctx;
        decai__program_destroy(g.p);
    }
    return r;
}

void
decai__program_destroy(decai__program *p)
{
    if (!p) return;
    decai_context *ctx = p->ctx;
    for (int i = 0; i < DECAI__ROPES_MAX; i++) decai__free(ctx, p->factors[i]);
    decai__free(ctx, p->window);
    decai__free(ctx, p->ops);
    decai__free(ctx, p);
}

/* ---- questions about ops ---------------------------------------------------------- */

const char *
decai__op_name(int32_t kind)
{
    static const char *const names[DECAI__OP_KIND_COUNT] = { "?", "EMBED", "NORM", "QUANT", "MATMUL", "ROPE",
        "KV", "SCORE", "SOFTMAX", "MIX", "ADD", "GLU", "LOGITS", "SAMPLE", "EMBED_ADD", "BIAS", "SOFTCAP", "ROUTE",
        "MATMUL_EXPERT", "BIAS_EXPERT", "MIX_EXPERT", "ATTENTION_FULL" };
    return kind > 0 && kind < DECAI__OP_KIND_COUNT ? names[kind] : names[0];
}

bool
decai__op_product(const decai__op *op)
{
    return op->kind == DECAI__OP_MATMUL || op->kind == DECAI__OP_LOGITS || op->kind == DECAI__OP_MATMUL_EXPERT;
}

uint64_t
decai__op_first(const decai__op *op, uint64_t position)
{
    return decai__window_first((size_t)position, op->window);
}

uint64_t
decai__op_visible(const decai__op *op, uint64_t position)
{
    return position + 1 - decai__op_first(op, position);
}

uint64_t
decai__op_rows(const decai__program *p, uint32_t ordinal, uint64_t position)
{
    decai__assert(ordinal < p->count);
    const decai__op *op = &p->ops[ordinal];
    if (op->kind == DECAI__OP_SCORE) return op->rows * decai__op_visible(op, position);
    if (op->kind == DECAI__OP_SOFTMAX) return op->rows * (decai__op_visible(op, position) + (op->extra >= 0));
    return op->rows;
}

uint32_t
decai__op_leaves(const decai__program *p, uint32_t ordinal)
{
    decai__assert(ordinal < p->count);
    const decai__op *op = &p->ops[ordinal];
    return decai__op_product(op) ? (op->cols + DECAI__LEAF - 1) / DECAI__LEAF : 1;
}

int32_t
decai__op_weight(decai__weight_rows *out, const decai__program *p, uint32_t ordinal, uint64_t row, uint64_t position,
    int32_t token, const void *route, size_t route_len)
{
    const decai__op *op = &p->ops[ordinal];
    decai__chosen chosen = { 0 };

    if (op->kind == DECAI__OP_MATMUL_EXPERT || op->kind == DECAI__OP_BIAS_EXPERT) {
        if (!route || route_len != op->used * sizeof chosen)
            return decai__fail(DECAI_E_CORRUPT, "route: %zu bytes, expected %zu", route_len, op->used * sizeof chosen);
        memcpy(&chosen, (const uint8_t *)route + op->slot * sizeof chosen, sizeof chosen);
        if (chosen.id < 0 || (uint32_t)chosen.id >= op->experts)
            return decai__fail(DECAI_E_CORRUPT, "route: expert %d of %u", (int)chosen.id, op->experts);
    }
    switch (op->kind) {
    case DECAI__OP_EMBED: *out = (decai__weight_rows){ (uint64_t)token, 1 }; break;
    case DECAI__OP_EMBED_ADD: *out = (decai__weight_rows){ op->variant ? 0 : position, 1 }; break;
    case DECAI__OP_MATMUL_EXPERT: *out = (decai__weight_rows){ (uint64_t)chosen.id * op->rows + row, 1 }; break;
    case DECAI__OP_BIAS_EXPERT: *out = (decai__weight_rows){ (uint64_t)chosen.id, 1 }; break;
    case DECAI__OP_MATMUL: case DECAI__OP_LOGITS: *out = (decai__weight_rows){ op->first + row, 1 }; break;
    default: *out = (decai__weight_rows){ 0, 1 };
    }
    return 0;
}

/* ---- QUANT's bytes ------------------------------------------------------------------ */

int32_t
decai__form_act(uint32_t form)
{
    return form == DECAI__FORM_ACT ? DECAI__ACT_32 : form == DECAI__FORM_ACT256 ? DECAI__ACT_256
        : form == DECAI__FORM_ACT2L ? DECAI__ACT_2L : -1;
}

size_t
decai__form_size(uint32_t form, size_t cols)
{
    return form == DECAI__FORM_F32 ? 4 * cols : decai__act_size(decai__form_act(form), cols);
}

const uint32_t decai__forms[DECAI__FORM_COUNT] = { DECAI__FORM_ACT, DECAI__FORM_ACT256, DECAI__FORM_ACT2L, DECAI__FORM_F32 };

size_t
decai__quant_offset(const decai__op *op, uint32_t form)
{
    size_t at = 0;
    for (size_t i = 0; i < DECAI__FORM_COUNT && decai__forms[i] != form; i++)
        if (op->forms & decai__forms[i]) at += decai__form_size(decai__forms[i], op->cols);
    return at;
}

size_t
decai__quant_size(const decai__op *op)
{
    return decai__quant_offset(op, 0);
}

uint32_t
decai__quant_element(const decai__op *op, size_t at)
{
    for (size_t i = 0; i < DECAI__FORM_COUNT; i++) {
        if (!(op->forms & decai__forms[i])) continue;
        size_t size = decai__form_size(decai__forms[i], op->cols), first = 0;
        if (decai__forms[i] == DECAI__FORM_F32 && at < size) return (uint32_t)(at / 4);
        if (decai__forms[i] != DECAI__FORM_F32) first = decai__act_quants_at(decai__form_act(decai__forms[i]), op->cols);
        if (at < size) return at < first ? 0 : (uint32_t)(at - first);
        at -= size;
    }
    return 0;
}
