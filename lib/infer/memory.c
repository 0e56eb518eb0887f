/* memory.c - a session's memory: on the host, and in the backend.
 *
 * The cache makes its pages when they are first written (compute's kv), and the
 * host's arrays grow by doubling up to the engine's context, so a short
 * conversation with a long-context engine stays small. Growing keeps what is
 * there; a failure leaves everything usable. What a pass works in is the backend's
 * (pass.c).
 */
#include "infer/engine.h"

#include <string.h>

static size_t
node_row(const decai_session *s)
{
    return 32 * ((size_t)s->engine->program->nodes + 2);
}

int32_t
decai__session_host_make(decai_session *s)
{
    decai_context *ctx = s->h.context;
    const decai_engine *e = s->engine;
    bool all = s->logits_all || s->logprobs;
    size_t rows = all ? DECAI__MIN(e->batch, (uint32_t)DECAI__HEAD_ROWS) : 1;

    s->logits = decai__alloc(ctx, rows * e->program->shape.vocab * sizeof *s->logits);
    if (s->logprobs) s->previous = decai__alloc(ctx, e->program->shape.vocab * sizeof *s->previous);
    if (s->tree) {
        s->last_nodes = decai__calloc(ctx, 1, node_row(s));
    }
    if (!s->logits || (s->logprobs && !s->previous) || (s->tree && !s->last_nodes))
        return decai__fail(DECAI_E_NOMEM, "session: batch of %u tokens", e->batch);
    return 0;
}

void
decai__session_host_free(decai_session *s)
{
    decai_context *ctx = s->h.context;
    decai__free(ctx, s->tokens);
    decai__free(ctx, s->roots);
    decai__free(ctx, s->nodes);
    decai__free(ctx, s->sampled);
    decai__free(ctx, s->logits);
    decai__free(ctx, s->logprob);
    decai__free(ctx, s->previous);
    decai__free(ctx, s->last_nodes);
}

/* ---- in the backend ------------------------------------------------------------------ */

int32_t
decai__session_device_make(decai_session *s)
{
    const decai_engine *e = s->engine;
    const decai__shape *h = &e->program->shape;
    bool all = s->logits_all || s->logprobs;
    decai__kv_spec kv = { .layers = h->layers, .kv_heads = h->kv_heads, .head_dim = h->head_dim,
        .type = decai__contract_kv_type(e->contract), .capacity = e->context, .batch = e->batch, .window = e->program->window };

    int32_t r = decai__kv_create(&s->kv, s->body->c, &kv);
    if (!r) r = decai__tbuf_create(&s->last, s->body->c, 4 * (size_t)h->dim);
    if (!r) r = decai__pass_reserve(e, s->body, all ? DECAI__MIN(e->batch, (uint32_t)DECAI__HEAD_ROWS) : 1, s->tree);
    return r;
}

void
decai__session_device_free(decai_session *s)
{
    decai__kv_destroy(s->kv);
    decai__tbuf_destroy(s->last);
    s->kv = NULL;
    s->last = NULL;
}

/* ---- both ---------------------------------------------------------------------------- */

/* Widen one array of `size` bytes a token. */
static int32_t
widen(decai_session *s, void *array, size_t size, size_t capacity)
{
    uint8_t *old, *wider;
    size_t bytes;

    memcpy(&old, array, sizeof old);
    if (!decai__mul_size(&bytes, capacity, size)) return decai__fail(DECAI_E_LIMIT, "session: %zu tokens", capacity);
    wider = decai__realloc(s->h.context, old, s->capacity * size, bytes);
    if (!wider) return decai__fail(DECAI_E_NOMEM, "session: %zu tokens", capacity);
    memset(wider + s->capacity * size, 0, bytes - s->capacity * size);
    memcpy(array, &wider, sizeof wider);
    return 0;
}

int32_t
decai__session_reserve(decai_session *s, size_t tokens)
{
    size_t page = DECAI__KV_PAGE;
    size_t most = ((size_t)s->engine->context + page - 1) / page * page;
    size_t capacity = DECAI__MAX(s->capacity * 2, (tokens + page - 1) / page * page);
    int32_t r = 0;

    /* One more than is computed: the sampled token that waits. */
    if (tokens <= s->capacity) return 0;
    capacity = DECAI__MIN(capacity, DECAI__MAX(most, tokens));
    r = widen(s, &s->tokens, sizeof *s->tokens, capacity);
    if (!r) r = widen(s, &s->sampled, 1, capacity);
    if (!r && s->tree) r = widen(s, &s->roots, 32, capacity);
    if (!r && s->keep_nodes) r = widen(s, &s->nodes, node_row(s), capacity);
    if (!r && s->logprobs) r = widen(s, &s->logprob, sizeof *s->logprob, capacity);
    if (!r) s->capacity = capacity;
    return r;
}
