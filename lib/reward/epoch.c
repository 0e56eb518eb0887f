/* epoch.c - an epoch's records in the store, and the payout made of them.
 *
 * Rows: `work` (who, where to pay, how many units), then, once, `epoch` (asset,
 * pot, root) and `claim` (who gets what). An epoch is settled in one
 * transaction; from then on it takes no more work, so that anybody who has the
 * file can make the same payout again and compare. Loading does just that.
 */
#include <string.h>

#include "reward/reward.h"

static int32_t
check_epoch(uint64_t epoch)
{
    return epoch <= INT64_MAX ? 0 : decai__fail(DECAI_E_LIMIT, "epoch: %llu is above 2^63-1", (unsigned long long)epoch);
}

/* ---- work -------------------------------------------------------------------------- */

/* One account has one address within an epoch: its units are added up. */
static int32_t
check_work(decai_store *s, uint64_t epoch, const char *account, const uint8_t address[20])
{
    decai__query q;
    uint8_t known[20];
    int32_t r = decai__query_one(&q, s, DECAI__SQL_EPOCH_FIND, "i", (int64_t)epoch);
    if (r < 0) return r;
    if (r == 1) {
        decai__query_done(&q);
        return decai__fail(DECAI_E_STATE, "epoch: %llu is settled", (unsigned long long)epoch);
    }
    r = decai__query_one(&q, s, DECAI__SQL_WORK_ADDRESS, "it", (int64_t)epoch, account);
    if (r != 1) return r;
    r = decai__query_fixed(&q, 0, known, 20);
    decai__query_done(&q);
    if (r == 0 && memcmp(known, address, 20) != 0)
        r = decai__fail(DECAI_E_CONFLICT, "address: %s has another one in epoch %llu", account, (unsigned long long)epoch);
    return r;
}

static void
work_hash(uint8_t out[32], uint64_t epoch, const char *account, const uint8_t address[20], const uint8_t units[32])
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__hash_domain(&k, "decai.work.v1");
    decai__hash_u64(&k, epoch);
    decai__hash_data(&k, account, strlen(account));
    decai__keccak_update(&k, address, 20);
    decai__keccak_update(&k, units, 32);
    decai__keccak_final(&k, out);
}

int32_t
decai__work_add(decai_store *s, uint64_t epoch, const char *account, const uint8_t address[20],
    const char *units_text, const char *key)
{
    decai__effect e;
    decai__u256 units;
    uint8_t be[32], hash[32];
    int32_t r = check_epoch(epoch);
    if (r == 0) r = decai__name_check(account, "account");
    if (r == 0) r = decai__u256_parse(&units, units_text, strlen(units_text), "units");
    if (r) return r == DECAI_E_CORRUPT ? DECAI_E_INVALID : r;
    if (decai__u256_is_zero(&units)) return decai__fail(DECAI_E_INVALID, "units: 0");
    decai__u256_to_be(be, &units);
    work_hash(hash, epoch, account, address, be);

    r = decai__effect_begin(&e, s, key, "work", hash);
    if (r) return r < 0 ? r : 0;
    r = check_work(s, epoch, account, address);
    if (r == 0)
        r = decai__query_run(s, NULL, DECAI__SQL_WORK_ADD, "itabi", (int64_t)epoch, account, address, be, e.time_ms);
    return decai__effect_end(&e, r);
}

/* ---- the payout of an epoch ------------------------------------------------------------ */

