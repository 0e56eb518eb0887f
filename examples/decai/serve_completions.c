/* serve_completions.c - /v1/completions: prompts as they are, texts or token ids. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

/* ---- the answer ---------------------------------------------------------------------- */

/* logprobs as this route has them: four arrays side by side. */
static void
put_logprobs(choice *ch, size_t from, text *out)
{
    const served *of = ch->call->model;
    text tokens = {0}, numbers = {0}, tops = {0}, offsets = {0};
    text *const parts[] = {&tokens, &numbers, &tops, &offsets};
    const mark *m = (const mark *)(void *)(ch->marks.data + from), *end = (const mark *)(void *)(ch->marks.data + ch->marks.len);
    for (size_t i = 0; i < 4; i++) text_reserve(parts[i], 0);
    for (bool first = true; m < end; first = false) {
        const char *comma = first ? "" : ",";
        const mark *head = m++;
        text name = {0};
        text_reserve(&name, 0);
        token_json(of, &name, head->token);
        text_printf(&tokens, "%s%s", comma, name.data);
        text_printf(&numbers, "%s%.9g", comma, (double)head->logprob);
        text_printf(&offsets, "%s%zu", comma, ch->offset);
        text_printf(&tops, "%s{", comma);
        for (uint32_t i = 0; i < head->count; i++, m++) {
            text_printf(&tops, "%s", i ? "," : "");
            token_json(of, &tops, m->token);
            text_printf(&tops, ":%.9g", (double)m->logprob);
        }
        text_add(&tops, "}", 1);
        ch->offset += name.len - 2;
        text_free(&name);
    }
    text_printf(out, "{\"tokens\":[%s],\"token_logprobs\":[%s],\"top_logprobs\":[%s],\"text_offset\":[%s]}", tokens.data, numbers.data,
        tops.data, offsets.data);
    for (size_t i = 0; i < 4; i++) text_free(parts[i]);
}

