/* api.c - the exported functions of the tok room: check, then call inside. */
#include <string.h>

#include "tok/batch.h"
#include "tok/grammar.h"
#include "tok/template.h"
#include "tok/toolcall.h"

#define DECODE_MAX ((size_t)1 << 30) /* bytes one decode may give */
#define FORMAT_MAX ((size_t)1 << 30) /* bytes of a tokenizer file */

int32_t
decai_tokenizer_create(decai_tokenizer **out, const decai_model *model, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(model, DECAI__MODEL);
    if (!r) r = decai__model_ready(model);
    return r ? r : decai__tok_create(out, model, options);
}

int32_t
decai_tokenizer_open(decai_tokenizer **out, decai_context *context, const uint8_t *json, size_t json_len, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r) return r;
    if (!json && json_len) return decai__fail(DECAI_E_INVALID, "json: NULL");
    return decai__tok_open(out, context, json, json_len, options);
}

int32_t
decai_tokenizer_format(const decai_tokenizer *tokenizer, uint8_t *out, size_t cap, size_t *len, const char *format)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!format) return decai__fail(DECAI_E_INVALID, "format: NULL");
    bool gguf = !strcmp(format, "gguf");
    if (!gguf && strcmp(format, "json")) return decai__fail(DECAI_E_INVALID, "format: not one of gguf, json");
    decai__buf_init(&b, decai__context_of(tokenizer), FORMAT_MAX, "tokenizer file");
    r = gguf ? decai__tok_put_gguf(tokenizer, &b) : decai__tok_put_json(tokenizer, &b);
    return decai__door_close(r, &b, out, cap, len);
}

int32_t
decai_tokenizer_hash_get(const decai_tokenizer *tokenizer, uint8_t *out, size_t out_len)
{
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!out || out_len != 32) return decai__fail(DECAI_E_INVALID, "out_len: %zu is not 32", out ? out_len : 0);
    memcpy(out, decai__tok_hash(tokenizer), 32);
    return 0;
}

/* ---- vocabulary --------------------------------------------------------- */

int32_t
decai_tokenizer_count(const decai_tokenizer *tokenizer, uint64_t *count)
{
    if (!count) return decai__fail(DECAI_E_INVALID, "count: NULL");
    *count = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    *count = decai__tok_count(tokenizer);
    return 0;
}

int32_t
decai_tokenizer_token_get(const decai_tokenizer *tokenizer, uint8_t *out, size_t cap, size_t *len, int32_t *kind,
    int32_t token)
{
    size_t n;
    if (!len || !kind || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", !len ? "len" : !kind ? "kind" : "out");
    *len = 0;
    *kind = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    const uint8_t *bytes = decai__tok_bytes(tokenizer, token, &n);
    if (!bytes) return decai__fail(DECAI_E_NOT_FOUND, "token: %d is not in 0..%u", token, decai__tok_count(tokenizer) - 1);
    r = decai__bytes_out(out, cap, len, bytes, n);
    if (!r) *kind = decai__tok_kind(tokenizer, token);
    return r;
}

int32_t
decai_tokenizer_id_get(const decai_tokenizer *tokenizer, int32_t *token, const uint8_t *text, size_t text_len)
{
    if (!token) return decai__fail(DECAI_E_INVALID, "token: NULL");
    *token = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!text && text_len) return decai__fail(DECAI_E_INVALID, "text: NULL");
    int32_t id = text_len ? decai__tok_id(tokenizer, text, text_len) : -1;
    if (id < 0) return decai__fail(DECAI_E_NOT_FOUND, "text: no token has these %zu bytes", text_len);
    *token = id;
    return 0;
}

int32_t
decai_tokenizer_special_get(const decai_tokenizer *tokenizer, int32_t *token, const char *role)
{
    static const char *const name[DECAI__SPECIAL_COUNT] = { "bos", "eos", "eot", "unknown", "separator", "padding", "cls", "mask" };
    if (!token) return decai__fail(DECAI_E_INVALID, "token: NULL");
    *token = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!role) return decai__fail(DECAI_E_INVALID, "role: NULL");
    for (int i = 0; i < DECAI__SPECIAL_COUNT; i++) {
        if (strcmp(name[i], role)) continue;
        int32_t id = decai__tok_special(tokenizer, (enum decai__special)i);
        if (id < 0) return decai__fail(DECAI_E_NOT_FOUND, "role: this vocabulary has no %s", role);
        *token = id;
        return 0;
    }
    return decai__fail(DECAI_E_INVALID, "role: not one of bos, eos, eot, unknown, separator, padding, cls, mask");
}

