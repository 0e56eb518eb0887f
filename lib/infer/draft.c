/* draft.c - guessing what a session says next, from what was said before.
 *
 * Text repeats itself: code that is edited, an answer that quotes its source. The last
 * tokens are looked for earlier on, the longest match wins, of equal ones the latest;
 * what stood behind it is the guess. Guesses are computed as rows behind the waiting
 * token, and a token is drawn at each as it would be anyway: the first draw that is not
 * the guess ends the run. So guesses decide how many tokens a step gives, never which.
 *
 * A guess costs a row whether it comes true or not. Its i-th token comes true with
 * about p^i, and is computed while that is more than a row costs.
 */
#include "infer/schedule.h"

#define MATCH_LEAST 2
#define MATCH_LONG 4
#define MATCH_MOST 16
#define RIGHT_FIRST 0.7              /* what is hoped of the first guess */
#define MEAN 0.1
#define AGAIN 16                     /* steps after which a guess is tried that did not pay */

/* Tokens that end at `end` like the last `count` do. */
static size_t
match_at(const int32_t *tokens, size_t count, size_t end)
{
    size_t n = 0;
    while (n < MATCH_MOST && n < end && tokens[end - 1 - n] == tokens[count - 1 - n]) n++;
    return n;
}

/* Where the longest match ends; its length. */
static size_t
longest(const int32_t *tokens, size_t count, size_t *length)
{
    size_t best = 0, at = 0;
    for (size_t end = count - 1; end >= MATCH_LEAST && best < MATCH_MOST; end--) {
        if (tokens[end - 1] != tokens[count - 1]) continue;
        size_t n = match_at(tokens, count, end);
        if (n <= best) continue;
        best = n;
        at = end;
    }
    *length = best;
    return at;
}

size_t
decai__draft(decai__drafting *d, int32_t *draft, size_t most, double cost, const int32_t *tokens, size_t count)
{
    size_t length = 0, n = 0;

    if (!most || count <= MATCH_LEAST) return 0;
    size_t at = longest(tokens, count, &length);
    if (length < MATCH_LEAST) return 0;
    d->kind = length >= MATCH_LONG;
    double p = d->right[d->kind] > 0 ? d->right[d->kind] : RIGHT_FIRST;
    for (double share = p; n < most && share > cost; share *= p) n++;
    if (!n && ++d->since[d->kind] >= AGAIN) n = 1;
    if (n) d->since[d->kind] = 0;
    /* A guess may run on into itself: what repeats goes on repeating. */
    for (size_t i = 0; i < n; i++) draft[i] = at + i < count ? tokens[at + i] : draft[at + i - count];
    return n;
}

void
decai__draft_learn(decai__drafting *d, size_t guessed, size_t right)
{
    double *p = &d->right[d->kind];

    if (!(*p > 0)) *p = RIGHT_FIRST;
    for (size_t i = 0; i < guessed && i <= right; i++) *p += MEAN * ((i < right ? 1.0 : 0.0) - *p);
}
