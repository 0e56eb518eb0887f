/* rules.c - from names to rules: which pattern, which flags.
 *
 * tokenizer.ggml.model names the algorithm, tokenizer.ggml.pre the pattern of a
 * byte-level BPE. The names are those that llama.cpp's converter writes
 * (conversion/base.py); what each means is in the models' own tokenizer.json. */
#include <string.h>

#include "hash/hash.h"
#include "tok/internal.h"

#define KEY "tokenizer.ggml."

static const struct named { const char *name; uint8_t pre, ignore_merges, add_bos; } NAMED[] = {
    { "gpt-2", DECAI__PRE_GPT2, 0, 0 }, { "phi-2", DECAI__PRE_GPT2, 0, 0 }, { "mpt", DECAI__PRE_GPT2, 0, 0 },
    { "olmo", DECAI__PRE_GPT2, 0, 0 }, { "jais", DECAI__PRE_GPT2, 0, 0 }, { "modern-bert", DECAI__PRE_GPT2, 0, 0 },
    { "jina-es", DECAI__PRE_GPT2, 0, 0 }, { "jina-de", DECAI__PRE_GPT2, 0, 0 }, { "jina-v2-es", DECAI__PRE_GPT2, 0, 0 },
    { "jina-v2-de", DECAI__PRE_GPT2, 0, 0 }, { "gigachat", DECAI__PRE_GPT2, 0, 0 }, { "a.x-4.0", DECAI__PRE_GPT2, 0, 0 },
    { "mellum", DECAI__PRE_GPT2, 0, 0 }, { "exaone4", DECAI__PRE_GPT2, 0, 0 }, { "trillion", DECAI__PRE_GPT2, 0, 0 },
    { "granite-docling", DECAI__PRE_GPT2, 0, 0 },
    { "smollm", DECAI__PRE_DIGITS, 0, 0 }, { "starcoder", DECAI__PRE_DIGITS, 0, 0 }, { "refact", DECAI__PRE_DIGITS, 0, 0 },
    { "command-r", DECAI__PRE_DIGITS, 0, 0 }, { "codeshell", DECAI__PRE_DIGITS, 0, 0 }, { "exaone", DECAI__PRE_DIGITS, 0, 0 },
    { "minerva-7b", DECAI__PRE_DIGITS, 0, 0 }, { "mellum2", DECAI__PRE_DIGITS, 0, 0 },
    { "llama-bpe", DECAI__PRE_LLAMA3, 1, 1 }, { "llama3", DECAI__PRE_LLAMA3, 1, 1 }, { "llama-v3", DECAI__PRE_LLAMA3, 1, 1 },
    { "falcon3", DECAI__PRE_LLAMA3, 1, 1 }, { "falcon-h1", DECAI__PRE_LLAMA3, 1, 1 }, { "pixtral", DECAI__PRE_LLAMA3, 1, 1 },
    { "midm-2.0", DECAI__PRE_LLAMA3, 1, 1 }, { "lfm2", DECAI__PRE_LLAMA3, 1, 1 }, { "jina-v5-nano", DECAI__PRE_LLAMA3, 1, 1 },
    { "dbrx", DECAI__PRE_LLAMA3, 0, 0 }, { "smaug-bpe", DECAI__PRE_LLAMA3, 0, 0 }, { "chatglm-bpe", DECAI__PRE_LLAMA3, 0, 0 },
    { "glm4", DECAI__PRE_LLAMA3, 1, 0 }, { "glm5", DECAI__PRE_LLAMA3, 1, 0 },
    { "qwen2", DECAI__PRE_QWEN2, 0, 0 }, { "deepseek-r1-qwen", DECAI__PRE_QWEN2, 0, 0 }, { "kormo", DECAI__PRE_QWEN2, 0, 0 },
    { "f2llmv2", DECAI__PRE_QWEN2, 0, 0 }, { "stablelm2", DECAI__PRE_QWEN2, 0, 0 }, { "megrez", DECAI__PRE_QWEN2, 0, 0 },
    { "hunyuan", DECAI__PRE_QWEN2, 0, 0 }, { "solar-open", DECAI__PRE_QWEN2, 0, 0 }, { "grok-2", DECAI__PRE_QWEN2, 0, 0 },
    { "qwen35", DECAI__PRE_QWEN35, 0, 0 }, { "ufakzeka", DECAI__PRE_PLAIN_QWEN, 0, 0 }, { "laguna", DECAI__PRE_LINES_QWEN, 0, 0 },
    { "minicpm5", DECAI__PRE_MINICPM, 1, 0 }, { "seed-coder", DECAI__PRE_SEED, 0, 0 },
    { "bailingmoe", DECAI__PRE_BAILING, 0, 0 }, { "bailingmoe2", DECAI__PRE_BAILING, 0, 0 }, { "llada-moe", DECAI__PRE_BAILING, 0, 0 },
    { "gpt-4o", DECAI__PRE_O200K, 0, 0 }, { "llama4", DECAI__PRE_O200K, 0, 0 }, { "kanana2", DECAI__PRE_O200K, 0, 0 },
    { "talkie", DECAI__PRE_O200K, 0, 0 }, { "minimax-m2", DECAI__PRE_O200K, 0, 0 },
    { "granite-embed-multi-97m", DECAI__PRE_GRANITE, 1, 0 }, { "tekken", DECAI__PRE_TEKKEN, 1, 1 },
    { "tiny_aya", DECAI__PRE_TINY_AYA, 0, 0 }, { "cohere2moe", DECAI__PRE_TINY_AYA, 0, 0 }, { "kimi-k2", DECAI__PRE_KIMI, 0, 0 },
    { "deepseek-llm", DECAI__PRE_DEEPSEEK_LLM, 0, 0 }, { "deepseek-coder", DECAI__PRE_DEEPSEEK_CODER, 0, 0 },
    { "deepseek-v3", DECAI__PRE_DEEPSEEK3, 0, 0 }, { "hunyuan-dense", DECAI__PRE_DEEPSEEK3, 0, 0 },
    { "hy_v4", DECAI__PRE_DEEPSEEK3, 0, 0 }, { "joyai-llm", DECAI__PRE_DEEPSEEK3, 0, 0 },
    { "falcon", DECAI__PRE_FALCON, 0, 0 }, { "default", DECAI__PRE_PUNCT, 0, 0 },
    { "poro-chat", DECAI__PRE_BLOOM, 0, 0 }, { "bloom", DECAI__PRE_BLOOM, 0, 0 }, { "gpt3-finnish", DECAI__PRE_BLOOM, 0, 0 },
    { "viking", DECAI__PRE_VIKING, 0, 0 }, { "superbpe", DECAI__PRE_SUPERBPE, 0, 0 },
    { "jais-2", DECAI__PRE_JAIS2, 0, 0 }, { "youtu", DECAI__PRE_YOUTU, 1, 0 }, { "exaone-moe", DECAI__PRE_EXAONE_MOE, 0, 0 },
    { "afmoe", DECAI__PRE_AFMOE, 0, 0 }, { "spark2_5", DECAI__PRE_SPARK, 0, 0 }, { "chameleon", DECAI__PRE_CHAMELEON, 0, 1 },
};

