/* api.c - the door of infer: arguments are checked here, work is done inside. */
#include "infer/schedule.h"
#include "infer/shelf.h"

#include <string.h>

int32_t
decai_engine_create(decai_engine **out, decai_model *model, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(model, DECAI__MODEL);
    if (!r) r = decai__model_ready(model);
    return r ? r : decai__engine_create(out, model, options);
}

int32_t
decai_engine_create_start(decai_task **task, decai_engine **out, decai_model *model, const decai_options *options)
{
    if (!task || !out) return decai__fail(DECAI_E_INVALID, "task, out: NULL");
    *task = NULL;
    *out = NULL;
    int32_t r = decai__enter_shared(model, DECAI__MODEL);
    if (!r) r = decai__model_ready(model);
    return r ? r : decai__engine_create_start(task, out, model, options);
}

static int32_t
enter_engine(const decai_engine *engine)
{
    int32_t r = decai__enter_shared(engine, DECAI__ENGINE);
    return r ? r : decai__engine_ready(engine);
}

/* Sequences of at least one token and at most a context of them, adding up. */
static int32_t
check_sequences(const decai_engine *engine, const int32_t *tokens, size_t count, const uint32_t *lengths, size_t sequences)
{
    uint32_t vocab = engine->program->shape.vocab;
    size_t sum = 0;

    for (size_t i = 0; i < sequences; i++) {
        if (!lengths[i]) return decai__fail(DECAI_E_INVALID, "lengths[%zu]: 0", i);
        if (lengths[i] > engine->context)
            return decai__fail(DECAI_E_LIMIT, "lengths[%zu]: %u is above infer.context %u", i, lengths[i], engine->context);
        sum += lengths[i];
    }
    if (sum != count) return decai__fail(DECAI_E_INVALID, "lengths: they add up to %zu, count is %zu", sum, count);
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return decai__fail(DECAI_E_INVALID, "tokens[%zu]: %d is outside 0..%u", i, (int)tokens[i], vocab - 1);
    return 0;
}

int32_t
decai_engine_encode(decai_engine *engine, float *out, size_t cap, size_t *len, const int32_t *tokens, size_t count,
    const uint32_t *lengths, size_t sequences, int32_t flags)
{
    size_t need;

    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "len, out: NULL");
    *len = 0;
    if (!tokens || !count || !lengths || !sequences) return decai__fail(DECAI_E_INVALID, "tokens, lengths: none");
    if (flags & ~DECAI_EMBED_NORMALISE) return decai__fail(DECAI_E_INVALID, "flags: %d", (int)flags);
    int32_t r = enter_engine(engine);
    if (r) return r;
    if (!decai__mul_size(&need, sequences, engine->program->shape.dim))
        return decai__fail(DECAI_E_LIMIT, "sequences: %zu", sequences);
    r = check_sequences(engine, tokens, count, lengths, sequences);
    if (!r && cap < need) r = decai__fail(DECAI_E_SPACE, "out: %zu values", need);
    if (r && r != DECAI_E_SPACE) return r;
    *len = need;
    if (!r) r = decai__engine_encode(engine, out, tokens, lengths, sequences, (flags & DECAI_EMBED_NORMALISE) != 0);
    if (r && r != DECAI_E_SPACE) *len = 0;
    return r;
}

int32_t
decai_engine_format(decai_engine *engine, uint8_t *out, size_t cap, size_t *len)
{
    decai__buf text;

    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "len, out: NULL");
    *len = 0;
    int32_t r = enter_engine(engine);
    if (r) return r;
    decai__buf_init(&text, decai__context_of(engine), 65536, "engine description");
    r = decai__engine_format(engine, &text);
    if (!r) r = decai__bytes_out(out, cap, len, text.data, text.len);
    decai__buf_free(&text);
    return r;
}

int32_t
decai_session_create(decai_session **out, decai_engine *engine, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = enter_engine(engine);
    return r ? r : decai__session_create(out, engine, options);
}

