/* demo_compute.c - a provider does the job; what a cheat does besides is in
 * demo_cheat.c. */
#include "demo.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the run ---------------------------------------------------------------------------- */

static decai_session *
session_make(demo *d, decai_engine *engine)
{
    decai_session *s = NULL;
    decai_options *o = NULL;
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_i64(o, "infer.activation_tree", 1), "options");
    check(decai_options_set_i64(o, "infer.max_tokens", DEMO_TOKENS), "options");
    check(decai_session_create(&s, engine, o), "session");
    decai_destroy(o);
    return s;
}

int32_t
demo_generate(demo *d, decai_session *s, text *answer, bool print, uint64_t *tokens)
{
    decai_token_stream *ts = NULL;
    text ids = {0};
    int32_t token, more;
    prompt_encode(d->tok, &ids, d->prompt, false);
    check(decai_token_stream_create(&ts, d->tok, 0), "stream");
    more = decai_session_add(s, (const int32_t *)(const void *)ids.data, ids.len / sizeof(int32_t));
    while (more >= 0) {
        uint8_t piece[DECAI_TOKEN_STREAM_MAX];
        size_t len = 0;
        more = decai_session_next(s, &token);
        if (more < 0) break;
        if (tokens) *tokens += (uint64_t)more;
        check(decai_token_stream_add(ts, piece, sizeof piece, &len, more ? token : DECAI_TOKEN_END), "text");
        text_add(answer, (const char *)piece, len);
        if (print) fwrite(piece, 1, len, stdout);
        if (print) fflush(stdout);
        if (!more) break;
    }
    decai_destroy(ts);
    text_free(&ids);
    return more;
}

static void
stream(demo *d, run *r, decai_session *s)
{
    check(demo_generate(d, s, &r->answer, !d->json, &r->tokens), "--prompt");
    if (!d->json) printf("\n");
}

static decai_options *
receipt_options(demo *d)
{
    decai_options *o = NULL;
    int64_t now = d->seeded ? d->clock_ms : 0;
    if (!now) {
        /* The wall clock, as the library sees it, is in no output: ask the system. */
        now = (int64_t)time(NULL) * 1000;
    }
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_i64(o, "proof.profile", DECAI_PROFILE_MARKET), "options");
    check(decai_options_set_bytes(o, "proof.job_id", d->order, 32), "options");
    check(decai_options_set_bytes(o, "proof.nonce", d->nonce, 32), "options");
    check(decai_options_set_i64(o, "proof.chain_id", CHAIN_ID), "options");
    check(decai_options_set_i64(o, "proof.expiry_ms", now + 3600000), "options");
    check(decai_options_set_i64(o, "proof.started_ms", now), "options");
    return o;
}

void
demo_compute(demo *d, run *r, bool cheat)
{
    decai_model *model = cheat ? cheat_model(d) : d->model;
    r->engine = engine_make(d->ctx, model, d->backend);
    if (!d->device.len) {
        engine_device(&d->device, r->engine, d->backend);
        demo_say(d, "    device: %s", d->device.data);
    }
    if (!d->json) printf("    %s%s%s streams: ", d->c.bold, r->provider->name, d->c.reset);
    decai_session *s = session_make(d, r->engine);
    decai_options *o = receipt_options(d);
    stream(d, r, s);
    check(decai_receipt_create(&r->receipt, s, d->tok, o), "receipt");
    FETCH(&r->opening, "opening", decai_opening_get(r->receipt, out, cap, &len));
    if (!cheat) check(decai_session_hash_get(s, d->logits_hash, 32), "logits hash");
    if (cheat) cheat_forge(d, r, model);

    text payload = {0};
    uint8_t signature[65];
    FETCH(&payload, "receipt", decai_receipt_get(r->receipt, out, cap, &len));
    demo_sign(d, r->provider, DECAI_INTENT_RECEIPT, payload.data, payload.len, signature);
    check(decai_receipt_add(r->receipt, DECAI_SIGNATURE_EIP712, r->provider->address, 20, signature, sizeof signature), "receipt");
    text_free(&payload);
    decai_destroy(o);
    decai_destroy(s);
    if (cheat) decai_destroy(model);
}
