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

/* A merge on its way into the table. */
typedef struct pending {
    const uint8_t *text;             /* left, and right behind it */
    size_t left_len, right_len;
    uint32_t rank, hash[3], place;   /* of left, right, both */
    int32_t id[3];
} pending;

#define BATCH 32u

/* The two sides as a file writes them become bytes, in scratch. */
static int32_t
parse_sides(const decai_tokenizer *t, pending *m, const uint8_t *left, size_t left_len, const uint8_t *right, size_t right_len,
    uint8_t *scratch)
{
    uint32_t rank = m->rank;
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
    m->text = scratch;
    m->left_len = left_len;
    m->right_len = right_len;
    return 0;
}

/* "left right", cut at the first space behind the first letter. */
static int32_t
parse_merge(const decai_tokenizer *t, pending *m, const uint8_t *p, size_t len, uint8_t *scratch)
{
    uint32_t rank = m->rank;
    if (len < 3) return bad(rank, "shorter than two tokens and a space");
    if (len > 2 * DECAI_TOKEN_BYTES_MAX + 1)
        return decai__fail(DECAI_E_LIMIT, KEY "[%u]: %zu bytes are above %d", rank, len, 2 * DECAI_TOKEN_BYTES_MAX + 1);
    const uint8_t *space = memchr(p + 1, ' ', len - 1);
    if (!space || space == p + len - 1) return bad(rank, "no space between two tokens");
    return parse_sides(t, m, p, (size_t)(space - p), space + 1, len - (size_t)(space - p) - 1, scratch);
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

static int32_t
insert(decai_tokenizer *t, const pending *m)
{
    int32_t left = m->id[0], right = m->id[1], merged = m->id[2];
    uint32_t i = m->place, steps = 0;
    if (left < 0) return bad(m->rank, "the left side is not a token");
    if (right < 0) return bad(m->rank, "the right side is not a token");
    if (merged < 0) return bad(m->rank, "the result is not a token");
    uint64_t key = (uint64_t)left << 20 | (uint32_t)right;
    for (; t->merge_slots[i] != DECAI__NO_MERGE; i = (i + 1) & t->merge_mask) {
        if (t->merge_slots[i] >> 24 == key) return bad(m->rank, "the same pair again");
        if (++steps > DECAI__PROBE_MAX) return decai__fail(DECAI_E_LIMIT, KEY "[%u]: too many pairs fall together", m->rank);
    }
    t->merge_slots[i] = key << 24 | m->rank;
    t->merges[t->merge_count++] = (decai__merge){ (uint32_t)left, (uint32_t)right, (uint32_t)merged };
    if (m->left_len == 1 && m->right_len == 1 && t->byte_id[m->text[0]] == left && t->byte_id[m->text[1]] == right)
        t->byte_merge[(uint32_t)m->text[0] << 8 | m->text[1]] = m->rank;
    return 0;
}

/* The texts of a merge: left, right, both. */
static const uint8_t *
side(const pending *m, int which, size_t *len)
{
    *len = which == 0 ? m->left_len : which == 1 ? m->right_len : m->left_len + m->right_len;
    return m->text + (which == 1 ? m->left_len : 0);
}

/* Many merges at once, in order of rank: what memory is asked for one is asked for
 * all before the first answer is used. */
static int32_t
insert_batch(decai_tokenizer *t, pending *m, size_t count)
{
    const uint8_t *text;
    size_t len;
    int32_t r = 0;
    for (size_t i = 0; i < 3 * count; i++) {
        text = side(&m[i / 3], (int)(i % 3), &len);
        m[i / 3].hash[i % 3] = decai__hash_bytes(text, len);
        __builtin_prefetch(t->slots + (m[i / 3].hash[i % 3] >> 1 & t->slot_mask));
    }
    for (size_t i = 0; i < 3 * count; i++) {
        m[i / 3].id[i % 3] = decai__token_probe(t, m[i / 3].hash[i % 3]);
        if (m[i / 3].id[i % 3] >= 0) __builtin_prefetch(t->offset + m[i / 3].id[i % 3]);
    }
    for (size_t i = 0; i < 3 * count; i++)
        if (m[i / 3].id[i % 3] >= 0) __builtin_prefetch(t->bytes + t->offset[m[i / 3].id[i % 3]]);
    for (size_t i = 0; i < 3 * count; i++) {
        text = side(&m[i / 3], (int)(i % 3), &len);
        if (m[i / 3].id[i % 3] >= 0) m[i / 3].id[i % 3] = decai__piece_find(t, text, len);
    }
    for (size_t i = 0; i < count; i++) {
        m[i].place = decai__merge_place(t, (uint64_t)(uint32_t)m[i].id[0] << 20 | (uint32_t)m[i].id[1]);
        __builtin_prefetch(t->merge_slots + m[i].place, 1);
    }
    for (size_t i = 0; !r && i < count; i++) r = insert(t, &m[i]);
    return r;
}

/* ---- characters ------------------------------------------------------------------ */

/* The greatest rank of the merges that make these two or three bytes one token,
 * *id; DECAI__NO_RANK: they do not become one. */
static uint32_t
rank_alone(const decai_tokenizer *t, const uint8_t *p, size_t len, int32_t *id)
{
    uint32_t left = t->byte_merge[(uint32_t)p[0] << 8 | p[1]], right = len < 3 ? DECAI__NO_RANK : t->byte_merge[(uint32_t)p[1] << 8 | p[2]];
    uint32_t first = DECAI__MIN(left, right), last = first;
    if (first == DECAI__NO_RANK) return first;
    if (len == 3 && left <= right) last = decai__merge_rank(t, t->merges[left].merged, (uint32_t)t->byte_id[p[2]]);
    else if (len == 3) last = decai__merge_rank(t, (uint32_t)t->byte_id[p[0]], t->merges[right].merged);
    if (last == DECAI__NO_RANK) return last;
    *id = (int32_t)t->merges[last].merged;
    return DECAI__MAX(first, last);
}

/* The code point that is the whole of a token and two or three bytes; DECAI__BAD: none. */
static uint32_t
char_of(const decai_tokenizer *t, uint32_t id)
{
    const uint8_t *p = t->bytes + t->offset[id], *next;
    size_t len = decai__token_len(t, id);
    if (len < 2 || len > 3 || !t->piece[id] || *p < 0xc2) return DECAI__BAD;
    uint32_t c = decai__utf8_next(p, p + len, &next);
    return next == p + len ? c : DECAI__BAD;
}

/* made[id]: one more than the rank by which the character is there. */
static void
find_chars(decai_tokenizer *t, uint32_t *made)
{
    memset(t->char_id, 0xff, 65536 * sizeof *t->char_id);
    for (uint32_t id = 0; id < t->count; id++) {
        uint32_t c = char_of(t, id);
        int32_t alone = -1;
        if (c == DECAI__BAD) continue;
        uint32_t rank = rank_alone(t, t->bytes + t->offset[id], decai__token_len(t, id), &alone);
        if (rank == DECAI__NO_RANK || alone != (int32_t)id) continue;
        t->char_id[c] = alone;
        made[alone] = rank + 1;
    }
    for (uint32_t i = 0; i < t->merge_count; i++) {
        const decai__merge *m = &t->merges[i];
        if (made[m->left] > i) t->char_id[char_of(t, m->left)] = -1;
        if (made[m->right] > i) t->char_id[char_of(t, m->right)] = -1;
    }
}

/* The bytes of a character beyond ASCII are merged before anything around them if
 * no piece holds part of it beside another character (asked where it stands) and
 * every merge with the whole character comes after the one that makes it. Then a
 * piece may begin with characters in place of bytes: half is left to do, or less. */
int32_t
decai__merges_end(decai_tokenizer *t)
{
    decai_context *ctx = t->h.context;
    if (t->rules.family != DECAI__BPE) return 0;
    for (int b = 0; b < 256; b++)
        if (t->byte_id[b] < 0) return 0;
    uint32_t *made = decai__calloc(ctx, t->count, sizeof *made);
    t->char_id = decai__alloc(ctx, 65536 * sizeof *t->char_id);
    if (made && t->char_id) find_chars(t, made);
    decai__free(ctx, made);
    return made && t->char_id ? 0 : decai__fail(DECAI_E_NOMEM, KEY ": no memory for characters");
}

int32_t
decai__merges_parsed(decai_tokenizer *t, uint32_t rank, const uint8_t *left, size_t left_len, const uint8_t *right,
    size_t right_len, uint8_t *scratch)
{
    pending m = { .rank = rank };
    int32_t r = parse_sides(t, &m, left, left_len, right, right_len, scratch);
    return r ? r : insert_batch(t, &m, 1);
}

int32_t
decai__merges_load(decai_tokenizer *t, const decai_model *model)
{
    decai_context *ctx = t->h.context;
    const decai__metadata *array;
    const uint8_t *pos = NULL;
    const char *text;
    pending m[BATCH];
    size_t len, used = 0, n = 0, cap = 8 * (2 * DECAI_TOKEN_BYTES_MAX + 2);
    int32_t r = decai__model_array(model, KEY, DECAI_METADATA_STRING, &array);
    if (r) return r == DECAI_E_NOT_FOUND ? decai__fail(DECAI_E_CORRUPT, KEY ": missing") : r;
    r = decai__merges_begin(t, array->count > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)array->count);
    if (r) return r;
    uint8_t *scratch = decai__alloc(ctx, cap);
    if (!scratch) return decai__fail(DECAI_E_NOMEM, KEY ": no memory for a merge");
    for (uint32_t rank = 0; !r && decai__metadata_next_str(array, &pos, &text, &len); rank++) {
        if (n == BATCH || cap - used < 2 * DECAI_TOKEN_BYTES_MAX + 2) {
            r = insert_batch(t, m, n);
            n = used = 0;
        }
        m[n].rank = rank;
        /* What came before it is inserted first: the first fault is the one that is told. */
        int32_t parsed = r ? r : parse_merge(t, &m[n], (const uint8_t *)text, len, scratch + used);
        if (parsed && !r) {
            r = insert_batch(t, m, n);
            n = 0;
            if (!r) r = parse_merge(t, &m[0], (const uint8_t *)text, len, scratch);
        }
        if (!r) used += m[n].left_len + m[n].right_len, n++;
    }
    if (!r) r = insert_batch(t, m, n);
    if (!r) r = decai__merges_end(t);
    decai__free(ctx, scratch);
    return r;
}
