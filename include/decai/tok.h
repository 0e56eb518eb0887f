/* decai/tok.h - text to token ids and back.
 *
 * A tokenizer comes from a model's metadata and is checked like the rest of it.
 * Text and token bytes are bytes with a length: they may hold NUL and need not
 * be valid UTF-8; decoding gives back exactly the bytes that were encoded.
 * The handle is immutable and shareable; a token stream is one thread at a time.
 */
#ifndef DECAI_TOK_H
#define DECAI_TOK_H

#include "decai/base.h"
#include "decai/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ------------------------------------------------------------ */

#define DECAI_TOKEN_COUNT_MAX 1048576  /**< entries of a vocabulary */
#define DECAI_TOKEN_BYTES_MAX 4096     /**< bytes of one vocabulary entry in the file */
#define DECAI_MERGE_COUNT_MAX 2097152  /**< merge rules */
#define DECAI_TOKENIZER_JSON_MAX 67108864 /**< bytes of a tokenizer.json */
#define DECAI_TOKENIZER_NODE_MAX 8388608  /**< values in a tokenizer.json */
#define DECAI_ROW_MAX 16777216         /**< ids that row_max may ask for */
#define DECAI_TOKEN_STREAM_MAX 4102    /**< most bytes one decai_token_stream_add gives, stop texts apart */
#define DECAI_STOP_COUNT_MAX 64        /**< stop texts of a stream */
#define DECAI_STOP_BYTES_MAX 1024      /**< bytes of one stop text */

#define DECAI_TEMPLATE_NEST_MAX 200    /**< levels of brackets, blocks and operators in a template's text */

#define DECAI_GRAMMAR_TEXT_MAX  1048576  /**< bytes of a grammar's text */
#define DECAI_GRAMMAR_RULE_MAX  32768    /**< rules of a grammar */
#define DECAI_GRAMMAR_STATE_MAX 262144   /**< states of a grammar: about one a byte or class it can tell apart */
#define DECAI_GRAMMAR_NEST_MAX  200      /**< levels of groups in a grammar's text */
#define DECAI_GRAMMAR_ITEM_MAX  4096     /**< ways in which a text can be read at one byte */
#define DECAI_GRAMMAR_WORK_MAX  67108864 /**< ways looked at for one token, or for one part of a mask */
#define DECAI_MATCHER_BYTES_MAX 16777216 /**< bytes of a text under a grammar */
#define DECAI_MATCHER_ITEM_MAX  16777216 /**< ways in which it can be read, all bytes together */
#define DECAI_ANSWER_TEXT_MAX   4194304  /**< bytes of an answer that is taken apart */
#define DECAI_FORCED_MAX        4096     /**< bytes that decai_matcher_forced_get looks ahead */

/* ---- errors ------------------------------------------------------------ */

#define DECAI_E_TEMPLATE (-901) /**< a template refuses or cannot take this conversation */

/* ---- flags ------------------------------------------------------------- */

#define DECAI_ENCODE_SPECIAL 1 /**< text of control tokens becomes those tokens; user-defined ones always are */
#define DECAI_ENCODE_ADD     2 /**< add begin and end tokens where the file says so */
#define DECAI_ENCODE_PAD     4 /**< fill each row up to its limit with the padding token; batch only */
#define DECAI_DECODE_SPECIAL 1 /**< write control, unknown and unused tokens as their text, not as nothing */
#define DECAI_DECODE_CONTINUE 2 /**< these tokens follow others: keep the space that begins a text */

#define DECAI_ANSWER_PARTIAL  1 /**< more of the answer may come: hold back what is not decided */
#define DECAI_ANSWER_THINKING 2 /**< the template began the reasoning: the answer begins inside it */
#define DECAI_ANSWER_LAST     4 /**< no more of the answer comes */

