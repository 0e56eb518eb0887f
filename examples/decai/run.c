/* run.c - decai run: a prompt through a model, token by token. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct arguments {
    bool json, raw, chat;
    const char *backend, *threads, *temperature, *seed, *max_tokens, *receipt, *context, *kv_type, *grammar, *schema;
} arguments;

static decai_options *
session_options(decai_context *ctx, const arguments *a)
{
    decai_options *o = NULL;
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_f64(o, "infer.temperature", real_of(a->temperature, "--temperature", 0, 100)), "--temperature");
    check(decai_options_set_i64(o, "infer.seed", number_of(a->seed, "--seed", 0, INT64_MAX)), "--seed");
    check(decai_options_set_i64(o, "infer.max_tokens", number_of(a->max_tokens, "--max-tokens", 1, 131072)), "--max-tokens");
    check(decai_options_set_i64(o, "infer.activation_tree", a->receipt != NULL), "receipt");
    return o;
}

static decai_engine *
engine_with(decai_context *ctx, decai_model *model, const arguments *a, progress *p)
{
    decai_options *o = NULL;
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_str(o, "compute.backend", a->backend), "--backend");
    cache_use(o, a->backend);
    if (a->context) check(decai_options_set_i64(o, "infer.context", number_of(a->context, "--context", 1, 131072)), "--context");
    check(decai_options_set_str(o, "infer.kv_type", a->kv_type), "--kv-type");
    decai_engine *engine = engine_open(model, o, p);
    decai_destroy(o);
    return engine;
}

/* What the answer must be: a GBNF grammar or a JSON Schema, from a file. */
static void
constrain(decai_session *s, decai_tokenizer *tok, const arguments *a)
{
    decai_grammar *g = NULL;
    text t = {0};
    const char *path = a->grammar ? a->grammar : a->schema;
    if (a->grammar && a->schema) die(EXIT_USAGE, "--grammar and --schema: one of them");
    if (!path) return;
    file_read(&t, path);
    check(decai_grammar_create(&g, tok, a->grammar ? "gbnf" : "json_schema", t.data ? t.data : "", t.len, NULL), path);
    check(decai_session_grammar_set(s, g), path);
    decai_destroy(g);
    text_free(&t);
}

/* Pull tokens; print the text as it grows, or collect it for --json. */
static void
generate(decai_session *s, decai_tokenizer *tok, const arguments *a, text *answer)
{
    decai_token_stream *stream = NULL;
    check(decai_token_stream_create(&stream, tok, 0), "stream");
    int32_t token, r;
    do {
        r = check(decai_session_next(s, &token), "next");
        uint8_t piece[DECAI_TOKEN_STREAM_MAX];
        size_t len = 0;
        check(decai_token_stream_add(stream, piece, sizeof piece, &len, r ? token : DECAI_TOKEN_END), "text");
        text_add(answer, (const char *)piece, len);
        if (!a->json) {
            fwrite(piece, 1, len, stdout);
            fflush(stdout);
        }
    } while (r == 1);
    decai_destroy(stream);
}

static void
receipt_write(decai_session *s, decai_tokenizer *tok, const char *path)
{
    decai_receipt *receipt = NULL;
    text bytes = {0}, opening = {0}, beside = {0};
    check(decai_receipt_create(&receipt, s, tok, NULL), "receipt");
    FETCH(&bytes, "receipt", decai_receipt_encode(receipt, out, cap, &len));
    FETCH(&opening, "opening", decai_opening_get(receipt, out, cap, &len));
    text_printf(&beside, "%s.opening", path);
    file_write(path, bytes.data, bytes.len);
    file_write(beside.data, opening.data, opening.len);
    decai_destroy(receipt);
    text_free(&bytes);
    text_free(&opening);
    text_free(&beside);
}

