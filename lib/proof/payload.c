/* payload.c - the receipt's map, written and read from one table.
 *
 * RFC 8949 §4.2.1 deterministic encoding in the subset of DESIGN §6. There is
 * one encoding of one set of values: receipt_id is a hash of bytes, and two
 * spellings of a receipt would be two receipts. A key that is not in the table
 * is refused, never skipped: who signs it must know what it means. */
#include <string.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "proof/proof.h"

enum kind { ABSENT, NUMBER, HASH, SAMPLER };

#define LOCAL  1u                    /* required by this profile */
#define MARKET 2u

typedef struct field_row {
    const char *name;
    enum kind kind;
    unsigned required;
} field_row;

static const field_row rows[DECAI__R_COUNT] = {
    [DECAI__R_VERSION] = {"version", NUMBER, LOCAL | MARKET},
    [DECAI__R_CONTRACT] = {"contract", NUMBER, LOCAL | MARKET},
    [DECAI__R_MODEL] = {"model_root", HASH, LOCAL | MARKET},
    [DECAI__R_TOKENIZER] = {"tokenizer_hash", HASH, LOCAL | MARKET},
    [DECAI__R_TEMPLATE] = {"template_hash", HASH, 0},
    [DECAI__R_PROMPT] = {"prompt_commitment", HASH, LOCAL | MARKET},
    [DECAI__R_OUTPUT] = {"output_commitment", HASH, LOCAL | MARKET},
    [DECAI__R_SAMPLER] = {"sampler", SAMPLER, LOCAL | MARKET},
    [DECAI__R_ACTIVATION] = {"activation_root", HASH, LOCAL | MARKET},
    [DECAI__R_PROMPT_COUNT] = {"prompt_tokens", NUMBER, LOCAL | MARKET},
    [DECAI__R_OUTPUT_COUNT] = {"output_tokens", NUMBER, LOCAL | MARKET},
    [DECAI__R_JOB] = {"job_id", HASH, MARKET},
    [DECAI__R_NONCE] = {"nonce", HASH, MARKET},
    [DECAI__R_CHAIN] = {"chain_id", NUMBER, MARKET},
    [DECAI__R_EXPIRY] = {"expiry_ms", NUMBER, MARKET},
    [DECAI__R_STARTED] = {"started_ms", NUMBER, 0},
    [DECAI__R_FINISHED] = {"finished_ms", NUMBER, 0},
    [DECAI__R_COVERAGE] = {"coverage", NUMBER, LOCAL | MARKET},
    [DECAI__R_TEST] = {"test", NUMBER, 0},
    [DECAI__R_LOGITS] = {"logits_hash", HASH, LOCAL | MARKET},
};

const char *
decai__fields_name(int32_t key)
{
    return rows[key].name ? rows[key].name : "";
}

bool
decai__fields_has(const decai__fields *f, int32_t key)
{
    return f->present >> key & 1;
}

void
decai__fields_set_hash(decai__fields *f, int32_t key, const uint8_t hash[32])
{
    decai__assert(rows[key].kind == HASH);
    memcpy(f->hash[key], hash, 32);
    f->present |= 1ull << key;
}

void
decai__fields_set_number(decai__fields *f, int32_t key, uint64_t v)
{
    decai__assert(rows[key].kind == NUMBER);
    f->number[key] = v;
    f->present |= 1ull << key;
}

int32_t
decai__fields_encode(decai__buf *out, const decai__fields *f)
{
    decai__cbor_writer w;
    decai__cbor_writer_init(&w, out);
    decai__cbor_put_map(&w, (uint64_t)__builtin_popcountll(f->present));
    for (int32_t k = 0; k < DECAI__R_COUNT; k++) {
        if (!decai__fields_has(f, k)) continue;
        decai__cbor_put_uint(&w, (uint64_t)k);
        if (rows[k].kind == NUMBER) {
            decai__cbor_put_uint(&w, f->number[k]);
        } else if (rows[k].kind == HASH) {
            decai__cbor_put_bytes(&w, f->hash[k], 32);
        } else {
            decai__sampler_put(&w, &f->sampler);
        }
    }
    return decai__cbor_writer_end(&w);
}

static int32_t
value_decode(decai__cbor_reader *r, decai__fields *f, int32_t k)
{
    r->field = rows[k].name;
    f->present |= 1ull << k;
    if (rows[k].kind == NUMBER) return decai__cbor_get_uint(r, &f->number[k]);
    if (rows[k].kind == HASH) return decai__cbor_get_fixed(r, f->hash[k], 32);
    return decai__sampler_get(r, &f->sampler);
}

static int32_t
fields_check(const decai__fields *f, int32_t profile)
{
    unsigned bit = profile == DECAI_PROFILE_MARKET ? MARKET : LOCAL;
    for (int32_t k = 0; k < DECAI__R_COUNT; k++)
        if ((rows[k].required & bit) && !decai__fields_has(f, k))
            return decai__fail(DECAI_E_CORRUPT, "receipt.%s: missing", rows[k].name);
    if (f->number[DECAI__R_VERSION] != DECAI_RECEIPT_VERSION)
        return decai__fail(DECAI_E_UNSUPPORTED, "receipt.version: %llu, known is %d",
            (unsigned long long)f->number[DECAI__R_VERSION], DECAI_RECEIPT_VERSION);
    if (f->number[DECAI__R_CONTRACT] < 1 || f->number[DECAI__R_CONTRACT] > DECAI__CONTRACT_MAX)
        return decai__fail(DECAI_E_UNSUPPORTED, "receipt.contract: %llu, known are 1 to %d",
            (unsigned long long)f->number[DECAI__R_CONTRACT], DECAI__CONTRACT_MAX);
    if (decai__fields_has(f, DECAI__R_TEST) && f->number[DECAI__R_TEST] != 1)
        return decai__fail(DECAI_E_CORRUPT, "receipt.test: %llu", (unsigned long long)f->number[DECAI__R_TEST]);
    return 0;
}

int32_t
decai__fields_decode(decai__fields *f, int32_t profile, const uint8_t *data, size_t len)
{
    *f = (decai__fields){0};
    decai__cbor_reader r;
    int32_t e = decai__cbor_reader_init(&r, data, len, "receipt");
    uint64_t pairs, key;
    if (e || (e = decai__cbor_get_map(&r, &pairs))) return e;
    while (pairs--) {
        if ((e = decai__cbor_get_key(&r, &key))) return e;
        if (key >= DECAI__R_COUNT || rows[key].kind == ABSENT)
            return decai__fail(DECAI_E_UNSUPPORTED, "receipt: key %llu", (unsigned long long)key);
        if ((e = value_decode(&r, f, (int32_t)key))) return e;
    }
    if ((e = decai__cbor_reader_end(&r))) return e;
    return fields_check(f, profile);
}

void
decai__receipt_id(uint8_t out[32], const uint8_t *payload, size_t len)
{
    static const char prefix[] = "decai.receipt.v1";   /* its NUL is the 0x00 of the formula */
    decai__keccak k;
    decai__keccak_init(&k);
    decai__keccak_update(&k, prefix, sizeof prefix);
    decai__keccak_update(&k, payload, len);
    decai__keccak_final(&k, out);
}
