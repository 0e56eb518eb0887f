/* sweep_proof.c - proof's rows of the allocation sweep. */
#include <stdlib.h>
#include <string.h>

#include "support_proof.h"
#include "sweep.h"

typedef struct fixture {
    support_run run;
    decai_session *session;
    uint8_t root[32], bytes[4096];
    size_t len;
    decai_verification *verification;
    decai_dispute *dispute;
} fixture;

static void
teardown(decai_context *ctx, void *state)
{
    fixture *f = state;
    (void)ctx;
    decai_destroy(f->dispute);
    decai_destroy(f->verification);
    decai_destroy(f->session);
    support_run_free(&f->run);
    free(f);
}

static int32_t
dispute_once(fixture *f, decai_dispute **out)
{
    support_run *r = &f->run;
    decai_task *task = NULL;
    int32_t e = decai_dispute_start(&task, out, r->receipt, r->opening, r->opening_len, r->engine, r->receipt, r->opening,
        r->opening_len, r->engine, f->root, 32);
    if (!e) e = decai_task_wait(task, -1);
    decai_destroy(task);
    return e;
}

/* As support_session, with what its receipt and opening carry of a sampler. */
static int32_t
session_make(decai_session **out, decai_context *ctx, decai_engine *engine)
{
    static const int32_t prompt[3] = {72, 101, 108};
    decai_options *o = NULL;
    int32_t e = decai_options_create(&o, ctx);
    if (!e) e = decai_options_set_i64(o, "infer.activation_tree", 1);
    if (!e) e = decai_options_set_i64(o, "infer.max_tokens", SUPPORT_OUTPUT);
    if (!e) e = decai_options_set_f64(o, "infer.dry_multiplier", 0.8);
    if (!e) e = decai_options_set_str(o, "infer.dry_breakers", "13,10");
    if (!e) e = decai_options_set_str(o, "infer.logit_bias", "65:-inf,66:0.5");
    if (!e) e = decai_session_create(out, engine, o);
    if (!e) e = decai_session_add(*out, prompt, 3);
    decai_destroy(o);
    return e;
}

static int32_t
setup(decai_context *ctx, void **state)
{
    support_llama m = { .n_vocab = SUPPORT_VOCAB_MIN, .n_embd = 32, .n_layer = 1, .n_head = 2, .n_head_kv = 1, .n_ff = 32,
        .n_ctx = 64, .type = 8, .vocab = 1, .seed = 3 };
    fixture *f = calloc(1, sizeof *f);
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!f) return DECAI_E_NOMEM;
    support_gguf_llama(&m, &bytes, &len);
    int32_t e = support_engine(&f->run, ctx, bytes, len);
    free(bytes);
    if (!e) e = session_make(&f->session, ctx, f->run.engine);
    if (!e) e = support_finish(f->session);
    if (!e) e = support_receipt(&f->run, ctx, f->session, 1);
    if (!e) e = decai_model_root_get(f->run.model, f->root, 32);
    if (!e) e = decai_receipt_encode(f->run.receipt, f->bytes, sizeof f->bytes, &f->len);
    if (!e) e = decai_receipt_verify(&f->verification, f->run.receipt, NULL, 0, NULL);
    if (!e) e = dispute_once(f, &f->dispute);
    if (e) teardown(ctx, f);
    else *state = f;
    return e;
}

static int32_t
create(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_receipt *r = NULL;
    (void)ctx;
    int32_t e = decai_receipt_create(&r, f->session, f->run.tok, NULL);
    decai_destroy(r);
    return e;
}

static int32_t
load(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_receipt *r = NULL;
    int32_t e = decai_receipt_load(&r, ctx, f->bytes, f->len);
    decai_destroy(r);
    return e;
}

static int32_t
encode(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t out[4096];
    size_t len;
    (void)ctx;
    return decai_receipt_encode(f->run.receipt, out, sizeof out, &len);
}

static int32_t
get(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t out[4096];
    size_t len;
    (void)ctx;
    return decai_receipt_get(f->run.receipt, out, sizeof out, &len);
}

static int32_t
id_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t id[32];
    (void)ctx;
    return decai_receipt_id_get(f->run.receipt, id, sizeof id);
}

