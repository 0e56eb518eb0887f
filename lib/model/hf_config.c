/* hf_config.c - config.json as GGUF metadata.
 *
 * Each family below reads the fields that change what is computed; those that
 * say something no graph of ours does are refused by name, never ignored:
 * quantised weights, unknown rotations or activations, odd window patterns.
 *
 * Sources: transformers' configuration files, and the keys of the GGUF
 * description (docs/gguf.md).
 *
 * Two numbers are computed: the divisors of Llama 3's rotation (rope_freqs). Own
 * exp and log in plain double arithmetic make them: a C library's may differ
 * from the next one's, and these numbers are part of the model's identity. */
#include <math.h>
#include <string.h>

#include "model/hf.h"

#define CONFIG_MAX 1048576u          /* bytes of a config.json */
#define PATH_CAP   (DECAI_MODEL_PATH_MAX + 64)

/* ---- numbers -------------------------------------------------------------------- */

double
decai__hf_number(const char *p)
{
    bool negative = *p == '-', point = false;
    int64_t exponent = 0, given = 0;
    uint64_t digits = 0;
    if (negative) p++;
    /* Nineteen digits fit; what follows is below an ulp. */
    for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') point = true;
        else if (digits < 1000000000000000000u) digits = digits * 10 + (uint64_t)(*p - '0'), exponent -= point;
        else exponent += !point;
    }
    if (*p == 'e' || *p == 'E') {
        bool down = p[1] == '-';
        for (p += p[1] == '-' || p[1] == '+' ? 2 : 1; *p >= '0' && *p <= '9' && given < 10000; p++) given = given * 10 + (*p - '0');
        exponent += down ? -given : given;
    }
    double v = (double)digits;
    for (; exponent > 0 && v < 1e300 && digits; exponent--) v *= 10;
    /* Powers of ten up to 22 are exact: one division, one rounding. */
    while (exponent < 0 && v > 0) {
        double ten = 1;
        for (int i = 0; i < 22 && exponent < 0; i++, exponent++) ten *= 10;
        v /= ten;
    }
    return negative ? -v : v;
}

/* ln x for x > 0: x = m 2^e with m near 1, and ln m = 2 atanh((m-1)/(m+1)). */
static double
natural_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) m *= 2, e--;
    double z = (m - 1) / (m + 1), z2 = z * z, term = z, sum = 0;
    for (int k = 1; k < 40; k += 2, term *= z2) sum += term / k;
    return 2 * sum + e * 0.69314718055994531;
}

static double
natural_exp(double x)
{
    int n = (int)(x / 0.69314718055994531 + (x < 0 ? -0.5 : 0.5));
    double r = x - n * 0.69314718055994531, term = 1, sum = 1;
    for (int k = 1; k < 25; k++) sum += term *= r / k;
    return ldexp(sum, n);
}

/* ---- values ------------------------------------------------------------------------ */

static void
put(decai__hf *hf, const char *name, uint32_t type, const void *raw, size_t size)
{
    if (hf->error) return;
    decai__assert(hf->count < DECAI__HF_ENTRIES_MAX);
    decai__hf_entry *e = &hf->entry[hf->count++];
    bool whole = strchr(name, '.') && (!strncmp(name, "general.", 8) || !strncmp(name, "tokenizer.", 10));
    size_t at = 0;
    /* A key is an architecture and one of the names below: all of them short. */
    if (!whole) {
        at = strlen(hf->arch);
        memcpy(e->key, hf->arch, at);
        e->key[at++] = '.';
    }
    decai__assert(at + strlen(name) < sizeof e->key);
    memcpy(e->key + at, name, strlen(name) + 1);
    e->type = type;
    e->at = hf->side->len;
    e->size = size;
    hf->error = decai__buf_add(hf->side, raw, size);
}

static void
put_u32(decai__hf *hf, const char *name, uint64_t v)
{
    uint32_t raw = (uint32_t)v;
    put(hf, name, DECAI_METADATA_U32, &raw, 4);
}

static void
put_f32(decai__hf *hf, const char *name, double v)
{
    float raw = (float)v;
    put(hf, name, DECAI_METADATA_F32, &raw, 4);
}

static void
put_bool(decai__hf *hf, const char *name, bool v)
{
    uint8_t raw = v;
    put(hf, name, DECAI_METADATA_BOOL, &raw, 1);
}

