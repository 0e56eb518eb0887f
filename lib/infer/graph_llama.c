/* graph_llama.c - arch "llama": Llama 1-3, Mistral, Mixtral, SmolLM, TinyLlama and kin.
 *
 *   x = token_embd[id]
 *   for each layer:
 *     h = rmsnorm(x, attn_norm)
 *     q, k, v = attn_q h, attn_k h, attn_v h        (+ biases where the file has them)
 *     q, k = rope(q), rope(k)             pairs (2j, 2j+1): the file's rows are
 *                                         permuted that way
 *     x = x + attn_output attention(q, K, V)        Mistral: through a window
 *     h = rmsnorm(x, ffn_norm)
 *     x = x + ffn_down (silu(ffn_gate h) * ffn_up h)     Mixtral: of two experts
 *   logits = output rmsnorm(x, output_norm)         output absent: token_embd
 */
#include "infer/graph.h"

void
decai__graph_llama(decai__graph *g)
{
    const decai__shape *s = &g->p->shape;
    const decai__attention_block block = { .bias = true };

    decai__graph_refuse(g, "attn_logit_softcapping");
    decai__graph_refuse(g, "final_logit_softcapping");
    decai__graph_shape(g, false);
    /* From safetensors: the rows as published, pairs (j, j + rot_dim/2). */
    g->p->shape.neox = decai__graph_u32(g, "rope.neox", 0, 1, 0) == 1;
    decai__graph_windows(g, 0, 1, 0);
    decai__graph_rope(g, 0, decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 10000.0f), false);
    bool experts = decai__graph_u32(g, "expert_count", 0, DECAI__EXPERTS_MAX, 0) != 0;
    int32_t x = decai__graph_embed(g, 1.0f);

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        int32_t l = (int32_t)i;
        int32_t h = decai__graph_norm(g, l, x, "attn_norm", DECAI__NORM_RMS, 1, s->dim);
        x = decai__graph_add(g, l, x, decai__graph_attention(g, l, h, &block));
        h = decai__graph_norm(g, l, x, "ffn_norm", DECAI__NORM_RMS, 1, s->dim);
        h = experts ? decai__graph_experts(g, l, h, DECAI__GLU_SILU, s->ffn, false)
            : decai__graph_gated(g, l, h, DECAI__GLU_SILU, false);
        x = decai__graph_add(g, l, x, h);
    }
    decai__graph_head(g, x, DECAI__NORM_RMS, 0);
}
