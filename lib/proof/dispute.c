/* dispute.c - from "we differ" to one leaf, and to a verdict.
 *
 *     receipts --> roots --> first token --> first op --> first row --> leaf
 *
 * At each arrow the two parties commit to a list (a native Merkle tree over it)
 * and the first place where the lists differ is found from the top, one
 * comparison a level: that is the bisection two strangers would do by messages,
 * and `rounds` counts them. Everything before the first difference is agreed by
 * both, so the referee may use it as input.
 *
 * One step looks back. Keys and values that attention reads from earlier
 * positions are not committed one by one (DESIGN §6: what lies between the
 * committed inputs is recomputed). If attention is the first op that differs and
 * a cached row of an earlier position differs already, that position is the
 * first one, and the search goes on there.
 *
 * Parties whose models differ in shape have no op in common to look at. There
 * the one that can prove the job's model is right, and no place is named. */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "model/model.h"
#include "proof/dispute.h"

static void
dispute_destroy(void *self)
{
    decai_dispute *d = self;
    for (int i = 0; i < 2; i++) decai__party_free(d->h.context, &d->party[i]);
}

int32_t
decai__dispute_create(decai_dispute **out, decai_context *ctx, const uint8_t model_root[32])
{
    decai_dispute *d = decai__handle_create(ctx, DECAI__DISPUTE, sizeof *d, dispute_destroy);
    if (!d) return DECAI_E_NOMEM;
    memcpy(d->model_root, model_root, 32);
    d->token = d->layer = d->op = d->row = d->leaf = -1;
    *out = d;
    return 0;
}

int32_t
decai__dispute_party(decai_dispute *d, int32_t which, decai_receipt *r, const uint8_t *opening, size_t opening_len,
    decai_engine *engine)
{
    decai__party *p = &d->party[which];
    if (!decai__model_root(decai__engine_model(engine)))
        return decai__fail(DECAI_E_INVALID, "engine_%c: its model was loaded with model.hash 0", 'a' + (int)which);
    p->opening_bytes = decai__memdup(d->h.context, opening, opening_len);
    if (!p->opening_bytes) return decai__fail(DECAI_E_NOMEM, "opening: %zu bytes", opening_len);
    p->opening_len = opening_len;
    decai__retain(r);
    p->receipt = r;
    decai__retain(engine);
    p->engine = engine;
    return 0;
}

/* ---- first difference of two lists --------------------------------------------- */

typedef const void *(*item_fn)(const decai_dispute *d, int32_t side, uint64_t i, size_t *len);

static int32_t
tree_fill(decai__merkle_tree *t, const decai_dispute *d, int32_t side, uint64_t count, item_fn item)
{
    for (uint64_t i = 0; i < count; i++) {
        size_t len;
        const void *data = item(d, side, i, &len);
        int32_t e = decai__merkle_tree_add_leaf_data(t, data, len);
        if (e) return e;
    }
    return 0;
}

/* 0 with *index | DECAI_E_NOT_FOUND: equal. */
static int32_t
first_difference(decai_dispute *d, const char *domain, const uint64_t count[2], item_fn item, uint64_t *index)
{
    decai__merkle_tree tree[2];
    int32_t e = 0;
    for (int32_t i = 0; i < 2; i++) {
        int32_t r = decai__merkle_tree_init(&tree[i], d->h.context, domain);
        if (!r) r = tree_fill(&tree[i], d, i, count[i], item);
        if (r) e = r;
    }
    if (!e) e = decai__merkle_tree_diff(&tree[0], &tree[1], index);
    for (uint64_t n = DECAI__MAX(count[0], count[1]); n > 0; n >>= 1) d->rounds++;
    for (int32_t i = 0; i < 2; i++) decai__merkle_tree_free(&tree[i]);
    return e;
}

static const void *
item_root(const decai_dispute *d, int32_t side, uint64_t i, size_t *len)
{
    *len = 32;
    return d->party[side].roots + 32 * i;
}

