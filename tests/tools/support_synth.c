/* support_synth.c - see support_synth.h.
 *
 * A flavour lists its metadata and tensors once (put_keys, list_*); the list is
 * then written to memory or streamed to a file. Names and shapes are those of
 * the GGUF files that llama.cpp's converters make. */
#include "support_synth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_gguf.h"

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13,
    Q6_K = 14, IQ4_NL = 20, IQ4_XS = 23, BF16 = 30, MXFP4 = 39 };

const char *const synth_flavours[] = { "llama", "llama3", "mistral", "linear", "yarn", "mixtral", "qwen2", "qwen3",
    "qwen3moe", "gemma", "gemma2", "gemma3", "phi3", "phi3long", "gpt2", "gpt-oss", "bert", "nomic-bert", NULL };
const uint32_t synth_types[] = { F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL,
    IQ4_XS, MXFP4, UINT32_MAX };

static const struct { uint32_t type; const char *name; uint32_t block, bytes; } TYPES[] = {
    { F32, "F32", 1, 4 }, { F16, "F16", 1, 2 }, { BF16, "BF16", 1, 2 }, { Q4_0, "Q4_0", 32, 18 },
    { Q4_1, "Q4_1", 32, 20 }, { Q5_0, "Q5_0", 32, 22 }, { Q5_1, "Q5_1", 32, 24 }, { Q8_0, "Q8_0", 32, 34 },
    { Q2_K, "Q2_K", 256, 84 }, { Q3_K, "Q3_K", 256, 110 }, { Q4_K, "Q4_K", 256, 144 }, { Q5_K, "Q5_K", 256, 176 },
    { Q6_K, "Q6_K", 256, 210 }, { IQ4_NL, "IQ4_NL", 32, 18 }, { IQ4_XS, "IQ4_XS", 256, 136 },
    { MXFP4, "MXFP4", 32, 17 }, { SYNTH_Q4_K_M, "Q4_K_M", 256, 144 },
};

static size_t
type_row(uint32_t type)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].type == type) return i;
    return 0;
}

const char *synth_type_name(uint32_t type) { return TYPES[type_row(type)].name; }

size_t
synth_row_size(uint32_t type, uint64_t cols)
{
    size_t i = type_row(type);
    if (cols % TYPES[i].block) {
        fprintf(stderr, "synth: %llu columns of %s\n", (unsigned long long)cols, TYPES[i].name);
        abort();
    }
    return (size_t)(cols / TYPES[i].block * TYPES[i].bytes);
}

/* ---- blocks of one type, with values of a wanted standard deviation --------------- */

/* Uniform in 1-spread .. 1+spread. */
static float
about(uint64_t *state, float spread)
{
    return 1.0f + spread * ((float)(support_rand(state) >> 40) / 8388608.0f - 1.0f);
}

static void
put_half(uint8_t *out, float v)
{
    uint16_t h = support_f16(v);
    memcpy(out, &h, 2);
}

static void
fill(uint64_t *state, uint8_t *out, size_t len)
{
    for (; len >= 8; len -= 8, out += 8) {
        uint64_t r = support_rand(state);
        memcpy(out, &r, 8);
    }
    uint64_t r = support_rand(state);
    memcpy(out, &r, len);
}

/* 32-block types: quants are uniform bytes, d makes their deviation `std`. The
 * deviation of 0..15 is 4.61, of 0..31 9.23, of -128..127 73.9. */
static void
block_32(uint32_t type, uint64_t *state, float std, uint8_t *out)
{
    float d = std * about(state, 0.5f);
    switch (type) {
    case Q4_0: put_half(out, d / 4.61f), fill(state, out + 2, 16); break;
    case Q4_1: put_half(out, d / 4.61f), put_half(out + 2, -7.5f * d / 4.61f * about(state, 0.05f)), fill(state, out + 4, 16); break;
    case Q5_0: put_half(out, d / 9.23f), fill(state, out + 2, 20); break;
    case Q5_1: put_half(out, d / 9.23f), put_half(out + 2, -15.5f * d / 9.23f * about(state, 0.05f)), fill(state, out + 4, 20); break;
    case Q8_0: put_half(out, d / 73.9f), fill(state, out + 2, 32); break;
    case IQ4_NL: put_half(out, d / 68.0f), fill(state, out + 2, 16); break;
    default: /* MXFP4: the exponent byte is all there is; its elements deviate by 3.1 (halves of 0..12) */
        out[0] = (uint8_t)(127 + (int)floorf(log2f(d / 3.1f)));
        fill(state, out + 1, 16);
    }
}

