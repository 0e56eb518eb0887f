/* serve_tokenize.c - /tokenize and /detokenize, as other local servers have them.
 *
 * A text (content, or prompt) or a conversation (messages, with tools) becomes the ids
 * that the other routes would give the model; ids become text. Members have two names,
 * because llama.cpp's server and vLLM call them differently. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

static bool input(params *p, int32_t v) { p->input = v; return true; }
static bool messages(params *p, int32_t v) { p->format = v; return true; }
static bool add_special(params *p, int32_t v) { return read_bool(p, v, &p->usage); }
static bool parse_special(params *p, int32_t v) { return read_bool(p, v, &p->receipt); }
static bool with_pieces(params *p, int32_t v) { return read_bool(p, v, &p->logprobs); }

/* Here usage, receipt and logprobs are these three, and format is the messages. */
static const field tokenize_fields[] = {
    {"model", NULL}, {"content", input}, {"prompt", input}, {"messages", messages}, {"tools", tools_read}, {"chat_template_kwargs", read_variables}, {"add_special", add_special},
    {"add_special_tokens", add_special}, {"parse_special", parse_special}, {"with_pieces", with_pieces}, {"return_token_strs", with_pieces}, {NULL, NULL}};

static bool
read_input(params *p, text *ids)
{
    text rendered = {0};
    bool good;
    if (p->format >= 0 && p->input >= 0) return refuse_value(p, p->format, NULL, "beside a text");
    if (p->format < 0 && p->input < 0) return refuse_value(p, -1, "content", "missing (or messages)");
    if (p->format < 0) {
        int32_t flags = (p->usage ? DECAI_ENCODE_ADD : 0) | (p->receipt ? DECAI_ENCODE_SPECIAL : 0);
        if (!read_type(p, p->input, DECAI_JSON_STRING, "a string")) return false;
        return input_ids(p, p->input, ids, flags);
    }
    if (!p->call->model->chat) return refuse_value(p, p->format, NULL, "this model has no chat template");
    p->input = p->format;
    good = chat_messages(p, p->format, &rendered) && chat_template(p, &rendered, ids);
    text_free(&rendered);
    return good;
}

static void
put_ids(params *p, const text *ids, text *out)
{
    const served *m = p->call->model;
    const int32_t *id = (const int32_t *)(const void *)ids->data;
    size_t n = ids->len / sizeof *id;
    text_printf(out, "{\"tokens\":[");
    for (size_t i = 0; i < n; i++) text_printf(out, "%s%d", i ? "," : "", id[i]);
    text_printf(out, "],\"count\":%zu,\"max_model_len\":%zu", n, m->context);
    if (p->logprobs) {
        text_printf(out, ",\"token_strs\":[");
        for (size_t i = 0; i < n; i++) {
            if (i) text_add(out, ",", 1);
            token_json(m, out, id[i]);
        }
        text_add(out, "]", 1);
    }
    text_printf(out, "}\n");
}

void
tokenize_read(call *c)
{
    params p;
    text ids = {0}, out = {0};
    bool good = params_open(&p, c);
    p.usage = p.receipt = true;
    if (good && fields_read(&p, tokenize_fields, NULL) && read_input(&p, &ids)) {
        put_ids(&p, &ids, &out);
        call_write(c, out.data, out.len);
        call_end(c, 200, "application/json");
    }
    text_free(&ids);
    text_free(&out);
    params_free(&p);
}

static const field detokenize_fields[] = {{"model", NULL}, {"tokens", input}, {NULL, NULL}};

static bool
read_tokens(params *p, text *ids)
{
    if (p->input < 0) return refuse_value(p, -1, "tokens", "missing");
    if (!read_type(p, p->input, DECAI_JSON_ARRAY, "an array of token ids")) return false;
    return input_ids(p, p->input, ids, 0);
}

static void
put_text(call *c, const text *ids)
{
    text words = {0}, out = {0};
    size_t len = 0, n = ids->len / sizeof(int32_t);
    const int32_t *id = (const int32_t *)(const void *)ids->data;
    int32_t r = n ? decai_tokenizer_decode(c->model->tok, NULL, 0, &len, id, n, DECAI_DECODE_SPECIAL) : 0;
    if (r == DECAI_E_SPACE) r = decai_tokenizer_decode(c->model->tok, (uint8_t *)text_reserve(&words, len), len, &len, id, n, DECAI_DECODE_SPECIAL);
    if (r) {
        call_fail(c, r, "tokens");
    } else {
        static const char *const names[] = {"{\"content\":", ",\"prompt\":"};
        for (size_t i = 0; i < 2; i++) {
            text_printf(&out, "%s", names[i]);
            text_json_any(&out, words.data ? words.data : "", len);
        }
        text_printf(&out, "}\n");
        call_write(c, out.data, out.len);
        call_end(c, 200, "application/json");
    }
    text_free(&words);
    text_free(&out);
}

void
detokenize_read(call *c)
{
    params p;
    text ids = {0};
    if (params_open(&p, c) && fields_read(&p, detokenize_fields, NULL) && read_tokens(&p, &ids)) put_text(c, &ids);
    text_free(&ids);
    params_free(&p);
}
