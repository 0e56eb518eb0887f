/* session.c - a conversation: what is known, what waits, what comes next.
 *
 *     tokens   [ computed 0..length-1 ][ waiting: sampled, not computed ]
 *     head     logits of position length-1 exist and were sampled
 *
 *     call     waiting   does
 *     add      any       computes the waiting token, then the new ones
 *     next     yes       computes it, then the head: samples the next one
 *     next     no        the head of the last position: samples the first one
 *
 * A sampled token is computed only when something follows it; so a run of P
 * prompt and n output tokens computes P + n - 1 positions and samples at the last
 * n of them. After a failure inside a computation the caches are not to be
 * trusted and only a new start helps (`failed`).
 */
#include "infer/engine.h"

#include <string.h>

static void
session_destroy(void *self)
{
    decai_session *s = self;

    if (s->body) {
        decai__compute_lock(s->body->c);
        decai__session_device_free(s);
        decai__compute_unlock(s->body->c);
    }
    decai__session_host_free(s);
    decai__sampling_free(s);
    decai__destroy(s->engine);
}

static int32_t
make(decai_session **out, decai_session *s)
{
    s->body = decai__engine_body(s->engine);
    int32_t r = decai__session_host_make(s);
    if (!r) {
        decai__compute_lock(s->body->c);
        r = decai__session_device_make(s);
        decai__compute_unlock(s->body->c);
    }
    if (r == DECAI_E_DEVICE) r = decai__session_move(s);
    if (r) {
        decai__destroy(s);
        return r;
    }
    *out = s;
    return 0;
}

static decai_session *
blank(decai_engine *engine)
{
    if (engine->program->encoder) {
        decai__fail(DECAI_E_UNSUPPORTED, "session: architecture %s has no next token; decai_engine_encode gives its vectors",
            engine->program->arch);
        return NULL;
    }
    decai_session *s = decai__handle_create(engine->h.context, DECAI__SESSION, sizeof *s, session_destroy);
    if (!s) return NULL;
    decai__retain(engine);
    s->engine = engine;
    atomic_init(&s->cancelled, 0);
    return s;
}

int32_t
decai__session_create(decai_session **out, decai_engine *engine, const decai_options *opts)
{
    int32_t r = decai__opts_check(opts, "infer base");
    if (r) return r;
    decai_session *s = blank(engine);
    if (!s) return engine->program->encoder ? DECAI_E_UNSUPPORTED : DECAI_E_NOMEM;

    r = decai__sampling_make(s, opts);
    if (r) {
        decai__destroy(s);
        return r;
    }
    s->max_tokens = (uint32_t)decai__opt_i64(opts, "infer.max_tokens");
    s->ignore_end = decai__opt_i64(opts, "infer.ignore_end") != 0;
    s->keep_nodes = decai__opt_i64(opts, "infer.activation_nodes") != 0;
    s->tree = s->keep_nodes || decai__opt_i64(opts, "infer.activation_tree") != 0;
    s->logits_all = decai__opt_i64(opts, "infer.logits_all") != 0;
    s->logprobs = decai__opt_i64(opts, "infer.logprobs") != 0;
    return make(out, s);
}

int32_t
decai__session_make(decai_session **out, decai_engine *engine, const decai__fault *fault)
{
    decai_session *s = blank(engine);
    if (!s) return engine->program->encoder ? DECAI_E_UNSUPPORTED : DECAI_E_NOMEM;
    decai__session_fault(s, fault);
    return make(out, s);
}

void
decai__session_start(decai_session *s)
{
    s->failed = s->ended = s->waiting = s->head = s->any_logits = false;
    s->length = 0;
    if (s->kv) (void)decai__kv_truncate(s->kv, 0);
    s->prompt = s->generated = s->turn = s->prompt_ns = s->generated_ns = 0;
    memset(s->chain, 0, sizeof s->chain);
    if (s->capacity) memset(s->sampled, 0, s->capacity);
    atomic_store(&s->cancelled, 0);
}

static int32_t
ready(decai_session *s)
{
    if (atomic_load(&s->cancelled)) return decai__fail(DECAI_E_CANCELLED, "session: cancelled");
    if (s->failed) return decai__fail(DECAI_E_STATE, "session: an earlier call failed; start again");
    if (!s->incomplete) return 0;
    decai__compute_lock(s->body->c);
    decai__session_device_free(s);
    int32_t r = decai__session_device_make(s);
    decai__compute_unlock(s->body->c);
    if (!r) s->incomplete = false;
    return r;
}

int32_t
decai__session_extend(decai_session *s, const int32_t *tokens, size_t count)
{
    size_t have = s->length + s->waiting, context = s->engine->context;
    size_t room = context - DECAI__MIN(have, context);
    uint32_t vocab = s->engine->program->shape.vocab;

    int32_t r = ready(s);
    if (r) return r;
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return decai__fail(DECAI_E_INVALID, "tokens[%zu]: %d is outside 0..%u", i, (int)tokens[i], vocab - 1);
    if (count > room)
        return decai__fail(DECAI_E_LIMIT, "infer.context: %zu tokens and %zu more are above %u", have, count,
            s->engine->context);
    r = decai__session_reserve(s, have + count);
    if (r) return r;

    memcpy(s->tokens + have, tokens, count * sizeof *tokens);
    s->waiting = s->ended = false;
    s->turn = 0;
    s->sampling.first = have + count;
    return 0;
}

static int32_t
add(decai_session *s, const int32_t *tokens, size_t count)
{
    size_t have = s->length + s->waiting;
    int32_t r = decai__session_extend(s, tokens, count);

    if (r) return r;
    r = decai__forward(s, have + count);
    if (r) s->failed = true;
    else s->prompt += count;
    return r;
}