/* What decai_answer_next gives. */
#define DECAI_ANSWER_NONE      0 /**< nothing more so far */
#define DECAI_ANSWER_CONTENT   1 /**< more of the content */
#define DECAI_ANSWER_REASONING 2 /**< more of the reasoning */
#define DECAI_ANSWER_CALL      3 /**< a tool call begins: its name */
#define DECAI_ANSWER_ARGUMENTS 4 /**< more of its arguments, JSON */
#define DECAI_ANSWER_CALL_END  5 /**< it is complete: the id that the model wrote, if any */
#define DECAI_ANSWER_CALL_CUT  6 /**< it ended or broke off within its arguments */

/* ---- kinds of tokens: GGUF's numbers ---------------------------------------- */

#define DECAI_TOKEN_NORMAL  1 /**< a piece of text */
#define DECAI_TOKEN_UNKNOWN 2 /**< stands for what the vocabulary lacks */
#define DECAI_TOKEN_CONTROL 3 /**< steers the model; never comes from plain text */
#define DECAI_TOKEN_USER    4 /**< user-defined: text that is always matched as a whole */
#define DECAI_TOKEN_UNUSED  5 /**< a hole in the vocabulary */
#define DECAI_TOKEN_BYTE    6 /**< one raw byte */

#define DECAI_TOKEN_END (-1)  /**< for decai_token_stream_add: no more tokens come */

/* ---- types ------------------------------------------------------------- */

/** A vocabulary with its rules. Immutable, shareable. */
typedef struct decai_tokenizer decai_tokenizer;
/** Turns a stream of tokens into text that is valid UTF-8 at every step. */
typedef struct decai_token_stream decai_token_stream;
/** A chat template, parsed. Immutable, shareable. */
typedef struct decai_template decai_template;

/** What a text must be like, made ready for one vocabulary. Immutable, shareable. */
typedef struct decai_grammar decai_grammar;
/** One text under a grammar, token by token. */
typedef struct decai_matcher decai_matcher;
/** An answer that is taken apart while it comes. */
typedef struct decai_answer decai_answer;

/* ---- making ------------------------------------------------------------- */

/** Make the tokenizer that a model's metadata describes.
 *
 *  Byte-level BPE, SentencePiece BPE, WordPiece, Unigram, RWKV and Gemma 4's BPE
 *  (tokenizer.ggml.model). A byte-level BPE whose file does not name its pattern
 *  is known by the ids of a known text, or refused. The model need not outlive it.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_NOMEM
 *           | DECAI_E_NOT_FOUND (no tokenizer in this model)
 *           | DECAI_E_UNSUPPORTED (the kind, named, and what to do)
 *           | DECAI_E_CORRUPT | DECAI_E_LIMIT
 *  Out:  out      @owned
 *  In:   model
 *        options  keys of room "tok"                              @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_create(
    decai_tokenizer **out, const decai_model *model, const decai_options *options);

/** Make a tokenizer of a Hugging Face tokenizer.json: byte-level and SentencePiece
 *  BPE, WordPiece, Unigram, their normalizers, pre-tokenizers and added tokens. A
 *  part that is not known, a regular expression above all, is refused by name.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_CORRUPT | DECAI_E_LIMIT
 *           | DECAI_E_UNSUPPORTED (the part, named)
 *  Out:  out       @owned
 *  In:   context
 *        json      the file                                       @len(json_len)
 *        json_len
 *        options   keys of room "tok"                             @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_open(decai_tokenizer **out, decai_context *context, const uint8_t *json,
    size_t json_len, const decai_options *options);

/** Write a tokenizer as a file: "gguf", metadata that decai_model_open and other
 *  readers of the format take, or "json", a Hugging Face tokenizer.json.
 *
 *  Returns: 0 | DECAI_E_INVALID (format) | DECAI_E_SPACE | DECAI_E_NOMEM
 *           | DECAI_E_UNSUPPORTED (no tokenizer.json says what this one does)
 *  Out:  out        the file                                   @len(cap) @nullable
 *        len        bytes written or needed
 *  In:   tokenizer
 *        format     "gguf" or "json"
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_format(const decai_tokenizer *tokenizer, uint8_t *out, size_t cap, size_t *len,
    const char *format);

/** The tokenizer hash: tokens, kinds, merges, pre-tokenizer, special tokens.
 *  Two models with equal tokenizers have equal hashes.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  out      32 bytes                                         @len(out_len)
 *  In:   out_len  32
 *        tokenizer
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_hash_get(
    const decai_tokenizer *tokenizer, uint8_t *out, size_t out_len);

/* ---- the vocabulary ------------------------------------------------------- */

