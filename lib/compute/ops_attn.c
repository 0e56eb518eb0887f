/* ops_attn.c - doors of rotation, caches and attention; see ops.c. */
#include "compute/ops.h"

int32_t
decai__op_cap_inverse(const char *op, float cap, float *inverse)
{
    decai__fpu fpu;
    if (!(cap >= 0x1p-20f && cap <= 0x1p+20f)) return decai__fail(DECAI_E_INVALID, "%s: cap is not between 2^-20 and 2^20", op);
    decai__fpu_enter(&fpu);
    volatile float divided = 1.0f / cap;             /* volatile: divided here, in this mode */
    *inverse = divided;
    decai__fpu_leave(&fpu);
    return 0;
}

/* ---- rotation ------------------------------------------------------------------------ */

static int32_t
rope_spec_check(size_t positions, const decai__rope_spec *s)
{
    if (!positions || positions > POSITIONS_MAX || !s->rot_dim || s->rot_dim > DECAI__HEAD_MAX || s->rot_dim % 2)
        return decai__fail(DECAI_E_INVALID, "rope table: %zu positions, rot_dim %zu", positions, s->rot_dim);
    if (!(s->base >= 1.0 && s->base <= 1e12)) return decai__fail(DECAI_E_INVALID, "rope table: base is not between 1 and 10^12");
    if (!(s->linear >= 0.0 && s->linear <= 1e6) || !(s->mscale >= 0.0 && s->mscale <= 1e3))
        return decai__fail(DECAI_E_INVALID, "rope table: linear factor or mscale out of range");
    if (!(s->yarn.factor >= 0.0 && s->yarn.factor <= 1e6)) return decai__fail(DECAI_E_INVALID, "rope table: YaRN factor out of range");
    if (s->yarn.factor > 0.0 && !(s->yarn.factor >= 1.0 && s->base > 1.0 && s->yarn.original >= 1.0 && s->yarn.original <= 1e9
            && s->yarn.beta_fast > 0.0 && s->yarn.beta_fast <= 1e6 && s->yarn.beta_slow > 0.0 && s->yarn.beta_slow <= 1e6
            && s->yarn.attn_factor > 0.0 && s->yarn.attn_factor <= 1e3))
        return decai__fail(DECAI_E_INVALID, "rope table: YaRN values out of range");
    for (size_t j = 0; s->freq_factors && j < s->rot_dim / 2; j++)
        if (!(s->freq_factors[j] >= 0x1p-10f && s->freq_factors[j] <= 0x1p+20f))
            return decai__fail(DECAI_E_INVALID, "rope table: frequency factor %zu out of range", j);
    return 0;
}

/* Angles are exact to the last place up to 2^20 quarter turns (angle.c). */
static int32_t
rope_fill(float *t, size_t positions, const decai__rope_spec *s)
{
    size_t pairs = s->rot_dim / 2;
    double magnitude = decai__leaf_rope_magnitude(s);
    for (size_t j = 0; j < pairs; j++) {
        double f = decai__leaf_rope_frequency(s, j);
        if (!(f * (double)positions < 1048576.0))
            return decai__fail(DECAI_E_INVALID, "rope table: pair %zu turns too fast for %zu positions", j, positions);
        for (size_t pos = 0; pos < positions; pos++) {
            float *at = t + (pos * pairs + j) * 2;
            decai__leaf_rope_angle(at, at + 1, pos, f, magnitude);
        }
    }
    return 0;
}

int32_t
decai__rope_table_create(decai__tbuf **out, decai__compute *c, size_t positions, const decai__rope_spec *spec)
{
    *out = NULL;
    int32_t r = rope_spec_check(positions, spec);
    if (r) return r;
    size_t bytes = positions * spec->rot_dim * 4;
    float *t = decai__alloc(c->ctx, bytes);
    if (!t) return DECAI_E_NOMEM;
    decai__fpu fpu;
    decai__fpu_enter(&fpu);
    r = rope_fill(t, positions, spec);
    decai__fpu_leave(&fpu);
    if (!r) r = decai__tbuf_create(out, c, bytes);
    if (!r) r = decai__tbuf_write(*out, 0, t, bytes);
    decai__free(c->ctx, t);
    if (r) {
        decai__tbuf_destroy(*out);
        *out = NULL;
    }
    return r;
}

static int32_t
rope_call(decai__call *a, decai__compute *c, decai__ref x, decai__tbuf *table, const decai__rope *p)
{
    *a = (decai__call){ .ry = x, .rw = DECAI__REF(table), .n = p->n, .rope = *p, .items = p->n, .cost = p->heads * p->rot_dim,
        .y_in = true };
    int32_t r = decai__op_ready(c, "rope", p->n);
    if (r) return r;
    if (!p->heads || p->heads > 65536 || !p->head_dim || p->head_dim > DECAI__HEAD_MAX
        || !p->rot_dim || p->rot_dim % 2 || p->rot_dim > p->head_dim || p->pos > POSITIONS_MAX)
        return decai__fail(DECAI_E_INVALID, "rope: %zu heads of %zu, rot_dim %zu, pos %zu",
            p->heads, p->head_dim, p->rot_dim, p->pos);
    r = decai__op_place(c, "rope", "x", a->ry, p->n * p->heads, p->head_dim * 4, 4, &a->ny);
    return r ? r : decai__op_place(c, "rope", "table", a->rw, p->pos + p->n, p->rot_dim * 4, 4, &a->nw);
}

