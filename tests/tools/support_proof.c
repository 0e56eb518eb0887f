/* support_proof.c - see support_proof.h. */
#include "support_proof.h"

#include <stdlib.h>
#include <string.h>

static const int32_t prompt[5] = {72, 101, 108, 108, 111};

void
support_model(uint8_t **bytes, size_t *len, void (*tamper)(void *, const char *, uint8_t *, size_t), void *user)
{
    support_llama m = SUPPORT_LLAMA_TINY;
    m.n_ff = 512;
    m.seed = 77;
    m.tamper = tamper;
    m.user = user;
    support_gguf_llama(&m, bytes, len);
}

int32_t
support_engine(support_run *r, decai_context *ctx, const uint8_t *bytes, size_t len)
{
    int32_t e = decai_model_open(&r->model, ctx, bytes, len, NULL);
    if (!e) e = decai_tokenizer_create(&r->tok, r->model, NULL);
    if (!e) e = decai_engine_create(&r->engine, r->model, NULL);
    return e;
}

int32_t
support_session(decai_session **out, decai_context *ctx, decai_engine *engine)
{
    decai_options *o = NULL;
    int32_t e = decai_options_create(&o, ctx);
    if (!e) e = decai_options_set_i64(o, "infer.activation_tree", 1);
    if (!e) e = decai_options_set_i64(o, "infer.max_tokens", SUPPORT_OUTPUT);
    if (!e) e = decai_session_create(out, engine, o);
    if (!e) e = decai_session_add(*out, prompt, sizeof prompt / sizeof *prompt);
    decai_destroy(o);
    return e;
}

int32_t
support_finish(decai_session *s)
{
    int32_t token, e;
    while ((e = decai_session_next(s, &token)) == 1) {}
    return e;
}

static int32_t
market_options(decai_options *o)
{
    uint8_t job[32];
    memset(job, 7, sizeof job);
    int32_t e = decai_options_set_i64(o, "proof.profile", DECAI_PROFILE_MARKET);
    if (!e) e = decai_options_set_bytes(o, "proof.job_id", job, sizeof job);
    if (!e) e = decai_options_set_bytes(o, "proof.nonce", job, sizeof job);
    if (!e) e = decai_options_set_i64(o, "proof.chain_id", 31337);
    if (!e) e = decai_options_set_i64(o, "proof.expiry_ms", 1900000000000);
    return e;
}

static int32_t
opening_take(support_run *r)
{
    size_t len = 0;
    int32_t e = decai_opening_get(r->receipt, NULL, 0, &len);
    if (e != DECAI_E_SPACE) return e;
    r->opening = malloc(len);
    if (!r->opening) return DECAI_E_NOMEM;
    return decai_opening_get(r->receipt, r->opening, len, &r->opening_len);
}

int32_t
support_receipt(support_run *r, decai_context *ctx, decai_session *s, int market)
{
    decai_options *o = NULL;
    int32_t e = decai_options_create(&o, ctx);
    if (!e && market) e = market_options(o);
    if (!e) e = decai_receipt_create(&r->receipt, s, r->tok, o);
    if (!e) e = opening_take(r);
    decai_destroy(o);
    return e;
}

int32_t
support_run_make(support_run *r, decai_context *ctx, const uint8_t *bytes, size_t len, int market)
{
    decai_session *s = NULL;
    int32_t e = support_engine(r, ctx, bytes, len);
    if (!e) e = support_session(&s, ctx, r->engine);
    if (!e) e = support_finish(s);
    if (!e) e = support_receipt(r, ctx, s, market);
    decai_destroy(s);
    return e;
}

static void
patch(uint8_t *data, size_t len, const uint8_t *from, const uint8_t *to)
{
    for (size_t i = 0; i + 32 <= len; i++)
        if (!memcmp(data + i, from, 32)) memcpy(data + i, to, 32);
}

int32_t
support_forge(support_run *r, decai_context *ctx, const uint8_t root[32])
{
    uint8_t own[32], before[32], after[32], bytes[4096];
    size_t len = 0;
    int32_t e = decai_model_root_get(r->model, own, 32);
    if (!e) e = decai_receipt_id_get(r->receipt, before, 32);
    if (!e) e = decai_receipt_encode(r->receipt, bytes, sizeof bytes, &len);
    if (e) return e;
    patch(bytes, len, own, root);
    decai_destroy(r->receipt);
    r->receipt = NULL;
    e = decai_receipt_load(&r->receipt, ctx, bytes, len);
    if (!e) e = decai_receipt_id_get(r->receipt, after, 32);
    if (!e) patch(r->opening, r->opening_len, before, after);
    return e;
}

void
support_run_free(support_run *r)
{
    decai_destroy(r->receipt);
    decai_destroy(r->engine);
    decai_destroy(r->tok);
    decai_destroy(r->model);
    free(r->opening);
    memset(r, 0, sizeof *r);
}