/** How many tokens there are; ids are 0 .. count - 1.
 *
 *  Returns: 0 | DECAI_E_INVALID
 *  Out:  count
 *  In:   tokenizer
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_count(const decai_tokenizer *tokenizer, uint64_t *count);

/** One token: its bytes and its kind.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOT_FOUND | DECAI_E_SPACE
 *  Out:  out    the token's bytes; of a control token, its text   @len(cap) @nullable
 *        len    bytes written or needed
 *        kind   DECAI_TOKEN_*
 *  In:   tokenizer
 *        token  the id
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_token_get(const decai_tokenizer *tokenizer, uint8_t *out,
    size_t cap, size_t *len, int32_t *kind, int32_t token);

/** The id of the token that has exactly these bytes.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOT_FOUND
 *  Out:  token
 *  In:   tokenizer
 *        text      the token's bytes, or a control token's text   @len(text_len)
 *        text_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_id_get(
    const decai_tokenizer *tokenizer, int32_t *token, const uint8_t *text, size_t text_len);

/** The id of a special token.
 *
 *  Returns: 0 | DECAI_E_INVALID (no such role) | DECAI_E_NOT_FOUND (not in this
 *           vocabulary)
 *  Out:  token
 *  In:   tokenizer
 *        role   "bos", "eos", "eot", "unknown", "separator", "padding", "cls", "mask"
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_special_get(
    const decai_tokenizer *tokenizer, int32_t *token, const char *role);

/* ---- text to tokens and back ----------------------------------------------- */