static void
put_text(decai__hf *hf, const char *name, const char *text)
{
    uint8_t raw[8 + 64];
    size_t len = strlen(text);
    decai__assert(len <= 64);
    memset(raw, 0, 8);
    raw[0] = (uint8_t)len;
    memcpy(raw + 8, text, len);
    put(hf, name, DECAI_METADATA_STRING, raw, 8 + len);
}

/* ---- fields of config.json ------------------------------------------------------------- */

typedef struct config { decai__hf *hf; decai__json *doc; const decai__json_node *root; } config;

/* A member that is there and not null. */
static const decai__json_node *
member(const decai__json_node *object, const char *key)
{
    const decai__json_node *n = decai__json_find(object, key);
    return decai__json_type(n) == DECAI__JSON_NULL ? NULL : n;
}

static uint64_t
whole(config *c, const decai__json_node *object, const char *key, uint64_t min, uint64_t max, uint64_t absent)
{
    uint64_t v = absent;
    const decai__json_node *n = member(object, key);
    if (c->hf->error) return min;
    if (!n && absent == UINT64_MAX) c->hf->error = decai__fail(DECAI_E_CORRUPT, "config.json: %s is missing", key);
    if (n) c->hf->error = decai__json_u64(c->doc, n, &v);
    if (!c->hf->error && (v < min || v > max))
        c->hf->error = decai__fail(DECAI_E_CORRUPT, "config.json: %s: %llu is not in %llu..%llu", key, (unsigned long long)v,
            (unsigned long long)min, (unsigned long long)max);
    return c->hf->error ? min : v;
}

/* The same field under its older name, where the new one is not there. */
static uint64_t
either(config *c, const char *key, const char *old, uint64_t max, uint64_t absent)
{
    return whole(c, c->root, member(c->root, key) || !member(c->root, old) ? key : old, 1, max, absent);
}

static double
real(config *c, const decai__json_node *object, const char *key, double min, double max, double absent)
{
    const char *text;
    double v = absent;
    const decai__json_node *n = member(object, key);
    if (c->hf->error) return min;
    if (n && !(c->hf->error = decai__json_number(c->doc, n, &text))) v = decai__hf_number(text);
    if (!c->hf->error && !(v >= min && v <= max))
        c->hf->error = decai__fail(DECAI_E_CORRUPT, "config.json: %s is missing or out of bounds", key);
    return c->hf->error ? min : v;
}

static bool
flag(config *c, const char *key, bool absent)
{
    bool v = absent;
    const decai__json_node *n = member(c->root, key);
    if (!c->hf->error && n) c->hf->error = decai__json_bool(c->doc, n, &v);
    return v;
}

/* Is this text one of the words between bars, as in "|silu|swish|"? */
static bool
among(const char *text, const char *words)
{
    size_t len = strlen(text);
    for (const char *at = words; len && (at = strstr(at, text)); at++)
        if (at > words && at[-1] == '|' && at[len] == '|') return true;
    return false;
}

/* The text must be one of the words; absent is fine. */
static void
need_word(config *c, const decai__json_node *object, const char *key, const char *words)
{
    const char *text;
    const decai__json_node *n = member(object, key);
    if (c->hf->error || !n) return;
    c->hf->error = decai__json_str(c->doc, n, &text, NULL);
    if (!c->hf->error && !among(text, words))
        c->hf->error = decai__fail(DECAI_E_UNSUPPORTED, "config.json: %s: \"%.40s\" is not supported", key, text);
}

static void
refuse(config *c, const char *key, const char *why)
{
    if (!c->hf->error) c->hf->error = decai__fail(DECAI_E_UNSUPPORTED, "config.json: %s: %s", key, why);
}

/* ---- rotation ----------------------------------------------------------------------------- */

/* Llama 3.1: frequencies of waves longer than the first context are divided by
 * `factor`, those of short ones are not, and those between in proportion. */
