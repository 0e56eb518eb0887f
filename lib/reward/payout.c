/* payout.c - from rows of work to claims that a contract accepts.
 *
 * A leaf is what Solidity writes as
 *
 *     keccak256(bytes.concat(keccak256(abi.encode(index, account, amount))))
 *
 * 96 bytes hashed twice: no inner node of the tree (64 bytes, hashed once) can
 * be passed off as a leaf. Leaves are sorted by hash and pairs by value, as
 * OpenZeppelin's StandardMerkleTree does by default; MerkleProof.verify and
 * Sablier's airdrops read exactly this. The index makes two equal claims of one
 * account two leaves, and is what a claimed-bitmap is indexed by.
 */
#include <string.h>

#include "codec/codec.h"
#include "reward/reward.h"

static void
payout_destroy(void *self)
{
    decai_payout *p = self;
    if (p->tree) decai__oz_tree_free(p->tree);
    decai__free(p->h.context, p->claims);
}

int32_t
decai__payout_new(decai_payout **out, decai_context *ctx, const decai__u256 *pot)
{
    decai_payout *p = decai__handle_create(ctx, DECAI__PAYOUT, sizeof *p, payout_destroy);
    if (!p) return decai__fail(DECAI_E_NOMEM, "payout: no memory for the handle");
    p->pot = *pot;
    *out = p;
    return 0;
}

int32_t
decai__payout_add(decai_payout *p, const char *name, const uint8_t address[20], const decai__u256 *units)
{
    decai_context *ctx = p->h.context;
    if (p->count == DECAI_CLAIMS_MAX)
        return decai__fail(DECAI_E_LIMIT, "rows: more than %d", DECAI_CLAIMS_MAX);
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        decai__claim *c = decai__realloc(ctx, p->claims, p->cap * sizeof *c, cap * sizeof *c);
        if (!c) return decai__fail(DECAI_E_NOMEM, "payout: no memory for claims");
        p->claims = c;
        p->cap = cap;
    }
    decai__claim *c = &p->claims[p->count++];
    *c = (decai__claim){.units = *units};
    size_t n = strlen(name);
    decai__assert(n <= DECAI_NAME_MAX);
    memcpy(c->name, name, n + 1);
    memcpy(c->address, address, 20);
    return 0;
}

/* ---- order ------------------------------------------------------------------- */

static bool
later_name(const void *user, uint32_t a, uint32_t b)
{
    const decai__claim *claims = user;
    return strcmp(claims[a].name, claims[b].name) < 0;
}

static int32_t
sort_claims(decai_payout *p)
{
    decai_context *ctx = p->h.context;
    uint32_t *order = decai__calloc(ctx, p->count, sizeof *order);
    decai__claim *sorted = decai__calloc(ctx, p->count, sizeof *sorted);
    int32_t r = order && sorted ? 0 : decai__fail(DECAI_E_NOMEM, "payout: no memory for %zu claims", p->count);
    if (r) goto done;
    for (size_t i = 0; i < p->count; i++) order[i] = (uint32_t)i;
    decai__share_sort(order, p->count, later_name, p->claims);
    for (size_t i = 0; i < p->count; i++) sorted[i] = p->claims[order[i]];
    for (size_t i = 1; i < p->count && r == 0; i++)
        if (strcmp(sorted[i].name, sorted[i - 1].name) == 0)
            r = decai__fail(DECAI_E_EXISTS, "account: %s is there twice", sorted[i].name);
    memcpy(p->claims, sorted, p->count * sizeof *sorted);
done:
    decai__free(ctx, order);
    decai__free(ctx, sorted);
    return r;
}

/* ---- tree -------------------------------------------------------------------- */

void
decai__claim_leaf(uint8_t out[32], uint64_t index, const uint8_t address[20], const uint8_t amount[32])
{
    uint8_t abi[96];
    decai__abi_word_u64(abi, index);
    decai__abi_word_address(abi + 32, address);
    memcpy(abi + 64, amount, 32);
    decai__oz_leaf(out, abi, sizeof abi);
}

static int32_t
build_tree(decai_payout *p)
{
    decai_context *ctx = p->h.context;
    uint8_t be[32], *leaves = decai__alloc(ctx, p->count * 32);
    if (!leaves) return decai__fail(DECAI_E_NOMEM, "payout: no memory for leaves");
    for (size_t i = 0; i < p->count; i++) {
        decai__u256_to_be(be, &p->claims[i].amount);
        decai__claim_leaf(leaves + 32 * i, i, p->claims[i].address, be);
    }
    int32_t r = decai__oz_tree_create(ctx, &p->tree, leaves, p->count, true);
    decai__free(ctx, leaves);
    return r;
}

int32_t
decai__payout_finish(decai_payout *p)
{
    if (p->count == 0) return decai__fail(DECAI_E_INVALID, "rows: none");
    int32_t r = sort_claims(p);
    if (r == 0) r = decai__share(p->h.context, p->claims, p->count, &p->pot);
    return r ? r : build_tree(p);
}

/* ---- rows as text ---------------------------------------------------------------- */

static int32_t
add_row(decai_payout *p, const decai__json *doc, const decai__json_node *row)
{
    char name[DECAI_NAME_MAX + 1];
    const char *text;
    size_t len;
    uint8_t address[20];
    decai__u256 units;
    int32_t r = decai__json_expect(doc, row, DECAI__JSON_OBJECT);
    if (r == 0) r = decai__json_only(doc, row, "account address units");
    if (r == 0) r = decai__json_get_str(doc, row, "account", &text, &len);
    if (r) return r;
    if (len > DECAI_NAME_MAX) return decai__json_fail(doc, row, DECAI_E_LIMIT, "account: more than 64 bytes");
    memcpy(name, text, len);
    name[len] = 0;
    r = decai__name_check(name, "account");
    if (r == 0) r = decai__json_get_hex(doc, row, "address", address, 20);
    if (r == 0) r = decai__json_get_u256(doc, row, "units", &units);
    return r ? r : decai__payout_add(p, name, address, &units);
}

int32_t
decai__payout_parse(decai_payout **out, decai_context *ctx, const char *pot_text, const char *rows, size_t len)
{
    decai__u256 pot;
    decai__json *doc = NULL;
    decai_payout *p = NULL;
    int32_t r = decai__u256_parse(&pot, pot_text, strlen(pot_text), "pot");
    if (r == 0) r = decai__json_parse(ctx, &doc, rows, len);
    if (r) return r;
    r = decai__json_expect(doc, decai__json_root(doc), DECAI__JSON_ARRAY);
    if (r == 0) r = decai__payout_new(&p, ctx, &pot);
    const decai__json_node *row = r ? NULL : decai__json_first(decai__json_root(doc));
    for (; row && r == 0; row = decai__json_next(row)) r = add_row(p, doc, row);
    if (r == 0) r = decai__payout_finish(p);
    decai__json_free(doc);
    if (r) decai__destroy(p);
    else *out = p;
    return r;
}
