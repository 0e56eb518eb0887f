/* blocks.c - the parts that architectures are made of: shape, angles, attention,
 * feed-forward, experts, head. Each emits the ops of one part; a graph file says
 * which, in what order, with which turnings. Keys and tensor names: the GGUF
 * specification (ggml, docs/gguf.md) and the names its converters write.
 */
#include "infer/graph.h"

#include <math.h>
#include <stdio.h>

/* ---- hyper-parameters ---------------------------------------------------------------- */

static void
check_heads(decai__graph *g, uint32_t value_dim)
{
    decai__shape *s = &g->p->shape;

    if (s->head_dim < 2 || s->head_dim > DECAI_HEAD_DIM_MAX || s->head_dim % 2 || value_dim != s->head_dim)
        g->error = decai__fail(DECAI_E_CORRUPT,
            "%s.attention.key_length: heads of %u and %u elements; they must be equal, even and 2..%d",
            g->arch, s->head_dim, value_dim, DECAI_HEAD_DIM_MAX);
    else if (s->rot_dim > s->head_dim || s->rot_dim % 2)
        g->error = decai__fail(DECAI_E_CORRUPT, "%s.rope.dimension_count: %u is odd or above %u", g->arch,
            s->rot_dim, s->head_dim);
}

void
decai__graph_shape(decai__graph *g, bool layer_norm)
{
    decai__shape *s = &g->p->shape;

    decai__graph_refuse_usual(g);
    s->layers = decai__graph_u32(g, "block_count", 1, DECAI_LAYERS_MAX, UINT64_MAX);
    s->dim = decai__graph_u32(g, "embedding_length", 1, DECAI_COMPUTE_COLS_MAX, UINT64_MAX);
    s->ffn = decai__graph_u32(g, "feed_forward_length", 1, DECAI_COMPUTE_COLS_MAX, UINT64_MAX);
    s->heads = decai__graph_u32(g, "attention.head_count", 1, DECAI_HEADS_MAX, UINT64_MAX);
    s->kv_heads = decai__graph_u32(g, "attention.head_count_kv", 1, DECAI_HEADS_MAX, s->heads);
    s->context = decai__graph_u32(g, "context_length", 1, UINT32_MAX, UINT64_MAX);
    s->eps = decai__graph_f32(g, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
        1e-12f, 1.0f, 0.0f);
    if (g->error) return;

    if (s->heads % s->kv_heads) {
        g->error = decai__fail(DECAI_E_CORRUPT, "%s.attention.head_count: %u is not a multiple of head_count_kv %u",
            g->arch, s->heads, s->kv_heads);
        return;
    }
    uint32_t even = s->dim % s->heads == 0 ? s->dim / s->heads : 0;
    s->head_dim = decai__graph_u32(g, "attention.key_length", 2, DECAI_HEAD_DIM_MAX, even ? even : UINT64_MAX);
    uint32_t value_dim = decai__graph_u32(g, "attention.value_length", 2, DECAI_HEAD_DIM_MAX, s->head_dim);
    s->rot_dim = decai__graph_u32(g, "rope.dimension_count", 2, DECAI_HEAD_DIM_MAX, s->head_dim);
    if (!g->error) check_heads(g, value_dim);
    if (g->error) return;

    s->kv_dim = s->kv_heads * s->head_dim;
    s->scale = decai__leaf_rsqrt((float)s->head_dim);
    g->p->window = decai__calloc(g->p->ctx, s->layers, sizeof *g->p->window);
    if (!g->p->window) g->error = decai__fail(DECAI_E_NOMEM, "program: %u layers", s->layers);
}

void
decai__graph_windows(decai__graph *g, uint32_t absent, uint32_t pattern, uint32_t dense)
{
    uint32_t window = decai__graph_u32(g, "attention.sliding_window", 0, UINT32_MAX, absent);

    if (pattern > 1) pattern = decai__graph_u32(g, "attention.sliding_window_pattern", 1, DECAI_LAYERS_MAX, pattern);

    for (uint32_t l = 0; !g->error && l < g->p->shape.layers; l++)
        g->p->window[l] = l % pattern < pattern - dense ? window : 0;
}

