/* api.c - the door of proof. */
#include <string.h>

#include "proof/dispute.h"
#include "proof/proof.h"

#define JSON_MAX (1u << 20)

/* Run a writer into a buffer and hand its bytes out. */
typedef int32_t (*write_fn)(decai__buf *out, const void *handle);

static int32_t
bytes_from(void *handle, int32_t type, write_fn write, void *out, size_t cap, size_t *len)
{
    int32_t e = decai__door_open(out, cap, len);
    if (!e) e = decai__enter(handle, type);
    if (e) return e;
    decai__buf b;
    decai__buf_init(&b, decai__context_of(handle), JSON_MAX, "JSON_MAX");
    e = write(&b, handle);
    e = decai__door_close(e, &b, out, cap, len);
    decai__leave(handle);
    return e;
}

static int32_t
write_receipt(decai__buf *out, const void *r)
{
    return decai__receipt_encode(out, r);
}

static int32_t
write_receipt_json(decai__buf *out, const void *r)
{
    return decai__receipt_format(out, r);
}

static int32_t
write_payload(decai__buf *out, const void *handle)
{
    const decai_receipt *r = handle;
    return decai__buf_add(out, r->payload, r->payload_len);
}

static int32_t
write_verification(decai__buf *out, const void *v)
{
    return decai__verification_format(out, v);
}

static int32_t
write_dispute(decai__buf *out, const void *handle)
{
    const decai_dispute *d = handle;
    if (!atomic_load(&d->done)) return decai__fail(DECAI_E_STATE, "dispute: not decided yet");
    return decai__dispute_format(out, d);
}

int32_t
decai_receipt_create(decai_receipt **out, decai_session *session, decai_tokenizer *tokenizer, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t e = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (!e) e = decai__enter(session, DECAI__SESSION);
    if (e) return e;
    e = decai__receipt_create(out, session, tokenizer, options);
    decai__leave(session);
    return e;
}

int32_t
decai_receipt_load(decai_receipt **out, decai_context *context, const uint8_t *data, size_t data_len)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t e = decai__enter_shared(context, DECAI__CONTEXT);
    if (e) return e;
    if (!data) return decai__fail(DECAI_E_INVALID, "data: NULL");
    return decai__receipt_load(out, context, data, data_len);
}

int32_t
decai_receipt_encode(decai_receipt *receipt, uint8_t *out, size_t cap, size_t *len)
{
    return bytes_from(receipt, DECAI__RECEIPT, write_receipt, out, cap, len);
}

int32_t
decai_receipt_get(decai_receipt *receipt, uint8_t *out, size_t cap, size_t *len)
{
    return bytes_from(receipt, DECAI__RECEIPT, write_payload, out, cap, len);
}

int32_t
decai_receipt_format(decai_receipt *receipt, char *out, size_t cap, size_t *len)
{
    return bytes_from(receipt, DECAI__RECEIPT, write_receipt_json, out, cap, len);
}

int32_t
decai_receipt_id_get(decai_receipt *receipt, uint8_t *out, size_t out_len)
{
    if (!out || out_len != 32) return decai__fail(DECAI_E_INVALID, "out: %zu bytes, must be 32", out_len);
    memset(out, 0, 32);
    int32_t e = decai__enter(receipt, DECAI__RECEIPT);
    if (e) return e;
    memcpy(out, receipt->id, 32);
    decai__leave(receipt);
    return 0;
}

int32_t
decai_receipt_add(decai_receipt *receipt, int32_t algorithm, const uint8_t *key, size_t key_len,
    const uint8_t *signature, size_t signature_len)
{
    int32_t e = decai__enter(receipt, DECAI__RECEIPT);
    if (e) return e;
    if (!key || key_len != 20) e = decai__fail(DECAI_E_INVALID, "key: %zu bytes, must be 20", key_len);
    else if (!signature || signature_len != 65)
        e = decai__fail(DECAI_E_INVALID, "signature: %zu bytes, must be 65", signature_len);
    else e = decai__receipt_add(receipt, algorithm, key, signature);
    decai__leave(receipt);
    return e;
}

static int32_t
write_opening(decai__buf *out, const void *handle)
{
    const decai_receipt *r = handle;
    if (!r->has_opening) return decai__fail(DECAI_E_NOT_FOUND, "opening: this receipt was loaded without one");
    out->max = DECAI_OPENING_BYTES_MAX;
    return decai__opening_encode(out, &r->opening);
}

int32_t
decai_opening_get(decai_receipt *receipt, uint8_t *out, size_t cap, size_t *len)
{
    return bytes_from(receipt, DECAI__RECEIPT, write_opening, out, cap, len);
}

static int32_t
opening_tokens(decai_receipt *r, int32_t *out, size_t cap, size_t *len, const uint8_t *opening, size_t opening_len,
    bool output)
{
    decai__opening o;
    int32_t e = decai__opening_decode(r->h.context, &o, opening, opening_len);
    if (e) return e;
    e = decai__opening_check(&o, r);
    const decai__tokens *t = output ? &o.output : &o.prompt;
    if (!e) {
        *len = t->count;
        if (cap < t->count) e = decai__fail(DECAI_E_SPACE, "out: %zu values needed, %zu given", t->count, cap);
        else if (t->count) memcpy(out, t->ids, t->count * sizeof *out);
    }
    decai__opening_free(r->h.context, &o);
    return e;
}

int32_t
decai_opening_decode(decai_receipt *receipt, int32_t *out, size_t cap, size_t *len, const uint8_t *opening,
    size_t opening_len, int32_t output)
{
    int32_t e = decai__door_open(out, cap, len);
    if (!e) e = decai__enter(receipt, DECAI__RECEIPT);
    if (e) return e;
    if (!opening) e = decai__fail(DECAI_E_INVALID, "opening: NULL");
    else if (output != 0 && output != 1) e = decai__fail(DECAI_E_INVALID, "output: %d is neither 0 nor 1", (int)output);
    else e = opening_tokens(receipt, out, cap, len, opening, opening_len, output);
    decai__leave(receipt);
    return e;
}