static void
llama3_factors(config *c, const decai__json_node *s, double base, uint32_t dim)
{
    double factor = real(c, s, "factor", 1, 1e6, -1), low = real(c, s, "low_freq_factor", 1e-3, 1e6, -1);
    double high = real(c, s, "high_freq_factor", 1e-3, 1e6, -1);
    double old = (double)whole(c, s, "original_max_position_embeddings", 1, UINT32_MAX, UINT64_MAX);
    if (!c->hf->error && !(high > low)) refuse(c, "high_freq_factor", "not above low_freq_factor");
    if (c->hf->error) return;
    double ln = natural_log(base);
    for (uint32_t i = 0; i < dim / 2; i++) {
        double wave = 6.2831853071795865 * natural_exp(ln * (2.0 * i / dim)), f = 1;
        if (wave > old / low) f = factor;
        else if (wave >= old / high) {
            double smooth = (old / wave - low) / (high - low);
            f = 1 / ((1 - smooth) / factor + smooth);
        }
        c->hf->factors[i] = (float)f;
    }
    c->hf->factor_count = dim / 2;
}

static void
yarn(config *c, const decai__json_node *s)
{
    put_text(c->hf, "rope.scaling.type", "yarn");
    put_f32(c->hf, "rope.scaling.factor", real(c, s, "factor", 1, 1e6, -1));
    if (member(s, "original_max_position_embeddings"))
        put_u32(c->hf, "rope.scaling.original_context_length",
            whole(c, s, "original_max_position_embeddings", 1, UINT32_MAX, UINT64_MAX));
    if (member(s, "beta_fast")) put_f32(c->hf, "rope.scaling.yarn_beta_fast", real(c, s, "beta_fast", 1e-3, 1e6, 32));
    if (member(s, "beta_slow")) put_f32(c->hf, "rope.scaling.yarn_beta_slow", real(c, s, "beta_slow", 1e-3, 1e6, 1));
    if (member(s, "mscale") || member(s, "attention_factor")) refuse(c, "rope_scaling", "yarn with a scale of its own");
}

/* "rope_scaling", or what newer files call "rope_parameters". */
static void
scaling(config *c, const decai__json_node *s, double base, uint32_t dim)
{
    const char *type = "default";
    const decai__json_node *n = member(s, "rope_type");
    if (!n) n = member(s, "type");
    if (!s || c->hf->error) return;
    if (n) c->hf->error = decai__json_str(c->doc, n, &type, NULL);
    if (c->hf->error || !strcmp(type, "default")) return;
    if (!strcmp(type, "linear")) {
        put_text(c->hf, "rope.scaling.type", "linear");
        put_f32(c->hf, "rope.scaling.factor", real(c, s, "factor", 1, 1e6, -1));
    } else if (!strcmp(type, "yarn")) yarn(c, s);
    else if (!strcmp(type, "llama3")) llama3_factors(c, s, base, dim);
    else c->hf->error = decai__fail(DECAI_E_UNSUPPORTED, "config.json: rope_scaling: type \"%.40s\" is not supported", type);
}

static void
rotation(config *c, uint32_t head_dim)
{
    const decai__json_node *p = member(c->root, "rope_parameters"), *old = member(c->root, "rope_scaling");
    const decai__json_node *full = member(p, "full_attention"), *local = member(p, "sliding_attention");
    double share = real(c, c->root, "partial_rotary_factor", 0.01, 1, 1);
    uint32_t dim = (uint32_t)(share * head_dim);
    double base = 10000;
    if (full) p = full;
    base = real(c, c->root, "rope_theta", 1, 1e10, base);
    base = real(c, p, "rope_theta", 1, 1e10, base);
    if (!c->hf->error && (dim % 2 || dim < 2)) refuse(c, "partial_rotary_factor", "leaves an odd number of elements");
    put_f32(c->hf, "rope.freq_base", base);
    if (dim != head_dim) put_u32(c->hf, "rope.dimension_count", dim);
    if (c->hf->family == DECAI__HF_GEMMA3)
        put_f32(c->hf, "rope.freq_base_swa", real(c, local, "rope_theta", 1, 1e10,
            real(c, c->root, "rope_local_base_freq", 1, 1e10, 10000)));
    scaling(c, p ? p : old, base, dim);
    /* Rows of q and k as published: pairs are (j, j + dim / 2). */
    if (c->hf->family == DECAI__HF_LLAMA) put_u32(c->hf, "rope.neox", 1);
}

/* ---- families -------------------------------------------------------------------------------- */

