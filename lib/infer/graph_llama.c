/* graph_llama.c - arch "llama": Llama 1-3, Mistral, SmolLM, TinyLlama and kin.
 *
 *   x = token_embd[id]
 *   for each layer:
 *     h = rmsnorm(x, attn_norm)
 *     q, k, v = attn_q h, attn_k h, attn_v h
 *     q, k = rope(q), rope(k)             pairs (2j, 2j+1): the file's rows are
 *                                         permuted that way
 *     x = x + attn_output attention(q, K, V)
 *     h = rmsnorm(x, ffn_norm)
 *     x = x + ffn_down (silu(ffn_gate h) * ffn_up h)
 *   logits = output rmsnorm(x, output_norm)      output absent: token_embd
 *
 * Keys and tensor names: the GGUF specification (ggml, docs/gguf.md). What a
 * file asks for and this graph does not do (experts, biases, scaled RoPE,
 * sliding windows) is refused by name: running it anyway would be a wrong answer.
 */
#include "infer/graph.h"

/* Hyper-parameters, each within a named limit. */
static void
read_shape(decai__graph *g)
{
    decai__shape *s = &g->p->shape;

    s->layers = decai__graph_u32(g, "block_count", 1, DECAI_LAYERS_MAX, UINT64_MAX);
    s->dim = decai__graph_u32(g, "embedding_length", 1, DECAI_COMPUTE_COLS_MAX, UINT64_MAX);
    s->ffn = decai__graph_u32(g, "feed_forward_length", 1, DECAI_COMPUTE_COLS_MAX, UINT64_MAX);
    s->heads = decai__graph_u32(g, "attention.head_count", 1, DECAI_HEADS_MAX, UINT64_MAX);
    s->kv_heads = decai__graph_u32(g, "attention.head_count_kv", 1, DECAI_HEADS_MAX, s->heads);
    s->context = decai__graph_u32(g, "context_length", 1, UINT32_MAX, UINT64_MAX);
    s->eps = decai__graph_f32(g, "attention.layer_norm_rms_epsilon", 1e-12f, 1.0f, 0.0f);
    s->rope_base = decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 10000.0f);
    if (g->error) return;

    if (s->heads % s->kv_heads) {
        g->error = decai__fail(DECAI_E_CORRUPT, "llama.attention.head_count: %u is not a multiple of head_count_kv %u",
            s->heads, s->kv_heads);
        return;
    }
    uint32_t even = s->dim % s->heads == 0 ? s->dim / s->heads : 0;
    s->head_dim = decai__graph_u32(g, "attention.key_length", 2, DECAI_HEAD_DIM_MAX, even ? even : UINT64_MAX);
    uint32_t value_dim = decai__graph_u32(g, "attention.value_length", 2, DECAI_HEAD_DIM_MAX, s->head_dim);
    s->rot_dim = decai__graph_u32(g, "rope.dimension_count", 2, DECAI_HEAD_DIM_MAX, s->head_dim);
    if (g->error) return;

    if (s->head_dim < 2 || s->head_dim > DECAI_HEAD_DIM_MAX || s->head_dim % 2 || value_dim != s->head_dim) {
        g->error = decai__fail(DECAI_E_CORRUPT,
            "llama.attention.key_length: heads of %u and %u elements; they must be equal, even and 2..%d",
            s->head_dim, value_dim, DECAI_HEAD_DIM_MAX);
        return;
    }
    if (s->rot_dim > s->head_dim || s->rot_dim % 2)
        g->error = decai__fail(DECAI_E_CORRUPT, "llama.rope.dimension_count: %u is odd or above %u",
            s->rot_dim, s->head_dim);
    s->kv_dim = s->kv_heads * s->head_dim;
    s->scale = decai__leaf_rsqrt((float)s->head_dim);
    s->neox = false;
}

/* The vocabulary is as large as the embedding says. */
static int32_t
read_embedding(decai__graph *g)
{
    decai__shape *s = &g->p->shape;
    const decai__tensor *t = decai__model_tensor_find(g->model, "token_embd.weight");

    if (g->error) return -1;
    if (!t) {
        g->error = decai__fail(DECAI_E_CORRUPT, "token_embd.weight: missing");
        return -1;
    }
    if (t->dims[1] < 1 || t->dims[1] > DECAI_VOCAB_MAX) {
        g->error = decai__fail(DECAI_E_LIMIT, "token_embd.weight: %llu tokens, at most %d",
            (unsigned long long)t->dims[1], DECAI_VOCAB_MAX);
        return -1;
    }
    s->vocab = (uint32_t)t->dims[1];
    (void)decai__graph_u32(g, "vocab_size", s->vocab, s->vocab, s->vocab);
    return decai__graph_tensor(g, -1, "token_embd.weight", s->vocab, s->dim);
}

