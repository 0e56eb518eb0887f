/* forward.c - a session's tokens through the graph, batch by batch.
 *
 * The ordinary path is exec.c on the engine's backend. Two turnings:
 *   - the device is lost (DECAI_E_DEVICE): the engine gets a native body, this
 *     session replays its own tokens there (equal bits, so nothing it already
 *     recorded changes) and repeats what failed;
 *   - a fault is due at this token (tests, demos of a cheat): that one token, or
 *     its head, goes through the scalar step, which can change one value; its
 *     cache rows and residual go back to the backend.
 */
#include "infer/engine.h"

#include <string.h>

/* ---- the faulted token --------------------------------------------------------------- */

static bool
fault_in(const decai_session *s, uint64_t position, uint32_t from, uint32_t to)
{
    return s->has_fault && s->fault.position == position && s->fault.op >= from && s->fault.op < to;
}

int32_t
decai__step_read_caches(decai__step *st, decai_session *s)
{
    size_t row = st->p->shape.kv_dim, position = (size_t)st->position;
    int32_t r = 0;

    for (uint32_t i = 0; i < 2 * st->p->shape.layers && !r; i++) {
        size_t first = decai__window_first(position, st->p->window[i / 2]);
        if (first < position)
            r = decai__kv_read(s->kv, i / 2, (int32_t)(i & 1), first, position - first, st->kv[i] + first * row);
    }
    return r;
}

static int32_t
step_body(decai_session *s, bool replay)
{
    const decai__program *p = s->engine->program;
    size_t row = p->shape.kv_dim;
    decai__step st;

    int32_t r = decai__step_make(&st, s->h.context, s->engine->model, p, s->length, true);
    if (r) return r;
    st.token = s->tokens[s->length];
    st.fault = &s->fault;
    r = decai__step_read_caches(&st, s);
    if (!r) r = decai__step_run(&st, 0, p->body);
    for (uint32_t i = 0; i < 2 * p->shape.layers && !r; i++)
        r = decai__kv_write(s->kv, i / 2, (int32_t)(i & 1), s->length, 1, st.kv[i] + s->length * row);
    if (!r) r = decai__tbuf_write(s->last, 0, st.out[p->body - 1], st.len[p->body - 1]);
    if (!r && s->tree && !replay) decai__record_step(s, &st);
    decai__step_free(&st);
    return r;
}

static int32_t
step_head(decai_session *s)
{
    const decai__program *p = s->engine->program;
    decai__step st;

    int32_t r = decai__step_make(&st, s->h.context, s->engine->model, p, s->length - 1, false);
    if (r) return r;
    st.fault = &s->fault;
    r = decai__tbuf_read(s->last, 0, st.out[p->body - 1], st.len[p->body - 1]);
    if (!r) r = decai__step_run(&st, p->body, p->count - 1);
    if (!r) {
        memcpy(s->logits, st.out[p->logits], st.len[p->logits]);
        if (s->tree) decai__record_step_head(s, &st);
    }
    decai__step_free(&st);
    return r;
}

/* ---- ordinary tokens ------------------------------------------------------------------- */

/* The head of every row, a few rows at a time: a vocabulary times a batch would be
 * hundreds of megabytes. What a head writes lies before the rows that are still to
 * come, or elsewhere.
 * infer.logits_all: the head of every row, each into the chain. infer.logprobs: of
 * every row, for the token after it, if it is known yet. */
static int32_t
all_heads(decai_session *s, size_t n)
{
    const decai__program *p = s->engine->program;
    uint32_t vocab = p->shape.vocab;
    uint8_t digest[32];
    int32_t x = s->engine->plan.slot[p->body - 1];

    size_t dim = p->shape.dim, rows;
    int32_t r = 0;

    s->any_logits = false;                            /* their place is used here */
    for (size_t at = 0; at < n && !r; at += rows) {
        rows = DECAI__MIN(n - at, (size_t)DECAI__HEAD_ROWS);
        r = decai__exec_head(s, (decai__ref){ s->body->pass.slot[x], at * dim * 4 }, rows, false);
        if (!r) r = decai__tbuf_read(s->body->pass.scores, 0, s->logits, rows * vocab * 4);
        for (size_t i = 0; i < rows && !r && s->logits_all; i++) {
            decai__logits_digest(digest, s->length + at + i, s->logits + i * vocab, vocab);
            decai__logits_chain(s->chain, digest);
        }
        if (!r && s->logprobs) decai__logprobs(s, s->length + at, rows, s->length + n);
    }
    return r;
}

