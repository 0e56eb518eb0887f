/* api.c - the door of hash: checks arguments, then calls inside. */
#include <string.h>

#include "hash/internal.h"

struct decai_tree {
    decai__handle h;
    decai__merkle_tree tree;
};

/* A fixed-length argument that is there and has its length. */
static int32_t
check_fixed(const char *name, const void *p, size_t len, size_t want)
{
    if (!p) return decai__fail(DECAI_E_INVALID, "%s: NULL", name);
    if (len != want) return decai__fail(DECAI_E_INVALID, "%s_len: %zu, must be %zu", name, len, want);
    return 0;
}

static int32_t
check_bytes(const char *name, const void *p, size_t len)
{
    return p || !len ? 0 : decai__fail(DECAI_E_INVALID, "%s: NULL with length %zu", name, len);
}

int32_t
decai_hash_keccak256(uint8_t *out, size_t out_len, const uint8_t *data, size_t data_len)
{
    int32_t r = check_fixed("out", out, out_len, 32);
    if (!r) r = check_bytes("data", data, data_len);
    if (!r) decai__keccak256(out, data, data_len);
    return r;
}

int32_t
decai_hash_sha256(
    decai_context *context, uint8_t *out, size_t out_len, const uint8_t *data, size_t data_len)
{
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = check_fixed("out", out, out_len, 32);
    if (!r) r = check_bytes("data", data, data_len);
    if (!r) r = decai__sha256(context, out, data, data_len);
    return r;
}

static void
tree_destroy(void *self)
{
    decai_tree *t = self;
    decai__merkle_tree_free(&t->tree);
}

int32_t
decai_tree_create(decai_tree **out, decai_context *context, const char *domain)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = decai__enter_shared(context, DECAI__CONTEXT);
    if (!r) r = decai__domain_check(domain);
    if (r) return r;
    decai_tree *t = decai__handle_create(context, DECAI__TREE, sizeof *t, tree_destroy);
    if (!t) return decai__fail(DECAI_E_NOMEM, "tree");
    r = decai__merkle_tree_init(&t->tree, context, domain);
    if (r) decai__destroy(t);
    else *out = t;
    return r;
}

int32_t
decai_tree_add(decai_tree *tree, const uint8_t *data, size_t data_len)
{
    int32_t r = decai__enter(tree, DECAI__TREE);
    if (r) return r;
    r = check_bytes("data", data, data_len);
    if (!r) r = decai__merkle_tree_add_leaf_data(&tree->tree, data, data_len);
    decai__leave(tree);
    return r;
}

int32_t
decai_tree_count_get(decai_tree *tree, uint64_t *count)
{
    if (!count) return decai__fail(DECAI_E_INVALID, "count: NULL");
    *count = 0;
    int32_t r = decai__enter(tree, DECAI__TREE);
    if (r) return r;
    *count = tree->tree.count;
    decai__leave(tree);
    return 0;
}

int32_t
decai_tree_root_get(decai_tree *tree, uint8_t *out, size_t out_len, uint64_t count)
{
    int32_t r = check_fixed("out", out, out_len, 32);
    if (r) return r;
    memset(out, 0, 32);
    r = decai__enter(tree, DECAI__TREE);
    if (r) return r;
    r = decai__merkle_tree_root_at(&tree->tree, out, count);
    decai__leave(tree);
    return r;
}

int32_t
decai_tree_prove(
    decai_tree *tree, uint8_t *out, size_t cap, size_t *len, uint64_t index, uint64_t count)
{
    uint8_t proof[DECAI__MERKLE_LEVELS][32];
    size_t n = 0;
    if (!len) return decai__fail(DECAI_E_INVALID, "len: NULL");
    *len = 0;
    int32_t r = check_bytes("out", out, cap);
    if (!r) r = decai__enter(tree, DECAI__TREE);
    if (r) return r;
    r = decai__merkle_tree_prove(&tree->tree, proof, &n, index, count);
    decai__leave(tree);
    return r ? r : decai__bytes_out(out, cap, len, proof, 32 * n);
}

int32_t
decai_tree_verify(
    const char *domain, const uint8_t *root, size_t root_len, uint64_t index, uint64_t count,
    const uint8_t *data, size_t data_len, const uint8_t *proof, size_t proof_len)
{
    uint8_t leaf[32];
    int32_t r = decai__domain_check(domain);
    if (!r) r = check_fixed("root", root, root_len, 32);
    if (!r) r = check_bytes("data", data, data_len);
    if (!r) r = check_bytes("proof", proof, proof_len);
    if (r) return r;
    decai__merkle_leaf(leaf, domain, index, data, data_len);
    return decai__merkle_verify(root, domain, index, count, leaf, proof, proof_len);
}

int32_t
decai_claim_verify(
    const uint8_t *root, size_t root_len, const uint8_t *account, size_t account_len,
    const uint8_t *amount, size_t amount_len, const uint8_t *proof, size_t proof_len)
{
    uint8_t leaf[32];
    int32_t r = check_fixed("root", root, root_len, 32);
    if (!r) r = check_fixed("account", account, account_len, 20);
    if (!r) r = check_fixed("amount", amount, amount_len, 32);
    if (!r) r = check_bytes("proof", proof, proof_len);
    if (r) return r;
    decai__oz_leaf_claim(leaf, account, amount);
    return decai__oz_verify(root, leaf, proof, proof_len);
}
