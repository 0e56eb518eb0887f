/* graph_gpt_oss.c - arch "gpt-oss".
 *
 * Attention: biases, a learned sink a head (one more score that takes part in the
 * softmax and carries no value), a window in every other layer, the first
 * included; YaRN angles. Feed-forward: experts in MXFP4 with biases, softmax over
 * the chosen ones, and the clamped SwiGLU of the model's publisher. The norm
 * before the experts is called post_attention_norm in these files.
 */
#include "infer/graph.h"

void
decai__graph_gpt_oss(decai__graph *g)
{
    const decai__shape *s = &g->p->shape;
    const decai__attention_block block = { .bias = true, .sinks = true };

    decai__graph_refuse(g, "attn_logit_softcapping");
    decai__graph_refuse(g, "final_logit_softcapping");
    decai__graph_shape(g, false);
    g->p->shape.neox = true;
    decai__graph_windows(g, 0, 2, 1);
    decai__graph_rope(g, 0, decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 150000.0f), false);
    uint32_t ffn = decai__graph_u32(g, "expert_feed_forward_length", 1, DECAI_COMPUTE_COLS_MAX, UINT64_MAX);
    int32_t x = decai__graph_embed(g, 1.0f);

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        int32_t l = (int32_t)i;
        int32_t h = decai__graph_norm(g, l, x, "attn_norm", DECAI__NORM_RMS, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_attention(g, l, h, &block));
        h = decai__graph_norm(g, l, x, "post_attention_norm", DECAI__NORM_RMS, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_experts(g, l, h, DECAI__GLU_OAI, ffn, true));
    }
    decai__graph_head(g, x, DECAI__NORM_RMS, 0);
}
