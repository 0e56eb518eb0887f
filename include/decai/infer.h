/* decai/infer.h - running a model: engines, sessions, tokens out, and what a
 * receipt will say about the run.
 *
 * An engine is a model made ready for one compute backend; it never changes and
 * is shared by any number of sessions. A session is one conversation: its KV
 * cache, its sampler, its record. Tokens are pulled:
 *
 *     decai_session_add(s, prompt, prompt_len);
 *     while ((r = decai_session_next(s, &token)) == 1) ...
 *
 * The numbers a session produces depend on the model, the tokens, the sampler's
 * options and the seed, and on nothing else: not on the backend, the number of
 * threads or the prefill batch (lib/compute/CONTRACT.md).
 */
#ifndef DECAI_INFER_H
#define DECAI_INFER_H

#include "decai/base.h"
#include "decai/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ------------------------------------------------------------ */

#define DECAI_CONTEXT_TOKENS_MAX 131072 /**< infer.context: tokens a session can hold */
#define DECAI_BATCH_MAX          512    /**< infer.batch: prompt tokens computed together */
#define DECAI_LAYERS_MAX         256    /**< layers of a model that can be run */
#define DECAI_HEADS_MAX          256    /**< attention heads of a layer */
#define DECAI_HEAD_DIM_MAX       256    /**< elements of one attention head */
#define DECAI_VOCAB_MAX          1048576 /**< tokens of a vocabulary that can be run */
#define DECAI_TOP_MAX            128    /**< decai_session_top_get: likeliest tokens asked for */
#define DECAI_LOGIT_BIAS_MAX     1024   /**< infer.logit_bias: tokens of the list */
#define DECAI_DRY_BREAKERS_MAX   1024   /**< infer.dry_breakers: tokens of the list */
#define DECAI_EMBED_NORMALISE    1      /**< decai_engine_encode: vectors of length 1 */

/* ---- types ------------------------------------------------------------- */

/** A model made ready for one compute backend. Immutable, shareable. */
typedef struct decai_engine decai_engine;
/** One conversation with an engine: KV cache, sampler and record. */
typedef struct decai_session decai_session;

/* ---- engine ------------------------------------------------------------ */

/** Make a model ready to run: check its shape, choose the backend, prepare the
 *  weights, run the backend's known-answer test.
 *
 *  The engine keeps the model. A model whose architecture is not known gives
 *  DECAI_E_UNSUPPORTED; a missing, misshapen or non-finite tensor and a
 *  hyper-parameter out of bounds are named in the detail.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_CORRUPT | DECAI_E_LIMIT
 *           | DECAI_E_UNSUPPORTED | DECAI_E_INTEGRITY | DECAI_E_DEVICE
 *  Out:  out      @owned
 *  In:   model
 *        options  keys of rooms "compute", "infer" and "base"       @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_engine_create(
    decai_engine **out, decai_model *model, const decai_options *options);

/** Make an engine in the background: phase "weights", in bytes. What a model asks
 *  for is checked before this returns; the weights, which take the time, are
 *  prepared in the task.
 *
 *  The engine handle exists at once, but every call on it gives DECAI_E_STATE
 *  until the task has ended with 0; after a failed or cancelled task it stays
 *  that way and only waits to be destroyed.
 *
 *  Returns: as decai_engine_create; the task's result is that, too, or
 *           DECAI_E_CANCELLED
 *  Out:  task     @owned
 *        out      @owned
 *  In:   model
 *        options  keys of rooms "compute", "infer" and "base"       @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_engine_create_start(decai_task **task, decai_engine **out,
    decai_model *model, const decai_options *options);

/** Turn texts into vectors: one of the model's width for each token sequence, as
 *  the file's pooling (or infer.pooling) says. Encoders see a whole sequence at
 *  once; of other models it is their last layer's output, normed.
 *
 *  Sequences stand one behind the other in `tokens`, without padding. How many
 *  are given together never changes a vector. Calls on one engine take turns.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = values needed) | DECAI_E_INVALID (a token
 *           outside the vocabulary, an empty sequence, lengths that do not add up
 *           to count) | DECAI_E_LIMIT (a sequence is longer than the context)
 *           | DECAI_E_NOMEM | DECAI_E_INTEGRITY | DECAI_E_DEVICE | DECAI_E_STATE
 *  In:   engine
 *  Out:  out        sequences times width values; NULL with cap 0 asks the size   @len(cap) @nullable
 *        cap        in values
 *        len        values written or needed; 0 on any other error
 *  In:   tokens     ids                                              @len(count)
 *        count
 *        lengths    tokens of each sequence                          @len(sequences)
 *        sequences
 *        flags      0, or DECAI_EMBED_NORMALISE: vectors of length 1
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_engine_encode(decai_engine *engine, float *out, size_t cap, size_t *len,
    const int32_t *tokens, size_t count, const uint32_t *lengths, size_t sequences,
    int32_t flags);

/** Describe an engine as one JSON object: contract, backend, device, threads,
 *  context, batch, vocab, layers, and how many weight scales lost bits at load.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID
 *  In:   engine
 *  Out:  out   UTF-8 JSON, not NUL-terminated; NULL with cap 0 asks the size   @len(cap) @nullable
 *        cap
 *        len   bytes written or needed; 0 on any other error
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_engine_format(
    decai_engine *engine, uint8_t *out, size_t cap, size_t *len);

/* ---- session ----------------------------------------------------------- */

