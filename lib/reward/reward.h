/* reward.h - inside the payout rules. Files:
 *
 *   share.c   a pot in proportion to work, exactly; sorting
 *   payout.c  rows -> shares -> claims -> tree
 *   epoch.c   the same from a store's records, and back again to check
 */
#ifndef DECAI__REWARD_H
#define DECAI__REWARD_H

#include "base/base.h"
#include "decai/reward.h"
#include "hash/hash.h"
#include "num/num.h"
#include "store/store.h"

typedef struct decai__claim {
    char name[DECAI_NAME_MAX + 1];
    uint8_t address[20];
    decai__u256 units, amount;
} decai__claim;

struct decai_payout {
    decai__handle h;
    decai__claim *claims;                        /* ascending by name bytes, names distinct */
    size_t count, cap;
    decai__u256 pot;
    decai__oz_tree *tree;
};

/* ---- share.c ------------------------------------------------------------------ */

/* before(user, a, b): does element a come before b? */
typedef bool (*decai__before_fn)(const void *user, uint32_t a, uint32_t b);
/* Heap sort of a permutation: no recursion, no memory, O(n log n) for any input. */
void decai__share_sort(uint32_t *order, size_t count, decai__before_fn before, const void *user);
/* Fill in the amounts. DECAI_E_INVALID: nobody worked; DECAI_E_LIMIT: the work
 * sums to more than 2^256-1. */
int32_t decai__share(decai_context *ctx, decai__claim *claims, size_t count, const decai__u256 *pot);

/* ---- payout.c ----------------------------------------------------------------- */

int32_t decai__payout_new(decai_payout **out, decai_context *ctx, const decai__u256 *pot);
int32_t decai__payout_add(decai_payout *p, const char *name, const uint8_t address[20], const decai__u256 *units);
/* Sort, refuse doubles, share, build the tree. */
int32_t decai__payout_finish(decai_payout *p);
int32_t decai__payout_parse(decai_payout **out, decai_context *ctx, const char *pot, const char *rows, size_t len);
void decai__claim_leaf(uint8_t out[32], uint64_t index, const uint8_t address[20], const uint8_t amount[32]);

/* ---- epoch.c ------------------------------------------------------------------ */

int32_t decai__work_add(decai_store *s, uint64_t epoch, const char *account, const uint8_t address[20],
    const char *units, const char *key);
int32_t decai__epoch_settle(decai_payout **out, decai_store *s, uint64_t epoch, const char *asset, const char *pot);
int32_t decai__payout_load(decai_payout **out, decai_store *s, uint64_t epoch);

#endif /* DECAI__REWARD_H */