/** Turn text into token ids, in time that grows linearly with its length.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_SPACE | DECAI_E_LIMIT (tok.text_max)
 *           | DECAI_E_NOMEM | DECAI_E_UNSUPPORTED (a byte that this vocabulary
 *           has no token for)
 *  Out:  out       the ids; NULL with cap 0 asks the count        @len(cap) @nullable
 *        len       ids written or needed
 *  In:   tokenizer
 *        text      any bytes; invalid UTF-8 is encoded byte by byte   @len(text_len)
 *        text_len
 *        flags     DECAI_ENCODE_*, added up
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_encode(const decai_tokenizer *tokenizer, int32_t *out,
    size_t cap, size_t *len, const uint8_t *text, size_t text_len, int32_t flags);

/** Turn many texts into ids, on all threads of the context.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_SPACE | DECAI_E_LIMIT (tok.text_max)
 *           | DECAI_E_NOMEM | DECAI_E_UNSUPPORTED (as decai_tokenizer_encode)
 *           | DECAI_E_NOT_FOUND (DECAI_ENCODE_PAD without a padding token)
 *  Out:  out         the ids of all rows, one row after the other    @len(cap) @nullable
 *        len         ids written or needed
 *        ends        of each id, where its bytes end in its row's text; they begin
 *                    where the id before ends, so the ids tile the text; of added
 *                    and padding ids, where they stand      @len(ends_cap) @nullable
 *        ends_len    as len
 *        rows        of each row, where its ids end in out     @len(rows_cap) @nullable
 *        rows_len    rows written or needed
 *  In:   tokenizer
 *        texts       the texts, one after the other, any bytes         @len(texts_len)
 *        texts_len
 *        text_ends   of each text, where it ends in texts; ascending, the last one is
 *                    texts_len                                   @len(text_count)
 *        text_count  how many texts
 *        row_max     ids of a row at most, added ones included: text that does not fit
 *                    is cut off; 0: no limit (then DECAI_ENCODE_PAD is invalid)
 *        flags       DECAI_ENCODE_*, added up
 *
 *  Each output is written if it is not NULL and all of them fit.
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_batch_encode(const decai_tokenizer *tokenizer, int32_t *out, size_t cap,
    size_t *len, uint64_t *ends, size_t ends_cap, size_t *ends_len, uint64_t *rows, size_t rows_cap,
    size_t *rows_len, const uint8_t *texts, size_t texts_len, const uint64_t *text_ends, size_t text_count,
    uint64_t row_max, int32_t flags);

/** Turn token ids into the exact bytes they stand for.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOT_FOUND (an id beyond the
 *           vocabulary) | DECAI_E_SPACE | DECAI_E_LIMIT
 *  Out:  out         bytes, not NUL-terminated, perhaps not valid UTF-8   @len(cap) @nullable
 *        len         bytes written or needed
 *  In:   tokenizer
 *        tokens      @len(token_len)
 *        token_len   how many ids
 *        flags       DECAI_DECODE_*, added up
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_tokenizer_decode(const decai_tokenizer *tokenizer, uint8_t *out,
    size_t cap, size_t *len, const int32_t *tokens, size_t token_len, int32_t flags);

/** Make a stream for showing tokens as they come.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   tokenizer
 *        flags    DECAI_DECODE_*, added up
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_token_stream_create(
    decai_token_stream **out, const decai_tokenizer *tokenizer, int32_t flags);

/** End the stream where this text comes, whatever tokens it is made of. Before the
 *  first token. Of several stop texts the one that is complete first ends it, of
 *  two complete at the same byte the longer.
 *
 *  Returns: 0 | DECAI_E_INVALID (empty, not UTF-8) | DECAI_E_LIMIT
 *           (DECAI_STOP_COUNT_MAX, DECAI_STOP_BYTES_MAX) | DECAI_E_NOMEM
 *           | DECAI_E_STATE (a token was added) | DECAI_E_BUSY
 *  In:   stream
 *        text      UTF-8                                           @len(text_len)
 *        text_len
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_token_stream_stop_add(
    decai_token_stream *stream, const uint8_t *text, size_t text_len);

/** Which stop text ended the stream.
 *
 *  Returns: 1 one did | 0 none so far | DECAI_E_INVALID | DECAI_E_BUSY
 *  In:   stream
 *  Out:  index  its place in the order of decai_token_stream_stop_add
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_token_stream_stop_get(decai_token_stream *stream, int32_t *index);

/** Add one token and get the text that is complete now. Bytes that begin a
 *  character are held back until it is whole; bytes that can begin none become
 *  U+FFFD, one for each longest part of a character (Unicode, chapter 3,
 *  "substitution of maximal subparts"). What may begin a stop text is held back
 *  too. DECAI_TOKEN_END gives what was held.
 *
 *  Returns: 0 | 1 a stop text was found: what came before it is given, from now on
 *           nothing is | DECAI_E_INVALID | DECAI_E_BUSY | DECAI_E_NOT_FOUND
 *           | DECAI_E_SPACE (the token was not added; *len = needed)
 *  Out:  out    valid UTF-8; DECAI_TOKEN_STREAM_MAX bytes always suffice, with stop
 *               texts DECAI_STOP_BYTES_MAX more                     @len(cap) @nullable
 *        len    bytes written or needed
 *  In:   stream
 *        token  an id, or DECAI_TOKEN_END
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_token_stream_add(
    decai_token_stream *stream, uint8_t *out, size_t cap, size_t *len, int32_t token);

/* ---- chat templates ---------------------------------------------------------- */

