/* hf_names.c - tensor names of published models, as GGUF names them.
 *
 *     model.layers.7.self_attn.q_proj.weight     blk.7.attn_q.weight
 *     encoder.layer.7.output.dense.bias          blk.7.ffn_down.bias
 *
 * Sources: transformers' modelling files for the left side, the GGUF
 * description (docs/gguf.md, "standardized tensor names") for the right.
 *
 * Rows of q and k are not moved: where converters interleave them, the entry
 * <arch>.rope.neox says that these pairs are the halves of a head. Gemma's norms
 * are stored minus one; a GGUF has them whole. GPT-2's matrices are stored with
 * their inputs as rows; a GGUF has outputs as rows. */
#include <string.h>

#include "model/hf.h"

typedef struct row { const char *from, *to; } row;

static const row OUTER[] = {
    { "embed_tokens.", "token_embd." }, { "norm.", "output_norm." },
};

static const row LAYER[] = {
    { "input_layernorm.", "attn_norm." }, { "self_attn.q_proj.", "attn_q." }, { "self_attn.k_proj.", "attn_k." },
    { "self_attn.v_proj.", "attn_v." }, { "self_attn.o_proj.", "attn_output." }, { "self_attn.qkv_proj.", "attn_qkv." },
    { "self_attn.q_norm.", "attn_q_norm." }, { "self_attn.k_norm.", "attn_k_norm." },
    { "pre_feedforward_layernorm.", "ffn_norm." }, { "post_feedforward_layernorm.", "post_ffw_norm." },
    { "mlp.gate_proj.", "ffn_gate." }, { "mlp.up_proj.", "ffn_up." }, { "mlp.gate_up_proj.", "ffn_up." },
    { "mlp.down_proj.", "ffn_down." },
};

static const row BERT_OUTER[] = {
    { "embeddings.word_embeddings.", "token_embd." }, { "embeddings.token_type_embeddings.", "token_types." },
    { "embeddings.position_embeddings.", "position_embd." }, { "embeddings.LayerNorm.", "token_embd_norm." },
};

static const row BERT_LAYER[] = {
    { "attention.self.query.", "attn_q." }, { "attention.self.key.", "attn_k." }, { "attention.self.value.", "attn_v." },
    { "attention.output.dense.", "attn_output." }, { "attention.output.LayerNorm.", "attn_output_norm." },
    { "intermediate.dense.", "ffn_up." }, { "output.dense.", "ffn_down." }, { "output.LayerNorm.", "layer_output_norm." },
};

static const row NOMIC_OUTER[] = {
    { "embeddings.word_embeddings.", "token_embd." }, { "embeddings.token_type_embeddings.", "token_types." },
    { "emb_ln.", "token_embd_norm." },
};

static const row NOMIC_LAYER[] = {
    { "attn.Wqkv.", "attn_qkv." }, { "attn.out_proj.", "attn_output." }, { "norm1.", "attn_output_norm." },
    { "norm2.", "layer_output_norm." }, { "mlp.fc11.", "ffn_up." }, { "mlp.fc12.", "ffn_gate." }, { "mlp.fc2.", "ffn_down." },
};

static const row GPT2_OUTER[] = {
    { "wte.", "token_embd." }, { "wpe.", "position_embd." }, { "ln_f.", "output_norm." },
};

static const row GPT2_LAYER[] = {
    { "ln_1.", "attn_norm." }, { "attn.c_attn.", "attn_qkv." }, { "attn.c_proj.", "attn_output." }, { "ln_2.", "ffn_norm." },
    { "mlp.c_fc.", "ffn_up." }, { "mlp.c_proj.", "ffn_down." },
};

/* What follows attention is the feed-forward's norm, or one of its own. */
static const row PLAIN_NORM = { "post_attention_layernorm.", "ffn_norm." };
static const row OWN_NORM = { "post_attention_layernorm.", "post_attention_norm." };

typedef struct dialect {
    const char *prefix, *layers;     /* the first may be missing */
    const row *outer, *layer, *norm; /* norm: one more row of a layer, or NULL */
    size_t outer_count, layer_count;
} dialect;

#define ROWS(outer, layer) outer, layer, NULL, DECAI__COUNT(outer), DECAI__COUNT(layer)

