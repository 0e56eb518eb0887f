/* graph_gemma.c - archs "gemma", "gemma2" and "gemma3".
 *
 *   x = token_embd[id] * sqrt(dim)
 *   for each layer:
 *     a = attn_output attention(...)  of rmsnorm(x, attn_norm)
 *     x = x + a                       gemma 2, 3: rmsnorm(a, post_attention_norm)
 *     f = ffn_down (gelu(ffn_gate h) * ffn_up h)  of h = rmsnorm(x, ffn_norm)
 *     x = x + f                       gemma 2, 3: rmsnorm(f, post_ffw_norm)
 *   logits = token_embd rmsnorm(x, output_norm)
 *
 * gemma2 caps scores and logits (cap * tanh(x / cap)) and lets every other layer,
 * the first included, look through a window. gemma3 normalises each head of q and
 * k, has a window in five layers of six, and gives these layers angles of their
 * own: base 10000, not scaled. The largest of each family (46 and 62 layers)
 * scales scores by dim / heads instead of the head's size, as their publisher does.
 * Norm weights have the "1 +" in them already (the converter adds it).
 */
#include "infer/graph.h"

#include <math.h>

typedef struct family {
    bool sandwich, qk_norm;
    uint32_t window, pattern, largest;       /* largest: layers of the one that scales otherwise */
    float score_cap, logit_cap;
} family;

static int32_t
layer(decai__graph *g, int32_t l, int32_t x, const family *f, const decai__attention_block *block)
{
    uint32_t dim = g->p->shape.dim;
    int32_t h = decai__graph_norm(g, l, x, "attn_norm", DECAI__NORM_RMS, 1, dim);

    h = decai__graph_attention(g, l, h, block);
    if (f->sandwich) h = decai__graph_norm(g, l, h, "post_attention_norm", DECAI__NORM_RMS, 1, dim);
    x = decai__graph_add(g, l, x, h);
    h = decai__graph_norm(g, l, x, "ffn_norm", DECAI__NORM_RMS, 1, dim);
    h = decai__graph_gated(g, l, h, DECAI__GLU_GELU_TANH, false);
    if (f->sandwich) h = decai__graph_norm(g, l, h, "post_ffw_norm", DECAI__NORM_RMS, 1, dim);
    return decai__graph_add(g, l, x, h);
}

static void
build(decai__graph *g, const family *f)
{
    decai__shape *s = &g->p->shape;

    decai__graph_shape(g, false);
    s->neox = true;
    if (f->pattern) decai__graph_windows(g, f->window, f->pattern, 1);
    else decai__graph_refuse(g, "attention.sliding_window");
    decai__graph_rope(g, 0, decai__graph_f32(g, "rope.freq_base", 1.0f, 1e10f, 10000.0f), false);
    if (f->qk_norm) decai__graph_rope(g, 1, decai__graph_f32(g, "rope.freq_base_swa", 1.0f, 1e10f, 10000.0f), true);
    decai__attention_block block = { .qk_norm = f->qk_norm,
        .softcap = decai__graph_f32(g, "attn_logit_softcapping", 0.0f, 1e6f, f->score_cap) };
    float cap = decai__graph_f32(g, "final_logit_softcapping", 0.0f, 1e6f, f->logit_cap);
    if (g->error) return;
    if (s->layers == f->largest) s->scale = decai__leaf_rsqrt((float)s->dim / (float)s->heads);
    int32_t x = decai__graph_embed(g, sqrtf((float)s->dim));

    for (uint32_t i = 0; i < s->layers && !g->error; i++) {
        block.table = f->qk_norm && g->p->window[i] ? 1 : 0;
        x = layer(g, (int32_t)i, x, f, &block);
    }
    decai__graph_head(g, x, DECAI__NORM_RMS, cap);
}

void
decai__graph_gemma(decai__graph *g)
{
    build(g, &(family){ 0 });
}

void
decai__graph_gemma2(decai__graph *g)
{
    build(g, &(family){ .sandwich = true, .window = 4096, .pattern = 2, .largest = 46, .score_cap = 50.0f, .logit_cap = 30.0f });
}

void
decai__graph_gemma3(decai__graph *g)
{
    build(g, &(family){ .sandwich = true, .qk_norm = true, .pattern = 6, .largest = 62 });
}
