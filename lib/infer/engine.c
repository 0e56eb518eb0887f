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

#include <string.h>

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
    if (!r) r = decai__body_create(&b, engine, c, NULL);
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

    if (e->encoder.slot) decai__encoder_free(e->h.context, &e->encoder, e->plan.slots);
    decai__body_destroy(e->body);
    decai__body_destroy(e->spare);
    if (e->lock_made) {
        pthread_mutex_destroy(&e->lock);
        pthread_mutex_destroy(&e->encode_lock);
    }
    decai__plan_free(&e->plan, e->h.context);
    decai__program_destroy(e->program);
    decai__destroy(e->model);
}

/* One of the words, by place; DECAI_E_INVALID names them. */
static int32_t
word_of(int32_t *out, const decai_options *opts, const char *key, const char *const *words, int32_t count)
{
    const char *given = decai__opt_str(opts, key);

    for (int32_t i = 0; i < count; i++)
        if (!strcmp(given, words[i])) {
            *out = i;
            return 0;
        }
    return decai__fail(DECAI_E_INVALID, "%s: \"%.32s\" is not %s or %s", key, given, words[0], words[1]);
}

static int32_t
read_contract(decai_engine *e, const decai_options *opts)
{
    static const char *const kv[] = { "f16", "q8_0" }, *const activation[] = { "one_level", "two_level" },
        *const pooling[] = { "auto", "mean", "cls", "last" };
    int32_t kv_type = 0, levels = 0;

    int32_t r = word_of(&kv_type, opts, "infer.kv_type", kv, 2);
    if (!r) r = word_of(&levels, opts, "infer.activation", activation, 2);
    if (!r) r = word_of(&e->pooling, opts, "infer.pooling", pooling, 4);
    e->contract = decai__contract_number(kv_type, levels != 0);
    return r;
}

/* Everything but the weights. */
static int32_t
engine_prepare(decai_engine *e, const decai_options *opts)
{
    decai_context *ctx = e->h.context;

    int32_t r = read_contract(e, opts);
    if (!r) r = decai__program_create(&e->program, ctx, e->model, e->contract);
    if (!r) r = decai__plan_make(&e->plan, ctx, e->program);
    if (r) return r;

    int64_t asked = decai__opt_i64(opts, "infer.context");
    uint32_t own = e->program->shape.context;
    e->context = asked ? (uint32_t)asked : DECAI__MIN(own, 2048u);
    e->batch = (uint32_t)DECAI__MIN(decai__opt_i64(opts, "infer.batch"), (int64_t)e->context);
    e->repack = decai__opt_i64(opts, "compute.repack") != 0;
    if (e->pooling == DECAI__POOL_NONE) e->pooling = e->program->pooling;
    if (e->pooling == DECAI__POOL_NONE || e->pooling > DECAI__POOL_LAST)
        e->pooling = e->program->encoder ? DECAI__POOL_MEAN : DECAI__POOL_LAST;
    if (e->context > own)
        return decai__fail(DECAI_E_LIMIT, "infer.context: %u is above the model's %u", e->context, own);
    if (pthread_mutex_init(&e->lock, NULL)) return decai__fail(DECAI_E_NOMEM, "engine: no mutex");
    if (pthread_mutex_init(&e->encode_lock, NULL)) {
        pthread_mutex_destroy(&e->lock);
        return decai__fail(DECAI_E_NOMEM, "engine: no mutex");
    }
    e->lock_made = true;
    return 0;
}

/* The weights, into c; owns it. */
static int32_t
engine_load(decai_engine *e, decai__compute *c, decai_task *task)
{
    decai_context *ctx = e->h.context;
    bool fallback = decai__compute_fallback(c) && !strcmp(decai__compute_name(c), "opencl");
    decai__fpu fpu;

    decai__fpu_enter(&fpu);
    int32_t r = decai__body_create(&e->body, e, c, task);
    if (r == DECAI_E_DEVICE && fallback) {
        /* It passed its test and died while the weights went up. */
        decai__log(ctx, DECAI_LOG_WARN, "infer: opencl is replaced by native: %s", decai__error_detail());
        r = decai__compute_create_native(&c, ctx, NULL);
        if (!r) r = decai__body_create(&e->body, e, c, task);
    }
    decai__fpu_leave(&fpu);
    if (!r) atomic_store_explicit(&e->ready, 1, memory_order_release);
    return r;
}