int32_t
decai__op_rope(decai__compute *c, decai__ref x, decai__tbuf *table, const decai__rope *p)
{
    decai__call a;
    int32_t r = rope_call(&a, c, x, table, p);
    return r ? r : decai__op_go(c, DECAI__K_ROPE, &a);
}

/* ---- caches ---------------------------------------------------------------------------- */

static int32_t
store_call(decai__call *a, decai__compute *c, decai__kv *kv, size_t layer, size_t pos, decai__ref k, decai__ref v, size_t n,
    const char *what)
{
    *a = (decai__call){ .rx = k, .rw = v, .kv = kv, .layer = layer, .pos = pos, .n = n, .items = n,
        .cost = kv->kv_heads * kv->head_dim * 4, .what = what };
    int32_t r = decai__op_ready(c, "kv_store", n);
    if (r) return r;
    if (kv->c != c || layer >= kv->layers) return decai__fail(DECAI_E_INVALID, "kv_store: layer %zu of %zu", layer, kv->layers);
    if (n > kv->batch || pos > kv->capacity || n > kv->capacity - pos)
        return decai__fail(DECAI_E_INVALID, "kv_store: %zu positions at %zu, capacity %zu, batch %zu", n, pos, kv->capacity, kv->batch);
    r = decai__op_place(c, "kv_store", "k", k, n, kv->kv_heads * kv->head_dim * 4, 4, &a->nx);
    if (!r) r = decai__op_place(c, "kv_store", "v", v, n, kv->kv_heads * kv->head_dim * 4, 4, &a->nw);
    return r ? r : decai__kv_extend(kv, layer, pos, n);
}

int32_t
decai__op_kv_store(decai__compute *c, decai__kv *kv, size_t layer, size_t pos, decai__ref k, decai__ref v, size_t n,
    const char *what)
{
    decai__call a;
    int32_t r = store_call(&a, c, kv, layer, pos, k, v, n, what);
    return r ? r : decai__op_go(c, DECAI__K_KV_STORE, &a);
}

/* ---- attention --------------------------------------------------------------------------- */

static int32_t
shape_check(const char *op, const decai__attn *p)
{
    float inverse;
    if (!p->heads || p->heads > 65536 || !p->kv_heads || p->heads % p->kv_heads
        || !p->head_dim || p->head_dim > DECAI__HEAD_MAX || p->pos > POSITIONS_MAX)
        return decai__fail(DECAI_E_INVALID, "%s: %zu heads, %zu of KV, head_dim %zu, pos %zu",
            op, p->heads, p->kv_heads, p->head_dim, p->pos);
    return p->softcap == 0.0f ? 0 : decai__op_cap_inverse(op, p->softcap, &inverse);
}

/* What item counts and places all attention has. */
static int32_t
common(decai__compute *c, const char *op, decai__call *a, size_t positions)
{
    const decai__attn *p = &a->attn;
    a->n = p->n;
    a->items = p->n * p->heads;
    a->cost = positions * p->head_dim;
    a->scratch_stride = decai__pad64(positions * 4 + 64 * DECAI__KV_PAGE) / 4;
    int32_t r = decai__op_place(c, op, "y", a->ry, p->n * p->heads, p->head_dim * 4, 4, &a->ny);
    if (!r) r = decai__op_place(c, op, "q", a->rx, p->n * p->heads, p->head_dim * 4, 4, &a->nx);
    if (!r && a->ry.buf == a->rx.buf) r = decai__fail(DECAI_E_INVALID, "%s: y shares a buffer with an input", op);
    if (!r && p->softcap != 0.0f) r = decai__op_cap_inverse(op, p->softcap, &a->inverse);
    return r;
}

static int32_t
attention_call(decai__call *a, decai__compute *c, decai__ref y, decai__ref q, decai__kv *kv, size_t layer, const decai__attn *p,
    const char *what)
{
    const char *op = "attention";
    *a = (decai__call){ .ry = y, .rx = q, .rw = p->sinks, .kv = kv, .layer = layer, .attn = *p, .what = what };
    int32_t r = decai__op_ready(c, op, p->n);
    if (!r) r = shape_check(op, p);
    if (r) return r;
    if (kv->c != c || layer >= kv->layers || kv->kv_heads != p->kv_heads || kv->head_dim != p->head_dim)
        return decai__fail(DECAI_E_INVALID, "attention: layer %zu of %zu, %zu heads of %zu in the cache", layer, kv->layers,
            kv->kv_heads, kv->head_dim);
    const decai__kv_layer *l = &kv->layer[layer];
    size_t from = decai__window_first(p->pos, l->window);
    if (from < l->first || p->pos + p->n > l->end)
        return decai__fail(DECAI_E_INVALID, "attention: positions %zu..%zu, the cache holds %zu..%zu", from, p->pos + p->n,
            l->first, l->end);
    if (p->sinks.buf) r = decai__op_place(c, op, "sinks", a->rw, p->heads, 4, 4, &a->nw);
    return r ? r : common(c, op, a, p->pos + p->n - from);
}

