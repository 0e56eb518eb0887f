/* demo_compute.c - a provider does the job, honestly or not.
 *
 * The cheat of this story changed one number of the model (one block's scale in
 * one matrix), runs that, and forges its receipt: the payload is patched to name
 * the model root that was asked for, and signed with its own good key. Form and
 * signature of the forgery are perfect; only the numbers are not. */
#include "demo.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static decai_engine *
engine_make(demo *d, decai_model *model)
{
    decai_engine *engine = NULL;
    decai_options *o = NULL;
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_str(o, "compute.backend", d->backend), "backend");
    check(decai_engine_create(&engine, model, o), "engine");
    decai_destroy(o);
    return engine;
}

/* ---- the cheat's model ------------------------------------------------------------- */

/* Where the file keeps this tensor's bytes: found by asking the library for them
 * is not possible from outside, so the cheat walks the file's tensor table. */
static size_t
gguf_string(const uint8_t *f, size_t at, const char **s, uint64_t *len)
{
    memcpy(len, f + at, 8);
    *s = (const char *)f + at + 8;
    return at + 8 + (size_t)*len;
}

static size_t
gguf_skip(const uint8_t *f, size_t at, uint32_t type)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint32_t item;
    uint64_t n;
    const char *s;
    if (type == 8) return gguf_string(f, at, &s, &n);
    if (type != 9) return at + sizes[type];
    memcpy(&item, f + at, 4);
    memcpy(&n, f + at + 4, 8);
    at += 12;
    for (uint64_t i = 0; i < n; i++) at = gguf_skip(f, at, item);
    return at;
}

/* The library has accepted this file, so its table is sound. */
static size_t
tensor_offset(const uint8_t *f, const char *name)
{
    uint64_t tensors, entries, len, offset = 0, found = UINT64_MAX;
    uint32_t type, dims;
    const char *s;
    size_t at = 24;
    memcpy(&tensors, f + 8, 8);
    memcpy(&entries, f + 16, 8);
    for (uint64_t i = 0; i < entries; i++) {
        at = gguf_string(f, at, &s, &len);
        memcpy(&type, f + at, 4);
        at = gguf_skip(f, at + 4, type);
    }
    for (uint64_t i = 0; i < tensors; i++) {
        at = gguf_string(f, at, &s, &len);
        memcpy(&dims, f + at, 4);
        at += 4 + 8 * (size_t)dims + 4;
        memcpy(&offset, f + at, 8);
        at += 8;
        if (len == strlen(name) && !memcmp(s, name, (size_t)len)) found = offset;
    }
    if (found == UINT64_MAX) die(EXIT_FAILED, "%s: the model has no such tensor", name);
    return (at + 31) / 32 * 32 + (size_t)found;
}

static decai_model *
model_tampered(demo *d)
{
    text file = {0};
    decai_model *model = NULL;
    file_read(&file, d->model_file);
    uint8_t *bytes = (uint8_t *)file.data;
    /* The f16 scale of the first block: its sign bit. 32 weights change sign. */
    bytes[tensor_offset(bytes, "blk.1.ffn_down.weight") + 1] ^= 0x80;
    check(decai_model_open(&model, d->ctx, bytes, file.len, NULL), "the cheat's model");
    text_free(&file);
    return model;
}

/* ---- the cheat's receipt ------------------------------------------------------------- */

static void
patch(text *t, const uint8_t *from, const uint8_t *to)
{
    for (size_t i = 0; i + 32 <= t->len; i++)
        if (!memcmp(t->data + i, from, 32)) memcpy(t->data + i, to, 32);
}

static void
forge(demo *d, run *r, decai_model *ran)
{
    uint8_t own_root[32], old_id[32], new_id[32];
    text bytes = {0};
    check(decai_model_root_get(ran, own_root, 32), "model root");
    check(decai_receipt_id_get(r->receipt, old_id, 32), "receipt");
    FETCH(&bytes, "receipt", decai_receipt_encode(r->receipt, out, cap, &len));
    patch(&bytes, own_root, d->model_root);
    decai_destroy(r->receipt);
    r->receipt = NULL;
    check(decai_receipt_load(&r->receipt, d->ctx, (const uint8_t *)bytes.data, bytes.len), "receipt");
    check(decai_receipt_id_get(r->receipt, new_id, 32), "receipt");
    patch(&r->opening, old_id, new_id);
    text_free(&bytes);
}

/* ---- the run ---------------------------------------------------------------------------- */

static decai_session *
session_make(demo *d, decai_engine *engine)
{
    decai_session *s = NULL;
    decai_options *o = NULL;
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_i64(o, "infer.activation_tree", 1), "options");
    check(decai_options_set_i64(o, "infer.max_tokens", 96), "options");
    check(decai_session_create(&s, engine, o), "session");
    decai_destroy(o);
    return s;
}

static void
stream(demo *d, run *r, decai_session *s)
{
    decai_token_stream *ts = NULL;
    text ids = {0};
    prompt_encode(d->tok, &ids, d->prompt, false);
    check(decai_session_add(s, (const int32_t *)(const void *)ids.data, ids.len / sizeof(int32_t)), "prompt");
    check(decai_token_stream_create(&ts, d->tok, 0), "stream");
    int32_t token, more;
    do {
        uint8_t piece[DECAI_TOKEN_STREAM_MAX];
        size_t len = 0;
        more = check(decai_session_next(s, &token), "next");
        r->tokens += (uint64_t)more;
        check(decai_token_stream_add(ts, piece, sizeof piece, &len, more ? token : DECAI_TOKEN_END), "text");
        text_add(&r->answer, (const char *)piece, len);
        if (!d->json) {
            fwrite(piece, 1, len, stdout);
            fflush(stdout);
        }
    } while (more == 1);
    if (!d->json) printf("\n");
    decai_destroy(ts);
    text_free(&ids);
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
    decai_model *model = cheat ? model_tampered(d) : d->model;
    r->engine = engine_make(d, model);
    if (!d->device.len) FETCH(&d->device, "engine", decai_engine_format(r->engine, out, cap, &len));
    if (!d->json) printf("    %s%s%s streams: ", d->c.bold, r->provider->name, d->c.reset);
    decai_session *s = session_make(d, r->engine);
    decai_options *o = receipt_options(d);
    stream(d, r, s);
    check(decai_receipt_create(&r->receipt, s, d->tok, o), "receipt");
    FETCH(&r->opening, "opening", decai_opening_get(r->receipt, out, cap, &len));
    if (!cheat) check(decai_session_hash_get(s, d->logits_hash, 32), "logits hash");
    if (cheat) forge(d, r, model);

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