static void
begin_head(call *c)
{
    text_reserve(&c->head, 0);
    text_printf(&c->head, "{\"id\":\"%s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":", c->id, (long long)c->created);
    text_json(&c->head, c->model->name.data, c->model->name.len);
    text_printf(&c->head, ",\"system_fingerprint\":\"%s\",\"choices\":[", c->model->fingerprint.data);
}

static void
put_choice(choice *ch, const char *data, size_t len, size_t from, text *out)
{
    text_printf(out, "{\"index\":%zu,\"text\":", ch->index);
    text_json(out, data, len);
    text_printf(out, ",\"logprobs\":");
    if (ch->call->top < 0) text_printf(out, "null");
    else put_logprobs(ch, from, out);
    if (ch->reason) text_printf(out, ",\"finish_reason\":\"%s\"", ch->reason);
    else text_printf(out, ",\"finish_reason\":null");
    if (ch->reason && ch->receipt_id.len) receipt_json(ch, true, out);
    text_add(out, "}", 1);
}

static void
event(choice *ch, const char *data, size_t len)
{
    call *c = ch->call;
    text *e = &c->event;
    text_reserve(e, 0);
    text_add(e, "data: ", 6);
    text_add(e, c->head.data, c->head.len);
    put_choice(ch, data, len, ch->marks_shown, e);
    ch->marks_shown = ch->marks.len;
    text_printf(e, c->usage ? "],\"usage\":null}\n\n" : "]}\n\n");
    call_write(c, e->data, e->len);
}

static void
completions_finish(choice *ch)
{
    event(ch, "", 0);
}

static void
completions_end(call *c)
{
    text *e = &c->event;
    bool one = c->receipt && c->count == 1;
    text_reserve(e, 0);
    if (c->stream && (c->usage || one)) text_add(e, "data: ", 6);
    if (!c->stream) begin_head(c);
    text_add(e, c->head.data, c->head.len);
    for (size_t i = 0; !c->stream && i < c->count; i++) {
        choice *ch = &c->choices[i];
        if (i) text_add(e, ",", 1);
        put_choice(ch, ch->answer.data ? ch->answer.data : "", ch->answer.len, 0, e);
    }
    text_printf(e, "]");
    if (!c->stream || c->usage) {
        text_printf(e, ",\"usage\":");
        usage_json(c, e);
    }
    receipt_json(c->choices, false, e);
    text_printf(e, c->stream ? "}\n\n" : "}\n");
    if (!c->stream || c->usage || one) call_write(c, e->data, e->len);
    if (c->stream) call_write(c, "data: [DONE]\n\n", 14);
    call_end(c, 200, "application/json");
}

static const form completions_form = {OPERATION_TEXT, "cmpl-", begin_head, event, NULL, NULL, completions_finish, completions_end};

/* ---- the request ------------------------------------------------------------------------- */

static bool
prompt(params *p, int32_t v)
{
    p->input = v;
    return true;
}

static bool
logprobs(params *p, int32_t v)
{
    return read_i64(p, v, 0, SERVE_TOP_MAX, &p->top);
}

static bool
best_of(params *p, int32_t v)
{
    int64_t given = 1;
    return read_i64(p, v, 1, SERVE_CHOICES_MAX, &given) && (given == 1 || refuse_value(p, v, NULL, "only 1 is supported"));
}

static bool
echo(params *p, int32_t v)
{
    bool given = false;
    return read_bool(p, v, &given) && (!given || refuse_value(p, v, NULL, "only false is supported"));
}

static const field completions_fields[] = {
    {"prompt", prompt}, {"logprobs", logprobs}, {"best_of", best_of}, {"echo", echo}, {NULL, NULL}};

/* An array of numbers, as ids. */
static bool
read_ids(params *p, int32_t value, text *ids)
{
    int64_t id = 0;
    for (size_t i = 0; i < value_count(p, value); i++) {
        if (!read_i64(p, value_at(p, value, i), 0, (int64_t)p->call->model->vocabulary - 1, &id)) return false;
        const int32_t narrow = (int32_t)id;
        text_add(ids, (const char *)&narrow, sizeof narrow);
    }
    return true;
}

bool
input_ids(params *p, int32_t value, text *ids, int32_t flags)
{
    text words = {0};
    if (value_type(p, value) == DECAI_JSON_ARRAY) return read_ids(p, value, ids);
    bool good = read_text(p, value, &words) && ids_add(p, value, ids, words.data, words.len, flags);
    text_free(&words);
    return good;
}

/* How many inputs: a string or an array of numbers is one. 0: refused. */
size_t
inputs_count(params *p, const char *name, size_t max, bool *single)
{
    int32_t v = p->input;
    if (v < 0) return (size_t)refuse_value(p, -1, name, "missing");
    size_t n = value_count(p, v);
    int32_t type = value_type(p, v), first = n ? value_type(p, value_at(p, v, 0)) : 0;
    *single = type == DECAI_JSON_STRING || first == DECAI_JSON_NUMBER;
    if (!*single && !read_type(p, v, DECAI_JSON_ARRAY, "a string, an array of strings, token ids or an array of those")) return 0;
    if (!*single && !n) return (size_t)refuse_value(p, v, NULL, "empty");
    if (!*single && n > max) return (size_t)refuse_value(p, v, NULL, "%zu of them, at most %zu", n, max);
    return *single ? 1 : n;
}

static void
choices_read(call *c, params *p)
{
    bool single = false;
    size_t n = inputs_count(p, "prompt", SERVE_CHOICES_MAX, &single), each = (size_t)p->n;
    if (!n) return;
    if (n * each > SERVE_CHOICES_MAX) {
        refuse_value(p, -1, "n", "%zu prompts times %zu, at most %d", n, each, SERVE_CHOICES_MAX);
        return;
    }
    choices_make(c, n * each);
    for (size_t i = 0; i < n; i++) {
        text *ids = &c->choices[i * each].ids;
        if (!input_ids(p, single ? p->input : value_at(p, p->input, i), ids, DECAI_ENCODE_ADD | DECAI_ENCODE_SPECIAL)) return;
        for (size_t k = 1; k < each; k++) text_add(&c->choices[i * each + k].ids, ids->data, ids->len);
    }
    call_run(c, p);
}

void
completions_read(call *c)
{
    params p;
    c->form = &completions_form;
    bool good = params_open(&p, c);
    p.max_tokens = 16;                               /* OpenAI's own default on this route */
    if (good && fields_read(&p, completions_fields, sample_fields)) choices_read(c, &p);
    params_free(&p);
}