/* ---- angles ----------------------------------------------------------------------------- */

/* Divisors of the frequencies, from a tensor; they must be sane. */
static void
read_factors(decai__graph *g, uint32_t which, const char *name)
{
    uint32_t n = g->p->shape.rot_dim / 2;
    int32_t index = decai__graph_tensor(g, -1, name, n, 0);

    if (g->error) return;
    float *f = g->p->factors[which] = decai__alloc(g->p->ctx, n * sizeof *f);
    if (!f) {
        g->error = decai__fail(DECAI_E_NOMEM, "program: %u factors", n);
        return;
    }
    decai__tensor_row(decai__model_tensor_at(g->model, (size_t)index), 0, f);
    for (uint32_t i = 0; i < n; i++)
        if (!(f[i] >= 1e-4f && f[i] <= 1e6f)) g->error = decai__fail(DECAI_E_CORRUPT, "%s: element %u is outside 1e-4..1e6", name, i);
    g->p->rope[which].freq_factors = f;
}

/* longrope has two tensors of factors. Which one counts is the model's own
 * property here (its context against the one it was trained with), not that of
 * how long a prompt happens to be: the numbers must not depend on that. */
static void
read_longrope(decai__graph *g, uint32_t which)
{
    uint32_t own = g->p->shape.context;
    bool longer = own > decai__graph_u32(g, "rope.scaling.original_context_length", 1, UINT32_MAX, own);
    uint32_t n = g->p->shape.rot_dim / 2;

    read_factors(g, which, longer ? "rope_factors_long.weight" : "rope_factors_short.weight");
    (void)decai__graph_tensor(g, -1, longer ? "rope_factors_short.weight" : "rope_factors_long.weight", n, 0);
    g->p->rope[which].mscale = decai__graph_f32(g, "rope.scaling.attn_factor", 1e-3f, 1e3f, 1.0f);
}

static void
read_scaling(decai__graph *g, decai__rope_spec *spec)
{
    /* scale_linear is what linear scaling was called before there were types. */
    float old = decai__graph_f32(g, "rope.scale_linear", 1e-3f, 1e6f, 1.0f);
    float factor = decai__graph_f32(g, "rope.scaling.factor", 0.0f, 1e6f, old);
    bool typed = decai__graph_key(g, "rope.scaling.type");

    if (factor <= 0.0f) factor = 1.0f;
    if (!typed || decai__graph_is(g, "rope.scaling.type", "linear")) {
        spec->linear = factor;
    } else if (decai__graph_is(g, "rope.scaling.type", "yarn")) {
        spec->yarn.factor = factor;
        spec->yarn.original = decai__graph_u32(g, "rope.scaling.original_context_length", 1, UINT32_MAX, g->p->shape.context);
        spec->yarn.beta_fast = decai__graph_f32(g, "rope.scaling.yarn_beta_fast", 1e-3f, 1e6f, 32.0f);
        spec->yarn.beta_slow = decai__graph_f32(g, "rope.scaling.yarn_beta_slow", 1e-3f, 1e6f, 1.0f);
        spec->yarn.attn_factor = decai__graph_f32(g, "rope.scaling.attn_factor", 1e-3f, 1e3f, 1.0f);
        decai__graph_refuse(g, "rope.scaling.yarn_ext_factor");
        if (!g->error && spec->base < 2)           /* its logarithm is divided by */
            g->error = decai__fail(DECAI_E_CORRUPT, "%s.rope.freq_base: below 2 with yarn", g->arch);
    } else if (!decai__graph_is(g, "rope.scaling.type", "none") && !decai__graph_is(g, "rope.scaling.type", "longrope")) {
        g->error = decai__fail(DECAI_E_UNSUPPORTED, "%s.rope.scaling.type: not none, linear, yarn or longrope", g->arch);
    }
}