static void
token_ids(config *c)
{
    const decai__json_node *eos = member(c->root, "eos_token_id"), *first = eos, *last = NULL;
    uint64_t id;
    if (member(c->root, "bos_token_id"))
        put_u32(c->hf, "tokenizer.ggml.bos_token_id", whole(c, c->root, "bos_token_id", 0, UINT32_MAX, 0));
    if (decai__json_type(eos) == DECAI__JSON_ARRAY) {
        first = decai__json_first(eos);
        for (const decai__json_node *n = first; n; n = decai__json_next(n)) last = n;
    }
    if (first && !c->hf->error && !(c->hf->error = decai__json_u64(c->doc, first, &id))) put_u32(c->hf, "tokenizer.ggml.eos_token_id", id);
    if (last && last != first && !c->hf->error && !(c->hf->error = decai__json_u64(c->doc, last, &id)))
        put_u32(c->hf, "tokenizer.ggml.eot_token_id", id);
}

/* Where a file lists its layers, every `pattern`-th must be the one without window. */
static void
layer_types(config *c, uint64_t pattern)
{
    const decai__json_node *list = member(c->root, "layer_types");
    const char *type;
    uint64_t i = 0;
    for (const decai__json_node *n = decai__json_first(list); n && !c->hf->error; n = decai__json_next(n), i++) {
        c->hf->error = decai__json_str(c->doc, n, &type, NULL);
        if (!c->hf->error && strcmp(type, (i + 1) % pattern ? "sliding_attention" : "full_attention"))
            refuse(c, "layer_types", "not the usual pattern");
    }
}

/* Windows: whose width counts, and in which layers, is the graph's. */
static void
windows(config *c)
{
    int32_t f = c->hf->family;
    uint64_t width = whole(c, c->root, "sliding_window", 0, UINT32_MAX, 0);
    if (f == DECAI__HF_QWEN2 || f == DECAI__HF_QWEN3) {
        if (flag(c, "use_sliding_window", false)) refuse(c, "use_sliding_window", "not supported");
        return;
    }
    if (f == DECAI__HF_GEMMA3 && whole(c, c->root, "sliding_window_pattern", 0, UINT32_MAX, 6) != 6)
        refuse(c, "sliding_window_pattern", "only 6 is supported");
    if (f == DECAI__HF_GEMMA2) layer_types(c, 2);
    if (f == DECAI__HF_GEMMA3) layer_types(c, 6);
    if (width && f != DECAI__HF_GEMMA) put_u32(c->hf, "attention.sliding_window", width);
}

/* Gemma 2 and 3 scale scores by a number of their own; the graph knows one for
 * the largest of each family and the head's size for all others. */
static void
gemma_scale(config *c, uint64_t dim, uint64_t layers, uint64_t heads, uint64_t head_dim)
{
    uint64_t largest = c->hf->family == DECAI__HF_GEMMA2 ? 46 : 62;
    uint64_t usual = layers == largest ? dim / heads : head_dim;
    if (whole(c, c->root, "query_pre_attn_scalar", 1, UINT32_MAX, usual) != usual) refuse(c, "query_pre_attn_scalar", "not the usual one");
    if (member(c->root, "attn_logit_softcapping")) put_f32(c->hf, "attn_logit_softcapping", real(c, c->root, "attn_logit_softcapping", 1e-3, 1e6, 0));
    else if (c->hf->family == DECAI__HF_GEMMA2) put_f32(c->hf, "attn_logit_softcapping", 0);
    if (member(c->root, "final_logit_softcapping")) put_f32(c->hf, "final_logit_softcapping", real(c, c->root, "final_logit_softcapping", 1e-3, 1e6, 0));
    else if (c->hf->family == DECAI__HF_GEMMA2) put_f32(c->hf, "final_logit_softcapping", 0);
}

/* What every family has. */
static void
frame(config *c, uint64_t *dim, uint64_t *layers, uint64_t *heads)
{
    *dim = either(c, "hidden_size", "n_embd", UINT32_MAX / 4, UINT64_MAX);
    *layers = either(c, "num_hidden_layers", "n_layer", 65535, UINT64_MAX);
    *heads = either(c, "num_attention_heads", "n_head", 65535, UINT64_MAX);
    put_u32(c->hf, "context_length", either(c, "max_position_embeddings", "n_positions", UINT32_MAX, UINT64_MAX));
    put_u32(c->hf, "embedding_length", *dim);
    put_u32(c->hf, "block_count", *layers);
    put_u32(c->hf, "feed_forward_length", either(c, "intermediate_size", "n_inner", UINT32_MAX,
        c->hf->family == DECAI__HF_GPT2 ? 4 * *dim : UINT64_MAX));
    put_u32(c->hf, "attention.head_count", *heads);
    put_u32(c->hf, "vocab_size", whole(c, c->root, "vocab_size", 1, UINT32_MAX, UINT64_MAX));
    token_ids(c);
}

