/* decai/job.h - the market: money in, orders, bids, auction, leases, results,
 * verdicts, settlement, money out; and the ledger that all of it is written in.
 *
 *   deposit -> order (escrow = redundancy * max_price + verifier_fee)
 *           -> bids (stake locked) -> auction: the cheapest `redundancy` win
 *           -> lease (fencing token) -> result (receipt) -> verdict
 *           -> settle: provider, royalties, verifier, refund, slashing,
 *              in one transaction
 *
 * What always holds:
 *   - every function that changes something has done all of it or nothing;
 *   - `key` is the caller's idempotency key: the same key with the same request
 *     gives the same answer again and changes nothing, so a caller that lost a
 *     reply (or got DECAI_E_IO, where the outcome is unknown) just repeats;
 *     the same key with another request is DECAI_E_EXISTS;
 *   - an unknown verdict is never closed and never paid;
 *   - per asset all postings of a transaction sum to zero.
 *
 * Names of accounts and assets: 1 to DECAI_NAME_MAX bytes of A-Z a-z 0-9 . _ -
 * Amounts: decimal text of an unsigned 256-bit integer in the asset's base
 * unit. Times: milliseconds since 1970 UTC, from the context's clock seam.
 * Text outputs are not NUL-terminated. */
#ifndef DECAI_JOB_H
#define DECAI_JOB_H

#include "decai/base.h"
#include "decai/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ------------------------------------------------------------ */

#define DECAI_REDUNDANCY_MAX 16      /**< providers that one order can lease to */
#define DECAI_ROYALTY_MAX    8       /**< royalty lines of one order */
#define DECAI_PARTS_MAX      1000000 /**< one share of a split, in parts */
#define DECAI_ORDER_TEXT_MAX 65536   /**< bytes of an order or bid request */
#define DECAI_SIGNATURE_MAX  1024    /**< bytes of a stored signature */
#define DECAI_RECEIPT_MAX    1048576 /**< bytes of a stored receipt */
#define DECAI_EVIDENCE_MAX   65536   /**< bytes of a verdict's evidence */
#define DECAI_BIDS_MAX       1000    /**< bids on one order */

/* ---- states of a job, verdicts ------------------------------------------- */

#define DECAI_JOB_OPEN      1 /**< bids are taken */
#define DECAI_JOB_LEASED    2 /**< the auction is over, winners work */
#define DECAI_JOB_SETTLED   3 /**< paid, refunded, slashed; final */
#define DECAI_JOB_CANCELLED 4 /**< refunded at the requester's wish; final */
#define DECAI_JOB_EXPIRED   5 /**< refunded because nobody delivered; final */

#define DECAI_VERDICT_ACCEPTED 1 /**< proven right: pay */
#define DECAI_VERDICT_REJECTED 2 /**< proven wrong: slash */
#define DECAI_VERDICT_UNKNOWN  3 /**< not decided: neither paid nor closed */

/** A market inside a store. */
typedef struct decai_market decai_market;

/** Open the market of a store.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_STATE
 *  Out:  out      @owned
 *  In:   store    kept alive by the market
 *        options  keys of room "job"                          @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_market_open(
    decai_market **out, decai_store *store, const decai_options *options);

/* ---- money in, stake, money out ------------------------------------------ */