/** Parse a chat template: Jinja, as transformers' apply_chat_template reads it
 *  (sandboxed and immutable, trim_blocks, lstrip_blocks, loop controls,
 *  generation blocks). A template is untrusted: it can reach nothing but the
 *  conversation, and every rendering has limits (options tok.template_*).
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_NOMEM
 *           | DECAI_E_NOT_FOUND (no such template in the model)
 *           | DECAI_E_CORRUPT (not a template; the detail names line and place)
 *           | DECAI_E_UNSUPPORTED (a filter, test or statement, named)
 *           | DECAI_E_LIMIT (tok.template_text_max, DECAI_TEMPLATE_NEST_MAX)
 *  Out:  out      @owned
 *  In:   context
 *        model    its special tokens become the variables bos_token, eos_token,
 *                 unk_token, ...; it need not outlive the template   @nullable
 *        text     UTF-8; NULL takes the model's tokenizer.chat_template,
 *                 or the one of tok.template_name   @len(text_len) @nullable
 *        text_len
 *        options  keys of room "tok"                                 @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_template_create(decai_template **out, decai_context *context,
    const decai_model *model, const char *text, size_t text_len, const decai_options *options);

/** Render a conversation, byte for byte as Jinja2 does.
 *
 *  The conversation is JSON: an array, which becomes the variable messages, or
 *  an object, whose members become the variables (messages, tools, documents,
 *  add_generation_prompt, bos_token, ...). What is absent is undefined; null is
 *  None. Strict JSON, as decai_json_verify has it. Errors never hold text of the
 *  conversation.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_STATE | DECAI_E_NOMEM | DECAI_E_SPACE
 *           | DECAI_E_CORRUPT (the JSON)
 *           | DECAI_E_TEMPLATE (where Jinja2 raises; line and expression)
 *           | DECAI_E_UNSUPPORTED (what this library leaves out, named)
 *           | DECAI_E_LIMIT (fuel, depth, memory or output; named)
 *  Out:  out    UTF-8; NULL with cap 0 renders and asks the size   @len(cap) @nullable
 *        len    bytes written or needed
 *  In:   tmpl
 *        conversation       @len(conversation_len)
 *        conversation_len
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_template_format(const decai_template *tmpl, uint8_t *out, size_t cap,
    size_t *len, const char *conversation, size_t conversation_len);

/* ---- constrained output -------------------------------------------------------- */