static const void *
item_output_token(const decai_dispute *d, int32_t side, uint64_t i, size_t *len)
{
    *len = sizeof(int32_t);
    return &d->party[side].tokens[d->party[side].prompt_count + i];
}

static const void *
item_op(const decai_dispute *d, int32_t side, uint64_t i, size_t *len)
{
    return decai__party_output(&d->party[side], (size_t)d->token, (uint32_t)i, len);
}

static const void *
item_row(const decai_dispute *d, int32_t side, uint64_t i, size_t *len)
{
    const uint8_t *all = decai__party_output(&d->party[side], (size_t)d->token, (uint32_t)d->op, len);
    *len = DECAI__MIN(sizeof(float), *len - sizeof(float) * (size_t)i);
    return all + sizeof(float) * i;
}

static const void *
item_cache(const decai_dispute *d, int32_t side, uint64_t i, size_t *len)
{
    const decai__party *p = &d->party[side];
    const decai__program *program = decai__engine_program(p->engine);
    const decai__op *op = &program->ops[d->op];
    const float *cache = op->kind == DECAI__OP_SCORE ? decai__trace_k(p->trace, (uint32_t)op->layer)
                                                     : decai__trace_v(p->trace, (uint32_t)op->layer);
    *len = program->shape.kv_dim * sizeof *cache;
    return cache + i * program->shape.kv_dim;
}

/* ---- the search ----------------------------------------------------------------- */

/* The first position at which anything committed differs: a token root, or the
 * token that was chosen there. */
static int32_t
find_token(decai_dispute *d)
{
    const decai__party *p = d->party;
    uint64_t at_root, at_output;
    int32_t e = first_difference(d, DECAI__DOMAIN_ACT_TOKEN, (uint64_t[]){p[0].positions, p[1].positions}, item_root, &at_root);
    if (e && e != DECAI_E_NOT_FOUND) return e;
    if (e) at_root = UINT64_MAX;
    uint64_t outputs[2] = {p[0].count - p[0].prompt_count, p[1].count - p[1].prompt_count};
    e = first_difference(d, "decai.trace.op.1", outputs, item_output_token, &at_output);
    if (e && e != DECAI_E_NOT_FOUND) return e;
    at_output = e ? UINT64_MAX : at_output + p[0].prompt_count - 1;
    uint64_t at = DECAI__MIN(at_root, at_output);
    if (at == UINT64_MAX) return DECAI_E_NOT_FOUND;
    d->token = (int64_t)at;
    return 0;
}

static int32_t
trace_both(decai_dispute *d)
{
    for (int32_t i = 0; i < 2; i++) {
        int32_t e = decai__party_trace(d, i, (size_t)d->token);
        if (e) return e;
    }
    return 0;
}

static int32_t
find_op(decai_dispute *d)
{
    uint64_t count[2], at;
    for (;;) {
        int32_t e = trace_both(d);
        if (e || d->loser) return e;
        for (int32_t i = 0; i < 2; i++) count[i] = decai__trace_count(d->party[i].trace);
        if ((e = first_difference(d, "decai.trace.op.1", count, item_op, &at))) return e;
        d->op = (int64_t)at;
        const decai__program *program = decai__engine_program(d->party[0].engine);
        int32_t kind = at < count[0] ? program->ops[at].kind : 0;
        if (kind != DECAI__OP_SCORE && kind != DECAI__OP_MIX) return 0;
        uint64_t cached[2] = {(uint64_t)d->token + 1, (uint64_t)d->token + 1};
        e = first_difference(d, "decai.trace.row.1", cached, item_cache, &at);
        if (e == DECAI_E_NOT_FOUND || (!e && at == (uint64_t)d->token)) return 0;
        if (e) return e;
        d->token = (int64_t)at;
    }
}

/* QUANT's bytes: a block's scale or a quant of its first form; say which element. */
static int64_t
quant_element(const decai__op *op, uint64_t word)
{
    return (int64_t)decai__quant_element(op, (size_t)word * sizeof(float));
}

