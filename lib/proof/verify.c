/* verify.c - how much of a receipt is true.
 *
 * Each step adds DECAI_COVER_* bits to what was *replayed*; what is left of all
 * bits is *committed*: claimed, signed, and not looked at. A wrong receipt is a
 * finding with a reason, so that a program can never mistake "could not check"
 * for "is wrong", or silence for "is right".
 *
 * The replay does what the provider did: same engine rules, same sampler, token
 * by token, and compares each token, the activation root and the logits hash.
 * By the numeric contract any backend and thread count gives the same bits. */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "key/key.h"
#include "model/model.h"
#include "proof/proof.h"

#define COVER_ALL 255u
#define COVER_RUN (DECAI_COVER_MATMUL | DECAI_COVER_ATTENTION | DECAI_COVER_ELEMENT | DECAI_COVER_SAMPLER | DECAI_COVER_ACTIVATION)

struct decai_verification {
    decai__handle h;
    decai_receipt *receipt;          /* kept */
    decai_engine *engine;            /* kept; NULL: no replay */
    uint8_t *opening;
    size_t opening_len;
    atomic_int done;
    bool wrong, complete;
    uint64_t replayed, tokens;
    uint8_t signers[DECAI_RECEIPT_SIGNATURES_MAX][20];   /* as they stood when it was checked */
    size_t signer_count;
    char reason[DECAI_DETAIL_MAX + 1];
};

static void
verification_destroy(void *self)
{
    decai_verification *v = self;
    decai__free(v->h.context, v->opening);
    decai__destroy(v->receipt);
    decai__destroy(v->engine);
}

/* A finding, not an error: 0, with the reason kept. */
static int32_t
found_wrong(decai_verification *v)
{
    v->wrong = true;
    snprintf(v->reason, sizeof v->reason, "%s", decai__error_detail());
    return 0;
}

static int32_t
check_signatures(decai_verification *v)
{
    const decai_receipt *r = v->receipt;
    const decai__fields *f = &r->fields;
    static const uint8_t none[32];
    v->signer_count = r->signature_count;
    for (size_t i = 0; i < r->signature_count; i++) memcpy(v->signers[i], r->signatures[i].key, sizeof v->signers[i]);
    /* Without a chain id nobody can know which domain was signed. */
    if (!r->signature_count || !decai__fields_has(f, DECAI__R_CHAIN)) return 0;
    uint8_t digest[32], signer[20];
    decai__receipt_digest(digest, r->id, f->hash[DECAI__R_MODEL],
        decai__fields_has(f, DECAI__R_JOB) ? f->hash[DECAI__R_JOB] : none, f->number[DECAI__R_EXPIRY],
        f->number[DECAI__R_CHAIN]);
    for (size_t i = 0; i < r->signature_count; i++) {
        int32_t e = decai__recover(v->h.context, signer, NULL, r->signatures[i].signature, digest);
        if (e && e != DECAI_E_INTEGRITY) return e;      /* not a word about the signature */
        if (!e && memcmp(signer, r->signatures[i].key, sizeof signer))
            e = decai__fail(DECAI_E_INTEGRITY, "receipt.signatures[%zu]: made by another key than it names", i);
        if (e) return found_wrong(v);
    }
    v->replayed |= DECAI_COVER_SIGNATURE;
    return 0;
}

static int32_t
replay_tokens(decai_verification *v, decai_session *s, const decai__tokens *output, decai_task *task)
{
    for (size_t i = 0; i < output->count; i++) {
        if (decai__task_stopped(task)) return decai__fail(DECAI_E_CANCELLED, "verification: stopped at token %zu", i);
        decai__task_report(task, "replay", i, output->count);
        int32_t token = 0;
        int32_t e = decai_session_next(s, &token);
        if (e < 0) return e;
        if (e == 0) decai__fail(DECAI_E_INTEGRITY, "output[%zu]: the model ends here, the receipt goes on", i);
        else if (token != output->ids[i])
            decai__fail(DECAI_E_INTEGRITY, "output[%zu]: token %d where the model gives %d", i, (int)output->ids[i], (int)token);
        else {
            v->tokens++;
            continue;
        }
        return found_wrong(v);
    }
    decai__task_report(task, "replay", output->count, output->count);
    return 0;
}

