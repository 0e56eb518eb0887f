/* record.c - commitments: node hashes, token roots, the activation root, the
 * logits' digests and their chain (DESIGN §6).
 *
 *     node hash   native leaf   H(0x00, "decai.act.node.1", node, data)
 *     token root  native root over its node hashes, same domain
 *     activation root  native root (a Merkle mountain range) over leaves
 *                 H(0x00, "decai.act.token.1", position, token root)
 *     digest      H("decai.logits.1", position u64, count u64, f32 little-endian)
 *     chain'      H("decai.logits.chain.1", chain, digest), from 32 zero bytes
 *
 * A position whose logits were sampled has two nodes more (head input, digest).
 * Whether it was is known only when the next token is asked for, so the root of
 * the last position is made twice: without the head, and again with it.
 */
#include "infer/engine.h"

#include <string.h>

void
decai__logits_digest(uint8_t out[32], uint64_t position, const float *logits, uint32_t count)
{
    decai__keccak k;

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_LOGITS);
    decai__hash_u64(&k, position);
    decai__hash_u64(&k, count);
    decai__keccak_update(&k, logits, 4 * (size_t)count);
    decai__keccak_final(&k, out);
}

void
decai__logits_chain(uint8_t chain[32], const uint8_t digest[32])
{
    decai__keccak k;

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_CHAIN);
    decai__keccak_update(&k, chain, 32);
    decai__keccak_update(&k, digest, 32);
    decai__keccak_final(&k, chain);
}

void
decai__act_node_hash(uint8_t out[32], uint32_t node, const void *data, size_t len)
{
    decai__merkle_leaf(out, DECAI__DOMAIN_ACT_NODE, node, data, len);
}

/* The leaf preimage of hash.h, written out because the data lies in several places. */
typedef struct piece { const uint8_t *data; size_t len; } piece;

static void
node_hash_pieces(uint8_t out[32], uint32_t node, const piece *pieces, size_t count)
{
    static const uint8_t leaf = 0x00;
    decai__keccak k;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) len += pieces[i].len;
    decai__keccak_init(&k);
    decai__keccak_update(&k, &leaf, 1);
    decai__hash_domain(&k, DECAI__DOMAIN_ACT_NODE);
    decai__hash_u64(&k, node);
    decai__hash_u64(&k, len);
    for (size_t i = 0; i < count; i++) decai__keccak_update(&k, pieces[i].data, pieces[i].len);
    decai__keccak_final(&k, out);
}

/* Root of `count` leaf hashes. The domain is ours and the count small, so the
 * builder cannot refuse. */
static void
root_of(uint8_t out[32], const char *domain, const uint8_t *hashes, uint64_t count, bool data)
{
    decai__merkle_builder b;
    int32_t r = decai__merkle_builder_init(&b, domain);

    for (uint64_t i = 0; i < count && !r; i++)
        r = data ? decai__merkle_builder_add_leaf_data(&b, hashes + 32 * i, 32)
                 : decai__merkle_builder_add_leaf_hash(&b, hashes + 32 * i);
    decai__assert(!r);
    (void)r;
    decai__merkle_builder_root(&b, out);
}

void
decai__act_token_root(uint8_t out[32], const uint8_t *nodes, uint32_t count)
{
    root_of(out, DECAI__DOMAIN_ACT_NODE, nodes, count, false);
}

void
decai__act_root(uint8_t out[32], const uint8_t *token_roots, uint64_t count)
{
    root_of(out, DECAI__DOMAIN_ACT_TOKEN, token_roots, count, true);
}

/* ---- the nodes of a pass --------------------------------------------------------------- */

/* One QUANT node of row i of n, in the record's layout: form by form, of each all
 * n rows. base: where the node's data of all rows lies. */
