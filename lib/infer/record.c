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

/* ---- a session's record --------------------------------------------------------------- */

/* Node hashes of position `at` are in `nodes`: keep them, make the root. */
static void
keep(decai_session *s, size_t at, const uint8_t *nodes, uint32_t count)
{
    size_t row = 32 * ((size_t)s->engine->program->nodes + 2);

    if (nodes != s->last_nodes) memcpy(s->last_nodes, nodes, 32 * (size_t)count);
    if (s->keep_nodes) memcpy(s->nodes + at * row, nodes, 32 * (size_t)count);
    decai__act_token_root(s->roots + 32 * at, nodes, count);
}

/* One QUANT node of token i of n, in the record's layout: the leaf preimage of
 * hash.h, written out because a node's forms lie in several places. */
static void
hash_node(const decai_session *s, uint8_t out[32], const decai__op *op, size_t n, size_t i, const uint8_t *record,
    size_t from)
{
    static const uint8_t leaf = 0x00;
    const uint8_t *at = record + (n * s->engine->plan.node_at[op->node] - from);
    decai__keccak k;
    uint32_t form;

    decai__keccak_init(&k);
    decai__keccak_update(&k, &leaf, 1);
    decai__hash_domain(&k, DECAI__DOMAIN_ACT_NODE);
    decai__hash_u64(&k, (uint64_t)op->node);
    decai__hash_u64(&k, decai__quant_size(op));
    for (int j = 0; (form = decai__form_at(op->forms, j)); j++) {
        size_t size = decai__form_size(form, op->cols);
        size_t stride = form == DECAI__FORM_F32 ? size : decai__act_stride(decai__act_of_form(form), op->cols);
        decai__keccak_update(&k, at + i * stride, size);
        at += n * stride;
    }
    decai__keccak_final(&k, out);
}

typedef struct record_job { decai_session *s; size_t n; } record_job;

static void
hash_token(void *user, size_t i)
{
    const record_job *job = user;
    decai_session *s = job->s;
    const decai__program *p = s->engine->program;
    uint8_t *nodes = s->batch_nodes + i * 32 * ((size_t)p->nodes + 2);

    for (uint32_t o = 0; o < p->body; o++)
        if (p->ops[o].kind == DECAI__OP_QUANT)
            hash_node(s, nodes + 32 * (size_t)p->ops[o].node, &p->ops[o], job->n, i, s->record_host, 0);
}

int32_t
decai__record_body(decai_session *s, size_t n)
{
    const decai__program *p = s->engine->program;
    record_job job = { s, n };
    int32_t r = decai__tbuf_read(s->record, 0, s->record_host, n * s->engine->plan.node_at[p->nodes]);

    if (r) return r;
    decai__parallel(s->h.context, n, hash_token, &job);
    for (size_t i = 0; i < n; i++)
        keep(s, s->length + i, s->batch_nodes + i * 32 * ((size_t)p->nodes + 2), p->nodes);
    return 0;
}

int32_t
decai__record_head(decai_session *s, const uint8_t digest[32])
{
    const decai__program *p = s->engine->program;
    size_t from = s->engine->plan.node_at[p->nodes];
    const decai__op *quant = &p->ops[p->body + 1];
    int32_t r = decai__tbuf_read(s->record, from, s->record_host, s->engine->plan.record_bytes - from);

    if (r) return r;
    decai__assert(quant->kind == DECAI__OP_QUANT && quant->node == (int32_t)p->nodes);
    hash_node(s, s->last_nodes + 32 * (size_t)p->nodes, quant, 1, 0, s->record_host, from);
    decai__act_node_hash(s->last_nodes + 32 * ((size_t)p->nodes + 1), p->nodes + 1, digest, 32);
    keep(s, s->length - 1, s->last_nodes, p->nodes + 2);
    return 0;
}

void
decai__record_step(decai_session *s, const decai__step *st)
{
    decai__step_nodes(st, s->last_nodes, 0, st->p->body);
    keep(s, s->length, s->last_nodes, st->p->nodes);
}

void
decai__record_step_head(decai_session *s, const decai__step *st)
{
    decai__step_nodes(st, s->last_nodes, st->p->body, st->p->count);
    keep(s, s->length - 1, s->last_nodes, st->p->nodes + 2);
}
