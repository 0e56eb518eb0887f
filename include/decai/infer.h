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
#include "decai/tok.h"

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
#define DECAI_SHELF_MODELS_MAX   64     /**< models of a shelf */
#define DECAI_SHELF_NAME_MAX     255    /**< bytes of a name on it */
#define DECAI_EMBED_NORMALISE    1      /**< decai_engine_encode: vectors of length 1 */

/* ---- events of a scheduler ------------------------------------------------ */

#define DECAI_EVENT_PROGRESS     1      /**< a part of a prompt was computed: value tokens of total */
#define DECAI_EVENT_PROMPT       2      /**< all of it: value of its total tokens were taken over, not computed */
#define DECAI_EVENT_TOKEN        3      /**< value is the token, total how many this request has given */
#define DECAI_EVENT_FINISHED     4      /**< the last event: value is a DECAI_FINISH_*, total the tokens given */
#define DECAI_EVENT_FAILED       5      /**< the last event: value is the error, the detail tells more */
#define DECAI_EVENT_CANCELLED    6      /**< the last event: total the tokens given */
#define DECAI_FINISH_END         1      /**< the end-of-text token was given */
#define DECAI_FINISH_TOKENS      2      /**< infer.max_tokens were given */
#define DECAI_FINISH_CONTEXT     3      /**< the context is full */
#define DECAI_PRIORITY_MAX       100    /**< decai_scheduler_submit: -100 to 100 */

/* ---- types ------------------------------------------------------------- */

/** A model made ready for one compute backend. Immutable, shareable. */
typedef struct decai_engine decai_engine;
/** One conversation with an engine: KV cache, sampler and record. */
typedef struct decai_session decai_session;
/** Many sessions of one engine, computed side by side. */
typedef struct decai_scheduler decai_scheduler;
/** Engines of several models under one budget of bytes. */
typedef struct decai_shelf decai_shelf;

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

/** Let answers be texts of a grammar: every token is chosen among those that may come,
 *  and the answer ends where the text is complete and the model says so. It stays with
 *  the session until another one, or NULL, is set. Receipts name it.
 *
 *  Returns: 0 | DECAI_E_INVALID (the grammar's vocabulary is larger than the model's;
 *           infer.ignore_end) | DECAI_E_STATE (an answer has begun) | DECAI_E_NOMEM
 *           | DECAI_E_BUSY
 *  In:   session
 *        grammar  of this model's tokenizer; it is kept              @nullable
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_session_grammar_set(decai_session *session, const decai_grammar *grammar);

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

/* ---- scheduler: many sessions side by side ------------------------------------ */

