/* referee.c - decides one leaf, and trusts nobody for it.
 *
 * It knows the job's model root and the two claims. Inputs of the operation are
 * agreed (everything before the first difference is equal on both sides). What
 * is not agreed it takes from whichever party can prove it: metadata and weights
 * come with Merkle proofs up to the model root (DESIGN §5). Then it recomputes
 * one leaf with the contract's scalar functions, and whoever said otherwise has
 * lost. The step is small on purpose: the EVM twin does the same. */
#include <string.h>

#include "model/model.h"
#include "proof/dispute.h"

/* ---- bytes of the model, proven -------------------------------------------- */

static int32_t
metadata_check(decai_dispute *d, const decai_model *model, const decai__metadata *m)
{
    decai__model_proof proof;
    int32_t e = decai__model_metadata_prove(model, m, &proof);
    if (e) return e;
    d->referee_bytes += m->raw_size;
    return decai__model_metadata_verify(d->model_root, m->key, m->type, m->raw, m->raw_size, &proof);
}

/* Can this party prove the metadata that its program was made from? */
static int32_t
program_check(decai_dispute *d, const decai_model *model)
{
    for (size_t i = 0; i < decai__model_metadata_count(model); i++) {
        const decai__metadata *m = decai__model_metadata_at(model, i);
        /* The vocabulary plays no part in the numbers, and is large; the
         * alignment is layout, which identity leaves out. */
        if (!strncmp(m->key, "tokenizer.", 10) || !strcmp(m->key, "general.alignment")) continue;
        int32_t e = metadata_check(d, model, m);
        if (e) return e;
    }
    return 0;
}

int32_t
decai__referee_supplier(decai_dispute *d, int32_t *which)
{
    for (int32_t i = 0; i < 2; i++) {
        int32_t e = program_check(d, decai__engine_model(d->party[i].engine));
        if (e == DECAI_E_NOMEM) return e;
        if (e) continue;
        *which = i;
        return 0;
    }
    return decai__fail(DECAI_E_INTEGRITY, "model: neither party can open the job's model root");
}

/* len bytes of a tensor from offset, each chunk proven on the way. */
static int32_t
tensor_read(decai_dispute *d, const decai_model *model, const decai__tensor *t, uint64_t offset, uint8_t *out,
    size_t len)
{
    while (len) {
        uint64_t chunk = offset / DECAI_MODEL_CHUNK;
        size_t inside = (size_t)(offset % DECAI_MODEL_CHUNK);
        const uint8_t *data;
        size_t size = decai__tensor_chunk(t, chunk, &data);
        decai__model_proof proof;
        int32_t e = decai__model_chunk_prove(model, t, chunk, &proof);
        if (e) return e;
        e = decai__model_chunk_verify(d->model_root, t->name, t->type, t->n_dims, t->dims, chunk, data, size, &proof);
        if (e) return e;
        d->referee_bytes += size;
        size_t take = DECAI__MIN(len, size - inside);
        memcpy(out, data + inside, take);
        out += take;
        offset += take;
        len -= take;
    }
    return 0;
}

typedef struct weight {
    uint8_t *data, *extra;
    float *kv;
} weight;

/* The whole of a vector, or one row of a matrix, proven. */
static int32_t
rows_take(decai_dispute *d, const decai__party *from, int32_t tensor, uint64_t row, bool all, uint8_t **data, size_t *len,
    int32_t *type)
{
    const decai_model *model = decai__engine_model(from->engine);
    const decai__tensor *t = decai__model_tensor_at(model, (size_t)tensor);
    *len = all ? t->size : t->row_size;
    *type = (int32_t)t->type;
    *data = decai__alloc(d->h.context, *len);
    if (!*data) return decai__fail(DECAI_E_NOMEM, "referee: %zu bytes of %s", *len, t->name);
    if (!d->tensor[0]) strncpy(d->tensor, t->name, sizeof d->tensor - 1);
    return tensor_read(d, model, t, all ? 0 : row * t->row_size, *data, *len);
}

/* Weight bytes that the disputed row needs, into args. */
static int32_t
weight_take(decai_dispute *d, const decai__party *from, const decai__op *op, decai__op_args *args, weight *w)
{
    const decai__program *program = decai__engine_program(from->engine);
    decai__weight_rows rows;
    int32_t e = 0;
    if (op->tensor >= 0) {
        bool all = op->kind == DECAI__OP_NORM || op->kind == DECAI__OP_BIAS;
        e = decai__op_weight(&rows, program, (uint32_t)d->op, (uint64_t)d->row, (uint64_t)d->token, from->tokens[d->token],
            args->in[1], args->in_len[1]);
        if (!e) e = rows_take(d, from, op->tensor, rows.row, all, &w->data, &args->weight_len, &args->weight_type);
        args->weight = w->data;
    }
    if (!e && op->extra >= 0 && op->kind != DECAI__OP_MIX)
        e = rows_take(d, from, op->extra, 0, true, &w->extra, &args->extra_len, &args->extra_type);
    args->extra = w->extra;
    return e;
}