int32_t
decai__session_add(decai_session *s, const int32_t *tokens, size_t count)
{
    decai__fpu fpu;
    int64_t start = decai__clock_mono_ns(s->h.context);

    decai__fpu_enter(&fpu);
    int32_t r = add(s, tokens, count);
    decai__fpu_leave(&fpu);
    s->prompt_ns += (uint64_t)(decai__clock_mono_ns(s->h.context) - start);
    return r;
}

void
decai__session_give(decai_session *s, int32_t token)
{
    const decai__shape *h = &s->engine->program->shape;

    s->tokens[s->length] = token;
    s->waiting = true;
    s->ended = !s->ignore_end && (token == h->eos || token == h->eot || decai__constrain_ends(s, token));
    s->generated++;
    s->turn++;
}

static int32_t
next(decai_session *s, int32_t *token)
{
    int32_t r, sampled = 0;

    if (s->waiting && s->length >= s->engine->context)
        return decai__fail(DECAI_E_LIMIT, "infer.context: %zu tokens, no room for one more", s->length);
    /* Room for the token that this call samples, before anything changes. */
    r = decai__session_reserve(s, s->length + s->waiting + 1);
    if (r) return r;

    if (s->waiting) r = decai__forward(s, s->length + 1);
    if (!r) r = decai__forward_head(s, &sampled);
    if (r) {
        /* A cancelled step left nothing that the record speaks of: a receipt can still be made. */
        s->failed = r != DECAI_E_CANCELLED;
        return r;
    }
    decai__session_give(s, sampled);
    *token = sampled;
    return 1;
}

int32_t
decai__session_next(decai_session *s, int32_t *token)
{
    decai__fpu fpu;
    int32_t r = ready(s);
    if (r) return r;
    if (s->length == 0) return decai__fail(DECAI_E_STATE, "session: no prompt yet");
    if (s->ended || (s->max_tokens && s->turn >= s->max_tokens)) return 0;
    int64_t start = decai__clock_mono_ns(s->h.context);

    decai__fpu_enter(&fpu);
    r = next(s, token);
    decai__fpu_leave(&fpu);
    s->generated_ns += (uint64_t)(decai__clock_mono_ns(s->h.context) - start);
    return r;
}

/* ---- what proof reads ----------------------------------------------------------------- */

int32_t
decai__session_root(const decai_session *s, uint8_t out[32])
{
    if (s->failed) return decai__fail(DECAI_E_STATE, "session: an earlier call failed; start again");
    if (!s->tree) return decai__fail(DECAI_E_STATE, "infer.activation_tree: 0");
    if (!s->length) return decai__fail(DECAI_E_STATE, "session: no token yet");
    decai__act_root(out, s->roots, s->length);
    return 0;
}

int32_t
decai__session_record(decai__record *out, const decai_session *s)
{
    if (!s->generated) return decai__fail(DECAI_E_STATE, "session: no token was produced yet");
    if (s->turn != s->generated)
        return decai__fail(DECAI_E_STATE, "session: tokens were added after %llu were produced; a record is of one turn",
            (unsigned long long)(s->generated - s->turn));
    if (s->logits_all) return decai__fail(DECAI_E_STATE, "infer.logits_all: 1, so the hash is not that of the sampled positions");
    if (s->ignore_end) return decai__fail(DECAI_E_STATE, "infer.ignore_end: 1, so a replay would stop where this went on");
    *out = (decai__record){.tokens = s->tokens, .prompt = (size_t)s->prompt, .generated = (size_t)s->generated};
    memcpy(out->hash, s->chain, 32);
    int32_t r = decai__session_root(s, out->root);
    decai__assert(r || s->prompt + s->generated == s->length + s->waiting);
    return r;
}

const decai__sampler *decai__session_sampler(const decai_session *session) { return &session->sampler; }
uint32_t decai__session_max_tokens(const decai_session *session) { return session->max_tokens; }
decai_engine *decai__session_engine(const decai_session *session) { return session->engine; }
size_t decai__session_length(const decai_session *session) { return session->length; }

void
decai__session_tokens(const decai_session *session, const int32_t **tokens, size_t *count)
{
    *tokens = session->tokens;
    *count = session->length + session->waiting;
}

const uint8_t *
decai__session_token_roots(const decai_session *session)
{
    return session->tree ? session->roots : NULL;
}

bool
decai__session_sampled(const decai_session *session, size_t position)
{
    decai__assert(position < session->length);
    return session->sampled[position] != 0;
}

const uint8_t *
decai__session_nodes(const decai_session *session, size_t position, uint32_t *count)
{
    uint32_t nodes = session->engine->program->nodes;

    decai__assert(position < session->length);
    *count = nodes + (session->sampled[position] ? 2 : 0);
    return session->keep_nodes ? session->nodes + position * 32 * ((size_t)nodes + 2) : NULL;
}

int32_t
decai__session_force(decai_session *session, int32_t token)
{
    const decai__shape *h = &session->engine->program->shape;

    if (!session->waiting) return decai__fail(DECAI_E_STATE, "session: no sampled token waits");
    if (token < 0 || (uint32_t)token >= h->vocab)
        return decai__fail(DECAI_E_INVALID, "token: %d is outside 0..%u", (int)token, h->vocab - 1);
    session->tokens[session->length] = token;
    session->ended = !session->ignore_end && (token == h->eos || token == h->eot || decai__constrain_ends(session, token));
    return 0;
}

void
decai__session_fault(decai_session *session, const decai__fault *fault)
{
    session->has_fault = fault != NULL;
    if (fault) session->fault = *fault;
}
