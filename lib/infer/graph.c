/* graph.c - what a graph file is written with: reading metadata, finding tensors,
 * emitting ops.
 *
 * Everything read is bounded by a named limit, every tensor found is checked for
 * its dims and ticked off; what nobody ticked is refused at the end (program.c),
 * because a tensor that we ignore means that we compute something else than the
 * file asks for.
 */
#include "infer/graph.h"

#include <stdio.h>
#include <string.h>

#define OPS_MAX (DECAI_LAYERS_MAX * 2048u)   /* 64 experts of 12 ops a layer, and then some */
#define NAME_MAX_ (DECAI_MODEL_NAME_MAX + 32)

/* ---- metadata --------------------------------------------------------------------- */

static void
key_of(char *key, size_t cap, const decai__graph *g, const char *name)
{
    (void)snprintf(key, cap, "%s.%s", g->arch, name);
}

bool
decai__graph_key(const decai__graph *g, const char *name)
{
    char key[DECAI_MODEL_KEY_MAX + 1];
    key_of(key, sizeof key, g, name);
    return decai__model_metadata_find(g->model, key) != NULL;
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

bool
decai__graph_is(const decai__graph *g, const char *name, const char *text)
{
    char key[DECAI_MODEL_KEY_MAX + 1];
    const char *value = NULL;
    size_t len = 0;

    key_of(key, sizeof key, g, name);
    if (!decai__model_metadata_find(g->model, key) || decai__model_str(g->model, key, &value, &len)) return false;
    return len == strlen(text) && !memcmp(value, text, len);
}

bool
decai__graph_bool(decai__graph *g, const char *name, bool absent)
{
    char key[DECAI_MODEL_KEY_MAX + 1];
    bool v = absent;

    key_of(key, sizeof key, g, name);
    if (!g->error && decai__model_metadata_find(g->model, key)) g->error = decai__model_bool(g->model, key, &v);
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

void
decai__graph_refuse_usual(decai__graph *g)
{
    static const char *const lacking[] = { "attention.clamp_kqv", "attention.max_alibi_bias", "use_parallel_residual",
        "expert_shared_count", "expert_weights_scale", "rope.scaling.yarn_log_multiplier", "logit_scale",
        "residual_scale", "embedding_scale", "attention.scale", "leading_dense_block_count", "expert_group_count",
        "attention.temperature_scale", "attention.temperature_length", "moe_every_n_layers", "expert_group_used_count",
        "attention.q_lora_rank", "attention.kv_lora_rank" };
    for (size_t i = 0; i < DECAI__COUNT(lacking); i++) decai__graph_refuse(g, lacking[i]);
}

/* ---- tensors ------------------------------------------------------------------------ */

static void
full_name(char full[NAME_MAX_], int32_t layer, const char *name)
{
    if (layer >= 0) (void)snprintf(full, NAME_MAX_, "blk.%d.%s", (int)layer, name);
    else (void)snprintf(full, NAME_MAX_, "%s", name);
}

bool
decai__graph_has(const decai__graph *g, int32_t layer, const char *name)
{
    char full[NAME_MAX_];
    full_name(full, layer, name);
    return decai__model_tensor_find(g->model, full) != NULL;
}

/* want: dims of a tensor called `full`; vector: a type that is read as floats. */
static int32_t
find(decai__graph *g, const char *full, const uint64_t want[3], bool vector)
{
    const decai__tensor *t = decai__model_tensor_find(g->model, full);

    if (!t) {
        g->error = decai__fail(DECAI_E_CORRUPT, "%s: missing", full);
        return 0;
    }
    if (t->dims[0] != want[0] || t->dims[1] != want[1] || t->dims[2] != want[2] || t->dims[3] != 1) {
        g->error = decai__fail(DECAI_E_CORRUPT, "%s: dims %llu x %llu x %llu, expected %llu x %llu x %llu", full,
            (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], (unsigned long long)t->dims[2],
            (unsigned long long)want[0], (unsigned long long)want[1], (unsigned long long)want[2]);
        return 0;
    }
    if (vector && decai__type_quantised((int32_t)t->type)) {
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

int32_t
decai__graph_tensor(decai__graph *g, int32_t layer, const char *name, uint32_t rows, uint32_t cols)
{
    char full[NAME_MAX_];
    if (g->error) return 0;
    full_name(full, layer, name);
    return find(g, full, (uint64_t[3]){ cols ? cols : rows, cols ? rows : 1, 1 }, !cols);
}

int32_t
decai__graph_tensor3(decai__graph *g, int32_t layer, const char *name, uint32_t experts, uint32_t rows, uint32_t cols)
{
    char full[NAME_MAX_];
    if (g->error) return 0;
    full_name(full, layer, name);
    return find(g, full, (uint64_t[3]){ cols, rows, experts }, false);
}

int32_t
decai__graph_maybe(decai__graph *g, int32_t layer, const char *name, uint32_t rows, uint32_t cols)
{
    return decai__graph_has(g, layer, name) ? decai__graph_tensor(g, layer, name, rows, cols) : -1;
}

/* ---- ops ------------------------------------------------------------------------------ */

decai__op
decai__graph_blank(int32_t kind, int32_t layer, int32_t in0, int32_t in1, uint32_t rows)
{
    return (decai__op){ .kind = kind, .layer = layer, .tensor = -1, .extra = -1, .in = { in0, in1, -1 }, .rows = rows,
        .row_bytes = 4, .node = -1 };
}

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
    p->ops[p->count] = op;
    return (int32_t)p->count++;
}

int32_t
decai__graph_norm(decai__graph *g, int32_t layer, int32_t in, const char *name, int32_t kind, uint32_t groups,
    uint32_t dim)
{
    char full[64];
    decai__op op = decai__graph_blank(DECAI__OP_NORM, layer, in, -1, groups * dim);

    (void)snprintf(full, sizeof full, "%s.weight", name);
    op.tensor = decai__graph_tensor(g, layer, full, dim, 0);
    (void)snprintf(full, sizeof full, "%s.bias", name);
    if (kind == DECAI__NORM_LAYER) op.extra = decai__graph_maybe(g, layer, full, dim, 0);
    op.cols = dim;
    op.variant = (uint32_t)kind;
    return decai__graph_op(g, op);
}

static uint32_t
form_of(const decai__graph *g, int32_t tensor)
{
    const decai__tensor *t = decai__model_tensor_at(g->model, (size_t)tensor);
    switch (decai__type_act((int32_t)t->type, decai__contract_two_level(g->p->contract))) {
    case DECAI__ACT_32: return DECAI__FORM_ACT;
    case DECAI__ACT_256: return DECAI__FORM_ACT256;
    case DECAI__ACT_2L: return DECAI__FORM_ACT2L;
    default: return DECAI__FORM_F32;
    }
}

int32_t
decai__graph_quant(decai__graph *g, int32_t layer, int32_t in, uint32_t cols, const int32_t *tensors, size_t count)
{
    decai__op op = decai__graph_blank(DECAI__OP_QUANT, layer, in, -1, 1);

    if (g->error) return 0;
    op.cols = cols;
    for (size_t i = 0; i < count; i++) op.forms |= form_of(g, tensors[i]);
    op.node = (int32_t)g->p->nodes++;
    op.row_bytes = (uint32_t)decai__quant_size(&op);
    return decai__graph_op(g, op);
}

/* Ops of a layer may share a matrix (experts' slots do): one place for each. */
static uint32_t
weights_of(decai__graph *g, const decai__op *op)
{
    for (uint32_t i = g->p->count; i-- > 0 && g->p->ops[i].layer == op->layer; ) {
        const decai__op *other = &g->p->ops[i];
        if (decai__op_product(other) && other->tensor == op->tensor && other->first == op->first && other->rows == op->rows)
            return other->weights;
    }
    return g->p->weights++;
}

static int32_t
product(decai__graph *g, decai__op op, int32_t tensor)
{
    const decai__tensor *t = decai__model_tensor_at(g->model, (size_t)tensor);
    op.tensor = tensor;
    op.cols = (uint32_t)t->dims[0];
    op.forms = form_of(g, tensor);
    op.weights = weights_of(g, &op);
    decai__assert(op.first + op.rows <= t->dims[1]);
    return decai__graph_op(g, op);
}

int32_t
decai__graph_matmul(decai__graph *g, int32_t kind, int32_t layer, int32_t in, int32_t tensor, uint32_t first,
    uint32_t rows)
{
    if (g->error) return 0;
    if (!rows) rows = (uint32_t)decai__model_tensor_at(g->model, (size_t)tensor)->dims[1];
    decai__op op = decai__graph_blank(kind, layer, in, -1, rows);
    op.first = first;
    return product(g, op, tensor);
}

int32_t
decai__graph_matmul_expert(decai__graph *g, int32_t layer, int32_t in, int32_t tensor, int32_t route, uint32_t slot)
{
    if (g->error) return 0;
    const decai__tensor *t = decai__model_tensor_at(g->model, (size_t)tensor);
    decai__op op = decai__graph_blank(DECAI__OP_MATMUL_EXPERT, layer, in, route, (uint32_t)t->dims[1]);
    op.experts = (uint32_t)t->dims[2];
    op.used = g->p->ops[route].used;
    op.slot = slot;
    return product(g, op, tensor);
}

int32_t
decai__graph_bias(decai__graph *g, int32_t layer, int32_t in, int32_t tensor, uint32_t first, uint32_t rows)
{
    decai__op op = decai__graph_blank(DECAI__OP_BIAS, layer, in, -1, rows);
    op.tensor = tensor;
    op.first = first;
    return tensor < 0 ? in : decai__graph_op(g, op);
}

int32_t
decai__graph_add(decai__graph *g, int32_t layer, int32_t a, int32_t b)
{
    return decai__graph_op(g, decai__graph_blank(DECAI__OP_ADD, layer, a, b, g->p->shape.dim));
}

int32_t
decai__graph_glu(decai__graph *g, int32_t layer, int32_t gate, int32_t up, int32_t kind, uint32_t rows)
{
    decai__op op = decai__graph_blank(DECAI__OP_GLU, layer, gate, up, rows);
    op.variant = (uint32_t)kind;
    return decai__graph_op(g, op);
}
