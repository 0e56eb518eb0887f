/* graph_bert.c - encoders: archs "bert" (BERT, MiniLM, bge, e5) and "nomic-bert".
 *
 *   x = layernorm(token_embd[id] + token_types[0] (+ position_embd[position]), token_embd_norm)
 *   for each layer:
 *     x = layernorm(x + attn_output attention(x), attn_output_norm)
 *     x = layernorm(x + feed_forward(x), layer_output_norm)
 *
 * Every token sees its whole sequence. bert: learned positions, biases, gelu (the
 * exact one). nomic-bert: rotation with pairs (j, j + rot_dim/2), q, k and v in one
 * tensor, SwiGLU. There is no head: a sequence's vector is pooled from its last x
 * (encode.c).
 */
#include "infer/graph.h"

static void
build(decai__graph *g, const decai__attention_block *block, bool gated)
{
    const decai__shape *s = &g->p->shape;

    decai__graph_refuse(g, "attention.sliding_window");
    decai__graph_refuse(g, "attn_logit_softcapping");
    decai__graph_refuse(g, "final_logit_softcapping");
    decai__graph_shape(g, true);
    g->p->shape.neox = true;
    g->p->encoder = true;
    if (block->table >= 0) decai__graph_rope(g, 0, decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 10000.0f), false);
    int32_t x = decai__graph_embed(g, 1.0f);
    x = decai__graph_embed_add(g, x, "token_types.weight", 2, false);
    if (block->table < 0) x = decai__graph_embed_add(g, x, "position_embd.weight", s->context, true);
    x = decai__graph_norm(g, -1, x, "token_embd_norm", DECAI__NORM_LAYER, 1, s->dim);

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        int32_t l = (int32_t)i;
        x = decai__graph_add(g, l, x, decai__graph_attention(g, l, x, block));
        x = decai__graph_norm(g, l, x, "attn_output_norm", DECAI__NORM_LAYER, 1, s->dim);
        int32_t h = gated ? decai__graph_gated(g, l, x, DECAI__GLU_SILU, false)
            : decai__graph_plain(g, l, x, DECAI__GLU_GELU_ERF);
        x = decai__graph_add(g, l, x, h);
        x = decai__graph_norm(g, l, x, "layer_output_norm", DECAI__NORM_LAYER, 1, s->dim);
    }
    g->p->body = g->p->count;
}

void
decai__graph_bert(decai__graph *g)
{
    build(g, &(decai__attention_block){ .bias = true, .full = true, .table = -1 }, false);
}

void
decai__graph_nomic_bert(decai__graph *g)
{
    build(g, &(decai__attention_block){ .fused = true, .bias = true, .full = true }, true);
}