/* An engine without its weights, and the backend for them. */
static int32_t
engine_blank(decai_engine **out, decai__compute **c, decai_model *model, const decai_options *opts)
{
    decai__fpu fpu;
    int32_t r = decai__opts_check(opts, "compute infer base");
    if (r) return r;
    decai_engine *e = decai__handle_create(decai__context_of(model), DECAI__ENGINE, sizeof *e, engine_destroy);
    if (!e) return DECAI_E_NOMEM;
    decai__retain(model);
    e->model = model;
    atomic_init(&e->ready, 0);
    decai__fpu_enter(&fpu);
    r = engine_prepare(e, opts);
    if (!r) r = decai__compute_create(c, e->h.context, opts);
    decai__fpu_leave(&fpu);
    if (r) decai__destroy(e);
    else *out = e;
    return r;
}

int32_t
decai__engine_create(decai_engine **out, decai_model *model, const decai_options *opts)
{
    decai_engine *e = NULL;
    decai__compute *c = NULL;
    int32_t r = engine_blank(&e, &c, model, opts);

    if (r) return r;
    r = engine_load(e, c, NULL);
    if (r) decai__destroy(e);
    else *out = e;
    return r;
}

int32_t
decai__engine_ready(const decai_engine *engine)
{
    if (atomic_load_explicit(&engine->ready, memory_order_acquire)) return 0;
    return decai__fail(DECAI_E_STATE, "engine: it is still being made, or that failed; wait for its task");
}

/* ---- in the background ------------------------------------------------------------- */

/* What a program asks for is checked before the call returns; the weights, which
 * take the time, go up in the task. */
typedef struct engine_work { decai_engine *engine; decai__compute *c; } engine_work;

static int32_t
work_run(decai_task *task, void *user)
{
    engine_work *w = user;
    decai__compute *c = w->c;
    w->c = NULL;
    return engine_load(w->engine, c, task);
}

static void
work_free(decai_context *ctx, void *user)
{
    engine_work *w = user;
    decai__compute_destroy(w->c);
    decai__destroy(w->engine);
    decai__free(ctx, w);
}

int32_t
decai__engine_create_start(decai_task **task, decai_engine **out, decai_model *model, const decai_options *opts)
{
    decai_context *ctx = decai__context_of(model);
    decai_engine *e = NULL;
    decai__compute *c = NULL;

    int32_t r = engine_blank(&e, &c, model, opts);
    if (r) return r;
    engine_work *w = decai__calloc(ctx, 1, sizeof *w);
    if (!w) {
        decai__compute_destroy(c);
        decai__destroy(e);
        return decai__fail(DECAI_E_NOMEM, "engine: no memory for the task");
    }
    /* Two owners: the work and the caller. A failed start frees the work's. */
    w->engine = e;
    w->c = c;
    decai__retain(e);
    r = decai__task_start(task, ctx, work_run, w, work_free);
    if (r) decai__destroy(e);
    else *out = e;
    return r;
}

/* JSON string escapes: quotes, backslashes and control characters. */
void
decai__format_text(decai__buf *out, const char *text)
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

    (void)decai__buf_printf(out, "{\"contract\":%d,\"backend\":\"%s\",\"device\":", (int)e->contract,
        decai__compute_name(b->c));
    decai__format_text(out, decai__compute_device(b->c));
    (void)decai__buf_printf(out, ",\"threads\":%d,\"architecture\":\"%s\",\"context\":%u,\"batch\":%u,"
        "\"vocab\":%u,\"layers\":%u,\"width\":%u,\"heads\":%u,\"kv_heads\":%u,\"scales_lost\":%llu}",
        (int)decai__thread_count(e->h.context), e->program->arch, e->context, e->batch, s->vocab, s->layers, s->dim, s->heads,
        s->kv_heads, (unsigned long long)b->lost);
    return out->error;
}

decai_model *decai__engine_model(const decai_engine *engine) { return engine->model; }
const decai__program *decai__engine_program(const decai_engine *engine) { return engine->program; }

int32_t decai__engine_contract(const decai_engine *engine) { return engine->contract; }

const char *
decai__engine_backend(const decai_engine *engine)
{
    return decai__compute_name(decai__engine_body((decai_engine *)(uintptr_t)engine)->c);
}