static void
decoder(config *c, uint64_t dim, uint64_t layers, uint64_t heads)
{
    decai__hf *hf = c->hf;
    uint64_t kv = whole(c, c->root, "num_key_value_heads", 1, 65535, heads);
    bool gemma = hf->family == DECAI__HF_GEMMA || hf->family == DECAI__HF_GEMMA2 || hf->family == DECAI__HF_GEMMA3;
    uint64_t head_dim = whole(c, c->root, "head_dim", 2, DECAI__HF_HEAD_MAX, gemma ? 256 : DECAI__MAX(dim / heads, (uint64_t)2));
    put_u32(hf, "attention.head_count_kv", kv);
    put_u32(hf, "attention.key_length", head_dim);
    put_u32(hf, "attention.value_length", head_dim);
    put_f32(hf, "attention.layer_norm_rms_epsilon", real(c, c->root, "rms_norm_eps", 1e-12, 1, gemma ? 1e-6 : -1));
    if (hf->family == DECAI__HF_GEMMA2 || hf->family == DECAI__HF_GEMMA3) gemma_scale(c, dim, layers, heads, head_dim);
    rotation(c, (uint32_t)head_dim);
    windows(c);
    need_word(c, c->root, gemma && member(c->root, "hidden_activation") ? "hidden_activation" : "hidden_act",
        gemma ? "|gelu|gelu_pytorch_tanh|" : "|silu|swish|");
}

static void
gpt2(config *c)
{
    put_f32(c->hf, "attention.layer_norm_epsilon", real(c, c->root, "layer_norm_epsilon", 1e-12, 1, 1e-5));
    need_word(c, c->root, "activation_function", "|gelu_new|gelu_pytorch_tanh|");
    if (flag(c, "scale_attn_by_inverse_layer_idx", false)) refuse(c, "scale_attn_by_inverse_layer_idx", "not supported");
    if (!flag(c, "scale_attn_weights", true)) refuse(c, "scale_attn_weights", "only true is supported");
}

/* Sentence-transformers keep the pooling in a file of its own. */
static void
pooling(config *c, const char *folder)
{
    static const struct { const char *key; uint32_t type; } MODE[] = { { "pooling_mode_mean_tokens", 1 },
        { "pooling_mode_cls_token", 2 }, { "pooling_mode_lasttoken", 3 } };
    char path[PATH_CAP];
    decai__buf text;
    config p = { .hf = c->hf };
    size_t len = strlen(folder);
    uint64_t size;
    int32_t kind;
    memcpy(path, folder, len);
    memcpy(path + len, "1_Pooling/config.json", 22);
    /* No such file: the model does not say, and the engine has its own default. */
    if (c->hf->error || decai__file_kind(path, &kind, &size)) return;
    decai__buf_init(&text, c->hf->ctx, CONFIG_MAX, "1_Pooling/config.json");
    c->hf->error = decai__file_text(path, &text);
    if (!c->hf->error) c->hf->error = decai__json_parse(c->hf->ctx, &p.doc, (const char *)text.data, text.len);
    if (!c->hf->error) {
        uint32_t type = 0, modes = 0;
        p.root = decai__json_root(p.doc);
        for (size_t i = 0; i < DECAI__COUNT(MODE); i++)
            if (flag(&p, MODE[i].key, false)) type = MODE[i].type, modes++;
        if (flag(&p, "pooling_mode_max_tokens", false) || flag(&p, "pooling_mode_mean_sqrt_len_tokens", false) || modes > 1)
            refuse(&p, "1_Pooling", "this kind of pooling is not supported");
        if (modes == 1) put_u32(c->hf, "pooling_type", type);
    }
    decai__json_free(p.doc);
    decai__buf_free(&text);
}

