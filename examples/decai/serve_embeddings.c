/* serve_embeddings.c - /v1/embeddings: vectors of texts, of any model.
 *
 * The engine's thread computes them some inputs at a time, so that a long list does
 * not stall the answers of others. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_TOGETHER 2048

/* ---- the engine's thread ------------------------------------------------------------ */

static void
answer(call *c)
{
    const float *v = (const float *)(void *)c->vectors.data;
    size_t inputs = c->lengths.len / sizeof(uint32_t), width = c->vectors.len / sizeof(float) / inputs;
    text *e = &c->event;
    text_reserve(e, 0);
    text_printf(e, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < inputs; i++, v += width) {
        text_printf(e, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
        if (c->base64) {
            text_add(e, "\"", 1);
            base64_add(e, v, width * sizeof *v);
            text_add(e, "\"", 1);
        } else {
            for (size_t k = 0; k < width; k++) {
                text_add(e, k ? "," : "[", 1);
                text_number(e, (double)v[k]);
            }
            text_add(e, "]", 1);
        }
        text_add(e, "}", 1);
    }
    text_printf(e, "],\"model\":");
    text_json(e, c->model->name.data, c->model->name.len);
    text_printf(e, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}\n", (unsigned long long)c->prompt_tokens,
        (unsigned long long)c->prompt_tokens);
    call_measure(c);
    call_write(c, e->data, e->len);
    call_end(c, 200, "application/json");
}

bool
embeddings_step(call *c, decai_engine *engine)
{
    const uint32_t *lengths = (const uint32_t *)(const void *)c->lengths.data;
    const int32_t *ids = (const int32_t *)(const void *)c->ids.data + c->embedded_ids;
    size_t inputs = c->lengths.len / sizeof(uint32_t), n = 0, count = 0, len = 0, at = c->vectors.len;
    while (c->embedded + n < inputs && (!n || count + lengths[c->embedded + n] <= TOKENS_TOGETHER)) count += lengths[c->embedded + n++];
    int32_t r = decai_engine_encode(engine, NULL, 0, &len, ids, count, lengths + c->embedded, n, DECAI_EMBED_NORMALISE);
    if (r == DECAI_E_SPACE) {
        text_reserve(&c->vectors, at + len * sizeof(float));
        r = decai_engine_encode(engine, (float *)(void *)(c->vectors.data + at), len, &len, ids, count, lengths + c->embedded, n,
            DECAI_EMBED_NORMALISE);
    }
    if (r) {
        call_fail(c, r, "input");
        return true;
    }
    c->embedded += n;
    c->embedded_ids += count;
    if (c->embedded < inputs) return false;
    answer(c);
    return true;
}

static const form embeddings_form = {OPERATION_EMBEDDINGS, "embd-", NULL, NULL, NULL, NULL, NULL, NULL};

/* ---- the request ----------------------------------------------------------------------- */

static bool
input(params *p, int32_t v)
{
    p->input = v;
    return true;
}

static bool
encoding_format(params *p, int32_t v)
{
    p->base64 = value_is(p, v, "base64");
    return p->base64 || value_is(p, v, "float") || refuse_value(p, v, NULL, "must be \"float\" or \"base64\"");
}

static const field embeddings_fields[] = {
    {"model", NULL}, {"input", input}, {"encoding_format", encoding_format}, {"user", NULL}, {NULL, NULL}};

static void
inputs_read(call *c, params *p)
{
    server *s = c->s;
    const served *m = c->model;
    bool single = false;
    size_t n = inputs_count(p, "input", SERVE_INPUTS_MAX, &single);
    for (size_t i = 0; i < n; i++) {
        size_t before = c->ids.len;
        int32_t v = single ? p->input : value_at(p, p->input, i);
        if (!input_ids(p, v, &c->ids, DECAI_ENCODE_ADD)) return;
        const uint32_t tokens = (uint32_t)((c->ids.len - before) / sizeof(int32_t));
        if (!tokens || tokens > m->context) {
            refuse_value(p, v, NULL, "%u tokens, must have 1 to %zu", tokens, m->context);
            return;
        }
        text_add(&c->lengths, (const char *)&tokens, sizeof tokens);
        c->prompt_tokens += tokens;
    }
    if (!n) return;
    c->base64 = p->base64;
    choices_make(c, 1);                              /* the engine's queue is one of choices */
    if (!engine_thread_add(m->runner, c)) call_refuse(c, 429, NULL, "queue_full", "too many requests wait: %lld", (long long)s->queue);
}

void
embeddings_read(call *c)
{
    params p;
    c->form = &embeddings_form;
    if (params_open(&p, c) && fields_read(&p, embeddings_fields, NULL)) inputs_read(c, &p);
    params_free(&p);
}
