/* serve_verify.c - POST /decai/verify: a receipt of an answer, checked.
 *
 * {"receipt": base64, "opening": base64}: form and commitments, and the whole run again
 * on the model whose root the receipt names, if it is served. It has a thread of its own and one receipt at a time, beside
 * the engine's, so that a long one delays nobody's answer more than its share of cores. */
#include "serve.h"

#include <string.h>

static bool
read_base64(params *p, int32_t v, text *out)
{
    text t = {0};
    bool good = read_text(p, v, &t) && (base64_read(out, t.data, t.len) || refuse_value(p, v, NULL, "is not base64"));
    text_free(&t);
    return good;
}

/* Here a call's vectors and ids hold the two. */
static bool receipt(params *p, int32_t v) { return read_base64(p, v, &p->call->vectors); }
static bool opening(params *p, int32_t v) { return read_base64(p, v, &p->call->ids); }

static const field verify_fields[] = {{"receipt", receipt}, {"opening", opening}, {NULL, NULL}};

/* The first one where none is named: then the verification says what differs. */
static served *
model_named(call *c, decai_receipt *r)
{
    text about = {0}, root = {0};
    size_t len = 0;
    served *found = &c->s->models[0];
    if (decai_receipt_format(r, NULL, 0, &len) == DECAI_E_SPACE &&
        !decai_receipt_format(r, text_reserve(&about, len), len, &len) && json_field(&root, about.data, "model_root"))
        for (size_t i = 0; i < c->s->model_count; i++)
            if (!strcmp(c->s->models[i].root.data, root.data)) found = &c->s->models[i];
    text_free(&about);
    text_free(&root);
    return found;
}

static bool
wanted(void *user)
{
    call *c = user;
    return !atomic_load(&c->gone) && !atomic_load(&c->s->stopping);
}

static int32_t
verify(call *c, text *out)
{
    decai_receipt *r = NULL;
    decai_verification *v = NULL;
    decai_engine *engine = NULL;
    const uint8_t *given = (const uint8_t *)(c->ids.data ? c->ids.data : NULL);
    size_t len = 0;
    int32_t code = decai_receipt_load(&r, c->s->ctx, (const uint8_t *)c->vectors.data, c->vectors.len);
    if (!code && c->ids.len) code = models_lend(model_named(c, r), &engine, NULL, wanted, c);
    if (!code) code = decai_receipt_verify(&v, r, given, c->ids.len, engine);
    if (!code) code = decai_verification_format(v, NULL, 0, &len);
    if (code == DECAI_E_SPACE) {
        text_reserve(out, len);
        code = decai_verification_format(v, out->data, len, &len);
    }
    decai_destroy(v);
    decai_destroy(r);
    decai_destroy(engine);
    models_returned(c->s);
    return code;
}

void
verify_read(call *c)
{
    params p;
    text found = {0};
    if (params_open(&p, c) && fields_read(&p, verify_fields, NULL)) {
        int32_t r = c->vectors.data ? verify(c, &found) : 0;
        if (!c->vectors.data) refuse_value(&p, -1, "receipt", "missing");
        else if (r) call_fail(c, r, "receipt");
        else {
            call_write(c, found.data, found.len);
            call_end(c, 200, "application/json");
        }
    }
    text_free(&found);
    params_free(&p);
}
