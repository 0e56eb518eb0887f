/* opening.c - what a receipt only commits to: the tokens, and lists of its sampler.
 *
 * A commitment is H(domain, salt, count, ids). The 32-byte salt is random, so a
 * settled receipt tells nobody which of a thousand likely prompts was asked.
 * The opening carries salts and ids; it is checked against the receipt before
 * a single id of it is used. */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "proof/proof.h"

#define OPENING_VERSION 1

enum { NEEDED = 6, BIAS = 6, BREAKERS = 7, GRAMMAR = 8, KEYS = 9 };   /* of the map in proof.h */

#define KIND_MAX 32                  /* bytes of a grammar's kind */

void
decai__tokens_commit(uint8_t out[32], const decai__tokens *t)
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__hash_domain(&k, "decai.tokens.v1");
    decai__keccak_update(&k, t->salt, 32);
    decai__hash_u64(&k, t->count);
    for (size_t i = 0; i < t->count; i++) decai__hash_u64(&k, (uint64_t)(uint32_t)t->ids[i]);
    decai__keccak_final(&k, out);
}

static void
tokens_encode(decai__cbor_writer *w, uint64_t key, const decai__tokens *t)
{
    decai__cbor_put_key_bytes(w, key, t->salt, 32);
    decai__cbor_put_uint(w, key + 1);
    decai__cbor_put_array(w, t->count);
    for (size_t i = 0; i < t->count; i++) decai__cbor_put_uint(w, (uint64_t)(uint32_t)t->ids[i]);
}

int32_t
decai__opening_encode(decai__buf *out, const decai__opening *o)
{
    decai__cbor_writer w;
    decai__cbor_writer_init(&w, out);
    decai__cbor_put_map(&w, 6u + (o->bias_count != 0) + (o->breaker_count != 0) + (o->text != NULL));
    decai__cbor_put_key_uint(&w, 0, OPENING_VERSION);
    decai__cbor_put_key_bytes(&w, 1, o->receipt_id, 32);
    tokens_encode(&w, 2, &o->prompt);
    tokens_encode(&w, 4, &o->output);
    if (o->bias_count) decai__cbor_put_uint(&w, BIAS), decai__cbor_put_array(&w, 2 * o->bias_count);
    for (size_t i = 0; i < o->bias_count; i++) {
        decai__cbor_put_uint(&w, (uint64_t)o->bias[i].token);
        decai__cbor_put_int(&w, o->bias[i].milli);
    }
    if (o->breaker_count) decai__cbor_put_uint(&w, BREAKERS), decai__cbor_put_array(&w, o->breaker_count);
    for (size_t i = 0; i < o->breaker_count; i++) decai__cbor_put_uint(&w, (uint64_t)o->breakers[i]);
    if (o->text) {
        decai__cbor_put_uint(&w, GRAMMAR);
        decai__cbor_put_array(&w, 2);
        decai__cbor_put_text(&w, o->kind, strlen(o->kind));
        decai__cbor_put_text(&w, o->text, o->text_len);
    }
    return decai__cbor_writer_end(&w);
}

/* Each id takes a byte at least: no allocation before the bytes are there. */
static int32_t
count_get(decai__cbor_reader *r, size_t *out, size_t most)
{
    uint64_t count;
    int32_t e = decai__cbor_get_array(r, &count);
    if (e) return e;
    if (count > r->len - r->pos || count > most)
        return decai__fail(DECAI_E_LIMIT, "opening.%s: %llu ids", r->field, (unsigned long long)count);
    *out = (size_t)count;
    return 0;
}

static int32_t
id_get(decai__cbor_reader *r, int32_t *out)
{
    uint64_t id;
    int32_t e = decai__cbor_get_uint(r, &id);
    if (e) return e;
    if (id > INT32_MAX) return decai__fail(DECAI_E_CORRUPT, "opening.%s: id %llu", r->field, (unsigned long long)id);
    *out = (int32_t)id;
    return 0;
}

static int32_t
ids_decode(decai_context *ctx, decai__cbor_reader *r, int32_t **ids, size_t *count, size_t most)
{
    size_t n = 0;
    int32_t e = count_get(r, &n, most);
    if (e) return e;
    *ids = decai__calloc(ctx, n, sizeof **ids);
    if (!*ids) return decai__fail(DECAI_E_NOMEM, "opening: %zu ids", n);
    *count = n;
    for (size_t i = 0; i < n && !e; i++) e = id_get(r, &(*ids)[i]);
    return e;
}