static int32_t
compare_roots(decai_verification *v, decai_session *s)
{
    const decai__fields *f = &v->receipt->fields;
    uint8_t hash[32];
    int32_t e = decai_session_root_get(s, hash, 32);
    if (e) return e;
    if (memcmp(hash, f->hash[DECAI__R_ACTIVATION], 32)) {
        decai__fail(DECAI_E_INTEGRITY, "activation_root: the replay gives another");
        return found_wrong(v);
    }
    if ((e = decai_session_hash_get(s, hash, 32))) return e;
    if (memcmp(hash, f->hash[DECAI__R_LOGITS], 32)) {
        decai__fail(DECAI_E_INTEGRITY, "logits_hash: the replay gives another");
        return found_wrong(v);
    }
    v->replayed |= COVER_RUN;
    /* One token more tells whether the run had really come to its end. */
    int32_t token;
    v->complete = decai_session_next(s, &token) == 0;
    return 0;
}

static int32_t
replay(decai_verification *v, const decai__opening *o, decai_task *task)
{
    decai_options *options = NULL;
    decai_session *s = NULL;
    decai_grammar *g = NULL;
    int32_t e = decai__sampler_options(&options, v->h.context, &v->receipt->fields.sampler, o);
    /* A sampler outside our bounds is the receipt's fault, not the caller's. */
    if (e == DECAI_E_INVALID) {
        decai__destroy(options);
        return found_wrong(v);
    }
    if (!e) e = decai_session_create(&s, v->engine, options);
    if (!e) e = decai__opening_grammar(&g, o, v->receipt, v->engine);
    if (!e && g) e = decai_session_grammar_set(s, g);
    decai__destroy(g);
    if (e) {
        decai__destroy(s);
        decai__destroy(options);
        /* What no grammar is made of is no grammar of a run. */
        return e == DECAI_E_CORRUPT || e == DECAI_E_LIMIT ? found_wrong(v) : e;
    }
    if (!e) e = decai_session_add(s, o->prompt.ids, o->prompt.count);
    if (e == DECAI_E_INVALID && s) e = found_wrong(v);
    if (!e && !v->wrong) e = replay_tokens(v, s, &o->output, task);
    if (!e && !v->wrong) e = compare_roots(v, s);
    decai__destroy(s);
    decai__destroy(options);
    return e;
}

static int32_t
check_engine(decai_verification *v)
{
    const uint8_t *root = decai__model_root(decai__engine_model(v->engine));
    if (!root) return decai__fail(DECAI_E_INVALID, "engine: its model was loaded with model.hash 0");
    if (memcmp(root, v->receipt->fields.hash[DECAI__R_MODEL], 32)) {
        decai__fail(DECAI_E_INTEGRITY, "model_root: the receipt names another model than the engine holds");
        return found_wrong(v);
    }
    int32_t e = decai__contract_match(v->receipt, v->engine);
    if (!e) v->replayed |= DECAI_COVER_MODEL;
    return e;
}

static int32_t
verify(decai_verification *v, decai_task *task)
{
    int32_t e = check_signatures(v);
    if (e || v->wrong) return e;
    if (v->engine) e = check_engine(v);
    if (e || v->wrong || !v->opening) return e;

    decai__opening o;
    e = decai__opening_decode(v->h.context, &o, v->opening, v->opening_len);
    if (e == DECAI_E_NOMEM) return e;
    if (e) return found_wrong(v);
    if (decai__opening_check(&o, v->receipt)) found_wrong(v);
    else v->replayed |= DECAI_COVER_TOKENS;
    if (!v->wrong && v->engine) e = replay(v, &o, task);
    decai__opening_free(v->h.context, &o);
    return e;
}