/* Six-bit scale and min of sub-block j, as Q4_K and Q5_K pack them. */
static void
put_scale_min(uint8_t *packed, int j, uint8_t scale, uint8_t min)
{
    if (j < 4) {
        packed[j] = (uint8_t)((packed[j] & 0xc0) | scale);
        packed[j + 4] = (uint8_t)((packed[j + 4] & 0xc0) | min);
        return;
    }
    packed[j + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
    packed[j - 4] = (uint8_t)((packed[j - 4] & 0x3f) | (scale >> 4) << 6);
    packed[j] = (uint8_t)((packed[j] & 0x3f) | (min >> 4) << 6);
}

static void
scales_q45(uint64_t *state, uint8_t *packed)
{
    memset(packed, 0, 12);
    for (int j = 0; j < 8; j++) {
        uint64_t r = support_rand(state);
        uint8_t scale = (uint8_t)(24 + r % 38);       /* +-2 stays below 64: no bias */
        int min = scale + (int)((r >> 32) % 5) - 2;
        put_scale_min(packed, j, scale, (uint8_t)min);
    }
}

static void
block_256(uint32_t type, uint64_t *state, float std, uint8_t *out)
{
    float d = std * about(state, 0.3f);
    switch (type) {
    case Q2_K:       /* quants 0..3 deviate by 1.12 about 1.5; scales 4 bits */
        for (int i = 0; i < 16; i++) {
            uint64_t r = support_rand(state);
            uint8_t scale = (uint8_t)(6 + r % 9), min = (uint8_t)(scale - 1 + (r >> 32) % 3);
            out[i] = (uint8_t)(scale | min << 4);
        }
        fill(state, out + 16, 64), put_half(out + 80, d / (1.12f * 10.5f)), put_half(out + 82, 1.5f * d / (1.12f * 10.5f));
        break;
    case Q3_K:       /* quants -4..3 deviate by 2.29; scales -32..31 by 18.5 */
        fill(state, out, 108), put_half(out + 108, d / (2.29f * 18.5f));
        break;
    case Q4_K:
        put_half(out, d / (4.61f * 44)), put_half(out + 2, 7.5f * d / (4.61f * 44)), scales_q45(state, out + 4);
        fill(state, out + 16, 128);
        break;
    case Q5_K:
        put_half(out, d / (9.23f * 44)), put_half(out + 2, 15.5f * d / (9.23f * 44)), scales_q45(state, out + 4);
        fill(state, out + 16, 160);
        break;
    case Q6_K:       /* quants -32..31 deviate by 18.5; scales are whole bytes */
        fill(state, out, 192);
        for (int i = 0; i < 16; i++) {
            uint64_t r = support_rand(state);
            int scale = 40 + (int)(r % 80);
            out[192 + i] = (uint8_t)(int8_t)(r >> 32 & 1 ? scale : -scale);
        }
        put_half(out + 208, d / (18.5f * 82));
        break;
    default:         /* IQ4_XS: scales -32..31, table values deviate by 68 */
        put_half(out, d / (68.0f * 18.5f)), fill(state, out + 2, 134);
    }
}

static void
fill_row(uint32_t type, uint64_t cols, uint64_t *state, float mean, float std, uint8_t *out)
{
    size_t t = type_row(type);
    if (TYPES[t].block == 1) {
        for (uint64_t i = 0; i < cols; i++) {
            float v = mean + std * 1.732f * (about(state, 1.0f) - 1.0f);
            support_quantise(type, &v, 1, out + i * TYPES[t].bytes);
        }
        return;
    }
    for (uint64_t i = 0; i < cols / TYPES[t].block; i++, out += TYPES[t].bytes) {
        if (TYPES[t].block == 32) block_32(type, state, std, out);
        else block_256(type, state, std, out);
    }
}

/* ---- the list of tensors -------------------------------------------------------------- */

typedef struct tensor {
    char name[96];
    uint32_t type, n_dims;
    uint64_t dims[3];
    float mean, std;
} tensor;

typedef struct list {
    const synth_spec *s;
    tensor *items;
    size_t count, cap;
} list;

static tensor *
push(list *l, int layer, const char *name)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->items = realloc(l->items, l->cap * sizeof *l->items);
        if (!l->items) abort();
    }
    tensor *t = &l->items[l->count++];
    memset(t, 0, sizeof *t);
    if (layer >= 0) snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    else snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static void