/** Make a grammar: which texts there are, byte by byte, for the tokens of one
 *  vocabulary. It may be ambiguous, recursive from any side, and empty.
 *
 *  Kind "gbnf": llama.cpp's notation; the rule named root is the whole text.
 *  Kinds "json_schema" and "json_schema_compact": JSON for which a JSON Schema holds, with
 *  bounded white space between its tokens or none. Members come in the order of
 *  properties; beside these there are further ones only where additionalProperties says
 *  so; annotations and names with "x-" are passed over, every other keyword that is not
 *  built is refused with its place as JSON pointer (lib/tok/SCHEMA.md).
 *
 *  Kind "tools": what follows the mark of a tool call, {"format": a name that
 *  decai_template_calls_get gives, "tools": [..], "tool_choice": .., "parallel_tool_calls":
 *  ..}, the last three as OpenAI has them; its texts by format: lib/tok/toolcall_grammar.c.
 *  With "whole": true it is of whole answers: any text, and behind a call's mark nothing
 *  but calls of these tools, whose arguments follow the schemas where "strict" is true;
 *  control tokens come where they are marks of the format, and nowhere else. Refused
 *  (DECAI_E_UNSUPPORTED) are gemma, command-r and functionary-v3.2.
 *  With "thinking": true, too, the answer begins inside the reasoning.
 *
 *  What can be read in more ways than the limits allow is refused while tokens are added, and
 *  never guessed. What is worked out while masks are made is kept and shared.
 *
 *  Returns: 0 | DECAI_E_INVALID (kind; a grammar of no text) | DECAI_E_NOMEM
 *           | DECAI_E_CORRUPT (the text; line and column in the detail)
 *           | DECAI_E_UNSUPPORTED (named) | DECAI_E_LIMIT (DECAI_GRAMMAR_*_MAX, named; nesting)
 *  Out:  out        @owned
 *  In:   tokenizer  it is kept
 *        kind       "gbnf", "json_schema", "json_schema_compact", "tools"
 *        text       UTF-8                                         @len(text_len)
 *        text_len
 *        options    keys of room "tok"                              @nullable
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_grammar_create(decai_grammar **out, const decai_tokenizer *tokenizer, const char *kind,
    const char *text, size_t text_len, const decai_options *options);

/** Begin a text under a grammar. It keeps the grammar.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOMEM
 *  Out:  out      @owned
 *  In:   grammar
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_matcher_create(decai_matcher **out, const decai_grammar *grammar);

/** Go on with tokens, up to the first one that may not come. A token that ends a
 *  generation may come where the text is complete, and is the last.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_NOT_FOUND (an id beyond the vocabulary: none
 *           was taken) | DECAI_E_LIMIT (the token after those taken can be read in too
 *           many ways, or the text is too long) | DECAI_E_NOMEM | DECAI_E_BUSY
 *  In:   matcher
 *  Out:  taken    how many of them came; the next one may not, if it is less than count
 *  In:   tokens                                                     @len(count)
 *        count
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_matcher_add(decai_matcher *matcher, uint64_t *taken, const int32_t *tokens, size_t count);

/** Take back the last tokens.
 *
 *  Returns: 0 | DECAI_E_INVALID (more than were taken) | DECAI_E_BUSY
 *  In:   matcher
 *        count
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_matcher_remove(decai_matcher *matcher, uint64_t count);

/** Which tokens may come next: bit i % 8 of byte i / 8 is token i.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_BUSY
 *           | DECAI_E_LIMIT (a token can be read in too many ways)
 *  In:   matcher
 *  Out:  out      NULL with cap 0 asks the size                     @len(cap) @nullable
 *        cap
 *        len      bytes written or needed: one for each eight tokens
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_matcher_mask_get(decai_matcher *matcher, uint8_t *out, size_t cap, size_t *len);

/** The text that must come next, whatever tokens it is made of: as long as only one
 *  byte can follow and the text is not complete, in whole characters.
 *
 *  Returns: 0 | DECAI_E_SPACE | DECAI_E_INVALID | DECAI_E_NOMEM | DECAI_E_BUSY
 *           | DECAI_E_LIMIT
 *  In:   matcher
 *  Out:  out      at most DECAI_FORCED_MAX bytes                    @len(cap) @nullable
 *        cap
 *        len      bytes written or needed; 0: there is a choice, or nothing can come
 *        complete  1: the text may end here
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_matcher_forced_get(
    decai_matcher *matcher, uint8_t *out, size_t cap, size_t *len, int32_t *complete);

/* ---- answers ---------------------------------------------------------------------- */