static int32_t
work_row(decai_payout *p, const decai__query *q)
{
    char name[DECAI_NAME_MAX + 1];
    uint8_t address[20], be[32];
    int32_t r = decai__query_text(q, 0, name, sizeof name);
    if (r == 0) r = decai__query_fixed(q, 1, address, 20);
    if (r == 0) r = decai__query_fixed(q, 2, be, 32);
    if (r) return r;
    decai__u256 units = decai__u256_from_be(be);
    decai__claim *last = p->count ? &p->claims[p->count - 1] : NULL;
    if (!last || strcmp(last->name, name) != 0) return decai__payout_add(p, name, address, &units);
    if (memcmp(last->address, address, 20) != 0)
        return decai__fail(DECAI_E_INTEGRITY, "work: %s has two addresses", name);
    if (!decai__u256_add(&last->units, &last->units, &units))
        return decai__fail(DECAI_E_LIMIT, "units: of %s sum to more than 2^256-1", name);
    return 0;
}

/* From the work alone, as if the epoch had never been settled. */
static int32_t
make_payout(decai_payout **out, decai_store *s, uint64_t epoch, const decai__u256 *pot)
{
    decai__query q;
    decai_payout *p = NULL;
    int32_t r = decai__payout_new(&p, decai__context_of(s), pot);
    if (r) return r;
    r = decai__query_start(&q, s, DECAI__SQL_WORK_LIST, "i", (int64_t)epoch);
    if (r) goto done;
    while ((r = decai__query_step(&q)) == 1)
        if ((r = work_row(p, &q))) break;
    decai__query_done(&q);
    if (r == 0 && p->count == 0)
        r = decai__fail(DECAI_E_NOT_FOUND, "epoch: %llu has no work", (unsigned long long)epoch);
    if (r == 0) r = decai__payout_finish(p);
done:
    if (r) decai__destroy(p);
    else *out = p;
    return r;
}

static int32_t
write_epoch(decai_store *s, const decai_payout *p, uint64_t epoch, const char *asset)
{
    uint8_t pot[32], units[32], amount[32];
    decai__u256_to_be(pot, &p->pot);
    int32_t r = decai__query_run(s, NULL, DECAI__SQL_EPOCH_ADD, "itbibi", (int64_t)epoch, asset, pot, (int64_t)p->count,
                                 decai__oz_tree_root(p->tree), decai__store_now(s));
    for (size_t i = 0; i < p->count && r == 0; i++) {
        const decai__claim *c = &p->claims[i];
        decai__u256_to_be(units, &c->units);
        decai__u256_to_be(amount, &c->amount);
        r = decai__query_run(s, NULL, DECAI__SQL_CLAIM_ADD, "iitabb", (int64_t)epoch, (int64_t)i, c->name, c->address,
                             units, amount);
    }
    return r;
}

/* ---- checking what is stored -------------------------------------------------------------- */

typedef struct stored { char asset[DECAI_NAME_MAX + 1]; decai__u256 pot; int64_t claims; uint8_t root[32]; } stored;

/* 1 settled | 0 not | error */
static int32_t
find_epoch(decai_store *s, uint64_t epoch, stored *out)
{
    decai__query q;
    uint8_t be[32];
    int32_t r = decai__query_one(&q, s, DECAI__SQL_EPOCH_FIND, "i", (int64_t)epoch);
    if (r != 1) return r;
    r = decai__query_text(&q, 0, out->asset, sizeof out->asset);
    if (r == 0) r = decai__query_fixed(&q, 1, be, 32);
    if (r == 0) r = decai__query_fixed(&q, 3, out->root, 32);
    out->claims = decai__query_i64(&q, 2);
    decai__query_done(&q);
    if (r) return r;
    out->pot = decai__u256_from_be(be);
    return 1;
}

static bool
claim_equals(const decai__query *q, const decai__claim *c, size_t index)
{
    char name[DECAI_NAME_MAX + 1];
    uint8_t address[20], units[32], amount[32], be[32];
    if (decai__query_i64(q, 0) != (int64_t)index || decai__query_text(q, 1, name, sizeof name) ||
        decai__query_fixed(q, 2, address, 20) || decai__query_fixed(q, 3, units, 32) ||
        decai__query_fixed(q, 4, amount, 32))
        return false;
    if (strcmp(name, c->name) != 0 || memcmp(address, c->address, 20) != 0) return false;
    decai__u256_to_be(be, &c->units);
    if (memcmp(be, units, 32) != 0) return false;
    decai__u256_to_be(be, &c->amount);
    return memcmp(be, amount, 32) == 0;
}

