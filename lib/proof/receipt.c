/* receipt.c - receipts: made from a session, read from bytes, written again.
 *
 * The payload is kept as the exact bytes it was read or written as: the id, the
 * signatures and the envelope all speak of these bytes. */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "model/model.h"
#include "proof/proof.h"
#include "tok/tok.h"

#define ENVELOPE_VERSION 1

static void
receipt_destroy(void *self)
{
    decai_receipt *r = self;
    decai__free(r->h.context, r->payload);
    decai__opening_free(r->h.context, &r->opening);
}

/* ---- from a session -------------------------------------------------------- */

static int32_t
option_hash(decai__fields *f, int32_t key, const decai_options *o, const char *name)
{
    size_t len;
    const uint8_t *hash = decai__opt_bytes(o, name, &len);
    if (!hash) return 0;
    if (len != 32) return decai__fail(DECAI_E_INVALID, "%s: %zu bytes, must be 32", name, len);
    decai__fields_set_hash(f, key, hash);
    return 0;
}

static void
option_number(decai__fields *f, int32_t key, const decai_options *o, const char *name)
{
    if (decai__opt_is_set(o, name)) decai__fields_set_number(f, key, (uint64_t)decai__opt_i64(o, name));
}

static int32_t
fields_from_options(decai__fields *f, const decai_options *o)
{
    int32_t e = option_hash(f, DECAI__R_JOB, o, "proof.job_id");
    if (!e) e = option_hash(f, DECAI__R_NONCE, o, "proof.nonce");
    if (!e) e = option_hash(f, DECAI__R_TEMPLATE, o, "proof.template_hash");
    if (e) return e;
    option_number(f, DECAI__R_CHAIN, o, "proof.chain_id");
    option_number(f, DECAI__R_EXPIRY, o, "proof.expiry_ms");
    option_number(f, DECAI__R_STARTED, o, "proof.started_ms");
    if (decai__opt_i64(o, "proof.profile") != DECAI_PROFILE_MARKET) return 0;
    static const struct { int32_t key; const char *option; } needed[] = {
        {DECAI__R_JOB, "proof.job_id"}, {DECAI__R_NONCE, "proof.nonce"},
        {DECAI__R_CHAIN, "proof.chain_id"}, {DECAI__R_EXPIRY, "proof.expiry_ms"},
    };
    for (size_t i = 0; i < DECAI__COUNT(needed); i++)
        if (!decai__fields_has(f, needed[i].key))
            return decai__fail(DECAI_E_INVALID, "%s: required by the market profile", needed[i].option);
    return 0;
}

static int32_t
tokens_copy(decai_context *ctx, decai__tokens *t, const int32_t *ids, size_t count)
{
    t->ids = decai__memdup(ctx, ids, count * sizeof *ids);
    if (!t->ids) return decai__fail(DECAI_E_NOMEM, "receipt: %zu tokens", count);
    t->count = count;
    return decai__random(ctx, t->salt, sizeof t->salt);
}

static int32_t
lists_copy(decai_context *ctx, decai__opening *o, const decai__sampler *s)
{
    if (s->bias_count) o->bias = decai__memdup(ctx, s->bias, s->bias_count * sizeof *s->bias);
    if (s->breaker_count) o->breakers = decai__memdup(ctx, s->breakers, s->breaker_count * sizeof *s->breakers);
    if ((s->bias_count && !o->bias) || (s->breaker_count && !o->breakers))
        return decai__fail(DECAI_E_NOMEM, "receipt: lists of %zu and %zu", s->bias_count, s->breaker_count);
    o->bias_count = s->bias_count;
    o->breaker_count = s->breaker_count;
    return 0;
}

