/* engine.c - a model made ready for a backend, and what happens when the device
 * is lost.
 *
 * An engine is immutable for its users: program, plan and numbers never change.
 * Behind that, its body (backend + weights) may be replaced once: when an OpenCL
 * device fails, the first session that notices makes a native body; each session
 * then replays its own tokens there. The bits are the same, so nobody can tell
 * but by the log. The lost body stays until the engine goes, because other
 * sessions' buffers still point into it.
 */
#include "infer/engine.h"

#include <math.h>
#include <string.h>

/* ---- body: weights into a backend ------------------------------------------------- */

static void
body_destroy(decai__body *b)
{
    if (!b) return;
    for (size_t i = 0; i < b->tensors; i++) {
        if (b->matrix) decai__matrix_destroy(b->matrix[i]);
        if (b->vector) decai__tbuf_destroy(b->vector[i]);
    }
    decai__tbuf_destroy(b->rope);
    decai__compute_destroy(b->c);
    decai__free(b->ctx, b->matrix);
    decai__free(b->ctx, b->vector);
    decai__free(b->ctx, b);
}

static int32_t
load_vector(decai__body *b, const decai__tensor *t)
{
    size_t n = (size_t)t->dims[0];
    float *w = decai__alloc(b->ctx, n * sizeof *w);
    int32_t r = w ? 0 : DECAI_E_NOMEM;

    if (!r) decai__tensor_row(t, 0, w);
    for (size_t i = 0; !r && i < n; i++)
        if (!isfinite(w[i])) r = decai__fail(DECAI_E_CORRUPT, "%s: element %zu is NaN or infinite", t->name, i);
    if (!r) r = decai__tbuf_create(&b->vector[t->index], b->c, n * sizeof *w);
    if (!r) r = decai__tbuf_write(b->vector[t->index], 0, w, n * sizeof *w);
    decai__free(b->ctx, w);
    return r;
}

static int32_t
load_tensor(decai__body *b, const decai__tensor *t, int32_t kind)
{
    uint64_t lost = 0;

    if (kind == DECAI__OP_EMBED) return 0;           /* its rows are read where they lie */
    if (kind == DECAI__OP_NORM) return b->vector[t->index] ? 0 : load_vector(b, t);
    if (b->matrix[t->index]) return 0;
    int32_t r = decai__matrix_create(&b->matrix[t->index], b->c, t->name, (int32_t)t->type,
        (size_t)t->dims[1], (size_t)t->dims[0], t->data, t->size, &lost);
    b->lost += lost;
    return r;
}

/* Owns c from here on, whatever happens. */
static int32_t
body_create(decai__body **out, const decai_engine *e, decai__compute *c)
{
    decai_context *ctx = e->h.context;
    const decai__program *p = e->program;
    decai__body *b = decai__calloc(ctx, 1, sizeof *b);
    int32_t r = 0;

    if (!b) {
        decai__compute_destroy(c);
        return decai__fail(DECAI_E_NOMEM, "engine: weights");
    }
    b->ctx = ctx;
    b->c = c;
    decai__compute_set_two_level(c, decai__contract_two_level(p->contract));
    b->tensors = decai__model_tensor_count(e->model);
    b->matrix = decai__calloc(ctx, b->tensors, sizeof(decai__matrix *));
    b->vector = decai__calloc(ctx, b->tensors, sizeof(decai__tbuf *));
    if (!b->matrix || !b->vector) r = decai__fail(DECAI_E_NOMEM, "engine: %zu tensors", b->tensors);

    for (uint32_t i = 0; !r && i < p->count; i++)
        if (p->ops[i].tensor >= 0)
            r = load_tensor(b, decai__model_tensor_at(e->model, (size_t)p->ops[i].tensor), p->ops[i].kind);
    const decai__rope_spec spec = { .rot_dim = p->shape.rot_dim, .base = p->shape.rope_base };
    if (!r) r = decai__rope_table_create(&b->rope, c, e->context, &spec);
    if (!r) r = decai__compute_sync(c);
    if (r) {
        body_destroy(b);
        return r;
    }
    *out = b;
    return 0;
}

decai__body *
decai__engine_body(decai_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    decai__body *b = engine->body;
    pthread_mutex_unlock(&engine->lock);
    return b;
}

int32_t
decai__engine_replace(decai_engine *engine, decai__body *lost)
{
    decai__compute *c = NULL;
    decai__body *b = NULL;
    int32_t r = 0;

    pthread_mutex_lock(&engine->lock);
    if (engine->body != lost) goto done;             /* somebody was faster */
    if (!decai__compute_fallback(lost->c) || engine->spare) {
        r = DECAI_E_DEVICE;                          /* the detail stands already */
        goto done;
    }
    decai__log(engine->h.context, DECAI_LOG_WARN, "infer: %s is lost (%s); native goes on",
        decai__compute_device(lost->c), decai__error_detail());
    r = decai__compute_create_native(&c, engine->h.context, NULL);
    if (!r) r = body_create(&b, engine, c);
    if (!r) {
        engine->spare = lost;
        engine->body = b;
    }
done:
    pthread_mutex_unlock(&engine->lock);
    return r;
}

/* ---- engine ------------------------------------------------------------------------ */