int32_t
decai_session_grammar_set(decai_session *session, const decai_grammar *grammar)
{
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    if (grammar) r = decai__enter_shared(grammar, DECAI__GRAMMAR);
    if (!r) r = decai__session_grammar_set(session, grammar);
    decai__leave(session);
    return r;
}

int32_t
decai_session_start(decai_session *session)
{
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    decai__session_start(session);
    decai__leave(session);
    return 0;
}

int32_t
decai_session_add(decai_session *session, const int32_t *tokens, size_t count)
{
    if (!tokens || !count) return decai__fail(DECAI_E_INVALID, "tokens: none");
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    r = decai__session_add(session, tokens, count);
    decai__leave(session);
    return r;
}

int32_t
decai_session_next(decai_session *session, int32_t *token)
{
    if (!token) return decai__fail(DECAI_E_INVALID, "token: NULL");
    *token = 0;
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    r = decai__session_next(session, token);
    decai__leave(session);
    return r;
}

int32_t
decai_session_cancel(decai_session *session)
{
    int32_t r = decai__enter_shared(session, DECAI__SESSION);
    if (!r) atomic_store(&session->cancelled, 1);
    return r;
}

int32_t
decai_session_count(decai_session *session, uint64_t *prompt, uint64_t *generated, uint64_t *prompt_ns,
    uint64_t *generated_ns)
{
    if (!prompt || !generated || !prompt_ns || !generated_ns) return decai__fail(DECAI_E_INVALID, "output: NULL");
    *prompt = *generated = *prompt_ns = *generated_ns = 0;
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    *prompt = session->prompt;
    *generated = session->generated;
    *prompt_ns = session->prompt_ns;
    *generated_ns = session->generated_ns;
    decai__leave(session);
    return 0;
}

static int32_t
out_32(uint8_t *out, size_t out_len)
{
    if (!out || out_len != 32) return decai__fail(DECAI_E_INVALID, "out_len: %zu, must be 32", out_len);
    memset(out, 0, 32);
    return 0;
}

int32_t
decai_session_root_get(decai_session *session, uint8_t *out, size_t out_len)
{
    int32_t r = out_32(out, out_len);
    if (!r) r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    r = decai__session_root(session, out);
    decai__leave(session);
    return r;
}

int32_t
decai_session_hash_get(decai_session *session, uint8_t *out, size_t out_len)
{
    int32_t r = out_32(out, out_len);
    if (!r) r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    memcpy(out, session->chain, 32);
    decai__leave(session);
    return 0;
}

int32_t
decai_session_logits_get(decai_session *session, float *out, size_t cap, size_t *len)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "len, out: NULL");
    *len = 0;
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    size_t vocab = session->engine->program->shape.vocab;
    if (!session->any_logits || session->failed) {
        r = decai__fail(DECAI_E_STATE, "session: no token was sampled yet");
    } else {
        *len = vocab;
        if (cap >= vocab) memcpy(out, session->logits, vocab * sizeof *out);
        else r = decai__fail(DECAI_E_SPACE, "logits: %zu values", vocab);
    }
    decai__leave(session);
    return r;
}

int32_t
decai_session_logprobs_get(decai_session *session, float *out, size_t cap, size_t *len)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "len, out: NULL");
    *len = 0;
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    if (!session->logprobs || session->failed) {
        r = decai__fail(DECAI_E_STATE, session->failed ? "session: an earlier call failed; start again" : "infer.logprobs: 0");
    } else {
        *len = session->length;
        if (cap < session->length) r = decai__fail(DECAI_E_SPACE, "logprobs: %zu values", session->length);
        else if (session->length) memcpy(out, session->logprob, session->length * sizeof *out);
    }
    decai__leave(session);
    return r;
}

