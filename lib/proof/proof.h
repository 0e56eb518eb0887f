/* proof.h - the inside of receipts and disputes.
 *
 * Payload of a receipt, a CBOR map with ascending keys (DESIGN §6):
 *
 *   key  what                      type         profile that requires it
 *    0   receipt version           uint         all
 *    1   contract version          uint         all
 *    3   model root                bstr(32)     all
 *    4   tokenizer hash            bstr(32)     all
 *    5   template hash             bstr(32)     -
 *    6   prompt commitment         bstr(32)     all
 *    7   output commitment         bstr(32)     all
 *    8   sampler                   map          all    its keys: sampler.c
 *    9   activation root           bstr(32)     all
 *   10   prompt tokens             uint         all
 *   11   output tokens             uint         all
 *   12   job id                    bstr(32)     market
 *   13   verifier nonce            bstr(32)     market
 *   14   chain id                  uint         market
 *   15   expiry, ms                uint         market
 *   16   started, ms               uint         -
 *   17   finished, ms              uint         -
 *   18   coverage bitmap           uint         all
 *   19   test mark                 uint, 1      - (test contexts only)
 *   20   logits hash               bstr(32)     all
 *
 * Envelope: array(4) [1, profile, bstr(payload), array of [alg, key, sig]].
 * Commitment to tokens: H(domain "decai.tokens.v1", salt, count, ids), all
 * integers u64 big-endian, Keccak-256.
 * Opening: map {0: 1, 1: receipt id, 2: prompt salt, 3: [prompt ids],
 * 4: output salt, 5: [output ids]}, and where the sampler names their digests
 * 6: [id, thousandths, ...] of its logit biases (-2^31: the token is out),
 * 7: [ids] of its sequence breakers, both by ascending id, 8: [kind, text] of its
 * grammar.
 */
#ifndef DECAI__PROOF_H
#define DECAI__PROOF_H

#include "base/base.h"
#include "codec/codec.h"
#include "decai/proof.h"
#include "infer/infer.h"
#include "tok/tok.h"

enum {
    DECAI__R_VERSION, DECAI__R_CONTRACT, DECAI__R_MODEL = 3, DECAI__R_TOKENIZER, DECAI__R_TEMPLATE,
    DECAI__R_PROMPT, DECAI__R_OUTPUT, DECAI__R_SAMPLER, DECAI__R_ACTIVATION, DECAI__R_PROMPT_COUNT,
    DECAI__R_OUTPUT_COUNT, DECAI__R_JOB, DECAI__R_NONCE, DECAI__R_CHAIN, DECAI__R_EXPIRY,
    DECAI__R_STARTED, DECAI__R_FINISHED, DECAI__R_COVERAGE, DECAI__R_TEST, DECAI__R_LOGITS,
    DECAI__R_COUNT
};

/* Keys of the sampler's map: sampler.c. */
#define DECAI__SAMPLER_KEYS 24
#define DECAI__S_BREAKERS 17
#define DECAI__S_BIAS 22
#define DECAI__S_GRAMMAR 23

typedef struct decai__sampler_fields {
    uint64_t temperature, top_k, top_p, max_tokens, seed;   /* keys 0 to 4 */
    int64_t value[DECAI__SAMPLER_KEYS];                     /* by key; absent: 0 */
    uint64_t present;                                       /* bit k for key k, from 5 on */
    uint8_t breakers[32], bias[32], grammar[32];
} decai__sampler_fields;

/* A payload's values. `present` has bit k for key k. */
typedef struct decai__fields {
    uint64_t present;
    uint64_t number[DECAI__R_COUNT];
    uint8_t hash[DECAI__R_COUNT][32];
    decai__sampler_fields sampler;
} decai__fields;

typedef struct decai__signature {
    int32_t algorithm;
    uint8_t key[20];
    uint8_t signature[65];
} decai__signature;

/* One half of an opening. */
typedef struct decai__tokens {
    uint8_t salt[32];
    int32_t *ids;
    size_t count;
} decai__tokens;

typedef struct decai__opening {
    uint8_t receipt_id[32];
    decai__tokens prompt, output;
    decai__bias *bias;
    size_t bias_count;
    int32_t *breakers;
    size_t breaker_count;
    char *kind, *text;               /* of the grammar, kind with a NUL; NULL: none */
    size_t text_len;
} decai__opening;