static void
encoder(config *c, const char *folder)
{
    bool nomic = c->hf->family == DECAI__HF_NOMIC_BERT;
    put_f32(c->hf, "attention.layer_norm_epsilon",
        real(c, c->root, member(c->root, "layer_norm_epsilon") ? "layer_norm_epsilon" : "layer_norm_eps", 1e-12, 1, 1e-12));
    put_bool(c->hf, "attention.causal", false);
    put_u32(c->hf, "token_type_count", whole(c, c->root, "type_vocab_size", 1, 65536, 2));
    if (flag(c, "is_decoder", false) || flag(c, "causal", false)) refuse(c, "is_decoder", "not supported");
    if (!nomic) {
        need_word(c, c->root, "position_embedding_type", "|absolute|");
        need_word(c, c->root, "hidden_act", "|gelu|");
    } else {
        need_word(c, c->root, "activation_function", "|swiglu|");
        need_word(c, c->root, "hidden_act", "|silu|");
        if (flag(c, "prenorm", false) || flag(c, "parallel_block", false) || flag(c, "rotary_emb_interleaved", false)
            || real(c, c->root, "rotary_emb_fraction", 0, 1, 1) < 1 || member(c->root, "rotary_scaling_factor"))
            refuse(c, "prenorm, parallel_block or rotary_emb", "not the usual ones");
        put_f32(c->hf, "rope.freq_base", real(c, member(c->root, "rope_parameters"), "rope_theta", 1, 1e10,
            real(c, c->root, "rotary_emb_base", 1, 1e10, 1000)));
    }
    pooling(c, folder);
}

static void
choose(config *c)
{
    static const struct { const char *type, *arch; int32_t family; } FAMILY[] = {
        { "llama", "llama", DECAI__HF_LLAMA }, { "mistral", "llama", DECAI__HF_LLAMA }, { "qwen2", "qwen2", DECAI__HF_QWEN2 },
        { "qwen3", "qwen3", DECAI__HF_QWEN3 }, { "gemma", "gemma", DECAI__HF_GEMMA }, { "gemma2", "gemma2", DECAI__HF_GEMMA2 },
        { "gemma3_text", "gemma3", DECAI__HF_GEMMA3 }, { "phi3", "phi3", DECAI__HF_PHI3 }, { "gpt2", "gpt2", DECAI__HF_GPT2 },
        { "bert", "bert", DECAI__HF_BERT }, { "nomic_bert", "nomic-bert", DECAI__HF_NOMIC_BERT },
    };
    const char *type;
    c->hf->error = decai__json_get_str(c->doc, c->root, "model_type", &type, NULL);
    if (c->hf->error) return;
    for (size_t i = 0; i < DECAI__COUNT(FAMILY); i++)
        if (!strcmp(type, FAMILY[i].type)) {
            c->hf->arch = FAMILY[i].arch;
            c->hf->family = FAMILY[i].family;
            return;
        }
    c->hf->error = decai__fail(DECAI_E_UNSUPPORTED, "config.json: model_type: \"%.40s\" is not supported", type);
}

static void
families(config *c, const char *folder, uint64_t dim, uint64_t layers, uint64_t heads)
{
    switch (c->hf->family) {
    case DECAI__HF_BERT: case DECAI__HF_NOMIC_BERT: encoder(c, folder); break;
    case DECAI__HF_GPT2: gpt2(c); break;
    default: decoder(c, dim, layers, heads);
    }
}

int32_t
decai__hf_read(decai__hf *hf, const char *folder)
{
    char path[PATH_CAP];
    decai__buf text;
    config c = { .hf = hf };
    size_t len = strlen(folder);
    decai__assert(len <= DECAI_MODEL_PATH_MAX);
    memcpy(path, folder, len);
    memcpy(path + len, "config.json", 12);
    decai__buf_init(&text, hf->ctx, CONFIG_MAX, "config.json");
    hf->error = decai__file_text(path, &text);
    if (!hf->error) hf->error = decai__json_parse(hf->ctx, &c.doc, (const char *)text.data, text.len);
    if (!hf->error) {
        c.root = decai__json_root(c.doc);
        choose(&c);
    }
    if (!hf->error) {
        put_text(hf, "general.architecture", hf->arch);
        if (member(c.root, "quantization_config")) refuse(&c, "quantization_config", "only float weights are read");
        hf->tied = flag(&c, "tie_word_embeddings", true);
        uint64_t dim, layers, heads;
        frame(&c, &dim, &layers, &heads);
        if (!hf->error) families(&c, folder, dim, layers, heads);
    }
    decai__json_free(c.doc);
    decai__buf_free(&text);
    return hf->error;
}