vector(list *l, int layer, const char *name, uint64_t n, float mean, float std)
{
    tensor *t = push(l, layer, name);
    t->type = F32, t->n_dims = 1, t->dims[0] = n, t->mean = mean, t->std = std;
}

/* Which type a matrix gets in the Q4_K_M mix. */
static uint32_t
mixed(const synth_spec *s, int layer, const char *name)
{
    int n = (int)s->layers;
    int more = layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    if (s->type != SYNTH_Q4_K_M) return s->type;
    if (!strcmp(name, "output.weight")) return Q6_K;
    if (layer >= 0 && more && (strstr(name, "attn_v.") || strstr(name, "ffn_down"))) return Q6_K;
    return Q4_K;
}

static void
matrix(list *l, int layer, const char *name, uint64_t cols, uint64_t rows, uint64_t experts, float gain)
{
    tensor *t = push(l, layer, name);
    t->type = mixed(l->s, layer, name);
    t->n_dims = experts ? 3 : 2;
    t->dims[0] = cols, t->dims[1] = rows, t->dims[2] = experts;
    t->std = gain / sqrtf((float)cols);
}

static int
is(const synth_spec *s, const char *flavour)
{
    return !strcmp(s->flavour, flavour);
}

static int
starts(const synth_spec *s, const char *flavour)
{
    return !strncmp(s->flavour, flavour, strlen(flavour));
}

static void
norm(list *l, int layer, const char *name, uint64_t dim, int bias)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    vector(l, layer, full, dim, 1.0f, 0.15f);
    snprintf(full, sizeof full, "%s.bias", name);
    if (bias) vector(l, layer, full, dim, 0.0f, 0.1f);
}

static void
linear(list *l, int layer, const char *name, uint64_t cols, uint64_t rows, float gain, int bias)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    matrix(l, layer, full, cols, rows, 0, gain);
    snprintf(full, sizeof full, "%s.bias", name);
    if (bias) vector(l, layer, full, rows, 0.0f, 0.2f);
}

static void
list_attention(list *l, int layer)
{
    const synth_spec *s = l->s;
    uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;
    int oss = is(s, "gpt-oss"), gpt2 = is(s, "gpt2"), bert = is(s, "bert");
    int bias = oss || gpt2 || bert, fused = starts(s, "phi3") || gpt2 || is(s, "nomic-bert");

    if (fused) {
        linear(l, layer, "attn_qkv", s->dim, q + 2 * kv, 1.3f, bias);
    } else {
        linear(l, layer, "attn_q", s->dim, q, 1.5f, bias || is(s, "qwen2"));
        linear(l, layer, "attn_k", s->dim, kv, 1.5f, bias || is(s, "qwen2"));
        linear(l, layer, "attn_v", s->dim, kv, 1.0f, bias || is(s, "qwen2"));
    }
    linear(l, layer, "attn_output", q, s->dim, 1.0f, bias);
    if (starts(s, "qwen3") || is(s, "gemma3")) {
        vector(l, layer, "attn_q_norm.weight", s->head_dim, 1.2f, 0.15f);
        vector(l, layer, "attn_k_norm.weight", s->head_dim, 1.2f, 0.15f);
    }
    if (oss) vector(l, layer, "attn_sinks.weight", s->heads, 0.0f, 1.0f);
}

static void
list_experts(list *l, int layer)
{
    const synth_spec *s = l->s;
    int oss = is(s, "gpt-oss");
    static const char *const names[] = { "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps" };

    vector(l, layer, "ffn_gate_inp.weight", s->dim, 0, 2.0f / sqrtf((float)s->dim));
    l->items[l->count - 1].n_dims = 2;
    l->items[l->count - 1].dims[1] = s->experts;
    if (oss) vector(l, layer, "ffn_gate_inp.bias", s->experts, 0.0f, 0.3f);
    for (int i = 0; i < 3; i++) {
        char full[64];
        uint64_t cols = i < 2 ? s->dim : s->expert_ffn, rows = i < 2 ? s->expert_ffn : s->dim;
        snprintf(full, sizeof full, "%s.weight", names[i]);
        matrix(l, layer, full, cols, rows, s->experts, 1.5f);
        if (oss) l->items[l->count - 1].type = s->type == F32 ? F32 : MXFP4;
        snprintf(full, sizeof full, "%s.bias", names[i]);
        if (!oss) continue;
        vector(l, layer, full, rows, 0.0f, 0.2f);
        l->items[l->count - 1].n_dims = 2;
        l->items[l->count - 1].dims[1] = s->experts;
    }
}

