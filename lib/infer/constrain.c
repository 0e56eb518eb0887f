/* constrain.c - a session's grammar: which tokens a draw may choose from.
 *
 * A draw is a function of the tokens up to its position, so the matcher follows them: it
 * takes back what they do not share with what it has seen and takes what they have more.
 * In a row of draws that is one token each; after guesses that did not come true, or a
 * new answer, it is as many as were wrong. The grammar speaks of the answer alone, which
 * begins behind the tokens that were added last.
 */
#include "infer/engine.h"

#include <string.h>

void
decai__constrain_free(decai__constraint *k, decai_context *ctx)
{
    decai__destroy(k->matcher);
    decai__destroy((void *)(uintptr_t)k->grammar);
    decai__free(ctx, k->mask);
    decai__free(ctx, k->seen);
    *k = (decai__constraint){ 0 };
}

static int32_t
make(decai_session *s, decai__constraint *k, const decai_grammar *grammar)
{
    uint32_t vocab = s->engine->program->shape.vocab;

    int32_t r = decai__matcher_create(&k->matcher, grammar);
    if (r) return r;
    uint32_t tokens = decai__matcher_tokens(k->matcher);
    if (tokens > vocab) return decai__fail(DECAI_E_INVALID, "grammar: %u tokens, the model has %u", tokens, vocab);
    r = decai__retain((void *)(uintptr_t)grammar);
    if (r) return r;
    k->grammar = grammar;
    k->mask = decai__calloc(s->h.context, ((size_t)vocab + 63) / 64, sizeof *k->mask);
    k->seen = decai__alloc(s->h.context, (size_t)s->engine->context * sizeof *k->seen);
    return k->mask && k->seen ? 0 : decai__fail(DECAI_E_NOMEM, "session: a grammar's mask");
}

int32_t
decai__session_grammar_set(decai_session *s, const decai_grammar *grammar)
{
    decai__sampling *g = &s->sampling;
    decai__constraint made = { 0 };
    decai__sample_work *work = NULL;

    if (s->turn) return decai__fail(DECAI_E_STATE, "session: an answer has begun");
    if (grammar && s->ignore_end) return decai__fail(DECAI_E_INVALID, "infer.ignore_end: 1, but a grammar ends its text");
    int32_t r = grammar ? make(s, &made, grammar) : 0;
    if (!r) r = decai__sample_work_create(&work, s->h.context, &s->sampler, s->engine->program->shape.vocab, s->engine->context, grammar != NULL);
    if (r) {
        decai__constrain_free(&made, s->h.context);
        return r;
    }
    decai__constrain_free(&g->constraint, s->h.context);
    decai__sample_work_destroy(g->work);
    g->work = work;
    g->constraint = made;
    return 0;
}

/* The matcher stands behind tokens[0..count-1]. */
static int32_t
follow(decai__constraint *k, const int32_t *tokens, size_t count)
{
    size_t same = 0;
    uint64_t taken = 0;

    while (same < count && same < k->count && tokens[same] == k->seen[same]) same++;
    int32_t r = decai__matcher_remove(k->matcher, k->count - same);
    if (r) return r;
    k->count = same;
    r = decai__matcher_add(k->matcher, &taken, tokens + same, count - same);
    if (taken) memcpy(k->seen + same, tokens + same, (size_t)taken * sizeof *tokens);
    k->count = same + (size_t)taken;
    if (!r && k->count < count)
        return decai__fail(DECAI_E_INTEGRITY, "token %d, number %zu of the answer, is not in the grammar", (int)tokens[k->count], k->count);
    return r;
}

int32_t
decai__constrain(decai_session *s, size_t position, const uint64_t **mask)
{
    decai__constraint *k = &s->sampling.constraint;
    size_t first = s->sampling.first;

    *mask = NULL;
    if (!k->grammar) return 0;
    int32_t r = follow(k, s->tokens + first, position + 1 - first);
    if (!r) r = decai__matcher_mask(k->matcher, k->mask);
    *mask = k->mask;
    return r;
}

bool
decai__constrain_ends(const decai_session *s, int32_t token)
{
    const decai__constraint *k = &s->sampling.constraint;

    return k->grammar && decai__grammar_is_end(k->grammar, token);
}

const decai_grammar *
decai__session_grammar(const decai_session *session)
{
    return session->sampling.constraint.grammar;
}