static int32_t
find_row(decai_dispute *d, const decai__op *op)
{
    uint64_t count[2], at = 0;
    for (int32_t i = 0; i < 2; i++) {
        size_t len;
        decai__party_output(&d->party[i], (size_t)d->token, (uint32_t)d->op, &len);
        count[i] = (len + sizeof(float) - 1) / sizeof(float);
    }
    int32_t e = first_difference(d, "decai.trace.row.1", count, item_row, &at);
    if (e) return e;
    /* Words of 4 bytes; ROUTE has two a row. */
    d->row = op->kind == DECAI__OP_QUANT ? quant_element(op, at) : (int64_t)(at * sizeof(float) / op->row_bytes);
    d->leaf = 0;
    return 0;
}

static void
claim_row(decai_dispute *d, const decai__op *op)
{
    for (int32_t i = 0; i < 2; i++) {
        size_t len;
        const uint8_t *out = decai__party_output(&d->party[i], (size_t)d->token, (uint32_t)d->op, &len);
        decai__claim *c = &d->claim[i];
        *c = (decai__claim){.exact = op->kind == DECAI__OP_SAMPLE};
        int32_t token;                          /* or ROUTE's expert, its weight behind it */
        const uint8_t *row = out + op->row_bytes * (size_t)d->row;
        memcpy(&token, row, sizeof token);
        memcpy(&c->value, op->kind == DECAI__OP_ROUTE ? row + sizeof token : row, sizeof c->value);
        if (c->exact || op->kind == DECAI__OP_ROUTE) c->sum = token;
    }
}

/* Products: which 256 elements of the row's sum. If all partial sums agree and
 * the results do not, the last step (one conversion, or the joining of leaves)
 * is what differs: leaf -1 for the referee, shown as the last leaf. */
static int32_t
find_leaf(decai_dispute *d, uint32_t leaves)
{
    decai__claim *claims = decai__calloc(d->h.context, 2 * (size_t)leaves, sizeof *claims);
    if (!claims) return decai__fail(DECAI_E_NOMEM, "dispute: %u leaves", (unsigned)leaves);
    int32_t e = 0;
    for (int32_t i = 0; i < 2 && !e; i++)
        e = decai__party_leaves(&d->party[i], (size_t)d->token, (uint32_t)d->op, (uint64_t)d->row, claims + (size_t)i * leaves, leaves);
    d->leaf = -1;
    for (uint32_t j = 0; j < leaves && !e && d->leaf < 0; j++) {
        const decai__claim *a = &claims[j], *b = &claims[leaves + j];
        if (a->sum == b->sum && !memcmp(&a->value, &b->value, sizeof a->value)) continue;
        d->leaf = (int64_t)j;
        d->claim[0] = *a;
        d->claim[1] = *b;
    }
    for (uint32_t n = leaves; n > 0; n >>= 1) d->rounds++;
    decai__free(d->h.context, claims);
    return e;
}

static int32_t
narrow(decai_dispute *d, int32_t supplier)
{
    const decai__program *program = decai__engine_program(d->party[supplier].engine);
    if (d->op >= (int64_t)program->count) return decai__fail(DECAI_E_INTEGRITY, "op: the model has none of this number");
    const decai__op *op = &program->ops[d->op];
    d->layer = op->layer;
    snprintf(d->op_name, sizeof d->op_name, "%s", decai__op_name(op->kind));
    int32_t e = find_row(d, op);
    if (e) return e;
    if (op->kind == DECAI__OP_QUANT) return 0;
    claim_row(d, op);
    if (!decai__op_product(op)) return 0;
    return find_leaf(d, decai__op_leaves(program, (uint32_t)d->op));
}

/* ---- the whole ------------------------------------------------------------------- */