void
decai__graph_rope(decai__graph *g, uint32_t which, double base, bool plain)
{
    decai__rope_spec *spec = &g->p->rope[which];

    if (g->error) return;
    g->p->ropes = DECAI__MAX(g->p->ropes, which + 1);
    *spec = (decai__rope_spec){ .rot_dim = g->p->shape.rot_dim, .base = base, .linear = 1, .mscale = 1 };
    if (plain) return;
    read_scaling(g, spec);
    if (decai__graph_has(g, -1, "rope_freqs.weight")) read_factors(g, which, "rope_freqs.weight");
    if (decai__graph_has(g, -1, "rope_factors_long.weight")) read_longrope(g, which);
}

/* ---- embedding and head -------------------------------------------------------------------- */

int32_t
decai__graph_embed(decai__graph *g, float scale)
{
    decai__shape *s = &g->p->shape;
    const decai__tensor *t = decai__model_tensor_find(g->model, "token_embd.weight");
    decai__op op = decai__graph_blank(DECAI__OP_EMBED, -1, -1, -1, s->dim);

    if (g->error) return 0;
    if (!t) {
        g->error = decai__fail(DECAI_E_CORRUPT, "token_embd.weight: missing");
        return 0;
    }
    if (t->dims[1] < 1 || t->dims[1] > DECAI_VOCAB_MAX) {
        g->error = decai__fail(DECAI_E_LIMIT, "token_embd.weight: %llu tokens, at most %d",
            (unsigned long long)t->dims[1], DECAI_VOCAB_MAX);
        return 0;
    }
    s->vocab = (uint32_t)t->dims[1];
    (void)decai__graph_u32(g, "vocab_size", s->vocab, s->vocab, s->vocab);
    op.tensor = decai__graph_tensor(g, -1, "token_embd.weight", s->vocab, s->dim);
    op.scale = scale;
    return decai__graph_op(g, op);
}

int32_t
decai__graph_embed_add(decai__graph *g, int32_t x, const char *name, uint32_t rows, bool by_position)
{
    decai__op op = decai__graph_blank(DECAI__OP_EMBED_ADD, -1, x, -1, g->p->shape.dim);
    op.tensor = decai__graph_tensor(g, -1, name, rows, g->p->shape.dim);
    op.variant = !by_position;
    return decai__graph_op(g, op);
}

void
decai__graph_head(decai__graph *g, int32_t x, int32_t norm_kind, float softcap)
{
    decai__program *p = g->p;
    const decai__shape *s = &p->shape;
    const char *name = decai__graph_has(g, -1, "output.weight") ? "output.weight" : "token_embd.weight";

    if (g->error) return;
    p->body = p->count;
    int32_t output = decai__graph_tensor(g, -1, name, s->vocab, s->dim);
    int32_t h = decai__graph_norm(g, -1, x, "output_norm", norm_kind, 1, s->dim);
    h = decai__graph_quant(g, -1, h, s->dim, &output, 1);
    h = decai__graph_matmul(g, DECAI__OP_LOGITS, -1, h, output, 0, 0);
    if (softcap > 0) {
        decai__op op = decai__graph_blank(DECAI__OP_SOFTCAP, -1, h, -1, s->vocab);
        op.scale = softcap;
        h = decai__graph_op(g, op);
    }
    p->logits = (uint32_t)h;
    (void)decai__graph_op(g, decai__graph_blank(DECAI__OP_SAMPLE, -1, h, -1, 1));
    p->nodes -= 1;                                 /* the head's own is not part of every token */
}

/* ---- attention ---------------------------------------------------------------------------- */

