/* decai/proof.h - receipts, their verification, and disputes.
 *
 * A *receipt* is the one canonical record of a run (DESIGN §6): deterministic
 * CBOR, named by receipt_id, signed by whoever ran it. It commits to the tokens
 * and does not carry them; those travel in an *opening*, which only the parties
 * of the job need to see.
 *
 * The ladder as far as it is built: L0 signed receipt, L1 activation tree, L2
 * re-execution, L3 a dispute between two parties down to one leaf of one
 * operation, decided by a referee that recomputes only that leaf.
 */
#ifndef DECAI_PROOF_H
#define DECAI_PROOF_H

#include "decai/base.h"
#include "decai/infer.h"
#include "decai/model.h"
#include "decai/tok.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits and numbers -------------------------------------------------- */

#define DECAI_RECEIPT_BYTES_MAX      65536   /**< an encoded receipt */
#define DECAI_RECEIPT_SIGNATURES_MAX 8       /**< signatures on one receipt */
#define DECAI_OPENING_BYTES_MAX      2097152 /**< an encoded opening */
#define DECAI_RECEIPT_VERSION        1       /**< of the payload */

#define DECAI_PROFILE_LOCAL  0 /**< a run for oneself: no job, no expiry */
#define DECAI_PROFILE_MARKET 1 /**< a run for a market's job */

#define DECAI_SIGNATURE_EIP712 1 /**< 65 bytes r, s, v over EIP-712 Receipt; key = 20-byte address */

#define DECAI_COVER_MODEL      1  /**< model root against the model's bytes */
#define DECAI_COVER_TOKENS     2  /**< prompt and output commitments against an opening */
#define DECAI_COVER_SIGNATURE  4  /**< every signature */
#define DECAI_COVER_MATMUL     8  /**< matrix products */
#define DECAI_COVER_ATTENTION  16 /**< attention with its KV cache */
#define DECAI_COVER_ELEMENT    32 /**< norms, rotations, activations, residuals */
#define DECAI_COVER_SAMPLER    64 /**< the choice of each token */
#define DECAI_COVER_ACTIVATION 128 /**< the activation root */

/* ---- types ------------------------------------------------------------- */

/** One run's record, with its opening if it was made or loaded here. */
typedef struct decai_receipt decai_receipt;
/** What a verification found. */
typedef struct decai_verification decai_verification;
/** A dispute between two parties, and its verdict. */
typedef struct decai_dispute decai_dispute;

/* ---- receipts ------------------------------------------------------------ */

/** Write down what a session did. The session must have been made with
 *  infer.activation_tree 1, without infer.logits_all, and have produced a token;
 *  it keeps going unchanged. A receipt speaks of one prompt and its answer: of a
 *  session that got more tokens after its first answer none can be made. An answer
 *  that a cancelled decai_session_next or a stop text ended has one; its verification
 *  says that the run was not complete. Steps of the sampler that are on are in it, logit
 *  biases and sequence breakers by digest, with the lists in the opening.
 *
 *  Salts for the two commitments come from the random seam. In a *test* context
 *  the receipt carries the test mark.
 *
 *  Returns: 0 | DECAI_E_INVALID (a required key of the profile is missing)
 *           | DECAI_E_STATE | DECAI_E_NOMEM | DECAI_E_IO | DECAI_E_BUSY
 *  Out:  out      @owned
 *  In:   session
 *        tokenizer  whose hash the receipt names
 *        options    keys of room "proof"                            @nullable
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_create(decai_receipt **out, decai_session *session,
    decai_tokenizer *tokenizer, const decai_options *options);

/** Read a receipt. Nothing is checked beyond its form: see decai_receipt_verify.
 *
 *  Returns: 0 | DECAI_E_CORRUPT | DECAI_E_UNSUPPORTED (a version, profile or key
 *           that this build does not know) | DECAI_E_LIMIT | DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   context
 *        data      an encoded receipt                               @len(data_len)
 *        data_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_receipt_load(
    decai_receipt **out, decai_context *context, const uint8_t *data, size_t data_len);

/** The whole receipt, signatures included: canonical bytes.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   receipt
 *  Out:  out   @len(cap) @nullable
 *        cap
 *        len   bytes written or needed
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_encode(decai_receipt *receipt, uint8_t *out, size_t cap, size_t *len);

/** The payload alone: what is signed, and what receipt_id is the hash of.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID
 *  In:   receipt
 *  Out:  out   @len(cap) @nullable
 *        cap
 *        len   bytes written or needed
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_get(decai_receipt *receipt, uint8_t *out, size_t cap, size_t *len);

/** The receipt's name: Keccak-256("decai.receipt.v1" || 0x00 || payload).
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  In:   receipt
 *  Out:  out      32 bytes                                          @len(out_len)
 *        out_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_id_get(decai_receipt *receipt, uint8_t *out, size_t out_len);

/** The receipt as one JSON object for people and programs.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   receipt
 *  Out:  out   UTF-8 JSON, not NUL-terminated                       @len(cap) @nullable
 *        cap
 *        len   bytes written or needed
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_format(decai_receipt *receipt, char *out, size_t cap, size_t *len);

/** Attach a signature made elsewhere (decai_wallet_sign). It is not checked here.
 *
 *  Returns: 0 | DECAI_E_INVALID (lengths) | DECAI_E_UNSUPPORTED (algorithm)
 *           | DECAI_E_LIMIT | DECAI_E_EXISTS (this key signed already)
 *  In:   receipt
 *        algorithm  DECAI_SIGNATURE_*
 *        key        the signer: 20-byte address                     @len(key_len)
 *        key_len
 *        signature  65 bytes                                        @len(signature_len)
 *        signature_len
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_add(decai_receipt *receipt, int32_t algorithm, const uint8_t *key,
    size_t key_len, const uint8_t *signature, size_t signature_len);

/** The opening of a receipt made here: salts and tokens, as canonical CBOR. It
 *  shows the prompt and the answer: hand it only to those who may read them.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID
 *           | DECAI_E_NOT_FOUND (a loaded receipt has none)
 *  In:   receipt
 *  Out:  out   @len(cap) @nullable
 *        cap
 *        len   bytes written or needed
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_opening_get(decai_receipt *receipt, uint8_t *out, size_t cap, size_t *len);

/** The tokens of an opening, after checking that it opens this receipt.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = values needed) | DECAI_E_CORRUPT
 *           | DECAI_E_INTEGRITY (it opens another receipt) | DECAI_E_INVALID
 *  In:   receipt
 *  Out:  out      token ids                                         @len(cap) @nullable
 *        cap      in values
 *        len      values written or needed
 *  In:   opening  encoded                                           @len(opening_len)
 *        opening_len
 *        output   0 the prompt, 1 the output
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_opening_decode(decai_receipt *receipt, int32_t *out, size_t cap, size_t *len,
    const uint8_t *opening, size_t opening_len, int32_t output);

/* ---- verification --------------------------------------------------------- */

