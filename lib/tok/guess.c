/* guess.c - the pattern of a byte-level BPE whose file does not name it.
 *
 * The converter that writes tokenizer.ggml.pre knows a model by the ids its own
 * tokenizer gives a certain text: the SHA-256 of their list as Python prints it.
 * Here every pattern is tried on that text, with and without the begin and end
 * tokens; one whose ids have a digest of the list, under its own name, is the
 * right one. Nothing else is taken: a wrong pattern gives almost right tokens.
 *
 * Text and digests (their first eight bytes): llama.cpp, conversion/base.py; the
 * last row is a vocabulary that it publishes without a name. */
#include <stdio.h>

#include "hash/hash.h"
#include "tok/internal.h"

static const char PROBE[] =
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n\xf0\x9f\x9a\x80 (normal) \xf0\x9f\x98\xb6\xe2\x80\x8d"
    "\xf0\x9f\x8c\xab\xef\xb8\x8f (multiple emojis concatenated) \xe2\x9c\x85 \xf0\x9f\xa6\x99\xf0\x9f\xa6\x99"
    " 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 \xe1\x9e\x80\xe1\x9e\xb6\xe1\x9e\x93\xe1\x9f"
    "\x8b\xe1\x9e\x8f\xe1\x9f\x82\xe1\x9e\x96\xe1\x9e\xb7\xe1\x9e\x9f\xe1\x9f\x81\xe1\x9e\x9f\xe1\x9e\xa2\xe1"
    "\x9e\xb6\xe1\x9e\x85\xf0\x9f\x98\x81 ?\xe6\x88\x91\xe6\x83\xb3\xe5\x9c\xa8" "apple\xe5\xb7\xa5\xe4\xbd"
    "\x9c" "1314151\xe5\xa4\xa9\xef\xbd\x9e ------======= \xd0\xbd\xd0\xb5\xd1\x89\xd0\xbe \xd0\xbd\xd0\xb0 "
    "\xd0\x91\xd1\x8a\xd0\xbb\xd0\xb3\xd0\xb0\xd1\x80\xd1\x81\xd0\xba\xd0\xb8 ''''''```````\"\"\"\"......!!!!!"
    "!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a"
    "'lL";

static const struct { uint64_t digest; const char *pre; } KNOWN[] = {
    { 0xb6e8e1518dc4305bu, "chatglm-bpe" }, { 0x81d72c7348a9f0ebu, "chatglm-bpe" },
    { 0xa1336059768a55c9u, "glm4" }, { 0x9ca2dd618e8afaf0u, "glm4" },
    { 0xcdf5f35325780597u, "glm4" }, { 0x1431a23e583c9743u, "minerva-7b" },
    { 0x7e57df22b1fe23a7u, "hunyuan" }, { 0xbba3b3366b646dbdu, "hunyuan-dense" },
    { 0xe6ddf9c6686791c1u, "hy_v4" }, { 0xa6b57017d60e6edbu, "falcon-h1" },
    { 0x60476e1243776c4fu, "falcon-h1" }, { 0x3eda48b4c4dc7de7u, "falcon-h1" },
    { 0x48f8e02c0359c0bbu, "falcon-h1" }, { 0x81212dc7cdb7e0c1u, "kimi-k2" },
    { 0xd4540891389ea895u, "qwen2" }, { 0x1444df51289cfa80u, "qwen35" },
    { 0x66b8d4e19ab16c3bu, "grok-2" }, { 0xb3d1dd861f1d4c5cu, "jina-v2-de" },
    { 0x0fe1cf6eda062318u, "gpt-2" }, { 0x9e454714343b69b9u, "lfm2" },
    { 0x0ef9807a4087ebefu, "llama-bpe" }, { 0x049ecf7629871e30u, "deepseek-llm" },
    { 0x347715f544604f91u, "deepseek-coder" }, { 0x8aeee3860c56296au, "falcon" },
    { 0x9d032fcbd5501f4au, "falcon3" }, { 0xb6dc8df998e1cfbdu, "mpt" },
    { 0x35d91631860c815fu, "starcoder" }, { 0x3ce83efda5659b07u, "gpt-2" },
    { 0x32d85c31273f8019u, "stablelm2" }, { 0x6221ad2852e85ce9u, "refact" },
    { 0x9c2227e4dd922002u, "command-r" }, { 0xd772b220ace2baecu, "tiny_aya" },
    { 0x52df12b4c8d4176eu, "cohere2moe" }, { 0xe636dc30a262dcc0u, "qwen2" },
    { 0xa8594e3edff7c29cu, "dbrx" }, { 0x171aeeedd6fb548du, "jina-v2-es" },
    { 0x27949a2493fc4a9fu, "jina-v2-de" }, { 0xa023e9fdc5a11f03u, "jina-v5-nano" },
    { 0xc136ed14d01c2745u, "smaug-bpe" }, { 0xc7ea5862a53e4272u, "poro-chat" },
    { 0x7fc505bd3104ca10u, "viking" }, { 0xb53802fb28e26d64u, "jais" },
    { 0x7b3e7548e4308f52u, "codeshell" }, { 0x63b97e4253352e6fu, "tekken" },
    { 0x855059429035d75au, "smollm" }, { 0x3c30d3ad1d6b6420u, "bloom" },
    { 0xbc01ce58980e1db4u, "gpt3-finnish" }, { 0x4e2b24cc4770243du, "exaone" },
    { 0xfcace8b9cac38ce8u, "phi-2" }, { 0xad851be1dba641f2u, "gigachat" },
    { 0xd4c8f286ea6b520bu, "megrez" }, { 0x877081d19cf6996eu, "deepseek-v3" },
    { 0xb3f499bb4255f8cau, "deepseek-r1-qwen" }, { 0xccc2ef013c104be7u, "gpt-4o" },
    { 0x7dec86086fcc38b6u, "superbpe" }, { 0x1994ffd01900cfb3u, "trillion" },
    { 0x96a5f08be6259352u, "bailingmoe" }, { 0xd353350c764d8c3bu, "llama4" },
    { 0x0e9433cbbb161f89u, "pixtral" }, { 0xd5f1dd6f980fec56u, "seed-coder" },
    { 0xb0a6b1c0bd5998ebu, "a.x-4.0" }, { 0xf6791d196f87ce6bu, "midm-2.0" },
    { 0x169bf0296a13c4d9u, "lfm2" }, { 0x2085e1638f6c377au, "exaone4" },
    { 0xa1e163ecab2e718au, "mellum" }, { 0xa0b64b4385f12366u, "modern-bert" },
    { 0x9b1be57e70d20d95u, "bailingmoe2" }, { 0x53e325976a6e1423u, "granite-docling" },
    { 0xf4f37b6c8eb9ea29u, "minimax-m2" }, { 0x4a2e2abae11ca2b8u, "kormo" },
    { 0x16389f0a1f51ee53u, "solar-open" }, { 0xd30d75d9059f1aa2u, "qwen35" },
    { 0xb4b8ca1f9769494fu, "joyai-llm" }, { 0xe4d54df1ebc1f2b9u, "kanana2" },
    { 0x862f827721df9560u, "f2llmv2" }, { 0xf728162c1315c26eu, "talkie" },
    { 0x36f3066e97b7f399u, "minicpm5" }, { 0xf241072145675bf8u, "granite-embed-multi-97m" },
    { 0x9dcf830ee9990cdbu, "mellum2" }, { 0x972da7b59cec44d1u, "laguna" },
    { 0x653660222fb704f6u, "ufakzeka" }, { 0xbc5108ee1eb6a3d6u, "jais-2" },
    { 0x9d70134b369a70e5u, "youtu" }, { 0x6c81ce329e080288u, "exaone-moe" },
    { 0x49fc0303c9e0d2c2u, "afmoe" },
    { 0x6d68804d309c10dfu, "gpt-2" },    /* Aquila 7B */
};

