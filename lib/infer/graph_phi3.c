/* graph_phi3.c - arch "phi3": Phi-3 and Phi-4 mini.
 *
 * As llama with RoPE pairs (j, j + rot_dim/2), but q, k and v are one tensor
 * (attn_qkv, in that order), gate and up another (ffn_up, gate first). Long-context
 * models divide the frequencies by factors (longrope: two tensors, see blocks.c)
 * and multiply cos and sin. The window counts on all layers.
 */
#include "infer/graph.h"

void
decai__graph_phi3(decai__graph *g)
{
    const decai__shape *s = &g->p->shape;

    decai__graph_refuse(g, "attn_logit_softcapping");
    decai__graph_refuse(g, "final_logit_softcapping");
    decai__graph_shape(g, false);
    g->p->shape.neox = true;
    decai__graph_windows(g, 0, 1, 0);
    decai__graph_rope(g, 0, decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 10000.0f), false);
    int32_t x = decai__graph_embed(g, 1.0f);

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        int32_t l = (int32_t)i;
        const decai__attention_block block = { .fused = decai__graph_has(g, l, "attn_qkv.weight") };
        int32_t h = decai__graph_norm(g, l, x, "attn_norm", DECAI__NORM_RMS, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_attention(g, l, h, &block));
        h = decai__graph_norm(g, l, x, "ffn_norm", DECAI__NORM_RMS, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_gated(g, l, h, DECAI__GLU_SILU, true));
    }
    decai__graph_head(g, x, DECAI__NORM_RMS, 0);
}