/** Make a scheduler. It keeps the engine.
 *
 *  Sessions that are submitted are computed together, a row or more of each in every
 *  step. What a session gives does not depend on the others: the same prompt, options
 *  and seed give the same tokens, hash and activation root as decai_session_next.
 *
 *     decai_scheduler_submit(q, session, 1, 0, prompt, prompt_len);    any thread
 *     while ((r = decai_scheduler_next(q, &kind, &request, &value, &total, -1)) == 1)
 *         if (kind == DECAI_EVENT_TOKEN) ...                          one thread
 *
 *  Long prompts are computed in parts between the steps of the others, so that a step
 *  costs about two steps without a prompt at most. Pages of 64 tokens that prompts have
 *  in common from their beginning are computed once and kept for later ones, up to
 *  infer.prefix_bytes; the least recently used go first. With infer.prefix_dir they are
 *  written to files as well, and a later run takes them from there. A session with
 *  infer.activation_tree takes over what sessions with one left; one with
 *  infer.activation_nodes, infer.logits_all or infer.logprobs computes everything.
 *
 *  Where text repeats what stands before it, tokens are guessed and several computed in
 *  one step, up to infer.draft_max, as long as that pays; each is drawn as it would be
 *  anyway, so guesses change how many a step gives and never which.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_UNSUPPORTED (an encoder)
 *           | DECAI_E_STATE (the engine is not ready, or infer.prefix_dir for a model
 *           without a root) | DECAI_E_IO, DECAI_E_DENIED (that folder)
 *  Out:  out      @owned
 *  In:   engine
 *        options  infer.active, infer.queue, infer.memory_bytes, infer.prefix_bytes,
 *                 infer.prefix_dir, infer.prefix_dir_bytes, infer.draft_max; keys of
 *                 room "base"                                    @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_scheduler_create(
    decai_scheduler **out, decai_engine *engine, const decai_options *options);

/** Let a smaller model guess what sessions say next, where their own text does not
 *  repeat itself, up to infer.draft_max tokens a step and only while that pays. Guesses
 *  change how many tokens a step gives and never which, so any model of the same
 *  vocabulary will do; one that fails (memory, a device, the end of its context) just
 *  guesses no more. Each request that is guessed for has a cache of its own in the draft
 *  engine, counted in infer.memory_bytes before it is made; where there is no room, or a
 *  session waits for it, nothing is guessed for that request (decai_scheduler_format:
 *  "model_no_room"). The scheduler keeps the engine.
 *
 *  Returns: 0 | DECAI_E_INVALID (the vocabularies differ in size) | DECAI_E_STATE
 *           (something was submitted already, or the engine is not ready)
 *           | DECAI_E_UNSUPPORTED (an encoder) | DECAI_E_NOMEM
 *  In:   scheduler
 *        draft   NULL takes it away; the scheduler's own engine is allowed  @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_scheduler_draft_set(decai_scheduler *scheduler, decai_engine *draft);

/** Hand a session and the tokens to go on with (its prompt, or a further turn) to the
 *  scheduler. It keeps the session and the tokens are copied. From now on until the
 *  request's last event was handed out, every other call on the session but
 *  decai_session_cancel gives DECAI_E_BUSY; after that event it stands as if
 *  decai_session_add and decai_session_next had been called.
 *
 *  Returns: 0 | DECAI_E_INVALID (also: a session of another engine) | DECAI_E_EXISTS
 *           (the request is still there) | DECAI_E_FULL (infer.queue sessions wait)
 *           | DECAI_E_LIMIT (the context would overflow, or infer.memory_bytes is too
 *           little for this one alone) | DECAI_E_NOMEM | DECAI_E_BUSY | DECAI_E_STATE
 *           (the session failed before) | DECAI_E_CANCELLED (it was cancelled before)
 *  In:   scheduler
 *        session
 *        request   the caller's number for it, not 0; free again after its last event
 *        priority  the higher goes first where there is not room for all; 0 for most
 *        tokens    ids                                              @len(count)
 *        count
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_scheduler_submit(decai_scheduler *scheduler, decai_session *session,
    uint64_t request, int32_t priority, const int32_t *tokens, size_t count);

/** The next event; computes steps until there is one. A step is begun only after every
 *  event of the one before was handed out.
 *
 *  One thread at a time may be inside; the others submit, cancel and look. With
 *  nothing to do it waits, and a submission or a cancel wakes it.
 *
 *  Returns: 1 an event | 0 there is nothing to do, and timeout_ms passed or
 *           decai_scheduler_cancel(scheduler, 0) woke it | DECAI_E_INVALID
 *           | DECAI_E_BUSY | DECAI_E_NOMEM
 *  In:   scheduler
 *  Out:  kind        DECAI_EVENT_*
 *        request
 *        value       see the event
 *        total       see the event
 *  In:   timeout_ms  how long to wait where there is nothing to do; 0 not at all; -1
 *                    for ever
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_scheduler_next(decai_scheduler *scheduler, int32_t *kind, uint64_t *request,
    int64_t *value, int64_t *total, int64_t timeout_ms);

/** Ask a request to stop. Tokens that were not handed out yet never are, and its last
 *  event is DECAI_EVENT_CANCELLED; the session keeps what was handed out, for a
 *  receipt, and otherwise wants a decai_session_start. A request that is over, or
 *  that never was, is no error: it may have ended meanwhile.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  In:   scheduler
 *        request    0: none; only wakes a decai_scheduler_next that waits
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_scheduler_cancel(decai_scheduler *scheduler, uint64_t request);

/** The token that a request handed out last and the likeliest in its place, as
 *  decai_session_top_get gives them; between that event and the next call of
 *  decai_scheduler_next.
 *
 *  Returns: 0 | DECAI_E_SPACE (lengths = values needed) | DECAI_E_INVALID
 *           | DECAI_E_LIMIT (count is above DECAI_TOP_MAX) | DECAI_E_STATE (the last
 *           event was no token of this request) | DECAI_E_BUSY
 *  In:   scheduler
 *  Out:  tokens        first the token itself, then the likeliest; NULL with cap 0 asks
 *                      the size                              @len(tokens_cap) @nullable
 *        tokens_cap    in values
 *        tokens_len    count + 1, or one more than the vocabulary if that is less;
 *                      0 on any other error
 *        logprobs      of each of them                       @len(logprobs_cap) @nullable
 *        logprobs_cap  in values
 *        logprobs_len  as tokens_len
 *  In:   request
 *        count         how many likeliest
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_scheduler_top_get(decai_scheduler *scheduler, int32_t *tokens, size_t tokens_cap,
    size_t *tokens_len, float *logprobs, size_t logprobs_cap, size_t *logprobs_len, uint64_t request,
    uint32_t count);

/** Statistics as one JSON object: totals, and "requests", an array with state, prompt,
 *  computed, shared and given tokens, rows, steps and times of each.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   scheduler
 *  Out:  out   UTF-8 JSON, not NUL-terminated; NULL with cap 0 asks the size   @len(cap) @nullable
 *        cap
 *        len   bytes written or needed; 0 on any other error
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_scheduler_format(
    decai_scheduler *scheduler, uint8_t *out, size_t cap, size_t *len);

/* ---- shelf: several models ----------------------------------------------------- */