/** Record that money came in from outside: ext:deposit -> account.
 *
 *  Returns: 0 | DECAI_E_INVALID (field and value in the detail) | DECAI_E_LIMIT
 *           (an amount or the asset's total above 2^256-1)
 *           | DECAI_E_EXISTS (key used by another request) | DECAI_E_BUSY
 *           | DECAI_E_IO | DECAI_E_FULL | DECAI_E_CORRUPT | DECAI_E_NOMEM
 *           | DECAI_E_STATE
 *  In:   market
 *        account
 *        asset
 *        amount   more than 0
 *        key      idempotency key, 1 to DECAI_KEY_MAX bytes
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_deposit_submit(decai_market *market, const char *account,
    const char *asset, const char *amount, const char *key);

/** Record that money went out: account -> ext:paid.
 *
 *  Returns: as decai_deposit_submit | DECAI_E_FUNDS
 *  In:   market
 *        account
 *        asset
 *        amount   more than 0
 *        key      idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_withdrawal_submit(decai_market *market, const char *account,
    const char *asset, const char *amount, const char *key);

/** Put money aside as stake: account -> stake:account.
 *
 *  Returns: as decai_withdrawal_submit
 *  In:   market
 *        account
 *        asset
 *        amount   more than 0
 *        key      idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_stake_add(decai_market *market, const char *account,
    const char *asset, const char *amount, const char *key);

/** Take free stake back: stake:account -> account. Stake that is locked by an
 *  open bid or lease is not free.
 *
 *  Returns: as decai_withdrawal_submit
 *  In:   market
 *        account
 *        asset
 *        amount   more than 0
 *        key      idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_stake_remove(decai_market *market, const char *account,
    const char *asset, const char *amount, const char *key);

/* ---- orders and bids ------------------------------------------------------ */

/** The id of an order: Keccak-256 of its fields in a fixed order, whatever the
 *  spacing and order of the JSON text. This is what the requester signs.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_CORRUPT (no strict JSON, a wrong
 *           field) | DECAI_E_NOT_FOUND (a missing field) | DECAI_E_UNSUPPORTED
 *           (an unknown field) | DECAI_E_LIMIT | DECAI_E_NOMEM
 *  Out:  out      the id                                      @len(out_len)
 *        out_len  32
 *  In:   context
 *        request  JSON, see decai_order_submit                @len(request_len)
 *        request_len  at most DECAI_ORDER_TEXT_MAX
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_order_hash(decai_context *context, uint8_t *out, size_t out_len,
    const char *request, size_t request_len);

/** Submit an order and lock its escrow, redundancy * max_price + verifier_fee,
 *  from the requester's account.
 *
 *  The request is one JSON object; unknown or doubled fields are refused:
 *    requester, verifier   accounts
 *    asset                 what is paid in
 *    job_spec, model_root, prompt   64 hex digits each: hash of the job's
 *                          description, identity of the model, commitment to
 *                          the prompt
 *    max_price             amount per lease, more than 0
 *    verifier_fee          amount, paid once if a verdict was needed; default "0"
 *    stake                 amount locked per bid, default "0"
 *    bid_deposit           amount a bidder puts down, default "0"; lost to the
 *                          requester by a winner who delivers nothing or is
 *                          rejected
 *    redundancy            1 .. DECAI_REDUNDANCY_MAX leases, default 1
 *    bids_until_ms         the auction closes no earlier; default 0
 *    deadline_ms           results after this are refused
 *    nonce                 64 hex digits that make the id unique
 *    split                 {"provider": parts, "royalties":
 *                          [{"account": name, "parts": n}, ...]} of each price
 *    slash                 {"requester": n, "verifier": n, "burn": n} of a
 *                          cheat's stake; default all to the requester
 *
 *  Whether the signature is good is the wallet's business; the market checks
 *  that the named signer is the requester and keeps the bytes.
 *
 *  Returns: 0 | as decai_order_hash | DECAI_E_DENIED (signer is not the requester) | DECAI_E_FUNDS
 *           | DECAI_E_EXISTS (key or order id used before) | DECAI_E_STATE
 *           (deadline passed) | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL
 *           | DECAI_E_NOMEM
 *  Out:  out      the order's id                              @len(out_len)
 *        out_len  32
 *  In:   market
 *        request  JSON                                        @len(request_len)
 *        request_len  at most DECAI_ORDER_TEXT_MAX
 *        signer   the account whose signature this is
 *        signature  kept as given             @len(signature_len) @nullable
 *        signature_len  at most DECAI_SIGNATURE_MAX
 *        key      idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_order_submit(decai_market *market, uint8_t *out, size_t out_len,
    const char *request, size_t request_len, const char *signer, const uint8_t *signature,
    size_t signature_len, const char *key);

/** The request of an order as it was submitted.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOT_FOUND | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_STATE
 *  Out:  out    JSON text                                     @len(cap) @nullable
 *        cap
 *        len    bytes written or needed
 *  In:   market
 *        order  the order's id                                @len(order_len)
 *        order_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_order_get(decai_market *market, char *out, size_t cap, size_t *len,
    const uint8_t *order, size_t order_len);

/** Bid on an open order; locks the order's stake from stake:provider and the
 *  bid deposit from the provider's account. One bid per provider and order.
 *
 *  The request is one JSON object: {"order": 64 hex digits, "provider": name,
 *  "price": amount}; the price is at most the order's max_price.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_CORRUPT | DECAI_E_UNSUPPORTED (an
 *           unknown field) | DECAI_E_LIMIT (price above max_price,
 *           DECAI_BIDS_MAX) | DECAI_E_NOT_FOUND (field, order) | DECAI_E_FUNDS
 *           (stake or deposit) | DECAI_E_EXISTS (key, or a second bid)
 *           | DECAI_E_STATE (not open any more) | DECAI_E_BUSY | DECAI_E_IO
 *           | DECAI_E_FULL | DECAI_E_NOMEM
 *  Out:  sequence  1, 2, ... in this order's book
 *  In:   market
 *        request  JSON                                        @len(request_len)
 *        request_len  at most DECAI_ORDER_TEXT_MAX
 *        key      idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_bid_submit(decai_market *market, int64_t *sequence,
    const char *request, size_t request_len, const char *key);

/** Close the auction: the `redundancy` lowest prices win, equal prices by the
 *  earlier sequence, then by bid id. Losers get stake and deposit back. Calling
 *  it again gives the same answer.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND | DECAI_E_STATE (before bids_until_ms, fewer
 *           bids than redundancy, deadline passed, cancelled) | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL | DECAI_E_NOMEM
 *  Out:  winners  leases to be taken
 *  In:   market
 *        order    the order's id                              @len(order_len)
 *        order_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_auction_settle(decai_market *market, int64_t *winners,
    const uint8_t *order, size_t order_len);

/* ---- leases, results, verdicts -------------------------------------------- */