static int32_t
batch(decai_session *s, size_t n, bool replay)
{
    bool tree = s->tree;
    int32_t r, r0 = 0;

    if (fault_in(s, s->length, 0, s->engine->program->body)) return step_body(s, replay);
    if (replay) s->tree = false;
    if (!s->length) r0 = decai__kv_truncate(s->kv, 0);
    r = r0 ? r0 : decai__exec_body(s, s->tokens + s->length, n);
    if (!r) r = decai__compute_sync(s->body->c);
    s->tree = tree;
    if (!r && tree && !replay) r = decai__record_body(s, n);
    if (!r && (s->logits_all || s->logprobs) && !replay) r = all_heads(s, n);
    return r;
}

/* Rows that can go together: a faulted token goes alone. */
static size_t
together(const decai_session *s, size_t upto)
{
    size_t n = DECAI__MIN(upto - s->length, (size_t)s->engine->batch);

    if (!s->has_fault || s->fault.op >= s->engine->program->body || s->fault.position < s->length) return n;
    if (s->fault.position == s->length) return 1;
    return DECAI__MIN(n, (size_t)(s->fault.position - s->length));
}

/* The device is lost: to the engine's other body, with everything of ours. */
int32_t
decai__session_move(decai_session *s)
{
    size_t length = s->length;

    int32_t r = decai__engine_replace(s->engine, s->body);
    if (r) return r;
    decai__compute_lock(s->body->c);
    decai__session_device_free(s);
    decai__compute_unlock(s->body->c);
    s->body = decai__engine_body(s->engine);
    s->incomplete = true;

    decai__compute_lock(s->body->c);
    s->length = 0;
    r = decai__session_device_make(s);
    while (s->length < length && !r) {
        size_t n = together(s, length);
        r = batch(s, n, true);
        if (!r) s->length += n;
    }
    s->length = length;
    decai__compute_unlock(s->body->c);
    if (r) s->failed = true;
    else s->incomplete = false;
    return r;
}

static int32_t
locked_batch(decai_session *s, size_t n)
{
    uint8_t chain[32];
    int32_t r;

    memcpy(chain, s->chain, 32);
    decai__compute_lock(s->body->c);
    decai__compute_begin(s->body->c);
    r = batch(s, n, false);
    decai__compute_end(s->body->c);
    if (r && r != DECAI_E_DEVICE) (void)decai__compute_sync(s->body->c);   /* a cancelled queue must not run on */
    decai__compute_unlock(s->body->c);
    if (r) memcpy(s->chain, chain, 32);
    return r;
}

int32_t
decai__forward(decai_session *s, size_t upto)
{
    while (s->length < upto) {
        if (atomic_load(&s->cancelled)) return decai__fail(DECAI_E_CANCELLED, "session: cancelled");
        size_t n = together(s, upto);
        int32_t r = locked_batch(s, n);
        if (r == DECAI_E_DEVICE) {
            r = decai__session_move(s);
            if (!r) r = locked_batch(s, n);
        }
        if (r) return r;
        s->length += n;
        s->head = false;
    }
    return 0;
}

/* ---- the head of the last position ------------------------------------------------------- */

static int32_t
head(decai_session *s)
{
    const decai__program *p = s->engine->program;
    uint8_t digest[32];
    bool faulted = fault_in(s, s->length - 1, p->body, p->count - 1);
    int32_t r;

    if (faulted) {
        r = step_head(s);
    } else {
        r = decai__exec_head(s, DECAI__REF(s->last), 1, s->tree);
        if (!r) r = decai__tbuf_read(s->body->pass.scores, 0, s->logits, 4 * (size_t)p->shape.vocab);
    }
    if (r) return r;
    decai__logits_digest(digest, s->length - 1, s->logits, p->shape.vocab);
    if (s->tree && !faulted) r = decai__record_head(s, digest);
    if (!r && !s->logits_all) decai__logits_chain(s->chain, digest);
    return r;
}

static int32_t
locked_head(decai_session *s)
{
    decai__compute_lock(s->body->c);
    decai__compute_begin(s->body->c);
    int32_t r = head(s);
    decai__compute_end(s->body->c);
    decai__compute_unlock(s->body->c);
    return r;
}

int32_t
decai__forward_head(decai_session *s, int32_t *token)
{
    const decai__program *p = s->engine->program;
    int32_t r = locked_head(s);

    if (r == DECAI_E_DEVICE) {
        r = decai__session_move(s);
        if (!r) r = locked_head(s);
    }
    if (!r) r = decai__session_sample(s, s->logits, s->length - 1, token);
    if (r) return r;
    if (fault_in(s, s->length - 1, p->count - 1, p->count))
        *token = decai__fault_token(*token, s->fault.delta, p->shape.vocab);
    s->sampled[s->length - 1] = 1;
    s->head = s->any_logits = true;
    return 0;
}
