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

int32_t
decai__merges_parsed(decai_tokenizer *t, uint32_t rank, const uint8_t *left, size_t left_len, const uint8_t *right,
    size_t right_len, uint8_t *scratch)
{
    if (!left_len || !right_len) return bad(rank, "a side is empty");
    if (left_len + right_len > 2 * DECAI_TOKEN_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY "[%u]: %zu bytes are above %d", rank, left_len + right_len, 2 * DECAI_TOKEN_BYTES_MAX);
    if (t->rules.family == DECAI__BPE_RAW) {
        left_len = decai__spaces_back(left, left_len, scratch);
        right_len = decai__spaces_back(right, right_len, scratch + left_len);
    } else if (!decai__alphabet_decode(left, left_len, scratch, &left_len)
        || !decai__alphabet_decode(right, right_len, scratch + left_len, &right_len)) {
        return bad(rank, "a letter outside the byte alphabet");
    }
    return decai__merges_add(t, rank, scratch, left_len, right_len);
}

/* "left right", cut at the first space behind the first letter. */
static int32_t
parse_merge(decai_tokenizer *t, uint32_t rank, const uint8_t *p, size_t len, uint8_t *scratch)
{
    if (len < 3) return bad(rank, "shorter than two tokens and a space");
    if (len > 2 * DECAI_TOKEN_BYTES_MAX + 1)
        return decai__fail(DECAI_E_LIMIT, KEY "[%u]: %zu bytes are above %d", rank, len, 2 * DECAI_TOKEN_BYTES_MAX + 1);
    const uint8_t *space = memchr(p + 1, ' ', len - 1);
    if (!space || space == p + len - 1) return bad(rank, "no space between two tokens");
    return decai__merges_parsed(t, rank, p, (size_t)(space - p), space + 1, len - (size_t)(space - p) - 1, scratch);
}

int32_t
decai__merges_begin(decai_tokenizer *t, size_t count)
{
    decai_context *ctx = t->h.context;
    size_t slots = 16;
    if (count > DECAI_MERGE_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY ": %zu are above %d", count, DECAI_MERGE_COUNT_MAX);
    while (slots < count + count / 2) slots *= 2;
    t->merge_count = 0;
    t->merge_mask = (uint32_t)slots - 1;
    t->merges = decai__calloc(ctx, count + 1, sizeof *t->merges);
    t->merge_memory = decai__alloc(ctx, slots * sizeof *t->merge_slots + 64);
    t->byte_merge = decai__alloc(ctx, 65536 * sizeof *t->byte_merge);
    if (!t->merges || !t->merge_memory || !t->byte_merge) return decai__fail(DECAI_E_NOMEM, KEY ": no memory for %zu merges", count);
    t->merge_slots = (uint64_t *)(((uintptr_t)t->merge_memory + 63) & ~(uintptr_t)63);
    memset(t->merge_slots, 0xff, slots * sizeof *t->merge_slots);
    memset(t->byte_merge, 0xff, 65536 * sizeof *t->byte_merge);
    return 0;
}

int32_t
decai__merges_add(decai_tokenizer *t, uint32_t rank, const uint8_t *text, size_t left_len, size_t right_len)
{
    int32_t left = decai__piece_find(t, text, left_len), right = decai__piece_find(t, text + left_len, right_len);
    if (left < 0) return bad(rank, "the left side is not a token");
    if (right < 0) return bad(rank, "the right side is not a token");
    int32_t merged = decai__piece_find(t, text, left_len + right_len);
    if (merged < 0) return bad(rank, "the result is not a token");
    uint64_t key = (uint64_t)left << 20 | (uint32_t)right;
    uint32_t i = decai__merge_place(t, key), steps = 0;
    for (; t->merge_slots[i] != DECAI__NO_MERGE; i = (i + 1) & t->merge_mask) {
        if (t->merge_slots[i] >> 24 == key) return bad(rank, "the same pair again");
        if (++steps > DECAI__PROBE_MAX) return decai__fail(DECAI_E_LIMIT, KEY "[%u]: too many pairs fall together", rank);
    }
    t->merge_slots[i] = key << 24 | rank;
    t->merges[t->merge_count++] = (decai__merge){ (uint32_t)left, (uint32_t)right, (uint32_t)merged };
    if (left_len == 1 && right_len == 1 && t->byte_id[text[0]] == left && t->byte_id[text[1]] == right)
        t->byte_merge[(uint32_t)text[0] << 8 | text[1]] = rank;
    return 0;
}

int32_t
decai__merges_load(decai_tokenizer *t, const decai_model *model)
{
    decai_context *ctx = t->h.context;
    const decai__metadata *array;
    const uint8_t *pos = NULL;
    const char *text;
    size_t len;
    int32_t r = decai__model_array(model, KEY, DECAI_METADATA_STRING, &array);
    if (r) return r == DECAI_E_NOT_FOUND ? decai__fail(DECAI_E_CORRUPT, KEY ": missing") : r;
    r = decai__merges_begin(t, array->count > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)array->count);
    if (r) return r;
    uint8_t *scratch = decai__alloc(ctx, 2 * DECAI_TOKEN_BYTES_MAX + 2);
    if (!scratch) return decai__fail(DECAI_E_NOMEM, KEY ": no memory for a merge");
    for (uint32_t i = 0; !r && decai__metadata_next_str(array, &pos, &text, &len); i++)
        r = parse_merge(t, i, (const uint8_t *)text, len, scratch);
    decai__free(ctx, scratch);
    return r;
}