static void
hash_node(uint8_t out[32], const decai__op *op, size_t n, size_t i, const uint8_t *base)
{
    piece pieces[DECAI__FORM_COUNT];
    size_t count = 0;

    for (size_t f = 0; f < DECAI__FORM_COUNT; f++) {
        if (!(op->forms & decai__forms[f])) continue;
        int32_t act = decai__form_act(decai__forms[f]);
        size_t len = decai__form_size(decai__forms[f], op->cols), stride = act < 0 ? len : decai__act_stride(act, op->cols);
        pieces[count++] = (piece){ base + i * stride, len };
        base += n * stride;
    }
    node_hash_pieces(out, (uint32_t)op->node, pieces, count);
}

/* A pass's nodes, many side by side: messages of one length share a permutation's
 * width (hash.h), so ops go by the length of what they commit. An item is one op's
 * node of one row: op order[item / count], row rows[item % count]. */
typedef struct record_job {
    const decai_engine *e;
    const uint32_t *order;           /* ordinals of the body's QUANT ops, by committed length */
    const uint32_t *rows;            /* NULL: all */
    const uint8_t *record;           /* where the backend has it, or the copy of a device's */
    uint8_t *nodes;                  /* by row of the pass */
    size_t n, count, items;
} record_job;

#define RUN 64                       /* items that one call of hash_run takes */

static void
order_by_length(const decai__program *p, uint32_t *order)
{
    size_t count = 0;

    for (uint32_t o = 0; o < p->body; o++) {
        if (p->ops[o].kind != DECAI__OP_QUANT) continue;
        size_t at = count++, size = decai__quant_size(&p->ops[o]);
        for (; at && decai__quant_size(&p->ops[order[at - 1]]) > size; at--) order[at] = order[at - 1];
        order[at] = o;
    }
}

static bool
one_form(uint32_t forms)
{
    return (forms & (forms - 1)) == 0;
}

/* Where one form's bytes of row i lie in the record of n rows. */
static const uint8_t *
node_data(const record_job *job, const decai__op *op, size_t i)
{
    size_t stride = op->forms == DECAI__FORM_F32 ? 4 * (size_t)op->cols
        : decai__act_stride(decai__form_act(op->forms), op->cols);
    return job->record + job->n * job->e->plan.node_at[op->node] + i * stride;
}

/* Items from..to-1, each run of one length in one call. */
static void
hash_run(void *user, size_t chunk)
{
    const record_job *job = user;
    const decai__program *p = job->e->program;
    size_t at = chunk * RUN, end = DECAI__MIN(job->items, at + RUN), row = 32 * ((size_t)p->nodes + 2), held = 0;
    uint64_t index[RUN];
    const void *data[RUN];
    uint8_t *to[RUN], made[RUN][32];

    for (; at < end; at++) {
        const decai__op *op = &p->ops[job->order[at / job->count]];
        size_t i = job->rows ? job->rows[at % job->count] : at % job->count, size = decai__quant_size(op);
        uint8_t *out = job->nodes + i * row + 32 * (size_t)op->node;
        if (!one_form(op->forms)) {
            hash_node(out, op, job->n, i, job->record + job->n * job->e->plan.node_at[op->node]);
            continue;
        }
        index[held] = (uint64_t)op->node;
        data[held] = node_data(job, op, i);
        to[held++] = out;
        const decai__op *next = at + 1 < end ? &p->ops[job->order[(at + 1) / job->count]] : NULL;
        if (next && one_form(next->forms) && decai__quant_size(next) == size) continue;
        decai__merkle_leaf_each(made, DECAI__DOMAIN_ACT_NODE, index, data, size, held);
        while (held) held--, memcpy(to[held], made[held], 32);
    }
}

int32_t
decai__record_rows(const decai_engine *e, decai__body *b, size_t n, const uint32_t *rows, size_t count)
{
    const decai__program *p = e->program;
    uint32_t *order = decai__alloc(b->ctx, p->nodes * sizeof *order);
    const uint8_t *lies = decai__tbuf_host(b->pass.record);
    record_job job = { e, order, rows, lies ? lies : b->pass.record_host, b->pass.nodes, n, count, count * p->nodes };

    if (!order) return decai__fail(DECAI_E_NOMEM, "activation tree: %u nodes", p->nodes);
    int32_t r = lies ? decai__compute_sync(b->c)
        : decai__tbuf_read(b->pass.record, 0, b->pass.record_host, n * e->plan.node_at[p->nodes]);
    if (!r) {
        order_by_length(p, order);
        decai__parallel(b->ctx, (job.items + RUN - 1) / RUN, hash_run, &job);
    }
    decai__free(b->ctx, order);
    return r;
}