/* ---- text and ids --------------------------------------------------------- */

int32_t
decai_tokenizer_encode(const decai_tokenizer *tokenizer, int32_t *out, size_t cap, size_t *len, const uint8_t *text,
    size_t text_len, int32_t flags)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!text && text_len) return decai__fail(DECAI_E_INVALID, "text: NULL");
    if (flags & ~(DECAI_ENCODE_SPECIAL | DECAI_ENCODE_ADD)) return decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    decai__ids ids = { .ctx = decai__context_of(tokenizer), .data = out, .cap = cap, .borrowed = true };
    r = decai__encode(tokenizer, &ids, text ? text : (const uint8_t *)"", text_len, flags);
    if (r) return r;
    *len = ids.dropped + ids.len;
    return *len > cap ? decai__fail(DECAI_E_SPACE, "out: %zu ids needed, %zu given", *len, cap) : 0;
}

/* One output of a batch: its length always; whether there is room. */
static int32_t
fits(size_t count, const void *out, size_t cap, size_t *len, const char *name)
{
    *len = count;
    return out && count > cap ? decai__fail(DECAI_E_SPACE, "%s: %zu needed, %zu given", name, count, cap) : 0;
}

int32_t
decai_tokenizer_batch_encode(const decai_tokenizer *tokenizer, int32_t *out, size_t cap, size_t *len, uint64_t *ends,
    size_t ends_cap, size_t *ends_len, uint64_t *rows, size_t rows_cap, size_t *rows_len, const uint8_t *texts,
    size_t texts_len, const uint64_t *text_ends, size_t text_count, uint64_t row_max, int32_t flags)
{
    const int32_t known = DECAI_ENCODE_SPECIAL | DECAI_ENCODE_ADD | DECAI_ENCODE_PAD;
    decai__texts in = { texts, texts_len, text_ends, text_count, row_max, flags };
    if (!len || !ends_len || !rows_len) return decai__fail(DECAI_E_INVALID, "%s: NULL", !len ? "len" : !ends_len ? "ends_len" : "rows_len");
    *len = *ends_len = *rows_len = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if ((!out && cap) || (!ends && ends_cap) || (!rows && rows_cap))
        return decai__fail(DECAI_E_INVALID, "%s: NULL", !out && cap ? "out" : !ends && ends_cap ? "ends" : "rows");
    if ((!texts && texts_len) || (!text_ends && text_count)) return decai__fail(DECAI_E_INVALID, "%s: NULL", text_ends ? "texts" : "text_ends");
    if (flags & ~known) return decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    if (row_max > DECAI_ROW_MAX) return decai__fail(DECAI_E_LIMIT, "row_max: %llu is above %d", (unsigned long long)row_max, DECAI_ROW_MAX);
    /* Places cost time: they are found only for those who want them. */
    decai__batch b = { .t = tokenizer, .in = &in, .ends = ends != NULL, .out = out, .out_ends = ends };
    r = decai__batch_encode(&b);
    if (!r) {
        int32_t first = fits(b.len, out ? (const void *)out : &b, cap, len, "out");
        int32_t second = fits(b.len, ends, ends_cap, ends_len, "ends"), third = fits(text_count, rows, rows_cap, rows_len, "rows");
        r = first ? first : second ? second : third;
    }
    if (!r) decai__batch_give(&b);
    if (!r && rows && text_count) memcpy(rows, b.rows, text_count * sizeof *rows);
    decai__batch_free(&b);
    return r;
}

int32_t
decai_tokenizer_decode(const decai_tokenizer *tokenizer, uint8_t *out, size_t cap, size_t *len, const int32_t *tokens,
    size_t token_len, int32_t flags)
{
    decai__buf b;
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!tokens && token_len) return decai__fail(DECAI_E_INVALID, "tokens: NULL");
    if (flags & ~(DECAI_DECODE_SPECIAL | DECAI_DECODE_CONTINUE)) return decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    decai__buf_init(&b, decai__context_of(tokenizer), DECODE_MAX, "decoded text");
    r = decai__tok_decode(tokenizer, &b, tokens, token_len, flags);
    if (!r) r = decai__bytes_out(out, cap, len, b.data, b.len);
    decai__buf_free(&b);
    return r;
}

/* ---- stream ------------------------------------------------------------------ */

