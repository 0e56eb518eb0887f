/* grammar_lexicon.c - what masks know of a vocabulary, made once and kept by the tokenizer.
 *
 * The first grammar makes it; two that come at once both make it, and one is dropped.
 */
#include "tok/grammar.h"
#include "tok/internal.h"

static size_t
read_texts(decai__order_text *out, const decai_tokenizer *t, size_t *longest)
{
    size_t n = 0;
    *longest = 1;
    for (uint32_t id = 0; id < t->count; id++) {
        uint32_t len = (uint32_t)decai__token_len(t, id);
        *longest = DECAI__MAX(*longest, len);
        if (!len || !decai__tok_is_text(t, (int32_t)id)) continue;
        out[n++] = (decai__order_text){ 0, id, len, t->bytes + t->offset[id] };
    }
    return n;
}

static int32_t
make(decai__lexicon *l, const decai_tokenizer *t)
{
    decai_context *ctx = t->h.context;
    decai__order_text *texts = decai__alloc(ctx, (2 * (size_t)t->count + 1) * sizeof *texts);
    if (!texts) return decai__fail(DECAI_E_NOMEM, "grammar: %u tokens", t->count);
    size_t count = read_texts(texts, t, &l->token_max);
    decai__order_sort(texts, texts + t->count, count);
    int32_t r = decai__order_make(&l->tokens, ctx, texts, count);
    decai__free(ctx, texts);
    return r ? r : decai__body_make(&l->body, ctx, &l->tokens, t->count);
}

void
decai__lexicon_free(decai_context *ctx, decai__lexicon *l)
{
    if (!l) return;
    decai__order_free(ctx, &l->tokens);
    decai__body_free(ctx, &l->body);
    decai__free(ctx, l);
}

int32_t
decai__lexicon_get(const decai__lexicon **out, const decai_tokenizer *t)
{
    _Atomic(decai__lexicon *) *place = &((decai_tokenizer *)(uintptr_t)t)->lexicon;
    *out = atomic_load(place);
    if (*out) return 0;
    decai__lexicon *l = decai__calloc(t->h.context, 1, sizeof *l), *none = NULL;
    int32_t r = l ? make(l, t) : decai__fail(DECAI_E_NOMEM, "grammar: a vocabulary");
    if (r || !atomic_compare_exchange_strong(place, &none, l)) {
        decai__lexicon_free(t->h.context, l);
        l = none;
    }
    *out = l;
    return r;
}