/* ---- the sampler's lists: not empty, ids ascending ----------------------------------- */

static int32_t
out_of_order(const decai__cbor_reader *r, size_t at)
{
    return decai__fail(DECAI_E_CORRUPT, "opening.%s: item %zu does not ascend", r->field, at);
}

static int32_t
breakers_decode(decai_context *ctx, decai__cbor_reader *r, decai__opening *o)
{
    int32_t e = ids_decode(ctx, r, &o->breakers, &o->breaker_count, DECAI_DRY_BREAKERS_MAX);
    if (!e && !o->breaker_count) return decai__fail(DECAI_E_CORRUPT, "opening.%s: empty", r->field);
    for (size_t i = 1; i < o->breaker_count && !e; i++)
        if (o->breakers[i] <= o->breakers[i - 1]) e = out_of_order(r, i);
    return e;
}

static int32_t
bias_decode(decai_context *ctx, decai__cbor_reader *r, decai__opening *o)
{
    size_t n = 0;
    int64_t milli;
    int32_t e = count_get(r, &n, 2 * DECAI_LOGIT_BIAS_MAX);
    if (e) return e;
    if (!n || n % 2) return decai__fail(DECAI_E_CORRUPT, "opening.%s: %zu numbers", r->field, n);
    o->bias = decai__calloc(ctx, n / 2, sizeof *o->bias);
    if (!o->bias) return decai__fail(DECAI_E_NOMEM, "opening: %zu biases", n / 2);
    o->bias_count = n / 2;
    for (size_t i = 0; i < o->bias_count; i++) {
        e = id_get(r, &o->bias[i].token);
        if (!e) e = decai__cbor_get_int(r, &milli);
        if (e) return e;
        if (milli < INT32_MIN || milli > INT32_MAX)
            return decai__fail(DECAI_E_CORRUPT, "opening.%s: value %lld", r->field, (long long)milli);
        o->bias[i].milli = (int32_t)milli;
        if (i && o->bias[i].token <= o->bias[i - 1].token) return out_of_order(r, i);
    }
    return 0;
}

/* [kind, text]; kind is words without NUL. */
static int32_t
grammar_decode(decai_context *ctx, decai__cbor_reader *r, decai__opening *o)
{
    const char *kind, *text;
    size_t kind_len, len;
    uint64_t count;
    int32_t e = decai__cbor_get_array(r, &count);
    if (!e && count != 2) e = decai__fail(DECAI_E_CORRUPT, "opening.%s: %llu parts", r->field, (unsigned long long)count);
    if (!e) e = decai__cbor_get_text(r, &kind, &kind_len);
    if (!e) e = decai__cbor_get_text(r, &text, &len);
    if (e) return e;
    if (!kind_len || kind_len > KIND_MAX || memchr(kind, 0, kind_len))
        return decai__fail(DECAI_E_CORRUPT, "opening.%s: a kind of %zu bytes", r->field, kind_len);
    if (len > DECAI_GRAMMAR_TEXT_MAX) return decai__fail(DECAI_E_LIMIT, "opening.%s: %zu bytes", r->field, len);
    o->kind = decai__calloc(ctx, kind_len + 1, 1);
    o->text = decai__calloc(ctx, len + 1, 1);
    if (!o->kind || !o->text) return decai__fail(DECAI_E_NOMEM, "opening: a grammar of %zu bytes", len);
    memcpy(o->kind, kind, kind_len);
    memcpy(o->text, text, len);
    o->text_len = len;
    return 0;
}

static int32_t
opening_value(decai_context *ctx, decai__cbor_reader *r, decai__opening *o, uint64_t key)
{
    static const char *const names[KEYS] = {"version", "receipt_id", "prompt_salt", "prompt", "output_salt", "output",
        "logit_bias", "dry_breakers", "grammar"};
    r->field = names[key];
    uint64_t version;
    int32_t e;
    switch (key) {
    case 0:
        if ((e = decai__cbor_get_uint(r, &version))) return e;
        return version == OPENING_VERSION
            ? 0 : decai__fail(DECAI_E_UNSUPPORTED, "opening.version: %llu", (unsigned long long)version);
    case 1: return decai__cbor_get_fixed(r, o->receipt_id, 32);
    case 2: return decai__cbor_get_fixed(r, o->prompt.salt, 32);
    case 3: return ids_decode(ctx, r, &o->prompt.ids, &o->prompt.count, DECAI_CONTEXT_TOKENS_MAX);
    case 4: return decai__cbor_get_fixed(r, o->output.salt, 32);
    case 5: return ids_decode(ctx, r, &o->output.ids, &o->output.count, DECAI_CONTEXT_TOKENS_MAX);
    case BIAS: return bias_decode(ctx, r, o);
    case GRAMMAR: return grammar_decode(ctx, r, o);
    default: return breakers_decode(ctx, r, o);
    }
}