/* K row of SCORE, V column of MIX: earlier positions' values, agreed. */
static int32_t
cache_take(decai_dispute *d, const decai__party *from, const decai__op *op, decai__op_args *args, weight *w)
{
    const decai__shape *s = &decai__engine_program(from->engine)->shape;
    uint64_t first = decai__op_first(op, (uint64_t)d->token), visible = decai__op_visible(op, (uint64_t)d->token);
    if (op->kind == DECAI__OP_SCORE) {
        uint64_t p = first + (uint64_t)d->row % visible;
        args->kv = decai__trace_k(from->trace, (uint32_t)op->layer) + p * s->kv_dim;
        args->kv_len = s->kv_dim;
    } else if (op->kind == DECAI__OP_MIX) {
        uint64_t head = (uint64_t)d->row / s->head_dim;
        uint64_t at = head / (s->heads / s->kv_heads) * s->head_dim + (uint64_t)d->row % s->head_dim;
        const float *v = decai__trace_v(from->trace, (uint32_t)op->layer);
        w->kv = decai__calloc(d->h.context, (size_t)visible, sizeof *w->kv);
        if (!w->kv) return decai__fail(DECAI_E_NOMEM, "referee: %llu values", (unsigned long long)visible);
        for (uint64_t p = 0; p < visible; p++) w->kv[p] = v[(first + p) * s->kv_dim + at];
        args->kv = w->kv;
        args->kv_len = (size_t)visible;
    }
    d->referee_bytes += args->kv_len * sizeof *args->kv;
    return 0;
}

/* ---- the step ---------------------------------------------------------------- */

/* QUANT is one row of bytes: the claims are compared as a whole. */
static int32_t
decide_quant(decai_dispute *d, const decai__party *from, const decai__op *op, bool right[2])
{
    size_t len = decai__quant_size(op);
    uint8_t *bytes = decai__alloc(d->h.context, len);
    if (!bytes) return decai__fail(DECAI_E_NOMEM, "referee: %zu bytes", len);
    decai__op_args args = {0};
    decai__op_inputs(&args, from, (size_t)d->token, (uint32_t)d->op);
    d->referee_bytes += args.in_len[0];
    int32_t e = decai__quant_leaf(op, args.in[0], bytes);
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        const void *claim = decai__party_output(&d->party[i], (size_t)d->token, (uint32_t)d->op, &n);
        right[i] = !e && n == len && !memcmp(claim, bytes, len);
    }
    d->referee_steps += op->cols;
    decai__free(d->h.context, bytes);
    return e;
}

/* both: an expert and its weight. */
static bool
claim_equal(const decai__claim *a, const decai__claim *b, bool both)
{
    if (both && a->sum != b->sum) return false;
    if (a->exact) return b->exact && a->sum == b->sum;
    return !b->exact && !memcmp(&a->value, &b->value, sizeof a->value);
}

static int32_t
decide_row(decai_dispute *d, const decai__party *from, const decai__op *op, bool right[2])
{
    weight w = {0};
    decai__op_args args = {0};
    decai__op_inputs(&args, from, (size_t)d->token, (uint32_t)d->op);
    d->referee_bytes += args.in_len[0] + args.in_len[1] + args.in_len[2];
    int32_t e = weight_take(d, from, op, &args, &w);
    if (!e) e = cache_take(d, from, op, &args, &w);
    uint32_t leaf = decai__op_product(op) && d->leaf >= 0 ? (uint32_t)d->leaf : DECAI__WHOLE_ROW;
    int64_t sum = 0;
    float value = 0;
    if (!e)
        e = decai__op_leaf(d->h.context, decai__engine_program(from->engine), (uint32_t)d->op, (uint64_t)d->token,
            (uint64_t)d->row, leaf, &args, &sum, &value);
    decai__free(d->h.context, w.data);
    decai__free(d->h.context, w.extra);
    decai__free(d->h.context, w.kv);
    if (e) return e;
    d->truth = (decai__claim){.exact = d->claim[0].exact, .sum = sum, .value = value};
    d->referee_steps += leaf == DECAI__WHOLE_ROW ? DECAI__MAX(op->cols, 1u) : DECAI__LEAF;
    for (int i = 0; i < 2; i++) right[i] = claim_equal(&d->claim[i], &d->truth, op->kind == DECAI__OP_ROUTE);
    d->has_claims = true;
    return 0;
}

int32_t
decai__referee_decide(decai_dispute *d, int32_t supplier)
{
    const decai__party *from = &d->party[supplier];
    const decai__op *op = &decai__engine_program(from->engine)->ops[d->op];
    bool right[2] = {false, false};
    int32_t e = op->kind == DECAI__OP_QUANT ? decide_quant(d, from, op, right) : decide_row(d, from, op, right);
    if (e) return e;
    d->loser = (right[0] ? 0 : 1) | (right[1] ? 0 : 2);
    return 0;
}
