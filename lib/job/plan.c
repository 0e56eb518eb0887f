/* plan.c - who gets what when a job closes. Arithmetic only: no store, no clock,
 * no text. The settlement and the audit call the same function, so the audit
 * can recompute from verdicts and split what a past settlement had to be.
 *
 * Per lease                 price                    stake (lock:P)      deposit (bid:P)
 *   accepted   PAY          split by parts           back to stake:P     back to P
 *   rejected   SLASH        stays in the escrow      split by `slash`    to the requester
 *   nothing    MISSED       stays in the escrow      back to stake:P     to the requester
 *   cancelled  RELEASE      stays in the escrow      back to stake:P     back to P
 *
 * Then the verifier's fee, if there was a verdict, and the rest of the escrow
 * to the requester: what comes in equals what goes out, to the last unit.
 *
 * Leftover units of a split go to the largest remainders (Hamilton's method);
 * at most count-1 of them exist, one each.
 */
#include <string.h>

#include "codec/codec.h"
#include "job/job.h"

#define SPLIT_MAX (DECAI_ROYALTY_MAX + 1)

void
decai__order_hex(char out[65], const uint8_t id[32])
{
    decai__hex_encode(out, id, 32);
    out[64] = 0;
}

void
decai__split(decai__u256 *out, const decai__u256 *total, const uint64_t *parts, size_t count)
{
    decai__u256 rest[SPLIT_MAX], left = *total, one = decai__u256_from_u64(1), whole;
    uint64_t sum = 0, units = 0;
    decai__assert(count >= 1 && count <= SPLIT_MAX);
    for (size_t i = 0; i < count; i++) sum += parts[i];
    decai__assert(sum > 0);
    whole = decai__u256_from_u64(sum);
    for (size_t i = 0; i < count; i++) {
        decai__u256 part = decai__u256_from_u64(parts[i]);
        bool ok = decai__u256_mul_div(&out[i], &rest[i], total, &part, &whole);
        ok = ok && decai__u256_sub(&left, &left, &out[i]);
        decai__assert(ok);                       /* part <= sum: the quotient is <= total */
        (void)ok;
    }
    bool small = decai__u256_to_u64(&units, &left);
    decai__assert(small && units < count);       /* a sum of `count` remainders below sum */
    (void)small;
    while (units--) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (decai__u256_cmp(&rest[i], &rest[best]) > 0) best = i;
        decai__u256_add(&out[best], &out[best], &one);
        rest[best] = decai__u256_from_u64(0);
    }
}

/* One accepted lease: its price among provider and royalties. */
static void
pay(decai__moves *m, const decai__order *o, const char *escrow, const decai__outcome_row *row)
{
    decai__u256 share[SPLIT_MAX];
    uint64_t parts[SPLIT_MAX];
    parts[0] = o->provider_parts;
    for (size_t i = 0; i < o->royalty_count; i++) parts[i + 1] = o->royalty[i].parts;
    decai__split(share, &row->price, parts, o->royalty_count + 1);
    decai__moves_add(m, "escrow:", escrow, "", row->provider, &share[0]);
    for (size_t i = 0; i < o->royalty_count; i++)
        decai__moves_add(m, "escrow:", escrow, "", o->royalty[i].account, &share[i + 1]);
}

static void
slash(decai__moves *m, const decai__order *o, const char *provider)
{
    decai__u256 share[3];
    const uint64_t parts[3] = {o->slash_requester, o->slash_verifier, o->slash_burn};
    decai__split(share, &o->stake, parts, 3);
    decai__moves_add(m, "lock:", provider, "", o->requester, &share[0]);
    decai__moves_add(m, "lock:", provider, "", o->verifier, &share[1]);
    decai__moves_add(m, "lock:", provider, "ext:", "burn", &share[2]);
}

int32_t
decai__settle_plan(decai__moves *m, const decai__order *o, const decai__outcome_row *rows, size_t count,
    bool pay_verifier)
{
    char escrow[65];
    decai__u256 left = o->escrow;
    bool covered = true;
    decai__order_hex(escrow, o->id);
    for (size_t i = 0; i < count; i++) {
        const decai__outcome_row *row = &rows[i];
        bool good = row->outcome == DECAI__OUTCOME_PAY || row->outcome == DECAI__OUTCOME_RELEASE;
        if (row->outcome == DECAI__OUTCOME_PAY) {
            covered = covered && decai__u256_sub(&left, &left, &row->price);
            pay(m, o, escrow, row);
        }
        if (row->outcome == DECAI__OUTCOME_SLASH) slash(m, o, row->provider);
        else decai__moves_add(m, "lock:", row->provider, "stake:", row->provider, &o->stake);
        decai__moves_add(m, "bid:", row->provider, "", good ? row->provider : o->requester, &o->bid_deposit);
    }
    if (pay_verifier) {
        covered = covered && decai__u256_sub(&left, &left, &o->verifier_fee);
        decai__moves_add(m, "escrow:", escrow, "", o->verifier, &o->verifier_fee);
    }
    if (!covered) return decai__fail(DECAI_E_INTEGRITY, "settle: order %.16s: prices pass the escrow", escrow);
    decai__moves_add(m, "escrow:", escrow, "", o->requester, &left);
    return m->error;
}