/** Begin a conversation. It keeps the engine.
 *
 *  The sampler takes the largest logit (infer.temperature 0), or draws with
 *  integer weights and random numbers made from (infer.seed, position) alone; what
 *  its options do, in which order, to the last bit: lib/infer/SAMPLING.md.
 *
 *  Returns: 0 | DECAI_E_INVALID (also: a text that is no list, a token outside the
 *           vocabulary, infer.mirostat beside a cut) | DECAI_E_LIMIT (a list is
 *           too long) | DECAI_E_NOMEM | DECAI_E_UNSUPPORTED (an encoder has no next
 *           token; mirostat 1) | DECAI_E_STATE (the engine is not ready)
 *  Out:  out      @owned
 *  In:   engine
 *        options  keys of room "infer" that a session reads         @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_session_create(
    decai_session **out, decai_engine *engine, const decai_options *options);

/** Begin again on an existing session: forget tokens, record and a cancel; the
 *  options stay.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY
 *  In:   session
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_start(decai_session *session);

/** Append tokens: the prompt, or a further turn. All of them are computed
 *  before this returns.
 *
 *  If it fails, and after a cancel, the session holds an unspecified part of the
 *  tokens: begin again with decai_session_start. DECAI_E_LIMIT, DECAI_E_INVALID
 *  and DECAI_E_BUSY change nothing.
 *
 *  Returns: 0 | DECAI_E_INVALID (a token outside the vocabulary, none at all)
 *           | DECAI_E_LIMIT (the context would overflow; the numbers are in the
 *           detail) | DECAI_E_NOMEM | DECAI_E_CANCELLED | DECAI_E_INTEGRITY
 *           (a number became infinite) | DECAI_E_STATE (failed before)
 *           | DECAI_E_DEVICE | DECAI_E_BUSY
 *  In:   session
 *        tokens  ids                                                @len(count)
 *        count
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_add(decai_session *session, const int32_t *tokens, size_t count);

/** Produce the next token. Every token that the sampler chose is handed out, the
 *  end-of-text token included; the call after that one returns 0.
 *
 *  Returns: 1 a token | 0 the end: end-of-text was handed out, or infer.max_tokens
 *           were since the last decai_session_add | DECAI_E_STATE (no prompt yet, failed
 *           before, or every token is forbidden)
 *           | DECAI_E_LIMIT (the context is full) | DECAI_E_CANCELLED
 *           | DECAI_E_NOMEM | DECAI_E_INTEGRITY | DECAI_E_DEVICE | DECAI_E_BUSY
 *  In:   session
 *  Out:  token
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_next(decai_session *session, int32_t *token);

/** Ask a session to stop: the add or next that is going on, or else the following
 *  one, returns DECAI_E_CANCELLED; so does every later one until
 *  decai_session_start.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  In:   session
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_session_cancel(decai_session *session);

/** What a session has done so far.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY
 *  In:   session
 *  Out:  prompt     tokens that came in through decai_session_add
 *        generated  tokens handed out by decai_session_next
 *        prompt_ns  nanoseconds spent on the former
 *        generated_ns  nanoseconds spent on the latter
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_count(decai_session *session, uint64_t *prompt,
    uint64_t *generated, uint64_t *prompt_ns, uint64_t *generated_ns);

/** The activation root (DESIGN §6) over the tokens computed so far.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE (infer.activation_tree is 0, no
 *           token yet, or failed before) | DECAI_E_BUSY
 *  In:   session
 *  Out:  out      32 bytes                                          @len(out_len)
 *        out_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_root_get(decai_session *session, uint8_t *out, size_t out_len);

/** The running hash over (position, logits) of every position a token was
 *  sampled at; with infer.logits_all, of every position. 32 zero bytes before
 *  the first.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_BUSY
 *  In:   session
 *  Out:  out      32 bytes                                          @len(out_len)
 *        out_len  32
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_hash_get(decai_session *session, uint8_t *out, size_t out_len);

/** The logits that the last token was sampled from.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = values needed) | DECAI_E_INVALID
 *           | DECAI_E_STATE (nothing was sampled yet) | DECAI_E_BUSY
 *  In:   session
 *  Out:  out   one value per token of the vocabulary               @len(cap) @nullable
 *        cap   in values
 *        len   values written or needed; 0 on any other error
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_logits_get(
    decai_session *session, float *out, size_t cap, size_t *len);

/** The last token that was handed out and the likeliest that could have stood in its
 *  place: natural logarithms of the softmax of the model's own logits, as they were
 *  before any of the sampler's options. The same bits on every machine.
 *
 *  Returns: 0 | DECAI_E_SPACE (lengths = values needed) | DECAI_E_INVALID
 *           | DECAI_E_LIMIT (count is above DECAI_TOP_MAX)
 *           | DECAI_E_STATE (nothing was sampled since the last decai_session_add)
 *           | DECAI_E_BUSY
 *  In:   session
 *  Out:  tokens        first the token itself, then the likeliest, largest first, of
 *                      equal ones the smaller id; NULL with cap 0 asks the size
 *                                                            @len(tokens_cap) @nullable
 *        tokens_cap    in values
 *        tokens_len    count + 1, or one more than the vocabulary if that is less;
 *                      0 on any other error
 *        logprobs      of each of them                       @len(logprobs_cap) @nullable
 *        logprobs_cap  in values
 *        logprobs_len  as tokens_len
 *  In:   count         how many likeliest
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_top_get(decai_session *session, int32_t *tokens, size_t tokens_cap,
    size_t *tokens_len, float *logprobs, size_t logprobs_cap, size_t *logprobs_len, uint32_t count);

/** How likely each token was after those before it: natural logarithms, one a
 *  position computed so far; that of position 0, which nothing precedes, is 0.
 *  Needs infer.logprobs. The mean, negated, is the logarithm of the perplexity.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = values needed) | DECAI_E_INVALID
 *           | DECAI_E_STATE (infer.logprobs is 0, or failed before) | DECAI_E_BUSY
 *  In:   session
 *  Out:  out   @len(cap) @nullable
 *        cap   in values
 *        len   values written or needed; 0 on any other error
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_logprobs_get(
    decai_session *session, float *out, size_t cap, size_t *len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_INFER_H */