static int32_t
same_job(const decai_dispute *d)
{
    const decai__party *a = &d->party[0], *b = &d->party[1];
    if (a->prompt_count != b->prompt_count || memcmp(a->tokens, b->tokens, a->prompt_count * sizeof *a->tokens))
        return decai__fail(DECAI_E_INVALID, "prompt: the parties ran different prompts");
    if (memcmp(&a->receipt->fields.sampler, &b->receipt->fields.sampler, sizeof(decai__sampler_fields)))
        return decai__fail(DECAI_E_INVALID, "sampler: the parties ran with different samplers");
    uint64_t x = a->receipt->fields.number[DECAI__R_CONTRACT], y = b->receipt->fields.number[DECAI__R_CONTRACT];
    if (x != y)
        return decai__fail(DECAI_E_INVALID, "contract: the parties ran by numbers %llu and %llu", (unsigned long long)x,
            (unsigned long long)y);
    return 0;
}

static bool
same_op(const decai__op *a, const decai__op *b)
{
    /* The tensor's index is left out: it is the file's order, which identity ignores. */
    return a->kind == b->kind && a->layer == b->layer && (a->tensor < 0) == (b->tensor < 0) && a->in[0] == b->in[0]
        && a->in[1] == b->in[1] && a->in[2] == b->in[2] && a->rows == b->rows && a->cols == b->cols
        && a->row_bytes == b->row_bytes && a->node == b->node && a->forms == b->forms && (a->extra < 0) == (b->extra < 0)
        && a->first == b->first && a->variant == b->variant && a->window == b->window && a->experts == b->experts
        && a->used == b->used && a->slot == b->slot && a->weights == b->weights && !memcmp(&a->scale, &b->scale, sizeof a->scale);
}

/* Op by op, the same work: only then do ordinals, rows and leaves of one party
 * mean anything to the other. */
static bool
same_program(const decai__program *a, const decai__program *b)
{
    const decai__shape *x = &a->shape, *y = &b->shape;
    if (a->contract != b->contract || a->encoder != b->encoder || a->logits != b->logits) return false;
    if (a->count != b->count || a->body != b->body || a->nodes != b->nodes || x->layers != y->layers || x->dim != y->dim
        || x->heads != y->heads || x->kv_heads != y->kv_heads || x->head_dim != y->head_dim || x->kv_dim != y->kv_dim
        || x->ffn != y->ffn || x->vocab != y->vocab || x->rot_dim != y->rot_dim)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!same_op(&a->ops[i], &b->ops[i])) return false;
    return true;
}

/* The supplier has the job's model, so the other one ran something else. */
static void
judge_program(decai_dispute *d, int32_t supplier)
{
    d->token = -1;
    decai__fail(DECAI_E_INTEGRITY, "model: its engine runs another program than the job's model has");
    decai__party_lose(d, 1 - supplier);
}

/* One output is the beginning of the other: who stopped early or went on? What
 * ends a text is the job's model's word, not a party's. */
static void
judge_length(decai_dispute *d, int32_t supplier)
{
    const decai__party *p = d->party;
    int32_t shorter = p[0].count < p[1].count ? 0 : 1;
    const decai__shape *s = &decai__engine_program(p[supplier].engine)->shape;
    int32_t last = p[shorter].tokens[p[shorter].count - 1];
    bool ended = last == s->eos || last == s->eot
        || p[shorter].count - p[shorter].prompt_count == p[shorter].receipt->fields.sampler.max_tokens;
    decai__fail(DECAI_E_INTEGRITY, ended ? "output: it went on after the end" : "output: it stopped before the end");
    decai__party_lose(d, ended ? 1 - shorter : shorter);
}

static int32_t
prepare(decai_dispute *d, decai_task *task)
{
    int32_t e = 0;
    for (int32_t i = 0; i < 2 && !e; i++) e = decai__party_open(d, i);
    if (e || d->loser) return e;
    if ((e = same_job(d))) return e;
    for (int32_t i = 0; i < 2 && !e; i++) e = decai__party_run(d, i, task);
    return e;
}

