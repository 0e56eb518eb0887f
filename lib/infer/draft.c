/* draft.c - guessing what a session says next, from what was said before.
 *
 * Text repeats itself: code that is edited, an answer that quotes its source. The last
 * tokens are looked for earlier on, the longest match wins, of equal ones the latest;
 * what stood behind it is the guess. Guesses are computed as rows behind the waiting
 * token, and a token is drawn at each as it would be anyway: the first draw that is not
 * the guess ends the run. So guesses decide how many tokens a step gives, never which.
 *
 *     source    a b c d e f g h          what is being copied
 *     said      a b c X                  d was guessed, X came: an edit
 *     next      e f g                    X stood for d; or, when it was put in, d e f
 *
 * An edit breaks the match and not the copying: for a while the place where it would go
 * on is remembered, and a short match near it counts for more than a longer one far off.
 *
 * How often a guess comes true is learned by the length of its match, near and far, and
 * from every guess, computed or not. How many are computed: guess.c.
 */
#include "infer/schedule.h"

#include <string.h>

#define MATCH_MOST 32
#define NEAR 24                      /* tokens around the place where copying would go on */
#define NEAR_WORTH 3                 /* a match in there counts as so much longer */
#define COPYING 4                    /* so long a match is taken for copying */
#define FIRST 2                      /* guesses that what is hoped weighs as much as */
#define MEAN 0.1                     /* weight of the newest later on */

/* What is hoped of a token by the length of its match, while nothing is known: 0, 1, 2,
 * 3, 4.., 8.., 16.. Little, so that prose loses nothing; copying is learned in a few steps. */
static const double HOPE[2][DRAFT_KINDS] = {
    { 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8 },            /* anywhere */
    { 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.95 },         /* near the place */
};

static size_t
kind_of(size_t length)
{
    static const uint8_t kinds[] = { 0, 1, 2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5 };
    return length < sizeof kinds ? kinds[length] : DRAFT_KINDS - 1;
}

/* Tokens that end at `end` like the last `count` do. */
static size_t
match_at(const int32_t *tokens, size_t count, size_t end)
{
    size_t n = 0;
    while (n < MATCH_MOST && n < end && tokens[end - 1 - n] == tokens[count - 1 - n]) n++;
    return n;
}

/* What one more guess of a kind tells: much at first. */
static void
see(decai__drafting *d, size_t kind, bool right)
{
    uint8_t *seen = &d->seen[d->near][kind];
    double *p = &d->right[d->near][kind], mean = 1.0 / (FIRST + *seen);

    *p += DECAI__MAX(mean, MEAN) * ((right ? 1.0 : 0.0) - *p);
    if (*seen < UINT8_MAX) ++*seen;
}

/* What became of the last guess. */
static void
learn(decai__drafting *d, const int32_t *tokens, size_t count)
{
    size_t n = 0;

    if (!d->place) return;
    for (bool right = true; right && d->count + n < count; n += right) {
        right = tokens[d->place + n] == tokens[d->count + n];
        see(d, kind_of(d->length + n), right);
    }
    if (d->length + n >= COPYING) {
        d->copied = d->place + n;
        d->copied_count = d->count + n;
    }
}

/* Where the best match ends: d->place, with its length; 0, there is none. */
static void
look(decai__drafting *d, const int32_t *tokens, size_t count)
{
    size_t since = count - d->copied_count, anchor = d->copied && since < NEAR ? d->copied + since : 0, best = 0;

    d->place = d->length = 0;
    d->near = false;
    for (size_t end = count - 1; end > 0; end--) {
        if (tokens[end - 1] != tokens[count - 1]) continue;
        size_t n = match_at(tokens, count, end);
        bool near = anchor && end + NEAR > anchor && end < anchor + NEAR;
        size_t worth = n + (near ? NEAR_WORTH : 0);
        if (worth <= best) continue;
        best = worth;
        d->place = end;
        d->length = n;
        d->near = near;
    }
    if (anchor && anchor < count && since <= 1 && best < NEAR_WORTH) d->place = anchor, d->length = 0, d->near = true;
    d->count = count;
}

size_t
decai__draft(decai__drafting *d, int32_t *draft, double *share, size_t most, const int32_t *tokens, size_t count)
{
    if (!(d->right[1][0] > 0)) memcpy(d->right, HOPE, sizeof HOPE);
    learn(d, tokens, count);
    look(d, tokens, count);
    if (!d->place) return 0;
    for (size_t n = 0; n < most; n++) {              /* a guess may run on into itself: what repeats goes on repeating */
        share[n] = d->right[d->near][kind_of(d->length + n)] * (n ? share[n - 1] : 1);
        draft[n] = d->place + n < count ? tokens[d->place + n] : draft[d->place + n - count];
    }
    return most;
}