/* The grammar of the run: its digest for the receipt, its text for the opening. */
static int32_t
grammar_copy(decai_receipt *r, const decai_grammar *g, const decai_tokenizer *tok)
{
    decai_context *ctx = r->h.context;
    decai__sampler_fields *f = &r->fields.sampler;
    decai__opening *o = &r->opening;
    size_t len;
    if (!g) return 0;
    if (memcmp(decai__grammar_tok_hash(g), decai__tok_hash(tok), 32))
        return decai__fail(DECAI_E_INVALID, "tokenizer: the session's grammar is of another one");
    const char *text = decai__grammar_text(g, &len);
    o->kind = decai__strdup(ctx, decai__grammar_kind(g));
    o->text = decai__calloc(ctx, len + 1, 1);
    if (!o->kind || !o->text) return decai__fail(DECAI_E_NOMEM, "receipt: a grammar of %zu bytes", len);
    memcpy(o->text, text, len);
    o->text_len = len;
    memcpy(f->grammar, decai__grammar_digest(g), 32);
    f->present |= 1ull << DECAI__S_GRAMMAR;
    return 0;
}

static int32_t
fields_from_session(decai_receipt *r, decai_session *s, decai_tokenizer *tok)
{
    decai__fields *f = &r->fields;
    decai_context *ctx = r->h.context;
    decai__record record;
    uint8_t hash[32];
    int32_t e = decai__session_record(&record, s);
    if (e) return e;
    const uint8_t *root = decai__model_root(decai__engine_model(decai__session_engine(s)));
    if (!root) return decai__fail(DECAI_E_STATE, "model.hash: 0, so the model has no root");
    decai__fields_set_hash(f, DECAI__R_ACTIVATION, record.root);
    decai__fields_set_hash(f, DECAI__R_LOGITS, record.hash);
    decai__fields_set_hash(f, DECAI__R_MODEL, root);
    decai__fields_set_hash(f, DECAI__R_TOKENIZER, decai__tok_hash(tok));

    if ((e = tokens_copy(ctx, &r->opening.prompt, record.tokens, record.prompt))) return e;
    if ((e = tokens_copy(ctx, &r->opening.output, record.tokens + record.prompt, record.generated))) return e;
    decai__tokens_commit(hash, &r->opening.prompt);
    decai__fields_set_hash(f, DECAI__R_PROMPT, hash);
    decai__tokens_commit(hash, &r->opening.output);
    decai__fields_set_hash(f, DECAI__R_OUTPUT, hash);
    decai__fields_set_number(f, DECAI__R_PROMPT_COUNT, record.prompt);
    decai__fields_set_number(f, DECAI__R_OUTPUT_COUNT, record.generated);

    decai__sampler_fields_set(&f->sampler, decai__session_sampler(s), decai__session_max_tokens(s));
    f->present |= 1ull << DECAI__R_SAMPLER;
    e = lists_copy(ctx, &r->opening, decai__session_sampler(s));
    return e ? e : grammar_copy(r, decai__session_grammar(s), tok);
}

static int32_t
receipt_seal(decai_receipt *r)
{
    decai__buf b;
    decai__buf_init(&b, r->h.context, DECAI_RECEIPT_BYTES_MAX, "DECAI_RECEIPT_BYTES_MAX");
    int32_t e = decai__fields_encode(&b, &r->fields);
    if (e) {
        decai__buf_free(&b);
        return e;
    }
    r->payload = b.data;
    r->payload_len = b.len;
    decai__receipt_id(r->id, r->payload, r->payload_len);
    memcpy(r->opening.receipt_id, r->id, 32);
    return 0;
}

int32_t
decai__contract_match(const decai_receipt *r, const decai_engine *engine)
{
    uint64_t named = r->fields.number[DECAI__R_CONTRACT];
    int32_t own = decai__engine_contract(engine);
    if (named == (uint64_t)own) return 0;
    return decai__fail(DECAI_E_INVALID, "engine: it computes by contract number %d, the receipt names %llu (infer.kv_type, infer.activation)",
        own, (unsigned long long)named);
}

