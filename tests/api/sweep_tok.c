/* sweep_tok.c - tok's rows of the allocation sweep. */
#include <stdlib.h>
#include <string.h>

#include "support_gguf.h"
#include "sweep.h"

typedef struct sample { decai_model *model; decai_tokenizer *tokenizer; decai_template *tmpl; } sample;

static const char template_text[] = "{{ bos_token }}{% for m in messages %}{{ m.role|upper ~ m|tojson }}{% endfor %}";

static int32_t
setup(decai_context *ctx, void **state)
{
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    sample *s = calloc(1, sizeof *s);
    if (!s) return DECAI_E_NOMEM;
    *state = s;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    gguf_end(&w, &bytes, &len);
    int32_t r = decai_model_open(&s->model, ctx, bytes, len, NULL);
    free(bytes);
    if (!r) r = decai_tokenizer_create(&s->tokenizer, s->model, NULL);
    return r ? r : decai_template_create(&s->tmpl, ctx, s->model, template_text, sizeof template_text - 1, NULL);
}

static void
teardown(decai_context *ctx, void *state)
{
    sample *s = state;
    (void)ctx;
    if (!s) return;
    decai_destroy(s->model);
    decai_destroy(s->tokenizer);
    decai_destroy(s->tmpl);
    free(s);
}

static int32_t
create(decai_context *ctx, void *state)
{
    decai_tokenizer *t;
    (void)ctx;
    int32_t r = decai_tokenizer_create(&t, ((sample *)state)->model, NULL);
    decai_destroy(t);
    return r;
}

static int32_t
look_ups(decai_context *ctx, void *state)
{
    const decai_tokenizer *t = ((sample *)state)->tokenizer;
    uint8_t out[32];
    uint64_t count;
    size_t len;
    int32_t token, kind;
    (void)ctx;
    int32_t r = decai_tokenizer_hash_get(t, out, 32);
    if (!r) r = decai_tokenizer_count(t, &count);
    if (!r) r = decai_tokenizer_id_get(t, &token, (const uint8_t *)"hello", 5);
    if (!r) r = decai_tokenizer_token_get(t, out, sizeof out, &len, &kind, token);
    if (!r) r = decai_tokenizer_special_get(t, &token, "bos");
    return r;
}

static int32_t
encode(decai_context *ctx, void *state)
{
    const decai_tokenizer *t = ((sample *)state)->tokenizer;
    static const char BEGIN[] = "hello<|end|> the world ";
    uint8_t text[1024];
    int32_t ids[1024];
    size_t n;
    (void)ctx;
    /* Long enough for a table of pieces, and one piece that is merged by the heap. */
    memset(text, 'a', sizeof text);
    memcpy(text, BEGIN, sizeof BEGIN - 1);
    return decai_tokenizer_encode(t, ids, 1024, &n, text, sizeof text, DECAI_ENCODE_SPECIAL | DECAI_ENCODE_ADD);
}

static int32_t
decode(decai_context *ctx, void *state)
{
    const decai_tokenizer *t = ((sample *)state)->tokenizer;
    const int32_t ids[] = { 'a', 'b', 260, SUPPORT_VOCAB_MIN - 1 };
    uint8_t out[64];
    size_t n;
    (void)ctx;
    return decai_tokenizer_decode(t, out, sizeof out, &n, ids, 4, DECAI_DECODE_SPECIAL);
}

static int32_t
batch(decai_context *ctx, void *state)
{
    const decai_tokenizer *t = ((sample *)state)->tokenizer;
    const uint64_t text_ends[] = { 5, 12 };
    int32_t ids[64];
    uint64_t ends[64], rows[2];
    size_t n, m, k;
    (void)ctx;
    return decai_tokenizer_batch_encode(t, ids, 64, &n, ends, 64, &m, rows, 2, &k, (const uint8_t *)"hello the th", 12, text_ends,
        2, 16, DECAI_ENCODE_ADD);
}