static int32_t
attention(decai__graph *g, int32_t l, int32_t x)
{
    const decai__shape *s = &g->p->shape;
    uint32_t q_dim = s->heads * s->head_dim;
    int32_t norm = decai__graph_tensor(g, l, "attn_norm.weight", s->dim, 0);
    int32_t w[3] = {
        decai__graph_tensor(g, l, "attn_q.weight", q_dim, s->dim),
        decai__graph_tensor(g, l, "attn_k.weight", s->kv_dim, s->dim),
        decai__graph_tensor(g, l, "attn_v.weight", s->kv_dim, s->dim),
    };
    int32_t wo = decai__graph_tensor(g, l, "attn_output.weight", s->dim, q_dim);

    int32_t h = decai__graph_norm(g, l, x, norm, s->dim);
    h = decai__graph_quant(g, l, h, s->dim, w, 3);
    int32_t q = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[0]);
    int32_t k = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[1]);
    int32_t v = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[2]);
    q = decai__graph_op(g, (decai__op){ .kind = DECAI__OP_ROPE, .layer = l, .in = { q, -1 }, .rows = q_dim });
    k = decai__graph_op(g, (decai__op){ .kind = DECAI__OP_ROPE, .layer = l, .in = { k, -1 }, .rows = s->kv_dim });
    int32_t kv = decai__graph_op(g,
        (decai__op){ .kind = DECAI__OP_KV, .layer = l, .in = { k, v }, .rows = 2 * s->kv_dim });
    int32_t a = decai__graph_op(g, (decai__op){
        .kind = DECAI__OP_SCORE, .layer = l, .in = { q, kv }, .rows = s->heads, .cols = s->head_dim });
    a = decai__graph_op(g,
        (decai__op){ .kind = DECAI__OP_SOFTMAX, .layer = l, .in = { a, -1 }, .rows = s->heads });
    a = decai__graph_op(g, (decai__op){ .kind = DECAI__OP_MIX, .layer = l, .in = { a, kv }, .rows = q_dim });
    a = decai__graph_quant(g, l, a, q_dim, &wo, 1);
    a = decai__graph_matmul(g, DECAI__OP_MATMUL, l, a, wo);
    return decai__graph_op(g, (decai__op){ .kind = DECAI__OP_ADD, .layer = l, .in = { x, a }, .rows = s->dim });
}

static int32_t
feed_forward(decai__graph *g, int32_t l, int32_t x)
{
    const decai__shape *s = &g->p->shape;
    int32_t norm = decai__graph_tensor(g, l, "ffn_norm.weight", s->dim, 0);
    int32_t w[2] = {
        decai__graph_tensor(g, l, "ffn_gate.weight", s->ffn, s->dim),
        decai__graph_tensor(g, l, "ffn_up.weight", s->ffn, s->dim),
    };
    int32_t wd = decai__graph_tensor(g, l, "ffn_down.weight", s->dim, s->ffn);

    int32_t h = decai__graph_norm(g, l, x, norm, s->dim);
    h = decai__graph_quant(g, l, h, s->dim, w, 2);
    int32_t gate = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[0]);
    int32_t up = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, w[1]);
    h = decai__graph_op(g,
        (decai__op){ .kind = DECAI__OP_SILU_MUL, .layer = l, .in = { gate, up }, .rows = s->ffn });
    h = decai__graph_quant(g, l, h, s->ffn, &wd, 1);
    h = decai__graph_matmul(g, DECAI__OP_MATMUL, l, h, wd);
    return decai__graph_op(g, (decai__op){ .kind = DECAI__OP_ADD, .layer = l, .in = { x, h }, .rows = s->dim });
}

void
decai__graph_llama(decai__graph *g)
{
    static const char *const lacking[] = { "expert_count", "attention.sliding_window", "rope.scaling.type",
        "rope.scaling.factor", "attention.clamp_kqv", "attention.max_alibi_bias", "use_parallel_residual" };
    decai__shape *s = &g->p->shape;

    for (size_t i = 0; i < DECAI__COUNT(lacking); i++) decai__graph_refuse(g, lacking[i]);
    read_shape(g);
    int32_t embedding = read_embedding(g);
    int32_t norm = decai__graph_tensor(g, -1, "output_norm.weight", s->dim, 0);
    int32_t output = embedding;
    if (decai__graph_has(g, "output.weight"))
        output = decai__graph_tensor(g, -1, "output.weight", s->vocab, s->dim);
    if (g->error) return;

    int32_t x = decai__graph_op(g, (decai__op){
        .kind = DECAI__OP_EMBED, .layer = -1, .tensor = embedding, .in = { -1, -1 }, .rows = s->dim });
    for (uint32_t l = 0; l < s->layers && !g->error; l++)
        x = feed_forward(g, (int32_t)l, attention(g, (int32_t)l, x));
    g->p->body = g->p->count;

    int32_t h = decai__graph_norm(g, -1, x, norm, s->dim);
    h = decai__graph_quant(g, -1, h, s->dim, &output, 1);
    h = decai__graph_matmul(g, DECAI__OP_LOGITS, -1, h, output);
    (void)decai__graph_op(g, (decai__op){ .kind = DECAI__OP_SAMPLE, .layer = -1, .in = { h, -1 }, .rows = 1 });
}