static bool
is(const char *text, size_t len, const char *name)
{
    return text && strlen(name) == len && !memcmp(text, name, len);
}

static int32_t
find_pre(decai__rules *out, const char *pre, size_t len)
{
    for (size_t i = 0; i < DECAI__COUNT(NAMED); i++)
        if (is(pre, len, NAMED[i].name)) {
            out->pre = (enum decai__pre)NAMED[i].pre;
            out->ignore_merges = NAMED[i].ignore_merges;
            out->add_bos = NAMED[i].add_bos;
            return 0;
        }
    if (is(pre, len, "gemma4") || is(pre, len, "granite-embed-multi-311m") || is(pre, len, "sarvam-moe")) {
        out->family = DECAI__BPE_RAW;
        out->pre = DECAI__PRE_LINES;
        out->add_bos = pre[0] == 'g';
        return 0;
    }
    if (is(pre, len, "jina-v1-en") || is(pre, len, "jina-v2-code") || is(pre, len, "roberta-bpe")) {
        out->pre = DECAI__PRE_GPT2;
        out->add_sep = true;
        return 0;
    }
    return decai__fail(DECAI_E_UNSUPPORTED, KEY "pre: this pre-tokenizer is not known, and no other would give the right "
        "tokens; use a file whose model has a tokenizer.json and load that, or a newer version of this library");
}

int32_t
decai__rules_find(decai__rules *out, const char *model, size_t model_len, const char *pre, size_t pre_len)
{
    *out = (decai__rules){ .family = DECAI__BPE, .pre = DECAI__PRE_COUNT };
    if (is(model, model_len, "gpt2")) return pre ? find_pre(out, pre, pre_len) : 0;
    out->pre = DECAI__PRE_NONE;
    if (is(model, model_len, "llama")) {
        out->family = DECAI__SPM;
        out->add_bos = out->space_prefix = true;
    } else if (is(model, model_len, "bert")) {
        out->family = DECAI__WPM;
        out->add_bos = out->add_sep = out->lower = out->strip = out->clean = out->cjk = true;
    } else if (is(model, model_len, "t5")) {
        out->family = DECAI__UGM;
        out->add_eos = out->space_prefix = true;
    } else if (is(model, model_len, "rwkv")) {
        out->family = DECAI__RWKV;
    } else if (is(model, model_len, "gemma4")) {
        out->family = DECAI__BPE_RAW;
        out->pre = DECAI__PRE_LINES;
        out->add_bos = true;
    } else {
        return decai__fail(DECAI_E_UNSUPPORTED, KEY "model: not one of gpt2, llama, bert, t5, rwkv, gemma4; use a model of "
            "one of these kinds");
    }
    return 0;
}

const char *
decai__family_name(enum decai__family family)
{
    static const char *const NAME[] = { "gpt2", "gemma4", "llama", "bert", "t5", "rwkv" };
    return NAME[family];
}

const char *
decai__pre_name(const decai__rules *rules)
{
    for (size_t i = 0; rules->family == DECAI__BPE && i < DECAI__COUNT(NAMED); i++)
        if (NAMED[i].pre == rules->pre && NAMED[i].ignore_merges == rules->ignore_merges && NAMED[i].add_bos == rules->add_bos)
            return NAMED[i].name;
    for (size_t i = 0; rules->family == DECAI__BPE && i < DECAI__COUNT(NAMED); i++)
        if (NAMED[i].pre == rules->pre && NAMED[i].ignore_merges == rules->ignore_merges) return NAMED[i].name;
    return rules->family == DECAI__BPE ? NULL : "default";
}