/* One of q, k, v: its product and bias from the normed, quantised input. */
static int32_t
project(decai__graph *g, int32_t l, int32_t h, const decai__attention_block *b, int32_t weight, const char *bias,
    uint32_t first, uint32_t rows, uint32_t all)
{
    int32_t y = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, weight, first, rows);
    return b->bias ? decai__graph_bias(g, l, y, decai__graph_maybe(g, l, bias, all, 0), first, rows) : y;
}

static void
qkv(decai__graph *g, int32_t l, int32_t h, const decai__attention_block *b, int32_t out[3])
{
    static const char *const names[3][2] = { { "attn_q.weight", "attn_q.bias" }, { "attn_k.weight", "attn_k.bias" },
        { "attn_v.weight", "attn_v.bias" } };
    const decai__shape *s = &g->p->shape;
    uint32_t rows[3] = { s->heads * s->head_dim, s->kv_dim, s->kv_dim }, all = rows[0] + 2 * s->kv_dim, first = 0;
    int32_t w[3];

    for (int i = 0; i < 3; i++)
        w[i] = b->fused ? decai__graph_tensor(g, l, "attn_qkv.weight", all, s->dim)
            : decai__graph_tensor(g, l, names[i][0], rows[i], s->dim);
    h = decai__graph_quant(g, l, h, s->dim, w, 3);
    for (int i = 0; i < 3; i++) {
        out[i] = b->fused ? project(g, l, h, b, w[i], "attn_qkv.bias", first, rows[i], all)
            : project(g, l, h, b, w[i], names[i][1], 0, rows[i], rows[i]);
        first += rows[i];
    }
}

static int32_t
rotate(decai__graph *g, int32_t l, int32_t x, int32_t table, uint32_t rows)
{
    decai__op op = decai__graph_blank(DECAI__OP_ROPE, l, x, -1, rows);
    op.variant = (uint32_t)table;
    return decai__graph_op(g, op);
}

/* SCORE, SOFTMAX, MIX over the cache. */
static int32_t
look_back(decai__graph *g, int32_t l, int32_t q, int32_t kv, const decai__attention_block *b)
{
    const decai__shape *s = &g->p->shape;
    decai__op score = decai__graph_blank(DECAI__OP_SCORE, l, q, kv, s->heads);
    decai__op soft = decai__graph_blank(DECAI__OP_SOFTMAX, l, -1, -1, s->heads);
    decai__op mix = decai__graph_blank(DECAI__OP_MIX, l, -1, kv, s->heads * s->head_dim);

    if (g->error) return 0;
    score.window = soft.window = mix.window = g->p->window[l];
    score.cols = s->head_dim;
    score.scale = b->softcap;
    if (b->sinks) soft.extra = mix.extra = decai__graph_tensor(g, l, "attn_sinks.weight", s->heads, 0);
    soft.in[0] = decai__graph_op(g, score);
    mix.in[0] = decai__graph_op(g, soft);
    return decai__graph_op(g, mix);
}

int32_t
decai__graph_attention(decai__graph *g, int32_t l, int32_t h, const decai__attention_block *b)
{
    const decai__shape *s = &g->p->shape;
    uint32_t q_dim = s->heads * s->head_dim;
    int32_t x[3] = { 0 }, a;

    qkv(g, l, h, b, x);
    if (b->qk_norm) {
        x[0] = decai__graph_norm(g, l, x[0], "attn_q_norm", DECAI__NORM_RMS, s->heads, s->head_dim);
        x[1] = decai__graph_norm(g, l, x[1], "attn_k_norm", DECAI__NORM_RMS, s->kv_heads, s->head_dim);
    }
    if (b->table >= 0) {
        x[0] = rotate(g, l, x[0], b->table, q_dim);
        x[1] = rotate(g, l, x[1], b->table, s->kv_dim);
    }
    if (b->full) {
        decai__op op = decai__graph_blank(DECAI__OP_ATTENTION_FULL, l, x[0], x[1], q_dim);
        op.in[2] = x[2];
        a = decai__graph_op(g, op);
    } else {
        int32_t kv = decai__graph_op(g, decai__graph_blank(DECAI__OP_KV, l, x[1], x[2], 2 * s->kv_dim));
        a = look_back(g, l, x[0], kv, b);
    }
    int32_t wo = decai__graph_tensor(g, l, "attn_output.weight", s->dim, q_dim);
    a = decai__graph_quant(g, l, a, q_dim, &wo, 1);
    a = decai__graph_matmul(g, DECAI__OP_MATMUL, l, a, wo, 0, 0);
    return b->bias ? decai__graph_bias(g, l, a, decai__graph_maybe(g, l, "attn_output.bias", s->dim, 0), 0, s->dim) : a;
}