int32_t
decai_token_stream_create(decai_token_stream **out, const decai_tokenizer *tokenizer, int32_t flags)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (flags & ~(DECAI_DECODE_SPECIAL | DECAI_DECODE_CONTINUE)) return decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    return decai__token_stream_create(out, tokenizer, flags);
}

int32_t
decai_token_stream_stop_add(decai_token_stream *stream, const uint8_t *text, size_t text_len)
{
    int32_t r = decai__enter(stream, DECAI__TOKEN_STREAM);
    if (r) return r;
    r = text ? decai__token_stream_stop_add(stream, text, text_len) : decai__fail(DECAI_E_INVALID, "text: NULL");
    decai__leave(stream);
    return r;
}

int32_t
decai_token_stream_stop_get(decai_token_stream *stream, int32_t *index)
{
    if (!index) return decai__fail(DECAI_E_INVALID, "index: NULL");
    *index = -1;
    int32_t r = decai__enter(stream, DECAI__TOKEN_STREAM);
    if (r) return r;
    r = decai__token_stream_stop(stream, index);
    decai__leave(stream);
    return r;
}

int32_t
decai_token_stream_add(decai_token_stream *stream, uint8_t *out, size_t cap, size_t *len, int32_t token)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    int32_t r = decai__enter(stream, DECAI__TOKEN_STREAM);
    if (r) return r;
    r = decai__token_stream_add(stream, out, cap, len, token);
    decai__leave(stream);
    return r;
}

/* ---- chat templates ------------------------------------------------------------ */

int32_t
decai_template_create(decai_template **out, decai_context *context, const decai_model *model, const char *text,
    size_t text_len, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r && model) r = decai__enter_shared(model, DECAI__MODEL);
    if (!r && model) r = decai__model_ready(model);
    if (r) return r;
    if (!text && (text_len || !model)) return decai__fail(DECAI_E_INVALID, "text: NULL");
    return decai__template_create(out, context, model, text, text_len, options);
}

int32_t
decai_template_format(const decai_template *tmpl, uint8_t *out, size_t cap, size_t *len, const char *conversation,
    size_t conversation_len)
{
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(tmpl, DECAI__TEMPLATE);
    if (r) return r;
    if (!conversation) return decai__fail(DECAI_E_INVALID, "conversation: NULL");
    return decai__template_format(tmpl, out, cap, len, conversation, conversation_len);
}

/* ---- constrained output ---------------------------------------------------------- */

int32_t
decai_grammar_create(decai_grammar **out, const decai_tokenizer *tokenizer, const char *kind, const char *text,
    size_t text_len, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(tokenizer, DECAI__TOKENIZER);
    if (r) return r;
    if (!kind || !text) return decai__fail(DECAI_E_INVALID, "%s: NULL", kind ? "text" : "kind");
    return decai__grammar_create(out, tokenizer, kind, text, text_len, options);
}

int32_t
decai_matcher_create(decai_matcher **out, const decai_grammar *grammar)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(grammar, DECAI__GRAMMAR);
    return r ? r : decai__matcher_create(out, grammar);
}

int32_t
decai_matcher_add(decai_matcher *matcher, uint64_t *taken, const int32_t *tokens, size_t count)
{
    if (!taken) return decai__fail(DECAI_E_INVALID, "taken: NULL");
    *taken = 0;
    int32_t r = decai__enter(matcher, DECAI__MATCHER);
    if (r) return r;
    r = tokens || !count ? decai__matcher_add(matcher, taken, tokens, count) : decai__fail(DECAI_E_INVALID, "tokens: NULL");
    decai__leave(matcher);
    return r;
}

int32_t
decai_matcher_remove(decai_matcher *matcher, uint64_t count)
{
    int32_t r = decai__enter(matcher, DECAI__MATCHER);
    if (r) return r;
    r = decai__matcher_remove(matcher, count);
    decai__leave(matcher);
    return r;
}

int32_t
decai_matcher_mask_get(decai_matcher *matcher, uint8_t *out, size_t cap, size_t *len)
{
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter(matcher, DECAI__MATCHER);
    if (r) return r;
    size_t count = decai__matcher_tokens(matcher), words = (count + 63) / 64;
    *len = (count + 7) / 8;
    if (cap < *len) {
        r = decai__fail(DECAI_E_SPACE, "out: %zu bytes needed, %zu given", *len, cap);
    } else {
        decai_context *ctx = decai__context_of(matcher);
        uint64_t *bits = decai__alloc(ctx, words * sizeof *bits);
        r = bits ? decai__matcher_mask(matcher, bits) : decai__fail(DECAI_E_NOMEM, "mask: %zu tokens", count);
        if (!r) memcpy(out, bits, *len);
        else *len = 0;
        decai__free(ctx, bits);
    }
    decai__leave(matcher);
    return r;
}