static void
engine_destroy(void *self)
{
    decai_engine *e = self;

    body_destroy(e->body);
    body_destroy(e->spare);
    if (e->lock_made) pthread_mutex_destroy(&e->lock);
    decai__plan_free(&e->plan, e->h.context);
    decai__program_destroy(e->program);
    decai__destroy(e->model);
}

/* The contract number that the options ask for. */
static int32_t
contract_of(const decai_options *opts, int32_t *contract)
{
    const char *kv = decai__opt_str(opts, "infer.kv_type"), *scales = decai__opt_str(opts, "infer.activation");
    bool q8 = !strcmp(kv, "q8_0"), two = !strcmp(scales, "two_level");

    if (!q8 && strcmp(kv, "f16")) return decai__fail(DECAI_E_INVALID, "infer.kv_type: \"%.16s\"", kv);
    if (!two && strcmp(scales, "one_level")) return decai__fail(DECAI_E_INVALID, "infer.activation: \"%.16s\"", scales);
    *contract = decai__contract_number(q8 ? DECAI__KV_Q8_0 : DECAI__KV_F16, two);
    return 0;
}

static int32_t
engine_fill(decai_engine *e, const decai_options *opts)
{
    decai_context *ctx = e->h.context;
    decai__compute *c = NULL;

    int32_t contract = 1, r = contract_of(opts, &contract);
    if (r) return r;
    r = decai__program_create(&e->program, ctx, e->model, contract);
    if (r) return r;
    r = decai__plan_make(&e->plan, ctx, e->program);
    if (r) return r;

    int64_t asked = decai__opt_i64(opts, "infer.context");
    uint32_t own = e->program->shape.context;
    e->context = asked ? (uint32_t)asked : DECAI__MIN(own, 2048u);
    e->batch = (uint32_t)DECAI__MIN(decai__opt_i64(opts, "infer.batch"), (int64_t)e->context);
    if (e->context > own)
        return decai__fail(DECAI_E_LIMIT, "infer.context: %u is above the model's %u", e->context, own);
    if (pthread_mutex_init(&e->lock, NULL)) return decai__fail(DECAI_E_NOMEM, "engine: no mutex");
    e->lock_made = true;

    r = decai__compute_create(&c, ctx, opts);
    if (r) return r;
    bool fallback = decai__compute_fallback(c) && !strcmp(decai__compute_name(c), "opencl");
    r = body_create(&e->body, e, c);
    if (r != DECAI_E_DEVICE || !fallback) return r;
    /* It passed its test and died while the weights went up. */
    decai__log(ctx, DECAI_LOG_WARN, "infer: opencl is replaced by native: %s", decai__error_detail());
    r = decai__compute_create_native(&c, ctx, opts);
    return r ? r : body_create(&e->body, e, c);
}

int32_t
decai__engine_create(decai_engine **out, decai_model *model, const decai_options *opts)
{
    decai__fpu fpu;
    int32_t r = decai__opts_check(opts, "compute infer base");
    if (r) return r;
    decai_engine *e = decai__handle_create(decai__context_of(model), DECAI__ENGINE, sizeof *e, engine_destroy);
    if (!e) return DECAI_E_NOMEM;

    decai__retain(model);
    e->model = model;
    decai__fpu_enter(&fpu);
    r = engine_fill(e, opts);
    decai__fpu_leave(&fpu);
    if (r) {
        decai__destroy(e);
        return r;
    }
    *out = e;
    return 0;
}

/* JSON string escapes: quotes, backslashes and control characters. */
static void
add_text(decai__buf *out, const char *text)
{
    (void)decai__buf_add_byte(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') (void)decai__buf_add_byte(out, '\\');
        if (*p < 0x20) (void)decai__buf_printf(out, "\\u%04x", *p);
        else (void)decai__buf_add_byte(out, *p);
    }
    (void)decai__buf_add_byte(out, '"');
}

int32_t
decai__engine_format(decai_engine *e, decai__buf *out)
{
    const decai__shape *s = &e->program->shape;
    const decai__body *b = decai__engine_body(e);

    (void)decai__buf_printf(out, "{\"contract\":%d,\"backend\":\"%s\",\"device\":", (int)e->program->contract,
        decai__compute_name(b->c));
    add_text(out, decai__compute_device(b->c));
    (void)decai__buf_printf(out, ",\"threads\":%d,\"architecture\":\"%s\",\"context\":%u,\"batch\":%u,"
        "\"vocab\":%u,\"layers\":%u,\"width\":%u,\"heads\":%u,\"kv_heads\":%u,\"scales_lost\":%llu}",
        (int)decai__thread_count(e->h.context), e->program->arch, e->context, e->batch, s->vocab, s->layers, s->dim, s->heads,
        s->kv_heads, (unsigned long long)b->lost);
    return out->error;
}

decai_model *decai__engine_model(const decai_engine *engine) { return engine->model; }
const decai__program *decai__engine_program(const decai_engine *engine) { return engine->program; }
int32_t decai__engine_contract(const decai_engine *engine) { return engine->program->contract; }

const char *
decai__engine_backend(const decai_engine *engine)
{
    return decai__compute_name(decai__engine_body((decai_engine *)(uintptr_t)engine)->c);
}
