/* program.c - from a model to the program of one token.
 *
 * A program is a pure function of the model's metadata and tensor table; a
 * referee derives it himself and never takes it from a party. Invariants: inputs
 * of an op come before it; every tensor of the file is read by some op (an
 * unknown one means that we would compute something else than the file asks
 * for); QUANT ops number the activation nodes in execution order.
 */
#include "infer/graph.h"

#include <stdio.h>
#include <string.h>

#define OPS_MAX (DECAI_LAYERS_MAX * 32 + 16)

/* ---- reading a model ------------------------------------------------------------ */

static void
key_of(char *key, size_t cap, const decai__graph *g, const char *name)
{
    (void)snprintf(key, cap, "%s.%s", g->arch, name);
}

uint32_t
decai__graph_u32(decai__graph *g, const char *name, uint64_t min, uint64_t max, uint64_t absent)
{
    char key[DECAI_MODEL_KEY_MAX + 1];
    uint64_t v = 0;

    if (g->error) return 0;
    key_of(key, sizeof key, g, name);
    if (!decai__model_metadata_find(g->model, key)) {
        if (absent == UINT64_MAX) g->error = decai__fail(DECAI_E_CORRUPT, "%s: missing", key);
        return g->error ? 0 : (uint32_t)absent;
    }
    /* Too large is our limit, anything else the file's fault. */
    int32_t r = decai__model_u64(g->model, key, 0, UINT64_MAX, &v);
    if (!r && v > max)
        r = decai__fail(DECAI_E_LIMIT, "%s: %llu is above %llu", key, (unsigned long long)v, (unsigned long long)max);
    if (!r && v < min)
        r = decai__fail(DECAI_E_CORRUPT, "%s: %llu is below %llu", key, (unsigned long long)v, (unsigned long long)min);
    g->error = r;
    return r ? 0 : (uint32_t)v;
}

float
decai__graph_f32(decai__graph *g, const char *name, float min, float max, float absent)
{
    char key[DECAI_MODEL_KEY_MAX + 1];
    float v = 0;

    if (g->error) return 0;
    key_of(key, sizeof key, g, name);
    if (!decai__model_metadata_find(g->model, key)) {
        if (absent < min) g->error = decai__fail(DECAI_E_CORRUPT, "%s: missing", key);
        return absent;
    }
    g->error = decai__model_f32(g->model, key, min, max, &v);
    return v;
}

/* Zero bytes all over, or the text "none", or a scale of one. */
static bool
is_off(const decai__metadata *m)
{
    static const uint8_t one[4] = { 0, 0, 0x80, 0x3f };

    if (m->type == DECAI_METADATA_STRING) return m->count == 4 && !memcmp(m->value, "none", 4);
    if (m->type == DECAI_METADATA_F32 && !memcmp(m->value, one, 4)) return true;
    if (m->type == DECAI_METADATA_ARRAY) return false;
    for (size_t i = 0; i < m->raw_size; i++)
        if (m->raw[i]) return false;
    return true;
}

void
decai__graph_refuse(decai__graph *g, const char *name)
{
    char key[DECAI_MODEL_KEY_MAX + 1];

    if (g->error) return;
    key_of(key, sizeof key, g, name);
    const decai__metadata *m = decai__model_metadata_find(g->model, key);
    if (m && !is_off(m)) g->error = decai__fail(DECAI_E_UNSUPPORTED, "%s: not supported", key);
}

bool
decai__graph_has(const decai__graph *g, const char *name)
{
    return decai__model_tensor_find(g->model, name) != NULL;
}

int32_t
decai__graph_tensor(decai__graph *g, int32_t layer, const char *name, uint32_t rows, uint32_t cols)
{
    char full[DECAI_MODEL_NAME_MAX + 32];

    if (g->error) return 0;
    if (layer >= 0) (void)snprintf(full, sizeof full, "blk.%d.%s", (int)layer, name);
    else (void)snprintf(full, sizeof full, "%s", name);

    const decai__tensor *t = decai__model_tensor_find(g->model, full);
    if (!t) {
        g->error = decai__fail(DECAI_E_CORRUPT, "%s: missing", full);
        return 0;
    }
    uint64_t want[2] = { cols ? cols : rows, cols ? rows : 1 };
    if (t->dims[0] != want[0] || t->dims[1] != want[1] || t->dims[2] != 1 || t->dims[3] != 1) {
        g->error = decai__fail(DECAI_E_CORRUPT, "%s: dims %llu x %llu, expected %llu x %llu", full,
            (unsigned long long)t->dims[0], (unsigned long long)t->dims[1],
            (unsigned long long)want[0], (unsigned long long)want[1]);
        return 0;
    }
    if (!cols && decai__type_quantised((int32_t)t->type)) {
        g->error = decai__fail(DECAI_E_UNSUPPORTED, "%s: a vector of quantised type %u", full, t->type);
        return 0;
    }
    if (!decai__row_size((int32_t)t->type, (size_t)t->dims[0])) {
        g->error = decai__fail(DECAI_E_UNSUPPORTED, "%s: type %u with %llu columns", full, t->type,
            (unsigned long long)t->dims[0]);
        return 0;
    }
    g->used[t->index] = 1;
    return (int32_t)t->index;
}

/* ---- emitting ops --------------------------------------------------------------- */

