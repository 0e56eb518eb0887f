/* sweep_infer.c - infer's rows of the allocation sweep. */
#include <stddef.h>
#include <stdlib.h>

#include "support_gguf.h"
#include "support_synth.h"
#include "sweep.h"

typedef struct fixture { decai_model *model; decai_engine *engine, *encoder; decai_session *session; } fixture;

static const int32_t PROMPT[3] = { 1, 2, 3 };

static void
teardown(decai_context *ctx, void *state)
{
    fixture *f = state;
    (void)ctx;
    decai_destroy(f->session);
    decai_destroy(f->engine);
    decai_destroy(f->encoder);
    decai_destroy(f->model);
    free(f);
}

static int32_t
options(decai_context *ctx, decai_options **o)
{
    int32_t r = decai_options_create(o, ctx);
    if (!r) r = decai_options_set_i64(*o, "infer.activation_nodes", 1);
    if (!r) r = decai_options_set_i64(*o, "infer.max_tokens", 2);
    return r;
}

static int32_t
encoder_make(decai_context *ctx, decai_engine **out)
{
    synth_spec s;
    decai_model *model = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)synth_defaults(&s, "bert", 8, "micro");
    synth_memory(&s, &bytes, &len);
    int32_t r = decai_model_open(&model, ctx, bytes, len, NULL);
    if (!r) r = decai_engine_create(out, model, NULL);
    decai_destroy(model);
    free(bytes);
    return r;
}

static int32_t
setup(decai_context *ctx, void **state)
{
    support_llama m = { .n_vocab = 32, .n_embd = 32, .n_layer = 1, .n_head = 2, .n_head_kv = 1, .n_ff = 32,
        .n_ctx = 64, .type = 8, .seed = 3 };
    fixture *f = calloc(1, sizeof *f);
    decai_options *o = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;

    if (!f) return DECAI_E_NOMEM;
    support_gguf_llama(&m, &bytes, &len);
    int32_t r = decai_model_open(&f->model, ctx, bytes, len, NULL);
    if (!r) r = decai_engine_create(&f->engine, f->model, NULL);
    if (!r) r = encoder_make(ctx, &f->encoder);
    if (!r) r = options(ctx, &o);
    if (!r) r = decai_session_create(&f->session, f->engine, o);
    if (!r) r = decai_session_add(f->session, PROMPT, 3);
    int32_t token;
    if (!r) r = decai_session_next(f->session, &token) == 1 ? 0 : DECAI_E_INTERNAL;
    decai_destroy(o);
    free(bytes);
    if (r) teardown(ctx, f);
    else *state = f;
    return r;
}

static int32_t
engine_create(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_engine *e = NULL;
    (void)ctx;
    int32_t r = decai_engine_create(&e, f->model, NULL);
    decai_destroy(e);
    return r;
}

static int32_t
engine_create_start(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_engine *e = NULL;
    decai_task *task = NULL;
    (void)ctx;
    int32_t r = decai_engine_create_start(&task, &e, f->model, NULL);
    if (!r) r = decai_task_wait(task, -1);
    decai_destroy(task);
    decai_destroy(e);
    return r;
}

static int32_t
engine_encode(decai_context *ctx, void *state)
{
    static const uint32_t lengths[2] = { 1, 2 };
    fixture *f = state;
    float out[64];
    size_t len;
    (void)ctx;
    int32_t r = decai_engine_encode(f->engine, out, 64, &len, PROMPT, 3, lengths, 2, DECAI_EMBED_NORMALISE);
    return r ? r : decai_engine_encode(f->encoder, out, 64, &len, PROMPT, 3, lengths, 2, 0);
}

static int32_t
logprobs_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_options *o = NULL;
    decai_session *s = NULL;
    float out[3];
    size_t len;
    int32_t r = decai_options_create(&o, ctx);
    if (!r) r = decai_options_set_i64(o, "infer.logprobs", 1);
    if (!r) r = decai_session_create(&s, f->engine, o);
    if (!r) r = decai_session_add(s, PROMPT, 3);
    if (!r) r = decai_session_logprobs_get(s, out, 3, &len);
    decai_destroy(s);
    decai_destroy(o);
    return r;
}

static int32_t
engine_format(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t text[1024];
    size_t len;
    (void)ctx;
    return decai_engine_format(f->engine, text, sizeof text, &len);
}

/* One whole conversation: create, add and next allocate, the others need what
 * these have made. */