int32_t
decai__receipt_create(decai_receipt **out, decai_session *s, decai_tokenizer *tok, const decai_options *o)
{
    int32_t e = decai__opts_check(o, "proof");
    if (e) return e;
    decai_context *ctx = decai__context_of(s);
    decai_receipt *r = decai__handle_create(ctx, DECAI__RECEIPT, sizeof *r, receipt_destroy);
    if (!r) return DECAI_E_NOMEM;
    decai__fields *f = &r->fields;
    r->profile = (int32_t)decai__opt_i64(o, "proof.profile");
    r->has_opening = true;
    decai__fields_set_number(f, DECAI__R_VERSION, DECAI_RECEIPT_VERSION);
    decai__fields_set_number(f, DECAI__R_CONTRACT, (uint64_t)decai__engine_contract(decai__session_engine(s)));
    decai__fields_set_number(f, DECAI__R_FINISHED, (uint64_t)decai__clock_wall_ms(ctx));
    decai__fields_set_number(f, DECAI__R_COVERAGE,
        DECAI_COVER_MATMUL | DECAI_COVER_ATTENTION | DECAI_COVER_ELEMENT | DECAI_COVER_SAMPLER | DECAI_COVER_ACTIVATION);
    if (decai__is_test(ctx)) decai__fields_set_number(f, DECAI__R_TEST, 1);
    e = fields_from_options(f, o);
    if (!e) e = fields_from_session(r, s, tok);
    if (!e) e = receipt_seal(r);
    if (e) {
        decai__destroy(r);
        return e;
    }
    *out = r;
    return 0;
}

/* ---- envelope -------------------------------------------------------------- */

int32_t
decai__receipt_encode(decai__buf *out, const decai_receipt *r)
{
    decai__cbor_writer w;
    decai__cbor_writer_init(&w, out);
    decai__cbor_put_array(&w, 4);
    decai__cbor_put_uint(&w, ENVELOPE_VERSION);
    decai__cbor_put_uint(&w, (uint64_t)r->profile);
    decai__cbor_put_bytes(&w, r->payload, r->payload_len);
    decai__cbor_put_array(&w, r->signature_count);
    for (size_t i = 0; i < r->signature_count; i++) {
        const decai__signature *s = &r->signatures[i];
        decai__cbor_put_array(&w, 3);
        decai__cbor_put_uint(&w, (uint64_t)s->algorithm);
        decai__cbor_put_bytes(&w, s->key, sizeof s->key);
        decai__cbor_put_bytes(&w, s->signature, sizeof s->signature);
    }
    return decai__cbor_writer_end(&w);
}

static int32_t
signature_decode(decai__cbor_reader *r, decai_receipt *receipt)
{
    uint64_t count, algorithm;
    uint8_t key[20], signature[65];
    int32_t e = decai__cbor_get_array(r, &count);
    if (e) return e;
    if (count != 3) return decai__fail(DECAI_E_CORRUPT, "receipt.signatures: %llu parts, must be 3", (unsigned long long)count);
    if ((e = decai__cbor_get_uint(r, &algorithm))) return e;
    if (algorithm != DECAI_SIGNATURE_EIP712)
        return decai__fail(DECAI_E_UNSUPPORTED, "receipt.signatures: algorithm %llu", (unsigned long long)algorithm);
    if ((e = decai__cbor_get_fixed(r, key, sizeof key))) return e;
    if ((e = decai__cbor_get_fixed(r, signature, sizeof signature))) return e;
    return decai__receipt_add(receipt, (int32_t)algorithm, key, signature);
}

static int32_t
envelope_decode(decai_receipt *receipt, const uint8_t *data, size_t len)
{
    decai__cbor_reader r;
    uint64_t count, version, profile;
    const uint8_t *payload;
    size_t payload_len;
    int32_t e = decai__cbor_reader_init(&r, data, len, "receipt");
    r.field = "envelope";
    if (e || (e = decai__cbor_get_array(&r, &count))) return e;
    if (count != 4) return decai__fail(DECAI_E_CORRUPT, "receipt.envelope: %llu parts, must be 4", (unsigned long long)count);
    if ((e = decai__cbor_get_uint(&r, &version))) return e;
    if (version != ENVELOPE_VERSION)
        return decai__fail(DECAI_E_UNSUPPORTED, "receipt.envelope: version %llu", (unsigned long long)version);
    r.field = "profile";
    if ((e = decai__cbor_get_uint(&r, &profile))) return e;
    if (profile > DECAI_PROFILE_MARKET)
        return decai__fail(DECAI_E_UNSUPPORTED, "receipt.profile: %llu", (unsigned long long)profile);
    receipt->profile = (int32_t)profile;
    r.field = "payload";
    if ((e = decai__cbor_get_bytes(&r, &payload, &payload_len))) return e;
    r.field = "signatures";
    if ((e = decai__cbor_get_array(&r, &count))) return e;
    if (count > DECAI_RECEIPT_SIGNATURES_MAX)
        return decai__fail(DECAI_E_LIMIT, "receipt.signatures: %llu, most are %d", (unsigned long long)count, DECAI_RECEIPT_SIGNATURES_MAX);
    for (uint64_t i = 0; i < count; i++)
        if ((e = signature_decode(&r, receipt))) return e;
    if ((e = decai__cbor_reader_end(&r))) return e;

    if ((e = decai__fields_decode(&receipt->fields, receipt->profile, payload, payload_len))) return e;
    receipt->payload = decai__memdup(receipt->h.context, payload, payload_len);
    if (!receipt->payload) return decai__fail(DECAI_E_NOMEM, "receipt: %zu bytes", payload_len);
    receipt->payload_len = payload_len;
    decai__receipt_id(receipt->id, payload, payload_len);
    return 0;
}

