/* memory.c - a session's memory: on the host, and in the backend.
 *
 * The cache grows in whole pages of DECAI__KV_PAGE tokens, doubling up to the
 * engine's context, so a short conversation with a long-context engine stays
 * small. Growing keeps what is there; a failure leaves everything usable.
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
    size_t rows = s->logits_all ? e->batch : 1;

    s->logits = decai__alloc(ctx, rows * e->program->shape.vocab * sizeof *s->logits);
    if (s->tree) {
        s->record_host = decai__alloc(ctx, e->batch * e->plan.record_bytes);
        s->batch_nodes = decai__calloc(ctx, e->batch, node_row(s));
        s->last_nodes = decai__calloc(ctx, 1, node_row(s));
    }
    if (!s->logits || (s->tree && (!s->record_host || !s->batch_nodes || !s->last_nodes)))
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
    decai__free(ctx, s->record_host);
    decai__free(ctx, s->batch_nodes);
    decai__free(ctx, s->last_nodes);
}

/* ---- in the backend ------------------------------------------------------------------ */

static int32_t
grow_cache(decai_session *s, size_t capacity)
{
    size_t row = 4 * (size_t)s->engine->program->shape.kv_dim;
    size_t count = 2 * (size_t)s->engine->program->shape.layers;

    for (size_t i = 0; i < count; i++) {
        decai__tbuf *wider = NULL, *old = s->kv[i];
        if (old && decai__tbuf_size(old) >= capacity * row) continue;
        int32_t r = decai__tbuf_create(&wider, s->body->c, capacity * row);
        if (!r && old && s->length) r = decai__tbuf_copy(wider, 0, old, 0, s->length * row);
        if (!r && old) r = decai__compute_sync(s->body->c);
        if (r) {
            decai__tbuf_destroy(wider);
            return r;
        }
        decai__tbuf_destroy(old);
        s->kv[i] = wider;
    }
    return 0;
}

int32_t
decai__session_device_make(decai_session *s)
{
    const decai_engine *e = s->engine;
    const decai__shape *h = &e->program->shape;
    decai_context *ctx = s->h.context;
    size_t batch = e->batch;
    int32_t r = 0;

    s->kv = decai__calloc(ctx, 2 * (size_t)h->layers, sizeof(decai__tbuf *));
    s->slot = decai__calloc(ctx, e->plan.slots, sizeof(decai__tbuf *));
    if (!s->kv || !s->slot) return decai__fail(DECAI_E_NOMEM, "session: %u layers", h->layers);
    for (uint32_t i = 0; i < e->plan.slots && !r; i++)
        r = decai__tbuf_create(&s->slot[i], s->body->c, batch * e->plan.slot_bytes[i]);
    if (!r) r = decai__tbuf_create(&s->last, s->body->c, 4 * (size_t)h->dim);
    if (!r) r = decai__tbuf_create(&s->scores, s->body->c, (s->logits_all ? batch : 1) * 4 * (size_t)h->vocab);
    if (!r && s->tree) r = decai__tbuf_create(&s->record, s->body->c, batch * e->plan.record_bytes);
    if (!r && s->capacity) r = grow_cache(s, s->capacity);
    return r;
}

void
decai__session_device_free(decai_session *s)
{
    const decai_engine *e = s->engine;
    for (uint32_t i = 0; s->kv && i < 2 * e->program->shape.layers; i++) decai__tbuf_destroy(s->kv[i]);
    for (uint32_t i = 0; s->slot && i < e->plan.slots; i++) decai__tbuf_destroy(s->slot[i]);
    decai__tbuf_destroy(s->last);
    decai__tbuf_destroy(s->scores);
    decai__tbuf_destroy(s->record);
    decai__free(s->h.context, s->kv);
    decai__free(s->h.context, s->slot);
    s->kv = s->slot = NULL;
    s->last = s->scores = s->record = NULL;
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

static int32_t
locked_grow(decai_session *s, size_t capacity)
{
    decai__compute_lock(s->body->c);
    int32_t r = grow_cache(s, capacity);
    decai__compute_unlock(s->body->c);
    return r;
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
    if (!r) r = locked_grow(s, capacity);
    if (r == DECAI_E_DEVICE) {
        r = decai__session_move(s);
        if (!r) r = locked_grow(s, capacity);
    }
    if (!r) s->capacity = capacity;
    return r;
}
