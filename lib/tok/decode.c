/* decode.c - ids to bytes, and look-ups in the vocabulary.
 *
 * Decoding gives exactly the bytes of each token: normal, user-defined and byte
 * tokens as they are; control, unknown and unused tokens are nothing, or their
 * text with DECAI_DECODE_SPECIAL. */
#include <string.h>

#include "tok/internal.h"

const uint8_t *
decai__tok_hash(const decai_tokenizer *t)
{
    return t->hash;
}

uint32_t
decai__tok_count(const decai_tokenizer *t)
{
    return t->count;
}

const uint8_t *
decai__tok_bytes(const decai_tokenizer *t, int32_t token, size_t *len)
{
    *len = 0;
    if (token < 0 || (uint32_t)token >= t->count) return NULL;
    *len = decai__token_len(t, (uint32_t)token);
    return t->bytes + t->offset[token];
}

int32_t
decai__tok_kind(const decai_tokenizer *t, int32_t token)
{
    return token >= 0 && (uint32_t)token < t->count ? t->kind[token] : 0;
}

int32_t
decai__tok_id(const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    const decai__token_key *k = decai__token_find(t, text, len);
    return k ? (int32_t)k->id : -1;
}

int32_t
decai__tok_special(const decai_tokenizer *t, enum decai__special role)
{
    return t->special[role];
}

bool
decai__tok_is_end(const decai_tokenizer *t, int32_t token)
{
    for (uint32_t i = 0; i < t->end_count; i++)
        if (t->end[i] == token) return true;
    return false;
}

bool
decai__tok_is_text(const decai_tokenizer *t, int32_t token)
{
    int32_t kind = decai__tok_kind(t, token);
    return kind == DECAI_TOKEN_NORMAL || kind == DECAI_TOKEN_USER || kind == DECAI_TOKEN_BYTE;
}

int32_t
decai__tok_decode(const decai_tokenizer *t, decai__buf *out, const int32_t *tokens, size_t len, int32_t flags)
{
    int32_t r = 0;
    for (size_t i = 0; !r && i < len; i++) {
        size_t n;
        const uint8_t *bytes = decai__tok_bytes(t, tokens[i], &n);
        if (!bytes)
            return decai__fail(DECAI_E_NOT_FOUND, "tokens[%zu]: %d is not in 0..%u", i, tokens[i], t->count - 1);
        if ((flags & DECAI_DECODE_SPECIAL) || decai__tok_is_text(t, tokens[i])) r = decai__buf_add(out, bytes, n);
    }
    return r;
}