static int32_t
top(decai_session *s, int32_t *tokens, float *logprobs, size_t room, size_t *len, uint32_t count)
{
    int32_t ids[DECAI_TOP_MAX + 1];
    float values[DECAI_TOP_MAX + 1];

    if (count > DECAI_TOP_MAX) return decai__fail(DECAI_E_LIMIT, "count: %u is above %d", count, DECAI_TOP_MAX);
    if (!s->any_logits || !s->waiting || s->failed) return decai__fail(DECAI_E_STATE, "session: no token was sampled since tokens were added");
    count = DECAI__MIN(count, s->engine->program->shape.vocab);
    *len = (size_t)count + 1;
    if (room < *len) return decai__fail(DECAI_E_SPACE, "tokens, logprobs: %zu values", *len);
    decai__top(ids, values, s->tokens[s->length], count, s->logits, s->engine->program->shape.vocab);
    memcpy(tokens, ids, *len * sizeof *tokens);
    memcpy(logprobs, values, *len * sizeof *logprobs);
    return 0;
}

int32_t
decai_session_top_get(decai_session *session, int32_t *tokens, size_t tokens_cap, size_t *tokens_len, float *logprobs,
    size_t logprobs_cap, size_t *logprobs_len, uint32_t count)
{
    if (!tokens_len || !logprobs_len || (!tokens && tokens_cap) || (!logprobs && logprobs_cap))
        return decai__fail(DECAI_E_INVALID, "tokens, logprobs: NULL");
    *tokens_len = *logprobs_len = 0;
    int32_t r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    r = top(session, tokens, logprobs, DECAI__MIN(tokens_cap, logprobs_cap), tokens_len, count);
    decai__fpu_leave(&fpu);
    *logprobs_len = *tokens_len;
    decai__leave(session);
    return r;
}

/* ---- scheduler ------------------------------------------------------------------------- */

int32_t
decai_scheduler_create(decai_scheduler **out, decai_engine *engine, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = enter_engine(engine);
    return r ? r : decai__scheduler_create(out, engine, options);
}

int32_t
decai_scheduler_draft_set(decai_scheduler *scheduler, decai_engine *draft)
{
    int32_t r = decai__enter_shared(scheduler, DECAI__SCHEDULER);
    if (!r && draft) r = enter_engine(draft);
    return r ? r : decai__scheduler_draft_set(scheduler, draft);
}

int32_t
decai_scheduler_submit(decai_scheduler *scheduler, decai_session *session, uint64_t request, int32_t priority,
    const int32_t *tokens, size_t count)
{
    if (!tokens || !count) return decai__fail(DECAI_E_INVALID, "tokens: none");
    if (!request) return decai__fail(DECAI_E_INVALID, "request: 0");
    if (priority < -DECAI_PRIORITY_MAX || priority > DECAI_PRIORITY_MAX)
        return decai__fail(DECAI_E_INVALID, "priority: %d is outside -%d..%d", (int)priority, DECAI_PRIORITY_MAX, DECAI_PRIORITY_MAX);
    int32_t r = decai__enter_shared(scheduler, DECAI__SCHEDULER);
    if (!r) r = decai__enter(session, DECAI__SESSION);
    if (r) return r;
    r = decai__scheduler_submit(scheduler, session, request, priority, tokens, count);
    if (r) decai__leave(session);                    /* else the scheduler does, after the last event */
    return r;
}

int32_t
decai_scheduler_next(decai_scheduler *scheduler, int32_t *kind, uint64_t *request, int64_t *value, int64_t *total,
    int64_t timeout_ms)
{
    schedule_event event = { 0 };

    if (!kind || !request || !value || !total) return decai__fail(DECAI_E_INVALID, "output: NULL");
    *kind = 0;
    *request = 0;
    *value = *total = 0;
    if (timeout_ms < -1) return decai__fail(DECAI_E_INVALID, "timeout_ms: %lld", (long long)timeout_ms);
    int32_t r = decai__enter(scheduler, DECAI__SCHEDULER);
    if (r) return r;
    r = decai__scheduler_next(scheduler, &event, timeout_ms);
    decai__leave(scheduler);
    if (r != 1) return r;
    *kind = event.kind;
    *request = event.id;
    *value = event.value;
    *total = event.total;
    return 1;
}