static void
list_feed_forward(list *l, int layer)
{
    const synth_spec *s = l->s;
    int bias = is(s, "gpt2") || is(s, "bert"), gated = !bias && !starts(s, "phi3");

    if (s->experts) {
        list_experts(l, layer);
        return;
    }
    if (gated) linear(l, layer, "ffn_gate", s->dim, s->ffn, 1.5f, 0);
    linear(l, layer, "ffn_up", s->dim, starts(s, "phi3") ? 2 * (uint64_t)s->ffn : s->ffn, 1.5f, bias);
    linear(l, layer, "ffn_down", s->ffn, s->dim, 1.5f, bias);
}

static void
list_layer(list *l, int layer)
{
    const synth_spec *s = l->s;
    int encoder = is(s, "bert") || is(s, "nomic-bert"), bias = is(s, "gpt2") || encoder;
    int sandwich = is(s, "gemma2") || is(s, "gemma3");

    if (!encoder) norm(l, layer, "attn_norm", s->dim, bias);
    list_attention(l, layer);
    if (encoder) norm(l, layer, "attn_output_norm", s->dim, bias);
    if (sandwich) norm(l, layer, "post_attention_norm", s->dim, 0);
    if (!encoder) norm(l, layer, is(s, "gpt-oss") ? "post_attention_norm" : "ffn_norm", s->dim, bias);
    list_feed_forward(l, layer);
    if (encoder) norm(l, layer, "layer_output_norm", s->dim, bias);
    if (sandwich) norm(l, layer, "post_ffw_norm", s->dim, 0);
}

/* Frequency factors: llama3 1..8 as the long waves have them, longrope 1..up. */
static void
factors(list *l, const char *name, float mean, float std)
{
    vector(l, -1, name, l->s->head_dim / 2, mean, std);
}

static void
list_all(list *l)
{
    const synth_spec *s = l->s;
    int encoder = is(s, "bert") || is(s, "nomic-bert");

    matrix(l, -1, "token_embd.weight", s->dim, s->vocab, 0, starts(s, "gemma") ? 1.0f : 0.5f * sqrtf((float)s->dim));
    if (encoder) vector(l, -1, "token_types.weight", s->dim, 0, 0.2f), l->items[l->count - 1].n_dims = 2, l->items[l->count - 1].dims[1] = 2;
    if (is(s, "bert") || is(s, "gpt2"))
        vector(l, -1, "position_embd.weight", s->dim, 0, 0.3f), l->items[l->count - 1].n_dims = 2, l->items[l->count - 1].dims[1] = s->context;
    if (encoder) norm(l, -1, "token_embd_norm", s->dim, 1);
    if (is(s, "llama3")) factors(l, "rope_freqs.weight", 4.5f, 2.0f);
    if (is(s, "phi3long")) factors(l, "rope_factors_long.weight", 20.0f, 9.0f), factors(l, "rope_factors_short.weight", 1.1f, 0.05f);
    for (uint32_t i = 0; i < s->layers; i++) list_layer(l, (int)i);
    if (!encoder) norm(l, -1, "output_norm", s->dim, is(s, "gpt2"));
    if (!encoder && !s->tied) matrix(l, -1, "output.weight", s->dim, s->vocab, 0, 2.0f);
}

/* ---- metadata -------------------------------------------------------------------------- */

const char *
synth_arch(const char *flavour)
{
    static const char *const llama[] = { "llama3", "mistral", "linear", "yarn", "mixtral" };
    for (size_t i = 0; i < sizeof llama / sizeof *llama; i++)
        if (!strcmp(flavour, llama[i])) return "llama";
    return !strcmp(flavour, "phi3long") ? "phi3" : flavour;
}

static const char *
key(const synth_spec *s, const char *name)
{
    static char full[128];
    snprintf(full, sizeof full, "%s.%s", synth_arch(s->flavour), name);
    return full;
}