static void
report(decai_session *s, decai_engine *engine, const arguments *a, const text *answer)
{
    uint64_t prompt, generated, prompt_ns, generated_ns;
    uint8_t hash[32];
    check(decai_session_count(s, &prompt, &generated, &prompt_ns, &generated_ns), "count");
    check(decai_session_hash_get(s, hash, sizeof hash), "hash");
    double prefill = (double)prompt * 1e9 / (double)(prompt_ns ? prompt_ns : 1);
    double decode = (double)generated * 1e9 / (double)(generated_ns ? generated_ns : 1);
    if (!a->json) {
        colours c = colours_for(stderr);
        fprintf(stderr, "%s%llu tokens read in %.2f s (%.1f a second), %llu written in %.2f s (%.1f a second)%s\n", c.dim,
            (unsigned long long)prompt, (double)prompt_ns * 1e-9, prefill, (unsigned long long)generated,
            (double)generated_ns * 1e-9, decode, c.reset);
        return;
    }
    text j = {0}, about = {0};
    FETCH(&about, "engine", decai_engine_format(engine, out, cap, &len));
    text_printf(&j, "{\"text\":");
    text_json(&j, answer->data ? answer->data : "", answer->len);
    text_printf(&j, ",\"prompt_tokens\":%llu,\"output_tokens\":%llu,\"prefill_tps\":%.1f,\"decode_tps\":%.1f,\"logits_hash\":\"",
        (unsigned long long)prompt, (unsigned long long)generated, prefill, decode);
    text_hex(&j, hash, sizeof hash);
    text_printf(&j, "\",\"engine\":%s}", about.data);
    printf("%s\n", j.data);
    text_free(&j);
    text_free(&about);
}

int
run_main(int argc, char **argv)
{
    arguments a = {.kv_type = "f16", .backend = "auto", .temperature = "0", .seed = "0", .max_tokens = "256"};
    const flag flags[] = {
        {"--backend", "NAME", "auto, scalar, native or opencl; the text is the same on all", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
        {"--temperature", "T", "0 takes the likeliest token each time (default)", &a.temperature, NULL},
        {"--seed", "N", "seed of the random numbers when the temperature is above 0", &a.seed, NULL},
        {"--max-tokens", "N", "tokens to produce at most; default 256", &a.max_tokens, NULL},
        {"--context", "N", "tokens that prompt and answer may have; default: the model's own, at most 2048", &a.context, NULL},
        {"--kv-type", "NAME", "f16 (default), or q8_0: half the memory, another contract number", &a.kv_type, NULL},
        {"--schema", "FILE", "the answer is JSON for which this JSON Schema holds", &a.schema, NULL},
        {"--grammar", "FILE", "the answer is a text of this grammar (GBNF)", &a.grammar, NULL},
        {"--receipt", "FILE", "write a receipt, and its opening to FILE.opening", &a.receipt, NULL},
        {"--raw", NULL, "give the prompt to the model as it is, without begin and separator tokens", NULL, &a.raw},
        {"--chat", NULL, "put the prompt, as a user's message, through the model's own chat template", NULL, &a.chat},
        {"--json", NULL, "one JSON object, nothing else", NULL, &a.json},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai run MODEL.gguf \"prompt\" [options]\n");
    if (n != 2) die(EXIT_USAGE, "run takes MODEL.gguf and a \"prompt\"");

    backend_check(a.backend);
    decai_context *ctx = context_make(a.threads ? number_of(a.threads, "--threads", 1, 256) - 1 : -1, a.json);
    progress p;
    progress_init(&p, a.json);
    decai_options *o = session_options(ctx, &a);
    decai_model *model = model_open(ctx, argv[0], &p);
    decai_tokenizer *tok = NULL;
    decai_engine *engine = NULL;
    decai_session *s = NULL;
    check(decai_tokenizer_create(&tok, model, NULL), argv[0]);
    engine = engine_with(ctx, model, &a, &p);
    check(decai_session_create(&s, engine, o), "session");
    constrain(s, tok, &a);

    text ids = {0}, answer = {0};
    if (a.chat) chat_encode(ctx, model, tok, &ids, argv[1]);
    else prompt_encode(tok, &ids, argv[1], a.raw);
    check(decai_session_add(s, (const int32_t *)(const void *)ids.data, ids.len / sizeof(int32_t)), "prompt");
    generate(s, tok, &a, &answer);
    if (!a.json) printf("\n");
    if (a.receipt) receipt_write(s, tok, a.receipt);
    report(s, engine, &a, &answer);
    decai_destroy(o);
    decai_destroy(s);
    decai_destroy(engine);
    decai_destroy(tok);
    decai_destroy(model);
    decai_destroy(ctx);
    text_free(&ids);
    text_free(&answer);
    return EXIT_OK;
}