int32_t
decai_matcher_forced_get(decai_matcher *matcher, uint8_t *out, size_t cap, size_t *len, int32_t *complete)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r && !complete) r = decai__fail(DECAI_E_INVALID, "complete: NULL");
    if (r) return r;
    *complete = 0;
    r = decai__enter(matcher, DECAI__MATCHER);
    if (r) return r;
    decai__buf_init(&b, decai__context_of(matcher), DECAI_FORCED_MAX, "DECAI_FORCED_MAX");
    *complete = decai__matcher_complete(matcher);
    r = decai__door_close(decai__matcher_forced(matcher, &b), &b, out, cap, len);
    decai__leave(matcher);
    return r;
}

/* ---- answers ------------------------------------------------------------------------ */

int32_t
decai_template_calls_get(const decai_template *tmpl, uint8_t *out, size_t cap, size_t *len)
{
    size_t text_len;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(tmpl, DECAI__TEMPLATE);
    if (r) return r;
    const char *text = decai__template_text(tmpl, &text_len);
    const decai__call_format *f = decai__call_format_of(text, text_len);
    if (!f) return decai__fail(DECAI_E_NOT_FOUND, "template: no known marks of tool calls");
    return decai__bytes_out(out, cap, len, f->name, strlen(f->name));
}

int32_t
decai_answer_parse(decai_context *context, uint8_t *out, size_t cap, size_t *len, const char *format, const char *text,
    size_t text_len, int32_t flags)
{
    decai__buf b;
    int32_t r = decai__door_open(out, cap, len);
    if (!r) r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r) return r;
    if (!format || (!text && text_len)) return decai__fail(DECAI_E_INVALID, "%s: NULL", format ? "text" : "format");
    if (flags & ~(DECAI_ANSWER_PARTIAL | DECAI_ANSWER_THINKING)) return decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    if (text_len > DECAI_ANSWER_TEXT_MAX) return decai__fail(DECAI_E_LIMIT, "text: %zu bytes, most are %d", text_len, DECAI_ANSWER_TEXT_MAX);
    const decai__call_format *f = decai__call_format_find(format);
    if (!f) return decai__fail(DECAI_E_INVALID, "format: \"%.32s\" is not known", format);
    if (decai__utf8_valid(text, text_len) != text_len) return decai__fail(DECAI_E_INVALID, "text: not UTF-8");
    decai__buf_init(&b, context, 8 * (size_t)DECAI_ANSWER_TEXT_MAX, "answer");
    return decai__door_close(decai__answer_parse(&b, f, text, text_len, flags), &b, out, cap, len);
}

int32_t
decai_answer_create(decai_answer **out, decai_context *context, const char *format, const char *tools, size_t tools_len, int32_t flags)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (r) return r;
    if (!format || (!tools && tools_len)) return decai__fail(DECAI_E_INVALID, "%s: NULL", format ? "tools" : "format");
    if (flags & ~DECAI_ANSWER_THINKING) return decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    const decai__call_format *f = decai__call_format_find(format);
    if (!f) return decai__fail(DECAI_E_INVALID, "format: \"%.32s\" is not known", format);
    return decai__answer_create(out, context, f, tools, tools_len, flags);
}

int32_t
decai_answer_add(decai_answer *answer, const char *text, size_t text_len, int32_t flags)
{
    int32_t r = decai__enter(answer, DECAI__ANSWER);
    if (r) return r;
    if (!text && text_len) r = decai__fail(DECAI_E_INVALID, "text: NULL");
    else if (flags & ~DECAI_ANSWER_LAST) r = decai__fail(DECAI_E_INVALID, "flags: %d", flags);
    else r = decai__answer_piece(answer, text, text_len, flags & DECAI_ANSWER_LAST);
    decai__leave(answer);
    return r;
}

int32_t
decai_answer_next(decai_answer *answer, uint8_t *out, size_t cap, size_t *len, int32_t *kind, int32_t *call)
{
    int32_t r = decai__door_open(out, cap, len);
    if (!r && (!kind || !call)) r = decai__fail(DECAI_E_INVALID, "%s: NULL", kind ? "call" : "kind");
    if (!r) r = decai__enter(answer, DECAI__ANSWER);
    if (r) return r;
    r = decai__answer_next(answer, out, cap, len, kind, call);
    decai__leave(answer);
    return r;
}