static int32_t
opening_read(decai_context *ctx, decai__opening *o, const uint8_t *data, size_t len)
{
    decai__cbor_reader r;
    int32_t e = decai__cbor_reader_init(&r, data, len, "opening");
    uint64_t pairs, key, next = 0;
    if (e || (e = decai__cbor_get_map(&r, &pairs))) return e;
    while (pairs--) {
        if ((e = decai__cbor_get_key(&r, &key))) return e;
        if (key >= KEYS) return decai__fail(DECAI_E_UNSUPPORTED, "opening: key %llu", (unsigned long long)key);
        /* Ascending is the reader's care; the first six are all there. */
        if (next < NEEDED && key != next++) return decai__fail(DECAI_E_CORRUPT, "opening: key %llu missing", (unsigned long long)next - 1);
        if ((e = opening_value(ctx, &r, o, key))) return e;
    }
    if (next != NEEDED) return decai__fail(DECAI_E_CORRUPT, "opening: key %llu missing", (unsigned long long)next);
    return decai__cbor_reader_end(&r);
}

int32_t
decai__opening_decode(decai_context *ctx, decai__opening *o, const uint8_t *data, size_t len)
{
    *o = (decai__opening){0};
    if (len > DECAI_OPENING_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, "opening: %zu bytes, most are %d", len, DECAI_OPENING_BYTES_MAX);
    int32_t e = opening_read(ctx, o, data, len);
    if (e) decai__opening_free(ctx, o);
    return e;
}

void
decai__opening_free(decai_context *ctx, decai__opening *o)
{
    decai__free(ctx, o->prompt.ids);
    decai__free(ctx, o->output.ids);
    decai__free(ctx, o->bias);
    decai__free(ctx, o->breakers);
    decai__free(ctx, o->kind);
    decai__free(ctx, o->text);
    *o = (decai__opening){0};
}

static int32_t
tokens_check(const decai__tokens *t, const decai_receipt *r, int32_t commitment, int32_t count)
{
    uint8_t hash[32];
    if (t->count != r->fields.number[count])
        return decai__fail(DECAI_E_INTEGRITY, "%s: %llu in the receipt, %zu in the opening", decai__fields_name(count),
            (unsigned long long)r->fields.number[count], t->count);
    decai__tokens_commit(hash, t);
    if (memcmp(hash, r->fields.hash[commitment], 32))
        return decai__fail(DECAI_E_INTEGRITY, "%s: the opening's tokens hash to another value", decai__fields_name(commitment));
    return 0;
}

int32_t
decai__opening_check(const decai__opening *o, const decai_receipt *r)
{
    if (memcmp(o->receipt_id, r->id, 32))
        return decai__fail(DECAI_E_INTEGRITY, "opening.receipt_id: it opens another receipt");
    int32_t e = tokens_check(&o->prompt, r, DECAI__R_PROMPT, DECAI__R_PROMPT_COUNT);
    if (!e) e = tokens_check(&o->output, r, DECAI__R_OUTPUT, DECAI__R_OUTPUT_COUNT);
    return e ? e : decai__sampler_lists_check(&r->fields.sampler, o);
}

int32_t
decai__opening_grammar(decai_grammar **out, const decai__opening *o, const decai_receipt *r, const decai_engine *engine)
{
    decai_tokenizer *tok = NULL;
    *out = NULL;
    if (!o->text) return 0;
    int32_t e = decai__tok_create(&tok, decai__engine_model(engine), NULL);
    if (!e && memcmp(decai__tok_hash(tok), r->fields.hash[DECAI__R_TOKENIZER], 32))
        e = decai__fail(DECAI_E_INVALID, "engine: its model has another tokenizer than the receipt, whose grammar cannot be followed");
    if (!e) e = decai__grammar_create(out, tok, o->kind, o->text, o->text_len, NULL);
    decai__destroy(tok);
    return e;
}