static dialect
dialect_of(const decai__hf *hf)
{
    static const dialect BERT = { "bert.", "encoder.layer.", ROWS(BERT_OUTER, BERT_LAYER) };
    static const dialect NOMIC = { "nomic_bert.", "encoder.layers.", ROWS(NOMIC_OUTER, NOMIC_LAYER) };
    static const dialect GPT2 = { "transformer.", "h.", ROWS(GPT2_OUTER, GPT2_LAYER) };
    dialect d = { "model.", "layers.", ROWS(OUTER, LAYER) };
    d.norm = hf->family == DECAI__HF_GEMMA2 || hf->family == DECAI__HF_GEMMA3 ? &OWN_NORM : &PLAIN_NORM;
    switch (hf->family) {
    case DECAI__HF_BERT: return BERT;
    case DECAI__HF_NOMIC_BERT: return NOMIC;
    case DECAI__HF_GPT2: return GPT2;
    default: return d;
    }
}

/* `name` behind `prefix`, or NULL. */
static const char *
after(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) ? NULL : name + n;
}

static bool
ends(const char *name, const char *with)
{
    size_t n = strlen(name), w = strlen(with);
    return n >= w && !strcmp(name + n - w, with);
}

/* to + "weight" or "bias"; 0 when the name is none of the rows. */
static bool
look_up(const row *rows, size_t count, const char *name, char *out, size_t cap)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest = after(name, rows[i].from);
        if (!rest || (strcmp(rest, "weight") && strcmp(rest, "bias"))) continue;
        size_t n = strlen(rows[i].to), tail = strlen(rest) + 1;
        if (n + tail > cap) return false;
        memcpy(out, rows[i].to, n);
        memcpy(out + n, rest, tail);
        return true;
    }
    return false;
}

/* "7.rest": the number, written in one way only, and what follows it. */
static const char *
layer_of(const char *name, char number[8])
{
    size_t n = 0;
    while (name[n] >= '0' && name[n] <= '9' && n < 5) n++;
    if (!n || name[n] != '.' || (name[0] == '0' && n > 1)) return NULL;
    memcpy(number, name, n);
    number[n] = 0;
    return name + n + 1;
}

static bool
layer_name(const dialect *d, const char *name, char out[DECAI_MODEL_NAME_MAX + 1])
{
    char number[8];
    const char *rest = layer_of(name, number);
    if (!rest) return false;
    size_t n = strlen(number);
    memcpy(out, "blk.", 4);
    memcpy(out + 4, number, n);
    out[4 + n] = '.';
    char *to = out + 5 + n;
    size_t cap = DECAI_MODEL_NAME_MAX + 1 - (5 + n);
    return (d->norm && look_up(d->norm, 1, rest, to, cap)) || look_up(d->layer, d->layer_count, rest, to, cap);
}

/* Buffers that programs store beside the weights, and parts that no graph runs. */
static bool
no_weight(const decai__hf *hf, const char *name)
{
    bool encoder = hf->family == DECAI__HF_BERT || hf->family == DECAI__HF_NOMIC_BERT;
    if (ends(name, ".rotary_emb.inv_freq") || ends(name, "position_ids")) return true;
    if (hf->family == DECAI__HF_GPT2) return ends(name, ".attn.bias") || ends(name, ".attn.masked_bias");
    return encoder && (after(name, "pooler.") || after(name, "cls."));
}

static int32_t
action_of(const decai__hf *hf, const char *name, const char *to)
{
    switch (hf->family) {
    case DECAI__HF_GEMMA: case DECAI__HF_GEMMA2: case DECAI__HF_GEMMA3:
        return ends(to, "_norm.weight") ? DECAI__HF_PLUS_ONE : DECAI__HF_KEEP;
    case DECAI__HF_GPT2:
        return strstr(name, ".c_") && ends(name, ".weight") ? DECAI__HF_TRANSPOSE : DECAI__HF_KEEP;
    default: return DECAI__HF_KEEP;
    }
}

int32_t
decai__hf_name(const decai__hf *hf, const char *name, char out[DECAI_MODEL_NAME_MAX + 1], int32_t *action)
{
    const dialect d = dialect_of(hf);
    bool head = hf->family != DECAI__HF_BERT && hf->family != DECAI__HF_NOMIC_BERT, found;
    const char *inner = after(name, d.prefix);
    if (!inner) inner = name;
    *action = DECAI__HF_SKIP;
    if (no_weight(hf, inner)) return 0;
    const char *layer = after(inner, d.layers);
    if (head && !strcmp(name, "lm_head.weight")) {
        memcpy(out, "output.weight", 14);
        found = true;
    } else if (layer) found = layer_name(&d, layer, out);
    else found = look_up(d.outer, d.outer_count, inner, out, DECAI_MODEL_NAME_MAX + 1);
    if (!found) return decai__fail(DECAI_E_UNSUPPORTED, "%s: no part of architecture %s", name, hf->arch);
    *action = action_of(hf, name, out);
    return 0;
}