static int32_t
compare_claims(decai_store *s, const decai_payout *p, uint64_t epoch, const stored *e)
{
    decai__query q;
    size_t i = 0;
    if (memcmp(e->root, decai__oz_tree_root(p->tree), 32) != 0 || e->claims != (int64_t)p->count)
        return decai__fail(DECAI_E_INTEGRITY, "epoch %llu: its work gives another root", (unsigned long long)epoch);
    int32_t r = decai__query_start(&q, s, DECAI__SQL_CLAIM_LIST, "i", (int64_t)epoch);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        if (i >= p->count || !claim_equals(&q, &p->claims[i], i)) break;
        i++;
    }
    decai__query_done(&q);
    if (r < 0) return r;
    if (r == 1 || i != p->count)
        return decai__fail(DECAI_E_INTEGRITY, "epoch %llu: claim %zu is not what its work gives",
                           (unsigned long long)epoch, i);
    return 0;
}

static int32_t
recheck(decai_payout **out, decai_store *s, uint64_t epoch, const stored *e)
{
    decai_payout *p = NULL;
    int32_t r = make_payout(&p, s, epoch, &e->pot);
    if (r == DECAI_E_NOT_FOUND) r = decai__fail(DECAI_E_INTEGRITY, "epoch %llu: settled, but without work",
                                                (unsigned long long)epoch);
    if (r == 0) r = compare_claims(s, p, epoch, e);
    if (r) decai__destroy(p);
    else *out = p;
    return r;
}

/* ---- doors ------------------------------------------------------------------------------- */

static int32_t
settle_in_tx(decai_payout **out, decai_store *s, uint64_t epoch, const char *asset, const decai__u256 *pot)
{
    stored e;
    int32_t r = find_epoch(s, epoch, &e);
    if (r < 0) return r;
    if (r == 1) {
        if (strcmp(e.asset, asset) != 0 || decai__u256_cmp(&e.pot, pot) != 0)
            return decai__fail(DECAI_E_EXISTS, "epoch: %llu is settled with another %s", (unsigned long long)epoch,
                               strcmp(e.asset, asset) ? "asset" : "pot");
        return recheck(out, s, epoch, &e);
    }
    r = make_payout(out, s, epoch, pot);
    return r ? r : write_epoch(s, *out, epoch, asset);
}

int32_t
decai__epoch_settle(decai_payout **out, decai_store *s, uint64_t epoch, const char *asset, const char *pot_text)
{
    decai__u256 pot;
    decai_payout *p = NULL;
    int32_t r = check_epoch(epoch);
    if (r == 0) r = decai__name_check(asset, "asset");
    if (r == 0) r = decai__u256_parse(&pot, pot_text, strlen(pot_text), "pot");
    if (r == 0) r = decai__tx_begin(s);
    if (r) return r == DECAI_E_CORRUPT ? DECAI_E_INVALID : r;
    r = decai__tx_end(s, settle_in_tx(&p, s, epoch, asset, &pot));
    if (r) decai__destroy(p);
    else *out = p;
    return r;
}

int32_t
decai__payout_load(decai_payout **out, decai_store *s, uint64_t epoch)
{
    stored e;
    decai_payout *p = NULL;
    int32_t r = check_epoch(epoch);
    if (r == 0) r = decai__tx_begin_read(s);
    if (r) return r;
    r = find_epoch(s, epoch, &e);
    if (r == 0) r = decai__fail(DECAI_E_NOT_FOUND, "epoch: %llu is not settled", (unsigned long long)epoch);
    if (r == 1) r = recheck(&p, s, epoch, &e);
    r = decai__tx_end(s, r);
    if (r) decai__destroy(p);
    else *out = p;
    return r;
}