int32_t
decai__op_attention(decai__compute *c, decai__ref y, decai__ref q, decai__kv *kv, size_t layer, const decai__attn *p,
    const char *what)
{
    decai__call a;
    int32_t r = attention_call(&a, c, y, q, kv, layer, p, what);
    return r ? r : decai__op_go(c, DECAI__K_ATTENTION, &a);
}

int32_t
decai__op_attention_full(decai__compute *c, decai__ref y, decai__ref q, decai__ref k, decai__ref v, const uint32_t *starts,
    size_t segments, const decai__attn *p, const char *what)
{
    const char *op = "attention_full";
    decai__call a = { .ry = y, .rx = q, .rw = k, .rz = v, .starts = starts, .segments = segments, .attn = *p, .what = what };
    size_t longest = 0;
    int32_t r = decai__op_ready(c, op, p->n);
    if (!r) r = shape_check(op, p);
    if (!r && p->sinks.buf) r = decai__fail(DECAI_E_INVALID, "attention_full: no sinks");
    if (!r && (!segments || segments > p->n || starts[0] != 0 || starts[segments] != p->n))
        r = decai__fail(DECAI_E_INVALID, "attention_full: %zu segments of %zu tokens", segments, p->n);
    for (size_t s = 0; !r && s < segments; s++) {
        if (starts[s] >= starts[s + 1]) r = decai__fail(DECAI_E_INVALID, "attention_full: segment %zu is empty", s);
        longest = DECAI__MAX(longest, (size_t)(starts[s + 1] - starts[s]));
    }
    if (!r) r = decai__op_place(c, op, "k", k, p->n * p->kv_heads, p->head_dim * 4, 4, &a.nw);
    if (!r) r = decai__op_place(c, op, "v", v, p->n * p->kv_heads, p->head_dim * 4, 4, &a.nz);
    if (!r && (y.buf == k.buf || y.buf == v.buf)) r = decai__fail(DECAI_E_INVALID, "attention_full: y shares a buffer with an input");
    if (!r) r = common(c, op, &a, longest);
    return r ? r : decai__op_go(c, DECAI__K_ATTENTION_FULL, &a);
}

/* ---- rows of several caches ----------------------------------------------------------------
 * Each span is a call of its own; a host backend takes some of them at once. */

#define TOGETHER 16                  /* calls on the stack */

typedef struct spans { size_t count; decai__call call[TOGETHER]; } spans;

static int32_t
spans_go(decai__compute *c, int op, spans *s)
{
    int32_t r = 0;
    if (s->count) r = decai__op_go_each(c, op, s->call, s->count);
    s->count = 0;
    return r;
}

int32_t
decai__op_rope_each(decai__compute *c, decai__ref x, decai__tbuf *table, const decai__span *span, size_t count,
    const decai__rope *p)
{
    decai__rope one = *p;
    spans s;
    int32_t r = 0;
    s.count = 0;
    for (size_t i = 0; i < count && !r; i++) {
        one.n = span[i].n;
        one.pos = span[i].pos;
        r = rope_call(&s.call[s.count], c, x, table, &one);
        x.at += one.n * p->heads * p->head_dim * 4;
        if (!r && (++s.count == TOGETHER || i + 1 == count)) r = spans_go(c, DECAI__K_ROPE, &s);
    }
    return r;
}

int32_t
decai__op_kv_store_each(decai__compute *c, const decai__span *span, size_t count, size_t layer, decai__ref k,
    decai__ref v, const char *what)
{
    spans s;
    int32_t r = 0;
    s.count = 0;
    for (size_t i = 0; i < count && !r; i++) {
        size_t bytes = span[i].n * span[i].kv->kv_heads * span[i].kv->head_dim * 4;
        r = store_call(&s.call[s.count], c, span[i].kv, layer, span[i].pos, k, v, span[i].n, what);
        k.at += bytes;
        v.at += bytes;
        if (!r && (++s.count == TOGETHER || i + 1 == count)) r = spans_go(c, DECAI__K_KV_STORE, &s);
    }
    return r;
}

int32_t
decai__op_attention_each(decai__compute *c, decai__ref y, decai__ref q, const decai__span *span, size_t count,
    size_t layer, const decai__attn *p, const char *what)
{
    decai__attn one = *p;
    spans s;
    int32_t r = 0;
    s.count = 0;
    for (size_t i = 0; i < count && !r; i++) {
        one.n = span[i].n;
        one.pos = span[i].pos;
        r = attention_call(&s.call[s.count], c, y, q, span[i].kv, layer, &one, what);
        y.at += one.n * p->heads * p->head_dim * 4;
        q.at += one.n * p->heads * p->head_dim * 4;
        if (!r && (++s.count == TOGETHER || i + 1 == count)) r = spans_go(c, DECAI__K_ATTENTION, &s);
    }
    return r;
}