static void
put_rope(gguf_writer *w, const synth_spec *s)
{
    int oss = is(s, "gpt-oss");
    float base = starts(s, "gemma3") ? 1e6f : oss ? 150000.0f : starts(s, "qwen") ? 1e6f : is(s, "llama3") ? 500000.0f
        : is(s, "nomic-bert") ? 1000.0f : 10000.0f;

    if (is(s, "bert") || is(s, "gpt2")) return;
    gguf_f32(w, key(s, "rope.freq_base"), base);
    if (!starts(s, "gemma") && !starts(s, "qwen")) gguf_u32(w, key(s, "rope.dimension_count"), s->head_dim);
    if (is(s, "linear") || is(s, "gemma3")) {
        gguf_str(w, key(s, "rope.scaling.type"), "linear");
        gguf_f32(w, key(s, "rope.scaling.factor"), is(s, "linear") ? 4.0f : 8.0f);
    }
    if (is(s, "yarn") || oss) {
        gguf_str(w, key(s, "rope.scaling.type"), "yarn");
        gguf_f32(w, key(s, "rope.scaling.factor"), oss ? 32.0f : 4.0f);
        gguf_u32(w, key(s, "rope.scaling.original_context_length"), oss ? 4096 : s->context / 4);
    }
    if (starts(s, "phi3")) gguf_u32(w, key(s, "rope.scaling.original_context_length"), is(s, "phi3long") ? s->context / 4 : s->context);
    if (is(s, "phi3long")) gguf_f32(w, key(s, "rope.scaling.attn_factor"), 1.19f);
}

static void
put_keys(gguf_writer *w, const synth_spec *s)
{
    int encoder = is(s, "bert") || is(s, "nomic-bert"), plain = is(s, "gpt2") || encoder;

    gguf_str(w, "general.architecture", synth_arch(s->flavour));
    gguf_str(w, "general.name", "synthetic");
    gguf_u32(w, "general.quantization_version", 2);
    gguf_u32(w, key(s, "context_length"), s->context);
    gguf_u32(w, key(s, "embedding_length"), s->dim);
    gguf_u32(w, key(s, "block_count"), s->layers);
    gguf_u32(w, key(s, "feed_forward_length"), s->ffn);
    gguf_u32(w, key(s, "attention.head_count"), s->heads);
    if (!plain) gguf_u32(w, key(s, "attention.head_count_kv"), s->kv_heads);
    gguf_f32(w, key(s, plain ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"), encoder ? 1e-12f : 1e-5f);
    if (!plain && s->head_dim * s->heads != s->dim) {
        gguf_u32(w, key(s, "attention.key_length"), s->head_dim);
        gguf_u32(w, key(s, "attention.value_length"), s->head_dim);
    }
    put_rope(w, s);
    if (s->window) gguf_u32(w, key(s, "attention.sliding_window"), s->window);
    if (is(s, "gemma2")) {
        gguf_f32(w, key(s, "attn_logit_softcapping"), 50.0f);
        gguf_f32(w, key(s, "final_logit_softcapping"), 30.0f);
    }
    if (s->experts) {
        gguf_u32(w, key(s, "expert_count"), s->experts);
        gguf_u32(w, key(s, "expert_used_count"), s->used);
        if (!is(s, "mixtral")) gguf_u32(w, key(s, "expert_feed_forward_length"), s->expert_ffn);
    }
    if (encoder) {
        gguf_bool(w, key(s, "attention.causal"), 0);
        gguf_u32(w, key(s, "pooling_type"), 1);
        gguf_u32(w, "tokenizer.ggml.token_type_count", 2);
    }
    if (!s->vocab_file && !encoder) gguf_u32(w, key(s, "vocab_size"), s->vocab);
}

/* ---- a tokenizer from another file ------------------------------------------------------- */

typedef struct reader { const uint8_t *data; size_t len, at; } reader;

static uint64_t
take(reader *r, size_t size)
{
    uint64_t v = 0;
    if (r->len - r->at < size) abort();
    memcpy(&v, r->data + r->at, size);
    r->at += size;
    return v;
}

static void
skip(reader *r, uint64_t n)
{
    if (r->len - r->at < n) abort();
    r->at += (size_t)n;
}

/* Over one value; *tokens gets the length of an array. */
static void
skip_value(reader *r, uint32_t type, uint64_t *count)
{
    static const uint8_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    if (type == 8) {
        skip(r, take(r, 8));
    } else if (type == 9) {
        uint32_t item = (uint32_t)take(r, 4);
        *count = take(r, 8);
        uint64_t inner = 0;
        for (uint64_t i = 0; i < *count; i++) skip_value(r, item, &inner);
    } else {
        skip(r, type < sizeof sizes ? sizes[type] : 0);
    }
}

static uint8_t *
read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*len + 1);
    if (!data || fread(data, 1, *len, f) != *len) abort();
    fclose(f);
    return data;
}