/** Take the lease that a provider won, or rescue one that has expired.
 *
 *  A winner takes its own lease, the first time or after it expired. A bidder
 *  that did not win takes over another's expired lease at its own bid price:
 *  its stake and deposit are locked again, the former holder gets its stake
 *  back and loses its deposit. Every take has a higher fence than all before it
 *  in this job; the older holder's result is refused from then on.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND | DECAI_E_CONFLICT (held and not expired, or
 *           done) | DECAI_E_DENIED (no bid on this order) | DECAI_E_STATE
 *           (auction not closed, job over, deadline passed) | DECAI_E_FUNDS
 *           | DECAI_E_EXISTS (key) | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO
 *           | DECAI_E_FULL | DECAI_E_NOMEM
 *  Out:  fence       the fencing token, 1 and up
 *        expires_ms  wall-clock end of the lease
 *  In:   market
 *        order       the order's id                           @len(order_len)
 *        order_len   32
 *        provider
 *        key         idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_lease_take(decai_market *market, uint64_t *fence, int64_t *expires_ms,
    const uint8_t *order, size_t order_len, const char *provider, const char *key);

/** The holder of a lease is alive: the lease runs from now again.
 *
 *  Returns: 0 | DECAI_E_CONFLICT (a stale fence, or the lease is done)
 *           | DECAI_E_STATE (expired; take it again) | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL | DECAI_E_NOMEM
 *  Out:  expires_ms  the lease's new end, never later than the deadline
 *  In:   market
 *        order       the order's id                           @len(order_len)
 *        order_len   32
 *        fence       from decai_lease_take
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_heartbeat_submit(decai_market *market, int64_t *expires_ms,
    const uint8_t *order, size_t order_len, uint64_t fence);

/** Deliver a result. The fence is checked in the statement that completes the
 *  lease; an expired lease that nobody took over can still deliver.
 *
 *  Returns: 0 | DECAI_E_CONFLICT (a stale fence, or delivered already)
 *           | DECAI_E_STATE (deadline passed, job over) | DECAI_E_NOT_FOUND
 *           | DECAI_E_LIMIT | DECAI_E_EXISTS (key) | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL | DECAI_E_NOMEM
 *  In:   market
 *        order       the order's id                           @len(order_len)
 *        order_len   32
 *        fence       from decai_lease_take
 *        receipt_id                                           @len(receipt_id_len)
 *        receipt_id_len  32
 *        receipt     the receipt's bytes, kept as given       @len(receipt_len)
 *        receipt_len  1 .. DECAI_RECEIPT_MAX
 *        key         idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_result_submit(decai_market *market, const uint8_t *order,
    size_t order_len, uint64_t fence, const uint8_t *receipt_id, size_t receipt_id_len,
    const uint8_t *receipt, size_t receipt_len, const char *key);

/** The receipt that was delivered under a fence.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOT_FOUND | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_STATE
 *  Out:  out    the receipt's bytes                           @len(cap) @nullable
 *        cap
 *        len    bytes written or needed
 *  In:   market
 *        order  the order's id                                @len(order_len)
 *        order_len  32
 *        fence  the lease's token
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_result_get(decai_market *market, uint8_t *out, size_t cap, size_t *len,
    const uint8_t *order, size_t order_len, uint64_t fence);

/** Record the verifier's verdict on one delivered result. DECAI_VERDICT_UNKNOWN
 *  may be replaced later; the other two are final.
 *
 *  Returns: 0 | DECAI_E_DENIED (not the order's verifier) | DECAI_E_CONFLICT
 *           (a stale fence, or another final verdict) | DECAI_E_STATE (nothing
 *           delivered, job over) | DECAI_E_NOT_FOUND | DECAI_E_LIMIT
 *           | DECAI_E_EXISTS (key) | DECAI_E_INVALID | DECAI_E_BUSY
 *           | DECAI_E_IO | DECAI_E_FULL | DECAI_E_NOMEM
 *  In:   market
 *        order     the order's id                             @len(order_len)
 *        order_len  32
 *        fence     the lease's token
 *        verifier  account
 *        verdict   DECAI_VERDICT_*
 *        evidence  kept as given: where the cheat was, ... @len(evidence_len) @nullable
 *        evidence_len  at most DECAI_EVIDENCE_MAX
 *        key       idempotency key
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_verdict_submit(decai_market *market, const uint8_t *order,
    size_t order_len, uint64_t fence, const char *verifier, int32_t verdict,
    const uint8_t *evidence, size_t evidence_len, const char *key);

/* ---- settlement -------------------------------------------------------------- */