int32_t
decai_scheduler_cancel(decai_scheduler *scheduler, uint64_t request)
{
    int32_t r = decai__enter_shared(scheduler, DECAI__SCHEDULER);
    return r ? r : decai__scheduler_cancel(scheduler, request);
}

int32_t
decai_scheduler_top_get(decai_scheduler *scheduler, int32_t *tokens, size_t tokens_cap, size_t *tokens_len, float *logprobs,
    size_t logprobs_cap, size_t *logprobs_len, uint64_t request, uint32_t count)
{
    if (!tokens_len || !logprobs_len || (!tokens && tokens_cap) || (!logprobs && logprobs_cap))
        return decai__fail(DECAI_E_INVALID, "tokens, logprobs: NULL");
    *tokens_len = *logprobs_len = 0;
    if (count > DECAI_TOP_MAX) return decai__fail(DECAI_E_LIMIT, "count: %u is above %d", count, DECAI_TOP_MAX);
    int32_t r = decai__enter(scheduler, DECAI__SCHEDULER);
    if (r) return r;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    r = decai__scheduler_top(scheduler, tokens, logprobs, DECAI__MIN(tokens_cap, logprobs_cap), tokens_len, request, count);
    decai__fpu_leave(&fpu);
    *logprobs_len = *tokens_len;
    decai__leave(scheduler);
    return r;
}

int32_t
decai_scheduler_format(decai_scheduler *scheduler, uint8_t *out, size_t cap, size_t *len)
{
    decai__buf text;
    int32_t r = decai__door_open(out, cap, len);

    if (!r) r = decai__enter_shared(scheduler, DECAI__SCHEDULER);
    if (r) return r;
    decai__buf_init(&text, decai__context_of(scheduler), (size_t)1 << 26, "scheduler description");
    return decai__door_close(decai__scheduler_format(scheduler, &text), &text, out, cap, len);
}

/* ---- shelf ----------------------------------------------------------------------------- */

int32_t
decai_shelf_create(decai_shelf **out, decai_context *context, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    return r ? r : decai__shelf_create(out, context, options);
}

static int32_t
check_name(const char *name)
{
    size_t len = name ? strnlen(name, DECAI_SHELF_NAME_MAX + 1) : 0;

    if (!len) return decai__fail(DECAI_E_INVALID, "name: none");
    return len <= DECAI_SHELF_NAME_MAX ? 0 : decai__fail(DECAI_E_LIMIT, "name: more than %d bytes", DECAI_SHELF_NAME_MAX);
}

int32_t
decai_shelf_add(decai_shelf *shelf, decai_model *model, const char *name)
{
    int32_t r = check_name(name);

    if (!r) r = decai__enter_shared(shelf, DECAI__SHELF);
    if (!r) r = decai__enter_shared(model, DECAI__MODEL);
    if (!r) r = decai__model_ready(model);
    return r ? r : decai__shelf_add(shelf, name, model);
}

int32_t
decai_shelf_get(decai_shelf *shelf, decai_engine **out, const char *name)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = check_name(name);
    if (!r) r = decai__enter_shared(shelf, DECAI__SHELF);
    return r ? r : decai__shelf_get(shelf, out, name);
}

int32_t
decai_shelf_format(decai_shelf *shelf, uint8_t *out, size_t cap, size_t *len)
{
    decai__buf text;
    int32_t r = decai__door_open(out, cap, len);

    if (!r) r = decai__enter_shared(shelf, DECAI__SHELF);
    if (r) return r;
    decai__buf_init(&text, decai__context_of(shelf), (size_t)1 << 20, "shelf description");
    return decai__door_close(decai__shelf_format(shelf, &text), &text, out, cap, len);
}
