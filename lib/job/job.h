/* job.h - inside the market. Files:
 *
 *   ledger.c   double entry: moves become postings, checked before commit
 *   request.c  the JSON requests, strictly; an order's id
 *   plan.c     who gets what when a job closes: pure arithmetic, no store
 *   load.c     rows of the store to structs
 *   market.c   deposit, stake, order, bid
 *   auction.c  auction, lease, heartbeat, result, verdict
 *   settle.c   closing a job: settlement, cancel, expiry
 *   audit.c    everything recomputed from the postings
 *   report.c   JSON for people
 *
 * Every change has the same shape: open a transaction (an effect, if the caller
 * gave a key), load, check, write rows, post moves, add an event, end. Nothing
 * is cached between calls: another process may have written in between.
 */
#ifndef DECAI__JOB_H
#define DECAI__JOB_H

#include "base/base.h"
#include "decai/job.h"
#include "num/num.h"
#include "store/store.h"

#define DECAI__ACCOUNT_MAX 80                    /* "escrow:" and 64 hex digits, and a NUL */

struct decai_market {
    decai__handle h;
    decai_store *store;                          /* owned reference */
    int64_t lease_ms;
};

/* ---- ledger.c -------------------------------------------------------------- */

/* A balance: ext:deposit is below zero, so that a whole asset sums to zero. */
typedef struct decai__signed { bool negative; decai__u256 magnitude; } decai__signed;

/* a += b or a -= b; false if the magnitude would leave 256 bits. */
bool decai__signed_add(decai__signed *a, const decai__u256 *b);
bool decai__signed_sub(decai__signed *a, const decai__u256 *b);

/* One amount from one account to another; two postings. */
typedef struct decai__move {
    char from[DECAI__ACCOUNT_MAX], to[DECAI__ACCOUNT_MAX];
    decai__u256 amount;
} decai__move;

typedef struct decai__moves {
    decai_context *ctx;
    decai__move *list;
    size_t count, cap;
    int32_t error;                               /* sticky, as in decai__buf */
} decai__moves;

void decai__moves_init(decai__moves *m, decai_context *ctx);
void decai__moves_free(decai__moves *m);
/* prefix "" or "stake:", ...; an amount of zero adds nothing. */
void decai__moves_add(decai__moves *m, const char *from_prefix, const char *from, const char *to_prefix,
    const char *to, const decai__u256 *amount);

/* Write one transaction of one asset inside the open store transaction: rows,
 * balances, then read the rows back and check that they sum to zero. No moves,
 * no row. order_seq 0: none. DECAI_E_FUNDS names the account that lacks money. */
int32_t decai__ledger_post(decai_store *s, const char *kind, int64_t order_seq, const char *asset,
    const decai__moves *m, int64_t now_ms);
/* A zero balance for an account that is not there. */
int32_t decai__ledger_balance(decai_store *s, const char *account, const char *asset, decai__signed *out);
/* "-123"; returns the length. */
size_t decai__signed_format(char out[DECAI__U256_TEXT_MAX + 2], const decai__signed *a);

/* ---- request.c ---------------------------------------------------------------- */

typedef struct decai__order {
    uint8_t id[32];
    char requester[DECAI_NAME_MAX + 1], verifier[DECAI_NAME_MAX + 1], asset[DECAI_NAME_MAX + 1];
    uint8_t job_spec[32], model_root[32], prompt[32], nonce[32];
    decai__u256 max_price, verifier_fee, stake, bid_deposit, escrow;
    int64_t redundancy, bids_until_ms, deadline_ms;
    uint64_t provider_parts;
    size_t royalty_count;
    struct { char account[DECAI_NAME_MAX + 1]; uint64_t parts; } royalty[DECAI_ROYALTY_MAX];
    uint64_t slash_requester, slash_verifier, slash_burn;
} decai__order;

typedef struct decai__bid_request {
    uint8_t order[32];
    char provider[DECAI_NAME_MAX + 1];
    decai__u256 price;
} decai__bid_request;

int32_t decai__amount_parse(decai__u256 *out, const char *text, const char *field, bool zero_allowed);
int32_t decai__order_parse(decai_context *ctx, decai__order *out, const char *text, size_t len);
int32_t decai__bid_parse(decai_context *ctx, decai__bid_request *out, const char *text, size_t len);

/* ---- plan.c ------------------------------------------------------------------- */

enum decai__outcome { DECAI__OUTCOME_PAY = 1, DECAI__OUTCOME_SLASH, DECAI__OUTCOME_MISSED, DECAI__OUTCOME_RELEASE };

typedef struct decai__outcome_row {
    const char *provider;
    decai__u256 price;
    int32_t outcome;
} decai__outcome_row;

/* Shares of `total` in proportion to parts, exactly: floors, then one unit each
 * to the largest remainders, ties to the lower index. Σ parts > 0. */