/* Its tokenizer.* keys into w (NULL: only count); tokens in its vocabulary. */
static uint32_t
copy_tokenizer(gguf_writer *w, const char *path)
{
    reader r = { 0 };
    uint8_t *data = read_file(path, &r.len);
    uint64_t tokens = 0;
    r.data = data;
    skip(&r, 16);
    uint64_t keys = take(&r, 8);
    for (uint64_t i = 0; i < keys; i++) {
        char name[256] = { 0 };
        uint64_t n = take(&r, 8), count = 0;
        if (n >= sizeof name) abort();
        memcpy(name, data + r.at, (size_t)n);
        skip(&r, n);
        uint32_t type = (uint32_t)take(&r, 4);
        size_t from = r.at;
        skip_value(&r, type, &count);
        if (!strcmp(name, "tokenizer.ggml.tokens")) tokens = count;
        if (w && !strncmp(name, "tokenizer.", 10) && strcmp(name, "tokenizer.ggml.token_type_count"))
            gguf_raw(w, name, type, data + from, r.at - from);
    }
    free(data);
    return (uint32_t)tokens;
}

/* ---- sizes -------------------------------------------------------------------------------- */

static void
tiny(synth_spec *s, uint32_t scale)
{
    int wide = type_row(s->type) && TYPES[type_row(s->type)].block == 256;
    uint32_t unit = (wide ? 256 : 64) * scale;

    s->dim = unit;
    s->head_dim = unit >= 256 ? 64 : 32;
    s->heads = unit / s->head_dim, s->kv_heads = s->heads / 2;
    s->ffn = 2 * unit;
    s->layers = is(s, "gemma3") ? 6 : is(s, "gpt-oss") ? 4 : 2;
    s->vocab = SUPPORT_VOCAB_MIN;
    s->context = 512;
    s->expert_ffn = is(s, "mixtral") ? s->ffn : unit;
    if (starts(s, "qwen3") || is(s, "gpt-oss") || is(s, "gemma2")) s->heads *= 2;
    if (is(s, "gpt2") || is(s, "bert") || is(s, "nomic-bert")) s->kv_heads = s->heads;
}

/* As small as it goes: what fuzzers begin with. */
static void
micro(synth_spec *s)
{
    s->layers = 1, s->dim = s->ffn = s->expert_ffn = 32, s->heads = 2, s->kv_heads = 1, s->head_dim = 16;
    s->vocab = 32, s->context = 64, s->experts = s->experts ? 4 : 0, s->used = s->experts ? 2 : 0;
    if (is(s, "gpt2") || is(s, "bert") || is(s, "nomic-bert")) s->kv_heads = 2;
}

static void
llama_size(synth_spec *s, uint32_t layers, uint32_t dim, uint32_t heads, uint32_t kv_heads, uint32_t ffn, uint32_t vocab)
{
    s->layers = layers, s->dim = dim, s->heads = heads, s->kv_heads = kv_heads;
    s->head_dim = dim / heads, s->ffn = ffn, s->vocab = vocab, s->expert_ffn = ffn;
}