static int32_t
search(decai_dispute *d, decai_task *task)
{
    decai__task_report(task, "bisect", 0, 0);
    int32_t e = find_token(d);
    if (e == DECAI_E_NOT_FOUND) return 0;
    if (e) return e;
    int32_t supplier;
    if ((e = decai__referee_supplier(d, &supplier))) return e;
    if (!same_program(decai__engine_program(d->party[0].engine), decai__engine_program(d->party[1].engine))) {
        judge_program(d, supplier);
        return 0;
    }
    size_t end = DECAI__MIN(d->party[0].count, d->party[1].count);
    if ((size_t)d->token + 1 >= end && d->party[0].count != d->party[1].count) {
        judge_length(d, supplier);
        return 0;
    }
    if ((e = find_op(d)) || d->loser) return e;
    e = narrow(d, supplier);
    if (!e) {
        decai__task_report(task, "referee", d->rounds, d->rounds);
        e = decai__referee_decide(d, supplier);
    }
    if (!e && d->leaf < 0) {
        const decai__program *program = decai__engine_program(d->party[supplier].engine);
        d->leaf = decai__op_leaves(program, (uint32_t)d->op) - 1;
    }
    return e;
}

int32_t
decai__dispute_run(decai_dispute *d, decai_task *task)
{
    int32_t e = prepare(d, task);
    if (!e && !d->loser) e = search(d, task);
    if (e == DECAI_E_INTEGRITY) {
        /* Nobody can open the job's model, or it makes no finite number. */
        snprintf(d->reason, sizeof d->reason, "%s", decai__error_detail());
        d->loser = 3;
        e = 0;
    }
    if (e) return e;
    if (!d->reason[0])
        snprintf(d->reason, sizeof d->reason, "%s", d->loser ? "the referee's value differs from the claim" : "the parties agree");
    atomic_store(&d->done, 1);
    return 0;
}

static int32_t
run_task(decai_task *task, void *user)
{
    return decai__dispute_run(user, task);
}

int32_t
decai__dispute_start(decai_task **task, decai_dispute *d)
{
    decai__retain(d);
    return decai__task_start(task, d->h.context, run_task, d, decai__task_release);
}

/* ---- telling ------------------------------------------------------------------------ */

static void
put_claim(decai__json_writer *w, const char *key, const decai__claim *c)
{
    uint8_t be[4];
    uint32_t bits;
    if (c->exact) {
        decai__json_put_i64(w, key, c->sum);
        return;
    }
    memcpy(&bits, &c->value, sizeof bits);
    decai__store_be32(be, bits);
    decai__json_put_hex(w, key, be, sizeof be);
}

int32_t
decai__dispute_format(decai__buf *out, const decai_dispute *d)
{
    static const char *const losers[] = {"nobody", "a", "b", "both"};
    decai__json_writer w;
    decai__json_writer_init(&w, out, true);
    decai__json_put_object(&w, NULL);
    decai__json_put_str(&w, "loser", losers[d->loser]);
    decai__json_put_str(&w, "reason", d->reason);
    decai__json_put_i64(&w, "token", d->token);
    decai__json_put_i64(&w, "layer", d->layer);
    decai__json_put_i64(&w, "op", d->op);
    decai__json_put_str(&w, "op_name", d->op_name);
    decai__json_put_str(&w, "tensor", d->tensor);
    decai__json_put_i64(&w, "row", d->row);
    decai__json_put_i64(&w, "leaf", d->leaf);
    if (d->has_claims) {
        put_claim(&w, "claim_a", &d->claim[0]);
        put_claim(&w, "claim_b", &d->claim[1]);
        put_claim(&w, "referee", &d->truth);
    }
    decai__json_put_u64(&w, "rounds", d->rounds);
    decai__json_put_u64(&w, "referee_bytes", d->referee_bytes);
    decai__json_put_u64(&w, "referee_steps", d->referee_steps);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}