/** The format in which a chat template teaches tool calls, by the marks in its text:
 *  hermes, qwen3-coder, seed-oss, glm, minimax-m2, deepseek-v3.2, deepseek-v4, kimi-k2, llama3,
 *  gemma, mistral, mistral-args, deepseek, command-r, command-r7b, granite, nemotron, tool-calls,
 *  apertus, lfm2, llama4, gemma4, function-gemma, functionary, functionary-v3.2, harmony.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_SPACE | DECAI_E_NOT_FOUND (none of them)
 *  Out:  out    the name, not NUL-terminated                       @len(cap) @nullable
 *        len    bytes written or needed
 *  In:   tmpl
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_template_calls_get(const decai_template *tmpl, uint8_t *out, size_t cap, size_t *len);

/** Take an answer apart: JSON with content (a text or null), reasoning (where there is
 *  some), tool_calls as OpenAI has them (arguments are JSON as text), complete (nothing is
 *  held back). What looks like a call and is none is content, as it was written. A call has
 *  begun once its name and the first byte of its arguments are there; one whose arguments
 *  then end or break off has "complete": false and the arguments that came. Time grows
 *  linearly with the text.
 *
 *  With DECAI_ANSWER_PARTIAL, of two beginnings of one answer the longer one's content
 *  and calls begin with the shorter one's: so an answer can be shown while it comes.
 *
 *  Returns: 0 | DECAI_E_INVALID (format; not UTF-8) | DECAI_E_SPACE | DECAI_E_NOMEM
 *           | DECAI_E_LIMIT (DECAI_ANSWER_TEXT_MAX)
 *  In:   context
 *  Out:  out       UTF-8 JSON; NULL with cap 0 asks the size        @len(cap) @nullable
 *        cap
 *        len       bytes written or needed
 *  In:   format    a name that decai_template_calls_get gives, or "none"
 *        text      as decai_token_stream gives it with DECAI_DECODE_SPECIAL   @len(text_len)
 *        text_len
 *        flags     DECAI_ANSWER_*, added up
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_answer_parse(decai_context *context, uint8_t *out, size_t cap, size_t *len, const char *format,
    const char *text, size_t text_len, int32_t flags);

/** Begin to take an answer apart while it comes. Its events, put together, are what
 *  decai_answer_parse gives of the whole, whatever the pieces; time is linear in them,
 *  memory at most some times the text that nobody took, plus what may become a call.
 *
 *  With tools, parameters that stand between marks (qwen3-coder, glm and their kin) have
 *  the types of their schemas: a string is one though it looks like a number. Without,
 *  what is JSON is JSON.
 *
 *  Returns: 0 | DECAI_E_INVALID (format, flags) | DECAI_E_CORRUPT (tools) | DECAI_E_LIMIT
 *           | DECAI_E_NOMEM
 *  Out:  out        @owned
 *  In:   context
 *        format     a name that decai_template_calls_get gives, or "none"
 *        tools      JSON: an array of tools as OpenAI has them   @len(tools_len) @nullable
 *        tools_len
 *        flags      0 | DECAI_ANSWER_THINKING
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_answer_create(decai_answer **out, decai_context *context, const char *format, const char *tools,
    size_t tools_len, int32_t flags);

/** Add more of the answer. After an error it takes nothing more.
 *
 *  Returns: 0 | DECAI_E_INVALID (flags; not UTF-8) | DECAI_E_LIMIT (DECAI_ANSWER_TEXT_MAX, all
 *           pieces together) | DECAI_E_STATE (the last was added) | DECAI_E_BUSY | DECAI_E_NOMEM
 *  In:   answer
 *        text       UTF-8; a piece may end within a character     @len(text_len) @nullable
 *        text_len
 *        flags      0 | DECAI_ANSWER_LAST: what is held is decided
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_answer_add(decai_answer *answer, const char *text, size_t text_len, int32_t flags);

/** Take the next event. Content, reasoning and arguments come in pieces that end with a
 *  character; a call's events come one after the other.
 *
 *  Returns: 0 | DECAI_E_INVALID | DECAI_E_SPACE (the event stays) | DECAI_E_BUSY
 *  In:   answer
 *  Out:  out    UTF-8, by kind                                    @len(cap) @nullable
 *        cap
 *        len    bytes written or needed
 *        kind   DECAI_ANSWER_NONE to DECAI_ANSWER_CALL_CUT
 *        call   which call, from 0 on; 0 for content and reasoning
 *  @thread one at a time  @since 0.1
 */
DECAI_API int32_t decai_answer_next(
    decai_answer *answer, uint8_t *out, size_t cap, size_t *len, int32_t *kind, int32_t *call);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_TOK_H */
