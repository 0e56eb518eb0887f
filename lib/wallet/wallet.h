/* wallet.h - the statements that libdecai signs, and the sink.
 *
 * A statement is (kind, exact bytes). decai__effects_decode is the one decoder:
 * the human text, the policy's input and the digest all come from its result.
 *
 * Receipts and manifests are CBOR maps written by other rooms. The wallet reads
 * a few fields under pinned key numbers and takes the id from the exact bytes,
 * so it never re-encodes what it signs:
 *
 *   receipt   3 model root  bstr(32)      12 job id  bstr(32), absent = zeros
 *            14 chain id    uint, absent = the signer's   15 expiry  uint, ms UTC
 *   manifest  1 version     uint 1         2 chain id   uint
 *             3 model root  bstr(32)       6 name       tstr      7 owner  bstr(20)
 *
 * ids: Keccak-256(domain text | 0x00 | bytes), "decai.receipt.v1" and
 * "decai.manifest.v1".
 */
#ifndef DECAI__WALLET_H
#define DECAI__WALLET_H

#include "base/base.h"
#include "decai/wallet.h"
#include "key/key.h"

#define DECAI__RECEIPT_KEY_MODEL_ROOT 3
#define DECAI__RECEIPT_KEY_JOB_ID     12
#define DECAI__RECEIPT_KEY_CHAIN_ID   14
#define DECAI__RECEIPT_KEY_EXPIRY_MS  15

#define DECAI__MANIFEST_KEY_VERSION    1
#define DECAI__MANIFEST_KEY_CHAIN_ID   2
#define DECAI__MANIFEST_KEY_MODEL_ROOT 3
#define DECAI__MANIFEST_KEY_NAME       6
#define DECAI__MANIFEST_KEY_OWNER      7
#define DECAI__MANIFEST_KEY_LAST       10

#define DECAI__NAME_MAX 256 /* bytes of a manifest's name in effects */

/* ---- effects: what signing would do ---------------------------------------- */

/* Fields that a kind does not have are zero. */
typedef struct decai__effects {
    int32_t kind;
    uint64_t chain_id;
    uint8_t id[32];              /* order: digest; receipt, manifest: content id */
    uint8_t digest[32];          /* what is signed */
    uint8_t model_root[32], prompt_hash[32], salt[32], job_id[32];
    uint8_t max_price[32];       /* big-endian, one lease */
    uint8_t cost[32];            /* big-endian, max_price x redundancy */
    char asset[DECAI_ORDER_ASSET_MAX + 1];
    uint64_t redundancy;
    uint64_t expiry_ms;          /* order: deadline; receipt: expiry */
    uint8_t owner[DECAI_ADDRESS_BYTES];
    char name[DECAI__NAME_MAX + 1];
} decai__effects;

/* A statement for another chain than chain_id is refused. */
int32_t decai__effects_decode(decai_context *ctx, decai__effects *e, int32_t kind,
    const uint8_t *bytes, size_t len, uint64_t chain_id);
int32_t decai__effects_format(decai__buf *b, const decai__effects *e);
/* effects.c's parts, one a kind */
int32_t decai__effects_order(decai_context *ctx, decai__effects *e, const char *text, size_t len);
int32_t decai__effects_receipt(decai__effects *e, const uint8_t *bytes, size_t len);
int32_t decai__effects_manifest(decai__effects *e, const uint8_t *bytes, size_t len);

/* The order's document from its fields; only id, digest and cost are not read. */
int32_t decai__order_write(decai__buf *b, const decai__effects *e);
/* asset: 1 .. DECAI_ORDER_ASSET_MAX visible ASCII characters. */
bool decai__asset_valid(const char *text, size_t len);

/* ---- policy ---------------------------------------------------------------- */

typedef struct decai__policy {
    uint64_t chain_id;
    char asset[DECAI_ORDER_ASSET_MAX + 1]; /* "" = no orders */
    uint8_t price_max[32], total_max[32];  /* big-endian */
    int64_t window_ms, horizon_ms;
    bool receipts, manifests;
    size_t model_count;                    /* 0 = any model */
    uint8_t models[DECAI_WALLET_MODELS_MAX][32];
    uint8_t version[32];                   /* Keccak-256 of the canonical JSON */
} decai__policy;

int32_t decai__policy_read(decai_context *ctx, decai__policy *p, const decai_options *o);
int32_t decai__policy_format(decai__buf *b, const decai__policy *p);
/* All but the spend window: 0, or DECAI_E_DENIED with the rule's name. */
int32_t decai__policy_check(const decai__policy *p, const decai__effects *e,
    const uint8_t signer[DECAI_ADDRESS_BYTES], int64_t now_ms);

/* ---- what was spent -------------------------------------------------------- */

typedef struct decai__spend {
    int64_t at_ms;                         /* on the wallet's own clock */
    uint8_t amount[32];
} decai__spend;

/* The wallet's own clock is the sum of what the monotonic clock advanced while
 * a wallet lived: the wall clock cannot reach it, it never goes back, and it
 * stands still between encode and decode. */
typedef struct decai__spends {
    int64_t now_ms, mono_ns, rest_ns;      /* rest: below one millisecond */
    size_t count, cap;
    decai__spend *rows;                    /* oldest first */
} decai__spends;

void decai__spends_tick(decai__spends *s, int64_t mono_ns);
/* Reserve amount, or DECAI_E_DENIED if the window would hold more than total_max. */
int32_t decai__spends_reserve(decai_context *ctx, decai__spends *s, const decai__policy *p,
    const uint8_t amount[32]);
int32_t decai__spends_encode(decai__buf *b, const decai__spends *s, const uint8_t owner[DECAI_ADDRESS_BYTES]);
/* Replaces *s, or leaves it as it was. */
int32_t decai__spends_decode(decai_context *ctx, decai__spends *s, const uint8_t *bytes, size_t len,
    const uint8_t owner[DECAI_ADDRESS_BYTES]);

/* ---- handles (sign.c) -------------------------------------------------------- */

int32_t decai__wallet_create(decai_wallet **out, decai_key *key, const decai_options *o);
int32_t decai__wallet_policy_format(decai_wallet *w, decai__buf *b);
int32_t decai__wallet_state_encode(decai_wallet *w, decai__buf *b);
int32_t decai__wallet_state_decode(decai_wallet *w, const uint8_t *bytes, size_t len);
int32_t decai__intent_parse(decai_intent **out, decai_wallet *w, int32_t kind, const uint8_t *bytes, size_t len);
const decai__effects *decai__intent_effects(const decai_intent *intent);
int32_t decai__permit_create(decai_permit **out, decai_wallet *w, decai_intent *intent);
int32_t decai__wallet_sign(decai_wallet *w, uint8_t sig[DECAI_SIGNATURE_BYTES], decai_intent *intent,
    decai_permit *permit);

#endif /* DECAI__WALLET_H */