/** Settle a job: everything that is owed, in one transaction.
 *
 *  Accepted: the price is split by the order's `split`, leftover units going to
 *  the largest remainders. Rejected: nothing is paid, the stake is split by
 *  `slash`, the bid deposit goes to the requester. Undelivered by the deadline: nothing is paid, the bid deposit goes
 *  to the requester. The verifier's fee is paid if there was a verdict; what is
 *  left of the escrow goes back to the requester. Settling a settled job
 *  changes nothing and succeeds; an order nobody could lease before the
 *  deadline expires with a full refund.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND | DECAI_E_STATE (a result without a verdict,
 *           an unknown verdict, or an undelivered lease before the deadline)
 *           | DECAI_E_INTEGRITY | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO
 *           | DECAI_E_FULL | DECAI_E_NOMEM
 *  Out:  state  DECAI_JOB_SETTLED, _EXPIRED or _CANCELLED
 *  In:   market
 *        order  the order's id                                @len(order_len)
 *        order_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_job_settle(decai_market *market, int32_t *state,
    const uint8_t *order, size_t order_len);

/** The requester takes an order back: full refund, bidders released. Possible
 *  until a lease is taken. Cancelling a cancelled job succeeds.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND | DECAI_E_DENIED (not the requester)
 *           | DECAI_E_STATE (a lease was taken, job over) | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL | DECAI_E_NOMEM
 *  In:   market
 *        order      the order's id                            @len(order_len)
 *        order_len  32
 *        requester  account
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_job_cancel(decai_market *market, const uint8_t *order,
    size_t order_len, const char *requester);

/** Where a job stands.
 *
 *  Returns: 0 | DECAI_E_NOT_FOUND | DECAI_E_INVALID | DECAI_E_BUSY
 *           | DECAI_E_IO | DECAI_E_STATE
 *  Out:  state  DECAI_JOB_*
 *  In:   market
 *        order  the order's id                                @len(order_len)
 *        order_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_job_get(decai_market *market, int32_t *state,
    const uint8_t *order, size_t order_len);

/** Settle every job whose deadline has passed and that can be closed; jobs that
 *  wait for a verdict stay. At most 1,000 jobs a call.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_FULL
 *           | DECAI_E_NOMEM | DECAI_E_STATE
 *  Out:  closed  jobs settled or expired by this call
 *  In:   market
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_market_run(decai_market *market, int64_t *closed);

/* ---- ledger and reports --------------------------------------------------- */

