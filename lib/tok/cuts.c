/* cuts.c - what is made of a vocabulary when it is there: where texts can be cut
 * because no token goes on over the place, and the order of scores. */
#include "tok/internal.h"

#define KEY "tokenizer.ggml."

/* ---- cuts ------------------------------------------------------------------------ */

/* Without pre-tokens a text can still be cut between bytes that stand side by
 * side in no token: nothing is ever merged across. */
static void
find_cuts(decai_tokenizer *t)
{
    t->cut_spaces = true;
    for (uint32_t id = 0; id < t->count; id++) {
        const uint8_t *p = t->bytes + t->offset[id];
        size_t n = decai__token_len(t, id);
        if (!t->piece[id] && t->kind[id] != DECAI_TOKEN_USER) continue;
        for (size_t i = 1; i < n; i++) {
            t->pairs[(uint32_t)p[i - 1] << 2 | p[i] >> 6] |= (uint64_t)1 << (p[i] & 63);
            if (p[i] == ' ' && p[i - 1] != ' ') t->cut_spaces = false;
        }
    }
}

/* Where characters meet in pieces, as far as one is beyond ASCII. */
static void
add_joins(decai_tokenizer *t, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len, *next;
    uint32_t left = decai__utf8_next(p, end, &p);
    for (; p < end; p = next) {
        uint32_t right = decai__utf8_next(p, end, &next);
        if (left == DECAI__BAD || right == DECAI__BAD) {
            t->pairs[(uint32_t)p[-1] << 2 | *p >> 6] |= (uint64_t)1 << (*p & 63);
        } else if (left >= 0x80 || right >= 0x80) {
            uint32_t at = decai__join_place(left, right);
            t->join_bits[at >> 6] |= (uint64_t)1 << (at & 63);
        }
        left = right;
    }
}

static int32_t
find_joins(decai_tokenizer *t)
{
    t->join_bits = decai__calloc(t->h.context, (size_t)1 << (64 - DECAI__JOIN_SHIFT - 6), sizeof *t->join_bits);
    if (!t->join_bits) return decai__fail(DECAI_E_NOMEM, KEY "tokens: no memory for where characters meet");
    for (uint32_t id = 0; id < t->count; id++) {
        const uint8_t *p = t->bytes + t->offset[id];
        size_t n = decai__token_len(t, id), i = 0;
        while (i < n && p[i] < 0x80) i++;
        if (t->piece[id] && i < n) add_joins(t, p + (i ? i - 1 : 0), n - (i ? i - 1 : 0));
    }
    return 0;
}

int32_t
decai__cuts_find(decai_tokenizer *t)
{
    if (t->rules.family == DECAI__BPE) return find_joins(t);
    find_cuts(t);
    return 0;
}

/* ---- scores ---------------------------------------------------------------------- */

/* Least first: a score as an integer that falls while the score rises. */
static uint32_t
rank_of_score(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, 4);
    return ~(bits & 0x80000000u ? ~bits : bits | 0x80000000u);
}

static int
by_score(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* SentencePiece merges by score; small numbers in the same order are quicker to compare. */
int32_t
decai__scores_order(decai_tokenizer *t)
{
    uint64_t *key = decai__alloc(t->h.context, t->count * sizeof *key);
    bool sorted = true;
    uint32_t order = 0;
    t->order = decai__alloc(t->h.context, t->count * sizeof *t->order);
    if (key && t->order) {
        for (uint32_t id = 0; id < t->count; id++) {
            key[id] = (uint64_t)rank_of_score(t->score[id]) << 32 | id;
            sorted = sorted && (!id || key[id - 1] < key[id]);
        }
        if (!sorted) decai__sort(key, t->count, sizeof *key, by_score);
        for (uint32_t i = 0; i < t->count; i++) {
            order += i && key[i] >> 32 != key[i - 1] >> 32;
            t->order[(uint32_t)key[i]] = order;
        }
    }
    decai__free(t->h.context, key);
    return key && t->order ? 0 : decai__fail(DECAI_E_NOMEM, KEY "scores: no memory");
}