struct decai_receipt {
    decai__handle h;
    int32_t profile;
    decai__fields fields;
    uint8_t *payload;
    size_t payload_len;
    uint8_t id[32];
    decai__signature signatures[DECAI_RECEIPT_SIGNATURES_MAX];
    size_t signature_count;
    bool has_opening;
    decai__opening opening;
};

/* payload.c: the map above, both ways. */
int32_t decai__fields_encode(decai__buf *out, const decai__fields *f);
int32_t decai__fields_decode(decai__fields *f, int32_t profile, const uint8_t *data, size_t len);
void decai__fields_set_hash(decai__fields *f, int32_t key, const uint8_t hash[32]);
void decai__fields_set_number(decai__fields *f, int32_t key, uint64_t v);
bool decai__fields_has(const decai__fields *f, int32_t key);
const char *decai__fields_name(int32_t key);
void decai__receipt_id(uint8_t out[32], const uint8_t *payload, size_t len);

/* sampler.c: the sampler's map, both ways; what a draw or a session needs of it. The
 * lists of decai__sampler_of stay the opening's. Options of a session that runs as a
 * receipt says, activation tree on: the caller destroys them, also after a failure. */
void decai__sampler_put(decai__cbor_writer *w, const decai__sampler_fields *s);
int32_t decai__sampler_get(decai__cbor_reader *r, decai__sampler_fields *s);
void decai__sampler_format(decai__json_writer *w, const decai__sampler_fields *s);
void decai__sampler_fields_set(decai__sampler_fields *f, const decai__sampler *s, uint32_t max_tokens);
void decai__sampler_of(decai__sampler *out, const decai__sampler_fields *f, const decai__opening *o);
/* The opening's grammar, for the vocabulary of a model; NULL if it has none. DECAI_E_INVALID:
 * the model's own tokenizer is not the receipt's. */
int32_t decai__opening_grammar(decai_grammar **out, const decai__opening *o, const decai_receipt *r, const decai_engine *engine);
int32_t decai__sampler_lists_check(const decai__sampler_fields *f, const decai__opening *o);
int32_t decai__sampler_options(decai_options **out, decai_context *ctx, const decai__sampler_fields *s,
    const decai__opening *lists);

/* opening.c */
void decai__tokens_commit(uint8_t out[32], const decai__tokens *t);
int32_t decai__opening_encode(decai__buf *out, const decai__opening *o);
int32_t decai__opening_decode(decai_context *ctx, decai__opening *o, const uint8_t *data, size_t len);
void decai__opening_free(decai_context *ctx, decai__opening *o);
/* Does it open this receipt? 0 | DECAI_E_INTEGRITY naming what differs. */
int32_t decai__opening_check(const decai__opening *o, const decai_receipt *r);

/* receipt.c */
int32_t decai__receipt_create(decai_receipt **out, decai_session *s, decai_tokenizer *tok, const decai_options *o);
/* The engine computes by the contract number that the receipt names: 0 | DECAI_E_INVALID */
int32_t decai__contract_match(const decai_receipt *r, const decai_engine *engine);
int32_t decai__receipt_load(decai_receipt **out, decai_context *ctx, const uint8_t *data, size_t len);
int32_t decai__receipt_encode(decai__buf *out, const decai_receipt *r);
int32_t decai__receipt_add(decai_receipt *r, int32_t alg, const uint8_t *key, const uint8_t *sig);
int32_t decai__receipt_format(decai__buf *out, const decai_receipt *r);

/* verify.c */
int32_t decai__verification_start(decai_task **task, decai_verification **out, decai_receipt *r,
    const uint8_t *opening, size_t opening_len, decai_engine *engine);
int32_t decai__receipt_verify(decai_verification **out, decai_receipt *r, const uint8_t *opening,
    size_t opening_len, decai_engine *engine);
int32_t decai__verification_get(decai_verification *v, uint64_t *replayed, uint64_t *committed);
int32_t decai__verification_format(decai__buf *out, const decai_verification *v);

#endif /* DECAI__PROOF_H */