static int32_t
verify_task(decai_task *task, void *user)
{
    decai_verification *v = user;
    int32_t e = decai__enter(v->receipt, DECAI__RECEIPT);
    if (e) return e;
    e = verify(v, task);
    decai__leave(v->receipt);
    if (!e) atomic_store(&v->done, 1);
    return e;
}

static int32_t
verification_create(decai_verification **out, decai_receipt *r, const uint8_t *opening, size_t opening_len,
    decai_engine *engine)
{
    decai_context *ctx = decai__context_of(r);
    decai_verification *v = decai__handle_create(ctx, DECAI__VERIFICATION, sizeof *v, verification_destroy);
    if (!v) return DECAI_E_NOMEM;
    decai__retain(r);
    v->receipt = r;
    if (engine) decai__retain(engine);
    v->engine = engine;
    if (opening) {
        v->opening = decai__memdup(ctx, opening, opening_len);
        v->opening_len = opening_len;
        if (!v->opening) {
            decai__destroy(v);
            return decai__fail(DECAI_E_NOMEM, "opening: %zu bytes", opening_len);
        }
    }
    *out = v;
    return 0;
}

int32_t
decai__receipt_verify(decai_verification **out, decai_receipt *r, const uint8_t *opening, size_t opening_len,
    decai_engine *engine)
{
    decai_verification *v = NULL;
    int32_t e = verification_create(&v, r, opening, opening_len, engine);
    if (e) return e;
    e = verify_task(NULL, v);
    if (e) {
        decai__destroy(v);
        return e;
    }
    *out = v;
    return 0;
}

int32_t
decai__verification_start(decai_task **task, decai_verification **out, decai_receipt *r,
    const uint8_t *opening, size_t opening_len, decai_engine *engine)
{
    decai_verification *v = NULL;
    int32_t e = verification_create(&v, r, opening, opening_len, engine);
    if (e) return e;
    decai__retain(v);                /* the task's own */
    e = decai__task_start(task, decai__context_of(r), verify_task, v, decai__task_release);
    if (e) {
        decai__destroy(v);
        return e;
    }
    *out = v;
    return 0;
}

int32_t
decai__verification_get(decai_verification *v, uint64_t *replayed, uint64_t *committed)
{
    if (!atomic_load(&v->done)) return decai__fail(DECAI_E_STATE, "verification: not finished");
    *replayed = v->replayed;
    *committed = COVER_ALL & ~v->replayed;
    return v->wrong ? decai__fail(DECAI_E_INTEGRITY, "%s", v->reason) : 0;
}

static void
put_cover(decai__json_writer *w, const char *key, uint64_t bits)
{
    static const char *const names[] = {"model", "tokens", "signature", "matmul", "attention", "element", "sampler", "activation"};
    decai__json_put_array(w, key);
    for (size_t i = 0; i < DECAI__COUNT(names); i++)
        if (bits >> i & 1) decai__json_put_str(w, NULL, names[i]);
    decai__json_put_end(w);
}

int32_t
decai__verification_format(decai__buf *out, const decai_verification *v)
{
    if (!atomic_load(&v->done)) return decai__fail(DECAI_E_STATE, "verification: not finished");
    decai__json_writer w;
    decai__json_writer_init(&w, out, true);
    decai__json_put_object(&w, NULL);
    decai__json_put_bool(&w, "ok", !v->wrong);
    if (v->wrong) decai__json_put_str(&w, "reason", v->reason);
    decai__json_put_hex(&w, "receipt_id", v->receipt->id, 32);
    decai__json_put_u64(&w, "tokens_replayed", v->tokens);
    decai__json_put_bool(&w, "complete", v->complete);
    put_cover(&w, "replayed", v->replayed);
    put_cover(&w, "committed", COVER_ALL & ~v->replayed);
    decai__json_put_array(&w, "signers");
    for (size_t i = 0; i < v->signer_count; i++) decai__json_put_hex(&w, NULL, v->signers[i], 20);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}
