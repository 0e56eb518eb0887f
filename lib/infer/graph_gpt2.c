/* graph_gpt2.c - arch "gpt2".
 *
 *   x = token_embd[id] + position_embd[position]
 *   for each layer:
 *     x = x + attn_output attention(attn_qkv layernorm(x, attn_norm))
 *     x = x + ffn_down gelu(ffn_up layernorm(x, ffn_norm))
 *   logits = output layernorm(x, output_norm)       output absent: token_embd
 *
 * No rotation; every product has a bias.
 */
#include "infer/graph.h"

void
decai__graph_gpt2(decai__graph *g)
{
    const decai__shape *s = &g->p->shape;
    const decai__attention_block block = { .fused = true, .bias = true, .table = -1 };

    decai__graph_refuse(g, "attention.sliding_window");
    decai__graph_refuse(g, "attn_logit_softcapping");
    decai__graph_refuse(g, "final_logit_softcapping");
    decai__graph_shape(g, true);
    int32_t x = decai__graph_embed(g, 1.0f);
    x = decai__graph_embed_add(g, x, "position_embd.weight", s->context, true);

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        int32_t l = (int32_t)i;
        int32_t h = decai__graph_norm(g, l, x, "attn_norm", DECAI__NORM_LAYER, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_attention(g, l, h, &block));
        h = decai__graph_norm(g, l, x, "ffn_norm", DECAI__NORM_LAYER, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_plain(g, l, h, DECAI__GLU_GELU_TANH));
    }
    decai__graph_head(g, x, DECAI__NORM_LAYER, 0);
}