int32_t
decai__record_heads(const decai_engine *e, decai__body *b, size_t n, uint8_t *const *nodes, const uint8_t (*digests)[32])
{
    const decai__program *p = e->program;
    size_t from = n * e->plan.node_at[p->nodes], bytes = n * (e->plan.record_bytes - e->plan.node_at[p->nodes]);
    const decai__op *quant = &p->ops[p->body + 1];
    const uint8_t *lies = decai__tbuf_host(b->pass.record);
    int32_t r = lies ? decai__compute_sync(b->c) : decai__tbuf_read(b->pass.record, from, b->pass.record_host, bytes);

    if (r) return r;
    decai__assert(quant->kind == DECAI__OP_QUANT && quant->node == (int32_t)p->nodes);
    for (size_t i = 0; i < n; i++) {
        if (!nodes[i]) continue;
        hash_node(nodes[i] + 32 * (size_t)p->nodes, quant, n, i, lies ? lies + from : b->pass.record_host);
        if (digests) decai__act_node_hash(nodes[i] + 32 * ((size_t)p->nodes + 1), p->nodes + 1, digests[i], 32);
    }
    return 0;
}

/* ---- a session's record --------------------------------------------------------------- */

void
decai__record_keep(decai_session *s, size_t position, const uint8_t *nodes, uint32_t count)
{
    size_t row = 32 * ((size_t)s->engine->program->nodes + 2);

    if (nodes != s->last_nodes) memcpy(s->last_nodes, nodes, 32 * (size_t)count);
    if (s->keep_nodes) memcpy(s->nodes + position * row, nodes, 32 * (size_t)count);
    decai__act_token_root(s->roots + 32 * position, nodes, count);
}

static void
root_token(void *user, size_t i)
{
    decai_session *s = user;
    const decai__program *p = s->engine->program;
    decai__act_token_root(s->roots + 32 * (s->length + i), s->body->pass.nodes + i * 32 * ((size_t)p->nodes + 2), p->nodes);
}

int32_t
decai__record_body(decai_session *s, size_t n)
{
    const decai__program *p = s->engine->program;
    size_t row = 32 * ((size_t)p->nodes + 2);
    const uint8_t *nodes = s->body->pass.nodes;
    int32_t r = decai__record_rows(s->engine, s->body, n, NULL, n);

    if (r) return r;
    decai__parallel(s->h.context, n, root_token, s);
    memcpy(s->last_nodes, nodes + (n - 1) * row, 32 * (size_t)p->nodes);
    if (s->keep_nodes) memcpy(s->nodes + s->length * row, nodes, n * row);
    return 0;
}

int32_t
decai__record_head(decai_session *s, const uint8_t digest[32])
{
    uint8_t one[1][32], *nodes = s->last_nodes;

    memcpy(one[0], digest, 32);
    int32_t r = decai__record_heads(s->engine, s->body, 1, &nodes, (const uint8_t (*)[32])one);
    if (!r) decai__record_keep(s, s->length - 1, s->last_nodes, s->engine->program->nodes + 2);
    return r;
}

void
decai__record_step(decai_session *s, const decai__step *st)
{
    decai__step_nodes(st, s->last_nodes, 0, st->p->body);
    decai__record_keep(s, s->length, s->last_nodes, st->p->nodes);
}

void
decai__record_step_head(decai_session *s, const decai__step *st)
{
    decai__step_nodes(st, s->last_nodes, st->p->body, st->p->count);
    decai__record_keep(s, s->length - 1, s->last_nodes, st->p->nodes + 2);
}