/* ---- feed-forward ---------------------------------------------------------------------------- */

int32_t
decai__graph_gated(decai__graph *g, int32_t l, int32_t h, int32_t glu, bool fused)
{
    const decai__shape *s = &g->p->shape;
    int32_t w[2];

    w[0] = fused ? -1 : decai__graph_tensor(g, l, "ffn_gate.weight", s->ffn, s->dim);
    w[1] = decai__graph_tensor(g, l, "ffn_up.weight", fused ? 2 * s->ffn : s->ffn, s->dim);
    if (fused) w[0] = w[1];
    int32_t wd = decai__graph_tensor(g, l, "ffn_down.weight", s->dim, s->ffn);

    h = decai__graph_quant(g, l, h, s->dim, w, 2);
    int32_t gate = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[0], 0, s->ffn);
    int32_t up = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[1], fused ? s->ffn : 0, s->ffn);
    h = decai__graph_glu(g, l, gate, up, glu, s->ffn);
    h = decai__graph_quant(g, l, h, s->ffn, &wd, 1);
    return decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, wd, 0, 0);
}

int32_t
decai__graph_plain(decai__graph *g, int32_t l, int32_t h, int32_t glu)
{
    const decai__shape *s = &g->p->shape;
    int32_t wu = decai__graph_tensor(g, l, "ffn_up.weight", s->ffn, s->dim);
    int32_t wd = decai__graph_tensor(g, l, "ffn_down.weight", s->dim, s->ffn);

    h = decai__graph_quant(g, l, h, s->dim, &wu, 1);
    h = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, wu, 0, 0);
    h = decai__graph_bias(g, l, h, decai__graph_maybe(g, l, "ffn_up.bias", s->ffn, 0), 0, s->ffn);
    h = decai__graph_glu(g, l, h, -1, glu, s->ffn);
    h = decai__graph_quant(g, l, h, s->ffn, &wd, 1);
    h = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, wd, 0, 0);
    return decai__graph_bias(g, l, h, decai__graph_maybe(g, l, "ffn_down.bias", s->dim, 0), 0, s->dim);
}

/* ---- experts ------------------------------------------------------------------------------------ */

typedef struct expert_parts {
    int32_t glu, route;
    uint32_t experts, ffn;
    int32_t w[3], b[3];                /* gate, up, down */
} expert_parts;

static int32_t
expert_product(decai__graph *g, int32_t l, int32_t h, const expert_parts *e, int which, uint32_t slot)
{
    int32_t y = decai__graph_matmul_expert(g, l, h, e->w[which], e->route, slot);
    if (g->error || e->b[which] < 0) return y;
    decai__op op = decai__graph_blank(DECAI__OP_BIAS_EXPERT, l, y, e->route, g->p->ops[y].rows);
    op.tensor = e->b[which];
    op.experts = e->experts;
    op.used = g->p->ops[e->route].used;
    op.slot = slot;
    return decai__graph_op(g, op);
}

