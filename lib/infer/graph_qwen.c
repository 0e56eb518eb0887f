/* graph_qwen.c - archs "qwen2" (Qwen 2 and 2.5), "qwen3" and "qwen3moe".
 *
 * As llama, but RoPE pairs are (j, j + rot_dim/2); qwen2 has biases on q, k and v;
 * qwen3 normalises each head of q and k before the rotation; qwen3moe has experts
 * (softmax over the chosen ones) instead of one feed-forward.
 */
#include "infer/graph.h"

static void
build(decai__graph *g, const decai__attention_block *block, bool experts)
{
    const decai__shape *s = &g->p->shape;

    decai__graph_refuse(g, "attention.sliding_window");
    decai__graph_refuse(g, "attn_logit_softcapping");
    decai__graph_refuse(g, "final_logit_softcapping");
    decai__graph_shape(g, false);
    g->p->shape.neox = true;
    decai__graph_rope(g, 0, decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 10000.0f), false);
    uint32_t ffn = experts ? decai__graph_u32(g, "expert_feed_forward_length", 1, DECAI_COMPUTE_COLS_MAX, UINT64_MAX) : 0;
    int32_t x = decai__graph_embed(g, 1.0f);

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        int32_t l = (int32_t)i;
        int32_t h = decai__graph_norm(g, l, x, "attn_norm", DECAI__NORM_RMS, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_attention(g, l, h, block));
        h = decai__graph_norm(g, l, x, "ffn_norm", DECAI__NORM_RMS, 1, s->dim);
        h = experts ? decai__graph_experts(g, l, h, DECAI__GLU_SILU, ffn, false)
            : decai__graph_gated(g, l, h, DECAI__GLU_SILU, false);
        x = decai__graph_add(g, l, x, h);
    }
    decai__graph_head(g, x, DECAI__NORM_RMS, 0);
}

void
decai__graph_qwen2(decai__graph *g)
{
    build(g, &(decai__attention_block){ .bias = true }, false);
}

void
decai__graph_qwen3(decai__graph *g)
{
    build(g, &(decai__attention_block){ .qk_norm = true }, false);
}

void
decai__graph_qwen3moe(decai__graph *g)
{
    build(g, &(decai__attention_block){ .qk_norm = true }, true);
}