void decai__split(decai__u256 *out, const decai__u256 *total, const uint64_t *parts, size_t count);
/* The moves that close a job. pay_verifier: there was a verdict. */
int32_t decai__settle_plan(decai__moves *m, const decai__order *o, const decai__outcome_row *rows, size_t count,
    bool pay_verifier);
/* "escrow:" account of an order, without the prefix. */
void decai__order_hex(char out[65], const uint8_t id[32]);

/* ---- load.c -------------------------------------------------------------------- */

typedef struct decai__job {
    int64_t seq;
    int32_t state;
    int64_t fence;                               /* the highest given out */
    decai__order order;
} decai__job;

typedef struct decai__lease {
    int64_t slot;
    char provider[DECAI_NAME_MAX + 1];
    decai__u256 price;
    int32_t state;                               /* below */
    int64_t fence, expires_ms;
    int32_t verdict;                             /* 0 none yet */
} decai__lease;

enum { DECAI__LEASE_OFFERED = 1, DECAI__LEASE_HELD = 2, DECAI__LEASE_DONE = 3 };

/* DECAI_E_NOT_FOUND names the id. */
int32_t decai__job_load(decai_store *s, const uint8_t id[32], decai__job *out);
int32_t decai__leases_load(decai_store *s, int64_t order_seq, decai__lease out[DECAI_REDUNDANCY_MAX], size_t *count);
/* The lease under a fence; DECAI_E_CONFLICT: superseded or never given out. */
int32_t decai__lease_by_fence(decai_store *s, int64_t order_seq, uint64_t fence, decai__lease *out);
int32_t decai__event_add(decai_store *s, int64_t now_ms, const char *kind, int64_t order_seq, const char *actor,
    const char *detail);
/* The moves that would close this job as it stands; *state what it becomes.
 * DECAI_E_STATE: not yet. cancel: the requester's wish instead of the deadline. */
int32_t decai__close_plan(decai_store *s, const decai__job *job, int64_t now_ms, bool cancel, decai__moves *m,
    int32_t *state);
/* The same for a job that is closed already, for the audit. */
int32_t decai__closed_plan(decai_store *s, const decai__job *job, decai__moves *m);

/* Hash of a request for its idempotency key: every field with its length.
 * kinds: t text, b 32 bytes, B bytes and size_t, u uint64_t. */
void decai__request_hash(uint8_t out[32], const char *kinds, ...);

/* ---- the doors' other side -------------------------------------------------------- */

int32_t decai__deposit(decai_market *m, const char *account, const char *asset, const char *amount, const char *key);
int32_t decai__withdrawal(decai_market *m, const char *account, const char *asset, const char *amount, const char *key);
int32_t decai__stake(decai_market *m, bool add, const char *account, const char *asset, const char *amount,
    const char *key);
int32_t decai__order_submit(decai_market *m, uint8_t out[32], const char *request, size_t request_len,
    const char *signer, const uint8_t *signature, size_t signature_len, const char *key);
int32_t decai__order_text(decai_market *m, char *out, size_t cap, size_t *len, const uint8_t id[32]);
int32_t decai__bid_submit(decai_market *m, int64_t *sequence, const char *request, size_t request_len,
    const char *key);
int32_t decai__auction_settle(decai_market *m, int64_t *winners, const uint8_t id[32]);
int32_t decai__lease_take(decai_market *m, uint64_t *fence, int64_t *expires_ms, const uint8_t id[32],
    const char *provider, const char *key);
int32_t decai__heartbeat(decai_market *m, int64_t *expires_ms, const uint8_t id[32], uint64_t fence);
int32_t decai__result_submit(decai_market *m, const uint8_t id[32], uint64_t fence, const uint8_t receipt_id[32],
    const uint8_t *receipt, size_t receipt_len, const char *key);
int32_t decai__result_get(decai_market *m, uint8_t *out, size_t cap, size_t *len, const uint8_t id[32],
    uint64_t fence);
int32_t decai__verdict_submit(decai_market *m, const uint8_t id[32], uint64_t fence, const char *verifier,
    int32_t verdict, const uint8_t *evidence, size_t evidence_len, const char *key);
int32_t decai__job_settle(decai_market *m, int32_t *state, const uint8_t id[32]);
int32_t decai__job_cancel(decai_market *m, const uint8_t id[32], const char *requester);
int32_t decai__job_state(decai_market *m, int32_t *state, const uint8_t id[32]);
int32_t decai__market_run(decai_market *m, int64_t *closed);
int32_t decai__ledger_audit(decai_market *m, decai__buf *out);
int32_t decai__market_format(decai_market *m, decai__buf *out, const char *query, const uint8_t *id);

#endif /* DECAI__JOB_H */