static int32_t
one_expert(decai__graph *g, int32_t l, int32_t h, const expert_parts *e, uint32_t slot, int32_t sum)
{
    int32_t gate = expert_product(g, l, h, e, 0, slot), up = expert_product(g, l, h, e, 1, slot);
    int32_t y = decai__graph_glu(g, l, gate, up, e->glu, e->ffn);
    y = decai__graph_quant(g, l, y, e->ffn, &e->w[2], 1);
    y = expert_product(g, l, y, e, 2, slot);
    if (g->error) return 0;
    decai__op op = decai__graph_blank(DECAI__OP_MIX_EXPERT, l, y, e->route, g->p->shape.dim);
    op.in[2] = sum;
    op.used = g->p->ops[e->route].used;
    op.slot = slot;
    return decai__graph_op(g, op);
}

static void
find_experts(decai__graph *g, int32_t l, expert_parts *e, bool bias)
{
    static const char *const names[3] = { "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps" };
    uint32_t dim = g->p->shape.dim;
    char full[64];

    for (int i = 0; i < 3; i++) {
        uint32_t rows = i < 2 ? e->ffn : dim, cols = i < 2 ? dim : e->ffn;
        (void)snprintf(full, sizeof full, "%s.weight", names[i]);
        e->w[i] = decai__graph_tensor3(g, l, full, e->experts, rows, cols);
        (void)snprintf(full, sizeof full, "%s.bias", names[i]);
        e->b[i] = bias ? decai__graph_tensor(g, l, full, e->experts, rows) : -1;
        if (bias && !g->error && decai__type_quantised((int32_t)decai__model_tensor_at(g->model, (size_t)e->b[i])->type))
            g->error = decai__fail(DECAI_E_UNSUPPORTED, "blk.%d.%s: quantised", (int)l, full);
    }
}

/* Softmax over the chosen ones, unless the file says that its weights are not
 * normalised; other gates than softmax (1, 3) are not known here. */
static uint32_t
route_kind(decai__graph *g)
{
    uint32_t gate = decai__graph_u32(g, "expert_gating_func", 0, UINT32_MAX, 0);
    if (!g->error && gate > 1 && gate != 3)
        g->error = decai__fail(DECAI_E_UNSUPPORTED, "%s.expert_gating_func: %u", g->arch, gate);
    return decai__graph_bool(g, "expert_weights_norm", true) ? DECAI__ROUTE_SELECTED : DECAI__ROUTE_ALL;
}

int32_t
decai__graph_experts(decai__graph *g, int32_t l, int32_t h, int32_t glu, uint32_t ffn, bool bias)
{
    const decai__shape *s = &g->p->shape;
    expert_parts e = { .glu = glu, .ffn = ffn };

    e.experts = decai__graph_u32(g, "expert_count", 1, DECAI__EXPERTS_MAX, UINT64_MAX);
    uint32_t used = decai__graph_u32(g, "expert_used_count", 1, DECAI__USED_MAX, UINT64_MAX);
    if (!g->error && used > e.experts)
        g->error = decai__fail(DECAI_E_CORRUPT, "%s.expert_used_count: %u of %u", g->arch, used, e.experts);
    find_experts(g, l, &e, bias);
    int32_t router = decai__graph_tensor(g, l, "ffn_gate_inp.weight", e.experts, s->dim);

    h = decai__graph_quant(g, l, h, s->dim, (int32_t[3]){ router, e.w[0], e.w[1] }, 3);
    int32_t scores = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, router, 0, 0);
    if (bias) scores = decai__graph_bias(g, l, scores, decai__graph_tensor(g, l, "ffn_gate_inp.bias", e.experts, 0), 0, e.experts);
    decai__op op = decai__graph_blank(DECAI__OP_ROUTE, l, scores, -1, used);
    op.row_bytes = sizeof(decai__chosen);
    op.experts = e.experts;
    op.used = used;
    op.variant = route_kind(g);
    e.route = decai__graph_op(g, op);
    int32_t y = -1;
    for (uint32_t slot = 0; slot < used && !g->error; slot++) y = one_expert(g, l, h, &e, slot, y);
    return y;
}
