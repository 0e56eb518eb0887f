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

/* One QUANT node of token i of n, in the record's layout: form by form, of each all
 * n tokens. */
static void
hash_node(const decai_session *s, uint8_t out[32], const decai__op *op, size_t n, size_t i, const uint8_t *record,
    size_t from)
{
    const uint8_t *base = record + (n * s->engine->plan.node_at[op->node] - from);
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

/* A batch's nodes, many side by side: messages of one length share a permutation's
 * width (hash.h), so ops go by the length of what they commit. An item is one op's
 * node of one token: op order[item / n], token item % n. */
typedef struct record_job {
    decai_session *s;
    const uint32_t *order;           /* ordinals of the body's QUANT ops, by committed length */
    const uint8_t *record;           /* where the backend has it, or the copy of a device's */
    size_t n, items;
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

/* Where one form's bytes of token i lie in the record of n tokens. */
static const uint8_t *
node_data(const record_job *job, const decai__op *op, size_t i)
{
    const decai_session *s = job->s;
    size_t stride = op->forms == DECAI__FORM_F32 ? 4 * (size_t)op->cols
        : decai__act_stride(decai__form_act(op->forms), op->cols);
    return job->record + job->n * s->engine->plan.node_at[op->node] + i * stride;
}

/* Items from..to-1, each run of one length in one call. */
static void
hash_run(void *user, size_t chunk)
{
    const record_job *job = user;
    const decai_session *s = job->s;
    const decai__program *p = s->engine->program;
    size_t at = chunk * RUN, end = DECAI__MIN(job->items, at + RUN), row = 32 * ((size_t)p->nodes + 2), held = 0;
    uint64_t index[RUN];
    const void *data[RUN];
    uint8_t *to[RUN], made[RUN][32];

    for (; at < end; at++) {
        const decai__op *op = &p->ops[job->order[at / job->n]];
        size_t i = at % job->n, size = decai__quant_size(op);
        uint8_t *out = s->batch_nodes + i * row + 32 * (size_t)op->node;
        if (!one_form(op->forms)) {
            hash_node(s, out, op, job->n, i, job->record, 0);
            continue;
        }
        index[held] = (uint64_t)op->node;
        data[held] = node_data(job, op, i);
        to[held++] = out;
        const decai__op *next = at + 1 < end ? &p->ops[job->order[(at + 1) / job->n]] : NULL;
        if (next && one_form(next->forms) && decai__quant_size(next) == size) continue;
        decai__merkle_leaf_each(made, DECAI__DOMAIN_ACT_NODE, index, data, size, held);
        while (held) held--, memcpy(to[held], made[held], 32);
    }
}

static void
root_token(void *user, size_t i)
{
    const record_job *job = user;
    const decai_session *s = job->s;
    const decai__program *p = s->engine->program;
    decai__act_token_root(s->roots + 32 * (s->length + i), s->batch_nodes + i * 32 * ((size_t)p->nodes + 2), p->nodes);
}

int32_t
decai__record_body(decai_session *s, size_t n)
{
    const decai__program *p = s->engine->program;
    size_t row = 32 * ((size_t)p->nodes + 2);
    uint32_t *order = decai__alloc(s->h.context, p->nodes * sizeof *order);
    const uint8_t *lies = decai__tbuf_host(s->record);
    record_job job = { s, order, lies ? lies : s->record_host, n, n * p->nodes };

    if (!order) return decai__fail(DECAI_E_NOMEM, "activation tree: %u nodes", p->nodes);
    int32_t r = lies ? decai__compute_sync(s->body->c)
        : decai__tbuf_read(s->record, 0, s->record_host, n * s->engine->plan.node_at[p->nodes]);
    if (!r) {
        order_by_length(p, order);
        decai__parallel(s->h.context, (job.items + RUN - 1) / RUN, hash_run, &job);
        decai__parallel(s->h.context, n, root_token, &job);
        memcpy(s->last_nodes, s->batch_nodes + (n - 1) * row, 32 * (size_t)p->nodes);
        if (s->keep_nodes) memcpy(s->nodes + s->length * row, s->batch_nodes, n * row);
    }
    decai__free(s->h.context, order);
    return r;
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