/* A tokenizer.json with a normalizer, and tokens that ask for something. */
static int32_t
asked_of(decai_context *ctx)
{
    static const char JSON[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\\u00c3\":1,\"\\u00a9\":2},\"merges\":[]},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":"
        "[{\"id\":3,\"content\":\"<x>\",\"lstrip\":true,\"normalized\":true,\"special\":false},"
        "{\"id\":4,\"content\":\"<y>\",\"special\":false}]}";
    static const char TEXT[] = "ae\xcc\x81 <x>a<y>e\xcc\x81";
    const uint64_t end = sizeof TEXT - 1;
    decai_tokenizer *t;
    static uint8_t out[4096];
    int32_t ids[16];
    uint64_t ends[16], rows[1];
    size_t n, m, k;
    int32_t r = decai_tokenizer_open(&t, ctx, (const uint8_t *)JSON, sizeof JSON - 1, NULL);
    if (!r) r = decai_tokenizer_batch_encode(t, ids, 16, &n, ends, 16, &m, rows, 1, &k, (const uint8_t *)TEXT, sizeof TEXT - 1, &end, 1, 0, 0);
    if (!r) r = decai_tokenizer_format(t, out, sizeof out, &n, "gguf");
    decai_destroy(t);
    return r;
}

/* To JSON, and a tokenizer of that; to GGUF. */
static int32_t
files(decai_context *ctx, void *state)
{
    const decai_tokenizer *t = ((sample *)state)->tokenizer;
    decai_tokenizer *again = NULL;
    static uint8_t out[1 << 20];
    size_t n;
    int32_t r = decai_tokenizer_format(t, out, sizeof out, &n, "json");
    if (!r) r = decai_tokenizer_open(&again, ctx, out, n, NULL);
    if (!r) r = decai_tokenizer_format(t, out, sizeof out, &n, "gguf");
    decai_destroy(again);
    return r ? r : asked_of(ctx);
}

static int32_t
stream(decai_context *ctx, void *state)
{
    decai_token_stream *s;
    uint8_t out[64];
    size_t n;
    (void)ctx;
    int32_t index, r = decai_token_stream_create(&s, ((sample *)state)->tokenizer, 0);
    if (!r) r = decai_token_stream_stop_add(s, (const uint8_t *)"stop", 4);
    if (!r) r = decai_token_stream_add(s, out, sizeof out, &n, 0xe4);
    if (!r) r = decai_token_stream_add(s, out, sizeof out, &n, DECAI_TOKEN_END);
    if (!r) r = decai_token_stream_stop_get(s, &index);
    decai_destroy(s);
    return r;
}

static int32_t
template_create(decai_context *ctx, void *state)
{
    decai_template *t;
    int32_t r = decai_template_create(&t, ctx, ((sample *)state)->model, template_text, sizeof template_text - 1, NULL);
    decai_destroy(t);
    return r;
}

static int32_t
template_format(decai_context *ctx, void *state)
{
    static const char json[] = "[{\"role\":\"us\\u00e9r\",\"content\":[1.5,null]},{\"role\":\"b\"}]";
    uint8_t out[256];
    size_t n;
    (void)ctx;
    return decai_template_format(((sample *)state)->tmpl, out, sizeof out, &n, json, sizeof json - 1);
}

static const char grammar_text[] = "root ::= \"hello \" (list | [a-c\\u00e0-\\u0fff]{2,3} root?)\nlist ::= list \",\" list | [0-9]+";

/* A grammar, and a text under it. */
static int32_t
grammar(decai_context *ctx, void *state)
{
    const decai_tokenizer *t = ((sample *)state)->tokenizer;
    const int32_t tokens[] = { 'h', 'e', 'l', 'l', 'o', ' ', '1', ',' };
    decai_grammar *g;
    decai_matcher *m = NULL;
    uint8_t out[64];
    uint64_t taken;
    size_t n;
    int32_t complete;
    (void)ctx;
    int32_t r = decai_grammar_create(&g, t, "gbnf", grammar_text, sizeof grammar_text - 1, NULL);
    if (!r) r = decai_matcher_create(&m, g);
    if (!r) r = decai_matcher_forced_get(m, out, sizeof out, &n, &complete);
    for (size_t i = 0; i < 8 && !r; i++) {
        r = decai_matcher_mask_get(m, out, sizeof out, &n);
        if (!r) r = decai_matcher_add(m, &taken, tokens + i, 1);
    }
    if (!r) r = decai_matcher_remove(m, 2);
    decai_destroy(m);
    decai_destroy(g);
    return r;
}

static const char schema_text[] = "{\"$defs\":{\"s\":{\"type\":\"string\",\"maxLength\":3}},\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/s\"},"
    "\"b\":{\"type\":\"array\",\"items\":{\"enum\":[1,\"x\"]},\"maxItems\":2},\"c\":{\"type\":\"integer\",\"minimum\":-3,\"maximum\":70}},"
    "\"additionalProperties\":{\"anyOf\":[{\"pattern\":\"^a|b$\"},{\"type\":\"number\"}]}}";

static int32_t
schema(decai_context *ctx, void *state)
{
    decai_grammar *g;
    (void)ctx;
    int32_t r = decai_grammar_create(&g, ((sample *)state)->tokenizer, "json_schema", schema_text, sizeof schema_text - 1, NULL);
    decai_destroy(g);
    return r;
}

static int32_t
tools(decai_context *ctx, void *state)
{
    static const char text[] = "{\"format\":\"qwen3-coder\",\"tools\":[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"integer\"}}}}]}",
        whole[] = "{\"format\":\"hermes\",\"whole\":true,\"tools\":[{\"name\":\"f\",\"strict\":true}]}";
    decai_grammar *g;
    (void)ctx;
    int32_t r = decai_grammar_create(&g, ((sample *)state)->tokenizer, "tools", text, sizeof text - 1, NULL);
    decai_destroy(g);
    if (!r) r = decai_grammar_create(&g, ((sample *)state)->tokenizer, "tools", whole, sizeof whole - 1, NULL);
    if (!r) decai_destroy(g);
    return r;
}

static int32_t
answer(decai_context *ctx, void *state)
{
    static const char text[] = "<think>a</think>b<tool_call><function=f><parameter=x>1</parameter><parameter=y>z</parameter></function></tool_call>";
    uint8_t out[512];
    decai_template *t;
    size_t n;
    (void)state;
    int32_t r = decai_template_create(&t, ctx, NULL, "<tool_call>", 11, NULL);
    if (!r) r = decai_template_calls_get(t, out, sizeof out, &n);
    decai_destroy(t);
    return r ? r : decai_answer_parse(ctx, out, sizeof out, &n, "qwen3-coder", text, sizeof text - 1, DECAI_ANSWER_PARTIAL);
}

static int32_t
answer_pieces(decai_context *ctx, void *state)
{
    static const char text[] = "<think>a</think>b<tool_call><function=f><parameter=x>1</parameter><parameter=y>z</parameter></function></tool_call>",
        tools[] = "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"x\":{\"type\":\"string\"}}}}]";
    uint8_t out[512];
    decai_answer *a;
    size_t n;
    int32_t kind = 1, call;
    (void)state;
    int32_t r = decai_answer_create(&a, ctx, "qwen3-coder", tools, sizeof tools - 1, 0);
    if (!r) r = decai_answer_add(a, text, 40, 0);
    if (!r) r = decai_answer_add(a, text + 40, sizeof text - 41, DECAI_ANSWER_LAST);
    while (!r && kind) r = decai_answer_next(a, out, sizeof out, &n, &kind, &call);
    decai_destroy(a);
    return r;
}

const sweep_case sweep_tok[] = {
    { "decai_tokenizer_create", setup, create, teardown },
    { "decai_tokenizer_hash_get", setup, look_ups, teardown },
    { "decai_tokenizer_count", setup, look_ups, teardown },
    { "decai_tokenizer_token_get", setup, look_ups, teardown },
    { "decai_tokenizer_id_get", setup, look_ups, teardown },
    { "decai_tokenizer_special_get", setup, look_ups, teardown },
    { "decai_tokenizer_encode", setup, encode, teardown },
    { "decai_tokenizer_batch_encode", setup, batch, teardown },
    { "decai_tokenizer_open", setup, files, teardown },
    { "decai_tokenizer_format", setup, files, teardown },
    { "decai_tokenizer_decode", setup, decode, teardown },
    { "decai_token_stream_create", setup, stream, teardown },
    { "decai_token_stream_add", setup, stream, teardown },
    { "decai_token_stream_stop_add", setup, stream, teardown },
    { "decai_token_stream_stop_get", setup, stream, teardown },
    { "decai_template_create", setup, template_create, teardown },
    { "decai_template_format", setup, template_format, teardown },
    { "decai_grammar_create", setup, grammar, teardown },
    { "decai_grammar_create (schema)", setup, schema, teardown },
    { "decai_matcher_create", setup, grammar, teardown },
    { "decai_matcher_add", setup, grammar, teardown },
    { "decai_matcher_remove", setup, grammar, teardown },
    { "decai_matcher_mask_get", setup, grammar, teardown },
    { "decai_matcher_forced_get", setup, grammar, teardown },
    { "decai_grammar_create (tools)", setup, tools, teardown },
    { "decai_template_calls_get", setup, answer, teardown },
    { "decai_answer_parse", setup, answer, teardown },
    { "decai_answer_create", setup, answer_pieces, teardown },
    { "decai_answer_add", setup, answer_pieces, teardown },
    { "decai_answer_next", setup, answer_pieces, teardown },
    { NULL, NULL, NULL, NULL },
};