/* ---- verification ------------------------------------------------------------- */

static int32_t
verify_arguments(decai_receipt *receipt, const uint8_t *opening, size_t opening_len, decai_engine *engine)
{
    int32_t e = decai__enter_shared(receipt, DECAI__RECEIPT);
    if (!e && engine) e = decai__enter_shared(engine, DECAI__ENGINE);
    if (!e && engine) e = decai__engine_ready(engine);
    if (!e && !opening && opening_len) e = decai__fail(DECAI_E_INVALID, "opening: NULL");
    return e;
}

int32_t
decai_receipt_verify(decai_verification **out, decai_receipt *receipt, const uint8_t *opening, size_t opening_len,
    decai_engine *engine)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t e = verify_arguments(receipt, opening, opening_len, engine);
    return e ? e : decai__receipt_verify(out, receipt, opening, opening_len, engine);
}

int32_t
decai_verification_start(decai_task **task, decai_verification **verification, decai_receipt *receipt,
    const uint8_t *opening, size_t opening_len, decai_engine *engine)
{
    if (!task || !verification) return decai__fail(DECAI_E_INVALID, "%s: NULL", task ? "verification" : "task");
    *task = NULL;
    *verification = NULL;
    int32_t e = verify_arguments(receipt, opening, opening_len, engine);
    return e ? e : decai__verification_start(task, verification, receipt, opening, opening_len, engine);
}

int32_t
decai_verification_get(decai_verification *verification, uint64_t *replayed, uint64_t *committed)
{
    if (!replayed || !committed) return decai__fail(DECAI_E_INVALID, "%s: NULL", replayed ? "committed" : "replayed");
    *replayed = *committed = 0;
    int32_t e = decai__enter(verification, DECAI__VERIFICATION);
    if (e) return e;
    e = decai__verification_get(verification, replayed, committed);
    decai__leave(verification);
    return e;
}

int32_t
decai_verification_format(decai_verification *verification, char *out, size_t cap, size_t *len)
{
    return bytes_from(verification, DECAI__VERIFICATION, write_verification, out, cap, len);
}

/* ---- disputes -------------------------------------------------------------------- */

typedef struct side {
    decai_receipt *receipt;
    const uint8_t *opening;
    size_t opening_len;
    decai_engine *engine;
} side;

static int32_t
dispute_make(decai_dispute **out, const side s[2], const uint8_t *model_root)
{
    decai_dispute *d = NULL;
    int32_t e = decai__dispute_create(&d, decai__context_of(s[0].receipt), model_root);
    for (int32_t i = 0; i < 2 && !e; i++)
        e = decai__dispute_party(d, i, s[i].receipt, s[i].opening, s[i].opening_len, s[i].engine);
    if (e) {
        decai__destroy(d);
        return e;
    }
    *out = d;
    return 0;
}

int32_t
decai_dispute_start(decai_task **task, decai_dispute **dispute, decai_receipt *receipt_a, const uint8_t *opening_a,
    size_t opening_a_len, decai_engine *engine_a, decai_receipt *receipt_b, const uint8_t *opening_b,
    size_t opening_b_len, decai_engine *engine_b, const uint8_t *model_root, size_t model_root_len)
{
    if (!task || !dispute) return decai__fail(DECAI_E_INVALID, "%s: NULL", task ? "dispute" : "task");
    *task = NULL;
    *dispute = NULL;
    const side s[2] = {{receipt_a, opening_a, opening_a_len, engine_a}, {receipt_b, opening_b, opening_b_len, engine_b}};
    for (int i = 0; i < 2; i++) {
        int32_t e = decai__enter_shared(s[i].receipt, DECAI__RECEIPT);
        if (!e) e = decai__enter_shared(s[i].engine, DECAI__ENGINE);
        if (!e) e = decai__engine_ready(s[i].engine);
        if (!e && !s[i].opening) e = decai__fail(DECAI_E_INVALID, "opening_%c: NULL", 'a' + i);
        if (e) return e;
    }
    if (!model_root || model_root_len != 32)
        return decai__fail(DECAI_E_INVALID, "model_root: %zu bytes, must be 32", model_root_len);

    decai_dispute *d = NULL;
    int32_t e = dispute_make(&d, s, model_root);
    if (!e) e = decai__dispute_start(task, d);
    if (e) decai__destroy(d);
    else *dispute = d;
    return e;
}

int32_t
decai_dispute_get(decai_dispute *dispute, int32_t *loser, int64_t *token, int64_t *layer, int64_t *op, int64_t *row,
    int64_t *leaf)
{
    if (!loser || !token || !layer || !op || !row || !leaf) return decai__fail(DECAI_E_INVALID, "an output is NULL");
    *loser = 0;
    *token = *layer = *op = *row = *leaf = -1;
    int32_t e = decai__enter(dispute, DECAI__DISPUTE);
    if (e) return e;
    if (!atomic_load(&dispute->done)) {
        e = decai__fail(DECAI_E_STATE, "dispute: not decided yet");
    } else {
        *loser = dispute->loser;
        *token = dispute->token;
        *layer = dispute->layer;
        *op = dispute->op;
        *row = dispute->row;
        *leaf = dispute->leaf;
    }
    decai__leave(dispute);
    return e;
}

int32_t
decai_dispute_format(decai_dispute *dispute, char *out, size_t cap, size_t *len)
{
    return bytes_from(dispute, DECAI__DISPUTE, write_dispute, out, cap, len);
}