static int32_t
conversation(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_options *o = NULL;
    decai_session *s = NULL;
    uint8_t hash[32];
    int32_t token, r = options(ctx, &o);

    if (!r) r = decai_session_create(&s, f->engine, o);
    if (!r) r = decai_session_add(s, PROMPT, 3);
    while (!r && (r = decai_session_next(s, &token)) == 1) r = 0, (void)token;
    if (!r) r = decai_session_root_get(s, hash, 32);
    decai_destroy(s);
    decai_destroy(o);
    return r;
}

static int32_t
sampled_next(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_options *o = NULL;
    decai_session *s = NULL;
    int32_t token, r = decai_options_create(&o, ctx);
    if (!r) r = decai_options_set_f64(o, "infer.temperature", 0.8);
    if (!r) r = decai_options_set_i64(o, "infer.top_k", 5);
    if (!r) r = decai_options_set_f64(o, "infer.frequency_penalty", 0.5);
    if (!r) r = decai_options_set_f64(o, "infer.dry_multiplier", 0.8);
    if (!r) r = decai_options_set_str(o, "infer.dry_breakers", "4,2");
    if (!r) r = decai_options_set_str(o, "infer.logit_bias", "7:-inf,3:1.5");
    if (!r) r = decai_session_create(&s, f->engine, o);
    if (!r) r = decai_session_add(s, PROMPT, 3);
    if (!r) r = decai_session_next(s, &token);
    decai_destroy(s);
    decai_destroy(o);
    return r;
}

static int32_t
start(decai_context *ctx, void *state)
{
    fixture *f = state;
    int32_t token, r = decai_session_start(f->session);
    (void)ctx;
    if (!r) r = decai_session_add(f->session, PROMPT, 3);
    return r ? r : decai_session_next(f->session, &token);
}

static int32_t
cancel(decai_context *ctx, void *state)
{
    fixture *f = state;
    int32_t r = decai_session_cancel(f->session);
    return r ? r : start(ctx, state);
}

static int32_t
count(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint64_t a, b, c, d;
    (void)ctx;
    return decai_session_count(f->session, &a, &b, &c, &d);
}

static int32_t
root_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t hash[32];
    (void)ctx;
    return decai_session_root_get(f->session, hash, 32);
}

static int32_t
hash_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t hash[32];
    (void)ctx;
    return decai_session_hash_get(f->session, hash, 32);
}

static int32_t
logits_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    float logits[32];
    size_t len;
    (void)ctx;
    return decai_session_logits_get(f->session, logits, 32, &len);
}

static int32_t
top_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    int32_t tokens[5];
    float logprobs[5];
    size_t n, m;
    (void)ctx;
    return decai_session_top_get(f->session, tokens, 5, &n, logprobs, 5, &m, 4);
}

/* Two sessions through a scheduler, to the end. What fails inside is told as an event. */
static int32_t
scheduled(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_scheduler *q = NULL;
    decai_session *s[2] = { NULL };
    decai_options *o = NULL;
    uint8_t text[2048];
    int32_t kind = 0, tokens[3], failed = 0, r = options(ctx, &o);
    float logprobs[3];
    int64_t value, total;
    uint64_t id;
    size_t n, m;

    if (!r) r = decai_session_create(&s[0], f->engine, o);
    if (!r) r = decai_session_create(&s[1], f->engine, NULL);
    if (!r) r = decai_scheduler_create(&q, f->engine, NULL);
    if (!r) r = decai_scheduler_draft_set(q, f->engine);
    for (uint64_t i = 0; i < 2 && !r; i++) r = decai_scheduler_submit(q, s[i], i + 1, 0, PROMPT, 3);
    if (!r) r = decai_scheduler_format(q, text, sizeof text, &n);
    for (int given = 0; !r && (r = decai_scheduler_next(q, &kind, &id, &value, &total, 0)) == 1; ) {
        r = 0;
        if (kind == DECAI_EVENT_FAILED) failed = (int32_t)value;
        if (kind != DECAI_EVENT_TOKEN) continue;
        r = decai_scheduler_top_get(q, tokens, 3, &n, logprobs, 3, &m, id, 2);
        if (!r && ++given == 5) r = decai_scheduler_cancel(q, 2);
    }
    decai_destroy(q);
    decai_destroy(s[0]);
    decai_destroy(s[1]);
    decai_destroy(o);
    return r ? r : failed;
}

