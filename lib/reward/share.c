/* share.c - largest remainder (Hamilton's method) in 256-bit integers.
 *
 *     floor_i = floor(pot * units_i / total)     512 bits in between
 *     rest_i  = pot * units_i mod total
 *
 * Σ rest_i is a multiple of total below count * total, so the units left over,
 * pot - Σ floor_i, are fewer than count: one each to the largest rests, equal
 * rests in the order of the names. The shares sum to the pot by construction;
 * it is checked all the same.
 */
#include "reward/reward.h"

static void
sift(uint32_t *order, size_t root, size_t count, decai__before_fn before, const void *user)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count && before(user, order[child], order[child + 1])) child++;
        if (!before(user, order[root], order[child])) return;
        uint32_t t = order[root];
        order[root] = order[child];
        order[child] = t;
        root = child;
    }
}

void
decai__share_sort(uint32_t *order, size_t count, decai__before_fn before, const void *user)
{
    for (size_t i = count / 2; i-- > 0;) sift(order, i, count, before, user);
    for (size_t end = count; end-- > 1;) {
        uint32_t t = order[0];
        order[0] = order[end];
        order[end] = t;
        sift(order, 0, end, before, user);
    }
}

static bool
larger_rest(const void *user, uint32_t a, uint32_t b)
{
    const decai__u256 *rest = user;
    int c = decai__u256_cmp(&rest[a], &rest[b]);
    return c > 0 || (c == 0 && a < b);           /* claims are sorted by name */
}

static int32_t
floors(decai__claim *claims, size_t count, const decai__u256 *pot, decai__u256 *rest, uint64_t *left)
{
    decai__u256 total = {{0}}, remaining = *pot;
    for (size_t i = 0; i < count; i++)
        if (!decai__u256_add(&total, &total, &claims[i].units))
            return decai__fail(DECAI_E_LIMIT, "units: they sum to more than 2^256-1");
    if (decai__u256_is_zero(&total)) return decai__fail(DECAI_E_INVALID, "units: all are 0");
    for (size_t i = 0; i < count; i++)
        if (!decai__u256_mul_div(&claims[i].amount, &rest[i], pot, &claims[i].units, &total) ||
            !decai__u256_sub(&remaining, &remaining, &claims[i].amount))
            return decai__fail(DECAI_E_INTERNAL, "share: a floor is above the pot");
    if (!decai__u256_to_u64(left, &remaining) || *left >= count)
        return decai__fail(DECAI_E_INTERNAL, "share: too much left over");
    return 0;
}

static int32_t
check_sum(const decai__claim *claims, size_t count, const decai__u256 *pot)
{
    decai__u256 sum = {{0}};
    bool fits = true;
    for (size_t i = 0; i < count; i++) fits = fits && decai__u256_add(&sum, &sum, &claims[i].amount);
    if (!fits || decai__u256_cmp(&sum, pot) != 0)
        return decai__fail(DECAI_E_INTERNAL, "share: the shares do not sum to the pot");
    return 0;
}

int32_t
decai__share(decai_context *ctx, decai__claim *claims, size_t count, const decai__u256 *pot)
{
    const decai__u256 one = decai__u256_from_u64(1);
    uint64_t left = 0;
    if (count == 0) return decai__fail(DECAI_E_INVALID, "rows: none");
    decai__u256 *rest = decai__calloc(ctx, count, sizeof *rest);
    uint32_t *order = decai__calloc(ctx, count, sizeof *order);
    int32_t r = rest && order ? floors(claims, count, pot, rest, &left)
                              : decai__fail(DECAI_E_NOMEM, "share: no memory for %zu rows", count);
    if (r) goto done;
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    if (left) decai__share_sort(order, count, larger_rest, rest);
    for (size_t i = 0; i < left; i++)
        decai__u256_add(&claims[order[i]].amount, &claims[order[i]].amount, &one);
    r = check_sum(claims, count, pot);
done:
    decai__free(ctx, rest);
    decai__free(ctx, order);
    return r;
}
