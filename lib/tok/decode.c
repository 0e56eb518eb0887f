/* decode.c - ids to bytes, and look-ups in the vocabulary.
 *
 * Decoding gives exactly the bytes of each token: normal, user-defined and byte
 * tokens as they are; control, unknown and unused tokens are nothing, or their
 * text with DECAI_DECODE_SPECIAL. The space that encoding put before a text is
 * taken away again, unless DECAI_DECODE_CONTINUE says that this is no beginning. */
#include <string.h>

#include "tok/internal.h"

#define TEXT_KINDS (1u << DECAI_TOKEN_NORMAL | 1u << DECAI_TOKEN_USER | 1u << DECAI_TOKEN_BYTE)

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
    int32_t id = decai__token_find(t, text, len);
    return id < 0 && len == 1 ? t->byte_id[*text] : id;
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

bool
decai__tok_leads(const decai_tokenizer *t)
{
    return t->rules.space_prefix || t->rules.family == DECAI__WPM || (t->rules.family == DECAI__UGM && t->rules.merge_spaces);
}

/* Room for n bytes more and 16 that may be written beyond them. */
static uint8_t *
room(decai__buf *out, size_t n)
{
    if (out->cap - out->len < n + 16) {
        size_t cap = out->cap + out->cap / 2 + n + 4096;
        uint8_t *data = out->max - DECAI__MIN(out->max, out->len) < n ? NULL : decai__realloc(out->ctx, out->data, out->cap, cap);
        if (!data) return NULL;
        out->data = data;
        out->cap = cap;
    }
    return out->data + out->len;
}

int32_t
decai__tok_decode(const decai_tokenizer *t, decai__buf *out, const int32_t *tokens, size_t len, int32_t flags)
{
    bool lead = !(flags & DECAI_DECODE_CONTINUE) && decai__tok_leads(t), special = flags & DECAI_DECODE_SPECIAL;
    for (size_t i = 0; i < len; i++) {
        uint32_t id = (uint32_t)tokens[i];
        if (id >= t->count)
            return decai__fail(DECAI_E_NOT_FOUND, "tokens[%zu]: %d is not in 0..%u", i, tokens[i], t->count - 1);
        if (!special && !(TEXT_KINDS >> t->kind[id] & 1)) continue;
        const uint8_t *bytes = t->bytes + t->offset[id];
        size_t n = decai__token_len(t, id);
        if (lead && TEXT_KINDS >> t->kind[id] & 1) {
            lead = false;
            if (*bytes == ' ') bytes++, n--;
        }
        uint8_t *to = room(out, n);
        if (!to)
            return out->len + n > out->max ? decai__fail(DECAI_E_LIMIT, "decoded text: above %zu bytes", out->max)
                : decai__fail(DECAI_E_NOMEM, "decoded text: no memory for %zu bytes", out->len + n);
        /* Tokens end at least 16 bytes before their memory does; vocab.c. */
        memcpy(to, bytes, 16);
        if (n > 16) memcpy(to + 16, bytes + 16, n - 16);
        out->len += n;
    }
    return 0;
}