/** Make an empty shelf: models by name, and engines that are made when they are asked
 *  for and given up when there is no room for another.
 *
 *  What counts against infer.shelf_bytes is the tensors of the models whose engines are
 *  there, as many bytes as they have in the file: about what an engine keeps of them.
 *  Not counted: the models themselves, which stay on the shelf (map them, with model.map,
 *  or their bytes are in memory beside the engines'), what an engine computes in, and
 *  what sessions and schedulers take.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   context
 *        options  infer.shelf_bytes; and what decai_engine_create reads: every engine
 *                 is made with these, but with no more context than its
 *                 model has; copied                               @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_shelf_create(
    decai_shelf **out, decai_context *context, const decai_options *options);

/** Put a model on the shelf. It is kept; its engine is not made yet.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_EXISTS (the name is taken) | DECAI_E_LIMIT
 *           (DECAI_SHELF_MODELS_MAX, DECAI_SHELF_NAME_MAX, or its tensors alone are
 *           above infer.shelf_bytes) | DECAI_E_NOMEM | DECAI_E_STATE (the model is not
 *           ready)
 *  In:   shelf
 *        model
 *        name   1 to DECAI_SHELF_NAME_MAX bytes
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_shelf_add(decai_shelf *shelf, decai_model *model, const char *name);

/** The engine of a model, made now if it is not there. For it go, oldest use first,
 *  engines that nobody holds but the shelf; who holds one (as this function's caller
 *  does, until he destroys it) keeps it. Where that would not be enough, none goes.
 *
 *  Two who ask for one model get one engine. While it is made other calls go on; only
 *  one that would find no room waits, in case the making fails.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOT_FOUND | DECAI_E_FULL (engines that are
 *           in use leave no room; the bytes are in the detail) | otherwise as decai_engine_create
 *  In:   shelf
 *  Out:  out    @owned
 *  In:   name
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_shelf_get(decai_shelf *shelf, decai_engine **out, const char *name);

/** Describe a shelf as one JSON object: bytes of the engines that are ready or being
 *  made, how often an engine was given out ("gets"), made and given up so far, and
 *  "models" with name, bytes, ready and idle of each.
 *
 *  Returns: 0 | DECAI_E_SPACE (*len = bytes needed) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   shelf
 *  Out:  out   UTF-8 JSON, not NUL-terminated; NULL with cap 0 asks the size   @len(cap) @nullable
 *        cap
 *        len   bytes written or needed; 0 on any other error
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_shelf_format(decai_shelf *shelf, uint8_t *out, size_t cap, size_t *len);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_INFER_H */