static int32_t
format(decai_context *ctx, void *state)
{
    fixture *f = state;
    char out[8192];
    size_t len;
    (void)ctx;
    return decai_receipt_format(f->run.receipt, out, sizeof out, &len);
}

static int32_t
add(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_receipt *r = NULL;
    uint8_t key[20] = {1}, signature[65] = {0};
    int32_t e = decai_receipt_load(&r, ctx, f->bytes, f->len);
    if (!e) e = decai_receipt_add(r, DECAI_SIGNATURE_EIP712, key, sizeof key, signature, sizeof signature);
    decai_destroy(r);
    return e;
}

static int32_t
opening_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t out[4096];
    size_t len;
    (void)ctx;
    return decai_opening_get(f->run.receipt, out, sizeof out, &len);
}

static int32_t
opening_decode(decai_context *ctx, void *state)
{
    fixture *f = state;
    int32_t ids[64];
    size_t len;
    (void)ctx;
    return decai_opening_decode(f->run.receipt, ids, 64, &len, f->run.opening, f->run.opening_len, 0);
}

static int32_t
verify(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_verification *v = NULL;
    uint64_t replayed, committed;
    (void)ctx;
    int32_t e = decai_receipt_verify(&v, f->run.receipt, f->run.opening, f->run.opening_len, f->run.engine);
    if (!e) e = decai_verification_get(v, &replayed, &committed);
    decai_destroy(v);
    return e;
}

static int32_t
verification_start(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_task *task = NULL;
    decai_verification *v = NULL;
    uint64_t replayed, committed;
    (void)ctx;
    int32_t e = decai_verification_start(&task, &v, f->run.receipt, f->run.opening, f->run.opening_len, f->run.engine);
    if (!e) e = decai_task_wait(task, -1);
    if (!e) e = decai_verification_get(v, &replayed, &committed);
    decai_destroy(task);
    decai_destroy(v);
    return e;
}

static int32_t
verification_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint64_t replayed, committed;
    (void)ctx;
    return decai_verification_get(f->verification, &replayed, &committed);
}

static int32_t
verification_format(decai_context *ctx, void *state)
{
    fixture *f = state;
    char out[4096];
    size_t len;
    (void)ctx;
    return decai_verification_format(f->verification, out, sizeof out, &len);
}

static int32_t
dispute_start(decai_context *ctx, void *state)
{
    decai_dispute *d = NULL;
    (void)ctx;
    int32_t e = dispute_once(state, &d);
    decai_destroy(d);
    return e;
}

static int32_t
dispute_get(decai_context *ctx, void *state)
{
    fixture *f = state;
    int32_t loser;
    int64_t at[5];
    (void)ctx;
    return decai_dispute_get(f->dispute, &loser, &at[0], &at[1], &at[2], &at[3], &at[4]);
}

static int32_t
dispute_format(decai_context *ctx, void *state)
{
    fixture *f = state;
    char out[4096];
    size_t len;
    (void)ctx;
    return decai_dispute_format(f->dispute, out, sizeof out, &len);
}

const sweep_case sweep_proof[] = {
    {"decai_receipt_create", setup, create, teardown},
    {"decai_receipt_load", setup, load, teardown},
    {"decai_receipt_encode", setup, encode, teardown},
    {"decai_receipt_get", setup, get, teardown},
    {"decai_receipt_id_get", setup, id_get, teardown},
    {"decai_receipt_format", setup, format, teardown},
    {"decai_receipt_add", setup, add, teardown},
    {"decai_opening_get", setup, opening_get, teardown},
    {"decai_opening_decode", setup, opening_decode, teardown},
    {"decai_receipt_verify", setup, verify, teardown},
    {"decai_verification_start", setup, verification_start, teardown},
    {"decai_verification_get", setup, verification_get, teardown},
    {"decai_verification_format", setup, verification_format, teardown},
    {"decai_dispute_start", setup, dispute_start, teardown},
    {"decai_dispute_get", setup, dispute_get, teardown},
    {"decai_dispute_format", setup, dispute_format, teardown},
    {NULL, NULL, NULL, NULL},
};