/** Check a receipt as far as what is given allows: its signatures; with an
 *  opening, the commitments; with an engine as well, the whole run again.
 *
 *  A receipt that does not check is a result, not an error: look into the
 *  verification. What could not be checked is listed there as committed.
 *
 *  Returns: 0 a verification was made, good or bad | DECAI_E_INVALID
 *           | DECAI_E_NOMEM | DECAI_E_BUSY | errors of decai_session_add
 *  Out:  out      @owned
 *  In:   receipt
 *        opening  encoded                              @len(opening_len) @nullable
 *        opening_len
 *        engine   holds the model that should have run              @nullable
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_receipt_verify(decai_verification **out, decai_receipt *receipt,
    const uint8_t *opening, size_t opening_len, decai_engine *engine);

/** The same as a task, with progress (phase "replay", tokens) and cancel. The
 *  task's result is that of decai_receipt_verify; receipt and engine are kept.
 *  Until it is done the receipt must not be used; then the verification is
 *  taken with decai_verification_get.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM
 *  Out:  task          @owned
 *        verification  @owned
 *  In:   receipt
 *        opening  encoded                              @len(opening_len) @nullable
 *        opening_len
 *        engine                                                     @nullable
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_verification_start(decai_task **task, decai_verification **verification,
    decai_receipt *receipt, const uint8_t *opening, size_t opening_len, decai_engine *engine);

/** What was found.
 *
 *  Returns: 0 everything looked at is right | DECAI_E_INTEGRITY something is
 *           wrong, the detail says what | DECAI_E_STATE not finished
 *           | DECAI_E_INVALID
 *  In:   verification
 *  Out:  replayed   DECAI_COVER_* bits checked by doing the work again
 *        committed  DECAI_COVER_* bits that are only claimed: the gap
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_verification_get(
    decai_verification *verification, uint64_t *replayed, uint64_t *committed);

/** The finding as one JSON object: ok, reason, signers, what was replayed, what
 *  is merely committed.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   verification
 *  Out:  out   UTF-8 JSON                                           @len(cap) @nullable
 *        cap
 *        len   bytes written or needed
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_verification_format(
    decai_verification *verification, char *out, size_t cap, size_t *len);

/* ---- disputes ------------------------------------------------------------- */

/** Begin a dispute between two parties that ran one job and differ. Each party
 *  is its receipt, its opening and the engine it says it ran; the referee gets
 *  only the job's model root, and from the parties what it asks for, each piece
 *  checked against what they committed.
 *
 *  The task (phases "trace", "bisect", "referee") narrows the difference to the
 *  first token, layer, operation, row and leaf, recomputes that leaf and says
 *  who was wrong. The verdict is then in the dispute.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_CORRUPT | DECAI_E_NOMEM
 *  Out:  task       @owned
 *        dispute    @owned
 *  In:   receipt_a
 *        opening_a  @len(opening_a_len)
 *        opening_a_len
 *        engine_a
 *        receipt_b
 *        opening_b  @len(opening_b_len)
 *        opening_b_len
 *        engine_b
 *        model_root  32 bytes: what the job asked for               @len(model_root_len)
 *        model_root_len
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_dispute_start(decai_task **task, decai_dispute **dispute,
    decai_receipt *receipt_a, const uint8_t *opening_a, size_t opening_a_len, decai_engine *engine_a,
    decai_receipt *receipt_b, const uint8_t *opening_b, size_t opening_b_len, decai_engine *engine_b,
    const uint8_t *model_root, size_t model_root_len);

/** The verdict.
 *
 *  Returns: 0 | DECAI_E_STATE (not decided yet) | DECAI_E_INVALID
 *  In:   dispute
 *  Out:  loser  0 nobody (they agree), 1 party a, 2 party b, 3 both
 *        token  position of the first difference; -1 if there is none
 *        layer  -1 for embedding, head and sampler
 *        op     the operation's place in the token's program
 *        row    element of its output
 *        leaf   256-element step of the row's sum; 0 where there is only one
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_dispute_get(decai_dispute *dispute, int32_t *loser, int64_t *token,
    int64_t *layer, int64_t *op, int64_t *row, int64_t *leaf);

/** The dispute as one JSON object: where, the two claims, the referee's own
 *  value, steps taken, bytes the referee read.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   dispute
 *  Out:  out   UTF-8 JSON                                           @len(cap) @nullable
 *        cap
 *        len   bytes written or needed
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_dispute_format(decai_dispute *dispute, char *out, size_t cap, size_t *len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_PROOF_H */