static uint64_t
digest_of(decai_context *ctx, const int32_t *ids, size_t count)
{
    uint8_t out[32];
    char text[(sizeof PROBE + 2) * 13];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? ", " : "[", ids[i]);
    text[len++] = ']';
    return decai__sha256(ctx, out, text, len) ? 0 : decai__load_be64(out);
}

/* ids[1 .. count + 1) are the text's; places for tokens around it are there. */
static const char *
known_as(const decai_tokenizer *t, int32_t *ids, size_t count)
{
    int32_t bos = t->special[DECAI__BOS], eos = t->special[DECAI__EOS];
    ids[0] = bos;
    ids[count + 1] = eos;
    /* With the begin token first: Llama 3 is more than its pattern. */
    for (int i = 0; i < 4; i++) {
        int around = i ^ 1;
        if ((around & 1 && bos < 0) || (around & 2 && eos < 0)) continue;
        uint64_t d = digest_of(t->h.context, ids + !(around & 1), count + (around & 1) + (around >> 1));
        for (size_t k = 0; k < DECAI__COUNT(KNOWN); k++)
            if (KNOWN[k].digest == d) return KNOWN[k].pre;
    }
    return NULL;
}

int32_t
decai__rules_guess(decai_tokenizer *t)
{
    int32_t ids[sizeof PROBE + 2], r = 0;
    for (int pre = 0; pre < DECAI__PRE_COUNT; pre++) {
        for (int whole = 0; whole < 2; whole++) {
            decai__ids out = { .ctx = t->h.context, .data = ids + 1, .cap = sizeof PROBE, .borrowed = true };
            decai__rules rules;
            t->rules.pre = (enum decai__pre)pre;
            t->rules.ignore_merges = whole;
            memset(t->stable, 0, t->count * sizeof *t->stable);
            r = decai__encode(t, &out, (const uint8_t *)PROBE, sizeof PROBE - 1, 0);
            if (r == DECAI_E_NOMEM) return r;
            const char *name = r ? NULL : known_as(t, ids, out.len);
            if (!name || decai__rules_find(&rules, "gpt2", 4, name, strlen(name)) || (int)rules.pre != pre) continue;
            t->rules = rules;
            return 0;
        }
    }
    return decai__fail(DECAI_E_UNSUPPORTED, "tokenizer.ggml.pre: missing, and the ids of the known text fit no pattern; "
        "convert the model again with a converter that writes it, or load its tokenizer.json");
}