int
synth_defaults(synth_spec *s, const char *flavour, uint32_t type, const char *size)
{
    size_t i = 0;
    while (synth_flavours[i] && strcmp(synth_flavours[i], flavour)) i++;
    if (!synth_flavours[i]) return -1;
    *s = (synth_spec){ .flavour = flavour, .type = type, .seed = 1 };
    s->experts = is(s, "mixtral") || is(s, "qwen3moe") || is(s, "gpt-oss") ? 8 : 0;
    s->used = is(s, "mixtral") ? 2 : s->experts / 2;
    s->tied = starts(s, "gemma") || is(s, "gpt2") || is(s, "qwen2");
    tiny(s, strcmp(size, "tiny") ? 2 : 1);
    if (!strcmp(size, "1b")) llama_size(s, 22, 2048, 32, 4, 5632, 32000), s->context = 8192;
    else if (!strcmp(size, "8b")) llama_size(s, 32, 4096, 32, 8, 14336, 128256), s->context = 8192;
    else if (!strcmp(size, "minilm")) llama_size(s, 6, 384, 12, 12, 1536, 30522), s->context = 512;
    else if (!strcmp(size, "micro")) micro(s);
    else if (strcmp(size, "tiny") && strcmp(size, "small")) return -1;
    if (is(s, "mistral") || is(s, "gemma2") || is(s, "gemma3") || is(s, "gpt-oss") || is(s, "phi3")) s->window = strcmp(size, "micro") ? 100 : 3;
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static uint64_t
seed_of(const synth_spec *s, const char *name)
{
    uint64_t h = s->seed * 0x9E3779B97F4A7C15u + 0xcbf29ce484222325u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    return h;
}

static uint64_t
rows_of(const tensor *t)
{
    return (t->n_dims > 1 ? t->dims[1] : 1) * (t->n_dims > 2 ? t->dims[2] : 1);
}

/* Everything before the tensors' data, in *head; the list filled. */
static uint64_t
prepare(const synth_spec *given, synth_spec *s, list *l, uint8_t **head, size_t *len)
{
    gguf_writer w;
    uint64_t offset = 0;
    *s = *given;
    if (s->vocab_file) s->vocab = copy_tokenizer(NULL, s->vocab_file);
    *l = (list){ .s = s };
    list_all(l);
    gguf_begin(&w, 32);
    put_keys(&w, s);
    if (s->vocab_file) (void)copy_tokenizer(&w, s->vocab_file);
    else if (s->small_vocab) support_gguf_vocab(&w, s->vocab);
    for (size_t i = 0; i < l->count; i++) {
        const tensor *t = &l->items[i];
        gguf_tensor_info(&w, t->name, t->type, t->n_dims, t->dims, offset);
        offset += (rows_of(t) * synth_row_size(t->type, t->dims[0]) + 31) & ~(uint64_t)31;
    }
    gguf_end(&w, head, len);
    return offset;
}

/* One tensor's bytes, 32-aligned, in `out`. */
static void
render(const synth_spec *s, const tensor *t, uint8_t *out)
{
    size_t size = synth_row_size(t->type, t->dims[0]);
    uint64_t state = seed_of(s, t->name);
    for (uint64_t r = 0; r < rows_of(t); r++) fill_row(t->type, t->dims[0], &state, t->mean, t->std, out + r * size);
}

void
synth_memory(const synth_spec *given, uint8_t **out, size_t *len)
{
    synth_spec s;
    list l;
    uint8_t *head;
    size_t head_len;
    uint64_t data = prepare(given, &s, &l, &head, &head_len);
    size_t at = (head_len + 31) & ~(size_t)31;

    *len = at + (size_t)data;
    *out = calloc(1, *len);
    if (!*out) abort();
    memcpy(*out, head, head_len);
    for (size_t i = 0; i < l.count; i++) {
        render(&s, &l.items[i], *out + at);
        at += (size_t)((rows_of(&l.items[i]) * synth_row_size(l.items[i].type, l.items[i].dims[0]) + 31) & ~(uint64_t)31);
    }
    free(head);
    free(l.items);
}

int
synth_file(const synth_spec *given, const char *path)
{
    static const uint8_t zeros[32];
    synth_spec s;
    list l;
    uint8_t *head;
    size_t len;
    FILE *f = fopen(path, "wb");
    if (!f) return -1;
    (void)prepare(given, &s, &l, &head, &len);
    int bad = fwrite(head, 1, len, f) != len || fwrite(zeros, 1, (32 - len % 32) % 32, f) != (32 - len % 32) % 32;
    for (size_t i = 0; i < l.count && !bad; i++) {
        const tensor *t = &l.items[i];
        size_t row = synth_row_size(t->type, t->dims[0]), size = row * (size_t)rows_of(t), padded = (size + 31) & ~(size_t)31;
        uint8_t *data = calloc(1, padded);
        if (!data) abort();
        render(&s, t, data);
        bad = fwrite(data, 1, padded, f) != padded;
        free(data);
    }
    free(head);
    free(l.items);
    return fclose(f) || bad ? -1 : 0;
}