/* Room for one engine: the second get gives up the first one's. */
static int32_t
shelf_options(decai_context *ctx, decai_options **o, const decai_model *model)
{
    uint64_t dims[DECAI_MODEL_DIMS_MAX], size, sum = 0;
    const char *name;
    int32_t type, r = options(ctx, o);

    for (size_t i = 0; !r && decai_model_tensor_at(model, &name, &type, dims, DECAI_MODEL_DIMS_MAX, &size, i) == 1; i++) sum += size;
    if (!r) r = decai_options_set_i64(*o, "infer.shelf_bytes", (int64_t)sum);
    return r;
}

static int32_t
shelved(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_shelf *shelf = NULL;
    decai_engine *e = NULL;
    decai_options *o = NULL;
    uint8_t text[512];
    size_t n;
    int32_t r = shelf_options(ctx, &o, f->model);

    if (!r) r = decai_shelf_create(&shelf, ctx, o);
    if (!r) r = decai_shelf_add(shelf, f->model, "one");
    if (!r) r = decai_shelf_add(shelf, f->model, "two");
    if (!r) r = decai_shelf_get(shelf, &e, "one");
    decai_destroy(e);
    e = NULL;
    if (!r) r = decai_shelf_get(shelf, &e, "two");
    if (!r) r = decai_shelf_format(shelf, text, sizeof text, &n);
    decai_destroy(e);
    decai_destroy(shelf);
    decai_destroy(o);
    return r;
}

/* A session whose answer is a text of a grammar. */
static int32_t
grammar_setup(decai_context *ctx, void **state)
{
    support_llama m = SUPPORT_LLAMA_TINY;
    fixture *f = calloc(1, sizeof *f);
    uint8_t *bytes = NULL;
    size_t len = 0;

    if (!f) return DECAI_E_NOMEM;
    *state = f;
    support_gguf_llama(&m, &bytes, &len);
    int32_t r = decai_model_open(&f->model, ctx, bytes, len, NULL);
    free(bytes);
    return r ? r : decai_engine_create(&f->engine, f->model, NULL);
}

static int32_t
grammar_set(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_tokenizer *t = NULL;
    decai_grammar *g = NULL;
    decai_session *s = NULL;
    int32_t token;

    (void)ctx;
    int32_t r = decai_tokenizer_create(&t, f->model, NULL);
    if (!r) r = decai_grammar_create(&g, t, "gbnf", "root ::= [a-c]{3}", 17, NULL);
    if (!r) r = decai_session_create(&s, f->engine, NULL);
    if (!r) r = decai_session_grammar_set(s, g);
    if (!r) r = decai_session_add(s, PROMPT, 3);
    for (int i = 0; i < 3 && !r; i++) r = decai_session_next(s, &token) < 0 ? DECAI_E_NOMEM : 0;
    decai_destroy(s);
    decai_destroy(g);
    decai_destroy(t);
    return r;
}

const sweep_case sweep_infer[] = {
    { "decai_engine_create", setup, engine_create, teardown },
    { "decai_engine_create_start", setup, engine_create_start, teardown },
    { "decai_engine_encode", setup, engine_encode, teardown },
    { "decai_engine_format", setup, engine_format, teardown },
    { "decai_session_create", setup, conversation, teardown },
    { "decai_session_grammar_set", grammar_setup, grammar_set, teardown },
    { "decai_session_add", setup, conversation, teardown },
    { "decai_session_next", setup, sampled_next, teardown },
    { "decai_session_start", setup, start, teardown },
    { "decai_session_cancel", setup, cancel, teardown },
    { "decai_session_count", setup, count, teardown },
    { "decai_session_root_get", setup, root_get, teardown },
    { "decai_session_hash_get", setup, hash_get, teardown },
    { "decai_session_logits_get", setup, logits_get, teardown },
    { "decai_session_logprobs_get", setup, logprobs_get, teardown },
    { "decai_session_top_get", setup, top_get, teardown },
    { "decai_scheduler_create", setup, scheduled, teardown },
    { "decai_scheduler_draft_set", setup, scheduled, teardown },
    { "decai_scheduler_submit", setup, scheduled, teardown },
    { "decai_scheduler_next", setup, scheduled, teardown },
    { "decai_scheduler_cancel", setup, scheduled, teardown },
    { "decai_scheduler_top_get", setup, scheduled, teardown },
    { "decai_scheduler_format", setup, scheduled, teardown },
    { "decai_shelf_create", setup, shelved, teardown },
    { "decai_shelf_add", setup, shelved, teardown },
    { "decai_shelf_get", setup, shelved, teardown },
    { "decai_shelf_format", setup, shelved, teardown },
    { 0 },
};
