/* merges.c - the table of merges.
 *
 * A merge is "left right" in the byte alphabet (which has no space); its rank is
 * its index. Left, right and what they make together must be tokens of their
 * own, so a table can never name a token that is not there, and since every
 * merge makes something longer, none can run in a circle. A pair that comes
 * twice is refused: readers disagree about which rank would hold. */
#include <string.h>

#include "tok/internal.h"

#define KEY "tokenizer.ggml.merges"

static int32_t
bad(uint32_t index, const char *why)
{
    return decai__fail(DECAI_E_CORRUPT, KEY "[%u]: %s", index, why);
}

/* The piece of text with these bytes. */
static bool
piece(const decai_tokenizer *t, const uint8_t *bytes, size_t len, uint32_t *id)
{
    const decai__token_key *k = decai__token_find(t, bytes, len);
    if (!k || k->other) return false;
    *id = k->id;
    return true;
}

static int32_t
parse_merge(const decai_tokenizer *t, uint32_t rank, const char *text, size_t len, uint8_t *scratch, decai__merge *out)
{
    size_t left, right;
    if (len < 3) return bad(rank, "shorter than two tokens and a space");
    if (len > 2 * DECAI_TOKEN_BYTES_MAX + 1)
        return decai__fail(DECAI_E_LIMIT, KEY "[%u]: %zu bytes are above %d", rank, len, 2 * DECAI_TOKEN_BYTES_MAX + 1);
    const char *space = memchr(text + 1, ' ', len - 1);
    if (!space || space == text + len - 1) return bad(rank, "no space between two tokens");
    size_t first = (size_t)(space - text);
    const uint8_t *p = (const uint8_t *)text;
    if (!decai__alphabet_decode(p, first, scratch, &left)
        || !decai__alphabet_decode(p + first + 1, len - first - 1, scratch + left, &right))
        return bad(rank, "a letter outside the byte alphabet");
    out->rank = rank;
    if (!piece(t, scratch, left, &out->left)) return bad(rank, "the left side is not a token");
    if (!piece(t, scratch + left, right, &out->right)) return bad(rank, "the right side is not a token");
    if (!piece(t, scratch, left + right, &out->merged)) return bad(rank, "the result is not a token");
    return 0;
}

static int
by_pair(const void *a, const void *b)
{
    const decai__merge *x = a, *y = b;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static int32_t
take_merges(decai_tokenizer *t, const decai__metadata *array, uint8_t *scratch)
{
    const uint8_t *pos = NULL;
    const char *text;
    size_t len;
    for (uint32_t i = 0; decai__metadata_next_str(array, &pos, &text, &len); i++) {
        int32_t r = parse_merge(t, i, text, len, scratch, &t->merges[i]);
        if (r) return r;
    }
    decai__sort(t->merges, t->merge_count, sizeof *t->merges, by_pair);
    for (uint32_t i = 1; i < t->merge_count; i++)
        if (!by_pair(&t->merges[i - 1], &t->merges[i]))
            return bad(DECAI__MAX(t->merges[i - 1].rank, t->merges[i].rank), "the same pair again");
    for (uint32_t id = 0, i = 0; id <= t->count; id++) {
        while (i < t->merge_count && t->merges[i].left < id) i++;
        t->merge_first[id] = i;
    }
    return 0;
}

int32_t
decai__merges_load(decai_tokenizer *t, const decai_model *model)
{
    decai_context *ctx = decai__context_of(model);
    const decai__metadata *array;
    int32_t r = decai__model_array(model, KEY, DECAI_METADATA_STRING, &array);
    if (r) return r == DECAI_E_NOT_FOUND ? decai__fail(DECAI_E_CORRUPT, KEY ": missing") : r;
    if (array->count > DECAI_MERGE_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY ": %llu are above %d", (unsigned long long)array->count, DECAI_MERGE_COUNT_MAX);
    t->merge_count = (uint32_t)array->count;
    t->merges = decai__calloc(ctx, t->merge_count, sizeof *t->merges);
    t->merge_first = decai__calloc(ctx, (size_t)t->count + 1, sizeof *t->merge_first);
    uint8_t *scratch = decai__alloc(ctx, 2 * DECAI_TOKEN_BYTES_MAX + 2);
    if (!t->merges || !t->merge_first || !scratch)
        r = decai__fail(DECAI_E_NOMEM, KEY ": no memory for %u merges", t->merge_count);
    else
        r = take_merges(t, array, scratch);
    decai__free(ctx, scratch);
    return r;
}
