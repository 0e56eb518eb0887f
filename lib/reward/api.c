/* api.c - the door of room reward. */
#include <string.h>

#include "reward/reward.h"

static int32_t
check_bytes(const char *name, const void *data, size_t len, size_t want)
{
    if (!data) return decai__fail(DECAI_E_INVALID, "%s: NULL", name);
    if (len != want) return decai__fail(DECAI_E_INVALID, "%s: %zu bytes, not %zu", name, len, want);
    return 0;
}

int32_t
decai_work_add(decai_store *store, uint64_t epoch, const char *account, const uint8_t *address,
    size_t address_len, const char *units, const char *key)
{
    int32_t r = check_bytes("address", address, address_len, 20);
    if (r == 0 && !units) r = decai__fail(DECAI_E_INVALID, "units: NULL");
    if (r == 0) r = decai__enter(store, DECAI__STORE);
    if (r) return r;
    r = decai__work_add(store, epoch, account, address, units, key);
    decai__leave(store);
    return r;
}

int32_t
decai_epoch_settle(decai_payout **out, decai_store *store, uint64_t epoch, const char *asset, const char *pot)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    if (!pot) return decai__fail(DECAI_E_INVALID, "pot: NULL");
    int32_t r = decai__enter(store, DECAI__STORE);
    if (r) return r;
    r = decai__epoch_settle(out, store, epoch, asset, pot);
    decai__leave(store);
    return r;
}

int32_t
decai_payout_load(decai_payout **out, decai_store *store, uint64_t epoch)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter(store, DECAI__STORE);
    if (r) return r;
    r = decai__payout_load(out, store, epoch);
    decai__leave(store);
    return r;
}

int32_t
decai_payout_create(decai_payout **out, decai_context *context, const char *pot, const char *rows,
    size_t rows_len)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    if (!pot) return decai__fail(DECAI_E_INVALID, "pot: NULL");
    if (!rows && rows_len) return decai__fail(DECAI_E_INVALID, "rows: NULL with a length of %zu", rows_len);
    if (rows_len > DECAI_PAYOUT_TEXT_MAX)
        return decai__fail(DECAI_E_LIMIT, "rows: %zu bytes, at most %d", rows_len, DECAI_PAYOUT_TEXT_MAX);
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    return r ? r : decai__payout_parse(out, context, pot, rows ? rows : "", rows_len);
}

int32_t
decai_payout_get(decai_payout *payout, uint8_t *root, size_t root_len, uint64_t *count)
{
    if (!count) return decai__fail(DECAI_E_INVALID, "count: NULL");
    *count = 0;
    int32_t r = check_bytes("root", root, root_len, 32);
    if (r == 0) r = decai__enter(payout, DECAI__PAYOUT);
    if (r) return r;
    memcpy(root, decai__oz_tree_root(payout->tree), 32);
    *count = payout->count;
    decai__leave(payout);
    return 0;
}

int32_t
decai_claim_at(decai_payout *payout, char *name, size_t cap, size_t *len, uint8_t *address,
    size_t address_len, uint8_t *amount, size_t amount_len, uint64_t index)
{
    if (!len) return decai__fail(DECAI_E_INVALID, "len: NULL");
    *len = 0;
    if (!name && cap) return decai__fail(DECAI_E_INVALID, "name: NULL with a cap of %zu", cap);
    int32_t r = check_bytes("address", address, address_len, 20);
    if (r == 0) r = check_bytes("amount", amount, amount_len, 32);
    if (r == 0) r = decai__enter(payout, DECAI__PAYOUT);
    if (r) return r;
    memset(address, 0, 20);
    memset(amount, 0, 32);
    if (index < payout->count) {
        const decai__claim *c = &payout->claims[index];
        r = decai__bytes_out((uint8_t *)name, cap, len, c->name, strlen(c->name));
        if (r == 0) {
            memcpy(address, c->address, 20);
            decai__u256_to_be(amount, &c->amount);
            r = 1;
        }
    }
    decai__leave(payout);
    return r;
}

int32_t
decai_claim_prove(decai_payout *payout, uint8_t *out, size_t cap, size_t *len, uint64_t index)
{
    decai__buf b;
    if (!len) return decai__fail(DECAI_E_INVALID, "len: NULL");
    *len = 0;
    if (!out && cap) return decai__fail(DECAI_E_INVALID, "out: NULL with a cap of %zu", cap);
    int32_t r = decai__enter(payout, DECAI__PAYOUT);
    if (r) return r;
    decai__buf_init(&b, payout->h.context, DECAI_CLAIM_PROOF_MAX, "DECAI_CLAIM_PROOF_MAX");
    if (index >= payout->count)
        r = decai__fail(DECAI_E_NOT_FOUND, "index: %llu, the payout has %zu claims", (unsigned long long)index,
                        payout->count);
    if (r == 0) r = decai__oz_tree_prove(payout->tree, &b, (size_t)index);
    if (r == 0) r = decai__bytes_out(out, cap, len, b.data, b.len);
    decai__buf_free(&b);
    decai__leave(payout);
    return r;
}

int32_t
decai_payout_verify(const uint8_t *root, size_t root_len, uint64_t index, const uint8_t *address,
    size_t address_len, const uint8_t *amount, size_t amount_len, const uint8_t *proof, size_t proof_len)
{
    uint8_t leaf[32];
    int32_t r = check_bytes("root", root, root_len, 32);
    if (r == 0) r = check_bytes("address", address, address_len, 20);
    if (r == 0) r = check_bytes("amount", amount, amount_len, 32);
    if (r == 0 && !proof && proof_len) r = decai__fail(DECAI_E_INVALID, "proof: NULL with a length of %zu", proof_len);
    if (r) return r;
    decai__claim_leaf(leaf, index, address, amount);
    return decai__oz_verify(root, leaf, proof, proof_len);
}