int32_t
decai__graph_op(decai__graph *g, decai__op op)
{
    decai__program *p = g->p;

    if (g->error) return 0;
    if (p->count == g->cap) {
        uint32_t cap = g->cap ? 2 * g->cap : 64;
        decai__op *ops = p->count >= OPS_MAX ? NULL
            : decai__realloc(p->ctx, p->ops, g->cap * sizeof *ops, cap * sizeof *ops);
        if (!ops) {
            g->error = decai__fail(DECAI_E_NOMEM, "program: %u ops", cap);
            return 0;
        }
        p->ops = ops;
        g->cap = cap;
    }
    if (op.kind != DECAI__OP_EMBED && op.kind != DECAI__OP_NORM && op.kind != DECAI__OP_MATMUL
        && op.kind != DECAI__OP_LOGITS)
        op.tensor = -1;
    if (op.kind != DECAI__OP_QUANT) op.node = -1, op.row_bytes = 4;
    p->ops[p->count] = op;
    return (int32_t)p->count++;
}

int32_t
decai__graph_norm(decai__graph *g, int32_t layer, int32_t in, int32_t tensor, uint32_t dim)
{
    return decai__graph_op(g, (decai__op){ .kind = DECAI__OP_NORM, .layer = layer, .tensor = tensor,
        .in = { in, -1 }, .rows = dim, .cols = dim });
}

static uint32_t
form_of(const decai__graph *g, int32_t tensor)
{
    const decai__tensor *t = decai__model_tensor_at(g->model, (size_t)tensor);
    int32_t act = decai__type_act((int32_t)t->type, decai__contract_two_level(g->p->contract));
    return act < 0 ? DECAI__FORM_F32 : decai__form_of_act(act);
}

int32_t
decai__graph_quant(decai__graph *g, int32_t layer, int32_t in, uint32_t cols, const int32_t *tensors, size_t count)
{
    decai__op op = { .kind = DECAI__OP_QUANT, .layer = layer, .in = { in, -1 }, .rows = 1, .cols = cols };

    if (g->error) return 0;
    for (size_t i = 0; i < count; i++) op.forms |= form_of(g, tensors[i]);
    op.node = (int32_t)g->p->nodes++;
    op.row_bytes = (uint32_t)decai__quant_size(&op);
    return decai__graph_op(g, op);
}

int32_t
decai__graph_matmul(decai__graph *g, int32_t kind, int32_t layer, int32_t in, int32_t tensor)
{
    if (g->error) return 0;
    const decai__tensor *t = decai__model_tensor_at(g->model, (size_t)tensor);
    return decai__graph_op(g, (decai__op){ .kind = kind, .layer = layer, .tensor = tensor, .in = { in, -1 },
        .rows = (uint32_t)t->dims[1], .cols = (uint32_t)t->dims[0], .forms = form_of(g, tensor) });
}

/* ---- program -------------------------------------------------------------------- */

static const struct { const char *arch; void (*build)(decai__graph *g); } ARCHITECTURES[] = {
    { "llama", decai__graph_llama },
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
    if (g->error) return g->error;

    for (size_t i = 0; i < decai__model_tensor_count(g->model); i++)
        if (!g->used[i])
            return decai__fail(DECAI_E_UNSUPPORTED, "%s: no part of architecture %s",
                decai__model_tensor_at(g->model, i)->name, g->arch);
    g->p->nodes -= 1;                              /* the head's own is not part of every token */
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
    decai__free(ctx, p->ops);
    decai__free(ctx, p);
}

/* ---- questions about ops ---------------------------------------------------------- */

const char *
decai__op_name(int32_t kind)
{
    static const char *const names[DECAI__OP_KIND_COUNT] = { "?", "EMBED", "NORM", "QUANT", "MATMUL", "ROPE",
        "KV", "SCORE", "SOFTMAX", "MIX", "ADD", "SILU_MUL", "LOGITS", "SAMPLE" };
    return kind > 0 && kind < DECAI__OP_KIND_COUNT ? names[kind] : names[0];
}

uint64_t
decai__op_rows(const decai__program *p, uint32_t ordinal, uint64_t position)
{
    decai__assert(ordinal < p->count);
    const decai__op *op = &p->ops[ordinal];
    bool grows = op->kind == DECAI__OP_SCORE || op->kind == DECAI__OP_SOFTMAX;
    return grows ? op->rows * (position + 1) : op->rows;
}

uint32_t
decai__op_leaves(const decai__program *p, uint32_t ordinal)
{
    decai__assert(ordinal < p->count);
    const decai__op *op = &p->ops[ordinal];
    bool product = op->kind == DECAI__OP_MATMUL || op->kind == DECAI__OP_LOGITS;
    return product ? (op->cols + DECAI__LEAF - 1) / DECAI__LEAF : 1;
}

size_t
decai__quant_offset(const decai__op *op, uint32_t form)
{
    size_t at = 0;
    for (int i = 0; decai__form_at(op->forms, i) != form; i++) {
        decai__assert(decai__form_at(op->forms, i));
        at += decai__form_size(decai__form_at(op->forms, i), op->cols);
    }
    return at;
}

size_t
decai__quant_size(const decai__op *op)
{
    size_t size = 0;
    uint32_t form;
    for (int i = 0; (form = decai__form_at(op->forms, i)); i++) size += decai__form_size(form, op->cols);
    return size;
}

uint32_t
decai__quant_element(const decai__op *op, size_t at)
{
    uint32_t form;
    for (int i = 0; (form = decai__form_at(op->forms, i)); i++) {
        size_t size = decai__form_size(form, op->cols);
        if (at >= size) {
            at -= size;
            continue;
        }
        if (form == DECAI__FORM_F32) return (uint32_t)(at / 4);
        size_t first = decai__act_quants_at(decai__act_of_form(form), op->cols);
        return at < first ? 0 : (uint32_t)(at - first);
    }
    return 0;
}