int32_t
decai__receipt_load(decai_receipt **out, decai_context *ctx, const uint8_t *data, size_t len)
{
    if (len > DECAI_RECEIPT_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, "receipt: %zu bytes, most are %d", len, DECAI_RECEIPT_BYTES_MAX);
    decai_receipt *r = decai__handle_create(ctx, DECAI__RECEIPT, sizeof *r, receipt_destroy);
    if (!r) return DECAI_E_NOMEM;
    int32_t e = envelope_decode(r, data, len);
    if (e) {
        decai__destroy(r);
        return e;
    }
    *out = r;
    return 0;
}

int32_t
decai__receipt_add(decai_receipt *r, int32_t alg, const uint8_t *key, const uint8_t *sig)
{
    if (alg != DECAI_SIGNATURE_EIP712) return decai__fail(DECAI_E_UNSUPPORTED, "algorithm: %d", (int)alg);
    for (size_t i = 0; i < r->signature_count; i++)
        if (!memcmp(r->signatures[i].key, key, 20))
            return decai__fail(DECAI_E_EXISTS, "receipt.signatures: this key has signed already");
    if (r->signature_count == DECAI_RECEIPT_SIGNATURES_MAX)
        return decai__fail(DECAI_E_LIMIT, "receipt.signatures: more than %d", DECAI_RECEIPT_SIGNATURES_MAX);
    decai__signature *s = &r->signatures[r->signature_count++];
    s->algorithm = alg;
    memcpy(s->key, key, sizeof s->key);
    memcpy(s->signature, sig, sizeof s->signature);
    return 0;
}

int32_t
decai__receipt_format(decai__buf *out, const decai_receipt *r)
{
    decai__json_writer w;
    decai__json_writer_init(&w, out, true);
    decai__json_put_object(&w, NULL);
    decai__json_put_hex(&w, "receipt_id", r->id, 32);
    decai__json_put_str(&w, "profile", r->profile == DECAI_PROFILE_MARKET ? "market" : "local");
    const decai__fields *f = &r->fields;
    for (int32_t k = 0; k < DECAI__R_COUNT; k++) {
        if (!decai__fields_has(f, k)) continue;
        if (k == DECAI__R_SAMPLER) {
            decai__sampler_format(&w, &f->sampler);
        } else if (k == DECAI__R_MODEL || (k >= DECAI__R_TOKENIZER && k <= DECAI__R_OUTPUT) || k == DECAI__R_ACTIVATION
            || k == DECAI__R_JOB || k == DECAI__R_NONCE || k == DECAI__R_LOGITS) {
            decai__json_put_hex(&w, decai__fields_name(k), f->hash[k], 32);
        } else {
            decai__json_put_u64(&w, decai__fields_name(k), f->number[k]);
        }
    }
    decai__json_put_array(&w, "signatures");
    for (size_t i = 0; i < r->signature_count; i++) {
        decai__json_put_object(&w, NULL);
        decai__json_put_str(&w, "algorithm", "eip712");
        decai__json_put_hex(&w, "signer", r->signatures[i].key, 20);
        decai__json_put_hex(&w, "signature", r->signatures[i].signature, 65);
        decai__json_put_end(&w);
    }
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}