/** The balance of an account. Beside plain names there are stake:NAME,
 *  lock:NAME (stake locked by bids and leases), bid:NAME (bid deposits),
 *  escrow:ORDERHEX, and the outside world ext:deposit, ext:paid, ext:burn.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO
 *           | DECAI_E_STATE
 *  Out:  out      decimal text, "-" before what came in by ext:deposit; "0" for
 *                 an account that was never used            @len(cap) @nullable
 *        cap
 *        len      bytes written or needed
 *  In:   market
 *        account
 *        asset
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_ledger_get(decai_market *market, char *out, size_t cap, size_t *len,
    const char *account, const char *asset);

/** Recompute everything from the postings: each transaction sums to zero per
 *  asset, cached balances equal their postings, nobody but ext:deposit is below
 *  zero, escrow, stake locks and bid deposits equal what the jobs say, each job
 *  was settled at most once and exactly as its verdicts and split demand.
 *
 *  Returns: 0 | DECAI_E_INTEGRITY (the detail names the first violation)
 *           | DECAI_E_SPACE | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_IO
 *           | DECAI_E_NOMEM | DECAI_E_STATE
 *  Out:  out    JSON report: counts, and per asset what came in, went out, was
 *               burned and is held                            @len(cap) @nullable
 *        cap
 *        len    bytes written or needed
 *  In:   market
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_ledger_audit(decai_market *market, char *out, size_t cap, size_t *len);

/** A report as JSON text, an array of objects.
 *
 *  Queries: "timeline" (the event log), "orders", "bids", "leases", "money"
 *  (transactions with their postings), "balances".
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_NOT_FOUND (no such query or order)
 *           | DECAI_E_LIMIT (a report above 64 MiB) | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_IO | DECAI_E_NOMEM | DECAI_E_STATE
 *  Out:  out    JSON                                          @len(cap) @nullable
 *        cap
 *        len    bytes written or needed
 *  In:   market
 *        query  one of the names above
 *        order  one order's id, or NULL for all; "balances" ignores it
 *                                              @len(order_len) @nullable
 *        order_len  32, or 0
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_market_format(decai_market *market, char *out, size_t cap, size_t *len,
    const char *query, const uint8_t *order, size_t order_len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_JOB_H */
